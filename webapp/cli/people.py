"""Parties, members, and keys that belong to people."""

import os
from pathlib import Path

import click
from sqlalchemy.orm import Session

from ledger import parties
from ledger.chain import keys
from ledger.errors import NotAuthenticated
from ledger.parties import Actor
from webapp.cli import main
from webapp.cli.run import Run, as_member, with_home


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
def party_add(run: Run, login: str, name: str, uscc: str, kind: str) -> None:
    """Add an organisation (administrator)."""

    def act(session: Session, actor: Actor) -> dict[str, object]:
        parties.may(actor, "party.add")
        added = parties.add_party(
            session, actor.member_id, run.now, kind=kind, name=name, uscc=uscc
        )
        return {"id": added.id, "name": added.name, "uscc": added.uscc}

    run.say(run.deed(login, act), "Party {name} ({uscc}) is entered.")


@member.command("add")
@click.option("--party", "uscc", required=True, help="the party's social credit code")
@click.option("--login", "new_login", required=True)
@click.option("--name", "display_name", required=True)
@click.option("--role", "roles", required=True, multiple=True, type=click.Choice(parties.ROLES))
@click.option("--signing-address", help="the address of a checker's own key")
@as_member
@with_home
def member_add(
    run: Run, login: str, uscc: str, new_login: str, display_name: str, roles: tuple[str, ...],
    signing_address: str | None,
) -> None:  # fmt: skip
    """Add a person to an organisation (administrator)."""

    def act(session: Session, actor: Actor) -> dict[str, object]:
        parties.may(actor, "member.add")
        added = parties.add_member(
            session, actor.member_id, run.now, party=parties.party_by_uscc(session, uscc),
            login=new_login, display_name=display_name, roles=roles,
            signing_address=signing_address,
        )  # fmt: skip
        return {"id": added.id, "login": new_login, "roles": ", ".join(added.roles)}

    run.say(run.deed(login, act), "Member {login} is entered with the roles {roles}.")


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
