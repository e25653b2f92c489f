"""Who bars the pledge of a voucher (质押): public bodies may not pledge or guarantee with data assets.

Asked of everybody whose the asset is, or was: the holder, the subjects of its registration, the providers
of what is registered, and whoever acts today for one of them that ended.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.catalogue import Resource
from ledger.parties import Party, successor
from ledger.registration import Registration, owners
from ledger.voucher_rows import Voucher

PUBLIC_KINDS = ("public_body", "public_institution")  # domain §4, §10


def barred_by(session: Session, voucher: Voucher, registration: Registration) -> list[str]:
    """The names of those because of whom a voucher cannot be pledged.

    A provider known by its name alone bars it too: nobody can tell that it is no public body.
    """
    ids, names = {voucher.party_id, *owners(registration)}, set[str]()
    wanted = [str(one) for one in registration.resource_ids]
    for one in session.scalars(select(Resource).where(Resource.id.in_(wanted))):
        if one.provider_id is None:
            names.add(one.provider or one.code)
        else:
            ids.add(one.provider_id)
    for party in session.scalars(select(Party).where(Party.id.in_(ids))).all():
        names |= {
            one.name for one in (party, successor(session, party)) if one.kind in PUBLIC_KINDS
        }
    return sorted(names)
