"""Vouchers of other registries that are recognised here (互认凭证).

A recognised voucher stays what its issuer made it: it is verified under that registry's admitted trust
file alone, listed with its own number and origin, and followed for revocation. No voucher of ours comes
of it: nothing here knows how one is issued.

How it stands is told as of a time. A status list of its registry that is newer than the one known, by file
or fetched, or its chain, changes the word: that is a record. A lapse, and that nothing is known any more
after the list's last day, are computed and no records.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log, peers
from ledger.errors import Conflict, Invalid, LedgerError, Missing, ProofFailed, fill
from ledger.parties import Actor, may
from ledger.peers import Peer, Visit
from ledger.proof import bundle as bundles
from ledger.proof import credential as credentials
from ledger.proof.chain_node import Node, check_chain, voucher_verdict
from ledger.proof.encoding import canonical, instant, parse, parse_instant
from ledger.proof.report import CANNOT_TELL, VALID, Report
from ledger.proof.trust import Trust
from ledger.proof.verify import verify
from ledger.proof.voucher_steps import FINAL_WORDS, list_period, listed_at, listed_word
from ledger.states import move
from ledger.store import Evidence, hold, new_id

TEXT_MAX = 2_000
UNTOLD = "unlisted"  # neither list nor chain knows the voucher
# Words that are computed and stand in no record, and the record's kind for each other one.
COMPUTED = ("lapsed", "not relied on", "unknown now")
KINDS = {
    "another digest": "replaced", "cancelled": "cancelled", "frozen": "frozen", "revoked": "revoked",
    "superseded": "superseded", "suspended": "suspended", "unlisted": "unlisted", "valid": "resumed",
}  # fmt: skip
# What the registry's chain says → our word; that one lapsed is computed here.
OF_CHAIN = {"unknown": UNTOLD, "lapsed": "valid"}


class Recognition(Evidence):
    """A voucher of another registry; `word` is how it stood `as_of`, the last time that changed."""

    __tablename__ = "recognitions"
    __table_args__ = (UniqueConstraint("origin", "number"),)
    subject_type = "recognition"
    peer_id: Mapped[str] = mapped_column(String(36), ForeignKey("peers.id"))
    """the trust file under which it was verified last"""
    origin: Mapped[str]
    number: Mapped[str]
    """given by its issuer: ours may have the same one"""
    title: Mapped[str]
    kind: Mapped[str]
    rights: Mapped[list[Any]]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    credential: Mapped[dict[str, Any]]
    digest: Mapped[str]
    report: Mapped[list[Any]]
    """the steps of its verification: name, outcome, template, facts"""
    word: Mapped[str]
    as_of: Mapped[datetime]
    next_at: Mapped[datetime | None]
    """by when the registry owed its next list then"""
    state: Mapped[str]
    imported_by: Mapped[str]
    imported_at: Mapped[datetime]


class NotRecognised(ProofFailed):
    """The verification failed: `report` has its steps, the sentence says those that did not hold."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.wrong = [step for step in report.steps if step.outcome != VALID]
        super().__init__(
            "The voucher is not recognised: {faults}", step=self.wrong[0].name if self.wrong else "form",
            faults="",
        )  # fmt: skip
        self.facts = {**self.facts, "faults": [step.sentence() for step in self.wrong]}

    def localized(self, translate: Callable[[str], str]) -> str:
        told = " ".join(step.sentence(translate) for step in self.wrong)
        return fill(translate(self.template), {**self.facts, "faults": told})


@dataclass(frozen=True)
class News:
    """A status list that a registry signed, and from when until when it counts."""

    trust_digest: str
    status_list: dict[str, Any]
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Checked:
    """A voucher that was verified under a registry's trust file, and what told how it stands."""

    trust_digest: str
    voucher: dict[str, Any]
    report: Report
    news: News | None
    chain_at: datetime | None


# ---------------------------------------------------------------- files


def contents(data: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The voucher and the status list in a voucher's file, bundle or package; raises Invalid."""
    try:
        if data[:2] == b"PK":
            data = bundles.read_zip(data)["data/bundle.json"]
        document = parse(data, "The document")
        voucher, listed = document, None
        if "credentialSubject" not in document:
            voucher, listed = document["voucher"], document["status"]
        if type(voucher["credentialSubject"]["log"]) is str:
            return voucher, listed
    except (KeyError, TypeError):
        pass
    raise Invalid("The file holds no voucher.")


def origin_of(data: bytes) -> str:
    """Of which registry the voucher in a file says it is: under whose trust it is to be verified."""
    return str(contents(data)[0]["credentialSubject"]["log"])


def open_list(data: bytes, peer: Peer, now: datetime) -> News:
    """The status list in a file, a bundle or a package of a registry, under its trust; raises."""
    document: Any = None
    if data[:2] != b"PK":
        document = parse(data, "The status list")
    subject = document.get("credentialSubject") if type(document) is dict else None
    if type(subject) is not dict or "encodedList" not in subject:
        document = contents(data)[1]
    if document is None:
        raise Invalid("The file holds no status list.")
    return _opened(document, peer.opened, peer.digest, now)


def _opened(document: Any, trust: Trust, trust_digest: str, now: datetime) -> News:
    try:
        start, end = list_period(document, trust)
        credentials.status_at(document, 0)
        named = document["id"]
    except (KeyError, TypeError):
        raise Invalid("The status list is malformed.") from None
    if named != f"urn:shuzheng:{trust.origin}:status":
        raise ProofFailed("The status list is not that of {origin}.", step="status",
                          origin=trust.origin)  # fmt: skip
    if start > now:
        raise Conflict("The status list is of {at}, which is still to come: compare the clocks.",
                       at=instant(start))  # fmt: skip
    return News(trust_digest, document, start, end)


def check(
    data: bytes, peer: Peer, now: datetime, *, status: Iterable[bytes] = (), node: Node | None = None
) -> Checked:  # fmt: skip
    """Verify a voucher's file under a registry's trust file; raises NotRecognised.

    `status`: lists got apart from it. A node that does not answer is done without. No database is held
    meanwhile: a node may take its time.
    """
    trust, digest = peer.opened, peer.digest
    voucher, own = contents(data)
    report, lists = Report(), [*(parse(one, "The status list") for one in status)]
    newest = _newest([*lists, *([own] if own else [])], trust, digest, now)
    if node is not None:
        asked = Report()
        if not check_chain(node, trust, asked) and asked.exit_code == CANNOT_TELL:
            node = None
    verify(data, trust, now=now, node=node, report=report,
           status=None if newest is None else canonical(newest.status_list))  # fmt: skip
    if report.exit_code != VALID:
        raise NotRecognised(report)
    return Checked(digest, voucher, report, newest, None if node is None else now)


def _newest(lists: list[Any], trust: Trust, digest: str, now: datetime) -> News | None:
    """The newest of some lists that the trust file vouches for; the others prove nothing."""
    opened = []
    for one in lists:
        try:
            opened.append(_opened(one, trust, digest, now))
        except LedgerError:
            continue
    return max(opened, key=lambda news: news.start, default=None)


# ---------------------------------------------------------------- it is recognised


def recognise(session: Session, actor: Actor, now: datetime, checked: Checked) -> Recognition:
    """List a verified voucher as recognised; the same again changes nothing, a newer one is taken over."""
    may(actor, "recognition.import")
    subject = checked.voucher["credentialSubject"]
    peer = peers.admitted(session, subject["log"])
    _require_current(peer, checked.trust_digest)
    hold(session, f"peer {peer.origin}")
    facts = _facts(checked, peer)
    if checked.news is not None:
        take_list(session, now, peer, checked.news, actor.member_id, strict=False)
    row = session.scalar(
        select(Recognition).where(
            Recognition.origin == peer.origin, Recognition.number == facts["number"]
        )
    )
    if row is not None and row.digest == facts["digest"]:
        return row
    if row is None:
        row = Recognition(id=new_id(), imported_by=actor.member_id, imported_at=now)
        _set(row, facts, move("recognition", "import", None))
        log.append(session, row, "recognition.imported", actor.member_id)
        session.flush()
        _catch_up(session, row, checked, actor.member_id)
        return row
    if signed_at(row.credential) >= signed_at(checked.voucher):
        raise Conflict(
            "A newer version of voucher {number} of {origin} is recognised already.",
            number=row.number, origin=row.origin,
        )  # fmt: skip
    _set(row, facts, move("recognition", "update", row.state))
    log.append(session, row, "recognition.updated", actor.member_id)
    session.flush()
    _catch_up(session, row, checked, actor.member_id)
    return row


def _catch_up(session: Session, row: Recognition, checked: Checked, actor_id: str) -> None:
    """Take over what a list says that became known while the voucher was being verified."""
    known = peers.visit_of(session, row.origin)
    if known.list_from is None or known.list_until is None or known.status_list is None:
        return
    if checked.news is None or checked.news.start < known.list_from:
        word = _word_in(known.status_list, row)
        if word in FINAL_WORDS or checked.chain_at is None:
            _note(session, row, word, known.list_from, known.list_until, actor_id)
            session.flush()


def _set(row: Recognition, facts: Mapping[str, Any], state: str) -> None:
    for name, value in facts.items():
        setattr(row, name, value)
    row.state = state


def _require_current(peer: Peer, trust_digest: str) -> None:
    if peer.digest != trust_digest:
        raise Conflict("The trust file of {origin} changed meanwhile: hand the file in again.",
                       origin=peer.origin)  # fmt: skip


def signed_at(voucher: Mapping[str, Any]) -> datetime:
    """When its issuer signed a voucher."""
    return parse_instant(voucher["proof"]["created"])


def _facts(checked: Checked, peer: Peer) -> dict[str, Any]:
    """The columns that a verified voucher gives; what it withholds stays withheld."""
    voucher, subject = checked.voucher, checked.voucher["credentialSubject"]
    start, end = credentials.period(voucher)
    listed_at(voucher)
    texts = {name: subject.get(name, "") for name in ("number", "title", "kind")}
    rights = subject.get("rights", [])
    fits = type(rights) is list and all(type(one) is str for one in rights)
    if not (fits and all(type(one) is str and len(one) <= TEXT_MAX for one in texts.values())):
        raise Invalid("The voucher lacks its number, title, kind or rights, or misspells them.")
    listed = checked.news
    times = [None if listed is None else listed.start, checked.chain_at]
    as_of = max(at for at in times if at is not None)
    return {
        **texts, "as_of": as_of, "credential": voucher,
        "digest": "sha256:" + credentials.credential_digest(voucher).hex(),
        "next_at": None if listed is None else listed.end, "origin": peer.origin, "peer_id": peer.id,
        "report": [
            {
                "facts": {key: fact if type(fact) is int else str(fact)
                          for key, fact in step.facts.items()},
                "name": step.name, "outcome": step.outcome, "template": step.template,
            }
            for step in checked.report.steps
        ],
        "rights": rights, "valid_from": start, "valid_until": end, "word": "valid",
    }  # fmt: skip


def by_id(session: Session, recognition_id: str) -> Recognition:
    """The recognised voucher with an id; raises Missing."""
    found = session.get(Recognition, recognition_id)
    if found is None:
        raise Missing("There is no recognised voucher {id}.", id=recognition_id)
    return found


def of_number(session: Session, number: str) -> list[Recognition]:
    """The recognised vouchers with a number: two registries may have given the same."""
    if not number.isprintable():  # no number of anybody's; PostgreSQL takes no zero byte
        return []
    return list(session.scalars(select(Recognition).where(Recognition.number == number)))


# ---------------------------------------------------------------- it is followed


def follow(session: Session, actor: Actor, now: datetime, peer: Peer, news: News) -> int:
    """Take a registry's newer status list over from a file; how many of its vouchers it changed."""
    may(actor, "recognition.follow")
    if peer.state != "admitted":
        raise Conflict("The registry {name} is {state}: its vouchers are not relied on.",
                       name=peer.name, state=peer.state)  # fmt: skip
    return take_list(session, now, peer, news, actor.member_id)


def take_list(
    session: Session, now: datetime, peer: Peer, news: News, actor_id: str, *, strict: bool = True
) -> int:  # fmt: skip
    """Take a status list over unless it is older than the one known: that is a Conflict if `strict`."""
    _require_current(peer, news.trust_digest)
    known = peers.visit_of(session, peer.origin)
    if known.list_from is not None and news.start < known.list_from:
        if not strict:
            return 0
        raise Conflict("The status list is of {given}; a newer one, of {known}, is known.",
                       given=instant(news.start), known=instant(known.list_from))  # fmt: skip
    session.add(known)
    known.status_list = news.status_list
    known.list_from, known.list_until = news.start, news.end
    count = 0
    for row in followed(session, peer.origin):
        word = _word_in(news.status_list, row)
        heard = known.chain_at is not None and news.start < known.chain_at
        # What the chain said later stands, but what is final is final whoever tells it first.
        if word in FINAL_WORDS or not heard:
            count += _note(session, row, word, news.start, news.end, actor_id)
    session.flush()
    return count


def _word_in(status_list: Mapping[str, Any], row: Recognition) -> str:
    """What a list says of a voucher; one that says nothing fit of it does not keep the others back."""
    try:
        return listed_word(row.credential, status_list)
    except LedgerError:
        return UNTOLD


def take_chain(
    session: Session, now: datetime, peer: Peer, words: Mapping[str, str], actor_id: str
) -> int:  # fmt: skip
    """Take over what a registry's chain says of its vouchers, by their ids and digests."""
    known = peers.visit_of(session, peer.origin)
    session.add(known)
    known.chain_at, count = now, 0
    for row in followed(session, peer.origin):
        word = words.get(f"{row.id} {row.digest}")
        if word is not None:
            until = now + peers.CHAIN_COUNTS
            count += _note(session, row, OF_CHAIN.get(word, word), now, until, actor_id)
    session.flush()
    return count


def ask_chain(
    node: Node, trust: Trust, rows: Iterable[Recognition], now: datetime
) -> dict[str, str]:
    """What a registry's chain says of each voucher; raises OSError or ValueError without an answer."""
    asked = Report()
    if not check_chain(node, trust, asked):
        raise ValueError("the node does not serve the registry's chain")
    found = {}
    for row in rows:
        key = bundles.voucher_key(row.origin, row.number)
        digest = credentials.credential_digest(row.credential)
        found[f"{row.id} {row.digest}"] = voucher_verdict(node, trust, key, digest, now)
    return found


def followed(session: Session, origin: str) -> list[Recognition]:
    """The vouchers of a registry that can still change."""
    wanted = select(Recognition).where(
        Recognition.origin == origin, Recognition.state == "recognised"
    )
    return list(session.scalars(wanted.order_by(Recognition.id)))


def _note(
    session: Session, row: Recognition, word: str, as_of: datetime, next_at: datetime, actor_id: str
) -> bool:  # fmt: skip
    """Record another word than before; whether it was another one."""
    if word == "lapsed":
        word = "valid"  # computed: it stands in the voucher until when it is valid
    if word == row.word:
        return False
    row.state = move("recognition", "end" if word in FINAL_WORDS else "follow", row.state)
    row.word, row.as_of, row.next_at = word, as_of, next_at
    log.append(session, row, f"recognition.{KINDS[word]}", actor_id)
    return True


# ---------------------------------------------------------------- how it stands


def standing(
    row: Recognition, now: datetime, peer: Peer | None, known: Visit | None
) -> dict[str, Any]:  # fmt: skip
    """The word for a recognised voucher now, as of when, and by when its registry owes the next one.

    `peer` is its registry's trust file that counts (`peers.current`), if any; `known` what it said last.
    """
    told = None if known is None else known.as_of
    as_of = row.as_of if told is None else max(row.as_of, told)
    until = None if known is None else known.counts_until
    word = row.word
    if peer is None or peer.state != "admitted":
        word = "not relied on"
    elif row.state == "ended":
        as_of = row.as_of
    elif now > row.valid_until:
        word = "lapsed"
    elif until is None or now > until:
        word = "unknown now"
    return {
        "as_of": instant(as_of),
        "next_at": None if until is None else instant(until),
        "now": word,
    }


def standings(
    session: Session, rows: Iterable[Recognition], now: datetime
) -> dict[str, dict[str, Any]]:
    """How some recognised vouchers stand, by id."""
    found = list(rows)
    origins = {row.origin for row in found}
    known = {
        one.origin: one for one in session.scalars(select(Visit).where(Visit.origin.in_(origins)))
    }
    counting = {
        one.origin: one
        for one in session.scalars(
            select(Peer).where(Peer.origin.in_(origins), Peer.state.in_(peers.RELIED))
        )
    }
    return {
        row.id: standing(row, now, counting.get(row.origin), known.get(row.origin)) for row in found
    }
