"""Revenue distribution (收益分配): agreed scheme → period statement → approval by a second person → books.

The maker drafts and proposes; the checker, another person, signs the statement with his own key on
his own machine (EIP-712); the contract `RevenueBook` counts the approval only from that key. The
chain holds the statement's digest and the root over its salted lines, no amounts.

    line leaf = SHA-256(0x00 ‖ salt16 ‖ canonical line), so each payee can be given a proof of his line
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Select, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, periods
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Faults, Invalid, Missing, NotAllowed, ProofFailed
from ledger.parties import Actor, Member, may, party_by_uscc, party_of, require_other
from ledger.proof.bundle import row_hash
from ledger.proof.encoding import canonical, digest_bytes, digest_text
from ledger.proof.merkle import inclusion_proof, root
from ledger.registration import Registration
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import flows, schemes, sharing

APPROVALS_REQUIRED = 1


class Scheme(Evidence):
    """A version of an agreement's revenue scheme (收益分配方案)."""

    __tablename__ = "schemes"
    __table_args__ = (UniqueConstraint("agreement_id", "edition"),)
    subject_type = "scheme"
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    edition: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[dict[str, Any]]
    effective_from: Mapped[str]
    proposed_by: Mapped[str]
    agreed_by: Mapped[str | None]
    state: Mapped[str]


class Statement(Evidence):
    """The distribution of one period's revenue (收益分配单)."""

    __tablename__ = "statements"
    subject_type = "statement"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    scheme_id: Mapped[str] = mapped_column(String(36), ForeignKey("schemes.id"))
    from_on: Mapped[str]
    until_on: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    payment_ids: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]
    lines: Mapped[list[Any]]
    derivation: Mapped[dict[str, Any]]
    line_salts: Mapped[list[Any]]
    deficits_before: Mapped[dict[str, Any]]
    deficits_after: Mapped[dict[str, Any]]
    salt: Mapped[str]
    digest: Mapped[str]
    line_root: Mapped[str]
    maker_id: Mapped[str]
    checker_id: Mapped[str | None]
    approval: Mapped[dict[str, Any]]
    chain_version: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]


def propose_scheme(
    session: Session, actor: Actor, now: datetime, agreement: Agreement, document: Mapping[str, Any],
    effective_from: date,
) -> Scheme:  # fmt: skip
    """Put a scheme forward; one that loses or invents a fen is refused with all its faults."""
    may(actor, "scheme.propose", agreement.operator_id, f"Agreement {agreement.number}")
    for payee in schemes.parties(schemes.check(dict(document))):
        party_by_uscc(session, payee)  # nobody's share is booked to nobody
    last = session.scalars(
        select(Scheme).where(Scheme.agreement_id == agreement.id).order_by(Scheme.edition.desc())
    ).first()
    if last is not None and last.document == dict(document):
        if last.effective_from != effective_from.isoformat():
            raise Conflict(
                "Edition {edition} is this scheme from {day} on.",
                edition=last.edition, day=last.effective_from,
            )  # fmt: skip
        return last
    scheme = Scheme(
        id=new_id(), agreement_id=agreement.id, edition=last.edition + 1 if last else 1,
        document=dict(document), effective_from=effective_from.isoformat(),
        proposed_by=actor.member_id, agreed_by=None, state=move("scheme", "propose", None),
    )  # fmt: skip
    log.append(session, scheme, "scheme.proposed", actor.member_id)
    session.flush()
    return scheme


def try_scheme(
    session: Session, actor: Actor, agreement: Agreement, document: Mapping[str, Any], *,
    amount_fen: int | None = None, facts: Mapping[str, Any],
) -> flows.Trial:  # fmt: skip
    """A scheme tried on the last statement's amount and facts, beside the scheme it was drafted by.

    An amount or a fact that is given goes before the last statement's, for both schemes; facts that
    neither states are asked for. Nothing is kept, and the parties need not be known here yet.
    """
    may(actor, "scheme.read", agreements.owners(agreement), f"Agreement {agreement.number}")
    known = schemes.check(dict(document))
    last = previous(session, agreement)
    if amount_fen is None and last is None:
        raise Missing(
            "Agreement {number} has no statement yet: say which amount to try.",
            number=agreement.number,
        )
    before = last.facts if last else {}
    stated = flows.facts_for(known, before, facts)
    carried = last.deficits_before if last else {}
    amount = last.amount_fen if last and amount_fen is None else amount_fen
    assert amount is not None
    in_force = None
    if last is not None:
        scheme = session.get_one(Scheme, last.scheme_id)
        of_last = {**before, **{name: value for name, value in facts.items() if name in before}}
        in_force = sharing.share(scheme.document, amount, of_last, carried)
    return flows.try_out(known, amount, stated, carried, in_force)


def agree_scheme(
    session: Session, actor: Actor, now: datetime, scheme: Scheme, agreement: Agreement
) -> None:
    """The other side of the agreement agrees to the scheme: it binds from its day."""
    may(actor, "scheme.agree")
    if scheme.agreement_id != agreement.id:
        raise Invalid(
            "The scheme belongs to another agreement than {number}.", number=agreement.number
        )
    may(actor, "scheme.agree", agreement.implementer_id, f"Agreement {agreement.number}")
    require_other(actor, [scheme.proposed_by], "the scheme")
    scheme.state = move("scheme", "agree", scheme.state)
    scheme.agreed_by = actor.member_id
    log.append(session, scheme, "scheme.agreed", actor.member_id)


def draft(
    session: Session,
    actor: Actor,
    now: datetime,
    agreement: Agreement,
    *,
    from_on: date,
    until_on: date,
    facts: Mapping[str, Any],
) -> Statement:
    """Draft the statement of a period: all undistributed payments in it, by the scheme then in force.

    The same period drafted again by the same maker is the same statement; an overlapping one, or one
    over a period not yet ended, is refused.
    """
    may(actor, "statement.draft")
    lock(session, agreement)
    existing = session.scalars(
        select(Statement)
        .where(Statement.agreement_id == agreement.id, Statement.state != "rejected")
        .order_by(Statement.id)
    ).all()
    for statement in existing:
        if (statement.from_on, statement.until_on) == (from_on.isoformat(), until_on.isoformat()):
            if statement.facts != dict(facts):
                raise Conflict(
                    "Statement {number} covers this period with other facts: propose it and have it "
                    "rejected, then draft anew.",
                    number=statement.number,
                )
            return statement
        if statement.from_on <= until_on.isoformat() and from_on.isoformat() <= statement.until_on:
            raise Conflict(
                "Statement {number} already covers {start} to {end}.",
                number=statement.number, start=statement.from_on, end=statement.until_on,
            )  # fmt: skip
        if statement.state != "posted":
            raise Conflict(
                "Statement {number} is {state}; finish it first.",
                number=statement.number, state=statement.state,
            )  # fmt: skip
    if not from_on <= until_on < local_date(now):
        faults = Faults()
        faults.name_fault(
            "the period {start} to {end} has not ended", at="until_on",
            start=str(from_on), end=str(until_on),
        )  # fmt: skip
        raise Invalid("The statement cannot be drafted: {faults}.", faults=faults)
    scheme = scheme_on(session, agreement, from_on)
    payments = list(session.scalars(undistributed(agreement, until_on).with_for_update(of=Payment)))
    if not payments:
        raise Missing(
            "No undistributed payment was received from {start} to {end}.",
            start=str(from_on), end=str(until_on),
        )  # fmt: skip
    before = dict(existing[-1].deficits_after) if existing else {}
    amount = sum(payment.net_fen for payment in payments)
    outcome = sharing.share(scheme.document, amount, facts, before)
    lines = _lines(outcome)
    if sum(line["amount_fen"] for line in lines) != amount:
        raise AssertionError("the lines do not sum to the amount")
    salts = [secrets.token_hex(16) for _ in lines]
    year = local_date(now).year
    statement = Statement(
        id=new_id(), number=f"FP{year}-{next_number(session, f'FP{year}'):04d}",
        agreement_id=agreement.id, scheme_id=scheme.id, from_on=from_on.isoformat(),
        until_on=until_on.isoformat(), amount_fen=amount, payment_ids=[p.id for p in payments],
        facts=dict(facts), lines=lines, derivation=outcome.derivation.to_dict(),
        line_salts=salts, deficits_before=before,
        deficits_after=_deficits(outcome),
        salt=secrets.token_hex(16), digest="", line_root=line_root(lines, salts).hex(),
        maker_id=actor.member_id, checker_id=None, approval={}, chain_version=0,
        state=move("statement", "draft", None),
    )  # fmt: skip
    statement.digest = digest_text(canonical(content(statement)))
    log.append(session, statement, "statement.drafted", actor.member_id)
    session.flush()
    for payment in payments:
        payment.statement_id = statement.id
        log.append(session, payment, "payment.assigned", actor.member_id)
    return statement


def propose(
    session: Session, actor: Actor, now: datetime, statement: Statement, origin: str
) -> None:
    """The maker puts his statement before the checker; its digest goes to the chain."""
    _require_maker(session, actor, statement, "propose")
    statement.state = move("statement", "propose", statement.state)
    statement.chain_version = 1
    log.append(session, statement, "statement.proposed", actor.member_id)
    key = log.digest_key(origin, statement.id)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="propose",
        arguments=[
            "0x" + key.hex(), "0x" + digest_bytes(statement.digest).hex(),
            "0x" + statement.line_root, APPROVALS_REQUIRED, "0x" + "00" * 32, 0, outbox.REASON,
        ],
        key=key, expected_version=0, subject_id=statement.id, subject_version=statement.version,
    )  # fmt: skip


def approval_request(
    statement: Statement, origin: str, deployment: outbox.Deployment, nonce: int, deadline: int
) -> dict[str, Any]:
    """What the checker's machine needs to see and sign: the statement and the typed data (EIP-712)."""
    return {
        "statement": content(statement),
        "type": "shuzheng/approval-request",
        "typed_data": _typed_data(statement, origin, deployment, nonce, deadline),
        "v": 1,
    }


def sign_request(request: Any, private_key: bytes) -> dict[str, Any]:
    """The checker's signature over a request whose digest and line root fit its statement.

    Of the typed data only the contract's place, the statement's id, the nonce and the deadline are the
    request's to say: the checker's key signs approvals, and nothing else under any name.
    """
    try:
        typed, statement = request["typed_data"], request["statement"]
        message, domain = typed["message"], typed["domain"]
        due = _approval(
            domain["chainId"], domain["verifyingContract"],
            {name: message[name] for name in ("deadline", "digest", "id", "lineRoot", "nonce")},
        )  # fmt: skip
        fits = (
            canonical(typed) == canonical(due)
            and message["digest"] == "0x" + digest_bytes(digest_text(canonical(statement))).hex()
            and message["lineRoot"]
            == "0x" + line_root(statement["lines"], statement["line_salts"]).hex()
            and statement["amount_fen"] == sum(line["amount_fen"] for line in statement["lines"])
        )
    except (KeyError, TypeError, ValueError):
        raise Invalid("This is no approval request.") from None
    if not fits:
        raise Invalid("The statement shown is not the one to be signed: do not sign it.")
    return {
        "address": keys.address_of(private_key),
        "deadline": message["deadline"],
        "nonce": message["nonce"],
        "signature": keys.sign_typed(typed, private_key),
        "statement": statement["number"],
        "type": "shuzheng/approval",
        "v": 1,
    }


def approve(
    session: Session,
    actor: Actor,
    now: datetime,
    statement: Statement,
    approval: Mapping[str, Any],
    origin: str,
    deployment: outbox.Deployment,
) -> None:
    """A second person approves with the signature of his own key; anything else is refused."""
    _decide(session, actor, statement, "approve")
    member = session.get_one(Member, actor.member_id)
    if member.signing_address is None:
        raise NotAllowed("You have no signing address: the administrator must enter it first.")
    try:
        typed = _typed_data(
            statement, origin, deployment, int(approval["nonce"]), int(approval["deadline"])
        )
        signer = keys.recover_typed(typed, approval["signature"])
    except (KeyError, TypeError, ValueError, Invalid):
        raise Invalid(
            "This is no approval of statement {number}.", number=statement.number
        ) from None
    if signer != member.signing_address:
        raise NotAllowed(
            "The signature on statement {number} is not by your key {address}.",
            number=statement.number, address=member.signing_address,
        )  # fmt: skip
    if int(approval["deadline"]) < now.timestamp():
        raise Invalid("The signature's deadline has passed; request and sign anew.")
    statement.state = move("statement", "approve", statement.state)
    statement.checker_id = actor.member_id
    statement.approval = {
        "address": signer,
        "deadline": int(approval["deadline"]),
        "nonce": int(approval["nonce"]),
        "signature": approval["signature"],
    }
    statement.chain_version = 2
    log.append(session, statement, "statement.approved", actor.member_id)
    key = log.digest_key(origin, statement.id)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="approve",
        arguments=[
            "0x" + key.hex(), 1, "0x" + digest_bytes(statement.digest).hex(),
            "0x" + statement.line_root, signer, int(approval["deadline"]),
            approval["signature"], outbox.REASON,
        ],
        key=key, expected_version=1, subject_id=statement.id, subject_version=statement.version,
    )  # fmt: skip


def reopen(session: Session, actor: Actor, now: datetime, statement: Statement) -> None:
    """Take back an approval that the contract refused, so that the statement can be approved anew.

    Only its maker, and only while the approval's act is an alarm: what is effective stays.
    """
    _require_maker(session, actor, statement, "reopen")
    act = outbox.act_of(session, statement.id, statement.version)
    if statement.state != "approved" or act is None or act.state != "alarm":
        raise Conflict(
            "Statement {number} has no approval that the chain refused.", number=statement.number
        )
    outbox.drop(act)
    statement.state = move("statement", "reopen", statement.state)
    statement.checker_id, statement.approval, statement.chain_version = None, {}, 1
    log.append(
        session, statement, "statement.reopened", actor.member_id, reason=outbox.told(act.problem)
    )


def reject(
    session: Session, actor: Actor, now: datetime, statement: Statement, reason: str, origin: str
) -> None:
    """The checker sends the statement back; its payments are free for another one."""
    _decide(session, actor, statement, "reject")
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    statement.state = move("statement", "reject", statement.state)
    statement.checker_id = actor.member_id
    log.append(session, statement, "statement.rejected", actor.member_id, reason=reason)
    for payment in session.scalars(select(Payment).where(Payment.statement_id == statement.id)):
        payment.statement_id = None
        log.append(session, payment, "payment.released", actor.member_id)
    key = log.digest_key(origin, statement.id)
    outbox.enqueue(
        session, now, lane="maker", contract="RevenueBook", function="withdraw",
        arguments=["0x" + key.hex(), 1, outbox.REASON], key=key, expected_version=1,
        subject_id=statement.id, subject_version=statement.version,
    )  # fmt: skip


def post_effective(session: Session, now: datetime, actor_id: str) -> list[Statement]:
    """Book every approved statement whose approval is final on chain; returns those booked."""
    posted = []
    for statement in session.scalars(select(Statement).where(Statement.state == "approved")):
        act = outbox.act_of(session, statement.id, statement.version)
        if act is None or act.state != "effective" or act.confirmed_at is None:
            continue
        lines = [
            {
                "account": books.UNDISTRIBUTED, "credit_fen": 0,
                "debit_fen": statement.amount_fen, "party_id": None,
            },
            *(
                {
                    "account": books.PAYABLE, "credit_fen": line["amount_fen"], "debit_fen": 0,
                    "party_id": line["party"],
                }
                for line in statement.lines
            ),
        ]  # fmt: skip
        books.post(
            session, actor_id, now, cause=statement, book_id=statement.agreement_id,
            effective_on=periods.open_day(session, statement.agreement_id, statement.until_on),
            memo=f"收益分配 {statement.number}", lines=lines,
        )  # fmt: skip
        statement.state = move("statement", "post", statement.state)
        log.append(session, statement, "statement.posted", actor_id)
        posted.append(statement)
    return posted


def content(statement: Statement) -> dict[str, Any]:
    """What the maker proposes and the checker signs; its canonical form has the digest on chain."""
    return {
        "agreement": statement.agreement_id,
        "amount_fen": statement.amount_fen,
        "deficits_after": statement.deficits_after,
        "deficits_before": statement.deficits_before,
        "derivation": statement.derivation,
        "facts": statement.facts,
        "from_on": statement.from_on,
        "line_salts": statement.line_salts,
        "lines": statement.lines,
        "number": statement.number,
        "payments": statement.payment_ids,
        "salt": statement.salt,
        "scheme": statement.scheme_id,
        "until_on": statement.until_on,
    }


def line_root(lines: Sequence[Mapping[str, Any]], salts: Sequence[str]) -> bytes:
    """The RFC 6962 root over the salted lines."""
    return root(
        [row_hash(bytes.fromhex(salt), line) for line, salt in zip(lines, salts, strict=True)]
    )


def line_proofs(statement: Statement, party: str) -> list[dict[str, Any]]:
    """A payee's own lines, each with its salt and its way to the root; they reveal no other's."""
    pairs = list(zip(statement.lines, statement.line_salts, strict=True))
    hashes = [row_hash(bytes.fromhex(salt), line) for line, salt in pairs]
    proofs = [
        {
            "inclusion": [h.hex() for h in inclusion_proof(hashes, index, len(hashes))],
            "index": index,
            "line": line,
            "salt": salt,
        }
        for index, (line, salt) in enumerate(pairs)
        if line["party"] == party
    ]
    if not proofs:
        raise Missing("Statement {number} has no line for that party.", number=statement.number)
    return proofs


def line_facts(
    statement: Statement, party: str, origin: str, deployment: outbox.Deployment
) -> dict[str, Any]:
    """What the proof of a payee's lines says (`ledger.proof.line`), before the registry signs it."""
    return {
        "chain": {
            "chain_id": deployment.chain_id,
            "genesis": deployment.genesis,
            "revenue_book": deployment.contracts["RevenueBook"].lower(),
        },
        "digest": statement.digest,
        "key": "0x" + log.digest_key(origin, statement.id).hex(),
        "line_count": len(statement.lines),
        "line_root": statement.line_root,
        "lines": line_proofs(statement, party),
        "log": origin,
        "statement": statement.number,
    }


def owners(session: Session, statement: Statement) -> tuple[str, str]:
    """Whose business a statement is: both sides' of its agreement."""
    return agreements.owners(session.get_one(Agreement, statement.agreement_id))


def makers_party(session: Session, statement: Statement) -> str:
    """The organisation whose second person decides on the statement."""
    return party_of(session, statement.maker_id)


def by_number(session: Session, number: str) -> Statement:
    """The statement with a number; raises Missing."""
    found = session.scalar(select(Statement).where(Statement.number == number))
    if found is None:
        raise Missing("There is no statement {number}.", number=number)
    return found


def scheme_of(session: Session, agreement: Agreement, edition: int | None = None) -> Scheme:
    """The newest (or a given) edition of an agreement's scheme; raises Missing."""
    wanted = select(Scheme).where(Scheme.agreement_id == agreement.id)
    if edition is not None:
        wanted = wanted.where(Scheme.edition == edition)
    found = session.scalars(wanted.order_by(Scheme.edition.desc())).first()
    if found is None:
        raise Missing("Agreement {number} has no scheme.", number=agreement.number)
    return found


def _lines(outcome: sharing.Distribution) -> list[dict[str, Any]]:
    """The lines as recorded; their steps tell the whole trail and stand in the derivation, not here."""
    return [
        {name: value for name, value in line.to_dict().items() if name != "steps"}
        for line in outcome.lines
    ]


def _deficits(outcome: sharing.Distribution) -> dict[str, str]:
    return {party: str(value) for party, value in sorted(outcome.deficits_after.items())}


def _require_maker(session: Session, actor: Actor, statement: Statement, verb: str) -> None:
    what = f"statement {statement.number}"
    may(actor, f"statement.{verb}", makers_party(session, statement), what)
    if actor.member_id != statement.maker_id:
        raise NotAllowed("Only the maker proposes statement {number}.", number=statement.number)


def _decide(session: Session, actor: Actor, statement: Statement, verb: str) -> None:
    what = f"statement {statement.number}"
    may(actor, f"statement.{verb}", makers_party(session, statement), what)
    require_other(actor, [statement.maker_id], what)


def scheme_on(session: Session, agreement: Agreement, day: date) -> Scheme:
    """The agreed edition that binds on a day; raises Missing."""
    found = session.scalars(
        select(Scheme)
        .where(
            Scheme.agreement_id == agreement.id,
            Scheme.state == "agreed",
            Scheme.effective_from <= day.isoformat(),
        )
        .order_by(Scheme.effective_from.desc(), Scheme.edition.desc())
    ).first()
    if found is None:
        raise Missing(
            "Agreement {number} has no agreed scheme on {day}.",
            number=agreement.number,
            day=str(day),
        )
    return found


def undistributed(agreement: Agreement, until_on: date) -> Select[Payment]:
    """What was received by `until_on` and not distributed yet; late entries of earlier periods too."""
    return (
        select(Payment)
        .join(Licence, Licence.id == Payment.licence_id)
        .join(Voucher, Voucher.id == Licence.voucher_id)
        .join(Registration, Registration.id == Voucher.registration_id)
        .where(
            Registration.agreement_id == agreement.id,
            Payment.statement_id.is_(None),
            Payment.received_on <= until_on.isoformat(),
        )
        .order_by(Payment.id)
    )


def previous(
    session: Session, agreement: Agreement, before_on: str | None = None
) -> Statement | None:
    """The agreement's last statement that stands, or the last one that ended before a day."""
    wanted = select(Statement).where(
        Statement.agreement_id == agreement.id, Statement.state != "rejected"
    )
    if before_on is not None:
        wanted = wanted.where(Statement.until_on < before_on)
    return session.scalars(wanted.order_by(Statement.until_on.desc())).first()


def recompute(statement: Statement, scheme: Scheme) -> sharing.Distribution:
    """The distribution once more from what is recorded; raises ProofFailed where a part differs."""
    again = sharing.share(
        scheme.document, statement.amount_fen, statement.facts, statement.deficits_before
    )
    for part, known, given in (
        ("lines", statement.lines, _lines(again)),
        ("derivation", statement.derivation, again.derivation.to_dict()),
        ("deficits_after", statement.deficits_after, _deficits(again)),
    ):
        if known != given:
            raise ProofFailed(
                "Statement {number} does not recompute: {part} differs.", number=statement.number,
                part=part,
            )  # fmt: skip
    return again


def _typed_data(
    statement: Statement, origin: str, deployment: outbox.Deployment, nonce: int, deadline: int
) -> dict[str, Any]:
    """The typed data of `RevenueBook.approve`; a test compares its hash with the contract's."""
    return _approval(
        deployment.chain_id, deployment.contracts["RevenueBook"],
        {
            "deadline": deadline,
            "digest": "0x" + digest_bytes(statement.digest).hex(),
            "id": "0x" + log.digest_key(origin, statement.id).hex(),
            "lineRoot": "0x" + statement.line_root,
            "nonce": nonce,
        },
    )  # fmt: skip


def _approval(chain_id: int, contract: str, message: Mapping[str, Any]) -> dict[str, Any]:
    fields = [
        ("id", "bytes32"), ("digest", "bytes32"), ("lineRoot", "bytes32"),
        ("approvalsRequired", "uint8"), ("reverses", "bytes32"), ("version", "uint24"),
        ("nonce", "uint256"), ("deadline", "uint256"),
    ]  # fmt: skip
    domain = [
        ("name", "string"), ("version", "string"), ("chainId", "uint256"),
        ("verifyingContract", "address"),
    ]  # fmt: skip
    return {
        "domain": {
            "chainId": chain_id,
            "name": "Shuzheng RevenueBook",
            "verifyingContract": contract,
            "version": "1",
        },
        "message": {
            **message,
            "approvalsRequired": APPROVALS_REQUIRED,
            "reverses": "0x" + "00" * 32,
            "version": 1,
        },
        "primaryType": "Approval",
        "types": {
            "Approval": [{"name": name, "type": kind} for name, kind in fields],
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
        },
    }
