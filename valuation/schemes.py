"""The language of revenue schemes: which steps there are, and the check that a scheme places every fen.

A scheme is an object ``{"v": 1, "name": {"zh", "en"}, "steps": [...]}``. Its steps are taken in order; each
places a part of what the steps before it left, and the last one places all that is left::

    {"kind": "recover", "party": "operator", "label": {"zh": "平台成本", "en": "platform cost"},
     "fact": "platform_cost_fen", "cap_fen": 5000000, "cap_ratio": "1/2"}
    {"kind": "fixed", "party": "holder", "label": {…}, "amount_fen": 1000000}            or "fact": "…_fen"
    {"kind": "share", "party": "treasury", "label": {…}, "ratio": "1/10", "least_fen": 1, "most_fen": 9}
    {"kind": "tiers", "label": {…}, "bands": [
        {"up_to_fen": 100000000, "ratio": "1/10", "party": "treasury"},
        {"ratio": "1/5", "party": "treasury"}]}
    {"kind": "pool", "label": {…}, "shares": [
        {"party": "operator", "share": "3/5", "least_fen": 100},
        {"share": "2/5", "label": {…}, "steps": […]}]}
    {"kind": "contribution", "label": {…}, "fact": "contribution", "parties": ["operator", "holder"]}

==============  ====================================================================================
`recover`       the stated cost (a fact, whole fen) goes to the party, at most `cap_fen`, at most
                `cap_ratio` of the amount with which its list of steps begins, at most what is left
`fixed`         a sum, constant (`amount_fen`) or stated (a fact), whole fen, at most what is left
`share`         `ratio` of what is left, at least `least_fen`, at most `most_fen`, at most what is left
`tiers`         what is left is cut at each `up_to_fen`, the last band open; each payee gets `ratio` of his
`pool`          what is left, by shares that sum to exactly 1; an entry may have `least_fen` and `most_fen`
`contribution`  what is left, by the shares of a contribution document (`valuation.contribution`) whose
                players are the `parties`: a fact of the statement, or the scheme's own `document`
==============  ====================================================================================

Instead of a `party` a band or an entry of a pool may hold `steps` (an entry with a `label` of its own): a
scheme within the scheme, up to `DEEPEST` lists within one another. All that is left is placed by a pool, a
contribution, or tiers with every ratio 1; one of them comes last in every list.

Source: no national percentage exists; shares are parameters of the agreement (发改数据规〔2025〕27号
art. 14(7); 谁投入、谁贡献、谁受益). The kinds and their rules are ours.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from valuation import InputError, ValuationError, contribution, inputs
from valuation.money import amount_fen, exact_text, ratio

DEEPEST = 3
"""How many lists of steps may stand within one another, the scheme's own counted."""

LARGEST = 250
"""How many steps, bands and entries of pools a scheme has at most: its derivation stays a worksheet."""

PARTY = re.compile(r"[^\s\x00-\x1f](?:[^\x00-\x1f]{0,118}[^\s\x00-\x1f])?")
_FACT = re.compile(r"[a-z][a-z0-9_]{0,58}_fen")
_DOCUMENT = re.compile(r"[a-z][a-z0-9_]{0,58}")

Problems = list[tuple[str, str]]
Step = Mapping[str, Any]


def check(scheme: object) -> dict[str, Any]:
    """Return a scheme that places every fen of any amount, with its amounts in fen, or raise InputError.

    The refusal lists all its problems at once (in `problems`), each with its path.

    Checked are: known keys and kinds, parties and labels named, ratios from 0 to 1, amounts at least 0, a
    minimum not above its cap, bands that ascend with the last one open, shares that sum to exactly 1 and
    name each party once, an entry without cap in each pool, a last step that places all that is left and
    no earlier one that does, facts named once, depth and size.

    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> check(scheme) == scheme
    True
    >>> scheme["steps"][0]["shares"][1]["share"] = "1/2"
    >>> check(scheme)
    Traceback (most recent call last):
    valuation.InputError: scheme.steps[0].shares: sum to 7/6, but must sum to exactly 1
    """
    entries = inputs.mapping(inputs.in_fen(scheme, "scheme"), "scheme", ("v", "name", "steps"))
    checking = _Checking()
    if entries["v"] != 1 or isinstance(entries["v"], bool):
        checking.problem("scheme.v", "must be 1")
    checking.names(entries["name"], "scheme.name")
    checking.steps(entries["steps"], "scheme.steps", 1)
    if checking.size > LARGEST:
        told = f"has {checking.size} steps, bands and entries of pools, but may have {LARGEST}"
        checking.problem("scheme", told)
    if checking.problems:
        raise InputError.of(checking.problems)
    return dict(entries)


def every_step(steps: object) -> Iterator[Step]:
    """Yield the steps of a checked list in order, those within bands and entries after their own.

    >>> within = {"kind": "pool", "shares": [{"party": "b", "share": "1"}]}
    >>> outer = {"kind": "pool", "shares": [{"share": "1", "steps": [within]}]}
    >>> [one is within for one in every_step([outer])]
    [False, True]
    """
    for step in steps if isinstance(steps, list | tuple) else ():
        yield step
        for entry in payees(step):
            yield from every_step(entry.get("steps"))


def payees(step: Step) -> list[Step]:
    """Return the entries of a step that name a payee: its bands, its pool's entries, or itself.

    >>> payees({"kind": "share", "party": "treasury", "ratio": "1/10"})[0]["party"]
    'treasury'
    >>> payees({"kind": "contribution", "parties": ["a", "b"]})
    [{'party': 'a'}, {'party': 'b'}]
    """
    if step["kind"] == "contribution":
        return [{"party": party} for party in step["parties"]]
    return list(step.get("shares") or step.get("bands") or [step])


def parties(scheme: Mapping[str, Any]) -> list[str]:
    """Return everybody whom a checked scheme names as a payee, each once, in order.

    >>> parties({"steps": [{"kind": "share", "party": "b", "ratio": "1/2"},
    ...                    {"kind": "pool", "shares": [{"party": "a", "share": "1"}]}]})
    ['b', 'a']
    """
    named = (
        entry["party"]
        for step in every_step(scheme["steps"])
        for entry in payees(step)
        if "party" in entry
    )
    return list(dict.fromkeys(named))


def facts(scheme: Mapping[str, Any]) -> dict[str, Step]:
    """Return the facts that a statement by a checked scheme states: name → the step that needs it.

    Costs and sums are whole fen and end in ``_fen``; that of a `contribution` is a document.

    >>> facts({"steps": [{"kind": "recover", "party": "a", "fact": "rent_fen"},
    ...                  {"kind": "pool", "shares": [{"party": "a", "share": "1"}]}]}).keys()
    dict_keys(['rent_fen'])
    """
    return {step["fact"]: step for step in every_step(scheme["steps"]) if "fact" in step}


def places_all(step: Step) -> bool:
    """Return whether a checked step leaves nothing: a pool, a contribution, tiers with every ratio 1.

    >>> places_all({"kind": "tiers", "bands": [{"ratio": "1", "party": "a"}]})
    True
    >>> places_all({"kind": "share", "ratio": "1", "party": "a"})
    False
    """
    if step["kind"] == "tiers":
        return all(ratio(band["ratio"]) == 1 for band in step["bands"])
    return step["kind"] in ("pool", "contribution")


def contributions(document: object, among: list[str], where: str) -> dict[str, Fraction]:
    """Return the shares that a contribution document gives its players, who must be the parties `among`.

    Raises InputError with the document's faults under `where`.

    >>> contributions(None, ["a"], "facts.contribution")
    Traceback (most recent call last):
    valuation.InputError: facts.contribution: must be a contribution document
    """
    if not isinstance(document, Mapping):
        raise InputError(where, "must be a contribution document")
    try:
        shares = contribution.run(document).shares
    except InputError as error:
        raise InputError.of(
            [(f"{where}.{field}" if field else where, told) for field, told in error.problems]
        ) from None
    except ValuationError as error:
        raise InputError(where, str(error)) from None
    if set(shares) != set(among):
        told = f"has the players {', '.join(shares)}, but the scheme names {', '.join(among)}"
        raise InputError(where, told[:300])
    return {party: shares[party] for party in among}


class _Checking:
    """A scheme under check: the problems found so far, the facts named, the size."""

    def __init__(self) -> None:
        self.problems: Problems = []
        self.facts: set[str] = set()
        self.size = 0

    def problem(self, where: str, told: str) -> None:
        self.problems.append((where, told))

    def read(self, read: Callable[..., Any], *args: Any) -> Any:
        """What `read` returns for `args`; where it refuses, None, and its problems are added."""
        try:
            return read(*args)
        except InputError as error:
            self.problems.extend(error.problems)
            return None

    def names(self, value: object, where: str) -> None:
        names = self.read(inputs.mapping, value, where, ("zh", "en"))
        for key in ("zh", "en") if names else ():
            self.read(inputs.text, names[key], f"{where}.{key}")

    def party(self, value: object, where: str) -> None:
        if not isinstance(value, str) or not PARTY.fullmatch(value):
            self.problem(where, "must be the name or number of a party, 1 to 120 characters")
        else:
            self.read(inputs.encodable, value, where)

    def share(self, value: object, where: str) -> Fraction | None:
        """An exact number from 0 to 1; per cent is told how it is written."""
        if isinstance(value, str) and value.rstrip().endswith(("%", "％")):
            try:
                exact = ratio(value.rstrip()[:-1].rstrip()) / 100
            except InputError:
                exact = Fraction(-1)
            if 0 <= exact <= 1:
                told = f"is {value!r}: write it as {exact_text(exact)}"
                self.problem(where, told[:120])
                return None
        found: Fraction | None = self.read(inputs.number, value, where, 0, 1)
        return found

    def bounds(self, entry: Step, where: str) -> None:
        """A guaranteed minimum and a cap, where they are stated."""
        known = [
            self.read(amount_fen, entry[key], f"{where}.{key}", 0)
            for key in ("least_fen", "most_fen")
            if key in entry
        ]
        if len(known) == 2 and None not in known and known[0] > known[1]:
            told = f"is {known[0]} fen, which is more than the cap of {known[1]} fen"
            self.problem(f"{where}.least_fen", told)

    def fact(self, step: Step, where: str, form: re.Pattern[str], told: str) -> None:
        name = step["fact"]
        if not isinstance(name, str) or not form.fullmatch(name):
            self.problem(f"{where}.fact", told)
        elif name in self.facts:
            self.problem(f"{where}.fact", f"{name} is named twice: each fact serves one step")
        else:
            self.facts.add(name)

    def amount_fact(self, step: Step, where: str) -> None:
        self.fact(step, where, _FACT, "must be a name in lower case that ends in _fen")

    def steps(self, value: object, where: str, depth: int) -> None:
        """A list of steps, the last of which places all that is left."""
        if depth > DEEPEST:
            self.problem(where, f"is nested more than {DEEPEST} deep")
            return
        steps: Any = self.read(inputs.sequence, value, where, 1, 50) or []
        self.size += len(steps)
        for k, step in enumerate(steps):
            at = f"{where}[{k}]"
            if not isinstance(step, Mapping):
                self.problem(at, "must be an object")
                continue
            kind = step.get("kind")
            if not isinstance(kind, str) or kind not in KINDS:
                told = f"is {kind!r}, but must be one of {', '.join(KINDS)}"
                self.problem(f"{at}.kind", told[:200])
                continue
            required, optional, check_step = KINDS[kind]
            if self.read(inputs.mapping, step, at, ("kind", "label", *required), optional) is None:
                continue
            self.names(step["label"], f"{at}.label")
            all_left = check_step(self, step, at, depth)
            if all_left is not None and all_left != (k == len(steps) - 1):
                told = (
                    "places all that is left, but must then be the last step"
                    if all_left
                    else "is the last step, but leaves a part unplaced: end with a pool, a "
                    "contribution, or tiers whose ratios are all 1"
                )
                self.problem(at, told)

    def payee(self, entry: Step, where: str, depth: int) -> None:
        """A party, or steps of its own."""
        if ("party" in entry) == ("steps" in entry):
            self.problem(where, "must name either a party or steps of its own")
        elif "party" in entry:
            self.party(entry["party"], f"{where}.party")
        else:
            self.steps(entry["steps"], f"{where}.steps", depth + 1)


def _recover(checking: _Checking, step: Step, where: str, _depth: int) -> bool:
    checking.party(step["party"], f"{where}.party")
    checking.amount_fact(step, where)
    if "cap_fen" in step:
        checking.read(amount_fen, step["cap_fen"], f"{where}.cap_fen", 0)
    if "cap_ratio" in step:
        checking.share(step["cap_ratio"], f"{where}.cap_ratio")
    return False


def _fixed(checking: _Checking, step: Step, where: str, _depth: int) -> bool:
    checking.party(step["party"], f"{where}.party")
    if ("amount_fen" in step) == ("fact" in step):
        checking.problem(where, "must state either amount_fen or the fact that tells the sum")
    elif "fact" in step:
        checking.amount_fact(step, where)
    else:
        checking.read(amount_fen, step["amount_fen"], f"{where}.amount_fen", 0)
    return False


def _share(checking: _Checking, step: Step, where: str, _depth: int) -> bool:
    checking.party(step["party"], f"{where}.party")
    checking.share(step["ratio"], f"{where}.ratio")
    checking.bounds(step, where)
    return False


def _tiers(checking: _Checking, step: Step, where: str, depth: int) -> bool | None:
    bands: Any = checking.read(inputs.sequence, step["bands"], f"{where}.bands", 1, 50) or []
    checking.size += len(bands)
    below, ratios = 0, list[Fraction | None]()
    for j, band in enumerate(bands):
        at = f"{where}.bands[{j}]"
        optional = ("up_to_fen", "label", "party", "steps")
        if checking.read(inputs.mapping, band, at, ("ratio",), optional) is None:
            ratios.append(None)
            continue
        ratios.append(checking.share(band["ratio"], f"{at}.ratio"))
        if "label" in band:
            checking.names(band["label"], f"{at}.label")
        checking.payee(band, at, depth)
        if ("up_to_fen" in band) == (j == len(bands) - 1):
            told = "the last band is open: leave up_to_fen out" if "up_to_fen" in band else (
                "up_to_fen is missing: only the last band is open")  # fmt: skip
            checking.problem(at, told)
        elif "up_to_fen" in band:
            top = checking.read(amount_fen, band["up_to_fen"], f"{at}.up_to_fen", 1)
            if top is not None and top <= below:
                told = f"is {top} fen, but must be above the band before, which ends at {below} fen"
                checking.problem(f"{at}.up_to_fen", told)
            below = max(below, top or 0)
    return None if None in ratios or not ratios else all(one == 1 for one in ratios)


def _pool(checking: _Checking, step: Step, where: str, depth: int) -> bool:
    shares: Any = checking.read(inputs.sequence, step["shares"], f"{where}.shares", 1, 100) or []
    checking.size += len(shares)
    total, seen, sound, capped = Fraction(0), set[str](), True, True
    for j, entry in enumerate(shares):
        at = f"{where}.shares[{j}]"
        optional = ("party", "steps", "label", "least_fen", "most_fen")
        if checking.read(inputs.mapping, entry, at, ("share",), optional) is None:
            sound = False
            continue
        checking.payee(entry, at, depth)
        checking.bounds(entry, at)
        if "steps" in entry or "label" in entry:
            checking.names(entry.get("label"), f"{at}.label")
        if isinstance(entry.get("party"), str):
            if entry["party"] in seen:
                checking.problem(f"{at}.party", f"{entry['party']} stands in the pool twice")
            seen.add(entry["party"])
        value = checking.share(entry["share"], f"{at}.share")
        sound = sound and value is not None
        total += value or 0
        capped = capped and ("most_fen" in entry or not value)
    if shares and sound and total != 1:
        told = f"sum to {exact_text(total)}, but must sum to exactly 1"
        checking.problem(f"{where}.shares", told)
    elif shares and sound and capped:
        told = "are all capped: leave one entry without most_fen, so that every fen is placed"
        checking.problem(f"{where}.shares", told)
    return True


def _contribution(checking: _Checking, step: Step, where: str, _depth: int) -> bool:
    named = step["parties"]
    among: Any = checking.read(inputs.sequence, named, f"{where}.parties", 1, 100) or []
    checking.size += len(among)
    before = len(checking.problems)
    for j, party in enumerate(among):
        checking.party(party, f"{where}.parties[{j}]")
        if isinstance(party, str) and party in among[:j]:
            checking.problem(f"{where}.parties[{j}]", f"{party} is named twice")
    if ("fact" in step) == ("document" in step):
        told = "must name either the fact that is the contribution document, or hold the document"
        checking.problem(where, told)
    elif "fact" in step:
        told = "must be a name in lower case that does not end in _fen: it is a document"
        checking.fact(step, where, _DOCUMENT, told)
        if isinstance(step["fact"], str) and step["fact"].endswith(("_fen", "_yuan")):
            checking.problem(f"{where}.fact", told)
    elif among and len(checking.problems) == before:
        checking.read(contributions, step["document"], list(among), f"{where}.document")
    return True


KINDS: dict[
    str,
    tuple[
        tuple[str, ...],
        tuple[str, ...],
        Callable[[_Checking, Step, str, int], bool | None],
    ],
] = {
    "recover": (("party", "fact"), ("cap_fen", "cap_ratio"), _recover),
    "fixed": (("party",), ("amount_fen", "fact"), _fixed),
    "share": (("party", "ratio"), ("least_fen", "most_fen"), _share),
    "tiers": (("bands",), (), _tiers),
    "pool": (("shares",), (), _pool),
    "contribution": (("parties",), ("fact", "document"), _contribution),
}
"""Kinds of step: required keys, optional keys, and the check, which tells whether all is placed."""
