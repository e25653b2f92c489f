"""The printed voucher (凭证 PDF): one page for people, with the proof bundle attached for machines.

The page is drawn from the bundle alone, so the bundle decides every byte of the file: `voucher_pdf`
makes it (PDF/A-3b, embedded font, `bundle.json` as its only attachment), `read_voucher_pdf` takes the
attachment out of a file from anybody, and `check_voucher_pdf` draws the page again and compares.

Its QR code is that of `ledger.qr`: number and digest, no host.

The bytes depend on the typesetter, the QR encoder, the fonts and the template. Which ones made a file
stands in its keywords (`maker`). Another maker's page cannot be compared; `check_voucher_pdf` then
raises OtherMaker, and a caller may go on with `read_voucher_pdf`, but never to the verdict *valid*.
"""

import hashlib
import io
import json
import logging
import re
import struct
import unicodedata
import zlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pikepdf
import pylopdf_fonts_zh_cn
import typst

from ledger.calendar import SHANGHAI
from ledger.errors import Invalid, LedgerError, ProofFailed
from ledger.proof import credential as credentials
from ledger.proof.bundle import check_bundle
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint, parse_note
from ledger.proof.encoding import canonical, parse, parse_instant, unhex
from ledger.proof.merkle import verify_inclusion
from ledger.qr import parse_qr_text, qr_text
from ledger.qr import qr_svg as _qr_svg

ATTACHMENT = "bundle.json"
PDF_BYTES_MAX = 8 * 1024 * 1024
BUNDLE_BYTES_MAX = 4 * 1024 * 1024
FORM = 2  # raise it when this file draws other facts; the template counts by its digest
TEMPLATE = Path(__file__).with_name("paper") / "voucher.typ"
MAKER = re.compile(
    r"shuzheng-voucher/\d{1,4} typst/[\d.]{1,20} segno/[\d.]{1,20} "
    r"fonts/[0-9a-f]{16} template/[0-9a-f]{16}"
)

TITLE_CHARACTERS_MAX = 120  # what the page shows; the attachment has all
SUMMARY_CHARACTERS_MAX = 300
LATIN_RUN_MAX = 28  # a longer run of ASCII may break here, or it would leave the page
MONO_RUN_MAX = 72
ELLIPSIS = "……（全文见附件 full text in the attachment）"

Words = dict[str, str]
KIND_WORDS = {
    "registration": ("登记凭证", "Registration voucher"),
    "authorised_use": ("授权使用凭证", "Authorised-use voucher"),
}
OBJECT_WORDS = {
    "resource": ("公共数据资源", "Public data resource"),
    "product": ("数据产品和服务", "Data product or service"),
}
RIGHT_WORDS = {
    "holding": ("持有权", "Holding right"),
    "use": ("使用权", "Use right"),
    "operating": ("经营权", "Operating right"),
}
STATUS_WORDS = {
    "unlisted": ("尚未列入名单", "not listed yet"),
    "valid": ("有效", "valid"),
    "suspended": ("暂停", "suspended"),
    "revoked": ("撤销", "revoked"),
    "cancelled": ("注销", "cancelled"),
    "superseded": ("已被替代", "superseded"),
    "lapsed": ("失效", "lapsed"),
    "frozen": ("冻结", "frozen"),
}

logging.getLogger("pikepdf").addHandler(logging.NullHandler())  # remarks on damaged files
pikepdf.settings.set_qpdf_limits(  # for the whole process: a hostile PDF must not exhaust it
    doc_max_warnings=20,
    flate_max_memory=2 * BUNDLE_BYTES_MAX,
    max_stream_filters=2,
    parser_max_container_size=50_000,
    parser_max_nesting=60,
    png_max_memory=BUNDLE_BYTES_MAX,
    run_length_max_memory=BUNDLE_BYTES_MAX,
    tiff_max_memory=BUNDLE_BYTES_MAX,
)


class OtherMaker(Invalid):
    """A voucher PDF made by another version: its page cannot be compared here; facts made_by, ours."""

    code = "other_maker"


def voucher_pdf(bundle: Mapping[str, Any]) -> bytes:
    """The printed voucher of a proof bundle; the same bundle gives the same bytes.

    The bundle must fit together (payload, inclusion, voucher, disclosures, the credential's own
    signature), or Invalid or ProofFailed is raised: a page never shows what its attachment does not
    hold. Whether its signers deserve trust is not asked here; `shuzheng verify` does.
    """
    try:
        face = _face(dict(bundle))
        issued = parse_instant(bundle["voucher"]["proof"]["created"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise Invalid("The bundle lacks or misspells {field}.", field=str(error)) from None
    inputs = {
        "bundle": canonical(dict(bundle)).decode(),
        "face": json.dumps(face, ensure_ascii=False, sort_keys=True),
        "qr": _qr_svg(face["qr_text"]),
    }
    if len(inputs["bundle"].encode()) > BUNDLE_BYTES_MAX:
        raise Invalid("The bundle is larger than {limit} bytes.", limit=BUNDLE_BYTES_MAX)
    return typeset(TEMPLATE, inputs, issued)


def typeset(template: Path, inputs: Mapping[str, str], at: datetime) -> bytes:
    """The PDF of a template over texts (`sys.inputs`) dated `at`, in our own fonts; always the same."""
    try:
        made = typst.compile(
            template.read_bytes(), format="pdf", font_paths=_fonts(), sys_inputs=dict(inputs),
            pdf_standards=["a-3b", "ua-1"],  # ISO 19005-3, to be kept; ISO 14289-1, to be read out
            timestamp=int(at.timestamp()),
        )  # fmt: skip
    except typst.TypstError as error:
        raise Invalid("The page cannot be typeset: {why}.", why=error.message) from None
    assert isinstance(made, bytes)
    return made


def read_voucher_pdf(data: bytes) -> bytes:
    """The bytes of `bundle.json` in a voucher PDF from anybody; whatever is odd raises Invalid.

    The file must have exactly one attachment, of that name, deflated once; encrypted, amended
    (incrementally updated) and oversized files are refused. Nothing is executed and no link followed.
    What comes out is as little to be trusted as the file: verify it, and see `check_voucher_pdf`.
    """
    bundle, _ = _opened(data)
    return bundle


def check_voucher_pdf(data: bytes) -> bytes:
    """The bytes of `bundle.json` when the PDF is byte for byte the one `voucher_pdf` makes of it.

    Raises Invalid when a byte differs, OtherMaker when the file says that another version made it
    (then only the attached bundle can be checked, and the page proves nothing), and what
    `voucher_pdf` raises when the bundle does not fit together.
    """
    attached, made_by = _opened(data)
    if made_by != maker():
        raise OtherMaker(
            "This PDF was made with another version ({made_by}; here {ours}), so its page cannot be "
            "compared byte for byte: only the attached bundle can be checked. Believe the check, "
            "not the page.",
            made_by=made_by, ours=maker(),
        )  # fmt: skip
    bundle = parse(attached, ATTACHMENT)
    if type(bundle) is not dict:
        raise Invalid("The attachment {name} is no proof bundle.", name=ATTACHMENT)
    if voucher_pdf(bundle) != data:
        raise Invalid(
            "The PDF is not the one its attached bundle makes: a byte of the page was changed."
        )
    return attached


@cache
def maker() -> str:
    """What decides the bytes of a page: our form, typesetter, QR encoder, fonts and template."""
    fonts = hashlib.sha256()
    for path in _font_paths():
        fonts.update(hashlib.sha256(path.read_bytes()).digest())
    template = hashlib.sha256(TEMPLATE.read_bytes())
    return (
        f"shuzheng-voucher/{FORM} typst/{version('typst')} segno/{version('segno')} "
        f"fonts/{fonts.hexdigest()[:16]} template/{template.hexdigest()[:16]}"
    )


def shown(text: Any, limit: int = TITLE_CHARACTERS_MAX, run: int = LATIN_RUN_MAX) -> str:
    """Text as the page can show it; raises Invalid for what is no text.

    White space is one space. A character that the font lacks, or that would hide or turn around its
    neighbours (controls, bidirectional marks), is written `[U+202E]`. Longer text than `limit` ends
    with a remark; after `run` ASCII characters without a space the line may break.

    >>> shown("登记\\u202e册\\n二")
    '登记[U+202E]册 二'
    """
    if type(text) is not str:
        raise Invalid("{value} is not text that a voucher can show.", value=repr(text)[:80])
    cut = text[: limit + 1].split()
    plain = "".join(c if _drawable(c) else f"[U+{ord(c):04X}]" for c in " ".join(cut))
    if max(len(text), len(plain)) > limit:
        plain = plain[:limit] + ELLIPSIS
    return re.sub(rf"([!-~]{{{run}}})(?=[!-~])", "\\1\u200b", plain)


def _face(bundle: dict[str, Any]) -> dict[str, Any]:
    """The facts of the page, from a bundle that fits together."""
    leaf = check_bundle(bundle)
    voucher = bundle["voucher"]
    if voucher is None:
        raise Invalid("The bundle holds no voucher, so there is nothing to print.")
    checkpoint = _checkpoint(bundle, leaf)
    if credentials.verify_proof(voucher) != voucher["issuer"]:
        raise ProofFailed("The voucher was signed by another than its issuer.", step="credential")
    digest = credentials.credential_digest(voucher)
    if bundle["payload"]["body"].get("digest") != "sha256:" + digest.hex():
        raise ProofFailed("The record speaks of another voucher.", step="voucher")
    subject = voucher["credentialSubject"]
    if (subject["log"], bundle["payload"]["log"]) != (checkpoint.origin,) * 2:
        raise ProofFailed("The voucher is of another log than the checkpoint.", step="voucher")
    holder = _disclosed(bundle, subject)
    valid_from, valid_until = credentials.period(voucher)
    prefix, _, address = str(subject["id"]).rpartition(":holder:")
    if not prefix or not re.fullmatch("0x[0-9A-Fa-f]{40}", address):
        raise Invalid("The voucher names no holder's address.")
    rights = subject["rights"]
    if type(rights) is not list or not set(rights) <= set(RIGHT_WORDS):
        raise Invalid("The voucher names rights that are none: {rights}.", rights=repr(rights)[:80])
    return {
        "block": str(_whole(bundle["anchor"]["block"])),
        "chain_id": str(_whole(bundle["chain"]["chain_id"])),
        "digest": digest.hex(),
        "holder_address": address,
        "holder_name": shown(holder["holder_name"]) if "holder_name" in holder else None,
        "holder_uscc": shown(holder["holder_uscc"], 40) if "holder_uscc" in holder else None,
        "issued": _local(parse_instant(voucher["proof"]["created"])),
        "issuer": voucher["issuer"],
        "kind": _words(KIND_WORDS, subject["kind"]),
        "leaf_index": str(_whole(bundle["leaf_index"])),
        "maker": maker(),
        "max_uses": str(_whole(subject["max_uses"])) if "max_uses" in subject else None,
        "not_rights": [_words(RIGHT_WORDS, name) for name in RIGHT_WORDS if name not in rights],
        "number": parse_qr_text(qr_text(subject["number"], digest))[0],
        "object": _words(OBJECT_WORDS, subject["object"]),
        "origin": shown(checkpoint.origin, run=MONO_RUN_MAX),
        "qr_text": qr_text(subject["number"], digest),
        "registration_code": shown(subject["registration_code"], 40),
        "rights": [_words(RIGHT_WORDS, name) for name in RIGHT_WORDS if name in rights],
        "root": checkpoint.root.hex(),
        "scene": shown(subject["scene"]) if "scene" in subject else None,
        "status": _status(bundle["status"], voucher),
        "summary": shown(subject["summary"], SUMMARY_CHARACTERS_MAX),
        "title": shown(subject["title"]),
        "transaction": "0x" + unhex(bundle["anchor"]["transaction"][2:], 32).hex(),
        "tree_size": str(checkpoint.tree_size),
        "valid_from": _local(valid_from),
        "valid_until": _local(valid_until),
    }


def _checkpoint(bundle: dict[str, Any], leaf: bytes) -> Checkpoint:
    """The checkpoint that the record's inclusion proof leads to."""
    text, _ = parse_note(bundle["checkpoint"])
    checkpoint = parse_checkpoint(text)
    path = [unhex(value, 32) for value in bundle["inclusion"]]
    verify_inclusion(leaf, bundle["leaf_index"], checkpoint.tree_size, path, checkpoint.root)
    return checkpoint


def _disclosed(bundle: dict[str, Any], subject: dict[str, Any]) -> dict[str, Any]:
    """The withheld fields that travel with the bundle; each must fit its digest in the voucher."""
    for name, disclosure in bundle["disclosures"].items():
        if subject["withheld"].get(name) != credentials.disclosure_digest(name, disclosure):
            raise ProofFailed(
                "The disclosed {name} is not the voucher's.", step="voucher", name=name
            )
    return {name: disclosure["value"] for name, disclosure in bundle["disclosures"].items()}


def _status(status_list: Any, voucher: dict[str, Any]) -> Words | None:
    """What the bundle's signed status list says of the voucher, and until when; None without list."""
    if status_list is None:
        return None
    if credentials.verify_proof(status_list) != voucher["issuer"]:
        raise ProofFailed("The status list was signed by another issuer.", step="status")
    entry = voucher["credentialStatus"]
    index = entry["statusListIndex"]
    if entry["statusListCredential"] != status_list["id"] or not re.fullmatch(r"\d{1,9}", index):
        raise ProofFailed("The status list is not the voucher's.", step="status")
    start, end = credentials.period(status_list)
    word = credentials.status_word(credentials.status_at(status_list, int(index)))
    return {**_words(STATUS_WORDS, word), "at": _local(start), "next": _local(end)}


def _words(table: Mapping[str, tuple[str, str]], name: Any) -> Words:
    if type(name) is not str or name not in table:
        raise Invalid("{name} is not a word a voucher can show.", name=repr(name)[:80])
    zh, en = table[name]
    return {"zh": zh, "en": en}


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Invalid("{value} is not a whole number.", value=repr(value)[:80])
    return value


def _local(at: datetime) -> str:
    if not 1970 <= at.year <= 9998:
        raise Invalid("The year {year} is beyond what a voucher can show.", year=at.year)
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _font_paths() -> tuple[Path, Path]:
    return pylopdf_fonts_zh_cn.sans_path(), pylopdf_fonts_zh_cn.serif_path()


@cache
def _fonts() -> typst.Fonts:
    """The two Chinese fonts and those inside typst; never the machine's own."""
    return typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=True,
        font_paths=[str(_font_paths()[0].parent)],
    )


@cache
def _glyphs() -> frozenset[int]:
    """The characters of Noto Sans SC, from its `cmap` table, subtable format 12 (OpenType §cmap)."""
    font = _font_paths()[0].read_bytes()
    (table_count,) = struct.unpack_from(">H", font, 4)
    tables = (struct.unpack_from(">4s4xI", font, 12 + 16 * i) for i in range(table_count))
    cmap = dict(tables)[b"cmap"]
    (subtable_count,) = struct.unpack_from(">H", font, cmap + 2)
    subtables = (struct.unpack_from(">HHI", font, cmap + 4 + 8 * i) for i in range(subtable_count))
    start = next(cmap + offset for *platform, offset in subtables if platform == [3, 10])
    form, group_count = struct.unpack_from(">H10xI", font, start)
    assert form == 12
    groups = (struct.unpack_from(">II", font, start + 16 + 12 * i) for i in range(group_count))
    return frozenset(code for first, last in groups for code in range(first, last + 1))


def _drawable(character: str) -> bool:
    return ord(character) in _glyphs() and unicodedata.category(character)[0] != "C"


def _opened(data: bytes) -> tuple[bytes, str]:
    """The attachment and the maker of a voucher PDF; any fault of the file raises Invalid."""
    if len(data) > PDF_BYTES_MAX:
        raise Invalid("The PDF is larger than {limit} bytes.", limit=PDF_BYTES_MAX)
    if not data.startswith(b"%PDF-") or data.count(b"startxref") != 1:
        raise Invalid("This is no PDF of ours: it is cut short, amended or something else.")
    try:
        with pikepdf.open(
            io.BytesIO(data), attempt_recovery=False, suppress_warnings=True,
            inherit_page_attributes=False,
        ) as pdf:  # fmt: skip
            if pdf.is_encrypted:
                raise Invalid("The PDF is encrypted.")
            taken = _attachment(pdf), str(pdf.docinfo["/Keywords"])
            if pdf.get_warnings():
                raise Invalid("The PDF is damaged.")
    except LedgerError:
        raise
    except Exception as error:  # a hostile file is met with errors of many kinds
        why = re.sub(r"<_io.BytesIO[^>]*>", "", f"{type(error).__name__}: {error}")[:200]
        raise Invalid("The PDF cannot be read: {why}.", why=why) from None
    if not MAKER.fullmatch(taken[1]):
        raise Invalid("The PDF does not say which version of ours made it.")
    return taken


def _attachment(pdf: pikepdf.Pdf) -> bytes:
    """The bytes of the only attachment, which must be `bundle.json`, deflated once, in this file."""
    tree = pdf.Root["/Names"]["/EmbeddedFiles"]
    names = tree["/Names"]
    if "/Kids" in tree or len(names) != 2 or str(names[0]) != ATTACHMENT:
        raise Invalid("The PDF must have exactly one attachment, {name}.", name=ATTACHMENT)
    specification, files = names[1], names[1]["/EF"]
    stream = files["/F"]
    if (
        {str(specification["/F"]), str(specification["/UF"])} != {ATTACHMENT}
        or {*files.keys()} != {"/F", "/UF"}
        or not stream.is_indirect
        or stream.objgen != files["/UF"].objgen
    ):
        raise Invalid("The PDF must have exactly one attachment, {name}.", name=ATTACHMENT)
    if (
        not isinstance(stream, pikepdf.Stream)
        or stream["/Filter"] != pikepdf.Name.FlateDecode
        or {"/F", "/FFilter", "/DecodeParms"} & {*stream.keys()}
    ):
        raise Invalid("The attachment {name} is not simply deflated.", name=ATTACHMENT)
    unpack = zlib.decompressobj()
    attached = unpack.decompress(stream.read_raw_bytes(), BUNDLE_BYTES_MAX + 1)
    if len(attached) > BUNDLE_BYTES_MAX:
        raise Invalid("The bundle is larger than {limit} bytes.", limit=BUNDLE_BYTES_MAX)
    if not unpack.eof or unpack.unused_data:
        raise Invalid("The attachment {name} is not simply deflated.", name=ATTACHMENT)
    return attached
