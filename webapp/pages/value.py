"""Vouchers and appraisals: exports, the steps of a figure, the form of an appraisal with its examples."""

import re
from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from typing import Any

from flask import Flask, current_app, request, send_file, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import appraisals, log, uses, vouchers
from ledger.appraisals import Appraisal
from ledger.calendar import local_date
from ledger.chain.outbox import Act
from ledger.errors import LedgerError, Missing
from ledger.motions import Motion
from ledger.parties import Account, Member, Party, allowed
from ledger.registration import Registration
from ledger.spreadsheet import write_figure
from ledger.trading import Licence
from ledger.vouchers import Voucher
from valuation import ValuationError, methods
from valuation.money import round_half_up, yuan
from valuation.worksheet import UNITS, Figure
from webapp import door
from webapp.deeds import calculating
from webapp.deeds.all import circulation
from webapp.language import language, tr, translate
from webapp.pages import nouns

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONCLUSION = "conclusion"
CODE = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{18}(?![0-9A-Z])")
YUAN_PLACES, PLACES = 6, 10  # decimals shown of an amount between two fen, and of other numbers

# What an appraiser begins with: each approach's inputs as it asks for them, and a usual weight.
EXAMPLES = {
    "cost": """\
cost:
  method: cost
  version: "1"
  inputs:
    preparatory_yuan: "120000.00"
    direct_yuan: "860000.00"
    indirect_yuan: "150000.00"
    opportunity_yuan: "40000.00"
    taxes_yuan: "30000.00"
    factors:
      - {zh: 质量, en: quality, value: "0.97", basis: GB/T 36344 实测得分}
      - {zh: 流通, en: circulation, value: "1.1", basis: 已有意向用户}
""",
    "income": """\
income:
  method: income
  version: "1"
  inputs:
    model: share_of_revenue
    timing: mid
    rate:
      risk_free: "0.0235"
      management: "0.02"
      circulation: "0.03"
      data_security: "0.015"
      regulatory: "0.01"
    periods:
      - {revenue_yuan: "1500000.00", share: "0.3"}
      - {revenue_yuan: "1800000.00", share: "0.3"}
      - {revenue_yuan: "2000000.00", share: "0.28"}
""",
    "market": """\
market:
  method: market
  version: "1"
  inputs:
    parts:
      - name: 数据集一
        comparables:
          - name: 同类产品甲
            price_yuan: "1300000.00"
            weight: "0.6"
            quality: "0.98"
            supply_demand: "1.05"
            date: {valuation_index: "102.1", comparable_index: "100.4"}
            capacity: {subject: "229084", comparable: "250000"}
            other: "1"
            basis: 交易所公开挂牌
          - name: 同类产品乙
            price_yuan: "1150000.00"
            weight: "0.4"
            quality: "1.02"
            supply_demand: "1"
            date: {valuation_index: "102.1", comparable_index: "101.0"}
            capacity: {subject: "229084", comparable: "210000"}
            other: "0.95"
            basis: 双方合同
""",
}
WEIGHTS = {1: ("1",), 2: ("0.5", "0.5"), 3: ("0.2", "0.5", "0.3")}


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.filters |= {
        "decimal": decimal, "named": named, "payees": payees, "quantity": quantity, "unit": unit,
        "yuan": yuan,
    }  # fmt: skip
    app.jinja_env.globals |= {"asked_for": asked_for}
    nouns.EXTRA |= {"appraisal": about_appraisal, "voucher": about_voucher, "motion": about_motion}
    app.add_url_rule("/registrations/<registration_code>/appraisals", "appraisal_draft",
                     draft_appraisal, methods=["GET", "POST"])  # fmt: skip
    app.add_url_rule("/appraisals/<appraisal_number>/<name>.xlsx", "appraisal_worksheet", worksheet)


# -- numbers for the eye -----------------------------------------------------------------------


def decimal(value: Fraction | str | int, places: int = PLACES) -> str:
    """A number with at most so many decimals; ≈ where it has more."""
    exact = Fraction(value)
    scaled = round_half_up(exact * 10**places)
    whole, rest = divmod(abs(scaled), 10**places)
    tail = f".{rest:0{places}d}".rstrip("0").rstrip(".")
    about = "" if Fraction(scaled, 10**places) == exact else "≈ "
    return f"{about}{'-' if scaled < 0 else ''}{whole:,}{tail}"


def quantity(step: Mapping[str, str]) -> str:
    """A step's value as people read it: an amount in yuan, any other number as a decimal."""
    value = Fraction(step["value"])
    if step["unit"] != "fen":
        return decimal(value)
    text = decimal(value / 100, YUAN_PLACES if value.denominator > 1 else 2)
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"


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


# -- appraisals --------------------------------------------------------------------------------


def about_appraisal(session: Session, row: Appraisal) -> dict[str, Any]:
    """What an appraisal's page shows besides the row."""
    weighed = row.conclusion["document"]["inputs"]["figures"]
    approaches = [
        {
            "figure": figure, "name": name, "title": circulation.APPROACHES.get(name, name),
            **{k: one[k] for one in weighed if one["document"] == figure["document"]
               for k in ("reason", "weight")},
        }
        for name, figure in row.figures.items()
    ]  # fmt: skip
    return {
        **standing(session, row),
        "approaches": approaches,
        "disclosures": [
            (title, row.disclosures.get(name, ""))
            for name, title in circulation.DISCLOSURES.items()
        ],
        "expired": local_date(door.the_desk().now).isoformat() > row.valid_until_on,
        "maker": person(session, row.maker_id),
        "recomputed": _recomputed(row) if request.args.get("recompute") else None,
        "registration": session.get_one(Registration, row.registration_id),
        "reviewer": person(session, row.reviewer_id),
    }


def _recomputed(row: Appraisal) -> dict[str, Any]:
    """What computing the appraisal once more finds: how many steps agree, or what differs."""
    try:
        return {"cause": None, "count": appraisals.recompute(row)}
    except ValuationError as error:
        return {"cause": str(error), "count": 0}
    except LedgerError as error:
        return {"cause": error.localized(translate), "count": 0}


@door.guard(circulation.show_appraisal)
def worksheet(appraisal_number: str, name: str) -> Any:
    """A figure of an appraisal as a spreadsheet with live formulas."""
    keys = {"appraisal_number": appraisal_number}
    shown = door.the_desk().ask(circulation.show_appraisal, door.who, keys, {})
    figures = {**shown["figures"], CONCLUSION: shown["conclusion"]}
    if name not in figures:
        raise Missing(
            "Appraisal {number} has no figure {name}.", number=appraisal_number, name=name
        )
    target = BytesIO()
    with calculating():
        write_figure(Figure.from_dict(figures[name]), target)
    return sheet(target, f"{appraisal_number}-{name}.xlsx")


def sheet(target: BytesIO, name: str) -> Any:
    """A spreadsheet as an answer."""
    return send_file(BytesIO(target.getvalue()), XLSX, as_attachment=True, download_name=name)


@door.guard(circulation.draft_appraisal)
def draft_appraisal(registration_code: str) -> Any:
    """The form of an appraisal; `?approach=cost&approach=income` fills it with examples."""
    deed, keys = circulation.draft_appraisal, {"registration_code": registration_code}
    if request.method == "POST":
        return nouns.submit(deed, keys)
    wanted = [name for name in EXAMPLES if name in request.args.getlist("approach")]
    values: dict[str, Any] = {"base_on": local_date(door.the_desk().now).isoformat()}
    if wanted:
        values["documents"] = "".join(EXAMPLES[name] for name in wanted)
        values["weights"] = [
            {"method": name, "weight": weight}
            for name, weight in zip(wanted, WEIGHTS[len(wanted)], strict=True)
        ]
    return nouns.deed_page(deed, keys, values, {}, None)


def asked_for() -> list[dict[str, Any]]:
    """What each approach asks for: its fields one under the other, with how deep they stand."""
    described = {name: methods.describe(name) for name in EXAMPLES}
    return [{**one, "name": name, "rows": _rows(one["fields"])} for name, one in described.items()]


def _rows(fields: list[dict[str, Any]], depth: int = 0) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for one in fields:
        key = f"{one['key']}_yuan" if one["kind"] == "money" else one["key"]
        made.append({**one, "depth": depth, "key": key})
        made += _rows(one["fields"], depth + 1)
    return made
