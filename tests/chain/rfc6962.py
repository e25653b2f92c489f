"""The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1), transcribed word for word: the tests' oracle.

Slow on purpose: every function is the recursion of the RFC over a list of leaf hashes, with no
cache and no shared path with the code under test.
"""

from __future__ import annotations

import hashlib


def leaf(entry: bytes) -> bytes:
    """Return HASH(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return HASH(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(n: int) -> int:
    """Return k, the largest power of two smaller than n (k < n <= 2k)."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d: list[bytes]) -> bytes:
    """Return MTH(D[n]) of leaf hashes, n > 0."""
    n = len(d)
    if n == 1:
        return d[0]
    k = split(n)
    return node(mth(d[:k]), mth(d[k:]))


def path(m: int, d: list[bytes]) -> list[bytes]:
    """Return PATH(m, D[n]), the inclusion proof of leaf m."""
    n = len(d)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: list[bytes]) -> list[bytes]:
    """Return PROOF(m, D[n]), the consistency proof from size m to size n, 0 < m < n."""
    return subproof(m, d, True)


def subproof(m: int, d: list[bytes], b: bool) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b)."""
    n = len(d)
    if m == n:
        return [] if b else [mth(d)]
    k = split(n)
    if m <= k:
        return [*subproof(m, d[:k], b), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


def leaves(n: int, of: str = "log") -> list[bytes]:
    """Return the hashes of n different leaves."""
    return [leaf(f"{of} {i}".encode()) for i in range(n)]


# The same recursions, read backwards: what a proof says, whoever made it.


class Malformed(Exception):
    """A proof has too few or too many elements for the sizes."""


def root_from_path(m: int, n: int, leaf_hash: bytes, given: list[bytes]) -> bytes:
    """Return the root to which PATH(m, D[n]) = given leads from a leaf, 0 <= m < n."""
    if n == 1:
        if given:
            raise Malformed
        return leaf_hash
    if not given:
        raise Malformed
    k = split(n)
    if m < k:
        return node(root_from_path(m, k, leaf_hash, given[:-1]), given[-1])
    return node(given[-1], root_from_path(m - k, n - k, leaf_hash, given[:-1]))


def roots_from_proof(m: int, n: int, old_root: bytes, given: list[bytes]) -> tuple[bytes, bytes]:
    """Return the (old, new) roots to which PROOF(m, D[n]) = given leads, 0 < m < n.

    The old root goes in because the proof leaves it out where D[m] is itself a node of D[n].
    """
    return roots_from_subproof(m, n, True, old_root, given)


def roots_from_subproof(
    m: int, n: int, b: bool, old_root: bytes, given: list[bytes]
) -> tuple[bytes, bytes]:
    """Return the roots of D[m] and D[n] to which SUBPROOF(m, D[n], b) = given leads."""
    if m == n:
        if len(given) != (0 if b else 1):
            raise Malformed
        same = old_root if b else given[0]
        return same, same
    if not given:
        raise Malformed
    k = split(n)
    if m <= k:
        old, new = roots_from_subproof(m, k, b, old_root, given[:-1])
        return old, node(new, given[-1])
    old, new = roots_from_subproof(m - k, n - k, False, old_root, given[:-1])
    return node(given[-1], old), node(given[-1], new)


def is_consistent(m: int, n: int, old_root: bytes, new_root: bytes, given: list[bytes]) -> bool:
    """Return whether a proof shows that a tree of size n extends one of size m, 0 < m < n."""
    try:
        return roots_from_proof(m, n, old_root, given) == (old_root, new_root)
    except Malformed:
        return False


def is_included(m: int, n: int, leaf_hash: bytes, root: bytes, given: list[bytes]) -> bool:
    """Return whether a proof shows that a leaf stands at index m of a tree of size n."""
    try:
        return m < n and root_from_path(m, n, leaf_hash, given) == root
    except Malformed:
        return False


def proof_length(m: int, n: int, b: bool = True) -> int:
    """Return the number of hashes in SUBPROOF(m, D[n], b)."""
    if m == n:
        return 0 if b else 1
    k = split(n)
    return 1 + (proof_length(m, k, b) if m <= k else proof_length(m - k, n - k, False))


def invented(m: int, n: int) -> tuple[bytes, bytes, list[bytes]]:
    """Return (old root, new root, proof) of some log that grows from size m to size n.

    Its leaves are unknown: the hashes of the proof are invented, and the roots follow from them.
    """
    given = [leaf(f"invented {i}".encode()) for i in range(proof_length(m, n))]
    old, new = roots_from_proof(m, n, leaf(b"invented old root"), given)
    return old, new, given
