"""The forms of answers that all routes share, and how the document says who may."""

from typing import Any

from marshmallow import Schema, fields

from ledger.rights import MAY, PUBLIC

KEY_PATTERN = r"[A-Za-z0-9._-]{8,128}"


class DeedAnswer(Schema):
    """What a deed answers: its facts, and the signed receipt of what it recorded."""

    answer = fields.Dict(required=True)
    receipt = fields.Dict(required=True, allow_none=True)


class JobAnswer(Schema):
    """A piece of long work: how far it is, and its outcome."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True)
    stage = fields.String(required=True)
    done_count = fields.Integer(required=True)
    total_count = fields.Integer(required=True)
    created_at = fields.String(required=True)
    finished_at = fields.String(required=True, allow_none=True)
    answer = fields.Dict(required=True, allow_none=True)
    receipt = fields.Dict(required=True, allow_none=True)
    refusal = fields.Dict(required=True, allow_none=True)


class JobsAnswer(Schema):
    """One's own latest jobs."""

    items = fields.List(fields.Nested(JobAnswer), required=True)


def who_may(verb: str) -> dict[str, Any]:
    """What the document says of an operation's verb: which roles have it, and whether one signs in."""
    told: dict[str, Any] = {"x-may": {"verb": verb, "roles": dict(MAY[verb])}}
    if PUBLIC in MAY[verb]:
        told["security"] = [{}, {"token": []}]
    return told
