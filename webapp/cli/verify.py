"""`shuzheng verify`: the outside verifier with translated steps and recomputed figures."""

import json
import zipfile

import click

from ledger.errors import Invalid
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
from ledger.proof.verify import run
from valuation import ValuationError, methods
from webapp.cli import main
from webapp.language import translate


@main.command("verify")
@click.argument("path", metavar="FILE")
@click.option("--trust", "trust_path", help="the trust file, got from the registry out of band")
@click.option("--status", "status_path", help="a status list newer than the document's own")
@click.option("--rpc", help="a chain node you trust")
@click.option("--offline", is_flag=True, help="ask no node")
@click.option("--recompute", is_flag=True, help="recompute the figures of a package's appraisal")
@click.option("--json", "as_json", is_flag=True)
def verify(
    path: str, trust_path: str | None, status_path: str | None, rpc: str | None, offline: bool,
    recompute: bool, as_json: bool,
) -> None:  # fmt: skip
    """Check a bundle, voucher (also printed), package or proof without trusting us: no database, no site.

    Exits 0 valid, 1 not valid, 2 cannot tell.
    """

    def tell(step: Step) -> None:
        print_step(step, translate)

    report = run(
        path, trust_path, status_path=status_path, rpc=rpc, offline=offline, unwrap=unwrap,
        tell=None if as_json else tell,
    )  # fmt: skip
    if recompute and report.exit_code == VALID:
        recompute_figures(path, report)
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


def recompute_figures(path: str, report: Report) -> None:
    """Recompute every figure of the package's appraisal from its inputs, to the fen."""
    try:
        with zipfile.ZipFile(path) as archive:
            record = parse(archive.read("data/records/appraisal.json"))
        body = record["payload"]["body"]
        for name, figure in {**body["figures"], "conclusion": body["conclusion"]}.items():
            value = methods.verify(figure).display()
            report.add(
                "figure", VALID, "The figure {method} recomputes to {value} yuan.",
                method=name, value=value,
            )  # fmt: skip
    except (zipfile.BadZipFile, KeyError, OSError):
        report.add("figure", CANNOT_TELL, "Only a package holds figures to recompute.")
    except (ValuationError, Invalid) as error:
        report.add("figure", NOT_VALID, "A figure does not recompute: {why}.", why=str(error))
