"""What each number of the statistical report (统计报告) counts, so that two readers compute the same.

A `flow` counts what was recorded within a period, a `stock` what there was at its end, by what had been
recorded until then. The day of a record is that of its time in the log, in Asia/Shanghai: what is entered
late counts when it is recorded. So a period that is over changes by one thing only: a receipt that never
was at the bank and is undone (`refunds`) is no receipt, on whatever day that is found out.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Indicator:
    """One table of the report: what it counts, in which unit, from which records, by what.

    `unit` is ``count`` or ``fen``; `rule` is ``flow`` or ``stock``; `by` says what its rows are; `at_end`:
    only at the end of the whole period. `noun` is the list that shows what was counted.
    """

    code: str
    zh: str
    en: str
    unit: str
    rule: str
    by: str
    source: str
    defined_zh: str
    defined_en: str
    noun: str = ""
    at_end: bool = False
    adds_up: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The definition in JSON types."""
        return asdict(self)


INDICATORS = {one.code: one for one in (
    Indicator(
        "R1", "登记申请", "applications for registration", "count", "flow", "type",
        "application.submitted (version 1)",
        "期内首次提交的登记申请，按类型；退回后重交不另计。",
        "Applications handed in for the first time, by type; what is handed in again after it was returned "
        "is not counted again.", "application"),
    Indicator(
        "R2", "办结的申请", "applications decided", "count", "flow", "outcome",
        "application.registered, .concluded, .refused, .rejected, .terminated, .withdrawn",
        "期内有最后结果的申请，按结果。",
        "Applications that came to their end, by how.", "application"),
    Indicator(
        "R3", "新登记", "registered", "count", "flow", "object", "registration.coded",
        "期内赋码的登记，按登记对象。", "Registrations coded, by what is registered.", "registration"),
    Indicator(
        "R4", "登记终止", "registrations ended", "count", "flow", "ending",
        "registration.cancelled, .revoked, .lapsed",
        "期内注销、撤销或期满未续展的登记。",
        "Registrations cancelled, revoked, or lapsed since they were not renewed.", "registration"),
    Indicator(
        "R5", "期末有效登记(按对象)", "registrations in force, by object", "count", "stock", "object",
        "registration.coded - .cancelled - .revoked - .lapsed",
        "期末前赋码、尚未终止的登记(核实中的计入)，按登记对象。",
        "Registrations coded by then and not ended, those under inquiry included, by object.",
        "registration"),
    Indicator(
        "R6", "期末有效登记(按地区)", "registrations in force, by region", "count", "stock", "region",
        "registration.*; parties.uscc",
        "同R5；地区取现登记主体统一社会信用代码第3至8位(登记管理机关行政区划码)，不是省级代码的归入“未标明”。",
        "As R5; the region is digits 3 to 8 of the present subject's unified social credit code; what "
        "begins with no province's code is not stated.", "registration"),
    Indicator(
        "R7", "期末有效登记(按目录分类)", "registrations in force, by category", "count", "stock",
        "category",
        "registration.*; resources.elements.category",
        "同R5，只在报告期末；按所依据、读者可见的目录资源的分类；一项登记涉及几类就在各类各计一次，故不可相加。",
        "As R5, at the end of the report; by the category of its resources that the reader sees. A "
        "registration counts once in each category it touches, so the rows do not add up.", "registration",
        at_end=True, adds_up=False),
    Indicator(
        "V1", "签发的凭证", "vouchers issued", "count", "flow", "voucher_kind", "voucher.issued",
        "期内签发的凭证，按种类；拆分、替换产生的新凭证计入。",
        "Vouchers issued, by kind, those from a split or in another one's place included.", "voucher"),
    Indicator(
        "V2", "凭证终止", "vouchers ended", "count", "flow", "voucher_ending",
        "voucher.revoke, .cancel, .supersede, .split",
        "期内撤销、注销、被替换或被拆分的凭证。",
        "Vouchers revoked, cancelled, superseded or split.", "voucher"),
    Indicator(
        "V3", "期末凭证(按种类)", "vouchers not ended, by kind", "count", "stock", "voucher_kind",
        "voucher.issued - voucher.revoke - .cancel - .supersede - .split",
        "期末前签发、尚未终止的凭证；有效期已过但未终止的计入。",
        "Vouchers issued by then and not ended; one whose term has run out counts until it is ended.",
        "voucher"),
    Indicator(
        "V4", "期末凭证(按状态)", "vouchers not ended, by state", "count", "stock", "voucher_state",
        "voucher.suspend, .resume", "同V3，只在报告期末，按有效或暂停。",
        "As V3, at the end of the report, by whether it is suspended.", "voucher", at_end=True),
    Indicator(
        "V5", "授权使用次数", "uses under authorised-use vouchers", "count", "flow", "", "use.counted",
        "期内计次的使用次数之和。", "The sum of the uses counted.", "voucher"),
    Indicator(
        "T1", "许可", "licences granted", "count", "flow", "purpose", "licence.granted",
        "期内售出的许可，按用途；治理、公益为免费。",
        "Licences granted, by purpose; those for governance and benefit are free.", "licence"),
    Indicator(
        "T2", "许可撤销", "licences revoked", "count", "flow", "", "licence.revoked",
        "期内撤销的许可。", "Licences revoked.", "licence"),
    Indicator(
        "T3", "交易方", "parties to licences", "count", "flow", "side", "licence.granted",
        "期内售出许可的不同卖方和不同被许可方各有几家；合计按全期去重，不是各期之和。",
        "How many different sellers and licensees there were; the total is over the whole report, and not "
        "the sum of its periods.", "licence", adds_up=False),
    Indicator(
        "T4", "许可金额", "price of licences granted", "fen", "flow", "purpose", "licence.granted",
        "期内售出许可的约定价款(含增值税)，按用途；其后撤销的不扣减。",
        "The price agreed, VAT included, by purpose; later revocations are not taken off.", "licence"),
    Indicator(
        "T5", "场内成交笔数", "trades confirmed by exchanges", "count", "flow", "",
        "confirmation.recorded (row_count)",
        "期内入账的成交确认所含的成交笔数，按成交确认入账之日，不按成交日；场内成交不另计许可(T1)。",
        "The trades in the confirmations recorded, by the day of that record and not of the trade; no "
        "licence (T1) stands for them.", "confirmation"),
    Indicator(
        "T6", "场内成交金额", "amount of trades confirmed", "fen", "flow", "",
        "confirmation.recorded (amount_fen)",
        "T5各笔的金额，含增值税；是否已与交易机构结清不论；其后退款不扣减(见T7)。",
        "The amount of the trades in T5, VAT included, whether the exchange has cleared it or not; later "
        "refunds are not taken off (T7).", "confirmation"),
    Indicator(
        "T7", "退款", "refunds", "fen", "flow", "refunded", "refund.approved",
        "期内经复核的退款，含增值税，按所退的是收款还是场内成交；退还预收款不是退款收入，撤销误记的收款没有退款，均不计。",
        "Refunds approved, VAT included, by what was refunded. What is given back of a prepayment was no "
        "revenue, and an undone receipt gives nothing back: neither counts.", "refund"),
    Indicator(
        "M1", "收到的价款", "received, VAT included", "fen", "flow", "",
        "payment.recorded without payment.undone",
        "期内入账的许可收款，含增值税，以预收款支付的计入；误记而撤销的收款在任何期间都不计；退款不扣减(见T7)，场内成交不在内"
        "(见T6)。",
        "Payments for licences recorded, VAT included, those out of a prepayment too. One that was undone "
        "counts in no period; refunds are not taken off (T7), trades at exchanges are not in it (T6).",
        "payment"),
    Indicator(
        "M2", "其中增值税", "of which VAT", "fen", "flow", "",
        "payment.recorded without payment.undone",
        "M1所含增值税。", "The VAT within M1.", "payment"),
    Indicator(
        "M3", "不含税收入", "received, net", "fen", "flow", "",
        "payment.recorded without payment.undone",
        "M1减M2。", "M1 less M2.", "payment"),
    Indicator(
        "M4", "已分配", "distributed, by payee", "fen", "flow", "payee", "statement.posted",
        "期内入账分配单的各行金额，按收款方类别；党政机关所得为应缴财政款。",
        "The lines of the statements posted, by the kind of payee; what goes to public bodies is due to "
        "the treasury.", "statement"),
    Indicator(
        "M5", "期末未分配", "not distributed", "fen", "stock", "",
        "M6 - statement.posted",
        "期末前各期M6之和，减期末前入账分配单的金额。",
        "All of M6 until then less the amount of all statements posted by then.",
        "payment"),
    Indicator(
        "M6", "新增待分配收入", "added to what is to be shared, net", "fen", "flow", "origin",
        "payment.recorded without payment.undone; confirmation.recorded; refund.approved",
        "期内收款(M3)与场内成交(T6)的不含税额，减退款(T7)的不含税额。",
        "The net of payments (M3) and of trades at exchanges (T6), less the net of refunds (T7).",
        "payment"),
)}  # fmt: skip

# What the rows of a table are, in their order: by → key → (Chinese, English).
ROWS: dict[str, dict[str, tuple[str, str]]] = {
    "": {"": ("合计", "total")},
    "type": {
        "first": ("首次登记", "first registration"), "change": ("变更", "change"),
        "correction": ("更正", "correction"), "renewal": ("续展", "renewal"),
        "transfer": ("转移", "transfer"), "licence": ("许可", "licence"),
        "objection": ("异议", "objection"), "cancellation": ("注销", "cancellation"),
    },
    "outcome": {
        "registered": ("已赋码", "registered"), "concluded": ("已办结", "concluded"),
        "refused": ("不予受理", "not accepted"), "rejected": ("不予登记", "rejected"),
        "terminated": ("终止", "terminated"), "withdrawn": ("撤回", "withdrawn"),
    },
    "object": {
        "resource": ("公共数据资源", "data resource"), "product": ("产品和服务", "product or service"),
        "model": ("模型", "model"), "computing_power": ("算力", "computing power"),
    },
    "ending": {
        "cancelled": ("注销", "cancelled"), "revoked": ("撤销", "revoked"),
        "lapsed": ("期满未续展", "lapsed"),
    },
    "voucher_kind": {
        "registration": ("登记凭证", "registration voucher"),
        "authorised_use": ("授权使用凭证", "authorised-use voucher"),
    },
    "voucher_ending": {
        "revoke": ("撤销", "revoked"), "cancel": ("注销", "cancelled"),
        "supersede": ("被替换", "superseded"), "split": ("被拆分", "split"),
    },
    "voucher_state": {"valid": ("有效", "valid"), "suspended": ("暂停", "suspended")},
    "purpose": {
        "governance": ("公共治理", "public governance"), "benefit": ("公益事业", "public benefit"),
        "industry": ("产业发展", "industry"),
    },
    "side": {"seller": ("卖方", "sellers"), "licensee": ("被许可方", "licensees")},
    "refunded": {"payment": ("收款", "payments"), "trade": ("场内成交", "trades at exchanges")},
    "origin": {
        "payment": ("收款", "payments"), "trade": ("场内成交", "trades at exchanges"),
        "refund": ("退款", "refunds"),
    },
    "payee": {
        "public_body": ("党政机关(应缴财政)", "public bodies (treasury)"),
        "public_institution": ("事业单位", "public institutions"),
        "enterprise": ("企业", "enterprises"), "data_broker": ("数据经纪", "data brokers"),
        "service_provider": ("第三方服务机构", "service providers"),
        "other_organisation": ("其他组织", "other organisations"),
        "individual": ("自然人", "natural persons"),
    },
}  # fmt: skip

CHECKS = {
    "C1": ("期初登记 + 新登记 - 终止 = 期末登记",
           "registrations: opening + registered - ended = closing"),
    "C2": ("期末登记按对象之和 = 按地区之和",
           "registrations in force: the sum by object = the sum by region"),
    "C3": ("期初凭证 + 签发 - 终止 = 期末凭证", "vouchers: opening + issued - ended = closing"),
    "C4": ("收到的价款 = 增值税 + 不含税收入", "received = VAT + net"),
    "C5": ("分配单各行之和 = 分配单金额", "the lines of statements = the amounts of statements"),
    "C6": ("期初未分配 + 新增待分配收入 - 已分配 = 期末未分配",
           "not distributed: opening + added - distributed = closing"),
}  # fmt: skip
"""What must agree, each side read by a query of its own."""
