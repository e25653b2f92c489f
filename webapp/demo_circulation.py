"""What is done with the voucher in the demo: appraised, licensed for money, its data used by consent."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import appraisals, trading, vouchers
from ledger.authorisations import Authorisation
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict
from ledger.parties import Actor
from valuation import methods
from valuation.money import yuan
from webapp import home as homes
from webapp.cli.money import grant_licence
from webapp.cli.run import read_document
from webapp.deeds.all import appraisals as appraisal_deeds
from webapp.deeds.all import authorisations
from webapp.demo_finance import AMOUNT_PAID
from webapp.demo_telling import DATA, PARTIES, Telling
from webapp.language import language, translate

USE_SCENE = "数据资产评估"
USE_PURPOSE = "核对评估所依据的数据"


class CirculationSteps(Telling):
    """The appraisal, the licence that is sold, the use that is authorised."""

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
        address = self.key_address("licensee-key.json")
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

    def authorised_use(self) -> None:
        self.head(
            "Authorised use (授权使用): the data subject consents, uses are counted, consent ends"
        )
        now = self.run.now = homes.clock()
        address = self.key_address("user-key.json")
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
