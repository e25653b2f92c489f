"""What an import would take in (预览): its rows and sums, and what becomes of each row; nothing is stored.

A preview is a deed beside the import it is of: the same right, path (with `:preview`), body and refusals.
It does all that the import does in a transaction that is undone. Only the file is kept, by its digest, so
that the import can then take in just these bytes; and the answer, of a job and under a caller's key.

    answer  {"digest","known","more","name","rows","rows_told":[{column: value}],"sums":{name: value}}

`known` counts the rows that are there already; `rows_told` are at most `ROWS_TOLD`, `more` are left out.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from ledger.parties import Actor
from ledger.store import Evidence
from webapp.deeds import DEEDS, Deed, Desk, Report, deed

ROWS_TOLD = 200
SAYS = "{name}: {rows} rows, {known} of them are there already; nothing is stored yet."
SUMS = {
    "number": "Recorded already as", "exchange_number": "Number of the exchange", "agreement": "Agreement",
    "from_on": "First day", "until_on": "Last day", "amount_yuan": "Amount (yuan)",
    "net_yuan": "Net (yuan)", "vat_yuan": "VAT (yuan)", "paid_count": "Payments made",
    "paid_yuan": "Paid (yuan)", "failed_count": "Payments that failed",
    "failed_yuan": "Failed (yuan)", "returned_count": "Payments that came back",
    "returned_yuan": "Came back (yuan)", "beyond_yuan": "Paid beyond what is owed (yuan)",
    "in_yuan": "In (yuan)", "out_yuan": "Out (yuan)", "matched": "Matched", "differences": "Differences",
    "bank_yuan": "Last balance at the bank (yuan)", "state": "State afterwards",
}  # fmt: skip
COLUMNS = {
    "row": "Row", "serial": "Serial number", "trade": "Trade", "voucher": "Voucher", "buyer": "Buyer",
    "day": "Day", "reference": "Bank's reference", "amount_yuan": "Amount (yuan)",
    "counterparty": "Counterparty", "result": "Result", "finding": "What becomes of it",
}  # fmt: skip
FINDINGS = {
    "amount": "Other amount", "balance": "Other balance", "day": "Other day", "known": "There already",
    "matched": "Matched", "missing_here": "Missing in the books",
    "missing_there": "Missing in the file", "new": "New", "twice": "Stands twice",
}  # fmt: skip


def preview(of: Deed, title: str, tell: Callable[..., Mapping[str, Any]]) -> Deed:
    """Enter the preview of an import: `tell(desk, session, actor, found…, **body)` gives its facts.

    What `tell` writes is undone.
    """

    def judge(desk: Desk, report: Report, actor: Actor, *found: Any, **body: Any) -> dict[str, Any]:
        more = of.prepare(desk, report, actor, *found, **body) if of.prepare else {}
        with desk.home.trial() as session:
            rows = (
                session.get_one(type(row), row.id) if isinstance(row, Evidence) else row
                for row in found
            )
            told = tell(desk, session, actor, *rows, **body, **more)
        return {"told": {"digest": body["digest"], "name": body["name"], **told}}

    def act(
        _desk: Desk, _session: Session, _actor: Actor, *_found: Any, told: dict[str, Any], **_body: Any
    ) -> dict[str, Any]:  # fmt: skip
        return told

    return deed(of.verb, f"{of.path}:preview", title, SAYS, name=f"{of.name}_preview", body=of.body,
                owners=of.owners, upload=True, long=of.long, records=False, prepare=judge,
                of=of.name)(act)  # fmt: skip


def preview_of(thing: Deed) -> Deed | None:
    """The preview of a deed, where there is one."""
    return DEEDS.get(f"{thing.name}_preview")
