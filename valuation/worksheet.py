"""A figure carries its derivation: named inputs, and steps whose formulas anyone can recompute exactly.

A step's formula (`formulas`) stands over the symbols of earlier steps; a step without formula is an input.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.formulas import bounded, can_name, evaluate, renamed
from valuation.money import exact_text, yuan

MAX_STEPS = 5_000

UNITS = {
    "fen": ("分", "fen (1/100 CNY)"),
    "1": ("无量纲", "pure number"),
    "per_period": ("每期", "fraction per period"),
    "count": ("个", "count"),
    "periods": ("期", "periods"),
}
"""Units of steps, with their names in Chinese and English."""

_EXACT = re.compile(r"(-?(?:0|[1-9][0-9]{0,3999}))(?:/([1-9][0-9]{0,3999}))?")


@dataclass(frozen=True)
class Step:
    """One line of a derivation: what it is called, how it follows, what it is worth, and who says so.

    `formula` is empty for an input. `value` is exact, in `unit` (a key of `UNITS`). `source` names the
    paragraph or the basis. `rounding` says how the formula rounds, empty where it does not.
    """

    symbol: str
    zh: str
    en: str
    formula: str
    value: Fraction
    unit: str
    source: str
    rounding: str = ""

    def to_dict(self) -> dict[str, str]:
        """The step in canonical JSON types; the value is an exact text such as ``"7/100"``."""
        return {
            "en": self.en,
            "formula": self.formula,
            "rounding": self.rounding,
            "source": self.source,
            "symbol": self.symbol,
            "unit": self.unit,
            "value": exact_text(self.value),
            "zh": self.zh,
        }

    @classmethod
    def from_dict(cls, data: object, where: str = "step") -> "Step":
        """The step that `to_dict` wrote; raises InputError for anything else."""
        keys = ("en", "formula", "rounding", "source", "symbol", "unit", "value", "zh")
        entries = inputs.mapping(data, where, keys)
        for key in keys:
            if not isinstance(entries[key], str):
                raise InputError(f"{where}.{key}", "must be a text")
            inputs.encodable(entries[key], f"{where}.{key}")
        match = _EXACT.fullmatch(entries["value"])
        value = Fraction(int(match[1]), int(match[2] or 1)) if match else None
        if value is None or exact_text(value) != entries["value"]:
            raise InputError(f"{where}.value", "is not an exact number in lowest terms")
        return cls(**{**entries, "value": value})


@dataclass(frozen=True)
class Note:
    """A sentence that belongs to a figure: an assumption, a limit, a caution."""

    zh: str
    en: str

    def to_dict(self) -> dict[str, str]:
        """The note in canonical JSON types."""
        return {"en": self.en, "zh": self.zh}


@dataclass(frozen=True)
class Figure:
    """A value together with everything from which it follows.

    `result` is the symbol of the step that is the answer; `outputs` are the symbols worth showing with it.
    `document` is the input document where `methods.run` made the figure, else None.
    """

    method: str
    version: str
    result: str
    steps: tuple[Step, ...]
    outputs: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    document: dict[str, Any] | None = field(default=None, hash=False)

    def __getitem__(self, symbol: str) -> Step:
        """The step called `symbol`; raises KeyError where there is none."""
        for step in self.steps:
            if step.symbol == symbol:
                return step
        raise KeyError(symbol)

    @property
    def value(self) -> Fraction:
        """The exact value of the result, in `unit`."""
        return self[self.result].value

    @property
    def unit(self) -> str:
        """The unit of the result, a key of `UNITS`."""
        return self[self.result].unit

    @property
    def value_fen(self) -> int:
        """The result in fen; raises InputError where the figure is not an amount of whole fen."""
        if self.unit != "fen" or self.value.denominator != 1:
            raise InputError("figure", f"is no amount of money, but {self.unit}")
        return self.value.numerator

    def display(self) -> str:
        """The result as text for a person: yuan with two decimals, or an exact number."""
        return yuan(self.value_fen) if self.unit == "fen" else exact_text(self.value)

    def to_dict(self) -> dict[str, Any]:
        """The figure in canonical JSON types (design §4): no floats, ASCII keys."""
        return {
            "document": self.document,
            "method": self.method,
            "notes": [note.to_dict() for note in self.notes],
            "outputs": list(self.outputs),
            "result": self.result,
            "steps": [step.to_dict() for step in self.steps],
            "unit": self.unit,
            "v": 1,
            "value": exact_text(self.value),
            "version": self.version,
        }

    @classmethod
    def from_dict(cls, data: object) -> "Figure":
        """The figure that `to_dict` wrote; raises InputError for anything else.

        Its form is checked, not its arithmetic: that is `recompute`.
        """
        keys = (
            "document",
            "method",
            "notes",
            "outputs",
            "result",
            "steps",
            "unit",
            "v",
            "value",
            "version",
        )
        entries = inputs.mapping(data, "", keys)
        if entries["v"] != 1 or isinstance(entries["v"], bool):
            raise InputError("v", "must be 1")
        if entries["document"] is not None and not isinstance(entries["document"], dict):
            raise InputError("document", "must be an object or null")
        steps = inputs.sequence(entries["steps"], "steps", 1, MAX_STEPS)
        notes = [
            inputs.mapping(note, f"notes[{k}]", ("en", "zh"))
            for k, note in enumerate(inputs.sequence(entries["notes"], "notes", 0))
        ]
        outputs = inputs.sequence(entries["outputs"], "outputs", 0)
        figure = cls(
            method=inputs.text(entries["method"], "method"),
            version=inputs.text(entries["version"], "version"),
            result=inputs.text(entries["result"], "result"),
            steps=tuple(Step.from_dict(step, f"steps[{k}]") for k, step in enumerate(steps)),
            outputs=tuple(inputs.text(name, f"outputs[{k}]") for k, name in enumerate(outputs)),
            notes=tuple(
                Note(
                    inputs.text(note["zh"], f"notes[{k}].zh"),
                    inputs.text(note["en"], f"notes[{k}].en"),
                )
                for k, note in enumerate(notes)
            ),
            document=entries["document"],
        )
        names = {step.symbol for step in figure.steps}
        for where, name in [
            ("result", figure.result),
            *(("outputs", out) for out in figure.outputs),
        ]:
            if name not in names:
                raise InputError(where, f"names {name!r}, which no step is called")
        for key, own in (("value", exact_text(figure.value)), ("unit", figure.unit)):
            if entries[key] != own:
                raise InputError(key, f"is not that of the step {figure.result}")
        return figure


def recompute(figure: "Figure | Mapping[str, Any]") -> Fraction:
    """Return the value that follows from the inputs alone, if every step agrees with what is written.

    Raises InputError whose field is the symbol of the first step that differs (or that cannot be
    computed, refers to a later step, or bears a name used before). Takes a figure or its `to_dict` form.
    That the steps are those of the method is what `methods.verify` checks in addition.

    >>> sheet = Worksheet()
    >>> _ = sheet.given("C", "成本", "cost", 1000, "fen", "books")
    >>> _ = sheet.step("P", "价值", "value", "C * 0.9", "fen", "example")
    >>> data = sheet.figure("example", "1", "P").to_dict()
    >>> recompute(data)
    Fraction(900, 1)
    >>> data["steps"][0]["value"] = "2000"
    >>> recompute(data)
    Traceback (most recent call last):
    valuation.InputError: P: differs: its formula does not give the value written
    """
    known = figure if isinstance(figure, Figure) else Figure.from_dict(figure)
    values: dict[str, Fraction] = {}
    for step in known.steps:
        _check_name(step.symbol, values)
        if step.formula:
            try:
                value = evaluate(step.formula, values)
            except InputError as error:
                raise InputError(step.symbol, f"cannot be recomputed: {error.sentence}") from None
            if value != step.value:
                raise InputError(
                    step.symbol, "differs: its formula does not give the value written"
                )
        if step.unit not in UNITS:
            raise InputError(step.symbol, f"has the unknown unit {step.unit!r}"[:100])
        values[step.symbol] = step.value
    if known.result not in values:
        raise InputError(known.result[:60], "is called the result, but is no step")
    return values[known.result]


class Worksheet:
    """A derivation under construction; it computes each step by evaluating the step's own formula.

    >>> sheet = Worksheet()
    >>> sheet.given("C", "成本", "cost", Fraction(1000), "fen", "books")
    Fraction(1000, 1)
    >>> sheet.step("P", "价值", "value", "round_half_up(C * 0.9)", "fen", "example", "half up to 1 fen")
    Fraction(900, 1)
    >>> sheet.figure("example", "1", "P").display()
    '9.00'
    """

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._values: dict[str, Fraction] = {}
        self._notes: list[Note] = []

    def given(
        self, symbol: str, zh: str, en: str, value: Fraction | int, unit: str, source: str
    ) -> Fraction:
        """Write an input down and return its value."""
        return self._write(Step(symbol, zh, en, "", Fraction(value), unit, source))

    def step(
        self,
        symbol: str,
        zh: str,
        en: str,
        formula: str,
        unit: str,
        source: str,
        rounding: str = "",
    ) -> Fraction:
        """Write a derived line down and return the value of its formula."""
        value = evaluate(formula, self._values)
        return self._write(Step(symbol, zh, en, formula, value, unit, source, rounding))

    def note(self, zh: str, en: str) -> None:
        """Write down an assumption, a limit or a caution."""
        self._notes.append(Note(zh, en))

    def include(self, figure: Figure, prefix: str) -> str:
        """Take all steps of another figure over under prefixed symbols; return its result's new symbol."""
        for step in figure.steps:
            formula = renamed(step.formula, prefix)
            self._write(
                Step(
                    prefix + step.symbol,
                    step.zh,
                    step.en,
                    formula,
                    step.value,
                    step.unit,
                    step.source,
                    step.rounding,
                )
            )
        self._notes.extend(figure.notes)
        return prefix + figure.result

    def figure(
        self, method: str, version: str, result: str, outputs: tuple[str, ...] = ()
    ) -> Figure:
        """The finished figure; its notes are those written, each once."""
        return Figure(
            method,
            version,
            result,
            tuple(self._steps.values()),
            outputs or (result,),
            tuple(dict.fromkeys(self._notes)),
        )

    def _write(self, step: Step) -> Fraction:
        _check_name(step.symbol, self._values)
        assert step.unit in UNITS, step.unit
        bounded(step.value)
        self._steps[step.symbol] = step
        self._values[step.symbol] = step.value
        return step.value


def _check_name(symbol: str, taken: Mapping[str, object]) -> None:
    if not can_name(symbol):
        raise InputError(symbol[:60] or "symbol", "cannot be the name of a step")
    if symbol in taken:
        raise InputError(symbol, "is the name of two steps")
