"""What a method refuses about a form, in the reader's language (of schemes: `webapp.refusals`)."""

import re
from collections.abc import Callable

from ledger.reports import decimal
from valuation import InputError, money
from webapp.language import tr


def in_words(sentence: str) -> str:
    """What a calculation refuses, in the reader's language as far as the sentence is known."""
    known: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
        (r"is missing", lambda f: tr("This is still missing.")),
        (r"is an appraised value, which can never be booked .+", lambda f: tr(
            "It rests on an appraised value, which can never be booked (财会〔2025〕33号): state what was "
            "paid or spent, and the voucher for it.")),
        (r"must be a month such as '2026-03'", lambda f: tr("It must be a month such as 2026-03.")),
        (r"does not belong to .+", lambda f: tr("This does not belong to what was chosen above.")),
        (r"cannot be taken back: .+", lambda f: tr(
            "An impairment loss of an intangible asset is never reversed (CAS 8).")),
        (r"is more than may be reversed: (\d+) fen of what was written down", lambda f: tr(
            "It is more than may be reversed: {most} yuan.", most=money.yuan(int(f[1])))),
        (r"is more than the cost", lambda f: tr("It is more than the cost.")),
        (r"is missing: (?:a residual|state the fair) value.+", lambda f: tr("This is still missing.")),
        (r"must be a year from 1900 to 2199", lambda f: tr("It must be a year from 1900 to 2199.")),
        (r"must be 0(?: or left out)?: a non-market producer has none", lambda f: tr(
            "It must be 0: a non-market producer has no net return.")),
        (r"is '(.+)', but must be a section of GB/T 4754, A to T", lambda f: tr(
            "It is {value}, but must be a section of GB/T 4754, A to T.", value=f[1])),
        (r"is '(.+)', but must be a region code of GB/T 2260, six digits", lambda f: tr(
            "It is {value}, but must be a region code of GB/T 2260 with six digits.", value=f[1])),
        (r"is (-?\d+) fen, but must be at least (-?\d+)", lambda f: tr(
            "It is {value} fen, but must be at least {least}.", value=f[1], least=f[2])),
        (r"'(.+)' has more than two decimals; the smallest unit is 0\.01 yuan", lambda f: tr(
            "{value} has more than two decimals; the smallest unit is 0.01 yuan.", value=f[1])),
        (r"'(.+)' is not an amount in yuan: .+", lambda f: tr(
            "{value} is no amount in yuan: write digits with a point and at most two decimals.",
            value=f[1])),
        (r"stands there twice, see rows\[(\d+)\]", lambda f: tr(
            "This stands there twice: row {n} is of the same industry, region, year and kind of producer.",
            n=int(f[1]) + 1)),
        (r"is followed by no row for ([\d, ]+) of (.+): enter 0 for nothing", lambda f: tr(
            "No row follows for {years} of {cell}: enter 0 where nothing was formed.", years=f[1],
            cell=f[2])),
        (r"makes the formation less than 0: check the subsidies", lambda f: tr(
            "It makes the formation less than 0: check the subsidies.")),
        (r"is missing: state it, or the service life", lambda f: tr(
            "It is missing: state it, or the service life.")),
        (r"is given twice, also by the service life", lambda f: tr(
            "It is given twice, also by the service life.")),
        (r"belongs to a service life, and none is stated", lambda f: tr(
            "It belongs to a service life, and none is stated.")),
        (r"is not asked by the model .+", lambda f: tr("This model does not ask it.")),
        (r"is (.+), but must be one of (.+)", lambda f: tr(
            "It is {value}, but must be one of {choices}.", value=_as_read(f[1]), choices=f[2])),
        (r"is (.+), but must be (?:at least|more than) (\S+) and (?:at most|less than) (\S+)",
         lambda f: tr("It is {value}, but must lie between {least} and {most}.", value=_as_read(f[1]),
                      least=_as_read(f[2]), most=_as_read(f[3]))),
        (r"is (.+), but must be less than (.+)", lambda f: tr(
            "It is {value}, but must be less than {bound}.", value=_as_read(f[1]), bound=_as_read(f[2]))),
        (r"have weights that sum to (.+), but must sum to 1|sum to (.+), but must sum to 1",
         lambda f: tr("The weights sum to {sum}, but must sum to 1.", sum=_as_read(f[1] or f[2]))),
        (r"of (.+) is (\S+) yuan, above its cap of (\S+) yuan", lambda f: tr(
            "The fee of {product} is {fee} yuan, above its cap of {cap} yuan.", product=f[1], fee=f[2],
            cap=f[3])),
        (r"have caps times quantities of (\S+) yuan, but R_max is (\S+) yuan", lambda f: tr(
            "Caps times planned quantities are {planned} yuan, but at most {top} yuan are permitted.",
            planned=f[1], top=f[2])),
        (r"must be 0: use for .+ is free .+", lambda f: tr(
            "Use for public governance and public benefit is free: it must be 0.")),
        (r"exceeds the cost by (\S+) yuan", lambda f: tr(
            "The subsidies exceed the cost by {amount} yuan.", amount=f[1])),
        (r"is (\S+) yuan more than may be taken: smooth it over several cycles", lambda f: tr(
            "The excess is {amount} yuan more than may be taken: smooth it over several cycles.",
            amount=f[1])),
        (r"must be (\d+), the year before the cost survey", lambda f: tr(
            "It must be {year}, the year before the cost survey.", year=f[1])),
        (r"cannot be \w+ after (\d+) months: .+", lambda f: tr(
            "After {months} months of operation that cannot be: fees are on trial for less than a full "
            "year.", months=f[1])),
    )  # fmt: skip
    for pattern, say in known:
        found = re.fullmatch(pattern, sentence)
        if found:
            return str(say(found))
    return sentence


def _as_read(text: str) -> str:
    """An exact number of a refusal as people read it; any other text as it stands."""
    try:
        return decimal(money.ratio(text))
    except InputError:
        return text
