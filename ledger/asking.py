"""Asking another house over HTTP: bounded in time and size, and no redirect is followed."""

import http.client
import socket
import ssl
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ledger.errors import Invalid

ANSWER_S = 10.0


@dataclass(frozen=True)
class Reply:
    """What came back: status, media type and body."""

    status: int
    media_type: str
    body: bytes


def check_url(url: str, example: str) -> str:
    """The address below which somebody is asked, without a slash at its end; raises Invalid."""
    try:
        parts = urlsplit(url)
        fits = (
            parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            and parts.username is None and not parts.query and not parts.fragment
            and url.isascii() and url.isprintable() and " " not in url
        )  # fmt: skip
    except ValueError:
        fits = False
    if not fits:
        raise Invalid("{url} is not an address of the form {form}.", url=url, form=example)
    return url.rstrip("/")


def ask(
    method: str, url: str, body: bytes | None = None, media_type: str = "", *,
    limit_s: float = ANSWER_S, bytes_max: int,
) -> Reply:  # fmt: skip
    """The answer of whoever is at `url`, within `limit_s` altogether.

    Raises TimeoutError, OSError, http.client.HTTPException, and ValueError where it is too large.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    link: http.client.HTTPConnection
    if parts.scheme == "https":
        link = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=limit_s, context=ssl.create_default_context()
        )
    else:
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=limit_s)
    late = threading.Event()
    held: list[socket.socket] = []  # kept here, since `link` lets go of it while an answer is read

    def hang_up() -> None:
        # The limit above counts from byte to byte; who drips would hold us for ever.
        late.set()
        with suppress(OSError):
            for sock in held:
                sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, hang_up)
    timer.start()
    try:
        link.connect()
        held.append(link.sock)
        headers = {"Content-Type": media_type} if media_type else {}
        link.request(method, parts.path or "/", body, headers)
        with closing(link.getresponse()) as response:
            content = response.read(bytes_max + 1)
    except (OSError, http.client.HTTPException, ValueError):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()
        link.close()
    if late.is_set():
        raise TimeoutError
    if len(content) > bytes_max:
        raise ValueError("the answer is too large")
    told = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    return Reply(response.status, told, content)
