"""What stands in a catalogue's cells is brought to one form: cycles, formats, dates, counts, lists.

Each reader takes the text of one cell and says plainly when it cannot read it; nothing is assumed.
"""

import re
import unicodedata
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from ledger.scripts import simplified

# ---------------------------------------------------------------- spellings folded


def fold(header: str) -> str:
    """A header without what does not matter: width, case, blanks, punctuation, script, prefix.

    >>> fold('資料名稱'), fold('收錄期間(起)'), fold('Update Frequency'), fold('dct:title')
    ('资料名称', '收录期间起', 'updatefrequency', 'title')
    """
    text = simplified(unicodedata.normalize("NFKC", header).lower())
    text = re.sub(r"^(dcterms|dct|dcat|dc):", "", text.strip())
    text = re.sub(r"[(（][^)）]*(必填|选填|必填项|required|optional)[^)）]*[)）]", "", text)
    return "".join(char for char in text if char.isalnum())


def read_code(text: str) -> str:
    """A resource's code as it is meant: in half width, without the marks that keep leading zeros.

    >>> read_code('="007/1"'), read_code("'007/1"), read_code("００７／１"), read_code(" a  b ")
    ('007/1', '007/1', '007/1', 'a b')
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    return " ".join(text.removeprefix("'").split())


# ---------------------------------------------------------------- update cycle, sharing, opening


@dataclass(frozen=True, slots=True)
class Cycle:
    """One value of the update cycle; a digit among the spellings is the directory platforms' code.

    `days` or `months` is the longest time between two updates; without both there is none.
    """

    freq: str
    zh: str
    en: str
    spellings: tuple[str, ...]
    days: int = 0
    months: int = 0


_LONGEST: Final[dict[str, dict[str, int]]] = {
    "continuous": {"days": 1}, "daily": {"days": 1}, "weekly": {"days": 7},
    "threeTimesAMonth": {"days": 11}, "biweekly": {"days": 14}, "semimonthly": {"days": 16},
    "monthly": {"months": 1}, "bimonthly": {"months": 2}, "quarterly": {"months": 3},
    "semiannual": {"months": 6}, "annual": {"months": 12}, "biennial": {"months": 24},
    "triennial": {"months": 36},
}  # fmt: skip
# freq: Dublin Core's frequency vocabulary, and "never" (our addition) for what is finished.
CYCLES: Final[dict[str, Cycle]] = {
    freq: Cycle(freq, zh, en, tuple(spellings.split()), **_LONGEST.get(freq, {}))
    for freq, zh, en, spellings in (
        ("continuous", "实时", "continuous", "实时 即时 随时 realtime live 1"),
        ("daily", "每日", "daily", "每日 每天 日 天 按日 每工作日 2"),
        ("weekly", "每周", "weekly", "每周 每星期 周 按周 3"),
        ("threeTimesAMonth", "每旬", "every ten days", "每旬 旬"),
        ("biweekly", "每两周", "every two weeks", "每两周 每二周 双周"),
        ("semimonthly", "每半月", "twice a month", "每半月 半月 半个月"),
        ("monthly", "每月", "monthly", "每月 月 按月 每个月 4"),
        ("bimonthly", "每两月", "every two months", "每两月 每二月 每两个月 双月"),
        ("quarterly", "每季度", "quarterly", "每季度 每季 季 季度 按季 按季度 5"),
        ("semiannual", "每半年", "twice a year", "每半年 半年 6 halfyearly"),
        ("annual", "每年", "annual", "每年 年 年度 按年 每年度 每学年 yearly annually 7"),
        ("biennial", "每两年", "every two years", "每两年 每二年 两年"),
        ("triennial", "每三年", "every three years", "每三年 三年"),
        ("irregular", "不定期", "irregular",
            "不定期 不定时 不定期更新 非定期 按需 根据需要 其他 asneeded 8"),
        ("never", "不更新", "not updated", "不更新 一次性 静态 无更新 once static"),
    )
}  # fmt: skip
_CYCLE_OF: Final = {
    spelling: cycle.freq
    for cycle in CYCLES.values()
    for spelling in (*cycle.spellings, cycle.freq.lower())
}


def read_cycle(text: str) -> str | None:
    """The update cycle of a spelling, or None.

    >>> read_cycle("每週"), read_cycle("每季"), read_cycle("按年更新"), read_cycle("有空時")
    ('weekly', 'quarterly', 'annual', None)
    """
    folded = fold(text)
    for candidate in (folded, folded.removesuffix("更新"), folded.removesuffix("一次")):
        if candidate in _CYCLE_OF:
            return _CYCLE_OF[candidate]
        if "每" + candidate in _CYCLE_OF:
            return _CYCLE_OF["每" + candidate]
    return None


def stale_on(updated_on: object, cycle: object) -> str | None:
    """The last day on which data updated on a day are within their cycle; None where there is none.

    A month or a year counts to its end; a month later ends with a shorter month.

    >>> stale_on("2026-01-31", "monthly"), stale_on("2025", "annual"), stale_on("2026-03-02", "每周")
    ('2026-02-28', '2026-12-31', '2026-03-09')
    >>> stale_on("2026-03-02", "irregular"), stale_on("去年", "daily"), stale_on(None, "daily")
    (None, None, None)
    """
    known = CYCLES.get(str(cycle)) or CYCLES.get(read_cycle(str(cycle)) or "")
    match = re.fullmatch(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", str(updated_on))
    if known is None or match is None or not (known.days or known.months):
        return None
    year, month = int(match[1]), int(match[2] or 12)
    try:
        day = date(year, month, int(match[3] or monthrange(year, month)[1]))
        if known.days:
            return (day + timedelta(days=known.days)).isoformat()
        year, month = year + (month - 1 + known.months) // 12, (month - 1 + known.months) % 12 + 1
        last = monthrange(year, month)[1]
        return date(year, month, min(day.day, last) if match[3] else last).isoformat()
    except (ValueError, OverflowError):
        return None


SHARING: Final = {
    "unconditional": ("无条件共享", "无条件", "1"),
    "conditional": ("有条件共享", "有条件", "2"),
    "not_shared": ("不予共享", "不共享", "不予", "3"),
}
OPENING: Final = {
    "unconditional": ("无条件开放", "无条件", "是", "开放", "1", "yes", "true"),
    "conditional": ("有条件开放", "有条件", "依申请开放", "2"),
    "not_open": ("不予开放", "不开放", "否", "不予", "3", "no", "false"),
}


_YES_OR_NO: Final[dict[str, tuple[str, ...]]] = {
    "yes": ("是", "有", "已列入", "列入", "y", "true", "1"),
    "no": ("否", "无", "未列入", "不列入", "n", "false", "0"),
}
# field → the values it can have, each with its spellings; those of sharing and opening are the guide's.
CODED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "sharing": SHARING,
    "opening": OPENING,
    "return_flow": {
        "yes": ("是", "回流", "可回流", "无条件回流", "无条件", "1", "true"),
        "conditional": ("有条件", "有条件回流", "2"),
        "no": ("否", "不回流", "不予回流", "3", "false"),
    },
    "personal_information": {
        "none": (
            "无", "否", "不含", "不涉及", "不包含", "无个人信息", "不含个人信息", "不涉及个人信息",
            "不包含个人信息", "n", "no", "false", "0",
        ),
        "general": (
            "一般", "一般个人信息", "个人信息", "含个人信息", "是", "有", "含", "涉及", "包含",
            "涉及个人信息", "包含个人信息", "y", "yes", "true", "1",
        ),
        "sensitive": ("敏感", "敏感个人信息", "含敏感个人信息", "2"),
    },
    "important_list": _YES_OR_NO,
    "export_planned": _YES_OR_NO | {"yes": (*_YES_OR_NO["yes"], "拟出境", "出境"),
                                    "no": (*_YES_OR_NO["no"], "不出境")},
    "ciio": _YES_OR_NO,
}  # fmt: skip


def read_choice(text: str, values: dict[str, tuple[str, ...]]) -> str | None:
    """Which of `SHARING` or `OPENING` a spelling means, or None.

    >>> read_choice("有條件共享", SHARING), read_choice("也许", OPENING)
    ('conditional', None)
    """
    if text in values:
        return text
    folded = fold(text)
    return next(
        (one for one, known in values.items() if folded in known or folded == fold(one)), None
    )


# ---------------------------------------------------------------- formats and lists

FORMATS: Final = frozenset(
    {
        "CSV", "TSV", "TXT", "XLS", "XLSX", "ET", "ODS", "JSON", "GEOJSON", "XML", "HTML",
        "PDF", "OFD", "DOC", "DOCX", "WPS", "ODT", "PPT", "PPTX", "JPG", "PNG", "GIF", "BMP",
        "TIFF", "SVG", "SHP", "KML", "KMZ", "GPX", "GML", "GEOTIFF", "DWG", "DXF", "GTFS",
        "RDF", "ZIP", "API", "URL", "DBF", "MDB", "SQL", "DATABASE", "IMAGE", "MP3", "MP4",
        "SWF", "RM", "MPG", "DM", "KINGBASEES", "ORACLE", "MYSQL", "POSTGRESQL", "DB2",
        "SQLSERVER", "PARQUET", "ARCGIS", "RSS", "ICS",
    }
)  # fmt: skip
_FORMAT_ALIASES: Final = {
    "EXCEL": "XLSX", "WORD": "DOCX", "POWERPOINT": "PPTX", "JPEG": "JPG", "TIF": "TIFF",
    "TEXT": "TXT", "文本": "TXT", "文本文件": "TXT", "HTM": "HTML", "WEB": "URL", "网页": "URL",
    "网址": "URL", "LINK": "URL", "链接": "URL", "ASHX": "URL", "YOUTUBE": "URL",
    "SHAPEFILE": "SHP", "WEBSERVICE": "API", "REST": "API", "接口": "API", "服务接口": "API",
    "ODATA": "API", "图片": "IMAGE", "图形图像": "IMAGE", "数据库": "DATABASE", "ACCESS": "MDB",
    "电子表格": "XLSX", "达梦": "DM", "人大金仓": "KINGBASEES", "GEO-JSON": "GEOJSON",
}  # fmt: skip
_SHAPEFILE_PARTS: Final = frozenset({"SHX", "SBX", "SBN", "PRJ", "QPJ", "CPG", "DBF"})


def read_formats(text: str) -> tuple[list[str], list[str]]:
    """(formats in one spelling, those of them that are unknown); a Shapefile's parts are one SHP.

    >>> read_formats("SHX, DBF, SHP"), read_formats("Excel、.csv"), read_formats("wxyz")
    ((['SHP'], []), (['XLSX', 'CSV'], []), (['WXYZ'], ['WXYZ']))
    """
    spelt = []
    for part in re.split(r"[\s,，、;；/|+]+", unicodedata.normalize("NFKC", text).upper()):
        word = simplified(part.strip(".*。()"))
        word = re.sub(r"(?<=[A-Z])(文件|格式|档|文档)$", "", word)
        if word:
            spelt.append(_FORMAT_ALIASES.get(word, word))
    if "SHP" in spelt:
        spelt = [word for word in spelt if word not in _SHAPEFILE_PARTS]
    formats = list(dict.fromkeys(spelt))
    return formats, [word for word in formats if word not in FORMATS]


_OPENING_BRACKETS: Final = "([{（【〔《「"
_CLOSING_BRACKETS: Final = ")]}）】〕》」"


def split_list(text: str, separators: str = "、，,;；\n\t|") -> list[str]:
    """The parts of a list, split at separators outside brackets; blanks and repeats go.

    A text whose brackets do not close is split everywhere.

    >>> split_list('year(年度，所屬)、breau(機關)')
    ['year(年度，所屬)', 'breau(機關)']
    """
    parts, depth, current = [], 0, ""
    for char in text:
        depth += (char in _OPENING_BRACKETS) - (char in _CLOSING_BRACKETS)
        if depth < 0:
            break
        if depth == 0 and char in separators:
            parts.append(current)
            current = ""
        else:
            current += char
    if depth:
        parts = re.split("[" + re.escape(separators) + "]", text)
    else:
        parts.append(current)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


# ---------------------------------------------------------------- dates and counts

_DATE_SHAPES: Final = re.compile(
    r"(?P<y>\d{2,4})\s*[-/.年]\s*(?P<m>\d{1,2})(?:\s*[-/.月]\s*(?P<d>\d{1,2})\s*日?|月?)"
    r"(?:[T\s]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
)


def read_date(text: str) -> tuple[str, Literal["read", "republican", "unreadable"]]:
    """(ISO 8601 date or month or year, how it was read); the text itself when unreadable.

    A year of two or three digits below 200 counts as the Republic's (1911 + n), as Taiwan writes it.

    >>> read_date("2015/8/6"), read_date("2017-02-22 16:09:04"), read_date("2018年3月")
    (('2015-08-06', 'read'), ('2017-02-22', 'read'), ('2018-03', 'read'))
    >>> read_date("104.01.01"), read_date("20107-12-15")
    (('2015-01-01', 'republican'), ('20107-12-15', 'unreadable'))
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if re.fullmatch(r"(19|20)\d{2}年?", plain):
        return plain[:4], "read"
    if re.fullmatch(r"(19|20)\d{6}", plain):
        plain = f"{plain[:4]}-{plain[4:6]}-{plain[6:]}"
    match = _DATE_SHAPES.fullmatch(plain)
    if not match:
        return text, "unreadable"
    year, month = int(match["y"]), int(match["m"])
    republican = len(match["y"]) < 4
    if republican:
        year += 1911
        if year > 2110:
            return text, "unreadable"
    try:
        day = date(year, month, int(match["d"] or 1))
    except ValueError:
        return text, "unreadable"
    iso = day.isoformat() if match["d"] else day.isoformat()[:7]
    return iso, "republican" if republican else "read"


def read_count(text: str) -> tuple[int | None, bool]:
    """(a count, whether it stood there as bare digits); (None, False) when unreadable.

    >>> read_count("1,234"), read_count("99筆"), read_count("約三百")
    ((1234, False), (99, False), (None, False))
    """
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text), True
    match = re.fullmatch(
        r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})\s*[筆笔條条行列個个项項]?(?:rows|records)?",
        unicodedata.normalize("NFKC", text),
    )
    return (int(match[1].replace(",", "")), False) if match else (None, False)


# ---------------------------------------------------------------- two things in one cell


def split_provider(text: str) -> tuple[str | None, str]:
    """(code, name) of a provider written together; (None, text) where no code stands before it.

    >>> split_provider("380160000A 【地政局】"), split_provider("市公安局")
    (('380160000A', '地政局'), (None, '市公安局'))
    """
    match = re.fullmatch(
        r"([0-9A-Z]{6,20})\s*(?:[【\[(（]\s*(.+?)\s*[】\])）]|[-—:： ]\s*(.+))", text, re.DOTALL
    )
    if match and re.search(r"\d", match[1]):
        return match[1], (match[2] or match[3]).strip()
    return None, text


def split_category(text: str) -> tuple[str, int | None]:
    """(class, count) of a class with a count in brackets behind it.

    >>> split_category("公共資訊 (921)"), split_category("交通(道路)")
    (('公共資訊', 921), ('交通(道路)', None))
    """
    match = re.fullmatch(r"(.+?)\s*[(（]\s*([0-9]{1,9})\s*[)）]", text)
    return (match[1], int(match[2])) if match else (text, None)
