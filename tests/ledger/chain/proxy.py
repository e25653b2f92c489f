"""A small proxy before a chain node that does to its requests what networks and nodes do."""

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Fault = Callable[["Exchange"], None]


class Exchange:
    """One request on its way; a fault answers it, or does something before or after it is passed on."""

    def __init__(self, handler: BaseHTTPRequestHandler, proxy: "Proxy", body: bytes) -> None:
        self.handler, self.proxy, self.body = handler, proxy, body
        self.asked = json.loads(body)

    def forward(self) -> bytes:
        """What the node answers."""
        link = http.client.HTTPConnection(self.proxy.host, self.proxy.port, timeout=30)
        try:
            headers = {
                name: value
                for name, value in self.handler.headers.items()
                if name.lower() not in ("host", "content-length", "connection")
            }
            link.request("POST", self.proxy.path, self.body, headers)
            return link.getresponse().read()
        finally:
            link.close()

    def answer(self, data: bytes, status: int = 200, *, claimed: int | None = None) -> None:
        """Answer; `claimed` is the length the header tells."""
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", "application/json")
        self.handler.send_header("Content-Length", str(claimed or len(data)))
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def error(self, code: int, message: str) -> None:
        told = {"code": code, "message": message}
        self.answer(json.dumps({"error": told, "id": self.asked["id"], "jsonrpc": "2.0"}).encode())

    def hang_up(self) -> None:
        self.handler.connection.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Passes requests on, and counts them; `on(method, fault, times)` breaks the next ones."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path or "/"
        self.seen: Counter[str] = Counter()
        self.first: dict[str, bytes] = {}
        self.watch: Callable[[str, str], None] = lambda _method, _moment: None
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self.url = ""

    def on(self, method: str, fault: Fault, times: int = 1) -> None:
        with self._lock:
            self._faults.setdefault(method, []).extend([fault] * times)

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()

    def handle(self, exchange: Exchange) -> None:
        method = exchange.asked["method"]
        with self._lock:
            self.seen[method] += 1
            waiting = self._faults.get(method) or []
            fault = waiting.pop(0) if waiting else None
        self.watch(method, "before")
        if fault is not None:
            fault(exchange)
            return
        told = exchange.forward()
        self.first.setdefault(self._question(exchange), told)
        self.watch(method, "after")
        exchange.answer(told)

    def _question(self, exchange: Exchange) -> str:
        return json.dumps([exchange.asked["method"], exchange.asked["params"]])

    def as_first_told(self, exchange: Exchange) -> bytes:
        """The first answer that this question ever got."""
        return self.first.get(self._question(exchange)) or exchange.forward()


@contextmanager
def before(upstream: str) -> Iterator[Proxy]:
    """A proxy before a node, until the block ends."""
    proxy = Proxy(upstream)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            with suppress(OSError):  # who asked has gone
                proxy.handle(Exchange(self, proxy, self.rfile.read(length)))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- what goes wrong ---------------------------------------------------------------------------


def refuses_connection(exchange: Exchange) -> None:
    exchange.hang_up()


def answer_is_lost(exchange: Exchange) -> None:
    exchange.forward()
    exchange.hang_up()


def is_too_slow(exchange: Exchange) -> None:
    told = exchange.forward()
    time.sleep(1.5)  # the gateway of these tests waits one second
    exchange.answer(told)


def arrives_late(exchange: Exchange) -> None:
    """Not passed on before whoever asked has given up."""
    time.sleep(1.2)
    exchange.forward()


def arrives_twice(exchange: Exchange) -> None:
    exchange.forward()
    exchange.answer(exchange.forward())


def is_cut_short(exchange: Exchange) -> None:
    told = exchange.forward()
    exchange.answer(told[: len(told) // 2], claimed=len(told))
    exchange.hang_up()


def is_overloaded(exchange: Exchange) -> None:
    exchange.answer(b"too many requests", 429)


def is_broken(exchange: Exchange) -> None:
    exchange.answer(b"<html>502 Bad Gateway</html>", 502)


def talks_nonsense(exchange: Exchange) -> None:
    exchange.answer(b"[1, 2")


def knows_only_the_past(exchange: Exchange) -> None:
    exchange.answer(exchange.proxy.as_first_told(exchange))


def errs_inside(exchange: Exchange) -> None:
    exchange.error(-32603, "internal error")


def swallows(exchange: Exchange) -> None:
    """Says that it has the transaction, and forgets it."""
    exchange.answer(
        json.dumps(
            {"id": exchange.asked["id"], "jsonrpc": "2.0", "result": "0x" + "00" * 32}
        ).encode()
    )


def says(message: str) -> Fault:
    """A node that does not take the transaction, for this reason."""

    def fault(exchange: Exchange) -> None:
        exchange.error(-32000, message)

    fault.__name__ = "says_" + message.replace(" ", "_")
    return fault


EVERYWHERE = (
    refuses_connection, answer_is_lost, is_too_slow, arrives_late, arrives_twice, is_cut_short,
    is_overloaded, is_broken, talks_nonsense, knows_only_the_past, errs_inside,
)  # fmt: skip
WHERE_SENT = (
    swallows, says("nonce too low"), says("nonce too high"), says("transaction underpriced"),
    says("insufficient funds for gas * price + value"), says("already known"),
    says("replacement transaction underpriced"), says("exceeds block gas limit"),
    says("sender not allowed"), says("mempool is full"),
)  # fmt: skip
