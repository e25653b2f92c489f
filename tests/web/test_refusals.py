"""Refusals that say what would do: the days there are, the state that is needed."""

import pytest

from tests.web.conftest import Site
from tests.web.sending import problem

pytestmark = pytest.mark.pages


def test_a_day_on_which_no_period_ended_is_answered_with_those_that_did(site: Site) -> None:
    made = site.town.statement("proposed")
    [agreement] = site.visit("mona").read("/agreements")["items"]
    path = f"/api/v1/agreements/{agreement['number']}/finance?until=2020-01-01"
    told = problem(site.visit("mona").client.get(path), 404, "missing")
    assert told["detail"].endswith(
        f"2020-01-01 为末日的期间；最近各期间的末日为：{made.until_on}。"
    )


def test_what_is_not_proposed_nobody_is_asked_to_sign(site: Site) -> None:
    made = site.town.statement("drafted")
    path = f"/api/v1/statements/{made.number}/approval-request"
    problem(site.visit("carl").client.get(path), 409, "conflict")
