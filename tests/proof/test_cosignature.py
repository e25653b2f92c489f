"""Cosignatures of witnesses: C2SP's framing, one message, and nothing but a right one counts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import Invalid, LedgerError
from ledger.proof import ProofFailed
from ledger.proof import checkpoint as notes
from ledger.proof.checkpoint import Signature, open_note, parse_note, signature_line, verifier_key
from ledger.proof.cosignature import (
    TIME_MAX,
    check_order,
    cosign,
    cosigner_key,
    parse_cosigner_key,
    read_cosignatures,
    with_lines,
)
from tests.proof.test_checkpoint import LOG, LOG_KEY, NAME, NOTE, TEXT
from tests.proof.world import private_key, public_of

OWL, WREN = (private_key(name) for name in ("owl", "wren"))
OWL_KEY = cosigner_key("owl.example/w1", public_of(OWL))
WREN_KEY = cosigner_key("wren.example/w1", public_of(WREN))
AT = datetime(2023, 3, 20, 12, 25, 47, tzinfo=UTC)  # 1679315147, the specification's example
BY_OWL = cosign(TEXT, OWL_KEY.name, OWL, AT)
BY_WREN = cosign(TEXT, WREN_KEY.name, WREN, AT)
# The example of C2SP tlog-cosignature; its keys are not published, so only the framing can be checked.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501


def test_the_example_of_the_specification_is_framed_as_ours() -> None:
    text, (log_line, witness_line) = parse_note(EXAMPLE)
    assert notes.parse_checkpoint(text).tree_size == 20852163
    assert len(log_line.value) == 64
    assert witness_line.key_hash.hex() == "8d66cf3f"
    assert len(witness_line.value) == 8 + 64
    assert int.from_bytes(witness_line.value[:8]) == AT.timestamp()
    assert with_lines(EXAMPLE) == EXAMPLE


def test_what_a_witness_signs_is_what_the_specification_says() -> None:
    (signature,) = parse_note(TEXT + "\n" + BY_OWL)[1]
    assert signature.value[:8] == (1679315147).to_bytes(8)
    Ed25519PublicKey.from_public_bytes(OWL_KEY.public).verify(
        signature.value[8:], b"cosignature/v1\ntime 1679315147\n" + TEXT.encode()
    )


def test_a_witness_key_is_a_log_key_with_another_first_byte() -> None:
    plain = verifier_key(OWL_KEY.name, OWL_KEY.public)
    assert plain.key_hash != OWL_KEY.key_hash
    assert parse_cosigner_key(OWL_KEY.spelled()) == OWL_KEY
    for text in (plain.spelled(), OWL_KEY.spelled() + " ", OWL_KEY.spelled().upper(), "", None, 4):
        with pytest.raises(Invalid):
            parse_cosigner_key(text)
    with pytest.raises(Invalid):
        notes.parse_verifier_key(OWL_KEY.spelled())


def test_a_cosigned_note_still_opens_under_the_logs_key() -> None:
    note = NOTE + BY_OWL + BY_WREN
    assert open_note(note, [LOG_KEY]) == (TEXT, [LOG_KEY])
    assert [(c.key, c.at, c.line) for c in read_cosignatures(note, [WREN_KEY, OWL_KEY])] == [
        (OWL_KEY, AT, BY_OWL), (WREN_KEY, AT, BY_WREN),
    ]  # fmt: skip


def test_who_is_not_known_or_did_not_sign_is_not_named() -> None:
    assert read_cosignatures(NOTE + BY_OWL + BY_WREN, [WREN_KEY])[0].key == WREN_KEY
    assert read_cosignatures(NOTE, [OWL_KEY, WREN_KEY]) == []
    assert read_cosignatures(NOTE + BY_OWL, []) == []


def changed(line: str, **changes: Any) -> str:
    (signature,) = parse_note(TEXT + "\n" + line)[1]
    return signature_line(signature._replace(**changes))


def at_time(seconds: int) -> str:
    """A right signature over a time that may not be."""
    message = f"cosignature/v1\ntime {seconds}\n{TEXT}".encode()
    value = seconds.to_bytes(8) + OWL.sign(message)
    return signature_line(Signature(OWL_KEY.name, OWL_KEY.key_hash, value))


VALUE = parse_note(TEXT + "\n" + BY_OWL)[1][0].value
WRONG = {
    "another text": cosign(TEXT.replace("1437", "1438"), OWL_KEY.name, OWL, AT),
    "another witness's key": changed(BY_WREN, name=OWL_KEY.name, key_hash=OWL_KEY.key_hash),
    "another time": changed(BY_OWL, value=(1679315148).to_bytes(8) + VALUE[8:]),
    "no time": changed(BY_OWL, value=VALUE[8:]),
    "a byte too many": changed(BY_OWL, value=VALUE + b"\0"),
    "a byte too few": changed(BY_OWL, value=VALUE[:-1]),
    "a plain signature of the note": changed(BY_OWL, value=OWL.sign(TEXT.encode())),
    "time 0": at_time(0),
    "a year of five digits": at_time(TIME_MAX + 1),
    "a time beyond 2^63": at_time(2**63),
    "noughts": changed(BY_OWL, value=bytes(72)),
}


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_cosignature_by_a_known_witness_is_refused(line: str) -> None:
    with pytest.raises(ProofFailed) as refused:
        read_cosignatures(NOTE + line + BY_WREN, [OWL_KEY, WREN_KEY])
    assert refused.value.facts["step"] == "witness"
    assert read_cosignatures(NOTE + line + BY_WREN, [WREN_KEY])[0].key == WREN_KEY


def test_the_last_second_of_the_calendar_is_read() -> None:
    (found,) = read_cosignatures(NOTE + at_time(TIME_MAX), [OWL_KEY])
    assert found.at == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_no_flipped_bit_of_a_cosignature_counts() -> None:
    for place in range(8 * len(VALUE)):
        value = bytearray(VALUE)
        value[place // 8] ^= 1 << place % 8
        with pytest.raises(ProofFailed):
            read_cosignatures(NOTE + changed(BY_OWL, value=bytes(value)), [OWL_KEY])


def test_lines_are_put_in_one_order_whatever_the_order_they_came_in() -> None:
    whole = NOTE + BY_OWL + BY_WREN
    assert with_lines(NOTE, BY_WREN + BY_OWL) == whole
    assert with_lines(with_lines(NOTE, BY_WREN), BY_OWL + BY_WREN) == whole
    assert with_lines(TEXT + "\n" + BY_WREN, NOTE[len(TEXT) + 1 :] + BY_OWL) == whole
    later = cosign(TEXT, OWL_KEY.name, OWL, AT.replace(year=2024))
    assert with_lines(whole, later) == whole, "of a key's lines the first stays"
    check_order(whole)
    first = TEXT + "\n" + BY_OWL + NOTE[len(TEXT) + 1 :]
    for other in (NOTE + BY_WREN + BY_OWL, NOTE + BY_OWL + BY_OWL, first):
        with pytest.raises(Invalid):
            check_order(other)


@pytest.mark.parametrize(
    "lines",
    ["\n", "x", "x\n", "\n" + BY_OWL, BY_OWL + "\n" + BY_WREN, BY_OWL[:-1], BY_OWL + "more\n"],
)
def test_what_is_no_signature_line_is_not_added(lines: str) -> None:
    with pytest.raises(Invalid):
        with_lines(NOTE, lines)


@given(st.data())
def test_a_changed_cosigned_note_names_no_witness_that_did_not_sign_it(data: st.DataObject) -> None:
    note = NOTE + BY_OWL + BY_WREN
    place = data.draw(st.integers(0, len(note)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.text(st.characters() | st.sampled_from("\n— +=A1"), max_size=4))
    other = note[:place] + put + note[place + cut :]
    try:
        text, _ = open_note(other, [LOG_KEY])
        found = read_cosignatures(other, [OWL_KEY, WREN_KEY])
        check_order(other)
    except LedgerError:
        return
    assert text == TEXT
    assert [c.line for c in found] == [line for line in (BY_OWL, BY_WREN) if line in other]


def test_the_log_does_not_cosign_itself() -> None:
    """The log's key as a witness's key is another key: its line there does not open the note."""
    line = cosign(TEXT, NAME, LOG, AT)
    with pytest.raises(ProofFailed):
        open_note(TEXT + "\n" + line, [LOG_KEY])
