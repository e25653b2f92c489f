"""Questions to the two proof checks of CheckpointAnchor, and three answers: contract, Python, RFC.

A question is a proof, honest or mutated, with all that stands around it. The oracle is the recursion
of the RFC (`tests/proof/rfc9162.py`); the product's own Python (`ledger.proof.merkle`) and the contract
must both say what it says, and name the same fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from ledger.proof import ProofFailed, merkle
from tests.chain.revm import ADMIN, Chain, actor
from tests.chain.stage import h
from tests.proof import rfc9162

LARGEST = 2**64 - 1
STRANGE = h("surplus")
ANCHORER = actor("anchorer")
SIZES_MAX = 64
LEAVES = rfc9162.leaves(SIZES_MAX + 1)


class Growth(NamedTuple):
    """Does a log of `old` leaves, anchored with `old_root`, grow to `new` leaves?"""

    old: int
    old_root: bytes
    new: int
    new_root: bytes
    proof: list[bytes]


class Membership(NamedTuple):
    """Does a leaf stand at an index of the tree of `size` leaves, anchored with `root`?"""

    size: int
    root: bytes
    index: int
    leaf_hash: bytes
    proof: list[bytes]


Question = Growth | Membership


@cache
def root(size: int) -> bytes:
    """Return the root of the first leaves."""
    return rfc9162.mth(LEAVES[:size])


def mutations(proof: list[bytes]) -> Iterator[list[bytes]]:
    """Yield proofs that differ from the given one: an element dropped, added, swapped, flipped."""
    n = len(proof)
    for i in range(n):
        yield proof[:i] + proof[i + 1 :]
        for bit in (0, 255, proof[i][0]):
            flipped = int.from_bytes(proof[i]) ^ (1 << bit)
            yield [*proof[:i], flipped.to_bytes(32), *proof[i + 1 :]]
    for i in range(n + 1):
        yield [*proof[:i], STRANGE, *proof[i:]]
        yield [*proof[:i], bytes(32), *proof[i:]]
    for i in range(n):
        yield [*proof[: i + 1], proof[i], *proof[i + 1 :]]
        for j in range(i + 1, n):
            swapped = [*proof]
            swapped[i], swapped[j] = swapped[j], swapped[i]
            if swapped != proof:
                yield swapped
    if n > 1:
        yield []
        yield proof[::-1]
    yield [*proof, *proof] if n else [STRANGE] * 2
    yield [*proof, *[STRANGE] * (70 - n)]


def honest_growths(sizes: int) -> Iterator[Growth]:
    """Yield every honest pair of sizes."""
    for old in range(1, sizes):
        for new in range(old + 1, sizes + 1):
            proof = rfc9162.proof(old, LEAVES[:new])
            yield Growth(old, root(old), new, root(new), proof)


def mutated_growths(honest: Growth) -> Iterator[Growth]:
    """Yield questions that differ from an honest one; also by a liar who chooses both roots."""
    old, old_root, new, new_root, proof = honest
    for wrong in mutations(proof):
        yield honest._replace(proof=wrong)
    for size in {*range(SIZES_MAX + 2), 2 * new, LARGEST} - {new}:
        yield honest._replace(new=size)
    for other in {old - 1, old + 1} - {0, new}:
        yield honest._replace(proof=rfc9162.proof(other, LEAVES[:new]))
    yield honest._replace(new_root=root(new - 1))
    for path in (proof, []):
        yield honest._replace(new_root=old_root, proof=path)
        yield honest._replace(new=old, new_root=old_root, proof=path)
    yield honest._replace(new_root=rfc9162.node(new_root, STRANGE), proof=[*proof, STRANGE])
    # a liar anchored the root that a careless check would compute from a surplus hash
    lie = rfc9162.node(STRANGE, old_root)
    yield Growth(old, lie, new, rfc9162.node(STRANGE, new_root), [*proof, STRANGE])
    yield Growth(old, lie, new, new_root, proof)
    yield Growth(old, new_root, new, old_root, proof)


def honest_memberships(sizes: int) -> Iterator[Membership]:
    """Yield every leaf of every size."""
    for size in range(1, sizes + 1):
        for index in range(size):
            path = rfc9162.path(index, LEAVES[:size])
            yield Membership(size, root(size), index, LEAVES[index], path)


def mutated_memberships(honest: Membership) -> Iterator[Membership]:
    """Yield questions that differ from an honest one; also by a liar who chooses the root."""
    size, its_root, index, _, path = honest
    for wrong in mutations(path):
        yield honest._replace(proof=wrong)
    for other in {*range(size + 2), LARGEST} - {index}:
        yield honest._replace(index=other)
    yield honest._replace(leaf_hash=LEAVES[index - 1])
    yield honest._replace(leaf_hash=its_root, proof=[])
    # the same leaf and proof under another size that has this root
    for other in {size - 1, size + 1, 2 * size} - {0}:
        yield honest._replace(size=other)
    for lie in (rfc9162.node(STRANGE, its_root), rfc9162.node(its_root, STRANGE)):
        yield honest._replace(root=lie, proof=[*path, STRANGE])
    if path:  # a proof that ends below the root
        k = rfc9162.largest_power_of_two_below(size)
        below = LEAVES[:k] if index < k else LEAVES[k:size]
        yield honest._replace(root=rfc9162.mth(below), proof=path[:-1])


def recursion_answers(question: Question) -> bool:
    """Return whether the recursion of the RFC accepts."""
    if isinstance(question, Growth):
        old, old_root, new, new_root, proof = question
        return old < new and rfc9162.is_consistent(old, new, old_root, new_root, proof)
    size, its_root, index, leaf, path = question
    return rfc9162.is_included(leaf, index, size, path, its_root)


def python_answers(question: Question) -> str:
    """Return the step at which the product's Python refuses, "" when it accepts."""
    try:
        if isinstance(question, Growth):
            old, old_root, new, new_root, proof = question
            if old == new:
                return "range"  # Python accepts a tree as its own successor; an anchor must grow
            merkle.verify_consistency(old, new, old_root, new_root, proof)
        else:
            size, its_root, index, leaf, path = question
            merkle.verify_inclusion(leaf, index, size, path, its_root)
    except ProofFailed as failed:
        return str(failed.facts["step"])
    return ""


STEPS = {
    "SizeNotLarger": "range",
    "ProofTooShort": "length",
    "ProofTooLong": "length",
    "OldRootMismatch": "old_root",
    "NewRootMismatch": "new_root",
}


class Anchor:
    """A CheckpointAnchor that is put before each question as if nothing had been asked before."""

    def __init__(self, chain: Chain | None = None) -> None:
        self.chain = chain or Chain()
        self.contract = self.chain.deploy("CheckpointAnchor", ADMIN, ANCHORER)
        self._fresh = self.chain.evm.snapshot()
        self._anchored: tuple[int, bytes] | None = None

    def stands_at(self, size: int, its_root: bytes) -> None:
        """Make (size, root) the only anchored checkpoint."""
        if self._anchored == (size, its_root):
            return
        if self._anchored:
            self.chain.evm.revert(self._fresh)
        self._fresh = self.chain.evm.snapshot()
        self.contract.do(ANCHORER, "anchor", size, its_root, [])
        self._anchored = (size, its_root)

    def answers(self, question: Question) -> str:
        """Return the step at which the contract refuses, "" when it accepts."""
        if isinstance(question, Growth):
            old, old_root, new, new_root, proof = question
            self.stands_at(old, old_root)
            refused = self.contract.refusal(ANCHORER, "anchor", new, new_root, proof)
            return STEPS.get(refused.name, refused.name) if refused else ""
        size, its_root, index, leaf, path = question
        self.stands_at(size, its_root)
        return "" if self.contract.ask("includes", size, index, leaf, path) else "refused"


def disagreement(anchor: Anchor, question: Question) -> str | None:
    """Return in words how contract, Python and recursion differ over a question, if they do."""
    said, python = anchor.answers(question), python_answers(question)
    holds = recursion_answers(question)
    if isinstance(question, Membership):
        python = python and "refused"
    if said == python and (said == "") == holds:
        return None
    what = " ".join(str(v) for v in question if isinstance(v, int))
    return f"{type(question).__name__} {what}: contract {said!r}, Python {python!r}, RFC {holds}"


def questions(honest: Iterable[Question], every: int = 1) -> Iterator[Question]:
    """Yield each honest question and every n-th of its mutations, another n-th for each."""
    for turn, question in enumerate(honest):
        yield question
        mutated: Iterator[Question] = (
            mutated_growths(question)
            if isinstance(question, Growth)
            else mutated_memberships(question)
        )
        for i, wrong in enumerate(mutated):
            if (i + turn) % every == 0:
                yield wrong


def compare(honest: Iterable[Question], every: int = 1) -> int:
    """Ask all three; fail at the first difference; return the number of questions."""
    anchor = Anchor()
    count = 0
    for question in questions(honest, every):
        assert (found := disagreement(anchor, question)) is None, found
        count += 1
    return count
