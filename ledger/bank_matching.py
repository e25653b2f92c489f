"""Bank movements and booked ones are matched (对账): by reference, else by amount, day and counterparty.

What is equal in all that is known is never told apart by guessing: of movements without a common reference
only those match that are unique on both sides. One movement of the bank may be several booked ones under
one reference (批量代付), which come to its amount.

    missing_here     the bank has it, the books do not
    missing_there    the books have it, the bank does not
    amount, day      both have it under one reference, otherwise
    twice            one side has it once more under the same reference, day and amount
    balance          the file does not begin where the last ended, or no movement explains what is left
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ledger.bank_files import BankLine

KINDS = ("missing_here", "missing_there", "amount", "day", "twice", "balance")


@dataclass(frozen=True)
class Booked:
    """A movement of the bank account as the books have it; `day` is the day on which it was paid."""

    id: str
    number: str
    day: str
    reference: str
    amount_fen: int
    counterparty: str
    origin: str
    """what it came from: payment, remittance, payout, journal …"""

    def told(self) -> dict[str, Any]:
        """As a difference keeps it."""
        return {"amount_fen": self.amount_fen, "counterparty": self.counterparty, "day": self.day,
                "number": self.number, "origin": self.origin, "reference": self.reference}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A difference: its kind, and what either side has."""

    kind: str
    theirs: Mapping[str, Any] | None
    ours: Mapping[str, Any] | None


@dataclass
class Outcome:
    """What matched, as (row, entry, how), what differs, what a side has alone or once too often."""

    pairs: list[tuple[BankLine, Booked, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    rows: list[BankLine] = field(default_factory=list)
    twice: list[BankLine] = field(default_factory=list)
    booked: list[Booked] = field(default_factory=list)


Side = TypeVar("Side", BankLine, Booked)


def told(row: BankLine) -> dict[str, Any]:
    """A movement of the bank as a difference keeps it."""
    return {"amount_fen": row.amount_fen, "counterparty": row.counterparty, "day": row.day,
            "memo": row.memo, "of": row.of, "reference": row.reference, "row": row.row}  # fmt: skip


def match(rows: Sequence[BankLine], booked: Sequence[Booked]) -> Outcome:
    """Match the movements of a bank with the booked ones."""
    made = Outcome()
    gone: set[int] = set()
    theirs, ours = _by(rows, _row_reference), _by(booked, _booked_reference)
    for reference in theirs.keys() & ours.keys():
        gone |= _under_one_reference(made, theirs[reference], ours[reference])
    left_rows = [one for one in rows if id(one) not in gone]
    left_booked = [one for one in booked if id(one) not in gone]
    alone_rows, alone_booked = _by(left_rows, _facts), _by(left_booked, _facts)
    for facts in alone_rows.keys() & alone_booked.keys():
        if len(alone_rows[facts]) == len(alone_booked[facts]) == 1:
            made.pairs.append((alone_rows[facts][0], alone_booked[facts][0], "facts"))
    gone |= {id(one) for pair in made.pairs for one in pair[:2]}
    made.rows = [one for one in left_rows if id(one) not in gone]
    made.booked = [one for one in left_booked if id(one) not in gone]
    made.findings += [Finding("missing_here", told(one), None) for one in made.rows]
    made.findings += [Finding("missing_there", None, one.told()) for one in made.booked]
    made.pairs.sort(key=lambda pair: pair[0].row)
    return made


def _under_one_reference(made: Outcome, rows: list[BankLine], booked: list[Booked]) -> set[int]:
    """Match what bears one reference; what is used up of either side, by its `id`."""
    used: set[int] = set()
    exact: set[tuple[int, str]] = set()

    def pair(row: BankLine, one: Booked, kind: str = "") -> None:
        used.update((id(row), id(one)))
        exact.add(_amount_and_day(row))
        made.pairs.append((row, one, "reference"))
        if kind:
            made.findings.append(Finding(kind, told(row), one.told()))

    def left(side: list[Side]) -> list[Side]:
        return [one for one in side if id(one) not in used]

    for same, kind in ((_amount_and_day, ""), (_amount, "day")):
        waiting = _by(left(rows)[::-1], same)  # the first of them last, to be taken first
        for one in left(booked):
            if alike := waiting.get(same(one)):
                pair(alike.pop(), one, kind)
    parts = _by(left(booked), _comes_in)
    sums = {side: sum(one.amount_fen for one in of) for side, of in parts.items() if len(of) > 1}
    for row in left(rows):
        if sums.get(_comes_in(row)) == row.amount_fen:
            del sums[_comes_in(row)]
            for one in parts[_comes_in(row)]:
                pair(row, one)
            other = next((one for one in parts[_comes_in(row)] if one.day != row.day), None)
            if other is not None:  # of one debit one difference, of its whole
                whole = replace(other, amount_fen=row.amount_fen)
                made.findings.append(Finding("day", told(row), whole.told()))
    for row in left(rows):
        if _amount_and_day(row) in exact:
            used.add(id(row))
            made.twice.append(row)
            made.findings.append(Finding("twice", told(row), None))
    for one in left(booked):
        if _amount_and_day(one) in exact:
            used.add(id(one))
            made.findings.append(Finding("twice", None, one.told()))
    open_rows, open_booked = left(rows), left(booked)
    if len(open_rows) == len(open_booked) == 1:
        pair(open_rows[0], open_booked[0], "amount")
    return used


def _by(side: Iterable[Side], key: Callable[[Side], Hashable]) -> dict[Hashable, list[Side]]:
    found: dict[Hashable, list[Side]] = defaultdict(list)
    for one in side:
        named = key(one)
        if named is not None:
            found[named].append(one)
    return found


def _row_reference(row: BankLine) -> str | None:
    return row.reference.casefold() or None


def _booked_reference(one: Booked) -> str | None:
    return one.reference.casefold() or None


def _amount(one: BankLine | Booked) -> int:
    return one.amount_fen


def _comes_in(one: BankLine | Booked) -> bool:
    return one.amount_fen > 0


def _amount_and_day(one: BankLine | Booked) -> tuple[int, str]:
    return one.amount_fen, one.day


def _facts(one: BankLine | Booked) -> tuple[int, str, str] | None:
    name = unicodedata.normalize("NFKC", one.counterparty).replace(" ", "").casefold()
    return (one.amount_fen, one.day, name) if name else None


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many differences there are of each kind."""
    found = Counter(one.kind for one in findings)
    return {kind: found[kind] for kind in KINDS}
