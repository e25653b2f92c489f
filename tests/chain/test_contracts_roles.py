"""Who may call what: every function that changes state, refused for every wrong caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts import NAMES, artifact
from contracts.build import SOURCES
from tests.chain.stage import LATER, Refused, Stage, h

NOBODY = "0x" + "00" * 20
ID, REASON = h("voucher"), h("a record")

# contract, function, the role it takes, fitting arguments
CALLS: list[tuple[str, str, str, Callable[[Stage], list[Any]]]] = [
    ("anchor", "anchor", "ANCHOR_ROLE", lambda s: [1, h("root"), []]),
    ("vouchers", "issue", "REGISTRAR_ROLE", lambda s: [s.particulars("voucher")]),
    ("vouchers", "issueMany", "REGISTRAR_ROLE", lambda s: [[s.particulars("voucher")]]),
    *(
        ("vouchers", verb, "REGISTRAR_ROLE", lambda s: [ID, 1, REASON])
        for verb in ("suspend", "resume", "revoke", "cancel", "pledge", "release")
    ),
    ("vouchers", "renew", "REGISTRAR_ROLE", lambda s: [ID, 1, LATER, h("d"), REASON]),
    ("vouchers", "supersede", "REGISTRAR_ROLE", lambda s: [ID, 1, [s.particulars("n")], REASON]),
    ("vouchers", "transfer", "REGISTRAR_ROLE", lambda s: [ID, 1, s.buyer, h("d"), REASON]),
    ("vouchers", "replaceHolderKey", "REGISTRAR_ROLE", lambda s: [ID, 1, s.buyer, REASON]),
    ("vouchers", "addUses", "REGISTRAR_ROLE", lambda s: [ID, 1, 1, REASON]),
    ("vouchers", "addUsesMany", "REGISTRAR_ROLE", lambda s: [[(ID, 1, 1, REASON)]]),
    ("vouchers", "freeze", "REGULATOR_ROLE", lambda s: [ID, 1, REASON]),
    ("vouchers", "unfreeze", "REGULATOR_ROLE", lambda s: [ID, 1, REASON]),
    (
        "licences",
        "grant",
        "LICENSOR_ROLE",
        lambda s: [ID, 0, s.buyer, 1, h("terms"), 1, 2, 0, REASON],
    ),
    ("licences", "revoke", "LICENSOR_ROLE", lambda s: [ID, 0, 1, REASON]),
    ("book", "propose", "MAKER_ROLE", lambda s: [ID, h("d"), h("l"), 1, bytes(32), 0, REASON]),
    (
        "book",
        "approve",
        "MAKER_ROLE",
        lambda s: [ID, 1, h("d"), h("l"), s.checker.address, LATER, bytes(65), REASON],
    ),
    ("book", "withdraw", "MAKER_ROLE", lambda s: [ID, 1, REASON]),
]
HOLDERS = {
    "ANCHOR_ROLE": "anchorer",
    "REGISTRAR_ROLE": "registrar",
    "REGULATOR_ROLE": "regulator",
    "LICENSOR_ROLE": "licensor",
    "MAKER_ROLE": "maker",
}
OF_ACCESS_CONTROL = {"grantRole", "revokeRole", "renounceRole"}


@pytest.mark.parametrize(
    ("contract", "function", "role", "arguments"), CALLS, ids=[f"{c[0]}.{c[1]}" for c in CALLS]
)
def test_only_the_holder_of_the_role_gets_past_the_door(
    stage: Stage,
    contract: str,
    function: str,
    role: str,
    arguments: Callable[[Stage], list[Any]],
) -> None:
    its = getattr(stage, contract)
    number = its.functions[role]().call()
    call = its.functions[function](*arguments(stage))
    for name in ("admin", "stranger", "holder", *HOLDERS.values()):
        caller = getattr(stage, name)
        refused = stage.refusal(call, caller)
        door = Refused("AccessControlUnauthorizedAccount", (caller, number))
        assert (refused == door) == (name != HOLDERS[role]), name
    assert stage.fails(call, stage.stranger)


def test_the_list_of_calls_is_complete() -> None:
    listed = {function for _, function, _, _ in CALLS}
    written = {
        item["name"]
        for name in NAMES
        for item in artifact(name)["abi"]
        if item["type"] == "function" and item["stateMutability"] not in ("view", "pure")
    }
    assert written == listed | OF_ACCESS_CONTROL


def test_nothing_takes_money() -> None:
    for name in NAMES:
        for item in artifact(name)["abi"]:
            assert item.get("stateMutability") != "payable", (name, item)
            assert item["type"] not in ("receive", "fallback")


@pytest.mark.parametrize("contract", ["anchor", "vouchers", "licences", "book"])
def test_only_the_admin_gives_and_takes_roles(
    stage: Stage, reverts: Callable[..., None], contract: str
) -> None:
    its = getattr(stage, contract)
    role = h("some role")
    admin_role = its.functions.DEFAULT_ADMIN_ROLE().call()
    for name in ("stranger", *HOLDERS.values()):
        caller = getattr(stage, name)
        for verb in ("grantRole", "revokeRole"):
            call = its.functions[verb](role, stage.stranger)
            reverts(call, caller, "AccessControlUnauthorizedAccount", caller, admin_role)
    stage.do(its.functions.grantRole(role, stage.stranger), stage.admin)
    assert its.functions.hasRole(role, stage.stranger).call()
    stage.do(its.functions.revokeRole(role, stage.stranger), stage.admin)
    assert not its.functions.hasRole(role, stage.stranger).call()


@pytest.mark.parametrize("contract", ["anchor", "vouchers", "licences", "book"])
def test_no_role_goes_to_the_zero_address(
    stage: Stage, reverts: Callable[..., None], contract: str
) -> None:
    its = getattr(stage, contract)
    call = its.functions.grantRole(h("some role"), NOBODY)
    reverts(call, stage.admin, "RoleHolderZero", h("some role"))


def _constructors(stage: Stage) -> dict[str, list[Any]]:
    return {
        "CheckpointAnchor": [stage.admin, stage.anchorer],
        "VoucherRegistry": [stage.admin, stage.registrar, stage.regulator],
        "CirculationRegistry": [stage.admin, stage.licensor, stage.vouchers.address],
        "RevenueBook": [stage.admin, stage.maker, [stage.checker.address]],
    }


@pytest.mark.parametrize("name", NAMES)
def test_no_contract_is_deployed_with_the_zero_address(stage: Stage, name: str) -> None:
    arguments = _constructors(stage)[name]
    built = artifact(name)
    factory = stage.w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    assert stage.refusal_of_deployment(factory.constructor(*arguments)) is None
    for i, given in enumerate(arguments):
        wrong = [*arguments]
        wrong[i] = [NOBODY] if isinstance(given, list) else NOBODY
        refused = stage.refusal_of_deployment(factory.constructor(*wrong))
        assert refused is not None
        assert refused.name in ("RoleHolderZero", "VouchersMissing")


@pytest.mark.parametrize("count", [0, 17])
def test_the_book_is_not_deployed_without_a_checker_or_with_a_crowd(
    stage: Stage, count: int
) -> None:
    built = artifact("RevenueBook")
    factory = stage.w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    checkers = [stage.checker.address] * count
    refused = stage.refusal_of_deployment(factory.constructor(stage.admin, stage.maker, checkers))
    assert refused == Refused("CheckersOutOfRange", (count, 16))


def test_licences_are_not_deployed_for_a_registry_that_is_not_there(stage: Stage) -> None:
    built = artifact("CirculationRegistry")
    factory = stage.w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    constructor = factory.constructor(stage.admin, stage.licensor, stage.stranger)
    refused = stage.refusal_of_deployment(constructor)
    assert refused == Refused("VouchersMissing", (stage.stranger,))


def test_every_refusal_says_what_it_is_about() -> None:
    """Our own errors have arguments; one of OpenZeppelin's has none."""
    silent = {
        item["name"]
        for name in NAMES
        for item in artifact(name)["abi"]
        if item["type"] == "error" and not item["inputs"]
    }
    ours = "".join(path.read_text("utf-8") for path in SOURCES.rglob("*.sol"))
    assert not [name for name in silent if f"error {name}(" in ours], silent


def test_the_deployer_holds_no_role(stage: Stage) -> None:
    built = artifact("CheckpointAnchor")
    factory = stage.w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    sent = factory.constructor(stage.admin, stage.anchorer).transact({"from": stage.stranger})
    address = stage.w3.eth.get_transaction_receipt(sent)["contractAddress"]
    its = stage.w3.eth.contract(address=address, abi=built["abi"])
    for role in (its.functions.DEFAULT_ADMIN_ROLE().call(), its.functions.ANCHOR_ROLE().call()):
        assert not its.functions.hasRole(role, stage.stranger).call()
