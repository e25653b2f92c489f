"""Change sets of the catalogue (目录变更): what is brought is planned, applied at once, and can be undone.

plan     what is new, changed, unchanged, gone; nothing is written
bring    a registrar's rows are applied as one change set; a provider's rows wait for a registrar
approve  what another person proposed, if the catalogue is still what it was made against
undo     a new change set that puts everything back as it was before
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, String, Text, delete, func, insert, or_, select, type_coerce
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.catalogue import KEY_ELEMENTS, Audience, Resource, audiences, derive, missing, providers
from ledger.catalogue_changes import (
    KNOWN,
    Change,
    Known,
    Plan,
    Prepared,
    change_to,
    content_digest,
    differs,
    digest_of,
    known_by_code,
    parts,
    plan,
    refuse_changed,
    withdrawal,
)
from ledger.catalogue_writing import write
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.proof.encoding import canonical, digest_text
from ledger.states import move
from ledger.store import Base, Evidence, hold, new_id

SOURCES = ("table", "ckan", "dcat", "hand", "undo")
SCOPES = ("providers", "file")


class CatalogueImport(Evidence):
    """One change set: which file, by which mapping, with what outcome, by whom and why."""

    __tablename__ = "catalogue_imports"
    subject_type = "catalogue_import"
    file_name: Mapped[str]
    file_digest: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    row_count: Mapped[int]
    new_count: Mapped[int]
    changed_count: Mapped[int]
    unchanged_count: Mapped[int]
    absent_count: Mapped[int]
    notices: Mapped[list[Any]]
    imported_by: Mapped[str]
    state: Mapped[str | None]
    """proposed, applied, rejected or undone (None, of before: applied)"""
    source: Mapped[str | None]
    """table, ckan, dcat, hand or undo"""
    party_id: Mapped[str | None] = mapped_column(String(36))
    """the organisation that handed it in"""
    defaults: Mapped[dict[str, Any] | None]
    withdrawn_count: Mapped[int | None]
    content_digest: Mapped[str | None]
    """of the lines of what it changes"""
    undoes: Mapped[str | None] = mapped_column(String(36))
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]


class ProposedChange(Base):
    """One line of a proposed change set, until it is decided (operational)."""

    __tablename__ = "proposed_changes"
    import_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    verb: Mapped[str]
    """list, change or withdraw"""
    row: Mapped[dict[str, Any] | None]


class CatalogueMapping(Base):
    """The columns as an organisation mapped a header the last time (operational)."""

    __tablename__ = "catalogue_mappings"
    party_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    header_digest: Mapped[str] = mapped_column(primary_key=True)
    mapping: Mapped[dict[str, Any]]
    at: Mapped[datetime]


_proposed = Base.metadata.tables[ProposedChange.__tablename__]

# ---------------------------------------------------------------- bringing, deciding, undoing


def plan_of(
    session: Session, actor: Actor, rows: Sequence[Mapping[str, Any] | Prepared], *,
    scope: str = "providers", file_name: str = "", speaks: frozenset[str] | None = None,
    present: Iterable[str] = (), hold_them: bool = False,
) -> Plan:  # fmt: skip
    """What the rows would do to the catalogue; nothing is written.

    `scope` says which resources are gone when the rows lack them: those of the providers that the rows
    speak of, or (file) those that an earlier file of that name of one's own organisation brought.
    """
    if scope not in SCOPES:
        raise Invalid("The scope is one of {choices}.", choices=", ".join(SCOPES))
    among: ColumnElement[bool] | None = None
    if scope == "file":
        earlier = select(CatalogueImport.id).where(
            CatalogueImport.file_name == file_name,
            or_(CatalogueImport.party_id == actor.party_id, CatalogueImport.party_id.is_(None)),
        )
        among = Resource.import_id.in_(earlier)
    return plan(
        session, actor, rows, speaks=speaks, present=present, among=among, hold_them=hold_them
    )


def bring(
    session: Session, actor: Actor, now: datetime, *, rows: Sequence[Mapping[str, Any] | Prepared],
    file_name: str, file_digest: str, source: str = "table", mapping: Mapping[str, Any] | None = None,
    notices: Sequence[Mapping[str, Any]] = (), defaults: Mapping[str, str] | None = None,
    scope: str = "providers", withdraw_gone: bool = False, reason: str | None = None,
    checked: str | None = None, speaks: frozenset[str] | None = None, present: Iterable[str] = (),
) -> CatalogueImport:  # fmt: skip
    """Bring the catalogue to what the rows say, as one change set; returns it, applied or proposed.

    The same file with the same options again changes nothing and returns the first one. `checked` is the
    digest of a plan that was looked at: if it would be another one now, nothing is done.
    """
    may(actor, "catalogue.import")
    if not rows:
        raise Invalid("The file {name} holds no usable row.", name=file_name)
    hold(session, "catalogue")
    made = plan_of(
        session, actor, rows, scope=scope, file_name=file_name, speaks=speaks, present=present,
        hold_them=True,
    )  # fmt: skip
    if made.problems:
        raise Invalid(
            "{count} rows cannot be brought so; nothing was stored.",
            count=len(made.problems), problems=[one.as_dict() for one in made.problems],
        )  # fmt: skip
    changes = made.changes(withdraw_gone)
    digest = content_digest(changes)
    if checked and checked != digest:
        raise Conflict(
            "The catalogue was changed since this was checked: check it again.",
            known=digest, given=checked,
        )  # fmt: skip
    proposes = "registrar" not in actor.roles
    first = _the_same(session, actor, file_digest, mapping or {}, defaults, digest, bool(changes))
    if first is not None:
        return first
    outcome = CatalogueImport(
        id=new_id(), file_name=file_name, file_digest=file_digest, mapping=dict(mapping or {}),
        row_count=made.row_count, new_count=len(made.new), changed_count=len(made.changed),
        unchanged_count=len(made.unchanged),
        absent_count=0 if withdraw_gone else len(made.gone), notices=[dict(one) for one in notices],
        imported_by=actor.member_id, state=move("catalogue", "propose" if proposes else "import", None),
        source=source, party_id=actor.party_id, defaults=dict(defaults) if defaults else None,
        withdrawn_count=len(made.gone) if withdraw_gone else 0, content_digest=digest, undoes=None,
        decided_by=None, reason=reason or None,
    )  # fmt: skip
    if proposes:
        _propose(session, outcome.id, changes)
        log.append(session, outcome, "catalogue.proposed", actor.member_id, reason=reason)
    else:
        write(session, actor, now, outcome.id, changes, reason)
        log.append(session, outcome, "catalogue.imported", actor.member_id, reason=reason)
    session.flush()
    return outcome


def bring_one(
    session: Session, actor: Actor, now: datetime, code: str, row: Mapping[str, Any] | None,
    reason: str,
) -> CatalogueImport:  # fmt: skip
    """Change one resource by hand to what `row` says, or withdraw it (None): a change set of one.

    A registrar's is applied, a provider's waits for a registrar.
    """
    may(actor, "catalogue.import")
    if not reason.strip():
        raise Invalid("A change made by hand needs its reason.")
    hold(session, "catalogue")
    before = known_by_code(session, [code], hold_them=True).get(code)
    if before is None:
        raise missing(code)
    may(actor, "catalogue.import", [before.provider_id] if before.provider_id else (), code)
    proposes = "registrar" not in actor.roles
    move("resource", "withdraw" if row is None else "change", before.state)
    if row is None:
        change = withdrawal(before)
    else:
        change = change_to({**row, "code": code}, before, providers(session))
        if proposes and change.provider_id not in actor.parties:
            raise Invalid(
                "The provider is not your organisation; you can bring your own resources only."
            )
        if not differs(change, before):
            raise Invalid("Nothing was changed: resource {code} says this already.", code=code)
    of = {verb: int(change.verb == verb) for verb in ("change", "withdraw")}
    digest = content_digest([change])
    outcome = CatalogueImport(
        id=new_id(), file_name=code, file_digest=digest, mapping={}, row_count=1,
        new_count=0, changed_count=of["change"], unchanged_count=0, absent_count=0, notices=[],
        imported_by=actor.member_id, state=move("catalogue", "propose" if proposes else "import", None),
        source="hand", party_id=actor.party_id, defaults=None, withdrawn_count=of["withdraw"],
        content_digest=digest, undoes=None, decided_by=None, reason=reason.strip(),
    )  # fmt: skip
    if proposes:
        _propose(session, outcome.id, [change])
        log.append(session, outcome, "catalogue.proposed", actor.member_id, reason=reason)
    else:
        write(session, actor, now, outcome.id, [change], reason)
        log.append(session, outcome, "catalogue.imported", actor.member_id, reason=reason)
    session.flush()
    return outcome


def _the_same(
    session: Session, actor: Actor, file_digest: str, mapping: Mapping[str, Any],
    defaults: Mapping[str, str] | None, digest: str, changes: bool,
) -> CatalogueImport | None:  # fmt: skip
    """The change set that the same file made with the same options, if that still says all there is."""
    earlier = session.scalars(
        select(CatalogueImport)
        .where(CatalogueImport.file_digest == file_digest)
        .order_by(CatalogueImport.id.desc())
    )
    for one in earlier:
        same = _fields(one.mapping) == _fields(mapping)
        same = same and (one.defaults or {}) == dict(defaults or {})
        if not same or one.source == "undo":
            continue
        applied = one.state in ("applied", None) and not changes
        waiting = one.state == "proposed" and one.content_digest == digest
        if applied or (waiting and one.party_id == actor.party_id):
            return one
    return None


def _fields(mapping: Mapping[str, Any]) -> list[str | None]:
    """The field of each column, however it was found."""
    return [column["field"] for column in mapping.get("columns", ())]


def _propose(session: Session, import_id: str, changes: Sequence[Change]) -> None:
    """Keep the lines of a change set until it is decided."""
    lines = [(n, orjson.loads(change.line())) for n, change in enumerate(changes)]
    if lines:
        session.execute(insert(ProposedChange), [
            {"import_id": import_id, "n": n, "code": code, "verb": verb, "row": row}
            for n, (code, verb, row) in lines
        ])  # fmt: skip


def proposed_changes(session: Session, found: CatalogueImport) -> list[Change]:
    """What a proposed change set changes; Conflict when it is no longer what was recorded or seen."""
    lines = _lines(session, found)
    given = digest_of(
        orjson.dumps([code, verb, orjson.Fragment(row.encode())]) for code, verb, row in lines
    )
    if given != found.content_digest:
        raise Conflict(
            "The lines of this change set are not those that were recorded: have it handed in again.",
            known=found.content_digest, given=given,
        )  # fmt: skip
    changes, stale = _against_today(session, lines, hold_them=True)
    refuse_changed(stale)
    return changes


def proposed_part(
    session: Session, actor: Actor, found: CatalogueImport, start: int, limit: int
) -> list[Change]:
    """A part of what a proposed change set changes, as far as the actor sees what is there today."""
    lines, seen = _lines(session, found)[start : start + limit], audiences(session, actor)
    return _against_today(session, lines, seen=seen)[0]


def _lines(session: Session, found: CatalogueImport) -> list[tuple[str, str, str]]:
    wanted = (
        select(_proposed.c.code, _proposed.c.verb, type_coerce(_proposed.c.row, Text))
        .where(_proposed.c.import_id == found.id)
        .order_by(_proposed.c.n)
    )
    return [(code, verb, row) for code, verb, row in session.execute(wanted)]


def _against_today(
    session: Session, lines: Sequence[tuple[str, str, str]], *, seen: Audience | None = None,
    hold_them: bool = False,
) -> tuple[list[Change], list[str]]:  # fmt: skip
    """(the changes, the codes of those whose resource is no longer what they were made against)."""
    known = known_by_code(session, [code for code, _, _ in lines], hold_them=hold_them)
    provider_of = providers(session)
    made: list[Change] = []
    stale: list[str] = []
    for code, verb, text in lines:
        row, before = orjson.loads(text), known.get(code)
        if seen is not None and before is not None and not seen.sees(before):
            before = None  # another body's meanwhile: not told
        if row["seen"] != (before.version if before else 0):
            stale.append(code)
        if verb == "withdraw":
            if before is not None and before.state == "listed":
                made.append(withdrawal(before))
            continue
        flat = {**row["elements"], "code": code, "title": row["title"], "provider": row["provider"]}
        made.append(change_to(flat, before, provider_of))
    return made, stale


def approve(
    session: Session, actor: Actor, now: datetime, found: CatalogueImport, reason: str | None = None
) -> None:
    """Apply what another person proposed, if its resources are still what it was made against."""
    may(actor, "catalogue.approve")
    require_other(actor, [found.imported_by], found.file_name)
    state = move("catalogue", "approve", found.state)
    hold(session, "catalogue")
    changes = proposed_changes(session, found)
    write(session, actor, now, found.id, changes, reason or found.reason)
    _decide(session, actor, found, state, "catalogue.approved", reason)


def reject(
    session: Session, actor: Actor, now: datetime, found: CatalogueImport, reason: str
) -> None:
    """Turn down what another person proposed; the ground is told."""
    may(actor, "catalogue.reject")
    require_other(actor, [found.imported_by], found.file_name)
    state = move("catalogue", "reject", found.state)
    _decide(session, actor, found, state, "catalogue.rejected", reason)


def _decide(
    session: Session, actor: Actor, found: CatalogueImport, state: str, kind: str,
    reason: str | None,
) -> None:  # fmt: skip
    found.state, found.decided_by = state, actor.member_id
    log.append(session, found, kind, actor.member_id, reason=reason)
    session.execute(delete(ProposedChange).where(ProposedChange.import_id == found.id))
    session.flush()


def undo(
    session: Session, actor: Actor, now: datetime, found: CatalogueImport, reason: str
) -> CatalogueImport:
    """Put every resource back as it was before a change set, by a new one.

    What another change set changed since cannot be put back: its codes are named and nothing is done.
    """
    may(actor, "catalogue.undo")
    state = move("catalogue", "undo", found.state or "applied")
    hold(session, "catalogue")
    changes = list(_reversal(session, found))
    of = {
        verb: sum(change.verb == verb for change in changes)
        for verb in ("list", "change", "withdraw")
    }
    made = CatalogueImport(
        id=new_id(), file_name=found.file_name, file_digest=found.file_digest, mapping={},
        row_count=len(changes), new_count=of["list"], changed_count=of["change"], unchanged_count=0,
        absent_count=0, notices=[], imported_by=actor.member_id,
        state=move("catalogue", "import", None), source="undo", party_id=actor.party_id,
        defaults=None, withdrawn_count=of["withdraw"], content_digest=content_digest(changes),
        undoes=found.id, decided_by=None, reason=reason,
    )  # fmt: skip
    write(session, actor, now, made.id, changes, reason)
    log.append(session, made, "catalogue.imported", actor.member_id, reason=reason)
    found.state = state
    log.append(session, found, "catalogue.undone", actor.member_id, reason=reason)
    session.flush()
    return made


def _reversal(session: Session, found: CatalogueImport) -> Iterator[Change]:
    """For each resource of a change set the change back to what it was before."""
    touched = {record.subject_id: record.subject_version for record in records_of(session, found)}
    known = {
        row.id: Known(*row)
        for part in parts(list(touched))
        for row in session.execute(KNOWN.where(Resource.id.in_(part)).with_for_update())
    }
    refuse_changed([one.code for one in known.values() if one.version != touched[one.id]])
    before = _bodies(session, {i: v - 1 for i, v in touched.items() if v > 1})
    provider_of = providers(session)
    for resource_id, one in known.items():
        body = before.get(resource_id)
        if body is None:
            if one.state == "listed":
                yield withdrawal(one)
            continue
        flat = {**body["elements"], **{name: body[name] for name in KEY_ELEMENTS}}
        back = change_to(flat, one, provider_of)
        if body["state"] == "listed":
            yield back
        elif one.state == "listed":  # it was withdrawn, and said what it said before
            grade, audience, until = derive(body["state"], body["elements"])
            yield replace(back, verb="withdraw", state=body["state"], grade=grade,
                          audience=audience, stale_on=until)  # fmt: skip


def records_of(session: Session, found: CatalogueImport) -> list[Any]:
    """The records of the resources that a change set changed: they stand right before its own."""
    applied = next(
        (record for record in log.history(session, found.id)
         if record.kind in ("catalogue.imported", "catalogue.approved")), None,
    )  # fmt: skip
    if applied is None:
        return []
    count = found.new_count + found.changed_count + (found.withdrawn_count or 0)
    wanted = (
        select(log.Record.leaf_index, log.Record.kind, log.Record.subject_id, log.Record.subject_version)
        .where(
            log.Record.leaf_index >= applied.leaf_index - count,
            log.Record.leaf_index < applied.leaf_index, log.Record.subject_type == "resource",
        )
        .order_by(log.Record.leaf_index)
    )  # fmt: skip
    return list(session.execute(wanted))


def _bodies(session: Session, versions: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """The bodies of some resources' records, by id."""
    found: dict[str, dict[str, Any]] = {}
    by_version: dict[int, list[str]] = {}
    for resource_id, version in versions.items():
        by_version.setdefault(version, []).append(resource_id)
    for version, ids in by_version.items():
        for part in parts(ids):
            wanted = select(log.Record.subject_id, log.Record.payload).where(
                log.Record.subject_version == version, log.Record.subject_id.in_(part)
            )
            for resource_id, payload in session.execute(wanted):
                found[resource_id] = orjson.loads(payload)["body"]
    return found


def versions_of(
    session: Session, found: CatalogueImport, limit: int, start: int = 0
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(kind, before, after) of the resources that an applied change set changed, a part of them."""
    part = records_of(session, found)[start : start + limit]
    after = _bodies(session, {one.subject_id: one.subject_version for one in part})
    before = _bodies(session, {one.subject_id: one.subject_version - 1 for one in part
                               if one.subject_version > 1})  # fmt: skip
    return [(one.kind, before.get(one.subject_id, {}), after[one.subject_id]) for one in part]


def remember_columns(
    session: Session, actor: Actor, now: datetime, header: Sequence[str], said: Sequence[str | None]
) -> None:
    """Keep what was said of a header's columns, for the organisation's next table with that header."""
    if not any(one is not None for one in said):
        return
    found = session.get(CatalogueMapping, (actor.party_id, header_digest(header)))
    if found is None:
        found = CatalogueMapping(party_id=actor.party_id, header_digest=header_digest(header))
        session.add(found)
    found.mapping, found.at = {"columns": list(said)}, now


def remembered_columns(
    session: Session, actor: Actor, header: Sequence[str]
) -> list[str | None] | None:
    """What the actor's organisation said of a header's columns the last time, if it did."""
    found = session.get(CatalogueMapping, (actor.party_id, header_digest(header)))
    return None if found is None else list(found.mapping["columns"])


def header_digest(header: Sequence[str]) -> str:
    """The name of a header."""
    return digest_text(canonical(list(header)))


def proposers(found: CatalogueImport) -> tuple[str, ...]:
    """Whose a change set is: the organisation that proposed it; what a registrar brought is nobody's."""
    proposed = found.state == "proposed" or found.decided_by is not None
    return (found.party_id,) if proposed and found.party_id else ()


def proposed_by(party_id: str) -> ColumnElement[bool]:
    """The change sets that an organisation proposed."""
    decided = CatalogueImport.decided_by.is_not(None)
    return (CatalogueImport.party_id == party_id) & (
        decided | (func.coalesce(CatalogueImport.state, "") == "proposed")
    )


def import_by_id(session: Session, import_id: str) -> CatalogueImport:
    """The change set with an id; raises Missing."""
    found = session.get(CatalogueImport, import_id)
    if found is None:
        raise Missing("There is no change set {id}.", id=import_id)
    return found
