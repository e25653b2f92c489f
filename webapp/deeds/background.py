"""Long deeds as jobs: started at the site, done by whoever runs `jobs.Runner` (the worker process)."""

from collections.abc import Mapping
from typing import Any

from ledger.errors import Conflict
from ledger.parties import actor_of
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.store import recall, remember
from webapp import jobs
from webapp.deeds import DEEDS, Deed, Desk, Report, Who
from webapp.deeds import all as all_deeds
from webapp.deeds.forms import load
from webapp.jobs import Job

assert all_deeds  # a job may be of any deed


def start(
    desk: Desk, deed: Deed, who: Who, keys: Mapping[str, str], body: Mapping[str, Any], key: str
) -> Job:
    """Put a long deed among the jobs; the same key and request again is the same job.

    What can be refused at once is: who may not, what does not fit, what the path does not name.
    """
    return begin(desk, deed, who, keys, body, key)[0]


def begin(
    desk: Desk, deed: Deed, who: Who, keys: Mapping[str, str], body: Mapping[str, Any], key: str
) -> tuple[Job, bool]:
    """As `start`, and whether the job was there already."""
    load(deed.body, body)
    request = digest_text(canonical([deed.name, dict(keys), dict(body)]))
    try:
        return _begin(desk, deed, who, keys, body, key, request)
    except Conflict:  # of two at once under one key, the slower one
        with desk.home.reading() as session:
            actor = who(session)
            known = recall(session, f"{actor.member_id} {key}", request)
            if known is None:
                raise
            return jobs.job_of(session, known["job"], actor.member_id), True


def _begin(
    desk: Desk, deed: Deed, who: Who, keys: Mapping[str, str], body: Mapping[str, Any], key: str,
    request: str,
) -> tuple[Job, bool]:  # fmt: skip
    now = desk.now
    _ = desk.home.config
    with desk.home.deed(now) as session:
        actor = who(session)
        deed.authorise(session, actor, deed.subjects(session, keys))
        known = recall(session, f"{actor.member_id} {key}", request)
        if known is not None:
            return jobs.job_of(session, known["job"], actor.member_id), True
        job = jobs.enqueue(
            session, now, member_id=actor.member_id, verb=deed.name,
            request={"body": dict(body), "keys": dict(keys)},
        )  # fmt: skip
        remember(session, f"{actor.member_id} {key}", request, {"job": job.id}, now)
    return job, False


def work(desk: Desk, job: Job, report: Report) -> dict[str, Any]:
    """Do a job's deed as the member who asked for it; done twice, it takes effect once."""
    deed = DEEDS[job.verb]
    done = desk.do(
        deed, lambda session: actor_of(session, job.member_id), job.request["keys"],
        job.request["body"], key=f"job-{job.id}", report=report,
    )  # fmt: skip
    return {"answer": done.answer, "receipt": done.receipt}


def facts(job: Job) -> dict[str, Any]:
    """A job as its owner sees it."""
    return {
        "answer": (job.answer or {}).get("answer"),
        "created_at": instant(job.created_at),
        "done_count": job.done_count,
        "finished_at": instant(job.finished_at) if job.finished_at else None,
        "id": job.id,
        "name": job.verb,
        "receipt": (job.answer or {}).get("receipt"),
        "refusal": job.refusal,
        "stage": job.stage,
        "state": job.state,
        "total_count": job.total_count,
    }
