"""The commands of vouchers, motions and authorised uses, on a town's home."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import update

from ledger.chain.outbox import Act
from ledger.parties import party_by_uscc
from ledger.registration import Registration
from tests.conftest import Town
from tests.webapp.test_cli_lists import shuzheng

__all__ = ["shuzheng"]
OTHER = "0x" + "7" * 40


def carried(town: Town) -> None:
    """Every act so far, as the worker leaves it once the chain has it."""
    with town.deed() as session:
        session.execute(update(Act).values(state="effective", confirmed_at=town.now))


def state(shuzheng: Any, number: str) -> str:
    return str(json.loads(shuzheng("voucher", "show", number))["voucher"]["state"])


def test_what_is_weighty_waits_for_another_registrar(town: Town, shuzheng: Any) -> None:
    number = town.voucher().number
    bank = town.party("bank").uscc
    barred = shuzheng(
        "voucher",
        "pledge",
        number,
        "--pledgee",
        bank,
        "--reason",
        "质押合同",
        "--as",
        "rita",
        code=1,
    )
    assert "may not pledge" in barred  # a public body provides the data
    told = shuzheng("voucher", "split", number, "--reason", "按权利拆分", "--as", "rita")
    assert "FH2026-000001" in told
    assert "FH2026-000001" in shuzheng("motion", "list", "--state", "proposed")
    refused = shuzheng("motion", "confirm", "FH2026-000001", "--as", "rita", code=1)
    assert "another" in refused
    shuzheng("motion", "reject", "FH2026-000001", "--reason", "不符", "--as", "rob")
    assert json.loads(shuzheng("motion", "list", "--state", "proposed"))["items"] == []

    shuzheng("voucher", "split", number, "--reason", "按权利拆分", "--as", "rita")
    shuzheng("motion", "confirm", "FH2026-000002", "--as", "rob")
    assert state(shuzheng, number) == "superseded"


def test_a_key_is_replaced_and_a_voucher_superseded(town: Town, shuzheng: Any) -> None:
    number = town.voucher().number
    shuzheng("voucher", "replace-key", number, "--holder-address", OTHER, "--reason", "遗失", "--as",
             "rita")  # fmt: skip
    shown = json.loads(shuzheng("voucher", "show", number))["voucher"]
    assert shown["holder_address"] == OTHER
    for verb, says in (("renew", "can be renewed"), ("release", "not pledged")):
        assert says in shuzheng("voucher", verb, number, "--reason", "x", "--as", "rita", code=1)
    transfer = ("voucher", "transfer", number, "--holder-address", OTHER, "--reason", "x")
    assert "refused" in shuzheng(*transfer, "--as", "rita", code=1)
    told = shuzheng("voucher", "supersede", number, "--reason", "变更", "--as", "rita")
    assert f"in the place of {number}" in told
    assert state(shuzheng, number) == "superseded"


def test_an_authorised_use_from_the_file_to_its_end(
    town: Town, shuzheng: Any, tmp_path: Path
) -> None:
    code = town.get(Registration, town.voucher()).code
    subject = town.subject().uscc
    document = tmp_path / "use.yaml"
    document.write_text(
        f"registration: {code}\nsubject: {subject}\nprovider: {town.party('operator').uscc}\n"
        f"user: {town.party('bank').uscc}\nuser_address: '{OTHER}'\nscene: 贷前审查\npurpose: 贷款\n"
        f"from: '{town.now.date()}'\nuntil: '2026-12-31'\nmax_uses: 1\n"
    )
    number = "SY2026-000001"
    assert number in shuzheng("authorisation", "request", str(document), "--as", "mallory")
    assert "refused" in shuzheng("authorisation", "issue", number, "--as", "rita", code=1)
    shuzheng("authorisation", "consent", number, "--as", "ida")
    shuzheng("authorisation", "issue", number, "--as", "rita")
    voucher = json.loads(shuzheng("authorisation", "show", number))["voucher"]
    carried(town)
    count = ("use", "count", voucher, "--scene", "贷前审查", "--as", "olga", "--reference")
    assert "1 of 1" in shuzheng(*count, "R-1")
    assert "was granted for 1" in shuzheng(*count, "R-2", code=1)
    assert [one["total"] for one in json.loads(shuzheng("use", "list", number, "--as", "ida"))] == [
        1
    ]
    shuzheng("authorisation", "withdraw", number, "--as", "ida")
    assert state(shuzheng, voucher) == "cancelled"

    for verb, who in (("refuse", "ida"), ("end", "mallory")):
        shuzheng("authorisation", "request", str(document), "--as", "mallory")
        (asked,) = json.loads(shuzheng("authorisation", "list", "--state", "requested"))["items"]
        reason = ("--reason", "不再需要") if verb == "end" else ()
        shuzheng("authorisation", verb, asked["number"], *reason, "--as", who)


def test_a_natural_person_is_entered_by_a_code_and_no_name(town: Town, shuzheng: Any) -> None:
    code = json.loads(shuzheng("party", "individual", "--as", "admin", "--json"))["uscc"]
    with town.reading() as session:
        assert party_by_uscc(session, code).name == f"自然人 {code[-6:]}"
