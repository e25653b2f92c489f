"""What transactions cost: exactly what `tests/golden/gas.json` says, and no more than allowed.

After a deliberate change of a contract: `python -m tests.chain.gas --write`.
"""

from __future__ import annotations

import json

import pytest

from contracts.build import SOURCES
from tests.chain import gas
from tests.chain.stage import GAS


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    return gas.measure()


def test_gas_is_what_the_golden_file_says(measured: dict[str, int]) -> None:
    assert measured == json.loads(gas.GOLDEN.read_text("utf-8"))


@pytest.mark.parametrize("case", gas.TARGETS)
def test_gas_is_within_its_target(measured: dict[str, int], case: str) -> None:
    assert measured[case] <= gas.TARGETS[case]


def test_every_transaction_is_below_the_limit_of_one(measured: dict[str, int]) -> None:
    """The contract bounds its batches, so that the dearest case is the longest one."""
    dearest = max(measured, key=lambda case: measured[case])
    assert dearest == "VoucherRegistry.supersede by 200, limited"
    assert measured[dearest] < GAS


def test_the_readme_tells_the_figures_of_the_golden_file() -> None:
    golden = json.loads(gas.GOLDEN.read_text("utf-8"))
    readme = (SOURCES.parent / "README.md").read_text("utf-8")
    dearest = "VoucherRegistry.supersede by 200, limited"
    figures = [golden[case] for case in (*gas.TARGETS, dearest)] + list(gas.TARGETS.values())
    assert not [figure for figure in figures if f"{figure:,}" not in readme]
