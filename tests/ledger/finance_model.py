"""The oracle of the finance machine: the same business in plain Python, by the rules and not by the code.

Money is int, shares are Fraction, an account is a number in a dict. It knows nothing of the database.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor
from typing import Any

from ledger import books
from tests.conftest import PARTIES

OPERATOR, BUREAU, REGISTRY, TREASURY, BUYER, EXCHANGE = (
    PARTIES[key][2] for key in ("operator", "bureau", "registry", "treasury", "bank", "exchange")
)
SHARES = {
    TREASURY: Fraction(1, 10), OPERATOR: Fraction(9, 10) * Fraction(3, 5),
    BUREAU: Fraction(9, 10) * Fraction(3, 10), REGISTRY: Fraction(9, 10) * Fraction(1, 10),
}  # fmt: skip
PUBLIC = {TREASURY, BUREAU}
Account = tuple[str, str]
Row = tuple[str, str, int]  # day, kind, net fen
Lines = dict[str, int]


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def without_vat(amount_fen: int) -> int:
    """An amount with 6 % VAT in it, without it, half up."""
    return half_up(Fraction(100 * amount_fen, 106))


def scheme_document() -> dict[str, Any]:
    text = {"zh": "分配", "en": "share"}
    shares = [(OPERATOR, "3/5"), (BUREAU, "3/10"), (REGISTRY, "1/10")]
    return {
        "v": 1, "name": text,
        "steps": [
            {"kind": "share", "party": TREASURY, "label": text, "ratio": "1/10"},
            {"kind": "pool", "label": text,
             "shares": [{"party": party, "share": share} for party, share in shares]},
        ],
    }  # fmt: skip


def share_out(total: int, deficits: dict[str, Fraction]) -> tuple[Lines, dict[str, Fraction]]:
    """Each party's whole fen, and what each is short of since; nobody gets less than its claim's floor.

    What is left goes fen by fen to whoever is nearest to the next whole fen, as he would be were the amount
    larger; the first named where two are as near.
    """
    due = {
        party: deficits.get(party, Fraction(0)) + total * share for party, share in SHARES.items()
    }
    paid = {party: max(0, floor(claim)) for party, claim in due.items()}
    while sum(paid.values()) < total:
        below = [party for party in due if paid[party] < ceil(due[party])]
        nearest = min(below, key=lambda party: ceil((paid[party] + 1 - due[party]) / SHARES[party]))
        paid[nearest] += 1
    assert sum(paid.values()) == total
    return paid, {party: due[party] - paid[party] for party in due}


@dataclass
class Told:
    """A statement as the model knows it; `undoes` is the one it takes back."""

    id: str
    until_on: str
    through_n: int
    amount_fen: int
    lines: Lines
    deficits: dict[str, Fraction]
    state: str = "drafted"
    undoes: "Told | None" = None

    @property
    def stands(self) -> bool:
        return self.state not in ("rejected", "reversed") and self.undoes is None


@dataclass
class Sale:
    """Money received that can be given back: of a payment, or nothing of it any more."""

    id: str
    amount_fen: int
    refunded_fen: int = 0
    proposed_fen: int = 0

    def vat_of(self, part_fen: int) -> int:
        vat = self.amount_fen - without_vat(self.amount_fen)
        return half_up(Fraction(vat * part_fen, self.amount_fen))


@dataclass
class Model:
    """One agreement's books, settlements, closings and statements."""

    first_day: str
    rows: list[Row] = field(default_factory=list)
    accounts: Counter[Account] = field(default_factory=Counter)
    held: Counter[Account] = field(default_factory=Counter)
    statements: list[Told] = field(default_factory=list)
    closings: list[tuple[str, str, int]] = field(
        default_factory=list
    )  # first day, last day, numbers
    paid_fen: int = 0  # of the one licence that is paid in parts

    # ------------------------------------------------------------ what comes in and goes out

    def receive(
        self, day: str, amount_fen: int, account: str, party: str = "", kind: str = "payment"
    ) -> None:
        """A settlement against money on an account (which falls if it is on the credit side)."""
        net = without_vat(amount_fen)
        self.rows.append((day, kind, net))
        self.accounts[account, party] += -amount_fen if account == books.PREPAID else amount_fen
        self.accounts[books.UNDISTRIBUTED, ""] += net
        self.accounts[books.VAT, ""] += amount_fen - net

    def give_back(self, day: str, sale: Sale, amount_fen: int) -> None:
        vat = sale.vat_of(sale.refunded_fen + amount_fen) - sale.vat_of(sale.refunded_fen)
        sale.refunded_fen += amount_fen
        sale.proposed_fen -= amount_fen
        self.rows.append((day, "refund", vat - amount_fen))
        self.accounts[books.UNDISTRIBUTED, ""] -= amount_fen - vat
        self.accounts[books.VAT, ""] -= vat
        self.accounts[books.REFUNDS, BUYER] += amount_fen

    # ------------------------------------------------------------ statements

    def standing(self) -> list[Told]:
        return sorted((one for one in self.statements if one.stands), key=lambda one: one.until_on)

    def unfinished(self) -> Told | None:
        open_ones = ("drafted", "proposed", "approved")
        return next((one for one in self.statements if one.state in open_ones), None)

    def in_region(self, n: int, reach: tuple[int, str]) -> bool:
        return n <= reach[0] and self.rows[n - 1][0] <= reach[1]

    def covered(self, until_on: str, through_n: int, before: Told | None) -> set[int]:
        """The rows of a region that the region before does not hold."""
        known = (before.through_n, before.until_on) if before else (0, "")
        return {
            n for n in range(1, len(self.rows) + 1)
            if self.in_region(n, (through_n, until_on)) and not self.in_region(n, known)
        }  # fmt: skip

    def net(self, numbers: set[int]) -> int:
        return sum(self.rows[n - 1][2] for n in numbers)

    def distributed(self) -> Iterator[tuple[Told, set[int]]]:
        """What each standing statement covers."""
        before = None
        for one in self.standing():
            yield one, self.covered(one.until_on, one.through_n, before)
            before = one

    def book(self, statement: Told, sign: int = 1) -> None:
        self.accounts[books.UNDISTRIBUTED, ""] -= sign * statement.amount_fen
        for party, fen in statement.lines.items():
            account = books.TREASURY if party in PUBLIC else books.PAYABLE
            self.accounts[account, party] += sign * fen
