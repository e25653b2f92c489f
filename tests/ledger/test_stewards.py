"""Data stewards: one chief at a time, members only, named and relieved with a day."""

from datetime import date
from typing import Any

import pytest

from ledger import log, parties, stewards
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, NotAllowed
from tests.conftest import Town
from tests.ledger.organisations import member


def name(town: Town, who: str, login: str, post: str = "chief", **more: Any) -> stewards.Steward:
    facts = {"party": town.party("bureau"), "from_on": local_date(town.now), **more}
    return town.do(who, stewards.name, member=member(town, login), post=post, **facts)


def test_a_body_has_one_chief_at_a_time_and_several_stewards(town: Town) -> None:
    chief = name(town, "admin", "paul")
    name(town, "paul", "gwen", "steward")
    name(town, "paul", "paul", "steward")
    with pytest.raises(Conflict, match="has a chief"):
        name(town, "paul", "gwen")
    with pytest.raises(Conflict, match="already"):
        name(town, "paul", "gwen", "steward")
    town.do("paul", stewards.relieve, chief, local_date(town.now))
    name(town, "paul", "gwen")
    with town.reading() as session:
        held = stewards.in_force(session, [town.parties["bureau"]])
    assert [one.post for one in held] == ["chief", "steward", "steward"]


def test_only_who_acts_for_a_body_has_a_post_there(town: Town) -> None:
    with pytest.raises(Invalid, match="Only a member"):
        name(town, "admin", "olga")
    with pytest.raises(NotAllowed):  # a provider of another body
        name(town, "pia", "paul")
    with pytest.raises(Invalid, match="still to come"):
        name(town, "admin", "paul", from_on=date(2030, 1, 1))


def test_the_last_day_lies_between_the_first_and_today(town: Town) -> None:
    chief = name(town, "admin", "paul")
    for day in (date(2020, 1, 1), date(2030, 1, 1)):
        with pytest.raises(Invalid, match="last day"):
            town.do("admin", stewards.relieve, chief, day)


def test_a_record_names_no_person(town: Town) -> None:
    made = name(town, "admin", "paul")
    with town.reading() as session:
        [record] = log.history(session, made.id)
        names = {account.display_name for account in session.query(parties.Account)}
    assert not [one for one in names if one in record.payload and len(one) > 3]
