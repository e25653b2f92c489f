"""The verbs of the field: deposit, application, appraisal."""

from pathlib import Path
from typing import Any

import click

from ledger.chain import keys
from ledger.proof.encoding import digest_text
from ledger.proof.verify import read_file
from webapp.cli import main
from webapp.cli.figures import print_comparison
from webapp.cli.run import (
    Run,
    as_member,
    as_sole_member,
    print_json,
    read_document,
    renamed,
    verb,
    with_home,
)
from webapp.deeds.all import appraisals, field, register

MATERIAL_BYTES_MAX = 128 * 1024 * 1024


@main.command("deposit")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_sole_member
@with_home
def deposit(run: Run, login: str | None, path: Path) -> None:
    """Deposit evidence (存证): record that you have these bytes now."""
    answer = deposit_file(run, run.sole(login, "operator"), path)
    run.say(answer, field.deposit.says)


def deposit_file(run: Run, login: str, path: Path) -> dict[str, Any]:
    """Deposit a file; its bytes are durable before the record is."""
    _ = run.home.config
    data = read_file(str(path), MATERIAL_BYTES_MAX)
    if data:
        run.home.store_material(data)
    body = {"digest": digest_text(data), "name": path.name, "size_bytes": len(data)}
    return run.do(field.deposit, login, body)


@main.group()
def application() -> None:
    """Registration applications 登记申请."""


@application.command("submit")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def application_submit(run: Run, login: str, path: Path) -> None:
    """Apply for a first registration (operator).

    FILE: object title summary agreement resources rights materials data; data lists the deposited
    files with their rule files, from which quality is measured now.
    """
    run.say(submit_application(run, login, read_document(path), path.parent), field.submit.says)


def submit_application(
    run: Run, login: str, document: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Measure the quality of the application's files and submit it; files are named from `folder`."""
    data = document.get("data")
    if isinstance(data, list):
        document = {**document, "data": [_named(folder, entry) for entry in data]}
    return run.do(field.submit, login, document, once=True)


def _named(folder: Path, entry: Any) -> Any:
    """A file and its rules as the deed wants them: the file's digest, the rules' text."""
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        return entry
    told = renamed(entry, file="digest")
    told["digest"] = digest_text(read_file(str(folder / entry["file"]), MATERIAL_BYTES_MAX))
    if isinstance(entry.get("rules"), str):
        rules = read_file(str(folder / entry["rules"]), field.RULES_MAX)
        told["rules"] = rules.decode("utf-8-sig", "replace")
    return told


_REASON = click.option("--reason", required=True, help="the ground, as stated to the applicant")
verb(application, "accept", field.accept, "Accept (受理).")
verb(application, "return", field.send_back,
                  "Return for completion, naming all gaps at once (一次性告知).",
                  click.option("--missing", multiple=True, required=True))  # fmt: skip
verb(application, "refuse", field.refuse, "Do not accept (不予受理).", _REASON,
                  click.option("--ground", default=None, help="where the rules list grounds"))  # fmt: skip
verb(application, "reject", field.reject, "Reject after review.", _REASON)
verb(application, "review", field.review,
    "Pass formal review and compliance review (合规性审查); FILE: formal, compliance.",
    click.option("--findings", "path", required=True, type=click.Path(path_type=Path, dir_okay=False)),
)  # fmt: skip
verb(application, "notice", field.give_notice, "Give public notice (公示).")
verb(application, "code", field.code, "Code (赋码): the registration begins.")
verb(application, "withdraw", field.withdraw, "Withdraw (operator).", _REASON)
verb(application, "consent", field.consent, "Consent as joint applicant, receiver or subject.")
_FINDING = click.option("--finding", required=True, help="what was found")
verb(application, "second", field.second, "Confirm the review (复核), as another registrar.",
     _FINDING)  # fmt: skip
verb(application, "doubt", field.doubt, "Send the review back, as another registrar.", _REASON)
verb(application, "conclude", register.conclude, "Do what it asked for (办结).", _FINDING)


@application.command("show")
@click.argument("number")
@with_home
def application_show(run: Run, number: str) -> None:
    """Show an application as recorded (JSON)."""
    print_json(run.ask(field.show_application, application_number=number))


@main.group()
def appraisal() -> None:
    """Appraisals 价值评估."""


@appraisal.command("draft")
@click.argument("code")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def appraisal_draft(run: Run, login: str, code: str, path: Path) -> None:
    """Draft an appraisal of a registration.

    FILE: purpose base_on valid_until_on disclosures assumptions documents weights.
    """
    deed = appraisals.draft_appraisal
    run.say(run.do(deed, login, read_document(path), registration_code=code), deed.says)


verb(appraisal, "approve", appraisals.approve_appraisal,
     "Approve what another appraiser drafted, after recomputing it.")  # fmt: skip
verb(appraisal, "reject", appraisals.reject_appraisal, "Reject what another appraiser drafted.",
     click.option("--reason", required=True))  # fmt: skip
verb(appraisal, "withdraw", appraisals.withdraw_appraisal, "Withdraw your own draft before its review.",
     click.option("--reason", required=True))  # fmt: skip


@appraisal.command("show")
@click.argument("number")
@with_home
def appraisal_show(run: Run, number: str) -> None:
    """Show an appraisal as recorded (JSON)."""
    print_json(run.ask(appraisals.show_appraisal, appraisal_number=number))


@appraisal.command("compare")
@click.argument("number")
@with_home
def appraisal_compare(run: Run, number: str) -> None:
    """Explain its value from that of the edition before, input by input."""
    answer = run.ask(appraisals.compare_appraisal, appraisal_number=number)
    if run.as_json or answer["comparison"] is None:
        run.say(
            {**answer, "number": number}, "Appraisal {number} is the first edition for its purpose."
        )
    else:
        print_comparison(answer["comparison"])


@appraisal.command("report")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@with_home
def appraisal_report(run: Run, number: str, output: Path) -> None:
    """Write its report for people: a PDF with all that is disclosed, its figures attached."""
    file = run.ask(appraisals.report_appraisal, appraisal_number=number)
    keys.write_durably(output, file.content)
    run.say({"number": number, "path": str(output)}, "The report of appraisal {number} is {path}.")


@appraisal.command("export")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@with_home
def appraisal_export(run: Run, number: str, output: Path) -> None:
    """Write an appraisal as a file that anyone can recompute, with its proof once it is confirmed."""
    file = run.ask(appraisals.export_appraisal, appraisal_number=number)
    keys.write_durably(output, file.content)
    run.say({"number": number, "path": str(output)}, "Appraisal {number} is {path}.")
