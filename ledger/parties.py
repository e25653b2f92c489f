"""Parties (organisations), their members, and who may do which verb.

A member is known in records by a pseudonym (his id) only: payloads travel. His name and login stand
in `accounts`, an operational table that never leaves the house.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from stdnum.cn import uscc as uscc_rule
from stdnum.exceptions import ValidationError

from ledger import log
from ledger.chain import keys
from ledger.errors import Conflict, Invalid, Missing, NotAllowed
from ledger.store import Base, Evidence, new_id

KINDS = ("public_body", "public_institution", "enterprise", "other_organisation")

ROLES = (
    "administrator",  # 系统管理员: parties and members, nothing of the field
    "provider",  # 实施机构 / 数据提供部门: signs agreements for its side
    "operator",  # 登记主体(运营机构)
    "registrar",  # 登记机构
    "appraiser",  # 资产评估机构
    "exchange",  # 数据交易所
    "finance_maker",  # 财务制单
    "finance_checker",  # 财务复核
    "regulator",  # 监管部门
)

# Which role may do which verb. Whether it is his own organisation's business, and that nobody
# decides on what he made, each verb checks itself with `require_own` and `require_other`.
MAY: dict[str, frozenset[str]] = {
    verb: frozenset(roles.split())
    for verb, roles in {
        "party.add": "administrator",
        "member.add": "administrator",
        "evidence.deposit": "operator",
        "catalogue.import": "registrar",
        "agreement.propose": "operator",
        "agreement.sign": "provider",
        "application.submit": "operator",
        "application.withdraw": "operator",
        "application.return": "registrar",
        "application.refuse": "registrar",
        "application.accept": "registrar",
        "application.reject": "registrar",
        "application.pass": "registrar",
        "application.notice": "registrar",
        "application.code": "registrar",
        "voucher.issue": "registrar",
        "voucher.suspend": "registrar",
        "voucher.resume": "registrar",
        "voucher.revoke": "registrar",
        "voucher.cancel": "registrar",
        "voucher.freeze": "regulator",
        "voucher.unfreeze": "regulator",
        "appraisal.draft": "appraiser",
        "appraisal.approve": "appraiser",
        "appraisal.reject": "appraiser",
        "licence.grant": "operator",
        "licence.revoke": "operator",
        "payment.record": "finance_maker",
        "scheme.propose": "operator",
        "scheme.agree": "provider",
        "statement.draft": "finance_maker",
        "statement.propose": "finance_maker",
        "statement.approve": "finance_checker",
        "statement.reject": "finance_checker",
        "package.pack": "operator exchange registrar",
    }.items()
}


class Party(Evidence):
    """An organisation that takes part."""

    __tablename__ = "parties"
    subject_type = "party"
    kind: Mapped[str]
    name: Mapped[str]
    uscc: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]


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
    """The member who asks, as each verb gets him."""

    member_id: str
    party_id: str
    roles: frozenset[str]


def may(actor: Actor, verb: str) -> None:
    """Raise NotAllowed unless one of the actor's roles may do `verb`."""
    if not actor.roles & MAY[verb]:
        raise NotAllowed(
            "This needs the role {needed}; you have {roles}.",
            verb=verb,
            needed=" / ".join(sorted(MAY[verb])),
            roles=", ".join(sorted(actor.roles)) or "-",
        )


def require_own(actor: Actor, party_id: str, what: str) -> None:
    """Raise NotAllowed unless `what` is the business of the actor's own organisation."""
    if actor.party_id != party_id:
        raise NotAllowed("{what} belongs to another organisation, not to yours.", what=what)


def require_other(actor: Actor, maker_ids: Iterable[str | None], what: str) -> None:
    """Raise NotAllowed when the actor made himself what he is to decide on."""
    if actor.member_id in set(maker_ids):
        raise NotAllowed("You made {what} yourself; another person must decide on it.", what=what)


def require_stranger(
    actor: Actor, party_id: str, maker_ids: Iterable[str | None], what: str
) -> None:
    """Raise NotAllowed when the actor or his organisation made what he is to decide on."""
    require_other(actor, maker_ids, what)
    if actor.party_id == party_id:
        raise NotAllowed(
            "{what} is your own organisation's; another one must decide on it.", what=what
        )


def check_uscc(code: str) -> str:
    """The unified social credit code in its one spelling (GB 32100, check character); raises Invalid."""
    try:
        return str(uscc_rule.validate(code))
    except ValidationError:
        raise Invalid(
            "{code} is not a unified social credit code (18 characters with a check character).",
            code=code,
        ) from None


def add_party(
    session: Session, actor_id: str, now: datetime, *, kind: str, name: str, uscc: str
) -> Party:
    """Add an organisation, once; the same code with another name or kind is a Conflict."""
    uscc = check_uscc(uscc)
    if kind not in KINDS or not name.strip():
        raise Invalid("A party has a name and one of the kinds {kinds}.", kinds=", ".join(KINDS))
    found = session.scalar(select(Party).where(Party.uscc == uscc))
    if found is not None:
        if (found.kind, found.name) != (kind, name.strip()):
            raise Conflict("The code {uscc} belongs to {name}.", uscc=uscc, name=found.name)
        return found
    party = Party(id=new_id(), kind=kind, name=name.strip(), uscc=uscc, state="active")
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
    wanted = sorted(set(roles))
    unknown = [role for role in wanted if role not in ROLES]
    if unknown or not wanted:
        raise Invalid(
            "Unknown or no roles: {unknown}. Roles are {roles}.",
            unknown=", ".join(unknown) or "-",
            roles=", ".join(ROLES),
        )
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
    member = Member(
        id=new_id(), party_id=party.id, roles=list(wanted), signing_address=signing_address
    )
    log.append(session, member, "member.added", actor_id)
    session.flush()
    session.add(Account(member_id=member.id, login=login, display_name=display_name))
    session.flush()
    return member


def actor_by_login(session: Session, login: str) -> Actor:
    """Who a login is; raises Missing."""
    account = session.scalar(select(Account).where(Account.login == login))
    if account is None:
        raise Missing("There is no member {login}.", login=login)
    member = session.get_one(Member, account.member_id)
    return Actor(member.id, member.party_id, frozenset(str(role) for role in member.roles))


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
