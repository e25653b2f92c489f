"""What the audit derives of bookings: that a deed of ours caused each, and that it books what that says.

forms      an entry's lines are lines of the books, its digest and its beginning follow from its content
causes     its cause is there, in the state that books, and no second one; a reversal's undoes what it says
deeds      payments, remittances, refunds, confirmed trades, orders and vouchers are booked as they say
holds      a hold's digest and amount are those of its lines, and its entry has them
divisions  a claim that was divided stays on its account, to the fen, among the successors of its split
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from ledger import books, journals, trading
from ledger.audit_rows import OPTIONS, UNREADABLE, fetch
from ledger.books import BANK, DUE, PREPAID, REFUNDS, UNDISTRIBUTED, VAT
from ledger.errors import LedgerError
from ledger.remittances import PURPOSES

Told = tuple[str, str, Any, Any]  # place, field, known, derived
PAGE = 5_000
AS_SAID = "what its deed says"


def audit_bookings(connection: Connection) -> Iterator[Told]:
    """What of entries and holds is not as the deeds that caused them say."""
    yield from _entries(connection)
    for number, cause in fetch(connection, CAUSELESS):
        yield f"booking {number}", "cause_id", cause, "a deed that caused it"
    for number, reverses in fetch(connection, REVERSED_BY_NONE):
        yield f"booking {number}", "reverses", reverses, AS_SAID
    for sql, due_of in DEEDS:
        for number, lines, book, due_book, *facts in fetch(connection, sql):
            with suppress(*UNREADABLE):
                yield from _booked(f"booking {number}", lines, book, due_book, due_of(*facts))
    for number, undoes, entry in fetch(connection, NOT_UNDONE):
        yield f"booking {number}", "undoes", undoes, entry
    for reference, state, held in fetch(connection, ORDERS_NOT_AS_HELD):
        yield f"booking {reference}", "state", state, f"hold: {held}"
    yield from _holds(connection)
    yield from _divisions(connection)


def _booked(place: str, lines: Any, book: Any, due_book: Any, due: Any) -> Iterator[Told]:
    spelled = orjson.dumps(due, option=OPTIONS).decode()
    if lines != spelled:
        yield place, "lines", lines, spelled
    elif book != due_book:
        yield place, "book_id", book, due_book


def _entries(connection: Connection) -> Iterator[Told]:
    after: Any = ""
    while rows := fetch(connection, ENTRIES, after=after, page=PAGE):
        for _, number, key, book, day, at, memo, text, reverses, digest in rows:
            if book is None:
                continue  # one of before says nothing of all this
            with suppress(*UNREADABLE):
                lines = orjson.loads(text)
                yield from _lines(f"booking {number}", lines)
                due = books.digest_of(
                    book_id=book, effective_on=day, key=key, lines=lines, memo=memo, reverses=reverses
                )  # fmt: skip
                if digest != due:
                    yield f"booking {number}", "body_digest", digest, due
                if _time(at) != books.beginning(day):
                    yield f"booking {number}", "effective_at", at, str(books.beginning(day))
        after = rows[-1][0]


def _lines(place: str, lines: Any) -> Iterator[Told]:
    try:
        books.check_lines(lines)
    except LedgerError as error:
        yield place, "lines", error.sentence, "lines of the books"


def _time(at: Any) -> datetime:
    if isinstance(at, str):
        return datetime.fromisoformat(at).replace(tzinfo=UTC)
    stored: datetime = at
    return stored.astimezone(UTC)


def _holds(connection: Connection) -> Iterator[Told]:
    for number, key, book, text, amount, digest, booked, booked_in in fetch(connection, HOLDS):
        with suppress(*UNREADABLE):
            lines = orjson.loads(text)
            yield from _lines(f"booking {number}", lines)
            due = books.digest_of(book_id=book, key=key, lines=lines)
            if digest != due:
                yield f"booking {number}", "body_digest", digest, due
            if amount != sum(line["debit_fen"] for line in lines):
                yield (
                    f"booking {number}",
                    "amount_fen",
                    amount,
                    sum(one["debit_fen"] for one in lines),
                )
            if booked is not None:
                yield from _booked(f"booking {number}", booked, booked_in, book, lines)


def _divisions(connection: Connection) -> Iterator[Told]:
    divided = fetch(connection, DIVISIONS)
    if not divided:
        return
    ended = {
        code: (known, state, successors)
        for code, known, state, successors in fetch(connection, ENDED)
    }
    codes = {known: code for code, (known, *_) in ended.items()}
    heirs = dict(fetch(connection, SPLITS))
    for number, account, credit, amount, text in divided:
        with suppress(*UNREADABLE):
            first, *shares = orjson.loads(text)
            code = first["party_id"]
            while ended[code][1] == "merged":
                code = codes[orjson.loads(ended[code][2])[0]]
            successors = {codes[one] for one in orjson.loads(heirs[ended[code][0]])}
            due = {
                "account": {account}, "amount_fen": amount, "debit_fen": amount,
                "heirs": {share["party_id"] for share in shares} & successors,
            }  # fmt: skip
            known = {
                "account": {credit, *(line["account"] for line in (first, *shares))},
                "amount_fen": sum(share["credit_fen"] for share in shares),
                "debit_fen": first["debit_fen"], "heirs": {share["party_id"] for share in shares},
            }  # fmt: skip
            if known != due:
                yield f"booking {number}", "lines", text, AS_SAID


# ---------------------------------------------------------------- what each deed books


def _line(account: str, debit: int, credit: int, party: str | None = None) -> dict[str, Any]:
    return {"account": account, "credit_fen": credit, "debit_fen": debit, "party_id": party}


def _received(amount: int, net: int) -> Any:
    return trading.earned(BANK, None, amount, net)


def _remitted(amount: int, purpose: str, party: str) -> Any:
    return [_line(BANK, amount, 0), _line(PURPOSES[purpose], 0, amount, party)]


def _refunded(amount: int, vat: int, net: int, buyer: str, in_advance: Any) -> Any:
    from_advance = [_line(PREPAID, amount, 0, buyer)] if in_advance else []
    shared = [_line(UNDISTRIBUTED, net, 0)] if net and not in_advance else []
    taxed = [_line(VAT, vat, 0)] if vat else []
    return [*from_advance, *shared, *taxed, _line(REFUNDS, 0, amount, buyer)]


def _confirmed(amount: int, net: int, exchange: str) -> Any:
    return trading.earned(DUE, exchange, amount, net)


def _ordered(price: int, buyer: str) -> Any:
    return trading.earned(PREPAID, buyer, price, trading.net_of(price))


def _chosen(debit: str, credit: str, amount: int) -> Any:
    """None of the entries where the accounts are not ones between which is booked by hand."""
    fits = (debit, credit) in journals.PAIRS
    return [_line(debit, amount, 0), _line(credit, 0, amount)] if fits else None


# A deed's label, the lines and book of its entry, its own book, and what `due_of` makes lines of.
DEEDS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("""SELECT p.reference, e.lines, e.book_id, p.agreement_id, p.amount_fen, p.net_fen
     FROM payments p
     LEFT JOIN entries e ON e.cause_id = p.id AND e.reverses IS NULL
     WHERE p.n IS NOT NULL AND NOT EXISTS (
       SELECT 1 FROM orders o WHERE o.reference = p.reference AND o.hold_id IS NOT NULL)""", _received),
    ("""SELECT r.reference, e.lines, e.book_id, r.agreement_id, r.amount_fen, r.purpose, q.uscc
     FROM remittances r LEFT JOIN parties q ON q.id = r.party_id
     LEFT JOIN entries e ON e.cause_id = r.id AND e.reverses IS NULL""", _remitted),
    ("""SELECT f.number, e.lines, e.book_id, f.agreement_id, f.amount_fen, f.vat_fen, f.net_fen, f.buyer,
     f.remittance_id FROM refunds f
     LEFT JOIN entries e ON e.cause_id = f.id AND e.reverses IS NULL
     WHERE f.state = 'approved' AND NOT f.undoes""", _refunded),
    ("""SELECT c.number, e.lines, e.book_id, c.agreement_id, c.amount_fen, c.net_fen, q.uscc
     FROM confirmations c LEFT JOIN parties q ON q.id = c.exchange_id
     LEFT JOIN entries e ON e.cause_id = c.id AND e.reverses IS NULL""", _confirmed),
    ("""SELECT o.reference, h.lines, h.book_id, o.agreement_id, o.price_fen, q.uscc
     FROM orders o LEFT JOIN parties q ON q.id = o.buyer_id LEFT JOIN holds h ON h.id = o.hold_id
     WHERE o.hold_id IS NOT NULL""", _ordered),
    ("""SELECT j.number, e.lines, e.book_id, j.agreement_id, j.debit, j.credit, j.amount_fen
     FROM journals j
     LEFT JOIN entries e ON e.cause_id = j.id AND e.reverses IS NULL
     WHERE j.state = 'approved' AND j.kind = 'chosen'""", _chosen),
)  # fmt: skip
ENTRIES = (
    "SELECT id, number, cause_key, book_id, effective_on, effective_at, memo, lines, reverses, body_digest "
    "FROM entries WHERE id > :after ORDER BY id LIMIT :page"
)
# Each cause in the state in which it books, by an entry of its own or by one that it takes back.
BOOKS_ITSELF: Mapping[str, str] = {
    "payments": "NOT EXISTS (SELECT 1 FROM orders o WHERE o.reference = c.reference "
    "AND o.hold_id IS NOT NULL)",
    "remittances": "1 = 1",
    "confirmations": "1 = 1",
    "refunds": "c.state = 'approved' AND NOT c.undoes",
    "statements": "c.state IN ('posted', 'reversed') AND c.reverses IS NULL",
    "journals": "c.state = 'approved' AND c.undoes IS NULL",
    "holds": "c.state = 'posted'",
}
TAKES_BACK: Mapping[str, str] = {
    "refunds": "c.state = 'approved' AND c.undoes",
    "statements": "c.state = 'posted' AND c.reverses IS NOT NULL",
    "journals": "c.state = 'approved' AND c.undoes IS NOT NULL",
    "holds": "c.id = (SELECT o.cause_id FROM entries o WHERE o.id = e.reverses)",
}


def _none_of(causes: Mapping[str, str]) -> str:
    return " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {table} c WHERE c.id = e.cause_id AND {books_it})"  # noqa: S608 - our own words
        for table, books_it in causes.items()
    )


CAUSELESS = (
    "SELECT e.number, e.cause_id FROM entries e WHERE e.reverses IS NULL AND "  # noqa: S608 - our own words
    f"(COALESCE(e.cause_key, '') <> '' OR {_none_of(BOOKS_ITSELF)}) "
    f"UNION ALL SELECT e.number, e.cause_id FROM entries e WHERE e.reverses IS NOT NULL AND "
    f"{_none_of(TAKES_BACK)}"
)
REVERSED_BY_NONE = """
SELECT r.number, r.reverses FROM entries r JOIN entries e ON e.id = r.reverses
LEFT JOIN statements s ON s.id = r.cause_id LEFT JOIN journals j ON j.id = r.cause_id
LEFT JOIN journals d ON d.id = j.undoes
WHERE COALESCE(e.book_id, r.book_id) <> r.book_id
   OR s.id IS NOT NULL AND e.cause_id <> s.reverses OR j.id IS NOT NULL AND e.id <> d.entry_id
"""
NOT_UNDONE = """
SELECT f.number, e.reverses, o.id FROM refunds f
LEFT JOIN entries e ON e.cause_id = f.id
LEFT JOIN entries o ON o.cause_id = COALESCE(f.payment_id, f.remittance_id) AND o.reverses IS NULL
WHERE f.state = 'approved' AND f.undoes AND (e.reverses IS NULL OR o.id IS NULL OR e.reverses <> o.id)
"""
ORDERS_NOT_AS_HELD = """
SELECT o.reference, o.state, h.state FROM orders o LEFT JOIN holds h ON h.id = o.hold_id
WHERE o.hold_id IS NOT NULL
  AND (h.id IS NULL OR h.cause_id <> o.id OR (o.state = 'fulfilled') <> (h.state = 'posted'))
"""
HOLDS = """
SELECT h.number, h.cause_key, h.book_id, h.lines, h.amount_fen, h.body_digest, e.lines, e.book_id
FROM holds h LEFT JOIN entries e ON e.cause_id = h.id AND e.reverses IS NULL
"""
DIVISIONS = """
SELECT number, debit, credit, amount_fen, lines FROM journals
WHERE kind = 'division' AND state IN ('proposed', 'approved')
"""
ENDED = "SELECT uscc, id, state, successor_ids FROM parties"
SPLITS = "SELECT party_id, to_ids FROM successions WHERE kind = 'split' ORDER BY id"
