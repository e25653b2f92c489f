"""Contributions by the API and on their page: both games' answers, faults with their lines, the files."""

import json
from io import BytesIO

import openpyxl
import pytest

from tests.web.conftest import Site
from valuation.contribution import recompute, run
from webapp.documents import line_of, read_text
from webapp.pages.contribution import EXAMPLES


def test_the_api_answers_as_the_library(common_site: Site) -> None:
    who = common_site.visit("olga")
    for text in EXAMPLES.values():
        document = read_text(text)
        answer = who.api("/figures/contribution", {"document": document}, 200).json
        assert answer == run(document).to_dict()
        assert recompute(answer).total > 0


def test_the_api_refuses_a_wrong_game(common_site: Site) -> None:
    who = common_site.visit("olga")
    document = {**read_text(EXAMPLES["uses"]), "uses": [{"value_fen": -1, "needs": ["nobody"]}]}
    told = who.api("/figures/contribution", {"document": document}, 400).text
    assert "uses[0].value_fen" in told


def test_the_api_shares_many_statements_in_order(common_site: Site) -> None:
    who = common_site.visit("olga")
    label = {"zh": "余额", "en": "rest"}
    scheme = {"v": 1, "name": label, "steps": [
        {"kind": "pool", "label": label, "shares": [
            {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}  # fmt: skip
    body = {"scheme": scheme, "statements": [{"amount_yuan": "0.01"}] * 3}
    answer = who.api("/figures/share", body, 200).json
    assert answer["paid_fen"] == [[1, 0], [1, 0], [0, 1]]
    assert answer["totals_fen"] == [2, 1]
    told = who.api("/figures/share", {**body, "statements": [{"amount_yuan": "1.234"}]}, 400).text
    assert "statements[0].amount_yuan" in told
    who.api("/figures/share", {**body, "statements": "0.01"}, 400)
    who.api("/figures/share", {**body, "amount_fen": 1}, 400)


@pytest.mark.parametrize("game", EXAMPLES)
def test_the_page_computes_its_own_examples(common_site: Site, game: str) -> None:
    who = common_site.visit("olga")
    assert EXAMPLES[game].splitlines()[2] in who.get(f"/contribution?game={game}")
    told = who.post("/contribution", {"document": EXAMPLES[game]}, 200).text
    outcome = run(read_text(EXAMPLES[game]))
    for name in outcome.values:
        assert name in told
    assert 'class="sz-chart"' in told
    assert "phi_1" in told  # the derivation


def test_the_page_hands_out_what_recomputes(common_site: Site) -> None:
    who = common_site.visit("olga")
    given = {"document": EXAMPLES["formula"], "do": "json"}
    data = json.loads(who.post("/contribution", given, 200).data)
    assert recompute(data).how == "exact"
    book = who.post("/contribution", {**given, "do": "xlsx"}, 200).data
    assert len(openpyxl.load_workbook(BytesIO(book)).sheetnames) == 2


def test_the_page_marks_every_fault_with_its_line(common_site: Site) -> None:
    who = common_site.visit("olga")
    wrong = (
        EXAMPLES["uses"]
        .replace("0.95", "1.95")
        .replace('物流调度, value_yuan: "9000.00"', "物流调度")
    )
    for lang, line, says in (
        ("en", "line 4", "must be at least 0"),
        ("zh", "第4行", "应在0与1之间"),
    ):
        who.client.set_cookie("lang", lang)
        told = who.post("/contribution", {"document": wrong}, 400).text
        assert line in told
        assert says in told
        assert "players[0].quality" in told
        assert "uses[2].value_fen" in told
        assert 'aria-invalid="true"' in told
        assert "1.95" in told  # what was typed is still there
    for typed in ("", "[", "- 1", "v: 1", "{v: 1, game: table}", "game: &a [*a]"):
        who.post("/contribution", {"document": typed}, 400)


def test_nothing_to_share_is_told(common_site: Site) -> None:
    who = common_site.visit("olga")
    typed = EXAMPLES["table"].replace("15000.00", "-1.00").replace("3000.00", "0.00")
    who.client.set_cookie("lang", "zh")
    assert "无从按贡献分配" in who.post("/contribution", {"document": typed}, 400).text


def test_who_is_not_signed_in_sees_no_form(common_site: Site) -> None:
    assert common_site.visit().client.get("/contribution").status_code in (302, 303, 401)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("players", 3),
        ("players[1].id", 4),
        ("players[1].cost_fen", 4),
        ("players[1].quality", 4),
        ("players[9].id", 3),
        ("uses[0].needs[1]", 7),
        ("nothing", None),
        ("", None),
    ],
)
def test_a_path_is_found_in_the_text(path: str, line: int | None) -> None:
    text = (
        "v: 1\nplayers:\n  - {id: a}\n  - {id: b, cost_yuan: '1.00'}\n"
        "uses:\n  - needs:\n      [a, b]\n"
    )
    assert line_of(text, path) == line
