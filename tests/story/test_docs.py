"""What the documents tell people to type exists: commands, options, make targets, files."""

import re
from pathlib import Path

import click
import pytest

from webapp.cli import main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
COMMAND = re.compile(r"(?:^|`)shuzheng ([a-z][^`\n]*)", re.MULTILINE)
PATH = re.compile(r"`((?:ledger|valuation|webapp|contracts|docs|data|tests|migrations)/[\w/.*-]*)`")


def commands() -> list[tuple[str, str]]:
    return [
        (path.name, found[1].split("#")[0].split("&")[0].strip())
        for path in DOCUMENTS
        for found in COMMAND.finditer(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("document", "line"), commands())
def test_every_command_in_the_documents_exists_with_its_options(document: str, line: str) -> None:
    words = line.split()
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{document}: shuzheng {line}"
        command, words = found, words[1:]
    known = {name for option in command.params for name in option.opts}
    for word in words:
        if word.startswith("--"):
            assert word in known, f"{document}: {line}: {word}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_the_documents_name_is_there(document: Path) -> None:
    for found in PATH.finditer(document.read_text(encoding="utf-8")):
        assert list(ROOT.glob(found[1].rstrip("/"))), f"{document.name}: {found[1]}"


def test_every_make_target_named_is_in_the_makefile_with_its_line_of_comment() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = dict(re.findall(r"^([a-z-]+):.*?##? ?(.*)$", text, re.MULTILINE))
    named = re.findall(r"make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"demo", "test", "test-all", "check"} <= set(named)
    for name in named:
        assert targets.get(name, "").strip(), name
