"""One chain for the whole session; every test finds it as it was deployed."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from contracts import build
from tests.chain.stage import Refused, Stage


@pytest.fixture(scope="session")
def deployed_stage() -> Stage:
    """The chain with all contracts; not for tests, which take `stage`."""
    return Stage()


@pytest.fixture
def stage(deployed_stage: Stage) -> Iterator[Stage]:
    """The chain with all contracts, rewound after the test."""
    snapshot = deployed_stage.tester.take_snapshot()
    yield deployed_stage
    deployed_stage.tester.revert_to_snapshot(snapshot)


@pytest.fixture
def reverts(stage: Stage) -> Callable[..., None]:
    """`reverts(call, sender, name, *arguments)`: the call is refused with just this custom error,
    when asked and when sent.
    """

    def check(call: Any, sender: str, name: str, *arguments: Any) -> None:
        refused = stage.refusal(call, sender)
        assert refused == Refused(name, arguments), refused
        assert stage.fails(call, sender)

    return check


@pytest.fixture(scope="session")
def packages() -> None:
    """The compiler and the OpenZeppelin sources, fetched once where they are missing."""
    with (build.HERE / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not build.PACKAGES.is_dir():
            npm = shutil.which("npm")
            if npm is None:
                pytest.skip("npm is needed to fetch the compiler and the OpenZeppelin sources")
            subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=build.HERE, check=True)
