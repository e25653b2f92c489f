"""What a column holds is summed up from its distinct values, part by part, without keeping them."""

from dataclasses import dataclass, field

import polars as pl

from ledger.quality.data_file import is_type

_KINDS = ("integer", "decimal", "date", "datetime")


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds; lengths count characters of filled cells."""

    name: str
    type: str
    declared_type: str | None
    blank_count: int
    distinct_count: int
    min_length: int
    max_length: int


@dataclass(slots=True)
class Sum:
    """A column summed up from the parts of `DataFile.value_parts` seen so far."""

    blank_count: int = 0
    filled_count: int = 0
    distinct_count: int = 0
    min_length: int = 0
    max_length: int = 0
    kinds: list[str] = field(default_factory=lambda: list(_KINDS))

    def take(self, full: pl.DataFrame, cell_count: int, certain: str | None = None) -> None:
        """Takes in the filled rows of a part, how many cells the part stands for, a type known to fit."""
        self.blank_count += cell_count
        if full.is_empty():
            return
        few = full.head(1_000)  # most kinds fall by the first values already
        kinds: list[str] = []
        for kind in self.kinds:
            known = kind == certain or (kind == "decimal" and "integer" in kinds)
            if known or (_all(few, kind) and _all(full, kind)):
                kinds.append(kind)
        self.kinds = kinds
        count, least, most = full.select(
            pl.col("n").sum(), pl.col("length").min(), pl.col("length").max().alias("most")
        ).row(0)
        self.min_length = min(self.min_length or least, least)
        self.max_length = max(self.max_length, most)
        self.filled_count += count
        self.blank_count -= count
        self.distinct_count += full.height

    @property
    def type(self) -> str:
        """The narrowest type of all filled values; digits of one length over one are text (a code)."""
        if not self.distinct_count:
            return "blank"
        kind = self.kinds[0] if self.kinds else "text"
        one_length = self.min_length == self.max_length != 1
        return "text" if kind == "integer" and self.distinct_count > 2 and one_length else kind

    def column(self, name: str, declared_type: str | None) -> Column:
        """The sum as a profile tells it."""
        return Column(
            name, self.type, declared_type, self.blank_count, self.distinct_count,
            self.min_length, self.max_length,
        )  # fmt: skip


def _all(values: pl.DataFrame, kind: str) -> bool:
    return bool(
        values.lazy()
        .select(is_type(pl.col("value"), kind).all())
        .collect(engine="streaming")
        .item()
    )
