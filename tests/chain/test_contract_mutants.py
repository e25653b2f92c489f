"""Every fault we can think of is seen: each mutant of a contract is killed (`mutants.py` has the list)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from contracts import NAMES, build
from tests.chain import mutants
from tests.chain.mutants import MUTANTS, Mutant, killer

NAMED_BY_THE_CUSTOMER = [
    "without `fn == sn`",
    "without the inner shift",
    "without `sn == 0` in the loop",
]


def of_name(mutant: Mutant) -> str:
    return f"{mutant.contract}: {mutant.name}"


def test_the_list_names_each_fault_once_and_in_both_routines() -> None:
    names = [of_name(mutant) for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 180
    readme = (build.HERE / "README.md").read_text("utf-8")
    assert f"{len(names)} faults" in readme
    counts = Counter(mutant.contract for mutant in MUTANTS)
    assert all(counts[name] >= 20 for name in NAMES), counts
    for routine in ("includes", "consistency"):
        for fault in NAMED_BY_THE_CUSTOMER:
            assert f"CheckpointAnchor: {routine} {fault}" in names
    assert "CheckpointAnchor: old < new not checked" in names
    assert "CheckpointAnchor: includes without `index < size`" in names


def test_each_fault_stands_in_a_source_that_has_such_text() -> None:
    texts = {
        f"src/{path.relative_to(build.SOURCES).as_posix()}": path.read_text("utf-8")
        for path in build.SOURCES.rglob("*.sol")
    }
    for mutant in MUTANTS:
        changed = mutants.mutated(texts, mutant)
        assert [name for name in texts if changed[name] != texts[name]] == [mutant.source]


@pytest.fixture(scope="module")
def built(packages: None) -> dict[str, dict[str, Any]]:
    """Every mutant compiled, and each contract unchanged."""
    whole = [Mutant(name, "unchanged", "pragma", "pragma") for name in NAMES]
    given = sorted([*MUTANTS, *whole], key=lambda mutant: mutant.contract)
    return {
        of_name(mutant): code for mutant, code in zip(given, mutants.compiled(given), strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=of_name)
def test_a_mutant_is_killed(mutant: Mutant, built: dict[str, dict[str, Any]]) -> None:
    found = killer(mutant, built[of_name(mutant)])
    assert found is not None
    print(f"{of_name(mutant)}: {found}")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_unchanged_contract_lives(name: str, built: dict[str, dict[str, Any]]) -> None:
    """Compiled as the mutants are: what kills them is the fault."""
    assert killer(Mutant(name, "unchanged", "", ""), built[f"{name}: unchanged"]) is None
