"""Downloads of many rows: the same bytes, memory that does not grow with them, cut in the middle."""

import gc
import os
import resource
import socket
import struct
import tracemalloc
from pathlib import Path
from tempfile import gettempdir
from threading import Thread
from time import monotonic, sleep

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from ledger.agreements import Agreement
from ledger.chain.keys import write_durably
from ledger.vouchers import Voucher
from tests.conftest import Town
from tests.web.conftest import Site
from webapp.cli.run import refusals
from webapp.deeds import LongFile
from webapp.tables import LINES_AT_ONCE, csv_bytes, csv_parts

pytestmark = pytest.mark.pages
FEW, MANY = 10_000, 200_000
MORE_BYTES = 4 * 1024 * 1024  # so much memory more is left to chance, whatever the rows


def sell(town: Town, agreement: Agreement, voucher: Voucher, name: str, count: int) -> None:
    """So many confirmed trades more under an agreement."""
    text = town.trades_file(voucher, count).replace("\nT-", f"\n{name}-")
    town.confirm(town.signed(agreement, text, name), text)


def held_bytes() -> int:
    """The most memory this process held since that was last forgotten, as the system counts it."""
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return int(line.split()[1]) * 1024


def fetch(client: FlaskClient, path: str) -> tuple[int, int, int]:
    """Bytes of a download that is read piece by piece; memory it takes: of Python, and of the process."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = held_bytes()
    tracemalloc.start()
    answer = client.get(path)
    assert answer.status_code == 200
    size = sum(map(len, answer.iter_encoded()))
    answer.close()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == answer.content_length
    return size, traced, held_bytes() - before


@pytest.mark.parametrize("count", [0, LINES_AT_ONCE - 1, LINES_AT_ONCE, 2 * LINES_AT_ONCE + 1])
def test_pieces_are_the_bytes_of_the_whole(count: int) -> None:
    lines = [(n, "=1", '甲"乙', "a\nb") for n in range(count)]
    whole = csv_bytes(lines)
    assert whole.decode("utf-8-sig").count("'=1") == count
    file = LongFile.write(csv_parts(lines), "text/csv", "x.csv")
    assert (file.size_bytes, b"".join(file.pieces())) == (len(whole), whole)
    assert file.file.closed


def test_a_disk_that_is_full_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, pieces = tmp_path / "books.beancount", [b"x" * 1_000] * 200
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    open_before = len(os.listdir("/proc/self/fd"))
    try:
        with pytest.raises(SystemExit), refusals(False):
            write_durably(path, iter(pieces))
        with pytest.raises(SystemExit), refusals(False):
            LongFile.write(pieces, "text/plain", path.name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    told = capsys.readouterr().err.splitlines()
    assert [str(path) in told[0], gettempdir() in told[1]] == [True, True]
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_twenty_times_the_rows_take_no_more_memory(site: Site) -> None:
    town, client = site.town, site.visit("mona").client
    agreement, licence = town.sold()
    voucher = town.get(Voucher, licence)
    for export in ("trades.csv", "books.beancount"):
        assert client.get(f"/api/v1/agreements/{agreement.number}/{export}").status_code == 200
    path = f"/api/v1/agreements/{agreement.number}/trades.csv"
    sell(town, agreement, voucher, "A", FEW)
    fetch(client, path)  # what is loaded and kept from then on
    few = fetch(client, path)
    sell(town, agreement, voucher, "B", MANY - FEW)
    many = fetch(client, path)
    assert many[0] > 15 * few[0] > 15 * FEW * 50
    assert many[1] < few[1] + MORE_BYTES
    if (
        town.home.engine.dialect.name == "postgresql"
    ):  # SQLite maps its file, which the system counts
        assert many[2] < few[2] + 4 * MORE_BYTES


@pytest.mark.slow
def test_a_download_cut_in_the_middle_leaves_the_server_well(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    sell(town, agreement, town.get(Voucher, licence), "A", MANY // 2)
    path = f"/api/v1/agreements/{agreement.number}/trades.csv"
    client = site.visit("mona").client
    whole = client.get(path).data
    cookie = client.get_cookie(site.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        asked = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie.key}={cookie.value}\r\n\r\n"
        )
        gc.collect()
        open_before = len(os.listdir("/proc/self/fd"))
        for _ in range(6):
            with socket.socket() as link:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                link.connect(server.server_address[:2])
                link.sendall(asked.encode())
                assert b" 200 OK" in link.recv(4096)
        until = monotonic() + 30
        while monotonic() < until and len(os.listdir("/proc/self/fd")) > open_before:
            sleep(0.1)
        assert len(os.listdir("/proc/self/fd")) <= open_before, (
            "no file and no connection is left open"
        )
        assert town.home.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert client.get(path).data == whole
        town.do(
            "mona", lambda session, actor, now: None
        )  # nor does anything keep others from writing
    finally:
        server.shutdown()
        thread.join()
