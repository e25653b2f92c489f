"""The commands of appraisals, and what an outsider recomputes: figures, appraisals, bundles, packages."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typst
import yaml

from ledger import appraisals, handoff
from ledger.calendar import local_date
from ledger.proof import bundle as bundles
from ledger.proof.encoding import canonical, parse
from tests.conftest import CREDENTIAL_KEY, DEMO, LOG_KEY, ORIGIN, START, Town
from tests.ledger.test_appraisals import ANALYSIS, DOCUMENT, more_cost
from tests.ledger.test_handoff import PRICING, anchor, ready
from tests.webapp.test_cli_lists import shuzheng
from valuation import simulation
from webapp.cli.verify import FIGURES_BYTES_MAX, PACKED

__all__ = ["shuzheng"]
NUMBER = "PG2026-0001"


@pytest.fixture
def trust(town: Town, tmp_path: Path) -> str:
    """The town's trust file, as a verifier got it beforehand."""
    path = tmp_path / "trust.json"
    keys = [key.public_key().public_bytes_raw() for key in (LOG_KEY, CREDENTIAL_KEY)]
    data = handoff.trust_file(
        town.home.config.deployment, origin=ORIGIN, log_public=keys[0], credential_public=keys[1],
        since=START, embedded=False,
    )  # fmt: skip
    path.write_bytes(data)
    return str(path)


def changed(path: Path, *way: str | int) -> str:
    """A copy of a canonical file in which one amount is another by a fen, still canonical.

    A step is found by its symbol.
    """
    document = parse(path.read_bytes())
    target = document
    for key in way[:-1]:
        if isinstance(target, list) and isinstance(key, str):
            target = next(step for step in target if step["symbol"] == key)
        else:
            target = target[key]
    known = target[way[-1]]
    target[way[-1]] = str(int(known) + 1) if isinstance(known, str) else known + 1
    made = path.with_name(f"changed-{path.name}")
    made.write_bytes(canonical(document))
    return str(made)


@pytest.fixture
def figure(shuzheng: Any, tmp_path: Path) -> Path:
    source, target = tmp_path / "income.yaml", tmp_path / "figure.json"
    source.write_text(yaml.safe_dump(DOCUMENT["documents"]["income"]))
    shuzheng("value", "income", str(source), "-o", str(target))
    return target


def test_a_figure_recomputes_and_says_that_nobody_vouches_for_it(
    shuzheng: Any, figure: Path, trust: str
) -> None:
    value = parse(figure.read_bytes())["value"]
    for more in ([], ["--trust", trust]):
        told = shuzheng("verify", str(figure), "--recompute", *more, code=2)
        assert f"figure income recomputes to {value[:-2]}.{value[-2:]} yuan" in told
        assert "Nothing in this file shows who made it" in told
    bare = shuzheng("verify", str(figure), code=2)
    assert "recomputes to" not in bare
    report = json.loads(shuzheng("verify", str(figure), "--recompute", "--json", code=2))
    assert (report["kind"], report["verdict"]) == ("figure", "cannot tell")


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (("value",), "value: is not that of the step P"),
        (("steps", "P", "value"), "value: is not that of the step P"),
        (("steps", "F_1", "value"), "F_1: differs: its formula does not give the value written"),
        (("document", "inputs", "periods", 1, "revenue_fen"), "first at R_2"),
    ],
)
def test_a_fen_more_in_a_figure_is_found_at_its_step(
    shuzheng: Any, figure: Path, way: tuple[str | int, ...], said: str
) -> None:
    told = shuzheng("verify", changed(figure, *way), "--recompute", code=1)
    assert said in told


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("another spelling", lambda data: data.replace(b",", b", ", 1), "canonical form"),
        ("cut off", lambda data: data[:-1], "not JSON"),
        ("a float", lambda data: data.replace(b'"v":1', b'"v":1.0'), "not JSON"),
        ("not finite", lambda data: data.replace(b'"v":1', b'"v":NaN'), "not JSON"),
        ("nested", lambda data: b'{"document":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
        ("a number without end", lambda _: b'{"document":' + b"9" * 10_000 + b"}", "not JSON"),
        ("huge", lambda data: data + b" " * FIGURES_BYTES_MAX, "larger than"),
        ("nothing in it", lambda _data: b'{"document":{}}', "is missing"),
        ("text", lambda _data: b'{"document":"x"}', "is missing"),
        ("twice", lambda data: data[:-1] + b',"version":"1"}', "twice"),
        (
            "a power without end",
            lambda data: data.replace(b'"F_1 * v_1"', b'"9 ** 999 ** 9"'),
            "does not recompute",
        ),
    ],
)  # fmt: skip
def test_what_is_no_figure_is_refused_with_a_sentence(
    shuzheng: Any, figure: Path, name: str, make: Callable[[bytes], bytes], said: str
) -> None:
    made = make(figure.read_bytes())
    assert made != figure.read_bytes(), name
    figure.write_bytes(made)
    told = shuzheng("verify", str(figure), "--recompute", code=1)
    assert said in told


def printed(path: Path, **attached: bytes) -> Path:
    """A page of any kind with figures attached, as a report has them."""
    names = [f"{name.replace('_', '-')}.json" for name in attached]
    more = 'relationship: "source", mime-type: "application/json", description: "x"'
    page = "".join(
        f'#pdf.attach("{name}", bytes(sys.inputs.at("{name}")), {more})\n' for name in names
    )
    inputs = {name: data.decode() for name, data in zip(names, attached.values(), strict=True)}
    path.write_bytes(
        typst.compile(page.encode(), format="pdf", sys_inputs=inputs, pdf_standards=["a-3b"])
    )
    return path


def test_what_is_attached_to_a_printed_report_recomputes(
    shuzheng: Any, figure: Path, tmp_path: Path
) -> None:
    made = simulation.analyse(DOCUMENT["documents"]["income"], ANALYSIS)
    attached = {"figure": figure.read_bytes(), "analysis_income": canonical(made.to_dict())}
    path = printed(tmp_path / "report.pdf", **attached)
    told = shuzheng("verify", str(path), "--recompute", code=2)
    assert "figure income recomputes to" in told
    assert "analysis-income.json is the same" in told
    assert "The page is not compared" in told
    assert "recomputes to" not in shuzheng("verify", str(path), code=2)
    wrong = Path(changed(figure, "document", "inputs", "periods", 1, "revenue_fen")).read_bytes()
    path = printed(path, figure=wrong, analysis_income=attached["analysis_income"])
    assert "first at R_2" in shuzheng("verify", str(path), "--recompute", code=1)
    other = canonical({**made.to_dict(), "tornado": []})
    path = printed(path, figure=attached["figure"], analysis_income=other)
    assert "tornado" in shuzheng("verify", str(path), "--recompute", code=1)
    path = printed(path, figure=figure.read_bytes().replace(b",", b", ", 1))
    assert "canonical form" in shuzheng("verify", str(path), "--recompute", code=1)
    path = printed(path, other=b"{}")
    assert "exactly one attachment, bundle.json" in shuzheng("verify", str(path), code=1)


def drafted(town: Town, shuzheng: Any, tmp_path: Path, **changes: Any) -> str:
    """An appraisal drafted at the command line."""
    registered = town.registration()
    path = tmp_path / "appraisal.yaml"
    facts = {**yaml.safe_load((DEMO / "appraisal.yaml").read_bytes()), **changes}
    path.write_text(yaml.safe_dump({**facts, "base_on": local_date(town.now).isoformat()}))
    assert NUMBER in shuzheng("appraisal", "draft", registered.code, str(path), "--as", "anna")
    return registered.code


def test_an_appraisal_is_handed_out_alone_and_once_it_is_confirmed_with_its_proof(
    town: Town, shuzheng: Any, tmp_path: Path, trust: str
) -> None:
    drafted(town, shuzheng, tmp_path, analyses={"income": ANALYSIS})
    path = tmp_path / "appraisal.json"
    shuzheng("appraisal", "export", NUMBER, "-o", str(path))
    assert parse(path.read_bytes())["type"] == handoff.APPRAISAL_TYPE
    told = shuzheng("verify", str(path), "--recompute", code=2)
    for part in ("analyses.income", "inputs_digest", "method_versions"):
        assert f"Computed once more, {part} is the same" in told
    more = changed(path, "appraisal", "value_fen")
    assert "value_fen differs" in shuzheng("verify", more, "--recompute", code=1)
    more = changed(path, "appraisal", "analyses", "income", "range", "mean_fen")
    assert "analyses.income.range.mean_fen" in shuzheng("verify", more, "--recompute", code=1)

    shuzheng("appraisal", "approve", NUMBER, "--as", "abel")
    anchor(town)
    shuzheng("appraisal", "export", NUMBER, "-o", str(path))
    assert parse(path.read_bytes())["payload"]["kind"] == "appraisal.approved"
    told = shuzheng("verify", str(path), "--trust", trust, "--offline", "--recompute")
    assert "figure conclusion recomputes to" in told
    told = shuzheng("verify", str(path), "--recompute", code=2)
    assert "figure conclusion recomputes to" in told, "also without trust"
    more = changed(path, "payload", "body", "value_fen")
    told = shuzheng("verify", more, "--trust", trust, "--offline", "--recompute", code=1)
    assert "value_fen differs" in told
    assert shuzheng("verify", trust, "--recompute", code=2).count("no appraisal to recompute") == 1


def test_the_appraisal_of_a_package_recomputes_with_and_without_trust(
    town: Town, shuzheng: Any, tmp_path: Path, trust: str
) -> None:
    voucher = ready(town)
    deployment = town.home.config.deployment
    package, files = town.do(
        "egon", handoff.pack, voucher, deployment=deployment, sample=b"a\n1\n", pricing=PRICING
    )
    anchor(town)
    path = tmp_path / "package.zip"
    with town.reading() as session:
        path.write_bytes(handoff.finish(session, package, files, deployment))
    for more, said in (
        ([], "No trust file"),
        (["--trust", trust, "--offline"], "status list of 2026-03"),
    ):
        told = shuzheng(
            "verify", str(path), "--recompute", *more, code=2
        )  # its week is over by now
        assert said in told
        assert "figure conclusion recomputes to" in told
    with zipfile.ZipFile(path) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    record = parse(packed[PACKED])
    record["payload"]["body"]["value_fen"] += 1
    path.write_bytes(bundles.write_zip({**packed, PACKED: canonical(record)}))
    for more in [], ["--trust", trust, "--offline"]:
        told = shuzheng("verify", str(path), "--recompute", *more, code=1)
        assert "value_fen differs" in told


def test_the_difference_from_the_edition_before_is_explained(
    town: Town, shuzheng: Any, tmp_path: Path
) -> None:
    drafted(town, shuzheng, tmp_path)
    assert "first edition" in shuzheng("appraisal", "compare", NUMBER)
    shuzheng("appraisal", "approve", NUMBER, "--as", "abel")
    with town.reading() as session:
        first = appraisals.by_number(session, NUMBER)
        registered = session.get_one(appraisals.Registration, first.registration_id)
    second = town.appraisal(registered, documents=more_cost(960_000_00))
    assert second.edition == 2
    told = shuzheng("appraisal", "compare", second.number)
    assert "cost approach · direct cost: 860000.00 → 960000.00" in told
    assert "a difference of 19206.00" in told
    answer = json.loads(shuzheng("appraisal", "compare", second.number, "--json"))
    assert answer["before"] == NUMBER
    assert sum(one["effect_fen"] for one in answer["comparison"]["effects"]) == 19_206_00
    shuzheng("appraisal", "withdraw", second.number, "--reason", "有误", "--as", "anna")
    assert json.loads(shuzheng("appraisal", "show", second.number))["state"] == "withdrawn"


def test_two_documents_are_compared_without_a_home(
    shuzheng: Any, figure: Path, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(DOCUMENT["documents"]["income"]))
    document["inputs"]["rate"]["management"] = "0.03"
    path = tmp_path / "later.yaml"
    path.write_text(yaml.safe_dump(document))
    told = shuzheng("value", "income", str(path), "--against", str(figure))
    assert "parts of the discount rate · premium for management risk: 0.02 → 0.03" in told
    assert "a difference of -" in told
    document["inputs"]["model"] = "share_of_profit"
    for period in document["inputs"]["periods"]:
        period["profit_yuan"] = period.pop("revenue_yuan")
    path.write_text(yaml.safe_dump(document))
    told = shuzheng("value", "income", str(path), "--against", str(figure))
    assert "Not comparable step by step: another model." in told
    broken = changed(figure, "steps", "F_1", "value")
    told = shuzheng("value", "income", str(path), "--against", broken, code=1)
    assert "old.F_1" in told
