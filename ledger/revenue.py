"""Revenue distribution (收益分配): agreed scheme → period closed → statement → approval → books.

The maker drafts and proposes; checkers, other persons, sign the statement with their own keys on their
own machines (`approvals`). The chain holds the statement's digest and the root over its salted lines, no
amounts. What it covers is told by a number and a day (`coverage`), so nothing is distributed twice.

    line leaf = SHA-256(0x00 ‖ salt16 ‖ canonical line), so each payee can be given a proof of his line

A posted statement is undone as a whole by a reversing statement, which is approved like any other.
"""

import secrets
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    books,
    coverage,
    log,
    periods,
    reversals,
    schemes,
    settings,
    settlements,
)
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.chain import outbox
from ledger.coverage import Reach
from ledger.errors import Conflict, Invalid, Missing, ProofFailed
from ledger.parties import Actor, Party, may
from ledger.periods import Period
from ledger.proof.bundle import row_hash
from ledger.proof.encoding import canonical, digest_bytes, digest_text
from ledger.proof.merkle import inclusion_proof
from ledger.schemes import Scheme
from ledger.settlements import Settlement
from ledger.statements import (
    COUNTED_DAYS,
    STANDS,
    Statement,
    assigned,
    chain_key,
    content,
    line_root,
    previous,
    reach_of,
    require_decider,
    require_finished,
    require_maker,
)
from ledger.states import move
from ledger.store import lock, new_id, next_number
from ledger.trading import Payment
from valuation import flows, sharing
from valuation import schemes as scheme_language
from valuation.money import yuan


def draft(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, from_on: date,
    until_on: date, facts: Mapping[str, Any],
) -> Statement:  # fmt: skip
    """Draft the statement of a period, which is closed by it if it is not yet, by the scheme in force.

    The same period drafted again with the same facts is the same statement; an overlapping one, or one
    over a period not yet ended, is refused.
    """
    may(actor, "statement.draft")
    lock(session, agreement)
    first, final = from_on.isoformat(), until_on.isoformat()
    last = previous(session, agreement)
    if last is not None and (last.from_on, last.until_on) == (first, final):
        if last.facts != dict(facts):
            raise Conflict(
                "Statement {number} covers this period with other facts: correct it, or have it "
                "rejected and draft anew.",
                number=last.number,
            )
        return last
    require_finished(session, agreement)
    if last is not None and first <= last.until_on:
        raise Conflict(
            "Statement {number} already covers {start} to {end}.",
            number=last.number, start=last.from_on, end=last.until_on,
        )  # fmt: skip
    scheme = _edition(session, agreement, last, from_on, until_on)
    period = periods.close(session, actor, now, agreement, from_on=from_on, until_on=until_on)
    year = local_date(now).year
    statement = Statement(
        id=new_id(), number=f"FP{year}-{next_number(session, f'FP{year}'):04d}",
        agreement_id=agreement.id, from_on=first, until_on=final, payment_ids=[],
        maker_id=actor.member_id, checker_id=None, approval={}, chain_version=0,
        approvals_required=None, approvals=[], reverses=None, sent_back=0,
        state=move("statement", "draft", None),
        **_computed(session, agreement, scheme, period, last, facts),
    )  # fmt: skip
    statement.digest = digest_text(canonical(content(statement)))
    log.append(session, statement, "statement.drafted", actor.member_id)
    session.flush()
    return statement


def correct(
    session: Session, actor: Actor, now: datetime, statement: Statement, facts: Mapping[str, Any],
    reason: str,
) -> None:  # fmt: skip
    """Replace the facts of a draft, or of a statement that was sent back, and compute it anew.

    It keeps its number and is a new version of itself, a draft again; the ground is told in its record.
    """
    require_maker(session, actor, statement, "correct")
    require_ground(reason)
    agreement = session.get_one(Agreement, statement.agreement_id)
    lock(session, agreement)
    state = move("statement", "correct", statement.state)
    if statement.reverses is not None:
        raise Conflict(
            "Statement {number} takes another one back as it is: there is nothing to correct.",
            number=statement.number,
        )
    if statement.period_id is None:
        raise Conflict(
            "Statement {number} is of before periods were closed: have it rejected and draft anew.",
            number=statement.number,
        )
    if statement.state == "rejected":
        require_finished(session, agreement)
        statement.sent_back = (statement.sent_back or 0) + 1
    elif statement.facts == dict(facts):
        return
    before = previous(session, agreement, but=statement)
    if before is not None and before.until_on >= statement.from_on:
        raise Conflict(
            "Statement {number} already covers {start} to {end}.",
            number=before.number, start=before.from_on, end=before.until_on,
        )  # fmt: skip
    first, final = (date.fromisoformat(day) for day in (statement.from_on, statement.until_on))
    scheme = _edition(session, agreement, before, first, final)
    period = session.get_one(Period, statement.period_id)
    if period.state != "closed":  # reopened meanwhile; else later ones may be closed by now
        period = periods.close(session, actor, now, agreement, from_on=first, until_on=final)
    computed = _computed(session, agreement, scheme, period, before, facts)
    for name, value in computed.items():
        setattr(statement, name, value)
    statement.digest = digest_text(canonical(content(statement)))
    statement.state, statement.checker_id, statement.chain_version = state, None, 0
    statement.approvals_required, statement.approvals = None, []
    log.append(session, statement, "statement.corrected", actor.member_id, reason=reason.strip())
    session.flush()


def _edition(
    session: Session, agreement: Agreement, before: Statement | None, from_on: date, until_on: date
) -> Scheme:
    """The edition that shares a period, and what is left of days before it; Conflict where it is not one.

    What came to nothing or less of earlier days may wait for a later edition, since nothing is shared.
    """
    scheme = schemes.one_for(session, agreement, from_on, until_on)
    left = (
        Settlement.day > reach_of(session, before).until_on,
        Settlement.day < from_on.isoformat(),
    )
    if settlements.total(session, agreement.id, *left) <= 0:
        return scheme
    days = select(Settlement.day).where(Settlement.agreement_id == agreement.id, *left).distinct()
    for day in session.scalars(days.order_by(Settlement.day)).all():
        bound = schemes.bound_on(session, agreement, date.fromisoformat(day))
        if bound is not None and bound.id != scheme.id:
            raise Conflict(
                "What was received on {day} is not distributed yet, and edition {before} of the scheme "
                "shares it, not edition {edition}: draft the statement of those days first.",
                before=bound.edition, day=day, edition=scheme.edition,
            )  # fmt: skip
    return scheme


def _computed(
    session: Session, agreement: Agreement, scheme: Scheme, period: Period,
    before: Statement | None, facts: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """What is computed of a statement, by column: its coverage in a few sums, its lines, new salts."""
    after, reach = reach_of(session, before), Reach(period.through_n, period.until_on)
    found = coverage.covered(session, agreement.id, after, reach)
    if not found.count:
        raise Missing(
            "Nothing was received up to {end} that is not distributed yet.", end=period.until_on
        )
    if found.amount_fen <= 0:
        raise Conflict(
            "Up to {end} nothing is left to distribute: {own} yuan of the period and {late} yuan of "
            "late trades and refunds. They go into the statement of the next period: close this one "
            "without a statement.",
            end=period.until_on, own=yuan(found.own.net_fen), late=yuan(found.late.net_fen),
        )  # fmt: skip
    carried = dict(before.deficits_after) if before else {}
    outcome = sharing.share(scheme.document, found.amount_fen, facts, carried)
    lines = _lines(outcome)
    if sum(line["amount_fen"] for line in lines) != found.amount_fen:
        raise AssertionError("the lines do not sum to the amount")
    salts = [secrets.token_hex(16) for _ in lines]
    return {
        "amount_fen": found.amount_fen,
        "covers": {
            "after": {
                "statement": before.number if before else None, "through_n": after.through_n,
                "until_on": after.until_on,
            },
            "late": found.late.to_dict(), "own": found.own.to_dict(), "period": period.number,
            "through_n": period.through_n,
        },
        "deficits_after": _deficits(outcome), "deficits_before": carried,
        "derivation": outcome.derivation.to_dict(), "facts": dict(facts),
        "late_fen": found.late.net_fen, "line_root": line_root(lines, salts).hex(),
        "line_salts": salts, "lines": lines, "own_fen": found.own.net_fen, "period_id": period.id,
        "salt": secrets.token_hex(16), "scheme_id": scheme.id, "through_n": period.through_n,
        "trade_count": found.count,
    }  # fmt: skip


def try_scheme(
    session: Session, actor: Actor, agreement: Agreement, document: Mapping[str, Any], *,
    amount_fen: int | None = None, facts: Mapping[str, Any],
) -> flows.Trial:  # fmt: skip
    """A scheme tried on the last statement's amount and facts, beside the scheme it was drafted by.

    An amount or a fact that is given goes before the last statement's, for both schemes; facts that
    neither states are asked for. Nothing is kept, and the parties need not be known here yet.
    """
    may(actor, "scheme.read", agreements.owners(agreement), f"Agreement {agreement.number}")
    known = scheme_language.check(dict(document))
    last = previous(session, agreement)
    if amount_fen is None and last is None:
        raise Missing(
            "Agreement {number} has no statement yet: say which amount to try.",
            number=agreement.number,
        )
    before = last.facts if last else {}
    stated = flows.facts_for(known, before, facts)
    carried = last.deficits_before if last else {}
    amount = last.amount_fen if last and amount_fen is None else amount_fen
    assert amount is not None
    in_force = None
    if last is not None:
        scheme = session.get_one(Scheme, last.scheme_id)
        of_last = {**before, **{name: value for name, value in facts.items() if name in before}}
        in_force = sharing.share(scheme.document, amount, of_last, carried)
    return flows.try_out(known, amount, stated, carried, in_force)


def propose(
    session: Session, actor: Actor, now: datetime, statement: Statement, origin: str
) -> None:
    """The maker puts his statement before the checkers; its digest goes to the chain."""
    require_maker(session, actor, statement, "propose")
    statement.state = move("statement", "propose", statement.state)
    statement.approvals_required = signatures_due(session, statement, now)
    statement.chain_version = 1
    log.append(session, statement, "statement.proposed", actor.member_id)
    reversed_key = bytes(32)
    if statement.reverses is not None:
        reversed_key = chain_key(origin, session.get_one(Statement, statement.reverses))
    key = chain_key(origin, statement)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="propose",
        arguments=[
            "0x" + key.hex(), "0x" + digest_bytes(statement.digest).hex(),
            "0x" + statement.line_root, statement.approvals_required, "0x" + reversed_key.hex(), 0,
            outbox.REASON,
        ],
        key=key, expected_version=0, subject_id=statement.id, subject_version=statement.version,
    )  # fmt: skip


def signatures_due(session: Session, statement: Statement, now: datetime) -> int:
    """How many checkers must sign: two above the lowest amount that the house had set lately, else one.

    What stands of the same agreement and ended within the days before counts along, so that short periods
    spare no signature; a reversal needs as many as what it takes back would.
    """
    fen = statement.amount_fen + _recent_fen(session, statement)
    return 1 + (fen > 100 * settings.lowest(session, "third_approval_yuan", now))


def _recent_fen(session: Session, statement: Statement) -> int:
    """What other statements distribute whose periods ended in the days up to the end of this one."""
    since = date.fromisoformat(statement.until_on) - timedelta(days=COUNTED_DAYS)
    found = session.scalar(
        select(func.sum(Statement.amount_fen)).where(
            Statement.agreement_id == statement.agreement_id, STANDS,
            Statement.until_on > since.isoformat(), Statement.until_on <= statement.until_on,
            Statement.id.not_in([statement.id, statement.reverses or ""]),
        )
    )  # fmt: skip
    return int(found or 0)


def reject(
    session: Session, actor: Actor, now: datetime, statement: Statement, reason: str, origin: str
) -> None:
    """A checker sends the statement back: it is corrected by its maker, or the period drafted anew."""
    require_decider(session, actor, statement, "reject")
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    statement.state = move("statement", "reject", statement.state)
    statement.checker_id = actor.member_id
    log.append(session, statement, "statement.rejected", actor.member_id, reason=reason)
    reversals.release(session, statement, actor.member_id)
    key = chain_key(origin, statement)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="withdraw",
        arguments=["0x" + key.hex(), statement.chain_version, outbox.REASON], key=key,
        expected_version=statement.chain_version, subject_id=statement.id,
        subject_version=statement.version,
    )  # fmt: skip


def effective(session: Session) -> list[tuple[Statement, outbox.Act]]:
    """The approved statements whose approval is final on chain, with its act: to be booked."""
    found = session.execute(
        select(Statement, outbox.Act)
        .join(
            outbox.Act,
            and_(
                outbox.Act.subject_id == Statement.id,
                outbox.Act.subject_version == Statement.version,
            ),
        )
        .where(
            Statement.state == "approved", outbox.Act.state == "effective",
            outbox.Act.confirmed_at.is_not(None),
        )
        .order_by(Statement.id)
    )  # fmt: skip
    return [(statement, act) for statement, act in found]


def unbooked(session: Session) -> list[tuple[Statement, outbox.Act]]:
    """The statements that could not be booked the last time; their acts say why."""
    return [one for one in effective(session) if one[1].problem is not None]


def post(session: Session, now: datetime, actor_id: str, statement: Statement) -> None:
    """Book one of the `effective` statements, in a transaction of its own: another's refusal is not its.

    The agreement is locked first, then the books.
    """
    lock(session, session.get_one(Agreement, statement.agreement_id))
    session.refresh(statement)
    state = move("statement", "post", statement.state)
    act = outbox.act_of(session, statement.id, statement.version)
    assert act is not None, statement.number
    if act.problem is not None and act.problem["template"] != outbox.UNDONE:
        act.problem = None
    on = periods.open_day(session, statement.agreement_id, local_date(now).isoformat())
    term = f"{statement.from_on} 至 {statement.until_on}"
    if statement.reverses is None:
        books.post(
            session, actor_id, now, cause=statement, book_id=statement.agreement_id,
            effective_on=on, memo=f"收益分配 {statement.number}（{term}）",
            lines=booked(session, statement),
        )  # fmt: skip
    else:
        reversals.undo(session, now, actor_id, statement, on, term)
    statement.state = state
    log.append(session, statement, "statement.posted", actor_id)


def booked(session: Session, statement: Statement) -> list[dict[str, Any]]:
    """Debit what was to be distributed, credit each payee; what goes to public bodies is the treasury's."""
    kinds = dict(
        session.execute(
            select(Party.uscc, Party.kind).where(
                Party.uscc.in_({line["party"] for line in statement.lines})
            )
        ).all()
    )
    shares = [
        {
            "account": books.TREASURY if kinds[line["party"]] == "public_body" else books.PAYABLE,
            "credit_fen": line["amount_fen"], "debit_fen": 0, "party_id": line["party"],
        }
        for line in statement.lines if line["amount_fen"]
    ]  # fmt: skip
    return [
        {
            "account": books.UNDISTRIBUTED, "credit_fen": 0, "debit_fen": statement.amount_fen,
            "party_id": None,
        },
        *shares,
    ]  # fmt: skip


def line_proofs(statement: Statement, party: str) -> list[dict[str, Any]]:
    """A payee's own lines, each with its salt and its way to the root; they reveal no other's."""
    pairs = list(zip(statement.lines, statement.line_salts, strict=True))
    hashes = [row_hash(bytes.fromhex(salt), line) for line, salt in pairs]
    proofs = [
        {
            "inclusion": [h.hex() for h in inclusion_proof(hashes, index, len(hashes))],
            "index": index,
            "line": line,
            "salt": salt,
        }
        for index, (line, salt) in enumerate(pairs)
        if line["party"] == party
    ]
    if not proofs:
        raise Missing("Statement {number} has no line for that party.", number=statement.number)
    return proofs


def line_facts(
    statement: Statement, party: str, origin: str, deployment: outbox.Deployment
) -> dict[str, Any]:
    """What the proof of a payee's lines says (`ledger.proof.line`), before the registry signs it.

    Of a reversal there is none: it has the lines of what it takes back, and gives nobody anything.
    """
    if statement.reverses is not None:
        raise Conflict(
            "Statement {number} takes another one back: nobody is due anything by it.",
            number=statement.number,
        )
    return {
        "chain": {
            "chain_id": deployment.chain_id,
            "genesis": deployment.genesis,
            "revenue_book": deployment.contracts["RevenueBook"].lower(),
        },
        "digest": statement.digest,
        "key": "0x" + chain_key(origin, statement).hex(),
        "line_count": len(statement.lines),
        "line_root": statement.line_root,
        "lines": line_proofs(statement, party),
        "log": origin,
        "statement": statement.number,
    }


def _lines(outcome: sharing.Distribution) -> list[dict[str, Any]]:
    """The lines as recorded; their steps tell the whole trail and stand in the derivation, not here."""
    return [
        {name: value for name, value in line.to_dict().items() if name != "steps"}
        for line in outcome.lines
    ]


def _deficits(outcome: sharing.Distribution) -> dict[str, str]:
    return {party: str(value) for party, value in sorted(outcome.deficits_after.items())}


def undistributed(session: Session, agreement: Agreement) -> coverage.Covered:
    """What no statement that stands covers yet, by a few sums."""
    return coverage.undistributed(
        session, agreement.id, reach_of(session, previous(session, agreement))
    )


def waiting_period(session: Session, agreement: Agreement) -> Period | None:
    """The last closed period, where no statement covers it and there is something in it to distribute."""
    last, period = previous(session, agreement), periods.last(session, agreement)
    if period is None or (last is not None and period.until_on <= last.until_on):
        return None
    reach = Reach(period.through_n, period.until_on)
    found = coverage.covered(session, agreement.id, reach_of(session, last), reach)
    return period if found.amount_fen > 0 else None


def statement_of(session: Session, settlement: Settlement) -> Statement | None:
    """The statement that distributes a settlement: the first whose region holds it, or None."""
    noted = select(Statement).join(Payment, Payment.statement_id == Statement.id)
    found = session.scalars(noted.where(Payment.id == settlement.source_id)).first()
    return found or session.scalars(
        select(Statement)
        .where(
            Statement.agreement_id == settlement.agreement_id, STANDS,
            Statement.through_n >= settlement.n, Statement.until_on >= settlement.day,
        )
        .order_by(Statement.until_on)
        .limit(1)
    ).first()  # fmt: skip


def is_waiting() -> ColumnElement[bool]:
    """Whether an agreement has a settlement that no standing statement covers: two looks at an index."""
    mine = (Statement.agreement_id == Agreement.id, STANDS)
    until, through = (
        select(func.max(column)).where(*mine).correlate(Agreement).scalar_subquery()
        for column in (Statement.until_on, Statement.through_n)
    )
    beyond = (
        Settlement.n > func.coalesce(through, assigned(Agreement.id), 0),
        Settlement.day > func.coalesce(until, ""),
    )
    return or_(*(exists().where(Settlement.agreement_id == Agreement.id, one) for one in beyond))


def corrections(session: Session, statement: Statement) -> list[dict[str, Any]]:
    """What each correction changed, from the records: at, reason, facts and amount before and after."""
    told, before = [], dict[str, Any]()
    for record in log.history(session, statement.id):
        payload = log.payload_of(record)
        body = payload["body"]
        if record.kind == "statement.corrected":
            names = sorted({*before["facts"], *body["facts"]})
            told.append({
                "amount_fen": [before["amount_fen"], body["amount_fen"]],
                "at": payload["at"],
                "facts": {
                    name: [before["facts"].get(name), body["facts"].get(name)]
                    for name in names if before["facts"].get(name) != body["facts"].get(name)
                },
                "reason": payload["reason"],
            })  # fmt: skip
        before = body
    return told


def recompute(statement: Statement, scheme: Scheme) -> sharing.Distribution:
    """The distribution once more from what is recorded; raises ProofFailed where a part differs."""
    before, after = statement.deficits_before, statement.deficits_after
    if statement.reverses is not None:  # it takes back what led from the one to the other
        before, after = after, before
    again = sharing.share(scheme.document, statement.amount_fen, statement.facts, before)
    for part, known, given in (
        ("lines", statement.lines, _lines(again)),
        ("derivation", statement.derivation, again.derivation.to_dict()),
        ("deficits_after", after, _deficits(again)),
    ):
        if known != given:
            raise ProofFailed(
                "Statement {number} does not recompute: {part} differs.", number=statement.number,
                part=part,
            )  # fmt: skip
    return again
