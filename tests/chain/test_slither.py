"""Slither finds nothing in the contracts; what it may pass over is marked, and each mark is needed."""

from __future__ import annotations

import pytest

from contracts import build, slither

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not slither.PROGRAM.is_file(),
        reason=f"{slither.PROGRAM} is not there; `make slither` makes it, and so does .ci/run",
    ),
]


def test_slither_finds_nothing(packages: None) -> None:
    assert slither.findings(build.sources()) == []


def test_without_the_marks_slither_finds_just_what_they_name(packages: None) -> None:
    texts = build.sources()
    marks = sum(text.count("// slither-disable-") for name, text in texts.items() if ours(name))
    bare = {
        name: text.replace("// slither-disable-", "// ") if ours(name) else text
        for name, text in texts.items()
    }
    found = slither.findings(bare)
    assert {name for name, _ in found} == {"assembly", "naming-convention", "timestamp"}
    assert [name for name, _ in found if name != "naming-convention"] == ["timestamp", "assembly"]
    assert marks == 10


def test_slither_sees_a_fault(packages: None) -> None:
    texts = build.sources()
    name = "src/CheckpointAnchor.sol"
    texts[name] = texts[name].replace(
        "uint64 oldSize = _latestSize;",
        "if (tx.origin == address(1)) return; uint64 oldSize = _latestSize;",
    )
    assert "tx-origin" in {check for check, _ in slither.findings(texts)}


def ours(name: str) -> bool:
    return name.startswith("src/")
