"""The catalogue (公共数据目录, 一本账): every public data resource once, imported from spreadsheets.

A resource's elements are those of the directory rules (`ledger.catalogue_mapping.FIELDS`). An import is
one change set: each new or changed resource is a record, and so is the import itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.errors import Invalid, Missing
from ledger.parties import Actor, may
from ledger.store import Base, Evidence, new_id

KEY_ELEMENTS = ("code", "title", "provider")


class Resource(Evidence):
    """A public data resource (公共数据资源) with its catalogue elements."""

    __tablename__ = "resources"
    __table_args__ = (Index("resources_code", "code", unique=True),)
    subject_type = "resource"
    code: Mapped[str]
    title: Mapped[str]
    provider: Mapped[str | None]
    elements: Mapped[dict[str, Any]]
    import_id: Mapped[str]
    state: Mapped[str]
    provider_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """the organisation that provides it, once it takes part"""
    grade: Mapped[str | None]
    """core, important or general, the stricter of all grounds; None while not graded"""
    audience: Mapped[str | None]
    """who may see that it exists: public, bodies or authority (None, of before: authority)"""


class CatalogueImport(Evidence):
    """One import: which file, by which mapping, with what outcome."""

    __tablename__ = "catalogue_imports"
    subject_type = "catalogue_import"
    file_name: Mapped[str]
    file_digest: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    row_count: Mapped[int]
    new_count: Mapped[int]
    changed_count: Mapped[int]
    unchanged_count: Mapped[int]
    absent_count: Mapped[int]
    notices: Mapped[list[Any]]
    imported_by: Mapped[str]
    state: Mapped[str | None]
    """proposed, applied, rejected or undone (None, of before: applied)"""
    source: Mapped[str | None]
    """table, ckan, dcat, hand or undo"""
    party_id: Mapped[str | None] = mapped_column(String(36))
    """the organisation that handed it in"""
    defaults: Mapped[dict[str, Any] | None]
    withdrawn_count: Mapped[int | None]
    content_digest: Mapped[str | None]
    """of the lines of what it changes, while it is proposed"""
    undoes: Mapped[str | None] = mapped_column(String(36))
    decided_by: Mapped[str | None]
    reason: Mapped[str | None]


class ProposedChange(Base):
    """One line of a proposed change set, until it is decided (operational)."""

    __tablename__ = "proposed_changes"
    import_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    verb: Mapped[str]
    """list, change or withdraw"""
    row: Mapped[dict[str, Any] | None]


class CatalogueMapping(Base):
    """The columns as an organisation mapped a header the last time (operational)."""

    __tablename__ = "catalogue_mappings"
    party_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    header_digest: Mapped[str] = mapped_column(primary_key=True)
    mapping: Mapped[dict[str, Any]]
    at: Mapped[datetime]


def import_resources(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    resources: Sequence[Mapping[str, Any]],
    notices: Sequence[Mapping[str, Any]],
    mapping: Mapping[str, Any],
    file_name: str,
    file_digest: str,
) -> CatalogueImport:
    """Bring the catalogue to what the rows say: new and changed resources are recorded.

    Resources of earlier imports that the file lacks stay as they are and are counted as absent. The
    same file twice changes nothing and returns the first import.
    """
    may(actor, "catalogue.import")
    if not resources:
        raise Invalid("The file {name} holds no usable row.", name=file_name)
    known = {resource.code: resource for resource in session.scalars(select(Resource))}
    import_id = new_id()
    new = changed = 0
    for row in resources:
        elements = {k: v for k, v in row.items() if k not in (*KEY_ELEMENTS, "row", "sheet")}
        resource = known.get(row["code"])
        if resource is None:
            resource = Resource(
                id=new_id(), code=row["code"], title=row["title"], provider=row.get("provider"),
                elements=elements, import_id=import_id, state="listed",
            )  # fmt: skip
            log.append(session, resource, "resource.listed", actor.member_id)
            new += 1
        elif (resource.title, resource.provider, resource.elements) != (
            row["title"], row.get("provider"), elements,
        ):  # fmt: skip
            resource.title, resource.provider = row["title"], row.get("provider")
            resource.elements, resource.import_id = elements, import_id
            log.append(session, resource, "resource.changed", actor.member_id)
            changed += 1
    last = session.scalars(
        select(CatalogueImport).order_by(CatalogueImport.id.desc()).limit(1)
    ).first()
    if last is not None and not new and not changed and last.file_digest == file_digest:
        return last
    given = {row["code"] for row in resources}
    outcome = CatalogueImport(
        id=import_id, file_name=file_name, file_digest=file_digest, mapping=dict(mapping),
        row_count=len(resources), new_count=new, changed_count=changed,
        unchanged_count=len(resources) - new - changed, absent_count=len(set(known) - given),
        notices=[dict(notice) for notice in notices], imported_by=actor.member_id,
    )  # fmt: skip
    log.append(session, outcome, "catalogue.imported", actor.member_id)
    session.flush()
    return outcome


def add_resource(
    session: Session, actor: Actor, now: datetime, *, code: str, title: str, provider: str,
    elements: Mapping[str, Any],
) -> Resource:  # fmt: skip
    """List one resource by hand, once; the same code again returns what is listed."""
    may(actor, "catalogue.import")
    found = session.scalar(select(Resource).where(Resource.code == code))
    if found is not None:
        return found
    resource = Resource(
        id=new_id(), code=code, title=title, provider=provider, elements=dict(elements),
        import_id="", state="listed",
    )  # fmt: skip
    log.append(session, resource, "resource.listed", actor.member_id)
    session.flush()
    return resource


def resource_by_code(session: Session, code: str) -> Resource:
    """The resource with a catalogue code; raises Missing."""
    found = session.scalar(select(Resource).where(Resource.code == code))
    if found is None:
        raise Missing("There is no resource {code} in the catalogue.", code=code)
    return found
