"""Splits of payees made up at random for the finance machine, and who gets what of their claims."""

from collections.abc import Callable
from datetime import date
from typing import Any

from hypothesis import strategies as st

from ledger import books, journals, successions
from ledger.journals import Journal
from tests.ledger import bookings, organisations
from tests.ledger.finance_limits import Limiting
from tests.ledger.finance_model import OFFICE, OPERATOR, OWED, PARTNER, Account, Division, Split
from tests.ledger.finance_walk import DAY, amounts, chance, likely, serial

SPLITS_MAX = 3  # on a walk: each makes two organisations more


class Dividing(Limiting):
    """A payee is split and ends; its claims are divided among its successors, paid, and taken back."""

    @chance(data=st.data(), owed=likely)
    def split(self, data: st.DataObject, owed: bool) -> None:
        """Mostly one that is owed something."""
        if owed and not any(self.model.accounts[books.PAYABLE, one] for one in (PARTNER, OFFICE)):
            self.share()
            self.finish()
        splits = self.model.splits
        codes = [PARTNER, OFFICE, *(heir for one in splits.values() for heir in one.heirs)]
        going_on = [code for code in codes if code not in splits]
        if len(splits) < SPLITS_MAX:
            self.split_of(data.draw(st.sampled_from(going_on)))

    def split_of(self, code: str) -> list[str]:
        """Split a payee into two; their codes."""
        was = self.party(code)
        kinds = {"public_body": ("public_body", "public_institution")}
        heirs = [
            organisations.party(self.town, kind)
            for kind in kinds.get(was.kind, (was.kind, was.kind))
        ]
        self.town.do(
            "admin", successions.split, was, main=heirs[0], others=heirs[1:], who_gets={},
            ground=organisations.GROUND, effective_on=self.today,
        )  # fmt: skip
        self.met["split"] += 1
        self.payments.banked.pop(code, None)
        self.model.splits[code] = Split(
            self.today.isoformat(), {one.uscc: one.kind == "public_body" for one in heirs}
        )
        return [one.uscc for one in heirs]

    def claims(self) -> list[Account]:
        """What is owed to those that were split."""
        return sorted(
            place for place, fen in self.model.accounts.items()
            if place[0] in OWED and place[1] in self.model.splits and fen > 0
        )  # fmt: skip

    @chance(
        times=2, data=st.data(), fen=amounts, way=st.sampled_from(["", "", "", "", "more", "any"]),
        back=st.sampled_from([0, 0, 0, 1]), login=st.sampled_from(["mona", "max"]), goes_on=likely,
    )  # fmt: skip
    def divide(
        self, data: st.DataObject, fen: int, way: str, back: int, login: str, goes_on: bool
    ) -> None:
        """Of a claim mostly a part, or all of it, mostly decided at once and the successors paid to."""
        if not self.claims():
            self.split(data, True)
        places = self.claims() or [(books.PAYABLE, PARTNER)]
        if way == "any":
            places = [(account, code) for account in OWED for code in (PARTNER, OFFICE, OPERATOR)]
        place = data.draw(st.sampled_from(places))
        split, free = self.model.splits.get(place[1]), self.model.free(*place)
        heirs = list(split.heirs) if split else [OPERATOR]
        part = max(
            1, free + fen if way == "more" else data.draw(st.sampled_from([free, free // 2]))
        )
        first = part if len(heirs) < 2 or part < 2 else min(fen, part - 1)
        shares = {heirs[0]: first, **({heirs[1]: part - first} if part > first else {})}
        if place[0] == books.TREASURY and data.draw(likely):
            shares = {heirs[0]: part}
        one = self.divide_of(place, shares, self.today - back * DAY, login)
        if one and goes_on and not self.decide_division_of(one, "approve"):
            for heir in one.shares:
                if heir not in self.payments.banked:
                    self.move_account(heir)

    def divide_of(
        self, place: Account, shares: dict[str, int], day: date | None = None, login: str = "mona"
    ) -> Division | None:
        """Propose who gets what of a claim."""
        model, (account, party) = self.model, place
        split, on = model.splits.get(party), (day or self.today).isoformat()
        fen, heirs = sum(shares.values()), split.heirs if split else {}
        memo = f"债权划分协议 {next(serial)} 号"
        whose = self.party(party)

        def deed(**changes: Any) -> Journal:
            facts = {"account": account, "amount_fen": fen, "effective_on": day or self.today,
                     "memo": memo, **changes}  # fmt: skip
            return bookings.division(self.town, self.agreement, whose, shares, login, **facts)

        public = [heirs.get(code, False) for code in shares]
        bars = {
            "a reversal is under way": self.payments.reversing(),
            "not split": split is None,
            "to a stranger": any(code not in heirs for code in shares),
            "to no public body": account == books.TREASURY and not all(public),
            "to a public body": account == books.PAYABLE and any(public),
            "before the split": split is not None and on < split.day,
            "closed": on <= model.closed_until(),
            "unanswered": self.payments.lapsed(place),
            "more than is free": fen > model.free(*place),
        }
        for bar, changes in {
            "not the sum": {"amount_fen": fen + 1}, "without a document": {"document_digest": ""},
            "in the future": {"effective_on": self.today + DAY}, "not divided": {"account": books.VAT},
        }.items():  # fmt: skip
            self.never(bar, lambda given=changes: deed(**given))
        made = self.attempt(bars, deed)
        if made is None:
            return None
        assert self.same(deed).id == made.id
        self.met[f"divided: {account}"] += 1
        one = Division(made.id, place, fen, dict(shares), on, login, memo)
        model.divisions.append(one)
        return one

    def voucher_row(self, one: Division) -> Journal:
        with self.town.reading() as session:
            return session.get_one(Journal, one.id)

    @chance(times=2, data=st.data(), stands=likely, goes_on=likely)
    def undo_division(self, data: st.DataObject, stands: bool, goes_on: bool) -> None:
        """Mostly one that stands is taken back."""
        fit = [one for one in self.model.divisions if one.stands]
        if not fit:
            self.divide(data, 9_999, "", 0, "mona", True)
        fit = [one for one in self.model.divisions if one.stands]
        some = fit if fit and stands else self.model.divisions
        if some:
            one = self.undo_of(data.draw(st.sampled_from(some)))
            if one and goes_on:
                self.decide_division_of(one, "approve")

    def undo_of(self, one: Division, login: str = "mona") -> Division | None:
        """Propose that a division is taken back."""
        row, memo = self.voucher_row(one), f"协议撤销 {next(serial)}"

        def deed() -> Journal:
            made: Journal = self.town.do(login, journals.propose_undoing, row, memo)
            return made

        bars = {
            "does not stand": not one.stands,
            "another waits": any(
                other.undoes is one and other.state == "proposed" for other in self.model.divisions
            ),
            "a reversal is under way": self.payments.reversing(),
        }
        made = self.attempt(bars, deed)
        if made is None:
            return None
        assert self.same(deed).id == made.id
        back = Division(made.id, one.place, one.fen, one.shares, "", login, memo, undoes=one)
        self.model.divisions.append(back)
        return back

    @chance(data=st.data(), way=st.sampled_from(["approve", "approve", "reject", "withdraw"]))
    def decide_division(self, data: st.DataObject, way: str) -> None:
        if not any(one.state == "proposed" for one in self.model.divisions):
            self.divide(data, 5_000, "", 0, "max", False)
        waiting = [one for one in self.model.divisions if one.state == "proposed"]
        waiting = waiting or self.model.divisions
        if waiting:
            self.decide_division_of(data.draw(st.sampled_from(waiting)), way)

    def decide_division_of(self, one: Division, way: str) -> bool:
        """Decide on a division or on taking one back; whether that was refused."""
        model, row = self.model, self.voucher_row(one)
        verbs: dict[str, Callable[..., Any]] = {
            "approve": journals.approve, "reject": journals.reject, "withdraw": journals.withdraw,
        }  # fmt: skip
        ground = () if way == "approve" else ("重做",)

        def deed(login: str) -> None:
            self.town.do(login, verbs[way], row, *ground)

        if way == "withdraw":
            self.never("withdrawn by another", lambda: deed("max" if one.by == "mona" else "mona"))
        else:
            self.never("by who proposed it", lambda: deed(one.by))
        books_it, divides = way == "approve", way == "approve" and one.undoes is None
        bars = {
            "decided": one.state != "proposed",
            "a reversal is under way": books_it and self.payments.reversing(),
            "closed since": divides and one.day <= model.closed_until(),
            "unanswered": divides and self.payments.lapsed(one.place),
            "not free any more": divides and one.fen > model.free(*one.place),
            "a successor's is not free": books_it and one.undoes is not None and not all(
                model.yields((one.place[0], heir), fen) for heir, fen in one.shares.items()
            ),
        }  # fmt: skip
        self.attempt(bars, lambda: deed(one.by if way == "withdraw" else "carl"))
        if any(bars.values()):
            return True
        self.met[f"{'division' if one.undoes is None else 'undoing'}: {way}"] += 1
        one.state = {"approve": "approved", "reject": "rejected"}.get(way, "withdrawn")
        if books_it:
            model.divide(one)
            if one.undoes is not None:
                one.undoes.state = "taken back"
        return False
