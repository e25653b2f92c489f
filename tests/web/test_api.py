"""The rules of the API (docs/site.md), for every deed: keys, versions, receipts, refusals, secrets.

`EXAMPLES` has one good request for every deed; the tests are generated from it.
"""

import csv
import io
import itertools
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import structlog
import yaml
from sqlalchemy import func, select
from stdnum.cn import uscc as uscc_rule

from ledger import agreements, handoff, log, parties, registration, revenue
from ledger.calendar import local_date, years_after
from ledger.chain.keys import address_of
from ledger.proof import receipt as receipts
from ledger.proof.encoding import instant
from ledger.proof.trust import Trust, parse_trust
from ledger.store import Answer
from tests.conftest import CREDENTIAL_KEY, DEMO, LOG_KEY, ORIGIN, PARTIES, Town, compliance
from tests.web.conftest import PASSWORD, Site
from webapp import accounts
from webapp.api import JSON_BYTES_MAX
from webapp.api.problems import MEDIA_TYPE, STATUSES
from webapp.deeds import DEEDS, QUESTIONS, Deed, background
from webapp.deeds.answers import PAGE_MAX
from webapp.deeds.subjects import SUBJECTS
from webapp.jobs import Job, Runner
from webapp.language import catalogue as translations

serial = itertools.count(1)
HANDS = 3
PROBLEM_KEYS = {"code", "detail", "errors", "facts", "instance", "status", "title", "type"}


@dataclass
class Request:
    """A good request: who, what his path names, the body; for an upload the bytes of the file."""

    login: str
    keys: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    file: bytes = b""
    other: dict[str, Any] = field(default_factory=dict)
    """what makes it another request, where the body has something"""


class Chain:
    """What the chain's node answers about a statement that was proposed, and about a checker's key."""

    def call(self, _contract: str, _address: str, function: str, *_arguments: Any) -> Any:
        return {
            "CHECKER_ROLE": b"\1" * 32, "hasRole": True, "nonces": 0, "verify": (True, 1, 1),
        }[function]  # fmt: skip


@pytest.fixture(scope="module")
def place(common_site: Site) -> Site:
    """The site with a chain that answers about statements; what is sent there stays in the outbox."""
    common_site.desk.gateway = Chain  # type: ignore[assignment,method-assign]
    return common_site


# ---------------------------------------------------------------- one good request for every deed


def fresh_uscc() -> str:
    base = f"91000000DEM{next(serial):06d}"
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


def proposed(town: Town) -> agreements.Agreement:
    made: agreements.Agreement = town.do(
        "olga", agreements.propose, elements=dict.fromkeys(agreements.ELEMENTS, "如约定"),
        from_on=town.now.date(), implementer=town.party("bureau"), mode="by_scene", title="协议",
        resource_ids=town.resources(), until_on=years_after(town.now.date(), 4),
    )  # fmt: skip
    return made


def an_agreement(site: Site) -> Request:
    town = site.town
    town.resources()
    body = {
        "title": "授权运营协议", "mode": "by_scene", "implementer": PARTIES["bureau"][2],
        "resources": ["307001001/000001"], "from_on": day(town), "until_on": day(town, days=700),
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"),
    }  # fmt: skip
    return Request("olga", {}, body, other={"title": "另一协议"})


def a_signature(site: Site) -> Request:
    return Request("paul", {"agreement_number": proposed(site.town).number})


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


def an_appraisal(site: Site) -> Request:
    body = yaml.safe_load((DEMO / "appraisal.yaml").read_text())
    keys = {"registration_code": site.town.registration().code}
    return Request("anna", keys, {**body, "base_on": day(site.town)}, other={"purpose": "另一目的"})


def on_appraisal(**body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = site.town.appraisal(site.town.registration())
        other = {"reason": "另一理由"} if body else {}
        return Request("abel", {"appraisal_number": made.number}, body, other=other)

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


def a_scheme(site: Site) -> Request:
    agreed = site.town.agreement()
    body = {"document": site.town.scheme_document(), "effective_from": agreed.from_on}
    return Request(
        "olga", {"agreement_number": agreed.number}, body, other={"effective_from": agreed.until_on}
    )


def a_consent(site: Site) -> Request:
    town, agreed = site.town, site.town.agreement()
    made = town.do("olga", revenue.propose_scheme, agreed, town.scheme_document(), town.now.date())
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


def stated(site: Site, state: str) -> revenue.Statement:
    town = site.town
    agreed, licence = town.sold()
    town.later(days=1)  # its payment has a reference of its own, made of the day
    return town.statement_over(agreed, licence, state, facts={"platform_cost_fen": 1000})


def on_statement(state: str, login: str, **body: Any) -> Callable[[Site], Request]:
    def make(site: Site) -> Request:
        made = stated(site, state)
        other = {"reason": "另一理由"} if "reason" in body else {}
        return Request(login, {"statement_number": made.number}, body, other=other)

    return make


def an_approval(site: Site) -> Request:
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


def by_admin(**body: Any) -> Callable[[Site], Request]:
    return lambda _site: Request("admin", {}, body, other={"offline": False} if body else {})


EXAMPLES: dict[str, Callable[[Site], Request]] = {
    "party.add": a_party,
    "member.add": a_member,
    "member.change": new_roles,
    "member.reset": lambda site: Request("admin", {"login": fresh_member(site)}),
    "password.change": a_new_password,
    "token.create": a_token,
    "token.revoke": a_revoked_token,
    "evidence.deposit": a_file,
    "catalogue.import": a_catalogue,
    "resource.add": a_resource,
    "agreement.propose": an_agreement,
    "agreement.sign": a_signature,
    "application.submit": an_application,
    "application.accept": on_application("submitted"),
    "application.return": on_application("submitted", missing=["安全评估"]),
    "application.refuse": on_application("submitted", reason="不符"),
    "application.reject": on_application("in_review", reason="不符"),
    "application.pass": on_application("in_review", formal="齐全", compliance=compliance()),
    "application.notice": on_application("reviewed"),
    "application.code": on_application("on_notice"),
    "application.withdraw": on_application("in_review", "olga", reason="另行申请"),
    "voucher.issue": a_voucher,
    "voucher.suspend": on_voucher("rita"),
    "voucher.resume": on_voucher("rita", "suspend"),
    "voucher.revoke": on_voucher("rita"),
    "voucher.cancel": on_voucher("rita"),
    "voucher.freeze": on_voucher("gwen"),
    "voucher.unfreeze": on_voucher("gwen", "freeze"),
    "appraisal.draft": an_appraisal,
    "appraisal.approve": on_appraisal(),
    "appraisal.reject": on_appraisal(reason="参数不足"),
    "licence.grant": a_licence,
    "licence.revoke": a_revocation,
    "payment.record": a_payment,
    "scheme.propose": a_scheme,
    "scheme.agree": a_consent,
    "statement.draft": a_statement,
    "statement.propose": on_statement("drafted", "mona"),
    "statement.approve": an_approval,
    "statement.reopen": a_reopening,
    "statement.reject": on_statement("proposed", "carl", reason="有误"),
    "package.pack": a_package,
    "log.seal": by_admin(),
    "log.anchor": by_admin(),
    "audit.run": by_admin(offline=True),
    "outbox.retry": by_admin(),
}


def test_every_deed_has_its_example() -> None:
    assert set(EXAMPLES) == set(DEEDS), "enter one good request in EXAMPLES"


# ---------------------------------------------------------------- sending


def address(deed: Deed, keys: dict[str, str]) -> str:
    path = deed.path
    for name, value in keys.items():
        path = path.replace(f"<{name}>", value).replace(f"<path:{name}>", value)
    return path


def version(site: Site, deed: Deed, keys: dict[str, str]) -> int | None:
    """The version of what a deed changes, as its question shows it."""
    if not deed.changes:
        return None
    with site.town.reading() as session:
        return int(deed.subjects(session, keys)[-1].version)


def send(
    site: Site, deed: Deed, request: Request, key: str | None, seen: int | None = None, *,
    client: Any = None, **more: Any,
) -> Any:  # fmt: skip
    """The request over HTTP, by a browser that has just signed in (a password ends other sessions)."""
    headers = {"If-Match": f'"{seen}"'} if seen is not None else {}
    if key is not None:
        headers["Idempotency-Key"] = key
    if deed.upload:
        more["data"] = {**request.body, "file": (io.BytesIO(request.file), "文件.csv")}
    elif request.body:
        more["json"] = request.body
    headers |= more.pop("headers", {})
    client = client or site.visit(request.login).client
    return client.post(f"/api/v1{address(deed, request.keys)}", headers=headers, **more)


def problem(answer: Any, status: int, code: str = "") -> dict[str, Any]:
    """The refusal; it has the form every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == MEDIA_TYPE
    body: dict[str, Any] = answer.get_json()
    assert set(body) == PROBLEM_KEYS
    assert body["status"] == status
    assert body["code"] == code or not code
    assert body["type"] == f"urn:shuzheng:problem:{body['code']}"
    assert body["instance"].startswith("/")
    assert body["detail"]
    assert body["title"]
    assert answer.headers["Cache-Control"] == "no-store"
    return body


def trust(site: Site) -> Trust:
    return parse_trust(handoff.trust_file(
        site.desk.deployment, origin=ORIGIN, log_public=LOG_KEY.public_key().public_bytes_raw(),
        credential_public=CREDENTIAL_KEY.public_key().public_bytes_raw(),
        since=site.town.home.config.created_at, embedded=True,
    ))  # fmt: skip


def tree_size(town: Town) -> int:
    with town.reading() as session:
        return session.get_one(log.Head, 1).tree_size


def verify_receipt(site: Site, receipt: Any, before: int) -> None:
    """The receipt is signed by the town, and its records are what the log holds since `before`."""
    receipts.check(receipt, trust(site))
    with site.town.reading() as session:
        held = session.scalars(select(log.Record).where(log.Record.leaf_index >= before)).all()
        known = [
            {"at": instant(r.at), "digest": r.digest, "kind": r.kind, "leaf_index": r.leaf_index}
            for r in sorted(held, key=lambda r: r.leaf_index)
        ]
    assert receipt["records"] == known


def work_off(site: Site) -> None:
    """What the worker does with the jobs that wait."""
    runner = Runner(
        site.town.home, lambda job, report: background.work(site.desk, job, report),
        lambda: site.town.now,
    )  # fmt: skip
    while runner.run_one():
        pass


# ---------------------------------------------------------------- the rules, deed by deed


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_deed_keeps_the_rules_of_a_write(place: Site, name: str) -> None:
    deed, town = DEEDS[name], place.town
    request = EXAMPLES[name](place)
    seen, key = version(place, deed, request.keys), f"rule-{next(serial)}-{name}"
    place.visit(request.login)
    before, start = town.snapshot(), tree_size(town)

    problem(send(place, deed, request, None, seen), 400, "invalid")
    for wrong in ("short", "x" * 129, "with space", "umlaut-ä-abc"):
        problem(send(place, deed, request, wrong, seen), 400, "invalid")
    if deed.changes:
        assert seen is not None
        problem(send(place, deed, request, key), 428, "precondition_required")
        for unread in ("3", '"a"', "*", '""'):
            problem(send(place, deed, request, key, headers={"If-Match": unread}), 428)
        problem(send(place, deed, request, key, seen + 1), 412, "stale")
        problem(send(place, deed, request, key, 0), 412, "stale")
    assert town.snapshot() == before, "what was refused changed nothing"

    first = send(place, deed, request, key, seen)
    assert first.status_code == (202 if deed.long else 200 if deed.changes else 201), first.text
    assert "Idempotent-Replayed" not in first.headers
    assert first.headers["Cache-Control"] == "no-store"
    answer = first.get_json()
    if not deed.long:
        assert set(answer) == {"answer", "receipt"}
        assert (answer["receipt"] is not None) == deed.records
        if deed.records:
            verify_receipt(place, answer["receipt"], start)
    after = town.snapshot()

    again = send(place, deed, request, key, seen)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (first.status_code, "true")
    kept = (
        {n: v for n, v in answer.get("answer", {}).items() if n not in deed.once}
        if not deed.long
        else {}
    )
    assert again.get_json() == (answer if deed.long else {**answer, "answer": kept})
    other = replace(request, file=request.file + b"3,4\n" if request.file else b"",
                    body={**request.body, **request.other})  # fmt: skip
    if (other.body, other.file) != (request.body, request.file) and not deed.private:
        problem(send(place, deed, other, key, seen), 409, "conflict")
    another = (
        DEEDS["token.create"],
        Request(request.login, {}, {"name": "-", "scopes": ["read"], "days": 9}),
    )
    problem(send(place, *another, key), 409, "conflict")
    assert town.snapshot() == after, "once is enough"


@pytest.mark.parametrize("name", EXAMPLES)
def test_many_at_once_under_one_key_are_one_deed(place: Site, name: str) -> None:
    deed = DEEDS[name]
    request = EXAMPLES[name](place)
    seen, key = version(place, deed, request.keys), f"once-{next(serial)}-{name}"
    clients = [place.visit(request.login).client for _ in range(HANDS)]
    before, together = place.town.snapshot(), Barrier(HANDS)

    def hand_in(client: Any) -> Any:
        together.wait()
        return send(place, deed, request, key, seen, client=client)

    with ThreadPoolExecutor(HANDS) as pool:
        answers = list(pool.map(hand_in, clients))
    after = place.town.snapshot()
    grown = {table: len(after[table]) - len(before[table]) for table in after}
    good = 202 if deed.long else 200 if deed.changes else 201
    assert [one.status_code for one in answers] == [good] * HANDS, [one.text for one in answers]
    replayed = [one.headers.get("Idempotent-Replayed") for one in answers]
    assert sorted(replayed, key=str) == [None, *["true"] * (HANDS - 1)]
    assert grown["answers"] == 1
    assert grown["jobs"] == int(deed.long)
    if deed.long:
        assert len({one.get_json()["id"] for one in answers}) == 1
    else:
        [receipt] = {json.dumps(one.get_json()["receipt"]) for one in answers}
        assert grown["records"] == len((json.loads(receipt) or {"records": ()})["records"])
