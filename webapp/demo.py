"""The main job as a story: `shuzheng demo` does it on real data and tells each step.

Everything goes through the same verbs as the command line; killed at any moment and called again, it
goes on where it stopped. The calendar is turned: the story begins some months before today, since
public notice alone takes ten working days; chain time is real. All roles' keys lie on this one
machine, which only a demo may do.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    appraisals,
    catalogue,
    handoff,
    log,
    papers,
    parties,
    trading,
    vouchers,
)
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.authorisations import Authorisation
from ledger.calendar import local_date, start_of_day, years_after
from ledger.chain import keys, outbox
from ledger.errors import Conflict, LedgerError
from ledger.parties import Account, Actor, Party
from ledger.proof import bundle as bundles
from ledger.proof import verify as verifier
from ledger.proof.encoding import canonical, digest_text, parse, parse_instant
from ledger.proof.report import VERDICTS, print_report
from ledger.registration import Application, Registration
from valuation import methods, quality
from valuation.money import fen, yuan
from webapp import accounts
from webapp import home as homes
from webapp.cli import main
from webapp.cli.catalogue import load_catalogue
from webapp.cli.field import submit_application
from webapp.cli.house import demo_passphrase, make_home, running_node
from webapp.cli.money import grant_licence
from webapp.cli.proofs import open_worker, pack_package
from webapp.cli.run import Run, print_json, progress_bar, read_document, with_home
from webapp.deeds.all import appraisals as appraisal_deeds
from webapp.deeds.all import authorisations
from webapp.demo_finance import AMOUNT_PAID, FinanceSteps
from webapp.demo_telling import DATA, PARTIES
from webapp.documents import read_text
from webapp.home import Home
from webapp.language import language, tr, translate

HANDED_OUT = ("bundle.json", "voucher.pdf", "package.zip", "status.json", "voucher.json")
USE_SCENE = "数据资产评估"
USE_PURPOSE = "核对评估所依据的数据"

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


class Story(FinanceSteps):
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

    # -- the steps -----------------------------------------------------------------------------

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

    def deposit(self) -> None:
        self.head("Evidence deposit (存证): the operator shows what it has, before applying")
        for name in ("streets.csv", "covid19_daily.csv.xz"):
            data = (DATA / name).read_bytes()

            def act(
                session: Session, actor: Actor, name: str = name, data: bytes = data
            ) -> dict[str, Any]:
                self.run.home.store_material(data)
                made = registering.deposit(
                    session, actor, self.run.now, name=name, digest=digest_text(data),
                    size_bytes=len(data),
                )  # fmt: skip
                return {"digest": made.digest}

            answer = self.deed(self.at(0), "zhang", act)
            self.line("{name}: {digest}", name=name, digest=answer["digest"])
        self.line("Check: the SHA-256 of the file in data/ is the same.")

    def catalogue(self) -> None:
        self.head("The catalogue (一本账): a city's real spreadsheet is imported")
        self.run.now = self.at(0)
        answer, problems = load_catalogue(
            self.run, "wang", DATA / "catalogue_taoyuan_2018.xlsx",
            defaults=["sharing=无条件共享", "opening=无条件开放"],
            reason="该市的开放数据目录，已无条件开放",
        )  # fmt: skip
        self.line(
            "{rows} rows read, {new} resources listed, {notices} notices about odd cells.", **answer
        )
        repeated = [p for p in problems if p["code"] == "title_repeated"]
        for problem in (repeated or problems)[:1]:
            self.line("for instance row {row}, column {column}: {value}", **{
                k: problem[k] for k in ("row", "column", "value")})  # fmt: skip

        def act(session: Session, actor: Actor) -> dict[str, Any]:
            for entry in read_list(DATA / "demo" / "resources.yaml"):
                catalogue.add_resource(
                    session, actor, self.run.now, code=entry["code"], title=entry["title"],
                    provider=entry["provider"], elements=entry["elements"],
                )  # fmt: skip
            return {}

        self.deed(self.at(0), "wang", act)
        self.line("The two resources of our product are listed beside them.")

    def agreement(self) -> None:
        self.head(
            "Operation agreement (授权运营协议): the operator proposes, the data bureau signs"
        )
        document = read_document(DATA / "demo" / "agreement.yaml")
        start = local_date(self.at(1))

        def propose(session: Session, actor: Actor) -> dict[str, Any]:
            found = session.scalar(select(Agreement).where(Agreement.title == document["title"]))
            found = found or agreements.propose(
                session, actor, self.run.now, title=document["title"], mode=document["mode"],
                implementer=self.party(session, "authority"),
                resource_ids=[
                    catalogue.resource_by_code(session, code).id for code in document["resources"]
                ],
                elements=document["elements"], from_on=start, scenes=document["scenes"],
                price_cap_fen=fen(document["price_cap_yuan"], "price_cap_yuan"),
                until_on=years_after(start, 4) - timedelta(days=1),
            )  # fmt: skip
            return {"number": found.number}

        self.agreement_number = self.deed(self.at(1), "zhang", propose)["number"]

        def sign(session: Session, actor: Actor) -> dict[str, Any]:
            found = agreements.by_number(session, self.agreement_number)
            if found.state == "proposed":
                agreements.sign(session, actor, self.run.now, found)
            return {"start": found.from_on, "until": found.until_on}

        answer = self.deed(self.at(1), "li", sign)
        self.line("{number}: all 13 elements, from {start} to {until}.",
                  number=self.agreement_number, **answer)  # fmt: skip

    def application(self) -> None:
        self.head("Application (登记申请): quality is measured from the files themselves")
        self.run.now = self.at(2)
        document = read_document(DATA / "demo" / "application.yaml")
        document["agreement"] = self.agreement_number
        answer = submit_application(self.run, "zhang", document, DATA / "demo")
        self.number = answer["number"]
        with self.run.home.reading() as session:
            profiles = registering.application_by_number(session, self.number).quality
        for profile in profiles:
            score = quality_score(profile)
            self.line("{name}: {rows} rows, quality {score} of 1 over {count} measured indicators, "
                      "{asked} to be asked", name=profile["name"], rows=profile["row_count"],
                      score=score, count=len(profile["indicators"]),
                      asked=len(profile["asked"]))  # fmt: skip
            worst = max(
                profile["indicators"], key=lambda i: i["b"] - i["a"] if not i["inverse"] else i["a"]
            )
            self.line(
                "  weakest: {code} {zh}, {a} of {b}",
                **{k: worst[k] for k in ("code", "zh", "a", "b")},
            )
        self.line("{number} is submitted; acceptance is due by {due}.", **answer)
        self.try_refusal("zhang", lambda session, actor, found: registering.accept(
            session, actor, self.run.now, found))  # fmt: skip

    def try_refusal(self, login: str, act: Callable[[Session, Actor, Application], None]) -> None:
        """Show that somebody who may not is refused, and that nothing changed."""

        def deed(session: Session, actor: Actor) -> dict[str, Any]:
            act(session, actor, registering.application_by_number(session, self.number))
            return {}

        try:
            self.deed(self.run.now, login, deed)
        except LedgerError as error:
            self.line("If {login} tries to decide himself: “{why}”", login=login,
                      why=error.localized(translate))  # fmt: skip

    def registration(self) -> None:
        self.head("Review (审核), notice (公示), coding (赋码) by the registrar, another person")
        findings = read_document(DATA / "demo" / "review.yaml")

        def accept(session: Session, actor: Actor, found: Application) -> None:
            registering.accept(session, actor, self.run.now, found)

        def review(session: Session, actor: Actor, found: Application) -> None:
            registering.pass_review(
                session, actor, self.run.now, found, formal=findings["formal"],
                compliance=findings["compliance"],
            )  # fmt: skip

        def notice(session: Session, actor: Actor, found: Application) -> None:
            registering.give_notice(session, actor, self.run.now, found)

        self.move(self.at(4), "submitted", accept)
        self.move(self.at(9), "in_review", review)
        self.move(self.at(9), "reviewed", notice)
        with self.run.home.reading() as session:
            found = registering.application_by_number(session, self.number)
            until = found.notice["until"]["on"]
            compliance = found.review["compliance"]
        self.line("Accepted; formal review passed; compliance review (合规性审查) with {n} findings:",
                  n=len(compliance))  # fmt: skip
        for item, zh in registering.COMPLIANCE_ITEMS.items():
            self.line("  {zh}: {verdict} ({finding})", zh=zh, **{
                k: compliance[item][k] for k in ("verdict", "finding")})  # fmt: skip
        self.coded_at = start_of_day(date.fromisoformat(until)) + timedelta(days=1, hours=10)

        def code(session: Session, actor: Actor) -> dict[str, Any]:
            application = registering.application_by_number(session, self.number)
            made = session.scalar(
                select(Registration).where(Registration.application_id == application.id)
            ) or registering.code(
                session, actor, self.run.now, application,
                session.get(Agreement, application.agreement_id),
            )  # fmt: skip
            return {"code": made.code, "until": local_date(made.valid_until).isoformat()}

        answer = self.deed(self.coded_at, "wang", code)
        self.code = answer["code"]
        self.line(
            "On notice until {until}, ten working days by the official calendar.", until=until
        )
        self.line("Registered under {code}, valid until {until}.", **answer)

    def move(
        self, now: datetime, state: str, act: Callable[[Session, Actor, Application], None]
    ) -> None:
        """One decision of the registrar, unless the application is already beyond `state`."""

        def step(session: Session, actor: Actor) -> dict[str, Any]:
            found = registering.application_by_number(session, self.number)
            if found.state == state:
                act(session, actor, found)
            return {}

        self.deed(now, "wang", step)

    def voucher(self) -> None:
        self.head("The voucher (数据资产凭证): recorded, sealed, anchored, effective")
        holder = self.folder / "operator-key.json"
        address = keys.create_keystore(holder, demo_passphrase(self.path)) if not holder.exists() else (
            keys.keystore_address(holder))  # fmt: skip
        key = self.run.home.keyring(demo_passphrase(self.path)).signer("credential")

        def issue(session: Session, actor: Actor) -> dict[str, Any]:
            found = registering.by_code(session, self.code)
            made = vouchers.issue(
                session, actor, self.run.now, registration=found,
                holder=session.get_one(Party, found.party_id), holder_address=address,
                origin=self.run.home.config.origin, key=key,
            )  # fmt: skip
            return {"id": made.id, "number": made.number}

        self.issued_at = self.coded_at + timedelta(hours=2)
        answer = self.deed(self.issued_at, "wang", issue)
        self.voucher_number = answer["number"]
        with self.run.home.reading() as session:
            record = log.record_of(session, answer["id"], 1)
            self.line("{number}: leaf {leaf} of the log, {rung}.", number=self.voucher_number,
                      leaf=record.leaf_index, rung=translate(log.rung(session, record)))  # fmt: skip
        self.settle(self.issued_at)
        with self.run.home.reading() as session:
            act = outbox.act_of(session, answer["id"], 1)
            assert act is not None
            checkpoint = log.confirmed_above(session, record.leaf_index)
            assert checkpoint is not None
            self.line("The worker signed the checkpoint of size {size} and the contract accepted it in "
                      "block {block}; the voucher took effect in block {own}.",
                      size=checkpoint.tree_size, block=checkpoint.anchor_block, own=act.block)  # fmt: skip
        self.line("Check: shuzheng voucher show {number} --home {home}", number=self.voucher_number,
                  home=str(self.path))  # fmt: skip

    def appraisal(self) -> None:
        self.head("Appraisal (价值评估): cost, income and market, every figure with its steps")
        document = read_document(DATA / "demo" / "appraisal.yaml")
        document["base_on"] = local_date(self.issued_at).isoformat()
        document["analyses"] = read_document(DATA / "demo" / "analyses.yaml")
        self.run.now = self.issued_at + timedelta(days=1)
        answer = self.run.do(
            appraisal_deeds.draft_appraisal, "sun", document, registration_code=self.code
        )

        def approve(session: Session, actor: Actor) -> dict[str, Any]:
            found = appraisals.by_number(session, answer["number"])
            if found.state == "drafted":
                appraisals.approve(session, actor, self.run.now, found)
            return {"analyses": found.analyses, "figures": found.figures}

        body = self.deed(self.issued_at + timedelta(days=2), "qian", approve)
        for figure in body["figures"].values():
            made = methods.verify(figure)
            description = methods.describe(made.method)
            self.line("{name}: {value} yuan in {steps} steps ({formula})",
                      name=description[language()], value=made.display(),
                      steps=len(made.steps), formula=description["formula"])  # fmt: skip
        spread = body["analyses"]["income"]["range"]
        lies = dict(spread["percentiles"])
        self.line("Nine in ten of {draws} draws of the income approach (seed {seed}) lie between {low} "
                  "and {high} yuan.", draws=spread["draws"], seed=spread["seed"],
                  low=yuan(lies[5]), high=yuan(lies[95]))  # fmt: skip
        self.line("{number}, drafted by sun, recomputed and approved by qian: {value_yuan} yuan. It is "
                  "disclosed, never booked.", **answer)  # fmt: skip

    def licence(self) -> None:
        self.head("A licence (许可) is sold, and paid")
        holder = self.folder / "licensee-key.json"
        address = keys.create_keystore(holder, demo_passphrase(self.path)) if not holder.exists() else (
            keys.keystore_address(holder))  # fmt: skip
        sold_at = self.issued_at + timedelta(days=4)
        document = read_document(DATA / "demo" / "licence.yaml")
        document |= {
            "from": local_date(sold_at).isoformat(), "licensee": PARTIES["bank"][2],
            "licensee_address": address,
            "until": (years_after(local_date(sold_at), 1) - timedelta(days=1)).isoformat(),
        }  # fmt: skip
        self.run.now = sold_at
        answer = grant_licence(self.run, "zhang", self.voucher_number, document)
        self.paid_on = local_date(sold_at) + timedelta(days=3)

        def pay(session: Session, actor: Actor) -> dict[str, Any]:
            made = trading.record_payment(
                session, actor, self.run.now,
                licence=trading.licence_by_order(session, answer["order"]), amount_fen=AMOUNT_PAID,
                received_on=self.paid_on.isoformat(), reference="DEMO-BANK-0001",
            )  # fmt: skip
            return {"net": yuan(made.net_fen), "vat": yuan(made.vat_fen)}

        paid = self.deed(sold_at + timedelta(days=3), "wu", pay)
        self.settle(sold_at + timedelta(days=3))
        self.line("Licence {n} under {voucher}, {price_yuan} yuan; the chain knows a fresh address and "
                  "the salted digest of the terms, not who bought what.", **answer)  # fmt: skip
        self.line("Paid on {day}: {net} yuan net, {vat} yuan VAT.", day=str(self.paid_on), **paid)

    def package(self) -> None:
        self.head("Hand-off (移交): the listing package for the exchange")
        if not self.handed_out():
            self.hand_out()
        package = (self.folder / "package.zip").read_bytes()
        self.line("{count} files in {path}, among them {documents} documents of the listing.",
                  count=len(bundles.read_zip(package)), path=str(self.folder / "package.zip"),
                  documents=len(handoff.DOCUMENTS))  # fmt: skip

    def handed_out(self) -> bool:
        """Whether an earlier run has handed out everything, with a status list that is still good."""
        if not all((self.folder / name).exists() for name in HANDED_OUT):
            return False
        listed = parse((self.folder / "status.json").read_bytes())
        return homes.clock() < parse_instant(listed["validUntil"])

    def hand_out(self) -> None:
        """Pack the package, and write what outsiders get."""
        pricing = read_document(DATA / "demo" / "pricing.yaml")
        self.run.now = homes.clock()
        self.worker.publish_status(homes.clock(), force=self.status_is_old())
        packed = pack_package(self.run, "zhou", self.voucher_number, pricing)
        deployment = self.run.home.config.deployment
        with self.run.home.reading() as session:
            found = vouchers.by_number(session, self.voucher_number)
            status = vouchers.current_status(session)
            assert status is not None
            bundle = handoff.voucher_bundle(session, found, deployment)
            documents = {
                "bundle.json": canonical(bundle),
                "voucher.pdf": papers.voucher_pdf(bundle),
                "package.zip": self.run.home.material(packed["digest"]),
                "status.json": canonical(status.list_credential),
                "voucher.json": canonical(found.credential),
            }
        for name, data in documents.items():
            keys.write_durably(self.folder / name, data)

    def status_is_old(self) -> bool:
        """Whether the list was published by the story's turned calendar."""
        with self.run.home.reading() as session:
            current = vouchers.current_status(session)
            return current is None or current.published_at < self.today

    def verification(self, url: str) -> None:
        self.head("Verification by an outsider: trust file, no database; online and offline")
        for name in ("package.zip", "voucher.pdf", "bundle.json", "voucher.json"):
            for rpc in (url, None):
                report = self.verify(self.folder / name, rpc)
                self.line("{name}, {way}: {verdict}, {steps} steps", name=name,
                          way=tr("online") if rpc else tr("offline"), steps=len(report.steps),
                          verdict=translate(VERDICTS[report.exit_code]))  # fmt: skip
                if report.exit_code != verifier.VALID:
                    print_report(report, translate)
                    raise AssertionError(f"{name} does not verify")
        for step in report.steps:
            self.line("  {name}: {text}", name=translate(step.name), text=step.sentence(translate))

    def tampering(self, url: str) -> None:
        self.head("What a liar would try: bytes changed in copies, and which step refuses each")
        folder = self.folder / "tampered"
        folder.mkdir(exist_ok=True)
        for name, (label, data, trust) in forgeries(self.folder, folder).items():
            path = folder / name
            path.write_bytes(data)
            report = self.verify(path, url, trust)
            refused = next((s for s in report.steps if s.outcome != verifier.VALID), None)
            self.line("{label} → {verdict}, at {step}: {why}", label=tr(label),
                      verdict=translate(VERDICTS[report.exit_code]),
                      step=translate(refused.name) if refused else "-",
                      why=refused.sentence(translate) if refused else "-")  # fmt: skip
            if report.exit_code == verifier.VALID:
                raise AssertionError(f"{name} was not refused")

    def authorised_use(self) -> None:
        self.head(
            "Authorised use (授权使用): the data subject consents, uses are counted, consent ends"
        )
        now = self.run.now = homes.clock()
        user = self.folder / "user-key.json"
        address = keys.keystore_address(user) if user.exists() else (
            keys.create_keystore(user, demo_passphrase(self.path)))  # fmt: skip
        today = local_date(self.today).isoformat()
        until = (local_date(self.today) + timedelta(days=90)).isoformat()
        body = {
            "registration": self.code, "subject": PARTIES["bank"][2],
            "provider": PARTIES["operator"][2], "user": PARTIES["appraiser"][2],
            "user_address": address, "scene": USE_SCENE, "purpose": USE_PURPOSE, "from_on": today,
            "until_on": until, "max_uses": 1,
        }  # fmt: skip
        number, state = self.authorisation()
        if number is None:
            number = self.run.do(authorisations.request, "zhang", body)["number"]
        key: Any = {"authorisation_number": number}
        self.line("{number}: zhang asks chen's bank that the appraiser may use what is held of it once, "
                  "for “{scene}”.", number=number, scene=USE_SCENE)  # fmt: skip
        if state in (None, "requested"):
            self.run.do(authorisations.consent, "chen", **key)
        if state in (None, "requested", "consented"):
            self.run.do(authorisations.issue, "wang", **key)
        self.settle(now)
        voucher = self.run.ask(authorisations.show, **key)["voucher"]
        self.line("chen consents in its own space, wang issues the voucher {voucher}; only then may it be "
                  "used.", voucher=voucher)  # fmt: skip
        if state != "withdrawn":
            use = {"scene": USE_SCENE, "count": 1, "reference": "DEMO-USE-0001"}
            self.run.do(authorisations.count, "zhang", use, voucher_number=voucher)
            try:
                self.run.do(authorisations.count, "zhang", {**use, "reference": "DEMO-USE-0002"},
                            voucher_number=voucher)  # fmt: skip
            except Conflict as refused:
                self.line("One use is counted; a second one is refused: {why}",
                          why=refused.localized(translate))  # fmt: skip
            else:
                raise AssertionError("a use beyond the limit was counted")
            self.settle(homes.clock())
            self.run.now = homes.clock()
            self.run.do(authorisations.withdraw, "chen", **key)
            self.settle(homes.clock())
        with self.run.home.reading() as session:
            made = vouchers.by_number(session, voucher)
            told = {
                "most": made.max_uses, "state": translate(made.state), "used": made.used,
                "voucher": voucher,
            }  # fmt: skip
        self.line("chen withdraws the consent: voucher {voucher} is {state}, {used} of {most} used, also "
                  "on the chain.", **told)  # fmt: skip

    def authorisation(self) -> tuple[str | None, str | None]:
        """Number and state of the authorised use that an earlier run has begun."""
        with self.run.home.reading() as session:
            found = session.scalar(select(Authorisation).order_by(Authorisation.id))
            return (None, None) if found is None else (found.number, found.state)

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


def read_list(path: Path) -> list[dict[str, Any]]:
    """A YAML list of mappings."""
    return list(read_text(path.read_text("utf-8")))


def failed_count(indicator: Mapping[str, Any]) -> int:
    """How many of B failed."""
    return int(indicator["a"] if indicator["inverse"] else indicator["b"] - indicator["a"])


def quality_score(profile: Mapping[str, Any]) -> str:
    """The GB/T 36344 score of a measured profile, all measured indicators weighing the same."""
    figure = methods.run(quality.document(profile["indicators"]))
    return f"{round(figure.value * 10000) / 10000:.4f}"


def forgeries(folder: Path, scratch: Path) -> dict[str, tuple[str, bytes, Path | None]]:
    """Copies of the demo's files with something changed: name → (what, bytes, trust file or None)."""
    package = (folder / "package.zip").read_bytes()
    bundle = parse((folder / "bundle.json").read_bytes())
    voucher = parse((folder / "voucher.json").read_bytes())

    def changed(document: Any, *path: Any, to: Any) -> bytes:
        copy = json.loads(json.dumps(document))
        place = copy
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return canonical(copy)

    hashes = list(bundle["inclusion"])
    hashes[0] = ("0" if hashes[0][0] != "0" else "1") + hashes[0][1:]
    files = bundles.read_zip(package)
    table = bytearray(package)
    table[10] ^= 1  # the time stamp of the first member: no file's content changes
    page = bytearray((folder / "voucher.pdf").read_bytes())
    page[len(page) // 2] ^= 1
    trust = parse((folder / "trust.json").read_bytes())
    other = json.loads(json.dumps(trust))
    other["chain"]["genesis"] = "0x" + "11" * 32
    (scratch / "other-chain-trust.json").write_bytes(canonical(other))
    stranger = json.loads(json.dumps(trust))
    stranger["credential_keys"][0]["did"] = (
        "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
    )
    (scratch / "other-issuer-trust.json").write_bytes(canonical(stranger))
    note = bundle["checkpoint"].split("\n")
    size = int(note[1])
    grown = "\n".join([note[0], str(size + 1), *note[2:]])
    revalued = json.loads(files["data/records/appraisal.json"])
    revalued["payload"]["body"]["value_fen"] *= 10
    return {
        "voucher-title.json": (
            "the voucher's title", changed(voucher, "credentialSubject", "title", to="别的产品"), None,
        ),
        "bundle-payload.json": (
            "the rights in the bundle's record",
            changed(bundle, "payload", "body", "rights", to=["holding", "use", "operating"]), None,
        ),
        "bundle-proof.json": (
            "a hash of the inclusion proof", changed(bundle, "inclusion", to=hashes), None,
        ),
        "bundle-checkpoint.json": (
            "the tree size in the checkpoint", changed(bundle, "checkpoint", to=grown), None,
        ),
        "bundle-discloses.json": (
            "the holder's name in the disclosure",
            changed(bundle, "disclosures", "holder_name", "value", to="别的公司"), None,
        ),
        "bundle-status.json": (
            "the status list's term",
            changed(bundle, "status", "validUntil", to="2099-01-01T00:00:00Z"), None,
        ),
        "bundle-spaces.json": (
            "one space more in the file", (folder / "bundle.json").read_bytes() + b" ", None,
        ),
        "package-value.zip": (
            "the appraised value in the package",
            bundles.write_zip({**files, "data/records/appraisal.json": canonical(revalued)}), None,
        ),
        "package-extra.zip": (
            "one more file in the package", bundles.write_zip({**files, "data/extra.txt": b"x"}), None,
        ),
        "package-table.zip": ("one bit between the files of the package", bytes(table), None),
        "voucher-page.pdf": ("one bit in the printed page", bytes(page), None),
        "bundle-elsewhere.json": (
            "the same bundle under the trust file of another chain", canonical(bundle),
            scratch / "other-chain-trust.json",
        ),
        "bundle-stranger.json": (
            "the same bundle under the trust file of another issuer", canonical(bundle),
            scratch / "other-issuer-trust.json",
        ),
    }  # fmt: skip
