"""The HTTP face of the embedded node: who may ask, how much, and for how long.

Reads are for anybody on this machine. Sending takes the bearer token, and never comes from a web page: a
request with an Origin header only reads. A Host that is not this address is refused, since a foreign page
could otherwise reach us under its own name (DNS rebinding). Threads, bytes and seconds are bounded.
"""

import contextlib
import hmac
import itertools
import json
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar, cast

import orjson

from ledger.chain.chainfile import Chain
from ledger.chain.miner import Miner, Refused, Ticket
from ledger.chain.rpc import Rpc
from ledger.chain.wire import RpcError, data, hexed

BODY_MAX = 2**20
SWALLOW_MAX = 8 * BODY_MAX  # of a body that is too large, before the answer that says so
BATCH_MAX = 100
ANSWER_MAX = 16 * 2**20
CONNECTIONS_MAX = 64
READ_LIMIT_S = 15.0  # for a whole request to arrive, and for the next one on an open connection
IDLE_LIMIT_S = 1.0  # the same, while all connections are taken
SEND = "eth_sendRawTransaction"
Json = Any


class Server(HTTPServer):
    """One thread a connection, at most `CONNECTIONS_MAX`; a slow or idle one is cut off in time."""

    request_queue_size = 128

    def __init__(self, address: str, port: int, chain: Chain, token: str, lead_max_s: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)
        port = self.server_address[1]
        self.url = f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self.token = token.encode()
        self.miner = Miner(chain, lead_max_s=lead_max_s)
        self.rpc = Rpc(chain, self.miner)
        self.reading_since_s: dict[socket.socket, float] = {}
        self._threads: dict[socket.socket, threading.Thread] = {}

    def server_bind(self) -> None:
        """As a TCP server binds: HTTPServer would ask the name service for our name."""
        self.allow_reuse_address = True
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._threads) >= CONNECTIONS_MAX:
            self._cut_off(IDLE_LIMIT_S)
            with contextlib.suppress(OSError):
                request.settimeout(0.1)
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        thread = threading.Thread(target=self._work, args=(request, client_address), daemon=True)
        self._threads[request] = thread
        self.reading_since_s[request] = time.monotonic()
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads
            del self._threads[request], self.reading_since_s[request]
            self.shutdown_request(request)

    def _work(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except (OSError, ValueError):
            pass  # the other side is gone, or was cut off
        finally:
            self.reading_since_s.pop(request, None)
            self.shutdown_request(request)
            self._threads.pop(request, None)

    def service_actions(self) -> None:
        self._cut_off(READ_LIMIT_S)

    def _cut_off(self, limit_s: float) -> None:
        now_s = time.monotonic()
        for request, since_s in list(self.reading_since_s.items()):
            if now_s - since_s > limit_s:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Refuse what is not mined, let the answers go out, close every connection."""
        self.server_close()
        self.miner.stop()
        self._cut_off(-1.0)
        for thread in list(self._threads.values()):
            thread.join(READ_LIMIT_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: what went wrong with one connection is not the node's log's concern."""

    def may_send(self, authorization: str | None) -> bool:
        scheme, _, given = (authorization or "").partition(" ")
        return (
            hmac.compare_digest(given.strip().encode(), self.token) and scheme.lower() == "bearer"
        )

    def answer(self, body: bytes) -> bytes:
        """The JSON-RPC answer to a body that holds one request or a batch."""
        asked = _parsed(body)
        if isinstance(asked, RpcError):
            return _encoded(_reply(None, asked))
        if not isinstance(asked, list):
            return _encoded(self._finished(asked, self._begun(asked)))
        if not 0 < len(asked) <= BATCH_MAX:
            message = "empty batch" if not asked else "batch too large"
            return _encoded(_reply(None, RpcError(-32600, message)))
        answers: list[bytes] = []
        for sends, run in itertools.groupby(asked, lambda one: bool(_method(one) == SEND)):
            if sends:  # transactions that stand together share a block
                with self.miner.gathering():
                    begun = [(one, self._begun(one)) for one in run]
                answers += [_encoded(self._finished(*pair)) for pair in begun]
                continue
            for one in run:
                full = sum(map(len, answers)) > ANSWER_MAX
                found = RpcError(-32003, "response too large") if full else self._begun(one)
                answers.append(_encoded(_reply(one, found)))
        return b"[" + b",".join(answers) + b"]"

    def _begun(self, one: Json) -> Json | RpcError | Ticket:
        """The result or error of one request, or the ticket of a transaction on its way into a block."""
        try:
            if (
                not isinstance(one, dict)
                or one.get("jsonrpc") != "2.0"
                or not isinstance(one.get("method"), str)
                or type(one.get("id")) not in {str, int}
            ):
                return RpcError(
                    -32600, "invalid request: jsonrpc 2.0, a method and an id are wanted"
                )
            params = one.get("params") or []
            if not isinstance(params, list):
                return RpcError(-32602, "params is a list")
            if one["method"] != SEND:
                return self.rpc.call(one["method"], params)
            if len(params) != 1:
                return RpcError(-32602, f"{SEND} takes 1 parameter, not {len(params)}")
            return self.miner.submit(data(params[0]))
        except RpcError as error:
            return error
        except Refused as error:
            return RpcError(-32000, str(error))
        except Exception as error:  # our own fault: one request fails, the node goes on
            print(f"node: {_method(one)}: {type(error).__name__}: {error}", file=sys.stderr)
            return RpcError(-32603, f"internal error: {type(error).__name__}")

    def _finished(self, one: Json, found: Json | RpcError | Ticket) -> Json:
        if isinstance(found, Ticket):
            try:
                found = hexed(found.wait())
            except Refused as error:
                found = RpcError(-32000, str(error))
        return _reply(one, found)


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1: POST with a JSON body, and the preflight of a page that wants to read."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "Shuzheng"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = READ_LIMIT_S
    CORS: ClassVar = {"Access-Control-Allow-Origin": "*"}

    def handle_one_request(self) -> None:
        self.server.reading_since_s[self.connection] = time.monotonic()
        self._is_read = False
        super().handle_one_request()

    def do_POST(self) -> None:
        if not self._from_here():
            return
        kinds = self.headers.get_all("Content-Type", [])
        if len(kinds) != 1 or kinds[0].partition(";")[0].strip().lower() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json")
            return
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or len(lengths) != 1 or not lengths[0].isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "one Content-Length is wanted")
            return
        if len(lengths[0]) > 9 or int(lengths[0]) > BODY_MAX:
            self._refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {BODY_MAX} bytes"
            )
            return
        body = self.rfile.read(int(lengths[0]))
        self._is_read = True
        self.server.reading_since_s.pop(
            self.connection, None
        )  # what we need now is not the client's time
        if len(body) < int(lengths[0]):
            self.close_connection = True
            return
        foreign = "Origin" in self.headers
        if _sends(_parsed(body)):
            if foreign:
                self._refuse(HTTPStatus.FORBIDDEN, "a web page may read only", -32001)
                return
            if not self.server.may_send(self.headers.get("Authorization")):
                self._refuse(
                    HTTPStatus.UNAUTHORIZED, f"{SEND} needs the node's bearer token", -32001
                )
                return
        self._send(HTTPStatus.OK, self.server.answer(body), self.CORS if foreign else {})

    def do_OPTIONS(self) -> None:
        if self._from_here():
            allowed = {
                "Access-Control-Allow-Methods": "POST",
                "Access-Control-Allow-Headers": "Content-Type",
                "Access-Control-Max-Age": "600",
            }
            self._send(HTTPStatus.NO_CONTENT, b"", self.CORS | allowed)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses; a method it does not know is one that is not allowed."""
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._refuse(status, message or status.phrase)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """Keep no log of who reads what."""

    def _from_here(self) -> bool:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) == 1 and hosts[0].strip().lower() in self.server.hosts:
            return True
        self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this Host is not served here")
        return False

    def _refuse(self, status: HTTPStatus, message: str, code: int = -32600) -> None:
        """Answer and close; a body not yet read is swallowed first, else the client would not hear us."""
        self.close_connection = True
        length = getattr(self, "headers", {}).get("Content-Length", "")
        if not self._is_read and length.isdecimal() and len(length) <= 9:
            left = min(int(length), SWALLOW_MAX)
            while left > 0 and (part := self.rfile.read(min(left, 65_536))):
                left -= len(part)
        extra = {"Allow": "POST, OPTIONS"} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
        self._send(status, _encoded(_reply(None, RpcError(code, message))), extra)

    def _send(self, status: HTTPStatus, body: bytes, extra: dict[str, str]) -> None:
        self.server.reading_since_s.pop(self.connection, None)
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _parsed(body: bytes) -> Json | RpcError:
    try:
        return cast(Json, orjson.loads(body))  # bounded in depth, unlike json under py-evm's stack
    except ValueError:
        return RpcError(-32700, "parse error")


def _method(one: Json) -> Json:
    return one.get("method") if isinstance(one, dict) else None


def _sends(asked: Json) -> bool:
    return any(_method(one) == SEND for one in (asked if isinstance(asked, list) else [asked]))


def _reply(one: Json, found: Json | RpcError) -> Json:
    asked_id = one.get("id") if isinstance(one, dict) else None
    known = asked_id if type(asked_id) in {str, int} else None
    outcome = {"error": found.as_dict()} if isinstance(found, RpcError) else {"result": found}
    return {"jsonrpc": "2.0", "id": known, **outcome}


def _encoded(answer: Json) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
