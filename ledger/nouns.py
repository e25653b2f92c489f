"""The nouns of the ledger, each a module with tables of its own, which are known once it is read."""

from ledger import (
    agreements,
    appraisals,
    books,
    catalogue,
    catalogue_imports,
    demands,
    duties,
    exclusions,
    feedback,
    handoff,
    log,
    messages,
    parties,
    registration,
    revenue,
    search,
    settings,
    stewards,
    successions,
    trading,
    usage,
    vouchers,
    witnesses,
)
from ledger.chain import outbox
from ledger.store import Evidence

NOUNS = (agreements, appraisals, books, catalogue, catalogue_imports, demands, duties, exclusions,
         feedback, handoff, log, messages, outbox, parties, registration, revenue, search, settings,
         stewards, successions, trading, usage, vouchers, witnesses)  # fmt: skip


def evidence_tables() -> list[type[Evidence]]:
    """Every table whose rows are the fold of records."""
    return sorted(Evidence.__subclasses__(), key=lambda table: table.__tablename__)
