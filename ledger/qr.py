"""The QR code of a voucher: what it holds, and how it is drawn.

It holds this text and nothing else; no host, no address to follow:

    SZ1:PZ202609-000001-6:d9bd1aa590bbc0bc4e7ce5b99b5f5f78792c55a22dd289184be0cc6d3ffd3746
    (form, number, lower-case hex of the SHA-256 of the credential with its proof, as on chain)
"""

import io
import re

import segno

from ledger.errors import Invalid
from ledger.proof.encoding import unhex

QR_FORM = "SZ1"
QR_TEXT = re.compile(r"SZ1:([A-Z]{2}\d{6}-\d{6}-[0-9A-Z]):([0-9a-f]{64})", re.ASCII)


def qr_text(number: str, digest: bytes) -> str:
    """What the QR code of a voucher holds: form, number, digest of the credential.

    >>> qr_text("PZ202609-000001-6", bytes(32))[:24]
    'SZ1:PZ202609-000001-6:00'
    """
    text = f"{QR_FORM}:{number}:{digest.hex()}"
    parse_qr_text(text)
    return text


def parse_qr_text(text: str) -> tuple[str, bytes]:
    """Number and digest from a scanned QR code; any other text, a web address too, raises Invalid."""
    found = QR_TEXT.fullmatch(text) if len(text) < 200 else None
    if found is None:
        raise Invalid("{text} is not the QR text of a voucher.", text=repr(text[:120]))
    return found[1], unhex(found[2], 32)


def qr_svg(text: str) -> str:
    """The QR code (level M: 15 % may be damaged) as SVG, with its quiet zone of four modules."""
    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False, boost_error=False)
    code.save(out, kind="svg", border=4, xmldecl=False, svgns=True, nl=False)
    return out.getvalue().decode()
