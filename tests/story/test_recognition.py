"""Two installations on one machine recognise each other's vouchers, and learn of a revocation."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ledger import recognition
from ledger.chain import keys
from ledger.peers import Peer, PeerNode
from ledger.proof.encoding import digest_text, parse, parse_instant
from ledger.proof.trust import parse_trust
from tests.fault.test_serve import Served, serving, until
from tests.story.conftest import SHUZHENG, Demo, environment
from webapp import following
from webapp.home import clock

pytestmark = pytest.mark.slow
MADE_S, LEARNT_S = 240, 120


@dataclass
class Registry:
    """One of the two: its home, its site, and how it is spoken to."""

    demo: Demo
    served: Served
    number: str

    def run(self, *arguments: str) -> Any:
        """What a command answers; it must succeed."""
        found = self.demo.at_home(*arguments, "--json")
        assert found.returncode == 0, (arguments, found.stdout, found.stderr)
        return json.loads(found.stdout)

    @property
    def trust(self) -> bytes:
        return (self.demo.folder / "trust.json").read_bytes()

    @property
    def origin(self) -> str:
        return parse_trust(self.trust).origin

    @property
    def node(self) -> str:
        return str(json.loads((self.demo.home / "node.json").read_bytes())["url"])

    def get(self, path: str) -> Any:
        with urlopen(f"{self.served.url}{path}", timeout=20) as answer:
            return json.loads(answer.read())

    def admits(self, other: "Registry", site: str = "") -> None:
        """Its registrar proposes the other one; its administrator compares what he was told and admits."""
        path = other.demo.folder / "trust.json"
        made = self.run("peer", "propose", str(path), "--name", "邻省登记机构", "--as", "wang")
        told = digest_text(other.trust)[-8:]
        refused = self.demo.at_home(
            "peer", "admit", made["id"], "--fingerprint", told, "--as", "wang"
        )
        assert refused.returncode == 1
        self.run("peer", "admit", made["id"], "--fingerprint", told, "--as", "admin")
        if site:
            self.run("peer", "reach", other.origin, "--site", site, "--as", "admin")

    def recognises(self, other: "Registry") -> str:
        path = other.demo.folder / "bundle.json"
        made = self.run("recognise", str(path), "--as", "zhou")
        assert (made["voucher"], made["origin"]) == (other.number, other.origin)
        return str(made["id"])

    def stands(self, recognition_id: str) -> Any:
        return self.get(f"/api/v1/recognitions/{recognition_id}")

    @contextmanager
    def revoking(self) -> Iterator[None]:
        """Its registrar revokes its own voucher while others look."""
        command = [
            "voucher",
            "change",
            "revoke",
            self.number,
            "--reason",
            "材料虚假",
            "--as",
            "wang",
        ]
        with subprocess.Popen(
            [*SHUZHENG, *command, "--home", str(self.demo.home)], env=self.demo.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            yield
            assert process.wait(MADE_S) == 0

    def revoked_at(self) -> datetime:
        """When it was revoked, by the record of it."""
        last = self.get(f"/api/v1/vouchers/{self.number}/state")["history"][-1]
        assert last["kind"] == "voucher.revoke"
        return parse_instant(last["at"])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Registry]]:
    """Two registries with a voucher each, serving; ended by their ids."""
    folder = tmp_path_factory.mktemp("two")
    homes = [folder / name for name in ("a", "b")]
    with ExitStack() as stack:
        made = [
            stack.enter_context(subprocess.Popen(
                [*SHUZHENG, "demo", "--home", str(home)], env=environment(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ))
            for home in homes
        ]  # fmt: skip
        for one in made:
            stack.callback(one.kill)
        assert [one.wait(MADE_S) for one in made] == [0, 0]
        found = []
        for home in homes:
            demo = Demo(home, environment(), "")
            served = stack.enter_context(serving(demo))
            until((home / "node.json").exists)
            voucher = parse((demo.folder / "voucher.json").read_bytes())
            found.append(Registry(demo, served, voucher["credentialSubject"]["number"]))
        yield found[0], found[1]


def test_two_registries_recognise_each_other_and_learn_of_a_revocation(
    two: tuple[Registry, Registry], tmp_path: Path
) -> None:
    a, b = two
    assert a.origin != b.origin
    b.admits(a, site=a.served.url)
    a.admits(b)  # no network between them in this direction
    of_a, of_b = b.recognises(a), a.recognises(b)
    until(lambda: b.stands(of_a)["now"] == "valid")
    assert a.stands(of_b)["now"] == "valid"
    assert b.stands(of_a)["origin"] == a.origin
    for one, other in ((a, of_b), (b, of_a)):  # no voucher of its own came of it
        assert one.run("voucher", "show", one.number)["voucher"]["number"] == one.number
        assert [row["id"] for row in one.run("recognition", "list")] == [other]

    # -- A revokes; B asks A's chain, A's site, and shows what its own worker learnt
    peer = Peer(trust=parse(a.trust), digest=digest_text(a.trust), site=a.served.url)
    row = recognition.Recognition(
        id="-", origin=a.origin, number=a.number, digest="-",
        credential=parse((a.demo.folder / "voucher.json").read_bytes()),
    )  # fmt: skip
    before = parse_instant(a.get("/api/v1/status")["validUntil"])
    learnt: dict[str, datetime] = {}
    ways = {
        "chain": lambda: "revoked" in recognition.ask_chain(
            PeerNode(a.node), peer.opened, [row], clock()).values(),
        "list": lambda: recognition.listed_word(
            row.credential, following.fetched(peer, clock()).status_list) == "revoked",
        "shown": lambda: b.stands(of_a)["now"] == "revoked",
    }  # fmt: skip
    begun = time.monotonic()
    with a.revoking():
        while len(learnt) < len(ways) and time.monotonic() - begun < LEARNT_S:
            for way, asks in ways.items():
                if way not in learnt and asks():
                    learnt[way] = datetime.now(UTC)
            time.sleep(0.1)
    assert set(learnt) == set(ways)
    assert [one["kind"] for one in b.stands(of_a)["history"]][-1] == "recognition.revoked"

    # -- B revokes; A has no network to it and gets its list as a file
    path = tmp_path / "status.json"

    def listed() -> bool:
        keys.write_durably(path, json_of(b))
        credential = parse((b.demo.folder / "voucher.json").read_bytes())
        return recognition.listed_word(credential, parse(path.read_bytes())) == "revoked"

    with b.revoking():
        until(listed)
    assert a.stands(of_b)["now"] == "valid", "nobody told it yet"
    answer = a.run("recognition", "follow", "--status", str(path), "--as", "wang")
    assert answer["count"] == 1
    assert a.stands(of_b)["now"] == "revoked"
    done, carried_s = a.revoked_at(), (datetime.now(UTC) - b.revoked_at()).total_seconds()
    took_s = {way: (at - done).total_seconds() for way, at in learnt.items()}
    print(
        f"\nfrom the record of the revocation until the chain says so {took_s['chain']:.1f} s, until the "
        f"published list does {took_s['list']:.1f} s, until the other registry shows it by its timer "
        f"{took_s['shown']:.1f} s; by file {carried_s:.1f} s, carried at once; else it is unknown when the "
        f"list known runs out, {(before - done).total_seconds() / 86400:.1f} days after"
    )


def json_of(registry: Registry) -> bytes:
    """The status list that a registry publishes."""
    with urlopen(f"{registry.served.url}/api/v1/status", timeout=20) as answer:
        return bytes(answer.read())
