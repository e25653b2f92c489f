"""The site over a town: the cast signed in, on both databases; what goes to the chain stays waiting."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ledger.chain.keys import write_durably
from tests.conftest import CREDENTIAL_KEY, LOG_KEY, Town
from webapp import accounts
from webapp.deeds import Desk
from webapp.site import create_app, site_secret

PASSWORD = "correct horse battery 7"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
SEEN = re.compile(r'name="seen" value="([^"]*)"')


@cache
def password_hash() -> str:
    """What is kept of everybody's password; made once, since that is slow on purpose."""
    return accounts.hash_password(PASSWORD)


class Keys:
    """The service keys of a town."""

    def signer(self, role: str) -> Any:
        return {"credential": CREDENTIAL_KEY, "log": LOG_KEY}[role]


class Visit:
    """A browser of one person (or of nobody): pages, forms, and the API with his session."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.count = 0

    def get(self, path: str, status: int = 200, **more: Any) -> str:
        answer = self.client.get(path, **more)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-2000:])
        return answer.text

    def post(
        self, path: str, data: dict[str, Any] | None = None, status: int = 303, **more: Any
    ) -> Any:
        """Submit a form as the page shows it: with its token and the version it shows."""
        page = self.client.get(more.pop("page", path)).text
        token, seen = TOKEN.search(page), SEEN.search(page)
        given = {"csrf_token": token[1] if token else "", "seen": seen[1] if seen else ""}
        answer = self.client.post(path, data={**given, **(data or {})}, **more)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-3000:])
        return answer

    def api(
        self, path: str, body: Any = None, status: int | None = 201, *, seen: int | None = None,
        key: str | None = None, method: str = "POST", **more: Any,
    ) -> Any:  # fmt: skip
        """Write through the API; a fresh Idempotency-Key unless one is given."""
        self.count += 1
        headers = {
            "Idempotency-Key": key or f"test-{id(self):x}-{self.count}",
            **more.pop("headers", {}),
        }
        if seen is not None:
            headers["If-Match"] = f'"{seen}"'
        answer = self.client.open(
            f"/api/v1{path}", method=method, json=body, headers=headers, **more
        )
        assert status is None or answer.status_code == status, (
            path,
            answer.status_code,
            answer.text,
        )
        return answer

    def read(self, path: str, status: int = 200) -> Any:
        """Read from the API."""
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.get_json()


class Site:
    """A town with its web site; everybody has the same password."""

    def __init__(self, town: Town, app: Flask | None = None) -> None:
        """`app`: of a site that ended, to serve this town; making one takes longer than most tests."""
        self.town = town
        town.home.path.mkdir(exist_ok=True)
        self.desk = Desk(town.home, lambda: "-", lambda: town.now)
        self.desk.__dict__["keyring"] = Keys()
        self.app = create_app(self.desk) if app is None else app
        self.app.extensions["desk"] = self.desk
        self.app.config["SECRET_KEY"] = site_secret(town.home.path)
        for limiter in self.app.extensions["limiter"]:
            limiter.reset()
        self.hash = password_hash()

    def visit(self, login: str | None = None) -> Visit:
        """A browser with a session of the member, or of nobody."""
        client = self.app.test_client()
        if login is not None:
            with self.town.deed() as session:
                known = accounts.sign_in_of(session, self.town.actors[login].member_id)
                if known.password_hash is None:
                    accounts.store_password(session, known.member_id, self.hash, self.town.now)
                epoch = known.epoch
            with client.session_transaction() as cookie:
                cookie["_user_id"] = f"{self.town.actors[login].member_id} {epoch}"
                cookie["_fresh"] = True
        return Visit(client)


_ended: list[Flask] = []


def site_of(town: Town) -> Iterator[Site]:
    made = Site(town, _ended.pop() if _ended else None)
    yield made
    _ended.append(made.app)


@pytest.fixture
def site(town: Town) -> Iterator[Site]:
    """A site of a test's own."""
    yield from site_of(town)


@pytest.fixture(scope="module")
def common_site(village: Town) -> Iterator[Site]:
    """A site that a module shares."""
    yield from site_of(village)


class Chain:
    """What the chain's node answers about a statement that was proposed, and about a checker's key."""

    def call(self, _contract: str, _address: str, function: str, *_arguments: Any) -> Any:
        return {
            "CHECKER_ROLE": b"\1" * 32, "hasRole": True, "nonces": 0, "verify": (True, 1, 1),
        }[function]  # fmt: skip


@pytest.fixture(scope="module")
def place(common_site: Site) -> Iterator[Site]:
    """The site with a chain that answers about statements; what is sent there stays in the outbox."""
    common_site.desk.gateway = Chain  # type: ignore[assignment,method-assign]
    folder = common_site.town.home.path / "keys"
    folder.mkdir()
    for role, key in (("log", LOG_KEY), ("credential", CREDENTIAL_KEY)):
        public = key.public_key().public_bytes_raw().hex()
        write_durably(folder / f"{role}.json", {"public": public, "role": role})
    yield common_site
    common_site.town.home.close()
