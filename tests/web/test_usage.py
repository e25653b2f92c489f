"""Usage as people and programs hand it in: by the form and by the API, looked at, proved, refused."""

import io
import json
from functools import partial
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from sqlalchemy import select

from ledger import log
from ledger.proof.row import check_row
from ledger.tables.events import COLUMNS, NEEDED
from ledger.usage import Batch
from tests.conftest import Town
from tests.ledger.test_usage import Counter, csv, hand_in, ndjson, parquet
from tests.web.conftest import Site, Visit
from tests.web.test_jobs_pages import plain, visit_of
from webapp import jobs
from webapp.deeds.background import work

MEDIA = {
    "application/x-ndjson": ndjson, "text/csv": csv, "application/vnd.apache.parquet": parquet,
}  # fmt: skip


def usage_batch(town: Town, order: str) -> str:
    """The number of a small batch under a licence, for tests that only need one."""
    at = f"{town.now:%Y-%m-%dT%H:%M:%SZ}"
    row = {
        "at": at,
        "event": uuid4().hex,
        "kind": "use",
        "licence": order,
        "quantity": 1,
        "unit": "次",
    }
    return hand_in(town, ndjson([row]), "events.ndjson", "olga").number


class Shop:
    """A site whose operator has a licence to report on."""

    def __init__(self, site: Site) -> None:
        self.site, self.town = site, site.town
        self.counter = Counter(site.town)

    def rows(self, count: int, **changes: Any) -> list[dict[str, Any]]:
        return [self.counter.row(n, **changes) for n in range(count)]

    def run(self) -> None:
        """What the worker does with one job."""
        town = self.town
        assert jobs.Runner(town.home, partial(work, self.site.desk), lambda: town.now).run_one()

    def send(
        self, visit: Visit, data: bytes, media: str, key: str, status: int = 202
    ) -> dict[str, Any]:
        """Hand a file in as the body of a request."""
        answer = visit.client.post(
            "/api/v1/records:batch", data=data,
            headers={"Content-Type": media, "Idempotency-Key": key},
        )  # fmt: skip
        assert answer.status_code == status, answer.text
        return {**answer.get_json(), "again": answer.headers.get("Idempotent-Replayed")}


@pytest.fixture
def shop(site: Site) -> Shop:
    return Shop(site)


def test_a_program_hands_in_each_kind_of_file_and_gets_the_same_batch(shop: Shop) -> None:
    visit, rows, answers = visit_of(shop.site, "olga"), shop.rows(20), []
    for n, (media, write) in enumerate(MEDIA.items()):
        job = shop.send(visit, write(rows), media, f"usage-{n}-xx")
        assert job["state"] == "queued"
        again = shop.send(visit, write(rows), media, f"usage-{n}-xx")
        assert (again["id"], again["again"]) == (job["id"], "true")
        shop.run()
        done = visit.read(f"/jobs/{job['id']}")
        assert done["state"] == "done", done
        assert done["receipt"]["records"][0]["kind"] == "usage.recorded"
        answers.append((done["answer"], done["receipt"]["records"]))
    assert [answer.pop("known") for answer, _ in answers] == [False, True, True]
    assert answers[0] == answers[1] == answers[2], "also the place in the log is the first one's"
    other = visit.client.post(
        "/api/v1/records:batch", data=b"x",
        headers={"Content-Type": "application/zip", "Idempotency-Key": "usage-zip-1"},
    )  # fmt: skip
    assert other.status_code == 415
    document = visit.client.get("/api/openapi.json").get_json()
    content = document["paths"]["/api/v1/records:batch"]["post"]["requestBody"]["content"]
    assert {*MEDIA, "multipart/form-data"} == set(content)


def test_a_form_hands_a_file_in_and_leads_to_the_batch_and_its_rows(shop: Shop) -> None:
    visit = visit_of(shop.site, "olga")
    form = visit.get("/records:batch")
    for column in NEEDED:
        assert f">{column}</th>" in form
    assert 'href="/records:batch"' in visit.get("/usage-batches")
    file = (io.BytesIO(csv(shop.rows(60))), "用量.csv")
    place = visit.post("/records:batch", {"file": file}).headers["Location"]
    assert "It waits for its turn." in visit.get(place)
    shop.run()
    page = visit.get(place)
    assert "60 events are recorded" in plain(page)
    with shop.town.reading() as session:
        number = session.scalars(select(Batch)).one().number
    assert f'href="/usage-batches/{number}"' in page
    assert number in visit.get("/usage-batches")
    batch = plain(visit.get(f"/usage-batches/{number}"))
    assert "用量.csv" in batch
    assert shop.counter.licence.order_reference in batch
    first = visit.get(f"/usage-batches/{number}/rows")
    assert "E-49" in first
    assert "E-50" not in first
    assert "E-50" in visit.get(f"/usage-batches/{number}/rows?after=50")
    shown = plain(visit.get(f"/usage-batches/{number}/rows?row=E-7"))
    assert "Event E-7: row 8 of 60" in shown
    assert "The proof can be taken away once" in shown
    assert "has no row E-99" in plain(visit.get(f"/usage-batches/{number}/rows?row=E-99"))


def test_the_proof_of_a_row_is_taken_away_once_its_record_is_confirmed(shop: Shop) -> None:
    visit = visit_of(shop.site, "olga")
    number = shop.counter.hand_in(ndjson(shop.rows(5))).number
    assert visit.read(f"/usage-batches/{number}/proof?row=E-2", 409)["code"] == "conflict"
    size = shop.town.seal().tree_size
    with shop.town.deed() as session:
        log.note_anchor(session, size, "0x" + "11" * 32, 7, confirmed_at=shop.town.now)
    page = visit.get(f"/usage-batches/{number}/rows?row=E-2")
    assert f"/usage-batches/{number}/proof?row=E-2" in page
    proof = f"/usage-batches/{number}/proof"
    for path in (f"{proof}?row=E-2", f"/api/v1{proof}?row=3"):
        answer = visit.client.get(path)
        assert answer.status_code == 200
        document = json.loads(answer.data)
        check_row(document)
        assert document["row"]["event"] == "E-2"
    assert visit.read(f"/usage-batches/{number}/proof?row=6", 404)["code"] == "missing"
    told = visit.read(f"/usage-batches/{number}/rows?after=3&limit=1")
    assert told == {"items": [{"n": 4, "row": {**shop.rows(4)[3], "v": 1}}], "next": 4}


def test_bad_rows_are_told_on_the_job_s_page_and_all_of_them_in_a_table(shop: Shop) -> None:
    visit = visit_of(shop.site, "olga")
    data = csv([*shop.rows(3), *shop.rows(2, quantity=-1)])
    place = visit.post("/records:batch", {"file": (io.BytesIO(data), "x.csv")}).headers["Location"]
    shop.run()
    page = visit.get(place)
    assert "“-1” is no whole number" in page
    assert "stands in line 2 already" in page
    assert "tick under the options" not in page
    assert f'href="{place}/file"' in page
    for path in (f"{place}/file", f"/api/v1{place}/file"):
        table = pl.read_csv(visit.client.get(path).data)
        assert table["line"].to_list() == [5, 5, 6, 6]
        assert set(table["column"]) == {"event", "quantity"} <= set(COLUMNS)
    chinese = visit_of(shop.site, "olga", "zh").get(place)
    assert "不是 1 至 9007199254740991 的整数" in chinese
    assert visit.read("/usage-batches")["items"] == []


def test_a_batch_is_shown_to_its_reporter_and_to_those_who_watch(shop: Shop) -> None:
    number = shop.counter.hand_in(ndjson(shop.rows(2))).number
    seen = {"olga": 200, "opal": 200, "egon": 200, "gwen": 200, "mona": 200, "mallory": 403,
            "rita": 403, "anna": 403}  # fmt: skip
    for login, status in seen.items():
        visit = shop.site.visit(login)
        for path in ("", "/rows", "/proof?row=1"):
            answer = visit.client.get(f"/api/v1/usage-batches/{number}{path}")
            due = 409 if status == 200 and "proof" in path else status  # it is not anchored yet
            assert answer.status_code == due, (login, path, answer.text)
            if "proof" not in path:
                assert visit.client.get(f"/usage-batches/{number}{path}").status_code == status
    assert shop.site.visit("mallory").read("/usage-batches")["items"] == []
    assert shop.site.visit().client.get(f"/api/v1/usage-batches/{number}").status_code == 401
    refused = shop.site.visit("rita").client.post(
        "/api/v1/records:batch", data=b"x",
        headers={"Content-Type": "text/csv", "Idempotency-Key": "usage-rita-1"},
    )  # fmt: skip
    assert refused.status_code == 403
