"""Who may do what: the role, his own organisation's business, and never on what he made himself."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ledger import (
    agreement_ends,
    agreements,
    alarms,
    appraisals,
    authorisations,
    catalogue,
    catalogue_imports,
    demands,
    duties,
    evaluations,
    exclusions,
    feedback,
    freezes,
    handoff,
    motions,
    objections,
    parties,
    peers,
    prices,
    recognition,
    register,
    registration,
    registration_changes,
    revenue,
    schemes,
    settings,
    statements,
    stewards,
    trading,
    usage,
    uses,
    voucher_moves,
    vouchers,
    witnesses,
)
from ledger.calendar import local_date, years_after
from ledger.chain import keys
from ledger.errors import Conflict, Invalid, Missing, NotAllowed, NotAuthenticated
from ledger.parties import NOBODY, Actor
from ledger.proof.checkpoint import parse_note
from ledger.proof.encoding import digest_text
from ledger.rights import MAY, MEMBER, PUBLIC, ROLES
from ledger.tables.events import read_events
from tests.conftest import (
    BASIS,
    CAST,
    CHECKER_KEYS,
    CREDENTIAL_KEY,
    DEMO,
    HOLDER,
    ORIGIN,
    PARTIES,
    Town,
    compliance,
)
from tests.ledger import finance_rooms, neighbours, organisations, registrations
from tests.witness import LittleWitness

pytestmark = pytest.mark.pages

# In the table of roles, but nobody has written the verb yet: this list can only shrink.
VERB_COMES_LATER: set[str] = set()
# Questions, and deeds of the site: no room of the ledger asks `may` for them.
WITHOUT_A_ROOM = {
    *(verb for verb in MAY if verb.endswith(".read")),
    "audit.run", "catalogue.export", "draft.drop", "draft.save", "figure.compute", "file.verify",
    "identity.link", "job.start", "log.anchor", "log.seal", "member.reset", "message.deliver",
    "message.mark", "outbox.retry",
    "password.change", "session.begin", "session.end", "token.create",
    "statistics.amounts", "token.revoke", "voucher.export", "voucher.verify",
    *finance_rooms.WITHOUT_A_ROOM,
}  # fmt: skip

OTHER_KEY = "0x4444444444444444444444444444444444444444"
Do = Callable[[Town, str, Any], Any]  # (town, login, the subjects that stand ready)


def change(verb: str) -> Do:
    return lambda t, who, on: t.do(who, vouchers.change, on.voucher, verb, "依法", ORIGIN, BASIS)


def change_all(verb: str) -> Do:
    return lambda t, who, on: t.do(
        who, freezes.change_all, t.get(registration.Registration, on.voucher), verb, basis=BASIS,
        reason="依法", origin=ORIGIN,
    )  # fmt: skip


def submit(town: Town, who: str, on: Any) -> Any:
    return town.do(who, registration.submit, **on.facts)


def issue(town: Town, who: str, on: Any) -> Any:
    return town.do(
        who, vouchers.issue, registration=on.registered, holder=town.party("operator"),
        holder_address=HOLDER, origin=ORIGIN, key=CREDENTIAL_KEY,
    )  # fmt: skip


def propose_agreement(town: Town, who: str, on: Any) -> Any:
    return town.do(who, agreements.propose, **on.agreement_facts)


def change_setting(town: Town, who: str, _on: Any) -> Any:
    with town.deed() as session:
        settings.change(session, town.actors[who], "confirmations", "5")


def report_use(town: Town, who: str, on: Any) -> Any:
    """One event under the operator's licence; a licence of somebody else is told as none."""
    with town.reading() as session:
        try:
            usage.check(session, town.actors[who], town.now, on.events, "events.ndjson")
        except Invalid as error:
            if {one["code"] for one in error.facts["problems"]} != {"licence"}:
                raise
            raise NotAllowed("It is another's licence.") from error


def bring(town: Town, who: str, _on: Any = None, code: str = "") -> Any:
    """A resource that his own organisation provides: a provider may bring no other."""
    with town.reading() as session:
        provider = session.get_one(parties.Party, town.actors[who].party_id).name
    code = code or f"code of {who}"
    return town.do(
        who, catalogue_imports.bring, rows=[{"code": code, "title": "一", "provider": provider}],
        notices=[], mapping={}, file_name="a.csv", file_digest=digest_text(code.encode()),
    )  # fmt: skip


def days_from(town: Town, days: int) -> date:
    return local_date(town.now) + timedelta(days=days)


def authorised(verb: str) -> Do:
    """A deed on an authorisation of the operator's own, as a legal person."""

    def do(town: Town, who: str, on: Any) -> Any:
        row = on.asked if verb in ("consent", "refuse") else on.consented
        more = {"issue": (town.issuer(),), "withdraw": (ORIGIN,), "end": ("不再需要", ORIGIN)}
        return town.do(who, getattr(authorisations, verb), row, *more.get(verb, ()))

    return do


def asked_of(town: Town, subject: str, *, provider: str = "firm") -> dict[str, Any]:
    """What the treasury asks to be allowed."""
    return {
        "max_uses": 3, "provider": town.party(provider), "purpose": "贷款审查", "scene": "贷前审查",
        "subject": town.party(subject), "user": town.party("treasury"), "user_address": HOLDER,
        "valid_from": town.now, "valid_until": town.now + timedelta(days=90),
    }  # fmt: skip


def allowances(town: Town, registered: Any) -> dict[str, Any]:
    """Authorisations of each state, asked for by the treasury and allowed by the operator."""
    asker, subject = person_of("operator", "treasury"), person_of("data_subject", "operator")
    facts = {
        **asked_of(town, "operator"), "registration": registered, "valid_until": registered.valid_until,
    }  # fmt: skip
    asked, consented, served = (town.do(asker, authorisations.request, **facts) for _ in range(3))
    for row in (consented, served):
        town.do(subject, authorisations.consent, row)
    allowed = town.do("rita", authorisations.issue, served, town.issuer())
    return {
        "allowed": allowed, "asked": asked, "authorisation_facts": facts, "consented": consented,
    }  # fmt: skip


def submit_demand(town: Town, who: str, _on: Any = None) -> Any:
    return town.do(
        who, demands.submit, title="企业登记", purpose="贷前审查", items=["企业名称"], use="sharing",
        basis="合同",
    )  # fmt: skip


def propose_exclusion(town: Town, who: str, on: Any) -> Any:
    """On a resource of the bureau: for one's own data every provider may."""
    return town.do(
        who, exclusions.propose, title="涉密名单", forbids=["opening"], basis="保守国家秘密法",
        from_on=local_date(town.now), review_on=days_from(town, 365), resource=on.resource,
    )  # fmt: skip


def report_duty(town: Town, who: str, _on: Any = None) -> Any:
    return town.do(
        who, duties.report, party=town.party("bureau"), cause="law", description="新规定",
        cause_on=local_date(town.now),
    )  # fmt: skip


def raise_feedback(town: Town, who: str, on: Any) -> Any:
    return town.do(
        who, feedback.raise_, resource=on.resource, kind="quality", about="data_quality",
        description="缺行",
    )  # fmt: skip


def apply(type_: str, of: str = "registered", **asked: Any) -> Do:
    """An application about a registration of the operator's; `asked` names what stands ready."""
    return lambda t, who, on: registrations.apply(
        t, type_, getattr(on, of), who,
        **{key: found(t, on) if callable(found) else found for key, found in asked.items()})  # fmt: skip


def raise_objection(town: Town, who: str, on: Any) -> Any:
    with town.reading() as session:
        account = session.get_one(parties.Account, town.actors[who].member_id)
    return town.do(who, objections.raise_, on.noticed, real_name=account.display_name,
                   claim="权属不清", evidence="见合同")  # fmt: skip


TO_THE_BANK: dict[str, Any] = {
    "party": lambda t, _on: t.party("bank"), "address": registrations.ADDRESS,
    "agreement": lambda _t, on: on.bank_agreement,
}  # fmt: skip
HANDED_BACK = dict.fromkeys(agreement_ends.POINTS, "已完成")
LICENCE: dict[str, Any] = {
    "party": lambda t, _on: t.party("bank"), "right": "use", "terms": "一年",
    "from_on": lambda t, _on: days_from(t, 0), "until_on": lambda t, _on: days_from(t, 9),
}  # fmt: skip
VERBS: dict[str, Do] = {
    # These two serve `init` too, as "system": who calls them asks before.
    "party.add": lambda t, who, on: parties.may(t.actors[who], "party.add"),
    "member.add": lambda t, who, on: parties.may(t.actors[who], "member.add"),
    "member.change": lambda t, who, on: t.do(
        who, parties.change_member, on.member, ["regulator"]),
    "party.rename": lambda t, who, on: organisations.rename(t, on.body, "新名", who),
    "party.merge": lambda t, who, on: organisations.merge(t, on.body, on.heir, who),
    "party.split": lambda t, who, on: organisations.split(
        t, on.body, on.heir, [t.party("bureau")], None, who),
    "steward.name": lambda t, who, on: t.do(
        who, stewards.name, party=t.party("bureau"), member=organisations.member(t, "gwen"),
        post="steward", from_on=date.fromisoformat(on.steward.from_on)),
    "steward.relieve": lambda t, who, on: t.do(
        who, stewards.relieve, on.steward, date.fromisoformat(on.steward.from_on)),
    "evidence.deposit": lambda t, who, on: t.deposit(who, who.encode()),
    "catalogue.import": bring,
    "resource.add": lambda t, who, on: t.do(
        who, catalogue.add_resource, code=f"by {who}", title="一", provider="市数据局", elements={}),
    "catalogue.approve": lambda t, who, on: t.do(who, catalogue_imports.approve, on.brought),
    "catalogue.reject": lambda t, who, on: t.do(who, catalogue_imports.reject, on.brought, "x"),
    "catalogue.undo": lambda t, who, on: t.do(who, catalogue_imports.undo, on.applied, "x"),
    "duty.report": report_duty,
    "duty.settle": lambda t, who, on: t.do(who, duties.settle, on.duty_open, not_needed="已写明"),
    "duty.confirm": lambda t, who, on: t.do(who, duties.confirm, on.duty_settled),
    "duty.reopen": lambda t, who, on: t.do(who, duties.reopen, on.duty_settled, "x"),
    "demand.submit": submit_demand,
    "demand.withdraw": lambda t, who, on: t.do(who, demands.withdraw, on.demand_assigned, "x"),
    "demand.assign": lambda t, who, on: t.do(
        who, demands.assign, on.demand_assigned, t.party("bureau")),
    "demand.accept": lambda t, who, on: t.do(
        who, demands.accept, on.demand_assigned, resource=on.resource, mode="file",
        by_on=days_from(t, 9)),
    "demand.refuse": lambda t, who, on: t.do(who, demands.refuse, on.demand_assigned, ground="x"),
    "demand.fulfil": lambda t, who, on: t.do(
        who, demands.fulfil, on.demand_accepted, resource=on.resource, mode="file", how="x"),
    "demand.close": lambda t, who, on: t.do(who, demands.close, on.demand_refused),
    "demand.appeal": lambda t, who, on: t.do(who, demands.appeal, on.demand_refused, "x"),
    "demand.uphold": lambda t, who, on: t.do(who, demands.uphold, on.demand_appealed, "x"),
    "demand.dismiss": lambda t, who, on: t.do(who, demands.dismiss, on.demand_appealed, "x"),
    "exclusion.propose": propose_exclusion,
    "exclusion.approve": lambda t, who, on: t.do(who, exclusions.approve, on.exclusion),
    "exclusion.reject": lambda t, who, on: t.do(who, exclusions.reject, on.exclusion, "x"),
    "exclusion.end": lambda t, who, on: t.do(who, exclusions.end, on.exclusion_in_force, "x"),
    "feedback.raise": raise_feedback,
    "feedback.withdraw": lambda t, who, on: t.do(who, feedback.withdraw, on.feedback_raised, "x"),
    "feedback.answer": lambda t, who, on: t.do(
        who, feedback.answer, on.feedback_raised, verdict="explained", text="x"),
    "feedback.close": lambda t, who, on: t.do(who, feedback.close, on.feedback_answered),
    "feedback.appeal": lambda t, who, on: t.do(who, feedback.appeal, on.feedback_answered, "x"),
    "feedback.uphold": lambda t, who, on: t.do(who, feedback.uphold, on.feedback_appealed, "x"),
    "feedback.dismiss": lambda t, who, on: t.do(who, feedback.dismiss, on.feedback_appealed, "x"),
    "agreement.propose": propose_agreement,
    "agreement.sign": lambda t, who, on: t.do(who, agreements.sign, on.unsigned),
    "agreement.consent": lambda t, who, on: t.do(who, agreements.consent, on.shared, "同意函"),
    "agreement.withdraw": lambda t, who, on: t.do(who, agreements.withdraw, on.unsigned, "x"),
    "agreement.decline": lambda t, who, on: t.do(who, agreements.decline, on.unsigned, "x"),
    "agreement.propose_end": lambda t, who, on: t.do(
        who, agreement_ends.propose_end, on.running, kind="by_agreement", ground="x"),
    "agreement.end": lambda t, who, on: t.do(who, agreement_ends.end, on.broken),
    "agreement.keep": lambda t, who, on: t.do(who, agreement_ends.keep, on.given_up, "x"),
    "agreement.hand_back": lambda t, who, on: t.do(
        who, agreement_ends.hand_back, on.over, HANDED_BACK),
    "agreement.confirm_hand_back": lambda t, who, on: t.do(
        who, agreement_ends.confirm_hand_back, on.handing_back),
    "agreement.reopen_hand_back": lambda t, who, on: t.do(
        who, agreement_ends.reopen_hand_back, on.handing_back, "x"),
    "evaluation.make": lambda t, who, on: t.do(
        who, evaluations.make, on.running, verdict="qualified", findings="x"),
    "evaluation.comment": lambda t, who, on: t.do(who, evaluations.comment, on.evaluation, "x"),
    "application.submit": submit,
    "application.return": lambda t, who, on: t.do(who, registration.send_back, on.submitted, ["x"]),
    "application.refuse": lambda t, who, on: t.do(who, registration.refuse, on.submitted, "x"),
    "application.accept": lambda t, who, on: t.do(who, registration.accept, on.submitted),
    "application.reject": lambda t, who, on: t.do(who, registration.reject, on.in_review, "x"),
    "application.pass": lambda t, who, on: t.do(
        who, registration.pass_review, on.in_review, formal="全", compliance=compliance()),
    "application.notice": lambda t, who, on: t.do(who, registration.give_notice, on.reviewed),
    "application.code": lambda t, who, on: t.do(
        who, registration.code, on.on_notice, t.get(agreements.Agreement, on.on_notice)),
    "application.withdraw": lambda t, who, on: t.do(who, registration.withdraw, on.submitted, "x"),
    "application.second": lambda t, who, on: t.do(who, registration.second, on.important, "x"),
    "application.doubt": lambda t, who, on: t.do(who, registration.doubt, on.important, "x"),
    "application.consent": lambda t, who, on: t.do(who, registration.consent, on.correction),
    "application.change": apply("change"),
    "application.correct": apply("correction"),
    "application.cancel": apply("cancellation"),
    "application.renew": apply("renewal", "ending", agreement=lambda _t, on: on.next_agreement),
    "application.transfer": apply("transfer", **TO_THE_BANK),
    "application.licence": apply("licence", **LICENCE),
    "application.dispute": apply("objection"),
    "application.conclude": lambda t, who, on: t.do(
        who, registration_changes.conclude, on.cancellation, "x"),
    "objection.raise": raise_objection,
    "objection.withdraw": lambda t, who, on: t.do(who, objections.withdraw, on.objection, "x"),
    "objection.uphold": lambda t, who, on: t.do(who, objections.uphold, on.objection, "x"),
    "objection.dismiss": lambda t, who, on: t.do(who, objections.dismiss, on.objection, "x"),
    "registration.inquire": lambda t, who, on: t.do(who, register.inquire, on.registered, "x"),
    "registration.clear": lambda t, who, on: t.do(who, register.clear, on.doubted, "x"),
    "registration.revoke": lambda t, who, on: t.do(
        who, register.revoke, on.doubted, ground="tampering", finding="x"),
    "registration.cancel": lambda t, who, on: t.do(
        who, register.cancel, on.doubted, ground="lost", finding="x"),
    "registration.lift": lambda t, who, on: t.do(
        who, register.lift, on.disputed, application=on.disputed.disputes[0], finding="x"),
    "voucher.issue": issue,
    "voucher.renew": lambda t, who, on: t.do(
        who, voucher_moves.renew, on.voucher, on.voucher.valid_until, "续展", t.issuer()),
    "voucher.transfer": lambda t, who, on: t.do(
        who, motions.propose, on.voucher, "transfer", "转移", holder_address=HOLDER),
    "voucher.supersede": lambda t, who, on: t.do(
        who, voucher_moves.supersede, on.voucher, "变更", t.issuer()),
    "voucher.split": lambda t, who, on: t.do(who, motions.propose, on.second, "split", "拆分"),
    "voucher.pledge": lambda t, who, on: t.do(
        who, voucher_moves.pledge, on.voucher, t.party("firm"), "质押", ORIGIN),
    "voucher.release": lambda t, who, on: t.do(who, voucher_moves.release, on.voucher, "清偿", ORIGIN),
    "voucher.replace_key": lambda t, who, on: t.do(
        who, voucher_moves.replace_key, on.voucher, OTHER_KEY, "遗失", ORIGIN),
    "motion.confirm": lambda t, who, on: t.do(who, motions.confirm, on.motion, t.issuer()),
    "motion.reject": lambda t, who, on: t.do(who, motions.reject, on.motion, "依据不足"),
    "authorisation.request": lambda t, who, on: t.do(
        who, authorisations.request, **on.authorisation_facts),
    **{f"authorisation.{verb}": authorised(verb)
       for verb in ("consent", "refuse", "issue", "withdraw", "end")},
    "use.count": lambda t, who, on: t.do(
        who, uses.count, on.allowed, scene="贷前审查", count=1, reference=who),
    **{f"voucher.{verb}": change(verb) for verb in vouchers.VERBS},
    **{f"registration.{verb}": change_all(verb) for verb in vouchers.FREEZING},
    "alarm.explain": lambda t, who, on: t.do(who, alarms.explain, on.alarm_raised, "x"),
    "alarm.close": lambda t, who, on: t.do(who, alarms.close, on.alarm_explained, "x"),
    "alarm.reopen": lambda t, who, on: t.do(who, alarms.reopen, on.alarm_explained, "x"),
    "peer.propose": lambda t, who, on: t.do(
        who, peers.propose, name="川渝登记机构", data=on.unknown.trust_file),
    "peer.admit": lambda t, who, on: t.do(
        who, peers.admit, on.peer_proposed, on.peer_proposed.digest[-8:]),
    "peer.reject": lambda t, who, on: t.do(who, peers.reject, on.peer_proposed, "x"),
    "peer.reach": lambda t, who, on: t.do(
        who, peers.reach, on.peer_admitted, site="http://127.0.0.1:1"),
    "peer.suspend": lambda t, who, on: t.do(who, peers.suspend, on.peer_admitted, "x"),
    "peer.resume": lambda t, who, on: t.do(who, peers.resume, on.peer_suspended, "x"),
    "peer.end": lambda t, who, on: t.do(who, peers.end, on.peer_admitted, "x"),
    "recognition.import": lambda t, who, on: t.do(who, recognition.recognise, on.checked),
    "recognition.follow": lambda t, who, on: t.do(
        who, recognition.follow, on.peer_admitted, on.news),
    "appraisal.draft": lambda t, who, on: t.do(who, appraisals.draft, **on.appraisal_facts),
    "appraisal.approve": lambda t, who, on: t.do(who, appraisals.approve, on.appraisal),
    "appraisal.reject": lambda t, who, on: t.do(who, appraisals.reject, on.appraisal, "x"),
    "appraisal.withdraw": lambda t, who, on: t.do(who, appraisals.withdraw, on.appraisal, "x"),
    "price.propose": lambda t, who, on: t.do(
        who, prices.propose, on.agreement, document=t.price_document(), from_on=local_date(t.now),
        until_on=local_date(t.now)),
    "price.confirm": lambda t, who, on: t.do(who, prices.confirm, on.price),
    "price.reject": lambda t, who, on: t.do(who, prices.reject, on.price, "x"),
    "price.withdraw": lambda t, who, on: t.do(who, prices.withdraw, on.price, "x"),
    "licence.grant": lambda t, who, on: t.do(who, trading.grant, **on.licence_facts),
    "licence.revoke": lambda t, who, on: t.do(
        who, trading.revoke, on.licence, on.voucher, "违约", ORIGIN),
    "scheme.propose": lambda t, who, on: t.do(
        who, schemes.propose, on.agreement, t.scheme_document(),
        date.fromisoformat(on.scheme.effective_from)),
    "scheme.agree": lambda t, who, on: t.do(who, schemes.agree, on.scheme, on.agreement),
    "setting.change": change_setting,
    "usage.import": report_use,
    "witness.add": lambda t, who, on: t.do(
        who, witnesses.admit, vkey=LittleWitness("new.example").vkey, operator="市审计局"),
    "witness.remove": lambda t, who, on: t.do(who, witnesses.remove, on.witness),
    "witness.cosign": lambda t, who, on: t.do(who, witnesses.hand_in, on.cosigned),
    "package.pack": lambda t, who, on: t.do(
        who, handoff.pack, on.voucher, deployment=t.home.config.deployment, sample=b"", pricing={}),
    **finance_rooms.VERBS,
}  # fmt: skip


# Whose business the subject is that stands ready for a verb; the others' subject is who asks.
OWNER = {
    **dict.fromkeys(("agreement.sign", "agreement.decline", "evaluation.make"), "bureau"),
    **{f"agreement.{act}": "bureau" for act in ("confirm_hand_back", "reopen_hand_back")},
    **{f"agreement.{act}": "operator"
       for act in ("withdraw", "propose_end", "end", "keep", "hand_back")},
    "agreement.consent": "firm",  # whose resource it names
    "evaluation.comment": "operator",
    "licence.grant": "operator",
    "licence.revoke": "operator",
    "package.pack": "operator",
    **dict.fromkeys(("price.confirm", "price.reject"), "bureau"),
    **dict.fromkeys(("price.propose", "price.withdraw"), "operator"),
    "scheme.agree": "bureau",
    "scheme.propose": "operator",
    "usage.import": "operator",
    **dict.fromkeys(("steward.name", "steward.relieve"), "bureau"),
    **{verb: "operator" for verb in VERBS
       if verb.partition(".")[0] in (
           "alarm", "application", "objection", "registration", "voucher")},
    "objection.withdraw": "firm",
    **dict.fromkeys(("appraisal.approve", "appraisal.reject", "appraisal.withdraw"), "firm"),
    **{f"catalogue.{act}": "bureau" for act in ("approve", "reject", "undo")},
    **{f"duty.{act}": "bureau" for act in ("report", "settle", "confirm", "reopen")},
    **{f"exclusion.{act}": "bureau" for act in ("propose", "approve", "reject", "end")},
    **{f"demand.{act}": "operator"
       for act in ("withdraw", "assign", "close", "appeal", "uphold", "dismiss")},
    **{f"demand.{act}": "bureau" for act in ("accept", "refuse", "fulfil")},
    **{f"feedback.{act}": "operator"
       for act in ("withdraw", "close", "appeal", "uphold", "dismiss")},
    "feedback.answer": "bureau",
}  # fmt: skip
OWNER |= {
    **dict.fromkeys(("motion.confirm", "motion.reject"), "operator"),
    **{f"authorisation.{act}": "operator" for act in ("consent", "refuse", "issue", "withdraw")},
    **dict.fromkeys(("authorisation.request", "authorisation.end"), "treasury"),
    "use.count": "firm",
    **finance_rooms.OWNER,
}
# Whose business it is besides: the department decides on no appeal against its own answer.
ALSO_OWNER = {
    **dict.fromkeys(
        ("demand.uphold", "demand.dismiss", "feedback.uphold", "feedback.dismiss"), "bureau"),
    **dict.fromkeys(("objection.uphold", "objection.dismiss"), "firm"),
    "application.consent": "bureau",  # who asks for the correction
    **dict.fromkeys(("agreement.propose_end", "agreement.end", "agreement.keep"), "bureau"),
    **finance_rooms.ALSO_OWNER,
}  # fmt: skip
# Deeds of either side of an agreement: on each side by its own role.
OF_EITHER_SIDE = ("agreement.propose_end", "agreement.end", "agreement.keep")
ROLE_OF_SIDE = {"bureau": "provider", "operator": "operator"}
STRANGER = "bank"
# Who made what stands ready: it is his alone to carry on, or another's to decide on.
MAKER = {
    **{
        f"agreement.{act}": "olga"
        for act in ("sign", "decline", "confirm_hand_back", "reopen_hand_back")
    },
    "agreement.end": "paul",
    "evaluation.comment": "paul",
    **{f"peer.{act}": "rita" for act in ("admit", "reject", "resume")},  # who proposed, suspended
    "appraisal.approve": "anna",
    "appraisal.reject": "anna",
    "appraisal.withdraw": "anna",
    "member.change": "newt",  # the administrator of himself
    **dict.fromkeys(("price.confirm", "price.reject"), "olga"),
    "scheme.agree": "olga",
    **dict.fromkeys(("alarm.close", "alarm.reopen"), "olga"),
    **{
        verb: "olga"
        for verb in VERBS
        if verb.startswith("application.") and "registrar" in MAY[verb]
    },
    **dict.fromkeys(("application.second", "application.doubt"), "rita"),  # who passed the review
    **dict.fromkeys(("objection.uphold", "objection.dismiss"), "rita"),
    **dict.fromkeys([f"registration.{act}" for act in ("clear", "revoke", "cancel")], "rita"),
    **dict.fromkeys(("catalogue.approve", "catalogue.reject"), "paul"),
    **dict.fromkeys(("duty.confirm", "duty.reopen"), "paul"),
    **{f"exclusion.{act}": "paul" for act in ("approve", "reject", "end")},
    **{f"demand.{act}": "olga" for act in ("assign", "accept", "refuse", "fulfil")},
    **dict.fromkeys(("demand.uphold", "demand.dismiss"), "rita"),  # who had named the department
    "feedback.answer": "olga",
    **dict.fromkeys(("feedback.uphold", "feedback.dismiss"), "paul"),  # who gave the answer
}
MAKER |= {**dict.fromkeys(("motion.confirm", "motion.reject"), "rita"), **finance_rooms.MAKER}
ONLY_THE_MAKER = {"appraisal.withdraw", *finance_rooms.ONLY_THE_MAKER}
DECISIONS = sorted(set(MAKER) - ONLY_THE_MAKER)
# What stands ready is not in the state for these, or not on a chain: who may is told that.
OUT_OF_STATE = {
    "agreement.consent",  # a registrar of either side is told that nothing waits for him
    "application.consent",  # of who applies himself none is needed
    "package.pack", "registration.unfreeze", "voucher.resume", "voucher.unfreeze",
    "use.count", "voucher.pledge", "voucher.release", "voucher.renew",
    "voucher.transfer", *finance_rooms.OUT_OF_STATE,
}  # fmt: skip


class Undone(Exception):
    """Ends a rehearsed deed."""


class Rehearsal(Town):
    """A town in which every deed is done and then undone."""

    def __init__(self, town: Town) -> None:
        self.__dict__ = {**town.__dict__, "actors": dict(town.actors)}

    @contextmanager
    def deed(self) -> Iterator[Any]:
        with suppress(Undone), super().deed() as session:
            yield session
            raise Undone


def may_do(town: Town, verb: str, login: str, on: Any) -> bool:
    """Whether the room lets him do it: it is done, or cannot be done now by anybody."""
    try:
        VERBS[verb](town, login, on)
    except NotAllowed:
        return False
    except (Conflict, Missing):
        assert verb in OUT_OF_STATE
    return True


def relations_of(verb: str, role: str) -> set[str]:
    """The relations by which a role may do a verb: each member is also what all are."""
    return {relation for one, relation in MAY[verb].items() if one in (role, MEMBER, PUBLIC)}


def person_of(role: str, party: str) -> str:
    return f"{role} at {party}"


@pytest.fixture(scope="module")
def ready(village: Town) -> Any:
    """Subjects in the states that the verbs need: nobody refused changes one of them."""
    t = village
    finance = finance_rooms.rows(t)
    unsigned = t.do("olga", agreements.propose, **agreement_facts(t))
    applications = {s: t.application(s) for s in ("submitted", "in_review", "reviewed")}
    registered = t.registration()
    agreement = t.agreement()
    scheme = t.do(
        "olga", schemes.propose, agreement, t.scheme_document(), t.now.date()
    )  # fmt: skip
    voucher = t.voucher()
    facts = t.licence_facts(voucher)
    appraisal = t.appraisal(registered)
    on_notice = t.application("on_notice")
    t.later(days=21)
    populate(t)
    owl = LittleWitness("owl.example")
    witness = t.do("admin", witnesses.admit, vkey=owl.vkey, operator="档案馆")
    cosigned = owl.cosign(parse_note(t.seal().note)[0])
    licence = t.licence(voucher)
    events = t.home.path.parent / "events.ndjson"
    events.write_text(
        json.dumps({"at": t.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "event": "E-1", "kind": "use",
                    "licence": licence.order_reference, "quantity": 1, "unit": "次"}) + "\n"
    )  # fmt: skip
    with t.reading() as session:
        newt = session.get_one(parties.Member, t.actors["newt"].member_id)
    steward = t.do(
        "admin", stewards.name, party=t.party("bureau"), member=organisations.member(t, "paul"),
        post="steward", from_on=local_date(t.now),
    )  # fmt: skip
    return SimpleNamespace(
        body=organisations.party(t), heir=organisations.party(t), steward=steward,
        agreement=agreement, agreement_facts=agreement_facts(t), appraisal=appraisal,
        appraisal_facts={
            **yaml.load((DEMO / "appraisal.yaml").read_bytes(), yaml.CSafeLoader),
            "registration": registered, "base_on": t.now.date(),
        },
        **allowances(t, t.get(registration.Registration, voucher)), second=t.voucher(),
        motion=t.do("rita", motions.propose, t.voucher(), "split", "拆分"),
        events=read_events(events, events.name), cosigned=cosigned,
        facts=t.application_facts(), licence=licence, witness=witness,
        licence_facts=facts, member=newt, on_notice=on_notice, registered=registered,
        price=t.price(t.agreement()), scheme=scheme, unsigned=unsigned, voucher=voucher,
        **applications, **affairs(t), **registered_affairs(t), **agreed_affairs(t),
        **neighbourhood(t), **finance_rooms.soon_over(t, finance),
    )  # fmt: skip


def agreed_affairs(town: Town) -> dict[str, Any]:
    """What becomes of agreements: consents, ends, hand-backs, evaluations."""
    on = SimpleNamespace()
    with town.deed() as session:
        theirs = [
            catalogue.add_resource(
                session, town.actors["rita"], town.now, code=f"307001001/00008{n}", title="共享资源",
                provider=provider, elements={},
            ).id
            for n, provider in enumerate((PARTIES["firm"][1], "不在场的部门"))
        ]  # fmt: skip
    facts = agreement_facts(town)
    shared = {**facts, "resource_ids": [*facts["resource_ids"], *theirs]}
    on.shared = town.do("olga", agreements.propose, **shared)
    on.running, judged = (town.agreement(from_on=days_from(town, -400)) for _ in range(2))
    on.evaluation = town.evaluation(judged)
    on.broken, on.given_up, on.over, on.handing_back = (town.agreement() for _ in range(4))
    town.do("paul", agreement_ends.propose_end, on.broken, kind="breach", ground="x")
    for row in (on.given_up, on.over, on.handing_back):
        town.do("olga", agreement_ends.propose_end, row, kind="by_agreement", ground="x")
    for row in (on.over, on.handing_back):
        town.do("paul", agreement_ends.end, row)
    town.do("olga", agreement_ends.hand_back, on.handing_back, HANDED_BACK)
    return vars(on)


def neighbourhood(town: Town) -> dict[str, Any]:
    """Other registries, proposed and suspended by rita, and a voucher of the one that is admitted."""
    on = SimpleNamespace(unknown=neighbours.Neighbour(town))
    on.peer_proposed = neighbours.proposed(town, neighbours.Neighbour(town))
    on.peer_suspended = neighbours.admitted(town, neighbours.Neighbour(town))
    town.do("rita", peers.suspend, on.peer_suspended, "x")
    near = neighbours.Neighbour(town)
    on.peer_admitted = neighbours.admitted(town, near)
    on.checked = recognition.check(near.bundle, on.peer_admitted, town.now)
    on.news = recognition.open_list(near.listed(hours=1), on.peer_admitted, town.now)
    return vars(on)


def registered_affairs(town: Town) -> dict[str, Any]:
    """What becomes of registrations: applications about them, objections, an inquiry."""
    on = SimpleNamespace()
    on.returning, on.doubted, about = (town.registration() for _ in range(3))
    on.returned = registrations.apply(town, "change", on.returning)
    town.do("rita", registration.send_back, on.returned, ["x"])
    registrations.inquire(town, on.doubted)
    on.cancellation = registrations.passed(town, registrations.apply(town, "cancellation", about))
    on.correction = registrations.apply(town, "correction", town.registration(), "paul")
    on.disputed = registrations.disputed(town)
    on.important = registrations.passed(town, registrations.important(town))
    on.ending = registrations.registered_under(
        town, town.agreement(until_on=days_from(town, 60)))  # fmt: skip
    on.bank_agreement = registrations.agreement_with(town, "mallory")
    on.next_agreement = registrations.agreement_with(town, "olga")
    on.noticed, other = (town.application("on_notice") for _ in range(2))
    on.objection = registrations.object_to(town, other, "anna")
    registrations.profile(town, "shenzhen")  # it has every type of application
    return vars(on)


def affairs(town: Town) -> dict[str, Any]:
    """The affairs of the catalogue: olga wants and raises, paul answers, rita assigns and approves."""
    with town.reading() as session:
        on = SimpleNamespace(resource=catalogue.resource_by_code(session, "307001001/000001"))
    on.brought, on.applied = (bring(town, "paul", code=code) for code in ("waiting", "applied"))
    town.do("rita", catalogue_imports.approve, on.applied)
    on.duty_open, on.duty_settled = (report_duty(town, "rita") for _ in range(2))
    town.do("paul", duties.settle, on.duty_settled, not_needed="已写明")
    for state in ("assigned", "accepted", "refused", "appealed"):
        demand = submit_demand(town, "olga")
        setattr(on, f"demand_{state}", demand)
        town.do("rita", demands.assign, demand, town.party("bureau"))
    on.alarm_raised, on.alarm_explained = town.alarm(), town.alarm("olga")
    town.do("paul", demands.accept, on.demand_accepted, resource=on.resource, mode="file",
            by_on=days_from(town, 9))  # fmt: skip
    for demand in (on.demand_refused, on.demand_appealed):
        town.do("paul", demands.refuse, demand, ground="法律禁止")
    town.do("olga", demands.appeal, on.demand_appealed, "依据不成立")
    on.exclusion, on.exclusion_in_force = (propose_exclusion(town, "paul", on) for _ in range(2))
    town.do("rita", exclusions.approve, on.exclusion_in_force)
    for state in ("raised", "answered", "appealed"):
        setattr(on, f"feedback_{state}", raise_feedback(town, "olga", on))
    for found in (on.feedback_answered, on.feedback_appealed):
        town.do("paul", feedback.answer, found, verdict="explained", text="按规定")
    town.do("olga", feedback.appeal, on.feedback_appealed, "仍缺行")
    return vars(on)


def populate(town: Town) -> None:
    """One person of each role in every organisation that owns something, and in one that does not."""
    with town.deed() as session:
        for party in (*sorted(set(OWNER.values())), STRANGER):
            house = session.get_one(parties.Party, town.parties[party])
            for role in ROLES:
                login = person_of(role, party)
                parties.add_member(
                    session, "system", town.now, party=house, login=login, display_name=login,
                    roles=[role],
                    signing_address=keys.address_of(CHECKER_KEYS["carl"]),
                )  # fmt: skip
                town.actors[login] = parties.actor_by_login(session, login)
        bank = session.get_one(parties.Party, town.parties[STRANGER])
        parties.add_member(
            session, "system", town.now, party=bank, login="newt", display_name="新人",
            roles=["administrator"],
        )  # fmt: skip
        town.actors["newt"] = parties.actor_by_login(session, "newt")


def agreement_facts(town: Town) -> dict[str, Any]:
    return {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": town.now.date(),
        "implementer": town.party("bureau"), "mode": "whole", "resource_ids": town.resources(),
        "title": "协议", "until_on": years_after(town.now.date(), 4),
    }  # fmt: skip


# ---------------------------------------------------------------- the role


def test_every_verb_of_the_table_is_tried_or_is_said_to_come_later() -> None:
    assert set(MAY) == set(VERBS) | VERB_COMES_LATER | WITHOUT_A_ROOM
    assert not set(VERBS) & (VERB_COMES_LATER | WITHOUT_A_ROOM)


def test_every_role_may_something() -> None:
    named = {role for roles in MAY.values() for role in roles}
    assert named - {PUBLIC, MEMBER} == set(ROLES)


@pytest.mark.parametrize("relation", ["own", "other"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_room_lets_in_whom_the_table_names(
    village: Town, ready: Any, verb: str, relation: str
) -> None:
    """Every role, once of the owner's organisation and once of another; what is done is undone."""
    town, before = Rehearsal(village), village.snapshot()
    owner = OWNER.get(verb)
    houses = [(owner or "operator") if relation == "own" else STRANGER]
    if verb in OF_EITHER_SIDE and relation == "own":
        houses = [*ROLE_OF_SIDE]
    fits = {"any", relation if owner else "own"}  # what he makes is his own, wherever he is
    for house in houses:
        expected = {
            role: bool(relations_of(verb, role) & fits)
            and verb not in ONLY_THE_MAKER
            and (verb not in OF_EITHER_SIDE or ROLE_OF_SIDE.get(house) == role)
            for role in ROLES
        }
        found = {role: may_do(town, verb, person_of(role, house), ready) for role in ROLES}
        assert found == expected
    assert village.snapshot() == before


@pytest.mark.parametrize("verb", VERBS)
def test_each_of_the_cast_is_let_in_as_the_table_says(village: Town, ready: Any, verb: str) -> None:
    """People have one role or two, and some made what the verb is about."""
    town, before = Rehearsal(village), village.snapshot()
    for login in CAST:
        actor = village.actors[login]
        owners = {party for table in (OWNER, ALSO_OWNER) if (party := table.get(verb))}
        expected = parties.allowed(actor, verb, {village.parties[one] for one in owners} or None)
        if verb in DECISIONS:
            expected = expected and login != MAKER[verb]
        elif verb in ONLY_THE_MAKER:
            expected = expected and login == MAKER[verb]
        assert may_do(town, verb, login, ready) == expected, login
    assert village.snapshot() == before


# ---------------------------------------------------------------- the relation

OWN, OTHER = "house", "street"


@pytest.mark.parametrize("verb", sorted(MAY))
def test_a_role_counts_by_its_relation_to_the_owners(verb: str) -> None:
    for role in ROLES:
        relations = relations_of(verb, role)
        actor = Actor("m", OWN, frozenset({role}))
        own, other = bool(relations & {"own", "any"}), bool(relations & {"other", "any"})
        assert parties.allowed(actor, verb) == bool(relations)
        assert parties.allowed(actor, verb, OWN) == own
        assert parties.allowed(actor, verb, OTHER) == other
        assert parties.allowed(actor, verb, (OTHER, OWN)) == own
        assert parties.allowed(actor, verb, iter([OTHER, "lane"])) == other
        assert parties.allowed(actor, verb, []) == other


@pytest.mark.parametrize("verb", sorted(MAY))
def test_who_is_not_signed_in_may_what_is_public_and_no_more(verb: str) -> None:
    roleless = Actor("m", OWN, frozenset())
    for owners in (None, OWN, ""):  # "" is where nobody belongs
        if PUBLIC in MAY[verb]:
            parties.may(NOBODY, verb, owners)
            parties.may(roleless, verb, owners)
            continue
        with pytest.raises(NotAuthenticated, match=r"Sign in first\."):
            parties.may(NOBODY, verb, owners)
        with pytest.raises(NotAllowed, match=r"This needs the role .+; you have -\.") as refusal:
            parties.may(roleless, verb, owners)
        assert refusal.value.facts["verb"] == verb


@pytest.mark.parametrize(
    ("verb", "role", "owner", "sentence"),
    [
        ("scheme.agree", "provider", OTHER, "SCHEME belongs to another organisation, not to yours."),
        ("application.accept", "registrar", OWN,
         "SCHEME is your own organisation's; another one must decide on it."),
        ("application.accept", "operator", OWN, "This needs the role registrar; you have operator."),
    ],
)  # fmt: skip
def test_a_refusal_says_why(verb: str, role: str, owner: str, sentence: str) -> None:
    actor = Actor("m", OWN, frozenset({role}))
    with pytest.raises(NotAllowed) as refusal:
        parties.may(actor, verb, owner, "SCHEME")
    assert refusal.value.sentence == sentence
    with pytest.raises(NotAllowed) as refusal:
        parties.may(actor, verb, owner)  # not told what it is, it says its noun
    assert refusal.value.sentence == sentence.replace("SCHEME", verb.partition(".")[0])


def test_roles_without_a_person_are_nobody_s() -> None:
    with pytest.raises(NotAuthenticated):
        parties.may(Actor("", OWN, frozenset(ROLES)), "application.accept", OTHER)


def test_nobody_is_given_the_roles_that_everybody_has() -> None:
    assert not {PUBLIC, MEMBER} & set(ROLES)


def test_each_noun_knows_its_owners(village: Town, ready: Any) -> None:
    house = village.parties
    with village.reading() as session:
        seen = [
            agreements.owners(ready.agreement),
            statements.owners(session, ready.proposed),
            trading.licence_owners(session, ready.licence),
            appraisals.owners(session, ready.appraisal),
            (statements.makers_party(session, ready.proposed),),
        ]
    assert seen == [
        (house["bureau"], house["operator"]),
        (house["bureau"], house["operator"]),
        (house["operator"], house["bank"]),
        (house["operator"], house["firm"]),
        (house["treasury"],),
    ]


def test_evidence_of_another_organisation_cannot_be_used(town: Town) -> None:
    facts = {**town.application_facts(), "deposits": [town.deposit("mallory")]}
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"another organisation"):
        town.do("olga", registration.submit, **facts)
    assert town.snapshot() == before


def test_the_agreement_of_another_organisation_cannot_be_used(town: Town) -> None:
    theirs = town.deposit("mallory")
    facts = {**town.application_facts(), "deposits": [theirs]}
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"Agreement .* belongs to another organisation"):
        town.do("mallory", registration.submit, **facts)
    assert town.snapshot() == before


def test_another_organisation_cannot_resubmit_what_was_returned(town: Town) -> None:
    made = town.application()
    town.do("rita", registration.send_back, made, ["缺"])
    theirs = town.do(
        "mallory", agreements.propose, **{**agreement_facts(town), "title": "银行的协议"}
    )
    town.do("paul", agreements.sign, theirs)
    facts = town.application_facts(town.get(agreements.Agreement, made))
    theirs_too = town.deposit("mallory")
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"Application .* another organisation"):
        town.do(
            "mallory", registration.submit,
            **{**facts, "agreement": theirs, "deposits": [theirs_too], "resubmits": made},
        )  # fmt: skip
    assert town.snapshot() == before


def test_a_licence_cannot_be_revoked_under_another_voucher_of_one_s_own(town: Town) -> None:
    """The organisation is judged by the voucher: it must be the licence's."""
    licence, other = town.licence(town.voucher()), town.voucher()
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"not sold under"):
        town.do("olga", trading.revoke, licence, other, "违约", ORIGIN)
    assert town.snapshot() == before


def test_a_scheme_cannot_be_agreed_in_the_name_of_another_agreement(town: Town) -> None:
    first, second = town.agreement(), town.agreement()
    made = town.do(
        "olga", schemes.propose, first, town.scheme_document(), town.now.date()
    )  # fmt: skip
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"another agreement"):
        town.do("paul", schemes.agree, made, second)
    assert town.snapshot() == before


# ---------------------------------------------------------------- two persons


@pytest.mark.parametrize("verb", DECISIONS)
def test_nobody_decides_on_what_he_made_himself(village: Town, ready: Any, verb: str) -> None:
    """Not even with every role and in an organisation that fits: who made it is excluded as a person.

    Vouchers are not in the list: the registrar who issued one may also change it.
    """
    town, before = Rehearsal(village), village.snapshot()
    owner = village.parties[OWNER.get(verb, "operator")]
    own = "own" in MAY[verb].values()
    maker = Actor(
        village.actors[MAKER[verb]].member_id,
        owner if own else village.parties["registry"],
        frozenset(ROLES),
    )
    assert parties.allowed(maker, verb, owner)
    town.actors[MAKER[verb]] = maker
    with pytest.raises(NotAllowed, match=r"yourself|your own roles"):
        VERBS[verb](town, MAKER[verb], ready)
    another = Actor(village.actors["rob"].member_id, maker.party_id, maker.roles)
    if verb != "statement.approve":  # rob has no key to sign with
        town.actors["rob"] = another
        assert may_do(town, verb, "rob", ready)
    assert village.snapshot() == before


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "other" in MAY[verb].values()])
def test_a_decision_is_not_the_own_organisation_s(village: Town, ready: Any, verb: str) -> None:
    for owner in {OWNER.get(verb, "operator"), ALSO_OWNER.get(verb, "operator")}:
        for role in MAY[verb]:
            with pytest.raises(NotAllowed, match=r"your own organisation's"):
                VERBS[verb](Rehearsal(village), person_of(role, owner), ready)


def test_a_registrar_who_became_the_applicant_s_hand_does_not_decide(town: Town) -> None:
    """Not even when he changed houses: who applied is excluded as a person."""
    made = town.application()
    olga = town.actors["olga"]
    town.actors["olga"] = Actor(olga.member_id, town.parties["registry"], frozenset({"registrar"}))
    with pytest.raises(NotAllowed, match=r"yourself"):
        town.do("olga", registration.accept, made)


@pytest.mark.parametrize("act", ["approve", "reject"])
def test_one_person_is_not_maker_and_checker_of_a_statement(town: Town, act: str) -> None:
    agreement, licence = town.sold()
    day = town.now.date()
    town.payment(licence, 5_000)
    town.later(days=1)
    made = town.do(
        "max", revenue.draft, agreement, from_on=day, until_on=day, facts={"platform_cost_fen": 0}
    )
    town.do("max", revenue.propose, made, ORIGIN)
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"yourself"):  # noqa: PT012
        if act == "approve":
            town.approve(made, "max")
        town.do("max", revenue.reject, made, "x", ORIGIN)
    assert town.snapshot() == before


def test_only_the_maker_proposes_his_statement(town: Town) -> None:
    made = town.statement()
    before = town.snapshot()
    with pytest.raises(NotAllowed, match=r"Only the maker"):
        town.do("max", revenue.propose, made, ORIGIN)
    assert town.snapshot() == before
