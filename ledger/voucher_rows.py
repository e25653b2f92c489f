"""The rows of vouchers, and their steps on chain: what `vouchers` and `uses` both stand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.chain import outbox
from ledger.proof.bundle import voucher_key
from ledger.registration import RIGHTS
from ledger.store import Base, Evidence

KINDS = {"registration": 1, "authorised_use": 2}  # 登记凭证, 授权使用凭证; the numbers on chain
IN_FORCE = ("valid", "suspended")


class Voucher(Evidence):
    """A voucher as it stands."""

    __tablename__ = "vouchers"
    subject_type = "voucher"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    registration_id: Mapped[str] = mapped_column(String(36), ForeignKey("registrations.id"))
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    holder_address: Mapped[str]
    rights: Mapped[list[Any]]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    status_index: Mapped[int] = mapped_column(unique=True)
    credential: Mapped[dict[str, Any]]
    digest: Mapped[str]
    issued_by: Mapped[str]
    state: Mapped[str]
    frozen: Mapped[bool]
    pledged: Mapped[bool]
    freeze_ground: Mapped[dict[str, Any] | None]
    """why it was last frozen or unfrozen: {"at", "basis", "by", "reason", "verb"}"""
    former_indexes: Mapped[list[Any] | None]
    """places in the status list of credentials that a transfer has replaced"""
    predecessor: Mapped[str | None]
    """number of the voucher in whose place it stands"""
    successors: Mapped[list[Any] | None]
    """numbers of the vouchers that stand in its place"""
    pledgee_id: Mapped[str | None] = mapped_column(String(36))
    provider_id: Mapped[str | None] = mapped_column(String(36))
    """of an authorised use: who provides the data, and counts the uses"""
    scene: Mapped[str | None]
    max_uses: Mapped[int | None]
    used: Mapped[int | None]
    """uses carried to the chain; those counted stand in `uses`"""


class Disclosure(Base):
    """A withheld field in clear, with its salt (operational: handed out only when wanted)."""

    __tablename__ = "disclosures"
    voucher_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    salt: Mapped[str]
    value: Mapped[str]


@dataclass(frozen=True)
class Issuer:
    """Under which log and with which key credentials are signed."""

    origin: str
    key: Ed25519PrivateKey


def rights_mask(rights: Sequence[Any]) -> int:
    """The rights as bits on chain: holding 1, use 2, operating 4."""
    return sum(RIGHTS[right] for right in rights)


def step_on_chain(
    session: Session,
    now: datetime,
    voucher: Voucher,
    origin: str,
    function: str,
    *more: Any,
) -> None:
    """Note the step on chain of a voucher's last record: id, version before it, `more`, the record."""
    put_on_chain(
        session, now, voucher, origin, function,
        ["0x" + voucher_key(origin, voucher.number).hex(), voucher.version - 1, *more, outbox.REASON],
    )  # fmt: skip


def put_on_chain(
    session: Session,
    now: datetime,
    voucher: Voucher,
    origin: str,
    function: str,
    arguments: list[Any],
) -> None:
    """Note an act on chain for a voucher's last record."""
    outbox.enqueue(
        session, now, lane="registrar", contract="VoucherRegistry", function=function,
        arguments=arguments, key=voucher_key(origin, voucher.number),
        expected_version=voucher.version - 1, subject_id=voucher.id,
        subject_version=voucher.version,
    )  # fmt: skip
