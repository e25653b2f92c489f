"""The Solidity contracts and their committed artifacts (ABI and bytecode)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("CheckpointAnchor", "CirculationRegistry", "RevenueBook", "VoucherRegistry")
"""The contracts that are deployed, in alphabetical order."""

ARTIFACTS: Final = Path(__file__).resolve().parent / "artifacts"


@cache
def artifact(name: str) -> dict[str, Any]:
    """Return the committed artifact of one contract of `NAMES`; the same object at every call.

    Keys: `contract`, `abi` (list), `bytecode` and `deployed_bytecode` (0x-hex), `compiler` (str),
    `settings` (dict), `source_sha256` (hex, over all sources), `sources` (hex SHA-256 by name).

    Raises
    ------
    KeyError : there is no such contract
    """
    if name not in NAMES:
        raise KeyError(name)
    loaded: dict[str, Any] = json.loads((ARTIFACTS / f"{name}.json").read_text("utf-8"))
    return loaded
