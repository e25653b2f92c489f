"""The REST API `/api/v1`: every deed and every question of `webapp.deeds` as a route.

Routes, their documentation (OpenAPI 3.1) and their guards are made from the same entries, so that none
can be forgotten; uploads, jobs and verification by file stand in `webapp.api.more`.
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from flask_smorest import Api, Blueprint

from ledger.errors import Invalid
from webapp import door
from webapp.api import more
from webapp.api.problems import PreconditionRequired, UnsupportedMedia, problem_answers
from webapp.api.respond import JSON, answer_of, reply, send
from webapp.api.schemas import KEY_PATTERN, DeedAnswer, JobAnswer
from webapp.deeds import DEEDS, QUESTIONS, Deed, File, Question, Thing
from webapp.deeds.background import facts, start
from webapp.intake import keep_upload, read_form

PREFIX = "/api/v1"
IDEMPOTENCY = re.compile(KEY_PATTERN)
ETAG = re.compile(r'\A(?:W/)?"([0-9]{1,15})"\Z')
NOUNS = {
    "party": "Organisations", "member": "Members", "token": "API tokens", "evidence": "Evidence",
    "catalogue": "Catalogue", "resource": "Catalogue", "agreement": "Agreements",
    "application": "Applications", "registration": "Registrations", "voucher": "Vouchers",
    "appraisal": "Appraisals", "licence": "Licences", "payment": "Payments", "scheme": "Schemes",
    "statement": "Statements", "package": "Packages", "log": "Log", "figure": "Figures",
}  # fmt: skip


def set_up(app: Flask) -> None:
    """Make the routes and the document."""
    app.config |= {
        "API_TITLE": "数证 Shuzheng", "API_VERSION": "v1", "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/api", "OPENAPI_JSON_PATH": "openapi.json",
    }  # fmt: skip
    api = Api(app, spec_kwargs={"servers": [{"url": "/"}], "security": [{"token": []}]})
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX, description="")
    for question in QUESTIONS.values():
        _enter_question(blueprint, question)
    for deed in DEEDS.values():
        _enter_deed(blueprint, deed)
    more.enter(blueprint)
    api.register_blueprint(blueprint)


def read_json() -> Mapping[str, Any]:
    """The request's body as a mapping; floats stay the text they were written as."""
    if not request.data:
        return {}
    if request.mimetype != JSON:
        raise UnsupportedMedia("The body must be {wanted}, not {given}.", wanted=JSON,
                               given=request.mimetype or "-")  # fmt: skip
    value = request.get_json(silent=True)
    if not isinstance(value, Mapping):
        raise Invalid("The body must be a JSON object.")
    return value


def idempotency_key() -> str:
    """The caller's key of this write; raises Invalid without one."""
    given = request.headers.get("Idempotency-Key", "")
    if not IDEMPOTENCY.fullmatch(given):
        raise Invalid(
            "A write needs the header Idempotency-Key: 8 to 128 letters, digits, . _ - that you have "
            "not used for another request."
        )
    return given


def seen_version() -> int:
    """The version of the subject that the caller saw; raises PreconditionRequired without If-Match."""
    given = ETAG.match(request.headers.get("If-Match", ""))
    if given is None:
        raise PreconditionRequired(
            'A change needs the header If-Match with the ETag of what you saw, such as "3".'
        )
    return int(given[1])


def _enter_question(blueprint: Blueprint, question: Question) -> None:
    def view(**keys: str) -> Response:
        asked = read_json() if question.method == "POST" else request.args.to_dict()
        found = door.the_desk().ask(question, door.who, keys, asked)
        if isinstance(found, File):
            return send(found)
        return reply(found, version=found.get("version"))

    parameters: list[Any] = []
    body: dict[str, Any] = {}
    if question.method == "POST":
        body["requestBody"] = {"content": {JSON: {"schema": question.query}}, "required": True}
    else:
        parameters.append({"in": "query", "schema": question.query})
    content = {JSON: {"schema": question.answer}} if question.answer else {"*/*": {
        "schema": {"type": "string", "format": "binary"}}}  # fmt: skip
    _route(blueprint, question, view, question.method, parameters,
           {"200": {"description": question.title, "content": content}}, body)  # fmt: skip


def _enter_deed(blueprint: Blueprint, deed: Deed) -> None:
    status = 200 if deed.changes else 201

    def view(**keys: str) -> Response:
        key = idempotency_key()
        seen = seen_version() if deed.changes else None
        desk = door.the_desk()
        if deed.upload:
            given = request.files.get("file")
            stored = keep_upload(desk.home, given)
            body: Mapping[str, Any] = {
                **read_form(deed.body, request.form),
                **{n: v for n, v in stored.items() if n in deed.body().fields},
            }
        else:
            body = read_json()
        if deed.long:
            made = facts(start(desk, deed, door.who, keys, body, key))
            answer = reply(made, 202)
            answer.headers["Location"] = f"{PREFIX}/jobs/{made['id']}"
            return answer
        return answer_of(desk.do(deed, door.who, keys, body, key=key, seen=seen), status)

    parameters: list[Any] = [
        {"in": "header", "name": "Idempotency-Key", "required": True,
         "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,128}$"}}
    ]  # fmt: skip
    if deed.changes:
        parameters.append(
            {"in": "header", "name": "If-Match", "required": True,
             "schema": {"type": "string", "pattern": '^"[0-9]{1,15}"$'}}
        )  # fmt: skip
    body: dict[str, Any] = {"required": True, "content": {JSON: {"schema": deed.body}}}
    if deed.upload:
        options = [n for n in deed.body().fields if n not in ("name", "digest", "size_bytes")]
        body["content"] = {"multipart/form-data": {"schema": {
            "type": "object", "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"},
                           **{n: {"type": "string"} for n in options}},
        }}}  # fmt: skip
    elif not deed.body().fields:
        body = {}
    answers: dict[str, Any] = {
        str(status): {"description": deed.says, "content": {JSON: {"schema": DeedAnswer}}}
    }
    if deed.long:
        answers = {"202": {"description": "The job that does it",
                           "content": {JSON: {"schema": JobAnswer}}}}  # fmt: skip
    _route(
        blueprint, deed, view, "POST", parameters, answers, {"requestBody": body} if body else {}
    )


def _route(
    blueprint: Blueprint, thing: Thing, view: Any, method: str, parameters: list[Any],
    answers: dict[str, Any], more: dict[str, Any],
) -> None:  # fmt: skip
    view.__name__ = thing.name.replace(".", "_")
    view.__doc__ = thing.title
    marked = door.guard(thing)(view)
    documented = blueprint.doc(
        summary=thing.title, parameters=parameters, responses={**answers, **problem_answers()},
        operationId=thing.name, description=f"`{thing.verb}`",
        tags=[NOUNS.get(thing.noun, "House")], **more,
    )(marked)  # fmt: skip
    blueprint.route(thing.path, methods=[method], endpoint=view.__name__)(documented)
