"""A town whose book owes money and has it in the bank, for the tests of payments."""

from typing import Any

from sqlalchemy import select

from ledger import bank_accounts, books, payouts
from ledger.agreements import Agreement
from ledger.bank_accounts import BankAccount
from ledger.bank_files import Result
from ledger.calendar import local_date
from ledger.payouts import Payout, PayoutLine
from ledger.revenue import Statement
from ledger.trading import Payment
from tests.conftest import Town

CODES = {"unit_code": "0310010", "item_code": "103043201"}
DIGITS = {"operator": "6222021234567890", "bureau": "11050161360000000123", "bank": "80001234567"}


def account_facts(party: str = "operator", **changes: Any) -> dict[str, Any]:
    """What olga would enter for her company, or paul for the bureau."""
    return {
        "kind": "account", "holder_name": f"户名 {party}", "bank": "城市商业银行", "branch": "市府路支行",
        "account_number": DIGITS[party], "ground": "授权书 1 号",
        **(CODES if party == "bureau" else {}), **changes,
    }  # fmt: skip


def account(
    town: Town, party: str = "operator", login: str = "mona", *, confirmed: bool = True, **changes: Any
) -> BankAccount:  # fmt: skip
    """A party's bank account, entered by mona and confirmed by carl."""
    made = town.do(login, bank_accounts.enter, town.party(party), **account_facts(party, **changes))
    if confirmed:
        town.do("carl", bank_accounts.confirm, made)
    return now(town, made)


def now(town: Town, row: Any) -> Any:
    """A row as it stands now."""
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def owing(town: Town) -> tuple[Agreement, Statement]:
    """An agreement whose posted statement owes the operator and the bureau, with the money in the bank."""
    statement = town.statement("posted")
    agreement = town.get(Agreement, statement)
    with town.reading() as session:
        there = books.balance(session, agreement.id, books.BANK)
        payment = session.scalars(select(Payment)).first()
    if there < statement.amount_fen:
        with town.deed() as session:
            books.post(
                session, "system", town.now, cause=session.get_one(Payment, payment.id),
                book_id=agreement.id, effective_on=local_date(town.now).isoformat(), memo="收款",
                lines=[
                    {"account": books.BANK, "credit_fen": 0, "debit_fen": payment.amount_fen,
                     "party_id": None},
                    {"account": books.UNDISTRIBUTED, "credit_fen": payment.amount_fen, "debit_fen": 0,
                     "party_id": None},
                ],
            )  # fmt: skip
    return agreement, statement


def prepared(town: Town) -> Payout:
    """A payout of all that an agreement owes, to two payees."""
    agreement, _ = owing(town)
    account(town)
    account(town, "bureau")
    return town.do("mona", payouts.prepare, agreement)


def approved(town: Town) -> Payout:
    made = prepared(town)
    town.do("carl", payouts.approve, made)
    return now(town, made)


def lines(town: Town, payout: Payout) -> list[PayoutLine]:
    with town.reading() as session:
        return payouts.lines_of(session, payout)


def results(town: Town, payout: Payout, *paid: bool) -> list[Result]:
    """The bank's answer to the first lines: paid today, or failed."""
    day = local_date(town.now).isoformat()
    return [
        Result(n + 2, line.serial, line.amount_fen, ok, day if ok else "", f"BK{n}" if ok else "",
               "" if ok else "账号有误")
        for n, (line, ok) in enumerate(zip(lines(town, payout), paid, strict=False))
    ]  # fmt: skip


def confirm(town: Town, payout: Payout, *paid: bool, name: str = "result.csv") -> dict[str, Any]:
    """mona imports the bank's answer."""
    rows = results(town, payout, *paid)
    return town.do(
        "mona", payouts.confirm, payout, rows, name=name, digest=f"sha256:{name}{len(rows)}"
    )
