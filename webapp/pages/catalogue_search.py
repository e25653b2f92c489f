"""The catalogue's page: words, filters with their counts, what was found with the places marked.

It is open to everybody and shows each reader what exists for him. Nothing of it needs the script, which
suggests titles while somebody types.
"""

from typing import Any

from flask import Flask, current_app, render_template, request, url_for
from flask_limiter import Limiter

from ledger.catalogue_values import CYCLES
from ledger.parties import allowed
from ledger.search import RANKED_MAX, UNSTATED
from webapp import door
from webapp.deeds import DEEDS
from webapp.deeds.answers import PAGE
from webapp.deeds.search import FILTERS, find_resources, suggest_resources
from webapp.language import tr
from webapp.pages import nouns
from webapp.pages.public import CHOICES
from webapp.wording import spoken, word

SHOWN = 8  # values of a filter; the others stand behind “more”
DEMAND = "demand_submit"


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/resources", "resource_list", resource_list)
    app.add_url_rule("/resource-suggestions", "resource_suggest", resource_suggest)
    app.jinja_env.globals |= {"value_word": value_word}


@door.guard(find_resources)
def resource_list() -> str:
    """The catalogue, searched."""
    asked = {name: value for name, value in request.args.items() if value}
    found = door.the_desk().ask(find_resources, door.who, {}, asked)
    chosen = {name: asked[name] for name in FILTERS if name in asked and name in found["facets"]}
    start = int(asked.get("after", 0))
    return render_template(
        "resource_list.html", found=found, asked=asked, chosen=chosen, shown=SHOWN,
        headings={name: tr(title) for name, title in FILTERS.items()},
        first=start + 1, last=start + len(found["items"]), step=PAGE, ranked=RANKED_MAX,
        before=max(0, start - int(asked.get("limit", PAGE))) if start else None,
        address=address, demand=demand_address(),
        offers=[DEEDS[name] for name in nouns.LISTED["resource"]
                if allowed(door.actor(), DEEDS[name].verb)],
    )  # fmt: skip


@door.guard(suggest_resources)
def resource_suggest() -> Any:
    """Titles while somebody types, for the page's script."""
    return door.the_desk().ask(suggest_resources, door.who, {}, request.args.to_dict())


def address(asked: dict[str, str], **changes: Any) -> str:
    """The page's address with some of what was asked changed, from its first row on; None: without it."""
    kept = {name: value for name, value in asked.items() if name != "after"} | changes
    return url_for("resource_list", **{name: one for name, one in kept.items() if one is not None})


def demand_address() -> str | None:
    """Where to say that something is lacking."""
    if DEMAND not in current_app.view_functions:
        return None
    return url_for(DEMAND)


def value_word(name: str, value: str) -> str:
    """A filter's value in the reader's words."""
    if value == UNSTATED:
        return tr("not stated")
    if name == "cycle" and value in CYCLES:
        return spoken(CYCLES[value].zh, CYCLES[value].en)
    if (name, value) in CHOICES:
        return tr(CHOICES[name, value])
    return word(value) if name in ("grade", "state") else value
