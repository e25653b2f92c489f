"""A printed voucher shows what its attached bundle holds, and nothing else; any other file is refused."""

import copy
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pypdf
import pytest
import segno
import typst
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ledger import papers
from ledger.errors import Invalid, LedgerError, ProofFailed
from ledger.papers import (
    ATTACHMENT,
    OtherMaker,
    check_voucher_pdf,
    parse_qr_text,
    qr_text,
    read_voucher_pdf,
    shown,
    voucher_pdf,
)
from ledger.proof import checkpoint as notes
from ledger.proof import credential as credentials
from ledger.proof.bundle import entry_of, payload_digest
from ledger.proof.encoding import canonical, instant, parse
from ledger.proof.merkle import inclusion_proof, leaf_hash, root
from ledger.proof.trust import parse_trust
from ledger.proof.verify import VALID, verify

REGISTRY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
ORIGIN = "shuzheng.local/5bb8de10"
NUMBER = "PZ202609-000001-6"
TITLE = "区划关联公共卫生风险统计产品"
ISSUED = datetime(2026, 9, 17, 4, tzinfo=UTC)
LISTED = datetime(2026, 11, 22, 13, 41, 25, tzinfo=UTC)
NEXT = datetime(2026, 11, 29, 13, 41, 25, tzinfo=UTC)
CHAIN = {
    "anchor": "0x" + "0b" * 20, "chain_id": 20260601,
    "genesis": "0x" + "5b" * 32, "vouchers": "0x" + "59" * 20,
}  # fmt: skip


def bundle(
    *,
    disclose: bool = True,
    listed: bool = True,
    status: int = 1,
    name: str = "城数运营有限公司",
    origin: str = ORIGIN,
    key: Ed25519PrivateKey = REGISTRY,
    **subject: Any,
) -> dict[str, Any]:
    """A voucher's bundle as a registry makes it, leaf 2 of 3; `subject` replaces facts of the voucher."""
    did = credentials.did_key(key.public_key().public_bytes_raw())
    fields = {"holder_name": name, "holder_uscc": "91000000DEM000003F"}
    disclosures = credentials.withhold(fields, {field: bytes(16) for field in fields})
    voucher = credentials.sign(
        {
            "@context": [credentials.CONTEXT],
            "credentialStatus": {
                "statusListCredential": f"urn:shuzheng:{origin}:status",
                "statusListIndex": "7",
            },
            "credentialSubject": {
                "id": f"urn:shuzheng:{origin}:holder:0xEb0455d4f001E12B28E75DBf7715743E3390b136",
                "kind": "registration",
                "log": origin,
                "nonce": "00" * 16,
                "number": NUMBER,
                "object": "product",
                "registration_code": "DJ202609-000001-E",
                "rights": ["use", "operating"],
                "summary": "将每日病例统计关联到乡级行政区划，不含个人信息",
                "title": TITLE,
                "withheld": {
                    field: credentials.disclosure_digest(field, disclosures[field])
                    for field in fields
                },
                **subject,
            },
            "id": f"urn:shuzheng:{origin}:voucher:{NUMBER}",
            "issuer": did,
            "type": ["VerifiableCredential", "DataAssetVoucher"],
            "validFrom": instant(ISSUED),
            "validUntil": "2029-09-17T15:59:59Z",
        },
        key,
        ISSUED,
    )
    listing = credentials.sign(
        {
            "@context": [credentials.CONTEXT],
            "credentialSubject": {
                "encodedList": credentials.encode_status_list({7: status}, 8),
                "id": f"urn:shuzheng:{origin}:status#list",
                "statusPurpose": "message",
                "type": "BitstringStatusList",
            },
            "id": f"urn:shuzheng:{origin}:status",
            "issuer": did,
            "type": ["VerifiableCredential", "BitstringStatusListCredential"],
            "validFrom": instant(LISTED),
            "validUntil": instant(NEXT),
        },
        key,
        LISTED,
    )
    payload = {
        "actor": "registrar", "at": instant(ISSUED),
        "body": {"digest": "sha256:" + credentials.credential_digest(voucher).hex()},
        "kind": "voucher.issued", "log": origin, "on_behalf_of": None, "prev": None,
        "reason": None, "subject": {"id": "1", "type": "voucher"}, "v": 1,
    }  # fmt: skip
    entry = entry_of(payload, payload_digest(bytes(16), canonical(payload)))
    leaves = [leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(canonical(entry))]
    text = notes.format_checkpoint(notes.Checkpoint(origin, 3, root(leaves)))
    return {
        "anchor": {"block": 6, "transaction": "0x" + "78" * 32},
        "chain": CHAIN,
        "checkpoint": notes.sign(text, origin, LOG),
        "disclosures": disclosures if disclose else {},
        "entry": entry,
        "inclusion": [node.hex() for node in inclusion_proof(leaves, 2, 3)],
        "leaf_index": 2,
        "payload": payload,
        "salt": "00" * 16,
        "status": listing if listed else None,
        "type": "shuzheng/bundle",
        "v": 1,
        "voucher": voucher,
    }


@cache
def printed() -> bytes:
    return voucher_pdf(bundle())


def digest(of: dict[str, Any]) -> str:
    return credentials.credential_digest(of["voucher"]).hex()


def reader(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf), strict=True)


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in reader(pdf).pages)


def refused(pdf: bytes) -> LedgerError:
    """The refusal, which must come within two seconds."""
    start = time.perf_counter()
    with pytest.raises(LedgerError) as caught:
        check_voucher_pdf(pdf)
    with pytest.raises(Invalid):
        check_voucher_pdf(read_or_refuse(pdf))
    assert time.perf_counter() - start < 2
    return caught.value


def read_or_refuse(pdf: bytes) -> bytes:
    """What `read_voucher_pdf` gives; nothing but Invalid may come out of it otherwise."""
    try:
        return read_voucher_pdf(pdf)
    except Invalid:
        return b""


def rebuilt(change: Any) -> bytes:
    """The printed voucher written anew by another PDF library after `change(writer)`."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(printed()))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


# --- the page


def test_the_bundle_of_these_tests_is_one_that_verify_accepts():
    trust = parse_trust(
        canonical(
            {
                "chain": {
                    "chain_id": CHAIN["chain_id"],
                    "contracts": {
                        "CheckpointAnchor": CHAIN["anchor"],
                        "VoucherRegistry": CHAIN["vouchers"],
                    },
                    "embedded": True,
                    "genesis": CHAIN["genesis"],
                },
                "credential_keys": [
                    {
                        "did": credentials.did_key(REGISTRY.public_key().public_bytes_raw()),
                        "valid_from": instant(ISSUED),
                        "valid_until": None,
                    }
                ],
                "log": {
                    "keys": [
                        {
                            "from_size": 0,
                            "until_size": None,
                            "vkey": notes.verifier_key(
                                ORIGIN, LOG.public_key().public_bytes_raw()
                            ).spelled(),
                        }
                    ],
                    "origin": ORIGIN,
                },
                "type": "shuzheng/trust",
                "v": 1,
                "witnesses": [],
            }
        )
    )
    report = verify(check_voucher_pdf(printed()), trust, now=LISTED)
    assert report.exit_code == VALID, [step.sentence() for step in report.steps]


def test_the_page_shows_the_facts_of_the_bundle():
    text = text_of(printed())
    for fact in (
        NUMBER, TITLE, "登记凭证", "DJ202609-000001-E", "使用权", "经营权", "Not included: 持有权",
        "城数运营有限公司", "91000000DEM000003F", "0xEb0455d4f001E12B28E75DBf7715743E3390b136",
        "2026-09-17 12:00:00 至 2029-09-17 23:59:59", "2026-11-22 21:41:25", "2026-11-29 21:41:25",
        bundle()["voucher"]["issuer"], ORIGIN, digest(bundle()), "0x" + "78" * 32, "20260601",
        f"shuzheng verify {NUMBER}.pdf --trust trust.json --rpc",
        "python -m ledger.proof.verify bundle.json --trust trust.json", "签字", "Signature",
    ):  # fmt: skip
        assert fact in text, fact
    flat = " ".join(text.split())
    assert re.search(r"leaf index 2 .*checkpoint size 3", flat)
    assert "未披露" not in text
    assert len(reader(printed()).pages) == 1


def test_what_the_holder_withholds_is_not_on_the_page_nor_in_the_file():
    pdf = voucher_pdf(bundle(disclose=False))
    text = text_of(pdf)
    assert text.count("未披露") == 2
    assert "城数" not in text
    assert "城数" not in read_voucher_pdf(pdf).decode()
    assert check_voucher_pdf(pdf) == canonical(bundle(disclose=False))


def test_one_withheld_field_may_be_disclosed_without_the_other():
    given = bundle()
    del given["disclosures"]["holder_uscc"]
    text = text_of(voucher_pdf(given))
    assert text.count("未披露") == 1
    assert "城数运营有限公司" in text


@pytest.mark.parametrize(
    ("status", "words"), [(1, "有效 valid"), (2, "暂停 suspended"), (3, "撤销 revoked"),
                          (6, "失效 lapsed"), (9, "冻结 frozen"), (0, "尚未列入名单 not listed")]
)  # fmt: skip
def test_the_page_shows_the_state_of_its_status_list(status: int, words: str):
    assert words in " ".join(text_of(voucher_pdf(bundle(status=status))).split())


def test_a_bundle_without_status_list_says_so():
    assert "未附状态名单" in text_of(voucher_pdf(bundle(listed=False)))


def test_an_authorised_use_voucher_of_a_resource_names_itself():
    text = text_of(voucher_pdf(bundle(kind="authorised_use", object="resource", rights=["use"])))
    assert "授权使用凭证" in text
    assert "公共数据资源" in text


def test_an_authorised_use_voucher_shows_scene_term_and_number_of_uses():
    of = bundle(kind="authorised_use", rights=["use"], scene="贷前审查", max_uses=12)
    pdf = voucher_pdf(of)
    text = " ".join(text_of(pdf).split())
    for fact in (
        "使用场景 Scene of use", "贷前审查", "使用次数 Number of uses", "at most 12", "授权期限 Term",
        "User (holder)",
    ):  # fmt: skip
        assert fact in text, fact
    assert len(reader(pdf).pages) == 1
    assert check_voucher_pdf(pdf) == canonical(of)
    assert "Scene of use" not in text_of(printed())


@pytest.mark.parametrize("facts", [{"max_uses": -1}, {"max_uses": "12"}, {"scene": 7}])
def test_odd_facts_of_a_use_are_refused(facts: dict[str, Any]):
    with pytest.raises(Invalid):
        voucher_pdf(bundle(kind="authorised_use", **facts))


def test_the_longest_texts_and_odd_characters_stay_on_two_pages():
    pdf = voucher_pdf(
        bundle(
            title="數據資產" * 90, summary="W" * 5_000 + "龘", name="某某" * 400,
            origin="o" * 300, rights=[], registration_code="X" * 99,
        )
    )  # fmt: skip
    assert len(reader(pdf).pages) <= 2
    assert "全文见附件" in text_of(pdf)
    assert check_voucher_pdf(pdf)


def test_characters_that_hide_or_turn_others_are_spelled_out():
    assert shown("登记\u202e册\u200b x\n\ty") == "登记[U+202E]册[U+200B] x y"
    assert shown("王\U0002f9f4\ue000") in ("王\U0002f9f4[U+E000]", "王[U+2F9F4][U+E000]")
    assert shown("a" * 60).replace("\u200b", "") == "a" * 60
    for odd in (None, 7, [], {"a": 1}):
        with pytest.raises(Invalid):
            shown(odd)


@given(st.text(max_size=40))
@settings(max_examples=40, deadline=None)
def test_any_title_can_be_printed_and_checked(title: str):
    assert check_voucher_pdf(voucher_pdf(bundle(title=title)))


# --- fonts


def gb2312_level_1() -> str:
    rows = [bytes([a, b]) for a in range(0xB0, 0xD8) for b in range(0xA1, 0xFF)]
    return "".join(pair.decode("gb2312", "ignore") for pair in rows)


def big5_level_1() -> str:
    cells = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    rows = [bytes([a, b]) for a in range(0xA4, 0xC7) for b in cells]
    return "".join(pair.decode("big5", "ignore") for pair in rows)


def test_the_font_draws_simplified_and_traditional_chinese():
    assert len(gb2312_level_1()) == 3755
    assert len(big5_level_1()) > 5400
    for characters in (gb2312_level_1(), big5_level_1()):
        assert shown(characters, limit=len(characters)) == characters
        page = f'#set text(font: "Noto Sans SC", fallback: false)\n{characters}'
        made = typst.compile(  # PDF/A refuses a character without a glyph
            page.encode(), format="pdf", font_paths=papers._fonts(), pdf_standards="a-3b"
        )
        assert isinstance(made, bytes)


def test_a_character_the_font_lacks_would_be_refused_by_the_typesetter():
    with pytest.raises(typst.TypstError):
        typst.compile(
            '#set text(font: "Noto Sans SC", fallback: false)\n\U0003134a'.encode(),
            format="pdf", font_paths=papers._fonts(), pdf_standards="a-3b",
        )  # fmt: skip


def test_the_template_uses_only_characters_the_font_draws():
    words = papers.TEMPLATE.read_text()
    assert {c for c in words if c > " " and ord(c) not in papers._glyphs()} == set()


def test_every_font_of_the_page_is_embedded_and_none_is_the_machines():
    fonts = reader(printed()).pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    names = set()
    for font in fonts.values():
        (descendant,) = font["/DescendantFonts"]
        descriptor = descendant.get_object()["/FontDescriptor"]
        assert {"/FontFile2", "/FontFile3"} & {*descriptor}
        names.add(str(descriptor["/FontName"]).split("+")[1])
    assert {name.split("-")[0] for name in names} == {"NotoSansSC", "NotoSerifSC", "DejaVuSansMono"}


# --- the QR code


def test_a_scanner_reads_number_and_digest_and_no_address():
    given = bundle()
    text = qr_text(NUMBER, bytes.fromhex(digest(given)))
    assert text == f"SZ1:{NUMBER}:{digest(given)}"
    png = typst.compile(
        papers.TEMPLATE.read_bytes(), format="png", ppi=150, font_paths=papers._fonts(),
        sys_inputs={
            "bundle": "{}", "face": json.dumps(papers._face(given)),
            "qr": papers._qr_svg(text),
        },
    )  # fmt: skip
    assert isinstance(png, bytes)
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)))
    assert found.text == text
    assert parse_qr_text(found.text) == (NUMBER, bytes.fromhex(digest(given)))
    assert "://" not in text


def test_the_qr_code_is_drawn_as_vector():
    page = reader(printed()).pages[0]
    assert not page.images
    modules = segno.make(
        qr_text(NUMBER, bytes.fromhex(digest(bundle()))), error="m", boost_error=False
    )
    assert modules.designator == "6-M"


@pytest.mark.parametrize(
    "text",
    ["", "SZ1:", f"SZ2:{NUMBER}:{'0' * 64}", f"SZ1:{NUMBER}:{'0' * 63}", f"SZ1:{NUMBER}:{'A' * 64}",
     f"https://example.org/SZ1:{NUMBER}:{'0' * 64}", f"SZ1:{NUMBER}:{'0' * 64}\n", "0" * 10_000],
)  # fmt: skip
def test_any_other_qr_text_is_refused(text: str):
    with pytest.raises(Invalid):
        parse_qr_text(text)


# --- the file


def test_the_file_declares_pdf_a_3b_and_pdf_ua_1():
    metadata = reader(printed()).root_object["/Metadata"].get_data().decode()  # type: ignore[union-attr]
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    assert printed().startswith(b"%PDF-1.7")


def test_the_file_carries_the_canonical_bundle_and_dates_from_the_issue():
    document = reader(printed())
    (attached,) = document.attachment_list
    assert attached.name == ATTACHMENT
    assert attached.content == canonical(bundle())
    assert str(attached.associated_file_relationship) == "/Source"
    assert read_voucher_pdf(printed()) == canonical(bundle())
    assert check_voucher_pdf(printed()) == canonical(bundle())
    assert document.metadata is not None
    assert document.metadata.creation_date == ISSUED
    assert document.metadata.title == f"数据资产凭证 {NUMBER}"
    assert document.root_object["/Lang"] == "zh-CN"
    assert document.metadata["/Keywords"] == papers.maker()


def test_the_same_bundle_gives_the_same_bytes_in_any_process_zone_and_order():
    script = (
        "import hashlib, sys; from ledger.papers import voucher_pdf;"
        "from ledger.proof.encoding import parse;"
        "print(hashlib.sha256(voucher_pdf(parse(sys.stdin.buffer.read()))).hexdigest())"
    )
    seen = set()
    for seed, zone in (("1", "UTC"), ("2", "America/New_York")):
        out = subprocess.run(
            [sys.executable, "-c", script], input=canonical(bundle()), capture_output=True,
            check=True, cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
        )  # fmt: skip
        seen.add(out.stdout.decode().strip())
    backwards = dict(reversed(list(bundle().items())))
    seen.add(hashlib.sha256(voucher_pdf(backwards)).hexdigest())
    seen.add(hashlib.sha256(printed()).hexdigest())
    assert len(seen) == 1


def test_a_page_is_made_and_checked_within_a_second():
    voucher_pdf(bundle(title="warm"))
    start = time.perf_counter()
    check_voucher_pdf(voucher_pdf(bundle(title="慢不得")))
    assert time.perf_counter() - start < 1


# --- bundles that do not fit together are not printed


@pytest.mark.parametrize(
    ("place", "value", "error"),
    [
        (("disclosures", "holder_name", "value"), "别家公司", ProofFailed),
        (("disclosures", "other"), {"salt": "00" * 16, "value": "x"}, ProofFailed),
        (("voucher", "credentialSubject", "title"), "另一产品", ProofFailed),
        (("voucher", "validUntil"), "2099-01-01T00:00:00Z", ProofFailed),
        (("status", "validUntil"), "2099-01-01T00:00:00Z", ProofFailed),
        (("leaf_index",), 1, ProofFailed),
        (("leaf_index",), -1, LedgerError),
        (("inclusion",), ["00" * 32], ProofFailed),
        (("payload", "body", "digest"), "sha256:" + "0" * 64, ProofFailed),
        (("checkpoint",), "none", Invalid),
        (("checkpoint",), 7, Invalid),
        (("voucher",), None, Invalid),
        (("voucher",), [], Invalid),
        (("status",), [], Invalid),
        (("anchor",), None, Invalid),
        (("anchor", "block"), "6", Invalid),
        (("anchor", "block"), True, Invalid),
        (("anchor", "transaction"), "0x78", Invalid),
        (("chain", "chain_id"), -1, Invalid),
        (("disclosures",), None, Invalid),
        (("extra",), 1, Invalid),
    ],
)
def test_a_bundle_that_does_not_fit_together_is_not_printed(
    place: tuple[str, ...], value: Any, error: type[LedgerError]
):
    given = copy.deepcopy(bundle())
    inner = given
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(error):
        voucher_pdf(given)


@pytest.mark.parametrize(
    "subject",
    [
        {"number": "PZ1"}, {"number": 7}, {"number": NUMBER + "\n"}, {"kind": "deed"}, {"kind": []},
        {"object": None}, {"rights": ["owning"]}, {"rights": "use"}, {"rights": [["use"]]},
        {"title": 7}, {"title": None}, {"summary": {}}, {"registration_code": 1},
        {"id": "urn:x"}, {"id": None}, {"withheld": None}, {"log": "other/log"},
    ],
)  # fmt: skip
def test_a_signed_voucher_with_malformed_facts_is_not_printed(subject: dict[str, Any]):
    with pytest.raises(LedgerError):
        voucher_pdf(bundle(key=STRANGER, **subject))


def test_another_issuers_status_list_is_not_printed():
    given = bundle()
    given["status"] = bundle(key=STRANGER)["status"]
    with pytest.raises(ProofFailed):
        voucher_pdf(given)


def test_a_bundle_without_a_field_is_not_printed():
    for name in bundle():
        given = bundle()
        del given[name]
        with pytest.raises(LedgerError):
            voucher_pdf(given)


# --- files from anybody


def test_each_changed_byte_is_noticed():
    pdf, draw = printed(), random.Random(7)
    places = {*range(0, len(pdf), 1499), *(draw.randrange(len(pdf)) for _ in range(40))}
    for place in sorted(places):
        changed = bytearray(pdf)
        changed[place] ^= 1 << draw.randrange(8)
        refused(bytes(changed))


def test_a_file_cut_short_or_continued_is_refused():
    pdf = printed()
    for length in (0, 1, 5, 100, len(pdf) // 2, len(pdf) - 40, len(pdf) - 1):
        refused(pdf[:length])
    refused(pdf + b"\n")
    refused(b" " + pdf)
    refused(pdf + pdf)


def test_another_page_over_the_same_bundle_is_refused_by_check_only():
    def forge(writer: pypdf.PdfWriter) -> None:
        writer.add_blank_page(100, 100)

    forged = rebuilt(forge)
    assert read_voucher_pdf(forged) == canonical(bundle())
    assert "was changed" in refused(forged).sentence


def test_the_page_of_one_voucher_with_the_bundle_of_another_is_refused():
    other = canonical(bundle(title="另一个产品"))

    def swap(writer: pypdf.PdfWriter) -> None:
        specification = writer.root_object["/Names"]["/EmbeddedFiles"]["/Names"][1].get_object()
        stream = specification["/EF"]["/F"]
        stream._data = zlib.compress(other)

    swapped = rebuilt(swap)
    assert read_voucher_pdf(swapped) == other
    assert "was changed" in refused(swapped).sentence


def test_a_page_made_by_another_version_is_told_apart_from_a_forged_one(
    monkeypatch: pytest.MonkeyPatch,
):
    ours = papers.maker()
    older = ours.replace(f"shuzheng-voucher/{papers.FORM}", "shuzheng-voucher/0")
    monkeypatch.setattr(papers, "maker", lambda: older)
    pdf = voucher_pdf(bundle())
    monkeypatch.undo()
    with pytest.raises(OtherMaker) as caught:
        check_voucher_pdf(pdf)
    assert (caught.value.facts["made_by"], caught.value.facts["ours"]) == (older, ours)
    assert "only the attached bundle can be checked" in caught.value.sentence
    assert read_voucher_pdf(pdf) == canonical(bundle())


def test_a_file_that_does_not_say_who_made_it_is_refused():
    for keywords in ("", "Acrobat", papers.maker() + " and more"):
        refused(rebuilt(lambda w, k=keywords: w.add_metadata({"/Keywords": k})))


@pytest.mark.parametrize("algorithm", ["RC4-40", "AES-256"])
@pytest.mark.parametrize("password", ["", "secret"])
def test_an_encrypted_file_is_refused(algorithm: str, password: str):
    refused(rebuilt(lambda w: w.encrypt(password, "owner", algorithm=algorithm)))


def test_a_second_attachment_or_none_is_refused():
    assert "exactly one" in refused(rebuilt(lambda w: w.add_attachment("b.json", b"{}"))).sentence
    assert "exactly one" in refused(rebuilt(lambda w: w.add_attachment(ATTACHMENT, b"{}"))).sentence
    refused(rebuilt(lambda w: w.root_object.pop("/Names")))
    refused(rebuilt(lambda w: w.root_object["/Names"]["/EmbeddedFiles"]["/Names"].clear()))


def test_bombs_are_refused_quickly():
    def inflate(writer: pypdf.PdfWriter, filters: int = 1, size: int = 600_000_000) -> None:
        specification = writer.root_object["/Names"]["/EmbeddedFiles"]["/Names"][1].get_object()
        stream = specification["/EF"]["/F"]
        stream._data = bomb(size)
        for _ in range(filters - 1):
            stream._data = zlib.compress(stream._data)
        flate = pypdf.generic.NameObject("/FlateDecode")
        if filters > 1:
            stream[pypdf.generic.NameObject("/Filter")] = pypdf.generic.ArrayObject(
                [flate] * filters
            )

    refused(rebuilt(inflate))
    refused(rebuilt(lambda w: inflate(w, filters=2)))
    refused(rebuilt(lambda w: inflate(w, filters=40, size=1000)))


@cache
def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    return b"".join([*parts, packer.flush()])


HOSTILE = {
    "deep dictionaries": b"<<" * 200_000,
    "deep arrays": b"[" * 200_000,
    "deep strings": b"(" * 200_000,
    "a root that is itself": b"1 0 R",
    "names in a circle": b"<</Type/Catalog/Names 1 0 R/EmbeddedFiles 1 0 R/Pages 1 0 R>>",
    "a number": b"7",
    "null": b"null",
    "a long name": b"/" + b"A" * 1_000_000,
    "a long number": b"9" * 1_000_000,
    "a file elsewhere": b"<</Type/Catalog/Names<</EmbeddedFiles<</Names[(bundle.json)"
    b"<</F(bundle.json)/UF(bundle.json)/EF<</F 1 0 R/UF 1 0 R>>>>]>>>>>>",
    "a comment without end": b"%" * 1_000_000,
    "a stream with a length in a circle": b"<</Length 1 0 R>>stream\nx\nendstream",
    "a stream of negative length": b"<</Length -5>>stream\nx\nendstream",
    "a stream too long": b"<</Length 99999999999>>stream\nx\nendstream",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_structure_is_refused_quickly(name: str):
    head = b"%PDF-1.7\n1 0 obj\n" + HOSTILE[name] + b"\nendobj\n"
    table = b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \n"
    trailer = b"trailer\n<</Size 2/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(head)
    refused(head + table + trailer)


@pytest.mark.parametrize(
    "trailer",
    [b"<</Size 2/Root 1 0 R/Prev %d>>", b"<</Size 2/Root 1 0 R/XRefStm %d>>", b"<</Size 2>>",
     b"<</Size 999999999/Root 1 0 R>>", b"<</Size 2/Root 2 0 R>>", b"<</Encrypt 1 0 R/Root 1 0 R>>"],
)  # fmt: skip
def test_hostile_trailers_are_refused_quickly(trailer: bytes):
    head = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n"
    table = b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer\n"
    trailer = trailer % len(head) if b"%d" in trailer else trailer
    refused(head + table + trailer + b"\nstartxref\n%d\n%%%%EOF\n" % len(head))


def test_a_cross_reference_stream_bomb_is_refused_quickly():
    packed = bomb(600_000_000)
    head = b"%PDF-1.7\n"
    stream = (
        b"1 0 obj\n<</Type/XRef/Size 99999999/W[1 1 1]/Root 1 0 R/Filter/FlateDecode/Length %d>>"
        b"stream\n%s\nendstream\nendobj\n" % (len(packed), packed)
    )
    refused(head + stream + b"startxref\n%d\n%%%%EOF\n" % len(head))


@given(st.binary(max_size=400), st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_no_bytes_crash_the_reader(junk: bytes, place: int):
    pdf = printed()
    at = place % len(pdf)
    for data in (junk, b"%PDF-1.7\n" + junk + b"\nstartxref\n9\n%%EOF", pdf[:at] + junk + pdf[at:],
                 pdf[:at] + junk + pdf[at + len(junk):]):  # fmt: skip
        if data != pdf:
            refused(data)


def test_a_file_over_the_limit_is_refused_unread():
    assert "larger" in refused(b"%PDF-1.7\n" + bytes(papers.PDF_BYTES_MAX)).sentence


def test_a_bundle_in_another_spelling_is_refused():
    spaced = json.dumps(bundle(), ensure_ascii=False).encode()

    def respell(writer: pypdf.PdfWriter) -> None:
        specification = writer.root_object["/Names"]["/EmbeddedFiles"]["/Names"][1].get_object()
        specification["/EF"]["/F"]._data = zlib.compress(spaced)

    assert "canonical form" in refused(rebuilt(respell)).sentence
    assert parse(canonical(bundle())) == bundle()
