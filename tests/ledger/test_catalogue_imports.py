"""Change sets: planned, applied or proposed, decided by another person, undone by a new one."""

import threading
from typing import Any

import pytest
from sqlalchemy import select

from ledger import catalogue, catalogue_imports, log
from ledger.catalogue import Resource
from ledger.catalogue_imports import CatalogueImport, ProposedChange
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed
from ledger.parties import Actor
from ledger.proof.merkle import verify_inclusion
from tests.conftest import Town
from tests.ledger.organisations import party, split

BUREAU, BANK = "市数据局", "城市商业银行"


def row(code: str, title: str = "一", provider: str = BUREAU, **elements: Any) -> dict[str, Any]:
    elements = {"sharing": "unconditional", "opening": "unconditional", **elements}
    return {"code": code, "title": title, "provider": provider, **elements}


def bring(town: Town, login: str, *rows: dict[str, Any], name: str = "", **facts: Any) -> Any:
    name = name or repr((login, rows, sorted(facts.items())))
    return town.do(
        login, catalogue_imports.bring, rows=list(rows), file_name="目录.xlsx", file_digest=name,
        **facts,
    )  # fmt: skip


def plan(town: Town, login: str, *rows: dict[str, Any], **facts: Any) -> Any:
    with town.reading() as session:
        return catalogue_imports.plan_of(session, town.actors[login], list(rows), **facts)


def kept(town: Town, *codes: str) -> list[tuple[str, str, Any]]:
    """(title, state, summary) of each resource."""
    with town.reading() as session:
        found = (catalogue.resource_by_code(session, code) for code in codes)
        return [(one.title, one.state, one.elements.get("summary")) for one in found]


def state_of(town: Town, made: CatalogueImport) -> str | None:
    with town.reading() as session:
        return session.get_one(CatalogueImport, made.id).state


def kinds(town: Town, row_id: str) -> list[str]:
    with town.reading() as session:
        return [record.kind for record in log.history(session, row_id)]


# ---------------------------------------------------------------- the plan


def test_a_plan_names_what_is_new_changed_unchanged_and_gone_and_writes_nothing(town: Town) -> None:
    bring(town, "rita", row("1"), row("2", summary="旧"), row("3"), row("9", provider="别的局"))
    before = town.snapshot()
    made = plan(town, "rita", row("1"), row("2", "二", summary="新"), row("4"))
    assert [one.code for one in made.new] == ["4"]
    assert made.unchanged == ["1"]
    assert [one.code for one in made.gone] == ["3"], "of the providers that the file speaks of"
    [changed] = made.changed
    assert changed.differences() == [("title", "一", "二"), ("summary", "旧", "新")]
    assert town.snapshot() == before


SPEAKS = frozenset({"code", "title", "provider", "summary", "opening", "sharing"})


def test_what_a_table_has_no_column_for_stays_as_it_is(town: Town) -> None:
    """A grade, a flag, a source that were entered by hand are not lost by the next table."""
    more = {"personal_information": "sensitive", "opening": "conditional", "source_system": "一网通办",
            "opening_condition": "申请"}  # fmt: skip
    bring(town, "rita", row("1", summary="旧", **more), row("2", summary="旧"))
    table = [{"code": code, "title": "一", "provider": BUREAU, "sharing": "unconditional",
              "opening": "conditional" if code == "1" else "unconditional"}
             for code in ("1", "2")]  # fmt: skip
    made = plan(town, "rita", *table, speaks=SPEAKS)
    assert [one.differences() for one in made.changed] == [[("summary", "旧", None)]] * 2
    whole = plan(town, "rita", *table).changed[0].differences()
    assert ("personal_information", "sensitive", None) in whole, "if it spoke of everything"
    same = [{**one, "summary": "旧"} for one in table]
    assert plan(town, "rita", *same, speaks=SPEAKS).unchanged == ["1", "2"]


def test_a_table_cannot_loosen_what_it_has_no_column_for(town: Town) -> None:
    bring(town, "rita", row("1", personal_information="general", opening="not_open"))
    with pytest.raises(Invalid, match="cannot be brought so") as refused:
        bring(town, "rita", row("1"), speaks=SPEAKS)  # opens it without conditions
    [told] = refused.value.facts["problems"]
    assert (told["code"], told["column"]) == ("open_but_personal", "开放类型")
    assert kept(town, "1") == [("一", "listed", None)]
    assert bring(town, "rita", row("1", opening="not_open"), speaks=SPEAKS).unchanged_count == 1


def test_no_refusal_tells_what_another_body_s_resource_says(town: Town) -> None:
    bring(
        town,
        "rita",
        row("1", provider="别的局", personal_information="sensitive", opening="not_open"),
    )
    made = plan(town, "paul", row("1"), speaks=SPEAKS)
    assert [one.code for one in made.problems] == ["code_foreign"]


def test_by_an_earlier_file_all_of_its_resources_are_gone_that_it_lacks(town: Town) -> None:
    bring(town, "rita", row("1"), row("9", provider="别的局"))
    made = plan(town, "rita", row("1"), scope="file", file_name="目录.xlsx")
    assert [one.code for one in made.gone] == ["9"]
    assert not plan(town, "rita", row("1"), scope="file", file_name="另一个.xlsx").gone
    with pytest.raises(Invalid, match="one of providers, file"):
        plan(town, "rita", row("1"), scope="everything")


def test_what_is_gone_stays_unless_it_is_withdrawn(town: Town) -> None:
    bring(town, "rita", row("1"), row("2"))
    stays = bring(town, "rita", row("1", "改"))
    assert (stays.absent_count, kept(town, "2")[0][1]) == (1, "listed")
    goes = bring(town, "rita", row("1", "再改"), withdraw_gone=True, reason="停止采集")
    assert (goes.withdrawn_count, goes.absent_count, goes.reason) == (1, 0, "停止采集")
    with town.reading() as session:
        gone = catalogue.resource_by_code(session, "2")
        assert (gone.state, gone.audience, gone.import_id) == ("withdrawn", "authority", goes.id)
        assert log.payload_of(log.history(session, gone.id)[-1])["reason"] == "停止采集"
    again = bring(town, "rita", row("1", "再改"), row("2"))
    assert (again.new_count, kept(town, "2")[0][1]) == (1, "listed"), "listed again"


def test_what_is_in_use_is_not_withdrawn(town: Town) -> None:
    bring(town, "rita", row("1"), row("2"), row("3"))
    with town.reading() as session:
        ids = [catalogue.resource_by_code(session, code).id for code in ("2", "3")]
    agreement = town.agreement(resource_ids=ids)
    before = town.snapshot()
    with pytest.raises(Conflict) as caught:
        bring(town, "rita", row("1"), withdraw_gone=True)
    assert f"2 ({agreement.number}), 3 ({agreement.number})" in str(caught.value)
    assert town.snapshot() == before


def test_the_same_file_with_the_same_options_is_one_change_set(town: Town) -> None:
    first = bring(town, "rita", row("1"), name="x", defaults={"opening": "是"})
    before = town.snapshot()
    assert bring(town, "rob", row("1"), name="x", defaults={"opening": "是"}).id == first.id
    assert town.snapshot() == before
    assert bring(town, "rita", row("1"), name="x").id != first.id, "other options"


def test_what_was_looked_at_is_applied_or_nothing(town: Town) -> None:
    with town.reading() as session:
        looked = catalogue_imports.plan_of(session, town.actors["rita"], [row("1")])
    checked = catalogue_imports.content_digest(looked.changes())
    bring(town, "rob", row("1", "别人的"))
    with pytest.raises(Conflict, match="changed since this was checked"):
        bring(town, "rita", row("1"), checked=checked)
    assert kept(town, "1")[0][0] == "别人的"


def test_a_code_that_stands_twice_is_refused(village: Town) -> None:
    with pytest.raises(Invalid, match="stands twice"):
        bring(village, "rita", row("1"), row("1"))


# ---------------------------------------------------------------- provider and registrar


def test_a_provider_is_known_by_code_or_name(town: Town) -> None:
    coded = row("2", provider="随便写的", provider_code="11000000DEM000002L")
    bring(town, "rita", row("1"), coded, row("3", provider="不参加的局"))
    with town.reading() as session:
        ids = [catalogue.resource_by_code(session, code).provider_id for code in "123"]
    assert ids == [town.parties["bureau"], town.parties["bureau"], None]


def test_a_provider_brings_his_own_rows_only_and_is_told_which_are_not(town: Town) -> None:
    bring(town, "rita", row("9", provider=BANK))
    before = town.snapshot()
    with pytest.raises(Invalid) as caught:
        bring(town, "paul", {**row("1"), "row": 2, "sheet": "一"},
              {**row("2", provider=BANK), "row": 3, "sheet": "一"},
              {**row("9"), "row": 4, "sheet": "一"})  # fmt: skip
    told = [(one["code"], one["sheet"], one["row"], one["column"])
            for one in caught.value.facts["problems"]]  # fmt: skip
    assert told == [("provider_foreign", "一", 3, "提供方"), ("code_foreign", "一", 4, "资源代码")]
    assert town.snapshot() == before


def test_what_a_provider_brings_waits_for_a_registrar(town: Town) -> None:
    bring(town, "rita", row("1", summary="旧"), row("2"))
    made = bring(
        town, "paul", row("1", summary="新"), row("3"), withdraw_gone=True, reason="年度更新"
    )
    assert (made.state, made.party_id) == ("proposed", town.parties["bureau"])
    assert kept(town, "1", "2") == [("一", "listed", "旧"), ("一", "listed", None)]
    same = bring(
        town, "paul", row("1", summary="新"), row("3"), withdraw_gone=True, reason="年度更新"
    )
    assert same.id == made.id, "handed in twice it waits once"
    town.do("rita", catalogue_imports.approve, made)
    assert kept(town, "1", "2", "3") == [
        ("一", "listed", "新"), ("一", "withdrawn", None), ("一", "listed", None),
    ]  # fmt: skip
    assert kinds(town, made.id) == ["catalogue.proposed", "catalogue.approved"]
    with town.reading() as session:
        found = session.get_one(CatalogueImport, made.id)
        assert (found.state, found.decided_by) == ("applied", town.actors["rita"].member_id)
        assert not session.scalars(select(ProposedChange)).all()
        changed = catalogue_imports.versions_of(session, found, 10)
    assert sorted((kind, after["code"]) for kind, _, after in changed) == [
        ("resource.changed", "1"), ("resource.listed", "3"), ("resource.withdrawn", "2"),
    ]  # fmt: skip


def test_nobody_decides_on_what_he_proposed(town: Town) -> None:
    made = bring(town, "paul", row("1"))
    paul = town.actors["paul"]
    town.actors["paul"] = Actor(paul.member_id, paul.party_id, frozenset({"provider", "registrar"}))
    for verb, given in (("approve", ()), ("reject", ("不行",))):
        with pytest.raises(NotAllowed, match="another person"):
            town.do("paul", getattr(catalogue_imports, verb), made, *given)
    for login in ("olga", "gwen", "mallory"):
        with pytest.raises(NotAllowed):
            town.do(login, catalogue_imports.approve, made)


def test_a_rejection_states_its_ground_and_changes_nothing(town: Town) -> None:
    made = bring(town, "paul", row("1"))
    town.do("rita", catalogue_imports.reject, made, "代码有误")
    assert state_of(town, made) == "rejected"
    with town.reading() as session:
        assert session.scalars(select(Resource)).all() == []
        record = log.history(session, made.id)[-1]
        assert log.payload_of(record)["reason"] == "代码有误"
    with pytest.raises(Conflict, match="rejected"):
        town.do("rita", catalogue_imports.approve, made)


def test_what_changed_since_it_was_proposed_is_a_conflict_naming_the_codes(town: Town) -> None:
    bring(town, "rita", row("1"), row("2"))
    made = bring(town, "paul", row("1", "新"), row("2"), row("3"))
    bring(town, "rita", row("1", "登记机构改的"), row("3", "登记机构加的"))
    before = town.snapshot()
    with pytest.raises(Conflict) as caught:
        town.do("rob", catalogue_imports.approve, made)
    assert caught.value.facts["listing"] == ["1", "3"]
    assert town.snapshot() == before


def test_lines_that_were_tampered_with_are_not_applied(town: Town) -> None:
    made = bring(town, "paul", row("1"))
    with town.deed() as session:
        line = session.scalars(select(ProposedChange)).one()
        assert line.row is not None
        line.row = {**line.row, "title": "换掉的"}
    with pytest.raises(Conflict, match="not those that were recorded"):
        town.do("rita", catalogue_imports.approve, made)


# ---------------------------------------------------------------- undo


def test_undoing_puts_everything_back_and_can_itself_be_undone(town: Town) -> None:
    bring(town, "rita", row("1", summary="旧"), row("2"))
    made = bring(town, "rita", row("1", "新", summary="新"), row("3"), withdraw_gone=True)
    after = kept(town, "1", "2", "3")
    undone = town.do("rob", catalogue_imports.undo, made, "误导入")
    assert kept(town, "1", "2", "3") == [
        ("一", "listed", "旧"), ("一", "listed", None), ("一", "withdrawn", None),
    ]  # fmt: skip
    assert (undone.source, undone.undoes, undone.reason) == ("undo", made.id, "误导入")
    assert (undone.new_count, undone.changed_count, undone.withdrawn_count) == (1, 1, 1)
    assert state_of(town, made) == "undone"
    assert kinds(town, made.id) == ["catalogue.imported", "catalogue.undone"]
    with pytest.raises(Conflict, match="undone"):
        town.do("rita", catalogue_imports.undo, made, "再来")
    again = town.do("rita", catalogue_imports.undo, undone, "没有误导入")
    assert kept(town, "1", "2", "3") == after
    assert state_of(town, undone) == "undone"
    third = town.do("rita", catalogue_imports.undo, again, "还是误导入")
    assert kept(town, "1")[0] == ("一", "listed", "旧")
    assert third.state == "applied"


def test_what_another_change_set_changed_since_cannot_be_put_back(town: Town) -> None:
    made = bring(town, "rita", row("1"), row("2"), row("3"))
    bring(town, "rita", row("1", "改"), row("3", "改"))
    before = town.snapshot()
    with pytest.raises(Conflict) as caught:
        town.do("rita", catalogue_imports.undo, made, "撤")
    assert caught.value.facts["listing"] == ["1", "3"]
    assert town.snapshot() == before


def test_an_approved_change_set_is_undone_as_well(town: Town) -> None:
    made = bring(town, "paul", row("1"))
    town.do("rita", catalogue_imports.approve, made)
    town.do("rita", catalogue_imports.undo, made, "撤")
    assert kept(town, "1")[0][1] == "withdrawn"
    with pytest.raises(NotAllowed):
        town.do("paul", catalogue_imports.undo, made, "撤")


def test_a_change_set_that_lists_what_is_in_use_cannot_be_undone(town: Town) -> None:
    made = bring(town, "rita", row("1"))
    with town.reading() as session:
        ids = [catalogue.resource_by_code(session, "1").id]
    agreement = town.agreement(resource_ids=ids)
    with pytest.raises(Conflict, match=agreement.number):
        town.do("rita", catalogue_imports.undo, made, "撤")


def test_what_is_proposed_or_rejected_cannot_be_undone(town: Town) -> None:
    made = bring(town, "paul", row("1"))
    with pytest.raises(Conflict, match="proposed"):
        town.do("rita", catalogue_imports.undo, made, "撤")


# ---------------------------------------------------------------- at the same moment


def test_an_import_and_another_change_at_the_same_moment_lose_nothing(town: Town) -> None:
    bring(town, "rita", *(row(str(n)) for n in range(30)))
    refused: list[LedgerError] = []
    start = threading.Barrier(2)

    def change(login: str, title: str, codes: range) -> None:
        start.wait()
        for n in codes:
            try:
                bring(town, login, row(str(n), title), name=f"{title}{n}")
            except LedgerError as error:
                refused.append(error)

    threads = [
        threading.Thread(target=change, args=("rita", "甲", range(10))),
        threading.Thread(target=change, args=("rob", "乙", range(10))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refused
    with town.reading() as session:
        for n in range(10):
            found = catalogue.resource_by_code(session, str(n))
            records = log.history(session, found.id)
            assert found.version == len(records) == 3
            assert log.payload_of(records[-1])["body"] == found.body()


# ---------------------------------------------------------------- records in bulk


def test_more_records_than_a_receipt_tells_are_records_like_any_other(town: Town) -> None:
    count = log.TOLD_MOST + 7
    with town.deed() as session:
        made = catalogue_imports.bring(
            session, town.actors["rita"], town.now, rows=[row(f"{n:06d}") for n in range(count)],
            file_name="a", file_digest="b",
        )  # fmt: skip
        town.home.record(session, town.now)
        assert [one["kind"] for one in log.sequenced(session)] == ["catalogue.imported"]
    checkpoint = town.seal()
    with town.reading() as session:
        rows = session.scalars(select(Resource).order_by(Resource.id)).all()
        assert [one.code for one in rows] == [f"{n:06d}" for n in range(count)], "in their order"
        for one in (rows[0], rows[1234], rows[-1]):
            record = log.record_of(session, one.id, 1)
            assert log.payload_of(record)["body"] == one.body()
            hashed = log.leaf_hash_of(record)
            proof = log.inclusion(session, record.leaf_index, checkpoint.tree_size)
            root = log.root_at(session, checkpoint.tree_size)
            verify_inclusion(hashed, record.leaf_index, checkpoint.tree_size, proof, root)
        found = session.get_one(CatalogueImport, made.id)
        assert len(catalogue_imports.records_of(session, found)) == count


def test_a_row_that_cannot_be_used_is_not_gone(town: Town) -> None:
    bring(town, "rita", row("1"), row("2"), row("3"))
    made = plan(town, "rita", row("1"), present=["2"])
    assert [one.code for one in made.gone] == ["3"]


def test_a_provider_s_name_that_no_longer_says_who_leaves_the_resource_with_its_own(
    town: Town,
) -> None:
    """Two bear it now, or its body was split: a table that still says it takes nothing from an heir."""
    bring(town, "rita", row("1"), row("2"))
    bureau, other = town.party("bureau"), party(town)
    party(town, name=BUREAU)
    unchanged = plan(town, "rita", row("1"), row("2"))
    assert (unchanged.changed, unchanged.unchanged) == ([], ["1", "2"])
    split(town, bureau, other, [party(town)])
    [changed, _] = plan(town, "rita", row("1"), row("2")).changed
    assert (changed.provider, changed.provider_id) == (BUREAU, other.id)
    assert plan(town, "rita", row("9")).new[0].provider_id != bureau.id, (
        "who ended provides nothing"
    )


def test_undoing_what_was_listed_again_gives_back_what_it_said(town: Town) -> None:
    bring(town, "rita", row("1", "甲"))
    town.do("rita", catalogue_imports.bring_one, "1", None, "撤下")
    again = bring(town, "rita", row("1", "乙", provider="别的局", summary="新"))
    town.do("rita", catalogue_imports.undo, again, "弄错了")
    assert kept(town, "1") == [("甲", "withdrawn", None)]
