"""Alembic runs the numbered revisions on a connection that `webapp.home.migrate` opened."""

from alembic import context

from ledger.nouns import NOUNS
from ledger.store import Base
from webapp import accounts, drafts, jobs

# Imported so that their tables are known; the site's are no nouns of the ledger.
KNOWN = (*NOUNS, accounts, drafts, jobs)

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
