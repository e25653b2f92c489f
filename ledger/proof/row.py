"""The proof of one row of a batch: the row, its way to the batch's root, and the batch's own proof.

    {"bundle": {…bundle of the record usage.recorded…},    its payload's body names root and count
     "inclusion": ["<hex>", …],                             from the row to `batch_root`
     "row": {…}, "row_index": 6, "salt": "<32 hex>",        0-based, as leaves are counted
     "type": "shuzheng/usage-row", "v": 1}

A row of trades an exchange confirmed is "shuzheng/trade-row", its record confirmation.recorded.

It reveals no other row. `check_row` does the row's part; the bundle is checked like every other.
"""

from typing import Any

from ledger.errors import Invalid, ProofFailed
from ledger.proof.bundle import is_one, row_hash
from ledger.proof.encoding import unhex
from ledger.proof.merkle import verify_inclusion

ROW_TYPE = "shuzheng/usage-row"
ROW_KEYS = {"bundle", "inclusion", "row", "row_index", "salt", "type", "v"}
TRADE_TYPE = "shuzheng/trade-row"
BATCH_KINDS = {ROW_TYPE: "usage.recorded", TRADE_TYPE: "confirmation.recorded"}


def check_row(document: Any) -> dict[str, Any]:
    """The bundle of the batch that the row stands in, which is to be checked next.

    Raises Invalid for a wrong form, and ProofFailed (step `row`) where the row is none of the batch's.
    """
    if (
        type(document) is not dict
        or document.get("type") not in (ROW_TYPE, TRADE_TYPE)
        or not is_one(document.get("v"))
    ):
        raise Invalid("This is no row proof of version 1.")
    if set(document) != ROW_KEYS:
        raise Invalid(
            "The row proof's fields are not the {count} of version 1: {odd}.",
            count=len(ROW_KEYS), odd=sorted(map(str, set(document) ^ ROW_KEYS)),
        )  # fmt: skip
    row, index, path = document["row"], document["row_index"], document["inclusion"]
    if type(row) is not dict or type(index) is not int or type(path) is not list:
        raise Invalid("The row proof is malformed.")
    bundle = document["bundle"]
    payload = bundle.get("payload") if type(bundle) is dict else None
    kind, body = (payload.get("kind"), payload.get("body")) if type(payload) is dict else ("", None)
    count = body.get("row_count") if type(body) is dict else None
    if type(body) is not dict or kind != BATCH_KINDS[document["type"]] or type(count) is not int:
        raise Invalid("The row proof's bundle is not that of a batch of such rows.")
    leaf = row_hash(unhex(document["salt"], 16), row)
    try:
        verify_inclusion(
            leaf, index, count, [unhex(one, 32) for one in path], unhex(body.get("batch_root"), 32)
        )
    except ProofFailed as error:
        raise ProofFailed(
            "Row {index} is not in this batch: {why}", step="row", index=index, why=error.sentence
        ) from error
    return dict(bundle)
