"""The site serves the page that checks without it: the same bytes, under a policy of its own."""

from ledger.proof.page import content_policy, read_page
from tests.web.conftest import Site


def test_everybody_gets_the_page_and_may_keep_it(common_site: Site) -> None:
    client = common_site.visit().client
    for path, kept in (("/verifier.html", None), ("/verifier.html?download=1", "verifier.html")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.data == read_page()
        assert answer.content_type == "text/html; charset=utf-8"
        named = answer.headers.get("Content-Disposition")
        assert named == (kept and f"attachment; filename={kept}")


def test_the_page_alone_may_ask_a_node_and_may_run_nothing_but_its_own_script(
    common_site: Site,
) -> None:
    client = common_site.visit().client
    policy = client.get("/verifier.html").headers["Content-Security-Policy"]
    assert policy == f"{content_policy(read_page())}; frame-ancestors 'none'"
    assert "unsafe" not in policy
    assert "connect-src 'self'" in client.get("/verify").headers["Content-Security-Policy"]
