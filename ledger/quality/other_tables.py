"""The other tables that rules hold a file against: opened once, each with its digest in the profile.

A rule names a table by the name of its file. It stands beside the rule file, or is named by the caller
(`shuzheng profile --table`), never fetched: a name with a folder in it is refused.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import polars as pl

from ledger.errors import Invalid
from ledger.quality.data_file import DataFile, filled, opened


@dataclass(frozen=True, slots=True)
class Table:
    """Another table that was looked into: which file it was."""

    name: str
    digest: str
    row_count: int


@dataclass(slots=True)
class Tables:
    """The other tables by name, opened when a rule asks, closed together; see `looked_into`."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    _files: dict[str, DataFile] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Tables":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def file(self, name: str, columns: list[str]) -> DataFile:
        """A table, which must have the columns; raises Invalid naming what is not there."""
        if name not in self.paths:
            raise Invalid(
                "The rules look into the table {name}, which was not given; known: {known}.",
                name=name, known=", ".join(sorted(self.paths)) or "-",
            )  # fmt: skip
        if name not in self._files:
            self._files[name] = self._open.enter_context(opened(self.paths[name]))
        file = self._files[name]
        if lacking := [column for column in columns if column not in file.header]:
            raise Invalid(
                "The table {name} has no column {lacking}, which the rules look into; it has: {known}.",
                name=name, lacking=", ".join(lacking), known=", ".join(file.header),
            )  # fmt: skip
        return file

    def values(self, name: str, column: str) -> pl.Series:
        """The different filled texts of a column of a table."""
        file = self.file(name, [column])
        cells = pl.col(file.id(column)).alias("value")
        found = file.frame.select(cells).filter(filled(pl.col("value"))).unique()
        return found.collect(engine="streaming")["value"]

    def looked_into(self) -> tuple[Table, ...]:
        """The tables that were opened, in the order of their names."""
        return tuple(
            Table(name, file.digest, file.row_count) for name, file in sorted(self._files.items())
        )
