"""The catalogue is imported as one change set: what is new or changed is a record, nothing else."""

from typing import Any

import pytest
from sqlalchemy import func, select

from ledger import catalogue, catalogue_imports, log
from ledger.catalogue import Resource
from ledger.catalogue_imports import CatalogueImport
from ledger.catalogue_mapping import apply, guess
from ledger.errors import Invalid, Missing
from ledger.proof.encoding import digest_text
from ledger.tabular import read_table
from tests.conftest import DEMO, Town

FILE = DEMO.parent / "catalogue_taoyuan_2018.xlsx"
DATA = FILE.read_bytes()
TABLE = read_table(DATA, FILE.name)
MAPPING = guess(TABLE.header)
RESOURCES, PROBLEMS = apply(TABLE, MAPPING)
ROW = {"code": "1-01", "title": "一", "provider": "市数据局", "summary": "说明", "row": 2}


def load(town: Town, resources: list[dict[str, Any]], name: str = "x") -> CatalogueImport:
    return town.do(
        "rita", catalogue_imports.bring, rows=resources, mapping=MAPPING.as_dict(),
        notices=[problem.as_dict() for problem in PROBLEMS], file_name=FILE.name,
        file_digest=digest_text(name.encode()),
    )  # fmt: skip


def counts(made: CatalogueImport) -> tuple[int, int, int, int, int]:
    return (
        made.row_count, made.new_count, made.changed_count, made.unchanged_count, made.absent_count,
    )  # fmt: skip


def record_count(town: Town) -> int:
    with town.reading() as session:
        return session.scalars(select(func.count()).select_from(log.Record)).one()


def test_a_city_s_real_catalogue_is_1429_records_and_again_none(town: Town) -> None:
    start = record_count(town)
    first = load(town, RESOURCES)
    assert counts(first) == (1429, 1429, 0, 0, 0)
    assert record_count(town) == start + 1429 + 1, "each resource, and the import itself"
    assert len(first.notices) == len(PROBLEMS) > 0
    before = town.snapshot()
    assert load(town, RESOURCES).id == first.id, "the same file twice"
    assert town.snapshot() == before

    again = load(town, RESOURCES, "saved again")
    assert counts(again) == (1429, 0, 0, 1429, 0)
    assert record_count(town) == start + 1429 + 2

    one = {**RESOURCES[700], "title": "改过的名称"}
    changed = load(town, [*RESOURCES[:700], one, *RESOURCES[701:]], "one row changed")
    assert counts(changed) == (1429, 0, 1, 1428, 0)
    with town.reading() as session:
        found = catalogue.resource_by_code(session, one["code"])
        assert (found.title, found.import_id) == ("改过的名称", changed.id)
        first_version, second = log.history(session, found.id)
        assert (first_version.kind, second.kind) == ("resource.listed", "resource.changed")

    fewer = load(town, [*RESOURCES[:700], one, *RESOURCES[701:-9]], "nine rows fewer")
    assert counts(fewer) == (1420, 0, 0, 1420, 9)
    with town.reading() as session:
        listed = session.scalars(select(func.count()).select_from(Resource)).one()
        assert listed == 1429, "what the file lacks stays"


@pytest.mark.parametrize(
    "change", [{"title": "二"}, {"provider": "别的局"}, {"provider": None}, {"summary": "别的"},
               {"extra": ["a", "b"]}],
)  # fmt: skip
def test_a_change_of_any_element_is_one_new_record(village: Town, change: dict[str, Any]) -> None:
    load(village, [ROW], f"before {change}")
    before = record_count(village)
    assert counts(load(village, [{**ROW, **change}], str(change)))[1:4] == (0, 1, 0)
    assert record_count(village) == before + 2


def test_moving_to_another_row_of_the_sheet_is_no_change(village: Town) -> None:
    load(village, [ROW], "row 2")
    assert counts(load(village, [{**ROW, "row": 99, "sheet": "二"}], "row 99"))[1:4] == (0, 0, 1)


def test_a_file_without_a_usable_row_is_refused(village: Town) -> None:
    before = village.snapshot()
    with pytest.raises(Invalid, match=r"no usable row"):
        load(village, [], "empty")
    assert village.snapshot() == before


def test_a_resource_listed_by_hand_is_listed_once(village: Town) -> None:
    facts = {"title": "手工", "provider": "市数据局", "elements": {"a": "b"}}
    made = village.do("rita", catalogue.add_resource, code="9-99", **facts)
    before = village.snapshot()
    assert village.do("rob", catalogue.add_resource, code="9-99", **facts).id == made.id
    assert village.snapshot() == before
    with village.reading() as session:
        assert catalogue.resource_by_code(session, "9-99").elements == {"a": "b"}
        with pytest.raises(Missing):
            catalogue.resource_by_code(session, "9-98")
