"""Ask Slither, which reads contracts for known faults, about ours.

    make slither        make its environment if need be, ask, and print what it finds

Slither needs an older web3 than we do and so lives in an environment of its own, `.venv-slither`. It
gets the same compiler and the same input as the build, hence no path, no network and no other version.
All its detectors look, over all our sources; what it may pass over is marked in the source, each time
with the reason (`// slither-disable-…`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from contracts.build import HERE, BuildError, compiler, sources, task

PROGRAM: Final = Path(os.environ.get("SLITHER") or HERE.parent / ".venv-slither/bin/slither")
CONFIG: Final = HERE / "slither.config.json"


def findings(texts: dict[str, str]) -> list[tuple[str, str]]:
    """Return (detector, description) of all that Slither finds in these sources.

    Raises BuildError when it is not installed or cannot read them.
    """
    if not PROGRAM.is_file():
        raise BuildError(f"{PROGRAM} is missing; run: make slither")
    whole = ["abi", "metadata", "devdoc", "userdoc", "evm.bytecode", "evm.deployedBytecode"]
    with tempfile.TemporaryDirectory() as folder, compiler() as solc:
        for (
            name,
            text,
        ) in texts.items():  # beside the input, it looks up lines and marks in the files
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        given = Path(folder) / "task.json"
        given.write_text(json.dumps(task(texts, {"*": {"*": whole, "": ["ast"]}})), "utf-8")
        told = subprocess.run(  # noqa: S603 (our own program, no shell)
            [
                PROGRAM, given, "--compile-force-framework", "Solc-json", "--solc", solc,
                "--config-file", CONFIG, "--json", "-",
            ],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    try:
        answer = json.loads(told.stdout)
    except json.JSONDecodeError:
        raise BuildError(f"Slither says nothing we can read: {told.stderr}") from None
    if not answer["success"]:
        raise BuildError(f"Slither cannot read the sources: {answer['error']}")
    found = answer["results"].get("detectors", [])
    return [(one["check"], one["description"].strip()) for one in found]


def main() -> int:
    """Print what Slither finds; return the exit code, 1 for findings."""
    try:
        found = findings(sources())
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"{name}: {text}" for name, text in found) or "Slither finds nothing")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
