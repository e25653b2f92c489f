"""Several values of one asset become one by stated weights, each with its reason. P = Σ w_k · P_k.

The guidance wants the approaches compared and the choice explained; it states no weights, so they are an
input. Source: 数据资产评估指导意见 (中评协〔2023〕17号), from memory, to be verified.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.money import exact_text
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
SOURCE = "中评协〔2023〕17号 多种方法结果的分析 (from memory, to be verified 待核实); weights: ours"


def reconcile(figures: Sequence[tuple[Figure, str | int | Fraction, str]]) -> Figure:
    """Return the weighted mean of several figures in fen, rounded once at the end, half up.

    Parameters
    ----------
    figures : 1 to 20 triples (figure in fen, weight from 0 to 1, reason); the weights sum to exactly 1

    Returns
    -------
    Figure : with all steps of the figures; where each of them carries its document, so does this one, and
        `methods.verify` can run it again

    Raises
    ------
    InputError : ``figures[k]…`` where a figure is no amount, a weight is out of range, a reason is missing

    Examples
    --------
    >>> from valuation import cost
    >>> rest = dict.fromkeys(("preparatory_fen", "indirect_fen", "opportunity_fen", "taxes_fen"), 0)
    >>> one, other = (cost.appraise(**rest, direct_fen=f, factors=[]) for f in (90000, 100000))
    >>> reconcile([(one, "0.4", "资料完整"), (other, "0.6", "资料较新")]).display()
    '960.00'
    """
    sheet = Worksheet()
    total, terms = Fraction(0), []
    documents: list[dict[str, Any]] = []
    for k, (figure, weight, reason) in enumerate(
        inputs.sequence(figures, "figures", 1, 20), start=1
    ):
        field = f"figures[{k - 1}]"
        if not isinstance(figure, Figure) or figure.unit != "fen":
            raise InputError(field, "is no figure in fen")
        exact = inputs.number(weight, f"{field}.weight", least=0, most=1)
        why = inputs.text(reason, f"{field}.reason")
        value = sheet.include(figure, f"m{k}_")
        zh, en = f"{figure.method} 的权重", f"weight of {figure.method}"
        total += sheet.given(f"w_{k}", zh, en, exact, "1", why)
        terms.append(f"w_{k} * {value}")
        if figure.document is not None:
            entry = {"document": figure.document, "reason": why, "weight": exact_text(exact)}
            documents.append(entry)
    if total != 1:
        raise InputError(
            "figures", f"have weights that sum to {exact_text(total)}, but must sum to 1"
        )
    sheet.step(
        "P",
        "评估值(综合)",
        "value, reconciled",
        f"round_half_up(sum({', '.join(terms)}))",
        "fen",
        SOURCE,
        "四舍五入至分 half up to 1 fen",
    )
    figure = sheet.figure("reconcile", VERSION, "P", ("P",))
    if len(documents) < len(terms):
        return figure
    whole = {"inputs": {"figures": documents}, "method": "reconcile", "version": VERSION}
    return replace(figure, document=whole)
