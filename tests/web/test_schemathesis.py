"""The API against its own document: generated requests, none of which may find what is not documented.

Schemathesis makes requests that fit the document and requests that do not. They meet a town with real
subjects, by somebody who may, by somebody with all roles who may not, and by nobody.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from ledger.chain.keys import write_durably
from ledger.rights import ROLES
from tests.conftest import CREDENTIAL_KEY, LOG_KEY, PARTIES, found_town, fresh_database
from tests.web.conftest import Site
from tests.web.test_matrix import OWN as OWN_KEYS
from tests.web.test_matrix import TOKEN_NEVER, Stage, furnish
from webapp import accounts
from webapp.api import KEYS
from webapp.deeds import DEEDS, QUESTIONS, Thing
from webapp.deeds.subjects import SUBJECTS

FEW, MANY = 4, 30
DOCUMENT = "/api/openapi.json"
OWN = ("job.list", "job.read", "job.file", "file.verify")  # made by hand, in webapp.api.more
OPERATIONS = (*QUESTIONS, *DEEDS, *OWN)
CHECKS = [
    status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip
CASES: Counter[str] = Counter()


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A fresh town on SQLite, its site without a limit of requests, and people who have every role."""
    folder = tmp_path_factory.mktemp("schemathesis")
    with (
        pytest.MonkeyPatch.context() as environment,
        fresh_database("sqlite", request, folder) as url,
    ):
        environment.setenv("SHUZHENG_RATE", "1000000 per minute")
        for town in found_town(url, folder):
            site = Site(town)
            keys = town.home.path / "keys"
            keys.mkdir()
            for role, key in (("log", LOG_KEY), ("credential", CREDENTIAL_KEY)):
                public = key.public_key().public_bytes_raw().hex()
                write_durably(keys / f"{role}.json", {"public": public, "role": role})
            yield furnish(site)
            town.home.close()


@pytest.fixture(scope="module")
def schema(stage: Stage) -> Any:
    """The document as Schemathesis reads it."""
    return schemathesis.openapi.from_wsgi(DOCUMENT, stage.app)


@pytest.fixture(scope="module")
def tokens(stage: Stage) -> dict[str, str]:
    """An API token with every scope of one who has every role, for each organisation."""
    made = {}
    for party in PARTIES:
        member_id = stage.town.actors[stage.member(party, *ROLES)].member_id
        with stage.town.deed() as session:
            made[party] = accounts.create_token(
                session, member_id, name="-", scopes=sorted(accounts.SCOPES), days=366,
                now=stage.town.now,
            )[1]  # fmt: skip
        for key in OWN_KEYS:
            stage.own(key, stage.member(party, *ROLES))  # while he has few tokens yet
    return made


# ---------------------------------------------------------------- the document itself


@pytest.fixture(scope="module")
def document(stage: Stage) -> dict[str, Any]:
    return dict(stage.app.test_client().get(DOCUMENT).get_json())


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The document's operations by their id."""
    return {
        operation["operationId"]: {
            **operation,
            "path": path,
            "shared": one.get("parameters", []),
            "parameters": operation.get("parameters", []),
        }
        for path, one in document["paths"].items()
        for method, operation in one.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    """By the specification's own JSON Schema, each schema by JSON Schema 2020-12, no name dangling."""
    assert document["openapi"] == "3.1.0"
    faults = [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(document)]
    assert not faults, faults
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )
        assert schema.get("type") == "object", name
    text = json.dumps(document)
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_the_document_has_every_deed_and_question_once_and_says_what_each_is(
    document: dict[str, Any],
) -> None:
    found = operations(document)
    assert sorted(found) == sorted(OPERATIONS)
    declared = {tag["name"] for tag in document["tags"]}
    for name, operation in found.items():
        assert operation["summary"], name
        assert "MAY" not in operation["description"], name
        assert set(operation["tags"]) <= declared, name
        parameters = {one["name"]: one for one in [*operation["shared"], *operation["parameters"]]}
        assert all(one["description"] for one in parameters.values() if one["in"] != "query"), name
        in_path = set(re.findall(r"{(\w+)}", operation["path"]))
        assert {n for n, one in parameters.items() if one["in"] == "path"} == in_path, name
        assert ("Idempotency-Key" in parameters) == (name in DEEDS), name
        changes = name in DEEDS and DEEDS[name].changes
        assert ("If-Match" in parameters) == changes, name
        refusals = {status for status in operation["responses"] if status >= "400"}
        assert {"400", "401", "403", "429", "500"} <= refusals, name
        assert ({"412", "428"} <= refusals) == changes, name
        assert ("415" in refusals) == ("requestBody" in operation or name in DEEDS), name
        assert ("503" in refusals) == getattr(thing_of(name), "asks_chain", False), name
    assert set(SUBJECTS) <= set(KEYS)


def thing_of(name: str) -> Thing | None:
    return QUESTIONS.get(name) or DEEDS.get(name)


# ---------------------------------------------------------------- generated requests


class Walker:
    """Requests to one operation of the document, and what is wrong with their answers."""

    def __init__(self, stage: Stage, schema: Any, tokens: dict[str, str], name: str) -> None:
        self.stage, self.name = stage, name
        self.operation = schema.find_operation_by_id(name)
        self.thing = stage.guards[f"api.{name.replace('.', '_')}"]
        keys = re.findall(r"{(\w+)}", self.operation.path)
        self.party = stage.someone(self.thing, {key: stage.ready[key] for key in keys})
        self.login = stage.member(self.party, *ROLES)
        self.keys = {key: stage.own(key, self.login) or stage.ready[key] for key in keys}
        self.token = tokens[self.party]
        self.stranger = tokens[next(p for p in PARTIES if p != self.party)]

    def version(self) -> int:
        """The version of the subject as it is now."""
        with self.stage.town.reading() as session:
            found = self.thing.subjects(session, self.keys)
        return int(getattr(found[-1], "version", 0)) if found else 0

    def ask(self, case: Any, token: str | None, *, fitting: bool) -> None:
        """One request; `fitting`: with a fresh key, and the version that is there."""
        more: dict[str, Any] = {}
        if token is None:
            more["headers"] = {}
        elif self.thing.verb.startswith(TOKEN_NEVER):
            more["session"] = self.stage.site.visit(self.login).client
        else:
            more["headers"] = {"Authorization": f"Bearer {token}"}
        if fitting and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = uuid4().hex
        if fitting and "If-Match" in case.headers:
            case.headers["If-Match"] = f'"{self.version()}"'
        response = case.call(**more)
        CASES[f"{response.status_code}"] += 1
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 500:
            assert response.status_code == 503, response.text
            assert getattr(self.thing, "asks_chain", False), response.text

    def run(self, count: int) -> None:
        """`count` requests of each sort."""
        sorts = [
            (count, GenerationMode.POSITIVE, self.keys, self.token, True),
            (count, GenerationMode.NEGATIVE, self.keys, self.token, True),
            (count // 2, GenerationMode.POSITIVE, None, self.token, False),
            (count // 4, GenerationMode.POSITIVE, self.keys, self.stranger, True),
            (count // 4, GenerationMode.POSITIVE, self.keys, None, True),
        ]
        for number, mode, keys, token, fitting in sorts:
            if mode is GenerationMode.NEGATIVE and not (
                self.operation.body or self.operation.query or self.operation.headers
            ):
                continue  # there is nothing that could not fit
            examples = self.operation.as_strategy(generation_mode=mode, path_parameters=keys)
            self.send(examples, number, token, fitting=fitting)

    def send(self, examples: Any, count: int, token: str | None, *, fitting: bool) -> None:
        """`count` examples, the same each time."""

        @settings(
            max_examples=count, derandomize=True, database=None, deadline=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=examples)
        def requests(case: Any) -> None:
            self.ask(case, token, fitting=fitting)

        requests()


@pytest.mark.parametrize("name", OPERATIONS[::3])  # a sample: all are asked more, but slowly
def test_no_request_finds_what_the_document_does_not_say(
    stage: Stage, schema: Any, tokens: dict[str, str], name: str
) -> None:
    Walker(stage, schema, tokens, name).run(FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_request_of_very_many_finds_what_the_document_does_not_say(
    stage: Stage, schema: Any, tokens: dict[str, str], name: str
) -> None:
    Walker(stage, schema, tokens, name).run(MANY)


def test_the_number_of_requests_is_told(stage: Stage) -> None:
    print(f"\nschemathesis: {len(OPERATIONS)} operations, {CASES.total()} requests: {dict(CASES)}")
