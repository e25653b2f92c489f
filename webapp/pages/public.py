"""What everybody may see: verification by number, file and QR, public notices, the log."""

from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask, render_template, request, send_from_directory
from flask_limiter import Limiter

from webapp import door
from webapp.api.more import docs
from webapp.deeds.all import proofs


def enter(app: Flask, limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/verify", "verify", verify, methods=["GET", "POST"])
    app.add_url_rule("/log", "log_read", log_page)
    app.add_url_rule("/api/docs", "api_docs", docs)
    app.add_url_rule("/api/docs/files/<path:filename>", "swagger_file", swagger_file)


@door.guard("file.verify")
def verify() -> Any:
    """Verification by number, by file, by QR."""
    return render_template("verify.html")


@door.guard(proofs.log_state)
def log_page() -> str:
    """The log and its checkpoints."""
    desk = door.the_desk()
    state = desk.ask(proofs.log_state, door.who, {}, {})
    start = request.args.get("start", "")
    first = int(start) if start.isdecimal() and len(start) < 15 else max(0, state["tree_size"] - 25)
    found = desk.ask(proofs.entries, door.who, {}, {"start": first})
    return render_template("log.html", state=state, entries=found, first=first)


@door.guard("page.read")
def swagger_file(filename: str) -> Any:
    """A file of Swagger UI, from the package that carries it."""
    folder = Path(next(iter(import_module("flask_swagger_ui").__path__))) / "dist"
    return send_from_directory(folder, filename)
