"""Vouchers and appraisals: exports, the steps of a figure."""

from flask import Flask
from flask_limiter import Limiter


def enter(_app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
