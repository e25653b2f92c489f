"""Signed notes and checkpoints: one spelling, strictly read."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, LedgerError
from ledger.proof import ProofFailed
from ledger.proof import checkpoint as notes
from ledger.proof.checkpoint import (
    Checkpoint,
    Signature,
    format_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    sign,
    signature_line,
    verifier_key,
)
from tests.proof.world import private_key, public_of

C2SP = json.loads(
    (Path(__file__).parents[1] / "vectors" / "c2sp-signed-note" / "example.json").read_text()
)
NAME = "registry.example/log"
LOG = private_key("log")
WITNESS = private_key("witness")
LOG_KEY = verifier_key(NAME, public_of(LOG))
WITNESS_KEY = verifier_key("witness.example", public_of(WITNESS))
ROOT = bytes(range(32))
TEXT = format_checkpoint(Checkpoint(NAME, 1437, ROOT))
NOTE = sign(TEXT, NAME, LOG)

names = st.text(
    st.characters(exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")), min_size=1
).filter(lambda name: "+" not in name and not any(c.isspace() for c in name))
lines = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


def test_the_c2sp_example_opens_under_its_key() -> None:
    key = parse_verifier_key(C2SP["vkey"])
    assert key.name == "example.com/foo"
    assert key.spelled() == C2SP["vkey"]
    assert open_note(C2SP["note"], [key]) == ("This is an example message.\n", [key])


def test_the_c2sp_example_is_not_opened_when_a_byte_of_it_changes() -> None:
    key = parse_verifier_key(C2SP["vkey"])
    note = C2SP["note"]
    for place, letter in enumerate(note):
        other = "A" if letter != "A" else "B"
        with pytest.raises(LedgerError):
            open_note(note[:place] + other + note[place + 1 :], [key])
        with pytest.raises(LedgerError):
            open_note(note[:place] + note[place + 1 :], [key])


@given(names, st.integers(0, notes.SIZE_MAX), st.binary(min_size=32, max_size=32), st.lists(lines))
def test_a_checkpoint_is_read_back(name: str, size: int, root: bytes, more: list[str]) -> None:
    checkpoint = Checkpoint(name, size, root, tuple(more))
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@given(names, st.lists(lines))
def test_a_signed_note_opens_under_its_key_alone(name: str, more: list[str]) -> None:
    text = format_checkpoint(Checkpoint(name, 7, ROOT, tuple(more)))
    note = sign(text, name, LOG)
    key = verifier_key(name, public_of(LOG))
    assert open_note(note, [WITNESS_KEY, key]) == (text, [key])
    with pytest.raises(ProofFailed):
        open_note(note, [WITNESS_KEY])
    with pytest.raises(ProofFailed):
        open_note(note, [])


@given(names, st.binary(min_size=32, max_size=32))
def test_a_verifier_key_is_read_back(name: str, public: bytes) -> None:
    key = verifier_key(name, public)
    assert parse_verifier_key(key.spelled()) == key


MALFORMED = {
    "no newline at the end": TEXT[:-1],
    "nothing": "",
    "a newline": "\n",
    "two lines": f"{NAME}\n1437\n",
    "an empty origin": TEXT.replace(NAME, ""),
    "a space in the origin": TEXT.replace("/log", " log"),
    "a plus in the origin": TEXT.replace("/log", "+log"),
    "a wide space in the origin": TEXT.replace("/log", "\u3000log"),
    "a leading nought": TEXT.replace("1437", "01437"),
    "only noughts": TEXT.replace("1437", "00"),
    "a sign": TEXT.replace("1437", "+1437"),
    "a negative size": TEXT.replace("1437", "-1"),
    "a space before the size": TEXT.replace("1437", " 1437"),
    "an underscore in the size": TEXT.replace("1437", "14_37"),
    "a hexadecimal size": TEXT.replace("1437", "0x59d"),
    "wide digits": TEXT.replace("1437", "１４３７"),
    "a superscript digit": TEXT.replace("1437", "²"),
    "an empty size": TEXT.replace("1437", ""),
    "a size of 2^63": TEXT.replace("1437", str(2**63)),
    "a size of 21 digits": TEXT.replace("1437", "1" * 21),
    "a size of 5000 digits": TEXT.replace("1437", "1" * 5000),
    "a root of 31 bytes": TEXT.replace(
        base64.b64encode(ROOT).decode(), base64.b64encode(ROOT[:31]).decode()
    ),
    "a root of 33 bytes": TEXT.replace(
        base64.b64encode(ROOT).decode(), base64.b64encode(ROOT + b"x").decode()
    ),
    "a root without padding": TEXT.replace("=\n", "\n"),
    "a root in the URL's alphabet": f"{NAME}\n1437\n" + "_" * 43 + "=\n",
    "loose bits in the root": TEXT.replace("8=\n", "9=\n"),
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "an empty extension line": TEXT + "\n",
    "an empty line before an extension": TEXT + "\nmore\n",
    "a space after the root": TEXT[:-1] + " \n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    assert text != TEXT
    with pytest.raises(Invalid):
        parse_checkpoint(text)


LINE = signature_line(Signature(NAME, LOG_KEY.key_hash, LOG.sign(TEXT.encode())))
BROKEN_NOTES = {
    "no signature": TEXT,
    "an empty line and nothing": TEXT + "\n",
    "no newline at the end": NOTE[:-1],
    "no empty line": TEXT + LINE,
    "a line too many at the end": NOTE + "\n",
    "a hyphen for the dash": NOTE.replace("—", "-"),
    "an en dash": NOTE.replace("—", "–"),
    "two spaces": NOTE.replace("— ", "—  "),
    "a tabulator": NOTE.replace("— ", "—\t"),
    "no name": NOTE.replace(f"— {NAME} ", "— "),
    "an empty name": NOTE.replace(f"— {NAME} ", "—  "),
    "a plus in the name": NOTE.replace(f"— {NAME}", "— a+b"),
    "a word too many": NOTE[:-1] + " x\n",
    "a signature without padding": TEXT + "\n" + LINE.replace("=\n", "\n"),
    "a signature that is only a key hash": TEXT + "\n" + f"— {NAME} AAAAAA==\n",
    "an empty signature": TEXT + "\n" + f"— {NAME} \n",
    "a text after the signature": NOTE + "more\n",
    "a carriage return in the text": NOTE.replace("1437\n", "1437\r\n"),
    "a control character in the text": NOTE.replace("1437", "1437\x07"),
    "half a character in the text": NOTE.replace("1437", "\ud800"),
    "half a character in the name": NOTE.replace(f"— {NAME}", "— \udc00"),
}


@pytest.mark.parametrize("note", BROKEN_NOTES.values(), ids=BROKEN_NOTES.keys())
def test_a_malformed_note_is_refused(note: str) -> None:
    assert note != NOTE
    with pytest.raises(Invalid):
        open_note(note, [LOG_KEY])


def test_a_wrong_signature_by_a_known_key_is_refused_even_beside_a_right_one() -> None:
    wrong = signature_line(Signature("witness.example", WITNESS_KEY.key_hash, b"x" * 64))
    with pytest.raises(ProofFailed, match=r"witness\.example"):
        open_note(NOTE + wrong, [LOG_KEY, WITNESS_KEY])


@pytest.mark.parametrize("length", [1, 63, 65, 200])
def test_a_signature_of_another_length_is_wrong(length: int) -> None:
    line = signature_line(Signature(NAME, LOG_KEY.key_hash, b"x" * length))
    with pytest.raises(ProofFailed):
        open_note(TEXT + "\n" + line, [LOG_KEY])


def test_signatures_of_unknown_signers_are_passed_over() -> None:
    strange = signature_line(Signature("somebody.example", b"abcd", b"x" * 10))
    same_name = signature_line(Signature(NAME, b"abcd", b"x" * 64))
    same_hash = signature_line(Signature("a.example", LOG_KEY.key_hash, b"x" * 64))
    note = TEXT + "\n" + strange + same_name + LINE + same_hash
    assert open_note(note, [LOG_KEY]) == (TEXT, [LOG_KEY])


def test_two_signers_are_named_in_the_order_of_their_lines() -> None:
    signed = WITNESS.sign(TEXT.encode())
    note = NOTE + signature_line(Signature("witness.example", WITNESS_KEY.key_hash, signed))
    assert open_note(note, [WITNESS_KEY, LOG_KEY]) == (TEXT, [LOG_KEY, WITNESS_KEY])


def test_a_key_under_another_name_has_another_hash_and_does_not_open_the_note() -> None:
    other = verifier_key("other.example", public_of(LOG))
    assert other.key_hash != LOG_KEY.key_hash
    with pytest.raises(ProofFailed):
        open_note(NOTE, [other])


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a+b", "a+00000000+", LOG_KEY.spelled() + "=", LOG_KEY.spelled()[:-1],
        LOG_KEY.spelled().replace("+", "+0", 1), "x" + LOG_KEY.spelled(), None, 5, b"a+b+c",
        LOG_KEY.spelled().replace(LOG_KEY.key_hash.hex(), LOG_KEY.key_hash.hex().upper() + " "),
        LOG_KEY.spelled().replace(LOG_KEY.key_hash.hex(), "00000000"),
        f"{NAME}+{LOG_KEY.key_hash.hex()}+"
        + base64.b64encode(b"\x02" + public_of(LOG)).decode(),
        f"{NAME}+{LOG_KEY.key_hash.hex()}+" + base64.b64encode(b"\x01" + b"x" * 31).decode(),
        LOG_KEY.spelled() + "\n",
    ],
)  # fmt: skip
def test_a_misspelled_verifier_key_is_refused(text: Any) -> None:
    with pytest.raises(Invalid):
        parse_verifier_key(text)


def test_a_note_has_at_most_64_signatures() -> None:
    strange = "".join(
        signature_line(Signature(f"a{n}.example", b"abcd", b"x" * 64)) for n in range(64)
    )
    with pytest.raises(Invalid, match="more than 64"):
        open_note(NOTE + strange, [LOG_KEY])
    almost = "".join(strange.splitlines(keepends=True)[:63])
    assert open_note(NOTE + almost, [LOG_KEY]) == (TEXT, [LOG_KEY])


@pytest.mark.parametrize("given", [None, 1, b"x\n\n", [], {}, 1.5])
def test_what_is_no_text_is_refused_by_every_parser(given: Any) -> None:
    for parser in (parse_note, parse_checkpoint, notes.parse_tlog_proof):
        with pytest.raises(Invalid):
            parser(given)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\u2003b", "\x00", "\ud800"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        verifier_key(name, bytes(32))
    with pytest.raises(Invalid):
        format_checkpoint(Checkpoint(name, 1, ROOT))


def test_a_public_key_has_32_bytes() -> None:
    for length in (0, 31, 33):
        with pytest.raises(Invalid):
            verifier_key("a", bytes(length))


def test_a_text_that_is_no_note_text_is_not_signed() -> None:
    for text in ("", "no newline", "a\x00\n", "a\r\n"):
        with pytest.raises(Invalid):
            sign(text, NAME, LOG)


def survives(note: str) -> None:
    """A note is refused, or it is exactly what its parts spell."""
    try:
        text, signatures = parse_note(note)
    except Invalid:
        return
    assert text + "\n" + "".join(signature_line(s) for s in signatures) == note
    try:
        checkpoint = parse_checkpoint(text)
    except Invalid:
        return
    assert format_checkpoint(checkpoint) == text


@given(st.text(st.characters() | st.sampled_from("\n\n— +=A1"), max_size=60))
def test_any_text_is_refused_or_is_its_own_spelling(note: str) -> None:
    survives(note)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_are_their_own_spelling(data: bytes) -> None:
    survives(data.decode("utf-8", "replace"))
    survives(data.decode("latin-1"))


@given(st.data())
def test_a_changed_note_is_refused_or_still_says_the_same_under_the_same_key(
    data: st.DataObject,
) -> None:
    place = data.draw(st.integers(0, len(NOTE)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text(st.characters() | st.sampled_from("\n— +=A1"), max_size=4))
    note = NOTE[:place] + put + NOTE[place + cut :]
    survives(note)
    try:
        text, signers = open_note(note, [LOG_KEY])
    except LedgerError:
        return
    assert (text, signers) == (TEXT, [LOG_KEY])


# C2SP tlog-proof

PATH = [bytes([i]) * 32 for i in range(3)]
PROOF = notes.format_tlog_proof(7, PATH, NOTE, b"entry")


def test_a_tlog_proof_is_spelled_as_c2sp_says() -> None:
    hashes = [base64.b64encode(value).decode() for value in PATH]
    assert (
        "\n".join(["c2sp.org/tlog-proof@v1", "extra ZW50cnk=", "index 7", *hashes, "", NOTE])
        == PROOF
    )


@given(
    st.integers(0, 2**62),
    st.lists(st.binary(min_size=32, max_size=32), max_size=8),
    st.binary(max_size=40),
)
def test_a_tlog_proof_is_read_back(index: int, path: list[bytes], extra: bytes) -> None:
    text = notes.format_tlog_proof(index, path, NOTE, extra)
    assert notes.parse_tlog_proof(text) == (index, path, NOTE, extra)


@pytest.mark.parametrize(
    "text",
    [
        "", NOTE, PROOF + "\n", PROOF[:-1], "\n" + PROOF, PROOF.replace("@v1", "@v2"),
        PROOF.replace("index 7", "index 07"), PROOF.replace("index 7", "index -7"),
        PROOF.replace("index 7", "index  7"), PROOF.replace("index 7", "index ７"),
        PROOF.replace("index 7", "index " + "7" * 30), PROOF.replace("index 7\n", ""),
        PROOF.replace("index 7", "7"), PROOF.replace("extra ZW50cnk=\n", ""),
        PROOF.replace("ZW50cnk=", "ZW50cnk"), PROOF.replace("ZW50cnk=", "ZW50cnl="),
        PROOF.replace(base64.b64encode(PATH[1]).decode(), "AQEB"),
        PROOF.replace(base64.b64encode(PATH[1]).decode(), ""),
        PROOF.replace("\n", "\r\n"), PROOF.replace("\n\n", "\n", 1), PROOF.replace("— ", "- "),
    ],
)  # fmt: skip
def test_a_malformed_tlog_proof_is_refused(text: str) -> None:
    assert text != PROOF
    with pytest.raises(Invalid):
        notes.parse_tlog_proof(text)


@given(st.data())
def test_a_changed_tlog_proof_is_refused_or_is_its_own_spelling(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(PROOF)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text(st.characters() | st.sampled_from("\n— +=A1"), max_size=4))
    text = PROOF[:place] + put + PROOF[place + cut :]
    try:
        found = notes.parse_tlog_proof(text)
    except Invalid:
        return
    assert notes.format_tlog_proof(*found) == text
