"""Uncertain inputs are drawn, and a worksheet's formulas run over arrays of draws, alike on every machine.

Draws come from PCG64, whose stream NumPy keeps fixed, through uniform numbers k · 2^-53 and the inverse
transforms written here. Only `+ - * /`, square roots and steps between integers are used, which IEEE 754
rounds to the last bit; logarithm and exponential are our own series of them. So neither another machine
nor another release of NumPy changes a draw.

=============  ==========================================  =============================================
distribution   parameters (ratios)                         inverse transform of u in [0, 1)
=============  ==========================================  =============================================
`uniform`      low < high                                  low + u · (high - low)
`triangular`   low <= mode <= high, low < high             low + √(u(high - low)(mode - low)), or from above
`normal`       mean, deviation > 0 [low < high]            mean + deviation · z
`lognormal`    median > 0, sigma > 0 [low < high]          median · exp(sigma · z)
=============  ==========================================  =============================================

z is the inverse of the normal distribution (M. J. Wichura, Algorithm AS 241, Applied Statistics 37, 1988,
477-484: sixteen digits), so |z| <= 8.3. With `low` and `high` the distribution is cut to what lies between
them, by u' = Φ(a) + u(Φ(b) - Φ(a)). Floats are used here and only here; a value carries about fifteen
digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valuation import InputError, inputs
from valuation.formulas import Node, Number, Symbol, apply, parse
from valuation.worksheet import Figure

Floats = NDArray[np.float64]

CHUNK = 16_384
"""Draws at a time: the arrays of one chunk stay in the processor's cache, so memory is bounded."""

REACH = Fraction(83, 10)
"""No draw of a normal distribution is farther from its mean than this many deviations."""

_PARAMETERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "uniform": (("low", "high"), ()),
    "triangular": (("low", "mode", "high"), ()),
    "normal": (("mean", "deviation"), ("low", "high")),
    "lognormal": (("median", "sigma"), ("low", "high")),
}
DISTRIBUTIONS = tuple(_PARAMETERS)
"""The distributions an input can have."""


@dataclass(frozen=True)
class Distribution:
    """How an input is drawn: kind, exact parameters, and the ends `low` and `high` no draw lies beyond."""

    kind: str
    parameters: Mapping[str, Fraction]
    low: Fraction
    high: Fraction

    @classmethod
    def of(cls, entry: Mapping[str, Any], field: str) -> "Distribution":
        """Return the distribution an entry states; raises InputError that names what is wrong with it.

        Parameters
        ----------
        entry : ``{"distribution": name, …its parameters}`` as in the module's table; other keys ("at") too
        field : the path of the entry, for errors

        >>> one = Distribution.of({"at": "periods[*].share", "distribution": "normal", "mean": "0.5",
        ...     "deviation": "0.01"}, "range.inputs[0]")
        >>> str(one.low), str(one.high)
        ('417/1000', '583/1000')
        """
        if not isinstance(entry, Mapping) or "distribution" not in entry:
            raise InputError(f"{field}.distribution", "is missing")
        kind = inputs.choice(entry["distribution"], f"{field}.distribution", DISTRIBUTIONS)
        required, optional = _PARAMETERS[kind]
        if optional and ("low" in entry) != ("high" in entry):
            raise InputError(field, "has one of low and high: give both or neither")
        inputs.mapping(entry, field, ("at", "distribution", *required), optional)
        given = {
            key: inputs.number(entry[key], f"{field}.{key}")
            for key in (*required, *optional)
            if key in entry
        }
        for key in ("deviation", "sigma", "median"):
            inputs.number(given.get(key, 1), f"{field}.{key}", above=0)
        inputs.number(given.get("sigma", 1), f"{field}.sigma", most=5)
        if "low" in given and given["low"] >= given["high"]:
            raise InputError(f"{field}.low", "must be less than high")
        if kind == "triangular":
            inputs.number(given["mode"], f"{field}.mode", least=given["low"], most=given["high"])
        if kind == "lognormal" and "low" in given:
            inputs.number(given["low"], f"{field}.low", above=0)
        if "low" in given:
            one = cls(kind, given, given["low"], given["high"])
        elif kind == "normal":
            way = REACH * given["deviation"]
            one = cls(kind, given, given["mean"] - way, given["mean"] + way)
        else:
            one = cls(kind, given, *(_reach_of_lognormal(given, sign) for sign in (-1, 1)))
        if optional and "low" in given and one._cut()[0] >= one._cut()[1]:
            raise InputError(
                f"{field}.low", "and high lie where the distribution practically never is"
            )
        return one

    def transform(self, u: Floats) -> Floats:
        """Turn uniform numbers in [0, 1) into draws, in place, and return them."""
        p = {key: float(value) for key, value in self.parameters.items()}
        if self.kind == "uniform":
            u *= float(self.high - self.low)
            u += p["low"]
            return u
        if self.kind == "triangular":
            return self._triangular(u)
        if "low" in p:
            start, end = self._cut()
            u *= end - start
            u += start
        z = normal_inverse(u)
        if self.kind == "normal":
            z *= p["deviation"]
            z += p["mean"]
        else:
            z *= p["sigma"]
            z = exponential(z)
            z *= p["median"]
        return np.clip(z, float(self.low), float(self.high), out=u)

    def _triangular(self, u: Floats) -> Floats:
        """low + √(min(u, c) · below) + (high - mode) - √((1 - max(u, c)) · above): one root is constant."""
        low, mode, high = (self.parameters[key] for key in ("low", "mode", "high"))
        share = float((mode - low) / (high - low))
        rest = np.maximum(u, share)
        np.subtract(1.0, rest, out=rest)
        rest *= float((high - low) * (high - mode))
        np.sqrt(rest, out=rest)
        np.minimum(u, share, out=u)
        u *= float((high - low) * (mode - low))
        np.sqrt(u, out=u)
        u -= rest
        u += float(low + high - mode)
        return u

    def _cut(self) -> tuple[float, float]:
        """Φ at low and high."""
        low, high = self.parameters["low"], self.parameters["high"]
        with localcontext(Context(prec=40)):
            if self.kind == "normal":
                mean, deviation = self.parameters["mean"], self.parameters["deviation"]
                ends = [_decimal((end - mean) / deviation) for end in (low, high)]
            else:
                median, sigma = (self.parameters[key] for key in ("median", "sigma"))
                ends = [_decimal(end / median).ln() / _decimal(sigma) for end in (low, high)]
            return float(_normal(ends[0])), float(_normal(ends[1]))


def uniform(seed: int, stream: int) -> np.random.Generator:
    """Return the generator of one input's draws: PCG64 of (seed, stream); only its `random` is used.

    >>> raw = np.random.PCG64([7, 0]).random_raw(3) >> np.uint64(11)
    >>> bool((uniform(7, 0).random(3) == raw * 2.0**-53).all())
    True
    """
    return np.random.Generator(np.random.PCG64([seed, stream]))


def normal_inverse(u: Floats) -> Floats:
    """Return z with Φ(z) = u, to about fifteen digits; u = 0 counts as 2^-54 (z = -8.29).

    Source: Wichura, AS 241 (PPND16).

    >>> [round(float(z), 9) for z in normal_inverse(np.array([0.5, 0.975, 1e-12]))]
    [0.0, 1.959963985, -7.034483825]
    """
    q = u - 0.5
    z: Floats = q * _quotient(0.180625 - q * q, _CENTRE)
    outside = np.flatnonzero(np.abs(q) > 0.425)
    if outside.size:
        p, side = u[outside], q[outside]
        tail = np.maximum(np.where(side < 0, p, 1.0 - p), 2.0**-54)
        r = np.sqrt(-logarithm(tail))
        far = np.where(r <= 5.0, _quotient(r - 1.6, _TAIL), _quotient(r - 5.0, _FAR_TAIL))
        z[outside] = np.copysign(far, side)
    return z


def logarithm(x: Floats) -> Floats:
    """Return ln x for x > 0: e ln 2 + 2 artanh s, with x = m · 2^e, 1/√2 <= m < √2, s = (m - 1) / (m + 1).

    >>> [round(float(y), 12) for y in logarithm(np.array([1.0, 10.0]))]
    [0.0, 2.302585092994]
    """
    m, e = np.frexp(x)
    small = m < _ROOT_HALF
    m = np.where(small, m * 2.0, m)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = np.full_like(s, 1 / 25)
    for k in range(23, 0, -2):
        series *= square
        series += 1.0 / k
    result: Floats = (e - small) * _LN2 + 2.0 * s * series
    return result


def exponential(x: Floats) -> Floats:
    """Return e^x: with x = k ln 2 + r, |r| <= ln 2 / 2, 2^k times Taylor's series of r to degree 15.

    >>> [round(float(y), 12) for y in exponential(np.array([0.0, 1.0, -1.0]))]
    [1.0, 2.718281828459, 0.367879441171]
    """
    k = np.rint(x / _LN2)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    series = np.ones_like(r)
    for n in range(15, 0, -1):
        series *= r
        series /= n
        series += 1.0
    return np.ldexp(series, k.astype(np.int32))


@dataclass(frozen=True)
class _Slot:
    """The place of an array: the inputs first, then what each step gives."""

    at: int


Term = Fraction | _Slot
_Step = tuple[str, float | _Slot | None, float | _Slot | None]


class Program:
    """A figure's result as a function of some of its inputs, run over arrays of their values.

    What does not depend on them is computed once, exactly, and then held as a float. Equal expressions are
    computed once; an integer power is repeated multiplication: x^n = x^(n-1) · x where x^(n-1) is at hand,
    else x^⌊n/2⌋ squared (times x); to divide is to multiply with the reciprocal, of which powers are taken;
    of `power`, what is no integer goes by logarithm and exponential.

    >>> from valuation.worksheet import Worksheet
    >>> sheet = Worksheet()
    >>> _ = sheet.given("i", "率", "rate", Fraction(1, 10), "per_period", "example")
    >>> _ = sheet.step("P", "价值", "value", "round_half_up(1210 / (1 + i) ** 2)", "fen", "example")
    >>> program = Program(sheet.figure("example", "1", "P"), {"i": 0})
    >>> program.run([np.array([0.1, 0.0])]).tolist()
    [1000.0, 1210.0]
    """

    def __init__(self, figure: Figure, varied: Mapping[str, int]) -> None:
        """`varied` maps the symbol of an input to its place in what `run` is given."""
        self._inputs = 1 + max(varied.values(), default=-1)
        self._steps: list[_Step] = []
        self._known: dict[_Step, _Slot] = {}
        self._powers: dict[tuple[_Slot, int], _Slot] = {}
        self._power_of: dict[_Slot, tuple[_Slot, int]] = {}
        values: dict[str, Term] = {}
        for step in figure.steps:
            if step.symbol in varied:
                values[step.symbol] = _Slot(varied[step.symbol])
            elif step.formula:
                values[step.symbol] = self._compile(parse(step.formula), values)
            else:
                values[step.symbol] = step.value
            if step.symbol == figure.result:
                break
        self._result = values[figure.result]

    def bound(self, size: int) -> tuple[list[Floats], Callable[[], Floats]]:
        """Return arrays of `size` for the inputs, and a function that computes the result from them.

        The function writes to the same arrays again and again. It raises InputError("range", …) where a
        draw gives no number.
        """
        given = [np.empty(size) for _ in range(self._inputs)]
        if isinstance(self._result, Fraction):
            fixed = np.full(size, float(self._result))
            return given, lambda: fixed
        order = self._order(self._result)
        last = {arg: k for k, slot in enumerate(order) for arg in self._args(slot)}
        at: dict[_Slot, Floats] = {_Slot(k): array for k, array in enumerate(given)}
        free: list[Floats] = []
        plan: list[tuple[Any, Any, Any, Floats]] = []
        for k, slot in enumerate(order):
            name, *args = self._steps[slot.at - self._inputs]
            left, right = (at[x] if isinstance(x, _Slot) else np.array(x or 0.0) for x in args)
            done = [
                at.pop(arg)
                for arg in dict.fromkeys(self._args(slot))
                if last[arg] == k and arg.at >= self._inputs
            ]
            # a buffer read for the last time can be written to at once, but by these
            kept, done = (done, []) if name in _READING_TWICE else ([], done)
            free += done
            at[slot] = free.pop() if free else np.empty(size)
            free += kept
            plan.append((_VECTOR[name], left, right, at[slot]))
        result = at[self._result]

        def compute() -> Floats:
            try:
                with np.errstate(divide="raise", over="raise", invalid="raise", under="ignore"):
                    for function, left, right, out in plan:
                        function(left, right, out)
            except FloatingPointError as error:
                raise InputError("range", f"a draw gives no number: {error}") from None
            return result

        return given, compute

    def run(self, given: Sequence[Floats]) -> Floats:
        """Return the result for arrays of the inputs' values; raises InputError as `bound` tells."""
        arrays, compute = self.bound(given[0].size)
        for array, values in zip(arrays, given, strict=True):
            array[:] = values
        return compute()

    def _compile(self, node: Node, values: Mapping[str, Term]) -> Term:
        """The exact value of a node, or the slot of its array."""
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Symbol):
            return values[node.name]
        args = [self._compile(arg, values) for arg in node.args]
        exact = [arg for arg in args if isinstance(arg, Fraction)]
        if len(exact) == len(args):
            return apply(node.name, *exact)
        if node.name in _CHAINS:
            chain: list[Term] = [arg for arg in args if isinstance(arg, _Slot)]
            chain += [apply(node.name, *exact)] if exact else []
            result = chain[0]
            for arg in chain[1:]:
                result = self._emit(_CHAINS[node.name], result, arg)
            return result
        if node.name == "**":
            return self._power(args[0], args[1])
        if node.name == "power":
            return self._real_power(args[0], args[1])
        if node.name == "round_half_up":
            return self._emit("round", args[0], Fraction(10 ** int(exact[0] if exact else 0)))
        if node.name == "/" and isinstance(args[1], _Slot):
            base, n = self._power_of.get(args[1], (args[1], 1))
            return self._emit("*", args[0], self._power(base, Fraction(-n)))
        return self._emit(node.name, args[0], args[1] if len(args) == 2 else None)

    def _power(self, base: Term, exponent: Term) -> Term:
        if not isinstance(exponent, Fraction) or exponent.denominator != 1:
            raise InputError("range", "makes an exponent uncertain, which only integers can be")
        assert isinstance(base, _Slot), "an exact power of an exact number is computed before"
        if exponent == 0:
            return Fraction(1)
        if exponent < 0:
            base = self._emit("/", Fraction(1), base)
        return self._whole_power(base, abs(int(exponent)))

    def _real_power(self, base: Term, exponent: Term) -> Term:
        """x^⌊q⌋ · e^((q - ⌊q⌋) ln x) for an exact q, so that one exponential serves all periods."""
        whole = Fraction(floor(exponent)) if isinstance(exponent, Fraction) else Fraction(0)
        rest = exponent - whole if isinstance(exponent, Fraction) else exponent
        power: Term = Fraction(1)
        if rest != 0:
            if isinstance(base, Fraction):
                with localcontext(Context(prec=40)):
                    log: Term = Fraction(_decimal(base).ln())
            else:
                log = self._emit("log", base, None)
            power = self._emit("exp", self._emit("*", rest, log), None)
        return self._emit("*", power, self._power(base, whole)) if whole else power

    def _whole_power(self, base: _Slot, n: int) -> _Slot:
        if n == 1:
            return base
        if (base, n) not in self._powers:
            before = base if n == 2 else self._powers.get((base, n - 1))
            if before is not None:
                made = self._emit("*", before, base)
            else:
                half = self._whole_power(base, n // 2)
                made = self._emit("*", half, half)
                made = self._emit("*", made, base) if n % 2 else made
            self._powers[base, n] = made
            self._power_of[made] = (base, n)
        return self._powers[base, n]

    def _emit(self, name: str, a: Term, b: Term | None) -> "_Slot":
        """The slot of an operation; an exact argument becomes a float here, and 0 + x, 1 · x are x."""
        unit = {"+": 0, "*": 1}.get(name)
        for one, other in ((a, b), (b, a)):
            if isinstance(one, Fraction) and one == unit and isinstance(other, _Slot):
                return other
        left, right = (float(x) if isinstance(x, Fraction) else x for x in (a, b))
        step = (name, left, right)
        if step not in self._known:
            self._known[step] = _Slot(self._inputs + len(self._steps))
            self._steps.append(step)
        return self._known[step]

    def _args(self, slot: _Slot) -> list[_Slot]:
        if slot.at < self._inputs:
            return []
        return [arg for arg in self._steps[slot.at - self._inputs][1:] if isinstance(arg, _Slot)]

    def _order(self, result: _Slot) -> list[_Slot]:
        """The steps the result needs, each as late as can be: few arrays are alive at a time."""
        order, seen, stack = list[_Slot](), set[_Slot](), [(result, False)]
        while stack:
            slot, ready = stack.pop()
            if ready:
                order.append(slot)
            elif slot not in seen and slot.at >= self._inputs:
                seen.add(slot)
                stack.append((slot, True))
                stack += [(arg, False) for arg in reversed(self._args(slot))]
        return order


def _round(x: Floats, scale: Floats, out: Floats) -> None:
    """Halves away from zero, to the multiples of 1 / scale."""
    if scale == 1:
        np.copysign(0.5, x, out)
        np.add(out, x, out)
        np.trunc(out, out)
    else:
        np.abs(x, out)
        out *= scale
        out += 0.5
        np.floor(out, out)
        out /= scale
        np.copysign(out, x, out)


def _log(x: Floats, _: Floats, out: Floats) -> None:
    if x.min() <= 0:
        raise FloatingPointError("a power of a number that is not positive")
    out[:] = logarithm(x)


def _exp(x: Floats, _: Floats, out: Floats) -> None:
    out[:] = exponential(x)


_VECTOR: dict[str, Any] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "min": np.minimum,
    "max": np.maximum,
    "neg": lambda x, _, out: np.negative(x, out),
    "floor": lambda x, _, out: np.floor(x, out),
    "root": lambda x, _, out: np.sqrt(x, out),
    "round": _round,
    "log": _log,
    "exp": _exp,
}
_READING_TWICE = {"round"}
_CHAINS = {"sum": "+", "product": "*", "min": "min", "max": "max"}


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _reach_of_lognormal(given: Mapping[str, Fraction], sign: int) -> Fraction:
    """median · exp(±8.3 sigma), outwards to six digits."""
    with localcontext(Context(prec=40)):
        end = _decimal(given["median"]) * (_decimal(sign * REACH * given["sigma"])).exp()
    rounding = ROUND_FLOOR if sign < 0 else ROUND_CEILING
    with localcontext(Context(prec=6, rounding=rounding)):
        return Fraction(+end)


def _normal(x: Decimal) -> Decimal:
    """Φ(x) = 1/2 + φ(x) · (x + x³/3 + x⁵/(3·5) + …), in decimals; 0 or 1 beyond ±9."""
    if abs(x) > 9:
        return Decimal(x > 0)
    term = total = x
    k = 1
    while abs(term) > Decimal("1e-38"):
        k += 2
        term *= x * x / k
        total += term
    density = (-x * x / 2).exp() / (2 * _PI).sqrt()
    return Decimal("0.5") + density * total


def _quotient(x: Floats, table: tuple[tuple[float, ...], tuple[float, ...]]) -> Floats:
    """A quotient of two polynomials, coefficients from the constant term up."""
    top, bottom = (_polynomial(x, coefficients) for coefficients in table)
    top /= bottom
    return top


def _polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    result = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result *= x
        result += coefficient
    return result


_PI = Decimal("3.14159265358979323846264338327950288419717")
_LN2 = 0.6931471805599453
_LN2_HIGH = 0.693145751953125
_LN2_LOW = 1.4286068203094172321e-6
_ROOT_HALF = 0.7071067811865476
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
     1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
     3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
     5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
     3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
     2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
_FAR_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
     2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
     2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)  # fmt: skip
