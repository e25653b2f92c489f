"""Expected refusals: each has a stable code, a sentence for a person, and the facts behind it (design §8).

A `LedgerError` means that somebody asked for what cannot be; nothing was changed. An `AssertionError`
means that we made a mistake; nobody catches it. The sentence is a template over the facts, so that it
can be translated: `Missing("There is no voucher {number}.", number="PZ…")`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

NUMBERED = re.compile(r"[0-9A-Z/-]*[0-9][0-9A-Z/-]*")  # a number or code of ours: PZ202611-000001-5


class LedgerError(Exception):
    """An expected refusal: what is wrong, where, and what to do; nothing was changed."""

    code = "error"
    http_status = 400

    def __init__(self, template: str, /, **facts: Any) -> None:
        self.template = template
        self.facts = facts
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        return self.localized(str)

    def localized(self, translate: Callable[[str], str]) -> str:
        """The sentence in another language: `translate` maps the template."""
        return fill(translate(self.template), spoken(self.facts, translate))

    def as_dict(self) -> dict[str, Any]:
        """The refusal as RFC 9457 problem details, without transport fields."""
        facts = {
            name: value.sentences(str) if isinstance(value, Faults) else value
            for name, value in self.facts.items()
        }
        return {"code": self.code, "detail": self.sentence, "facts": facts}


class Faults:
    """Everything that is wrong with what was given, named at once: templates with their facts.

    `at` is the place of a fault in what was given, `materials.scene`, so that a form can show it there.
    """

    def __init__(self) -> None:
        self._named: list[tuple[str, dict[str, Any], str]] = []

    def __bool__(self) -> bool:
        return bool(self._named)

    def __str__(self) -> str:
        return self.localized(str)

    def name_fault(self, template: str, /, at: str = "", **facts: Any) -> None:
        """One more fault."""
        self._named.append((template, facts, at))

    def add(self, others: "Faults") -> None:
        """All of the others."""
        self._named += others.named()

    def tried(self, at: str, act: Callable[..., Any], *given: Any) -> Any:
        """What `act` gives; where it refuses, its sentence is one more fault, and there is None."""
        try:
            return act(*given)
        except LedgerError as error:
            self.name_fault(error.template, at, **error.facts)
            return None

    def name_missing(self, due: Mapping[str, str], given: Mapping[str, Any], at: str = "") -> None:
        """Each key of `due` (key → Chinese name) without text in `given`, and each unknown key."""
        place = f"{at}.{{}}" if at else "{}"
        for key, zh in due.items():
            if not str(given.get(key) or "").strip():
                self.name_fault("{key} ({zh})", place.format(key), key=key, zh=zh)
        for key in given:
            if key not in due:
                self.name_fault("unknown item {key}", place.format(key), key=key)

    def named(self) -> list[tuple[str, dict[str, Any], str]]:
        """Each fault as it was named: template, facts, place."""
        return list(self._named)

    def first(self, most: int) -> tuple["Faults", int]:
        """The first of them, and how many more there are."""
        made = Faults()
        made._named = self._named[:most]
        return made, len(self._named) - len(made._named)

    def by_row(self) -> "Faults":
        """The same in the order of the rows they stand in; those of no row at the end."""
        made = Faults()
        made._named = sorted(
            self._named,
            key=lambda one: (not one[2].isdigit(), int(one[2] if one[2].isdigit() else 0)),
        )
        return made

    def sentences(self, translate: Callable[[str], str]) -> list[str]:
        """Each fault in a language."""
        return [
            fill(translate(template), spoken(facts, translate))
            for template, facts, _ in self._named
        ]

    def by_place(self, translate: Callable[[str], str]) -> dict[str, list[str]]:
        """The faults in a language, by their place; those without one stand under ""."""
        found: dict[str, list[str]] = {}
        for template, facts, at in self._named:
            told = fill(translate(template), spoken(facts, translate))
            found.setdefault(at, []).append(told)
        return found

    def localized(self, translate: Callable[[str], str]) -> str:
        """All faults in one line."""
        return "; ".join(one.rstrip(".。") for one in self.sentences(translate))


def spoken(facts: Mapping[str, Any], translate: Callable[[str], str]) -> dict[str, Any]:
    """The facts as a sentence in a language says them: what is a word of ours, is said in that language.

    Of several words (`registrar / provider`) each, of a noun with its number (`voucher PZ…`) the noun.
    """

    def say(value: Any) -> Any:
        if isinstance(value, Faults):
            return value.localized(translate)
        if not isinstance(value, str) or not value:
            return value
        for between in (" / ", ", "):
            parts = value.split(between)
            if all(part and translate(part) != part for part in parts):
                return between.join(map(translate, parts))
        noun, gap, number = value.rpartition(" ")
        if not NUMBERED.fullmatch(number):
            return value
        known = next((n for n in (noun, noun.lower()) if translate(n) != n), noun) if noun else noun
        return f"{translate(known)}{gap}{number}" if noun else value

    # What bears a name (a field, a file, an organisation) is called by it.
    return {name: value if name == "name" else say(value) for name, value in facts.items()}


def fill(template: str, facts: dict[str, Any]) -> str:
    """Put the facts into a template; a template without matching facts stays as it is."""
    try:
        return template.format_map(facts)
    except (KeyError, ValueError, IndexError, AttributeError):
        return template


class Invalid(LedgerError):
    """What was given is not well formed or breaks a rule of the field."""

    code, http_status = "invalid", 400


class NotAuthenticated(LedgerError):
    """It is not known who asks (also: a wrong passphrase)."""

    code, http_status = "not_authenticated", 401


class NotAllowed(LedgerError):
    """It is known who asks, and he may not."""

    code, http_status = "not_allowed", 403


class Missing(LedgerError):
    """What was named is not there, or not for him who asks."""

    code, http_status = "missing", 404


class Conflict(LedgerError):
    """The state does not allow it; the facts name what is known and what was given."""

    code, http_status = "conflict", 409


class ProofFailed(LedgerError):
    """A proof does not hold; the fact `step` names where."""

    code, http_status = "proof_failed", 422


class ChainReverted(LedgerError):
    """A contract refused; the facts `name` and `args` are its custom error."""

    code, http_status = "chain_reverted", 502


class ChainUnavailable(LedgerError):
    """No node answered, or it is another chain's node."""

    code, http_status = "chain_unavailable", 503


class DiskFull(Conflict):
    """There is no room left to write; met wherever a database that is busy is."""

    code, http_status = "disk_full", 507
