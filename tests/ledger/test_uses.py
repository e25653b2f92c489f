"""Authorised use: consent, the voucher of it, and uses that are counted exactly as often as granted."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ledger import authorisations, log, uses, vouchers
from ledger.authorisations import Authorisation
from ledger.chain.outbox import Act
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.party_codes import check_uscc
from ledger.proof import credential as credentials
from ledger.uses import Use
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN, Town

SCENE = "贷前审查"
PROCESSES, THREADS = 2, 10
CLIENT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from ledger import parties, uses
from ledger.errors import Conflict
from ledger.vouchers import Voucher
from webapp.home import Home

ATTEMPTS = 20
path, voucher_id, at, name, count = sys.argv[1:]
home, now = Home(Path(path)), datetime.fromisoformat(at)

def once(n):
    for attempt in range(ATTEMPTS):
        try:
            with home.deed(now) as session:
                actor = parties.actor_by_login(session, "olga")
                uses.count(session, actor, now, session.get_one(Voucher, voucher_id),
                           scene="贷前审查", count=1, reference=f"{name}-{n}")
        except Conflict as error:
            if "was granted for" in error.sentence:
                return "refused"
            told = error.sentence
            if "nothing was stored" not in told:
                break  # else a machine too busy, or another one first: a client tries again
        else:
            return "counted"
    return told

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(int(count)) as pool:
    print(",".join(pool.map(once, range(int(count)))))
"""


def effective(town: Town, row: Authorisation) -> Voucher:
    """The voucher of an authorisation, as the worker leaves it once the chain has it."""
    with town.deed() as session:
        voucher_id = session.get_one(Authorisation, row.id).voucher_id
        for act in session.scalars(select(Act).where(Act.subject_id == voucher_id)):
            act.state, act.confirmed_at = "effective", town.now
        assert voucher_id is not None
        return session.get_one(Voucher, voucher_id)


@pytest.fixture
def allowed(town: Town) -> tuple[Authorisation, Voucher]:
    """Ida has allowed three uses, and the chain knows it."""
    row = town.authorisation("in_force")
    return row, effective(town, row)


def count(town: Town, voucher: Voucher, who: str = "olga", **changes: Any) -> Use:
    facts = {"scene": SCENE, "count": 1, "reference": "R-1", **changes}
    return town.do(who, uses.count, voucher, **facts)


def total(town: Town, voucher: Voucher) -> int:
    with town.reading() as session:
        return uses.counted(session, voucher.id)


# ---------------------------------------------------------------- consent


def test_nobody_but_the_subject_consents_and_no_voucher_comes_before(town: Town) -> None:
    row = town.authorisation()
    for login in ("olga", "mallory", "rita", "gwen"):
        with pytest.raises(NotAllowed):
            town.do(login, authorisations.consent, row)
    with pytest.raises(Conflict, match="requested"):
        town.do("rita", authorisations.issue, row, town.issuer())
    town.do("ida", authorisations.refuse, row)
    with pytest.raises(Conflict, match="refused"):
        town.do("ida", authorisations.consent, row)


def test_another_subject_has_no_say(town: Town) -> None:
    row = town.authorisation()
    town.subject("ivo")
    with pytest.raises(NotAllowed):
        town.do("ivo", authorisations.consent, row)


def test_an_authorisation_stays_within_its_registration(town: Town) -> None:
    registered = town.registration()
    with pytest.raises(Conflict, match="no valid voucher"):
        town.authorisation(registered=registered)
    town.voucher(registered)
    late = registered.valid_until + timedelta(days=1)
    with pytest.raises(Invalid) as caught:
        town.authorisation(registered=registered, valid_until=late, max_uses=0, scene=" ",
                           provider=town.subject())  # fmt: skip
    told = caught.value.sentence
    for fault in ("must be three", "grant 1 to", "registration ends on", "scene"):
        assert fault in told


def test_no_person_is_named_in_a_payload_or_in_the_credential(town: Town) -> None:
    row = town.authorisation("in_force")
    voucher = effective(town, row)
    text = str(voucher.credential)
    for party in ("ida", "operator", "bank"):
        named = town.party(party)
        assert named.name not in text
        assert named.uscc not in text
    with town.reading() as session:
        payloads = "".join(session.scalars(select(log.Record.payload)))
        withheld = vouchers.disclosures_of(session, session.get_one(Voucher, voucher.id))
    assert "Ida" not in payloads, "her name stands in her account only"
    subject = voucher.credential["credentialSubject"]
    assert (subject["scene"], subject["max_uses"], subject["kind"]) == (SCENE, 3, "authorised_use")
    assert set(withheld) == set(subject["withheld"]) >= {"provider_uscc", "subject_uscc"}
    for name, disclosure in withheld.items():
        assert credentials.disclosure_digest(name, disclosure) == subject["withheld"][name]


def test_a_persons_code_has_a_check_character_and_is_no_credit_code(town: Town) -> None:
    code = town.subject().uscc
    assert check_uscc(code.lower()) == code
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    with pytest.raises(Invalid, match="check character"):
        check_uscc(wrong)


# ---------------------------------------------------------------- uses


def test_each_use_is_a_record_and_the_limit_holds(town: Town, allowed: Any) -> None:
    _, voucher = allowed
    first = count(town, voucher)
    assert (first.n, first.total) == (1, 1)
    count(town, voucher, count=2, reference="R-2")
    before = town.snapshot()
    with pytest.raises(Conflict, match="granted for 3 uses; 3 are used"):
        count(town, voucher, reference="R-3")
    assert town.snapshot() == before, "what is refused changes nothing"
    with town.reading() as session:
        assert [one.kind for one in log.history(session, first.id)] == ["use.counted"]


def test_the_same_reference_counts_once(town: Town, allowed: Any) -> None:
    _, voucher = allowed
    assert count(town, voucher).id == count(town, voucher).id
    assert total(town, voucher) == 1
    with pytest.raises(Conflict, match="other facts"):
        count(town, voucher, count=2)


@pytest.mark.parametrize("who", ["mallory", "paul", "rita", "ida", "egon"])
def test_only_the_provider_counts(town: Town, allowed: Any, who: str) -> None:
    with pytest.raises(NotAllowed):
        count(town, allowed[1], who)


def test_outside_scene_or_term_nothing_is_counted(town: Town, allowed: Any) -> None:
    _, voucher = allowed
    with pytest.raises(Conflict, match="for the scene"):
        count(town, voucher, scene="催收")
    town.later(days=91)
    with pytest.raises(Conflict, match="nothing may be used now"):
        count(town, voucher)
    assert total(town, voucher) == 0


def test_before_the_chain_has_it_nothing_is_counted(town: Town) -> None:
    row = town.authorisation("in_force")
    with town.reading() as session:
        voucher = session.get_one(Voucher, session.get_one(Authorisation, row.id).voucher_id)
    with pytest.raises(Conflict, match="not yet effective"):
        count(town, voucher)


@pytest.mark.parametrize("verb", ["suspend", "freeze", "revoke", "cancel"])
def test_what_is_not_valid_is_not_used(town: Town, allowed: Any, verb: str) -> None:
    town.change(verb, allowed[1])
    with pytest.raises(Conflict, match="nothing may be used under it"):
        count(town, allowed[1])


@pytest.mark.parametrize(("before", "ends"), [("", "cancelled"), ("suspend", "cancelled"),
                                              ("freeze", "revoked")])  # fmt: skip
def test_a_withdrawal_ends_the_voucher_in_the_same_deed(
    town: Town, allowed: Any, before: str, ends: str
) -> None:
    row, voucher = allowed
    count(town, voucher)
    if before:
        town.change(before, voucher)
    town.do("ida", authorisations.withdraw, row, ORIGIN)
    with town.reading() as session:
        found = session.get_one(Voucher, voucher.id)
        assert (found.state, found.used) == (ends, 1), "the use counted before stands on chain too"
        last = log.payload_of(log.history(session, voucher.id)[-1])
    assert last["reason"] == authorisations.WITHDRAWN
    with pytest.raises(Conflict):
        count(town, voucher, reference="R-2")


def test_uses_are_posted_once_a_round_for_each_voucher(town: Town, allowed: Any) -> None:
    _, voucher = allowed
    for n in range(2):
        count(town, voucher, reference=f"R-{n}")
    with town.deed() as session:
        assert uses.post(session, town.now, ORIGIN, "system") == 1
    with town.deed() as session:
        assert uses.post(session, town.now, ORIGIN, "system") == 0
        act = session.scalars(
            select(Act).where(Act.subject_id == voucher.id, Act.subject_version == 2)
        ).one()
    assert (act.function, act.arguments[1:3]) == ("addUses", [1, 2])


def test_twenty_clients_in_two_processes_have_exactly_what_was_granted(town: Town) -> None:
    row = town.authorisation("in_force", max_uses=7)
    voucher = effective(town, row)
    command = [sys.executable, "-c", CLIENT, str(town.home.path), voucher.id, town.now.isoformat()]
    clients = [
        subprocess.Popen(
            [*command, name, str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in "ABCDEFGH"[:PROCESSES]
    ]
    for one in clients:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in clients:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    outcomes = [word for one in clients for word in one.communicate()[0].strip().split(",")]
    assert [one.returncode for one in clients] == [0] * PROCESSES
    assert sorted(outcomes) == ["counted"] * 7 + ["refused"] * (PROCESSES * THREADS - 7)
    with town.reading() as session:
        rows = session.scalars(
            select(Use).where(Use.voucher_id == voucher.id).order_by(Use.n)
        ).all()
    assert [(one.n, one.total) for one in rows] == [(n, n) for n in range(1, 8)]
    assert len({one.reference for one in rows}) == 7, "who tried again was counted once"
