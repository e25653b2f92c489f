"""Optional single sign-on 统一身份认证: OpenID Connect, code flow with PKCE (S256), state and nonce.

    SHUZHENG_OIDC_ISSUER               https://sso.example.gov.cn, as its discovery document names it
    SHUZHENG_OIDC_CLIENT_ID            what the site is called there
    SHUZHENG_OIDC_CLIENT_SECRET_FILE   a file that holds the secret; the secret is in no environment
    SHUZHENG_OIDC_NAME                 what people call the service (optional)

The address to register there is https://SITE/sign-in/oidc/callback. Authlib does the protocol. Here stands
what it leaves to us: the settings, the audience, which signatures are taken, and that whatever the
service does wrong is a sentence. It is asked when somebody signs in, not before.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from authlib.integrations.base_client.errors import MismatchingStateError, OAuthError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from flask import session as cookie
from joserfc.errors import JoseError
from requests import RequestException

from ledger.errors import Invalid, LedgerError, NotAuthenticated
from webapp.language import tr

PREFIX = "SHUZHENG_OIDC_"
NAMES = ("ISSUER", "CLIENT_ID", "CLIENT_SECRET_FILE")
TIMEOUT_S = 10
LEEWAY_S = 60
KNOWN_FOR_S = 3600
WAY, WAY_S = "way_to_sso", 600
# A key that both sides know signs for either: only signatures that the service alone can make.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
CAUSE = re.compile(r"\A[a-z_]{1,40}\Z")  # anybody can send somebody here with a text of his own
LOOPBACK = ("127.0.0.1", "::1", "localhost")

logger = structlog.get_logger()


class ServiceAway(LedgerError):
    """The single sign-on does not answer, or not as the standard says."""

    code, http_status = "sign_on_unavailable", 503


@dataclass(frozen=True)
class Settings:
    """Where people sign in, and what this site is there."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str


def settings_of(environment: Mapping[str, str]) -> Settings | None:
    """The single sign-on the environment names, or None; half of one is Invalid."""
    given = {name: environment.get(PREFIX + name, "").strip() for name in NAMES}
    lacking = [PREFIX + name for name in NAMES if not given[name]]
    if len(lacking) == len(NAMES):
        return None
    if lacking:
        raise Invalid(
            "Single sign-on is set up by halves: {names} must be set too, or none of them.",
            names=", ".join(lacking),
        )
    if not _guarded(given["ISSUER"]):
        raise Invalid(
            "The single sign-on {issuer} must have an address with https://.",
            issuer=given["ISSUER"],
        )
    path = Path(given["CLIENT_SECRET_FILE"])
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        secret = ""
    if not secret:
        raise Invalid(
            "The secret of the single sign-on cannot be read from {path}.", path=str(path)
        )
    name = environment.get(PREFIX + "NAME", "").strip()
    return Settings(given["ISSUER"], given["CLIENT_ID"], secret, name)


class OneWay(FlaskIntegration):  # type: ignore[misc]  # Authlib is untyped
    """What a way to the service must come back with, in the session: one at a time, for ten minutes.

    (Authlib's own keeps times as fractions, which the site's JSON reads as texts.)
    """

    def set_state_data(self, session: Any, state: str, data: dict[str, Any]) -> None:
        session[WAY] = {"data": data, "state": state, "until": int(time.time()) + WAY_S}

    def get_state_data(self, session: Any, state: str | None) -> dict[str, Any] | None:
        way = session.get(WAY)
        if way is None or not state or way["state"] != state or time.time() > way["until"]:
            return None
        return dict(way["data"])

    def clear_state_data(self, session: Any, state: str | None) -> None:
        if WAY in session and session[WAY]["state"] == state:
            del session[WAY]


class Client(FlaskOAuth2App):  # type: ignore[misc]
    """Authlib's client, which believes of a discovery document only what it should."""

    issuer = ""
    server_metadata: dict[str, Any]

    def load_server_metadata(self) -> dict[str, Any]:
        """The service's addresses, asked for anew after an hour."""
        known = self.server_metadata
        if time.time() - known.get("_loaded_at", 0) < KNOWN_FOR_S:
            return known
        with self._get_session() as session:
            answer = session.request("GET", self._server_metadata_url, withhold_token=True)
            answer.raise_for_status()
            told = answer.json()
        if told.get("issuer") != self.issuer:
            raise ValueError(f"the discovery document is of {told.get('issuer')}")
        unguarded = [name for name in ENDPOINTS if not _guarded(str(told.get(name) or ""))]
        if unguarded:
            raise ValueError(f"no https address for {', '.join(unguarded)}")
        offered = told.get("id_token_signing_alg_values_supported") or ["RS256"]
        signatures = [name for name in ALGORITHMS if name in offered]
        if not signatures:
            raise ValueError("no signature that the service alone can make")
        ways = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        fresh = {
            **{name: told[name] for name in ("issuer", *ENDPOINTS)},
            "id_token_signing_alg_values_supported": signatures,
            "token_endpoint_auth_method": (
                "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"
            ),
            "_loaded_at": time.time(),
        }
        self.server_metadata = fresh
        return fresh


class Provider:
    """The single sign-on as the site uses it: `begin` sends a person there, `finish` says who came back."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = Client(
            OneWay("oidc"), "oidc", client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=settings.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "code_challenge_method": "S256", "default_timeout": TIMEOUT_S, "scope": "openid",
            },
        )  # fmt: skip
        self.client.issuer = settings.issuer

    @property
    def name(self) -> str:
        """What people call it."""
        return self.settings.name or tr("Unified identity service")

    def begin(self, redirect_uri: str, member_id: str = "") -> str:
        """The address to send a person to; what he must come back with is kept in his session.

        `member_id`: he comes back to be linked to this member, not to sign in.
        """
        try:
            made = self.client.create_authorization_url(redirect_uri)
        except Exception as error:
            raise self._refusal(error) from error
        address = str(made.pop("url"))
        self.client.save_authorize_data(redirect_uri=redirect_uri, member_id=member_id, **made)
        return address

    def finish(self, state: str) -> tuple[str, str]:
        """The subject that came back, and the member he is to be linked to ("" to sign in)."""
        begun = self.client.framework.get_state_data(cookie, state) or {}
        try:
            token = self.client.authorize_access_token(
                leeway=LEEWAY_S,
                claims_options={
                    "aud": {"essential": True, "value": self.settings.client_id},
                    "iss": {"essential": True, "value": self.settings.issuer},
                },
            )
            subject = token["userinfo"]["sub"]
            if not (isinstance(subject, str) and 0 < len(subject) <= 255 and subject.isprintable()):
                raise ValueError("no subject")
        except Exception as error:
            raise self._refusal(error) from error
        return subject, str(begun.get("member_id", ""))

    def _refusal(self, error: Exception) -> LedgerError:
        """What went wrong there as a sentence; all that a foreign machine can answer ends here."""
        logger.warning("single sign-on", cause=type(error).__name__, text=str(error)[:300])
        if isinstance(error, MismatchingStateError):
            return NotAuthenticated(
                "This way through {name} was not begun here, or was gone to its end already: begin "
                "anew.",
                name=self.name,
            )  # fmt: skip
        if isinstance(error, OAuthError):
            return NotAuthenticated(
                "{name} did not let you through ({cause}): begin anew, or sign in with your password.",
                name=self.name, cause=error.error if CAUSE.match(str(error.error)) else "-",
            )  # fmt: skip
        if isinstance(error, JoseError):
            return NotAuthenticated(
                "What {name} says of you cannot be trusted ({cause}); nobody was signed in. Tell the "
                "administrator.",
                name=self.name, cause=str(error)[:100],
            )  # fmt: skip
        if isinstance(error, RequestException):
            return ServiceAway(
                "{name} does not answer: sign in with your password, or try again later.",
                name=self.name,
            )
        return ServiceAway(
            "{name} does not answer as it should: sign in with your password, and tell the "
            "administrator.",
            name=self.name,
        )


def _guarded(address: str) -> bool:
    """Whether nobody on the way reads what is said there."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
