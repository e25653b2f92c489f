"""A town with a chain of its own and a worker: on the embedded node, or on any that is named."""

from datetime import timedelta
from typing import Any

from ledger import agreements, log, registration, vouchers
from ledger.chain import outbox
from ledger.chain.gateway import connect
from ledger.proof.bundle import voucher_key
from tests.conftest import HOLDER, Town
from webapp import home as homes
from webapp.home import Home, clock
from webapp.worker import Worker

PASSPHRASE = "correct horse battery staple"


class Site(Town):
    """A town with a chain of its own and a worker."""

    def __init__(self, home: Home, url: str | None = None, *, timeout_s: float = 10) -> None:
        super().__init__(home)
        self.now = clock() - timedelta(days=500)
        self.keyring = home.keyring(PASSPHRASE)
        own, token = ("", None)
        if home.config.embedded:
            own, token = homes.node_address(home.path)
        self.chain = connect(url or own, token=token, timeout_s=timeout_s)
        self.places = home.config.deployment.contracts

    def worker(self) -> Worker:
        return Worker(self.home, self.keyring, self.chain)

    def issue(self) -> vouchers.Voucher:
        application = self.application("on_notice")
        self.later(days=30)  # longer than any notice, with holidays
        with self.reading() as session:
            agreement = session.get_one(agreements.Agreement, application.agreement_id)
        made = self.do("rita", registration.code, application, agreement)
        return self.do(
            "rita", vouchers.issue, registration=made, holder=self.party("operator"),
            holder_address=HOLDER, origin=self.home.config.origin,
            key=self.keyring.signer("credential"),
        )  # fmt: skip

    def key(self, voucher: vouchers.Voucher) -> bytes:
        return voucher_key(self.home.config.origin, voucher.number)

    def changes(self, voucher: vouchers.Voucher) -> list[int]:
        """The versions of the voucher's events on chain."""
        found = self.chain.events(
            "VoucherRegistry", self.places["VoucherRegistry"], "Changed", 0, id=self.key(voucher)
        )
        return [event["args"]["version"] for event in found]

    def act(self, subject_id: str, version: int = 1) -> outbox.Act:
        with self.reading() as session:
            found = outbox.act_of(session, subject_id, version)
            assert found is not None
            return found

    def send_past_us(self, lane: str, contract: str, function: str, *arguments: Any) -> None:
        """A transaction by our own key that our outbox knows nothing of."""
        fees = self.chain.fees()
        raw, _ = self.chain.sign(
            self.keyring.account(lane), to=self.places[contract],
            data=self.chain.encode(contract, function, *arguments),
            nonce=self.chain.nonce(self.home.address(lane), pending=True), gas=400_000,
            chain_id=self.home.config.deployment.chain_id, fees=fees,
        )  # fmt: skip
        self.chain.send_raw(raw)

    def rung(self, row: Any) -> str:
        """How far the last record of a row has climbed."""
        with self.reading() as session:
            fresh = session.get_one(type(row), row.id)
            return log.rung(session, log.record_of(session, fresh.id, fresh.version))

    def anchored_sizes(self) -> list[int]:
        """The sizes that the contract tells to have anchored, in order."""
        found = self.chain.events(
            "CheckpointAnchor", self.places["CheckpointAnchor"], "Anchored", 0
        )
        return [event["args"]["size"] for event in found]
