"""The thinnest path through the site: sign in, deposit by page and API, read it back."""

import io

from tests.web.conftest import PASSWORD, Site


def test_who_signs_in_with_his_password_sees_his_work(site: Site) -> None:
    site.visit("olga")  # her password is set
    visit = site.visit()
    assert visit.post("/sign-in", {"login": "olga", "password": "wrong"}, 401)
    visit.post("/sign-in", {"login": "olga", "password": PASSWORD})
    assert "Olga" in visit.get("/work")
    visit.post("/sign-out", page="/work")
    visit.get("/work", 303)


def test_a_deposit_by_page_and_the_same_by_api_is_one(site: Site) -> None:
    visit = site.visit("olga")
    visit.post("/deposits/new", {"file": (io.BytesIO(b"a,b\n1,2\n"), "a.csv")})
    [found] = visit.read("/deposits")["items"]
    answer = visit.api("/deposits", data={"file": (io.BytesIO(b"a,b\n1,2\n"), "a.csv")}).get_json()
    assert answer["answer"]["id"] == found["id"]
    assert answer["receipt"] is None, "nothing new was recorded"
