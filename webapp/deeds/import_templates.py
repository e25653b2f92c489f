"""The tables that are handed in as files: what is told of their columns, and templates to fill in.

Which columns there are and what else they may be called is the reader's own table; here stands what people
are told of each. The form of an import, its template and `shuzheng template` all come from these.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.orm import Session

from ledger import (
    bank_files,
    import_templates,
    national_sheet,
    payment_files,
    trade_rules,
    usage_rules,
)
from ledger.import_templates import GUIDES, Heading, Kind
from ledger.tables.events import EVENTS, Columns
from valuation.national_table import AMOUNTS, INDUSTRIES
from valuation.pricing import UNITS
from webapp.deeds import Desk, File, Question, Thing, question
from webapp.language import language, tr
from webapp.tables import XLSX

Words = Sequence[tuple[str, str]]
Titles = Mapping[str, tuple[str, ...]]
DAY, AMOUNT = (
    "the day: 2026-01-31, 2026/1/31, 20260131 or with 年月日",
    "yuan, at most two decimals",
)
PASSED_OVER = "CSV or XLSX; other columns are passed over. A last row of totals may stand there."
REFUSED = "Other columns are refused, so that no personal data come in."
GUIDE_TITLES: Final = (
    "Column", "Must be filled in", "What it holds", "Example", "Values", "Also called",
)  # fmt: skip
NEEDS: Final = {
    "always": "required",
    "case": "as described",
    "free": "optional",
    "beside": "not read",
}
NOTES: Final = (
    "Only the first sheet is read: one row each below its headings, which stay as they are.",
    "The examples on this sheet are never taken as data.",
)
UNANSWERED = (
    "Delete the rows that the bank has not answered yet, and hand them in with its next result."
)


@dataclass(frozen=True)
class Told:
    """What people are told of a column; `words` are those that are understood, in Chinese and English."""

    holds: str
    example: str | tuple[str, str]
    kind: Kind = "text"
    words: Words = ()
    is_conditional: bool = False


@dataclass(frozen=True)
class FileTable:
    """A kind of table that is handed in: its reader's columns, and what is told of them.

    `sheet` is what it is called, `note` what is said of other columns; `beside` are columns that only the
    template has, for the eye.
    """

    sheet: str
    needed: Sequence[str]
    titles: Titles
    told: Mapping[str, Told]
    note: str
    notes: Sequence[str] = ()
    beside: Mapping[str, tuple[tuple[str, ...], Told]] = field(default_factory=dict)

    def headings(self, *, beside: bool = False) -> list[Heading]:
        """Its columns in the reader's language; those of `beside`, where wanted, behind the first."""
        made = [
            self._heading(column, self.titles[column], told) for column, told in self.told.items()
        ]
        if beside:
            made[1:1] = [self._heading(name, *one) for name, one in self.beside.items()]
        return made

    def _heading(self, column: str, titles: tuple[str, ...], told: Told) -> Heading:
        zh = language() == "zh"
        title = next(one for one in titles if zh or one.isascii())
        need = (
            "beside" if column in self.beside else "case" if told.is_conditional
            else "always" if column in self.needed else "free"
        )  # fmt: skip
        example = told.example if isinstance(told.example, str) else told.example[not zh]
        return Heading(
            column, title, tuple(one for one in titles if one != title), told.kind,
            tuple(word[not zh] for word in told.words), tr(told.holds), tr(NEEDS[need]), example,
        )  # fmt: skip

    def workbook(self, rows: Sequence[Mapping[str, Any]] = ()) -> bytes:
        """Its template in the reader's language, blank or with what is known already."""
        return import_templates.write(
            tr(self.sheet), GUIDES[language()], self.headings(beside=bool(rows)),
            [tr(title) for title in GUIDE_TITLES],
            [tr(note) for note in (*NOTES, self.note, *self.notes)], rows,
        )  # fmt: skip


def _words(known: Mapping[str, str]) -> Words:
    """The first Chinese and the first English word of each meaning."""
    made: dict[str, tuple[str, str]] = {}
    for meaning in known.values():
        of = [word for word, other in known.items() if other == meaning]
        english = next((word for word in of if word.isascii()), meaning)
        made.setdefault(meaning, (next(word for word in of if not word.isascii()), english))
    return list(made.values())


def _titles(columns: Columns) -> Titles:
    return {
        column: (*(title for title, meant in columns.aliases.items() if meant == column), column)
        for column in columns.all
    }


RESULT = FileTable(
    "Payment results", bank_files.RESULT[0], bank_files.ALIASES,
    {
        "serial": Told("the serial number of the payment file", "ZF2026-000001-00001"),
        "amount": Told(AMOUNT, "169284.91", "yuan"),
        "result": Told("成功 (paid), 失败 (failed) or 退汇 (came back)", ("成功", "success"),
                       words=_words(bank_files.RESULTS)),
        "day": Told("of what was paid or came back: the day: 2026-01-31, 2026/1/31, 20260131 or with "
                    "年月日", "2026-10-09", "day",
                    is_conditional=True),
        "reference": Told("of what was paid or came back: the bank's number of the movement",
                          "202610090000000012345", is_conditional=True),
        "reason": Told("of what failed or came back: why", ("户名与账号不符", "name and number differ"),
                       is_conditional=True),
        "debit": Told("may be left out: the sum of the debit, where one debit paid several", "338569.82",
                      "yuan"),
    },
    PASSED_OVER, (UNANSWERED,),
    {"payee": ((payment_files.TITLES[2], "payee"),
               Told("who is paid, so that the row is found; it is not read", ""))},
)  # fmt: skip
STATEMENT = FileTable(
    "Account statement", bank_files.STATEMENT[0], bank_files.ALIASES,
    {
        "day": Told(DAY, "2026-10-09", "day"),
        "reference": Told("the bank's number of the movement", "202610090000000012345"),
        "in": Told("what came in, in yuan; else empty", "380000.00", "yuan", is_conditional=True),
        "out": Told("what went out, in yuan; else empty", "169284.91", "yuan", is_conditional=True),
        "counterparty": Told("may be left out: who is on the other side",
                             ("某某科技有限公司", "A Company Ltd")),
        "memo": Told("may be left out: what the bank says it is for", ("数据许可费", "data licence fee")),
        "balance": Told("may be left out: what stands on the account after it, in yuan", "210715.09",
                        "yuan"),
    },
    PASSED_OVER,
)  # fmt: skip
REPORT = FileTable(
    "Report of trades", bank_files.REPORT[0], bank_files.ALIASES,
    {
        "trade": Told("the exchange's number of the trade", "JY202610090001"),
        "amount": Told(AMOUNT, "1060.00", "yuan"),
        "day": Told(DAY, "2026-10-09", "day"),
    },
    PASSED_OVER,
)  # fmt: skip
TRADES = FileTable(
    "Confirmed trades", trade_rules.COLUMNS.needed, _titles(trade_rules.COLUMNS),
    {
        "trade": Told("your own number of the trade, never used twice; up to 64 visible ASCII characters",
                      "JY202610090001"),
        "voucher": Told("number of the voucher it was made under", "PZ202609-000001-5"),
        "buyer": Told("the buyer's social credit code", "91000000DEM000003F"),
        "on": Told(DAY, "2026-10-09", "day"),
        "amount_yuan": Told("yuan, VAT included, at most two decimals", "1060.00", "yuan"),
        "unit": Told("may be left out: what it is charged by, else a product (产品数量)", "产品数量",
                     words=[(unit, unit) for unit in UNITS]),
        "quantity": Told("may be left out: a whole number from 1, else 1", "1", "count"),
    },
    REFUSED,
)  # fmt: skip
USAGE = FileTable(
    "Usage events", EVENTS.needed, _titles(EVENTS),
    {
        "at": Told("when it happened, such as 2026-01-31T08:00:00Z; without a zone it is Shanghai's time",
                   "2026-10-09 16:00:00"),
        "event": Told("your own number of the event, never used twice; up to 64 visible ASCII characters",
                      "E-20261009-0001"),
        "kind": Told("delivery (交付), use (使用) or query (查询, 调用)", ("使用", "use"),
                     words=_words(usage_rules.KIND_WORDS)),
        "licence": Told("order reference of the licence it happened under", "ORD-2026-0001"),
        "quantity": Told("a whole number from 1", "3", "count"),
        "unit": Told("a short word, such as 次 or MB", "次"),
        "digest": Told("may be left out: sha256:… of what was delivered",
                       f"sha256:{'0123456789abcdef' * 4}"),
    },
    REFUSED,
)  # fmt: skip
NATIONAL = FileTable(
    "Data capital", national_sheet.NEEDED, national_sheet.COLUMNS,
    {
        "industry": Told("the section letter of GB/T 4754", "I", words=[(one, one) for one in INDUSTRIES]),
        "region": Told("the six digits of GB/T 2260", "440305"),
        "year": Told("four digits", "2025", "count"),
        "producer": Told("the kind of producer", ("市场", "market"),
                         words=_words(national_sheet.PRODUCER_WORDS)),
        **{cost: Told(AMOUNT, "1200000.00", "yuan") for cost in AMOUNTS},
        "use_years": Told("may be left out: how many years it is used, such as 3", "3"),
        "spending_fen": Told("may be left out: what was spent on data, in yuan", "800000.00", "yuan"),
    },
    "Other columns are refused.",
)  # fmt: skip
# How the command line calls each.
TABLES: Final[Mapping[str, FileTable]] = {
    "national": NATIONAL, "report": REPORT, "result": RESULT, "statement": STATEMENT, "trades": TRADES,
    "usage": USAGE,
}  # fmt: skip
# Import → its table, and the question that answers with its template.
FILES: Final[dict[str, FileTable]] = {}
TEMPLATES: Final[dict[str, Question]] = {}


def template(
    of: Thing, table: FileTable,
    known: Callable[[Session, Any], Sequence[Mapping[str, Any]]] | None = None,
) -> Question:  # fmt: skip
    """Enter the template of an import, for whoever may do that.

    `known` gives the rows of the import's subject that are filled in already.
    """
    name = of.name.replace(".", "-")

    def act(_desk: Desk, session: Session, _actor: Any, *found: Any) -> File:
        if known is None:
            return File(table.workbook(), XLSX, f"{name}.xlsx")
        rows = known(session, found[-1])
        return File(table.workbook(rows), XLSX, f"{found[-1].number}-{name}.xlsx")

    FILES[of.name] = table
    TEMPLATES[of.name] = question(
        of.verb, f"{of.path}:template", "Template of the file (XLSX)", name=f"{of.name}_template",
        owners=of.owners, media_type=XLSX,
    )(act)  # fmt: skip
    return TEMPLATES[of.name]
