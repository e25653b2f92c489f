"""Demands for data (需求清单), and what departments owe because of them (责任清单).

A demand is matched with resources of the catalogue, which says why; it goes to the responsible
department, which answers in time or is shown as late. What it accepts stands on the responsibility
list until it is fulfilled.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Evidence


class Demand(Evidence):
    """What somebody needs, for what, and what became of it."""

    __tablename__ = "demands"
    subject_type = "demand"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), index=True)
    for_name: Mapped[str | None]
    """whom a broker acts for"""
    title: Mapped[str]
    purpose: Mapped[str]
    items: Mapped[list[Any]]
    use: Mapped[str]
    """sharing, opening or operation: by which way the data are to come"""
    basis: Mapped[str]
    cycle: Mapped[str | None]
    matches: Mapped[list[Any]]
    """resources that may answer it, the best first: code, title, why"""
    resource_id: Mapped[str | None] = mapped_column(String(36))
    department_id: Mapped[str | None] = mapped_column(String(36), index=True)
    due: Mapped[dict[str, Any] | None]
    """by when the answer, later the data, are owed"""
    state: Mapped[str]
    submitted_by: Mapped[str]
    submitted_at: Mapped[datetime]
    answer: Mapped[dict[str, Any] | None]
    """accepted with resource, mode, day; or refused with ground and exclusion; by whom, when"""
    outcome: Mapped[dict[str, Any] | None]
    """how it was fulfilled; how an appeal was decided"""
