"""The sentences in which a statement is compared with the one before."""

from typing import Any

import pytest

from webapp.language import speak
from webapp.reasons import amount_in_words, lines_in_words

PAYEES = {"OPERATOR": "运营公司"}


def told(
    change: dict[str, int], by: str = "number", counts: tuple[int, int] = (2, 3)
) -> dict[str, Any]:
    """The answer of a comparison whose amount was 1,000.00 yuan."""
    causes = dict.fromkeys(("volume_fen", "price_fen", "refunds_fen", "late_fen"), 0) | change
    after = 100_000 + sum(causes.values())
    taken = [
        {"trade_count": counts[0], "trades_fen": 100_000, "refunds_fen": 0, "late_fen": 0},
        {
            "trade_count": counts[1], "refunds_fen": causes["refunds_fen"], "late_fen": causes["late_fen"],
            "trades_fen": 100_000 + causes["volume_fen"] + causes["price_fen"],
        },
    ]  # fmt: skip
    return {
        "amount": {**causes, "after_fen": after, "before_fen": 100_000, "by": by,
                   "change_fen": after - 100_000},
        "before": "FP2026-0001", "lines": [], "statement": "FP2026-0002", "takings": taken,
        "spans": [{"from_on": "2026-09-01", "until_on": "2026-09-30"},
                  {"from_on": "2026-10-01", "until_on": "2026-10-31"}],
    }  # fmt: skip


@pytest.fixture(autouse=True)
def chinese() -> Any:
    speak("zh")
    yield
    speak(None)


def test_the_amount_is_told_as_a_report_says_it() -> None:
    found = told({"volume_fen": 50_000, "price_fen": -12_345, "refunds_fen": -500})
    assert amount_in_words(found) == (
        "FP2026-0002（2026-10-01 至 2026-10-31）分配金额 1,371.55 元，较上期 FP2026-0001（2026-09-01 至 "
        "2026-09-30）的 1,000.00 元增加 371.55 元（37.2%）。其中：交易笔数由 2 笔变为 3 笔，增加 500.00 "
        "元；每笔平均金额由 500.00 元变为 458.85 元，减少 123.45 元；退款由 0.00 元变为 5.00 元，"
        "减少 5.00 元。"
    )
    speak("en")
    assert amount_in_words(found) == (
        "Statement FP2026-0002 (2026-10-01 to 2026-10-31) shares 1,371.55 yuan, 371.55 yuan more (37.2%) "
        "than FP2026-0001 (2026-09-01 to 2026-09-30), which shared 1,000.00 yuan. Of it: the number of "
        "trades went from 2 to 3: 500.00 yuan more; the average value of a trade went from 500.00 to "
        "458.85 yuan: 123.45 yuan less; refunds went from 0.00 to 5.00 yuan: 5.00 yuan less."
    )


@pytest.mark.parametrize(
    ("change", "by", "says"),
    [
        ({"price_fen": -1}, "quantity", "减少 0.01 元（0.0%）。其中：单价变化，减少 0.01 元。"),
        ({"volume_fen": 100_000}, "quantity", "增加 1,000.00 元（100.0%）。其中：销量变化，增加"),
        ({"volume_fen": -100, "late_fen": 100}, "number", "持平。其中：交易笔数由 2 笔变为 3 笔，减少"),
        ({}, "number", "与上期 FP2026-0001（2026-09-01 至 2026-09-30）持平。"),
    ],
)  # fmt: skip
def test_what_changed_nothing_is_not_spoken_of(change: dict[str, int], by: str, says: str) -> None:
    sentence = amount_in_words(told(change, by))
    assert says in sentence
    assert "退款" not in sentence
    assert sentence.endswith("。")


def test_nothing_before_nothing_to_tell_and_no_share_of_nothing() -> None:
    assert amount_in_words({**told({}), "before": None}) == ""
    found = told({"volume_fen": 5}, counts=(0, 1))
    found["amount"] |= {"before_fen": 0, "after_fen": 5}
    assert "%" not in amount_in_words(found)


def test_each_payee_who_gets_another_amount_has_a_sentence() -> None:
    by = {"amount": 200, "facts": -50, "edition": 0, "rounding": 0}
    heading = {"party": "OPERATOR", "zh": "经营", "en": "operation"}
    same = dict.fromkeys(by, 0)
    found = {
        "lines": [
            {**heading, "after_fen": 1150, "before_fen": 1000, "by": by, "change_fen": 150},
            {**heading, "after_fen": 7, "before_fen": 7, "by": same, "change_fen": 0},
            {**heading, "after_fen": 7, "before_fen": 7, "by": same | {"amount": 1, "rounding": -1},
             "change_fen": 0},
            {**heading, "after_fen": 0, "before_fen": 9, "by": same | {"edition": -9}, "change_fen": -9},
        ]
    }  # fmt: skip
    assert lines_in_words(found, PAYEES) == [
        "运营公司（经营）应得 11.50 元，较上期增加 1.50 元。其中：因分配金额变化，增加 2.00 元；"
        "因申报成本变化，减少 0.50 元。",
        "运营公司（经营）应得 0.07 元，与上期持平。其中：因分配金额变化，增加 0.01 元；"
        "因结转尾差，减少 0.01 元。",
        "运营公司（经营）应得 0.00 元，较上期减少 0.09 元。其中：因分配方案版本变化，减少 0.09 元。",
    ]
