"""Parties (organisations), their members, and whether one of them may do a verb (by `rights.MAY`).

A member is known in records by a pseudonym (his id) only: payloads travel. His name and login stand
in `accounts`, an operational table that never leaves the house.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.chain import keys
from ledger.errors import Conflict, Invalid, Missing, NotAllowed, NotAuthenticated
from ledger.party_codes import check_uscc, draw_individual
from ledger.rights import MAY, MEMBER, PUBLIC, ROLES
from ledger.states import move
from ledger.store import Base, Evidence, new_id

KINDS = (
    "public_body",  # 党政机关
    "public_institution",  # 事业单位
    "enterprise",  # 企业
    "data_broker",  # 数据经纪人(数商): brings demand and supply together, holds nothing
    "service_provider",  # 第三方专业服务机构: assesses, appraises, trains, insures
    "other_organisation",
    "individual",  # 自然人: a data subject; neither name nor identity number stands in its row
)

# What members of each kind of organisation may be. Whoever brings others together, or serves them, decides
# nothing, holds nothing and keeps nobody's books.
ROLES_OF_KIND: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(KINDS, ROLES),
    "data_broker": ("broker",),
    "service_provider": ("appraiser",),
    "individual": ("data_subject",),
}


class Party(Evidence):
    """An organisation that takes part."""

    __tablename__ = "parties"
    subject_type = "party"
    kind: Mapped[str]
    name: Mapped[str]
    uscc: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    """active, merged or split"""
    former_names: Mapped[list[Any] | None]
    """what it was called before, each name with its last day"""
    successor_ids: Mapped[list[Any] | None]
    """who acts in its place, the main one first"""


class Member(Evidence):
    """A person acting for a party, by pseudonym; a checker's signing address belongs to his own key."""

    __tablename__ = "members"
    subject_type = "member"
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    roles: Mapped[list[Any]]
    signing_address: Mapped[str | None]


class Account(Base):
    """Who a member is (operational: personal data stay here)."""

    __tablename__ = "accounts"
    member_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str]


@dataclass(frozen=True)
class Actor:
    """The member who asks, as each verb gets him.

    `heir_of`: the organisations that ended and whose first successor is his own. What could not follow,
    such as a voucher, which is held on chain, still names them; its owners are his organisation's members.
    """

    member_id: str
    party_id: str
    roles: frozenset[str]
    heir_of: frozenset[str] = frozenset()

    @property
    def parties(self) -> frozenset[str]:
        """Whose things are his organisation's: its own, and those of its predecessors."""
        return self.heir_of | {self.party_id}


NOBODY = Actor("", "", frozenset())  # who is not signed in


def roles_of(actor: Actor) -> frozenset[str]:
    """The actor's roles with the two that nobody is given; a member without roles no longer acts."""
    if not actor.member_id or not actor.roles:
        return frozenset({PUBLIC})
    return actor.roles | {PUBLIC, MEMBER}


def may(actor: Actor, verb: str, owners: str | Iterable[str] | None = None, what: str = "") -> None:
    """Raise NotAuthenticated or NotAllowed unless the actor may do `verb` to what `owners` own.

    Without owners (there is no subject yet, or it is not asked now) his role decides. `what` names
    the subject in a refusal.
    """
    relations = MAY[verb]
    roles = roles_of(actor)
    held = {relation for role, relation in relations.items() if role in roles}
    if not held:
        if not actor.member_id:
            raise NotAuthenticated("Sign in first.")
        raise NotAllowed(
            "This needs the role {needed}; you have {roles}.",
            verb=verb,
            needed=" / ".join(sorted(relations)),
            roles=", ".join(sorted(actor.roles)) or "-",
        )
    if owners is None or "any" in held:
        return
    own = not actor.parties.isdisjoint({owners} if isinstance(owners, str) else owners)
    if ("own" if own else "other") in held:
        return
    what = what or verb.partition(".")[0]
    if own:
        raise NotAllowed(
            "{what} is your own organisation's; another one must decide on it.", what=what
        )
    raise NotAllowed("{what} belongs to another organisation, not to yours.", what=what)


def allowed(actor: Actor, verb: str, owners: str | Iterable[str] | None = None) -> bool:
    """Whether `may` would let him."""
    try:
        may(actor, verb, owners)
    except (NotAuthenticated, NotAllowed):
        return False
    return True


def require_other(actor: Actor, maker_ids: Iterable[str | None], what: str) -> None:
    """Raise NotAllowed when the actor made himself what he is to decide on."""
    if actor.member_id in set(maker_ids):
        raise NotAllowed(
            "You acted on {what} yourself; another person must decide on it.", what=what
        )


def add_party(
    session: Session, actor_id: str, now: datetime, *, kind: str, name: str, uscc: str
) -> Party:
    """Add an organisation, once; the same code with another name or kind is a Conflict."""
    uscc = check_uscc(uscc)
    if kind not in KINDS or not name.strip() or kind == "individual":
        raise Invalid("A party has a name and one of the kinds {kinds}.", kinds=", ".join(KINDS))
    found = session.scalar(select(Party).where(Party.uscc == uscc))
    if found is not None:
        if (found.kind, found.name) != (kind, name.strip()):
            raise Conflict("The code {uscc} belongs to {name}.", uscc=uscc, name=found.name)
        require_active(found)
        return found
    party = Party(
        id=new_id(), kind=kind, name=name.strip(), uscc=uscc, state=move("party", "add", None)
    )
    log.append(session, party, "party.added", actor_id)
    session.flush()
    return party


def add_individual(session: Session, actor_id: str, now: datetime) -> Party:
    """Add a natural person (自然人) as a data subject: under a code made here, and under no name.

    Who he is stands in his account only, which never leaves the house.
    """
    code = draw_individual()
    party = Party(
        id=new_id(), kind="individual", name=f"自然人 {code[-6:]}", uscc=code,
        state=move("party", "add", None),
    )  # fmt: skip
    log.append(session, party, "party.added", actor_id)
    session.flush()
    return party


def add_member(
    session: Session,
    actor_id: str,
    now: datetime,
    *,
    party: Party,
    login: str,
    display_name: str,
    roles: Iterable[str],
    signing_address: str | None = None,
) -> Member:
    """Add a person to a party, once; a login taken by another is a Conflict."""
    wanted = _known_roles(roles, party, at_least=1)
    if signing_address is not None:
        keys.check_address(signing_address)
    account = session.scalar(select(Account).where(Account.login == login))
    if account is not None:
        found = session.get_one(Member, account.member_id)
        if (found.party_id, found.roles, found.signing_address) != (
            party.id,
            wanted,
            signing_address,
        ):
            raise Conflict("The login {login} is taken.", login=login)
        return found
    require_active(party)
    member = Member(
        id=new_id(), party_id=party.id, roles=wanted, signing_address=signing_address
    )  # fmt: skip
    log.append(session, member, "member.added", actor_id)
    session.flush()
    session.add(Account(member_id=member.id, login=login, display_name=display_name))
    session.flush()
    return member


def change_member(
    session: Session, actor: Actor, now: datetime, member: Member, roles: Iterable[str]
) -> None:
    """Set another member's roles; with none he no longer acts. The same roles again change nothing."""
    may(actor, "member.change")
    if actor.member_id == member.id:
        raise NotAllowed("You cannot change your own roles; another administrator must.")
    party = session.get_one(Party, member.party_id)
    wanted = _known_roles(roles, party)
    if wanted:
        require_active(party)
    if wanted != member.roles:
        member.roles = wanted
        log.append(session, member, "member.changed", actor.member_id)


def party_of(session: Session, member_id: str) -> str:
    """The id of the organisation that a member acts for."""
    return session.get_one(Member, member_id).party_id


def actor_by_login(session: Session, login: str) -> Actor:
    """Who a login is; raises Missing."""
    account = session.scalar(select(Account).where(Account.login == login))
    if account is None:
        raise Missing("There is no member {login}.", login=login)
    return actor_of(session, account.member_id)


def actor_of(session: Session, member_id: str) -> Actor:
    """A member as he may act now."""
    party_id, roles = session.execute(
        select(Member.party_id, Member.roles).where(Member.id == member_id)
    ).one()
    heir_of = predecessors(session, party_id)
    return Actor(member_id, party_id, frozenset(str(role) for role in roles), heir_of)


def predecessors(session: Session, party_id: str) -> frozenset[str]:
    """The organisations that ended and whose first successor is this one, or one that ended in it."""
    ended = session.execute(
        select(Party.id, Party.successor_ids).where(Party.state != "active")
    ).all()
    found, frontier = set[str](), {party_id}
    while frontier:
        frontier = {one for one, heirs in ended if heirs and heirs[0] in frontier} - found
        found |= frontier
    return frozenset(found)


def require_active(party: Party) -> None:
    """Raise Conflict when an organisation was merged or split: it no longer takes part."""
    if party.state != "active":
        raise Conflict(
            "{name} ({uscc}) was {state}; its successor acts in its place.",
            name=party.name, uscc=party.uscc, state=party.state,
        )  # fmt: skip


def successor(session: Session, party: Party) -> Party:
    """The organisation that acts today for one that may have ended: its first successor, in the end."""
    while party.state != "active" and party.successor_ids:
        party = session.get_one(Party, str(party.successor_ids[0]))
    return party


def merged_into(session: Session, party: Party) -> Party:
    """The organisation that one was merged into, in the end; one that was split is not passed."""
    while party.state == "merged" and party.successor_ids:
        party = session.get_one(Party, str(party.successor_ids[0]))
    return party


def logins_with(session: Session, role: str) -> list[str]:
    """The logins of all members that have a role, in order."""
    found = session.execute(
        select(Account.login, Member.roles)
        .join(Member, Member.id == Account.member_id)
        .order_by(Account.login)
    )
    return [login for login, roles in found if role in roles]


def party_by_uscc(session: Session, uscc: str) -> Party:
    """The organisation with a unified social credit code; raises Missing."""
    found = session.scalar(select(Party).where(Party.uscc == check_uscc(uscc)))
    if found is None:
        raise Missing("There is no organisation {uscc}.", uscc=uscc)
    return found


def _known_roles(roles: Iterable[str], party: Party, at_least: int = 0) -> list[str]:
    wanted = sorted(set(roles))
    unknown = [role for role in wanted if role not in ROLES]
    if unknown or len(wanted) < at_least:
        raise Invalid(
            "Unknown or no roles: {unknown}. Roles are {roles}.",
            unknown=", ".join(unknown) or "-",
            roles=", ".join(ROLES),
        )
    open_to = ROLES_OF_KIND[party.kind]
    barred = [role for role in wanted if role not in open_to]
    if barred:
        raise Invalid(
            "Members of a {kind} cannot be {barred}; they may be {roles}.",
            kind=party.kind, barred=", ".join(barred), roles=", ".join(open_to),
        )  # fmt: skip
    return wanted
