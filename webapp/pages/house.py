"""The state of the house: how far the log is, what stands still, and what one can do about it."""

from datetime import datetime, timedelta
from os import environ
from typing import Any
from uuid import uuid4

from flask import Flask, flash, render_template, request, url_for
from flask_limiter import Limiter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import log, vouchers
from ledger.chain import outbox
from ledger.chain.gateway import connect
from ledger.errors import ChainUnavailable, LedgerError, NotAuthenticated
from ledger.parties import Account
from webapp import door
from webapp.deeds import Deed, Desk
from webapp.deeds.all import house as deeds
from webapp.deeds.all import proofs
from webapp.deeds.background import facts
from webapp.deeds.subjects import BY_NOUN
from webapp.jobs import Job, refusal_text
from webapp.language import tr, translate
from webapp.pages import nouns
from webapp.pages.show import redirect

NODE_TIMEOUT_S = 2
# The worker looks every two seconds: what has waited this long waits for a worker that does not run.
STILL_AFTER = timedelta(minutes=2)
STUCK_AFTER = timedelta(minutes=15)
AUDITS_SHOWN = 5


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/house", "house", state_of_house)
    app.jinja_env.globals |= {"setting": setting}
    nouns.BEHIND["setting.change"] = lambda _session, _keys: url_for("house")
    for deed in (deeds.seal, deeds.retry):  # short deeds that lead back to this page
        app.add_url_rule(deed.path, deed.name.replace(".", "_"), _short(deed),
                         methods=["GET", "POST"])  # fmt: skip


@door.guard(deeds.alarms)
def state_of_house() -> str:
    """The page."""
    return _page(None)


def _short(deed: Deed) -> Any:
    def view() -> Any:
        if request.method == "GET":
            return nouns.deed_page(deed, {}, {}, {}, None)
        key = request.form.get("idempotency") or uuid4().hex
        try:
            done = door.the_desk().do(deed, door.who, {}, {}, key=key)
        except NotAuthenticated:
            raise
        except LedgerError as error:
            return _page(error.localized(translate)), error.http_status
        flash(tr(deed.says, **done.answer), "success")
        return redirect(url_for("house"))

    return door.guard(deed)(view)


def setting(name: str) -> dict[str, Any] | None:
    """A setting, for the form that changes it; None where there is none of that name."""
    items = door.the_desk().ask(deeds.show_settings, door.who, {}, {})["items"]
    return next((one for one in items if one["name"] == name), None)


def _page(refusal: str | None) -> str:
    desk = door.the_desk()
    told = desk.ask(deeds.alarms, door.who, {}, {})
    state = desk.ask(proofs.log_state, door.who, {}, {})
    node = _node(desk)
    with desk.home.reading() as session:
        return render_template(
            "house.html", refusal=refusal, log=state, open=told["open"], node=node, key=uuid4().hex,
            settings=desk.ask(deeds.show_settings, door.who, {}, {})["items"],
            alarms=[{**alarm, **_subject(session, alarm)} for alarm in told["items"]],
            anchored=log.last_anchored(session), status=vouchers.current_status(session),
            still=_still(session, state, desk.now), now=desk.now, audits=_audits(session),
        )  # fmt: skip


def _node(desk: Desk) -> dict[str, Any]:
    """Whether the chain's node answers, and how high its chain is."""
    try:
        gateway = connect(
            desk.home.node_url(), token=environ.get("CHAIN_RPC_TOKEN"), timeout_s=NODE_TIMEOUT_S
        )
        found, known = gateway.identity(), desk.deployment
        if found != (known.chain_id, known.genesis):
            raise ChainUnavailable(
                "The node at {address} serves another chain ({found}) than this home's ({known}).",
                address=gateway.address, found=found[1], known=known.genesis,
            )  # fmt: skip
        return {"height": gateway.block_number(), "problem": None}
    except LedgerError as error:
        return {"height": None, "problem": error.localized(translate)}


def _still(session: Session, state: dict[str, Any], now: datetime) -> list[str]:
    """What has waited so long for the worker that it cannot be running, in sentences."""
    found = []
    head, sealed = session.get_one(log.Head, 1), (state["checkpoints"] or [{"tree_size": 0}])[0]
    unsealed = head.tree_size - sealed["tree_size"]
    if unsealed and now - head.last_at > STILL_AFTER:
        found.append(tr("{count} records wait to be sealed.", count=unsealed))
    stuck = session.scalar(
        select(func.count())
        .select_from(outbox.Act)
        .where(outbox.IS_OPEN, outbox.Act.created_at < now - STUCK_AFTER)
    )
    if stuck:
        found.append(
            tr(
                "{count} acts on chain are under way for more than {minutes} minutes: see whether the "
                "node makes blocks and takes our transactions.",
                count=stuck, minutes=STUCK_AFTER // timedelta(minutes=1),
            )
        )  # fmt: skip
    waiting = session.scalar(
        select(func.count())
        .select_from(Job)
        .where(Job.state == "queued", Job.created_at < now - STILL_AFTER)
    )
    if waiting:
        found.append(tr("{count} jobs wait to be taken up.", count=waiting))
    status = vouchers.current_status(session)
    if status is not None and now > status.next_at:
        found.append(tr("The status list is out of date; verifiers no longer take it."))
    return found


def _subject(session: Session, alarm: dict[str, Any]) -> dict[str, Any]:
    """What an alarm is about, with its page where it has one, and what to do."""
    template = alarm["reason"].get("template", "")
    if template in (outbox.FORK, outbox.BEHIND):
        todo = tr(
            "Stop: do not retry. The chain holds another history than this log. Keep both as they "
            "are, run the audit, and find out who has used the anchoring key."
        )
    elif template == outbox.REFUSED or template in outbox.ADVICE.values():
        todo = tr("Mend the cause that is named, then try the alarms again.")
    else:
        todo = tr(
            "Somebody else has acted in the contract with one of our keys: find out who, before "
            "anything is tried again."
        )
    told = {"problem": outbox.told(alarm["reason"], translate), "todo": todo}
    found = session.scalars(
        select(log.Record.subject_type).where(log.Record.subject_id == alarm["subject_id"]).limit(1)
    ).first()
    subject = BY_NOUN.get(found or "")
    row = session.get(subject.model, alarm["subject_id"]) if subject else None
    if subject is None or row is None:
        return {**told, "noun": None, "number": alarm["subject_id"], "address": None}
    number = subject.number(row)
    address = nouns.page_of(subject.noun, number)
    return {**told, "noun": subject.noun, "number": number, "address": address}


def _audits(session: Session) -> list[dict[str, Any]]:
    """The last audits, whoever asked for them; his own page of each only for himself."""
    wanted = (
        select(Job, Account.display_name)
        .join(Account, Account.member_id == Job.member_id)
        .where(Job.verb == deeds.audit.name)
        .order_by(Job.id.desc())
        .limit(AUDITS_SHOWN)
    )
    return [_audit(job, name) for job, name in session.execute(wanted)]


def _audit(job: Job, name: str) -> dict[str, Any]:
    told = facts(job)
    answer, refusal = told["answer"] or {}, told["refusal"]
    said = ""
    if told["state"] == "done":
        said = tr(deeds.audit.says, **answer)
    elif refusal:
        said = refusal_text(refusal, translate)
    return {
        **told, "by": name, "clean": answer.get("count") == 0, "offline": answer.get("offline"),
        "own": job.member_id == door.actor().member_id, "said": said,
    }  # fmt: skip
