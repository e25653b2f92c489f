"""Bank accounts: two people change where money goes, the old one is seen beside the new."""

import pytest
from sqlalchemy.orm import Session

from ledger import bank_accounts, log
from ledger.bank_accounts import BankAccount
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.parties import add_individual
from tests.conftest import Town
from tests.ledger.paying import CODES, DIGITS, account, account_facts, now

pytestmark = pytest.mark.pages  # on PostgreSQL slowly
CARD = "6222020000000000000"


def test_an_account_is_entered_confirmed_and_superseded(town: Town) -> None:
    first = account(town, login="olga", confirmed=False)
    assert (first.number, first.state, first.masked) == (
        "ZH2026-000001",
        "entered",
        "*" * 12 + "7890",
    )
    assert account(town, login="olga", confirmed=False).id == first.id, "the same again is the same"
    town.do("carl", bank_accounts.confirm, first)
    second = account(town, account_number="80009999")
    assert (now(town, first).state, second.supersedes) == ("superseded", first.id)
    with town.reading() as session:
        assert bank_accounts.of(session, town.parties["operator"]).id == second.id
        kinds = [one.kind for one in log.history(session, first.id)]
    assert kinds == ["bank_account.entered", "bank_account.confirmed", "bank_account.superseded"]


def test_who_entered_it_does_not_confirm_it(town: Town) -> None:
    made = account(town, login="max", confirmed=False)
    before = town.snapshot()
    for login, verb in (("max", bank_accounts.confirm), ("mona", bank_accounts.confirm),
                        ("olga", bank_accounts.confirm)):  # fmt: skip
        with pytest.raises(NotAllowed):
            town.do(login, verb, made)
    with pytest.raises(NotAllowed):
        town.do("max", bank_accounts.reject, made, "x")
    with pytest.raises(NotAllowed):  # another organisation's
        account(town, login="mallory", confirmed=False)
    assert town.snapshot() == before
    town.do("carl", bank_accounts.confirm, made)
    with pytest.raises(Conflict):
        town.do("carl", bank_accounts.confirm, made)


def test_the_new_one_is_shown_beside_the_one_that_holds(town: Town) -> None:
    first = account(town)
    waiting = account(town, confirmed=False, account_number="80009999")
    with town.reading() as session:
        fresh = session.get_one(BankAccount, waiting.id)
        assert bank_accounts.before(session, fresh).id == first.id
    with pytest.raises(Conflict, match=waiting.number):
        account(town, confirmed=False, account_number="80008888")
    town.do("mona", bank_accounts.withdraw, waiting, "写错")
    account(town, account_number="80008888")


@pytest.mark.parametrize(
    ("party", "changes", "said"),
    [
        ("operator", {"account_number": "12ab5678"}, "8 to 32 digits"),
        ("operator", {"account_number": "1234567"}, "7 characters"),
        ("operator", {"kind": "card", "account_number": CARD[:-1] + "1"}, "check digit"),
        ("operator", {"kind": "card", "account_number": "123456789012"}, "16 to 19 digits"),
        ("operator", {"holder_name": " ", "bank": ""}, "holder_name is empty; the field bank is"),
        ("operator", CODES, "leave unit_code empty; only a public body"),
        ("bureau", {"unit_code": "", "item_code": "1 2"}, "unit_code is missing; the field item_code"),
        ("operator", {"holder_name": "=公司"}, "holder_name begins with =, which a spreadsheet"),
        ("operator", {"kind": "purse"}, "one of account, card"),
    ],
)  # fmt: skip
def test_every_fault_is_named_at_once_and_never_the_number(
    village: Town, party: str, changes: dict[str, str], said: str
) -> None:
    before = village.snapshot()
    with pytest.raises(Invalid, match=said) as refusal:
        account(village, party, confirmed=False, **changes)
    given = account_facts(party, **changes)["account_number"]
    assert given not in str(refusal.value) + repr(refusal.value.as_dict())
    assert village.snapshot() == before


def test_a_card_s_check_digit_and_a_spelling_with_spaces_are_taken(town: Town) -> None:
    made = account(town, kind="card", account_number=f" {CARD[:4]} {CARD[4:8]}-{CARD[8:]} ")
    assert made.account_number == CARD
    assert account(town, "bureau").item_code == CODES["item_code"]


def test_a_natural_person_s_account_is_not_taken_in(town: Town) -> None:
    with town.deed() as session:
        person = add_individual(session, "system", town.now)
    with pytest.raises(Invalid, match="personal data"):
        town.do("mona", bank_accounts.enter, person, **account_facts())


def test_the_database_keeps_one_confirmed_account_of_a_party(town: Town) -> None:
    first, second = account(town), account(town, confirmed=False, account_number="80009999")

    def force(session: Session, *_: object) -> None:
        session.get_one(BankAccount, second.id).state = "confirmed"
        session.flush()

    with pytest.raises(Conflict, match="IntegrityError"):
        town.do("mona", force)
    assert now(town, first).state == "confirmed"


def test_a_holder_of_another_name_than_the_party_s_is_told(town: Town) -> None:
    other = account(town, confirmed=False)
    name = town.party("bureau").name
    same = account(town, "bureau", confirmed=False, holder_name=f" {name[:2]} {name[2:]}")
    with town.reading() as session:
        assert bank_accounts.holder_differs(session, other)
        assert not bank_accounts.holder_differs(session, same)


def test_who_reads_the_number(town: Town) -> None:
    made = account(town)
    seers = {
        login for login, actor in town.actors.items() if bank_accounts.sees_number(actor, made)
    }
    assert seers == {"mona", "carl", "cora", "max", "olga", "opal", "otto"}
    assert made.account_number == DIGITS["operator"] not in made.masked
