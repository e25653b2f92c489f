"""The payment file: a golden CSV, a workbook of text cells, what was changed; and the files of banks."""

import csv
import io
from pathlib import Path

import openpyxl
import pytest

from ledger import bank_files, payment_files, trade_reports
from ledger.errors import Invalid
from ledger.payment_files import Payment
from ledger.tabular import read_table

GOLDEN = Path(__file__).parents[1] / "golden" / "payments" / "payment_file.csv"
PAYMENTS = [
    Payment(1, "ZF2026-000001-00001", "城数运营有限公司", "6222021234567890123", "城市商业银行",
            "市府路支行", 123_450, "数据收益分配 FP2026-0001"),
    Payment(2, "ZF2026-000001-00002", "市数据局", "011050161360000123", "建设银行", "营业部",
            10**13, "政府非税收入 FP2026-0001", "0310010", "103043201"),
    Payment(3, "ZF2026-000001-00003", '=HYPERLINK("http://x")', "80001234567", "+银行", "-1", 1, "@用途"),
]  # fmt: skip


def test_the_csv_is_the_golden_one_byte_for_byte() -> None:
    """A change here is a change of what banks are handed: it wants a decision note."""
    assert payment_files.as_csv(PAYMENTS) == GOLDEN.read_bytes()


def test_a_spreadsheet_takes_the_csv_for_text_and_reckons_with_nothing() -> None:
    data = payment_files.as_csv(PAYMENTS)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == list(payment_files.TITLES)
    assert (rows[1][3], rows[2][8]) == ("6222021234567890123\t", "0310010\t")
    assert not [cell for row in rows for cell in row if cell.startswith(payment_files.FORMULA)]
    assert (*rows[-1][:2], rows[-1][6]) == ("合计", "3 笔", "100000001234.51")


def test_the_workbook_holds_text_but_for_amounts_and_the_same_bytes_each_time() -> None:
    data = payment_files.as_xlsx(PAYMENTS)
    assert data == payment_files.as_xlsx(PAYMENTS)
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    assert sheet["D2"].value == "6222021234567890123"
    assert (sheet["D2"].number_format, sheet["D2"].data_type) == ("@", "s")
    assert (sheet["G2"].value, sheet["G2"].number_format) == (1234.5, "0.00")
    assert sheet["C4"].data_type == "s", "no formula"


@pytest.mark.parametrize("write", [payment_files.as_csv, payment_files.as_xlsx])
def test_what_is_read_back_is_unchanged_and_a_change_is_named(write: object) -> None:
    data = write(PAYMENTS)  # type: ignore[operator]
    table = read_table(data, "list")
    assert payment_files.serials(table) == [one.serial for one in PAYMENTS]
    assert not payment_files.differences(PAYMENTS, table)
    other = [PAYMENTS[0], Payment(*(*PAYMENTS[1].__dict__.values(),)), PAYMENTS[2]]
    other[0] = Payment(1, PAYMENTS[0].serial, "他人", "6222021234567890124", "城市商业银行", "市府路支行",
                       123_451, PAYMENTS[0].purpose)  # fmt: skip
    told = str(payment_files.differences(other, table))
    assert "row 2: 收款人名称 is 城数运营有限公司, approved was 他人" in told
    assert "row 2: 收款账号 is another one than was approved" in told
    assert "row 2: 金额(元) is 1234.5" in told
    assert "622202" not in told
    assert "row 5: 金额(元)" in told, "the total too"
    fewer = str(payment_files.differences(PAYMENTS[:2], table))
    assert "row 5 was added" in fewer
    assert "80001234567" not in fewer
    assert "is missing" in str(
        payment_files.differences([*PAYMENTS, PAYMENTS[0]], table)
    )  # fmt: skip


def test_another_table_is_no_payment_file() -> None:
    with pytest.raises(Invalid, match="no payment file"):
        payment_files.serials(read_table(b"a,b\n1,2\n", "x.csv"))


RESULTS = """流水号,金额(元),处理结果,交易日期,银行流水号,失败原因
ZF-1,"1,234.50",成功,2026/3/4,BK1,
ZF-2,￥2.00,失败,,,账号有误
ZF-1,"1,234.50",退汇,2026/3/5,BK9,户名不符
合计,1236.50,,,,
"""


def test_a_result_file_is_read_whatever_its_encoding_and_spelling() -> None:
    for encoding in ("utf-8-sig", "gb18030"):
        one, other, back = bank_files.read_results(RESULTS.encode(encoding), "r.csv")
        assert (one.serial, one.amount_fen, one.paid, one.day, one.reference) == (
            "ZF-1", 123_450, True, "2026-03-04", "BK1",
        )  # fmt: skip
        assert (back.returned, back.paid, back.day, back.reference) == (
            True,
            False,
            "2026-03-05",
            "BK9",
        )
        assert (other.paid, other.reason, other.amount_fen) == (False, "账号有误", 200)


def test_a_result_may_tell_the_debit_that_paid_several() -> None:
    head = "流水号,金额,结果,交易日期,银行流水号,批次金额\n"
    rows = f"{head}A,1.00,成功,2026-03-04,PL1,3.50\nB,2.50,成功,2026-03-04,PL1,3.50\n"
    assert [one.debit_fen for one in bank_files.read_results(rows.encode(), "r.csv")] == [350, 350]
    for given in ("0", "3.505", "x"):
        with pytest.raises(Invalid, match=f"row 2: {given} is no amount in yuan"):
            bank_files.read_results(f"{head}A,1.00,成功,2026-03-04,PL1,{given}".encode(), "r.csv")
    for given in ("0.00", "-"):  # nothing was taken for what was not paid
        failed = f"{head.strip()},失败原因\nA,1.00,失败,,,{given},账号有误\n"
        assert bank_files.read_results(failed.encode(), "r.csv")[0].debit_fen is None


def test_every_faulty_row_of_a_result_is_named_at_once() -> None:
    bad = "流水号,金额,结果,日期,银行流水号\nA,1.234,成功,3.4.2026,\nA,1.00,也许,,\n,0,失败,,\n"
    with pytest.raises(Invalid) as refusal:
        bank_files.read_results(bad.encode(), "r.csv")
    told = str(refusal.value)
    for part in ("row 2: 1.234 is no amount", "row 2: 3.4.2026 is no day", "row 2: the bank's reference",
                 "row 3: A stands already in row 2", "row 3: the result 也许", "row 4: the serial",
                 "row 4: 0 is no amount", "row 4: a payment that failed"):  # fmt: skip
        assert part in told, part
    with pytest.raises(Invalid, match="lacks the columns 流水号、结果"):
        bank_files.read_results("金额,日期\n1,2026-03-04\n".encode(), "r.csv")


STATEMENT = """交易日期,银行流水号,收入,支出,对方户名,摘要,余额
2026-03-02,R1,100.00,,甲公司,货款,100.00
2026-03-03,R2,,30.00,乙公司,,70.00
"""


def test_a_statement_is_read_forwards_and_backwards_and_its_balances_must_follow() -> None:
    rows = bank_files.read_statement(STATEMENT.encode(), "s.csv")
    assert [(one.amount_fen, one.day) for one in rows] == [
        (10_000, "2026-03-02"),
        (-3_000, "2026-03-03"),
    ]
    assert bank_files.closing_fen(rows) == 7_000
    head, one, two = STATEMENT.splitlines()
    back = bank_files.read_statement(f"{head}\n{two}\n{one}\n".encode(), "s.csv")
    assert bank_files.closing_fen(back) == 7_000
    with pytest.raises(Invalid, match="row 3: its balance does not follow"):
        bank_files.read_statement(STATEMENT.replace("70.00", "71.00").encode(), "s.csv")
    with pytest.raises(Invalid, match="row 2: a movement either comes in or goes out"):
        bank_files.read_statement(STATEMENT.replace("100.00,,", "100.00,1.00,").encode(), "s.csv")


def read(text: str, *, results: bool = False) -> list[int]:
    """The amounts of an account statement or of results, in fen."""
    of = bank_files.read_results if results else bank_files.read_statement
    return [one.amount_fen for one in of(text.encode(), "s.csv")]  # type: ignore[attr-defined]


PLAIN = "摘要,交易日期,银行流水号,收入,支出\n"
R1 = "货款,2026-03-02,R1,100.00,\n"


def test_a_movement_is_no_total_because_of_how_a_cell_begins() -> None:
    assert read(f"{PLAIN}{R1}合计划拨款,2026-03-02,R2,,5000.00\n") == [10_000, -500_000]
    assert read(f"{PLAIN}{R1}合计,2026-03-02,R2,,5.00\n") == [10_000, -500], "it has a day"
    with pytest.raises(Invalid, match="row 3: - is no day"):
        read(f"{PLAIN}{R1}合计,,R2,,5000.00\n")
    with pytest.raises(Invalid, match="row 3: - is no day"):
        read(f"{PLAIN}{R1}合计划拨款,,,,5000.00\n")


def test_totals_stand_anywhere_and_are_the_sums_of_the_rows() -> None:
    more = "货款,2026-03-03,R2,7.00,\n"
    good = f"{PLAIN}{R1}小计,,,100.00,0.00\n{more}小 计：,,,7.00,\n,,合计:,107.00,0\n"
    assert read(good) == [10_000, 700]
    assert read(PLAIN + "总计,,,100.00,\n" + R1) == [10_000], "above the rows too"
    with pytest.raises(
        Invalid, match=r"row 3: the total 90\.00 is not the sum of the rows, 100\.00"
    ):
        read(f"{PLAIN}{R1},,合计,90.00,\n")
    with pytest.raises(
        Invalid, match=r"row 5: the total 107\.00 is not the sum of the rows, 7\.00"
    ):
        read(good.replace("7.00,\n,,合计", "107.00,\n,,合计"))
    with pytest.raises(
        Invalid, match=r"row 5: the total 1236\.49 is not the sum of the rows, 1236\.50"
    ):
        read(RESULTS.replace("1236.50", "1236.49"), results=True)
    back = RESULTS.splitlines()[0] + "\nZF-1,5.00,退汇,2026-03-04,BK2,户名不符\n合计,5.00,,,,\n"
    assert read(back, results=True) == [500], "only what came back"


@pytest.mark.parametrize(
    ("cell", "fen"),
    [
        ("1,234.5", 123_450), ("12,345,678", 1_234_567_800), ("￥１２．５０", 1_250), ("¥3元", 300),
        ("100000000000", 10**13), ("100000000000.01", None), ("1,23", None), ("12,50", None),
        ("1,23.00", None), ("1234,567", None), ("0,123", None), ("1e3", None), ("1.234", None),
        ("1.", None), ("-1", None), ("+1", None), ("012", None), ("1²", None), ("٣", None),
        ("9" * 30, None),
    ],
)  # fmt: skip
def test_amounts_have_one_rule_in_all_files(cell: str, fen: int | None) -> None:
    statement = f'{PLAIN}x,2026-03-02,R1,"{cell}",\n'
    report = f'交易编号,交易日期,金额\nT1,2026-03-02,"{cell}"\n'.encode()
    if fen is not None:
        assert read(statement) == [fen]
        assert trade_reports.read_report(report, "r.csv")["amount_fen"].to_list() == [fen]
        return
    with pytest.raises(Invalid, match=r"row 2: .* is no amount in yuan"):
        read(statement)
    with pytest.raises(Invalid, match=r"row 2: .* is no amount in yuan"):
        trade_reports.read_report(report, "r.csv")


def test_two_columns_for_one_thing_are_a_fault_but_what_banks_print_beside_it_is_not() -> None:
    with pytest.raises(Invalid, match="the columns 收入 and 贷方发生额 mean the same"):
        read(PLAIN.replace("摘要", "贷方发生额") + "1,2026-03-02,R1,1,\n")
    with pytest.raises(Invalid, match="the columns 收入 and 收入 mean the same"):
        read(PLAIN.replace("摘要", "收入") + "1,2026-03-02,R1,1,\n")
    beside = "摘要,附言,交易时间,凭证号,交易日期,银行流水号,收入,支出\n"
    assert read(f"{beside}货款,x,10:00,V9,2026-03-02,R1,1.00,\n") == [100]
    for header in ("交易编号,金额,成交金额,日期", "交易编号,金额,金额,日期"):
        with pytest.raises(Invalid, match="mean the same"):
            trade_reports.read_report(f"{header}\nT1,1,1,2026-03-02\n".encode(), "r.csv")


def test_an_amount_cut_in_two_by_its_comma_is_named() -> None:
    with pytest.raises(Invalid, match="row 2: it has more cells than there are headings"):
        read(f"{PLAIN}货款,2026-03-02,R1,,1,234.00\n")
    with pytest.raises(Invalid, match="row 2: it has more cells than there are headings"):
        trade_reports.read_report("交易编号,日期,金额\nT1,2026-03-02,1,234.00\n".encode(), "r.csv")


def workbook(*rows: tuple[str, ...]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_report_is_read_alike_from_text_and_workbook_whatever_its_headings() -> None:
    head, rows = ("row", "交易编号", "金额", "日期"), [
        ("1", "T1", "1,000.00", "2026-03-02"), ("2", "合计划拨", "2", "2026/03/03"),
        ("", "合计", "1002.00", ""),
    ]  # fmt: skip
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in (head, *rows))
    wrong = (*rows[:2], ("", "合计", "1002.01", ""))
    bad = workbook(head, *wrong), text.replace("1002.00", "1002.01").encode()
    for data in (workbook(head, *rows), text.encode(), f"\n\n{text}".encode()):
        found = trade_reports.read_report(data, "r")
        assert found.select("trade", "amount_fen", "day").rows() == [
            ("T1", 100_000, "2026-03-02"), ("合计划拨", 200, "2026-03-03"),
        ]  # fmt: skip
        assert found["row"].to_list() in ([2, 3], [4, 5])
    for data in bad:
        with pytest.raises(
            Invalid, match=r"the total 1002\.01 is not the sum of the rows, 1002\.00"
        ):
            trade_reports.read_report(data, "r")


@pytest.mark.parametrize("row", [",5.00,2026-03-02", "T1,,", ",,2026-03-02", "小计划,5.00,"])
def test_no_row_of_a_report_is_passed_over_in_silence(row: str) -> None:
    with pytest.raises(Invalid, match="row 2"):
        trade_reports.read_report(f"交易编号,金额,日期\n{row}\n".encode(), "r.csv")
