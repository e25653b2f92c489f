"""What the audit derives of payments: a line from its hold and entry, a payout from its lines, the hands.

lines       what a line holds is its amount, of its account and of the bank's; its state is that of its hold
debits      the line that leads a debit of the bank names itself, and is of the same payout and reference
payouts     count, sum and state are those of the lines; results tell as many as were paid and came back
file        an approved payout has the digest of its payment file, and its holds run out no more
hands       who decides did not make, and nobody approves twice
accounts    a party is paid to one account at most
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
from sqlalchemy import Connection

from ledger import payment_files
from ledger.audit_rows import UNREADABLE, fetch
from ledger.books import BANK, DUE, REFUNDS
from ledger.payment_files import Payment
from ledger.payout_dues import OWED
from ledger.payout_rows import GIVEN
from ledger.proof.encoding import digest_text

Told = tuple[str, str, Any, Any]  # place, field, known, derived
Row = dict[str, Any]
HELD_BY = {  # of each state of a line, those of its hold; and whether its entry was reversed
    "held": {("pending", False), ("expired", False)},
    "paid": {("posted", False)},
    "came_back": {("posted", True)},
    "failed": {("voided", False), ("expired", False)},
    "cancelled": {("voided", False), ("expired", False)},
}


def audit_payouts(connection: Connection) -> Iterator[Told]:
    """What of payouts, their lines and the hands they went through does not follow from the rest."""
    for (serial,) in fetch(connection, UNLED):
        yield f"payout {serial}", "debit_id", serial, "a line of its payout that leads"
    for number, times in fetch(connection, PAID_TO_TWO):
        yield f"payout {number}", "state", times, 1
    for number, who in fetch(connection, ONE_HAND):
        yield f"decision {number}", "decided_by", who, "another person"
    for row in fetch(connection, PAYOUTS):
        payout = dict(zip(PAYOUT, row, strict=True))
        with suppress(*UNREADABLE):
            lines = [
                dict(zip(LINE, line, strict=True))
                for line in fetch(connection, LINES, payout=payout["id"])
            ]
            for line in lines:
                with suppress(*UNREADABLE):
                    yield from _line(payout, line)
            yield from _payout(payout, lines)


def _line(payout: Row, line: Row) -> Iterator[Told]:
    place, lines = f"payout {line['serial']}", orjson.loads(line["hold_lines"])
    due = {
        "cause_id": payout["id"], "book_id": payout["agreement_id"],
        "bank": line["amount_fen"], "owed": line["amount_fen"], "party": {line["party"]},
    }  # fmt: skip
    again = line["cause_key"] == f"{line['n']} again"
    accounts = {line["account"], *((DUE,) if again and line["account"] == REFUNDS else ())}
    known = {
        "cause_id": line["cause_id"], "book_id": line["book_id"],
        "bank": sum(one["credit_fen"] for one in lines if one["account"] == BANK),
        "owed": sum(one["debit_fen"] for one in lines if one["account"] in accounts),
        "party": {one["party_id"] for one in lines if one["account"] != BANK},
    }  # fmt: skip
    fits = again or line["cause_key"] == str(line["n"])
    if known != due or not fits or line["account"] not in OWED:
        yield place, "hold_id", line["hold_id"], "a hold of what it pays"
    state = (line["hold_state"], bool(line["reversed"]))
    if state not in HELD_BY[line["state"]]:
        yield place, "state", line["state"], f"hold: {line['hold_state']}"
    if line["hold_state"] == "pending" and (line["expires_at"] is None) != (
        payout["state"] in GIVEN
    ):
        yield place, "hold_id", line["expires_at"], f"payout: {payout['state']}"
    was_paid, was_back = line["state"] in ("paid", "came_back"), line["state"] == "came_back"
    for field, told in (("paid_on", was_paid), ("bank_reference", was_paid), ("returned_on", was_back),
                        ("return_reference", was_back)):  # fmt: skip
        if (line[field] is not None) != told:
            yield place, field, line[field], line["state"]


def _payout(payout: Row, lines: list[Row]) -> Iterator[Told]:
    place, states = f"payout {payout['number']}", Counter(line["state"] for line in lines)
    results, approvals = orjson.loads(payout["results"]), orjson.loads(payout["approvals"])
    is_given = payout["state"] in GIVEN
    due = {
        "amount_fen": sum(line["amount_fen"] for line in lines), "line_count": len(lines),
        "state": _state(payout, states),
    }  # fmt: skip
    for field, derived in due.items():
        if payout[field] != derived:
            yield place, field, payout[field], derived
    if [line["n"] for line in lines] != list(range(1, len(lines) + 1)):
        yield place, "n", len(lines), "the next number"
    told = [sum(one[key] for one in results) for key in ("paid_count", "returned_count")]
    happened = [states["paid"] + states["came_back"], states["came_back"]]
    if told != happened:
        yield place, "results", told, happened
    by = [payout["maker_id"], *(one["by"] for one in approvals)]
    if len(set(by)) != len(by):
        yield place, "approvals", by, "another person"
    if is_given != (len(approvals) >= payout["approvals_required"] > 0):
        yield place, "approvals", len(approvals), payout["approvals_required"]
    digests = orjson.loads(payout["digests"]) if payout["digests"] is not None else None
    known = None if digests is None else digests["csv"]
    derived = (
        digest_text(payment_files.as_csv([_payment(line) for line in lines])) if is_given else None
    )
    if known != derived:
        yield place, "digests", known, derived
    if payout["statement_id"] is not None and payout["of_statement"] != payout["agreement_id"]:
        yield place, "statement_id", payout["of_statement"], payout["agreement_id"]


def _state(payout: Row, states: Counter[str]) -> str:
    """What a payout's state is by those of its lines, and, while all wait, by its approvals."""
    if states["held"] == states.total():
        return payout["state"] if payout["state"] in ("prepared", "approved") else "approved"
    if states["held"]:
        return "partly_paid"
    if states["paid"] == states.total():
        return "paid"
    gone = states["cancelled"] == states.total() and payout["digests"] is None
    return "cancelled" if gone else "closed"


def _payment(line: Row) -> Payment:
    return Payment(
        line["n"], line["serial"], line["holder_name"], line["account_number"], line["bank"],
        line["branch"], line["amount_fen"], line["purpose"], line["unit_code"] or "",
        line["item_code"] or "",
    )  # fmt: skip


PAYOUT = (
    "id", "number", "agreement_id", "statement_id", "line_count", "amount_fen", "maker_id",
    "approvals_required", "approvals", "digests", "results", "state", "of_statement",
)  # fmt: skip
PAYOUTS = """
SELECT p.id, p.number, p.agreement_id, p.statement_id, p.line_count, p.amount_fen, p.maker_id,
  p.approvals_required, p.approvals, p.digests, p.results, p.state, s.agreement_id
FROM payouts p LEFT JOIN statements s ON s.id = p.statement_id ORDER BY p.number
"""
LINE = (
    "n", "serial", "party", "account", "amount_fen", "purpose", "hold_id", "paid_on", "bank_reference",
    "returned_on", "return_reference", "state", "cause_id", "cause_key", "book_id", "hold_lines",
    "expires_at", "hold_state", "reversed", "holder_name", "account_number", "bank", "branch",
    "unit_code", "item_code",
)  # fmt: skip
LINES = """
SELECT l.n, l.serial, l.party, l.account, l.amount_fen, l.purpose, l.hold_id, l.paid_on, l.bank_reference,
  l.returned_on, l.return_reference, l.state, h.cause_id, h.cause_key, h.book_id, h.lines, h.expires_at,
  h.state, EXISTS (
    SELECT 1 FROM entries e JOIN entries r ON r.reverses = e.id
    WHERE e.cause_id = h.id AND e.reverses IS NULL),
  b.holder_name, b.account_number, b.bank, b.branch, b.unit_code, b.item_code
FROM payout_lines l LEFT JOIN holds h ON h.id = l.hold_id
LEFT JOIN bank_accounts b ON b.id = l.bank_account_id
WHERE l.payout_id = :payout ORDER BY l.n
"""
UNLED = """
SELECT l.serial FROM payout_lines l LEFT JOIN payout_lines d ON d.id = l.debit_id
WHERE (l.bank_reference IS NULL) <> (l.debit_id IS NULL)
   OR l.debit_id IS NOT NULL AND (d.id IS NULL OR d.debit_id <> d.id OR d.payout_id <> l.payout_id
     OR d.bank_reference <> l.bank_reference)
   OR l.debit_id = l.id AND EXISTS (
     SELECT 1 FROM payout_lines o WHERE o.bank_reference = l.bank_reference AND o.debit_id = o.id
       AND o.id <> l.id)
ORDER BY l.serial
"""
PAID_TO_TWO = """
SELECT MIN(number), COUNT(*) FROM bank_accounts WHERE state = 'confirmed'
GROUP BY party_id HAVING COUNT(*) > 1
"""
ONE_HAND = """
SELECT number, decided_by FROM journals WHERE decided_by = proposed_by
UNION ALL SELECT number, decided_by FROM account_limits WHERE decided_by = proposed_by
UNION ALL SELECT number, decided_by FROM refunds WHERE decided_by = proposed_by
UNION ALL SELECT number, decided_by FROM bank_accounts WHERE decided_by = entered_by
UNION ALL SELECT number, checker_id FROM statements WHERE checker_id = maker_id
UNION ALL SELECT reference, decided_by FROM orders
  WHERE decided_by = placed_by AND state = 'fulfilled' AND hold_id IS NOT NULL
UNION ALL SELECT number, settled_by FROM differences WHERE settled_by = answered_by
"""
