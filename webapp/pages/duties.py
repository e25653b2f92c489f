"""What is overdue in the catalogue, and what a duty's page needs."""

from flask import Flask, render_template, request, url_for
from flask_limiter import Limiter

from ledger.parties import allowed
from webapp import door
from webapp.deeds import duties
from webapp.pages import nouns


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and what the templates ask for."""
    app.jinja_env.globals |= {"DUTY_CAUSES": duties.CAUSES, "cycle_word": duties.cycle_word}
    app.add_url_rule("/overdue", "duty_overdue", overdue_page)


@door.guard(duties.show_overdue)
def overdue_page() -> str:
    """Duties past their day and data past their cycle, by department."""
    asked = {name: value for name, value in request.args.items() if value}
    found = door.the_desk().ask(duties.show_overdue, door.who, {}, asked)
    may_report = allowed(door.actor(), duties.report.verb)
    return render_template(
        "overdue.html", question=duties.show_overdue, found=found, address=nouns.page_of,
        department=asked.get("department"), report=url_for("duty_report") if may_report else None,
    )  # fmt: skip
