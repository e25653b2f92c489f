"""Asking another registry over the network: what it may answer, and what we keep of it."""

import http.server
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ledger import peers
from ledger.errors import Invalid
from ledger.peers import Visit
from tests.conftest import Town
from tests.ledger.neighbours import Neighbour, admitted, recognise, standing
from tests.proof.world import serve
from webapp import following


class Site(http.server.ThreadingHTTPServer):
    """A registry's site: `answer` says what it sends back, `asked` what it was asked."""

    daemon_threads = True
    status = 200
    content = b""
    headers: dict[str, str] = {}
    drip_s = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site = self.server
        site.asked.append(self.path)
        self.send_response(site.status)
        for name, value in site.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if site.drip_s:
                for _ in range(200):
                    self.wfile.write(b"x")
                    self.wfile.flush()
                    time.sleep(site.drip_s)
            self.wfile.write(site.content)
        except OSError:
            pass  # the one who asked hung up

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def site_of(town: Town, near: Neighbour) -> Iterator[Site]:
    """The registry's site, where an administrator said that it is."""
    with town.reading() as session:
        peer = peers.find(session, near.origin)
    site = Site()
    with serve(site) as url:
        town.do("admin", peers.reach, peer, site=url)
        yield site


@pytest.fixture
def near(town: Town) -> Neighbour:
    made = Neighbour(town)
    admitted(town, made)
    return made


def visit(town: Town, near: Neighbour, limit_s: float = 5) -> int:
    return following.visit(town.home, near.origin, lambda: town.now, limit_s)


def problem(town: Town, near: Neighbour) -> str | None:
    with town.reading() as session:
        told = session.get_one(Visit, near.origin).problem
        return None if told is None else str(told["template"].format_map(told["facts"]))


def test_a_fetched_list_changes_what_it_says_and_the_next_visit_waits(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    with site_of(town, near) as site, town.reading() as session:
        site.content = near.listed(3, hours=1)
        assert peers.due(session, town.now) == [near.origin]
        assert visit(town, near) == 1
        assert visit(town, near) == 0
    assert site.asked == ["/api/v1/status"] * 2
    assert standing(town, made) == "revoked"
    assert problem(town, near) is None
    with town.reading() as session:
        assert peers.due(session, town.now) == []
    town.later(seconds=61)
    with town.reading() as session:
        assert peers.due(session, town.now) == [near.origin]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, "HTTP 302"),
        ({"status": 500, "content": b"<script>secret</script>"}, "HTTP 500"),
        ({"content": b"<html>secret</html>"}, "no status list"),
        ({"content": b"x" * (following.LIST_BYTES_MAX + 1)}, "larger than"),
        ({"content": b'{"credentialSubject":{"encodedList":"secret"}}'}, "no status list"),
    ],
)
def test_an_answer_that_is_no_list_is_named_and_never_shown(
    town: Town, near: Neighbour, answer: dict[str, Any], told: str
) -> None:
    made = recognise(town, near.bundle)
    with site_of(town, near) as site:
        for name, value in answer.items():
            setattr(site, name, value)
        assert visit(town, near) == 0
    found = problem(town, near)
    assert found is not None
    assert told in found
    assert "secret" not in found
    assert site.asked == ["/api/v1/status"], "a redirect is not followed"
    assert standing(town, made) == "valid"


def test_who_drips_is_left_in_time_and_asked_less_and_less_often(
    town: Town, near: Neighbour
) -> None:
    recognise(town, near.bundle)
    with site_of(town, near) as site:
        site.drip_s = 0.1
        begun = time.monotonic()
        visit(town, near, limit_s=1)
        assert time.monotonic() - begun < 4
    assert problem(town, near) == "The registry did not answer within 1 s."
    visit(town, near)
    assert problem(town, near) == "The registry cannot be reached."
    for wait_s, due in ((61, []), (180, [near.origin])):
        town.later(seconds=wait_s)
        with town.reading() as session:
            assert peers.due(session, town.now) == due


def test_an_older_list_and_one_by_another_key_are_not_taken_over(
    town: Town, near: Neighbour
) -> None:
    made = recognise(town, near.bundle)
    with site_of(town, near) as site:
        site.content = near.listed(2, hours=2)
        assert visit(town, near) == 1
        site.content = near.listed(1, hours=1)
        assert visit(town, near) == 0
        assert "a newer one" in str(problem(town, near))
        site.content = Neighbour(town, near.origin, "thief").listed(1, hours=3)
        assert visit(town, near) == 0
        assert "vouches for" in str(problem(town, near))
    assert standing(town, made) == "suspended"


def test_a_suspended_registry_is_not_asked(town: Town, near: Neighbour) -> None:
    with site_of(town, near) as site:
        with town.reading() as session:
            peer = peers.find(session, near.origin)
        town.do("rita", peers.suspend, peer, "核查")
        assert visit(town, near) == 0
        with town.reading() as session:
            assert peers.due(session, town.now) == []
    assert site.asked == []


@pytest.mark.parametrize(
    "url",
    ["ftp://x.example", "file:///etc/passwd", "http://a:b@x.example", "http://", "gopher://x"],
)
def test_only_an_address_of_the_web_is_asked(town: Town, near: Neighbour, url: str) -> None:
    with town.reading() as session:
        peer = peers.find(session, near.origin)
    with pytest.raises(Invalid, match="is not an address"):
        town.do("admin", peers.reach, peer, site=url)
