"""What the site costs beside bare Flask, on the same server (granian, one process, four threads).

Each pair is measured in turns within one run, so that a busy machine slows both alike.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from flask import Flask, jsonify, request
from sqlalchemy import Text, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from ledger.store import new_id, open_engine

ROUNDS, ROUND_S, CLIENTS = 5, 2.0, 4
START_S = 60


class Base(DeclarativeBase):
    """The bare table."""


class Row(Base):
    """A row as large as a party with its record."""

    __tablename__ = "bare"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    body: Mapped[str] = mapped_column(Text)


def bare() -> Flask:
    """A bare Flask application: a JSON reply, and an insert with the same database settings."""
    app = Flask(__name__)
    engine = open_engine(f"sqlite:///{os.environ['BENCH_BARE']}")
    Base.metadata.create_all(engine)
    reply = json.loads(os.environ["BENCH_REPLY"])

    @app.get("/json")
    def read() -> Any:
        return jsonify(reply)

    @app.post("/insert")
    def write() -> Any:
        given = request.get_json()
        with Session(engine) as session:
            session.execute(insert(Row).values(id=new_id(), body=json.dumps(given)))
            session.commit()
        return jsonify({"done": True}), 201

    return app


def ours() -> Flask:
    """The site of the home in BENCH_HOME."""
    from webapp.site import create_app  # noqa: PLC0415

    return create_app(Path(os.environ["BENCH_HOME"]))


@contextmanager
def served(factory: str, **environment: str) -> Iterator[tuple[str, int]]:
    """An application of this file on granian, on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--host", "127.0.0.1",
         "--blocking-threads", "4", "--port", str(port), "--factory", "--log-level", "error",
         f"tests.bench.site:{factory}"],
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        for _ in range(START_S * 10):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(20)


def load(address: tuple[str, int], make: Callable[[], bytes], expect: bytes) -> float:
    """Requests a second over a round, by four clients that keep their connections."""
    counts = [0] * CLIENTS
    end = time.perf_counter() + ROUND_S

    def client(number: int) -> None:
        with socket.create_connection(address, 10) as connection:
            file = connection.makefile("rb")
            while time.perf_counter() < end:
                connection.sendall(make())
                status = file.readline()
                length = 0
                while (line := file.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = file.read(length)
                assert expect in status, (status, body[:500])
                counts[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def get(path: str) -> Callable[[], bytes]:
    """A GET request."""
    data = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n".encode()
    return lambda: data


def post(path: str, body: Callable[[], dict[str, Any]], token: str = "") -> Callable[[], bytes]:
    """A POST request with a fresh key each time."""

    def make() -> bytes:
        data = json.dumps(body()).encode()
        key = secrets.token_hex(8)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        return head.encode() + data

    return make


def compare(
    one: tuple[str, int], first: Callable[[], bytes], other: tuple[str, int],
    second: Callable[[], bytes], expect: bytes,
) -> tuple[float, float, float]:  # fmt: skip
    """Our rate, the bare rate and the median of their ratios, measured in turns."""
    pairs = []
    for _ in range(ROUNDS):
        pairs.append((load(one, first, expect), load(other, second, expect)))
    return (
        median(p[0] for p in pairs), median(p[1] for p in pairs), median(p[0] / p[1] for p in pairs),
    )  # fmt: skip


def bench_site(folder: Path) -> None:
    """Public verification, a recorded write, and the way from `serve` to the first page."""
    home = folder / "home"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DATABASE_URL")}
    subprocess.run(
        [sys.executable, "-m", "webapp", "demo", "--home", str(home)], check=True,
        stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    voucher = json.loads((home / "demo" / "voucher.json").read_bytes())
    number = voucher["credentialSubject"]["number"]
    token = _token(home)
    settings = {
        "BENCH_BARE": str(folder / "bare.db"), "BENCH_HOME": str(home),
        "SHUZHENG_RATE": "100000000 per minute",
    }  # fmt: skip
    path = f"/api/v1/vouchers/{number}/state"
    with served("ours", **settings) as site:
        reply = _body(site, path)
        with served("bare", **settings, BENCH_REPLY=reply) as plain:
            _show("public verification", *compare(site, get(path), plain, get("/json"), b" 200"))
            count = iter(range(10**9))

            def resource() -> dict[str, Any]:
                n = next(count)
                return {
                    "code": f"bench/{secrets.token_hex(6)}{n}",
                    "title": "基准",
                    "provider": "市数据局",
                }

            _show("recorded write", *compare(
                site, post("/api/v1/resources", resource, token), plain,
                post("/insert", resource), b" 201"))  # fmt: skip
    importing = _seconds([sys.executable, "-c", "import web3, flask"])
    starting = median(_first_page(home) for _ in range(3))
    print(f"{'serve to first page':34} {starting:12.2f} s   {starting / importing:6.2f} × import web3, "
          f"flask ({importing:.2f} s)")  # fmt: skip


def _show(what: str, rate: float, bare_rate: float, ratio: float) -> None:
    print(f"{what:34} {rate:12,.0f}/s   {ratio:6.2f} × bare Flask ({bare_rate:,.0f}/s)")


def _token(home: Path) -> str:
    """An API token of the demo's registrar."""
    from ledger.parties import actor_by_login  # noqa: PLC0415
    from webapp import accounts  # noqa: PLC0415
    from webapp.home import Home, clock  # noqa: PLC0415

    place = Home(home)
    _ = place.config
    with place.deed(clock()) as session:
        actor = actor_by_login(session, "wang")
        _made, secret = accounts.create_token(
            session, actor.member_id, name="bench", scopes=["catalogue"], days=1, now=clock()
        )
    place.close()
    return secret


def _body(address: tuple[str, int], path: str) -> str:
    import http.client  # noqa: PLC0415

    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return answer.read().decode()


def _seconds(command: list[str]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True)
        times.append(time.perf_counter() - start)
    return median(times)


def _first_page(home: Path) -> float:
    """From the command to the first page that answers."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "webapp", "serve", "--home", str(home), "--port", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        host, _, port = url.removeprefix("http://").partition(":")
        _body((host, int(port)), "/")
        return time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(30)
