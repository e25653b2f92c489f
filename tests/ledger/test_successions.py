"""Organisations are renamed, merged, split: everything has one live holder, nothing is lost."""

import random
import time
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import String, func, inspect, select

from ledger import catalogue, duties, log, parties, registration, stewards, successions
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.parties import KINDS, Member, Party
from ledger.registration import Registration
from ledger.store import Evidence
from ledger.successions import HOLDINGS, STAYS, SUCCEEDED_BY
from tests.conftest import Town
from tests.ledger import lists
from tests.ledger.organisations import member, merge, party, rename, split
from tests.ledger.test_supervision import audit


def resource(town: Town, provider: Party, code: str, **elements: Any) -> Resource:
    with town.deed() as session:
        return catalogue.add_resource(
            session, town.actors["rita"], town.now, code=code, title=code, provider=provider.name,
            elements=elements,
        )  # fmt: skip


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def kinds_of(town: Town, row: Any) -> list[tuple[str, str | None]]:
    """The records of a row: what happened, and why."""
    with town.reading() as session:
        return [(one.kind, log.payload_of(one)["reason"]) for one in log.history(session, row.id)]


# ---------------------------------------------------------------- no column is forgotten

# Columns of ids that name something else than an organisation.
NO_PARTY = {
    "about_id", "agreement_id", "application_id", "applicant_id", "book_id", "cause_id", "checker_id",
    "entry_id", "hold_id", "id", "import_id", "licence_id", "maker_id", "member_id", "registration_id",
    "renews_id", "replaces_id", "resource_id", "reviewer_id", "scheme_id", "statement_id", "voucher_id",
}  # fmt: skip


def test_every_column_that_names_an_organisation_follows_or_has_its_reason() -> None:
    """A new noun fails here until it is a line of the table, or stays with a reason."""
    named = set()
    for model in Evidence.__subclasses__():
        for column in inspect(model).columns:
            points_at = {key.column.table.name for key in column.foreign_keys}
            is_id = column.key.endswith("_id") and isinstance(column.type, String)
            if "parties" in points_at or (is_id and not points_at and column.key not in NO_PARTY):
                named.add((model, column.key))
    known = {(one.model, column) for one in HOLDINGS for column in one.columns} | set(STAYS)
    assert named == known


def test_every_kind_says_who_may_succeed_it() -> None:
    assert set(SUCCEEDED_BY) == set(KINDS)
    assert all(kind in KINDS for kinds in SUCCEEDED_BY.values() for kind in kinds)


# ---------------------------------------------------------------- new names


def test_a_new_name_keeps_the_former_one_with_its_last_day(town: Town) -> None:
    bureau = town.party("bureau")
    one = resource(town, bureau, "307001001/000001")
    made = rename(town, bureau, "市数据资源局")
    renamed = now_of(town, bureau)
    last_day = (local_date(town.now) - timedelta(days=1)).isoformat()
    assert renamed.name == "市数据资源局"
    assert renamed.former_names == [{"name": "市数据局", "until_on": last_day}]
    assert now_of(town, one).provider == "市数据资源局"
    assert kinds_of(town, one)[-1] == ("resource.succeeded", made.id)
    assert kinds_of(town, bureau)[-1] == ("party.renamed", made.id)
    with town.reading() as session:  # a file that still says the old name means the same body
        assert catalogue.providers(session)("市数据局", {}) == bureau.id


def test_a_name_is_new_and_has_a_ground_and_a_day_that_came(town: Town) -> None:
    bureau = town.party("bureau")
    for name, more, text in (
        ("市数据局", {}, "differs"), ("新局", {"ground": " "}, "ground"),
        ("新局", {"effective_on": date(2030, 1, 1)}, "still to come"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=text):
            rename(town, bureau, name, **more)


# ---------------------------------------------------------------- mergers


def test_what_a_body_held_is_its_successor_s_each_thing_with_a_record(town: Town) -> None:
    bureau, heir = town.party("bureau"), party(town)
    agreement = town.agreement()
    one = resource(town, bureau, "307001001/000009", provider_code=bureau.uscc)
    chief = town.do(
        "admin", stewards.name, party=bureau, member=member(town, "paul"), post="chief",
        from_on=local_date(town.now),
    )  # fmt: skip
    made = merge(town, bureau, heir)
    after = now_of(town, one)
    assert (after.provider_id, after.provider) == (heir.id, heir.name)
    assert after.elements["provider_code"] == heir.uscc
    assert now_of(town, agreement).implementer_id == heir.id
    assert now_of(town, chief).party_id == heir.id
    assert member(town, "paul").party_id == heir.id
    ended = now_of(town, bureau)
    assert (ended.state, ended.successor_ids) == ("merged", [heir.id])
    assert made.moved == {"resource": 3, "agreement": 1, "member": 2, "steward": 1}
    for row, kind in ((one, "resource"), (agreement, "agreement"), (chief, "steward")):
        assert kinds_of(town, row)[-1] == (f"{kind}.succeeded", made.id)
    with town.reading() as session:
        assert catalogue.providers(session)(bureau.name, {}) == heir.id
        assert [one.id for one in successions.of(session, heir)] == [made.id]
        assert audit(town, session) == []


def test_a_merged_body_takes_part_no_more_and_its_code_stays_its_own(town: Town) -> None:
    bureau, heir, other = town.party("bureau"), party(town), party(town)
    merge(town, bureau, heir)
    with pytest.raises(Conflict, match="merged"):
        merge(town, bureau, other)
    with pytest.raises(Conflict, match="merged"):  # and so there is never a circle
        merge(town, heir, bureau)
    with pytest.raises(Conflict):
        rename(town, bureau, "又一局")
    with pytest.raises(Conflict, match="its successor acts"):
        town.agreement(implementer=now_of(town, bureau))
    with town.deed() as session, pytest.raises(Conflict, match="its successor acts"):
        parties.add_member(
            session, "system", town.now, party=session.get_one(Party, bureau.id), login="late",
            display_name="Late", roles=["provider"],
        )  # fmt: skip
    with town.deed() as session, pytest.raises(Conflict, match="belongs to"):
        parties.add_party(
            session, "system", town.now, kind="public_body", name="冒名局", uscc=bureau.uscc
        )


def test_vouchers_stay_and_the_successor_s_members_are_their_owners(town: Town) -> None:
    voucher = town.voucher()
    operator, heir = town.party("operator"), party(town, "enterprise")
    made = merge(town, operator, heir)
    assert now_of(town, voucher).party_id == operator.id
    [left] = [one for one in made.left if one["noun"] == "voucher"]
    assert (left["count"], left["numbers"]) == (1, [voucher.number])
    assert now_of(town, town.get(Registration, voucher)).party_id == heir.id
    with town.reading() as session:
        olga = parties.actor_of(session, town.actors["olga"].member_id)
        mallory = parties.actor_of(session, town.actors["mallory"].member_id)
        otto = parties.actor_of(session, town.actors["otto"].member_id)
    assert olga.party_id == heir.id
    parties.may(olga, "licence.grant", voucher.party_id)
    with pytest.raises(NotAllowed):
        parties.may(mallory, "licence.grant", voucher.party_id)
    with pytest.raises(NotAllowed, match="own organisation"):  # still nobody decides on his own
        parties.may(otto, "voucher.suspend", voucher.party_id)
    further = party(town, "enterprise")  # the heir's heir
    merge(town, heir, further)
    with town.reading() as session:
        assert operator.id in parties.actor_of(session, olga.member_id).parties


def test_who_cannot_succeed_whom_is_refused_with_the_reason(town: Town) -> None:
    bureau, operator = town.party("bureau"), town.party("operator")
    broker = party(town, "data_broker")
    with pytest.raises(Invalid, match="cannot be succeeded"):
        merge(town, bureau, broker)
    with pytest.raises(Invalid, match="itself"):
        merge(town, bureau, bureau)
    town.agreement()
    with pytest.raises(Invalid, match="cannot hold"):
        merge(town, operator, broker)
    with pytest.raises(NotAllowed):
        merge(town, bureau, party(town), who="paul")
    institution = party(town, "public_institution")
    merge(town, bureau, institution)
    with pytest.raises(Conflict, match="both of its sides"):
        merge(town, operator, institution)


def test_members_keep_the_roles_that_their_new_organisation_s_kind_allows(town: Town) -> None:
    firm, service = town.party("firm"), party(town, "service_provider")
    with town.deed() as session:
        parties.add_member(
            session, "system", town.now, party=session.get_one(Party, firm.id), login="finn",
            display_name="Finn", roles=["finance_maker"],
        )  # fmt: skip
    merge(town, firm, service)
    with town.reading() as session:
        anna, finn = (parties.actor_by_login(session, login) for login in ("anna", "finn"))
    assert (anna.party_id, set(anna.roles)) == (service.id, {"appraiser"})
    assert (finn.party_id, set(finn.roles)) == (service.id, set())


def test_of_two_chiefs_the_successor_s_stays(town: Town) -> None:
    bureau, treasury = town.party("bureau"), town.party("treasury")
    made = [
        town.do(
            "admin", stewards.name, party=body, member=member(town, login), post="chief",
            from_on=local_date(town.now),
        )
        for body, login in ((bureau, "paul"), (treasury, "mona"))
    ]  # fmt: skip
    merge(town, bureau, treasury)
    assert [now_of(town, one).state for one in made] == ["relieved", "named"]


# ---------------------------------------------------------------- splits


def test_who_goes_on_keeps_all_that_is_not_named(town: Town) -> None:
    """存续分立: nothing ends, only what is named goes."""
    bureau, other = town.party("bureau"), party(town)
    first, second = (resource(town, bureau, f"307001001/{n:06d}") for n in (1, 2))
    for nothing in ({}, {("resource", second.code): bureau}):
        with pytest.raises(Invalid, match="name what goes to whom"):
            split(town, bureau, bureau, [other], nothing)
    with pytest.raises(Invalid, match="cannot succeed itself"):
        split(town, bureau, other, [bureau], {("resource", second.code): bureau})
    before = kinds_of(town, first), kinds_of(town, bureau)
    made = split(
        town, bureau, bureau, [other],
        {("resource", second.code): other, ("member", "gwen"): other},
    )  # fmt: skip
    assert now_of(town, first).provider_id == bureau.id
    assert now_of(town, second).provider_id == other.id
    assert (member(town, "paul").party_id, member(town, "gwen").party_id) == (bureau.id, other.id)
    assert (now_of(town, bureau).state, now_of(town, bureau).successor_ids) == ("active", None)
    assert (kinds_of(town, first), kinds_of(town, bureau)) == before, "no record without a change"
    assert (made.to_ids, made.moved) == ([bureau.id, other.id], {"resource": 1, "member": 1})
    assert (made.kind, made.left) == ("split", [])
    rename(town, bureau, "还在的单位")  # it may go on changing
    with town.reading() as session:
        assert audit(town, session) == []


def test_who_goes_on_keeps_the_voucher_of_a_registration_it_gives_away(town: Town) -> None:
    voucher = town.voucher()
    operator, other = town.party("operator"), party(town, "enterprise")
    registered = town.get(Registration, voucher)
    made = split(town, operator, operator, [other], {("registration", registered.code): other})
    assert now_of(town, registered).party_id == other.id
    assert now_of(town, voucher).party_id == operator.id
    assert made.left == [
        {"noun": "voucher", "count": 1, "numbers": [voucher.number],
         "reason": successions.ON_CHAIN}
    ]  # fmt: skip
    with town.reading() as session:
        olga = parties.actor_of(session, town.actors["olga"].member_id)
        assert audit(town, session) == []
    parties.may(olga, "licence.grant", voucher.party_id)


@pytest.mark.parametrize("goes_on", [True, False])
def test_what_is_about_a_resource_goes_with_it_unless_it_is_named(
    town: Town, goes_on: bool
) -> None:
    bureau, other = town.party("bureau"), party(town)
    main = bureau if goes_on else party(town)
    one = lists.resource(town, 71, "公交站点", ["站名"])
    kept = lists.resource(town, 72, "公交线路", ["线名"])
    facts = {"party": bureau, "cause": "law", "description": "新规定", "cause_on": town.now.date()}

    def about(row: Resource) -> list[Any]:
        demand = lists.demand(town, title=row.title, items=["站名"], resource=row)
        return [
            lists.raised(town, row), demand, lists.exclusion(town, row, ("sharing",)),
            town.do("rita", duties.report, resource=row, **facts),
        ]  # fmt: skip

    follow, stay = about(one), [*about(kept), lists.raised(town, one)]
    stay.append(town.do("rita", duties.report, **facts))
    own = lists.raised(town, one, "paul")  # its own department's: only who answers it goes
    made = split(
        town, bureau, main, [other],
        {("resource", one.code): other, ("feedback", stay[-2].number): main},
    )  # fmt: skip
    with town.reading() as session:
        assert audit(town, session) == []
    for row in follow:
        assert answers(now_of(town, row)) == other.id
        assert kinds_of(town, row)[-1] == (f"{row.subject_type}.succeeded", made.id)
    for row in stay:
        assert answers(now_of(town, row)) == main.id
        assert (kinds_of(town, row)[-1][1] == made.id) is not goes_on, "no record without a change"
    assert (now_of(town, own).party_id, now_of(town, own).department_id) == (main.id, other.id)


def answers(row: Any) -> str:
    """Who answers for what a row is about."""
    return str(row.department_id if hasattr(row, "department_id") else row.party_id)


def test_a_split_gives_what_is_named_and_the_rest_to_the_main_one(town: Town) -> None:
    bureau, main, other = town.party("bureau"), party(town), party(town)
    first, second = (resource(town, bureau, f"307001001/{n:06d}") for n in (1, 2))
    made = split(
        town, bureau, main, [other],
        {("resource", second.code): other, ("member", "gwen"): other},
    )  # fmt: skip
    assert now_of(town, first).provider_id == main.id
    assert now_of(town, second).provider_id == other.id
    assert (member(town, "paul").party_id, member(town, "gwen").party_id) == (main.id, other.id)
    assert now_of(town, bureau).successor_ids == [main.id, other.id]
    assert made.kind == "split"


def test_what_is_named_wrongly_is_told_all_at_once_and_nothing_moves(town: Town) -> None:
    bureau, main, other, third = town.party("bureau"), party(town), party(town), party(town)
    one = resource(town, bureau, "307001001/000001")
    before = town.snapshot()
    with pytest.raises(Invalid) as refused:
        split(
            town, bureau, main, [other],
            {("resource", "nowhere"): other, ("resource", one.code): third,
             ("voucher", "PZ1"): other, ("member", "olga"): other},
        )  # fmt: skip
    assert len(refused.value.facts["faults"].by_place(str)) == 4
    with pytest.raises(Invalid, match="two successors"):
        split(town, bureau, main, [main])
    assert town.snapshot() == before


# ---------------------------------------------------------------- beside an import


def test_the_catalogue_is_held_before_any_row_so_that_no_import_lists_for_who_ended(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau, heir, other = town.party("bureau"), party(town), party(town)
    taken: list[str] = []

    def note(module: Any, name: str, word: str) -> None:
        act = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, **more: taken.append(word) or act(*given, **more)
        )

    one = resource(town, bureau, "307001001/000001")
    note(successions, "hold", "catalogue")
    note(successions, "lock", "row")
    note(log, "append_many", "resources")
    rename(town, bureau, "市数据资源局")
    assert taken == ["catalogue", "resources"]
    bureau = now_of(town, bureau)
    for deed in (
        lambda: split(town, bureau, bureau, [other], {("resource", one.code): other}),
        lambda: merge(town, now_of(town, bureau), heir),
    ):
        taken.clear()
        deed()
        assert (taken[0], set(taken[1:-1]), taken[-1]) == ("catalogue", {"row"}, "resources")


# ---------------------------------------------------------------- after any sequence


def test_after_any_sequence_everything_has_one_live_holder_and_nothing_is_lost(town: Town) -> None:
    """Forty random deeds over bodies, resources, members: held by the living, counted, audited."""
    chance = random.Random(20260302)
    living = [town.party("bureau"), town.party("treasury"), *(party(town) for _ in range(4))]
    codes = [f"C{n}" for n in range(24)]
    for code in codes:
        resource(town, chance.choice(living), code)
    with town.reading() as session:
        members = session.scalar(select(func.count()).select_from(Member))
    for step in range(40):
        one = chance.choice(living)
        fresh = [party(town) for _ in range(2)]
        match chance.choice(("rename", "merge", "split")):
            case "rename":
                rename(town, one, f"新名 {step}")
            case "merge" if len(living) > 2:
                merge(town, one, chance.choice([other for other in living if other != one]))
                living.remove(one)
            case _:
                with town.reading() as session:
                    mine = list(session.scalars(
                        select(Resource.code).where(Resource.provider_id == one.id)
                    ))  # fmt: skip
                named = {("resource", code): chance.choice(fresh)
                         for code in mine if chance.random() < 0.5}  # fmt: skip
                split(town, one, fresh[0], fresh[1:], named)
                living.remove(one)
                living += fresh
        living = [now_of(town, each) for each in living]
    with town.reading() as session:
        active = {each.id for each in session.scalars(select(Party)) if each.state == "active"}
        assert {each.id for each in living} <= active
        assert sorted(session.scalars(select(Resource.code))) == sorted(codes)
        assert session.scalar(select(func.count()).select_from(Member)) == members
        names = dict(session.execute(select(Party.id, Party.name)).tuples().all())
        for row in session.scalars(select(Resource)):
            assert row.provider_id in active
            assert row.provider == names[row.provider_id]
        for holding in HOLDINGS:
            for row in session.scalars(select(holding.model)):
                holders = [getattr(row, column) for column in holding.columns]
                assert all(holder in active or holder is None for holder in holders)
        assert audit(town, session) == []


@pytest.mark.slow
def test_fifty_thousand_resources_follow_in_seconds(village: Town) -> None:
    big, heir = party(village), party(village)
    with village.deed() as session:
        for n in range(50_000):
            row = Resource(
                id=successions.new_id(), code=f"B{n}", title=f"资源 {n}",
                provider=big.name, elements={"summary": "摘要" * 20}, import_id="", state="listed",
                provider_id=big.id, grade=None, audience="public",
            )  # fmt: skip
            log.append(session, row, "resource.listed", "system")
    began = time.monotonic()
    made = merge(village, big, heir)
    took = time.monotonic() - began
    print(f"\n50,000 resources followed in {took:.1f} s")
    assert made.moved["resource"] == 50_000
    assert took < 60


def test_an_application_that_is_open_follows_and_one_that_is_over_stays(town: Town) -> None:
    registered = town.registration()
    over = town.get(registration.Application, registered)
    agreement = town.get(Agreement, registered)
    opened = town.do("olga", registration.submit, **town.application_facts(agreement))
    operator, heir = town.party("operator"), party(town, "enterprise")
    merge(town, operator, heir)
    assert now_of(town, opened).party_id == heir.id
    assert now_of(town, over).party_id == operator.id
    assert now_of(town, registered).party_id == heir.id
