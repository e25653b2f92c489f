"""What the audit derives of the books: lines, accounts, reversals, holds, and the order of closings.

guards     the triggers that keep the books are there, as they were made
lines      entry_lines are the entries' own, and each entry balances
accounts   book_accounts are the fold of the lines, and of the pending holds; what is held is there, and no
           account is below its floor
limits     the floor of an account is its kind's, or that of the limit which stands
reversals  each undoes one entry that is no reversal, line by line
holds      a hold is booked exactly where it is said to be posted
divisions  a claim divided by a voucher, or taken back, is booked as it says
closings   no entry was recorded on a day that was closed by then; they follow each other without a gap,
           close days that are over, and only the last is taken back, by another person
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection

from ledger.audit_findings import Findings
from ledger.audit_rows import OPTIONS, fetch
from ledger.books import ACCOUNTS, held, reversed_lines
from ledger.calendar import local_date

Told = tuple[str, str, Any, Any]  # place, field, known, derived
# Of each guard as the migration made it, the digest: of its text, on PostgreSQL of its function's.
GUARDS: dict[str, dict[tuple[str, str], str]] = {
    "sqlite": {
        ("entries", "entries_checked"): "6a13fe82df97",
        ("entries", "entries_told"): "9de952594878",
        ("entries", "entries_undeleted"): "f59d625610d5",
        ("entries", "entries_unedited"): "48324266d290",
        ("entry_lines", "entry_lines_checked"): "4d6b6de34ea9",
        ("entry_lines", "entry_lines_undeleted"): "513e48987365",
        ("entry_lines", "entry_lines_unedited"): "6f9632f62067",
        ("payout_lines", "payout_lines_led"): "162d66f3f8d6",
        ("payout_lines", "payout_lines_led_again"): "8969d8821f9f",
        ("statements", "statements_go_on"): "960f6d1e7304",
        ("statements", "statements_go_on_again"): "b7044104a853",
    },
    "postgresql": {
        ("entries", "entries_kept"): "57582e6f1c81",
        ("entries", "entries_kept_whole"): "f41dbdb66646",
        ("entries", "entries_told"): "36e659534af7",
        ("entry_lines", "entry_lines_checked"): "5979374e6d90",
        ("entry_lines", "entry_lines_kept"): "57582e6f1c81",
        ("entry_lines", "entry_lines_kept_whole"): "f41dbdb66646",
        ("payout_lines", "payout_lines_led"): "638f63c669e9",
        ("statements", "statements_go_on"): "42194e90b2bd",
    },
}
GUARDS_OF = {
    "sqlite": "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT c.relname::text, t.tgname::text, "
    "t.tgenabled::text || t.tgtype::text || COALESCE(pg_get_expr(t.tgqual, t.tgrelid), '') || p.prosrc "
    "FROM pg_trigger t "
    "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace",
}
DIGITS = 12  # of a guard's digest


def guards(connection: Connection) -> dict[tuple[str, str], str]:
    """Every trigger of the database: table and name, and the digest of what it does."""
    return {
        (str(table), str(name)): sha256(" ".join(str(text).split()).encode()).hexdigest()[:DIGITS]
        for table, name, text in fetch(connection, GUARDS_OF[connection.dialect.name])
    }


def audit_guards(connection: Connection) -> Iterator[Told]:
    """Triggers that are not there as the migrations made them, and those that are not ours."""
    known, due = guards(connection), GUARDS[connection.dialect.name]
    for table, name in sorted(known.keys() | due.keys()):
        is_there, should = known.get((table, name)), due.get((table, name))
        if is_there != should:
            yield (
                f"table {table}", "trigger", f"{name} {is_there}" if is_there else "none",
                f"{name} {should}" if should else "none",
            )  # fmt: skip


class Closings:
    """Follows the records in their order: what is closed of each book, and which entry comes too late."""

    def __init__(self, findings: Findings, *, afresh: bool) -> None:
        self.findings = findings
        self.closed: dict[str, list[str]] = {} if afresh else findings["closed"] or {}
        self.watched = {"entry": self._entry, "period": self._period}

    def _period(self, _index: int, _digest: str, payload: Mapping[str, Any]) -> None:
        body = payload["body"]
        days = self.closed.setdefault(str(body.get("agreement_id")), [])
        day, number = str(body.get("until_on")), body.get("number")
        if payload["kind"] == "period.closed":
            self._closed(payload, days, day)
            days.append(day)
        else:
            if days and day != max(days):
                self.findings.compare("closing", number, "until_on", day, max(days))
            if payload.get("actor") == body.get("closed_by"):
                self.findings.compare("closing", number, "closed_by", payload.get("actor"),
                                      "another person")  # fmt: skip
            if day in days:
                days.remove(day)
        self.findings["closed"] = self.closed

    def _closed(self, payload: Mapping[str, Any], days: list[str], until_on: str) -> None:
        """A closing goes on where the last one ended, and over no day that is not over."""
        body = payload["body"]
        with suppress(OverflowError, TypeError, ValueError):
            at = datetime.fromisoformat(str(payload["at"]))
            if until_on >= (today := local_date(at).isoformat()):
                self.findings.compare("closing", body.get("number"), "until_on", until_on,
                                      f"before {today}")  # fmt: skip
            if days:
                due = (date.fromisoformat(max(days)) + timedelta(days=1)).isoformat()
                if body.get("from_on") != due:
                    self.findings.compare("closing", body.get("number"), "from_on",
                                          body.get("from_on"), due)  # fmt: skip

    def _entry(self, index: int, _digest: str, payload: Mapping[str, Any]) -> None:
        body = payload["body"]
        days = self.closed.get(str(body.get("book_id")))
        if days and str(body.get("effective_on")) <= max(days):
            self.findings.compare("booking", body.get("number"), "effective_on",
                                  body.get("effective_on"), f"after {max(days)}")  # fmt: skip


def audit_books(connection: Connection) -> Iterator[Told]:
    """What of lines, accounts, reversals and holds is not as entries and holds say."""
    postgresql = connection.dialect.name == "postgresql"
    for entry, n in fetch(connection, WRONG_LINES_POSTGRESQL if postgresql else WRONG_LINES_SQLITE):
        yield f"entry_lines {entry} {n}", "row", "of another content", "its entry's line"
    ((known, due),) = fetch(connection, COUNTS_POSTGRESQL if postgresql else COUNTS_SQLITE)
    if known != due:
        yield "entry_lines", "rows", known, due
    for number, debit, credit in fetch(connection, UNBALANCED):
        yield f"booking {number}", "lines", debit, credit
    yield from _accounts(connection)
    yield from _reversals(connection)
    for number, state in fetch(connection, NOT_BOOKED):
        yield f"booking {number}", "state", state, "posted where it is booked, and only there"
    for (number,) in fetch(connection, NOT_AS_DIVIDED):
        yield f"journal {number}", "lines", "of another content", "its entry's lines"


def _accounts(connection: Connection) -> Iterator[Told]:
    due: dict[tuple[Any, ...], list[Any]] = {}
    for book, account, party, fen in fetch(connection, FOLDED):
        kind = ACCOUNTS.get(account)
        if kind is None:
            yield f"entry_lines {book} {account}", "account", account, "an account of the books"
        else:
            rise = int(fen) if kind.side == "debit" else -int(fen)
            due[book, account, party] = [rise, 0, kind.floor_fen, None]
    aside: dict[tuple[Any, ...], int] = defaultdict(int)
    for book, text in fetch(connection, "SELECT book_id, lines FROM holds WHERE state = 'pending'"):
        with suppress(LookupError, TypeError, ValueError):  # such a row is told already
            for (account, party), fen in held(orjson.loads(text)).items():
                aside[book, account, party] += fen
    for place, fen in aside.items():
        if (kind := ACCOUNTS.get(place[1])) is None:
            yield f"holds {named(place)}", "lines", place[1], "an account of the books"
        else:
            due.setdefault(place, [0, 0, kind.floor_fen, None])[1] = fen
    yield from _limits(connection, due)
    for *key, posted, on_hold, floor, limit in fetch(connection, STANDING):
        derived = due.pop(tuple(key), None)
        if derived is None:
            yield f"book_accounts {named(key)}", "row", "a row", "none"
            continue
        yield from _kept(key, *derived)
        stood = (posted, on_hold, floor, limit)
        for field, one, should in zip(FIELDS, stood, derived, strict=True):
            if type(one) is not type(should) or one != should:
                yield f"book_accounts {named(key)}", field, one, should
    for left in due:
        yield f"book_accounts {named(left)}", "row", None, "a row"


def _kept(key: Iterable[Any], posted: int, on_hold: int, floor: Any, _limit: Any) -> Iterator[Told]:
    """What entries and holds took from an account that must stay there, or is not there."""
    if on_hold and on_hold > posted:
        yield f"book_accounts {named(key)}", "held_fen", on_hold, f"at most {posted}"
    if isinstance(floor, int) and posted - on_hold < floor:
        yield f"book_accounts {named(key)}", "posted_fen", posted - on_hold, f"at least {floor}"


def _limits(connection: Connection, due: Mapping[tuple[Any, ...], list[Any]]) -> Iterator[Told]:
    """Put the floors of the limits that stand into what is due of each account."""
    for number, *at, floor in fetch(connection, LIMITS):
        if (stands := due.get(tuple(at))) is None:
            yield f"limit {number}", "account", named(at), "an account of the books"
        elif floor is not None:
            least = stands[2] or 0
            if not (isinstance(floor, int) and floor >= least):
                yield f"limit {number}", "floor_fen", floor, f"at least {least}"
            stands[2:] = floor, number


def named(key: Iterable[Any]) -> str:
    """An account's book, account and party, whatever type who tampers left there."""
    return " ".join(str(part) for part in key if part != "")


def _reversals(connection: Connection) -> Iterator[Told]:
    for number, lines, of, undone, undoes in fetch(connection, REVERSALS):
        if of is None or undoes is not None:
            yield f"booking {number}", "reverses", of, "an entry that is no reversal"
            continue
        exchanged: Any = None
        with suppress(LookupError, TypeError, ValueError):
            exchanged = reversed_lines(orjson.loads(undone))
        if orjson.dumps(exchanged, option=OPTIONS).decode() != lines:
            yield f"booking {number}", "lines", lines, "those of the entry it reverses, exchanged"
    for reverses, times in fetch(connection, TWICE_REVERSED):
        yield f"booking {reverses}", "reverses", times, 1


FIELDS = ("posted_fen", "held_fen", "floor_fen", "limited_by")
# The book of an entry of before is its statement's agreement.
WRONG_LINES_SQLITE = """
SELECT e.id, j.key FROM entries e CROSS JOIN json_each(e.lines) j
LEFT JOIN entry_lines l ON l.entry = e.id AND l.n = j.key
WHERE l.entry IS NULL OR typeof(l.n) <> 'integer' OR typeof(l.entry) <> 'text'
   OR l.book IS NOT COALESCE(e.book_id,
        (SELECT s.agreement_id FROM statements s WHERE s.id = e.cause_id), '')
   OR l.account IS NOT json_extract(j.value, '$.account') OR typeof(l.account) <> 'text'
   OR l.party IS NOT COALESCE(json_extract(j.value, '$.party_id'), '') OR typeof(l.party) <> 'text'
   OR l.effective_on IS NOT e.effective_on
   OR l.debit_fen IS NOT json_extract(j.value, '$.debit_fen') OR typeof(l.debit_fen) <> 'integer'
   OR l.credit_fen IS NOT json_extract(j.value, '$.credit_fen') OR typeof(l.credit_fen) <> 'integer'
LIMIT 100
"""
WRONG_LINES_POSTGRESQL = """
SELECT e.id, j.n - 1 FROM entries e
CROSS JOIN LATERAL json_array_elements(e.lines::json) WITH ORDINALITY AS j(line, n)
LEFT JOIN entry_lines l ON l.entry = e.id AND l.n = j.n - 1
WHERE l.entry IS NULL
   OR l.book IS DISTINCT FROM COALESCE(e.book_id,
        (SELECT s.agreement_id FROM statements s WHERE s.id = e.cause_id), '')
   OR l.account IS DISTINCT FROM j.line ->> 'account'
   OR l.party IS DISTINCT FROM COALESCE(j.line ->> 'party_id', '')
   OR l.effective_on IS DISTINCT FROM e.effective_on
   OR l.debit_fen IS DISTINCT FROM (j.line ->> 'debit_fen')::bigint
   OR l.credit_fen IS DISTINCT FROM (j.line ->> 'credit_fen')::bigint
LIMIT 100
"""
COUNTS_SQLITE = (
    "SELECT (SELECT COUNT(*) FROM entry_lines), "
    "(SELECT COALESCE(SUM(json_array_length(lines)), 0) FROM entries)"
)
COUNTS_POSTGRESQL = (
    "SELECT (SELECT COUNT(*) FROM entry_lines), "
    "(SELECT COALESCE(SUM(json_array_length(lines::json)), 0)::bigint FROM entries)"
)
UNBALANCED = """
SELECT e.number, l.debit, l.credit
FROM (SELECT entry, SUM(debit_fen) AS debit, SUM(credit_fen) AS credit FROM entry_lines
      GROUP BY entry HAVING SUM(debit_fen) <> SUM(credit_fen)) l JOIN entries e ON e.id = l.entry
LIMIT 100
"""
FOLDED = (
    "SELECT book, account, party, SUM(debit_fen - credit_fen) FROM entry_lines "
    "GROUP BY book, account, party"
)
STANDING = (
    "SELECT book, account, party, posted_fen, held_fen, floor_fen, limited_by FROM book_accounts"
)
LIMITS = (
    "SELECT number, agreement_id, account, party, floor_fen FROM account_limits "
    "WHERE state = 'approved' ORDER BY number"
)
REVERSALS = (
    "SELECT r.number, r.lines, e.id, e.lines, e.reverses FROM entries r "
    "LEFT JOIN entries e ON e.id = r.reverses WHERE r.reverses IS NOT NULL"
)
TWICE_REVERSED = (
    "SELECT reverses, COUNT(*) FROM entries WHERE reverses IS NOT NULL "
    "GROUP BY reverses HAVING COUNT(*) > 1"
)
NOT_AS_DIVIDED = """
SELECT j.number FROM journals j
LEFT JOIN entries e ON e.id = j.entry_id LEFT JOIN journals d ON d.id = j.undoes
WHERE j.lines IS NOT NULL AND j.state = 'approved'
  AND (e.id IS NULL OR e.cause_id <> j.id OR e.lines <> j.lines
       OR COALESCE(e.reverses, '') <> COALESCE(d.entry_id, ''))
"""
NOT_BOOKED = """
SELECT h.number, h.state FROM holds h
WHERE (h.state = 'posted') <> EXISTS (SELECT 1 FROM entries e WHERE e.cause_id = h.id)
"""
