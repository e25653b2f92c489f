"""Text folded for comparing and finding: width, case, accents, traditional or simplified do not matter.

Folding goes character by character, so that a place in the folded text is a place in the written one.
Letters and digits stay, everything else is a blank.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

Piece = tuple[str, bool]
"""A part of a text, and whether it is what was looked for."""

IDEOGRAPHS: Final = 0x2E80  # the first code point of Chinese characters and their parts
# What parts two words of a question; other signs stand inside a word, as in a code.
_BETWEEN: Final = re.compile(r"[\s、，,;；|]+")


_ODD: Final[set[str]] = set()  # characters met that fold to more than one, or to none


class _Folding(dict[int, str]):
    """Each character's folded form, found when it is first met."""

    def __missing__(self, point: int) -> str:
        found = self[point] = _fold_char(chr(point))
        if len(found) != 1:
            _ODD.add(chr(point))
        return found


def _fold_char(char: str) -> str:
    if unicodedata.category(char) == "Cs":
        return " "
    plain = unicodedata.normalize("NFKD", char).casefold()
    plain = "".join(
        one for one in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(one)
    )
    if not plain:  # an accent of its own: the letter before it stands for both
        return "" if unicodedata.combining(char) else " "
    return "".join(one if one.isalnum() else " " for one in simplified(plain))


@cache
def _converter() -> Any:
    import opencc  # noqa: PLC0415 - its tables are read only where there is Chinese to compare

    return opencc.OpenCC("t2s")


class _Simpler(dict[int, str]):
    """Each character's simplified form, found when it is first met."""

    def __missing__(self, point: int) -> str:
        char = chr(point)
        simple = str(_converter().convert(char)) if point >= IDEOGRAPHS else char
        found = self[point] = simple if len(simple) == 1 else char
        return found


_SIMPLER: Final = _Simpler()


def simplified(text: str) -> str:
    """The text with each traditional character simplified by itself; its length stays.

    >>> simplified("臺灣的資料")
    '台湾的资料'
    """
    return text.translate(_SIMPLER)


_FOLDING: Final = _Folding()


def fold(text: str) -> str:
    """The text as it is compared.

    >>> fold("臺北Ｃｙｃｌｅ－café")
    '台北cycle cafe'
    """
    return " ".join(text.translate(_FOLDING).split())


def words(text: str) -> list[str]:
    """The words of a question, folded, each once: parted by blanks and commas, not by the signs of a code.

    >>> words("公車 路線,307001001/000001")
    ['公车', '路线', '307001001 000001']
    """
    return list(dict.fromkeys(filter(None, map(fold, _BETWEEN.split(text)))))


def spans(text: str, wanted: Sequence[str]) -> list[tuple[int, int]]:
    """Where folded words stand in a text as written, from the first on, overlapping ones as one."""
    plain = text.translate(_FOLDING)
    if _ODD.isdisjoint(text):
        found = [at for word in wanted for at in _found(plain, word)]
    else:  # some character is not one character when folded
        plain, places = _placed(text)
        found = [
            (places[start], places[end - 1] + 1)
            for word in wanted for start, end in _found(plain, word)
        ]  # fmt: skip
    joined: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def pieces(text: str, wanted: Sequence[str]) -> list[Piece]:
    """The text in parts: what stands between, and what was looked for.

    >>> pieces("桃園市公車", ["公车"])
    [('桃園市', False), ('公車', True)]
    """
    parts: list[Piece] = []
    last = 0
    for start, end in spans(text, wanted):
        parts += [(text[last:start], False), (text[start:end], True)]
        last = end
    parts.append((text[last:], False))
    return [part for part in parts if part[0]]


def snippet(text: str, wanted: Sequence[str], length: int = 120) -> list[Piece]:
    """A part of the text around the first word found in it, or its beginning."""
    first = next((start for start, _ in spans(text, wanted)), 0)
    start = max(0, first - length // 4) if first + length // 2 > length else 0
    end = start + length
    parts = pieces(text[start:end], wanted)
    if start:
        parts.insert(0, ("…", False))
    if end < len(text):
        parts.append(("…", False))
    return parts


def _found(plain: str, word: str) -> list[tuple[int, int]]:
    """Where a folded word stands; a blank in it may be several in the text."""
    if " " in word:
        wanted = re.compile(f"(?=({' +'.join(map(re.escape, word.split()))}))")
        return [match.span(1) for match in wanted.finditer(plain)]
    found, start = [], plain.find(word)
    while start >= 0:
        found.append((start, start + len(word)))
        start = plain.find(word, start + 1)
    return found


def _placed(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters its place in the text."""
    folded = [(one, place) for place, char in enumerate(text) for one in _FOLDING[ord(char)]]
    return "".join(one for one, _ in folded), [place for _, place in folded]
