"""Who may do which verb: the roles, and the one table (`MAY`). `parties.may` asks it for a member."""

ROLES = (
    "administrator",  # 系统管理员: parties and members, nothing of the field
    "provider",  # 实施机构 / 数据提供部门: signs agreements for its side
    "operator",  # 登记主体(运营机构)
    "registrar",  # 登记机构
    "appraiser",  # 资产评估机构
    "exchange",  # 数据交易所
    "finance_maker",  # 财务制单
    "finance_checker",  # 财务复核
    "regulator",  # 监管部门
    "data_subject",  # 数据主体: has a space of its own (个人和法人数字空间)
    "broker",  # 数据经纪: submits demands for those it acts for
)
PUBLIC = "public"  # whoever asks; given to nobody
MEMBER = "member"  # whoever is signed in and has any role; given to nobody
RELATIONS = ("own", "other", "any")


def _but_the_regulator(relation: str) -> str:
    """Every role but his: he sees all and changes nothing but freezes."""
    return " ".join(f"{role}:{relation}" for role in ROLES if role != "regulator")


# verb → role → relation: whether his organisation is one of the subject's owners, is none of them,
# or it does not matter. The only table of who may do what; that nobody decides on what he made
# himself, each verb sees to with `require_other`.
MAY: dict[str, dict[str, str]] = {
    verb: {role: relation for role, _, relation in (one.partition(":") for one in text.split())}
    for verb, text in {
        "party.add": "administrator:any",
        "party.rename": "administrator:any",
        "party.merge": "administrator:any",  # 合并: into another one, which holds what it held
        "party.split": "administrator:any",  # 分立: what it held goes to named ones
        "party.read": "member:any",
        "steward.name": "administrator:any provider:own",  # 首席数据官, 数据专员
        "steward.relieve": "administrator:any provider:own",
        "steward.read": "member:any",
        "member.add": "administrator:any",
        "member.change": "administrator:any",
        "member.reset": "administrator:any",  # a new one-time password
        "member.read": "administrator:any regulator:any",
        "evidence.deposit": "operator:own provider:own exchange:own appraiser:own broker:own "
        "data_subject:own",
        "evidence.read": "operator:own provider:own exchange:own appraiser:own broker:own "
        "data_subject:own registrar:any regulator:any",
        "catalogue.import": "registrar:any provider:own",  # a provider's own; the registrar decides
        "catalogue.approve": "registrar:any",  # of what another one proposed
        "catalogue.reject": "registrar:any",
        "catalogue.undo": "registrar:any",
        "catalogue.read": "registrar:any regulator:any provider:own",
        "catalogue.export": "public:any",  # of what he may see
        "resource.add": "registrar:any",  # by hand; a provider proposes a change set
        "resource.read": "public:any",  # whose audience he belongs to
        "duty.report": "registrar:any provider:own",  # a cause to change the catalogue
        "duty.settle": "provider:own",
        "duty.confirm": "registrar:any",
        "duty.reopen": "registrar:any",
        "duty.read": "registrar:any regulator:any provider:own",
        "demand.submit": "provider:any operator:any broker:any exchange:any data_subject:any",
        "demand.withdraw": "provider:own operator:own broker:own exchange:own data_subject:own",
        "demand.assign": "registrar:any",
        "demand.accept": "provider:own",  # the department's own; it goes on the responsibility list
        "demand.refuse": "provider:own",
        "demand.fulfil": "provider:own",
        "demand.close": "provider:own operator:own broker:own exchange:own data_subject:own",
        "demand.appeal": "provider:own operator:own broker:own exchange:own data_subject:own",
        "demand.uphold": "registrar:other",
        "demand.dismiss": "registrar:other",
        "demand.read": "provider:own operator:own broker:own exchange:own data_subject:own "
        "registrar:any regulator:any",
        "exclusion.propose": "provider:own registrar:any",  # 负面清单
        "exclusion.approve": "registrar:any",
        "exclusion.reject": "registrar:any",
        "exclusion.end": "registrar:any",
        "exclusion.read": "member:any",
        "feedback.raise": _but_the_regulator("any"),  # 异议, 质量反馈 on a resource he may see
        "feedback.withdraw": _but_the_regulator("own"),
        "feedback.answer": "provider:own registrar:own",  # the provider's; without one the registrars'
        "feedback.close": _but_the_regulator("own"),
        "feedback.appeal": _but_the_regulator("own"),
        "feedback.uphold": "registrar:other",
        "feedback.dismiss": "registrar:other",
        "feedback.read": "member:own registrar:any regulator:any",
        "responsibility.read": "provider:own registrar:any regulator:any",  # 责任清单
        "agreement.propose": "operator:own",
        "agreement.sign": "provider:own",
        "agreement.consent": "provider:own registrar:any",  # the registrar's for who takes no part
        "agreement.withdraw": "operator:own",
        "agreement.decline": "provider:own",
        "agreement.propose_end": "operator:own provider:own",  # 提前终止
        "agreement.end": "operator:own provider:own",
        "agreement.keep": "operator:own provider:own",
        "agreement.hand_back": "operator:own",  # 退出交接
        "agreement.confirm_hand_back": "provider:own",
        "agreement.reopen_hand_back": "provider:own",
        "evaluation.make": "provider:own",  # 年度评价
        "evaluation.comment": "operator:own",
        "evaluation.read": "operator:own provider:own registrar:any regulator:any",
        "disclosure.read": "public:any",  # 授权运营信息公开, 27号 art. 18, 19
        "agreement.read": "operator:own provider:own registrar:any regulator:any finance_maker:any "
        "finance_checker:any",
        "application.submit": "operator:own provider:own",
        "application.withdraw": "operator:own provider:own",
        "application.consent": "operator:own provider:own",  # joint applicant, receiver, subject
        # about what is registered: by its subject; a correction and an objection by others too
        "application.change": "operator:own provider:own",
        "application.correct": "operator:any provider:any",
        "application.cancel": "operator:own provider:own",
        "application.renew": "operator:own provider:own",
        "application.transfer": "operator:own provider:own",
        "application.licence": "operator:own provider:own",
        "application.dispute": "operator:other provider:other",
        "application.return": "registrar:other",
        "application.refuse": "registrar:other",
        "application.accept": "registrar:other",
        "application.reject": "registrar:other",
        "application.pass": "registrar:other",
        "application.second": "registrar:other",
        "application.doubt": "registrar:other",
        "application.notice": "registrar:other",
        "application.code": "registrar:other",
        "application.conclude": "registrar:other",
        "application.read": "operator:own provider:own registrar:any regulator:any",
        "notice.read": "public:any",  # 公示
        # 异议, by whoever is signed in under his real name; not by the applicants, nor who decides
        "objection.raise": "operator:other provider:other exchange:other appraiser:other broker:other "
        "data_subject:other finance_maker:other finance_checker:other",
        "objection.withdraw": "operator:own provider:own exchange:own appraiser:own broker:own "
        "data_subject:own finance_maker:own finance_checker:own",
        "objection.uphold": "registrar:other",
        "objection.dismiss": "registrar:other",
        "objection.read": "member:own registrar:any regulator:any",
        "registration.read": "public:any",
        "registration.inquire": "registrar:other",  # 核实
        "registration.clear": "registrar:other",
        "registration.revoke": "registrar:other",
        "registration.cancel": "registrar:other",
        "registration.lift": "registrar:other",
        "voucher.issue": "registrar:other",
        "voucher.renew": "registrar:other",
        "voucher.transfer": "registrar:other",
        "voucher.supersede": "registrar:other",
        "voucher.split": "registrar:other",
        "voucher.pledge": "registrar:other",
        "voucher.release": "registrar:other",
        "voucher.replace_key": "registrar:other",
        "motion.confirm": "registrar:other",  # of what another registrar proposed
        "motion.reject": "registrar:other",
        "motion.read": "registrar:any regulator:any operator:own",
        "authorisation.request": "operator:own provider:own",  # as the user or the provider
        "authorisation.consent": "data_subject:own",
        "authorisation.refuse": "data_subject:own",
        "authorisation.withdraw": "data_subject:own",
        "authorisation.issue": "registrar:other",
        "authorisation.end": "operator:own provider:own",
        "authorisation.read": "data_subject:own operator:own provider:own registrar:any regulator:any",
        "use.count": "operator:own provider:own",  # the provider of the data
        "space.read": "data_subject:any",  # 个人和法人数字空间: his own
        "voucher.suspend": "registrar:other",
        "voucher.resume": "registrar:other",
        "voucher.revoke": "registrar:other",
        "voucher.cancel": "registrar:other",
        "voucher.freeze": "regulator:other",
        "voucher.unfreeze": "regulator:other",
        "registration.freeze": "regulator:other",  # all its vouchers at once
        "registration.unfreeze": "regulator:other",
        "voucher.read": "operator:own registrar:any exchange:any regulator:any appraiser:any "
        "finance_maker:any finance_checker:any",
        "voucher.verify": "public:any",
        "voucher.export": "operator:own registrar:any exchange:any regulator:any",  # its bundle, its PDF
        "alarm.explain": _but_the_regulator("own"),  # 预警: who has to answer
        "supervision.read": "regulator:any",  # 监管总览
        "statistics.read": "public:any",  # 统计报告; the public without what a party can be told from
        "statistics.amounts": "regulator:any registrar:any finance_maker:any finance_checker:any",
        "alarm.close": "regulator:any",
        "alarm.reopen": "regulator:any",
        "alarm.read": "member:own regulator:any",
        "peer.propose": "registrar:any",  # 互认登记机构
        "peer.admit": "administrator:any registrar:any",  # another person than who proposed it
        "peer.reject": "administrator:any registrar:any",
        "peer.reach": "administrator:any",  # where it is asked over the network
        "peer.suspend": "administrator:any registrar:any",
        "peer.resume": "administrator:any registrar:any",
        "peer.end": "administrator:any registrar:any",
        "peer.read": "administrator:any registrar:any exchange:any regulator:any",
        "recognition.import": "registrar:any exchange:any",  # 互认凭证
        "recognition.follow": "administrator:any registrar:any exchange:any",
        "recognition.read": "public:any",
        "appraisal.draft": "appraiser:any",
        "appraisal.approve": "appraiser:own",  # a second person of the maker's firm
        "appraisal.reject": "appraiser:own",
        "appraisal.withdraw": "appraiser:own",  # the maker himself
        "appraisal.read": "appraiser:own operator:own registrar:any exchange:any regulator:any",
        "price.propose": "operator:own",  # 定价, 发改价格〔2025〕65号
        "price.confirm": "provider:own",  # 授权主体
        "price.reject": "provider:own",
        "price.withdraw": "operator:own",
        "price.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "licence.grant": "operator:own",
        "licence.revoke": "operator:own",
        "licence.read": "operator:own regulator:any finance_maker:any finance_checker:any",
        "payment.record": "finance_maker:any",
        "remittance.record": "finance_maker:any",  # 来款
        "remittance.read": "operator:own exchange:own regulator:any finance_maker:any "
        "finance_checker:any",
        "order.place": "operator:own exchange:any",  # 订单
        "order.fulfil": "operator:own",
        "order.cancel": "operator:own exchange:any",
        "order.read": "operator:own exchange:any regulator:any finance_maker:any finance_checker:any",
        "refund.propose": "finance_maker:any",  # 退款
        "refund.approve": "finance_checker:own",  # a second person of the maker's organisation
        "refund.reject": "finance_checker:own",
        "refund.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "confirmation.record": "exchange:any",  # 成交确认: its own, signed by one of its members
        "confirmation.read": "exchange:own operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "usage.import": "operator:own exchange:any",
        "usage.read": "operator:own exchange:any regulator:any finance_maker:any finance_checker:any",
        "payment.read": "operator:own regulator:any finance_maker:any finance_checker:any",
        "scheme.propose": "operator:own",
        "scheme.agree": "provider:own",
        "scheme.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "period.close": "finance_maker:any",  # 结账
        "period.reopen": "finance_checker:any",
        "period.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "journal.propose": "finance_maker:any",  # 记账凭证
        "journal.approve": "finance_checker:any",
        "journal.reject": "finance_checker:any",
        "journal.withdraw": "finance_maker:any",  # the maker himself
        "journal.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "limit.propose": "finance_maker:any",  # 账户限额
        "limit.approve": "finance_checker:any",
        "limit.reject": "finance_checker:any",
        "limit.withdraw": "finance_maker:any",  # the maker himself
        "limit.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "hold.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "entry.read": "operator:own provider:own regulator:any finance_maker:any finance_checker:any",
        "finance.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "statement.draft": "finance_maker:any",
        "statement.propose": "finance_maker:own",  # the maker's organisation; and only he himself
        "statement.reopen": "finance_maker:own",
        "statement.correct": "finance_maker:own",
        "statement.reverse": "finance_maker:own",  # 冲销, by another statement
        "statement.approve": "finance_checker:own",
        "statement.reject": "finance_checker:own",
        "statement.read": "operator:own provider:own regulator:any finance_maker:any "
        "finance_checker:any",
        "statement.proof": "member:own finance_maker:any finance_checker:any regulator:any",
        "inquiry.raise": _but_the_regulator("own"),  # 质询: a payee's, or a side's of the agreement
        "inquiry.answer": "finance_maker:own",  # and only the statement's maker
        "inquiry.insist": _but_the_regulator("own"),
        "inquiry.close": _but_the_regulator("own"),
        "inquiry.withdraw": _but_the_regulator("own"),
        "inquiry.read": "member:own regulator:any finance_maker:any finance_checker:any",
        # 收款账户: by the party itself or by finance; another person of finance confirms
        "bank_account.enter": "finance_maker:any operator:own provider:own",
        "bank_account.withdraw": "finance_maker:any operator:own provider:own",
        "bank_account.confirm": "finance_checker:any",
        "bank_account.reject": "finance_checker:any",
        "bank_account.read": "member:own finance_maker:any finance_checker:any regulator:any",
        "payout.prepare": "finance_maker:any",  # 付款批次
        "payout.approve": "finance_checker:any",  # another person, above a threshold two
        "payout.cancel": "finance_maker:any finance_checker:any",
        "payout.confirm": "finance_maker:any",  # the bank's result
        "payout.close": "finance_checker:any",  # another than who prepared it
        "payout.file": "finance_maker:any finance_checker:any",  # what the bank is given
        "payout.read": "finance_maker:any finance_checker:any regulator:any",
        "reconciliation.import": "finance_maker:any",  # 对账
        "reconciliation.read": "finance_maker:any finance_checker:any regulator:any",
        "difference.answer": "finance_maker:any exchange:own operator:own",
        "difference.settle": "finance_checker:any finance_maker:any",  # another than who answered
        "difference.reopen": "finance_checker:any finance_maker:any",
        "difference.read": "finance_maker:any finance_checker:any regulator:any exchange:own "
        "operator:own",
        "package.pack": "operator:own exchange:any registrar:any",
        "log.read": "public:any",
        "log.seal": "administrator:any",
        "log.anchor": "administrator:any",
        "witness.add": "administrator:any",
        "witness.remove": "administrator:any",
        "witness.cosign": "administrator:any",  # hand a cosignature in by file
        "witness.read": "member:any",
        "trust.read": "public:any",
        "status.read": "public:any",
        "file.verify": "public:any",
        "record.read": "regulator:any",
        "ladder.read": "member:any",  # of what he may see
        "setting.read": "administrator:any regulator:any",
        "setting.change": "administrator:any",
        "outbox.read": "administrator:any regulator:any",
        "outbox.retry": "administrator:any",
        "audit.run": "administrator:any regulator:any",
        "figure.compute": "member:any",
        "job.read": "member:any",  # jobs and drafts are a person's: who may see them asks for him
        "job.start": "member:any",
        "draft.read": "operator:any",
        "draft.save": "operator:any",
        "draft.drop": "operator:any",
        "token.create": "member:any",
        "token.read": "member:any",
        "token.revoke": "member:any",
        "password.change": "member:any",
        "identity.link": "member:any",  # to a single sign-on
        "session.read": "member:any",
        "session.begin": "public:any",
        "session.end": "public:any",
        "page.read": "public:any",  # start page, help, language
        "work.read": "member:any",  # what waits for me
        "message.read": "member:any",  # 提醒: of what he may see
        "message.mark": "member:any",
        "message.deliver": "administrator:any",  # take them to mail or SMS: a number and a day each
    }.items()
}
_MISNAMED = [
    f"{verb} {role}:{relation}"
    for verb, relations in MAY.items()
    for role, relation in relations.items()
    if role not in {*ROLES, PUBLIC, MEMBER}
    or relation not in RELATIONS
    or (role == PUBLIC and relation != "any")  # who is not signed in has no organisation
]
assert not _MISNAMED, _MISNAMED
