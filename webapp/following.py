"""Following other registries: each that is due is asked in a thread of its own, so that none delays us.

Its status list is fetched from its site, its chain asked where a node of it is known. Only what its trust
file vouches for is taken over; of anything else we keep that it was not that.
"""

import http.client
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from ledger import asking, peers, recognition
from ledger.errors import Conflict, LedgerError
from ledger.peers import Peer, PeerNode
from ledger.recognition import News
from webapp.home import Home, clock

STATUS_PATH = "/api/v1/status"
LIST_BYTES_MAX = 4 * 1024 * 1024
SYSTEM = "system"
logger = structlog.get_logger()

_asked: dict[tuple[Path, str], threading.Thread] = {}
_lock = threading.Lock()


def begin(home: Home, now: Callable[[], datetime] = clock) -> None:
    """Begin to ask every registry that is due and is not being asked; returns at once."""
    with home.reading() as session:
        due = peers.due(session, now())
    for origin in due:
        key = (home.path, origin)
        with _lock:
            if key in _asked and _asked[key].is_alive():
                continue
            _asked[key] = threading.Thread(target=_visit, args=(home, origin, now), name="peer")
            _asked[key].start()


def _visit(home: Home, origin: str, now: Callable[[], datetime]) -> None:
    try:
        visit(home, origin, now)
    except LedgerError as error:  # the database is away or busy: the next round asks again
        logger.warning("peer", origin=origin, cause=error.sentence)


def visit(
    home: Home, origin: str, now: Callable[[], datetime] = clock, limit_s: float = asking.ANSWER_S
) -> int:
    """Ask a registry once; how many recognised vouchers that changed."""
    with home.reading() as session:
        peer = peers.current(session, origin)
        rows = recognition.followed(session, origin)
    if peer is None or peer.state != "admitted":
        return 0
    news, words, problem, asked_at = None, None, None, now()
    try:
        if peer.site is not None:
            news = fetched(peer, asked_at, limit_s)
    except LedgerError as error:
        problem = error
    if peer.rpc is not None:
        try:
            node = PeerNode(peer.rpc, limit_s)
            words = recognition.ask_chain(node, peer.opened, rows, asked_at)
        except (OSError, ValueError, IndexError):
            problem = Conflict("The node of its chain gives no fit answer.")
    with home.deed(now()) as session:
        found = peers.find(session, peer.id)
        if found.state != "admitted":
            return 0
        count = 0
        if news is not None:
            try:
                count += recognition.take_list(session, now(), found, news, SYSTEM)
            except Conflict as error:  # older than the one known: nothing was taken over
                problem = error
        if words is not None:
            count += recognition.take_chain(session, asked_at, found, words, SYSTEM)
        peers.note_visit(session, now(), origin, problem)
    return count


def fetched(peer: Peer, now: datetime, limit_s: float = asking.ANSWER_S) -> News:
    """The status list at a registry's site, verified under its trust file; nothing else is told of it."""
    try:
        found = asking.ask(
            "GET", f"{peer.site}{STATUS_PATH}", limit_s=limit_s, bytes_max=LIST_BYTES_MAX
        )
    except TimeoutError:
        raise Conflict(
            "The registry did not answer within {limit} s.", limit=f"{limit_s:g}"
        ) from None
    except ValueError:
        raise Conflict(
            "The registry's answer is larger than {limit} bytes.", limit=LIST_BYTES_MAX
        ) from None
    except (OSError, http.client.HTTPException):
        raise Conflict("The registry cannot be reached.") from None
    if found.status != 200:
        raise Conflict("The registry answered with HTTP {status}.", status=found.status)
    try:
        return recognition.open_list(found.body, peer, now)
    except Conflict:  # of a time to come
        raise
    except LedgerError:
        raise Conflict(
            "What the registry answered is no status list that its trust file vouches for."
        ) from None
