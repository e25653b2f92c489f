"""Pure valuation: numbers in, figures with their derivation out.

The package uses the standard library and NumPy, reads no file, no clock and no network, and imports nothing
of the rest of the house (design §2). Money is integer fen (1 fen = 1/100 CNY), every other number an
exact `fractions.Fraction`; floats are refused as input, because 0.1 is not one tenth in them.

Which file answers what:

=====================  =======================================================================
`money`                fen and yuan, exact ratios, half-up rounding, allocation to the fen
`formulas` `worksheet`    the language of formulas; a figure, its steps, recomputation
`cost` `income` `market`   the three approaches of 中评协〔2023〕17号
`quality` `weights`    the score of GB/T 36344-2018; weights by the analytic hierarchy process
`reconciliation`       one value out of several, by stated weights
`schemes` `sharing`    revenue schemes: their language; who gets which fen of an amount, and why
`sentences` `flows`    a scheme in plain sentences; where its money flows, and what another would change
`accounting`           the recognition test, and the cost of a data resource
`amortisation` `impairment`   schedules, losses, write-downs
`disclosure`           the two tables of 财会〔2023〕11号 (their rows: `disclosure_tables`)
`pricing` `price_report`   maximum permitted revenue, its review, the yearly report
`national` `national_table`   capital formation and stock of data, by industry, region and year
`contribution`         who contributed how much; `coalitions` values them, `shapley` solves the game
`allocation`           many statements allocated at once, in order
`methods`              all of them by name, for documents in JSON
`fields` `descriptions`    what each method asks for
`comparison`           why a value is not what it was: the effect of each input that changed
`draws` `simulation`   range by Monte Carlo, sensitivity, breakeven: floats in `draws` alone
=====================  =======================================================================
"""

from collections.abc import Sequence

__all__ = ["InputError", "NoSolution", "ValuationError"]


class ValuationError(Exception):
    """A valuation cannot be given; the sentence says why."""


class InputError(ValuationError):
    """An input is refused; `field` names it, and `problems` lists all that were found.

    `problems` is a tuple of (field, sentence); `field` and `sentence` are its first entry. A field is a
    path such as ``periods[2].share``.

    >>> print(InputError("rate.risk_free", "is -2, but must be at least 0"))
    rate.risk_free: is -2, but must be at least 0
    """

    def __init__(self, field: str, sentence: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        self.problems = tuple(problems) or ((field, sentence),)
        self.field, self.sentence = self.problems[0]
        super().__init__("; ".join(f"{where}: {what}" for where, what in self.problems))

    @classmethod
    def of(cls, problems: Sequence[tuple[str, str]]) -> "InputError":
        """The refusal that lists all `problems` ((field, sentence), at least one)."""
        return cls(problems[0][0], problems[0][1], problems)


class NoSolution(ValuationError):
    """The inputs are well formed, but no figure follows from them (nothing was measured, for example)."""
