"""Four contracts and their models side by side: every call is done to both, and nothing may differ.

Beside the comparison stand laws that need no model: `Watch` reads only what the contracts tell.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from tests.chain import trials
from tests.chain.models import (
    ANCHORER,
    CHECKERS,
    LICENSOR,
    MAKER,
    NAMES,
    OTHER_MAKER,
    REGISTRAR,
    REGULATOR,
    AnchorModel,
    BookModel,
    Call,
    LicenceModel,
    Model,
    Pick,
    VoucherModel,
    role,
)
from tests.chain.revm import ADMIN, START, Chain, Contract, Event
from tests.chain.stage import GAS, Refused

DOORS = {
    "CheckpointAnchor": AnchorModel.DOORS,
    "VoucherRegistry": VoucherModel.DOORS,
    "CirculationRegistry": LicenceModel.DOORS,
    "RevenueBook": BookModel.DOORS,
}


class DifferenceError(AssertionError):
    """Contract and model disagree, or a law is broken; says over what."""


class World:
    """The contracts, their models, and those who watch; `begin` makes all new."""

    def __init__(self, artifacts: dict[str, dict[str, Any]] | None = None) -> None:
        self.chain = Chain(artifacts or {})
        deploy = self.chain.deploy
        vouchers = deploy("VoucherRegistry", ADMIN, REGISTRAR, REGULATOR)
        self.contracts: dict[str, Contract] = {
            "CheckpointAnchor": deploy("CheckpointAnchor", ADMIN, ANCHORER),
            "VoucherRegistry": vouchers,
            "CirculationRegistry": deploy("CirculationRegistry", ADMIN, LICENSOR, vouchers.address),
            "RevenueBook": deploy("RevenueBook", ADMIN, MAKER, CHECKERS[:3]),
        }
        book = self.contracts["RevenueBook"]
        for maker in (OTHER_MAKER, CHECKERS[2]):
            book.do(ADMIN, "grantRole", role("MAKER_ROLE"), maker)
        self._fresh = self.chain.evm.snapshot()
        self._models()

    def _models(self) -> None:
        vouchers = VoucherModel()
        self.models: dict[str, Model] = {
            "CheckpointAnchor": AnchorModel(),
            "VoucherRegistry": vouchers,
            "CirculationRegistry": LicenceModel(vouchers),
            "RevenueBook": BookModel(self.contracts["RevenueBook"].address),
        }
        self._slots = self._stored()
        self.watch = Watch(self)
        self.refusals: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def begin(self) -> None:
        """Take everything back to the day of deployment."""
        self.chain.evm.revert(self._fresh)
        self._fresh = self.chain.evm.snapshot()
        self.chain.at(START)
        self._models()

    def _stored(self) -> dict[str, dict[str, str]]:
        return dict(zip(self.contracts, self.chain.storage(*self.contracts.values()), strict=True))

    def step(self, name: str, pick: Pick) -> None:
        """Make up a call on a contract and do it."""
        self.do(name, self.models[name].suggest(pick))

    def do(self, name: str, call: Call) -> None:
        """Do a call to contract and model; raise DifferenceError where they differ."""
        contract, model = self.contracts[name], self.models[name]
        model.now = self.chain.now
        before = self._slots
        may = self.watch.may(name, call)
        did: list[Event] | Refused
        should: list[Event] | Refused
        try:
            did = contract.do(call.caller, call.function, *call.arguments)
        except Refused as refused:
            did = refused
        try:
            should = model.judge(call)
        except Refused as refused:
            should = refused
        what = f"{call.function} by {NAMES.get(call.caller, call.caller)}"
        if not _same(did, should):
            raise DifferenceError(f"{what}: should be {_words(should)}, is {_words(did)}")
        after = self._slots = self._stored()
        if isinstance(did, Refused):
            self.refusals[did.name] += 1
            self.watch.law(after == before, f"{what}: refused, yet storage changed")
        else:
            self.done[call.function] += 1
            self.watch.law(may, f"{what}: done without the role")
            self.watch.law(self.chain.gas_used <= GAS, f"{what}: too much gas")
            untouched = {one for one in after if one != name}
            same = all(after[one] == before[one] for one in untouched)
            self.watch.law(same, f"{what}: another contract changed")
            self.watch.see(name, did)
            self.compare(name, what)

    def compare(self, name: str, what: str) -> None:
        """Ask every view, of this contract's model and of the watch."""
        contract = self.contracts[name]
        for function, arguments, answer in self.models[name].views():
            try:
                is_get = function == "get"
                told = contract.fields(*arguments) if is_get else contract.ask(function, *arguments)
            except Refused as refused:
                told = refused
            if told != answer:
                raise DifferenceError(f"{what}: then {function} says {told}, not {answer}")
        self.watch.look(name, what)


def _same(did: list[Event] | Refused, should: list[Event] | Refused) -> bool:
    if isinstance(did, Refused) and isinstance(should, Refused):
        # an anchor's model says the step only
        step = trials.STEPS.get(did.name, did.name)
        return did == should or (should.arguments == () and step == should.name)
    return did == should


def _words(outcome: list[Event] | Refused) -> str:
    if isinstance(outcome, Refused):
        return f"refused with {outcome.name}"
    return "done, telling " + (", ".join(name for name, _ in outcome) or "nothing")


class Watch:
    """Laws over what the contracts tell, without any model.

    A version is the number of a subject's events. An event tells the state that the getter tells
    afterwards. Anchored sizes grow and anchored roots stay. Nobody approves his own statement, and
    none is reversed twice. Nobody without the role changes anything.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.versions: Counter[tuple[str, Any]] = Counter()
        self.told: dict[tuple[str, Any], dict[str, Any]] = {}
        self.roots: dict[int, bytes] = {}
        self.reversed: set[bytes] = set()

    @staticmethod
    def law(holds: bool, otherwise: str) -> None:
        if not holds:
            raise DifferenceError(otherwise)

    def may(self, name: str, call: Call) -> bool:
        """Whether the contract says, before a call, that its caller holds the role it takes."""
        contract = self.world.contracts[name]
        if call.function == "renounceRole":
            return bool(call.arguments[1] == call.caller)
        needed = bytes(32) if "Role" in call.function else role(DOORS[name][call.function])
        return bool(contract.ask("hasRole", needed, call.caller))

    def see(self, name: str, events: list[Event]) -> None:
        """Note what a deed told."""
        for event, told in events:
            if event == "Anchored":
                self.law(told["size"] > max(self.roots, default=0), "a size that is not larger")
                self.roots[told["size"]] = told["root"]
            elif event in ("Changed", "Granted", "Revoked"):
                key = name, told["id"] if event == "Changed" else (told["voucher"], told["n"])
                self.versions[key] += 1
                self.law(told["version"] == self.versions[key], "a version that is not the next")
                old = self.told.get(key, {}).get("newState", 0)
                self.law(told.get("oldState", old) == old, "an old state that was not told before")
                self.told[key] = told
            elif event == "Approved":
                proposer = self.world.contracts[name].fields(told["id"])["proposer"]
                self.law(told["checker"] != proposer, "a statement approved by its proposer")
            elif event == "Reversed":
                self.law(told["id"] not in self.reversed, "a statement reversed twice")
                self.reversed.add(told["id"])

    def look(self, name: str, what: str) -> None:
        """Compare what was told with what stands there now."""
        contract = self.world.contracts[name]
        if name == "CheckpointAnchor":
            for size, root in self.roots.items():
                self.law(contract.ask("rootOf", size) == root, f"{what}: a root changed")
        for (its, key), told in self.told.items():
            if its == name:
                now = contract.fields(*(key if isinstance(key, tuple) else (key,)))
                self.law(now["version"] == self.versions[its, key], f"{what}: a version untold")
                for field in ("holder", "digest"):
                    self.law(told.get(field, now.get(field)) == now.get(field), f"{what}: {field}")
                self.law(told.get("newState", now.get("state")) == now.get("state"), what)


def walk(world: World, names: list[str], steps: int, seed: int = 0) -> None:
    """Do calls made up by a seeded chance, beginning anew every 60 steps."""
    chance = Random(seed)
    for turn in range(steps):
        if turn % 60 == 0:
            world.begin()
        if turn % 10 == 9:
            world.chain.at(world.chain.now + chance.choice([1, 40, 70]))
        world.step(chance.choice(names), chance.choice)
