"""A method's inputs as fields of a form: what it asks for, what was typed there, and its document.

A field's place is its path: `cost.direct`, `income.periods.0.share`. Amounts are typed in yuan, with or
without separators; a rate as 0.0235, 2.35% or 7/300. What is typed is kept as it was typed (`given`); the
document holds it exactly. All faults are found at once: those a field can tell by itself here, then those
the method tells.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ledger.reports import decimal
from valuation import (
    InputError,
    accounting,
    amortisation,
    cost,
    impairment,
    income,
    methods,
    money,
    national,
    pricing,
    quality,
)
from webapp.language import language, tr
from webapp.pages.refused import in_words
from webapp.wording import spoken

Given = dict[str, str]  # place → what was typed there
Faults = dict[str, list[str]]  # place → what is wrong there
Described = Sequence[Mapping[str, Any]]

BOUNDS = re.compile(r"(>=?) (\d+)(?:, <= (\d+))?|(\d+) to (\d+)", re.ASCII)
EDITED = "edited"  # in what is given: the place that a button of the form has just changed
DECIDING = ("model", "distribution")  # choices on which it depends what else is asked
INDEX = re.compile(r"\[(\d+)\]", re.ASCII)
CHOICES: dict[str, Mapping[str, tuple[str, str]]] = {  # key of a field → its values' names
    "applies_to": {key.removesuffix("_fen"): (zh, en) for key, _, zh, en in cost.ITEMS},
    "code": {k: (f"{k} {one.zh}", f"{k} {one.en}") for k, one in quality.INDICATORS.items()},
    "purpose": pricing.PURPOSES, "stage": pricing.STAGES,
    "unit": {zh: (zh, en) for zh, en in pricing.UNITS.items()},
    "model": {**income.MODELS, **{k: one[:2] for k, one in accounting.COSTS.items()},
              **amortisation.LIVES, **impairment.HELD, **national.MODELS},
    "producer": national.PRODUCERS,
    "kind": accounting.KINDS, "treatment": {k: one[:2] for k, one in accounting.TREATMENTS.items()},
    "fair_value_from": impairment.FAIR_VALUES, "ended": accounting.ANSWERS,
    "by": {"year": ("按年", "by year"), "month": ("按月", "by month")}, "timing": income.TIMINGS,
}  # fmt: skip


@dataclass
class Input:
    """A field as a page shows it; `rows` are an object's fields, or those of each row of a list."""

    at: str
    key: str
    kind: str
    label: str
    value: str
    unit: str = ""
    hint: str = ""
    understood: str = ""
    required: bool = True
    choices: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    rows: list[list["Input"]] = field(default_factory=list)
    least: int = 0
    most: int = 0
    is_open: bool = True


@dataclass(frozen=True)
class Number:
    """A number of a document that an analysis may vary: its path, what it is called, what was typed."""

    path: str
    label: str
    text: str
    is_money: bool


# -- what a page shows -------------------------------------------------------------------------


def shown(
    at: str, described: Described, given: Mapping[str, str], faults: Faults, chosen: str = ""
) -> list[Input]:
    """The fields under a place with what was typed and what is wrong with it."""
    made = []
    chosen = _chosen(at, described, given) or chosen
    for one in _asked(described, chosen):
        place, kind = f"{at}.{one['key']}", one["kind"]
        entry = Input(
            place, one["key"], kind, named(one), given.get(place, ""), unit_of(one), _hint(one),
            required=not one["optional"], errors=faults.get(place, []),
        )  # fmt: skip
        if kind == "object":
            entry.rows = [shown(place, one["fields"], given, faults, chosen)]
        elif kind == "list" and one["fields"]:
            least, _, most = bounds_of(one["bounds"])
            entry.least, entry.most = 0 if one["optional"] else int(least or 0), int(most or 200)
            count = max(row_count(given, place), 0 if one["optional"] else 1)
            entry.rows = [
                shown(f"{place}.{n}", one["fields"], given, faults, chosen) for n in range(count)
            ]
        elif kind == "list" and one["choices"]:
            entry.kind = "checks"
            entry.choices = offered(one)
            entry.value = " ".join(v for v in one["choices"] if given.get(f"{place}.{v}"))
        elif kind == "list":
            entry.kind, entry.unit = "lines", ""
            entry.hint = (
                tr("one row a line, its numbers with spaces between: 1 3 1/2") if one["unit"]
                else tr("one a line")
            )  # fmt: skip
        elif kind == "choice" and one["optional"] and len(one["choices"]) == 1:
            entry.kind = "hidden"  # there is nothing to choose
        elif kind == "choice":
            entry.choices = one.get("offered") or offered(one)
        entry.understood = understood(one, entry.value)
        at_work = f"{given.get(EDITED, '')}.".startswith(f"{place}.")
        entry.is_open = (
            entry.required or at_work or bool(entry.value) or typed_in(given, place)
            or any(fault.startswith(place) for fault in faults)
        )  # fmt: skip
        made.append(entry)
    return made


def offered(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What may be chosen in a field, each value with its name."""
    names = CHOICES.get(one["key"], {})
    return [(value, spoken(*names.get(value, (value, value)))) for value in one["choices"]]


def named(one: Mapping[str, Any]) -> str:
    """A field's name in the reader's language."""
    return str(one[language()])


def unit_of(one: Mapping[str, Any]) -> str:
    """What stands beside a field."""
    return {
        "CNY": tr("yuan"), "fraction per period": tr("per period"), "count": tr("elements"),
        "periods": tr("periods"),
    }.get(one["unit"], "")  # fmt: skip


def understood(one: Mapping[str, Any], text: str) -> str:
    """How a number that was typed is read, where it could be read otherwise; "" for what is wrong."""
    try:
        if one["kind"] == "money" and text.strip():
            exact = Fraction(money.fen(plain_amount(text)), 100)
            return f"= {decimal(exact)} {tr('yuan')}" if abs(exact) >= 1000 else ""
        if one["kind"] == "ratio" and text.strip():
            exact = money.ratio(plain_ratio(text))
            percents = one["unit"] == "fraction per period" or one["bounds"] == "0 to 1"
            if "%" in text or "％" in text:
                return f"= {decimal(exact)}"
            return f"= {decimal(exact * 100)} %" if percents and exact else ""
    except InputError:
        pass
    return ""


def _hint(one: Mapping[str, Any]) -> str:
    """The bounds of a field in signs, or in the words that the method has for them."""
    least, above, most = bounds_of(one["bounds"])
    if one["kind"] == "list" and one["fields"]:
        return ""
    if above is not None:
        return f"> {above}" if most is None else f"> {above}, ≤ {most}"
    if most is not None:
        return f"{least} – {most}"
    return f"≥ {least}" if least is not None else str(one["bounds"])


def bounds_of(text: str) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
    """The least, the number it must exceed, and the most, as far as bounds are plain: `>= 0`, `0 to 1`."""
    found = BOUNDS.fullmatch(text)
    if found is None:
        return None, None, None
    if found[1]:
        bound, most = Fraction(found[2]), Fraction(found[3]) if found[3] else None
        return (bound, None, most) if found[1] == ">=" else (None, bound, most)
    return Fraction(found[4]), None, Fraction(found[5])


def places(fields: Sequence[Input]) -> Iterator[str]:
    """The places of fields and of all within them."""
    for one in fields:
        yield one.at
        for row in one.rows:
            yield from places(row)


# -- rows --------------------------------------------------------------------------------------


def row_count(given: Mapping[str, str], at: str) -> int:
    """How many rows a list has among what was typed."""
    found = re.compile(re.escape(at) + r"\.(\d{1,3})\.", re.ASCII)
    numbers = [int(match[1]) for key in given if (match := found.match(key))]
    return max(numbers, default=-1) + 1


def add_row(given: Given, at: str, base: str, described: Described) -> None:
    """One row more at the end of the list at a place, among the fields described under `base`."""
    one = next((d for path, d in _all(base, described) if path == _star(at)), None)
    if one is not None:
        there = row_count(given, at) or (0 if one["optional"] else 1)  # as many as the page shows
        given[f"{at}.{there}.{one['fields'][0]['key']}"] = ""


def drop_row(given: Given, at: str, row: int) -> None:
    """Take a row out of a list; those after it move up."""
    rows = [dict(part) for part in _rows(given, at)]
    for key in [key for key in given if key.startswith(f"{at}.")]:
        del given[key]
    for n, kept in enumerate(rows[:row] + rows[row + 1 :]):
        given |= {f"{at}.{n}.{rest}": text for rest, text in kept.items()}


def tidy(given: Given, at: str, described: Described) -> None:
    """Take out the rows in which nothing was typed, so that places count as the document does."""
    for one in described:
        place = f"{at}.{one['key']}"
        if one["kind"] == "object":
            tidy(given, place, one["fields"])
        elif one["kind"] == "list" and one["fields"]:
            for n in reversed(range(row_count(given, place))):
                tidy(given, f"{place}.{n}", one["fields"])
                if not typed_in(given, f"{place}.{n}"):
                    drop_row(given, place, n)


def typed_in(given: Mapping[str, str], place: str) -> bool:
    """Whether anything was typed under a place; a choice that is made from the start is not typed."""
    return any(
        text.strip() and key.rpartition(".")[2] not in DECIDING
        for key, text in given.items() if key.startswith(f"{place}.")
    )  # fmt: skip


def _rows(given: Mapping[str, str], at: str) -> list[dict[str, str]]:
    return [
        {
            key.removeprefix(f"{at}.{n}."): text
            for key, text in given.items()
            if key.startswith(f"{at}.{n}.")
        }
        for n in range(row_count(given, at))
    ]


def _all(at: str, described: Described) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for one in described:
        place = f"{at}.{one['key']}"
        yield place, one
        yield from _all(f"{place}.*" if one["kind"] == "list" else place, one["fields"])


def _star(at: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".*", at)


def _asked(described: Described, chosen: str) -> Iterator[Mapping[str, Any]]:
    return (one for one in described if not one["only"] or chosen in one["only"])


def _chosen(at: str, described: Described, given: Mapping[str, str]) -> str:
    """What says which other fields are asked: the model or distribution chosen, the first until one is."""
    one = next((one for one in described if one["key"] in DECIDING), None)
    if one is None:
        return ""
    chosen = given.get(f"{at}.{one['key']}", "")
    return chosen if chosen in one["choices"] else str(one["choices"][0])


# -- what was typed → the document --------------------------------------------------------------


def read(
    at: str, described: Described, given: Mapping[str, str], faults: Faults, chosen: str = ""
) -> dict[str, Any]:
    """The inputs of a document from what was typed; every fault is entered at its place."""
    made: dict[str, Any] = {}
    chosen = _chosen(at, described, given) or chosen
    for one in _asked(described, chosen):
        place, kind = f"{at}.{one['key']}", one["kind"]
        if kind == "object":
            if not one["optional"] or typed_in(given, place):
                made[one["key"]] = read(place, one["fields"], given, faults, chosen)
        elif kind == "list" and one["fields"]:
            rows = range(row_count(given, place))
            if one["optional"] and not rows:
                continue
            made[one["key"]] = [
                read(f"{place}.{n}", one["fields"], given, faults, chosen) for n in rows
            ]
            least, _, most = bounds_of(one["bounds"])
            if (least is not None and len(rows) < least) or (most is not None and len(rows) > most):
                faults.setdefault(place, []).append(
                    tr("There are {count} rows; there must be {least} to {most}.",
                       count=len(rows), least=least, most=most)
                )  # fmt: skip
        elif kind == "list" and one["choices"]:
            chosen_here = [value for value in one["choices"] if given.get(f"{place}.{value}")]
            if chosen_here or not one["optional"]:
                made[one["key"]] = chosen_here
        elif not given.get(place, "").strip():
            instead = one.get("unless") and typed_in(given, f"{at}.{one['unless']}")
            if not (one["optional"] or instead):
                faults.setdefault(place, []).append(tr("This is still missing."))
        else:
            _read_one(one, place, given[place], made, faults)
    return made


def _read_one(
    one: Mapping[str, Any], place: str, text: str, made: dict[str, Any], faults: Faults
) -> None:
    key, kind, typed = one["key"], one["kind"], text.strip().replace("\r\n", "\n")
    exact: Fraction | None = None
    try:
        if kind == "money":
            amount = plain_amount(typed)
            exact = Fraction(money.fen(amount), 100)
            made[f"{key}_yuan"] = amount
        elif kind == "ratio":
            exact = money.ratio(plain_ratio(typed))
            made[key] = plain_ratio(typed)
        elif kind == "integer":
            made[key] = _whole(typed)
            exact = Fraction(made[key])
        elif kind == "list":
            made[key] = [line.split() if one["unit"] else line.strip()
                         for line in typed.split("\n") if line.strip()]  # fmt: skip
        else:
            made[key] = typed
    except InputError as error:
        if kind == "money" and "beyond" in error.sentence:
            most = decimal(Fraction(money.MAX_FEN, 100))
            told = tr("It is more than a record can hold, {most} yuan.", most=most)
            faults.setdefault(place, []).append(told)
            return
        faults.setdefault(place, []).append(
            {
                "money": tr("“{text}” is no amount: write yuan and at most two decimals, such as "
                            "1234.50.", text=typed[:60]),
                "ratio": tr("“{text}” is no exact number: write 0.0235, 2.35% or 7/300.",
                            text=typed[:60]),
            }.get(kind, tr("“{text}” is no whole number.", text=typed[:60]))
        )  # fmt: skip
        return
    if exact is not None:
        wrong = _out_of_bounds(exact, one["bounds"])
        if wrong:
            faults.setdefault(place, []).append(wrong)


def _out_of_bounds(exact: Fraction, bounds: str) -> str:
    least, above, most = bounds_of(bounds)
    if above is not None and exact <= above:
        return tr(
            "It is {value}, but must be more than {bound}.", value=decimal(exact), bound=above
        )
    if least is not None and exact < least:
        return tr("It is {value}, but must be at least {bound}.", value=decimal(exact), bound=least)
    if most is not None and exact > most:
        return tr("It is {value}, but must be at most {bound}.", value=decimal(exact), bound=most)
    return ""


def plain_amount(text: str) -> str:
    """An amount without the separators and signs of currency that people write.

    A comma that parts no thousands stays, so that 1,5 is refused and not read as 15.

    >>> plain_amount(" ¥1,200,000.00元"), plain_amount("1,5"), plain_amount("12 000")
    ('1200000.00', '1,5', '12000')
    """
    return _ungrouped(re.sub(r"[¥￥]|元$", "", text.strip()))


def _ungrouped(text: str) -> str:
    bare = re.sub(r"\s", "", text).replace("，", ",")
    grouped = re.fullmatch(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?%?", bare, re.ASCII)
    return bare.replace(",", "") if grouped else bare


def plain_ratio(text: str) -> str:
    """A rate as exact text: 2.35% is 0.0235.

    >>> plain_ratio(" 2.35 %"), plain_ratio("0.0235"), plain_ratio("100％"), plain_ratio("229,084")
    ('0.0235', '0.0235', '1', '229084')
    """
    bare = _ungrouped(text.replace("％", "%"))
    if not bare.endswith("%"):
        return bare
    exact = money.ratio(bare[:-1]) / 100
    places = 0
    while (exact * 10**places).denominator != 1 and places <= 18:
        places += 1
    if places > 18:
        return money.exact_text(exact)
    scaled = int(exact * 10**places)
    if not places:
        return str(scaled)
    sign, digits = ("-" if scaled < 0 else ""), f"{abs(scaled):0{places + 1}d}"
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def _whole(text: str) -> int:
    bare = _ungrouped(text)
    if not re.fullmatch(r"-?[0-9]{1,15}", bare, re.ASCII):
        raise InputError("value", "is no whole number")
    return int(bare)


# -- the document → what could have been typed -------------------------------------------------


def typed(at: str, described: Described, entries: Any, unknown: list[str]) -> Given:
    """What a form holds that says the same as a document; what it has no field for is named."""
    if not isinstance(entries, Mapping):
        unknown.append(at)
        return {}
    made: Given = {}
    known: set[str] = set()
    for one in described:
        place = f"{at}.{one['key']}"
        keys = (
            [f"{one['key']}_yuan", f"{one['key']}_fen"] if one["kind"] == "money" else [one["key"]]
        )
        key = next((key for key in keys if key in entries), None)
        if key is None:
            continue
        known.add(key)
        value = entries[key]
        if one["kind"] == "object":
            made |= typed(place, one["fields"], value, unknown)
        elif one["kind"] == "list" and isinstance(value, list):
            if one["choices"]:
                made |= {f"{place}.{entry}": "on" for entry in value if entry in one["choices"]}
            elif one["fields"]:
                for n, row in enumerate(value):
                    made |= typed(f"{place}.{n}", one["fields"], row, unknown)
            else:
                made[place] = "\n".join(
                    " ".join(map(str, row)) if isinstance(row, list) else str(row) for row in value
                )
        elif isinstance(value, Mapping | list | bool | None):
            unknown.append(place)
        elif key.endswith("_fen") and isinstance(value, int):
            made[place] = money.yuan(value)
        else:
            made[place] = str(value)
    unknown += [f"{at}.{key}" for key in entries if key not in known]
    return made


# -- running -----------------------------------------------------------------------------------


def document(method: str, given: Given, faults: Faults) -> dict[str, Any]:
    """The document of a method from what was typed under its name; rows left blank are taken out."""
    described = methods.describe(method)
    tidy(given, method, described["fields"])
    entries = read(method, described["fields"], given, faults)
    version = given.get(f"{method}.version", "").strip() or described["version"]
    return {"inputs": entries, "method": method, "version": version}


def enter_refusal(faults: Faults, at: str, error: InputError) -> None:
    """Enter what a method refuses at the places of the form."""
    for path, sentence in error.problems:
        faults.setdefault(place_of(at, path), []).append(in_words(sentence))


def numbers(at: str, described: Described, given: Mapping[str, str]) -> Iterator[Number]:
    """Every number typed under a place, with its path in the document's inputs."""
    yield from _numbers(at, described, given, "", "", "")


def _numbers(
    at: str, described: Described, given: Mapping[str, str], path: str, label: str, chosen: str
) -> Iterator[Number]:
    chosen = _chosen(at, described, given) or chosen
    for one in _asked(described, chosen):
        place, name = f"{at}.{one['key']}", f"{label}{plain_name(one)}"
        here = f"{path}{one['key']}"
        if one["kind"] == "object":
            yield from _numbers(place, one["fields"], given, f"{here}.", f"{name} › ", chosen)
        elif one["kind"] == "list" and one["fields"]:
            for n in range(row_count(given, place)):
                told = f"{name} {n + 1} › "
                yield from _numbers(
                    f"{place}.{n}", one["fields"], given, f"{here}[{n}].", told, chosen
                )
        elif one["kind"] in ("money", "ratio") and given.get(place, "").strip():
            is_money = one["kind"] == "money"
            yield Number(f"{here}_fen" if is_money else here, name, given[place], is_money)


def plain_name(one: Mapping[str, Any]) -> str:
    """A field's name without what stands in brackets after it."""
    return re.sub(r"\s*[(（,:].*", "", named(one))


def place_of(at: str, path: str) -> str:
    """The place of the form for a path of a document: `inputs.periods[0].income_fen`."""
    rest = INDEX.sub(r".\1", path.removeprefix("inputs").lstrip("."))
    rest = re.sub(r"_(fen|yuan)$", "", rest)
    return f"{at}.{rest}" if rest else at
