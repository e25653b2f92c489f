"""The forms of answers: made from the columns of each table, so that the document cannot lie."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import BigInteger, Boolean, inspect, select
from sqlalchemy.orm import Session

from ledger import log
from ledger.parties import Actor
from ledger.proof.encoding import instant
from ledger.store import CanonicalJson, Evidence, UtcTime
from webapp.deeds import Desk, question
from webapp.deeds.forms import MISSHAPEN, Body, said, text
from webapp.deeds.subjects import BY_NOUN, matching, visible

PAGE_MAX = 200
PAGE = 25


class Facts(Schema):
    """A deed's answer: texts and numbers by name."""

    class Meta:
        unknown = "include"


class RecordAnswer(Schema):
    """A record of the log, without what it says: that stays with those it concerns."""

    at = fields.String(required=True)
    digest = fields.String(required=True)
    kind = fields.String(required=True)
    leaf_index = fields.Integer(required=True)
    rung = fields.String(required=True)


def rows_a_page() -> fields.Integer:
    """How many rows of a list are wanted at once."""
    return fields.Integer(
        load_default=PAGE,
        validate=validate.Range(1, PAGE_MAX, error=said(MISSHAPEN, f"number from 1 to {PAGE_MAX}")),
        metadata={"title": "Rows a page", "hint": ""},
    )  # fmt: skip


class PageQuery(Body):
    """Which part of a list is wanted."""

    limit = rows_a_page()
    after = text("After (cursor)", most=64, required=False, pattern=r"\A[0-9a-f-]{36}\Z",
                 example="cursor")  # fmt: skip
    words = text("Words", most=100, required=False, blank=True)
    state = text("State", most=30, required=False, blank=True)


def row_schema(model: type[Evidence], *names: str) -> type[Schema]:
    """The form of a row as recorded; of some columns only, if they are named."""
    made: dict[str, Any] = {}
    for column in inspect(model).columns:
        if names and column.key not in (*names, "id", "version"):
            continue
        kind: Any = fields.String
        if isinstance(column.type, CanonicalJson):
            kind = fields.Raw
        elif isinstance(column.type, Boolean):
            kind = fields.Boolean
        elif isinstance(column.type, BigInteger) or column.type.python_type is int:
            kind = fields.Integer
        elif isinstance(column.type, UtcTime):
            kind = fields.String
        made[column.key] = kind(required=True, allow_none=bool(column.nullable))
    return type(f"{model.__name__}{'Row' if names else ''}Answer", (Schema,), made)


def shown_schema(model: type[Evidence]) -> type[Schema]:
    """The form of one subject as shown: its row, and its history."""
    history = fields.List(fields.Nested(RecordAnswer), required=True)
    return type(f"{model.__name__}Shown", (row_schema(model),), {"history": history})


def seen_schema(model: type[Evidence]) -> type[Schema]:
    """The form of one subject as far as the asker is told of it; `hidden` names what he is not."""
    more = {"hidden": fields.List(fields.String(), required=True)}
    return type(f"{model.__name__}Seen", (shown_schema(model),), more)


def list_schema(model: type[Evidence], names: tuple[str, ...]) -> type[Schema]:
    """The form of a page of a list."""
    row = row_schema(model, *names)
    made: dict[str, Any] = {
        "items": fields.List(fields.Nested(row), required=True),
        "next": fields.String(required=True, allow_none=True),
    }
    return type(f"{model.__name__}List", (Schema,), made)


def history_of(session: Session, subject_id: str) -> list[dict[str, Any]]:
    """All records of a subject, with how far each has climbed."""
    return [
        {
            "at": instant(record.at), "digest": record.digest, "kind": record.kind,
            "leaf_index": record.leaf_index, "rung": log.rung(session, record),
        }
        for record in log.history(session, subject_id)
    ]  # fmt: skip


def shows(noun: str, path: str, title: str, **more: Any) -> Any:
    """The question that shows one subject of a noun as recorded, with its history."""

    def act(_desk: Desk, session: Session, _actor: Actor, *found: Any) -> dict[str, Any]:
        row = found[-1]
        return {**row.body(), "history": history_of(session, row.id)}

    model = BY_NOUN[noun].model
    return question(f"{noun}.read", path, title, answer=shown_schema(model), **more)(act)


def lists(noun: str, path: str, title: str, names: str, words: tuple[Any, ...] = (),
          where: Callable[[Any], Any] | None = None) -> Any:  # fmt: skip
    """The question that lists what a person may see of a noun, newest first.

    `names` are the columns told; `words` those searched in; `where(parent)` narrows to a parent.
    """
    model, columns = BY_NOUN[noun].model, tuple(names.split())

    def act(
        _desk: Desk, session: Session, actor: Actor, *found: Any, limit: int = PAGE, after: str = "",
        **asked: str,
    ) -> dict[str, Any]:  # fmt: skip
        rows = page_of(session, actor, noun, limit=limit, after=after, words=asked.get("words", ""),
                       state=asked.get("state", ""), columns=words,
                       where=where(found[-1]) if where and found else None)  # fmt: skip
        more = len(rows) > limit
        kept = rows[:limit]
        return {
            "items": [_told(row, columns) for row in kept],
            "next": kept[-1].id if more else None,
        }

    return question(
        f"{noun}.read", path, title, name=f"{noun}.list", answer=list_schema(model, columns),
        query=PageQuery, listed=True,
    )(act)  # fmt: skip


def page_of(
    session: Session, actor: Actor, noun: str, *, limit: int, after: str = "", words: str = "",
    state: str = "", columns: tuple[Any, ...] = (), where: Any = None,
) -> list[Any]:  # fmt: skip
    """Up to `limit` + 1 rows of a noun that the actor may see, newest first, after a cursor."""

    model = BY_NOUN[noun].model
    query = select(model).order_by(model.id.desc()).limit(limit + 1)
    for condition in (
        visible(session, actor, noun),
        where,
        model.id < after if after else None,
        matching(model, words, *columns) if words and columns else None,
        model.__table__.c.state == state if state and "state" in model.__table__.c else None,
    ):
        if condition is not None:
            query = query.where(condition)
    return list(session.scalars(query))


def _told(row: Evidence, columns: tuple[str, ...]) -> Mapping[str, Any]:
    body = row.body()
    return {name: body[name] for name in ("id", "version", *columns)}
