"""The codes parties are known by: the unified social credit code, and a natural person's, made here."""

import re
import secrets
import unicodedata

from stdnum.cn import uscc as uscc_rule
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError
from stdnum.iso7064 import mod_37_36

from ledger.errors import Invalid

INDIVIDUAL = "ZR"  # 自然人; Z stands in no social credit code
INDIVIDUAL_CODE = re.compile(r"ZR[0-9A-Z]{16}")
_UNMISTAKABLE = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_DIGITS = 8  # the registering authority, the kind and the place come first, in digits
_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def check_uscc(code: str) -> str:
    """The unified social credit code in its one spelling (GB 32100); raises Invalid naming what is wrong.

    A natural person has none: he is known by a code of our own (`draw_individual`), with a check character.

    >>> check_uscc(" 9100 0000 dem0 0000 3f ")
    '91000000DEM000003F'
    """
    spelt = str(uscc_rule.compact(unicodedata.normalize("NFKC", code)))
    if INDIVIDUAL_CODE.fullmatch(spelt):
        if mod_37_36.is_valid(spelt):
            return spelt
        raise Invalid("{code} is mistyped: its check character does not fit.", code=code)
    try:
        return str(uscc_rule.validate(spelt))
    except InvalidLength:
        raise Invalid(
            "{code} is not a unified social credit code: it has {count} characters, not 18.",
            code=code, count=len(spelt),
        ) from None  # fmt: skip
    except InvalidChecksum:
        raise Invalid(
            "{code} is not a unified social credit code: by the first 17 characters its check "
            "character is {wanted}, not {given}; one of the 18 is wrong.",
            code=code, wanted=uscc_rule.calc_check_digit(spelt[:-1]), given=spelt[-1],
        ) from None  # fmt: skip
    except ValidationError:
        place, wrong = next(
            (n, char)
            for n, char in enumerate(spelt, start=1)
            if char not in _CHARACTERS or (n <= _DIGITS and not char.isdecimal())
        )
        raise Invalid(
            "{code} is not a unified social credit code: {char} cannot stand at place {place} (1 to "
            "8 are digits; I, O, S, V and Z never stand).",
            code=code, char=wrong, place=place,
        ) from None  # fmt: skip


def draw_individual() -> str:
    """A fresh code for a natural person: it tells nothing of him, and has a check character."""
    drawn = INDIVIDUAL + "".join(secrets.choice(_UNMISTAKABLE) for _ in range(15))
    return drawn + str(mod_37_36.calc_check_digit(drawn))
