"""What goes out, and how it is checked: trust file, bundles, packages, verification, history."""

import io
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from ledger import handoff, log, papers, vouchers
from ledger.chain import keys
from ledger.errors import Conflict
from ledger.parties import Actor
from ledger.proof.checkpoint import format_tlog_proof
from ledger.proof.encoding import canonical, instant
from ledger.registration import Application, Deposit, Registration
from ledger.tabular import unpacking
from webapp.cli import main
from webapp.cli.field import voucher
from webapp.cli.run import Run, as_sole_member, print_json, read_document, with_home
from webapp.worker import Worker

SAMPLE_LINES = 21


@main.group()
def trust() -> None:
    """The trust file 信任文件."""


@trust.command("export")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@with_home
def trust_export(run: Run, output: Path) -> None:
    """Write the trust file: give it to verifiers once, out of band."""
    keys.write_durably(output, run.home.trust())
    run.say({"path": str(output)}, "The trust file is {path}.")


@voucher.command("bundle")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--withhold", is_flag=True, help="do not disclose the withheld fields")
@with_home
def voucher_bundle(run: Run, number: str, output: Path, withhold: bool) -> None:
    """Write the proof bundle of an effective, anchored voucher (FILE.json or FILE.tlog-proof)."""
    settings = run.home.config
    with run.home.reading() as session:
        found = vouchers.by_number(session, number)
        document = handoff.voucher_bundle(
            session, found, settings.deployment, disclose=not withhold
        )
    content = tlog_proof(document) if output.suffix == ".tlog-proof" else canonical(document)
    keys.write_durably(output, content)
    run.say({"number": found.number, "path": str(output)}, "The bundle of {number} is {path}.")


@voucher.command("pdf")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--withhold", is_flag=True, help="do not disclose the withheld fields")
@with_home
def voucher_pdf(run: Run, number: str, output: Path, withhold: bool) -> None:
    """Print an effective, anchored voucher (PDF/A with QR code and the bundle attached)."""
    settings = run.home.config
    with run.home.reading() as session:
        found = vouchers.by_number(session, number)
        document = handoff.voucher_bundle(
            session, found, settings.deployment, disclose=not withhold
        )
    keys.write_durably(output, papers.voucher_pdf(document))
    run.say(
        {"number": found.number, "path": str(output)}, "The printed voucher {number} is {path}."
    )


def tlog_proof(document: dict[str, Any]) -> bytes:
    """The bundle's inclusion proof in C2SP's text form, with the entry as extra data."""
    return format_tlog_proof(
        document["leaf_index"], [bytes.fromhex(value) for value in document["inclusion"]],
        document["checkpoint"], canonical(document["entry"]),
    ).encode()  # fmt: skip


@voucher.command("show")
@click.argument("number")
@with_home
def voucher_show(run: Run, number: str) -> None:
    """Show a voucher: its state, its ladder, its history (JSON)."""
    _ = run.home.config
    with run.home.reading() as session:
        found = vouchers.by_number(session, number)
        print_json({"history": _history(session, found.id), "voucher": found.body()})


@main.command("history")
@click.argument("subject_id")
@with_home
def history(run: Run, subject_id: str) -> None:
    """All records of a subject, by its id, with how far each has climbed (JSON)."""
    _ = run.home.config
    with run.home.reading() as session:
        print_json(_history(session, subject_id))


def _history(session: Session, subject_id: str) -> list[dict[str, Any]]:
    return [
        {
            "at": instant(record.at), "digest": record.digest, "kind": record.kind,
            "leaf_index": record.leaf_index, "rung": log.rung(session, record),
        }
        for record in log.history(session, subject_id)
    ]  # fmt: skip


@main.group()
def status() -> None:
    """The signed status list 状态列表."""


@status.command("export")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@with_home
def status_export(run: Run, output: Path) -> None:
    """Write the status list last published."""
    _ = run.home.config
    with run.home.reading() as session:
        current = vouchers.current_status(session)
        if current is None:
            raise Conflict("No status list was published yet: run the worker, then ask again.")
        keys.write_durably(output, canonical(current.list_credential))
    run.say({"path": str(output)}, "The status list is {path}.")


@main.command("package")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pricing", type=click.Path(path_type=Path, dir_okay=False),
              help="the pricing note (YAML); else “by agreement” beside the appraised value")  # fmt: skip
@as_sole_member
@with_home
def package(run: Run, login: str | None, number: str, output: Path, pricing: Path | None) -> None:
    """Pack the listing package of a voucher (挂牌材料包), record it, wait for its anchor, write it."""
    settings = run.home.config
    login = run.sole(login, "exchange")
    document = None if pricing is None else read_document(pricing)
    worker = open_worker(run)
    worker.drain()

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        return {"packed": pack(run, session, actor, number, document)}

    packed, files = run.deed(login, act)["packed"]
    worker.drain()
    with run.home.reading() as session:
        keys.write_durably(output, handoff.finish(session, packed, files, settings.deployment))
    run.say(
        {"files": len(files), "number": number, "path": str(output)},
        "The package of {number} ({files} files) is {path}.",
    )


def pack(
    run: Run, session: Session, actor: Actor, number: str, pricing: dict[str, Any] | None
) -> tuple[handoff.Package, dict[str, bytes]]:
    """Record a package whose sample is the head of the first deposited file."""
    found = vouchers.by_number(session, number)
    registration = session.get_one(Registration, found.registration_id)
    application = session.get_one(Application, registration.application_id)
    deposit = session.get_one(Deposit, application.deposit_ids[0])
    return handoff.pack(
        session, actor, run.now, found, deployment=run.home.config.deployment,
        sample=head_of(run.home.material(deposit.digest)), pricing=pricing,
    )  # fmt: skip


def head_of(data: bytes) -> bytes:
    """The first lines of a text file, compressed or not."""
    with unpacking(io.BytesIO(data)) as text:
        return b"".join(text.readline() for _ in range(SAMPLE_LINES))


def open_worker(run: Run) -> Worker:
    """The worker of this home, on its chain."""
    return Worker(run.home, run.home.keyring(run.passphrase()), run.home.gateway())
