"""What the audit derives of bookings, payouts, statements and closings: each broken promise is told."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from ledger import (
    audit_bookings,
    audit_books,
    audit_payouts,
    audit_statements,
    bank_accounts,
    limits,
    orders,
    payout_results,
    refunds,
)
from ledger.audit_findings import Findings
from tests.conftest import ORIGIN, Town
from tests.ledger import bookings, deals, organisations, paying
from tests.ledger.test_divisions import split_operator


@pytest.fixture(scope="module")
def busy(village: Town) -> Town:
    """A town in which each deed that books was done, some were taken back, and payouts were paid."""
    town = village
    made = paying.approved(town)
    rows = paying.in_one(town, made)
    back = replace(paying.came_back(town, made, 1), reference="TH1")
    town.do("mona", payout_results.confirm, made, [*rows, back], name="r", digest="sha256:r")
    town.do("carl", bank_accounts.confirm, paying.another_account(town))
    paying.account(town, "bureau", account_number="11050161360000000999")
    paying.approved(town)
    agreement, licence = town.sold()
    town.do("carl", refunds.approve, deals.refund(town))
    wrong = town.payment(licence, 5_300, "WRONG")
    with town.deed() as session:
        source = refunds.of_payment(session, town.fresh(session, wrong))
        undoing = refunds.propose(session, town.actors["mona"], town.now, source, amount_fen=5_300,
                                  ground="误记", undoes=True)  # fmt: skip
    town.do("carl", refunds.approve, undoing)
    town.do("opal", orders.fulfil, deals.order(town), ORIGIN)
    deals.confirmation(town)
    town.do("carl", limits.approve, bookings.limit(town, agreement))
    bookings.hold(town)
    agreement, _ = paying.owing(town)
    was, one, two = split_operator(town)
    bookings.divided(town, agreement, was, {one.uscc: 100, two.uscc: 1})
    organisations.party(town, "enterprise", "局外人")
    return town


def derived(connection: Connection) -> set[str]:
    """What all audits of the books tell: kind of thing and field."""
    with Session(connection) as session:
        told = [
            *audit_books.audit_books(connection), *audit_bookings.audit_bookings(connection),
            *audit_payouts.audit_payouts(connection), *audit_statements.audit_statements(session),
        ]  # fmt: skip
    return {f"{place.split()[0]}: {field}" for place, field, *_ in told}


def unguarded(connection: Connection) -> None:
    """Take the guards, the foreign keys and the checks away, as who may change the tables can."""
    if connection.dialect.name == "sqlite":
        known = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for (name,) in connection.exec_driver_sql(known).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
    else:
        connection.exec_driver_sql("SET session_replication_role = replica")
        connection.exec_driver_sql(
            "ALTER TABLE payout_lines DROP CONSTRAINT payout_lines_debit_told"
        )


OTHER = "(SELECT o.id FROM payout_lines o " \
        "WHERE o.payout_id = payout_lines.payout_id AND o.id <> payout_lines.id)"  # fmt: skip
OF = "UPDATE entries SET {} WHERE cause_id IN (SELECT id FROM {})"
STRANGER = "(SELECT uscc FROM parties WHERE name = '局外人')"
HEIR = "(SELECT MAX(q.uscc) FROM parties q, successions s WHERE s.kind = 'split' " \
       "AND s.to_ids LIKE '%' || q.id || '%')"  # fmt: skip
TAMPERINGS: dict[str, str] = {
    # entries
    OF.format("body_digest = 'sha256:0'", "payments"): "booking: body_digest",
    OF.format("effective_at = '2020-01-01 00:00:00.000000'", "payments"): "booking: effective_at",
    OF.format("lines = REPLACE(lines, '1002 银行存款', '2205 预收账款')", "payments"): "booking: lines",
    OF.format("cause_key = 'more'", "payments"): "booking: cause_id",
    OF.format("cause_id = 'nobody'", "confirmations"): "booking: cause_id",
    "UPDATE entries SET cause_id = (SELECT p.id FROM payments p, orders o WHERE o.reference = p.reference) "
    "WHERE cause_id = (SELECT hold_id FROM orders WHERE state = 'fulfilled')": "booking: cause_id",
    "UPDATE refunds SET state = 'rejected' WHERE state = 'approved' AND NOT undoes": "booking: cause_id",
    "UPDATE statements SET state = 'approved' WHERE state = 'posted'": "booking: cause_id",
    OF.format("book_id = 'another'", "remittances"): "booking: book_id",
    "UPDATE entries SET book_id = 'another' WHERE reverses IS NOT NULL": "booking: reverses",
    "UPDATE entries SET cause_id = (SELECT MIN(id) FROM orders) WHERE reverses IS NOT NULL":
        "booking: cause_id",
    # deeds
    "UPDATE payments SET net_fen = net_fen + 1": "booking: lines",
    "UPDATE remittances SET amount_fen = amount_fen + 1": "booking: lines",
    "UPDATE refunds SET vat_fen = vat_fen + 1 WHERE NOT undoes": "booking: lines",
    "UPDATE refunds SET payment_id = (SELECT MIN(id) FROM payments) WHERE undoes": "booking: undoes",
    "UPDATE confirmations SET amount_fen = amount_fen + 1": "booking: lines",
    "UPDATE orders SET price_fen = price_fen + 1": "booking: lines",
    "UPDATE orders SET state = 'cancelled' WHERE state = 'fulfilled'": "booking: state",
    "UPDATE journals SET amount_fen = amount_fen + 1 WHERE kind = 'chosen'": "booking: lines",
    "UPDATE journals SET debit = '2202 待分配收入' WHERE kind = 'chosen'": "booking: lines",
    # divisions: another sum, to a stranger, on two accounts
    "UPDATE journals SET amount_fen = amount_fen + 1 WHERE kind = 'division'": "booking: lines",
    f"UPDATE journals SET lines = REPLACE(lines, {HEIR}, {STRANGER}) WHERE kind = 'division'":
        "booking: lines",
    "UPDATE journals SET credit = '2204 应缴财政款' WHERE kind = 'division'": "booking: lines",
    # holds
    "UPDATE holds SET body_digest = 'sha256:0'": "booking: body_digest",
    "UPDATE holds SET amount_fen = amount_fen + 1": "booking: amount_fen",
    "UPDATE holds SET lines = REPLACE(lines, '\"debit_fen\":0', '\"debit_fen\":1') WHERE state = 'posted'":
        "booking: lines",
    "UPDATE holds SET book_id = 'another' WHERE state = 'posted'": "booking: book_id",
    # what must stay, and must be there
    "UPDATE account_limits SET floor_fen = 999999999": "book_accounts: posted_fen",
    "UPDATE holds SET lines = REPLACE(lines, '_fen\":600', '_fen\":600000') WHERE state = 'pending'":
        "book_accounts: held_fen",
    # payments
    "UPDATE payout_lines SET amount_fen = amount_fen + 1": "payout: hold_id",
    "UPDATE payout_lines SET party = 'another'": "payout: hold_id",
    "UPDATE payout_lines SET account = '2205 预收账款'": "payout: hold_id",
    "UPDATE payout_lines SET state = 'paid' WHERE state = 'held'": "payout: state",
    "UPDATE payout_lines SET state = 'paid' WHERE state = 'came_back'": "payout: state",
    "UPDATE payout_lines SET paid_on = NULL": "payout: paid_on",
    "UPDATE payout_lines SET bank_reference = 'X' WHERE state = 'held'": "payout: bank_reference",
    "UPDATE payout_lines SET returned_on = NULL": "payout: returned_on",
    "UPDATE payout_lines SET return_reference = NULL": "payout: return_reference",
    f"UPDATE payout_lines SET debit_id = {OTHER} WHERE debit_id IS NOT NULL": "payout: debit_id",
    f"UPDATE payout_lines SET debit_id = {OTHER} WHERE debit_id = id": "payout: debit_id",
    "UPDATE payout_lines SET bank_reference = 'X' WHERE debit_id <> id": "payout: debit_id",
    "UPDATE payout_lines SET debit_id = NULL": "payout: debit_id",
    "UPDATE payout_lines SET n = n + 9": "payout: n",
    "UPDATE holds SET expires_at = '2030-01-01 00:00:00.000000' WHERE state = 'pending'":
        "payout: hold_id",
    "UPDATE payouts SET amount_fen = amount_fen + 1": "payout: amount_fen",
    "UPDATE payouts SET line_count = line_count + 1": "payout: line_count",
    "UPDATE payouts SET state = 'paid' WHERE state = 'approved'": "payout: state",
    "UPDATE payouts SET state = 'prepared' WHERE state = 'approved'": "payout: approvals",
    "UPDATE payouts SET results = '[]'": "payout: results",
    "UPDATE payouts SET maker_id = REPLACE(REPLACE(approvals, '[{\"by\":\"', ''), '\"}]', '')":
        "payout: approvals",
    "UPDATE payouts SET approvals_required = 3": "payout: approvals",
    "UPDATE payouts SET digests = NULL": "payout: digests",
    "UPDATE bank_accounts SET account_number = '80000000000'": "payout: digests",
    "UPDATE payouts SET statement_id = (SELECT MAX(id) FROM statements)": "payout: statement_id",
    # hands
    "UPDATE journals SET decided_by = proposed_by": "decision: decided_by",
    "UPDATE account_limits SET decided_by = proposed_by": "decision: decided_by",
    "UPDATE refunds SET decided_by = proposed_by": "decision: decided_by",
    "UPDATE bank_accounts SET decided_by = entered_by": "decision: decided_by",
    "UPDATE statements SET checker_id = maker_id": "decision: decided_by",
    "UPDATE orders SET decided_by = placed_by": "decision: decided_by",
    # statements
    "UPDATE statements SET deficits_before = '{\"x\":\"1/2\"}'": "statements: deficits_before",
    "UPDATE statements SET deficits_after = '{\"x\":\"1/2\"}'": "statements: lines",
    OF.format("lines = REPLACE(lines, '2203 应付分配款', '2241 应付退款')", "statements"):
        "statements: lines",
    OF.format("book_id = 'another'", "statements"): "statements: agreement_id",
}  # fmt: skip


@pytest.mark.slow
def test_each_promise_of_the_books_and_payments_is_derived(busy: Town) -> None:
    missed = []
    with busy.home.engine.connect() as connection:
        assert derived(connection) == set()
        connection.rollback()
        for changed, said in TAMPERINGS.items():
            unguarded(connection)
            assert connection.exec_driver_sql(changed.replace("%", "%%")).rowcount, changed
            found = derived(connection)
            if said not in found:
                missed.append((changed, said, found))
            connection.rollback()
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA ignore_check_constraints=OFF")
    assert not missed


@pytest.mark.slow
def test_a_party_is_paid_to_one_account(busy: Town) -> None:
    with busy.home.engine.connect() as connection:
        connection.exec_driver_sql("DROP INDEX bank_accounts_paid_to")
        connection.exec_driver_sql("UPDATE bank_accounts SET state = 'confirmed'")
        assert "payout: state" in derived(connection)
        connection.rollback()


def closing(kind: str, number: int, days: tuple[str, str], at: str, actor: str) -> dict[str, Any]:
    return {
        "actor": actor, "at": at, "kind": kind,
        "body": {"agreement_id": "a", "closed_by": "mona", "from_on": days[0], "number": f"GZ-{number}",
                 "until_on": days[1]},
    }  # fmt: skip


def told(*payloads: dict[str, Any]) -> list[str]:
    findings = Findings()
    watch = audit_books.Closings(findings, afresh=True).watched["period"]
    for payload in payloads:
        watch(0, "", payload)
    return [f"{one.place}: {one.field}" for one in findings.differences()]


def test_closings_follow_each_other_and_the_last_is_taken_back_by_another_person() -> None:
    march, april = ("2026-03-01", "2026-03-31"), ("2026-04-01", "2026-04-30")
    first = closing("period.closed", 1, march, "2026-03-31T16:00:00Z", "mona")
    second = closing("period.closed", 2, april, "2026-05-02T01:00:00Z", "mona")
    back = closing("period.reopened", 2, april, "2026-05-03T01:00:00Z", "carl")
    again = closing("period.closed", 3, april, "2026-05-04T01:00:00Z", "mona")
    assert told(first, second, back, again) == []
    early = closing("period.closed", 1, march, "2026-03-31T15:59:59Z", "mona")
    assert told(early) == ["closing GZ-1: until_on"], "in Shanghai the day is not over"
    gap = closing("period.closed", 2, ("2026-04-02", "2026-04-30"), "2026-05-02T01:00:00Z", "mona")
    assert told(first, gap) == ["closing GZ-2: from_on"]
    not_last = closing("period.reopened", 1, march, "2026-05-03T01:00:00Z", "carl")
    assert told(first, second, not_last) == ["closing GZ-1: until_on"]
    own = closing("period.reopened", 2, april, "2026-05-03T01:00:00Z", "mona")
    assert told(first, second, own) == ["closing GZ-2: closed_by"]
