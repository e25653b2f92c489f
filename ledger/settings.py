"""Settings (设置): what an administrator may choose for the whole house; every change is a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.errors import Invalid, Missing
from ledger.parties import Actor, may
from ledger.store import Evidence, new_id

CONFIRMATIONS_MAX = 1000
LOWEST_DAYS = 30


class Setting(Evidence):
    """What was chosen; a setting without row has its default."""

    __tablename__ = "settings"
    subject_type = "setting"
    name: Mapped[str] = mapped_column(unique=True)
    value: Mapped[str]


@dataclass(frozen=True)
class Choice:
    """What may be chosen: one of `choices`, or where there are none a whole number up to `most`."""

    title: str
    default: str
    choices: tuple[str, ...] = ()
    most: int = 0

    def check(self, value: str) -> str:
        """The value if it may be chosen; raises Invalid."""
        if self.choices and value not in self.choices:
            raise Invalid(
                "{value} cannot be chosen; one of: {choices}.",
                value=value, choices=", ".join(self.choices),
            )  # fmt: skip
        is_number = value.isascii() and value.isdigit() and value == str(int(value[:20]))
        if not self.choices and not (is_number and int(value) <= self.most):
            raise Invalid(
                "{value} is not a whole number from 0 to {most}.", value=value, most=self.most
            )
        return value


CHOICES: Mapping[str, Choice] = MappingProxyType(
    {
        "confirmations": Choice(
            "How many blocks on top make a block final (not on the embedded chain)", "12",
            most=CONFIRMATIONS_MAX,
        ),
        "log_readers": Choice(
            "Who may read the log", "public", ("public", "member", "supervisor")
        ),
        "payout_days": Choice(
            "After how many days a payout that is not approved lets go of what it set aside", "30", most=365
        ),
        "registration_profile": Choice(
            "By whose rules is registered", "national",
            ("national", "shenzhen", "guangdong", "guizhou"),
        ),
        "third_approval_yuan": Choice(
            "Above how many yuan a statement or payout needs two checkers (0: always; a rise counts after "
            "30 days)", "1000000", most=10**11
        ),
    }
)  # fmt: skip


def value(session: Session, name: str) -> str:
    """What holds now: what was chosen, or the default."""
    found = session.scalar(select(Setting.value).where(Setting.name == name))
    return CHOICES[name].default if found is None else found


def lowest(session: Session, name: str, now: datetime) -> int:
    """The lowest number that held for a setting within the last `LOWEST_DAYS` days, by its records.

    So who raises a threshold, acts under it and lowers it again gains nothing.
    """
    held, since = int(CHOICES[name].default), now - timedelta(days=LOWEST_DAYS)
    row_id = session.scalar(select(Setting.id).where(Setting.name == name))
    later = []
    for record in log.history(session, row_id) if row_id else ():
        chosen = int(log.payload_of(record)["body"]["value"])
        if record.at <= since:
            held = chosen
        else:
            later.append(chosen)
    return min(held, *later, int(value(session, name)))


def change(session: Session, actor: Actor, name: str, given: str) -> Setting:
    """Choose a value (administrator); the same again changes nothing. Raises Missing, Invalid."""
    may(actor, "setting.change", None, name)
    if name not in CHOICES:
        raise Missing(
            "There is no setting {name}; there are: {names}.", name=name, names=", ".join(CHOICES)
        )
    CHOICES[name].check(given)
    row = session.scalar(select(Setting).where(Setting.name == name))
    if row is None:
        row = Setting(id=new_id(), name=name, value=given)
    elif row.value == given:
        return row
    row.value = given
    log.append(session, row, "setting.changed", actor.member_id)
    return row
