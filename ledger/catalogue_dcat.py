"""DCAT 3 in JSON-LD: a resource as a `dcat:Dataset`, and the data sets of others as our fields.

The terms are those of rules/catalogue_elements.yaml; what DCAT has no term for, and each field's exact
text, stands under terms of our own (`shuzheng:…`), so that our own catalogue comes back unchanged.

Reading is strict and offline: prefixes and terms that the document itself defines are followed, a context
that stands elsewhere is not fetched (that is told) and its common words are taken for DCAT's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from ledger.catalogue_fields import FIELDS
from ledger.catalogue_values import read_formats, split_list
from ledger.tabular import Problem

SHUZHENG: Final = "urn:shuzheng:terms#"
FREQ: Final = "http://purl.org/cld/freq/"
EU: Final = "http://publications.europa.eu/resource/authority/"
PREFIXES: Final = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "csvw": "http://www.w3.org/ns/csvw#",
    "shuzheng": SHUZHENG,
}
# The texts of cells are in no language: they are codes and spellings.
CONTEXT: Final = {
    **PREFIXES, "@language": "zh",
    **{f"shuzheng:{name}": {"@id": SHUZHENG + name, "@language": None} for name in FIELDS},
}  # fmt: skip
# Prefixes that others use without saying so.
_USUAL: Final = {
    **PREFIXES, "dct": PREFIXES["dcterms"], "dc": "http://purl.org/dc/elements/1.1/",
    "vcard": "http://www.w3.org/2006/vcard/ns#", "schema": "http://schema.org/",
    "adms": "http://www.w3.org/ns/adms#", "prov": "http://www.w3.org/ns/prov#",
}  # fmt: skip
# Words without prefix, as contexts that stand elsewhere define them.
_WORDS: Final = {
    **{word: PREFIXES["dcterms"] + word for word in (
        "title", "description", "identifier", "publisher", "issued", "modified", "license", "rights",
        "accrualPeriodicity", "accessRights", "format", "temporal", "conformsTo", "relation", "type",
        "language", "spatial",
    )},
    **{word: PREFIXES["dcat"] + word for word in (
        "dataset", "distribution", "theme", "landingPage", "accessURL", "downloadURL", "mediaType",
        "startDate", "endDate", "Dataset", "Catalog", "Distribution", "keyword",
    )},
    "name": PREFIXES["foaf"] + "name", "prefLabel": PREFIXES["skos"] + "prefLabel",
    "label": PREFIXES["rdfs"] + "label",
}  # fmt: skip
_RIGHTS: Final = {"public": "PUBLIC", "bodies": "RESTRICTED", "authority": "NON_PUBLIC"}
_EU_FREQUENCIES: Final = {
    "CONT": "continuous", "UPDATE_CONT": "continuous", "DAILY": "daily", "WEEKLY": "weekly",
    "BIWEEKLY": "biweekly", "MONTHLY": "monthly", "MONTHLY_2": "semimonthly",
    "MONTHLY_3": "threeTimesAMonth", "BIMONTHLY": "bimonthly", "QUARTERLY": "quarterly",
    "ANNUAL": "annual", "ANNUAL_2": "semiannual", "BIENNIAL": "biennial", "TRIENNIAL": "triennial",
    "IRREG": "irregular", "NEVER": "never", "AS_NEEDED": "irregular",
}  # fmt: skip
_ISO_FREQUENCIES: Final = {
    "R/PT1S": "continuous", "R/P1D": "daily", "R/P1W": "weekly", "R/P7D": "weekly",
    "R/P2W": "biweekly", "R/P0.5M": "semimonthly", "R/P1M": "monthly", "R/P2M": "bimonthly",
    "R/P3M": "quarterly", "R/P6M": "semiannual", "R/P1Y": "annual", "R/P2Y": "biennial",
    "R/P3Y": "triennial", "irregular": "irregular",
}  # fmt: skip
_LINK: Final = re.compile(r"https?://[^\s<>\"{}|\\^`]+")
_DATES: Final = {10: "xsd:date", 7: "xsd:gYearMonth", 4: "xsd:gYear"}
_DATE: Final = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_DEEPEST: Final = 40

# ---------------------------------------------------------------- writing


def catalog(base: str, title: str) -> dict[str, Any]:
    """The catalogue without its data sets; these follow under `dcat:dataset`."""
    return {
        "@context": CONTEXT, "@id": f"{base}/resources" if base else
        "urn:shuzheng:catalogue", "@type": "dcat:Catalog", "dcterms:title": title,
        "dcterms:language": {"@id": f"{EU}language/ZHO"},
    }  # fmt: skip


def address(base: str, code: str) -> str:
    """The IRI of a resource: its page where the site is known."""
    return (
        f"{base}/resources/{quote(code)}"
        if base
        else f"urn:shuzheng:resource:{quote(code, safe='')}"
    )


def dataset(
    base: str, code: str, title: str, cells: Mapping[str, str], audience: str, *,
    cycle: str | None = None, uscc: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A resource as a data set; `cycle` is its update cycle as Dublin Core names it."""
    here = address(base, code)
    made: dict[str, Any] = {
        "@id": here, "@type": "dcat:Dataset", "dcterms:identifier": _plain(code),
        "dcterms:title": title, "dcterms:description": cells.get("summary"),
        "dcterms:publisher": _typed("foaf:Organization", {
            "foaf:name": cells.get("provider"),
            "dcterms:identifier": _plain(cells.get("provider_code") or uscc),
        }),
        "dcat:theme": _typed("skos:Concept", {"skos:prefLabel": cells.get("category")}),
        "dcat:keyword": split_list(cells.get("keywords", "")),
        "dcterms:issued": _date(cells.get("published_on")),
        "dcterms:modified": _date(cells.get("updated_on")),
        "dcterms:accrualPeriodicity": _cycle(cycle),
        "dcterms:temporal": _typed("dcterms:PeriodOfTime", {
            "dcat:startDate": _date(cells.get("period_from")),
            "dcat:endDate": _date(cells.get("period_to")),
        }),
        "dcterms:accessRights": {"@id": f"{EU}access-right/{_RIGHTS[audience]}"},
        "dcterms:rights": _typed("dcterms:RightsStatement", {"rdfs:label": cells.get("licence")}),
        "dcterms:relation": [{"@id": address(base, one)} for one in
                             split_list(cells.get("related", ""))],
        "dcat:landingPage": _link(cells.get("documentation_url")),
        "dcterms:conformsTo": _schema(here, split_list(cells.get("items", ""))),
        "dcat:distribution": _distributions(cells),
    }  # fmt: skip
    own = {f"shuzheng:{name}": text for name, text in cells.items()
           if name not in ("title", "summary", "provider")}  # fmt: skip
    return {name: value for name, value in (made | own).items() if value not in (None, [], "")}


def _plain(text: str | None) -> Any:
    """A text in no language: a code."""
    return {"@value": text} if text else None


def _typed(kind: str, said: Mapping[str, Any]) -> dict[str, Any] | None:
    kept = {name: value for name, value in said.items() if value}
    return {"@type": kind, **kept} if kept else None


def _date(text: str | None) -> dict[str, str] | None:
    if text is None or not _DATE.fullmatch(text):
        return None
    return {"@type": _DATES[len(text)], "@value": text}


def _link(text: str | None) -> dict[str, str] | None:
    return {"@id": text} if text and _LINK.fullmatch(text) else None


def _cycle(cycle: str | None) -> dict[str, str] | None:
    if cycle is None:
        return None
    return {"@id": f"{EU}frequency/NEVER" if cycle == "never" else FREQ + cycle}


def _schema(here: str, items: Sequence[str]) -> dict[str, Any] | None:
    """The schema document of the data items; DCAT itself has no term for a field."""
    if not items:
        return None
    return {
        "@id": f"{here}#items", "@type": ["dcterms:Standard", "csvw:Schema"],
        "csvw:column": {"@list": [{"csvw:title": one} for one in items]},
    }  # fmt: skip


def _distributions(cells: Mapping[str, str]) -> list[dict[str, Any]]:
    formats, _ = read_formats(cells.get("format", ""))
    link = _link(cells.get("source_url"))
    made = []
    for one in formats or ([""] if link else []):
        said = {
            "@type": "dcat:Distribution",
            "dcterms:format": _typed("dcterms:MediaTypeOrExtent", {"rdfs:label": _plain(one)}),
            "dcat:accessURL": link,
        }  # fmt: skip
        made.append({name: value for name, value in said.items() if value})
    return made


# ---------------------------------------------------------------- reading

Node = dict[str, list[Any]]
"""IRI → values; `@id` and `@type` are lists of IRIs"""


class _Reader:
    """One document: its terms, its nodes by id, and what is to be told."""

    def __init__(self) -> None:
        self.terms: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self.order: list[Node] = []
        self.elsewhere: list[str] = []

    def take_context(self, context: Any) -> None:
        for one in context if isinstance(context, list) else [context]:
            if isinstance(one, str):
                self.elsewhere.append(one)
            elif isinstance(one, dict):
                for term, meant in one.items():
                    iri = meant.get("@id") if isinstance(meant, dict) else meant
                    if not term.startswith("@") and isinstance(iri, str):
                        self.terms[term] = iri

    def iri(self, word: str, depth: int = 0) -> str:
        """What a word means; itself where nothing says it."""
        if word.startswith("@") or depth > 4:
            return word
        if word in self.terms:
            return self.iri(self.terms[word], depth + 1) if self.terms[word] != word else word
        prefix, colon, rest = word.partition(":")
        if colon and not rest.startswith("//"):
            if prefix in self.terms:
                return self.iri(self.terms[prefix], depth + 1) + rest
            return _USUAL.get(prefix, prefix + ":") + rest
        return word if colon else _WORDS.get(word, word)

    def node(self, given: Mapping[str, Any], depth: int = 0) -> Node:
        """A node with its words as IRIs, entered by its id; the same id twice is one node."""
        if "@context" in given:
            self.take_context(given["@context"])
        name = given.get("@id", given.get("id"))
        made: Node = self.nodes.setdefault(name, {}) if isinstance(name, str) else {}
        if not made:
            self.order.append(made)
        if isinstance(name, str):
            made["@id"] = [name]
        for key, value in given.items():
            if key in ("@context", "@id", "id"):
                continue
            if key in ("@type", "type") and _all_texts(value):
                kinds = value if isinstance(value, list) else [value]
                made.setdefault("@type", []).extend(self.iri(str(kind)) for kind in kinds)
            else:
                made.setdefault(self.iri(key), []).extend(self.values(value, depth + 1))
        return made

    def values(self, value: Any, depth: int) -> Iterator[Any]:
        if depth > _DEEPEST or value is None:
            return
        if isinstance(value, list):
            for one in value:
                yield from self.values(one, depth + 1)
        elif isinstance(value, dict) and ("@list" in value or "@set" in value):
            yield from self.values(value.get("@list", value.get("@set")), depth + 1)
        elif isinstance(value, dict) and "@value" not in value:
            yield self.node(value, depth + 1)
        else:
            yield value

    def all_of(self, node: Node, *words: str) -> list[Any]:
        """The values of the first of these properties that says something, references followed."""
        for word in words:
            found = node.get(_usual(word))
            if found:
                return [self._followed(one) for one in found]
        return []

    def _followed(self, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"@id"}:
            return self.nodes.get(value["@id"][0], value)
        return value

    def text(self, value: Any) -> str:
        """What a value says: its text, the name of a thing, or the end of its address."""
        if isinstance(value, dict) and "@value" in value:
            value = value["@value"]
        if isinstance(value, dict):
            for word in ("foaf:name", "skos:prefLabel", "rdfs:label", "dcterms:title", "schema:name",
                         "vcard:fn", "dcterms:identifier"):  # fmt: skip
                found = self.said(value, word)
                if found:
                    return found
            return str((value.get("@id") or [""])[0])
        if isinstance(value, bool) or value is None:
            return ""
        return str(value).strip()

    def said(self, node: Node, *words: str) -> str:
        """The one text of a property, in Chinese if there is a choice."""
        values = self.all_of(node, *words)
        values.sort(key=_rank)
        return next((text for one in values if (text := self.text(one))), "")

    def every(self, node: Node, *words: str) -> list[str]:
        """All texts of a property."""
        return list(dict.fromkeys(t for one in self.all_of(node, *words) if (t := self.text(one))))


def _usual(word: str) -> str:
    prefix, _, rest = word.partition(":")
    return _USUAL[prefix] + rest


def _all_texts(value: Any) -> bool:
    return all(isinstance(one, str) for one in (value if isinstance(value, list) else [value]))


def _rank(value: Any) -> int:
    language = str(value.get("@language") or "") if isinstance(value, dict) else ""
    return 0 if language.lower().startswith("zh") else 2 if language.startswith("en") else 1


def read(documents: Sequence[Any]) -> tuple[list[dict[str, str]], list[Problem]] | None:
    """The data sets of JSON-LD (field → text), and what is to be told; None where there are none."""
    reader = _Reader()
    for document in documents:
        for one in document if isinstance(document, list) else [document]:
            if isinstance(one, dict):
                reader.node(one)
    kind = PREFIXES["dcat"] + "Dataset"
    linked = PREFIXES["dcat"] + "dataset"
    listed = [reader._followed(one) for node in reader.order for one in node.get(linked, ())]
    typed = [node for node in reader.order if kind in node.get("@type", ())]
    found = {id(node): node for node in (*listed, *typed) if isinstance(node, dict)}
    if not found:
        return None
    problems = [
        Problem(
            "notice", "context_elsewhere", None, None, None,
            "上下文在别处，未去获取；其中的常用词按 DCAT 理解。",
            "The context stands elsewhere and was not fetched; its common words were taken for DCAT's.",
            one[:80],
        )
        for one in dict.fromkeys(reader.elsewhere)
    ]  # fmt: skip
    return [_entry(reader, node) for node in found.values()], problems


def _entry(reader: _Reader, node: Node) -> dict[str, str]:
    own = {name: reader.said(node, f"shuzheng:{name}") for name in FIELDS}
    own = {name: text for name, text in own.items() if text}
    publisher = next((one for one in reader.all_of(node, "dcterms:publisher", "dc:publisher",
                                                   "dcterms:creator")), "")  # fmt: skip
    found = {
        "code": reader.said(node, "dcterms:identifier", "dc:identifier", "schema:identifier")
        or str((node.get("@id") or [""])[0]),
        "title": reader.said(node, "dcterms:title", "dc:title", "rdfs:label", "schema:name"),
        "summary": reader.said(node, "dcterms:description", "dc:description", "schema:description"),
        "provider": reader.text(publisher),
    }
    if own:
        return found | own
    period = next((one for one in reader.all_of(node, "dcterms:temporal")
                   if isinstance(one, dict) and "@value" not in one), {})  # fmt: skip
    distributions = [
        one for one in reader.all_of(node, "dcat:distribution") if isinstance(one, dict)
    ]
    formats = [text for one in distributions
               for text in reader.every(one, "dcterms:format", "dcat:mediaType", "dc:format")]  # fmt: skip
    links = [text for one in distributions
             for text in reader.every(one, "dcat:downloadURL", "dcat:accessURL")]  # fmt: skip
    found |= {
        "provider_code": reader.said(publisher, "dcterms:identifier")
        if isinstance(publisher, dict) and "@value" not in publisher else "",
        "category": next(iter(reader.every(node, "dcat:theme")), ""),
        "keywords": "、".join(reader.every(node, "dcat:keyword")),
        "published_on": reader.said(node, "dcterms:issued"),
        "updated_on": reader.said(node, "dcterms:modified"),
        "update_cycle": _frequency(reader.said(node, "dcterms:accrualPeriodicity")),
        "period_from": reader.said(period, "dcat:startDate", "schema:startDate"),
        "period_to": reader.said(period, "dcat:endDate", "schema:endDate"),
        "format": "、".join(dict.fromkeys(map(_end, formats))),
        "source_url": next(iter(links), ""),
        "documentation_url": reader.said(node, "dcat:landingPage"),
        "licence": reader.said(node, "dcterms:license", "dcterms:rights"),
    }  # fmt: skip
    return {name: text for name, text in found.items() if text}


def _end(iri: str) -> str:
    """The end of an address: what it names. A media type is its second half."""
    if "://" in iri:
        iri = re.split(r"[/#]", iri.rstrip("/#"))[-1]
    return iri.rpartition("/")[2]


def _frequency(given: str) -> str:
    """The spelling of an update cycle that the import reads, of the vocabularies people use."""
    end = _end(given) if "://" in given else given
    return _EU_FREQUENCIES.get(end, _ISO_FREQUENCIES.get(given, end))
