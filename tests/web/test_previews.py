"""Previews of imports: told whole, nothing stored, and what is imported after it is just these bytes."""

import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ledger.calendar import local_date
from ledger.parties import actor_by_login
from ledger.proof.encoding import canonical, digest_text
from tests.ledger import paying
from tests.web.conftest import Site
from tests.web.examples import EXAMPLES, some_trades
from tests.web.sending import work_off
from tests.web.test_messages import environment
from webapp.cli import main
from webapp.deeds import DEEDS, Deed
from webapp.deeds.previews import preview_of

pytestmark = pytest.mark.pages
IMPORTS = [deed for deed in DEEDS.values() if preview_of(deed)]
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def upload(file: str | bytes) -> tuple[io.BytesIO, str]:
    """A file as a form sends it."""
    return io.BytesIO(file.encode() if isinstance(file, str) else file), "file.csv"


def doing(site: Site, deed: Deed) -> tuple[Callable[[Deed], dict[str, Any]], bytes]:
    """How an import or its preview is done with one and the same file, and that file."""
    asked = EXAMPLES[deed.name](site)
    digest = site.town.home.store_material(asked.file)
    body = {**asked.body, "name": "file.csv", "digest": digest}

    def do(one: Deed) -> dict[str, Any]:
        return site.desk.do(
            one, lambda session: actor_by_login(session, asked.login), asked.keys, body
        ).answer

    return do, asked.file


@pytest.mark.slow
@pytest.mark.parametrize("deed", IMPORTS, ids=lambda deed: deed.name)
def test_a_preview_stores_nothing_and_says_what_the_import_then_does(
    site: Site, deed: Deed
) -> None:
    do, file = doing(site, deed)
    preview = preview_of(deed)
    assert preview is not None
    before = site.town.snapshot()
    first = do(preview)
    assert site.town.snapshot() == before
    assert first == do(preview)
    rows = len(file.decode().strip().splitlines()) - 1
    assert (first["rows"], first["known"], first["more"]) == (rows, 0, 0)
    assert len(first["rows_told"]) >= rows
    done = do(deed)
    for name in ("paid_count", "paid_yuan", "failed_count", "state", "matched", "amount_yuan"):
        if name in done:
            assert first["sums"][name] == done[name], name
    after = site.town.snapshot()
    again = do(preview)
    assert (again["rows"], again["known"]) == (rows, rows)
    assert site.town.snapshot() == after


def test_there_is_a_preview_of_each_import_of_finance() -> None:
    assert {deed.name for deed in IMPORTS} == {
        "confirmation.record", "payout.confirm", "reconciliation.bank", "reconciliation.exchange",
    }  # fmt: skip
    for deed in IMPORTS:
        preview = preview_of(deed)
        assert preview is not None
        assert (preview.verb, preview.owners, preview.body) == (deed.verb, deed.owners, deed.body)
        assert not preview.records


def test_a_page_shows_the_bank_s_result_and_then_takes_in_just_that(site: Site) -> None:
    town = site.town
    made = paying.approved(town)
    file = paying.result_file(town, made, True, False)
    mona, path = site.visit("mona"), f"/payouts/{made.number}/results"
    assert f'formaction="{path}:preview"' in mona.get(path)
    assert f"{path}:preview" not in mona.get(f"/payouts/{made.number}"), "one way in, the form"
    before = town.snapshot()
    page = mona.post(f"{path}:preview", {"file": upload(file)}, 200, page=path).text
    assert town.snapshot() == before
    assert "共 2 行，其中 0 行已有记录" in page
    assert paying.lines(town, made)[1].serial in page
    bad = mona.post(
        f"{path}:preview", {"file": upload(file.replace("失败", "也许"))}, 400, page=path
    )
    assert "结果“也许”不是" in bad.text
    shown = dict(HIDDEN.findall(page))
    sealed = town.home.store_material("病历号,诊断\n1,糖尿病\n".encode())
    for given in ({"name": "x.csv"}, shown, {**shown, "looked": ""}):
        told = mona.post(path, {**given, "digest": sealed}, 400).text
        assert "未选择文件" in told, "only what he looked at needs no file"
        assert "病历号" not in told
    assert town.snapshot() == before
    mona.post(path, shown)
    assert [one.state for one in paying.lines(town, made)] == ["paid", "failed"]
    again = mona.post(f"{path}:preview", {"file": upload(file)}, 200, page=path).text
    assert "其中 2 行已有记录" in again
    site.visit("olga").get(path, 403)


@pytest.mark.slow
def test_confirmed_trades_are_looked_at_by_a_job_and_then_taken_in(site: Site) -> None:
    egon, asked = site.visit("egon"), some_trades(site)
    files = {"file": upload(asked.file), "signature": upload(canonical(asked.body["signature"]))}
    job = egon.post("/confirmations:preview", files, page="/confirmations/new").location
    work_off(site)
    looked = egon.get(job, 303) and egon.client.get(job).location
    page = egon.get(looked)
    assert "共 3 行，其中 0 行已有记录" in page
    assert egon.read("/confirmations")["items"] == [], "nothing is taken in yet"
    site.visit("olga").get(looked, 404)
    done = egon.post(f"{looked}/import", page=looked).location
    work_off(site)
    assert "CJ2026-000001" in egon.get(done)
    assert len(egon.read("/confirmations")["items"]) == 1


@pytest.mark.slow
def test_the_command_line_tells_first_and_then_takes_no_other_file(
    site: Site, tmp_path: Path
) -> None:
    town = site.town
    made = paying.approved(town)
    file = tmp_path / "result.csv"
    file.write_text(paying.result_file(town, made, True, False))
    setting = environment(town)

    def run(*more: str) -> Result:
        words = ["payout", "confirm", made.number, str(file), "--as", "mona", *more]
        return CliRunner(env=setting).invoke(main, [*words, "--home", str(town.home.path)])

    before = town.snapshot()
    told = run("--dry-run")
    assert (told.exit_code, town.snapshot()) == (0, before)
    assert "result.csv: 2 rows, 0 of them are there already" in told.output
    digest = digest_text(file.read_bytes())
    assert digest in told.output
    right = file.read_text()
    file.write_text(right.replace("账号有误", "户名不符"))
    other = run("--digest", digest)
    assert other.exit_code == 1
    assert "is not the file that was looked at" in other.output
    file.write_text(right.replace("失败", "也许"))
    assert "the result 也许 is none of" in run("--dry-run").output
    assert town.snapshot() == before
    file.write_text(right)
    assert run("--digest", digest).exit_code == 0
    assert [one.state for one in paying.lines(town, made)] == ["paid", "failed"]
    assert "2 of them are there already" in run("--dry-run").output


def test_a_movement_told_otherwise_is_one_row_and_not_matched_besides(site: Site) -> None:
    """Another amount, and another day, under a reference that both sides have."""
    town = site.town
    agreement, licence = town.sold()
    for fen in (10_600, 21_200):
        town.payment(licence, fen, f"R-{fen}")
    on = local_date(town.now)
    file = (
        f"交易日期,流水号,收入,支出,对方户名\n{on},R-10600,107.00,,甲\n"
        f"{on - timedelta(days=1)},R-21200,212.00,,甲\n"
    )
    town.later(days=1)
    body = {"from_on": (on - timedelta(days=9)).isoformat(), "until_on": on.isoformat(),
            "name": "s.csv", "digest": town.home.store_material(file.encode())}  # fmt: skip
    found = site.desk.do(
        DEEDS["reconciliation.bank_preview"], lambda session: actor_by_login(session, "mona"),
        {"agreement_number": agreement.number}, body,
    ).answer  # fmt: skip
    told = sorted((one["row"], one["finding"]) for one in found["rows_told"])
    assert told == [(2, "amount"), (3, "day")]
    assert found["sums"]["differences"] == 2
