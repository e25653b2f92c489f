"""Numbers of forty digits in a spreadsheet, whose cells hold fifteen: exact limbs, and live formulas.

A cell is a double, 53 bits. A long number is a row of cells that hold integers, its *limbs*::

    x = Σ limb_k · B^(W-1-k),  k = 0 … 7     B = 10^7; W = 4 limbs before the point, 4 behind it

Every limb lies within ±B/2, so that all sums of products stay integers below 10^15, which every
spreadsheet program computes exactly; none of them is asked to subtract two fractions that nearly agree
(LibreOffice makes that 0, Excel often does). Carries are ``ROUND(d/B,0)``: whichever way a program rounds,
``limb = d - B·carry`` keeps the number exact.

==============  ================================================================================
sum, product    by limbs, with carries; a product is cut off behind the 28th decimal
quotient        a first quotient in doubles, then twice the rest over the divisor (Newton)
power           products of the base with itself; a negative exponent is one over that
root            a first root in doubles, then twice (x - s²) / (2·s)
x^q             x^n · e^((q - n)·ln x), n the integer next to q when the sheet was made
e^z             1 + w + w²/2! + … + w^8/8! with w = z / 2^12, then twelve times its square
ln x            a first logarithm m in doubles, then m + 2·(x - e^m) / (x + e^m) (Halley)
floor, round    limbs before the point, and the limbs behind it decide; 10^-10 beside a tie is the tie
==============  ================================================================================

Limits: sums of products stay below 10^15, which numbers up to 10^21 do, and no value lies within 10^-10 of
a tie that is none. Beyond them the integers of the sheet may not be the exact ones (`LongNumbers.exact`),
and the workbook says so. Each row also shows the number as a double (≈). Formulas stand in parentheses:
Excel then leaves small differences alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import factorial, floor, log
from typing import Any

from xlsxwriter.utility import xl_col_to_name

from valuation.formulas import Apply, Node, Number, Symbol, apply, parse
from valuation.money import round_half_up
from valuation.worksheet import Step

BASE = 10**7
DIGITS = 7
WHOLE = 4
LIMBS = 8
NEAR_TIE = "0.0000000001"
"""This near to a tie is the tie: the limbs behind the point err by about 10^-14."""

_HALVINGS, _TERMS = 12, 8
_DOUBLES = 10**15  # below it every program shows and computes integers exactly
_FIRST = 3  # the column of the highest limb
_CARRIED = _FIRST + LIMBS + 1  # the column of the highest sum, its carry included
_EXPONENTS = tuple(DIGITS * (WHOLE - 1 - k) for k in range(LIMBS))


@dataclass(frozen=True)
class Long:
    """A row of limbs on the sheet, and what is cached there."""

    row: int
    limbs: tuple[int, ...]
    about: float

    def at(self, k: int) -> str:
        """The cell of a limb."""
        return f"${xl_col_to_name(_FIRST + k)}${self.row + 1}"

    @property
    def about_at(self) -> str:
        """The cell of the number as a double."""
        return f"$C${self.row + 1}"

    @property
    def whole(self) -> int:
        """The cached limbs before the point as one integer."""
        return sum(limb * 10**e for limb, e in zip(self.limbs, _EXPONENTS, strict=True) if e >= 0)


@dataclass(frozen=True)
class Given:
    """An input as cells of the sheet of steps hold it.

    `numerator` is the cell; `decimals` (0, 7 or 14) are those that it may have. A fraction has its
    `denominator` in a second cell, both integers. None for a number that no cell holds: its limbs are
    then the input.
    """

    numerator: str
    decimals: int
    denominator: str | None
    value: Fraction


class LongNumbers:
    """A sheet of long numbers under construction: one row for each operation, each once."""

    def __init__(self, page: Any, steps: Mapping[str, Step], given: Mapping[str, Given | None],
                 limb: Any, head: Any, marked: Any) -> None:  # fmt: skip
        self.page, self.steps, self.given = page, steps, given
        self.limb, self.marked = limb, marked
        self.row = 3
        self.exact = True  # whether every integer so far is the exact one, and doubles hold it
        self.known: dict[Node | tuple[str, Node, int], Long] = {}
        page.write_string(
            0,
            0,
            "长数：每行一个数，由整数“节”组成，B = 10^7；单元格精度不足时由此得到准确到分的结果。",
        )
        page.write_string(
            1, 0, "Long numbers: one to a row, of integer limbs to the base 10^7; they keep results exact"
            " to the fen where a cell's fifteen digits do not suffice.",
        )  # fmt: skip
        for column, text in ((0, "行 Row"), (1, "运算 Operation"), (2, "约 About")):
            page.write_string(2, column, text, head)
        for k, exponent in enumerate(_EXPONENTS):
            page.write_string(2, _FIRST + k, f"× 10^{exponent}", head)
            page.write_string(2, _CARRIED + k, f"含进位 carried × 10^{exponent}", head)
        page.set_column(1, 1, 40)
        page.set_column(2, _CARRIED + LIMBS, 18)
        page.freeze_panes(3, 3)

    def of(self, node: Node) -> Long:
        """The long number of a formula's tree; its rows are written where they are not there yet."""
        if node not in self.known:
            self.known[node] = self._made(node)
        return self.known[node]

    def integer(self, node: Apply) -> str:
        """A `floor` or `round_half_up` to an integer, as a part of another sheet's formula."""
        made, sheet = self.of(node), f"'{self.page.get_name()}'!"
        self.exact = self.exact and made.whole == self._value(node)
        terms = [f"{sheet}{made.at(k)}*{10**e}" for k, e in enumerate(_EXPONENTS) if e >= 0]
        return f"({'+'.join(terms)})"

    def _value(self, node: Node) -> Fraction:
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Symbol):
            return self.steps[node.name].value
        return apply(node.name, *map(self._value, node.args))

    def _made(self, node: Node) -> Long:
        if isinstance(node, Number):
            return self._constant(str(node.value)[:40], node.value)
        if isinstance(node, Apply):
            return self._applied(node)
        step = self.steps[node.name]
        if step.formula:
            return self.of(parse(step.formula))
        return self._input(node.name, self.given[node.name], step.value)

    def _applied(self, node: Apply) -> Long:
        name = node.name
        if name == "**":
            return self._power(node.args[0], _whole_number(node.args[1]))
        if name == "power":
            return self._real_power(node.args[0], self.of(node.args[1]))
        if name in ("floor", "round_half_up"):
            return self._rounded(name, self.of(node.args[0]))
        args = [self.of(arg) for arg in node.args]
        signs = (1, -1) if name == "-" else (-1,) if name == "neg" else (1,) * len(args)
        match name:
            case "+" | "sum" | "-" | "neg":
                return self._sum(list(zip(signs, args, strict=True)))
            case "*" | "product":
                return reduce(self._product, args)
            case "/":
                return self._quotient(args[0], args[1])
            case "root":
                return self._root(args[0])
        assert name in ("min", "max"), name
        return reduce(lambda a, b: self._extreme(name, a, b), args)

    # -- rows --------------------------------------------------------------------------------

    def _write(self, text: str, formulas: list[str], limbs: list[int], form: Any = None,
               about: tuple[str, float] | None = None) -> Long:  # fmt: skip
        row = self.row
        self.row += 1
        made = Long(row, tuple(limbs), about[1] if about else _about(limbs))
        self.page.write_number(row, 0, row + 1)
        self.page.write_string(row, 1, text)
        terms = [f"{made.at(k)}*1E{e:+d}" for k, e in enumerate(_EXPONENTS)]
        formula = about[0] if about else "+".join(terms)
        self.page.write_formula(row, 2, f"={formula}", None, made.about)
        for k, (cell, limb) in enumerate(zip(formulas, limbs, strict=True)):
            if cell:
                self.page.write_formula(row, _FIRST + k, f"=({cell})", form or self.limb, limb)
            else:
                self.page.write_number(row, _FIRST + k, limb, form or self.limb)
        return made

    def _carried(self, text: str, terms: Callable[[int], tuple[list[str], int]]) -> Long:
        """The row whose limbs are the sums `terms(k)`, with what they carry to the next higher limb."""
        row, carry = self.row, 0
        formulas, limbs = [""] * LIMBS, [0] * LIMBS
        for k in reversed(range(LIMBS)):
            cells, value = terms(k)
            own = f"{xl_col_to_name(_CARRIED + k)}{row + 1}"
            below = f"{xl_col_to_name(_CARRIED + k + 1)}{row + 1}"
            if k < LIMBS - 1:
                cells = [*cells, f"ROUND({below}/{BASE},0)"]
            elif (cut := terms(LIMBS))[0]:  # the first limb cut off rounds the last one kept
                cells = [*cells, f"ROUND(({'+'.join(cut[0])})/{BASE},0)"]
                value += round_half_up(Fraction(cut[1], BASE))
            total = value + carry
            self.exact = self.exact and abs(total) < _DOUBLES
            text_k = f"=({'+'.join(cells) or '0'})".replace("+-", "-")
            self.page.write_formula(row, _CARRIED + k, text_k, self.limb, total)
            carry = round_half_up(Fraction(total, BASE)) if k else 0
            formulas[k] = f"{own}-{BASE}*ROUND({own}/{BASE},0)" if k else own
            limbs[k] = total - BASE * carry
        return self._write(text, formulas, limbs)

    def _constant(self, text: str, value: Fraction, form: Any = None) -> Long:
        rest, limbs = round_half_up(value * 10 ** -_EXPONENTS[-1]), []
        for _ in range(LIMBS - 1):
            carry = round_half_up(Fraction(rest, BASE))
            limbs.append(rest - BASE * carry)
            rest = carry
        return self._write(text, [""] * LIMBS, [rest, *reversed(limbs)], form)

    def _input(self, name: str, given: Given | None, value: Fraction) -> Long:
        if given is None:
            return self._constant(f"{name} (输入 input)", value, self.marked)
        if given.denominator is None:
            return self._cell(name, given.numerator, given.decimals, value)
        top = self._cell(f"{name} 分子 numerator", given.numerator, 0, Fraction(value.numerator))
        bottom = self._cell(
            f"{name} 分母 denominator", given.denominator, 0, Fraction(value.denominator)
        )
        return self._quotient(top, bottom)

    def _cell(self, text: str, cell: str, decimals: int, value: Fraction) -> Long:
        """The limbs of a cell's number with at most so many decimals (0, 7 or 14)."""
        last = WHOLE - 1 + decimals // DIGITS
        scaled = f"ROUND({cell}*{10**decimals},0)" if decimals else cell
        rest = round_half_up(value * 10**decimals)
        formulas, limbs, taken = ["0"] * LIMBS, [0] * LIMBS, ""
        for k, weight in ((last - 2, BASE**2), (last - 1, BASE), (last, 1)):
            formulas[k] = f"ROUND(({scaled}{taken})/{weight},0)"
            limbs[k] = round_half_up(Fraction(rest, weight))
            rest -= limbs[k] * weight
            taken += f"-{xl_col_to_name(_FIRST + k)}{self.row + 1}*{weight}"
        return self._write(text, formulas, limbs)

    def _sum(self, args: list[tuple[int, Long]]) -> Long:
        def terms(k: int) -> tuple[list[str], int]:
            if k == LIMBS:
                return [], 0
            cells = [f"{'-' if sign < 0 else ''}{arg.at(k)}" for sign, arg in args]
            return cells, sum(sign * arg.limbs[k] for sign, arg in args)

        shown = [f"{'-' if sign < 0 else '+'} #{arg.row + 1}" for sign, arg in args]
        return self._carried(" ".join(shown).removeprefix("+ "), terms)

    def _product(self, a: Long, b: Long) -> Long:
        return self._carried(f"#{a.row + 1} × #{b.row + 1}", lambda k: _products(k, a, b))

    def _less_product(self, a: Long, q: Long, b: Long) -> Long:
        """a - q·b, which is small: what a quotient leaves."""

        def terms(k: int) -> tuple[list[str], int]:
            cells, value = _products(k, q, b)
            cells = [f"-{cell}" for cell in cells]
            return ([a.at(k), *cells], a.limbs[k] - value) if k < LIMBS else (cells, -value)

        return self._carried(f"#{a.row + 1} - #{q.row + 1} × #{b.row + 1}", terms)

    def _digits(self, text: str, formula: str, value: float) -> Long:
        """The limbs of a double, from the highest on."""
        row, rest, taken = self.row, value, f"$C${self.row + 1}"
        formulas, limbs = [], []
        for k, exponent in enumerate(_EXPONENTS):
            formulas.append(f"ROUND(({taken})*1E{-exponent:+d},0)")
            limbs.append(round_half_up(Fraction(rest * 10.0**-exponent)))
            rest -= limbs[-1] * 10.0**exponent
            taken += f"-{xl_col_to_name(_FIRST + k)}{row + 1}*1E{exponent:+d}"
        return self._write(text, formulas, limbs, about=(formula, value))

    def _quotient(self, a: Long, b: Long) -> Long:
        made, rest = None, a
        for _ in range(3):
            text = f"≈ #{rest.row + 1} ÷ #{b.row + 1}"
            more = self._digits(text, f"{rest.about_at}/{b.about_at}", rest.about / b.about)
            made = self._sum([(1, made), (1, more)]) if made else more
            rest = self._less_product(a, made, b)
        assert made is not None
        return made

    def _root(self, x: Long) -> Long:
        made = self._digits(f"≈ √#{x.row + 1}", f"SQRT({x.about_at})", x.about**0.5)
        for _ in range(2):
            rest = self._less_product(x, made, made)
            text = f"≈ #{rest.row + 1} ÷ (2 × #{made.row + 1})"
            formula = f"IF({made.about_at}=0,0,{rest.about_at}/(2*{made.about_at}))"
            more = self._digits(text, formula, rest.about / (2 * made.about) if made.about else 0.0)
            made = self._sum([(1, made), (1, more)])
        return made

    def _power(self, base: Node, exponent: int) -> Long:
        if exponent < 0:
            return self._quotient(self.of(Number(Fraction(1))), self._power(base, -exponent))
        if exponent < 2:
            return self.of(base if exponent else Number(Fraction(1)))
        key = ("**", base, exponent)
        if key not in self.known:
            lower = exponent - 1 if ("**", base, exponent - 1) in self.known else exponent // 2
            a, b = self._power(base, lower), self._power(base, exponent - lower)
            self.known[key] = self._product(a, b)
        return self.known[key]

    def _real_power(self, base: Node, exponent: Long) -> Long:
        near = round(exponent.about)
        power = self._power(base, near)
        rest = self._sum([(1, exponent), (-1, self.of(Number(Fraction(near))))])
        return self._product(power, self._exponential(self._product(rest, self._logarithm(base))))

    def _logarithm(self, base: Node) -> Long:
        key = ("ln", base, 0)
        if key not in self.known:
            x = self.of(base)
            first = self._digits(f"≈ ln #{x.row + 1}", f"LN({x.about_at})", log(x.about))
            e = self._exponential(first)
            difference, total = self._sum([(1, x), (-1, e)]), self._sum([(1, x), (1, e)])
            half = self._quotient(difference, total)
            self.known[key] = self._sum([(1, first), (1, half), (1, half)])
        return self.known[key]

    def _exponential(self, z: Long) -> Long:
        one = self.of(Number(Fraction(1)))
        powers = [one, self._product(z, self.of(Number(Fraction(1, 2**_HALVINGS))))]
        while len(powers) <= _TERMS:
            powers.append(self._product(powers[-1], powers[1]))
        parts = [self.of(Number(Fraction(1, factorial(n)))) for n in range(_TERMS + 1)]

        def terms(k: int) -> tuple[list[str], int]:
            pairs = [_products(k, a, b) for a, b in zip(powers, parts, strict=True)]
            return [cell for cells, _ in pairs for cell in cells], sum(value for _, value in pairs)

        made = self._carried(f"e^(#{z.row + 1} / 2^{_HALVINGS})", terms)
        for _ in range(_HALVINGS):
            made = self._product(made, made)
        return made

    def _extreme(self, name: str, a: Long, b: Long) -> Long:
        difference = self._sum([(1, a), (-1, b)])
        first = (difference.about < 0) == (name == "min")
        sign = "<" if name == "min" else ">="
        formulas = [f"IF({difference.about_at}{sign}0,{a.at(k)},{b.at(k)})" for k in range(LIMBS)]
        return self._write(
            f"{name}(#{a.row + 1}, #{b.row + 1})", formulas, [*(a if first else b).limbs]
        )

    def _rounded(self, name: str, x: Long) -> Long:
        """The integer: the limbs before the point, the last of them moved by what stands behind it."""
        behind = "+".join(f"{x.at(k)}*1E{e:+d}" for k, e in enumerate(_EXPONENTS) if e < 0)
        part = sum(limb * 10.0**e for limb, e in zip(x.limbs, _EXPONENTS, strict=True) if e < 0)
        near = float(NEAR_TIE)
        if name == "floor":
            moved, by = f"INT({behind}+{NEAR_TIE})", floor(part + near)
        else:
            moved = (
                f"IF({x.about_at}<0,-INT(0.5+{NEAR_TIE}-({behind})),INT({behind}+0.5+{NEAR_TIE}))"
            )
            by = -floor(0.5 + near - part) if x.about < 0 else floor(part + 0.5 + near)
        last = WHOLE - 1
        formulas = [x.at(k) if k < last else "0" for k in range(LIMBS)]
        formulas[last] = f"{x.at(last)}+{moved}"
        limbs = [limb if k <= last else 0 for k, limb in enumerate(x.limbs)]
        limbs[last] += by
        return self._write(f"{name}(#{x.row + 1})", formulas, limbs)


def _products(k: int, a: Long, b: Long) -> tuple[list[str], int]:
    """The products of two numbers' limbs that belong to limb k, as cells and in all."""
    pairs = [(i, k + WHOLE - 1 - i) for i in range(LIMBS) if 0 <= k + WHOLE - 1 - i < LIMBS]
    cells = [f"{a.at(i)}*{b.at(j)}" for i, j in pairs]
    return cells, sum(a.limbs[i] * b.limbs[j] for i, j in pairs)


def _about(limbs: list[int]) -> float:
    return float(sum(limb * 10.0**e for limb, e in zip(limbs, _EXPONENTS, strict=True)))


def _whole_number(node: Node) -> int:
    """The exponent of a power; the methods write it as a literal."""
    if isinstance(node, Apply) and node.name == "neg":
        return -_whole_number(node.args[0])
    assert isinstance(node, Number)
    return int(node.value)
