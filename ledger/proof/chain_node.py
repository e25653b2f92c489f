"""A chain node that the reader trusts, and the questions that a verification asks of it.

A question raises OSError or ValueError where the node gives no fit answer: that tells nothing.
"""

import http.client
import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from ledger.errors import Invalid
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.encoding import check_nesting
from ledger.proof.report import CANNOT_TELL, NOT_VALID, VALID, Report
from ledger.proof.trust import Trust

RPC_TIMEOUT_S = 15
RPC_BYTES_MAX = 4 * 1024 * 1024

# Selectors of the contract views asked here; a test compares them with the artifacts.
LATEST = "52bfe789"  # CheckpointAnchor.latest()
ROOT_OF = "9d7384d9"  # CheckpointAnchor.rootOf(uint64)
VERIFY_VOUCHER = "5868ac0c"  # VoucherRegistry.verify(bytes32,bytes32,uint40)
VERIFY_STATEMENT = "3fb82028"  # RevenueBook.verify(bytes32,bytes32,bytes32)
GET_STATEMENT = "8eaa6ac0"  # RevenueBook.get(bytes32)
CHAIN_VERDICTS = (
    "unknown", "another digest", "valid", "lapsed", "suspended", "frozen", "revoked", "cancelled",
    "superseded",
)  # fmt: skip
STATEMENT_STATES = ("unknown", "proposed", "approved", "withdrawn", "reversed")


class Node:
    """A chain node asked over JSON-RPC with the standard library; it is believed, the trust file not
    replaced: its chain id and genesis block are compared first."""

    def __init__(self, url: str, timeout_s: float = RPC_TIMEOUT_S) -> None:
        if not url.startswith(("http://", "https://")):
            raise Invalid("The node's address must begin with http:// or https://.")
        self.url, self.timeout_s = url, timeout_s

    def ask(self, method: str, *params: Any) -> Any:
        """The node's answer; raises OSError or ValueError when there is none."""
        body = json.dumps({"id": 1, "jsonrpc": "2.0", "method": method, "params": params})
        try:
            data = self.post(body.encode())
            check_nesting(data, "The node's answer")
            reply = json.loads(data.decode())
        except (http.client.HTTPException, Invalid) as error:
            raise ValueError(f"this is no answer of a node: {error!r}") from None
        if type(reply) is not dict or "result" not in reply:
            raise ValueError("the node refused the question")
        return reply["result"]

    def post(self, body: bytes) -> bytes:
        """What the node sends back."""
        request = urllib.request.Request(  # noqa: S310 - http(s) only, checked above
            self.url, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
            return bytes(answer.read(RPC_BYTES_MAX))

    def call(self, address: str, data: str) -> bytes:
        result = self.ask("eth_call", {"to": address, "data": "0x" + data}, "latest")
        if type(result) is not str or not result.startswith("0x"):
            raise ValueError("the node's answer is no bytes")
        return bytes.fromhex(result[2:])


def check_chain(node: Node, trust: Trust, report: Report) -> bool:
    """Whether the node answers and serves the trusted chain; what is wrong goes into the report."""
    try:
        chain_id = int(node.ask("eth_chainId"), 16)
        genesis = node.ask("eth_getBlockByNumber", "0x0", False)["hash"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        report.add(
            "chain", CANNOT_TELL,
            "The node does not answer ({why}): name another with --rpc, or use --offline.",
            why=str(error),
        )  # fmt: skip
        return False
    if (chain_id, genesis) != (trust.chain_id, trust.genesis):
        report.add(
            "chain", NOT_VALID,
            "The node serves chain {found} with genesis {genesis}; your trust file names chain {due} "
            "with genesis {due_genesis}.",
            found=chain_id, genesis=genesis, due=trust.chain_id, due_genesis=trust.genesis,
        )  # fmt: skip
        return False
    report.add("chain", VALID, "The node serves the trusted chain {chain_id}.", chain_id=chain_id)
    return True


def anchored_size(node: Node, trust: Trust) -> int:
    """How many leaves of the log the contract holds."""
    answer = node.call(trust.contracts["CheckpointAnchor"], LATEST)
    if len(answer) != 64:
        raise ValueError("this is no size and root")
    return int.from_bytes(answer[:32])


def root_of(node: Node, trust: Trust, size: int) -> bytes:
    """The root that the contract holds for a size; 32 zero bytes where it holds none."""
    return node.call(trust.contracts["CheckpointAnchor"], f"{ROOT_OF}{size:064x}")


def did_anchor(node: Node, trust: Trust, anchor: Any, checkpoint: Checkpoint) -> bool:
    """Whether the transaction that `anchor` names anchored the checkpoint, in the block that it names.

    Raises TypeError, KeyError or AttributeError too: the node's receipt may have any shape.
    """
    receipt = node.ask("eth_getTransactionReceipt", anchor["transaction"])
    return receipt is not None and any(
        entry["address"].lower() == trust.contracts["CheckpointAnchor"]
        and entry["topics"][1:3] == [f"0x{checkpoint.tree_size:064x}", "0x" + checkpoint.root.hex()]
        and int(entry["blockNumber"], 16) == anchor["block"]
        for entry in receipt["logs"]
    )


def voucher_verdict(node: Node, trust: Trust, key: bytes, digest: bytes, now: datetime) -> str:
    """How the contract says that a voucher stands; raises IndexError for a word it does not have."""
    data = f"{VERIFY_VOUCHER}{key.hex()}{digest.hex()}{int(now.timestamp()):064x}"
    answer = node.call(trust.contracts["VoucherRegistry"], data)
    return CHAIN_VERDICTS[int.from_bytes(answer[:32])]


def statement_verdict(node: Node, trust: Trust, key: bytes, digest: bytes, root: bytes) -> str:
    """How the contract says that a statement stands; raises IndexError for a state it does not have."""
    data = f"{VERIFY_STATEMENT}{key.hex()}{digest.hex()}{root.hex()}"
    answer = node.call(trust.contracts["RevenueBook"], data)
    if len(answer) != 96:
        raise ValueError("this is no state of a statement")
    matches, state = int.from_bytes(answer[:32]), int.from_bytes(answer[32:64])
    word = STATEMENT_STATES[state]
    return word if matches or not state else "another digest or root"


def statement_signatures(node: Node, trust: Trust, key: bytes) -> tuple[bool, int, int]:
    """Whether the contract holds it as one that takes another back, how many signed it, how many must."""
    answer = node.call(trust.contracts["RevenueBook"], f"{GET_STATEMENT}{key.hex()}")
    words = [int.from_bytes(answer[i : i + 32]) for i in range(0, len(answer), 32)]
    if len(answer) != 256 or max(words[3:5]) > 255:
        raise ValueError("this is no statement")
    _, _, _, due, signed, is_reversal, _, reverses = words
    return bool(is_reversal or reverses), signed, due
