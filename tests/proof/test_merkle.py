"""The tree against the public vectors and against the RFC's own recursion, honest and mutated."""

import base64
import inspect
import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid
from ledger.proof import ProofFailed, merkle
from tests.proof import rfc9162

VECTORS = Path(__file__).parents[1] / "vectors" / "transparency-dev-merkle"
SIZE_MAX = 64
STRANGE = rfc9162.leaf(b"strange")
LEAVES = [rfc9162.leaf(f"entry {i}".encode()) for i in range(SIZE_MAX + 1)]
ROOTS = [rfc9162.mth(LEAVES[:size]) for size in range(SIZE_MAX + 2)]


class Inclusion(NamedTuple):
    """One question to the verifier of inclusion proofs."""

    leaf_hash: bytes
    index: int
    size: int
    proof: list[bytes]
    root: bytes

    def holds(self) -> bool:
        return rfc9162.is_included(self.leaf_hash, self.index, self.size, self.proof, self.root)


class Consistency(NamedTuple):
    """One question to the verifier of consistency proofs."""

    old_size: int
    new_size: int
    old_root: bytes
    new_root: bytes
    proof: list[bytes]

    def holds(self) -> bool:
        return rfc9162.is_consistent(
            self.old_size, self.new_size, self.old_root, self.new_root, self.proof
        )


Case = Inclusion | Consistency


def accepts(case: Case, module: Any = merkle) -> bool:
    """Whether the verifier accepts; anything else than silence or ProofFailed is an error."""
    verify: Callable[..., None] = (
        module.verify_inclusion if isinstance(case, Inclusion) else module.verify_consistency
    )
    try:
        verify(*case)
    except ProofFailed:
        return False
    return True


def unpack(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def public_cases() -> Iterator[tuple[str, Case, bool]]:
    """The cases of transparency-dev: file, question, whether upstream accepts."""
    for v in json.loads((VECTORS / "inclusion.json").read_text()):
        proof = [unpack(h) for h in v["proof"] or []]
        case: Case = Inclusion(
            unpack(v["leafHash"]), v["leafIdx"], v["treeSize"], proof, unpack(v["root"])
        )
        yield v["file"], case, not v["wantErr"]
    for v in json.loads((VECTORS / "consistency.json").read_text()):
        proof = [unpack(h) for h in v["proof"] or []]
        case = Consistency(v["size1"], v["size2"], unpack(v["root1"]), unpack(v["root2"]), proof)
        yield v["file"], case, not v["wantErr"]


def hashes_of(case: Case) -> list[bytes]:
    return [value for value in case if isinstance(value, bytes)] + case.proof


PUBLIC = list(public_cases())
# the one on which we differ: two equal roots of 12 bytes at size 1
SHORT_ROOTS = "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"


@pytest.mark.parametrize(("case", "good"), [c[1:] for c in PUBLIC], ids=[c[0] for c in PUBLIC])
def test_the_public_vectors_are_judged_as_upstream_judges(case: Case, good: bool) -> None:
    whole = all(len(value) == 32 for value in hashes_of(case))
    assert accepts(case) == (good and whole)


def test_the_public_vectors_are_as_many_as_we_think() -> None:
    odd = [(name, good) for name, case, good in PUBLIC if {len(h) for h in hashes_of(case)} != {32}]
    assert len(PUBLIC) == 196
    assert sum(good for _, _, good in PUBLIC) == 12
    assert len(odd) == 26 + 27
    assert [name for name, good in odd if good] == [SHORT_ROOTS]


def changed_proofs(proof: list[bytes]) -> Iterator[list[bytes]]:
    """The proof with a hash dropped, added, doubled or swapped with its neighbour; or one bit flipped."""
    for i in range(len(proof)):
        yield proof[:i] + proof[i + 1 :]
        yield [*proof[:i], flipped(proof[i], 8 * i + 3), *proof[i + 1 :]]
        yield [*proof[:i], proof[i], *proof[i:]]
        if i + 1 < len(proof):
            yield [*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]]
    yield [STRANGE, *proof]
    yield [*proof, STRANGE]
    if proof:
        yield []


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8 % len(value)] ^= 1 << bit % 8
    return bytes(changed)


def inclusion_cases(size: int) -> Iterator[Case]:
    """Every leaf of a tree, honest first, then mutated, also by a liar who chooses the root."""
    for index in range(size):
        honest = Inclusion(
            LEAVES[index], index, size, rfc9162.path(index, LEAVES[:size]), ROOTS[size]
        )
        yield honest
        for proof in changed_proofs(honest.proof):
            yield honest._replace(proof=proof)
        for other in {index - 1, index + 1, index ^ 1, index ^ 2, size - 1, size, 0} - {index}:
            yield honest._replace(index=other)
        for other in {size - 1, size + 1, 2 * size, index + 1} - {size}:
            yield honest._replace(size=other)
        yield honest._replace(leaf_hash=flipped(honest.leaf_hash, index))
        yield honest._replace(root=flipped(honest.root, index))
        # surplus hashes under the very root that a careless verifier would compute
        for root in (
            rfc9162.node(STRANGE, honest.root),
            rfc9162.node(honest.root, STRANGE),
        ):
            yield honest._replace(proof=[*honest.proof, STRANGE], root=root)
        # a proof that ends below the root: the subtree's own root stands for the whole tree's
        if honest.proof:
            below = Inclusion(LEAVES[index], index, size, honest.proof[:-1], ROOTS[size])
            k = rfc9162.largest_power_of_two_below(size)
            low, high = (0, k) if index < k else (k, size)
            yield below._replace(root=rfc9162.mth(LEAVES[low:high]))


def consistency_cases(new: int) -> Iterator[Case]:
    """Every smaller size of a tree, honest first, then mutated, also by a liar who chooses the roots."""
    for old in range(1, new + 1):
        honest = Consistency(old, new, ROOTS[old], ROOTS[new], rfc9162.proof(old, LEAVES[:new]))
        yield honest
        for proof in changed_proofs(honest.proof):
            yield honest._replace(proof=proof)
        for size in {old - 1, old + 1, 2 * old, new + 1} - {old}:
            yield honest._replace(old_size=size)
        for size in {new - 1, new + 1, 2 * new, old, old - 1} - {new}:
            yield honest._replace(new_size=size)
        yield honest._replace(old_root=flipped(honest.old_root, new))
        yield honest._replace(new_root=flipped(honest.new_root, old))
        yield honest._replace(old_root=honest.new_root, new_root=honest.old_root)
        yield honest._replace(
            old_root=rfc9162.node(STRANGE, honest.old_root),
            new_root=rfc9162.node(STRANGE, honest.new_root),
            proof=[*honest.proof, STRANGE],
        )
        yield honest._replace(
            new_root=rfc9162.node(honest.new_root, STRANGE), proof=[*honest.proof, STRANGE]
        )
        # a history that shrinks, with the one root for both sizes
        yield Consistency(new, old, ROOTS[new], ROOTS[new], [])
        yield Consistency(new, old, ROOTS[old], ROOTS[old], honest.proof)


def cases(sizes: range) -> Iterator[Case]:
    for size in sizes:
        yield from inclusion_cases(size)
        yield from consistency_cases(size)


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_every_proof_of_a_tree_is_judged_as_the_recursion_judges(size: int) -> None:
    for case in cases(range(size, size + 1)):
        assert accepts(case) == case.holds(), case


@pytest.mark.parametrize("size", range(1, SIZE_MAX + 1))
def test_every_proof_we_make_is_the_recursions(size: int) -> None:
    leaves = LEAVES[:size]
    assert merkle.root(leaves) == ROOTS[size]
    for index in range(size):
        assert merkle.inclusion_proof(LEAVES, index, size) == rfc9162.path(index, leaves)
    for old in range(1, size + 1):
        assert merkle.consistency_proof(LEAVES, old, size) == rfc9162.proof(old, leaves)


def test_the_empty_tree_has_the_root_of_nothing() -> None:
    assert merkle.root([]) == rfc9162.mth([]) == ROOTS[0]
    assert not accepts(Consistency(0, 1, ROOTS[0], ROOTS[1], []))
    assert not accepts(Consistency(0, 0, ROOTS[0], ROOTS[0], []))
    assert not accepts(Inclusion(LEAVES[0], 0, 0, [], ROOTS[0]))


def test_leaves_and_nodes_have_separate_domains() -> None:
    assert merkle.leaf_hash(b"entry 0") == LEAVES[0]
    assert merkle.node_hash(LEAVES[0], LEAVES[1]) == ROOTS[2]
    assert merkle.leaf_hash(LEAVES[0] + LEAVES[1]) != ROOTS[2]


@pytest.mark.parametrize("arguments", [(-1, 3), (3, 3), (0, 0), (0, 66), (70, 71)])
def test_no_inclusion_proof_is_made_outside_the_tree(arguments: tuple[int, int]) -> None:
    with pytest.raises(Invalid):
        merkle.inclusion_proof(LEAVES, *arguments)


@pytest.mark.parametrize("arguments", [(0, 3), (-1, 3), (4, 3), (1, 66), (0, 0)])
def test_no_consistency_proof_is_made_from_nothing_or_backwards(arguments: tuple[int, int]) -> None:
    with pytest.raises(Invalid):
        merkle.consistency_proof(LEAVES, *arguments)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (5, 7), (20, 37), (63, 64), (64, 65)])
def test_no_single_bit_of_an_inclusion_proof_can_be_flipped(index: int, size: int) -> None:
    honest = Inclusion(
        LEAVES[index], index, size, merkle.inclusion_proof(LEAVES, index, size), ROOTS[size]
    )
    assert accepts(honest)
    for bit in range(256):
        assert not accepts(honest._replace(root=flipped(honest.root, bit)))
        assert not accepts(honest._replace(leaf_hash=flipped(honest.leaf_hash, bit)))
        for i, value in enumerate(honest.proof):
            proof = [*honest.proof[:i], flipped(value, bit), *honest.proof[i + 1 :]]
            assert not accepts(honest._replace(proof=proof))


@pytest.mark.parametrize(("old", "new"), [(1, 2), (4, 7), (6, 11), (32, 64), (63, 65)])
def test_no_single_bit_of_a_consistency_proof_can_be_flipped(old: int, new: int) -> None:
    honest = Consistency(
        old, new, ROOTS[old], ROOTS[new], merkle.consistency_proof(LEAVES, old, new)
    )
    assert accepts(honest)
    for bit in range(256):
        assert not accepts(honest._replace(old_root=flipped(honest.old_root, bit)))
        assert not accepts(honest._replace(new_root=flipped(honest.new_root, bit)))
        for i, value in enumerate(honest.proof):
            proof = [*honest.proof[:i], flipped(value, bit), *honest.proof[i + 1 :]]
            assert not accepts(honest._replace(proof=proof))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_a_hash_of_another_length_is_refused_wherever_it_stands(length: int) -> None:
    odd = bytes(length)
    inclusion = Inclusion(
        LEAVES[2], 2, 5, merkle.inclusion_proof(LEAVES, 2, 5), merkle.root(LEAVES[:5])
    )
    consistency = Consistency(3, 5, ROOTS[3], ROOTS[5], merkle.consistency_proof(LEAVES, 3, 5))
    for case in (inclusion, consistency):
        for name, value in case._asdict().items():
            if isinstance(value, bytes):
                assert not accepts(case._replace(**{name: odd}))
        for i in range(len(case.proof)):
            proof = [*case.proof[:i], odd, *case.proof[i + 1 :]]
            assert not accepts(case._replace(proof=proof))


def test_two_trees_of_one_size_cannot_both_be_right() -> None:
    assert not accepts(Consistency(5, 5, ROOTS[5], ROOTS[6], []))
    assert not accepts(Consistency(5, 5, ROOTS[5], ROOTS[5], [STRANGE]))


@given(st.integers(1, 400), st.data())
def test_proofs_hold_in_trees_of_any_size(size: int, data: Any) -> None:
    leaves = [rfc9162.leaf(i.to_bytes(4)) for i in range(size)]
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root = rfc9162.mth(leaves)
    assert merkle.root(leaves) == root
    merkle.verify_inclusion(
        leaves[index], index, size, merkle.inclusion_proof(leaves, index, size), root
    )
    merkle.verify_consistency(
        old, size, rfc9162.mth(leaves[:old]), root, merkle.consistency_proof(leaves, old, size)
    )


@given(
    st.integers(-2, 70),
    st.integers(-2, 70),
    st.lists(st.sampled_from(LEAVES[:4] + ROOTS[:9]), max_size=8),
)
def test_a_proof_put_together_at_random_is_judged_as_the_recursion_judges(
    small: int, large: int, proof: list[bytes]
) -> None:
    inclusion = Inclusion(LEAVES[0], small, large, proof, ROOTS[2])
    assert accepts(inclusion) == inclusion.holds()
    consistency = Consistency(small, large, ROOTS[4], ROOTS[8], proof)
    assert accepts(consistency) == consistency.holds()


@given(st.integers(1, 2**62), st.integers(0, 2**62))
def test_the_length_of_a_proof_is_fixed_by_index_and_size(size: int, index: int) -> None:
    """No list of hashes is long enough to be tried: wrong lengths are refused without a root."""
    for length in (0, 70):
        case = Inclusion(LEAVES[0], index, size, [STRANGE] * length, LEAVES[0])
        assert accepts(case) == (size == 1 and index == 0 and length == 0)


# Faults that a verifier may have. Each stands in a copy of the source; the cases above must see it.

RANGE = "    if not 0 < old_size <= new_size:\n"
BRANCH = "        if position & 1 or position == last:\n"
SHIFT = (
    "            while not position & 1 and position:\n"
    "                position >>= 1\n"
    "                last >>= 1\n"
)
EXHAUSTED = "        if last == 0:\n"
MUTANTS = {
    "inclusion without `fn == sn`": (BRANCH, 0, "        if position & 1:\n"),
    "consistency without `fn == sn`": (BRANCH, 1, "        if position & 1:\n"),
    "inclusion without `LSB(fn)`": (BRANCH, 0, "        if position == last:\n"),
    "consistency without `LSB(fn)`": (BRANCH, 1, "        if position == last:\n"),
    "inclusion without the inner shift": (SHIFT, 0, ""),
    "consistency without the inner shift": (SHIFT, 1, ""),
    "inclusion without `sn == 0` in the loop": (EXHAUSTED, 0, "        if False:\n"),
    "consistency without `sn == 0` in the loop": (EXHAUSTED, 1, "        if False:\n"),
    "inclusion without the last `sn == 0`": ("    if last != 0:\n", 0, "    if False:\n"),
    "consistency without the last `sn == 0`": ("    if last != 0:\n", 1, "    if False:\n"),
    "consistency without old < new": (RANGE, 0, "    if not 0 < old_size:\n"),
    "inclusion without index < size": (
        "    if not 0 <= index < size:\n", 0, "    if not (0 <= index and size):\n",
    ),
    "consistency without the old root": ("    if old_computed != old_root:\n", 0, "    if False:\n"),
    "consistency without the new root": ("    if new_computed != new_root:\n", 0, "    if False:\n"),
    "inclusion without the root": ("    if computed != root:\n", 0, "    if False:\n"),
    "one size, two roots": ("        if old_root != new_root:\n", 0, "        if False:\n"),
    "one size, surplus hashes": ("        if proof:\n", 0, "        if False:\n"),
    "consistency without the old root put first": (
        "    if old_size & (old_size - 1) == 0:", 0, "    if False:",
    ),
    "consistency without the first shift": ("    while position & 1:\n", 0, "    while False:\n"),
}  # fmt: skip


def mutant(old: str, which: int, new: str) -> types.ModuleType:
    """The source with the `which`-th occurrence of `old` replaced."""
    parts = inspect.getsource(merkle).split(old)
    assert len(parts) > which + 1, "the fault names source that is no longer there"
    source = old.join(parts[: which + 1]) + new + old.join(parts[which + 1 :])
    module = types.ModuleType("mutant")
    exec(compile(source, "mutant", "exec"), module.__dict__)
    return module


def judged_wrongly(case: Case, module: types.ModuleType) -> bool:
    try:
        return accepts(case, module) != case.holds()
    except (IndexError, TypeError):
        return True


@pytest.mark.parametrize("fault", MUTANTS.values(), ids=MUTANTS.keys())
def test_the_cases_see_a_fault_in_the_verifier(fault: tuple[str, int, str]) -> None:
    module = mutant(*fault)
    assert any(judged_wrongly(case, module) for case in cases(range(1, 20)))


def test_the_cases_find_no_fault_in_an_unchanged_copy() -> None:
    module = mutant(BRANCH, 0, BRANCH)
    assert not any(judged_wrongly(case, module) for case in cases(range(1, 10)))


def test_the_public_vectors_alone_would_miss_some_of_these_faults() -> None:
    """Why there are cases of our own."""
    missed = set()
    for name, fault in MUTANTS.items():
        module = mutant(*fault)
        if all(accepts(case, module) == accepts(case) for _, case, _ in PUBLIC):
            missed.add(name)
    assert "inclusion without `sn == 0` in the loop" in missed, missed
