"""The Merkle tree of RFC 9162 §2.1, transcribed word for word: the oracle of the tests.

Slow on purpose: every function is the recursion of the RFC over a list of leaf hashes, with no cache
and no path shared with the code under test. The second half reads the same recursions backwards: what
a given proof says, whoever made it.
"""

import hashlib


def leaf(entry: bytes) -> bytes:
    """HASH(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """HASH(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def largest_power_of_two_below(n: int) -> int:
    """k, with k < n <= 2k."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d: list[bytes]) -> bytes:
    """MTH(D_n), §2.1.1."""
    if not d:
        return hashlib.sha256(b"").digest()
    if len(d) == 1:
        return d[0]
    k = largest_power_of_two_below(len(d))
    return node(mth(d[:k]), mth(d[k:]))


def path(m: int, d: list[bytes]) -> list[bytes]:
    """PATH(m, D_n), §2.1.3.1: the inclusion proof of leaf m."""
    if len(d) == 1:
        return []
    k = largest_power_of_two_below(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: list[bytes]) -> list[bytes]:
    """PROOF(m, D_n), §2.1.4.1: the consistency proof from size m, 0 < m <= n."""
    return subproof(m, d, True)


def subproof(m: int, d: list[bytes], b: bool) -> list[bytes]:
    """SUBPROOF(m, D_n, b)."""
    if m == len(d):
        return [] if b else [mth(d)]
    k = largest_power_of_two_below(len(d))
    if m <= k:
        return [*subproof(m, d[:k], b), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


class MalformedError(Exception):
    """A proof has too few or too many hashes for its sizes."""


def root_from_path(m: int, n: int, leaf_hash: bytes, given: list[bytes]) -> bytes:
    """The root to which PATH(m, D_n) = given leads from a leaf."""
    if n == 1:
        if given:
            raise MalformedError
        return leaf_hash
    if not given:
        raise MalformedError
    k = largest_power_of_two_below(n)
    if m < k:
        return node(root_from_path(m, k, leaf_hash, given[:-1]), given[-1])
    return node(given[-1], root_from_path(m - k, n - k, leaf_hash, given[:-1]))


def roots_from_subproof(
    m: int, n: int, b: bool, old_root: bytes, given: list[bytes]
) -> tuple[bytes, bytes]:
    """The roots of D_m and D_n to which SUBPROOF(m, D_n, b) = given leads.

    The old root goes in because the proof leaves it out where D_m is itself a node of D_n.
    """
    if m == n:
        if len(given) != (0 if b else 1):
            raise MalformedError
        same = old_root if b else given[0]
        return same, same
    if not given:
        raise MalformedError
    k = largest_power_of_two_below(n)
    if m <= k:
        old, new = roots_from_subproof(m, k, b, old_root, given[:-1])
        return old, node(new, given[-1])
    old, new = roots_from_subproof(m - k, n - k, False, old_root, given[:-1])
    return node(given[-1], old), node(given[-1], new)


def is_included(leaf_hash: bytes, m: int, n: int, given: list[bytes], root: bytes) -> bool:
    """Whether a proof shows that a leaf stands at index m of a tree of size n."""
    try:
        return 0 <= m < n and root_from_path(m, n, leaf_hash, given) == root
    except MalformedError:
        return False


def is_consistent(m: int, n: int, old_root: bytes, new_root: bytes, given: list[bytes]) -> bool:
    """Whether a proof shows that a tree of size n extends one of size m."""
    try:
        return 0 < m <= n and roots_from_subproof(m, n, True, old_root, given) == (
            old_root,
            new_root,
        )
    except MalformedError:
        return False


def leaves(n: int, of: str = "log") -> list[bytes]:
    """Return the hashes of n different leaves."""
    return [leaf(f"{of} {i}".encode()) for i in range(n)]


def proof_length(m: int, n: int, b: bool = True) -> int:
    """Return the number of hashes in SUBPROOF(m, D[n], b)."""
    if m == n:
        return 0 if b else 1
    k = largest_power_of_two_below(n)
    return 1 + (proof_length(m, k, b) if m <= k else proof_length(m - k, n - k, False))


def invented(m: int, n: int) -> tuple[bytes, bytes, list[bytes]]:
    """Return (old root, new root, proof) of some log that grows from size m to size n.

    Its leaves are unknown: the hashes of the proof are invented, and the roots follow from them.
    """
    given = [leaf(f"invented {i}".encode()) for i in range(proof_length(m, n))]
    old, new = roots_from_subproof(m, n, True, leaf(b"invented old root"), given)
    return old, new, given
