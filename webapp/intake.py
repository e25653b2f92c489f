"""What arrives as a form or an upload: its values, its size, and what it really is by its content."""

import io
import re
import struct
import threading
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from marshmallow import Schema, fields
from werkzeug.datastructures import FileStorage, MultiDict

from ledger.errors import Faults, Invalid
from ledger.proof.encoding import digest_text
from webapp.documents import Unreadable, read_text
from webapp.home import Home

UPLOAD_BYTES_MAX = 128 * 1024 * 1024
IMAGE_BYTES_MAX = 20 * 1024 * 1024
PIXELS_MAX = 40_000_000  # a small file can claim, and take, any number
PIXELS_ENOUGH = 10_000_000  # to find a QR code in; a larger picture is halved first
# What may be handed in, by its first bytes; text is what decodes as text and has no control bytes.
MAGIC = {
    "pdf": (b"%PDF-",),
    "zip": (b"PK\x03\x04",),  # xlsx, packages
    "ole": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),  # xls
    "gzip": (b"\x1f\x8b",),
    "xz": (b"\xfd7zXZ\x00",),
    "parquet": (b"PAR1",),
    "image": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"),
}
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
ROW = re.compile(r"\A[0-9]{1,3}\Z")
GROUPED = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]{1,2})?")


def kind_of(data: bytes) -> str | None:
    """What the bytes are: a key of MAGIC, `text`, or None for what nobody hands in here."""
    for kind, starts in MAGIC.items():
        if data.startswith(starts):
            return kind
    head = data[:4096]
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16 has zero bytes
    programs = head.startswith((b"#!", b"MZ", b"\x7fELF"))
    return "text" if head and not programs and (wide or not CONTROL.search(head)) else None


def read_upload(
    given: FileStorage | None, *, kinds: tuple[str, ...] = (), limit: int = UPLOAD_BYTES_MAX
) -> tuple[str, bytes]:
    """Name and bytes of an uploaded file; raises Invalid for none, too many bytes, or another kind."""
    if given is None or not given.filename:
        raise Invalid("No file was chosen.")
    name = PurePosixPath(given.filename.replace("\\", "/")).name[:200]
    data = given.stream.read(limit + 1)
    if not data:
        raise Invalid("{name} is empty.", name=name)
    if len(data) > limit:
        raise Invalid("{name} is larger than {most} MiB.", name=name, most=limit // 1024**2)
    kind = kind_of(data)
    if kind is None or (kinds and kind not in kinds):
        raise Invalid(
            "{name} is not a file of the kinds taken here ({kinds}).", name=name,
            kinds=", ".join(kinds or (*MAGIC, "text")),
        )  # fmt: skip
    return name, data


_one_picture = threading.Lock()


def read_qr(name: str, data: bytes) -> list[str]:
    """The texts of all QR codes in a picture (PNG or JPEG by its content); raises Invalid without one.

    Its size is read before it is unpacked, and one picture is unpacked at a time.
    """
    import zxingcpp  # noqa: PLC0415 - heavy, as the next two; only where somebody sends a picture
    from PIL.JpegImagePlugin import JpegImageFile  # noqa: PLC0415
    from PIL.PngImagePlugin import PngImageFile  # noqa: PLC0415

    formats = dict(zip(MAGIC["image"], (PngImageFile, JpegImageFile), strict=True))
    reader = next((one for start, one in formats.items() if data.startswith(start)), None)
    if reader is None or len(data) > IMAGE_BYTES_MAX:
        raise Invalid(
            "{name} is no PNG or JPEG picture of at most {most} MiB.", name=name,
            most=IMAGE_BYTES_MAX // 1024**2,
        )  # fmt: skip
    with _one_picture:
        try:
            picture = reader(io.BytesIO(data))
            width, height = picture.size
            if width * height > PIXELS_MAX:
                raise Invalid(
                    "The picture {name} has {width} × {height} pixels, more than {most} million.",
                    name=name, width=width, height=height, most=PIXELS_MAX // 1_000_000,
                )  # fmt: skip
            picture.draft("L", None)  # a JPEG is unpacked without its colours
            grey = _on_white(picture)
            if width * height > PIXELS_ENOUGH:
                grey = grey.reduce(2)
        except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
            raise Invalid(
                "The picture {name} cannot be read: {cause}.", name=name, cause=type(error).__name__
            ) from None
        found = zxingcpp.read_barcodes(grey, formats=zxingcpp.barcode_formats_from_str("QRCode"))
    if not found:
        raise Invalid(
            "No QR code was found in {name}: photograph it again, closer, straight and in good light.",
            name=name,
        )  # fmt: skip
    return [one.text for one in found]


def _on_white(picture: Any) -> Any:
    """The picture in grey; what is transparent in it is paper."""
    if not picture.has_transparency_data:
        return picture.convert("L")
    full = picture.convert("RGBA")
    alpha = full.getchannel("A")
    grey = full.convert("L")
    grey.paste(255, mask=alpha.point(lambda a: 255 - a))
    return grey


def keep_upload(
    home: Home, given: FileStorage | None, *, transient: bool = False
) -> dict[str, Any]:
    """Keep an uploaded file by its digest, or hand it in only; what a body says of it."""
    name, data = read_upload(given)
    (home.hand_in if transient else home.store_material)(data)
    return {"digest": digest_text(data), "name": name, "size_bytes": len(data)}


def read_form(
    schema: type[Schema], given: "MultiDict[str, str]", place: str = ""
) -> dict[str, Any]:
    """The values of a submitted form as a body: `materials.scene`, `data.0.digest` are nested.

    A list of texts comes as several values or as lines, a document as YAML; blank fields are left out.
    """
    found: dict[str, Any] = {}
    faults = Faults()
    for name, field in schema().fields.items():
        at = f"{place}{name}"
        if isinstance(field, fields.Nested):
            found[name] = read_form(type(field.schema), given, f"{at}.")
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            found[name] = _rows(type(field.inner.schema), given, at)
        elif isinstance(field, fields.List):
            found[name] = [
                line.strip()
                for text in given.getlist(at)
                for line in text.splitlines()
                if line.strip()
            ]
        elif isinstance(field, fields.Boolean):
            found[name] = given.get(at, "") in {"on", "true", "1", "yes"}
        elif isinstance(field, fields.Dict):
            _document(given.get(at, ""), name, at, found, faults)
        else:
            value = given.get(at, "").replace("\r\n", "\n").strip()
            if value:
                if field.metadata.get("kind") == "yuan":
                    value = ungrouped(value)
                found[name] = (
                    int(value) if isinstance(field, fields.Integer) and value.isdecimal() else value
                )
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    return found


def ungrouped(text: str) -> str:
    """An amount without the commas that pages show between groups of three; anything else as it is."""
    return text.replace(",", "") if GROUPED.fullmatch(text) else text


def _rows(schema: type[Schema], given: "MultiDict[str, str]", at: str) -> list[dict[str, Any]]:
    numbers = {
        int(key[len(at) + 1 :].partition(".")[0])
        for key in given
        if key.startswith(f"{at}.") and ROW.match(key[len(at) + 1 :].partition(".")[0])
    }
    made = [read_form(schema, given, f"{at}.{n}.") for n in sorted(numbers)]
    return [row for row in made if row]


def _document(text: str, name: str, at: str, found: dict[str, Any], faults: Faults) -> None:
    if not text.strip():
        return
    try:
        value = read_text(text)
    except Unreadable as error:
        faults.name_fault(
            "the field {name} cannot be read as YAML or JSON at line {line}", at, name=name,
            line=error.line,
        )  # fmt: skip
        return
    if not isinstance(value, Mapping):
        faults.name_fault("the field {name} must be a {form}", at, name=name, form="map")
        return
    found[name] = dict(value)
