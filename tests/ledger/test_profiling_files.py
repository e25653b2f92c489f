"""A table gives the same profile however it is stored, counted or held; other tables stand beside it."""

import json
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.profiling import Check, Profile, check_rules, profile, propose_rules
from ledger.quality import data_file

ALWAYS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def check(found: Profile, path: str) -> Check:
    return next(one for one in found.checks if one.path == path)


def ab(found: Profile, path: str) -> tuple[int, int]:
    return check(found, path).a, check(found, path).b


def told(found: Profile) -> Any:
    """What a profile tells of the table, without what tells the file."""
    return found.row_count, found.columns, found.indicators, found.checks, found.personal


# ---------------------------------------------------------------- Parquet

TYPED = pl.DataFrame(
    {
        "code": ["01", "02", None, "04"],
        "n": [1, None, 3, -4],
        "f": [1.0, 0.25, 1e20, float("nan")],
        "d": [date(2024, 1, 31), None, date(1999, 12, 1), date(2024, 2, 29)],
        "at": [datetime(2024, 1, 1, 8), datetime(2024, 1, 1, 8, 0, 0, 120_000), None, datetime(2020, 1, 2)],
        "t": [time(8, 30), None, time(1, 2, 3), time(0)],
        "yes": [True, False, None, True],
        "money": [Decimal("1.50"), Decimal("-0.05"), None, Decimal("100.00")],
        "kind": ["水", "电", "水", None],
        "nothing": [None] * 4,
    },
    schema_overrides={"kind": pl.Categorical, "money": pl.Decimal(12, 2)},
)  # fmt: skip
AS_TEXT = """code,n,f,d,at,t,yes,money,kind,nothing
01,1,1,2024-01-31,2024-01-01 08:00:00,08:30:00,true,1.50,水,
02,,0.25,,2024-01-01 08:00:00.120,,false,-0.05,电,
,3,100000000000000000000,1999-12-01,,01:02:03,,,水,
04,-4,NaN,2024-02-29,2020-01-02 00:00:00,00:00:00,true,100.00,,
"""


def test_a_parquet_file_has_the_profile_of_the_csv_file_it_would_be(tmp_path: Path) -> None:
    TYPED.write_parquet(tmp_path / "t.parquet")
    rules = {
        "version": 1,
        "columns": {"n": {"type": "integer", "min": 0}, "money": {"type": "decimal", "max": 2},
                    "d": {"type": "date", "required": True}, "yes": {"type": "boolean"}},
        "keys": [["kind"]],
    }  # fmt: skip
    typed, text = profile(tmp_path / "t.parquet", rules), profile(written(tmp_path, AS_TEXT), rules)
    assert told(typed) == told(text)
    assert (typed.format, typed.encoding, typed.digest) == ("parquet", None, typed.content_digest)
    assert typed.to_dict()["method"]["version"] == 2
    assert text.to_dict()["method"]["version"] == 1
    assert "tables" not in typed.to_dict()
    assert ab(typed, "columns.n.range") == (2, 3)
    assert check(typed, "columns.d.required").examples[0].row == 3


@ALWAYS
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(-(2**40), 2**40),
            st.none() | st.decimals(-999, 999, places=2),
            st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
            st.none() | st.sampled_from(["", " ", "a", "一", "a,b", 'c"d', "e\nf"]),
        ),
        min_size=1,
        max_size=8,
    ),
    held=st.booleans(),
)
def test_any_typed_table_reads_alike_as_parquet_and_as_csv(
    tmp_path: Path, rows: list[Any], held: bool
) -> None:
    schema = {"n": pl.Int64, "m": pl.Decimal(9, 2), "d": pl.Date, "s": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    rules = {
        "version": 1,
        "columns": {"n": {"type": "integer"}, "m": {"type": "decimal", "min": 0}, "s": {"required": True}},
        "keys": [["n", "s"]],
        "pairs": [["d", "s"]],
        "comparisons": [{"left": ["n"], "op": ">", "right": ["m"]}],
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data_file, "HELD_BYTES", 10**9 if held else 0)
        found = profile(tmp_path / "t.parquet", rules), profile(tmp_path / "t.csv", rules)
    assert told(found[0]) == told(found[1])


def test_a_parquet_file_that_is_no_table_of_single_values_is_refused(tmp_path: Path) -> None:
    nested = pl.DataFrame({"a": [1], "tags": [["x"]], "at": [{"x": 1}], "raw": [b"x"]})
    nested.write_parquet(tmp_path / "nested.parquet")
    with pytest.raises(Invalid, match=r"no single values: tags .*; at .*; raw"):
        profile(tmp_path / "nested.parquet", {"version": 1})
    TYPED.write_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    broken = bytearray(whole)
    broken[8:200] = bytes(192)
    for data in (
        whole[:-9],
        whole[:4],
        b"PARE" + whole[4:-4] + b"PARE",
        bytes(broken),
        b"PAR1PAR1",
    ):
        with pytest.raises(Invalid, match="damaged or encrypted"):
            profile(written(tmp_path, data, "bad.parquet"), {"version": 1})


def test_a_parquet_file_may_have_no_rows_and_odd_names(tmp_path: Path) -> None:
    pl.DataFrame({"row": [1], "c0": ["x"], "a=1": [2]}).write_parquet(tmp_path / "[x]*.parquet")
    found = profile(tmp_path / "[x]*.parquet", {"version": 1, "keys": [["row"]]})
    assert [one.name for one in found.columns] == ["row", "c0", "a=1"]
    TYPED.clear().write_parquet(tmp_path / "empty.parquet")
    assert profile(tmp_path / "empty.parquet", {"version": 1}).row_count == 0
    assert propose_rules(tmp_path / "empty.parquet")["columns"]["n"] == {"type": "text"}


# ---------------------------------------------------------------- in parts

TABLE = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "a", "b", "c", "d"]),
        st.sampled_from(["1", "2", "30", "x", ""]),
        st.sampled_from(["2024-01-01", "2024-01-02", "2024-01-05", "", "no day"]),
        st.sampled_from(["g", "h", ""]),
    ),
    min_size=1,
    max_size=25,
)
EVERY_RULE: dict[str, Any] = {
    "version": 1,
    "columns": {
        "k": {"required": True, "values": ["a", "b"], "unique": True},
        "n": {"type": "integer", "min": 2, "pattern": "^[0-9]$"},
        "d": {"type": "date", "min": "2024-01-02"},
    },
    "expected": {
        "series": {"order": "d", "by": ["g"], "every": "day"}, "per_group": {"by": ["g"], "count": 4},
    },
    "keys": [["k", "n"], ["d", "g"]],
    "pairs": [["k", "n"]],
    "requires": [{"column": "d", "needs": ["k", "g"]}],
    "same": [{"key": ["g"], "value": "k"}],
    "references": [{"columns": ["k"], "table": "other.csv", "key": ["id"], "same": {"g": "group"}}],
    "cumulative": [{"columns": ["n"], "by": ["g"], "order": "d"}, {"columns": ["n"], "order": "d"}],
    "comparisons": [{"left": ["n"], "op": "<", "right": ["n"]}],
    "order": {"column": "d", "by": ["g"]},
    "period": {"column": "d", "from": "2024-01-01", "to": "2024-01-02"},
    "freshness": {"column": "d", "by": ["g"], "at_most_days": 1, "as_of": "2024-01-05"},
}  # fmt: skip


@pytest.mark.slow
@ALWAYS
@given(rows=TABLE, order_by=st.sampled_from([[], ["g"]]))
def test_counting_in_parts_and_in_a_stream_changes_nothing(
    tmp_path: Path, rows: list[Any], order_by: list[str]
) -> None:
    path = written(tmp_path, "k,n,d,g\n" + "".join(",".join(row) + "\n" for row in rows))
    others = {"other.csv": written(tmp_path, "id,group\na,g\nb,h\nb,g\n", "other.csv")}
    rules = EVERY_RULE | {"order": {"column": "d", "by": order_by}}
    whole, proposed = profile(path, rules, tables=others), propose_rules(path)
    for held_bytes, counted_bytes in ((0, 10**9), (0, 200), (10**9, 200)):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(data_file, "HELD_BYTES", held_bytes)
            patched.setattr(data_file, "COUNTED_BYTES", counted_bytes)
            found = profile(path, rules, tables=others)
            assert told(found) == told(whole)
            assert propose_rules(path) == proposed


# ---------------------------------------------------------------- other tables, code lists, groups


def test_a_row_finds_its_partner_in_another_table_which_says_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, "code,city\n1101,甲\n1102,乙\n1202,丙\n,丁\n1202,丙\n1101,己\n")
    other = written(tmp_path, "id,name\n1101,甲\n1102,丑\n1102,\n", "cities.csv")
    rule = {"columns": ["code"], "table": "cities.csv", "key": ["id"], "same": {"city": "name"}}
    found = profile(path, {"version": 1, "references": [rule]}, tables={"cities.csv": other})
    assert ab(found, "references[0]") == (3, 5)
    example = check(found, "references[0]").examples
    assert [(one.row, one.value, one.against) for one in example] == [
        (4, "1202", "not in cities.csv")
    ]
    assert ab(found, "references[0].same.city") == (1, 3)
    apart = check(found, "references[0].same.city").examples
    assert [(one.row, one.value, one.against) for one in apart] == [
        (3, "1102 + 乙", "丑"), (7, "1101 + 己", "甲"),
    ]  # fmt: skip
    assert (found.indicator("0402").b, found.indicator("0401").b) == (5, 3)
    (table,) = found.to_dict()["tables"]
    assert (table["name"], table["row_count"]) == ("cities.csv", 3)
    first_two = {"version": 1, "references": [{**rule, "length": 2, "same": None}]}
    assert ab(profile(path, first_two, tables={"cities.csv": other}), "references[0]") == (3, 5)


@ALWAYS
@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=4))
def test_the_partners_are_those_of_plain_python(
    tmp_path: Path, rows: list[str], others: list[str]
) -> None:
    path = written(tmp_path, "k\n" + "".join(f"{one}\n" for one in rows))
    other = written(tmp_path, "k\n" + "".join(f"{one}\n" for one in others), "o.csv")
    rules = {
        "version": 1,
        "columns": {"k": {"values_from": {"table": "o.csv", "column": "k"}}},
        "references": [{"columns": ["k"], "table": "o.csv", "key": ["k"]}],
    }
    found = profile(path, rules, tables={"o.csv": other})
    expected = (sum(one in others for one in rows), len(rows))
    assert ab(found, "references[0]") == ab(found, "columns.k.values_from") == expected


def test_a_table_or_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a\n1\n")
    rules = {"version": 1, "references": [{"columns": ["a"], "table": "b.csv", "key": ["b"]}]}
    with pytest.raises(Invalid, match=r"looks? into the table b\.csv, which was not given"):
        profile(path, rules, tables={"c.csv": path})
    with pytest.raises(Invalid, match=r"b\.csv has no column b, .*; it has: a"):
        profile(path, rules, tables={"b.csv": path})


def test_records_are_counted_by_group_against_what_should_be_there(tmp_path: Path) -> None:
    path = written(tmp_path, "g,v\na,1\na,2\na,3\nb,1\n,9\n")
    counted = {"by": ["g"], "counts": {"a": 2, "b": 2, "c": 1}}
    found = profile(path, {"version": 1, "expected": {"per_group": counted}})
    assert ab(found, "expected.per_group") == (3, 5)
    assert [(one.value, one.against) for one in check(found, "expected.per_group").examples] == [
        ("b", "1 of 2"), ("c", "0 of 1"),
    ]  # fmt: skip
    same = {"version": 1, "expected": {"per_group": {"by": ["g"], "count": 2}}}
    assert ab(profile(path, same), "expected.per_group") == (3, 4)


def test_faults_of_the_new_rules_are_told_with_their_paths() -> None:
    rules = {
        "version": 1,
        "columns": {"a": {"values_from": {"table": "../x.csv"}}},
        "expected": {"per_group": {"by": ["a", "b"], "counts": {"x": 0}}},
        "references": [
            {"columns": ["a", "b"], "table": "x.csv", "key": ["k"], "same": {"zz": "n"}},
            3,
        ],
    }
    with pytest.raises(Invalid) as refusal:
        check_rules(rules, ["a", "b"])
    assert {one["path"] for one in refusal.value.facts["faults"]} == {
        "columns.a.values_from.table", "columns.a.values_from.column", "expected.per_group.counts",
        "expected.per_group.counts.x", "references[0].key", "references[0].same.zz", "references[1]",
    }  # fmt: skip


# ---------------------------------------------------------------- what is awkward


def test_quotes_line_ends_and_huge_cells_stay_in_their_cell(tmp_path: Path) -> None:
    huge = "长" * 400_000
    text = f'\ufeffa,b\r\n"x\r\ny","say ""no"""\r\n{huge},2\r\n\r\n  , \r\nz,\r\n'
    found = profile(written(tmp_path, text), {"version": 1, "columns": {"b": {"required": True}}})
    assert (found.row_count, found.encoding) == (3, "utf-8")
    assert found.columns[0].max_length == 400_000
    assert ab(found, "columns.b.required") == (2, 3)
    assert ab(profile(written(tmp_path, text), {"version": 1, "keys": [["a"]]}), "keys[0]") == (
        3,
        3,
    )


def test_a_workbook_s_formulas_count_by_what_they_show(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "t.xlsx")
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["a", "b"])
    sheet.write(1, 0, 2)
    sheet.write_formula(1, 1, "=A2*2", None, 4)
    sheet.write(2, 0, 3)
    sheet.write_formula(2, 1, "=1/0", None, "#DIV/0!")
    book.close()
    rules = {"version": 1, "columns": {"b": {"type": "integer", "required": True}}}
    found = profile(tmp_path / "t.xlsx", rules)
    assert ab(found, "columns.b.type") == (1, 1)
    assert ab(found, "columns.b.required") == (1, 2)  # an error is no value
    assert check(found, "columns.b.required").examples[0].row == 3


# ---------------------------------------------------------------- personal data


def test_names_and_addresses_are_told_by_their_look_and_never_shown(tmp_path: Path) -> None:
    given = [
        "王小明", "李娜", "张三丰", "欧阳锋", "刘德福", "陈静",
        "杨光", "黄山松", "赵云飞", "吴桂英", "周杰",
    ]  # fmt: skip
    homes = [f"浙江省杭州市西湖区文三路{n}号" for n in range(8)] + ["见附件", "无", "另附"]
    rows = "".join(f"{a},{b},{n % 3}\n" for n, (a, b) in enumerate(zip(given, homes, strict=True)))
    path = written(tmp_path, f"甲,乙,丙\n{rows}")
    rules: dict[str, Any] = {
        "version": 1,
        "columns": {"甲": {"pattern": "^x"}, "乙": {"pattern": "^x"}},
    }
    found = profile(path, rules)
    assert [(one.column, one.kind, one.ground, one.cell_count) for one in found.personal] == [
        ("甲", "name", "seems", 11), ("乙", "address", "seems", 8),
    ]  # fmt: skip
    shown = json.dumps(found.to_dict(), ensure_ascii=False)
    assert not [one for one in given + homes[:8] if one in shown]
    assert found.to_dict()["method"]["version"] == 2
    proposed = propose_rules(path)["columns"]
    assert proposed["甲"]["personal"] is True
    rules["columns"]["甲"]["personal"] = False
    assert [one.column for one in profile(path, rules).personal] == ["乙"]


def test_words_that_only_begin_like_names_are_no_names(tmp_path: Path) -> None:
    words = [
        "石家庄市", "张家口", "高新区", "水利局", "安全部", "金山镇",
        "马桥村", "江北站", "温州市", "常熟市", "白云山",
    ]  # fmt: skip
    text = "".join(f"{one}\n" for one in words)
    assert profile(written(tmp_path, f"地名\n{text}"), {"version": 1}).personal == ()
    few = written(tmp_path, "经办\n" + "王小明\n李娜\n" * 9)
    assert profile(few, {"version": 1}).personal == ()


def test_a_list_of_few_names_is_not_written_into_the_proposed_rules(tmp_path: Path) -> None:
    path = written(tmp_path, "联系人,类\n" + "王小明,a\n李娜,b\n" * 30)
    assert "王小明" not in json.dumps(propose_rules(path), ensure_ascii=False)
    assert propose_rules(path)["columns"]["类"]["values"] == ["a", "b"]


def test_a_first_row_with_personal_data_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refusal:
        profile(written(tmp_path, "甲,13800138000\n乙,13900139000\n"), {"version": 1})
    assert "seems to be no header" in str(refusal.value)
    assert "13800138000" not in str(refusal.value)
