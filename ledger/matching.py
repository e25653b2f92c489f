"""Which resources of the catalogue may answer a demand, and why: a score, and its reasons one by one.

Only what somebody may see is matched for him: others are not counted, and not told.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import catalogue, exclusions
from ledger.catalogue import Resource
from ledger.catalogue_values import CYCLES, OPENING, SHARING, read_choice
from ledger.exclusions import Exclusion
from ledger.parties import Actor
from ledger.scripts import fold
from ledger.scripts import words as folded_words
from ledger.search import ALL, Index, SearchDoc

MATCHES_MAX = 8
CANDIDATES_MAX = 300
ASKED_FOR, ITEMS, TITLE, MORE, CYCLE, ALLOWED = (
    100,
    50,
    24,
    12,
    6,
    10,
)  # points at most for each reason
LEAST = 8  # points for items and words, without which cycle and attribute say nothing
WORD_LEAST = 2  # characters of a Chinese word
# Words in which nearly every demand and resource agree.
COMMON = frozenset(
    {"数据", "信息", "需求", "资源", "情况", "相关", "公共", "管理", "目录", "有关", "查询"}
    | {"the", "of", "and", "for", "data"}
)
COMMON_WORD = re.compile("|".join(sorted(COMMON)))
ATTRIBUTES = {"sharing": SHARING, "opening": OPENING}  # by the use that they rule
RUN = re.compile(r"[0-9a-z]+|[^\W0-9a-z_]+")
ORDER = {freq: n for n, freq in enumerate(CYCLES)}  # the most frequent first
NO_CYCLE = ("irregular", "never")


@dataclass(frozen=True)
class Wish:
    """What a demand says about the data wanted."""

    title: str
    items: Sequence[str]
    use: str
    cycle: str | None = None
    resource_id: str | None = None
    """the resource asked for by its code"""


@dataclass(frozen=True)
class Match:
    """A resource that may answer a demand."""

    resource: Resource
    score: int
    why: list[dict[str, Any]]
    """each reason by its name with its facts (`webapp.pages.demands` has the words)"""

    def as_dict(self) -> dict[str, Any]:
        """As it is recorded and told."""
        row = self.resource
        return {
            "code": row.code,
            "id": row.id,
            "score": self.score,
            "title": row.title,
            "why": self.why,
        }


def matches(session: Session, actor: Actor, wish: Wish) -> list[Match]:
    """The resources that exist for the actor and may answer a wish, the best first."""
    found = {row.id: row for row in candidates(session, actor, words_of(wish))}
    if wish.resource_id is not None and wish.resource_id not in found:
        asked = session.get_one(Resource, wish.resource_id)
        if catalogue.audiences(session, actor).sees(asked):
            found[asked.id] = asked
    forbidding = exclusions.in_force(session, found)
    judged = [judge(wish, row, forbidding.get((row.id, wish.use))) for row in found.values()]
    fitting = [match for match in judged if match is not None]
    return sorted(fitting, key=lambda match: (-match.score, match.resource.code))[:MATCHES_MAX]


def candidates(session: Session, actor: Actor, words: Iterable[str]) -> list[Resource]:
    """The listed resources that exist for the actor and in which words stand, the rarest words first."""
    index, seen = Index(session), catalogue.audiences(session, actor)
    visible = index.visible(seen)
    sets = [index.having(visible, ALL, folded) for folded in map(folded_words, words) if folded]
    docs = BitMap()
    for those in sorted(sets, key=len):
        if len(docs) < CANDIDATES_MAX:
            docs |= those
    wanted = (
        select(Resource)
        .join(SearchDoc, SearchDoc.resource_id == Resource.id)
        .where(SearchDoc.doc.in_(list(docs)[:CANDIDATES_MAX]), Resource.state == "listed")
    )
    return [row for row in session.scalars(wanted) if seen.sees(row)]


def words_of(wish: Wish) -> list[str]:
    """The words by which resources are looked for: items as they are, and what its title is made of."""
    found = [item.strip() for item in wish.items]
    for run in RUN.findall(fold(wish.title)):
        if run.isascii():
            found.append(run)
        else:
            found += [run[n : n + WORD_LEAST] for n in range(len(run) - WORD_LEAST + 1)]
    return [word for word in dict.fromkeys(found) if len(word) >= WORD_LEAST and word not in COMMON]


def judge(wish: Wish, row: Resource, exclusion: Exclusion | None) -> Match | None:
    """How well a resource answers a wish and why; None when nothing speaks for it."""
    why: list[dict[str, Any]] = []
    content = 0
    asked = row.id == wish.resource_id
    if asked:
        why.append({"reason": "asked_for"})
    found, points = _items(wish.items, names_of(row.elements))
    if found:
        content += ITEMS * points // (2 * len(wish.items))
        why.append({"reason": "items", "words": found})
        lacking = [item for item in wish.items if item not in found]
        why += [{"reason": "lacking", "words": lacking}] if lacking else []
    for where, text, most in (
        ("title", row.title, TITLE),
        ("keywords", _text(row.elements.get("keywords")), MORE),
        ("summary", _text(row.elements.get("summary")), MORE),
    ):
        common = list(dict.fromkeys(shared(wish.title, text)))
        if common:
            content += min(most, most * sum(map(len, common)) // 8)
            why.append({"reason": where, "words": common})
    if content < LEAST and not asked:
        return None
    fits, facts = _cycle(wish.cycle, row.elements.get("update_cycle"))
    why += [facts] if facts else []
    allows, said = _attribute(wish.use, row.elements)
    why += [said] if said else []
    if exclusion is not None:
        why.append({"reason": "forbidden", "exclusion": exclusion.id})
    return Match(row, ASKED_FOR * asked + content + fits + allows, why)


def names_of(elements: Mapping[str, Any]) -> list[str]:
    """The names of a resource's data items."""
    given = elements.get("items") or []
    listed = given if isinstance(given, list) else [given]
    return [str(one.get("name", "") if isinstance(one, Mapping) else one) for one in listed]


def shared(wanted: str, text: str) -> Iterator[str]:
    """The longest words of one text that stand in another, whatever their case, width and script.

    >>> list(shared("企业失信被执行人信息", "失信被执行人名单（企业）"))
    ['企业', '失信被执行人']
    """
    whole = fold(text)
    for run in RUN.findall(fold(wanted)):
        if run.isascii():
            if run not in COMMON and run in RUN.findall(whole):
                yield run
            continue
        start = 0
        while start < len(run):
            end = start
            while end < len(run) and run[start : end + 1] in whole:
                end += 1
            word = run[start:end]
            if len(COMMON_WORD.sub("", word)) >= WORD_LEAST:
                yield word
            start = max(end, start + 1)


def _items(wanted: Sequence[str], known: Sequence[str]) -> tuple[list[str], int]:
    """(those of the wanted items that are there, points: 2 for the same name, 1 for a name in another)."""
    names = [name for name in map(_name, known) if name]
    found, points = [], 0
    for item in wanted:
        name = _name(item)
        same = name in names
        near = any(name in one or (len(one) >= WORD_LEAST and one in name) for one in names)
        if name and (same or near):
            found.append(item)
            points += 2 if same else 1
    return found, points


def _name(text: str) -> str:
    return fold(text).replace(" ", "")


def _cycle(wanted: str | None, known: Any) -> tuple[int, dict[str, Any] | None]:
    if wanted not in ORDER or known not in ORDER:
        return 0, None
    fits = known == wanted or (known not in NO_CYCLE and ORDER[known] <= ORDER[str(wanted)])
    reason = "cycle_fits" if fits else "cycle_slower"
    return CYCLE if fits else 0, {"reason": reason, "cycle": known}


def _attribute(use: str, elements: Mapping[str, Any]) -> tuple[int, dict[str, Any] | None]:
    """What the attribute that rules a use says: an agreement rules operation, no attribute does."""
    if use not in ATTRIBUTES:
        return 0, None
    choice = read_choice(_text(elements.get(use)), dict(ATTRIBUTES[use]))
    if choice is None:
        return 0, None
    points = {"unconditional": ALLOWED, "conditional": ALLOWED // 2}.get(choice, 0)
    condition = _text(elements.get(f"{use}_condition"))
    return points, {"condition": condition, "reason": f"{use}_{choice}"}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
