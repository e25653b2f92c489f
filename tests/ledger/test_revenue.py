"""Revenue: every fen placed, payments shared out once, two persons and the checker's own key."""

import copy
import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from sqlalchemy import select

from ledger import agreements, approvals, books, log, parties, revenue, schemes, statements, trading
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed
from ledger.proof import merkle
from ledger.proof.encoding import canonical, digest_text, unhex
from ledger.settlements import Settlement
from ledger.statements import Statement
from tests.chain.stage import Stage
from tests.conftest import CHECKER_KEYS, ORIGIN, PARTIES, START, Town
from valuation import InputError
from valuation.sharing import share

CONTRACT = Path(__file__).parents[2] / "contracts" / "src" / "RevenueBook.sol"
OPERATOR, BUREAU, REGISTRY, TREASURY = (
    PARTIES[key][2] for key in ("operator", "bureau", "registry", "treasury")
)
THIRDS = {
    "name": {"en": "thirds", "zh": "三等分"},
    "steps": [
        {
            "kind": "pool",
            "label": {"en": "pool", "zh": "收益池"},
            "shares": [{"party": p, "share": "1/3"} for p in (OPERATOR, BUREAU, TREASURY)],
        }
    ],
    "v": 1,
}


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def paid(statement: Statement) -> dict[str, int]:
    totals: dict[str, int] = {}
    for line in statement.lines:
        totals[line["party"]] = totals.get(line["party"], 0) + line["amount_fen"]
    return totals


def refused(town: Town, refusal: type[Exception], act: Callable[[], Any], match: str = ".") -> None:
    before = town.snapshot()
    with pytest.raises(refusal, match=match):
        act()
    assert town.snapshot() == before


# ---------------------------------------------------------------- schemes


@pytest.mark.parametrize("share_of_one", ["1/3", "0", "-1/3", "2/3", 0.5, "x"])
def test_a_scheme_that_loses_or_invents_a_fen_is_refused(
    village: Town, share_of_one: object
) -> None:
    agreement = village.agreement()
    document = copy.deepcopy(THIRDS)
    document["steps"][0]["shares"] = [{"party": OPERATOR, "share": share_of_one}]  # type: ignore[index]
    refused(
        village, InputError,
        lambda: village.do("olga", schemes.propose, agreement, document, START.date()),
    )  # fmt: skip


def test_the_same_scheme_again_is_the_same_edition_and_another_the_next(town: Town) -> None:
    agreement = town.agreement()

    def propose(document: Any) -> schemes.Scheme:
        return town.do("olga", schemes.propose, agreement, document, START.date())

    first = propose(THIRDS)
    before = town.snapshot()
    assert propose(THIRDS).id == first.id
    assert town.snapshot() == before
    second = propose(town.scheme_document())
    assert (first.edition, second.edition) == (1, 2)
    with town.reading() as session:
        assert schemes.scheme_of(session, agreement).id == second.id
        assert schemes.scheme_of(session, agreement, 1).id == first.id
        with pytest.raises(Missing):
            schemes.scheme_of(session, agreement, 3)


def test_the_scheme_of_the_period_s_first_day_is_the_one_agreed_and_in_effect(town: Town) -> None:
    agreement, licence = town.sold()
    later = town.do("olga", schemes.propose, agreement, THIRDS, town.now.date() + timedelta(days=1))
    town.do("paul", schemes.agree, later, agreement)
    unagreed = copy.deepcopy(THIRDS)
    unagreed["name"] = {"en": "not agreed", "zh": "未同意"}
    town.do("olga", schemes.propose, agreement, unagreed, town.now.date())
    first = town.statement_over(agreement, licence, "posted", facts={"platform_cost_fen": 0})
    second = town.statement_over(agreement, licence)
    assert first.scheme_id != second.scheme_id == later.id


# ---------------------------------------------------------------- drafting


def test_a_statement_places_every_fen_by_the_scheme(town: Town) -> None:
    made = town.statement(platform_cost_fen=1000)
    assert made.amount_fen == 94342  # 100,003 fen without 6 % VAT
    assert sum(line["amount_fen"] for line in made.lines) == made.amount_fen
    rest = Fraction(made.amount_fen - 1000)
    due = {
        OPERATOR: 1000 + rest * Fraction(9, 10) * Fraction(3, 5),
        TREASURY: rest / 10,
        BUREAU: rest * Fraction(9, 10) * Fraction(3, 10),
        REGISTRY: rest * Fraction(9, 100),
    }
    for party, amount in paid(made).items():
        assert abs(amount - due[party]) < 1
    again = share(town.scheme_document(), made.amount_fen, made.facts, made.deficits_before)
    due = [{k: v for k, v in line.to_dict().items() if k != "steps"} for line in again.lines]
    assert due == made.lines
    assert again.derivation.to_dict() == made.derivation
    assert made.derivation == again.derivation.to_dict()
    assert made.digest == digest_text(canonical(statements.content(made)))
    assert len(unhex(made.salt, 16)) == 16


def test_a_statement_of_the_same_period_is_the_same_statement(town: Town) -> None:
    made = town.statement()
    agreement = town.get(agreements.Agreement, made)
    before = town.snapshot()

    def again(**facts: int) -> statements.Statement:
        return town.do(
            "mona", revenue.draft, agreement, from_on=date.fromisoformat(made.from_on),
            until_on=date.fromisoformat(made.until_on), facts=facts,
        )  # fmt: skip

    assert again(platform_cost_fen=1000).id == made.id
    with pytest.raises(Conflict, match="other facts"):
        again(platform_cost_fen=1)
    assert town.snapshot() == before


def test_a_payment_entered_late_is_distributed_by_the_next_statement(town: Town) -> None:
    agreement, licence = town.sold()
    costs = {"platform_cost_fen": 1000}
    first = town.statement_over(agreement, licence, "posted", facts=costs)
    late = town.do(
        "mona", trading.record_payment, licence=licence, amount_fen=53, received_on=first.until_on,
        reference="LATE",
    )  # fmt: skip
    town.later(days=1)
    second = town.statement_over(agreement, licence, facts=costs)
    assert second.covers is not None
    assert (second.own_fen, second.late_fen, second.trade_count) == (94342, late.net_fen, 2)
    nothing = {"refunded_fen": 0, "refunds": 0}
    assert second.covers["late"] == {"net_fen": late.net_fen, "trades": 1, **nothing}
    assert second.covers["after"] == {
        "statement": first.number, "through_n": 1, "until_on": first.until_on,
    }  # fmt: skip
    assert second.amount_fen == sum(line["amount_fen"] for line in second.lines) == 94342 + 50
    with town.reading() as session:
        rows = session.scalars(select(Settlement).order_by(Settlement.n)).all()
        found = [revenue.statement_of(session, row) for row in rows]
        assert [one and one.number for one in found] == [first.number, second.number, second.number]


def test_an_approval_that_the_chain_refused_can_be_taken_back_and_given_anew(town: Town) -> None:
    made = town.statement("approved")
    with pytest.raises(Conflict, match="no approval that the chain refused"):
        town.do("mona", approvals.reopen, made)
    town.settle(made, "alarm")
    with pytest.raises(NotAllowed):
        town.do("max", approvals.reopen, made)
    town.do("mona", approvals.reopen, made)
    town.approve(made)
    town.settle(made)
    assert [statement.id for statement in town.post()] == [made.id]


def test_nobody_s_share_is_booked_to_nobody(town: Town) -> None:
    agreement = town.agreement()
    document = json.loads(json.dumps(town.scheme_document()).replace("91000000DEM000003F", "91X"))
    with pytest.raises((Missing, Invalid)):
        town.do("olga", schemes.propose, agreement, document, town.now.date())


@pytest.mark.parametrize(
    "given", ["91000000dem000003f", "91000000 DEM 000003F", "９1000000DEM000003F"]
)
def test_a_share_goes_to_a_code_as_the_books_spell_it(town: Town, given: str) -> None:
    """A statement with another spelling could be signed by all, and then not be booked."""
    agreement = town.agreement()
    document = json.loads(json.dumps(town.scheme_document()).replace("91000000DEM000003F", given))
    with pytest.raises(Invalid, match="is written 91000000DEM000003F"):
        town.do("olga", schemes.propose, agreement, document, town.now.date())


@pytest.mark.parametrize(("before", "after"), [(0, 1), (1, 0), (1, 1)])
def test_an_overlapping_period_is_refused(town: Town, before: int, after: int) -> None:
    made = town.statement("posted")
    town.later(days=5)
    agreement, day = town.get(agreements.Agreement, made), date.fromisoformat(made.from_on)
    refused(
        town, Conflict,
        lambda: town.do(
            "mona", revenue.draft, agreement, from_on=day - timedelta(days=before),
            until_on=day + timedelta(days=after), facts={},
        ),
        match="already covers",
    )  # fmt: skip


@pytest.mark.parametrize("state", ["drafted", "proposed", "approved"])
def test_the_next_statement_waits_until_the_last_one_is_in_the_books(
    town: Town, state: str
) -> None:
    made = town.statement(state)
    agreement = town.get(agreements.Agreement, made)
    town.later(days=5)
    day = date.fromisoformat(made.from_on) + timedelta(days=1)
    refused(
        town, Conflict,
        lambda: town.do("mona", revenue.draft, agreement, from_on=day, until_on=day, facts={}),
        match="finish it first",
    )  # fmt: skip


def test_a_period_must_have_ended_and_hold_a_payment_under_an_agreed_scheme(town: Town) -> None:
    agreement, licence = town.sold()
    town.payment(licence, 106)
    today = town.now.date()

    def draft(from_on: date, until_on: date) -> Callable[[], Any]:
        return lambda: town.do(
            "mona", revenue.draft, agreement, from_on=from_on, until_on=until_on,
            facts={"platform_cost_fen": 0},
        )  # fmt: skip

    day = timedelta(days=1)
    refused(town, Invalid, draft(today, today), "has not ended")
    refused(town, Invalid, draft(today - day, today - 2 * day), "ends before it begins")
    refused(town, Missing, draft(today - 2 * day, today - day), "Nothing was received up to")
    unknown = today - timedelta(days=300)
    refused(town, Missing, draft(unknown, today - day), "no agreed scheme")
    town.later(days=1)
    assert draft(today, today)().amount_fen == 100


def test_only_the_agreement_s_payments_are_shared_and_each_once(town: Town) -> None:
    agreement, licence = town.sold()
    _, other = town.sold()
    town.payment(other, 777_777, "OTHER")
    first = town.statement_over(agreement, licence, "posted", facts={"platform_cost_fen": 0})
    second = town.statement_over(agreement, licence, facts={"platform_cost_fen": 0})
    assert (first.trade_count, second.trade_count) == (1, 1)
    with town.reading() as session:
        found = {
            row.net_fen: revenue.statement_of(session, row)
            for row in session.scalars(select(Settlement).order_by(Settlement.n))
        }  # fmt: skip
        apart = found.pop(733_752)  # of the other agreement, 777,777 fen without 6 % VAT
        assert apart is None
        assert {one and one.id for one in found.values()} == {second.id}
        rows = session.scalars(select(Settlement).where(Settlement.net_fen == 94_342)).all()
        assert {revenue.statement_of(session, row).id for row in rows} == {first.id, second.id}  # type: ignore[union-attr]


def test_rounding_is_carried_on_so_that_nobody_is_ever_a_fen_off(town: Town) -> None:
    registered = town.registration()
    agreement = town.get(agreements.Agreement, registered)
    town.scheme(agreement, THIRDS)
    licence = town.licence(town.voucher(registered))
    total, received = 0, dict.fromkeys((OPERATOR, BUREAU, TREASURY), 0)
    carried: dict[str, Any] = {}
    for amount in (106, 212, 742, 53):  # net 100, 200, 700, 50
        made = town.statement_over(agreement, licence, "posted", amount_fen=amount)
        assert made.deficits_before == carried
        carried = now_of(town, made).deficits_after
        total += made.amount_fen
        assert sum(paid(made).values()) == made.amount_fen
        for party, fen in paid(made).items():
            received[party] += fen
            off = Fraction(total, 3) - received[party]
            assert abs(off) < 1
            assert Fraction(carried[party]) == off
    assert total == 1050
    assert set(received.values()) == {350}


# ---------------------------------------------------------------- proposal and rejection


def act_of(town: Town, made: Statement, version: int) -> outbox.Act:
    with town.reading() as session:
        found = outbox.act_of(session, made.id, version)
        assert found is not None
        return found


def test_a_proposal_takes_digest_and_line_root_to_the_chain_and_no_amount(town: Town) -> None:
    made = town.statement("proposed")
    act = act_of(town, made, 2)
    key = log.digest_key(ORIGIN, made.id)
    assert (act.lane, act.contract, act.function) == ("maker", "RevenueBook", "propose")
    assert (act.key, act.expected_version) == (key.hex(), 0)
    assert act.arguments == [
        "0x" + key.hex(), "0x" + made.digest[7:], "0x" + made.line_root, 1, "0x" + "00" * 32, 0,
        outbox.REASON,
    ]  # fmt: skip


def test_a_rejection_frees_the_payments_for_another_statement(town: Town) -> None:
    made = town.statement("proposed")
    agreement = town.get(agreements.Agreement, made)
    refused(
        town,
        Invalid,
        lambda: town.do("carl", revenue.reject, made, " ", ORIGIN),
        "State the ground",
    )
    town.do("carl", revenue.reject, made, "口径有误", ORIGIN)
    act = act_of(town, made, 3)
    assert (act.function, act.expected_version) == ("withdraw", 1)
    with town.reading() as session:
        row = session.scalars(select(Settlement)).one()
        assert revenue.statement_of(session, row) is None
    again = town.do(
        "mona", revenue.draft, agreement, from_on=date.fromisoformat(made.from_on),
        until_on=date.fromisoformat(made.until_on), facts={"platform_cost_fen": 0},
    )  # fmt: skip
    assert again.id != made.id
    assert (again.amount_fen, again.trade_count) == (made.amount_fen, 1)
    assert again.deficits_before == {}, "a rejected statement leaves no deficits behind"


# ---------------------------------------------------------------- the checker's signature


def test_an_approval_carries_the_checker_s_signature_to_the_chain(town: Town) -> None:
    made = town.statement("proposed")
    approval = town.approval(made)
    town.approve(made)
    approved = now_of(town, made)
    carl = keys.address_of(CHECKER_KEYS["carl"])
    assert approved.state == "approved"
    [signature] = approvals.signatures(approved)
    assert (signature["address"], signature["checker_id"]) == (carl, town.actors["carl"].member_id)
    assert approved.checker_id == town.actors["carl"].member_id
    act = act_of(town, made, 3)
    assert (act.function, act.expected_version, act.lane) == ("approve", 1, "maker")
    assert act.arguments == [
        "0x" + log.digest_key(ORIGIN, made.id).hex(), 1, "0x" + made.digest[7:],
        "0x" + made.line_root, carl, approval["deadline"], approval["signature"], outbox.REASON,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def proposed(village: Town) -> Statement:
    return now_of(village, village.statement("proposed"))


def high_s(signature: str) -> str:
    """The same signature's twin in the upper half, which contracts refuse."""
    s = keys.CURVE_ORDER - int(signature[66:130], 16)
    return f"{signature[:66]}{s:064x}{'1b' if signature.endswith('1c') else '1c'}"


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"signature": "key of max"}, NotAllowed),
        ({"nonce": 1}, NotAllowed),
        ({"deadline": 2**33}, NotAllowed),
        ({"signature": ""}, Invalid),
        ({"signature": "0x"}, Invalid),
        ({"signature": "0x12"}, Invalid),
        ({"signature": None}, Invalid),
        ({"signature": 5}, Invalid),
        ({"signature": "0x" + "00" * 65}, Invalid),
        ({"signature": "0x" + "ff" * 65}, Invalid),
        ({"signature": "0x" + "00" * 64 + "1b"}, Invalid),
        ({"signature": "high s"}, Invalid),
        ({"signature": "v 0"}, Invalid),
        ({"nonce": -1}, Invalid),
        ({"nonce": "x"}, Invalid),
        ({"deadline": 2**300}, Invalid),
    ],
)
def test_anything_but_the_checker_s_own_signature_over_this_statement_is_refused(
    village: Town, proposed: Statement, wrong: dict[str, Any], refusal: type[LedgerError]
) -> None:
    given = village.approval(proposed)
    spelled = {
        "key of max": village.approval(proposed, "max")["signature"],
        "high s": high_s(given["signature"]),
        "v 0": given["signature"][:-2] + f"{int(given['signature'][-2:], 16) - 27:02x}",
    }
    changes = {**wrong, **{k: spelled[v] for k, v in wrong.items() if v in spelled}}
    refused(village, refusal, lambda: village.approve(proposed, **changes))


def test_the_signature_over_another_statement_does_not_do(
    village: Town, proposed: Statement
) -> None:
    other = village.statement("proposed")
    given = village.approval(other)
    refused(village, NotAllowed, lambda: village.approve(proposed, **given), "not by your key")


def test_a_signature_past_its_deadline_does_not_do(town: Town) -> None:
    made = town.statement("proposed")
    given = town.approval(made)
    town.later(hours=1, seconds=1)
    refused(town, Invalid, lambda: town.approve(made, **given), "deadline")


def test_a_checker_without_a_key_of_his_own_approves_nothing(town: Town) -> None:
    made = town.statement("proposed")
    with town.deed() as session:
        member = session.get_one(parties.Member, town.actors["carl"].member_id)
        member.signing_address = None
        log.append(session, member, "member.changed", "system")
    refused(town, NotAllowed, lambda: town.approve(made), "no signing address")


# ---------------------------------------------------------------- the request on the checker's machine


def request_for(town: Town, made: Statement) -> dict[str, Any]:
    return approvals.request_for(made, ORIGIN, town.home.config.deployment, 3, 2_000_000_000)


def change(request: dict[str, Any], path: str, to: Any) -> dict[str, Any]:
    changed = copy.deepcopy(request)
    place: Any = changed
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = to
    return changed


def test_the_checker_s_machine_signs_what_it_shows(village: Town, proposed: Statement) -> None:
    request = request_for(village, proposed)
    answer = approvals.sign(request, CHECKER_KEYS["carl"])
    assert (answer["nonce"], answer["deadline"]) == (3, 2_000_000_000)
    assert answer["statement"] == proposed.number
    signer = keys.recover_typed(request["typed_data"], answer["signature"])
    assert signer == answer["address"] == keys.address_of(CHECKER_KEYS["carl"])


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("statement.amount_fen", 1),
        ("statement.number", "FP2026-9999"),
        ("statement.lines.0.amount_fen", 5),
        ("statement.lines.0.party", "91000000DEM000007U"),
        ("statement.line_salts.0", "00" * 16),
        ("statement.salt", "00" * 16),
        ("statement.until_on", "2027-01-01"),
        ("statement.covers", {}),
        ("statement.covers.own.trades", 2),
        ("statement.deficits_after", {}),
        ("statement.extra", "x"),
        ("typed_data.message.digest", "0x" + "11" * 32),
        ("typed_data.message.lineRoot", "0x" + "11" * 32),
        ("typed_data.message.approvalsRequired", 0),
        ("typed_data.message.approvalsRequired", 4),
        ("typed_data.message.approvalsRequired", "1"),
        ("typed_data.message.reverses", "0x" + "11" * 32),
        ("typed_data.message.version", 2),
        ("typed_data.message.extra", 1),
        ("typed_data.domain.name", "Bank"),
        ("typed_data.domain.version", "2"),
        ("typed_data.domain.salt", "0x" + "11" * 32),
        ("typed_data.primaryType", "Transfer"),
        ("typed_data.types.Approval.0.name", "to"),
        ("typed_data.types.Approval.7.type", "uint8"),
        ("typed_data.types.Transfer", []),
        ("typed_data", {}),
        ("statement", {}),
        ("statement.lines", None),
    ],
)
def test_a_tampered_request_is_not_signed(
    village: Town, proposed: Statement, path: str, to: Any
) -> None:
    with pytest.raises(Invalid):
        approvals.sign(change(request_for(village, proposed), path, to), CHECKER_KEYS["carl"])


@pytest.mark.parametrize("rubbish", [None, [], "x", {}, {"statement": {}, "typed_data": {}}])
def test_what_is_no_request_is_not_signed(rubbish: Any) -> None:
    with pytest.raises(Invalid):
        approvals.sign(rubbish, CHECKER_KEYS["carl"])


# ---------------------------------------------------------------- EIP-712 as the contract has it


def test_the_typed_data_is_the_contract_s_struct(village: Town, proposed: Statement) -> None:
    typed = request_for(village, proposed)["typed_data"]
    fields = ",".join(f"{f['type']} {f['name']}" for f in typed["types"]["Approval"])
    source = CONTRACT.read_text()
    said = re.search(r'APPROVAL_TYPEHASH = keccak256\(\s*"([^"]+)"\s*"([^"]+)"', source)
    assert said is not None
    assert f"Approval({fields})" == said[1] + said[2]
    domain = typed["domain"]
    assert f'EIP712("{domain["name"]}", "{domain["version"]}")' in source
    message = typed["message"]
    values = [
        bytes.fromhex(message[f["name"]][2:]) if f["type"] == "bytes32" else message[f["name"]]
        for f in typed["types"]["Approval"]
    ]
    types = [f["type"] for f in typed["types"]["Approval"]]
    struct = keccak(
        keccak(text=said[1] + said[2]) + b"".join(
            encode([t], [v]) for t, v in zip(types, values, strict=True))
    )  # fmt: skip
    domain_type = (
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    separator = keccak(
        keccak(text=domain_type) + keccak(text=domain["name"]) + keccak(text=domain["version"])
        + encode(["uint256", "address"], [domain["chainId"], domain["verifyingContract"]])
    )  # fmt: skip
    digest = keccak(b"\x19\x01" + separator + struct)
    signature = bytes.fromhex(keys.sign_typed(typed, CHECKER_KEYS["carl"])[2:])
    assert Account._recover_hash(digest, signature=signature) == keys.address_of(
        CHECKER_KEYS["carl"]
    )


def test_the_contract_itself_counts_our_signature(village: Town, proposed: Statement) -> None:
    stage = Stage()
    checker = stage.checker
    _, _, _, chain_id, place, *_ = stage.book.functions.eip712Domain().call()
    deployment = outbox.Deployment(chain_id, "0x", {"RevenueBook": place}, 0)
    deadline = 4_000_000_000
    request = approvals.request_for(proposed, ORIGIN, deployment, 0, deadline)
    answer = approvals.sign(request, bytes(checker.key))
    key = log.digest_key(ORIGIN, proposed.id)
    content = (bytes.fromhex(proposed.digest[7:]), bytes.fromhex(proposed.line_root))
    reason = b"\x01" * 32
    book = stage.book.functions
    stage.do(book.propose(key, *content, 1, bytes(32), 0, reason), stage.maker)
    signature = bytes.fromhex(answer["signature"][2:])
    digest = book.approvalDigest(key, *content, checker.address, deadline).call()
    assert Account._recover_hash(digest, signature=signature) == checker.address
    stage.do(
        book.approve(key, 1, *content, checker.address, deadline, signature, reason), stage.maker
    )
    assert book.verify(key, *content).call()[1] == 2  # approved


# ---------------------------------------------------------------- the books


def test_an_approved_statement_is_booked_once_when_the_chain_has_counted_it(town: Town) -> None:
    made = town.statement("approved")
    assert town.post() == []
    assert now_of(town, made).state == "approved"
    town.settle(made)
    assert [row.id for row in town.post()] == [made.id]
    assert now_of(town, made).state == "posted"
    before = town.snapshot()
    assert town.post() == []
    assert town.snapshot() == before
    with town.reading() as session:
        entry = books.entry_of(session, made.id)
        assert entry is not None
        totals = books.balances(session)
    today = town.now.date().isoformat()
    assert (entry.cause_id, entry.effective_on) == (made.id, today)
    assert made.until_on in entry.memo
    assert sum(totals.values()) == 0
    assert totals.get((books.UNDISTRIBUTED, None), 0) == 0
    due = {key: -fen for key, fen in totals.items() if key[0] in (books.PAYABLE, books.TREASURY)}
    assert {party: fen for (_, party), fen in due.items()} == paid(made)
    treasurys = {party for account, party in due if account == books.TREASURY}
    assert treasurys == {BUREAU, TREASURY}, "what goes to public bodies is treasury income"


# ---------------------------------------------------------------- a payee's proof


@pytest.mark.parametrize("party", [OPERATOR, BUREAU, REGISTRY, TREASURY])
def test_a_payee_proves_his_line_and_sees_no_other_s(
    village: Town, proposed: Statement, party: str
) -> None:
    proofs = revenue.line_proofs(proposed, party)
    mine = [line for line in proposed.lines if line["party"] == party]
    assert [proof["line"] for proof in proofs] == mine
    others = [
        salt
        for line, salt in zip(proposed.lines, proposed.line_salts, strict=True)
        if line["party"] != party
    ]
    text = canonical(proofs).decode()
    assert not any(salt in text for salt in others)
    for proof in proofs:
        leaf = merkle.leaf_hash(bytes.fromhex(proof["salt"]) + canonical(proof["line"]))
        way = [bytes.fromhex(one) for one in proof["inclusion"]]
        at = (proof["index"], len(proposed.lines), way, bytes.fromhex(proposed.line_root))
        merkle.verify_inclusion(leaf, *at)
        forged = {**proof["line"], "amount_fen": proof["line"]["amount_fen"] + 1}
        leaf = merkle.leaf_hash(bytes.fromhex(proof["salt"]) + canonical(forged))
        with pytest.raises(LedgerError):
            merkle.verify_inclusion(leaf, *at)


def test_who_has_no_line_has_no_proof(village: Town, proposed: Statement) -> None:
    with pytest.raises(Missing):
        revenue.line_proofs(proposed, PARTIES["bank"][2])
    with village.reading() as session:
        assert statements.by_number(session, proposed.number).id == proposed.id
        with pytest.raises(Missing):
            statements.by_number(session, "FP1999-0001")


def test_a_reversal_gives_nobody_a_proof(town: Town) -> None:
    made = town.statement("posted")
    undone = town.reversal(made)
    facts = (OPERATOR, ORIGIN, town.home.config.deployment)
    assert revenue.line_facts(made, *facts)["lines"]
    with pytest.raises(Conflict, match="nobody is due anything"):
        revenue.line_facts(undone, *facts)
