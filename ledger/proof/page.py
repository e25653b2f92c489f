"""The page verifier.html: `verify` once more for a browser, in one file that needs no other.

It holds one style and one script, both languages, and the policy that lets a browser run these alone and
ask nobody but a chain node. Where the page comes from is the reader's trust: its digest can be compared.
"""

import base64
import hashlib
import re
from pathlib import Path

PAGE = Path(__file__).with_name("verifier.html")
NAME = "verifier.html"


def read_page() -> bytes:
    """The page as it is handed out everywhere, byte for byte."""
    return PAGE.read_bytes()


def content_policy(page: bytes) -> str:
    """The Content-Security-Policy of the page: its own style and script, and questions to a node."""
    style, script = (
        base64.b64encode(hashlib.sha256(found).digest()).decode()
        for tag in (b"style", b"script")
        for found in re.findall(b"<%s>(.*?)</%s>" % (tag, tag), page, re.DOTALL)
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
        "connect-src http: https:; base-uri 'none'; form-action 'none'"
    )
