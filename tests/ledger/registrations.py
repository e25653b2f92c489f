"""Stages of what becomes of a registration: applications about it, objections, inquiries."""

from datetime import timedelta
from typing import Any

from ledger import (
    agreements,
    catalogue,
    objections,
    register,
    registration,
    registration_changes,
    settings,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict
from ledger.objections import Objection
from ledger.registration import Application, Registration
from ledger.registration_changes import Asked
from tests.conftest import Town, compliance

WORDS = {"statement": "如申请", "proof": "见附件"}
ADDRESS = "0x3333333333333333333333333333333333333333"


def row(town: Town, model: Any, row_id: str) -> Any:
    with town.reading() as session:
        return session.get_one(model, row_id)


def apply(
    town: Town,
    type_: str,
    registered: Any = None,
    login: str = "olga",
    ground: str = "",
    amends: Application | None = None,
    **asked: Any,
) -> Application:
    """An application about a registration, submitted."""
    registered = registered or town.registration()
    defaults: dict[str, tuple[str, dict[str, Any]]] = {
        "change": ("product", {"title": f"风险统计产品 {town.now:%d%H%M}"}),
        "correction": ("error", {"summary": "更正后的摘要"}),
        "cancellation": ("given_up_or_expired", {}),
        "renewal": ("", {"years": 1}),
        "objection": ("", {"terms": "权属不清"}),
    }
    default_ground, default = defaults.get(type_, ("", {}))
    made: Application = town.do(
        login, registration_changes.apply, registered, type_, ground=ground or default_ground,
        asked=Asked(**{**default, **asked}), amends=amends, **WORDS,
    )  # fmt: skip
    return made


def agreement_with(town: Town, login: str, **changes: Any) -> Agreement:
    """A signed agreement of another operator, over the resources of the town."""
    facts: dict[str, Any] = {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": local_date(town.now),
        "implementer": town.party("bureau"), "mode": "whole", "resource_ids": town.resources(),
        "title": "授权运营协议", "until_on": years_after(local_date(town.now), 4),
    }  # fmt: skip
    made = town.do(login, agreements.propose, **{**facts, **changes})
    town.do("paul", agreements.sign, made)
    return row(town, Agreement, made.id)  # type: ignore[no-any-return]


def registered_under(town: Town, agreement: Agreement) -> Registration:
    """What olga registers under an agreement."""
    made = town.do("olga", registration.submit, **town.application_facts(agreement))
    passed(town, made)
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    return town.do("rita", registration.code, made, agreement)  # type: ignore[no-any-return]


def passed(town: Town, application: Application) -> Application:
    """Accepted by rita and reviewed by her."""
    town.do("rita", registration.accept, application)
    town.do("rita", registration.pass_review, application, formal="齐全", compliance=compliance())
    return row(town, Application, application.id)  # type: ignore[no-any-return]


def conclude(town: Town, application: Application) -> Registration:
    """From submitted to concluded, over its notice where it has one."""
    if passed(town, application).review["needs_second"]:
        town.do("rob", registration.second, application, "属实")
    if application.type in ("change", "transfer", "licence"):
        town.do("rita", registration.give_notice, application)
        town.later(days=21)
    made: Registration = town.do("rita", registration_changes.conclude, application, "属实")
    return made


def profile(town: Town, name: str) -> None:
    town.do("admin", _choose, name)


def _choose(session: Any, actor: Any, _now: Any, name: str) -> Any:
    return settings.change(session, actor, "registration_profile", name)


def important(town: Town) -> Application:
    """An application about important data: its review needs a second look."""
    with town.deed() as session:
        resource = catalogue.add_resource(
            session, town.actors["rita"], town.now, code="307001001/000077", title="重要资源",
            provider="市数据局", elements={"grading": "重要"},
        )  # fmt: skip
        resource_id = resource.id
    agreement = town.agreement(resource_ids=[*town.resources(), resource_id])
    made: Application = town.do("olga", registration.submit, **town.application_facts(agreement))
    return made


def disputed(town: Town) -> Registration:
    """A registration that bears a registered objection, in Shenzhen."""
    registered = town.registration()
    profile(town, "shenzhen")
    conclude(town, apply(town, "objection", registered, "mallory"))
    profile(town, "national")
    return row(town, Registration, registered.id)  # type: ignore[no-any-return]


def object_to(
    town: Town, application: Any, login: str = "mallory", real_name: str = ""
) -> Objection:
    made: Objection = town.do(
        login, objections.raise_, application, real_name=real_name or login.title(), claim="权属不清",
        evidence="见合同",
    )  # fmt: skip
    return made


def decide(town: Town, application: Any, verb: str) -> None:
    """rob, who did not review it, decides on the open objection."""
    with town.reading() as session:
        found = (
            session.query(Objection)
            .filter_by(application_id=application.id, state="raised")
            .first()
        )
    if found is None:
        raise Conflict("there is no open objection")
    town.do("rob", getattr(objections, verb), found, "经复核")


def amend(town: Town, application: Any) -> None:
    registered = None
    if application.registration_id:
        registered = row(town, Registration, application.registration_id)
    if registered is None:
        raise Conflict("a first registration")
    town.do(
        "olga", registration_changes.apply, registered, application.type, ground="product",
        asked=Asked(title="再改"), amends=application, **WORDS,
    )  # fmt: skip


def change(town: Town, registered: Any) -> None:
    conclude(town, apply(town, "change", registered))


def inquire(town: Town, registered: Any) -> None:
    town.do("rita", register.inquire, registered, "举报")


def lift(town: Town, registered: Any) -> None:
    number = (row(town, Registration, registered.id).disputes or ["SQ2026-000000"])[0]
    town.do("rob", register.lift, registered, application=number, finding="已和解")


def lapse(town: Town, registered: Any) -> None:
    """`lapse` passes over what it cannot end: here that is the refusal."""
    with town.deed() as session:
        register.lapse(session, town.now + timedelta(days=10_000))
        found = session.get_one(Registration, registered.id)
        if (found.ending or {}).get("ground") != "expired" or found.version == registered.version:
            raise Conflict("not lapsed")


def agreement_of(town: Town, registered: Registration) -> Agreement:
    return town.get(Agreement, registered)  # type: ignore[no-any-return]
