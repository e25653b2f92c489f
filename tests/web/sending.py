"""Sending a request of `examples` over HTTP, and reading what comes back: refusals, receipts, jobs."""

import io
from typing import Any

from sqlalchemy import select

from ledger import handoff, log
from ledger.proof import receipt as receipts
from ledger.proof.encoding import instant
from ledger.proof.trust import Trust, parse_trust
from tests.conftest import CREDENTIAL_KEY, LOG_KEY, ORIGIN, Town
from tests.web.conftest import Site
from tests.web.examples import Request
from webapp.api.problems import MEDIA_TYPE
from webapp.deeds import Deed, background
from webapp.jobs import Runner

PROBLEM_KEYS = {"code", "detail", "errors", "facts", "instance", "status", "title", "type"}


def address(deed: Deed, keys: dict[str, str]) -> str:
    path = deed.path
    for name, value in keys.items():
        path = path.replace(f"<{name}>", value).replace(f"<path:{name}>", value)
    return path


def version(site: Site, deed: Deed, keys: dict[str, str]) -> int | None:
    """The version of what a deed changes, as its question shows it."""
    if not deed.changes:
        return None
    with site.town.reading() as session:
        return int(deed.subjects(session, keys)[-1].version)


def send(
    site: Site, deed: Deed, request: Request, key: str | None, seen: int | None = None, *,
    client: Any = None, **more: Any,
) -> Any:  # fmt: skip
    """The request over HTTP, by a browser that has just signed in (a password ends other sessions)."""
    headers = {"If-Match": f'"{seen}"'} if seen is not None else {}
    if key is not None:
        headers["Idempotency-Key"] = key
    if deed.upload:
        more["data"] = {**request.body, "file": (io.BytesIO(request.file), "文件.csv")}
    elif request.body:
        more["json"] = request.body
    headers |= more.pop("headers", {})
    client = client or site.visit(request.login).client
    return client.post(f"/api/v1{address(deed, request.keys)}", headers=headers, **more)


def problem(answer: Any, status: int, code: str = "") -> dict[str, Any]:
    """The refusal; it has the form every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == MEDIA_TYPE
    body: dict[str, Any] = answer.get_json()
    assert set(body) == PROBLEM_KEYS
    assert body["status"] == status
    assert body["code"] == code or not code
    assert body["type"] == f"urn:shuzheng:problem:{body['code']}"
    assert body["instance"].startswith("/")
    assert body["detail"]
    assert body["title"]
    assert answer.headers["Cache-Control"] == "no-store"
    return body


def trust(site: Site) -> Trust:
    return parse_trust(handoff.trust_file(
        site.desk.deployment, origin=ORIGIN, log_public=LOG_KEY.public_key().public_bytes_raw(),
        credential_public=CREDENTIAL_KEY.public_key().public_bytes_raw(),
        since=site.town.home.config.created_at, embedded=True,
    ))  # fmt: skip


def tree_size(town: Town) -> int:
    with town.reading() as session:
        return session.get_one(log.Head, 1).tree_size


def verify_receipt(site: Site, receipt: Any, before: int) -> None:
    """The receipt is signed by the town, and its records are what the log holds since `before`."""
    receipts.check(receipt, trust(site))
    with site.town.reading() as session:
        held = session.scalars(select(log.Record).where(log.Record.leaf_index >= before)).all()
        known = [
            {"at": instant(r.at), "digest": r.digest, "kind": r.kind, "leaf_index": r.leaf_index}
            for r in sorted(held, key=lambda r: r.leaf_index)
        ]
    assert receipt["records"] == known


def work_off(site: Site) -> None:
    """What the worker does with the jobs that wait."""
    runner = Runner(
        site.town.home, lambda job, report: background.work(site.desk, job, report),
        lambda: site.town.now,
    )  # fmt: skip
    while runner.run_one():
        pass
