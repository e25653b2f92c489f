"""What is concluded about a registration, through the API: its vouchers follow; and who sees what of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, select

from ledger import objections, register, registration, registration_changes
from ledger.authorisations import Authorisation
from ledger.calendar import local_date
from ledger.chain.outbox import Act
from ledger.proof.encoding import instant
from ledger.registration import Application, Registration
from ledger.registration_views import ALL, PARTS, SEES
from ledger.vouchers import Voucher
from tests.conftest import HOLDER, PARTIES, Town, compliance
from tests.ledger import registrations
from tests.web.conftest import Site

pytestmark = pytest.mark.pages

serial = count(1)
THEIRS = "0x4444444444444444444444444444444444444444"
WORDS = {"statement": "如申请", "proof": "见附件"}
FOUND = {"finding": "属实"}
# The tables that a conclusion writes: each of them in the one transaction, and in no other.
WRITTEN = {"applications", "registrations", "vouchers", "records", "acts"}
COVERED = 22  # days, in which a notice of ten working days ends


@dataclass
class Case:
    """A registration of olga's with its voucher, and a use that the bank was authorised to."""

    site: Site
    registered: Registration
    voucher: Voucher
    use: Authorisation

    @property
    def town(self) -> Town:
        return self.site.town

    def now(self, row: Any) -> Any:
        """The row as it stands now."""
        return registrations.row(self.town, type(row), row.id)

    def vouchers(self) -> list[Voucher]:
        """The registration vouchers, the eldest first."""
        wanted = select(Voucher).where(
            Voucher.registration_id == self.registered.id, Voucher.kind == "registration"
        )
        with self.town.reading() as session:
            return list(session.scalars(wanted.order_by(Voucher.id)))

    def uses_voucher(self) -> Voucher:
        found: Voucher = registrations.row(self.town, Voucher, self.now(self.use).voucher_id)
        return found

    def last_act(self, voucher: Voucher) -> str:
        """What was last put into the outbox about a voucher."""
        wanted = select(Act).where(Act.subject_id == voucher.id).order_by(Act.subject_version)
        with self.town.reading() as session:
            return [one.function for one in session.scalars(wanted)][-1]

    def apply(self, path: str, **body: Any) -> str:
        """olga applies; the number of her application."""
        whole = {**WORDS, **body}
        path = f"/registrations/{self.registered.code}/{path}"
        answer = self.site.visit("olga").api(path, whole, key=f"register-{next(serial)}")
        return str(answer.get_json()["answer"]["number"])

    def decide(self, login: str, path: str, body: Any = None, status: int = 200) -> Any:
        """A deed on what stands under a path, by somebody who has just read it."""
        visit = self.site.visit(login)
        seen = visit.read(path.rpartition("/")[0])["version"]
        key = f"register-{next(serial)}"
        return visit.api(path, body, status, seen=seen, key=key).get_json()

    def reviewed(self, number: str, receiver: str = "", notice: bool = False) -> str:
        """An application consented to, accepted, reviewed, and on notice long enough; its path."""
        path = f"/applications/{number}"
        if receiver:
            self.decide(receiver, f"{path}/consent")
        self.decide("rita", f"{path}/accept")
        review = {"formal": "齐全", "compliance": compliance()}
        self.decide("rita", f"{path}/review", review)
        if notice:
            self.decide("rita", f"{path}/notice")
            self.town.later(days=COVERED)
        return path


def case(site: Site, days: float = 0) -> Case:
    """One whose agreement, and so whose registration, ends in some days."""
    town = site.town
    if days:
        agreement = town.agreement(until_on=local_date(town.now) + timedelta(days=days))
        registered = registrations.registered_under(town, agreement)
    else:
        registered = town.registration()
    voucher = town.voucher(registered)
    use = town.authorisation("in_force", registered, valid_until=town.now + timedelta(days=50))
    return Case(site, registered, voucher, use)


@contextmanager
def transactions(town: Town) -> Iterator[list[set[str]]]:
    """Which of the tables each committed transaction wrote."""
    done: list[set[str]] = []
    writing: dict[int, set[str]] = {}

    def look(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words = statement.replace('"', "").split()
        if words[0] in ("INSERT", "UPDATE", "DELETE"):
            table = words[1] if words[0] == "UPDATE" else words[2]
            writing.setdefault(id(connection), set()).add(table)

    def end(connection: Any) -> None:
        done.append(writing.pop(id(connection), set()) & WRITTEN)

    engine = town.home.engine
    event.listen(engine, "before_cursor_execute", look)
    event.listen(engine, "commit", end)
    try:
        yield done
    finally:
        event.remove(engine, "before_cursor_execute", look)
        event.remove(engine, "commit", end)


def written(done: list[set[str]]) -> list[set[str]]:
    return [one for one in done if one]


# ---------------------------------------------------------------- the vouchers follow


def test_a_change_concluded_puts_a_new_voucher_in_the_place_of_the_old(site: Site) -> None:
    made = case(site)
    path = made.reviewed(made.apply("change", ground="product", title="新名称"), notice=True)
    with transactions(made.town) as done:
        made.decide("rita", f"{path}/conclude", FOUND)
    assert written(done) == [WRITTEN], "in one transaction"
    assert made.now(made.registered).title == "新名称"
    old, new = made.vouchers()
    assert (old.number, old.state, old.successors) == (
        made.voucher.number,
        "superseded",
        [new.number],
    )
    assert (new.state, new.predecessor) == ("valid", old.number)
    assert new.credential["credentialSubject"] != old.credential["credentialSubject"]
    assert made.last_act(old) == "supersede"
    assert made.now(made.use).state == "in_force", "what somebody consented to is not touched"
    assert made.uses_voucher().state == "valid"


def test_a_correction_concluded_does_so_too_and_needs_no_notice(site: Site) -> None:
    made = case(site)
    path = made.reviewed(made.apply("correct", ground="error", summary="更正后的摘要"))
    made.decide("rita", f"{path}/conclude", FOUND)
    assert [one.state for one in made.vouchers()] == ["superseded", "valid"]


def test_a_cancellation_concluded_cancels_the_voucher_and_ends_the_uses_under_it(
    site: Site,
) -> None:
    made = case(site)
    path = made.reviewed(made.apply("cancel", ground="given_up_or_expired"))
    with transactions(made.town) as done:
        made.decide("rita", f"{path}/conclude", FOUND)
    assert written(done) == [WRITTEN]
    assert made.now(made.registered).state == "cancelled"
    assert [one.state for one in made.vouchers()] == ["cancelled"]
    assert (made.now(made.use).state, made.uses_voucher().state) == ("ended", "cancelled")
    assert made.last_act(made.voucher) == made.last_act(made.uses_voucher()) == "cancel"


def test_a_renewal_concluded_prolongs_the_voucher(site: Site) -> None:
    made = case(site, days=80)
    made.town.later(days=21)
    before = made.now(made.registered).valid_until
    longer = made.town.agreement()
    path = made.reviewed(made.apply("renew", years=1, agreement=longer.number))
    made.decide("rita", f"{path}/conclude", FOUND)
    until = made.now(made.registered).valid_until
    assert until > before
    (voucher,) = made.vouchers()
    assert (voucher.number, voucher.state, voucher.valid_until) == (
        made.voucher.number, "valid", until
    )  # fmt: skip
    assert voucher.credential["validUntil"] == instant(until)
    assert made.last_act(voucher) == "renew"
    assert made.now(made.use).state == "in_force"


def test_a_transfer_concluded_gives_the_voucher_to_the_new_holder_and_ends_the_uses(
    site: Site,
) -> None:
    made = case(site)
    registrations.profile(made.town, "shenzhen")
    theirs = registrations.agreement_with(made.town, "mallory")
    bank = made.town.parties["bank"]
    number = made.apply(
        "transfer", party=PARTIES["bank"][2], address=THEIRS, agreement=theirs.number
    )
    path = made.reviewed(number, receiver="mallory", notice=True)
    with transactions(made.town) as done:
        made.decide("rita", f"{path}/conclude", FOUND)
    assert written(done) == [WRITTEN]
    registered = made.now(made.registered)
    assert (registered.party_id, registered.agreement_id) == (bank, theirs.id)
    (voucher,) = made.vouchers()
    assert (voucher.number, voucher.state) == (made.voucher.number, "valid")
    assert (voucher.party_id, voucher.holder_address) == (bank, THEIRS)
    assert voucher.former_indexes == [made.voucher.status_index], "the credential before is none"
    assert made.last_act(voucher) == "transfer"
    assert (made.now(made.use).state, made.uses_voucher().state) == ("ended", "cancelled")


def test_a_revocation_after_an_inquiry_revokes_the_voucher(site: Site) -> None:
    made = case(site)
    path = f"/registrations/{made.registered.code}"
    made.decide("rita", f"{path}/inquire", {"reason": "举报"})
    assert made.vouchers()[0].state == "valid", "while it is verified nothing is taken away"
    revocation = {"ground": "tampering", **FOUND}
    made.decide("rita", f"{path}/revoke", revocation, 403)
    with transactions(made.town) as done:
        made.decide("rob", f"{path}/revoke", revocation)
    assert written(done) == [WRITTEN - {"applications"}]
    assert made.now(made.registered).state == "revoked"
    assert [one.state for one in made.vouchers()] == ["revoked"]
    assert made.last_act(made.voucher) == "revoke"
    assert made.now(made.use).state == "ended"


# ---------------------------------------------------------------- what is frozen stays as it is


def _change(made: Case) -> str:
    return made.reviewed(made.apply("change", ground="product", title="新名称"), notice=True)


def _correction(made: Case) -> str:
    return made.reviewed(made.apply("correct", ground="error", summary="更正后的摘要"))


def _cancellation(made: Case) -> str:
    return made.reviewed(made.apply("cancel", ground="lost"))


def _renewal(made: Case) -> str:
    made.town.later(days=21)
    longer = made.town.agreement()
    return made.reviewed(made.apply("renew", years=1, agreement=longer.number))


def _transfer(made: Case) -> str:
    registrations.profile(made.town, "shenzhen")
    theirs = registrations.agreement_with(made.town, "mallory")
    number = made.apply(
        "transfer", party=PARTIES["bank"][2], address=THEIRS, agreement=theirs.number
    )
    return made.reviewed(number, receiver="mallory", notice=True)


READY: dict[str, tuple[Callable[[Case], str], float]] = {
    "change": (_change, 0), "correction": (_correction, 0), "cancellation": (_cancellation, 0),
    "renewal": (_renewal, 80), "transfer": (_transfer, 0),
}  # fmt: skip


@pytest.mark.parametrize("type_", READY)
def test_what_is_asked_of_a_frozen_registration_is_refused_whole(site: Site, type_: str) -> None:
    ready, days = READY[type_]
    made = case(site, days)
    path = ready(made)
    made.town.change("freeze", made.voucher)
    site.visit("rita")  # has a way to sign in before anything is compared
    before = made.town.snapshot()
    refusal = made.decide("rita", f"{path}/conclude", FOUND, 409)
    assert "冻结" in refusal["detail"]
    assert made.town.snapshot() == before, "neither register nor vouchers nor outbox"
    made.town.change("unfreeze", made.voucher)
    made.decide("rita", f"{path}/conclude", FOUND)


def test_a_frozen_voucher_is_revoked_all_the_same_when_its_registration_is(site: Site) -> None:
    made = case(site)
    path = f"/registrations/{made.registered.code}"
    made.decide("rita", f"{path}/inquire", {"reason": "举报"})
    made.town.change("freeze", made.voucher)
    made.decide("rob", f"{path}/revoke", {"ground": "false_material", **FOUND})
    (voucher,) = made.vouchers()
    assert (voucher.state, voucher.frozen, voucher.holder_address) == ("revoked", True, HOLDER)


# ---------------------------------------------------------------- who sees what, in which state


def _first(town: Town) -> Any:
    """olga applies together with the bank, which has consented."""
    facts = {**town.application_facts(), "joint": [town.party("bank")]}
    made = town.do("olga", registration.submit, **facts)
    town.do("mallory", registration.consent, made)
    return made


def _to(*verbs: str) -> Callable[[Town], Any]:
    """A first application taken through some verbs."""

    def make(town: Town) -> Any:
        made = _first(town)
        acts: dict[str, Callable[[], Any]] = {
            "return": lambda: town.do("rita", registration.send_back, made, ["安全评估"]),
            "refuse": lambda: town.do("rita", registration.refuse, made, "不符"),
            "accept": lambda: town.do("rita", registration.accept, made),
            "pass": lambda: town.do("rita", registration.pass_review, made, formal="齐全",
                                    compliance=compliance()),
            "notice": lambda: town.do("rita", registration.give_notice, made),
            "object": lambda: registrations.object_to(town, made, "anna"),
            "uphold": lambda: registrations.decide(town, made, "uphold"),
            "withdraw": lambda: town.do("olga", registration.withdraw, made, "另行申请"),
            "code": lambda: _coded(town, made),
        }  # fmt: skip
        for verb in verbs:
            acts[verb]()
        return made

    return make


def _coded(town: Town, made: Any) -> Any:
    town.later(days=COVERED)
    return town.do("rita", registration.code, made, registrations.agreement_of(town, made))


def _concluded(town: Town) -> Any:
    """A change of what two hold jointly."""
    registered = _to("accept", "pass", "notice")(town)
    registered = _coded(town, registered)
    made = registrations.apply(town, "change", registered)
    town.do("mallory", registration.consent, made)
    registrations.conclude(town, made)
    return made


def _asked_by_a_stranger(*verbs: str) -> Callable[[Town], Any]:
    """The bank's correction of what is olga's, taken through some verbs."""

    def make(town: Town) -> Any:
        made = registrations.apply(town, "correction", town.registration(), "mallory")
        acts: dict[str, Callable[[], Any]] = {
            "return": lambda: town.do("rita", registration.send_back, made, ["证据"]),
            "refuse": lambda: town.do("rita", registration.refuse, made, "不符"),
            "accept": lambda: town.do("rita", registration.accept, made),
            "pass": lambda: town.do("rita", registration.pass_review, made, formal="齐全",
                                    compliance=compliance()),
            # what a stranger wants corrected, two registrars look at
            "second": lambda: town.do("rob", registration.second, made, "属实"),
            "consent": lambda: town.do("olga", registration.consent, made),
            "withdraw": lambda: town.do("mallory", registration.withdraw, made, "另行申请"),
            "conclude": lambda: town.do("rita", registration_changes.conclude, made, "属实"),
        }  # fmt: skip
        for verb in verbs:
            acts[verb]()
        return made

    return make


def _registered(town: Town) -> Any:
    return _coded(town, _to("accept", "pass", "notice")(town))


def _inquired(town: Town) -> Any:
    made = _registered(town)
    registrations.inquire(town, made)
    return made


def _revoked(town: Town) -> Any:
    made = _inquired(town)
    town.do("rob", register.revoke, made, ground="tampering", finding="篡改")
    return made


def _cancelled(town: Town) -> Any:
    made = _inquired(town)
    town.do("rob", register.cancel, made, ground="lost", finding="灭失")
    return made


STAGES: dict[str, dict[str, Callable[[Town], Any]]] = {
    "application": {
        "submitted": _to(), "returned": _to("return"), "not_accepted": _to("refuse"),
        "in_review": _to("accept"), "reviewed": _to("accept", "pass"),
        "on_notice": _to("accept", "pass", "notice"),
        "objection_review": _to("accept", "pass", "notice", "object"),
        "terminated": _to("accept", "pass", "notice", "object", "uphold"),
        "withdrawn": _to("accept", "pass", "withdraw"),
        "registered": _to("accept", "pass", "notice", "code"),
        "concluded": _concluded,
    },
    "application of a stranger": {
        "submitted": _asked_by_a_stranger(), "returned": _asked_by_a_stranger("return"),
        "not_accepted": _asked_by_a_stranger("refuse"),
        "in_review": _asked_by_a_stranger("accept"),
        "reviewed": _asked_by_a_stranger("accept", "pass"),
        "withdrawn": _asked_by_a_stranger("accept", "pass", "withdraw"),
        "concluded": _asked_by_a_stranger("accept", "pass", "second", "consent", "conclude"),
    },
    "registration": {
        "registered": _registered, "under_inquiry": _inquired, "revoked": _revoked,
        "cancelled": _cancelled,
    },
}  # fmt: skip
# Who stands for which audience; the bank is a joint subject of what is registered.
EYES = {
    "application": {"registrar": "rob", "regulator": "gwen", "subject": "olga", "party": "mallory"},
    "application of a stranger": {
        "registrar": "rob", "regulator": "gwen", "stranger": "mallory", "party": "olga",
    },
    "registration": {
        "registrar": "rob", "regulator": "gwen", "subject": "olga", "exchange": "egon",
        "public": None,
    },
}  # fmt: skip
# Who may not ask for an application at all, and is told so.
SHUT_OUT = {"egon": 403, "paul": 403, "anna": 403, None: 401}
MODELS: dict[str, type[Application] | type[Registration]] = {
    "application": Application, "registration": Registration,
}  # fmt: skip


def test_every_state_has_its_stage() -> None:
    for noun, states in SEES.items():
        assert noun not in STAGES or set(STAGES[noun]) == set(states)
    # a correction goes on no notice, and is no registration
    unlike = {"on_notice", "objection_review", "terminated", "registered"}
    assert set(STAGES["application of a stranger"]) == set(SEES["application"]) - unlike


@pytest.mark.parametrize(
    ("what", "state"), [(what, state) for what, stages in STAGES.items() for state in stages]
)
def test_each_sees_what_the_table_shows_him_and_nothing_else(
    site: Site, what: str, state: str
) -> None:
    noun = what.split(maxsplit=1)[0]
    made = STAGES[what][state](site.town)
    row = registrations.row(site.town, MODELS[noun], made.id)
    assert row.state == state
    every = set(row.body())
    name = row.number if noun == "application" else row.code
    for audience, login in EYES[what].items():
        part = SEES[noun][state][audience]
        may_see = every if part == ALL else PARTS[noun][part] | {"id", "version"}
        shown = site.visit(login).read(f"/{noun}s/{name}")
        assert set(shown) == every | {"hidden", "history"}, audience
        assert set(shown["hidden"]) == every - may_see, audience
        for column in shown["hidden"]:
            assert not shown[column], (audience, column)
        for column in may_see - {
            "resource_ids"
        }:  # of these whoever asks sees those that exist for him
            assert shown[column] == row.body()[column], (audience, column)
    if noun == "application":
        for login, status in SHUT_OUT.items():
            site.visit(login).read(f"/applications/{name}", status)
        told = [one["number"] for one in site.visit().read("/notices")["items"]]
        assert (name in told) is (SEES[noun][state]["public"] == "notice")


def test_what_the_table_is_there_to_withhold(site: Site) -> None:
    """Said once in plain words, so that the table itself is tested."""
    town = site.town
    passed = _to("accept", "pass")(town)
    path = f"/applications/{passed.number}"
    assert site.visit("rob").read(path)["review"]["formal"] == "齐全"
    assert not site.visit("olga").read(path)["review"], "not before the registry has spoken"
    assert not site.visit("mallory").read(path)["materials"], "the applicant's own"
    town.do("rita", registration.give_notice, passed)
    assert site.visit("olga").read(path)["review"]["formal"] == "齐全"
    inquired = _inquired(town)
    path = f"/registrations/{inquired.code}"
    for login, sees_inquiry, sees_agreement in (
        (None, False, False), ("paul", False, False), ("egon", False, True), ("olga", True, True),
        ("mallory", True, True), ("gwen", True, True),
    ):  # fmt: skip
        shown = site.visit(login).read(path)
        assert shown["state"] == "under_inquiry"
        assert bool(shown["inquiry"]) is sees_inquiry, login
        assert bool(shown["agreement_id"]) is sees_agreement, login


def test_an_objection_is_told_to_both_sides_and_its_files_to_one(site: Site) -> None:
    town = site.town
    made = registrations.object_to(town, town.application("on_notice"), "anna")
    path = f"/objections/{made.number}"
    both = ("claim", "evidence", "state")
    for login in ("anna", "olga", "rob", "gwen"):
        shown = site.visit(login).read(path)
        assert all(shown[name] == getattr(made, name) for name in both), login
    assert site.visit("anna").read(path)["raised_by"] == made.raised_by
    assert not site.visit("olga").read(path)["raised_by"], "not who in the organisation raised it"
    for login, status in ((None, 401), ("egon", 403), ("pia", 403)):
        site.visit(login).read(path, status)
    town.do("rob", objections.dismiss, made, "不成立")
    assert site.visit("olga").read(path)["finding"] == "不成立"
