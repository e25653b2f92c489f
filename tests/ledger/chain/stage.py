"""A site whose node is behind a proxy, and a voucher whose state moves to and fro."""

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from ledger import log, settings, vouchers
from ledger.chain import outbox
from ledger.errors import LedgerError
from tests.ledger.chain import anvil, proxy
from tests.ledger.chain.proxy import Proxy
from tests.ledger.chain.site import PASSPHRASE, Site
from webapp import home as homes
from webapp.cli.house import make_home, running_node
from webapp.home import Home, clock

ROUNDS_MAX = 40


class Stage(Site):
    """A site whose node is behind a proxy, with one voucher that is suspended and resumed."""

    def __init__(self, home: Home, way: Proxy, node: anvil.Anvil | None, depth: int) -> None:
        super().__init__(home, way.url, timeout_s=1)
        self.way, self.node = way, node
        self.moves = itertools.cycle((("suspend", "suspended"), ("resume", "valid")))
        self.set_depth(depth)
        self.voucher = self.issue()
        self.work()

    def set_depth(self, blocks: int) -> None:
        """How many blocks on top make one final."""
        with self.deed() as session:
            settings.change(session, self.actors["admin"], "confirmations", str(blocks))

    def step(self) -> None:
        """One more deed with an act of its own."""
        verb, _ = next(self.moves)
        self.do("rita", vouchers.change, self.voucher, verb, "核查", self.home.config.origin)

    def version(self) -> int:
        with self.reading() as session:
            return session.get_one(vouchers.Voucher, self.voucher.id).version

    def work(self, rounds: int = ROUNDS_MAX) -> int:
        """Rounds of the worker as its loop does them, until nothing is open; how many."""
        worker = self.worker()
        for n in range(1, rounds + 1):
            try:
                worker.carry(clock())
                worker.publish_status(clock())
                worker.seal(clock())
            except LedgerError:
                continue
            with self.reading() as session:
                if outbox.open_count(session) == 0:
                    return n
        return rounds

    def problems(self) -> list[str]:
        with self.reading() as session:
            return [str(outbox.told(act.problem)) for act in outbox.alarms(session)]

    def check(self) -> None:
        """Everything is at the top of its ladder, and nothing happened twice."""
        assert self.problems() == []
        with self.reading() as session:
            assert outbox.open_count(session) == 0
            assert log.confirmed_size(session) == log.size(session)
        assert self.changes(self.voucher) == list(range(1, self.version() + 1))
        sizes = self.anchored_sizes()
        assert sizes == sorted(set(sizes))


@contextmanager
def a_stage(
    path: Path,
    *options: str,
    embedded: bool = False,
    database_url: str | None = None,
    depth: int = 0,
) -> Iterator[Stage]:
    """A stage on an anvil of its own, or on an embedded node."""
    kept = {name: os.environ.pop(name, None) for name in ("DATABASE_URL", "CHAIN_RPC_URL")}
    then = clock() - timedelta(days=501)
    if database_url is not None:
        os.environ["DATABASE_URL"] = database_url
    try:
        with ExitStack() as stack:
            node = None
            if embedded:
                make_home(path, PASSPHRASE, then, uscc="12000000DEM000001E").close()
                url = stack.enter_context(running_node(path))
            else:
                node = stack.enter_context(anvil.running(*options))
                os.environ["CHAIN_RPC_URL"] = url = node.url
                path.mkdir(mode=0o700)
                for address in homes.make_keys(path, PASSPHRASE, checker=None).values():
                    node.give(address, 10**18)
                make_home(path, PASSPHRASE, then, uscc="12000000DEM000001E").close()
            way = stack.enter_context(proxy.before(url))
            home = Home(path)
            _ = home.config
            made = Stage(home, way, node, depth)
            yield made
            home.engine.dispose()
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
