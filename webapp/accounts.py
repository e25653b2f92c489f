"""How a member is known at the door: password with lock-out, API tokens, a link to single sign-on.

Both tables are operational and leave the house in no payload. Signing in takes three moves, so that
the slow hash holds no transaction, and parallel guesses are counted before any of them is checked:

    with home.deed(now) as session:
        attempt = begin_attempt(session, login, now)
    attempt.check(password)
    with home.deed(now) as session:
        row = finish_attempt(session, attempt, now)
"""

import re
import secrets
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import String, UniqueConstraint, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.errors import Conflict, Faults, Invalid, Missing, NotAuthenticated
from ledger.parties import Account, Member
from ledger.proof.encoding import digest_text, instant
from ledger.rights import MAY
from ledger.store import Base, new_id

# argon2id, twice OWASP's least. The library's own profile (64 MiB, four lanes) takes more than a tenth of
# a second on two cores, and keeps both busy; this one takes two thirds of that, on one.
HASHER = PasswordHasher(time_cost=2, memory_cost=47_104, parallelism=1)
# The hash of a text that nobody kept: an unknown login costs the time of a known one.
DUMMY_HASH = (
    "$argon2id$v=19$m=47104,t=2,p=1$"
    "hfDWflmreDJv8bEfZR8DoQ$NH8+ly0U/HTXwwkODVjtSqTK2eJ7Nim0vJXnG/2nvXY"
)

PASSWORD_MIN, PASSWORD_MAX = 10, 200
DISTINCT_MIN = 4
LOGIN_MIN = 3  # a shorter login stands in half of all good passwords
_COMMONEST = (
    "0123456789 0987654321 1234567890 1234554321 12345678910 147258369 5201314520 1q2w3e4r5t "
    "1q2w3e4r5t6y 1qaz2wsx3edc q1w2e3r4t5 qwertyuiop asdfghjkl qwerty12345 qwerty123456 qazwsxedc "
    "abc1234567 abc12345678 abc123456789 abcd123456 abcd1234567 a123456789 a1234567890 aa123456789 "
    "aa12345678 qq123456789 woaini1314 woaini520 woaini520131 woaini5201314 iloveyou123 password12 "
    "password123 password1234 passw0rd123 p@ssw0rd123 p@ssword123 welcome123 changeme123 letmein123 "
    "admin12345 admin123456 administrator root123456 test123456 user123456"
)
COMMONEST = frozenset(_COMMONEST.split())
ONE_TIME_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another

FAILURES_MAX = 5
LOCKED_FOR = timedelta(minutes=15)
WRONG = "The login or the password is wrong."

SCOPES = frozenset({"read", *(verb.partition(".")[0] for verb in MAY)})
TOKENS_MAX = 20
TOKEN_DAYS_MAX = 366
TOKEN_NAME_MAX = 60
NOTED_EVERY = timedelta(hours=1)


class SignIn(Base):
    """How a member signs in (operational: it never leaves the house)."""

    __tablename__ = "sign_ins"
    __table_args__ = (UniqueConstraint("oidc_issuer", "oidc_subject"),)
    member_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    password_hash: Mapped[str | None]
    must_change: Mapped[bool]
    password_changed_at: Mapped[datetime | None]
    failed_count: Mapped[int]
    locked_until: Mapped[datetime | None]
    epoch: Mapped[str]
    """Random text that stands in each session's cookie; another one ends all sessions."""
    oidc_issuer: Mapped[str | None]
    oidc_subject: Mapped[str | None]


class ApiToken(Base):
    """A member's key for programs; the secret itself is not kept (operational)."""

    __tablename__ = "api_tokens"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(36), index=True)
    name: Mapped[str]
    secret_digest: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


def sign_in_of(session: Session, member_id: str) -> SignIn:
    """How a member signs in, held until the deed ends; an empty row is made where there is none."""
    wanted = (
        select(SignIn)
        .where(SignIn.member_id == member_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalar(wanted)
    if found is None:
        empty = insert(SignIn).values(
            member_id=member_id, must_change=False, failed_count=0, epoch=_fresh_epoch()
        )
        with suppress(IntegrityError), session.begin_nested():  # another one may have made it
            session.execute(empty)
        found = session.scalars(wanted).one()
    return found


def end_sessions(session: Session, member_id: str) -> None:
    """Sign a member out wherever he is signed in."""
    sign_in_of(session, member_id).epoch = _fresh_epoch()


# ---------------------------------------------------------------- passwords


def check_strength(password: str, login: str) -> None:
    """Raise Invalid, naming everything that makes the password too easy to guess."""
    text, faults = _spelled(password), Faults()
    folded = text.casefold()
    if len(text) < PASSWORD_MIN:
        faults.name_fault("it has fewer than {least} characters", least=PASSWORD_MIN)
    if len(text) > PASSWORD_MAX:
        faults.name_fault("it has more than {most} characters", most=PASSWORD_MAX)
    if len(login) >= LOGIN_MIN and _spelled(login).casefold() in folded:
        faults.name_fault("the login stands in it")
    if len(set(folded)) < DISTINCT_MIN:
        faults.name_fault("it has fewer than {least} different characters", least=DISTINCT_MIN)
    elif len({ord(after) - ord(before) for before, after in pairwise(folded)}) == 1:
        faults.name_fault("its characters follow one another")
    if re.sub(r"^[\W_]+|[\W_]+$", "", folded) in COMMONEST:
        faults.name_fault("it is one of the commonest")
    if faults:
        raise Invalid("The password is too easy to guess: {faults}.", faults=faults)


def hash_password(password: str) -> str:
    """The password's argon2id hash; takes its time, so not inside a transaction."""
    return HASHER.hash(_spelled(password))


def one_time_password() -> str:
    """A password to be handed over on paper and changed at once: 79 random bits, easy to type."""
    return "-".join("".join(secrets.choice(ONE_TIME_LETTERS) for _ in range(4)) for _ in range(4))


def set_password(
    session: Session, member_id: str, password: str, now: datetime, *, must_change: bool = False
) -> SignIn:
    """Check, hash and store in one; hashes within the transaction, so for the command line and tests."""
    check_strength(password, _login_of(session, member_id))
    return store_password(session, member_id, hash_password(password), now, must_change=must_change)


def store_password(
    session: Session,
    member_id: str,
    password_hash: str,
    now: datetime,
    *,
    must_change: bool = False,
) -> SignIn:
    """Give a member a password by its hash: his sessions end, a lock is lifted."""
    row = sign_in_of(session, member_id)
    row.password_hash, row.password_changed_at, row.must_change = password_hash, now, must_change
    row.failed_count, row.locked_until = 0, None
    row.epoch = _fresh_epoch()
    session.flush()
    return row


def change_password(
    session: Session, attempt: "Attempt", password: str, password_hash: str, now: datetime
) -> SignIn:
    """A new password by him who knew the old one: `attempt` checked it and was finished before.

    Finished in its own deed: a new password that is refused here is no wrong guess.
    """
    row = _row_of(session, attempt)
    if _spelled(password) == attempt.known_password:
        raise Invalid("The new password is the old one.")
    check_strength(password, attempt.login)
    return store_password(session, row.member_id, password_hash, now)


# ---------------------------------------------------------------- signing in


@dataclass
class Attempt:
    """One guess at a password, counted already; `refusal` says why it will not be checked."""

    login: str
    member_id: str | None = None
    epoch: str = field(default="", repr=False)
    password_hash: str | None = field(default=None, repr=False)
    refusal: NotAuthenticated | None = None
    known_password: str | None = field(default=None, init=False, repr=False)
    better_hash: str | None = field(default=None, init=False, repr=False)
    _spent: bool = field(default=False, init=False)

    def check(self, password: str) -> bool:
        """Whether the password is right; once an attempt, slowly, and without the database."""
        assert not self._spent, "an attempt counts for one check"
        self._spent = True
        if self.refusal is not None:
            return False
        spelled = _spelled(password)
        try:
            HASHER.verify(self.password_hash or DUMMY_HASH, spelled)
        except VerifyMismatchError:
            return False
        if self.password_hash is None:
            return False
        self.known_password = spelled
        if HASHER.check_needs_rehash(self.password_hash):
            self.better_hash = hash_password(password)
        return True


def begin_attempt(session: Session, login: str, now: datetime) -> Attempt:
    """Count an attempt before it is checked; commit it, and then `check` the password.

    From the fifth failure in a row on, each locks the account; a right password takes the count back.
    """
    # PostgreSQL cannot even be asked for a text with a zero byte.
    wanted = select(Account.member_id).where(Account.login == login)
    member_id = session.scalar(wanted) if login.isprintable() else None
    member = session.get(Member, member_id) if member_id else None
    if member is None:
        return Attempt(login)
    row = sign_in_of(session, member.id)
    if row.locked_until is not None and now < row.locked_until:
        return Attempt(login, refusal=NotAuthenticated(
            "Too many wrong passwords: this account is locked until {until}. Try again then, or ask "
            "the administrator for a new password.",
            until=instant(row.locked_until),
        ))  # fmt: skip
    row.failed_count += 1
    if row.failed_count >= FAILURES_MAX:
        row.locked_until = now + LOCKED_FOR
    session.flush()
    if not member.roles:
        return Attempt(login)
    return Attempt(login, member.id, row.epoch, row.password_hash)


def finish_attempt(session: Session, attempt: Attempt, now: datetime) -> SignIn:
    """The sign-in of him whose password was right: nothing is held against him any more.

    Raises NotAuthenticated where it was not, with one sentence for a wrong password and a wrong login.
    """
    row = _row_of(session, attempt)
    row.failed_count, row.locked_until = 0, None
    row.password_hash = attempt.better_hash or row.password_hash
    session.flush()
    return row


def _row_of(session: Session, attempt: Attempt) -> SignIn:
    if attempt.refusal is not None:
        raise attempt.refusal
    if attempt.member_id is None or attempt.known_password is None:
        raise NotAuthenticated(WRONG)
    row = sign_in_of(session, attempt.member_id)
    if row.epoch != attempt.epoch:  # meanwhile the password was changed, or all sessions were ended
        raise NotAuthenticated(WRONG)
    return row


# ---------------------------------------------------------------- tokens


def create_token(
    session: Session, member_id: str, *, name: str, scopes: list[str], days: int, now: datetime
) -> tuple[ApiToken, str]:
    """A new token and its secret, which is shown once and not kept."""
    name, faults = " ".join(name.split()), Faults()
    if not name or len(name) > TOKEN_NAME_MAX or not name.isprintable():
        faults.name_fault("its name must have 1 to {most} characters", "name", most=TOKEN_NAME_MAX)
    unknown = sorted(set(scopes) - SCOPES)
    if unknown or not scopes:
        faults.name_fault(
            "unknown or no scopes: {unknown}; there are {scopes}", "scopes",
            unknown=", ".join(unknown) or "-", scopes=", ".join(sorted(SCOPES)),
        )  # fmt: skip
    if not 1 <= days <= TOKEN_DAYS_MAX:
        faults.name_fault("it must hold for 1 to {most} days", "days", most=TOKEN_DAYS_MAX)
    if faults:
        raise Invalid("There can be no such token: {faults}.", faults=faults)
    sign_in_of(session, member_id)  # held, so that two at once cannot both be the twentieth
    live = select(func.count()).where(
        ApiToken.member_id == member_id, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now
    )
    if session.scalars(live).one() >= TOKENS_MAX:
        raise Conflict("You have {most} tokens already: revoke one of them.", most=TOKENS_MAX)
    secret = "sz_" + secrets.token_urlsafe(32)
    token = ApiToken(
        id=new_id(), member_id=member_id, name=name, secret_digest=_digest(secret),
        scopes=sorted(set(scopes)), created_at=now, expires_at=now + timedelta(days=days),
    )  # fmt: skip
    session.add(token)
    session.flush()
    return token, secret


def find_token(session: Session, secret: str, now: datetime) -> ApiToken | None:
    """The live token with this secret, of a member who still has a role."""
    found = session.execute(
        select(ApiToken, Member.roles)
        .join(Member, Member.id == ApiToken.member_id)
        .where(ApiToken.secret_digest == _digest(secret))
    ).first()
    if found is None or not found.roles:
        return None
    token: ApiToken = found[0]
    return token if token.revoked_at is None and now < token.expires_at else None


def use_is_due(token: ApiToken, now: datetime) -> bool:
    """Whether this use is worth a deed of its own (`note_use`): the last one noted is an hour old."""
    return token.last_used_at is None or now >= token.last_used_at + NOTED_EVERY


def note_use(session: Session, token_id: str, now: datetime) -> bool:
    """Note that a token was used, at most once an hour; whether it was due."""
    token = session.get_one(ApiToken, token_id, with_for_update=True, populate_existing=True)
    due = use_is_due(token, now)
    if due:
        token.last_used_at = now
        session.flush()
    return due


def revoke_token(session: Session, member_id: str, token_id: str, now: datetime) -> ApiToken:
    """End a token of one's own; raises Missing. A second time changes nothing."""
    token = session.get(ApiToken, token_id, with_for_update=True, populate_existing=True)
    if token is None or token.member_id != member_id:
        raise Missing("You have no token {id}.", id=token_id)
    token.revoked_at = token.revoked_at or now
    session.flush()
    return token


def tokens_of(session: Session, member_id: str) -> list[ApiToken]:
    """A member's tokens, those that no longer hold too; the newest first."""
    wanted = select(ApiToken).where(ApiToken.member_id == member_id).order_by(ApiToken.id.desc())
    return list(session.scalars(wanted))


# ---------------------------------------------------------------- single sign-on


def link_oidc(session: Session, member_id: str, issuer: str, subject: str) -> None:
    """Let a member sign in as `subject` of a single sign-on, instead of whom he was there before."""
    other = session.scalar(_linked(issuer, subject))
    if other not in (None, member_id):
        raise Conflict("This identity is linked to another member.", issuer=issuer, subject=subject)
    row = sign_in_of(session, member_id)
    row.oidc_issuer, row.oidc_subject = issuer, subject
    session.flush()


def unlink_oidc(session: Session, member_id: str) -> None:
    """Let a member sign in by single sign-on no longer."""
    row = sign_in_of(session, member_id)
    row.oidc_issuer, row.oidc_subject = None, None
    session.flush()


def member_by_oidc(session: Session, issuer: str, subject: str) -> str | None:
    """The id of the member who is `subject` there, if he still has a role."""
    member_id = session.scalar(_linked(issuer, subject))
    return member_id if member_id and _has_roles(session, member_id) else None


def _linked(issuer: str, subject: str) -> Any:
    return select(SignIn.member_id).where(
        SignIn.oidc_issuer == issuer, SignIn.oidc_subject == subject
    )


def _has_roles(session: Session, member_id: str) -> bool:
    member = session.get(Member, member_id)
    return member is not None and bool(member.roles)


def _login_of(session: Session, member_id: str) -> str:
    account = session.get(Account, member_id)
    if account is None:
        raise Missing("There is no member {login}.", login=member_id)
    return account.login


def _spelled(password: str) -> str:
    # Full-width digits of a Chinese keyboard are the digits; half a character has no bytes.
    return unicodedata.normalize("NFKC", password).encode(errors="replace").decode()


def _digest(secret: str) -> str:
    return digest_text(secret.encode(errors="replace"))


def _fresh_epoch() -> str:
    return secrets.token_urlsafe(16)
