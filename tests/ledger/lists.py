"""What the tests of the three lists share: resources that are seen and not seen, demands, a broker."""

from datetime import date, timedelta
from typing import Any

from ledger import catalogue, catalogue_imports, demands, exclusions, feedback, log, parties
from ledger.calendar import local_date
from ledger.catalogue import Resource
from tests.conftest import Town

OPEN = {"sharing": "unconditional", "opening": "unconditional", "update_cycle": "daily"}
SHARED = {**OPEN, "opening": "not_open"}
HIDDEN = {"sharing": "not_shared", "opening": "not_open"}


def resource(
    town: Town, n: int, title: str, items: list[str], provider: str = "市数据局", **elements: Any
) -> Resource:
    """A resource with a number of its own; 市数据局 is paul's department, others take no part."""
    return town.do(
        "rita", catalogue.add_resource, code=f"307001001/{n:06d}", title=title, provider=provider,
        elements={**OPEN, "items": items, **elements},
    )  # fmt: skip


def change(town: Town, row: Resource, **elements: Any) -> Any:
    """The registrar changes some elements by a change set of one line."""
    given = {"title": row.title, "provider": row.provider, **row.elements, **elements}
    return town.do("rita", catalogue_imports.bring_one, row.code, given, "更正")


def demand(town: Town, login: str = "olga", **facts: Any) -> demands.Demand:
    """What olga wants, unless it is said otherwise."""
    given: dict[str, Any] = {
        "basis": "合同第三条", "items": ["企业名称", "注册资本"], "purpose": "贷前审查",
        "title": "企业登记基本信息", "use": "opening", **facts,
    }  # fmt: skip
    return town.do(login, demands.submit, **given)


def raised(town: Town, row: Resource, login: str = "olga", **facts: Any) -> feedback.Feedback:
    """olga's feedback on a resource."""
    given = {"about": "data_quality", "description": "缺少三月的数据", "kind": "quality", **facts}
    return town.do(login, feedback.raise_, resource=row, **given)


def exclusion(
    town: Town, row: Resource | None = None, uses: tuple[str, ...] = ("opening",),
    review_on: date | None = None,
) -> exclusions.Exclusion:  # fmt: skip
    """An entry in force, proposed by paul's department and approved by rita."""
    today = local_date(town.now)
    made = town.do(
        "paul", exclusions.propose, title="敏感企业名单", forbids=uses, basis="数据安全法第二十一条",
        from_on=today, review_on=review_on or today + timedelta(days=365), resource=row,
    )  # fmt: skip
    town.do("rita", exclusions.approve, made)
    return made


def member(town: Town, login: str, kind: str, *roles: str) -> str:
    """A person of an organisation of his own; his login."""
    code = {"data_broker": "91000000DEM000101Y", "public_body": "11000000DEM000102A"}[kind]
    with town.deed() as session:
        party = parties.add_party(session, "system", town.now, kind=kind, name=login, uscc=code)
        town.parties[login] = party.id
        parties.add_member(session, "system", town.now, party=party, login=login,
                           display_name=login, roles=roles)  # fmt: skip
        town.actors[login] = parties.actor_by_login(session, login)
    return login


def now_of(town: Town, row: Any) -> Any:
    """A row as it stands."""
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def kinds(town: Town, row: Any) -> list[str]:
    """What was recorded of a row, in order."""
    with town.reading() as session:
        return [record.kind for record in log.history(session, row.id)]
