"""A disk that is full: told in a sentence and by a code, nothing half stored, and all goes on after it."""

import io
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from html import unescape
from typing import Any

import pytest
from sqlalchemy import event, text

from ledger.proof.encoding import canonical
from ledger.store import is_full
from ledger.vouchers import Voucher
from tests.conftest import Town
from tests.web.conftest import Site
from tests.web.sending import problem
from tests.web.test_jobs_pages import plain, visit_of
from webapp import jobs
from webapp.deeds.background import work

pytestmark = pytest.mark.pages
SAID = "The server's disk is full: nothing was stored. Tell the administrator of this site"
DEEDS_MAX = 200
REFUSING = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON records EXECUTE FUNCTION no_room();
"""


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """While it holds, the system refuses this process every longer file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def full_database(town: Town) -> Iterator[None]:
    """While it holds, the database has no room: SQLite by its own limit, PostgreSQL by its own error."""
    engine = town.home.engine
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text(REFUSING))
        yield
        with engine.begin() as connection:
            connection.execute(text("DROP FUNCTION no_room CASCADE"))
        return
    with engine.begin() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    def confine(driver: Any, _: Any) -> None:
        driver.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()

    engine.dispose()
    event.listen(engine, "connect", confine)
    yield
    event.remove(engine, "connect", confine)
    engine.dispose()


def refused_for_want_of_room(deed: Callable[[int], Any]) -> int:
    """How many deeds were done before one was refused; each is told by its status."""
    for n in range(DEEDS_MAX):
        answer = deed(n)
        if answer.status_code != 201:
            problem(answer, 507, "disk_full")
            assert answer.get_json()["detail"].startswith(SAID)
            return n
    raise AssertionError("there was always room")


def test_an_upload_that_finds_no_room_is_told_so(site: Site) -> None:
    visit = visit_of(site, "olga")
    visit.get("/deposits/new")
    before, data = site.town.snapshot(), b"a,b\n" * 50_000
    api = {"Idempotency-Key": "no-room-for-it"}

    def ask() -> Any:
        return visit.client.post(
            "/api/v1/deposits", data={"file": (io.BytesIO(data), "a.csv")}, headers=api
        )

    with files_of_at_most(100_000):
        problem(ask(), 507, "disk_full")
        page = visit.post("/deposits/new", {"file": (io.BytesIO(data), "a.csv")}, status=507).text
    assert SAID in unescape(plain(page))
    assert site.town.snapshot() == before
    assert not list(site.town.home.path.glob("materials/*"))
    assert ask().status_code == 201


def test_a_database_without_room_stores_nothing_and_goes_on_later(site: Site) -> None:
    visit, town = visit_of(site, "olga"), site.town

    def deposit(n: int) -> Any:
        data = {"file": (io.BytesIO(f"a\n{n}\n".encode()), "a.csv")}
        key = {"Idempotency-Key": f"deposit-number-{n}"}
        return visit.client.post("/api/v1/deposits", data=data, headers=key)

    with full_database(town):
        done = refused_for_want_of_room(deposit)
        before = town.snapshot()
        page = visit.post("/deposits/new", {"file": (io.BytesIO(b"a\nb\n"), "a.csv")}, status=507)
        assert SAID in unescape(plain(page.text))
        assert town.snapshot() == before
        assert visit.get("/deposits")
    assert len(before["deposits"]) == done
    assert deposit(done).status_code == 201


def test_confirmed_trades_that_find_no_room_are_told_so_and_handed_in_again(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    given = town.trades_file(town.get(Voucher, licence), 2_000)
    signed = canonical(town.signed(agreement, given))
    visit = visit_of(site, "egon")
    runner = jobs.Runner(town.home, partial(work, site.desk), lambda: town.now)

    def hand_in() -> str:
        files = {"file": (io.BytesIO(given.encode()), "a.csv"),
                 "signature": (io.BytesIO(signed), "c.json")}  # fmt: skip
        return str(visit.post("/confirmations/new", files).headers["Location"])

    place = hand_in()
    with full_database(town):
        assert runner.run_one()
    assert SAID in unescape(plain(visit.get(place)))
    stored = town.snapshot()
    assert (stored["confirmations"], stored["settlements"], stored["entry_lines"]) == ([], [], [])
    place = hand_in()
    assert runner.run_one()
    assert "2000 trades" in plain(visit.get(place)).replace(",", "")


@pytest.mark.parametrize("error", [OSError(5, "input"), ValueError(), None])
def test_other_faults_are_not_taken_for_a_full_disk(error: BaseException | None) -> None:
    assert not is_full(error)
