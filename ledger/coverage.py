"""What a statement covers (覆盖范围): a region of its agreement's settlements, told by a number and a day.

    region of a statement      n ≤ through_n  and  day ≤ until_on
    what it distributes        its region without the region of the last standing statement before it
    of these late              day ≤ the day until which that one went: adjustments of this period

Statements that stand go on in days and never back in numbers, so their regions lie in each other: a
settlement belongs to the first region that holds it, none belongs to two, and nothing is noted at the rows.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.orm import Session

from ledger.settlements import Settlement

_REFUND: ColumnElement[str] = literal_column(
    "'refund'"
)  # as the index of refunds spells it; no database sees into a value


@dataclass(frozen=True)
class Reach:
    """How far a region goes: up to a number, up to a day. Nothing lies in `NOWHERE`."""

    through_n: int
    until_on: str


NOWHERE = Reach(0, "")
EVERY_N, LAST_DAY = 2**62, "9999-12-31"


@dataclass(frozen=True)
class Sums:
    """How many rows, what they sum to without VAT, and how much of both is refunds."""

    trades: int
    net_fen: int
    refunds: int
    refunded_fen: int

    def to_dict(self) -> dict[str, int]:
        return {
            "net_fen": self.net_fen, "refunded_fen": self.refunded_fen, "refunds": self.refunds,
            "trades": self.trades,
        }  # fmt: skip


NOTHING = Sums(0, 0, 0, 0)


@dataclass(frozen=True)
class Covered:
    """What lies in a region and not in the one before: the period's own, and what came late."""

    own: Sums
    late: Sums

    @property
    def amount_fen(self) -> int:
        return self.own.net_fen + self.late.net_fen

    @property
    def count(self) -> int:
        return self.own.trades + self.late.trades


def covered(session: Session, agreement_id: str, before: Reach, reach: Reach) -> Covered:
    """The sums of what `reach` holds and `before` does not; it reads an index, and no row twice.

    The own rows are one range of it. The late ones are few: of each day before they are a range, so that
    what was distributed long ago is not read again.
    """
    day, n = Settlement.day, Settlement.n
    nth = n + 0  # compared by, and not searched by: refunds are few, and have an index by day

    def sums(*where: Any) -> tuple[int, int]:
        wanted = select(func.count(), func.coalesce(func.sum(Settlement.net_fen), 0))
        of = Settlement.agreement_id == agreement_id
        count, net_fen = session.execute(wanted.where(of, *where)).one()
        return int(count), int(net_fen)

    def refunds(*where: Any) -> tuple[int, int]:
        return sums(Settlement.kind == _REFUND, nth <= reach.through_n, *where)

    own = (day > before.until_on, day <= reach.until_on)
    mine = Sums(*sums(*own, n <= reach.through_n), *refunds(*own))
    if before == NOWHERE:
        return Covered(mine, NOTHING)
    days = _days_until(agreement_id, before.until_on)
    late = sums(
        day == days.c.day, days.c.day <= before.until_on, n > before.through_n, n <= reach.through_n
    )
    if not late[0]:
        return Covered(mine, NOTHING)
    return Covered(mine, Sums(*late, *refunds(day <= before.until_on, nth > before.through_n)))


def undistributed(session: Session, agreement_id: str, before: Reach) -> Covered:
    """What lies outside a region, whatever its day: what is there to be distributed."""
    return covered(session, agreement_id, before, Reach(EVERY_N, LAST_DAY))


def _days_until(agreement_id: str, until_on: str) -> Any:
    """The days of an agreement's settlements up to one, each found from the one before it by the index."""
    mine = Settlement.agreement_id == agreement_id
    days = select(func.min(Settlement.day).label("day")).where(mine).cte("days", recursive=True)
    upcoming = (
        select(func.min(Settlement.day)).where(mine, Settlement.day > days.c.day).scalar_subquery()
    )
    return days.union_all(select(upcoming).where(days.c.day < until_on))
