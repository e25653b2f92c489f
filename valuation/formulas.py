"""The language of formulas: text over the symbols of earlier steps, evaluated exactly::

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

Nothing here calls Python's own evaluation.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from math import floor, isqrt

from valuation import InputError, inputs
from valuation.money import round_half_up

ROOT_DECIMALS = 40
"""Decimals of a root or a power that is not rational."""

MAX_BITS = 13_000
"""Largest numerator or denominator, in bits (about 3,900 digits): a longer one is refused."""

MAX_DEPTH = 50
MAX_FORMULA = 20_000
MAX_OPERATORS = 300

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
_TOKEN = re.compile(
    r"\s*(?:([0-9]{1,40}(?:\.[0-9]{1,40})?)|([A-Za-z][A-Za-z0-9_]*)|(\*\*|[-+*/(),]))", re.ASCII
)


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
    return bounded(_OPERATIONS[name](*args))


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


def can_name(symbol: str) -> bool:
    """Whether a step can be called so: a symbol, and none of the functions.

    >>> can_name("C_1"), can_name("sum")
    (True, False)
    """
    return bool(_SYMBOL.fullmatch(symbol)) and symbol not in _ARITY


def renamed(formula: str, prefix: str) -> str:
    """Return the formula with a prefix before every symbol; functions keep their names.

    >>> renamed("sum(a, b) * 2", "cost_")
    'sum(cost_a, cost_b) * 2'
    """
    return _TOKEN.sub(
        lambda match: (
            match[0].replace(match[2], prefix + match[2])
            if match[2] and match[2] not in _ARITY
            else match[0]
        ),
        formula,
    )


def bounded(value: Fraction) -> Fraction:
    """Return the value; raise InputError("formula", …) for a number of more than 13,000 bits.

    >>> bounded(Fraction(1, 3))
    Fraction(1, 3)
    """
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise InputError("formula", f"gives a number of more than {MAX_BITS} bits")
    return value


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
        result = bounded(result * factor)
    return result


def _sum(*terms: Fraction) -> Fraction:
    result = Fraction(0)
    for term in terms:
        result = bounded(result + term)
    return result


def _rounded(value: Fraction, decimals: Fraction = Fraction(0)) -> Fraction:
    if decimals.denominator != 1 or not 0 <= decimals <= 60:
        raise InputError(
            "formula", "rounds to a number of decimals that is no integer from 0 to 60"
        )
    scale = 10 ** int(decimals)
    return Fraction(round_half_up(value * scale), scale)


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
