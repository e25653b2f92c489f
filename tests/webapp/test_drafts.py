"""Drafts: one's own only, no lost update, and not without end."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger.errors import Conflict, Invalid, Missing
from ledger.store import remember
from tests.conftest import Town
from webapp import drafts, jobs
from webapp.drafts import Draft


def save(town: Town, login: str = "olga", **changes: Any) -> Draft:
    facts: dict[str, Any] = {
        "kind": "application", "title": "公交客流", "data": {"title": "公交客流", "deposits": []},
    }  # fmt: skip
    with town.deed() as session:
        return drafts.save(session, town.actors[login].member_id, town.now, **{**facts, **changes})


def ids(town: Town, login: str = "olga") -> list[str]:
    with town.reading() as session:
        return [draft.id for draft in drafts.drafts_of(session, town.actors[login].member_id)]


def test_a_draft_is_kept_changed_listed_and_dropped(town: Town) -> None:
    first, second = save(town), save(town, title="  a\x00b\n c\u3000d ")
    assert (first.version, second.title) == (1, "a b c d")
    assert ids(town) == [second.id, first.id]
    town.later(minutes=1)
    changed = save(town, draft_id=first.id, version=1, data={"title": "改", "n": 2})
    assert (changed.id, changed.version, changed.updated_at) == (first.id, 2, town.now)
    assert ids(town) == [first.id, second.id]
    olga = town.actors["olga"].member_id
    with town.reading() as session:
        assert drafts.draft_of(session, olga, first.id).data == {"title": "改", "n": 2}
    with town.deed() as session:
        drafts.drop(session, olga, first.id)
    assert ids(town) == [second.id]
    with pytest.raises(Missing):
        save(town, draft_id=first.id, version=2)


def test_another_s_draft_is_as_missing_as_none(town: Town) -> None:
    made = save(town)
    before = town.snapshot()
    paul = town.actors["paul"].member_id
    for id_ in (made.id, "nothing"):
        with pytest.raises(Missing), town.reading() as session:
            drafts.draft_of(session, paul, id_)
        with pytest.raises(Missing), town.deed() as session:
            drafts.drop(session, paul, id_)
        with pytest.raises(Missing):
            save(town, "paul", draft_id=id_, version=1)
    with pytest.raises(Missing):
        save(town, kind="agreement", draft_id=made.id, version=1)
    assert ids(town, "paul") == []
    assert town.snapshot() == before


@pytest.mark.parametrize("version", [None, 0, 1, 3])
def test_what_was_read_before_somebody_saved_is_not_saved(town: Town, version: int | None) -> None:
    made = save(town)
    save(town, draft_id=made.id, version=1)
    before = town.snapshot()
    with pytest.raises(Conflict) as refused:
        save(town, draft_id=made.id, version=version, data={"lost": True})
    assert refused.value.facts == {"known": 2, "given": version}
    assert town.snapshot() == before


def test_of_six_windows_that_save_at_once_one_does(town: Town) -> None:
    made = save(town)

    def window(n: int) -> int:
        try:
            return save(town, draft_id=made.id, version=1, data={"n": n}).version
        except Conflict:
            return 0

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(window, range(6))) == [0, 0, 0, 0, 0, 2]


def test_a_member_has_fifty_drafts_at_most_though_he_begins_many_at_once(town: Town) -> None:
    def begin(_: int) -> bool:
        try:
            save(town)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(60))) == 50
    last = ids(town)[0]
    save(town, draft_id=last, version=1)
    save(town, "paul")
    with town.deed() as session:
        drafts.drop(session, town.actors["olga"].member_id, last)
    assert begin(0)


@pytest.mark.parametrize(
    "data", [{"text": "x" * (256 * 1024)}, {"文": 1}, {"share": 0.5}, {"half": "\ud800"}]
)
def test_a_draft_too_big_or_outside_the_subset_is_refused(town: Town, data: dict[str, Any]) -> None:
    before = town.snapshot()
    with pytest.raises(Invalid):
        save(town, data=data)
    assert town.snapshot() == before


def test_a_draft_may_be_as_big_as_is_said(town: Town) -> None:
    frame = len(b'{"text":""}')
    made = save(town, data={"text": "x" * (256 * 1024 - frame)}, title="长" * 300)
    assert len(made.title) == 200


def hand_in(town: Town, draft: Draft) -> str:
    """Start a job under the draft's key, as the wizard does; the job's id."""
    with town.deed() as session:
        job = jobs.enqueue(
            session, town.now, member_id=draft.member_id, verb="application.submit", request={}
        )
        remember(session, f"{draft.member_id} {draft.data['key']}", "-", {"job": job.id}, town.now)
        return job.id


def test_a_draft_is_shown_until_its_job_is_done_and_gone_after_it(town: Town) -> None:
    failing = save(town, data={"key": "draft-1", "body": {}})
    done = save(town, data={"key": "draft-2", "body": {}})
    never = save(town, data={"key": "draft-3", "body": {}})
    refused, made = hand_in(town, failing), hand_in(town, done)
    assert set(ids(town)) == {failing.id, done.id, never.id}
    with town.deed() as session:
        jobs.fail(session, refused, town.now, Invalid("No."))
        jobs.finish(session, made, town.now, {"answer": {}})
    assert set(ids(town)) == {failing.id, never.id}
    with town.reading() as session:
        olga = town.actors["olga"].member_id
        told = drafts.job_of(session, drafts.draft_of(session, olga, failing.id))
        assert told is not None
        assert told.id == refused
        assert drafts.job_of(session, drafts.draft_of(session, olga, never.id)) is None
    for _ in range(48):
        save(town)
    with town.reading() as session, pytest.raises(Missing):
        drafts.draft_of(session, olga, done.id)
    with pytest.raises(Conflict):
        save(town)
