"""Registration: the wizard with its draft, the registrar's review."""

from flask import Flask
from flask_limiter import Limiter


def enter(_app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
