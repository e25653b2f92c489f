"""What a statement over a million settlements costs beside summing them in SQL, and what postings cost.

A statement is drafted as the deed it is: the period closed, the region summed, fifty payees' lines with
their derivation, recorded and committed. Bare is the database's own sum over the same rows, on the same
connection pool and in the same run, by turns; best of each. Each round drafts the period anew after the
statement of the round before was sent back.

Postings, three lines each, go through `books.post_many`, recorded and committed; beside it the same kind of
postings one by one through `books.post`, which makes an object of each, in one transaction too.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from ledger import (
    beancount,
    books,
    confirmation_checks,
    confirmations,
    revenue,
    settlements,
    trade_rules,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.settlements import Settlement
from ledger.store import new_ids
from ledger.tables.events import read_rows
from ledger.trial_balance import trial_balance
from tests.bench.usage import _migrated, server
from tests.conftest import ORIGIN, PARTIES, SIGNING_KEYS, Town, found_town
from tests.ledger.organisations import party

SETTLEMENTS = 1_000_000
PAYEES = 50
DAYS = 90
ROUNDS = 5
POSTED = 20_000
ONE_BY_ONE = 1_000
ENTRIES = 100_000
CONFIRMED = 1_000_000


def measured(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _show(what: str, spent: float, count: int, beside: str = "", bare: float = 0.0) -> None:
    ratio = f"   {bare / spent:6.2f} × {beside} ({count / bare:,.0f}/s)" if beside else ""
    print(f"{what:40} {count / spent:13,.0f}/s{ratio}")


def scheme_of_fifty(town: Town) -> dict[str, Any]:
    """Costs first, the treasury's tenth, the rest among fifty: the operator, and 49 others alike."""
    others = [PARTIES["bureau"][2], *(party(town).uscc for _ in range(PAYEES - 2))]
    text = {"zh": "分配", "en": "share"}
    shares = [{"party": uscc, "share": "1/100"} for uscc in others]
    mine = {"party": PARTIES["operator"][2], "share": f"{100 - len(others)}/100"}
    return {
        "v": 1, "name": text,
        "steps": [
            {"kind": "recover", "party": PARTIES["operator"][2], "label": text,
             "fact": "platform_cost_fen", "cap_ratio": "1/2"},
            {"kind": "share", "party": PARTIES["treasury"][2], "label": text, "ratio": "1/10"},
            {"kind": "pool", "label": text, "shares": [mine, *shares]},
        ],
    }  # fmt: skip


def settle(town: Town, agreement: Agreement, first: date) -> None:
    """A quarter's trades of an exchange, day by day."""
    per_day = SETTLEMENTS // DAYS + 1
    left = SETTLEMENTS
    for n in range(DAYS):
        day = (first + timedelta(days=n)).isoformat()
        count, left = min(per_day, left), left - min(per_day, left)
        rows = [(day, 106 * (row % 999 + 1), 6 * (row % 999 + 1), 100 * (row % 999 + 1), row + 1)
                for row in range(count)]  # fmt: skip
        with town.deed() as session:
            fresh = session.get_one(Agreement, agreement.id)
            settlements.enter_many(session, fresh, "trade", new_ids(1)[0], rows)


def bench_statement(town: Town, kind: str) -> Agreement:
    """A statement over the million beside the sum of the million."""
    agreement = town.agreement()
    town.scheme(agreement, scheme_of_fifty(town))
    first = date.fromisoformat(agreement.from_on)
    settle(town, agreement, first)
    town.later(days=DAYS + 1)
    until = first + timedelta(days=DAYS - 1)
    facts = {"platform_cost_fen": 4_500_000}
    span = (Settlement.day >= first.isoformat(), Settlement.day <= until.isoformat())
    ours, bare, amounts = [], [], set()
    for _ in range(ROUNDS):
        made: list[Any] = []
        ours.append(measured(lambda made=made: made.append(town.do(  # type: ignore[misc]
            "mona", revenue.draft, agreement, from_on=first, until_on=until, facts=facts
        ))))  # fmt: skip
        wanted = select(func.count(), func.sum(Settlement.net_fen)).where(
            Settlement.agreement_id == agreement.id, *span
        )
        summed: list[Any] = []

        def add_up(summed: list[Any] = summed, wanted: Any = wanted) -> None:
            with town.reading() as session:
                summed.append(session.execute(wanted).one())

        bare.append(measured(add_up))
        assert tuple(map(int, summed[0])) == (made[0].trade_count, made[0].amount_fen)
        assert len({line["party"] for line in made[0].lines}) == PAYEES + 1
        amounts.add(made[0].amount_fen)
        town.do("mona", revenue.propose, made[0], ORIGIN)
        town.do("carl", revenue.reject, made[0], "再算一次", ORIGIN)
    assert len(amounts) == 1
    _show(f"statement over a million ({kind})", min(ours), SETTLEMENTS, "summed in SQL", min(bare))
    return agreement


def lines(n: int) -> list[dict[str, Any]]:
    """What comes in for a licence: bank, revenue to distribute, VAT."""
    net = 100 * (n % 999 + 1)
    return [
        {"account": books.BANK, "party_id": None, "debit_fen": net + net * 6 // 100, "credit_fen": 0},
        {"account": books.UNDISTRIBUTED, "party_id": None, "debit_fen": 0, "credit_fen": net},
        {"account": books.VAT, "party_id": None, "debit_fen": 0, "credit_fen": net * 6 // 100},
    ]  # fmt: skip


def bench_postings(town: Town, agreement: Agreement, kind: str) -> None:
    """Many at once beside one by one; each round other causes."""
    day = (town.now.date()).isoformat()

    class Cause:
        """Stands for the evidence of a payment: only its id and its kind are asked."""

        subject_type = "payment"

        def __init__(self, known: str) -> None:
            self.id = known

    def many() -> None:
        causes = new_ids(POSTED)
        bookings = [
            books.Booking("payment", one, agreement.id, day, "收款", lines(n))
            for n, one in enumerate(causes)
        ]
        with town.deed() as session:
            books.post_many(session, "system", town.now, bookings)

    def one_by_one() -> None:
        with town.deed() as session:
            for n, one in enumerate(new_ids(ONE_BY_ONE)):
                cause: Any = Cause(one)
                books.post(
                    session, "system", town.now, cause=cause, book_id=agreement.id,
                    effective_on=day, memo="收款", lines=lines(n),
                )  # fmt: skip

    spent = min(measured(many) for _ in range(3)) / POSTED
    bare = min(measured(one_by_one) for _ in range(3)) / ONE_BY_ONE
    _show(f"postings at once ({kind})", spent * POSTED, POSTED, "one by one", bare * POSTED)
    left = ENTRIES - 3 * (POSTED + ONE_BY_ONE)
    with town.deed() as session:
        books.post_many(session, "system", town.now, [
            books.Booking("payment", one, agreement.id, day, "收款", lines(n))
            for n, one in enumerate(new_ids(left))
        ])  # fmt: skip
    with town.reading() as session:
        balanced: list[Any] = []
        spent = measured(lambda: balanced.append(trial_balance(session, agreement.id)))
        assert {row.account for row in balanced[0]} == {books.BANK, books.UNDISTRIBUTED, books.VAT}
        _show(f"entries into a trial balance ({kind})", spent, ENTRIES)
        book = session.get_one(Agreement, agreement.id)
        spent = measured(
            lambda: balanced.append(sum(map(len, beancount.write_book(session, book))))
        )
        _show(f"entries as beancount text ({kind})", spent, ENTRIES)


def bench_confirmation(town: Town, kind: str) -> None:
    """An exchange's file of trades from its bytes to rows, settlements and entry, committed."""
    registered = town.registration()
    agreement, voucher = town.get(Agreement, registered), town.voucher(registered)
    day, buyer = local_date(town.now).isoformat(), PARTIES["bank"][2]
    path = town.home.path / "trades.csv"
    with path.open("w") as file:
        file.write("trade,voucher,buyer,on,amount_yuan\n")
        for n in range(CONFIRMED):
            file.write(f"T-{n},{voucher.number},{buyer},{day},{n % 999 + 1}.06\n")
    origin, chain_id = ORIGIN, town.home.config.deployment.chain_id

    def read() -> Any:
        return read_rows(path, path.name, trade_rules.COLUMNS)

    header = confirmation_checks.header_of(
        read(), path.name, agreement=agreement.number, exchange=PARTIES["exchange"][2],
        log_origin=origin, number="CJ-1",
    )  # fmt: skip
    signed = confirmation_checks.sign(header, chain_id, SIGNING_KEYS["egon"])

    def take_in() -> None:
        with town.reading() as session:
            checked = confirmation_checks.check(
                session, town.actors["egon"], town.now, read(), path.name, signed, origin=origin,
                chain_id=chain_id,
            )  # fmt: skip
        made = town.do("egon", confirmations.record, checked)
        assert made.row_count == CONFIRMED

    _show(f"confirmed trades taken in ({kind})", measured(take_in), CONFIRMED)


def bench_finance(folder: Path) -> None:
    """On both databases."""
    url = f"sqlite:///{folder / 'finance'}.db"
    _migrated(url)
    _bench("SQLite", url, folder)
    with server() as uri:
        url = uri.replace("/postgres?", "/ours?")
        _migrated(url)
        _bench("PostgreSQL", url, folder)


def _bench(kind: str, url: str, folder: Path) -> None:
    town = next(found_town(url, folder / f"finance-{kind}"))
    town.home.path.mkdir(parents=True, exist_ok=True)
    agreement = bench_statement(town, kind)
    bench_postings(town, agreement, kind)
    bench_confirmation(town, kind)
    town.home.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_finance(Path(name))
