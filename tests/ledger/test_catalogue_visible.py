"""Who sees that a resource exists: derived from its elements in one place, asked everywhere."""

from typing import Any

import pytest
from sqlalchemy import select

from ledger import catalogue
from ledger.catalogue import Resource, derive
from ledger.errors import Missing
from ledger.parties import NOBODY
from tests.conftest import Town

FREE = {"sharing": "unconditional", "opening": "unconditional"}


@pytest.mark.parametrize(
    ("elements", "audience"),
    [
        (FREE, "public"),
        ({"opening": "conditional"}, "public"),
        ({"opening": "有条件开放"}, "public"),
        ({**FREE, "grading": "general"}, "public"),
        ({**FREE, "grading": "important"}, "bodies"),
        ({**FREE, "grading": "core"}, "authority"),
        ({**FREE, "important_list": "yes"}, "bodies"),
        ({**FREE, "grading": "三级"}, "bodies"),
        ({**FREE, "grading": None, "grading_text": "三级"}, "bodies"),
        ({**FREE, "grading_text": "三级", "impacts": ["person:ordinary"]}, "bodies"),
        ({"opening": "conditional", "grading_text": "三级"}, "authority"),
        ({**FREE, "grading_text": "重要数据3级"}, "bodies"),
        ({**FREE, "grading_text": "一般数据（2级）"}, "public"),
        ({**FREE, "grading_text": "国家秘密（机密级）"}, "authority"),
        ({**FREE, "impacts": ["national_security:serious"]}, "authority"),
        ({**FREE, "personal_information": "sensitive"}, "bodies"),
        ({**FREE, "personal_information": "none"}, "public"),
        ({**FREE, "personal_information": "否"}, "public"),
        ({**FREE, "personal_information": "是"}, "bodies"),
        ({**FREE, "personal_information": "也许"}, "bodies"),
        ({**FREE, "personal_information": None, "personal_information_text": "也许"}, "bodies"),
        ({"opening": "unconditional", "personal_information_text": "也许"}, "authority"),
        ({**FREE, "opening": "conditional", "personal_information": "general"}, "public"),
        ({"sharing": "conditional", "opening": "not_open"}, "bodies"),
        ({"sharing": "not_shared", "opening": "not_open"}, "authority"),
        ({}, "authority"),
    ],
)
def test_the_audience_follows_from_the_elements(elements: dict[str, Any], audience: str) -> None:
    assert derive("listed", elements)[1] == audience
    assert derive("withdrawn", elements)[1] == "authority"


@pytest.fixture(scope="module")
def peopled(village: Town) -> Town:
    """A catalogue with a resource for each audience, of the bureau's and of nobody's."""
    kinds = {"public": FREE, "bodies": {"sharing": "conditional"}, "authority": {}}
    for name, elements in kinds.items():
        for provider in ("市数据局", "不参加的局"):
            village.do(
                "rita", catalogue.add_resource, code=f"{name} {provider}", title="甲",
                provider=provider, elements=elements,
            )  # fmt: skip
    village.do(
        "olga", catalogue_agreement, village,
        [resource.id for resource in seen_by(village, "rita") if resource.code == "authority 不参加的局"],
    )  # fmt: skip
    return village


def catalogue_agreement(session: Any, actor: Any, now: Any, town: Town, ids: list[str]) -> Any:
    from datetime import timedelta  # noqa: PLC0415

    from ledger import agreements  # noqa: PLC0415

    return agreements.propose(
        session, actor, now, title="协议", mode="whole", implementer=town.party("treasury"),
        resource_ids=ids, elements=dict.fromkeys(agreements.ELEMENTS, "x"), from_on=now.date(),
        until_on=now.date() + timedelta(days=30),
    )  # fmt: skip


def seen_by(town: Town, login: str | None) -> list[Resource]:
    actor = NOBODY if login is None else town.actors[login]
    with town.reading() as session:
        seen = catalogue.visible(session, actor)
        query = select(Resource).order_by(Resource.code)
        return list(session.scalars(query if seen is None else query.where(seen)))


PUBLIC = {"public 市数据局", "public 不参加的局"}
BODIES = PUBLIC | {"bodies 市数据局", "bodies 不参加的局"}
ALL = BODIES | {"authority 市数据局", "authority 不参加的局"}


@pytest.mark.parametrize(
    ("login", "codes"),
    [
        (None, PUBLIC),
        ("anna", PUBLIC),  # a firm's appraiser
        ("paul", BODIES | {"authority 市数据局"}),  # a provider of a public body: also its own
        ("gwen", ALL), ("rita", ALL),
        ("pia", PUBLIC),  # a provider, but of an enterprise
        ("olga", PUBLIC),  # who proposed an agreement on it: nobody has signed
        ("mona", PUBLIC | {"authority 不参加的局"}),  # of the treasury, which is to sign
    ],
)  # fmt: skip
def test_everybody_sees_what_he_may_and_no_more(
    peopled: Town, login: str | None, codes: set[str]
) -> None:
    assert {resource.code for resource in seen_by(peopled, login)} == codes
    actor = NOBODY if login is None else peopled.actors[login]
    with peopled.reading() as session:
        audience = catalogue.audiences(session, actor)
        for resource in session.scalars(select(Resource)):
            assert audience.sees(resource) == (resource.code in codes)
            if resource.code not in codes:
                with pytest.raises(Missing) as hidden:
                    catalogue.find(session, actor, resource.code)
                with pytest.raises(Missing) as unknown:
                    catalogue.find(session, actor, "没有的")
                assert hidden.value.template == unknown.value.template
                assert set(hidden.value.facts) == set(unknown.value.facts)
