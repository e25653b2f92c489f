"""Stories led on the finance machine to where chance seldom gets: the same deeds beside the same model."""

from ledger import books
from tests.ledger.finance_divisions import Dividing
from tests.ledger.finance_model import BUYER, OFFICE, OPERATOR, PARTNER, REGISTRY
from tests.ledger.finance_payouts import DEBITS, WRONG
from tests.ledger.finance_walk import DAY


def periods(one: Dividing) -> None:
    """What was sent back is drawn up anew in its period, which stays closed, or is reopened, or longer."""
    one.share()
    told = one.model.statements[-1]
    one.close(2, "max")
    one.correct_to(told, 900)
    one.take_back(told.closing)
    one.take_back(one.model.closings[-1], "max")
    one.take_back(one.model.closings[-1])
    for cost in (0, 5):
        one.send_back()
        one.take_back(told.closing)
        one.correct_to(told, cost)
    one.send_back()
    one.take_back(told.closing)
    one.close(1, "mona")
    one.correct_to(told, 1)


def sent_back(one: Dividing) -> None:
    """Meanwhile another statement has its days."""
    one.share()
    told = one.model.statements[-1]
    one.send_back()
    one.draft(anew=True, days=1, ready=False, cost=0, rows=2)
    one.correct_to(told, 3)
    one.finish()
    one.correct_to(told, 3)
    one.correct_to(one.model.statements[-1], 3)


def questions(one: Dividing) -> None:
    """The last signature waits for an answer."""
    one.share()
    told = one.model.statements[-1]
    one.ask_about(told)
    one.step()
    one.step()
    asked = one.model.asked[-1]
    for way in ("insist", "close", "answer", "insist", "answer", "answer", "close", "withdraw"):
        one.talk_of(asked, way)
    one.ask_about(told)
    one.talk_of(one.model.asked[-1], "answer")
    one.step()
    one.send_back()
    one.talk_of(one.model.asked[-1], "insist")
    one.ask_about(told)
    one.finish()


def payouts(one: Dividing) -> None:
    """Not in the bank, not in time, not to where the payee is paid, not by who took part."""
    one.prepare_of("mona", None)
    one.share()
    one.finish()
    one.prepare_of("mona", None)
    one.remit(50_000, False)
    first = one.prepare_of("mona", None)
    assert first
    one.file(first)
    one.answer(first, {first.lines[0].serial: "paid"})
    one.close_payout(first)
    one.move_account(OPERATOR)
    one.approve(first)
    one.days_pass(2)
    one.approve(first)
    one.prepare_of("max", None)
    one.move_account(REGISTRY)
    second = one.prepare_of("max", None)
    assert second
    one.cancel(first)
    one.approve_all(second)
    one.close_payout(second, "max")
    one.file(second)
    one.move_account(REGISTRY)
    one.file(second)
    one.cancel(second)
    one.approve(second)
    one.close_payout(second)
    one.close_payout(second)


def bank(one: Dividing) -> None:
    """Whatever it says wrongly; what was given up and paid after all, in and out of the bank, and twice."""
    one.share()
    one.finish()
    one.remit(90_000, False)
    one.propose(one.receipts[-1], 5_000, False)
    one.approve_refund(*one.refunds[-1])
    first = one.prepare_of("mona", None)
    assert first
    one.approve_all(first)
    paid, given_up, refunded = (line.serial for line in first.lines)
    for wrong in WRONG[:4]:
        one.answer(first, {paid: "paid"}, wrong)
    one.answer(first, {paid: "paid", given_up: "failed"})
    one.answer(first, {refunded: "paid"}, "a reference twice")
    one.answer(first, {paid: "same"}, "otherwise")
    one.answer(first, {paid: "same", given_up: "same"})
    one.answer(first, {})
    one.close_payout(first)
    for again in (False, True):
        second = one.prepare_of("mona", None)
        assert second
        one.answer(first, {given_up: "paid", refunded: "paid"})  # set aside for others
        if not again:
            one.cancel(second)
            spent = one.put(books.FEES, books.BANK, one.today, one.model.free(books.BANK))
            assert spent
            one.decide_journal_of(spent, "mona", "approve")
            one.answer(first, {given_up: "paid", refunded: "paid"})  # not in the bank
            one.remit(90_000, False)
        else:
            one.approve_all(second)
            one.answer(second, {line.serial: "paid" for line in second.lines})
    one.answer(first, {given_up: "paid", refunded: "paid"})  # twice
    one.answer(first, {given_up: "returned", refunded: "returned"})
    one.answer(first, {given_up: "same", refunded: "same"})
    one.share()
    one.finish()
    one.prepare_of("mona", None)  # the bureau's account is to be confirmed anew


def statements_paid(one: Dividing) -> None:
    """All that is due was paid when there was one statement; of the next one its own is paid."""
    one.remit(90_000, False)
    one.share()
    one.finish()
    made = one.prepare_of("mona", None)
    assert made
    one.approve_all(made)
    one.share()
    one.finish()
    older, newer = one.model.standing()
    one.prepare_of("mona", older)
    one.prepare_of("mona", newer)


def reversal(one: Dividing) -> None:
    """Nothing of a statement is paid while it is taken back, and it is not while it is paid."""
    one.share()
    one.finish()
    one.remit(50_000, False)
    told = one.model.standing()[-1]
    batch = one.prepare_of("mona", None)
    assert batch
    one.reverse_of(told)
    one.days_pass(2)
    one.reverse_of(told)
    one.approve(batch)
    one.prepare_of("mona", None)
    one.correct_to(one.model.statements[-1], 1)
    one.send_back()
    one.reverse_of(told)
    one.finish()
    one.share()
    one.finish()


def by_hand(one: Dividing) -> None:
    """Journals and receipts undone, where the day is closed or the money is not there."""
    one.remit(1, True)  # nothing is due
    one.pay(10_000, 0, "")
    receipt = one.receipts[-1]
    one.remit(20_000, False)
    one.propose(one.receipts[-1], 15_000, False)
    one.order(10_000, 0)
    one.approve_refund(*one.refunds[-1])
    spent = one.put(books.FEES, books.BANK, one.today, one.model.free(books.BANK))
    late = one.put(books.BANK, books.VAT, one.today, 100)
    assert spent
    assert late
    one.decide_journal_of(spent, "mona", "approve")
    one.propose(receipt, 10_000, True)
    one.approve_refund(*one.refunds[-1])
    one.put(books.PAYABLE, books.BANK, one.today, 100)
    one.close(1, "mona")
    one.put(books.BANK, books.VAT, one.today - DAY, 100)
    one.decide_journal_of(late, "mona", "approve")
    one.decide_journal_of(late, "mona", "reject")
    short = one.put(books.VAT, books.BANK, one.today, 10**7)
    assert short
    one.decide_journal_of(short, "mona", "approve")
    one.decide_journal_of(short, "mona", "withdraw")


def limits(one: Dividing) -> None:
    """What a limit keeps is kept from whoever asks; it is raised, lowered, lifted, and not all at will."""
    share, advance = (books.PAYABLE, OPERATOR), (books.PREPAID, BUYER)
    one.remit(90_000, False)
    one.share()
    one.finish()
    stood = one.model.accounts[share]
    first = one.keep(share, stood - 100)
    one.keep(share, 5, "max")  # another waits
    assert first
    one.decide_limit_of(first, "approve")
    one.keep(share, stood + 1)
    batch = one.prepare_of("mona", None)  # above the limit
    assert batch
    told = one.model.standing()[-1]
    one.cancel(batch)
    one.reverse_of(told)
    one.decide_limit_of(first, "reject")
    second = one.keep(share, 7, "max")
    assert second
    one.decide_limit_of(second, "approve")
    one.lift_of(first)
    lifting = one.lift_of(second)
    assert lifting
    one.decide_limit_of(lifting, "withdraw")
    lifting = one.lift_of(second, "max")
    assert lifting
    one.decide_limit_of(lifting, "reject")
    lifting = one.lift_of(second)
    assert lifting
    one.decide_limit_of(lifting, "approve")
    one.lift_of(lifting)
    late = one.keep(share, 9)
    one.reverse_of(told)
    assert late
    one.decide_limit_of(late, "approve")  # a reversal is under way
    one.send_back()
    batch = one.prepare_of("mona", None)
    assert batch
    one.decide_limit_of(late, "approve")  # all of it is set aside
    one.cancel(batch)
    one.decide_limit_of(late, "approve")
    kept = one.keep(advance, 80_000)
    assert kept
    one.decide_limit_of(kept, "approve")
    one.order(20_000, 0)
    one.propose(one.receipts[0], 20_000, False)
    one.propose(one.receipts[0], 10_000, False)
    one.order(1_000, 0)
    one.approve_refund(*one.refunds[-1])
    there = one.keep((books.BANK, ""), one.model.free(books.BANK))
    assert there
    one.decide_limit_of(there, "approve")
    one.prepare_of("mona", None)
    spent = one.put(books.FEES, books.BANK, one.today, 1)
    assert spent
    one.decide_journal_of(spent, "mona", "approve")
    one.propose(one.receipts[0], 90_000, True)


def limits_and_the_bank(one: Dividing) -> None:
    """What was given up and paid after all, where a limit keeps it, or a signed reversal takes it back."""
    share = (books.PAYABLE, OPERATOR)
    one.remit(90_000, False)
    one.share()
    one.finish()
    batch = one.prepare_of("mona", None)
    assert batch
    one.approve_all(batch)
    one.close_payout(batch)
    [ours] = [line.serial for line in batch.lines if line.party == OPERATOR]
    limit = one.keep((books.BANK, ""), one.model.free(books.BANK))
    assert limit
    one.decide_limit_of(limit, "approve")
    one.answer(batch, {ours: "paid"})
    lifting = one.lift_of(limit)
    assert lifting
    one.decide_limit_of(lifting, "approve")
    limit = one.keep(share, 1)
    assert limit
    one.decide_limit_of(limit, "approve")
    one.answer(batch, {ours: "paid"})
    one.share()
    one.finish()
    one.share()
    one.finish()  # of three statements two would be left
    told = one.model.standing()[-1]
    one.reverse_of(told)
    lower = one.keep(share, one.model.accounts[share] - told.lines[OPERATOR])
    assert lower
    one.step()
    one.answer(batch, {line.serial: "paid" for line in batch.lines if line.serial != ours})
    one.sign_all()
    one.answer(batch, {ours: "paid"})
    one.finish()
    one.answer(batch, {ours: "paid"})


def kept_from_a_reversal(one: Dividing) -> None:
    """A limit fits when the reversal is drafted, and no more when it is to be signed, or is signed."""
    share = (books.PAYABLE, OPERATOR)
    one.remit(90_000, False)
    one.share()
    one.finish()
    batch = one.prepare_of("mona", None)
    assert batch
    one.approve_all(batch)
    one.close_payout(batch)
    [ours] = [line.serial for line in batch.lines if line.party == OPERATOR]
    one.share()
    one.finish()
    told = one.model.standing()[-1]
    limit = one.keep(share, 1)
    assert limit
    one.decide_limit_of(limit, "approve")
    one.reverse_of(told)
    one.sign_all()
    one.answer(batch, {ours: "paid"})  # it would not be booked any more
    one.finish()
    one.share()
    one.finish()
    one.reverse_of(one.model.standing()[-1])
    one.step()
    lifting = one.lift_of(limit)
    assert lifting
    one.decide_limit_of(lifting, "approve")
    one.answer(batch, {ours: "paid"})
    one.send_back()
    low = one.keep(share, 0)
    assert low
    one.decide_limit_of(low, "approve")
    told = one.model.standing()[-1]
    batch = one.prepare_of("mona", told)
    assert batch
    one.approve_all(batch)
    one.close_payout(batch)
    one.reverse_of(told)
    one.step()
    [ours] = [line.serial for line in batch.lines if line.party == OPERATOR]
    one.answer(batch, {ours: "paid"})
    one.sign_all()
    assert one.model.unfinished()
    lifting = one.lift_of(low)
    assert lifting
    one.decide_limit_of(lifting, "approve")
    one.finish()


def divisions(one: Dividing) -> None:
    """Who gets what of a claim: what is owed and free, to whom the split names, until taken back."""
    share, treasury = (books.PAYABLE, PARTNER), (books.TREASURY, OFFICE)
    one.remit(90_000, False)
    one.move_account(PARTNER)
    one.share()
    one.finish()
    one.divide_of(share, {OPERATOR: 1})
    held = one.prepare_of("mona", None)
    assert held
    first, second = one.split_of(PARTNER)
    body, institution = one.split_of(OFFICE)
    one.move_account(PARTNER)
    one.approve(held)
    one.divide_of(share, {first: 1})  # all of it is set aside
    one.share()
    one.finish()
    early = one.divide_of(share, {first: 1})
    assert early
    one.days_pass(1)
    one.divide_of(share, {first: 1})  # unanswered
    one.decide_division_of(early, "approve")
    one.decide_division_of(early, "reject")
    one.cancel(held)
    rest = one.prepare_of("mona", None)
    assert rest
    one.cancel(rest)
    stood = one.model.accounts[share]
    one.divide_of(share, {OPERATOR: 1})
    one.divide_of(share, {first: 1}, one.today - 9 * DAY)
    one.divide_of(share, {first: stood, second: 1})
    one.divide_of(treasury, {body: 1, institution: 1})
    one.divide_of((books.PAYABLE, OFFICE), {body: 1})
    for way in ("withdraw", "reject"):
        waits = one.divide_of(share, {first: 10, second: 5}, login="max")
        assert waits
        one.decide_division_of(waits, way)
        one.decide_division_of(waits, "approve")
    late = one.divide_of(share, {first: 3, second: 2})
    whole = one.divide_of(share, {first: stood - 1, second: 1})
    ours = one.divide_of(treasury, {body: one.model.accounts[treasury]})
    assert late
    assert whole
    assert ours
    one.undo_of(late)  # it does not stand
    one.decide_division_of(whole, "approve")
    one.decide_division_of(late, "approve")  # nothing is left of it
    one.decide_division_of(ours, "approve")
    told = one.model.standing()[-1]
    one.reverse_of(told)  # it was divided
    one.move_account(first)
    paid = one.prepare_of("mona", None)
    assert paid
    back = one.undo_of(whole)
    one.undo_of(whole, "max")
    assert back
    one.decide_division_of(back, "approve")  # it is set aside for a successor
    one.approve_all(paid)
    one.answer(paid, {line.serial: "paid" for line in paid.lines}, debit="one")
    limit = one.keep((books.PAYABLE, second), 1)
    assert limit
    one.decide_limit_of(limit, "approve")
    one.decide_division_of(back, "approve")  # kept for another
    lifting = one.lift_of(limit)
    assert lifting
    one.decide_limit_of(lifting, "approve")
    one.decide_division_of(back, "approve")
    back = one.undo_of(ours)
    assert back
    one.decide_division_of(back, "reject")
    back = one.undo_of(ours)
    assert back
    one.decide_division_of(back, "withdraw")
    back = one.undo_of(ours)
    assert back
    one.decide_division_of(back, "approve")
    again = one.divide_of(share, {second: 1})
    small = one.divide_of(share, {second: 2})
    assert again
    assert small
    one.decide_division_of(small, "approve")
    one.reverse_of(told)
    one.undo_of(small)
    one.divide_of(share, {first: 1})
    one.decide_division_of(again, "approve")
    one.send_back()
    one.close(1, "mona")
    one.divide_of(share, {first: 1}, one.today - DAY)
    one.decide_division_of(again, "approve")


def divided_again(one: Dividing) -> None:
    """A refund of a trade that is owed to one that was split; and a successor that is split in turn."""
    one.confirm(2, True)
    for trade in one.trades:
        one.propose(trade, trade.amount_fen, True)
        one.propose(trade, trade.amount_fen + 1, False)
        one.propose(trade, trade.amount_fen // 3, False)
        one.approve_refund(*one.refunds[-1])
        one.propose(trade, trade.left_fen, False)
    one.approve_refund(*one.refunds[-1])
    first, second = one.split_of(PARTNER)
    refunded = (books.REFUNDS, PARTNER)
    stood = one.model.accounts[refunded]
    divided = one.divide_of(refunded, {first: stood - 1, second: 1})
    assert divided
    one.decide_division_of(divided, "approve")
    third, _ = one.split_of(first)
    after = one.divide_of((books.REFUNDS, first), {third: stood - 1})
    assert after
    one.decide_division_of(after, "approve")
    one.remit(90_000, False)
    one.move_account(third)
    paid = one.prepare_of("mona", None)
    assert paid
    one.approve_all(paid)
    one.answer(paid, {line.serial: "paid" for line in paid.lines})
    back = one.undo_of(after)
    assert back
    one.decide_division_of(back, "approve")  # a refund is not owed below nought
    waits = one.divide_of((books.REFUNDS, PARTNER), {second: 1})
    assert waits is None


def debits(one: Dividing) -> None:
    """Several payments in one debit, told at once or in parts, some of them sent back; and told wrongly."""
    for code in (REGISTRY, PARTNER):
        one.move_account(code)
    one.remit(200_000, False)
    one.share()
    one.finish()
    batch = one.prepare_of("mona", None)
    assert batch
    one.approve_all(batch)
    serials = [line.serial for line in batch.lines]
    first, second, third, *_ = serials
    for wrong in DEBITS[:-1]:
        one.answer(batch, {first: "paid", second: "paid"}, wrong, "one")
    one.answer(batch, {first: "paid", second: "there and back"}, debit="one")
    one.answer(batch, {first: "same", second: "same", third: "paid"}, debit="with before")
    one.share()
    one.finish()
    other = one.prepare_of("max", None)
    assert other
    one.approve_all(other)
    for wrong in (*DEBITS, "a reference twice"):
        one.answer(other, {line.serial: "paid" for line in other.lines}, wrong, "one")
    one.days_pass(1)
    one.answer(batch, {serials[3]: "paid"}, debit="with before")  # of another day
    one.answer(batch, {serials[3]: "failed"})
    one.answer(batch, {serials[3]: "paid"}, debit="one")
    one.answer(other, {line.serial: "paid" for line in other.lines}, debit="one")


STORIES = (
    periods, sent_back, questions, payouts, bank, statements_paid, reversal, by_hand, limits,
    limits_and_the_bank, kept_from_a_reversal, divisions, divided_again, debits,
)  # fmt: skip
