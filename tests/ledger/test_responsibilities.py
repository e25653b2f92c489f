"""The responsibility list: what each department answers for, and what of it is late."""

from datetime import timedelta

import pytest

from ledger import demands
from ledger.calendar import local_date
from ledger.errors import NotAllowed
from ledger.responsibilities import responsibilities
from tests.conftest import Town
from tests.ledger.lists import demand, raised, resource


def test_it_counts_resources_by_cycle_and_names_what_is_owed_and_late(town: Town) -> None:
    row = resource(town, 11, "企业登记基本信息", ["企业名称"])
    resource(town, 12, "公交站点", ["站名"], update_cycle="monthly")
    resource(town, 13, "公交线路", ["线名"], update_cycle=None)
    accepted, waiting = demand(town), demand(town)
    town.do("paul", demands.accept, accepted, resource=row, mode="file",
            by_on=local_date(town.now) + timedelta(days=60))  # fmt: skip
    feedback = raised(town, row)
    town.later(days=15)
    with town.reading() as session:
        found = responsibilities(session, town.actors["rita"], local_date(town.now))
    assert [one.name for one in found] == ["市数据局"]
    assert list(found[0].cycles.items()) == [("daily", 1), ("monthly", 1), ("", 1)]
    owed = {one.number: (one.noun, one.state, one.days_late) for one in found[0].owed}
    assert owed == {
        accepted.number: ("demand", "accepted", 0),
        waiting.number: ("demand", "assigned", 1),
        feedback.number: ("feedback", "raised", 1),
    }
    assert len(found[0].late) == 2


def test_a_provider_sees_his_own_line_and_others_nothing(town: Town) -> None:
    resource(town, 11, "企业登记基本信息", ["企业名称"])
    resource(town, 12, "网点", ["网点"], provider="城市商业银行")
    today = local_date(town.now)
    with town.reading() as session:
        for login, names in (
            ("paul", ["市数据局"]), ("pia", ["城市商业银行"]), ("gwen", ["城市商业银行", "市数据局"]),
        ):  # fmt: skip
            found = responsibilities(session, town.actors[login], today)
            assert sorted(one.name for one in found) == names
        with pytest.raises(NotAllowed):
            responsibilities(session, town.actors["olga"], today)
