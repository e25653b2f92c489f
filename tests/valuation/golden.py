"""The golden documents of the methods: every file of that shape, by the cases' names."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "golden/valuation"


def worked() -> dict[str, dict[str, Any]]:
    """The cases with their working, by name: those of methods, of all files but methods.json."""
    read = [
        json.loads(path.read_text("utf-8"))
        for path in sorted(FOLDER.glob("*.json"))
        if path.name != "methods.json"
    ]
    cases = [case for one in read for case in one.get("cases", ())]
    return {case["name"]: case for case in cases if "method" in case["document"]}
