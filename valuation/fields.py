"""How a method describes itself: its input fields, its formula, its source (all: `descriptions`)."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """One input: its key (amounts without ``_yuan``/``_fen``), kind, unit, bounds in words, and names.

    `kind` is money, ratio, integer, text, choice, list or object; `fields` are the entries of an object,
    or of each object of a list. `only` names the choices of `model` for which the field is asked.
    """

    key: str
    kind: str
    zh: str
    en: str
    unit: str = ""
    bounds: str = ""
    choices: tuple[str, ...] = ()
    fields: "tuple[Field, ...]" = ()
    optional: bool = False
    only: tuple[str, ...] = ()
    unless: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The description in JSON types."""
        lists = {key: list(getattr(self, key)) for key in ("choices", "only")}
        return {**asdict(self), **lists, "fields": [field.to_dict() for field in self.fields]}


@dataclass(frozen=True)
class Description:
    """What a method is called, what it computes, where that stands, and what it asks for."""

    zh: str
    en: str
    formula: str
    source: str
    version: str
    fields: tuple[Field, ...]

    def to_dict(self) -> dict[str, Any]:
        """The description in JSON types."""
        return {**asdict(self), "fields": [field.to_dict() for field in self.fields]}


BASIS = Field("basis", "text", "依据", "basis")
NAME = Field("name", "text", "名称", "name")
WEIGHT = Field("weight", "ratio", "权重", "weight", "1", "> 0")
CURRENCY = Field(
    "currency", "choice", "币种(各金额)", "currency of all amounts", choices=("CNY",), optional=True
)


def money(key: str, zh: str, en: str, bounds: str = ">= 0", **more: Any) -> Field:
    """Return the field of an amount, asked for in yuan or fen.

    >>> money("cap_fen", "上限", "cap").key
    'cap'
    """
    return Field(key.removesuffix("_fen"), "money", zh, en, "CNY", bounds, **more)


def factor(key: str, zh: str, en: str, bounds: str = "> 0", **more: Any) -> Field:
    """Return the field of an exact number.

    >>> factor("share", "比例", "share", "0 to 1").unit
    '1'
    """
    return Field(key, "ratio", zh, en, more.pop("unit", "1"), bounds, **more)
