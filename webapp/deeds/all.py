"""Every file that enters deeds and questions; importing this makes `DEEDS` and `QUESTIONS` whole."""

from webapp.deeds import circulation, field, house, people, proofs, usage, witnesses, work

__all__ = ["circulation", "field", "house", "people", "proofs", "usage", "witnesses", "work"]
