"""Every deed keeps the rules of a write (docs/site.md): key, version, receipt, once; also done by a job."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from tests.web.conftest import Site
from tests.web.examples import EXAMPLES, Request, serial
from tests.web.sending import problem, send, tree_size, verify_receipt, version, work_off
from webapp.deeds import DEEDS

HANDS = 3


def test_every_deed_has_its_example() -> None:
    assert set(EXAMPLES) == set(DEEDS), "enter one good request in EXAMPLES"


@pytest.mark.pages
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_deed_keeps_the_rules_of_a_write(place: Site, name: str) -> None:
    deed, town = DEEDS[name], place.town
    request = EXAMPLES[name](place)
    seen, key = version(place, deed, request.keys), f"rule-{next(serial)}-{name}"
    place.visit(request.login)
    before, start = town.snapshot(), tree_size(town)

    problem(send(place, deed, request, None, seen), 400, "invalid")
    for wrong in ("short", "x" * 129, "with space", "umlaut-ä-abc"):
        problem(send(place, deed, request, wrong, seen), 400, "invalid")
    if deed.changes:
        assert seen is not None
        problem(send(place, deed, request, key), 428, "precondition_required")
        for unread in ("3", '"a"', "*", '""'):
            problem(send(place, deed, request, key, headers={"If-Match": unread}), 428)
        problem(send(place, deed, request, key, seen + 1), 412, "stale")
        problem(send(place, deed, request, key, 0), 412, "stale")
    assert town.snapshot() == before, "what was refused changed nothing"

    first = send(place, deed, request, key, seen)
    assert first.status_code == (202 if deed.long else 200 if deed.changes else 201), first.text
    assert "Idempotent-Replayed" not in first.headers
    assert first.headers["Cache-Control"] == "no-store"
    answer = first.get_json()
    if not deed.long:
        assert set(answer) == {"answer", "receipt"}
        assert (answer["receipt"] is not None) == deed.records
        if deed.records:
            verify_receipt(place, answer["receipt"], start)
    after = town.snapshot()

    again = send(place, deed, request, key, seen)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (first.status_code, "true")
    kept = (
        {n: v for n, v in answer.get("answer", {}).items() if n not in deed.once}
        if not deed.long
        else {}
    )
    assert again.get_json() == (answer if deed.long else {**answer, "answer": kept})
    other = replace(request, file=request.file + b"3,4\n" if request.file else b"",
                    body={**request.body, **request.other})  # fmt: skip
    if (other.body, other.file) != (request.body, request.file) and not deed.private:
        problem(send(place, deed, other, key, seen), 409, "conflict")
    another = (
        DEEDS["token.create"],
        Request(request.login, {}, {"name": "-", "scopes": ["read"], "days": 9}),
    )
    problem(send(place, *another, key), 409, "conflict")
    assert town.snapshot() == after, "once is enough"


AT_ONCE = {"application.submit", "evidence.deposit", "party.add", "payment.record", "voucher.issue"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in AT_ONCE else pytest.mark.slow) for n in EXAMPLES]
)
def test_many_at_once_under_one_key_are_one_deed(place: Site, name: str) -> None:
    deed = DEEDS[name]
    request = EXAMPLES[name](place)
    seen, key = version(place, deed, request.keys), f"once-{next(serial)}-{name}"
    clients = [place.visit(request.login).client for _ in range(HANDS)]
    before, together = place.town.snapshot(), Barrier(HANDS)

    def hand_in(client: Any) -> Any:
        together.wait()
        return send(place, deed, request, key, seen, client=client)

    with ThreadPoolExecutor(HANDS) as pool:
        answers = list(pool.map(hand_in, clients))
    after = place.town.snapshot()
    grown = {table: len(after[table]) - len(before[table]) for table in after}
    good = 202 if deed.long else 200 if deed.changes else 201
    assert [one.status_code for one in answers] == [good] * HANDS, [one.text for one in answers]
    replayed = [one.headers.get("Idempotent-Replayed") for one in answers]
    assert sorted(replayed, key=str) == [None, *["true"] * (HANDS - 1)]
    assert grown["answers"] == 1
    assert grown["jobs"] == int(deed.long)
    if deed.long:
        assert len({one.get_json()["id"] for one in answers}) == 1
    else:
        [receipt] = {json.dumps(one.get_json()["receipt"], sort_keys=True) for one in answers}
        assert grown["records"] == len((json.loads(receipt) or {"records": ()})["records"])


@pytest.mark.parametrize("name", ["application.submit", "catalogue.import", "audit.run"])
def test_long_work_is_a_job_whose_outcome_is_the_deed_s_answer(place: Site, name: str) -> None:
    work_off(place)
    deed, request = DEEDS[name], EXAMPLES[name](place)
    given = send(place, deed, request, f"long-work-{next(serial)}")
    job = given.get_json()
    assert given.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["name"], job["answer"]) == ("queued", name, None)
    visit, start = place.visit(request.login), tree_size(place.town)
    assert visit.read(f"/jobs/{job['id']}") == job
    assert job in visit.read("/jobs")["items"]
    problem(place.visit("egon").client.get(f"/api/v1/jobs/{job['id']}"), 404, "missing")

    work_off(place)
    done = visit.read(f"/jobs/{job['id']}")
    assert (done["state"], done["refusal"]) == ("done", None), done
    assert done["answer"]
    if deed.records:
        verify_receipt(place, done["receipt"], start)
    problem(visit.client.get(f"/api/v1/jobs/{job['id']}/file"), 404, "missing")


def test_work_that_needs_the_chain_fails_with_the_chain_s_refusal(site: Site) -> None:
    given = site.visit("olga").api(f"/vouchers/{site.town.voucher().number}/package", None, 202)
    work_off(site)
    job = site.visit("olga").read(given.headers["Location"].removeprefix("/api/v1"))
    assert job["state"] == "failed"
    assert job["refusal"]["code"] == "chain_unavailable"
    made = site.town.statement("proposed")
    answer = site.visit("carl").client.get(f"/api/v1/statements/{made.number}/approval-request")
    problem(answer, 503, "chain_unavailable")
