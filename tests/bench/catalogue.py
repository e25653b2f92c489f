"""What bringing a catalogue in costs beside reading the same file and writing its rows bare.

The file has 52,542 rows, made out of the real catalogue of a city: each with a code, a title and a summary
of its own, all columns, sharing, opening and cycles spread. Ours goes from the file's bytes to the deed
committed: read, mapped, checked, planned, stored, each resource a record of the log. Bare is
python-calamine's reading and one insert of the cells it read, the driver's fastest way, committed; on
PostgreSQL also by INSERT, as on SQLite.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import xlsxwriter
from python_calamine import CalamineWorkbook
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger.catalogue_imports import CatalogueImport
from ledger.parties import actor_by_login
from ledger.store import open_engine
from ledger.tabular import read_table
from tests.bench.usage import _migrated, _show, measured, server
from tests.conftest import CREDENTIAL_KEY, DEMO, found_town
from webapp.deeds import Desk
from webapp.deeds.all import catalogue

ROWS = 52_542
ROUNDS = 3
REAL = DEMO.parent / "catalogue_taoyuan_2018.xlsx"
SHARING = ("无条件共享", "有条件共享", "不予共享")
OPENING = ("无条件开放", "有条件开放", "不予开放")
CYCLES = ("每日", "每週", "每月", "每季", "每半年", "每年", "不定期", "即時")


def write_file(path: Path, rows: int = ROWS, serial: int = 0) -> None:
    """A real-shaped catalogue of so many rows."""
    table = read_table(REAL)
    at = {name: n for n, name in enumerate(table.header)}
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("目录")
    extra = ("共享属性", "共享条件", "开放属性", "开放条件")
    sheet.write_row(0, 0, [*table.header, *extra])
    providers = sorted({row.cells[at["資料集提供機關"]] for row in table.rows})
    for n in range(rows):
        cells = list(table.rows[n % len(table.rows)].cells)
        cells[at["編號"]] = f"307{n % 900:03d}{serial:03d}/{n:06d}"
        cells[at["資料名稱"]] += f" 第{n}期"
        cells[at["資料集描述"]] += f"（{n}）"
        provider = providers[n % len(providers)]
        cells[at["資料集提供機關"]] = cells[at["資料來源"]] = provider
        cells[at["更新頻率"]] = CYCLES[n % len(CYCLES)]
        sharing, opening = SHARING[n % 7 % 3], OPENING[n % 11 % 3]
        opening = opening if sharing != "不予共享" else "不予开放"
        sheet.write_row(n + 1, 0, [
            *cells, sharing, "凭申请" if sharing == "有条件共享" else "", opening,
            "注明来源" if opening == "有条件开放" else "",
        ])  # fmt: skip
    book.close()


def read_bare(path: Path) -> list[list[Any]]:
    """What calamine reads of the file."""
    book = CalamineWorkbook.from_path(str(path))
    return book.get_sheet_by_name(book.sheet_names[0]).to_python()


def write_bare(session: Session, rows: list[list[Any]], *, copied: bool = True) -> None:
    """The cells of a file into a table of its own, and nothing else."""
    width = len(rows[0])
    names = [f"c{n}" for n in range(width)]
    session.execute(text(f"CREATE TABLE bare ({', '.join(f'{name} TEXT' for name in names)})"))
    driver: Any = session.connection().connection.driver_connection
    if session.get_bind().dialect.name == "sqlite":
        driver.executemany(f"INSERT INTO bare VALUES ({','.join('?' * width)})", rows)
    elif not copied:
        driver.cursor().executemany(f"INSERT INTO bare VALUES ({','.join(['%s'] * width)})", rows)
    else:
        with driver.cursor().copy("COPY bare FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    session.commit()
    session.execute(text("DROP TABLE bare"))
    session.commit()


class Stored(BaseException):
    """The deed is committed; what follows, the search's index, is measured elsewhere."""


def bring(desk: Desk, digest: str, key: str) -> float:
    """How long it takes until the import is committed."""
    start = time.perf_counter()

    def report(stage: str, _done: int, _total: int) -> None:
        if stage == "index":
            raise Stored

    with suppress(Stored):
        desk.do(
            catalogue.import_catalogue, lambda session: actor_by_login(session, "rita"), {},
            {"digest": digest, "name": "catalogue.xlsx", "corrections": [], "defaults": []},
            key=key, report=report,
        )  # fmt: skip
    spent = time.perf_counter() - start
    with desk.home.reading() as session:
        last = session.scalars(
            select(CatalogueImport).order_by(CatalogueImport.id.desc()).limit(1)
        ).one()
        assert last.new_count == ROWS, last.body()
    return spent


def bench(kind: str, fresh: Callable[[str], str], folder: Path) -> None:
    """Rounds of ours, each in a new house, and of bare by turns; the best of each."""
    path = folder / "catalogue.xlsx"
    if not path.exists():
        write_file(path)
    bare = open_engine(fresh("bare"))
    ours, theirs, inserted = [], [], []
    for turn in range(ROUNDS):
        url = fresh(f"ours_{turn}")
        _migrated(url)
        town = next(found_town(url, folder / f"{kind}-{turn}"))
        town.home.path.mkdir(parents=True, exist_ok=True)
        desk = Desk(town.home, lambda: "", lambda town=town: town.now)  # type: ignore[misc]
        desk.__dict__["credential_key"] = CREDENTIAL_KEY
        ours.append(bring(desk, town.home.store_material(path.read_bytes()), "bench-catalogue"))
        town.home.close()
        with Session(bare) as session:
            theirs.append(_bare_s(session, path, copied=True))
            if kind == "PostgreSQL":
                inserted.append(_bare_s(session, path, copied=False))
    _show(f"catalogue of {ROWS:,} ({kind})", min(ours), "read and written bare", min(theirs), ROWS)
    print(f"{'':34} {min(ours) / min(theirs):6.2f} × as long")
    if inserted:
        print(f"{'':34} {min(ours) / min(inserted):6.2f} × as long as with INSERT")
    bare.dispose()


def _bare_s(session: Session, path: Path, *, copied: bool) -> float:
    return measured(lambda: write_bare(session, read_bare(path), copied=copied))


def bench_catalogue(folder: Path) -> None:
    """Both databases."""
    bench("SQLite", lambda name: f"sqlite:///{folder / name}.db", folder)
    with server() as uri:

        def fresh(name: str) -> str:
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                connection.execute(f"CREATE DATABASE {name}")
            return uri.replace("/postgres?", f"/{name}?")

        bench("PostgreSQL", fresh, folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        bench_catalogue(Path(sys.argv[1] if len(sys.argv) > 1 else name))
