"""Witnesses (见证方): outsiders who cosign each checkpoint that extends the last one they saw.

Who they are is recorded; their cosignatures are operational, since each proves itself. A witness with an
address is asked by C2SP tlog-witness; one without network between us gets the same request as a file,
and its answer is handed in.

    POST <address>/add-checkpoint        old 20                        the size it holds
                                         <base64 hash>                 consistency proof, one a line
                                                                       (empty line)
                                         <signed checkpoint>
    200  its signature lines             409 with the size it holds, where that is not 20
"""

import base64
import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import asking, log
from ledger.errors import Conflict, Invalid, LedgerError, Missing, ProofFailed
from ledger.parties import Actor, may
from ledger.proof.checkpoint import VerifierKey
from ledger.proof.cosignature import (
    Cosignature,
    parse_cosigner_key,
    read_cosignatures,
    with_lines,
)
from ledger.proof.encoding import instant
from ledger.store import Base, Evidence, new_id

ANSWER_S = asking.ANSWER_S  # a witness that takes longer is asked again later
ANSWER_BYTES_MAX = 64 * 1024
SIZE_TYPE = "text/x.tlog.size"
# Of many checkpoints that a witness has not cosigned, it is asked for the newest and for anchored ones.
LOOKED_BACK, NEWEST_ASKED = 64, 16
TRIED = 200  # checkpoints that cosignatures handed in by file may be of
WITNESSES_MAX = 60  # a note has room for 64 signatures
PAUSE, PAUSE_MAX = timedelta(seconds=5), timedelta(minutes=10)


class Witness(Evidence):
    """A witness as it was made known: its key, who runs it, and where it is asked, if it can be."""

    __tablename__ = "witnesses"
    subject_type = "witness"
    name: Mapped[str]
    vkey: Mapped[str] = mapped_column(unique=True)
    operator: Mapped[str]
    url: Mapped[str | None]
    removed_at: Mapped[datetime | None]

    @property
    def key(self) -> VerifierKey:
        return parse_cosigner_key(self.vkey)


class StoredCosignature(Base):
    """A witness's line under a checkpoint, checked before it was stored (operational)."""

    __tablename__ = "cosignatures"
    tree_size: Mapped[int] = mapped_column(
        ForeignKey("checkpoints.tree_size"), primary_key=True, autoincrement=False
    )
    witness_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("witnesses.id"), primary_key=True
    )
    line: Mapped[str]
    at: Mapped[datetime]


class Visit(Base):
    """How asking a witness went last (operational). `problem` is a template and its facts."""

    __tablename__ = "witness_visits"
    witness_id: Mapped[str] = mapped_column(
        String(36), ForeignKey("witnesses.id"), primary_key=True
    )
    held_size: Mapped[int]
    at: Mapped[datetime]
    failures: Mapped[int]
    problem: Mapped[dict[str, Any] | None]


@dataclass(frozen=True)
class Request:
    """What a witness is asked: cosign our checkpoint of `tree_size`, which extends that of `old_size`."""

    witness_id: str
    vkey: str
    url: str | None
    old_size: int
    tree_size: int
    note: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came back: the size that the witness holds now, its line, or why there is none."""

    held_size: int | None = None
    cosignature: Cosignature | None = None
    problem: LedgerError | None = None


# -- who they are ------------------------------------------------------------------------------


def admit(
    session: Session, actor: Actor, now: datetime, *, vkey: str, operator: str, url: str = ""
) -> Witness:
    """Make a witness known, once; what is known of its key otherwise is a Conflict.

    One that was removed comes back with what is said now.
    """
    may(actor, "witness.add")
    key = parse_cosigner_key(vkey)
    if not operator.strip():
        raise Invalid("A witness has somebody who runs it: name him.")
    said = {
        "name": key.name,
        "operator": operator.strip(),
        "url": asking.check_url(url, "https://witness.example/path") if url else None,
    }
    for other in active(session):
        if other.vkey != vkey and other.key.public == key.public:
            raise Conflict("The key is that of the witness {name} already.", name=other.name)
    if key.name == session.get_one(log.Head, 1).origin:
        raise Invalid("{name} is the name of this log; a witness has its own.", name=key.name)
    found = session.scalar(select(Witness).where(Witness.vkey == vkey))
    if found is not None and found.removed_at is None:
        if said != {name: getattr(found, name) for name in said}:
            raise Conflict(
                "The witness {name} is known with another operator or address: remove it first.",
                name=found.name,
            )
        return found
    if len(active(session)) >= WITNESSES_MAX:
        raise Conflict(
            "There are {count} witnesses already: remove one first.", count=WITNESSES_MAX
        )
    found = found or Witness(id=new_id(), vkey=vkey)
    for name, value in said.items():
        setattr(found, name, value)
    found.removed_at = None
    log.append(session, found, "witness.added", actor.member_id)
    session.flush()
    return found


def remove(session: Session, actor: Actor, now: datetime, witness: Witness) -> None:
    """No longer ask a witness nor hand its cosignatures out; again changes nothing."""
    may(actor, "witness.remove")
    if witness.removed_at is None:
        witness.removed_at = now
        log.append(session, witness, "witness.removed", actor.member_id)


def by_id(session: Session, witness_id: str) -> Witness:
    """The witness with an id; raises Missing."""
    found = session.get(Witness, witness_id)
    if found is None:
        raise Missing("There is no witness {id}.", id=witness_id)
    return found


def active(session: Session) -> list[Witness]:
    """The witnesses that were not removed, by name."""
    found = select(Witness).where(Witness.removed_at.is_(None))
    return list(session.scalars(found.order_by(Witness.name, Witness.id)))


# -- what they cosigned ------------------------------------------------------------------------


def cosigned_note(session: Session, checkpoint: Any) -> str:
    """The checkpoint's note with the lines of all witnesses that cosigned it, in their one order."""
    lines = session.scalars(
        select(StoredCosignature.line)
        .join(Witness, Witness.id == StoredCosignature.witness_id)
        .where(StoredCosignature.tree_size == checkpoint.tree_size, Witness.removed_at.is_(None))
    )
    return with_lines(checkpoint.note, "".join(lines))


def hand_in(session: Session, actor: Actor, now: datetime, text: str) -> tuple[int, list[str]]:
    """Store cosignatures from a file: a cosigned checkpoint, or a witness's lines alone.

    Returns the checkpoint's size and the names of the witnesses. One that fits none of the last
    checkpoints raises ProofFailed; a file without a known witness's line, Invalid.
    """
    may(actor, "witness.cosign")
    lines = text.replace("\r\n", "\n").strip().rpartition("\n\n")[2] + "\n"
    known = {witness.vkey: witness for witness in active(session)}
    keys = [witness.key for witness in known.values()]
    for checkpoint in session.scalars(
        select(log.Checkpoint).order_by(log.Checkpoint.tree_size.desc()).limit(TRIED)
    ):
        note = with_lines(checkpoint.note, lines)
        try:
            found = read_cosignatures(note, keys)
        except ProofFailed:
            continue
        if not found:
            raise Invalid("No witness known here signed this: add it first (witness.add).")
        for one in found:
            witness_id = known[one.key.spelled()].id
            _store(session, witness_id, checkpoint.tree_size, one)
            visit = _visit_of(session, witness_id, now)
            visit.held_size = max(visit.held_size, checkpoint.tree_size)
        return checkpoint.tree_size, [one.key.name for one in found]
    raise ProofFailed(
        "These cosignatures fit none of the last {count} checkpoints.", step="witness", count=TRIED
    )


def trust_keys(session: Session) -> list[str]:
    """The verifier keys of all witnesses, as a trust file names them."""
    return [witness.vkey for witness in active(session)]


def standing(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Each witness with the newest checkpoint it cosigned, how old that is, and what is wrong with it."""
    size = session.get_one(log.Head, 1).tree_size
    found = []
    for witness in active(session):
        newest = session.scalars(
            select(StoredCosignature)
            .where(StoredCosignature.witness_id == witness.id)
            .order_by(StoredCosignature.tree_size.desc())
            .limit(1)
        ).first()
        visit = session.get(Visit, witness.id)
        cosigned_size = 0 if newest is None else newest.tree_size
        found.append(
            {
                "age_s": None if newest is None else max(0, int((now - newest.at).total_seconds())),
                "behind": size - cosigned_size,
                "cosigned_at": None if newest is None else instant(newest.at),
                "cosigned_size": cosigned_size,
                "id": witness.id,
                "name": witness.name,
                "operator": witness.operator,
                "problem": None if visit is None else visit.problem,
                "url": witness.url,
                "vkey": witness.vkey,
            }
        )
    return found


def wrong(session: Session) -> Iterator[tuple[int, str]]:
    """The stored cosignatures that do not hold, as size and witness; for the audit."""
    for stored, witness, checkpoint in session.execute(
        select(StoredCosignature, Witness, log.Checkpoint)
        .join(Witness, Witness.id == StoredCosignature.witness_id)
        .join(log.Checkpoint, log.Checkpoint.tree_size == StoredCosignature.tree_size)
        .order_by(StoredCosignature.tree_size, Witness.id)
    ):
        try:
            found = read_cosignatures(with_lines(checkpoint.note, stored.line), [witness.key])
        except LedgerError:
            found = []
        if [(one.line, one.at) for one in found] != [(stored.line, stored.at)]:
            yield stored.tree_size, witness.name


# -- asking them -------------------------------------------------------------------------------


def due(session: Session, now: datetime) -> list[str]:
    """The ids of the witnesses that can be asked and have something to cosign, failed ones less often."""
    return [
        witness.id
        for witness in active(session)
        if witness.url is not None
        and not _rests(session.get(Visit, witness.id), now)
        and next_request(session, witness) is not None
    ]


def _rests(visit: Visit | None, now: datetime) -> bool:
    """Whether a witness that failed is left alone for now: longer each time."""
    if visit is None or not visit.failures:
        return False
    pause: timedelta = min(PAUSE * 2 ** min(visit.failures - 1, 20), PAUSE_MAX)
    return now < visit.at + pause


def next_request(
    session: Session, witness: Witness, held_size: int | None = None
) -> Request | None:
    """What to ask a witness next; None where it has cosigned all it can.

    `held_size` is the size it said it holds, else the one it held last. A witness never goes back, so of
    the checkpoints above it the smallest that matters comes first.
    """
    if held_size is None:
        visit = session.get(Visit, witness.id)
        held_size = 0 if visit is None else visit.held_size
    has = select(StoredCosignature.tree_size).where(StoredCosignature.witness_id == witness.id)
    newest = session.scalars(
        select(log.Checkpoint)
        .where(log.Checkpoint.tree_size >= max(held_size, 1), log.Checkpoint.tree_size.not_in(has))
        .order_by(log.Checkpoint.tree_size.desc())
        .limit(LOOKED_BACK)
    ).all()
    wanted = [
        one for n, one in enumerate(newest) if n < NEWEST_ASKED or one.anchor_block is not None
    ]
    if not wanted:
        return None
    checkpoint = wanted[-1]
    proof = log.consistency(session, held_size, checkpoint.tree_size) if held_size else []
    hashes = "".join(base64.b64encode(value).decode() + "\n" for value in proof)
    return Request(
        witness_id=witness.id, vkey=witness.vkey, url=witness.url, old_size=held_size,
        tree_size=checkpoint.tree_size, note=checkpoint.note,
        body=f"old {held_size}\n{hashes}\n{checkpoint.note}".encode(),
    )  # fmt: skip


def submit(request: Request, limit_s: float = ANSWER_S) -> Answer:
    """Ask a witness over the network, within `limit_s` altogether; never raises for what it answers."""
    try:
        return _read_answer(request, *_post(request, limit_s))
    except LedgerError as error:
        return Answer(problem=error)
    except TimeoutError:
        return Answer(problem=_silent(f"no answer in {limit_s:g} s"))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(problem=_silent(str(error) or type(error).__name__))


def note_answer(session: Session, now: datetime, request: Request, answer: Answer) -> bool:
    """Store what a witness answered; whether it is worth asking it on."""
    if session.get_one(Witness, request.witness_id).removed_at is not None:
        return False
    visit = _visit_of(session, request.witness_id, now)
    visit.at = now
    if answer.held_size is not None:
        visit.held_size = answer.held_size
    if answer.problem is None:
        visit.failures, visit.problem = 0, None
    else:
        visit.failures += 1
        visit.problem = {"facts": answer.problem.facts, "template": answer.problem.template}
    if answer.cosignature is not None:
        _store(session, request.witness_id, request.tree_size, answer.cosignature)
    session.flush()
    return answer.problem is None


def _visit_of(session: Session, witness_id: str, now: datetime) -> Visit:
    found = session.get(Visit, witness_id)
    if found is None:
        found = Visit(witness_id=witness_id, held_size=0, at=now, failures=0, problem=None)
        session.add(found)
    return found


def _store(session: Session, witness_id: str, tree_size: int, found: Cosignature) -> None:
    """Keep a checked cosignature; the first one under a checkpoint stays."""
    if session.get(StoredCosignature, (tree_size, witness_id)) is None:
        session.add(
            StoredCosignature(
                tree_size=tree_size, witness_id=witness_id, line=found.line, at=found.at
            )
        )
        session.flush()


def _read_answer(request: Request, status: int, media_type: str, body: bytes) -> Answer:
    """What a witness's answer means; raises Conflict or ProofFailed for one that brings us no further."""
    text = body.decode("utf-8", "replace")
    if status == 200:
        note = with_lines(request.note, text)
        found = read_cosignatures(note, [parse_cosigner_key(request.vkey)])
        if not found:
            raise Conflict("The witness answered without a signature by its key.")
        return Answer(request.tree_size, found[0])
    if status == 409 and media_type == SIZE_TYPE:
        held = text.removesuffix("\n")
        if not (held.isascii() and held.isdigit() and str(int(held[:20])) == held):
            raise Conflict(
                "The witness says it holds {held}, which is no tree size.", held=held[:80]
            )
        if int(held) == request.old_size:
            raise Conflict(
                "The witness holds size {held}, and another history: find out which of both was "
                "changed.",
                held=held,
            )
        if int(held) > request.tree_size:
            raise Conflict(
                "The witness holds size {held}, more than our checkpoint of size {size}: was an old "
                "copy of the database put back?",
                held=held, size=request.tree_size,
            )  # fmt: skip
        return Answer(held_size=int(held))
    if status in (409, 422):
        raise Conflict(
            "The witness refuses the proof from size {old} to {size}: it holds another history.",
            old=request.old_size, size=request.tree_size,
        )  # fmt: skip
    if status in (403, 404):
        raise Conflict(
            "The witness does not know this log or its key (HTTP {status}): its operator enters it.",
            status=status,
        )
    raise Conflict("The witness answered with HTTP {status}.", status=status)


def _post(request: Request, limit_s: float) -> tuple[int, str, bytes]:
    """Status, media type and body; a redirect is not followed. Raises OSError, TimeoutError among them."""
    found = asking.ask(
        "POST", f"{request.url}/add-checkpoint", request.body, "text/plain; charset=utf-8",
        limit_s=limit_s, bytes_max=ANSWER_BYTES_MAX,
    )  # fmt: skip
    return found.status, found.media_type, found.body


def restless() -> Answer:
    """What stands for the answer of a witness that names another size each time it is asked."""
    return Answer(problem=Conflict("The witness names another size each time: it is out of order."))


def _silent(cause: str) -> Conflict:
    return Conflict("The witness does not answer: {cause}.", cause=cause)
