"""Bringing the search index up to what the log has, in short transactions, so that others come between."""

from collections.abc import Callable
from datetime import datetime

from ledger import search_index
from webapp.home import Home, clock

Report = Callable[[str, int, int], None]


def catch_up(
    home: Home, now: Callable[[], datetime] = clock, report: Report = lambda *_: None
) -> None:
    """Index what the log has beyond the index, step by step; killed anywhere, the next call goes on.

    Of several at once each takes the next step; none does another's again.
    """
    with home.reading() as session:
        total = left = search_index.behind(session)
    while left:
        report("index", total - left, total)
        with home.deed(now()) as session:
            left = search_index.follow(session)
