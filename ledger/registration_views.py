"""What each party sees of an application, an objection or a registration in each state: one table.

    SEES[noun][state][audience] = name of a part in PARTS[noun]

Who is in several audiences gets the first that fits, in the order of AUDIENCES. What a part lacks is told
as empty, and named. Whether somebody may ask at all, `rights.MAY` says; this says how much he is told.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import object_session

from ledger.objections import Objection
from ledger.parties import Actor
from ledger.registration import Application, Registration, owners
from ledger.store import Evidence

AUDIENCES = ("registrar", "regulator", "subject", "stranger", "party", "exchange", "public")
# `registrar`: one who may decide, of another organisation than those concerned. `subject`: who applied,
# who objected, for whom it is registered. `stranger`: who applied about another's registration. `party`:
# another whose consent it needs, who applied for what is objected to.
ALL = "all"
_APPLICATION = frozenset(column.key for column in Application.__table__.columns)
# What an application about another's registration has from there, and the public is not told.
_ANOTHERS = {"agreement_id", "scenes", "grade"}
_ENTRY = frozenset({"code", "object", "title", "summary", "rights", "party_id", "joint_ids", "valid_from",
                    "valid_until", "state", "disputes", "ending", "resource_ids"})  # fmt: skip
PARTS: dict[str, dict[str, frozenset[str]]] = {
    "application": {
        "nothing": frozenset(),
        "notice": frozenset({"number", "type", "object", "title", "summary", "state", "notice",
                             "party_id"}),
        "outline": frozenset({
            "number", "type", "object", "title", "summary", "state", "notice", "party_id", "rights",
            "resource_ids", "agreement_id", "asked", "ground", "consents", "deadlines",
            "registration_id", "profile",
        }),
        "unreviewed": _APPLICATION - {"review", "grade"},
        "own_words": _APPLICATION - _ANOTHERS - {"review"},
        "own_reviewed": _APPLICATION - _ANOTHERS,
    },
    "objection": {
        "nothing": frozenset(),
        "claim": frozenset({"number", "application_id", "title", "claim", "evidence", "due",
                            "finding", "raised_at", "state"}),
    },
    "registration": {
        "entry": _ENTRY,
        "market": _ENTRY | {"agreement_id", "licences", "profile"},
    },
}  # fmt: skip


def _row(text: str) -> dict[str, str]:
    return dict(one.split(":") for one in text.split())


STRANGER = {"all": "own_reviewed", "unreviewed": "own_words"}
_WATCHED = "registrar:all regulator:all"
SEES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "application": {
        state: _row(
            f"{_WATCHED} subject:{subject} stranger:{STRANGER[subject]} party:outline "
            f"public:{public}"
        )
        for state, subject, public in (
            ("submitted", "all", "nothing"),  # what was missing before, if anything
            ("returned", "all", "nothing"),
            ("in_review", "unreviewed", "nothing"),
            ("reviewed", "unreviewed", "nothing"),  # a second look may still send it back
            ("on_notice", "all", "notice"),
            ("objection_review", "all", "notice"),
            ("registered", "all", "nothing"),  # the registration is public then
            ("concluded", "all", "nothing"),
            ("not_accepted", "all", "nothing"),
            ("terminated", "all", "nothing"),
            ("withdrawn", "unreviewed", "nothing"),
        )
    },
    "objection": {
        state: _row(f"{_WATCHED} subject:all party:claim public:nothing")
        for state in ("raised", "upheld", "dismissed", "withdrawn")
    },
    "registration": {
        state: _row(f"{_WATCHED} subject:all exchange:market public:entry")
        for state in ("registered", "under_inquiry", "revoked", "cancelled")
    },
}


def audience(actor: Actor, row: Application | Objection | Registration) -> str:
    """In which capacity the actor looks at a row."""
    if "registrar" in actor.roles and actor.parties.isdisjoint(_concerned(row)):
        return "registrar"
    if "regulator" in actor.roles:
        return "regulator"
    if actor.member_id and row.party_id in actor.parties:
        return "stranger" if isinstance(row, Application) and _of_another(row) else "subject"
    if isinstance(row, Registration):
        if not actor.parties.isdisjoint(owners(row)):
            return "subject"
        return "exchange" if "exchange" in actor.roles else "public"
    if isinstance(row, Objection) and actor.member_id:
        return "party"  # only the applicants' side may ask at all
    if isinstance(row, Application) and not actor.parties.isdisjoint(owners(row)):
        return "party"
    return "public"


def _concerned(row: Application | Objection | Registration) -> tuple[str, ...]:
    """Whose registrars do not decide on it."""
    if not isinstance(row, Objection):
        return owners(row)
    session = object_session(row)
    assert session is not None, row
    return (row.party_id, *owners(session.get_one(Application, row.application_id)))


def _of_another(row: Application) -> bool:
    """Whether who applied is not the subject of what it is about."""
    return row.type == "objection" or any(one["as"] == "subject" for one in row.consents or ())


def seen(actor: Actor, noun: str, row: Any) -> frozenset[str]:
    """The columns of a row that the actor is told."""
    part = SEES[noun][row.state][audience(actor, row)]
    everything = frozenset(column.key for column in row.__table__.columns)
    return everything if part == ALL else PARTS[noun][part] | {"id", "version"}


def told(actor: Actor, noun: str, row: Evidence) -> dict[str, Any]:
    """The row as the actor may see it: what he is not told is empty, and named in `hidden`."""
    known = seen(actor, noun, row)
    body = row.body()
    hidden = sorted(set(body) - known)
    for name in hidden:
        column = row.__table__.columns[name]
        value = body[name]
        empty: Any = "" if isinstance(value, str) else [] if isinstance(value, list) else {}
        body[name] = None if column.nullable else empty
    return {**body, "hidden": hidden}
