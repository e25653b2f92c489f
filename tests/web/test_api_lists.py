"""Lists of the API by pages: each row once, while others come, and only what the reader may see."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from ledger import agreements, schemes
from tests.ledger import bookings
from tests.web.conftest import Site
from tests.web.examples import EXAMPLES, a_consent, fresh_member, serial
from tests.web.sending import problem, tree_size
from tests.web.test_usage import usage_batch
from webapp.deeds import QUESTIONS
from webapp.deeds.answers import PAGE_MAX


def pages(
    visit: Any, path: str, limit: int, between: Callable[[], Any] = lambda: None
) -> list[Any]:
    """All rows, page by page; `between` happens after each page."""
    found, after = [], ""
    for _ in range(1000):
        page = visit.read(f"{path}?limit={limit}{after}")
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        assert len(page["items"]) == limit
        after = f"&after={page['next']}"
        between()
    raise AssertionError("a list without end")


LISTS = [q for q in QUESTIONS.values() if q.listed]
FILLED = {  # lists that may have no row yet: a deed whose example makes one ready
    "alarm.list": "alarm.close", "authorisation.list": "authorisation.consent",
    "catalogue.list": "catalogue.reject", "demand.list": "demand.assign", "duty.list": "duty.settle",
    "evaluation.list": "evaluation.comment", "exclusion.list": "exclusion.end",
    "feedback.list": "feedback.answer", "motion.list": "motion.reject",
    "objection.list": "objection.dismiss", "peer.list": "peer.reject",
    "price.list": "price.withdraw", "bank_account.list": "bank_account.reject",
    "payout.list": "payout.cancel", "reconciliation.list": "difference.answer",
    "difference.list": "difference.answer", "order.list": "order.cancel", "refund.list": "refund.reject",
    "remittance.list": "refund.propose_prepayment", "confirmation.list": "refund.propose_trade",
    "journal.list": "journal.reject", "limit.list": "limit.reject", "inquiry.list": "inquiry.answer",
    "period.list": "period.reopen",
    "recognition.list": "recognition.follow", "statement.list": "statement.propose",
}  # fmt: skip


@pytest.mark.pages
@pytest.mark.parametrize("question", LISTS, ids=lambda one: one.name)
def test_a_list_walked_by_pages_has_each_row_once(place: Site, question: Any) -> None:
    town = place.town
    a_consent(place)
    town.appraisal(town.registration())
    licence = town.licence(town.voucher())
    town.payment(licence, 100, f"P-{next(serial)}")
    usage_batch(town, licence.order_reference)
    if question.name == "hold.list":
        bookings.hold(town)
    if question.name == "entry.list":
        bookings.approved(town)
    if question.name in FILLED:
        EXAMPLES[FILLED[question.name]](place)
    keys = {}
    if question.keys:
        with town.reading() as session:
            found = session.scalars(
                select(schemes.Scheme).order_by(schemes.Scheme.id.desc())
            ).first()
            agreed = session.get_one(agreements.Agreement, found.agreement_id) if found else None
        assert agreed is not None, "an agreement with a scheme"
        keys = {"agreement_number": agreed.number}
    visit = place.visit(fresh_member(place, "regulator", "registrar"))
    path = question.path
    for key, value in keys.items():
        path = path.replace(f"<{key}>", value)
    ids = [row["id"] for row in pages(visit, path, PAGE_MAX)]
    assert ids == sorted(set(ids), reverse=True), "newest first"
    assert ids
    for limit in {1, max(1, len(ids) - 1), len(ids), len(ids) + 1} & set(range(1, PAGE_MAX)):
        assert [row["id"] for row in pages(visit, path, limit)] == ids


def test_rows_that_come_meanwhile_neither_skip_nor_repeat_older_ones(place: Site) -> None:
    """Lists have the newest first, the log the oldest: both while they grow."""
    town, visit = place.town, place.visit("olga")
    for _ in range(7):
        town.deposit("olga", f"row {next(serial)}".encode())
    before = [row["id"] for row in visit.read(f"/deposits?limit={PAGE_MAX}")["items"]]
    new: list[str] = []

    def grow() -> None:
        new.append(town.deposit("olga", f"row {next(serial)}".encode()).id)

    assert [row["id"] for row in pages(visit, "/deposits", 2, grow)] == before
    assert new
    now = [row["id"] for row in visit.read(f"/deposits?limit={PAGE_MAX}")["items"]]
    assert now == [*reversed(new), *before]

    size, start, found = tree_size(town), 0, []
    limit = min(40, size // 4)  # several pages, however long the log is by now
    for _ in range(1000):
        page = visit.read(f"/log/entries?start={start}&limit={limit}")
        found += [row["leaf_index"] for row in page["items"]]
        if page["next"] is None:
            break
        start = page["next"]
        if len(new) < 12:
            grow()
    assert found == list(range(tree_size(town)))
    assert len(found) > size, "what came meanwhile is seen at the end"


def test_a_list_shows_only_what_its_reader_may_see_on_every_page(place: Site) -> None:
    ours = place.town.deposit("olga", f"row {next(serial)}".encode()).id
    theirs = place.town.deposit("mallory", f"row {next(serial)}".encode()).id
    seen = {row["id"] for row in pages(place.visit("olga"), "/deposits", 1)}
    assert ours in seen
    assert theirs not in seen
    answer = place.visit("olga").client.get(f"/api/v1/deposits/{theirs}")
    problem(answer, 403)
    found = place.visit("olga").read(f"/deposits?after={theirs}")
    assert theirs not in {row["id"] for row in found["items"]}, "a cursor is a place, not a right"
