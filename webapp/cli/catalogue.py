"""The catalogue's commands: tables come in as change sets, which are looked at, decided, undone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ledger.catalogue_imports import CatalogueImport
from ledger.proof.verify import read_file
from webapp.cli import main
from webapp.cli.run import (
    Run,
    as_member,
    as_sole_member,
    print_json,
    problem_text,
    read_document,
    with_home,
)
from webapp.deeds import Deed
from webapp.deeds.all import catalogue as deeds
from webapp.deeds.all import resource as one
from webapp.language import tr
from webapp.wording import label_of, value_text

PROBLEMS_SHOWN = 20
CHANGES_SHOWN = 20
MATERIAL_BYTES_MAX = 128 * 1024 * 1024
# How the field of a column was found.
FOUND = {
    "matched": "by its name", "content": "by what stands in it", "remembered": "as the last time",
    "given": "as you say", "unknown": "left out: unknown", "blank": "left out: no name",
    "repeats": "left out: says the same as another column", "personal": "left out: personal data",
    "ignored": "left out, as you say",
}  # fmt: skip

STATES = {"applied": "applied", "proposed": "proposed", "rejected": "rejected", "undone": "undone"}


@main.group("import")
def import_() -> None:
    """Bring in tables 导入."""


@import_.command("catalogue")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--encoding", default="", help="if the guess is wrong: utf-8, gbk, big5")
@click.option("--sheet", default="", help="the sheet, if not the first")
@click.option("--no-header", "headless", is_flag=True,
              help="the table has no header; its columns are A, B, C …")  # fmt: skip
@click.option("--header-row", type=click.IntRange(1, 200_000), metavar="ROW",
              help="the row of the header, if not the first that is filled")  # fmt: skip
@click.option("--map", "corrections", multiple=True, metavar="HEADER=FIELD",
              help="say what a column is; FIELD empty leaves it out")  # fmt: skip
@click.option("--with", "defaults", multiple=True, metavar="FIELD=VALUE",
              help="what is meant where a cell says nothing")  # fmt: skip
@click.option("--skip-bad-rows", is_flag=True, help="store the good rows although some are bad")
@click.option("--strict", is_flag=True, help="refuse unknown columns")
@click.option("--scope", type=click.Choice(list(deeds.SCOPE_NAMES)), default="providers",
              show_default=True,
              help="what is gone when the file lacks it: of its providers, or of an earlier file of "
                   "this name")  # fmt: skip
@click.option("--withdraw-gone", is_flag=True, help="withdraw the resources that the file lacks")
@click.option("--reason", default="", help="why the catalogue is changed; it stands in the record")
@click.option("--check", is_flag=True, help="only tell what it would do; nothing is stored")
@as_sole_member
@with_home
def import_catalogue(
    run: Run, login: str | None, path: Path, check: bool, reason: str, header_row: int | None,
    **options: Any,
) -> None:  # fmt: skip
    """Import a catalogue of public data resources (XLSX, XLS, CSV) as one change set.

    A registrar's is applied, a provider's waits for a registrar.
    """
    if header_row is not None:
        options["header_row"] = header_row
    login = run.sole(login, "registrar")
    if check:
        _tell_check(run, run.do(deeds.check_catalogue, login, table_body(run, path, options)))
        return
    answer, notices = load_catalogue(run, login, path, reason=reason, **options)
    if not run.as_json:
        _tell_problems(notices)
    run.say(answer, deeds.import_catalogue.says)
    if answer["state"] == "proposed" and not run.as_json:
        click.echo(tr("It waits for a registrar: change set {id}.", id=answer["id"]))


def table_body(run: Run, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """A deed's body for a file, whose bytes are kept first."""
    _ = run.home.config
    digest = run.home.store_material(read_file(str(path), MATERIAL_BYTES_MAX))
    lists = {name: list(options.get(name, ())) for name in ("corrections", "defaults")}
    return {**options, **lists, "digest": digest, "name": path.name}


def load_catalogue(
    run: Run, login: str, path: Path, **options: Any
) -> tuple[dict[str, Any], list[Any]]:
    """Read, map, check and import a catalogue; what the deed answers, and the notices."""
    answer = run.do(deeds.import_catalogue, login, table_body(run, path, options))
    with run.home.reading() as session:
        return answer, session.get_one(CatalogueImport, answer["id"]).notices


def _tell_problems(problems: Sequence[Mapping[str, Any]]) -> None:
    for problem in problems[:PROBLEMS_SHOWN]:
        click.echo(f"  {problem_text(problem)}", err=True)
    if len(problems) > PROBLEMS_SHOWN:
        click.echo(tr("  … and {n} more notices.", n=len(problems) - PROBLEMS_SHOWN), err=True)


def _tell_check(run: Run, answer: Mapping[str, Any]) -> None:
    """What a table would do: its columns, what is wrong, what is new, changed, gone."""
    if run.as_json:
        print_json(answer)
        return
    for column in answer["columns"]:
        samples = " | ".join(one[:20] for one in column["samples"])
        field = label_of(column["field"]) if column["field"] else "–"
        click.echo(f"  {column['header'] or '#'} → {field} ({tr(FOUND[column['why']])}) {samples}")
    bad = [one for one in answer["problems"] if one["severity"] == "error"]
    for problem in bad:
        click.echo(f"  {problem_text(problem)}", err=True)
    _tell_problems([one for one in answer["problems"] if one["severity"] != "error"])
    first = answer["first"]
    _tell_changes(tr("New"), answer["new"], first["new"])
    _tell_changes(tr("Changed"), answer["changed"], first["changed"])
    _tell_changes(tr("No longer in the file"), answer["gone"], first["gone"])
    if answer["held"]:
        told = ", ".join(answer["held"])
        click.echo(tr("Cannot be withdrawn, since they are in use: {codes}.", codes=told))
    click.echo(tr(deeds.check_catalogue.says, **answer))


def _tell_changes(title: str, count: int, changes: Sequence[Mapping[str, Any]]) -> None:
    if not count:
        return
    click.echo(f"{title} ({count})")
    for change in changes[:CHANGES_SHOWN]:
        click.echo(f"  {change['code']} {change['title']}")
        for name, old, new in change.get("differences", ()):
            click.echo(f"    {label_of(name)}: {value_text(old, name)} → {value_text(new, name)}")
    if count > CHANGES_SHOWN:
        click.echo(tr("  … and {n} more.", n=count - CHANGES_SHOWN))


@main.group()
def catalogue() -> None:
    """The catalogue's change sets 目录变更."""


@catalogue.command("imports")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@with_home
def imports(run: Run, limit: int) -> None:
    """List the change sets, the newest first."""
    found = run.ask(deeds.list_imports, None, {"limit": limit})
    if run.as_json:
        print_json(found)
        return
    for row in found["items"]:
        counts = "+{new_count} ~{changed_count} -{gone}".format(
            **row, gone=row["withdrawn_count"] or 0
        )
        state = tr(STATES[row["state"] or "applied"])
        click.echo(f"{row['id']}  {state}  {counts}  {row['file_name']}  {row['reason'] or ''}")


@catalogue.command("show")
@click.argument("import_id", metavar="ID")
@with_home
def show(run: Run, import_id: str) -> None:
    """Show a change set and what it changes (JSON)."""
    print_json(run.ask(deeds.show_import, import_id=import_id))


@catalogue.command("overdue")
@click.option("--department", default="", help="of one department, by its name")
@with_home
def catalogue_overdue(run: Run, department: str) -> None:
    """What is overdue, by department: duties past their day, data past their update cycle."""
    from webapp.cli.duties import print_overdue  # noqa: PLC0415 - loaded only where it is needed

    print_overdue(run, department)


@catalogue.command("export")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--as", "login", help="the member who asks; left out, the house itself, which sees all"
)
@click.option("--words", default="", help="only what has these words")
@click.option("--provider", default="", help="only of this provider, by its name")
@click.option(
    "--state", default="listed", show_default=True, type=click.Choice(["listed", "withdrawn"])
)
@click.option("--base", default="", metavar="URL",
              help="the site, for the names of data sets; left out, they are URNs")  # fmt: skip
@with_home
def export(run: Run, path: Path, login: str | None, base: str, **asked: str) -> None:
    """Write the catalogue into FILE.xlsx, FILE.jsonld (DCAT 3) or FILE.ckan.json 导出目录."""
    from webapp.cli.catalogue_export import write_file  # noqa: PLC0415 - loaded only where it is needed

    write_file(run, path, login, base.rstrip("/"), asked)


def _decision(name: str, deed: Deed, help_text: str, *, required: bool) -> None:
    """A command that decides on a change set."""

    @catalogue.command(name, help=help_text)
    @click.argument("import_id", metavar="ID")
    @click.option("--reason", required=required, default=None if required else "",
                  help="the ground, which stands in the record")  # fmt: skip
    @as_sole_member
    @with_home
    def command(run: Run, login: str | None, import_id: str, reason: str) -> None:
        answer = run.do(deed, run.sole(login, "registrar"), {"reason": reason}, import_id=import_id)
        run.say(answer, deed.says)


_decision("approve", deeds.approve, "Apply what another person proposed.", required=False)
_decision("reject", deeds.reject, "Turn down what another person proposed.", required=True)
_decision("undo", deeds.undo, "Put everything back as it was before a change set.", required=True)


@import_.command("usage")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--faults", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
              help="where all bad lines are written, if there are any")  # fmt: skip
@click.option("--receipt", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.json",
              help="where the signed receipt is written")  # fmt: skip
@as_sole_member
@with_home
def import_usage(
    run: Run, login: str | None, path: Path, faults: Path | None, receipt: Path | None
) -> None:
    """Hand in usage events (NDJSON, CSV, Parquet) as one batch: every line, or none."""
    from webapp.cli.usage import hand_in  # noqa: PLC0415 - loaded only where it is needed

    hand_in(run, run.sole(login, "operator"), path, faults, receipt)


@main.group()
def resource() -> None:
    """Catalogue resources 公共数据资源."""


@resource.command("search")
@click.argument("words", nargs=-1)
@click.option(
    "--as", "login", help="the member who asks; left out, the house itself, which sees all"
)
@click.option("--provider", help="only of this provider, by its name")
@click.option("--grade", help="only of this grade: core, important, general; - not graded")
@click.option("--category", help="only of this class")
@click.option("--limit", type=click.IntRange(1, 200), default=25, show_default=True)
@click.option("--after", help="what the page before told")
@with_home
def resource_search(run: Run, login: str | None, words: tuple[str, ...], **asked: Any) -> None:
    """Search the catalogue: all words, in title, code, provider, summary, items; the best first."""
    from webapp.cli.search import show  # noqa: PLC0415 - loaded only where it is needed

    show(run, login, " ".join(words), asked)


@resource.command("add")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def resource_add(run: Run, login: str, path: Path) -> None:
    """List one resource by hand; FILE (YAML) has code, title, provider, elements."""
    run.say(run.do(one.add_resource, login, read_document(path)), one.add_resource.says)
