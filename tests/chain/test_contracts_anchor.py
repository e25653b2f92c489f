"""CheckpointAnchor: it accepts just the proofs that the recursion of the RFC accepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pyrevm
import pytest
from eth_abi.abi import decode, encode
from eth_utils.abi import function_signature_to_4byte_selector
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from contracts import artifact
from tests.chain.stage import Refused, Stage, h
from tests.proof import rfc9162

LARGEST = 2**64 - 1


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


# -- against the recursion, on a fast EVM ---------------------------------------------------------


def mutations(proof: list[bytes]) -> Iterator[list[bytes]]:
    """Yield proofs that differ from the given one: an element dropped, added, swapped, flipped."""
    n = len(proof)
    for i in range(n):
        yield proof[:i] + proof[i + 1 :]
        for bit in (0, 255, proof[i][0]):
            flipped = int.from_bytes(proof[i]) ^ (1 << bit)
            yield [*proof[:i], flipped.to_bytes(32), *proof[i + 1 :]]
    for i in range(n + 1):
        yield [*proof[:i], h("surplus"), *proof[i:]]
        yield [*proof[:i], bytes(32), *proof[i:]]
    for i in range(n):
        yield [*proof[: i + 1], proof[i], *proof[i + 1 :]]
        for j in range(i + 1, n):
            swapped = [*proof]
            swapped[i], swapped[j] = swapped[j], swapped[i]
            if swapped != proof:
                yield swapped


class FastAnchor:
    """A CheckpointAnchor on pyrevm, whose state every trial leaves as it was."""

    ADMIN, ANCHORER = "0x" + "0a" * 20, "0x" + "0b" * 20
    ANCHOR = function_signature_to_4byte_selector("anchor(uint64,bytes32,bytes32[])")
    INCLUDES = function_signature_to_4byte_selector("includes(uint64,uint64,bytes32,bytes32[])")

    def __init__(self) -> None:
        built = artifact("CheckpointAnchor")
        arguments = encode(["address", "address"], [self.ADMIN, self.ANCHORER])
        code = bytes.fromhex(built["bytecode"][2:]) + arguments
        self.evm = pyrevm.EVM(spec_id="PRAGUE")
        self.address = self.evm.deploy(self.ADMIN, code)
        self.errors = {
            Web3.keccak(text=f"{e['name']}({','.join(i['type'] for i in e['inputs'])})")[:4]: e
            for e in built["abi"]
            if e["type"] == "error"
        }

    def anchor(self, size: int, root: bytes, proof: list[bytes]) -> Refused | None:
        """Anchor for good; return the custom error if refused."""
        data = self.ANCHOR + encode(["uint64", "bytes32", "bytes32[]"], [size, root, proof])
        try:
            self.evm.message_call(self.ANCHORER, self.address, data)
        except RuntimeError as failure:
            text = str(failure)
        else:
            return None
        returned = re.search(r"output: 0x([0-9a-f]+)", text)
        assert returned, text
        answer = bytes.fromhex(returned[1])
        error = self.errors[answer[:4]]
        return Refused(error["name"], decode([i["type"] for i in error["inputs"]], answer[4:]))

    def try_anchor(self, size: int, root: bytes, proof: list[bytes]) -> Refused | None:
        """Anchor, rewind; return the custom error if refused."""
        before = self.evm.snapshot()
        try:
            return self.anchor(size, root, proof)
        finally:
            self.evm.revert(before)

    def includes(self, size: int, index: int, leaf_hash: bytes, proof: list[bytes]) -> bool:
        types = ["uint64", "uint64", "bytes32", "bytes32[]"]
        data = self.INCLUDES + encode(types, [size, index, leaf_hash, proof])
        answer = self.evm.message_call(self.ADMIN, self.address, data, is_static=True)
        return bool(int.from_bytes(answer))


def compare_consistency(sizes: int) -> int:
    """Compare contract and recursion on every pair of sizes and every mutation; count trials."""
    leaves = rfc9162.leaves(sizes)
    roots = [bytes(32)] + [rfc9162.mth(leaves[:n]) for n in range(1, sizes + 1)]
    contract = FastAnchor()
    trials = 0
    for old in range(1, sizes):
        before = contract.evm.snapshot()
        assert contract.anchor(old, roots[old], []) is None
        for new in range(old + 1, sizes + 1):
            proof = rfc9162.proof(old, leaves[:new])
            assert contract.try_anchor(new, roots[new], proof) is None, (old, new)
            tries = [(new, roots[new], wrong) for wrong in mutations(proof)]
            tries += [(other, roots[new], proof) for other in range(old + 1, sizes + 2)]
            tries += [(new, roots[new - 1], proof), (new, roots[old], []), (new, roots[old], proof)]
            for size, root, tried in tries:
                expected = rfc9162.is_consistent(old, size, roots[old], root, tried)
                refused = contract.try_anchor(size, root, tried)
                assert (refused is None) == expected, (old, size, tried)
                trials += 1
        contract.evm.revert(before)
    return trials


def compare_inclusion(sizes: int) -> int:
    """Compare contract and recursion on every leaf of every size and mutation; count trials."""
    leaves = rfc9162.leaves(sizes)
    contract = FastAnchor()
    trials = 0
    for size in range(1, sizes + 1):
        before = contract.evm.snapshot()
        root = rfc9162.mth(leaves[:size])
        assert contract.anchor(size, root, []) is None
        for index in range(size):
            path = rfc9162.path(index, leaves[:size])
            assert contract.includes(size, index, leaves[index], path), (size, index)
            tries = [(index, leaves[index], wrong) for wrong in mutations(path)]
            tries += [(other, leaves[index], path) for other in [*range(size + 2), LARGEST]]
            tries += [(index, leaves[index - 1], path), (index, root, [])]
            for claimed, leaf_hash, tried in tries:
                expected = rfc9162.is_included(leaf_hash, claimed, size, tried, root)
                assert contract.includes(size, claimed, leaf_hash, tried) == expected
                trials += 1
        contract.evm.revert(before)
    return trials


def test_contract_and_recursion_agree_on_consistency_up_to_12() -> None:
    assert compare_consistency(12) > 2_000


def test_contract_and_recursion_agree_on_inclusion_up_to_12() -> None:
    assert compare_inclusion(12) > 2_000


@pytest.mark.slow
def test_contract_and_recursion_agree_on_consistency_up_to_64() -> None:
    assert compare_consistency(64) > 200_000


@pytest.mark.slow
def test_contract_and_recursion_agree_on_inclusion_up_to_32() -> None:
    assert compare_inclusion(32) > 20_000


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
    contract = FastAnchor()
    assert contract.anchor(old, old_root, []) is None
    wrong = [*proof]
    place %= len(wrong)
    wrong[place] = (int.from_bytes(wrong[place]) ^ (1 << bit)).to_bytes(32)
    refused = contract.try_anchor(new, new_root, wrong)
    assert refused is not None
    assert refused.name in ("OldRootMismatch", "NewRootMismatch")
    n = len(proof)
    short = contract.try_anchor(new, new_root, proof[:-1])
    assert short == Refused("ProofTooShort", (old, new, n - 1))
    long = contract.try_anchor(new, new_root, [*proof, proof[-1]])
    assert long == Refused("ProofTooLong", (old, new, n, n + 1))
    assert contract.anchor(new, new_root, proof) is None


def test_a_proof_binds_the_content_and_not_the_size() -> None:
    """The limit that the interface states: a proof can fit more than one size."""
    leaves = rfc9162.leaves(8)
    root, proof = rfc9162.mth(leaves), rfc9162.proof(4, leaves)
    contract = FastAnchor()
    contract.anchor(4, rfc9162.mth(leaves[:4]), [])
    fitting = [size for size in range(5, 20) if contract.try_anchor(size, root, proof) is None]
    assert fitting == [5, 6, 7, 8]
