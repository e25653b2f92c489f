"""Optional single sign-on 统一身份认证."""

from flask import Flask
from flask_limiter import Limiter


def enter(_app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
