"""What every command shares: its home, its member, its documents, and how refusals are told."""

import sys
from collections.abc import Callable, Mapping
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.orm import Session

from ledger.calendar import SHANGHAI
from ledger.errors import Conflict, Invalid, LedgerError
from ledger.parties import Actor, actor_by_login, logins_with
from ledger.proof.encoding import canonical, digest_text
from ledger.proof.verify import read_file
from ledger.rights import ROLES
from valuation import ValuationError
from webapp.deeds import Deed, Desk, Question
from webapp.deeds.previews import COLUMNS, SAYS, SUMS
from webapp.documents import Unreadable, read_text
from webapp.home import Home, clock, read_passphrase
from webapp.language import language, tr, translate
from webapp.wording import preview_text

PREVIEW_ROWS = 20
TEXT_BYTES_MAX = 4 * 1024 * 1024
# Whoever has the home's folder reads its database anyway: at the console he may read everything.
HOUSE = Actor("system", "", frozenset(ROLES))


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
        for problem in problems if isinstance(problems, list) else []:
            click.echo(f"  {problem_text(problem)}", err=True)
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
        """The login given, else the only one that has the role; several raise Invalid, not in a demo."""
        if login is not None:
            return login
        _ = self.home.config
        with self.home.reading() as session:
            found = logins_with(session, role)
        if found and self.home.config.demo:
            return found[0]  # a demo's keys and members are all the presenter's
        if len(found) != 1:
            raise Invalid(
                "Say who acts with --as: the role {role} is held by {logins}.",
                role=role,
                logins=", ".join(found) or "-",
            )
        return found[0]

    @cached_property
    def desk(self) -> Desk:
        """Where this command's deeds are done, at its time."""
        return Desk(self.home, self.passphrase, lambda: self.now)

    def do(
        self, deed: Deed, login: str, body: Mapping[str, Any] | None = None, /, *,
        once: bool = False, **keys: str,
    ) -> dict[str, Any]:  # fmt: skip
        """Do a deed as a member; returns what it answers.

        `once`: the same request of the same member again is answered with the first answer, as long as
        that is still how things stand (`Deed.still`).
        """
        given = dict(body or {})
        key = f"cli {digest_text(canonical([deed.name, login, keys, given]))}" if once else None
        with progress_bar() as bar:
            task = bar.add_task(tr(deed.title), total=None, visible=deed.long)

            def report(_stage: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total or None)

            return self.desk.do(
                deed, lambda session: actor_by_login(session, login), keys, given, key=key,
                report=report,
            ).answer  # fmt: skip

    def ask(
        self, question: Question, login: str | None = None, /, query: Any = None, **keys: str
    ) -> Any:
        """Ask a question: as a member, or at the console as the house itself, which may read all."""

        def who(session: Session) -> Actor:
            return HOUSE if login is None else actor_by_login(session, login)

        return self.desk.ask(question, who, keys, query or {})

    def say(self, answer: Mapping[str, Any], template: str) -> None:
        """The answer as JSON, or as a sentence."""
        if self.as_json:
            print_json(answer)
        else:
            click.echo(tr(template, **answer))


DRY_RUN = (
    click.option(
        "--dry-run", is_flag=True, help="only tell what it would take in; nothing is stored"
    ),
    click.option(
        "--digest", "wanted", help="only if the file has this digest, as --dry-run told it"
    ),
)


def looks_first(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give an import `--dry-run`, and `--digest` as `wanted`."""
    for option in DRY_RUN:
        command = option(command)
    return command


def require_wanted(kept: Mapping[str, Any], wanted: str | None) -> None:
    """Raise Conflict where a file is not the one that was looked at."""
    if wanted is not None and kept["digest"] != wanted:
        raise Conflict(
            "{name} is not the file that was looked at: its digest is {digest}.", name=kept["name"],
            digest=kept["digest"],
        )  # fmt: skip


def tell_preview(run: "Run", found: Mapping[str, Any]) -> None:
    """What an import would take in, as JSON or in lines."""
    if run.as_json:
        print_json(found)
        return
    click.echo(tr(SAYS, **found))
    click.echo(f"  {tr('Digest')}: {found['digest']}")
    for name, title in SUMS.items():
        if name in found["sums"]:
            click.echo(f"  {tr(title)}: {preview_text(name, found['sums'][name])}")
    for one in found["rows_told"][:PREVIEW_ROWS]:
        told = (preview_text(name, one.get(name)) for name in COLUMNS if name in one)
        click.echo("  " + " | ".join(told))
    left = found["more"] + max(0, len(found["rows_told"]) - PREVIEW_ROWS)
    if left:
        click.echo(tr("  … and {n} more.", n=left))


def verb(group: click.Group, name: str, deed: Deed, help_text: str, *options: Any) -> None:
    """Add to the group a command that does the deed to the subject whose number it is given.

    The options are the deed's body: what is left out is not given, and a repeated one is a list. Where
    there is an argument `path`, the body is the document there instead.
    """
    key = deed.keys[-1]

    @group.command(name, help=help_text)
    @click.argument("subject", metavar=key.rpartition("_")[2].upper())
    @as_member
    @with_home
    def command(run: Run, login: str, subject: str, **given: Any) -> None:
        path = given.pop("path", None)
        body = read_document(path) if path else {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items() if value is not None
        }  # fmt: skip
        keys: Any = {key: subject}
        run.say(run.do(deed, login, body, **keys), deed.says)

    for option in options:
        option(command)


def progress_bar() -> Progress:
    """A progress bar on stderr, where a person looks; it goes when it is done."""
    return Progress(transient=True, console=Console(stderr=True), disable=not sys.stderr.isatty())


def problem_text(problem: Mapping[str, Any]) -> str:
    """A problem of an imported table (`tabular.Problem`): its place and reason, in one line."""
    row = tr("row {n}", n=problem["row"]) if problem["row"] else None
    place = ", ".join(part for part in (problem["sheet"], row, problem["column"]) if part)
    return f"{place}: {problem['reason_zh' if language() == 'zh' else 'reason_en']}"


def print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode())


def read_document(path: Path) -> dict[str, Any]:
    """A YAML or JSON file as a mapping; raises Invalid naming the line."""
    data = read_file(str(path), TEXT_BYTES_MAX)
    try:
        document = read_text(data.decode())
    except UnicodeDecodeError:
        raise Invalid("{path} is not UTF-8 text.", path=str(path)) from None
    except Unreadable as error:
        raise Invalid(
            "{path} cannot be read as YAML or JSON at line {line}: {why}.",
            path=str(path), line=error.line, why=error.why,
        ) from None  # fmt: skip
    if not isinstance(document, dict):
        raise Invalid("{path} does not hold fields.", path=str(path))
    return document


def renamed(document: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """A document with some of its fields under the name that the deed has for them."""
    return {names.get(name, name): value for name, value in document.items()}


def shown(at: Any) -> str:
    """An instant as people here read it."""
    return str(at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M"))
