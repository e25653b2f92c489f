"""From one house into another, empty one: the same elements, whatever the format between them."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ledger import catalogue_formats, catalogue_imports, catalogue_mapping
from ledger.catalogue import Resource, audiences
from ledger.proof.encoding import digest_text
from ledger.tabular import read_table
from tests.conftest import Town
from tests.ledger.test_catalogue_formats import rows


def bring(town: Town, data: bytes, name: str) -> Any:
    table = catalogue_formats.read(data, name) or read_table(data, name)
    found, _ = catalogue_mapping.apply(table, catalogue_mapping.guess(table.header))
    return town.do(
        "rita", catalogue_imports.bring, rows=found, file_name=name, file_digest=digest_text(data),
        source=str(table.format) if table.format in ("dcat", "ckan") else "table",
    )  # fmt: skip


def held(town: Town) -> dict[str, Any]:
    with town.reading() as session:
        return {one.code: (one.title, one.provider, one.elements, one.grade, one.audience)
                for one in session.scalars(select(Resource))}  # fmt: skip


@pytest.mark.parametrize("kind", catalogue_formats.KINDS)
def test_what_one_house_exports_another_holds_unchanged(
    town: Town, tmp_path: Path, kind: str
) -> None:
    given = [{**row, "sheet": None, "row": n} for n, row in enumerate(rows(20), start=1)]
    town.do(
        "rita", catalogue_imports.bring, rows=given, file_name="a", file_digest=digest_text(b"a")
    )
    before, path = held(town), tmp_path / f"out.{kind}"
    with town.reading() as session:
        seen = audiences(session, town.actors["rita"])
        catalogue_formats.write(
            kind, str(path), catalogue_formats.entries(session, seen), base="", title="目录"
        )
    again = bring(town, path.read_bytes(), path.name)
    assert (again.new_count, again.changed_count) == (0, 0), "it comes back unchanged"
    with town.deed() as session:
        session.execute(Resource.__table__.delete())
    bring(town, path.read_bytes(), path.name)
    assert held(town) == before
