"""Vouchers: a credential anyone can check, one digest for the chain, and who stands in which state."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ledger import freezes, log, registration, vouchers
from ledger.calendar import local_date
from ledger.chain import outbox
from ledger.errors import Conflict, Invalid, Missing, NotAllowed, ProofFailed
from ledger.proof import credential as credentials
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import canonical, digest_text, instant
from ledger.vouchers import VERBS, Voucher
from tests.conftest import BASIS, CREDENTIAL_KEY, HOLDER, ORIGIN, PARTIES, Town
from webapp.deeds.offers import FITS

DID = credentials.did_key(CREDENTIAL_KEY.public_key().public_bytes_raw())


def issue(town: Town, registered: registration.Registration, **changes: Any) -> Voucher:
    facts = {
        "registration": registered, "holder": town.party("operator"), "holder_address": HOLDER,
        "origin": ORIGIN, "key": CREDENTIAL_KEY,
    }  # fmt: skip
    return town.do("rita", vouchers.issue, **{**facts, **changes})


def act_of(town: Town, voucher: Voucher, version: int) -> outbox.Act:
    with town.reading() as session:
        found = outbox.act_of(session, voucher.id, version)
        assert found is not None
        return found


def set_raw(session: Session, table: type[Any], row: Any, **values: Any) -> None:
    session.execute(update(table).where(table.id == row.id).values(**values))


@contextmanager
def undone(town: Town) -> Iterator[Session]:
    """A session whose deeds are looked at and then undone."""
    with Session(town.home.engine) as session:
        yield session
        session.rollback()


@pytest.fixture(scope="module")
def issued(village: Town) -> Voucher:
    return village.voucher()


# ---------------------------------------------------------------- the credential


def test_the_credential_is_signed_by_the_registry_and_says_what_is_registered(
    village: Town, issued: Voucher
) -> None:
    registered = village.get(registration.Registration, issued)
    assert credentials.verify_proof(issued.credential) == DID == issued.credential["issuer"]
    subject = issued.credential["credentialSubject"]
    assert (subject["number"], subject["log"]) == (issued.number, ORIGIN)
    assert subject["registration_code"] == registered.code
    assert subject["rights"] == ["use", "operating"] == issued.rights
    assert issued.credential["validUntil"] == instant(registered.valid_until)
    assert credentials.period(issued.credential) == (issued.valid_from, issued.valid_until)
    status = issued.credential["credentialStatus"]
    assert status["statusListIndex"] == str(issued.status_index)
    assert status["statusListCredential"] == vouchers.status_list_id(ORIGIN)


@pytest.mark.parametrize("field", ["number", "rights", "title", "registration_code", "nonce"])
def test_a_changed_word_breaks_the_credential(issued: Voucher, field: str) -> None:
    subject = {**issued.credential["credentialSubject"], field: "else"}
    with pytest.raises(ProofFailed):
        credentials.verify_proof({**issued.credential, "credentialSubject": subject})


def test_the_digest_is_of_the_signed_credential_and_goes_to_the_chain(
    village: Town, issued: Voucher
) -> None:
    digest = digest_text(canonical(issued.credential))
    assert issued.digest == digest
    act = act_of(village, issued, 1)
    assert act.arguments[0]["digest"] == "0x" + digest.removeprefix("sha256:")


def test_what_is_withheld_stands_nowhere_in_clear(village: Town, issued: Voucher) -> None:
    _, name, uscc = PARTIES["operator"]
    with village.reading() as session:
        payload = log.record_of(session, issued.id, 1).payload
        acts = session.scalars(select(outbox.Act).where(outbox.Act.subject_id == issued.id)).all()
        opened = vouchers.disclosures_of(session, issued)
    for text in (canonical(issued.credential).decode(), payload, str([a.arguments for a in acts])):
        assert name not in text
        assert uscc not in text
    assert {key: one["value"] for key, one in opened.items()} == {
        "holder_name": name, "holder_uscc": uscc,
    }  # fmt: skip
    withheld = issued.credential["credentialSubject"]["withheld"]
    for key, disclosure in opened.items():
        assert credentials.disclosure_digest(key, disclosure) == withheld[key]
        assert disclosure["salt"] not in payload
        forged = {**disclosure, "value": "别的公司"}
        assert credentials.disclosure_digest(key, forged) != withheld[key]


def test_two_vouchers_of_the_same_facts_differ(town: Town) -> None:
    first, second = town.voucher(), town.voucher()
    assert first.digest != second.digest
    assert first.status_index + 1 == second.status_index
    assert first.number != second.number
    nonces = {v.credential["credentialSubject"]["nonce"] for v in (first, second)}
    assert len(nonces) == 2


# ---------------------------------------------------------------- issuing


def test_a_voucher_issued_twice_is_the_same_voucher(town: Town) -> None:
    registered = town.registration()
    first = issue(town, registered)
    town.later(days=1)
    before = town.snapshot()
    assert issue(town, registered).id == first.id
    assert town.snapshot() == before
    with pytest.raises(Conflict, match=r"another address"):
        issue(town, registered, holder_address="0x" + "44" * 20)
    assert town.snapshot() == before


def test_after_a_revocation_a_new_voucher_may_be_issued(town: Town) -> None:
    registered = town.registration()
    first = issue(town, registered)
    town.change("revoke", first)
    second = issue(town, registered)
    assert (second.id, second.number) != (first.id, first.number)


def test_issuing_enqueues_what_the_contract_expects(village: Town, issued: Voucher) -> None:
    act = act_of(village, issued, 1)
    key = voucher_key(ORIGIN, issued.number).hex()
    assert (act.lane, act.contract, act.function) == ("registrar", "VoucherRegistry", "issue")
    assert (act.key, act.expected_version, act.state) == (key, 0, "waiting")
    assert act.arguments == [
        {
            "id": "0x" + key, "holder": HOLDER, "kind": 1, "rights": 2 + 4, "maxUses": 0,
            "validUntil": int(issued.valid_until.timestamp()), "reason": outbox.REASON,
            "digest": "0x" + issued.digest.removeprefix("sha256:"),
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"holder_address": "0x" + "00" * 20}, Invalid),
        ({"holder_address": "0x" + "ab" * 20}, Invalid),
        ({"holder_address": "0x12"}, Invalid),
        ({"holder_address": ""}, Invalid),
        ({"holder": "bank"}, Invalid),
    ],
)
def test_a_voucher_that_cannot_be_is_refused(
    town: Town, changes: dict[str, Any], refusal: type[Exception]
) -> None:
    registered = town.registration()
    if "holder" in changes:
        changes = {"holder": town.party("bank")}
    before = town.snapshot()
    with pytest.raises(refusal):
        issue(town, registered, **changes)
    assert town.snapshot() == before


def test_nothing_is_issued_on_an_expired_or_ended_registration(town: Town) -> None:
    registered = town.registration()
    now = town.now
    town.now = registered.valid_until + timedelta(seconds=1)
    with pytest.raises(Conflict, match=r"no voucher can be issued"):
        issue(town, registered)
    town.now = now
    with town.deed() as session:
        set_raw(session, registration.Registration, registered, state="revoked")
    with pytest.raises(Conflict, match=r"is revoked"):
        issue(town, registered)


def test_a_voucher_is_found_by_its_number_and_a_mistyped_one_is_told(
    village: Town, issued: Voucher
) -> None:
    with village.reading() as session:
        assert vouchers.by_number(session, issued.number.lower()).id == issued.id
        with pytest.raises(Missing):
            vouchers.by_number(session, registration.coded("PZ202603", 99))
        wrong = "0" if issued.number[-1] != "0" else "1"
        with pytest.raises(Invalid, match=r"mistyped"):
            vouchers.by_number(session, issued.number[:-1] + wrong)


# ---------------------------------------------------------------- changes of state


def lawful(state: str, frozen: bool, pledged: bool, verb: str) -> bool:
    """What the contract allows (`VoucherRegistry`): state and flags against each verb."""
    return {
        "suspend": state == "valid",
        "resume": state == "suspended" and not frozen,
        "revoke": True,
        "cancel": not frozen and not pledged,
        "freeze": not frozen,
        "unfreeze": frozen,
    }[verb]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("pledged", [False, True], ids=["free", "pledged"])
@pytest.mark.parametrize("frozen", [False, True], ids=["loose", "frozen"])
@pytest.mark.parametrize("state", ["valid", "suspended"])
def test_the_ledger_allows_of_each_verb_what_the_contract_allows(
    village: Town, issued: Voucher, state: str, frozen: bool, pledged: bool, verb: str
) -> None:
    with undone(village) as session:
        set_raw(session, Voucher, issued, state=state, frozen=frozen, pledged=pledged)
        row = session.get_one(Voucher, issued.id)
        login = "gwen" if verb in ("freeze", "unfreeze") else "rita"
        facts = (session, village.actors[login], village.now, row, verb, "依法", ORIGIN, BASIS)
        if not lawful(state, frozen, pledged, verb):
            with pytest.raises(Conflict):
                vouchers.change(*facts)
            assert (row.state, row.frozen, row.pledged) == (state, frozen, pledged)
            return
        vouchers.change(*facts)
        after = {"suspend": "suspended", "resume": "valid", "revoke": "revoked",
                 "cancel": "cancelled"}.get(verb, state)  # fmt: skip
        assert row.state == after
        assert row.frozen == (frozen if verb not in ("freeze", "unfreeze") else verb == "freeze")
        assert row.pledged == pledged


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("frozen", [False, True], ids=["loose", "frozen"])
@pytest.mark.parametrize("state", ["revoked", "cancelled", "superseded"])
def test_what_is_ended_stays_as_it_ended(
    village: Town, issued: Voucher, state: str, frozen: bool, verb: str
) -> None:
    """Only the freeze goes, from the one end that a frozen voucher can come to."""
    with undone(village) as session:
        set_raw(session, Voucher, issued, state=state, frozen=frozen)
        row = session.get_one(Voucher, issued.id)
        login = "gwen" if verb in ("freeze", "unfreeze") else "rita"
        facts = (session, village.actors[login], village.now, row, verb, "依法", ORIGIN, BASIS)
        if (state, frozen, verb) == ("revoked", True, "unfreeze"):
            vouchers.change(*facts)  # or its registration were barred for ever
            assert (row.state, row.frozen) == ("revoked", False)
            return
        with pytest.raises(Conflict):
            vouchers.change(*facts)
        assert (row.state, row.frozen) == (state, frozen)


def test_revoking_and_issuing_anew_does_not_get_round_a_freeze(town: Town) -> None:
    """A registration has no new voucher while one of its vouchers is frozen, ended or not."""
    registered = town.registration()
    first = issue(town, registered)
    town.change("freeze", first)
    town.change("revoke", first)
    before = town.snapshot()
    with pytest.raises(Conflict, match=f"Voucher {first.number} is frozen by the regulator"):
        issue(town, registered)
    with pytest.raises(NotAllowed):
        town.do("rita", vouchers.change, first, "unfreeze", "依法", ORIGIN, BASIS)
    assert town.snapshot() == before
    issue(town, town.registration())  # another registration is not barred
    town.change("unfreeze", first)
    second = issue(town, registered)
    with town.reading() as session:
        found = session.get_one(Voucher, first.id)
        assert (found.state, found.frozen) == ("revoked", False)
        assert [one.id for one in vouchers.in_force(session, registered)] == [second.id]


def test_a_registration_s_freezes_are_lifted_from_its_revoked_voucher_too(town: Town) -> None:
    registered = town.registration()
    first = issue(town, registered)
    given = {"basis": BASIS, "reason": "涉嫌造假", "origin": ORIGIN}
    town.do("gwen", freezes.change_all, registered, "freeze", **given)
    town.change("revoke", first)

    def offered() -> set[str]:
        with town.reading() as session:
            actor = town.actors["gwen"]
            row = session.get_one(registration.Registration, registered.id)
            today = local_date(town.now)
            verbs = ("registration.freeze", "registration.unfreeze")
            return {verb for verb in verbs if FITS[verb](session, actor, row, today)}

    assert offered() == {"registration.unfreeze"}
    made = town.do("gwen", freezes.change_all, registered, "unfreeze", **given)
    assert [one.number for one in made] == [first.number]
    assert offered() == set(), "what is revoked cannot be frozen"


def test_each_change_enqueues_one_act_at_the_version_before_it(town: Town) -> None:
    voucher = town.voucher()
    key = voucher_key(ORIGIN, voucher.number)
    for version, verb in enumerate(
        ("suspend", "resume", "freeze", "suspend", "unfreeze", "resume", "cancel"), start=1
    ):
        town.change(verb, voucher, f"理由 {version}")
        act = act_of(town, voucher, version + 1)
        assert (act.function, act.contract, act.lane) == (verb, "VoucherRegistry", "registrar")
        assert act.arguments == ["0x" + key.hex(), version, outbox.REASON]
        assert (act.expected_version, act.key) == (version, key.hex())
        with town.reading() as session:
            record = log.record_of(session, voucher.id, version + 1)
            payload = log.payload_of(record)
        assert (payload["kind"], payload["reason"]) == (f"voucher.{verb}", f"理由 {version}")
        assert payload["actor"] == town.actors["gwen" if "freeze" in verb else "rita"].member_id


@pytest.mark.parametrize("verb", VERBS)
def test_the_ground_must_be_stated(village: Town, issued: Voucher, verb: str) -> None:
    before = village.snapshot()
    with pytest.raises(Invalid, match=r"ground"):
        village.change(verb, issued, " ")
    assert village.snapshot() == before


def test_there_are_no_other_verbs(village: Town, issued: Voucher) -> None:
    with pytest.raises(Invalid, match=r"can be made to"):
        village.change("destroy", issued)


# ---------------------------------------------------------------- the status list


def test_the_status_list_says_every_state(town: Town) -> None:
    words = ["valid", "suspended", "revoked", "cancelled", "superseded", "lapsed", "frozen"]
    made = {word: town.voucher() for word in words}
    made["both"] = town.voucher()
    for word, verb in (("suspended", "suspend"), ("revoked", "revoke"), ("cancelled", "cancel"),
                       ("frozen", "freeze"), ("both", "suspend"), ("both", "freeze")):  # fmt: skip
        town.change(verb, made[word])
    with town.deed() as session:
        set_raw(session, Voucher, made["superseded"], state="superseded")
        set_raw(session, Voucher, made["lapsed"], valid_until=town.now - timedelta(seconds=1))
    published = town.publish_status()
    assert credentials.verify_proof(published.list_credential) == DID
    assert credentials.period(published.list_credential) == (
        town.now, town.now + timedelta(days=7),
    )  # fmt: skip
    for word, voucher in made.items():
        status = credentials.status_at(published.list_credential, voucher.status_index)
        assert credentials.status_word(status) == ("frozen" if word == "both" else word)
        if word == "both":
            assert status == credentials.FROZEN_BIT | 2, "suspended under the frost"
    beyond = max(v.status_index for v in made.values()) + 1
    assert credentials.status_word(credentials.status_at(published.list_credential, beyond)) == (
        "unlisted"
    )


def test_each_publication_is_a_record_of_one_list(town: Town) -> None:
    voucher = town.voucher()
    first = town.publish_status()
    town.later(days=3)
    town.change("suspend", voucher)
    second = town.publish_status()
    assert first.id == second.id
    with town.reading() as session:
        assert [r.kind for r in log.history(session, first.id)] == ["status.published"] * 2
        current = vouchers.current_status(session)
        assert current is not None
        assert current.published_at == town.now
        assert credentials.status_at(current.list_credential, voucher.status_index) == 2


def test_a_list_without_vouchers_can_be_published(town: Town) -> None:
    published = town.publish_status()
    assert credentials.status_at(published.list_credential, 0) == 0


def test_the_status_message_table_in_each_credential_names_the_words(issued: Voucher) -> None:
    table = issued.credential["credentialStatus"]["statusMessage"]
    assert [(one["message"], int(one["status"], 16)) for one in table] == [
        (word, number) for number, word in enumerate(credentials.STATUS_WORDS)
    ]
