"""Wrong input at the command line: a clear sentence with the place, and nothing is changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter
from click.testing import Result

from tests.story.conftest import Demo

GOOD_ROWS = [
    ["編號", "資料名稱", "資料來源"],
    ["A1", "公園綠地面積", "工務局"],
    ["A2", "市民卡服務據點", "民政局"],
]
SAYS = Callable[..., Result]


@pytest.fixture
def says(demo: Demo) -> SAYS:
    """A command in this process; it must be refused (exit 1) and leave the audit clean."""

    def run(*arguments: str, ok: bool = False) -> Result:
        given = [*arguments, "--home", str(demo.home)]
        result = demo.invoke(*given)
        assert (result.exit_code == 0) == ok, result.output
        return result

    return run


def count(demo: Demo) -> int:
    return int(demo.audit()["records"])


def refused(demo: Demo, says: SAYS, *arguments: str) -> str:
    before = count(demo)
    result = says(*arguments)
    assert result.output.startswith("refused: ")
    found = demo.audit()
    assert found["records"] == before
    assert found["differences"] == []
    return result.output


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def voucher_number(demo: Demo) -> str:
    return str(
        json.loads((demo.folder / "voucher.json").read_bytes())["credentialSubject"]["number"]
    )


class TestASpreadsheet:
    def test_that_is_none(self, demo: Demo, says: SAYS, tmp_path: Path) -> None:
        for name, data in {
            "empty.xlsx": b"", "picture.xlsx": b"\x89PNG\r\n\x1a\n" + b"0" * 99,
            "broken.xlsx": b"PK\x03\x04" + b"0" * 99, "paper.csv": b"%PDF-1.7 " + b"0" * 99,
        }.items():  # fmt: skip
            (tmp_path / name).write_bytes(data)
            said = refused(demo, says, "import", "catalogue", str(tmp_path / name), "--as", "wang")
            assert name in said

    def test_that_is_not_there(self, demo: Demo, says: SAYS) -> None:
        assert "nowhere.xlsx" in refused(
            demo, says, "import", "catalogue", "nowhere.xlsx", "--as", "wang"
        )

    @pytest.mark.parametrize("encoding", ["big5", "gbk", "utf-8-sig"])
    def test_in_another_encoding_is_read(
        self, demo: Demo, says: SAYS, tmp_path: Path, encoding: str
    ) -> None:
        text = "\n".join(",".join([*row, encoding]) for row in GOOD_ROWS)
        path = tmp_path / "目录.csv"
        path.write_bytes(
            text.replace(f"資料來源,{encoding}", "資料來源,備註")
            .replace("A", encoding)
            .encode(encoding)
        )
        says("import", "catalogue", str(path), "--as", "wang", ok=True)
        assert demo.audit()["differences"] == []

    def test_with_an_unknown_column_is_refused_when_strict(
        self, demo: Demo, says: SAYS, tmp_path: Path
    ) -> None:
        rows = [["編號", "資料名稱", "資料來源", "心情"], ["Z1", "甲", "乙", "好"]]
        path = write(tmp_path / "a.csv", "\n".join(",".join(row) for row in rows))
        said = refused(demo, says, "import", "catalogue", path, "--strict", "--as", "wang")
        assert "心情" in said

    def test_is_checked_in_words_and_an_export_of_ours_comes_back_unchanged(
        self, demo: Demo, says: SAYS, tmp_path: Path
    ) -> None:
        rows = [["編號", "資料名稱", "資料集提供機關", "更新頻率", "共享属性"],
                ["W1", "甲", "工務局", "每月", "无条件共享"]]  # fmt: skip
        path = write(tmp_path / "w.csv", "\n".join(",".join(row) for row in rows))
        says("import", "catalogue", path, "--as", "wang", ok=True)
        rows = [row[:-1] for row in rows]  # of what it has no column for, it says nothing
        write(tmp_path / "w.csv", "\n".join(",".join(row) for row in rows).replace("每月", "每年"))
        told = says("import", "catalogue", path, "--check", "--as", "wang", ok=True).output
        assert "Update cycle: monthly → annual" in told
        assert "Sharing:" not in told
        before, out = count(demo), str(tmp_path / "out.xlsx")
        says("catalogue", "export", out, ok=True)
        told = says("import", "catalogue", out, "--check", "--as", "wang", ok=True).output
        assert "0 new, 0 changed" in told
        assert count(demo) == before

    def test_with_bad_rows_names_them_all_at_once(
        self, demo: Demo, says: SAYS, tmp_path: Path
    ) -> None:
        path = tmp_path / "bad.xlsx"
        with xlsxwriter.Workbook(str(path)) as book:
            sheet = book.add_worksheet("目录")
            rows = [
                GOOD_ROWS[0],
                ["B1", "", "工務局"],
                ["B2", "甲", "乙"],
                ["", "丙", "丁"],
                ["B2", "戊", "己"],
            ]
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
        said = refused(demo, says, "import", "catalogue", str(path), "--as", "wang")
        for place in ("row 2", "row 4", "row 5", "目录"):
            assert place in said


class TestAnAmount:
    @pytest.mark.parametrize("amount", ["-1.00", "12.345", "1e5", "NaN", "1,000.00", "", "１２.00"])
    def test_that_is_negative_or_over_precise(self, demo: Demo, says: SAYS, amount: str) -> None:
        said = refused(
            demo, says, "payment", "record", "XK-DEMO-0001", f"--amount={amount}", "--on",
            "2026-11-01", "--reference", "R-1", "--as", "wu",
        )  # fmt: skip
        assert "amount" in said

    def test_beyond_the_price(self, demo: Demo, says: SAYS) -> None:
        refused(
            demo, says, "payment", "record", "XK-DEMO-0001", "--amount=0.01", "--on", "2026-11-01",
            "--reference", "R-2", "--as", "wu",
        )  # fmt: skip


class TestAPerson:
    def test_who_does_not_exist(self, demo: Demo, says: SAYS) -> None:
        assert "nobody" in refused(
            demo, says, "application", "accept", "SQ2026-000001", "--as", "nobody"
        )

    def test_who_applied_does_not_review(self, demo: Demo, says: SAYS) -> None:
        says(
            "member", "add", "--party", "91000000DEM000003F", "--login", "both", "--name", "两职",
            "--role", "operator", "--role", "registrar", "--as", "admin", ok=True,
        )  # fmt: skip
        number = json.loads(says("application", "show", self.newest(demo, says), ok=True).output)[
            "number"
        ]
        said = refused(demo, says, "application", "accept", number, "--as", "both")
        assert "another" in said

    def newest(self, demo: Demo, says: SAYS) -> str:
        """An application by the person who is also a registrar."""
        folder = Path(__file__).resolve().parents[2] / "data" / "demo"
        document = json.loads(json.dumps(_yaml(folder / "application.yaml")))
        document["agreement"] = "XY2026-0001"
        document["data"] = [
            {
                "file": str(folder.parent / "streets.csv"),
                "rules": str(folder.parent / "streets.rules.yaml"),
            }
        ]
        path = write(demo.home / "again.yaml", json.dumps(document))
        result = says("application", "submit", path, "--as", "both", "--json", ok=True)
        return str(json.loads(result.output.splitlines()[-1])["number"])

    def test_who_made_the_statement_does_not_approve_it(
        self, demo: Demo, says: SAYS, tmp_path: Path
    ) -> None:
        approval = write(tmp_path / "a.json", '{"deadline":1,"nonce":0,"signature":"0x00"}')
        said = refused(
            demo, says, "statement", "approve", "FP2026-0001", "--signature", approval, "--as", "wu"
        )
        assert "finance_checker" in said

    def test_whose_signature_is_a_stranger_s(self, demo: Demo, says: SAYS, tmp_path: Path) -> None:
        approval = write(
            tmp_path / "a.json", json.dumps({
                "deadline": 4102444800, "nonce": 0, "signature": "0x" + "11" * 64 + "1b",
            }, sort_keys=True, separators=(",", ":")),
        )  # fmt: skip
        refused(
            demo, says, "statement", "approve", "FP2026-0001", "--signature", approval,
            "--as", "zheng",
        )  # fmt: skip

    def test_of_another_organisation(self, demo: Demo, says: SAYS) -> None:
        said = refused(demo, says, "agreement", "sign", "XY2026-0001", "--as", "zhang")
        assert "provider" in said


class TestAPassphrase:
    def test_that_is_wrong(self, demo: Demo, says: SAYS, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(demo.environment, "SHUZHENG_PASSPHRASE", "not the passphrase")
        assert "passphrase" in refused(demo, says, "seal")

    def test_that_is_missing(
        self, demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SHUZHENG_PASSPHRASE", raising=False)
        result = demo.invoke("init", "--home", str(tmp_path / "h"), "--uscc", "12000000DEM000001E")
        assert result.exit_code == 1
        assert "SHUZHENG_PASSPHRASE" in result.output


class TestAChain:
    def test_whose_node_is_not_there(self, demo: Demo, says: SAYS) -> None:
        assert "shuzheng node" in refused(demo, says, "worker", "--once")

    def test_that_is_another(self, demo: Demo, says: SAYS, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(demo.environment, "CHAIN_RPC_URL", "http://name:secret@127.0.0.1:9/key")
        said = refused(demo, says, "worker", "--once")
        assert "127.0.0.1:9" in said
        assert "secret" not in said


class TestAFile:
    """Files of the wrong shape, and folders that are not there."""

    @pytest.mark.parametrize(
        ("command", "document", "place"),
        [
            (("application", "submit"), {"data": ["a.csv"], "resources": 5}, "resources"),
            (("agreement", "propose"), {"elements": [], "resources": "x"}, "elements"),
            (("licence", "grant", "PZ202609-000001-6"), {"terms": "text"}, "terms"),
            (("appraisal", "draft", "DJ202609-000001-E"), {"disclosures": []}, "disclosures"),
        ],
    )
    def test_whose_fields_are_misshapen(
        self, demo: Demo, says: SAYS, tmp_path: Path, command: tuple[str, ...],
        document: dict[str, object], place: str,
    ) -> None:  # fmt: skip
        path = write(tmp_path / "f.yaml", json.dumps(document))
        assert place in refused(demo, says, *command, path, "--as", "zhang")

    def test_whose_folder_is_not_there(self, demo: Demo, says: SAYS, tmp_path: Path) -> None:
        said = refused(demo, says, "trust", "export", "-o", str(tmp_path / "no" / "trust.json"))
        assert "cannot be read or written" in said

    def test_that_the_demo_would_have_to_remove(self, demo: Demo, tmp_path: Path) -> None:
        (tmp_path / "precious.txt").write_text("mine")
        for more in ([], ["--fresh"]):
            result = demo.invoke("demo", "--home", str(tmp_path), *more)
            assert result.exit_code == 1
            assert "not a demo home" in result.output
        assert (tmp_path / "precious.txt").read_text() == "mine"

    def test_that_is_a_real_home_begun_as_a_demo(self, demo: Demo, tmp_path: Path) -> None:
        (tmp_path / "demo").mkdir()
        (tmp_path / "demo" / "story.json").write_text("{}")
        demo.environment["SHUZHENG_PASSPHRASE"] = "correct horse battery"
        try:
            result = demo.invoke("init", "--home", str(tmp_path))
        finally:
            del demo.environment["SHUZHENG_PASSPHRASE"]
        assert result.exit_code == 1
        assert "demo home" in result.output

    def test_that_says_money_came_in_the_future(self, demo: Demo, says: SAYS) -> None:
        said = refused(
            demo, says, "payment", "record", "XK-DEMO-0001", "--amount=1.00", "--on", "2199-01-01",
            "--reference", "R-9", "--as", "wu",
        )  # fmt: skip
        assert "future" in said


class TestADocument:
    def test_under_another_chain_s_trust_file(self, demo: Demo, tmp_path: Path) -> None:
        trust = json.loads((demo.folder / "trust.json").read_bytes())
        trust["chain"]["genesis"] = "0x" + "11" * 32
        path = write(tmp_path / "t.json", json.dumps(trust, sort_keys=True, separators=(",", ":")))
        done = demo.invoke("verify", str(demo.folder / "bundle.json"), "--trust", path, "--offline")
        assert done.exit_code == 1
        assert "another chain" in done.stdout

    def test_that_brings_its_own_trust(self, demo: Demo, tmp_path: Path) -> None:
        bundle = json.loads((demo.folder / "bundle.json").read_bytes())
        bundle["trust"] = json.loads((demo.folder / "trust.json").read_bytes())
        path = write(
            tmp_path / "b.json",
            json.dumps(bundle, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        )
        done = demo.invoke("verify", path, "--trust", str(demo.folder / "trust.json"), "--offline")
        assert done.exit_code == 1
        assert demo.invoke("verify", path, "--offline").exit_code == 2

    def test_handed_out_too_early(self, demo: Demo, says: SAYS, tmp_path: Path) -> None:
        number = voucher_number(demo)
        says("voucher", "change", "suspend", number, "--reason", "核查", "--as", "wang", ok=True)
        said = refused(demo, says, "voucher", "bundle", number, "-o", str(tmp_path / "b.json"))
        assert "not yet effective" in said

    def test_with_a_mistyped_number(self, demo: Demo, says: SAYS) -> None:
        number = voucher_number(demo)
        wrong = number[:-1] + ("A" if number[-1] != "A" else "B")
        assert "check character" in refused(demo, says, "voucher", "show", wrong)


def _yaml(path: Path) -> dict[str, object]:
    from webapp.cli.run import read_document  # noqa: PLC0415

    return read_document(path)
