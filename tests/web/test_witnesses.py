"""Witnesses at the site, through the API and at the command line, and the worker that asks them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger import log, witnesses
from ledger.chain import keys
from ledger.parties import Actor
from ledger.proof.checkpoint import open_note, parse_note, verifier_key
from ledger.proof.cosignature import cosigner_key, read_cosignatures
from ledger.proof.trust import parse_trust
from ledger.witnesses import Witness
from tests.conftest import LOG_KEY, ORIGIN, Town
from tests.web.conftest import Site
from tests.witness import LittleWitness, serve_witness
from webapp import cosigning
from webapp.cli import main
from webapp.cli import run as cli_run
from webapp.cli.run import HOUSE
from webapp.deeds.all import proofs
from webapp.deeds.all import witnesses as deeds

pytestmark = pytest.mark.pages

LOG_VKEY = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())


@pytest.fixture(autouse=True)
def _keys(town: Town) -> None:
    """The public halves of the service keys, as `init` leaves them in a home."""

    folder = town.home.path / "keys"
    keys.create_keyring(folder, "a passphrase for tests")


def seal(town: Town) -> int:
    town.deposit(data=str(town.now).encode())
    town.later(seconds=1)
    with town.deed() as session:
        made = log.seal(session, town.now, LOG_KEY)
        assert made is not None
        return made.tree_size


def text_at(town: Town, size: int) -> str:
    with town.reading() as session:
        return parse_note(session.get_one(log.Checkpoint, size).note)[0]


def test_an_administrator_makes_a_witness_known_on_its_page_and_removes_it(site: Site) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    admin = site.visit("admin")
    assert owl.vkey not in admin.get("/witnesses")
    made = {"vkey": owl.vkey, "operator": "市审计局", "url": ""}
    refused = admin.post("/witnesses/new", {**made, "vkey": "x"}, status=400)
    assert "x" in refused.text
    answer = admin.post("/witnesses/new", made)
    assert answer.headers["Location"].endswith("/witnesses")
    page = admin.get("/witnesses")
    assert owl.vkey in page
    assert "市审计局" in page
    size = seal(site.town)
    admin.post("/cosignatures", {"note": owl.cosign(text_at(site.town, size))})
    page = admin.get("/witnesses")
    assert f"<td>{size}</td>" in page
    for login in ("rita", "gwen"):
        seen = site.visit(login).get("/witnesses")
        assert owl.vkey in seen
        assert "/remove" not in seen
        assert "/witnesses/new" not in seen
    site.visit().get("/witnesses", status=303)
    with site.town.reading() as session:
        (row,) = witnesses.active(session)
    admin.post(f"/witnesses/{row.id}/remove", page="/witnesses")
    assert owl.vkey not in admin.get("/witnesses")


def test_a_problem_of_a_witness_is_shown_in_the_readers_language(site: Site) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    owl.mood = "broken"
    with serve_witness(owl) as url:
        site.town.do("admin", witnesses.admit, vkey=owl.vkey, operator="x", url=url)
        seal(site.town)
        cosigning.begin(site.town.home, lambda: site.town.now)
        cosigning.wait(site.town.home)
    admin = site.visit("admin")
    assert "HTTP 500" in admin.get("/witnesses")


def test_the_api_lists_takes_in_and_hands_out(site: Site) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    admin = site.visit("admin")
    made = admin.api("/witnesses", {"vkey": owl.vkey, "operator": "市审计局"}).get_json()
    witness_id = made["answer"]["id"] if "answer" in made else made["id"]
    admin.api("/witnesses", {"vkey": owl.vkey, "operator": "somebody else"}, 409)
    size = seal(site.town)
    asked = admin.client.get(f"/api/v1/witnesses/{witness_id}/request")
    assert asked.status_code == 200
    status, _, content = owl.answer(asked.text)
    assert status == 200
    admin.api("/cosignatures", {"note": "— owl.example/w AAAA\n"}, 400)
    admin.api("/cosignatures", {"note": content.decode()}, None)
    (one,) = site.visit("gwen").read("/witnesses")["items"]
    assert (one["cosigned_size"], one["behind"], one["name"]) == (size, 0, owl.name)
    assert admin.client.get(f"/api/v1/witnesses/{witness_id}/request").status_code == 409
    site.visit("rita").api("/cosignatures", {"note": content.decode()}, 403)
    site.visit("rita").api("/witnesses", {"vkey": owl.vkey, "operator": "x"}, 403)
    assert site.visit().client.get("/api/v1/witnesses").status_code == 401
    admin.api(f"/witnesses/{witness_id}/remove", {}, None)
    assert admin.read("/witnesses")["items"] == []
    admin.api("/witnesses/nothing/remove", {}, 404)


def test_the_trust_file_that_is_handed_out_names_the_witnesses(site: Site) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    site.town.do("admin", witnesses.admit, vkey=owl.vkey, operator="x")
    visitor = site.visit().client
    trust = parse_trust(visitor.get("/api/v1/trust").data)
    assert [key.spelled() for key in trust.witnesses] == [owl.vkey]
    assert trust.witness_quorum == 0
    assert parse_trust(visitor.get("/api/v1/trust?quorum=1").data).witness_quorum == 1
    assert visitor.get("/api/v1/trust?quorum=2").status_code == 400
    assert visitor.get("/api/v1/trust?quorum=-1").status_code == 400


def test_the_logs_own_key_is_no_witness(site: Site) -> None:

    own = bytes.fromhex(keys.public_key(site.town.home.path / "keys", "log"))
    vkey = cosigner_key("owl.example/w", own).spelled()
    before = site.town.snapshot()
    answer = site.visit("admin").api("/witnesses", {"vkey": vkey, "operator": "x"}, 400)
    assert "one key" in answer.get_json()["detail"] or "同一" in answer.get_json()["detail"]
    assert {k: v for k, v in site.town.snapshot().items() if k == "witnesses"} == {
        "witnesses": before["witnesses"]
    }


def test_what_the_site_hands_out_bears_the_cosignatures(site: Site) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    site.town.do("admin", witnesses.admit, vkey=owl.vkey, operator="x")
    size = seal(site.town)
    site.visit("admin").api("/cosignatures", {"note": owl.cosign(text_at(site.town, size))}, None)
    with site.town.reading() as session:
        row = session.query(Witness).one()
    served = site.visit("gwen").client.get("/api/v1/log/checkpoint").text
    assert open_note(served, [LOG_VKEY])[0] == text_at(site.town, size)
    assert [one.key.name for one in read_cosignatures(served, [row.key])] == [owl.name]


def test_the_commands_do_the_same(town: Town, tmp_path: Path, monkeypatch: Any) -> None:

    owl = LittleWitness("owl.example/w", LOG_VKEY)
    monkeypatch.setattr(cli_run, "Home", lambda _folder: town.home)
    monkeypatch.setattr(cli_run, "clock", lambda: town.now)

    def shuzheng(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, [*words, "--home", str(tmp_path)])
        assert done.exit_code == code, (words, done.output, done.exception)
        return done.stdout

    shuzheng("witness", "add", "--vkey", owl.vkey, "--operator", "市审计局")
    (one,) = json.loads(shuzheng("witness", "list"))
    size = seal(town)
    request, answer = tmp_path / "request.txt", tmp_path / "answer.txt"
    shuzheng("witness", "request", one["id"], "-o", str(request))
    answer.write_bytes(owl.answer(request.read_text())[2])
    assert owl.name in shuzheng("witness", "cosign", str(answer))
    shuzheng("witness", "request", one["id"], "-o", str(request), code=1)
    first, second = size, seal(town)
    shuzheng("witness", "request", one["id"], "--held", "0", "-o", str(request))
    assert request.read_text().startswith("old 0\n\n")
    assert owl.answer(request.read_text())[::2] == (409, f"{first}\n".encode())
    shuzheng("witness", "request", one["id"], "--held", str(first), "-o", str(request))
    answer.write_bytes(owl.answer(request.read_text())[2])
    shuzheng("witness", "cosign", str(answer))
    size = second
    (one,) = json.loads(shuzheng("witness", "list"))
    assert one["cosigned_size"] == size
    trust = tmp_path / "trust.json"
    shuzheng("trust", "export", "--quorum", "1", "-o", str(trust))
    assert parse_trust(trust.read_bytes()).witness_quorum == 1
    shuzheng("witness", "remove", one["id"])
    assert json.loads(shuzheng("witness", "list")) == []
    shuzheng("trust", "export", "--quorum", "1", "-o", str(trust), code=1)


def test_the_worker_asks_after_each_seal_and_waits_for_nobody(town: Town) -> None:
    """The worker's own words after sealing, with one witness that is well and one that never answers."""
    owl, silent = (LittleWitness(name, LOG_VKEY) for name in ("owl.example/w", "silent.example/w"))
    silent.mood = "silent"
    with serve_witness(owl) as url, serve_witness(silent) as other:
        for one, where in ((owl, url), (silent, other)):
            town.do("admin", witnesses.admit, vkey=one.vkey, operator="x", url=where)
        began = time.monotonic()
        sizes = []
        for _ in range(3):
            sizes.append(seal(town))
            cosigning.begin(town.home, lambda: town.now)
        assert time.monotonic() - began < 5
        end = time.monotonic() + 10
        while time.monotonic() < end:
            cosigning.begin(town.home, lambda: town.now)
            with town.reading() as session:
                known = {one["name"]: one for one in witnesses.standing(session, town.now)}
            if known[owl.name]["cosigned_size"] == sizes[-1]:
                break
            time.sleep(0.02)
    cosigning.wait(town.home)
    assert known[owl.name]["cosigned_size"] == sizes[-1]
    assert known[silent.name]["cosigned_size"] == 0


def test_the_house_itself_may_read_what_goes_out(site: Site) -> None:
    def house(_session: Any) -> Actor:
        return HOUSE

    assert site.desk.ask(deeds.known, house, {}, {}) == {"items": []}
    assert parse_trust(site.desk.ask(proofs.trust, house, {}, {}).content).witnesses == ()
