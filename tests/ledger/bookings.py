"""What finance books by hand, closes and sets aside, for towns in which everything happens."""

from datetime import timedelta
from typing import Any

from ledger import books, holds, journals, limits, log, periods, trading
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.parties import Party
from ledger.store import new_id
from tests.conftest import Town
from tests.ledger import organisations

DOCUMENT = f"sha256:{'d' * 64}"


def line(account: str, debit: Any, credit: Any, party: str | None = None) -> dict[str, Any]:
    """A line of an entry."""
    return {"account": account, "credit_fen": credit, "debit_fen": debit, "party_id": party}


def journal(
    town: Town, agreement: Agreement | None = None, login: str = "mona", **changes: Any
) -> journals.Journal:
    """Interest of ten yuan, proposed."""
    facts = {
        "amount_fen": 1000, "credit": books.FEES, "debit": books.BANK,
        "effective_on": local_date(town.now), "memo": "利息", **changes,
    }  # fmt: skip
    made: journals.Journal = town.do(
        login, journals.propose, agreement or town.agreement(), **facts
    )
    return made


def approved(town: Town, agreement: Agreement | None = None, **changes: Any) -> journals.Journal:
    """The same, approved by another person: ten yuan are in the bank."""
    made = journal(town, agreement, **changes)
    town.do("carl", journals.approve, made)
    with town.reading() as session:
        return session.get_one(journals.Journal, made.id)


def split_claim(
    town: Town, fen: int = 10_001, account: str = books.PAYABLE, kind: str = "enterprise",
    heirs: tuple[str, str] = ("enterprise", "enterprise"), agreement: Agreement | None = None,
) -> tuple[Agreement, Party, list[Party]]:  # fmt: skip
    """A book, an organisation that it owes and that was split and ended since, its successors."""
    agreement = agreement or town.agreement()
    one = organisations.party(town, kind)
    with town.deed() as session:
        books.post(
            session, "system", town.now, cause=journals.Journal(id=new_id()), book_id=agreement.id,
            effective_on=local_date(town.now).isoformat(), memo="分配",
            lines=[line(books.UNDISTRIBUTED, fen, 0), line(account, 0, fen, one.uscc)],
        )  # fmt: skip
    into = [organisations.party(town, kind) for kind in heirs]
    organisations.split(town, one, into[0], into[1:])
    return agreement, one, into


def division(
    town: Town, agreement: Agreement, one: Party, shares: dict[str, int], login: str = "mona",
    **changes: Any,
) -> journals.Journal:  # fmt: skip
    """Who gets what of it, proposed."""
    facts = {
        "account": books.PAYABLE, "amount_fen": sum(shares.values()), "document_digest": DOCUMENT,
        "effective_on": local_date(town.now), "memo": "债权划分协议 1 号", "party": one.uscc,
        "shares": [{"amount_fen": fen, "party": code} for code, fen in shares.items()], **changes,
    }  # fmt: skip
    made: journals.Journal = town.do(login, journals.propose_division, agreement, **facts)
    return made


def divided(
    town: Town, agreement: Agreement, one: Party, shares: dict[str, int], **changes: Any
) -> journals.Journal:
    """The same, approved by another person."""
    made = division(town, agreement, one, shares, **changes)
    town.do("carl", journals.approve, made)
    with town.reading() as session:
        return session.get_one(journals.Journal, made.id)


def of_before(town: Town) -> Agreement:
    """An agreement with a payment of before there were books: settled, and in no entry."""
    agreement, licence = town.sold()
    with town.deed() as session:
        payment = trading.enter_payment(
            session, town.actors["mona"], town.fresh(session, licence), amount_fen=10_600,
            received_on=local_date(town.now).isoformat(), reference=f"V-{new_id()}",
        )  # fmt: skip
        payment.n = payment.agreement_id = None
        log.append(session, payment, "payment.recorded", "system")
    return agreement


def hold(
    town: Town, agreement: Agreement | None = None, fen: int = 600, key: str = ""
) -> holds.Hold:
    """Six of the bank's ten yuan set aside for a week."""
    made = approved(town, agreement)
    lines = [line(books.FEES, fen, 0), line(books.BANK, 0, fen)]
    with town.deed() as session:
        return holds.hold(
            session, "system", town.now, cause=made, key=key, book_id=made.agreement_id, lines=lines,
            expires_at=town.now + timedelta(days=7),
        )  # fmt: skip


def limit(
    town: Town, agreement: Agreement | None = None, login: str = "mona", **changes: Any
) -> limits.AccountLimit:
    """Four of the bank's ten yuan must stay, proposed."""
    booked = approved(town, agreement)
    facts = {
        "account": books.BANK, "basis": "协助执行通知书 1 号", "floor_fen": 400, "reason": "法院冻结",
        **changes,
    }  # fmt: skip
    made: limits.AccountLimit = town.do(
        login, limits.propose, agreement or town.get(Agreement, booked), **facts
    )
    return made


def period(town: Town, agreement: Agreement | None = None, login: str = "mona") -> periods.Period:
    """Yesterday closed."""
    day = local_date(town.now) - timedelta(days=1)
    made: periods.Period = town.do(
        login, periods.close, agreement or town.agreement(), from_on=day, until_on=day
    )
    return made
