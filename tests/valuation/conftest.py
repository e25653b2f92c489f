"""Properties are tried without a time limit for one example: the machine may be busy."""

from hypothesis import settings

settings.register_profile("valuation", deadline=None)
settings.load_profile("valuation")
