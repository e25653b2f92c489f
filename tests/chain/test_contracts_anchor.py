"""CheckpointAnchor: it accepts just the proofs that Python and the recursion of the RFC accept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chain.stage import Refused, Stage, h
from tests.chain.trials import (
    ANCHORER,
    LARGEST,
    LEAVES,
    Anchor,
    Growth,
    Question,
    compare,
    honest_growths,
    honest_memberships,
    mutations,
    python_answers,
    questions,
    recursion_answers,
    root,
)
from tests.proof import rfc9162

# -- the checkpoint ladder, on eth-tester ---------------------------------------------------------


def anchor(stage: Stage, size: int, root: bytes, proof: list[bytes] | None = None) -> Any:
    return stage.anchor.functions.anchor(size, root, proof or [])


def test_before_the_first_checkpoint_there_is_none(stage: Stage) -> None:
    assert stage.anchor.functions.latest().call() == [0, bytes(32)]
    assert stage.anchor.functions.rootOf(1).call() == bytes(32)


def test_the_first_checkpoint_needs_no_proof(stage: Stage) -> None:
    receipt = stage.do(anchor(stage, 5, h("root")), stage.anchorer)
    told = {"size": 5, "root": h("root"), "actor": stage.anchorer, "oldSize": 0}
    assert stage.events(stage.anchor, receipt) == [("Anchored", told)]
    assert stage.anchor.functions.latest().call() == [5, h("root")]


@pytest.mark.parametrize("length", [1, 2, 64])
def test_the_first_checkpoint_with_a_proof_is_refused(
    stage: Stage, reverts: Callable[..., None], length: int
) -> None:
    call = anchor(stage, 5, h("root"), [h("surplus")] * length)
    reverts(call, stage.anchorer, "ProofTooLong", 0, 5, 0, length)


def test_an_empty_log_is_not_anchored(stage: Stage, reverts: Callable[..., None]) -> None:
    reverts(anchor(stage, 0, h("root")), stage.anchorer, "SizeNotLarger", 0, 0)


def test_a_zero_root_is_not_anchored(stage: Stage, reverts: Callable[..., None]) -> None:
    reverts(anchor(stage, 1, bytes(32)), stage.anchorer, "RootZero", 1)


@pytest.mark.parametrize("size", [0, 1, 6, 7])
def test_the_log_must_grow(stage: Stage, reverts: Callable[..., None], size: int) -> None:
    leaves = rfc9162.leaves(7)
    stage.do(anchor(stage, 7, rfc9162.mth(leaves)), stage.anchorer)
    root = rfc9162.mth(leaves[: size or 1])
    reverts(anchor(stage, size, root), stage.anchorer, "SizeNotLarger", 7, size)


def test_every_anchored_root_stays_for_ever(stage: Stage) -> None:
    leaves = rfc9162.leaves(20)
    roots = {}
    for old, new in ((0, 1), (1, 2), (2, 7), (7, 8), (8, 9), (9, 20)):
        proof = rfc9162.proof(old, leaves[:new]) if old else []
        roots[new] = rfc9162.mth(leaves[:new])
        stage.do(anchor(stage, new, roots[new], proof), stage.anchorer)
        assert stage.anchor.functions.latest().call() == [new, roots[new]]
    for size in range(21):
        assert stage.anchor.functions.rootOf(size).call() == roots.get(size, bytes(32))


def test_a_rewritten_history_is_refused(stage: Stage, reverts: Callable[..., None]) -> None:
    honest, forged = rfc9162.leaves(9), rfc9162.leaves(12)
    forged[3] = rfc9162.leaf(b"another record")
    stage.do(anchor(stage, 9, rfc9162.mth(honest)), stage.anchorer)
    call = anchor(stage, 12, rfc9162.mth(forged), rfc9162.proof(9, forged))
    roots = rfc9162.mth(honest), rfc9162.mth(forged[:9])
    reverts(call, stage.anchorer, "OldRootMismatch", 9, *roots)
    assert stage.anchor.functions.latest().call() == [9, roots[0]]


def test_a_root_that_the_proof_does_not_reach_is_refused(
    stage: Stage, reverts: Callable[..., None]
) -> None:
    leaves = rfc9162.leaves(12)
    stage.do(anchor(stage, 9, rfc9162.mth(leaves[:9])), stage.anchorer)
    call = anchor(stage, 12, h("another root"), rfc9162.proof(9, leaves))
    reached = rfc9162.mth(leaves)
    reverts(call, stage.anchorer, "NewRootMismatch", 12, h("another root"), reached)


@pytest.mark.parametrize(("old", "new"), [(7, 12), (8, 12), (9, 12), (11, 12), (4, 8)])
def test_a_proof_too_short_or_too_long_is_named_so(
    stage: Stage, reverts: Callable[..., None], old: int, new: int
) -> None:
    leaves = rfc9162.leaves(new)
    proof, root = rfc9162.proof(old, leaves), rfc9162.mth(leaves)
    stage.do(anchor(stage, old, rfc9162.mth(leaves[:old])), stage.anchorer)
    n = len(proof)
    for length in range(n):
        call = anchor(stage, new, root, proof[:length])
        reverts(call, stage.anchorer, "ProofTooShort", old, new, length)
    for surplus in (1, 2):
        call = anchor(stage, new, root, proof + [h("surplus")] * surplus)
        reverts(call, stage.anchorer, "ProofTooLong", old, new, n, n + surplus)


def test_every_honest_pair_up_to_24_is_accepted(stage: Stage) -> None:
    leaves = rfc9162.leaves(24)
    for old in range(1, 24):
        snapshot = stage.tester.take_snapshot()
        stage.do(anchor(stage, old, rfc9162.mth(leaves[:old])), stage.anchorer)
        for new in range(old + 1, 25):
            proof = rfc9162.proof(old, leaves[:new])
            call = anchor(stage, new, rfc9162.mth(leaves[:new]), proof)
            assert stage.refusal(call, stage.anchorer) is None, (old, new)
        stage.tester.revert_to_snapshot(snapshot)


@pytest.mark.parametrize(("old", "new"), [(3, 7), (4, 7), (6, 8), (8, 9), (13, 21)])
def test_a_mutated_proof_is_refused(stage: Stage, old: int, new: int) -> None:
    leaves = rfc9162.leaves(new)
    stage.do(anchor(stage, old, rfc9162.mth(leaves[:old])), stage.anchorer)
    root = rfc9162.mth(leaves)
    for wrong in mutations(rfc9162.proof(old, leaves)):
        assert stage.refusal(anchor(stage, new, root, wrong), stage.anchorer) is not None, wrong


def test_inclusion_is_answered_for_anchored_sizes_only(stage: Stage) -> None:
    leaves = rfc9162.leaves(13)
    stage.do(anchor(stage, 13, rfc9162.mth(leaves)), stage.anchorer)
    includes = stage.anchor.functions.includes
    for index in range(13):
        path = rfc9162.path(index, leaves)
        assert includes(13, index, leaves[index], path).call()
        assert not includes(12, index, leaves[index], path).call()
        assert not includes(13, (index + 1) % 13, leaves[index], path).call()
        assert not includes(13, index, h("another leaf"), path).call()
        for wrong in mutations(path):
            assert not includes(13, index, leaves[index], wrong).call()
    assert not includes(13, 13, leaves[12], rfc9162.path(12, leaves)).call()
    assert not includes(0, 0, bytes(32), []).call()
    assert not includes(5, 0, bytes(32), []).call()


# -- against Python and the recursion, on a fast EVM ----------------------------------------------


@pytest.mark.parametrize("honest", [honest_growths, honest_memberships])
def test_every_honest_pair_up_to_64_and_a_sample_of_mutations(
    honest: Callable[[int], Iterator[Question]],
) -> None:
    assert compare(honest(64), every=10) > 24_000


@pytest.mark.slow
@pytest.mark.parametrize("honest", [honest_growths, honest_memberships])
def test_every_honest_pair_up_to_64_and_every_mutation(
    honest: Callable[[int], Iterator[Question]],
) -> None:
    assert compare(honest(64)) > 220_000


def test_the_chain_of_the_site_answers_like_the_fast_one(stage: Stage) -> None:
    """A sample of the same questions on eth-tester, asked of each anchored size and root."""
    sample = [q for q in questions(honest_growths(21), every=60) if q.old in (3, 4, 13)]
    assert len(sample) > 80
    fresh = stage.tester.take_snapshot()
    for (old, old_root), group in groupby(sample, key=lambda q: (q.old, q.old_root)):
        stage.do(anchor(stage, old, old_root), stage.anchorer)
        for question in group:
            call = anchor(stage, question.new, question.new_root, question.proof)
            refused = stage.refusal(call, stage.anchorer)
            assert (refused is None) == recursion_answers(question), question
        stage.tester.revert_to_snapshot(fresh)


def test_before_the_first_checkpoint_nothing_is_proved_and_nothing_included() -> None:
    """Size 0: Python knows no proof from nothing; the contract takes a first root without one."""
    contract = Anchor().contract
    for honest in honest_growths(9):
        root = honest.new_root
        assert python_answers(honest._replace(old=0, proof=[])) == "range"
        assert contract.refusal(ANCHORER, "anchor", honest.new, root, []) is None
        refused = contract.refusal(ANCHORER, "anchor", honest.new, root, honest.proof)
        assert refused == Refused("ProofTooLong", (0, honest.new, 0, len(honest.proof)))
    for size, _, index, leaf, path in honest_memberships(9):
        assert not contract.ask("includes", size, index, leaf, path)


def test_a_hash_that_is_cut_short_is_no_call() -> None:
    """A hash has 32 bytes or there is no call: Python refuses it as `hash`, the ABI as no argument."""
    anchored = Anchor()
    honest = next(q for q in honest_growths(9) if q.old == 5 and q.new == 9)
    anchored.stands_at(honest.old, honest.old_root)
    data = anchored.contract.data("anchor", honest.new, honest.new_root, honest.proof)
    assert python_answers(honest._replace(proof=[*honest.proof[:-1], b"short"])) == "hash"
    for missing in range(1, 33):
        with pytest.raises(Refused):
            anchored.contract.send(ANCHORER, data[:-missing])
    anchored.contract.send(ANCHORER, data)


SIZES = st.one_of(
    st.integers(1, LARGEST),
    st.builds(
        lambda exponent, off_by: min(max(2**exponent + off_by, 1), LARGEST),
        st.integers(0, 64),
        st.integers(-3, 3),
    ),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(SIZES, SIZES, st.integers(0, 63), st.integers(0, 255))
def test_logs_of_any_size_are_proved(one: int, other: int, place: int, bit: int) -> None:
    old, new = sorted((one, other))
    if old == new:
        return
    old_root, new_root, proof = rfc9162.invented(old, new)
    anchored = Anchor()
    anchored.stands_at(old, old_root)

    def refusal(given: list[bytes]) -> Refused | None:
        return anchored.contract.refusal(ANCHORER, "anchor", new, new_root, given)

    wrong = [*proof]
    place %= len(wrong)
    wrong[place] = (int.from_bytes(wrong[place]) ^ (1 << bit)).to_bytes(32)
    refused = refusal(wrong)
    assert refused is not None
    assert refused.name in ("OldRootMismatch", "NewRootMismatch")
    n = len(proof)
    assert refusal(proof[:-1]) == Refused("ProofTooShort", (old, new, n - 1))
    assert refusal([*proof, proof[-1]]) == Refused("ProofTooLong", (old, new, n, n + 1))
    assert refusal(proof) is None


def test_a_proof_binds_the_content_and_not_the_size() -> None:
    """The limit that the interface states: a proof can fit more than one size."""
    honest = Growth(4, root(4), 8, root(8), rfc9162.proof(4, LEAVES[:8]))
    anchored = Anchor()
    fitting = [size for size in range(5, 20) if not anchored.answers(honest._replace(new=size))]
    assert fitting == [5, 6, 7, 8]
