"""Uses (使用次数) of an authorised-use voucher: each counted, recorded, and refused beyond the limit.

    count   the provider says: used so often, in this scene, under this reference of his own
    post    the worker sums up what was counted since, in one record of the voucher and one act on chain

The voucher's row is held while a use is counted, so that of any number of clients together exactly as
many succeed as uses were granted.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Select, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.chain import outbox
from ledger.errors import Conflict, Invalid
from ledger.parties import Actor, may
from ledger.proof.encoding import instant
from ledger.store import Evidence, lock, new_id
from ledger.voucher_rows import Voucher, step_on_chain

COUNT_MAX = 1_000_000
REFERENCE_MAX = 100


class Use(Evidence):
    """So many uses counted at once; `total` are all up to and with these."""

    __tablename__ = "uses"
    __table_args__ = (
        UniqueConstraint("voucher_id", "n"),
        UniqueConstraint("voucher_id", "reference"),
    )
    subject_type = "use"
    voucher_id: Mapped[str] = mapped_column(String(36), ForeignKey("vouchers.id"))
    n: Mapped[int]
    count: Mapped[int]
    total: Mapped[int]
    scene: Mapped[str]
    reference: Mapped[str]
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    counted_by: Mapped[str]
    used_at: Mapped[datetime]


def count(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    *,
    scene: str,
    count: int,
    reference: str,
) -> Use:
    """Count uses under an authorised-use voucher, once for each reference of the provider's.

    Refused beyond the limit, outside scene or term, and while the voucher is not valid or not effective.
    """
    if voucher.kind != "authorised_use" or voucher.provider_id is None:
        raise Invalid("Voucher {number} counts no uses.", number=voucher.number)
    may(actor, "use.count", voucher.provider_id, f"Voucher {voucher.number}")
    reference = reference.strip()
    if not reference or len(reference) > REFERENCE_MAX:
        raise Invalid("Name your own reference of the use, unique, of at most 100 characters.")
    if not 1 <= count <= COUNT_MAX:
        raise Invalid("Count from 1 to {most} uses at once.", most=COUNT_MAX)
    lock(session, voucher)
    session.refresh(voucher)
    known = session.scalar(
        select(Use).where(Use.voucher_id == voucher.id, Use.reference == reference)
    )
    if known is not None:
        if (known.scene, known.count) != (scene, count):
            raise Conflict(
                "Reference {reference} was counted before with other facts.", reference=reference
            )
        return known
    _require_usable(session, now, voucher, scene)
    last = session.scalar(
        select(Use).where(Use.voucher_id == voucher.id).order_by(Use.n.desc()).limit(1)
    )
    total = (last.total if last else 0) + count
    if total > (voucher.max_uses or 0):
        raise Conflict(
            "Voucher {number} was granted for {most} uses; {used} are used, {count} more are refused.",
            number=voucher.number, most=voucher.max_uses, used=total - count, count=count,
        )  # fmt: skip
    made = Use(
        id=new_id(), voucher_id=voucher.id, n=(last.n if last else 0) + 1, count=count, total=total,
        scene=scene, reference=reference, party_id=actor.party_id, counted_by=actor.member_id,
        used_at=now.replace(microsecond=0),
    )  # fmt: skip
    log.append(session, made, "use.counted", actor.member_id)
    session.flush()
    return made


def counted(session: Session, voucher_id: str) -> int:
    """How many uses were counted under a voucher in all."""
    found = select(func.max(Use.total)).where(Use.voucher_id == voucher_id)
    return session.scalar(found) or 0


def of(session: Session, voucher_id: str, most: int) -> list[Use]:
    """The uses counted under a voucher, the newest first, at most so many."""
    found = select(Use).where(Use.voucher_id == voucher_id).order_by(Use.n.desc()).limit(most)
    return list(session.scalars(found))


def post(session: Session, now: datetime, origin: str, actor_id: str) -> int:
    """Put what was counted since the last time on the way to the chain; of how many vouchers."""
    found = session.scalars(_behind()).all()
    return sum(post_one(session, now, one, origin, actor_id) for one in found)


def any_unposted(session: Session) -> bool:
    """Whether `post` has anything to do."""
    return session.scalar(_behind().limit(1)) is not None


def _behind() -> Select[Voucher]:
    """The vouchers with uses that are not on the way to the chain, and that still takes them."""
    last = (  # the last of a voucher's uses, by its index: their whole number is never gone through
        select(Use.total)
        .where(Use.voucher_id == Voucher.id)
        .order_by(Use.n.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(Voucher)
        .where(
            Voucher.kind == "authorised_use", Voucher.state == "valid", Voucher.frozen.is_(False)
        )
        .where(last > func.coalesce(Voucher.used, 0))
        .order_by(Voucher.id)
    )


def post_one(session: Session, now: datetime, voucher: Voucher, origin: str, actor_id: str) -> bool:
    """`post` of one voucher, as long as the contract still takes uses of it; whether there were any."""
    if voucher.max_uses is None or voucher.state != "valid" or voucher.frozen:
        return False
    lock(session, voucher)
    session.refresh(voucher)
    new = counted(session, voucher.id) - (voucher.used or 0)
    if new <= 0 or voucher.state != "valid" or voucher.frozen:
        return False
    voucher.used = (voucher.used or 0) + new
    log.append(session, voucher, "voucher.used", actor_id)
    step_on_chain(session, now, voucher, origin, "addUses", new)
    return True


def _require_usable(session: Session, now: datetime, voucher: Voucher, scene: str) -> None:
    if voucher.state != "valid" or voucher.frozen:
        raise Conflict(
            "Voucher {number} is {state}: nothing may be used under it.",
            number=voucher.number, state="frozen" if voucher.frozen else voucher.state,
        )  # fmt: skip
    if not voucher.valid_from <= now <= voucher.valid_until:
        raise Conflict(
            "Voucher {number} is good from {start} to {end}: nothing may be used now.",
            number=voucher.number, start=instant(voucher.valid_from), end=instant(voucher.valid_until),
        )  # fmt: skip
    if scene != voucher.scene:
        raise Conflict(
            "Voucher {number} is for the scene {scene}, not for {given}.",
            number=voucher.number, scene=voucher.scene, given=scene,
        )  # fmt: skip
    first = outbox.act_of(session, voucher.id, 1)
    if first is None or first.state != "effective":
        raise Conflict(
            "Voucher {number} is not yet effective on chain: nothing may be used under it.",
            number=voucher.number,
        )
