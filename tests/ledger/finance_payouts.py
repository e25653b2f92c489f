"""Payouts made up at random for the finance machine, what the bank answers, and what is booked by hand."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import select

from ledger import bank_accounts, books, journals, payout_results, payout_rows, payouts
from ledger.bank_accounts import BankAccount
from ledger.bank_files import Result
from ledger.parties import Party
from ledger.payout_rows import Payout
from tests.conftest import PARTIES
from tests.ledger import bookings, paying
from tests.ledger.finance_model import (
    OFFICE,
    PARTNER,
    PAYOUT_DAYS,
    SHARES,
    Account,
    Batch,
    Pay,
    Payments,
    Told,
    owed_on,
)
from tests.ledger.finance_statements import Distribution
from tests.ledger.finance_walk import DAY, amounts, chance, likely, serial

PAYEES = (*(PARTIES[key][2] for key in ("operator", "registry", "bureau", "treasury", "bank")),
          PARTNER, OFFICE)  # fmt: skip
BY_HAND = {
    (books.FEES, books.BANK), (books.BANK, books.FEES), (books.VAT, books.BANK),
    (books.BANK, books.VAT),
}  # fmt: skip
WRONG = (
    "another amount", "before the approval", "in the future", "a stranger", "a reference twice",
    "otherwise", "a debit without its sum", "a debit of another sum", "a debit of two sums",
    "a debit of two days", "another payout's debit",
)  # fmt: skip
DEBITS = WRONG[6:]
IN_DAYS = {"before the approval": -1, "in the future": 1}


class Paying(Distribution):
    """What was shared out is paid, or is not."""

    def __init__(self) -> None:
        super().__init__()
        with self.town.reading() as session:
            known = session.execute(
                select(Party.uscc, BankAccount.id)
                .join(BankAccount, BankAccount.party_id == Party.id)
                .where(BankAccount.state == "confirmed")
            )
            self.payments = Payments(self.model, dict(known.tuples().all()))
        self.journals: list[tuple[journals.Journal, str]] = []  # proposed, with their makers

    def run_out(self) -> None:
        self.payments.expire(self.town.now)

    # ------------------------------------------------------------ bank accounts

    def party(self, code: str) -> Party:
        with self.town.reading() as session:
            return session.scalars(select(Party).where(Party.uscc == code)).one()

    @chance(code=st.sampled_from(PAYEES))
    def move_account(self, code: str) -> None:
        """A payee is paid elsewhere from now on."""
        party = self.party(code)
        facts = paying.account_facts(
            account_number=f"8000{next(serial):08d}", holder_name=party.name,
            **(paying.CODES if party.kind == "public_body" else {}),
        )  # fmt: skip
        made = self.attempt(
            {"ended by a split": code in self.model.splits},
            lambda: self.town.do("max", bank_accounts.enter, party, **facts),
        )
        if made is None:
            return
        self.never(
            "confirmed by who entered it",
            lambda: self.town.do("max", bank_accounts.confirm, made),
        )
        self.town.do("carl", bank_accounts.confirm, made)
        self.payments.banked[code] = made.id

    # ------------------------------------------------------------ payouts

    @chance(
        data=st.data(), login=st.sampled_from(["mona", "mona", "max"]), ready=likely, goes_on=likely
    )
    def prepare(self, data: st.DataObject, login: str, ready: bool, goes_on: bool) -> None:
        """Of all that is due, or of a statement; mostly when there is money, and mostly approved."""
        model, payments = self.model, self.payments
        if ready:
            if not payments.due(None)[0]:
                self.share()
                self.finish()
            short = sum(payments.due(None)[0].values()) - model.free(books.BANK)
            if short > 0:
                self.remit(short, False)
        posted = [one for one in model.statements if one.state == "posted" and not one.undoes]
        batch = self.prepare_of(login, data.draw(st.sampled_from([None, None, *posted])))
        if batch and goes_on:
            self.approve_all(batch)

    def approve_all(self, batch: Batch) -> None:
        while batch.state == "prepared" and not self.approve(batch):
            pass

    def prepare_of(self, login: str, statement: Told | None) -> Batch | None:
        model, payments = self.model, self.payments
        due, left_out = payments.due(statement)
        waiting = [one for one in payments.batches
                   if (one.maker, one.of, one.state) == (login, statement, "prepared")]  # fmt: skip

        def deed() -> Payout:
            row = None if statement is None else self.row(statement)
            made: Payout = self.town.do(login, payouts.prepare, self.agreement, row)
            return made

        if not due and waiting and not payments.reversing():
            assert self.same(deed).id == waiting[-1].id
            return None
        bars = {
            "a reversal is under way": payments.reversing(),
            "nothing to pay": not due,
            "not in the bank": sum(due.values()) > model.free(books.BANK),
        }
        made = self.attempt(bars, deed)
        if made is None:
            return None
        told = [
            (one["account"], one["party"], one["amount_fen"], one["why"]) for one in made.left_out
        ]
        assert sorted(told) == sorted(left_out)
        self.met.update(f"left out: {why}" for *_, why in left_out)
        self.met["of a statement"] += statement is not None
        with self.town.reading() as session:
            lines = payout_rows.lines_of(session, made)
        assert {(line.account, line.party): line.amount_fen for line in lines} == due
        batch = Batch(
            made.id, statement, login, self.town.now + timedelta(days=PAYOUT_DAYS),
            payments.required(made.amount_fen, self.town.now),
            [Pay(line.serial, line.account, line.party, line.amount_fen, payments.banked[line.party],
                 held=True, held_at=self.town.now) for line in lines],
        )  # fmt: skip
        payments.prepare(batch)
        return batch

    def payout(self, batch: Batch) -> Payout:
        with self.town.reading() as session:
            return session.get_one(Payout, batch.id)

    def drawn(self, data: st.DataObject, *states: str) -> Batch | None:
        """A payout, mostly one in which the deed at hand is in turn."""
        if not any(one.state in states for one in self.payments.batches):
            self.prepare(data, "mona", True, "prepared" not in states)
        fit = [one for one in self.payments.batches if one.state in states]
        if not self.payments.batches:
            return None
        return data.draw(
            st.sampled_from(fit if fit and data.draw(likely) else self.payments.batches)
        )

    @chance(
        data=st.data(), way=st.sampled_from(["approve", "cancel", "close", "file"]),
        login=st.sampled_from(["carl", "carl", "max"]),
    )  # fmt: skip
    def decide_payout(self, data: st.DataObject, way: str, login: str) -> None:
        in_turn = ("prepared",) if way in ("approve", "cancel") else ("approved", "partly_paid")
        batch = self.drawn(data, *in_turn)
        if batch is None:
            return
        if way == "approve":
            self.approve(batch)
        elif way == "cancel":
            self.cancel(batch)
        elif way == "close":
            self.close_payout(batch, login)
        else:
            self.file(batch)

    def approve(self, batch: Batch) -> bool:
        """The next one approves; whether it was refused."""
        payments, row = self.payments, self.payout(batch)

        def deed(login: str) -> None:
            self.town.do(login, payouts.approve, row)

        for took_part in batch.approvals + ["max"] * (batch.maker == "max"):
            self.never("by who took part", lambda who=took_part: deed(who))
        bars = {
            "not prepared": batch.state != "prepared",
            "a reversal is under way": payments.reversing(),
            "ran out": batch.state == "prepared" and self.town.now >= batch.expires_at,
            "paid elsewhere": bool(payments.moved(batch)),
        }
        login = "cora" if "carl" in batch.approvals else "carl"
        self.attempt(bars, lambda: deed(login))
        if any(bars.values()):
            return True
        own = payments.required(0, self.town.now, batch)
        batch.required = max(batch.required, own)
        batch.approvals.append(login)
        if len(batch.approvals) == batch.required:
            batch.state, batch.approved_on = "approved", self.today.isoformat()
        self.met["approved by two"] += len(batch.approvals) == 2
        return False

    def cancel(self, batch: Batch) -> None:
        row = self.payout(batch)
        bars = {"not prepared": batch.state != "prepared"}
        self.attempt(bars, lambda: self.town.do("mona", payouts.cancel, row, "重做"))
        if not any(bars.values()):
            self.payments.drop(batch, "cancelled")

    def close_payout(self, batch: Batch, login: str = "carl") -> None:
        row = self.payout(batch)
        bars = {
            "not with the bank": batch.state not in ("approved", "partly_paid"),
            "by its maker": batch.maker == login,
        }
        self.attempt(bars, lambda: self.town.do(login, payouts.close, row, "银行不付"))
        if not any(bars.values()):
            self.payments.drop(batch, "closed")

    def clear(self) -> None:
        for batch in self.payments.batches:
            if batch.state == "prepared":
                self.cancel(batch)
            elif any(line.held for line in batch.lines):
                self.answer(batch, {
                    line.serial: "paid" for line in batch.lines if line.state == "held"
                })  # fmt: skip

    def file(self, batch: Batch) -> None:
        """The payment file can be had, byte for byte as approved, or not."""
        moved = self.payments.moved(batch)
        bars = {"not approved": not batch.approved_on, "paid elsewhere": bool(moved)}

        def deed() -> list[Any]:
            with self.town.reading() as session:
                return list(payouts.payments(session, session.get_one(Payout, batch.id)))

        given = self.attempt(bars, deed)
        if given is not None:
            assert [(one.serial, one.amount_fen) for one in given] == [
                (line.serial, line.fen) for line in batch.lines
            ]

    # ------------------------------------------------------------ what the bank says

    @chance(
        data=st.data(), wrong=st.sampled_from([""] * 5 + [*WRONG]), again=st.booleans(),
        debit=st.sampled_from(["", "one", "with before"]),
    )  # fmt: skip
    def bank_answers(self, data: st.DataObject, wrong: str, again: bool, debit: str) -> None:
        """On some lines of a payout, each by what can become of it; and perhaps what cannot be."""
        for _ in range(1 + again):
            batch = self.drawn(data, "approved", "partly_paid", *["paid", "closed"] * again)
            if batch is None:
                return
            ways = {}
            for line in batch.lines:
                ways[line.serial] = data.draw(st.sampled_from({
                    "held": ["paid", "paid", "there and back", "failed", ""],
                    "failed": ["paid", "", "same"],
                    "cancelled": ["paid", "", "same"], "paid": ["returned", "", "", "same"],
                    "came_back": ["", "same"],
                }[line.state]))  # fmt: skip
            self.answer(batch, ways, wrong, "one" if wrong in DEBITS else debit)

    @chance(data=st.data(), again=likely)
    def paid_after_all(self, data: st.DataObject, again: bool) -> None:
        """What was given up is paid; mostly when it was paid once more meanwhile."""
        batch = self.drawn(data, "approved", "partly_paid", "closed")
        if batch is None or batch.state not in ("approved", "partly_paid", "closed"):
            return
        if batch.state != "closed":
            self.close_payout(batch)
        given_up = {
            line.serial: "paid" for line in batch.lines if line.state in ("failed", "cancelled")
        }
        if again:
            self.prepare(data, "mona", True, True)
            newest = self.payments.batches[-1]
            if newest.state == "approved":
                self.answer(newest, {line.serial: "paid" for line in newest.lines})
        self.answer(batch, given_up)

    def answer(
        self, batch: Batch, ways: Mapping[str, str], wrong: str = "", debit: str = ""
    ) -> None:
        """The bank's word on lines of a payout, of which it paid some in one debit (`debit`)."""
        row, today = self.payout(batch), self.today.isoformat()
        news: list[tuple[Pay, str]] = []
        rows: list[Result] = []
        for line in batch.lines:
            way = ways.get(line.serial)
            if way == "same":
                rows.append(self.said(line, len(rows) + 2))
            for one in ("paid", "returned") if way == "there and back" else (way,):
                if one and one != "same":
                    news.append((line, one))
                    rows.append(self.says(line, one, today, len(rows) + 2))
        bars = self.barred(batch, news)
        if debit:
            bars["a debit of two days"] = self.in_one(rows, news, batch, debit == "with before")
        if wrong and self.spoil(rows, wrong, batch):
            bars[wrong] = True
        bars["no rows"] = not rows
        bars["not approved"] = not batch.approved_on
        name = f"r{next(serial)}.csv"
        before = self.town.now

        def deed() -> dict[str, Any]:
            answer: dict[str, Any] = self.town.do(
                "mona", payout_results.confirm, row, rows, name=name, digest=f"sha256:{name}"
            )
            return answer

        answer = self.attempt(bars, deed)
        if answer is None:
            return
        twice: list[dict[str, Any]] = []
        for line, way in sorted(news, key=lambda one: one[1] == "returned"):
            said = next(
                one for one in rows
                if one.serial == line.serial and one.returned == (way == "returned")
            )  # fmt: skip
            self.met[f"bank: {line.state} → {way}"] += 1
            if way == "paid":
                self.payments.pay(line, before, today, said.reference)
                if line.twice_fen:
                    twice.append(
                        {"fen": line.twice_fen, "party": line.party, "serial": line.serial}
                    )
            elif way == "returned":
                self.payments.come_back(line, today, said.reference)
            else:
                self.payments.let_go(line)
                line.state, line.reason = "failed", said.reason
        assert answer["twice"] == twice
        self.met["paid twice, and told"] += bool(twice)
        states = {line.state for line in batch.lines}
        if news or batch.state in ("approved", "partly_paid"):
            if "held" in states:
                batch.state = "partly_paid"
            else:
                batch.state = "paid" if states == {"paid"} else "closed"
        assert self.same(deed) == answer

    def in_one(
        self, rows: list[Result], news: list[tuple[Pay, str]], batch: Batch, with_before: bool
    ) -> bool:
        """The payments among the rows were one debit, or a part of one before; whether of another day."""
        paid = {line.serial: line for line, way in news if way == "paid"}
        before = [
            line for line in batch.lines if line.reference and line.serial not in paid
        ]  # fmt: skip
        if not paid:
            return False
        reference, day = f"PL-{next(serial)}", self.today.isoformat()
        before = [line for line in before if with_before and line.reference == before[0].reference]
        if before:
            reference, day = before[0].reference, before[0].day
            self.met["a debit told in parts"] += 1
        fen = sum(line.fen for line in (*paid.values(), *before))
        for n, one in enumerate(rows):
            if one.paid and (one.serial in paid or one.reference == reference):
                rows[n] = replace(one, reference=reference, debit_fen=fen)
        self.met["several in one debit"] += len(paid) + len(before) > 1
        return day != self.today.isoformat()

    def says(self, line: Pay, way: str, day: str, n: int) -> Result:
        if way == "failed":
            return Result(n, line.serial, line.fen, False, "", "", "账号有误")
        reference = f"BK-{next(serial)}"
        return Result(n, line.serial, line.fen, way == "paid", day, reference,
                      "" if way == "paid" else "已销户", returned=way == "returned")  # fmt: skip

    def said(self, line: Pay, n: int) -> Result:
        """What the bank said of it last, once more."""
        if line.state in ("failed", "cancelled"):
            return Result(n, line.serial, line.fen, False, "", "", line.reason)
        if line.state == "paid":
            return Result(n, line.serial, line.fen, True, line.day, line.reference, "")
        return Result(n, line.serial, line.fen, False, *line.back, "已销户", returned=True)

    def barred(self, batch: Batch, news: list[tuple[Pay, str]]) -> dict[str, bool]:
        """What was given up and paid after all is booked only where its money is free."""
        late = [line for line, way in news if way == "paid" and not line.held]
        model = self.model
        aside = any(
            model.held[line.account, line.party]
            and model.unheld(line.account, line.party) < line.fen
            for line in late
        )
        need = sum(line.fen for line in late)
        return {
            "set aside for others": aside,
            "a limit keeps it": any(self.keeps(line) for line in late),
            "a signed reversal takes it back": any(
                self.keeps(line, signed=True) and not self.keeps(line) for line in late
            ),
            "not in the bank": need > model.unheld(books.BANK),
            "a limit keeps it in the bank": model.unheld(books.BANK)
            >= need
            > model.free(books.BANK),
        }

    def keeps(self, line: Pay, *, signed: bool = False) -> bool:
        """Whether a limit keeps what a payment after all takes; and what a signed reversal takes back."""
        model, place = self.model, (line.account, line.party)
        owed, under_way = model.accounts[place], model.unfinished()
        fen = min(line.fen, max(0, owed)) if line.account == books.REFUNDS else line.fen
        if signed and under_way and under_way.undoes and under_way.state == "approved":
            fen += self.taken_back(under_way, place)
        return model.floor(place) is not None and not model.yields(place, fen)

    def taken_back(self, one: Told, place: Account) -> int:
        account, party = place
        return one.lines[party] if party in SHARES and owed_on(party) == account else 0

    def spoil(self, rows: list[Result], wrong: str, batch: Batch) -> bool:
        """Make one of the rows wrong; whether it could be made so."""
        lines = {line.serial: line for line in batch.lines}
        for n, one in enumerate(rows):
            line = lines[one.serial]
            fresh = one.paid and line.state != "paid" and line.state != "came_back"
            facts = vars(one)
            if wrong in DEBITS:
                if fresh:
                    return self.spoil_debit(rows, n, wrong, batch)
                continue
            if wrong == "another amount":
                rows[n] = Result(**{**facts, "amount_fen": one.amount_fen + 1})
            elif wrong == "a stranger":
                rows[n] = Result(**{**facts, "serial": f"{one.serial}9"})
            elif wrong in IN_DAYS and fresh:
                day = self.today + DAY if wrong == "in the future" else None
                said = day.isoformat() if day else "2026-01-01"
                rows[n] = Result(**{**facts, "day": said})
            elif wrong == "a reference twice" and fresh:
                used = [pay.reference for _, pay in self.payments.lines()
                        if pay.state == "paid" and pay is not line]  # fmt: skip
                if not used:
                    continue
                rows[n] = Result(**{**facts, "reference": used[0]})
            elif wrong == "otherwise" and line.state == "paid" and one.paid:
                rows[n] = Result(**{**facts, "reference": f"BK-{next(serial)}"})
            else:
                continue
            return True
        return False

    def spoil_debit(self, rows: list[Result], n: int, wrong: str, batch: Batch) -> bool:
        """Make the debit of a row wrong, of which there are others; whether it could be made so."""
        one = rows[n]
        fellows = [
            at for at, other in enumerate(rows) if other.paid and other.reference == one.reference
        ]
        if len(fellows) < 2 or one.debit_fen is None:
            return False
        if wrong == "a debit without its sum":
            rows[n] = replace(one, debit_fen=None)
        elif wrong == "a debit of another sum":
            for at in fellows:
                rows[at] = replace(rows[at], debit_fen=one.debit_fen + 1)
        elif wrong == "a debit of two sums":
            rows[n] = replace(one, debit_fen=one.debit_fen + 1)
        elif wrong == "a debit of two days":
            rows[n] = replace(one, day=(self.today - DAY).isoformat())
        else:
            used = [line.reference for other, line in self.payments.lines()
                    if line.reference and other is not batch]  # fmt: skip
            if not used:
                return False
            for at in fellows:
                rows[at] = replace(rows[at], reference=used[0])
        return True

    # ------------------------------------------------------------ by hand

    @chance(
        data=st.data(), fen=amounts, back=st.sampled_from([0, 0, 1, 3]),
        login=st.sampled_from(["mona", "max"]), goes_on=likely,
    )  # fmt: skip
    def journal(self, data: st.DataObject, fen: int, back: int, login: str, goes_on: bool) -> None:
        """Mostly between accounts that may be chosen, and mostly decided at once."""
        if data.draw(likely):
            debit, credit = data.draw(st.sampled_from(sorted(BY_HAND)))
        else:
            debit, credit = data.draw(st.permutations(sorted(books.ACCOUNTS)))[:2]
        one = self.put(debit, credit, self.today - back * DAY, fen, login)
        if one and goes_on:
            self.decide_journal_of(one, login, "approve")

    def put(
        self, debit: str, credit: str, day: date, fen: int, login: str = "mona"
    ) -> journals.Journal | None:
        facts = {"amount_fen": fen, "credit": credit, "debit": debit, "effective_on": day,
                 "memo": f"凭证 {next(serial)}"}  # fmt: skip

        def deed() -> journals.Journal:
            return bookings.journal(self.town, self.agreement, login, **facts)

        bars = {
            "not between these accounts": (debit, credit) not in BY_HAND,
            "closed": day.isoformat() <= self.model.closed_until(),
        }
        made: journals.Journal | None = self.attempt(bars, deed)
        if made is not None:
            assert self.same(deed).id == made.id
            self.journals.append((made, login))
        return made

    @chance(data=st.data(), way=st.sampled_from(["approve", "reject", "withdraw"]))
    def decide_journal(self, data: st.DataObject, way: str) -> None:
        if not self.journals:
            self.journal(data, 700, 0, "mona", False)
        if self.journals:
            self.decide_journal_of(*data.draw(st.sampled_from(self.journals)), way)

    def decide_journal_of(self, one: journals.Journal, maker: str, way: str) -> None:
        verbs: dict[str, Callable[..., Any]] = {
            "approve": journals.approve, "reject": journals.reject, "withdraw": journals.withdraw,
        }  # fmt: skip
        ground = () if way == "approve" else ("重做",)
        if way != "withdraw":
            self.never("by who proposed it", lambda: self.town.do(maker, verbs[way], one, *ground))
        else:
            other = "max" if maker == "mona" else "mona"
            self.never(
                "withdrawn by another",
                lambda: self.town.do(other, verbs[way], one, *ground),
            )
        books_it = way == "approve"
        short = one.credit == books.BANK and one.amount_fen > self.model.free(books.BANK)
        bars = {
            "closed since": books_it and one.effective_on <= self.model.closed_until(),
            "not in the bank": books_it and short,
        }
        login = maker if way == "withdraw" else "carl"
        self.attempt(bars, lambda: self.town.do(login, verbs[way], one, *ground))
        if any(bars.values()):
            return
        self.met[f"journal: {way}"] += 1
        self.journals.remove((one, maker))
        if books_it:
            for account, fen in ((one.debit, one.amount_fen), (one.credit, -one.amount_fen)):
                falls = account == books.VAT
                self.model.accounts[account, ""] += -fen if falls else fen
        self.never("decided", lambda: self.town.do(login, verbs[way], one, *ground))
