"""Usage: events handed in by the million, the batches they became, the proof of one of them."""

from pathlib import Path

import click

from ledger.errors import Invalid
from ledger.parties import actor_by_login
from ledger.proof.encoding import canonical, digest_text
from webapp.cli import main
from webapp.cli.run import Run, print_json, progress_bar, with_home
from webapp.deeds.all import usage as deeds
from webapp.language import tr

FILE_BYTES_MAX = 2_000_000_000


def hand_in(run: Run, login: str, path: Path, faults: Path | None, receipt: Path | None) -> None:
    """Keep a file and record its events; what cannot be used is told line by line, all of it in `faults`.

    The receipt is signed, which needs the passphrase; without `receipt` none is.
    """
    _ = run.home.config
    with path.open("rb") as file:
        kept = deeds.keep_stream(run.home, file, FILE_BYTES_MAX)
    body = {"name": path.name, **kept}
    key = f"cli {digest_text(canonical([deeds.import_usage.name, login, body]))}"
    with progress_bar() as bar:
        task = bar.add_task(tr(deeds.import_usage.title), total=None)

        def report(_stage: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        try:
            done = run.desk.do(
                deeds.import_usage, lambda session: actor_by_login(session, login), {}, body,
                key=key if receipt else None, report=report,
            )  # fmt: skip
        except Invalid as error:
            if faults is not None and "fault_file" in error.facts:
                faults.write_bytes(run.home.material(error.facts["fault_file"]))
            raise
    if receipt is not None:
        receipt.write_bytes(canonical(done.receipt))
    run.say(done.answer, deeds.import_usage.says)


@main.group()
def usage() -> None:
    """Usage events handed in by the batch 使用记录."""


@usage.command("show")
@click.argument("number")
@with_home
def show(run: Run, number: str) -> None:
    """Show a batch as recorded (JSON)."""
    print_json(run.ask(deeds.show_usage, batch_number=number))


@usage.command("proof")
@click.argument("number")
@click.argument("row", metavar="EVENT|ROW")
@click.option("-o", "--output", required=True, metavar="FILE.json",
              type=click.Path(path_type=Path, dir_okay=False))  # fmt: skip
@with_home
def proof(run: Run, number: str, row: str, output: Path) -> None:
    """Write the proof of one event, named by its id, else by its number in the batch (from 1)."""
    file = run.ask(deeds.proof, query={"row": row}, batch_number=number)
    output.write_bytes(file.content)
    run.say({"path": str(output)}, "{path} written.")
