"""The registration in the demo: evidence, catalogue, agreement, application, decision, voucher."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import agreements, catalogue, log, vouchers
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.calendar import local_date, start_of_day, years_after
from ledger.chain import outbox
from ledger.errors import LedgerError
from ledger.parties import Actor, Party
from ledger.proof.encoding import digest_text
from ledger.registration import Application, Registration
from valuation import methods, quality
from valuation.money import fen
from webapp.cli.catalogue import load_catalogue
from webapp.cli.field import submit_application
from webapp.cli.house import demo_passphrase
from webapp.cli.run import read_document
from webapp.demo_telling import DATA, Telling
from webapp.documents import read_text
from webapp.language import translate


class RegistrationSteps(Telling):
    """From the deposited evidence to the voucher that is in effect."""

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
        address = self.key_address("operator-key.json")
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


def read_list(path: Path) -> list[dict[str, Any]]:
    """A YAML list of mappings."""
    return list(read_text(path.read_text("utf-8")))


def quality_score(profile: Mapping[str, Any]) -> str:
    """The GB/T 36344 score of a measured profile, all measured indicators weighing the same."""
    figure = methods.run(quality.document(profile["indicators"]))
    return f"{round(figure.value * 10000) / 10000:.4f}"
