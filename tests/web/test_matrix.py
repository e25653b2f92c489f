"""Who may do what, walked through: every route with every role, of the owner's organisation and of others.

What must come out is computed here from the table `MAY` and from whose each subject is; nothing of the
door's own logic is used. A route that names what has no ready subject below fails, and says so.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from sqlalchemy import event, update
from werkzeug.routing import Rule

from ledger import (
    agreement_ends,
    agreements,
    appraisals,
    authorisations,
    catalogue,
    catalogue_imports,
    demands,
    duties,
    evaluations,
    exclusions,
    feedback,
    messages,
    motions,
    parties,
    prices,
    reconciliation,
    register,
    registration,
    revenue,
    schemes,
    trading,
    witnesses,
)
from ledger.books import Entry
from ledger.calendar import local_date
from ledger.catalogue import resource_by_code
from ledger.chain.keys import address_of
from ledger.parties import Actor, Member
from ledger.registration import coded
from ledger.rights import MAY, MEMBER, PUBLIC, ROLES
from tests.conftest import DEMO, ORIGIN, PARTIES, Town, compliance
from tests.ledger import bookings, deals, neighbours, organisations, paying, registrations
from tests.web.conftest import TOKEN, Site
from tests.web.test_usage import usage_batch
from tests.witness import LittleWitness
from webapp import accounts, drafts, jobs
from webapp.deeds import DEEDS, QUESTIONS, Deed, Question, Thing
from webapp.deeds.subjects import SUBJECTS

pytestmark = pytest.mark.pages

NOBODY = "nobody"
ACTORS = (NOBODY, *ROLES)
WALKED = {NOBODY, "operator", "regulator"}  # by `make test` too
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)", re.IGNORECASE)
# Posting there would end or begin the session of him who walks.
SESSION_ENDPOINTS = ("sign_in", "sign_out")
# Names that fit and that nothing has; for the other keys a text that cannot be there will do.
ABSENT = {"registration_code": coded("DJ209901", 1), "uscc": "91000000DEM0000992"}
REQUESTS_MIN = 7_000
TOKEN_NEVER = ("token.", "password.")  # what no token opens, whatever its scopes


@dataclass(frozen=True)
class Ask:
    """One request of the walk, and whether the table lets it in."""

    rule: Rule
    method: str
    address: str
    login: str
    let_in: bool
    by_role: bool
    """whether his roles have the verb at all"""

    @property
    def is_api(self) -> bool:
        return self.address.startswith("/api/v1/")

    def __str__(self) -> str:
        return f"{self.method} {self.address} ({self.rule.endpoint}) by {self.login}"


@dataclass
class Stage:
    """A site with one subject for every key of a path, and people of every role in every organisation."""

    site: Site
    ready: dict[str, str]
    clients: dict[str, FlaskClient] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    mine: dict[tuple[str, str], str] = field(default_factory=dict)
    walks: dict[str, list[Ask]] = field(default_factory=dict)
    serial: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def town(self) -> Town:
        return self.site.town

    @property
    def app(self) -> Any:
        return self.site.app

    @property
    def guards(self) -> dict[str, Thing]:
        return dict(self.app.extensions["guards"])

    # -- people -----------------------------------------------------------------------------------

    def member(self, party: str, *roles: str, login: str = "") -> str:
        """The login of a person of an organisation (by its key) with just these roles."""
        login = login or f"{party}.{'-'.join(roles) if len(roles) < 3 else 'all'}"
        if login not in self.town.actors:
            with self.town.deed() as session:
                parties.add_member(
                    session, "system", self.town.now, login=login, display_name=login, roles=roles,
                    party=session.get_one(parties.Party, self.town.parties[party]),
                    signing_address=address_of(b"\x0c" * 32) if len(roles) == len(ROLES) else None,
                )  # fmt: skip
                self.town.actors[login] = parties.actor_by_login(session, login)
        return login

    def client(self, login: str) -> FlaskClient:
        """His browser; each has an address of its own, so that nobody asks too often."""
        if login not in self.clients:
            made = self.site.visit(None if login == NOBODY else login).client
            n = next(self.serial)
            made.environ_base["REMOTE_ADDR"] = f"10.0.{n // 250}.{n % 250 + 1}"
            self.clients[login] = made
            found = TOKEN.search(made.get("/sign-in").text)
            assert found, "the page to sign in has a form"
            self.forms[login] = found[1]
        return self.clients[login]

    def someone(self, thing: Thing, keys: dict[str, str]) -> str:
        """The key of an organisation where one who has all roles may do this."""
        owners = self.owners(thing, keys)
        return next(
            party for party in PARTIES
            if owners is None or any(
                lets_in(thing.verb, role, self.town.parties[party] in owners) for role in ROLES)
        )  # fmt: skip

    # -- requests ---------------------------------------------------------------------------------

    def keys_of(self, rule: Rule, login: str) -> dict[str, str]:
        """What a route's keys name: a job, a draft, a token of his own, or the ready subject."""
        found = {}
        for key in rule.arguments:
            value = self.own(key, login) or self.ready.get(key)
            assert value, (
                f"{rule.rule} ({rule.endpoint}): no ready subject for <{key}>; enter one in `stage`"
            )
            found[key] = value
        return found

    def own(self, key: str, login: str) -> str:
        """The id of a job, a draft or a token of the person's own, made when first asked for."""
        if key not in OWN or login == NOBODY:
            return ""
        if (key, login) not in self.mine:
            with self.town.deed() as session:
                made = OWN[key](session, self.town, self.town.actors[login].member_id)
                self.mine[key, login] = made.id
        return self.mine[key, login]

    def owners(self, thing: Thing, keys: dict[str, str]) -> set[str] | None:
        """The organisations whose the subject of a route is; None where that is not asked."""
        if not isinstance(thing, Deed | Question) or not set(thing.keys) <= set(keys):
            return None
        with self.town.reading() as session:
            found = thing.owners_of(session, thing.subjects(session, keys))
        return None if found is None else set(found)

    def address(self, rule: Rule, keys: dict[str, str]) -> str:
        with self.app.test_request_context():
            return str(self.app.url_map.bind("localhost").build(rule.endpoint, keys))

    def leads_to(self, rule: Rule, address: str, method: str) -> bool:
        return bool(self.app.url_map.bind("localhost").match(address, method)[0] == rule.endpoint)

    def walk(self, who: str) -> list[Ask]:
        """Every request of a role: by one of each owner's organisation, and by one of another."""
        if who in self.walks:
            return self.walks[who]
        made = self.walks[who] = []
        for rule in self.app.url_map.iter_rules():
            thing = self.guards.get(rule.endpoint)
            assert thing is not None, f"{rule.rule} ({rule.endpoint}) has no guard"
            assert thing.verb in MAY, f"{rule.rule}: the verb {thing.verb} is not in MAY"
            owners = self.owners(thing, self.keys_of(rule, NOBODY if who == NOBODY else "admin"))
            for party in [None] if who == NOBODY else self._parties(owners):
                login = NOBODY if party is None else self.member(party, who)
                own = (
                    None if owners is None or party is None else self.town.parties[party] in owners
                )
                let_in = lets_in(thing.verb, who, own)
                address = self.address(rule, self.keys_of(rule, login))
                for method in sorted(rule.methods or ()):
                    if method == "OPTIONS" and not self.leads_to(rule, address, method):
                        continue  # two routes have this path, and another answers what it takes
                    assert self.leads_to(rule, address, method), (
                        f"{method} {rule.rule} is never reached"
                    )
                    made.append(
                        Ask(rule, method, address, login, let_in, lets_in(thing.verb, who, None))
                    )
        return made

    def _parties(self, owners: set[str] | None) -> list[str]:
        """The owners' organisations and one that is none of them; where it is not asked, any one."""
        if owners is None:
            return ["operator"]
        ours = [key for key, party in self.town.parties.items() if party in owners]
        return [*ours, next(key for key in PARTIES if key not in ours)]

    def send(self, ask: Ask, address: str = "") -> Any:
        """The request, without a body; a form with its token, and a version that nobody saw."""
        client = self.client(ask.login)
        page = ask.method == "POST" and not ask.is_api
        if page and ask.rule.endpoint in SESSION_ENDPOINTS and ask.let_in:
            client = self.site.visit(None if ask.login == NOBODY else ask.login).client
            client.environ_base = self.clients[ask.login].environ_base
            found = TOKEN.search(client.get("/sign-in").text)
            self.forms[ask.login] = found[1] if found else ""
        data = {"csrf_token": self.forms[ask.login], "seen": "0"} if page else None
        return client.open(address or ask.address, method=ask.method, data=data, buffered=True)


def lets_in(verb: str, who: str, own: bool | None) -> bool:
    """What the table says of a role; `own`: is he of an owner's organisation (None: it is not asked)?"""
    roles = {PUBLIC} if who == NOBODY else {who, MEMBER, PUBLIC}
    relations = {relation for role, relation in MAY[verb].items() if role in roles}
    if own is None or "any" in relations:
        return bool(relations)
    return ("own" if own else "other") in relations


def fault(ask: Ask, answer: Any) -> str:
    """What is wrong with the answer, or nothing."""
    status, where = answer.status_code, answer.headers.get("Location", "")
    if ask.let_in:
        at_the_door = (401, 403) if ask.rule.endpoint != "sign_in" else (403,)
        if status in at_the_door or where.startswith("/sign-in"):
            return f"{ask}: {status}, and he may: {answer.text[-300:]}"
        return f"{ask}: {status} is our fault" if status in (500, 429) else ""
    if ask.is_api or ask.login != NOBODY:
        due = 401 if ask.login == NOBODY else 403
        return "" if status == due else f"{ask}: {status} instead of {due}"
    if ask.method in ("GET", "HEAD"):
        asked = status == 303 and where.startswith("/sign-in")
        return "" if asked else f"{ask}: {status} instead of the way to sign in"
    return "" if status == 401 else f"{ask}: {status} instead of 401"


@contextmanager
def watched(town: Town) -> Iterator[list[str]]:
    """Every statement that would change the database, also one that is rolled back."""
    seen: list[str] = []

    def look(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if WRITES.match(statement):
            seen.append(statement)

    event.listen(town.home.engine, "before_cursor_execute", look)
    try:
        yield seen
    finally:
        event.remove(town.home.engine, "before_cursor_execute", look)


def _job(session: Any, town: Town, member_id: str) -> Any:
    return jobs.enqueue(
        session, town.now, member_id=member_id, verb="audit.run", request={"body": {}, "keys": {}}
    )


def _draft(session: Any, town: Town, member_id: str) -> Any:
    return drafts.save(session, member_id, town.now, kind="application.submit", title="-", data={})


def _token(session: Any, town: Town, member_id: str) -> Any:
    return accounts.create_token(
        session, member_id, name="-", scopes=["read"], days=1, now=town.now
    )[0]


def _message(session: Any, town: Town, member_id: str) -> Any:
    """About a registration, which everybody may see."""
    key, about = f"to {member_id}", session.query(registration.Registration).first()
    template = "Registration {number} was cancelled."
    messages.tell(session, town.now, to=[messages.To(member_id=member_id)], template=template,
                  noun="registration", subject_id=about.id, number=about.code,
                  facts={"number": about.code}, event=key)  # fmt: skip
    return session.query(messages.Message).filter_by(member_id=member_id).one()


OWN: dict[str, Callable[[Any, Town, str], Any]] = {
    "job_id": _job, "draft_id": _draft, "token_id": _token, "message_id": _message,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(common_site: Site) -> Iterator[Stage]:
    """The stage of this module, on each database."""
    yield furnish(common_site)
    common_site.town.home.close()


def furnish(site: Site) -> Stage:
    """One subject for every key of a path, as a town comes by them."""
    town = site.town
    statement = town.statement("proposed")
    agreement = town.get(agreements.Agreement, statement)
    with town.reading() as session:
        licence = session.query(trading.Licence).one()
        voucher = session.get_one(trading.Voucher, licence.voucher_id)
        registered = session.get_one(trading.Registration, voucher.registration_id)
        payment = session.query(trading.Payment).one()
        scheme = session.query(schemes.Scheme).one()
    application = town.application()
    near = neighbours.Neighbour(town)
    neighbour = neighbours.admitted(town, near)
    # At once: below time goes on, and its status list runs out.
    recognised = neighbours.recognise(town, near.bundle)
    made = Stage(site, {
        "alarm_number": town.alarm().number,
        "agreement_number": agreement.number,
        "application_number": application.number,
        "authorisation_number": _authorisation("consented")(town, "mallory")["authorisation_number"],
        "motion_number": _motion(town, "rita")["motion_number"],
        "inquiry_number": town.inquiry(statement).number,
        "batch_number": usage_batch(town, licence.order_reference),
        "appraisal_number": town.appraisal(registered).number,
        "code": "zh",
        "demand_number": demand_at("assigned")(town, "olga")["demand_number"],
        "deposit_id": town.deposit().id,
        "duty_number": town.do("rita", duties.report, party=town.party("operator"), cause="law",
                               description="-", cause_on=local_date(town.now)).number,
        "entry_number": entry_of(town),
        "hold_number": bookings.hold(town).number,
        "journal_number": bookings.journal(town).number,
        "limit_number": bookings.limit(town).number,
        "period_number": bookings.period(town).number,
        "evaluation_number": evaluation_by(town, "paul")["evaluation_number"],
        "exclusion_number": exclusion_at("proposed")(town, "paul")["exclusion_number"],
        "feedback_number": feedback_at("raised")(town, "olga")["feedback_number"],
        "setting_name": "confirmations",
        "filename": "site.css",
        "import_id": brought(town).id,
        "leaf_index": "0",
        "login": "rob",
        "method": "cost",
        "name": "cost",
        "number": voucher.number,
        "objection_number": registrations.object_to(
            town, town.application("on_notice"), "anna").number,
        "order": licence.order_reference,
        "order_reference": deals.order(town).reference,
        "refund_number": deals.refund(town).number,
        "remittance_reference": deals.remittance(town).reference,
        "confirmation_number": deals.confirmation(town).number,
        "peer_id": neighbour.id,
        "payout_number": paying.approved(town).number,
        "bank_account": paying.another_account(town).number,
        "difference_number": (found := paying.difference(town)).number,
        "reconciliation_number": reconciliation_of(town, found),
        "price_number": town.price(agreement).number,
        "recognition_id": recognised.id,
        "reference": payment.reference,
        "registration_code": registered.code,
        "resource_code": open_resource(town).code,
        "scheme_id": scheme.id,
        "statement_number": statement.number,
        "steward_id": organisations.steward(town).id,
        "subject_id": statement.id,
        "tile_path": "0/000.p/1",
        "uscc": PARTIES["operator"][2],
        "voucher_number": voucher.number,
        "witness_id": town.do("admin", witnesses.admit, operator="-",
                              vkey=LittleWitness("owl.example/w").vkey).id,
    })  # fmt: skip
    for key in OWN:
        made.ready[key] = made.own(key, "rob")
    missing = set(SUBJECTS) - set(made.ready)
    assert not missing, f"no ready subject for {missing}"
    return made


def reconciliation_of(town: Town, found: reconciliation.Difference) -> str:
    """The number of that in which a difference was found."""
    with town.reading() as session:
        return session.get_one(reconciliation.Reconciliation, found.reconciliation_id).number


def open_resource(town: Town, code: str = "307001001/000003") -> catalogue.Resource:
    """One that exists for everybody: who may not change it is refused, not told that there is none."""
    with town.deed() as session:
        made = catalogue.add_resource(
            session, town.actors["rita"], town.now, code=code, title="空气质量", provider="市数据局",
            elements={"opening": "unconditional", "personal_information": "none"},
        )  # fmt: skip
        assert made.audience == "public"
    return made


def brought(town: Town, by: Actor | None = None) -> catalogue_imports.CatalogueImport:
    """A change set of one resource by hand, the registrar's or another one's."""
    with town.deed() as session:
        row = catalogue.resource_by_code(session, "307001001/000001")
        given = {"title": row.title, "provider": row.provider, **row.elements}
        given["record_count"] = row.version
        return catalogue_imports.bring_one(
            session, by or town.actors["rita"], town.now, row.code, given, "更正"
        )


def size(stage: Stage) -> dict[str, int]:
    """How large the matrix is."""
    walks = [stage.walk(who) for who in ACTORS]
    return {
        "routes": len({ask.rule.rule for walk in walks for ask in walk}),
        "routes and methods": len({(a.rule.rule, a.method) for walk in walks for a in walk}),
        "people": len({ask.login for walk in walks for ask in walk}),
        "requests": sum(map(len, walks)),
        "of them refused": sum(not ask.let_in for walk in walks for ask in walk),
    }


def test_the_matrix_is_as_large_as_it_is_said_to_be(stage: Stage) -> None:
    found = size(stage)
    print(f"\nmatrix: {found}")
    assert found["requests"] >= REQUESTS_MIN
    assert found["of them refused"] >= found["requests"] // 3


@pytest.mark.parametrize(
    "who", [pytest.param(who, marks=() if who in WALKED else pytest.mark.slow) for who in ACTORS]
)
def test_a_role_comes_in_where_the_table_lets_it_and_nowhere_else(stage: Stage, who: str) -> None:
    walk = stage.walk(who)
    if (
        stage.town.home.engine.dialect.name == "postgresql"
    ):  # the door is the same; the data are asked
        walk = [ask for ask in walk if ask.is_api and ask.method in ("GET", "POST")]
    for login in {ask.login for ask in walk}:
        stage.client(login)
    before, found = stage.town.snapshot(), []
    for ask in walk:
        if not ask.let_in:
            with watched(stage.town) as written:
                found.append(fault(ask, stage.send(ask)))
            found.append(f"{ask} was refused and wrote: {written}" if written else "")
    assert stage.town.snapshot() == before, "something that was refused changed something"
    # HEAD and OPTIONS have no view of their own: that they are refused like GET is all there is to them
    found += [
        fault(ask, stage.send(ask)) for ask in walk if ask.let_in and ask.method in ("GET", "POST")
    ]
    assert not any(found), "\n".join(filter(None, found))


def test_whose_role_is_refused_is_not_told_whether_the_subject_is_there(stage: Stage) -> None:
    found = []
    for who in ACTORS:
        told = {}
        for ask in stage.walk(who):
            if (
                ask.is_api
                and ask.method in ("GET", "POST")
                and not ask.by_role
                and ask.rule.arguments
            ):
                told[ask.rule.endpoint] = ask
        for ask in told.values():
            absent = {key: ABSENT.get(key, "absent") for key in ask.rule.arguments}
            there = stage.send(ask)
            gone = stage.send(ask, stage.address(ask.rule, absent))
            same = {**there.get_json(), "instance": ""} == {**gone.get_json(), "instance": ""}
            if there.status_code != gone.status_code or not same:
                found.append(f"{ask}: {there.text} but for an absent one {gone.text}")
    assert not found, "\n".join(found)


# ---------------------------------------------------------------- whose the money's things are

# Stated from what `furnish` did, not asked of the code: the bureau and the operator are the sides of every
# agreement, the firm is asked by all of them for consent to the use of its data, the bank bought and paid
# in advance, the exchange signed the trades, the treasury's mona made the statements and the refund.
# Payouts and reconciliations are no organisation's: of them only the role is asked.
SIDES = frozenset({"bureau", "operator"})
SALE = frozenset({"operator", "bank"})
WHOSE: dict[str, frozenset[str]] = {
    "agreement_number": SIDES, "bank_account": frozenset({"operator"}),
    "batch_number": frozenset({"operator"}),
    "confirmation_number": SIDES | {"exchange"}, "difference_number": frozenset({"operator"}),
    "entry_number": SIDES, "hold_number": SIDES, "inquiry_number": SIDES | {"treasury"},
    "journal_number": SIDES, "limit_number": SIDES, "order": SALE, "order_reference": SALE,
    "period_number": SIDES, "price_number": SIDES, "reference": SALE, "refund_number": SIDES | {"bank"},
    "remittance_reference": SIDES | {"bank"}, "scheme_id": SIDES, "statement_number": SIDES,
}  # fmt: skip
MONEY = frozenset({
    "bank_account", "confirmation", "difference", "entry", "finance", "hold", "inquiry", "journal",
    "licence", "limit", "order", "payment", "period", "price", "refund", "remittance",
    "scheme", "statement", "usage",
})  # fmt: skip
NARROWER: dict[str, frozenset[str]] = {
    **dict.fromkeys(("scheme.propose", "price.propose", "price.withdraw", "order.fulfil", "order.cancel",
                     "licence.revoke", "inquiry.insist", "inquiry.close", "inquiry.withdraw"),
                    frozenset({"operator"})),
    **dict.fromkeys(("scheme.agree", "price.confirm", "price.reject"), frozenset({"bureau"})),
    **dict.fromkeys(("statement.correct", "statement.reverse", "statement.propose", "statement.approve",
                     "statement.reopen", "statement.reject", "statement.request", "inquiry.answer",
                     "refund.approve", "refund.reject"), frozenset({"treasury"})),
    "inquiry.raise": SIDES | {"treasury", "registry"},  # the payees have lines, too
    "scheme.list": SIDES | {"firm"},  # it is let in, and its list shows it none
}  # fmt: skip


def test_whose_the_money_s_things_are_is_said_here_and_not_by_the_code(stage: Stage) -> None:
    town, found, seen = stage.town, [], set[str]()
    names = {party: key for key, party in town.parties.items()}
    with town.reading() as session, session.no_autoflush:
        for agreed in session.query(agreements.Agreement):
            agreed.provider_ids = [*(agreed.provider_ids or ()), town.parties["firm"]]
        for thing in (*DEEDS.values(), *QUESTIONS.values()):
            subject = thing.keys[-1] if thing.keys else ""
            if (
                thing.noun not in MONEY
                or subject not in WHOSE
                or set(MAY[thing.verb].values()) == {"any"}
            ):
                continue  # of whom only his role is asked, whose it is changes nothing
            rows = thing.subjects(session, stage.ready)
            owners = {names[one] for one in thing.owners_of(session, rows) or ()}
            due = NARROWER.get(thing.name, WHOSE[subject])
            seen.add(subject)
            if owners != due:
                found.append(f"{thing.name}: {sorted(owners)} instead of {sorted(due)}")
        session.expire_all()
    assert not found, "\n".join(found)
    assert seen == set(WHOSE), "each is asked after"


# ---------------------------------------------------------------- tokens


@pytest.mark.slow
def test_a_token_opens_what_its_scopes_name_and_nothing_else(stage: Stage) -> None:
    """Every route with a token of one who may: with every scope but the due one, and with just it."""
    tokens = {}
    for party in PARTIES:
        login = stage.member(party, *ROLES)
        with stage.town.deed() as session:
            tokens[party] = accounts.create_token(
                session, stage.town.actors[login].member_id, name="-", scopes=["read"], days=1,
                now=stage.town.now,
            )  # fmt: skip
    client, found, tried = stage.app.test_client(), [], 0
    client.environ_base["REMOTE_ADDR"] = "10.1.0.1"
    for rule in stage.app.url_map.iter_rules():
        thing = stage.guards[rule.endpoint]
        keys = stage.keys_of(rule, NOBODY)
        address = stage.address(rule, keys)
        token, secret = tokens[stage.someone(thing, keys)]
        due = thing.noun if isinstance(thing, Deed) else "read"
        never = thing.verb.startswith(TOKEN_NEVER) or not address.startswith("/api/v1/")
        for method in {"GET", "POST"} & set(rule.methods or ()):
            for scopes, opens in ((accounts.SCOPES - {due}, False), ({due}, not never)):
                with stage.town.deed() as session:
                    wanted = update(accounts.ApiToken).where(accounts.ApiToken.id == token.id)
                    session.execute(wanted.values(scopes=sorted(scopes)))
                answer = client.open(
                    address, method=method, headers={"Authorization": f"Bearer {secret}"},
                    buffered=True,
                )  # fmt: skip
                tried += 1
                form = method == "POST" and not address.startswith("/api/") and not opens
                refused = answer.status_code in (401, 403) or (form and answer.status_code == 400)
                if opens is refused:
                    found.append(f"{method} {address} {sorted(scopes)}: {answer.status_code}")
    assert not found, "\n".join(found)
    assert tried > 2 * len(DEEDS)


@pytest.mark.parametrize("broken", ["Bearer sz_nobody's", "Bearer ", "Basic b2xnYTpvbGdh", "sz"])
def test_who_shows_a_token_that_is_none_is_refused_even_where_everybody_may(
    stage: Stage, broken: str
) -> None:
    answer = stage.app.test_client().get("/api/v1/log", headers={"Authorization": broken})
    assert answer.status_code == 401


# ---------------------------------------------------------------- nobody decides on what he made

# What is a move of a subject, but no decision on what another one made.
NO_DECISIONS = {
    "agreement.consent": "each body's own, on the use of its own data",
    "agreement.withdraw": "the operator's own",
    "agreement.propose_end": "either side's own; another person confirms it",
    "agreement.keep": "either side's own, also his who proposed the end",
    "agreement.hand_back": "the operator's own",
    "alarm.explain": "the answering organisation's own, on what the system raised",
    "application.withdraw": "the applicant's own",
    "application.consent": "the consenting organisation's own",
    "objection.withdraw": "his who raised it",
    "registration.inquire": "opens a verification: what follows is another person's",
    "registration.lift": "on what somebody else applied for, which was reviewed",
    "licence.revoke": "the seller's own",
    "statement.correct": "the maker's own",
    "inquiry.answer": "the statement's maker's own, on what another one asked",
    "inquiry.insist": "the asker's own",
    "inquiry.close": "the asker's own",
    "inquiry.withdraw": "the asker's own",
    "price.withdraw": "the maker's own",
    "bank_account.withdraw": "the party's or finance's own, before it is confirmed",
    "payout.cancel": "lets go of what was set aside; nothing is paid by it",
    "difference.answer": "his whose organisation owes the answer",
    "order.cancel": "the seller's own, or the exchange's",
    "journal.withdraw": "the maker's own",
    "limit.withdraw": "the maker's own",
    "catalogue.undo": "the data authority's, also of what it made; a new change set with its reason",
    **{f"demand.{verb}": "the demander's own" for verb in ("close", "appeal", "withdraw")},
    **{f"feedback.{verb}": "his who raised it" for verb in ("close", "appeal", "withdraw")},
    **{f"party.{verb}": "on an organisation, by a document that somebody above it made"
       for verb in ("rename", "merge", "split")},
    "steward.relieve": "the organisation's own",
    "duty.settle": "the department's own, whoever reported the cause",
    "resource.change": "the department's own, or the data authority's, recorded with its reason",
    "resource.withdraw": "the department's own, or the data authority's, recorded with its reason",
    **{f"peer.{verb}": "on another registry, which made nothing here"
       for verb in ("reach", "suspend", "end")},
    "appraisal.withdraw": "the maker's own, and nobody else's",
    "statement.propose": "the maker's own, and nobody else's",
    "statement.reopen": "the maker's own, and nobody else's",
    **{f"voucher.{verb}": "on what the registry issued, not on what a person handed in"
       for verb in ("suspend", "resume", "revoke", "cancel", "freeze", "unfreeze", "renew", "supersede",
                    "release", "replace_key")},
    **{f"voucher.{verb}": "a motion, which another one decides"
       for verb in ("transfer", "pledge", "split")},
    "authorisation.withdraw": "the data subject's own",
    "authorisation.end": "the user's or the provider's own",
}  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """Where the subject's maker is at home, whose decision it is, and how a subject comes about."""

    home: str
    decides: str
    make: Callable[[Town, str], dict[str, str]]
    body: Callable[[], dict[str, Any]] = dict


def agreement_at(state: str) -> Callable[[Town, str], dict[str, str]]:
    """An agreement as far as somebody has brought it; it began more than a year ago."""

    def make(town: Town, login: str) -> dict[str, str]:
        today = local_date(town.now)
        shared = [bank_s_resource(town)] if state == "shared" else []
        made = town.do(
            login if state == "proposed" else "olga", agreements.propose, title="协议",
            elements=dict.fromkeys(agreements.ELEMENTS, "如约定"), from_on=today - timedelta(days=400),
            implementer=town.party("bureau"), mode="by_scene",
            scenes=[{"name": "风险评估", "use": ""}], resource_ids=[*town.resources(), *shared],
            until_on=today + timedelta(days=400),
        )  # fmt: skip
        points = dict.fromkeys(agreement_ends.POINTS, "已完成")
        ways: dict[str, Callable[[], Any]] = {
            "in_force": lambda: town.do("paul", agreements.sign, made),
            "ending": lambda: town.do(login, agreement_ends.propose_end, made, kind="by_agreement",
                                      ground="调整"),
            "ended": lambda: town.do("paul", agreement_ends.end, made),
            "handing_back": lambda: town.do(login, agreement_ends.hand_back, made, points),
        }  # fmt: skip
        for reached in [*ways][: [*ways].index(state) + 1] if state in ways else ():
            ways[reached]()
        return {"agreement_number": made.number}

    return make


def bank_s_resource(town: Town) -> str:
    """The id of a resource that the bank provides."""
    with town.deed() as session:
        return catalogue.add_resource(
            session, town.actors["rita"], town.now, code="307001001/000078", title="共享资源",
            provider=town.party("bank").name, elements={},
        ).id  # fmt: skip


def evaluation_by(town: Town, login: str) -> dict[str, str]:
    """An evaluation that somebody of the implementing body made."""
    number = agreement_at("in_force")(town, "olga")["agreement_number"]
    with town.reading() as session:
        found = agreements.by_number(session, number)
    made = town.do(login, evaluations.make, found, verdict="qualified", findings="良好")
    return {"evaluation_number": made.number}


def _application(state: str) -> Callable[[Town, str], dict[str, str]]:
    def make(town: Town, login: str) -> dict[str, str]:
        facts = {**town.application_facts(), "deposits": [town.deposit(login, login.encode())]}
        made = town.do(login, registration.submit, **facts)
        for reached, verb, more in (
            ("submitted", registration.accept, {}),
            ("in_review", registration.pass_review, {"formal": "齐全", "compliance": compliance()}),
            ("reviewed", registration.give_notice, {}),
        ):
            if state == reached:
                break
            town.do("rita", verb, made, **more)
        if state == "on_notice":
            town.later(days=21)
        return {"application_number": made.number}

    return make


def _appraisal(town: Town, login: str) -> dict[str, str]:
    document = yaml.load((DEMO / "appraisal.yaml").read_bytes(), yaml.CSafeLoader)
    made = town.do(
        login, appraisals.draft, registration=town.registration(), base_on=local_date(town.now),
        **document,
    )  # fmt: skip
    return {"appraisal_number": made.number}


def _refund(town: Town, login: str) -> dict[str, str]:
    return {"refund_number": deals.refund(town, login).number}


def _price(town: Town, login: str) -> dict[str, str]:
    today = local_date(town.now)
    made = town.do(
        login, prices.propose, town.agreement(), document=town.price_document(), from_on=today,
        until_on=today,
    )  # fmt: skip
    return {"price_number": made.number}


def _bank_account(town: Town, login: str) -> dict[str, str]:
    party = organisations.party(town, "enterprise")
    return {"bank_account": paying.another_account(town, party, login).number}


def _payout(state: str) -> Callable[[Town, str], dict[str, str]]:
    def make(town: Town, login: str) -> dict[str, str]:
        made = paying.approved(town, login) if state == "approved" else paying.prepared(town, login)
        return {"payout_number": made.number}

    return make


def _difference(town: Town, login: str) -> dict[str, str]:
    return {"difference_number": paying.answered(town, login).number}


def entry_of(town: Town) -> str:
    """The number of an entry."""
    made = bookings.approved(town)
    with town.reading() as session:
        return session.get_one(Entry, made.entry_id).number


def _period(town: Town, maker: str) -> dict[str, str]:
    return {"period_number": bookings.period(town, login=maker).number}


def _journal(town: Town, login: str) -> dict[str, str]:
    return {"journal_number": bookings.journal(town, login=login).number}


def _limit(town: Town, login: str) -> dict[str, str]:
    return {"limit_number": bookings.limit(town, login=login).number}


def _scheme(town: Town, login: str) -> dict[str, str]:
    agreement = town.agreement()
    made = town.do(
        login, schemes.propose, agreement, town.scheme_document(),
        date.fromisoformat(agreement.from_on),
    )  # fmt: skip
    return {"scheme_id": made.id}


def _statement(town: Town, login: str) -> dict[str, str]:
    agreement, licence = town.sold()
    day = local_date(town.now)
    town.payment(licence, 100_003, reference=f"BANK-{login}")
    town.later(days=1)
    made = town.do(
        login, revenue.draft, agreement, from_on=day, until_on=day, facts={"platform_cost_fen": 1}
    )
    town.do(login, revenue.propose, made, ORIGIN)
    return {"statement_number": made.number}


def proposed_change(town: Town, login: str) -> dict[str, str]:
    """Handed in by a provider; what a registrar hands in waits for nobody."""
    town.resources()
    with town.reading() as session:
        maker = parties.actor_by_login(session, login)
    made = brought(town, replace(maker, roles=frozenset({"provider"})))
    assert made.state == "proposed"
    return {"import_id": made.id}


def _resource(town: Town) -> Any:
    town.resources()
    with town.reading() as session:
        return resource_by_code(session, "307001001/000001")


def demand_at(state: str) -> Callable[[Town, str], dict[str, str]]:
    """A demand that somebody made, as far as paul's department has come with it."""

    def make(town: Town, login: str) -> dict[str, str]:
        row = _resource(town)
        made = town.do(login, demands.submit, title="某项数据", purpose="研究", items=["甲项"],
                       use="sharing", basis="合同")  # fmt: skip
        ways: dict[str, tuple[str, ...]] = {
            "submitted": (), "assigned": ("assign",), "accepted": ("assign", "accept"),
            "refused": ("assign", "refuse"), "appealed": ("assign", "refuse", "appeal"),
            "fulfilled": ("assign", "accept", "fulfil"),
        }  # fmt: skip
        acts: dict[str, Callable[[], Any]] = {
            "assign": lambda: town.do("rita", demands.assign, made, town.party("bureau")),
            "accept": lambda: town.do("paul", demands.accept, made, resource=row, mode="file",
                                      by_on=local_date(town.now) + timedelta(days=9)),
            "fulfil": lambda: town.do("paul", demands.fulfil, made, resource=row, mode="file", how="接口"),
            "refuse": lambda: town.do("paul", demands.refuse, made, ground="法律禁止"),
            "appeal": lambda: town.do(login, demands.appeal, made, "依据不成立"),
        }  # fmt: skip
        for verb in ways[state]:
            acts[verb]()
        return {"demand_number": made.number}

    return make


def settled_duty(town: Town, login: str) -> dict[str, str]:
    """A duty of paul's department that somebody there settled."""
    made = town.do("rita", duties.report, party=town.party("bureau"), cause="law", description="新规定",
                   cause_on=local_date(town.now))  # fmt: skip
    town.do(login, duties.settle, made, not_needed="目录已写明")
    return {"duty_number": made.number}


def exclusion_at(state: str) -> Callable[[Town, str], dict[str, str]]:
    def make(town: Town, login: str) -> dict[str, str]:
        today = local_date(town.now)
        made = town.do(login, exclusions.propose, title="名单", forbids=["opening"], basis="法",
                       from_on=today, review_on=today + timedelta(days=9))  # fmt: skip
        if state == "in_force":
            town.do("rob", exclusions.approve, made)
        return {"exclusion_number": made.number}

    return make


def feedback_at(state: str) -> Callable[[Town, str], dict[str, str]]:
    def make(town: Town, login: str) -> dict[str, str]:
        made = town.do(login, feedback.raise_, resource=_resource(town), kind="quality",
                       about="data_quality", description="缺行")  # fmt: skip
        if state in ("answered", "appealed"):
            town.do("paul", feedback.answer, made, verdict="explained", text="无误")
        if state == "appealed":
            town.do(login, feedback.appeal, made, "有误")
        return {"feedback_number": made.number}

    return make


def _supply() -> dict[str, Any]:
    return {"resource": "307001001/000001", "mode": "file", "by_on": "2099-01-01"}


def second_look(town: Town, login: str) -> dict[str, str]:
    """An application about important data whose review somebody has passed."""
    made = registrations.important(town)
    town.do("rita", registration.accept, made)
    _as_registrar(
        town, login, registration.pass_review, made, formal="齐全", compliance=compliance()
    )
    return {"application_number": made.number}


def about_registration(town: Town, login: str) -> dict[str, str]:
    """A cancellation that somebody of the operator applied for, reviewed."""
    made = registrations.passed(
        town, registrations.apply(town, "cancellation", town.registration(), login))  # fmt: skip
    return {"application_number": made.number}


def objection(town: Town, login: str) -> dict[str, str]:
    """An objection that somebody raised under his real name."""
    made = registrations.object_to(town, town.application("on_notice"), login, login)
    return {"objection_number": made.number}


def inquiry(town: Town, login: str) -> dict[str, str]:
    """A registration that somebody began to verify."""
    registered = town.registration()
    _as_registrar(town, login, register.inquire, registered, "举报")
    return {"registration_code": registered.code}


def _as_registrar(town: Town, login: str, verb: Any, *given: Any, **named: Any) -> None:
    """A deed of the person when he still was a registrar of the registry."""
    actor = town.actors[login]
    town.actors[login] = replace(actor, party_id=town.parties["registry"])
    town.do(login, verb, *given, **named)
    town.actors[login] = actor


def _finding(**more: str) -> Callable[[], dict[str, Any]]:
    return lambda: {"finding": "经核实", **more}


def _reason() -> dict[str, Any]:
    return {"reason": "依法"}


def explained_alarm(town: Town, login: str) -> dict[str, str]:
    """An alarm of the operator's that somebody there explained."""
    return {"alarm_number": town.alarm(login).number}


def _motion(town: Town, login: str) -> dict[str, str]:
    made = town.do(login, motions.propose, town.voucher(), "split", "分别流通")
    return {"motion_number": made.number}


def _authorisation(state: str) -> Callable[[Town, str], dict[str, str]]:
    """Asked of the firm, as a legal person, by somebody of the bank."""

    def make(town: Town, login: str) -> dict[str, str]:
        registered = town.get(trading.Registration, town.voucher())
        facts = town.authorisation_facts(registered, subject=town.party("firm"))
        made = town.do(login, authorisations.request, **facts)
        if state == "consented":
            with town.deed() as session:
                subject = parties.add_member(
                    session, "system", town.now, party=session.get_one(parties.Party, made.subject_id),
                    login=f"subject-{made.number.lower()}", display_name="-", roles=["data_subject"],
                )  # fmt: skip
                actor = parties.actor_of(session, subject.id)
                row = session.get_one(authorisations.Authorisation, made.id)
                authorisations.consent(session, actor, town.now, row)
        return {"authorisation_number": made.number}

    return make


DECISIONS = {
    "agreement.sign": Decision("operator", "bureau", agreement_at("proposed")),
    "agreement.decline": Decision("operator", "bureau", agreement_at("proposed"), _reason),
    "agreement.end": Decision("operator", "bureau", agreement_at("ending")),
    "agreement.confirm_hand_back": Decision("operator", "bureau", agreement_at("handing_back")),
    "agreement.reopen_hand_back": Decision(
        "operator", "bureau", agreement_at("handing_back"), _reason),
    "evaluation.comment": Decision("bureau", "operator", evaluation_by, lambda: {"comment": "已整改"}),
    "motion.confirm": Decision("registry", "registry", _motion),
    "motion.reject": Decision("registry", "registry", _motion, _reason),
    "authorisation.consent": Decision("bank", "firm", _authorisation("requested")),
    "authorisation.refuse": Decision("bank", "firm", _authorisation("requested")),
    "authorisation.issue": Decision("bank", "registry", _authorisation("consented")),
    "application.accept": Decision("operator", "registry", _application("submitted")),
    "application.return": Decision(
        "operator", "registry", _application("submitted"), lambda: {"missing": ["安全评估"]}),
    "application.refuse": Decision("operator", "registry", _application("submitted"), _reason),
    "application.reject": Decision("operator", "registry", _application("in_review"), _reason),
    "application.pass": Decision(
        "operator", "registry", _application("in_review"),
        lambda: {"formal": "齐全", "compliance": compliance()}),
    "application.notice": Decision("operator", "registry", _application("reviewed")),
    "application.code": Decision("operator", "registry", _application("on_notice")),
    "application.second": Decision("registry", "registry", second_look, _finding()),
    "application.doubt": Decision("registry", "registry", second_look, _reason),
    "application.conclude": Decision("operator", "registry", about_registration, _finding()),
    "objection.uphold": Decision("firm", "registry", objection, _finding()),
    "objection.dismiss": Decision("firm", "registry", objection, _finding()),
    "registration.clear": Decision("registry", "registry", inquiry, _finding()),
    "registration.revoke": Decision(
        "registry", "registry", inquiry, _finding(ground="tampering")),
    "registration.cancel": Decision("registry", "registry", inquiry, _finding(ground="lost")),
    "alarm.close": Decision("operator", "bureau", explained_alarm, _reason),
    "alarm.reopen": Decision("operator", "bureau", explained_alarm, _reason),
    "appraisal.approve": Decision("firm", "firm", _appraisal),
    "appraisal.reject": Decision("firm", "firm", _appraisal, _reason),
    "refund.approve": Decision("treasury", "treasury", _refund),
    "refund.reject": Decision("treasury", "treasury", _refund, _reason),
    "price.confirm": Decision("operator", "bureau", _price),
    "price.reject": Decision("operator", "bureau", _price, _reason),
    "bank_account.confirm": Decision("treasury", "treasury", _bank_account),
    "bank_account.reject": Decision("treasury", "treasury", _bank_account, _reason),
    "payout.approve": Decision("treasury", "treasury", _payout("prepared")),
    "payout.close": Decision("treasury", "treasury", _payout("approved"), _reason),
    "difference.settle": Decision("operator", "treasury", _difference, _finding()),
    "difference.reopen": Decision("operator", "treasury", _difference, _reason),
    "order.fulfil": Decision(
        "operator", "operator",
        lambda town, login: {"order_reference": deals.order(town, login).reference}),
    "period.reopen": Decision("treasury", "treasury", _period, _reason),
    "journal.approve": Decision("treasury", "treasury", _journal),
    "journal.reject": Decision("treasury", "treasury", _journal, _reason),
    "limit.approve": Decision("treasury", "treasury", _limit),
    "limit.reject": Decision("treasury", "treasury", _limit, _reason),
    "scheme.agree": Decision("operator", "bureau", _scheme),
    "statement.approve": Decision(
        "treasury", "treasury", _statement, lambda: {"approval": {"nonce": 0}}),
    "statement.reject": Decision("treasury", "treasury", _statement, _reason),
    "catalogue.approve": Decision("bureau", "registry", proposed_change),
    "catalogue.reject": Decision("bureau", "registry", proposed_change, _reason),
    "demand.assign": Decision(
        "operator", "registry", demand_at("submitted"), lambda: {"department": PARTIES["bureau"][2]}),
    "demand.accept": Decision("operator", "bureau", demand_at("assigned"), _supply),
    "demand.refuse": Decision("operator", "bureau", demand_at("assigned"), lambda: {"ground": "依法"}),
    "demand.fulfil": Decision("operator", "bureau", demand_at("accepted"), lambda: {"how": "接口"}),
    "demand.uphold": Decision("operator", "registry", demand_at("appealed"), _reason),
    "demand.dismiss": Decision("operator", "registry", demand_at("appealed"), _reason),
    "duty.confirm": Decision("bureau", "registry", settled_duty),
    "duty.reopen": Decision("bureau", "registry", settled_duty, _reason),
    "exclusion.approve": Decision("bureau", "registry", exclusion_at("proposed")),
    "exclusion.reject": Decision("bureau", "registry", exclusion_at("proposed"), _reason),
    "exclusion.end": Decision("bureau", "registry", exclusion_at("in_force"), _reason),
    "feedback.answer": Decision(
        "operator", "bureau", feedback_at("raised"), lambda: {"verdict": "explained", "text": "无误"}),
    "feedback.uphold": Decision("operator", "registry", feedback_at("appealed"), _reason),
    "feedback.dismiss": Decision("operator", "registry", feedback_at("appealed"), _reason),
    "peer.admit": Decision("registry", "registry", neighbours.proposed_by, neighbours.last_told),
    "peer.reject": Decision("registry", "registry", neighbours.proposed_by, _reason),
    "peer.resume": Decision("registry", "registry", neighbours.suspended_by, _reason),
    "member.change": Decision(
        "registry", "registry", lambda _town, login: {"login": login},
        lambda: {"roles": ["operator"]}),
    "member.reset": Decision("registry", "registry", lambda _town, login: {"login": login}),
}  # fmt: skip


def test_every_move_of_a_subject_is_a_decision_or_is_said_to_be_none() -> None:
    moves = {deed.name for deed in DEEDS.values() if deed.changes} | {"member.reset"}
    assert moves == set(DECISIONS) | set(NO_DECISIONS)
    assert not set(DECISIONS) & set(NO_DECISIONS)


@pytest.mark.parametrize("name", DECISIONS)
def test_nobody_decides_on_what_he_made_whatever_his_roles(stage: Stage, name: str) -> None:
    """Neither in his organisation, nor when he has gone over to the one that decides."""
    decision, town, deed = DECISIONS[name], stage.town, DEEDS[name]
    maker = stage.member(decision.home, *ROLES, login=f"maker-{name}")
    other = stage.member(decision.decides, *ROLES, login=f"other-{name}")
    keys = decision.make(town, maker)

    def decide(login: str) -> Any:
        with town.reading() as session:
            version = deed.subjects(session, keys)[-1].version
        seen = version if deed.changes else None
        path = re.sub(r"<(\w+)>", lambda found: keys[found[1]], deed.path)
        return stage.site.visit(login).api(path, decision.body(), None, seen=seen)

    for login in (maker, other):
        stage.site.visit(login)  # each has a way to sign in before anything is compared
    for party in dict.fromkeys((decision.home, decision.decides)):
        with town.deed() as session:
            session.get_one(Member, town.actors[maker].member_id).party_id = town.parties[party]
        before = town.snapshot()
        refusal = decide(maker)
        assert refusal.status_code == 403, refusal.text
        assert town.snapshot() == before
    assert decide(other).status_code in (200, 201, 503), "another one may"
