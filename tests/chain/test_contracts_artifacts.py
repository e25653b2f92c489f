"""The committed artifacts are what the sources compile to."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from contracts import ARTIFACTS, NAMES, artifact, build
from tests.chain.stage import Stage

MEMBERS = [
    "contract",
    "compiler",
    "settings",
    "source_sha256",
    "sources",
    "abi",
    "bytecode",
    "deployed_bytecode",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_artifact_says_how_it_was_made(name: str) -> None:
    built = artifact(name)
    assert list(built) == MEMBERS
    assert built["contract"] == name
    assert built["compiler"].startswith(f"{build.SOLC_VERSION}+commit.")
    assert built["settings"] == build.SETTINGS
    assert f"src/{name}.sol" in built["sources"]


def test_there_is_no_other_artifact() -> None:
    assert sorted(path.stem for path in ARTIFACTS.iterdir()) == list(NAMES)
    with pytest.raises(KeyError):
        artifact("Roles")


def test_no_artifact_is_older_than_our_sources() -> None:
    ours = {
        f"src/{path.relative_to(build.SOURCES).as_posix()}": hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in build.SOURCES.rglob("*.sol")
    }
    for name in NAMES:
        compiled = artifact(name)["sources"]
        assert {k: v for k, v in compiled.items() if k.startswith("src/")} == ours


def test_artifacts_name_no_path_of_a_machine() -> None:
    for name in NAMES:
        text = (ARTIFACTS / f"{name}.json").read_text("utf-8")
        assert '"/' not in text
        assert str(build.HERE.parent) not in text


@pytest.mark.parametrize("name", NAMES)
def test_no_contract_is_too_large_to_be_deployed(name: str) -> None:
    assert len(artifact(name)["deployed_bytecode"]) // 2 - 1 <= 24_576  # EIP-170


def test_the_deployed_code_is_that_of_the_artifact(stage: Stage) -> None:
    for name, contract in (("CheckpointAnchor", stage.anchor), ("VoucherRegistry", stage.vouchers)):
        code = stage.w3.eth.get_code(contract.address)
        assert "0x" + bytes(code).hex() == artifact(name)["deployed_bytecode"]


def test_the_lockfile_names_no_registry() -> None:
    lock = json.loads((build.HERE / "package-lock.json").read_text("utf-8"))
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]


@pytest.mark.slow
def test_the_sources_compile_to_the_committed_artifacts(packages: None) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "contracts.build", "--check"],
        cwd=build.HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
