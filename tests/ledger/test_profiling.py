"""Quality is counted exactly against written rules, and what the data cannot tell is asked."""

import contextlib
import gzip
import json
import lzma
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stdnum import luhn

from ledger.errors import Invalid
from ledger.profiling import (
    INDICATORS,
    Check,
    Profile,
    check_rules,
    dump_rules,
    load_rules,
    profile,
    propose_rules,
)
from ledger.quality import data_file
from ledger.quality import rules as quality_rules
from ledger.quality.personal_data import mask_embedded

DATA = Path(__file__).parents[2] / "data"
DIVISIONS_DIGEST = "sha256:831dc1c483079cee166717118e57f4b69ef6212c699dbd4bff868b59513ac14b"
DIVISIONS = {"streets.csv": DATA / "streets.csv"}


@pytest.fixture(scope="module")
def streets() -> Profile:
    return profile(DATA / "streets.csv", load_rules(DATA / "streets.rules.yaml"))


@pytest.fixture(scope="module")
def covid() -> Profile:
    rules = load_rules(DATA / "covid19_daily.rules.yaml")
    return profile(DATA / "covid19_daily.csv.xz", rules, tables=DIVISIONS)


def measured(found: Profile) -> dict[str, tuple[int, int]]:
    return {one.code: (one.a, one.b) for one in found.indicators}


def check(found: Profile, path: str) -> Check:
    return next(one for one in found.checks if one.path == path)


def ab(found: Profile, path: str) -> tuple[int, int]:
    return check(found, path).a, check(found, path).b


def written(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8", newline="")
    return path


def faults(rules: Any, header: list[str] | None = None) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        check_rules(rules, header)
    return {one["path"]: one["fault"] for one in refusal.value.facts["faults"]}


# ---------------------------------------------------------------- the two real files


def test_the_divisions_are_sound_but_for_28_names_with_brackets(streets: Profile) -> None:
    assert measured(streets) == {
        "0101": (41352, 41352), "0102": (5, 5), "0105": (41352, 41352),
        "0201": (206760, 206760), "0202": (41352, 41352),
        "0302": (206732, 206760), "0303": (0, 41352), "0304": (82704, 82704),
        "0305": (0, 206760), "0402": (124056, 124056),
    }  # fmt: skip
    assert ab(streets, "columns.name.pattern") == (41324, 41352)
    example = check(streets, "columns.name.pattern").examples[0]
    assert (example.row, example.value) == (572, "天津经济技术开发区（其他片区）")


def test_the_case_counts_have_these_faults(covid: Profile) -> None:
    assert covid.row_count == 229_084
    assert measured(covid) == {
        "0101": (1145420, 1145420), "0102": (11, 11), "0104": (1071547, 1072983),
        "0105": (170103, 170103),
        "0201": (1602129, 1603588), "0202": (229084, 231171), "0301": (1145420, 1145420),
        "0302": (542324, 555814), "0303": (0, 229084), "0304": (229084, 229084),
        "0305": (0, 2259501), "0401": (555814, 555814), "0402": (855435, 874439),
        "0501": (229084, 229084), "0502": (755, 811), "0503": (229083, 229083),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "faulty"),
    [
        ("cumulative[0].confirmed", 152),
        ("cumulative[0].cured", 348),
        ("cumulative[0].dead", 109),
        ("comparisons[0]", 827),
        ("columns.countryCode.required", 1459),
        ("pairs[0]", 1459),
        ("pairs[1]", 0),
        ("pairs[2]", 994),
        ("hierarchies[0].cityCode", 1116),
        ("references[0]", 15435),
        ("columns.cityCode.pattern", 13490),
        ("expected.series", 2087),
        ("freshness", 56),
    ],
)
def test_each_fault_of_the_case_counts_is_counted(covid: Profile, path: str, faulty: int) -> None:
    one = check(covid, path)
    assert one.b - one.a == faulty
    assert len(one.examples) == min(faulty, 5)


def test_an_example_says_where_what_and_against_what(covid: Profile) -> None:
    first = check(covid, "cumulative[0].confirmed").examples[0]
    assert (first.row, first.column, first.value, first.against) == (101, "confirmed", "41", "44")


def test_what_the_data_cannot_tell_is_asked(covid: Profile, streets: Profile) -> None:
    assert [one.code for one in covid.asked] == ["0103", "0106", "0601", "0602"]
    for found in (covid, streets):
        told = {one.code for one in found.indicators} | {one.code for one in found.asked}
        assert told == set(INDICATORS)


def test_identifiers_stay_text_and_no_personal_data_is_seen_in_codes(
    covid: Profile, streets: Profile
) -> None:
    assert [(one.name, one.type, one.distinct_count) for one in streets.columns] == [
        ("code", "text", 41352), ("name", "text", 32711), ("areaCode", "text", 2978),
        ("provinceCode", "text", 31), ("cityCode", "text", 342),
    ]  # fmt: skip
    assert [one.blank_count for one in covid.columns] == [
        0, 0, 1459, 58981, 58981, 70004, 70998, 0, 0, 0, 0,
    ]  # fmt: skip
    assert covid.personal == streets.personal == ()


def test_a_profile_is_a_payload_of_plain_values_with_ascii_keys(covid: Profile) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            assert all(isinstance(key, str) and key.isascii() for key in value)
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        else:
            assert value is None or type(value) in {str, int, bool}

    payload = covid.to_dict()
    walk(payload)
    assert payload["method"] == {"id": "shuzheng-profile", "version": 2}
    assert payload["tables"] == [
        {"name": "streets.csv", "digest": DIVISIONS_DIGEST, "row_count": 41_352}
    ]
    assert payload["digest"].startswith("sha256:")
    assert payload["size_bytes"] == (DATA / "covid19_daily.csv.xz").stat().st_size
    assert len(json.dumps(payload)) < 40_000


def test_the_case_counts_are_profiled_in_a_moment(covid: Profile) -> None:
    rules = load_rules(DATA / "covid19_daily.rules.yaml")
    steps: list[tuple[str, int, int]] = []
    start = time.perf_counter()
    profile(
        DATA / "covid19_daily.csv.xz",
        rules,
        tables=DIVISIONS,
        on_progress=lambda step, done, total: steps.append((step, done, total)),
    )
    assert time.perf_counter() - start < 6  # well below 2 s on a quiet machine
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert steps[-1][0] == "done"
    assert steps[-1][1] == steps[-1][2]


def test_packing_and_streaming_change_no_number(
    streets: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = (DATA / "streets.csv").read_bytes()
    rules = load_rules(DATA / "streets.rules.yaml")
    (tmp_path / "s.csv.gz").write_bytes(gzip.compress(plain, mtime=0))
    (tmp_path / "s.csv.xz").write_bytes(lzma.compress(plain))
    packed = [profile(tmp_path / name, rules) for name in ("s.csv.gz", "s.csv.xz")]
    monkeypatch.setattr(data_file, "HELD_BYTES", 0)
    streamed = profile(DATA / "streets.csv", rules)
    for found in (*packed, streamed):
        assert found.checks == streets.checks
        assert found.columns == streets.columns
        assert found.content_digest == streets.digest
    assert packed[0].digest != packed[1].digest != streets.digest


# ---------------------------------------------------------------- each rule, small

PEOPLE = """id,day,n,m,kind
01,2024-01-01,1,1.50,a
02,2024-01-02,3,2,b
02,2024-02-30,x,0.1,c

04,,2, ,a
"""


def test_types_ranges_lists_and_blanks_are_counted_by_cell(tmp_path: Path) -> None:
    path = written(tmp_path, PEOPLE)
    found = profile(
        path,
        {
            "version": 1,
            "columns": {
                "id": {"unique": True, "pattern": "^0[12]$", "max_length": 2},
                "day": {"type": "date", "required": True, "min": "2024-01-02"},
                "n": {"type": "integer", "max": 2},
                "m": {"type": "decimal", "min": 0, "max": "1.5", "required": True},
                "kind": {"values": ["a", "b"]},
            },
        },
    )
    assert found.row_count == 4
    assert ab(found, "columns.day.type") == (2, 3)
    assert ab(found, "columns.n.type") == (3, 4)
    assert ab(found, "columns.m.type") == (3, 3)
    assert ab(found, "columns.id.type") == (4, 4)
    assert ab(found, "columns.day.range") == (1, 2)
    assert ab(found, "columns.n.range") == (2, 3)
    assert ab(found, "columns.m.range") == (2, 3)
    assert ab(found, "columns.m.required") == ab(found, "columns.day.required") == (3, 4)
    assert check(found, "columns.m.required").examples[0].row == 6
    assert ab(found, "columns.id.pattern") == (3, 4)
    assert ab(found, "columns.id.unique") == (2, 4)
    assert check(found, "columns.id.unique").examples[0].against == "row 3"
    assert ab(found, "columns.kind.values") == (3, 4)


def test_relations_between_columns_are_counted_by_row(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "p,c,name,code,a,b\n11,1101,x,1,0.1,0.2\n11,1201,x,2,1,1\n,1,y,,5,1\n12,12,,,2,\n11,1101,x,1,0.1,0.2\n",
    )
    found = profile(
        path,
        {
            "version": 1,
            "pairs": [["name", "code"]],
            "hierarchies": [{"columns": ["p", "c"]}, {"columns": ["p", "c"], "length": 1}],
            "requires": [{"column": "name", "needs": ["p"]}],
            "same": [{"key": ["name"], "value": "code"}, {"key": ["code"], "value": "name"}],
            "comparisons": [{"left": ["a", "a"], "op": "<=", "right": ["b"]}],
        },
    )
    assert ab(found, "pairs[0]") == (3, 4)
    assert ab(found, "hierarchies[0].c") == (3, 4)
    assert ab(found, "hierarchies[1].c") == (4, 4)
    assert ab(found, "requires[0]") == (3, 4)
    assert ab(found, "same[0]") == (0, 3)
    assert ab(found, "same[1]") == (3, 3)
    assert ab(found, "comparisons[0]") == (2, 4)  # 0.1 + 0.1 <= 0.2 holds exactly
    assert ab(found, "always.duplicates") == (1, 5)
    assert check(found, "always.duplicates").examples[0].row == 6


def test_series_order_period_and_freshness_are_counted(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "g,d,v\na,2024-01-01,1\na,2024-01-04,3\nb,2024-01-02,5\na,2024-01-03,2\nb,2024-01-03,4\n",
    )
    rules = {
        "version": 1,
        "expected": {"series": {"order": "d", "by": ["g"], "every": "day"}, "record_count": 4},
        "cumulative": [{"columns": ["v"], "by": ["g"], "order": "d"}],
        "order": {"column": "d"},
        "period": {"column": "d", "from": "2024-01-02", "to": date(2024, 1, 3)},
        "freshness": {"column": "d", "by": ["g"], "at_most_days": 1},
    }
    found = profile(path, rules, as_of=date(2024, 1, 5))
    assert ab(found, "expected.series") == (5, 6)
    assert ab(found, "expected.record_count") == (4, 4)
    assert ab(found, "cumulative[0].v") == (2, 3)
    assert ab(found, "order") == (3, 4)
    assert check(found, "order").examples[0].row == 4
    assert ab(found, "period") == (3, 5)
    assert ab(found, "freshness") == (1, 2)
    assert "0502" in {one.code for one in profile(path, rules).asked}


def test_a_missing_and_an_unexpected_column_are_faults_of_the_data(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n")
    expected = {"columns": ["a", "c"], "other_columns": "refused"}
    found = profile(path, {"version": 1, "expected": expected})
    assert ab(found, "expected.columns") == (1, 3)
    assert [one.column for one in found.indicator("0102").examples] == ["c", "b"]


def test_an_example_shows_a_small_number_in_digits(tmp_path: Path) -> None:
    path = written(tmp_path, "d,v\n2024-01-01,0.000000001\n2024-01-02,0.0\n")
    found = profile(path, {"version": 1, "cumulative": [{"columns": ["v"], "order": "d"}]})
    (example,) = check(found, "cumulative[0].v").examples
    assert (example.value, example.against) == ("0", "0.000000001")


def test_dirty_cells_are_found(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n锟斤拷,好\n 空,\ufffd\nN/A,null值\n好\x07,ok\n")
    found = profile(path, {"version": 1})
    assert (found.indicator("0305").a, found.indicator("0305").b) == (5, 8)
    assert found.indicator("0305").inverse


@pytest.mark.parametrize("codec", ["gb18030", "big5", "utf-8-sig", "utf-16"])
def test_other_encodings_and_line_ends_give_the_same_numbers(tmp_path: Path, codec: str) -> None:
    text = "編號,名稱\r\n001,資料提供機關\r\n002,\r\n003,公務出國報告\r\n"
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(codec))
    found = profile(path, {"version": 1, "columns": {"名稱": {"required": True}}})
    assert ab(found, "columns.名稱.required") == (2, 3)
    assert found.columns[0].max_length == 3
    assert found.columns[1].max_length == 6


def test_a_workbook_is_profiled_with_its_row_numbers(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "t.xlsx")
    sheet = book.add_worksheet()
    for row, cells in enumerate([["编号", "数"], ["001", 1], [None, None], ["01", "x"]]):
        for column, cell in enumerate(cells):
            if cell is not None:
                sheet.write(row, column, cell)
    book.close()
    rules = {"version": 1, "columns": {"数": {"type": "integer"}, "编号": {"min_length": 3}}}
    found = profile(tmp_path / "t.xlsx", rules)
    assert (found.format, found.row_count) == ("xlsx", 2)
    assert [one.row for one in found.indicator("0101").examples] == [4, 4]


def test_headers_that_look_like_expressions_are_only_names(tmp_path: Path) -> None:
    path = written(tmp_path, "^.*$,row,*\n1,2,3\n1,2,\n")
    found = profile(path, {"version": 1, "columns": {"*": {"required": True}}, "keys": [["^.*$"]]})
    assert ab(found, "columns.*.required") == (1, 2)
    assert ab(found, "keys[0]") == (0, 2)


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    found = profile(written(tmp_path, "a,b\n"), {"version": 1, "keys": [["a"]]})
    assert (found.row_count, found.indicators) == (0, ())
    assert len(found.asked) == len(INDICATORS)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7", "is a PDF"),
        (b"a,b\n1,2,3\n", "rows 2 have more cells"),
        (b'a,b\n1,"2\n', "not legal CSV"),
        (b'a,b\n1,"2\n3,4\n5,6\n', "not legal CSV"),
        (b"a,a\n1,2\n", "standing twice: a"),
        (b"a,\n1,2\n", "without name: 2"),
        (b"\n\na,b\n", "must hold the header"),
        (gzip.compress(b"a,b\n1,2\n" * 500, mtime=0)[:-9], "truncated"),
    ],
)
@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, data: bytes, word: str, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_file, "HELD_BYTES", in_memory)
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(Invalid, match=word):
        profile(tmp_path / "t.csv", {"version": 1})


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["", "a", "b"]), st.integers(-2, 9), st.sampled_from("xy")),
        min_size=1,
        max_size=12,
    )
)
def test_the_counts_are_those_of_plain_python(tmp_path: Path, rows: list[Any]) -> None:
    text = "k,n,g\n" + "".join(f"{k},{n},{g}\n" for k, n, g in rows)
    found = profile(
        written(tmp_path, text),
        {
            "version": 1,
            "columns": {"k": {"required": True}, "n": {"type": "integer", "min": 0}},
            "keys": [["k", "n"]],
            "pairs": [["k", "g"]],
            "same": [{"key": ["g"], "value": "n"}],
        },
    )
    pairs = [(k, n) for k, n, _ in rows]
    values = {g: {n for _, n, other in rows if other == g} for g in "xy"}
    assert ab(found, "columns.k.required") == (sum(k != "" for k, _, _ in rows), len(rows))
    assert ab(found, "columns.n.range") == (sum(n >= 0 for _, n, _ in rows), len(rows))
    assert ab(found, "keys[0]") == (sum(pairs.count(pair) == 1 for pair in pairs), len(rows))
    assert ab(found, "pairs[0]") == (sum(k != "" for k, _, _ in rows), len(rows))
    assert ab(found, "same[0]") == (sum(len(values[g]) == 1 for _, _, g in rows), len(rows))
    assert ab(found, "always.duplicates") == (len(rows) - len(set(rows)), len(rows))


# ---------------------------------------------------------------- personal data

ID_NUMBER = "360426199101010071"


def test_personal_data_are_found_by_content_and_header_and_never_shown(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "姓名,号,备注,卡,邮件,编码\n"
        f"张三丰,{ID_NUMBER},电话13800138000,6222020200112233446,a.b@example.org,360426199101010072\n"
        f"李四,{ID_NUMBER},无,,x,360426199101010073\n",
    )
    card = "622202020011223344"
    digit = next(d for d in "0123456789" if luhn.is_valid(card + d))
    path.write_text(path.read_text("utf-8").replace("6222020200112233446", card + digit), "utf-8")
    rules = {
        "version": 1,
        "columns": {"姓名": {"pattern": "^x$"}, "备注": {"pattern": "^x$"}, "号": {"unique": True}},
    }
    found = profile(path, rules)
    kinds = {(one.column, one.kind, one.ground, one.cell_count) for one in found.personal}
    assert kinds == {
        ("姓名", "name", "header", 2), ("号", "identity_number", "content", 2),
        ("备注", "mobile", "content", 1), ("卡", "bank_card", "content", 1),
        ("邮件", "email", "content", 1),
    }  # fmt: skip
    shown = json.dumps(found.to_dict(), ensure_ascii=False)
    for secret in ("张三丰", ID_NUMBER, "13800138000", card, "example.org", "李四"):
        assert secret not in shown
    assert check(found, "columns.姓名.pattern").examples[0].value == "张**"


def test_the_rule_file_may_say_that_a_column_is_or_is_not_personal(tmp_path: Path) -> None:
    path = written(tmp_path, "联系人,昵称\n甲公司,某人\n")
    columns = {"联系人": {"personal": False}, "昵称": {"personal": True}}
    found = profile(path, {"version": 1, "columns": columns})
    assert [(one.column, one.ground) for one in found.personal] == [("昵称", "rule")]


@given(st.text(alphabet="甲乙 ,。"), st.text(alphabet="甲乙 ,。"))
def test_an_embedded_identity_number_never_survives_masking(before: str, after: str) -> None:
    assert ID_NUMBER not in mask_embedded(before + ID_NUMBER + after)


# ---------------------------------------------------------------- rule files


def test_all_faults_of_a_rule_file_are_told_at_once_with_their_paths() -> None:
    rules = {
        "version": 2,
        "colums": {},
        "columns": {
            "a": {"type": "number", "pattern": "(", "min": "x", "values": [False, 7]},
            "zz": {"required": "yes", "max_length": -1, "format": 3},
        },
        "expected": {"record_count": "many", "other_columns": "maybe", "series": {"by": "a"}},
        "keys": [["a", "b"], "a"],
        "pairs": [["a"]],
        "comparisons": [{"left": ["a"], "op": "~", "right": ["nowhere"]}],
        "freshness": {"column": "a", "at_most_days": True, "as_of": "soon"},
    }
    told = faults(rules, ["a", "b"])
    assert set(told) == {
        "version", "colums", "columns.a.type", "columns.a.pattern", "columns.a.min",
        "columns.a.values[0]", "columns.a.values[1]", "columns.zz", "columns.zz.required",
        "columns.zz.max_length", "columns.zz.format", "expected.record_count",
        "expected.other_columns", "expected.series.order", "expected.series.every",
        "expected.series.by", "keys[1]", "pairs[0]", "comparisons[0].op",
        "comparisons[0].right[0]", "freshness.at_most_days", "freshness.as_of",
    }  # fmt: skip
    assert "unknown key" in told["colums"]
    assert "in quotes" in told["columns.a.values[0]"]
    assert told["columns.zz"] == "column zz is not in the file"


@pytest.mark.parametrize("rules", [None, [], "x", 3, {}])
def test_what_is_no_rule_file_is_refused(rules: Any) -> None:
    assert faults(rules)


def test_a_type_that_is_no_text_is_a_fault_like_any_other() -> None:
    told = faults({"version": 1, "columns": {"a": {"type": ["date"], "format": "%Y"}}})
    assert set(told) == {"columns.a.type", "columns.a.format"}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("version: 1\ncolumns: [a\n", "not legal YAML near line"),
        ("version: 1\nversion: 1\n", "stands twice"),
        ("version: 1\ncolumns: {a: {values: [NO]}}\n", "in quotes"),
        ("version: !!python/object/apply:os.getcwd []\nx: 1\n", "not legal YAML"),
    ],
)
def test_a_rule_file_that_is_not_sound_yaml_is_refused(text: str, word: str) -> None:
    with pytest.raises(Invalid, match=word):
        load_rules(text)


def test_a_missing_rule_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        load_rules(tmp_path / "none.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.dates(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*quality_rules._RULES, *quality_rules._COLUMN_RULE, "by", "a"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_value_is_a_rule_file_or_refused_and_never_breaks(rules: Any) -> None:
    with contextlib.suppress(Invalid):
        check_rules(rules, ["a", "b"])


def test_rules_are_proposed_from_the_divisions() -> None:
    rules = propose_rules(DATA / "streets.csv")
    assert rules["hierarchies"] == [{"columns": ["provinceCode", "cityCode", "areaCode", "code"]}]
    assert rules["columns"]["code"] == {
        "type": "text", "required": True, "pattern": "^[0-9]{9}$", "unique": True,
    }  # fmt: skip
    assert "record_count" not in rules["expected"]


def test_rules_are_proposed_from_the_case_counts_and_read_back_the_same() -> None:
    rules = propose_rules(DATA / "covid19_daily.csv.xz")
    assert rules["keys"] == [["date", "country", "province", "city"]]
    assert rules["pairs"] == [
        ["country", "countryCode"], ["province", "provinceCode"], ["city", "cityCode"],
    ]  # fmt: skip
    assert rules["cumulative"] == [
        {"columns": ["confirmed", "cured", "dead"], "by": ["country", "province", "city"],
         "order": "date"}
    ]  # fmt: skip
    assert rules["period"] == {"column": "date", "from": "2019-12-01", "to": "2020-12-08"}
    assert load_rules(dump_rules(rules)) == rules


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(*[st.sampled_from(["", "1", "07", "x", "2024-01-02", "1.5"])] * 3), max_size=8
    )
)
def test_proposed_rules_are_always_sound_for_their_file(tmp_path: Path, rows: list[Any]) -> None:
    path = written(tmp_path, "a,code,b\n" + "".join(",".join(row) + "\n" for row in rows))
    found = profile(path, propose_rules(path))
    assert found.row_count == sum(any(row) for row in rows)
