"""What a stranger may bring about at another's registration, and what he may not."""

from datetime import timedelta

import pytest

from ledger import registration, registration_changes
from ledger.errors import Conflict, NotAllowed
from ledger.registration import Application, Registration
from tests.conftest import Town, compliance
from tests.ledger import registrations
from tests.ledger.registrations import apply, passed, row


@pytest.fixture
def shenzhen(town: Town) -> Town:
    """A town whose registry works by the rules that have every type."""
    registrations.profile(town, "shenzhen")
    return town


@pytest.mark.parametrize("type_", ["correction", "objection"])
def test_the_subject_s_own_registrar_does_not_decide_on_what_a_stranger_asks_for(
    shenzhen: Town, type_: str
) -> None:
    town = shenzhen
    asked = apply(town, type_, town.registration(), "mallory")
    with pytest.raises(NotAllowed, match=r"own organisation"):
        town.do("otto", registration.accept, asked)
    with pytest.raises(NotAllowed, match=r"own organisation"):
        town.do("otto", registration.refuse, asked, "不受理", "title_dispute")
    town.do("rita", registration.accept, asked)
    with pytest.raises(NotAllowed, match=r"own organisation"):
        town.do("otto", registration.pass_review, asked, formal="全", compliance=compliance())
    passing = {"formal": "全", "compliance": compliance()}
    town.do("rita", registration.pass_review, asked, **passing)
    with pytest.raises((NotAllowed, Conflict)):
        town.do("otto", registration_changes.conclude, asked, "属实")
    assert row(town, Application, asked.id).state == "reviewed"


def test_what_a_stranger_asks_for_holds_up_nothing_of_the_subject_s(town: Town) -> None:
    registered = town.registration()
    asked = apply(town, "correction", registered, "mallory")
    town.do("rita", registration.send_back, asked, ["证据"])  # and he never mends it
    town.now = registered.valid_until - timedelta(days=30)
    renewal = apply(town, "renewal", registered)
    with pytest.raises(Conflict, match=r"is still open"):
        apply(town, "change", registered)
    with pytest.raises(Conflict, match=r"is still open"):
        apply(town, "correction", registered, "mallory")
    passed(town, renewal)
    town.do("rita", registration_changes.conclude, renewal, "属实")
    assert row(town, Registration, registered.id).valid_until > registered.valid_until
