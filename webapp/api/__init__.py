"""The REST API `/api/v1`: every deed and every question of `webapp.deeds` as a route.

Routes, their documentation (OpenAPI 3.1) and their guards are made from the same entries, so that none
can be forgotten; uploads, jobs and verification by file stand in `webapp.api.more`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from flask_smorest import Api, Blueprint

from ledger.errors import Invalid
from ledger.proof.encoding import check_nesting
from webapp import door
from webapp.api import more
from webapp.api.problems import PreconditionRequired, UnsupportedMedia, enter_problems, problems_of
from webapp.api.respond import JSON, MULTIPART, REPLAYED, answer_of, dump, reply, send
from webapp.api.schemas import KEY_PATTERN, DeedAnswer, JobAnswer, who_may
from webapp.deeds import DEEDS, QUESTIONS, Deed, File, LongFile, Question, Thing
from webapp.deeds.background import begin, facts
from webapp.intake import keep_upload, read_form
from webapp.language import language, tr, translate

PREFIX = "/api/v1"
IDEMPOTENCY = re.compile(KEY_PATTERN)
ETAG = re.compile(r'\A(?:W/)?"([0-9]{1,15})"\Z')
JSON_BYTES_MAX = 4 * 1024 * 1024
UPLOADED = ("name", "digest", "size_bytes")  # what the file itself says
NOUNS = {
    "party": "Organisations", "steward": "Organisations", "member": "Members", "token": "API tokens",
    "evidence": "Evidence",
    "catalogue": "Catalogue", "resource": "Catalogue", "agreement": "Agreements",
    "evaluation": "Agreements", "disclosure": "Agreements",
    "application": "Applications", "notice": "Applications", "objection": "Applications",
    "registration": "Registrations", "voucher": "Vouchers",
    "motion": "Vouchers", "authorisation": "Authorised uses", "use": "Authorised uses",
    "space": "Authorised uses",
    "appraisal": "Appraisals", "licence": "Licences", "payment": "Payments", "scheme": "Schemes",
    "bank_account": "Payouts", "payout": "Payouts",
    "reconciliation": "Reconciliations", "difference": "Reconciliations",
    "period": "Books", "journal": "Books", "entry": "Books", "hold": "Books", "limit": "Books",
    "order": "Orders", "remittance": "Payments", "refund": "Payments",
    "confirmation": "Confirmed trades", "finance": "Finance", "inquiry": "Statements", "price": "Prices",
    "statement": "Statements", "usage": "Usage", "package": "Packages", "log": "Log", "witness": "Log",
    "figure": "Figures", "demand": "Demands", "exclusion": "Negative list",
    "alarm": "Supervision", "supervision": "Supervision",
    "duty": "Catalogue", "feedback": "Objections and feedback", "responsibility": "Responsibility list",
    "peer": "Recognised vouchers", "recognition": "Recognised vouchers",
    "message": "Messages",
}  # fmt: skip
# What a path's keys mean, in the document; the keys of `SUBJECTS` are all here, a test sees to it.
KEYS = {
    "order_reference": "Reference of the order",
    "refund_number": "Number of the refund, such as TK2026-000001",
    "remittance_reference": "The bank's reference of the remittance",
    "entry_number": "Number of the entry, such as JZ2026-000001",
    "hold_number": "Number of the hold, such as YZ2026-000001",
    "limit_number": "Number of the limit of an account, such as XE2026-0001",
    "journal_number": "Number of the journal voucher, such as PZ2026-0001",
    "period_number": "Number of the closed period, such as GZ2026-0001",
    "alarm_number": "Number of the alarm, such as JB2026-000001",
    "agreement_number": "Number of the agreement, such as XY2026-0001",
    "authorisation_number": "Number of the authorisation, such as SY2026-000001",
    "bank_account": "Number of the bank account here, such as ZH2026-000001",
    "batch_number": "Number of the batch, such as PC202611-000001-5",
    "application_number": "Number of the application, such as SQ2026-000001",
    "appraisal_number": "Number of the appraisal, such as PG2026-0001",
    "confirmation_number": "Number of the confirmation, such as CJ2026-000001",
    "demand_number": "Number of the demand, such as XQ2026-000001",
    "deposit_id": "Id of the deposit",
    "evaluation_number": "Number of the evaluation, such as PJ2026-0001",
    "exclusion_number": "Number of the entry of the negative list, such as FM2026-000001",
    "difference_number": "Number of the difference, such as CY2026-000001",
    "duty_number": "Number of the duty, such as GX2026-000001",
    "feedback_number": "Number of the feedback, such as FK2026-000001",
    "import_id": "Id of the change set",
    "job_id": "Id of the job",
    "leaf_index": "Index of the leaf, from 0",
    "login": "Login of the member",
    "motion_number": "Number of the motion, such as FH2026-000001",
    "message_id": "Id of the message",
    "method": "Method of valuation",
    "number": "Number of the voucher, such as PZ202611-000001-5",
    "objection_number": "Number of the objection, such as YY2026-000001",
    "order": "Order reference of the licence",
    "payout_number": "Number of the payout, such as ZF2026-000001",
    "peer_id": "Id of the registry, by one of its trust files",
    "price_number": "Number of the price setting, such as JG2026-0001",
    "recognition_id": "Id of the recognised voucher",
    "reconciliation_number": "Number of the reconciliation, such as DZ2026-000001",
    "reference": "Bank's reference of the payment",
    "registration_code": "Registration code, such as DJ202611-000001-5",
    "resource_code": "Resource code of the catalogue; a slash in it may be written %2F",
    "scheme_id": "Id of the scheme",
    "setting_name": "Name of the setting, such as confirmations",
    "statement_number": "Number of the statement",
    "inquiry_number": "Number of the question, such as ZX2026-00001",
    "subject_id": "Id of any subject of the log",
    "tile_path": "Path of the tile (C2SP tlog-tiles), such as 0/x001/x234/067.p/8 or entries/000",
    "token_id": "Id of the token",
    "steward_id": "Id of the post",
    "uscc": "Unified social credit code, 18 characters",
    "voucher_number": "Number of the voucher, such as PZ202611-000001-5",
    "witness_id": "Id of the witness",
}
INTRODUCTION = (
    "Sign in with an API token (`Authorization: Bearer sz_…`, made on the page API tokens), or use the "
    "session of the pages.",
    "A write carries `Idempotency-Key`: the same key and request give the first answer again "
    "(`Idempotent-Replayed: true`), another request under it is 409.",
    "A change of something that is there carries `If-Match` with the ETag it was read with: none is 428, "
    "an old one 412.",
    "A list takes `limit` (1 to 200) and `after`, the cursor `next` of the page before.",
    "A refusal is `application/problem+json` with `code`, `detail`, `facts`, and `errors` by field. It "
    "speaks the language of `Accept-Language` (zh, en).",
    "Every deed answers with a signed receipt of what was recorded. Long work answers 202 with a job.",
    "Amounts are texts in yuan, or whole numbers of fen; never floating point.",
)
TOLD = ("summary", "description", "title")
IDEMPOTENCY_KEY = {
    "in": "header", "name": "Idempotency-Key", "required": True,
    "description": "A key of your own for this write: 8 to 128 letters, digits, . _ -",
    "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$"},
}  # fmt: skip
IF_MATCH = {
    "in": "header", "name": "If-Match", "required": True,
    "description": "The ETag of what you saw, such as \"3\" with its quotes",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,15}"$'},
}  # fmt: skip
ETAG_HEADER = {"ETag": {"description": "The version, for If-Match", "schema": {"type": "string"}}}
REPLAYED_HEADER = {REPLAYED: {
    "description": "true when this is the answer given before", "schema": {"type": "string"},
}}  # fmt: skip
LOCATION_HEADER = {"Location": {"description": "The job", "schema": {"type": "string"}}}


class Document(Api):  # type: ignore[misc]  # flask-smorest is untyped
    """The API's document, in both languages; each refusal stands where it can occur, none by default."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _openapi_json(self) -> Response:
        made: dict[str, bytes] = self.__dict__.setdefault("made", {})
        if language() not in made:
            document = spoken(self.spec.to_dict())
            document["info"]["description"] = "\n".join(f"- {tr(one)}" for one in INTRODUCTION)
            made[language()] = dump(document)
        return Response(made[language()], content_type=JSON)


def spoken(told: Any) -> Any:
    """A part of the document in the reader's language; what an operation's roles are, in words."""
    if isinstance(told, list):
        return [spoken(one) for one in told]
    if not isinstance(told, dict):
        return told
    made: dict[str, Any] = {
        name: translate(value) if name in TOLD and isinstance(value, str) else spoken(value)
        for name, value in told.items()
    }
    if isinstance(made.get("tags"), list):
        made["tags"] = [
            translate(tag) if isinstance(tag, str) else {"name": translate(tag["name"])}
            for tag in told["tags"]
        ]
    if "x-may" in made:
        roles = (f"{tr(role)} ({tr(how)})" for role, how in made["x-may"]["roles"].items())
        made["description"] = f"`{made['x-may']['verb']}`: {', '.join(roles)}"
    return made


def set_up(app: Flask) -> None:
    """Make the routes and the document."""
    app.config |= {
        "API_TITLE": "数证 Shuzheng", "API_VERSION": "v1", "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/api", "OPENAPI_JSON_PATH": "openapi.json",
    }  # fmt: skip
    api = Document(app, spec_kwargs={
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys((*NOUNS.values(), "House"))],
        "security": [{"token": []}],
    })  # fmt: skip
    api.spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    api.ma_plugin.converter.add_attribute_function(_as_documented)
    enter_problems(api.spec)
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX, description="")
    for question in QUESTIONS.values():
        _enter_question(blueprint, question)
    for deed in DEEDS.values():
        _enter_deed(blueprint, deed)
    more.enter(blueprint)
    api.register_blueprint(blueprint)
    for path, operations in api.spec._paths.items():
        for key in re.findall(r"{([a-z_]+)}", path):
            _describe(operations, key)


def _describe(operations: Mapping[str, Any], key: str) -> None:
    for parameter in operations.get("parameters", ()):
        if parameter["name"] == key:
            parameter["description"] = KEYS[key]


def _as_documented(_self: Any, field: Any, ret: dict[str, Any]) -> dict[str, Any]:
    """What apispec cannot know: patterns as other languages spell them, and our hints."""
    ret.pop("example", None)  # ours says the form in a sentence
    if "enum" in ret:
        ret.pop("minLength", None), ret.pop("maxLength", None)
    if "pattern" in ret:
        ret["pattern"] = ret["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    hint = str(field.metadata.get("hint", ""))
    if hint and not hint.startswith("one a line"):  # that is how a page's form is filled in
        ret["description"] = hint
    return {}


def read_json() -> Mapping[str, Any]:
    """The request's body as a mapping; a number with a point stays the text it was written as."""
    request.max_content_length = JSON_BYTES_MAX
    data = request.get_data(parse_form_data=False)
    if not data:
        return {}
    if request.mimetype != JSON:
        raise UnsupportedMedia("The body must be {wanted}, not {given}.", wanted=JSON,
                               given=request.mimetype or "-")  # fmt: skip
    check_nesting(data, "The body")
    try:
        value = json.loads(
            data.decode(), parse_float=str, parse_constant=_no_constant,
            object_pairs_hook=_no_duplicates,
        )  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise Invalid("The body is not JSON we accept: {why}.", why=str(error)) from None
    if not isinstance(value, Mapping):
        raise Invalid("The body must be a JSON object.")
    return value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


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
        if isinstance(found, File | LongFile):
            return send(found)
        return reply(found, version=found.get("version"))

    parameters: list[Any] = []
    more: dict[str, Any] = {}
    posted = question.method == "POST"
    if posted:
        more["requestBody"] = {"content": {JSON: {"schema": question.query}}, "required": True}
    elif question.query().fields:
        parameters.append({"in": "query", "schema": question.query})
    answer: dict[str, Any] = {"description": question.title}
    if question.answer is None:
        answer["content"] = {question.media_type: {"schema": {}}}
    else:
        answer["content"] = {JSON: {"schema": question.answer}}
        if "version" in question.answer().fields:
            answer["headers"] = ETAG_HEADER
    refusals = problems_of(
        names=bool(question.keys) or question.answer is None, body=posted, chain=question.asks_chain
    )
    _route(
        blueprint, question, view, question.method, parameters, {"200": answer, **refusals}, more
    )


def _enter_deed(blueprint: Blueprint, deed: Deed) -> None:
    status = 200 if deed.changes else 201

    def view(**keys: str) -> Response:
        key = idempotency_key()
        seen = seen_version() if deed.changes else None
        desk = door.the_desk()
        body = _handed_in(deed) if deed.upload else read_json()
        if deed.long:
            job, known = begin(desk, deed, door.who, keys, body, key)
            answer = reply(facts(job), 202)
            answer.headers["Location"] = f"{PREFIX}/jobs/{job.id}"
            if known:
                answer.headers[REPLAYED] = "true"
            return answer
        return answer_of(desk.do(deed, door.who, keys, body, key=key, seen=seen), status)

    parameters = [IDEMPOTENCY_KEY, *([IF_MATCH] if deed.changes else [])]
    body: dict[str, Any] = {"required": True, "content": {JSON: {"schema": deed.body}}}
    if deed.upload:
        options = [n for n in deed.body().fields if n not in UPLOADED]
        body["content"] = {MULTIPART: {"schema": {
            "type": "object", "required": ["file"], "additionalProperties": False,
            "properties": {"file": {"type": "string", "format": "binary"},
                           **{n: {"type": "string"} for n in options}},
        }}, **more.raw_bodies(deed.name)}  # fmt: skip
    elif not deed.body().fields:
        body = {}
    answers: dict[str, Any] = {str(status): {
        "description": deed.says, "content": {JSON: {"schema": DeedAnswer}},
        "headers": REPLAYED_HEADER,
    }}  # fmt: skip
    if deed.long:
        answers = {"202": {
            "description": "The job that does it", "content": {JSON: {"schema": JobAnswer}},
            "headers": {**LOCATION_HEADER, **REPLAYED_HEADER},
        }}  # fmt: skip
    refusals = problems_of(names=True, body=True, changes=deed.changes, chain=deed.asks_chain)
    _route(blueprint, deed, view, "POST", parameters, {**answers, **refusals},
           {"requestBody": body} if body else {})  # fmt: skip


def _handed_in(deed: Deed) -> Mapping[str, Any]:
    """The body of a deed that takes a file: the form's fields, and what the file is."""
    if request.mimetype in more.RAW.get(deed.name, ()):
        return more.keep_body(request.mimetype)
    if request.mimetype != MULTIPART:
        raise UnsupportedMedia("The body must be {wanted}, not {given}.", wanted=MULTIPART,
                               given=request.mimetype or "-")  # fmt: skip
    stored = keep_upload(door.the_desk().home, request.files.get("file"), transient=deed.transient)
    return {
        **read_form(deed.body, request.form),
        **{name: value for name, value in stored.items() if name in deed.body().fields},
    }


def _route(
    blueprint: Blueprint, thing: Thing, view: Any, method: str, parameters: list[Any],
    answers: dict[str, Any], more: dict[str, Any],
) -> None:  # fmt: skip
    view.__name__ = thing.name.replace(".", "_")
    view.__doc__ = thing.title
    marked = door.guard(thing)(view)
    documented = blueprint.doc(
        summary=thing.title, parameters=parameters, responses=answers, operationId=thing.name,
        tags=[NOUNS.get(thing.noun, "House")], **who_may(thing.verb), **more,
    )(marked)  # fmt: skip
    blueprint.route(thing.path, methods=[method], endpoint=view.__name__)(documented)
