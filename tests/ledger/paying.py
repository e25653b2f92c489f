"""A town whose book owes money and has it in the bank, for the tests of payments."""

import itertools
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import select

from ledger import bank_accounts, books, payout_results, payout_rows, payouts, reconciliation
from ledger.agreements import Agreement
from ledger.bank_accounts import BankAccount
from ledger.bank_files import BankLine, Result
from ledger.calendar import local_date
from ledger.parties import Party
from ledger.payout_rows import Payout, PayoutLine
from ledger.reconciliation import Difference, Reconciliation
from ledger.revenue import Statement
from tests.conftest import Town

CODES = {"unit_code": "0310010", "item_code": "103043201"}
DIGITS = {"operator": "6222021234567890", "bureau": "11050161360000000123", "bank": "80001234567"}
_count = itertools.count(1)


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
    """A party's bank account, entered by mona and confirmed by carl; one that holds already stays."""
    made = town.do(login, bank_accounts.enter, town.party(party), **account_facts(party, **changes))
    if confirmed and made.state == "entered":
        town.do("carl", bank_accounts.confirm, made)
    return now(town, made)


def another_account(
    town: Town, party: Party | None = None, login: str = "mona", **changes: Any
) -> BankAccount:
    """A new number of the operator's or another party's, entered and not yet confirmed."""
    facts = account_facts(account_number=f"8000{next(_count):08d}", **changes)
    return town.do(login, bank_accounts.enter, party or town.party("operator"), **facts)


def now(town: Town, row: Any) -> Any:
    """A row as it stands now."""
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def owing(town: Town) -> tuple[Agreement, Statement]:
    """An agreement whose posted statement owes the operator and the bureau, with the money in the bank."""
    statement = town.statement("posted")
    return town.get(Agreement, statement), statement


def prepared(town: Town, login: str = "mona") -> Payout:
    """A payout of all that an agreement owes, to two payees."""
    agreement, _ = owing(town)
    account(town)
    account(town, "bureau")
    return town.do(login, payouts.prepare, agreement)


def approved(town: Town, login: str = "mona") -> Payout:
    """The same, approved by carl: it has its payment file."""
    made = prepared(town, login)
    town.do("carl", payouts.approve, made)
    return now(town, made)


def lines(town: Town, payout: Payout) -> list[PayoutLine]:
    """The payments of a payout as they stand now."""
    with town.reading() as session:
        return payout_rows.lines_of(session, payout)


def results(town: Town, payout: Payout, *paid: bool) -> list[Result]:
    """The bank's answer to the first lines: paid today, or failed."""
    day = local_date(town.now).isoformat()
    return [
        Result(n + 2, line.serial, line.amount_fen, ok, day if ok else "",
               f"BK{line.serial[4:]}" if ok else "", "" if ok else "账号有误")
        for n, (line, ok) in enumerate(zip(lines(town, payout), paid, strict=False))
    ]  # fmt: skip


def result_file(town: Town, payout: Payout, *paid: bool) -> str:
    """The same as the bank's file."""
    rows = [
        f"{one.serial},{one.amount_fen // 100}.{one.amount_fen % 100:02d},{'成功' if one.paid else '失败'},"
        f"{one.day},{one.reference},{one.reason}"
        for one in results(town, payout, *paid)
    ]
    return "\n".join(["流水号,金额,结果,交易日期,银行流水号,失败原因", *rows, ""])


def confirm(town: Town, payout: Payout, *paid: bool, name: str = "result.csv") -> dict[str, Any]:
    """mona imports the bank's answer."""
    rows = results(town, payout, *paid)
    return town.do(
        "mona", payout_results.confirm, payout, rows, name=name, digest=f"sha256:{name}{len(rows)}"
    )


def in_one(town: Town, payout: Payout, reference: str = "PL1") -> list[Result]:
    """The bank's word that it paid all lines in one debit."""
    return [
        replace(one, reference=reference, debit_fen=payout.amount_fen)
        for one in results(town, payout, True, True)
    ]


def came_in(town: Town, agreement: Agreement, fen: int) -> None:
    """More money in the bank than is owed."""
    with town.deed() as session:
        books.post(
            session, "system", town.now, key="in", book_id=agreement.id, memo="来款",
            cause=session.scalars(
                select(Statement).where(Statement.agreement_id == agreement.id).limit(1)
            ).one(),
            effective_on=local_date(town.now).isoformat(),
            lines=[
                {"account": books.BANK, "credit_fen": 0, "debit_fen": fen, "party_id": None},
                {"account": books.UNDISTRIBUTED, "credit_fen": fen, "debit_fen": 0, "party_id": None},
            ],
        )  # fmt: skip


def came_back(town: Town, payout: Payout, n: int = 0) -> Result:
    """The bank's word that it got a payment back."""
    line = lines(town, payout)[n]
    return Result(9, line.serial, line.amount_fen, False, local_date(town.now).isoformat(),
                  f"TH{line.serial[4:]}", "账户已注销", returned=True)  # fmt: skip


def give_back(town: Town, payout: Payout, n: int = 0) -> dict[str, Any]:
    """mona imports it."""
    back = came_back(town, payout, n)
    return town.do(
        "mona", payout_results.confirm, payout, [back], name="back.csv", digest=f"sha256:back{n}"
    )


def bank_says(
    town: Town, agreement: Agreement, *rows: BankLine, name: str = "s.csv", **days: date
) -> Reconciliation:
    """mona imports what the bank says up to today, or up to `until_on`, on the day after."""
    facts = {"from_on": date(2026, 3, 1), "until_on": local_date(town.now), **days}
    if facts["until_on"] == local_date(town.now):
        town.later(days=1)
    return town.do("mona", reconciliation.import_bank, agreement, list(rows), name=name,
                   digest=f"sha256:{name}", **facts)  # fmt: skip


def difference(town: Town) -> Difference:
    """Seventy yuan came in that nobody has booked: the operator owes the answer."""
    today = local_date(town.now)
    found = BankLine(2, today.isoformat(), f"U{next(_count)}", 7_000, "丙公司", "", None)
    made = bank_says(town, town.agreement(), found, name=found.reference, from_on=today)
    with town.reading() as session:
        [one] = reconciliation.differences(session, made)
    return one


def answered(town: Town, login: str = "olga") -> Difference:
    """The same, answered."""
    made = difference(town)
    town.do(login, reconciliation.answer, made, "客户多付, 已登记来款")
    return now(town, made)
