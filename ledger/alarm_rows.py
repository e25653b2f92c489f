"""The rows of alarms: what `alarms` raises and answers, and what `deadlines` counts the days of."""

from datetime import datetime
from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base, Evidence


class Alarm(Evidence):
    """An alarm; `cause` and `occurrence` say what for, and the how-manieth time."""

    __tablename__ = "alarms"
    __table_args__ = (UniqueConstraint("cause", "occurrence"),)
    subject_type = "alarm"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    cause: Mapped[str]
    occurrence: Mapped[int]
    about_type: Mapped[str]
    about_id: Mapped[str]
    about_number: Mapped[str]
    owner_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """the organisation that has to answer; None where nobody has the role"""
    template: Mapped[str]
    facts: Mapped[dict[str, Any]]
    raised_at: Mapped[datetime]
    due: Mapped[dict[str, Any] | None]
    """until when its owner has to answer; None when he has"""
    state: Mapped[str] = mapped_column(index=True)
    explanation: Mapped[dict[str, Any] | None]
    decision: Mapped[dict[str, Any] | None]
    gone_at: Mapped[datetime | None]
    """since when the cause is gone; None while it lasts, and for what has happened for good"""


class AlarmMark(Base):
    """Up to which record of the log one has looked for causes of a kind (operational)."""

    __tablename__ = "alarm_marks"
    name: Mapped[str] = mapped_column(primary_key=True)
    leaf_count: Mapped[int]
