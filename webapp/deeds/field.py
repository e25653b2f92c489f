"""The deeds of the field before there is a voucher: evidence, agreements, applications."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import agreements, catalogue, parties, registration_views
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.errors import Faults, Invalid, LedgerError
from ledger.parties import Actor, Party
from ledger.proof.encoding import instant
from ledger.registration import Application, Deposit, Registration
from ledger.states import move
from webapp.deeds import Deed, Desk, Report, deed, question
from webapp.deeds.answers import PageQuery, history_of, lists, seen_schema, shows
from webapp.deeds.catalogue import resource_ids
from webapp.deeds.forms import (
    Body,
    faults_by_place,
    group,
    load,
    rows,
    terms,
    text,
    texts,
)  # fmt: skip
from webapp.deeds.subjects import matching

OBJECTS = {
    "resource": "Resource", "product": "Product or service", "model": "Algorithm model",
    "computing_power": "Computing power",
}  # fmt: skip
RIGHTS = {
    "holding": "Right to hold", "use": "Right to use", "operating": "Right to operate",
}  # fmt: skip
VERDICTS = {"pass": "Pass", "not_applicable": "Not applicable", "fail": "Fail"}
MATERIALS = {
    "subject": "The applicant", "lawful_source": "Lawful source", "resource": "The data resource",
    "evidence": "Evidence deposited", "product": "Product and service", "scene": "Scenes of use",
    "security_risk": "Security risk assessment",
}  # fmt: skip
COMPLIANCE = {
    "lawful_source": "Lawful source", "personal_information": "Personal information",
    "important_data": "Important and core data", "authorisation": "Authorisation",
    "agreement_scope": "Within the agreement's scope", "security_assessment": "Security assessment",
}  # fmt: skip
RULES_MAX = 200_000
DIGEST = r"\Asha256:[0-9a-f]{64}\Z"


class ReasonBody(Body):
    """A decision that must state its ground."""

    reason = text("Ground", area=True, hint="as it is told to those concerned")


REFUSALS = {
    "core_data": "Core data of the state", "unlawful_source": "Unlawful source",
    "title_dispute": "Title in dispute", "statutory": "By statute",
}  # fmt: skip


class RefusalBody(ReasonBody):
    """A refusal; its ground by the rules of the place, where they list any."""

    ground = text("Ground by the rules", choices=REFUSALS, required=False,
                  hint="where the rules of the place list grounds")  # fmt: skip


class DepositBody(Body):
    """A file that was handed in; its bytes are kept already."""

    name = text("File name", most=200)
    digest = text("Digest", most=71, pattern=DIGEST, example="digest sha256:…")
    size_bytes = fields.Integer(required=True, metadata={"title": "Bytes", "hint": ""})


Materials = terms("Materials", registering.MATERIALS, MATERIALS)


class DataBody(Body):
    """A deposited file with the rules its quality is measured by."""

    digest = text("Deposited file", most=71, pattern=DIGEST, example="digest sha256:…",
                  source="deposits")  # fmt: skip
    rules = text("Rules of its quality (YAML)", most=RULES_MAX, required=False, blank=True, area=True,
                 hint="left empty, rules are proposed from the file itself")  # fmt: skip


class MaterialFileBody(Body):
    """A deposited file that belongs to a material."""

    material = text("To which material", choices=MATERIALS)
    digest = text("Deposited file", most=71, pattern=DIGEST, example="digest sha256:…",
                  source="deposits")  # fmt: skip


class ApplicationBody(Body):
    """A first registration 首次登记."""

    object = text("What is registered", choices=OBJECTS)
    title = text("Title", most=200)
    summary = text("Summary", area=True)
    agreement = text("Operation agreement", most=40, required=False, blank=True,
                     source="agreements")  # fmt: skip
    resources = texts("Resources", source="resources")
    scenes = texts("Scenes of use", least=0,
                   hint="of those the agreement names, one a line; left empty, all of them")  # fmt: skip
    rights = texts("Rights", choices=RIGHTS)
    joint = texts("Applying together with", source="parties", least=0,
                  hint="social credit codes, one a line; each has to consent")  # fmt: skip
    materials = group("Materials", Materials)
    attachments = rows("Files to the materials", MaterialFileBody, least=0)
    data = rows("Data files", DataBody)
    resubmits = text("Mends the returned application", most=40, required=False, blank=True)


class FindingBody(Body):
    """What the registrar found on one item of the compliance review."""

    verdict = text("Verdict", choices=VERDICTS)
    evidence = text("Evidence", area=True)
    finding = text("Finding", area=True)


ComplianceBody = type(
    "ComplianceBody", (Body,), {key: group(label, FindingBody) for key, label in COMPLIANCE.items()}
)


class SecondBody(Body):
    """What the second registrar found 复核."""

    finding = text("Finding", area=True)


class ReviewBody(Body):
    """Formal and compliance review 形式审核、合规性审查."""

    formal = text("Formal review", area=True)
    compliance = group("Compliance review", ComplianceBody)


class ReturnBody(Body):
    """What is missing, all at once 一次性告知."""

    missing = texts("What is missing", hint="one a line, all at once")


class NoticeQuery(PageQuery):
    """Which part of the notices is wanted; other states than being on notice are not public."""

    class Meta(Body.Meta):
        exclude = ("state",)


class NoticeAnswer(Schema):
    """An application on public notice 公示: what the rule wants told, and nothing more."""

    number = fields.String(required=True)
    type = fields.String(required=True)
    title = fields.String(required=True)
    subject = fields.String(required=True)
    summary = fields.String(required=True)
    from_on = fields.String(required=True)
    until_on = fields.String(required=True)
    provisional = fields.Boolean(required=True)
    paused = fields.Boolean(required=True)


class NoticesAnswer(Schema):
    """A page of them, the newest first."""

    items = fields.List(fields.Nested(NoticeAnswer), required=True)
    next = fields.String(required=True, allow_none=True)


@deed("evidence.deposit", "/deposits", "Deposit evidence", "Deposited at {at}: {digest}.",
      body=DepositBody, upload=True)  # fmt: skip
def deposit(
    desk: Desk, session: Session, actor: Actor, name: str, digest: str, size_bytes: int
) -> dict[str, Any]:
    if not size_bytes:
        raise Invalid("{path} is empty: there is nothing to deposit.", path=name)
    made = registering.deposit(
        session, actor, desk.now, name=name, digest=digest, size_bytes=size_bytes
    )
    return {"at": instant(made.deposited_at), "digest": made.digest, "id": made.id}


def _facts(
    session: Session, actor: Actor, *, agreement: str = "", resources: list[str],
    data: list[dict[str, str]], **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """An application's body as `registering.submit` takes it: what it names is looked up."""
    return {
        "agreement": _own_agreement(session, actor, agreement) if agreement else None,
        "attachments": attached(session, actor, more.get("attachments", [])),
        "joint": [parties.party_by_uscc(session, one) for one in more.get("joint", [])],
        "deposits": own_deposits(session, actor, data), "materials": more["materials"],
        "object_kind": more["object"], "resource_ids": resource_ids(session, actor, resources),
        "rights": more["rights"], "scenes": more.get("scenes", []), "summary": more["summary"],
        "title": more["title"],
    }  # fmt: skip


def own_deposits(session: Session, actor: Actor, data: list[dict[str, str]]) -> list[Deposit]:
    """The deposits of an application's files; raises Invalid naming every one that is not there."""
    digests = [entry.get("digest", "") for entry in data]
    mine = select(Deposit).where(Deposit.party_id == actor.party_id, Deposit.digest.in_(digests))
    known = {one.digest: one for one in session.scalars(mine)}
    faults = Faults()
    for place, digest in enumerate(digests):
        if digest not in known:
            faults.name_fault(
                "{name} was not deposited by your organisation", f"data.{place}.digest", name=digest
            )
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    return [known[digest] for digest in digests]


def attached(
    session: Session, actor: Actor, given: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Files to materials, as the application keeps them; what is not there is named by its digest."""
    digests = [one.get("digest", "") for one in given]
    mine = select(Deposit).where(Deposit.party_id == actor.party_id, Deposit.digest.in_(digests))
    known = {one.digest: one.id for one in session.scalars(mine)}
    return [
        {"deposit_id": known.get(digest, digest), "material": one.get("material", "")}
        for digest, one in zip(digests, given, strict=True)
    ]


def gaps(
    session: Session, actor: Actor, now: datetime, body: Mapping[str, Any], said: Callable[[str], str]
) -> dict[str, list[str]]:  # fmt: skip
    """What an application, as far as it is filled in, still lacks or breaks, by its place.

    `said` gives each sentence its language. Nothing is measured: what is wrong with a file or its rules
    comes to light when the application is submitted.
    """
    found: dict[str, list[str]] = {}

    def tried(at: str, act: Callable[..., Any], *given: Any) -> Any:
        try:
            return act(*given)
        except LedgerError as error:
            told = faults_by_place(error, said) or {at: [error.localized(said)]}
            found.update({place: told[place] for place in told if place not in found})
            return None

    agreement = None
    if body.get("agreement"):
        agreement = tried("agreement", _own_agreement, session, actor, body["agreement"])
    if agreement is not None:
        tried("agreement", agreements.require_in_force, agreement, local_date(now))
    if body.get("resubmits"):
        tried("resubmits", _resubmitted, session, actor, body["resubmits"])
    ids = tried("resources", resource_ids, session, actor, body.get("resources", []))
    deposits = tried("data", own_deposits, session, actor, body.get("data", []))
    joint = [tried("joint", parties.party_by_uscc, session, code) for code in body.get("joint", [])]
    faults = registering.faults_in(
        session, actor, object_kind=body.get("object", ""), title=body.get("title", ""),
        summary=body.get("summary", ""), agreement=agreement, resource_ids=ids or [],
        deposits=deposits or [], rights=body.get("rights", []), materials=body.get("materials", {}),
        joint=[one for one in joint if one is not None], scenes=body.get("scenes", []),
        attachments=attached(session, actor, body.get("attachments", [])),
        besides=_mended(session, body.get("resubmits", "")),
    ).by_place(said)  # fmt: skip
    found.update({place: faults[place] for place in faults if place not in found})
    tried("", load, ApplicationBody, body)
    return found


def _mended(session: Session, number: str) -> Application | None:
    return session.scalar(select(Application).where(Application.number == number))


def _own_agreement(session: Session, actor: Actor, number: str) -> Agreement:
    found = agreements.by_number(session, number)
    parties.may(actor, "application.submit", found.operator_id, f"Agreement {number}")
    return found


def _resubmitted(session: Session, actor: Actor, number: str) -> Application:
    found = registering.application_by_number(session, number)
    parties.may(actor, "application.submit", found.party_id, f"Application {number}")
    move("application", "submit", found.state)
    return found


def _measure(
    desk: Desk, report: Report, actor: Actor, *, data: list[dict[str, str]], **more: Any
) -> dict[str, Any]:
    """The quality of the application's files, measured from their bytes, once nothing is lacking."""
    with desk.home.reading() as session:
        facts = _facts(session, actor, data=data, **more)
        facts["besides"] = _mended(session, more.get("resubmits", ""))
        faults = registering.faults_in(session, actor, **facts)
    if faults:
        raise Invalid("The application lacks or breaks: {faults}.", faults=faults)
    together = {deposit.name: deposit.digest for deposit in facts["deposits"]}
    return {
        "quality": [
            measure(desk, deposit.name, deposit.digest, entry.get("rules", ""), report, together)
            for deposit, entry in zip(facts["deposits"], data, strict=True)
        ]
    }


def measure(
    desk: Desk, name: str, digest: str, rules: str, report: Report,
    together: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The quality profile of a deposited file under rules (YAML text), or under proposed ones.

    `together` are the files (name → digest) that the rules may look into: those of the application.
    """
    from ledger import profiling  # noqa: PLC0415 - polars, only where data are measured
    from ledger.quality.draft import propose_rules  # noqa: PLC0415
    from ledger.quality.rules import load_rules  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="measure-") as folder:
        # The profile tells a file's kind by its content, and its name as it was deposited.
        path = Path(folder) / (Path(name).name or "data")
        path.write_bytes(desk.home.material(digest))
        checked = load_rules(rules + "\n") if rules.strip() else propose_rules(path)
        tables = {}
        for number, other in enumerate(
            sorted(profiling.tables_named(checked) & set(together or {}))
        ):
            tables[other] = Path(folder) / f"table {number}"
            tables[other].write_bytes(desk.home.material((together or {})[other]))
        return profiling.profile(
            path,
            checked,
            tables=tables,
            on_progress=lambda _step, done, total: report(name, done, total),
        ).to_dict()


def _still_open(session: Session, answer: dict[str, Any]) -> bool:
    found = registering.application_by_number(session, answer["number"])
    return found.state not in ("returned", "not_accepted", "withdrawn", "terminated")


@deed("application.submit", "/applications", "Apply for registration",
      "Application {number} is submitted; acceptance is due by {due}.", body=ApplicationBody,
      long=True, prepare=_measure, still=_still_open)  # fmt: skip
def submit(
    desk: Desk, session: Session, actor: Actor, *, quality: list[Any], resubmits: str = "", **body: Any
) -> dict[str, Any]:  # fmt: skip
    made = registering.submit(
        session, actor, desk.now, **_facts(session, actor, **body), quality=quality,
        resubmits=registering.application_by_number(session, resubmits) if resubmits else None,
    )  # fmt: skip
    return {"due": made.deadlines["accept"]["on"], "number": made.number, "state": made.state}


def decision(
    verb: str, path: str, title: str, says: str, **more: Any
) -> Callable[[Callable[..., Any]], Deed]:
    """A deed on an application; it answers number and state and what `act` adds."""

    def enter(act: Callable[..., Any]) -> Deed:
        def whole(
            desk: Desk, session: Session, actor: Actor, found: Application, **body: Any
        ) -> dict[str, Any]:
            added = act(desk, session, actor, found, **body) or {}
            return {"number": found.number, "state": found.state, **added}

        return deed(verb, f"/applications/<application_number>/{path}", title, says, changes=True,
                    **more)(whole)  # fmt: skip

    return enter


@decision("application.accept", "accept", "Accept", "Application {number} is accepted.")
def accept(desk: Desk, session: Session, actor: Actor, found: Application) -> None:
    registering.accept(session, actor, desk.now, found)


@decision("application.return", "return", "Return for completion",
           "Application {number} is returned.", body=ReturnBody)  # fmt: skip
def send_back(
    desk: Desk, session: Session, actor: Actor, found: Application, missing: list[str]
) -> None:
    registering.send_back(session, actor, desk.now, found, missing)


@decision("application.refuse", "refuse", "Do not accept", "Application {number} is refused.",
          body=RefusalBody)  # fmt: skip
def refuse(
    desk: Desk, session: Session, actor: Actor, found: Application, reason: str, ground: str = ""
) -> None:
    registering.refuse(session, actor, desk.now, found, reason, ground)


@decision("application.reject", "reject", "Reject after review",
           "Application {number} is rejected.", body=ReasonBody)  # fmt: skip
def reject(desk: Desk, session: Session, actor: Actor, found: Application, reason: str) -> None:
    registering.reject(session, actor, desk.now, found, reason)


@decision("application.pass", "review", "Pass the review",
           "Application {number} has passed formal and compliance review.", body=ReviewBody)  # fmt: skip
def review(
    desk: Desk, session: Session, actor: Actor, found: Application, formal: str,
    compliance: dict[str, Any],
) -> None:  # fmt: skip
    registering.pass_review(session, actor, desk.now, found, formal=formal, compliance=compliance)


@decision("application.second", "second", "Confirm the review",
          "The review of application {number} is confirmed.", body=SecondBody)  # fmt: skip
def second(desk: Desk, session: Session, actor: Actor, found: Application, finding: str) -> None:
    registering.second(session, actor, desk.now, found, finding)


@decision("application.doubt", "doubt", "Send the review back",
          "The review of application {number} is to be done again.", body=ReasonBody)  # fmt: skip
def doubt(desk: Desk, session: Session, actor: Actor, found: Application, reason: str) -> None:
    registering.doubt(session, actor, desk.now, found, reason)


@decision("application.consent", "consent", "Consent", "Your consent to application {number} is given.",
          owners=lambda _s, row: registering.owners(row))  # fmt: skip
def consent(desk: Desk, session: Session, actor: Actor, found: Application) -> None:
    registering.consent(session, actor, desk.now, found)


@decision("application.notice", "notice", "Give public notice",
          "Application {number} is on notice until {until}.")  # fmt: skip
def give_notice(desk: Desk, session: Session, actor: Actor, found: Application) -> dict[str, Any]:
    registering.give_notice(session, actor, desk.now, found)
    return {"until": found.notice["until"]["on"]}


@decision("application.code", "code", "Code", "Registered under {code}, valid until {until}.")  # fmt: skip
def code(desk: Desk, session: Session, actor: Actor, found: Application) -> dict[str, Any]:
    agreed = session.get(Agreement, found.agreement_id) if found.agreement_id else None
    made = registering.code(session, actor, desk.now, found, agreed)
    return {"code": made.code, "until": local_date(made.valid_until).isoformat()}


@decision("application.withdraw", "withdraw", "Withdraw", "Application {number} is withdrawn.",
           body=ReasonBody)  # fmt: skip
def withdraw(desk: Desk, session: Session, actor: Actor, found: Application, reason: str) -> None:
    registering.withdraw(session, actor, desk.now, found, reason)


list_deposits = lists("evidence", "/deposits", "Deposits", "name digest size_bytes deposited_at",
                      (Deposit.name, Deposit.digest))  # fmt: skip
show_deposit = shows("evidence", "/deposits/<deposit_id>", "Deposit")
list_applications = lists("application", "/applications", "Applications",
                          "number type object title state deadlines",
                          (Application.number, Application.title))  # fmt: skip


@question("application.read", "/applications/<application_number>", "Application",
          answer=seen_schema(Application))  # fmt: skip
def show_application(
    _desk: Desk, session: Session, actor: Actor, found: Application
) -> dict[str, Any]:
    """As much of it as the asker's side sees in this state; of its resources those that exist for him."""
    told = registration_views.told(actor, "application", found)
    told["resource_ids"] = _seen_of(session, actor, told["resource_ids"])
    if "resource_ids" in (told["asked"] or {}):
        ids = _seen_of(session, actor, told["asked"]["resource_ids"])
        told["asked"] = {**told["asked"], "resource_ids": ids}
    return {**told, "history": history_of(session, found.id)}


list_registrations = lists("registration", "/registrations", "Registrations",
                           "code object title summary rights valid_from valid_until state",
                           (Registration.code, Registration.title))  # fmt: skip


@question("registration.read", "/registrations/<registration_code>", "Registration",
          answer=seen_schema(Registration))  # fmt: skip
def show_registration(
    _desk: Desk, session: Session, actor: Actor, found: Registration
) -> dict[str, Any]:
    """As much of it as the asker's side sees; of its resources those that exist for him."""
    told = registration_views.told(actor, "registration", found)
    return {**_with_seen_resources(session, actor, found), **{
        name: value for name, value in told.items() if name != "resource_ids"
    }}  # fmt: skip


def _with_seen_resources(session: Session, actor: Actor, found: Registration) -> dict[str, Any]:
    return {
        **found.body(), "history": history_of(session, found.id),
        "resource_ids": _seen_of(session, actor, found.resource_ids),
    }  # fmt: skip


def _seen_of(session: Session, actor: Actor, resource_ids: list[str]) -> list[str]:
    """Those of the resources that exist for the asker."""
    wanted = select(Resource.id).where(Resource.id.in_(resource_ids))
    seen = catalogue.visible(session, actor)
    ids = set(session.scalars(wanted if seen is None else wanted.where(seen)))
    return [one for one in resource_ids if one in ids]


# The states in which the public is told what the notice says.
NOTICED = [
    state for state, sees in registration_views.SEES["application"].items()
    if sees["public"] == "notice"
]  # fmt: skip


def _joint_names(session: Session, row: Application) -> list[str]:
    """Who applies together with the applicant."""
    others = [one for one in row.notice.get("subjects", []) if one != row.party_id]
    return list(
        session.scalars(select(Party.name).where(Party.id.in_(others)).order_by(Party.name))
    )


@question("notice.read", "/notices", "Public notices", name="notice.list", answer=NoticesAnswer,
          query=NoticeQuery)  # fmt: skip
def notices(
    _desk: Desk, session: Session, _actor: Actor, limit: int, after: str = "", words: str = ""
) -> dict[str, Any]:
    """What the rule (26号 art. 12) wants told of the applications on notice, the newest first."""
    wanted = (
        select(Application, Party.name)
        .join(Party, Party.id == Application.party_id)
        .where(Application.state.in_(NOTICED))
        .order_by(Application.id.desc())
        .limit(limit + 1)
    )
    if after:
        wanted = wanted.where(Application.id < after)
    if words:
        columns = (Application.number, Application.title, Application.summary, Party.name)
        wanted = wanted.where(matching(Application, words, *columns))
    found = list(session.execute(wanted).tuples())
    shown = found[:limit]
    return {
        "items": [
            {
                "from_on": row.notice["from"], "number": row.number,
                "paused": row.notice["until"].get("left") is not None,
                "provisional": row.notice["until"]["provisional"],
                "subject": "、".join([name, *_joint_names(session, row)]),
                "summary": row.notice["summary"], "title": row.notice["title"],
                "type": row.notice["type"], "until_on": row.notice["until"]["on"],
            }
            for row, name in shown
        ],
        "next": shown[-1][0].id if len(found) > limit else None,
    }  # fmt: skip
