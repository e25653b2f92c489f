"""One value has one spelling, and three libraries agree on it."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from pathlib import Path
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.proof.encoding import (
    DEPTH_MAX,
    INT_MAX,
    canonical,
    check_subset,
    digest_bytes,
    digest_text,
    instant,
    parse,
    parse_instant,
    unbase64,
    unhex,
)
from ledger.store import canonical_fast

VECTORS = Path(__file__).parents[1] / "vectors" / "jcs"

keys = st.text(st.characters(max_codepoint=127), max_size=8)
integers = st.integers(-INT_MAX, INT_MAX)
values = st.recursive(
    st.none() | st.booleans() | integers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@given(values)
def test_three_libraries_spell_a_value_with_the_same_bytes(value: Any) -> None:
    spelled = canonical(value)
    assert spelled == rfc8785.dumps(value)
    assert spelled == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert spelled == canonical_fast(value)


@given(values)
def test_what_was_spelled_is_read_back_with_its_types(value: Any) -> None:
    back = parse(canonical(value))
    assert back == value
    assert repr(back) == repr(value) or canonical(back) == canonical(value)


@pytest.mark.parametrize("code_point", [0, 8, 9, 10, 12, 13, 31, 34, 47, 92, 127, 128, 0x2028])
def test_control_characters_are_escaped_as_rfc_8785_says(code_point: int) -> None:
    text = chr(code_point)
    assert canonical([text]) == rfc8785.dumps([text]) == canonical_fast([text])


@pytest.mark.parametrize("name", ["arrays", "structures", "unicode"])
def test_the_public_vectors_inside_the_subset_are_canonical(name: str) -> None:
    spelled = (VECTORS / f"{name}.output.json").read_bytes()
    assert canonical(json.loads(spelled)) == spelled
    assert parse(spelled) == json.loads(spelled)


@pytest.mark.parametrize("name", ["arrays", "unicode"])
def test_the_inputs_of_the_public_vectors_come_to_their_outputs(name: str) -> None:
    value = json.loads((VECTORS / f"{name}.input.json").read_bytes())
    assert canonical(value) == (VECTORS / f"{name}.output.json").read_bytes()
    with pytest.raises(Invalid):
        parse((VECTORS / f"{name}.input.json").read_bytes())


@pytest.mark.parametrize("name", ["french", "values", "weird"])
def test_the_public_vectors_outside_the_subset_are_refused(name: str) -> None:
    for side in ("input", "output"):
        data = (VECTORS / f"{name}.{side}.json").read_bytes()
        with pytest.raises(Invalid):
            canonical(json.loads(data))
        with pytest.raises(Invalid):
            parse(data)


class Number(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


OUTSIDE = {
    "a float": 1.0,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "an integer above 2^53-1": INT_MAX + 1,
    "an integer below -(2^53-1)": -INT_MAX - 1,
    "a huge integer": 10**400,
    "half a character": "\ud800",
    "the other half": "a\udfffb",
    "a key that is not ASCII": {"é": 1},
    "a key that is a number": {1: "a"},
    "a key that is true": {True: "a"},
    "a key that is null": {None: "a"},
    "a key that is a subclass of text": {Text("a"): 1},
    "bytes": b"a",
    "a tuple": (1, 2),
    "a set": {1},
    "an enumeration's number": Number.ONE,
    "a subclass of text": Text("a"),
    "a time": datetime(2026, 1, 1, tzinfo=UTC),
    "nesting beyond the limit": nested(DEPTH_MAX + 1),
}


@pytest.mark.parametrize("value", OUTSIDE.values(), ids=OUTSIDE.keys())
@pytest.mark.parametrize("spell", [canonical, canonical_fast])
def test_what_lies_outside_the_subset_is_refused_at_any_depth(spell: Any, value: Any) -> None:
    for whole in (value, [value], {"a": value}, {"a": [1, {"b": value}]}):
        with pytest.raises(Invalid):
            spell(whole)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Invalid, match="deeply"):
        canonical(endless)


def test_nesting_is_allowed_up_to_the_limit() -> None:
    value = nested(DEPTH_MAX)
    assert parse(canonical(value)) == value


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(Invalid, match=r"\$\.a\[1\]\.b"):
        check_subset({"a": [0, {"b": 0.5}]})


def test_true_and_one_have_different_spellings() -> None:
    assert canonical([True, 1, False, 0]) == b"[true,1,false,0]"
    assert parse(b"true") is True
    assert type(parse(b"1")) is int


REFUSED = {
    "a space": b'{"a": 1}',
    "a newline at the end": b'{"a":1}\n',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "keys out of order": b'{"b":1,"a":2}',
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, deep": b'[{"a":{"b":1,"b":2}}]',
    "a key twice by escape": b'{"a":1,"\\u0061":2}',
    "a float": b"1.0",
    "an exponent": b"1e2",
    "minus nought": b"-0",
    "a leading nought": b"01",
    "a plus": b"+1",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "2^53": b"9007199254740992",
    "a number of 5000 digits": b"1" * 5000,
    "an escape without need": b'"\\u0061"',
    "an escaped slash": b'"\\/"',
    "an upper-case escape": b'"\\u001F"',
    "a long escape of a newline": b'"\\u000a"',
    "an escaped delete": b'"\\u007f"',
    "an escaped letter that is not ASCII": b'"\\u00e9"',
    "half a character": b'"\\ud800"',
    "a raw control character": b'"\x01"',
    "bytes that are not UTF-8": b'"\xff"',
    "an overlong UTF-8 sequence": b'"\xc1\x81"',
    "half a character in UTF-8": b'"\xed\xa0\x80"',
    "single quotes": b"'a'",
    "a comment": b"1//",
    "a comma too many": b"[1,]",
    "two values": b"1 2",
    "nothing": b"",
    "UTF-16": "[]".encode("utf-16"),
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse(data)


@given(st.binary(max_size=40))
def test_no_bytes_are_read_that_are_not_the_spelling_of_their_value(data: bytes) -> None:
    try:
        value = parse(data)
    except Invalid:
        return
    assert canonical(value) == data


@given(values, st.data())
def test_one_changed_byte_is_refused_or_spells_another_value(value: Any, data: Any) -> None:
    spelled = bytearray(canonical(value))
    place = data.draw(st.integers(0, len(spelled) - 1))
    spelled[place] ^= data.draw(st.integers(1, 255))
    try:
        other = parse(bytes(spelled))
    except Invalid:
        return
    assert canonical(other) == bytes(spelled) != canonical(value)


@given(values)
def test_a_pretty_spelling_is_refused(value: Any) -> None:
    pretty = json.dumps(value, indent=1, ensure_ascii=False).encode()
    if pretty != canonical(value):
        with pytest.raises(Invalid):
            parse(pretty)


@given(st.binary(max_size=48))
def test_base64_and_hex_are_read_back(data: bytes) -> None:
    assert unbase64(base64.b64encode(data).decode()) == data
    assert unhex(data.hex(), len(data)) == data


@given(st.text(st.sampled_from("AQgwxyz+/=-_ \n019é"), max_size=9))
def test_base64_has_one_spelling(text: str) -> None:
    try:
        data = unbase64(text)
    except Invalid:
        return
    assert base64.b64encode(data).decode() == text


@pytest.mark.parametrize(
    "text",
    ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "QQ==QQ==", "Q-_=", "QQ==é", "=", "Q", "QQ=="[::-1]],
)
def test_loose_base64_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        unbase64(text)


@pytest.mark.parametrize(
    "text", ["AB", "ab ", " ab", "a", "abc", "0x", "ag", "a\n", "１２", None, 1, b"ab", ["ab"]]
)
def test_loose_hex_is_refused(text: Any) -> None:
    with pytest.raises(Invalid):
        unhex(text, 1)


def test_a_digest_has_one_spelling() -> None:
    text = digest_text(b"")
    assert text == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_bytes(text).hex() == text[7:]
    for wrong in (text.upper(), text[7:], "sha512:" + text[7:], text + " ", text[:-1], None, 7):
        with pytest.raises(Invalid):
            digest_bytes(wrong)


@given(
    st.datetimes(
        datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone(timedelta(hours=8)))
    )
)
def test_a_time_is_read_back_to_the_second(at: datetime) -> None:
    text = instant(at)
    assert len(text) == 20
    assert parse_instant(text) == at.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T08:00:00", "2026-01-31 08:00:00Z", "2026-01-31T08:00:00z", "2026-1-31T08:00:00Z",
        "2026-01-31T08:00:00+00:00", "2026-01-31T08:00:00.0Z", "2026-02-30T08:00:00Z",
        "2026-01-31T24:00:00Z", "2026-01-31T08:00:60Z", "2026-01-31T8:00:00Z", "",
        "２０２６-01-31T08:00:00Z", "2026-01-31T08:00:00Z\n", "026-01-31T08:00:00Z", None, 0, [],
    ],
)  # fmt: skip
def test_a_time_has_one_spelling(text: Any) -> None:
    with pytest.raises(Invalid):
        parse_instant(text)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(Invalid):
        instant(datetime(2026, 1, 1))
