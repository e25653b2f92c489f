"""Bank accounts (收款账户) of parties: entered by one person, confirmed by another of finance.

Whoever changes where money goes could take it: so the one who confirms is another person than he who
entered, he sees the account that held before beside the new one, and nothing is paid to an account that is
not confirmed. The next confirmed account supersedes the one before; a row once entered never changes but in
its state, so that a payment names for ever where it went.

    entered → confirmed → superseded          by the confirmation of the next one
            → rejected | withdrawn

A natural person's account is personal data, and records are kept for ever: it is not taken in here.
"""

import re
import unicodedata
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.agreements import require_ground
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, merged_into, require_active, require_other
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number

KINDS = ("account", "card")  # 单位结算账户, 单位结算卡: only a card's number has a check digit
LENGTHS = {"account": (8, 32), "card": (16, 19)}
CODE = re.compile(r"[0-9A-Za-z-]{1,30}")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the payment file would have to change it
SHOWN_DIGITS = 4
_HOLDS = text("state = 'confirmed'")
FINANCE = frozenset({"finance_maker", "finance_checker"})


class BankAccount(Evidence):
    """Where a party is paid, and for a public body under which codes of non-tax revenue."""

    __tablename__ = "bank_accounts"
    __table_args__ = (
        Index("bank_accounts_paid_to", "party_id", unique=True, sqlite_where=_HOLDS,
              postgresql_where=_HOLDS),
    )  # fmt: skip
    subject_type = "bank_account"
    number: Mapped[str] = mapped_column(unique=True)
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    kind: Mapped[str]
    holder_name: Mapped[str]
    bank: Mapped[str]
    branch: Mapped[str]
    account_number: Mapped[str]
    unit_code: Mapped[str | None]
    """执收单位编码, of a public body only"""
    item_code: Mapped[str | None]
    """非税收入项目编码, of a public body only"""
    ground: Mapped[str]
    """on what it rests: the party's letter, the treasury's notice"""
    entered_by: Mapped[str]
    decided_by: Mapped[str | None]
    supersedes: Mapped[str | None] = mapped_column(String(36))
    """the account that held when this one was confirmed"""
    state: Mapped[str]

    @property
    def masked(self) -> str:
        """The account number but for its last digits."""
        return mask(self.account_number)


def enter(
    session: Session,
    actor: Actor,
    now: datetime,
    party: Party,
    *,
    kind: str,
    holder_name: str,
    bank: str,
    branch: str,
    account_number: str,
    ground: str,
    unit_code: str = "",
    item_code: str = "",
) -> BankAccount:
    """Enter where a party is to be paid; the same facts again are the same entry.

    Raises Invalid naming every fault at once, never with the account number in it, and Conflict while
    another entry waits to be confirmed.
    """
    may(actor, "bank_account.enter", party.id, f"party {party.uscc}")
    if party.kind == "individual":
        raise Invalid(
            "{uscc} is a natural person: a bank account is personal data and records are kept for ever, so "
            "it is not taken in here; pay through a contract with the organisation that acts for him.",
            uscc=party.uscc,
        )  # fmt: skip
    require_active(party)
    lock(session, party)  # of two entries at once, the later one sees the other
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", account_number))
    facts: dict[str, str | None] = {
        "account_number": digits, "bank": bank.strip(), "branch": branch.strip(),
        "ground": ground.strip(), "holder_name": holder_name.strip(),
        "item_code": item_code.strip() or None, "kind": kind, "party_id": party.id,
        "unit_code": unit_code.strip() or None,
    }  # fmt: skip
    faults = _faults(party, facts)
    if faults:
        raise Invalid("The bank account breaks: {faults}.", faults=faults)
    waiting = session.scalar(
        select(BankAccount).where(BankAccount.party_id == party.id, BankAccount.state == "entered")
    )
    for known in (waiting, of(session, party.id)):
        if known is not None and all(
            getattr(known, name) == given for name, given in facts.items()
        ):
            return known
    if waiting is not None:
        raise Conflict(
            "Bank account {number} of {name} still waits to be confirmed: it is confirmed, rejected or "
            "withdrawn first.",
            number=waiting.number, name=party.name,
        )  # fmt: skip
    year = local_date(now).year
    made = BankAccount(
        **facts, id=new_id(), number=f"ZH{year}-{next_number(session, f'ZH{year}'):06d}",
        entered_by=actor.member_id, decided_by=None, supersedes=None,
        state=move("bank_account", "enter", None),
    )  # fmt: skip
    log.append(session, made, "bank_account.entered", actor.member_id)
    session.flush()
    return made


def confirm(session: Session, actor: Actor, now: datetime, account: BankAccount) -> None:
    """Another person of finance confirms it; from now on it is paid to, and the one before no more."""
    may(actor, "bank_account.confirm")
    require_other(actor, [account.entered_by], f"bank account {account.number}")
    party = session.get_one(Party, account.party_id)
    require_active(party)
    lock(session, party)
    state = move("bank_account", "confirm", account.state)
    before = of(session, account.party_id)
    if before is not None:
        before.state = move("bank_account", "supersede", before.state)
        log.append(
            session, before, "bank_account.superseded", actor.member_id, reason=account.number
        )
        session.flush()  # first the one ends, then the other holds
    account.state, account.decided_by = state, actor.member_id
    account.supersedes = None if before is None else before.id
    log.append(session, account, "bank_account.confirmed", actor.member_id)


def reject(
    session: Session, actor: Actor, now: datetime, account: BankAccount, reason: str
) -> None:
    """Another person of finance does not confirm it, and says why."""
    may(actor, "bank_account.reject")
    require_other(actor, [account.entered_by], f"bank account {account.number}")
    require_ground(reason)
    account.state = move("bank_account", "reject", account.state)
    account.decided_by = actor.member_id
    log.append(session, account, "bank_account.rejected", actor.member_id, reason=reason.strip())


def withdraw(
    session: Session, actor: Actor, now: datetime, account: BankAccount, reason: str
) -> None:
    """The party, or finance, takes back what was entered and is not yet confirmed."""
    may(actor, "bank_account.withdraw", account.party_id, f"bank account {account.number}")
    require_ground(reason)
    account.state = move("bank_account", "withdraw", account.state)
    log.append(session, account, "bank_account.withdrawn", actor.member_id, reason=reason.strip())


def of(session: Session, party_id: str) -> BankAccount | None:
    """The account a party is paid to today; None where none is confirmed."""
    return session.scalar(
        select(BankAccount).where(
            BankAccount.party_id == party_id, BankAccount.state == "confirmed"
        )
    )


def before(session: Session, account: BankAccount) -> BankAccount | None:
    """What holds, or held, before an account: what it superseded, or would supersede."""
    if account.supersedes is not None:
        return session.get_one(BankAccount, account.supersedes)
    return of(session, account.party_id) if account.state == "entered" else None


def paid_to(session: Session, uscc: str) -> tuple[Party | None, BankAccount | None]:
    """Who is paid for a social credit code, and where: the party, or what it was merged into.

    What was split has no account: who is owed then, a division says (`journals.propose_division`).

    A buyer at an exchange need not be known here: nobody.
    """
    party = session.scalar(select(Party).where(Party.uscc == uscc))
    if party is None:
        return None, None
    party = merged_into(session, party)
    return party, of(session, party.id) if party.state == "active" else None


def holder_differs(session: Session, account: BankAccount) -> bool:
    """Whether the holder bears another name than the party: whoever confirms it must ask why."""
    party = session.get_one(Party, account.party_id)
    names = (unicodedata.normalize("NFKC", one) for one in (account.holder_name, party.name))
    return len({"".join(name.split()).casefold() for name in names}) > 1


def sees_number(actor: Actor, account: BankAccount) -> bool:
    """Whether he is shown the whole number: finance, and the party itself."""
    return bool(actor.roles & FINANCE) or account.party_id in actor.parties


def mask(digits: str) -> str:
    """An account number but for its last four digits.

    >>> mask("6222021234567890")
    '************7890'
    """
    return "*" * (len(digits) - SHOWN_DIGITS) + digits[-SHOWN_DIGITS:]


def luhn_fits(digits: str) -> bool:
    """Whether the check digit of a card's number fits (ISO/IEC 7812-1).

    >>> luhn_fits("79927398713"), luhn_fits("79927398710")
    (True, False)
    """
    doubled = [int(digit) * (2 if n % 2 else 1) for n, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def by_number(session: Session, number: str) -> BankAccount:
    """The bank account with a number of ours, not the bank's; raises Missing."""
    found = session.scalar(select(BankAccount).where(BankAccount.number == number))
    if found is None:
        raise Missing("There is no bank account {number}.", number=number)
    return found


def _faults(party: Party, facts: dict[str, str | None]) -> Faults:
    faults = Faults()
    for name in ("holder_name", "bank", "branch", "ground"):
        if not facts[name]:
            faults.name_fault("the field {name} is empty", at=name, name=name)
    for name in ("holder_name", "bank", "branch"):
        if str(facts[name]).startswith(FORMULA):
            faults.name_fault(
                "{name} begins with {sign}, which a spreadsheet program would reckon with", at=name,
                name=name, sign=str(facts[name])[0],
            )  # fmt: skip
    kind, digits = str(facts["kind"]), str(facts["account_number"])
    if kind not in KINDS:
        choices = ", ".join(KINDS)
        faults.name_fault("kind must be one of {choices}", at="kind", choices=choices)
    else:
        least, most = LENGTHS[kind]
        if not (digits.isascii() and digits.isdecimal() and least <= len(digits) <= most):
            faults.name_fault(
                "the account number must be {least} to {most} digits; {count} characters were given",
                at="account_number", least=least, most=most, count=len(digits),
            )  # fmt: skip
        elif kind == "card" and not luhn_fits(digits):
            faults.name_fault(
                "the check digit of the card's number does not fit: it is mistyped",
                at="account_number",
            )
    public = party.kind == "public_body"
    for name in ("unit_code", "item_code"):
        code = facts[name]
        if public and code is None:
            faults.name_fault(
                "a public body is paid as non-tax revenue (非税收入): {name} is missing", at=name, name=name
            )  # fmt: skip
        elif not public and code is not None:
            faults.name_fault(
                "only a public body is paid under codes of non-tax revenue: leave {name} empty",
                at=name, name=name,
            )  # fmt: skip
        elif code is not None and not CODE.fullmatch(code):
            faults.name_fault(
                "the field {name} must be a {form}", at=name, name=name,
                form="text of letters, digits, -",
            )  # fmt: skip
    return faults
