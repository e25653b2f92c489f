"""Templates beside the forms: whose data are in one, who may have it, and its way back in."""

import io
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result

from ledger import payouts
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.payout_rows import Payout
from tests.ledger import paying
from tests.web.conftest import Site, Visit
from tests.web.test_messages import environment
from webapp.cli import main
from webapp.deeds import DEEDS
from webapp.deeds.import_templates import FILES, TEMPLATES
from webapp.language import speak
from webapp.tables import XLSX

pytestmark = pytest.mark.pages
# Uploads that are no table with columns of ours.
OTHERS = {
    "evidence.deposit",  # any data file
    "catalogue.check", "catalogue.import",  # a catalogue as it is, its columns matched by the registrar
    "payout.check",  # the payment file, which we wrote
    "peer.propose", "recognition.import", "recognition.follow",  # JSON documents
}  # fmt: skip


def test_every_table_that_is_handed_in_has_its_template() -> None:
    uploads = {deed.name for deed in DEEDS.values() if deed.upload and not deed.of}
    assert uploads - OTHERS == {name for name in FILES if name in DEEDS}
    assert set(FILES) - uploads == {"figure.national"}
    for name, asked in TEMPLATES.items():
        of = DEEDS.get(name)
        assert of is None or (asked.verb, asked.owners) == (of.verb, of.owners)


def rows_of(data: bytes) -> list[list[Any]]:
    page = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
    return [list(row) for row in page.iter_rows(values_only=True)]


def template(visit: Visit, payout: Payout, status: int = 200, code: str = "zh") -> bytes:
    """The template of the bank's result, as somebody is given it, by the page and by the API alike."""
    path = f"/payouts/{payout.number}/results:template"
    visit.client.set_cookie("lang", code)
    answer = visit.client.get(path)
    assert answer.status_code == status, answer.text
    again = visit.client.get(f"/api/v1{path}")
    assert again.status_code == status
    if status == 200:
        assert answer.content_type == XLSX
        assert f"{payout.number}-payout-confirm.xlsx" in answer.headers["Content-Disposition"]
        assert again.data == answer.data
    return bytes(answer.data)


def forms(site: Site, payout: Payout) -> dict[str, tuple[str, str, str]]:
    """Import → who may do it, its form, its template."""
    number = site.town.get(Agreement, payout).number
    made = {
        "payout.confirm": ("mona", f"/payouts/{payout.number}/results"),
        "reconciliation.bank": ("mona", f"/agreements/{number}/reconciliations/bank"),
        "reconciliation.exchange": ("mona", f"/agreements/{number}/reconciliations/exchange"),
        "confirmation.record": ("egon", "/confirmations"),
        "usage.import": ("olga", "/records:batch"),
        "figure.national": ("olga", "/figures/national"),
    }
    page = {"confirmation.record": "/confirmations/new", "figure.national": "/national"}
    return {
        name: (login, page.get(name, path), f"{path}:template")
        for name, (login, path) in made.items()
    }


def test_a_form_tells_every_column_and_offers_its_template_in_the_reader_s_language(
    site: Site,
) -> None:
    places = forms(site, paying.approved(site.town))
    assert set(places) == set(FILES)
    for name, (login, form, place) in places.items():
        visit = site.visit(login)
        for code in ("zh", "en"):
            visit.client.set_cookie("lang", code)
            page = visit.get(form)
            assert f'href="{place}"' in page
            speak(code)
            headings = FILES[name].headings()
            speak(None)
            for one in headings:
                assert f">{one.title}</th>" in page
                assert str(one.holds).replace("'", "&#39;") in page
            titles = rows_of(visit.client.get(place).data)[0]
            beside = {titles[0] for titles, _ in FILES[name].beside.values()} | {"payee"}
            assert [one for one in titles if one not in beside] == [one.title for one in headings]


def test_the_payments_not_yet_answered_are_in_the_template_of_whoever_imports_the_result(
    site: Site,
) -> None:
    town = site.town
    made = paying.prepared(town)
    template(site.visit("mona"), made, 409)
    town.do("carl", payouts.approve, made)
    mona = site.visit("mona")
    others = [site.visit(one) for one in ("carl", "gwen", "olga", "paul", "egon", "mallory")]
    before = town.snapshot()
    head, *rows = rows_of(template(mona, made))
    assert head == [
        "流水号",
        "收款人名称",
        "金额",
        "结果",
        "交易日期",
        "银行流水号",
        "失败原因",
        "批次金额",
    ]
    lines = paying.lines(town, made)
    assert [row[0] for row in rows] == [one.serial for one in lines]
    assert {row[1] for row in rows} == {"户名 operator", "户名 bureau"}
    assert [round(row[2] * 100) for row in rows] == [one.amount_fen for one in lines]
    assert {cell for row in rows for cell in row[3:]} == {None}
    english = rows_of(template(mona, made, code="en"))
    assert english[0][:4] == ["serial", "payee", "amount", "result"]
    assert english[1:] == rows
    whole = template(mona, made)
    assert not [digits for digits in paying.DIGITS.values() if digits.encode() in whole]
    for other in others:
        template(other, made, 403)
    assert site.visit().client.get(f"/payouts/{made.number}/results:template").status_code == 303
    site.visit().read(f"/payouts/{made.number}/results:template", 401)
    assert town.snapshot() == before
    paying.confirm(town, made, True)
    assert [row[0] for row in rows_of(template(mona, made))[1:]] == [lines[1].serial]
    paying.confirm(town, made, True, True, name="all.csv")
    assert len(rows_of(template(mona, made))) == 3, "any of them may come back"


def test_a_blank_template_is_for_whoever_may_do_the_import(site: Site) -> None:
    places = forms(site, paying.approved(site.town))
    strangers = {"confirmation.record": "mona", "usage.import": "mona"}
    for name, (login, _, place) in places.items():
        for address in (place, f"/api/v1{place}"):
            assert site.visit(login).client.get(address).data.startswith(b"PK")
            assert site.visit().client.get(address).status_code in (303, 401)
            if name != "figure.national":  # which everybody may compute
                other = site.visit(strangers.get(name, "olga")).client.get(address)
                assert other.status_code == 403, (name, address)


@pytest.mark.parametrize("code", ["zh", "en"])
def test_the_template_filled_in_is_booked_as_the_bank_s_csv_is(site: Site, code: str) -> None:
    town = site.town
    made = paying.approved(town)
    mona, path = site.visit("mona"), f"/payouts/{made.number}/results"
    book = openpyxl.load_workbook(io.BytesIO(template(mona, made, code=code)))
    mona.client.set_cookie("lang", "zh")
    page = book.worksheets[0]
    paid, failed = (("成功", "失败"), ("success", "failed"))[code == "en"]
    answers = (
        (paid, local_date(town.now), "00123456789012345678", None),
        (failed, None, None, "户名不符"),
    )
    for n, answer in enumerate(answers, start=2):
        for at, value in enumerate(answer, start=4):
            page.cell(n, at).value = value
    target = io.BytesIO()
    book.save(target)

    def upload() -> dict[str, Any]:
        return {"file": (io.BytesIO(target.getvalue()), "result.xlsx")}

    before = town.snapshot()
    told = mona.post(f"{path}:preview", upload(), 200, page=path).text
    assert "共 2 行，其中 0 行已有记录" in told
    assert town.snapshot() == before
    mona.post(path, upload())
    first, second = paying.lines(town, made)
    assert (first.state, first.bank_reference, first.paid_on) == (
        "paid", "00123456789012345678", local_date(town.now).isoformat(),
    )  # fmt: skip
    assert (second.state, second.reason) == ("failed", "户名不符")
    with town.reading() as session:
        found = session.get_one(Payout, made.id)
        [result] = found.results
        assert (result["paid_count"], result["failed_count"]) == (1, 1)


def test_the_command_line_gives_the_payments_to_the_same_people(site: Site, tmp_path: Path) -> None:
    town = site.town
    made, setting = paying.approved(town), environment(town)

    def run(login: str, name: str) -> Result:
        words = ["payout", "template", made.number, "-o", str(tmp_path / name), "--as", login]
        return CliRunner(env=setting).invoke(main, [*words, "--home", str(town.home.path)])

    assert run("mona", "r.xlsx").exit_code == 0
    rows = rows_of((tmp_path / "r.xlsx").read_bytes())
    assert [row[0] for row in rows[1:]] == [one.serial for one in paying.lines(town, made)]
    for login, name in (("gwen", "x.xlsx"), ("olga", "x.xlsx"), ("mona", "x.csv")):
        assert run(login, name).exit_code == 1
        assert not (tmp_path / name).exists()


def test_a_template_that_nobody_filled_in_books_nothing(site: Site) -> None:
    town = site.town
    made = paying.approved(town)
    mona, path = site.visit("mona"), f"/payouts/{made.number}/results"
    data, before = template(mona, made), town.snapshot()
    file = {"file": (io.BytesIO(data), "result.xlsx")}
    assert "未说明任何一笔付款的结果" in mona.post(path, file, 400).text
    number = town.get(Agreement, made).number
    path = f"/agreements/{number}/reconciliations/bank"
    blank = mona.client.get(f"{path}:template").data
    day = local_date(town.now).isoformat()
    given = {"file": (io.BytesIO(blank), "s.xlsx"), "from_on": day, "until_on": day}
    assert "尚未填写的模板" in mona.post(path, given, 400).text
    assert town.snapshot() == before
