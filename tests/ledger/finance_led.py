"""Stories led on the finance machine to where chance seldom gets: the same deeds beside the same model."""

from ledger import books
from tests.ledger.finance_divisions import Dividing
from tests.ledger.finance_model import OPERATOR, REGISTRY
from tests.ledger.finance_payouts import WRONG
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


STORIES = (
    periods, sent_back, questions, payouts, bank, statements_paid, reversal, by_hand,
)  # fmt: skip
