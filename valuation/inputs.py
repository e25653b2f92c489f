"""Inputs are read once, exactly, and every refusal names its field.

A field is a path, such as ``periods[2].share``. Keys that end in ``_fen`` hold integer fen; documents in
JSON may write ``_yuan`` instead, with the amount in yuan as text (`in_fen` converts them).
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from valuation import InputError
from valuation.money import MAX_FEN, amount_fen, exact_text, fen, ratio

MAX_TEXT = 2_000
"""Longest text that is taken over into a figure, in characters."""

MAX_LIST = 200
"""Longest list of an input: a worksheet's sum names at most 200 symbols (a spreadsheet's SUM takes 255)."""


def mapping(
    value: object, field: str, required: Collection[str], optional: Collection[str] = ()
) -> Mapping[str, Any]:
    """Return `value` if it is an object that has every required key and none that is not known.

    Raises InputError that names the keys which are missing and those which are unknown.

    >>> mapping({"wieght": 1}, "part", ("weight",))
    Traceback (most recent call last):
    valuation.InputError: part.wieght: is not known here; known are weight; part.weight: is missing
    """
    if not isinstance(value, Mapping):
        raise InputError(field, "must be an object with named entries")
    unknown = [str(key) for key in value if key not in required and key not in optional]
    missing = [key for key in required if key not in value]
    known = ", ".join([*required, *optional])
    problems = [(_at(field, key), f"is not known here; known are {known}") for key in unknown]
    problems += [(_at(field, key), "is missing") for key in missing]
    if problems:
        raise InputError.of(problems)
    return value


def sequence(value: object, field: str, least: int = 1, most: int = MAX_LIST) -> Sequence[Any]:
    """Return `value` if it is a list of `least` to `most` entries; raise InputError otherwise.

    >>> sequence([], "periods")
    Traceback (most recent call last):
    valuation.InputError: periods: has 0 entries, but must have 1 to 200
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InputError(field, "must be a list")
    if not least <= len(value) <= most:
        raise InputError(field, f"has {len(value)} entries, but must have {least} to {most}")
    return value


def text(value: object, field: str) -> str:
    """Return `value` if it is a text that says something; raise InputError otherwise.

    >>> text(" ", "basis")
    Traceback (most recent call last):
    valuation.InputError: basis: must be a text that is not empty
    """
    if not isinstance(value, str) or not value.strip():
        raise InputError(field, "must be a text that is not empty")
    if len(value) > MAX_TEXT:
        raise InputError(field, f"is longer than {MAX_TEXT} characters")
    return encodable(value, field)


def encodable(value: str, field: str) -> str:
    """Return `value` if a file can hold it: no control characters, no lone surrogates; else InputError.

    >>> encodable("a\\x00b", "name")
    Traceback (most recent call last):
    valuation.InputError: name: holds control characters
    """
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in value):
        raise InputError(field, "holds control characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(field, "holds half a character (a lone surrogate)") from None
    return value


def choice(value: object, field: str, choices: Collection[str]) -> str:
    """Return `value` if it is one of `choices`; raise InputError that lists them otherwise.

    >>> choice("start", "timing", ("end", "mid"))
    Traceback (most recent call last):
    valuation.InputError: timing: is 'start', but must be one of end, mid
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(field, f"is {value!r}, but must be one of {', '.join(choices)}"[:300])
    return value


def money(value: object, field: str, minimum: int | None = None) -> int:
    """Return `value` if it is an integer number of fen of at least `minimum`; else InputError.

    >>> money(100, "price_fen", 0)
    100
    >>> money(-1, "price_fen", 0)
    Traceback (most recent call last):
    valuation.InputError: price_fen: is -1 fen, but must be at least 0
    """
    return amount_fen(value, field, minimum)


def number(
    value: object,
    field: str,
    least: Fraction | int | None = None,
    most: Fraction | int | None = None,
    above: Fraction | int | None = None,
    below: Fraction | int | None = None,
) -> Fraction:
    """Return the exact number behind `value` if it lies within the bounds; raise InputError otherwise.

    `least` and `most` belong to the range, `above` and `below` do not.

    >>> number("0.05", "share", least=0, most=1)
    Fraction(1, 20)
    >>> number("-1", "rate", least=0, below=1)
    Traceback (most recent call last):
    valuation.InputError: rate: is -1, but must be at least 0 and less than 1
    """
    exact = ratio(value, field)
    if (
        (least is not None and exact < least)
        or (most is not None and exact > most)
        or (above is not None and exact <= above)
        or (below is not None and exact >= below)
    ):
        bounds = [
            f"{word} {exact_text(bound)}"
            for word, bound in (
                ("at least", least),
                ("more than", above),
                ("at most", most),
                ("less than", below),
            )
            if bound is not None
        ]
        raise InputError(field, f"is {exact_text(exact)[:60]}, but must be {' and '.join(bounds)}")
    return exact


@contextmanager
def gathering(problems: list[tuple[str, str]]) -> Iterator[None]:
    """Go on after a refusal, which is added to `problems`, so that all faults are told at once.

    >>> problems = []
    >>> for k, rate in enumerate(("0.02", "two", -2)):
    ...     with gathering(problems):
    ...         _ = number(rate, f"rate[{k}]", least=0)
    >>> [field for field, _ in problems]
    ['rate[1]', 'rate[2]']
    """
    try:
        yield
    except InputError as error:
        problems.extend(error.problems)


def _at(field: str, key: str) -> str:
    return f"{field}.{key}" if field else key


def in_fen(value: Any, where: str = "", depth: int = 0) -> Any:
    """Return a JSON document with its amounts in fen: ``"cap_yuan": "12.34"`` becomes ``"cap_fen": 1234``.

    Everything else is copied. Raises InputError for what canonical JSON cannot hold (design §4): a float
    (also NaN and infinity), an integer beyond ±(2^53 - 1), a key that is not ASCII; and for an amount
    given twice, or lists and objects nested more than 20 deep.

    >>> in_fen({"periods": [{"income_yuan": "0.05"}]})
    {'periods': [{'income_fen': 5}]}
    """
    if depth > 20:
        raise InputError(where, "is nested more than 20 deep")
    if isinstance(value, float):
        ratio(value, where)
    if isinstance(value, str):
        return encodable(value, where)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_FEN:
            raise InputError(where, "is beyond ±(2^53 - 1)")
        return value
    if isinstance(value, list | tuple):
        return [in_fen(entry, f"{where}[{k}]", depth + 1) for k, entry in enumerate(value)]
    if not isinstance(value, Mapping):
        raise InputError(where, f"is a {type(value).__name__}, which JSON cannot hold")
    result: dict[str, Any] = {}
    for key, entry in value.items():
        if not isinstance(key, str) or not key.isascii():
            raise InputError(
                where or "document", f"has the key {key!r}, but keys must be ASCII"[:200]
            )
        path = _at(where, key)
        name, exact = key, in_fen(entry, path, depth + 1)
        if key.endswith("_yuan"):
            name, exact = key[: -len("_yuan")] + "_fen", fen(entry, path)
        if name in result:
            raise InputError(path, "is given twice, in yuan and in fen")
        result[name] = exact
    return result


def in_cny(value: Any, where: str, stated: bool = False) -> Any:
    """Return inputs without their entries ``currency``, if each says that amounts are in CNY.

    An object that holds an amount may state its currency, and so may one with `stated`. Amounts in another
    currency, or in several, raise InputError naming the entry. Anything else stays as it is.

    >>> in_cny({"price_fen": 100, "currency": "CNY"}, "inputs")
    {'price_fen': 100}
    >>> in_cny({"parts": [{"price_fen": 100, "currency": "USD"}]}, "inputs")
    Traceback (most recent call last):
    valuation.InputError: inputs.parts[0].currency: is 'USD', but amounts are in CNY: convert them first
    """
    if isinstance(value, list):
        return [in_cny(entry, f"{where}[{k}]") for k, entry in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    given = dict(value)
    if "currency" in given and (stated or any(key.endswith("_fen") for key in given)):
        currency = given.pop("currency")
        if currency != "CNY":
            told = f"is {currency!r}, but amounts are in CNY: convert them first"
            raise InputError(f"{where}.currency", told[:200])
    return {key: in_cny(entry, f"{where}.{key}") for key, entry in given.items()}


def differ(one: object, other: object) -> bool:
    """Return whether two JSON values differ; unlike Python, JSON tells true from 1.

    >>> differ(True, 1), differ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    (True, False)
    """
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)


def differing(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise InputError that names the first entry of `given` which is not what was computed again.

    >>> differing({"value": 1}, {"value": 2})
    Traceback (most recent call last):
    valuation.InputError: value: differs from what follows from the document
    """
    for key, value in own.items():
        if differ(given[key], value):
            raise InputError(key, "differs from what follows from the document")
