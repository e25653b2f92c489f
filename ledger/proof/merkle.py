"""The Merkle tree of RFC 6962/9162 over SHA-256.

    leaf_hash(entry)        = SHA-256(0x00 ‖ entry)
    node_hash(left, right)  = SHA-256(0x01 ‖ left ‖ right)
    root([])                = SHA-256("")
    root(D[n])              = node_hash(root(D[0:k]), root(D[k:n])),  k = largest power of two < n

`leaf_index` is 0-based; `tree_size` counts leaves; a hash is 32 bytes.
"""

import hashlib
from collections.abc import Sequence

from ledger.errors import Invalid, ProofFailed


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry) (RFC 9162 §2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right) (RFC 9162 §2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over `leaf_hashes` (RFC 9162 §2.1.1); of none, SHA-256 of nothing."""
    if not leaf_hashes:
        return hashlib.sha256(b"").digest()
    level, sha256 = list(leaf_hashes), hashlib.sha256
    while len(level) > 1:
        # An odd last node moves up unchanged: this equals the RFC's split at the largest power of two.
        # `node_hash`, without a call a node.
        pairs = zip(level[::2], level[1::2], strict=False)
        paired = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        level = paired + level[-1:] if len(level) % 2 else paired
    return level[0]


def split(size: int) -> int:
    """The largest power of two smaller than `size`, for size ≥ 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root at `size` (RFC 9162 §2.1.3.1)."""
    _check_range(index, size, len(leaf_hashes))
    low, high = 0, size
    path: list[bytes] = []
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            path.append(root(leaf_hashes[middle:high]))
            high = middle
        else:
            path.append(root(leaf_hashes[low:middle]))
            low = middle
    return path[::-1]


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int, new_size: int) -> list[bytes]:
    """The hashes showing that the tree at `old_size` is a prefix of the one at `new_size`.

    Source: RFC 9162 §2.1.4.1. Equal sizes need no hash. Raises Invalid unless
    0 < old_size ≤ new_size ≤ number of leaves.
    """
    if not 0 < old_size <= new_size <= len(leaf_hashes):
        raise Invalid(
            "No consistency proof from {old_size} to {new_size}: sizes must rise from 1 to {count}.",
            old_size=old_size,
            new_size=new_size,
            count=len(leaf_hashes),
        )
    low, high = 0, new_size
    path: list[bytes] = []
    whole = True  # whether [low, high) starts at 0, so that the old root may stand for it
    while old_size != high:
        middle = low + split(high - low)
        if old_size <= middle:
            path.append(root(leaf_hashes[middle:high]))
            high = middle
        else:
            path.append(root(leaf_hashes[low:middle]))
            low, whole = middle, False
    if not whole:
        path.append(root(leaf_hashes[low:high]))
    return path[::-1]


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return silently when `proof` leads from the leaf to the root (RFC 9162 §2.1.3.2).

    Raises ledger.proof.ProofFailed otherwise; the fact `step` names where.
    """
    _check_hashes([leaf_hash, root, *proof])
    if not 0 <= index < size:
        raise ProofFailed(
            "Leaf {index} is not in a tree of {size}.", step="range", index=index, size=size
        )
    position, last = index, size - 1
    computed = leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofFailed("The inclusion proof has surplus hashes.", step="length")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofFailed("The inclusion proof lacks hashes.", step="length")
    if computed != root:
        raise ProofFailed("The inclusion proof leads to another root.", step="root")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return silently when the new tree extends the old one (RFC 9162 §2.1.4.2).

    Raises ledger.proof.ProofFailed otherwise; a proof from size 0 shows nothing and is refused.
    """
    _check_hashes([old_root, new_root, *proof])
    if not 0 < old_size <= new_size:
        raise ProofFailed(
            "No consistency from size {old_size} to {new_size}.",
            step="range",
            old_size=old_size,
            new_size=new_size,
        )
    if old_size == new_size:
        if proof:
            raise ProofFailed("Equal sizes need no hash.", step="length")
        if old_root != new_root:
            raise ProofFailed("One size, two roots: the history was rewritten.", step="root")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a power of two: the old root is itself the first node
        path.insert(0, old_root)
    if not path:
        raise ProofFailed("The consistency proof lacks hashes.", step="length")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofFailed("The consistency proof has surplus hashes.", step="length")
        if position & 1 or position == last:
            old_computed = node_hash(sibling, old_computed)
            new_computed = node_hash(sibling, new_computed)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_computed = node_hash(new_computed, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofFailed("The consistency proof lacks hashes.", step="length")
    if old_computed != old_root:
        raise ProofFailed("The consistency proof leads to another old root.", step="old_root")
    if new_computed != new_root:
        raise ProofFailed("The consistency proof leads to another new root.", step="new_root")


def _check_range(index: int, size: int, count: int) -> None:
    if not 0 <= index < size <= count:
        raise Invalid(
            "Leaf {index} is not in a tree of {size} (of {count} leaves).",
            index=index,
            size=size,
            count=count,
        )


def _check_hashes(hashes: Sequence[bytes]) -> None:
    for value in hashes:
        if len(value) != 32:
            raise ProofFailed(
                "A hash of {length} bytes stands where 32 are due.", step="hash", length=len(value)
            )
