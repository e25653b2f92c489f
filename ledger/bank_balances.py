"""What an account statement says stands on an account, beside what the books say (余额调节表).

Two things are told apart: a file that does not begin where the one before ended, and an amount that no
movement explains. Each is found once, in the reconciliation in which it comes up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.bank_matching import Finding


@dataclass(frozen=True)
class Earlier:
    """A reconciliation of before: its last day, its `compared`, and what moved in it, in fen."""

    number: str
    until_on: str
    balances: Mapping[str, Any]
    moved_fen: int


def compared(
    book: int, bank: int | None, day: str, theirs: Sequence[int], ours: Sequence[int], otherwise: int
) -> dict[str, Any]:  # fmt: skip
    """Both balances at the end of the last day, each with what the other side has alone, in fen.

        book + what only the bank has + what it has otherwise  =  bank + what only the books have

    Of a bank that was reconciled from its first day on, both sides come to the same.
    """
    return {
        "adjusted_bank_fen": None if bank is None else bank + sum(ours),
        "adjusted_book_fen": book + sum(theirs) + otherwise, "bank_fen": bank,
        "bank_in_fen": sum(fen for fen in theirs if fen > 0),
        "bank_out_fen": -sum(fen for fen in theirs if fen < 0), "book_fen": book,
        "book_in_fen": sum(fen for fen in ours if fen > 0),
        "book_out_fen": -sum(fen for fen in ours if fen < 0), "day": day, "otherwise_fen": otherwise,
    }  # fmt: skip


def findings(
    before: Sequence[Earlier], sums: Mapping[str, Any], opening: int | None, from_on: str
) -> list[Finding]:
    """The differences of balances: the opening one against the last closing one, the adjusted ones."""
    if opening is None:
        return []
    found, gap, due = [], 0, _closing(before)
    if due is not None and due != opening:
        gap = opening - due
        last = {"amount_fen": due, "day": before[-1].until_on, "number": before[-1].number}
        found.append(Finding("balance", {"amount_fen": opening, "day": from_on}, last))
    known = next((one for one in map(_unexplained, _balances(before[::-1])) if one is not None), 0)
    if _unexplained(sums) not in (None, known + gap):
        bank, book = (
            {"amount_fen": sums[f"adjusted_{side}_fen"], "day": sums["day"]}
            for side in ("bank", "book")
        )
        found.append(Finding("balance", bank, book))
    return found


def _balances(before: Iterable[Earlier]) -> Iterable[Mapping[str, Any]]:
    return (one.balances for one in before)


def _closing(before: Iterable[Earlier]) -> int | None:
    """With what the next file begins: the last balance that was told, and what moved since."""
    found = None
    for one in before:
        told = one.balances["bank_fen"]
        found = told if told is not None else None if found is None else found + one.moved_fen
    return found


def _unexplained(sums: Mapping[str, Any]) -> int | None:
    bank = sums["adjusted_bank_fen"]
    return None if bank is None else int(bank - sums["adjusted_book_fen"])
