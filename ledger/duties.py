"""Duties to bring the catalogue up to date (目录更新): within ten working days of their cause.

A cause (a new system, a changed function, a rule, an error found) is reported for a department; the
department settles it by the change it made, or says why none is needed; the data authority confirms.
"""

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Evidence


class Duty(Evidence):
    """A cause to change the catalogue, the department that owes the change, and by when."""

    __tablename__ = "duties"
    subject_type = "duty"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    """the department that owes the change"""
    resource_id: Mapped[str | None] = mapped_column(String(36))
    cause: Mapped[str]
    description: Mapped[str]
    cause_on: Mapped[str]
    due: Mapped[dict[str, Any]]
    state: Mapped[str]
    reported_by: Mapped[str]
    settlement: Mapped[dict[str, Any] | None]
    """what was changed (import, resource and its version), or why nothing is; by whom, when"""
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]
