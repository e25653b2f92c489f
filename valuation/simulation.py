"""What a value would be if its inputs were others: a range by Monte Carlo, sensitivity, and the breakeven.

An analysis stands on a document of `methods.run` that gives an amount::

    {"range": {"seed": 2025, "draws": 100000, "inputs": [
        {"at": "rate.management", "distribution": "triangular", "low": "0.01", "mode": "0.02",
         "high": "0.05"},
        {"at": "periods[*].share", "distribution": "uniform", "low": "0.04", "high": "0.06"}]},
     "sensitivity": [{"at": "rate.management", "low": "0.01", "high": "0.05"}],
     "breakeven": {"at": "periods[*].share", "target_fen": 100000000, "low": "0", "high": "1"}}

Each of the three may be missing, not all. ``at`` is a path in the document's inputs; ``[*]`` stands for all
entries of a list, which then have the same value. `draws` tells the distributions.

===========  ============================================================================================
range        the worksheet's formulas over arrays of draws; each drawn value is rounded to the fen; mean,
             deviation, percentiles (nearest rank) and histogram are exact figures of those integers
sensitivity  the method itself, exact, at low and high, everything else at its base; the widest bar first
breakeven    the method itself, exact, in a bisection over the input's decimals (whole fen, else 10^-12)
===========  ============================================================================================

Inputs are drawn independently of each other. The ends of every distribution are run through the method
itself first, one by one and together, so that no draw leaves what the method allows.

Source: Monte Carlo, one-at-a-time sensitivity and bisection are textbook; 中评协〔2023〕17号 asks that the
origin of parameters be told, not for these. What is drawn, and how, is the appraiser's judgement.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from math import isqrt
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from valuation import InputError, NoSolution, draws, inputs, methods
from valuation.money import MAX_FEN, exact_text, ratio, round_half_up, yuan
from valuation.worksheet import Figure, Step

MIN_DRAWS = 100
MAX_DRAWS = 2_000_000
"""Guards (ours): fewer draws have no percentiles, more need memory that tells nothing new."""

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
SHARES = (1, 2, 5, 10, 20, 50, 100)
"""Convergence is shown after these percentages of the draws."""

BARS = 40
"""A histogram has at most this many bars."""

MAX_INPUTS = 50
DECIMALS = 12
"""A breakeven that is no amount is found to this many decimals."""

_SEGMENT = re.compile(r"([a-z_]+)((?:\[(?:[0-9]{1,4}|\*)\])*)", re.ASCII)
_LIMB = 19
_TOO_LARGE = "a draw gives an amount beyond ±(2^53 - 1) fen"

Fen = NDArray[np.int64]


@dataclass(frozen=True)
class Checkpoint:
    """What the first `draws` draws alone say, in fen; `error_fen` is the standard error of the mean."""

    draws: int
    mean_fen: int
    p5_fen: int
    p50_fen: int
    p95_fen: int
    error_fen: int


@dataclass(frozen=True)
class Range:
    """The distribution of the value over all draws, in fen.

    `deviation_fen` is the sample's standard deviation, `error_fen` that of the mean (deviation / √draws);
    `percentiles` are (percent, fen); `histogram` is (from, until, count), from included, until not.
    """

    seed: int
    draws: int
    generator: str
    base_fen: int
    mean_fen: int
    deviation_fen: int
    error_fen: int
    percentiles: tuple[tuple[int, int], ...]
    convergence: tuple[Checkpoint, ...]
    histogram: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Bar:
    """The value with one input at `low` and at `high` (exact texts), everything else at its base."""

    at: str
    zh: str
    en: str
    low: str
    high: str
    low_value_fen: int
    high_value_fen: int


@dataclass(frozen=True)
class Breakeven:
    """The input `found` (a decimal) between `low` and `high` where the value passes the target.

    `value_fen` is the value at `found`: the target, where some decimal gives it to the fen (then `found` is
    the one with the fewest digits), else the value nearer to it of the two neighbours between which the
    target is passed. Where the value does not rise or fall throughout, it may pass elsewhere too. `steps`
    counts the halvings.
    """

    at: str
    zh: str
    en: str
    target_fen: int
    found: str
    value_fen: int
    low: str
    high: str
    steps: int


@dataclass(frozen=True)
class Analysis:
    """The figure at its base, the analysis as it was asked for, and what came of it."""

    figure: Figure
    request: dict[str, Any]
    range: Range | None
    tornado: tuple[Bar, ...]
    breakeven: Breakeven | None

    def to_dict(self) -> dict[str, Any]:
        """The analysis in canonical JSON types (design §4): no floats, keys as the fields."""
        written: dict[str, Any] = _written(self)
        return written

    @classmethod
    def from_dict(cls, data: object) -> "Analysis":
        """The analysis that `to_dict` wrote; raises InputError for anything else.

        Its form is checked, not whether it is right: that is `verify`.
        """
        analysis: Analysis = _read(cls, data, "")
        return analysis


def analyse(document: Mapping[str, Any], analysis: Mapping[str, Any]) -> Analysis:
    """Return the range, the sensitivity and the breakeven that `analysis` asks for.

    Parameters
    ----------
    document : as for `methods.run`, of a method that gives an amount in fen
    analysis : as in the module's text. ``seed`` 0 to 2^53 - 1; ``draws`` 100 to 2,000,000; ``low`` below
        ``high``. Amounts are fen, as numbers of fen; other values are ratios.

    Raises
    ------
    InputError : names the field: of the analysis, such as ``range.inputs[0].at``, or of the document, such
        as ``inputs.periods[0].share``; all faults of the analysis at once
    NoSolution : the value does not pass the breakeven's target between low and high

    Examples
    --------
    >>> document = {"method": "cost", "version": "1", "inputs": {"preparatory_fen": 0, "direct_fen": 90000,
    ...     "indirect_fen": 0, "opportunity_fen": 0, "taxes_fen": 10000, "factors": []}}
    >>> about = analyse(document, {
    ...     "range": {"seed": 1, "draws": 10000, "inputs": [
    ...         {"at": "direct_fen", "distribution": "uniform", "low": 80000, "high": 100000}]},
    ...     "sensitivity": [{"at": "direct_fen", "low": 80000, "high": 100000}],
    ...     "breakeven": {"at": "direct_fen", "target_fen": 95000, "low": 0, "high": 100000}})
    >>> about.figure.value_fen, about.range.percentiles[4], about.breakeven.found
    (100000, (50, 100077), '85000')
    >>> [(bar.en, bar.low_value_fen, bar.high_value_fen) for bar in about.tornado]
    [('direct cost', 90000, 110000)]
    """
    figure = methods.run(document)
    inputs.money(figure.value_fen, "document")
    assert figure.document is not None
    plain = inputs.in_fen(analysis)
    request = inputs.mapping(plain, "", (), ("range", "sensitivity", "breakeven"))
    if not request:
        raise InputError("analysis", "must ask for a range, a sensitivity or a breakeven")
    problems: list[tuple[str, str]] = []
    spread, bars, breakeven = None, [], None
    if "range" in request:
        with inputs.gathering(problems):
            spread = _range(figure, request["range"], problems)
    if "sensitivity" in request:
        with inputs.gathering(problems):
            entries = inputs.sequence(request["sensitivity"], "sensitivity", 1, MAX_INPUTS)
            for k, entry in enumerate(entries):
                with inputs.gathering(problems):
                    bars.append(_bar(figure, entry, f"sensitivity[{k}]"))
    if "breakeven" in request:
        with inputs.gathering(problems):
            breakeven = _breakeven(figure, request["breakeven"], "breakeven")
    if problems:
        raise InputError.of(problems)
    bars.sort(key=lambda bar: -abs(bar.high_value_fen - bar.low_value_fen))
    return Analysis(figure, plain, spread, tuple(bars), breakeven)


def verify(data: Analysis | Mapping[str, Any]) -> Analysis:
    """Return the analysis of `to_dict` if computing it again gives the same throughout.

    Its figure is verified by `methods.verify`; then the request is analysed again. Raises InputError that
    names what differs. The release of NumPy in `range.generator` may differ: it changes no draw.

    >>> document = {"method": "cost", "version": "1", "inputs": {"preparatory_fen": 0, "direct_fen": 90000,
    ...     "indirect_fen": 0, "opportunity_fen": 0, "taxes_fen": 10000, "factors": []}}
    >>> request = {"sensitivity": [{"at": "direct_fen", "low": 80000, "high": 100000}]}
    >>> data = analyse(document, request).to_dict()
    >>> verify(data).tornado[0].high_value_fen
    110000
    >>> data["tornado"][0]["high_value_fen"] = 120000
    >>> verify(data)
    Traceback (most recent call last):
    valuation.InputError: tornado[0].high_value_fen: is 120000, but is computed as 110000
    """
    analysis = data if isinstance(data, Analysis) else Analysis.from_dict(data)
    methods.verify(analysis.figure)
    assert analysis.figure.document is not None
    own = analyse(analysis.figure.document, analysis.request)
    for where, ours, given in _differences(own.to_dict(), analysis.to_dict(), ""):
        if where == "range.generator" and re.fullmatch(r"numpy [0-9a-z.+]{1,30} PCG64", str(given)):
            continue
        raise InputError(where, f"is {given!r}, but is computed as {ours!r}"[:300])
    return analysis


class _Place:
    """One or several inputs of a document, named by a path; they can be given another value together."""

    def __init__(self, figure: Figure, entry: Mapping[str, Any], field: str) -> None:
        self.figure, self.field = figure, field
        assert figure.document is not None
        self.document: dict[str, Any] = figure.document
        if not isinstance(entry, Mapping) or "at" not in entry:
            raise InputError(f"{field}.at", "is missing")
        self.at = inputs.text(entry["at"], f"{field}.at")
        self.paths = list(self._resolved(self.document["inputs"], self.at.split("."), ()))
        self.is_money = str(self.paths[0][-1]).endswith("_fen")
        for path in self.paths:
            value = self.document["inputs"]
            for key in path:
                value = value[key]
            try:
                ratio(value)
            except InputError:
                raise InputError(f"{field}.at", f"{self.at[:100]} is no number") from None

    def _resolved(
        self, value: Any, segments: list[str], path: tuple[str | int, ...]
    ) -> Iterator[tuple[str | int, ...]]:
        """The places the rest of a path names, below `value`."""
        if not segments:
            yield path
            return
        match = _SEGMENT.fullmatch(segments[0])
        if match is None:
            raise InputError(f"{self.field}.at", f"{self.at[:100]!r} is no path like 'a.b[0].c'")
        key = match[1]
        if not isinstance(value, Mapping) or key not in value:
            known = f"; known here are {', '.join(value)}" if isinstance(value, Mapping) else ""
            at = f"{self.at[:100]} names no input: there is no {key}{known}"
            raise InputError(f"{self.field}.at", at[:400])
        found: list[tuple[Any, tuple[str | int, ...]]] = [(value[key], (*path, key))]
        for index in re.findall(r"\[([0-9*]+)\]", match[2]):
            following = []
            for entries, way in found:
                count = len(entries) if isinstance(entries, list) else 0
                chosen = range(count) if index == "*" else [int(index)]
                if not count or chosen[-1] >= count:
                    at = f"{self.at[:100]} names no input: {key} has {count} entries"
                    raise InputError(f"{self.field}.at", at)
                following += [(entries[k], (*way, k)) for k in chosen]
            found = following
        for inner, way in found:
            yield from self._resolved(inner, segments[1:], way)

    def put(self, value: Fraction, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """The document with `value` in every place of the path; an amount is rounded to the fen."""
        changed = copy.deepcopy(document or self.document)
        for path in self.paths:
            holder = changed["inputs"]
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = round_half_up(value) if self.is_money else exact_text(value)
        return changed

    def figure_at(self, value: Fraction, field: str) -> Figure:
        """The method's figure with `value` in place; what the method refuses is told of `field`."""
        try:
            figure = methods.run(self.put(value))
        except InputError as error:
            told = f"{_short(value)} is refused by the method: {error}"
            raise InputError(field, told[:400]) from None
        inputs.money(figure.value_fen, field)
        return figure

    def bounds(self, entry: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
        """The entry's low and high, low < high; amounts are whole fen."""
        low, high = (inputs.number(entry[key], f"{self.field}.{key}") for key in ("low", "high"))
        for key, value in (("low", low), ("high", high)):
            if self.is_money and value.denominator != 1:
                raise InputError(f"{self.field}.{key}", "must be a whole number of fen")
        if low >= high:
            raise InputError(f"{self.field}.low", "must be less than high")
        return low, high

    def probe(self, low: Fraction, high: Fraction) -> tuple[list[Step], int, int]:
        """The inputs of the worksheet that hold what stands in the path, and the value at low and at high.

        Found by running the method at both ends: they are what differs between the two figures.
        """
        ends = [self.figure_at(v, f"{self.field}.{k}") for v, k in ((low, "low"), (high, "high"))]
        expected = [Fraction(round_half_up(v)) if self.is_money else v for v in (low, high)]
        found = []
        for steps in zip(*(figure.steps for figure in (self.figure, *ends)), strict=False):
            base, *moved = steps
            values = [step.value for step in moved]
            same = len({(step.symbol, step.formula) for step in steps}) == 1
            if not same or (not base.formula and values[0] != values[1] and values != expected):
                raise InputError(f"{self.field}.at", f"{self.at} shapes the steps, so cannot vary")
            if not base.formula and values == expected:
                found.append(base)
        if not found or len({len(figure.steps) for figure in (self.figure, *ends)}) > 1:
            raise InputError(f"{self.field}.at", f"{self.at} is no input of the value's steps")
        return found, ends[0].value_fen, ends[1].value_fen


def _names(steps: list[Step]) -> tuple[str, str]:
    """What the varied inputs are called: the one, or the first and the last."""
    first, last = steps[0], steps[-1]
    if first is last:
        return first.zh, first.en
    return f"{first.zh} … {last.zh}", f"{first.en} … {last.en}"


def _range(figure: Figure, given: object, problems: list[tuple[str, str]]) -> Range | None:
    """The range; faults of single inputs are added to `problems`, and then there is none."""
    entries = inputs.mapping(given, "range", ("seed", "draws", "inputs"))
    seed = _whole(entries["seed"], "range.seed", 0, 2**53 - 1)
    count = _whole(entries["draws"], "range.draws", MIN_DRAWS, MAX_DRAWS)
    known = len(problems)
    places: list[tuple[_Place, draws.Distribution]] = []
    varied: dict[str, int] = {}
    for k, entry in enumerate(inputs.sequence(entries["inputs"], "range.inputs", 1, MAX_INPUTS)):
        field = f"range.inputs[{k}]"
        with inputs.gathering(problems):
            place = _Place(figure, entry, field)
            distribution = draws.Distribution.of(entry, field)
            for step in place.probe(distribution.low, distribution.high)[0]:
                if step.symbol in varied:
                    raise InputError(f"{field}.at", f"{place.at} is drawn twice")
                varied[step.symbol] = k
            places.append((place, distribution))
    if len(problems) > known:
        return None
    _together(figure, places)
    values = _values(figure, varied, [one for _, one in places], seed, count)
    convergence, total, squares, done = [], 0, 0, 0
    base = figure.value_fen
    for share in SHARES:
        until = max(1, count * share // 100)
        part, square = _moments(values[done:until], base)
        total, squares, done = total + part, squares + square, until
        mean, _, mean_error = _statistics(total, squares, until, base)
        ranks = [_rank(percent, until) for percent in (5, 50, 95)]
        values[:until].sort()  # what comes after is still in the order of drawing
        low, middle, high = values[ranks].tolist()
        convergence.append(Checkpoint(until, mean, low, middle, high, mean_error))
    mean, deviation, mean_error = _statistics(total, squares, count, base)
    return Range(
        seed=seed,
        draws=count,
        generator=f"numpy {np.__version__} PCG64",
        base_fen=base,
        mean_fen=mean,
        deviation_fen=deviation,
        error_fen=mean_error,
        percentiles=tuple((p, int(values[_rank(p, count)])) for p in PERCENTILES),
        convergence=tuple(convergence),
        histogram=_histogram(values),
    )


def _together(figure: Figure, places: list[tuple[_Place, draws.Distribution]]) -> None:
    """Run the method with all inputs at one end, and with each of them at the other end.

    A method bounds sums (the parts of a rate) and one input by others (a total by its parts): what it does
    not refuse here it refuses for no draw.
    """
    for odd in range(-1, len(places) if len(places) > 1 else 0):
        for word, other in (("low", "high"), ("high", "low")):
            document = figure.document or {}
            for k, (place, distribution) in enumerate(places):
                document = place.put(getattr(distribution, other if k == odd else word), document)
            try:
                methods.run(document)
            except InputError as error:
                but = f", {places[odd][0].at} at its {other} end," if odd >= 0 else ""
                told = f"together at their {word} ends{but} are refused by the method: {error}"
                raise InputError("range.inputs", told[:400]) from None


def _values(
    figure: Figure,
    varied: Mapping[str, int],
    distributions: list[draws.Distribution],
    seed: int,
    count: int,
) -> Fen:
    """The value in fen for each draw, in the order of drawing."""
    given, compute = draws.Program(figure, varied).bound(draws.CHUNK)
    streams = [draws.uniform(seed, k) for k in range(len(distributions))]
    values = np.empty(count, dtype=np.int64)
    try:
        with np.errstate(invalid="raise"):
            for start in range(0, count, draws.CHUNK):
                for one, stream, array in zip(distributions, streams, given, strict=True):
                    one.transform(stream.random(out=array))
                part = values[start : start + draws.CHUNK]
                part[:] = compute()[: part.size]
    except FloatingPointError:
        raise InputError("range", _TOO_LARGE) from None
    if not -MAX_FEN <= values.min() <= values.max() <= MAX_FEN:
        raise InputError("range", _TOO_LARGE)
    return values


def _moments(values: Fen, base: int) -> tuple[int, int]:
    """Σ x and Σ x² exactly, x = value - base.

    x stands in limbs of 19 bits as floats: the products of a chunk's limbs sum to 2^52 at most.
    """
    farthest = max(abs(int(values.max()) - base), abs(int(values.min()) - base))
    count = farthest.bit_length() // _LIMB + 1
    limbs = np.empty((count, draws.CHUNK))
    sums, products = [0] * count, [[0] * count for _ in range(count)]
    for start in range(0, values.size, draws.CHUNK):
        part = values[start : start + draws.CHUNK] - base
        size = part.size
        for k in range(count - 1):
            limbs[k, :size] = part & (2**_LIMB - 1)
            part = part >> _LIMB
        limbs[-1, :size] = part
        for j, row in enumerate((limbs[:, :size] @ limbs[:, :size].T).tolist()):
            sums[j] += int(limbs[j, :size].sum())
            for k, product in enumerate(row):
                products[j][k] += int(product)
    total = sum(part << (_LIMB * j) for j, part in enumerate(sums))
    squares = sum(
        product << (_LIMB * (j + k))
        for j, row in enumerate(products)
        for k, product in enumerate(row)
    )
    return total, squares


def _statistics(total: int, squares: int, count: int, base: int) -> tuple[int, int, int]:
    """Mean, sample deviation and standard error in fen, of Σ (x - base) and Σ (x - base)²."""
    mean = base + round_half_up(Fraction(total, count))
    if count < 2:
        return mean, 0, 0
    variance = Fraction(squares * count - total * total, count * (count - 1))
    return mean, _root_half_up(variance), _root_half_up(variance / count)


def _root_half_up(value: Fraction) -> int:
    """√value to the nearest integer, halves up: ⌊(⌊√(4 · value)⌋ + 1) / 2⌋."""
    return (isqrt(4 * value.numerator // value.denominator) + 1) // 2


def _rank(percent: int, count: int) -> int:
    """The index of a percentile by nearest rank: ⌈percent · count / 100⌉ - 1."""
    return -(-percent * count // 100) - 1


def _histogram(values: Fen) -> tuple[tuple[int, int, int], ...]:
    """At most 40 bars of one width over sorted values; every value is in one of them."""
    first, last = int(values[0]), int(values[-1])
    width = -(-(last - first + 1) // BARS)
    edges = list(range(first, last + width + 1, width))
    if edges[-2] > last:
        edges.pop()
    places = np.searchsorted(values, edges).tolist()
    return tuple((edges[k], edges[k + 1], places[k + 1] - places[k]) for k in range(len(edges) - 1))


def _bar(figure: Figure, entry: Any, field: str) -> Bar:
    place = _Place(figure, entry, field)
    inputs.mapping(entry, field, ("at", "low", "high"))
    low, high = place.bounds(entry)
    steps, *values = place.probe(low, high)
    return Bar(place.at, *_names(steps), exact_text(low), exact_text(high), *values)


def _breakeven(figure: Figure, entry: Any, field: str) -> Breakeven:
    """Bisection over integers, low and high in units of the last decimal; of several points that give the
    target to the fen, the roundest.
    """
    place = _Place(figure, entry, field)
    inputs.mapping(entry, field, ("at", "target_fen", "low", "high"))
    target = inputs.money(entry["target_fen"], f"{field}.target_fen")
    low, high = place.bounds(entry)
    steps, at_low, at_high = place.probe(low, high)
    scale = 1 if place.is_money else 10**DECIMALS
    for key, end in (("low", low), ("high", high)):
        if (end * scale).denominator != 1:
            raise InputError(f"{field}.{key}", f"must be a decimal of at most {DECIMALS} places")

    if not min(at_low, at_high) <= target <= max(at_low, at_high):
        raise NoSolution(
            f"{field}: the value does not reach {yuan(target)} yuan: with {place.at} at {_short(low)} it is"
            f" {yuan(at_low)}, at {_short(high)} it is {yuan(at_high)} yuan; widen low and high, or choose"
            " a target between the two"
        )
    bottom, top = int(low * scale), int(high * scale)
    known = {bottom: at_low, top: at_high}
    sign = 1 if at_high >= at_low else -1

    def over(at: int) -> int:
        """How far the value at a point is beyond the target, seen from low."""
        if at not in known:
            known[at] = place.figure_at(Fraction(at, scale), field).value_fen
        return sign * (known[at] - target)

    first, halvings = _first(bottom, top, lambda at: over(at) >= 0)
    if over(first) == 0:
        last = top
        if over(top) > 0:
            beyond, more = _first(first, top, lambda at: over(at) > 0)
            last, halvings = beyond - 1, halvings + more
        found = _roundest(first, last)
    else:
        found = first if over(first) <= -over(first - 1) else first - 1
    over(found)
    text, ends = _decimal_text(found, scale), (exact_text(low), exact_text(high))
    return Breakeven(place.at, *_names(steps), target, text, known[found], *ends, halvings)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> tuple[int, int]:
    """An integer from which on a condition holds that holds at `high`, and how often the way was halved."""
    if holds(low):
        return low, 0
    halvings = 0
    while high - low > 1:
        middle, halvings = (low + high) // 2, halvings + 1
        if holds(middle):
            high = middle
        else:
            low = middle
    return high, halvings


def _roundest(first: int, last: int) -> int:
    """The integer from `first` to `last` with the most zeros at its end, the smallest of them."""
    step = int(10 ** len(str(max(abs(first), abs(last)))))
    while -(-first // step) * step > last:
        step //= 10
    return -(-first // step) * step


def _decimal_text(value: int, scale: int) -> str:
    """value / scale as a decimal without superfluous zeros; scale is a power of ten."""
    whole, rest = divmod(abs(value), scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{'-' if value < 0 else ''}{whole}{'.' if digits else ''}{digits}"


def _whole(value: object, field: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        told = f"is {value!r}, but must be an integer from {least} to {most}"
        raise InputError(field, told[:200])
    return value


def _short(value: Fraction) -> str:
    text = exact_text(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _differences(ours: Any, given: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ, from the outside to the inside."""
    if isinstance(ours, dict) and isinstance(given, dict) and ours.keys() == given.keys():
        for key in ours:
            at = f"{where}.{key}" if where else key
            yield from _differences(ours[key], given[key], at)
    elif isinstance(ours, list) and isinstance(given, list) and len(ours) == len(given):
        for k, (one, other) in enumerate(zip(ours, given, strict=True)):
            yield from _differences(one, other, f"{where}[{k}]")
    elif ours != given or type(ours) is not type(given):
        yield where, ours, given


def _written(value: Any) -> Any:
    """A dataclass as an object of its fields, a tuple as a list, a figure as it writes itself."""
    if isinstance(value, Figure):
        return value.to_dict()
    if is_dataclass(value):
        return {one.name: _written(getattr(value, one.name)) for one in fields(value)}
    return [_written(entry) for entry in value] if isinstance(value, tuple) else value


def _read(kind: Any, data: Any, where: str) -> Any:
    """What `_written` wrote of a value of this type; raises InputError where it is none."""
    if kind is Figure:
        return Figure.from_dict(data)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        entries = inputs.mapping(data, where, tuple(hints))
        prefix = where and where + "."
        return kind(**{key: _read(hints[key], entries[key], prefix + key) for key in hints})  # type: ignore[operator]
    args = get_args(kind)
    if get_origin(kind) is dict:
        return inputs.in_fen(inputs.mapping(data, where, (), data), where)
    if type(None) in args:
        return None if data is None else _read(args[0], data, where)
    if get_origin(kind) is tuple:
        if not isinstance(data, list) or (Ellipsis not in args and len(data) != len(args)):
            raise InputError(where, "must be a list")
        kinds = [args[0]] * len(data) if Ellipsis in args else args
        return tuple(_read(one, data[k], f"{where}[{k}]") for k, one in enumerate(kinds))
    if kind is str and isinstance(data, str):
        return inputs.encodable(data, where)
    if kind is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    raise InputError(where, f"must be {'a text' if kind is str else 'an integer'}")
