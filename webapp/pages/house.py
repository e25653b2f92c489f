"""The state of the house: alarms, sealing, anchoring, audit."""

from flask import Flask
from flask_limiter import Limiter


def enter(_app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
