"""Why a statement is another amount than last time, in sentences that a report can take over.

Read from the answer of `statement.comparison`; causes that change nothing are not spoken of.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from valuation.differences import CAUSES
from valuation.money import round_half_up, yuan
from webapp.language import language, tr
from webapp.wording import in_groups, spoken

# Why a payee's line differs, as a part of a sentence.
OF_LINE = {
    "amount": "the amount shared", "facts": "the stated costs", "edition": "the edition of the scheme",
    "rounding": "rounding carried over",
}  # fmt: skip
assert tuple(OF_LINE) == CAUSES


def amount_in_words(found: Mapping[str, Any]) -> str:
    """Why the whole amount differs; empty where there is no statement before."""
    if not found["before"]:
        return ""
    amount, (was, now) = found["amount"], found["spans"]
    facts = {
        "amount": _money(amount["after_fen"]), "before": found["before"], "before_from": was["from_on"],
        "before_until": was["until_on"], "change": _money(abs(amount["change_fen"])),
        "from_on": now["from_on"], "number": found["statement"], "until_on": now["until_on"],
        "was": _money(amount["before_fen"]),
    }  # fmt: skip
    if amount["change_fen"] > 0:
        first = tr(
            "Statement {number} ({from_on} to {until_on}) shares {amount} yuan, {change} yuan more{share} "
            "than {before} ({before_from} to {before_until}), which shared {was} yuan.",
            share=_share(amount), **facts,
        )  # fmt: skip
    elif amount["change_fen"] < 0:
        first = tr(
            "Statement {number} ({from_on} to {until_on}) shares {amount} yuan, {change} yuan less{share} "
            "than {before} ({before_from} to {before_until}), which shared {was} yuan.",
            share=_share(amount), **facts,
        )  # fmt: skip
    else:
        first = tr(
            "Statement {number} ({from_on} to {until_on}) shares {amount} yuan, as much as {before} "
            "({before_from} to {before_until}).",
            **facts,
        )
    told = _of_it((reason, amount[f"{cause}_fen"]) for cause, reason in _of_amount(found))
    return _one_after_the_other(first, told)


def lines_in_words(found: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Why each payee's line differs, for the lines that do."""
    made = []
    for one in found["lines"]:
        facts = {
            "amount": _money(one["after_fen"]), "change": _money(abs(one["change_fen"])),
            "heading": one[language()], "payee": names.get(one["party"], one["party"]),
        }  # fmt: skip
        told = _of_it((tr(OF_LINE[cause]), one["by"][cause]) for cause in CAUSES)
        if one["change_fen"] > 0:
            first = tr(
                "{payee} ({heading}) gets {amount} yuan, {change} yuan more than last time.",
                **facts,
            )
        elif one["change_fen"] < 0:
            first = tr(
                "{payee} ({heading}) gets {amount} yuan, {change} yuan less than last time.",
                **facts,
            )
        elif told:
            first = tr("{payee} ({heading}) gets {amount} yuan, as much as last time.", **facts)
        else:
            continue
        made.append(_one_after_the_other(first, told))
    return made


def _of_amount(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each cause of the whole, and what became of it."""
    was, now = found["takings"]
    counts = {"before": f"{was['trade_count']:,}", "now": f"{now['trade_count']:,}"}
    by_quantity = found["amount"]["by"] == "quantity"
    volume = (
        tr("more or less was sold") if by_quantity
        else tr("the number of trades went from {before} to {now}", **counts)
    )  # fmt: skip
    price = (
        tr("the average price of a unit changed") if by_quantity
        else tr("the average value of a trade went from {before} to {now} yuan",
                before=_each(was), now=_each(now))
    )  # fmt: skip
    refunds, late = (
        {"before": _money(sign * was[key]), "now": _money(sign * now[key])}
        for key, sign in (
            ("refunds_fen", -1),
            ("late_fen", 1),
        )  # a refund is told as what was paid back
    )
    return [
        ("volume", volume), ("price", price),
        ("refunds", tr("refunds went from {before} to {now} yuan", **refunds)),
        ("late", tr("what was entered late went from {before} to {now} yuan", **late)),
    ]  # fmt: skip


def _money(fen: int) -> str:
    return in_groups(yuan(fen))


def _each(taken: Mapping[str, Any]) -> str:
    return _money(round_half_up(Fraction(taken["trades_fen"], taken["trade_count"] or 1)))


def _share(amount: Mapping[str, Any]) -> str:
    """The change in per cent of the amount before, in brackets; nothing of nothing."""
    if amount["before_fen"] <= 0:
        return ""
    thousandths = round_half_up(Fraction(1000 * abs(amount["change_fen"]), amount["before_fen"]))
    share = f"{thousandths // 10}.{thousandths % 10}%"
    return spoken(f"（{share}）", f" ({share})")


def _of_it(parts: Iterable[tuple[str, int]]) -> str:
    """What each cause added or took, those of nothing left out."""
    told = [
        tr("{reason}: {fen} yuan more", reason=reason, fen=_money(fen)) if fen > 0
        else tr("{reason}: {fen} yuan less", reason=reason, fen=_money(-fen))
        for reason, fen in parts if fen
    ]  # fmt: skip
    return tr("Of it: {parts}.", parts=spoken("；", "; ").join(told)) if told else ""


def _one_after_the_other(first: str, then: str) -> str:
    return spoken("", " ").join(text for text in (first, then) if text)
