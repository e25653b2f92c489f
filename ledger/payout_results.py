"""What the bank says of payments (付款结果) is booked: paid, failed, paid and come back (退汇).

    成功    Dr 2203.<party>  Cr 1002      also of a payment that was given up as failed or by a closing
    失败    its hold is let go            it is due again
    退汇    the entry of it is reversed   it is due again, to an account that is confirmed anew

One debit of the bank may pay several lines of one payout under one reference (批量代付): its file tells
the debit's sum, and the lines under that reference come to it.

A payment that was given up and was made after all may have been made twice by then: what is paid beyond
what is owed is told; it stands below nought on the payee's account (a buyer's as receivable) until it is
asked back.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import books, holds, log, periods, reversals, statements
from ledger.bank_files import Result, refuse, row_fault
from ledger.books import BANK, DUE, REFUNDS, BookAccount
from ledger.calendar import local_date
from ledger.errors import Faults
from ledger.holds import Hold
from ledger.parties import Actor, may
from ledger.payout_rows import GIVEN, Payout, PayoutLine, lines_of
from ledger.payouts import drop
from ledger.statements import Statement
from ledger.states import move
from ledger.store import lock
from valuation.money import yuan

OPEN = ("approved", "partly_paid")  # payouts of which the bank has not answered all


def confirm(
    session: Session, actor: Actor, now: datetime, payout: Payout, results: Sequence[Result], *,
    name: str, digest: str, faults: Faults | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Book what the bank paid or returned, let go of what it did not pay; the same file, the same answer.

    A file may answer some of the lines. Raises Invalid naming every row that does not fit, with the faults
    found as it was read; then nothing is done. Returns the counts and sums of the file, and under `twice`
    what was paid beyond what is owed.
    """
    may(actor, "payout.confirm")
    lock(session, payout)
    session.refresh(payout)
    known = next((one for one in payout.results if one["digest"] == digest), None)
    if known is not None:
        return dict(known)
    books.begin(session)
    lines = {line.serial: line for line in lines_of(session, payout)}
    new = fresh(session, now, payout, results, name=name, digest=digest, faults=faults)
    debits = {
        line.bank_reference: line.debit_id
        for line in lines.values() if line.bank_reference and line.debit_id
    }  # fmt: skip
    twice = []
    for one in new:
        line = lines[one.serial]
        if one.returned and line.state == "paid":
            _give_back(session, actor, now, payout, line, one)
        elif not one.paid:
            drop(session, actor, now, line, "fail", one.reason)
        elif too_much := _pay(session, actor, now, payout, line, one, debits):
            twice.append({"fen": too_much, "party": line.party, "serial": one.serial})
    done = {"digest": digest, "name": name, "twice": twice, **sums(new)}
    payout.results = [*payout.results, done]
    states = {line.state for line in lines.values()}
    if new or payout.state in OPEN:
        payout.state = move("payout", _verb(payout, states), payout.state)
    log.append(session, payout, "payout.confirmed", actor.member_id)
    session.flush()
    return done


def sums(fresh: Sequence[Result]) -> dict[str, int]:
    """How many results there are of each kind, and what they come to."""
    sides = {
        "failed": [one for one in fresh if not one.paid and not one.returned],
        "paid": [one for one in fresh if one.paid],
        "returned": [one for one in fresh if one.returned],
    }
    return {f"{side}_count": len(of) for side, of in sides.items()} | {
        f"{side}_fen": sum(one.amount_fen for one in of) for side, of in sides.items()
    }


def _verb(payout: Payout, states: set[str]) -> str:
    if "held" in states:
        return "confirm"
    if states == {"paid"}:
        return "pay"
    return "close" if payout.state in OPEN else "amend"


def _pay(
    session: Session, actor: Actor, now: datetime, payout: Payout, line: PayoutLine, result: Result,
    debits: dict[str, str],
) -> int:  # fmt: skip
    """Book a payment; returns what of it is more than is owed, where nothing was held for it any more.

    `debits` is which line leads under each of the bank's references, and is added to.
    """
    held, too_much = session.get_one(Hold, line.hold_id), 0
    how = {
        "effective_on": periods.open_day(session, payout.agreement_id, result.day),
        "memo": f"付款 {line.serial} {result.reference}",
    }
    if held.state == "pending":
        holds.post_hold(session, actor.member_id, now, held, **how)
    else:
        owed, _ = _stands(session, payout, line.account, line.party)
        too_much = line.amount_fen - min(line.amount_fen, max(0, owed))
        elsewhere = too_much if line.account == REFUNDS else 0
        sides = ((line.account, line.amount_fen - elsewhere), (DUE, elsewhere))
        held = holds.book_at_once(
            session, actor.member_id, now, cause=payout, key=f"{line.n} again",
            book_id=payout.agreement_id, **how,
            lines=[
                *({"account": account, "credit_fen": 0, "debit_fen": fen, "party_id": line.party}
                  for account, fen in sides if fen),
                {"account": BANK, "credit_fen": line.amount_fen, "debit_fen": 0, "party_id": None},
            ],
        )  # fmt: skip
        line.hold_id = held.id
    line.state, line.reason = move("payout_line", "pay", line.state), None
    line.paid_on, line.bank_reference = result.day, result.reference
    line.debit_id = debits.setdefault(result.reference, line.id)
    log.append(session, line, "payout_line.paid", actor.member_id)
    session.flush()  # the line that leads a debit is there before those that refer to it
    return too_much


def _give_back(
    session: Session, actor: Actor, now: datetime, payout: Payout, line: PayoutLine, result: Result
) -> None:
    """Reverse the entry of a payment that came back: its amount is owed again."""
    held = session.get_one(Hold, line.hold_id)
    entry = books.entry_of(session, held.id)
    assert entry is not None, line.serial
    books.reverse(
        session, actor.member_id, now, entry, cause=held, memo=f"退汇 {line.serial} {result.reference}",
        effective_on=periods.open_day(session, payout.agreement_id, result.day),
    )  # fmt: skip
    line.state = move("payout_line", "return", line.state)
    line.returned_on, line.return_reference = result.day, result.reference
    line.reason = result.reason
    log.append(session, line, "payout_line.returned", actor.member_id, reason=result.reason)


def _stands(session: Session, payout: Payout, account: str, party: str = "") -> tuple[int, int]:
    """What stands on an account of the payout's book, and what of it is held."""
    found = session.execute(
        select(BookAccount.posted_fen, BookAccount.held_fen).where(
            BookAccount.book == payout.agreement_id, BookAccount.account == account,
            BookAccount.party == party,
        )
    ).first()  # fmt: skip
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


# ---------------------------------------------------------------- what does not fit


def fresh(
    session: Session, now: datetime, payout: Payout, results: Sequence[Result], *, name: str,
    digest: str, faults: Faults | None = None,
) -> list[Result]:  # fmt: skip
    """The results that are new, payments before returns; those known are passed over.

    Raises Invalid with every fault, those of the file (`faults`) first. Of a row that is unclear only what
    could be read is judged, and sums of debits only where every row is clear.
    """
    if any(one["digest"] == digest for one in payout.results):
        return []
    if payout.state not in GIVEN:
        move("payout", "confirm", payout.state)
    lines = {line.serial: line for line in lines_of(session, payout)}
    told, faults, new = faults or Faults(), Faults(), list[Result]()
    today = local_date(now).isoformat()
    since = next(
        local_date(one.at).isoformat()
        for one in log.history(session, payout.id)
        if one.kind == "payout.approved"
    )
    paid_on = {serial: line.paid_on for serial, line in lines.items() if line.state == "paid"}
    for one in sorted(results, key=lambda one: one.returned):
        line = lines.get(one.serial)
        if line is None:
            if one.serial:
                _name_stranger(session, faults, one)
            continue
        if one.amount_fen not in (0, line.amount_fen):
            row_fault(
                "row {row}: {serial} is {given} yuan, {known} yuan were to be paid", faults, one.row,
                serial=one.serial, given=yuan(one.amount_fen), known=yuan(line.amount_fen),
            )  # fmt: skip
        comes_back = one.returned and one.serial in paid_on
        if (one.paid or comes_back) and one.day > today:
            row_fault("row {row}: the day {day} lies in the future", faults, one.row, day=one.day)
        elif one.paid and "" < one.day < since:
            row_fault(
                "row {row}: the day {day} lies before the approval on {since}", faults, one.row,
                day=one.day, since=since,
            )  # fmt: skip
        if one.unclear:
            continue
        if comes_back:
            _name_return(faults, one, str(paid_on[one.serial]))
            new.append(one)
        elif line.state == "held" or (one.paid and line.state in ("failed", "cancelled")):
            if one.paid:
                paid_on[one.serial] = one.day
            new.append(one)
        elif not _says_the_same(line, one):
            row_fault(
                "row {row}: {serial} is {state} already, otherwise", faults, one.row,
                serial=one.serial, state=line.state,
            )  # fmt: skip
    _name_references(session, faults, lines, new, results, whole=not told)
    told.add(faults)
    if not told:
        _name_unheld(session, told, payout, lines, new)
    if not told and not results:
        told.name_fault("it holds no result")
    refuse(told, name)
    return new


def _name_stranger(session: Session, faults: Faults, one: Result) -> None:
    other = session.scalar(
        select(Payout.number)
        .join(PayoutLine, PayoutLine.payout_id == Payout.id)
        .where(PayoutLine.serial == one.serial)
    )
    if other is None:
        row_fault("row {row}: {serial} is no payment of ours", faults, one.row, serial=one.serial)
    else:
        row_fault(
            "row {row}: {serial} belongs to payout {number}", faults, one.row, serial=one.serial,
            number=other,
        )  # fmt: skip


def _name_return(faults: Faults, one: Result, paid_on: str) -> None:
    if not one.day or not one.reference:
        row_fault(
            "row {row}: a payment that came back names its day and the bank's reference",
            faults,
            one.row,
        )
    elif one.day < paid_on:
        row_fault(
            "row {row}: the day {day} lies before the payment on {since}", faults, one.row,
            day=one.day, since=paid_on,
        )  # fmt: skip


def _name_references(
    session: Session, faults: Faults, lines: dict[str, PayoutLine], fresh: Iterable[Result],
    results: Sequence[Result], *, whole: bool,
) -> None:  # fmt: skip
    """Each reference that is new for a payment and another's already, or one debit's of another sum.

    Of a file that is not read whole, the debits are not judged.
    """
    sharing = defaultdict[str, list[Result]](list)
    for one in fresh:
        if one.paid:
            sharing[one.reference].append(one)
    told = defaultdict[str, list[Result]](list)
    for one in results:
        if one.paid and one.reference in sharing:
            told[one.reference].append(one)
    for reference, before in _taken(session, list(sharing)).items():
        strangers = [one for one in before if one.serial not in lines]
        for row in sharing.pop(reference) if strangers else ():
            row_fault(
                "row {row}: the reference {reference} was payment {serial}", faults, row.row,
                reference=reference, serial=strangers[0].serial,
            )  # fmt: skip
    paid = defaultdict[str | None, list[PayoutLine]](list)
    for line in lines.values():
        paid[line.bank_reference].append(line)
    for reference, new in sharing.items() if whole else ():
        _name_debit(faults, told[reference], new, paid[reference])


def _name_debit(
    faults: Faults, told: list[Result], new: list[Result], before: list[PayoutLine]
) -> None:
    """What in the rows of one reference is not one debit, together with the lines it paid before."""
    reference, new_rows = new[0].reference, {one.row for one in new}
    first = next((one for one in told if one.debit_fen is not None), told[0])
    day = before[0].paid_on if before else first.day
    for one in told:
        if one.debit_fen is None and before and one.row in new_rows:
            row_fault(
                "row {row}: the reference {reference} was payment {serial}; if one debit paid both, tell "
                "its sum in each row (批次金额)",
                faults, one.row, reference=reference, serial=before[0].serial,
            )  # fmt: skip
        elif one.debit_fen is None and one is not first:
            row_fault(
                "row {row}: the reference {reference} stands already in row {first}; if one debit paid "
                "both, tell its sum in each row (批次金额)",
                faults, one.row, reference=reference, first=first.row,
            )  # fmt: skip
        elif one.debit_fen != first.debit_fen:
            row_fault(
                "row {row}: the debit {reference} is of {given} yuan, in row {first} of {known} yuan",
                faults, one.row, reference=reference, given=yuan(one.debit_fen or 0), first=first.row,
                known=yuan(first.debit_fen or 0),
            )  # fmt: skip
        if one.row in new_rows and one.day and one.day != day:
            row_fault(
                "row {row}: the debit {reference} is of {given}, before of {known}", faults, one.row,
                reference=reference, given=one.day, known=day or "",
            )  # fmt: skip
    paid = sum(one.amount_fen for one in new) + sum(line.amount_fen for line in before)
    if first.debit_fen is not None and first.debit_fen != paid:
        row_fault(
            "row {row}: the debit {reference} is of {debit} yuan, and the payments under it come to {paid} "
            "yuan; of those that came back tell both the payment and its return",
            faults, first.row, reference=reference, debit=yuan(first.debit_fen), paid=yuan(paid),
        )  # fmt: skip


def _name_unheld(
    session: Session, faults: Faults, payout: Payout, lines: dict[str, PayoutLine],
    fresh: Sequence[Result],
) -> None:  # fmt: skip
    """What was paid though nothing is held for it any more, and cannot be booked before something else."""
    need, taken = 0, defaultdict[books.Key, int](int)
    for one in fresh:
        line = lines[one.serial]
        if not one.paid or session.get_one(Hold, line.hold_id).state == "pending":
            continue
        need += line.amount_fen
        taken[line.account, line.party] += line.amount_fen
        owed, aside = _stands(session, payout, line.account, line.party)
        if aside and owed - aside < line.amount_fen:
            row_fault(
                "row {row}: {serial} was given up, and the money is set aside for {others} as well: cancel "
                "what is only prepared, stop at the bank what is with it and import its result, and then "
                "import this file again",
                faults, one.row, serial=one.serial, others=", ".join(_holding(session, payout, line)),
            )  # fmt: skip
    there, aside = _stands(session, payout, BANK)
    if need > there - aside:
        faults.name_fault(
            "on {account} stand {there} yuan, {aside} yuan of them set aside for other payments, and "
            "{need} yuan were paid for which nothing is set aside any more: first enter what came in at "
            "the bank and is not booked, or a journal of {missing} yuan to {account}, or cancel payouts "
            "that are only prepared",
            account=BANK, there=yuan(there), aside=yuan(aside), need=yuan(need),
            missing=yuan(need - there + aside),
        )  # fmt: skip
    undoing = statements.reversal_under_way(session, payout.agreement_id)
    if taken and undoing is not None and undoing.state == "approved":
        original = session.get_one(Statement, undoing.reverses)
        if kept := reversals.kept_by_limits(session, original, taken):
            faults.name_fault(
                "reversal {number} is signed and could not be booked after these payments: {faults}; "
                "the finance department lifts the limit first, by two persons, and then imports this file "
                "again",
                faults=kept, number=undoing.number,
            )  # fmt: skip


def _holding(session: Session, payout: Payout, line: PayoutLine) -> list[str]:
    """Which other payments hold what is owed to the payee of a payment."""
    found = session.scalars(
        select(PayoutLine.serial)
        .join(Payout, Payout.id == PayoutLine.payout_id)
        .where(
            Payout.agreement_id == payout.agreement_id, PayoutLine.account == line.account,
            PayoutLine.party == line.party, PayoutLine.state == "held",
        )
        .order_by(PayoutLine.serial)
    )  # fmt: skip
    return list(found)


def _says_the_same(line: PayoutLine, result: Result) -> bool:
    if result.paid:
        return line.state in ("paid", "came_back") and (line.paid_on, line.bank_reference) == (
            result.day,
            result.reference,
        )
    if result.returned and line.state == "came_back":
        return (line.returned_on, line.return_reference) == (result.day, result.reference)
    return line.state == "cancelled" or (line.state, line.reason) == ("failed", result.reason)


def _taken(session: Session, references: Sequence[str]) -> dict[str, list[PayoutLine]]:
    """Which payments have each of these references already."""
    found = defaultdict[str, list[PayoutLine]](list)
    for start in range(0, len(references), 500):
        wanted = select(PayoutLine).where(
            PayoutLine.bank_reference.in_(references[start : start + 500])
        )
        for line in session.scalars(wanted.order_by(PayoutLine.serial)):
            found[str(line.bank_reference)].append(line)
    return found
