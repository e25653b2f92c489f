"""The fields that bodies of deeds are made of, and how what does not fit is told.

A field's `title` and `hint` are English templates; pages label their form fields with them, the API's
document describes its properties with them. Money comes as a decimal text of yuan and is fen inside.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from ledger.errors import Faults, Invalid, LedgerError
from valuation import ValuationError, money

TEXT_MAX = 2_000
DAY_MIN, DAY_MAX = date(1900, 1, 1), date(2199, 12, 31)
MISSING = "the field {name} is missing"
UNKNOWN = "unknown item {key}"
MISSHAPEN = "the field {name} must be a {form}"
LONG = "the field {name} has more than {most} characters"
CHOICES = "the field {name} must be one of {choices}"
EMPTY = "the field {name} is empty"
YUAN = "amount in yuan, such as 1234.50"
# marshmallow's own words for what can be wrong → ours
SAID = {
    "Missing data for required field.": MISSING,
    "Field may not be null.": MISSING,
    "Unknown field.": UNKNOWN,
    "Invalid input type.": f"{MISSHAPEN}\nmap",
    "Not a valid integer.": f"{MISSHAPEN}\nwhole number",
    "Not a valid boolean.": f"{MISSHAPEN}\nyes or no",
}


def said(template: str, fact: object = "") -> str:
    """A template and its fact as one of marshmallow's messages, which fills in braces itself."""
    return f"{template}\n{fact}".replace("{", "{{").replace("}", "}}")


class Body(Schema):
    """What a deed is told; unknown fields are named, not passed over."""

    class Meta:
        unknown = RAISE


def text(title: str, *, most: int = TEXT_MAX, required: bool = True, hint: str = "",
         area: bool = False, blank: bool = False, choices: Mapping[str, str] | None = None,
         example: str = "", pattern: str = "", source: str = "",
         kind: str = "") -> fields.String:  # fmt: skip
    """A text; `choices` maps each value to its English name; `blank` may be empty.

    `source` names the choices a page offers (`webapp.pages.forms`), where they are data; of the `kind`
    "hidden" is what a page fills in by itself.
    """
    checks: list[Any] = [validate.Length(max=most, error=said(LONG, most))]
    if choices is not None:
        checks.append(validate.OneOf(list(choices), error=said(CHOICES, ", ".join(choices))))
    elif pattern:
        checks.append(validate.Regexp(pattern, error=said(MISSHAPEN, example)))
    if required and not blank:
        checks += [validate.Length(min=1, error=said(EMPTY)), NotBlank(error=said(EMPTY))]
    return fields.String(
        required=required,
        validate=checks,
        error_messages={"invalid": said(MISSHAPEN, "text")},
        metadata=_told(title, hint, area=area, choices=dict(choices or {}), example=example,
                       source=source, kind=kind),
    )  # fmt: skip


class NotBlank(validate.Validator):
    """A text that says something: spaces alone are no reason."""

    def __init__(self, *, error: str) -> None:
        self.error = error

    def __call__(self, value: str) -> str:
        if value and not value.strip():
            raise ValidationError(str(self.error).format(input=value))
        return value


class DayField(fields.String):
    """A day written 2026-01-31."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return date.fromisoformat(str(super()._deserialize(value, attr, data, **kwargs)))
        except ValueError:
            raise ValidationError(f"{MISSHAPEN}\nday") from None


class YuanField(fields.String):
    """An amount in yuan with at most two decimals, as text; fen inside."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if type(value) is int:
            value = str(value)
        try:
            return money.fen(str(super()._deserialize(value, attr, data, **kwargs)), str(attr))
        except ValuationError:
            raise ValidationError(f"{MISSHAPEN}\n{YUAN}") from None


def day(title: str, *, hint: str = "", required: bool = True) -> fields.Field[Any]:
    """A day of the years that a calendar can count in; a `datetime.date` inside."""
    among = said(MISSHAPEN, f"day from {DAY_MIN} to {DAY_MAX}")
    return DayField(
        required=required, validate=validate.Range(DAY_MIN, DAY_MAX, error=among),
        metadata={**_told(title, hint, kind="day"), "format": "date"},
        error_messages={"invalid": said(MISSHAPEN, "day")},
    )  # fmt: skip


def yuan(title: str, *, hint: str = "", required: bool = True) -> fields.Field[Any]:
    """An amount of money; whole fen inside."""
    return YuanField(
        required=required, error_messages={"invalid": said(MISSHAPEN, YUAN)},
        metadata={**_told(title, hint, kind="yuan"), "pattern": "^(0|[1-9][0-9]{0,10})(\\.[0-9]{1,2})?$"},
    )  # fmt: skip


def texts(title: str, *, hint: str = "", choices: Mapping[str, str] | None = None, least: int = 1,
          source: str = "", required: bool | None = None, most: int = 200) -> fields.List[Any]:  # fmt: skip
    """A list of texts of `most` characters, at least `least`; `required` may be one that can be empty."""
    return fields.List(
        text(title, most=most, choices=choices), required=least > 0 if required is None else required,
        validate=validate.Length(min=least, max=500, error=said(EMPTY)),
        error_messages={"invalid": said(MISSHAPEN, "list")},
        metadata=_told(title, hint, kind="list", choices=dict(choices or {}), source=source),
    )  # fmt: skip


def group(title: str, schema: type[Schema], *, hint: str = "") -> fields.Nested:
    """A body within the body."""
    return fields.Nested(
        schema, required=True, unknown=RAISE, metadata=_told(title, hint, kind="group"),
        error_messages={"type": said(MISSHAPEN, "map"), "invalid": said(MISSHAPEN, "map")},
    )  # fmt: skip


def rows(title: str, schema: type[Schema], *, hint: str = "", least: int = 1) -> fields.List[Any]:
    """A list of bodies."""
    return fields.List(
        fields.Nested(schema, unknown=RAISE, error_messages={"type": said(MISSHAPEN, "map")}),
        required=least > 0, validate=validate.Length(min=least, max=200, error=said(EMPTY)),
        error_messages={"invalid": said(MISSHAPEN, "list")}, metadata=_told(title, hint, kind="rows"),
    )  # fmt: skip


def document(title: str, *, hint: str = "", required: bool = True) -> fields.Dict:
    """A map whose form the verb itself checks."""
    return fields.Dict(
        keys=fields.String(), required=required, metadata=_told(title, hint, kind="document"),
        error_messages={"invalid": said(MISSHAPEN, "map")},
    )  # fmt: skip


def terms(name: str, due: Mapping[str, str], labels: Mapping[str, str]) -> type[Schema]:
    """A body of long texts, one for each key of `due` (key → Chinese name); `labels` says it in English.

    What is missing is left to the verb, which names it with its place.
    """
    made = {key: text(labels[key], area=True, required=False, blank=True) for key in due}
    for one in made.values():
        one.metadata = {**one.metadata, "due": True}
    return type(name, (Body,), made)


def load(schema: type[Schema], given: Any) -> dict[str, Any]:
    """The body as the deed wants it; raises Invalid naming every fault with its place."""
    if not isinstance(given, Mapping):
        raise Invalid("The body must be a JSON object.")
    if "\x00" in texts_in(given):
        raise Invalid("A zero byte stands in what was given; no text here has one.")
    try:
        return dict(made(schema).load(given))
    except ValidationError as error:
        faults = Faults()
        for place, said in flat(error.messages):
            template, _, fact = SAID.get(said, said).partition("\n")
            last = place.rpartition(".")[2]
            faults.name_fault(
                template, place, name=last, key=last, form=fact, choices=fact, most=fact
            )
        raise Invalid("What was given does not fit: {faults}.", faults=faults) from None


@cache
def made(schema: type[Schema]) -> Schema:
    """The one instance of a body's form; making it costs more than using it."""
    return schema()


def texts_in(given: Any) -> str:
    """All texts in a value, one after the other."""
    if isinstance(given, Mapping):
        return "".join(f"{key}{texts_in(value)}" for key, value in given.items())
    if isinstance(given, list | tuple):
        return "".join(map(texts_in, given))
    return given if isinstance(given, str) else ""


def flat(messages: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """marshmallow's messages one by one, with their dotted place."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            here = place if key == "_schema" else f"{place}.{key}" if place else str(key)
            yield from flat(inner, here)
    elif isinstance(messages, list):
        for message in messages:
            yield from flat(message, place)
    else:
        yield place, str(messages)


def faults_by_place(error: LedgerError, translate: Any = str) -> dict[str, list[str]]:
    """The faults a refusal names, by their place in what was given."""
    found: dict[str, list[str]] = {}
    for fact in error.facts.values():
        if isinstance(fact, Faults):
            found |= fact.by_place(translate)
    return found


def _told(title: str, hint: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "hint": hint, "description": title, **more}
