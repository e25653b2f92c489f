"""The web site: `create_app` puts extensions, door, API and pages together."""

from pathlib import Path

from flask import Flask


def create_app(path: Path) -> Flask:
    """The site of the home at `path`, as a WSGI application."""
    app = Flask(__name__)
    app.config["HOME_PATH"] = path
    return app
