"""The tables by which the house works, printed as they are: states, rights, views, profiles.

What docs/registration.md shows is made by this, and a test compares them.
"""

from collections.abc import Callable

import click

from ledger import deadlines, registration_views
from ledger.registration_profiles import profiles
from ledger.rights import MAY, ROLES
from ledger.states import MOVES
from webapp.cli import main

MACHINES = ("application", "objection", "registration", "agreement", "evaluation", "voucher", "motion",
            "authorisation", "alarm", "peer", "recognition")  # fmt: skip
NOUNS = (*MACHINES, "evidence", "notice", "use", "space", "supervision")


@main.command("rules")
@click.argument(
    "table",
    type=click.Choice(["profiles", "deadlines", "moves", "may", "sees", "all"]),
    default="all",
)
def rules(table: str) -> None:
    """Print the tables of registration and vouchers (Markdown)."""
    for name, make in TABLES.items():
        if table in (name, "all"):
            click.echo(f"## {TITLES[name]}\n\n{make()}")


def moves() -> str:
    """State × verb of each machine of the field."""
    parts = []
    for machine in MACHINES:
        verbs = MOVES.get(machine, {})
        states = list(
            dict.fromkeys(s for one in verbs.values() for pair in one.items() for s in pair)
        )
        known = [state for state in states if state is not None]
        rows = [
            [verb, verbs[verb].get(None, ""), *(verbs[verb].get(state, "") for state in known)]
            for verb in verbs
        ]
        if verbs:
            parts.append(f"### {machine}\n\n" + _table(["verb", "(new)", *known], rows))
    return "\n".join(parts)


def may() -> str:
    """Verb × role of the same nouns: own, other, any; a role that may nothing of them has no column."""
    wanted = {verb: roles for verb, roles in MAY.items() if verb.partition(".")[0] in NOUNS}
    roles = [
        role for role in ("public", "member", *ROLES) if any(role in one for one in wanted.values())
    ]
    rows = [[verb, *(by.get(role, "") for role in roles)] for verb, by in wanted.items()]
    return _table(["verb", *roles], rows)


def sees() -> str:
    """What each party sees in each state."""
    parts = []
    for noun, states in registration_views.SEES.items():
        audiences = [one for one in registration_views.AUDIENCES
                     if any(one in row for row in states.values())]  # fmt: skip
        rows = [[state, *(row.get(one, "") for one in audiences)] for state, row in states.items()]
        named = [
            f"- *{part}*: {', '.join(sorted(columns)) or '–'}"
            for part, columns in registration_views.PARTS[noun].items()
        ]
        parts.append(
            f"### {noun}\n\n" + _table(["state", *audiences], rows) + "\n" + "\n".join(named)
        )
    return "\n\n".join(parts) + "\n"


def profiles_table() -> str:
    """What each profile has: types, deadlines, objects."""
    known = profiles()
    types = list(dict.fromkeys(name for one in known.values() for name in one.types))
    rows = [
        [name, *("" if name not in one.types else
                 one.types[name].zh + (" (公示)" if one.types[name].notice else "")
                 for one in known.values())]
        for name in types
    ]  # fmt: skip
    days = list(dict.fromkeys(name for one in known.values() for name in one.days))
    rows += [
        [f"{name} (工作日)", *(str(one.days.get(name, "")) for one in known.values())]
        for name in days
    ]
    rows.append(["renewal window (日)", *(str(one.renewal_days) for one in known.values())])
    rows.append(["objects", *(", ".join(one.objects) for one in known.values())])
    rows.append(["refusal grounds", *(", ".join(one.refusal_grounds) for one in known.values())])
    return _table(["", *(one.zh for one in known.values())], rows)


def deadlines_table() -> str:
    """Every deadline that runs: in which states, how it is counted, by which rule, what settles it."""
    rows = [
        [f"{term.name}", ", ".join(term.states), "working days" if term.working else "days", term.rule,
         ", ".join(term.deeds)]
        for term in deadlines.TERMS.values()
    ]  # fmt: skip
    return _table(["deadline", "states", "counted in", "rule", "settled by"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "profiles": profiles_table, "deadlines": deadlines_table, "moves": moves, "may": may, "sees": sees,
}  # fmt: skip


TITLES = {
    "profiles": "Profiles 登记规则", "deadlines": "Deadlines 时限", "moves": "State × verb 状态与动作",
    "may": "Verb × role 权限", "sees": "What each party sees 各方可见范围",
}  # fmt: skip


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
