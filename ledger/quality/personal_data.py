"""Personal data in a column are found by content and by header, and masked wherever they are shown.

An identity number or a bank card counts only when its check digit holds for most of the cells. Names
and addresses have no check digit: a column nine tenths of whose values look like names, or half of them
like addresses, only *seems* to hold them, and is masked all the same until the rules say otherwise.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import polars as pl
from stdnum import luhn
from stdnum.cn import ric


@dataclass(frozen=True, slots=True)
class Personal:
    """A column that holds personal data, and why (`ground`: content, header, rule, or only seems).

    `kind`: identity_number, mobile, bank_card, email (found in `cell_count` cells), or by its
    header: name, address, birth_date, telephone, document_number, or declared by the rules.
    A name or an address that has the ground "seems" was taken for one by its look. `sample` is masked.
    """

    column: str
    kind: str
    ground: str
    cell_count: int
    sample: tuple[str, ...]


_ID_NUMBER: Final = (
    r"[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9Xx]"
)
_MOBILE: Final = r"1[3-9][0-9]{9}"
_EMAIL: Final = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_CARD: Final = r"(?:62|4|5[1-5]|3[57])[0-9]{11,17}"
# kind → (fewest characters of a cell, pattern with the value as group 1, its check digit's rule)
_CONTENT: Final[dict[str, tuple[int, str, Callable[[str], bool] | None]]] = {
    "identity_number": (18, rf"(?:^|[^0-9])({_ID_NUMBER})(?:$|[^0-9])", ric.is_valid),
    "mobile": (11, rf"(?:^|[^0-9])(?:\+?86[- ]?)?({_MOBILE})(?:$|[^0-9])", None),
    "bank_card": (13, rf"^({_CARD})$", luhn.is_valid),
    "email": (5, f"({_EMAIL})", None),
}
# The same cells as by the pattern above, found in half the time because it begins at the beginning.
_QUICK: Final = {
    "mobile": rf"(?s)^(?:.*[^0-9])?(?:\+?86[- ]?)?{_MOBILE}(?:$|[^0-9])",
}
_HEADERS: Final = {
    "name": r"姓名|联系人|聯絡人|负责人|負責人|法定代表人|经办人|經辦人|户主|患者名|contact_?name"
    r"|full_?name|^person$|person_?name",
    "address": r"住址|家庭地址|户籍地址|戶籍地址|home_?address",
    "birth_date": r"出生日期|出生年月|生日|birth_?da(y|te)",
    "telephone": r"电话|電話|手机|手機|phone|mobile",
    "document_number": r"身份证|身分證|证件号|證件號|护照|護照|id_?card|passport",
}
_CHECKED: Final = 2_000
SAMPLE: Final = 3
ROW: Final = "row"


def mask(value: str) -> str:
    """A personal value that can no longer be read: a quarter of it remains, its length too.

    >>> mask("张三丰"), mask("13800138000"), mask("男")
    ('张**', '13*********', '*')
    """
    kept = min(2, max(1, len(value) // 4)) if len(value) > 1 else 0
    return value[:kept] + "*" * (len(value) - kept)


_EMBEDDED: Final = re.compile(rf"(?<![0-9])(?:{_ID_NUMBER}|{_CARD}|{_MOBILE})(?![0-9])|{_EMAIL}")


def mask_embedded(text: str) -> str:
    """The text with every identity number, card, mobile and e-mail in it masked.

    >>> mask_embedded("联系13800138000。")
    '联系13*********。'
    """
    return _EMBEDDED.sub(lambda match: mask(match[0]), text)


_SURNAMES: Final = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章苏潘葛范彭郎鲁韦马苗凤方"
    "俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于傅皮卞齐康伍余顾孟黄穆萧尹姚邵汪祁毛禹狄米贝臧"
    "戴宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季贾江童颜郭梅盛林刁钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房解应丁"
    "宣邓郁洪包左石崔吉龚程邢裴陆荣翁荀羊曲封储靳段富乌焦巴牧隗山谷车侯全班仇宁祖武符刘景詹束龙叶"
    "司黎白蒲邰索赖卓蔺屠蒙池乔闻党翟谭贡姬申扶冉宰桑桂牛寿边燕尚温庄晏柴瞿阎慕连茹习艾鱼容"
    "向古易慎戈廖庾终居衡步都耿满匡文寇广欧沃蔚越夔隆师巩聂晁勾敖融冷辛阚那简饶空曾关肖游闫"
)
_NAME: Final = (
    rf"^(?:[{_SURNAMES}]|欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|长孙|宇文|司徒|端木)"
    r"\p{Han}{0,1}[\p{Han}--[省市区县州盟旗镇乡村庄街道路巷弄号楼院所局处科室部司厂店站场园馆校社会队组"
    r"山河湖江海岛桥港湾口门城关岭沟坡坝类型级年月日]]$"
)
_ADDRESS: Final = (
    r"\p{Han}(?:路|街|道|巷|弄|胡同|大道|小区|花园|新村|村)\p{Han}{0,8}[0-9０-９一二三四五六七八九十]+"
    r"[\p{Han}0-9A-Za-z-]{0,12}(?:号|弄|幢|栋|单元|室|楼)"
)
# kind → (pattern, share of the distinct values and of the cells that must match, as num and den)
_SEEMS: Final = {"name": (_NAME, 9, 10), "address": (_ADDRESS, 1, 2)}
_SEEMS_LEAST: Final = 10  # distinct values; fewer tell nothing


@dataclass(slots=True)
class Search:
    """A column searched for personal data, part by part of its values (`DataFile.value_parts`).

    `declared` is what the rules say: False ends the search, True is a ground of its own.
    """

    name: str
    declared: bool | None
    counts: dict[str, int] = field(default_factory=dict)
    distinct: dict[str, int] = field(default_factory=dict)
    first: dict[str, pl.DataFrame] = field(default_factory=dict)

    def add(self, full: pl.DataFrame, plain: bool) -> None:
        """Takes in the filled rows of a part; `plain`: all are known to be numbers or ISO dates."""
        if self.declared is False or full.is_empty():
            return
        value, n = pl.col("value"), pl.col("n")
        longest = full.select(pl.col("length").max()).item()
        hits = {
            kind: (pl.col("length") >= least) & value.str.contains(_QUICK.get(kind, pattern))
            for kind, (least, pattern, _) in _CONTENT.items()
            if longest >= least and not (plain and kind == "email")
        }
        few = _first(full.lazy(), _CHECKED)  # what the first values do not look like is not asked
        for kind, (pattern, share, of) in ({} if plain else _SEEMS).items():
            look = value.str.contains(pattern)
            if few.select(look.sum()).item() * of >= few.height * share:
                hits[f"seems {kind}"] = look
        total, *sums = full.lazy().select(
            n.sum().alias("total"),
            *[n.filter(hit).sum().alias(kind) for kind, hit in hits.items()],
        ).collect(engine="streaming").row(0)  # fmt: skip
        self._note("all", total, full.height, few.head(SAMPLE))
        for (kind, hit), count in zip(hits.items(), sums, strict=True):
            if count:
                mine = full.lazy().filter(hit)
                distinct = mine.select(pl.len()).collect().item()
                self._note(kind, count, distinct, _first(mine, _CHECKED))

    def _note(self, kind: str, count: int, distinct: int, first: pl.DataFrame) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + count
        self.distinct[kind] = self.distinct.get(kind, 0) + distinct
        known = [self.first[kind]] if kind in self.first else []
        self.first[kind] = pl.concat([*known, first]).sort(ROW).head(_CHECKED)

    def found(self) -> list[Personal]:
        """What the column holds or seems to hold, once all parts have been added."""
        if self.declared is False:
            return []
        found = []
        for kind, (_, pattern, is_valid) in _CONTENT.items():
            if kind not in self.counts:
                continue
            # Of chance numbers one in eleven passes the check digit (one in ten by Luhn), so half
            # of the hits must, or they are numbers of the same length only.
            checked = self.first[kind]["value"].str.extract(pattern).to_list()
            valid = sum(1 for value in checked if is_valid is None or is_valid(value))
            if valid * 2 >= len(checked):
                found.append(self._told(kind, "content", kind, checked))
        for kind, pattern in _HEADERS.items():
            if re.search(pattern, self.name, re.IGNORECASE):
                found.append(self._told(kind, "header", "all"))
                break
        if self.declared and not found:
            found.append(self._told("declared", "rule", "all"))
        return found or [
            self._told(kind, "seems", f"seems {kind}") for kind in _SEEMS if self._seems(kind)
        ]

    def _seems(self, kind: str) -> bool:
        """Whether the most of the cells and of the distinct values look like it."""
        _, share, of = _SEEMS[kind]
        hit = f"seems {kind}"
        return self.distinct.get("all", 0) >= _SEEMS_LEAST and all(
            counts.get(hit, 0) * of >= counts["all"] * share
            for counts in (self.counts, self.distinct)
        )

    def _told(self, kind: str, ground: str, hit: str, values: list[str] | None = None) -> Personal:
        if values is None:
            values = self.first[hit]["value"].to_list() if hit in self.first else []
        sample = tuple(mask(value) for value in values[:SAMPLE])
        return Personal(self.name, kind, ground, self.counts.get(hit, 0), sample)


def _first(values: pl.LazyFrame, count: int) -> pl.DataFrame:
    return values.select(ROW, "value").bottom_k(count, by=ROW).sort(ROW).collect()
