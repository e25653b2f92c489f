"""What every command shares: its home, its member, its documents, and how refusals are told."""

import sys
from collections.abc import Callable, Mapping
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any

import click
import orjson
import yaml
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.orm import Session

from ledger.calendar import SHANGHAI
from ledger.errors import Faults, Invalid, LedgerError
from ledger.parties import Actor, actor_by_login, logins_with
from ledger.proof.encoding import canonical, digest_text
from ledger.proof.verify import read_file
from ledger.store import forget, recall, remember
from valuation import ValuationError
from webapp.home import Home, clock, read_passphrase
from webapp.language import tr, translate

TEXT_BYTES_MAX = 4 * 1024 * 1024


class Loader(yaml.SafeLoader):
    """YAML and JSON in which 0.1 and 2026-01-31 stay text: no float and no date is made of them."""


Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def with_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command its home (`--home`) and `--json`, and turn refusals into sentences."""

    @click.option(
        "--home", "folder", envvar="SHUZHENG_HOME", default="home", show_default=True,
        type=click.Path(path_type=Path), help="the installation's folder",
    )  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")
    @click.option(
        "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False),
        help="where the passphrase stands, instead of SHUZHENG_PASSPHRASE",
    )  # fmt: skip
    @wraps(command)
    def wrapped(folder: Path, as_json: bool, passphrase_file: Path | None, **given: Any) -> None:
        with refusals(as_json):
            run = Run(folder, as_json, passphrase_file)
            try:
                command(run, **given)
            finally:
                run.home.close()

    return wrapped


def as_member(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give the command the login it acts for (`--as`)."""
    return click.option("--as", "login", required=True, help="the member who acts (login)")(command)


def as_sole_member(command: Callable[..., Any]) -> Callable[..., Any]:
    """Like `as_member`, but `--as` may be left out where only one member has the role (`Run.sole`)."""
    return click.option("--as", "login", help="the member who acts; needed where several may")(
        command
    )


class refusals:  # noqa: N801 - reads as a block: `with refusals(as_json):`
    """Turn an expected refusal into its sentence and exit code 1; our own faults stay tracebacks."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ValuationError):
            error = Invalid("The calculation was refused: {cause}", cause=str(error))
        if isinstance(error, OSError) and error.filename is not None:
            error = Invalid(
                "{path} cannot be read or written: {why}.", path=error.filename, why=error.strerror
            )
        if not isinstance(error, LedgerError):
            return
        if self.as_json:
            print_json({**error.as_dict(), "detail": error.localized(translate)})
        click.echo(f"{tr('refused')}: {error.localized(translate)}", err=True)
        problems = error.facts.get("problems")
        for line in problems if isinstance(problems, list) else []:
            click.echo(f"  {line}", err=True)
        raise SystemExit(1)


class Run:
    """One command's home, clock and output."""

    def __init__(self, folder: Path, as_json: bool, passphrase_file: Path | None) -> None:
        self.home, self.as_json = Home(folder), as_json
        self._passphrase_file = passphrase_file
        self.now = clock()

    def passphrase(self) -> str:
        if self._passphrase_file is not None:
            return read_file(str(self._passphrase_file), 4096).decode("utf-8", "replace").strip()
        return read_passphrase(self.home.path)

    def sole(self, login: str | None, role: str) -> str:
        """The login given, else the only one that has the role; several raise Invalid."""
        if login is not None:
            return login
        _ = self.home.config
        with self.home.reading() as session:
            found = logins_with(session, role)
        if len(found) != 1:
            raise Invalid(
                "Say who acts with --as: the role {role} is held by {logins}.",
                role=role,
                logins=", ".join(found) or "-",
            )
        return found[0]

    def deed(
        self, login: str, act: Callable[[Session, Actor], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Do one deed as a member, in one transaction; returns what it answers."""
        _ = self.home.config
        with self.home.deed(self.now) as session:
            return dict(act(session, actor_by_login(session, login)))

    def deed_once(
        self,
        login: str,
        verb: str,
        request: Any,
        act: Callable[[Session, Actor], Mapping[str, Any]],
        still: Callable[[Session, dict[str, Any]], bool] = lambda _session, _answer: True,
    ) -> dict[str, Any]:
        """The same request of the same member again is answered with the first answer.

        Only while that is `still` how things stand: later, the same words are a new request.
        """
        digest = digest_text(canonical([verb, login, request]))

        def once(session: Session, actor: Actor) -> Mapping[str, Any]:
            found = recall(session, f"{verb} {digest}", digest)
            if found is not None:
                if still(session, found):
                    return found
                forget(session, f"{verb} {digest}")
            found = dict(act(session, actor))
            remember(session, f"{verb} {digest}", digest, found, self.now)
            return found

        return self.deed(login, once)

    def say(self, answer: Mapping[str, Any], template: str) -> None:
        """The answer as JSON, or as a sentence."""
        if self.as_json:
            print_json(answer)
        else:
            click.echo(tr(template, **answer))


def progress_bar() -> Progress:
    """A progress bar on stderr, where a person looks; it goes when it is done."""
    return Progress(transient=True, console=Console(stderr=True), disable=not sys.stderr.isatty())


def print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode())


def read_document(path: Path) -> dict[str, Any]:
    """A YAML or JSON file as a mapping; raises Invalid naming the line."""
    data = read_file(str(path), TEXT_BYTES_MAX)
    try:
        document = yaml.load(data.decode(), Loader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError:
        raise Invalid("{path} is not UTF-8 text.", path=str(path)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Invalid(
            "{path} cannot be read as YAML or JSON at line {line}: {why}.",
            path=str(path),
            line=mark.line + 1 if mark else "?",
            why=getattr(error, "problem", str(error)),
        ) from None
    if not isinstance(document, dict):
        raise Invalid("{path} does not hold fields.", path=str(path))
    return document


FORMS = {"": (str, int), "list": (list,), "map": (dict,)}


def fields(document: Mapping[str, Any], needed: str, optional: str = "") -> list[Any]:
    """The fields of a document in order: `name` is a text, `name:list` and `name:map` are those.

    Every missing, unknown or misshapen one is named at once.
    """
    due = dict(f"{name}:".split(":")[:2] for name in f"{needed} {optional}".split())
    faults = Faults()
    for name, form in due.items():
        if name not in document:
            if name in [one.split(":")[0] for one in needed.split()]:
                faults.name_fault("the field {name} is missing", name=name)
        elif not isinstance(document[name], FORMS[form]):
            faults.name_fault("the field {name} must be a {form}", name=name, form=form or "text")
    for name in document:
        if name not in due:
            faults.name_fault("unknown item {key}", key=name)
    if faults:
        raise Invalid("The file does not fit: {faults}.", faults=faults)
    return [document.get(name) for name in due]


def day(text: Any) -> date:
    """A day written 2026-01-31; raises Invalid."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise Invalid("{text} is not a day of the form 2026-01-31.", text=repr(text)) from None


def shown(at: Any) -> str:
    """An instant as people here read it."""
    return str(at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M"))
