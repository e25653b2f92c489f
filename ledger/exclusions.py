"""The negative list (负面清单): what may not be shared, opened or operated, on which legal ground.

A department proposes an entry, the data authority approves it, another person; it is reviewed by its day.
"""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Evidence


class Exclusion(Evidence):
    """An entry of the negative list."""

    __tablename__ = "exclusions"
    subject_type = "exclusion"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    resource_id: Mapped[str | None] = mapped_column(String(36))
    title: Mapped[str]
    forbids: Mapped[list[Any]]
    """of sharing, opening, operation"""
    basis: Mapped[str]
    from_on: Mapped[str]
    review_on: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]
