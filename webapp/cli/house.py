"""Running the house: init, node, worker, seal, anchor, audit, demo."""

import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import structlog

from ledger import parties, party_codes, revenue, settings
from ledger.chain import keys, node, outbox
from ledger.chain.gateway import connect
from ledger.errors import ChainUnavailable, Conflict, LedgerError, Missing
from webapp import home as homes
from webapp import jobs, serve
from webapp.cli import main
from webapp.cli.proofs import open_worker
from webapp.cli.run import HOUSE, Run, print_json, progress_bar, shown, with_home
from webapp.deeds import Desk, background
from webapp.deeds.all import house, work
from webapp.home import Home
from webapp.language import tr, translate
from webapp.worker import Worker

NODE_START_S = 30
JOBS_LOOK_S = 0.5
CHAIN_LOOK_S = 0.25

STAGES = {
    "batches": "reading the batches",
    "chain": "comparing with the chain",
    "records": "deriving the records anew",
    "rows": "comparing the rows",
}

logger = structlog.get_logger()


@main.command("init")
@click.option("--origin", help="HOST/log, the log's name; made from the chain's genesis if absent")
@click.option("--checker", help="the address of the checker's own key (shuzheng key new)")
@click.option(
    "--administrator", default="admin", show_default=True, help="login of the first member"
)
@click.option("--organisation", default="数据登记机构", show_default=True)
@click.option(
    "--uscc", help="the registry's own social credit code; without it, nobody is entered yet"
)
@with_home
def init(
    run: Run, origin: str | None, checker: str | None, administrator: str, organisation: str,
    uscc: str | None,
) -> None:  # fmt: skip
    """Make a home: keys, chain, contracts, tables, and the first administrator."""
    made = make_home(
        run.home.path, run.passphrase(), run.now, origin=origin, checker=checker,
        administrator=administrator, organisation=organisation, uscc=uscc,
    )  # fmt: skip
    if checker is None:
        click.echo(
            tr(
                "Note: the checker's key was made here, so this machine could approve for him. In "
                "earnest give --checker the address of a key he made himself (shuzheng key new)."
            ),
            err=True,
        )
    run.say(
        {
            "home": str(made.path),
            "offline": str(made.path / "offline"),
            "origin": made.config.origin,
        },
        "The home {home} of the log {origin} is ready. Carry the keystores in {offline} to where they "
        "belong (docs: keys) and delete them here.",
    )


def make_home(
    path: Path,
    passphrase: str,
    now: datetime,
    *,
    uscc: str | None,
    origin: str | None = None,
    checker: str | None = None,
    administrator: str = "admin",
    organisation: str = "数据登记机构",
    demo: bool = False,
) -> Home:
    """`init`, step by step: after a crash it goes on, on a finished home it changes nothing."""
    if uscc is not None:
        party_codes.check_uscc(uscc)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not demo and (path / "demo" / "story.json").exists():
        raise Conflict("{path} is a demo home: give a real one another folder.", path=str(path))
    if (path / "config.json").exists():
        home = Home(path)
        home.keyring(passphrase)
        homes.migrate(home.engine)
    else:
        addresses = homes.make_keys(path, passphrase, checker=checker)
        external = os.environ.get("CHAIN_RPC_URL")
        if external:
            gateway = connect(external, token=os.environ.get("CHAIN_RPC_TOKEN"))
            deployment = homes.deploy(path, gateway, addresses, passphrase)
        else:
            homes.make_chain(path, addresses, now)
            with running_node(path):
                url, token = homes.node_address(path)
                gateway = connect(url, token=token)
                deployment = homes.deploy(path, gateway, addresses, passphrase)
        home = homes.finish_init(path, deployment, origin, now, demo=demo, embedded=not external)
    _ = home.config
    if uscc is None:
        return home
    with home.deed(now) as session:
        party = parties.add_party(
            session, "system", now, kind="public_institution", name=organisation, uscc=uscc
        )
        parties.add_member(
            session, "system", now, party=party, login=administrator, display_name=administrator,
            roles=["administrator"],
        )  # fmt: skip
    return home


@main.command("node")
@click.option("--port", default=0, help="0 takes a free one")
@click.option("--parent-pid", type=int, help="end when this process is gone")
@with_home
def node_command(run: Run, port: int, parent_pid: int | None) -> None:
    """Run the embedded chain's node on loopback until it is stopped (Ctrl-C)."""
    path = run.home.path
    token_path = path / "node.token"
    if not token_path.exists():
        raise ChainUnavailable(
            "{path} has no embedded chain: run `shuzheng init --home {path}` first.", path=str(path)
        )

    if parent_pid is not None:
        serve.end_with(parent_pid)

    def ready(url: str) -> None:
        known = {"parent_pid": parent_pid, "pid": os.getpid(), "url": url}
        keys.write_durably(path / "node.json", known)
        run.say({"path": str(path), "url": url}, "The node of {path} listens on {url}.")

    try:
        node.serve(
            path / "chain.db", token=token_path.read_text().strip(), on_ready=ready, port=port,
            parent_pid=parent_pid,
        )  # fmt: skip
    finally:
        _forget_node(path)


def _forget_node(path: Path) -> None:
    """Remove node.json if it is ours."""
    if serve.known_node(path).get("pid") == os.getpid():
        (path / "node.json").unlink(missing_ok=True)


@contextmanager
def running_node(path: Path) -> Iterator[str]:
    """The home's node, running: one already there, else one of our own until the block ends."""
    serve.await_orphan(path)
    try:
        url, token = homes.node_address(path)
        connect(url, token=token, timeout_s=2).identity()
        yield url
        return
    except LedgerError:
        pass
    (path / "node.json").unlink(missing_ok=True)
    process = serve.spawn("node", path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield _wait_for_node(path, process)
    finally:
        serve.end(process)
        assert process.stderr is not None
        process.stderr.close()


def _wait_for_node(path: Path, process: "subprocess.Popen[bytes]") -> str:
    for _ in range(NODE_START_S * 20):
        if process.poll() is not None:
            assert process.stderr is not None
            said = process.stderr.read().decode("utf-8", "replace").strip().splitlines()
            raise ChainUnavailable(
                "The node did not start: {cause}", cause=said[-1] if said else process.returncode
            )
        if serve.known_node(path).get("pid") == process.pid:
            return homes.node_address(path)[0]
        time.sleep(0.05)
    raise ChainUnavailable("The node did not start within {limit} s.", limit=NODE_START_S)


@main.command("setting")
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.option("--as", "login", help="the administrator who changes it")
@with_home
def setting(run: Run, name: str | None, value: str | None, login: str | None) -> None:
    """Show the settings of the house, or change one (administrator)."""
    if name and value is not None:
        answer = run.do(
            house.change_setting, run.sole(login, "administrator"), {"value": value},
            setting_name=name,
        )  # fmt: skip
        run.say(answer, house.change_setting.says)
        return
    found = run.ask(house.show_settings)["items"]
    found = [one for one in found if name in (None, one["name"])]
    if not found:
        raise Missing("There is no setting {name}; there are: {names}.", name=name,
                      names=", ".join(settings.CHOICES))  # fmt: skip
    if run.as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one['name']} = {one['value']}   {tr(one['title'])}")


@main.command("ladder")
@click.option("--as", "login", help="the member whose things are shown; else all")
@with_home
def ladder(run: Run, login: str | None) -> None:
    """Show what is on its way: recorded, sealed, anchored, confirmed; waiting, sent, effective, alarm."""
    found = run.ask(work.ladder, login)
    if run.as_json:
        print_json(found)
        return
    for one in found["items"]:
        chain = f", {tr('on chain: {state}', state=tr(one['on_chain']))}" if one["on_chain"] else ""
        problem = outbox.told(one["reason"], translate)
        told = f": {problem}" if problem else ""
        click.echo(f"{tr(one['noun'])} {one['number']}  {tr(one['rung'])}{chain}{told}")
    if not found["items"]:
        click.echo(tr("Everything is confirmed."))


@main.command("worker")
@click.option("--once", is_flag=True, help="stop when nothing is left to do")
@click.option(
    "--retry", is_flag=True, help="try again what raised an alarm, after mending its cause"
)
@click.option("--parent-pid", type=int, help="end when this process is gone")
@with_home
def worker_command(run: Run, once: bool, retry: bool, parent_pid: int | None) -> None:
    """Seal, anchor, carry acts to the chain, do the site's jobs, until stopped or, with --once, done."""
    if parent_pid is not None:
        serve.end_with(parent_pid)
    stop = threading.Event()
    if not once:
        threading.Thread(target=do_jobs, args=(run, stop), name="jobs", daemon=True).start()
    worker = open_worker(run) if parent_pid is None else _open_when_it_answers(run, stop)
    if worker is None:
        return
    if retry:
        with run.home.deed(run.now) as session:
            outbox.retry(session)
    if once:
        worker.drain()
        with run.home.reading() as session:
            found = outbox.alarms(session)
            for act in found:
                click.echo(
                    f"{act.contract}.{act.function} {act.subject_id}: "
                    f"{outbox.told(act.problem, translate)}",
                    err=True,
                )
            unbooked = revenue.unbooked(session)
            for statement, act in unbooked:
                click.echo(
                    tr("Statement {number} is not booked: {why}", number=statement.number,
                       why=outbox.told(act.problem, translate)),
                    err=True,
                )  # fmt: skip
            run.say({"alarms": len(found)}, "Nothing is left to do; {alarms} alarms.")
        if found or unbooked:
            raise SystemExit(1)
        return
    _heed_signals(stop)
    worker.run(stop)


def do_jobs(run: Run, stop: threading.Event) -> None:
    """Do the site's long work until `stop`; a job cut off is taken up again when its lease is over."""
    desk = Desk(run.home, run.passphrase)
    runner = jobs.Runner(run.home, partial(background.work, desk), homes.clock)
    while not stop.is_set():
        try:
            if not runner.run_one():
                stop.wait(JOBS_LOOK_S)
        except LedgerError as error:  # the database is away: it will come back
            logger.warning("waiting", cause=error.sentence)
            stop.wait(JOBS_LOOK_S)


def _heed_signals(stop: threading.Event) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())


def _open_when_it_answers(run: Run, stop: threading.Event) -> Worker | None:
    """The worker of this home, once its chain's node, which was begun beside it, answers."""
    _heed_signals(stop)
    keyring = run.home.keyring(run.passphrase())
    tries = 0
    while not stop.wait(CHAIN_LOOK_S if tries else 0):
        try:
            return Worker(run.home, keyring, run.home.gateway())
        except ChainUnavailable as error:
            tries += 1
            if tries % 40 == 0:
                logger.warning("waiting", cause=error.sentence)
    return None


@main.command("seal")
@with_home
def seal(run: Run) -> None:
    """Sign a checkpoint over everything recorded; needs no chain."""
    _ = run.home.config
    with run.home.deed(run.now) as session:
        answer = house.seal.act(run.desk, session, HOUSE)
    run.say(answer, house.seal.says)


@main.command("anchor")
@with_home
def anchor(run: Run) -> None:
    """Seal, and carry everything to the chain, until the newest checkpoint is anchored."""
    open_worker(run).drain()
    with run.home.reading() as session:
        answer = house.anchor.act(run.desk, session, HOUSE)
    run.say(answer, house.anchor.says)


@main.command("audit")
@click.option("--offline", is_flag=True, help="do not compare with the chain")
@click.option("--again", is_flag=True, help="begin anew, even if an audit was broken off")
@click.option(
    "--trust", type=click.Path(path_type=Path, dir_okay=False),
    help="the auditor's own trust file: keys, contracts and chain are taken from it, not from the home",
)  # fmt: skip
@click.option("--rpc", help="the auditor's own node, with --trust")
@with_home
def audit(run: Run, offline: bool, again: bool, trust: Path | None, rpc: str | None) -> None:
    """Re-derive everything from payloads and compare it, also with the chain; exit 1 on differences."""
    from webapp import audits  # noqa: PLC0415 - only where one audits

    with progress_bar() as bar:
        task = bar.add_task(tr("auditing"), total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=tr(STAGES[stage]), completed=done, total=total or None)

        if trust is None:
            _ = run.home.config
            answer = house.audited(run.desk, report, HOUSE, offline=offline, again=again)["found"]
        else:
            ground = audits.ground_of_trust(trust, run.home, rpc, offline=offline)
            # Beside the trust file, not in the home: who could write there could change the trust itself.
            kept = trust.with_name(trust.name + ".audit.db")
            answer = audits.audit(run.home, ground, run.now, kept, report, again=again)
    if not run.as_json and answer["continued"]:
        parts = ", ".join(shown(datetime.fromisoformat(at)) for at in answer["parts"])
        click.echo(
            tr("Continued from where it was broken off; its parts began at {parts}.", parts=parts)
        )
    run.say(answer, house.audit.says)
    if not run.as_json:
        _tell_audit(answer)
    if answer["count"]:
        raise SystemExit(1)


def _tell_audit(answer: dict[str, Any]) -> None:
    """What was covered, and each difference in words."""
    from webapp import audits  # noqa: PLC0415 - only where one audits

    if answer["offline"]:
        click.echo(
            tr("Not compared with the chain: somebody who holds our keys could have rewritten all.")
        )
    else:
        click.echo(tr("The contract holds the first {anchored} records; {on_way} acts are on their way.",
                      **answer))  # fmt: skip
    for number, difference in enumerate(answer["differences"], start=1):
        one = audits.told(difference)
        click.echo(f"{number}. {one['place']}: {one['field']}")
        click.echo(f"   {one['meaning']}")
        click.echo("   " + tr("as it stands:   {value}", value=one["known"]))
        click.echo("   " + tr("as it must be:  {value}", value=one["derived"]))
    more = answer["count"] - len(answer["differences"])
    if more > 0:
        click.echo(tr("… and {count} more.", count=more))


def demo_passphrase(path: Path) -> str:
    """The demo home's own passphrase, made once and kept beside it (a demo home only)."""
    kept = path / "demo" / "passphrase"
    if not kept.exists():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys.write_durably(kept, secrets.token_urlsafe(24).encode())
    return kept.read_text().strip()
