"""A payee's proof, checked by a program that has none of our code and only what docs/verifying.md says."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.proof.chain_node import GET_STATEMENT, VERIFY_STATEMENT, Node
from ledger.proof.encoding import canonical
from tests.proof.test_verify_fuzz import put
from tests.proof.world import STATEMENT_KEY, Chain, World

STRANGER = Path(__file__).with_name("stranger_line.py")
DOCUMENT = Path(__file__).parents[2] / "docs" / "verifying.md"


@pytest.fixture
def ask(world: World, node: Node, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """What the program says of a document, with a node or without one."""

    def run(document: Any, *, online: bool = True) -> tuple[int, str]:
        (tmp_path / "line.json").write_bytes(canonical(document))
        (tmp_path / "trust.json").write_bytes(world.trust_file)
        given = [str(tmp_path / name) for name in ("line.json", "trust.json")]
        command = [sys.executable, "-I", "-S", str(STRANGER), *given, *[node.url] * online]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_stranger_s_program_comes_to_the_same_verdict(
    world: World, ask: Callable[..., tuple[int, str]]
) -> None:
    proof = world.line_proof()
    code, said = ask(proof)
    assert code == 0
    assert said.splitlines()[1:] == [
        "share: line 1, 91000000DEM000003F, 1250000 fen",
        "share: line 4, 91000000DEM000003F, -5 fen",
        "state: approved, 1 of 1 checkers signed",
    ]
    assert ask(proof, online=False)[0] == 0


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("lines", 0, "line", "amount_fen"), 1_250_001, "signature"),
        (("statement",), "FP2026-0002", "signature"),
        (("proof", "created"), "2026-09-17T04:00:01Z", "signature"),
    ],
)
def test_what_was_changed_it_finds(
    world: World, ask: Callable[..., tuple[int, str]], path: Any, value: Any, where: str
) -> None:
    code, said = ask(put(world.line_proof(), path, value))
    assert (code, said.partition(":")[0]) == (1, where)


@pytest.mark.parametrize(("state", "reverses"), [(1, 0), (3, 0), (4, 0), (2, 1)])
def test_what_is_not_approved_it_does_not_take(
    world: World, chain: Chain, ask: Callable[..., tuple[int, str]], state: int, reverses: int
) -> None:
    chain.statements[STATEMENT_KEY][2] = state
    chain.statements[STATEMENT_KEY][5] = bytes([reverses]) + bytes(31)
    code, said = ask(world.line_proof())
    assert code == 1
    assert "state: " in said


def test_its_document_names_what_it_asks_the_contract() -> None:
    told = set(re.findall(r"`0x([0-9a-f]{8})`", DOCUMENT.read_text()))
    assert told == {VERIFY_STATEMENT, GET_STATEMENT}
    asked = set(re.findall(r"0x([0-9a-f]{8})\{", STRANGER.read_text()))
    assert asked == told
    assert not re.search(
        r"^(from|import) (ledger|valuation|webapp|tests)", STRANGER.read_text(), re.M
    )
