"""How an operation agreement ends before its day (提前终止), and what is handed back after (退出交接).

    in_force → propose_end → ending → end → ended        one side proposes, the other one confirms
                                    → keep → in_force
    ended, expired → hand_back → handing_back → confirm_hand_back → handed_back
                                              → reopen_hand_back → hand_back_open → hand_back …

27号 art. 14(9) and (12) want exit and end in the agreement; it says nothing of how: that is our design.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import Session

from ledger import evaluations, log
from ledger.agreements import Agreement, owners, require_ground
from ledger.calendar import local_date
from ledger.errors import Faults, Invalid, NotAllowed
from ledger.parties import Actor, may, require_other
from ledger.proof.encoding import instant
from ledger.states import move

KINDS = {
    "by_agreement": "协商一致",
    "breach": "违约",
    "law": "法律法规或政策变化",
    "withdrawn_authorisation": "授权资源被收回",
    "operator_ended": "运营机构终止或丧失资格",
    "evaluation": "连续两年评价不合格",
}
# Grounds on which the implementing body decides by itself: two of its people, whatever the operator says.
ALONE = ("breach", "law", "operator_ended", "evaluation")
POINTS = {  # what the operator reports on, each in words
    "resources": "数据资源删除或退还",
    "platform": "平台和密钥移交",
    "products": "产品下架",
    "accounts": "账号注销",
    "personal_data": "个人信息销毁",
}


def propose_end(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, *, kind: str, ground: str
) -> None:
    """One side proposes to end the agreement before its day; until it is confirmed it stays in force."""
    may(actor, "agreement.propose_end", owners(agreement), f"Agreement {agreement.number}")
    state = move("agreement", "propose_end", agreement.state)
    side, faults = side_of(actor, agreement), Faults()
    if kind not in KINDS:
        faults.name_fault("the field {name} must be one of {choices}", "kind", name="kind",
                          choices=", ".join(KINDS))  # fmt: skip
    if not ground.strip():
        faults.name_fault("the field {name} is empty", "ground", name="ground")
    if kind == "evaluation" and side != "implementer":
        faults.name_fault("only the implementing body ends it on this ground", "kind")
    elif kind == "evaluation" and not evaluations.failed_twice(session, agreement):
        faults.name_fault("the last two evaluations were not both unqualified", "kind")
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    agreement.state, agreement.end_kind, agreement.end_ground = state, kind, ground.strip()
    agreement.end_side, agreement.end_by = side, actor.member_id
    log.append(session, agreement, "agreement.end_proposed", actor.member_id, reason=ground.strip())


def end(session: Session, actor: Actor, now: datetime, agreement: Agreement) -> None:
    """The other side confirms the end; on some grounds another person of the implementing body does.

    From now on it opens no resources, and nothing is registered or sold under it.
    """
    may(actor, "agreement.end", owners(agreement), f"Agreement {agreement.number}")
    state = move("agreement", "end", agreement.state)
    require_other(actor, [agreement.end_by], agreement.number)
    if not may_end(actor, agreement):
        raise NotAllowed(
            "The other side of agreement {number} must confirm its end.", number=agreement.number
        )
    agreement.state, agreement.ended_on = state, local_date(now).isoformat()
    log.append(session, agreement, "agreement.ended", actor.member_id, reason=agreement.end_ground)


def may_end(actor: Actor, agreement: Agreement) -> bool:
    """Whether a proposed end is his to confirm: the other side's, on some grounds also a colleague's."""
    side = _side(actor, agreement)
    alone = agreement.end_side == "implementer" and agreement.end_kind in ALONE
    return bool(
        side and actor.member_id != agreement.end_by and (alone or side != agreement.end_side)
    )


def keep(session: Session, actor: Actor, now: datetime, agreement: Agreement, reason: str) -> None:
    """The agreement goes on: its proposed end is taken back, or the other side does not agree to it.

    Where the implementing body decides by itself, the operator cannot refuse.
    """
    may(actor, "agreement.keep", owners(agreement), f"Agreement {agreement.number}")
    side_of(actor, agreement)
    require_ground(reason)
    state = move("agreement", "keep", agreement.state)
    if agreement.end_side == "implementer" and agreement.end_kind in ALONE:
        may(actor, "agreement.keep", agreement.implementer_id, f"Agreement {agreement.number}")
    agreement.state = state
    agreement.end_kind = agreement.end_ground = agreement.end_side = agreement.end_by = None
    log.append(session, agreement, "agreement.kept", actor.member_id, reason=reason.strip())


def hand_back(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, points: Mapping[str, str]
) -> None:
    """The operator reports, point by point, what it has deleted, returned, handed over and closed."""
    may(actor, "agreement.hand_back", agreement.operator_id, f"Agreement {agreement.number}")
    state = move("agreement", "hand_back", agreement.state)
    faults = Faults()
    faults.name_missing(POINTS, points)
    if faults:
        raise Invalid("The hand-back lacks: {faults}.", faults=faults)
    agreement.state = state
    agreement.hand_back = {
        "at": instant(now), "by": actor.member_id,
        "points": {key: points[key].strip() for key in POINTS},
    }  # fmt: skip
    log.append(session, agreement, "agreement.hand_back_reported", actor.member_id)


def confirm_hand_back(
    session: Session, actor: Actor, now: datetime, agreement: Agreement
) -> None:  # fmt: skip
    """The implementing body finds that all is handed back."""
    _decide(actor, "confirm_hand_back", agreement)
    agreement.hand_back = {
        **(agreement.hand_back or {}), "confirmed_at": instant(now), "confirmed_by": actor.member_id,
    }  # fmt: skip
    log.append(session, agreement, "agreement.handed_back", actor.member_id)


def reopen_hand_back(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, reason: str
) -> None:
    """The implementing body finds that something is not handed back, and says what."""
    require_ground(reason)
    _decide(actor, "reopen_hand_back", agreement)
    agreement.hand_back = {**(agreement.hand_back or {}), "reopened": reason.strip()}
    log.append(
        session, agreement, "agreement.hand_back_reopened", actor.member_id, reason=reason.strip()
    )


def _decide(actor: Actor, verb: str, agreement: Agreement) -> None:
    may(actor, f"agreement.{verb}", agreement.implementer_id, f"Agreement {agreement.number}")
    state = move("agreement", verb, agreement.state)
    require_other(actor, [(agreement.hand_back or {}).get("by")], agreement.number)
    agreement.state = state


def side_of(actor: Actor, agreement: Agreement) -> str:
    """Which side of the agreement the actor acts for; raises NotAllowed if for neither."""
    side = _side(actor, agreement)
    if side is None:
        raise NotAllowed(
            "You act for neither side of agreement {number}.", number=agreement.number
        )  # fmt: skip
    return side


def _side(actor: Actor, agreement: Agreement) -> str | None:
    """His own organisation's side before a predecessor's."""
    for held in ({actor.party_id}, actor.parties):
        if agreement.implementer_id in held and "provider" in actor.roles:
            return "implementer"
        if agreement.operator_id in held and "operator" in actor.roles:
            return "operator"
    return None


def awaits(actor: Actor) -> ColumnElement[bool]:
    """The agreements whose end waits for the actor."""
    found = []
    if "provider" in actor.roles:
        mine = Agreement.implementer_id.in_(actor.parties)
        found.append(mine & or_(Agreement.end_side == "operator", Agreement.end_kind.in_(ALONE)))
    if "operator" in actor.roles:
        found.append(
            Agreement.operator_id.in_(actor.parties) & (Agreement.end_side == "implementer")
        )
    return or_(*found) & Agreement.end_by.is_distinct_from(actor.member_id)
