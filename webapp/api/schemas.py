"""The forms of answers that all routes share."""

from marshmallow import Schema, fields

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
