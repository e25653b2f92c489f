"""Single sign-on against a real provider: Authlib's own server side, on a loopback port.

The site is asked by the test client, the provider by HTTP, as a browser would. What the provider says of
a person is signed here, so that each test can spoil it in one place.
"""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from werkzeug.serving import make_server

from ledger.errors import Invalid
from ledger.parties import Member
from tests.conftest import Town
from tests.web.conftest import PASSWORD, Site, Visit
from webapp import accounts, oidc
from webapp.oidc import settings_of

pytestmark = pytest.mark.pages

CLIENT_ID, SECRET = "shuzheng", "a-secret-of-the-provider-and-the-site"
TIMEOUT_S = 10
ONWARD = re.compile(r'content="0; url=([^"]+)"')
NAME = "政务统一身份认证"
ROUTES = (
    ("GET", "/sign-in/oidc"), ("GET", "/sign-in/oidc/callback"), ("GET", "/identity"),
    ("POST", "/identity/link"), ("POST", "/identity/unlink"),
)  # fmt: skip


class Client(ClientMixin):  # type: ignore[misc]  # Authlib is untyped
    """The site, as the provider knows it."""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return "http://localhost/sign-in/oidc/callback"

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.get_default_redirect_uri()

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method.startswith("client_secret_")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A code that was given out, and for what."""

    def __init__(self, code: str, request: Any) -> None:
        asked = request.payload
        self.code, self.user, self.nonce = code, request.user, asked.data.get("nonce")
        self.redirect_uri, self.scope = asked.redirect_uri, asked.scope
        self.code_challenge = asked.data.get("code_challenge")
        self.code_challenge_method = asked.data.get("code_challenge_method")

    def get_redirect_uri(self) -> Any:
        return self.redirect_uri

    def get_scope(self) -> Any:
        return self.scope

    def get_nonce(self) -> Any:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Provider:
    """A provider on a port of its own, at which whoever comes is `user` and agrees."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.forged = RSAKey.generate_key(2048, {"kid": "one"})
        self.app = Flask("provider")
        self.server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.issuer = f"http://127.0.0.1:{self.server.port}"
        self.reset()
        self._enter()

    def reset(self) -> None:
        """As it is when nobody spoils anything."""
        self.user, self.agrees = "u-1", True
        self.codes: dict[str, Code] = {}
        self.claims: dict[str, Any] = {}
        self.signing: tuple[str, Any] = ("RS256", self.key)
        self.discovery: Any = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }  # fmt: skip
        self.token_without: tuple[str, ...] = ()

    def _enter(self) -> None:
        provider = self

        class Grant(AuthorizationCodeGrant):  # type: ignore[misc]
            def save_authorization_code(self, code: str, request: Any) -> Code:
                provider.codes[code] = Code(code, request)
                return provider.codes[code]

            def query_authorization_code(self, code: str, client: Any) -> Code | None:
                return provider.codes.get(code)

            def delete_authorization_code(self, code: Code) -> None:
                del provider.codes[code.code]

            def authenticate_user(self, code: Code) -> Any:
                return code.user

        class SpoiltOpenId(OpenIDCode):  # type: ignore[misc]
            def exists_nonce(self, nonce: str, request: Any) -> bool:
                return False

            def get_client_claims(self, client: Any) -> dict[str, Any]:
                return {"iss": provider.issuer}

            def generate_user_info(self, user: str, scope: str) -> Any:
                return UserInfo(sub=user, name="张三")

            def resolve_client_private_key(self, client: Any) -> Any:
                return provider.key

            def encode_id_token(self, token: Any, request: Any) -> str:
                whole = jwt.decode(super().encode_id_token(token, request), provider.key).claims
                claims = {k: v for k, v in (whole | provider.claims).items() if v is not None}
                alg, key = provider.signing
                if alg == "none":
                    _head, body, _ = jwt.encode({"alg": "RS256"}, claims, provider.key).split(".")
                    return f"eyJhbGciOiJub25lIn0.{body}."
                return jwt.encode({"alg": alg, "kid": "one"}, claims, key, [alg])

        grants = AuthorizationServer(self.app, lambda _id: Client(), lambda *_: None)
        grants.register_grant(
            Grant, [SpoiltOpenId(require_nonce=True), CodeChallenge(required=True)]
        )

        @self.app.get("/.well-known/openid-configuration")
        def discovery() -> Any:
            return jsonify(self.discovery)

        @self.app.get("/jwks")
        def jwks() -> Any:
            return jsonify(keys=[self.key.as_dict(private=False)])

        @self.app.get("/authorize")
        def authorize() -> Any:
            grant = grants.get_consent_grant(end_user=self.user)
            return grants.create_authorization_response(
                grant=grant, grant_user=self.user if self.agrees else None
            )

        @self.app.post("/token")
        def token() -> Any:
            answer = grants.create_token_response()
            told = answer.get_json()
            for name in self.token_without:
                told.pop(name, None)
            return jsonify(told), answer.status_code

    def person(self, address: str) -> str:
        """Where a person comes back to who went to an address of the provider."""
        answer = requests.get(address, allow_redirects=False, timeout=TIMEOUT_S)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["Location"])
        assert back.netloc == "localhost"
        return f"{back.path}?{back.query}"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    """The provider of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "AUTHLIB_INSECURE_TRANSPORT", "1"
        )  # the provider's own rule; it is on loopback
        provider = Provider()
        thread = threading.Thread(target=provider.server.serve_forever, daemon=True)
        thread.start()
        yield provider
        provider.server.shutdown()
        thread.join(TIMEOUT_S)
        provider.server.server_close()


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.reset()
    return running


@pytest.fixture
def settings(provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment that names the provider."""
    secret = tmp_path / "oidc.secret"
    secret.write_text(SECRET + "\n")
    made = {
        "SHUZHENG_OIDC_ISSUER": provider.issuer, "SHUZHENG_OIDC_CLIENT_ID": CLIENT_ID,
        "SHUZHENG_OIDC_CLIENT_SECRET_FILE": str(secret), "SHUZHENG_OIDC_NAME": NAME,
    }  # fmt: skip
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def site(site: Site, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with single sign-on."""
    monkeypatch.setitem(site.app.extensions, "sso", oidc.Provider(settings_of(settings)))
    return site


def link(site: Site, login: str, provider: Provider, subject: str) -> None:
    """Link a member without the pages."""
    with site.town.deed() as session:
        accounts.link_oidc(session, site.town.actors[login].member_id, provider.issuer, subject)


def linked(site: Site, login: str) -> str | None:
    with site.town.reading() as session:
        known = session.get(accounts.SignIn, site.town.actors[login].member_id)
        return known.oidc_subject if known else None


def back_from(visit: Visit, provider: Provider) -> str:
    """Go to the provider from the sign-in page; where one comes back to."""
    answer = visit.client.get("/sign-in/oidc")
    assert answer.status_code == 303, answer.text
    return provider.person(answer.headers["Location"])


def is_out(visit: Visit) -> bool:
    return bool(visit.client.get("/work").status_code == 303)


def english(visit: Visit) -> Visit:
    visit.client.set_cookie("lang", "en")
    return visit


def test_who_is_linked_signs_in_and_comes_to_the_page_he_wanted(
    site: Site, provider: Provider
) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit()
    visit.get("/tokens", 303)
    assert NAME in visit.get("/sign-in")
    answer = visit.client.get(back_from(visit, provider))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/tokens")
    assert "Olga" in visit.get("/tokens")


def test_the_way_there_has_challenge_state_and_nonce_and_no_secret(
    site: Site, provider: Provider
) -> None:
    address = site.visit().client.get("/sign-in/oidc").headers["Location"]
    asked = {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(provider.issuer + "/authorize?")
    assert asked["code_challenge_method"] == "S256"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 20
    assert asked["scope"] == "openid", "nothing else of the person is asked for"
    assert SECRET not in address


def test_the_provider_is_not_asked_before_somebody_signs_in(site: Site, provider: Provider) -> None:
    provider.discovery = "away"
    assert NAME in site.visit().get("/sign-in")
    english(visit := site.visit())
    assert "does not answer as it should" in visit.get("/sign-in/oidc", 503)


def test_an_unlinked_identity_is_told_to_sign_in_and_link(site: Site, provider: Provider) -> None:
    visit = english(site.visit())
    page = visit.get(back_from(visit, provider), 401)
    assert "sign in with your password once" in page
    assert '<form method="post" action="/sign-in">' in page, "the form there leads where it should"
    assert NAME in page
    site.visit("olga")
    answer = visit.post("/sign-in", {"login": "olga", "password": PASSWORD})
    assert answer.headers["Location"] == "/identity", "there he links it"


def test_an_unlinked_identity_is_nobody(site: Site, provider: Provider) -> None:
    visit = site.visit()
    visit.get(back_from(visit, provider), 401)
    assert is_out(visit)


def test_a_member_links_signs_in_by_it_and_unlinks(site: Site, provider: Provider) -> None:
    visit = english(site.visit("olga"))
    assert "not linked" in visit.get("/identity")
    onward = ONWARD.search(visit.post("/identity/link", status=200, page="/identity").text)
    assert onward
    answer = visit.client.get(provider.person(onward[1].replace("&amp;", "&")))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/identity")
    assert "u-1" in visit.get("/identity")
    other = site.visit()
    other.get(back_from(other, provider), 303)
    assert "Olga" in other.get("/work")
    visit.post("/identity/unlink", page="/identity")
    assert "not linked" in visit.get("/identity")
    assert linked(site, "olga") is None


def test_an_identity_is_linked_to_one_member_only(site: Site, provider: Provider) -> None:
    link(site, "opal", provider, "u-1")
    visit = english(site.visit("olga"))
    onward = ONWARD.search(visit.post("/identity/link", status=200, page="/identity").text)
    assert onward
    page = visit.get(provider.person(onward[1].replace("&amp;", "&")), 409)
    assert "linked to another member" in page
    assert linked(site, "olga") is None


def test_who_began_to_link_and_is_another_now_links_nothing(site: Site, provider: Provider) -> None:
    visit = english(site.visit("olga"))
    onward = ONWARD.search(visit.post("/identity/link", status=200, page="/identity").text)
    assert onward
    back = provider.person(onward[1].replace("&amp;", "&"))
    with site.visit("opal").client.session_transaction() as hers:
        opal = hers["_user_id"]
    with visit.client.session_transaction() as cookie:
        cookie["_user_id"] = opal
    assert "signed out meanwhile" in visit.get(back, 401)
    assert (linked(site, "olga"), linked(site, "opal")) == (None, None)


def test_linking_and_unlinking_need_the_forms_token(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit("olga")
    for path in ("/identity/link", "/identity/unlink"):
        assert visit.client.post(path).status_code == 400
    assert linked(site, "olga") == "u-1"


def test_who_has_no_password_cannot_unlink(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit()
    visit.get(back_from(visit, provider), 303)
    visit.post("/identity/unlink", status=409, page="/identity")
    assert linked(site, "olga") == "u-1"


LATE = int(time.time()) - 600
SPOILT = {
    "wrong nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "wrong audience": {"aud": "another-client"},
    "another audience that names us": {"aud": ["another-client"], "azp": CLIENT_ID},
    "no audience": {"aud": None},
    "expired": {"exp": LATE, "iat": LATE - 60},
    "no end": {"exp": None},
    "made in the future": {"iat": int(time.time()) + 7200},
    "wrong issuer": {"iss": "https://elsewhere.example"},
    "no issuer": {"iss": None},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "a subject with a zero byte": {"sub": "u-1\x00"},
    "a subject that is no text": {"sub": {"or": 1}},
    "wrong access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("claims", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_statement_signs_nobody_in(
    site: Site, provider: Provider, claims: dict[str, Any]
) -> None:
    link(site, "olga", provider, "u-1")
    provider.claims = claims
    visit = english(site.visit())
    answer = visit.client.get(back_from(visit, provider))
    assert answer.status_code in (401, 503)
    assert "Traceback" not in answer.text
    assert NAME in answer.text
    assert is_out(visit)


@pytest.mark.parametrize("way", ["another key", "no signature", "our secret as key", "no token"])
def test_a_forged_signature_signs_nobody_in(site: Site, provider: Provider, way: str) -> None:
    link(site, "olga", provider, "u-1")
    if way == "no token":
        provider.token_without = ("id_token",)
    else:
        secret = OctKey.import_key(SECRET)
        provider.signing = {
            "another key": ("RS256", provider.forged), "no signature": ("none", None),
            "our secret as key": ("HS256", secret),
        }[way]  # fmt: skip
    visit = english(site.visit())
    assert visit.client.get(back_from(visit, provider)).status_code in (401, 503)
    assert is_out(visit)


def test_a_way_is_gone_once_and_by_him_who_began_it(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit, other = english(site.visit()), english(site.visit())
    back = back_from(visit, provider)
    assert "not begun here" in other.get(back, 401), "another browser has not begun it"
    visit.get(back, 303)
    visit.post("/sign-out", page="/work")
    assert "not begun here" in visit.get(back, 401), "it was gone to its end"
    assert "not begun here" in visit.get("/sign-in/oidc/callback?code=x", 401)
    assert is_out(visit)
    assert is_out(other)


def test_the_older_of_two_ways_begun_is_no_longer_open(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit()
    older, newer = back_from(visit, provider), back_from(visit, provider)
    visit.get(older, 401)
    visit.get(newer, 303)


def test_who_does_not_agree_there_reads_so_and_a_senders_text_is_not_shown(
    site: Site, provider: Provider
) -> None:
    provider.agrees = False
    visit = english(site.visit())
    assert "access_denied" in visit.get(back_from(visit, provider), 401)
    page = visit.get("/sign-in/oidc/callback?error=Call+555+now&error_description=urgent", 401)
    assert "did not let you through (-)" in page
    assert "Call 555" not in page


@pytest.mark.parametrize(
    "document",
    [
        "text", [], {}, {"issuer": "https://elsewhere.example"},
        {"authorization_endpoint": "http://far.example/authorize"}, {"token_endpoint": None},
        {"jwks_uri": 7}, {"token_endpoint": "https://["},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_discovery_document_that_does_not_fit_is_a_sentence(
    site: Site, provider: Provider, document: Any
) -> None:
    fits = isinstance(document, dict) and document
    provider.discovery = provider.discovery | document if fits else document
    visit = english(site.visit())
    page = visit.get("/sign-in/oidc", 503)
    assert "does not answer as it should" in page
    assert 'name="password"' in page, "the password form is still there"
    visit = english(site.visit("olga"))
    page = visit.post("/identity/link", status=503, page="/identity").text
    assert "does not answer as it should" in page


def test_a_provider_that_is_away_is_a_sentence(
    town: Town, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHUZHENG_OIDC_ISSUER", "http://127.0.0.1:9")
    visit = english(Site(town).visit())
    assert "does not answer: sign in with your password" in visit.get("/sign-in/oidc", 503)


def test_a_provider_that_goes_away_meanwhile_is_a_sentence(site: Site, provider: Provider) -> None:
    visit = english(site.visit())
    back = back_from(visit, provider)
    client = site.app.extensions["sso"].client
    client.server_metadata["token_endpoint"] = "http://127.0.0.1:9/token"
    assert "does not answer" in visit.get(back, 503)
    assert is_out(visit)


def test_a_key_that_was_changed_there_is_asked_for_anew(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit()
    visit.get(back_from(visit, provider), 303)
    kept = provider.key
    try:
        provider.key = RSAKey.generate_key(2048, {"kid": "one"})
        provider.signing = ("RS256", provider.key)
        site.app.extensions["sso"].client.server_metadata["_loaded_at"] -= 3601
        again = site.visit()
        again.get(back_from(again, provider), 303)
    finally:
        provider.key = kept


def test_a_member_without_roles_cannot_sign_in(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    with site.town.deed() as session:
        session.get_one(Member, site.town.actors["olga"].member_id).roles = []
    visit = site.visit()
    visit.get(back_from(visit, provider), 401)
    assert is_out(visit)


def test_a_one_time_password_is_not_asked_to_be_changed_by_who_did_not_use_it(
    site: Site, provider: Provider
) -> None:
    link(site, "olga", provider, "u-1")
    with site.town.deed() as session:
        member_id = site.town.actors["olga"].member_id
        accounts.store_password(session, member_id, site.hash, site.town.now, must_change=True)
    visit = site.visit()
    visit.get(back_from(visit, provider), 303)
    visit.get("/work")
    visit.read("/me")
    by_password = site.visit()
    by_password.post("/sign-in", {"login": "olga", "password": PASSWORD})
    assert by_password.client.get("/work").headers["Location"] == "/password"


def test_ending_all_sessions_ends_those_of_single_sign_on(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit()
    visit.get(back_from(visit, provider), 303)
    with site.town.deed() as session:
        accounts.end_sessions(session, site.town.actors["olga"].member_id)
    assert is_out(visit)


def test_nobody_is_led_to_another_site(site: Site, provider: Provider) -> None:
    link(site, "olga", provider, "u-1")
    visit = site.visit()
    visit.get("/sign-in?next=https://evil.example/")
    back = back_from(visit, provider) + "&next=https://evil.example/&redirect_uri=//evil.example"
    assert visit.client.get(back).headers["Location"] == "/work"


def test_a_way_is_open_for_ten_minutes(site: Site, provider: Provider) -> None:
    visit = english(site.visit())
    back = back_from(visit, provider)
    with visit.client.session_transaction() as cookie:
        cookie["way_to_sso"] = {**cookie["way_to_sso"], "until": int(time.time()) - 1}
    assert "not begun here" in visit.get(back, 401)


def test_without_settings_there_is_nothing_of_it(town: Town) -> None:
    site = Site(town)
    visit = site.visit("olga")
    assert "oidc" not in visit.get("/sign-in")
    for method, path in ROUTES:
        given = {"csrf_token": token(visit)} if method == "POST" else None
        assert visit.client.open(path, method=method, data=given).status_code == 404, path


def token(visit: Visit) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', visit.get("/password"))
    assert found
    return found[1]


def test_settings_by_halves_are_refused_when_the_site_starts(
    town: Town, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHUZHENG_OIDC_CLIENT_ID")
    with pytest.raises(Invalid, match="SHUZHENG_OIDC_CLIENT_ID"):
        Site(town)


class TestSettings:
    def test_the_secret_stands_in_a_file_and_is_not_told(self, settings: dict[str, str]) -> None:
        found = settings_of(settings)
        assert found is not None
        assert found.client_secret == SECRET
        assert SECRET not in repr(found)

    @pytest.mark.parametrize(
        "issuer", ["http://sso.example", "sso.example", "ftp://127.0.0.1", "https://"]
    )
    def test_who_can_be_read_on_the_way_is_no_issuer(
        self, settings: dict[str, str], issuer: str
    ) -> None:
        with pytest.raises(Invalid, match="https"):
            settings_of({**settings, "SHUZHENG_OIDC_ISSUER": issuer})

    @pytest.mark.parametrize("content", [None, b"", b"  \n", b"\xff\xfe"])
    def test_a_secret_that_is_not_there_is_told(
        self, settings: dict[str, str], tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "other.secret"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(Invalid, match=r"other\.secret"):
            settings_of({**settings, "SHUZHENG_OIDC_CLIENT_SECRET_FILE": str(path)})

    def test_no_settings_are_no_single_sign_on(self) -> None:
        assert settings_of({"SHUZHENG_OIDC_NAME": "x"}) is None
