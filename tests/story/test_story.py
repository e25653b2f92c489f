"""The main job end to end, as its users run it: real processes, real chain, both databases."""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import click

from tests.story.conftest import SHUZHENG, Demo
from webapp.cli import main

ROOT = Path(__file__).resolve().parents[2]
EXPECTED_RECORDS = {
    "agreement.proposed": 1, "agreement.signed": 1, "application.accepted": 1,
    "application.noticed": 1, "application.registered": 1, "application.reviewed": 1,
    "application.submitted": 1, "appraisal.approved": 1, "appraisal.drafted": 1,
    "authorisation.consented": 1, "authorisation.issued": 1, "authorisation.requested": 1,
    "authorisation.withdrawn": 1, "bank_account.confirmed": 4, "bank_account.entered": 4,
    "catalogue.imported": 1, "entry.posted": 6, "evidence.deposited": 2, "hold.held": 4, "hold.kept": 4,
    "hold.posted": 4, "licence.granted": 1,
    "member.added": 12, "package.packed": 1, "party.added": 7, "payment.recorded": 1,
    "payout.approved": 1, "payout.confirmed": 1, "payout.prepared": 1, "payout_line.paid": 4,
    "payout_line.prepared": 4, "period.closed": 1, "reconciliation.imported": 1, "registration.coded": 1,
    "resource.listed": 1431, "scheme.agreed": 1,
    "scheme.proposed": 1, "statement.approved": 1, "statement.drafted": 1, "statement.posted": 1,
    "statement.proposed": 1, "use.counted": 1, "voucher.cancel": 1, "voucher.issued": 2, "voucher.used": 1,
}  # fmt: skip


def kinds(home: Path) -> dict[str, int]:
    """How many records of each kind, without those that time makes."""
    with sqlite3.connect(home / "ledger.db") as connection:
        found = dict(connection.execute("SELECT kind, count(*) FROM records GROUP BY kind"))
    found.pop("status.published")
    return found


def verify(demo: Demo, name: str, *more: str) -> int:
    trust = str(demo.folder / "trust.json")
    return demo.invoke("verify", str(demo.folder / name), "--trust", trust, *more).exit_code


def test_the_story_tells_each_step_and_leaves_the_files_for_outsiders(demo: Demo) -> None:
    for step in range(1, 15):
        assert f"\n{step}. " in demo.output
    for name in ("package.zip", "voucher.json", "bundle.json", "status.json", "trust.json"):
        assert (demo.folder / name).is_file()
        assert str(demo.folder) in demo.output


def test_every_forgery_of_the_story_is_refused(demo: Demo) -> None:
    refused = [line for line in demo.output.splitlines() if "→ not valid, at " in line]
    assert len(refused) == 13
    assert "→ valid" not in demo.output


def test_one_use_is_counted_the_second_refused_and_then_the_consent_is_withdrawn(
    demo: Demo,
) -> None:
    found = json.loads(demo.invoke("authorisation", "list", "--home", str(demo.home)).stdout)[
        "items"
    ]
    assert [one["state"] for one in found] == ["withdrawn"]
    uses = demo.invoke("use", "list", found[0]["number"], "--home", str(demo.home))
    assert [one["total"] for one in json.loads(uses.stdout)] == [1]
    assert "was granted for 1 uses; 1 are used, 1 more are refused" in demo.output
    assert "is cancelled, 1 of 1 used, also on the chain" in demo.output


def test_the_audit_finds_nothing(demo: Demo) -> None:
    assert demo.audit()["differences"] == []


def test_verification_needs_no_database_and_no_node(demo: Demo, tmp_path: Path) -> None:
    for name in ("package.zip", "bundle.json", "trust.json", "status.json", "voucher.json"):
        shutil.copy(demo.folder / name, tmp_path)
    for name, more in (
        ("package.zip", []),
        ("bundle.json", []),
        ("voucher.json", ["--status", "status.json"]),
    ):
        for tool in ([*SHUZHENG, "verify"], [sys.executable, "-m", "ledger.proof.verify"]):
            done = subprocess.run(
                [*tool, name, "--trust", "trust.json", "--offline", *more], cwd=tmp_path,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}, capture_output=True,
                text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr


def test_without_trust_or_status_or_node_it_cannot_tell(demo: Demo) -> None:
    assert demo.invoke("verify", str(demo.folder / "bundle.json"), "--offline").exit_code == 2
    assert verify(demo, "voucher.json", "--offline") == 2
    assert verify(demo, "bundle.json") == 2
    assert verify(demo, "bundle.json", "--rpc", "http://127.0.0.1:9") == 2


def test_every_figure_of_the_package_recomputes_to_the_fen(demo: Demo) -> None:
    assert verify(demo, "package.zip", "--offline", "--recompute") == 0


def test_a_node_restarted_later_still_verifies_everything_online(demo: Demo) -> None:
    command = [*SHUZHENG, "node", "--home", str(demo.home)]
    with subprocess.Popen(
        command, env=demo.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as node:
        try:
            assert node.stdout is not None
            url = node.stdout.readline().strip().rstrip(".").rsplit(" ", 1)[1]
            payee = ["statement", "proof", "FP2026-0001", "--party", "11000000DEM000002L"]
            path = str(demo.folder / "line.json")
            assert demo.at_home(*payee, "-o", path).returncode == 0
            for name in ("package.zip", "bundle.json", "voucher.json", "voucher.pdf", "line.json"):
                assert verify(demo, name, "--rpc", url) == 0
            assert verify(demo, "line.json", "--offline") == 2
            found = demo.invoke("audit", "--json", "--home", str(demo.home))
            assert json.loads(found.stdout)["differences"] == []
        finally:
            node.terminate()
            node.wait(20)


def test_the_package_s_sample_and_documents_are_what_was_deposited(demo: Demo) -> None:
    with zipfile.ZipFile(demo.folder / "package.zip") as archive:
        documents = json.loads(archive.read("data/documents.json"))
        for entry in documents.values():
            digest = hashlib.sha256(archive.read(entry["file"])).hexdigest()
            assert entry["digest"] == f"sha256:{digest}"
        sample = archive.read("data/sample.csv")
        application = json.loads(archive.read("data/records/application.json"))["payload"]["body"]
    streets = ROOT / "data" / "streets.csv"
    assert streets.read_bytes().startswith(sample)
    digest = hashlib.sha256(streets.read_bytes()).hexdigest()
    assert application["quality"][0]["digest"] == f"sha256:{digest}"


def test_the_same_command_again_does_nothing_twice(demo: Demo) -> None:
    again = demo.at_home("demo")
    assert again.returncode == 0, again.stderr[-2000:]
    assert demo.audit()["differences"] == []
    if "DATABASE_URL" not in demo.environment:
        assert kinds(demo.home) == EXPECTED_RECORDS


def test_nothing_of_the_demo_is_left_running(demo: Demo) -> None:
    time.sleep(0.5)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"--home {demo.home}" not in listed.stdout


def test_every_command_explains_itself(demo: Demo) -> None:
    def walk(group: click.Group, path: list[str]) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            assert command.help, name
            if isinstance(command, click.Group):
                walk(command, [*path, name])
            else:
                said = demo.invoke(*path, name, "--help")
                assert said.exit_code == 0
                assert "Usage:" in said.stdout

    walk(main, [])
