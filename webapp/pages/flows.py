"""Where each yuan of a distribution flows, as a picture (SVG) and as the rows of the table behind it.

From left to right: the amount, the steps of the scheme, what stands within them, the payees. As high as a
bar or a band is, so much flows; of headings within one another the picture shows the outermost and the
innermost, the table all. What is nought is in the table only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from markupsafe import Markup

from valuation.flows import Flow, flows
from valuation.sharing import Distribution
from webapp.language import tr
from webapp.pages.charts import (
    EDGE,
    WIDTH,
    box,
    fitted,
    framed,
    lettering,
    short_amount,
    tenth,
    width_of,
)
from webapp.wording import spoken

STYLES = Path(__file__).parents[1] / "static" / "site.css"
BAR_WIDE, TALL, GAP = 8, 170, 6  # of a node; of the whole amount; between two nodes
LETTERS, TOP = 12, 20  # from line to line; where the bars begin
COLOURS = 6
Spoken = Callable[[int], str]


@dataclass
class _Node:
    """A bar: its texts, its amount, and where it stands; `out` and `into` are how much was joined yet."""

    lines: list[str]
    amount: int
    colour: int
    hint: str
    y: Fraction = Fraction(0)
    tall: Fraction = Fraction(0)
    slot: Fraction = Fraction(0)
    into: Fraction = Fraction(0)
    out: Fraction = Fraction(0)


def rows(distribution: Distribution, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The table behind the picture: payee, the headings on the way, the exact amount in fen."""
    return [
        {
            "amount_fen": flow.amount_fen,
            "party": names.get(flow.party, flow.party),
            "way": " › ".join(_headings(flow)),
        }
        for flow in flows(distribution)
    ]


def picture(distribution: Distribution, names: Mapping[str, str], lang: str) -> Markup:
    """The distribution as bands from the amount over its headings to the payees."""

    def say(fen: int) -> str:
        return short_amount(fen, lang)

    name = distribution.scheme["name"]
    paid = distribution.paid_fen()
    best = max(paid, key=lambda party: paid[party])
    title = tr("Where the money flows: {name}", name=spoken(name["zh"], name["en"]))
    tells = tr(
        "{amount} yuan go to {count} payees; most, {most} yuan, to {payee}.",
        amount=say(distribution.amount_fen), count=len([fen for fen in paid.values() if fen]),
        most=say(paid[best]), payee=names.get(best, best),
    )  # fmt: skip
    flowing = [flow for flow in flows(distribution) if flow.amount_fen]
    return _drawn(title, tells, distribution.amount_fen, flowing, names, say)


def as_file(drawn: Markup) -> bytes:
    """The picture as a file of its own: with its name space, and the colours of the site."""
    rules = [
        line for line in STYLES.read_text("utf-8").splitlines() if line.startswith(".sz-chart")
    ]
    head, end, rest = str(drawn).partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="720" ')
    font = ".sz-chart { font-family: sans-serif; }"
    return "".join([head, end, "<style>", *rules, font, "</style>", rest, "\n"]).encode()


def _drawn(
    title: str, tells: str, amount: int, flowing: Sequence[Flow], names: Mapping[str, str], say: Spoken
) -> Markup:  # fmt: skip
    if not flowing:
        return framed(title, tells, 2 * TOP, [lettering(EDGE, TOP, f"{say(amount)}")])
    deep = any(len(flow.way) > 1 for flow in flowing)
    left = [EDGE, 62, 168] if deep else [EDGE, 84]
    left = [*left, WIDTH - EDGE - BAR_WIDE]
    room = (left[-1] - left[-2] - BAR_WIDE) // 2 - 5
    heads = list(dict.fromkeys(_outer(flow) for flow in flowing))
    columns: list[dict[tuple[str, ...], _Node]] = [{} for _ in left]
    links: dict[tuple[int, tuple[str, ...], tuple[str, ...]], tuple[int, int, str]] = {}
    for flow in flowing:
        colour, said = heads.index(_outer(flow)) % COLOURS, _headings(flow)
        payee = names.get(flow.party, flow.party)
        way: list[tuple[tuple[str, ...], str]] = [((), ""), ((_outer(flow),), said[0])]
        if deep:
            inner = len(flow.way) > 1
            way.append(((flow.way[-1].place,), said[-1]) if inner
                       else (("", _outer(flow), flow.party), ""))  # fmt: skip
        way.append(((flow.party,), payee))
        for column, (key, text) in enumerate(way):
            node = columns[column].setdefault(key, _Node([], 0, colour, ""))
            node.amount += flow.amount_fen
            wide = (
                room if column >= len(left) - 2 else left[column + 1] - left[column] - BAR_WIDE - 5
            )
            node.lines = _wrapped(text, wide) if text else []
            node.hint = text
        for column in range(len(left) - 1):
            link = (column, way[column][0], way[column + 1][0])
            fen, _, _ = links.get(link, (0, 0, ""))
            hint = f"{said[0]} → {payee}"
            links[link] = (fen + flow.amount_fen, colour, hint)
    scale = Fraction(TALL, amount)
    height = max(_stack(list(column.values()), scale, say) for column in columns)
    for nodes in columns:
        _centre(list(nodes.values()), height)
    parts: list[Markup] = []
    for (column, one, other), (fen, colour, hint) in links.items():
        source, target = columns[column][one], columns[column + 1][other]
        parts.append(_band(left[column] + BAR_WIDE, left[column + 1], source, target, fen * scale,
                           f"flow{colour}", f"{hint}: {say(fen)}"))  # fmt: skip
    for column, nodes in enumerate(columns):
        for node in nodes.values():
            last = column == len(columns) - 1
            parts += _marks(node, left[column], last, say)
    parts.append(lettering(EDGE, TOP - 8, say(amount), "head"))
    return framed(title, tells, TOP + height + EDGE, parts)


def _outer(flow: Flow) -> str:
    return flow.way[0].place if flow.way else flow.kind


def _headings(flow: Flow) -> list[str]:
    """The headings on a flow's way in the reader's language; carried rounding is its own."""
    return [spoken(one.zh, one.en) for one in flow.way] or [spoken(flow.zh, flow.en)]


def _wrapped(text: str, room: int) -> list[str]:
    """A text in at most two lines that have room; more is cut."""
    if width_of(text) <= room:
        return [text]
    end = max(1, next(n for n in range(len(text), -1, -1) if width_of(text[:n]) <= room))
    space = text.rfind(" ", 1, end + 1)
    end = space if space > 0 and text.isascii() else end
    return [text[:end].strip(), fitted(text[end:].strip(), room)]


def _stack(nodes: list[_Node], scale: Fraction, say: Spoken) -> Fraction:
    """Give every node of a column its size and place, from 0 down; returns where the column ends."""
    y = Fraction(0)
    for node in nodes:
        node.tall = max(node.amount * scale, Fraction(1))
        if node.lines:
            node.lines = [*node.lines, say(node.amount)]
        node.slot = max(node.tall, Fraction(LETTERS * len(node.lines) + 2))
        node.y = y + (node.slot - node.tall) / 2
        y += node.slot + GAP
    return y - GAP


def _centre(nodes: list[_Node], height: Fraction) -> None:
    spare = height - (nodes[-1].y + (nodes[-1].tall + nodes[-1].slot) / 2)
    for node in nodes:
        node.y += TOP + spare / 2


def _band(
    x: int, until_x: int, source: _Node, target: _Node, tall: Fraction, kind: str, hint: str
) -> Markup:  # fmt: skip
    """A curved band from a bar to another, below what was joined to them before."""
    tall = max(tall, Fraction(1, 2))
    y, until_y = source.y + source.out, target.y + target.into
    source.out += tall
    target.into += tall
    middle = Fraction(x + until_x, 2)

    def curve(at: Fraction, to: Fraction, end: Fraction | int) -> str:
        return f"C{tenth(middle)},{tenth(at)} {tenth(middle)},{tenth(to)} {tenth(end)},{tenth(to)}"

    upper = f"M{tenth(x)},{tenth(y)} {curve(y, until_y, until_x)}"
    lower = f"L{tenth(until_x)},{tenth(until_y + tall)} {curve(until_y + tall, y + tall, x)} Z"
    return Markup('<path class="{}" d="{} {}"><title>{}</title></path>').format(
        kind, upper, lower, hint
    )


def _marks(node: _Node, x: int, last: bool, say: Spoken) -> list[Markup]:
    """A node's bar and its texts, beside it."""
    if not node.lines and node.hint == "" and x != EDGE:
        return [box(x, node.y, BAR_WIDE, node.tall, f"flow{node.colour}", say(node.amount))]
    made = [box(x, node.y, BAR_WIDE, node.tall, "good", f"{node.hint} {say(node.amount)}".strip())]
    y = node.y + node.tall / 2 - Fraction(LETTERS * len(node.lines), 2) + 10
    for n, line in enumerate(node.lines):
        at, kind = (x - 3, "end") if last else (x + BAR_WIDE + 3, "")
        amount = "small" if n == len(node.lines) - 1 else ""
        made.append(lettering(at, y + LETTERS * n, line, f"{kind} {amount}".strip()))
    return made
