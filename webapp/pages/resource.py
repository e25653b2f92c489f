"""A resource's page with all its elements in groups, its history in words, and the form that changes it."""

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from flask import Flask, render_template, request
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import catalogue, catalogue_rules, cross_border, grading
from ledger.catalogue import Resource
from ledger.catalogue_fields import FIELDS
from ledger.catalogue_rules import outside
from ledger.parties import Party
from webapp import door
from webapp.deeds import resource as deeds
from webapp.language import tr
from webapp.pages import nouns
from webapp.pages.forms import FormField
from webapp.pages.organisations import steward_line
from webapp.wording import ground_words, label_of, said, spoken

# The elements in the groups of the page and of the form.
GROUPS: dict[str, tuple[str, ...]] = {
    "What it is": ("title", "summary", "items", "category", "kind", "format", "encoding",
                   "record_count", "period_from", "period_to", "keywords", "notes"),
    "One datum, one source, one standard": (
        "provider", "provider_code", "responsible", "source_system", "update_mechanism",
        "quality_standard", "way_of_use"),
    "Sharing, opening, return": (
        "sharing", "sharing_condition", "sharing_mode", "sharing_basis", "opening",
        "opening_condition", "return_flow", "return_condition", "licence", "fee", "fee_basis",
        "fee_url"),
    "Grade and protection": ("grading", "impacts", "important_list", "personal_information",
                             "person_count", "sensitive_person_count", "export_planned", "ciio"),
    "Times": ("update_cycle", "published_on", "updated_on"),
    "Links": ("source_url", "documentation_url", "related"),
}  # fmt: skip
assert sorted(name for names in GROUPS.values() for name in names) == sorted({*FIELDS} - {"code"})
# What the rules want of every resource, so that its absence is said as well.
WANTED = frozenset(
    {"provider", "responsible", "source_system", "update_mechanism", "quality_standard", "way_of_use",
     "sharing", "opening", "return_flow", "personal_information", "important_list", "update_cycle",
     "updated_on"}
)  # fmt: skip
TOKENS = re.compile(r"[A-Za-z0-9_]+|\s+|.", re.DOTALL)
LONG_TEXT = 40  # characters from which the changed part of a text is marked
TOKENS_MAX = 3_000  # beyond that the two texts stand side by side


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and what the templates ask for."""
    nouns.EXTRA["resource"] = about_resource
    app.jinja_env.globals |= {"grouped": grouped}
    app.add_url_rule("/resources/<path:resource_code>/history", "resource_history", history_page)
    app.add_url_rule(
        "/resources/<path:resource_code>/change", "resource_change", change_page,
        methods=["GET", "POST"],
    )  # fmt: skip


# -- the page ----------------------------------------------------------------------------------------


def about_resource(session: Session, row: Resource) -> dict[str, Any]:
    """What a resource's page tells of it besides its row."""
    seen = catalogue.audiences(session, door.actor())
    inside = seen.works_with(row)
    known = {**row.elements, "title": row.title, "provider": row.provider}
    kept = known if inside else outside(known)
    related = [str(one) for one in kept.get("related") or ()]
    condition = catalogue.visible(session, door.actor())
    wanted = select(Resource.code).where(Resource.code.in_(related))
    there = set(session.scalars(wanted if condition is None else wanted.where(condition)))
    party = session.get(Party, row.provider_id) if row.provider_id else None
    abroad = deeds.abroad(row) if inside else None
    return {
        "abroad": abroad and {**abroad, "why": spoken(*abroad["why"]),
                              "procedure": spoken(*cross_border.PROCEDURES[abroad["route"]]),
                              "needs": spoken(*cross_border.NEEDS[abroad["route"]])},
        "code_parts": code_parts(row.code),
        "elements": elements(row),
        "exception": spoken(*grading.EXCEPTION),
        "grade": row.grade and spoken(*grading.LEVELS[row.grade]),
        "grounds": [ground_words(one) for one in grading.grounds(kept)],
        "groups": [(group, list(_told(names, kept, inside))) for group, names in GROUPS.items()],
        "inside": inside, "party": party, "related": there,
        "rule": cross_border.RULE, "standard": grading.STANDARD,
        "stewards": steward_line(row.provider_id),
        "to_verify": spoken(*cross_border.TO_VERIFY),
    }  # fmt: skip


def _told(
    names: tuple[str, ...], kept: Mapping[str, Any], inside: bool
) -> Iterator[tuple[str, str, str, Any]]:
    """Each element of a group as name, label, words and value; also what is wanted and not said."""
    for name in names:
        words = said(name, kept)
        if name == "title" or not (
            words or (name in WANTED and (inside or name != "source_system"))
        ):
            continue
        yield name, label_of(name), words, kept.get(name)


def code_parts(code: str) -> list[tuple[str, str]]:
    """The parts of a directory code with their names; nothing of another scheme's code."""
    parts = catalogue_rules.decode(code)
    if parts is None:
        return []
    names = {"class": "Class", "item": "Item", "heading": "Directory heading", "subheading": "Sub-heading",
             "sequence": "Sequence number"}  # fmt: skip
    found = {
        **parts,
        "class": f"{parts['class']} {spoken(*catalogue_rules.CLASSES[parts['class']])}",
    }
    return [(tr(names[name]), value) for name, value in found.items() if value]


def elements(row: Resource) -> list[tuple[str, str, str]]:
    """What everybody may know of a resource, in the order of the rules: field, its name, its value."""
    known = outside(
        {"code": row.code, "title": row.title, "provider": row.provider, **row.elements}
    )
    found = ((name, label_of(name), said(name, known)) for name in FIELDS)
    return [one for one in found if one[2]]


# -- the history -------------------------------------------------------------------------------------


@door.guard(deeds.show_history)
def history_page(resource_code: str) -> str:
    """Every version that the reader may see, and in what two of them differ."""
    asked = {name: value for name, value in request.args.items() if value}
    keys = {"resource_code": resource_code}
    found = door.the_desk().ask(deeds.show_history, door.who, keys, asked)
    return render_template(
        "resource_history.html", found=found, asked=asked, code=resource_code,
        compared=found["compared"] and [difference(one) for one in found["compared"]],
        items=[{**one, "differences": [difference(d) for d in one["differences"]]}
               for one in found["items"]],
    )  # fmt: skip


def difference(one: Mapping[str, Any]) -> dict[str, Any]:
    """A difference of one element as the page shows it: parts of a list, marked text, or the whole."""
    name, old, new = one["field"], one["old"], one["new"]
    told: dict[str, Any] = {"label": label_of(name), "old": said(name, {name: old}),
                            "new": said(name, {name: new})}  # fmt: skip
    if isinstance(old, list) and isinstance(new, list):
        words = {part: said(name, {name: [part]}) for part in (*old, *new)}
        told["added"] = [words[part] for part in new if part not in old]
        told["removed"] = [words[part] for part in old if part not in new]
    elif isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) >= LONG_TEXT:
        told["marked"] = marked(old, new)
    return told


def marked(old: str, new: str) -> list[tuple[str, str]]:
    """A text with what was taken out and put in: (equal, delete or insert; the words), in order.

    >>> marked("每月更新", "每周更新")
    [('equal', '每'), ('delete', '月'), ('insert', '周'), ('equal', '更新')]
    """
    before, after = TOKENS.findall(old), TOKENS.findall(new)
    if len(before) + len(after) > TOKENS_MAX:
        return []
    made: list[tuple[str, str]] = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            made.append(("equal", "".join(before[i:j])))
            continue
        if i < j:
            made.append(("delete", "".join(before[i:j])))
        if k < m:
            made.append(("insert", "".join(after[k:m])))
    return made


# -- the form ----------------------------------------------------------------------------------------


@door.guard(deeds.change)
def change_page(resource_code: str) -> Any:
    """The form of a resource, filled in with what it says."""
    keys = {"resource_code": resource_code}
    if request.method == "POST":
        return nouns.submit(deeds.change, keys)
    desk = door.the_desk()
    with desk.home.reading() as session:
        row = catalogue.find(session, door.who(session), resource_code)
        values = {**row.elements, "title": row.title, "provider": row.provider}
    return nouns.deed_page(deeds.change, keys, values, {}, None)


def grouped(fields: list[FormField]) -> list[tuple[str, list[FormField]]]:
    """The form's fields in the groups of the page, with our names for them."""
    by_name = {one.at: one for one in fields}
    for name, one in by_name.items():
        if name in FIELDS:
            one.label = label_of(name)
        if name == "impacts":
            one.choices = [(value, said(name, {name: [value]})) for value, _ in one.choices]
        if name == "update_cycle":
            one.choices = [(value, said(name, {name: value})) for value, _ in one.choices]
    return [(group, [by_name[n] for n in names]) for group, names in GROUPS.items()]
