"""A catalogue leaves as XLSX, CKAN, DCAT and comes back the same; those of others are read."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from rdflib import DCTERMS, Graph, Literal, URIRef
from rdflib.namespace import DCAT, RDF

from ledger import catalogue_ckan, catalogue_formats, catalogue_mapping
from ledger.catalogue_fields import FIELDS
from ledger.catalogue_formats import Entry, cells_of
from ledger.catalogue_values import CODED, CYCLES
from ledger.errors import Invalid
from ledger.grading import LEVELS
from ledger.tabular import read_table

KINDS = ("xlsx", "jsonld", "ckan.json")
ODD = ["=1+1", "+86", "-5", "@x", "'quoted'", '"双引号"', "<b>&amp;</b>", "第一行\n第二行", "_x0041_",
       "0012", "1e5", "TRUE", "🚌 𠮷", "a\tb", "{name}", "100%", "\\", "，；、"]  # fmt: skip


def table_text(field: str, n: int) -> str:
    """What could stand in a cell of a field."""
    kind = FIELDS[field].kind
    known: dict[str, list[str]] = {
        "cycle": [cycle.zh for cycle in CYCLES.values()], "sharing": ["无条件共享", "有条件", "不予共享"],
        "opening": ["无条件开放", "依申请开放", "否"], "grading": ["一般数据", "重要"],
        "coded": [spelling for spellings in CODED.get(field, {}).values() for spelling in spellings],
        "impacts": ["经济运行:严重危害；个人权益（一般）"], "integer": ["1234", "1,234"],
        "date": ["2015/8/6", "2018年3月", "2020", "104.01.01"], "formats": ["CSV,xlsx", "SHX, SHP"],
        "list": ["桥梁、公路、(a、b)", "甲;乙"], "items": ["编号、名称(简称、全称)、日期"],
        "category": ["交通 (12)", "民生"], "provider": ["市交通局"],
    }  # fmt: skip
    if kind in known:
        return known[kind][n % len(known[kind])]
    if field.endswith("url"):
        return f"https://data.example/{n}?a=b&c=%20"
    return f"{ODD[n % len(ODD)]} {field}".strip()


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Resources with every field, spelt in many ways, as an import made them."""
    chance, given = random.Random(7), []
    for n in range(count):
        cells = {field: table_text(field, n) for field in FIELDS if n == 0 or chance.random() < 0.8}
        cells |= {"code": f"307001001/{n:06d}", "title": f"资源 {n} {ODD[n % len(ODD)]}".strip(),
                  "provider": "市交通局", "sharing": "无条件共享", "opening": "无条件开放",
                  "personal_information": "不含", "grading": "一般",
                  "impacts": "个人权益:一般", "important_list": "未列入"}  # fmt: skip
        given.append(cells)
    document = [
        {
            "id": "x",
            "title": "x",
            "resources": [],
            "extras": [{"key": f"shuzheng_{name}", "value": text} for name, text in cells.items()],
        }
        for cells in given
    ]
    found = brought(orjson.dumps(document), "first.json")
    assert len(found) > count // 2
    return found


def brought(data: bytes, name: str) -> list[dict[str, Any]]:
    """The resources that a file gives, without where they stood."""
    table = catalogue_formats.read(data, name) or read_table(data, name)
    mapping = catalogue_mapping.guess(table.header)
    found, _ = catalogue_mapping.apply(table, mapping)
    return [
        {key: value for key, value in row.items() if key not in ("row", "sheet")} for row in found
    ]


def entries(found: list[dict[str, Any]]) -> Iterator[Entry]:
    for row in found:
        cells = cells_of(row["code"], row["title"], row["provider"], row)
        yield Entry(row["code"], row["title"], cells, "public", row["update_cycle"], None)


def written(tmp_path: Path, kind: str, found: list[dict[str, Any]]) -> bytes:
    path = tmp_path / f"catalogue.{kind}"
    count, lost = catalogue_formats.write(
        kind, str(path), entries(found), base="https://data.example", title="公共数据目录"
    )
    assert (count, lost) == (len(found), {})
    return path.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_left_comes_back_the_same(tmp_path: Path, kind: str) -> None:
    before = rows()
    after = brought(written(tmp_path, kind, before), f"catalogue.{kind}")
    assert after == before


def test_every_field_has_its_header_and_each_header_means_its_field(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "xlsx", rows(2)), "catalogue.xlsx")
    assert table.header == tuple(field.zh for field in FIELDS.values())
    assert catalogue_mapping.guess(table.header).fields == {
        name: n for n, name in enumerate(FIELDS)
    }


def test_every_coded_value_is_spelt_as_it_is_read() -> None:
    for name, values in CODED.items():
        for value in values:
            cells = cells_of("1", "一", "局", {name: value})
            [row] = brought(
                orjson.dumps(
                    [
                        {
                            "id": "1",
                            "resources": [],
                            "extras": {f"shuzheng_{field}": text for field, text in cells.items()},
                        }
                    ]
                ),
                "a.json",
            )
            assert row[name] == value
    for level in LEVELS:
        assert cells_of("1", "一", "局", {"grading": level})["grading"] == LEVELS[level][0]


def test_an_independent_reader_finds_the_terms_of_dcat(tmp_path: Path) -> None:
    before = rows()
    graph = Graph().parse(data=written(tmp_path, "jsonld", before), format="json-ld")
    found = set(graph.subjects(RDF.type, DCAT.Dataset))
    assert len(found) == len(before)
    [one] = graph.subjects(DCTERMS.identifier, Literal(before[0]["code"]))
    assert one in found
    assert graph.value(one, DCTERMS.title) == Literal(before[0]["title"], lang="zh")
    assert (one, DCTERMS.accrualPeriodicity, URIRef("http://purl.org/cld/freq/continuous")) in graph
    assert graph.value(one, DCTERMS.publisher) is not None
    assert str(graph.value(one, DCTERMS.issued)) == "2015-08-06"
    assert graph.value(one, DCAT.distribution) is not None
    assert len(set(graph.objects(None, DCAT.dataset))) == len(before)


OTHERS = {
    "compact": {
        "@context": {"dcat": "http://www.w3.org/ns/dcat#", "t": "http://purl.org/dc/terms/"},
        "@type": "dcat:Catalog",
        "dcat:dataset": [{
            "@id": "https://x.example/d/1", "@type": "dcat:Dataset", "t:identifier": "D-1",
            "t:title": [{"@value": "Bridges", "@language": "en"}, {"@value": "桥梁", "@language": "zh"}],
            "t:publisher": {"@id": "https://x.example/org"},
            "t:accrualPeriodicity": {"@id": "http://publications.europa.eu/resource/authority/frequency/ANNUAL"},
            "dcat:distribution": {"dcat:mediaType": {"@id": "https://www.iana.org/assignments/media-types/text/csv"},
                                  "dcat:downloadURL": {"@id": "https://x.example/1.csv"}},
        }],
        "@included": [{"@id": "https://x.example/org", "http://xmlns.com/foaf/0.1/name": "桥梁局"}],
    },
    "expanded": [
        {"@id": "https://x.example/d/1", "@type": ["http://www.w3.org/ns/dcat#Dataset"],
         "http://purl.org/dc/terms/identifier": [{"@value": "D-1"}],
         "http://purl.org/dc/terms/title": [{"@value": "桥梁", "@language": "zh"}],
         "http://purl.org/dc/terms/publisher": [{"@id": "_:b1"}],
         "http://purl.org/dc/terms/accrualPeriodicity": [{"@id": "http://purl.org/cld/freq/annual"}],
         "http://www.w3.org/ns/dcat#distribution": [{"@id": "_:b2"}]},
        {"@id": "_:b1", "http://xmlns.com/foaf/0.1/name": [{"@value": "桥梁局"}]},
        {"@id": "_:b2", "http://purl.org/dc/terms/format": [{"@value": "CSV"}],
         "http://www.w3.org/ns/dcat#accessURL": [{"@id": "https://x.example/1.csv"}]},
    ],
    "words": {
        "@context": "https://project-open-data.cio.gov/v1.1/schema/catalog.jsonld",
        "@type": "dcat:Catalog",
        "dataset": [{
            "@type": "dcat:Dataset", "identifier": "D-1", "title": "桥梁", "accrualPeriodicity": "R/P1Y",
            "publisher": {"@type": "org:Organization", "name": "桥梁局"},
            "distribution": [{"mediaType": "text/csv", "downloadURL": "https://x.example/1.csv"}],
        }],
    },
    "ckan": {"success": True, "result": {"count": 1, "results": [{
        "id": "D-1", "name": "bridges", "title": "桥梁", "organization": {"title": "桥梁局"},
        "maintainer_email": "a@b.example", "maintainer": "Somebody",
        "resources": [{"format": "CSV", "url": "https://x.example/1.csv"}],
        "extras": [{"key": "更新频率", "value": "每年"}, {"key": "联系人", "value": "张三"},
                   {"key": "天气", "value": "晴"}],
    }]}},
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_the_data_sets_of_others_are_read(kind: str) -> None:
    [row] = brought(json.dumps(OTHERS[kind], ensure_ascii=False).encode(), "others.json")
    assert (row["code"], row["title"], row["provider"]) == ("D-1", "桥梁", "桥梁局")
    assert row["update_cycle"] == "annual"
    assert (row["format"], row["source_url"]) == (["CSV"], "https://x.example/1.csv")


def test_packages_in_lines_are_read_and_persons_left_out() -> None:
    package = OTHERS["ckan"]["result"]["results"][0]
    lines = b"\n".join(orjson.dumps({**package, "id": f"D-{n}"}) for n in range(3))
    table = catalogue_formats.read(lines, "packages.jsonl")
    assert table is not None
    assert [row.number for row in table.rows] == [1, 2, 3]
    assert "天气" in table.header
    assert "联系人" not in table.header
    assert not any("Somebody" in cell or "张三" in cell for row in table.rows for cell in row.cells)


def test_a_context_that_stands_elsewhere_is_told_and_not_fetched() -> None:
    table = catalogue_formats.read(orjson.dumps(OTHERS["words"]), "pod.json")
    assert table is not None
    assert [one.code for one in table.problems] == ["context_elsewhere"]


@pytest.mark.parametrize(
    "data", [b"{}", b"[1,2]", b'{"a":', b'[{"x":1}]', b'{"result":{"results":[]}}', b"[" * 2_000]
)
def test_json_that_is_neither_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        catalogue_formats.read(data, "a.json")


def test_what_is_no_json_is_left_to_the_tables() -> None:
    assert catalogue_formats.read("编号,名称\n1,一".encode(), "a.csv") is None


def test_names_of_packages_are_as_ckan_allows_and_each_its_own() -> None:
    names = {catalogue_ckan.name_of(text) for text in ("A/1", "a-1", "a/1", "目录", "x" * 200, "-")}
    assert len(names) == 6
    assert all(2 <= len(name) <= 100 for name in names)


def test_elements_that_are_no_fields_cannot_travel_and_are_named() -> None:
    assert catalogue_formats.unknown_elements(
        {"order": 3, "summary": "x", "format_text": "CSV"}
    ) == ["order"]
