"""Faults that the contracts may have: each is put into the source, compiled, deployed and found out.

    python -m tests.chain.mutants       compile all, print each mutant and what killed it

A fault is a piece of source text and what stands in its place. The suite that must see it is the one
that runs every day: questions to the two proof checks (`trials.py`), refusals of deployment, bounds of a
batch, and walks against the models (`walk.py`).
"""

# ruff: noqa: E501 (the source text stands here as it stands there)

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from contracts import NAMES, build
from tests.chain import trials
from tests.chain.models import CHECKERS, LICENSOR, MAKER, REASONS, REGISTRAR, REGULATOR
from tests.chain.revm import ADMIN, NOBODY, START, Chain, actor
from tests.chain.stage import Refused, h
from tests.chain.walk import DifferenceError, World, walk

SEEDS = 60
STEPS = 60
# The optimizer changes no meaning and takes most of the time; so does the way over Yul, without which
# two of the contracts need too deep a stack.
NEED_YUL = ("CirculationRegistry", "RevenueBook")


class Mutant(NamedTuple):
    """The `which`-th occurrence of `old` in a source replaced by `new`."""

    contract: str
    name: str
    old: str
    new: str
    which: int = 0
    file: str = ""

    @property
    def source(self) -> str:
        return f"src/{self.file or self.contract + '.sol'}"


ANCHOR, VOUCHERS, LICENCES, BOOK = (
    "CheckpointAnchor", "VoucherRegistry", "CirculationRegistry", "RevenueBook",
)  # fmt: skip


def of(contract: str, *faults: tuple[Any, ...]) -> list[Mutant]:
    return [Mutant(contract, *fault) for fault in faults]


def without(contract: str, *faults: tuple[Any, ...]) -> list[Mutant]:
    """Faults that leave something out."""
    return [Mutant(contract, name, old, "", *more) for name, old, *more in faults]


def doors(contract: str, role: str, *functions: str) -> list[Mutant]:
    """Each function without the check of its role, in the order of the source."""
    text = f"onlyRole({role})"
    return [
        Mutant(contract, f"{function} without its role", text, "", which)
        for which, function in enumerate(functions)
    ]


BRANCH = "if (node & 1 == 1 || node == last) {"
INNER = "while (node & 1 == 0 && node != 0) {"
MUTANTS = [
    # -- the anchor: in `includes` and in the consistency check
    *of(
        ANCHOR,
        ("includes without `fn == sn`", BRANCH, "if (node & 1 == 1) {", 0),
        ("consistency without `fn == sn`", BRANCH, "if (node & 1 == 1) {", 1),
        ("includes without `LSB(fn)`", BRANCH, "if (node == last) {", 0),
        ("consistency without `LSB(fn)`", BRANCH, "if (node == last) {", 1),
        ("includes without the inner shift", INNER, "while (false) {", 0),
        ("consistency without the inner shift", INNER, "while (false) {", 1),
        ("consistency without the first shift", "while (node & 1 == 1) {", "while (false) {"),
        ("includes without `index < size`", "root == 0 || index >= size", "root == 0"),
        ("includes for a size not anchored", "root == 0 || index >= size", "index >= size"),
        ("includes without the last `sn == 0`", "last == 0 && hash == root", "hash == root"),
        ("includes without the root", "last == 0 && hash == root", "last == 0"),
        ("old = new accepted", "newSize <= oldSize", "newSize < oldSize"),
        ("old > new accepted", "newSize <= oldSize", "newSize == oldSize"),
        ("the old root put first only at size 1", "if (node != 0) {", "if (oldSize > 1) {"),
        ("includes with children swapped, left", "Children(proof[i], hash)", "Children(hash, proof[i])"),
        ("includes with children swapped, right", "Children(hash, proof[i])", "Children(proof[i], hash)"),
        ("old children swapped", "Children(sibling, oldHash)", "Children(oldHash, sibling)"),
        ("new children swapped, left", "Children(sibling, newHash)", "Children(newHash, sibling)"),
        ("new children swapped, right", "Children(newHash, sibling)", "Children(sibling, newHash)"),
        ("nodes hashed like leaves", "mstore8(input, 1)", "mstore8(input, 0)"),
        ("nodes without the prefix byte", "gas(), 2, input, 65", "gas(), 2, add(input, 1), 64"),
        ("the old root from calldata", "newSize, rootOf[oldSize], newRoot",
         "newSize, proof.length > 0 ? proof[0] : newRoot, newRoot"),
        ("an anchored root overwritten", "rootOf[newSize] = newRoot;",
         "rootOf[newSize] = newRoot; rootOf[oldSize] = newRoot;"),
        ("another old size told", "msg.sender, oldSize);", "msg.sender, newSize);"),
        ("the deployer may anchor", "_grantRole(ANCHOR_ROLE, anchorer);",
         "_grantRole(ANCHOR_ROLE, anchorer); _grantRole(ANCHOR_ROLE, msg.sender);"),
    ),
    *without(
        ANCHOR,
        ("includes without `sn == 0` in the loop", "if (last == 0) return false;"),
        ("consistency without `sn == 0` in the loop",
         "if (last == 0) revert ProofTooLong(oldSize, newSize, i, proof.length);"),
        ("consistency without the last `sn == 0`",
         "if (last != 0) revert ProofTooShort(oldSize, newSize, proof.length);"),
        ("old < new not checked", "if (newSize <= oldSize) revert SizeNotLarger(oldSize, newSize);"),
        ("consistency without the old root",
         "if (oldHash != oldRoot) revert OldRootMismatch(oldSize, oldRoot, oldHash);"),
        ("consistency without the new root",
         "if (newHash != newRoot) revert NewRootMismatch(newSize, newRoot, newHash);"),
        ("a missing first hash not named",
         "if (proof.length == 0) revert ProofTooShort(oldSize, newSize, 0);"),
        ("a first checkpoint with a proof",
         "if (proof.length != 0) revert ProofTooLong(0, newSize, 0, proof.length);"),
        ("a root of zero", "if (newRoot == 0) revert RootZero(newSize);"),
        ("the new size not kept", "_latestSize = newSize;"),
    ),
    *doors(ANCHOR, "ANCHOR_ROLE", "anchor"),
    *without(
        ANCHOR,
        ("a role for the zero address", "if (account == address(0)) revert RoleHolderZero(role);", 0,
         "Roles.sol"),
    ),
    # -- vouchers
    *doors(
        VOUCHERS, "REGISTRAR_ROLE", "issue", "issueMany", "suspend", "resume", "revoke", "cancel",
        "renew", "supersede", "transfer", "pledge", "release", "replaceHolderKey", "addUses",
        "addUsesMany",
    ),
    *doors(VOUCHERS, "REGULATOR_ROLE", "freeze", "unfreeze"),
    *of(
        VOUCHERS,
        ("freeze by the registrar", "onlyRole(REGULATOR_ROLE)", "onlyRole(REGISTRAR_ROLE)", 0),
        ("unfreeze by the registrar", "onlyRole(REGULATOR_ROLE)", "onlyRole(REGISTRAR_ROLE)", 1),
        ("expectedVersion ignored", "if (head.version() != expectedVersion) {", "if (false) {"),
        ("a version too far", "head.version() + 1", "head.version() + 2"),
        ("the version stays", "head.version() + 1", "head.version()"),
        ("states ignored", "head.isIn(states) && ", ""),
        ("flags ignored", " && head.flags() & (barred | needed) == needed", ""),
        ("barring flags ignored", "(barred | needed) == needed", "needed == needed"),
        ("needed flags ignored", "(barred | needed) == needed", "barred == 0"),
        ("suspended twice", "Verb.Suspend, IN_VALID", "Verb.Suspend, IN_FORCE"),
        ("resumed though valid", "Verb.Resume, IN_SUSPENDED", "Verb.Resume, IN_FORCE"),
        ("resumed though frozen", "IN_SUSPENDED, FROZEN, 0", "IN_SUSPENDED, 0, 0"),
        ("revoked after its end", "Verb.Revoke, IN_FORCE", "Verb.Revoke, IN_ANY"),
        ("revoked means cancelled", "Verb.Revoke, State.Revoked", "Verb.Revoke, State.Cancelled"),
        ("cancelled though pledged", "Verb.Cancel, IN_FORCE, PLEDGED | FROZEN", "Verb.Cancel, IN_FORCE, FROZEN"),
        ("renewed though suspended", "Verb.Renew, IN_VALID", "Verb.Renew, IN_FORCE"),
        ("renewed to the same end", "newValidUntil <= known", "newValidUntil < known"),
        ("renewed under the old credential", "entry.digest = newDigest;", "", 0),
        ("transferred though frozen", "Verb.Transfer, IN_VALID, PLEDGED | FROZEN", "Verb.Transfer, IN_VALID, PLEDGED"),
        ("transferred though pledged", "Verb.Transfer, IN_VALID, PLEDGED | FROZEN", "Verb.Transfer, IN_VALID, FROZEN"),
        ("transferred under the old credential", "entry.digest = newDigest;", "", 1),
        ("transferred to nobody else", "head = head.withHolder(newHolder);", "", 0),
        ("pledged twice", "Verb.Pledge, IN_VALID, PLEDGED | FROZEN", "Verb.Pledge, IN_VALID, FROZEN"),
        ("released though not pledged", "Verb.Release, IN_FORCE, FROZEN, PLEDGED", "Verb.Release, IN_FORCE, FROZEN, 0"),
        ("released though frozen", "Verb.Release, IN_FORCE, FROZEN", "Verb.Release, IN_FORCE, 0"),
        ("frozen twice", "Verb.Freeze, IN_FORCE, FROZEN", "Verb.Freeze, IN_FORCE, 0"),
        ("frozen after its end", "Verb.Freeze, IN_FORCE", "Verb.Freeze, IN_ANY"),
        ("unfrozen though not frozen", "IN_ANY, 0, FROZEN", "IN_ANY, 0, 0"),
        ("unfreezing takes the pledge away", "head.flags() & ~FROZEN", "0"),
        ("freezing takes the pledge away", "head.flags() | FROZEN", "FROZEN"),
        ("superseded and yet valid", "Verb.Supersede, State.Superseded", "Verb.Supersede, State.Valid"),
        ("uses counted though frozen", "Verb.AddUses, IN_VALID, FROZEN", "Verb.AddUses, IN_VALID, 0"),
        ("uses beyond the limit", "count > maxUses - used", "count > maxUses"),
        ("uses forgotten", "entry.used = used + count", "entry.used = count"),
        ("a batch begins at its second", "uint256 i = 0; i < vouchers.length", "uint256 i = 1; i < vouchers.length"),
        ("a batch passes over what is refused", "_issue(vouchers[i]);",
         "if (_entries[vouchers[i].id].head.version() == 0) _issue(vouchers[i]);"),
        ("uses in a batch done in part", "Uses calldata use = uses[i];",
         "Uses calldata use = uses[i]; if (_entries[use.id].maxUses == 0) continue;"),
        ("an empty batch", "length == 0 || length > BATCH_MAX", "length > BATCH_MAX"),
        ("a batch of any length", "length == 0 || length > BATCH_MAX", "length == 0"),
        ("lapsed by the block's time", "time > head.validUntil()", "block.timestamp > head.validUntil()"),
        ("lapsed in the last second", "time > head.validUntil()", "time >= head.validUntil()"),
        ("any credential is right", "entry.digest != digest", "false"),
        ("a frozen voucher is valid", "else if (head.flags() & FROZEN != 0) verdict = Verdict.Frozen;", ""),
        ("a revoked voucher is valid", "else if (head.state() == State.Revoked) verdict = Verdict.Revoked;", ""),
        ("the old state told as the new", "head.state(), newState, version", "head.state(), head.state(), version"),
        ("the old version told", "newState, version, head.holder()", "newState, head.version(), head.holder()"),
        ("the new state not kept", ".withState(newState);", ";"),
        ("renewal keeps 32 bits of the time", "VALID_UNTIL, UINT40_MASK, validUntil_", "VALID_UNTIL, UINT40_MASK, uint32(validUntil_)", 0, "types/VoucherHead.sol"),
        ("kind and rights change places", "uint256(kind_) << KIND | uint256(rights_) << RIGHTS", "uint256(kind_) << RIGHTS | uint256(rights_) << KIND", 0, "types/VoucherHead.sol"),
        ("a new holder beside the old", "_with(head, 0, ADDRESS_MASK,", "_with(head, 0, 0,", 0, "types/VoucherHead.sol"),
    ),
    *without(
        VOUCHERS,
        ("issued twice", "if (version != 0) revert VersionMismatch(id, 0, version);"),
        ("issued with id zero", "if (id == 0) revert IdZero(given.reason);"),
        ("issued to the zero address", "if (given.holder == address(0)) revert HolderZero(id);"),
        ("issued without an end", "if (given.validUntil == 0) revert ValidUntilNotLater(id, 0, 0);"),
        ("issued without a credential", "if (given.digest == 0) revert DigestZero(id);"),
        ("issued without a ground", "if (given.reason == 0) revert ReasonZero(id);"),
        ("a deed without a ground", "if (reason == 0) revert ReasonZero(id);"),
        ("renewed without a credential", "if (newDigest == 0) revert DigestZero(id);", 0),
        ("transferred without a credential", "if (newDigest == 0) revert DigestZero(id);", 1),
        ("renewed to an earlier end", "if (newValidUntil <= known) revert ValidUntilNotLater(id, known, newValidUntil);"),
        ("transferred to the zero address", "if (newHolder == address(0)) revert HolderZero(id);"),
        ("transferred to its holder", "if (newHolder == holder) revert HolderUnchanged(id, holder);"),
        ("no use counted", "if (count == 0) revert UsesZero(id);"),
        ("the limit of uses not kept", "if (given.maxUses != 0) entry.maxUses = given.maxUses;"),
        ("successors not issued", "_issue(successors[i]);"),
        ("successors not told", "emit SucceededBy(id, successors[i].id);"),
        ("a renewal not told", "emit Renewed(id, newValidUntil);"),
    ),
    # -- licences
    *doors(LICENCES, "LICENSOR_ROLE", "grant", "revoke"),
    *of(
        LICENCES,
        ("grant with expectedVersion ignored", "if (version != expectedVersion) {", "if (false) {", 0),
        ("revoke with expectedVersion ignored", "if (version != expectedVersion) {", "if (false) {", 1),
        ("granted on a voucher not valid", "state != IVoucherRegistry.State.Valid || ", ""),
        ("granted on a frozen voucher", " || flags & FROZEN != 0", ""),
        ("a right not held", "right & rights == 0 || ", "right == 0 || "),
        ("two rights at once", " || right & (right - 1) != 0", ""),
        ("a period of no time", "until <= from", "until < from"),
        ("valid before its first second", "time < licence.from", "false"),
        ("not yet valid in its first second", "time < licence.from", "time <= licence.from"),
        ("ended in its last second", "time > licence.until", "time >= licence.until"),
        ("any terms are right", "licence.termsDigest != termsDigest", "false"),
        ("a revoked licence is valid", "else if (version == REVOKED) verdict = Verdict.Revoked;", ""),
        ("revoking grants", "licence.version = REVOKED;", "licence.version = GRANTED;"),
        ("another licence's version", "_licences[voucher][n - 1].version == 0", "_licences[voucher][0].version == 0"),
    ),
    *without(
        LICENCES,
        ("granted twice", "if (version != 0) revert AlreadyGranted(voucher, n, version);"),
        ("a gap in the numbers", "if (n != 0 && _licences[voucher][n - 1].version == 0) revert NumberNotNext(voucher, n);"),
        ("granted to the zero address", "if (licensee == address(0)) revert LicenseeZero(voucher, n);"),
        ("granted without terms", "if (termsDigest == 0) revert DigestZero(voucher, n);"),
        ("granted without a ground", "if (reason == 0) revert ReasonZero(voucher, n);", 0),
        ("revoked without a ground", "if (reason == 0) revert ReasonZero(voucher, n);", 1),
        ("revoked though not granted", "if (version != GRANTED) revert NotInForce(voucher, n, version);"),
        ("the voucher not asked", "_checkVoucher(voucher, right);"),
        ("vouchers where no contract is", "if (address(vouchers).code.length == 0) revert VouchersMissing(address(vouchers));"),
    ),
    # -- revenue statements
    *doors(BOOK, "MAKER_ROLE", "propose", "approve", "withdraw"),
    *of(
        BOOK,
        ("approved by the first of two", "approvals == statement.approvalsRequired", "true"),
        ("never approved by all", "approvals == statement.approvalsRequired", "approvals == APPROVALS_MAX"),
        ("no approval required", "approvalsRequired == 0 || ", ""),
        ("four approvals required", " || approvalsRequired > APPROVALS_MAX", ""),
        ("counted with one approval missing", "approvals != 1 && _counted[id][checker]", "approvals > 2 && _counted[id][checker]"),
        ("the nonce not signed", "nonces(checker), deadline", "0, deadline", 0),
        ("the deadline not signed", "nonce,\n                    deadline", "nonce,\n                    uint256(0)"),
        ("the version not signed", "statement.version,\n                    nonce", "uint24(1),\n                    nonce"),
        ("the reversal not signed", "reverses,\n                    statement.version", "bytes32(0),\n                    statement.version"),
        ("too late in the last second", "block.timestamp > deadline", "block.timestamp >= deadline"),
        ("the lines not sealed", "abi.encode(digest, lineRoot)", "abi.encode(digest, digest)"),
        ("another domain", 'EIP712("Shuzheng RevenueBook", "1")', 'EIP712("RevenueBook", "1")'),
        ("reversed twice", "_checkState(reverses, State.Approved, _statements[reverses].state);\n        }", "}"),
        ("a reversal unmarked", "statement.isReversal = reverses != 0;", ""),
        ("a reversal without effect", "if (isLast && reverses != 0) _reverse(reverses, id, reason);", ""),
        ("reversed before all have approved", "if (isLast && reverses != 0) _reverse(", "if (reverses != 0) _reverse("),
        ("the reversed keeps its version", "original.version + 1", "original.version"),
        ("a withdrawn statement stays open", "statement.state = State.Withdrawn;", ""),
        ("no checker at all", "count == 0 || ", ""),
        ("any number of checkers", " || count > CHECKERS_MAX", ""),
        ("matches without such a statement", "matches = statement.seal == _seal(digest, lineRoot);", "matches = true;"),
    ),
    *without(
        BOOK,
        ("expectedVersion ignored", "if (version != expectedVersion) revert VersionMismatch(id, expectedVersion, version);"),
        ("states ignored", "_checkState(id, needed, statement.state);"),
        ("a deed without a ground", "if (reason == 0) revert ReasonZero(id);"),
        ("proposed with id zero", "if (id == 0) revert IdZero(reason);"),
        ("proposed without a digest", "if (digest == 0) revert DigestZero(id);"),
        ("proposed without lines", "if (lineRoot == 0) revert LineRootZero(id);"),
        ("reverses what is not approved", "if (reverses != 0) _checkState(reverses, State.Approved, _statements[reverses].state);"),
        ("approved by anybody", "_checkRole(CHECKER_ROLE, checker);"),
        ("approved by its proposer", "if (checker == statement.proposer) revert CheckerIsProposer(id, checker);"),
        ("one checker counts twice", "if (approvals != 1 && _counted[id][checker]) revert CheckerCounted(id, checker);"),
        ("who signed first is forgotten", "if (!isLast) _counted[id][checker] = true;"),
        ("the deadline ignored", "if (block.timestamp > deadline) revert DeadlinePassed(id, deadline, block.timestamp);"),
        ("a nonce used again", "_useNonce(checker);"),
        ("any content", "if (statement.seal != seal) revert ContentMismatch(id, statement.seal, seal);"),
        ("signed by somebody else", "if (recovered != checker) revert SignerMismatch(id, checker, recovered);"),
        ("withdrawn by another maker", "if (proposer != msg.sender) revert NotProposer(id, proposer, msg.sender);"),
    ),
]  # fmt: skip


def mutated(texts: dict[str, str], mutant: Mutant) -> dict[str, str]:
    """Return our sources with the fault in them."""
    parts = texts[mutant.source].split(mutant.old)
    assert len(parts) > mutant.which + 1, f"{mutant.name}: the source has no such text any more"
    before, after = parts[: mutant.which + 1], parts[mutant.which + 1 :]
    text = mutant.old.join(before) + mutant.new + mutant.old.join(after)
    return {**texts, mutant.source: text}


def compiled(mutants: Iterable[Mutant]) -> list[dict[str, Any]]:
    """Return ABI and bytecode of each mutant, which are sorted by contract.

    Each stands in a folder of its own beside the libraries, so that one run of the compiler takes a
    few; with many its memory runs out.
    """
    mutants = list(mutants)
    few = [
        some
        for name in dict.fromkeys(mutant.contract for mutant in mutants)
        for its in [[mutant for mutant in mutants if mutant.contract == name]]
        for some in [its[i : i + 8] for i in range(0, len(its), 8)]
    ]
    with build.compiler() as solc, ThreadPoolExecutor(2) as pool:
        return [
            built for some in pool.map(lambda some: _compile(solc, some), few) for built in some
        ]


def _compile(solc: Path, mutants: list[Mutant]) -> list[dict[str, Any]]:
    texts = build.sources()
    ours = {name: text for name, text in texts.items() if name.startswith("src/")}
    sources = {name: text for name, text in texts.items() if name not in ours}
    wanted: dict[str, dict[str, list[str]]] = {}
    for number, mutant in enumerate(mutants):
        for name, text in mutated(ours, mutant).items():
            sources[name.replace("src/", f"{number}/", 1)] = text
        parts = {mutant.contract: ["abi", "evm.bytecode.object"]}
        wanted[f"{number}/{mutant.contract}.sol"] = parts
    needs_yul = mutants[0].contract in NEED_YUL
    settings = {"optimizer": {"enabled": False}, "viaIR": needs_yul}
    said = build.output(solc, build.task(sources, wanted, **settings))
    faults = [e["formattedMessage"] for e in said.get("errors", []) if e["severity"] == "error"]
    assert not faults, "\n".join(faults)
    return [
        {"abi": contract["abi"], "bytecode": "0x" + contract["evm"]["bytecode"]["object"]}
        for number, mutant in enumerate(mutants)
        for contract in [said["contracts"][f"{number}/{mutant.contract}.sol"][mutant.contract]]
    ]


# -- what finds them out --------------------------------------------------------------------------


def deployments(artifacts: dict[str, Any], contract: str) -> None:
    """Whoever is given the zero address, nobody, or a crowd, is not deployed."""
    chain = Chain(artifacts)
    vouchers = chain.deploy(VOUCHERS, ADMIN, REGISTRAR, REGULATOR).address
    one = actor("one")
    wrong: dict[str, list[tuple[Any, ...]]] = {
        ANCHOR: [(NOBODY, one), (one, NOBODY)],
        VOUCHERS: [(NOBODY, one, one), (one, NOBODY, one), (one, one, NOBODY)],
        LICENCES: [(NOBODY, one, vouchers), (one, NOBODY, vouchers), (one, one, NOBODY),
                   (ADMIN, LICENSOR, one)],
        BOOK: [(NOBODY, one, [one]), (one, NOBODY, [one]), (one, one, [NOBODY]),
               (ADMIN, MAKER, []), (ADMIN, MAKER, CHECKERS * 5)],
    }  # fmt: skip
    for arguments in wrong[contract]:
        try:
            chain.deploy(contract, *arguments)
        except Refused:
            continue
        raise DifferenceError(f"deployed with {arguments}")


def proofs(artifacts: dict[str, Any], contract: str) -> None:
    """The contract says what Python and the RFC say, over every pair up to 12."""
    if contract != ANCHOR:
        return
    anchor = trials.Anchor(Chain(artifacts))
    for honest in (trials.honest_growths(12), trials.honest_memberships(12)):
        for question in trials.questions(honest, every=3):
            try:
                found = trials.disagreement(anchor, question)
            except Refused as refused:
                found = f"{type(question).__name__}: refused with {refused.name}"
            if found:
                raise DifferenceError(found)


def bounds(artifacts: dict[str, Any], contract: str) -> None:
    """A batch has one to two hundred members."""
    if contract != VOUCHERS:
        return
    world = World(artifacts)
    issue = lambda i: (h(f"{i}"), ADMIN, START, 1, 1, 0, h("digest"), REASONS[0])  # noqa: E731
    for length, refused in ((0, True), (1, False), (200, False), (201, True)):
        given = [issue(i) for i in range(length)]
        found = world.contracts[VOUCHERS].refusal(REGISTRAR, "issueMany", given)
        should = Refused("BatchOutOfRange", (length, 200)) if refused else None
        if found != should:
            raise DifferenceError(f"a batch of {length}: {found}")


def walks(artifacts: dict[str, Any], contract: str) -> None:
    """Contract and model agree, and the laws hold, over walks of everybody."""
    world = World(artifacts)
    names = [VOUCHERS, LICENCES, LICENCES] if contract == LICENCES else [contract]
    for seed in range(SEEDS):
        walk(world, names, STEPS, seed)


CHECKS: tuple[Callable[[dict[str, Any], str], None], ...] = (deployments, proofs, bounds, walks)


def killer(mutant: Mutant, built: dict[str, Any]) -> str | None:
    """Return which check finds the mutant out, and by what; None if none does."""
    for check in CHECKS:
        try:
            check({mutant.contract: built}, mutant.contract)
        except (DifferenceError, Refused) as found:
            return f"{check.__name__}: {found}"
    return None


def main() -> int:
    survivors = 0
    for mutant, built in zip(MUTANTS, compiled(MUTANTS), strict=True):
        found = killer(mutant, built)
        survivors += found is None
        print(f"{mutant.contract}\t{mutant.name}\t{found or 'SURVIVES'}", flush=True)
    counts = ", ".join(f"{n} {sum(m.contract == n for m in MUTANTS)}" for n in NAMES)
    print(f"{len(MUTANTS)} mutants ({counts}), {survivors} survive")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
