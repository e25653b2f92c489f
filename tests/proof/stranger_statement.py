"""A whole statement checked by a stranger: `python stranger_statement.py statement.json`.

Nothing of ours and nothing but the standard library: written after docs/verifying.md alone. Prints the
digest and the root, to be compared with a payee's proof or the contract; exit code 1 and a word where
something does not fit together.
"""

import hashlib
import json
import sys
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

SAME = ("amount_fen", "deficits_after", "deficits_before", "derivation", "facts", "from_on")
SAME += ("line_salts", "lines", "number", "salt", "until_on")


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:]))


def digest(shown: dict[str, Any]) -> bytes:
    told = {name: shown[name] for name in SAME}
    told |= {"agreement": shown["agreement_id"], "scheme": shown["scheme_id"]}
    told["covers"] = shown["covers"]
    if shown["reverses"] is not None:
        told["reverses"] = shown["reverses"]
    return sha256(canonical(told))


def paid(dues: list[Fraction], parts: list[Fraction]) -> list[int]:
    """Whole fen by what is due; what the floors leave goes to whose next fen falls due first."""
    amount = sum(parts)
    given = [max(0, floor(due)) for due in dues]
    while sum(given) < amount:
        waiting = [
            (ceil((given[k] + 1 - due) / (parts[k] / amount)), k)
            for k, due in enumerate(dues)
            if parts[k] and given[k] < ceil(due)
        ]
        given[min(waiting)[1]] += 1
    return given


def check_shares(shown: dict[str, Any]) -> None:
    """The steps `due_k` are what was carried and the parts; `paid_k` follows by the rule alone."""
    values = {one["symbol"]: Fraction(one["value"]) for one in shown["derivation"]["steps"]}
    numbers = sorted(int(name[4:]) for name in values if name.startswith("due_"))
    dues = [values[f"due_{k}"] for k in numbers]
    parts = [due - values[f"d_{k}"] for k, due in zip(numbers, dues, strict=True)]
    if paid(dues, parts) != [values[f"paid_{k}"] for k in numbers]:
        sys.exit("shares: other fen than the rule gives")
    lines: dict[str, int] = {}
    for line in shown["lines"]:
        lines[line["symbol"]] = lines.get(line["symbol"], 0) + line["amount_fen"]
    if any(lines.get(f"paid_{k}", 0) != values[f"paid_{k}"] for k in numbers):
        sys.exit("lines: another amount than the step")


def main(path: str) -> None:
    shown = json.loads(Path(path).read_bytes())
    if sum(line["amount_fen"] for line in shown["lines"]) != shown["amount_fen"]:
        sys.exit("lines: they do not come to the amount")
    check_shares(shown)
    pairs = zip(shown["line_salts"], shown["lines"], strict=True)
    leaves = [sha256(b"\x00" + bytes.fromhex(salt) + canonical(line)) for salt, line in pairs]
    if root(leaves).hex() != shown["line_root"]:
        sys.exit("root: not that of the lines")
    if "sha256:" + digest(shown).hex() != shown["digest"]:
        sys.exit("digest: not that of the content")
    sys.stdout.write(f"{shown['number']} {shown['digest']} {shown['line_root']}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
