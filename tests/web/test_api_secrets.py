"""Secrets of the API: told once, kept nowhere, not even as a digest."""

import json
import logging

import pytest
import structlog
from sqlalchemy import select

from ledger.store import Answer
from tests.web.conftest import PASSWORD, Site
from tests.web.examples import Request, fresh_member, serial
from tests.web.sending import problem, send
from webapp.deeds import DEEDS


def kept(site: Site) -> str:
    """Everything the database keeps, and every file of the home, as text."""
    rows = json.dumps(site.town.snapshot(), default=str)
    files = [
        path.read_bytes().decode(errors="replace")
        for path in site.town.home.path.rglob("*") if path.is_file()
    ]  # fmt: skip
    return rows + "".join(files)


def test_secrets_are_told_once_and_kept_nowhere(
    place: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    new = "nine bends of the river Min"
    login = fresh_member(place)
    with structlog.testing.capture_logs() as logged:
        key = f"secrets-{next(serial)}"
        token = Request(login, {}, {"name": "-", "scopes": ["read"], "days": 1})
        told = send(place, DEEDS["token.create"], token, key).get_json()["answer"]["secret"]
        again = send(place, DEEDS["token.create"], token, key).get_json()["answer"]
        assert "secret" not in again
        change = Request(login, {}, {"old": PASSWORD, "new": new})
        assert send(place, DEEDS["password.change"], change, f"{key}-p").status_code == 201
        wrong = Request(login, {}, {"old": "not the old one", "new": new + "!"})
        problem(send(place, DEEDS["password.change"], wrong, f"{key}-w"), 400)
        reset = Request("admin", {"login": login})
        once = send(place, DEEDS["member.reset"], reset, f"{key}-r").get_json()["answer"]
        again = send(place, DEEDS["member.reset"], reset, f"{key}-r").get_json()["answer"]
        assert again == {"login": login}
    secrets = (told, once["one_time_password"], PASSWORD, new, "not the old one")
    everywhere = kept(place) + caplog.text + repr(logged)
    assert not [secret for secret in secrets if secret in everywhere]


def test_a_password_is_not_even_kept_as_a_digest_of_the_request(place: Site) -> None:
    """Who steals the table of answers could try passwords against it, much faster than argon2id."""
    digests = []
    for new in ("nine bends of the river", "lotus pond at dusk"):
        login, key = fresh_member(place), f"digest-{next(serial)}"
        request = Request(login, {}, {"old": PASSWORD, "new": new})
        assert send(place, DEEDS["password.change"], request, key).status_code == 201
        with place.town.reading() as session:
            wanted = select(Answer.request_digest).where(Answer.key.like(f"%{key}"))
            digests.append(session.scalars(wanted).one())
    assert digests[0] == digests[1]


def test_a_one_time_password_opens_nothing_but_its_own_change(place: Site) -> None:
    login = fresh_member(place, "operator")
    reset = Request("admin", {"login": login})
    once = send(place, DEEDS["member.reset"], reset, f"reset-it-{next(serial)}").get_json()[
        "answer"
    ]
    visit = place.visit(login)
    problem(visit.client.get("/api/v1/me"), 403)
    problem(visit.api("/deposits", status=None), 403)
    visit.read("/log")  # as everybody may
    change = {"old": once["one_time_password"], "new": "nine bends of the river"}
    visit.api("/password", change)
    place.visit(login).read("/me")
