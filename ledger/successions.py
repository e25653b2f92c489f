"""What organisations held when they are renamed, merged or split: it follows, each with a record.

One deed, one `Succession` with its ground (the document that ordered it) and its day. Each thing that
follows gets a record of its own, whose reason is the succession. What is held on chain cannot follow by
a record: it stays, is counted with its reason in `left`, and the first successor's members are its owners
(`parties.Actor.heir_of`).

    HOLDINGS   noun → the columns that say whose it is; a new noun is one line
    STAYS      the columns that keep naming who it was, each with its reason
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    String,
    Text,
    bindparam,
    cast,
    func,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.agreements import NEVER, OVER, Agreement, runs_on
from ledger.alarm_rows import Alarm
from ledger.authorisations import Authorisation
from ledger.bank_accounts import BankAccount
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.catalogue_imports import CatalogueImport
from ledger.confirmations import Confirmation
from ledger.demands import Demand
from ledger.duties import Duty
from ledger.errors import Conflict, Faults, Invalid
from ledger.exclusions import Exclusion
from ledger.feedback import Feedback
from ledger.inquiries import Inquiry
from ledger.objections import Objection
from ledger.orders import Order
from ledger.parties import ROLES_OF_KIND, Account, Actor, Member, Party, may, require_active
from ledger.reconciliation import Difference, Reconciliation
from ledger.registration import Application, Deposit, Registration
from ledger.remittances import Remittance
from ledger.schemes import Scheme
from ledger.states import move
from ledger.stewards import Steward, in_force
from ledger.store import Base, Evidence, canonical_fast, hold, lock, new_id
from ledger.trading import Licence
from ledger.usage import Batch
from ledger.uses import Use
from ledger.vouchers import Voucher

NAMED_MAX = 200  # so many of what stays are named in the record; all are counted


class Succession(Evidence):
    """A merger, split or new name: its ground, its day, and how many of each noun followed."""

    __tablename__ = "successions"
    subject_type = "succession"
    kind: Mapped[str]
    """rename, merge or split"""
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    """whose it was"""
    to_ids: Mapped[list[Any]]
    ground: Mapped[str]
    effective_on: Mapped[str]
    moved: Mapped[dict[str, Any]]
    """noun → how many followed"""
    left: Mapped[list[Any]]
    """what could not follow, with its reason"""
    done_at: Mapped[datetime]
    done_by: Mapped[str]


@dataclass(frozen=True)
class Holding:
    """Which rows of a noun belong to whom: by these columns, except those whose state is `over`.

    `answers` is the column of who answers for the resource that a row names: it goes where that goes.
    """

    model: type[Evidence]
    columns: tuple[str, ...] = ("party_id",)
    number: str = "number"
    over: tuple[str, ...] = ()
    answers: str = ""

    @property
    def noun(self) -> str:
        return self.model.subject_type

    def of(self, party_id: str) -> ColumnElement[bool]:
        """The rows an organisation holds."""
        table = self.model.__table__.c
        held = or_(*(table[column] == party_id for column in self.columns))
        return held & table.state.not_in(self.over) if self.over else held


HOLDINGS = (
    Holding(Resource, ("provider_id",), "code"),
    Holding(CatalogueImport, number="id", over=("applied", "rejected", "undone")),
    Holding(Agreement, ("implementer_id", "operator_id"), over=(*OVER, *NEVER)),
    Holding(Deposit, number="id"),
    Holding(Application, over=("registered", "concluded", "not_accepted", "terminated", "withdrawn")),
    Holding(Registration, number="code", over=("cancelled", "revoked")),
    Holding(Objection, over=("upheld", "dismissed", "withdrawn")),
    Holding(Demand, ("party_id", "department_id"), over=("closed", "withdrawn"),
            answers="department_id"),
    Holding(Exclusion, over=("rejected", "ended"), answers="party_id"),
    Holding(Feedback, ("party_id", "department_id"), over=("closed", "withdrawn"),
            answers="department_id"),
    Holding(Alarm, ("owner_id",), over=("closed", "resolved")),
    Holding(Difference, ("owner_id",), over=("settled",)),
    Holding(Inquiry, over=("closed", "withdrawn")),
    Holding(Duty, over=("confirmed",), answers="party_id"),
    Holding(Member, number="id"),
    Holding(Steward, number="id", over=("relieved",)),
)  # fmt: skip
PEOPLE = (Member, Steward)  # they go by rules of their own
ON_CHAIN = (
    "Held on chain: only a transfer there moves it. The first successor's members are its owners."
)
HISTORY = "What was reported stays as it was reported."
BY_CODE = (
    "It names the code that ended, and binds until both sides agree on a new edition; what is due "
    "to that code is paid to whom it was merged into, and after a split divided among the successors."
)
CREDENTIAL = "Its signed text keeps the name of its day of issue; the code in it is the same."
CONSENT = "What a data subject consented to names those it was asked for; a successor asks anew."
FROZEN = "Its terms were frozen for this buyer; a successor orders anew."
OWN_ACCOUNT = (
    "Confirmed for one holder: a successor's account is entered and confirmed by two people."
)
STAYS = {
    (Voucher, "party_id"): ON_CHAIN,
    (Voucher, "provider_id"): ON_CHAIN,
    (Voucher, "pledgee_id"): HISTORY,
    (Use, "party_id"): HISTORY,
    (Authorisation, "subject_id"): CONSENT,
    (Authorisation, "provider_id"): CONSENT,
    (Authorisation, "user_id"): CONSENT,
    (Licence, "licensee_id"): ON_CHAIN,
    (Batch, "party_id"): HISTORY,
    (Succession, "party_id"): HISTORY,
    (Order, "buyer_id"): FROZEN,
    (Remittance, "party_id"): HISTORY,
    (Confirmation, "exchange_id"): HISTORY,
    (Reconciliation, "exchange_id"): HISTORY,
    (BankAccount, "party_id"): OWN_ACCOUNT,
}
# Who holds nothing of the field cannot succeed one that does.
HOLDS_NOTHING = ("data_broker", "service_provider")
HELD = {"resource", "agreement", "application", "registration", "voucher"}
SUCCEEDED_BY: dict[str, tuple[str, ...]] = {
    "public_body": ("public_body", "public_institution"),
    "public_institution": ("public_body", "public_institution", "enterprise"),  # 转企改制
    "enterprise": ("enterprise", "public_institution", "other_organisation", *HOLDS_NOTHING),
    "individual": (),
    "data_broker": ("enterprise", "other_organisation", *HOLDS_NOTHING),
    "service_provider": ("enterprise", "other_organisation", *HOLDS_NOTHING),
    "other_organisation": ("enterprise", "public_institution", "other_organisation",
                           *HOLDS_NOTHING),
}  # fmt: skip
Choose = Callable[[str, str, str], Party]


def rename(
    session: Session, actor: Actor, now: datetime, party: Party, *, name: str, ground: str,
    effective_on: date,
) -> Succession:  # fmt: skip
    """Give an organisation a new name; its resources say it, the former one is kept with its last day."""
    may(actor, "party.rename", party.id)
    hold(session, "catalogue")  # no import lists meanwhile what would not follow
    state = move("party", "rename", party.state)
    name = " ".join(name.split())
    _check(now, ground, effective_on)
    if not name or name == party.name:
        raise Invalid("Give a name that differs from {name}.", name=party.name)
    made = _begin(actor, now, "rename", party, [party], ground, effective_on)
    last_on = date.fromordinal(effective_on.toordinal() - 1).isoformat()
    party.former_names = [*(party.former_names or ()), {"name": party.name, "until_on": last_on}]
    party.name, party.state = name, state
    log.append(session, party, "party.renamed", actor.member_id, reason=made.id)
    count = _hand_over(session, actor, made, party, lambda _code: party)
    made.moved = {"resource": count} if count else {}
    made.left = _left(session, party, {Voucher: CREDENTIAL})
    log.append(session, made, "succession.recorded", actor.member_id)
    session.flush()
    return made


def merge(
    session: Session, actor: Actor, now: datetime, party: Party, *, into: Party, ground: str,
    effective_on: date,
) -> Succession:  # fmt: skip
    """Merge an organisation into another one, which from now on holds what it held."""
    may(actor, "party.merge", party.id)
    return _succeed(session, actor, now, "merge", party, [into], {}, ground, effective_on)


def split(
    session: Session, actor: Actor, now: datetime, party: Party, *, main: Party,
    others: Sequence[Party], who_gets: Mapping[tuple[str, str], Party], ground: str,
    effective_on: date,
) -> Succession:  # fmt: skip
    """Split an organisation: `who_gets` names things by noun and number; the main one gets the rest.

    It ends (新设分立), unless it is itself the main one (存续分立): then it keeps all that is not named.
    """
    may(actor, "party.split", party.id)
    heirs = list({heir.id: heir for heir in (main, *others)}.values())
    if len(heirs) < 2:
        raise Invalid("A split has two successors at least; into one it is a merger.")
    gives = any(heir.id != party.id for heir in who_gets.values())
    if main.id == party.id and not gives:
        raise Invalid("{name} goes on and would keep all: name what goes to whom.", name=party.name)
    return _succeed(session, actor, now, "split", party, heirs, who_gets, ground, effective_on)


def holdings(session: Session, party: Party) -> dict[str, int]:
    """How many things of each noun would follow."""
    return {h.noun: n for h in HOLDINGS if (n := _count(session, h.model, h.of(party.id)))}


def stays(session: Session, party: Party) -> list[dict[str, Any]]:
    """What would stay in its name, each with its reason."""
    return _left(session, party, {**dict.fromkeys((Voucher, Licence), ON_CHAIN), Batch: HISTORY})


def of(session: Session, party: Party) -> list[Succession]:
    """The successions an organisation went through or came from, the newest first."""
    named = cast(Succession.to_ids, String).contains(f'"{party.id}"')
    wanted = select(Succession).where(or_(Succession.party_id == party.id, named))
    return list(session.scalars(wanted.order_by(Succession.id.desc())))


# ---------------------------------------------------------------- what is refused


def _check(now: datetime, ground: str, effective_on: date) -> None:
    if not ground.strip():
        raise Invalid("Name the ground: the document that ordered it.")
    if effective_on > local_date(now):
        raise Invalid("The day {day} is still to come; enter it on that day.", day=effective_on)


def _check_heirs(
    session: Session, party: Party, heirs: Sequence[Party], held: Mapping[str, int]
) -> None:
    for heir in heirs:
        require_active(heir)  # so that there is never a circle: who ended succeeds nobody
        if heir.kind not in SUCCEEDED_BY[party.kind]:
            raise Invalid(
                "A {kind} cannot be succeeded by a {other}; that may be: {may_be}.",
                kind=party.kind, other=heir.kind, may_be=", ".join(SUCCEEDED_BY[party.kind]),
            )  # fmt: skip
        barred = sorted(HELD & held.keys())
        if heir.kind in HOLDS_NOTHING and barred:
            raise Invalid(
                "{name} is a {kind} and cannot hold what {party} holds: {nouns}.",
                name=heir.name, kind=heir.kind, party=party.name,
                nouns=", ".join(f"{noun} {held[noun]}" for noun in barred),
            )  # fmt: skip


def _check_named(
    session: Session, party: Party, heirs: Sequence[Party],
    who_gets: Mapping[tuple[str, str], Party],
) -> None:  # fmt: skip
    """Every named thing must be there to be given, and be given to a successor."""
    faults, known = Faults(), {h.noun: h for h in HOLDINGS if h.model not in PEOPLE}
    for n, ((noun, number), heir) in enumerate(who_gets.items()):
        at = f"who_gets.{n}"
        if heir.id not in {one.id for one in heirs}:
            faults.name_fault("{name} is not among the successors", at=f"{at}.to", name=heir.name)
        if noun == "member":
            wanted = select(func.count()).select_from(Member).join(
                Account, Account.member_id == Member.id
            ).where(Member.party_id == party.id, Account.login == number)  # fmt: skip
        elif noun in known:
            holding = known[noun]
            column = holding.model.__table__.c[holding.number]
            wanted = select(func.count()).select_from(holding.model)
            wanted = wanted.where(holding.of(party.id), column == number)
        else:
            faults.name_fault("a {noun} cannot be given by number", at=f"{at}.noun", noun=noun)
            continue
        if not session.scalar(wanted):
            faults.name_fault(
                "{name} holds no {noun} {number}", at=f"{at}.number", name=party.name, noun=noun,
                number=number,
            )  # fmt: skip
    if faults:
        raise Invalid("What is to go to whom does not fit: {faults}.", faults=faults)


# ---------------------------------------------------------------- what follows


def _begin(
    actor: Actor, now: datetime, kind: str, party: Party, heirs: Iterable[Party], ground: str,
    effective_on: date,
) -> Succession:  # fmt: skip
    return Succession(
        id=new_id(), kind=kind, party_id=party.id, to_ids=[heir.id for heir in heirs],
        ground=ground.strip(), effective_on=effective_on.isoformat(), moved={}, left=[],
        done_at=now.replace(microsecond=0), done_by=actor.member_id,
    )  # fmt: skip


def _succeed(
    session: Session, actor: Actor, now: datetime, kind: str, party: Party, heirs: list[Party],
    who_gets: Mapping[tuple[str, str], Party], ground: str, effective_on: date,
) -> Succession:  # fmt: skip
    state = move("party", kind, party.state)
    _check(now, ground, effective_on)
    hold(session, "catalogue")  # before any row, as imports do
    for row in sorted((party, *heirs), key=lambda one: one.id):
        lock(session, row)  # two successions at once could make a circle
        session.refresh(row)
    state = move("party", kind, party.state)
    main, ends = heirs[0], party.id != heirs[0].id
    others = [heir for heir in heirs if heir.id != main.id]
    if (kind == "merge" and not ends) or party.id in {heir.id for heir in others}:
        raise Invalid("{name} cannot succeed itself.", name=party.name)
    left = stays(session, party) if ends else _vouchers_left(session, party, who_gets)
    held: dict[str, int] = Counter(noun for noun, _ in who_gets)
    if ends:
        held = holdings(session, party) | {one["noun"]: one["count"] for one in left}
    _check_heirs(session, party, heirs if ends else others, held)
    _check_named(session, party, heirs, who_gets)
    made = _begin(actor, now, kind, party, heirs, ground, effective_on)

    def choose(noun: str, number: str, code: str) -> Party:
        """Whom a thing is named for, else whoever gets the resource it is about, else the main one."""
        return who_gets.get((noun, number)) or who_gets.get(("resource", code)) or main

    moved: dict[str, int] = {}
    for holding in HOLDINGS:
        if holding.model not in PEOPLE:
            count = _follow(session, actor, made, party, holding, choose)
            moved |= {holding.noun: count} if count else {}
    moved |= _people(session, actor, made, party, choose)
    made.moved, made.left = moved, left
    if ends:
        party.state, party.successor_ids = state, made.to_ids
        log.append(session, party, f"party.{state}", actor.member_id, reason=made.id)
    log.append(session, made, "succession.recorded", actor.member_id)
    session.flush()
    return made


def _follow(
    session: Session, actor: Actor, made: Succession, party: Party, holding: Holding, choose: Choose
) -> int:
    """Give each row its new holder, with a record."""
    if holding.model is Resource:
        return _hand_over(session, actor, made, party, lambda code: choose("resource", code, code))
    count, codes = 0, _codes(session, party, holding) if holding.answers else {}
    for row in session.scalars(select(holding.model).where(holding.of(party.id))).all():
        number, goes = str(getattr(row, holding.number)), False
        for column in holding.columns:
            if getattr(row, column) != party.id:
                continue
            code = codes.get(row.id, "") if column == holding.answers else ""
            heir = choose(holding.noun, number, code)
            goes = goes or heir.id != party.id
            setattr(row, column, heir.id)
            if isinstance(row, Agreement) and _binds_itself(row, local_date(made.done_at)):
                raise Conflict(
                    "Agreement {number} is between {name} and {heir}: nobody can be both of its "
                    "sides. It must end first.",
                    number=row.number, name=party.name, heir=heir.name,
                )  # fmt: skip
        if not goes:
            continue  # it goes on and keeps this
        log.append(session, row, f"{holding.noun}.succeeded", actor.member_id, reason=made.id)
        count += 1
    return count


def _binds_itself(row: Agreement, today: date) -> bool:
    """Whether both sides of an agreement that still binds, or is proposed, have become one."""
    binds = row.state == "proposed" or runs_on(row, today)
    return binds and row.implementer_id == row.operator_id


def _codes(session: Session, party: Party, holding: Holding) -> dict[str, str]:
    """id → the code of the resource it is about, of what an organisation holds of a noun."""
    table = holding.model.__table__
    about = select(table.c.id, Resource.code).join_from(
        table, Resource, Resource.id == table.c.resource_id
    )
    return dict(session.execute(about.where(holding.of(party.id))).tuples().all())


_resources = Base.metadata.tables[Resource.__tablename__]
_GIVE = (
    update(_resources)
    .where(_resources.c.id == bindparam("of"), _resources.c.version == bindparam("was"))
    .values(
        version=bindparam("is"), provider_id=bindparam("to"), provider=bindparam("name"),
        elements=bindparam("said", type_=Text),
    )
)  # fmt: skip


def _hand_over(
    session: Session, actor: Actor, made: Succession, party: Party, heir_of: Callable[[str], Party]
) -> int:
    """Give each resource its new provider, past the ORM: a large body has tens of thousands."""
    session.flush()
    named = [column for column in _resources.c if column.key != "elements"]
    said = type_coerce(_resources.c.elements, Text).label("elements")
    rows = session.execute(
        select(*named, said).where(_resources.c.provider_id == party.id).order_by(_resources.c.id)
    ).mappings()
    changes, noted = [], []
    for row in rows:
        heir, text = heir_of(row["code"]), row["elements"]
        elements = orjson.loads(text)
        if elements.get("provider_code") == party.uscc != heir.uscc:
            text = canonical_fast({**elements, "provider_code": heir.uscc}).decode()
        kept = heir.id == party.id and made.kind != "rename"
        if kept or (heir.id, heir.name) == (row["provider_id"], row["provider"]):
            continue
        version = row["version"] + 1
        changes.append({
            "of": row["id"], "was": row["version"], "is": version, "to": heir.id,
            "name": heir.name, "said": text,
        })  # fmt: skip
        body = {**row, "version": version, "provider_id": heir.id, "provider": heir.name,
                "elements": orjson.Fragment(text)}  # fmt: skip
        noted.append((row["id"], version, orjson.dumps(body, option=orjson.OPT_SORT_KEYS)))
    if changes:
        session.connection().execute(_GIVE, changes)
    log.append_many(
        session, "resource", "resource.succeeded", actor.member_id, noted, reason=made.id
    )
    for loaded in list(session.identity_map.values()):
        if isinstance(loaded, Resource):
            session.expire(loaded)
    return len(changes)


def _people(
    session: Session, actor: Actor, made: Succession, party: Party, choose: Choose
) -> dict[str, int]:
    """Members go over with the roles their new organisation's kind allows; posts go with them.

    A chief whose new organisation has one already is relieved, and who has no role left has no post.
    """
    logins = dict(session.execute(select(Account.member_id, Account.login)).tuples().all())
    moved: dict[str, int] = {}
    members = session.scalars(select(Member).where(Member.party_id == party.id)).all()
    acting: dict[str, Party] = {}
    kept: set[str] = set()
    for member in members:
        heir = choose("member", logins.get(member.id, ""), "")
        if heir.id == party.id:
            kept.add(member.id)
            continue
        member.party_id = heir.id
        member.roles = [role for role in member.roles if role in ROLES_OF_KIND[heir.kind]]
        acting |= {member.id: heir} if member.roles else {}
        log.append(session, member, "member.succeeded", actor.member_id, reason=made.id)
    if len(members) > len(kept):
        moved["member"] = len(members) - len(kept)
    chiefs = {heir.id for heir in acting.values()}
    chiefs = {one.party_id for one in in_force(session, chiefs) if one.post == "chief"}
    for post in in_force(session, [party.id]):
        if post.member_id in kept:
            continue
        to = acting.get(post.member_id)
        if to is None or (post.post == "chief" and to.id in chiefs):
            post.state, post.until_on = move("steward", "relieve", post.state), made.effective_on
            log.append(session, post, "steward.relieved", actor.member_id, reason=made.id)
            continue
        post.party_id = to.id
        chiefs |= {to.id} if post.post == "chief" else set()
        log.append(session, post, "steward.succeeded", actor.member_id, reason=made.id)
        moved["steward"] = moved.get("steward", 0) + 1
    return moved


# ---------------------------------------------------------------- what stays


def _left(
    session: Session, party: Party, why: Mapping[type[Evidence], str]
) -> list[dict[str, Any]]:
    """What keeps naming an organisation: how many, the first of their numbers, and why."""
    numbers = {Voucher: "number", Licence: "order_reference", Batch: "number"}
    left = []
    for model, reason in why.items():
        column = next(column for owner, column in STAYS if owner is model)
        where = model.__table__.c[column] == party.id
        left.append(_told(session, model, numbers[model], where, reason))
    if Batch in why:  # not for a new name: the code stays
        by_code = cast(Scheme.document, String).contains(f'"{party.uscc}"')
        left.append(_told(session, Scheme, "id", by_code & (Scheme.state == "agreed"), BY_CODE))
    return [one for one in left if one["count"]]


def _vouchers_left(
    session: Session, party: Party, who_gets: Mapping[tuple[str, str], Party]
) -> list[dict[str, Any]]:
    """The vouchers that an organisation which goes on keeps of the registrations it gives away."""
    given = [
        code for (noun, code), heir in who_gets.items()
        if noun == "registration" and heir.id != party.id
    ]  # fmt: skip
    registered = select(Registration.id).where(Registration.code.in_(given))
    of_them = (Voucher.party_id == party.id) & Voucher.registration_id.in_(registered)
    told = _told(session, Voucher, "number", of_them, ON_CHAIN)
    return [told] if told["count"] else []


def _told(
    session: Session, model: type[Evidence], number: str, where: ColumnElement[bool], reason: str
) -> dict[str, Any]:
    column = model.__table__.c[number]
    first = session.scalars(select(column).where(where).order_by(column).limit(NAMED_MAX)).all()
    count = _count(session, model, where) if len(first) == NAMED_MAX else len(first)
    return {"noun": model.subject_type, "count": count, "numbers": list(first), "reason": reason}


def _count(session: Session, model: type[Evidence], where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(model).where(where)) or 0
