"""Limits of accounts made up at random for the finance machine: proposed, decided, replaced and lifted."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from ledger import books, limits
from ledger.limits import AccountLimit
from tests.ledger.finance_model import EXCHANGE, OPERATOR, Account, Limit
from tests.ledger.finance_payouts import Paying
from tests.ledger.finance_walk import chance, likely, serial

LIMITED = (books.BANK, books.PAYABLE, books.TREASURY, books.PREPAID, books.REFUNDS)


class Limiting(Paying):
    """So much of an account must stay, by two persons."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[Limit] = []

    @chance(
        data=st.data(), part=st.integers(0, 4), login=st.sampled_from(["mona", "max"]),
        goes_on=likely,
    )  # fmt: skip
    def limit(self, data: st.DataObject, part: int, login: str, goes_on: bool) -> None:
        """A third, two, all of what is there, or too much; mostly decided at once."""
        places = sorted(
            place for place, fen in self.model.accounts.items() if place[0] in LIMITED and fen > 0
        )
        if not places:
            self.remit(50_000, False)
            places = [(books.BANK, "")]
        place = data.draw(st.sampled_from(places))
        one = self.keep(place, max(0, self.model.unheld(*place)) * part // 3 + part // 4, login)
        if one and goes_on:
            self.decide_limit_of(one, "approve")

    def keep(self, place: Account, fen: int, login: str = "mona") -> Limit | None:
        """Propose that so much stays."""
        account, party = place
        facts = {
            "account": account, "basis": f"协助执行通知书 {next(serial)} 号", "floor_fen": fen,
            "party": party, "reason": "法院冻结",
        }  # fmt: skip

        def deed(**changes: Any) -> AccountLimit:
            made: AccountLimit = self.town.do(
                login, limits.propose, self.agreement, **{**facts, **changes}
            )
            return made

        for bar, changes in {
            "takes none": {"account": books.VAT, "party": ""},
            "without a party": {"account": books.PAYABLE, "party": ""},
            "with a party": {"account": books.BANK, "party": OPERATOR},
            "nothing booked": {"account": books.PAYABLE, "party": EXCHANGE},
            "below nought": {"floor_fen": -1},
            "without a ground": {"basis": " "},
        }.items():
            self.never(bar, lambda given=changes: deed(**given))
        return self.proposed(deed, place, fen, login)

    def proposed(
        self, deed: Callable[[], AccountLimit], place: Account, fen: int | None, login: str,
        bars: dict[str, bool] | None = None,
    ) -> Limit | None:  # fmt: skip
        bars = {
            **(bars or {}),
            "another waits": any(
                one.place == place and one.state == "proposed" for one in self.limits
            ),
            "not there": fen is not None and self.model.unheld(*place) < fen,
        }
        made = self.attempt(bars, deed)
        if made is None:
            return None
        assert self.same(deed).id == made.id
        self.met["lifting proposed"] += fen is None
        one = Limit(made.id, made.number, place, fen, login)
        self.limits.append(one)
        return one

    def limit_row(self, one: Limit) -> AccountLimit:
        with self.town.reading() as session:
            return session.get_one(AccountLimit, one.id)

    @chance(times=2, data=st.data(), stands=likely, goes_on=likely)
    def lift(self, data: st.DataObject, stands: bool, goes_on: bool) -> None:
        """Mostly one that holds."""
        if not self.limits:
            self.limit(data, 1, "mona", True)
        fit = [one for one in self.limits if one.state == "approved" and one.floor_fen is not None]
        if self.limits:
            one = self.lift_of(data.draw(st.sampled_from(fit if fit and stands else self.limits)))
            if one and goes_on:
                self.decide_limit_of(one, "approve")

    def lift_of(self, one: Limit, login: str = "mona") -> Limit | None:
        row, ground = self.limit_row(one), f"解除通知书 {next(serial)} 号"

        def deed() -> AccountLimit:
            made: AccountLimit = self.town.do(
                login, limits.propose_lift, row, basis=ground, reason="已解除"
            )
            return made

        bars = {
            "a lifting itself": one.floor_fen is None,
            "does not hold": one.state != "approved",
        }
        return self.proposed(deed, one.place, None, login, bars)

    @chance(data=st.data(), way=st.sampled_from(["approve", "approve", "reject", "withdraw"]))
    def decide_limit(self, data: st.DataObject, way: str) -> None:
        waiting = [one for one in self.limits if one.state == "proposed"]
        if not waiting:
            self.limit(data, 2, "max", False)
        waiting = [one for one in self.limits if one.state == "proposed"] or self.limits
        if waiting:
            self.decide_limit_of(data.draw(st.sampled_from(waiting)), way)

    def decide_limit_of(self, one: Limit, way: str) -> bool:
        """Decide on a proposal; whether that was refused."""
        row = self.limit_row(one)
        verbs: dict[str, Callable[..., Any]] = {
            "approve": limits.approve, "reject": limits.reject, "withdraw": limits.withdraw,
        }  # fmt: skip
        ground = () if way == "approve" else ("不符",)

        def deed(login: str) -> None:
            self.town.do(login, verbs[way], row, *ground)

        if way == "withdraw":
            self.never("withdrawn by another", lambda: deed("max" if one.by == "mona" else "mona"))
        else:
            self.never("by who proposed it", lambda: deed(one.by))
        model, holds_it = self.model, way == "approve" and one.floor_fen is not None
        bars = {
            "decided": one.state != "proposed",
            "a reversal is under way": holds_it and one.place[0] in (books.PAYABLE, books.TREASURY)
            and self.payments.reversing(),
            "not there any more": holds_it and model.unheld(*one.place) < (one.floor_fen or 0),
        }  # fmt: skip
        self.attempt(bars, lambda: deed(one.by if way == "withdraw" else "carl"))
        if any(bars.values()):
            return True
        self.met[f"limit: {way}"] += 1
        one.state = {"approve": "approved", "reject": "rejected"}.get(way, "withdrawn")
        if way == "approve":
            before = model.limits.get(one.place)
            if before is not None:
                before.state = "superseded"
                self.met["limit superseded"] += 1
            model.limits[one.place] = one
        return False
