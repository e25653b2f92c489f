"""A payee's proof checked by a stranger: `python stranger_line.py line.json trust.json [node's address]`.

Nothing of ours and nothing but the standard library: written after docs/verifying.md alone, to show that
it says enough. Prints what holds; exit code 1 and a word where something does not.
"""

import hashlib
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
STATES = ("unknown", "proposed", "approved", "withdrawn", "reversed")


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def base58(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


# Ed25519 (RFC 8032 §5.1), points as x, y.


def added(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    cross = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + cross, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - cross, -1, P) % P
    return x, y


def times(count: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    while count:
        if count & 1:
            total = added(total, point)
        point, count = added(point, point), count >> 1
    return total


def point_of(data: bytes) -> tuple[int, int]:
    packed = int.from_bytes(data, "little")
    odd, y = packed >> 255, packed & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        sys.exit("signature: no point of the curve")
    return (P - x if x & 1 != odd else x), y


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    hashed = hashlib.sha512(r + public + message).digest()
    k = int.from_bytes(hashed, "little") % ORDER
    right = added(point_of(r), times(k, point_of(public)))
    return len(signature) == 64 and s < ORDER and times(s, BASE) == right


def root_of(leaf: bytes, index: int, count: int, path: list[bytes]) -> bytes:
    """RFC 9162 §2.1.3.2."""
    number, last, found = index, count - 1, leaf
    for step in path:
        if last == 0:
            sys.exit("share: the way is too long")
        if number & 1 or number == last:
            found = sha256(b"\x01" + step + found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + step)
        number, last = number >> 1, last >> 1
    if last:
        sys.exit("share: the way is too short")
    return found


def check_signature(document: dict[str, Any], trust: dict[str, Any]) -> None:
    options = dict(document["proof"])
    value = options.pop("proofValue")
    unsigned = {name: part for name, part in document.items() if name != "proof"}
    issuer, at = document["issuer"], document["issued_at"]
    material = base58(issuer.removeprefix("did:key:z"))
    if material[:2] != b"\xed\x01" or options["verificationMethod"] != f"{issuer}#{issuer[8:]}":
        sys.exit("signature: no Ed25519 key of the issuer")
    if options["cryptosuite"] != "eddsa-jcs-2022" or options["created"] != at:
        sys.exit("signature: another kind, or another time")
    message = sha256(canonical(options)) + sha256(canonical(unsigned))
    if not is_signed(material[2:], message, base58(value[1:])):
        sys.exit("signature: wrong")
    known = [
        key
        for key in trust["credential_keys"]
        if key["did"] == issuer
        and key["valid_from"] <= at
        and (key["valid_until"] is None or at <= key["valid_until"])
    ]
    if not known or document["log"] != trust["log"]["origin"]:
        sys.exit("trust: another registry, or another time of its key")


def check_chain(document: dict[str, Any], trust: dict[str, Any]) -> str:
    told, known = document["chain"], trust["chain"]
    book = known["contracts"]["RevenueBook"].lower()
    if told != {
        "chain_id": known["chain_id"],
        "genesis": known["genesis"],
        "revenue_book": book,
    }:
        sys.exit("trust: another chain")
    return str(book)


def ask(node: str, method: str, *given: Any) -> Any:
    body = json.dumps({"id": 1, "jsonrpc": "2.0", "method": method, "params": given}).encode()
    request = urllib.request.Request(node, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.load(answer)["result"]


def words(node: str, contract: str, data: str) -> list[int]:
    found = bytes.fromhex(ask(node, "eth_call", {"to": contract, "data": data}, "latest")[2:])
    return [int.from_bytes(found[at : at + 32], "big") for at in range(0, len(found), 32)]


def check_state(document: dict[str, Any], trust: dict[str, Any], book: str, node: str) -> None:
    chain = int(ask(node, "eth_chainId"), 16)
    genesis = ask(node, "eth_getBlockByNumber", "0x0", False)["hash"]
    if (chain, genesis) != (trust["chain"]["chain_id"], trust["chain"]["genesis"]):
        sys.exit("chain: the node serves another one")
    key, digest = document["key"][2:], document["digest"].removeprefix("sha256:")
    matches, state, _ = words(node, book, f"0x3fb82028{key}{digest}{document['line_root']}")
    _, _, _, due, signed, takes_back, _, _ = words(node, book, f"0x8eaa6ac0{key}")
    if not matches or STATES[state] != "approved" or takes_back:
        sys.exit(f"state: {STATES[state]}, or of other content, or taking another one back")
    sys.stdout.write(f"state: approved, {signed} of {due} checkers signed\n")


def main(document_path: str, trust_path: str, node: str = "") -> None:
    data = Path(document_path).read_bytes()
    document, trust = json.loads(data), json.loads(Path(trust_path).read_bytes())
    if canonical(document) != data:
        sys.exit("form: not canonical")
    check_signature(document, trust)
    book = check_chain(document, trust)
    sys.stdout.write(f"signature: {document['issued_at']}, statement {document['statement']}\n")
    for placed in document["lines"]:
        leaf = sha256(b"\x00" + bytes.fromhex(placed["salt"]) + canonical(placed["line"]))
        path = [bytes.fromhex(step) for step in placed["inclusion"]]
        root = root_of(leaf, placed["index"], document["line_count"], path)
        if root.hex() != document["line_root"]:
            sys.exit(f"share: line {placed['index'] + 1} is not in the statement")
        line = placed["line"]
        sys.stdout.write(
            f"share: line {placed['index'] + 1}, {line['party']}, {line['amount_fen']} fen\n"
        )
    if node:
        check_state(document, trust, book, node)


if __name__ == "__main__":
    main(*sys.argv[1:])
