"""A whole statement as the API hands it out, recomputed by a program that has none of our code."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.proof.encoding import canonical
from tests.proof.test_verify_fuzz import put
from tests.web.conftest import Site

pytestmark = pytest.mark.pages
STRANGER = Path(__file__).parents[1] / "proof" / "stranger_statement.py"


def test_a_stranger_recomputes_a_statement_from_what_is_handed_out(
    site: Site, tmp_path: Path
) -> None:
    made = site.town.statement("proposed", platform_cost_fen=1_001)
    shown = site.visit("mona").read(f"/statements/{made.number}")

    def ask(document: Any) -> tuple[int, str]:
        path = tmp_path / "statement.json"
        path.write_bytes(canonical(document))
        command = [sys.executable, "-I", "-S", str(STRANGER), str(path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        return done.returncode, (done.stdout + done.stderr).strip()

    assert ask(shown) == (0, f"{made.number} {made.digest} {made.line_root}")
    line = shown["lines"][0]["amount_fen"]
    assert ask(put(shown, ("lines", 0, "amount_fen"), line + 1))[1].startswith("lines: ")
    assert ask(put(shown, ("lines", 0, "party"), "91"))[1].startswith("root: ")
    assert ask(put(shown, ("facts", "platform_cost_fen"), 1_000))[1].startswith("digest: ")
    step = next(
        n for n, one in enumerate(shown["derivation"]["steps"]) if one["symbol"] == "paid_1"
    )
    told = put(shown, ("derivation", "steps", step, "value"), "1")
    assert ask(told)[1].startswith("shares: ")
