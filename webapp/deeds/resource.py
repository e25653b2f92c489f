"""One resource: what it is, how it came to be so, and a change of it by hand."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from marshmallow import Schema, fields, validate
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import catalogue, catalogue_imports, catalogue_rules, cross_border, grading, log
from ledger.agreements import Agreement
from ledger.catalogue import Audience, Resource
from ledger.catalogue_fields import FIELDS
from ledger.catalogue_imports import CatalogueImport
from ledger.catalogue_values import CODED, CYCLES, read_choice, read_count, read_cycle, read_date
from ledger.errors import Faults, Invalid, Missing
from ledger.parties import Account, Actor, Member, Party
from ledger.proof.encoding import instant
from webapp.deeds import Desk, deed, question
from webapp.deeds.answers import history_of, shown_schema
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import EMPTY, LONG, MISSHAPEN, Body, document, said, text, texts

ONE = "/resources/<path:resource_code>"
VERSIONS_MAX = 50
# What each coded value is called.
WORDS: dict[str, dict[str, str]] = {
    "sharing": {"unconditional": "Shared without conditions", "conditional": "Shared under conditions",
                "not_shared": "Not shared"},
    "opening": {"unconditional": "Open without conditions", "conditional": "Open under conditions",
                "not_open": "Not open"},
    "return_flow": {"yes": "Returned", "conditional": "Returned under conditions",
                    "no": "Not returned"},
    "personal_information": {"none": "No personal information", "general": "Personal information",
                             "sensitive": "Sensitive personal information"},
    "important_list": {"yes": "Yes", "no": "No"},
    "export_planned": {"yes": "Yes", "no": "No"},
    "ciio": {"yes": "Yes", "no": "No"},
    "grading": {"general": "General data", "important": "Important data", "core": "Core data"},
}  # fmt: skip
assert all(set(WORDS[name]) == set(values) for name, values in CODED.items())
IMPACTS = {
    f"{touched}:{degree}": f"{OBJECT}: {DEGREE}"
    for touched, (_, OBJECT) in grading.OBJECTS.items()
    for degree, (_, DEGREE) in grading.DEGREES.items()
}
AREA_CHARS = 1_000  # a field that may be longer is typed into an area
HINTS = {
    "published_on": "such as 2026-03-01; a month or a year will do",
    "updated_on": "such as 2026-03-01; a month or a year will do",
    "period_from": "such as 2026-03-01; a month or a year will do",
    "period_to": "such as 2026-03-01; a month or a year will do",
    "grading": "the stricter of this and its grounds prevails",
    "person_count": "whose information is not sensitive, since 1 January",
    "sensitive_person_count": "since 1 January",
}


class WrittenDay(fields.String):
    """A day, month or year as a table may write it, 2026年3月1日; in ISO 8601 inside. It may be blank."""

    default_error_messages = {
        "invalid": said(MISSHAPEN, "text"),
        "unread": said(MISSHAPEN, "day, month or year"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        written = str(super()._deserialize(value, attr, data, **kwargs))
        iso, how = read_date(written)
        if how == "unreadable" and written.strip():
            raise self.make_error("unread")
        return iso.strip()


def _element(name: str) -> fields.Field[Any]:
    """The field of a form for one element."""
    one, hint = FIELDS[name], HINTS.get(name, "")
    title = one.en[:1].upper() + one.en[1:]
    if name in WORDS or name == "update_cycle":
        choices = WORDS.get(name) or {freq: cycle.en for freq, cycle in CYCLES.items()}
        return text(title, required=False, choices=choices, hint=hint)
    if one.kind == "impacts":
        return texts(title, least=0, choices=IMPACTS)
    if one.kind == "integer":
        return fields.Integer(
            validate=validate.Range(0, 10**15, error=said(MISSHAPEN, "whole number")),
            metadata={"title": title, "hint": hint, "description": title},
        )
    if one.kind in ("list", "items", "formats"):
        part = fields.String(
            validate=validate.Length(1, one.max_chars, error=said(LONG, one.max_chars)),
            error_messages={"invalid": said(MISSHAPEN, "text")},
        )
        return fields.List(
            part, required=False, validate=validate.Length(0, 5_000, error=said(EMPTY)),
            error_messages={"invalid": said(MISSHAPEN, "list")},
            metadata={"title": title, "hint": "one a line", "description": title, "kind": "list"},
        )  # fmt: skip
    if one.kind == "date":
        return WrittenDay(
            validate=validate.Length(max=one.max_chars, error=said(LONG, one.max_chars)),
            metadata={"title": title, "hint": hint, "description": title},
        )  # fmt: skip
    required = one.need == "required"
    return text(title, most=one.max_chars, required=required, blank=not required, hint=hint,
                area=one.max_chars > AREA_CHARS and not name.endswith("url"))  # fmt: skip


ResourceChangeBody: type[Body] = type(
    "ResourceChangeBody", (Body,),
    {
        "__doc__": "A resource as it is to be: what is left out is no longer said of it.",
        **{name: _element(name) for name in FIELDS if name != "code"},
        "reason": text("Reason of the change", area=True, hint="it stands in the history"),
    },
)  # fmt: skip


class ResourceBody(Body):
    """A resource listed by hand."""

    code = text("Resource code", most=64)
    title = text("Title", most=200)
    provider = text("Provider", most=200)
    elements = document("Elements", hint="one a line, name: value", required=False)


@deed("resource.add", "/resources", "List a resource", "Resource {code} ({title}) is listed.",
      body=ResourceBody)  # fmt: skip
def add_resource(
    desk: Desk, session: Session, actor: Actor, *, code: str, title: str, provider: str,
    elements: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A registrar's deed, by the rules of a table; a provider proposes a change set."""
    said_of_it = catalogue.coded({**(elements or {}), "title": title, "provider": provider})
    faults = faults_of(code, said_of_it, only=catalogue_rules.ERRORS)
    if faults:
        raise Invalid("The resource breaks: {faults}.", faults=faults)
    made = catalogue.add_resource(
        session, actor, desk.now, code=code, title=title, provider=provider, elements=elements or {}
    )
    return {"code": made.code, "title": made.title}


@deed("catalogue.import", f"{ONE}/change", "Change the resource",
      "The change of resource {code} is {state}.", name="resource.change", body=ResourceChangeBody,
      changes=True)  # fmt: skip
def change(
    desk: Desk, session: Session, actor: Actor, found: Resource, reason: str, **given: Any
) -> dict[str, Any]:
    """What is left out is no longer said; what breaks the rules is told at its field."""
    row = {name: value for name, value in given.items() if value not in ("", [], None)}
    kept = {**originals(found.elements, row), **row}
    faults = faults_of(found.code, kept)
    if faults:
        raise Invalid("The resource breaks: {faults}.", faults=faults)
    made = catalogue_imports.bring_one(session, actor, desk.now, found.code, kept, reason)
    return {"change_set": made.id, "code": found.code, "state": made.state}


def faults_of(code: str, row: Mapping[str, Any], *, only: Collection[str] | None = None) -> Faults:
    """What the elements of a form break together, at their places; of all rules, or of some."""
    faults = Faults()
    for breach in catalogue_rules.breaches(code, row):
        if breach.code not in catalogue_rules.TOLD if only is None else breach.code in only:
            sentence = catalogue_rules.ENGLISH[breach.code]
            faults.name_fault(sentence, breach.at, **breach.facts)
    return faults


def originals(elements: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """What a resource keeps besides its fields: how something was written, as far as it still says that.

    >>> originals({"category": "公共資訊", "category_count": 921}, {"category": "公共資訊"})
    {'category_count': 921}
    """
    kept = {}
    for name, value in elements.items():
        of = "category" if name == "category_count" else name.removesuffix("_text")
        if name not in FIELDS and value is not None and row.get(of) == elements.get(of):
            kept[name] = value
    return kept


@deed("catalogue.import", f"{ONE}/withdraw", "Withdraw from the catalogue",
      "The withdrawal of resource {code} is {state}.", name="resource.withdraw", body=ReasonBody,
      changes=True)  # fmt: skip
def withdraw(
    desk: Desk, session: Session, actor: Actor, found: Resource, reason: str
) -> dict[str, Any]:
    made = catalogue_imports.bring_one(session, actor, desk.now, found.code, None, reason)
    return {"change_set": made.id, "code": found.code, "state": made.state}


# -- as it stands ----------------------------------------------------------------------------------


class GroundAnswer(Schema):
    """One ground of the grade: declared, listed, or harm of a degree to an object; and its level."""

    kind = fields.String(required=True)
    level = fields.String(required=True)
    object = fields.String(required=True, allow_none=True)
    degree = fields.String(required=True, allow_none=True)


ResourceShown: type[Schema] = type(
    "ResourceShownAnswer", (shown_schema(Resource),),
    {
        "grounds": fields.List(fields.Nested(GroundAnswer), required=True),
        "cross_border": fields.Dict(required=True, allow_none=True),
        "directory_code": fields.Dict(required=True, allow_none=True),
    },
)  # fmt: skip


@question("resource.read", ONE, "Resource", answer=ResourceShown)
def show(_desk: Desk, session: Session, actor: Actor, found: Resource) -> dict[str, Any]:
    """A resource with what follows from its elements; who only sees it, is not told the inner ones."""
    seen = catalogue.audiences(session, actor)
    inside = seen.works_with(found)
    elements = found.elements if inside else catalogue_rules.outside(found.elements)
    kept = {record.leaf_index for record, _ in _visible_versions(session, actor, seen, found)}
    return {
        **found.body(), "elements": elements,
        "history": [one for one in history_of(session, found.id) if one["leaf_index"] in kept],
        "grounds": [
            {"degree": one.degree, "kind": one.kind, "level": one.level, "object": one.object}
            for one in grading.grounds(elements)
        ],
        "cross_border": abroad(found) if inside else None,
        "directory_code": catalogue_rules.decode(found.code),
    }  # fmt: skip


def abroad(row: Resource) -> dict[str, Any] | None:
    """Which procedure sending a resource's data abroad needs; None while too little is said of it.

    `planned`: whether it is planned at all.
    """
    kept = row.elements
    flag = catalogue_rules.flag_of_persons(kept)
    persons, sensitive = map(
        _counted, (kept.get("person_count"), kept.get("sensitive_person_count"))
    )
    personal = flag not in ("none", None) or bool(persons or sensitive)
    important, ciio = row.grade in ("core", "important"), kept.get("ciio") == "yes"
    alone = important or (ciio and personal)
    if not alone and not cross_border.decided_by(flag, persons, sensitive):
        return None
    found = cross_border.route(ciio, important, persons or 0, sensitive or 0, personal=personal)
    return {
        "article": found.article, "planned": kept.get("export_planned") == "yes", "route": found.route,
        "why": list(found.why),
    }  # fmt: skip


def _counted(value: Any) -> int | None:
    """A number of persons; None where none can be read."""
    return None if value is None else read_count(str(value))[0]


# -- how it came to be so ----------------------------------------------------------------------------


class ResourceDifferenceAnswer(Schema):
    """One element in which a version differs from the one before."""

    field = fields.String(required=True)
    old = fields.Raw(required=True, allow_none=True)
    new = fields.Raw(required=True, allow_none=True)


class ResourceVersionAnswer(Schema):
    """One version: when, by which organisation (and member, for those signed in), why, how it differs."""

    version = fields.Integer(required=True)
    at = fields.String(required=True)
    kind = fields.String(required=True)
    organisation = fields.String(required=True, allow_none=True)
    member = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    file = fields.String(required=True, allow_none=True)
    rung = fields.String(required=True)
    leaf_index = fields.Integer(required=True)
    differences = fields.List(fields.Nested(ResourceDifferenceAnswer), required=True)


class ResourceHistoryAnswer(Schema):
    """The versions that may be seen, the newest first; `compared` between two of them, if asked for.

    `before`: the version to ask on from, if there are more.
    """

    title = fields.String(required=True)
    items = fields.List(fields.Nested(ResourceVersionAnswer), required=True)
    versions = fields.List(fields.Integer(), required=True)
    before = fields.Integer(required=True, allow_none=True)
    compared = fields.List(fields.Nested(ResourceDifferenceAnswer), required=True, allow_none=True)


class ResourceHistoryQuery(Body):
    """Which versions are wanted, and which two are compared."""

    before = fields.Integer(metadata={"title": "Before version", "hint": ""})
    old = fields.Integer(metadata={"title": "Older version", "hint": ""})
    new = fields.Integer(metadata={"title": "Newer version", "hint": ""})


@question("resource.read", f"{ONE}/history", "History of the resource", name="resource.history",
          answer=ResourceHistoryAnswer, query=ResourceHistoryQuery)  # fmt: skip
def show_history(
    _desk: Desk, session: Session, actor: Actor, found: Resource, before: int | None = None,
    old: int | None = None, new: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The versions of a resource that the reader might have seen in their time."""
    seen = catalogue.audiences(session, actor)
    kept = list(_visible_versions(session, actor, seen, found))
    bodies = {record.subject_version: body for record, body in kept}
    compared = None
    if old is not None and new is not None:
        for wanted in (old, new):
            if wanted not in bodies:
                raise Missing("Resource {code} has no version {version} that you may see.",
                              code=found.code, version=wanted)  # fmt: skip
        compared = _differences(bodies[old], bodies[new])
    earlier: list[Mapping[str, Any]] = [{}, *(body for _, body in kept[:-1])]
    told = [
        (record, body, prior)
        for (record, body), prior in zip(kept, earlier, strict=True)
        if before is None or record.subject_version < before
    ][::-1]
    shown, more = told[:VERSIONS_MAX], told[VERSIONS_MAX:]
    who = _people(session, {record.actor for record, _, _ in shown})
    sets = _change_sets(session, {body.get("import_id") for _, body, _ in shown})
    return {
        "before": shown[-1][0].subject_version if more else None,
        "compared": compared,
        "items": [
            {
                "at": instant(record.at), "differences": _differences(prior, body),
                "file": sets.get(body.get("import_id"), (None, None))[0],
                "kind": record.kind, "leaf_index": record.leaf_index,
                "member": who.get(record.actor, (None, None))[1] if actor.member_id else None,
                "organisation": who.get(record.actor, (None, None))[0],
                "reason": orjson.loads(record.payload or "{}").get("reason")
                or sets.get(body.get("import_id"), (None, None))[1],
                "rung": log.rung(session, record), "version": record.subject_version,
            }
            for record, body, prior in shown
        ],
        "title": found.title,
        "versions": sorted(bodies, reverse=True),
    }  # fmt: skip


def _visible_versions(
    session: Session, actor: Actor, seen: Audience, found: Resource
) -> Iterable[tuple[log.Record, dict[str, Any]]]:
    """Each record of a resource with its body, the oldest first, as far as the reader saw it then.

    An agreement opens what is from its signature on, and what is now; not what was before.
    """
    without = replace(seen, resource_ids=frozenset())
    signed_at = _signed_at(session, actor, found) if found.id in seen.resource_ids else None
    for record in log.history(session, found.id):
        body = orjson.loads(record.payload)["body"] if record.payload else {}
        now = record.subject_version == found.version
        opened = now or (signed_at is not None and record.leaf_index >= signed_at)
        then = Resource(
            id=found.id, audience=body.get("audience"), provider_id=body.get("provider_id")
        )
        reader = seen if opened else without
        if reader.sees(then):
            if not reader.works_with(then):
                body["elements"] = catalogue_rules.outside(body["elements"])
            yield record, body


def _signed_at(session: Session, actor: Actor, found: Resource) -> int | None:
    """The leaf with which an agreement began to open a resource to the reader's organisation."""
    rows = session.execute(
        select(Agreement.id, Agreement.resource_ids).where(catalogue.opens(actor.party_id))
    )
    ids = [agreement for agreement, named in rows if found.id in named]
    return session.scalar(
        select(func.min(log.Record.leaf_index)).where(
            log.Record.subject_id.in_(ids), log.Record.kind == "agreement.signed"
        )
    )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The elements in which two bodies say another thing; how it is written counts only by itself."""
    found = [
        one for one in catalogue.differences(old, new) if _meant(*one[:2]) != _meant(one[0], one[2])
    ]
    names = {name for name, *_ in found}
    return [
        {"field": name, "new": after, "old": before}
        for name, before, after in found
        if not (name.endswith("_text") and name.removesuffix("_text") in names)
    ]


def _meant(name: str, value: Any) -> Any:
    """What a value says, however it is written; of nothing, None."""
    if isinstance(value, str) and name in CODED:
        return read_choice(value, CODED[name]) or value
    if isinstance(value, str) and name == "update_cycle":
        return value if value in CYCLES else read_cycle(value) or value
    if isinstance(value, str) and name == "grading":
        return grading.read_level(value) or value
    return None if value in ("", []) else value


def _people(session: Session, ids: set[str]) -> dict[str, tuple[str, str]]:
    """Organisation and name of some members."""
    rows = session.execute(
        select(Member.id, Party.name, Account.display_name)
        .join(Party, Party.id == Member.party_id)
        .join(Account, Account.member_id == Member.id)
        .where(Member.id.in_(ids))
    )
    return {member: (party, name) for member, party, name in rows}


def _change_sets(session: Session, ids: set[Any]) -> dict[Any, tuple[str | None, str | None]]:
    """File name (None of what was done by hand) and reason of some change sets."""
    wanted = select(CatalogueImport).where(CatalogueImport.id.in_([one for one in ids if one]))
    return {
        one.id: (None if one.source == "hand" else one.file_name, one.reason)
        for one in session.scalars(wanted)
    }
