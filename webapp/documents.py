"""Documents people write: YAML or JSON in which numbers and days stay the text they were written as."""

from typing import Any

import yaml


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
