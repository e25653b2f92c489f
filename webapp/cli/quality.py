"""The quality of a data file, measured or its rules proposed, which needs no home."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from ledger.chain import keys
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from valuation import methods, quality
from valuation.weights import weights_of
from webapp.cli import main
from webapp.cli.run import print_json, progress_bar, read_document, refusals
from webapp.language import language, tr

DATA_SUFFIXES = (".csv", ".tsv", ".xlsx", ".xls", ".parquet", ".gz", ".xz", ".txt")
OUT = click.Path(path_type=Path, dir_okay=False)


@main.command("profile")
@click.argument("path", metavar="FILE", type=OUT)
@click.option(
    "--rules", "rules_path", type=OUT, help="the rule file; without it rules are proposed"
)
@click.option("--propose", type=OUT, help="only write a first rule file there, to be corrected")
@click.option(
    "--table", "tables", multiple=True, type=OUT,
    help="another file that the rules look into; those beside the rule file are found",
)  # fmt: skip
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="the day of the freshness rule")
@click.option("--encoding", help="utf-8, gb18030, big5, …; found out without it")
@click.option("-o", "--output", type=OUT, help="write the profile there (.json)")
@click.option(
    "--value", "value_path", type=OUT,
    help="write the document for `value quality` there (.json)",
)  # fmt: skip
@click.option(
    "--weights", "weights_path", type=OUT, help="an AHP document for --value (`value ahp`)"
)
@click.option("--json", "as_json", is_flag=True)
def profile(
    path: Path, rules_path: Path | None, propose: Path | None, tables: tuple[Path, ...],
    as_of: datetime | None, encoding: str | None, output: Path | None, value_path: Path | None,
    weights_path: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure the quality of a table (CSV, XLSX, Parquet) against rules; needs no home."""
    from ledger import profiling  # noqa: PLC0415 - polars, only where data are measured

    with refusals(as_json):
        for target in (output, value_path):
            if target is not None and target.suffix != ".json":
                raise Invalid("Write to a file that ends in .json.")
        if weights_path is not None and value_path is None:
            raise Invalid(
                "Weights belong to the document for the score: say --value FILE.json too."
            )
        if rules_path is None:
            rules = profiling.propose_rules(path, encoding=encoding)
        else:
            rules = profiling.load_rules(rules_path)
        if propose is not None:
            keys.write_durably(propose, profiling.dump_rules(rules).encode())
            click.echo(tr("A first rule file stands in {path}; correct it.", path=str(propose)))
            return
        weights = None
        if weights_path is not None:
            judgements = {"method": "ahp", **read_document(weights_path)}
            judgements.setdefault("version", methods.describe("ahp")["version"])
            weights = weights_of(methods.run(judgements))
        day: date | None = as_of.date() if as_of else None
        with progress_bar() as bar:
            task = bar.add_task(path.name, total=None)
            found = profiling.profile(
                path, rules, as_of=day, encoding=encoding, tables=_tables(rules_path, tables),
                on_progress=lambda _step, done, total: bar.update(task, completed=done, total=total),
            ).to_dict()  # fmt: skip
        if output is not None:
            keys.write_durably(output, canonical(found))
        if value_path is not None:
            document = quality.document(found["indicators"], found["asked"], weights)
            keys.write_durably(value_path, canonical(document))
        if as_json:
            print_json(found)
        else:
            click.echo("\n".join(_lines(found)))
            if rules_path is None:
                click.echo(tr("No rules were given: these were proposed from the data themselves."))


def _tables(rules_path: Path | None, named: tuple[Path, ...]) -> dict[str, Path]:
    """The files that rules may name: those beside the rule file, and before them those on the line."""
    beside = rules_path.absolute().parent.iterdir() if rules_path else ()
    found = {one.name: one for one in beside if one.suffix in DATA_SUFFIXES and one.is_file()}
    return found | {one.name: one for one in named}


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The profile as a person reads it: measured and failed, asked, personal."""
    spoken = "zh" if language() == "zh" else "en"
    yield tr(
        "{name}: {rows} rows, {columns} columns, {form}, {digest}",
        name=found["name"], rows=f"{found['row_count']:,}", columns=len(found["columns"]),
        form=found["format"], digest=found["digest"],
    )  # fmt: skip
    for table in found.get("tables", ()):
        yield tr(
            "held against {name}: {rows} rows, {digest}",
            name=table["name"], rows=f"{table['row_count']:,}", digest=table["digest"],
        )  # fmt: skip
    yield ""
    checks = {check["path"]: check for check in found["checks"]}
    for one in found["indicators"]:
        # rounded to the worse side: what is not perfect never reads as perfect
        scaled = one["a"] * 10**6
        millionths = -(-scaled // one["b"]) if one["inverse"] else scaled // one["b"]
        share = f"{millionths // 10**6}.{millionths % 10**6:06d}"
        yield f"{one['code']} {one[spoken]}: A {one['a']:,} / B {one['b']:,}, X = {share}" + (
            f" ({tr('smaller is better')})" if one["inverse"] else ""
        )
        for path in one["checks"]:
            yield from _failures(checks[path], one["inverse"])
    yield ""
    yield tr("What the data cannot tell, and somebody must answer:")
    for one in found["asked"]:
        yield f"{one['code']} {one[spoken]}: {one[f'question_{spoken}']}"
    yield ""
    kinds = {
        "identity_number": tr("Identity number"), "mobile": tr("Mobile number"),
        "bank_card": tr("Bank card number"), "email": tr("E-mail address"),
        "name": tr("Name of a person"), "address": tr("Address"), "birth_date": tr("Date of birth"),
        "telephone": tr("Telephone number"), "declared": tr("Declared by the rules"),
        "document_number": tr("Number of an identity document"),
    }  # fmt: skip
    grounds = {
        "content": tr("its content"), "header": tr("its heading"), "rule": tr("the rules"),
        "seems": tr("its look only"),
    }  # fmt: skip
    if not found["personal"]:
        yield tr("No personal data was found.")
    for one in found["personal"]:
        yield tr(
            "{column} seems to hold personal data ({sort}, found by {by}): {cells} cells, as {sample}",
            column=one["column"], sort=kinds.get(one["kind"], one["kind"]),
            by=grounds.get(one["ground"], one["ground"]),
            cells=f"{one['cell_count']:,}", sample=", ".join(one["sample"]) or "-",
        )  # fmt: skip


def _failures(check: Mapping[str, Any], inverse: bool) -> Iterator[str]:
    failed = check["a"] if inverse else check["b"] - check["a"]
    if failed:
        yield f"  {check['path']}: {failed:,}"
        for one in check["examples"]:
            place = tr("row {n}", n=one["row"]) if one["row"] else "-"
            against = f" ← {one['against']}" if one["against"] else ""
            yield f"    {place}: {one['column']} = {one['value']!r}{against}"
