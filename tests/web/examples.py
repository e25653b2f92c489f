"""One good request for every deed of the API (`EXAMPLES`), from which tests are generated."""

import csv
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import yaml
from sqlalchemy import select
from stdnum.cn import uscc as uscc_rule

from ledger import (
    agreement_ends,
    agreements,
    authorisations,
    duties,
    inquiries,
    limits,
    log,
    motions,
    parties,
    payment_files,
    payouts,
    registration,
    schemes,
    statements,
    vouchers,
    witnesses,
)
from ledger.calendar import local_date, years_after
from ledger.chain import outbox
from ledger.chain.keys import address_of
from ledger.messages import Message
from ledger.proof.checkpoint import parse_note
from ledger.statements import Statement
from tests.conftest import DEMO, LOG_KEY, PARTIES, Town, compliance
from tests.ledger import bookings, deals, neighbours, organisations, paying, registrations
from tests.ledger.neighbours import Neighbour
from tests.web.conftest import PASSWORD, Site
from tests.web.test_matrix import (
    agreement_at,
    bank_s_resource,
    brought,
    demand_at,
    evaluation_by,
    exclusion_at,
    feedback_at,
    open_resource,
    proposed_change,
    settled_duty,
)
from tests.witness import LittleWitness
from webapp import accounts

serial = itertools.count(1)


@dataclass
class Request:
    """A good request: who, what his path names, the body; for an upload the bytes of the file."""

    login: str
    keys: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    file: bytes = b""
    other: dict[str, Any] = field(default_factory=dict)
    """what makes it another request, where the body has something"""


def fresh_uscc() -> str:
    base = f"91000000DEM{1000 + next(serial):06d}"  # not one of the town's
    return str(base + uscc_rule.calc_check_digit(base))


def fresh_member(site: Site, *roles: str, party: str = "bank") -> str:
    """The login of a new member who has a password."""
    login, town = f"m{next(serial)}", site.town
    with town.deed() as session:
        parties.add_member(
            session, "system", town.now, login=login, display_name=login, roles=roles or ("operator",),
            party=session.get_one(parties.Party, town.parties[party]),
        )  # fmt: skip
        town.actors[login] = parties.actor_by_login(session, login)
    site.visit(login)
    return login


def fresh_address() -> str:
    return address_of(next(serial).to_bytes(32, "big"))


def day(town: Town, **later: float) -> str:
    return local_date(town.now + timedelta(**later)).isoformat()


def a_party(site: Site) -> Request:
    n = next(serial)
    body = {"name": f"第{n}公司", "uscc": fresh_uscc(), "kind": "enterprise"}
    return Request("admin", {}, body, other={"name": f"第{n}有限公司"})


def a_member(site: Site) -> Request:
    body = {"login": f"n{next(serial)}", "name": "张三", "roles": ["operator"]}
    return Request("admin", {"uscc": PARTIES["bank"][2]}, body, other={"name": "李四"})


def a_resource(site: Site) -> Request:
    body = {
        "code": f"307/{next(serial)}",
        "title": "资源",
        "provider": "市数据局",
        "elements": {"a": "b"},
    }
    return Request("rita", {}, body, other={"title": "另一资源"})


def a_catalogue(site: Site) -> Request:
    out = io.StringIO()
    csv.writer(out).writerows([
        ["信息资源代码", "信息资源名称", "信息资源提供方"], [f"309/{next(serial)}", "资源", "市数据局"],
    ])  # fmt: skip
    return Request("rita", {}, {}, out.getvalue().encode(), {"strict": "on"})


def a_file(site: Site) -> Request:
    return Request("olga", {}, {}, f"a,b\n1,{next(serial)}\n".encode())


def some_events(site: Site) -> Request:
    town = site.town
    order = town.licence(town.voucher()).order_reference
    row = f"{town.now:%Y-%m-%dT%H:%M:%SZ},E-{next(serial)},use,{order},1,次"
    return Request("olga", {}, {}, f"at,event,kind,licence,quantity,unit\n{row}\n".encode())


def a_setting(_site: Site) -> Request:
    value = str(next(serial) % 500)
    return Request(
        "admin", {"setting_name": "confirmations"}, {"value": value}, other={"value": "7"}
    )


def an_agreement(site: Site) -> Request:
    town = site.town
    body = {
        "title": "授权运营协议", "mode": "by_scene",
        "scenes": [{"name": "风险评估", "use": "贷前"}], "implementer": PARTIES["bureau"][2],
        "resources": [open_resource(town).code], "from_on": day(town),
        "until_on": day(town, days=700),
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"),
    }  # fmt: skip
    return Request("olga", {}, body, other={"title": "另一协议"})


def an_application(site: Site) -> Request:
    town = site.town
    data = f"day,cases\n2026-01-01,{next(serial)}\n2026-01-02,7\n".encode()
    made = site.visit("olga").api("/deposits", data={"file": (io.BytesIO(data), "d.csv")})
    body = {
        "object": "product", "title": "风险统计产品", "summary": "统计产品",
        "agreement": town.agreement().number, "resources": ["307001001/000001"], "rights": ["use"],
        "materials": dict.fromkeys(registration.MATERIALS, "如附件"),
        "data": [{"digest": made.get_json()["answer"]["digest"]}],
    }  # fmt: skip
    return Request("olga", {}, body, other={"title": "另一产品"})


def on_application(state: str, login: str = "rita", **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.application(state)
        if state == "on_notice":
            site.town.later(days=21)
        other = {"reason": "另一理由"} if "reason" in body else {}
        return Request(login, {"application_number": made.number}, body, other=other)

    return make


def about(type_: str, ground: str = "", **body: Any) -> Callable[[Site], Request]:
    """An application about a registration of olga's."""

    def make(site: Site) -> Request:
        registrations.profile(site.town, "shenzhen")  # it has every type
        code = site.town.registration().code
        whole = {"statement": "如申请", "proof": "见附件", "attachments": [], **body}
        if ground:
            whole["ground"] = ground
        login = "mallory" if type_ == "objection" else "olga"
        return Request(login, {"registration_code": code}, whole, other={"statement": "另一申请"})

    return make


def a_renewal(site: Site) -> Request:
    town = site.town
    soon = town.agreement(until_on=local_date(town.now) + timedelta(days=60))
    registered = registrations.registered_under(town, soon)
    body = {"statement": "如申请", "proof": "见附件", "attachments": [], "years": 1,
            "agreement": town.agreement().number}  # fmt: skip
    return Request(
        "olga", {"registration_code": registered.code}, body, other={"statement": "另一申请"})  # fmt: skip


def a_transfer(site: Site) -> Request:
    theirs = registrations.agreement_with(site.town, "mallory").number
    body = {"party": PARTIES["bank"][2], "address": fresh_address(), "agreement": theirs}
    return about("transfer", **body)(site)


def a_registered_licence(site: Site) -> Request:
    body = {"party": PARTIES["bank"][2], "right": "use", "terms": "一年",
            "from_on": day(site.town, days=30), "until_on": day(site.town, days=60)}  # fmt: skip
    return about("licence", **body)(site)


def on_stage(
    login: str, stage: Callable[[Town], Any], key: str, **body: Any
) -> Callable[[Site], Request]:
    """A deed on what a stage has made ready; its key is the number or the code."""

    def make(site: Site) -> Request:
        made = stage(site.town)
        name = made.code if key == "registration_code" else made.number
        other = {one: "另一理由" for one in ("reason", "finding") if one in body}
        return Request(login, {key: name}, body, other=other)

    return make


def a_cancellation(town: Town) -> Any:
    return registrations.passed(town, registrations.apply(town, "cancellation"))


def an_important_one(town: Town) -> Any:
    return registrations.passed(town, registrations.important(town))


def an_objection(town: Town) -> Any:
    return registrations.object_to(town, town.application("on_notice"))


def an_inquiry(town: Town) -> Any:
    registered = town.registration()
    registrations.inquire(town, registered)
    return registered


def a_lift(site: Site) -> Request:
    made = registrations.disputed(site.town)
    body = {"application": made.disputes[0], "finding": "已和解"}
    return Request("rob", {"registration_code": made.code}, body, other={"finding": "另一理由"})


def a_real_name(site: Site) -> Request:
    number = site.town.application("on_notice").number
    body = {"real_name": "Mallory", "claim": "权属不清", "evidence": "见合同"}
    return Request("mallory", {"application_number": number}, body, other={"claim": "另一理由"})


def a_voucher(site: Site) -> Request:
    keys = {"registration_code": site.town.registration().code}
    other = {"holder_address": fresh_address()}
    return Request("rita", keys, {"holder_address": fresh_address()}, other=other)


def on_voucher(login: str, *before: str) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.voucher()
        for verb in before:
            site.town.change(verb, made)
        return Request(
            login, {"voucher_number": made.number}, {"reason": "依法"}, other={"reason": "另一理由"}
        )

    return make


def on_freeze(*before: str) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = on_voucher("gwen", *before)(site)
        return replace(made, body={"basis": "市数据局决定〔2026〕1号", **made.body})

    return make


def on_prolonged(site: Site) -> Request:
    """A voucher whose registration was prolonged."""
    made = site.town.voucher()
    with site.town.deed() as session:
        row = session.get_one(registration.Registration, made.registration_id)
        row.valid_until += timedelta(days=300)
        log.append(session, row, "registration.renewed", "system")
    return Request("rita", {"voucher_number": made.number}, {"reason": "续展"},
                   other={"reason": "另一理由"})  # fmt: skip


def on_moved(site: Site) -> Request:
    """A voucher whose registration went to another organisation."""
    town, made = site.town, site.town.voucher()
    with town.deed() as session:
        row = session.get_one(registration.Registration, made.registration_id)
        row.party_id = town.parties["bank"]
        log.append(session, row, "registration.transferred", "system")
    body = {"holder_address": fresh_address(), "reason": "转移登记"}
    return Request("rita", {"voucher_number": made.number}, body, other={"reason": "另一理由"})


def on_pledged(site: Site) -> Request:
    made = site.town.voucher()
    with site.town.deed() as session:
        row = session.get_one(vouchers.Voucher, made.id)
        row.pledged = True
        log.append(session, row, "voucher.pledge", "system")
    return Request("rita", {"voucher_number": made.number}, {"reason": "清偿"},
                   other={"reason": "另一理由"})  # fmt: skip


def with_reason(**body: Any) -> Callable[[Site], Request]:
    """On a voucher, with more than a reason."""

    def make(site: Site) -> Request:
        return Request("rita", {"voucher_number": site.town.voucher().number},
                       {"reason": "依法", **body}, other={"reason": "另一理由"})  # fmt: skip

    return make


def a_pledge(site: Site) -> Request:
    """Of a voucher over a company's own data: of public data none is pledged."""
    town = site.town
    agreed = town.agreement(consents=("pia",), resource_ids=[bank_s_resource(town)])
    made = town.voucher(registrations.registered_under(town, agreed))
    body = {"pledgee": PARTIES["firm"][2], "reason": "依法"}
    return Request("rita", {"voucher_number": made.number}, body, other={"reason": "另一理由"})


def on_all(*before: str) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.voucher()
        for verb in before:
            site.town.change(verb, made)
        code = site.town.get(registration.Registration, made).code
        body = {"basis": "市数据局决定〔2026〕1号", "reason": "依法"}
        return Request("gwen", {"registration_code": code}, body, other={"reason": "另一理由"})

    return make


def on_motion(**body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.do("rita", motions.propose, site.town.voucher(), "split", "分别流通")
        other = {"reason": "另一理由"} if body else {}
        return Request("rob", {"motion_number": made.number}, body, other=other)

    return make


def on_alarm(login: str, explained: str = "", **body: str) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        keys = {"alarm_number": site.town.alarm(explained).number}
        return Request(login, keys, body, other=dict.fromkeys(body, "另一说法"))

    return make


def on_authorisation(login: str, state: str, **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.authorisation(state)
        other = {"reason": "另一理由"} if body else {}
        return Request(login, {"authorisation_number": made.number}, body, other=other)

    return make


def an_authorisation(site: Site) -> Request:
    town = site.town
    registered = town.get(registration.Registration, town.voucher())
    body = {
        "registration": registered.code, "subject": town.subject().uscc,
        "provider": PARTIES["operator"][2], "user": PARTIES["bank"][2],
        "user_address": fresh_address(), "scene": "贷前审查", "purpose": "贷款审查",
        "from_on": day(town), "until_on": day(town, days=30), "max_uses": 3,
    }  # fmt: skip
    return Request("mallory", {}, body, other={"scene": "另一场景"})


def a_use(site: Site) -> Request:
    town = site.town
    made = town.authorisation("in_force")
    with town.deed() as session:
        row = session.get_one(authorisations.Authorisation, made.id)
        voucher = session.get_one(vouchers.Voucher, row.voucher_id)
        act = outbox.act_of(session, voucher.id, 1)
        assert act is not None
        act.state = "effective"
    body = {"scene": "贷前审查", "count": 1, "reference": "R-1"}
    return Request("olga", {"voucher_number": voucher.number}, body, other={"reference": "R-2"})


def an_appraisal(site: Site) -> Request:
    body = yaml.safe_load((DEMO / "appraisal.yaml").read_text())
    keys = {"registration_code": site.town.registration().code}
    return Request("anna", keys, {**body, "base_on": day(site.town)}, other={"purpose": "另一目的"})


def on_appraisal(login: str = "abel", **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.appraisal(site.town.registration())
        other = {"reason": "另一理由"} if body else {}
        return Request(login, {"appraisal_number": made.number}, body, other=other)

    return make


def a_licence(site: Site) -> Request:
    town, n = site.town, next(serial)
    body = {
        "order": f"DD-{n}", "licensee": PARTIES["bank"][2], "licensee_address": fresh_address(),
        "right": "use", "purpose": "industry", "terms": {"scene": "风险评估"},
        "from_on": day(town), "until_on": day(town, days=300), "price_yuan": "380000.00",
    }  # fmt: skip
    return Request(
        "olga", {"voucher_number": town.voucher().number}, body, other={"order": f"DE-{n}"}
    )


def a_revocation(site: Site) -> Request:
    made = site.town.licence(site.town.voucher())
    return Request(
        "olga", {"order": made.order_reference}, {"reason": "违约"}, other={"reason": "-"}
    )


def a_payment(site: Site) -> Request:
    made = site.town.licence(site.town.voucher())
    body = {
        "amount_yuan": "1000.03",
        "received_on": day(site.town),
        "reference": f"B-{next(serial)}",
    }
    return Request("mona", {"order": made.order_reference}, body, other={"amount_yuan": "1000.04"})


def a_remittance(site: Site) -> Request:
    body = {
        "amount_yuan": "1000.00", "party": PARTIES["bank"][2], "purpose": "prepayment",
        "received_on": day(site.town), "reference": f"LK-{next(serial)}",
    }  # fmt: skip
    keys = {"agreement_number": site.town.agreement().number}
    return Request("mona", keys, body, other={"amount_yuan": "1000.01"})


def an_order(site: Site) -> Request:
    made = a_licence(site)
    body = {**made.body, "offer_until": day(site.town, days=9), "paid_by": "invoice"}
    return Request(made.login, made.keys, body, other=made.other)


def on_order(login: str = "olga", **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        other = {"reason": "另一理由"} if body else {}
        return Request(
            login, {"order_reference": deals.order(site.town).reference}, body, other=other
        )

    return make


def a_refund(site: Site) -> Request:
    _, licence = site.town.sold()
    made = site.town.payment(licence, 10_600, f"B-{next(serial)}")
    body = {"amount_yuan": "53.00", "ground": "退货"}
    return Request("mona", {"reference": made.reference}, body, other={"amount_yuan": "54.00"})


def a_trade_refund(site: Site) -> Request:
    keys = {"confirmation_number": deals.confirmation(site.town).number}
    body = {"amount_yuan": "53.00", "ground": "撤销", "row": "2"}
    return Request("mona", keys, body, other={"row": "3"})


def on_remittance(**body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        keys = {"remittance_reference": deals.remittance(site.town).reference}
        other = {"reason": "另一理由"} if "reason" in body else {"amount_yuan": "54.00"}
        return Request("mona", keys, body, other=other)

    return make


def an_undoing(site: Site) -> Request:
    made = a_refund(site)
    return Request(made.login, made.keys, {"reason": "误记"}, other={"reason": "另一理由"})


def on_refund(**body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        other = {"reason": "另一理由"} if body else {}
        return Request("carl", {"refund_number": deals.refund(site.town).number}, body, other=other)

    return make


def some_trades(site: Site) -> Request:
    town, n = site.town, next(serial)
    agreement, licence = town.sold()
    text = town.trades_file(town.get(vouchers.Voucher, licence)).replace("\nT-", f"\nA{n}-")
    signed = town.signed(agreement, text, f"A-{n}")
    other = {"signature": town.signed(agreement, text, f"B-{n}")}
    return Request("egon", {}, {"signature": signed}, text.encode(), other)


def a_scheme(site: Site) -> Request:
    agreed = site.town.agreement()
    body = {"document": site.town.scheme_document(), "effective_from": agreed.from_on}
    return Request(
        "olga", {"agreement_number": agreed.number}, body, other={"effective_from": agreed.until_on}
    )


def a_closing(site: Site) -> Request:
    agreed = site.town.agreement()
    yesterday = day(site.town, days=-1)
    return Request(
        "mona", {"agreement_number": agreed.number},
        {"bank_yuan": "0.00", "from_on": yesterday, "until_on": yesterday},
        other={"from_on": day(site.town, days=-9)},
    )  # fmt: skip


def a_reopened_period(site: Site) -> Request:
    made = bookings.period(site.town)
    return Request(
        "carl", {"period_number": made.number}, {"reason": "补记"}, other={"reason": "-"}
    )


def a_journal(site: Site) -> Request:
    body = {
        "amount_yuan": "10.00", "credit": "6603 财务费用", "debit": "1002 银行存款",
        "effective_on": day(site.town), "memo": "利息收入",
    }  # fmt: skip
    agreed = site.town.agreement()
    return Request("mona", {"agreement_number": agreed.number}, body, other={"memo": "利息"})


def an_opening(site: Site) -> Request:
    return Request("mona", {"agreement_number": bookings.of_before(site.town).number}, {})


def a_division(site: Site) -> Request:
    agreement, one, (heir, other) = bookings.split_claim(site.town)
    body = {
        "account": "2203 应付分配款", "amount_yuan": "100.01", "document_digest": bookings.DOCUMENT,
        "effective_on": day(site.town), "memo": "债权划分协议", "party": one.uscc,
        "shares": [{"amount_yuan": "60.01", "party": heir.uscc},
                   {"amount_yuan": "40.00", "party": other.uscc}],
    }  # fmt: skip
    keys = {"agreement_number": agreement.number}
    return Request("mona", keys, body, other={"memo": "另一协议"})


def a_division_taken_back(site: Site) -> Request:
    agreement, one, (heir, _) = bookings.split_claim(site.town)
    made = bookings.divided(site.town, agreement, one, {heir.uscc: 10_001})
    return Request("mona", {"journal_number": made.number}, {"reason": "协议撤销"},
                   other={"reason": "有误"})  # fmt: skip


def on_journal(login: str, **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = bookings.journal(site.town)
        other = dict.fromkeys(body, "另一理由")
        return Request(login, {"journal_number": made.number}, body, other=other)

    return make


def a_limit(site: Site) -> Request:
    agreed = site.town.get(agreements.Agreement, bookings.approved(site.town))
    body = {
        "account": "1002 银行存款", "basis": "协助执行通知书 1 号", "floor_yuan": "4.00",
        "reason": "法院冻结",
    }  # fmt: skip
    return Request("mona", {"agreement_number": agreed.number}, body, other={"reason": "争议"})


def a_lifting(site: Site) -> Request:
    made = bookings.limit(site.town)
    site.town.do("carl", limits.approve, made)
    body = {"basis": "解除通知书", "reason": "已解除"}
    return Request("mona", {"limit_number": made.number}, body, other={"reason": "和解"})


def on_limit(login: str, **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = bookings.limit(site.town)
        other = dict.fromkeys(body, "另一理由")
        return Request(login, {"limit_number": made.number}, body, other=other)

    return make


def a_price(site: Site) -> Request:
    agreed = site.town.agreement()
    body = {
        "document": site.town.price_document(), "from_on": agreed.from_on,
        "until_on": years_after(date.fromisoformat(agreed.from_on), 3).isoformat(),
    }  # fmt: skip
    other = {"until_on": agreed.from_on}
    return Request("olga", {"agreement_number": agreed.number}, body, other=other)


def on_price(login: str = "paul", **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.price(site.town.agreement())
        other = dict.fromkeys(body, "另一理由")
        return Request(login, {"price_number": made.number}, body, other=other)

    return make


def an_account(site: Site) -> Request:
    party = organisations.party(site.town, "enterprise")
    body = paying.account_facts(account_number=f"80{next(serial):08d}")
    return Request("mona", {"uscc": party.uscc}, body, other={"bank": "另一银行"})


def on_account(login: str = "carl", **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = paying.another_account(site.town, organisations.party(site.town, "enterprise"))
        other = dict.fromkeys(body, "另一理由")
        return Request(login, {"bank_account": made.number}, body, other=other)

    return make


def a_payout(site: Site) -> Request:
    agreement, statement = paying.owing(site.town)
    paying.account(site.town)
    keys = {"agreement_number": agreement.number}
    return Request("mona", keys, {}, other={"statement": statement.number})


def on_payout(
    login: str, made: Callable[[Town], Any] = paying.prepared, **body: Any
) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        other = dict.fromkeys(body, "另一理由")
        return Request(login, {"payout_number": made(site.town).number}, body, other=other)

    return make


def a_result(site: Site) -> Request:
    made = paying.approved(site.town)
    file = paying.result_file(site.town, made, True, False)
    return Request("mona", {"payout_number": made.number}, {}, file.encode())


def a_payment_file(site: Site) -> Request:
    made = paying.approved(site.town)
    with site.town.reading() as session:
        return Request("mona", {}, {}, payment_files.as_csv(payouts.payments(session, made)))


def a_bank_statement(site: Site) -> Request:
    over, n = day(site.town, days=-1), next(serial)
    file = f"交易日期,流水号,收入,支出,对方户名\n{over},S{n},70.00,,丙公司\n"
    keys = {"agreement_number": site.town.agreement().number}
    body = {"from_on": over, "until_on": over}
    return Request("mona", keys, body, file.encode(), {"from_on": day(site.town, days=-2)})


def a_report(site: Site) -> Request:
    over = day(site.town, days=-1)
    file = f"交易编号,金额,交易日期\nT{next(serial)},70.00,{over}\n"
    keys = {"agreement_number": site.town.agreement().number}
    body = {"from_on": over, "until_on": over, "exchange": PARTIES["exchange"][2]}
    return Request("mona", keys, body, file.encode(), {"from_on": day(site.town, days=-2)})


def on_difference(
    login: str, made: Callable[[Town], Any] = paying.answered, **body: Any
) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        other = dict.fromkeys(body, "另一理由")
        return Request(login, {"difference_number": made(site.town).number}, body, other=other)

    return make


def a_consent(site: Site) -> Request:
    town, agreed = site.town, site.town.agreement()
    made = town.do("olga", schemes.propose, agreed, town.scheme_document(), town.now.date())
    return Request("paul", {"scheme_id": made.id})


def a_statement(site: Site) -> Request:
    town = site.town
    agreed, licence = town.sold()
    body = {
        "from_on": day(town), "until_on": day(town), "facts": {"platform_cost_fen": "10.00"},
    }  # fmt: skip
    town.payment(licence, 100_003, f"B-{next(serial)}")
    town.later(days=1)
    return Request(
        "mona",
        {"agreement_number": agreed.number},
        body,
        other={"facts": {"platform_cost_fen": "1"}},
    )


def stated(site: Site, state: str) -> statements.Statement:
    town = site.town
    agreed, licence = town.sold()
    town.later(days=1)  # its payment has a reference of its own, made of the day
    return town.statement_over(agreed, licence, state, facts={"platform_cost_fen": 1000})


def on_statement(state: str, login: str, **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = stated(site, state)
        told = [name for name in ("reason", "question") if name in body]
        other = dict.fromkeys(told, "另一理由")
        return Request(login, {"statement_number": made.number}, body, other=other)

    return make


def on_inquiry(login: str, state: str = "raised", **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.inquiry(stated(site, "proposed"))
        if state == "answered":
            site.town.do("mona", inquiries.answer, made, "见附件")
        other = {name: f"{text}，补充" for name, text in body.items()}
        return Request(login, {"inquiry_number": made.number}, body, other=other)

    return make


def an_approval(site: Site) -> Request:
    with site.town.reading() as session:
        signed = session.scalars(select(Statement).where(Statement.state == "approved")).all()
    for one in signed:
        site.town.settle(one)  # else it uses up the nonce that this chain always answers
    made = stated(site, "proposed")
    keys = {"statement_number": made.number}
    return Request(
        "carl", keys, {"approval": site.town.approval(made)}, other={"approval": {"nonce": 1}}
    )


def a_reopening(site: Site) -> Request:
    made = stated(site, "approved")
    site.town.settle(made, "alarm")
    return Request("mona", {"statement_number": made.number})


def a_package(site: Site) -> Request:
    keys = {"voucher_number": site.town.voucher().number}
    return Request("olga", keys, {"pricing": {"note": "协商"}}, other={"pricing": {"note": "-"}})


def new_roles(site: Site) -> Request:
    return Request(
        "admin", {"login": fresh_member(site)}, {"roles": ["provider"]}, other={"roles": []}
    )


def a_new_password(site: Site) -> Request:
    return Request(fresh_member(site), {}, {"old": PASSWORD, "new": "nine bends of the river"})


def a_token(site: Site) -> Request:
    body = {"name": "报表", "scopes": ["read"], "days": 30}
    return Request(fresh_member(site), {}, body, other={"days": 31})


def a_revoked_token(site: Site) -> Request:
    login, town = fresh_member(site), site.town
    with town.deed() as session:
        made, _ = accounts.create_token(
            session, town.actors[login].member_id, name="-", scopes=["read"], days=1, now=town.now
        )
    return Request(login, {"token_id": made.id})


def told(site: Site) -> str:
    """The id of a message to the city's bureau."""
    town = site.town
    town.do("rita", duties.report, party=town.party("bureau"), cause="law", description="-",
            cause_on=local_date(town.now))  # fmt: skip
    with town.reading() as session:
        return session.scalars(select(Message.id).order_by(Message.id.desc())).first() or ""


def a_message(site: Site) -> Request:
    return Request("paul", {"message_id": told(site)})


def some_deliveries(site: Site) -> Request:
    return Request("admin", {}, {"ids": [told(site)]}, other={"ids": [told(site)]})


def a_witness(_site: Site) -> Request:
    vkey = LittleWitness(f"w{next(serial)}.example").vkey
    return Request(
        "admin", {}, {"vkey": vkey, "operator": "市审计局"}, other={"operator": "审计署"}
    )


def known_witness(site: Site) -> tuple[LittleWitness, str]:
    made = LittleWitness(f"w{next(serial)}.example")
    row = site.town.do("admin", witnesses.admit, vkey=made.vkey, operator="市审计局")
    return made, row.id


def a_removal(site: Site) -> Request:
    return Request("admin", {"witness_id": known_witness(site)[1]})


def a_cosignature(site: Site) -> Request:
    """What a witness answers who has no network to us."""
    witness, _ = known_witness(site)
    with site.town.deed() as session:
        sealed = log.seal(session, site.town.now, LOG_KEY)
        assert sealed is not None
        text, _ = parse_note(sealed.note)
    return Request("admin", {}, {"note": witness.cosign(text)}, other={"note": "— a.example AAAA"})


# -- the catalogue, its lists and organisations --------------------------------------------------------


def on(
    login: str, make: Callable[[Town, str], dict[str, str]], maker: str, **body: Any
) -> Callable[[Site], Request]:
    """On what somebody made; another reason or ground is another request."""
    said = next((name for name in ("reason", "ground", "how", "text") if name in body), None)
    other = {said: "另一说法"} if said else {}
    return lambda site: Request(login, make(site.town, maker), body, other=other)


def applied_change(town: Town, login: str) -> dict[str, str]:
    town.resources()
    return {"import_id": brought(town, town.actors[login]).id}


def new_resource(town: Town, _login: str) -> dict[str, str]:
    return {"resource_code": open_resource(town, f"307001001/{next(serial) + 1000:06d}").code}


def a_change(site: Site) -> Request:
    body = {
        "title": "空气质量监测", "provider": "市数据局", "opening": "unconditional",
        "sharing": "unconditional", "personal_information": "none", "items": ["监测值"],
        "update_cycle": "weekly", "updated_on": "2026-01-05", "reason": "更正",
        "summary": "全市各监测点每小时的空气质量监测数据，含主要污染物浓度、首要污染物"
                   "和空气质量指数，供公众查询使用。",
        "format": ["CSV"], "grading": "general", "sharing_mode": "接口",
    }  # fmt: skip
    return Request("rita", new_resource(site.town, ""), body, other={"reason": "另一理由"})


def a_demand(site: Site) -> Request:
    body = {
        "title": "空气质量", "items": ["监测值"], "purpose": "研究", "use": "opening", "basis": "合同",
    }  # fmt: skip
    return Request("olga", {}, body, other={"purpose": "教学"})


def an_acceptance(site: Site) -> Request:
    body = {"resource": "307001001/000001", "mode": "file", "by_on": day(site.town, days=9)}
    return Request("paul", demand_at("assigned")(site.town, "olga"), body, other={"mode": "medium"})


def a_cause(site: Site) -> Request:
    body = {
        "department": PARTIES["bureau"][2], "cause": "law", "cause_on": day(site.town),
        "description": "新规定",
    }  # fmt: skip
    return Request("rita", {}, body, other={"description": "另一规定"})


def reported_duty(town: Town, login: str) -> dict[str, str]:
    made = town.do(login, duties.report, party=town.party("bureau"), cause="law",
                   description="新规定", cause_on=local_date(town.now))  # fmt: skip
    return {"duty_number": made.number}


def an_exclusion(site: Site) -> Request:
    body = {
        "title": "人员名单", "forbids": ["opening"], "basis": "法", "from_on": day(site.town),
        "review_on": day(site.town, days=9),
    }  # fmt: skip
    return Request("paul", {}, body, other={"title": "另一名单"})


def a_finding(site: Site) -> Request:
    body = {"kind": "quality", "about": "data_quality", "description": "缺行"}
    return Request("olga", new_resource(site.town, ""), body, other={"description": "缺列"})


def a_steward(site: Site) -> Request:
    login = fresh_member(site, "provider", party="bureau")
    body = {"login": login, "post": "steward", "from_on": day(site.town)}
    keys = {"uscc": PARTIES["bureau"][2]}
    return Request("admin", keys, body, other={"from_on": day(site.town, days=-1)})


def a_relief(site: Site) -> Request:
    keys = {"steward_id": organisations.steward(site.town).id}
    other = {"until_on": day(site.town, days=-1)}
    return Request("admin", keys, {"until_on": day(site.town)}, other=other)


def a_succession(verb: str) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        town = site.town
        one, main, other = (organisations.party(town) for _ in range(3))
        given: dict[str, dict[str, Any]] = {
            "rename": {"name": f"{one.name}（新）"}, "merge": {"into": main.uscc},
            "split": {"main": main.uscc, "others": [other.uscc], "who_gets": []},
        }  # fmt: skip
        body = {**given[verb], "ground": organisations.GROUND, "effective_on": day(town)}
        return Request("admin", {"uscc": one.uscc}, body, other={"ground": "另一批复"})

    return make


def a_registry(site: Site) -> Request:
    near = Neighbour(site.town)
    return Request("rita", {}, {"registry": "邻省登记机构"}, near.trust_file)


def an_admission(site: Site) -> Request:
    keys = neighbours.proposed_by(site.town, "rita")
    return Request("rob", keys, neighbours.last_told(), other={"fingerprint": "00000000"})


def its_address(site: Site) -> Request:
    keys = neighbours.admitted_key(site.town, "")
    body = {"site": "http://127.0.0.1:1", "rpc": ""}
    return Request("admin", keys, body, other={"site": "http://127.0.0.1:2"})


def a_recognition(site: Site) -> Request:
    near = Neighbour(site.town)
    neighbours.admitted(site.town, near)
    return Request("egon", {}, {"status": near.status.decode()}, near.voucher)


def its_status(site: Site) -> Request:
    near = Neighbour(site.town)
    keys = {"peer_id": neighbours.admitted(site.town, near).id}
    neighbours.recognise(site.town, near.bundle)
    return Request("rita", keys, {}, near.listed(3, hours=1))


def by_admin(**body: Any) -> Callable[[Site], Request]:
    return lambda _site: Request("admin", {}, body, other={"offline": False} if body else {})


EXAMPLES: dict[str, Callable[[Site], Request]] = {
    "party.add": a_party,
    "member.add": a_member,
    "member.change": new_roles,
    "member.reset": lambda site: Request("admin", {"login": fresh_member(site)}),
    "password.change": a_new_password,
    "message.mark": a_message,
    "message.mark_all": lambda site: Request(fresh_member(site)),
    "message.delivered": some_deliveries,
    "token.create": a_token,
    "token.revoke": a_revoked_token,
    "evidence.deposit": a_file,
    "catalogue.import": a_catalogue,
    "catalogue.check": a_catalogue,
    "catalogue.approve": on("rita", proposed_change, "paul", reason="属实"),
    "catalogue.reject": on("rita", proposed_change, "paul", reason="不实"),
    "catalogue.undo": on("rita", applied_change, "rita", reason="有误"),
    "resource.add": a_resource,
    "resource.change": a_change,
    "resource.withdraw": on("rita", new_resource, "", reason="停止采集"),
    "demand.submit": a_demand,
    "demand.assign": on("rita", demand_at("submitted"), "olga", department=PARTIES["bureau"][2]),
    "demand.accept": an_acceptance,
    "demand.refuse": on("paul", demand_at("assigned"), "olga", ground="依法"),
    "demand.fulfil": on("paul", demand_at("accepted"), "olga", how="接口"),
    "demand.close": on("olga", demand_at("fulfilled"), "olga"),
    "demand.appeal": on("olga", demand_at("refused"), "olga", reason="依据不成立"),
    "demand.uphold": on("rob", demand_at("appealed"), "olga", reason="依法"),
    "demand.dismiss": on("rob", demand_at("appealed"), "olga", reason="依法"),
    "demand.withdraw": on("olga", demand_at("submitted"), "olga", reason="不再需要"),
    "duty.report": a_cause,
    "duty.settle": on("paul", reported_duty, "rita", not_needed="目录已写明"),
    "duty.confirm": on("rita", settled_duty, "paul"),
    "duty.reopen": on("rita", settled_duty, "paul", reason="未写明"),
    "exclusion.propose": an_exclusion,
    "exclusion.approve": on("rob", exclusion_at("proposed"), "paul"),
    "exclusion.reject": on("rob", exclusion_at("proposed"), "paul", reason="无依据"),
    "exclusion.end": on("rita", exclusion_at("in_force"), "paul", reason="法已修订"),
    "feedback.raise": a_finding,
    "feedback.answer": on("paul", feedback_at("raised"), "olga", verdict="explained", text="无误"),
    "feedback.close": on("olga", feedback_at("answered"), "olga"),
    "feedback.appeal": on("olga", feedback_at("answered"), "olga", reason="有误"),
    "feedback.uphold": on("rita", feedback_at("appealed"), "olga", reason="属实"),
    "feedback.dismiss": on("rita", feedback_at("appealed"), "olga", reason="不实"),
    "feedback.withdraw": on("olga", feedback_at("raised"), "olga", reason="已自行找到"),
    "steward.name": a_steward,
    "steward.relieve": a_relief,
    "party.rename": a_succession("rename"),
    "party.merge": a_succession("merge"),
    "party.split": a_succession("split"),
    "peer.propose": a_registry,
    "peer.admit": an_admission,
    "peer.reject": on("rob", neighbours.proposed_by, "rita", reason="指纹不符"),
    "peer.reach": its_address,
    "peer.suspend": on("rita", neighbours.admitted_key, "", reason="核查"),
    "peer.resume": on("rob", neighbours.suspended_by, "rita", reason="已查明"),
    "peer.end": on("rita", neighbours.admitted_key, "", reason="期满"),
    "recognition.import": a_recognition,
    "recognition.follow": its_status,
    "agreement.propose": an_agreement,
    "agreement.sign": on("paul", agreement_at("proposed"), "olga"),
    "agreement.consent": on("pia", agreement_at("shared"), "olga", basis="同意函"),
    "agreement.withdraw": on("olga", agreement_at("proposed"), "olga", reason="条件变化"),
    "agreement.decline": on("paul", agreement_at("proposed"), "olga", reason="范围过宽"),
    "agreement.propose_end": on(
        "olga", agreement_at("in_force"), "olga", kind="by_agreement", ground="业务调整"
    ),
    "agreement.end": on("paul", agreement_at("ending"), "olga"),
    "agreement.keep": on("paul", agreement_at("ending"), "olga", reason="继续履行"),
    "agreement.hand_back": on(
        "olga", agreement_at("ended"), "olga", **dict.fromkeys(agreement_ends.POINTS, "已完成")
    ),
    "agreement.confirm_hand_back": on("paul", agreement_at("handing_back"), "olga"),
    "agreement.reopen_hand_back": on("paul", agreement_at("handing_back"), "olga", reason="未移交"),
    "evaluation.make": on(
        "paul", agreement_at("in_force"), "olga", verdict="qualified", findings="披露及时"
    ),
    "evaluation.comment": on("olga", evaluation_by, "paul", comment="已整改"),
    "application.submit": an_application,
    "application.accept": on_application("submitted"),
    "application.return": on_application("submitted", missing=["安全评估"]),
    "application.refuse": on_application("submitted", reason="不符"),
    "application.reject": on_application("in_review", reason="不符"),
    "application.pass": on_application("in_review", formal="齐全", compliance=compliance()),
    "application.notice": on_application("reviewed"),
    "application.code": on_application("on_notice"),
    "application.change": about("change", "product", title="另一名称"),
    "application.correct": about("correction", "error", summary="更正后的摘要"),
    "application.cancel": about("cancellation", "given_up_or_expired"),
    "application.renew": a_renewal,
    "application.transfer": a_transfer,
    "application.licence": a_registered_licence,
    "application.dispute": about("objection", terms="权属不清"),
    "application.conclude": on_stage("rita", a_cancellation, "application_number", finding="属实"),
    "application.second": on_stage("rob", an_important_one, "application_number", finding="属实"),
    "application.doubt": on_stage("rob", an_important_one, "application_number", reason="不足"),
    "application.consent": on_stage(
        "olga",
        lambda t: registrations.apply(t, "correction", login="mallory"),
        "application_number",
    ),
    "objection.raise": a_real_name,
    "objection.uphold": on_stage("rob", an_objection, "objection_number", finding="成立"),
    "objection.dismiss": on_stage("rob", an_objection, "objection_number", finding="不成立"),
    "objection.withdraw": on_stage("mallory", an_objection, "objection_number", reason="和解"),
    "registration.inquire": on_stage(
        "rita", lambda t: t.registration(), "registration_code", reason="举报"
    ),
    "registration.clear": on_stage("rob", an_inquiry, "registration_code", finding="无误"),
    "registration.revoke": on_stage(
        "rob", an_inquiry, "registration_code", ground="tampering", finding="篡改"
    ),
    "registration.cancel": on_stage(
        "rob", an_inquiry, "registration_code", ground="lost", finding="灭失"
    ),
    "registration.lift": a_lift,
    "application.withdraw": on_application("in_review", "olga", reason="另行申请"),
    "voucher.issue": a_voucher,
    "voucher.suspend": on_voucher("rita"),
    "voucher.resume": on_voucher("rita", "suspend"),
    "voucher.revoke": on_voucher("rita"),
    "voucher.cancel": on_voucher("rita"),
    "voucher.freeze": on_freeze(),
    "voucher.unfreeze": on_freeze("freeze"),
    "registration.freeze": on_all(),
    "registration.unfreeze": on_all("freeze"),
    "alarm.explain": on_alarm("olga", text="已更正"),
    "alarm.close": on_alarm("gwen", "olga", reason="属实"),
    "alarm.reopen": on_alarm("gwen", "olga", reason="未说明原因"),
    "voucher.renew": on_prolonged,
    "voucher.transfer": on_moved,
    "voucher.supersede": with_reason(),
    "voucher.split": with_reason(),
    "voucher.pledge": a_pledge,
    "voucher.release": on_pledged,
    "voucher.replace_key": with_reason(holder_address=fresh_address()),
    "motion.confirm": on_motion(),
    "motion.reject": on_motion(reason="依据不足"),
    "authorisation.request": an_authorisation,
    "authorisation.consent": on_authorisation("ida", "requested"),
    "authorisation.refuse": on_authorisation("ida", "requested"),
    "authorisation.issue": on_authorisation("rita", "consented"),
    "authorisation.withdraw": on_authorisation("ida", "in_force"),
    "authorisation.end": on_authorisation("mallory", "in_force", reason="不再需要"),
    "use.count": a_use,
    "party.individual": by_admin(),
    "appraisal.draft": an_appraisal,
    "appraisal.approve": on_appraisal(),
    "appraisal.reject": on_appraisal(reason="参数不足"),
    "appraisal.withdraw": on_appraisal("anna", reason="参数有误"),
    "licence.grant": a_licence,
    "licence.revoke": a_revocation,
    "payment.record": a_payment,
    "remittance.record": a_remittance,
    "order.place": an_order,
    "order.fulfil": on_order("opal"),
    "order.cancel": on_order(reason="撤回"),
    "refund.propose": a_refund,
    "refund.propose_trade": a_trade_refund,
    "refund.propose_prepayment": on_remittance(amount_yuan="53.00", ground="退货"),
    "refund.undo_payment": an_undoing,
    "refund.undo_remittance": on_remittance(reason="误记"),
    "refund.approve": on_refund(),
    "refund.reject": on_refund(reason="无据"),
    "confirmation.record": some_trades,
    "confirmation.record_preview": some_trades,
    "bank_account.enter": an_account,
    "bank_account.confirm": on_account(),
    "bank_account.reject": on_account(reason="户名不符"),
    "bank_account.withdraw": on_account("mona", reason="写错"),
    "payout.prepare": a_payout,
    "payout.approve": on_payout("carl"),
    "payout.cancel": on_payout("mona", reason="重做"),
    "payout.close": on_payout("carl", paying.approved, reason="银行未付"),
    "payout.confirm": a_result,
    "payout.confirm_preview": a_result,
    "payout.check": a_payment_file,
    "reconciliation.bank": a_bank_statement,
    "reconciliation.bank_preview": a_bank_statement,
    "reconciliation.exchange": a_report,
    "reconciliation.exchange_preview": a_report,
    "difference.answer": on_difference("olga", paying.difference, answer="已登记"),
    "difference.settle": on_difference("carl", finding="无误"),
    "difference.reopen": on_difference("carl", reason="缺凭证"),
    "period.close": a_closing,
    "period.reopen": a_reopened_period,
    "journal.propose": a_journal,
    "journal.propose_division": a_division,
    "journal.propose_opening": an_opening,
    "journal.propose_undoing": a_division_taken_back,
    "journal.approve": on_journal("carl"),
    "journal.reject": on_journal("carl", reason="无凭据"),
    "journal.withdraw": on_journal("mona", reason="更正"),
    "limit.propose": a_limit,
    "limit.propose_lift": a_lifting,
    "limit.approve": on_limit("carl"),
    "limit.reject": on_limit("carl", reason="无据"),
    "limit.withdraw": on_limit("mona", reason="更正"),
    "price.propose": a_price,
    "price.confirm": on_price(approval="批复"),
    "price.reject": on_price(reason="成本未核"),
    "price.withdraw": on_price("olga", reason="更正"),
    "scheme.propose": a_scheme,
    "scheme.agree": a_consent,
    "statement.draft": a_statement,
    "statement.propose": on_statement("drafted", "mona"),
    "statement.approve": an_approval,
    "statement.reopen": a_reopening,
    "statement.reject": on_statement("proposed", "carl", reason="有误"),
    "statement.correct": on_statement(
        "drafted", "mona", facts={"platform_cost_fen": "20.00"}, reason="成本有误"
    ),
    "statement.reverse": on_statement("posted", "mona", reason="口径有误"),
    "inquiry.raise": on_statement("proposed", "olga", line=1, question="成本依据为何"),
    "inquiry.answer": on_inquiry("mona", answer="见附件"),
    "inquiry.insist": on_inquiry("olga", "answered", reason="未说明"),
    "inquiry.close": on_inquiry("olga", "answered"),
    "inquiry.withdraw": on_inquiry("olga"),
    "package.pack": a_package,
    "log.seal": by_admin(),
    "log.anchor": by_admin(),
    "audit.run": by_admin(offline=True),
    "outbox.retry": by_admin(),
    "setting.change": a_setting,
    "usage.import": some_events,
    "witness.add": a_witness,
    "witness.remove": a_removal,
    "witness.cosign": a_cosignature,
}
