"""The embedded chain node: one chain file behind Ethereum JSON-RPC on loopback. It holds no keys.

python -m ledger.chain.node --path chain.sqlite --token-file token
"""

import argparse
import contextlib
import ipaddress
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ledger.chain.chainfile import Chain, create
from ledger.chain.httpd import Server
from ledger.chain.miner import LEAD_MAX_S
from ledger.errors import Invalid, LedgerError

__all__ = ["Chain", "create", "serve"]

TOKEN_MIN = 16
STACK_BYTES = 64 * 2**20  # a call may nest 1,024 deep


def serve(
    path: str | os.PathLike[str],
    *,
    token: str,
    on_ready: Callable[[str], None],
    host: str = "127.0.0.1",
    port: int = 0,
    stop: threading.Event | None = None,
    parent_pid: int | None = None,
    lead_max_s: int = LEAD_MAX_S,
) -> None:
    """Run the node until `stop` is set, SIGTERM or SIGINT comes, or the process `parent_pid` is gone.

    `on_ready` gets the URL once requests are answered; port 0 takes a free one. Signals are heeded when
    this runs in the main thread. Raises Invalid for a host that is not loopback or a short token, Missing
    or Conflict as `Chain` does.
    """
    address = _loopback(host)
    if len(token) < TOKEN_MIN or not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid(
            "The node's token has at least {least} printable characters.", least=TOKEN_MIN
        )
    was_parent = os.getppid() == parent_pid
    stop = stop or threading.Event()
    chain = Chain(path)
    usual_bytes = threading.stack_size(STACK_BYTES)
    try:
        try:
            server = Server(address, port, chain, token, lead_max_s)
        except OSError as error:
            message = "The node cannot listen on {host}:{port}: {cause}."
            raise Invalid(message, host=host, port=port, cause=str(error)) from error
        try:
            with _signals(stop):
                thread = threading.Thread(target=server.serve_forever, args=(0.25,), name="http")
                thread.start()
                try:
                    on_ready(server.url)
                    while not stop.wait(0.25):
                        if not server.miner.is_alive:
                            raise LedgerError(
                                "The node on {path} can make no more blocks.", path=str(path)
                            )
                        if parent_pid is not None and not _alive(parent_pid, was_parent):
                            break
                finally:
                    server.shutdown()
                    thread.join()
        finally:
            server.close()
    finally:
        threading.stack_size(usual_bytes)
        chain.close()


def _loopback(host: str) -> str:
    """The IP address of a loopback host; raises Invalid for any other."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        address = None
    if address is None or str(address) not in {"127.0.0.1", "::1"}:
        raise Invalid("The node listens on 127.0.0.1 or ::1 only, not on {given}.", given=host)
    return str(address)


def _alive(pid: int, was_parent: bool) -> bool:
    """Whether a process still runs; one that is dead but not yet waited for does not."""
    if was_parent:
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] not in {"Z", "X"}
    except ProcessLookupError:
        return False
    except OSError:  # another user's process, or a system without /proc
        return True


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`, in the main thread; elsewhere signals are the caller's concern."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def main(arguments: list[str] | None = None) -> int:
    """Run a node from the command line; prints `ready URL` once it answers."""
    parser = argparse.ArgumentParser(prog="python -m ledger.chain.node", description=main.__doc__)
    parser.add_argument("--path", type=Path, required=True, help="the chain file")
    parser.add_argument(
        "--token-file", type=Path, required=True, help="a file only its owner reads"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--parent-pid", type=int, help="end when this process is gone")
    given = parser.parse_args(arguments)
    try:
        if stat.S_IMODE(given.token_file.stat().st_mode) & 0o077:
            raise Invalid(
                "{path} can be read by others: its mode must be 0600.", path=str(given.token_file)
            )
        serve(
            given.path,
            token=given.token_file.read_text("ascii").strip(),
            on_ready=lambda url: print(f"ready {url}", flush=True),
            host=given.host,
            port=given.port,
            parent_pid=given.parent_pid,
        )
    except (LedgerError, OSError, UnicodeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
