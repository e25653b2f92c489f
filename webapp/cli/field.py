"""The verbs of the field: deposit, catalogue, agreement, application, voucher, appraisal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    appraisals,
    catalogue,
    catalogue_mapping,
    parties,
    profiling,
    vouchers,
)
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Invalid
from ledger.parties import Actor, Party
from ledger.proof.encoding import digest_text, instant
from ledger.proof.verify import read_file
from ledger.registration import Application, Deposit
from ledger.tabular import read_table
from valuation.money import yuan
from webapp.cli import main
from webapp.cli.run import (
    Run,
    as_member,
    as_sole_member,
    day,
    fields,
    print_json,
    progress_bar,
    read_document,
    with_home,
)
from webapp.language import language, tr

PROBLEMS_SHOWN = 20
MATERIAL_BYTES_MAX = 128 * 1024 * 1024


@main.command("deposit")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_sole_member
@with_home
def deposit(run: Run, login: str | None, path: Path) -> None:
    """Deposit evidence (存证): record that you have these bytes now."""
    login = run.sole(login, "operator")
    data = read_file(str(path), MATERIAL_BYTES_MAX)
    if not data:
        raise Invalid("{path} is empty: there is nothing to deposit.", path=str(path))

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        made = registering.deposit(
            session, actor, run.now, name=path.name, digest=digest_text(data), size_bytes=len(data)
        )
        run.home.store_material(data)  # durable before the record is
        return {"at": instant(made.deposited_at), "digest": made.digest, "id": made.id}

    run.say(run.deed(login, act), "Deposited at {at}: {digest}.")


@main.group("import")
def import_() -> None:
    """Bring in tables 导入."""


@import_.command("catalogue")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--encoding", help="if the guess is wrong: utf-8, gbk, big5")
@click.option("--sheet", help="the sheet, if not the first")
@click.option("--map", "corrections", multiple=True, metavar="HEADER=FIELD",
              help="say what a column is; FIELD empty leaves it out")  # fmt: skip
@click.option("--skip-bad-rows", is_flag=True, help="store the good rows although some are bad")
@click.option("--strict", is_flag=True, help="refuse unknown columns")
@as_sole_member
@with_home
def import_catalogue(
    run: Run, login: str | None, path: Path, encoding: str | None, sheet: str | None,
    corrections: tuple[str, ...], skip_bad_rows: bool, strict: bool,
) -> None:  # fmt: skip
    """Import a catalogue of public data resources (XLSX, XLS, CSV) as one change set."""
    login = run.sole(login, "registrar")
    answer, problems = load_catalogue(
        run, login, path, encoding=encoding, sheet=sheet, corrections=corrections,
        skip_bad_rows=skip_bad_rows, strict=strict,
    )  # fmt: skip
    if not run.as_json:
        for problem in problems[:PROBLEMS_SHOWN]:
            click.echo(f"  {_problem_text(problem)}", err=True)
        if len(problems) > PROBLEMS_SHOWN:
            click.echo(tr("  … and {n} more notices.", n=len(problems) - PROBLEMS_SHOWN), err=True)
    run.say(
        answer,
        "{rows} rows read: {new} new, {changed} changed, {unchanged} unchanged, {absent} no longer "
        "in the file; {notices} notices.",
    )


def load_catalogue(
    run: Run, login: str, path: Path, *, encoding: str | None = None, sheet: str | None = None,
    corrections: tuple[str, ...] = (), skip_bad_rows: bool = False, strict: bool = False,
) -> tuple[dict[str, Any], list[catalogue_mapping.Problem]]:  # fmt: skip
    """Read, map, check and import a catalogue; every bad row at once."""
    data = read_file(str(path), MATERIAL_BYTES_MAX)
    table = read_table(data, path.name, encoding=encoding, sheet=sheet)
    mapping = catalogue_mapping.guess(table.header)
    for correction in corrections:
        header, _, name = correction.partition("=")
        if header not in table.header:
            raise Invalid("There is no column {header}.", header=header)
        mapping = mapping.with_field(table.header.index(header), name or None)
    resources, problems = catalogue_mapping.apply(table, mapping, strict=strict)
    bad = [problem for problem in problems if problem.severity == "error"]
    if bad and not skip_bad_rows:
        raise Invalid(
            "{count} rows cannot be used; nothing was stored. Mend them, or say --skip-bad-rows.",
            count=len({problem.row for problem in bad}),
            problems=[_problem_text(problem) for problem in bad],
        )

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        made = catalogue.import_resources(
            session, actor, run.now, resources=resources,
            notices=[problem.as_dict() for problem in problems], mapping=mapping.as_dict(),
            file_name=path.name, file_digest=digest_text(data),
        )  # fmt: skip
        return {
            "absent": made.absent_count, "changed": made.changed_count, "id": made.id,
            "new": made.new_count, "notices": len(made.notices), "rows": made.row_count,
            "unchanged": made.unchanged_count,
        }  # fmt: skip

    return run.deed(login, act), problems


def _problem_text(problem: catalogue_mapping.Problem) -> str:
    place = ", ".join(
        part
        for part in (
            problem.sheet,
            tr("row {n}", n=problem.row) if problem.row else None,
            problem.column,
        )
        if part
    )
    return f"{place}: {tr_problem(problem)}"


def tr_problem(problem: catalogue_mapping.Problem) -> str:
    """The problem's reason in the user's language."""
    return problem.reason_zh if language() == "zh" else problem.reason_en


@main.group()
def resource() -> None:
    """Catalogue resources 公共数据资源."""


@resource.command("add")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def resource_add(run: Run, login: str, path: Path) -> None:
    """List one resource by hand; FILE (YAML) has code, title, provider, elements."""
    code, title, provider, elements = fields(
        read_document(path), "code title provider elements:map"
    )

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        made = catalogue.add_resource(
            session, actor, run.now, code=code, title=title, provider=provider, elements=elements
        )
        return {"code": made.code, "title": made.title}

    run.say(run.deed(login, act), "Resource {code} ({title}) is listed.")


@main.group()
def agreement() -> None:
    """Operation agreements 授权运营协议."""


@agreement.command("propose")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def agreement_propose(run: Run, login: str, path: Path) -> None:
    """Propose an agreement (operator); FILE: title mode implementer resources from until elements."""
    document = read_document(path)
    title, mode, implementer, codes, start, end, elements = fields(
        document, "title mode implementer resources:list from until elements:map"
    )

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        made = agreements.propose(
            session, actor, run.now, title=title, mode=mode,
            implementer=parties.party_by_uscc(session, implementer),
            resource_ids=[catalogue.resource_by_code(session, str(c)).id for c in codes],
            elements=elements, from_on=day(start), until_on=day(end),
        )  # fmt: skip
        return {"number": made.number, "state": made.state}

    run.say(
        run.deed_once(login, "agreement.propose", document, act),
        "Agreement {number} is proposed; the implementing body signs it next.",
    )


@agreement.command("sign")
@click.argument("number")
@as_member
@with_home
def agreement_sign(run: Run, login: str, number: str) -> None:
    """Sign an agreement for the implementing body (provider)."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = agreements.by_number(session, number)
        agreements.sign(session, actor, run.now, found)
        return {"number": number, "state": found.state}

    run.say(run.deed(login, act), "Agreement {number} is in force.")


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
    document = read_document(path)
    answer = submit_application(run, login, document, path.parent)
    run.say(answer, "Application {number} is submitted; acceptance is due by {due}.")


def submit_application(
    run: Run, login: str, document: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Measure the quality of the application's files and submit it."""
    kind, title, summary, number, codes, rights, materials, data, mend = fields(
        document,
        "object title summary agreement resources:list rights:list materials:map data:list",
        "resubmits",
    )
    pairs = [fields(entry if isinstance(entry, dict) else {}, "file rules") for entry in data]
    profiles = [measure(folder / file, folder / rules) for file, rules in pairs]

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        deposits = []
        for profile in profiles:
            found = session.scalar(
                select(Deposit).where(
                    Deposit.party_id == actor.party_id, Deposit.digest == profile["digest"]
                )
            )
            if found is None:
                raise Invalid(
                    "{name} was not deposited by your organisation: run `shuzheng deposit` first.",
                    name=profile["name"],
                )
            deposits.append(found)
        made = registering.submit(
            session, actor, run.now, object_kind=kind, title=title, summary=summary,
            agreement=agreements.by_number(session, number) if number else None,
            resource_ids=[catalogue.resource_by_code(session, str(c)).id for c in codes],
            deposits=deposits, rights=rights, materials=materials, quality=profiles,
            resubmits=registering.application_by_number(session, mend) if mend else None,
        )  # fmt: skip
        return {"due": made.deadlines["accept"]["on"], "number": made.number, "state": made.state}

    def still(session: Session, answer: dict[str, Any]) -> bool:
        found = registering.application_by_number(session, answer["number"])
        return found.state not in ("returned", "not_accepted", "withdrawn", "terminated")

    data_digests = [[profile["digest"], profile["rules_digest"]] for profile in profiles]
    return run.deed_once(login, "application.submit", [document, data_digests], act, still)


def measure(data: Path, rules: Path) -> dict[str, Any]:
    """The quality profile of a file by its rule file, with a progress bar on stderr."""
    with progress_bar() as bar:
        task = bar.add_task(tr("measuring {name}", name=data.name), total=None)

        def advance(_stage: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        checked = profiling.load_rules(rules)
        return profiling.profile(data, checked, on_progress=advance).to_dict()


def _application_verb(
    name: str, help_text: str, template: str, *options: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command that moves an application by one verb."""

    def decorate(act: Callable[..., Any]) -> Callable[..., Any]:
        @application.command(name, help=help_text)
        @click.argument("number")
        @as_member
        @with_home
        def command(run: Run, login: str, number: str, **given: Any) -> None:
            def deed(session: Session, actor: Actor) -> dict[str, Any]:
                found = registering.application_by_number(session, number)
                more = act(run, session, actor, found, **given) or {}
                return {"number": number, "state": found.state, **more}

            run.say(run.deed(login, deed), template)

        for option in options:
            option(command)
        return act

    return decorate


_reason = click.option("--reason", required=True, help="the ground, as stated to the applicant")


@_application_verb("accept", "Accept (受理).", "Application {number} is accepted.")
def _accept(run: Run, session: Session, actor: Actor, found: Application) -> None:
    registering.accept(session, actor, run.now, found)


@_application_verb(
    "return", "Return for completion, naming all gaps at once (一次性告知).",
    "Application {number} is returned.",
    click.option("--missing", multiple=True, required=True),
)  # fmt: skip
def _return(
    run: Run, session: Session, actor: Actor, found: Application, missing: tuple[str, ...]
) -> None:
    registering.send_back(session, actor, run.now, found, missing)


@_application_verb(
    "refuse", "Do not accept (不予受理).", "Application {number} is refused.", _reason
)
def _refuse(run: Run, session: Session, actor: Actor, found: Application, reason: str) -> None:
    registering.refuse(session, actor, run.now, found, reason)


@_application_verb("reject", "Reject after review.", "Application {number} is rejected.", _reason)
def _reject(run: Run, session: Session, actor: Actor, found: Application, reason: str) -> None:
    registering.reject(session, actor, run.now, found, reason)


@_application_verb(
    "review", "Pass formal review and compliance review (合规性审查); FILE: formal, compliance.",
    "Application {number} has passed formal and compliance review.",
    click.option("--findings", required=True, type=click.Path(path_type=Path, dir_okay=False)),
)  # fmt: skip
def _review(run: Run, session: Session, actor: Actor, found: Application, findings: Path) -> None:
    formal, compliance = fields(read_document(findings), "formal compliance:map")
    registering.pass_review(session, actor, run.now, found, formal=formal, compliance=compliance)


@_application_verb(
    "notice", "Give public notice (公示).", "Application {number} is on notice until {until}."
)
def _notice(run: Run, session: Session, actor: Actor, found: Application) -> dict[str, Any]:
    registering.give_notice(session, actor, run.now, found)
    return {"until": found.notice["until"]["on"]}


@_application_verb(
    "code", "Code (赋码): the registration begins.", "Registered under {code}, valid until {until}."
)
def _code(run: Run, session: Session, actor: Actor, found: Application) -> dict[str, Any]:
    agreed = session.get(Agreement, found.agreement_id) if found.agreement_id else None
    made = registering.code(session, actor, run.now, found, agreed)
    return {"code": made.code, "until": local_date(made.valid_until).isoformat()}


@application.command("show")
@click.argument("number")
@with_home
def application_show(run: Run, number: str) -> None:
    """Show an application as recorded (JSON)."""
    _ = run.home.config
    with run.home.reading() as session:
        print_json(registering.application_by_number(session, number).body())


@main.group()
def voucher() -> None:
    """Data asset vouchers 数据资产凭证."""


@voucher.command("issue")
@click.argument("code")
@click.option("--holder-address", required=True, help="the holder's own chain address")
@as_member
@with_home
def voucher_issue(run: Run, login: str, code: str, holder_address: str) -> None:
    """Issue the voucher of a registration (registrar)."""
    key = run.home.keyring(run.passphrase()).signer("credential")

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = registering.by_code(session, code)
        made = vouchers.issue(
            session, actor, run.now, registration=found,
            holder=session.get_one(Party, found.party_id), holder_address=holder_address,
            origin=run.home.config.origin, key=key,
        )  # fmt: skip
        return {"digest": made.digest, "number": made.number, "state": made.state}

    run.say(
        run.deed(login, act),
        "Voucher {number} is recorded; it is effective once the worker has carried it to the chain.",
    )


@voucher.command("change")
@click.argument("verb", type=click.Choice(vouchers.VERBS))
@click.argument("number")
@click.option("--reason", required=True)
@as_member
@with_home
def voucher_change(run: Run, login: str, verb: str, number: str, reason: str) -> None:
    """Suspend, resume, revoke, cancel (registrar), freeze or unfreeze (regulator) a voucher."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = vouchers.by_number(session, number)
        vouchers.change(session, actor, run.now, found, verb, reason, run.home.config.origin)
        return {"frozen": found.frozen, "number": found.number, "state": found.state}

    run.say(run.deed(login, act), "Voucher {number} is now {state} (frozen: {frozen}).")


@main.group()
def appraisal() -> None:
    """Appraisals 价值评估."""


@appraisal.command("draft")
@click.argument("code")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def appraisal_draft(run: Run, login: str, code: str, path: Path) -> None:
    """Draft an appraisal of a registration; FILE: purpose base_on disclosures documents weights."""
    document = read_document(path)

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        return draft_appraisal(run, session, actor, code, document)

    run.say(run.deed(login, act), "Appraisal {number}: {value_yuan} yuan.")


def draft_appraisal(
    run: Run, session: Session, actor: Actor, code: str, document: dict[str, Any]
) -> dict[str, Any]:
    """Draft from a document; what the command answers."""
    purpose, base_on, disclosures, documents, weights = fields(
        document, "purpose base_on disclosures:map documents:map weights:list"
    )
    made = appraisals.draft(
        session, actor, run.now, registration=registering.by_code(session, code), purpose=purpose,
        base_on=day(base_on), disclosures=disclosures, documents=documents, weights=weights,
    )  # fmt: skip
    return {
        "number": made.number, "state": made.state, "value_fen": made.value_fen,
        "value_yuan": yuan(made.value_fen),
    }  # fmt: skip


@appraisal.command("approve")
@click.argument("number")
@as_member
@with_home
def appraisal_approve(run: Run, login: str, number: str) -> None:
    """Approve what another appraiser drafted, after recomputing it."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = appraisals.by_number(session, number)
        appraisals.approve(session, actor, run.now, found)
        return {"number": number, "state": found.state}

    run.say(run.deed(login, act), "Appraisal {number} is approved.")
