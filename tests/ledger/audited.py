"""A town in which everything happened, on a real embedded chain, to be tampered with copy by copy."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, select
from sqlalchemy.orm import Session

from ledger import (
    authorisations,
    books,
    catalogue,
    catalogue_imports,
    handoff,
    holds,
    limits,
    log,
    motions,
    orders,
    payouts,
    prices,
    reconciliation,
    refunds,
    registration,
    revenue,
    reversals,
    settings,
    trading,
    usage,
    uses,
    vouchers,
    witnesses,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.chain import keys
from ledger.chain.gateway import Gateway
from ledger.proof.checkpoint import parse_note
from ledger.proof.cosignature import cosign, cosigner_key
from ledger.store import new_id, open_engine
from ledger.supervision import Audit, Difference, Ground
from ledger.tables.events import read_events
from tests.conftest import CHECKER_KEYS, ORIGIN, Town
from tests.ledger import bookings, paying, registrations
from tests.ledger.neighbours import Neighbour, admitted, recognise
from webapp.audits import ground_of_home
from webapp.cli.house import make_home, running_node
from webapp.home import Home, clock
from webapp.worker import Worker

WITNESS, WITNESS_KEY = "witness.example/w1", Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
PASSPHRASE = "anchored for good"
RESOURCES = 260  # more than a tile holds


class Still:
    """A real gateway to a chain that stands still: what was asked once is not asked again."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.known = gateway, dict[str, Any]()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*given: Any, **more: Any) -> Any:
            key = repr((name, given, more))
            if key not in self.known:
                self.known[key] = getattr(self.gateway, name)(*given, **more)
            return self.known[key]

        return ask


@dataclass
class Anchored:
    """The finished town: its database file, what its auditor holds to be true, and its keys."""

    home: Home
    town: Town
    worker: Worker
    ground: Ground
    database: Path
    anchored: int
    size: int
    old: dict[int, Path]
    """copies of the database as it was at earlier anchored sizes"""

    def copy(self, folder: Path) -> Path:
        path = folder / "tampered.db"
        shutil.copyfile(self.database, path)
        return path

    def audit(self, engine: Engine) -> list[Difference]:
        """All that a real audit finds in a database."""
        with engine.execution_options(read_only=True).connect() as connection:
            return self.audit_connection(connection)

    def audit_connection(self, connection: Connection) -> list[Difference]:
        """All that a real audit finds in what a transaction sees."""
        with Session(connection) as session:
            audit = Audit(session, self.ground, clock())
            audit.run()
            found = list(audit.findings.differences())
            audit.findings.close(done=True)
        return found

    def audit_file(self, path: Path) -> list[Difference]:
        engine = engine_of(path)
        try:
            return self.audit(engine)
        finally:
            engine.dispose()


@cache
def engine_of(path: Path) -> Engine:
    """One engine for all copies that come to lie at a path: it compiles each statement once."""
    return open_engine(f"sqlite:///{path}")


@contextmanager
def anchored_town(folder: Path) -> Iterator[Anchored]:
    """Found the town, let everything happen in it, carry it to the chain; the node runs meanwhile."""
    path = folder / "home"
    home = make_home(
        path, PASSPHRASE, clock(), uscc=None, origin=ORIGIN,
        checker=keys.address_of(CHECKER_KEYS["carl"]),
    )  # fmt: skip
    with running_node(path):
        worker = Worker(home, home.keyring(PASSPHRASE), home.gateway())
        town = Town(home)
        town.now = clock() - timedelta(days=40)
        old = _everything(town, worker, folder)
        gateway: Any = Still(home.gateway())
        ground = ground_of_home(home, gateway)
        with home.reading() as session:
            held = log.last_anchored(session)
            size = session.get_one(log.Head, 1).tree_size
        assert held is not None
        database = folder / "honest.db"
        _copy(home, database)
        yield Anchored(home, town, worker, ground, database, held.tree_size, size, old)
    home.close()


def _copy(home: Home, target: Path) -> None:
    """The database as committed, in one file without a log beside it."""
    with sqlite3.connect(home.path / "ledger.db") as source, sqlite3.connect(target) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _everything(town: Town, worker: Worker, folder: Path) -> dict[int, Path]:
    old: dict[int, Path] = {}

    def settle() -> None:
        worker.drain(lambda: town.now)
        with town.reading() as session:
            held = log.last_anchored(session)
        assert held is not None
        old[held.tree_size] = folder / f"old-{held.tree_size}.db"
        _copy(town.home, old[held.tree_size])

    returned = town.application()
    town.do("rita", registration.send_back, returned, ["缺附件"])
    agreement, licence = town.sold()
    town.evaluation(
        town.agreement(
            resource_ids=agreement.resource_ids, from_on=town.now.date() - timedelta(days=400)
        )
    )
    registered = town.get(registration.Registration, _voucher(town, licence))
    registrations.conclude(town, registrations.apply(town, "correction", registered))
    registrations.apply(town, "change", registered)
    registrations.object_to(town, town.application("on_notice"))
    settle()
    with town.deed() as session:
        for n in range(RESOURCES):
            catalogue.add_resource(
                session, town.actors["rita"], town.now, code=f"C{n}", title=f"资源 {n}",
                provider="市数据局", elements={"order": n},
            )  # fmt: skip
    town.now = clock() - timedelta(days=3)
    facts = {"platform_cost_fen": 1000}
    rejected = town.statement_over(agreement, licence, "proposed", facts=facts)
    worker.drain(lambda: town.now)
    town.inquiry(rejected)
    town.do("carl", revenue.reject, rejected, "有误", ORIGIN)
    worker.drain(lambda: town.now)
    town.do("mona", revenue.correct, rejected, {"platform_cost_fen": 2000}, "成本有误")
    town.do("mona", revenue.propose, rejected, ORIGIN)
    worker.drain(lambda: town.now)
    town.do("carl", revenue.reject, rejected, "仍有误", ORIGIN)
    statement = town.statement_over(agreement, licence, "proposed", 77_701, facts)
    worker.drain(lambda: town.now)
    town.now = clock()  # the chain's time is real: an approval has a deadline
    town.approve(statement)
    settle()
    undoing = town.do("mona", reversals.reverse, statement, "口径有误")
    town.do("mona", revenue.propose, undoing, ORIGIN)
    settle()
    town.approve(undoing, **town.approval(undoing, nonce=1))
    settle()
    first, final = (date.fromisoformat(day) for day in (statement.from_on, statement.until_on))
    again = town.do("mona", revenue.draft, agreement, from_on=first, until_on=final, facts=facts)
    town.do("mona", revenue.propose, again, ORIGIN)
    settle()
    town.approve(again, **town.approval(again, nonce=2))
    settle()
    other = town.do("olga", trading.grant, **town.licence_facts(_voucher(town, licence)))
    settle()
    town.do("olga", trading.revoke, other, _voucher(town, other), "违约", ORIGIN)
    _traded(town, agreement, _voucher(town, licence))
    settle()
    voucher = _voucher(town, licence)
    for verb in ("suspend", "resume", "freeze"):
        town.change(verb, voucher)
    settle()
    town.appraisal(town.get(registration.Registration, voucher))
    first = town.price(agreement)
    town.do("paul", prices.confirm, first)
    begins = local_date(town.now) + timedelta(days=1)
    town.do("paul", prices.confirm, town.price(agreement, from_on=begins))
    _booked(town, agreement, again)
    _paid(town, agreement)
    town.catalogue_affairs()
    town.alarm("olga")
    _authorised(town, worker)
    neighbour = Neighbour(town)
    admitted(town, neighbour)
    recognise(town, neighbour.bundle)
    _rest(town, folder, licence)
    settle()
    with town.deed() as session:
        checkpoint = log.last_anchored(session)
        assert checkpoint is not None
        signed = parse_note(checkpoint.note)[0]
        line = cosign(signed, WITNESS, WITNESS_KEY, town.now)
        witnesses.hand_in(session, town.actors["admin"], town.now, f"{signed}\n{line}")
    with town.deed() as session:  # what comes after the last anchored checkpoint
        catalogue.add_resource(
            session, town.actors["rita"], town.now, code="tail", title="尾", provider="市数据局",
            elements={},
        )  # fmt: skip
    with town.deed() as session:
        log.seal(session, town.now, worker.log_key)
    return old


def _traded(town: Town, agreement: Agreement, voucher: vouchers.Voucher) -> None:
    """Orders paid out of a prepayment, a payment of which part is given back, trades at the exchange."""
    town.remittance(agreement, 21_200)
    order = town.order(voucher, paid_by="prepayment")
    licence = town.do("opal", orders.fulfil, order, ORIGIN)
    town.order(voucher, paid_by="prepayment")
    with town.reading() as session:
        paid = session.scalars(
            select(trading.Payment).where(trading.Payment.licence_id == licence.id)
        ).one()
    town.do("carl", refunds.approve, town.refund(paid, 5_300))
    town.confirmation(agreement, voucher)


def _booked(town: Town, agreement: Agreement, statement: revenue.Statement) -> None:
    """A hold, and a hold that was booked and undone again."""
    today = local_date(town.now)
    bookings.approved(town, agreement)
    town.do("carl", limits.approve, bookings.limit(town, agreement))
    with town.deed() as session:
        entry = books.entry_of(session, statement.id)
        assert entry is not None
        payee = next(one["party_id"] for one in entry.lines if one["account"] == books.PAYABLE)
        lines = [
            {"account": books.PAYABLE, "credit_fen": 0, "debit_fen": 5, "party_id": payee},
            {"account": books.VAT, "credit_fen": 5, "debit_fen": 0, "party_id": None},
        ]  # fmt: skip
        one, other = (
            holds.hold(session, "system", town.now, cause=statement, key=key, book_id=agreement.id,
                       lines=lines, expires_at=town.now + timedelta(days=9))
            for key in ("one", "other")
        )  # fmt: skip
        assert one.state == other.state
        booked = holds.post_hold(
            session, "system", town.now, other, effective_on=today.isoformat(), memo="付款"
        )
        books.reverse(session, "system", town.now, booked, cause=other,
                      effective_on=today.isoformat(), memo="冲回")  # fmt: skip


def _paid(town: Town, agreement: Agreement) -> None:
    """A payout of which the bank paid one half, and what it says of its account."""
    paying.account(town)
    paying.account(town, "bureau")
    made = town.do("mona", payouts.prepare, agreement)
    town.do("carl", payouts.approve, made)
    paying.confirm(town, made, True, False)
    found = paying.bank_says(town, agreement, from_on=local_date(town.now) - timedelta(days=9))
    with town.reading() as session:
        [one, *_] = reconciliation.differences(session, found)
    town.do("mona", reconciliation.answer, one, "在途")
    town.do("carl", reconciliation.settle, one, "无误")


def _authorised(town: Town, worker: Worker) -> None:
    """A use that ida has allowed and that was counted, and a motion to split its voucher."""
    voucher = town.voucher()
    row = town.authorisation("in_force", town.get(registration.Registration, voucher))
    worker.drain(lambda: town.now)
    with town.reading() as session:
        allowed = town.get(vouchers.Voucher, session.get_one(authorisations.Authorisation, row.id))
    town.do("olga", uses.count, allowed, scene="贷前审查", count=2, reference="R-1")
    motion = town.do("rita", motions.propose, voucher, "split", "分别流通")
    town.do("rob", motions.confirm, motion, town.issuer())


def _voucher(town: Town, licence: trading.Licence) -> vouchers.Voucher:
    return town.get(vouchers.Voucher, licence)


def _rest(town: Town, folder: Path, licence: trading.Licence) -> None:
    """A row of each evidence table that the stages did not fill."""
    actors, now = town.actors, town.now
    path = folder / "events.ndjson"
    at = (licence.valid_from + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [
        {"at": at, "event": f"E-{n}", "kind": "use", "licence": licence.order_reference,
         "quantity": n, "unit": "次"} for n in range(1, 6)
    ]  # fmt: skip
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    with town.deed() as session:
        catalogue_imports.bring(
            session, actors["rita"], now, mapping={}, notices=[], file_name="a.csv",
            file_digest="sha256:" + "0" * 64, rows=[{"code": "9", "title": "九"}],
        )  # fmt: skip
        package = handoff.Package(
            id=new_id(), voucher_id=licence.voucher_id, tag_manifest="sha256:" + "1" * 64, files={},
            packed_by=actors["egon"].member_id,
        )  # fmt: skip
        log.append(session, package, "package.packed", package.packed_by)
        settings.change(session, actors["admin"], "log_readers", "member")
        witnesses.admit(
            session, actors["admin"], now, operator="档案馆",
            vkey=cosigner_key(WITNESS, WITNESS_KEY.public_key().public_bytes_raw()).spelled(),
        )  # fmt: skip
    with town.deed() as session:
        checked = usage.check(
            session, actors["olga"], now, read_events(path, "events.ndjson"), "events.ndjson"
        )
        no = usage.begin(session, checked, "test", now).no
        assert no is not None
        for place, chunk in enumerate(checked.chunks):
            usage.store(session, no, "test", now, place, chunk)
        usage.record(session, actors["olga"], now, checked, no, "test")
