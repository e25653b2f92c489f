"""`shuzheng serve`: the site, the worker and the embedded node of a home, as children of one process.

This process only watches: it holds the lock and the listening socket, starts what has died again, and
stops all in order. The socket is made here and inherited, so that a taken port is told at once, the
site's processes share it, and a visitor waits in its queue while one is begun again. A child ends when
its parent is gone, whatever killed it; the lock is inherited too, so that the next `serve` waits for
what was left behind.

Nothing heavy is imported up here: the watcher stays small, and the site's process, which has to load
what it takes anyway, is the one that judges passphrase and tables before the others are begun.
"""

import ctypes
import errno
import fcntl
import gc
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import structlog

from ledger.errors import Conflict, Invalid, LedgerError
from webapp.cli import main
from webapp.language import tr

BACKLOG = 1024
TICK_S = 0.1
ORPHAN_S = 15
ANSWER_S = 1.0  # for one try, while the site begins
LOOK_AGAIN_S = 2.0
PAUSE_MIN_S, PAUSE_MAX_S = 0.2, 30.0
WELL_AFTER_S = 60.0  # a child that lived so long begins again with the shortest pause
SITE_STOP_S, WORKER_STOP_S, NODE_STOP_S = 4, 5, 4
LAST_WORDS_S = 4.0
PR_SET_PDEATHSIG = 1
SECRET_PREFIXES = ("SHUZHENG_", "CHAIN_", "DATABASE_URL")

logger = structlog.get_logger()


# ---------------------------------------------------------------- children, and how they end


def spawn(verb: str, path: Path, *options: str, **settings: Any) -> "subprocess.Popen[bytes]":
    """Start `shuzheng VERB` on a home as our child; to be called from the main thread.

    Ctrl-C reaches only us, who stop it in its turn (`end`); it ends when we are gone (`end_with`).
    """
    own = ["--home", str(path), "--parent-pid", str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "webapp", verb, *own, *options], process_group=0, **settings
    )


def end(process: "subprocess.Popen[bytes]", limit_s: float = 10) -> None:
    """Ask a child to end, and wait; what does not end in time is killed."""
    process.terminate()
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_with(parent_pid: int) -> None:
    """End this process when that one is gone: by SIGTERM, and if that is not heeded, at once.

    On Linux the kernel sends the signal if it is our parent; everywhere a thread watches.
    """
    is_parent = os.getppid() == parent_pid
    if is_parent and sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def watch() -> None:
        while os.getppid() == parent_pid if is_parent else lives(parent_pid):
            time.sleep(TICK_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def lives(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] not in {"Z", "X"}
    except ProcessLookupError:
        return False
    except OSError:  # another user's process, or a system without /proc
        return True


def known_node(path: Path) -> dict[str, Any]:
    """What node.json says: pid, url, parent_pid; empty when there is none."""
    try:
        return dict(json.loads((path / "node.json").read_bytes()))
    except (FileNotFoundError, ValueError):
        return {}


def await_orphan(path: Path) -> None:
    """Wait for a node whose parent was killed to end, as it does within a moment: it is no node to use."""
    until_s = time.monotonic() + ORPHAN_S
    while time.monotonic() < until_s:
        known = known_node(path)
        parent = known.get("parent_pid")
        if parent is None or lives(parent) or not lives(known["pid"]):
            return
        time.sleep(TICK_S / 2)


class Child:
    """A process that is to run: begun again when it has died, after growing pauses.

    `start` may answer None: it is not needed now, ask again later.
    """

    def __init__(
        self, name: str, start: Callable[[], "subprocess.Popen[bytes] | None"], stop_s: float
    ) -> None:
        self.name, self._start, self._stop_s = name, start, stop_s
        self.process: subprocess.Popen[bytes] | None = None
        self._since_s = self._due_s = 0.0
        self._pause_s = PAUSE_MIN_S / 2

    def tend(self) -> None:
        """See that it runs."""
        now_s = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            has_been_well = now_s - self._since_s > WELL_AFTER_S
            self._pause_s = PAUSE_MIN_S if has_been_well else min(2 * self._pause_s, PAUSE_MAX_S)
            self._due_s = now_s + self._pause_s
            logger.warning(
                "ended", child=self.name, code=self.process.returncode, again_in_s=self._pause_s
            )
            self.process = None
        if self.process is None and now_s >= self._due_s:
            self.process = self._start()
            self._since_s, self._due_s = now_s, now_s + LOOK_AGAIN_S

    def ask_to_end(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def end(self) -> None:
        if self.process is not None:
            end(self.process, self._stop_s)


# ---------------------------------------------------------------- the watcher


def home_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `webapp.cli.run.with_home`, without what that imports."""
    command = click.option("--json", "as_json", is_flag=True, help="one JSON document on stdout")(
        command
    )
    return click.option(
        "--home", "folder", envvar="SHUZHENG_HOME", default="home", show_default=True,
        type=click.Path(path_type=Path), help="the installation's folder",
    )(command)  # fmt: skip


@contextmanager
def refusals(as_json: bool) -> Iterator[None]:
    """`webapp.cli.run.refusals`, which is imported only when there is something to refuse."""
    try:
        yield
    except (LedgerError, OSError):
        from webapp.cli import run  # noqa: PLC0415 - heavy

        with run.refusals(as_json):
            raise


@main.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="the address to listen on")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes a free one",
)
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="of the site"
)
@click.option(
    "--threads", default=4, show_default=True, type=click.IntRange(1, 64), help="of each process"
)
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, dir_okay=False),
    help="where the passphrase stands, instead of SHUZHENG_PASSPHRASE",
)  # fmt: skip
@home_options
def serve_command(
    folder: Path, as_json: bool, passphrase_file: Path | None, host: str, port: int,
    processes: int, threads: int,
) -> None:  # fmt: skip
    """Run the site, its worker and the embedded chain's node until stopped (Ctrl-C)."""
    with refusals(as_json):
        if not (folder / "config.json").exists():
            from webapp.home import Home  # noqa: PLC0415 - heavy, and has the sentence

            _ = Home(folder).config
        environment = dict(os.environ)
        if passphrase_file is not None:
            environment["SHUZHENG_PASSPHRASE"] = passphrase_file.read_text("utf-8").strip()
        with only_one(folder) as lock, listening(host, port) as listener:
            await_orphan(folder)
            Watcher(folder, listener, lock, environment, processes, threads).run(as_json)


@contextmanager
def only_one(path: Path) -> Iterator[int]:
    """Hold HOME/serve.lock, with our pid in it; raises Conflict naming the one who has it.

    What a killed `serve` left behind has it too, for a moment: that is waited for.
    """
    handle = os.open(path / "serve.lock", os.O_RDWR | os.O_CREAT, 0o600)
    until_s, has_waited = time.monotonic() + ORPHAN_S, False
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pid = int(os.pread(handle, 20, 0) or 0)
                if (pid and lives(pid)) or time.monotonic() > until_s:
                    raise Conflict(
                        "The home {path} is served already, by the process {pid}.",
                        path=str(path), pid=pid,
                    ) from None  # fmt: skip
            has_waited = True
            time.sleep(TICK_S / 2)
        if has_waited:
            time.sleep(TICK_S)  # a process that ends lets go of its socket a moment after its lock
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield handle
    finally:
        os.close(handle)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises Conflict for a taken port, Invalid where it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # What is accepted there inherits it: an answer on a kept connection is not held back 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                "The port {port} of {host} is taken: give another with --port; 0 takes a free one.",
                host=host, port=port,
            ) from None  # fmt: skip
        cause = str(error.strerror).partition(" (while")[0]
        raise Invalid(
            "The site cannot listen on {host}:{port}: {cause}.", host=host, port=port, cause=cause
        ) from None


class Watcher:
    """The children of one home: the site first, then node and worker."""

    def __init__(
        self, path: Path, listener: socket.socket, lock: int, environment: dict[str, str],
        processes: int, threads: int,
    ) -> None:  # fmt: skip
        self.path, self.listener, self.threads = path, listener, threads
        self._environment, self._lock = environment, lock
        self._stop = threading.Event()
        self.sites = [Child("site", self._start_site, SITE_STOP_S) for _ in range(processes)]
        self.node = Child("node", self._start_node, NODE_STOP_S)
        self.worker = Child("worker", self._start_worker, WORKER_STOP_S)
        host, port = listener.getsockname()[:2]
        self.host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - seen from here
        place = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"http://{place}:{port}"
        self.port = port

    def run(self, as_json: bool) -> None:
        """Begin all, tell the address, and watch until a signal comes; then end all in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        told = self.path / "site.json"
        told.unlink(missing_ok=True)
        try:
            self._begin(as_json)
            while not self._stop.is_set():
                self._tend()
                if self.sites[0].process is None:
                    raise Conflict("The site did not start; what it said stands above.")
                if self._answers():
                    break
            if not self._stop.is_set():
                self._tell(told, as_json)
            while not self._stop.wait(TICK_S):
                self._tend()
        finally:
            self._end()
            told.unlink(missing_ok=True)

    def _begin(self, as_json: bool) -> None:
        """The first process of the site, until it has found that this home can be served."""
        checked, telling = os.pipe()
        options = ["--checked", str(telling), *(["--json"] if as_json else [])]
        process = self.sites[0].process = self._start_site(*options, telling=telling)
        os.close(telling)
        try:
            while not self._stop.is_set():
                if select.select([checked], [], [], TICK_S)[0]:
                    if not os.read(checked, 1):
                        raise SystemExit(process.wait() or 1)  # it has said why
                    return
        finally:
            os.close(checked)

    def _tend(self) -> None:
        for child in (*self.sites, self.node, self.worker):
            child.tend()

    def _end(self) -> None:
        self.listener.close()
        for site in self.sites:
            site.ask_to_end()
        for child in (*self.sites, self.worker, self.node):
            child.end()

    def _start_site(self, *options: str, telling: int | None = None) -> "subprocess.Popen[bytes]":
        listen = self.listener.fileno()
        inherited = (listen,) if telling is None else (listen, telling)
        known = ["--listen", str(listen), "--threads", str(self.threads)]
        return self._spawn("site", *known, *options, inherited=inherited, stdout=None)

    def _start_worker(self) -> "subprocess.Popen[bytes]":
        return self._spawn("worker")

    def _start_node(self) -> "subprocess.Popen[bytes] | None":
        """A node where its predecessor was, for those who know its address; none beside another's."""
        if self._environment.get("CHAIN_RPC_URL"):
            return None
        known = known_node(self.path)
        port = urlsplit(known.get("url", "")).port or 0
        if known and lives(known["pid"]) and _accepts("127.0.0.1", port):
            return None
        (self.path / "node.json").unlink(missing_ok=True)
        if not port:
            self.worker.ask_to_end()  # it knows the old address
        return self._spawn("node", "--port", str(port))

    def _spawn(
        self, verb: str, *options: str, inherited: tuple[int, ...] = (),
        stdout: int | None = subprocess.DEVNULL,
    ) -> "subprocess.Popen[bytes]":  # fmt: skip
        return spawn(
            verb, self.path, *options, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=stdout, pass_fds=(self._lock, *inherited),
        )  # fmt: skip

    def _answers(self) -> bool:
        link = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        try:
            link.request("GET", "/", headers={"Connection": "close"})
            return bool(link.getresponse().status)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            link.close()

    def _tell(self, place: Path, as_json: bool) -> None:
        part = place.with_suffix(".part")
        part.write_text(json.dumps({"pid": os.getpid(), "url": self.url}) + "\n", "utf-8")
        part.replace(place)
        answer = {"home": str(self.path), "url": self.url}
        sentence = tr("The site of {home} is at {url}.", **answer)
        click.echo(json.dumps(answer, ensure_ascii=False) if as_json else sentence)


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


# ---------------------------------------------------------------- one process of the site


@main.command("site", hidden=True)
@click.option("--listen", type=int, required=True, help="the inherited socket")
@click.option("--threads", type=int, required=True)
@click.option("--parent-pid", type=int, required=True)
@click.option("--checked", type=int, help="where to tell that the home can be served")
@home_options
def site_command(
    folder: Path, as_json: bool, listen: int, threads: int, parent_pid: int, checked: int | None
) -> None:
    """Be one process of the site, on a socket that `serve` has made."""
    end_with(parent_pid)
    os.set_inheritable(listen, False)
    from webapp.site import create_app  # noqa: PLC0415 - heavy; before the check, which lets others begin

    with refusals(as_json):
        if checked is not None:
            _check(folder)
            os.write(checked, b".")
            os.close(checked)
    os.dup2(2, 1)  # stdout has the watcher's one sentence or document
    app = create_app(folder)
    leave_alone_what_is_loaded()
    answer_requests(without_secrets(app), listen, threads)


def leave_alone_what_is_loaded() -> None:
    """Let no collection go through what the process has loaded: each took 0.2 s, with everybody waiting."""
    gc.collect()
    gc.freeze()


def _check(path: Path) -> None:
    """Refuse a home that cannot be served: a wrong passphrase, tables older than the code."""
    from sqlalchemy import inspect, text  # noqa: PLC0415 - the watcher needs none of these

    from webapp.home import MIGRATIONS, Home, read_passphrase  # noqa: PLC0415

    home, found = Home(path), None
    try:
        home.keyring(read_passphrase(path))
        with home.reading() as session:
            if inspect(session.connection()).has_table("alembic_version"):
                found = session.scalar(text("SELECT version_num FROM alembic_version"))
    finally:
        home.close()
    # A revision is the number its file begins with; Alembic itself would take longer to load than all this.
    needed = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    if found != needed and home.config.demo:
        raise Conflict(
            "This demo home was made by another edition of Shuzheng: run `shuzheng demo --fresh`, which "
            "makes it anew. ({cause})",
            cause=f"{found or '-'} → {needed}",
        )
    if found != needed:
        raise Conflict(
            "This database lacks tables of Shuzheng: run `shuzheng init` again, which brings them "
            "up to date. ({cause})",
            cause=f"{found or '-'} → {needed}",
        )


def answer_requests(app: Callable[..., Any], listen: int, threads: int) -> None:
    """Serve a WSGI application with granian in this process, until SIGTERM; open requests are finished.

    Granian's own processes would outlive a killed parent and each bind the port; its server for
    interpreters without GIL serves in the process it is called in, which one thread pool is enough for.
    """
    from granian._granian import SocketHolder  # noqa: PLC0415
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server.mt import MTServer  # noqa: PLC0415

    class Server(MTServer):
        """In this process, on the inherited socket."""

        def _check_gil(self) -> None:
            pass

        def _init_shared_socket(self) -> None:
            hold: Any = SocketHolder  # its stub lacks the constructor
            self._shd = hold(listen, False, BACKLOG)

    server = Server(
        "webapp.site", interface=Interfaces.WSGI, blocking_threads=threads,
        log_level=LogLevels.error,
    )  # fmt: skip
    server.serve(target_loader=lambda: app, wrap_loader=False)


def without_secrets(app: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI application without what granian adds to each request: our environment, with its secrets."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        kept = {key: v for key, v in environ.items() if not key.startswith(SECRET_PREFIXES)}
        return app(kept, start_response)

    return application
