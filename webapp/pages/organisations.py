"""The page of an organisation: members, data stewards, what it holds, what it went through."""

from typing import Any

from flask import Flask, request, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from ledger.parties import ROLES_OF_KIND, Party, allowed
from ledger.stewards import in_force
from webapp import door
from webapp.deeds.all import people, stewards, successions
from webapp.pages import nouns
from webapp.pages.people import members_of
from webapp.pages.show import redirect


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the route of relieving, which leads back to the organisation, and what templates ask for."""
    app.add_url_rule("/stewards/<steward_id>/relief", "steward_relieve", relieve,
                     methods=["GET", "POST"])  # fmt: skip
    nouns.EXTRA["party"] = about_party
    app.jinja_env.globals |= {
        "held_by": held_by, "kind_labels": people.KINDS, "post_labels": stewards.POSTS,
        "role_labels": people.ROLES, "roles_of_kind": ROLES_OF_KIND, "steward_line": steward_line,
    }  # fmt: skip


def about_party(session: Session, party: Party) -> dict[str, Any]:
    """What the page of an organisation tells besides its row."""
    return {
        **members_of(session, party), "held": held_by(party.uscc),
        "stewards": stewards.stewards_of(session, party.id),
        "may_relieve": allowed(door.actor(), "steward.relieve", party.id),
    }  # fmt: skip


def held_by(uscc: str) -> dict[str, Any]:
    """What an organisation holds and what would stay, as the forms of merging and splitting show it."""
    return dict(door.the_desk().ask(successions.held, door.who, {"uscc": uscc}, {}))


def steward_line(party_id: str | None) -> dict[str, Any] | None:
    """Who answers for data at a resource's provider: names for members, for others that there is one."""
    if not party_id:
        return None
    with door.the_desk().home.reading() as session:
        posts = in_force(session, [party_id])
        if not allowed(door.actor(), "steward.read"):
            return {"named": bool(posts), "posts": []}
        known = {one["id"]: one for one in stewards.stewards_of(session, party_id)}
        uscc = session.scalar(select(Party.uscc).where(Party.id == party_id))
        return {"named": bool(posts), "posts": [known[one.id] for one in posts], "uscc": uscc}


@door.guard(stewards.relieve)
def relieve(steward_id: str) -> Any:
    """End a post; then back to the organisation."""
    deed, keys = stewards.relieve, {"steward_id": steward_id}
    with door.the_desk().home.reading() as session:
        [post] = deed.subjects(session, keys)
        uscc = session.get_one(Party, post.party_id).uscc
    answer = (
        nouns.submit(deed, keys)
        if request.method == "POST"
        else nouns.deed_page(deed, keys, {}, {}, None)
    )
    if isinstance(answer, Response):
        return redirect(url_for("party_read", uscc=uscc))
    return answer
