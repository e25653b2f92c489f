"""The measured quality of a file as a page shows it: pictures, where it fails, old records too."""

from pathlib import Path
from typing import Any

import pytest

from ledger.profiling import load_rules, profile
from webapp.pages.quality import column_of, failures_of, quality_of

RULES = """
version: 1
expected: {columns: [id, name, a.b, phone]}
keys: [[id]]
columns:
  id: {required: true, unique: true}
  a.b: {type: integer, min: 0, max: 9}
  phone: {required: true}
comparisons:
- {left: [a.b], op: "<=", right: [id]}
"""
ROWS = (
    "id,name,a.b,phone\n1,x ,1,13800138000\n2,y,20,13900139000\n2,<b>z</b>,3,\n,w,4,13700137000\n"
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("quality")
    (folder / "t.csv").write_text(ROWS)
    (folder / "rules.yaml").write_text(RULES)
    return profile(folder / "t.csv", load_rules(folder / "rules.yaml")).to_dict()


def test_every_failing_check_is_told_with_its_column_and_the_worst_comes_first(
    measured: dict[str, Any],
) -> None:
    found = failures_of(measured)
    told = {(one["column"], one["indicator"]["code"], one["bad"]) for one in found}
    assert ("phone", "0201", 1) in told
    assert ("a.b", "0301", 1) in told, "a column with a point in its name"
    assert ("name", "0305", 1) in told, "of an inverse indicator, A are the faulty ones"
    assert ("a.b + id", "0104", 2) in told, "a rule over several columns names them"
    totals: dict[str, int] = {}
    for one in found:
        totals[one["column"]] = totals.get(one["column"], 0) + one["bad"]
    assert list(totals.values()) == sorted(totals.values(), reverse=True)


def test_the_failures_of_an_indicator_sum_to_what_its_a_and_b_say(measured: dict[str, Any]) -> None:
    found = failures_of(measured)
    for one in measured["indicators"]:
        bad = one["a"] if one["inverse"] else one["b"] - one["a"]
        assert bad == sum(f["bad"] for f in found if f["indicator"]["code"] == one["code"])


def test_the_pictures_name_what_fails_and_escape_it(measured: dict[str, Any]) -> None:
    hostile = {**measured, "name": "<i>.csv"}
    shown = quality_of(hostile)
    assert "&lt;i&gt;.csv" in shown["indicator_picture"]
    assert "<i>" not in shown["indicator_picture"] + shown["failure_picture"]
    assert "a.b" in shown["failure_picture"]
    assert shown["flagged"] == {"phone"}


def test_a_profile_without_checks_tells_its_failures_by_indicator(measured: dict[str, Any]) -> None:
    old = {name: value for name, value in measured.items() if name != "checks"}
    found = failures_of(old)
    assert {one["indicator"]["code"] for one in found} == {
        one["indicator"]["code"] for one in failures_of(measured)
    }
    assert quality_of(old)["failure_picture"] is not None


def test_a_file_in_which_nothing_was_measured_or_failed_has_no_picture_of_it(
    measured: dict[str, Any],
) -> None:
    empty = quality_of({**measured, "indicators": [], "checks": []})
    assert (empty["indicator_picture"], empty["failure_picture"], empty["score"]) == (
        None,
        None,
        None,
    )
    right = [{**one, "a": 0 if one["inverse"] else one["b"]} for one in measured["indicators"]]
    assert quality_of({**measured, "indicators": right, "checks": []})["failure_picture"] is None


@pytest.mark.parametrize(
    ("path", "columns", "found"),
    [
        ("columns.a.b.required", [], "a.b"), ("always.dirty.x.y", [], "x.y"),
        ("cumulative[0].dead", [], "dead"), ("pairs[1]", ["country + code"], "country + code"),
        ("always.duplicates", [""], ""), ("keys[0]", [], ""), ("references[0].same.city", [], "city"),
    ],
)  # fmt: skip
def test_the_place_of_a_rule_names_its_column(path: str, columns: list[str], found: str) -> None:
    examples = [{"column": one, "row": 1, "value": "", "against": None} for one in columns]
    assert column_of({"path": path, "examples": examples}) == found
