"""Parties, members, and keys that belong to people."""

import os
from pathlib import Path

import click

from ledger import parties, rights
from ledger.chain import keys
from ledger.errors import Invalid, NotAuthenticated
from webapp import accounts
from webapp import home as homes
from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, with_home
from webapp.deeds.all import people, stewards, successions
from webapp.deeds.subjects import member_by_login
from webapp.language import tr


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


@party.command("individual")
@as_member
@with_home
def party_individual(run: Run, login: str) -> None:
    """Enter a natural person as a data subject, by a code made here and no name (administrator)."""
    run.say(run.do(people.add_individual, login), people.add_individual.says)


@member.command("add")
@click.option("--party", "uscc", required=True, help="the party's social credit code")
@click.option("--login", "new_login", required=True)
@click.option("--name", required=True)
@click.option("--role", "roles", required=True, multiple=True, type=click.Choice(rights.ROLES))
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
@click.option("--role", "roles", multiple=True, type=click.Choice(rights.ROLES))
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


@key.command("admit")
@click.argument("address")
@click.option("--keystore", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="the admin key's")  # fmt: skip
@click.option("--withdraw", is_flag=True, help="its signatures count no more")
@click.option("--passphrase-variable", default="SHUZHENG_ADMIN_PASSPHRASE", show_default=True)
@with_home
def key_admit(
    run: Run, address: str, keystore: Path, passphrase_variable: str, *, withdraw: bool
) -> None:
    """Let the contract count a checker's signatures: what a second checker needs (the admin key)."""
    passphrase = os.environ.get(passphrase_variable)
    if not passphrase:
        raise NotAuthenticated("No passphrase: set {name}.", name=passphrase_variable)
    checker = keys.check_address(address)
    admin = keys.open_keystore(keystore, passphrase)
    is_new = homes.set_checker(run.home, admin, checker, counts=not withdraw)
    run.say(
        {"address": checker, "counts": not withdraw, "new": is_new},
        "The contract counts signatures by {address} no more."
        if withdraw
        else "The contract counts signatures by {address}: enter it as its checker's signing address.",
    )


# ---------------------------------------------------------------- renamed, merged, split

GROUND = click.option("--ground", required=True, help="the document that ordered it 依据")
FROM = click.option("--from", "effective_on", required=True, help="day from which it holds")


@party.command("rename")
@click.argument("uscc")
@click.option("--name", required=True)
@GROUND
@FROM
@as_member
@with_home
def party_rename(run: Run, login: str, uscc: str, **body: str) -> None:
    """Give an organisation a new name (administrator) 更名."""
    run.say(run.do(successions.rename, login, body, uscc=uscc), successions.rename.says)


@party.command("merge")
@click.argument("uscc")
@click.option("--into", required=True, help="the successor's social credit code")
@GROUND
@FROM
@as_member
@with_home
def party_merge(run: Run, login: str, uscc: str, **body: str) -> None:
    """Merge an organisation into another one, which then holds what it held (administrator) 合并."""
    run.say(run.do(successions.merge, login, body, uscc=uscc), successions.merge.says)


@party.command("split")
@click.argument("uscc")
@click.option("--main", "main_heir", required=True, help="who gets what is not named below")
@click.option("--other", "others", required=True, multiple=True, help="another successor's code")
@click.option("--give", "given", multiple=True, metavar="NOUN:NUMBER=USCC",
              help="who gets a thing, such as resource:307001001/000001=1100…")  # fmt: skip
@GROUND
@FROM
@as_member
@with_home
def party_split(
    run: Run, login: str, uscc: str, main_heir: str, others: tuple[str, ...], given: tuple[str, ...],
    **body: str,
) -> None:  # fmt: skip
    """Split an organisation among others (administrator) 分立."""
    who_gets = []
    for one in given:
        thing, _, to = one.rpartition("=")
        noun, _, number = thing.partition(":")
        if not (noun and number and to):
            raise Invalid("{text} is not NOUN:NUMBER=USCC.", text=one)
        who_gets.append({"noun": noun, "number": number, "to": to})
    answer = run.do(
        successions.split, login,
        {**body, "main": main_heir, "others": list(others), "who_gets": who_gets}, uscc=uscc,
    )  # fmt: skip
    run.say(answer, successions.split.says)


@main.group()
def steward() -> None:
    """Data stewards of an organisation 首席数据官、数据专员."""


@steward.command("name")
@click.argument("uscc")
@click.option("--login", "who", required=True, help="a member of the organisation")
@click.option("--post", required=True, type=click.Choice(list(stewards.POSTS)))
@click.option("--from", "from_on", required=True, help="first day")
@as_member
@with_home
def steward_name(run: Run, login: str, uscc: str, who: str, post: str, from_on: str) -> None:
    """Give a member a post (administrator, or a provider of the organisation)."""
    body = {"login": who, "post": post, "from_on": from_on}
    run.say(run.do(stewards.name, login, body, uscc=uscc), stewards.name.says)


@steward.command("relieve")
@click.argument("steward_id")
@click.option("--until", "until_on", required=True, help="last day")
@as_member
@with_home
def steward_relieve(run: Run, login: str, steward_id: str, until_on: str) -> None:
    """End a post (administrator, or a provider of the organisation)."""
    answer = run.do(stewards.relieve, login, {"until_on": until_on}, steward_id=steward_id)
    run.say(answer, stewards.relieve.says)


@steward.command("list")
@click.argument("uscc")
@with_home
def steward_list(run: Run, uscc: str) -> None:
    """Who has or had a post in an organisation."""
    found = run.ask(stewards.list_stewards, uscc=uscc)["items"]
    if run.as_json:
        print_json({"items": found})
        return
    for one in found:
        until = one["until_on"] or ""
        post = tr(stewards.POSTS[one["post"]])
        click.echo(
            f"{one['id']}  {post}  {one['name']} ({one['login']})  {one['from_on']} – {until}"
        )
    if not found:
        click.echo(tr("Nobody is named yet."))
