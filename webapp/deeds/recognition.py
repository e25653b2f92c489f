"""Other registries 互认登记机构 and their vouchers that are recognised here 互认凭证."""

from collections.abc import Callable
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import peers, recognition
from ledger.errors import Invalid
from ledger.parties import Actor
from ledger.peers import Peer, PeerNode, Visit
from ledger.proof import report as reports
from ledger.proof.encoding import canonical, instant
from ledger.recognition import Checked, News, NotRecognised, Recognition
from webapp.deeds import Deed, Desk, Report, deed, question
from webapp.deeds.answers import (
    PAGE,
    PageQuery,
    RecordAnswer,
    history_of,
    lists,
    page_of,
    shown_schema,
)
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, text

PEER, RECOGNISED = "/peers/<peer_id>", "/recognitions/<recognition_id>"
STATUS_TEXT_MAX = 400_000


class _File(Body):
    """What a file that was handed in is called, and its digest."""

    name = text("File name", most=200)
    digest = text("Digest", most=71, pattern=r"\Asha256:[0-9a-f]{64}\Z", example="digest sha256:…")
    size_bytes = fields.Integer(required=True, metadata={"title": "Bytes", "hint": ""})


class ProposeBody(_File):
    """The trust file of another registry, and what that is called."""

    registry = text("Name of the registry", most=200)


class AdmitBody(Body):
    """The end of the fingerprint, as the other registry told it."""

    fingerprint = text("Last 8 characters of the fingerprint", most=80,
                       hint="as the other registry told you by telephone or letter")  # fmt: skip


class ReachBody(Body):
    """Where a registry is asked; only addresses that an administrator knows."""

    site = text("Address of its site", most=300, required=False, blank=True,
                hint="its status list is fetched from there; empty: it comes by file")  # fmt: skip
    rpc = text("Node of its chain", most=300, required=False, blank=True,
               hint="a node that you trust, if it can be asked")  # fmt: skip


class ImportBody(_File):
    """A voucher of another registry: its file, bundle or package."""

    status = text("Status list", most=STATUS_TEXT_MAX, required=False, blank=True, area=True,
                  hint="the registry's status.json, where neither file nor house has it")  # fmt: skip


class FollowBody(_File):
    """A status list, or a bundle or package with one."""


# -- other registries ----------------------------------------------------------------------------


def _told(found: Peer) -> dict[str, Any]:
    return {"id": found.id, "origin": found.origin, "registry": found.name, "state": found.state}


@deed("peer.propose", "/peers", "Propose another registry",
      "The registry {registry} ({origin}) is {state}: another person compares and admits it.",
      body=ProposeBody, upload=True, transient=True)  # fmt: skip
def propose(
    desk: Desk, session: Session, actor: Actor, registry: str, digest: str, **_file: Any
) -> dict[str, Any]:
    data = desk.home.handed_in(digest)
    return _told(peers.propose(session, actor, desk.now, name=registry, data=data))


@deed("peer.admit", f"{PEER}/admit", "Admit the registry",
      "The registry {registry} ({origin}) is {state}.", body=AdmitBody, changes=True)  # fmt: skip
def admit(
    desk: Desk, session: Session, actor: Actor, found: Peer, fingerprint: str
) -> dict[str, Any]:
    peers.admit(session, actor, desk.now, found, fingerprint)
    return _told(found)


@deed("peer.reach", f"{PEER}/reach", "Say where it is asked",
      "It is now known where {registry} ({origin}) is asked.", body=ReachBody, changes=True)  # fmt: skip
def reach(
    desk: Desk, session: Session, actor: Actor, found: Peer, site: str = "", rpc: str = ""
) -> dict[str, Any]:
    peers.reach(session, actor, desk.now, found, site=site, rpc=rpc)
    return _told(found)


def _change(verb: str, title: str, act: Callable[..., None]) -> Deed:
    def change(
        desk: Desk, session: Session, actor: Actor, found: Peer, reason: str
    ) -> dict[str, Any]:
        act(session, actor, desk.now, found, reason)
        return _told(found)

    made: Deed = deed(
        f"peer.{verb}", f"{PEER}/{verb}", title, "The registry {registry} ({origin}) is {state}.",
        body=ReasonBody, changes=True,
    )(change)  # fmt: skip
    return made


reject = _change("reject", "Reject the registry", peers.reject)
suspend = _change("suspend", "Suspend the recognition", peers.suspend)
resume = _change("resume", "Resume the recognition", peers.resume)
end = _change("end", "End the recognition", peers.end)

list_peers = lists("peer", "/peers", "Registries recognised here",
                   "name origin site state proposed_at decided_at", (Peer.name, Peer.origin))  # fmt: skip
PeerShown: type[Schema] = type(
    "PeerShownAnswer", (shown_schema(Peer),),
    {
        "asked_at": fields.String(required=True, allow_none=True),
        "counts_until": fields.String(required=True, allow_none=True),
        "known_at": fields.String(required=True, allow_none=True),
        "problem": fields.Dict(required=True, allow_none=True),
        "recognised_count": fields.Integer(required=True),
    },
)  # fmt: skip


@question("peer.read", PEER, "Registry recognised here", answer=PeerShown)
def show_peer(_desk: Desk, session: Session, _actor: Actor, found: Peer) -> dict[str, Any]:
    """As recorded, and what asking it brought; `problem` is a template with its facts."""
    known = session.get(Visit, found.origin)
    rows = session.scalars(select(Recognition.id).where(Recognition.origin == found.origin)).all()
    return {
        **found.body(), "asked_at": _at(known and known.at),
        "counts_until": _at(known and known.counts_until), "history": history_of(session, found.id),
        "known_at": _at(known and known.as_of), "problem": known and known.problem,
        "recognised_count": len(rows),
    }  # fmt: skip


def _at(value: Any) -> str | None:
    return None if value is None else instant(value)


# -- their vouchers ------------------------------------------------------------------------------


def checked(
    desk: Desk, _report: Report, actor: Actor, digest: str, status: str = "", **_file: Any
) -> dict[str, Any]:
    """The voucher in a file, verified under its registry's trust before the transaction begins."""
    from webapp.cli.verify import unwrap  # noqa: PLC0415 - the printed form needs fonts

    opened = reports.Report()
    try:
        data = unwrap(desk.home.handed_in(digest), opened)
    except Invalid as error:
        opened.add("form", reports.NOT_VALID, error.template, **error.facts)
        raise NotRecognised(opened) from None
    with desk.home.reading() as session:
        peer = peers.admitted(session, recognition.origin_of(data))
        known = peers.visit_of(session, peer.origin).status_list
    lists = [one for one in (status.strip().encode(), known and canonical(known)) if one]
    node = None if peer.rpc is None else PeerNode(peer.rpc)
    return {"found": recognition.check(data, peer, desk.now, status=lists, node=node)}


@deed("recognition.import", "/recognitions", "Recognise a voucher",
      "Voucher {voucher} of {origin} is recognised.", body=ImportBody, upload=True, transient=True,
      prepare=checked)  # fmt: skip
def recognise(
    desk: Desk, session: Session, actor: Actor, *, found: Checked, **_file: Any
) -> dict[str, Any]:
    made = recognition.recognise(session, actor, desk.now, found)
    return {
        "id": made.id, "origin": made.origin, "report": made.report, "title": made.title,
        "voucher": made.number,
    }  # fmt: skip


def opened(
    desk: Desk, _report: Report, _actor: Actor, found: Peer, digest: str, **_file: Any
) -> dict[str, Any]:
    """The status list in a file, verified under the registry's trust."""
    return {"news": recognition.open_list(desk.home.handed_in(digest), found, desk.now)}


@deed("recognition.follow", f"{PEER}/status", "Hand in a status list",
      "The status list of {origin} as of {as_of} is known; it changed {count} recognised vouchers.",
      body=FollowBody, upload=True, transient=True, prepare=opened)  # fmt: skip
def follow(
    desk: Desk, session: Session, actor: Actor, found: Peer, *, news: News, **_file: Any
) -> dict[str, Any]:
    count = recognition.follow(session, actor, desk.now, found, news)
    return {"as_of": instant(news.start), "count": count, "origin": found.origin}


class RecognitionRow(Schema):
    """A recognised voucher: whose it is, and how it stands now, as of when."""

    as_of = fields.String(required=True)
    id = fields.String(required=True)
    next_at = fields.String(required=True, allow_none=True)
    now = fields.String(required=True)
    number = fields.String(required=True)
    origin = fields.String(required=True)
    rights = fields.List(fields.String(), required=True)
    state = fields.String(required=True)
    title = fields.String(required=True)
    valid_until = fields.String(required=True)
    version = fields.Integer(required=True)


class RecognitionList(Schema):
    """A page of the list."""

    items = fields.List(fields.Nested(RecognitionRow), required=True)
    next = fields.String(required=True, allow_none=True)


class RecognitionShown(RecognitionRow):
    """One of them; `trust_digest` is the fingerprint of its registry's trust file."""

    digest = fields.String(required=True)
    history = fields.List(fields.Nested(RecordAnswer), required=True)
    kind = fields.String(required=True)
    registry = fields.String(required=True)
    report = fields.List(fields.Dict(), required=True)
    trust_digest = fields.String(required=True)
    valid_from = fields.String(required=True)


def _row(found: Recognition, standing: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": found.id, "number": found.number, "origin": found.origin, "rights": found.rights,
        "state": found.state, "title": found.title, "valid_until": instant(found.valid_until),
        "version": found.version, **standing,
    }  # fmt: skip


@question("recognition.read", "/recognitions", "Recognised vouchers", name="recognition.list",
          answer=RecognitionList, query=PageQuery, listed=True)  # fmt: skip
def list_recognitions(
    desk: Desk, session: Session, actor: Actor, *, limit: int = PAGE, after: str = "", words: str = "",
    state: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The newest first."""
    columns = (Recognition.number, Recognition.title, Recognition.origin)
    rows = page_of(session, actor, "recognition", limit=limit, after=after, words=words, state=state,
                   columns=columns)  # fmt: skip
    kept = rows[:limit]
    stands = recognition.standings(session, kept, desk.now)
    return {
        "items": [_row(row, stands[row.id]) for row in kept],
        "next": kept[-1].id if len(rows) > limit else None,
    }  # fmt: skip


@question("recognition.read", RECOGNISED, "Recognised voucher", answer=RecognitionShown)
def show(desk: Desk, session: Session, _actor: Actor, found: Recognition) -> dict[str, Any]:
    """Whose voucher it is and how it stands; it is not one of ours."""
    peer = peers.current(session, found.origin) or session.get_one(Peer, found.peer_id)
    return {
        **_row(found, recognition.standings(session, [found], desk.now)[found.id]),
        "digest": found.digest, "history": history_of(session, found.id), "kind": found.kind,
        "registry": peer.name, "report": found.report, "trust_digest": peer.digest,
        "valid_from": instant(found.valid_from),
    }  # fmt: skip
