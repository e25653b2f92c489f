"""Running the house: seal, anchor, audit, alarms, settings."""

from typing import Any

import structlog
from marshmallow import Schema, fields
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ledger import alarms as alarming
from ledger import log, settings
from ledger.chain import outbox
from ledger.errors import Conflict, LedgerError
from ledger.parties import Actor
from webapp.deeds import Desk, Report, deed, question
from webapp.deeds.forms import Body, text
from webapp.deeds.proofs import settled

logger = structlog.get_logger()


class Empty(Body):
    """Nothing is to be said."""


class AuditBody(Body):
    """Whether the chain is asked as well, and whether an audit that was broken off is begun anew."""

    offline = fields.Boolean(
        load_default=False, metadata={"title": "Do not compare with the chain", "hint": ""}
    )
    again = fields.Boolean(
        load_default=False,
        metadata={
            "title": "Begin anew",
            "hint": "An audit that was broken off less than a day ago goes on where it was",
        },
    )


class SettingBody(Body):
    """What is chosen."""

    value = text("Value", most=40)


class SettingAnswer(Schema):
    """A setting: what holds, what holds without a choice, and what may be chosen."""

    choices = fields.List(fields.String(), required=True)
    default = fields.String(required=True)
    most = fields.Integer(required=True)
    name = fields.String(required=True)
    title = fields.String(required=True)
    value = fields.String(required=True)


class SettingsAnswer(Schema):
    """All settings."""

    items = fields.List(fields.Nested(SettingAnswer), required=True)


class AlarmAnswer(Schema):
    """An act on chain that a person must look at; `reason` is the problem's template and its facts."""

    contract = fields.String(required=True)
    function = fields.String(required=True)
    id = fields.String(required=True)
    problem = fields.String(required=True, allow_none=True)
    reason = fields.Dict(required=True)
    subject_id = fields.String(required=True)


class AlarmsAnswer(Schema):
    """All alarms, and how many acts are still open."""

    items = fields.List(fields.Nested(AlarmAnswer), required=True)
    open = fields.Integer(required=True)


@deed("log.seal", "/log/seal", "Seal", "Sealed at size {size}, root {root}.", body=Empty,
      records=False)  # fmt: skip
def seal(desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    made = log.seal(session, desk.now, desk.keyring.signer("log"))
    if made is None:
        raise Conflict("The log is empty: there is nothing to seal.")
    outbox.enqueue_anchor(session, desk.now, made.tree_size, bytes.fromhex(made.root))
    return {"note": made.note, "root": made.root, "size": made.tree_size}


@deed("log.anchor", "/log/anchor", "Anchor",
      "Anchored at size {size} in block {block} ({transaction}).", body=Empty, long=True,
      records=False, prepare=settled)  # fmt: skip
def anchor(_desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    """The newest checkpoint that the contract holds, once everything is carried there."""
    found = log.last_anchored(session)
    if found is None:
        raise Conflict("Nothing is anchored yet; see the alarms of `shuzheng worker --once`.")
    return {
        "block": found.anchor_block, "root": found.root, "size": found.tree_size,
        "transaction": found.anchor_transaction,
    }  # fmt: skip


def audited(
    desk: Desk, report: Report, _actor: Actor, *, offline: bool, again: bool
) -> dict[str, Any]:
    """Every difference between the tables, the payloads, the tiles and, unless offline, the chain."""
    from webapp import audits  # noqa: PLC0415 - only where one audits

    ground = audits.ground_of_home(desk.home, None if offline else desk.gateway())
    kept = desk.home.path / "audit.db"
    return {"found": audits.audit(desk.home, ground, desk.now, kept, report, again=again)}


def alarmed(desk: Desk, _report: Report, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, with the number of the alarm that tells the regulator.

    What is damaged may be what an alarm needs: then the answer alone tells it.
    """
    number = None
    try:
        with desk.home.deed(desk.now) as session:
            number = alarming.of_audit(session, desk.now, answer)
    except (LedgerError, SQLAlchemyError) as error:
        logger.warning("no alarm", cause=str(error))
    return {**answer, "alarm": number}


@deed("audit.run", "/audits", "Audit", "{records} records audited, {count} differences.",
      body=AuditBody, long=True, records=False, prepare=audited, finish=alarmed)  # fmt: skip
def audit(
    _desk: Desk,
    _session: Session,
    _actor: Actor,
    *,
    offline: bool,
    again: bool,
    found: dict[str, Any],
) -> dict[str, Any]:
    """What was covered, how many differences there are, and the first of them."""
    return found


@deed("outbox.retry", "/outbox/retry", "Try the alarms again",
      "{count} acts are waiting again.", body=Empty, records=False)  # fmt: skip
def retry(_desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    return {"count": outbox.retry(session)}


@deed("setting.change", "/settings/<setting_name>", "Change a setting",
      "{name} is now {value}.", body=SettingBody)  # fmt: skip
def change_setting(
    _desk: Desk, session: Session, actor: Actor, setting_name: str, *, value: str
) -> dict[str, Any]:
    row = settings.change(session, actor, setting_name, value)
    return {"name": row.name, "value": row.value}


@question("setting.read", "/settings", "Settings", name="setting.read", answer=SettingsAnswer)
def show_settings(_desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    """What is chosen for the whole house."""
    return {
        "items": [
            {
                "choices": list(choice.choices), "default": choice.default, "most": choice.most,
                "name": name, "title": choice.title, "value": settings.value(session, name),
            }
            for name, choice in settings.CHOICES.items()
        ]
    }  # fmt: skip


@question("outbox.read", "/outbox/alarms", "Alarms", answer=AlarmsAnswer)
def alarms(_desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    """The acts that the chain or we could not bring to an end, and how many are still open."""
    return {
        "items": [
            {
                "contract": act.contract, "function": act.function, "id": act.id,
                "problem": outbox.told(act.problem), "reason": (act.problem or {}),
                "subject_id": act.subject_id,
            }
            for act in outbox.alarms(session)
        ],
        "open": outbox.open_count(session),
    }  # fmt: skip
