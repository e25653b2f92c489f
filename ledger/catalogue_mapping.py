"""A catalogue comes in with its own column names and leaves in ours, with every fault told at once.

`guess` proposes a field for each column, a person may correct it with `Mapping.with_field`, and
`apply` turns the rows into resources. The fields follow the core elements of
政务信息资源目录编制指南（试行） (发改高技〔2017〕1272号), in our names, and what city portals add.

Spellings are brought to one form and the original is kept beside it (`format_text`,
`update_cycle_text`, …). What cannot be read stays None or stays text, and is told; nothing is
assumed. Columns of persons (contact names, telephones) are left out and told.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal

from stdnum.cn import uscc

from ledger.errors import Invalid
from ledger.tabular import Problem, Row, Severity, Table

__all__ = [
    "CYCLES",
    "FIELDS",
    "OPENING",
    "SHARING",
    "Cycle",
    "Field",
    "MappedColumn",
    "Mapping",
    "Problem",
    "Resource",
    "apply",
    "guess",
]

Kind = Literal[
    "text", "list", "formats", "items", "integer", "date", "cycle", "sharing", "opening",
    "provider", "category",
]  # fmt: skip
Why = Literal["matched", "given", "unknown", "blank", "repeats", "personal", "ignored"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource: `need` says what a blank cell means.

    "required": the row is unusable. "expected": an element that the guide requires, one notice
    a cell. "optional": one notice for the column. `element_num` counts the guide's core elements.
    """

    name: str
    zh: str
    en: str
    kind: Kind = "text"
    need: Literal["required", "expected", "optional"] = "optional"
    element_num: int | None = None
    max_chars: int = 2_000
    synonyms: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether an import without this column is refused."""
        return self.need == "required"


def _field(
    name: str,
    zh: str,
    en: str,
    kind: Kind,
    need: Literal["required", "expected", "optional"],
    element_num: int | None,
    max_chars: int,
    synonyms: str,
) -> Field:
    return Field(name, zh, en, kind, need, element_num, max_chars, tuple(synonyms.split()))


# Synonyms are written folded (see `fold`): simplified, lower case, without blanks or punctuation,
# the most certain first. Traditional headers fold to the same.
FIELDS: Final[dict[str, Field]] = {
    one.name: one
    for one in (
        _field("code", "资源代码", "code", "text", "required", 3, 64,
            "信息资源代码 数据资源代码 资源代码 目录编码 目录代码 资源编码 资源编号 目录编号 资料集编号"
            " 数据集编号 编号 编码 代码 identifier resourcecode datasetid resourceid code id"
            " 序号 number no"),
        _field("title", "资源名称", "title", "text", "required", 2, 200,
            "信息资源名称 数据资源名称 资源名称 目录名称 资料集名称 数据集名称 资料名称 数据名称 名称 标题"
            " title datasettitle datasetname resourcename dataset name"),
        _field("provider", "提供方", "provider", "provider", "required", 4, 200,
            "信息资源提供方 资源提供方 资料集提供机关 资料提供机关 提供机关 提供方 提供方名称 提供部门"
            " 提供单位 数据提供方 数据提供单位 责任部门 责任单位 来源部门 发布机构 发布单位 发布部门"
            " 主管部门 所属部门 资料来源 provider publisher department agency organization"
            " organisation owner"),
        _field("provider_code", "提供方代码", "provider code", "text", "expected", 5, 64,
            "信息资源提供方代码 资源提供方代码 提供方代码 提供机关代码 提供部门代码 机关代码 部门代码"
            " 统一社会信用代码 providercode publisherid departmentcode"),
        _field("summary", "摘要", "summary", "text", "expected", 6, 20_000,
            "信息资源摘要 资源摘要 摘要 资源描述 资料集描述 数据集描述 资料描述 数据描述 描述 简介 说明"
            " 资源简介 summary description abstract"),
        _field("format", "资源格式", "format", "formats", "expected", 7, 500,
            "信息资源格式 资源格式 数据格式 资料格式 档案格式 文件格式 格式类型 格式 format mediatype"
            " fileformat"),
        _field("items", "信息项", "data items", "items", "expected", 8, 32_767,
            "信息项信息 信息项名称 信息项 数据项 数据项名称 主要栏位 主要字段 栏位 字段 字段名称"
            " 主要栏位说明 栏位说明 dataitems fields columns"),
        _field("sharing", "共享类型", "sharing", "sharing", "expected", 9, 200,
            "共享属性 共享类型 共享方式类型 sharing sharingtype"),
        _field("sharing_condition", "共享条件", "sharing condition", "text", "optional", 9, 2_000,
            "共享条件 sharingcondition"),
        _field("sharing_mode", "共享方式", "sharing mode", "text", "optional", 9, 200,
            "共享方式 sharingmode"),
        _field("opening", "开放类型", "opening", "opening", "expected", 10, 200,
            "开放属性 是否向社会开放 开放类型 是否开放 opening opentype isopen"),
        _field("opening_condition", "开放条件", "opening condition", "text", "optional", 10, 2_000,
            "开放条件 openingcondition"),
        _field("update_cycle", "更新周期", "update cycle", "cycle", "expected", 11, 200,
            "更新周期 更新频率 更新频度 更新频次 updatecycle updatefrequency accrualperiodicity"
            " frequency"),
        _field("published_on", "发布日期", "published on", "date", "expected", 12, 64,
            "发布日期 发布时间 首次发布日期 上架日期 上架时间 建立日期 建立时间 创建日期 创建时间"
            " publishedon issued publicationdate releasedate published created"),
        _field("updated_on", "更新日期", "updated on", "date", "optional", None, 64,
            "最后更新时间 最后更新日期 更新日期 更新时间 最近更新时间 最近更新日期 updatedon modified"
            " lastupdated lastmodified updated"),
        _field("category", "分类", "category", "category", "expected", 1, 200,
            "信息资源分类 资源分类 目录分类 主题分类 分类及编号 所属主题 所属分类 服务分类 分类 主题 领域"
            " 类别 category theme subject"),
        _field("kind", "资源类型", "kind of resource", "text", "optional", None, 200,
            "资料集类型 数据集类型 资源类型 数据类型 类型 kind type resourcetype"),
        _field("source_url", "来源链接", "source link", "text", "optional", None, 2_000,
            "资料连结网址 数据链接 资源链接 下载地址 访问地址 接口地址 链接地址 链接 连结 网址 landingpage"
            " accessurl downloadurl sourceurl url link"),
        _field("documentation_url", "说明链接", "documentation link", "text", "optional", None, 2_000,
            "资料集说明网址 数据集说明网址 说明网址 说明文档 documentationurl documentation"),
        _field("record_count", "记录数", "record count", "integer", "optional", None, 64,
            "资料量 数据量 记录数 记录条数 数据条数 数据总量 笔数 recordcount rowcount records rows"),
        _field("period_from", "时间范围起", "period from", "date", "optional", None, 64,
            "收录期间起 收录期间开始 起始日期 起始时间 开始日期 时间范围起 periodfrom startdate"),
        _field("period_to", "时间范围止", "period to", "date", "optional", None, 64,
            "收录期间迄 收录期间止 收录期间结束 结束日期 结束时间 截止日期 时间范围止 periodto enddate"),
        _field("licence", "授权方式", "licence", "text", "optional", None, 500,
            "授权方式 授权条款 许可协议 使用许可 开放协议 licence license rights"),
        _field("fee", "计费方式", "fee", "text", "optional", None, 500,
            "计费方式 收费方式 收费标准 fee price"),
        _field("fee_url", "计费说明链接", "fee link", "text", "optional", None, 2_000,
            "计费说明网址 收费说明网址 feeurl"),
        _field("fee_basis", "计费依据", "legal basis of the fee", "text", "optional", None, 2_000,
            "计费法令依据 收费依据 计费依据 feebasis"),
        _field("encoding", "编码格式", "encoding", "list", "optional", None, 200,
            "编码格式 字符编码 文件编码 字符集 encoding charset"),
        _field("keywords", "关键字", "keywords", "list", "optional", None, 2_000,
            "标签关键字 关键字 关键词 标签 keywords keyword tags tag"),
        _field("related", "关联资源代码", "related resources", "list", "optional", 13, 2_000,
            "关联资源代码 关联信息资源代码 关联资源 关联目录 相关资源 related relation relatedresources"),
        _field("source_system", "来源系统", "source system", "text", "optional", None, 200,
            "来源系统 所属系统 信息系统名称 业务系统 数据来源 sourcesystem source"),
        _field("quality_standard", "质量标准", "quality standard", "text", "optional", None, 2_000,
            "质量标准 数据标准 采用标准 qualitystandard standard"),
        _field("grading", "数据分级", "grading", "text", "optional", None, 64,
            "数据分级 数据级别 分级 安全级别 grading datalevel"),
        _field("notes", "备注", "notes", "text", "optional", None, 20_000,
            "备注 附注 注记 notes note remarks remark comment comments"),
    )
}  # fmt: skip

_PERSONAL: Final = re.compile(
    "联络人|联系人|承办人|经办人|负责人|姓名|电话|手机|联系方式|传真|电子邮件|邮箱|email|地址$|contact|phone"
    "|^tel"
)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One value of the update cycle: `list_code` is the directory platforms' code, 8 means 其他."""

    freq: str
    zh: str
    en: str
    list_code: int
    spellings: tuple[str, ...]


# freq: Dublin Core's frequency vocabulary, and "never" (our addition) for what is finished.
CYCLES: Final[dict[str, Cycle]] = {
    freq: Cycle(freq, zh, en, code, tuple(spellings.split()))
    for freq, zh, en, code, spellings in (
        ("continuous", "实时", "continuous", 1, "实时 即时 随时 realtime live 1"),
        ("daily", "每日", "daily", 2, "每日 每天 日 天 按日 每工作日 2"),
        ("weekly", "每周", "weekly", 3, "每周 每星期 周 按周 3"),
        ("threeTimesAMonth", "每旬", "every ten days", 8, "每旬 旬"),
        ("biweekly", "每两周", "every two weeks", 8, "每两周 每二周 双周"),
        ("semimonthly", "每半月", "twice a month", 8, "每半月 半月 半个月"),
        ("monthly", "每月", "monthly", 4, "每月 月 按月 每个月 4"),
        ("bimonthly", "每两月", "every two months", 8, "每两月 每二月 每两个月 双月"),
        ("quarterly", "每季度", "quarterly", 5, "每季度 每季 季 季度 按季 按季度 5"),
        ("semiannual", "每半年", "twice a year", 6, "每半年 半年 6 halfyearly"),
        ("annual", "每年", "annual", 7, "每年 年 年度 按年 每年度 每学年 yearly annually 7"),
        ("biennial", "每两年", "every two years", 8, "每两年 每二年 两年"),
        ("triennial", "每三年", "every three years", 8, "每三年 三年"),
        ("irregular", "不定期", "irregular", 8,
            "不定期 不定时 不定期更新 非定期 按需 根据需要 其他 asneeded 8"),
        ("never", "不更新", "not updated", 8, "不更新 一次性 静态 无更新 once static"),
    )
}  # fmt: skip
_CYCLE_OF: Final = {
    spelling: cycle.freq
    for cycle in CYCLES.values()
    for spelling in (*cycle.spellings, cycle.freq.lower())
}

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

_FOLDED_FROM = (
    "編號碼資料來頻檔欄連結網類數據擴關聯係絡發佈時間範圍計費備註標題簡說領門機單錄條筆總許可協議權級別統"
    "質準屬開條無業務雙週學稱項訊後釋區應動態實電話負責辦書閱覽創記遲與從極價庫軟體圖鏈採隨舉兩籤鍵詞歸屬層敘檢"
)
_FOLDED_TO = (
    "编号码资料来频档栏连结网类数据扩关联系络发布时间范围计费备注标题简说领门机单录条笔总许可协议权级别统"
    "质准属开条无业务双周学称项讯后释区应动态实电话负责办书阅览创记迟与从极价库软体图链采随举两签键词归属层叙检"
)
_SIMPLER: Final = str.maketrans(_FOLDED_FROM, _FOLDED_TO)


def fold(header: str) -> str:
    """A header without what does not matter: width, case, blanks, punctuation, script, prefix.

    >>> fold('資料名稱'), fold('收錄期間(起)'), fold('Update Frequency'), fold('dct:title')
    ('资料名称', '收录期间起', 'updatefrequency', 'title')
    """
    text = unicodedata.normalize("NFKC", header).lower().translate(_SIMPLER)
    text = re.sub(r"^(dcterms|dct|dcat|dc):", "", text.strip())
    text = re.sub(r"[(（][^)）]*(必填|选填|必填项|required|optional)[^)）]*[)）]", "", text)
    return "".join(char for char in text if char.isalnum())


_FIELD_OF: Final[dict[str, tuple[int, str]]] = {}
for _one in FIELDS.values():
    for _rank, _synonym in enumerate((*_one.synonyms, fold(_one.zh), fold(_one.name))):
        _FIELD_OF.setdefault(_synonym, (_rank, _one.name))


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """What a column is taken for. `repeats` is the index of the column that already gives the field."""

    index: int
    header: str
    field: str | None
    why: Why
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """A field, or a reason why none, for each column of a table."""

    columns: tuple[MappedColumn, ...]

    @property
    def fields(self) -> dict[str, int]:
        """Field → index of its column."""
        return {column.field: column.index for column in self.columns if column.field}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The headers that no field was found for."""
        return tuple(column.header for column in self.columns if column.why == "unknown")

    def with_field(self, index: int, field_name: str | None) -> "Mapping":
        """The same mapping with one column's field given by a person; None leaves it out.

        A field stands for one column only: given anew, it is taken from the other column.
        """
        if field_name is not None and field_name not in FIELDS:
            raise Invalid(
                "There is no field {field}; known: {listing}.",
                field=field_name,
                known=list(FIELDS),
                listing=", ".join(FIELDS),
            )
        if not 0 <= index < len(self.columns):
            raise Invalid(
                "There is no column {number}; the table has {columns}.",
                number=index + 1,
                columns=len(self.columns),
            )
        columns = []
        for column in self.columns:
            if column.index == index:
                why: Why = "given" if field_name else "ignored"
                columns.append(replace(column, field=field_name, why=why, repeats=None))
            elif field_name is not None and column.field == field_name:
                columns.append(replace(column, field=None, why="ignored"))
            else:
                columns.append(column)
        return Mapping(tuple(columns))

    def as_dict(self) -> dict[str, Any]:
        """The mapping as plain values, for a form or an API."""
        return {"columns": [asdict(column) for column in self.columns]}


def guess(header: Sequence[str]) -> Mapping:
    """The field that each column's name most likely means.

    Where two columns mean the same field, the more certain synonym gets it (then the first
    column); the other is kept as `repeats` and compared by `apply`.

    >>> [column.field for column in guess(["編號", "資料名稱", "提供方", "天氣"]).columns]
    ['code', 'title', 'provider', None]
    """
    found = [_FIELD_OF.get(fold(name)) for name in header]
    winners: dict[str, int] = {}
    for index in sorted(range(len(header)), key=lambda i: (found[i] or (99, ""))[0]):
        match = found[index]
        if match:
            winners.setdefault(match[1], index)
    columns = []
    for index, (name, match) in enumerate(zip(header, found, strict=True)):
        if match and winners[match[1]] == index:
            columns.append(MappedColumn(index, name, match[1], "matched"))
        elif match:
            columns.append(MappedColumn(index, name, None, "repeats", winners[match[1]]))
        elif not fold(name):
            columns.append(MappedColumn(index, name, None, "blank"))
        elif _PERSONAL.search(fold(name)):
            columns.append(MappedColumn(index, name, None, "personal"))
        else:
            columns.append(MappedColumn(index, name, None, "unknown"))
    return Mapping(tuple(columns))


# ---------------------------------------------------------------- reading one cell

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


def read_formats(text: str) -> tuple[list[str], list[str]]:
    """(formats in one spelling, those of them that are unknown); a Shapefile's parts are one SHP.

    >>> read_formats("SHX, DBF, SHP"), read_formats("Excel、.csv"), read_formats("wxyz")
    ((['SHP'], []), (['XLSX', 'CSV'], []), (['WXYZ'], ['WXYZ']))
    """
    spelt = []
    for part in re.split(r"[\s,，、;；/|+]+", unicodedata.normalize("NFKC", text).upper()):
        word = part.strip(".*。()").translate(_SIMPLER)
        word = re.sub(r"(?<=[A-Z])(文件|格式|档|文档)$", "", word)
        if word:
            spelt.append(_FORMAT_ALIASES.get(word, word))
    if "SHP" in spelt:
        spelt = [word for word in spelt if word not in _SHAPEFILE_PARTS]
    formats = list(dict.fromkeys(spelt))
    return formats, [word for word in formats if word not in FORMATS]


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


def _choice(text: str, values: dict[str, tuple[str, ...]]) -> str | None:
    folded = fold(text)
    return next((name for name, known in values.items() if folded in known or folded == name), None)


# ---------------------------------------------------------------- from rows to resources

Resource = dict[str, str | int | list[str] | None]
_EXTRA: Final = ("format_text", "items_text", "update_cycle_text", "sharing_text", "opening_text")


@dataclass(slots=True)
class _Work:
    """One import under way: the row at hand and what was found so far."""

    table: Table
    problems: list[Problem] = field(default_factory=list)
    row: Row | None = None
    unusable: bool = False

    def tell(
        self,
        severity: Severity,
        code: str,
        column: str | None,
        zh: str,
        en: str,
        value: str | None = None,
    ) -> None:
        self.unusable = self.unusable or severity == "error"
        shown = value if value is None or len(value) <= 80 else value[:79] + "…"
        number = self.row.number if self.row else None
        self.problems.append(
            Problem(severity, code, self.table.sheet, number, column, zh, en, shown)
        )


def apply(
    table: Table,
    mapping: Mapping,
    *,
    defaults: dict[str, str] | None = None,
    strict: bool = False,
) -> tuple[list[Resource], list[Problem]]:
    """The rows as resources, and every problem of the file in the order of its rows.

    A resource has all keys of `FIELDS`, `category_count`, the originals `format_text`,
    `items_text`, `update_cycle_text`, `sharing_text`, `opening_text`, and where it came from
    (`sheet`, `row`); its values are str, int, list of str, or None. Rows with an "error" are not
    among them. `defaults` gives a field to all rows whose cell is blank or whose column is missing,
    for instance {"provider": "市交通局"}.

    Raises Invalid when a required column is missing and has no default (all of them are named,
    with the headers seen), and under `strict` when a column is unknown.
    """
    defaults = defaults or {}
    _check_columns(table, mapping, defaults, strict)
    work = _Work(table, list(table.problems))
    _tell_columns(work, mapping)
    fields = mapping.fields
    first_code: dict[str, int] = {}
    first_title: dict[str, int] = {}
    resources = []
    for row in table.rows:
        work.row, work.unusable = row, False
        resource: Resource = {"sheet": table.sheet, "row": row.number}
        resource |= dict.fromkeys((*FIELDS, "category_count", *_EXTRA))
        for name, wanted in FIELDS.items():
            index = fields.get(name)
            text = (row.cells[index] if index is not None else "") or defaults.get(name, "")
            header = table.header[index] if index is not None else wanted.zh
            if text:
                _read(work, resource, wanted, header, text)
            elif resource[name] is None and (index is not None or wanted.required):
                _tell_blank(work, wanted, header)
        _check_resource(work, resource, fields, first_code, first_title)
        if not work.unusable:
            resources.append(resource)
    return resources, work.problems


def _check_columns(table: Table, mapping: Mapping, defaults: dict[str, str], strict: bool) -> None:
    if tuple(column.header for column in mapping.columns) != table.header:
        raise Invalid(
            "The mapping is not of this table's columns; map this table anew.",
            headers=list(table.header),
        )
    stray = [name for name in defaults if name not in FIELDS]
    if stray:
        raise Invalid(
            "Defaults name unknown fields: {listing}.",
            unknown=stray,
            listing=", ".join(stray),
        )
    missing = [
        name
        for name, wanted in FIELDS.items()
        if wanted.required and name not in mapping.fields and not defaults.get(name)
    ]
    if missing:
        listing = "、".join(f"{FIELDS[name].zh} ({name})" for name in missing)
        seen = "、".join(header for header in table.header if header)
        raise Invalid(
            "Required columns are missing: {listing}. Headers seen: {seen}.",
            listing=listing,
            seen=seen,
            missing=missing,
            headers=list(table.header),
        )
    if strict and mapping.unknown:
        raise Invalid(
            "Unknown columns: {listing}; give them a field or ignore them.",
            unknown=list(mapping.unknown),
            listing="、".join(mapping.unknown),
        )


def _tell_columns(work: _Work, mapping: Mapping) -> None:
    """Notices that concern whole columns: unknown, personal, repeated, all or partly blank."""
    table = work.table
    for column in mapping.columns:
        header, cells = column.header, [row.cells[column.index] for row in table.rows]
        blank = cells.count("")
        wanted = FIELDS.get(column.field or "")
        if column.why == "unknown":
            work.tell(
                "notice",
                "column_unknown",
                header,
                f"不认识列“{header}”，未导入。",
                f"Column {header} is unknown and was left out.",
            )
        elif column.why == "personal":
            work.tell(
                "notice",
                "column_personal",
                header,
                f"列“{header}”可能含个人信息，未导入。",
                f"Column {header} may hold personal data and was left out.",
            )
        elif column.why == "blank" and blank < len(cells):
            work.tell(
                "notice",
                "column_unnamed",
                None,
                f"第 {column.index + 1} 列没有列名但有内容，未导入。",
                f"Column {column.index + 1} has content but no name and was left out.",
            )
        elif column.repeats is not None:
            _tell_repeated(work, column, cells, column.repeats)
        elif wanted and wanted.need == "optional" and blank:
            work.tell(
                "notice",
                "column_blank" if blank == len(cells) else "column_partly_blank",
                header,
                f"列“{header}”在 {len(cells)} 行中有 {blank} 行为空。",
                f"Column {header} is blank in {blank} of {len(cells)} rows.",
                str(blank),
            )


def _tell_repeated(work: _Work, column: MappedColumn, cells: list[str], winner: int) -> None:
    taken = work.table.header[winner]
    differing = [
        row.number
        for row, cell in zip(work.table.rows, cells, strict=True)
        if cell and cell != row.cells[winner]
    ]
    if not differing:
        work.tell(
            "notice",
            "column_repeats",
            column.header,
            f"列“{column.header}”与“{taken}”含义相同，内容一致，取后者。",
            f"Column {column.header} means and says the same as {taken}, which was taken.",
        )
        return
    work.tell(
        "notice",
        "column_differs",
        column.header,
        f"列“{column.header}”与“{taken}”含义相同但有 {len(differing)} 行不一致"
        f"（首个在第 {differing[0]} 行），取后者。",
        f"Column {column.header} means the same as {taken} but differs in {len(differing)} rows"
        f" (first in row {differing[0]}); {taken} was taken.",
        str(len(differing)),
    )


def _tell_blank(work: _Work, wanted: Field, header: str) -> None:
    if wanted.required:
        work.tell(
            "error",
            f"{wanted.name}_missing",
            header,
            f"缺少{wanted.zh}，该行无法导入。",
            f"No {wanted.en}: the row cannot be used.",
        )
    elif wanted.need == "expected":
        work.tell(
            "notice", "cell_blank", header, f"{wanted.zh}为空。", f"The {wanted.en} is blank."
        )


def _read(work: _Work, resource: Resource, wanted: Field, header: str, text: str) -> None:
    if len(text) > wanted.max_chars:
        work.tell(
            "error",
            "too_long",
            header,
            f"{wanted.zh}有 {len(text)} 字，超过 {wanted.max_chars} 字。",
            f"The {wanted.en} has {len(text)} characters, more than {wanted.max_chars}.",
            text,
        )
        return
    _READERS[wanted.kind](work, resource, wanted.name, header, text)


def _read_text(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    if name in {"code", "title"}:
        text = " ".join(text.split())
    resource[name] = text
    if name == "provider_code" and len(text) == 18 and not uscc.is_valid(text):
        work.tell(
            "notice",
            "provider_code_check",
            header,
            "统一社会信用代码校验位不符。",
            "The check character of the unified social credit code is wrong.",
            text,
        )
    if name.endswith("url") and not re.match(r"https?://\S+$", text):
        work.tell(
            "notice",
            "link_unreadable",
            header,
            "不是可用的网址，原样保留。",
            "Not a usable link; kept as it is.",
            text,
        )


def _read_list(_: _Work, resource: Resource, name: str, __: str, text: str) -> None:
    resource[name] = split_list(text)


def _read_items(_: _Work, resource: Resource, name: str, __: str, text: str) -> None:
    resource[name] = split_list(text)
    resource["items_text"] = text


def _read_formats(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    formats, unknown = read_formats(text)
    resource[name], resource["format_text"] = formats, text
    if unknown:
        work.tell(
            "notice",
            "format_unknown",
            header,
            f"不认识的格式：{'、'.join(unknown)}，原样保留。",
            f"Unknown formats, kept as they are: {', '.join(unknown)}.",
            text,
        )
    if ", ".join(formats) != text:
        work.tell(
            "notice",
            "format_respelt",
            header,
            f"格式统一写作 {', '.join(formats)}。",
            f"The format is spelt {', '.join(formats)}.",
            text,
        )


def _read_count(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    count, bare = read_count(text)
    resource[name] = count
    if count is None:
        work.tell(
            "notice",
            "count_unreadable",
            header,
            "不是数目，未导入。",
            "Not a count; left out.",
            text,
        )
    elif not bare:
        work.tell(
            "notice", "count_respelt", header, f"按 {count} 读取。", f"Read as {count}.", text
        )


def _read_date(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    resource[name], how = read_date(text)
    if how == "unreadable":
        work.tell(
            "notice",
            "date_unreadable",
            header,
            "日期无法识别，按原文保留。",
            "The date cannot be read; kept as text.",
            text,
        )
    elif how == "republican":
        work.tell(
            "notice",
            "date_republican",
            header,
            f"按民国纪年读作 {resource[name]}。",
            f"Read as a year of the Republic: {resource[name]}.",
            text,
        )


def _read_cycle(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    resource[name], resource["update_cycle_text"] = read_cycle(text), text
    if resource[name] is None:
        work.tell(
            "notice",
            "cycle_unknown",
            header,
            "不认识的更新周期，只保留原文。",
            "Unknown update cycle; only its text is kept.",
            text,
        )


def _read_sharing(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    resource[name] = _choice(text, SHARING if name == "sharing" else OPENING)
    resource[f"{name}_text"] = text
    if resource[name] is None:
        work.tell(
            "notice",
            f"{name}_unknown",
            header,
            f"不认识的{FIELDS[name].zh}，只保留原文。",
            f"Unknown {FIELDS[name].en}; only its text is kept.",
            text,
        )


def _read_provider(work: _Work, resource: Resource, name: str, header: str, text: str) -> None:
    code, resource[name] = split_provider(text)
    if code is not None and resource["provider_code"] is None:
        _read_text(work, resource, "provider_code", header, code)


def _read_category(_: _Work, resource: Resource, name: str, __: str, text: str) -> None:
    resource[name], resource["category_count"] = split_category(text)


_READERS: Final[dict[Kind, Callable[[_Work, Resource, str, str, str], None]]] = {
    "text": _read_text,
    "list": _read_list,
    "items": _read_items,
    "formats": _read_formats,
    "integer": _read_count,
    "date": _read_date,
    "cycle": _read_cycle,
    "sharing": _read_sharing,
    "opening": _read_sharing,
    "provider": _read_provider,
    "category": _read_category,
}


def _check_resource(
    work: _Work,
    resource: Resource,
    fields: dict[str, int],
    first_code: dict[str, int],
    first_title: dict[str, int],
) -> None:
    """What one cell alone does not show: repeats, and the guide's rules on sharing and opening."""
    number = work.row.number if work.row else 0
    header = {name: work.table.header[index] for name, index in fields.items()}
    code, title = resource["code"], resource["title"]
    if isinstance(code, str):
        first = first_code.setdefault(code, number)
        if first != number:
            work.tell(
                "error",
                "code_repeated",
                header.get("code"),
                f"资源代码与第 {first} 行重复。",
                f"The code already stands in row {first}.",
                code,
            )
    if isinstance(title, str):
        first = first_title.setdefault(title, number)
        if first != number:
            work.tell(
                "notice",
                "title_repeated",
                header.get("title"),
                f"资源名称与第 {first} 行相同。",
                f"The title already stands in row {first}.",
                title,
            )
    for what, condition in (("sharing", "sharing_condition"), ("opening", "opening_condition")):
        if resource[what] == "conditional" and not resource[condition]:
            work.tell(
                "notice",
                f"{condition}_missing",
                FIELDS[condition].zh,
                f"{FIELDS[what].zh}为有条件，但没有写明条件。",
                f"The {FIELDS[what].en} is conditional, but no condition is given.",
            )
    if resource["sharing"] == "not_shared" and resource["opening"] in {
        "unconditional",
        "conditional",
    }:
        work.tell(
            "notice",
            "open_but_not_shared",
            FIELDS["opening"].zh,
            "不予共享的资源不应开放。",
            "What is not shared should not be open.",
        )
