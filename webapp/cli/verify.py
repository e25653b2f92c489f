"""`shuzheng verify`: the outside verifier with translated steps and recomputed figures."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from ledger.errors import LedgerError
from ledger.proof import bundle as bundles
from ledger.proof.encoding import parse
from ledger.proof.report import (
    CANNOT_TELL,
    NOT_VALID,
    VALID,
    Report,
    Step,
    print_step,
    print_verdict,
)
from ledger.proof.verify import read_file, run
from valuation import ValuationError, contribution, methods, simulation
from valuation.worksheet import Figure
from webapp.cli import main
from webapp.language import translate

FIGURE = "figure.json"  # so it is called where it is attached to a report
PACKED = "data/records/appraisal.json"
FIGURES_BYTES_MAX = 8 * 1024 * 1024
# How the canonical form of what nothing proves begins: a figure (`value -o`), an appraisal (`export -o`),
# a contribution (`contribution -o`).
BARE = {b'{"document":': "figure", b'{"appraisal":': "appraisal", b'{"bound_fen":': "contribution"}
BARE_START_BYTES = max(map(len, BARE))


@main.command("verify")
@click.argument("path", metavar="FILE")
@click.option("--trust", "trust_path", help="the trust file, got from the registry out of band")
@click.option("--status", "status_path", help="a status list newer than the document's own")
@click.option("--rpc", help="a chain node you trust")
@click.option("--offline", is_flag=True, help="ask no node")
@click.option("--recompute", is_flag=True, help="compute the figures and analyses once more")
@click.option("--json", "as_json", is_flag=True)
def verify(
    path: str, trust_path: str | None, status_path: str | None, rpc: str | None, offline: bool,
    recompute: bool, as_json: bool,
) -> None:  # fmt: skip
    """Check a bundle, voucher (also printed), package or proof without trusting us: no database, no site.

    With --recompute also a figure, a contribution, an appraisal or a report of it, alone or in its bundle
    or package. Exits 0 valid, 1 not valid, 2 cannot tell.
    """

    def tell(step: Step) -> None:
        print_step(step, translate)

    hear = None if as_json else tell
    kind = _bare(path)
    if kind is not None:
        report = _examined(path, kind, recompute, hear)
    else:
        report = run(
            path,
            trust_path,
            status_path=status_path,
            rpc=rpc,
            offline=offline,
            unwrap=unwrap,
            tell=hear,
        )
        if recompute and ("form", NOT_VALID) not in {(s.name, s.outcome) for s in report.steps}:
            recompute_figures(read_file(path), report)
    if as_json:
        click.echo(json.dumps(report.as_dict(translate), ensure_ascii=False, sort_keys=True))
    else:
        print_verdict(report, translate)
    raise SystemExit(report.exit_code)


def unwrap(data: bytes, report: Report) -> bytes:
    """The bundle attached to a printed voucher that is byte for byte what we would print of it."""
    if data[:5] != b"%PDF-":
        return data
    from ledger import papers  # noqa: PLC0415 - fonts and typesetter, only where a PDF is at hand

    try:
        bundle = papers.check_voucher_pdf(data)
        report.add("form", VALID, "The printed page is what its attached bundle says.")
    except papers.OtherMaker as error:
        report.add("form", CANNOT_TELL, error.template, **error.facts)
        bundle = papers.read_voucher_pdf(data)
    return bundle


def _bare(path: str) -> str | None:
    """What kind of figures a file holds that nothing proves; None for everything else."""
    data = b""
    try:
        data = read_file(path, FIGURES_BYTES_MAX)
        if data.startswith(b"%PDF-"):
            return "report" if FIGURE in _attached(data) else None
    except LedgerError:
        with suppress(OSError), Path(path).open("rb") as file:
            data = file.read(BARE_START_BYTES)
    return next((kind for begin, kind in BARE.items() if data.startswith(begin)), None)


def _attached(data: bytes) -> dict[str, bytes]:
    from ledger import papers  # noqa: PLC0415 - fonts and typesetter, only where a PDF is at hand

    return papers.read_attachments(data)


def _examined(path: str, kind: str, recompute: bool, tell: Callable[[Step], None] | None) -> Report:
    """The report on bare figures: their form, and on demand their arithmetic."""
    report = Report(kind=kind, tell=tell)
    try:
        data = read_file(path, FIGURES_BYTES_MAX)
        if kind == "report":
            documents = {name: parse(file, name) for name, file in sorted(_attached(data).items())}
        else:
            documents = {FIGURE: parse(data)}
    except LedgerError as error:
        report.add("form", NOT_VALID, error.template, **error.facts)
        return report
    report.add("form", VALID, "The {kind} is in its one canonical form.", kind=kind)
    report.add(
        "record", CANNOT_TELL,
        "Nothing in this file shows who made it: a proof bundle or a package does. With --recompute it is "
        "computed again from its own inputs.",
    )  # fmt: skip
    if kind == "report":
        report.add(
            "form", CANNOT_TELL,
            "The page is not compared with what is attached to it: believe what is computed here.",
        )  # fmt: skip
    if recompute:
        with _refused(report):
            for name, document in documents.items():
                if kind == "appraisal":
                    _recompute(document["appraisal"], report)
                elif kind == "contribution":
                    _tell(report, kind, contribution.recompute(document))
                elif name == FIGURE:
                    figure = methods.verify(document)
                    _tell(report, figure.method, figure)
                else:
                    _tell(report, name, simulation.verify(document))
    return report


def recompute_figures(data: bytes, report: Report) -> None:
    """Recompute the appraisal that a package or a bundle holds from its inputs, to the fen."""
    with _refused(report):
        if data[:2] == b"PK":
            data = bundles.read_zip(data).get(PACKED, b"null")
        elif data[:1] != b"{" or len(data) > FIGURES_BYTES_MAX:
            data = b"null"
        document = parse(data)
        payload = document.get("payload") if isinstance(document, dict) else None
        if not isinstance(payload, dict) or payload.get("subject", {}).get("type") != "appraisal":
            report.add("figure", CANNOT_TELL, "This file holds no appraisal to recompute.")
            return
        _recompute(payload["body"], report)


def _recompute(body: object, report: Report) -> None:
    from ledger import appraisals  # noqa: PLC0415 - the tables, only where figures are at hand

    for name, part in appraisals.recomputed(body):
        _tell(report, name, part)


def _tell(report: Report, name: str, part: Any) -> None:
    """One part that recomputes."""
    if isinstance(part, Figure) and part.unit == "fen":
        report.add(
            "figure", VALID, "The figure {method} recomputes to {value} yuan.",
            method=name, value=part.display(),
        )  # fmt: skip
    else:
        report.add("figure", VALID, "Computed once more, {part} is the same.", part=name)


@contextmanager
def _refused(report: Report) -> Iterator[None]:
    """What does not recompute makes the file not valid; the first step that differs is named."""
    try:
        yield
    except (ValuationError, LedgerError) as error:
        report.add("figure", NOT_VALID, "A figure does not recompute: {why}.", why=str(error))
