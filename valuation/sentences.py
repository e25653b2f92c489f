"""A revenue scheme in plain sentences, Chinese and English, for whoever agrees to it.

One sentence for each step, in order; what stands within a band or an entry of a pool follows it, one level
deeper. Amounts are in yuan, shares as the scheme writes them and, where that is exact, in per cent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from valuation import schemes
from valuation.money import exact_text, ratio, yuan

Names = Mapping[str, str]


@dataclass(frozen=True)
class Sentence:
    """What a step does; `place` is its number, such as 2 or 2.1.3, `depth` how deep it stands (0, 1, 2)."""

    place: str
    depth: int
    zh: str
    en: str


def explain(scheme: Mapping[str, Any], names: Names | None = None) -> list[Sentence]:
    """Return a checked scheme sentence by sentence; `names` tells what to call a party instead.

    >>> scheme = schemes.check({"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "share", "party": "t", "label": {"zh": "上缴", "en": "treasury"}, "ratio": "1/8",
    ...      "least_yuan": "100.00"},
    ...     {"kind": "pool", "label": {"zh": "余额", "en": "the rest"}, "shares": [
    ...         {"party": "o", "share": "2/3"}, {"party": "h", "share": "1/3"}]}]})
    >>> for one in explain(scheme, {"t": "财政"}):
    ...     print(one.place, one.zh)
    1 上缴：余额的 1/8（12.5%）归财政，保底 100.00 元。
    2 余额：剩余全部按 o 2/3、h 1/3 分配。
    """
    return list(_explained(scheme["steps"], names or {}, "", 0))


def percent(value: str | int | Fraction) -> str:
    """Return a share in per cent where that is exact in at most four decimals, else an empty text.

    >>> percent("1/8"), percent("1/3")
    ('12.5', '')
    """
    scaled = ratio(value) * 1_000_000
    if scaled.denominator != 1:
        return ""
    return format((Decimal(int(scaled)) / 10_000).normalize(), "f")


def _explained(steps: list[Any], names: Names, before: str, depth: int) -> Iterator[Sentence]:
    for n, step in enumerate(steps, start=1):
        place = f"{before}{n}"
        zh, en = _TOLD[step["kind"]](step, names)
        label = step["label"]
        yield Sentence(place, depth, f"{label['zh']}：{zh}。", f"{label['en']}: {en}.")
        if step["kind"] == "contribution":
            continue
        for j, entry in enumerate(schemes.payees(step), start=1):
            if "steps" in entry:
                yield from _explained(entry["steps"], names, f"{place}.{j}.", depth + 1)


def _who(entry: Mapping[str, Any], names: Names, n: int) -> tuple[str, str]:
    """A payee; where there are steps instead, what they are called and where they are told."""
    if "party" in entry:
        name = names.get(entry["party"], entry["party"])
        return name, name
    label = entry.get("label", {"zh": f"第 {n} 档", "en": f"band {n}"})
    return f"“{label['zh']}”（另行分配，见下）", f"“{label['en']}” (shared out below)"


def _part(value: Any) -> tuple[str, str]:
    exact, told = exact_text(ratio(value)), percent(value)
    if not told or exact == told:
        return exact, exact
    return (f"{exact}（{told}%）", f"{exact} ({told} %)") if "/" in exact else (
        f"{told}%", f"{told} %")  # fmt: skip


def _fact(name: str) -> str:
    return name.removesuffix("_fen")


def _limits(entry: Mapping[str, Any]) -> tuple[str, str]:
    zh = en = ""
    if entry.get("least_fen"):
        zh += f"，保底 {yuan(entry['least_fen'])} 元"
        en += f", at least {yuan(entry['least_fen'])} yuan"
    if "most_fen" in entry:
        zh += f"，封顶 {yuan(entry['most_fen'])} 元"
        en += f", at most {yuan(entry['most_fen'])} yuan"
    return zh, en


def _recover(step: Mapping[str, Any], names: Names) -> tuple[str, str]:
    who = names.get(step["party"], step["party"])
    zh = f"先按申报成本（{_fact(step['fact'])}）补偿{who}"
    en = f"first {who} is paid back the stated cost ({_fact(step['fact'])})"
    if "cap_ratio" in step:
        part_zh, part_en = _part(step["cap_ratio"])
        zh += f"，不超过本层分配总额的 {part_zh}"
        en += f", at most {part_en} of the whole amount shared here"
    if "cap_fen" in step:
        zh += f"，不超过 {yuan(step['cap_fen'])} 元"
        en += f", at most {yuan(step['cap_fen'])} yuan"
    return zh, en


def _fixed(step: Mapping[str, Any], names: Names) -> tuple[str, str]:
    who = names.get(step["party"], step["party"])
    if "fact" in step:
        told = f"当期申报的金额（{_fact(step['fact'])}）", f"the sum stated ({_fact(step['fact'])})"
    else:
        told = f"固定金额 {yuan(step['amount_fen'])} 元", f"a fixed {yuan(step['amount_fen'])} yuan"
    return f"先付{who}{told[0]}，余额不足时付至余额为零", (
        f"{who} is first paid {told[1]}, or what is left if that is less"
    )


def _share(step: Mapping[str, Any], names: Names) -> tuple[str, str]:
    who, (part_zh, part_en), (limit_zh, limit_en) = (
        names.get(step["party"], step["party"]), _part(step["ratio"]), _limits(step)
    )  # fmt: skip
    return f"余额的 {part_zh}归{who}{limit_zh}", (
        f"{part_en} of what is left goes to {who}{limit_en}"
    )


def _tiers(step: Mapping[str, Any], names: Names) -> tuple[str, str]:
    zh, en, below = [], [], ""
    for n, band in enumerate(step["bands"], start=1):
        (who_zh, who_en), (part_zh, part_en) = _who(band, names, n), _part(band["ratio"])
        top = yuan(band["up_to_fen"]) if "up_to_fen" in band else ""
        if top and below:
            span = f"超过 {below} 元至 {top} 元的部分", f"from {below} to {top} yuan"
        elif top:
            span = f"不超过 {top} 元的部分", f"up to {top} yuan"
        else:
            span = (
                (f"超过 {below} 元的部分", f"above {below} yuan")
                if below
                else ("全部", "all of it")
            )
        zh.append(f"{span[0]}，{part_zh} 归{who_zh}")
        en.append(f"{span[1]}, {part_en} to {who_en}")
        below = top
    return f"余额分档计算：{'；'.join(zh)}", f"what is left is taken in bands: {'; '.join(en)}"


def _pool(step: Mapping[str, Any], names: Names) -> tuple[str, str]:
    zh, en, bounded = [], [], False
    for n, entry in enumerate(step["shares"], start=1):
        (who_zh, who_en), (part_zh, part_en) = _who(entry, names, n), _part(entry["share"])
        limit_zh, limit_en = _limits(entry)
        bounded = bounded or bool(limit_zh)
        zh.append(f"{who_zh} {part_zh}{limit_zh}")
        en.append(f"{who_en} {part_en}{limit_en}")
    between = "；" if bounded else "、"
    told = f"剩余全部按 {between.join(zh)} 分配", f"all that is left is divided, {', '.join(en)}"
    if bounded:
        told = (
            f"{told[0]}；受保底或封顶约束以外的各方按其比例分配，余额不足保底合计时各保底同比例减付",
            f"{told[1]}; whoever is not held by a minimum or a cap shares in proportion, and minima that "
            "exceed what is left are reduced alike",
        )
    return told


def _contribution(step: Mapping[str, Any], names: Names) -> tuple[str, str]:
    who = [names.get(party, party) for party in step["parties"]]
    if "fact" in step:
        basis = (
            f"当期申报的贡献度文件（{step['fact']}）",
            f"the contribution document stated ({step['fact']})",
        )
    else:
        basis = "方案所附的贡献度文件", "the contribution document in the scheme"
    return f"剩余全部按{basis[0]}在 {'、'.join(who)} 之间分配", (
        f"all that is left is divided among {', '.join(who)} by {basis[1]}"
    )


_TOLD = {
    "recover": _recover, "fixed": _fixed, "share": _share, "tiers": _tiers, "pool": _pool,
    "contribution": _contribution,
}  # fmt: skip
