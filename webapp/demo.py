"""The main job as a story: `shuzheng demo` does it on real data and tells each step.

Everything goes through the same verbs as the command line; killed at any moment and called again, it
goes on where it stopped. The calendar is turned: the story begins some months before today, since
public notice alone takes ten working days; chain time is real. All roles' keys lie on this one
machine, which only a demo may do.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import parties
from ledger.chain import keys
from ledger.errors import Conflict
from ledger.parties import Account, Actor
from webapp import accounts
from webapp.cli import main
from webapp.cli.house import demo_passphrase, make_home, running_node
from webapp.cli.proofs import open_worker
from webapp.cli.run import Run, print_json, progress_bar, with_home
from webapp.demo_circulation import CirculationSteps
from webapp.demo_finance import FinanceSteps
from webapp.demo_outsiders import OutsiderSteps
from webapp.demo_registration import RegistrationSteps
from webapp.demo_telling import PARTIES
from webapp.home import Home
from webapp.language import tr, translate

# login: (party, name, roles)
MEMBERS = {
    "wang": ("registry", "王登记", ["registrar"]),
    "xu": ("registry", "徐复核", ["registrar"]),
    "li": ("authority", "李授权", ["provider"]),
    "zhang": ("operator", "张运营", ["operator"]),
    "sun": ("appraiser", "孙评估", ["appraiser"]),
    "qian": ("appraiser", "钱复核", ["appraiser"]),
    "zhou": ("exchange", "周挂牌", ["exchange"]),
    "wu": ("treasury", "吴制单", ["finance_maker"]),
    "zheng": ("treasury", "郑复核", ["finance_checker"]),
    "feng": ("authority", "冯监管", ["regulator"]),
    "chen": ("bank", "陈主体", ["data_subject"]),
}


@main.command("demo")
@click.option("--fresh", is_flag=True, help="begin anew: an earlier demo home is removed first")
@with_home
def demo(run: Run, fresh: bool) -> None:
    """Do the main job on real data in a demo home, and tell each step."""
    path = run.home.path
    if fresh and path.exists():
        require_demo(path)
        shutil.rmtree(path)
    require_demo(path)
    Story(run).tell()


def require_demo(path: Path) -> None:
    """Raise Conflict unless the folder is absent, empty, or a home that a demo began."""
    if not path.exists() or not any(path.iterdir()):
        return
    if not (path / "demo" / "story.json").exists():
        raise Conflict("{path} is not a demo home: the demo stays out of it.", path=str(path))
    if (path / "config.json").exists() and not Home(path).config.demo:
        raise Conflict("{path} is a real home: the demo stays out of it.", path=str(path))


class Story(RegistrationSteps, CirculationSteps, FinanceSteps, OutsiderSteps):
    """The steps of the main job, each done once, in order."""

    def tell(self) -> None:
        """The whole road; the node runs as long as the story."""
        click.echo(
            tr("数证 Shuzheng: the main job, on real data. Home: {home}", home=str(self.path))
        )
        self.house()
        with running_node(self.path) as url:
            self.worker = open_worker(self.run)
            self.deposit()
            self.catalogue()
            self.agreement()
            self.application()
            self.registration()
            self.voucher()
            self.appraisal()
            self.licence()
            self.revenue()
            self.payment()
            self.line_proof(url)
            self.package()
            self.verification(url)
            self.tampering(url)
            self.authorised_use()
        self.end()

    def house(self) -> None:
        self.head("The house: keys, a chain of its own, four contracts, the log")
        passphrase = demo_passphrase(self.path)
        with progress_bar() as bar:
            bar.add_task(tr("making keys, chain and contracts"), total=None)
            home = make_home(
                self.path, passphrase, self.begin, organisation=PARTIES["registry"][1],
                uscc=PARTIES["registry"][2], demo=True,
            )  # fmt: skip
        self.run.home = home
        checker = keys.keystore_address(self.path / "offline" / "checker.json")

        def people(session: Session, actor: Actor) -> dict[str, Any]:
            parties.may(actor, "party.add")
            made = {
                key: parties.add_party(
                    session, actor.member_id, self.begin, kind=kind, name=name, uscc=uscc
                )
                for key, (kind, name, uscc) in PARTIES.items()
            }
            for login, (party, name, roles) in MEMBERS.items():
                parties.add_member(
                    session, actor.member_id, self.begin, party=made[party], login=login,
                    display_name=name, roles=roles,
                    signing_address=checker if login == "zheng" else None,
                )  # fmt: skip
            return {}

        self.deed(self.begin, "admin", people)
        self.accounts(home)
        settings = home.config
        self.line("The log is {origin}, the chain {chain_id} with genesis {genesis}.",
                  origin=settings.origin, chain_id=settings.deployment.chain_id,
                  genesis=settings.deployment.genesis)  # fmt: skip
        for name, address in settings.deployment.contracts.items():
            self.line("contract {name} at {address}", name=name, address=address)
        self.line("{parties} organisations and {members} people take part, each in his role. In this "
                  "demo all keys lie on one machine; in earnest the checker's and the "
                  "administrator's do not.", parties=len(PARTIES), members=len(MEMBERS) + 1)  # fmt: skip
        keys.write_durably(self.folder / "trust.json", home.trust())
        self.line("The trust file {path} is what a verifier gets once, out of band.",
                  path=str(self.folder / "trust.json"))  # fmt: skip

    def accounts(self, home: Home) -> None:
        """Let everybody sign in at the site with one password, which stands in the demo's folder."""
        kept = self.folder / "accounts.json"
        if not kept.exists():
            roles = {"admin": ["administrator"], **{k: v[2] for k, v in MEMBERS.items()}}
            password = accounts.one_time_password()
            keys.write_durably(kept, {"password": password, "roles": roles})
        hashed = accounts.hash_password(json.loads(kept.read_bytes())["password"])
        with home.deed(self.begin) as session:
            for account in session.scalars(select(Account)):
                known = accounts.sign_in_of(session, account.member_id)
                if known.password_hash is None:
                    accounts.store_password(session, account.member_id, hashed, self.begin)

    def end(self) -> None:
        """Say where everything is and what a newcomer may try; with --json, one document."""
        if self.run.as_json:
            names = ("bundle.json", "package.zip", "status.json", "trust.json", "voucher.json")
            files = {name: str(self.folder / name) for name in names}
            print_json({
                "accounts": json.loads((self.folder / "accounts.json").read_bytes()), "files": files,
                "home": str(self.path), "voucher": self.voucher_number,
            })  # fmt: skip
            return
        click.echo()
        home = str(self.path)
        folder = str(self.folder)
        for template in (
            "Everything is in {home}; the files for outsiders are:",
            "  {folder}/trust.json  package.zip  bundle.json  voucher.json  voucher.pdf  status.json",
            "Try yourself:",
            "  shuzheng verify {folder}/package.zip --trust {folder}/trust.json --offline",
            "  python -m ledger.proof.verify {folder}/bundle.json --trust {folder}/trust.json --offline",
            "  shuzheng node --home {home} &      then verify with --rpc and the address it prints",
            "  shuzheng audit --home {home} --offline",
            "  shuzheng serve --home {home}      the site; these may sign in, all with one password:",
        ):
            click.echo(tr(template, home=home, folder=folder))
        known = json.loads((self.folder / "accounts.json").read_bytes())
        for login, roles in known["roles"].items():
            click.echo(f"    {login:8} {known['password']}  {', '.join(map(translate, roles))}")
