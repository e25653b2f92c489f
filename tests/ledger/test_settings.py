"""Settings: chosen by an administrator, each change a record."""

import pytest

from ledger import log, settings
from ledger.errors import Invalid, Missing, NotAllowed
from tests.conftest import Town


def test_without_a_choice_the_default_holds(village: Town) -> None:
    with village.reading() as session:
        assert settings.value(session, "log_readers") == "public"
        assert settings.value(session, "confirmations") == "12"


def test_a_choice_holds_and_every_change_is_a_record(town: Town) -> None:
    for value in ("3", "0", "0"):
        with town.deed() as session:
            row = settings.change(session, town.actors["admin"], "confirmations", value)
    with town.reading() as session:
        assert settings.value(session, "confirmations") == "0"
        kinds = [record.kind for record in log.history(session, row.id)]
    assert kinds == ["setting.changed"] * 2, "the same again changes nothing"


def test_the_greatest_that_may_be_chosen_can_be_chosen(village: Town) -> None:
    for name, choice in settings.CHOICES.items():
        if choice.most:
            assert choice.check(str(choice.most)) == str(choice.most), name
            with pytest.raises(Invalid):
                choice.check(str(choice.most + 1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confirmations", "-1"), ("confirmations", "1001"), ("confirmations", "03"),
        ("confirmations", ""), ("confirmations", "٣"), ("confirmations", "1.0"),
        ("log_readers", "everybody"), ("log_readers", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_refused(village: Town, name: str, value: str) -> None:
    with village.reading() as session, pytest.raises(Invalid):
        settings.change(session, village.actors["admin"], name, value)


def test_who_is_no_administrator_may_not_choose(village: Town) -> None:
    with village.reading() as session, pytest.raises(NotAllowed):
        settings.change(session, village.actors["rita"], "confirmations", "1")


def test_an_unknown_setting_is_missing(village: Town) -> None:
    with village.reading() as session, pytest.raises(Missing, match="confirmations, log_readers"):
        settings.change(session, village.actors["admin"], "colour", "red")
