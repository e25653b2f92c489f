"""kill -9 of an audit at any moment, then the same command again: it goes on, and finds the same."""

import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from ledger import audit_records, log, supervision
from ledger.errors import Conflict
from ledger.parties import Party
from ledger.proof.checkpoint import verifier_key
from ledger.proof.encoding import INT_MAX
from ledger.proof.trust import LogKey
from ledger.store import new_id, open_engine
from ledger.supervision import Audit, Findings, Ground
from tests.conftest import LOG_KEY, ORIGIN
from webapp.home import migrate

NOW = datetime(2026, 1, 5, tzinfo=UTC)
RECORDS = 5000
GROUND = Ground(
    ORIGIN, (LogKey(verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw()), 1, INT_MAX),)
)
# An audit in a process of its own that says each step and waits a little, so that it can be killed.
SLOW = """
import sys, time
from datetime import datetime
from pathlib import Path
from sqlalchemy.orm import Session
from ledger.store import open_engine
from ledger.supervision import Audit, Findings
from tests.fault.test_audit_killed import GROUND, NOW
def told(stage, done, total):
    print(stage, done, flush=True)
    time.sleep(0.3)
with Session(open_engine(sys.argv[1])) as session:
    Audit(session, GROUND, NOW, Findings(Path(sys.argv[2])), told).run()
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of some chunks, sealed twice."""
    path = tmp_path_factory.mktemp("killed") / "ledger.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    with Session(engine) as session:
        log.open_log(session, ORIGIN, NOW)
        for part in range(2):
            for n in range(RECORDS // 2):
                party = Party(
                    id=new_id(),
                    kind="enterprise",
                    name=f"甲{n}",
                    uscc=f"{part} {n}",
                    state="active",
                )
                log.append(session, party, "party.added", "test")
            log.sequence(session, NOW)
            log.seal(session, NOW, LOG_KEY)
        session.commit()
    engine.dispose()
    return path


def killed_audit(database: Path, kept: Path, after: str) -> None:
    """An audit that is killed once it has told `after`."""
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, f"sqlite:///{database}", str(kept)], stdout=subprocess.PIPE,
        text=True, cwd=Path(__file__).parents[2],
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == after:
                process.send_signal(signal.SIGKILL)
                break
        process.wait(30)
    assert process.returncode == -signal.SIGKILL


def go_on(
    database: Path, kept: Path, now: datetime = NOW, ground: Ground = GROUND
) -> tuple[bool, list[tuple[str, int]], list[supervision.Difference]]:
    """The same audit again: whether it went on, what it told, what it found."""
    told: list[tuple[str, int]] = []
    engine = open_engine(f"sqlite:///{database}")
    findings = Findings(kept)
    with Session(engine) as session:
        audit = Audit(
            session, ground, now, findings, lambda stage, done, _: told.append((stage, done))
        )
        audit.run()
        assert audit.summary()["records"] == RECORDS
        found = list(findings.differences())
    findings.close(done=True)
    engine.dispose()
    return audit.continues, told, found


def test_a_killed_audit_goes_on_where_it_was(database: Path, tmp_path: Path) -> None:
    kept = tmp_path / "audit.db"
    chunk = audit_records.CHUNK_MAX
    killed_audit(database, kept, f"records {2 * chunk}")
    assert oct(kept.stat().st_mode & 0o777) == "0o600"
    continues, told, found = go_on(database, kept)
    assert continues
    assert found == []
    read = [done for stage, done in told if stage == "records"]
    assert read[0] == 3 * chunk, "what was read is not read again"
    assert read[-1] == RECORDS
    assert not kept.exists(), "an audit that is done leaves nothing behind"


@pytest.mark.slow
def test_killed_again_and_again_it_comes_to_its_end(database: Path, tmp_path: Path) -> None:
    kept = tmp_path / "audit.db"
    for done in (1024, 3072, 4096):
        killed_audit(database, kept, f"records {done}")
    killed_audit(database, kept, "rows 3")
    continues, told, found = go_on(database, kept)
    assert continues
    assert found == []
    assert "records" not in {stage for stage, _ in told}, "a finished stage is not repeated"


def test_what_was_found_before_the_kill_is_still_told(database: Path, tmp_path: Path) -> None:
    tampered = copied(
        database, tmp_path, "UPDATE records SET actor = 'mallory' WHERE leaf_index = 5"
    )
    kept = tmp_path / "audit.db"
    killed_audit(tampered, kept, "records 2048")
    _, _, found = go_on(tampered, kept)
    assert [(one.place, one.field, one.known) for one in found] == [
        ("record 5", "actor", "mallory")
    ]


def test_an_audit_does_not_go_on_over_another_history(database: Path, tmp_path: Path) -> None:
    """Its tree is compared first: the tiles below the place must be those it saw."""
    kept = tmp_path / "audit.db"
    killed_audit(database, kept, "records 2048")
    other = copied(
        database, tmp_path, "UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND n = 3"
    )
    continues, told, found = go_on(other, kept)
    assert not continues
    assert told[0] == ("records", 1024)
    assert {one.kind for one in found} == {"tile"}


def test_what_is_read_after_the_kill_is_looked_at_as_strictly(
    database: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "audit.db"
    killed_audit(database, kept, "records 2048")
    tampered = copied(
        database, tmp_path, "UPDATE records SET actor = 'mallory' WHERE leaf_index = 4000",
        "UPDATE parties SET name = '乙' WHERE uscc = '1 2499'", "DELETE FROM parties WHERE uscc = '0 7'",
    )  # fmt: skip
    continues, _, found = go_on(tampered, kept)
    assert continues
    assert {(one.kind, one.field) for one in found} == {
        ("record", "actor"),
        ("parties", "name"),
        ("parties", "row"),
    }


def test_another_ground_or_another_day_begins_anew(database: Path, tmp_path: Path) -> None:
    kept = tmp_path / "audit.db"
    killed_audit(database, kept, "records 2048")
    later = NOW + supervision.CONTINUED_MAX
    assert go_on(database, kept, later)[0] is False
    killed_audit(database, kept, "records 2048")
    stranger = Ground(ORIGIN, ())
    assert go_on(database, kept, ground=stranger)[0] is False


def test_of_two_audits_at_once_the_second_is_refused(tmp_path: Path) -> None:
    first = Findings(tmp_path / "audit.db")
    with pytest.raises(Conflict, match="Another audit is running"):
        Findings(tmp_path / "audit.db")
    first.close(done=False)
    Findings(tmp_path / "audit.db").close(done=True)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + bytes(4000)])
def test_a_spoiled_file_is_begun_anew(database: Path, tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "audit.db"
    kept.write_bytes(content)
    continues, _, found = go_on(database, kept)
    assert not continues
    assert found == []


def copied(database: Path, folder: Path, *statements: str) -> Path:
    path = folder / "copy.db"
    with sqlite3.connect(database) as source, sqlite3.connect(path) as copy:
        source.backup(copy)
        for statement in statements:
            assert copy.execute(statement).rowcount
    return path
