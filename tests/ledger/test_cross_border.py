"""Which procedure sending data abroad needs: every golden case, every boundary."""

import doctest

import pytest

from ledger import cross_border
from ledger.cross_border import route
from ledger.errors import Invalid

A, C, E = "assessment", "contract_or_certification", "exempt"


@pytest.mark.parametrize(
    ("persons", "sensitive", "expected", "article"),
    [
        (0, 0, E, "3"), (1, 0, E, "5(4)"), (99_999, 0, E, "5(4)"),
        (100_000, 0, C, "8"), (999_999, 0, C, "8"), (1_000_000, 0, A, "7(2)"), (10**9, 0, A, "7(2)"),
        (0, 1, C, "8"), (5, 1, C, "8"), (99_999, 9_999, C, "8"), (100_000, 9_999, C, "8"),
        (0, 10_000, A, "7(2)"), (5, 10_000, A, "7(2)"), (1_000_000, 10_000, A, "7(2)"),
    ],
)  # fmt: skip
def test_persons_decide_with_each_threshold_included(
    persons: int, sensitive: int, expected: str, article: str
) -> None:
    found = route(False, False, persons, sensitive)
    assert (found.route, found.article) == (expected, article)


@pytest.mark.parametrize(("important", "persons", "expected"), [
    (False, 0, E), (False, 1, A), (True, 0, A), (True, 5, A),
])  # fmt: skip
def test_an_operator_of_critical_infrastructure_is_always_assessed(
    important: bool, persons: int, expected: str
) -> None:
    assert route(True, important, persons, 0).route == expected


def test_its_personal_information_is_assessed_uncounted_too() -> None:
    assert route(True, False, 0, 0, personal=True).article == "7(1)"
    assert route(True, False, 0, 0, "no_pi_no_important", personal=True).route == A
    assert route(False, True, 0, 0, personal=True).route == A


@pytest.mark.parametrize(
    ("flag", "persons", "sensitive", "enough"),
    [
        ("none", None, None, True), ("none", 0, 0, True),
        ("general", None, None, False), ("general", 0, None, False), ("general", 1, None, True),
        ("general", None, 1, True),
        ("sensitive", None, None, False), ("sensitive", 0, 0, False), ("sensitive", 999_999, 0, False),
        ("sensitive", 999_999, None, False), ("sensitive", 1_000_000, None, True),
        ("sensitive", None, 1, True), ("unread", 5, 0, False), ("unread", None, None, False),
        (None, None, None, False), (None, 5, None, False), (None, None, 0, False), (None, 5, 0, True),
    ],
)  # fmt: skip
def test_what_was_not_counted_is_not_taken_as_none(
    flag: str | None, persons: int | None, sensitive: int | None, enough: bool
) -> None:
    assert cross_border.decided_by(flag, persons, sensitive) is enough


def test_important_data_are_assessed_whatever_the_number() -> None:
    assert route(False, True, 0, 0).article == "7(2)"


@pytest.mark.parametrize("exemption", list(cross_border.EXEMPTIONS))
def test_an_exemption_comes_first_but_never_for_important_data(exemption: str) -> None:
    article, with_persons, *_ = cross_border.EXEMPTIONS[exemption]
    free = route(False, False, 2_000_000, 20_000, exemption)
    assert free.route == (E if with_persons else A)
    assert not with_persons or free.article == article
    assert route(True, False, 0, 0, exemption).article == article
    assert route(False, True, 0, 0, exemption).route == A


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(Invalid):
        route(False, False, -1, 0)
    with pytest.raises(Invalid):
        route(False, False, 1, 0, "because")


def test_the_examples_in_the_text_hold() -> None:
    assert doctest.testmod(cross_border).failed == 0
