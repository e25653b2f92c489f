"""JSON-RPC over HTTP for the gateway: one fresh connection a request, and errors in our own words."""

import base64
import http.client
import itertools
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import SplitResult, unquote

import orjson
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak
from web3 import Web3
from web3.providers.base import BaseProvider
from web3.types import RPCEndpoint, RPCResponse

from contracts import NAMES, artifact
from ledger.errors import ChainReverted, ChainUnavailable

ANSWER_MAX = 64 * 2**20
PANICS = {
    0x01: "an assertion failed",
    0x11: "an arithmetic overflow",
    0x12: "a division by zero",
    0x21: "a value outside its enumeration",
    0x31: "a pop from an empty array",
    0x32: "an index out of bounds",
    0x41: "too much memory",
}


class Refusal(ChainUnavailable):
    """A JSON-RPC error that is no revert: the node understood us and will not do it."""

    def __init__(self, address: str, method: str, code: int, message: str) -> None:
        self.rpc_code, self.said = code, message[:500]
        facts = {"address": address, "method": method, "cause": self.said, "rpc_code": code}
        super().__init__("The node at {address} refused {method}: {cause} ({rpc_code})", **facts)


class Provider(BaseProvider):
    """JSON-RPC over HTTP, a fresh connection a request; errors become ours before web3 sees them."""

    def __init__(self, parts: SplitResult, token: str | None, timeout_s: float) -> None:
        super().__init__()
        assert parts.hostname is not None
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port is None else f":{parts.port}"
        hidden = "/…" if parts.path.strip("/") or parts.query else ""
        self.masked = f"{parts.scheme}://{host}{port}{hidden}"
        self._is_tls, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._headers["Connection"] = "close"
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        elif parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()

    def is_connected(self, show_traceback: bool = False) -> bool:
        try:
            self.ask("eth_chainId", ())
        except ChainUnavailable:
            if show_traceback:
                raise
            return False
        return True

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        return {"jsonrpc": "2.0", "id": 0, "result": self.ask(method, params)}

    def ask(self, method: str, params: Sequence[Any]) -> Any:
        """The result of one request; raises ChainReverted, Refusal or ChainUnavailable."""
        asked = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        answer = self._post(json.dumps(asked, default=_jsonable).encode())
        if not isinstance(answer, dict) or not ("result" in answer or "error" in answer):
            raise self._unavailable("it does not speak JSON-RPC")
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        if not isinstance(error, dict):
            raise Refusal(self.masked, method, 0, str(error))
        code, message = error.get("code", 0), str(error.get("message", ""))
        if method in {"eth_call", "eth_estimateGas"} and (code == 3 or "revert" in message.lower()):
            raise reverted(_revert_data(error))
        raise Refusal(self.masked, method, code, message)

    def _post(self, body: bytes) -> Any:
        link: http.client.HTTPConnection
        if self._is_tls:
            context = ssl.create_default_context()
            link = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_s, context=context
            )
        else:
            link = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            link.request("POST", self._target, body, self._headers)
            response = link.getresponse()
            text = response.read(ANSWER_MAX + 1)
        except TimeoutError as error:
            raise self._unavailable(f"no answer in {self._timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error
        finally:
            link.close()
        if response.status in {401, 403}:
            message = "The chain node at {address} refuses our token (HTTP {status})."
            raise ChainUnavailable(message, address=self.masked, status=response.status)
        if len(text) > ANSWER_MAX:
            raise self._unavailable("the answer is too large")
        try:
            answer = orjson.loads(text)
        except ValueError as error:
            cause = "it does not speak JSON-RPC"
            if response.status != 200:
                cause = f"HTTP {response.status} {response.reason}"
            raise self._unavailable(cause) from error
        if response.status != 200 and not (isinstance(answer, dict) and "error" in answer):
            raise self._unavailable(f"HTTP {response.status} {response.reason}")
        return answer  # some nodes answer a JSON-RPC error with HTTP 400

    def _unavailable(self, cause: str) -> ChainUnavailable:
        return ChainUnavailable(
            "The chain node at {address} does not answer: {cause}. Start it with `shuzheng node`, or let"
            " CHAIN_RPC_URL name one that runs.",
            address=self.masked,
            cause=cause,
        )


def reverted(data: bytes) -> ChainReverted:
    """The error a contract reverted with: a custom error of ours, Error(string), Panic(uint256) or neither.

    The facts: `name`, and `args`, a dict by argument name with bytes as 0x strings. Of an unknown error
    `name` is its selector; of a revert without data it is empty.
    """
    selector, rest = data[:4], data[4:]
    known, args = _errors().get(selector), dict[str, Any]()
    if known is None:
        name, args = (to_hex(selector), {"data": to_hex(data)}) if data else ("", args)
    else:
        name, names, types = known
        try:
            values = Web3().codec.decode(types, rest)
        except Exception:  # eth_abi raises several kinds of its own
            args = {"data": to_hex(data)}
        else:
            args = {
                n or str(i): _plain(v) for i, (n, v) in enumerate(zip(names, values, strict=True))
            }
    text = ", ".join(f"{n} {v}" for n, v in args.items())
    if name == "Panic":
        text = PANICS.get(int(args.get("code", 0)), text)
    return ChainReverted("The contract refused: {name}({text}).", name=name, args=args, text=text)


@cache
def _errors() -> Mapping[bytes, tuple[str, list[str], list[str]]]:
    """Every custom error of our contracts by selector: name, argument names, argument types."""
    builtin = [
        {"name": "Error", "inputs": [{"name": "message", "type": "string"}]},
        {"name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    ]
    found = {}
    for part in builtin + [p for n in NAMES for p in artifact(n)["abi"] if p["type"] == "error"]:
        types = [collapse_if_tuple(i) for i in part["inputs"]]
        selector = keccak(text=f"{part['name']}({','.join(types)})")[:4]
        found[selector] = (part["name"], [i["name"] for i in part["inputs"]], types)
    return found


def _revert_data(error: Mapping[str, Any]) -> bytes:
    """The revert's bytes: in `data` itself, inside it (anvil), or in words around it (older nodes)."""
    held = re.search(r"0x([0-9a-fA-F]{2})*", json.dumps(error.get("data", "")))
    return to_bytes(held.group()) if held else b""


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return to_hex(value)
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def _jsonable(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return to_hex(bytes(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def to_number(given: Any) -> int:
    return given if isinstance(given, int) else int(str(given), 16)


def to_bytes(given: Any) -> bytes:
    return bytes.fromhex(str(given).removeprefix("0x"))


def to_hex(value: bytes) -> str:
    return "0x" + value.hex()
