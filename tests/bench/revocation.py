"""How long a revocation takes to reach a verifier: by the chain, by the published list, or by its end.

A fresh home with its node and its worker, each a process of its own as `shuzheng serve` has them. From the
moment at which the deed `voucher.revoke` is committed until

- a verifier with --rpc is told *revoked* by the contract;
- the status list that the registry publishes says *revoked*.

Who is offline with the list before learns it when that has run out: until then the list counts.
"""

import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from ledger import vouchers
from ledger.proof import verify as verifier
from ledger.proof.chain_node import Node, voucher_verdict
from ledger.proof.encoding import canonical, digest_bytes, parse_instant
from ledger.proof.trust import parse_trust
from ledger.proof.voucher_steps import listed_word
from ledger.vouchers import Voucher
from tests.ledger.chain.site import PASSPHRASE, Site
from webapp import serve
from webapp.cli.house import make_home, running_node
from webapp.home import STATUS_DAYS, Home, clock

ROUNDS = 5
ASKED_EVERY_S, LEARNT_S = 0.02, 60


def bench_revocation(folder: Path) -> None:
    """Revoke some vouchers, one after another, and print how long each way took."""
    path = folder / "revocation"
    os.environ.pop("DATABASE_URL", None)
    make_home(path, PASSPHRASE, clock() - timedelta(days=501), uscc="12000000DEM000001E")
    with running_node(path) as url:
        site = Site(Home(path))
        found = [site.issue() for _ in range(ROUNDS + 1)]
        site.worker().drain()
        worker = serve.spawn("worker", path, env={**os.environ, "SHUZHENG_PASSPHRASE": PASSPHRASE})
        try:
            # the first one waits for the worker's process to have begun, and does not count
            took = [_revoke(site, one, Node(url)) for one in found][1:]
        finally:
            serve.end(worker)
            site.home.close()
    for what, times in zip(
        ("chain tells a verifier: revoked", "published list says: revoked", "list known runs out"),
        zip(*took, strict=True), strict=True,
    ):  # fmt: skip
        print(
            f"{what:34} {statistics.median(times):12,.1f} s  (longest of {ROUNDS}: {max(times):,.1f} s)"
        )
    print(f"{'bound for a verifier offline':34} {STATUS_DAYS * 86400:12,} s  ({STATUS_DAYS} days)")


def _revoke(site: Site, voucher: Voucher, node: Node) -> tuple[float, float, float]:
    """Seconds until the chain says so, until the list does, and until the list known before runs out."""
    trust = parse_trust(site.home.trust())
    key, digest = site.key(voucher), digest_bytes(voucher.digest)
    before = _list(site)
    assert _listed(site, voucher) == voucher_verdict(node, trust, key, digest, clock()) == "valid"
    site.now = clock()
    site.do("rita", vouchers.change, voucher, "revoke", "材料虚假", site.home.config.origin)
    begun, at = time.perf_counter(), clock()
    ways: dict[str, Callable[[], bool]] = {
        "chain": lambda: voucher_verdict(node, trust, key, digest, clock()) == "revoked",
        "list": lambda: _listed(site, voucher) == "revoked",
    }
    learnt: dict[str, float] = {}
    while len(learnt) < len(ways) and time.perf_counter() - begun < LEARNT_S:
        for way, says in ways.items():
            if way not in learnt and says():
                learnt[way] = time.perf_counter() - begun
        time.sleep(ASKED_EVERY_S)
    assert set(learnt) == set(ways), f"not learnt within {LEARNT_S} s"
    report = verifier.verify(
        canonical(voucher.credential), trust, now=clock(), node=node, status=canonical(before)
    )
    assert report.exit_code == verifier.NOT_VALID, "the list of before does not outdo the chain"
    return (
        learnt["chain"],
        learnt["list"],
        (parse_instant(before["validUntil"]) - at).total_seconds(),
    )


def _list(site: Site) -> dict[str, str]:
    """The status list as everybody can fetch it."""
    with site.reading() as session:
        current = vouchers.current_status(session)
        assert current is not None
        return dict(current.list_credential)


def _listed(site: Site, voucher: Voucher) -> str:
    return listed_word(voucher.credential, _list(site))
