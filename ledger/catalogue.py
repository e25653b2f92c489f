"""The catalogue (公共数据目录, 一本账): every public data resource once, and who may see that it exists.

A resource's elements are those of the directory rules (`ledger.catalogue_fields.FIELDS`). What follows
from them, its grade and its audience, is derived here and nowhere else. Tables come in through
`ledger.catalogue_imports`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Index, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import grading, log
from ledger.agreements import RUNNING, Agreement
from ledger.catalogue_fields import FIELDS
from ledger.catalogue_rules import personal
from ledger.catalogue_values import CODED, OPENING, SHARING, read_choice, stale_on
from ledger.errors import Missing
from ledger.parties import Actor, Party, may, successor
from ledger.states import move
from ledger.store import Evidence, new_id

KEY_ELEMENTS = ("code", "title", "provider")
PLACES = ("row", "sheet")  # where a row came from is no part of a resource
OPEN = ("unconditional", "conditional")
SEES_ALL = frozenset({"registrar", "regulator"})
BODIES = ("public_body", "public_institution")


class Resource(Evidence):
    """A public data resource (公共数据资源) with its catalogue elements."""

    __tablename__ = "resources"
    __table_args__ = (
        Index("resources_code", "code", unique=True),
        Index("resources_stale", "stale_on"),
    )
    subject_type = "resource"
    code: Mapped[str]
    title: Mapped[str]
    provider: Mapped[str | None]
    elements: Mapped[dict[str, Any]]
    import_id: Mapped[str]
    state: Mapped[str]
    provider_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """the organisation that provides it, once it takes part"""
    grade: Mapped[str | None]
    """core, important or general, the stricter of all grounds; None while not graded"""
    audience: Mapped[str | None]
    """who may see that it exists: public, bodies or authority (None, of before: authority)"""
    stale_on: Mapped[str | None]
    """the last day on which its data are within their update cycle; None where there is no such day"""


# ---------------------------------------------------------------- what follows from the elements


_SAYS = (
    "sharing", "opening", "personal_information", "personal_information_text", "grading",
    "grading_text", "important_list", "updated_on", "update_cycle",
)  # fmt: skip


def derive(state: str, elements: Mapping[str, Any]) -> tuple[str | None, str, str | None]:
    """(grade, audience, the last day within its update cycle) of a resource as it stands."""
    impacts = elements.get("impacts")
    said = tuple(map(elements.get, _SAYS))
    try:
        return _derived(state, tuple(impacts) if isinstance(impacts, list) else (), said)
    except TypeError:  # an element that is no text, of which nothing is kept
        return _derived.__wrapped__(state, tuple(impacts or ()), said)


@lru_cache(maxsize=16_384)  # many resources say the same in these
def _derived(
    state: str, impacts: tuple[str, ...], said: tuple[Any, ...]
) -> tuple[str | None, str, str | None]:
    told = dict(zip(_SAYS, said, strict=True))
    grade = grading.effective({**told, "impacts": list(impacts)})
    until = stale_on(told["updated_on"], told["update_cycle"])
    return grade, _audience(state, told, grade), until if state == "listed" else None


def _audience(state: str, elements: Mapping[str, Any], grade: str | None) -> str:
    if state != "listed":
        return "authority"
    sharing = _choice(elements.get("sharing"), SHARING)
    opening = _choice(elements.get("opening"), OPENING)
    exposed = opening == "unconditional" and personal(elements)
    harmless = grade in ("general", None) and not grading.is_unread(elements)
    if opening in OPEN and harmless and not exposed:
        return "public"
    if sharing in OPEN and grade != "core":
        return "bodies"
    return "authority"


def _choice(value: Any, known: Mapping[str, tuple[str, ...]]) -> str | None:
    """Our word for sharing or opening, however it is written."""
    if not isinstance(value, str) or value in known:
        return value if isinstance(value, str) else None
    return read_choice(value, dict(known))


def providers(session: Session) -> Callable[..., str | None]:
    """Who a provider is: by the code its elements give, else by an organisation's exact name, old or new.

    A name that two organisations bear or bore says nothing, nor that of one that was split, unless the
    resource is known to be one of theirs (`known`). One that was merged is who succeeded it.
    """
    codes: dict[str, str] = {}
    names: dict[str, set[str]] = {}
    parted: dict[str, set[str]] = {}
    for party in session.scalars(select(Party)):
        called = (party.name, *(_name(one) for one in party.former_names or ()))
        if party.state == "split":
            for name in called:
                parted.setdefault(name, set()).update(party.successor_ids or ())
            continue
        acting = codes[party.uscc] = successor(session, party).id
        for name in called:
            names.setdefault(name, set()).add(acting)
    single = {name: next(iter(ids)) for name, ids in names.items() if len(ids) == 1}

    def provider_of(
        name: str | None, elements: Mapping[str, Any], known: str | None = None
    ) -> str | None:
        by_code = codes.get(str(elements.get("provider_code") or ""))
        called = (name or "").strip()
        if by_code is None and known in names.get(called, set()) | parted.get(called, set()):
            return known
        return by_code or single.get(called)

    return provider_of


def _name(former: Any) -> str:
    return str(former["name"] if isinstance(former, Mapping) else former)


# ---------------------------------------------------------------- who may see that it exists


@dataclass(frozen=True)
class Audience:
    """What of the catalogue somebody may see, besides what the public sees."""

    everything: bool = False
    bodies: bool = False
    party_id: str = ""
    resource_ids: frozenset[str] = frozenset()
    """those of agreements that open them to his organisation"""

    def sees(self, row: Any) -> bool:
        """Whether a resource exists for him."""
        return (
            self.everything
            or row.audience == "public"
            or (self.bodies and row.audience == "bodies")
            or (bool(self.party_id) and row.provider_id == self.party_id)
            or row.id in self.resource_ids
        )

    def works_with(self, row: Any) -> bool:
        """Whether he sees a resource not only because everybody does: its inner elements are his too."""
        own = bool(self.party_id) and row.provider_id == self.party_id
        return self.everything or self.bodies or own or row.id in self.resource_ids


def audiences(session: Session, actor: Actor) -> Audience:
    """The audiences that somebody belongs to; a member without roles is the public."""
    if not actor.member_id or not actor.roles:
        return Audience()
    if actor.roles & SEES_ALL:
        return Audience(everything=True)
    kind = session.scalar(select(Party.kind).where(Party.id == actor.party_id))
    named = session.scalars(select(Agreement.resource_ids).where(opens(actor.party_id)))
    return Audience(
        bodies=kind in BODIES and "provider" in actor.roles,
        party_id=actor.party_id,
        resource_ids=frozenset(str(one) for ids in named for one in ids),
    )


def opens(party_id: str) -> ColumnElement[bool]:
    """Agreements by which an organisation sees what they name: in force, or it is to sign them."""
    signed = or_(Agreement.operator_id == party_id, Agreement.implementer_id == party_id)
    return or_(
        Agreement.state.in_(RUNNING) & signed,
        (Agreement.state == "proposed") & (Agreement.implementer_id == party_id),
    )


def visible(session: Session, actor: Actor) -> ColumnElement[bool] | None:
    """Which resources exist for somebody: a condition, or None for all of them."""
    seen = audiences(session, actor)
    if seen.everything:
        return None
    shown = ("public", "bodies") if seen.bodies else ("public",)
    conditions: list[ColumnElement[bool]] = [Resource.audience.in_(shown)]
    if seen.party_id:
        conditions.append(Resource.provider_id == seen.party_id)
    if seen.resource_ids:
        conditions.append(Resource.id.in_(sorted(seen.resource_ids)))
    return or_(*conditions)


def resource_by_code(session: Session, code: str) -> Resource:
    """The resource with a catalogue code, whoever asks; raises Missing."""
    found = session.scalar(select(Resource).where(Resource.code == code))
    if found is None:
        raise missing(code)
    return found


def find(session: Session, actor: Actor, code: str) -> Resource:
    """The resource with a catalogue code, if it exists for the actor; raises Missing."""
    found = resource_by_code(session, code)
    if not audiences(session, actor).sees(found):
        raise missing(code)
    return found


def missing(code: str) -> Missing:
    """The one refusal of a code that is unknown, or not for him who asks."""
    return Missing("There is no resource {code} in the catalogue.", code=code)


# ---------------------------------------------------------------- one resource


def add_resource(
    session: Session, actor: Actor, now: datetime, *, code: str, title: str, provider: str,
    elements: Mapping[str, Any],
) -> Resource:  # fmt: skip
    """List one resource by hand, once; the same code again returns what is listed.

    A registrar's deed; a provider hands in a change set (`catalogue_imports.bring`) that is decided.
    """
    may(actor, "resource.add")
    owner = providers(session)(provider, elements)
    found = session.scalar(select(Resource).where(Resource.code == code))
    if found is not None:
        return found
    state, elements = move("resource", "list", None), coded(elements)
    grade, audience, until = derive(state, elements)
    resource = Resource(
        id=new_id(), code=code, title=title, provider=provider, elements=elements,
        import_id="", state=state, provider_id=owner, grade=grade, audience=audience,
        stale_on=until,
    )  # fmt: skip
    log.append(session, resource, "resource.listed", actor.member_id)
    session.flush()
    return resource


def coded(elements: Mapping[str, Any]) -> dict[str, Any]:
    """Elements with our word for what is written in a word of the field, as a table's are.

    >>> coded({"sharing": "无条件共享", "opening": "看情况"})
    {'sharing': 'unconditional', 'opening': '看情况'}
    """
    read = {name: _choice(elements.get(name), known) for name, known in CODED.items()}
    return {name: read.get(name) or value for name, value in elements.items()}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(field, before, after) of everything in which two versions of a resource, as recorded, differ.

    >>> differences({"title": "a", "elements": {"fee": "1"}}, {"title": "b", "elements": {}})
    [('title', 'a', 'b'), ('fee', '1', None)]
    """
    was, is_ = before.get("elements") or {}, after.get("elements") or {}
    names = ("title", "provider", "state", "grade", "audience")
    found = [(name, before.get(name), after.get(name)) for name in names]
    found += [(name, was.get(name), is_.get(name)) for name in _ordered({**was, **is_})]
    return [(name, old, new) for name, old, new in found if old != new]


def _ordered(names: Iterable[str]) -> list[str]:
    """Elements in the order of the directory rules, others behind them."""
    place = {name: n for n, name in enumerate(FIELDS)}
    return sorted(names, key=lambda name: (place.get(name.removesuffix("_text"), 999), name))
