"""A monitor reads the log over HTTP with nothing but the standard library and `ledger.proof`."""

import base64
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.serving import make_server

from ledger import log, settings
from ledger.errors import ProofFailed
from ledger.proof import merkle, tiles
from ledger.proof.checkpoint import (
    Checkpoint,
    open_note,
    parse_checkpoint,
    parse_tlog_proof,
    verifier_key,
)
from ledger.proof.encoding import parse
from tests.conftest import LOG_KEY, ORIGIN
from tests.ledger.test_log import add_parties, leaf_hashes
from tests.web.conftest import Site
from webapp import accounts
from webapp.tlog import PREFIXES

pytestmark = pytest.mark.pages

KEY = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())
API = "/api/v1/log"
OCTETS, TEXT = "application/octet-stream", "text/plain; charset=utf-8"


@contextmanager
def served(site: Site) -> Iterator[tuple[str, int]]:
    """The site on a port of loopback."""
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class Monitor(dict[tiles.Tile, bytes]):
    """Who watches a log: it keeps what it has seen and trusts the log's key, nothing else."""

    def __init__(self, address: tuple[str, int], prefix: str, token: str = "") -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=20)
        self.prefix, self.size = prefix, 0
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, status: int = 200) -> Any:
        self.connection.request("GET", f"{self.prefix}/{path}", headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == status, (path, answer.status, body[:300])
        return body

    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint, its signature checked; from now on tiles are read for its size."""
        text, _signers = open_note(self.get("checkpoint").decode(), [KEY])
        found = parse_checkpoint(text)
        assert found.origin == ORIGIN
        self.size = found.tree_size
        return found

    def __missing__(self, tile: tiles.Tile) -> bytes:
        width = tiles.tile_width(tile, self.size)
        hashes = self.get(tiles.tile_path(tile, width))
        assert len(hashes) == 32 * width
        if width == tiles.WIDTH:  # it can never change
            self[tile] = hashes
        return hashes

    def proof(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        return [tiles.range_root(low, high, self) for low, high in ranges]

    def entries(self) -> list[bytes]:
        """Every entry up to the checkpoint, from the bundles."""
        found = []
        for n in range(-(-self.size // tiles.WIDTH)):
            place = tiles.Tile(tiles.ENTRIES, n)
            rest = self.get(tiles.tile_path(place, tiles.tile_width(place, self.size)))
            while rest:
                end = 2 + int.from_bytes(rest[:2])
                found.append(rest[2:end])
                rest = rest[end:]
        return found


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_monitor_rebuilds_the_root_from_tiles_and_checks_that_the_log_only_grew(
    site: Site, prefix: str
) -> None:
    town = site.town
    add_parties(town, 300)
    town.seal()
    with served(site) as address:
        monitor = Monitor(address, prefix)
        old = monitor.checkpoint()
        assert tiles.range_root(0, old.tree_size, monitor) == old.root
        first = monitor.entries()
        add_parties(town, 700)
        assert monitor.checkpoint() == old, "what is not signed is not shown"
        town.seal()
        new = monitor.checkpoint()
        assert new.tree_size == old.tree_size + 700
        entries = monitor.entries()
        leaves = [merkle.leaf_hash(entry) for entry in entries]
        assert entries[: len(first)] == first
        assert leaves == leaf_hashes(town)
        assert merkle.root(leaves) == tiles.range_root(0, new.tree_size, monitor) == new.root
        for index in (0, 255, 256, old.tree_size, new.tree_size - 1):
            proof = monitor.proof(tiles.inclusion_ranges(index, new.tree_size))
            merkle.verify_inclusion(leaves[index], index, new.tree_size, proof, new.root)
        proof = monitor.proof(tiles.consistency_ranges(old.tree_size, new.tree_size))
        sizes = (old.tree_size, new.tree_size)
        merkle.verify_consistency(*sizes, old.root, new.root, proof)
        with pytest.raises(ProofFailed):
            merkle.verify_consistency(*sizes, merkle.leaf_hash(b""), new.root, proof)
        for index in (0, 299, new.tree_size - 1):  # the leaf's own proof, in one file
            text = monitor.get(f"proof/{index}.tlog-proof").decode()
            found, hashes, note, entry = parse_tlog_proof(text)
            shown = parse_checkpoint(open_note(note, [KEY])[0])
            assert (found, shown) == (index, new)
            assert parse(entry) == parse(entries[index])
            merkle.verify_inclusion(
                merkle.leaf_hash(entry), index, shown.tree_size, hashes, shown.root
            )


def test_who_has_seen_a_checkpoint_gets_its_tiles_ever_after(site: Site) -> None:
    """Also those that were partial and have become full since."""
    town = site.town
    add_parties(town, 200)
    sealed = town.seal()
    add_parties(town, 800)
    town.seal()
    with served(site) as address:
        monitor = Monitor(address, "")
        monitor.size = sealed.tree_size
        assert tiles.tile_width(tiles.Tile(0, 0), monitor.size) < tiles.WIDTH
        assert tiles.range_root(0, monitor.size, monitor).hex() == sealed.root
        assert [merkle.leaf_hash(one) for one in monitor.entries()] == leaf_hashes(town)[
            : monitor.size
        ]


def test_the_proof_of_a_leaf_stands_on_the_checkpoint_that_stays(site: Site) -> None:
    """The smallest confirmed one that covers it, as in its bundle; until then the newest."""
    town = site.town
    add_parties(town, 3)
    first = town.seal()
    add_parties(town, 3)
    last = town.seal()

    def shown(leaf: int) -> int:
        text = site.visit().get(f"/proof/{leaf}.tlog-proof")
        return parse_checkpoint(open_note(parse_tlog_proof(text)[2], [KEY])[0]).tree_size

    assert shown(0) == last.tree_size
    with town.deed() as session:
        log.note_anchor(session, first.tree_size, "0x" + "cd" * 32, 7, town.now)
    assert shown(0) == first.tree_size
    assert shown(first.tree_size) == last.tree_size


@pytest.mark.parametrize("prefix", PREFIXES)
def test_files_say_what_they_are_and_how_long_they_may_be_kept(site: Site, prefix: str) -> None:
    town = site.town
    add_parties(town, 300)
    sealed = town.seal()
    client = site.app.test_client()
    moment, ever = "public, max-age=5", "public, max-age=31536000, immutable"
    for path, media_type, kept in (
        ("/checkpoint", TEXT, moment), ("/proof/0.tlog-proof", TEXT, moment),
        ("/tile/0/000", OCTETS, ever), (f"/tile/0/001.p/{sealed.tree_size - 256}", OCTETS, ever),
        ("/tile/1/000.p/1", OCTETS, ever), ("/tile/entries/000", OCTETS, ever),
        ("/tile/entries/000.p/3", OCTETS, ever),
    ):  # fmt: skip
        answer = client.get(prefix + path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Cache-Control"] == kept
        assert "Set-Cookie" not in answer.headers
        again = client.get(prefix + path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        head = client.head(prefix + path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(len(answer.data))
    assert client.get(f"{prefix}/tile/0/000").data == b"".join(leaf_hashes(town)[:256])


def test_what_is_not_there_or_not_spelled_so_is_not_found(site: Site) -> None:
    town = site.town
    client = site.app.test_client()
    assert client.get("/checkpoint").status_code == 404, "nothing is sealed"
    assert client.get("/proof/0.tlog-proof").status_code == 404
    add_parties(town, 300)
    size = town.seal().tree_size
    add_parties(town, 300)  # recorded, not yet signed for
    beyond = f"/tile/0/001.p/{size - 256 + 1}"
    for path in (
        "/tile/0/001", beyond, beyond.replace("/0/", "/entries/"), "/tile/1/000", "/tile/1/000.p/2",
        "/tile/2/000.p/1", "/tile/63/000.p/1", "/tile/0/002", "/tile/0/x001/000", "/tile/0/999.p/1",
        "/tile/0/0", "/tile/0/00", "/tile/00/000", "/tile/64/000", "/tile/0/000.p/0",
        "/tile/0/000.p/256", "/tile/0/000.p/01", "/tile/0/000.p/", "/tile/0/x000/000", "/tile/-1/000",
        "/tile/entries", "/tile/entries/000.p/0", "/tile/0/000/", "/tile/0/%30%30%30x",
        "/tile/0/" + "x999/" * 6 + "999", "/proof/00.tlog-proof", "/proof/-1.tlog-proof",
        "/proof/x.tlog-proof", f"/proof/{size}.tlog-proof", f"/proof/{2**70}.tlog-proof",
        "/proof/٣.tlog-proof", "/tile/0/٠٠٠",
    ):  # fmt: skip
        for prefix in (*PREFIXES, API):
            answer = client.get(prefix + path)
            assert answer.status_code == 404, (prefix + path, answer.status_code)
            if prefix != API:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Content-Type"] == TEXT
    assert client.post("/checkpoint").status_code in (400, 405)


# ---------------------------------------------------------------- to whom the operator allows

READERS = {  # the setting, and who may then read: nobody signed in, an operator, and supervisors
    "public": (None, "olga", "rita", "gwen", "admin"),
    "member": ("olga", "rita", "gwen", "admin"),
    "supervisor": ("rita", "gwen", "admin"),
}
EVERYBODY = READERS["public"]


def choose(site: Site, readers: str) -> None:
    with site.town.deed() as session:
        settings.change(session, site.town.actors["admin"], "log_readers", readers)


@pytest.mark.parametrize("readers", READERS)
def test_the_log_is_shown_to_whom_the_operator_allows_and_to_nobody_else(
    site: Site, readers: str
) -> None:
    """One rule for the files, the questions of the API and the page; both doors tell it alike."""
    town = site.town
    add_parties(town, 3)
    choose(site, readers)
    town.seal()
    files = ("/checkpoint", "/tile/0/000.p/2", "/tile/entries/000.p/2", "/proof/1.tlog-proof")
    addresses = [prefix + path for prefix in (*PREFIXES, API) for path in files]
    for login in EVERYBODY:
        client = site.visit(login).client
        may = login in READERS[readers]
        due = 200 if may else 401 if login is None else 403
        for address in (*addresses, f"{API}/entries", API):
            answer = client.get(address)
            assert answer.status_code == due, (login, address, answer.status_code)
            if may and not address.startswith(API):
                kept = "public, " if readers == "public" else "private, "
                assert answer.headers["Cache-Control"].startswith(kept)
        page = client.get("/log")
        assert page.status_code == (200 if may else 303 if login is None else 403)
        assert may or "/sign-in" in page.headers.get("Location", "/sign-in")


def test_whom_the_log_is_not_shown_still_sees_his_own_and_what_is_everybody_s(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    town.settle(voucher)
    town.publish_status()
    sealed = town.seal()
    with town.deed() as session:
        log.note_anchor(session, sealed.tree_size, "0x" + "cd" * 32, 7, town.now)
    choose(site, "supervisor")
    assert site.visit().read(f"/vouchers/{voucher.number}/state")["checkpoint"] is not None
    site.visit("olga").get(f"/api/v1/vouchers/{voucher.number}/bundle")
    site.visit("olga").get(f"/api/v1/vouchers/{voucher.number}/tlog-proof")


def test_a_monitor_with_a_token_reads_a_log_that_is_not_public(site: Site) -> None:
    """Under /api/v1/log: the same files, so any C2SP client that can send a header will do."""
    town = site.town
    add_parties(town, 300)
    choose(site, "member")
    town.seal()
    with town.deed() as session:
        _kept, secret = accounts.create_token(
            session, town.actors["olga"].member_id, name="monitor", scopes=["read"], days=1,
            now=town.now,
        )  # fmt: skip
    with served(site) as address:
        Monitor(address, API).get("checkpoint", 401)
        Monitor(address, "", secret).get("checkpoint", 403)  # a token opens the API only
        monitor = Monitor(address, API, secret)
        found = monitor.checkpoint()
        assert tiles.range_root(0, found.tree_size, monitor) == found.root
        assert [merkle.leaf_hash(one) for one in monitor.entries()] == leaf_hashes(town)
        text = monitor.get("proof/7.tlog-proof").decode()
        assert base64.b64decode(text.split("\n")[1][6:]) == monitor.entries()[7]
