"""Registration profiles: the rules of one place as data, `registration_profiles.yaml` beside this file.

`national` comes first (发改数据规〔2025〕26号); a local profile says only where it differs. The house
chooses one as its setting `registration_profile`; each application keeps the name of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from sqlalchemy.orm import Session

from ledger import settings
from ledger.errors import Invalid

NATIONAL = "national"
PATH = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Type:
    """A type of application: its names, whether it goes on public notice, the grounds it may have."""

    zh: str
    en: str
    notice: bool
    grounds: Mapping[str, str]


@dataclass(frozen=True)
class Profile:
    """The rules of one place. Days are working days, but for `renewal_days`."""

    id: str
    zh: str
    en: str
    rule: str
    objects: tuple[str, ...]
    types: Mapping[str, Type]
    days: Mapping[str, int]
    renewal_days: int
    validity_years: int
    barred_grades: tuple[str, ...]
    second_review_from: str
    refusal_grounds: Mapping[str, str]
    revocation_grounds: Mapping[str, str]

    def type_of(self, name: str) -> Type:
        """A type of application; raises Invalid where the rules of this place have none such."""
        if name not in self.types:
            having = [one.zh for one in profiles().values() if name in one.types]
            raise Invalid(
                "The rules of this registry ({profile}) have no registration of the type {type}; {having}.",
                profile=self.zh, type=name, having="、".join(having) or "-",
            )  # fmt: skip
        return self.types[name]


@cache
def profiles() -> Mapping[str, Profile]:
    """All profiles by their names, the national one first."""
    known = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    national = known[NATIONAL]
    return MappingProxyType(
        {name: _profile(name, _merged(national, given)) for name, given in known.items()}
    )


def profile(name: str | None) -> Profile:
    """The profile with a name; what was recorded before there were profiles is the national one's."""
    return profiles()[name or NATIONAL]


def in_use(session: Session) -> Profile:
    """The profile that this house works by."""
    return profile(settings.value(session, "registration_profile"))


def _merged(whole: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` over `whole`, map by map; a list of grounds is taken whole."""
    made = dict(whole)
    for key, value in given.items():
        known = made.get(key)
        deeper = isinstance(value, Mapping) and isinstance(known, Mapping) and key != "values"
        made[key] = _merged(known, value) if deeper and isinstance(known, Mapping) else value
    return made


def _profile(name: str, given: Mapping[str, Any]) -> Profile:
    days = dict(given["deadlines"])
    renewal = days.pop("renewal_days")["n"]
    rule = given["rule"]
    return Profile(
        id=name, zh=given["zh"], en=given["en"],
        rule=f"{rule['zh']}（{rule['doc_no']}）" if "doc_no" in rule else rule["zh"],
        objects=tuple(given["objects"]["values"]),
        types={
            key: Type(one["zh"], one["en"], bool(one.get("notice")), dict(one.get("grounds", {})))
            for key, one in given["types"].items()
        },
        days={key: one["n"] for key, one in days.items()},
        renewal_days=renewal,
        validity_years=given["validity_years"]["n"],
        barred_grades=tuple(given["barred_grades"]["values"]),
        second_review_from=given["second_review_from"]["value"],
        refusal_grounds=dict(given["refusal_grounds"]["values"] or {}),
        revocation_grounds=dict(given["revocation_grounds"]["values"]),
    )  # fmt: skip
