"""A home: the folder of one installation, and the only place where transactions begin and end.

config.json   what the installation is: origin, chain, contracts (no secret)
ledger.db     the database, unless DATABASE_URL names a PostgreSQL
chain.db      the embedded chain, unless CHAIN_RPC_URL names another
keys/         the service keys, sealed under the passphrase
offline/      keystores that belong on other machines: carry them there
materials/    deposited files by digest
node.token, node.json   the embedded node's token (0600) and where it listens
"""

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

import contracts
from ledger import announcements, handoff, log
from ledger.catalogue import Resource
from ledger.chain import keys, node
from ledger.chain.gateway import Gateway, connect, contract_address
from ledger.chain.outbox import Deployment
from ledger.errors import ChainUnavailable, Conflict, Missing, NotAuthenticated
from ledger.proof.encoding import digest_text, instant, parse_instant
from ledger.store import SQLITE_BUSY_S, is_full, no_room, open_engine

CONFIG_VERSION = 1
EMBEDDED_CHAIN_ID = 20260601
STATUS_DAYS = 7
ROLE_GAS = 120_000
DEPLOY_GAS = 6_000_000
DEPLOY_LIMIT_S = 180.0
DEPLOY_LOOK_S = 0.5
KEPT_MAX = 2_000
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
CONTRACT_ORDER = ("CheckpointAnchor", "VoucherRegistry", "CirculationRegistry", "RevenueBook")


T = TypeVar("T")


@dataclass(frozen=True)
class Config:
    """What `config.json` holds; written last by `init`, so that a home is whole or is not one."""

    origin: str
    deployment: Deployment
    embedded: bool
    demo: bool
    created_at: datetime


class Home:
    """An installation; nothing is opened before it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = threading.RLock()
        self._is_own = False
        self._handed = threading.local()

    @cached_property
    def config(self) -> Config:
        """The installation's settings; raises Missing where `init` has not finished."""
        try:
            raw = json.loads((self.path / "config.json").read_bytes())
        except FileNotFoundError:
            raise Missing(
                "{path} is not a home of Shuzheng: run `shuzheng init --home {path}` first.",
                path=str(self.path),
            ) from None
        return Config(
            origin=raw["origin"],
            deployment=Deployment(
                raw["chain_id"], raw["genesis"], raw["contracts"], raw["deployed_in_block"]
            ),
            embedded=raw["embedded"],
            demo=raw["demo"],
            created_at=parse_instant(raw["created_at"]),
        )

    @cached_property
    def engine(self) -> Engine:
        """The database; it must be this installation's."""
        return open_engine(database_url(self.path))

    def close(self) -> None:
        """Let go of the database's connections."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    def as_committed(self, key: Hashable, read: Callable[[Session], T]) -> T:
        """What `read` finds in a transaction of its own, or found while nothing was committed since.

        It is as of this call or newer (see `Committed`). All threads share it: nobody changes it.
        """

        def look() -> T:
            with self.reading() as session:
                return read(session)

        return self._committed.get(key, look)

    @cached_property
    def _committed(self) -> "Committed":
        return Committed(self.engine)

    @cached_property
    def _reader(self) -> Engine:
        """The database for who only reads: all that one reading sees is of one moment."""
        engine = self.engine.execution_options(read_only=True)
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        return engine

    @contextmanager
    def deed(self, now: datetime) -> Iterator[Session]:
        """One deed, one transaction: its records get their places, then it is durable or nothing is."""
        with self._turn(), self._session() as session:
            yield session
            self.record(session, now)
            session.commit()

    @contextmanager
    def trial(self) -> Iterator[Session]:
        """A transaction that may write, and is undone."""
        with self._turn(), self._session() as session:
            yield session
            session.rollback()

    def record(self, session: Session, now: datetime) -> None:
        """Give the deed's records their places; whom they concern is told, and the search of its part."""
        if log.notes_any(session, Resource.subject_type):
            from ledger import search_index  # noqa: PLC0415 - few deeds change the catalogue

            search_index.note(session)
        announcements.announce(session, now)
        log.sequence(session, now)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite has one writer; its others poll with growing pauses. Our own threads line up instead."""
        if self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._writing.acquire(timeout=SQLITE_BUSY_S):
            raise Conflict(
                "The database is busy or not there; nothing was stored. Try again. ({cause})",
                cause="-",
            )
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with self._session(read_only=True) as session:
            yield session
            if log.pending_count(session) or session.dirty or session.new:
                raise AssertionError("a reading transaction would have written")

    @contextmanager
    def _session(self, *, read_only: bool = False) -> Iterator[Session]:
        engine = self._reader if read_only else self.engine
        try:
            with Session(engine, expire_on_commit=False) as session:
                # A writer asks each time whose log this is; for readers it was asked once.
                if "config" in self.__dict__ and not (read_only and self._is_own):
                    self._require_own(session)
                yield session
        except (IntegrityError, StaleDataError) as error:
            raise Conflict(
                "Somebody else changed this at the same moment; nothing was stored. Look again and "
                "repeat if it is still wanted. ({cause})",
                cause=type(error).__name__,
            ) from error
        except ProgrammingError as error:
            raise Conflict(
                "This database lacks tables of Shuzheng: run `shuzheng init` again, which brings them "
                "up to date. ({cause})",
                cause=str(error.orig).splitlines()[0],
            ) from error
        except OperationalError as error:
            if is_full(error.orig):
                import structlog  # noqa: PLC0415 - only when something broke

                structlog.get_logger().error("disk full", cause=str(error.orig).strip())
                raise no_room() from error
            raise Conflict(
                "The database is busy or not there; nothing was stored. Try again. ({cause})",
                cause=str(error.orig).splitlines()[0] if error.orig else "-",
            ) from error

    def _require_own(self, session: Session) -> None:
        head = session.get(log.Head, 1)
        if head is not None and head.origin != self.config.origin:
            raise Conflict(
                "This database belongs to the log {known}, not to {given}.",
                known=head.origin, given=self.config.origin,
            )  # fmt: skip
        self._is_own = head is not None

    def keyring(self, passphrase: str) -> keys.Keyring:
        return keys.open_keyring(self.path / "keys", passphrase)

    def address(self, role: str) -> str:
        """The chain address of a service key."""
        return keys.public_key(self.path / "keys", role)

    def gateway(self) -> Gateway:
        """A connection to this installation's chain; raises ChainUnavailable, also for another chain."""
        url, token = self._node()
        gateway = connect(url, token=token)
        identity = gateway.identity()
        known = self.config.deployment
        if identity != (known.chain_id, known.genesis):
            raise ChainUnavailable(
                "The node at {address} serves another chain ({found}) than this home's ({known}).",
                address=gateway.address, found=identity[1], known=known.genesis,
            )  # fmt: skip
        return gateway

    def node_url(self) -> str:
        """Where this installation's chain node answers readers."""
        return self._node()[0]

    def _node(self) -> tuple[str, str | None]:
        external = os.environ.get("CHAIN_RPC_URL")
        if external:
            return external, os.environ.get("CHAIN_RPC_TOKEN")
        return node_address(self.path)

    def trust(self, witnesses: Iterable[str] = (), quorum: int = 0) -> bytes:
        """The trust file of this installation; `witnesses` are the verifier keys of those known."""
        folder = self.path / "keys"
        return handoff.trust_file(
            self.config.deployment,
            origin=self.config.origin,
            log_public=bytes.fromhex(keys.public_key(folder, "log")),
            credential_public=bytes.fromhex(keys.public_key(folder, "credential")),
            since=self.config.created_at,
            embedded=self.config.embedded,
            witnesses=witnesses,
            quorum=quorum,
        )

    def store_material(self, data: bytes) -> str:
        """Keep a deposited file by its digest, durably, once; returns the digest."""
        digest = digest_text(data)
        path = self.path / "materials" / digest.removeprefix("sha256:")
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            keys.write_durably(path, data)
        return digest

    def hand_in(self, data: bytes) -> str:
        """Hold a file that a deed is going to read, in this thread's memory only; returns the digest."""
        self._handed.file = (digest_text(data), data)
        return str(self._handed.file[0])

    def handed_in(self, digest: str) -> bytes:
        """The file just handed in, once; raises Missing."""
        known, data = getattr(self._handed, "file", ("", b""))
        if known != digest:
            raise Missing("The file {digest} was not handed in.", digest=digest)
        del self._handed.file
        return bytes(data)

    def material(self, digest: str) -> bytes:
        """A deposited file; raises Missing, or Conflict where its bytes are not what was deposited."""
        try:
            data = (self.path / "materials" / digest.removeprefix("sha256:")).read_bytes()
        except FileNotFoundError:
            raise Missing("The material {digest} is not kept here.", digest=digest) from None
        if digest_text(data) != digest:
            raise Conflict("The material {digest} was changed on disk.", digest=digest)
        return data


class Committed:
    """What was read from a database, kept until anybody commits anything there."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._link: Any = None
        self._mark: Any = None
        self._kept: dict[Hashable, Any] = {}
        event.listen(engine, "engine_disposed", lambda _engine: self.close())

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` finds, or what it found if nothing was committed since it began."""
        with self._lock:
            mark = self._look()
            if mark != self._mark:
                self._mark, self._kept = mark, {}
            elif key in self._kept:
                return cast(T, self._kept[key])
        found = read()  # its transaction begins after `mark`: it knows that much, or more
        with self._lock:
            if mark == self._mark and len(self._kept) < KEPT_MAX:
                self._kept[key] = found
        return found

    def close(self) -> None:
        """Let go of the connection, as when the engine lets go of its own; the next question opens one."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _look(self) -> Any:
        """A mark of all that is committed: while it is the same, no transaction has been committed.

        SQLite's `data_version` differs once any other connection, of any process, has committed, and this
        one writes nothing. PostgreSQL's `pg_current_snapshot` names the transactions a reader does not
        yet see: of the same snapshot, the same data. While neither answers, no mark equals another.
        """
        is_sqlite = self._engine.dialect.name == "sqlite"
        question = "PRAGMA data_version" if is_sqlite else "SELECT pg_current_snapshot()::text"
        try:
            if self._link is None:
                self._link = self._engine.raw_connection()
                self._link.detach()  # it is held, so it is not the pool's
                if not is_sqlite:
                    self._link.dbapi_connection.autocommit = True
            return self._link.dbapi_connection.execute(question).fetchall()[0][0]
        except self._engine.dialect.loaded_dbapi.Error:  # who reads now is told what is wrong
            self.close()
            return object()


def node_address(path: Path) -> tuple[str, str]:
    """Where the home's embedded node listens, and its token; raises ChainUnavailable when it does not."""
    try:
        url = json.loads((path / "node.json").read_bytes())["url"]
        return str(url), (path / "node.token").read_text().strip()
    except (FileNotFoundError, ValueError, KeyError):
        raise ChainUnavailable(
            "The chain's node is not running: start it with `shuzheng node --home {path}`.",
            path=str(path),
        ) from None


def database_url(path: Path) -> str:
    """DATABASE_URL, else the home's own SQLite file."""
    return os.environ.get("DATABASE_URL") or f"sqlite:///{path.absolute() / 'ledger.db'}"


def read_passphrase(path: Path, name: str = "SHUZHENG_PASSPHRASE") -> str:
    """The passphrase from the environment, or a demo home's own file; raises NotAuthenticated."""
    given = os.environ.get(name)
    if given:
        return given
    kept = path / "demo" / "passphrase"
    if kept.exists():
        return kept.read_text().strip()
    raise NotAuthenticated("No passphrase: set {name} or pass --passphrase-file.", name=name)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the database to a revision, in one transaction."""
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        if revision == "base":
            command.downgrade(settings, revision)
        else:
            command.upgrade(settings, revision)


def make_keys(path: Path, passphrase: str, *, checker: str | None) -> dict[str, str]:
    """First step of `init`: all keys, and the addresses the contracts will know."""
    keys.create_keyring(path / "keys", passphrase)
    addresses = {role: keys.public_key(path / "keys", role) for role in keys.CHAIN_ROLES}
    offline = path / "offline"
    admin = os.environ.get("SHUZHENG_ADMIN_PASSPHRASE", passphrase)
    addresses["admin"] = _keystore(offline / "admin.json", admin)
    if checker is None:
        own = os.environ.get("SHUZHENG_CHECKER_PASSPHRASE", passphrase)
        checker = _keystore(offline / "checker.json", own)
    addresses["checker"] = keys.check_address(checker)
    return addresses


def make_chain(path: Path, addresses: dict[str, str], now: datetime) -> str:
    """Second step of `init`: the embedded chain with its own genesis; returns the genesis hash."""
    seed = path / "genesis.json"
    if not seed.exists():
        keys.write_durably(seed, {"at": instant(now), "salt": secrets.token_hex(16)})
    token = path / "node.token"
    if not token.exists():
        keys.write_durably(token, secrets.token_urlsafe(32).encode())
    known = json.loads(seed.read_bytes())
    senders = [addresses[role] for role in (*keys.CHAIN_ROLES, "admin")]
    return node.create(
        path / "chain.db",
        chain_id=EMBEDDED_CHAIN_ID,
        genesis_at=parse_instant(known["at"]),
        salt=bytes.fromhex(known["salt"]),
        balances=dict.fromkeys(senders, 10**21),
    )


def deploy(
    path: Path, gateway: Gateway, addresses: dict[str, str], passphrase: str
) -> dict[str, Any]:
    """Third step of `init`: the four contracts, at addresses fixed by the admin key's first nonces.

    Killed half-way and called again, it goes on where it stopped.
    """
    admin_key = keys.open_keystore(
        path / "offline" / "admin.json", os.environ.get("SHUZHENG_ADMIN_PASSPHRASE", passphrase)
    )
    admin = addresses["admin"]
    known = path / "deployment.json"
    chain_id, genesis = gateway.identity()
    if not known.exists():
        first = gateway.nonce(admin)
        keys.write_durably(known, {"block": gateway.block_number(), "first_nonce": first})
    start = json.loads(known.read_bytes())
    places = {
        name: contract_address(admin, start["first_nonce"] + offset)
        for offset, name in enumerate(CONTRACT_ORDER)
    }
    arguments: dict[str, tuple[Any, ...]] = {
        "CheckpointAnchor": (admin, addresses["anchor"]),
        "VoucherRegistry": (admin, addresses["registrar"], addresses["registrar"]),
        "CirculationRegistry": (admin, addresses["registrar"], places["VoucherRegistry"]),
        "RevenueBook": (admin, addresses["maker"], [addresses["checker"]]),
    }
    for offset, name in enumerate(CONTRACT_ORDER):
        if not gateway.code(places[name]):
            raw, _ = gateway.sign(
                admin_key, to=None, data=gateway.deploy_data(name, *arguments[name]),
                nonce=start["first_nonce"] + offset, gas=DEPLOY_GAS, chain_id=chain_id,
                fees=gateway.fees(),
            )  # fmt: skip
            gateway.send_raw(raw)
    _await_code(gateway, list(places.values()))
    for name in CONTRACT_ORDER:
        expected = bytes.fromhex(contracts.artifact(name)["deployed_bytecode"][2:])
        if len(gateway.code(places[name])) != len(expected):
            raise ChainUnavailable(
                "The contract {name} is not at {address}: run init again.",
                name=name, address=places[name],
            )  # fmt: skip
    return {
        "chain_id": chain_id,
        "contracts": places,
        "deployed_in_block": start["block"],
        "genesis": genesis,
    }


def set_checker(home: Home, admin_key: bytes, address: str, *, counts: bool) -> bool:
    """Let the contract count the signatures of a checker's key, or no more; whether that is new.

    Only the admin key may: the site cannot make a checker of anybody. Waits until a block has it.
    """
    gateway, book = home.gateway(), home.config.deployment.contracts["RevenueBook"]
    role = gateway.call("RevenueBook", book, "CHECKER_ROLE")
    if gateway.call("RevenueBook", book, "hasRole", role, address) == counts:
        return False
    function = "grantRole" if counts else "revokeRole"
    data, sender = (
        gateway.encode("RevenueBook", function, role, address),
        keys.address_of(admin_key),
    )
    gateway.simulate(
        sender=sender, to=book, data=data
    )  # who may not is told before anything is sent
    raw, sent = gateway.sign(
        admin_key, to=book, data=data, nonce=gateway.nonce(sender, pending=True), gas=ROLE_GAS,
        chain_id=home.config.deployment.chain_id, fees=gateway.fees(),
    )  # fmt: skip
    gateway.send_raw(raw)
    end = time.monotonic() + DEPLOY_LIMIT_S
    while (found := gateway.receipt(sent)) is None or not found["status"]:
        if found is not None or time.monotonic() > end:
            raise ChainUnavailable(
                "The chain has not done the transaction {hash}: look again, and repeat it if need be.",
                hash=sent,
            )
        time.sleep(DEPLOY_LOOK_S)
    return True


def _await_code(gateway: Gateway, addresses: list[str]) -> None:
    """Wait until each address has code, as long as a chain may take for a block or two."""
    end = time.monotonic() + DEPLOY_LIMIT_S
    while not all(gateway.code(address) for address in addresses) and time.monotonic() < end:
        time.sleep(DEPLOY_LOOK_S)


def finish_init(
    path: Path,
    deployment: dict[str, Any],
    origin: str | None,
    now: datetime,
    *,
    demo: bool,
    embedded: bool,
) -> Home:
    """Last step of `init`: the tables, the empty log, and then the config that makes it a home."""
    origin = origin or f"shuzheng.local/{deployment['genesis'][2:10]}"
    home = Home(path)
    migrate(home.engine)
    with home.deed(now) as session:
        log.open_log(session, origin, now)
    keys.write_durably(
        path / "config.json",
        {
            **deployment,
            "created_at": instant(now),
            "demo": demo,
            "embedded": embedded,
            "origin": origin,
            "v": CONFIG_VERSION,
        },
    )
    home.close()
    return Home(path)


def clock() -> datetime:
    """Now, in UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def _keystore(path: Path, passphrase: str) -> str:
    # Opening a keystore costs most of a second: an existing one is only asked for its address.
    return keys.keystore_address(path) if path.exists() else keys.create_keystore(path, passphrase)
