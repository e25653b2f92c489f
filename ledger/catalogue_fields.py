"""The fields of a public data resource, and the headers under which they come.

They follow the core elements of 政务信息资源目录编制指南（试行） (发改高技〔2017〕1272号), in our names,
and what city portals add.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from ledger.catalogue_values import fold

Kind = Literal[
    "text", "list", "formats", "items", "integer", "date", "cycle", "sharing", "opening",
    "provider", "category",
    "coded", "impacts", "grading",
]  # fmt: skip
Need = Literal["required", "expected", "optional"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource: `need` says what a blank cell means.

    "required": the row is unusable, and an import without the column is refused. "expected": an
    element that the guide requires, one notice a cell. "optional": one notice for the column.
    """

    name: str
    zh: str
    en: str
    kind: Kind
    need: Need
    max_chars: int
    synonyms: tuple[str, ...]


def _field(
    name: str, zh: str, en: str, kind: Kind, need: Need, max_chars: int, synonyms: str
) -> Field:
    return Field(name, zh, en, kind, need, max_chars, tuple(synonyms.split()))


# Synonyms are written folded (see `fold`): simplified, lower case, without blanks or punctuation,
# the most certain first. Traditional headers fold to the same.
FIELDS: Final[dict[str, Field]] = {
    one.name: one
    for one in (
        _field("code", "资源代码", "code", "text", "required", 64,
            "信息资源代码 数据资源代码 资源代码 目录编码 目录代码 资源编码 资源编号 目录编号 资料集编号"
            " 数据集编号 编号 编码 代码 identifier resourcecode datasetid resourceid code id"
            " 序号 number no"),
        _field("title", "资源名称", "title", "text", "required", 200,
            "信息资源名称 数据资源名称 资源名称 目录名称 资料集名称 数据集名称 资料名称 数据名称 名称 标题"
            " title datasettitle datasetname resourcename dataset name"),
        _field("provider", "提供方", "provider", "provider", "required", 200,
            "信息资源提供方 资源提供方 资料集提供机关 资料提供机关 提供机关 提供方 提供方名称 提供部门"
            " 提供单位 数据提供方 数据提供单位 来源部门 发布机构 发布单位 发布部门"
            " 主管部门 所属部门 资料来源 provider publisher department agency organization"
            " organisation owner"),
        _field("provider_code", "提供方代码", "provider code", "text", "expected", 64,
            "信息资源提供方代码 资源提供方代码 提供方代码 提供机关代码 提供部门代码 机关代码 部门代码"
            " 统一社会信用代码 providercode publisherid departmentcode"),
        _field("responsible", "责任部门", "responsible department", "text", "optional", 200,
            "数据责任部门 责任部门 责任单位 数源部门 数源单位 主责部门 数据责任单位 responsible"
            " responsibledepartment dataowner"),
        _field("summary", "摘要", "summary", "text", "expected", 20_000,
            "信息资源摘要 资源摘要 摘要 资源描述 资料集描述 数据集描述 资料描述 数据描述 描述 简介 说明"
            " 资源简介 summary description abstract"),
        _field("format", "资源格式", "format", "formats", "expected", 500,
            "信息资源格式 资源格式 数据格式 资料格式 档案格式 文件格式 格式类型 格式 format mediatype"
            " fileformat"),
        _field("items", "信息项", "data items", "items", "expected", 32_767,
            "信息项信息 信息项名称 信息项 数据项 数据项名称 主要栏位 主要字段 栏位 字段 字段名称"
            " 主要栏位说明 栏位说明 dataitems fields columns"),
        _field("sharing", "共享类型", "sharing", "sharing", "expected", 200,
            "共享属性 共享类型 共享方式类型 sharing sharingtype"),
        _field("sharing_condition", "共享条件", "sharing condition", "text", "optional", 2_000,
            "共享条件 sharingcondition"),
        _field("sharing_mode", "共享方式", "sharing mode", "text", "optional", 200,
            "共享方式 sharingmode"),
        _field("sharing_basis", "不予共享依据", "basis for not sharing", "text", "optional", 2_000,
            "不予共享依据 不共享依据 不予共享理由 不予共享原因 不予共享的依据 共享依据 sharingbasis"),
        _field("opening", "开放类型", "opening", "opening", "expected", 200,
            "开放属性 是否向社会开放 开放类型 是否开放 opening opentype isopen"),
        _field("opening_condition", "开放条件", "opening condition", "text", "optional", 2_000,
            "开放条件 openingcondition"),
        _field("return_flow", "回流属性", "return to the grassroots", "coded", "optional", 200,
            "回流属性 回流类型 是否回流 数据回流 回流 returnflow"),
        _field("return_condition", "回流条件", "return condition", "text", "optional", 2_000,
            "回流条件 returncondition"),
        _field("update_cycle", "更新周期", "update cycle", "cycle", "expected", 200,
            "更新周期 更新频率 更新频度 更新频次 updatecycle updatefrequency accrualperiodicity"
            " frequency"),
        _field("published_on", "发布日期", "published on", "date", "expected", 64,
            "发布日期 发布时间 首次发布日期 上架日期 上架时间 建立日期 建立时间 创建日期 创建时间"
            " publishedon issued publicationdate releasedate published created"),
        _field("updated_on", "更新日期", "updated on", "date", "optional", 64,
            "最后更新时间 最后更新日期 更新日期 更新时间 最近更新时间 最近更新日期 updatedon modified"
            " lastupdated lastmodified updated"),
        _field("category", "分类", "category", "category", "expected", 200,
            "信息资源分类 资源分类 目录分类 主题分类 分类及编号 所属主题 所属分类 服务分类 分类 主题 领域"
            " 类别 category theme subject"),
        _field("kind", "资源类型", "kind of resource", "text", "optional", 200,
            "资料集类型 数据集类型 资源类型 数据类型 类型 kind type resourcetype"),
        _field("source_url", "来源链接", "source link", "text", "optional", 2_000,
            "资料连结网址 数据链接 资源链接 下载地址 访问地址 接口地址 链接地址 链接 连结 网址 landingpage"
            " accessurl downloadurl sourceurl url link"),
        _field("documentation_url", "说明链接", "documentation link", "text", "optional", 2_000,
            "资料集说明网址 数据集说明网址 说明网址 说明文档 documentationurl documentation"),
        _field("record_count", "记录数", "record count", "integer", "optional", 64,
            "资料量 数据量 记录数 记录条数 数据条数 数据总量 笔数 recordcount rowcount records rows"),
        _field("period_from", "时间范围起", "period from", "date", "optional", 64,
            "收录期间起 收录期间开始 起始日期 起始时间 开始日期 时间范围起 periodfrom startdate"),
        _field("period_to", "时间范围止", "period to", "date", "optional", 64,
            "收录期间迄 收录期间止 收录期间结束 结束日期 结束时间 截止日期 时间范围止 periodto enddate"),
        _field("licence", "授权方式", "licence", "text", "optional", 500,
            "授权方式 授权条款 许可协议 使用许可 开放协议 licence license rights"),
        _field("fee", "计费方式", "fee", "text", "optional", 500,
            "计费方式 收费方式 收费标准 fee price"),
        _field("fee_url", "计费说明链接", "fee link", "text", "optional", 2_000,
            "计费说明网址 收费说明网址 feeurl"),
        _field("fee_basis", "计费依据", "legal basis of the fee", "text", "optional", 2_000,
            "计费法令依据 收费依据 计费依据 feebasis"),
        _field("encoding", "编码格式", "encoding", "list", "optional", 200,
            "编码格式 字符编码 文件编码 字符集 encoding charset"),
        _field("keywords", "关键字", "keywords", "list", "optional", 2_000,
            "标签关键字 关键字 关键词 标签 keywords keyword tags tag"),
        _field("related", "关联资源代码", "related resources", "list", "optional", 2_000,
            "关联资源代码 关联信息资源代码 关联资源 关联目录 相关资源 related relation relatedresources"),
        _field("source_system", "来源系统", "source system", "text", "optional", 200,
            "来源系统 所属系统 信息系统名称 业务系统 数据来源 sourcesystem source"),
        _field("update_mechanism", "更新机制", "update mechanism", "text", "optional", 2_000,
            "更新机制 更新方式 更新办法 数据更新机制 数据更新方式 updatemechanism"),
        _field("way_of_use", "使用方式", "way of use", "text", "optional", 2_000,
            "使用方式 数据使用方式 利用方式 使用方法 wayofuse usage"),
        _field("quality_standard", "质量标准", "quality standard", "text", "optional", 2_000,
            "质量标准 数据标准 采用标准 qualitystandard standard"),
        _field("grading", "数据分级", "declared grade", "grading", "optional", 64,
            "数据分级 数据级别 数据分级级别 分级 安全级别 grading datalevel"),
        _field("impacts", "影响对象和程度", "harm to whom, how grave", "impacts", "optional", 500,
            "影响对象及程度 影响对象和程度 影响对象与程度 影响对象影响程度 影响对象 影响程度 危害程度"
            " impacts impact"),
        _field("important_list", "列入重要数据目录", "on the list of important data", "coded",
            "optional", 64,
            "列入重要数据目录 是否列入重要数据目录 重要数据目录 是否重要数据 是否为重要数据 重要数据清单"
            " importantlist importantdata"),
        _field("personal_information", "个人信息", "personal information", "coded", "optional", 64,
            "个人信息 是否含个人信息 是否包含个人信息 是否涉及个人信息 涉及个人信息 个人信息类型"
            " 含个人信息 personalinformation"),
        _field("person_count", "个人信息人数", "number of persons", "integer", "optional", 64,
            "个人信息人数 涉及人数 个人信息主体数量 personcount persons"),
        _field("sensitive_person_count", "敏感个人信息人数", "number of persons, sensitive", "integer",
            "optional", 64,
            "敏感个人信息人数 涉及敏感个人信息人数 敏感人数 sensitivepersoncount"),
        _field("export_planned", "计划出境", "planned to be sent abroad", "coded", "optional", 64,
            "计划出境 拟出境 是否出境 是否拟出境 数据出境 是否数据出境 exportplanned"),
        _field("ciio", "关键信息基础设施运营者", "operator of critical information infrastructure",
            "coded", "optional", 64,
            "关键信息基础设施运营者 是否关键信息基础设施运营者 是否关键信息基础设施 关键信息基础设施 ciio"),
        _field("notes", "备注", "notes", "text", "optional", 20_000,
            "备注 附注 注记 notes note remarks remark comment comments"),
    )
}  # fmt: skip

# What only those who work with a resource are shown, although the resource itself is public: names of
# inner systems, and what was weighed for its grade and for sending it abroad.
INNER: Final = frozenset(
    {"source_system", "impacts", "person_count", "sensitive_person_count", "export_planned", "ciio"}
)

# Columns that name persons or how to reach them.
_PERSONAL: Final = re.compile(
    "联络人|联系人|承办人|经办人|负责人|姓名|电话|手机|联系方式|传真|电子邮件|邮箱|email|地址$|contact|phone"
    "|^tel"
)

_FIELD_OF: Final[dict[str, tuple[int, str]]] = {}
for _one in FIELDS.values():
    for _rank, _synonym in enumerate((*_one.synonyms, fold(_one.zh), fold(_one.name))):
        _FIELD_OF.setdefault(_synonym, (_rank, _one.name))


def field_of(header: str) -> tuple[int, str] | None:
    """(rank of the synonym, 0 the most certain; field) that a header means, or None.

    >>> field_of("序號"), field_of("天氣")
    ((19, 'code'), None)
    """
    return _FIELD_OF.get(fold(header))


def is_personal(header: str) -> bool:
    """Whether a column may hold a person's name, telephone or address."""
    return _PERSONAL.search(fold(header)) is not None
