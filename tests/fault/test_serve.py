"""`shuzheng serve`: one command runs all; whatever is killed, nothing stays behind and nothing is lost."""

import http.client
import json
import os
import random
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.story.conftest import SHUZHENG, Demo, environment
from webapp import serve

PASSPHRASE = "correct horse battery staple"
REGISTRY, OPERATOR = "12000000DEM000001E", "91000000DEM000003F"
START_S, GONE_S, STOP_S = 60, 10, 15
ALL = ["node", "serve", "site", "worker"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A home with an operator, made by commands; tests work on copies of it."""
    settings = {**environment(), "SHUZHENG_PASSPHRASE": PASSPHRASE}
    made = Demo(tmp_path_factory.mktemp("template") / "home", settings, "")
    at_home = ("--as", "admin", "--home", str(made.home))
    for command in (
        ("init", "--uscc", REGISTRY, "--home", str(made.home)),
        ("party", "add", "--name", "运营", "--uscc", OPERATOR, "--kind", "enterprise", *at_home),
        ("member", "add", "--party", OPERATOR, "--login", "olga", "--name", "Olga", "--role",
         "operator", *at_home),
    ):  # fmt: skip
        assert made.invoke(*command).exit_code == 0
    return made


def copy_of(template: Demo, folder: Path) -> Demo:
    shutil.copytree(template.home, folder / "home")
    return Demo(folder / "home", template.environment, "")


@pytest.fixture
def home(template: Demo, tmp_path: Path) -> Demo:
    return copy_of(template, tmp_path)


@dataclass
class Served:
    """A running `serve`, and what belongs to it."""

    demo: Demo
    process: "subprocess.Popen[str]"
    url: str = ""

    def get(self, path: str = "/") -> int:
        """The status of a page."""
        link = http.client.HTTPConnection(str(urlsplit(self.url).netloc), timeout=START_S)
        try:
            link.request("GET", path)
            return link.getresponse().status
        finally:
            link.close()

    def deposit(self, name: str) -> str:
        """Deposit evidence by the command line; its id."""
        path = self.demo.home.parent / name
        path.write_text(name)
        found = self.demo.invoke("deposit", str(path), "--json", "--home", str(self.demo.home))
        assert found.exit_code == 0, found.stderr
        return str(json.loads(found.stdout)["id"])

    def rungs(self, subject_id: str) -> list[str]:
        found = self.demo.invoke("history", subject_id, "--home", str(self.demo.home))
        return [record["rung"] for record in json.loads(found.stdout)]


def start(demo: Demo, *options: str) -> Served:
    """`serve` on a free port, not yet waited for."""
    command = [*SHUZHENG, "serve", "--json", "--home", str(demo.home), "--port", "0", *options]
    return Served(
        demo, subprocess.Popen(command, env=demo.environment, stdout=subprocess.PIPE, text=True)
    )


def await_address(served: Served) -> None:
    assert served.process.stdout is not None
    assert select.select([served.process.stdout], [], [], START_S)[0], "no address was told"
    told = served.process.stdout.readline()
    assert told, "it ended without an address"
    served.url = json.loads(told)["url"]


@contextmanager
def serving(demo: Demo, *options: str) -> Iterator[Served]:
    """`serve`, answering; ended in any case."""
    served = start(demo, *options)
    try:
        await_address(served)
        yield served
    finally:
        end(served)


def end(served: Served) -> int:
    """SIGTERM, and the exit code; stops by pid whatever does not heed it."""
    served.process.terminate()
    try:
        return served.process.wait(STOP_S)
    finally:
        served.process.kill()
        served.process.wait()
        if served.process.stdout is not None:
            served.process.stdout.close()
        for _, pid in running(served.demo.home):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def running(home: Path) -> list[tuple[str, int]]:
    """The processes of a home: verb and pid."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,args=", "-ww"], capture_output=True, text=True, check=True
    ).stdout
    found = []
    for line in listed.splitlines():
        pid, *words = line.split()
        if str(home) in words and "webapp" in words:
            found.append((words[words.index("webapp") + 1], int(pid)))
    return sorted(found)


def verbs(home: Path) -> list[str]:
    return [verb for verb, _ in running(home)]


def until(what: Callable[[], Any], limit_s: float = START_S) -> Any:
    """What it answers as soon as that is true."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {limit_s} s")


def is_bound(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as link:
        return link.connect_ex((str(place.hostname), place.port or 0)) == 0


def refused(demo: Demo, *options: str) -> str:
    """What `serve` says when it refuses at its own door, where no process is begun."""
    found = demo.invoke("serve", "--port", "0", *options, "--home", str(demo.home))
    assert (found.exit_code, found.stdout) == (1, "")
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    return found.stderr


# ---------------------------------------------------------------- all is well


@pytest.fixture(scope="module")
def served(template: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One `serve` with two site processes and its passphrase in a file, for tests that leave it running."""
    demo = copy_of(template, tmp_path_factory.mktemp("served"))
    kept = demo.home.parent / "passphrase"
    kept.write_text(demo.environment["SHUZHENG_PASSPHRASE"])
    demo.environment = environment()
    with serving(demo, "--processes", "2", "--passphrase-file", str(kept)) as found:
        until(lambda: verbs(demo.home) == ["node", "serve", "site", "site", "worker"])
        yield found


def test_the_address_told_answers_and_stands_in_the_home(served: Served) -> None:
    assert served.get() >= 200
    told = json.loads((served.demo.home / "site.json").read_bytes())
    assert told == {"pid": served.process.pid, "url": served.url}


def test_what_is_deposited_meanwhile_is_anchored_by_its_worker(served: Served) -> None:
    made = served.deposit("meanwhile.txt")
    until(lambda: served.rungs(made) == ["confirmed"])


def test_a_second_serve_of_the_home_is_refused_by_the_first_one_s_pid(served: Served) -> None:
    assert f"by the process {served.process.pid}." in refused(served.demo)
    assert served.get() >= 200


def test_a_taken_port_is_refused(served: Served, home: Demo) -> None:
    port = str(urlsplit(served.url).port)
    assert f"The port {port} of 127.0.0.1 is taken" in refused(home, "--port", port)
    assert running(home.home) == []


@pytest.mark.slow
def test_whatever_dies_is_begun_again(served: Served) -> None:
    demo = served.demo
    until((demo.home / "node.json").exists)
    node = json.loads((demo.home / "node.json").read_bytes())
    before = running(demo.home)
    for verb, pid in before:
        if verb != "serve":
            os.kill(pid, signal.SIGKILL)
    assert served.get() >= 200  # its visitor waited
    until(lambda: verbs(demo.home) == [verb for verb, _ in before])
    assert [pair for pair in running(demo.home) if pair in before] == [
        ("serve", served.process.pid)
    ]
    made = served.deposit("again.txt")
    until(lambda: served.rungs(made) == ["confirmed"])
    assert json.loads((demo.home / "node.json").read_bytes())["url"] == node["url"]


# ---------------------------------------------------------------- refused before anything begins


def test_a_home_that_is_none_is_refused(template: Demo, tmp_path: Path) -> None:
    nothing = Demo(tmp_path / "nothing", template.environment, "")
    assert "is not a home of Shuzheng: run `shuzheng init" in refused(nothing)
    assert not nothing.home.exists()


def test_a_wrong_passphrase_is_refused(home: Demo) -> None:
    before = sorted(home.home.iterdir())
    found = home.at_home("serve", "--port", "0", SHUZHENG_PASSPHRASE="not this one at all")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "refused: The passphrase does not open this home's keys.\n"
    assert sorted(home.home.iterdir()) == sorted([*before, home.home / "serve.lock"])
    assert running(home.home) == []


def test_tables_older_than_the_code_are_refused(home: Demo) -> None:
    connection = sqlite3.connect(home.home / "ledger.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    found = home.at_home("serve", "--port", "0", "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["facts"]["cause"].startswith("0000 → ")
    assert "run `shuzheng init` again" in found.stderr


# ---------------------------------------------------------------- how it ends


def test_sigterm_ends_all_in_time_and_leaves_nothing(home: Demo) -> None:
    with serving(home) as served:
        until(lambda: verbs(home.home) == ALL)
        assert end(served) == 0
    assert running(home.home) == []
    assert not is_bound(served.url)
    left = {path.name for path in home.home.iterdir()}
    assert not left & {"site.json", "site.part", "node.json"}


def killed_at_random(demo: Demo, dice: random.Random, times: int) -> None:
    """`serve` killed at random moments leaves nothing running, and what was recorded is there after."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    deposits = []
    for n in range(times):
        served = start(demo, "--port", port, "--processes", str(dice.choice((1, 2))))
        assert served.process.stdout is not None
        time.sleep(dice.uniform(0.2, 3))
        deposits.append(served.deposit(f"{n}.txt"))
        served.process.kill()
        served.process.wait()
        served.process.stdout.close()
        if n + 1 < times:  # after the last, the next one has to wait for what was left behind
            url = f"http://127.0.0.1:{port}"
            until(lambda: running(demo.home) == [] and not is_bound(url), GONE_S)  # noqa: B023
    with serving(demo, "--port", port) as served:
        for made in deposits:
            until(lambda made=made: served.rungs(made) == ["confirmed"])  # type: ignore[misc]
        found = demo.invoke("audit", "--json", "--home", str(demo.home))
        assert json.loads(found.stdout)["differences"] == []


@pytest.mark.slow
def test_killed_at_random_moments_nothing_stays_and_nothing_is_lost(home: Demo) -> None:
    killed_at_random(home, random.Random(1), 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_killed_at_many_random_moments_nothing_stays_and_nothing_is_lost(
    home: Demo, seed: int
) -> None:
    killed_at_random(home, random.Random(seed), 12)


# ---------------------------------------------------------------- its parts


def test_the_watcher_loads_nothing_heavy() -> None:
    heavy = "{'web3', 'eth', 'eth_account', 'polars', 'sqlalchemy', 'flask', 'granian', 'typst'}"
    code = f"import sys, webapp.cli, webapp.serve; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_a_killed_serve_left_behind_is_waited_for(tmp_path: Path) -> None:
    with serve.only_one(tmp_path) as lock:
        sleep = [sys.executable, "-S", "-c", "import time; time.sleep(0.7)"]
        orphan = subprocess.Popen(sleep, pass_fds=(lock,))
    killed = subprocess.Popen([sys.executable, "-S", "-c", ""])
    killed.wait()
    (tmp_path / "serve.lock").write_text(str(killed.pid))
    with serve.only_one(tmp_path):
        assert orphan.wait(0.2) == 0
        assert (tmp_path / "serve.lock").read_text() == str(os.getpid())


def test_a_child_that_dies_at_once_is_begun_after_growing_pauses() -> None:
    begun = []

    def begin() -> "subprocess.Popen[bytes]":
        begun.append(time.monotonic())
        return subprocess.Popen([sys.executable, "-S", "-c", ""])

    child = serve.Child("test", begin, 1)
    end_s = time.monotonic() + 10
    while len(begun) < 4 and time.monotonic() < end_s:
        child.tend()
        time.sleep(0.01)
    child.end()
    first, second, third = (after - before for before, after in pairwise(begun))
    assert serve.PAUSE_MIN_S <= first < third
    assert second >= 2 * serve.PAUSE_MIN_S
    assert third >= 4 * serve.PAUSE_MIN_S


def test_a_request_does_not_show_our_environment() -> None:
    seen = {}
    app = serve.without_secrets(lambda environ, _start: seen.update(environ))
    app({"PATH_INFO": "/", "SHUZHENG_PASSPHRASE": "x", "DATABASE_URL": "y"}, None)
    assert seen == {"PATH_INFO": "/"}
