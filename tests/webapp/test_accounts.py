"""The door's data: passwords and lock-out, tokens, single sign-on; also with many hands at once."""

import random
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAuthenticated
from ledger.parties import Member
from ledger.proof.encoding import instant
from ledger.rights import MAY
from tests.conftest import Town
from webapp import accounts
from webapp.accounts import Attempt, SignIn

GOOD, OTHER, BAD = "lotus pond at dusk", "nine bends of the river", "not this one either"
GOOD_HASH = accounts.hash_password(GOOD)


def with_password(town: Town, login: str = "olga", password_hash: str = GOOD_HASH) -> str:
    """A member who has a password; his id."""
    member_id = town.actors[login].member_id
    with town.deed() as session:
        accounts.store_password(session, member_id, password_hash, town.now)
    return member_id


def begin(town: Town, login: str = "olga") -> Attempt:
    with town.deed() as session:
        return accounts.begin_attempt(session, login, town.now)


def finish(town: Town, attempt: Attempt) -> SignIn:
    with town.deed() as session:
        return accounts.finish_attempt(session, attempt, town.now)


def sign_in(town: Town, login: str = "olga", password: str = GOOD) -> SignIn:
    """The three moves."""
    attempt = begin(town, login)
    attempt.check(password)
    return finish(town, attempt)


def row_of(town: Town, login: str = "olga") -> SignIn:
    with town.reading() as session:
        return session.get_one(SignIn, town.actors[login].member_id)


def refused(town: Town, login: str, password: str) -> str:
    with pytest.raises(NotAuthenticated) as caught:
        sign_in(town, login, password)
    return caught.value.sentence


def take_roles(town: Town, login: str) -> None:
    with town.deed() as session:
        session.get_one(Member, town.actors[login].member_id).roles = []


# ---------------------------------------------------------------- what a password must be


def faults_of(password: str, login: str = "olga") -> list[str]:
    try:
        accounts.check_strength(password, login)
    except Invalid as error:
        return error.facts["faults"].sentences(str)
    return []


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short pw", "fewer than 10 characters"),
        ("a1b2c3d4e" * 23, "more than 200 characters"),
        ("dear OLGA, come in", "the login stands in it"),
        ("dear ｏｌｇａ, come in", "the login stands in it"),  # full-width
        ("aaaaaaaaaaaa", "fewer than 4 different characters"),
        ("1212121212", "fewer than 4 different characters"),
        ("abcdefghijkl", "follow one another"),
        ("9876543210", "follow one another"),
        ("Password123!", "one of the commonest"),
        ("１２３４５６７８９０", "one of the commonest"),
        ("QWERTYUIOP", "one of the commonest"),
    ],
)
def test_a_password_easy_to_guess_is_refused(password: str, fault: str) -> None:
    assert any(fault in one for one in faults_of(password)), faults_of(password)


def test_all_that_is_wrong_with_a_password_is_said_at_once() -> None:
    assert len(faults_of("olga", "olga")) == 2
    assert len(faults_of("", "olga")) == 2


@pytest.mark.parametrize(
    "password", [GOOD, OTHER, "荷塘月色下的十里长堤好风光", "x7-k2!mQ9z", "a" * 190 + "bcd"]
)
def test_a_good_password_is_taken(password: str) -> None:
    assert faults_of(password) == []


def test_a_login_of_two_letters_spoils_no_password() -> None:
    assert faults_of("walking home in the rain", "wa") == []


@given(st.text(max_size=250), st.text(max_size=12))
def test_what_is_taken_is_long_enough_and_strange_to_the_login(password: str, login: str) -> None:
    if not faults_of(password, login):
        assert len(set(password)) >= 4
        assert len(login) < 3 or login.casefold() not in password.casefold()


@given(st.text(st.characters(), max_size=30))  # half characters too
def test_any_text_has_a_spelling_that_can_be_hashed(password: str) -> None:
    accounts._spelled(password).encode()


def test_a_one_time_password_is_strong_and_easy_to_type() -> None:
    made = [accounts.one_time_password() for _ in range(200)]
    assert len(set(made)) == 200
    for one in made:
        assert re.fullmatch(r"([2-9a-hj-km-np-z]{4}-){3}[2-9a-hj-km-np-z]{4}", one)
        assert faults_of(one) == []
    assert len(set(accounts.ONE_TIME_LETTERS)) ** 16 > 2**70


def test_one_check_costs_enough_and_not_too_much() -> None:
    """The figures are the parameters'; the time only has to be of that order on any machine."""
    assert not accounts.HASHER.check_needs_rehash(accounts.DUMMY_HASH)
    assert GOOD_HASH.startswith("$argon2id$v=19$m=47104,t=2,p=1$")
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        Attempt("nobody").check(BAD)
        spent.append(time.perf_counter() - start)
    assert 0.005 < min(spent) < 1


def test_an_unknown_login_costs_the_time_of_a_known_one() -> None:
    def spent(password_hash: str | None) -> float:
        start = time.perf_counter()
        Attempt("olga", "id", "", password_hash).check(BAD)
        return time.perf_counter() - start

    known, unknown = (statistics.median(spent(one) for _ in range(5)) for one in (GOOD_HASH, None))
    assert 1 / 3 < known / unknown < 3


# ---------------------------------------------------------------- signing in


def test_the_right_password_opens(town: Town) -> None:
    member_id = with_password(town)
    row = sign_in(town)
    assert (row.member_id, row.failed_count, row.locked_until) == (member_id, 0, None)
    assert row.epoch


def test_full_width_digits_are_the_digits(town: Town) -> None:
    with_password(town, password_hash=accounts.hash_password("lotus pond 2026"))
    assert sign_in(town, password="lotus pond ２０２６")


def test_who_has_no_account_no_password_or_no_role_hears_what_a_wrong_password_hears(
    town: Town,
) -> None:
    with_password(town)
    with_password(town, "paul")
    take_roles(town, "paul")
    said = {
        refused(town, "olga", BAD),
        refused(town, "nobody", GOOD),
        refused(town, "ol\x00ga", GOOD),
        refused(town, "\ud800", GOOD),
        refused(town, "", ""),
        refused(town, "rita", GOOD),  # never had a password
        refused(town, "paul", GOOD),  # the right one, but he is here no longer
    }
    assert said == {accounts.WRONG}


def test_a_failure_stays_counted_and_a_success_takes_the_count_back(town: Town) -> None:
    with_password(town)
    for _ in range(3):
        begin(town)
    assert row_of(town).failed_count == 3
    sign_in(town)
    assert (row_of(town).failed_count, row_of(town).locked_until) == (0, None)


def test_after_five_failures_even_the_right_password_waits_a_quarter_of_an_hour(town: Town) -> None:
    with_password(town)
    for _ in range(5):
        refused(town, "olga", BAD)
    until = town.now + timedelta(minutes=15)
    attempt = begin(town)
    assert attempt.refusal is not None
    assert attempt.refusal.facts == {"until": instant(until)}
    assert attempt.check(GOOD) is False
    with pytest.raises(NotAuthenticated, match="locked until"):
        finish(town, attempt)
    town.later(minutes=15, seconds=-1)
    assert begin(town).refusal is not None
    assert row_of(town).locked_until == until, "who is refused does not prolong the lock"
    town.later(seconds=1)
    assert sign_in(town).failed_count == 0


def test_after_a_lock_each_further_failure_locks_again(town: Town) -> None:
    with_password(town)
    for _ in range(5):
        begin(town)
    for _ in range(3):
        town.later(minutes=15)
        assert begin(town).refusal is None
        assert begin(town).refusal is not None


def test_another_s_failures_do_not_count_for_me(town: Town) -> None:
    with_password(town)
    for _ in range(6):
        begin(town, "rita")
        begin(town, "nobody")
    assert begin(town, "rita").refusal is not None
    assert begin(town, "nobody").refusal is None
    assert sign_in(town)


@pytest.mark.parametrize("seed", range(2))
def test_the_lock_does_what_a_simple_model_does(town: Town, seed: int) -> None:
    with_password(town)
    dice, failures, until = random.Random(seed), 0, town.now
    for _ in range(60):
        town.later(minutes=dice.choice([0, 0, 0, 4, 15]))
        right = dice.random() < 0.15
        attempt = begin(town)
        assert (attempt.refusal is not None) == (town.now < until)
        if attempt.refusal is not None:
            continue
        failures += 1
        if failures >= 5:
            until = town.now + timedelta(minutes=15)
        if right:
            assert attempt.check(GOOD)
            finish(town, attempt)
            failures, until = 0, town.now


def test_twenty_guesses_at_once_get_five_checks_and_after_the_lock_one(town: Town) -> None:
    with_password(town)

    def guess(_: int) -> bool:
        attempt = begin(town)
        assert attempt.check(BAD) is False
        return attempt.refusal is None

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(guess, range(20))) == 5
        assert sum(pool.map(guess, range(10))) == 0
        town.later(minutes=15)
        assert sum(pool.map(guess, range(20))) == 1
    assert row_of(town).failed_count == 6


def test_the_first_row_of_a_member_is_made_once_by_many(town: Town) -> None:
    def ask(_: int) -> str:
        with town.deed() as session:
            return accounts.sign_in_of(session, town.actors["rita"].member_id).epoch

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1


def test_an_attempt_counts_for_one_check() -> None:
    attempt = Attempt("olga", "id", "", GOOD_HASH)
    attempt.check(BAD)
    with pytest.raises(AssertionError):
        attempt.check(GOOD)


def test_an_attempt_that_was_not_checked_opens_nothing(town: Town) -> None:
    with_password(town)
    with pytest.raises(NotAuthenticated):
        finish(town, begin(town))


@pytest.mark.parametrize("what", ["store_password", "end_sessions"])
def test_an_attempt_begun_before_the_password_changed_or_sessions_ended_opens_nothing(
    town: Town, what: str
) -> None:
    member_id = with_password(town)
    attempt = begin(town)
    assert attempt.check(GOOD)
    with town.deed() as session:
        if what == "end_sessions":
            accounts.end_sessions(session, member_id)
        else:
            accounts.store_password(session, member_id, GOOD_HASH, town.now)
    with pytest.raises(NotAuthenticated):
        finish(town, attempt)


def test_a_hash_of_other_parameters_is_renewed_when_its_password_is_known(town: Town) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    with_password(town, password_hash=old)
    before = row_of(town).epoch
    refused(town, "olga", BAD)
    assert row_of(town).password_hash == old
    first, second = begin(town), begin(town)  # in two windows at once
    assert first.check(GOOD)
    assert second.check(GOOD)
    finish(town, first)
    finish(town, second)
    row = row_of(town)
    assert row.password_hash != old
    assert not accounts.HASHER.check_needs_rehash(row.password_hash or "")
    assert row.epoch == before, "no session ends by it"
    assert sign_in(town)


def test_neither_password_nor_hash_stands_in_what_is_printed(town: Town) -> None:
    with_password(town)
    attempt = begin(town)
    attempt.check(GOOD)
    assert GOOD not in repr(attempt)
    assert "argon2" not in repr(attempt)


# ---------------------------------------------------------------- changing it


def test_a_new_password_ends_sessions_lifts_the_lock_and_may_have_to_be_changed(town: Town) -> None:
    member_id = with_password(town)
    for _ in range(5):
        begin(town)
    epoch = row_of(town).epoch
    with town.deed() as session:
        accounts.set_password(session, member_id, OTHER, town.now, must_change=True)
    row = row_of(town)
    assert row.epoch != epoch
    assert (row.failed_count, row.locked_until, row.must_change) == (0, None, True)
    assert row.password_changed_at == town.now
    assert sign_in(town, password=OTHER).must_change
    assert refused(town, "olga", GOOD) == accounts.WRONG


def test_a_weak_password_and_nobody_s_are_not_set(town: Town) -> None:
    with town.deed() as session:
        with pytest.raises(Invalid):
            accounts.set_password(session, town.actors["olga"].member_id, "olga", town.now)
        with pytest.raises(Missing):
            accounts.set_password(session, "nobody", GOOD, town.now)


def test_who_knows_the_old_password_may_choose_another_strong_one(town: Town) -> None:
    with_password(town)
    attempt = begin(town)
    assert attempt.check(GOOD)
    epoch = finish(town, attempt).epoch

    def change(password: str) -> SignIn:
        password_hash = accounts.hash_password(password)
        with town.deed() as session:
            return accounts.change_password(session, attempt, password, password_hash, town.now)

    with pytest.raises(Invalid, match="is the old one"):
        change(GOOD)
    with pytest.raises(Invalid, match="too easy"):
        change("olga")
    assert (row_of(town).epoch, row_of(town).failed_count) == (epoch, 0)
    row = change(OTHER)
    assert (row.epoch != epoch, row.must_change) == (True, False)
    with pytest.raises(NotAuthenticated):
        change(BAD)  # the attempt knew the password before the last
    assert sign_in(town, password=OTHER)


def test_who_does_not_know_the_old_password_changes_nothing(town: Town) -> None:
    with_password(town)
    attempt = begin(town)
    attempt.check(BAD)
    before = row_of(town).password_hash
    with pytest.raises(NotAuthenticated), town.deed() as session:
        accounts.change_password(session, attempt, OTHER, GOOD_HASH, town.now)
    assert row_of(town).password_hash == before


# ---------------------------------------------------------------- tokens


def make_token(town: Town, login: str = "olga", **changes: Any) -> tuple[accounts.ApiToken, str]:
    facts: dict[str, Any] = {"name": "报表", "scopes": ["read"], "days": 30, "now": town.now}
    with town.deed() as session:
        return accounts.create_token(
            session, town.actors[login].member_id, **{**facts, **changes}
        )  # fmt: skip


def found(town: Town, secret: str, at: datetime | None = None) -> accounts.ApiToken | None:
    with town.reading() as session:
        return accounts.find_token(session, secret, at or town.now)


def test_a_token_is_found_by_its_secret_which_is_not_kept(town: Town) -> None:
    token, secret = make_token(town, scopes=["read", "application", "read"], name=" 月度  报表 ")
    assert re.fullmatch(r"sz_[A-Za-z0-9_-]{43}", secret)
    known = found(town, secret)
    assert known is not None
    assert (known.id, known.name, known.scopes) == (token.id, "月度 报表", ["application", "read"])
    assert found(town, secret[:-1]) is None
    assert found(town, "") is None
    assert found(town, "\ud800") is None
    assert secret not in str(town.snapshot())
    assert secret[3:] not in str(town.snapshot())


def test_a_token_ends_with_its_time_its_revocation_or_its_member_s_roles(town: Town) -> None:
    token, secret = make_token(town, days=1)
    end = town.now + timedelta(days=1)
    assert found(town, secret, end - timedelta(seconds=1)) is not None
    assert found(town, secret, end) is None
    olga = town.actors["olga"].member_id
    at = town.now
    for _ in range(2):  # a second time changes nothing
        with town.deed() as session:
            assert accounts.revoke_token(session, olga, token.id, town.now).revoked_at == at
        assert found(town, secret, at) is None
        town.later(minutes=1)
    _, secret = make_token(town, "paul")
    assert found(town, secret) is not None
    take_roles(town, "paul")
    assert found(town, secret) is None


@pytest.mark.parametrize("days", [0, 367, -1])
def test_a_token_with_nothing_right_is_refused_with_all_that_is_wrong(
    town: Town, days: int
) -> None:
    with pytest.raises(Invalid) as caught:
        make_token(town, name="x" * 61, scopes=["read", "everything"], days=days)
    assert set(caught.value.facts["faults"].by_place(str)) == {"name", "scopes", "days"}
    for wrong in ({"scopes": []}, {"name": "  "}, {"name": "a\x00b"}):
        with pytest.raises(Invalid):
            make_token(town, **wrong)


def test_the_scopes_are_reading_and_the_nouns_of_the_verbs() -> None:
    assert {"read", "application", "voucher", "licence"} <= accounts.SCOPES
    assert {verb.split(".")[0] for verb in MAY} | {"read"} == accounts.SCOPES


def test_of_thirty_tokens_made_at_once_twenty_live(town: Town) -> None:
    def make(_: int) -> str:
        try:
            return make_token(town)[0].id
        except Conflict:
            return ""

    with ThreadPoolExecutor(10) as pool:
        made = sorted(filter(None, pool.map(make, range(30))), reverse=True)
    assert len(made) == 20
    olga = town.actors["olga"].member_id
    with town.reading() as session:
        assert [token.id for token in accounts.tokens_of(session, olga)] == made
    with pytest.raises(Conflict):
        make_token(town)
    make_token(town, "paul")
    with town.deed() as session:
        accounts.revoke_token(session, olga, made[0], town.now)
    make_token(town)
    town.later(days=31)
    make_token(town)  # those that ran out do not count either


def test_nobody_revokes_another_s_token(town: Town) -> None:
    token, secret = make_token(town)
    for member, id_ in (("paul", token.id), ("olga", "nothing")):
        with pytest.raises(Missing), town.deed() as session:
            accounts.revoke_token(session, town.actors[member].member_id, id_, town.now)
    assert found(town, secret) is not None


def test_a_use_is_noted_once_an_hour(town: Town) -> None:
    token, secret = make_token(town)

    def use() -> bool:
        with town.deed() as session:
            return accounts.note_use(session, token.id, town.now)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: use(), range(8))) == 1
    first = town.now
    town.later(minutes=59)
    assert use() is False
    known = found(town, secret)
    assert known is not None
    assert (known.last_used_at, accounts.use_is_due(known, town.now)) == (first, False)
    town.later(minutes=1)
    assert accounts.use_is_due(known, town.now)
    assert use() is True


# ---------------------------------------------------------------- single sign-on

ISSUER = "https://sso.example"


def link(town: Town, login: str, subject: str = "u-1", issuer: str = ISSUER) -> None:
    with town.deed() as session:
        accounts.link_oidc(session, town.actors[login].member_id, issuer, subject)


def linked(town: Town, subject: str = "u-1", issuer: str = ISSUER) -> str | None:
    with town.reading() as session:
        return accounts.member_by_oidc(session, issuer, subject)


def test_an_identity_is_one_member_s_until_it_is_let_go(town: Town) -> None:
    olga, paul = (town.actors[login].member_id for login in ("olga", "paul"))
    assert linked(town) is None
    link(town, "olga")
    link(town, "olga")
    assert linked(town) == olga
    assert linked(town, issuer="https://other.example") is None
    with pytest.raises(Conflict):
        link(town, "paul")
    with town.deed() as session:
        accounts.unlink_oidc(session, olga)
    assert linked(town) is None
    link(town, "paul")
    assert linked(town) == paul
    link(town, "paul", "u-2")
    assert (linked(town), linked(town, "u-2")) == (None, paul)
    take_roles(town, "paul")
    assert linked(town, "u-2") is None


def test_of_four_who_take_an_identity_at_once_one_has_it(town: Town) -> None:
    def take(login: str) -> str:
        try:
            link(town, login)
        except LedgerError as error:
            return error.code
        return "linked"

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(take, ("olga", "paul", "rita", "anna")))
    assert told == ["conflict"] * 3 + ["linked"]
    with town.reading() as session:
        assert len(session.scalars(select(SignIn).where(SignIn.oidc_subject == "u-1")).all()) == 1


def test_a_link_leaves_the_password_alone_and_a_password_the_link(town: Town) -> None:
    link(town, "olga")
    member_id = with_password(town)
    assert linked(town) == member_id
    assert sign_in(town)
