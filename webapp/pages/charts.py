"""Pictures of numbers as SVG: data in, markup out; no script, no style of their own, nothing random.

Every picture is 360 units wide, so that its letters are as large on a telephone as they are drawn, and
carries its title and a sentence that says what it shows (`role="img"`). The exact numbers stand in a table
behind it, which the page adds: places here are rounded to a tenth of a unit, texts are cut to fit. Colours
and letters stand in `static/site.css` under `.sz-chart`; whatever text comes in is escaped.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, pairwise
from unicodedata import east_asian_width

from markupsafe import Markup

from valuation.money import round_half_up

WIDTH = 360
LINE = 15  # from one line of text to the next
BAR = 9
EDGE = 4
LETTER, WIDE_LETTER = Fraction(64, 10), 11  # about how wide a letter of 11 units is
ROWS_MOST = 40  # rows of a heat strip that are drawn; the table has all of them

Say = Callable[[int], str]


@dataclass(frozen=True)
class Share:
    """A bar of a share from 0 to 1: what it is called, what stands at its end, how it is coloured."""

    label: str
    share: Fraction
    note: str
    tone: str = "good"  # good, weak (below the threshold), bad


# -- amounts -----------------------------------------------------------------------------------


def short_amount(fen: int, lang: str) -> str:
    """An amount in yuan with about four digits: 128.0 万 or 1.280 m; the table has it exactly."""
    yuan = Fraction(fen, 100)
    steps = [(10**8, " 亿"), (10**4, " 万")] if lang == "zh" else [
        (10**9, " bn"), (10**6, " m"), (10**3, " k")]  # fmt: skip
    size, word = next(((s, w) for s, w in steps if abs(yuan) >= s), (1, ""))
    whole = len(str(int(abs(yuan) / size)))
    places = max(0, 4 - whole) if size > 1 else 2
    scaled = round_half_up(abs(yuan) / size * 10**places)
    text = f"{scaled // 10**places:,}"
    if places:
        text += f".{scaled % 10**places:0{places}d}"
    return f"{'-' if fen < 0 and scaled else ''}{text}{word}"


# -- pictures ----------------------------------------------------------------------------------


def shares(title: str, tells: str, groups: Sequence[tuple[str, Sequence[Share]]]) -> Markup:
    """Bars of shares, in named groups; what is lacking to 1 is drawn at least two units wide."""
    parts: list[Markup] = []
    y = 0
    for name, bars in groups:
        if name:
            y += LINE + 3
            parts.append(lettering(EDGE, y, fitted(name, WIDTH - 2 * EDGE), "head"))
        for one in bars:
            y += LINE + 1
            room = WIDTH - 2 * EDGE - width_of(one.note) - 8
            parts.append(lettering(EDGE, y, fitted(one.label, room)))
            parts.append(lettering(WIDTH - EDGE, y, one.note, "end"))
            full = WIDTH - 2 * EDGE
            share = min(max(one.share, Fraction(0)), Fraction(1))
            there = (
                full * share
                if share in (0, 1)
                else min(max(full * share, Fraction(2)), Fraction(full - 2))
            )
            y += 4
            hint = f"{one.label}: {one.note}"
            parts.append(box(EDGE, y, full, BAR, "lack" if share < 1 else "track", hint))
            if there:
                parts.append(box(EDGE, y, there, BAR, one.tone, hint))
            y += BAR
    return framed(title, tells, y + EDGE, parts)


def heat(
    title: str, tells: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[int | None]]]
) -> Markup:
    """Rows × heads, each cell coloured by its count (None: not measured); five depths, by magnitude."""
    side = 132
    cell = min(Fraction(WIDTH - side - EDGE, max(len(heads), 1)), Fraction(44))
    parts: list[Markup] = []
    longest = max(map(width_of, heads), default=0)
    upright = longest > cell  # heads that do not fit are set from bottom to top
    y = longest + 4 if upright else LINE
    for n, head in enumerate(heads):
        middle = side + cell * n + cell / 2
        parts.append(
            lettering(middle + 4, y - 3, head, "small", turned=True) if upright
            else lettering(middle, 11, head, "middle small")
        )  # fmt: skip
    for name, counts in rows[:ROWS_MOST]:
        parts.append(lettering(EDGE, y + 13, fitted(name, side - EDGE - 6)))
        for n, found in enumerate(counts):
            x = side + cell * n
            if found is None:
                parts.append(box(x + 1, y + 1, cell - 2, 16, "none", f"{name} × {heads[n]}: –"))
                continue
            depth = 0 if found <= 0 else min(len(str(found)), 5)
            hint = f"{name} × {heads[n]}: {found:,}"
            parts.append(box(x + 1, y + 1, cell - 2, 16, f"heat{depth}", hint))
            shown = _short_count(found)
            if found and width_of(shown) <= cell - 3:
                parts.append(lettering(x + cell / 2, y + 13, shown, f"middle small on{depth}"))
        y += 18
    return framed(title, tells, y + EDGE, parts)


def histogram(
    title: str, tells: str, bins: Sequence[tuple[int, int, int]], marks: Sequence[tuple[str, int]],
    say: Say,
) -> Markup:  # fmt: skip
    """How often values fall between two bounds, with named marks (percentiles) above."""
    values = [v for a, b, _ in bins for v in (a, b)] + [v for _, v in marks]
    low, high, left, right = min(values), max(values), 10, WIDTH - 10
    rows = _lanes([(_at(v, low, high, left, right), name) for name, v in marks])
    top = 4 + 12 * (max(rows, default=-1) + 1)
    base = top + 110
    most = max((n for *_, n in bins), default=0) or 1
    parts = []
    for start, until, n in bins:
        x, end = _at(start, low, high, left, right), _at(until, low, high, left, right)
        tall = Fraction(110 * n, most)
        parts.append(box(x + Fraction(1, 4), base - tall, max(end - x - Fraction(1, 2), Fraction(1)), tall,
                          "good", f"{say(start)} – {say(until)}: {n:,}"))  # fmt: skip
    for (name, value), lane in zip(marks, rows, strict=True):
        x = _at(value, low, high, left, right)
        parts.append(_line(x, 4 + 12 * lane + 9, x, base, "mark"))
        parts.append(lettering(x, 12 + 12 * lane, name, _side(x, name)))
    parts.append(_line(left, base, right, base, "axis"))
    parts += _scale(low, high, left, right, base, say)
    return framed(title, tells, base + 20, parts)


def tornado(
    title: str, tells: str, base: int, bars: Sequence[tuple[str, str, int, int]], say: Say
) -> Markup:
    """What the value becomes when one input is lowered or raised: (label, note, low value, high value)."""
    values = [base, *(v for *_, a, b in bars for v in (a, b))]
    low, high, left, right = min(values), max(values), 10, WIDTH - 10
    middle = _at(base, low, high, left, right)
    parts: list[Markup] = []
    y = LINE + 2
    parts.append(lettering(middle, 11, say(base), _side(middle, say(base))))
    for label, note, down, up in bars:
        room = WIDTH - 2 * EDGE - width_of(note) - 8
        y += LINE
        parts.append(lettering(EDGE, y, fitted(label, room)))
        parts.append(lettering(WIDTH - EDGE, y, note, "end small"))
        y += 4
        for value, tone in ((down, "down"), (up, "good")):
            x = _at(value, low, high, left, right)
            wide = max(abs(x - middle), Fraction(1))
            hint = f"{label}: {say(value)}"
            # Where both lie on one side of the base, the nearer one is the narrower bar inside.
            tall = BAR if (down - base) * (up - base) <= 0 or tone == "down" else BAR - 4
            parts.append(box(min(x, middle), y + Fraction(BAR - tall, 2), wide, tall, tone, hint))
        y += BAR + 3
    parts.insert(0, _line(middle, 14, middle, y + 2, "mark"))
    parts.append(_line(left, y + 2, right, y + 2, "axis"))
    parts += _scale(low, high, left, right, y + 2, say)
    return framed(title, tells, y + 22, parts)


def lines(
    title: str, tells: str, at: Sequence[int], series: Sequence[tuple[str, Sequence[int]]], say: Say
) -> Markup:
    """Several series over a growing count, each named at its right end."""
    values = [v for _, ys in series for v in ys]
    low, high, left, right = min(values), max(values), 10, WIDTH - 58
    top, bottom, base = 24, 112, 130
    parts = [_line(left, base, right, base, "axis")]
    ends = [(_at(ys[-1], low, high, bottom, top), name) for name, ys in series]
    places = _apart([y for y, _ in ends], 12)
    for n, (name, ys) in enumerate(series):
        points = " ".join(
            f"{tenth(_at(a, at[0], at[-1], left, right))},{tenth(_at(y, low, high, bottom, top))}"
            for a, y in zip(at, ys, strict=True)
        )
        parts.append(Markup('<polyline class="line line{}" points="{}"/>').format(n % 4, points))
        parts.append(
            lettering(right + 4, places[n] + 4, fitted(name, WIDTH - right - 6), f"ink{n % 4}")
        )
    parts.append(lettering(left, base + 14, f"{at[0]:,}", "small"))
    parts.append(lettering(right, base + 14, f"{at[-1]:,}", "end small"))
    parts.append(lettering(left, top - 8, say(high), "small"))
    parts.append(lettering(left, bottom + 13, say(low), "small"))
    return framed(title, tells, base + 20, parts)


def columns(
    title: str, tells: str, labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[int | None]]], say: Say,
) -> Markup:  # fmt: skip
    """Up to four series of bars over periods, none below zero; None is nothing drawn, and said so."""
    top, base, left, right = (
        12 * (len(series) + 1) + 6,
        12 * (len(series) + 1) + 116,
        10,
        WIDTH - 10,
    )
    most = max((v for _, values in series for v in values if v is not None), default=0) or 1
    step = Fraction(right - left, max(len(labels), 1))
    wide = max(step * Fraction(4, 5) / max(len(series), 1), Fraction(1, 2))
    parts = [
        lettering(left, 11 + 12 * n, fitted(name, WIDTH - 2 * left), f"ink{n}")
        for n, (name, _) in enumerate(series)
    ]
    if any(value for _, values in series for value in values):
        parts.append(lettering(left, top - 6, say(most), "small"))
        parts.append(_line(left, top, right, top, "mark"))
    for n, (name, values) in enumerate(series):
        for m, (label, value) in enumerate(zip(labels, values, strict=True)):
            x = left + step * m + step / 10 + wide * n
            if value is None:
                parts.append(box(x, base - 4, wide, 4, "lack", f"{name}, {label}: –"))
            elif value > 0:
                tall = max(Fraction((base - top) * value, most), Fraction(1))
                hint = f"{name}, {label}: {say(value)}"
                parts.append(box(x, base - tall, wide, tall, f"fill{n}", hint))
    parts.append(_line(left, base, right, base, "axis"))
    if labels:
        parts.append(lettering(left, base + 14, labels[0], "small"))
    if len(labels) > 1:
        parts.append(lettering(right, base + 14, labels[-1], "end small"))
    return framed(title, tells, base + 20, parts)


def amounts(
    title: str,
    tells: str,
    rows: Sequence[tuple[str, int, str]],
    say: Say,
    whole: tuple[str, int] | None = None,
) -> Markup:
    """Amounts as bars from zero (label, fen, note), and a line where the `whole` (name, fen) lies."""
    values = [0, *(fen for _, fen, _ in rows), *([] if whole is None else [whole[1]])]
    low, high, left, right = min(values), max(values), EDGE, WIDTH - EDGE
    zero = _at(0, low, high, left, right) if low < high else Fraction(left)
    parts: list[Markup] = []
    y = 0
    for label, fen, note in rows:
        y += LINE + 1
        told = f"{say(fen)}{' · ' if note else ''}{note}"
        name = fitted(
            label, WIDTH - 2 * EDGE - width_of(told) - 8
        )  # on the left, clear of the mark
        parts.append(lettering(EDGE, y, f"{name} {told}"))
        x = _at(fen, low, high, left, right) if low < high else zero
        y += 4
        tone = "bad" if fen < 0 else "good"
        parts.append(
            box(min(x, zero), y, max(abs(x - zero), Fraction(1)), BAR, tone, f"{label}: {told}")
        )
        y += BAR
    if whole is not None:
        name, value = whole
        x = _at(value, low, high, left, right) if low < high else zero
        parts.append(_line(x, 4, x, y + 4, "mark"))
        told = f"{name} {say(value)}"
        side = _side(x, told)
        parts.append(
            lettering({"start": EDGE, "end": WIDTH - EDGE}.get(side, x), y + 16, told, side)
        )
        y += LINE
    return framed(title, tells, y + EDGE + 2, parts)


def bridge(
    title: str, tells: str, first: tuple[str, int], causes: Sequence[tuple[str, int]],
    last: tuple[str, int], say: Say,
) -> Markup:  # fmt: skip
    """From one amount to another over causes that sum to the difference, each where the last ended."""
    spans = [(first[0], 0, first[1], "track")]
    stands = first[1]
    for label, fen in causes:
        spans.append((label, stands, stands + fen, "bad" if fen < 0 else "good"))
        stands += fen
    spans.append((last[0], 0, last[1], "track"))
    low, high = (
        min(0, *(min(a, b) for _, a, b, _ in spans)),
        max(0, *(max(a, b) for _, a, b, _ in spans)),
    )
    left, right, y = EDGE, WIDTH - EDGE, 0
    parts: list[Markup] = []
    for label, start, end, tone in spans:
        y += LINE + 1
        told = say(end) if tone == "track" else f"{'+' if end > start else ''}{say(end - start)}"
        parts.append(
            lettering(EDGE, y, f"{fitted(label, WIDTH - 2 * EDGE - width_of(told) - 8)} {told}")
        )
        y += 4
        x, to = (
            _at(v, low, high, left, right) if low < high else Fraction(left) for v in (start, end)
        )
        parts.append(
            box(min(x, to), y, max(abs(to - x), Fraction(1)), BAR, tone, f"{label}: {told}")
        )
        y += BAR
    return framed(title, tells, y + EDGE + 2, parts)


# -- marks on paper ----------------------------------------------------------------------------


def framed(title: str, tells: str, height: int | Fraction, parts: Iterable[Markup]) -> Markup:
    return Markup(
        '<svg class="sz-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(WIDTH, tenth(height), f"{title}. {tells}", title, tells, Markup("").join(parts))


def lettering(
    x: int | Fraction, y: int | Fraction, text: str, kind: str = "", *, turned: bool = False
) -> Markup:
    turn = Markup(' transform="rotate(-90 {} {})"').format(tenth(x), tenth(y)) if turned else ""
    return Markup('<text x="{}" y="{}" class="{}"{}>{}</text>').format(
        tenth(x), tenth(y), kind, turn, text
    )


def box(
    x: int | Fraction, y: int | Fraction, wide: int | Fraction, tall: int | Fraction, kind: str,
    hint: str,
) -> Markup:  # fmt: skip
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" class="{}"><title>{}</title></rect>'
    ).format(tenth(x), tenth(y), tenth(wide), tenth(tall), kind, hint)


def _line(
    x: int | Fraction,
    y: int | Fraction,
    until_x: int | Fraction,
    until_y: int | Fraction,
    kind: str,
) -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(
        tenth(x), tenth(y), tenth(until_x), tenth(until_y), kind
    )


def tenth(value: int | Fraction) -> str:
    """A place on paper, to a tenth of a unit."""
    tenths = round_half_up(Fraction(value) * 10)
    sign, tenths = ("-" if tenths < 0 else ""), abs(tenths)
    return f"{sign}{tenths // 10}" + (f".{tenths % 10}" if tenths % 10 else "")


def _at(value: int, low: int, high: int, left: int, right: int) -> Fraction:
    """Where a value lies between two places; in the middle when all values are equal."""
    if low == high:
        return Fraction(left + right, 2)
    return left + Fraction(value - low, high - low) * (right - left)


def width_of(text: str) -> int:
    wide = sum(east_asian_width(letter) in "WF" for letter in text)
    return int(WIDE_LETTER * wide + LETTER * (len(text) - wide)) + 1


def fitted(text: str, room: int) -> str:
    """As much of a text as has room, with an ellipsis where it is cut."""
    if width_of(text) <= room:
        return text
    for end in count(len(text) - 1, -1):
        if end <= 0 or width_of(text[:end] + "…") <= room:
            return text[: max(end, 0)] + "…"
    return ""


def _side(x: Fraction, text: str) -> str:
    """How a text is set at a place so that it stays on the paper."""
    half = width_of(text) / 2
    return "start" if x - half < EDGE else "end" if x + half > WIDTH - EDGE else "middle"


def _scale(
    low: int, high: int, left: int, right: int, base: int | Fraction, say: Say
) -> list[Markup]:
    if low == high:
        return [lettering(Fraction(left + right, 2), base + 14, say(low), "middle small")]
    return [
        lettering(left, base + 14, say(low), "small"),
        lettering(right, base + 14, say(high), "end small"),
    ]


def _lanes(marks: Sequence[tuple[Fraction, str]]) -> list[int]:
    """In which line each name stands so that none covers another: the lowest with room."""
    ends: list[Fraction] = []
    made = [0] * len(marks)
    for n in sorted(range(len(marks)), key=lambda n: marks[n][0]):
        x, name = marks[n]
        half = Fraction(width_of(name), 2) + 2
        lane = next((k for k, end in enumerate(ends) if end <= x - half), len(ends))
        ends[lane : lane + 1] = [x + half]
        made[n] = lane
    return made


def _apart(places: Sequence[Fraction], least: int) -> list[Fraction]:
    """The places, moved down where two are nearer than `least`."""
    made = list(places)
    order = sorted(range(len(made)), key=lambda n: made[n])
    for before, n in pairwise(order):
        made[n] = max(made[n], made[before] + least)
    return made


def _short_count(found: int) -> str:
    """A count in at most four letters."""
    for size, word in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if found >= size:
            return f"{found // size}{word}"
    return str(found)
