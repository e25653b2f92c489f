"""Every machine, every state, every verb: a legal move goes through its real verb, any other is refused.

The cases are generated from `states.MOVES`. A verb that makes its subject is tried where there is none
yet; all others in every state.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from uuid6 import uuid7

from ledger import (
    agreements,
    appraisals,
    catalogue,
    catalogue_imports,
    demands,
    duties,
    exclusions,
    feedback,
    log,
    peers,
    recognition,
    registration,
    revenue,
    stewards,
    trading,
)
from ledger.catalogue import resource_by_code
from ledger.errors import Conflict
from ledger.proof.encoding import digest_text
from ledger.recognition import NotRecognised
from ledger.states import MOVES, move
from tests.conftest import ORIGIN, Town, compliance
from tests.ledger import neighbours, organisations

# Legal in the table, but nobody has written the verb yet: this list can only shrink.
VERB_COMES_LATER = {
    ("application", "object"),
    ("application", "dismiss"),
    ("application", "uphold"),
    ("application", "withdraw"),
    ("registration", "cancel"),
    ("registration", "revoke"),
    ("voucher", "supersede"),
    ("agreement", "end"),
}
MAKERS = {
    (machine, verb) for machine, verbs in MOVES.items() for verb in verbs if None in verbs[verb]
}


def first_maker(machine: str) -> str:
    """The verb that makes a machine's subject, the first in the table where there are several."""
    return next(verb for verb, moves in MOVES[machine].items() if None in moves)


def states_of(machine: str) -> list[str]:
    """All states of a machine, in the table's order."""
    found = [state for verb in MOVES[machine].values() for pair in verb.items() for state in pair]
    return [state for state in dict.fromkeys(found) if state is not None]


# ---------------------------------------------------------------- the real verbs


def resubmit(town: Town, row: Any) -> None:
    town.do("olga", registration.submit, **town.application_facts(), resubmits=row)


def code(town: Town, row: Any) -> None:
    town.later(days=21)
    town.do("rita", registration.code, row, town.get(agreements.Agreement, row))


def agree(town: Town, row: Any) -> None:
    town.do("paul", revenue.agree_scheme, row, town.get(agreements.Agreement, row))


def revoke_licence(town: Town, row: Any) -> None:
    town.do("olga", trading.revoke, row, town.get(trading.Voucher, row), "违约", ORIGIN)


def post(town: Town, row: Any) -> None:
    """`post_effective` passes over what it cannot post: here that is the refusal."""
    town.settle(row)
    if row.id not in {statement.id for statement in town.post()}:
        raise Conflict("not posted")


def reopen(town: Town, row: Any) -> None:
    """The chain has refused the approval, where there is one."""
    if now_of(town, row).state == "approved":
        town.settle(row, "alarm")
    town.do("mona", revenue.reopen, row)


def voucher_verb(verb: str) -> Callable[[Town, Any], None]:
    def change(town: Town, row: Any) -> None:
        if verb == "unfreeze":
            town.change("freeze", row)
        town.change(verb, row)

    return change


# -- the three lists: olga wants, paul's department answers, rita assigns, rob decides


def resource(town: Town) -> Any:
    """A resource of paul's department."""
    with town.reading() as session:
        return resource_by_code(session, "307001001/000001")


def submit_demand(town: Town) -> Any:
    town.resources()
    return town.do(
        "olga", demands.submit, title="企业登记", purpose="贷前审查", items=["企业名称"], use="sharing",
        basis="合同",
    )  # fmt: skip


def propose_exclusion(town: Town) -> Any:
    day = town.now.date()
    return town.do(
        "paul", exclusions.propose, title="涉密名单", forbids=["opening"], basis="保守国家秘密法",
        from_on=day, review_on=day + timedelta(days=365),
    )  # fmt: skip


def report_duty(town: Town) -> Any:
    return town.do(
        "rita", duties.report, party=town.party("bureau"), cause="law", description="新规定",
        cause_on=town.now.date(),
    )  # fmt: skip


def list_resource(town: Town) -> Any:
    return town.do(
        "rita", catalogue.add_resource, code=str(uuid7()), title="资源", provider="市数据局",
        elements={},
    )  # fmt: skip


def raise_feedback(town: Town) -> Any:
    town.resources()
    return town.do(
        "olga", feedback.raise_, resource=resource(town), kind="quality", about="data_quality",
        description="缺行",
    )  # fmt: skip


def bring(town: Town, who: str) -> Any:
    """A change set of one new resource: a provider's is proposed, a registrar's is applied."""
    code = str(uuid7())
    return town.do(
        who, catalogue_imports.bring, rows=[{"code": code, "title": "资源", "provider": "市数据局"}],
        mapping={}, notices=[], file_name="目录.csv", file_digest=digest_text(code.encode()),
    )  # fmt: skip


LISTS: dict[tuple[str, str], Callable[[Town, Any], Any]] = {
    ("demand", "assign"): lambda t, row: t.do("rita", demands.assign, row, t.party("bureau")),
    ("demand", "accept"): lambda t, row: t.do(
        "paul", demands.accept, row, resource=resource(t), mode="file",
        by_on=t.now.date() + timedelta(days=9)),
    ("demand", "refuse"): lambda t, row: t.do("paul", demands.refuse, row, ground="法律禁止"),
    ("demand", "fulfil"): lambda t, row: t.do(
        "paul", demands.fulfil, row, resource=resource(t), mode="file", how="已放在共享平台"),
    ("demand", "close"): lambda t, row: t.do("olga", demands.close, row),
    ("demand", "appeal"): lambda t, row: t.do("olga", demands.appeal, row, "依据不成立"),
    ("demand", "uphold"): lambda t, row: t.do("rob", demands.uphold, row, "异议成立"),
    ("demand", "dismiss"): lambda t, row: t.do("rob", demands.dismiss, row, "异议不成立"),
    ("demand", "withdraw"): lambda t, row: t.do("olga", demands.withdraw, row, "不再需要"),
    ("exclusion", "approve"): lambda t, row: t.do("rita", exclusions.approve, row),
    ("exclusion", "reject"): lambda t, row: t.do("rita", exclusions.reject, row, "依据不足"),
    ("exclusion", "end"): lambda t, row: t.do("rita", exclusions.end, row, "已解密"),
    ("duty", "settle"): lambda t, row: t.do("paul", duties.settle, row, not_needed="目录已写明"),
    ("duty", "confirm"): lambda t, row: t.do("rita", duties.confirm, row),
    ("duty", "reopen"): lambda t, row: t.do("rita", duties.reopen, row, "仍须变更"),
    ("catalogue", "approve"): lambda t, row: t.do("rita", catalogue_imports.approve, row),
    ("catalogue", "reject"): lambda t, row: t.do("rita", catalogue_imports.reject, row, "有误"),
    ("catalogue", "undo"): lambda t, row: t.do("rita", catalogue_imports.undo, row, "导错了"),
    ("resource", "change"): lambda t, row: t.do(
        "rita", catalogue_imports.bring_one, row.code,
        {"title": f"资源，第 {row.version + 1} 版", "provider": "市数据局"}, "更正"),
    ("resource", "withdraw"): lambda t, row: t.do(
        "rita", catalogue_imports.bring_one, row.code, None, "停办"),
    ("feedback", "answer"): lambda t, row: t.do(
        "paul", feedback.answer, row, verdict="explained", text="按规定只含在营企业"),
    ("feedback", "close"): lambda t, row: t.do("olga", feedback.close, row),
    ("feedback", "appeal"): lambda t, row: t.do("olga", feedback.appeal, row, "仍缺行"),
    ("feedback", "uphold"): lambda t, row: t.do("rita", feedback.uphold, row, "异议成立"),
    ("feedback", "dismiss"): lambda t, row: t.do("rita", feedback.dismiss, row, "异议不成立"),
    ("feedback", "withdraw"): lambda t, row: t.do("olga", feedback.withdraw, row, "看错了"),
}  # fmt: skip


# -- another registry and its voucher: rita proposes, rob admits


def neighbour(town: Town) -> Any:
    return neighbours.proposed(town, neighbours.Neighbour(town))


def told_of(town: Town, row: Any) -> neighbours.Neighbour:
    """The registry that a trust file or a voucher is of."""
    return neighbours.Neighbour(town, row.origin)


def supersede_peer(town: Town, row: Any) -> None:
    """A newer trust file is admitted: where it takes nobody's place, that is the refusal."""
    with town.reading() as session:
        known = peers.current(session, row.origin)
    if known is None or known.id != row.id:
        raise Conflict("nothing to supersede")
    newer = neighbours.Neighbour(town, row.origin, "rotated")
    town.do("rob", peers.admit, neighbours.proposed(town, newer), newer.fingerprint)


def recognised(town: Town) -> Any:
    near = neighbours.Neighbour(town)
    neighbours.admitted(town, near)
    return neighbours.recognise(town, near.bundle)


def news_of(status: int) -> Callable[[Town, Any], None]:
    """A newer list comes: where it changes nothing any more, that is the refusal."""

    def follow(town: Town, row: Any) -> None:
        near = told_of(town, row)
        with town.deed() as session:  # with the refusal the list is not kept either
            peer = peers.find(session, near.origin)
            news = recognition.open_list(near.listed(status, hours=1), peer, town.now)
            if not recognition.follow(session, town.actors["rita"], town.now, peer, news):
                raise Conflict("changed nothing")

    return follow


def update_recognition(town: Town, row: Any) -> None:
    try:
        neighbours.recognise(town, told_of(town, row).renewed())
    except NotRecognised as error:
        raise Conflict(error.sentence) from None


VERBS: dict[tuple[str, str], Callable[[Town, Any], Any]] = {
    **LISTS,
    ("peer", "admit"): lambda t, row: t.do("rob", peers.admit, row, row.digest[-8:]),
    ("peer", "reject"): lambda t, row: t.do("rob", peers.reject, row, "指纹不符"),
    ("peer", "reach"): lambda t, row: t.do("admin", peers.reach, row, site="http://127.0.0.1:1"),
    ("peer", "suspend"): lambda t, row: t.do("rita", peers.suspend, row, "密钥疑似泄露"),
    ("peer", "resume"): lambda t, row: t.do("admin", peers.resume, row, "已查明"),
    ("peer", "supersede"): supersede_peer,
    ("peer", "end"): lambda t, row: t.do("rita", peers.end, row, "互认期满"),
    ("recognition", "update"): update_recognition,
    ("recognition", "follow"): news_of(2),
    ("recognition", "end"): news_of(3),
    ("application", "submit"): resubmit,
    ("application", "return"): lambda t, row: t.do("rita", registration.send_back, row, ["缺附件"]),
    ("application", "refuse"): lambda t, row: t.do("rita", registration.refuse, row, "不属于范围"),
    ("application", "accept"): lambda t, row: t.do("rita", registration.accept, row),
    ("application", "reject"): lambda t, row: t.do("rita", registration.reject, row, "来源不合法"),
    ("application", "pass"): lambda t, row: t.do(
        "rita", registration.pass_review, row, formal="齐全", compliance=compliance()),
    ("application", "notice"): lambda t, row: t.do("rita", registration.give_notice, row),
    ("application", "code"): code,
    **{
        ("voucher", verb): voucher_verb(verb)
        for verb in ("suspend", "resume", "revoke", "cancel", "freeze", "unfreeze")
    },
    ("party", "rename"): lambda t, row: organisations.rename(t, row, f"{row.name}（新）"),
    ("party", "merge"): lambda t, row: organisations.merge(t, row, t.party("bureau")),
    ("party", "split"): lambda t, row: organisations.split(
        t, row, t.party("bureau"), [t.party("treasury")]),
    ("steward", "relieve"): lambda t, row: t.do(
        "admin", stewards.relieve, row, date.fromisoformat(row.from_on)),
    ("agreement", "sign"): lambda t, row: t.do("paul", agreements.sign, row),
    ("appraisal", "approve"): lambda t, row: t.do("abel", appraisals.approve, row),
    ("appraisal", "reject"): lambda t, row: t.do("abel", appraisals.reject, row, "参数无据"),
    ("licence", "revoke"): revoke_licence,
    ("scheme", "agree"): agree,
    ("statement", "propose"): lambda t, row: t.do("mona", revenue.propose, row, ORIGIN),
    ("statement", "approve"): lambda t, row: t.approve(row),
    ("statement", "reject"): lambda t, row: t.do("carl", revenue.reject, row, "有误", ORIGIN),
    ("statement", "reopen"): reopen,
    ("statement", "post"): post,
}  # fmt: skip


def propose_agreement(town: Town) -> Any:
    facts = {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": town.now.date(),
        "implementer": town.party("bureau"), "mode": "whole", "resource_ids": town.resources(),
        "title": "协议", "until_on": town.now.date(),
    }  # fmt: skip
    return town.do("olga", agreements.propose, **facts)


def propose_scheme(town: Town) -> Any:
    agreement = town.agreement()
    return town.do(
        "olga", revenue.propose_scheme, agreement, town.scheme_document(), town.now.date()
    )


# The subject of each machine by its first maker, and by each other one.
MADE: dict[str, Callable[[Town], Any]] = {
    "catalogue": lambda t: bring(t, "paul"),
    "party": organisations.party,
    "steward": organisations.steward,
    "application": lambda t: t.application(),
    "registration": lambda t: t.registration(),
    "voucher": lambda t: t.voucher(),
    "agreement": propose_agreement,
    "appraisal": lambda t: t.appraisal(t.registration()),
    "licence": lambda t: t.licence(t.voucher()),
    "scheme": propose_scheme,
    "statement": lambda t: t.statement(),
    "demand": submit_demand,
    "exclusion": propose_exclusion,
    "feedback": raise_feedback,
    "duty": report_duty,
    "resource": list_resource,
    "peer": neighbour,
    "recognition": recognised,
}
MADE_OTHERWISE: dict[tuple[str, str], Callable[[Town], Any]] = {
    ("catalogue", "import"): lambda t: bring(t, "rita"),
}


def in_state(town: Town, machine: str, state: str) -> Any:
    """A fresh subject brought to a state by the shortest way of real verbs there is.

    A state that only a verb of tomorrow reaches is written into the row: good enough to be refused.
    """
    way = way_to(machine, state)
    row = MADE[machine](town)
    if way is None:
        with town.deed() as session:
            table = type(row).__table__
            session.execute(table.update().where(table.c.id == row.id).values(state=state))
    for verb in way or []:
        VERBS[machine, verb](town, row)
    return now_of(town, row)


def way_to(machine: str, state: str) -> list[str] | None:
    start = MOVES[machine][first_maker(machine)][None]
    ways: dict[str, list[str]] = {start: []}
    frontier = [start]
    while frontier:
        here = frontier.pop(0)
        for verb, moves in MOVES[machine].items():
            after = moves.get(here)
            if after is not None and after not in ways and (machine, verb) in VERBS:
                ways[after] = [*ways[here], verb]
                frontier.append(after)
    return ways.get(state)


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def record_count(town: Town, row: Any) -> int:
    with town.reading() as session:
        return len(log.history(session, row.id))


# ---------------------------------------------------------------- the cases

CASES = [
    (machine, state, verb)
    for machine, verbs in MOVES.items()
    for state in states_of(machine)
    for verb in verbs
    if (machine, verb) in VERBS
]
LEGAL = [case for case in CASES if case[1] in MOVES[case[0]][case[2]]]
ILLEGAL = [case for case in CASES if case not in LEGAL]


def test_every_verb_of_the_table_is_tried_or_is_said_to_come_later() -> None:
    table = {(machine, verb) for machine, verbs in MOVES.items() for verb in verbs}
    assert table == set(VERBS) | VERB_COMES_LATER | MAKERS
    assert not set(VERBS) & VERB_COMES_LATER
    assert set(MADE) == set(MOVES)
    assert set(MADE_OTHERWISE) == MAKERS - {(machine, first_maker(machine)) for machine in MOVES}
    assert len(ILLEGAL) > 100


@pytest.mark.parametrize("machine", MOVES)
def test_the_table_s_moves_are_those_and_no_others(machine: str) -> None:
    for verb, moves in MOVES[machine].items():
        for state in (None, *states_of(machine), "nowhere"):
            if state in moves:
                assert move(machine, verb, state) == moves[state]
                continue
            with pytest.raises(Conflict) as refused:
                move(machine, verb, state)
            assert refused.value.facts["state"] == (state or "new")
            assert refused.value.facts["verb"] == verb


@pytest.mark.parametrize(("machine", "maker"), sorted(MAKERS))
def test_what_is_made_begins_in_its_maker_s_first_state_with_one_record(
    village: Town, machine: str, maker: str
) -> None:
    """A machine may have several makers, each with a first state of its own: each is tried."""
    row = MADE_OTHERWISE.get((machine, maker), MADE[machine])(village)
    made = now_of(village, row)
    assert made.state == MOVES[machine][maker][None]
    assert made.version == record_count(village, row) == 1


@pytest.mark.parametrize(("machine", "state", "verb"), LEGAL)
def test_a_legal_move_is_one_record_and_ends_in_its_state(
    village: Town, machine: str, state: str, verb: str
) -> None:
    row = in_state(village, machine, state)
    if verb == "unfreeze":
        village.change("freeze", row)
    before = record_count(village, row)
    assert row.state == state
    if verb == "unfreeze":
        village.change("unfreeze", row)
    else:
        VERBS[machine, verb](village, row)
    after = now_of(village, row)
    assert after.state == MOVES[machine][verb][state]
    assert record_count(village, row) == before + 1
    with village.reading() as session:
        last = log.history(session, row.id)[-1]
        assert log.payload_of(last)["body"] == after.body()


@pytest.fixture(scope="module")
def stood(village: Town) -> dict[tuple[str, str], Any]:
    """Subjects that stand in a state: a refusal changes nothing, so each serves many."""
    return {}


@pytest.mark.parametrize(("machine", "state", "verb"), ILLEGAL)
def test_an_illegal_move_is_a_conflict_and_changes_nothing(
    village: Town, stood: dict[tuple[str, str], Any], machine: str, state: str, verb: str
) -> None:
    if (machine, state) not in stood:
        stood[machine, state] = in_state(village, machine, state)
    row = stood[machine, state]
    assert row.state == state
    act: Callable[[Town, Any], Any] = VERBS[machine, verb]
    if verb == "unfreeze":
        act = lambda town, row: town.change("unfreeze", row)  # noqa: E731
    if (machine, verb) == ("application", "submit"):
        facts = village.application_facts()  # its own agreement and deposit are deeds of their own
        act = lambda town, row: town.do(  # noqa: E731
            "olga", registration.submit, **facts, resubmits=row
        )
    if verb == "post":
        village.settle(row)
    before = village.snapshot()
    with pytest.raises(Conflict):
        act(village, row)
    assert village.snapshot() == before
