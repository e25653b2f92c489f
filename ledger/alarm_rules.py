"""What an alarm is raised for: one small function a cause, all in `STANDING` and `BY_BATCH`.

    STANDING   looked at as it stands now; what a function no longer gives is gone
    BY_BATCH   looked at once, when a batch of usage was recorded; what happened stays so

A function says what is wrong as `Cause`s. Its key tells the cause from all others: as long as it is
there, one alarm is raised for it, however often one looks.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from ledger import log, overdue, usage
from ledger.agreements import Agreement, faults_of_use
from ledger.calendar import local_date
from ledger.chain import outbox
from ledger.deadlines import TERMS, rows_of, standing
from ledger.messages import To
from ledger.parties import Actor, Member, Party
from ledger.proof.encoding import instant
from ledger.registration import Registration
from ledger.trading import Licence
from ledger.usage import Batch
from ledger.vouchers import Voucher
from valuation.money import yuan

KINDS: Final = {  # kind → its Chinese name
    "overdue": "逾期未办",
    "lapsed_used": "失效后使用",
    "outside_scene": "超场景使用",
    "above_cap": "超过最高准许价格",
    "audit_difference": "审计差异",
    "fork": "账本分叉",
    "act_failed": "上链失败",
}
LICENCES_NAMED: Final = 10
EVERYTHING: Final = Actor("system", "", frozenset({"regulator"}))
"""who sees all that is overdue"""

# What was due, by the deadline's name.
LATE: Final[dict[str, str]] = {
    "application.accept": "Application {number} was to be accepted or returned by {due}.",
    "application.cancellation": "The cancellation {number} was to be decided by {due}.",
    "application.review": "The review of application {number} was due by {due}.",
    "demand.assign": "Demand {number} was to be assigned to a department by {due}.",
    "demand.answer": "Demand {number} was to be answered by {due}.",
    "demand.supply": "The data of demand {number} were promised for {due}.",
    "demand.decide": "The appeal about demand {number} was to be decided by {due}.",
    "duty.settle": "The catalogue was to be changed by {due} (duty {number}).",
    "exclusion.review": "Entry {number} was to be reviewed by {due}.",
    "feedback.answer": "Feedback {number} was to be answered by {due}.",
    "feedback.decide": "The appeal about feedback {number} was to be decided by {due}.",
    "objection.review": "Objection {number} was to be decided by {due}.",
}
STALE: Final = "The data of {count} resources of {name} are past their update cycle."
LAPSED_USED: Final = (
    "{count} events of batch {number} happened while the voucher or the licence was not in force: "
    "{orders}."
)
OUTSIDE_SCENE: Final = (
    "{count} events of batch {number} are under licences for scenes or fields that their agreement "
    "does not grant: {orders}."
)
ABOVE_CAP: Final = (
    "Licence {number} was sold for {price} yuan; by agreement {agreement} the most is {cap} yuan."
)
NO_REASON: Final = "An act on chain could not be brought to an end."


@dataclass(frozen=True)
class Cause:
    """Something that is wrong: `key` tells it from all others, `owner_id` is who has to answer."""

    kind: str
    key: str
    about_type: str
    about_id: str
    about_number: str
    owner_id: str | None
    template: str
    facts: Mapping[str, Any]


# -- who has to answer ---------------------------------------------------------------------------------


def house_of(session: Session, role: str, other_than: str | None = None) -> str | None:
    """The organisation that acts in a role: that of the first member who has it; None if nobody has."""
    found = session.scalars(
        select(Member.party_id)
        .join(Party, Party.id == Member.party_id)
        .where(
            Party.state == "active",
            Party.id.is_distinct_from(other_than),
            cast(Member.roles, String).contains(f'"{role}"'),
        )
        .order_by(Member.id)
        .limit(1)
    )
    return found.first()


def _owner_of(session: Session, to: To) -> str | None:
    return to.party_id or (house_of(session, to.role, to.other_than) if to.role else None)


# -- overdue -------------------------------------------------------------------------------------------


def late_deeds(session: Session, now: datetime) -> Iterator[Cause]:
    """Every deadline of `LATE` that is past its day; a paused one is not late."""
    today = local_date(now)
    for name, template in LATE.items():
        term = TERMS[name]
        for row, due in rows_of(session, term, today):
            if standing(due, today, term).urgency == "overdue":
                yield Cause(
                    "overdue", f"overdue:{name}:{row.id}:{due['on']}", term.noun, row.id, row.number,
                    _owner_of(session, term.owed(row)[0]), template,
                    {"due": due["on"], "number": row.number},
                )  # fmt: skip


def stale_data(session: Session, now: datetime) -> Iterator[Cause]:
    """Departments whose data are past their update cycle; one cause a department, not a resource."""
    for one in overdue.departments(session, EVERYTHING, local_date(now)):
        if one.resources and one.party_id is not None:
            uscc = session.get_one(Party, one.party_id).uscc
            yield Cause(
                "overdue", f"overdue:stale:{one.party_id}", "party", one.party_id, uscc,
                one.party_id, STALE, {"count": one.resources, "name": one.name},
            )  # fmt: skip


# -- prices and scenes ---------------------------------------------------------------------------------


def is_outside(licence: Licence, agreement: Agreement) -> bool:
    """Whether a licence is for a scene or a field that the agreement does not grant.

    An agreement by scene (依场景授权) of before scenes were kept grants nothing to a licence without one.
    """
    if faults_of_use(agreement, licence.terms, 0):
        return True
    scene = str(licence.terms.get("scene") or "")
    return agreement.mode == "by_scene" and not scene.strip()


def prices_above_cap(session: Session, _now: datetime) -> Iterator[Cause]:
    """Licences in force that were sold above what their agreement allows."""
    sold = (
        select(Licence, Voucher.party_id, Agreement.number, Agreement.price_cap_fen)
        .join(Voucher, Voucher.id == Licence.voucher_id)
        .join(Registration, Registration.id == Voucher.registration_id)
        .join(Agreement, Agreement.id == Registration.agreement_id)
        .where(Licence.price_fen > Agreement.price_cap_fen, Licence.state == "granted")
    )
    for licence, seller, number, cap in session.execute(sold.order_by(Licence.id)).tuples():
        order = licence.order_reference
        yield Cause(
            "above_cap", f"above_cap:{licence.id}", "licence", licence.id, order, seller, ABOVE_CAP,
            {"agreement": number, "cap": yuan(cap or 0), "number": order,
             "price": yuan(licence.price_fen)},
        )  # fmt: skip


# -- the chain -----------------------------------------------------------------------------------------


def forks(session: Session, _now: datetime) -> Iterator[Cause]:
    """Anchors that the contract contradicts: another history, or a newer one."""
    yield from _acts(session, "fork", lambda template: template in (outbox.FORK, outbox.BEHIND))


def failed_acts(session: Session, _now: datetime) -> Iterator[Cause]:
    """Acts that the chain or we could not bring to an end."""
    yield from _acts(
        session, "act_failed", lambda template: template not in (outbox.FORK, outbox.BEHIND)
    )


def _acts(session: Session, kind: str, wanted: Callable[[str], bool]) -> Iterator[Cause]:
    owner = house_of(session, "administrator")
    for act in outbox.alarms(session):
        problem = act.problem or {"facts": {}, "template": NO_REASON}
        if wanted(problem["template"]):
            about, number = _subject_of(session, act)
            yield Cause(
                kind, f"{kind}:{act.id}", about, act.subject_id, number, owner,
                problem["template"], problem["facts"],
            )  # fmt: skip


def _subject_of(session: Session, act: outbox.Act) -> tuple[str, str]:
    """What an act is about: its kind and its number; an anchor is about a checkpoint's size."""
    first = log.history(session, act.subject_id)[:1]
    if not first:
        return "checkpoint", act.subject_id.rpartition(":")[2]
    body = log.payload_of(first[0])["body"]
    return first[0].subject_type, str(body.get("number") or body.get("order_reference") or "")


# -- usage ---------------------------------------------------------------------------------------------

Span = tuple[str, str]
"""from and until when, as records spell it; the first second counts, the last does not"""
FOR_EVER: Final = "9999"
STOPS: Final = {
    "voucher.suspend": "suspended", "voucher.freeze": "frozen", "voucher.revoke": "over",
    "voucher.cancel": "over", "voucher.supersede": "over", "voucher.split": "over",
}  # fmt: skip
GOES_ON: Final = {"voucher.resume": "suspended", "voucher.unfreeze": "frozen"}


def used_though_lapsed(session: Session, batch: Batch) -> Iterator[Cause]:
    """Events while the voucher was suspended, frozen or over, or the licence was.

    What is used by a person's consent is no licence's: `uses.count` refuses it beforehand.
    """
    spans: dict[str, list[Span]] = {}
    sellers: dict[str, str] = {}
    for licence, voucher, _agreement in _licences(session, batch):
        order = licence.order_reference
        found = [
            span for span in out_of_force(session, licence, voucher)
            if span[0] <= instant(batch.last_at) and instant(batch.first_at) < span[1]
        ]  # fmt: skip
        if found:
            spans[order], sellers[order] = found, voucher.party_id
    if spans:  # only then are its rows read
        counts = _counted(session, batch, spans)
        yield from _of_batch("lapsed_used", batch, counts, sellers, LAPSED_USED)


def used_outside_scene(session: Session, batch: Batch) -> Iterator[Cause]:
    """Events under licences for scenes that their agreement does not grant."""
    events: dict[str, int] = {}
    for one in batch.totals:
        events[one["licence"]] = events.get(one["licence"], 0) + one["count"]
    counts: dict[str, int] = {}
    sellers: dict[str, str] = {}
    for licence, voucher, agreement in _licences(session, batch):
        if agreement is not None and is_outside(licence, agreement):
            order = licence.order_reference
            counts[order], sellers[order] = events[order], voucher.party_id
    yield from _of_batch("outside_scene", batch, counts, sellers, OUTSIDE_SCENE)


def out_of_force(session: Session, licence: Licence, voucher: Voucher) -> list[Span]:
    """When nothing might be used under a licence, since it began."""
    begun: dict[str, str] = {}
    spans = [(_second_after(voucher.valid_until), FOR_EVER),
             (_second_after(licence.valid_until), FOR_EVER)]  # fmt: skip
    for record in (*log.history(session, voucher.id), *log.history(session, licence.id)):
        at = instant(record.at)
        if record.kind in STOPS:
            begun.setdefault(STOPS[record.kind], at)
        elif record.kind in GOES_ON and GOES_ON[record.kind] in begun:
            spans.append((begun.pop(GOES_ON[record.kind]), at))
        elif record.kind == "licence.revoked":
            begun.setdefault("revoked", at)
    return spans + [(at, FOR_EVER) for at in begun.values()]


def _second_after(at: datetime) -> str:
    return instant(datetime.fromtimestamp(at.timestamp() + 1, at.tzinfo))


def _licences(
    session: Session, batch: Batch
) -> Iterator[tuple[Licence, Voucher, Agreement | None]]:
    """The licences of a batch with their voucher and agreement."""
    orders = sorted({one["licence"] for one in batch.totals})
    for start in range(0, len(orders), log.ROWS_A_STATEMENT):
        yield from session.execute(
            select(Licence, Voucher, Agreement)
            .join(Voucher, Voucher.id == Licence.voucher_id)
            .join(Registration, Registration.id == Voucher.registration_id)
            .outerjoin(Agreement, Agreement.id == Registration.agreement_id)
            .where(Licence.order_reference.in_(orders[start : start + log.ROWS_A_STATEMENT]))
            .order_by(Licence.id)
        ).tuples()


def _counted(session: Session, batch: Batch, spans: Mapping[str, Sequence[Span]]) -> dict[str, int]:
    """How many events of a batch fall into the spans of their licence."""
    counts: dict[str, int] = {}
    for text in usage.spelled_rows(session, batch.no):
        row = orjson.loads(text)
        order, at = row["licence"], row["at"]
        if any(begins <= at < ends for begins, ends in spans.get(order, ())):
            counts[order] = counts.get(order, 0) + 1
    return counts


def _of_batch(
    kind: str, batch: Batch, counts: Mapping[str, int], sellers: Mapping[str, str], template: str
) -> Iterator[Cause]:
    """One cause for each seller, with how many events it is and the first licences."""
    for seller in sorted({sellers[order] for order in counts}):
        orders = sorted(order for order in counts if sellers[order] == seller)
        named = ", ".join(orders[:LICENCES_NAMED]) + (" …" if orders[LICENCES_NAMED:] else "")
        yield Cause(
            kind, f"{kind}:{batch.id}:{seller}", "usage", batch.id, batch.number, seller, template,
            {"count": sum(counts[order] for order in orders), "number": batch.number, "orders": named},
        )  # fmt: skip


# -- the tables ----------------------------------------------------------------------------------------

STANDING: Final[Mapping[str, Sequence[Callable[[Session, datetime], Iterable[Cause]]]]] = {
    "overdue": (late_deeds, stale_data),
    "above_cap": (prices_above_cap,),
    "fork": (forks,),
    "act_failed": (failed_acts,),
}
BY_BATCH: Final[Mapping[str, Callable[[Session, Batch], Iterable[Cause]]]] = {
    "lapsed_used": used_though_lapsed,
    "outside_scene": used_outside_scene,
}
