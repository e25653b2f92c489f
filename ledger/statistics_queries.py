"""The numbers of the statistical report as SQL aggregates: no row is ever read into the house.

Each answers `Found`: row key → place of the period → number; -1 is the place of all that was before the
first period. The time of a row is that of a record in the log, which its subject's id leads to.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    and_,
    case,
    cast,
    distinct,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased

from ledger.agreements import Agreement
from ledger.catalogue import Resource, visible
from ledger.confirmations import Confirmation, Trade
from ledger.log import Record
from ledger.parties import Actor, Member, Party
from ledger.refunds import Refund
from ledger.registration import Application, Registration
from ledger.settlements import Settlement
from ledger.statements import Statement
from ledger.trading import Licence, Payment
from ledger.uses import Use
from ledger.voucher_rows import Voucher

BEFORE = -1
ALL = -2
PARTIES_LEAST = 3
OUTCOMES = ("registered", "concluded", "refused", "rejected", "terminated", "withdrawn")
# A statement that was reversed was booked too, and the one that took it back counts against it.
BOOKED = Statement.state.in_(("posted", "reversed"))
# Of what was revenue, and was: neither of a prepayment, nor a receipt undone.
REFUNDS = and_(Refund.remittance_id.is_(None), Refund.undoes.is_(False))

ENDINGS = ("cancelled", "revoked", "lapsed")
VOUCHER_ENDINGS = ("revoke", "cancel", "supersede", "split")
_ENDED = ("revoked", "cancelled")
_VOUCHER_ENDED = ("revoked", "cancelled", "superseded")
TOGETHER = cast(literal(""), String)
Table = type[Any]  # of evidence
_DECIDED = ("registered", "concluded", "not_accepted", "terminated", "withdrawn")


def _signed(amount: Any) -> Any:
    return case((Statement.reverses.is_(None), amount), else_=-amount)


@dataclass
class Found:
    """Numbers by row and period; `parties` are how many parties the number of a cell rests on.

    A cell that has changed since its period was over rests on one: he who knew it before subtracts.
    """

    numbers: dict[str, dict[int, int]] = field(default_factory=dict)
    parties: dict[str, dict[int, int]] = field(default_factory=dict)

    def put(self, row: Any, place: Any, number: Any, parties: Any = None) -> None:
        """One cell more."""
        key = "" if row is None else str(row)
        here = self.numbers.setdefault(key, {})
        here[int(place)] = here.get(int(place), 0) + int(number or 0)
        if parties is not None:
            self.parties.setdefault(key, {})[int(place)] = int(parties)


class Reader:
    """The aggregates over consecutive periods, the first beginning at `starts`, each ending at `ends`."""

    def __init__(self, session: Session, starts: datetime, ends: Sequence[datetime]) -> None:
        self.session, self.starts, self.ends = session, starts, list(ends)
        self.is_sqlite = session.get_bind().dialect.name == "sqlite"

    # -- registration ------------------------------------------------------------------------------

    def applications(self) -> Found:
        """Applications first handed in, by type."""
        return self._flow(Application, Application.type)

    def decided(self) -> Found:
        """Applications that came to their end, by how."""
        kinds = [f"application.{one}" for one in OUTCOMES]
        return self._endings(Application, kinds, Application.state.in_(_DECIDED))

    def coded(self, by: str) -> Found:
        """Registrations coded, by ``object`` or ``region``."""
        return self._flow(Registration, *self._dimension(by))

    def ended(self, by: str) -> Found:
        """Registrations ended, by ``ending``, ``object`` or ``region``."""
        kinds = [f"registration.{one}" for one in ENDINGS]
        where = Registration.state.in_(_ENDED)
        if by == "ending":
            return self._endings(Registration, kinds, where)
        return self._endings(Registration, kinds, where, *self._dimension(by))

    def in_force(self) -> int:
        """Registrations coded before the end without a record of their end by then: read the other way."""
        return self._standing(Registration, [f"registration.{one}" for one in ENDINGS])

    def categories(self, actor: Actor) -> dict[str, int]:
        """Registrations in force at the end, by the category of those resources that exist for the reader.

        "" where none is stated; a category that only hidden resources have is nobody else's to know.
        """
        seen = visible(self.session, actor)
        each, resource_id = self._items(Registration.resource_ids, texts=True)
        category = self._entry(type_coerce(Resource.elements, String), "category").label("row_key")
        wanted = select(category, func.count(distinct(Registration.id))).select_from(Registration)
        wanted = (
            self._recorded(wanted, Registration)
            .join(each, literal(True))
            .join(Resource, Resource.id == resource_id)
            .where(~self._has(Registration, [f"registration.{one}" for one in ENDINGS]))
            .group_by("row_key")
        )
        if seen is not None:
            wanted = wanted.where(seen)
        found: dict[str, int] = {}
        for name, count in self.session.execute(wanted):
            found[name or ""] = found.get(name or "", 0) + int(count)
        return found

    # -- vouchers ----------------------------------------------------------------------------------

    def issued(self) -> Found:
        """Vouchers issued, by kind."""
        return self._flow(Voucher, Voucher.kind)

    def voucher_ended(self, by: str) -> Found:
        """Vouchers ended, by ``voucher_ending`` or ``voucher_kind``."""
        kinds = [f"voucher.{one}" for one in VOUCHER_ENDINGS]
        where = Voucher.state.in_(_VOUCHER_ENDED)
        if by == "voucher_ending":
            return self._endings(Voucher, kinds, where)
        return self._endings(Voucher, kinds, where, Voucher.kind)

    def standing_vouchers(self) -> int:
        """Vouchers issued before the end without a record of their end by then: read the other way."""
        return self._standing(Voucher, [f"voucher.{one}" for one in VOUCHER_ENDINGS])

    def suspended(self) -> int:
        """Vouchers not ended that were suspended once more often than resumed, at the end."""
        kinds = ("voucher.suspend", "voucher.resume")
        balance = func.sum(case((Record.kind == kinds[0], 1), else_=-1))
        held = (
            select(Record.subject_id)
            .join(Voucher, Voucher.id == Record.subject_id)
            .where(Record.kind.in_(kinds), Record.at < self.ends[-1])
            .where(~self._has(Voucher, [f"voucher.{one}" for one in VOUCHER_ENDINGS]))
            .group_by(Record.subject_id)
            .having(balance > 0)
            .subquery()
        )
        return self.session.scalar(select(func.count()).select_from(held)) or 0

    def uses(self) -> Found:
        """Uses counted."""
        return self._flow(Use, TOGETHER, number=func.sum(Use.count))

    # -- trade and revenue -------------------------------------------------------------------------

    def licences(self) -> Found:
        """Licences granted, by purpose."""
        return self._flow(Licence, Licence.purpose)

    def revoked_licences(self) -> Found:
        """Licences revoked."""
        kinds = ["licence.revoked"]
        return self._endings(Licence, kinds, Licence.state == "revoked", TOGETHER)

    def traders(self) -> Found:
        """Different sellers and licensees of the licences granted; at `ALL` those of all periods."""
        found = Found()
        for place in (self._place(), cast(literal(ALL), BigInteger)):
            counted: Any = select(
                place.label("place"), func.count(distinct(Member.party_id)),
                func.count(distinct(Licence.licensee_id)),
            ).select_from(Licence)  # fmt: skip
            wanted = self._recorded(counted, Licence).join(Member, Member.id == Licence.sold_by)
            wanted = wanted.where(Record.at >= self.starts).group_by("place")
            for at, sellers, licensees in self.session.execute(wanted):
                found.put("seller", at, sellers)
                found.put("licensee", at, licensees)
        return found

    def prices(self) -> Found:
        """The prices of licences granted, by purpose, and together ("")."""
        found = Found()
        for row in (Licence.purpose, TOGETHER):
            self._amounts([found], Licence, row, [Licence.price_fen], Licence.price_fen > 0)
        return found

    def received(self) -> tuple[Found, Found, Found]:
        """The payments recorded and not undone: received, the VAT in it, and net."""
        found = Found(), Found(), Found()
        columns = (Payment.amount_fen, Payment.vat_fen, Payment.net_fen)
        self._amounts(found, Payment, TOGETHER, columns, Payment.undone_by.is_(None))
        undoing = aliased(Record)
        wanted: Any = (
            select(self._place(), func.max(undoing.at))
            .select_from(Payment)
            .join(undoing, and_(undoing.subject_id == Payment.id, undoing.kind == "payment.undone"))
        )
        for place, at in self.session.execute(
            self._recorded(wanted, Payment).group_by(Payment.id, Record.at)
        ):
            if place != BEFORE and at >= self.ends[place]:
                for one in found:
                    one.parties.setdefault("", {})[place] = 1
        return found

    def confirmed(self) -> Found:
        """How many trades exchanges confirmed."""
        return self._flow(Confirmation, TOGETHER, number=func.sum(Confirmation.row_count))

    def confirmed_amounts(self, *, with_buyers: bool) -> Found:
        """What they come to; it rests on the exchanges, the operators, and (where asked) the buyers.

        Buyers are read from every row, so only of these periods, and where the others are enough.
        """
        found = Found()
        wanted = self._start(
            Confirmation, TOGETHER, func.sum(Confirmation.amount_fen),
            func.count(distinct(Confirmation.exchange_id)), func.count(distinct(Agreement.operator_id)),
        ).join(Agreement, Agreement.id == Confirmation.agreement_id)  # fmt: skip
        for key, at, total, exchanges, operators in self.session.execute(
            self._recorded(wanted, Confirmation)
        ):
            found.put(key, at, total, min(exchanges, operators))
        known = found.parties.get("", {})
        known.pop(BEFORE, None)
        if with_buyers and any(fewest >= PARTIES_LEAST for fewest in known.values()):
            buyer = self._entry(type_coerce(Trade.row, String), "buyer")
            wanted = (
                self._start(Confirmation, TOGETHER, func.count(distinct(buyer)))
                .join(Trade, Trade.batch == Confirmation.no)
                .where(Record.at >= self.starts)
            )
            for _, at, buyers in self.session.execute(self._recorded(wanted, Confirmation)):
                known[at] = min(known[at], buyers)
        return found

    def refunded(self) -> Found:
        """Refunds approved, by what is refunded, and together ("").

        They rest on the buyers, the operators, and who told of it: for a trade its exchange.
        """
        found = Found()
        what = case((Refund.payment_id.is_(None), "trade"), else_="payment")
        for row in (what, TOGETHER):
            wanted = self._start(
                Refund, row, func.sum(Refund.amount_fen), func.count(distinct(Refund.buyer)),
                func.count(distinct(Agreement.operator_id)),
                func.count(distinct(func.coalesce(Confirmation.exchange_id, Agreement.operator_id))),
            )  # fmt: skip
            wanted = (
                wanted.join(Record, self._is(Refund, ["refund.approved"]))
                .join(Agreement, Agreement.id == Refund.agreement_id)
                .outerjoin(Confirmation, Confirmation.id == Refund.confirmation_id)
                .where(REFUNDS, Record.at < self.ends[-1])
            )
            for key, at, total, *parties in self.session.execute(wanted):
                found.put(key, at, total, min(parties))
        return found

    def to_share(self, received: Found) -> Found:
        """What came to what is to be shared, net, by where from; `received` is the net of payments."""
        traded = self._flow(Confirmation, TOGETHER, number=func.sum(Confirmation.net_fen))
        back = self._endings(
            Refund, ["refund.approved"], REFUNDS, TOGETHER, number=-func.sum(Refund.net_fen)
        )
        parts = {"payment": received, "trade": traded, "refund": back}
        return Found({key: dict(one.numbers.get("", {})) for key, one in parts.items()})

    def distributed(self) -> Found:
        """The lines of statements posted, by the kind of payee, and together (""), less what was reversed.

        A line rests on its payee, and on the operator whose revenue it is a part of.
        """
        each, line = self._items(Statement.lines)
        amount = cast(self._entry(line, "amount_fen"), BigInteger)
        found = Found()
        for row in (Party.kind, TOGETHER):
            wanted = self._start(
                Statement, row, func.sum(_signed(amount)), func.count(distinct(Party.id)),
                func.count(distinct(Agreement.operator_id)),
            )  # fmt: skip
            wanted = (
                wanted.join(Record, self._is(Statement, ["statement.posted"]))
                .join(Agreement, Agreement.id == Statement.agreement_id)
                .join(each, literal(True))
                .join(Party, Party.uscc == self._entry(line, "party"))
                .where(BOOKED, Record.at < self.ends[-1], amount != 0)
            )
            for key, at, total, payees, operators in self.session.execute(wanted):
                found.put(key, at, total, min(payees, operators))
        return found

    def posted(self) -> Found:
        """The amounts of the statements posted, less those of their reversals."""
        return self._endings(
            Statement, ["statement.posted"], BOOKED, TOGETHER,
            number=func.sum(_signed(Statement.amount_fen)),
        )  # fmt: skip

    def undistributed(self) -> int:
        """The net of what was recorded before the end and that no statement booked by then holds.

        A statement that a booked one took back by then holds nothing. A receipt undone is there with the
        refund that undid it, from its own record on: so it counts only where a statement holds one of them.
        """
        undoing = aliased(Statement)

        def booked(of: Any) -> ColumnElement[bool]:
            record = aliased(Record)
            return exists().where(
                record.subject_id == of, record.kind == "statement.posted",
                record.at < self.ends[-1],
            )  # fmt: skip

        taken_back = exists().where(undoing.reverses == Statement.id, booked(undoing.id))
        in_region = and_(
            Statement.agreement_id == Payment.agreement_id, Statement.through_n >= Payment.n,
            Statement.until_on >= Payment.received_on, Statement.reverses.is_(None),
        )  # fmt: skip
        held = exists().where(
            or_(in_region, Statement.id == Payment.statement_id), booked(Statement.id), ~taken_back
        )
        wanted = self._recorded(select(func.sum(Payment.net_fen)).select_from(Payment), Payment)
        total = int(self.session.scalar(wanted.where(~held)) or 0)
        standing = select(Statement.agreement_id, Statement.through_n, Statement.until_on).where(
            Statement.reverses.is_(None), Statement.through_n.is_not(None), booked(Statement.id),
            ~taken_back,
        )  # fmt: skip
        regions: dict[str, list[Any]] = {}
        for agreement, n, day in self.session.execute(standing.order_by(Statement.id)):
            regions.setdefault(agreement, []).append(and_(Settlement.n <= n, Settlement.day <= day))
        for agreement in self.session.scalars(select(Agreement.id)).all():
            total += self._left_of(agreement, regions.get(agreement, []))
        return total

    def _left_of(self, agreement_id: str, regions: Sequence[ColumnElement[bool]]) -> int:
        """The net of an agreement's trades at exchanges and refunds outside what statements hold."""
        left = select(Settlement.source_id, func.sum(Settlement.net_fen).label("fen")).where(
            Settlement.agreement_id == agreement_id, Settlement.kind != "payment",
            ~or_(false(), *regions),
        ).group_by(Settlement.source_id).subquery()  # fmt: skip
        # entered by its own record; an undoing by that of the receipt
        entered = case((Refund.undoes, Refund.payment_id), else_=left.c.source_id)
        wanted = (
            select(func.sum(left.c.fen))
            .select_from(left)
            .outerjoin(Refund, Refund.id == left.c.source_id)
            .join(Record, Record.subject_id == entered)
            .where(
                Record.at < self.ends[-1],
                Record.kind.in_(("confirmation.recorded", "payment.recorded", "refund.approved")),
            )
        )
        return int(self.session.scalar(wanted) or 0)

    # -- how they are read -------------------------------------------------------------------------

    def _place(self) -> ColumnElement[int]:
        """Of which period a record is, by its time."""
        bounds = [self.starts, *self.ends[:-1]]

        def within(low: int, high: int) -> Any:
            # halved again and again: a hundred periods are seven comparisons a row
            if low == high:
                return literal(low)
            middle = (low + high) // 2
            earlier, later = within(low, middle), within(middle + 1, high)
            return case((Record.at < bounds[middle + 1], earlier), else_=later)

        found: ColumnElement[int] = within(BEFORE, len(self.ends) - 1)
        return found

    def _start(self, table: Table, row: Any, *numbers: Any) -> Select[Any]:
        """Numbers by row and period; grouped by name, since PostgreSQL compares no parameters."""
        place = self._place().label("place")
        wanted = select(row.label("row_key"), place, *numbers).select_from(table)
        return wanted.group_by("row_key", "place")

    def _recorded(self, wanted: Select[Any], table: Table) -> Select[Any]:
        """With the first record of each subject, made before the end."""
        first = and_(Record.subject_id == table.id, Record.subject_version == 1)
        return wanted.join(Record, first).where(Record.at < self.ends[-1])

    def _is(self, table: Table, kinds: Sequence[str]) -> ColumnElement[bool]:
        return and_(Record.subject_id == table.id, Record.kind.in_(kinds))

    def _flow(self, table: Table, row: Any, joins: Sequence[Any] = (), number: Any = None) -> Found:
        """How many subjects were first recorded, or the sum of a column of them, by row and period."""
        wanted = self._start(table, row, func.count() if number is None else number)
        return self._read(self._recorded(wanted, table), joins)

    def _endings(
        self, table: Table, kinds: Sequence[str], where: ColumnElement[bool], row: Any = None,
        joins: Sequence[Any] = (), number: Any = None,
    ) -> Found:  # fmt: skip
        """How many subjects (or which sum of them) have a record of these kinds, by kind or by row."""
        by = Record.kind if row is None else row
        wanted = self._start(table, by, func.count() if number is None else number)
        wanted = wanted.join(Record, self._is(table, kinds)).where(where, Record.at < self.ends[-1])
        found = self._read(wanted, joins)
        if row is None:
            found.numbers = {key.partition(".")[2]: one for key, one in found.numbers.items()}
        return found

    def _read(self, wanted: Select[Any], joins: Sequence[Any]) -> Found:
        found = Found()
        for key, place, number in self.session.execute(wanted.join(*joins) if joins else wanted):
            found.put(key, place, number)
        return found

    def _amounts(
        self, found: Sequence[Found], table: Table, row: Any, columns: Sequence[Any],
        counts: Any = None,
    ) -> None:  # fmt: skip
        """Amounts with how many parties stand behind them: sellers or licensees, whichever are fewer."""
        wanted = self._start(
            table, row, func.count(distinct(Member.party_id)),
            func.count(distinct(Licence.licensee_id)), *map(func.sum, columns),
        )  # fmt: skip
        wanted = self._recorded(wanted, table)
        if table is Payment:
            wanted = wanted.join(Licence, Licence.id == Payment.licence_id)
        wanted = wanted.join(Member, Member.id == Licence.sold_by)
        if counts is not None:
            wanted = wanted.where(counts)
        for key, at, sellers, licensees, *totals in self.session.execute(wanted):
            for one, total in zip(found, totals, strict=True):
                one.put(key, at, total, min(sellers, licensees))

    def _dimension(self, by: str) -> tuple[Any, Sequence[Any]]:
        """What the rows are by, and what has to be joined for it."""
        if by == "object":
            return Registration.object, ()
        return func.substr(Party.uscc, 3, 6), (Party, Party.id == Registration.party_id)

    def _has(self, table: Table, kinds: Sequence[str]) -> ColumnElement[bool]:
        """Whether a subject has a record of these kinds before the end."""
        other = aliased(Record)
        return (
            select(literal(1))
            .where(other.subject_id == table.id, other.kind.in_(kinds), other.at < self.ends[-1])
            .correlate(table)
            .exists()
        )

    def _standing(self, table: Table, kinds: Sequence[str]) -> int:
        wanted = self._recorded(select(func.count()).select_from(table), table)
        return self.session.scalar(wanted.where(~self._has(table, kinds))) or 0

    def _items(self, column: Any, *, texts: bool = False) -> tuple[Any, Any]:
        """The entries of a list kept as JSON text, as rows: what to join, and the entry."""
        text = type_coerce(column, String)
        if self.is_sqlite:
            each = func.json_each(text).table_valued("value", name="item")
        else:
            read = func.jsonb_array_elements_text if texts else func.jsonb_array_elements
            each = read(cast(text, JSONB)).table_valued("value", name="item")
        return each, each.c.value

    def _entry(self, value: Any, key: str) -> Any:
        """An entry of a JSON object, or of one kept as text, as text (in SQLite as what it is)."""
        if self.is_sqlite:
            return func.json_extract(value, f"$.{key}")
        return func.jsonb_extract_path_text(cast(value, JSONB), key)
