"""What an application lacks or breaks, named all at once, each with its place in what was given."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, false, or_, select, true, type_coerce
from sqlalchemy.orm import Session

from ledger import grading
from ledger.agreements import Agreement, faults_of_scope
from ledger.catalogue import Resource
from ledger.errors import Conflict, Faults, Invalid
from ledger.parties import Actor, Party, require_active
from ledger.registration_profiles import Profile, in_use
from ledger.registration_rows import (
    DESCRIBED,
    IN_FORCE,
    MATERIALS,
    RIGHTS,
    Application,
    Deposit,
    Registration,
)
from ledger.store import lock

ATTACHMENTS_MAX = 50
ASKED_AT_ONCE = 200
ATTACHMENT_BYTES_MAX = 50 * 1024 * 1024


def faults_in(
    session: Session,
    actor: Actor,
    *,
    object_kind: str,
    title: str,
    summary: str,
    agreement: Agreement | None,
    resource_ids: Sequence[str],
    deposits: Sequence[Deposit],
    rights: Sequence[str],
    materials: Mapping[str, str],
    joint: Sequence[Party] = (),
    scenes: Sequence[str] = (),
    attachments: Sequence[Mapping[str, str]] = (),
    besides: Application | None = None,
) -> Faults:
    """Everything that an application lacks or breaks, each with its place in what was given.

    `besides` is the application that it takes the place of.
    """
    faults, rules = Faults(), in_use(session)
    faults.name_missing({"title": "名称", "summary": "摘要"}, {"title": title, "summary": summary})
    faults.name_missing(MATERIALS, materials, at="materials")
    if object_kind not in rules.objects:
        faults.name_fault(
            "object must be one of {choices}", at="object", choices=", ".join(rules.objects)
        )
    if not rights or any(right not in RIGHTS for right in rights):
        faults.name_fault("rights must be among {choices}", at="rights", choices=", ".join(RIGHTS))
    if not deposits:
        faults.name_fault("no evidence was deposited (存证) before the application", at="data")
    if not resource_ids and object_kind in DESCRIBED:
        faults.name_fault("no catalogue resource is named", at="resources")
    if object_kind == "product" and agreement is None:
        faults.name_fault("a product of public data needs its operation agreement", at="agreement")
    name_scope_faults(session, faults, actor.party_id, agreement, object_kind, resource_ids, scenes)
    name_grade_faults(session, faults, rules, resource_ids)
    if "holding" in rights and object_kind == "resource":
        name_holders(session, faults, resource_ids, besides)
    for place, one in enumerate(joint):
        if one.id == actor.party_id or one.id in {other.id for other in joint[:place]}:
            faults.name_fault("{name} stands there twice", at=f"joint.{place}", name=one.name)
        require_active(one)
    name_attachment_faults(session, faults, actor.party_id, attachments, MATERIALS)
    return faults


def name_scope_faults(
    session: Session, faults: Faults, party_id: str, agreement: Agreement | None, object_kind: str,
    resource_ids: Sequence[str], scenes: Sequence[str],
) -> None:  # fmt: skip
    """What is outside the agreement (27号 art. 21); without one, what the party does not hold."""
    if agreement is not None:
        faults.add(faults_of_scope(session, agreement, resource_ids, scenes))
    elif object_kind == "resource":
        for resource_id in sorted(set(resource_ids)):
            known = session.get(Resource, resource_id)
            if known is None or known.provider_id != party_id:
                faults.name_fault(
                    "resource {resource} is held by another body: name the agreement that opens it",
                    at="resources", resource=resource_id if known is None else known.code,
                )  # fmt: skip


def name_grade_faults(
    session: Session, faults: Faults, rules: Profile, resource_ids: Sequence[str]
) -> None:
    """Resources of a grade that is never registered."""
    barred = select(Resource).where(
        Resource.id.in_(list(resource_ids)), Resource.grade.in_(rules.barred_grades)
    )
    for one in session.scalars(barred.order_by(Resource.code)):
        faults.name_fault(
            "resource {resource} is {grade} data, which is not registered", at="resources",
            resource=one.code, grade=grading.LEVELS[str(one.grade)][0],
        )  # fmt: skip


def name_holders(
    session: Session, faults: Faults, resource_ids: Sequence[str],
    besides: Application | Registration | None, *, applied_for: bool = True,
) -> None:  # fmt: skip
    """Resources whose right to hold is registered, or applied for, already: it has one holder.

    `besides` is the application or registration that it is asked for.
    """
    open_states = ("submitted", "in_review", "reviewed", "on_notice", "objection_review")
    applied = select(Application).where(
        Application.type == "first", Application.object == "resource",
        Application.state.in_(open_states), _names(Application.resource_ids, resource_ids),
    )  # fmt: skip
    coded = select(Registration).where(
        Registration.object == "resource", Registration.state.in_(IN_FORCE),
        _names(Registration.resource_ids, resource_ids),
    )  # fmt: skip
    taken: dict[str, str] = {}
    for row in session.scalars(applied) if applied_for else ():
        if "holding" in row.rights and (besides is None or row.id != besides.id):
            taken |= dict.fromkeys(row.resource_ids, "-")  # whose it is, is not told
    for held in session.scalars(coded):
        if "holding" in held.rights and (besides is None or held.id != besides.id):
            taken |= dict.fromkeys(held.resource_ids, held.code)
    for resource_id in sorted(set(resource_ids) & set(taken)):
        known = session.get(Resource, resource_id)
        faults.name_fault(
            "the right to hold resource {resource} is registered or applied for already ({number})",
            at="rights", resource=resource_id if known is None else known.code,
            number=taken[resource_id],
        )  # fmt: skip


def _names(column: Any, resource_ids: Sequence[str]) -> ColumnElement[bool]:
    """Rows that name one of the resources, as the database can tell; of very many all rows may."""
    if len(resource_ids) > ASKED_AT_ONCE:
        return true()
    # The ids stand in the column's text, and no id is part of another.
    return or_(false(), *(type_coerce(column, String).contains(one) for one in resource_ids))


def require_one_holder(
    session: Session, held: Application | Registration, resource_ids: Sequence[str],
    besides: Application | Registration,
) -> None:  # fmt: skip
    """Raise Conflict when the right to hold one of the resources was registered meanwhile."""
    if "holding" not in held.rights or held.object != "resource":
        return
    faults = Faults()
    for row in session.scalars(
        select(Resource).where(Resource.id.in_(list(resource_ids))).order_by(Resource.id)
    ):
        lock(session, row)  # two that compete do not both get it
    name_holders(session, faults, resource_ids, besides, applied_for=False)
    if faults:
        raise Conflict("The application lacks or breaks: {faults}.", faults=faults)


def name_attachment_faults(
    session: Session, faults: Faults, party_id: str, attachments: Sequence[Mapping[str, str]],
    materials: Mapping[str, str],
) -> None:  # fmt: skip
    """Files to materials that are too many or too large, not the party's deposits, or to no material."""
    if len(attachments) > ATTACHMENTS_MAX:
        faults.name_fault("more than {most} files", at="attachments", most=ATTACHMENTS_MAX)
    for place, one in enumerate(attachments):
        found = session.get(Deposit, one.get("deposit_id", ""))
        at = f"attachments.{place}"
        if one.get("material") not in materials:
            faults.name_fault("unknown item {key}", f"{at}.material", key=one.get("material"))
        if found is None or found.party_id != party_id:
            faults.name_fault(
                "{name} was not deposited by your organisation", f"{at}.digest",
                name=one.get("deposit_id"),
            )  # fmt: skip
        elif found.size_bytes > ATTACHMENT_BYTES_MAX:
            faults.name_fault(
                "{name} is larger than {most} MiB", f"{at}.digest", name=found.name,
                most=ATTACHMENT_BYTES_MAX // 1024**2,
            )  # fmt: skip


def check_ground(grounds: Mapping[str, str], ground: str) -> None:
    """Raise Invalid unless the ground is one of those listed; where none are listed, none is needed."""
    if grounds and ground not in grounds:
        raise Invalid(
            "The ground must be one of {choices}.",
            choices="; ".join(f"{key} ({zh})" for key, zh in grounds.items()),
        )


def grade_of(session: Session, resource_ids: Sequence[str]) -> str | None:
    """The strictest grade of some resources (就高从严); None while none of them is graded."""
    wanted = select(Resource.grade).where(Resource.id.in_(list(resource_ids)))
    return grading.stricter(one for one in session.scalars(wanted) if one)
