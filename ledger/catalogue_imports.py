"""Change sets of the catalogue (目录变更): what a table brings is planned, applied at once, and can be undone.

    plan     what is new, changed, unchanged, gone; nothing is written
    bring    a registrar's rows are applied as one change set; a provider's rows wait for a registrar
    approve  what another person proposed, if the catalogue is still what it was made against
    undo     a new change set that puts everything back as it was before

The rows go past the ORM: a city's catalogue has tens of thousands.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import String, Text, bindparam, delete, insert, or_, select, type_coerce, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.agreements import Agreement
from ledger.catalogue import KEY_ELEMENTS, PLACES, Resource, derive, differences, providers
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, may, require_other
from ledger.proof.encoding import check_subset
from ledger.registration import Application, Registration
from ledger.states import move
from ledger.store import Base, Evidence, hold, new_id, new_ids, put_rows
from ledger.tabular import Problem

ROWS_A_STATEMENT = 500
NAMED_MOST = 50  # codes that a refusal names one by one
SOURCES = ("table", "ckan", "dcat", "hand", "undo")
SCOPES = ("providers", "file")
OPEN_APPLICATIONS = (
    "submitted", "returned", "in_review", "reviewed", "on_notice", "objection_review",
)  # fmt: skip


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


# ---------------------------------------------------------------- what is there, what is wanted


class Known(NamedTuple):
    """A resource as it stands; its elements are the text that is stored."""

    id: str
    version: int
    code: str
    title: str
    provider: str | None
    elements: str
    import_id: str
    state: str
    provider_id: str | None
    grade: str | None
    audience: str | None
    stale_on: str | None

    def body(self) -> dict[str, Any]:
        """As the last record has it."""
        return {**self._asdict(), "elements": orjson.loads(self.elements)}


@dataclass(slots=True)
class Change:
    """What becomes of one resource; `elements` are their canonical text."""

    verb: str
    code: str
    title: str
    provider: str | None
    elements: bytes
    state: str
    provider_id: str | None
    grade: str | None
    audience: str
    stale_on: str | None
    before: Known | None

    def body(self, resource_id: str, version: int, import_id: str) -> dict[str, Any]:
        """The resource as its next record has it."""
        return {
            "audience": self.audience, "code": self.code, "elements": orjson.Fragment(self.elements),
            "grade": self.grade, "id": resource_id, "import_id": import_id,
            "provider": self.provider, "provider_id": self.provider_id, "stale_on": self.stale_on,
            "state": self.state, "title": self.title, "version": version,
        }  # fmt: skip

    def differences(self) -> list[tuple[str, Any, Any]]:
        """(field, before, after) of everything it changes."""
        after = {**self.body("", 0, ""), "elements": orjson.loads(self.elements)}
        before = self.before.body() if self.before is not None else {}
        before["elements"] = filled(before.get("elements") or {})
        return differences(before, after)

    def line(self) -> bytes:
        """Its canonical line: what an approval is about, and what it was made against."""
        row = {
            "elements": orjson.Fragment(self.elements), "provider": self.provider,
            "seen": self.before.version if self.before else 0, "title": self.title,
        }  # fmt: skip
        return orjson.dumps([self.code, self.verb, row], option=orjson.OPT_SORT_KEYS)


@dataclass
class Plan:
    """What a table would do to the catalogue: by kind, each by code; nothing of it is written."""

    new: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    gone: list[Known] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """rows that the one who brings them may not bring"""

    @property
    def row_count(self) -> int:
        return len(self.new) + len(self.changed) + len(self.unchanged)

    def changes(self, withdraw_gone: bool = False) -> list[Change]:
        """All that would be recorded, in its order."""
        return [*self.new, *self.changed, *(map(withdrawal, self.gone) if withdraw_gone else ())]


def filled(elements: Mapping[str, Any]) -> dict[str, Any]:
    """The elements that say something."""
    return {name: value for name, value in elements.items() if value is not None}


def withdrawal(known: Known) -> Change:
    """The change that takes a resource out of the catalogue; what it said stays."""
    elements = orjson.loads(known.elements)
    state = move("resource", "withdraw", known.state)
    grade, audience, until = derive(state, elements)
    return Change("withdraw", known.code, known.title, known.provider, known.elements.encode(),
                  state, known.provider_id, grade, audience, until, known)  # fmt: skip


_resources, _proposed = (
    Base.metadata.tables[name] for name in (Resource.__tablename__, ProposedChange.__tablename__)
)
_KNOWN = select(
    *(
        type_coerce(_resources.c.elements, Text) if name == "elements" else _resources.c[name]
        for name in Known._fields
    )
)


def known_by_code(
    session: Session, codes: Iterable[str], *, hold_them: bool = False
) -> dict[str, Known]:
    """Those of the codes that are in the catalogue, as they stand; held until the deed ends, if wanted."""
    found: dict[str, Known] = {}
    for part in _parts(list(codes)):
        wanted = _KNOWN.where(_resources.c.code.in_(part)).order_by(_resources.c.code)
        for row in session.execute(wanted.with_for_update() if hold_them else wanted):
            found[row.code] = Known(*row)
    return found


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), ROWS_A_STATEMENT):
        yield values[start : start + ROWS_A_STATEMENT]


# ---------------------------------------------------------------- planning


def plan(
    session: Session, actor: Actor, rows: Sequence[Mapping[str, Any]], *, scope: str = "providers",
    file_name: str = "", hold_them: bool = False,
) -> Plan:  # fmt: skip
    """What the rows would do: each has code, title, provider and elements, by field; nothing is written.

    Gone are listed resources that the rows lack: of the providers they speak of, or (scope "file") those
    that an earlier file of the same name brought.
    """
    if scope not in SCOPES:
        raise Invalid("The scope is one of {choices}.", choices=", ".join(SCOPES))
    made, provider_of = Plan(), providers(session)
    known = known_by_code(session, [row["code"] for row in rows], hold_them=hold_them)
    own = None if "registrar" in actor.roles else actor.party_id
    seen: set[str] = set()
    names: set[str] = set()
    parties: set[str] = set()
    for row in rows:
        code = row["code"]
        if code in seen:
            raise Invalid("The code {code} stands twice.", code=code)
        seen.add(code)
        before = known.get(code)
        change = _wanted(row, before, provider_of)
        if own is not None and _foreign(made.problems, own, row, change, before):
            continue
        if change.provider is not None:
            names.add(change.provider)
        if change.provider_id is not None:
            parties.add(change.provider_id)
        if change.verb == "list":
            made.new.append(change)
        elif _differs(change, before):
            made.changed.append(change)
        else:
            made.unchanged.append(code)
    if scope == "file":
        gone = _resources.c.import_id.in_(_earlier(actor, file_name))
        made.gone = _gone(session, [gone], seen, own)
    else:
        made.gone = _gone(session, _speaking_of(names, parties), seen, own)
    return made


def _wanted(
    row: Mapping[str, Any], before: Known | None, provider_of: Callable[..., str | None]
) -> Change:
    """The resource as a row wants it."""
    elements = {
        name: value
        for name, value in row.items()
        if value is not None and name not in KEY_ELEMENTS and name not in PLACES
    }
    check_subset(elements)
    text = orjson.dumps(elements, option=orjson.OPT_SORT_KEYS)
    listed = before is not None and before.state == "listed"
    grade, audience, until = derive("listed", elements)
    provider = row.get("provider")
    return Change(
        "change" if listed else "list", row["code"], row["title"], provider, text, "listed",
        provider_of(provider, elements), grade, audience, until, before,
    )  # fmt: skip


def _differs(change: Change, before: Known | None) -> bool:
    assert before is not None, "what is new was not to be compared"
    told = (change.title, change.provider, change.provider_id, change.grade, change.audience)
    if told != (before.title, before.provider, before.provider_id, before.grade, before.audience):
        return True
    if change.elements == before.elements.encode():
        return False
    return bool(filled(orjson.loads(before.elements)) != orjson.loads(change.elements))


def _foreign(
    problems: list[Problem], own: str, row: Mapping[str, Any], change: Change, before: Known | None
) -> bool:
    """Whether a provider's row is of another body, which is told with its place."""
    if change.provider_id != own:
        zh, en = (
            "提供方不是本单位；只能导入本单位的资源。",
            "The provider is not your organisation; you can bring your own resources only.",
        )
        code, column, value = "provider_foreign", "provider", change.provider
    elif before is not None and before.provider_id != own:
        zh, en = (
            "资源代码不归本单位使用。",
            "The code is not your organisation's to use.",
        )
        code, column, value = "code_foreign", "code", change.code
    else:
        return False
    place = (row.get("sheet"), row.get("row"))
    problems.append(Problem("error", code, *place, column, zh, en, value))
    return True


def _earlier(actor: Actor, file_name: str) -> Any:
    """The change sets of the actor's organisation from files of that name."""
    return select(CatalogueImport.id).where(
        CatalogueImport.file_name == file_name,
        or_(CatalogueImport.party_id == actor.party_id, CatalogueImport.party_id.is_(None)),
    )


def _speaking_of(names: set[str], parties: set[str]) -> list[Any]:
    return [
        *(_resources.c.provider.in_(part) for part in _parts(sorted(names))),
        *(_resources.c.provider_id.in_(part) for part in _parts(sorted(parties))),
    ]


def _gone(session: Session, conditions: list[Any], seen: set[str], own: str | None) -> list[Known]:
    """The listed resources that fit a condition and are not among the codes seen, by code."""
    codes: set[str] = set()
    for condition in conditions:
        wanted = select(_resources.c.code).where(_resources.c.state == "listed", condition)
        if own is not None:
            wanted = wanted.where(_resources.c.provider_id == own)
        codes.update(session.scalars(wanted))
    return sorted(known_by_code(session, sorted(codes - seen)).values(), key=lambda one: one.code)


# ---------------------------------------------------------------- bringing, deciding, undoing


def bring(
    session: Session, actor: Actor, now: datetime, *, rows: Sequence[Mapping[str, Any]],
    file_name: str, file_digest: str, source: str = "table", mapping: Mapping[str, Any] | None = None,
    notices: Sequence[Mapping[str, Any]] = (), defaults: Mapping[str, str] | None = None,
    scope: str = "providers", withdraw_gone: bool = False, reason: str | None = None,
    checked: str | None = None,
) -> CatalogueImport:  # fmt: skip
    """Bring the catalogue to what the rows say, as one change set; returns it, applied or proposed.

    The same file with the same options again changes nothing and returns the first one. `checked` is the
    digest of a plan that was looked at: if it would be another one now, nothing is done.
    """
    may(actor, "catalogue.import")
    if not rows:
        raise Invalid("The file {name} holds no usable row.", name=file_name)
    hold(session, "catalogue")
    made = plan(session, actor, rows, scope=scope, file_name=file_name, hold_them=True)
    if made.problems:
        raise Invalid(
            "{count} rows are not your organisation's to bring; nothing was stored.",
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
        _write(session, actor, outcome.id, changes, reason)
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
    proposes = "registrar" not in actor.roles
    if before is not None and proposes:
        may(
            actor,
            "catalogue.import",
            () if before.provider_id is None else before.provider_id,
            code,
        )
    if row is None and before is not None:
        change = withdrawal(before)
    else:
        change = _wanted({**(row or {}), "code": code}, before, providers(session))
        if proposes and change.provider_id != actor.party_id:
            raise Invalid(
                "The provider is not your organisation; you can bring your own resources only."
            )
        if before is not None and before.state == "listed" and not _differs(change, before):
            raise Invalid("Nothing was changed: resource {code} says this already.", code=code)
    of = {verb: int(change.verb == verb) for verb in ("list", "change", "withdraw")}
    digest = content_digest([change])
    outcome = CatalogueImport(
        id=new_id(), file_name=code, file_digest=digest, mapping={}, row_count=1,
        new_count=of["list"], changed_count=of["change"], unchanged_count=0, absent_count=0, notices=[],
        imported_by=actor.member_id, state=move("catalogue", "propose" if proposes else "import", None),
        source="hand", party_id=actor.party_id, defaults=None, withdrawn_count=of["withdraw"],
        content_digest=digest, undoes=None, decided_by=None, reason=reason.strip(),
    )  # fmt: skip
    if proposes:
        _propose(session, outcome.id, [change])
        log.append(session, outcome, "catalogue.proposed", actor.member_id, reason=reason)
    else:
        _write(session, actor, outcome.id, [change], reason)
        log.append(session, outcome, "catalogue.imported", actor.member_id, reason=reason)
    session.flush()
    return outcome


def import_resources(
    session: Session, actor: Actor, now: datetime, *, resources: Sequence[Mapping[str, Any]],
    **facts: Any,
) -> CatalogueImport:  # fmt: skip
    """`bring`, of a table's rows."""
    return bring(session, actor, now, rows=resources, **facts)


def _the_same(
    session: Session, actor: Actor, file_digest: str, mapping: Mapping[str, Any],
    defaults: Mapping[str, str] | None, digest: str, changes: bool,
) -> CatalogueImport | None:  # fmt: skip
    """The change set that the same file made with the same options, if it still says all there is to say."""
    earlier = session.scalars(
        select(CatalogueImport)
        .where(CatalogueImport.file_digest == file_digest)
        .order_by(CatalogueImport.id.desc())
    )
    for one in earlier:
        same = one.mapping == mapping and (one.defaults or {}) == dict(defaults or {})
        if not same or one.source == "undo":
            continue
        applied = one.state in ("applied", None) and not changes
        waiting = one.state == "proposed" and one.content_digest == digest
        if applied or (waiting and one.party_id == actor.party_id):
            return one
    return None


def content_digest(changes: Iterable[Change]) -> str:
    """The digest over the canonical lines of what is changed."""
    return _digest(change.line() for change in changes)


def _digest(lines: Iterable[bytes]) -> str:
    return "sha256:" + hashlib.sha256(b"\n".join(lines)).hexdigest()


def _propose(session: Session, import_id: str, changes: Sequence[Change]) -> None:
    """Keep the lines of a change set until it is decided."""
    lines = [(n, orjson.loads(change.line())) for n, change in enumerate(changes)]
    if lines:
        session.execute(insert(ProposedChange), [
            {"import_id": import_id, "n": n, "code": code, "verb": verb, "row": row}
            for n, (code, verb, row) in lines
        ])  # fmt: skip


def proposed_changes(session: Session, found: CatalogueImport) -> list[Change]:
    """What a proposed change set would change; raises Conflict when its lines are not those recorded."""
    lines = session.execute(
        select(_proposed.c.code, _proposed.c.verb, type_coerce(_proposed.c.row, Text))
        .where(_proposed.c.import_id == found.id)
        .order_by(_proposed.c.n)
    ).all()
    given = _digest(
        orjson.dumps([code, verb, orjson.Fragment(row.encode())]) for code, verb, row in lines
    )
    if given != found.content_digest:
        raise Conflict(
            "The lines of this change set are not those that were recorded: have it handed in again.",
            known=found.content_digest, given=given,
        )  # fmt: skip
    known = known_by_code(session, [code for code, _, _ in lines], hold_them=True)
    provider_of, made, stale = providers(session), [], []
    for code, verb, text in lines:
        row, before = orjson.loads(text), known.get(code)
        if row["seen"] != (before.version if before else 0):
            stale.append(code)
        elif verb == "withdraw" and before is not None:
            made.append(withdrawal(before))
        else:
            flat = {
                **row["elements"],
                "code": code,
                "title": row["title"],
                "provider": row["provider"],
            }
            made.append(_wanted(flat, before, provider_of))
    _refuse_changed(stale)
    return made


def approve(
    session: Session, actor: Actor, now: datetime, found: CatalogueImport, reason: str | None = None
) -> None:
    """Apply what another person proposed, if its resources are still what it was made against."""
    may(actor, "catalogue.approve")
    require_other(actor, [found.imported_by], found.file_name)
    state = move("catalogue", "approve", found.state)
    hold(session, "catalogue")
    changes = proposed_changes(session, found)
    _write(session, actor, found.id, changes, reason or found.reason)
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
    _write(session, actor, made.id, changes, reason)
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
        for part in _parts(list(touched))
        for row in session.execute(_KNOWN.where(_resources.c.id.in_(part)).with_for_update())
    }
    _refuse_changed([one.code for one in known.values() if one.version != touched[one.id]])
    before = _bodies(session, {i: v - 1 for i, v in touched.items() if v > 1})
    provider_of = providers(session)
    for resource_id, one in known.items():
        body = before.get(resource_id)
        if body is None or body["state"] != "listed":
            if one.state == "listed":
                yield withdrawal(one)
            continue
        flat = {**body["elements"], **{name: body[name] for name in KEY_ELEMENTS}}
        yield _wanted(flat, one, provider_of)


def _refuse_changed(codes: list[str]) -> None:
    """Raise Conflict naming the resources that another change set has changed."""
    if codes:
        named = sorted(codes)
        raise Conflict(
            "{count} resources were changed since by another change set: {codes}.",
            count=len(named), codes=", ".join(named[:NAMED_MOST]) + (" …" if named[NAMED_MOST:] else ""),
            listing=named,
        )  # fmt: skip


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
        for part in _parts(ids):
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


def import_by_id(session: Session, import_id: str) -> CatalogueImport:
    """The change set with an id; raises Missing."""
    found = session.get(CatalogueImport, import_id)
    if found is None:
        raise Missing("There is no change set {id}.", id=import_id)
    return found


# ---------------------------------------------------------------- writing


_PAST = {"list": "resource.listed", "change": "resource.changed", "withdraw": "resource.withdrawn"}
_COLUMNS = Known._fields
_CHANGE = (
    update(_resources)
    .where(_resources.c.id == bindparam("of"), _resources.c.version == bindparam("was"))
    .values({
        name: bindparam(f"to_{name}", type_=Text if name == "elements" else None)
        for name in _COLUMNS if name not in ("id", "code")
    })
)  # fmt: skip


def _write(
    session: Session, actor: Actor, import_id: str, changes: Sequence[Change], reason: str | None
) -> None:
    """Write and record what becomes of each resource, past the ORM."""
    require_free(session, [one.before for one in changes if one.verb == "withdraw" and one.before])
    session.flush()
    fresh, moved = [], []
    ids = iter(new_ids(sum(change.before is None for change in changes)))
    noted: dict[str, list[tuple[str, int, bytes]]] = {}
    for change in changes:
        before = change.before
        resource_id, version = (next(ids), 1) if before is None else (before.id, before.version + 1)
        row: tuple[Any, ...] = (
            resource_id, version, change.code, change.title, change.provider, change.elements.decode(),
            import_id, change.state, change.provider_id, change.grade, change.audience,
            change.stale_on,
        )  # fmt: skip
        if before is None:
            fresh.append(row)
        else:
            moved.append({"of": before.id, "was": before.version, **{
                f"to_{name}": value for name, value in zip(_COLUMNS, row, strict=True)
                if name not in ("id", "code")
            }})  # fmt: skip
        body = change.body(resource_id, version, import_id)
        noted.setdefault(change.verb, []).append(
            (resource_id, version, orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
        )
    put_rows(session.connection(), _resources, _COLUMNS, fresh)
    for part in _parts(moved):
        session.connection().execute(_CHANGE, list(part))
    for verb, rows in noted.items():
        log.append_many(session, "resource", _PAST[verb], actor.member_id, rows, reason=reason)
    for loaded in list(session.identity_map.values()):
        if isinstance(loaded, Resource):
            session.expire(loaded)


def require_free(session: Session, withdrawn: Sequence[Known]) -> None:
    """Raise Conflict naming each resource that cannot be withdrawn, and what names it.

    That is an agreement in force, an open application, or a registration.
    """
    code_of = {one.id: one.code for one in withdrawn}
    if not code_of:
        return
    used: list[tuple[str, str]] = []
    for model, number, states in (
        (Agreement, Agreement.number, ("proposed", "in_force")),
        (Application, Application.number, OPEN_APPLICATIONS),
        (Registration, Registration.code, ("registered",)),
    ):
        naming: Any = model
        rows = session.execute(
            select(number, naming.resource_ids).where(naming.state.in_(states)).order_by(number)
        )
        used += [(code_of[one], text) for text, ids in rows for one in ids if one in code_of]
    if used:
        listing = [f"{code} ({number})" for code, number in sorted(used)]
        raise Conflict(
            "These resources are named by what is in force and stay: {codes}.",
            codes=", ".join(listing[:NAMED_MOST]) + (" …" if listing[NAMED_MOST:] else ""),
            listing=listing,
        )  # fmt: skip
