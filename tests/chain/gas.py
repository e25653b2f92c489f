"""What each transaction costs, measured on a fresh chain.

    python -m tests.chain.gas           print the figures
    python -m tests.chain.gas --write   write them to tests/golden/gas.json

The figures are `gasUsed` of the receipts and depend on the artifacts only: ids, accounts and
signatures are the same at every run. A change of `gas.json` belongs to a change of a contract.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.chain.stage import LATER, Stage, h
from tests.proof import rfc9162

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "gas.json"

# What design and customer allow in the typical case: unlimited uses, one approval, no reversal,
# a checker who has signed before.
TARGETS = {
    "VoucherRegistry.issue": 80_000,
    "VoucherRegistry.issueMany each of 50": 57_000,
    "VoucherRegistry.transfer": 40_000,
    "CirculationRegistry.grant first": 85_000,
    "CirculationRegistry.grant next": 85_000,
    "RevenueBook.propose and approve": 135_000,
    "CheckpointAnchor.anchor first": 75_000,
    "CheckpointAnchor.anchor 1000003 to 1001003": 80_000,
    "CheckpointAnchor.anchor 32 hashes": 104_000,
}


def measure() -> dict[str, int]:
    """Return gas used by case, measured on a chain of its own."""
    stage = Stage()
    found = {f"{name}.constructor": gas for name, gas in stage.deployment_gas.items()}
    found |= _vouchers(stage)
    found |= _licences(stage)
    found |= _statements(stage)
    found |= _anchors(stage)
    return dict(sorted(found.items()))


def batch(stage: Stage, count: int, name: str) -> int:
    """Return the gas of issuing `count` vouchers in one transaction."""
    given = [stage.particulars(f"{name} {i}") for i in range(count)]
    return stage.gas(stage.vouchers.functions.issueMany(given), stage.registrar)


def _vouchers(stage: Stage) -> dict[str, int]:
    f, registrar, regulator = stage.vouchers.functions, stage.registrar, stage.regulator
    id_, reason = h("voucher"), h("reason")
    found = {}

    def cost(case: str, call: Any, sender: str = registrar) -> None:
        found[f"VoucherRegistry.{case}"] = stage.gas(call, sender)

    cost("issue", f.issue(stage.particulars("voucher")))
    cost("issue limited", f.issue(stage.particulars("limited", maxUses=1000)))
    fifty = batch(stage, 50, "of fifty")
    found["VoucherRegistry.issueMany 50"] = fifty
    found["VoucherRegistry.issueMany each of 50"] = -(-fifty // 50)
    cost("transfer", f.transfer(id_, 1, stage.buyer, h("new credential"), reason))
    cost("suspend", f.suspend(id_, 2, reason))
    cost("resume", f.resume(id_, 3, reason))
    cost("renew", f.renew(id_, 4, LATER + 1, h("renewed credential"), reason))
    cost("pledge", f.pledge(id_, 5, reason))
    cost("release", f.release(id_, 6, reason))
    cost("freeze", f.freeze(id_, 7, reason), regulator)
    cost("unfreeze", f.unfreeze(id_, 8, reason), regulator)
    cost("replaceHolderKey", f.replaceHolderKey(id_, 9, stage.holder, reason))
    two = [stage.particulars("first part"), stage.particulars("second part")]
    cost("supersede by 2", f.supersede(id_, 10, two, reason))
    cost("revoke", f.revoke(h("first part"), 1, reason))
    cost("cancel", f.cancel(h("second part"), 1, reason))
    cost("addUses", f.addUses(h("limited"), 1, 10, reason))
    for i in range(50):
        stage.issue(f"metered {i}", maxUses=1000)
    metered = [(h(f"metered {i}"), 1, 10, reason) for i in range(50)]
    cost("addUsesMany 50", f.addUsesMany(metered))
    # The dearest transaction there is: as many successors as are allowed, each with a third slot.
    stage.issue("of many")
    count = f.BATCH_MAX().call()
    many = [stage.particulars(f"part {i}", maxUses=1000) for i in range(count)]
    cost(f"supersede by {count}, limited", f.supersede(h("of many"), 1, many, reason))
    return found


def _licences(stage: Stage) -> dict[str, int]:
    f, voucher, reason = stage.licences.functions, stage.issue("licensed"), h("reason")
    found = {}
    for n, case in enumerate(("first", "next")):
        call = f.grant(voucher, n, stage.buyer, 2, h("terms"), LATER - 1000, LATER, 0, reason)
        found[f"CirculationRegistry.grant {case}"] = stage.gas(call, stage.licensor)
    found["CirculationRegistry.revoke"] = stage.gas(f.revoke(voucher, 0, 1, reason), stage.licensor)
    return found


def _statements(stage: Stage) -> dict[str, int]:
    found = {}
    for name, case in (("statement 1", "checker's first"), ("statement 2", "")):
        proposed = stage.gas(stage.proposal(name), stage.maker)
        approved = stage.gas(stage.approval(name), stage.maker)
        if not case:
            found["RevenueBook.propose"] = proposed
            found["RevenueBook.propose and approve"] = proposed + approved
        found[f"RevenueBook.approve {case}".strip()] = approved
    reversal = stage.proposal("reversal", reverses=h("statement 1"), approvals=2)
    found["RevenueBook.propose reversal"] = stage.gas(reversal, stage.maker)
    found["RevenueBook.approve 1 of 2"] = stage.gas(stage.approval("reversal"), stage.maker)
    last = stage.approval("reversal", stage.second_checker)
    found["RevenueBook.approve 2 of 2, reversal"] = stage.gas(last, stage.maker)
    stage.propose("regretted")
    found["RevenueBook.withdraw"] = stage.gas(stage.withdrawal("regretted"), stage.maker)
    return found


def _anchors(stage: Stage) -> dict[str, int]:
    found = {}
    # The dearest proof of 32 hashes: all but two are hashed into both roots.
    for case, old_size, new_size in (
        ("1000003 to 1001003", 1_000_003, 1_001_003),
        ("32 hashes", (1 << 31) - 1, 1 << 31),
    ):
        contract = stage.deploy("CheckpointAnchor", stage.admin, stage.anchorer)
        old_root, new_root, proof = rfc9162.invented(old_size, new_size)
        first = contract.functions.anchor(old_size, old_root, [])
        found["CheckpointAnchor.anchor first"] = stage.gas(first, stage.anchorer)
        following = contract.functions.anchor(new_size, new_root, proof)
        found[f"CheckpointAnchor.anchor {case}"] = stage.gas(following, stage.anchorer)
        assert case != "32 hashes" or len(proof) == 32
    return found


if __name__ == "__main__":
    text = json.dumps(measure(), indent=1) + "\n"
    if "--write" in sys.argv[1:]:
        GOLDEN.write_text(text, "utf-8")
    print(text, end="")
