"""Canonical bytes: one value has one spelling (design §4).

The form is RFC 8785 (JCS) of a restricted subset: ASCII keys; str, int within ±(2^53-1), bool, null,
list, object; no floats. On this subset RFC 8785, sorted `orjson` and sorted `json.dumps` agree byte
for byte, which the tests assert.
"""

import base64
import binascii
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

from ledger.errors import Invalid

INT_MAX = 2**53 - 1
DEPTH_MAX = 64
# A JSON string, or what is left of the text when it is never closed: each byte is looked at once.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def canonical(value: Any) -> bytes:
    """The only spelling of `value`: sorted keys, no spaces, UTF-8. Raises Invalid outside the subset."""
    check_subset(value)
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def parse(data: bytes, what: str = "The file") -> Any:
    """The value whose canonical spelling is `data`; any other spelling raises Invalid."""
    check_nesting(data, what)
    try:
        value = json.loads(
            data.decode("utf-8", "strict"),
            object_pairs_hook=_no_duplicates,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except (ValueError, RecursionError) as error:
        raise Invalid("{what} is not JSON we accept: {why}.", what=what, why=str(error)) from None
    if canonical(value) != data:
        raise Invalid(
            "{what} is not in canonical form (RFC 8785): a byte was added, removed or changed.",
            what=what,
        )
    return value


def check_nesting(data: bytes, what: str = "The file") -> None:
    """Raise Invalid when JSON text is nested too deeply to be given to a parser that recurses.

    Python's own limit is no help: the EVM's library raises it so far that the parser would overrun
    the machine's stack and end the process.
    """
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for bracket in STRING.sub(b"", data):
        if bracket in b"[{":
            depth += 1
            if depth > DEPTH_MAX + 1:
                raise Invalid("{what} is nested too deeply.", what=what)
        elif bracket in b"]}":
            depth -= 1


def check_subset(value: Any, where: str = "$", depth: int = 0) -> None:
    """Raise Invalid, naming the place, when `value` lies outside the subset."""
    if value is None or value is True or value is False:
        return
    if depth > DEPTH_MAX:
        raise Invalid("The value at {where} is nested too deeply.", where=where)
    kind = type(value)
    if kind is str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Invalid("The text at {where} holds half a character.", where=where) from None
    elif kind is int:
        if not -INT_MAX <= value <= INT_MAX:
            raise Invalid("The number at {where} is beyond ±(2^53-1).", where=where)
    elif kind is list:
        for position, item in enumerate(value):
            check_subset(item, f"{where}[{position}]", depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise Invalid("The key {key} at {where} is not ASCII.", key=repr(key), where=where)
            check_subset(item, f"{where}.{key}", depth + 1)
    else:
        raise Invalid(
            "The value at {where} is a {kind}; only text, whole numbers, true, false, null, lists "
            "and objects have a canonical form.",
            where=where,
            kind=kind.__name__,
        )


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def digest_text(data: bytes) -> str:
    """`sha256:<64 hex>` of the bytes."""
    return "sha256:" + sha256(data).hex()


def digest_bytes(text: Any) -> bytes:
    """The 32 bytes behind `sha256:<64 lower-case hex>`; anything else raises Invalid."""
    if type(text) is not str or not text.startswith("sha256:"):
        raise Invalid("{text} is not a digest of the form sha256:<64 hex>.", text=repr(text))
    return unhex(text[7:], 32)


def unhex(text: Any, length: int) -> bytes:
    """Exactly `length` bytes from lower-case hex; anything else raises Invalid."""
    if type(text) is str and len(text) == 2 * length:
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if data.hex() == text:
            return data
    raise Invalid("{text} is not {length} bytes of lower-case hex.", text=repr(text), length=length)


def unbase64(text: str) -> bytes:
    """Strict standard base64: one byte string, one spelling; anything else raises Invalid."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("{text} is not base64.", text=repr(text)) from None
    if base64.b64encode(data).decode() != text:
        raise Invalid("{text} is not canonical base64.", text=repr(text))
    return data


def instant(at: datetime) -> str:
    """A time as `YYYY-MM-DDTHH:MM:SSZ`, UTC, whole seconds."""
    if at.tzinfo is None:
        raise Invalid("A time without zone was given.")
    return at.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_instant(text: Any) -> datetime:
    """The time spelled by `instant`; any other spelling raises Invalid."""
    try:
        at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        at = None
    if at is None or instant(at) != text:
        raise Invalid("{text} is not a time of the form 2026-01-31T08:00:00Z.", text=repr(text))
    return at


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_float(text: str) -> Any:
    raise ValueError(f"the number {text} is not a whole number")
