"""Where each fen of a distribution flows: through which headings, to whom; and what a new scheme changes.

Pure data for a picture and its table; every amount is whole fen, and what enters a heading leaves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from valuation import InputError, schemes
from valuation.sharing import Distribution, Heading, share


@dataclass(frozen=True)
class Flow:
    """An amount that a party gets through headings, the outermost first; none for carried rounding."""

    party: str
    way: tuple[Heading, ...]
    kind: str
    zh: str
    en: str
    amount_fen: int

    def to_dict(self) -> dict[str, Any]:
        """The flow in canonical JSON types."""
        return {
            "amount_fen": self.amount_fen,
            "en": self.en,
            "kind": self.kind,
            "party": self.party,
            "way": [{"en": one.en, "place": one.place, "zh": one.zh} for one in self.way],
            "zh": self.zh,
        }


@dataclass(frozen=True)
class Difference:
    """What a party gets in all under the scheme in force and under the one tried, in fen."""

    party: str
    before_fen: int
    after_fen: int

    @property
    def change_fen(self) -> int:
        """How much more it gets under the one tried; less is negative."""
        return self.after_fen - self.before_fen


@dataclass(frozen=True)
class Trial:
    """A scheme tried on an amount: its distribution, that of the scheme in force, who gains and loses."""

    tried: Distribution
    in_force: Distribution | None
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """The trial in canonical JSON types."""
        return {
            "differences": [
                {
                    "after_fen": one.after_fen,
                    "before_fen": one.before_fen,
                    "change_fen": one.change_fen,
                    "party": one.party,
                }
                for one in self.differences
            ],
            "flows": [flow.to_dict() for flow in flows(self.tried)],
            "in_force": self.in_force and self.in_force.to_dict(),
            "tried": self.tried.to_dict(),
            "v": 1,
        }


def flows(distribution: Distribution) -> list[Flow]:
    """Return the way of every line, in the order of the scheme; they sum to the amount to the fen.

    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> [(one.party, one.way[0].place, one.amount_fen) for one in flows(share(scheme, 4))]
    [('operator', '1', 3), ('treasury', '1', 1)]
    """
    made = [
        Flow(line.party, line.way, line.kind, line.zh, line.en, line.amount_fen)
        for line in distribution.lines
    ]
    return sorted(made, key=lambda flow: _order(flow.way))


def try_out(
    scheme: Mapping[str, Any],
    amount_fen: int,
    facts: Mapping[str, Any],
    deficits: Mapping[str, Any] | None = None,
    in_force: Distribution | None = None,
) -> Trial:
    """Return what an amount becomes under a scheme, beside the scheme in force; nothing is kept.

    >>> pool = {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...     {"party": "operator", "share": "1/2"}, {"party": "treasury", "share": "1/2"}]}
    >>> old = {"v": 1, "name": {"zh": "旧", "en": "old"}, "steps": [pool]}
    >>> fee = {"kind": "fixed", "party": "treasury", "label": {"zh": "定额", "en": "fee"}, "amount_fen": 4}
    >>> new = {**old, "steps": [fee, pool]}
    >>> trial = try_out(new, 10, {}, in_force=share(old, 10))
    >>> [(one.party, one.change_fen) for one in trial.differences]
    [('operator', -2), ('treasury', 2)]
    """
    tried = share(scheme, amount_fen, facts, deficits)
    before = in_force.paid_fen() if in_force else {}
    after = tried.paid_fen()
    parties = dict.fromkeys([*before, *after])
    return Trial(
        tried, in_force,
        tuple(Difference(one, before.get(one, 0), after.get(one, 0)) for one in parties),
    )  # fmt: skip


def facts_for(
    scheme: Mapping[str, Any], last: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the facts that a checked scheme needs: those given, else those of the last statement.

    Raises InputError that names every fact which neither states, and every one given that it does not need.

    >>> scheme = {"steps": [{"kind": "recover", "fact": "rent_fen", "party": "a"}]}
    >>> facts_for(scheme, {"rent_fen": 7, "staff_fen": 1}, {})
    {'rent_fen': 7}
    >>> facts_for(scheme, {}, {})
    Traceback (most recent call last):
    valuation.InputError: facts.rent_fen: is needed by this scheme and was not stated before: state it
    """
    wanted = schemes.facts(scheme)
    known = {**last, **given}
    problems = [
        (f"facts.{name}", "is needed by this scheme and was not stated before: state it")
        for name in wanted
        if name not in known
    ]
    problems += [
        (f"facts.{name}", "is no fact of this scheme") for name in given if name not in wanted
    ]
    if problems:
        raise InputError.of(problems)
    return {name: known[name] for name in wanted}


def _order(way: tuple[Heading, ...]) -> tuple[int, ...]:
    """Headings in the order of the scheme; carried rounding, which has none, last."""
    if not way:
        return (10**6,)
    return tuple(int(n) for n in way[-1].place.split("_"))
