"""Why a value is not what it was: two figures of one method, and the effect of every input that changed.

The inputs are changed from old to new one after the other, in the order in which the method describes them,
and the method is run exactly each time. An effect is the value after its change minus the value before it,
so the effects sum to the difference to the fen. The order matters: another order splits the same difference
otherwise, since inputs work on each other (`ORDER` says so, and stands in what is handed out).

What is one change:

- an input that differs; a text (a name, a basis) changes no value and is only named, in `texts`;
- an entry of a list that was added or removed. Entries are matched by their name (factors, comparables,
  parts, figures of a reconciliation by their method), periods by their place;
- the weights of one list together, with the entries added or removed there: they sum to 1 only together;
- inputs that the method refuses one at a time go together with the next ones.

Where there are very many, inputs are changed by the next larger group (a comparable, a list), so that the
time is bounded. Another method, version or model is not comparable step by step: `reason` says which, and
there are the two values alone. Within a reconciliation, another model of one approach is one change.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from valuation import InputError, ValuationError, inputs, methods
from valuation.descriptions import DESCRIPTIONS
from valuation.fields import Field
from valuation.money import exact_text, ratio
from valuation.worksheet import Figure, Note

ORDER = Note(
    "各项影响按方法说明所列输入的顺序逐项替换、逐次重算得出，合计等于差额；顺序不同，各项影响的分摊也不同。",
    "Each effect is found by changing the inputs one after the other, in the order in which the method "
    "describes them, and computing again each time; they sum to the difference. Another order splits it "
    "otherwise.",
)
"""What must be said wherever the effects are shown."""

REASONS = {
    "method": ("方法不同", "another method"),
    "version": ("方法版本不同", "another version of the method"),
    "model": ("收益预测模型不同", "another model"),
}
"""Why two figures are not comparable step by step, in Chinese and English."""

MAX_WORK = 50_000
"""Steps computed for one comparison, about; larger figures are compared in larger groups."""

_MISSING: Any = object()
_NAMED_BY = (("name", "name"), ("zh", "en"))  # an entry's names in Chinese and English
_WEIGHTS = "*weights"  # the group of all weights of one list; no input is called so
_Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Change:
    """One input that differs: its path in the inputs, its names, and what it was and is (JSON, or None).

    `unit` is ``fen`` for an amount, else the unit of the method's description.
    """

    at: str
    zh: str
    en: str
    unit: str
    old: Any = field(hash=False)
    new: Any = field(hash=False)

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    def to_dict(self) -> dict[str, Any]:
        """The change in canonical JSON types."""
        return {
            "at": self.at,
            "en": self.en,
            "kind": self.kind,
            "new": self.new,
            "old": self.old,
            "unit": self.unit,
            "zh": self.zh,
        }


@dataclass(frozen=True)
class Effect:
    """What one change, or several that go together, did to the value: `value_fen` is the value after it."""

    zh: str
    en: str
    changes: tuple[Change, ...]
    effect_fen: int
    value_fen: int

    def to_dict(self) -> dict[str, Any]:
        """The effect in canonical JSON types."""
        return {
            "changes": [change.to_dict() for change in self.changes],
            "effect_fen": self.effect_fen,
            "en": self.en,
            "value_fen": self.value_fen,
            "zh": self.zh,
        }


@dataclass(frozen=True)
class Pair:
    """One step that both figures have, with its exact values."""

    symbol: str
    zh: str
    en: str
    unit: str
    old: str
    new: str

    def to_dict(self) -> dict[str, str]:
        """The pair in canonical JSON types."""
        return {
            "en": self.en,
            "new": self.new,
            "old": self.old,
            "symbol": self.symbol,
            "unit": self.unit,
            "zh": self.zh,
        }


@dataclass(frozen=True)
class Comparison:
    """Two values, their difference, and what it is made of: Σ effect_fen = difference_fen.

    With a `reason` (a key of `REASONS`) there are no effects. `texts` are the paths of changed texts.
    """

    method: str
    old_fen: int
    new_fen: int
    reason: str
    effects: tuple[Effect, ...]
    texts: tuple[str, ...]
    steps: tuple[Pair, ...]

    @property
    def difference_fen(self) -> int:
        """The new value minus the old one."""
        return self.new_fen - self.old_fen

    def to_dict(self) -> dict[str, Any]:
        """The comparison in canonical JSON types (design §4)."""
        return {
            "difference_fen": self.difference_fen,
            "effects": [effect.to_dict() for effect in self.effects],
            "method": self.method,
            "new_fen": self.new_fen,
            "old_fen": self.old_fen,
            "order": ORDER.to_dict(),
            "reason": self.reason,
            "steps": [pair.to_dict() for pair in self.steps],
            "texts": list(self.texts),
            "v": 1,
        }


def compare(old: Figure, new: Figure) -> Comparison:
    """Return how the value of `old` became that of `new`, with effects that sum to the difference.

    effect_k = P(inputs 1..k new, the others old) - P(inputs 1..k-1 new, the others old), in fen

    Parameters
    ----------
    old, new : figures in fen that carry their documents, as `methods.run` makes them

    Raises
    ------
    InputError : a figure that is no amount, has no document, or does not recompute (``old…``, ``new…``)

    Source: ours; the law asks for no particular way of explaining a difference.

    Examples
    --------
    >>> given = {"preparatory_fen": 0, "direct_fen": 1_000_00, "indirect_fen": 0, "opportunity_fen": 0,
    ...     "taxes_fen": 0, "factors": [{"zh": "质量", "en": "quality", "value": "0.9", "basis": "评价"}]}
    >>> old = methods.run({"method": "cost", "version": "1", "inputs": given})
    >>> more = [{**given["factors"][0], "value": "0.8"}]
    >>> new = methods.run({"method": "cost", "version": "1",
    ...     "inputs": {**given, "direct_fen": 2_000_00, "factors": more}})
    >>> told = compare(old, new)
    >>> [(effect.changes[0].at, effect.effect_fen) for effect in told.effects], told.difference_fen
    ([('direct_fen', 90000), ('factors[0].value', -20000)], 70000)
    """
    reason = _reason(_document("old", old), _document("new", new))
    if reason != "version":
        for name, figure in (("old", old), ("new", new)):
            with _naming(name):
                methods.verify(figure)
    effects: list[Effect] = []
    texts: list[str] = []
    if not reason:
        places = _places(old.document, new.document)
        texts = [place.change.at for place in places if place.is_text]
        effects = _effects(old, new, [place for place in places if not place.is_text])
    known = {(step.symbol, step.zh, step.unit): step for step in old.steps}
    return Comparison(
        new.method, old.value_fen, new.value_fen, reason, tuple(effects), tuple(texts),
        tuple(
            Pair(step.symbol, step.zh, step.en, step.unit, exact_text(before.value), exact_text(step.value))
            for step in new.steps
            if (before := known.get((step.symbol, step.zh, step.unit))) is not None
        ),
    )  # fmt: skip


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Say of which figure a refusal speaks."""
    try:
        yield
    except InputError as error:
        raise InputError.of([(f"{name}.{where}", what) for where, what in error.problems]) from None


def _document(name: str, figure: Figure) -> Mapping[str, Any]:
    """The document of a figure that is an amount; raises InputError for another one."""
    with _naming(name):
        _ = figure.value_fen
        if figure.document is None:
            raise InputError("document", "is missing, so that nothing can be computed again")
        document = inputs.in_fen(figure.document)
        return inputs.mapping(document, "document", ("method", "version", "inputs"))


def _reason(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Why the two are not comparable step by step; empty where they are."""
    if old["method"] != new["method"]:
        return "method"
    if not (_is_known(old) and _is_known(new)):
        return "version"
    return "model" if _model(old) != _model(new) else ""


def _is_known(value: Any) -> bool:
    """Whether every document in a value is of a method and version known here."""
    if isinstance(value, list):
        return all(map(_is_known, value))
    if not isinstance(value, Mapping):
        return True
    if {"method", "version", "inputs"} <= value.keys():
        known = DESCRIPTIONS.get(str(value["method"]))
        return (
            known is not None and value["version"] == known.version and _is_known(value["inputs"])
        )
    return all(map(_is_known, value.values()))


def _model(document: Mapping[str, Any]) -> Any:
    given = document["inputs"]
    return given.get("model") if isinstance(given, Mapping) else None


def _effects(old: Figure, new: Figure, places: "list[_Place]") -> list[Effect]:
    """Change one group after the other, and run the method each time."""
    most = max(5, MAX_WORK // max(len(old.steps), len(new.steps)))
    value, done, waiting = old.value_fen, set[_Path](), list[_Place]()
    effects: list[Effect] = []

    def computed() -> int:
        return methods.run(_merged(old.document, new.document, done)).value_fen

    assert computed() == value, "the order of a named list counts"
    for group in _groups(places, most):
        waiting += group
        done.update(place.path for place in group)
        try:
            after = computed()
        except ValuationError:
            continue  # refused without the next ones
        effects.append(_effect([place.change for place in waiting], after - value, after))
        value, waiting = after, []
    assert (value, waiting) == (new.value_fen, [])
    return effects


def _effect(changes: list[Change], effect_fen: int, value_fen: int) -> Effect:
    """One line: what changed, by name, and its effect."""
    zh, en = "、".join(one.zh for one in changes[:3]), ", ".join(one.en for one in changes[:3])
    if len(changes) > 3:
        zh, en = f"{zh} 等{len(changes)}项", f"{en} and {len(changes) - 3} more"
    return Effect(zh, en, tuple(changes), effect_fen, value_fen)


def _groups(places: "list[_Place]", most: int) -> "list[list[_Place]]":
    """The places in groups that change together: by input, or by as large a part as makes `most`, about."""
    depth = max((len(place.group) for place in places), default=0)
    while True:
        found: dict[_Path, list[_Place]] = {}
        last: dict[_Path, int] = {}
        for k, place in enumerate(places):
            found.setdefault(place.group[:depth], []).append(place)
            for n in range(1, len(place.path)):
                last[place.path[:n]] = k
        if len(found) <= most or depth <= 1:
            break
        depth -= 1
    at = {id(place): k for k, place in enumerate(places)}

    def turn(group: _Path) -> tuple[int, int]:
        # weights come when all else in their list has changed
        return (last[group[:-1]], 1) if group[-1] == _WEIGHTS else (at[id(found[group][0])], 0)

    return [found[group] for group in sorted(found, key=turn)]


# -- the tree of the inputs --------------------------------------------------------------------


@dataclass(frozen=True)
class _At:
    """A place of the inputs that is walked through: its paths, its names, and what may stand there."""

    path: _Path = ()
    text: str = ""
    zh: tuple[str, ...] = ()
    en: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    kind: str = ""
    unit: str = ""
    group: _Path | None = None  # where it is not the place alone

    def below(self, key: str) -> "_At":
        """The entry `key` of an object."""
        known = next((one for one in self.fields if key in (one.key, f"{one.key}_fen")), None)
        zh, en = (key, key) if known is None else (_short(known.zh), _short(known.en))
        weighs = key == "weight" and self.path and isinstance(self.path[-1], int)
        unit = "fen" if key.endswith("_fen") else "" if known is None else known.unit
        return _At(
            (*self.path, key), f"{self.text}.{key}" if self.text else key,
            (*self.zh, zh), (*self.en, en), () if known is None else known.fields,
            "" if known is None else known.kind, unit,
            (*self.path[:-1], _WEIGHTS) if weighs else None,
        )  # fmt: skip


@dataclass(frozen=True)
class _Place:
    """A place where the two differ, and the group that it changes with."""

    path: _Path
    group: _Path
    change: Change
    is_text: bool


_Pick = Callable[[_At, Any, Any], Any]


def _places(old: Any, new: Any) -> list[_Place]:
    """All places where two documents of one method differ, in the order of its description."""
    places: list[_Place] = []

    def note(at: _At, was: Any, now: Any) -> Any:
        told = [None if value is _MISSING else value for value in (was, now)]
        change = Change(at.text, " · ".join(at.zh), " · ".join(at.en), at.unit, *told)
        places.append(_Place(at.path, at.group or at.path, change, at.kind == "text"))
        return was

    _walk_document(old, new, _At(), note)
    return places


def _merged(old: Any, new: Any, done: set[_Path]) -> dict[str, Any]:
    """The old document with the new inputs at the places `done`, and the new texts."""

    def pick(at: _At, was: Any, now: Any) -> Any:
        return now if at.kind == "text" or at.path in done else was

    return dict(_walk_document(old, new, _At(), pick))


def _walk_document(
    old: Mapping[str, Any], new: Mapping[str, Any], at: _At, pick: _Pick
) -> Mapping[str, Any]:
    fields = DESCRIPTIONS[new["method"]].fields
    text = f"{at.text}.inputs" if at.text else ""
    inside = replace(at, path=(*at.path, "inputs"), text=text, fields=fields)
    return {**new, "inputs": _walk(old["inputs"], new["inputs"], inside, pick)}


def _walk(old: Any, new: Any, at: _At, pick: _Pick) -> Any:
    """The tree that has, wherever the two differ, what `pick` says."""
    if old is _MISSING or new is _MISSING:
        return pick(at, old, new)
    if _same(old, new):
        return new
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if at.path and at.path[-1] == "document":  # of a reconciliation: the figure's name says it
            at = replace(at, zh=at.zh[:-1], en=at.en[:-1])
            is_like = old["method"] == new["method"] and _model(old) == _model(new)
            return _walk_document(old, new, at, pick) if is_like else pick(at, old, new)
        order = [name for one in at.fields for name in (one.key, f"{one.key}_fen")]
        keys = sorted({*old, *new}, key=lambda key: (key not in order, *_index(order, key), key))
        walked = {
            key: _walk(old.get(key, _MISSING), new.get(key, _MISSING), at.below(key), pick)
            for key in keys
        }
        return {key: value for key, value in walked.items() if value is not _MISSING}
    if isinstance(old, list) and isinstance(new, list):
        entries = [_walk(was, now, one, pick) for one, was, now in _entries(old, new, at)]
        return [value for value in entries if value is not _MISSING]
    return pick(at, old, new)


def _entries(old: list[Any], new: list[Any], at: _At) -> Iterator[tuple[_At, Any, Any]]:
    """The entries of two lists side by side: by name where each has one of its own, else by place."""
    names = [[_named(entry) for entry in entries] for entries in (old, new)]
    by_place = at.path[-1] == "periods" or any(
        None in known or len(set(known)) < len(known) for known in names
    )
    pairs: list[tuple[int, int]]  # places in both, -1 for none
    if by_place:
        longest = range(max(len(old), len(new)))
        pairs = [(k if k < len(old) else -1, k if k < len(new) else -1) for k in longest]
    else:
        known = {name: k for k, name in enumerate(names[0])}
        pairs = [(known.get(name, -1), k) for k, name in enumerate(names[1])]
        pairs += [(k, -1) for name, k in known.items() if name not in names[1]]
    for before, after in pairs:
        was = _MISSING if before < 0 else old[before]
        now = _MISSING if after < 0 else new[after]
        entry, k = (was, before) if after < 0 else (now, after)
        name = None if by_place else _named(entry)
        if name is None:
            zh, en = (*at.zh, f"第{k + 1}项"), (*at.en, f"no. {k + 1}")
        else:
            zh, en = (*at.zh[:-1], name[0]), (*at.en[:-1], name[1])
        weighs = isinstance(entry, Mapping) and "weight" in entry and _MISSING in (was, now)
        yield _At(
            (*at.path, k if after >= 0 else -1 - k), f"{at.text}[{k}]", zh, en, at.fields,
            group=(*at.path, _WEIGHTS) if weighs else None,
        ), was, now  # fmt: skip


def _named(entry: Any) -> tuple[str, str] | None:
    """What an entry of a list is called; the figure of a reconciliation by its method."""
    if not isinstance(entry, Mapping):
        return None
    if isinstance(entry.get("document"), Mapping):
        method = DESCRIPTIONS[entry["document"]["method"]]
        return method.zh, method.en
    for zh, en in _NAMED_BY:
        if isinstance(entry.get(zh), str):
            return entry[zh], str(entry.get(en, entry[zh]))
    return None


def _same(old: Any, new: Any) -> bool:
    """Whether two inputs say the same; 0.5 and 1/2 do."""
    if old == new:
        return True
    try:
        return ratio(old) == ratio(new)
    except InputError:
        return False


def _short(name: str) -> str:
    """A name without what stands in brackets after it."""
    return re.sub(r"\s*[((].*", "", name)


def _index(order: list[str], key: str) -> tuple[int, ...]:
    return (order.index(key),) if key in order else ()
