"""Every verb of a voucher on a real chain: it takes effect, the audit agrees, and sees what is forged."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from ledger import authorisations, handoff, log, motions, papers, uses, voucher_moves, vouchers
from ledger.catalogue import Resource
from ledger.chain import outbox
from ledger.errors import Conflict
from ledger.proof import credential as credentials
from ledger.proof import verify as verifier
from ledger.proof.chain_node import Node
from ledger.proof.encoding import canonical, digest_bytes
from ledger.proof.trust import parse_trust
from ledger.registration import Registration
from ledger.supervision import Audit, Difference
from ledger.vouchers import Issuer, Voucher
from tests.conftest import BASIS, HOLDER
from tests.ledger.chain.site import PASSPHRASE, Site
from webapp.audits import ground_of_home
from webapp.cli.house import make_home, running_node
from webapp.home import Home, clock

OTHER = "0x4444444444444444444444444444444444444444"
FIELDS = ("holder", "valid_until", "version", "state", "flags", "kind", "rights", "digest",
          "max_uses", "used")  # fmt: skip
VALID_WORD, NOT_VALID = verifier.VALID, verifier.NOT_VALID
VALID, SUSPENDED, REVOKED, CANCELLED, SUPERSEDED = 1, 2, 3, 4, 5


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A home of its own with a running node."""
    path = tmp_path_factory.mktemp("moves") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        make_home(path, PASSPHRASE, clock() - timedelta(days=501), uscc="12000000DEM000001E")
        with running_node(path):
            home = Home(path)
            _ = home.config
            yield Site(home)
            home.engine.dispose()


def issuer(site: Site) -> Issuer:
    return Issuer(site.home.config.origin, site.keyring.signer("credential"))


def on_chain(site: Site, voucher: Voucher) -> dict[str, Any]:
    held = site.chain.call(
        "VoucherRegistry", site.places["VoucherRegistry"], "get", site.key(voucher)
    )
    return dict(zip(FIELDS, held, strict=True))


def audit(site: Site) -> list[Difference]:
    with site.reading() as session:
        work = Audit(session, ground_of_home(site.home, site.chain), clock())
        work.run()
        found = list(work.findings.differences())
        work.findings.close(done=True)
    return found


def fresh(site: Site, voucher: Voucher) -> Voucher:
    with site.reading() as session:
        return session.get_one(Voucher, voucher.id)


def settle(site: Site) -> None:
    """Everything is carried to the chain, nothing is an alarm, and the audit finds no difference."""
    site.worker().drain()
    with site.reading() as session:
        assert [outbox.told(act.problem) for act in outbox.alarms(session)] == []
    assert audit(site) == []


def file_of(site: Site, voucher: Voucher) -> bytes:
    """The bundle handed out for a voucher as it stands."""
    with site.reading() as session:
        row = session.get_one(Voucher, voucher.id)
        return canonical(handoff.voucher_bundle(session, row, site.home.config.deployment))


def verdict(site: Site, data: bytes, *, offline: bool = False) -> int:
    """What a verifier says who has the trust file and, offline, the newest status list."""
    with site.reading() as session:
        current = vouchers.current_status(session)
        assert current is not None
        listed = canonical(current.list_credential)
    report = verifier.verify(
        data, parse_trust(site.home.trust()), now=clock(), status=listed,
        node=None if offline else Node(site.home.node_url()),
    )  # fmt: skip
    return report.exit_code


def set_registration(site: Site, voucher: Voucher, **facts: Any) -> None:
    """The registration changes as the lead's verbs will change it: by a record of its own."""
    with site.deed() as session:
        row = session.get_one(Registration, voucher.registration_id)
        for name, value in facts.items():
            setattr(row, name, value)
        log.append(session, row, "registration.changed", "system")


def set_provider(site: Site, voucher: Voucher, party_id: str | None) -> None:
    """Whose data a voucher's registration uses."""
    with site.deed() as session:
        for one in session.get_one(Registration, voucher.registration_id).resource_ids:
            row = session.get_one(Resource, one)
            row.provider_id = party_id
            log.append(session, row, "resource.changed", "system")


def follow(site: Site, voucher: Voucher, what: str, **facts: Any) -> None:
    registration = site.get(Registration, voucher)
    site.do("rob", voucher_moves.follow, registration, what, issuer(site), reason="依法", **facts)


def test_a_renewed_voucher_is_good_until_later_under_the_same_number(site: Site) -> None:
    voucher = site.issue()
    settle(site)
    old = file_of(site, voucher)
    assert verdict(site, old) == verdict(site, old, offline=True) == VALID_WORD
    later = voucher.valid_until + timedelta(days=300)
    set_registration(site, voucher, valid_until=later)
    follow(site, voucher, "renewed")
    settle(site)
    held, row = on_chain(site, voucher), fresh(site, voucher)
    assert (held["state"], held["version"], held["valid_until"]) == (VALID, 2, later.timestamp())
    assert held["digest"] == digest_bytes(row.digest) != digest_bytes(voucher.digest)
    assert (row.number, row.status_index) == (voucher.number, voucher.status_index)
    new = file_of(site, row)
    assert verdict(site, new) == verdict(site, new, offline=True) == VALID_WORD
    assert verdict(site, old) == NOT_VALID, "on chain there is another credential"


def test_a_transferred_voucher_has_another_holder_and_another_place_in_the_list(site: Site) -> None:
    voucher = site.issue()
    settle(site)
    old = file_of(site, voucher)
    follow(site, voucher, "transferred", holder=site.party("bank"), holder_address=OTHER)
    settle(site)
    held, row = on_chain(site, voucher), fresh(site, voucher)
    assert (held["holder"], held["state"]) == (OTHER, VALID)
    assert row.party_id == site.parties["bank"]
    with site.reading() as session:
        current = vouchers.current_status(session)
        assert current is not None
        words = [
            credentials.status_word(credentials.status_at(current.list_credential, index))
            for index in (voucher.status_index, row.status_index)
        ]
        names = vouchers.disclosures_of(session, row)
    assert words == ["superseded", "valid"]
    new = file_of(site, row)
    assert verdict(site, new) == verdict(site, new, offline=True) == VALID_WORD
    assert verdict(site, old) == verdict(site, old, offline=True) == NOT_VALID
    assert names["holder_name"]["value"] == site.party("bank").name
    for name, disclosure in names.items():
        withheld = row.credential["credentialSubject"]["withheld"][name]
        assert credentials.disclosure_digest(name, disclosure) == withheld


def test_a_split_puts_one_voucher_for_each_right_in_the_place_of_one(site: Site) -> None:
    voucher = site.issue()
    settle(site)
    motion = site.do("rita", motions.propose, voucher, "split", "分别流通")
    site.do("rob", motions.confirm, motion, issuer(site))
    row = fresh(site, voucher)
    assert row.successors is not None
    with site.reading() as session:
        parts = [vouchers.by_number(session, number) for number in row.successors]
    assert [part.rights for part in parts] == [["use"], ["operating"]]
    assert [part.predecessor for part in parts] == [voucher.number] * 2
    # A part may be suspended before the chain knows it: its act waits for the split.
    site.do("rita", vouchers.change, parts[0], "suspend", "核查", issuer(site).origin)
    settle(site)
    assert on_chain(site, voucher)["state"] == SUPERSEDED
    assert [on_chain(site, part)["state"] for part in parts] == [SUSPENDED, VALID]
    assert [on_chain(site, part)["rights"] for part in parts] == [2, 4]
    acts = [site.act(part.id) for part in parts]
    assert {act.transaction for act in acts} == {site.act(voucher.id, 2).transaction}
    assert all(act.raw is None for act in acts), "the successors' own acts send nothing"


def test_killed_amid_a_split_it_takes_effect_once(site: Site) -> None:
    voucher = site.issue()
    settle(site)
    site.do("rita", voucher_moves.supersede, voucher, "变更登记", issuer(site))
    worker = site.worker()
    worker.carry(clock())  # sent; the process dies before it sees the event
    (number,) = fresh(site, voucher).successors or [""]
    settle(site)
    with site.reading() as session:
        heir = vouchers.by_number(session, number)
    assert site.changes(heir) == [1]
    assert site.changes(voucher) == [1, 2]


def test_a_changed_registration_supersedes_its_vouchers_with_its_new_facts(site: Site) -> None:
    voucher = site.issue()
    settle(site)
    old = file_of(site, voucher)
    set_registration(site, voucher, title="改名后的产品", rights=["operating"])
    follow(site, voucher, "changed")
    settle(site)
    (number,) = fresh(site, voucher).successors or [""]
    with site.reading() as session:
        heir = vouchers.by_number(session, number)
    assert verdict(site, old) == verdict(site, old, offline=True) == NOT_VALID
    new = file_of(site, heir)
    assert verdict(site, new) == verdict(site, new, offline=True) == VALID_WORD
    assert heir.credential["credentialSubject"]["title"] == "改名后的产品"
    assert (on_chain(site, voucher)["state"], on_chain(site, heir)["rights"]) == (SUPERSEDED, 4)


def test_a_pledge_stands_on_chain_until_its_release(site: Site) -> None:
    voucher = site.issue()
    set_provider(site, voucher, site.parties["operator"])  # a company's own data
    site.do(
        "rita", voucher_moves.pledge, voucher, site.party("bank"), "质押合同", issuer(site).origin
    )
    settle(site)
    assert on_chain(site, voucher)["flags"] == 1
    site.do("rita", voucher_moves.release, voucher, "清偿", issuer(site).origin)
    settle(site)
    assert on_chain(site, voucher)["flags"] == 0
    set_provider(site, voucher, site.parties["bureau"])  # the town's resources are the same for all


def test_a_voucher_revoked_while_frozen_is_unfrozen_and_stays_revoked(site: Site) -> None:
    """The audit sees each step; the freeze is gone on chain before the registration has a new voucher."""
    voucher = site.issue()
    registered, origin = site.get(Registration, voucher), issuer(site).origin
    again = {
        "registration": registered, "holder": site.party("operator"), "holder_address": HOLDER,
        "origin": origin, "key": issuer(site).key,
    }  # fmt: skip
    site.do("gwen", vouchers.change, voucher, "freeze", "涉嫌造假", origin, BASIS)
    site.do("rita", vouchers.change, voucher, "revoke", "属实", origin)
    settle(site)
    held = on_chain(site, voucher)
    assert (held["state"], held["flags"], held["version"]) == (REVOKED, 2, 3)
    with pytest.raises(Conflict, match="is frozen by the regulator"):
        site.do("rita", vouchers.issue, **again)
    site.do("gwen", vouchers.change, voucher, "unfreeze", "已查明", origin, BASIS)
    second = site.do("rita", vouchers.issue, **again)
    settle(site)
    held = on_chain(site, voucher)
    assert (held["state"], held["flags"], held["version"]) == (REVOKED, 0, 4)
    assert site.changes(voucher) == [1, 2, 3, 4]
    assert on_chain(site, second)["state"] == VALID


def test_a_lost_key_is_replaced_by_another_of_the_same_holder(site: Site) -> None:
    voucher = site.issue()
    site.do("rita", voucher_moves.replace_key, voucher, OTHER, "密钥遗失", issuer(site).origin)
    site.worker().drain()
    held = on_chain(site, voucher)
    assert (held["holder"], held["digest"]) == (OTHER, digest_bytes(voucher.digest))
    assert HOLDER != OTHER


def test_uses_are_carried_in_one_act_a_round_and_the_withdrawal_ends_the_voucher(
    site: Site,
) -> None:
    voucher = site.issue()
    registered = site.get(Registration, voucher)
    site.now = clock()
    row = site.authorisation("consented", registered)
    allowed = site.do("rita", authorisations.issue, row, issuer(site))
    site.worker().drain()
    for n in range(2):
        site.do("olga", uses.count, allowed, scene="贷前审查", count=1, reference=f"R-{n}")
    site.worker().drain()
    held = on_chain(site, allowed)
    assert (held["used"], held["max_uses"], held["version"]) == (2, 3, 2)
    site.worker().drain()
    handed_out = file_of(site, allowed)
    assert verdict(site, handed_out) == verdict(site, handed_out, offline=True) == VALID_WORD
    printed = papers.voucher_pdf(json.loads(handed_out))
    assert papers.check_voucher_pdf(printed) == handed_out
    site.do("olga", uses.count, allowed, scene="贷前审查", count=1, reference="R-2")
    site.do("ida", authorisations.withdraw, row, issuer(site).origin)
    site.worker().drain()
    held = on_chain(site, allowed)
    assert (held["used"], held["state"]) == (3, CANCELLED), "what was counted stands on chain too"
    with site.reading() as session:
        kinds = [one.kind for one in log.history(session, allowed.id)]
    assert kinds == ["voucher.issued", "voucher.used", "voucher.used", "voucher.cancel"]
    assert audit(site) == []


@pytest.mark.parametrize("verb", ["renew", "addUses", "supersede", "replaceHolderKey"])
def test_what_nobody_recorded_is_found_on_chain(site: Site, verb: str) -> None:
    """Our own key misused: each event without its record is told by the audit."""
    site.now = clock() - timedelta(days=300)
    voucher = site.issue()
    if verb == "addUses":
        row = site.authorisation("consented", site.get(Registration, voucher),
                                 valid_until=voucher.valid_until)  # fmt: skip
        voucher = site.do("rita", authorisations.issue, row, issuer(site))
    settle_again(site)
    key = site.key(voucher)
    new = (b"\x66" * 31 + verb[:1].encode(), HOLDER, 2**33, 1, 2, 0, b"\x02" * 32, b"\x03" * 32)
    given: tuple[Any, ...] = {
        "renew": (2**34, b"\x02" * 32), "addUses": (1,), "supersede": ([new],),
        "replaceHolderKey": (OTHER,),
    }[verb]  # fmt: skip
    site.send_past_us("registrar", "VoucherRegistry", verb, key, 1, *given, b"\x05" * 32)
    site.worker().drain()
    found = {one.name for one in audit(site)}
    event = {"renew": "Renewed", "addUses": "UsesAdded", "supersede": "SucceededBy"}.get(verb)
    where = "0x" + key.hex()
    assert f"VoucherRegistry.Changed {where}" in found
    assert event is None or f"VoucherRegistry.{event} {where}" in found


def settle_again(site: Site) -> None:
    """Carry everything; what an earlier misuse left behind is known already."""
    site.worker().drain()
