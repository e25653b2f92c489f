"""The statistical report of the registry (统计报告): what was registered, vouched for, traded, received.

`report` answers the tables of `statistics_definitions` over a span of days, by month, quarter or year, with
the checks that must agree. What a public reader may see of amounts `withhold` decides:

- An amount that rests on fewer than `PARTIES_LEAST` parties is withheld: of sellers and licensees (of what
  was distributed: payees and operators; at exchanges: exchanges, operators and buyers) the fewest count.
- The public is told amounts by whole calendar quarters that are over, or by years of such quarters, and by
  nothing else. So no two reports ever differ by a part of a quarter, and a quarter that is over does not
  change, since what is entered late counts on its day. Where it does, since a receipt of it was undone
  afterwards, what is received in it is withheld from then on: else today's report and an earlier one
  would tell that receipt by their difference.
- What sums a withheld cell up is withheld too: a year, a total, and, where one row of a quarter is
  withheld, all rows of it. What is left are sums of shown cells: no difference tells what is withheld.
- Of amounts that accumulate (not distributed) the public is told none: from one end to the next they would
  tell what came in between. Nor of what is added to them: its parts are received and refunded, told alone.

The threshold and this way are ours; 统计法 (art. 25 of 2009, art. 28 since 2024; from memory, to be
verified) asks that nothing be published from which a single respondent can be told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ledger.calendar import SHANGHAI, local_date
from ledger.errors import Faults, Invalid
from ledger.parties import Actor, allowed, may
from ledger.statistics_definitions import CHECKS, INDICATORS, ROWS, Indicator
from ledger.statistics_queries import ALL, BEFORE, PARTIES_LEAST, Found, Reader
from valuation import national_table

BY = ("month", "quarter", "year")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
PERIODS_MOST = 120


@dataclass(frozen=True)
class Period:
    """Days from `start` to `until`, both included; `is_whole`: a whole month, quarter or year."""

    label: str
    start: date
    until: date
    is_whole: bool

    def to_dict(self) -> dict[str, Any]:
        """The period in JSON types."""
        return {
            "from": self.start.isoformat(), "label": self.label, "until": self.until.isoformat(),
            "whole": self.is_whole,
        }  # fmt: skip


def report(
    session: Session, actor: Actor, now: datetime, *, start: date | None = None,
    until: date | None = None, by: str = "month",
) -> dict[str, Any]:  # fmt: skip
    """The report over the days from `start` to `until`, as this reader may see it.

    Default: this year until today, in Asia/Shanghai. Raises Invalid naming what is wrong with the span.

    Returns ``{"from", "until", "by", "made_on", "full", "periods", "tables", "checks"}``. A table has its
    definition, and rows with a value for each period and a total; a value is None where it is withheld
    (or, of a total, where the values do not add up).
    """
    may(actor, "statistics.read")
    today = local_date(now)
    until = until or today
    start = start or until.replace(month=1, day=1)
    spans = periods(start, until, by, today)
    is_full = allowed(actor, "statistics.amounts")
    tables, checks = _tables(session, actor, spans, with_buyers=by == "quarter" and not is_full)
    if not is_full:
        tables = withhold(session, tables, spans, by, today)
    for check in checks if not is_full else ():
        if check["unit"] == "fen":
            check["left"] = check["right"] = None
    return {
        "by": by, "checks": checks, "from": start.isoformat(), "full": is_full,
        "made_on": today.isoformat(), "periods": [one.to_dict() for one in spans],
        "tables": [_shown(table) for table in tables], "until": until.isoformat(),
    }  # fmt: skip


def periods(start: date, until: date, by: str, today: date) -> list[Period]:
    """The periods of a span: calendar ones, the first and last cut to it. Raises Invalid."""
    faults = Faults()
    if by not in BY:
        faults.name_fault("the field {name} must be one of {choices}", "by", name="by",
                          choices=", ".join(BY))  # fmt: skip
    if until < start:
        faults.name_fault("the period ends on {end}, before it begins on {start}", "until",
                          start=str(start), end=str(until))  # fmt: skip
    if until > today:
        faults.name_fault("the period {start} to {end} has not ended", "until",
                          start=str(start), end=str(until))  # fmt: skip
    made = [] if faults else list(_spans(start, until, by))
    if len(made) > PERIODS_MOST:
        faults.name_fault("the span has more than {most} periods; choose longer ones", "by",
                          most=PERIODS_MOST)  # fmt: skip
    if faults:
        raise Invalid("The report cannot be made: {faults}.", faults=faults)
    return made


def _spans(start: date, until: date, by: str) -> list[Period]:
    made, months = [], MONTHS[by]
    first = start.replace(month=(start.month - 1) // months * months + 1, day=1)
    while first <= until:
        ahead = first.month - 1 + months
        following = first.replace(year=first.year + ahead // 12, month=ahead % 12 + 1)
        last = following - timedelta(days=1)
        label = {
            "month": f"{first:%Y-%m}", "quarter": f"{first.year}-Q{(first.month + 2) // 3}",
            "year": f"{first.year}",
        }[by]  # fmt: skip
        is_whole = start <= first and last <= until
        made.append(Period(label, max(start, first), min(until, last), is_whole))
        first = following
    return made


def _midnight(day: date) -> datetime:
    """When a day begins, in Asia/Shanghai."""
    return datetime.combine(day, time(), SHANGHAI)


def reader(session: Session, spans: Sequence[Period]) -> Reader:
    """The aggregates over consecutive periods."""
    ends = [_midnight(one.until + timedelta(days=1)) for one in spans]
    return Reader(session, _midnight(spans[0].start), ends)


# -- the tables ----------------------------------------------------------------------------------


def _tables(
    session: Session, actor: Actor, spans: Sequence[Period], *, with_buyers: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Every table as it is, and the checks; `with_buyers`: the buyers at exchanges are counted too."""
    read, count = reader(session, spans), len(spans)
    coded, ended = (
        {by: one(by) for by in ("object", "region")} for one in (read.coded, read.ended)
    )
    issued, voided = read.issued(), read.voucher_ended("voucher_kind")
    prices, paid = read.prices(), read.distributed()
    received, vat, net = read.received()
    in_force = {by: _standing(coded[by], ended[by], count) for by in coded}
    vouchers = _standing(issued, voided, count)
    added = read.to_share(net)
    open_fen = _standing(_all_rows(added), _part(paid, ""), count)
    suspended, categories = read.suspended(), read.categories(actor)
    standing = _sum(vouchers, count - 1)
    found = {
        "R1": read.applications(), "R2": read.decided(), "R3": coded["object"],
        "R4": read.ended("ending"), "R5": in_force["object"], "R6": _by_region(in_force["region"]),
        "R7": Found({name: {count - 1: number} for name, number in categories.items()}),
        "V1": issued, "V2": read.voucher_ended("voucher_ending"), "V3": vouchers,
        "V4": Found({
            "valid": {count - 1: standing - suspended}, "suspended": {count - 1: suspended},
        }),
        "V5": read.uses(), "T1": read.licences(), "T2": read.revoked_licences(),
        "T3": read.traders(), "T4": prices, "T5": read.confirmed(),
        "T6": read.confirmed_amounts(with_buyers=with_buyers), "T7": read.refunded(), "M1": received,
        "M2": vat, "M3": net, "M4": paid, "M5": open_fen, "M6": added,
    }  # fmt: skip
    tables = [_table(INDICATORS[code], one, count) for code, one in found.items()]
    last = count - 1
    opening = {
        "C1": _sum(coded["object"], BEFORE) - _sum(ended["object"], BEFORE),
        "C3": _sum(issued, BEFORE) - _sum(voided, BEFORE),
        "C6": _sum(added, BEFORE) - _sum(_part(paid, ""), BEFORE),
    }
    flow = {
        "C1": _sum(coded["object"], 0, count) - _sum(found["R4"], 0, count),
        "C3": _sum(issued, 0, count) - _sum(found["V2"], 0, count),
        "C6": _sum(added, 0, count) - _sum(_part(paid, ""), 0, count),
    }
    lines = sum(_sum(_part(paid, key), 0, count) for key in paid.numbers if key)
    sides = {
        "C1": (opening["C1"] + flow["C1"], read.in_force()),
        "C2": (_sum(in_force["object"], last), _sum(in_force["region"], last)),
        "C3": (opening["C3"] + flow["C3"], read.standing_vouchers()),
        "C4": (_sum(received, 0, count), _sum(vat, 0, count) + _sum(net, 0, count)),
        "C5": (lines, _sum(read.posted(), 0, count)),
        "C6": (opening["C6"] + flow["C6"], read.undistributed()),
    }
    checks = [
        {
            "code": code, "en": CHECKS[code][1], "holds": left == right, "left": left,
            "right": right, "unit": "fen" if code in ("C4", "C5", "C6") else "count",
            "zh": CHECKS[code][0],
        }
        for code, (left, right) in sides.items()
    ]  # fmt: skip
    return tables, checks


def _table(one: Indicator, found: Found, count: int) -> dict[str, Any]:
    """An indicator with its rows in their order; a fixed set of rows stands whole, zeros and all."""
    known = ROWS.get(one.by, {})
    keys = list(known) if known else sorted(key for key in found.numbers if key)
    if not known and ("" in found.numbers or not keys):
        keys.append("")
    keys += sorted(key for key in found.numbers if key and key not in keys)
    places = [count - 1] if one.at_end else list(range(count))
    rows: list[dict[str, Any]] = []
    for key in keys:
        numbers = found.numbers.get(key, {})
        values = [numbers.get(place, 0) for place in places]
        zh, en = _names(one.by, key)
        total = None
        if one.rule == "flow":
            total = sum(values) if one.adds_up else numbers.get(ALL, 0)
        rows.append({"en": en, "key": key, "total": total, "values": values, "zh": zh})
    together = None
    if one.adds_up and len(rows) > 1:
        sums = [sum(row["values"][n] for row in rows) for n in range(len(places))]
        total = sum(sums) if one.rule == "flow" else None
        together = {"en": "total", "key": "all", "total": total, "values": sums, "zh": "合计"}
    return {"indicator": one, "found": found, "rows": rows, "together": together}


def _names(by: str, key: str) -> tuple[str, str]:
    """What a row is called."""
    if by in ROWS and key in ROWS[by]:
        return ROWS[by][key]
    if not key:
        return "未标明", "not stated"
    return national_table.region_name(key) if by == "region" else (key, key)


def _shown(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table in JSON types."""
    one: Indicator = table["indicator"]
    return {**one.to_dict(), "rows": table["rows"], "together": table["together"]}


def _standing(came: Found, went: Found, count: int) -> Found:
    """What there was at the end of each period: all that came less all that went until then."""
    made = Found()
    for key in {*came.numbers, *went.numbers}:
        level = 0
        for place in range(BEFORE, count):
            level += came.numbers.get(key, {}).get(place, 0) - went.numbers.get(key, {}).get(
                place, 0
            )
            if place != BEFORE:
                made.put(key, place, level)
    return made


def _by_region(found: Found) -> Found:
    """What has no region of a province stands under none."""
    made = Found()
    for key, numbers in found.numbers.items():
        region = key if key.isdigit() and key[:2] in national_table.PROVINCES else ""
        for place, number in numbers.items():
            made.put(region, place, number)
    return made


def _all_rows(found: Found) -> Found:
    """All rows as one."""
    made = Found()
    for numbers in found.numbers.values():
        for place, number in numbers.items():
            made.put("", place, number)
    return made


def _part(found: Found, key: str) -> Found:
    """One row alone."""
    return Found({"": found.numbers.get(key, {})})


def _sum(found: Found, start: int, until: int | None = None) -> int:
    """All rows at one place, or at those from `start` to before `until`."""
    places = range(start, until) if until is not None else (start,)
    return sum(one.get(place, 0) for one in found.numbers.values() for place in places)


# -- what the public may see ---------------------------------------------------------------------


def withhold(
    session: Session, tables: list[dict[str, Any]], spans: Sequence[Period], by: str, today: date
) -> list[dict[str, Any]]:
    """The tables as everybody may see them: of amounts only what no party can be told from."""
    if by == "quarter":
        quarters = list(spans)
        behind = {one["indicator"].code: one["found"] for one in tables}
    else:
        quarters = periods(spans[0].start, spans[-1].until, "quarter", today)
        read = reader(session, quarters)
        behind = dict(zip(("M1", "M2", "M3"), read.received(), strict=True))
        behind |= {"T4": read.prices(), "M4": read.distributed(), "T7": read.refunded(),
                   "T6": read.confirmed_amounts(with_buyers=True)}  # fmt: skip
    for code in ("M5", "M6"):  # what accumulates is told nobody, nor what is added to it
        behind.pop(code, None)
    made = []
    for table in tables:
        if table["indicator"].unit != "fen":
            made.append(table)
            continue
        found = behind.get(table["indicator"].code)
        told = [
            found is not None and _is_over(one, today) and _rests(found, [""], n)
            for n, one in enumerate(quarters)
        ]
        rows_told = [
            found is not None and ok and _rests(found, list(found.parties), n)
            for n, ok in enumerate(told)
        ]
        made.append(_without(table, spans, by, quarters, told, rows_told))
    return made


def _is_over(quarter: Period, today: date) -> bool:
    """Whether a quarter is told whole, and can no longer change."""
    return quarter.is_whole and quarter.until < today


def _rests(found: Found, keys: Sequence[str], place: int) -> bool:
    """Whether no cell of these rows rests on a few parties; one that nobody stands behind is a zero."""
    return all(not 0 < found.parties.get(key, {}).get(place, 0) < PARTIES_LEAST for key in keys)


def _without(
    table: Mapping[str, Any], spans: Sequence[Period], by: str, quarters: Sequence[Period],
    told: Sequence[bool], rows_told: Sequence[bool],
) -> dict[str, Any]:  # fmt: skip
    """A table of amounts with None in place of what is withheld."""

    def shown(safe: Sequence[bool]) -> list[bool]:
        if by == "month":
            return [False] * len(spans)
        return [
            one.is_whole
            and all(ok for ok, quarter in zip(safe, quarters, strict=True)
                    if one.start <= quarter.start <= one.until)
            for one in spans
        ]  # fmt: skip

    def cut(row: Mapping[str, Any], keep: Sequence[bool]) -> dict[str, Any]:
        values = [value if ok else None for value, ok in zip(row["values"], keep, strict=True)]
        return {**row, "total": row["total"] if all(keep) else None, "values": values}

    together, rows = table["together"], table["rows"]
    of_total, of_rows = shown(told), shown(rows_told)
    keep = of_rows if together is not None else of_total
    return {
        **table, "rows": [cut(row, keep) for row in rows],
        "together": None if together is None else cut(together, of_total),
    }  # fmt: skip
