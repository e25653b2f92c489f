"""What goes out, and how it is checked: trust file, bundles, packages, verification, history."""

from pathlib import Path
from typing import Any

import click

from ledger.chain import keys
from ledger.proof.verify import read_file
from webapp.cli import main
from webapp.cli.run import Run, as_sole_member, print_json, read_document, with_home
from webapp.deeds.all import proofs, witnesses
from webapp.worker import Worker

NOTE_BYTES_MAX = 40_000


@main.group()
def trust() -> None:
    """The trust file 信任文件."""


@trust.command("export")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--quorum", default=0, help="how many witnesses must have cosigned; else none need")
@with_home
def trust_export(run: Run, output: Path, quorum: int) -> None:
    """Write the trust file: give it to verifiers once, out of band."""
    keys.write_durably(output, run.ask(proofs.trust, query={"quorum": quorum}).content)
    run.say({"path": str(output)}, "The trust file is {path}.")


@main.command("history")
@click.argument("subject_id")
@with_home
def history(run: Run, subject_id: str) -> None:
    """All records of a subject, by its id, with how far each has climbed (JSON)."""
    print_json(run.ask(proofs.history, subject_id=subject_id)["items"])


@main.group()
def status() -> None:
    """The signed status list 状态列表."""


@status.command("export")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@with_home
def status_export(run: Run, output: Path) -> None:
    """Write the status list last published."""
    keys.write_durably(output, run.ask(proofs.status).content)
    run.say({"path": str(output)}, "The status list is {path}.")


@main.group()
def witness() -> None:
    """Witnesses, outsiders who cosign checkpoints 见证方."""


@witness.command("add")
@click.option("--vkey", required=True, help="its verifier key, name+hash+key")
@click.option("--operator", required=True, help="who runs it")
@click.option("--url", default="", help="where it is asked; none: cosignatures come by file")
@as_sole_member
@with_home
def witness_add(run: Run, login: str | None, **body: str) -> None:
    """Make a witness known (administrator)."""
    run.say(run.do(witnesses.add, run.sole(login, "administrator"), body), witnesses.add.says)


@witness.command("remove")
@click.argument("witness_id", metavar="ID")
@as_sole_member
@with_home
def witness_remove(run: Run, login: str | None, witness_id: str) -> None:
    """No longer ask a witness (administrator)."""
    answer = run.do(witnesses.remove, run.sole(login, "administrator"), {}, witness_id=witness_id)
    run.say(answer, witnesses.remove.says)


@witness.command("list")
@with_home
def witness_list(run: Run) -> None:
    """Each witness, the newest checkpoint it cosigned, how old that is, what is wrong (JSON)."""
    print_json(run.ask(witnesses.known)["items"])


@witness.command("request")
@click.argument("witness_id", metavar="ID")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--held", type=int, help="the size it said it holds, where that is not what we know")
@with_home
def witness_request(run: Run, witness_id: str, output: Path, held: int | None) -> None:
    """Write what a witness without network is to be asked; carry it there (add-checkpoint)."""
    query = {} if held is None else {"held": held}
    found = run.ask(witnesses.request, query=query, witness_id=witness_id)
    keys.write_durably(output, found.content)
    run.say({"path": str(output)}, "The request is {path}.")


@witness.command("cosign")
@click.argument("path", metavar="FILE")
@as_sole_member
@with_home
def witness_cosign(run: Run, login: str | None, path: str) -> None:
    """Hand in what a witness answered: its signature lines or the cosigned checkpoint."""
    text = read_file(path, NOTE_BYTES_MAX).decode("utf-8", "replace")
    answer = run.do(witnesses.cosign, run.sole(login, "administrator"), {"note": text})
    run.say(answer, witnesses.cosign.says)


@main.command("package")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pricing", type=click.Path(path_type=Path, dir_okay=False),
              help="the pricing note (YAML); else “by agreement” beside the appraised value")  # fmt: skip
@as_sole_member
@with_home
def package(run: Run, login: str | None, number: str, output: Path, pricing: Path | None) -> None:
    """Pack the listing package of a voucher (挂牌材料包), record it, wait for its anchor, write it."""
    note = None if pricing is None else read_document(pricing)
    answer = pack_package(run, run.sole(login, "exchange"), number, note)
    keys.write_durably(output, run.home.material(answer["digest"]))
    run.say(
        {"files": answer["files"], "number": number, "path": str(output)},
        "The package of {number} ({files} files) is {path}.",
    )


def pack_package(
    run: Run, login: str, number: str, pricing: dict[str, Any] | None
) -> dict[str, Any]:
    """Pack the listing package of a voucher; what the deed answers."""
    body = {} if pricing is None else {"pricing": pricing}
    return run.do(proofs.pack, login, body, voucher_number=number)


def open_worker(run: Run) -> Worker:
    """The worker of this home, on its chain."""
    return Worker(run.home, run.desk.keyring, run.home.gateway())
