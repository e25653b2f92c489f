"""The outbox on a real node: whatever is killed, lost or meddled with, an act takes effect once."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from sqlalchemy import select

from contracts import artifact
from ledger import approvals, log, statements, trading, vouchers
from ledger.chain import outbox
from ledger.errors import ChainUnavailable
from tests.conftest import HOLDER
from tests.ledger.chain.site import PASSPHRASE, Site
from webapp.cli.house import make_home, running_node
from webapp.home import Home, clock


@pytest.fixture(scope="module")
def node_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home made by `init`, its node running for the module."""
    path = tmp_path_factory.mktemp("site") / "home"
    before = os.environ.pop("DATABASE_URL", None)
    try:
        make_home(path, PASSPHRASE, clock() - timedelta(days=501), uscc="12000000DEM000001E")
        with running_node(path):
            yield path
    finally:
        if before is not None:
            os.environ["DATABASE_URL"] = before


@pytest.fixture(scope="module")
def site(node_home: Path) -> Iterator[Site]:
    home = Home(node_home)
    _ = home.config
    yield Site(home)
    home.engine.dispose()


@contextmanager
def patched(owner: Any, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


def test_a_voucher_is_carried_to_the_chain_and_its_record_anchored(site: Site) -> None:
    voucher = site.issue()
    assert site.act(voucher.id).state == "waiting"
    site.worker().drain()
    act = site.act(voucher.id)
    assert (act.state, act.problem) == ("effective", None)
    held = site.chain.call(
        "VoucherRegistry", site.places["VoucherRegistry"], "get", site.key(voucher)
    )
    assert (held[0], held[2], "sha256:" + held[7].hex()) == (HOLDER, 1, voucher.digest)
    with site.reading() as session:
        record = log.record_of(session, voucher.id, 1)
        assert log.rung(session, record) == "confirmed"
        assert outbox.open_count(session) == 0


def test_killed_between_storing_and_sending_the_same_bytes_go_out_again(site: Site) -> None:
    voucher = site.issue()
    worker = site.worker()
    with patched(site.chain, "send_raw", lambda _raw: None):  # the process dies before it sends
        worker.carry(clock())
    sent = site.act(voucher.id)
    assert sent.state == "sent"
    assert site.changes(voucher) == []
    site.worker().drain()
    assert site.act(voucher.id).transaction == sent.transaction
    assert site.changes(voucher) == [1]


def test_killed_after_sending_the_act_is_recognised_by_its_event(site: Site) -> None:
    voucher = site.issue()
    worker = site.worker()
    worker.carry(clock())
    assert site.act(voucher.id).state == "sent"
    assert site.changes(voucher) == [1]
    site.worker().drain()
    assert site.act(voucher.id).state == "effective"
    assert site.changes(voucher) == [1]


def test_an_act_whose_nonce_was_taken_is_signed_anew(site: Site) -> None:
    voucher, other = site.issue(), site.issue()
    with patched(site.chain, "send_raw", lambda _raw: None):
        site.worker().carry(clock())
    first = site.act(voucher.id)
    assert first.state == "sent"
    # Our key spends those nonces elsewhere: the stored transactions can never land.
    for verb, version in (("issue", 0), ("suspend", 1)):
        arguments: tuple[Any, ...] = (b"\x77" * 32, version, b"\x01" * 32)
        if verb == "issue":
            arguments = ((b"\x77" * 32, HOLDER, 2**33, 1, 1, 0, b"\x02" * 32, b"\x03" * 32),)
        site.send_past_us("registrar", "VoucherRegistry", verb, *arguments)
    site.worker().drain()
    assert site.act(voucher.id).transaction != first.transaction
    assert site.changes(voucher) == site.changes(other) == [1]


def test_several_workers_at_once_do_no_harm(site: Site) -> None:
    issued = [site.issue() for _ in range(4)]
    with ThreadPoolExecutor(3) as pool:
        for outcome in [pool.submit(site.worker().drain) for _ in range(3)]:
            outcome.result()
    for voucher in issued:
        assert site.changes(voucher) == [1]
        assert site.act(voucher.id).state == "effective"


def test_of_several_seals_only_the_newest_is_anchored_and_covers_all(site: Site) -> None:
    sizes = []
    for data in (b"one", b"two", b"three"):
        site.deposit(data=data)
        with site.deed() as session:
            checkpoint = log.seal(session, site.now, site.keyring.signer("log"))
            assert checkpoint is not None
            root = bytes.fromhex(checkpoint.root)
            outbox.enqueue_anchor(session, site.now, checkpoint.tree_size, root)
            sizes.append(checkpoint.tree_size)
    site.worker().drain()
    states = [
        (site.act(f"checkpoint:{size}").state, outbox.told(site.act(f"checkpoint:{size}").problem))
        for size in sizes
    ]
    assert states == [("effective", "superseded")] * 2 + [("effective", None)]
    with site.reading() as session:
        held = [log.confirmed_above(session, size - 1) for size in sizes]
        assert [found.tree_size for found in held if found] == [sizes[-1]] * 3


def test_a_refused_act_is_an_alarm_that_says_why_and_can_be_retried(site: Site) -> None:
    voucher = site.issue()
    site.worker().drain()
    site.send_past_us("registrar", "VoucherRegistry", "suspend", site.key(voucher), 1, b"\x05" * 32)
    licence = site.do(
        "olga", trading.grant, voucher=voucher, licensee=site.party("bank"),
        licensee_address="0x3333333333333333333333333333333333333333", right="use",
        purpose="industry", terms={"scene": "风险评估"}, valid_from=site.now,
        valid_until=site.now + timedelta(days=300), price_fen=100,
        order_reference="ORDER-1", origin=site.home.config.origin,
    )  # fmt: skip
    site.worker().drain()
    act = site.act(licence.id)
    assert act.state == "alarm"
    assert "VoucherNotValid" in str(act.problem)
    site.send_past_us("registrar", "VoucherRegistry", "resume", site.key(voucher), 2, b"\x06" * 32)
    with site.deed() as session:
        assert outbox.retry(session) == 1
    site.worker().drain()
    assert site.act(licence.id).state == "effective"


def test_a_step_on_chain_that_is_not_ours_is_an_alarm(site: Site) -> None:
    voucher = site.issue()
    site.worker().drain()
    site.send_past_us("registrar", "VoucherRegistry", "revoke", site.key(voucher), 1, b"\x05" * 32)
    site.do("rita", vouchers.change, voucher, "suspend", "核查", site.home.config.origin)
    site.worker().drain()
    act = site.act(voucher.id, 2)
    assert act.state == "alarm"
    assert "not ours" in str(act.problem)
    with site.deed() as session:
        session.get_one(outbox.Act, act.id).state = "effective"  # the person has dealt with it


def test_without_a_node_nothing_changes(site: Site) -> None:
    voucher = site.issue()
    worker = site.worker()
    before = site.snapshot()

    def gone(*_: Any, **__: Any) -> Any:
        raise ChainUnavailable("The node does not answer.")

    with patched(site.chain, "nonce", gone), pytest.raises(ChainUnavailable):
        worker.carry(clock())
    assert site.snapshot() == before
    site.worker().drain()
    assert site.act(voucher.id).state == "effective"


def test_what_the_checker_signs_is_what_the_contract_will_check(site: Site) -> None:
    statement = statements.Statement(
        id="s", number="FP-1", digest="sha256:" + "ab" * 32, line_root="cd" * 32, line_salts=[],
        lines=[], agreement_id="a", scheme_id="b", from_on="", until_on="", amount_fen=1,
        payment_ids=[], facts={}, deficits_before={}, deficits_after={}, salt="",
        chain_version=1, approvals_required=1,
    )  # fmt: skip
    origin, deployment = site.home.config.origin, site.home.config.deployment
    key = log.digest_key(origin, "s")
    site.send_past_us(
        "maker", "RevenueBook", "propose", key, bytes.fromhex("ab" * 32), bytes.fromhex("cd" * 32),
        1, bytes(32), 0, b"\x09" * 32,
    )  # fmt: skip
    request = approvals.request_for(statement, origin, deployment, 0, 4_102_444_800)
    signable = encode_typed_data(full_message=request["typed_data"])
    ours = keccak(b"\x19" + signable.version + signable.header + signable.body)
    theirs = site.chain.call(
        "RevenueBook", site.places["RevenueBook"], "approvalDigest", key, bytes.fromhex("ab" * 32),
        bytes.fromhex("cd" * 32), HOLDER, 4_102_444_800,
    )  # fmt: skip
    assert ours == theirs


def test_a_fork_stops_the_anchor_lane_with_an_alarm(site: Site) -> None:
    """Last in this file: the contract is bricked for this log afterwards, as it must be."""
    size, root = site.chain.call("CheckpointAnchor", site.places["CheckpointAnchor"], "latest")
    with site.reading() as session:
        assert log.root_at(session, size) == root
    # Somebody with our anchor key anchors a different continuation of the same history.
    from ledger.proof import merkle  # noqa: PLC0415

    with site.reading() as session:
        leaves = [
            log.leaf_hash_of(record)
            for record in session.scalars(
                select(log.Record)
                .where(log.Record.leaf_index < size)
                .order_by(log.Record.leaf_index)
            )
        ]
    forged = [*leaves, b"\x66" * 32]
    proof = merkle.consistency_proof(forged, size, size + 1)
    site.send_past_us("anchor", "CheckpointAnchor", "anchor", size + 1, merkle.root(forged), proof)
    site.deposit(data=b"after the fork")
    site.deposit(data=b"and one more")
    site.worker().drain()
    with site.reading() as session:
        found = outbox.alarms(session)
    assert len(found) == 1
    assert "FORK" in str(found[0].problem)


def test_the_version_stands_where_the_abi_says() -> None:
    for name, position in outbox.VERSION_AT.items():
        getter = next(entry for entry in artifact(name)["abi"] if entry.get("name") == "get")
        fields = [component["name"] for component in getter["outputs"][0]["components"]]
        assert fields[position] == "version"
