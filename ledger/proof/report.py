"""The report of a verification: its steps as they are told, and the verdict, the worst of them."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ledger.errors import fill

VALID, NOT_VALID, CANNOT_TELL = 0, 1, 2  # outcomes of a step, and exit codes
VERDICTS = ("valid", "not valid", "cannot tell")
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories of what a reader does not see


@dataclass(frozen=True)
class Step:
    """One step of a verification: its name, its outcome (0, 1 or 2), and what was found."""

    name: str
    outcome: int
    template: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        """What was found, on one line: a document's own text cannot move a terminal's cursor."""
        return visible(fill(translate(self.template), dict(self.facts)))


@dataclass
class Report:
    """What was tried and found; the verdict is the worst outcome of the steps.

    `tell` hears of each step as it is taken.
    """

    kind: str = "document"
    steps: list[Step] = field(default_factory=list)
    tell: Callable[[Step], None] | None = None

    def add(self, name: str, outcome: int, template: str, /, **facts: Any) -> None:
        step = Step(name, outcome, template, facts)
        self.steps.append(step)
        if self.tell is not None:
            self.tell(step)

    @property
    def exit_code(self) -> int:
        outcomes = {step.outcome for step in self.steps}
        if NOT_VALID in outcomes:
            return NOT_VALID
        return CANNOT_TELL if CANNOT_TELL in outcomes or not outcomes else VALID

    def as_dict(self, translate: Callable[[str], str] = str) -> dict[str, Any]:
        """The report as JSON values: exit code, verdict, and each step with its outcome in words."""
        return {
            "exit_code": self.exit_code,
            "kind": self.kind,
            "steps": [
                {"name": s.name, "outcome": VERDICTS[s.outcome], "text": s.sentence(translate)}
                for s in self.steps
            ],
            "verdict": VERDICTS[self.exit_code],
        }


def visible(text: str) -> str:
    """The text with what a reader does not see (line breaks, ANSI, bidi marks) spelled out."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in UNSEEN else c
        for c in text
    )


def print_step(step: Step, translate: Callable[[str], str] = str) -> None:
    """A step for a person, on its line, at once."""
    mark = ("✓", "✗", "?")[step.outcome]
    print(f"{mark} {translate(step.name):10} {step.sentence(translate)}", flush=True)


def print_verdict(report: Report, translate: Callable[[str], str] = str) -> None:
    """The last line: valid, not valid, cannot tell."""
    print(f"→ {translate(VERDICTS[report.exit_code])}", flush=True)


def print_report(report: Report, translate: Callable[[str], str] = str) -> None:
    """The report for a person, a line a step."""
    for step in report.steps:
        print_step(step, translate)
    print_verdict(report, translate)
