"""Words of ours in the reader's language, and a resource's elements: their names, what their values say."""

from collections.abc import Mapping
from typing import Any

from ledger import grading
from ledger.catalogue_fields import FIELDS
from ledger.catalogue_values import CODED, CYCLES, read_choice
from webapp.deeds.previews import FINDINGS
from webapp.deeds.resource import WORDS
from webapp.language import language, tr

# What a version has besides its elements.
COLUMNS = {"state": "State", "grade": "Grade", "audience": "Who may see it"}
AUDIENCES = {
    "public": "everybody", "bodies": "public bodies and institutions", "authority": "the authority",
}  # fmt: skip


def spoken(zh: str, en: str) -> str:
    """What stands in both languages, in the reader's."""
    return zh if language() == "zh" else en


def word(value: Any) -> str:
    """A word of ours (state, verb, role, record kind) in the reader's language."""
    if value == "entry":  # the noun; in a proof it is the log's (`step_name`)
        return tr("accounting entry")
    return tr(str(value)) if value not in (None, "") else "–"


def step_name(value: str) -> str:
    """A step of a proof in the reader's language."""
    return tr(value)


def preview_text(name: str, value: Any) -> str:
    """A value of a preview as people read it."""
    if name == "finding":
        return tr(FINDINGS[value])
    if name.endswith("_yuan"):
        return in_groups(str(value))
    return word(value) if name in ("result", "state") or value in (None, "") else str(value)


def in_groups(amount: str) -> str:
    """An amount in yuan with separators: 1,234.50."""
    whole, _, cents = amount.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}.{cents or '00'}"


def state_of(value: Any, noun: str = "") -> str:
    """A state in the reader's language, as it is said of the noun: 结账, 作废, 取消."""
    if (noun, value) == ("period", "closed"):
        return tr("books closed")
    if (noun, value) == ("payout", "cancelled"):
        return tr("cancelled before approval")
    if (noun, value) == ("order", "cancelled"):
        return tr("called off")
    return word(value)


def label_of(name: str) -> str:
    """What an element is called."""
    if name in COLUMNS:
        return tr(COLUMNS[name])
    one = FIELDS.get(name.removesuffix("_text"))
    if one is None:
        return name
    label = spoken(one.zh, one.en)
    label = label[:1].upper() + label[1:]
    return tr("{label} as written", label=label) if name.endswith("_text") else label


def said(name: str, known: Mapping[str, Any]) -> str:
    """An element in words: our word where the value is one of ours, else what was written."""
    value, written = known.get(name), known.get(f"{name}_text")
    if name == "audience":
        return tr(AUDIENCES[value]) if value in AUDIENCES else ""
    if name in ("state", "grade"):
        return word(value) if value else ""
    if isinstance(value, str) and name == "update_cycle" and value in CYCLES:
        return spoken(CYCLES[value].zh, CYCLES[value].en)
    if isinstance(value, str) and name == "grading":
        level = grading.read_level(value)
        return spoken(*grading.LEVELS[level]) if level else value
    if isinstance(value, str) and name in WORDS:
        choice = read_choice(value, CODED[name])
        return value if choice is None else tr(WORDS[name][choice])
    if isinstance(value, list) and name == "impacts":
        value = [ground_words(one)["words"] for one in grading.level(grading.pairs(value))[1]]
    value = written if value in (None, [], "") else value
    if isinstance(value, list):
        return spoken("、", ", ").join(map(str, value))
    return "" if value is None else str(value)


def value_text(value: Any, name: str = "") -> str:
    """A value of a field in words."""
    return said(name, {name: value}) or "–"


def ground_words(one: grading.Ground) -> dict[str, str]:
    """A ground of the grade and its level, in words."""
    if one.kind == "impact":
        touched, degree = grading.OBJECTS[str(one.object)], grading.DEGREES[str(one.degree)]
        words = f"{spoken(*touched)}{spoken('：', ': ')}{spoken(*degree)}"
    else:
        words = tr(
            "As it was declared" if one.kind == "declared" else "On the list of important data"
        )
    return {"words": words, "level": spoken(*grading.LEVELS[one.level])}
