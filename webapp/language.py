"""Both languages: English templates are the message ids, the Chinese stand in `translations/`.

The language is zh unless SHUZHENG_LANG=en. A template without translation stays English; a test
finds it.
"""

import os
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

from ledger.errors import fill

TRANSLATIONS = Path(__file__).parent / "translations"


def language() -> str:
    """`zh` or `en`."""
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


def translate(template: str) -> str:
    """The template in the user's language."""
    return catalogue().get(template, template) if language() == "zh" else template


def tr(template: str, /, **facts: object) -> str:
    """The sentence in the user's language."""
    return fill(translate(template), facts)
