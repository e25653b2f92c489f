"""The printed statement (收益分配单 PDF): what is shared, by whom it follows, and room for the signatures.

It is drawn from the recorded statement, Chinese and English side by side, and carries its digest and a QR
code with number and digest, no host. Paper proves nothing: what stands on chain is the digest.
"""

import json
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log, revenue, statements
from ledger.agreements import Agreement
from ledger.approvals import signatures
from ledger.papers import shown, typeset
from ledger.parties import Party
from ledger.periods import Period
from ledger.proof.encoding import sha256
from ledger.qr import QR_FORM, qr_svg
from ledger.reports import decimal, grouped, named, step_facts
from ledger.schemes import Scheme
from ledger.statements import Statement
from valuation.money import capitals, round_half_up

TEMPLATE = Path(__file__).with_name("paper") / "statement.typ"
STATES = {
    "drafted": ("草稿", "drafted"), "proposed": ("待核准", "proposed"),
    "approved": ("已核准", "approved"), "rejected": ("已退回", "sent back"),
    "posted": ("已入账", "booked"), "reversed": ("已冲销", "reversed"),
}  # fmt: skip


def statement_pdf(session: Session, statement: Statement) -> bytes:
    """The statement as PDF/A; as it stands recorded it always gives the same bytes."""
    face = _face(session, statement)
    inputs = {
        "face": json.dumps(face, ensure_ascii=False, sort_keys=True),
        "qr": qr_svg(face["qr_text"]),
    }
    return typeset(TEMPLATE, inputs, log.record_of(session, statement.id, statement.version).at)


@cache
def maker() -> str:
    """What decides the bytes besides the facts and the fonts."""
    return f"shuzheng-statement/1 template/{sha256(TEMPLATE.read_bytes()).hex()[:16]}"


def _face(session: Session, statement: Statement) -> dict[str, Any]:
    agreement = session.get_one(Agreement, statement.agreement_id)
    scheme = session.get_one(Scheme, statement.scheme_id)
    again = revenue.recompute(statement, scheme)
    period = session.get(Period, statement.period_id or "")
    at = log.record_of(session, statement.id, statement.version).at
    original = session.get(Statement, statement.reverses or "")
    before = statements.previous(session, agreement, statement.from_on)
    codes = {line["party"] for line in statement.lines} | {*statement.deficits_after}
    names = dict(session.execute(select(Party.uscc, Party.name).where(Party.uscc.in_(codes))).all())
    parties = sorted({*statement.deficits_before, *statement.deficits_after})
    digest = statement.digest.removeprefix("sha256:")
    return {
        "after": before.number if before else None,
        "agreement": {"number": agreement.number, "title": shown(agreement.title)},
        "amount": {
            "capitals": capitals(statement.amount_fen), "yuan": grouped(statement.amount_fen)
        },
        "carried": [
            {
                "after": decimal(statement.deficits_after.get(party, "0"), 4),
                "before": decimal(statement.deficits_before.get(party, "0"), 4),
                "party": shown(names.get(party, party)),
            }
            for party in parties
        ],
        "covers": _covers(statement),
        "digest": statement.digest,
        "facts": [
            {"name": shown(name), "value": grouped(value)}
            for name, value in statement.facts.items() if isinstance(value, int)
        ],
        "from_on": statement.from_on,
        "line_root": statement.line_root,
        "lines": [
            {
                "amount": grouped(line["amount_fen"]), "en": shown(line["en"]),
                "party": shown(names.get(line["party"], line["party"])), "share": _share(line, statement),
                "uscc": line["party"], "zh": shown(line["zh"]),
            }
            for line in statement.lines
        ],
        "maker": maker(),
        "made_by": named(session, statement.maker_id),
        "needed": statement.approvals_required or revenue.signatures_due(session, statement, at),
        "number": statement.number,
        "original": original.number if original else None,
        "period": period.number if period else None,
        "qr_text": f"{QR_FORM}:{statement.number}:{digest}",
        "scheme": {
            "edition": scheme.edition, "en": shown(scheme.document["name"]["en"]),
            "from_on": scheme.effective_from, "zh": shown(scheme.document["name"]["zh"]),
        },
        "signed": [
            {**one, "by": named(session, one["checker_id"])} for one in signatures(statement)
        ],
        "state": dict(zip(("zh", "en"), STATES[statement.state], strict=True)),
        "steps": [step_facts(step) for step in again.derivation.steps],
        "until_on": statement.until_on,
    }  # fmt: skip


def _covers(statement: Statement) -> dict[str, Any] | None:
    if statement.covers is None:
        return None
    return {
        part: {
            "net": grouped(found["net_fen"]), "refunded": grouped(found["refunded_fen"]),
            "refunds": found["refunds"], "trades": found["trades"],
        }
        for part, found in statement.covers.items() if part in ("late", "own")
    }  # fmt: skip


def _share(line: dict[str, Any], statement: Statement) -> str:
    hundredths = round_half_up(Fraction(10_000 * line["amount_fen"], statement.amount_fen))
    return f"{hundredths // 100}.{hundredths % 100:02d} %"
