"""How the demo tells its story: whose house it is, the turned calendar, one deed or one line at a time."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from ledger import parties
from ledger.calendar import local_date, start_of_day
from ledger.chain import keys
from ledger.parties import Actor, Party
from ledger.proof import verify as verifier
from ledger.proof.encoding import instant, parse_instant
from ledger.proof.report import Report
from webapp import home as homes
from webapp.cli.house import demo_passphrase
from webapp.cli.run import Run, progress_bar
from webapp.cli.verify import unwrap
from webapp.language import tr

DATA = Path(__file__).resolve().parent.parent / "data"
DAYS_BACK = 90

# who: (kind, name, social credit code); invented, with fitting check characters
PARTIES = {
    "registry": ("public_institution", "数据登记机构", "12000000DEM000001E"),
    "authority": ("public_body", "市数据局", "11000000DEM000002L"),
    "operator": ("enterprise", "城数运营有限公司", "91000000DEM000003F"),
    "appraiser": ("enterprise", "公允资产评估事务所", "91000000DEM000004J"),
    "exchange": ("enterprise", "数据交易所", "91000000DEM000005M"),
    "treasury": ("public_body", "市财政局", "11000000DEM0000061"),
    "bank": ("enterprise", "城市商业银行", "91000000DEM000007U"),
}


class Telling:
    """A story in a home: begun once, and told on where it stopped."""

    worker: Any
    agreement_number: str
    code: str
    """of the registration"""
    coded_at: datetime
    voucher_number: str
    issued_at: datetime
    paid_on: date
    statement_number: str

    def __init__(self, run: Run) -> None:
        self.run = run
        self.path = run.home.path
        self.folder = self.path / "demo"
        self.step_count = 0
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        begun = self.folder / "story.json"
        if not begun.exists():
            keys.write_durably(begun, {"today": instant(homes.clock())})
        self.today = parse_instant(json.loads(begun.read_bytes())["today"])
        self.begin = self.today - timedelta(days=DAYS_BACK)

    def head(self, template: str) -> None:
        self.step_count += 1
        click.echo(f"\n{self.step_count}. {tr(template)}", err=self.run.as_json)

    def line(self, template: str, **facts: Any) -> None:
        click.echo("   " + tr(template, **facts), err=self.run.as_json)

    def at(self, days: int) -> datetime:
        """An instant of the story: `days` after its beginning, at ten in the morning."""
        return start_of_day(local_date(self.begin) + timedelta(days=days)) + timedelta(hours=10)

    def deed(
        self, now: datetime, login: str, act: Callable[[Session, Actor], Mapping[str, Any]]
    ) -> dict[str, Any]:
        self.run.now = now
        with self.run.home.deed(now) as session:
            return dict(act(session, parties.actor_by_login(session, login)))

    def settle(self, now: datetime) -> None:
        """Let the worker seal, anchor and carry until nothing is open."""
        with progress_bar() as bar:
            bar.add_task(tr("sealing, anchoring, carrying to the chain"), total=None)
            self.worker.drain(lambda: now)

    def verify(self, path: Path, rpc: str | None, trust: Path | None = None) -> Report:
        return verifier.run(
            str(path), str(trust or self.folder / "trust.json"),
            status_path=str(self.folder / "status.json") if path.name == "voucher.json" else None,
            rpc=rpc, offline=rpc is None, unwrap=unwrap,
        )  # fmt: skip

    def key_address(self, name: str) -> str:
        """The address of an outsider's key in the demo's folder; made the first time."""
        path = self.folder / name
        if path.exists():
            return keys.keystore_address(path)
        return keys.create_keystore(path, demo_passphrase(self.path))

    def party(self, session: Session, key: str) -> Party:
        return parties.party_by_uscc(session, PARTIES[key][2])

    def name_of(self, uscc: str) -> str:
        return next((name for _, name, code in PARTIES.values() if code == uscc), uscc)
