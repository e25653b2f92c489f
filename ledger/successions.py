"""What organisations held when they are renamed, merge or split: it follows, each with a record."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Evidence


class Succession(Evidence):
    """A merger, split or new name: its ground, its day, and how many of each noun followed."""

    __tablename__ = "successions"
    subject_type = "succession"
    kind: Mapped[str]
    """rename, merge or split"""
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    """whose it was"""
    to_ids: Mapped[list[Any]]
    ground: Mapped[str]
    effective_on: Mapped[str]
    moved: Mapped[dict[str, Any]]
    """noun → how many followed"""
    left: Mapped[list[Any]]
    """what could not follow, with its reason"""
    done_at: Mapped[datetime]
    done_by: Mapped[str]
