"""Objections (异议) and quality feedback (质量反馈) on a resource, traced to who owes the answer."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Evidence


class Feedback(Evidence):
    """What somebody found wrong with a resource, the department's answer, and its appeal."""

    __tablename__ = "feedback_items"
    subject_type = "feedback"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    """objection or quality"""
    resource_id: Mapped[str] = mapped_column(String(36), index=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    department_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """who owes the answer; None where the provider does not take part: the data authority"""
    about: Mapped[str]
    description: Mapped[str]
    due: Mapped[dict[str, Any]]
    state: Mapped[str]
    raised_by: Mapped[str]
    raised_at: Mapped[datetime]
    answer: Mapped[dict[str, Any] | None]
    outcome: Mapped[dict[str, Any] | None]
