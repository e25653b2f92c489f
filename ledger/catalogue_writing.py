"""What becomes of resources is written and recorded at once, past the ORM: a city has tens of thousands."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Text, bindparam, select, update
from sqlalchemy.orm import Session

from ledger import exclusions, log
from ledger.agreements import RUNNING, Agreement
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.catalogue_changes import NAMED_MOST, Change, Known, parts
from ledger.errors import Conflict
from ledger.parties import Actor
from ledger.registration import Application, Registration
from ledger.store import Base, new_ids, put_rows

OPEN_APPLICATIONS = (
    "submitted", "returned", "in_review", "reviewed", "on_notice", "objection_review",
)  # fmt: skip

_resources = Base.metadata.tables[Resource.__tablename__]
PAST = {"list": "resource.listed", "change": "resource.changed", "withdraw": "resource.withdrawn"}
_COLUMNS = Known._fields
_CHANGE = (
    update(_resources)
    .where(_resources.c.id == bindparam("of"), _resources.c.version == bindparam("was"))
    .values({
        name: bindparam(f"to_{name}", type_=Text if name == "elements" else None)
        for name in _COLUMNS if name not in ("id", "code")
    })
)  # fmt: skip


def write(
    session: Session, actor: Actor, now: datetime, import_id: str, changes: Sequence[Change],
    reason: str | None,
) -> None:  # fmt: skip
    """Write and record what becomes of each resource, past the ORM."""
    gone = [one.before for one in changes if one.verb == "withdraw" and one.before]
    require_free(session, local_date(now), gone)
    exclusions.require_no_loosening(session, (
        (one.before.id, one.code, one.before.elements, one.elements) for one in changes if one.before
    ))  # fmt: skip
    session.flush()
    fresh, moved = [], []
    ids = iter(new_ids(sum(change.before is None for change in changes)))
    noted: dict[str, list[tuple[str, int, bytes]]] = {}
    for change in changes:
        before = change.before
        resource_id, version = (next(ids), 1) if before is None else (before.id, before.version + 1)
        row: tuple[Any, ...] = (
            resource_id, version, change.code, change.title, change.provider, change.elements,
            import_id, change.state, change.provider_id, change.grade, change.audience,
            change.stale_on,
        )  # fmt: skip
        if before is None:
            fresh.append(row)
        else:
            moved.append({"of": before.id, "was": before.version, **{
                f"to_{name}": value.decode() if name == "elements" else value
                for name, value in zip(_COLUMNS, row, strict=True)
                if name not in ("id", "code")
            }})  # fmt: skip
        body = change.body(resource_id, version, import_id)
        noted.setdefault(change.verb, []).append(
            (resource_id, version, orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
        )
    put_rows(session.connection(), _resources, _COLUMNS, fresh)
    for part in parts(moved):
        session.connection().execute(_CHANGE, list(part))
    for verb, rows in noted.items():
        log.append_many(session, "resource", PAST[verb], actor.member_id, rows, reason=reason)
    for loaded in list(session.identity_map.values()):
        if isinstance(loaded, Resource):
            session.expire(loaded)


def require_free(session: Session, today: date, withdrawn: Sequence[Known]) -> None:
    """Raise Conflict naming each resource that cannot be withdrawn, and what names it."""
    used = uses(session, today, withdrawn)
    if used:
        listing = [f"{code} ({number})" for code, number in used]
        raise Conflict(
            "These resources are named by what is in force and stay: {codes}.",
            codes=", ".join(listing[:NAMED_MOST]) + (" …" if listing[NAMED_MOST:] else ""),
            listing=listing,
        )  # fmt: skip


def uses(session: Session, today: date, withdrawn: Sequence[Known]) -> list[tuple[str, str]]:
    """(code, number) of what needs these resources: agreement in force, open application, registration.

    An agreement whose last day is over needs them no more, recorded as expired or not yet.
    """
    code_of = {one.id: one.code for one in withdrawn}
    if not code_of:
        return []
    used: list[tuple[str, str]] = []
    for model, number, binds in (
        (Agreement, Agreement.number,
         Agreement.state.in_(RUNNING) & (Agreement.until_on >= today.isoformat())),
        (Application, Application.number, Application.state.in_(OPEN_APPLICATIONS)),
        (Registration, Registration.code, Registration.state == "registered"),
    ):  # fmt: skip
        naming: Any = model
        rows = session.execute(select(number, naming.resource_ids).where(binds).order_by(number))
        used += [(code_of[one], text) for text, ids in rows for one in ids if one in code_of]
    return sorted(used)
