"""Parties, members, and keys that belong to people."""

import os
from pathlib import Path

import click

from ledger import parties
from ledger.chain import keys
from ledger.errors import NotAuthenticated
from webapp import accounts
from webapp.cli import main
from webapp.cli.run import Run, as_member, with_home
from webapp.deeds.all import people
from webapp.deeds.subjects import member_by_login


@main.group()
def party() -> None:
    """Organisations 参与方."""


@main.group()
def member() -> None:
    """People who act for a party 成员."""


@main.group()
def key() -> None:
    """Keys that belong to people, on their own machines 个人密钥."""


@party.command("add")
@click.option("--name", required=True)
@click.option("--uscc", required=True, help="unified social credit code 统一社会信用代码")
@click.option("--kind", required=True, type=click.Choice(parties.KINDS))
@as_member
@with_home
def party_add(run: Run, login: str, **body: str) -> None:
    """Add an organisation (administrator)."""
    run.say(run.do(people.add_party, login, body), people.add_party.says)


@member.command("add")
@click.option("--party", "uscc", required=True, help="the party's social credit code")
@click.option("--login", "new_login", required=True)
@click.option("--name", required=True)
@click.option("--role", "roles", required=True, multiple=True, type=click.Choice(parties.ROLES))
@click.option("--signing-address", default="", help="the address of a checker's own key")
@as_member
@with_home
def member_add(
    run: Run, login: str, uscc: str, new_login: str, name: str, roles: tuple[str, ...],
    signing_address: str,
) -> None:  # fmt: skip
    """Add a person to an organisation (administrator)."""
    body = {
        "login": new_login,
        "name": name,
        "roles": list(roles),
        "signing_address": signing_address,
    }
    run.say(run.do(people.add_member, login, body, uscc=uscc), people.add_member.says)


@member.command("change")
@click.argument("subject")
@click.option("--role", "roles", multiple=True, type=click.Choice(parties.ROLES))
@as_member
@with_home
def member_change(run: Run, login: str, subject: str, roles: tuple[str, ...]) -> None:
    """Set the roles of a member; without any he no longer acts (administrator)."""
    answer = run.do(people.change_member, login, {"roles": list(roles)}, login=subject)
    run.say(answer, people.change_member.says)


@member.command("reset")
@click.argument("subject")
@with_home
def member_reset(run: Run, subject: str) -> None:
    """Give a member a new one-time password, at the console of the house, also the administrator."""
    _ = run.home.config
    password = accounts.one_time_password()
    hashed = accounts.hash_password(password)
    with run.home.deed(run.now) as session:
        found = member_by_login(session, subject)
        accounts.store_password(session, found.id, hashed, run.now, must_change=True)
    run.say({"login": subject, "one_time_password": password}, people.reset_password.says)


@key.command("new")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passphrase-variable", default="SHUZHENG_KEY_PASSPHRASE", show_default=True)
@with_home
def key_new(run: Run, path: Path, passphrase_variable: str) -> None:
    """Make a keystore of your own and print its address; the key never leaves the file."""
    passphrase = os.environ.get(passphrase_variable)
    if not passphrase:
        raise NotAuthenticated("No passphrase: set {name}.", name=passphrase_variable)
    address = keys.create_keystore(path, passphrase)
    run.say({"address": address, "path": str(path)}, "{address} (keystore {path})")
