"""The commands of the three lists and of the limits of accounts, on a town's home."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.conftest import CREDENTIAL_KEY, Town
from tests.ledger import bookings
from tests.ledger.lists import resource
from webapp.cli import main
from webapp.cli import run as running


@pytest.fixture
def shuzheng(town: Town) -> Any:
    """A command of this town; what it says."""

    def command(*arguments: str, code: int = 0) -> str:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(running, "Home", lambda _folder: town.home)
            patched.setattr(running, "clock", lambda: town.now)
            patched.setattr(town.home, "close", lambda: None)
            patched.setattr(running.Desk, "credential_key", CREDENTIAL_KEY)
            patched.setenv("SHUZHENG_LANG", "en")
            done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return done.output

    return command


def test_a_demand_from_the_file_to_its_end(town: Town, shuzheng: Any, tmp_path: Path) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称"])
    document = tmp_path / "demand.yaml"
    document.write_text(
        "title: 企业登记\npurpose: 贷前审查\nitems: [企业名称]\nuse: opening\nbasis: 合同\n"
    )
    number = "XQ2026-000001"
    assert number in shuzheng("demand", "submit", str(document), "--as", "olga")
    found = json.loads(shuzheng("demand", "matches", number))
    assert found["items"][0]["code"] == row.code
    shuzheng("demand", "accept", number, "--resource", row.code, "--mode", "file", "--by", "2026-04-01",
             "--as", "paul")  # fmt: skip
    shuzheng("demand", "fulfil", number, "--how", "接口", "--as", "paul")
    shuzheng("demand", "close", number, "--as", "olga")
    assert json.loads(shuzheng("demand", "show", number))["state"] == "closed"
    assert json.loads(shuzheng("demand", "list", "--state", "assigned"))["items"] == []


def test_feedback_the_negative_list_and_what_is_owed(
    town: Town, shuzheng: Any, tmp_path: Path
) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称"])
    entry = tmp_path / "entry.yaml"
    entry.write_text("title: 名单\nforbids: [opening]\nbasis: 法\nfrom_on: '2026-03-02'\n"
                     f"review_on: '2027-03-02'\nresource: {row.code}\n")  # fmt: skip
    shuzheng("exclusion", "propose", str(entry), "--as", "paul")
    shuzheng("exclusion", "approve", "FM2026-000001", "--as", "rita")
    shuzheng(
        "feedback", "raise", row.code, "--kind", "quality", "--description", "缺行", "--as", "olga"
    )
    owed = json.loads(shuzheng("responsibilities"))["items"][0]["owed"]
    assert [one["number"] for one in owed] == ["FK2026-000001"]
    shuzheng("feedback", "answer", "FK2026-000001", "--verdict", "explained", "--text", "无误", "--as",
             "paul")  # fmt: skip
    table = tmp_path / "list.csv"
    shuzheng("responsibilities", "-o", str(table))
    assert "市数据局" in table.read_text("utf-8-sig")
    told = shuzheng("demand", "show", "XQ2026-999999", code=1)
    assert "There is no demand XQ2026-999999." in told


def test_a_limit_is_not_called_lifted_before_that_is_decided(town: Town, shuzheng: Any) -> None:
    limit = bookings.limit(town)
    shuzheng("limit", "approve", limit.number, "--as", "carl")
    shuzheng(
        "limit", "lift", limit.number, "--reason", "已解除", "--basis", "通知书", "--as", "mona"
    )
    lifting, held = shuzheng("limit", "list").splitlines()
    assert lifting.split("  ", 3)[3].strip() == "nothing any more  proposed"
    assert held.endswith("4.00  approved")
    said = shuzheng(
        "limit", "lift", "XE2026-0002", "--reason", "x", "--basis", "x", "--as", "mona", code=1
    )
    assert "Limit XE2026-0002 is a lifting itself" in said
