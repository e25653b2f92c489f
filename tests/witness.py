"""A little witness of its own: C2SP tlog-witness `add-checkpoint` on loopback, with real keys and state.

It believes nobody: it checks the log's signature and the consistency proof from the size it holds, and
keeps size and root before it answers. What it does wrong, a test tells it to (`mood`).
"""

import base64
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import LedgerError
from ledger.proof.checkpoint import VerifierKey, open_note, parse_checkpoint
from ledger.proof.cosignature import cosign, cosigner_key
from ledger.proof.merkle import verify_consistency

BODY = re.compile(r"\Aold (0|[1-9][0-9]*)\n((?:[A-Za-z0-9+/=]+\n)*)\n(.*)\Z", re.DOTALL)


class LittleWitness:
    """What a witness knows: its key, the logs it serves, and the checkpoint it holds of each."""

    def __init__(self, name: str, *log_keys: VerifierKey) -> None:
        self.name = name
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.vkey = cosigner_key(name, self.private.public_key().public_bytes_raw()).spelled()
        self.log_keys = list(log_keys)
        self.held: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.mood = "well"
        self.lock = threading.Lock()

    def answer(self, body: str) -> tuple[int, str, bytes]:
        """Status, media type and content for an add-checkpoint request."""
        with self.lock:
            self.asked.append(body.partition("\n")[0])
            return self._answer(body)

    def _answer(self, body: str) -> tuple[int, str, bytes]:
        found = BODY.match(body)
        if found is None:
            return 400, "text/plain", b"malformed"
        old_size, note = int(found[1]), found[3]
        proof = [base64.b64decode(line, validate=True) for line in found[2].split()]
        origin = note.partition("\n")[0]
        if origin not in {key.name for key in self.log_keys}:
            return 404, "text/plain", b"unknown log"
        try:
            text, _ = open_note(note, self.log_keys)
            checkpoint = parse_checkpoint(text)
        except LedgerError:
            return 403, "text/plain", b"not signed by the log"
        size, root = self.held.get(origin, (0, b""))
        if old_size > checkpoint.tree_size or len(proof) > 63:
            return 400, "text/plain", b"old size beyond the checkpoint"
        if old_size != size or (size == checkpoint.tree_size and root != checkpoint.root):
            return 409, "text/x.tlog.size", f"{size}\n".encode()
        try:
            if size:
                verify_consistency(size, checkpoint.tree_size, root, checkpoint.root, proof)
            elif proof:
                return 422, "text/plain", b"a proof from nothing"
        except LedgerError:
            return 422, "text/plain", b"inconsistent"
        self.held[origin] = (checkpoint.tree_size, checkpoint.root)
        return 200, "text/plain", self.cosign(text).encode()

    def cosign(self, text: str) -> str:
        return cosign(text, self.name, self.private, datetime.now(UTC))


class _Handler(http.server.BaseHTTPRequestHandler):
    """How the witness speaks, in each of its moods."""

    server: "_Server"
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        witness = self.server.witness
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path != "/w/add-checkpoint":
            return self._send(404, "text/plain", b"")
        if witness.mood == "silent":
            self.server.stop.wait(30)
            self.close_connection = True
            return None
        if witness.mood == "dripping":
            return self._drip()
        status, media_type, content = witness.answer(body)
        if witness.mood in MOODS:
            status, media_type, content = MOODS[witness.mood](witness, body, content)
        return self._send(status, media_type, content)

    def _drip(self) -> None:
        """A byte now and then, for ever: each comes in time, the answer never does."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            if self.server.stop.wait(0.05):
                return
            try:
                self.wfile.write(b"x")
                self.wfile.flush()
            except OSError:
                return

    def _send(self, status: int, media_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _lie(witness: LittleWitness, body: str, _content: bytes) -> tuple[int, str, bytes]:
    """It cosigns another checkpoint than it was given."""
    text = body.partition("\n\n")[2].partition("\n\n")[0] + "\n"
    lines = text.splitlines(keepends=True)
    other = lines[0] + f"{int(lines[1]) + 1}\n" + "".join(lines[2:])
    return 200, "text/plain", witness.cosign(other).encode()


def _stranger(witness: LittleWitness, body: str, _content: bytes) -> tuple[int, str, bytes]:
    other = LittleWitness("somebody.example")
    text = body.partition("\n\n")[2].partition("\n\n")[0] + "\n"
    return 200, "text/plain", other.cosign(text).encode()


def _restless(witness: LittleWitness, *_: Any) -> tuple[int, str, bytes]:
    return 409, "text/x.tlog.size", f"{1 + len(witness.asked) % 2}\n".encode()


MOODS = {
    "lying": _lie,
    "a stranger": _stranger,
    "restless": _restless,
    "ahead": lambda *_: (409, "text/x.tlog.size", b"1000000\n"),
    "far ahead": lambda *_: (409, "text/x.tlog.size", b"9" * 30 + b"\n"),
    "babbling": lambda *_: (409, "text/x.tlog.size", b"\x00\xff seven\n"),
    "broken": lambda *_: (500, "text/html", b"<h1>oops</h1>"),
    "elsewhere": lambda *_: (302, "text/plain", b""),
    "endless": lambda *_: (200, "text/plain", b"x" * 70_000),
    "wordless": lambda *_: (200, "text/plain", b""),
    "smuggling": lambda _w, _b, content: (200, "text/plain", b"\n" + content),
}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    witness: LittleWitness
    stop: threading.Event


@contextmanager
def serve_witness(witness: LittleWitness) -> Iterator[str]:
    """The witness's address while the block runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.witness, server.stop = witness, threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/w"
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
