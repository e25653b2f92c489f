"""A deed's body as a form: what a template shows of each field, made from the body's schema."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.agreements import RUNNING, Agreement
from ledger.books import BookAccount
from ledger.limits import LIMITED
from ledger.parties import Actor, Member, Party
from ledger.registration import Deposit
from ledger.store import Evidence
from webapp.language import tr

BLANK_ROWS = 1
CHOSEN = {"text": "select", "lines": "checks"}  # how a field is shown whose values are offered
BY_CODE = ("exchanges", "implementers", "parties")  # sources of organisations by their codes
Choices = Callable[[str], list[tuple[str, str]]]


@dataclass
class FormField:
    """One field of a form. `at` is its place in the body; `rows` are a group's or a list's own fields."""

    at: str
    label: str
    hint: str
    kind: str
    required: bool
    value: Any
    choices: list[tuple[str, str]]
    errors: list[str]
    rows: list[list["FormField"]] = field(default_factory=list)


def fields_of(
    schema: type[Schema], values: Mapping[str, Any], errors: Mapping[str, list[str]], choices: Choices,
    prefix: str = "",
) -> list[FormField]:  # fmt: skip
    """The fields of a body with their values and what is wrong with each."""
    made = []
    for name, one in schema().fields.items():
        told, at = one.metadata, f"{prefix}{name}"
        kind, value = _kind(one), values.get(name)
        offered = [(v, tr(label)) for v, label in told.get("choices", {}).items()]
        if not offered and told.get("source"):
            offered = choices(str(told["source"]))
            kind = CHOSEN.get(kind, kind) if offered else kind
            if told["source"] == "deposits" and not (offered or one.required or value):
                continue  # there is nothing that could be named
        rows: list[list[FormField]] = []
        if kind == "group":
            rows = [fields_of(type(one.schema), value or {}, errors, choices, f"{at}.")]  # type: ignore[attr-defined]
        elif kind == "rows":
            given = list(value or []) or [{}] * BLANK_ROWS
            rows = [
                fields_of(type(one.inner.schema), row, errors, choices, f"{at}.{n}.")  # type: ignore[attr-defined]
                for n, row in enumerate(given)
            ]
            if not one.required:  # a row that is left empty is none
                for inner in (inner for row in rows for inner in row):
                    inner.required = False
        elif kind == "document" and isinstance(value, Mapping):
            value = yaml.safe_dump(dict(value), allow_unicode=True, sort_keys=False)
        hint = str(told.get("hint", ""))
        if offered and told.get("source") in BY_CODE:
            hint = ""  # it says how a code is typed, and here it is chosen
        may_be = value not in (None, "", [], {}) or not (one.required or told.get("due"))
        made.append(FormField(
            at, tr(str(told.get("title") or name)), tr(hint) if hint else "", kind, bool(one.required),
            value, offered, _told_at(errors.get(at, []), may_be), rows,
        ))  # fmt: skip
    return made


def title_at(schema: type[Schema], place: str) -> str:
    """What the field at a place of a body is called, in English: `scenes.0.name`; "" where none is."""
    head, _, rest = place.partition(".")
    one = schema().fields.get(head)
    if isinstance(one, fields.List):
        one, rest = (one.inner, rest.partition(".")[2]) if rest.partition(".")[2] else (one, "")
    if isinstance(one, fields.Nested) and rest:
        return title_at(type(one.schema), rest)
    return "" if one is None else str(one.metadata.get("title") or "")


def _told_at(errors: list[str], may_be: bool) -> list[str]:
    """What is wrong with a field; of one that is blank and may not be, that says all."""
    return list(errors) if may_be or not errors else [tr("This is still missing.")]


def _kind(one: Any) -> str:
    told = one.metadata
    if told.get("kind") == "list":
        return "checks" if told.get("choices") else "lines"
    if told.get("kind"):
        return str(told["kind"])
    if isinstance(one, fields.Boolean):
        return "bool"
    if isinstance(one, fields.Integer):
        return "number"
    if told.get("choices"):
        return "select"
    return "area" if told.get("area") else "text"


def choices_for(session: Session, actor: Actor, row: Evidence | None = None) -> Choices:
    """What a field offers from the data: `source` of its schema → values with their labels.

    `row` is the subject of the deed, where the choices are of it.
    """

    def offered(source: str) -> list[tuple[str, str]]:
        if source == "payees" and row is not None:
            owed = select(BookAccount.party).where(
                BookAccount.book == row.id,
                BookAccount.account.in_(LIMITED),
                BookAccount.party != "",
            )
            names = dict(session.execute(select(Party.uscc, Party.name)).tuples().all())
            codes = sorted(set(session.scalars(owed)))
            return [(code, f"{names.get(code, '')} {code}".strip()) for code in codes]
        if source in BY_CODE:
            query = select(Party).where(Party.state == "active", Party.kind != "individual")
            query = query.order_by(Party.name)
            if source == "implementers":
                query = query.where(Party.kind == "public_body")
            if source == "exchanges":
                members = session.execute(select(Member.party_id, Member.roles))
                query = query.where(
                    Party.id.in_({of for of, roles in members if "exchange" in roles})
                )
            return [(p.uscc, f"{p.name} {p.uscc}") for p in session.scalars(query)]
        if source == "agreements":
            mine = select(Agreement).where(
                Agreement.operator_id == actor.party_id, Agreement.state.in_(RUNNING)
            )
            return [(a.number, f"{a.number} {a.title}") for a in session.scalars(mine)]
        if source == "deposits":
            own = (
                select(Deposit)
                .where(Deposit.party_id == actor.party_id)
                .order_by(Deposit.id.desc())
            )
            return [
                (d.digest, f"{d.name} ({d.digest[7:15]}…)") for d in session.scalars(own.limit(100))
            ]
        return []

    return offered
