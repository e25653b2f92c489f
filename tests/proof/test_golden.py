"""The formats that others hold files in do not change unnoticed."""

from datetime import timedelta

import pytest

from ledger.proof import checkpoint as notes
from ledger.proof.credential import status_at, verify_proof
from ledger.proof.encoding import canonical, parse
from ledger.proof.trust import parse_trust
from ledger.proof.verify import verify
from ledger.registration import check_code
from tests.proof import golden

NAMES = sorted(path.name for path in golden.FOLDER.iterdir() if path.suffix != ".md")


def frozen(name: str) -> bytes:
    return (golden.FOLDER / name).read_bytes()


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    """The formats as they are made today."""
    return golden.formats()


def test_there_is_a_golden_file_for_each_format(made: dict[str, bytes]) -> None:
    assert sorted(made) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_made_byte_for_byte_as_it_was(name: str, made: dict[str, bytes]) -> None:
    assert made[name] == frozen(name)


def test_making_the_formats_twice_gives_the_same_bytes(made: dict[str, bytes]) -> None:
    assert golden.formats() == made


def test_without_being_told_nothing_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "formats", lambda: pytest.fail("nobody asked for it"))
    assert golden.main([]) == 2
    assert "--write" in capsys.readouterr().out


def test_the_frozen_files_are_valid_to_a_verifier_of_today() -> None:
    trust = parse_trust(frozen("trust.json"))
    now = golden.NOW + timedelta(days=1)
    report = verify(frozen("bundle.json"), trust, now=now)
    assert report.exit_code == 0, report.as_dict()
    voucher = verify(frozen("voucher.json"), trust, now=now, status=frozen("status.json"))
    assert voucher.exit_code == 0, voucher.as_dict()
    line = verify(frozen("line.json"), trust, now=now)
    assert {step.name for step in line.steps if step.outcome} == {"state"}, line.as_dict()


def test_the_frozen_files_fit_each_other() -> None:
    bundle = parse(frozen("bundle.json"))
    digests = parse(frozen("digests.json"))
    assert canonical(bundle["payload"]) == frozen("payload.json")
    assert canonical(bundle["entry"]) == frozen("entry.json")
    assert canonical(bundle["voucher"]) == frozen("voucher.json")
    assert canonical(bundle["status"]) == frozen("status.json")
    assert bundle["checkpoint"].encode() == frozen("checkpoint.txt")
    assert bundle["entry"]["digest"] == digests["payload"]
    assert bundle["payload"]["body"]["digest"] == "sha256:" + digests["credential"]
    key = notes.parse_verifier_key(frozen("vkey.txt").decode().strip())
    assert notes.open_note(bundle["checkpoint"], [key])[1] == [key]
    assert verify_proof(bundle["status"]) == bundle["voucher"]["issuer"]
    assert status_at(bundle["status"], 0) == 1
    index, path, note, entry = notes.parse_tlog_proof(frozen("proof.tlog-proof").decode())
    assert (index, [value.hex() for value in path]) == (bundle["leaf_index"], bundle["inclusion"])
    assert (note, entry) == (bundle["checkpoint"], frozen("entry.json"))
    for code in [digests["code_of_registration"], digests["code_of_voucher"], *digests["codes"]]:
        assert check_code(code) == code
