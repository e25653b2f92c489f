"""Parties (organisations), their members, and who may do which verb.

A member is known in records by a pseudonym (his id) only: payloads travel. His name and login stand
in `accounts`, an operational table that never leaves the house.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from stdnum.cn import uscc as uscc_rule
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError
from stdnum.iso7064 import mod_37_36

from ledger import log
from ledger.chain import keys
from ledger.errors import Conflict, Invalid, Missing, NotAllowed, NotAuthenticated
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
    "data_subject",  # 数据主体: has a space of its own (个人和法人数字空间)
    "broker",  # 数据经纪: submits demands for those it acts for
)
# What members of each kind of organisation may be. Whoever brings others together, or serves them, decides
# nothing, holds nothing and keeps nobody's books.
ROLES_OF_KIND: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(KINDS, ROLES),
    "data_broker": ("broker",),
    "service_provider": ("appraiser",),
    "individual": ("data_subject",),
}
PUBLIC = "public"  # whoever asks; given to nobody
MEMBER = "member"  # whoever is signed in and has any role; given to nobody

INDIVIDUAL = "ZR"  # 自然人; Z stands in no social credit code
INDIVIDUAL_CODE = re.compile(r"ZR[0-9A-Z]{16}")
_UNMISTAKABLE = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_USCC_DIGITS = 8  # the registering authority, the kind and the place come first, in digits
_USCC_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
RELATIONS = ("own", "other", "any")


def _but_the_regulator(relation: str) -> str:
    """Every role but his: he sees all and changes nothing but freezes."""
    return " ".join(f"{role}:{relation}" for role in ROLES if role != "regulator")


# verb → role → relation: whether his organisation is one of the subject's owners, is none of them,
# or it does not matter. The only table of who may do what; that nobody decides on what he made
# himself, each verb sees to with `require_other`.
MAY: dict[str, dict[str, str]] = {
    verb: {role: relation for role, _, relation in (one.partition(":") for one in text.split())}
    for verb, text in {
        "party.add": "administrator:any",
        "party.rename": "administrator:any",
        "party.merge": "administrator:any",  # 合并: into another one, which holds what it held
        "party.split": "administrator:any",  # 分立: what it held goes to named ones
        "party.read": "member:any",
        "steward.name": "administrator:any provider:own",  # 首席数据官, 数据专员
        "steward.relieve": "administrator:any provider:own",
        "steward.read": "member:any",
        "member.add": "administrator:any",
        "member.change": "administrator:any",
        "member.reset": "administrator:any",  # a new one-time password
        "member.read": "administrator:any regulator:any",
        "evidence.deposit": "operator:own provider:own exchange:own appraiser:own broker:own "
        "data_subject:own",
        "evidence.read": "operator:own provider:own exchange:own appraiser:own broker:own "
        "data_subject:own registrar:any regulator:any",
        "catalogue.import": "registrar:any provider:own",  # a provider's own; the registrar decides
        "catalogue.approve": "registrar:any",  # of what another one proposed
        "catalogue.reject": "registrar:any",
        "catalogue.undo": "registrar:any",
        "catalogue.read": "registrar:any regulator:any provider:own",
        "catalogue.export": "public:any",  # of what he may see
        "resource.add": "registrar:any",  # by hand; a provider proposes a change set
        "resource.read": "public:any",  # whose audience he belongs to
        "duty.report": "registrar:any provider:own",  # a cause to change the catalogue
        "duty.settle": "provider:own",
        "duty.confirm": "registrar:any",
        "duty.reopen": "registrar:any",
        "duty.read": "registrar:any regulator:any provider:own",
        "demand.submit": "provider:any operator:any broker:any exchange:any data_subject:any",
        "demand.withdraw": "provider:own operator:own broker:own exchange:own data_subject:own",
        "demand.assign": "registrar:any",
        "demand.accept": "provider:own",  # the department's own; it goes on the responsibility list
        "demand.refuse": "provider:own",
        "demand.fulfil": "provider:own",
        "demand.close": "provider:own operator:own broker:own exchange:own data_subject:own",
        "demand.appeal": "provider:own operator:own broker:own exchange:own data_subject:own",
        "demand.uphold": "registrar:other",
        "demand.dismiss": "registrar:other",
        "demand.read": "provider:own operator:own broker:own exchange:own data_subject:own "
        "registrar:any regulator:any",
        "exclusion.propose": "provider:own registrar:any",  # 负面清单
        "exclusion.approve": "registrar:any",
        "exclusion.reject": "registrar:any",
        "exclusion.end": "registrar:any",
        "exclusion.read": "member:any",
        "feedback.raise": _but_the_regulator("any"),  # 异议, 质量反馈 on a resource he may see
        "feedback.withdraw": _but_the_regulator("own"),
        "feedback.answer": "provider:own registrar:own",  # the provider's; without one the registrars'
        "feedback.close": _but_the_regulator("own"),
        "feedback.appeal": _but_the_regulator("own"),
        "feedback.uphold": "registrar:other",
        "feedback.dismiss": "registrar:other",
        "feedback.read": "member:own registrar:any regulator:any",
        "responsibility.read": "provider:own registrar:any regulator:any",  # 责任清单
        "agreement.propose": "operator:own",
        "agreement.sign": "provider:own",
        "agreement.consent": "provider:own registrar:any",  # the registrar's for who takes no part
        "agreement.withdraw": "operator:own",
        "agreement.decline": "provider:own",
        "agreement.propose_end": "operator:own provider:own",  # 提前终止
        "agreement.end": "operator:own provider:own",
        "agreement.keep": "operator:own provider:own",
        "agreement.hand_back": "operator:own",  # 退出交接
        "agreement.confirm_hand_back": "provider:own",
        "agreement.reopen_hand_back": "provider:own",
        "evaluation.make": "provider:own",  # 年度评价
        "evaluation.comment": "operator:own",
        "evaluation.read": "operator:own provider:own registrar:any regulator:any",
        "disclosure.read": "public:any",  # 授权运营信息公开, 27号 art. 18, 19
        "agreement.read": "operator:own provider:own registrar:any regulator:any finance_maker:any "
        "finance_checker:any",
        "application.submit": "operator:own provider:own",
        "application.withdraw": "operator:own provider:own",
        "application.consent": "operator:own provider:own",  # joint applicant, receiver, subject
        # about what is registered: by its subject; a correction and an objection by others too
        "application.change": "operator:own provider:own",
        "application.correct": "operator:any provider:any",
        "application.cancel": "operator:own provider:own",
        "application.renew": "operator:own provider:own",
        "application.transfer": "operator:own provider:own",
        "application.licence": "operator:own provider:own",
        "application.dispute": "operator:other provider:other",
        "application.return": "registrar:other",
        "application.refuse": "registrar:other",
        "application.accept": "registrar:other",
        "application.reject": "registrar:other",
        "application.pass": "registrar:other",
        "application.second": "registrar:other",
        "application.doubt": "registrar:other",
        "application.notice": "registrar:other",
        "application.code": "registrar:other",
        "application.conclude": "registrar:other",
        "application.read": "operator:own provider:own registrar:any regulator:any",
        "notice.read": "public:any",  # 公示
        # 异议, by whoever is signed in under his real name; not by the applicants, nor who decides
        "objection.raise": "operator:other provider:other exchange:other appraiser:other broker:other "
        "data_subject:other finance_maker:other finance_checker:other",
        "objection.withdraw": "operator:own provider:own exchange:own appraiser:own broker:own "
        "data_subject:own finance_maker:own finance_checker:own",
        "objection.uphold": "registrar:other",
        "objection.dismiss": "registrar:other",
        "objection.read": "member:own registrar:any regulator:any",
        "registration.read": "public:any",
        "registration.inquire": "registrar:other",  # 核实
        "registration.clear": "registrar:other",
        "registration.revoke": "registrar:other",
        "registration.cancel": "registrar:other",
        "registration.lift": "registrar:other",
        "voucher.issue": "registrar:other",
        "voucher.renew": "registrar:other",
        "voucher.transfer": "registrar:other",
        "voucher.supersede": "registrar:other",
        "voucher.split": "registrar:other",
        "voucher.pledge": "registrar:other",
        "voucher.release": "registrar:other",
        "voucher.replace_key": "registrar:other",
        "motion.confirm": "registrar:other",  # of what another registrar proposed
        "motion.reject": "registrar:other",
        "motion.read": "registrar:any regulator:any operator:own",
        "authorisation.request": "operator:own provider:own",  # as the user or the provider
        "authorisation.consent": "data_subject:own",
        "authorisation.refuse": "data_subject:own",
        "authorisation.withdraw": "data_subject:own",
        "authorisation.issue": "registrar:other",
        "authorisation.end": "operator:own provider:own",
        "authorisation.read": "data_subject:own operator:own provider:own registrar:any regulator:any",
        "use.count": "operator:own provider:own",  # the provider of the data
        "space.read": "data_subject:any",  # 个人和法人数字空间: his own
        "voucher.suspend": "registrar:other",
        "voucher.resume": "registrar:other",
        "voucher.revoke": "registrar:other",
        "voucher.cancel": "registrar:other",
        "voucher.freeze": "regulator:other",
        "voucher.unfreeze": "regulator:other",
        "registration.freeze": "regulator:other",  # all its vouchers at once
        "registration.unfreeze": "regulator:other",
        "voucher.read": "operator:own registrar:any exchange:any regulator:any appraiser:any "
        "finance_maker:any finance_checker:any",
        "voucher.verify": "public:any",
        "voucher.export": "operator:own registrar:any exchange:any regulator:any",  # its bundle, its PDF
        "alarm.explain": _but_the_regulator("own"),  # 预警: who has to answer
        "supervision.read": "regulator:any",  # 监管总览
        "statistics.read": "public:any",  # 统计报告; the public without what a party can be told from
        "statistics.amounts": "regulator:any registrar:any finance_maker:any finance_checker:any",
        "alarm.close": "regulator:any",
        "alarm.reopen": "regulator:any",
        "alarm.read": "member:own regulator:any",
        "peer.propose": "registrar:any",  # 互认登记机构
        "peer.admit": "administrator:any registrar:any",  # another person than who proposed it
        "peer.reject": "administrator:any registrar:any",
        "peer.reach": "administrator:any",  # where it is asked over the network
        "peer.suspend": "administrator:any registrar:any",
        "peer.resume": "administrator:any registrar:any",
        "peer.end": "administrator:any registrar:any",
        "peer.read": "administrator:any registrar:any exchange:any regulator:any",
        "recognition.import": "registrar:any exchange:any",  # 互认凭证
        "recognition.follow": "administrator:any registrar:any exchange:any",
        "recognition.read": "public:any",
        "appraisal.draft": "appraiser:any",
        "appraisal.approve": "appraiser:own",  # a second person of the maker's firm
        "appraisal.reject": "appraiser:own",
        "appraisal.withdraw": "appraiser:own",  # the maker himself
        "appraisal.read": "appraiser:own operator:own registrar:any exchange:any regulator:any",
        "price.propose": "operator:own",  # 定价, 发改价格〔2025〕65号
        "price.confirm": "provider:own",  # 授权主体
        "price.reject": "provider:own",
        "price.withdraw": "operator:own",
        "price.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "licence.grant": "operator:own",
        "licence.revoke": "operator:own",
        "licence.read": "operator:own regulator:any finance_maker:any finance_checker:any",
        "payment.record": "finance_maker:any",
        "remittance.record": "finance_maker:any",  # 来款
        "remittance.read": "operator:own exchange:own regulator:any finance_maker:any "
        "finance_checker:any",
        "order.place": "operator:own exchange:any",  # 订单
        "order.fulfil": "operator:own",
        "order.cancel": "operator:own exchange:any",
        "order.read": "operator:own exchange:any regulator:any finance_maker:any finance_checker:any",
        "refund.propose": "finance_maker:any",  # 退款
        "refund.approve": "finance_checker:own",  # a second person of the maker's organisation
        "refund.reject": "finance_checker:own",
        "refund.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "confirmation.record": "exchange:any",  # 成交确认: its own, signed by one of its members
        "confirmation.read": "exchange:own operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "usage.import": "operator:own exchange:any",
        "usage.read": "operator:own exchange:any regulator:any finance_maker:any finance_checker:any",
        "payment.read": "operator:own regulator:any finance_maker:any finance_checker:any",
        "scheme.propose": "operator:own",
        "scheme.agree": "provider:own",
        "scheme.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "period.close": "finance_maker:any",  # 结账
        "period.reopen": "finance_checker:any",
        "period.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "journal.propose": "finance_maker:any",  # 记账凭证
        "journal.approve": "finance_checker:any",
        "journal.reject": "finance_checker:any",
        "journal.withdraw": "finance_maker:any",  # the maker himself
        "journal.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "limit.propose": "finance_maker:any",  # 账户限额
        "limit.approve": "finance_checker:any",
        "limit.reject": "finance_checker:any",
        "limit.withdraw": "finance_maker:any",  # the maker himself
        "limit.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "hold.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "entry.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "finance.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "statement.draft": "finance_maker:any",
        "statement.propose": "finance_maker:own",  # the maker's organisation; and only he himself
        "statement.reopen": "finance_maker:own",
        "statement.correct": "finance_maker:own",
        "statement.reverse": "finance_maker:own",  # 冲销, by another statement
        "statement.approve": "finance_checker:own",
        "statement.reject": "finance_checker:own",
        "statement.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "statement.proof": "member:own finance_maker:any finance_checker:any regulator:any",
        "inquiry.raise": _but_the_regulator("own"),  # 质询: a payee's, or a side's of the agreement
        "inquiry.answer": "finance_maker:own",  # and only the statement's maker
        "inquiry.insist": _but_the_regulator("own"),
        "inquiry.close": _but_the_regulator("own"),
        "inquiry.withdraw": _but_the_regulator("own"),
        "inquiry.read": "member:own regulator:any finance_maker:any finance_checker:any",
        # 收款账户: by the party itself or by finance; another person of finance confirms
        "bank_account.enter": "finance_maker:any operator:own provider:own",
        "bank_account.withdraw": "finance_maker:any operator:own provider:own",
        "bank_account.confirm": "finance_checker:any",
        "bank_account.reject": "finance_checker:any",
        "bank_account.read": "member:own finance_maker:any finance_checker:any regulator:any",
        "payout.prepare": "finance_maker:any",  # 付款批次
        "payout.approve": "finance_checker:any",  # another person, above a threshold two
        "payout.cancel": "finance_maker:any finance_checker:any",
        "payout.confirm": "finance_maker:any",  # the bank's result
        "payout.close": "finance_checker:any",  # another than who prepared it
        "payout.file": "finance_maker:any finance_checker:any",  # what the bank is given
        "payout.read": "finance_maker:any finance_checker:any regulator:any",
        "reconciliation.import": "finance_maker:any",  # 对账
        "reconciliation.read": "finance_maker:any finance_checker:any regulator:any",
        "difference.answer": "finance_maker:any exchange:own operator:own",
        "difference.settle": "finance_checker:any finance_maker:any",  # another than who answered
        "difference.reopen": "finance_checker:any finance_maker:any",
        "difference.read": "finance_maker:any finance_checker:any regulator:any exchange:own "
        "operator:own",
        "package.pack": "operator:own exchange:any registrar:any",
        "log.read": "public:any",
        "log.seal": "administrator:any",
        "log.anchor": "administrator:any",
        "witness.add": "administrator:any",
        "witness.remove": "administrator:any",
        "witness.cosign": "administrator:any",  # hand a cosignature in by file
        "witness.read": "member:any",
        "trust.read": "public:any",
        "status.read": "public:any",
        "file.verify": "public:any",
        "record.read": "regulator:any",
        "ladder.read": "member:any",  # of what he may see
        "setting.read": "administrator:any regulator:any",
        "setting.change": "administrator:any",
        "outbox.read": "administrator:any regulator:any",
        "outbox.retry": "administrator:any",
        "audit.run": "administrator:any regulator:any",
        "figure.compute": "member:any",
        "job.read": "member:any",  # jobs and drafts are a person's: who may see them asks for him
        "job.start": "member:any",
        "draft.read": "operator:any",
        "draft.save": "operator:any",
        "draft.drop": "operator:any",
        "token.create": "member:any",
        "token.read": "member:any",
        "token.revoke": "member:any",
        "password.change": "member:any",
        "identity.link": "member:any",  # to a single sign-on
        "session.read": "member:any",
        "session.begin": "public:any",
        "session.end": "public:any",
        "page.read": "public:any",  # start page, help, language
        "work.read": "member:any",  # what waits for me
        "message.read": "member:any",  # 提醒: of what he may see
        "message.mark": "member:any",
        "message.deliver": "administrator:any",  # take them to mail or SMS: a number and a day each
    }.items()
}
_MISNAMED = [
    f"{verb} {role}:{relation}"
    for verb, relations in MAY.items()
    for role, relation in relations.items()
    if role not in {*ROLES, PUBLIC, MEMBER}
    or relation not in RELATIONS
    or (role == PUBLIC and relation != "any")  # who is not signed in has no organisation
]
assert not _MISNAMED, _MISNAMED


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


def check_uscc(code: str) -> str:
    """The unified social credit code in its one spelling (GB 32100); raises Invalid naming what is wrong.

    A natural person has none: he is known by a code of our own (`add_individual`), with a check character.

    >>> check_uscc(" 9100 0000 dem0 0000 3f ")
    '91000000DEM000003F'
    """
    spelt = str(uscc_rule.compact(unicodedata.normalize("NFKC", code)))
    if INDIVIDUAL_CODE.fullmatch(spelt):
        if mod_37_36.is_valid(spelt):
            return spelt
        raise Invalid("{code} is mistyped: its check character does not fit.", code=code)
    try:
        return str(uscc_rule.validate(spelt))
    except InvalidLength:
        raise Invalid(
            "{code} is not a unified social credit code: it has {count} characters, not 18.",
            code=code, count=len(spelt),
        ) from None  # fmt: skip
    except InvalidChecksum:
        raise Invalid(
            "{code} is not a unified social credit code: by the first 17 characters its check "
            "character is {wanted}, not {given}; one of the 18 is wrong.",
            code=code, wanted=uscc_rule.calc_check_digit(spelt[:-1]), given=spelt[-1],
        ) from None  # fmt: skip
    except ValidationError:
        place, wrong = next(
            (n, char)
            for n, char in enumerate(spelt, start=1)
            if char not in _USCC_CHARACTERS or (n <= _USCC_DIGITS and not char.isdecimal())
        )
        raise Invalid(
            "{code} is not a unified social credit code: {char} cannot stand at place {place} (1 to "
            "8 are digits; I, O, S, V and Z never stand).",
            code=code, char=wrong, place=place,
        ) from None  # fmt: skip


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
    drawn = INDIVIDUAL + "".join(secrets.choice(_UNMISTAKABLE) for _ in range(15))
    code = drawn + mod_37_36.calc_check_digit(drawn)
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
