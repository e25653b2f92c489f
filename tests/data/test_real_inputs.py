"""The real inputs are those that the documentation describes, and small enough to ship."""

import hashlib
import lzma
from pathlib import Path

import pytest

from ledger.profiling import load_rules

DATA = Path(__file__).parents[2] / "data"
DIGESTS = {
    "catalogue_taoyuan_2018.xlsx": "8406505be3fd91a6785a1e2eeacfcc40643e9644be532059d8fa5edecd0d3d44",
    "streets.csv": "831dc1c483079cee166717118e57f4b69ef6212c699dbd4bff868b59513ac14b",
    "covid19_daily.csv.xz": "1036736709e3a4fc27eaa8f7cb36fd738a3f003a9001f1fcebb0f4d7d8c4d758",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_real_input_is_unchanged(name: str) -> None:
    assert hashlib.sha256((DATA / name).read_bytes()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", DIGESTS)
def test_a_real_input_is_described_with_origin_and_stays_below_three_megabytes(name: str) -> None:
    assert f"`{name}`" in (DATA / "README.md").read_text("utf-8")
    assert (DATA / name).stat().st_size < 3_000_000


def test_the_packed_counts_are_the_original_bytes() -> None:
    plain = lzma.decompress((DATA / "covid19_daily.csv.xz").read_bytes())
    assert len(plain) == 14_047_274
    assert (
        hashlib.sha256(plain).hexdigest()
        == "f79819f6ee84f620ce4dec98ecb9f1e77710374a1d0b73af895bdd86c9866feb"
    )


@pytest.mark.parametrize("name", ["streets", "covid19_daily"])
def test_the_rule_files_are_well_formed(name: str) -> None:
    assert load_rules(DATA / f"{name}.rules.yaml")["version"] == 1
