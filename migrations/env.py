"""Alembic runs the numbered revisions on a connection that `webapp.home.migrate` opened."""

from alembic import context

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
from ledger.store import Base
from webapp import accounts, drafts, jobs

NOUNS = (
    accounts,
    agreements,
    appraisals,
    books,
    catalogue,
    catalogue_imports,
    demands,
    drafts,
    duties,
    exclusions,
    feedback,
    handoff,
    jobs,
    log,
    outbox,
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
)  # fmt: skip  (imported so that their tables are known)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
