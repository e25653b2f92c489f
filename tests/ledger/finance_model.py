"""The oracle of the finance machine: the same business in plain Python, by the rules and not by the code.

Money is int, shares are Fraction, an account is a number in a dict. It knows nothing of the database.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

from stdnum.cn import uscc

from ledger import books
from tests.conftest import PARTIES

OPERATOR, BUREAU, REGISTRY, TREASURY, BUYER, EXCHANGE = (
    PARTIES[key][2] for key in ("operator", "bureau", "registry", "treasury", "bank", "exchange")
)
# Two more payees, an enterprise and a public body, that are split on some walks.
PARTNER, OFFICE = (
    stem + uscc.calc_check_digit(stem) for stem in ("91000000DEM000008", "11000000DEM000009")
)
POOL = {OPERATOR: "1/2", BUREAU: "1/5", REGISTRY: "1/10", PARTNER: "1/10", OFFICE: "1/10"}
SHARES = {
    TREASURY: Fraction(1, 10),
    **{party: Fraction(9, 10) * Fraction(share) for party, share in POOL.items()},
}
PUBLIC = {TREASURY, BUREAU, OFFICE}
NEVER_BELOW_NOUGHT = {books.BANK, books.PREPAID, books.REFUNDS}
LICENCE_FEN = 400_000
THIRD_YUAN = 300  # above which two must sign
PAYOUT_DAYS = 2  # after which a payout not approved lets go of what it holds
Account = tuple[str, str]
Bars = dict[str, bool]  # what forbids a deed: whether it does, by what it is called in the tally
Row = tuple[str, str, int]  # day, kind, net fen
Lines = dict[str, int]


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def without_vat(amount_fen: int) -> int:
    """An amount with 6 % VAT in it, without it, half up."""
    return half_up(Fraction(100 * amount_fen, 106))


def scheme_document() -> dict[str, Any]:
    """The operator's costs first, exactly; of what is left fixed shares."""
    text = {"zh": "分配", "en": "share"}
    return {
        "v": 1, "name": text,
        "steps": [
            {"kind": "recover", "party": OPERATOR, "label": text, "fact": "cost_fen"},
            {"kind": "share", "party": TREASURY, "label": text, "ratio": "1/10"},
            {"kind": "pool", "label": text,
             "shares": [{"party": party, "share": share} for party, share in POOL.items()]},
        ],
    }  # fmt: skip


def share_out(
    total: int, cost_fen: int, deficits: dict[str, Fraction]
) -> tuple[Lines, dict[str, Fraction]]:
    """Each party's whole fen, and what each is short of since; nobody gets less than its claim's floor.

    What is left goes fen by fen to whoever is nearest to the next whole fen, as he would be were the amount
    larger; the first named where two are as near.
    """
    cost = min(cost_fen, total)
    rest = total - cost
    due = {
        party: deficits.get(party, Fraction(0)) + rest * share for party, share in SHARES.items()
    }
    paid = {party: max(0, floor(claim)) for party, claim in due.items()}
    while sum(paid.values()) < rest:
        below = [party for party in due if paid[party] < ceil(due[party])]
        nearest = min(below, key=lambda party: ceil((paid[party] + 1 - due[party]) / SHARES[party]))
        paid[nearest] += 1
    after = {party: due[party] - paid[party] for party in due}
    paid[OPERATOR] += cost
    assert sum(paid.values()) == total
    return paid, after


@dataclass
class Closing:
    """A closed period: its days, how far the numbers had come, and who closed it."""

    id: str
    from_on: str
    until_on: str
    through_n: int
    by: str


@dataclass
class Told:
    """A statement as the model knows it; `undoes` is the one it takes back."""

    id: str
    from_on: str
    until_on: str
    through_n: int
    cost_fen: int
    amount_fen: int
    lines: Lines
    deficits: dict[str, Fraction]
    closing: Closing
    state: str = "drafted"
    undoes: "Told | None" = None
    signed: int = 0
    required: int = 1
    """how many must sign, from its proposal on"""

    @property
    def stands(self) -> bool:
        return self.state not in ("rejected", "reversed") and self.undoes is None


@dataclass
class Asked:
    """A question on a statement."""

    id: str
    of: Told
    state: str = "raised"


@dataclass
class Receipt:
    """Money received: of a licence, or (`account`) a buyer's prepayment or an exchange's clearing.

    One out of a prepayment was no receipt of the bank's, nor is a confirmed trade (`row`).
    """

    id: str
    reference: str
    amount_fen: int
    account: str = ""
    by_itself: bool = True
    row: int = 0
    buyer: str = BUYER
    refunded_fen: int = 0
    proposed_fen: int = 0

    @property
    def left_fen(self) -> int:
        return self.amount_fen - self.refunded_fen - self.proposed_fen

    def vat_of(self, part_fen: int) -> int:
        vat = 0 if self.account else self.amount_fen - without_vat(self.amount_fen)
        return half_up(Fraction(vat * part_fen, self.amount_fen))


@dataclass
class Limit:
    """What must stay of an account; with `floor_fen` None the lifting of it."""

    id: str
    number: str
    place: Account
    floor_fen: int | None
    by: str
    state: str = "proposed"


@dataclass
class Split:
    """How a payee ended: its successors, and whether each is a public body."""

    day: str
    heirs: dict[str, bool]


@dataclass
class Division:
    """Who gets what of the claim of a payee that was split, or (`undoes`) that it is taken back."""

    id: str
    place: Account
    fen: int
    shares: Lines
    day: str
    by: str
    memo: str
    state: str = "proposed"
    undoes: "Division | None" = None

    @property
    def stands(self) -> bool:
        return self.state == "approved" and self.undoes is None


@dataclass
class Model:
    """One agreement's books, settlements, closings and statements."""

    first_day: str
    rows: list[Row] = field(default_factory=list)
    accounts: Counter[Account] = field(default_factory=Counter)
    held: Counter[Account] = field(default_factory=Counter)
    statements: list[Told] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    credited: Counter[Account] = field(default_factory=Counter)
    """what payees were credited, less what was taken back"""
    peak: Counter[Account] = field(default_factory=Counter)
    """the most that `credited` ever was"""
    paid_fen: int = 0  # of the one licence that is paid in parts
    limits: dict[Account, Limit] = field(default_factory=dict)
    """the last that was decided of each account"""
    splits: dict[str, Split] = field(default_factory=dict)
    divisions: list[Division] = field(default_factory=list)

    def floor(self, place: Account) -> int | None:
        """What a limit keeps of an account; None where none does."""
        return self.limits[place].floor_fen if place in self.limits else None

    def least(self, place: Account) -> int | None:
        """Below what an account never falls; None where it may fall below nought."""
        floor = self.floor(place)
        return 0 if floor is None and place[0] in NEVER_BELOW_NOUGHT else floor

    def unheld(self, account: str, party: str = "") -> int:
        """What stands on an account and is held for nothing."""
        return self.accounts[account, party] - self.held[account, party]

    def free(self, account: str, party: str = "") -> int:
        """What of it no limit keeps either."""
        return self.unheld(account, party) - (self.least((account, party)) or 0)

    def yields(self, place: Account, fen: int) -> bool:
        """Whether so much can be taken from an account, below nought too if nothing must stay there."""
        left, least = self.unheld(*place) - fen, self.least(place)
        return (least is None or left >= least) and (not self.held[place] or left >= 0)

    def divide(self, one: Division) -> None:
        """A claim is owed to the successors instead; or, taken back, to whom it was owed."""
        sign = 1 if one.undoes is None else -1
        self.credit(*one.place, -sign * one.fen)
        for heir, fen in one.shares.items():
            self.credit(one.place[0], heir, sign * fen)

    def divided(self, place: Account) -> bool:
        """Whether a division of it stands."""
        return any(one.stands and one.place == place for one in self.divisions)

    def came(self, place: Account) -> int:
        """What came to a payee by divisions, less what went away."""
        standing = [one for one in self.divisions if one.stands and one.place[0] == place[0]]
        return sum(one.shares.get(place[1], 0) for one in standing) - sum(
            one.fen for one in standing if one.place == place
        )

    def kept_from(self, statement: Told) -> bool:
        """Whether a limit keeps what the reversal of a statement would take back."""
        for party, fen in statement.lines.items():
            place = (owed_on(party), party)
            if fen and self.floor(place) is not None and not self.yields(place, fen):
                return True
        return False

    def credit(self, account: str, party: str, fen: int) -> None:
        """Owe somebody more, or less."""
        place = (account, party)
        self.accounts[place] += fen
        self.credited[place] += fen
        self.peak[place] = max(self.peak[place], self.credited[place])

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

    def give_back(self, day: str, receipt: Receipt, amount_fen: int) -> None:
        """A refund: it is owed to the buyer."""
        self._take_back(day, receipt, amount_fen)
        self.credit(books.REFUNDS, receipt.buyer, amount_fen)

    def undo(self, day: str, receipt: Receipt) -> None:
        """What was received was not: it is not in the bank, and owed to nobody."""
        self._take_back(day, receipt, receipt.amount_fen)
        self.accounts[books.BANK, ""] -= receipt.amount_fen

    def _take_back(self, day: str, receipt: Receipt, amount_fen: int) -> None:
        before, receipt.refunded_fen = receipt.refunded_fen, receipt.refunded_fen + amount_fen
        receipt.proposed_fen -= amount_fen
        if receipt.account == books.PREPAID:
            self.accounts[books.PREPAID, BUYER] -= amount_fen
        elif receipt.account == books.DUE:
            self.accounts[books.DUE, EXCHANGE] += amount_fen
        else:
            vat = receipt.vat_of(receipt.refunded_fen) - receipt.vat_of(before)
            self.rows.append((day, "refund", vat - amount_fen))
            self.accounts[books.UNDISTRIBUTED, ""] -= amount_fen - vat
            self.accounts[books.VAT, ""] -= vat

    # ------------------------------------------------------------ statements

    def standing(self) -> list[Told]:
        return sorted((one for one in self.statements if one.stands), key=lambda one: one.until_on)

    def unfinished(self) -> Told | None:
        open_ones = ("drafted", "proposed", "approved")
        return next((one for one in self.statements if one.state in open_ones), None)

    def due_of(self, one: Told) -> int:
        """How many must sign: what stands beside it and ended within thirty days counts along."""
        ends = date.fromisoformat(one.until_on)
        recent = sum(
            other.amount_fen for other in self.standing()
            if other is not one and other is not one.undoes
            and 0 <= (ends - date.fromisoformat(other.until_on)).days < 30
        )  # fmt: skip
        return 1 + (one.amount_fen + recent > 100 * THIRD_YUAN)

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
            self.credit(owed_on(party), party, sign * fen)

    # ------------------------------------------------------------ closings

    def closed_until(self) -> str:
        return self.closings[-1].until_on if self.closings else ""

    def standing_over(self, closing: Closing) -> bool:
        return any(one.until_on >= closing.from_on for one in self.standing())


def owed_on(party: str) -> str:
    """The account of what a party is shared: what public bodies get is the treasury's."""
    return books.TREASURY if party in PUBLIC else books.PAYABLE


# ---------------------------------------------------------------- payouts

OWED = (books.PAYABLE, books.TREASURY, books.REFUNDS)


@dataclass
class Pay:
    """One payment of a payout; `held` is what it sets aside now, `entry` what its payment moved."""

    serial: str
    account: str
    party: str
    fen: int
    bank_account: str
    held: bool
    held_at: datetime
    state: str = "held"
    day: str = ""
    reference: str = ""
    back: tuple[str, str] = ("", "")
    reason: str = ""
    entry: dict[Account, int] = field(default_factory=dict)
    twice_fen: int = 0


@dataclass
class Batch:
    """A payout, of one statement or of all that is due."""

    id: str
    of: Told | None
    maker: str
    expires_at: datetime
    required: int
    lines: list[Pay]
    state: str = "prepared"
    approvals: list[str] = field(default_factory=list)
    approved_on: str = ""


@dataclass
class Payments:
    """What of a model's book is paid, and where."""

    of: Model
    banked: dict[str, str]  # bank account by party
    batches: list[Batch] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[Batch, Pay]]:
        return ((batch, line) for batch in self.batches for line in batch.lines)

    def given(self) -> list[Batch]:
        """Those that the bank has, or had."""
        return [one for one in self.batches if one.approved_on]

    def reversing(self) -> bool:
        under_way = self.of.unfinished()
        return under_way is not None and under_way.undoes is not None

    def due(
        self, statement: Told | None
    ) -> tuple[dict[Account, int], set[tuple[str, str, int, str]]]:
        """What can be paid now, of a statement or of all; and who is left out of what, with why."""
        paid: dict[Account, int] = {}
        left_out: set[tuple[str, str, int, str]] = set()
        for place in sorted(self.of.accounts):
            if place[0] not in OWED:
                continue
            owed = self.of.unheld(*place)
            if statement is not None:
                owed = min(owed, self.left_of(statement, place))
            fen = min(owed, self.of.free(*place))
            if owed > max(0, fen):
                left_out.add((*place, owed - max(0, fen), "limited"))
            if fen <= 0:
                continue
            why = self.why_not(place)
            if why:
                left_out.add((*place, fen, why))
            else:
                paid[place] = fen
        return paid, left_out

    def why_not(self, place: Account) -> str:
        """Why a payee cannot be paid what he is owed; empty where he can."""
        if self.lapsed(place):
            return "unanswered"
        if place[1] not in self.banked:
            return "split" if place[1] in self.of.splits else "no_account"
        came_back = any(
            line.state == "came_back" and line.bank_account == self.banked[place[1]]
            for _, line in self.lines()
        )
        return "returned" if came_back else ""

    def lapsed(self, place: Account) -> bool:
        """Whether an earlier payment is not answered though nothing is held for it any more."""
        return any(
            (line.account, line.party) == place and line.state == "held" and not line.held
            for _, line in self.lines()
        )

    def left_of(self, statement: Told, place: Account) -> int:
        """What a payee is still owed of one posted statement.

        What was paid without naming a statement was paid of what came by divisions, then of the oldest that
        were not paid by name; what went away by them was of the oldest too.
        """
        if statement.state != "posted" or place[0] != owed_on(place[1]):
            return 0
        by_name: Counter[str] = Counter()
        for batch, line in self.lines():
            if (line.account, line.party) == place and line.state in ("held", "paid"):
                by_name[batch.of.id if batch.of else ""] += line.fen
        by_name[""] = max(0, by_name[""] - self.of.came(place))
        for one in self.of.standing():
            if one.state != "posted":
                continue
            left = one.lines.get(place[1], 0) - by_name[one.id]
            covered = max(0, min(left, by_name[""]))
            by_name[""] -= covered
            if one is statement:
                return left - covered
        return 0

    def required(self, fen: int, now: datetime, own: Batch | None = None) -> int:
        """How many must approve: what was set aside within thirty days counts along."""
        recent = sum(
            line.fen for batch, line in self.lines()
            if line.state in ("held", "paid")
            and (batch is own or line.held_at >= now - timedelta(days=30))
        )  # fmt: skip
        return 1 + (fen + recent > 100 * THIRD_YUAN)

    def prepare(self, batch: Batch) -> None:
        self.batches.append(batch)
        for line in batch.lines:
            self.of.held[line.account, line.party] += line.fen
            self.of.held[books.BANK, ""] += line.fen

    def moved(self, batch: Batch) -> list[Pay]:
        """What goes where its payee is paid no more."""
        return [
            line for line in batch.lines
            if line.state == "held" and self.banked.get(line.party) != line.bank_account
        ]  # fmt: skip

    def let_go(self, line: Pay) -> None:
        if line.held:
            line.held = False
            self.of.held[line.account, line.party] -= line.fen
            self.of.held[books.BANK, ""] -= line.fen

    def pay(self, line: Pay, now: datetime, day: str, reference: str) -> None:
        """Book a payment; of one that was given up before, what is more than is owed is told."""
        if line.held:
            self.let_go(line)
            line.twice_fen = 0
        else:
            owed = max(0, self.of.accounts[line.account, line.party])
            line.twice_fen, line.held_at = max(0, line.fen - owed), now
        elsewhere = line.twice_fen if line.account == books.REFUNDS else 0
        line.entry = {
            (line.account, line.party): elsewhere - line.fen, (books.DUE, line.party): elsewhere,
            (books.BANK, ""): -line.fen,
        }  # fmt: skip
        self.of.accounts.update(line.entry)
        line.state, line.day, line.reference, line.reason = "paid", day, reference, ""

    def come_back(self, line: Pay, day: str, reference: str) -> None:
        self.of.accounts.subtract(line.entry)
        line.state, line.back, line.twice_fen = "came_back", (day, reference), 0

    def expire(self, now: datetime) -> None:
        for batch, line in self.lines():
            if batch.state == "prepared" and now >= batch.expires_at:
                self.let_go(line)

    def drop(self, batch: Batch, state: str) -> None:
        """It is given up, or closed: what was not answered is due again."""
        for line in batch.lines:
            if line.state == "held":
                self.let_go(line)
                line.state = "cancelled"
        batch.state = state
