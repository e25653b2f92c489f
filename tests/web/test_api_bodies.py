"""What a body or an upload must be for the API to take it, and what names what is wrong with it."""

import io
import json
from dataclasses import replace

import pytest
from marshmallow import fields

from tests.web.conftest import Site
from tests.web.examples import EXAMPLES, a_licence, serial
from tests.web.sending import address, problem, send, version
from webapp.api import JSON_BYTES_MAX
from webapp.deeds import DEEDS, Deed
from webapp.deeds.forms import NotBlank


def texts_of(deed: Deed) -> list[str]:
    """The fields of a deed's body that must say something in words of one's own."""
    return [name for name, one in deed.body().fields.items()
            if type(one) is fields.String and any(isinstance(v, NotBlank) for v in one.validators)
            and not one.metadata.get("choices")]  # fmt: skip


@pytest.mark.pages
@pytest.mark.parametrize("name", [n for n, d in DEEDS.items() if not d.upload])
def test_what_is_missing_or_unknown_is_named_by_its_field_in_both_languages(
    place: Site, name: str
) -> None:
    deed = DEEDS[name]
    request = replace(EXAMPLES[name](place), body={"surely_unknown": 1})
    due = {n for n, one in deed.body().fields.items() if one.required} | {"surely_unknown"}
    place.visit(request.login)
    before, said = place.town.image(), {}
    for language in ("zh", "en"):
        headers = {"Accept-Language": language}
        answer = send(place, deed, request, f"lacking-{next(serial)}", version(place, deed, request.keys),
                      headers=headers)  # fmt: skip
        said[language] = problem(answer, 400, "invalid")
        assert {one.split(".")[0] for one in said[language]["errors"]} == due
    assert said["zh"]["detail"] != said["en"]["detail"]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in said["zh"]["detail"])
    assert said["en"]["detail"].isascii()
    assert said["zh"]["facts"] == said["en"]["facts"], "facts are for programs"
    assert place.town.image() == before


@pytest.mark.pages
@pytest.mark.parametrize(
    "name", sorted({n for n, d in DEEDS.items() if not d.upload and texts_of(d)})
)
def test_spaces_are_no_text(place: Site, name: str) -> None:
    deed, request = DEEDS[name], EXAMPLES[name](place)
    blank = dict.fromkeys(texts_of(deed), " \u3000")
    request = replace(request, body={**request.body, **blank})
    answer = send(place, deed, request, f"spaces-{next(serial)}", version(place, deed, request.keys),
                  headers={"Accept-Language": "en"})  # fmt: skip
    assert blank.keys() <= problem(answer, 400, "invalid")["errors"].keys()


@pytest.mark.pages
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"null", 400),
        (b'{"name": NaN}', 400),
        (b'{"name": Infinity}', 400),
        (b'{"name": "\xff"}', 400),
        (b'{"name": "a", "name": "b"}', 400),
        (b'{"name": "a\\u0000b"}', 400),
        (b'{"name": "half \\ud800"}', 400),
        (b'{"half \\ud800": 1}', 400),
        (b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"name": ' + b"9" * 5000 + b"}", 400),
        (b'{"name": "' + b"x" * JSON_BYTES_MAX + b'"}', 413),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else str(value),
)
def test_a_body_that_is_no_json_object_of_ours_is_refused(
    place: Site, body: bytes, status: int
) -> None:
    client, before = place.visit("admin").client, place.town.snapshot()
    for path in ("parties", "figures/value/cost"):
        answer = client.post(
            f"/api/v1/{path}", data=body, content_type="application/json",
            headers={"Idempotency-Key": f"body-number-{next(serial)}"},
        )  # fmt: skip
        problem(answer, status)
    assert place.town.snapshot() == before


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
def test_a_body_of_another_media_type_is_refused(place: Site, media_type: str) -> None:
    answer = place.visit("admin").client.post(
        "/api/v1/parties", data=b'{"name":"a"}', content_type=media_type,
        headers={"Idempotency-Key": f"type-number-{next(serial)}"},
    )  # fmt: skip
    problem(answer, 415, "unsupported_media")


@pytest.mark.parametrize(
    ("amount", "fen"),
    [
        ("380000.10", 38_000_010), ("380000.1", 38_000_010), ("12", 1_200), ('"0.01"', 1),
        ("0.29", 29),  # as a binary fraction it is 28.999999999999996 fen
        ("1e3", None), ("1.005", None), ("-1.00", None), ("0.1e1", None), ('"１.00"', None),
        ("true", None), ("null", None), ("[]", None), ('"1,000.00"', None), ("9" * 30, None),
    ],
)  # fmt: skip
def test_money_is_read_as_it_is_written_and_never_as_a_float(
    place: Site, amount: str, fen: int | None
) -> None:
    deed, request = DEEDS["licence.grant"], a_licence(place)
    text = json.dumps({**request.body, "price_yuan": "?"}).replace('"?"', amount)
    answer = place.visit("olga").client.post(
        f"/api/v1{address(deed, request.keys)}", data=text, content_type="application/json",
        headers={"Idempotency-Key": f"money-number-{next(serial)}"},
    )  # fmt: skip
    if fen is None:
        problem(answer, 400)
        return
    assert answer.status_code == 201, answer.text
    shown = place.visit("olga").read(f"/licences/{request.body['order']}")
    assert shown["price_fen"] == fen


def test_a_number_with_a_point_in_a_document_is_kept_as_the_text_it_was(place: Site) -> None:
    request = a_licence(place)
    scene = json.dumps("风险评估")
    text = json.dumps(request.body).replace(scene, f'{scene}, "share": 0.1000')
    visit = place.visit("olga")
    answer = visit.client.post(
        f"/api/v1/vouchers/{request.keys['voucher_number']}/licences", data=text,
        content_type="application/json", headers={"Idempotency-Key": f"float-number-{next(serial)}"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert visit.read(f"/licences/{request.body['order']}")["terms"] == {
        "scene": "风险评估",
        "share": "0.1000",
    }


# ---------------------------------------------------------------- uploads


@pytest.mark.parametrize(
    ("name", "data", "fits"),
    [
        ("a.csv", b"a,b\n1,2\n", True),
        ("表.csv", "名称,数\n甲,1\n".encode("gbk"), True),
        ("wide.txt", "名称,数\n".encode("utf-16"), True),
        ("a.pdf", b"%PDF-1.7\n\x00\x01", True),
        ("a.parquet", b"PAR1\x00\x00", True),
        ("empty.csv", b"", False),
        ("a.csv", b"MZ\x90\x00\x03", False),
        ("a.csv", b"\x7fELF\x02\x01", False),
        ("run.csv", b"#!/bin/sh\nrm -rf /\n", False),
        ("a.csv", b"a,b\n\x00\x01\x02", False),
        ("", b"a,b\n1,2\n", False),
    ],
)
def test_an_upload_is_taken_by_what_it_is_not_by_its_name(
    place: Site, name: str, data: bytes, fits: bool
) -> None:
    answer = place.visit("olga").client.post(
        "/api/v1/deposits", data={"file": (io.BytesIO(data), name)},
        headers={"Idempotency-Key": f"upload-number-{next(serial)}"},
    )  # fmt: skip
    if not fits:
        problem(answer, 400, "invalid")
        return
    assert answer.status_code == 201, answer.text
    digest = answer.get_json()["answer"]["digest"]
    assert place.town.home.material(digest) == data


def test_an_upload_s_name_digest_and_size_are_the_file_s_own(place: Site) -> None:
    data = f"a\n{next(serial)}\n".encode()
    lies = {"name": "other.csv", "digest": "sha256:" + "0" * 64, "size_bytes": "1"}
    made = place.visit("olga").api(
        "/deposits", data={**lies, "file": (io.BytesIO(data), "../../etc/passwd.csv")}
    )
    shown = place.visit("olga").read(f"/deposits/{made.get_json()['answer']['id']}")
    assert (shown["name"], shown["size_bytes"]) == ("passwd.csv", len(data))
    assert shown["digest"] != lies["digest"]


def test_an_upload_that_is_too_large_or_no_form_is_refused_before_it_is_read(place: Site) -> None:
    client = place.visit("olga").client
    headers = {"Idempotency-Key": f"too-large-{next(serial)}"}
    much = place.app.config["MAX_CONTENT_LENGTH"] + 1
    answer = client.post(
        "/api/v1/deposits", input_stream=io.BytesIO(b"--x\r\n"), headers=headers,
        content_type="multipart/form-data; boundary=x", environ_overrides={"CONTENT_LENGTH": str(much)},
    )  # fmt: skip
    problem(answer, 413)
    answer = client.post("/api/v1/deposits", data=b"a,b", content_type="text/csv", headers=headers)
    problem(answer, 415, "unsupported_media")
    problem(client.post("/api/v1/deposits", headers=headers), 415, "unsupported_media")
    no_file = client.post("/api/v1/deposits", data={"name": "a"}, headers=headers,
                          content_type="multipart/form-data")  # fmt: skip
    problem(no_file, 400, "invalid")
