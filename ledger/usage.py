"""Usage (交付、使用、查询): what happened under licences, handed in by the million as batches.

A batch is one record, so one leaf of the log; its rows are proved by `batch_root`, the RFC 6962 root
over their salted hashes (leaf = SHA-256(0x00 ‖ salt16 ‖ canonical row)). A row's proof is its path in
the batch, then the record's path in the log.

    row  {"at":"2026-03-02T02:00:00Z","event":"E-1","kind":"use","licence":"ORD-1","quantity":3,
          "unit":"条","v":1}, and "digest":"sha256:…" of what was delivered, where it is told

Rows are stored ahead of their record, `CHUNK` at a time in short transactions of their own, so that
other deeds go on meanwhile. Rows of a `no` that no batch has are there for nobody; an intake that
broke off leaves such rows, and whoever hands in next removes them once its lease has run out.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log, salted_rows
from ledger import usage_rules as rules
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Party, allowed, may
from ledger.proof.encoding import INT_MAX, parse_instant
from ledger.proof.merkle import root
from ledger.registration import check_code, coded
from ledger.row_faults import refuse, told
from ledger.salted_rows import Rows, as_lines, leaves
from ledger.store import Base, Evidence, hold, new_id, next_number
from ledger.tables.events import EventFile
from ledger.trading import Licence
from ledger.vouchers import Voucher

LEASE_S: Final = 30
LICENCES_MAX: Final = 20_000
TOTALS_MAX: Final = 10_000
SWEEP_ROWS: Final = 50_000
PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')  # what stands in a row as it is, without escape
TOLD_DIGEST: Final = r',"digest":"sha256:[0-9a-f]{64}"'
# where the values of a canonical row stand between its quotation marks, once its digest is left out
BETWEEN: Final = {"at": 3, "event": 7, "kind": 11, "licence": 15, "quantity": 18, "unit": 21}


ROWS: Final = Rows("usage_rows", "event")


class Batch(Evidence):
    """A batch of events as handed in by one organisation."""

    __tablename__ = "usage_batches"
    __table_args__ = (UniqueConstraint("party_id", "content_digest"),)
    subject_type = "usage_batch"
    number: Mapped[str] = mapped_column(unique=True)
    no: Mapped[int] = mapped_column(BigInteger, unique=True)
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    source_name: Mapped[str]
    content_digest: Mapped[str]
    row_count: Mapped[int]
    batch_root: Mapped[str]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    totals: Mapped[list[Any]]
    recorded_by: Mapped[str]


class UsageRow(Base):
    """An event; proved by its batch's root, and counted once: `event` is its reporter's code and id."""

    __tablename__ = "usage_rows"
    __table_args__ = ({"sqlite_with_rowid": False},)
    batch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[str] = mapped_column(
        Text().with_variant(Text(collation="C"), "postgresql"), unique=True
    )
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    row: Mapped[str]


class Subtree(Base):
    """The root over one chunk of a batch's rows, so that a proof reads one chunk (operational)."""

    __tablename__ = "usage_subtrees"
    batch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary)


class Intake(Base):
    """A batch on its way in, and who holds it until when (operational)."""

    __tablename__ = "usage_intakes"
    __table_args__ = (UniqueConstraint("party_id", "content_digest"),)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    party_id: Mapped[str] = mapped_column(String(36))
    content_digest: Mapped[str]
    holder: Mapped[str]
    leased_until: Mapped[datetime]


@dataclass(frozen=True)
class Checked:
    """What was handed in, found good: its canonical rows by chunk, and what its record will say.

    A chunk has the columns event (its key) and row; `terms` are the licences as they were.
    """

    party_id: str
    prefix: str
    source_name: str
    content_digest: str
    row_count: int
    first_at: str
    last_at: str
    totals: list[dict[str, Any]]
    terms: dict[str, tuple[int, int, int]]
    chunks: list[pl.DataFrame] = field(repr=False)


@dataclass(frozen=True)
class Turn:
    """What is to be done next: `no` to fill, a `broken` intake to sweep first, or to wait.

    `batch_id` is the batch that holds just these rows already.
    """

    no: int | None = None
    broken: int | None = None
    batch_id: str | None = None
    is_busy: bool = False


# -- what is handed in, judged -----------------------------------------------------------------


def check(session: Session, actor: Actor, now: datetime, given: EventFile, name: str) -> Checked:
    """The batch that a file holds; raises Invalid with every line that cannot be used, and nothing else.

    Times without zone are Shanghai's; fractions of a second are dropped. The facts of the refusal are
    the first `PROBLEMS_TOLD` faults as `problems`; its attribute `faults` has them all.
    """
    may(actor, "usage.import")
    party = session.get_one(Party, actor.party_id)
    frame = rules.prepared(given.rows)
    if not frame.height and not given.faults.height:
        raise Invalid("{name} holds no events.", name=name)
    terms = _terms(session, actor, frame["licence"].unique().drop_nulls().to_list(), name)
    frame = rules.with_terms(frame, terms)
    lacking = set(given.faults.filter(pl.col("code") == "no_column")["column"])
    faults = [given.faults, *rules.faults_of(frame, now, lacking)]
    if any(one.height for one in faults):
        faults.append(_recorded(session, f"{party.uscc} ", frame.select("line", "event")))
        refuse(pl.concat(faults), name, rules.REASONS)
    return _checked(frame, party, terms, name)


def _terms(
    session: Session, actor: Actor, orders: list[str], name: str
) -> dict[str, tuple[int, int, int]]:
    """The licences the actor may report on: order → first, last and revoked second."""
    if len(orders) > LICENCES_MAX:
        raise Invalid(
            "{name} names more than {most} licences; split it.", name=name, most=LICENCES_MAX
        )
    found: dict[str, tuple[int, int, int]] = {}
    for start in range(0, len(orders), log.ROWS_A_STATEMENT):
        rows = session.execute(
            select(Licence, Voucher.party_id, log.Record.at)
            .join(Voucher, Voucher.id == Licence.voucher_id)
            .outerjoin(
                log.Record,
                (log.Record.subject_id == Licence.id) & (log.Record.kind == "licence.revoked"),
            )
            .where(Licence.order_reference.in_(orders[start : start + log.ROWS_A_STATEMENT]))
        )
        for licence, party_id, revoked_at in rows:
            plain = PLAIN.fullmatch(licence.order_reference)
            if plain and allowed(actor, "usage.import", party_id):
                until = int(licence.valid_until.timestamp())
                revoked = INT_MAX if revoked_at is None else int(revoked_at.timestamp())
                found[licence.order_reference] = (
                    int(licence.valid_from.timestamp()),
                    until,
                    revoked,
                )
    return found


def repeated(session: Session, party_id: str, given: EventFile, name: str) -> None:
    """Raise Invalid naming each event of the file that another batch has; Conflict if one is on its way.

    Asked only after storing has failed: of events that are all new, nothing need be looked up.
    """
    uscc = session.get_one(Party, party_id).uscc
    rows = given.rows.select("line", pl.col("event").str.strip_chars())
    found = _recorded(session, f"{uscc} ", rows)
    if found.height:
        refuse(found, name, rules.REASONS)
    raise Conflict(
        "Some of these events are being handed in at this moment by another intake; wait a minute and "
        "try again."
    )


def _recorded(session: Session, prefix: str, rows: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row whose event a batch has already."""
    events = rows["event"].drop_nulls().to_list()
    known = salted_rows.places(session, UsageRow.event, Batch.number, prefix, events)
    return told(rows.join(known, on="event"), "event", "recorded", pl.col("fact"))


def _checked(
    frame: pl.DataFrame, party: Party, terms: dict[str, tuple[int, int, int]], name: str
) -> Checked:
    """The canonical rows of a good frame, their digest and totals."""
    told = _totals(frame)
    if len(told) > TOTALS_MAX or sum(one["quantity"] for one in told) > INT_MAX:
        raise Invalid(
            "{name} has more than {most} kinds of totals, or a sum beyond 2^53: split it.",
            name=name, most=TOTALS_MAX,
        )  # fmt: skip
    digest = (
        [] if frame["digest"].null_count() == frame.height else [pl.when(pl.col("digest").is_null())
        .then(pl.lit("")).otherwise(pl.concat_str(pl.lit(',"digest":"'), "digest", pl.lit('"')))]
    )  # fmt: skip
    row = pl.concat_str(
        pl.lit('{"at":"'), "spelled", pl.lit('"'), *digest, pl.lit(',"event":"'), "event",
        pl.lit('","kind":"'), "kind", pl.lit('","licence":"'), "licence", pl.lit('","quantity":'),
        "quantity", pl.lit(',"unit":"'), "unit", pl.lit('","v":1}'),
    )  # fmt: skip
    key = pl.concat_str(pl.lit(f"{party.uscc} "), "event")
    content, chunks = hashlib.sha256(), []
    for start in range(0, frame.height, salted_rows.CHUNK):
        chunk = frame.slice(start, salted_rows.CHUNK).select(event=key, row=row)
        content.update(as_lines(chunk.select("row")))
        chunks.append(chunk)
    return Checked(
        party_id=party.id, prefix=f"{party.uscc} ", source_name=name,
        content_digest=f"sha256:{content.hexdigest()}", row_count=frame.height,
        first_at=str(frame["spelled"].min()), last_at=str(frame["spelled"].max()), totals=told,
        terms=terms, chunks=chunks,
    )  # fmt: skip


def _totals(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """How many rows and how much, by licence, kind and unit, in that order."""
    keys = ("licence", "kind", "unit")
    return _summed(
        frame.group_by(keys).agg(
            pl.len().alias("n"), quantity=pl.col("count").cast(pl.Int128).sum()
        )
    )


# -- taking it in ------------------------------------------------------------------------------


def begin(session: Session, checked: Checked, holder: str, now: datetime) -> Turn:
    """What to do next with a checked batch; `now` is the wall clock, since leases are about waiting."""
    hold(session, "usage intakes")
    # First whether it is on its way, then whether it is there: what is recorded between the two
    # questions is found by the second, while in the other order neither would see it.
    on_its_way = session.scalar(
        select(Intake.no).where(
            Intake.party_id == checked.party_id, Intake.content_digest == checked.content_digest
        )
    )
    batch = _batch_of(session, checked)
    if batch is not None:
        return Turn(batch_id=batch.id)
    fresh = now + timedelta(seconds=LEASE_S)
    broken = session.scalars(select(Intake).where(Intake.leased_until <= now).limit(1)).first()
    if broken is not None:
        broken.holder, broken.leased_until = holder, fresh
        session.flush()
        return Turn(broken=broken.no)
    if on_its_way is not None:
        return Turn(is_busy=True)
    no = next_number(session, "usage batches")
    session.execute(insert(Intake).values(
        no=no, party_id=checked.party_id, content_digest=checked.content_digest, holder=holder,
        leased_until=fresh,
    ))  # fmt: skip
    return Turn(no=no)


def _batch_of(session: Session, checked: Checked) -> Batch | None:
    return session.scalar(
        select(Batch).where(
            Batch.party_id == checked.party_id, Batch.content_digest == checked.content_digest
        )
    )


def sweep(session: Session, no: int, holder: str, now: datetime) -> bool:
    """Remove some of the rows of a broken intake that `holder` has; whether there is more to do."""
    _renew(session, no, holder, now)
    lowest = session.scalar(select(func.min(UsageRow.n)).where(UsageRow.batch == no))
    if lowest is not None:
        session.execute(
            delete(UsageRow).where(UsageRow.batch == no, UsageRow.n < lowest + SWEEP_ROWS)
        )
        return True
    session.execute(delete(Subtree).where(Subtree.batch == no))
    session.execute(delete(Intake).where(Intake.no == no))
    return False


def store(
    session: Session, no: int, holder: str, now: datetime, place: int, chunk: pl.DataFrame
) -> None:
    """Store chunk number `place` of an intake, salted; raises Repeated where an event is known already."""
    _renew(session, no, holder, now)
    if session.get_bind().dialect.name == "postgresql":
        # What makes the rows count is their record; its commit waits for the disk, and for all before it.
        session.execute(select(func.set_config("synchronous_commit", "off", True)))
    top = ROWS.put(session, no, place, chunk)
    session.execute(insert(Subtree).values(batch=no, n=place, root=top))


def _renew(session: Session, no: int, holder: str, now: datetime) -> None:
    """Hold an intake for another lease; raises Conflict when another one has it."""
    held = session.execute(
        update(Intake).where(Intake.no == no, Intake.holder == holder)
        .values(leased_until=now + timedelta(seconds=LEASE_S))
    )  # fmt: skip
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise _lost()


def _lost() -> Conflict:
    return Conflict(
        "This intake stood still too long and was taken over; nothing of it was stored. Hand the file "
        "in again."
    )


def give_up(session: Session, no: int, holder: str, now: datetime) -> None:
    """Let an intake that failed be swept by whoever comes next, now."""
    session.execute(
        update(Intake).where(Intake.no == no, Intake.holder == holder).values(leased_until=now)
    )


def record(
    session: Session, actor: Actor, now: datetime, checked: Checked, no: int, holder: str
) -> Batch:
    """Record a batch whose rows are all stored: from here on they are there for everybody."""
    may(actor, "usage.import")
    if actor.party_id != checked.party_id or checked.terms != _terms(
        session, actor, list(checked.terms), checked.source_name
    ):
        raise Conflict("A licence of these events was changed meanwhile; hand the file in again.")
    ended = session.execute(delete(Intake).where(Intake.no == no, Intake.holder == holder))
    if ended.rowcount != 1:  # type: ignore[attr-defined]
        raise _lost()
    roots = list(
        session.scalars(select(Subtree.root).where(Subtree.batch == no).order_by(Subtree.n))
    )
    assert len(roots) == len(checked.chunks)
    prefix = f"PC{local_date(now):%Y%m}"
    batch = Batch(
        id=new_id(), number=coded(prefix, next_number(session, prefix)), no=no,
        party_id=checked.party_id, source_name=checked.source_name,
        content_digest=checked.content_digest, row_count=checked.row_count,
        batch_root=root(roots).hex(), first_at=parse_instant(checked.first_at),
        last_at=parse_instant(checked.last_at), totals=checked.totals, recorded_by=actor.member_id,
    )  # fmt: skip
    log.append(session, batch, "usage.recorded", actor.member_id)
    session.flush()
    return batch


# -- what is there -----------------------------------------------------------------------------


def by_number(session: Session, text: str) -> Batch:
    """The batch with a number; raises Invalid or Missing."""
    found = session.scalar(select(Batch).where(Batch.number == check_code(text)))
    if found is None:
        raise Missing("There is no batch {number}.", number=text)
    return found


def row_number(session: Session, batch: Batch, text: str) -> int:
    """The number of a row (from 1) that is named by its event, or else by that number; raises Missing."""
    uscc = session.get_one(Party, batch.party_id).uscc
    wanted = select(UsageRow.n).where(
        UsageRow.batch == batch.no, UsageRow.event == f"{uscc} {text.strip()}"
    )
    found = session.scalar(wanted)
    if found is None and text.isascii() and text.isdecimal() and len(text) < 10:
        found = int(text) if 1 <= int(text) <= batch.row_count else None
    if found is None:
        raise Missing("Batch {number} has no row {row}.", number=batch.number, row=text)
    return found


def rows_of(session: Session, batch: Batch, after: int, limit: int) -> list[UsageRow]:
    """Some rows of a batch in their order, after a number."""
    wanted = select(UsageRow).where(UsageRow.batch == batch.no, UsageRow.n > after)
    return list(session.scalars(wanted.order_by(UsageRow.n).limit(limit)))


def row_proof(session: Session, batch: Batch, n: int) -> dict[str, Any]:
    """A row with its salt and its path to the batch's root: `inclusion`, `row`, `row_index`, `salt`.

    It reveals no other row. Raises Conflict where the stored rows do not lead to the recorded root.
    """
    roots = list(
        session.scalars(select(Subtree.root).where(Subtree.batch == batch.no).order_by(Subtree.n))
    )
    told = ROWS.proof(session, batch.no, n, roots, batch.batch_root, batch.row_count)
    if told is None:
        raise Conflict(
            "The rows of batch {number} are not those that were recorded: run the audit.",
            number=batch.number,
        )
    return told


# -- the audit ---------------------------------------------------------------------------------


def audit_rows(session: Session, batch: Batch) -> Iterator[tuple[str, str, Any, Any]]:
    """Each difference between a batch's record and its stored rows: (place, field, known, derived).

    All that the record says of the rows is derived anew: root, count, digest, totals, first and last
    time; besides each row's own form, number and event key, and the subtree roots. Reads a chunk at a
    time; raises nothing for what stands in the rows.
    """
    place = f"usage_batches {batch.number}"
    party = session.get(Party, batch.party_id or "")  # who tampers may have left it empty
    prefix = f"{party.uscc} " if party else ""
    content, roots, count, sums = hashlib.sha256(), [], 0, []
    for chunk in ROWS.chunks(session, batch.no):
        numbers, events, salts, rows = ([one[at] for one in chunk] for at in range(4))
        if numbers != list(range(count + 1, count + 1 + len(rows))):
            known = next(n for due, n in enumerate(numbers, start=count + 1) if n != due)
            yield f"usage_rows {batch.no} {known}", "n", known, "the next number"
        try:
            roots.append(root(leaves(salts, rows)))
            content.update(b"\n".join(rows) + b"\n")
            frame = _taken_apart(rows, events)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            yield f"usage_rows {batch.no} {count + 1}", "rows", str(error)[:200], "readable rows"
            return
        due = pl.concat_str(pl.lit(prefix), "event")
        bad = frame.with_row_index("n", offset=count + 1).filter(
            ~pl.col("fits").fill_null(False) | (pl.col("key") != due).fill_null(True)
        )
        for one in bad.select("n", "row", "key", "fits", due=due).iter_rows(named=True):
            where = f"usage_rows {batch.no} {one['n']}"
            if one["fits"]:
                yield where, "event", one["key"], one["due"]
            else:
                yield where, "row", one["row"][:200], "a row in its canonical form"
        sums.append(
            frame.group_by("licence", "kind", "unit").agg(
                pl.len().alias("n"), pl.col("quantity").cast(pl.Int128).sum(),
                first=pl.col("at").min(), last=pl.col("at").max(),
            )
        )  # fmt: skip
        count += len(rows)
    stored = list(
        session.scalars(select(Subtree.root).where(Subtree.batch == batch.no).order_by(Subtree.n))
    )
    for n in range(max(len(stored), len(roots))):
        known, derived = (one[n].hex() if n < len(one) else None for one in (stored, roots))
        if known != derived:
            yield f"usage_subtrees {batch.no} {n}", "root", known, derived
    told = pl.concat(sums) if sums else pl.DataFrame()
    derived_facts: dict[str, Any] = {
        "batch_root": root(roots).hex(), "content_digest": f"sha256:{content.hexdigest()}",
        "row_count": count,
    }  # fmt: skip
    if told.height:
        derived_facts |= {
            "first_at": told["first"].min(), "last_at": told["last"].max(), "totals": _summed(told),
        }  # fmt: skip
    body = batch.body()
    for name, derived in derived_facts.items():
        if body[name] != derived:
            yield place, name, body[name], derived


def _taken_apart(rows: Sequence[bytes], events: Sequence[str]) -> pl.DataFrame:
    """Canonical rows as columns, and whether each `fits`: put together again it is what is stored."""
    row = pl.Series("row", rows, dtype=pl.Binary).cast(pl.String)
    plain = row.str.replace(TOLD_DIGEST, "") if row.str.contains(TOLD_DIGEST).any() else row
    part = plain.str.split_exact('"', 24).struct
    values = {name: part.field(f"field_{at}") for name, at in BETWEEN.items()}
    values["quantity"] = values["quantity"].str.strip_chars(":,")
    frame = pl.DataFrame({"row": row, "plain": plain, "key": pl.Series(events, dtype=pl.String)})
    frame = frame.with_columns(**values)
    together = pl.concat_str(
        pl.lit('{"at":"'), "at", pl.lit('","event":"'), "event", pl.lit('","kind":"'), "kind",
        pl.lit('","licence":"'), "licence", pl.lit('","quantity":'), "quantity",
        pl.lit(',"unit":"'), "unit", pl.lit('","v":1}'),
    )  # fmt: skip
    return frame.with_columns(
        pl.col("quantity").cast(pl.Int64, strict=False), fits=together == pl.col("plain")
    )


def audit_strays(session: Session) -> Iterator[tuple[str, str, Any, Any]]:
    """Rows and subtrees of a number that neither a batch nor an intake has, as differences."""
    owned = {*session.scalars(select(Batch.no)), *session.scalars(select(Intake.no))}
    for table in (UsageRow, Subtree):
        last = session.scalar(select(func.min(table.batch)))
        while last is not None:
            if last not in owned:
                yield f"{table.__tablename__} {last}", "batch", last, "a batch with this number"
            last = session.scalar(select(func.min(table.batch)).where(table.batch > last))


def spelled_rows(session: Session, no: int) -> Iterator[bytes]:
    """The canonical rows of a batch, in order, read a chunk at a time."""
    for chunk in ROWS.chunks(session, no):
        yield from (row for _, _, _, row in chunk)


def _summed(parts: pl.DataFrame) -> list[dict[str, Any]]:
    """Totals of parts as one list, as `Batch.totals` has it."""
    keys = ("licence", "kind", "unit")
    return (
        parts.group_by(keys).agg(pl.col("n").sum(), pl.col("quantity").sum())
        .sort(keys)
        .select("kind", "licence", "unit", "quantity", count=pl.col("n").cast(pl.Int64))
        .to_dicts()
    )  # fmt: skip
