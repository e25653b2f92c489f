"""The log and its witnesses: who is known, what is asked, and that only right cosignatures are kept."""

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from ledger import handoff, log, witnesses
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed, ProofFailed
from ledger.nouns import evidence_tables
from ledger.proof.checkpoint import open_note, parse_checkpoint, parse_note, verifier_key
from ledger.proof.cosignature import (
    check_order,
    cosigner_key,
    parse_cosigner_key,
    read_cosignatures,
)
from ledger.proof.encoding import canonical
from ledger.proof.trust import parse_trust
from ledger.witnesses import StoredCosignature, Visit, Witness, cosigned_note
from tests.conftest import CREDENTIAL_KEY, LOG_KEY, ORIGIN, Town
from tests.witness import MOODS, LittleWitness, serve_witness
from webapp import cosigning

LOG_VKEY = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())
_names = itertools.count()


class Sealed:
    """A town whose log grows, with witnesses that serve on loopback."""

    def __init__(self, town: Town, stack: ExitStack) -> None:
        self.town, self.stack = town, stack

    def grow(self, count: int = 1) -> int:
        """Some records, sealed; the size."""
        for _ in range(count):
            self.town.deposit(data=f"evidence {next(_names)}".encode())
        with self.town.deed() as session:
            made = log.seal(session, self.town.now, LOG_KEY)
            assert made is not None
            return made.tree_size

    def witness(self, name: str, mood: str = "well") -> LittleWitness:
        """A witness that is made known with its address."""
        made = LittleWitness(name, LOG_VKEY)
        made.mood = mood
        self.add(made, self.stack.enter_context(serve_witness(made)))
        return made

    def add(self, witness: LittleWitness, url: str = "") -> Witness:
        return self.town.do(
            "admin", witnesses.admit, vkey=witness.vkey, operator="市审计局", url=url
        )

    def row(self, witness: LittleWitness) -> Witness:
        with self.town.reading() as session:
            return session.scalars(select(Witness).where(Witness.vkey == witness.vkey)).one()

    def visit(self, witness: LittleWitness, limit_s: float = 5) -> None:
        cosigning.visit(self.town.home, self.row(witness).id, lambda: self.town.now, limit_s)

    def due(self) -> list[str]:
        with self.town.reading() as session:
            return witnesses.due(session, self.town.now)

    def note(self, size: int) -> str:
        with self.town.reading() as session:
            return cosigned_note(session, session.get_one(log.Checkpoint, size))

    def cosigners(self, size: int) -> list[str]:
        """Who cosigned a size, as somebody finds who knows them all."""
        note = self.note(size)
        check_order(note)
        assert parse_checkpoint(open_note(note, [LOG_VKEY])[0]).tree_size == size
        with self.town.reading() as session:
            keys = [parse_cosigner_key(key) for key in session.scalars(select(Witness.vkey))]
        return [one.key.name for one in read_cosignatures(note, keys)]

    def problem(self, witness: LittleWitness) -> str:
        """What is wrong with a witness, in a sentence."""
        for one in self.standing():
            if one["vkey"] == witness.vkey and one["problem"]:
                return str(one["problem"]["template"].format_map(one["problem"]["facts"]))
        return ""

    def standing(self) -> list[dict[str, Any]]:
        with self.town.reading() as session:
            return witnesses.standing(session, self.town.now)


@pytest.fixture
def sealed(town: Town) -> Iterator[Sealed]:
    with ExitStack() as stack:
        yield Sealed(town, stack)


# ---------------------------------------------------------------- who is known


def test_a_witness_is_made_known_once_and_recorded(sealed: Sealed) -> None:
    owl = LittleWitness("owl.example/w")
    made = sealed.add(owl, "https://owl.example/w/")
    assert (made.name, made.url, made.operator) == (
        "owl.example/w",
        "https://owl.example/w",
        "市审计局",
    )
    assert sealed.add(owl, "https://owl.example/w").id == made.id
    with pytest.raises(Conflict, match="another operator or address"):
        sealed.add(owl, "https://elsewhere.example")
    with sealed.town.reading() as session:
        records = log.history(session, made.id)
        assert [one.kind for one in records] == ["witness.added"]
        assert log.payload_of(records[0])["body"] == made.body()
    assert Witness in evidence_tables()


def test_a_removed_witness_is_not_asked_its_lines_stay_at_home_and_it_may_come_back(
    sealed: Sealed,
) -> None:
    owl = sealed.witness("owl.example/w")
    size = sealed.grow()
    sealed.visit(owl)
    assert sealed.cosigners(size) == [owl.name]
    row = sealed.row(owl)
    for _ in range(2):
        sealed.town.do("admin", witnesses.remove, row)
    assert sealed.cosigners(size) == []
    sealed.grow()
    assert sealed.due() == []
    assert sealed.standing() == []
    sealed.add(owl, "https://new.example")
    assert sealed.cosigners(size) == [owl.name]
    with sealed.town.reading() as session:
        kinds = [one.kind for one in log.history(session, row.id)]
    assert kinds == ["witness.added", "witness.removed", "witness.added"]


def test_there_are_never_more_witnesses_than_a_note_has_room_for(sealed: Sealed) -> None:
    size = sealed.grow()
    for n in range(witnesses.WITNESSES_MAX):
        one = LittleWitness(f"{n}.example")
        sealed.add(one)
        line = one.cosign(parse_note(sealed.note(size))[0])
        sealed.town.do("admin", witnesses.hand_in, text=line)
    assert len(sealed.cosigners(size)) == witnesses.WITNESSES_MAX
    with pytest.raises(Conflict, match="60 witnesses already"):
        sealed.add(LittleWitness("one.too.many"))
    sealed.town.do("admin", witnesses.remove, sealed.row(one))
    sealed.add(LittleWitness("one.more"))


def test_only_an_administrator_makes_witnesses_known(sealed: Sealed) -> None:
    owl = LittleWitness("owl.example/w")
    row = sealed.add(owl)
    before = sealed.town.snapshot()
    for login in set(sealed.town.actors) - {"admin"}:
        for verb, facts in (
            (witnesses.admit, {"vkey": owl.vkey, "operator": "x"}),
            (witnesses.hand_in, {"text": "x"}),
        ):
            with pytest.raises(NotAllowed):
                sealed.town.do(login, verb, **facts)
        with pytest.raises(NotAllowed):
            sealed.town.do(login, witnesses.remove, row)
    assert sealed.town.snapshot() == before


def test_what_cannot_be_a_witness_is_refused(sealed: Sealed) -> None:
    owl = LittleWitness("owl.example/w")
    sealed.add(owl)
    public = owl.private.public_key().public_bytes_raw()
    plain = verifier_key("owl.example/w", public).spelled()
    twin = parse_cosigner_key(owl.vkey)._replace(name="twin.example")
    again = LittleWitness("x")
    for vkey, operator, url in (
        (plain, "x", ""), ("x", "x", ""), (owl.vkey[:-1], "x", ""), (twin.spelled(), "x", ""),
        (again.vkey, "", ""), (again.vkey, " ", ""),
        (again.vkey, "x", "ftp://a.example"), (again.vkey, "x", "http://"),
        (again.vkey, "x", "http://a b"), (again.vkey, "x", "http://u:p@a.example"),
        (again.vkey, "x", "http://a.example/?q"), (again.vkey, "x", "http://a.example:99999"),
        (again.vkey, "x", "http://[a"), (again.vkey, "x", "http://a.example/\n"),
    ):  # fmt: skip
        with pytest.raises(Invalid):
            sealed.town.do("admin", witnesses.admit, vkey=vkey, operator=operator, url=url)
    same_key = cosigner_key("other.example", public).spelled()
    with pytest.raises(Conflict, match="owl"):
        sealed.town.do("admin", witnesses.admit, vkey=same_key, operator="x")
    named_like_us = cosigner_key(ORIGIN, again.private.public_key().public_bytes_raw()).spelled()
    with pytest.raises(Invalid, match="name of this log"):
        sealed.town.do("admin", witnesses.admit, vkey=named_like_us, operator="x")
    with pytest.raises(Missing), sealed.town.reading() as session:
        witnesses.by_id(session, "none")


# ---------------------------------------------------------------- asking over the network


def test_a_witness_cosigns_each_checkpoint_in_turn(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    sizes = [sealed.grow(n) for n in (1, 2, 7)]
    assert sealed.due() == [sealed.row(owl).id]
    sealed.visit(owl)
    assert [sealed.cosigners(size) for size in sizes] == [[owl.name]] * 3
    assert owl.asked == ["old 0", f"old {sizes[0]}", f"old {sizes[1]}"]
    assert sealed.due() == []
    asked = len(owl.asked)
    sealed.visit(owl)
    assert len(owl.asked) == asked, "there is nothing to ask"
    sealed.grow()
    sealed.visit(owl)
    assert owl.asked[-1] == f"old {sizes[-1]}"


def test_several_witnesses_stand_under_a_checkpoint_in_one_order(sealed: Sealed) -> None:
    wren, owl = sealed.witness("wren.example/w"), sealed.witness("owl.example/w")
    size = sealed.grow(5)
    sealed.visit(wren)
    sealed.visit(owl)
    assert sealed.cosigners(size) == [owl.name, wren.name]


def test_a_witness_that_knows_more_of_us_than_we_remember_says_so(sealed: Sealed) -> None:
    """Our memory of what it holds is lost: one refusal tells the size, the next request is right."""
    owl = sealed.witness("owl.example/w")
    first = sealed.grow(3)
    sealed.visit(owl)
    with sealed.town.deed() as session:
        session.execute(update(Visit).values(held_size=0))
    second = sealed.grow(4)
    sealed.visit(owl)
    assert owl.asked[1:] == ["old 0", f"old {first}"]
    assert sealed.cosigners(second) == [owl.name]
    assert sealed.problem(owl) == ""


def test_a_witness_that_lost_its_memory_is_told_from_the_beginning(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    sealed.grow()
    sealed.visit(owl)
    owl.held.clear()
    size = sealed.grow()
    sealed.visit(owl)
    assert sealed.cosigners(size) == [owl.name]
    assert sealed.problem(owl) == ""


def test_a_cosignature_that_was_lost_is_asked_for_again_at_the_same_size(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    size = sealed.grow()
    sealed.visit(owl)
    with sealed.town.deed() as session:
        session.delete(session.scalars(select(StoredCosignature)).one())
    sealed.visit(owl)
    assert owl.asked[-1] == f"old {size}"
    assert sealed.cosigners(size) == [owl.name]


def test_a_witness_long_away_is_asked_for_what_was_anchored_and_for_the_newest(
    sealed: Sealed,
) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    sizes = [sealed.grow() for _ in range(22)]
    with sealed.town.deed() as session:
        for size in (sizes[1], sizes[3]):
            log.note_anchor(session, size, "0x" + "77" * 32, 7)
    sealed.add(owl, sealed.stack.enter_context(serve_witness(owl)))
    sealed.visit(owl)
    cosigned = [size for size in sizes if sealed.cosigners(size)]
    assert cosigned == [sizes[1], sizes[3], *sizes[-witnesses.NEWEST_ASKED :]]


PROBLEMS = {
    "lying": "is wrong",
    "a stranger": "without a signature by its key",
    "wordless": "without a signature by its key",
    "smuggling": "not signature lines alone",
    "endless": "too large",
    "restless": "another size each time",
    "ahead": "was an old copy of the database put back",
    "far ahead": "is no tree size",
    "babbling": "is no tree size",
    "broken": "HTTP 500",
    "elsewhere": "HTTP 302",
    "silent": "no answer in 0.3 s",
    "dripping": "no answer in 0.3 s",
}


def test_nothing_is_stored_of_a_witness_in_a_bad_mood_and_it_is_shown(sealed: Sealed) -> None:
    assert set(PROBLEMS) == {*MOODS, "silent", "dripping"}
    size = sealed.grow(4)
    for n, (mood, problem) in enumerate(PROBLEMS.items()):
        owl = sealed.witness(f"{n}.example/w", mood)
        size = sealed.grow()
        began = time.monotonic()
        sealed.visit(owl, 0.3)
        assert time.monotonic() - began < 3, mood
        assert sealed.cosigners(size) == [], mood
        assert problem in sealed.problem(owl), mood
        assert sealed.due() == [], f"{mood}: it is left alone for a while"
        sealed.town.later(minutes=10)
        assert sealed.due() == [sealed.row(owl).id], mood
        owl.mood, owl.held = "well", {}
        sealed.visit(owl)
        assert sealed.cosigners(size) == [owl.name], f"{mood}: as soon as it is well again"
        assert sealed.problem(owl) == "", mood
        sealed.town.do("admin", witnesses.remove, sealed.row(owl))


def test_a_witness_that_is_down_is_asked_less_and_less_often(sealed: Sealed) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        owl = LittleWitness("owl.example/w", LOG_VKEY)
        sealed.add(owl, f"http://127.0.0.1:{unused.getsockname()[1]}")
        sealed.grow()
        pauses = []
        for _ in range(12):
            sealed.visit(owl)
            assert "does not answer" in sealed.problem(owl)
            began = sealed.town.now
            while not sealed.due():
                sealed.town.later(seconds=5)
            pauses.append(sealed.town.now - began)
    assert pauses[:4] == [timedelta(seconds=n) for n in (5, 10, 20, 40)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == witnesses.PAUSE_MAX


def test_a_witness_that_does_not_know_our_log_or_key_says_so(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    sealed.grow()
    for keys in ([], [verifier_key(ORIGIN, CREDENTIAL_KEY.public_key().public_bytes_raw())]):
        owl.log_keys = keys
        sealed.visit(owl)
        assert "does not know this log or its key" in sealed.problem(owl)


def test_a_witness_of_another_history_cosigns_nothing_and_raises_the_alarm(sealed: Sealed) -> None:
    """What a rewritten log looks like from outside: its proof does not fit what the witness holds."""
    owl = sealed.witness("owl.example/w")
    size = sealed.grow(3)
    owl.held[ORIGIN] = (2, b"\x13" * 32)
    sealed.visit(owl)
    assert "holds another history" in sealed.problem(owl)
    owl.held[ORIGIN] = (size, b"\x13" * 32)
    sealed.town.later(minutes=10)
    sealed.visit(owl)
    assert f"holds size {size}, and another history" in sealed.problem(owl)
    assert sealed.cosigners(size) == []


def test_all_are_asked_at_once_and_one_that_is_silent_delays_nobody(sealed: Sealed) -> None:
    silent = sealed.witness("silent.example/w", "silent")
    owl, wren = sealed.witness("owl.example/w"), sealed.witness("wren.example/w")
    size = sealed.grow()
    began = time.monotonic()
    for _ in range(3):
        cosigning.begin(sealed.town.home, lambda: sealed.town.now)
    assert time.monotonic() - began < 2, "nobody is waited for"
    deadline = began + 5
    while len(sealed.cosigners(size)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sealed.cosigners(size) == [owl.name, wren.name]
    assert silent.asked == []
    sealed.stack.close()  # its end hangs up
    cosigning.wait(sealed.town.home, 5)
    assert "does not answer" in sealed.problem(silent)


def test_a_witness_removed_while_it_is_asked_is_forgotten(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    size = sealed.grow()
    with sealed.town.reading() as session:
        request = witnesses.next_request(session, sealed.row(owl))
    assert request is not None
    answer = witnesses.submit(request)
    sealed.town.do("admin", witnesses.remove, sealed.row(owl))
    with sealed.town.deed() as session:
        assert not witnesses.note_answer(session, sealed.town.now, request, answer)
        assert session.get(StoredCosignature, (size, request.witness_id)) is None


# ---------------------------------------------------------------- by file


def test_a_witness_without_network_gets_a_file_and_its_answer_is_handed_in(sealed: Sealed) -> None:
    owl = LittleWitness("owl.example/w", LOG_VKEY)
    row = sealed.add(owl)
    sealed.grow(3)
    size = sealed.grow(2)
    assert sealed.due() == []
    for _ in range(2):
        with sealed.town.reading() as session:
            request = witnesses.next_request(session, row)
        assert request is not None
        status, _, content = owl.answer(request.body.decode())
        assert status == 200, "what was handed in is what it holds"
        found = sealed.town.do("admin", witnesses.hand_in, text=content.decode())
        assert found == (request.tree_size, [owl.name])
    assert sealed.cosigners(size) == [owl.name]
    with sealed.town.reading() as session:
        assert witnesses.next_request(session, row, size) is None


def test_what_is_handed_in_may_be_the_cosigned_checkpoint_as_a_form_sends_it(
    sealed: Sealed,
) -> None:
    owl, wren = LittleWitness("owl.example/w"), LittleWitness("wren.example/w")
    for one in (owl, wren):
        sealed.add(one)
    old, size = sealed.grow(), sealed.grow()
    text = parse_note(sealed.note(size))[0]
    whole = sealed.note(size) + owl.cosign(text) + wren.cosign(text)
    sent = whole.replace("\n", "\r\n") + "\r\n"
    assert sealed.town.do("admin", witnesses.hand_in, text=sent) == (size, [owl.name, wren.name])
    assert sealed.cosigners(size) == [owl.name, wren.name]
    before = sealed.note(size)
    sealed.town.do("admin", witnesses.hand_in, text=owl.cosign(text))
    assert sealed.note(size) == before, "the first one stays"
    line = owl.cosign(parse_note(sealed.note(old))[0])
    assert sealed.town.do("admin", witnesses.hand_in, text=line) == (old, [owl.name])


def test_what_is_no_known_witnesss_right_cosignature_is_not_stored(sealed: Sealed) -> None:
    owl, stranger = LittleWitness("owl.example/w"), LittleWitness("stranger.example")
    sealed.add(owl)
    size = sealed.grow()
    text = parse_note(sealed.note(size))[0]
    other = text.replace(f"\n{size}\n", f"\n{size + 1}\n")
    before = sealed.town.snapshot()
    for given, why in (
        (stranger.cosign(text), Invalid), (owl.cosign(other), ProofFailed), ("", Invalid),
        ("hello", Invalid), (owl.cosign(text)[:-9], LedgerError), (sealed.note(size), Invalid),
        (owl.cosign(text) + owl.cosign(text).replace("owl", "x y"), Invalid),
        ("— owl.example/w AAAA\n", Invalid),
    ):  # fmt: skip
        with pytest.raises(why):
            sealed.town.do("admin", witnesses.hand_in, text=given)
    assert sealed.town.snapshot() == before


# ---------------------------------------------------------------- what goes out


def test_bundles_carry_the_cosignatures_and_are_the_same_bytes_each_time(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    size = sealed.grow()
    with sealed.town.deed() as session:
        log.note_anchor(session, size, "0x" + "77" * 32, 7, sealed.town.now)
    sealed.visit(owl)
    with sealed.town.reading() as session:
        record = session.get_one(log.Record, size - 1)
        made = [
            canonical(handoff.record_bundle(session, record, sealed.town.home.config.deployment))
            for _ in range(2)
        ]
        document = handoff.record_bundle(session, record, sealed.town.home.config.deployment)
    assert made[0] == made[1]
    assert document["checkpoint"] == sealed.note(size)
    assert sealed.cosigners(size) == [owl.name]


def test_the_trust_file_names_the_witnesses_and_the_quorum(sealed: Sealed) -> None:
    owl, wren = LittleWitness("owl.example/w"), LittleWitness("wren.example/w")
    for one in (wren, owl):
        sealed.add(one)
    with sealed.town.reading() as session:
        keys = witnesses.trust_keys(session)

    def made(**more: Any) -> bytes:
        return handoff.trust_file(
            sealed.town.home.config.deployment, origin=ORIGIN,
            log_public=LOG_KEY.public_key().public_bytes_raw(),
            credential_public=CREDENTIAL_KEY.public_key().public_bytes_raw(),
            since=sealed.town.now, embedded=True, **more,
        )  # fmt: skip

    assert b"witness_quorum" not in made(witnesses=keys)
    trust = parse_trust(made(witnesses=keys, quorum=2))
    assert [key.spelled() for key in trust.witnesses] == [owl.vkey, wren.vkey]
    assert trust.witness_quorum == 2
    with pytest.raises(Invalid):
        parse_trust(made(witnesses=keys, quorum=3))


def test_the_list_says_how_far_and_how_old_each_cosignature_is(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    wren = LittleWitness("wren.example/w")
    sealed.add(wren)
    size = sealed.grow()
    sealed.visit(owl)
    sealed.grow(2)
    sealed.town.now = datetime.now(UTC) + timedelta(hours=3)
    by_owl, by_wren = sealed.standing()
    assert (by_owl["name"], by_owl["cosigned_size"], by_owl["behind"]) == (owl.name, size, 2)
    assert 3 * 3600 - 5 <= by_owl["age_s"] <= 3 * 3600 + 60
    assert (by_wren["cosigned_size"], by_wren["cosigned_at"]) == (0, None)
    assert by_wren["behind"] == size + 2


def test_a_stored_line_that_somebody_changed_is_found(sealed: Sealed) -> None:
    owl = sealed.witness("owl.example/w")
    size = sealed.grow()
    sealed.visit(owl)

    def wrong() -> list[tuple[int, str]]:
        with sealed.town.reading() as session:
            return list(witnesses.wrong(session))

    assert wrong() == []
    with sealed.town.reading() as session:
        line, at = session.execute(select(StoredCosignature.line, StoredCosignature.at)).one()
    stranger = LittleWitness("stranger.example").cosign("x\n")
    for changes in (
        {"line": stranger}, {"line": line.replace("A", "B", 1)}, {"line": "x"}, {"line": line * 2},
        {"at": at + timedelta(seconds=1)},
    ):  # fmt: skip
        with sealed.town.deed() as session:
            session.execute(update(StoredCosignature).values(**changes))
        assert wrong() == [(size, owl.name)]
        with sealed.town.deed() as session:
            session.execute(update(StoredCosignature).values(line=line, at=at))
    assert wrong() == []


def test_a_checkpoint_that_nobody_cosigned_is_as_the_log_signed_it(town: Town) -> None:
    with town.deed() as session:
        made = log.seal(session, town.now, LOG_KEY)
        assert made is not None
        assert cosigned_note(session, made) == made.note
        row = SimpleNamespace(tree_size=made.tree_size, note=made.note)
        assert cosigned_note(session, row) == made.note
