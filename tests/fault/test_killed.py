"""kill -9 of commands at any moment, then the same command again: nothing lost, nothing twice."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.story.conftest import SHUZHENG, Demo, environment
from tests.story.test_story import EXPECTED_RECORDS, kinds


def killed_demo(home: Path, delays: list[float]) -> Demo:
    """The demo killed after each delay, then run to its end."""
    settings = environment()
    for delay in delays:
        with subprocess.Popen(
            [*SHUZHENG, "demo", "--home", str(home)], env=settings, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                process.wait(delay)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    demo = Demo(home, settings, "")
    finished = demo.at_home("demo")
    assert finished.returncode == 0, finished.stderr[-3000:]
    return demo


@pytest.mark.slow
def test_the_main_job_killed_a_few_times_ends_the_same(tmp_path: Path) -> None:
    demo = killed_demo(tmp_path / "home", [1.5, 2.5, 4.0])
    assert demo.audit()["differences"] == []
    assert kinds(demo.home) == EXPECTED_RECORDS


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_the_main_job_killed_at_many_random_moments_ends_the_same(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    demo = killed_demo(tmp_path / "home", [dice.uniform(0.8, 7) for _ in range(8)])
    assert demo.audit()["differences"] == []
    assert kinds(demo.home) == EXPECTED_RECORDS


@pytest.mark.slow
def test_a_killed_import_is_whole_or_not_there(tmp_path: Path) -> None:
    demo = killed_demo(tmp_path / "home", [])
    before = demo.audit()["records"]
    path = tmp_path / "new.csv"
    rows = [f"K{n},标题{n},工务局" for n in range(3000)]
    path.write_text("\n".join(["编号,资源名称,提供方", *rows]), encoding="utf-8")
    command = [
        *SHUZHENG,
        "import",
        "catalogue",
        str(path),
        "--as",
        "wang",
        "--home",
        str(demo.home),
    ]
    for delay in (0.9, 1.2, 1.5, 1.8, 2.1):
        process = subprocess.Popen(
            command, env=demo.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(delay)
        process.kill()
        process.wait()
        found = demo.audit()
        assert found["differences"] == []
        assert found["records"] in (before, before + 3001)
    assert (
        subprocess.run(command, env=demo.environment, check=False, capture_output=True).returncode
        == 0
    )
    assert demo.audit()["records"] == before + 3001
