"""Licences, periods and statements; the checker's own signature."""

from flask import Flask
from flask_limiter import Limiter


def enter(_app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
