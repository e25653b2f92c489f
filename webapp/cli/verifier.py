"""`shuzheng verifier`: the page that checks documents in a browser, to be kept or handed on."""

import hashlib
import json
from pathlib import Path

import click

from ledger.chain.keys import write_durably
from ledger.proof.page import NAME, read_page
from webapp.cli import main
from webapp.language import tr


@main.command("verifier")
@click.option("-o", "--output", default=NAME, type=click.Path(path_type=Path, dir_okay=False),
              help="where to write it; verifier.html if left out")  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def verifier(output: Path, as_json: bool) -> None:
    """Write the page that checks documents in a browser, and tell its SHA-256 (to be announced).

    It needs no site, no database and no other file: open it from the disk.
    """
    page = read_page()
    digest = hashlib.sha256(page).hexdigest()
    write_durably(output, page)
    if as_json:
        click.echo(json.dumps({"path": str(output), "sha256": digest}, sort_keys=True))
    else:
        click.echo(
            tr("The verifier page is {path}; its SHA-256 is {digest}.", path=output, digest=digest)
        )
