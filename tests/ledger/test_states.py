"""Every machine, every state, every verb: a legal move goes through its real verb, any other is refused.

The cases are generated from `states.MOVES`. A verb that makes its subject is tried where there is none
yet; all others in every state.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from uuid6 import uuid7

from ledger import (
    agreement_ends,
    agreements,
    alarms,
    appraisals,
    approvals,
    authorisations,
    bank_accounts,
    catalogue,
    catalogue_imports,
    demands,
    duties,
    evaluations,
    exclusions,
    feedback,
    holds,
    inquiries,
    journals,
    limits,
    log,
    motions,
    objections,
    orders,
    payout_rows,
    payouts,
    peers,
    periods,
    prices,
    recognition,
    reconciliation,
    refunds,
    register,
    registration,
    registration_changes,
    revenue,
    schemes,
    stewards,
    trading,
    voucher_moves,
)
from ledger.calendar import local_date
from ledger.catalogue import resource_by_code
from ledger.chain import outbox
from ledger.errors import Conflict
from ledger.parties import Party
from ledger.proof.encoding import digest_text
from ledger.recognition import NotRecognised
from ledger.states import MOVES, move
from tests.conftest import ORIGIN, Town, compliance
from tests.ledger import bookings, deals, neighbours, organisations, paying, registrations

pytestmark = pytest.mark.pages

# Legal in the table, but nobody has written the verb yet: this list can only shrink.
VERB_COMES_LATER: set[tuple[str, str]] = set()
OTHER = "0x4444444444444444444444444444444444444444"
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


def conclude(town: Town, row: Any) -> None:
    if row.state == "on_notice":
        town.later(days=21)
    town.do("rita", registration_changes.conclude, row, "属实")


def cancel(town: Town, row: Any) -> None:
    """On its subject's application; while it is under inquiry, by the registrar himself."""
    if now_of(town, row).state == "registered":
        registrations.conclude(town, registrations.apply(town, "cancellation", row))
    else:
        town.do("rob", register.cancel, row, ground="subject_ended", finding="主体已注销")


def agree(town: Town, row: Any) -> None:
    town.do("paul", schemes.agree, row, town.get(agreements.Agreement, row))


def revoke_licence(town: Town, row: Any) -> None:
    town.do("olga", trading.revoke, row, town.get(trading.Voucher, row), "违约", ORIGIN)


def post(town: Town, row: Any) -> None:
    """What is not `effective` is passed over: here that is the refusal."""
    town.settle(row)
    if row.id not in {statement.id for statement in town.post()}:
        raise Conflict("not posted")


def reopen(town: Town, row: Any) -> None:
    """The chain has refused the approval, where there is one."""
    known = now_of(town, row)
    if known.state == "approved":
        town.settle(row, "alarm")
    elif known.approvals_required == 2 and known.state == "proposed":
        with town.deed() as session:
            refused = outbox.enqueue(
                session, town.now, lane="maker", contract="RevenueBook", function="approve",
                arguments=[], key=b"", expected_version=1, subject_id=row.id,
                subject_version=known.version,
            )  # fmt: skip
            refused.state = "alarm"
    town.do("mona", approvals.reopen, row)


def resolve_alarm(town: Town, row: Any) -> None:
    with town.deed() as session:
        alarms.resolve(session, town.now, town.fresh(session, row))


def post_hold(town: Town, row: Any) -> None:
    """What is booked is answered with its entry again: here that is the refusal."""
    with town.deed() as session:
        held = session.get_one(holds.Hold, row.id)
        day = local_date(town.now).isoformat()
        holds.post_hold(session, "system", town.now, held, effective_on=day, memo="付款")
        if held.version == row.version:
            raise Conflict("not posted anew", state=row.state, verb="post")


def void_hold(town: Town, row: Any) -> None:
    with town.deed() as session:
        holds.void(session, "system", town.now, session.get_one(holds.Hold, row.id), "不付")


def keep_hold(town: Town, row: Any) -> None:
    with town.deed() as session:
        holds.keep(session, "system", session.get_one(holds.Hold, row.id))


def expire_hold(town: Town, row: Any) -> None:
    """The timer passes over what is not pending: here that is the refusal."""
    with town.deed() as session:
        holds.expire(session, row.expires_at)  # others' as well, whose time is over
        if session.get_one(holds.Hold, row.id).version == row.version:
            raise Conflict("not expired")


def voucher_verb(verb: str) -> Callable[[Town, Any], None]:
    return lambda town, row: town.change(verb, row)


def frozen_voucher(town: Town) -> Any:
    made = town.voucher()
    town.change("freeze", made)
    return made


def renew_voucher(town: Town, row: Any) -> None:
    """The registration was prolonged before."""
    until = row.valid_until + timedelta(days=300)
    if row.state == "valid":
        write(town, town.get(registration.Registration, row), valid_until=until)
    town.do("rita", voucher_moves.renew, row, until, "续展", town.issuer())


def transfer_voucher(town: Town, row: Any) -> None:
    """To the bank."""
    town.do(
        "rita", voucher_moves.transfer, row, town.party("bank"), OTHER, "转移登记", town.issuer()
    )  # fmt: skip


def pledge_voucher(town: Town, row: Any) -> None:
    """What no public body provides, for as long as it is asked."""
    registered = town.get(registration.Registration, row)
    of_it = catalogue.Resource.id.in_(registered.resource_ids)

    def provided_by(party: str) -> None:
        with town.deed() as session:
            provided = update(catalogue.Resource).where(of_it)
            session.execute(provided.values(provider_id=town.parties[party]))

    provided_by("firm")
    try:
        town.do("rita", voucher_moves.pledge, row, town.party("bank"), "质押合同", ORIGIN)
    finally:
        provided_by("bureau")


def release_voucher(town: Town, row: Any) -> None:
    if row.state in MOVES["voucher"]["release"]:
        write(town, row, pledged=True)
    town.do("rita", voucher_moves.release, row, "清偿", ORIGIN)


def write(town: Town, row: Any, **values: Any) -> None:
    """Write into the row what a verb of another room would."""
    with town.deed() as session:
        table = type(row).__table__
        session.execute(table.update().where(table.c.id == row.id).values(**values))


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


def consent_to(town: Town, row: Any) -> None:
    """The resource has gone to another body, which consents; pia acts for it.

    The registrar may ask always, so that what refuses her is the state.
    """
    if now_of(town, row).state != "proposed":
        town.do("rita", agreements.consent, row, "同意函")
    with town.reading() as session:
        one = session.get_one(catalogue.Resource, row.resource_ids[0])
    said = {"title": one.title, "provider": "城市商业银行"}
    town.do("rita", catalogue_imports.bring_one, one.code, said, "职能划转")
    town.do("pia", agreements.consent, row, "同意函")


def expire(town: Town, row: Any) -> None:
    """The day after the last one; `expire` passes over what cannot expire: here that is the refusal."""
    with town.deed() as session:
        last = datetime.fromisoformat(f"{row.until_on}T12:00:00+08:00")
        agreements.expire(session, last + timedelta(days=1))
        if session.get_one(type(row), row.id).state != "expired" or row.state == "expired":
            raise Conflict("not expired")


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


def supersede_appraisal(town: Town, row: Any) -> None:
    """The next edition is approved: where none is approved so far, that is the refusal."""
    with town.reading() as session:
        registered = session.get_one(registration.Registration, row.registration_id)
        known = appraisals.latest_approved(session, registered.id)
    if known is None or known.id != row.id:
        raise Conflict("nothing to supersede")
    following = town.appraisal(registered, disclosures={**row.disclosures, "outlook": "平稳"})
    town.do("abel", appraisals.approve, following)


def supersede_account(town: Town, row: Any) -> None:
    """By the confirmation of the next one; another row than what holds is not touched by it."""
    if row.state != "confirmed":
        raise Conflict("nothing is paid to it")
    with town.reading() as session:
        party = session.get_one(Party, row.party_id)
    town.do("carl", bank_accounts.confirm, paying.another_account(town, party))


def supersede_limit(town: Town, row: Any) -> None:
    """By the lifting of it; what does not hold cannot be lifted."""
    lifting = town.do("mona", limits.propose_lift, row, basis="解除通知书", reason="已解除")
    town.do("carl", limits.approve, lifting)


def answered_by_bank(ok: bool) -> Callable[[Town, Any], None]:
    def answer(town: Town, row: Any) -> None:
        move("payout_line", "pay" if ok else "fail", row.state)  # the file would pass it over
        paying.confirm(town, payout_of(town, row), ok, name=row.state)

    return answer


def answered_payout(verb: str, *paid: bool) -> Callable[[Town, Any], None]:
    def answer(town: Town, row: Any) -> None:
        move("payout", verb, row.state)  # a file that says nothing new is passed over
        paying.confirm(town, row, *paid, name=row.state)

    return answer


def amend_payout(town: Town, row: Any) -> None:
    """The bank returns a payment of a paid one, and has paid one of a closed one after all."""
    move("payout", "amend", row.state)
    if row.state == "paid":
        return_first(town, row)
    else:
        paying.confirm(town, row, True, name=f"{row.state} after all")


def return_line(town: Town, row: Any) -> None:
    move("payout_line", "return", row.state)
    return_first(town, payout_of(town, row))


def return_first(town: Town, payout: Any) -> None:
    """It comes back; the operator's account is confirmed anew, so that the next payout pays to it."""
    paying.give_back(town, payout)
    paying.account(town, ground=f"更新 {payout.number}")


def close_payout(town: Town, row: Any) -> None:
    move("payout_line", "cancel", row.state)  # its payout may be closed for another line
    town.do("carl", payouts.close, payout_of(town, row), "银行未付")


def payout_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(payout_rows.Payout, row.payout_id)


def supersede_price(town: Town, row: Any) -> None:
    """The next edition is confirmed: where none holds so far, that is the refusal."""
    agreement = town.get(agreements.Agreement, row)
    with town.reading() as session:
        known = session.get_one(prices.Price, row.id)
    if known.state != "confirmed":
        raise Conflict("nothing to supersede")
    begins = date.fromisoformat(row.from_on) + timedelta(days=1)
    town.do("paul", prices.confirm, town.price(agreement, from_on=begins))


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
    ("application", "consent"): lambda t, row: t.do("olga", registration.consent, row),
    ("application", "amend"): registrations.amend,
    ("application", "second"): lambda t, row: t.do("rob", registration.second, row, "属实"),
    ("application", "doubt"): lambda t, row: t.do("rob", registration.doubt, row, "不足"),
    ("application", "object"): registrations.object_to,
    ("application", "dismiss"): lambda t, row: registrations.decide(t, row, "dismiss"),
    ("application", "uphold"): lambda t, row: registrations.decide(t, row, "uphold"),
    ("application", "conclude"): conclude,
    ("application", "withdraw"): lambda t, row: t.do("olga", registration.withdraw, row, "不办了"),
    ("objection", "withdraw"): lambda t, row: t.do("mallory", objections.withdraw, row, "和解"),
    ("objection", "uphold"): lambda t, row: t.do("rob", objections.uphold, row, "成立"),
    ("objection", "dismiss"): lambda t, row: t.do("rob", objections.dismiss, row, "不成立"),
    ("registration", "change"): registrations.change,
    ("registration", "lift"): registrations.lift,
    ("registration", "inquire"): registrations.inquire,
    ("registration", "clear"): lambda t, row: t.do("rob", register.clear, row, "核实无误"),
    ("registration", "revoke"): lambda t, row: t.do(
        "rob", register.revoke, row, ground="false_material", finding="材料虚假"),
    ("registration", "cancel"): cancel,
    ("registration", "lapse"): registrations.lapse,
    ("voucher", "renew"): renew_voucher,
    ("voucher", "transfer"): transfer_voucher,
    ("voucher", "supersede"): lambda t, row: t.do("rita", voucher_moves.supersede, row, "变更", t.issuer()),
    ("voucher", "split"): lambda t, row: t.do("rita", voucher_moves.split, row, "拆分", t.issuer()),
    ("voucher", "pledge"): pledge_voucher,
    ("voucher", "release"): release_voucher,
    ("voucher", "replace_key"): lambda t, row: t.do(
        "rita", voucher_moves.replace_key, row, OTHER, "密钥遗失", ORIGIN),
    ("motion", "confirm"): lambda t, row: t.do("rob", motions.confirm, row, t.issuer()),
    ("motion", "reject"): lambda t, row: t.do("rob", motions.reject, row, "依据不足"),
    ("authorisation", "consent"): lambda t, row: t.do("ida", authorisations.consent, row),
    ("authorisation", "refuse"): lambda t, row: t.do("ida", authorisations.refuse, row),
    ("authorisation", "issue"): lambda t, row: t.do("rita", authorisations.issue, row, t.issuer()),
    ("authorisation", "withdraw"): lambda t, row: t.do(
        "ida", authorisations.withdraw, row, ORIGIN),
    ("authorisation", "end"): lambda t, row: t.do(
        "mallory", authorisations.end, row, "不再需要", ORIGIN),
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
    ("alarm", "explain"): lambda t, row: t.do("olga", alarms.explain, row, "已更正"),
    ("alarm", "close"): lambda t, row: t.do("gwen", alarms.close, row, "属实"),
    ("alarm", "reopen"): lambda t, row: t.do("gwen", alarms.reopen, row, "未说明原因"),
    ("alarm", "resolve"): resolve_alarm,
    ("agreement", "sign"): lambda t, row: t.do("paul", agreements.sign, row),
    ("agreement", "consent"): consent_to,
    ("agreement", "withdraw"): lambda t, row: t.do("olga", agreements.withdraw, row, "条件变化"),
    ("agreement", "decline"): lambda t, row: t.do("paul", agreements.decline, row, "范围过宽"),
    ("agreement", "propose_end"): lambda t, row: t.do(
        "olga", agreement_ends.propose_end, row, kind="by_agreement", ground="业务调整"),
    ("agreement", "keep"): lambda t, row: t.do("paul", agreement_ends.keep, row, "继续履行"),
    ("agreement", "end"): lambda t, row: t.do("paul", agreement_ends.end, row),
    ("agreement", "expire"): expire,
    ("agreement", "hand_back"): lambda t, row: t.do(
        "olga", agreement_ends.hand_back, row, dict.fromkeys(agreement_ends.POINTS, "已完成")),
    ("agreement", "confirm_hand_back"): lambda t, row: t.do(
        "paul", agreement_ends.confirm_hand_back, row),
    ("agreement", "reopen_hand_back"): lambda t, row: t.do(
        "paul", agreement_ends.reopen_hand_back, row, "密钥未移交"),
    ("evaluation", "comment"): lambda t, row: t.do("olga", evaluations.comment, row, "已整改"),
    ("appraisal", "approve"): lambda t, row: t.do("abel", appraisals.approve, row),
    ("appraisal", "reject"): lambda t, row: t.do("abel", appraisals.reject, row, "参数无据"),
    ("appraisal", "withdraw"): lambda t, row: t.do("anna", appraisals.withdraw, row, "参数有误"),
    ("appraisal", "supersede"): supersede_appraisal,
    ("licence", "revoke"): revoke_licence,
    ("order", "fulfil"): lambda t, row: t.do("opal", orders.fulfil, row, ORIGIN),
    ("order", "cancel"): lambda t, row: t.do("olga", orders.cancel, row, "买方撤回"),
    ("order", "expire"): deals.expire,
    ("refund", "approve"): lambda t, row: t.do("carl", refunds.approve, row),
    ("refund", "reject"): lambda t, row: t.do("carl", refunds.reject, row, "无据"),
    ("price", "confirm"): lambda t, row: t.do("paul", prices.confirm, row),
    ("price", "reject"): lambda t, row: t.do("paul", prices.reject, row, "成本未核"),
    ("price", "withdraw"): lambda t, row: t.do("olga", prices.withdraw, row, "更正"),
    ("price", "supersede"): supersede_price,
    ("scheme", "agree"): agree,
    ("period", "reopen"): lambda t, row: t.do("carl", periods.reopen, row, "补记"),
    ("journal", "approve"): lambda t, row: t.do("carl", journals.approve, row),
    ("journal", "reject"): lambda t, row: t.do("carl", journals.reject, row, "无凭据"),
    ("journal", "withdraw"): lambda t, row: t.do("mona", journals.withdraw, row, "更正"),
    ("limit", "approve"): lambda t, row: t.do("carl", limits.approve, row),
    ("limit", "reject"): lambda t, row: t.do("carl", limits.reject, row, "无据"),
    ("limit", "withdraw"): lambda t, row: t.do("mona", limits.withdraw, row, "写错"),
    ("limit", "supersede"): supersede_limit,
    ("hold", "post"): post_hold,
    ("hold", "void"): void_hold,
    ("hold", "expire"): expire_hold,
    ("hold", "keep"): keep_hold,
    ("bank_account", "confirm"): lambda t, row: t.do("carl", bank_accounts.confirm, row),
    ("bank_account", "reject"): lambda t, row: t.do("carl", bank_accounts.reject, row, "不符"),
    ("bank_account", "withdraw"): lambda t, row: t.do("mona", bank_accounts.withdraw, row, "写错"),
    ("bank_account", "supersede"): supersede_account,
    ("payout", "approve"): lambda t, row: t.do("carl", payouts.approve, row),
    ("payout", "cancel"): lambda t, row: t.do("mona", payouts.cancel, row, "重做"),
    ("payout", "close"): lambda t, row: t.do("carl", payouts.close, row, "银行未付"),
    ("payout", "confirm"): answered_payout("confirm", True),
    ("payout", "pay"): answered_payout("pay", True, True),
    ("payout", "amend"): amend_payout,
    ("payout_line", "pay"): answered_by_bank(True),
    ("payout_line", "fail"): answered_by_bank(False),
    ("payout_line", "cancel"): close_payout,
    ("payout_line", "return"): return_line,
    ("difference", "answer"): lambda t, row: t.do("olga", reconciliation.answer, row, "已登记"),
    ("difference", "settle"): lambda t, row: t.do("carl", reconciliation.settle, row, "无误"),
    ("difference", "reopen"): lambda t, row: t.do("carl", reconciliation.reopen, row, "缺凭证"),
    ("statement", "propose"): lambda t, row: t.do("mona", revenue.propose, row, ORIGIN),
    ("statement", "approve"): lambda t, row: t.approve(row),
    ("statement", "reject"): lambda t, row: t.do("carl", revenue.reject, row, "有误", ORIGIN),
    ("statement", "reopen"): reopen,
    ("statement", "sign"): lambda t, row: t.approve(row),
    ("statement", "correct"): lambda t, row: t.do(
        "mona", revenue.correct, row, {"platform_cost_fen": 2000}, "成本有误"),
    ("statement", "reverse"): lambda t, row: t.reversal(row),
    ("inquiry", "answer"): lambda t, row: t.do("mona", inquiries.answer, row, "见附件"),
    ("inquiry", "insist"): lambda t, row: t.do("olga", inquiries.insist, row, "未说明"),
    ("inquiry", "close"): lambda t, row: t.do("olga", inquiries.close, row),
    ("inquiry", "withdraw"): lambda t, row: t.do("olga", inquiries.withdraw, row),
    ("statement", "post"): post,
}  # fmt: skip


def by_two(town: Town) -> Any:
    """A statement of so much that two must sign."""
    registered = town.registration()
    agreement = town.get(agreements.Agreement, registered)
    town.scheme(agreement)
    licence = town.licence(town.voucher(registered), price_fen=200_000_000)
    facts = {"platform_cost_fen": 1000}
    return town.statement_over(agreement, licence, amount_fen=200_000_000, facts=facts)


def propose_agreement(town: Town) -> Any:
    facts = {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": town.now.date(),
        "implementer": town.party("bureau"), "mode": "whole",
        "resource_ids": [list_resource(town).id], "title": "协议", "until_on": town.now.date(),
    }  # fmt: skip
    return town.do("olga", agreements.propose, **facts)


def propose_scheme(town: Town) -> Any:
    agreement = town.agreement()
    return town.do("olga", schemes.propose, agreement, town.scheme_document(), town.now.date())


# The subject of each machine by its first maker, and by each other one.
MADE: dict[str, Callable[[Town], Any]] = {
    "catalogue": lambda t: bring(t, "paul"),
    "party": organisations.party,
    "steward": organisations.steward,
    "application": lambda t: t.application(),
    "objection": lambda t: registrations.object_to(t, t.application("on_notice")),
    "registration": lambda t: t.registration(),
    "voucher": lambda t: t.voucher(),
    "alarm": lambda t: t.alarm(),
    "motion": lambda t: t.do("rita", motions.propose, t.voucher(), "split", "分别流通"),
    "authorisation": lambda t: t.authorisation(),
    "agreement": propose_agreement,
    "evaluation": lambda t: t.evaluation(
        t.agreement(
            from_on=t.now.date() - timedelta(days=400), until_on=t.now.date() + timedelta(days=400)
        )
    ),
    "appraisal": lambda t: t.appraisal(t.registration()),
    "licence": lambda t: t.licence(t.voucher()),
    "order": deals.order,
    "refund": deals.refund,
    "price": lambda t: t.price(t.agreement()),
    "scheme": propose_scheme,
    "period": bookings.period,
    "journal": bookings.journal,
    "limit": bookings.limit,
    "hold": bookings.hold,
    "bank_account": lambda t: paying.another_account(t, organisations.party(t, "enterprise")),
    "payout": paying.prepared,
    "payout_line": lambda t: paying.lines(t, paying.approved(t))[0],
    "difference": paying.difference,
    "statement": lambda t: t.statement(),
    "inquiry": lambda t: t.inquiry(),
    "demand": submit_demand,
    "exclusion": propose_exclusion,
    "feedback": raise_feedback,
    "duty": report_duty,
    "resource": list_resource,
    "peer": neighbour,
    "recognition": recognised,
}
CANCELLATION: Callable[[Town], Any] = lambda t: registrations.apply(t, "cancellation")  # noqa: E731
# The subject that a verb can be done to in a state, where the first maker's cannot.
MADE_FOR: dict[tuple[str, str, str], Callable[[Town], Any]] = {
    ("application", "", "concluded"): CANCELLATION,
    ("statement", "sign", "proposed"): by_two,
    ("statement", "reopen", "proposed"): by_two,
    ("application", "conclude", "reviewed"): CANCELLATION,
    ("application", "conclude", "on_notice"): lambda t: registrations.apply(t, "change"),
    ("application", "amend", "returned"): lambda t: registrations.apply(t, "change"),
    **{
        ("application", "consent", state): lambda t: registrations.apply(
            t, "correction", login="mallory")
        for state in registration.CONSENTED_IN
    },
    ("application", "second", "reviewed"): registrations.important,
    ("application", "doubt", "reviewed"): registrations.important,
    **{("voucher", "unfreeze", state): frozen_voucher for state in MOVES["voucher"]["unfreeze"]
       if state},
    ("registration", "lift", "registered"): registrations.disputed,
    ("registration", "lift", "under_inquiry"): registrations.disputed,
}  # fmt: skip
MADE_OTHERWISE: dict[tuple[str, str], Callable[[Town], Any]] = {
    ("catalogue", "import"): lambda t: bring(t, "rita"),
    ("application", "apply"): lambda t: registrations.apply(t, "change"),
}


def maker_for(machine: str, verb: str, state: str) -> Callable[[Town], Any]:
    """What makes the subject of a case."""
    made = MADE_FOR.get((machine, verb, state)) or MADE_FOR.get((machine, "", state))
    return made or MADE[machine]


def in_state(town: Town, machine: str, state: str, verb: str = "") -> Any:
    """A fresh subject for a verb, brought to a state by the shortest way of real verbs there is.

    A state that only a verb of tomorrow reaches is written into the row: good enough to be refused.
    """
    way = way_to(machine, state)
    row = maker_for(machine, verb, state)(town)
    if way is None:
        with town.deed() as session:
            table = type(row).__table__
            session.execute(table.update().where(table.c.id == row.id).values(state=state))
    for step in way or []:
        VERBS[machine, step](town, now_of(town, row))
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
    row = in_state(village, machine, state, verb)
    before = record_count(village, row)
    assert row.state == state
    VERBS[machine, verb](village, row)
    after = now_of(village, row)
    assert after.state == MOVES[machine][verb][state]
    assert record_count(village, row) == before + 1
    with village.reading() as session:
        last = log.history(session, row.id)[-1]
        assert log.payload_of(last)["body"] == after.body()


@pytest.fixture(scope="module")
def stood(village: Town) -> dict[Any, Any]:
    """Subjects that stand in a state: a refusal changes nothing, so each serves many."""
    return {}


@pytest.mark.parametrize(("machine", "state", "verb"), ILLEGAL)
def test_an_illegal_move_is_a_conflict_and_changes_nothing(
    village: Town, stood: dict[Any, Any], machine: str, state: str, verb: str
) -> None:
    case = (machine, state, maker_for(machine, verb, state))
    before = stood.pop("as it was", None)  # a refusal changed nothing: the last look still holds
    if case not in stood:
        stood[case], before = in_state(village, machine, state, verb), None
    row = stood[case]
    assert row.state == state
    act: Callable[[Town, Any], Any] = VERBS[machine, verb]
    if (machine, verb) == ("application", "submit"):
        facts = village.application_facts()  # its own agreement and deposit are deeds of their own
        before = None
        act = lambda town, row: town.do(  # noqa: E731
            "olga", registration.submit, **facts, resubmits=row
        )
    look = village.image
    if verb == "post":  # settles once more, which writes what stands already
        village.settle(row)
        before, look = None, village.snapshot
    if before is None:
        before = look()
    with pytest.raises(Conflict):
        act(village, row)
    after = look()
    assert after == before
    if verb != "post":
        stood["as it was"] = after
