"""Data stewards (首席数据官, 数据专员): who answers for data in each organisation.

A steward is a member, so that his name stays in `accounts`: records know a pseudonym only.
"""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Evidence


class Steward(Evidence):
    """A member's post for data in his organisation."""

    __tablename__ = "stewards"
    subject_type = "steward"
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"), index=True)
    member_id: Mapped[str] = mapped_column(String(36), ForeignKey("members.id"))
    post: Mapped[str]
    """chief (首席数据官) or steward (数据专员)"""
    from_on: Mapped[str]
    until_on: Mapped[str | None]
    state: Mapped[str]
