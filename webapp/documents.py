"""Documents people write: YAML or JSON in which numbers and days stay the text they were written as."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from valuation.money import yuan


class Loader(yaml.SafeLoader):
    """YAML and JSON in which 0.1 and 2026-01-31 stay text: no float and no date is made of them."""


Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Unreadable(ValueError):
    """The text is no YAML or JSON: at which line, and why."""

    def __init__(self, line: int | str, why: str) -> None:
        super().__init__(why)
        self.line, self.why = line, why


def read_text(text: str) -> Any:
    """The value a text holds; raises Unreadable."""
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        why = str(getattr(error, "problem", None) or error)
        raise Unreadable(mark.line + 1 if mark else "?", why) from None


def line_of(text: str, path: str) -> int | None:
    """The line on which a path such as ``players[1].cost_fen`` stands in a text that can be read.

    Of what is missing it is the line of what holds it; an amount may be written in yuan. None for a path
    that leads nowhere.
    """
    node, found = yaml.compose(text, Loader), None
    for key in re.findall(r"[A-Za-z0-9_]+", path):
        if isinstance(node, yaml.MappingNode):
            names = (key, f"{key.removesuffix('_fen')}_yuan")
            node = next((value for name, value in node.value if name.value in names), None)
        elif isinstance(node, yaml.SequenceNode) and key.isdecimal() and int(key) < len(node.value):
            node = node.value[int(key)]
        else:
            break
        if node is None:
            break
        found = node.start_mark.line + 1
    return found


# The order in which people write a scheme's keys.
SCHEME_ORDER = ("v", "name", "kind", "party", "label", "zh", "en", "fact", "amount_yuan",
                "cap_yuan", "cap_ratio", "up_to_yuan", "ratio", "share", "least_yuan", "most_yuan",
                "bands", "shares", "parties", "document", "steps")  # fmt: skip


class _Writer(yaml.SafeDumper):
    """YAML in which lists are indented and what holds no list stands on one line."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        del indentless
        return super().increase_indent(flow, False)


def in_order(value: Any) -> Any:
    """A scheme's document with its keys in the order in which people write them, its amounts in yuan."""
    if isinstance(value, list):
        return [in_order(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    plain: dict[str, Any] = {}
    for key, one in value.items():
        is_amount = str(key).endswith("_fen") and type(one) is int
        plain |= {f"{key[:-4]}_yuan": yuan(one)} if is_amount else {key: in_order(one)}
    known = [key for key in SCHEME_ORDER if key in plain]
    return {key: plain[key] for key in (*known, *sorted(plain.keys() - set(known)))}


def write_scheme(document: Mapping[str, Any]) -> str:
    """A scheme as YAML that people read: in order, amounts in yuan; `read_text` reads it the same."""
    return str(yaml.dump(
        in_order(document), Dumper=_Writer, allow_unicode=True, sort_keys=False, width=100,
        default_flow_style=None,
    ))  # fmt: skip
