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


def test_a_threshold_that_was_raised_holds_after_thirty_days(town: Town) -> None:
    def lowest(*chosen: str) -> int:
        for value in chosen:
            with town.deed() as session:
                settings.change(session, town.actors["admin"], "third_approval_yuan", value)
        with town.reading() as session:
            return settings.lowest(session, "third_approval_yuan", town.now)

    assert lowest() == 1_000_000
    assert lowest("9000000") == 1_000_000, "the default held until now"
    assert lowest("500") == 500
    assert lowest("7000", "8000") == 500
    town.later(days=30)
    assert lowest() == 8000
    assert lowest("9000", "8500") == 8000
    town.later(days=31)
    assert lowest() == 8500


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
