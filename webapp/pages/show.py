"""How values look on a page: times in Shanghai, money in yuan, words of ours in the reader's language."""

from typing import Any

from flask import redirect as _redirect
from werkzeug.wrappers import Response

from ledger.calendar import SHANGHAI
from ledger.proof.encoding import parse_instant
from valuation.money import yuan
from webapp.wording import in_groups, state_of, step_name, word

BADGES = {
    **dict.fromkeys(("valid", "registered", "in_force", "approved", "posted", "agreed", "granted",
                     "effective", "anchored", "confirmed", "done", "listed", "active", "accepted",
                     "fulfilled", "answered", "upheld", "applied", "admitted", "recognised"), "success"),
    **dict.fromkeys(("suspended", "returned", "on_notice", "proposed", "submitted", "in_review",
                     "reviewed", "drafted", "waiting", "sent", "running", "queued", "lapsed",
                     "sealed", "recorded", "objection_review", "assigned", "raised",
                     "appealed", "unknown now", "not relied on", "another digest"), "warning"),
    **dict.fromkeys(("revoked", "cancelled", "rejected", "not_accepted", "terminated", "failed",
                     "alarm", "superseded", "withdrawn", "refused", "dismissed"), "danger"),
}  # fmt: skip


def when(value: Any) -> str:
    """An instant, given as such or as its text, as people here read it."""
    at = parse_instant(value) if isinstance(value, str) else value
    return str(at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M"))


def day(value: Any) -> str:
    """The day of an instant in Shanghai."""
    return when(value)[:10]


def money(fen: int) -> str:
    """Fen as yuan with separators: 1,234.50."""
    return in_groups(yuan(fen))


def short(digest: str) -> str:
    """A digest for the eye; the whole one stands in the page's title attribute."""
    plain = digest.removeprefix("sha256:").removeprefix("0x")
    return f"{plain[:8]}…{plain[-4:]}" if len(plain) > 16 else plain


def badge(value: Any) -> str:
    """The colour of a state."""
    return BADGES.get(str(value), "secondary")


def redirect(place: str) -> Response:
    """Go elsewhere after a form; always by GET."""
    return _redirect(place, 303)


FILTERS = {
    "badge": badge, "day": day, "money": money, "short": short, "state_of": state_of,
    "step_name": step_name, "when": when, "word": word,
}  # fmt: skip
