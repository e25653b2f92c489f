"""The finance department's month in the demo: shared out, approved, paid, reconciled, proved to a payee."""

import json
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    approvals,
    bank_accounts,
    payment_files,
    payouts,
    revenue,
    schemes,
    statements,
)
from ledger.calendar import local_date
from ledger.chain import keys
from ledger.parties import Actor
from ledger.payout_rows import Payout
from ledger.proof import verify as verifier
from ledger.proof.encoding import canonical
from ledger.proof.report import VERDICTS, print_report
from valuation.money import yuan
from webapp import home as homes
from webapp.cli.house import demo_passphrase
from webapp.cli.run import read_document
from webapp.deeds import Deed
from webapp.deeds.all import circulation, distribution, reconciliation
from webapp.deeds.all import payouts as payout_deeds
from webapp.demo_telling import DATA, PARTIES, Telling
from webapp.language import language, tr, translate
from webapp.tables import csv_bytes

AMOUNT_PAID = 38_000_000
PLATFORM_COST = 4_500_000
ACCOUNTS = {  # whose account number; invented
    "operator": "6200000000000003", "authority": "6200000000000002", "treasury": "6200000000000006",
    "registry": "6200000000000001",
}  # fmt: skip


class FinanceSteps(Telling):
    """From the period's money to a payee's proof."""

    def revenue(self) -> None:
        self.head(
            "Revenue (收益分配): shared by the agreed scheme, approved by a second person's key"
        )
        scheme = json.loads(
            json.dumps(read_document(DATA / "demo" / "scheme.yaml"))
            .replace("{operator}", PARTIES["operator"][2])
            .replace("{treasury}", PARTIES["treasury"][2])
            .replace("{authority}", PARTIES["authority"][2])
            .replace("{registry}", PARTIES["registry"][2])
        )

        def propose_scheme(session: Session, actor: Actor) -> dict[str, Any]:
            found = agreements.by_number(session, self.agreement_number)
            schemes.propose(
                session, actor, self.run.now, found, scheme, date.fromisoformat(found.from_on)
            )
            return {}

        def agree(session: Session, actor: Actor) -> dict[str, Any]:
            found = agreements.by_number(session, self.agreement_number)
            made = schemes.scheme_of(session, found)
            if made.state == "proposed":
                schemes.agree(session, actor, self.run.now, made, found)
            return {}

        def draft(session: Session, actor: Actor) -> dict[str, Any]:
            made = revenue.draft(
                session, actor, self.run.now, agreements.by_number(session, self.agreement_number),
                from_on=local_date(self.coded_at), until_on=self.paid_on,
                facts={"platform_cost_fen": PLATFORM_COST},
            )  # fmt: skip
            if made.state == "drafted":
                revenue.propose(session, actor, self.run.now, made, self.run.home.config.origin)
            return {
                "amount": yuan(made.amount_fen), "lines": made.lines, "number": made.number,
                "state": made.state,
            }  # fmt: skip

        self.deed(self.issued_at + timedelta(days=5), "zhang", propose_scheme)
        self.deed(self.issued_at + timedelta(days=5), "li", agree)
        answer = self.deed(self.today, "wu", draft)
        self.statement_number = answer["number"]
        self.line("{number}: {amount} yuan are shared, to the fen:", **answer)
        for entry in answer["lines"]:
            self.line("  {amount:>14}  {label}  {party}", amount=yuan(entry["amount_fen"]),
                      label=entry[language()], party=self.name_of(entry["party"]))  # fmt: skip
        self.settle(self.today)
        if answer["state"] in ("drafted", "proposed"):
            self.run.now = homes.clock()
            request = self.run.ask(
                distribution.approval_request, "zheng", statement_number=self.statement_number
            )
            keys.write_durably(self.folder / "approval-request.json", canonical(request))
            key = keys.open_keystore(
                self.path / "offline" / "checker.json", demo_passphrase(self.path)
            )
            approval = approvals.sign(request, key)
            self.run.do(
                distribution.approve_statement, "zheng", {"approval": approval},
                statement_number=self.statement_number,
            )  # fmt: skip
        self.settle(homes.clock())
        with self.run.home.reading() as session:
            made = statements.by_number(session, self.statement_number)
            self.line("wu made it, zheng signed it with his own key {address}; the contract counted "
                      "the signature, and it is {state} in the books.",
                      address=approvals.signatures(made)[-1]["address"],
                      state=translate(made.state))  # fmt: skip

    def payment(self) -> None:
        """Bank accounts, the payout with its file, the bank's result, and the bank's statement."""
        self.head(
            "Payment (付款): prepared by one, approved by another, booked by the bank's result"
        )
        self.run.now = homes.clock()
        for key, account in ACCOUNTS.items():
            self.bank_account(key, account)
        payout = self.payout()
        with self.run.home.reading() as session:
            given = payment_files.as_csv(payouts.payments(session, payout))
            lines = payouts.payments(session, payout)
        keys.write_durably(self.folder / "payment.csv", given)
        self.line("{number}: {amount} yuan in {count} payments were set aside by wu and approved by zheng; "
                  "the bank is given {path}.", number=payout.number, amount=yuan(payout.amount_fen),
                  count=payout.line_count, path=str(self.folder / "payment.csv"))  # fmt: skip
        today = local_date(self.run.now).isoformat()
        if payout.state != "paid":
            answered = csv_bytes([
                ("流水号", "金额", "结果", "交易日期", "银行流水号"),
                *((one.serial, yuan(one.amount_fen), "成功", today, f"DEMO-OUT-{one.n:04d}")
                  for one in lines),
            ])  # fmt: skip
            self.handed_in(
                "bank-result.csv", answered, payout_deeds.confirm, payout_number=payout.number
            )
        self.line("The bank paid all of them: each hold became an entry, Dr payable, Cr bank.")
        self.reconciled()

    def bank_account(self, key: str, number: str) -> None:
        """Enter where a party is paid, and let another person confirm it, unless that was done."""
        kind, name, uscc = PARTIES[key]
        public = {"unit_code": "DEM001", "item_code": "1030701"} if kind == "public_body" else {}
        with self.run.home.reading() as session:
            known = bank_accounts.of(session, self.party(session, key).id)
        if known is not None:
            return
        body = {
            "kind": "account", "holder_name": name, "bank": "城市商业银行", "branch": "营业部",
            "account_number": number, "ground": "收款单位来函", **public,
        }  # fmt: skip
        made = self.run.do(payout_deeds.enter, "wu", body, uscc=uscc)
        if made["state"] == "entered":
            self.run.do(payout_deeds.confirm_account, "zheng", bank_account=made["number"])

    def payout(self) -> Payout:
        """The payout of the statement, approved."""

        def found() -> Payout | None:
            with self.run.home.reading() as session:
                of = statements.by_number(session, self.statement_number)
                return session.scalars(select(Payout).where(Payout.statement_id == of.id)).first()

        made = found()
        if made is None:
            body = {"statement": self.statement_number}
            self.run.do(payout_deeds.prepare, "wu", body, agreement_number=self.agreement_number)
            made = found()
        assert made is not None
        if made.state == "prepared":
            self.run.do(payout_deeds.approve, "zheng", payout_number=made.number)
            made = found()
        assert made is not None
        return made

    def handed_in(self, name: str, data: bytes, deed: Deed, **more: Any) -> dict[str, Any]:
        """Hand a file of the bank's in, as finance does at the site; it stays in the demo's folder."""
        keys.write_durably(self.folder / name, data)
        keyed = {key: more.pop(key) for key in deed.keys}
        body = {
            "name": name, "digest": self.run.home.store_material(data), "size_bytes": len(data), **more
        }  # fmt: skip
        return self.run.do(deed, "wu", body, **keyed)

    def reconciled(self) -> None:
        """The bank's account statement of the day of the receipt beside the books."""
        day = self.paid_on.isoformat()
        data = csv_bytes([
            ("交易日期", "银行流水号", "收入", "支出", "对方户名", "余额"),
            (day, "DEMO-BANK-0001", yuan(AMOUNT_PAID), "", PARTIES["bank"][1], yuan(AMOUNT_PAID)),
        ])  # fmt: skip
        answer = self.handed_in(
            "bank-statement.csv", data, reconciliation.import_bank, from_on=day, until_on=day,
            agreement_number=self.agreement_number,
        )  # fmt: skip
        self.line("The bank's account statement is reconciled ({number}): {matched} of {rows} movements "
                  "match, {count} differences.", **answer)  # fmt: skip
        self.line("Today's payments are reconciled once the day is over.")
        self.settle(homes.clock())

    def line_proof(self, url: str) -> None:
        """One yuan's end: the operator takes away the proof of its own lines, and an outsider checks it."""
        self.head("A payee's proof: its own lines of the statement, checked against the contract")
        self.run.now = homes.clock()
        file = self.run.ask(
            circulation.line_proof, "zhang", statement_number=self.statement_number,
            uscc=PARTIES["operator"][2],
        )  # fmt: skip
        path = self.folder / "line.json"
        keys.write_durably(path, file.content)
        report = self.verify(path, url)
        self.line("{name}, {way}: {verdict}, {steps} steps", name=path.name, way=tr("online"),
                  steps=len(report.steps), verdict=translate(VERDICTS[report.exit_code]))  # fmt: skip
        if report.exit_code != verifier.VALID:
            print_report(report, translate)
            raise AssertionError("line.json does not verify")
        self.line("Behind it: shuzheng finance line {number} 3 --home {home}", home=str(self.path),
                  number=self.statement_number)  # fmt: skip
