"""Steps about a checkpoint: the log key that signed it, the witnesses that cosigned it, its anchor."""

from typing import Any

from ledger.errors import ProofFailed
from ledger.proof.chain_node import Node, did_anchor, root_of
from ledger.proof.checkpoint import Checkpoint, open_note, parse_checkpoint, parse_note
from ledger.proof.cosignature import check_order, read_cosignatures
from ledger.proof.encoding import instant
from ledger.proof.report import CANNOT_TELL, VALID, Report
from ledger.proof.trust import Trust


def open_checkpoint(note: Any, trust: Trust) -> Checkpoint:
    """The checkpoint of a note that a log key of the trust file signed, at a size which it may sign."""
    text, signers = open_note(note, [entry.key for entry in trust.log_keys])
    check_order(note)
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != trust.origin:
        raise ProofFailed(
            "The checkpoint is of the log {found}; your trust file names {due}.",
            step="trust",
            found=checkpoint.origin,
            due=trust.origin,
        )
    if not any(
        entry.key in signers and entry.from_size <= checkpoint.tree_size <= entry.until_size
        for entry in trust.log_keys
    ):
        raise ProofFailed("No log key valid for size {size} signed the checkpoint.",
                          step="signature", size=checkpoint.tree_size)  # fmt: skip
    return checkpoint


def check_witnesses(
    note: str, checkpoint: Checkpoint, trust: Trust, report: Report, *, quiet: bool = False
) -> None:
    """Which trusted witnesses cosigned the checkpoint; a wrong cosignature raises ProofFailed.

    One line of a note more or less harms nobody: each line stands for itself, and the quorum counts.
    """
    found = read_cosignatures(note, trust.witnesses)
    log_keys = {(entry.key.name, entry.key.key_hash) for entry in trust.log_keys}
    known = log_keys | {(key.name, key.key_hash) for key in trust.witnesses}
    strange = sum((s.name, s.key_hash) not in known for s in parse_note(note)[1])
    if strange and not quiet:
        report.add(
            "signature", VALID,
            "{count} signatures on the checkpoint are by keys that your trust file does not name; "
            "they were passed over.",
            count=strange,
        )  # fmt: skip
    if not trust.witnesses:
        return
    cosigned = {one.key.name for one in found}
    facts = {
        "count": len(cosigned), "known": len({key.name for key in trust.witnesses}),
        "quorum": trust.witness_quorum, "size": checkpoint.tree_size,
        "who": ", ".join(f"{one.key.name} ({instant(one.at)})" for one in found) or "-",
    }  # fmt: skip
    if len(cosigned) < trust.witness_quorum:
        report.add(
            "witness", CANNOT_TELL,
            "{count} of the {known} witnesses you trust cosigned the checkpoint of size {size}: "
            "{who}. Your trust file asks for {quorum}: get a newer copy of the document.",
            **facts,
        )  # fmt: skip
    elif quiet:
        return
    elif found:
        report.add(
            "witness", VALID,
            "{count} of the {known} witnesses you trust cosigned the checkpoint of size {size}: "
            "{who}.",
            **facts,
        )  # fmt: skip
    else:
        report.add(
            "witness", VALID,
            "None of the {known} witnesses you trust cosigned the checkpoint of size {size}; your "
            "trust file asks for none.",
            **facts,
        )  # fmt: skip


def check_anchor(
    anchor: Any, checkpoint: Checkpoint, trust: Trust, node: Node | None, report: Report,
    *, quiet: bool = False,
) -> None:  # fmt: skip
    """Whether the contract holds the checkpoint, and by the transaction that a bundle names."""
    if node is None:
        return
    try:
        held = root_of(node, trust, checkpoint.tree_size)
    except (OSError, ValueError) as error:
        report.add("anchor", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    if held != checkpoint.root:
        raise ProofFailed(
            "The contract holds another root, or none, for size {size}: this history is not the "
            "anchored one.",
            step="anchor",
            size=checkpoint.tree_size,
        )
    if anchor is not None:
        _check_anchoring(anchor, checkpoint, trust, node, report)
    if not quiet:
        report.add(
            "anchor", VALID,
            "The contract {contract} holds this checkpoint (size {size}).",
            contract=trust.contracts["CheckpointAnchor"], size=checkpoint.tree_size,
        )  # fmt: skip


def _check_anchoring(
    anchor: Any, checkpoint: Checkpoint, trust: Trust, node: Node, report: Report
) -> None:
    """The transaction and block that the document names are those that anchored its checkpoint."""
    try:
        fits = did_anchor(node, trust, anchor, checkpoint)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        report.add("anchor", CANNOT_TELL, "The node failed to answer: {why}.", why=str(error))
        return
    if not fits:
        raise ProofFailed(
            "Transaction {transaction} in block {block}, which the document names, did not anchor "
            "this checkpoint.",
            step="anchor",
            transaction=anchor["transaction"],
            block=anchor["block"],
        )
