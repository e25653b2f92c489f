"""Other registries 互认登记机构 and their recognised vouchers 互认凭证, on the command line."""

from pathlib import Path
from typing import Any

import click

from ledger import peers
from ledger.errors import Invalid, LedgerError, fill
from ledger.proof.encoding import digest_text, parse
from ledger.proof.report import Report, Step, print_report
from ledger.proof.verify import FILE_BYTES_MAX, read_file
from ledger.recognition import NotRecognised, contents
from webapp import following
from webapp.cli import main
from webapp.cli.run import Run, as_member, as_sole_member, print_json, with_home
from webapp.deeds import Deed
from webapp.deeds.all import recognition
from webapp.language import tr, translate

FILE = click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))


def handed_in(run: Run, path: Path) -> dict[str, Any]:
    """What a body says of a file that a deed is going to read."""
    _ = run.home.config
    data = read_file(str(path), FILE_BYTES_MAX)
    run.home.hand_in(data)
    return {"digest": digest_text(data), "name": path.name, "size_bytes": len(data)}


@main.group()
def peer() -> None:
    """Other registries whose vouchers are recognised 互认登记机构."""


@peer.command("propose")
@FILE
@click.option("--name", "registry", required=True, help="what the registry is called")
@as_sole_member
@with_home
def peer_propose(run: Run, login: str | None, path: Path, registry: str) -> None:
    """Propose another registry by its trust file (registrar)."""
    body = {**handed_in(run, path), "registry": registry}
    answer = run.do(recognition.propose, run.sole(login, "registrar"), body)
    run.say(answer, recognition.propose.says)


@peer.command("admit")
@click.argument("peer_id", metavar="PEER")
@click.option("--fingerprint", required=True,
              help="the end of its trust file's SHA-256, as the registry told you")  # fmt: skip
@as_member
@with_home
def peer_admit(run: Run, login: str, peer_id: str, fingerprint: str) -> None:
    """Admit a registry (another person than who proposed it); PEER is its id or its log's origin."""
    body = {"fingerprint": fingerprint}
    run.say(run.do(recognition.admit, login, body, peer_id=peer_id), recognition.admit.says)


@peer.command("reach")
@click.argument("peer_id", metavar="PEER")
@click.option("--site", default="", help="where its status list is fetched; none: it comes by file")
@click.option("--rpc", default="", help="a node of its chain that you trust")
@as_sole_member
@with_home
def peer_reach(run: Run, login: str | None, peer_id: str, **body: str) -> None:
    """Say where a registry is asked (administrator)."""
    answer = run.do(recognition.reach, run.sole(login, "administrator"), body, peer_id=peer_id)
    run.say(answer, recognition.reach.says)


def _decision(deed: Deed, help_text: str) -> None:
    @peer.command(deed.move, help=help_text)
    @click.argument("peer_id", metavar="PEER")
    @click.option("--reason", required=True, help="the ground")
    @as_member
    @with_home
    def command(run: Run, login: str, peer_id: str, reason: str) -> None:
        run.say(run.do(deed, login, {"reason": reason}, peer_id=peer_id), deed.says)


_decision(recognition.reject, "Reject a proposed trust file.")
_decision(recognition.suspend, "For now do not rely on a registry's vouchers.")
_decision(recognition.resume, "Rely on a registry again (another person than who suspended it).")
_decision(recognition.end, "End the recognition of a registry.")


@peer.command("list")
@with_home
def peer_list(run: Run) -> None:
    """List the registries (JSON)."""
    print_json(run.ask(recognition.list_peers, None, {"limit": "200"})["items"])


@main.command("recognise")
@FILE
@click.option("--status", type=click.Path(path_type=Path, dir_okay=False),
              help="the registry's status list, where the file holds none")  # fmt: skip
@as_member
@with_home
def recognise(run: Run, login: str, path: Path, status: Path | None) -> None:
    """Recognise a voucher of an admitted registry: its file, bundle or package (registrar, exchange)."""
    body = handed_in(run, path)
    if status is not None:
        body["status"] = read_file(str(status), recognition.STATUS_TEXT_MAX).decode(
            "utf-8", "replace"
        )
    try:
        answer = run.do(recognition.recognise, login, body)
    except NotRecognised as error:
        if not run.as_json:
            print_report(error.report, translate)
        raise
    if not run.as_json:
        steps = [Step(s["name"], s["outcome"], s["template"], s["facts"]) for s in answer["report"]]
        print_report(Report(steps=steps), translate)
    run.say(answer, recognition.recognise.says)


@main.group("recognition")
def recognition_() -> None:
    """Recognised vouchers of other registries 互认凭证."""


@recognition_.command("list")
@click.option("--words", default="", help="only those in which these words stand")
@with_home
def recognition_list(run: Run, words: str) -> None:
    """List the recognised vouchers and how each stands now (JSON)."""
    print_json(
        run.ask(recognition.list_recognitions, None, {"limit": "200", "words": words})["items"]
    )


@recognition_.command("show")
@click.argument("recognition_id", metavar="ID")
@with_home
def recognition_show(run: Run, recognition_id: str) -> None:
    """Show a recognised voucher (JSON)."""
    print_json(run.ask(recognition.show, recognition_id=recognition_id))


@recognition_.command("follow")
@click.option("--status", "path", type=click.Path(path_type=Path, dir_okay=False),
              help="a status list, or a bundle with one; without it each registry is asked")  # fmt: skip
@as_sole_member
@with_home
def recognition_follow(run: Run, login: str | None, path: Path | None) -> None:
    """Learn how the recognised vouchers stand: from a file, or by asking each registry now."""
    if path is not None:
        body = handed_in(run, path)
        origin = _origin(read_file(str(path), FILE_BYTES_MAX))
        answer = run.do(recognition.follow, run.sole(login, "registrar"), body, peer_id=origin)
        run.say(answer, recognition.follow.says)
        return
    _ = run.home.config
    found = []
    for one in run.ask(recognition.list_peers, None, {"limit": "200", "state": "admitted"})[
        "items"
    ]:
        count = following.visit(run.home, one["origin"])
        with run.home.reading() as session:
            problem = peers.visit_of(session, one["origin"]).problem
        found.append({"count": count, "origin": one["origin"], "problem": problem})
    if run.as_json:
        print_json(found)
        return
    for told in found:
        click.echo(tr("{origin}: {count} recognised vouchers changed.", **told))
        if told["problem"]:
            click.echo(
                "  " + fill(translate(told["problem"]["template"]), told["problem"]["facts"])
            )


def _origin(data: bytes) -> str:
    """Of which registry a status list, or the voucher beside one, says it is."""
    try:
        named = parse(data, "The status list")["id"]
        return str(named).removeprefix("urn:shuzheng:").removesuffix(":status")
    except (LedgerError, KeyError, TypeError):
        pass
    try:
        return str(contents(data)[0]["credentialSubject"]["log"])
    except LedgerError:
        raise Invalid("The file holds no status list.") from None
