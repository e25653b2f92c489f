"""Numbers and derivations for the eye, and what the pages of vouchers tell besides the row."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any

from flask import Flask, current_app, send_file, url_for
from flask_limiter import Limiter
from markupsafe import Markup, escape
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log, uses, vouchers
from ledger.chain.outbox import Act
from ledger.motions import Motion
from ledger.parties import Account, Member, Party, allowed
from ledger.registration import Registration
from ledger.reports import decimal, quantity
from ledger.trading import Licence
from ledger.vouchers import Voucher
from valuation.money import yuan
from valuation.worksheet import UNITS
from webapp import door
from webapp.deeds.all import circulation
from webapp.language import language, tr
from webapp.pages import nouns
from webapp.wording import spoken

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SYMBOL = re.compile(r"([A-Za-z][A-Za-z0-9_]*)", re.ASCII)
SIGNS = re.compile(r"\*\*|[*-]")
CODE = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{18}(?![0-9A-Z])")


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.filters |= {
        "decimal": decimal, "named": named, "payees": payees, "quantity": quantity,
        "spoken": lambda one: spoken(one.zh, one.en), "unit": unit,
        "yuan": yuan,
    }  # fmt: skip
    app.jinja_env.globals |= {"derived": derived}
    nouns.EXTRA |= {"voucher": about_voucher, "motion": about_motion}


# -- numbers for the eye -----------------------------------------------------------------------


def unit(name: str) -> str:
    """The name of a step's unit; amounts are shown in yuan."""
    if name == "fen":
        return tr("yuan")
    return "" if name == "1" else UNITS[name][0 if language() == "zh" else 1]


def named(one: Mapping[str, str]) -> str:
    """What a document names in both languages, in the reader's."""
    return one[language()]


def payees(text: str, names: Mapping[str, str]) -> str:
    """A step's label with the names of the organisations whose codes stand in it."""
    return CODE.sub(lambda found: names.get(found[0], found[0]), text)


def derived(steps: Sequence[Mapping[str, str]], at: str) -> list[dict[str, Any]]:
    """The steps of a figure, each formula once with links to the steps it refers to, once in numbers.

    `at` begins the anchors, so that several figures stand on one page. Amounts count in fen in a formula.
    """
    values: dict[str, Fraction] = {}
    made = []
    for step in steps:
        parts = SYMBOL.split(step["formula"])  # every second one is a name
        linked, put_in = [], []
        for n, part in enumerate(parts):
            known = n % 2 and part in values
            linked.append(
                Markup('<a href="#{}-{}">{}</a>').format(at, part, part) if known else escape(part)
            )
            put_in.append(_in_formula(values[part]) if known else SIGNS.sub(_sign, part))
        lone = step["formula"].strip() in values
        made.append({
            **step, "id": f"{at}-{step['symbol']}", "linked": Markup("").join(linked),
            "numbers": "" if lone or not step["formula"] else "".join(put_in),
        })  # fmt: skip
        values[step["symbol"]] = Fraction(step["value"])
    return made


def _sign(found: re.Match[str]) -> str:
    return {"**": "^", "*": "×", "-": "−"}[found[0]]


def _in_formula(value: Fraction) -> str:
    """A number as it stands in a formula: no commas, which part arguments there; negative in brackets."""
    text = decimal(value).replace(",", "\u202f").replace(" ", "")
    return f"({text.replace('-', '−')})" if value < 0 else text


# -- what several pages show -------------------------------------------------------------------


def acts_of(session: Session, subject_id: str) -> list[Act]:
    """What was or is to be done on chain for a subject, in order."""
    return list(session.scalars(select(Act).where(Act.subject_id == subject_id).order_by(Act.id)))


def standing(session: Session, row: Any) -> dict[str, Any]:
    """How far a row's last record has come, the ground it states, and what is done on chain for it."""
    acts, record = acts_of(session, row.id), log.record_of(session, row.id, row.version)
    return {
        "acts": acts, "ground": log.payload_of(record)["reason"],
        "on_chain": acts[-1].state if acts else None, "rung": log.rung(session, record),
    }  # fmt: skip


def person(session: Session, member_id: str | None) -> dict[str, str] | None:
    """The name of a member, and of his organisation."""
    if member_id is None:
        return None
    member, account = session.get(Member, member_id), session.get(Account, member_id)
    if member is None or account is None:
        return {"name": member_id, "party": ""}
    return {"name": account.display_name, "party": session.get_one(Party, member.party_id).name}


def sheet(target: BytesIO, name: str) -> Any:
    """A spreadsheet as an answer."""
    return send_file(BytesIO(target.getvalue()), XLSX, as_attachment=True, download_name=name)


# -- vouchers ----------------------------------------------------------------------------------


def about_motion(session: Session, row: Motion) -> dict[str, Any]:
    """The voucher a motion is on."""
    return {"voucher": session.get_one(Voucher, row.voucher_id)}


def about_voucher(session: Session, row: Voucher) -> dict[str, Any]:
    """What a voucher's page shows besides the row."""
    known = standing(session, row)
    actor, now = door.actor(), door.the_desk().now
    licences = None
    if allowed(actor, "licence.read", row.party_id):
        under = select(Licence).where(Licence.voucher_id == row.id).order_by(Licence.n)
        licences = session.scalars(under).all()
    public = "voucher_state" in current_app.view_functions
    sees_ground = circulation.sees_ground(actor, row)
    if row.freeze_ground and known["ground"] == row.freeze_ground["reason"]:
        known["ground"] = None  # told with its basis, or not at all
    return {
        **known,
        "freeze": row.freeze_ground if sees_ground else None,
        "export": allowed(actor, "voucher.export", row.party_id),
        "lapsed": now > row.valid_until,
        "licences": licences,
        "missing": _missing(session, known),
        "waiting": _waiting(session, row),
        "used": uses.counted(session, row.id),
        "pack": allowed(actor, "package.pack", row.party_id),
        "public": url_for("voucher_state", number=row.number) if public else None,
        "registration": session.get_one(Registration, row.registration_id),
        "subject": row.credential["credentialSubject"],
    }


def _waiting(session: Session, row: Voucher) -> Motion | None:
    """The motion that waits to be decided, for who may see it."""
    if not allowed(door.actor(), "motion.read", row.party_id):
        return None
    return session.scalar(
        select(Motion).where(Motion.voucher_id == row.id, Motion.state == "proposed")
    )


def _missing(session: Session, known: Mapping[str, Any]) -> list[str]:
    """What must still happen before the voucher's proofs can be handed out."""
    missing = [
        tr("On chain, “{what}” is {state}.", what=act.function, state=act.state)
        for act in known["acts"]
        if act.state != "effective" or act.confirmed_at is None
    ]
    if known["rung"] != "confirmed":
        missing.append(tr("Its last record is {rung}, not yet confirmed.", rung=known["rung"]))
    if vouchers.current_status(session) is None:
        missing.append(tr("No status list was published yet."))
    return missing
