"""What would become of the catalogue's resources, planned from rows; `catalogue_writing` does it.

A city's catalogue has tens of thousands of resources, and a change set may be about all of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Text, select, type_coerce
from sqlalchemy.orm import Session

from ledger import catalogue_rules
from ledger.catalogue import KEY_ELEMENTS, PLACES, Resource, derive, differences, providers
from ledger.catalogue_fields import FIELDS
from ledger.errors import Conflict, Invalid
from ledger.parties import Actor
from ledger.proof.encoding import INT_MAX, check_subset
from ledger.states import move
from ledger.store import Base
from ledger.tabular import Problem

ROWS_A_STATEMENT = 500
MANY = 10_000
_NAMES = frozenset(FIELDS) | {f"{name}_text" for name in FIELDS} | {"category_count"}
_NO_ELEMENTS = (*KEY_ELEMENTS, *PLACES)
NAMED_MOST = 50  # codes that a refusal names one by one


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


class Prepared(NamedTuple):
    """A row in little room; `elements` are their canonical text."""

    code: str
    title: str
    provider: str | None
    provider_code: Any
    elements: bytes
    grade: str | None
    audience: str
    stale_on: str | None
    sheet: str | None
    row: int | None


ProviderOf = Callable[..., str | None]


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
    """rows that may not be brought, or not by him who brings them"""

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


_resources = Base.metadata.tables[Resource.__tablename__]
KNOWN = select(
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
    wanted = set(codes)
    all_of_them = len(wanted) > MANY  # then the whole catalogue is read once
    for part in [()] if all_of_them else parts(sorted(wanted)):
        query = KNOWN.order_by(_resources.c.code)
        if not all_of_them:
            query = query.where(_resources.c.code.in_(part))
        for row in session.execute(query.with_for_update() if hold_them else query):
            if row.code in wanted:
                found[row.code] = Known(*row)
    return found


def parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), ROWS_A_STATEMENT):
        yield values[start : start + ROWS_A_STATEMENT]


def content_digest(changes: Iterable[Change]) -> str:
    """The digest over the canonical lines of what is changed."""
    return digest_of(change.line() for change in changes)


def digest_of(lines: Iterable[bytes]) -> str:
    return "sha256:" + hashlib.sha256(b"\n".join(lines)).hexdigest()


# ---------------------------------------------------------------- planning


def plan(
    session: Session, actor: Actor, rows: Sequence[Mapping[str, Any] | Prepared], *,
    speaks: frozenset[str] | None = None, present: Iterable[str] = (),
    among: ColumnElement[bool] | None = None, hold_them: bool = False,
) -> Plan:  # fmt: skip
    """What the rows would do: each has code, title, provider and elements, by field; nothing is written.

    `speaks` names the fields that the table has (None: all): of the others it says nothing, and what is
    known of a resource stays. Gone are the listed resources that the rows lack, and that are not `present`
    in rows that cannot be used: `among` those meant, else of the providers that the rows speak of.
    """
    made, provider_of = Plan(), _once(providers(session))
    wanted = [prepared(row) for row in rows]
    known = known_by_code(session, [row.code for row in wanted], hold_them=hold_them)
    own = None if "registrar" in actor.roles else actor.parties
    seen: set[str] = set()
    names: set[str] = set()
    parties: set[str] = set()
    for given in wanted:
        row, code = given, given.code
        if code in seen:
            raise Invalid("The code {code} stands twice.", code=code)
        seen.add(code)
        before = known.get(code)
        # Of another body's resource nothing is added to a row, so that no refusal tells what it says.
        if speaks is not None and before and (own is None or before.provider_id in own):
            row = _completed(given, before, speaks)
            if row is not given and _breaks_a_rule(made.problems, row):
                continue
        change = change_to(row, before, provider_of)
        if own is not None and _foreign(made.problems, own, row, change, before):
            continue
        if change.provider is not None:
            names.add(change.provider)
        if change.provider_id is not None:
            parties.add(change.provider_id)
        if change.verb == "list":
            made.new.append(change)
        elif differs(change, before):
            made.changed.append(change)
        else:
            made.unchanged.append(code)
    meant = _speaking_of(names, parties) if among is None else [among]
    made.gone = _gone(session, meant, seen.union(present), own)
    return made


_WITH = {"provider_code": "provider", "category_count": "category"}


def _completed(row: Prepared, before: Known, speaks: frozenset[str]) -> Prepared:
    """A row with what its table does not speak of, as it is known."""
    kept = {
        name: value for name, value in filled(orjson.loads(before.elements)).items()
        if speaks.isdisjoint((name, name.removesuffix("_text"), _WITH.get(name, name)))
    }  # fmt: skip
    if not kept:
        return row
    elements = kept | orjson.loads(row.elements)
    grade, audience, until = derive("listed", elements)
    return row._replace(
        elements=_canonical(elements), grade=grade, audience=audience, stale_on=until,
        provider_code=elements.get("provider_code"),
    )  # fmt: skip


def _breaks_a_rule(problems: list[Problem], row: Prepared) -> bool:
    """Whether a completed row says what may not be, which is told with its place."""
    elements = orjson.loads(row.elements)
    broken = [
        one for one in catalogue_rules.breaches("", elements) if one.code in catalogue_rules.ERRORS
    ]
    for one in broken:
        zh, en = (text.format(**one.facts) for text in catalogue_rules.SENTENCES[one.code])
        problems.append(
            Problem("error", one.code, row.sheet, row.row, FIELDS[one.at].zh, zh, en, None)
        )
    return bool(broken)


def prepared(row: "Mapping[str, Any] | Prepared") -> Prepared:
    """What a row says, with what follows from it, in little room; what is prepared stays so."""
    if isinstance(row, Prepared):
        return row
    elements = {name: value for name, value in row.items() if value is not None}
    for name in _NO_ELEMENTS:
        elements.pop(name, None)
    return Prepared(
        row["code"], row["title"], row.get("provider"), elements.get("provider_code"),
        _canonical(elements), *derive("listed", elements), row.get("sheet"), row.get("row"),
    )  # fmt: skip


def change_to(
    row: "Mapping[str, Any] | Prepared", before: Known | None, provider_of: ProviderOf
) -> Change:
    """The resource as a row wants it."""
    one = prepared(row)
    listed = before is not None and before.state == "listed"
    provider_id = provider_of(
        one.provider, {"provider_code": one.provider_code}, before.provider_id if before else None
    )
    return Change(
        "change" if listed else "list", one.code, one.title, one.provider, one.elements, "listed",
        provider_id, one.grade, one.audience, one.stale_on, before,
    )  # fmt: skip


def _once(provider_of: ProviderOf) -> ProviderOf:
    """Each provider is looked up once."""
    told: dict[tuple[str | None, Any, str | None], str | None] = {}

    def found(name: str | None, elements: Mapping[str, Any], known: str | None) -> str | None:
        key = (name, elements["provider_code"], known)
        if key not in told:
            told[key] = provider_of(name, elements, known)
        return told[key]

    return found


def _canonical(elements: dict[str, Any]) -> bytes:
    """`store.canonical_fast`, with a quick look at what nearly all elements are: texts under our names."""
    plain = elements.keys() <= _NAMES
    try:
        for value in elements.values():
            if type(value) is list:
                "".join(value)  # only texts can be joined
            elif type(value) is not str:
                plain &= type(value) is int and -INT_MAX <= value <= INT_MAX
    except TypeError:
        plain = False
    try:
        if not plain:
            check_subset(elements)
        return orjson.dumps(elements, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        check_subset(elements)  # says where half a character stands
        raise


def differs(change: Change, before: Known | None) -> bool:
    """Whether a resource that is listed says something else than is wanted."""
    assert before is not None, "what is new was not to be compared"
    told = (change.title, change.provider, change.provider_id, change.grade, change.audience)
    if told != (before.title, before.provider, before.provider_id, before.grade, before.audience):
        return True
    if change.elements == before.elements.encode():
        return False
    was, now = filled(orjson.loads(before.elements)), orjson.loads(change.elements)
    return was != {name: value for name, value in now.items() if not _only_wording(name, was, now)}


def _only_wording(name: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a cell only says in a table's words what was listed by hand, where none were kept."""
    of = name.removesuffix("_text")
    return of != name and name not in was and of in now and now[of] == was.get(of)


def _foreign(
    problems: list[Problem],
    own: frozenset[str],
    row: Prepared,
    change: Change,
    before: Known | None,
) -> bool:
    """Whether a provider's row is of another body, which is told with its place."""
    if change.provider_id not in own:
        zh, en = (
            "提供方不是本单位；只能导入本单位的资源。",
            "The provider is not your organisation; you can bring your own resources only.",
        )
        code, field_name, value = "provider_foreign", "provider", change.provider
    elif before is not None and before.provider_id not in own:
        zh, en = (
            "资源代码不归本单位使用。",
            "The code is not your organisation's to use.",
        )
        code, field_name, value = "code_foreign", "code", change.code
    else:
        return False
    column = FIELDS[field_name].zh
    problems.append(Problem("error", code, row.sheet, row.row, column, zh, en, value))
    return True


def _speaking_of(names: set[str], parties: set[str]) -> list[Any]:
    return [
        *(_resources.c.provider.in_(part) for part in parts(sorted(names))),
        *(_resources.c.provider_id.in_(part) for part in parts(sorted(parties))),
    ]


def _gone(
    session: Session, conditions: list[Any], seen: set[str], own: frozenset[str] | None
) -> list[Known]:
    """The listed resources that fit a condition and are not among the codes seen, by code."""
    codes: set[str] = set()
    for condition in conditions:
        wanted = select(_resources.c.code).where(_resources.c.state == "listed", condition)
        if own is not None:
            wanted = wanted.where(_resources.c.provider_id.in_(sorted(own)))
        codes.update(session.scalars(wanted))
    return sorted(known_by_code(session, sorted(codes - seen)).values(), key=lambda one: one.code)


def refuse_changed(codes: list[str]) -> None:
    """Raise Conflict naming the resources that another change set has changed."""
    if codes:
        named = sorted(codes)
        raise Conflict(
            "{count} resources were changed since by another change set: {codes}.",
            count=len(named), codes=", ".join(named[:NAMED_MOST]) + (" …" if named[NAMED_MOST:] else ""),
            listing=named,
        )  # fmt: skip
