"""Both languages: English templates are the message ids, the Chinese stand in `translations/`.

The language is the request's on the site (`speak`), else zh unless SHUZHENG_LANG=en. A template without
translation stays English; a test finds it.
"""

import os
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

from ledger.errors import fill
from webapp.refusals import SENTENCES

TRANSLATIONS = Path(__file__).parent / "translations"
# Facts that are words of ours (states, verbs, roles, verdicts), not somebody's data; and facts that
# are translated as a whole or not at all.
WORD_FACTS = frozenset((
    "allowed", "barred", "items", "kind", "machine", "may_be", "needed", "noun", "nouns", "other",
    "purpose", "role", "roles", "rung", "state", "verb",
    "verdict", "what", "word",
))  # fmt: skip
WHOLE_FACTS = frozenset(("cause", "deadline", "element", "form", "level", "why"))
WORD = re.compile(r"(?<![\w.])[A-Za-z]+(?:[_ ][A-Za-z]+)*(?![\w.])")


LANGUAGES = {"zh": "中文", "en": "English"}
_SPOKEN: ContextVar[str | None] = ContextVar("spoken", default=None)


def speak(code: str | None) -> None:
    """Use a language for what is said next in this request or thread; None: the usual one."""
    _SPOKEN.set(code if code in LANGUAGES else None)


def language() -> str:
    """`zh` or `en`."""
    spoken = _SPOKEN.get()
    if spoken is not None:
        return spoken
    return "en" if os.environ.get("SHUZHENG_LANG", "zh").lower().startswith("en") else "zh"


@cache
def catalogue() -> dict[str, str]:
    """English template → Chinese."""
    with (TRANSLATIONS / "zh_CN" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return {
            str(message.id): str(message.string)
            for message in read_po(file, locale="zh_CN")
            if message.id and message.string
        }


class Template(str):
    """A Chinese template; what is filled in says its words in Chinese too (`in_words`)."""

    def format_map(self, facts: Any, /) -> str:
        return super().format_map(in_words(facts))


def translate(template: str) -> str:
    """The template in the user's language."""
    return Template(catalogue().get(template, template)) if language() == "zh" else template


def tr(template: str, /, **facts: object) -> str:
    """The sentence in the user's language."""
    return fill(translate(template), facts)


def in_both(template: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """A sentence in every language, for whoever reads it elsewhere."""
    chinese = Template(catalogue().get(template, template))
    return {"en": fill(template, dict(facts)), "zh": fill(chinese, dict(facts))}


def retell(text: str, templates: Iterable[str]) -> str:
    """A text that one of the templates said in English, in the user's language; any other as it stands."""
    for template in templates:
        found = _pattern(template).fullmatch(text)
        if found:
            return tr(template, **found.groupdict())
    return text


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """What a filled template looks like; a field named twice may differ the second time."""
    parts = re.split(r"\{(\w+)[^}]*\}", template)
    fields = parts[1::2]
    parts[1::2] = [
        ".+" if name in fields[:at] else f"(?P<{name}>.+)" for at, name in enumerate(fields)
    ]
    parts[::2] = map(re.escape, parts[::2])
    return re.compile("".join(parts), re.DOTALL)


def in_words(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with every word of ours in Chinese; what has no translation stays as it is."""
    known = catalogue()

    def fact(name: str, value: Any) -> Any:
        if isinstance(value, bool):
            return known[str(value)]
        if not isinstance(value, str):
            return value
        if name in WORD_FACTS:
            said = WORD.sub(lambda found: known.get(found[0].lower(), found[0]), value)
            return said if name == "what" else said.replace(", ", "、")
        if name == "cause" and value not in known:
            return "；".join(map(_refusal, value.split("; ")))
        return known.get(value, value) if name in WHOLE_FACTS else value

    return {name: fact(name, value) for name, value in facts.items()}


def _refusal(text: str) -> str:
    """What a calculation refuses, ``path: sentence``, in Chinese where the sentence is known."""
    place, _, sentence = text.partition(": ")
    for template in SENTENCES:
        found = _pattern(template).fullmatch(sentence)
        if found:
            return f"{place}：{fill(catalogue().get(template, template), found.groupdict())}"
    return text
