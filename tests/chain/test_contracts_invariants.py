"""Roles and states under calls made up at random: contract and model agree, and the laws hold.

What is compared after every call, and the laws that need no model, stand in `walk.py`.
"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from contracts import artifact
from tests.chain.walk import DOORS, World, walk

WALKS = {
    "CheckpointAnchor": ["CheckpointAnchor"],
    "VoucherRegistry": ["VoucherRegistry"],
    "CirculationRegistry": ["VoucherRegistry", "CirculationRegistry", "CirculationRegistry"],
    "RevenueBook": ["RevenueBook"],
}


@cache
def world() -> World:
    return World()


class Machine(RuleBasedStateMachine):
    """One ledger's contracts, called by everybody with everything."""

    names: list[str]

    def __init__(self) -> None:
        super().__init__()
        world().begin()

    @rule(data=st.data())
    def somebody_calls(self, data: st.DataObject) -> None:
        def pick(choices: list[object]) -> object:
            return data.draw(st.sampled_from(choices))

        world().step(pick(self.names), pick)  # type: ignore[arg-type]

    @rule(seconds=st.sampled_from([1, 99, 101]))
    def time_passes(self, seconds: int) -> None:
        world().chain.at(world().chain.now + seconds)


def run(names: list[str], examples: int, steps: int) -> None:
    machine = type("Machine", (Machine,), {"names": names})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("contract", WALKS)
def test_the_laws_hold_whoever_calls_what(contract: str) -> None:
    run(WALKS[contract], examples=40, steps=30)


@pytest.mark.slow
@pytest.mark.parametrize("contract", WALKS)
def test_the_laws_hold_over_many_and_long_walks(contract: str) -> None:
    run(WALKS[contract], examples=200, steps=50)


@pytest.mark.slow
@pytest.mark.parametrize("contract", WALKS)
def test_a_walk_does_every_deed_and_meets_every_refusal(contract: str) -> None:
    """What the walks cannot meet they cannot judge: seeded ones meet all there is."""
    chain = world()
    done: set[str] = set()
    met: set[str] = set()
    for seed in range(60):
        walk(chain, WALKS[contract], 60, seed)
        done |= set(chain.done)
        met |= set(chain.refusals)
        if done >= set(DOORS[contract]) and met >= errors(contract):
            return
    pytest.fail(f"never done {set(DOORS[contract]) - done}, never met {errors(contract) - met}")


def errors(contract: str) -> set[str]:
    """The refusals that somebody can meet after deployment."""
    of_deployment = {"VouchersMissing", "CheckersOutOfRange"}
    of_libraries = {"InvalidShortString", "StringTooLong", "InvalidAccountNonce"}
    names = {item["name"] for item in artifact(contract)["abi"] if item["type"] == "error"}
    return names - of_deployment - of_libraries
