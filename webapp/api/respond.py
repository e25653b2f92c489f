"""Answers of the API: JSON with an ETag where it shows a version, and files."""

import json
from typing import Any

import orjson
from flask import Response

from webapp.deeds import Done, File, LongFile

JSON = "application/json"
MULTIPART = "multipart/form-data"
REPLAYED = "Idempotent-Replayed"


def dump(value: Any) -> bytes:
    """A value as JSON, also with whole numbers beyond 64 bits and half characters, unlike orjson."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    except TypeError:
        return json.dumps(value, default=str, allow_nan=False).encode()


def reply(value: Any, status: int = 200, version: int | None = None) -> Response:
    """A JSON answer, with its ETag when it shows a version of something."""
    answer = Response(dump(value), status, content_type=JSON)
    if version is not None:
        answer.headers["ETag"] = f'"{version}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def send(file: File | LongFile) -> Response:
    """A file as an answer, to be stored rather than shown; a long one piece by piece."""
    if isinstance(file, File):
        answer = Response(file.content, content_type=file.media_type)
    else:
        answer = Response(file.pieces(), content_type=file.media_type)
        answer.content_length = file.size_bytes
    answer.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def answer_of(done: Done, status: int) -> Response:
    """What a deed answers: its facts and the signed receipt."""
    made = reply({"answer": done.answer, "receipt": done.receipt}, status)
    if done.again:
        made.headers[REPLAYED] = "true"
    return made
