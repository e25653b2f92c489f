"""Limits of accounts 账户限额: how much of what a book owes must stay, set and lifted by two persons."""

from typing import Any

from sqlalchemy.orm import Session

from ledger import limits
from ledger.agreements import Agreement
from ledger.limits import LIMITED, AccountLimit
from ledger.parties import Actor
from valuation import money
from webapp.deeds import Desk, deed
from webapp.deeds.answers import lists, shows
from webapp.deeds.books import ACCOUNT_NAMES, OF
from webapp.deeds.field import DIGEST, ReasonBody
from webapp.deeds.forms import Body, text, yuan

LIMIT = "/limits/<limit_number>"


REASON = text("Ground", area=True, most=500)
BASIS = text("Basis", most=200, hint="the court's notice, the minutes of the dispute")
DOCUMENT = text("Digest of the document", most=71, required=False, blank=True,
                pattern=rf"\A\Z|{DIGEST}", example="digest sha256:…",
                hint="as sha256:…, if the document is kept")  # fmt: skip


class LimitBody(Body):
    """How much of which account must stay, why, and the document it rests on."""

    account = text("Account", choices={name: ACCOUNT_NAMES[name] for name in LIMITED})
    party = text("Organisation", most=18, required=False, blank=True,
                 source="payees",
                 hint="by its social credit code; empty for the bank account")  # fmt: skip
    floor_yuan = yuan("Must stay (yuan)", hint="of what stands there and is not held")
    reason, basis, document_digest = REASON, BASIS, DOCUMENT


class LimitLiftBody(Body):
    """Why nothing must stay any more, and the document it rests on."""

    reason, basis, document_digest = REASON, BASIS, DOCUMENT


def _stands(made: AccountLimit) -> dict[str, Any]:
    return {
        "account": f"{made.account} {made.party}".strip(), "number": made.number, "state": made.state,
        "floor_yuan": None if made.floor_fen is None else money.yuan(made.floor_fen),
    }  # fmt: skip


@deed("limit.propose", f"{OF}/limits", "Propose a limit of an account",
      "Limit {number}: {floor_yuan} yuan must stay on {account}; another person decides next.",
      body=LimitBody)  # fmt: skip
def propose(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, floor_yuan: int, **given: str
) -> dict[str, Any]:
    return _stands(limits.propose(session, actor, desk.now, found, floor_fen=floor_yuan, **given))


@deed("limit.propose", f"{LIMIT}/lift", "Propose to lift it",
      "Limit {number}: nothing must stay on {account} any more; another person decides next.",
      name="limit.propose_lift", body=LimitLiftBody)  # fmt: skip
def propose_lift(
    desk: Desk, session: Session, actor: Actor, found: AccountLimit, **given: str
) -> dict[str, Any]:
    return _stands(limits.propose_lift(session, actor, desk.now, found, **given))


@deed("limit.approve", f"{LIMIT}/approve", "Approve",
      "Limit {number} of {account} is {state}.", changes=True)  # fmt: skip
def approve(desk: Desk, session: Session, actor: Actor, found: AccountLimit) -> dict[str, Any]:
    limits.approve(session, actor, desk.now, found)
    return _stands(found)


@deed("limit.reject", f"{LIMIT}/reject", "Reject", "Limit {number} of {account} is {state}.",
      body=ReasonBody, changes=True)  # fmt: skip
def reject(
    desk: Desk, session: Session, actor: Actor, found: AccountLimit, reason: str
) -> dict[str, Any]:
    limits.reject(session, actor, desk.now, found, reason)
    return _stands(found)


@deed("limit.withdraw", f"{LIMIT}/withdraw", "Withdraw", "Limit {number} of {account} is {state}.",
      body=ReasonBody, changes=True)  # fmt: skip
def withdraw(
    desk: Desk, session: Session, actor: Actor, found: AccountLimit, reason: str
) -> dict[str, Any]:
    limits.withdraw(session, actor, desk.now, found, reason)
    return _stands(found)


show = shows("limit", LIMIT, "Limit of an account")
list_limits = lists("limit", "/limits", "Limits of accounts",
                    "number agreement_id account party floor_fen state",
                    (AccountLimit.number, AccountLimit.party))  # fmt: skip
