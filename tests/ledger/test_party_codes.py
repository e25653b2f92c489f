"""The codes of parties: one spelling, refusals that name what is wrong, natural persons' drawn here."""

import doctest

import pytest

from ledger import party_codes
from ledger.errors import Invalid
from tests.conftest import PARTIES


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(party_codes).failed == 0


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("91000000DEM00000", "it has 16 characters"),
        ("91000000DEM000008A", "its check character is"),
        ("91000000DEM0O0008A", "O cannot stand at place 13"),
        ("9I000000DEM000008A", "I cannot stand at place 2"),
    ],
)
def test_a_code_s_refusal_names_what_is_wrong_with_it(code: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        party_codes.check_uscc(code)


@pytest.mark.parametrize(
    "spelt", ["9100 0000 DEM0 0000 3F", "91000000dem000003f", "９１000000DEM000003F"]
)
def test_a_code_has_one_spelling(spelt: str) -> None:
    assert party_codes.check_uscc(spelt) == PARTIES["operator"][2]
