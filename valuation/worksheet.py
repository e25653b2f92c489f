"""A figure carries its derivation: named inputs, and steps whose formulas anyone can recompute exactly.

A step's formula is text in a small language over the symbols of earlier steps::

    expression = term { ("+" | "-") term }
    term       = factor { ("*" | "/") factor }
    factor     = "-" factor | power
    power      = atom [ "**" factor ]                 the exponent is an integer, within ±1,000
    atom       = number | symbol | "(" expression ")" | name "(" expression { "," expression } ")"
    number     = digits [ "." digits ]
    symbol     = letter { letter | digit | "_" }      ASCII

Functions: ``sum`` ``product`` ``min`` ``max`` of one or more; ``floor(x)``; ``round_half_up(x)`` to an
integer and ``round_half_up(x, d)`` to d decimals, halves away from zero; ``root(x)``, the square root:
exact where x is the square of a fraction, else the nearest multiple of 10^-40, halves up;
``power(x, q)``, x to any power for x > 0, likewise: exact where it is rational. All values are exact
fractions, so that two machines never differ by a fen; `root` and `power` are the only places where a number
is not exact, and 10^-40 of the largest amount is far below a fen. Half-integer exponents can be written
with either: ``(1 + i) ** -(t - 1/2)`` is ``root(1 + i) / (1 + i) ** t``.

A step without formula is an input. Nothing here calls Python's own evaluation.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from math import floor, isqrt
from typing import Any

from valuation import InputError, inputs
from valuation.money import exact_text, round_half_up, yuan

ROOT_DECIMALS = 40
"""Decimals of a root or a power that is not rational."""

MAX_BITS = 13_000
"""Largest numerator or denominator, in bits (about 3,900 digits): a longer one is refused."""

MAX_STEPS = 5_000
MAX_DEPTH = 50
MAX_FORMULA = 20_000
MAX_OPERATORS = 300

UNITS = {
    "fen": ("分", "fen (1/100 CNY)"),
    "1": ("无量纲", "pure number"),
    "per_period": ("每期", "fraction per period"),
    "count": ("个", "count"),
    "periods": ("期", "periods"),
}
"""Units of steps, with their names in Chinese and English."""

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
_TOKEN = re.compile(
    r"\s*(?:([0-9]{1,40}(?:\.[0-9]{1,40})?)|([A-Za-z][A-Za-z0-9_]*)|(\*\*|[-+*/(),]))", re.ASCII
)
_EXACT = re.compile(r"(-?(?:0|[1-9][0-9]{0,3999}))(?:/([1-9][0-9]{0,3999}))?")


@dataclass(frozen=True)
class Number:
    """A literal of a formula."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """The value of an earlier step."""

    name: str


@dataclass(frozen=True)
class Apply:
    """An operation or function over its arguments; a sign is ``neg``."""

    name: str
    args: "tuple[Node, ...]"


Node = Number | Symbol | Apply

_ARITY: dict[str, tuple[int, int]] = {
    "+": (2, 2),
    "-": (2, 2),
    "*": (2, 2),
    "/": (2, 2),
    "**": (2, 2),
    "neg": (1, 1),
    "sum": (1, inputs.MAX_LIST),
    "product": (1, inputs.MAX_LIST),
    "min": (1, inputs.MAX_LIST),
    "max": (1, inputs.MAX_LIST),
    "floor": (1, 1),
    "round_half_up": (1, 2),
    "root": (1, 1),
    "power": (2, 2),
}
FUNCTIONS = tuple(name for name in _ARITY if name.isidentifier() and name != "neg")
"""Names that a formula can call; no step may be called so."""


@lru_cache(maxsize=4_096)
def parse(formula: str) -> Node:
    """Return the tree of a formula; raise InputError("formula", …) where it is not one.

    >>> parse("C * (1 + r)").name
    '*'
    """
    if len(formula) > MAX_FORMULA:
        raise InputError("formula", f"is longer than {MAX_FORMULA} characters")
    parser = _Parser(list(_tokens(formula)))
    node = parser.expression(0)
    parser.expect("")
    return node


def evaluate(formula: str, values: Mapping[str, Fraction]) -> Fraction:
    """Return the exact value of a formula over named values.

    Raises InputError("formula", …) for a text that is no formula, an unknown symbol, a division by zero,
    a root of a negative number, an exponent beyond ±1,000 (of ``**`` one that is no integer), or a number
    of more than 13,000 bits.

    >>> evaluate("round_half_up(sum(a, b) / 2)", {"a": Fraction(1), "b": Fraction(2)})
    Fraction(2, 1)
    >>> evaluate("root(1.21)", {}), evaluate("power(27/8, -1/3)", {})
    (Fraction(11, 10), Fraction(2, 3))
    """
    return _value(parse(formula), values)


def apply(name: str, *args: Fraction) -> Fraction:
    """Return the exact value of one operation or function, such as ``*`` or ``root``, over its arguments.

    >>> apply("max", Fraction(1, 2), Fraction(2))
    Fraction(2, 1)
    """
    return _bounded(_OPERATIONS[name](*args))


def symbols(node: Node) -> Iterator[str]:
    """Yield the names of the steps that a tree refers to, from left to right.

    >>> list(symbols(parse("C * (1 + r) - C")))
    ['C', 'r', 'C']
    """
    if isinstance(node, Symbol):
        yield node.name
    elif isinstance(node, Apply):
        for arg in node.args:
            yield from symbols(arg)


@dataclass(frozen=True)
class Step:
    """One line of a derivation: what it is called, how it follows, what it is worth, and who says so.

    `formula` is empty for an input. `value` is exact, in `unit` (a key of `UNITS`). `source` names the
    paragraph or the basis. `rounding` says how the formula rounds, empty where it does not.
    """

    symbol: str
    zh: str
    en: str
    formula: str
    value: Fraction
    unit: str
    source: str
    rounding: str = ""

    def to_dict(self) -> dict[str, str]:
        """The step in canonical JSON types; the value is an exact text such as ``"7/100"``."""
        return {
            "en": self.en,
            "formula": self.formula,
            "rounding": self.rounding,
            "source": self.source,
            "symbol": self.symbol,
            "unit": self.unit,
            "value": exact_text(self.value),
            "zh": self.zh,
        }

    @classmethod
    def from_dict(cls, data: object, where: str = "step") -> "Step":
        """The step that `to_dict` wrote; raises InputError for anything else."""
        keys = ("en", "formula", "rounding", "source", "symbol", "unit", "value", "zh")
        entries = inputs.mapping(data, where, keys)
        for key in keys:
            if not isinstance(entries[key], str):
                raise InputError(f"{where}.{key}", "must be a text")
            inputs.encodable(entries[key], f"{where}.{key}")
        match = _EXACT.fullmatch(entries["value"])
        value = Fraction(int(match[1]), int(match[2] or 1)) if match else None
        if value is None or exact_text(value) != entries["value"]:
            raise InputError(f"{where}.value", "is not an exact number in lowest terms")
        return cls(**{**entries, "value": value})


@dataclass(frozen=True)
class Note:
    """A sentence that belongs to a figure: an assumption, a limit, a caution."""

    zh: str
    en: str

    def to_dict(self) -> dict[str, str]:
        """The note in canonical JSON types."""
        return {"en": self.en, "zh": self.zh}


@dataclass(frozen=True)
class Figure:
    """A value together with everything from which it follows.

    `result` is the symbol of the step that is the answer; `outputs` are the symbols worth showing with it.
    `document` is the input document where `methods.run` made the figure, else None.
    """

    method: str
    version: str
    result: str
    steps: tuple[Step, ...]
    outputs: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    document: dict[str, Any] | None = field(default=None, hash=False)

    def __getitem__(self, symbol: str) -> Step:
        """The step called `symbol`; raises KeyError where there is none."""
        for step in self.steps:
            if step.symbol == symbol:
                return step
        raise KeyError(symbol)

    @property
    def value(self) -> Fraction:
        """The exact value of the result, in `unit`."""
        return self[self.result].value

    @property
    def unit(self) -> str:
        """The unit of the result, a key of `UNITS`."""
        return self[self.result].unit

    @property
    def value_fen(self) -> int:
        """The result in fen; raises InputError where the figure is not an amount of whole fen."""
        if self.unit != "fen" or self.value.denominator != 1:
            raise InputError("figure", f"is no amount of money, but {self.unit}")
        return self.value.numerator

    def display(self) -> str:
        """The result as text for a person: yuan with two decimals, or an exact number."""
        return yuan(self.value_fen) if self.unit == "fen" else exact_text(self.value)

    def to_dict(self) -> dict[str, Any]:
        """The figure in canonical JSON types (design §4): no floats, ASCII keys."""
        return {
            "document": self.document,
            "method": self.method,
            "notes": [note.to_dict() for note in self.notes],
            "outputs": list(self.outputs),
            "result": self.result,
            "steps": [step.to_dict() for step in self.steps],
            "unit": self.unit,
            "v": 1,
            "value": exact_text(self.value),
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, data: object) -> "Figure":
        """The figure that `to_dict` wrote; raises InputError for anything else.

        Its form is checked, not its arithmetic: that is `recompute`.
        """
        keys = (
            "document",
            "method",
            "notes",
            "outputs",
            "result",
            "steps",
            "unit",
            "v",
            "value",
            "version",
        )
        entries = inputs.mapping(data, "", keys)
        if entries["v"] != 1 or isinstance(entries["v"], bool):
            raise InputError("v", "must be 1")
        if entries["document"] is not None and not isinstance(entries["document"], dict):
            raise InputError("document", "must be an object or null")
        steps = inputs.sequence(entries["steps"], "steps", 1, MAX_STEPS)
        notes = [
            inputs.mapping(note, f"notes[{k}]", ("en", "zh"))
            for k, note in enumerate(inputs.sequence(entries["notes"], "notes", 0))
        ]
        outputs = inputs.sequence(entries["outputs"], "outputs", 0)
        figure = cls(
            method=inputs.text(entries["method"], "method"),
            version=inputs.text(entries["version"], "version"),
            result=inputs.text(entries["result"], "result"),
            steps=tuple(Step.from_dict(step, f"steps[{k}]") for k, step in enumerate(steps)),
            outputs=tuple(inputs.text(name, f"outputs[{k}]") for k, name in enumerate(outputs)),
            notes=tuple(
                Note(
                    inputs.text(note["zh"], f"notes[{k}].zh"),
                    inputs.text(note["en"], f"notes[{k}].en"),
                )
                for k, note in enumerate(notes)
            ),
            document=entries["document"],
        )
        names = {step.symbol for step in figure.steps}
        for where, name in [
            ("result", figure.result),
            *(("outputs", out) for out in figure.outputs),
        ]:
            if name not in names:
                raise InputError(where, f"names {name!r}, which no step is called")
        for key, own in (("value", exact_text(figure.value)), ("unit", figure.unit)):
            if entries[key] != own:
                raise InputError(key, f"is not that of the step {figure.result}")
        return figure


def recompute(figure: "Figure | Mapping[str, Any]") -> Fraction:
    """Return the value that follows from the inputs alone, if every step agrees with what is written.

    Raises InputError whose field is the symbol of the first step that differs (or that cannot be
    computed, refers to a later step, or bears a name used before). Takes a figure or its `to_dict` form.
    That the steps are those of the method is what `methods.verify` checks in addition.

    >>> sheet = Worksheet()
    >>> _ = sheet.given("C", "成本", "cost", 1000, "fen", "books")
    >>> _ = sheet.step("P", "价值", "value", "C * 0.9", "fen", "example")
    >>> data = sheet.figure("example", "1", "P").to_dict()
    >>> recompute(data)
    Fraction(900, 1)
    >>> data["steps"][0]["value"] = "2000"
    >>> recompute(data)
    Traceback (most recent call last):
    valuation.InputError: P: differs: its formula does not give the value written
    """
    known = figure if isinstance(figure, Figure) else Figure.from_dict(figure)
    values: dict[str, Fraction] = {}
    for step in known.steps:
        _check_name(step.symbol, values)
        if step.formula:
            try:
                value = evaluate(step.formula, values)
            except InputError as error:
                raise InputError(step.symbol, f"cannot be recomputed: {error.sentence}") from None
            if value != step.value:
                raise InputError(
                    step.symbol, "differs: its formula does not give the value written"
                )
        if step.unit not in UNITS:
            raise InputError(step.symbol, f"has the unknown unit {step.unit!r}"[:100])
        values[step.symbol] = step.value
    if known.result not in values:
        raise InputError(known.result[:60], "is called the result, but is no step")
    return values[known.result]


class Worksheet:
    """A derivation under construction; it computes each step by evaluating the step's own formula.

    >>> sheet = Worksheet()
    >>> sheet.given("C", "成本", "cost", Fraction(1000), "fen", "books")
    Fraction(1000, 1)
    >>> sheet.step("P", "价值", "value", "round_half_up(C * 0.9)", "fen", "example", "half up to 1 fen")
    Fraction(900, 1)
    >>> sheet.figure("example", "1", "P").display()
    '9.00'
    """

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._values: dict[str, Fraction] = {}
        self._notes: list[Note] = []

    def given(
        self, symbol: str, zh: str, en: str, value: Fraction | int, unit: str, source: str
    ) -> Fraction:
        """Write an input down and return its value."""
        return self._write(Step(symbol, zh, en, "", Fraction(value), unit, source))

    def step(
        self,
        symbol: str,
        zh: str,
        en: str,
        formula: str,
        unit: str,
        source: str,
        rounding: str = "",
    ) -> Fraction:
        """Write a derived line down and return the value of its formula."""
        value = evaluate(formula, self._values)
        return self._write(Step(symbol, zh, en, formula, value, unit, source, rounding))

    def note(self, zh: str, en: str) -> None:
        """Write down an assumption, a limit or a caution."""
        self._notes.append(Note(zh, en))

    def include(self, figure: Figure, prefix: str) -> str:
        """Take all steps of another figure over under prefixed symbols; return its result's new symbol."""
        for step in figure.steps:
            formula = _renamed(step.formula, prefix)
            self._write(
                Step(
                    prefix + step.symbol,
                    step.zh,
                    step.en,
                    formula,
                    step.value,
                    step.unit,
                    step.source,
                    step.rounding,
                )
            )
        self._notes.extend(figure.notes)
        return prefix + figure.result

    def figure(
        self, method: str, version: str, result: str, outputs: tuple[str, ...] = ()
    ) -> Figure:
        """The finished figure; its notes are those written, each once."""
        return Figure(
            method,
            version,
            result,
            tuple(self._steps.values()),
            outputs or (result,),
            tuple(dict.fromkeys(self._notes)),
        )

    def _write(self, step: Step) -> Fraction:
        _check_name(step.symbol, self._values)
        assert step.unit in UNITS, step.unit
        _bounded(step.value)
        self._steps[step.symbol] = step
        self._values[step.symbol] = step.value
        return step.value


def _check_name(symbol: str, taken: Mapping[str, object]) -> None:
    if not _SYMBOL.fullmatch(symbol) or symbol in _ARITY:
        raise InputError(symbol[:60] or "symbol", "cannot be the name of a step")
    if symbol in taken:
        raise InputError(symbol, "is the name of two steps")


def _renamed(formula: str, prefix: str) -> str:
    return _TOKEN.sub(
        lambda match: (
            match[0].replace(match[2], prefix + match[2])
            if match[2] and match[2] not in _ARITY
            else match[0]
        ),
        formula,
    )


def _tokens(formula: str) -> Iterator[str]:
    position, end = 0, len(formula.rstrip())
    while position < end:
        match = _TOKEN.match(formula, position)
        if match is None:
            raise InputError("formula", f"has an unknown sign at position {position + 1}")
        yield match[1] or match[2] or match[3]
        position = match.end()
    yield ""


class _Parser:
    """Recursive descent over tokens; the last token is empty."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0
        self.operators = 0

    def take(self) -> str:
        token = self.tokens[self.position]
        self.position += bool(token)
        return token

    def expect(self, token: str) -> None:
        found = self.take()
        if found != token:
            raise InputError(
                "formula", f"has {found or 'its end'!r} where {token or 'its end'!r} is expected"
            )

    def peek(self) -> str:
        return self.tokens[self.position]

    def expression(self, depth: int) -> Node:
        node = self.term(depth)
        while self.peek() in ("+", "-"):
            node = self.operation(node, self.term, depth)
        return node

    def term(self, depth: int) -> Node:
        node = self.factor(depth)
        while self.peek() in ("*", "/"):
            node = self.operation(node, self.factor, depth)
        return node

    def operation(self, left: Node, right: Callable[[int], Node], depth: int) -> Node:
        self.operators += 1
        if self.operators > MAX_OPERATORS:
            raise InputError(
                "formula", f"has more than {MAX_OPERATORS} operators; use sum or product"
            )
        return Apply(self.take(), (left, right(depth)))

    def factor(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise InputError("formula", f"is nested more than {MAX_DEPTH} deep")
        if self.peek() == "-":
            self.take()
            return Apply("neg", (self.factor(depth + 1),))
        node = self.atom(depth)
        if self.peek() == "**":
            self.take()
            node = Apply("**", (node, self.factor(depth + 1)))
        return node

    def atom(self, depth: int) -> Node:
        token = self.take()
        if token == "(":  # noqa: S105 - a token of a formula
            node = self.expression(depth + 1)
            self.expect(")")
            return node
        if token[:1].isdigit():
            return Number(Fraction(token))
        if not token[:1].isalpha():
            raise InputError("formula", f"has {token or 'its end'!r} where a value is expected")
        if self.peek() != "(":
            return Symbol(token)
        if token not in FUNCTIONS:
            raise InputError("formula", f"calls {token[:60]!r}; known are {', '.join(FUNCTIONS)}")
        self.take()
        args = [self.expression(depth + 1)]
        while self.peek() == ",":
            self.take()
            args.append(self.expression(depth + 1))
        self.expect(")")
        least, most = _ARITY[token]
        if not least <= len(args) <= most:
            raise InputError(
                "formula", f"gives {token} {len(args)} arguments; it takes {least} to {most}"
            )
        return Apply(token, tuple(args))


def _value(node: Node, values: Mapping[str, Fraction]) -> Fraction:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Symbol):
        if node.name not in values:
            raise InputError(
                "formula", f"refers to {node.name[:60]!r}, which no earlier step is called"
            )
        return values[node.name]
    return apply(node.name, *(_value(arg, values) for arg in node.args))


def _divide(a: Fraction, b: Fraction) -> Fraction:
    if b == 0:
        raise InputError("formula", "divides by zero")
    return a / b


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > 1_000:
        raise InputError("formula", "has an exponent that is no integer within ±1,000")
    return _whole_power(base, int(exponent))


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    if base == 0 and exponent < 0:
        raise InputError("formula", "divides by zero")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if (bits - 1) * abs(exponent) > MAX_BITS:
        raise InputError("formula", f"gives a number of more than {MAX_BITS} bits")
    return Fraction(base**exponent)


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise InputError("formula", "takes the root of a negative number")
    top, bottom = isqrt(value.numerator), isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(top, bottom)
    # ⌊√x·10^40 + 1/2⌋ = ⌊(⌊√(4·x·10^80)⌋ + 1) / 2⌋, all in integers
    scaled = 4 * value.numerator * 10 ** (2 * ROOT_DECIMALS) // value.denominator
    return Fraction((isqrt(scaled) + 1) // 2, 10**ROOT_DECIMALS)


def _real_power(base: Fraction, exponent: Fraction) -> Fraction:
    """base^exponent: exact where rational, else e^(exponent · ln base) to 20 decimals more than kept."""
    if exponent.denominator == 1:
        return _power(base, exponent)
    if base <= 0:
        raise InputError(
            "formula", "takes a number that is not positive to a power that is no integer"
        )
    if abs(exponent) > 1_000:
        raise InputError("formula", "has an exponent beyond ±1,000")
    roots = [_whole_root(term, exponent.denominator) for term in (base.numerator, base.denominator)]
    if roots[0] is not None and roots[1] is not None:
        return _whole_power(Fraction(roots[0], roots[1]), exponent.numerator)
    if max(base, 1 / base) > 10**18:
        raise InputError("formula", "takes a power that is no integer of a number beyond 10^18")
    with localcontext(Context(prec=60)):
        size = exponent.numerator * _decimal(base).ln() / exponent.denominator
        if size > 300:
            raise InputError("formula", "gives a power of more than 130 digits")
    with localcontext(Context(prec=60 + max(0, int(size)))):
        result = (exponent.numerator * _decimal(base).ln() / exponent.denominator).exp()
        return Fraction(round_half_up(Fraction(result) * 10**ROOT_DECIMALS), 10**ROOT_DECIMALS)


def _whole_root(value: int, degree: int) -> int | None:
    """The positive integer whose power of `degree` is `value` > 0, if there is one."""
    if value == 1:
        return 1
    if degree >= value.bit_length():
        return None
    root = 1 << -(
        -value.bit_length() // degree
    )  # above the root, from where Newton's steps fall to its floor
    while True:
        following = ((degree - 1) * root + value // root ** (degree - 1)) // degree
        if following >= root:
            return root if root**degree == value else None
        root = following


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _product(*factors: Fraction) -> Fraction:
    result = Fraction(1)
    for factor in factors:
        result = _bounded(result * factor)
    return result


def _sum(*terms: Fraction) -> Fraction:
    result = Fraction(0)
    for term in terms:
        result = _bounded(result + term)
    return result


def _rounded(value: Fraction, decimals: Fraction = Fraction(0)) -> Fraction:
    if decimals.denominator != 1 or not 0 <= decimals <= 60:
        raise InputError(
            "formula", "rounds to a number of decimals that is no integer from 0 to 60"
        )
    scale = 10 ** int(decimals)
    return Fraction(round_half_up(value * scale), scale)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise InputError("formula", f"gives a number of more than {MAX_BITS} bits")
    return value


_OPERATIONS: dict[str, Callable[..., Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "**": _power,
    "neg": lambda a: -a,
    "sum": _sum,
    "product": _product,
    "min": lambda *args: min(args),
    "max": lambda *args: max(args),
    "floor": lambda a: Fraction(floor(a)),
    "round_half_up": _rounded,
    "root": _root,
    "power": _real_power,
}
