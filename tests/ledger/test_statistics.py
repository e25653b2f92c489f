"""The statistical report: equal to a recount from the records, its checks agree, and it tells on nobody."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from ledger import authorisations, log, refunds, register, statistics, uses
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.confirmations import Confirmation, Trade
from ledger.errors import Invalid
from ledger.parties import NOBODY, Party
from ledger.registration import Registration
from ledger.remittances import Remittance
from ledger.statistics_definitions import INDICATORS
from ledger.store import new_id
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from tests.conftest import PARTIES, Town

FEN = [code for code, one in INDICATORS.items() if one.unit == "fen"]
AMOUNT = {"T4": "licence.granted", "M1": "payment.recorded"}


def made(town: Town, who: str = "gwen", **span: Any) -> dict[str, Any]:
    actor = town.actors[who] if who else NOBODY
    with town.reading() as session:
        return statistics.report(session, actor, town.now, **span)


def values(found: dict[str, Any], code: str) -> dict[str, list[int | None]]:
    (table,) = [one for one in found["tables"] if one["code"] == code]
    return {row["key"]: row["values"] for row in table["rows"]}


def sale(town: Town, seller: str, licensee: str, fen: int, *, purpose: str = "industry") -> None:
    """A licence and its payment, as their deeds record them; the voucher is any one."""
    with town.deed() as session:
        voucher = session.scalars(select(Licence.voucher_id)).first()
        number, until = new_id(), town.now + timedelta(days=90)
        licence = Licence(
            id=new_id(), order_reference=number, voucher_id=voucher, n=int(number[-6:], 16) + 100,
            licensee_id=town.parties[licensee], licensee_address=number, right="use",
            purpose=purpose, terms={}, terms_salt="", terms_digest="", valid_from=town.now,
            valid_until=until, price_fen=fen, sold_by=town.actors[seller].member_id, state="granted",
        )  # fmt: skip
        log.append(session, licence, "licence.granted", "tester")
        session.flush()
        if fen:
            net = (200 * fen + 106) // 212
            payment = Payment(
                id=new_id(), reference=number, licence_id=licence.id, amount_fen=fen,
                vat_fen=fen - net, net_fen=net, received_on=local_date(town.now).isoformat(),
                recorded_by="tester", statement_id=None,
            )  # fmt: skip
            log.append(session, payment, "payment.recorded", "tester")


def give_back(town: Town, held: Any, fen: int, row: int = 0, **more: Any) -> None:
    """A refund of a payment, a confirmed trade or a remittance, or the undoing of it, approved."""
    of = {Payment: refunds.of_payment, Remittance: refunds.of_remittance}
    with town.deed() as session:
        fresh = town.fresh(session, held)
        source = refunds.of_trade(session, fresh, row) if row else of[type(held)](session, fresh)
        made = refunds.propose(
            session, town.actors["mona"], town.now, source, amount_fen=fen, ground="误记", **more
        )
    town.do("carl", refunds.approve, made)


def lived(town: Town) -> None:
    """Something of everything: registrations of which one ends, vouchers, uses, sales, a statement."""
    agreement, licence = town.sold()
    wrong = [town.payment(licence, fen, f"WRONG-{fen}") for fen in (77_777, 6_543)]
    give_back(
        town, wrong[1], 6_543, undoes=True
    )  # on the day; the other one when it was distributed
    town.statement_over(agreement, licence, "posted", facts={"platform_cost_fen": 1000})
    prepaid = town.remittance(agreement, 10_600)
    town.later(days=20)
    confirmed = town.confirmation(agreement, town.get(Voucher, licence), 5)
    give_back(town, prepaid, 4_000)
    give_back(town, town.payment(licence, 21_200, "PAID-2"), 5_300)
    town.later(days=20)
    give_back(town, wrong[0], 77_777, undoes=True)
    give_back(town, confirmed, 1_234, row=2)
    second = town.registration()
    first = town.voucher(second)
    town.change("suspend", first)
    consented = town.authorisation("in_force")
    with town.reading() as session:
        consented = session.get_one(authorisations.Authorisation, consented.id)
        used = session.get_one(uses.Voucher, consented.voucher_id)
    town.settle(used)
    town.do("olga", uses.count, used, scene="贷前审查", count=2, reference="R-1")
    town.later(days=40)
    third = town.registration()
    town.do("rita", register.inquire, third, ground="false_material")
    town.do("rob", register.revoke, third, ground="false_material", finding="材料虚假")
    town.change("revoke", town.voucher(town.registration()))
    sale(town, "mallory", "exchange", 0, purpose="benefit")
    sale(town, "olga", "bank", 123_457)


def recounted(town: Town, bounds: list[datetime]) -> dict[str, dict[str, list[int]]]:
    """The report's flows and stocks once more, in plain Python from the payloads of all records."""
    count = len(bounds) - 1
    made: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * count))
    born: dict[str, dict[str, Any]] = {}
    last: dict[str, dict[str, Any]] = {}
    kinds_of: dict[str, list[str]] = defaultdict(list)
    with town.reading() as session:
        kind_of = dict(session.execute(select(Party.uscc, Party.kind)).tuples().all())
        records = [(one.at, one.kind, log.payload_of(one)) for one in
                   session.scalars(select(log.Record).order_by(log.Record.leaf_index))]  # fmt: skip
    undone = {payload["subject"]["id"] for _, kind, payload in records if kind == "payment.undone"}
    assert len(undone) == 2
    for _, _, payload in records:
        last[payload["subject"]["id"]] = payload["body"]
    for at, kind, payload in records:
        body, subject = payload["body"], payload["subject"]["id"]
        place = next((n for n in range(count) if bounds[n] <= at < bounds[n + 1]), None)
        until = [n for n in range(count) if at < bounds[n + 1]]
        is_new = subject not in born
        born.setdefault(subject, body)
        kinds_of[subject].append(kind)

        def flow(code: str, row: str, by: int = 1, place: int | None = place) -> None:
            if place is not None:
                made[code][row][place] += by

        def stock(code: str, row: str, by: int = 1, until: list[int] = until) -> None:
            for n in until:
                made[code][row][n] += by

        match kind:
            case "application.submitted" if is_new:
                flow("R1", body["type"])
            case "registration.coded":
                flow("R3", body["object"])
                stock("R5", last[subject]["object"])
            case "registration.revoked" | "registration.cancelled" | "registration.lapsed":
                flow("R4", kind.partition(".")[2])
                stock("R5", last[subject]["object"], -1)
            case "voucher.issued":
                flow("V1", body["kind"])
                stock("V3", body["kind"])
            case "voucher.revoke" | "voucher.cancel" | "voucher.supersede" | "voucher.split":
                flow("V2", kind.partition(".")[2])
                stock("V3", body["kind"], -1)
            case "use.counted":
                flow("V5", "", body["count"])
            case "licence.granted":
                flow("T1", body["purpose"])
                flow("T4", body["purpose"], body["price_fen"])
            case "payment.recorded" if subject not in undone:
                for code, name in (("M1", "amount_fen"), ("M2", "vat_fen"), ("M3", "net_fen")):
                    flow(code, "", body[name])
                flow("M6", "payment", body["net_fen"])
                stock("M5", "", body["net_fen"])
            case "confirmation.recorded":
                flow("T5", "", body["row_count"])
                flow("T6", "", body["amount_fen"])
                flow("M6", "trade", body["net_fen"])
                stock("M5", "", body["net_fen"])
            case "refund.approved" if not (body["undoes"] or body["remittance_id"]):
                flow("T7", "payment" if body["payment_id"] else "trade", body["amount_fen"])
                flow("M6", "refund", -body["net_fen"])
                stock("M5", "", -body["net_fen"])
            case "statement.posted":
                for line in body["lines"]:
                    flow("M4", kind_of[line["party"]], line["amount_fen"])
                stock("M5", "", -body["amount_fen"])
            case _ if kind.startswith("application."):
                outcome = kind.partition(".")[2]
                if outcome in values_of("R2"):
                    flow("R2", outcome)
    return made


def values_of(code: str) -> set[str]:
    from ledger.statistics_definitions import ROWS  # noqa: PLC0415

    return set(ROWS[INDICATORS[code].by])


@pytest.fixture
def life(town: Town) -> Town:
    lived(town)
    return town


@pytest.mark.parametrize(
    "by", ["quarter", *(pytest.param(by, marks=pytest.mark.slow) for by in ("month", "year"))]
)
def test_the_report_is_what_the_records_say_and_its_checks_agree(life: Town, by: str) -> None:
    start, until = date(2026, 3, 20), local_date(life.now)
    found = made(life, start=start, until=until, by=by)
    spans = statistics.periods(start, until, by, until)
    bounds = [datetime.combine(one.start, datetime.min.time(), UTC) - timedelta(hours=8)
              for one in spans]  # fmt: skip
    bounds.append(datetime.combine(until + timedelta(days=1), datetime.min.time(), UTC)
                  - timedelta(hours=8))  # fmt: skip
    counted = recounted(life, bounds)
    told = 0
    for code in ("R1", "R2", "R3", "R4", "R5", "V1", "V2", "V3", "V5", "T1", "T4", "T5", "T6", "T7",
                 "M1", "M2", "M3", "M4", "M5", "M6"):  # fmt: skip
        shown = {key: row for key, row in values(found, code).items() if any(row)}
        assert shown == {key: row for key, row in counted[code].items() if any(row)}, code
        told += bool(shown)
    assert told >= 18, "something of nearly everything happened"
    assert [check["code"] for check in found["checks"] if not check["holds"]] == []
    assert any(check["left"] for check in found["checks"] if check["unit"] == "fen")
    assert values(found, "V4")["suspended"] == [1]
    (regions,) = [one for one in found["tables"] if one["code"] == "R6"]
    assert [row["key"] for row in regions["rows"]] == [""], "the cast's codes name no province"


def test_a_day_is_one_of_shanghai_and_a_late_entry_counts_when_it_is_recorded(town: Town) -> None:
    _, licence = town.sold()
    town.now = datetime(2026, 4, 30, 15, 59, 59, tzinfo=UTC)  # the last second of April there
    town.payment(licence, 100, reference="A")
    town.later(seconds=1)
    town.do("mona", statistics_payment, licence=licence)
    found = made(town, start=date(2026, 4, 1), until=date(2026, 5, 1))
    assert values(found, "M1") == {"": [100, 300]}


def statistics_payment(session: Any, actor: Any, now: datetime, *, licence: Licence) -> Payment:
    """Received in April, entered in May."""
    from ledger.trading import record_payment  # noqa: PLC0415

    return record_payment(session, actor, now, licence=licence, amount_fen=300,
                          received_on="2026-04-02", reference="B")  # fmt: skip


def test_regions_are_of_the_holder_and_categories_of_the_catalogue(town: Town) -> None:
    registered = town.registration()
    with town.deed() as session:
        row = session.get_one(Registration, registered.id)
        home = session.get_one(Party, row.party_id)
        home.uscc = "91440300708461136T"
        log.append(session, home, "party.renamed", "tester")
        for n, resource in enumerate(session.scalars(select(statistics_resource()))):
            resource.elements = {"category": f"主题{n}"}
            log.append(session, resource, "resource.changed", "tester")
    found = made(town, start=date(2026, 3, 1))
    assert values(found, "R6") == {"440300": [1]} or values(found, "R6")["440300"][-1] == 1
    assert values(found, "R7") == {"主题0": [1], "主题1": [1]}
    (table,) = [one for one in found["tables"] if one["code"] == "R6"]
    assert table["rows"][0]["zh"] == "广东 440300"


def statistics_resource() -> type[Any]:
    from ledger.catalogue import Resource  # noqa: PLC0415

    return Resource


def test_an_empty_registry_has_a_report_of_zeros(town: Town) -> None:
    found = made(town)
    assert all(check["holds"] for check in found["checks"])
    assert {value for one in found["tables"] for row in one["rows"] for value in row["values"]} == {
        0
    }
    assert [one["label"] for one in found["periods"]] == ["2026-01", "2026-02", "2026-03"]


@pytest.mark.parametrize(
    ("span", "fault"),
    [
        ({"start": date(2026, 3, 2), "until": date(2026, 3, 1)}, "before it begins"),
        ({"start": date(2026, 3, 2), "until": date(2026, 3, 3)}, "has not ended"),
        ({"start": date(1990, 1, 1), "by": "month"}, "more than 120 periods"),
        ({"by": "week"}, "must be one of month, quarter, year"),
    ],
)
def test_a_span_that_cannot_be_is_refused(town: Town, span: dict[str, Any], fault: str) -> None:
    with pytest.raises(Invalid, match=fault):
        made(town, **span)


# ---------------------------------------------------------------- what the public may see


@pytest.fixture
def quarters(town: Town) -> Town:
    """Q1: three sellers and three licensees. Q2: of them two and three. Q3: three and two. Q4 runs."""
    town.sold()
    town.now = datetime(2026, 3, 20, tzinfo=UTC)
    for seller, licensee in (("olga", "bank"), ("mallory", "exchange"), ("egon", "firm")):
        sale(town, seller, licensee, 1_000_00)
    town.now = datetime(2026, 5, 20, tzinfo=UTC)
    for seller, licensee in (("olga", "bank"), ("mallory", "exchange"), ("olga", "firm")):
        sale(town, seller, licensee, 2_000_00)
    town.now = datetime(2026, 8, 20, tzinfo=UTC)
    for seller, licensee in (("olga", "bank"), ("mallory", "firm"), ("egon", "firm")):
        sale(town, seller, licensee, 4_000_00)
    town.now = datetime(2026, 11, 20, tzinfo=UTC)
    for seller, licensee in (("olga", "bank"), ("mallory", "exchange"), ("egon", "firm")):
        sale(town, seller, licensee, 8_000_00)
    return town


def test_the_public_is_told_amounts_of_three_and_more_parties_by_whole_quarters_only(
    quarters: Town,
) -> None:
    full = made(quarters, start=date(2026, 1, 1), by="quarter")
    assert values(full, "M1")[""] == [3_000_00, 6_000_00, 12_000_00, 24_000_00]
    told = made(quarters, "", start=date(2026, 1, 1), by="quarter")
    assert not told["full"]
    assert values(told, "M1")[""] == [3_000_00, None, None, None]
    (table,) = [one for one in told["tables"] if one["code"] == "M1"]
    assert table["rows"][0]["total"] is None, "the total would tell the rest"
    assert values(told, "M5")[""] == [None] * 4
    assert [check["left"] for check in told["checks"] if check["unit"] == "fen"] == [None] * 3
    for span in (
        {"by": "month", "start": date(2026, 1, 1)},
        {"by": "year", "start": date(2026, 1, 1)},
        {"by": "quarter", "start": date(2026, 1, 2), "until": date(2026, 3, 31)},
        {"by": "quarter", "start": date(2026, 1, 1), "until": date(2026, 3, 30)},
    ):
        found = made(quarters, "", **span)
        for code in FEN:
            shown = {value for row in values(found, code).values() for value in row}
            assert shown == {None}, (span, code)


def test_of_a_year_the_public_is_told_what_all_its_quarters_tell(quarters: Town) -> None:
    quarters.now = datetime(2027, 2, 1, tzinfo=UTC)
    span = {"start": date(2026, 1, 1), "until": date(2026, 12, 31)}
    assert values(made(quarters, "", by="year", **span), "M1")[""] == [None]
    quarters.now = datetime(2028, 2, 1, tzinfo=UTC)
    later = {"start": date(2027, 1, 1), "until": date(2027, 12, 31)}
    assert values(made(quarters, "", by="year", **later), "M1")[""] == [0], (
        "nobody, so nobody is told"
    )


@pytest.mark.slow
def test_no_difference_of_what_the_public_is_told_is_about_few(quarters: Town) -> None:
    """Whatever two reports differ by, or rows leave of a total, is a sum of cells that are told."""
    quarters.now = datetime(2027, 2, 1, tzinfo=UTC)
    days = [date(2026, 1, 1), date(2026, 3, 31), date(2026, 4, 1), date(2026, 6, 30), date(2026, 7, 1),
            date(2026, 9, 30), date(2026, 10, 1), date(2026, 12, 31)]  # fmt: skip
    numbers: Counter[int] = Counter()
    for by in statistics.BY:
        for start in days[::2]:
            for until in days[1::2]:
                if start < until:
                    found = made(quarters, "", by=by, start=start, until=until)
                    for table in found["tables"]:
                        if table["unit"] == "fen":
                            every = [*table["rows"], *filter(None, [table["together"]])]
                            numbers.update(v for row in every for v in [*row["values"], row["total"]]
                                           if v is not None)  # fmt: skip
    amounts = {3_000_00, 24_000_00}
    vat = {a - 3 * ((200 * (a // 3) + 106) // 212) for a in amounts}
    agreed = {38_300_000}  # with the licence that was sold and not paid
    assert set(numbers) <= amounts | agreed | vat | {a - v for a in amounts for v in vat} | {0}
    assert {3_000_00, 24_000_00} <= set(numbers), "and what is told of many is told"


@pytest.mark.slow
def test_the_checks_agree_at_the_end_of_every_day(life: Town) -> None:
    """Also on the days on which a statement held what is undone today, and before a refund."""
    with life.reading() as session:
        days = sorted({local_date(at) for at in session.scalars(select(log.Record.at))})
    assert len(days) > 5
    for day in days:
        found = made(life, until=day)
        assert [check for check in found["checks"] if not check["holds"]] == [], day


def test_a_quarter_of_which_a_payment_is_undone_afterwards_is_told_no_more(town: Town) -> None:
    """Else the report of today and the one of before would tell the payment by their difference."""
    _, licence = town.sold()
    town.now = datetime(2026, 3, 20, tzinfo=UTC)
    for seller, licensee in (("olga", "bank"), ("mallory", "exchange"), ("egon", "firm")):
        sale(town, seller, licensee, 1_000_00)
    early, late = (town.payment(licence, fen, f"W-{fen}") for fen in (11_111, 22_222))
    give_back(town, early, 11_111, undoes=True)
    town.now = datetime(2026, 4, 2, tzinfo=UTC)
    span = {"start": date(2026, 1, 1), "until": date(2026, 3, 31), "by": "quarter"}
    assert values(made(town, "", **span), "M1")[""] == [322_222], (
        "undone before the quarter was over"
    )
    licences = values(made(town, "", **span), "T4")
    give_back(town, late, 22_222, undoes=True)
    for code in ("M1", "M2", "M3"):
        assert values(made(town, "", **span), code)[""] == [None], code
    assert values(made(town, "", **span), "T4") == licences
    assert values(made(town, **span), "M1")[""] == [300_000]
    town.now = datetime(2027, 1, 2, tzinfo=UTC)
    year = {"start": date(2026, 1, 1), "until": date(2026, 12, 31), "by": "year"}
    assert values(made(town, "", **year), "M1")[""] == [None]


@pytest.mark.slow
def test_what_one_exchange_confirms_and_what_is_refunded_of_it_is_withheld(town: Town) -> None:
    agreement, licence = town.sold()
    confirmed = town.confirmation(agreement, town.get(Voucher, licence), 4)
    give_back(town, confirmed, 10_600, row=1)
    town.now = datetime(2026, 4, 2, tzinfo=UTC)
    span = {"start": date(2026, 1, 1), "until": date(2026, 3, 31), "by": "quarter"}
    full, told = made(town, **span), made(town, "", **span)
    assert (values(full, "T5"), values(full, "T6")) == ({"": [4]}, {"": [43_000]})
    assert values(full, "T7") == {"payment": [0], "trade": [10_600]}
    assert values(full, "M6") == {"payment": [0], "trade": [40_566], "refund": [-10_000]}
    assert values(told, "T5") == {"": [4]}, "how many is no amount"
    assert values(told, "T6") == {"": [None]}
    for code in ("T7", "M6"):
        assert {v for row in values(told, code).values() for v in row} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("buyers", ["bank bank firm", "bank exchange firm"])
def test_what_exchanges_confirm_is_told_of_three_of_every_side(town: Town, buyers: str) -> None:
    """Three exchanges and operators; of buyers, who are read from the rows, two or three."""
    for n, (side, buyer) in enumerate(
        zip(("exchange", "bank", "firm"), buyers.split(), strict=True)
    ):
        agreement = town.agreement()
        with town.deed() as session:
            row = session.get_one(Agreement, agreement.id)
            row.operator_id = town.parties[side]
            confirmed = Confirmation(
                id=new_id(), number=f"CJ-{n}", no=n, exchange_id=town.parties[side],
                exchange_number="1", agreement_id=row.id, from_on="", until_on="", row_count=1,
                amount_fen=10_600, vat_fen=600, net_fen=10_000, rows_digest="", batch_root="",
                subtree_roots=[], chain_id=1, signed_by="", signature="", source_name="",
                first_n=1, recorded_by="tester",
            )  # fmt: skip
            log.append(session, row, "agreement.changed", "tester")
            log.append(session, confirmed, "confirmation.recorded", "tester")
            told = f'{{"amount_fen":10600,"buyer":"{PARTIES[buyer][2]}"}}'
            session.add(Trade(batch=n, n=1, trade=f"T-{n}", salt=b"", row=told))
    town.now = datetime(2026, 4, 2, tzinfo=UTC)
    shown = [31_800] if len({*buyers.split()}) == 3 else [None]
    for by in ("quarter", "year"):
        span = {"start": date(2026, 1, 1), "until": date(2026, 3, 31), "by": by}
        assert values(made(town, **span), "T6") == {"": [31_800]}
        if by == "quarter":
            assert values(made(town, "", **span), "T6") == {"": shown}
    town.now = datetime(2026, 7, 2, tzinfo=UTC)
    asked: list[str] = []
    event.listen(town.home.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    later = {"start": date(2026, 4, 1), "until": date(2026, 6, 30), "by": "quarter"}
    assert values(made(town, "", **later), "T6") == {"": [0]}
    assert not [one for one in asked if "trades" in one], "rows of before are nobody's buyers now"
    town.now = datetime(2027, 4, 2, tzinfo=UTC)
    year = {"start": date(2026, 1, 1), "until": date(2026, 12, 31), "by": "year"}
    assert values(made(town, "", **year), "T6") == {"": shown}


def test_who_keeps_the_books_or_watches_sees_all(quarters: Town) -> None:
    for who in ("gwen", "rita", "mona", "carl"):
        assert made(quarters, who, start=date(2026, 1, 1))["full"], who
    for who in ("olga", "paul", "egon", "admin"):
        assert not made(quarters, who, start=date(2026, 1, 1))["full"], who


def test_every_indicator_is_defined_in_both_languages_and_names_its_records() -> None:
    for one in INDICATORS.values():
        assert all((one.zh, one.en, one.defined_zh, one.defined_en, one.source)), one.code
        assert one.rule in ("flow", "stock"), one.code
        assert one.unit in ("count", "fen"), one.code
