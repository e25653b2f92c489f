"""A payee's proof of his own lines: approved on chain or not, and nothing of anybody else's lines."""

import copy
import json
import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, LedgerError
from ledger.proof import chain_node
from ledger.proof.chain_node import Node
from ledger.proof.credential import sign
from ledger.proof.encoding import canonical
from ledger.proof.report import CANNOT_TELL, NOT_VALID, VALID
from tests.proof.test_encoding import values
from tests.proof.test_verify import run
from tests.proof.test_verify_fuzz import OLD, paths, put, rearranged, shared
from tests.proof.world import (
    ARTIFACTS,
    GENESIS,
    ISSUED,
    LINE_SALTS,
    LINES,
    STATEMENT_KEY,
    Chain,
    World,
    check,
    outcomes,
    private_key,
    selector,
)

CONTRACTS_FOLDER = ARTIFACTS.parent


@pytest.fixture(scope="module")
def proof() -> dict[str, Any]:
    """The operator's proof of both his lines."""
    return World().line_proof()


def told(
    world: World, document: Any, node: Node | None, **trust: Any
) -> tuple[int, dict[str, int]]:
    """The verdict, and the steps that do not hold."""
    report = check(canonical(document), canonical({**world.trust, **trust}), node=node)
    return report.exit_code, {name: n for name, n in outcomes(report).items() if n}


def test_a_payee_shows_what_he_gets_of_an_approved_statement(
    world: World, proof: dict[str, Any], node: Node
) -> None:
    report = check(canonical(proof), world.trust_file, node=node)
    assert (report.exit_code, report.kind) == (VALID, "line proof")
    assert [step.name for step in report.steps] == [
        "form", "chain", "signature", "share", "share", "state",
    ]  # fmt: skip
    said = [step.sentence() for step in report.steps]
    assert "lines of statement FP2026-0001" in said[2]
    assert said[3] == "Line 1 of the 5 of the statement: 12500.00 yuan for 91000000DEM000003F."
    assert said[4] == "Line 4 of the 5 of the statement: -0.05 yuan for 91000000DEM000003F."
    assert said[5] == "On chain the statement is approved now; 1 of 1 checkers have signed."


def test_on_the_registry_s_own_chain_the_verdict_says_what_that_is_worth(
    world: World, proof: dict[str, Any], node: Node
) -> None:
    own = canonical({**world.trust, "chain": {**world.trust["chain"], "embedded": True}})
    report = check(canonical(proof), own, node=node)
    assert report.exit_code == VALID
    assert "own embedded chain" in report.steps[-1].sentence()


def state(number: int, **held: bytes) -> Callable[[Chain], None]:
    """The contract holds the statement in a state, or another digest or root for it."""

    def change(chain: Chain) -> None:
        digest, root, _, *rest = chain.statements[STATEMENT_KEY]
        chain.statements[STATEMENT_KEY] = [
            held.get("digest", digest), held.get("root", root), number, *rest,
        ]  # fmt: skip

    return change


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (state(1), CANNOT_TELL), (state(3), NOT_VALID), (state(4), NOT_VALID),
        (state(2, digest=bytes(32)), NOT_VALID), (state(2, root=bytes(32)), NOT_VALID),
        (state(1, root=bytes(32)), NOT_VALID), (state(5), CANNOT_TELL),
        (lambda chain: chain.statements.clear(), CANNOT_TELL),
        (lambda chain: chain.refuses.add("eth_call"), CANNOT_TELL),
    ],
    ids=["proposed", "withdrawn", "reversed", "digest", "root", "forged", "odd", "unknown", "silent"],
)  # fmt: skip
def test_what_the_contract_says_decides(
    world: World, proof: dict[str, Any], node: Node, chain: Chain,
    change: Callable[[Chain], None], verdict: int,
) -> None:  # fmt: skip
    change(chain)
    assert told(world, proof, node) == (verdict, {"state": verdict})


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_statement_that_takes_another_back_gives_nobody_anything_whoever_signed_for_it(
    world: World, proof: dict[str, Any], node: Node, chain: Chain, number: int
) -> None:
    """A reversal is approved with the lines of what it takes back; a lying registry signs them."""
    chain.statements[STATEMENT_KEY][2] = number
    chain.statements[STATEMENT_KEY][5] = b"\x01" + bytes(31)
    report = check(canonical(proof), world.trust_file, node=node)
    assert report.exit_code == NOT_VALID
    assert "takes another one back" in report.steps[-1].sentence()


def test_the_verdict_says_how_many_checkers_signed(
    world: World, proof: dict[str, Any], node: Node, chain: Chain
) -> None:
    chain.statements[STATEMENT_KEY][2:5] = 1, 1, 2
    report = check(canonical(proof), world.trust_file, node=node)
    assert report.exit_code == CANNOT_TELL
    assert report.steps[-1].sentence().endswith("is proposed now; 1 of 2 checkers have signed.")


@pytest.mark.parametrize(
    "answer", [b"", bytes(255), bytes(288), bytes(96) + b"\xff" * 32 + bytes(128)]
)
def test_a_contract_that_answers_something_else_tells_nothing(
    world: World, proof: dict[str, Any], node: Node, chain: Chain, answer: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    honest = chain.call

    def call(address: str, data: bytes) -> bytes:
        asked = data[:4].hex() == chain_node.GET_STATEMENT
        return answer if asked else honest(address, data)

    monkeypatch.setattr(chain, "call", call)
    assert told(world, proof, node) == (CANNOT_TELL, {"state": CANNOT_TELL})


def test_a_contract_that_is_not_there_tells_nothing(
    world: World, proof: dict[str, Any], node: Node, chain: Chain
) -> None:
    chain.call = lambda address, data: b""  # type: ignore[method-assign]
    assert told(world, proof, node) == (CANNOT_TELL, {"state": CANNOT_TELL})


def test_without_a_node_or_a_trust_file_nobody_can_tell(
    world: World, proof: dict[str, Any]
) -> None:
    assert told(world, proof, None) == (CANNOT_TELL, {"state": CANNOT_TELL})
    assert check(canonical(proof), None).exit_code == CANNOT_TELL
    away = Node("http://127.0.0.1:9", timeout_s=1)
    assert told(world, proof, away) == (CANNOT_TELL, {"chain": CANNOT_TELL, "state": CANNOT_TELL})


def test_a_trust_file_that_does_not_name_the_contract_is_too_old(
    world: World, proof: dict[str, Any], node: Node, chain: Chain
) -> None:
    contracts = dict(world.trust["chain"]["contracts"])
    del contracts["RevenueBook"]
    older = {**world.trust["chain"], "contracts": contracts}
    assert told(world, proof, node, chain=older) == (CANNOT_TELL, {"state": CANNOT_TELL})
    assert "eth_call" not in chain.asked


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", 2), ("genesis", "0x" + "11" * 32), ("revenue_book", "0x" + "11" * 20),
        ("revenue_book", None), ("chain_id", True),
    ],
)  # fmt: skip
def test_the_trust_file_says_which_chain_counts(
    world: World, node: Node, field: str, value: Any
) -> None:
    made = world.line_proof()
    elsewhere = world.line_proof(chain={**made["chain"], field: value})
    assert told(world, elsewhere, node) == (NOT_VALID, {"trust": NOT_VALID})


def test_a_node_of_another_chain_is_told(
    world: World, proof: dict[str, Any], node: Node, chain: Chain
) -> None:
    chain.genesis = "0x" + "11" * 32
    assert chain.genesis != GENESIS
    verdict, wrong = told(world, proof, node)
    assert (verdict, wrong["chain"]) == (NOT_VALID, NOT_VALID)


def test_only_the_registry_s_key_in_its_time_and_for_its_log_counts(
    world: World, node: Node, attacker: World
) -> None:
    stranger = world.line_proof(signer=private_key("stranger"))
    assert told(world, stranger, node) == (NOT_VALID, {"trust": NOT_VALID})
    early = world.line_proof(at=ISSUED - timedelta(seconds=1))
    assert told(world, early, node) == (NOT_VALID, {"trust": NOT_VALID})
    assert told(world, attacker.line_proof(), node) == (NOT_VALID, {"trust": NOT_VALID})
    other = world.line_proof(log="other.example/log")
    assert told(world, other, node) == (NOT_VALID, {"trust": NOT_VALID})


def test_a_line_that_is_not_the_statement_s_is_not_made_nor_believed(
    world: World, proof: dict[str, Any], node: Node
) -> None:
    """Even signed by the registry itself."""
    forged = copy.deepcopy(proof)
    del forged["proof"]
    forged["lines"][0]["line"]["amount_fen"] += 1
    signed = sign(forged, world.registry.credential_key, ISSUED)
    assert told(world, signed, node) == (NOT_VALID, {"share": NOT_VALID})
    with pytest.raises(LedgerError, match="not in this statement"):
        world.line_proof(lines=forged["lines"])
    for place in (0, 1):
        facts = {**proof["lines"][place], "index": 2}
        with pytest.raises(LedgerError):
            world.line_proof(lines=[facts])


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": []}, {"lines": "x"}, {"lines": [None]}, {"line_count": "5"}, {"line_count": True},
        {"digest": "sha256:00"}, {"key": "00" * 32}, {"key": "0x00"}, {"line_root": "00"},
        {"statement": 1}, {"log": None}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_proof_of_another_form_is_refused(
    world: World, proof: dict[str, Any], node: Node, changes: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        world.line_proof(**changes)
    bare = {name: value for name, value in proof.items() if name != "proof"}
    signed = sign({**bare, **changes}, world.registry.credential_key, ISSUED)
    assert told(world, signed, node) == (NOT_VALID, {"form": NOT_VALID})


def test_one_file_is_one_payee_s_and_in_order(world: World, proof: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="more than one payee"):
        world.line_proof(0, 1)
    with pytest.raises(Invalid, match="order"):
        world.line_proof(3, 0)
    with pytest.raises(Invalid, match="order"):
        world.line_proof(0, 0)


def test_nothing_of_another_payee_s_line_is_in_it_but_hashes(proof: dict[str, Any]) -> None:
    text = canonical(proof).decode()
    for line, salt in zip(LINES, LINE_SALTS, strict=True):
        if line["party"] != "91000000DEM000003F":
            assert line["party"] not in text
            assert f'"{line["en"]}"' not in text
            assert salt.hex() not in text
    for placed in proof["lines"]:
        assert all(len(bytes.fromhex(one)) == 32 for one in placed["inclusion"])
        assert len(placed["inclusion"]) <= 3
    others = [line for line in LINES if line["party"] != "91000000DEM000003F"]
    assert not any(str(line["amount_fen"]) in text for line in others if line["amount_fen"] > 9)


# Whatever is done to the file


def test_no_byte_can_be_changed_put_in_or_left_out(world: World, proof: dict[str, Any]) -> None:
    """Offline, where the good file gives 2: each changed one is not valid."""
    data = canonical(proof)
    assert check(data, world.trust_file).exit_code == CANNOT_TELL
    chance = random.Random(7)
    for place in range(0, len(data), 2):
        other = bytearray(data)
        other[place] ^= 1 << chance.randrange(8)
        for changed in (bytes(other), data[:place] + data[place + 1 :]):
            assert check(changed, world.trust_file).exit_code == NOT_VALID, place
    for changed in (data + b"\n", b" " + data, b"\xef\xbb\xbf" + data, b""):
        assert check(changed, world.trust_file).exit_code == NOT_VALID


@pytest.mark.slow
def test_no_bit_can_be_flipped_and_no_byte_made_another(
    world: World, proof: dict[str, Any]
) -> None:
    data = canonical(proof)
    chance = random.Random(8)
    for place in range(len(data)):
        for flip in [1 << bit for bit in range(8)] + [chance.randrange(1, 256) for _ in range(4)]:
            changed = bytearray(data)
            changed[place] ^= flip
            assert check(bytes(changed), world.trust_file).exit_code == NOT_VALID, (place, flip)


def test_no_value_can_be_replaced_taken_out_or_put_in(
    world: World, proof: dict[str, Any], node: Node
) -> None:
    for path in paths(proof):
        for other in [put(proof, path, value) for value in OLD] + rearranged(proof, path):
            if canonical(other) != canonical(proof):
                assert check(canonical(other), world.trust_file).exit_code == NOT_VALID, path


def test_the_registry_can_lie_of_the_number_and_how_many_lines_there_are_and_of_nothing_else(
    world: World, proof: dict[str, Any], node: Node
) -> None:
    """The chain holds neither: whatever else is signed anew is refused."""
    bare = {name: value for name, value in proof.items() if name != "proof"}
    free, found = {("statement",), ("line_count",)}, set()
    tried = [path for path in paths(bare) if path and path != ("issuer",)]
    for path in tried:
        for value in (1, 6, "a", "0x" + "00" * 32, "sha256:" + "00" * 32, [], {}):
            other = put(bare, path, value)
            if canonical(other) == canonical(bare):
                continue
            signed = canonical(sign(other, world.registry.credential_key, ISSUED))
            if check(signed, world.trust_file, node=node).exit_code == VALID:
                found.add(path)
    assert found == free


@shared
@given(values)
def test_random_json_of_this_type_gets_a_verdict(world: World, value: Any) -> None:
    made = {"lines": value, "proof": value, "type": "shuzheng/line", "v": 1}
    assert check(canonical(made), world.trust_file).exit_code == NOT_VALID


@shared
@given(st.data())
def test_random_values_in_random_places_get_a_verdict(
    world: World, proof: dict[str, Any], data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(list(paths(proof))))
    other = put(proof, path, data.draw(values))
    if canonical(other) != canonical(proof):
        assert check(canonical(other), world.trust_file).exit_code == NOT_VALID


# At the command line, as a stranger runs it


def test_a_stranger_checks_it_with_python_alone(
    world: World, proof: dict[str, Any], node: Node, tmp_path: Any
) -> None:
    trust, file = tmp_path / "trust.json", tmp_path / "line.json"
    trust.write_bytes(world.trust_file)
    file.write_bytes(canonical(proof))
    good = run(file, "--trust", trust, "--rpc", node.url)
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "→ valid")
    assert run(file, "--trust", trust, "--offline").returncode == 2
    assert run(file, "--trust", trust).returncode == 2
    file.write_bytes(canonical(put(proof, ("lines", 0, "line", "amount_fen"), 1_250_001)))
    assert run(file, "--trust", trust, "--rpc", node.url).returncode == 1


def test_the_contract_is_asked_by_its_own_abi_and_its_states_are_known() -> None:
    assert selector("RevenueBook", "verify") == chain_node.VERIFY_STATEMENT
    assert selector("RevenueBook", "get") == chain_node.GET_STATEMENT
    abi = json.loads((ARTIFACTS / "RevenueBook.json").read_text())["abi"]
    (get,) = (one for one in abi if one.get("name") == "get")
    assert [(one["name"], one["type"]) for one in get["outputs"][0]["components"]] == [
        ("proposer", "address"), ("version", "uint24"), ("state", "uint8"),
        ("approvalsRequired", "uint8"), ("approvals", "uint8"), ("isReversal", "bool"),
        ("seal", "bytes32"), ("reverses", "bytes32"),
    ]  # fmt: skip
    source = (CONTRACTS_FOLDER / "src" / "interfaces" / "IRevenueBook.sol").read_text()
    (states,) = re.findall(r"enum State \{(.*?)\}", source, re.DOTALL)
    known = ["None", *(word.title() for word in chain_node.STATEMENT_STATES[1:])]
    assert [word.strip() for word in states.split(",")] == known
