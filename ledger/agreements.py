"""Operation agreements (授权运营协议), 发改数据规〔2025〕27号: which operator may use what, how, how long.

Proposed by the operator, signed by the implementing body once every other body whose data it names has
consented; only then may products be registered and sold under it, and only within its scope. How it ends
stands in `agreement_ends`, how it is judged each year in `evaluations`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active, require_other
from ledger.proof.encoding import instant
from ledger.states import move
from ledger.store import Base, Evidence, new_id, next_number

TERM_YEARS_MAX = 5  # 27号 art. 14(2): 原则上最长不超过5年
MODES = {"whole": "整体授权", "by_field": "分领域授权", "by_scene": "依场景授权"}  # art. 9(4)
ELEMENTS = {  # art. 14, in its order
    "scope": "公共数据资源范围及数据资源目录",
    "term": "运营期限",
    "products": "产品和服务清单及其技术标准、安全审核要求、业务规范性审核要求",
    "platform": "技术支撑平台",
    "ownership": "资产权属",
    "disclosure": "信息披露要求",
    "accounting_sharing": "经营成本和收入核算要求、收益分配机制",
    "security": "数据安全、个人信息保护要求和风险监测、应急处置措施",
    "evaluation_exit": "运营成效评价，续约或退出机制",
    "breach": "违约责任",
    "dispute": "争议解决方式",
    "change_end": "协议变更、终止条件",
    "other": "需要明确的其他事项",
}
PRICE_CAP_FEN_MAX = 10**13
RUNNING = ("in_force", "ending")  # an end that is only proposed changes nothing yet
OVER = ("ended", "expired", "handing_back", "hand_back_open", "handed_back")
NEVER = ("withdrawn", "declined")  # a proposal that came to nothing


class Agreement(Evidence):
    """An operation agreement and its 13 elements."""

    __tablename__ = "agreements"
    subject_type = "agreement"
    number: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    mode: Mapped[str]
    implementer_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    operator_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    resource_ids: Mapped[list[Any]]
    elements: Mapped[dict[str, Any]]
    from_on: Mapped[str]
    until_on: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[str]
    signed_by: Mapped[str | None]
    scenes: Mapped[list[Any] | None]
    """what it may be used for: each scene (场景) with its name and its use"""
    domains: Mapped[list[Any] | None]
    """the fields (领域) it is authorised for"""
    price_cap_fen: Mapped[int | None] = mapped_column(BigInteger)
    """the highest price of one licence (最高准许), 发改价格〔2025〕65号"""
    renews_id: Mapped[str | None] = mapped_column(String(36))
    """the agreement that it renews"""
    provider_ids: Mapped[list[Any] | None]
    """the other bodies whose resources it names: they are asked for consent"""
    consents: Mapped[list[Any] | None]
    """who consented to the use of which resources, on which basis, and when"""
    end_kind: Mapped[str | None]
    end_ground: Mapped[str | None]
    end_side: Mapped[str | None]
    """the side that proposed its early end"""
    end_by: Mapped[str | None]
    ended_on: Mapped[str | None]
    """the day of its early end, or its last day once it has expired"""
    hand_back: Mapped[dict[str, Any] | None]
    """what was handed back, point by point, and who found that it was"""


def propose(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    title: str,
    mode: str,
    implementer: Party,
    resource_ids: Sequence[str],
    elements: Mapping[str, str],
    from_on: date,
    until_on: date,
    scenes: Sequence[Mapping[str, str]] = (),
    domains: Sequence[str] = (),
    price_cap_fen: int | None = None,
    renews: "Agreement | None" = None,
) -> Agreement:
    """Put an agreement forward; every missing element and broken limit is named at once."""
    may(actor, "agreement.propose")
    require_active(implementer)
    faults = Faults()
    kept_scenes = _scenes(scenes, faults)
    kept_domains = list(dict.fromkeys(one.strip() for one in domains if one.strip()))
    if mode == "by_scene" and not kept_scenes:
        faults.name_fault("authorisation by scene names at least one scene", at="scenes")
    if mode == "by_field" and not kept_domains:
        faults.name_fault("authorisation by field names at least one field", at="domains")
    if price_cap_fen is not None and not 0 < price_cap_fen <= PRICE_CAP_FEN_MAX:
        faults.name_fault("the highest price must be more than nothing", at="price_cap_yuan")
    if renews is not None:
        _check_renewal(actor, now, renews, implementer, from_on, faults)
    faults.name_missing(ELEMENTS, elements, at="elements")
    if mode not in MODES:
        faults.name_fault("mode must be one of {choices}", at="mode", choices=", ".join(MODES))
    if not from_on <= until_on <= years_after(from_on, TERM_YEARS_MAX):
        faults.name_fault(
            "the term may last at most {years} years", at="until_on", years=TERM_YEARS_MAX
        )
    if not resource_ids:
        faults.name_fault("no resource in scope", at="resources")
    if implementer.id == actor.party_id:
        faults.name_fault("the implementing body and the operator are the same", at="implementer")
    if faults:
        raise Invalid("The agreement lacks or breaks: {faults}.", faults=faults)
    agreement = Agreement(
        id=new_id(), number=f"XY{from_on.year}-{next_number(session, f'XY{from_on.year}'):04d}",
        title=title, mode=mode, implementer_id=implementer.id, operator_id=actor.party_id,
        resource_ids=sorted(set(resource_ids)), elements=dict(elements), from_on=from_on.isoformat(),
        until_on=until_on.isoformat(), state=move("agreement", "propose", None),
        proposed_by=actor.member_id, signed_by=None, scenes=kept_scenes, domains=kept_domains,
        price_cap_fen=price_cap_fen, renews_id=None if renews is None else renews.id,
        provider_ids=_other_providers(session, resource_ids, implementer.id), consents=[],
    )  # fmt: skip
    log.append(session, agreement, "agreement.proposed", actor.member_id)
    session.flush()
    return agreement


def _scenes(scenes: Sequence[Mapping[str, str]], faults: Faults) -> list[dict[str, str]]:
    """Scenes as they are kept; a name that is empty or stands there twice is a fault."""
    kept: dict[str, dict[str, str]] = {}
    for n, one in enumerate(scenes):
        name = one.get("name", "").strip()
        if not name:
            faults.name_fault("the field {name} is empty", at=f"scenes.{n}.name", name="name")
        elif name in kept:
            faults.name_fault(
                "the scene {scene} stands there twice", at=f"scenes.{n}.name", scene=name
            )
        else:
            kept[name] = {"name": name, "use": one.get("use", "").strip()}
    return list(kept.values())


def _check_renewal(
    actor: Actor, now: datetime, old: Agreement, implementer: Party, from_on: date, faults: Faults
) -> None:
    """A renewal (续约) is between the same sides, of what runs or has run out, and begins after it."""
    if old.operator_id not in actor.parties or old.implementer_id != implementer.id:
        faults.name_fault(
            "agreement {number} is between other sides", at="renews", number=old.number
        )
    elif old.state not in (*RUNNING, "expired"):
        faults.name_fault(
            "agreement {number} is {state}: only one in force or expired is renewed", at="renews",
            number=old.number, state=old.state,
        )  # fmt: skip
    elif from_on.isoformat() <= old.until_on:
        faults.name_fault(
            "a renewal begins after {end}, the last day of {number}", at="from_on", end=old.until_on,
            number=old.number,
        )  # fmt: skip


def sign(session: Session, actor: Actor, now: datetime, agreement: Agreement) -> None:
    """The implementing body signs what the operator proposed: the agreement is in force.

    Every other body whose data it names must have consented (27号 art. 5); all that lack are named.
    """
    may(actor, "agreement.sign", agreement.implementer_id, f"Agreement {agreement.number}")
    require_other(actor, [agreement.proposed_by], agreement.number)
    state = move("agreement", "sign", agreement.state)
    resources = _resources()
    wanted = select(resources.code).where(
        resources.id.in_(agreement.resource_ids), resources.state != "listed"
    )
    gone = session.scalars(wanted.order_by(resources.code)).all()
    if gone:
        raise Conflict("Resources of agreement {number} are no longer listed: {codes}.",
                       number=agreement.number, codes=", ".join(gone))  # fmt: skip
    if local_date(now).isoformat() > agreement.until_on:
        raise Conflict("The term of agreement {number} has ended on {end}; propose a new one.",
                       number=agreement.number, end=agreement.until_on)  # fmt: skip
    faults = Faults()
    for provider, codes in lacking_consents(session, agreement).items():
        faults.name_fault(
            "the consent of {provider} to the use of {codes} (27号 art. 5)", at="consents",
            provider=provider, codes=", ".join(codes),
        )  # fmt: skip
    if faults:
        raise Conflict(
            "Agreement {number} lacks: {faults}.", number=agreement.number, faults=faults
        )
    agreement.state = state
    agreement.signed_by = actor.member_id
    log.append(session, agreement, "agreement.signed", actor.member_id)


def withdraw(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, reason: str
) -> None:
    """The operator takes its proposal back."""
    may(actor, "agreement.withdraw", agreement.operator_id, f"Agreement {agreement.number}")
    require_ground(reason)
    agreement.state = move("agreement", "withdraw", agreement.state)
    log.append(session, agreement, "agreement.withdrawn", actor.member_id, reason=reason.strip())


def decline(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, reason: str
) -> None:
    """The implementing body does not sign, and says why."""
    may(actor, "agreement.decline", agreement.implementer_id, f"Agreement {agreement.number}")
    require_other(actor, [agreement.proposed_by], agreement.number)
    require_ground(reason)
    agreement.state = move("agreement", "decline", agreement.state)
    log.append(session, agreement, "agreement.declined", actor.member_id, reason=reason.strip())


def expire(session: Session, now: datetime) -> int:
    """Move every agreement whose last day is over to expired, recorded as the system's; how many."""
    today = local_date(now).isoformat()
    past = select(Agreement).where(Agreement.state.in_(RUNNING), Agreement.until_on < today)
    rows = session.scalars(past.order_by(Agreement.id)).all()
    for row in rows:
        row.state = move("agreement", "expire", row.state)
        row.ended_on = row.until_on
        log.append(session, row, "agreement.expired", "system")
    return len(rows)


# ---------------------------------------------------------------- consent to the use of shared data


def consent(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, basis: str
) -> list[str]:
    """A body consents to the use of its resources that the agreement names (27号 art. 5); their codes.

    For a provider that takes no part in the house a registrar of neither side enters its written consent.
    """
    may(actor, "agreement.consent", asked(session, agreement), f"Agreement {agreement.number}")
    require_ground(basis)
    state = move("agreement", "consent", agreement.state)
    mine = consents_due(session, actor, agreement)
    if not mine:
        raise Conflict(
            "Nothing of agreement {number} waits for your consent.", number=agreement.number
        )
    agreement.state = state
    agreement.consents = [*(agreement.consents or ()), {
        "at": instant(now), "basis": basis.strip(), "by": actor.member_id,
        "resource_ids": sorted(one for one, _ in mine),
    }]  # fmt: skip
    log.append(session, agreement, "agreement.consented", actor.member_id)
    return [code for _, code in mine]


def consents_due(session: Session, actor: Actor, agreement: Agreement) -> list[tuple[str, str]]:
    """(id, code) of the agreement's resources that wait for the actor's consent."""
    return [
        (resource_id, code)
        for resource_id, code, party_id, _name in _unconsented(session, agreement)
        if ("registrar" in actor.roles and actor.parties.isdisjoint(owners(agreement))
            if party_id is None
            else "provider" in actor.roles and party_id in actor.parties)
    ]  # fmt: skip


def lacking_consents(session: Session, agreement: Agreement) -> dict[str, list[str]]:
    """Provider → the codes of its resources to whose use it has not consented."""
    lacking: dict[str, list[str]] = {}
    for _id, code, _party, name in _unconsented(session, agreement):
        lacking.setdefault(name, []).append(code)
    return lacking


def _unconsented(
    session: Session, agreement: Agreement
) -> Sequence[tuple[str, str, str | None, str]]:
    """(id, code, provider's id, its name) of other bodies' resources without consent."""
    given = {one for consent in agreement.consents or () for one in consent["resource_ids"]}
    resources = _resources()
    wanted = select(resources.id, resources.code, resources.provider_id, resources.provider).where(
        resources.id.in_(set(agreement.resource_ids) - given),
        resources.provider_id.is_distinct_from(agreement.implementer_id),
    )
    return session.execute(wanted.order_by(resources.code)).tuples().all()


def _other_providers(session: Session, resource_ids: Sequence[str], but: str) -> list[str]:
    resources = _resources()
    wanted = select(resources.provider_id).where(
        resources.id.in_(resource_ids), resources.provider_id != but
    )
    return sorted(set(session.scalars(wanted)))


def asked(session: Session, agreement: Agreement) -> set[str]:
    """The other bodies whose resources it names, when it was proposed and now."""
    now = _other_providers(session, agreement.resource_ids, agreement.implementer_id)
    return {*(agreement.provider_ids or ()), *now}


def _resources() -> Any:
    """The catalogue's columns: it stands above this room."""
    return Base.metadata.tables["resources"].c


# ---------------------------------------------------------------- what it covers


def faults_of_use(agreement: Agreement, terms: Mapping[str, Any], price_fen: int) -> Faults:
    """What of a licence's terms and price is outside the agreement (27号 art. 21)."""
    faults = _scene_faults(agreement, [str(terms.get("scene") or "")], at="terms")
    domain = terms.get("field")
    if agreement.domains and domain is not None and domain not in agreement.domains:
        faults.name_fault(
            "the field {field} is outside agreement {number}, which names: {fields}", at="terms",
            field=domain, number=agreement.number, fields=", ".join(agreement.domains),
        )  # fmt: skip
    cap = agreement.price_cap_fen
    if cap is not None and price_fen > cap:
        faults.name_fault(
            "the price is above {cap} yuan, the highest under agreement {number}", at="price_yuan",
            cap=f"{cap // 100}.{cap % 100:02d}", number=agreement.number,
        )  # fmt: skip
    return faults


def faults_of_scope(
    session: Session, agreement: Agreement, resource_ids: Sequence[str], scenes: Sequence[str] = ()
) -> Faults:
    """What of an application is outside the agreement: its resources, and the scenes it names."""
    faults = _scene_faults(agreement, scenes, at="scenes")
    outside = sorted(set(resource_ids) - set(agreement.resource_ids))
    resources = _resources()
    known: dict[str, str] = dict(
        session.execute(
            select(resources.id, resources.code).where(resources.id.in_(outside))
        ).tuples().all()
    )  # fmt: skip
    for one in outside:
        faults.name_fault("resource {resource} is outside agreement {number}", at="resources",
                          resource=known.get(one, one), number=agreement.number)  # fmt: skip
    return faults


def _scene_faults(agreement: Agreement, scenes: Sequence[str], at: str) -> Faults:
    faults, names = Faults(), [one["name"] for one in agreement.scenes or ()]
    for scene in scenes:
        if names and scene not in names:
            faults.name_fault(
                "the scene {scene} is outside agreement {number}, which names: {scenes}", at=at,
                scene=scene or "-", number=agreement.number, scenes=", ".join(names),
            )  # fmt: skip
    return faults


def began_on(session: Session, agreement: Agreement) -> str:
    """The first day of an agreement; of one that renews another, that of the first of them."""
    while agreement.renews_id is not None:
        agreement = session.get_one(Agreement, agreement.renews_id)
    return agreement.from_on


def owners(agreement: Agreement) -> tuple[str, str]:
    """Whose business an agreement is: both sides'."""
    return agreement.implementer_id, agreement.operator_id


def concerned(session: Session, agreement: Agreement) -> set[str]:
    """Who may look at it: both sides, and the bodies that are asked for consent."""
    return {*owners(agreement), *asked(session, agreement)}


def require_ground(reason: str) -> None:
    """Raise Invalid unless a ground is stated."""
    if not reason.strip():
        raise Invalid("A decision needs its ground.")


def runs_on(agreement: Agreement, on: date) -> bool:
    """Whether it is signed, has not ended, and its last day is not over."""
    return agreement.state in RUNNING and on.isoformat() <= agreement.until_on


def require_in_force(agreement: Agreement, on: date) -> None:
    """Raise Invalid unless the agreement is signed and its term covers the day."""
    if agreement.state not in RUNNING or not (
        agreement.from_on <= on.isoformat() <= agreement.until_on
    ):
        raise Invalid(
            "Agreement {number} is {state} and runs from {start} to {end}; {on} is outside.",
            number=agreement.number, state=agreement.state, start=agreement.from_on,
            end=agreement.until_on, on=on.isoformat(),
        )  # fmt: skip


def by_number(session: Session, number: str) -> Agreement:
    """The agreement with a number; raises Missing."""
    found = session.scalar(select(Agreement).where(Agreement.number == number))
    if found is None:
        raise Missing("There is no agreement {number}.", number=number)
    return found
