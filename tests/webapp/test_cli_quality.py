"""A person profiles a file without a home; docs/quality.md tells what the two real files hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from webapp.cli import main

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data"
REPORTED = {"streets": "streets.csv", "covid19_daily": "covid19_daily.csv.xz"}


def shuzheng(*arguments: str, code: int = 0) -> str:
    """What a command says, in English."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SHUZHENG_LANG", "en")
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def report(found: dict[str, Any]) -> list[str]:
    """The rows of a report: an indicator a line, and under it each rule that failed, with its rows."""
    checks, lines = {one["path"]: one for one in found["checks"]}, []
    for one in found["indicators"]:
        lines.append(f"| {one['code']} {one['zh']} | {one['a']:,} | {one['b']:,} | |")
        for path in one["checks"]:
            check = checks[path]
            failed = check["a"] if one["inverse"] else check["b"] - check["a"]
            if failed:
                rows = ", ".join(str(example["row"]) for example in check["examples"])
                lines.append(f"| | {failed:,} fail | | `{path}`: rows {rows} |")
    return lines


@pytest.mark.parametrize("name", REPORTED)
def test_the_document_tells_what_the_command_finds_in_the_real_files(name: str) -> None:
    data, rules = DATA / REPORTED[name], DATA / f"{name}.rules.yaml"
    said = shuzheng("profile", str(data), "--rules", str(rules), "--json")
    document = (ROOT / "docs" / "quality.md").read_text("utf-8")
    assert "\n".join(report(json.loads(said))) in document


def test_a_profile_its_score_and_weights_from_the_command_line(tmp_path: Path) -> None:
    data, rules = tmp_path / "t.csv", tmp_path / "t.yaml"
    data.write_text("code,phone\n1,13800138000\n1,x\n,\n", "utf-8")
    (tmp_path / "codes.csv").write_text("c\n2\n", "utf-8")
    rules.write_text(
        "version: 1\ncolumns: {code: {required: true, values_from: {table: codes.csv, column: c}}}\n",
        "utf-8",
    )
    profile, score = tmp_path / "p.json", tmp_path / "q.json"
    said = shuzheng(
        "profile", str(data), "--rules", str(rules), "-o", str(profile), "--value", str(score)
    )
    assert "0105 authoritative reference data: A 0 / B 2, X = 0.000000" in said
    assert "row 2: code = '1'" in said
    assert (
        "phone seems to hold personal data (Mobile number, found by its content): 1 cells" in said
    )
    assert "13800138000" not in said + profile.read_text("utf-8")
    assert json.loads(profile.read_text("utf-8"))["tables"][0]["name"] == "codes.csv"
    assert "indicators" in json.loads(score.read_text("utf-8"))["inputs"]
    equal = shuzheng("value", "quality", str(score))
    judgements = tmp_path / "w.json"
    names = ["规范性", "完整性", "准确性", "一致性", "时效性", "可访问性"]
    matrix = [[1] * 6 for _ in names]
    judgements.write_text(json.dumps({"inputs": {"criteria": names, "matrix": matrix}}), "utf-8")
    shuzheng(
        "profile", str(data), "--rules", str(rules), "--value", str(score), "--weights", str(judgements)
    )  # fmt: skip
    assert shuzheng("value", "quality", str(score)) != equal
    given = json.loads(score.read_text("utf-8"))["inputs"]["indicators"]
    assert len(given) == 20
    matrix[0][1], matrix[1][0] = 9, "1/9"
    matrix[1][2], matrix[2][1] = 9, "1/9"
    judgements.write_text(json.dumps({"inputs": {"criteria": names, "matrix": matrix}}), "utf-8")
    asked = ("profile", str(data), "--value", str(score), "--weights", str(judgements))
    refused = shuzheng(*asked, code=1)
    assert "most deserves mending" in refused


def test_a_first_rule_file_is_proposed_and_fits(tmp_path: Path) -> None:
    rules = tmp_path / "new.yaml"
    assert "correct it" in shuzheng("profile", str(DATA / "streets.csv"), "--propose", str(rules))
    said = shuzheng("profile", str(DATA / "streets.csv"), "--rules", str(rules))
    assert "X = 1.000000" in said
    assert "No rules were given" in shuzheng("profile", str(DATA / "streets.csv"))


def test_what_cannot_be_done_is_told_in_a_sentence(tmp_path: Path) -> None:
    data = str(DATA / "covid19_daily.csv.xz")
    rules = tmp_path / "covid.yaml"
    rules.write_text((DATA / "covid19_daily.rules.yaml").read_text("utf-8"), "utf-8")
    assert "streets.csv, which was not given" in shuzheng(
        "profile", data, "--rules", str(rules), code=1
    )
    given = str(DATA / "streets.csv")
    assert "held against streets.csv" in shuzheng(
        "profile", data, "--rules", str(rules), "--table", given
    )
    assert "ends in .json" in shuzheng("profile", data, "-o", "x.txt", code=1)
    assert "say --value" in shuzheng("profile", data, "--weights", str(rules), code=1)
    assert "cannot be read" in shuzheng("profile", str(tmp_path / "none.csv"), code=1)
