"""Search over the catalogue: words without spaces, single characters, both scripts, the same everywhere.

The index is sets of document numbers (roaring bitmaps) by term, in blocks of 65,536 documents, kept in
tables: so that SQLite and PostgreSQL answer alike, and counts by filter cost no reading of rows.
"""

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ledger.store import Base


class SearchDoc(Base):
    """The number a resource has in the index, and the version that was indexed (operational)."""

    __tablename__ = "search_docs"
    doc: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    resource_id: Mapped[str] = mapped_column(String(36), unique=True)
    version: Mapped[int]
    weight: Mapped[int]
    """what decides between documents that fit alike: shorter titles first"""


class Posting(Base):
    """The documents of one block in which a term stands, as a roaring bitmap (operational)."""

    __tablename__ = "search_postings"
    __table_args__ = ({"sqlite_with_rowid": False},)
    term: Mapped[str] = mapped_column(
        Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True
    )
    block: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    docs: Mapped[bytes] = mapped_column(LargeBinary)


class SearchBlock(Base):
    """How often a block of documents was changed, so that nobody answers from an old copy (operational)."""

    __tablename__ = "search_blocks"
    block: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changes: Mapped[int]
