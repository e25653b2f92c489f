"""What transactions cost: exactly what `tests/golden/gas.json` says, and no more than allowed.

After a deliberate change of a contract: `python -m tests.chain.gas --write`.
"""

from __future__ import annotations

import json

import pytest

from tests.chain import gas
from tests.chain.stage import GAS, Stage

LARGEST_BATCH = 311
LARGEST_LIMITED_BATCH = 220


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    return gas.measure()


def test_gas_is_what_the_golden_file_says(measured: dict[str, int]) -> None:
    assert measured == json.loads(gas.GOLDEN.read_text("utf-8"))


@pytest.mark.parametrize("case", gas.TARGETS)
def test_gas_is_within_its_target(measured: dict[str, int], case: str) -> None:
    assert measured[case] <= gas.TARGETS[case]


def test_every_transaction_is_below_the_limit_of_one(measured: dict[str, int]) -> None:
    assert max(measured.values()) < GAS


def test_fifty_vouchers_fit_into_one_transaction(measured: dict[str, int]) -> None:
    assert measured["VoucherRegistry.issueMany 50"] < GAS


def test_the_largest_batch_is_known(stage: Stage) -> None:
    """The README and the outbox rely on it; limited vouchers, which cost more, fit fewer."""
    assert gas.fits(stage, LARGEST_BATCH)
    assert not gas.fits(stage, LARGEST_BATCH + 1)
    assert gas.fits(stage, LARGEST_LIMITED_BATCH, maxUses=1000)
    assert not gas.fits(stage, LARGEST_LIMITED_BATCH + 1, maxUses=1000)
