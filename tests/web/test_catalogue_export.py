"""The open catalogue for machines: everybody gets what he may see, in three formats, and CKAN's answers."""

from typing import Any

import orjson
import pytest
from rdflib import Graph
from rdflib.namespace import DCAT, RDF

from ledger import catalogue
from ledger.tabular import read_table
from tests.web.conftest import TOKEN, Site

OPEN = {"sharing": "unconditional", "opening": "unconditional", "personal_information": "none"}
CLOSED = {"sharing": "not_shared", "opening": "not_open"}


@pytest.fixture
def filled(site: Site) -> Site:
    """Two open resources and a closed one; one element is inner, one no field."""
    with site.town.deed() as session:
        for code, elements in (
            ("307001001/000001", {**OPEN, "summary": "桥梁", "source_system": "内部系统"}),
            ("307001001/000002", {**OPEN, "order": 3}), ("307001001/000003", CLOSED),
        ):  # fmt: skip
            catalogue.add_resource(
                session, site.town.actors["rita"], site.town.now, code=code, title=f"资源 {code[-1]}",
                provider="市数据局", elements=elements,
            )  # fmt: skip
    return site


def codes(site: Site, login: str | None, path: str) -> set[str]:
    data = site.visit(login).client.get(path).data
    if "xlsx" in path:
        return {row.cells[0] for row in read_table(data, "catalogue.xlsx").rows}
    if "ckan" in path:
        packages = orjson.loads(data)["result"]["results"]
        return {e["value"] for p in packages for e in p["extras"] if e["key"] == "shuzheng_code"}
    found = orjson.loads(data)["dcat:dataset"]
    assert len(
        set(Graph().parse(data=data, format="json-ld").subjects(RDF.type, DCAT.Dataset))
    ) == len(found)
    return {one["shuzheng:code"] for one in found}


@pytest.mark.parametrize("path", ["/catalogue.jsonld", "/catalogue.xlsx", "/catalogue.ckan.json"])
def test_everybody_takes_along_what_exists_for_him(filled: Site, path: str) -> None:
    some = {"307001001/000001", "307001001/000002"}
    assert codes(filled, None, path) == some
    assert codes(filled, "rita", path) == some | {"307001001/000003"}
    assert codes(filled, "paul", path) == some | {"307001001/000003"}  # his own
    assert codes(filled, None, f"{path}?words=桥梁") == {"307001001/000001"}
    assert codes(filled, "rita", f"{path}?opening=not_open") == {"307001001/000003"}


def test_inner_elements_stay_inside(filled: Site) -> None:
    assert "内部系统" not in filled.visit(None).get("/catalogue.jsonld")
    assert "内部系统" in filled.visit("rita").get("/catalogue.jsonld")


def test_a_single_data_set_has_its_address_and_a_hidden_one_has_none(filled: Site) -> None:
    nobody = filled.visit(None)
    one = orjson.loads(nobody.get("/resources/307001001/000001.jsonld"))
    assert one["dcterms:identifier"] == {"@value": "307001001/000001"}
    hidden = nobody.client.get("/resources/307001001/000003.jsonld")
    unknown = nobody.client.get("/resources/307001001/000009.jsonld")
    assert hidden.status_code == unknown.status_code == 404
    told = [TOKEN.sub("", page.text) for page in (hidden, unknown)]
    assert told[0].replace("000003", "000009") == told[1]


def test_who_has_the_file_is_not_sent_it_again_until_something_happens(filled: Site) -> None:
    client = filled.visit(None).client
    tag = client.get("/catalogue.jsonld").headers["ETag"]
    assert client.get("/catalogue.jsonld", headers={"If-None-Match": tag}).status_code == 304
    with filled.town.deed() as session:
        catalogue.add_resource(
            session, filled.town.actors["rita"], filled.town.now, code="9", title="九", provider="市数据局",
            elements=OPEN,
        )  # fmt: skip
    assert client.get("/catalogue.jsonld", headers={"If-None-Match": tag}).status_code == 200


def test_packages_are_listed_shown_and_searched_as_ckan_does(filled: Site) -> None:
    client = filled.visit(None).client

    def ask(action: str, status: int = 200, **query: Any) -> Any:
        answer = client.get(f"/api/3/action/package_{action}", query_string=query)
        assert answer.status_code == status
        return answer.get_json()

    names = ask("list")["result"]
    assert len(names) == 2
    shown = ask("show", id=names[0])["result"]
    assert shown["name"] == names[0]
    assert ask("show", id="307001001/000001")["result"]["notes"] == "桥梁"
    assert ask("show", 404, id="307001001/000003")["success"] is False
    found = ask("search", q="桥梁", rows=5)["result"]
    assert (found["count"], found["results"][0]["notes"]) == (1, "桥梁")
    assert ask("search", rows=0)["result"] == {"count": 2, "results": []}


def test_an_unknown_filter_is_named(filled: Site) -> None:
    filled.visit(None).get("/catalogue.jsonld?colour=red", 400)
