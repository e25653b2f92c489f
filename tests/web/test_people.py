"""Signing in and out, passwords, tokens, and the members of an organisation, as people meet them."""

import re
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from itsdangerous import URLSafeTimedSerializer

from ledger.parties import Member
from tests.conftest import PARTIES, Town
from tests.web.conftest import PASSWORD, TOKEN, Site, Visit
from webapp import accounts
from webapp.pages.people import own_page

pytestmark = pytest.mark.pages

FRESH = "another sentence 42"
OPERATOR = PARTIES["operator"][2]
ONE_TIME = re.compile(r'id="one-time-password">([^<]+)<')


def english(visit: Visit) -> Visit:
    visit.client.set_cookie("lang", "en")
    return visit


def visit_of(site: Site, login: str | None = None) -> Visit:
    return english(site.visit(login))


def alert(page: str) -> str:
    """What the page says in its warning."""
    found = re.search(r'<div class="alert [^"]*" role="alert">(.*?)</div>', page, re.DOTALL)
    return found[1].strip() if found else ""


def sign_in(visit: Visit, login: str, password: str = PASSWORD, status: int = 303) -> str:
    return str(visit.post("/sign-in", {"login": login, "password": password}, status=status).text)


def change(visit: Visit, old: str, new: str, again: str | None = None, status: int = 303) -> str:
    given = {"old": old, "new": new, "again": new if again is None else again}
    return str(visit.post("/password", given, status=status).text)


class TestSignIn:
    def test_a_wrong_password_and_an_unknown_login_read_the_same(self, site: Site) -> None:
        site.visit("olga")
        visit = visit_of(site)
        told = {
            alert(sign_in(visit, login, password, 401))
            for login, password in (("olga", "wrong"), ("nobody", "wrong"), ("", ""), ("olga", ""))
        }
        assert told == {"The login or the password is wrong."}
        visit.get("/work", 303)

    def test_the_login_stays_in_the_form_and_the_password_does_not(self, site: Site) -> None:
        page = sign_in(visit_of(site), '<olga">', "wrong-and-secret", 401)
        assert 'value="&lt;olga&#34;&gt;"' in page
        assert "wrong-and-secret" not in page

    def test_five_wrong_passwords_lock_the_account_for_a_quarter_of_an_hour(
        self, site: Site
    ) -> None:
        site.visit("olga")
        visit = visit_of(site)
        for _ in range(5):
            sign_in(visit, "olga", "wrong", 401)
        told = alert(sign_in(visit, "olga", PASSWORD, 401))
        assert told == (
            "Too many wrong passwords: this account is locked until 2026-03-02 10:15. Try again then, "
            "or ask the administrator for a new password."
        )
        site.town.later(minutes=16)
        sign_in(visit, "olga")
        assert "Olga" in visit.get("/work")

    def test_a_member_without_roles_cannot_sign_in(self, site: Site) -> None:
        visit = site.visit("olga")
        with site.town.deed() as session:
            session.get_one(Member, site.town.actors["olga"].member_id).roles = []
        visit.get("/work", 303)
        sign_in(visit_of(site), "olga", status=401)

    def test_too_many_attempts_a_minute_are_answered_by_a_page(self, site: Site) -> None:
        visit = visit_of(site)
        token = TOKEN.search(visit.get("/sign-in"))
        assert token
        given = {"csrf_token": token[1], "login": "nobody", "password": "x"}
        answers = [visit.client.post("/sign-in", data=given) for _ in range(31)]
        assert {answer.status_code for answer in answers[:30]} == {401}
        assert answers[30].status_code == 429
        assert "Too many requests: wait a minute." in answers[30].text
        assert visit.get("/sign-in"), "the page itself is still there"

    def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(self, site: Site) -> None:
        site.visit("olga")
        answer = visit_of(site).post("/sign-in", {"login": "olga", "password": PASSWORD})
        cookie = SimpleCookie(answer.headers["Set-Cookie"])["shuzheng"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert not cookie["secure"], "plain http on one's own machine"
        assert cookie["expires"], "it ends by itself"
        assert not cookie["domain"]

    def test_behind_https_the_cookie_goes_over_https_only(
        self, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHUZHENG_HTTPS", "1")
        answer = Site(town).app.test_client().get("/sign-in", base_url="https://localhost")
        assert SimpleCookie(answer.headers["Set-Cookie"])["shuzheng"]["secure"]

    def test_a_cookie_somebody_else_signed_is_none(self, site: Site) -> None:
        member_id = site.town.actors["olga"].member_id
        site.visit("olga")
        with site.town.reading() as session:
            epoch = session.get_one(accounts.SignIn, member_id).epoch
        forged = URLSafeTimedSerializer("a guess", salt="cookie-session").dumps(
            {"_user_id": f"{member_id} {epoch}"}
        )
        visit = visit_of(site)
        visit.client.set_cookie("shuzheng", forged)
        visit.get("/work", 303)

    def test_nothing_of_the_session_before_is_kept(self, site: Site) -> None:
        site.visit("olga")
        visit = visit_of(site)
        visit.get("/sign-in")
        with visit.client.session_transaction() as cookie:
            cookie["planted"] = "by another"
        sign_in(visit, "olga")
        with visit.client.session_transaction() as cookie:
            assert "planted" not in cookie


class TestWhereOneWanted:
    def test_who_is_not_signed_in_is_asked_to_and_comes_back(self, site: Site) -> None:
        site.visit("admin")
        visit = visit_of(site)
        answer = visit.client.get("/parties?words=%E6%95%B0%E6%8D%AE")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
        back = visit.post("/sign-in", {"login": "admin", "password": PASSWORD})
        assert back.headers["Location"] == "/parties?words=%E6%95%B0%E6%8D%AE"
        again = visit.post("/sign-in", {"login": "admin", "password": PASSWORD})
        assert again.headers["Location"] == "/work", "only once"

    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example",
            "/\t/evil.example/", "javascript:alert(1)", "evil.example", "///evil.example", " /work",
        ],
    )  # fmt: skip
    def test_another_site_is_nowhere(self, common_site: Site, address: str) -> None:
        assert own_page(address) is None
        visit = visit_of(common_site)
        visit.get("/sign-in")
        with visit.client.session_transaction() as cookie:
            cookie["next"] = address
        common_site.visit("olga")
        answer = visit.post(f"/sign-in?next={address}", {"login": "olga", "password": PASSWORD})
        assert answer.headers["Location"] == "/work"
        answer = visit.post("/language/zh", {"back": address}, page="/work")
        assert answer.headers["Location"] == "/"

    def test_a_form_is_come_back_to_and_what_has_no_page_is_not(self, common_site: Site) -> None:
        visit = visit_of(common_site)
        visit.get("/sign-in")
        assert visit.client.post("/catalogue-checks/one/again").status_code == 303
        with visit.client.session_transaction() as cookie:
            assert "next" not in cookie
        assert visit.client.post("/log/seal").status_code == 303
        with visit.client.session_transaction() as cookie:
            assert cookie["next"] == "/log/seal"


class TestLanguage:
    def test_the_switch_keeps_the_page(self, common_site: Site) -> None:
        visit = common_site.visit("admin")
        page = visit.get("/parties?words=a%26b")
        assert 'lang="zh-CN"' in page
        back = re.search(r'name="back" value="([^"]+)"', page)
        assert back
        answer = visit.post("/language/en", {"back": back[1]}, page="/parties")
        assert answer.headers["Location"] == "/parties?words=a%26b"
        assert 'lang="en"' in visit.get(answer.headers["Location"])

    def test_a_language_that_is_none_changes_nothing(self, common_site: Site) -> None:
        visit = common_site.visit()
        answer = visit.post("/language/xx", {"back": "/sign-in"}, page="/sign-in")
        assert "lang=" not in answer.headers.get("Set-Cookie", "")


class TestTheFormsToken:
    @pytest.mark.parametrize("given", [None, "", "foreign", "of another"])
    def test_a_form_without_our_token_does_nothing(self, site: Site, given: str | None) -> None:
        visit, other = visit_of(site, "admin"), site.visit("rita")
        token = TOKEN.search(other.get("/tokens"))
        assert token
        data = {} if given is None else {"csrf_token": token[1] if given == "of another" else given}
        before = site.town.snapshot()
        for path, body in (
            ("/parties/new", {"name": "坏", "uscc": OPERATOR, "kind": "enterprise"}),
            ("/members/olga/roles", {"roles": "regulator", "seen": "1"}),
            ("/members/olga/password-reset", {}),
            ("/tokens", {"name": "x", "scopes": "read", "days": "9"}),
            ("/password", {"old": PASSWORD, "new": FRESH, "again": FRESH}),
            ("/sign-out", {}),
            ("/log/seal", {}),
            ("/outbox/retry", {}),
        ):
            answer = visit.client.post(path, data={**body, **data})
            assert answer.status_code == 400, path
            assert "too old or was changed" in answer.text
        assert site.town.snapshot() == before
        assert visit.get("/work"), "still signed in"


class TestPassword:
    def test_a_new_password_ends_every_other_session(self, site: Site) -> None:
        here, elsewhere = visit_of(site, "olga"), site.visit("olga")
        assert change(here, PASSWORD, FRESH)
        assert "everywhere else you are signed out" in here.get("/work")
        elsewhere.get("/work", 303)
        sign_in(visit_of(site), "olga", PASSWORD, 401)
        sign_in(visit_of(site), "olga", FRESH)

    def test_a_wrong_present_password_is_told_and_counts(self, site: Site) -> None:
        visit = visit_of(site, "olga")
        for _ in range(5):
            told = alert(change(visit, "wrong", FRESH, status=400))
            assert told == "The present password is wrong."
        assert "locked until 2026-03-02 10:15" in change(visit, PASSWORD, FRESH, status=400)
        sign_in(visit_of(site), "olga", PASSWORD, 401)

    @pytest.mark.parametrize(
        ("new", "again", "why"),
        [
            (FRESH, FRESH + "!", "not the same"), ("short", None, "fewer than 10 characters"),
            ("", None, "new is missing"), (PASSWORD, None, "is the old one"),
            ("my olga is good", None, "the login stands in it"), ("x" * 201, None, "200"),
        ],
    )  # fmt: skip
    def test_a_password_that_will_not_do_is_refused(
        self, site: Site, new: str, again: str | None, why: str
    ) -> None:
        visit = visit_of(site, "olga")
        page = change(visit, PASSWORD, new, again, status=400)
        assert why in page
        assert PASSWORD not in page, "no password comes back in a page"
        sign_in(visit_of(site), "olga")

    def test_a_password_may_begin_and_end_with_a_blank(self, site: Site) -> None:
        change(visit_of(site, "olga"), PASSWORD, " a sentence with blanks ")
        sign_in(visit_of(site), "olga", " a sentence with blanks ")

    def test_a_password_that_was_changed_meanwhile_is_not_overwritten(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the check of the old one and the new one's being stored, somebody else changes it."""
        visit = visit_of(site, "olga")
        real = accounts.hash_password

        def slowly(password: str) -> str:
            with site.town.deed() as session:
                accounts.end_sessions(session, site.town.actors["olga"].member_id)
            return real(password)

        monkeypatch.setattr(accounts, "hash_password", slowly)
        change(visit, PASSWORD, FRESH, status=400)
        monkeypatch.undo()
        sign_in(visit_of(site), "olga", PASSWORD)


class TestOneTimePassword:
    def test_it_is_shown_once_and_never_stands_in_the_cookie(self, site: Site) -> None:
        visit = visit_of(site, "admin")
        page = visit.get("/members/olga/password-reset")
        token = TOKEN.search(page)
        key = re.search(r'name="idempotency" value="([^"]+)"', page)
        assert token
        assert key
        given = {"csrf_token": token[1], "idempotency": key[1]}
        answer = visit.client.post("/members/olga/password-reset", data=given)
        shown = ONE_TIME.search(answer.text)
        assert shown
        assert answer.headers["Cache-Control"] == "no-store"
        assert shown[1] not in str(answer.headers)
        with visit.client.session_transaction() as cookie:
            assert shown[1] not in repr(dict(cookie))
        assert "http://localhost/sign-in" in answer.text, "what he needs stands on the page"
        again = visit.client.post("/members/olga/password-reset", data=given)
        assert ONE_TIME.search(again.text) is None
        assert "shown already" in again.text
        assert shown[1] not in visit.get("/members")

    def test_who_comes_with_it_must_choose_his_own_first(self, site: Site) -> None:
        old = site.visit("olga")
        admin = visit_of(site, "admin")
        shown = ONE_TIME.search(admin.post("/members/olga/password-reset", status=200).text)
        assert shown
        old.get("/work", 303)
        assert "one-time password, not changed yet" in admin.get("/members")
        visit = visit_of(site)
        sign_in(visit, "olga", shown[1])
        for path in ("/work", "/tokens", "/deposits", "/identity", "/"):
            answer = visit.client.get(path)
            assert (answer.status_code, answer.headers["Location"]) == (303, "/password"), path
        assert "choose your own now" in visit.get("/password")
        visit.read("/deposits", 403)
        change(visit, shown[1], FRESH)
        assert "Olga" in visit.get("/work")
        sign_in(visit_of(site), "olga", shown[1], 401)

    def test_it_lifts_a_lock(self, site: Site) -> None:
        site.visit("olga")
        for _ in range(5):
            sign_in(visit_of(site), "olga", "wrong", 401)
        admin = visit_of(site, "admin")
        shown = ONE_TIME.search(admin.post("/members/olga/password-reset", status=200).text)
        assert shown
        sign_in(visit_of(site), "olga", shown[1])

    def test_nobody_gives_one_to_himself_and_only_the_administrator_to_others(
        self, site: Site
    ) -> None:
        visit = visit_of(site, "admin")
        page = visit.post("/members/admin/password-reset", status=403).text
        assert "You acted on the account yourself" in page
        assert visit.get("/work")
        site.visit("rita").get("/members/olga/password-reset", 403)
        visit.get("/members/nobody/password-reset", 404)


class TestMembers:
    def test_a_member_is_entered_gets_a_password_and_acts(self, site: Site) -> None:
        admin = visit_of(site, "admin")
        assert "Enter a member" in admin.get(f"/parties/{OPERATOR}")
        answer = admin.post(
            f"/parties/{OPERATOR}/members",
            {"login": "nina", "name": "倪娜", "roles": ["operator"]},
        )
        assert answer.headers["Location"] == f"/parties/{OPERATOR}"
        page = admin.get(answer.headers["Location"])
        assert "倪娜" in page
        assert "no password yet" in page
        shown = ONE_TIME.search(admin.post("/members/nina/password-reset", status=200).text)
        assert shown
        visit = visit_of(site)
        sign_in(visit, "nina", shown[1])
        change(visit, shown[1], FRESH)
        assert "倪娜" in visit.get("/work")
        assert "own password" in admin.get(f"/parties/{OPERATOR}")

    def test_the_form_of_the_roles_begins_with_those_he_has(self, site: Site) -> None:
        admin = visit_of(site, "admin")
        page = admin.get("/members/max/roles")
        checked = re.findall(r'value="([a-z_]+)" checked', page)
        assert checked == ["finance_maker", "finance_checker"]
        site.visit("max").get("/work")
        answer = admin.post("/members/max/roles", {"roles": ["regulator"]})
        assert answer.headers["Location"] == "/members"
        assert "regulator" in admin.get("/members")

    def test_new_roles_end_the_sessions_and_none_end_the_member(self, site: Site) -> None:
        member, admin = site.visit("opal"), visit_of(site, "admin")
        admin.post("/members/opal/roles", {"roles": []})
        member.get("/work", 303)
        assert "no longer acts" in admin.get("/members")

    def test_roles_that_were_changed_meanwhile_are_not_overwritten(self, site: Site) -> None:
        admin = visit_of(site, "admin")
        admin.post("/members/opal/roles", {"roles": ["operator", "regulator"]})
        page = admin.post("/members/opal/roles", {"roles": ["operator"], "seen": "1"}, status=412)
        assert "changed meanwhile" in page.text

    def test_only_those_who_may_see_members_see_them(self, common_site: Site) -> None:
        assert "paul" in visit_of(common_site, "gwen").get("/members")
        assert "olga" in visit_of(common_site, "gwen").get(f"/parties/{OPERATOR}")
        page = visit_of(common_site, "rita").get(f"/parties/{OPERATOR}")
        assert "olga" not in page
        assert "Members</h2>" not in page
        common_site.visit("rita").get("/members", 403)

    def test_who_may_not_change_members_is_offered_nothing(self, common_site: Site) -> None:
        page = visit_of(common_site, "gwen").get("/members")
        assert "/password-reset" not in page
        assert "/roles" not in page

    def test_the_page_of_an_organisation_shows_its_code(self, common_site: Site) -> None:
        assert OPERATOR in re.sub("<nav.*?</nav>", "", visit_of(common_site, "rita").get(
            f"/parties/{OPERATOR}"), flags=re.DOTALL)  # fmt: skip


class TestTokens:
    def test_a_token_is_made_shown_once_used_and_revoked(self, site: Site) -> None:
        visit = visit_of(site, "olga")
        given = {"name": "夜间同步", "scopes": ["read"], "days": "30"}
        page = visit.post("/tokens", given, status=200).text
        secret = re.search(r"sz_[A-Za-z0-9_-]{20,}", page)
        assert secret
        page = visit.get("/tokens")
        assert "夜间同步" in page
        assert secret[0] not in page
        program = site.app.test_client()
        bearer = {"Authorization": f"Bearer {secret[0]}"}
        assert program.get("/api/v1/me", headers=bearer).get_json()["login"] == "olga"
        revoke = re.search(r'action="(/tokens/[^"]+/revoke)"', page)
        assert revoke
        visit.post(revoke[1], page="/tokens")
        assert program.get("/api/v1/me", headers=bearer).status_code == 401
        assert "/revoke" not in visit.get("/tokens")

    def test_what_is_wrong_with_a_token_is_told_and_nothing_is_lost(
        self, common_site: Site
    ) -> None:
        visit = visit_of(common_site, "olga")
        page = visit.post("/tokens", {"name": "同步", "days": "900"}, status=400).text
        assert 'value="同步"' in page
        assert 'value="900"' in page
        assert "sz_" not in page

    def test_nobody_revokes_anothers_token(self, site: Site) -> None:
        visit = visit_of(site, "olga")
        page = visit.post(
            "/tokens", {"name": "x", "scopes": ["read"], "days": "3"}, status=200
        ).text
        revoke = re.search(r'action="(/tokens/[^"]+/revoke)"', page)
        assert revoke
        visit_of(site, "opal").post(revoke[1], page="/tokens", status=404)
        assert "/revoke" in visit.get("/tokens")

    def test_a_token_ends_by_itself(self, site: Site) -> None:
        page = visit_of(site, "olga").post(
            "/tokens", {"name": "x", "scopes": ["read"], "days": "1"}, status=200
        )
        secret = re.search(r"sz_[A-Za-z0-9_-]{20,}", page.text)
        assert secret
        site.town.now += timedelta(days=1, seconds=1)
        answer = site.app.test_client().get(
            "/api/v1/me", headers={"Authorization": f"Bearer {secret[0]}"}
        )
        assert answer.status_code == 401
