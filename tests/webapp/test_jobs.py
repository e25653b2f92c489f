"""Jobs: done once, in turn, by one runner; told of while they run; taken up again after a kill -9."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ledger.errors import Conflict, Faults, Invalid, LedgerError, Missing
from ledger.proof.encoding import canonical
from tests.conftest import START, Town
from webapp import jobs
from webapp.jobs import Job, Report, Runner

ROOT = Path(__file__).resolve().parents[2]


def ask(town: Town, login: str = "rita", n: int = 0) -> str:
    with town.deed() as session:
        return jobs.enqueue(
            session, town.now, member_id=town.actors[login].member_id, verb="catalogue.import",
            request={"n": n},
        ).id  # fmt: skip


def claim(town: Town, lease_s: int = 60) -> Job | None:
    with town.deed() as session:
        return jobs.claim(session, town.now, lease_s)


def look(town: Town, job_id: str, login: str = "rita") -> Job:
    with town.reading() as session:
        return jobs.job_of(session, job_id, town.actors[login].member_id)


def told(job: Job) -> str:
    """The refusal as a page says it."""
    assert job.refusal is not None
    return jobs.refusal_text(job.refusal, str)


def runner(town: Town, act: Callable[[Job, Report], dict[str, Any]], lease_s: int = 60) -> Runner:
    return Runner(town.home, act, lambda: town.now, lease_s)


# ---------------------------------------------------------------- whose turn it is


def test_jobs_are_claimed_in_the_order_they_were_asked_for(town: Town) -> None:
    asked = []
    for n in range(3):
        asked.append(ask(town, n=n))
        town.later(seconds=n)  # the first two within one second
    claimed = [claim(town) for _ in range(4)]
    assert [job.id if job else None for job in claimed] == [*asked, None]
    job = look(town, asked[0])
    assert (job.state, job.attempts, job.started_at) == ("running", 1, town.now)
    assert job.leased_until == town.now + timedelta(seconds=60)


def test_many_claimers_never_get_the_same_job(town: Town) -> None:
    asked = {ask(town, n=n) for n in range(12)}
    gate = threading.Barrier(6)

    def take(_: int) -> list[str]:
        gate.wait()
        taken = []
        while (job := claim(town)) is not None:
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(6) as pool:
        claimed = [one for some in pool.map(take, range(6)) for one in some]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) <= asked
    # On PostgreSQL a claimer passes over what another holds, and may find nothing for a moment.
    assert len(claimed) == 12 or claim(town) is not None


def test_a_job_is_taken_up_again_when_its_lease_is_over_and_not_before(town: Town) -> None:
    asked = ask(town)
    claim(town, lease_s=5)
    town.later(seconds=4)
    assert claim(town) is None
    town.later(seconds=1)
    job = claim(town)
    assert job is not None
    assert (job.id, job.attempts) == (asked, 2)


def test_a_report_renews_the_lease(town: Town) -> None:
    asked = ask(town)
    claim(town, lease_s=5)
    for done in range(3):
        town.later(seconds=4)
        with town.deed() as session:
            jobs.progress(session, asked, town.now, "rows", done, 3, lease_s=5)
    assert claim(town) is None
    job = look(town, asked)
    assert (job.stage, job.done_count, job.total_count) == ("rows", 2, 3)


def test_work_that_breaks_off_three_times_fails_and_the_next_has_its_turn(town: Town) -> None:
    bad = ask(town)
    town.later(seconds=1)
    good = ask(town)
    for _ in range(3):
        job = claim(town, lease_s=5)
        assert job is not None
        assert job.id == bad
        town.later(seconds=5)
    job = claim(town)
    assert job is not None
    assert job.id == good
    failed = look(town, bad)
    assert (failed.state, failed.finished_at, failed.leased_until) == ("failed", town.now, None)
    assert told(failed).startswith("The work broke off 3 times; start it anew")
    assert claim(town) is None


def test_whose_job_was_taken_over_or_has_ended_is_not_heard(town: Town) -> None:
    asked = ask(town)
    claim(town, lease_s=5)
    town.later(seconds=5)
    claim(town)
    late: list[Callable[[Any], None]] = [
        lambda session: jobs.progress(session, asked, town.now, "x", 1, 2, attempt=1),
        lambda session: jobs.finish(session, asked, town.now, {"by": 1}, attempt=1),
        lambda session: jobs.fail(session, asked, town.now, Conflict("No."), attempt=1),
    ]
    for say in late:
        with pytest.raises(Conflict), town.deed() as session:
            say(session)
    with town.deed() as session:
        jobs.finish(session, asked, town.now, {"by": 2}, attempt=2)
    for say in late:
        with pytest.raises(Conflict), town.deed() as session:
            say(session)
    assert look(town, asked).answer == {"by": 2}


# ---------------------------------------------------------------- who sees it


def test_a_job_is_seen_by_him_who_asked_for_it(town: Town) -> None:
    first, second = ask(town), ask(town)
    ask(town, "olga")
    for id_ in (first, "nothing"):
        with pytest.raises(Missing):
            look(town, id_, "olga")
    rita = town.actors["rita"].member_id
    with town.reading() as session:
        assert [job.id for job in jobs.jobs_of(session, rita, 10)] == [second, first]
        assert [job.id for job in jobs.jobs_of(session, rita, 1)] == [second]


# ---------------------------------------------------------------- the runner


def test_the_runner_does_one_job_and_keeps_its_answer(town: Town) -> None:
    asked = ask(town, n=7)

    def act(job: Job, report: Report) -> dict[str, Any]:
        assert look(town, job.id).state == "running"
        report("counting", 1, 2)
        return {"twice": 2 * job.request["n"]}

    work = runner(town, act)
    assert work.run_one() is True
    assert work.run_one() is False
    job = look(town, asked)
    assert (job.state, job.answer, job.refusal) == ("done", {"twice": 14}, None)
    assert (job.finished_at, job.done_count, job.total_count) == (town.now, 2, 2)


def test_progress_is_kept_at_most_twice_a_second(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(town)
    kept = set()
    at_s = [100.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: at_s[0]))

    def act(_: Job, report: Report) -> dict[str, Any]:
        for done in range(1, 10):
            report("rows", done, 10**6)
            kept.add(look(town, asked).done_count)
            at_s[0] += 0.125
        return {}

    runner(town, act).run_one()
    assert kept == {1, 5, 9}, "the first at once, then each half second"


def test_a_refusal_is_kept_so_that_each_reader_gets_it_in_his_language(town: Town) -> None:
    faults = Faults()
    faults.name_fault("row {row} has no title", row=3)
    faults.name_fault("row {row} has no code", row=4)
    error = Invalid("{count} rows are wrong: {faults}.", count=2, faults=faults, at=START)

    def act(_: Job, report: Report) -> dict[str, Any]:
        raise error

    asked = ask(town)
    assert runner(town, act).run_one()
    job = look(town, asked)
    assert (job.state, job.answer) == ("failed", None)
    assert job.refusal == {
        "code": "invalid",
        "template": "{count} rows are wrong: {faults}.",
        "facts": {
            "at": str(START), "count": 2,
            "faults": {"faults": [
                ["row {row} has no title", {"row": 3}, ""], ["row {row} has no code", {"row": 4}, ""],
            ]},
        },
    }  # fmt: skip
    assert told(job) == error.sentence


FACTS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.datetimes(),
    st.lists(st.floats() | st.text()), st.sets(st.integers()), st.binary(),
    st.dictionaries(st.text(), st.integers()),
)  # fmt: skip


@given(FACTS)
def test_any_fact_can_be_kept_and_reads_as_before(fact: Any) -> None:
    kept = jobs._plain(fact)
    canonical({"fact": kept})
    assert str(kept) == str(fact).encode(errors="replace").decode()


@pytest.mark.parametrize("how", ["raises", "float"])
def test_our_own_fault_is_said_to_be_ours_and_its_cause_stands_in_the_log(
    town: Town, how: str
) -> None:
    def act(_: Job, report: Report) -> dict[str, Any]:
        if how == "raises":
            raise ZeroDivisionError("the secret cause")
        return {"share": 0.5}

    asked = ask(town)
    with capture_logs() as logged:
        assert runner(town, act).run_one()
    job = look(town, asked)
    assert job.state == "failed"
    assert told(job).startswith("Our fault: the work stopped unexpectedly")
    assert "secret" not in str(job.refusal)
    assert [(one["job"], one["exc_info"], one["log_level"]) for one in logged] == [
        (asked, True, "error")
    ]


@pytest.mark.parametrize("reports", [True, False])
def test_a_runner_that_was_too_slow_is_not_heard_and_goes_on(town: Town, reports: bool) -> None:
    asked = ask(town)

    def quick(job: Job, report: Report) -> dict[str, Any]:
        return {"by": job.attempts}

    def slow(job: Job, report: Report) -> dict[str, Any]:
        town.later(seconds=60)
        assert runner(town, quick).run_one()
        if reports:
            report("still at it", 1, 2)
        return {"by": job.attempts}

    with capture_logs() as logged:
        assert runner(town, slow).run_one()
    assert look(town, asked).answer == {"by": 2}
    assert [one["event"] for one in logged] == ["outcome not kept"]


def test_what_cannot_be_kept_is_not_asked_for(town: Town) -> None:
    before = town.snapshot()
    with pytest.raises(LedgerError), town.deed() as session:
        jobs.enqueue(session, town.now, member_id="m", verb="v", request={"share": 0.5})
    assert town.snapshot() == before


KILLED = """
import sys, time
from datetime import datetime
from pathlib import Path
from webapp.home import Home
from webapp.jobs import Runner

def act(job, report):
    report("halfway", 1, 2)
    print(job.id, flush=True)
    time.sleep(60)

Runner(Home(Path(sys.argv[1])), act, lambda: datetime.fromisoformat(sys.argv[2]), lease_s=7).run_one()
"""


def test_a_job_whose_runner_was_killed_is_taken_up_after_its_lease(
    town: Town, tmp_path: Path, database_url: str
) -> None:
    asked = ask(town)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "home"), town.now.isoformat()],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": database_url}, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().strip() == asked
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    job = look(town, asked)
    assert (job.state, job.stage, job.attempts) == ("running", "halfway", 1)

    def act(job: Job, report: Report) -> dict[str, Any]:
        return {"attempt": job.attempts}

    work = runner(town, act)
    town.later(seconds=6)
    assert work.run_one() is False
    town.later(seconds=1)
    assert work.run_one() is True
    assert look(town, asked).answer == {"attempt": 2}
