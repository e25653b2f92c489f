"""Journal vouchers (记账凭证): what finance books by hand, by two people, between a few accounts only.

    proposed → approved      by another person: the entry is made
             → rejected | withdrawn

What is received, shared out, refunded or paid is booked by its own deeds; `PAIRS` are all that is left to
be chosen by hand. The lines of an opening (期初入账) follow from the ledger alone, and it comes once per
book: payments recorded before there were books, and what public bodies were owed before 2204 was there.

    opening     Dr 1002 gross   Cr 2202 net   Cr 2221 VAT
                Dr 2203.<public body>         Cr 2204.<public body>

A payee that was split and ended is owed what its successors may claim together (连带债权, 民法典 67) unless
they and the debtor agreed who gets what: such a document divides the claim (分立债权划分), to the fen,
within one account of one book. What was divided is taken back (撤回划分) by an entry linked to the first.

    division    Dr 2203.<split>   Cr 2203.<successor> …          so too 2204, 2241
    undoing     Dr 2203.<successor> …   Cr 2203.<split>
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, exists, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, payout_dues, periods, statements
from ledger.agreements import Agreement, require_ground
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing, NotAllowed
from ledger.parties import Actor, Party, may, merged_into, require_other
from ledger.settlements import Settlement
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.successions import Succession
from ledger.trading import Payment
from valuation.money import yuan

# Debit → credit: bank fees, interest received, tax paid to the tax office, tax paid back by it.
DIVIDED = payout_dues.OWED
PAIRS = ((books.FEES, books.BANK), (books.BANK, books.FEES), (books.VAT, books.BANK),
         (books.BANK, books.VAT))  # fmt: skip


class Journal(Evidence):
    """A journal voucher of an agreement's book: one amount from one account to another."""

    __tablename__ = "journals"
    subject_type = "journal"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    """ "chosen" by hand from `PAIRS`, "opening", "division", or "undoing" of a division"""
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    effective_on: Mapped[str]
    memo: Mapped[str]
    debit: Mapped[str]
    credit: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    entry_id: Mapped[str | None] = mapped_column(String(36))
    lines: Mapped[list[Any] | None]
    """of a division and its undoing: those of the entry it makes"""
    document_digest: Mapped[str | None]
    """of the document that divides"""
    undoes: Mapped[str | None] = mapped_column(String(36))
    """the division that it takes back"""
    state: Mapped[str]


def propose(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, debit: str, credit: str,
    amount_fen: int, effective_on: date, memo: str,
) -> Journal:  # fmt: skip
    """Put a voucher before the checker; the same one, still undecided, again is the same voucher."""
    may(actor, "journal.propose")
    faults = Faults()
    if (debit, credit) not in PAIRS:
        faults.name_fault(
            "a journal does not book from {credit} to {debit}: only bank fees, interest and tax; all "
            "else is booked by its own deed", at="debit", credit=credit, debit=debit,
        )  # fmt: skip
    if type(amount_fen) is not int or not 0 < amount_fen <= books.LINE_FEN_MAX:
        faults.name_fault("the amount is above nought", at="amount_yuan")
    if not memo.strip():
        faults.name_fault("say what it is for", at="memo")
    if effective_on > local_date(now):
        faults.name_fault("{day} lies in the future", at="effective_on", day=str(effective_on))
    if faults:
        raise Invalid("The journal voucher breaks: {faults}.", faults=faults)
    lock(session, agreement)  # of two at once that propose the same, the later one sees it
    facts = {
        "agreement_id": agreement.id, "amount_fen": amount_fen, "credit": credit, "debit": debit,
        "effective_on": effective_on.isoformat(), "kind": "chosen", "memo": memo.strip(),
        "proposed_by": actor.member_id,
    }  # fmt: skip
    found = session.scalar(select(Journal).filter_by(**facts, state="proposed"))
    if found is not None:
        return found
    books.require_open(session, agreement.id, effective_on.isoformat())
    return _enter(session, actor, now, facts)


def propose_opening(session: Session, actor: Actor, now: datetime, agreement: Agreement) -> Journal:
    """Put before the checker what a book of before lacks; proposed or approved already, it is the same."""
    may(actor, "journal.propose")
    lock(session, agreement)
    found = opening_of(session, agreement)
    if found is not None:
        return found
    amount_fen, lines = opening_lines(session, agreement.id)
    if not lines:
        raise Invalid(
            "Nothing of agreement {number} is left out of its book.", number=agreement.number
        )
    today = local_date(now).isoformat()
    return _enter(session, actor, now, {
        "agreement_id": agreement.id, "amount_fen": amount_fen, "credit": books.UNDISTRIBUTED,
        "debit": books.BANK, "effective_on": periods.open_day(session, agreement.id, today),
        "kind": "opening", "memo": "期初入账", "proposed_by": actor.member_id,
    })  # fmt: skip


def opening_of(session: Session, agreement: Agreement) -> Journal | None:
    """The opening of a book, proposed or approved."""
    return session.scalar(
        select(Journal).where(
            Journal.agreement_id == agreement.id, Journal.kind == "opening",
            Journal.state.in_(("proposed", "approved")),
        )
    )  # fmt: skip


def lacks_opening(session: Session, agreement: Agreement) -> bool:
    """Whether a book lacks what an opening would enter, and nobody proposed one."""
    return opening_of(session, agreement) is None and bool(opening_lines(session, agreement.id)[1])


def opening_lines(session: Session, agreement_id: str) -> tuple[int, list[dict[str, Any]]]:
    """What was received and stands in no entry, gross, and the lines that an opening enters."""
    total = func.coalesce
    gross, vat, net = session.execute(
        select(
            total(func.sum(Settlement.amount_fen), 0), total(func.sum(Settlement.vat_fen), 0),
            total(func.sum(Settlement.net_fen), 0),
        )
        .join(Payment, Payment.id == Settlement.source_id)
        .where(
            Payment.n.is_(None), Settlement.day == Payment.received_on,
            Settlement.agreement_id == agreement_id, Settlement.kind == "payment",
            ~exists().where(books.Entry.cause_id == Payment.id),
        )
    ).one()  # fmt: skip
    lines = [
        _line(books.BANK, int(gross), 0), _line(books.UNDISTRIBUTED, 0, int(net)),
        _line(books.VAT, 0, int(vat)),
    ]  # fmt: skip
    public = session.execute(
        select(books.BookAccount.party, books.BookAccount.posted_fen)
        .join(Party, Party.uscc == books.BookAccount.party)
        .where(
            books.BookAccount.book == agreement_id, books.BookAccount.account == books.PAYABLE,
            books.BookAccount.posted_fen > 0, Party.kind == "public_body",
        )
        .order_by(books.BookAccount.party)
    )  # fmt: skip
    for party, fen in public.tuples():
        lines += [_line(books.PAYABLE, fen, 0, party), _line(books.TREASURY, 0, fen, party)]
    return int(gross), [one for one in lines if one["debit_fen"] or one["credit_fen"]]


# ---------------------------------------------------------------- divisions


def propose_division(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, account: str, party: str,
    amount_fen: int, shares: Sequence[Mapping[str, Any]], effective_on: date, memo: str,
    document_digest: str,
) -> Journal:  # fmt: skip
    """Put before the checker who gets what of a claim of a payee that was split and ended.

    `shares` are {"party", "amount_fen"}; they come to the amount, which is free: not held, not kept by a
    limit, not with the bank. Raises Invalid naming every fault; the same again is the same voucher.
    """
    may(actor, "journal.propose")
    lock(session, agreement)
    statements.require_no_reversal(session, agreement.id)
    faults = Faults()
    if account not in DIVIDED:
        faults.name_fault(
            "account {account} is not divided: only {accounts} are", at="account", account=account,
            accounts=", ".join(DIVIDED),
        )  # fmt: skip
    if not memo.strip():
        faults.name_fault("say on which document it rests", at="memo")
    if not document_digest:
        faults.name_fault("give the digest of the document that divides", at="document_digest")
    if effective_on > local_date(now):
        faults.name_fault("{day} lies in the future", at="effective_on", day=str(effective_on))
    split = _split(session, party)
    if split is None:
        faults.name_fault(
            "{party} was not split, or goes on: only the claim of a payee that ended by a split is divided",
            at="party", party=party,
        )  # fmt: skip
    else:
        made, heirs = split
        if effective_on.isoformat() < made.effective_on:
            faults.name_fault(
                "{day} lies before the split of {split}", at="effective_on", day=str(effective_on),
                split=made.effective_on,
            )  # fmt: skip
        _name_shares(faults, account, amount_fen, shares, heirs)
    if faults:
        raise Invalid("The division breaks: {faults}.", faults=faults)
    lines = [
        _line(account, amount_fen, 0, party),
        *(_line(account, 0, one["amount_fen"], one["party"]) for one in shares),
    ]
    facts = {
        "agreement_id": agreement.id, "amount_fen": amount_fen, "credit": account, "debit": account,
        "document_digest": document_digest, "effective_on": effective_on.isoformat(),
        "kind": "division", "lines": lines, "memo": memo.strip(), "proposed_by": actor.member_id,
    }  # fmt: skip
    for known in _waiting(session, facts):
        if known.lines == lines:
            return known
    books.require_open(session, agreement.id, effective_on.isoformat())
    _require_free(session, now, agreement.id, account, party, amount_fen)
    return _enter(session, actor, now, facts)


def propose_undoing(
    session: Session, actor: Actor, now: datetime, journal: Journal, reason: str
) -> Journal:
    """Put before the checker that a division is taken back: its successors' shares return whole.

    What one of them was paid already he then owes, as a payee whose statement was reversed does.
    """
    may(actor, "journal.propose")
    require_ground(reason)
    lock(session, session.get_one(Agreement, journal.agreement_id))
    session.refresh(journal)
    if not is_divided(session, journal):
        raise Conflict(
            "Journal {number} is no division that stands: there is nothing to take back.",
            number=journal.number,
        )
    facts = {
        "agreement_id": journal.agreement_id, "amount_fen": journal.amount_fen,
        "credit": journal.credit, "debit": journal.debit, "kind": "undoing", "memo": reason.strip(),
        "proposed_by": actor.member_id, "undoes": journal.id,
    }  # fmt: skip
    found = session.scalar(select(Journal).filter_by(undoes=journal.id, state="proposed"))
    if found is not None:
        if (found.memo, found.proposed_by) != (facts["memo"], actor.member_id):
            raise Conflict("Journal {number} waits to take it back already.", number=found.number)
        return found
    statements.require_no_reversal(session, journal.agreement_id)
    on = periods.open_day(session, journal.agreement_id, local_date(now).isoformat())
    lines = books.reversed_lines(journal.lines or ())
    return _enter(session, actor, now, {**facts, "effective_on": on, "lines": lines})


def divisions(session: Session, agreement_id: str, account: str, party: str) -> list[Journal]:
    """The divisions that stand of what a payee is owed in a book, the newest first."""
    undone = select(books.Entry.id).where(books.Entry.reverses == Journal.entry_id)
    found = session.scalars(
        select(Journal)
        .where(
            Journal.agreement_id == agreement_id, Journal.kind == "division",
            Journal.state == "approved", Journal.debit == account, ~undone.exists(),
        )
        .order_by(Journal.id.desc())
    )  # fmt: skip
    return [one for one in found if one.lines and one.lines[0]["party_id"] == party]


def is_divided(session: Session, journal: Journal) -> bool:
    """Whether a voucher is a division that was booked and stands."""
    if journal.kind != "division" or journal.state != "approved":
        return False
    entry = session.get_one(books.Entry, journal.entry_id)
    return books.linked(session, entry) is None


def divisible(session: Session, agreement: Agreement) -> bool:
    """Whether a book owes something to a payee that was split and ended."""
    owed = select(books.BookAccount.party).where(
        books.BookAccount.book == agreement.id, books.BookAccount.account.in_(DIVIDED),
        books.BookAccount.posted_fen > 0,
    )  # fmt: skip
    return any(_split(session, party) for party in session.scalars(owed.distinct()))


def _split(session: Session, party: str) -> tuple[Succession, dict[str, Party]] | None:
    """The split by which a payee, or what it was merged into, ended, and its successors by their codes."""
    found = session.scalar(select(Party).where(Party.uscc == party))
    if found is None or (ended := merged_into(session, found)).state != "split":
        return None
    made = session.scalars(
        select(Succession).where(Succession.party_id == ended.id, Succession.kind == "split")
        .order_by(Succession.id.desc()).limit(1)
    ).one()  # fmt: skip
    heirs = [session.get_one(Party, str(one)) for one in made.to_ids]
    return made, {heir.uscc: heir for heir in heirs}


def _name_shares(
    faults: Faults, account: str, amount_fen: int, shares: Sequence[Mapping[str, Any]],
    heirs: Mapping[str, Party],
) -> None:  # fmt: skip
    """Name every share that goes where it may not, or has no amount, and that they do not come to it."""
    seen: set[str] = set()
    for n, share in enumerate(shares):
        code, fen = share["party"], share["amount_fen"]
        if code not in heirs:
            faults.name_fault(
                "{party} is not among the successors: {heirs}", at=f"shares.{n}.party", party=code,
                heirs=", ".join(heirs),
            )  # fmt: skip
        elif code in seen:
            faults.name_fault("{party} has two shares", at=f"shares.{n}.party", party=code)
        elif account == books.TREASURY and heirs[code].kind != "public_body":
            faults.name_fault(
                "{party} is no public body, which alone account {account} is kept for",
                at=f"shares.{n}.party", account=account, party=code,
            )  # fmt: skip
        elif account == books.PAYABLE and heirs[code].kind == "public_body":
            faults.name_fault(
                "{party} is a public body: what it is owed is the treasury's, and {account} is not",
                at=f"shares.{n}.party", account=account, party=code,
            )  # fmt: skip
        seen.add(code)
        if type(fen) is not int or not 0 < fen <= books.LINE_FEN_MAX:
            faults.name_fault("the amount is above nought", at=f"shares.{n}.amount_yuan")
    if type(amount_fen) is not int or not 0 < amount_fen <= books.LINE_FEN_MAX:
        faults.name_fault("the amount is above nought", at="amount_yuan")
    elif not faults and sum(one["amount_fen"] for one in shares) != amount_fen:
        faults.name_fault(
            "the shares come to {sum} yuan, not to {amount}", at="shares", amount=yuan(amount_fen),
            sum=yuan(sum(one["amount_fen"] for one in shares)),
        )  # fmt: skip


def _require_free(
    session: Session, now: datetime, agreement_id: str, account: str, party: str, amount_fen: int
) -> None:
    """Raise Conflict where less is owed that no payment holds and no limit keeps, or the bank has it."""
    if (account, party) in payout_dues.unanswered(session, now, agreement_id):
        raise Conflict(
            "The bank has not answered an earlier payment to {party}: import its result, or have the "
            "payout cancelled or closed, before the claim is divided.",
            party=party,
        )  # fmt: skip
    row = session.get(books.BookAccount, (agreement_id, account, party), populate_existing=True)
    owed, held, kept = (row.posted_fen, row.held_fen, row.floor_fen or 0) if row else (0, 0, 0)
    if amount_fen > owed - held - kept:
        raise Conflict(
            "On {account} {free} yuan can be divided, not {amount}: {owed} are owed, {held} set aside for "
            "payment, {kept} kept by limit {limit}."
            if row is not None and row.limited_by
            else "On {account} {free} yuan can be divided, not {amount}: {owed} are owed, {held} set aside "
            "for payment.",
            account=f"{account} {party}", amount=yuan(amount_fen), free=yuan(max(0, owed - held - kept)),
            held=yuan(held), owed=yuan(owed),
            **({"kept": yuan(kept), "limit": row.limited_by} if row and row.limited_by else {}),
        )  # fmt: skip


def _recheck(session: Session, now: datetime, journal: Journal) -> None:
    """Refuse to book a division or its undoing where something has come between since it was proposed."""
    lock(session, session.get_one(Agreement, journal.agreement_id))
    statements.require_no_reversal(session, journal.agreement_id)
    books.begin(session)
    if journal.kind == "division":
        first = (journal.lines or [])[0]
        _require_free(
            session, now, journal.agreement_id, first["account"], first["party_id"],
            first["debit_fen"],
        )  # fmt: skip


def _waiting(session: Session, facts: Mapping[str, Any]) -> Sequence[Journal]:
    """The undecided vouchers of these facts; their lines are compared by who asks."""
    asked = {name: fact for name, fact in facts.items() if name != "lines"}
    return session.scalars(select(Journal).filter_by(**asked, state="proposed")).all()


# ---------------------------------------------------------------- deciding


_UNSAID = {"document_digest": None, "lines": None, "undoes": None}


def _enter(session: Session, actor: Actor, now: datetime, facts: dict[str, Any]) -> Journal:
    year = local_date(now).year
    made = Journal(
        **{**_UNSAID, **facts}, id=new_id(), number=f"PZ{year}-{next_number(session, f'PZ{year}'):04d}",
        decided_by=None, entry_id=None, state=move("journal", "propose", None),
    )  # fmt: skip
    log.append(session, made, "journal.proposed", actor.member_id)
    session.flush()
    return made


def approve(session: Session, actor: Actor, now: datetime, journal: Journal) -> books.Entry:
    """Another person approves: the voucher is booked."""
    may(actor, "journal.approve")
    require_other(actor, [journal.proposed_by], f"journal {journal.number}")
    state = move("journal", "approve", journal.state)
    entry = _book(session, actor, now, journal)
    journal.state, journal.decided_by, journal.entry_id = state, actor.member_id, entry.id
    log.append(session, journal, "journal.approved", actor.member_id)
    session.flush()
    return entry


def _book(session: Session, actor: Actor, now: datetime, journal: Journal) -> books.Entry:
    if journal.kind in ("division", "undoing"):
        _recheck(session, now, journal)
    if journal.undoes is not None:
        today = local_date(now).isoformat()
        journal.effective_on = periods.open_day(session, journal.agreement_id, today)
        divided = session.get_one(Journal, journal.undoes)
        return books.reverse(
            session, actor.member_id, now, session.get_one(books.Entry, divided.entry_id), cause=journal,
            effective_on=journal.effective_on, memo=journal.memo,
        )  # fmt: skip
    if journal.kind == "opening":
        books.begin(session)  # what stands on the accounts is read for it
        today = local_date(now).isoformat()
        journal.effective_on = periods.open_day(session, journal.agreement_id, today)
        gross, lines = opening_lines(session, journal.agreement_id)
        if gross != journal.amount_fen:
            raise Conflict(
                "Journal {number} is not what is left out of the book any more: reject it and propose "
                "anew.",
                number=journal.number,
            )
    else:
        lines = journal.lines or [
            _line(journal.debit, journal.amount_fen, 0), _line(journal.credit, 0, journal.amount_fen)
        ]  # fmt: skip
    return books.post(
        session, actor.member_id, now, cause=journal, book_id=journal.agreement_id,
        effective_on=journal.effective_on, memo=journal.memo, lines=lines,
    )  # fmt: skip


def reject(session: Session, actor: Actor, now: datetime, journal: Journal, reason: str) -> None:
    """Another person sends the voucher back, and says why."""
    may(actor, "journal.reject")
    require_other(actor, [journal.proposed_by], f"journal {journal.number}")
    require_ground(reason)
    journal.state = move("journal", "reject", journal.state)
    journal.decided_by = actor.member_id
    log.append(session, journal, "journal.rejected", actor.member_id, reason=reason.strip())


def withdraw(session: Session, actor: Actor, now: datetime, journal: Journal, reason: str) -> None:
    """Its maker takes the voucher back."""
    may(actor, "journal.withdraw")
    if actor.member_id != journal.proposed_by:
        raise NotAllowed("Only its maker withdraws journal {number}.", number=journal.number)
    require_ground(reason)
    journal.state = move("journal", "withdraw", journal.state)
    log.append(session, journal, "journal.withdrawn", actor.member_id, reason=reason.strip())


def owners(session: Session, journal: Journal) -> Sequence[str]:
    """Whose business a voucher is: both sides' of its agreement."""
    return agreements.owners(session.get_one(Agreement, journal.agreement_id))


def by_number(session: Session, number: str) -> Journal:
    """The voucher with a number; raises Missing."""
    found = session.scalar(select(Journal).where(Journal.number == number))
    if found is None:
        raise Missing("There is no journal voucher {number}.", number=number)
    return found


def _line(
    account: str, debit_fen: int, credit_fen: int, party: str | None = None
) -> dict[str, Any]:
    return {
        "account": account, "credit_fen": credit_fen, "debit_fen": debit_fen, "party_id": party,
    }  # fmt: skip
