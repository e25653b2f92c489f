"""A month of the finance department, by pages alone: from the scheme to the reversal and its redraft.

Only signatures are made by a command, on the machine of whoever signs; and the administrator admits the
second checker's key, which no page can.
"""

import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser

from ledger.calendar import local_date
from ledger.chain import keys
from tests.browser.conftest import DESK, PHONE, People, Person, Served, serving, the_agreement
from tests.story.conftest import SHUZHENG, environment
from webapp.home import clock

OPERATOR, EXCHANGE, TREASURY = "91000000DEM000003F", "91000000DEM000005M", "11000000DEM0000061"
BANK = "91000000DEM000007U"
OWN = "ein langer guter Satz 9"
IMPORT = "导入这一文件"  # of a preview
THRESHOLD = "300000"
WRONG_SCHEME = f"""
v: 1
name: {{zh: 新方案}}
steps:
- {{kind: pool, label: {{zh: 余}}, shares: [{{party: {OPERATOR}, share: 1/2}}]}}
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A site of its own: the month closes periods, and lowers the threshold of the house."""
    home = tmp_path_factory.mktemp("month") / "home"
    subprocess.run(
        [*SHUZHENG, "demo", "--home", str(home)], check=True, env=environment(), timeout=300,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with serving(home) as made:
        made.agreement = the_agreement(home)
        yield made


class Month:
    """Who takes part in it, and what they pass on to each other."""

    second: Person
    second_key: Path
    first: date

    def __init__(self, people: People, office: Served, folder: Path) -> None:
        self.people, self.office, self.folder = people, office, folder
        self.at = f"/agreements/{office.agreement}"
        self.demo = (office.home / "demo" / "passphrase").read_text().strip()
        self.wu, self.zhang, self.zheng = (people(who) for who in ("wu", "zhang", "zheng"))
        self.admin = people("admin")

    def day(self, n: int) -> str:
        """The n-th day of the month, from 0."""
        return (self.first + timedelta(days=n)).isoformat()

    def join(self, login: str, uscc: str, role: str, address: str = "") -> Person:
        """The administrator enters a member, who chooses a password of his own."""
        self.admin.go(f"/parties/{uscc}/members")
        self.admin.fill(login=login, name=login, signing_address=address)
        self.admin.page.check(f"#roles-{role}")
        self.admin.press()
        self.admin.go(f"/members/{login}/password-reset")
        self.admin.press()
        once = self.admin.number(r"[a-z2-9]{4}(-[a-z2-9]{4}){3}")
        fresh = self.people(login, sign_in=False)
        fresh.sign_in(once)
        fresh.fill(old=once, new=OWN, again=OWN)
        fresh.press()
        return fresh

    def key(self, name: str) -> tuple[Path, str]:
        """A keystore on somebody's own machine, under a passphrase of his own; its address."""
        path = self.folder / f"{name}.json"
        return path, keys.create_keystore(path, OWN)

    def sign(self, checker: Person, number: str, keystore: Path, passphrase: str) -> None:
        """The checker takes the request away, signs it, hands it in."""
        checker.go(f"/statements/{number}")
        checker.wait_for("链上：已生效")
        checker.go(f"/statements/{number}/approve")
        with checker.page.expect_download() as download:
            checker.page.locator("a", has_text=".json").first.click()
        request, signed = (self.folder / f"{checker.who}-{number}-{n}.json" for n in "ab")
        download.value.save_as(request)
        self.office.shuzheng("sign", str(request), "--keystore", str(keystore), "-o", str(signed), "--yes",
                             SHUZHENG_KEY_PASSPHRASE=passphrase)  # fmt: skip
        checker.page.set_input_files("#file", str(signed))
        checker.press()

    def approve(self, number: str) -> None:
        """Both checkers sign; the worker books it when the contract has counted them."""
        self.do(self.wu, f"/statements/{number}/propose", "已提交复核")
        own = self.office.home / "offline" / "checker.json"
        self.sign(self.zheng, number, own, self.demo)
        self.zheng.sees("已有 1 个签名，共须 2 个")
        self.sign(self.second, number, self.second_key, OWN)
        self.second.sees("已有 2 个签名，共须 2 个")
        self.wu.go(f"/statements/{number}")
        self.wu.wait_for("已入账")

    def hand_in(
        self, who: Person, path: str, name: str, rows: list[str], sees: str, **values: str
    ) -> None:
        """A table handed in with a form."""
        who.go(path)
        who.fill(**values)
        data = ("\n".join(rows) + "\n").encode()
        file = {"name": name, "mimeType": "text/csv", "buffer": data}
        who.page.set_input_files("#file", file)  # type: ignore[arg-type]
        who.press()
        if who.page.get_by_role("button", name=IMPORT).count():  # looked at, and found good
            who.press(IMPORT)
        who.sees(sees)

    def do(self, who: Person, path: str, sees: str, /, **values: str) -> None:
        """Fill in a form and send it by a double click: it is done once."""
        who.go(path)
        who.fill(**values)
        buttons = who.page.locator("main form button:not([type=button]):visible")
        with who.page.expect_navigation():
            buttons.first.dblclick()
        who.sees(sees)

    def on_phone(self, who: Person, path: str, *sees: str, name: str = "") -> None:
        """A page on a telephone: nothing scrolls sideways, each of these stands within its width."""
        who.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        who.go(path)
        for text in sees:
            box = who.page.locator("main").get_by_text(text, exact=True).last.bounding_box()
            assert box is not None, (path, text)
            assert box["x"] + box["width"] <= PHONE["width"], (path, text, box)
        width = who.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], (path, width)
        if name:
            who.look(f"month-{name}-phone")
        who.page.set_viewport_size(DESK)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_month_of_the_finance_department(
    office: Served, browser: Browser, tmp_path: Path
) -> None:
    people = People(office, browser)
    try:
        month = Month(people, office, tmp_path)
        _agree(month)
        _trade(month)
        number = _statement(month)
        _pay(month)
        _reconcile(month)
        _prove_and_reverse(month, number)
    finally:
        for context in people.contexts:
            context.close()
    assert not people.troubles, "\n".join(people.troubles)


def _agree(month: Month) -> None:
    """A new edition of the scheme, by both sides; a second checker and a lower threshold."""
    wu, zhang, li = month.wu, month.zhang, month.people("li")
    wu.go(f"{month.at}/statements")
    month.first = date.fromisoformat(wu.page.locator("#from_on").input_value())
    zhang.go(f"{month.at}/schemes/new")
    scheme = yaml.safe_load(zhang.page.locator("#document").input_value())
    zhang.fill(document=WRONG_SCHEME, effective_from=month.day(0))
    zhang.press()
    zhang.sees("scheme.name.en：缺少此项", "合计为 1/2，必须恰好等于 1")  # not in English
    scheme["steps"][2]["shares"][0]["share"], scheme["steps"][2]["shares"][1]["share"] = (
        "1/2",
        "2/5",
    )
    zhang.fill(document=yaml.safe_dump(scheme, allow_unicode=True, sort_keys=False))
    zhang.press()
    zhang.sees("收益分配方案第 2 版：已提出")
    month.on_phone(li, "/work")
    li.click("收益分配方案")
    li.click("同意方案")
    li.sees("版次")
    li.press()
    li.sees("已商定")
    month.second_key, address = month.key("checker")
    admin = str(month.office.home / "offline" / "admin.json")
    month.office.shuzheng("key", "admit", address, "--keystore", admin, "--home", str(month.office.home),
                          SHUZHENG_ADMIN_PASSPHRASE=month.demo)  # fmt: skip
    month.second = month.join("zheng2", TREASURY, "finance_checker", address)
    month.do(month.admin, "/settings/third_approval_yuan", "现为 300000", value=THRESHOLD)


def _trade(month: Month) -> None:
    """Paid in advance, ordered, fulfilled; two licences paid, one of them late; a refund by two."""
    wu, zhang, other = month.wu, month.zhang, month.join("zhang2", OPERATOR, "operator")
    month.do(wu, f"{month.at}/remittances", "已登记 YH-1：200000.00 元", party=BANK, purpose="prepayment",
             amount_yuan="200,000.00", received_on=month.day(6), reference="YH-1")  # fmt: skip
    wu.sees("来款用途")
    today = local_date(clock())
    terms = {
        "licensee": BANK, "right": "use", "purpose": "industry", "terms": "scene: 区域公共卫生风险评估",
        "from_on": today.isoformat(), "until_on": (today + timedelta(days=300)).isoformat(),
    }  # fmt: skip
    at = f"/vouchers/{_voucher(month)}"
    month.do(zhang, f"{at}/orders", "订单 DD-1：已下单", order="DD-1", paid_by="prepayment",
             price_yuan="150000.00", offer_until=(today + timedelta(days=9)).isoformat(),
             licensee_address=keys.address_of(bytes([71]) * 32), **terms)  # fmt: skip
    month.do(other, "/orders/DD-1/fulfil", "已授予第 1 号许可")
    for n, (price, on) in enumerate((("480000", 13), ("50000", -3)), 1):
        month.do(zhang, f"{at}/licences", f"XK-{n}", order=f"XK-{n}", price_yuan=price,
                 licensee_address=keys.address_of(bytes([71 + n]) * 32), **terms)  # fmt: skip
        month.do(wu, f"/licences/XK-{n}/payments", "已记录收款", amount_yuan=price,
                 received_on=month.day(on), reference=f"YH-{n + 1}")  # fmt: skip
    wu.go("/licences/XK-1")
    assert wu.page.get_by_role("link", name="登记收款").count() == 0  # nothing is left to be paid
    month.on_phone(wu, "/licences/XK-1", "480,000.00", name="licence")
    month.do(
        wu, "/payments/YH-3/refunds", "下一步由另一人批准", amount_yuan="10000", ground="部分未交付"
    )
    month.zheng.go("/work")
    month.zheng.click("退款")
    month.zheng.click("批准退款")
    month.zheng.sees("10,000.00")
    month.zheng.press()
    month.zheng.sees("已复核")


def _voucher(month: Month) -> str:
    month.zhang.go("/vouchers")
    return month.zhang.number(r"PZ\d{6}-\d{6}-[0-9A-Z]")


def _statement(month: Month) -> str:
    """Closed, drafted, asked about, corrected, approved by two checkers, booked."""
    wu, zhang = month.wu, month.zhang
    until = month.day(29)
    wu.go(f"{month.at}/finance")
    wu.page.get_by_role("link", name="结账", exact=True).click()
    wu.fill(from_on=month.day(1), until_on=month.day(200))
    wu.press()
    wu.sees("尚未结束", "下一期间须从次日开始")  # every fault at once
    month.do(wu, f"{month.at}/periods", "已结账", from_on=month.day(0), until_on=until)
    wu.go(f"{month.at}/statements")
    wu.fill(facts__platform_cost_fen="五千")
    wu.press()
    wu.sees("“平台成本补偿” 的形式须为：以元计的金额，如 1234.50")
    month.do(
        wu,
        f"{month.at}/statements",
        "其中以前期间调整 47169.81 元",
        facts__platform_cost_fen="5,000",
    )
    number = wu.number(r"FP\d{4}-\d{4}")
    wu.sees("500,000.00")
    assert wu.page.get_by_text("收款方证明").count() == 0  # there is nothing on chain yet
    month.on_phone(wu, f"/statements/{number}", "222,750.00", name="statement")
    month.do(
        zhang,
        f"/statements/{number}/inquiries",
        "待答复",
        line="1",
        question="平台成本为何只有 5000 元？",
    )
    question = zhang.number(r"ZX\d{4}-\d{5}")
    wu.go(f"/statements/{number}")
    wu.click("更正")
    assert wu.page.locator('[id="facts.platform_cost_fen"]').input_value() == "5000.00"
    wu.fill(facts__platform_cost_fen="6000.00", reason="按审定数更正")
    wu.press()
    wu.sees("已重新计算", "按审定数更正")
    month.do(wu, f"/inquiries/{question}/answer", "已答复", answer="已更正为 6000 元。")
    month.do(zhang, f"/inquiries/{question}/close", "已办结")
    month.approve(number)
    month.on_phone(month.zheng, f"/statements/{number}/approve", "222,300.00")
    return number


def _pay(month: Month) -> None:
    """A new account by two, the payout by three, its files, and what the bank did: paid, failed, back."""
    wu, zheng = month.wu, month.zheng
    month.do(wu, f"/parties/{BANK}/bank-accounts", "待另一名财务人员确认", kind="account",
             holder_name="城市商业银行", bank="城市商业银行", branch="营业部",
             account_number="620000000000000021", ground="来函")  # fmt: skip
    zheng.go("/work")
    zheng.click("收款账户")
    zheng.click("确认收款账户")
    zheng.press()
    zheng.sees("已确认")
    month.do(wu, f"{month.at}/payouts", "共 5 笔、预占 510000.00 元")
    payout = wu.number(r"ZF\d{4}-\d{6}")
    month.on_phone(zheng, f"/payouts/{payout}/approve", "228,300.00", name="payout-approve")
    zheng.press()
    zheng.sees("已有 1 人复核（须 2 人）")
    month.second.go(f"/payouts/{payout}/approve")
    month.second.press()
    month.second.sees("已有 2 人复核（须 2 人）")
    for kind in ("xlsx", "csv"):
        wu.go(f"/payouts/{payout}")
        with wu.page.expect_download() as download:
            wu.page.locator(f"main a[href$='file.{kind}']").click()
        path = month.folder / f"pay.{kind}"
        download.value.save_as(path)
        for data, told in ((path.read_bytes(), "未改动"), (path.read_bytes()[:600], "")):
            wu.go("/payouts:check")
            file = {"name": path.name, "mimeType": "text/csv", "buffer": data}
            wu.page.set_input_files("#file", file)  # type: ignore[arg-type]
            wu.press()
            wu.sees(told)
            assert told or wu.page.locator("main .alert-danger").count(), "half a file is no file"
    head = "流水号,金额,结果,交易日期,银行流水号,失败原因"
    today, line = local_date(clock()).isoformat(), f"{payout}-0000"
    at = f"/payouts/{payout}/results"
    wrong = [head, f"{line}4,49399.99,失败,{today},,", f"{line}3,1,成,{today},X,"]
    month.hand_in(wu, at, "wrong.csv", wrong, "付款失败须注明原因")
    wu.sees("结果“成”不是")
    month.hand_in(wu, at, "first.csv", [
        head, f"{line}1,44460.00,成功,{today},CK-1,", f"{line}2,228300.00,成功,{today},CK-2,",
        f"{line}3,177840.01,成功,{today},CK-3,", f"{line}4,49399.99,失败,{today},,户名不符",
    ], "已入账 3 笔（450600.01 元），失败 1 笔")  # fmt: skip
    month.hand_in(wu, at, "second.csv", [
        head, f"{line}2,228300.00,退汇,{today},TH-2,已销户", f"{line}5,10000.00,成功,{today},CK-5,",
    ], "退汇 1 笔")  # fmt: skip
    month.on_phone(wu, f"/payouts/{payout}", "未成功")


def _reconcile(month: Month) -> None:
    """The bank's statement of the month, and an exchange's report beside the trades it confirmed."""
    wu = month.wu
    month.hand_in(wu, f"{month.at}/reconciliations/bank", "bank.csv", [
        "交易日期,银行流水号,收入,支出,对方户名,余额",
        f"{month.day(6)},YH-1,200000.00,,城市商业银行,580000.00",
        f"{month.day(13)},YH-2,480000.00,,城市商业银行,1060000.00",
        f"{month.day(14)},FEE-1,,12.00,,1059988.00",
    ], "3 行中 2 行对上，差异 2 项", from_on=month.day(0), until_on=month.day(29))  # fmt: skip
    wu.sees("双方调节后余额相符")
    month.on_phone(wu, wu.page.url.removeprefix(month.office.url))
    wu.go("/work")
    wu.click("对账差异")
    fee = wu.number(r"CY\d{4}-\d{6}")
    month.do(wu, f"/differences/{fee}/answer", "已答复", answer="银行手续费，填制记账凭证。")
    month.do(month.zheng, f"/differences/{fee}/settle", "已办结", finding="属实")
    keystore, address = month.key("exchange")
    zhou = month.join("zhou2", EXCHANGE, "exchange", address)
    rows = ["交易编号,凭证编号,买方,成交日期,金额（元）"]
    rows += [f"T-{n},{_voucher(month)},{BANK},{month.day(31 + n)},{n}060.00" for n in (1, 2)]
    (month.folder / "trades.csv").write_text("\n".join(rows) + "\n")
    month.office.shuzheng(
        "trade", "sign", str(month.folder / "trades.csv"), "--number", "JY-1", "--agreement",
        month.office.agreement, "--exchange", EXCHANGE, "--trust",
        str(month.office.home / "demo" / "trust.json"), "--keystore", str(keystore), "--yes",
        "-o", str(month.folder / "signed.json"), SHUZHENG_KEY_PASSPHRASE=OWN,
    )  # fmt: skip
    zhou.go("/confirmations/new")
    zhou.page.set_input_files("#file", str(month.folder / "trades.csv"))
    zhou.page.set_input_files("#signature", str(month.folder / "signed.json"))
    zhou.press()
    zhou.done()
    zhou.press(IMPORT)
    zhou.done()
    zhou.click("查看结果")
    month.on_phone(
        zhou, zhou.page.url.removeprefix(month.office.url), "1,060.00", name="confirmation"
    )
    report = [
        "交易编号,金额,交易日期", f"T-1,1060.00,{month.day(32)}", f"T-2,2061.00,{month.day(33)}",
    ]  # fmt: skip
    days = {"from_on": month.day(30), "until_on": month.day(40)}
    month.hand_in(wu, f"{month.at}/reconciliations/exchange", "exchange.csv", report,
                  "2 行中 1 行对上，差异 1 项", exchange=EXCHANGE, **days)  # fmt: skip
    month.on_phone(wu, f"{month.at}/books/balance", name="balance")
    month.on_phone(wu, f"{month.at}/trades", "2,060.00")


def _prove_and_reverse(month: Month, number: str) -> None:
    """Compared with last time, proved to a payee, taken back as a whole, and drafted anew."""
    wu, zhang = month.wu, month.zhang
    month.on_phone(wu, f"/statements/{number}/comparison", "方案版本")
    wu.sees("+141,509.43", "增减")
    zhang.go(f"/statements/{number}")
    with zhang.page.expect_download() as download:
        zhang.page.locator("main a[download]").first.click()
    line = month.folder / "line.json"
    download.value.save_as(line)
    node = str(yaml.safe_load((month.office.home / "node.json").read_text())["url"])
    trust = str(month.office.home / "demo" / "trust.json")
    month.office.shuzheng("verify", str(line), "--trust", trust, "--rpc", node)
    month.do(wu, f"/statements/{number}/reverse", f"冲销 {number}", reason="平台成本有误")
    reversal = wu.number(r"FP\d{4}-\d{4}")
    wu.go(f"{month.at}/payouts")
    wu.press()
    wu.sees(f"冲销单 {reversal}", "不付款")
    month.approve(reversal)
    wu.go(f"/statements/{number}")
    wu.sees("已冲销")
    wu.go(f"{month.at}/statements")
    wu.fill(facts__platform_cost_fen="5500")
    wu.context.clear_cookies(name="shuzheng")  # the session runs out while the form is filled in
    wu.press()
    wu.sees("登录已过期")
    wu.fill(login="wu", password=month.office.password)
    wu.press()
    assert wu.page.url.endswith(f"{month.at}/statements")  # where it was
    wu.fill(facts__platform_cost_fen="5500")
    wu.press()
    wu.sees("分配 500000.00 元，其中以前期间调整 47169.81 元", "已起草")
