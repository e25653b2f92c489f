"""Packages of CKAN: as its `package_show` and `package_search` answer, and as ckanapi writes them in lines.

What CKAN has a place for stands there; every field stands among the extras besides, as the text of its
cell (`shuzheng_…`), so that our own packages come back unchanged.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ledger.catalogue_fields import FIELDS, field_of, is_personal
from ledger.catalogue_values import read_formats, split_list
from ledger.tabular import Problem

OWN = "shuzheng_"
NAME_MOST = 100
# CKAN's own words → our field; the first that says something counts.
PLACES = (
    ("code", ("id", "name")),
    ("title", ("title", "name")),
    ("summary", ("notes",)),
    ("licence", ("license_title", "license_id")),
    ("source_url", ("url",)),
    ("published_on", ("issued", "metadata_created")),
    ("updated_on", ("modified", "metadata_modified")),
)
# Of a machine, or of persons: not looked at.
PASSED = {
    "author", "author_email", "creator_user_id", "maintainer", "maintainer_email", "revision_id",
    "owner_org", "isopen", "num_resources", "num_tags", "relationships_as_object",
    "relationships_as_subject", "state", "type", "version", "private", "license_url", "extras",
    "organization", "resources", "tags", "groups", "tracking_summary",
    *(word for _, words in PLACES for word in words),
}  # fmt: skip


def package(
    code: str, title: str, cells: Mapping[str, str], uscc: str | None = None
) -> dict[str, Any]:
    """A resource as a package."""
    tags = split_list(cells.get("keywords", ""))
    formats, _ = read_formats(cells.get("format", ""))
    url = cells.get("source_url", "")
    organisation = uscc or cells.get("provider_code") or cells.get("provider", "")
    made = {
        "id": name_of(code), "name": name_of(code), "title": title, "notes": cells.get("summary", ""),
        "type": "dataset", "state": "active", "private": False,
        "organization": {"name": name_of(organisation), "title": cells.get("provider", "")},
        "license_title": cells.get("licence"), "url": cells.get("documentation_url") or url or None,
        "tags": [{"name": tag, "display_name": tag} for tag in tags], "num_tags": len(tags),
        "resources": [{"name": title, "format": one, "url": url} for one in formats],
        "num_resources": len(formats),
        "metadata_created": cells.get("published_on"), "metadata_modified": cells.get("updated_on"),
        "extras": [{"key": OWN + name, "value": text} for name, text in cells.items()],
    }  # fmt: skip
    return {name: value for name, value in made.items() if value is not None}


def name_of(text: str) -> str:
    """A name as CKAN allows it (a-z, 0-9, - and _, 2 to 100), the same for the same text, else another.

    >>> name_of("a01-7"), name_of("307001001/000001")
    ('a01-7', '307001001-000001-88de092c')
    """
    plain = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")
    if plain == text and 2 <= len(plain) <= NAME_MOST:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[: NAME_MOST - 9]}-{digest}".lstrip("-")


# ---------------------------------------------------------------- reading


def read(documents: Sequence[Any]) -> tuple[list[dict[str, str]], list[Problem]] | None:
    """The entries of packages (field or header → text), and what is to be told; None: no packages."""
    found = [one for document in documents for one in _packages(document)]
    if not found or not any(_is_package(one) for one in found):
        return None
    problems = [
        Problem(
            "notice", "entry_no_package", None, number, None, "此条不是 CKAN 数据包，未导入。",
            "This entry is no package of CKAN and was left out.",
        )
        for number, one in enumerate(found, start=1)
        if not _is_package(one)
    ]  # fmt: skip
    found.reverse()
    entries = []
    while found:  # a large file's packages go as soon as they are read
        one = found.pop()
        entries.append(_entry(one) if _is_package(one) else {})
    return entries, problems


def _packages(document: Any) -> Iterator[Any]:
    if isinstance(document, list):
        yield from document
    elif isinstance(document, dict):
        inner = document.get("result", document)
        if isinstance(inner, dict) and isinstance(inner.get("results"), list):
            inner = inner["results"]
        yield from inner if isinstance(inner, list) else [inner]


def _is_package(one: Any) -> bool:
    return isinstance(one, dict) and ("name" in one or "id" in one) and (
        isinstance(one.get("resources"), list) or "notes" in one or "title" in one
    )  # fmt: skip


def _entry(one: Mapping[str, Any]) -> dict[str, str]:
    extras = dict(_extras(one.get("extras")))
    own = {key.removeprefix(OWN): text for key, text in extras.items() if key.startswith(OWN)}
    if own.get("code"):
        return {name: text for name, text in own.items() if name in FIELDS}
    found = {field: _first(one, words) for field, words in PLACES}
    organisation = one.get("organization")
    if isinstance(organisation, dict):
        found["provider"] = _first(organisation, ("title", "name"))
    resources = [r for r in one.get("resources") or () if isinstance(r, dict)]
    found["format"] = "、".join(dict.fromkeys(_texts(r.get("format") for r in resources)))
    found["source_url"] = next(_texts(r.get("url") for r in resources), found["source_url"])
    found["keywords"] = "、".join(_names(one.get("tags"), ("display_name", "name")))
    found["category"] = next(_names(one.get("groups"), ("title", "display_name", "name")), "")
    more = {key: _text(value) for key, value in one.items() if key not in PASSED} | extras
    for key, text in more.items():
        if not text or is_personal(key):
            continue
        known = field_of(key)
        field = known[1] if known else ""
        if field and (key in extras or not found.get(field)):
            found[field] = text
        elif not field and key in extras:
            found[key] = text
    return {name: text for name, text in found.items() if text}


def _extras(given: Any) -> Iterator[tuple[str, str]]:
    pairs = given.items() if isinstance(given, dict) else (
        (one.get("key"), one.get("value")) for one in given or () if isinstance(one, dict)
    )  # fmt: skip
    for key, value in pairs:
        if isinstance(key, str) and key.strip():
            yield key.strip(), _text(value)


def _first(one: Mapping[str, Any], words: Iterable[str]) -> str:
    return next(_texts(one.get(word) for word in words), "")


def _names(given: Any, words: Sequence[str]) -> Iterator[str]:
    for one in given if isinstance(given, list) else ():
        text = _first(one, words) if isinstance(one, dict) else _text(one)
        if text:
            yield text


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (text for value in values if (text := _text(value)))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return "、".join(_texts(value))
    return ""
