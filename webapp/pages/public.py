"""What everybody may see: verification by number, file and QR, the state of a voucher, the log."""

import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request, send_from_directory, url_for
from flask_limiter import Limiter
from sqlalchemy.orm import Session

from ledger import peers, recognition
from ledger.errors import Invalid, LedgerError, Missing
from ledger.proof.encoding import digest_bytes
from ledger.proof.page import NAME as PAGE_NAME
from ledger.proof.page import content_policy, read_page
from ledger.proof.report import Report
from ledger.qr import parse_qr_text, qr_svg, qr_text
from ledger.registration import check_code
from webapp import door, quick, tlog
from webapp.api import NOUNS
from webapp.api.more import VERIFY_BYTES_MAX, docs
from webapp.deeds import DEEDS, QUESTIONS
from webapp.deeds.all import field, proofs
from webapp.intake import kind_of, read_qr, read_upload
from webapp.language import translate
from webapp.pages.show import redirect

VERIFY_RATE = "60 per minute"
ENTRIES_SHOWN = 25
DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−─－_"), "-")
# How a voucher's state looks, besides its words.
TONES = {"valid": "good", "suspended": "doubt", "frozen": "doubt", "lapsed": "doubt"}
# What the verbs are called that no deed and no question is named after.
VERBS = {
    "catalogue.read": "See the imports", "catalogue.export": "Take the catalogue along",
    "draft.drop": "Drop a draft", "draft.read": "My drafts",
    "draft.save": "Keep a draft", "file.verify": "Verify a document",
    "identity.link": "Link single sign-on", "job.read": "My jobs", "job.start": "Start a job",
    "page.read": "Start page, help, language", "session.begin": "Sign in", "session.end": "Sign out",
    "statistics.amounts": "Statistics with all amounts",
}  # fmt: skip
# Under which heading the table of permissions shows a noun; the API's own headings for the others.
HEADINGS = {
    **NOUNS, "evidence": "Deposits", "notice": "Registrations", "trust": "Log", "status": "Log",
    "file": "Log",
    "record": "Log",
    "statistics": "Statistics",
    "outbox": "House", "audit": "House",
}  # fmt: skip
FOR_ONESELF = "For oneself"
# What the catalogue says of sharing and opening, in our words.
CHOICES = {
    ("sharing", "unconditional"): "Shared without conditions",
    ("sharing", "conditional"): "Shared under conditions",
    ("sharing", "not_shared"): "Not shared",
    ("opening", "unconditional"): "Open without conditions",
    ("opening", "conditional"): "Open under conditions",
    ("opening", "not_open"): "Not open",
}


def enter(app: Flask, limiter: Limiter) -> None:
    """Enter the routes."""
    quick.set_up(app, limiter)
    tlog.enter(app)
    slowly = limiter.limit(VERIFY_RATE, methods=["POST"])
    app.add_url_rule("/verify", "verify", slowly(verify), methods=["GET", "POST"])
    app.add_url_rule("/verifier.html", "verifier_page", verifier_page)
    app.add_url_rule("/verify/<number>", "voucher_state", voucher_state)
    app.add_url_rule("/verify/<number>/qr.svg", "voucher_qr", voucher_qr)
    app.add_url_rule("/log", "log_read", log_page)
    app.add_url_rule("/api/docs", "api_docs", docs)
    app.add_url_rule("/api/docs/files/<path:filename>", "swagger_file", swagger_file)
    app.jinja_env.globals |= {"group_of": group_of, "titles_of": titles_of}


# -- verification --------------------------------------------------------------------------------


@door.guard("file.verify")
def verify() -> Any:
    """Verification by number (`?q=`), by file or by the photograph of a QR code (POST)."""
    asked = request.args.get("q", "")
    try:
        if request.method == "POST":
            return check_upload()
        return redirect(find(asked)) if asked.strip() else verify_page(asked)
    except LedgerError as error:
        return verify_page(asked, error)


def verify_page(asked: str, error: LedgerError | None = None) -> Any:
    """The forms of verification, and why what was asked could not be answered."""
    refusal = error and error.localized(translate)
    page = render_template("verify.html", asked=asked, refusal=refusal)
    return page, error.http_status if error else 200


def find(text: str) -> str:
    """The page of what somebody typed, in any spelling, or a scanner typed for him; raises LedgerError.

    It is a voucher's number or the text of its QR code; a registration's code leads to its page. What is
    not ours may be a voucher of another registry that is recognised here.
    """
    plain = unicodedata.normalize("NFKC", text).translate(DASHES).strip()
    if ":" in plain:
        number, digest = parse_qr_text(plain)
        return url_for("voucher_state", number=number, digest=digest.hex())
    try:
        return our_page(plain)
    except LedgerError:
        theirs = recognised_page(plain)
        if theirs is None:
            raise
        return theirs


def our_page(number: str) -> str:
    """The page of our voucher, or else our registration, with a number; raises LedgerError."""
    desk = door.the_desk()
    try:
        found = desk.ask(proofs.state, door.who, {"number": number}, {})
    except Missing as unknown:
        try:
            keys = {"registration_code": number}
            found = desk.ask(field.show_registration, door.who, keys, {})
        except LedgerError:
            raise unknown from None
        return url_for("registration_read", registration_code=found["code"])
    return url_for("voucher_state", number=found["number"])


def recognised(number: str, digest: str = "") -> list[dict[str, Any]]:
    """The vouchers of other registries with a number that are recognised here, by whom they were issued."""
    spellings = {number, number.upper()}
    with suppress(LedgerError):
        spellings.add(check_code(number))
    desk = door.the_desk()
    with desk.home.reading() as session:
        rows = [row for one in sorted(spellings) for row in recognition.of_number(session, one)]
        return [
            {"id": row.id, "number": row.number, "origin": row.origin,
             "registry": peers.find(session, row.peer_id).name}
            for row in rows
            if not digest or row.digest == f"sha256:{digest}"
        ]  # fmt: skip


def recognised_page(number: str, digest: str = "") -> str | None:
    """Where a recognised voucher is shown: its own page, or the choice among several; None for none."""
    found = recognised(number, digest)
    if len(found) == 1:
        return url_for("recognition_read", recognition_id=found[0]["id"])
    return url_for("recognition_list", words=found[0]["number"]) if found else None


def check_upload() -> Any:
    """The report on an uploaded file, or the state of the voucher whose QR code a picture shows."""
    chosen = [one for one in request.files.values() if one.filename]
    name, data = read_upload(chosen[0] if chosen else None, limit=VERIFY_BYTES_MAX)
    if kind_of(data) == "image":
        number, digest = vouchers_in(read_qr(name, data))
        return redirect(url_for("voucher_state", number=number, digest=digest.hex()))
    desk = door.the_desk()
    with desk.home.reading() as session:
        report = proofs.verify_bytes(desk, session, data, name)
        theirs = their_voucher(session, report)
    return render_template(
        "verify_report.html", report=report.as_dict(translate), name=name, theirs=theirs,
        now=theirs["stands"] if theirs else stands(report),
    )  # fmt: skip


def their_voucher(session: Session, report: Report) -> dict[str, Any] | None:
    """Whose the voucher is that was checked under another registry's trust file; how it stands here."""
    origin = next((dict(one.facts) for one in report.steps if "fingerprint" in one.facts), None)
    if origin is None:
        return None
    number = next((one.facts["number"] for one in report.steps if "number" in one.facts), "")
    rows = [
        row for row in recognition.of_number(session, str(number)) if row.origin == origin["origin"]
    ]
    told = None
    for row in rows:
        word = recognition.standings(session, [row], door.the_desk().now)[row.id]["now"]
        told = {"number": row.number, "recognition_id": row.id, "word": word}
    return {**origin, "stands": told}


def vouchers_in(texts: list[str]) -> tuple[str, bytes]:
    """Number and digest of the one voucher among the QR codes of a picture; raises Invalid."""
    found, other = set(), Invalid("")
    for text in texts:
        try:
            found.add(parse_qr_text(text))
        except Invalid as error:
            other = error
    if not found:
        raise other
    if len(found) > 1:
        raise Invalid("The picture shows {count} vouchers: photograph one.", count=len(found))
    return found.pop()


def stands(report: Report) -> dict[str, Any] | None:
    """How the voucher that a report is on stands in the registry's books now, if there is one."""
    for step in report.steps:
        if step.name == "voucher" and "number" in step.facts:
            keys = {"number": str(step.facts["number"])}
            try:
                found = door.the_desk().ask(proofs.state, door.who, keys, {})
            except LedgerError:
                return None
            return {**found, "word": word_of(found)}
    return None


def word_of(state: Mapping[str, Any]) -> str:
    """The one word for how a voucher stands: a freeze stops a valid one."""
    return "frozen" if state["frozen"] and state["word"] == "valid" else str(state["word"])


@door.guard(proofs.state)
def voucher_state(number: str) -> Any:
    """The public page of a voucher; with `?digest=`, whether that is the digest recorded."""
    given = {name: value for name, value in request.args.items() if name == "digest"}
    try:
        shown = door.the_desk().ask(proofs.state, door.who, {"number": number}, given)
    except LedgerError as error:
        theirs = recognised_page(number, given.get("digest", ""))
        return redirect(theirs) if theirs else verify_page(number, error)
    if shown["digest_fits"] is False:
        theirs = recognised_page(
            number, given["digest"]
        )  # the same number, given by another registry
        if theirs:
            return redirect(theirs)
    word = word_of(shown)
    return render_template(
        "voucher_state.html", shown=shown, word=word, given=given.get("digest", ""),
        namesakes=recognised(shown["number"]),
        tone=TONES.get(word, "bad") if shown["digest_fits"] is not False else "bad",
    )  # fmt: skip


@door.guard(proofs.state)
def voucher_qr(number: str) -> Response:
    """The QR code of a voucher, as on its printed form."""
    shown = door.the_desk().ask(proofs.state, door.who, {"number": number}, {})
    drawn = qr_svg(qr_text(shown["number"], digest_bytes(shown["digest"])))
    return Response(drawn, content_type="image/svg+xml")


@door.guard("page.read")
def verifier_page() -> Response:
    """The page that checks documents on the reader's own machine; with `?download=1` a file to keep."""
    answer = Response(read_page(), content_type="text/html; charset=utf-8")
    if "download" in request.args:
        answer.headers["Content-Disposition"] = f"attachment; filename={PAGE_NAME}"
    return answer


# Its script and style stand in it; what the other pages may load, it may not.
verifier_page.talisman_view_options = {
    "content_security_policy": f"{content_policy(read_page())}; frame-ancestors 'none'"
}


# -- the log, the table of permissions, the API's page ---------------------------------------------


@door.guard(proofs.log_state)
def log_page() -> str:
    """The log and its checkpoints."""
    desk = door.the_desk()
    state = desk.ask(proofs.log_state, door.who, {}, {})
    start = request.args.get("start", "")
    first = max(0, state["tree_size"] - ENTRIES_SHOWN)
    if start.isascii() and start.isdecimal() and len(start) < 15:
        first = int(start)
    found = desk.ask(proofs.entries, door.who, {}, {"start": first, "limit": ENTRIES_SHOWN})
    return render_template("log.html", state=state, entries=found, first=first, step=ENTRIES_SHOWN)


def titles_of(verb: str) -> list[str]:
    """What a verb allows, by the titles of its deeds and questions."""
    things = (thing for table in (DEEDS, QUESTIONS) for thing in table.values())
    found = [thing.title for thing in things if thing.verb == verb] or [VERBS[verb]]
    # “Vouchers” says “Voucher” as well.
    return [one for one in found if not any(other == f"{one}s" for other in found)]


def group_of(verb: str) -> str:
    """The heading under which a verb stands."""
    return HEADINGS.get(verb.partition(".")[0], FOR_ONESELF)


@door.guard("page.read")
def swagger_file(filename: str) -> Any:
    """A file of Swagger UI, from the package that carries it."""
    folder = Path(next(iter(import_module("flask_swagger_ui").__path__))) / "dist"
    return send_from_directory(folder, filename)
