"""Closings and statements made up at random for the finance machine, with questions and corrections."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from ledger import books, inquiries, periods, revenue, reversals
from ledger.periods import Period
from ledger.statements import Statement
from tests.conftest import ORIGIN
from tests.ledger.finance_model import Asked, Closing, Told, owed_on, share_out
from tests.ledger.finance_walk import DAY, Trade, chance, likely

costs = st.sampled_from([0, 0, 1, 5_000, 10**7])
CHECKERS = ("carl", "cora")


class Distribution(Trade):
    """What trade earned is closed off and shared out."""

    # ------------------------------------------------------------ closings

    def next_period(self) -> tuple[str, str]:
        """The days since the last closing."""
        closed = self.model.closed_until()
        first = (date.fromisoformat(closed) + DAY).isoformat() if closed else self.model.first_day
        return first, (self.today - DAY).isoformat()

    @chance(days=st.sampled_from([0, 1, 2]), login=st.sampled_from(["mona", "max"]))
    def close(self, days: int, login: str) -> None:
        self.days_pass(days)
        first, final = self.next_period()

        def deed() -> Period:
            made: Period = self.town.do(
                login, periods.close, self.agreement, from_on=date.fromisoformat(first),
                until_on=date.fromisoformat(final),
            )  # fmt: skip
            return made

        made = self.attempt({"not over": first > final}, deed)
        if made:
            self.model.closings.append(Closing(made.id, first, final, len(self.model.rows), login))
            assert made.through_n == len(self.model.rows)
            assert self.same(deed).id == made.id

    @chance(data=st.data(), login=st.sampled_from(["carl", "carl", "max"]), ready=st.booleans())
    def reopen(self, data: st.DataObject, login: str, ready: bool) -> None:
        """Mostly the last one; where something stands over it, perhaps a new one."""
        closings = self.model.closings
        if not closings or (ready and self.model.standing_over(closings[-1])):
            self.close(2, "mona" if data.draw(likely) else "max")
        if closings:
            last = data.draw(likely)
            self.take_back(closings[-1] if last else data.draw(st.sampled_from(closings)), login)

    def take_back(self, one: Closing, login: str = "carl") -> None:
        closings = self.model.closings
        bars = {
            "by who closed it": one.by == login,
            "not the last": one is not closings[-1],
            "under a standing statement": self.model.standing_over(one),
        }
        with self.town.reading() as session:
            period = session.get_one(Period, one.id)
        self.attempt(bars, lambda: self.town.do(login, periods.reopen, period, "漏记一笔"))
        if not any(bars.values()):
            closings.remove(one)

    # ------------------------------------------------------------ drafts and corrections

    def share(self, cost: int = 0) -> None:
        """A draft of what comes in today, or of what was left over."""
        self.draft(anew=False, days=1, ready=True, cost=cost, rows=2)

    @chance(
        anew=st.booleans(), days=st.sampled_from([0, 1, 1, 2]), ready=likely, cost=costs,
        rows=st.sampled_from([2, 4]),
    )  # fmt: skip
    def draft(self, anew: bool, days: int, ready: bool, cost: int, rows: int) -> None:
        """Of the period closed last if nothing stands for it, else of the days since.

        Mostly with something to distribute, and after the statement before was finished.
        """
        if ready:
            self.confirm(rows)
            self.finish()
        self.days_pass(days)
        model = self.model
        last = model.standing()[-1] if model.standing() else None
        closing = model.closings[-1] if model.closings else None
        if closing and not anew and (last is None or last.until_on < closing.until_on):
            first, final, through_n = closing.from_on, closing.until_on, closing.through_n
        else:
            (first, final), through_n = self.next_period(), len(model.rows)
        fen = model.net(model.covered(final, through_n, last))

        def deed(cost_fen: int = cost) -> Statement:
            made: Statement = self.town.do(
                "mona", revenue.draft, self.agreement, from_on=date.fromisoformat(first),
                until_on=date.fromisoformat(final), facts={"cost_fen": cost_fen},
            )  # fmt: skip
            return made

        bars = {
            "not over": first > final,
            "another is not finished": model.unfinished() is not None,
            "nothing to share": fen <= 0,
        }
        made = self.attempt(bars, deed)
        if made is None:
            return
        if closing is None or closing.until_on != final:
            closing = Closing(str(made.period_id), first, final, through_n, "mona")
            model.closings.append(closing)
        lines, deficits = share_out(fen, cost, last.deficits if last else {})
        late = model.covered(last.until_on, through_n, last) if last else set()
        self.met["late rows distributed"] += bool(late)
        self.met["anew after a reversal"] += any(
            one.state == "reversed" and one.until_on == final for one in model.statements
        )
        one = Told(made.id, first, final, through_n, cost, fen, lines, deficits, closing)
        model.statements.append(one)
        self.compare(one, made)
        assert self.same(deed).id == made.id
        self.never("with other facts", lambda: deed(cost + 1))

    def compare(self, one: Told, made: Statement) -> None:
        told = dict.fromkeys(one.lines, 0)
        for line in made.lines:
            told[line["party"]] += line["amount_fen"]
        assert told == one.lines
        assert made.period_id == one.closing.id
        assert (made.amount_fen, made.through_n, made.from_on, made.until_on) == (
            one.amount_fen, one.through_n, one.from_on, one.until_on,
        )  # fmt: skip

    @chance(data=st.data(), cost=costs, redo=likely, back=st.booleans())
    def correct(self, data: st.DataObject, cost: int, redo: bool, back: bool) -> None:
        """A statement gets other facts; one that was sent back is a draft again, and drawn up anew."""
        model = self.model
        if not any(self.can_be_corrected(one) for one in model.statements):
            self.share()
            if back:
                self.send_back()
        if not model.statements:
            return
        open_ones = [one for one in model.statements if self.can_be_corrected(one)]
        self.correct_to(
            data.draw(st.sampled_from(open_ones if open_ones and redo else model.statements)), cost
        )

    def correct_to(self, one: Told, cost: int) -> None:
        model = self.model
        before = max(
            (other for other in model.standing() if other is not one),
            key=lambda other: other.until_on, default=None,
        )  # fmt: skip
        closing = one.closing
        closed = closing in model.closings
        if not closed and self.next_period()[0] == one.from_on:  # reopened: it closes once more
            closing = Closing("", one.from_on, one.until_on, len(model.rows), "mona")
        elif not closed:
            again = [known for known in model.closings
                     if (known.from_on, known.until_on) == (one.from_on, one.until_on)]  # fmt: skip
            closing, closed = (again[-1], True) if again else (closing, False)
        fen = model.net(model.covered(one.until_on, closing.through_n, before))
        sent_back = one.state == "rejected"
        other_open = model.unfinished()
        bars = {
            "not a draft nor sent back": one.state not in ("drafted", "rejected"),
            "a reversal": one.undoes is not None,
            "another is not finished": sent_back and other_open is not None,
            "another stands since": before is not None and before.until_on >= one.from_on,
            "closed otherwise since": closing is one.closing and not closed,
            "nothing to share": fen <= 0,
        }
        if one.state == "drafted" and cost == one.cost_fen:
            bars = {"a reversal": one.undoes is not None}
        facts = {"cost_fen": cost}
        self.attempt(
            bars, lambda: self.town.do("mona", revenue.correct, self.row(one), facts, "成本有误")
        )
        if any(bars.values()):
            return
        if one.state == "drafted" and cost == one.cost_fen:
            return
        made = self.row(one)
        if closing.id == "":
            closing.id = str(made.period_id)
            model.closings.append(closing)
            self.met["corrected in a period closed anew"] += 1
        self.met["sent back and corrected"] += sent_back
        one.closing, one.through_n, one.cost_fen, one.amount_fen = (
            closing, closing.through_n, cost, fen,
        )  # fmt: skip
        one.lines, one.deficits = share_out(fen, cost, before.deficits if before else {})
        one.state, one.signed = "drafted", 0
        self.compare(one, made)

    def can_be_corrected(self, one: Told) -> bool:
        return one.state in ("drafted", "rejected") and one.undoes is None

    # ------------------------------------------------------------ questions

    def question(self, data: st.DataObject) -> None:
        """The operator asks, mostly of the statement under way."""
        if self.model.unfinished() is None and data.draw(likely):
            self.share()
        if not self.model.statements:
            return
        under_way = self.model.unfinished()
        one = (
            under_way
            if under_way and data.draw(likely)
            else data.draw(st.sampled_from(self.model.statements))
        )
        self.ask_about(one)

    def ask_about(self, one: Told) -> None:
        row = self.row(one)
        text = f"依据为何 {len(self.model.asked)}"

        def deed(login: str = "olga", line: int = 1) -> inquiries.Inquiry:
            made: inquiries.Inquiry = self.town.do(
                login, inquiries.raise_, row, line=line, question=text
            )
            return made

        self.never("no such line", lambda: deed(line=len(row.lines) + 1))
        self.never("by its maker", lambda: deed("mona"))
        bars = {"too late": one.state not in ("drafted", "proposed")}
        made = self.attempt(bars, deed)
        if made:
            self.model.asked.append(Asked(made.id, one))
            assert self.same(deed).id == made.id

    @chance(
        data=st.data(), way=st.sampled_from(["answer", "answer", "insist", "close", "withdraw"])
    )
    def talk(self, data: st.DataObject, way: str) -> None:
        if not self.model.asked or not data.draw(likely):
            self.question(data)
        if not self.model.asked:
            return
        self.talk_of(data.draw(st.sampled_from(self.model.asked[-3:])), way)

    def talk_of(self, one: Asked, way: str) -> None:
        can_be = {
            "answer": ("raised",), "insist": ("answered",), "close": ("answered",),
            "withdraw": ("raised", "answered"),
        }[way]  # fmt: skip
        bars = {
            f"{way} out of turn": one.state not in can_be,
            "insisted too late": way == "insist" and one.of.state not in ("drafted", "proposed"),
        }
        self.attempt(bars, lambda: self.say(one, way))
        if not any(bars.values()):
            self.met[f"question: {way}"] += 1
            after = {"answer": "answered", "insist": "raised", "close": "closed"}
            one.state = after.get(way, "withdrawn")

    def say(self, one: Asked, way: str) -> None:
        with self.town.reading() as session:
            row = session.get_one(inquiries.Inquiry, one.id)
        if way == "answer":
            self.town.do("mona", inquiries.answer, row, "按合同")
        elif way == "insist":
            self.town.do("olga", inquiries.insist, row, "不足为据")
        else:
            verb = inquiries.close if way == "close" else inquiries.withdraw
            self.town.do("olga", verb, row)

    def open_questions(self, one: Told) -> list[Asked]:
        return [asked for asked in self.model.asked if asked.of is one and asked.state == "raised"]

    def clear(self) -> None:
        """Nothing is to be held for anybody any more."""

    # ------------------------------------------------------------ decisions

    def row(self, statement: Told) -> Statement:
        with self.town.reading() as session:
            return session.get_one(Statement, statement.id)

    @chance(way=st.sampled_from(["on", "on", "reject", "all"]))
    def go_on(self, way: str) -> None:
        """The statement under way takes its next step or all of them, or is sent back."""
        if self.model.unfinished() is None:
            return
        if way == "reject":
            self.send_back()
            return
        self.step()
        if way == "all":
            self.finish()

    def finish(self) -> None:
        while one := self.model.unfinished():
            for asked in self.open_questions(one):
                self.say(asked, "answer")
                asked.state = "answered"
            self.step()

    def sign_all(self) -> None:
        """All sign the statement under way, if nothing is in the way; it is not booked yet."""
        before = -1
        while (one := self.model.unfinished()) and one.state != "approved":
            if one.state == "proposed" and one.signed == before:
                return
            before = one.signed if one.state == "proposed" else -1
            self.step()

    def send_back(self) -> None:
        one = self.model.unfinished()
        if one is None:
            return
        if one.state == "drafted":
            self.step()
        bars = {"approved": one.state == "approved"}
        made = self.row(one)
        self.attempt(bars, lambda: self.town.do("carl", revenue.reject, made, "有误", ORIGIN))
        if not any(bars.values()):
            one.state = "rejected"
            self.met["reversal rejected" if one.undoes else "rejected"] += 1

    def step(self) -> None:
        one = self.model.unfinished()
        assert one is not None
        made = self.row(one)
        if one.state == "drafted":
            self.never("approved as a draft", lambda: self.town.approve(made))
            self.town.do("mona", revenue.propose, made, ORIGIN)
            one.state, one.required = "proposed", self.model.due_of(one)
        elif one.state == "proposed":
            self.sign(one, made)
        else:
            self.book(one, made)

    def sign(self, one: Told, made: Statement) -> None:
        self.never(
            "rejected by its maker",
            lambda: self.town.do("mona", revenue.reject, made, "自己", ORIGIN),
        )
        if one.signed:
            self.never("signed already", lambda: self.town.approve(made, "carl"))
        is_last = one.signed + 1 == one.required
        bars = {
            "a question is open": is_last and bool(self.open_questions(one)),
            "a limit keeps it": is_last and one.undoes is not None and self.model.kept_from(one),
        }
        login = CHECKERS[one.signed]
        self.attempt(bars, lambda: self.town.approve(made, login))
        if not any(bars.values()):
            one.signed += 1
            self.met["signed by two"] += one.signed == 2
            one.state = "approved" if is_last else one.state

    def book(self, one: Told, made: Statement) -> None:
        self.met["posted" if one.undoes is None else "reversal posted"] += 1
        self.town.settle(made)
        assert [posted.id for posted in self.town.post()] == [one.id]
        one.state = "posted"
        if one.undoes is None:
            self.model.book(one)
        else:
            self.model.book(one.undoes, -1)
            one.undoes.state = "reversed"
        assert self.same(self.town.post) == []

    @chance(data=st.data(), goes_on=likely, way=likely)
    def reverse(self, data: st.DataObject, goes_on: bool, way: bool) -> None:
        """The last one that stands can be taken back, and no other; mostly it is, to the end."""
        if goes_on:
            self.finish()
            self.clear()
        model = self.model
        if not model.standing():
            self.share()
            self.finish()
        if not model.standing():
            return
        standing = model.standing()
        self.reverse_of(standing[-1] if way else data.draw(st.sampled_from(standing)))
        if goes_on:
            self.finish()

    def reverse_of(self, one: Told) -> None:
        model = self.model
        bars = {
            "not posted": one.state != "posted",
            "not the last": one is not model.standing()[-1],
            "money is set aside": any(
                model.held[account, party] for party in one.lines
                for account in (books.PAYABLE, books.TREASURY)
            ),
            "a limit keeps it": model.kept_from(one),
            "divided": any(
                model.divided(place) and model.accounts[place] < fen
                for party, fen in one.lines.items() for place in [(owed_on(party), party)]
            ),
        }  # fmt: skip
        known = next(
            (other for other in model.statements
             if other.undoes is one and other.state != "rejected"), None
        )  # fmt: skip
        deed: Any = lambda: self.town.do("mona", reversals.reverse, self.row(one), "口径有误")  # noqa: E731
        if known is not None:
            assert self.same(deed).id == known.id
            return
        made = self.attempt(bars, deed)
        if made is None:
            return
        undoing = Told(made.id, one.from_on, one.until_on, one.through_n, one.cost_fen,
                       one.amount_fen, one.lines, {}, one.closing, undoes=one)  # fmt: skip
        model.statements.append(undoing)
        self.compare(undoing, made)
