"""What profiling a large table costs beside polars reading and counting the same columns bare.

5,000,000 rows of seven columns (code, name, day, region, kind, quantity, amount), made by a formula,
once as CSV and once as typed Parquet. Ours: `profiling.profile` under a rule file with every kind of
rule that such a table gets, digest and all. Bare: polars reads the file as columns of text with its
streaming engine, once, and counts how often each value of each column stands there, and nothing else.
Each runs in a process of its own, by turns, best of `ROUNDS`; the memory is the largest resident set of
that process, imports included.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from ledger import profiling

ROWS = 5_000_000
ROUNDS = 5
MOST_TIMES = 2.0
RULES = """
version: 1
columns:
  code: {type: text, required: true, unique: true, pattern: '^11[0-9]{9}$'}
  name: {type: text, required: true, max_length: 20}
  day: {type: date, required: true, min: 2018-01-01}
  region:
    {type: text, required: true, pattern: '^[0-9]{6}$', values_from: {table: regions.csv, column: region}}
  kind: {required: true, values: [水, 电, 气]}
  quantity: {type: integer, required: true, min: 0, max: 10000}
  amount: {type: decimal, required: true, min: 0, max: 100000}
expected:
  columns: [code, name, day, region, kind, quantity, amount]
  other_columns: refused
  record_count: 5000000
pairs: [[name, region]]
requires: [{column: amount, needs: [quantity]}]
comparisons: [{left: [quantity], op: "<=", right: [amount]}]
references: [{columns: [region], table: regions.csv, key: [region]}]
order: {column: day}
period: {column: day, from: 2018-01-01, to: 2023-12-31}
freshness: {column: day, by: [region], at_most_days: 31, as_of: 2023-07-01}
"""


def table(rows: int) -> pl.DataFrame:
    """The same rows in every run: a code and an amount of their own each, the other columns repeat."""
    n = pl.int_range(rows, eager=True).alias("n")
    row = pl.col("n")
    return pl.DataFrame(n).select(
        code=pl.format("11{}", row * 7919 % 100_000_007 + 100_000_000),
        name=pl.format("单位{}科", row * 48271 % 40_009),
        day=pl.date(2018, 1, 1) + pl.duration(days=row // 2500),
        region=pl.format("33{}{}", row * 31 % 90 + 10, row * 17 % 80 + 10),
        kind=(row * 13 % 4).cast(pl.String).replace({"0": "水", "1": "电", "2": "气", "3": "热"}),
        quantity=row * 104_729 % 10_007,
        amount=pl.format("{}.{}", row * 1_299_709 % 100_003, row * 7 % 90 + 10).cast(
            pl.Decimal(18, 2)
        ),
    )


def ours(path: Path) -> None:
    """The profile of the table, with what it must find."""
    rules = profiling.load_rules(RULES)
    found = profiling.profile(path, rules, tables={"regions.csv": path.with_name("regions.csv")})
    assert found.row_count == ROWS
    assert (found.indicator("0304").a, found.indicator("0304").b) == (ROWS, ROWS)
    assert found.indicator("0105").b - found.indicator("0105").a == ROWS // 4


def bare(path: Path) -> None:
    """Columns of text, each counted by value."""
    if path.suffix == ".csv":
        source = pl.scan_csv(path, infer_schema=False)
    else:
        source = pl.scan_parquet(path).select(pl.all().cast(pl.String))
    held = source.collect(engine="streaming").lazy()
    for name in held.collect_schema().names():
        counted = held.group_by(name).len().collect(engine="streaming")
        assert counted["len"].sum() == ROWS


def measured(work: str, path: Path) -> tuple[float, float, float]:
    """(seconds, seconds of processor, MB at most) of one of the two, in a process of its own."""
    line = [sys.executable, "-m", __name__ if __name__ != "__main__" else "tests.bench.profiling"]
    said = subprocess.run([*line, work, str(path)], capture_output=True, text=True, check=True)
    spent_s, processor_s, most_mb = map(float, said.stdout.split())
    return spent_s, processor_s, most_mb


def bench_profiling(folder: Path) -> None:
    """Both kinds of file."""
    made = table(ROWS)
    made.write_csv(folder / "large.csv")
    made.write_parquet(folder / "large.parquet")
    made.select(pl.col("region").unique().sort()).write_csv(folder / "regions.csv")
    del made
    for name in ("large.csv", "large.parquet"):
        path = folder / name
        turns = [(measured("ours", path), measured("bare", path)) for _ in range(ROUNDS)]
        spent, spent_bare = (min(turn[who][0] for turn in turns) for who in (0, 1))
        busy, busy_bare = (min(turn[who][1] for turn in turns) for who in (0, 1))
        most, most_bare = (max(turn[who][2] for turn in turns) for who in (0, 1))
        times = spent / spent_bare
        print(
            f"{f'profiled ({path.suffix[1:]})':34} {ROWS / spent:12,.0f}/s   {times:6.2f} × the time of"
            f" reading and counting bare ({ROWS / spent_bare:,.0f}/s; processor {busy / busy_bare:.2f} ×),"
            f" {most:,.0f} MB at most (bare {most_bare:,.0f})"
            f"{'' if times <= MOST_TIMES else '  MORE THAN 2'}"
        )
        path.unlink()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        began, busy = time.perf_counter(), time.process_time()
        {"ours": ours, "bare": bare}[sys.argv[1]](Path(sys.argv[2]))
        took = time.perf_counter() - began
        print(
            took,
            time.process_time() - busy,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    else:
        with tempfile.TemporaryDirectory() as name:
            bench_profiling(Path(name))
