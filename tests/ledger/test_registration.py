"""Registration: gaps are named at once, terms are working days, codes catch a slip of the hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from ledger import agreements, log, registration
from ledger.calendar import end_of_day, local_date, years_after
from ledger.errors import Conflict, Invalid, Missing
from ledger.proof.encoding import digest_text
from ledger.registration import COMPLIANCE_ITEMS, MATERIALS, Deposit, check_code, coded
from tests.conftest import Town, compliance

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def at(day: str, hour: int = 10) -> datetime:
    """An hour of a day in Shanghai."""
    return datetime.fromisoformat(f"{day}T{hour:02d}:00:00+08:00").astimezone(UTC)


def refusal(town: Town, facts: dict[str, Any]) -> str:
    """What the application lacks; nothing was stored."""
    before = town.snapshot()
    with pytest.raises(Invalid) as refused:
        town.do("olga", registration.submit, **facts)
    assert town.snapshot() == before
    return str(refused.value.facts.get("faults", refused.value.sentence))


@pytest.fixture(scope="module")
def whole(village: Town) -> dict[str, Any]:
    """The facts of an application that lacks nothing."""
    return village.application_facts()


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


# ---------------------------------------------------------------- evidence deposit


def test_the_same_evidence_deposited_again_is_the_first_deposit(town: Town) -> None:
    first = town.deposit()
    town.later(days=3)
    before = town.snapshot()
    assert town.deposit("opal").id == first.id
    assert town.snapshot() == before


def test_the_same_evidence_of_another_party_is_another_deposit(town: Town) -> None:
    assert town.deposit("olga").id != town.deposit("mallory").id


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:" + "A" * 64, "md5:" + "0" * 32, "0" * 64]
)
def test_a_deposit_names_a_digest_in_its_one_spelling(village: Town, digest: str) -> None:
    with pytest.raises(Invalid):
        village.do("olga", registration.deposit, name="x", digest=digest, size_bytes=1)


def test_evidence_is_deposited_before_the_application(village: Town, whole: dict[str, Any]) -> None:
    assert refusal(village, {**whole, "deposits": []}) == (
        "no evidence was deposited (存证) before the application"
    )


# ---------------------------------------------------------------- application


def test_everything_missing_is_named_at_once(village: Town, whole: dict[str, Any]) -> None:
    faults = refusal(
        village,
        {
            **whole, "agreement": None, "deposits": [], "materials": {"extra": "x"}, "rights": [],
            "resource_ids": [], "summary": " ", "title": "",
        },
    )  # fmt: skip
    for key, zh in MATERIALS.items():
        assert f"{key} ({zh})" in faults
    for other in (
        "unknown item extra", "title (", "summary (", "no evidence", "no catalogue resource",
        "rights must be among", "needs its operation agreement",
    ):  # fmt: skip
        assert other in faults


@pytest.mark.parametrize("material", MATERIALS)
def test_each_material_is_needed(village: Town, whole: dict[str, Any], material: str) -> None:
    left = {key: text for key, text in whole["materials"].items() if key != material}
    assert refusal(village, {**whole, "materials": left}) == f"{material} ({MATERIALS[material]})"
    blank = {**whole["materials"], material: " \t"}
    assert material in refusal(village, {**whole, "materials": blank})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"object_kind": "thing"}, "object must be one of resource, product"),
        ({"rights": ["use", "selling"]}, "rights must be among holding, use, operating"),
        ({"agreement": None}, "needs its operation agreement"),
    ],
)
def test_what_breaks_a_rule_is_refused(
    village: Town, whole: dict[str, Any], changes: dict[str, Any], fault: str
) -> None:
    assert fault in refusal(village, {**whole, **changes})


def test_a_product_stays_within_its_agreement_s_scope(village: Town, whole: dict[str, Any]) -> None:
    beyond = {**whole, "resource_ids": [*whole["resource_ids"], "other-1", "other-2"]}
    number = whole["agreement"].number
    assert refusal(village, beyond) == (
        f"resource other-1 is outside agreement {number}; "
        f"resource other-2 is outside agreement {number}"
    )


@pytest.mark.parametrize("days", [-1, 365 * 4 + 2])
def test_the_agreement_must_be_in_force_on_the_day(town: Town, days: int) -> None:
    facts = town.application_facts()
    town.later(days=days)
    assert "is outside" in refusal(town, facts)


def test_an_application_is_numbered_in_its_year_and_keeps_rights_in_one_order(town: Town) -> None:
    facts = {**town.application_facts(), "rights": ["operating", "use", "operating"]}
    made = town.do("olga", registration.submit, **facts)
    second = town.do("opal", registration.submit, **facts)
    assert (made.number, second.number) == ("SQ2026-000001", "SQ2026-000002")
    assert made.rights == ["use", "operating"]
    assert made.applicant_id == town.actors["olga"].member_id
    with town.reading() as session:
        assert registration.application_by_number(session, made.number).id == made.id
        with pytest.raises(Missing):
            registration.application_by_number(session, "SQ2026-000003")


# ---------------------------------------------------------------- deadlines


def counted(start: str, days: int, on: str) -> dict[str, Any]:
    """A deadline that runs, as it is stored."""
    return {"days": days, "from": start, "left": None, "on": on, "provisional": False}


@pytest.mark.parametrize(
    ("day", "accept_by", "review_by", "notice_until"),
    [
        # over Spring Festival 2026 (15 to 23 February off, Saturdays 14 and 28 February work)
        ("2026-02-12", "2026-02-24", "2026-03-18", "2026-03-04"),
        # over National Day 2026 (1 to 7 October off, Saturday 10 October works)
        ("2026-09-29", "2026-10-09", "2026-11-02", "2026-10-19"),
    ],
)
def test_terms_are_working_days_over_the_holidays(
    town: Town, day: str, accept_by: str, review_by: str, notice_until: str
) -> None:
    town.now = at(day)
    made = town.application()
    assert made.deadlines == {"accept": counted(day, 3, accept_by)}
    town.do("rita", registration.accept, made)
    assert now_of(town, made).deadlines == {"review": counted(day, 20, review_by)}
    town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())
    assert now_of(town, made).deadlines == {}
    town.do("rita", registration.give_notice, made)
    notice = now_of(town, made).notice
    assert notice["from"] == day
    assert notice["until"] == counted(day, 10, notice_until)
    assert set(notice) == {"from", "subject", "subjects", "summary", "title", "type", "until"}


def test_a_term_into_an_unpublished_year_is_provisional(town: Town) -> None:
    town.now = at("2031-12-29")
    assert town.application().deadlines["accept"]["provisional"] is True


def test_the_day_of_the_application_is_shanghai_s(town: Town) -> None:
    town.now = at("2026-03-02", 23)
    assert town.application().deadlines["accept"]["on"] == "2026-03-05"
    town.now = at("2026-03-03", 0)
    assert town.application().deadlines["accept"]["on"] == "2026-03-06"


# ---------------------------------------------------------------- return and resubmission


def test_a_return_names_all_gaps_at_once_and_a_resubmission_restarts_the_clock(town: Town) -> None:
    town.now = at("2026-03-02")
    made = town.application()
    town.do("rita", registration.send_back, made, ["营业执照", "授权书"])
    returned = now_of(town, made)
    assert (returned.state, returned.deadlines) == ("returned", {})
    assert returned.review["missing"] == ["营业执照", "授权书"]
    with town.reading() as session:
        assert log.payload_of(log.history(session, made.id)[-1])["reason"] == "营业执照; 授权书"
    town.now = at("2026-03-09")
    again = town.do(
        "olga", registration.submit,
        **{**town.application_facts(), "title": "补正后的产品", "resubmits": returned},
    )  # fmt: skip
    assert (again.id, again.number, again.state) == (made.id, made.number, "submitted")
    assert again.deadlines == {"accept": counted("2026-03-09", 3, "2026-03-12")}
    assert again.title == "补正后的产品"
    fresh = town.application()
    assert fresh.number == "SQ2026-000002", "a resubmission takes no new number"


def test_a_return_must_say_what_is_missing(town: Town) -> None:
    made = town.application()
    before = town.snapshot()
    with pytest.raises(Invalid):
        town.do("rita", registration.send_back, made, [])
    assert town.snapshot() == before


@pytest.mark.parametrize(("verb", "state"), [("refuse", "submitted"), ("reject", "in_review")])
def test_a_refusal_states_its_reasons(town: Town, verb: str, state: str) -> None:
    made = town.application(state)
    act = getattr(registration, verb)
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"reasons"):
        town.do("rita", act, made, "  ")
    assert town.snapshot() == before
    town.do("rita", act, made, "不属于登记范围")
    with town.reading() as session:
        last = log.payload_of(log.history(session, made.id)[-1])
        assert (last["reason"], last["body"]["state"]) == ("不属于登记范围", "not_accepted")


# ---------------------------------------------------------------- review


@pytest.fixture(scope="module")
def in_review(village: Town) -> registration.Application:
    return village.application("in_review")


@pytest.mark.parametrize("item", COMPLIANCE_ITEMS)
@pytest.mark.parametrize(
    "finding",
    [
        {},
        {"verdict": "pass", "evidence": "见材料"},
        {"verdict": "perhaps", "evidence": "见材料", "finding": "符合"},
        {"verdict": "pass", "evidence": " ", "finding": "符合"},
        {"verdict": "pass", "evidence": "见材料", "finding": ""},
        {"verdict": "pass", "evidence": "见材料", "finding": "符合", "extra": "x"},
    ],
)
def test_each_compliance_item_needs_a_verdict_evidence_and_a_finding(
    village: Town, in_review: registration.Application, item: str, finding: dict[str, str]
) -> None:
    with pytest.raises(Invalid, match=item):
        village.do(
            "rita", registration.pass_review, in_review, formal="全",
            compliance=compliance(**{item: finding}),
        )  # fmt: skip


def test_all_gaps_of_a_review_are_named_at_once(
    village: Town, in_review: registration.Application
) -> None:
    before = village.snapshot()
    with pytest.raises(Invalid) as refused:
        village.do(
            "rita", registration.pass_review, in_review, formal=" ", compliance={"weather": {}}
        )
    assert village.snapshot() == before
    for wanted in (*COMPLIANCE_ITEMS, "formal (", "unknown item weather"):
        assert wanted in str(refused.value.facts["faults"])


def test_one_failed_item_can_only_be_rejected(
    village: Town, in_review: registration.Application
) -> None:
    failed = {"verdict": "fail", "evidence": "见附件", "finding": "含个人信息"}
    before = village.snapshot()
    with pytest.raises(Conflict, match=r"only be rejected"):
        village.do(
            "rita", registration.pass_review, in_review, formal="全",
            compliance=compliance(personal_information=failed),
        )  # fmt: skip
    assert village.snapshot() == before


def test_the_findings_stand_in_the_record(town: Town) -> None:
    made = town.application("in_review")
    town.do("rob", registration.pass_review, made, formal="齐全", compliance=compliance())
    review = now_of(town, made).review
    assert review["accepted_by"] == town.actors["rita"].member_id
    assert review["passed_by"] == town.actors["rob"].member_id
    assert set(review["compliance"]) == set(COMPLIANCE_ITEMS)


# ---------------------------------------------------------------- notice and coding


def code(town: Town, made: registration.Application) -> registration.Registration:
    return town.do("rita", registration.code, made, town.get(agreements.Agreement, made))


def test_nothing_is_coded_while_it_is_on_notice_and_it_is_the_day_after(town: Town) -> None:
    town.now = at("2026-03-02")
    made = town.application("on_notice")
    assert now_of(town, made).notice["until"]["on"] == "2026-03-16"
    before = town.snapshot()
    for day, hour in (("2026-03-02", 11), ("2026-03-15", 10), ("2026-03-16", 23)):
        town.now = at(day, hour)
        with pytest.raises(Conflict, match=r"on notice until 2026-03-16"):
            code(town, made)
    assert town.snapshot() == before
    town.now = at("2026-03-17", 0)
    registered = code(town, made)
    assert registered.code.startswith("DJ202603-000001-")
    assert (now_of(town, made).state, registered.state) == ("registered", "registered")
    assert registered.valid_until == end_of_day(date(2029, 3, 17)).astimezone(UTC)


@pytest.mark.parametrize(
    ("until", "valid_until"),
    [
        (date(2027, 3, 1), date(2027, 3, 1)),  # a year: the operating term
        (date(2029, 3, 2), date(2029, 3, 2)),  # exactly three years: the operating term
        (date(2029, 3, 3), date(2029, 3, 3)),  # a day more: no longer than the agreement
        (date(2029, 3, 18), date(2029, 3, 17)),  # three years from coding
        (date(2031, 3, 2), date(2029, 3, 17)),
    ],
)
def test_a_registration_lives_three_years_or_as_long_as_a_short_agreement(
    town: Town, until: date, valid_until: date
) -> None:
    town.now = at("2026-03-02")
    agreement = town.agreement(until_on=until)
    made = town.do("olga", registration.submit, **town.application_facts(agreement))
    town.do("rita", registration.accept, made)
    town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())
    town.do("rita", registration.give_notice, made)
    town.now = at("2026-03-17")
    assert code(town, made).valid_until == end_of_day(valid_until).astimezone(UTC)


def test_nothing_is_coded_when_the_agreement_has_ended_meanwhile(town: Town) -> None:
    agreement = town.agreement(until_on=local_date(town.now) + timedelta(days=7))
    made = town.do("olga", registration.submit, **town.application_facts(agreement))
    town.do("rita", registration.accept, made)
    town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"is outside"):
        code(town, made)
    assert town.snapshot() == before


@pytest.mark.parametrize("given", ["none", "another"])
def test_nothing_is_coded_under_another_agreement_than_the_application_names(
    town: Town, given: str
) -> None:
    made = town.application("on_notice")
    town.later(days=21)
    other = town.agreement() if given == "another" else None
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"another agreement"):
        town.do("rita", registration.code, made, other)
    assert town.snapshot() == before


def test_a_resource_may_be_registered_without_agreement_by_the_body_that_provides_it(
    town: Town,
) -> None:
    facts = {
        **town.application_facts(), "agreement": None, "deposits": [town.deposit("paul")],
        "object_kind": "resource", "rights": ["holding"],
    }  # fmt: skip
    made = town.do("paul", registration.submit, **facts)
    town.do("rita", registration.accept, made)
    town.do("rita", registration.pass_review, made, formal="全", compliance=compliance())
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    registered = town.do("rita", registration.code, made, None)
    assert (registered.agreement_id, registered.party_id) == (None, town.parties["bureau"])
    assert local_date(registered.valid_until) == years_after(local_date(town.now), 3)


def test_a_resource_of_another_body_needs_the_agreement_that_opens_it(town: Town) -> None:
    facts = {**town.application_facts(), "object_kind": "resource"}
    assert refusal(town, {**facts, "agreement": None}) == "; ".join(
        f"resource 307001001/00000{n} is held by another body: name the agreement that opens it"
        for n in (1, 2)
    )
    assert town.do("olga", registration.submit, **facts).state == "submitted"


# ---------------------------------------------------------------- codes that people type


@pytest.mark.parametrize("number", [0, 1, 9, 450, 12345, 999999])
@pytest.mark.parametrize("prefix", ["DJ202603", "PZ202611"])
def test_every_one_character_mistake_is_caught(prefix: str, number: int) -> None:
    right = coded(prefix, number)
    assert check_code(right) == right
    compact = right.replace("-", "")
    for place, letter in enumerate(compact):
        for other in LETTERS.replace(letter, ""):
            with pytest.raises(Invalid, match=r"mistyped"):
                check_code(compact[:place] + other + compact[place + 1 :])
        with pytest.raises(Invalid):
            check_code(compact[:place] + compact[place + 1 :])


def test_a_month_has_at_most_a_million_codes() -> None:
    with pytest.raises(Conflict):
        coded("DJ202603", 10**6)


def test_of_swapped_neighbours_all_are_caught_but_one_in_three_hundred() -> None:
    """ISO 7064 MOD 37,36 promises no more: a hybrid system misses some swaps (0.3 % here)."""
    tried = missed = 0
    for number in range(3000):
        compact = coded("DJ202603", number).replace("-", "")
        for place in range(len(compact) - 1):
            a, b = compact[place : place + 2]
            if a == b:
                continue
            tried += 1
            try:
                check_code(compact[:place] + b + a + compact[place + 2 :])
                missed += 1
            except Invalid:
                pass
    assert tried > 25_000
    assert missed / tried < 1 / 250


@pytest.mark.parametrize("text", ["dj202611-000001-5", " DJ202611 000001 5 ", "DJ2026110000015"])
def test_a_code_may_be_typed_in_any_case_and_spacing(text: str) -> None:
    assert check_code(text) == "DJ202611-000001-5"


@pytest.mark.parametrize(
    "text", ["", "-", "5", "DJ202611-000001-5é", "ＤＪ202611-000001-5", "000000"]
)
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        check_code(text)


def test_a_registration_is_found_by_its_code(town: Town) -> None:
    made = town.registration()
    with town.reading() as session:
        assert registration.by_code(session, made.code.lower()).id == made.id
        with pytest.raises(Missing):
            registration.by_code(session, coded("DJ202603", 77))
        assert session.scalar(select(func.count()).select_from(Deposit)) == 1
        assert session.scalars(select(Deposit)).one().digest == digest_text(b"evidence")
