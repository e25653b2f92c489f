"""Routes that are not made from the deeds: one's jobs and their files, verification of a file, the docs."""

from typing import Any

from flask import Response, render_template, request
from flask_smorest import Blueprint

from ledger.errors import Missing
from webapp import door, jobs
from webapp.api.problems import problems_of
from webapp.api.respond import JSON, MULTIPART, reply, send
from webapp.api.schemas import JobAnswer, JobsAnswer, who_may
from webapp.deeds import File
from webapp.deeds.background import facts
from webapp.deeds.proofs import VerifyAnswer, verify_bytes
from webapp.deeds.usage import keep_stream
from webapp.intake import read_upload
from webapp.language import translate

VERIFY_BYTES_MAX = 64 * 1024 * 1024
JOBS_TOLD = 50
ZIP = "application/zip"
CSV = "text/csv"
EVENTS_BYTES_MAX = 1024 * 1024 * 1024
# Deeds whose file may also be the body itself: media type → the name it goes by.
RAW = {"usage.import": {
    "application/x-ndjson": "events.ndjson", CSV: "events.csv",
    "application/vnd.apache.parquet": "events.parquet",
}}  # fmt: skip
UPLOAD = {MULTIPART: {"schema": {
    "type": "object", "required": ["file"], "additionalProperties": False,
    "properties": {"file": {"type": "string", "format": "binary"}},
}}}  # fmt: skip


def enter(blueprint: Blueprint) -> None:
    """Enter the routes."""
    told: dict[str, Any]
    for path, name, view, method, told in (
        ("/jobs", "job.list", my_jobs, "GET", _json("My jobs", JobsAnswer)),
        ("/jobs/<job_id>", "job.read", my_job, "GET", _json("A job", JobAnswer)),
        ("/jobs/<job_id>/file", "job.file", my_file, "GET",
         {"200": {"description": "The file a job made",
                  "content": {ZIP: {"schema": {}}, CSV: {"schema": {}}}}}),
        ("/verify", "file.verify", verify, "POST", _json("The report", VerifyAnswer)),
    ):  # fmt: skip
        more: dict[str, Any] = {}
        posted = method == "POST"
        if posted:
            more["requestBody"] = {"required": True, "content": UPLOAD}
        documented = blueprint.doc(
            summary=view.__doc__, operationId=name, tags=["House"],
            responses={**told, **problems_of(names="<" in path, body=posted)}, **more,
            **who_may(view.guarding.verb),
        )(view)  # fmt: skip
        blueprint.route(path, methods=[method], endpoint=name.replace(".", "_"))(documented)


@door.guard("job.read")
def my_jobs() -> Response:
    """My jobs, the newest first"""
    with door.the_desk().home.reading() as session:
        found = jobs.jobs_of(session, door.actor().member_id, JOBS_TOLD)
        return reply({"items": [facts(job) for job in found]})


@door.guard("job.read")
def my_job(job_id: str) -> Response:
    """How far a job is, and its outcome"""
    with door.the_desk().home.reading() as session:
        return reply(facts(jobs.job_of(session, job_id, door.actor().member_id)))


@door.guard("job.read")
def my_file(job_id: str) -> Response:
    """The file a job made"""
    return send(file_of(job_id))


def raw_bodies(name: str) -> dict[str, Any]:
    """What the document says of the bodies that are a deed's file itself."""
    return {
        media: {"schema": {"type": "string", "format": "binary"}} for media in RAW.get(name, ())
    }


def keep_body(media_type: str) -> dict[str, Any]:
    """Keep the request's body, which is a file, as it streams in; what a deed's body says of it."""
    request.max_content_length = EVENTS_BYTES_MAX
    name = RAW["usage.import"][media_type]
    return {"name": name, **keep_stream(door.the_desk().home, request.stream, EVENTS_BYTES_MAX)}


def file_of(job_id: str) -> File:
    """The file that a job of one's own made; raises Missing. A refused intake made one of its faults."""
    desk = door.the_desk()
    with desk.home.reading() as session:
        found = jobs.job_of(session, job_id, door.actor().member_id)
    answer = (found.answer or {}).get("answer") or {}
    faults = ((found.refusal or {}).get("facts") or {}).get("fault_file")
    if faults:
        return File(desk.home.material(faults), CSV, "faults.csv")
    if found.verb != "package.pack" or "digest" not in answer:
        raise Missing("The job {id} made no file.", id=job_id)
    return File(desk.home.material(answer["digest"]), ZIP, answer["name"])


@door.guard("file.verify")
def verify() -> Response:
    """Check a bundle, voucher, package, receipt or printed voucher"""
    name, data = read_upload(request.files.get("file"), limit=VERIFY_BYTES_MAX)
    desk = door.the_desk()
    with desk.home.reading() as session:
        return reply(verify_bytes(desk, session, data, name).as_dict(translate))


@door.guard("page.read")
def docs() -> str:
    """The API's document for people."""
    return render_template("api/docs.html")


def _json(description: str, schema: Any) -> dict[str, Any]:
    return {"200": {"description": description, "content": {JSON: {"schema": schema}}}}
