"""Every file that enters deeds and questions; importing this makes `DEEDS` and `QUESTIONS` whole."""

from webapp.deeds import (
    circulation,
    demands,
    exclusions,
    feedback,
    field,
    house,
    people,
    proofs,
    responsibilities,
    search,
    stewards,
    successions,
    usage,
    witnesses,
    work,
)

__all__ = [
    "circulation",
    "demands",
    "exclusions",
    "feedback",
    "field",
    "house",
    "people",
    "proofs",
    "responsibilities",
    "search",
    "stewards",
    "successions",
    "usage",
    "witnesses",
    "work",
]
