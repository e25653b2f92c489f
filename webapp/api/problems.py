"""Refusals over HTTP: RFC 9457 problem details, the same for every route and its documentation."""

from typing import Any

from apispec import APISpec
from flask import Response, request
from marshmallow import Schema, fields
from werkzeug.exceptions import HTTPException

from ledger.errors import Invalid, LedgerError
from webapp.api.respond import dump
from webapp.deeds.forms import faults_by_place
from webapp.language import tr, translate

MEDIA_TYPE = "application/problem+json"
TOO_MANY, WAIT_S = 429, 60  # limits are by the minute
STATUSES = {
    400: "What was given does not fit",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not there",
    405: "Method not allowed",
    409: "The state does not allow it, or the key was used for another request",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Another media type is needed",
    422: "A proof does not hold",
    428: "If-Match is missing",
    429: "Too many requests",
    500: "Our fault",
    502: "The contract refused",
    503: "The chain's node is away",
    507: "The disk is full",
}


class PreconditionRequired(Invalid):
    """A change without If-Match."""

    code, http_status = "precondition_required", 428


class UnsupportedMedia(Invalid):
    """A body of another media type."""

    code, http_status = "unsupported_media", 415


class Problem(Schema):
    """RFC 9457 problem details. `errors` names every fault by its place in the body."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)
    facts = fields.Dict(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()), required=True)
    instance = fields.String(required=True)


def enter_problems(spec: APISpec) -> None:
    """Enter every refusal in the document, once."""
    for status, title in STATUSES.items():
        spec.components.response(f"Refused{status}", {
            "description": title, "content": {MEDIA_TYPE: {"schema": Problem}},
        })  # fmt: skip


def problems_of(*, names: bool = False, body: bool = False, changes: bool = False,
                chain: bool = False) -> dict[str, str]:  # fmt: skip
    """The refusals of an operation: of all, and of one that names things, has a body, and so on.

    401 and 403 are documented for public operations too: a wrong token is refused everywhere; 409 and
    507 for all, because a busy database is one, and every answer may need room; 422 where something is
    handed in that may prove nothing.
    """
    statuses = [400, 401, 403, 409, 429, 500, 507]
    statuses += [404] * names + [413, 415, 422] * body + [412, 428] * changes + [502, 503] * chain
    return {str(status): f"Refused{status}" for status in sorted(statuses)}


def of_refusal(error: LedgerError) -> Response:
    """A refusal of the ledger."""
    told = error.as_dict()
    return _problem(
        error.http_status, error.code, error.localized(translate), facts=told["facts"],
        errors=faults_by_place(error, translate),
    )  # fmt: skip


def of_http(error: HTTPException) -> Response:
    """A refusal of the web framework: no such route, method, too large, too many requests."""
    status = error.code or 500
    title = STATUSES.get(status, "Our fault" if status >= 500 else "Refused")
    made = _problem(status, f"http_{status}", tr(title) + ".")
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        made.headers["Allow"] = allowed
    if status == TOO_MANY:
        made.headers["Retry-After"] = str(WAIT_S)
    return made


def of_fault() -> Response:
    """Our own fault: nothing of it is told outside."""
    text = "Our fault: nothing was changed; the administrator finds the cause in the log."
    return _problem(500, "fault", tr(text))


def _problem(
    status: int, code: str, detail: str, facts: Any = None, errors: Any = None
) -> Response:
    body = {
        "code": code, "detail": detail, "errors": errors or {}, "facts": facts or {},
        "instance": request.path, "status": status, "title": tr(STATUSES.get(status, "Refused")),
        "type": f"urn:shuzheng:problem:{code}",
    }  # fmt: skip
    return Response(
        dump(body), status, content_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store"},
    )  # fmt: skip
