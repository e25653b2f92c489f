"""Random schemes of every kind, and what each party must get, computed a second time and in another way."""

from bisect import bisect_right
from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import strategies as st

from valuation import contribution

LABEL = {"zh": "项目", "en": "heading"}
PARTIES = ("operator", "treasury", "holder", "processor", "developer")


def contributed(parties: Any, weights: Any) -> dict[str, Any]:
    """A contribution document in which each party has a use of its own, worth its weight."""
    players = [{"id": party} for party in parties]
    uses = [
        {"name": f"use {k}", "value_fen": weight, "needs": [party]}
        for k, (party, weight) in enumerate(zip(parties, weights, strict=True))
    ]
    return {"v": 1, "game": "uses", "players": players, "uses": uses}


@st.composite
def schemes(draw: st.DrawFn, depth: int = 1) -> dict[str, Any]:
    """A scheme with 1 to 4 steps of any kind in each list, nested to the full depth."""
    named = [0]
    return {"v": 1, "name": LABEL, "steps": draw(_steps(named, depth))}


@st.composite
def _steps(draw: st.DrawFn, named: list[int], depth: int) -> list[dict[str, Any]]:
    kinds = draw(st.lists(st.sampled_from(["recover", "fixed", "share", "tiers"]), max_size=3))
    last = draw(st.sampled_from(["pool", "pool", "contribution", "tiers"]))
    made = [draw(_step(kind, named, depth, False)) for kind in kinds]
    return [*made, draw(_step(last, named, depth, True))]


_fen = st.one_of(st.integers(0, 300), st.integers(0, 10**6), st.integers(0, 10**12))
_ratio = st.builds(lambda a, b: f"{a % (b + 1)}/{b}", st.integers(0, 10**6), st.integers(1, 97))


@st.composite
def _step(draw: st.DrawFn, kind: str, named: list[int], depth: int, last: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"kind": kind, "label": LABEL}
    if kind in ("recover", "fixed", "share"):
        made["party"] = draw(st.sampled_from(PARTIES))
    if kind == "recover" or (kind == "fixed" and draw(st.booleans())):
        named[0] += 1
        made["fact"] = f"cost{named[0]}_fen"
    elif kind == "fixed":
        made["amount_fen"] = draw(_fen)
    if kind == "recover":
        made |= draw(st.fixed_dictionaries({}, optional={"cap_fen": _fen, "cap_ratio": _ratio}))
    if kind == "share":
        made |= {"ratio": draw(_ratio), **draw(_bounds(True))}
    if kind == "tiers":
        tops = sorted(draw(st.sets(_fen.filter(bool), max_size=3)))
        made["bands"] = [
            {"ratio": "1" if last else draw(_ratio), **draw(_payee(named, depth)),
             **({"up_to_fen": top} if top else {})}
            for top in (*tops, 0)
        ]  # fmt: skip
        if not last and all(Fraction(band["ratio"]) == 1 for band in made["bands"]):
            made["bands"][0]["ratio"] = "1/2"
    if kind == "pool":
        count = draw(st.integers(1, 4))
        weights = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count).filter(any))
        free = max(range(count), key=lambda j: weights[j])
        parties = draw(st.permutations(PARTIES))
        made["shares"] = []
        for j, weight in enumerate(weights):
            payee = {"party": parties[j]}
            if draw(st.integers(0, 4)) == 0:
                payee = draw(_payee(named, depth))
                payee = {**payee, "label": LABEL} if "steps" in payee else {"party": parties[j]}
            bounds = draw(_bounds(j != free))
            made["shares"].append({**payee, "share": f"{weight}/{sum(weights)}", **bounds})
    if kind == "contribution":
        made["parties"] = draw(st.permutations(PARTIES))[: draw(st.integers(1, 4))]
        if draw(st.booleans()):
            named[0] += 1
            made["fact"] = f"contribution{named[0]}"
        else:
            made["document"] = draw(documents(made["parties"]))
    return made


@st.composite
def _bounds(draw: st.DrawFn, capped: bool) -> dict[str, int]:
    known = draw(
        st.sampled_from([(), (), ("least_fen",), ("most_fen",), ("least_fen", "most_fen")])
    )
    if not capped:
        known = tuple(key for key in known if key == "least_fen")
    values = sorted(draw(st.lists(_fen, min_size=len(known), max_size=len(known))))
    return dict(zip(known, values, strict=True))


@st.composite
def _payee(draw: st.DrawFn, named: list[int], depth: int) -> dict[str, Any]:
    if depth < 3 and draw(st.integers(0, 3)) == 0:
        return {"steps": draw(_steps(named, depth + 1))}
    return {"party": draw(st.sampled_from(PARTIES))}


def documents(parties: Any) -> st.SearchStrategy[dict[str, Any]]:
    count = len(parties)
    weights = st.lists(st.integers(0, 99), min_size=count, max_size=count).filter(any)
    return weights.map(lambda drawn: contributed(parties, drawn))


@st.composite
def stated(draw: st.DrawFn, scheme: dict[str, Any]) -> dict[str, Any]:
    """The facts that a scheme needs, at random."""
    made: dict[str, Any] = {}

    def walk(steps: list[dict[str, Any]]) -> None:
        for step in steps:
            if "fact" in step:
                document = step["kind"] == "contribution"
                made[step["fact"]] = draw(documents(step["parties"]) if document else _fen)
            for entry in (*step.get("bands", ()), *step.get("shares", ())):
                walk(entry.get("steps", []))

    walk(scheme["steps"])
    return made


# -- the second computation --------------------------------------------------------------------


def due(
    scheme: dict[str, Any], amount: int, facts: dict[str, Any]
) -> list[tuple[str, str, Fraction]]:
    """(kind, party, exact fen) of every part that a scheme places, in its order."""
    return _due(scheme["steps"], Fraction(amount), facts)


def _due(
    steps: list[dict[str, Any]], whole: Fraction, facts: dict[str, Any]
) -> list[tuple[str, str, Fraction]]:
    left, made = whole, list[tuple[str, str, Fraction]]()

    def give(kind: str, entry: dict[str, Any], value: Fraction) -> None:
        nonlocal left
        left -= value
        if "party" in entry:
            made.append((kind, entry["party"], value))
        else:
            made.extend(_due(entry["steps"], value, facts))

    for step in steps:
        kind = step["kind"]
        if kind == "recover":
            most = [facts[step["fact"]], floor(left)]
            most += [step["cap_fen"]] if "cap_fen" in step else []
            most += [floor(whole * Fraction(step["cap_ratio"]))] if "cap_ratio" in step else []
            give(kind, step, Fraction(min(most)))
        elif kind == "fixed":
            wanted = facts[step["fact"]] if "fact" in step else step["amount_fen"]
            give(kind, step, Fraction(min(wanted, floor(left))))
        elif kind == "share":
            part = left * Fraction(step["ratio"])
            part = min(part, Fraction(step.get("most_fen", 10**20)))
            part = max(part, Fraction(step.get("least_fen", 0)))
            give(kind, step, min(part, left))
        elif kind == "tiers":
            at, begins = left, Fraction(0)
            for band in step["bands"]:
                ends = min(at, Fraction(band.get("up_to_fen", 10**20)))
                if ends > begins:
                    give(kind, band, (ends - begins) * Fraction(band["ratio"]))
                else:
                    give(kind, band, Fraction(0))
                begins = max(begins, ends)
        elif kind == "pool":
            for entry, part in zip(step["shares"], bounded(step["shares"], left), strict=True):
                give(kind, entry, part)
        else:
            document = facts[step["fact"]] if "fact" in step else step["document"]
            at = left
            for party, part in contribution.run(document).shares.items():
                give(kind, {"party": party}, at * part)
    assert left == 0
    return made


def bounded(entries: list[dict[str, Any]], left: Fraction) -> list[Fraction]:
    """min(cap, max(minimum, t · share)) for the t at which the parts sum to what is left."""
    shares = [Fraction(entry["share"]) for entry in entries]
    least = [Fraction(entry.get("least_fen", 0)) for entry in entries]
    most = [Fraction(entry.get("most_fen", 10**30)) for entry in entries]
    if sum(least) >= left:
        return [left * low / sum(least) if low else low for low in least]

    def parts(t: Fraction) -> list[Fraction]:
        return [min(u, max(low, t * s)) for s, low, u in zip(shares, least, most, strict=True)]

    turns = sorted(
        {
            bound / s
            for s, low, u in zip(shares, least, most, strict=True)
            if s
            for bound in (low, u)
        }
    )
    sums = [sum(parts(t)) for t in turns]
    n = bisect_right(sums, left)
    if n == 0:  # before the first turn everybody's part grows
        return parts(turns[0] * left / sums[0])
    t = turns[n - 1] + (turns[n] - turns[n - 1]) * (left - sums[n - 1]) / (sums[n] - sums[n - 1])
    return parts(t)
