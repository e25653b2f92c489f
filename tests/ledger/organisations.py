"""Organisations for the tests: one more of them, merged, renamed, split, with stewards."""

import itertools
from typing import Any

from stdnum.cn import uscc

from ledger import parties, stewards, successions
from ledger.calendar import local_date
from ledger.parties import Member, Party
from tests.conftest import Town

GROUND = "机构改革方案〔2026〕1号"
_serial = itertools.count(1)


def party(town: Town, kind: str = "public_body", name: str = "") -> Party:
    """One more organisation."""
    n = next(_serial)
    stem = f"11000000TEAT{n:05d}"
    with town.deed() as session:
        return parties.add_party(
            session, "system", town.now, kind=kind, name=name or f"机构 {n}",
            uscc=stem + uscc.calc_check_digit(stem),
        )  # fmt: skip


def steward(town: Town) -> stewards.Steward:
    """A data steward of an organisation of his own."""
    body = party(town)
    with town.deed() as session:
        member = parties.add_member(
            session, "system", town.now, party=session.get_one(Party, body.id),
            login=f"steward-{body.uscc[-4:].lower()}", display_name="数据专员", roles=["provider"],
        )  # fmt: skip
    return town.do(
        "admin", stewards.name, party=body, member=member, post="steward",
        from_on=local_date(town.now),
    )  # fmt: skip


def merge(town: Town, one: Party, into: Party, who: str = "admin", **more: Any) -> Any:
    facts = {"ground": GROUND, "effective_on": local_date(town.now), **more}
    return town.do(who, successions.merge, one, into=into, **facts)


def rename(town: Town, one: Party, name: str, who: str = "admin", **more: Any) -> Any:
    facts = {"ground": GROUND, "effective_on": local_date(town.now), **more}
    return town.do(who, successions.rename, one, name=name, **facts)


def split(
    town: Town,
    one: Party,
    main: Party,
    others: list[Party],
    who_gets: Any = None,
    who: str = "admin",
) -> Any:
    return town.do(
        who, successions.split, one, main=main, others=others, who_gets=who_gets or {},
        ground=GROUND, effective_on=local_date(town.now),
    )  # fmt: skip


def member(town: Town, login: str) -> Member:
    with town.reading() as session:
        return session.get_one(Member, town.actors[login].member_id)
