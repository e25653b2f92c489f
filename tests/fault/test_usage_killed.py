"""kill -9 of an intake of usage at any moment, then the same file again: every event exactly once."""

import json
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from ledger.proof.encoding import parse_instant
from tests.fault.test_killed import killed_demo
from tests.story.conftest import SHUZHENG, Demo

ROWS = 200_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return killed_demo(tmp_path_factory.mktemp("usage") / "home", [])


def asked(home: Path, question: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(home / "ledger.db") as connection:
        return connection.execute(question).fetchall()


def events(home: Path, name: str) -> Path:
    """A file of events under the demo's licence, since its first day."""
    ((order, since),) = asked(home, "SELECT order_reference, valid_from FROM licences LIMIT 1")
    start = int(parse_instant(str(since)[:19].replace(" ", "T") + "Z").timestamp())
    n = pl.int_range(ROWS, eager=True)
    path = home / f"{name}.ndjson"
    pl.DataFrame({"at": pl.from_epoch(start + n, "s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")}).select(
        "at", event=pl.format(f"{name}-{{}}", n), kind=pl.lit("query"), licence=pl.lit(str(order)),
        quantity=pl.lit(1), unit=pl.lit("次"),
    ).write_ndjson(path)  # fmt: skip
    return path


@pytest.mark.slow
def test_a_killed_intake_leaves_nothing_and_the_next_one_is_whole(demo: Demo) -> None:
    path = events(demo.home, "K")
    command = [*SHUZHENG, "import", "usage", str(path), "--home", str(demo.home), "--json"]
    seen: list[int] = []
    for delay in (1.5, 2.5, 3.5):
        with subprocess.Popen(
            command, env=demo.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            staged = 0
            until = time.monotonic() + 60
            # killed a moment after rows begin to stand there, or at the latest when it is done
            while process.poll() is None and time.monotonic() < until:
                staged = int(str(asked(demo.home, "SELECT count(*) FROM usage_subtrees")[0][0]))
                if staged >= delay:
                    break
                time.sleep(0.01)
            process.kill()
        seen.append(staged)
        assert asked(demo.home, "SELECT count(*) FROM usage_batches") == [(0,)]
        with sqlite3.connect(demo.home / "ledger.db") as connection:  # as if its lease had run out
            connection.execute(
                "UPDATE usage_intakes SET leased_until = '2000-01-01 00:00:00.000000'"
            )
    assert max(seen) > 0, "it was killed while rows stood there"
    done = subprocess.run(command, env=demo.environment, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    assert answer["rows"] == ROWS
    assert not answer["known"]
    again = subprocess.run(
        command, env=demo.environment, check=True, capture_output=True, text=True
    )
    assert json.loads(again.stdout) == {**answer, "known": True}
    assert asked(demo.home, "SELECT count(*), count(DISTINCT event) FROM usage_rows") == [
        (ROWS, ROWS)
    ]
    assert asked(demo.home, "SELECT count(*) FROM usage_intakes") == [(0,)]
    assert demo.audit()["differences"] == []


@pytest.mark.slow
def test_killed_again_and_again_with_the_real_lease_it_still_ends_once(
    demo: Demo, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo.home, home)
    path = events(home, "L")
    before = asked(home, "SELECT count(*) FROM usage_rows")[0][0]
    command = [*SHUZHENG, "import", "usage", str(path), "--home", str(home)]
    for delay in (2.0, 3.0):
        with subprocess.Popen(command, env=demo.environment, stderr=subprocess.DEVNULL) as process:
            time.sleep(delay)
            process.kill()
    subprocess.run(command, env=demo.environment, check=True, timeout=300)
    assert asked(home, "SELECT count(*) FROM usage_rows") == [(int(str(before)) + ROWS,)]
