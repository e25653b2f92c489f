"""The migrations make exactly the tables that the code believes in, down and up again, on both."""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from ledger.nouns import evidence_tables
from ledger.store import Base, open_engine
from tests.conftest import Town
from webapp.home import migrate


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    made = open_engine(empty_database_url)
    yield made
    made.dispose()


def shape(engine: Engine) -> dict[str, Any]:
    """All that can be known of the tables: columns, keys, indexes, constraints."""
    seen = inspect(engine)
    return {
        table: {
            "columns": sorted(
                (c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)
            ),
            "foreign": sorted(
                (tuple(k["constrained_columns"]), k["referred_table"])
                for k in seen.get_foreign_keys(table)
            ),
            "indexes": sorted(
                (tuple(i["column_names"]), bool(i["unique"])) for i in seen.get_indexes(table)
            ),
            "primary": tuple(seen.get_pk_constraint(table)["constrained_columns"]),
            "unique": sorted(tuple(u["column_names"]) for u in seen.get_unique_constraints(table)),
        }
        for table in sorted(seen.get_table_names())
        if table != "alembic_version"
    }


def test_the_tables_are_the_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_up_down_up_is_where_we_were(engine: Engine) -> None:
    before = shape(engine)
    assert set(before) == set(Base.metadata.tables)
    migrate(engine, "base")
    assert shape(engine) == {}
    migrate(engine)
    assert shape(engine) == before
    migrate(engine)
    assert shape(engine) == before, "a second time changes nothing"


def test_a_migrated_database_holds_a_town(town: Town) -> None:
    town.voucher()
    snapshot = town.snapshot()
    migrate(town.home.engine)
    assert town.snapshot() == snapshot


def test_every_evidence_table_has_a_kind_of_subject_of_its_own() -> None:
    kinds = [table.subject_type for table in evidence_tables()]
    assert len(kinds) == len(set(kinds))
    assert all("subject_type" in vars(table) for table in evidence_tables())
