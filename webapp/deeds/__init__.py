"""What can be asked of the house, by name: every deed and every question once.

The command line, the REST API and the pages all go through `Desk.do` and `Desk.ask`. A deed is one
transaction: who asks, may he, is it what he saw (If-Match), the verb, its records with their places in
the log, the signed receipt, and the answer remembered under the caller's key.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any

from marshmallow import Schema
from sqlalchemy.orm import Session

from ledger import log
from ledger.chain.gateway import Gateway
from ledger.chain.outbox import Deployment
from ledger.errors import Conflict, Invalid, LedgerError
from ledger.parties import Actor, may
from ledger.proof import receipt as receipts
from ledger.proof.encoding import canonical, digest_text
from ledger.states import MOVES
from ledger.store import forget, hold, recall, remember
from valuation import ValuationError
from webapp.deeds.forms import Body, load
from webapp.deeds.subjects import SUBJECTS, Owners
from webapp.home import Home, clock

PIECE = 256 * 1024
KEY = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
Who = Callable[[Session], Actor]
Report = Callable[[str, int, int], None]


class Stale(Conflict):
    """What was to be changed is no longer as the caller saw it (If-Match)."""

    code, http_status = "stale", 412


@dataclass(frozen=True)
class Thing:
    """What a deed and a question share: the verb of `MAY`, the path, and whose the subject is.

    The subject is what the path's last key names. `name` is unique: the verb, or more exactly what is
    asked where one verb allows several things.
    """

    name: str
    verb: str
    path: str
    title: str
    act: Callable[..., Any]
    owners: Owners | None = None
    asks_chain: bool = False  # the chain's node must be there

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(KEY.findall(self.path))

    @property
    def noun(self) -> str:
        return self.verb.partition(".")[0]

    def subjects(self, session: Session, keys: Mapping[str, str]) -> list[Any]:
        """What the path names, in order; raises Missing. A key that is no subject stays text."""
        return [
            SUBJECTS[key].find(session, keys[key]) if key in SUBJECTS else keys[key]
            for key in self.keys
        ]

    def authorise(self, session: Session, actor: Actor, found: list[Any]) -> None:
        """Raise NotAuthenticated or NotAllowed unless the actor may do this to what was found.

        What does not exist for him is Missing.
        """
        for key, row in zip(self.keys, found, strict=True):
            if key in SUBJECTS:
                SUBJECTS[key].require_seen(session, actor, row)
        may(actor, self.verb, self.owners_of(session, found), self.what(found))

    def owners_of(self, session: Session, found: list[Any]) -> Iterable[str] | None:
        last = self.keys[-1] if self.keys else ""
        if self.owners is not None:
            return self.owners(session, found[-1])
        return SUBJECTS[last].owners(session, found[-1]) if last in SUBJECTS else None

    def what(self, found: list[Any]) -> str:
        last = self.keys[-1] if self.keys else ""
        if last not in SUBJECTS:
            return self.noun
        return f"{SUBJECTS[last].noun} {SUBJECTS[last].number(found[-1])}"


@dataclass(frozen=True)
class Question(Thing):
    """Something that is only read. `query` are its parameters, `answer` the form of its answer.

    `answer` None means that `act` returns a `File` or `LongFile` of `media_type`. `listed`: a list with
    a cursor.
    """

    answer: type[Schema] | None = None
    query: type[Schema] = Body
    method: str = "GET"
    listed: bool = False
    media_type: str = "application/json"


@dataclass(frozen=True)
class Deed(Thing):
    """Something that is done. `says` acknowledges it: a template over the answer.

    `changes`: the path's last subject is changed, so the caller says which version he saw.
    `prepare(desk, report, actor, found…, **body)` runs before the transaction, where time is spent;
    what it returns is given to `act` besides the body. `finish(desk, report, answer)` runs after it.
    `once`: facts of the answer that are told once and not kept, such as a new password; `private`: fields
    of the body that are not kept either, not even as a digest. `transient`: the file handed in is read,
    and not kept. `of`: the import of which this is the preview (`webapp.deeds.previews`).
    """

    body: type[Schema] = Body
    says: str = ""
    changes: bool = False
    long: bool = False
    upload: bool = False
    transient: bool = False
    prepare: Callable[..., Mapping[str, Any]] | None = None
    finish: Callable[..., Mapping[str, Any]] | None = None
    once: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    records: bool = True
    of: str = ""
    still: Callable[[Session, dict[str, Any]], bool] = lambda _session, _answer: True

    @property
    def machine(self) -> str:
        """The state machine the deed moves, and `move` its move there."""
        return self._moved.partition(".")[0]

    @property
    def move(self) -> str:
        return self._moved.partition(".")[2]

    @property
    def _moved(self) -> str:
        """Its name where that is a move: one verb of `MAY` may allow several."""
        machine, _, move = self.name.partition(".")
        return self.name if move in MOVES.get(machine, {}) else self.verb


@dataclass(frozen=True)
class File:
    """An answer that is a file."""

    content: bytes
    media_type: str
    name: str


@dataclass(frozen=True)
class LongFile:
    """An answer that is a file too long for memory: on disk under no name, so it goes when it is closed.

    It is written in the transaction that reads, and sent after it at the pace of whoever fetches it.
    """

    file: IO[bytes]
    media_type: str
    name: str

    @classmethod
    def write(cls, parts: Iterable[bytes], media_type: str, name: str) -> "LongFile":
        """Write the parts one after the other; an OSError names the folder that is full."""
        file = TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
        try:
            for part in parts:
                file.write(part)
            file.seek(0)
        except BaseException as error:
            with suppress(OSError):  # what is left of the last part fits no better now
                file.close()
            if isinstance(error, OSError):
                error.filename = error.filename or gettempdir()
            raise
        return cls(file, media_type, name)

    @property
    def size_bytes(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def __del__(self) -> None:
        self.file.close()  # where nobody began to read it, or not to the end

    def pieces(self) -> Iterator[bytes]:
        """Its bytes piece by piece, once."""
        with self.file:
            while piece := self.file.read(PIECE):
                yield piece


@dataclass(frozen=True)
class Done:
    """What a deed answered, with its receipt; `again` when it was the answer given before."""

    answer: dict[str, Any]
    receipt: dict[str, Any] | None
    again: bool = False


DEEDS: dict[str, Deed] = {}
QUESTIONS: dict[str, Question] = {}


def deed(
    verb: str, path: str, title: str, says: str, *, name: str = "", **more: Any
) -> Callable[[Callable[..., Any]], Deed]:
    """Enter a verb's function as a deed: `act(desk, session, actor, found…, **body) -> facts`."""

    def enter(act: Callable[..., Any]) -> Deed:
        made = Deed(name or verb, verb, path, title, act, says=says, **more)
        assert made.name not in DEEDS, made.name
        DEEDS[made.name] = made
        return made

    return enter


def question(
    verb: str, path: str, title: str, *, name: str = "", **more: Any
) -> Callable[[Callable[..., Any]], Question]:
    """Enter a function as a question: `act(desk, session, actor, found…, **query) -> facts`."""

    def enter(act: Callable[..., Any]) -> Question:
        made = Question(name or verb, verb, path, title, act, **more)
        assert made.name not in QUESTIONS, made.name
        QUESTIONS[made.name] = made
        return made

    return enter


@contextmanager
def calculating() -> Iterator[None]:
    """What the calculations refuse is a refusal like any other."""
    try:
        yield
    except ValuationError as error:
        raise Invalid("The calculation was refused: {cause}", cause=str(error)) from error


def quiet(_stage: str, _done: int, _total: int) -> None:
    """A report to nobody."""


class Desk:
    """Where deeds are done: a home, its clock, and the keys and the node some of them need."""

    def __init__(
        self, home: Home, passphrase: Callable[[], str], now: Callable[[], datetime] = clock
    ) -> None:
        self.home, self._passphrase, self._now = home, passphrase, now

    @property
    def now(self) -> datetime:
        return self._now()

    @property
    def origin(self) -> str:
        return self.home.config.origin

    @property
    def deployment(self) -> Deployment:
        return self.home.config.deployment

    @cached_property
    def keyring(self) -> Any:
        """The service keys; opening them costs most of a second, once."""
        return self.home.keyring(self._passphrase())

    @cached_property
    def credential_key(self) -> Any:
        return self.keyring.signer("credential")

    def gateway(self) -> Gateway:
        return self.home.gateway()

    @calculating()
    def ask(
        self, question: Question, who: Who, keys: Mapping[str, str], query: Mapping[str, Any]
    ) -> Any:
        """Answer a question as of one moment."""
        given = load(question.query, query)
        _ = self.home.config
        with self.home.reading() as session:
            actor = who(session)
            found = question.subjects(session, keys)
            question.authorise(session, actor, found)
            return question.act(self, session, actor, *found, **given)

    @calculating()
    def do(
        self,
        deed: Deed,
        who: Who,
        keys: Mapping[str, str],
        body: Mapping[str, Any],
        *,
        key: str | None = None,
        seen: int | None = None,
        report: Report = quiet,
    ) -> Done:
        """Do a deed in one transaction; the same `key` and request again get the first answer.

        `seen` is the version of the subject that the caller saw; another one now is Stale.
        """
        given = load(deed.body, body)
        kept_body = {k: v for k, v in body.items() if k not in deed.private}
        request = digest_text(canonical([deed.name, dict(keys), kept_body]))
        try:
            return self._do(deed, who, keys, given, request, key=key, seen=seen, report=report)
        except LedgerError:  # of two at once under one key, the slower one has the other's answer
            with self.home.reading() as session:
                known = recall(session, _key(who(session), key), request) if key else None
            if known is None:
                raise
            return Done(known["answer"], known["receipt"], again=True)

    def _do(
        self,
        deed: Deed,
        who: Who,
        keys: Mapping[str, str],
        given: Mapping[str, Any],
        request: str,
        *,
        key: str | None,
        seen: int | None,
        report: Report,
    ) -> Done:
        _ = self.home.config
        more: Mapping[str, Any] = {}
        if deed.prepare is not None:
            with self.home.reading() as session:
                actor = who(session)
                known = self._recall(session, deed, actor, key, request)
                if known is not None:
                    return known
                found = deed.subjects(session, keys)
                deed.authorise(session, actor, found)
            more = deed.prepare(self, report, actor, *found, **given)
        now = self.now
        with self.home.deed(now) as session:
            actor = who(session)
            if key is not None:
                hold(session, _key(actor, key))
            known = self._recall(session, deed, actor, key, request)
            if known is not None:
                return known
            found = deed.subjects(session, keys)
            deed.authorise(session, actor, found)
            if seen is not None and found and found[-1].version != seen:
                raise Stale(
                    "This was changed meanwhile (you saw version {given}, it is now {known}): look "
                    "at it again and repeat what is still wanted.",
                    given=seen, known=found[-1].version,
                )  # fmt: skip
            answer = dict(deed.act(self, session, actor, *found, **{**given, **more}))
            self.home.record(session, now)
            recorded = log.sequenced(session)
            receipt = None
            if recorded and key is not None:
                receipt = receipts.make(self.origin, recorded, self.credential_key, now)
            if key is not None:
                kept = {k: v for k, v in answer.items() if k not in deed.once}
                remember(
                    session, _key(actor, key), request, {"answer": kept, "receipt": receipt}, now
                )
        if deed.long and deed.records:  # what it changed of the catalogue is found when it is done
            from webapp import indexing  # noqa: PLC0415 - loads what cuts texts by the million

            indexing.catch_up(self.home, lambda: now, report)
        if deed.finish is not None:
            answer = dict(deed.finish(self, report, answer))
        return Done(answer, receipt)

    def _recall(
        self, session: Session, deed: Deed, actor: Actor, key: str | None, request: str
    ) -> Done | None:
        if key is None:
            return None
        found = recall(session, _key(actor, key), request)
        if found is None:
            return None
        if not deed.still(session, found["answer"]):
            forget(session, _key(actor, key))
            return None
        return Done(found["answer"], found["receipt"], again=True)


def _key(actor: Actor, key: str) -> str:
    return f"{actor.member_id} {key}"
