"""What the four contracts do, said once more in Python: each model judges a call and makes up calls.

`judge` returns the events a call must emit, or raises the refusal it must get. `suggest` makes up a call
that is often fitting and sometimes wrong in one respect; all its choices go through `pick`, so that
hypothesis can draw (and shrink) them and a seeded walk can repeat them. `views` says what every view
must answer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from coincurve import PrivateKey, PublicKey
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from tests.chain import trials
from tests.chain.revm import ADMIN, NOBODY, START, Event, actor
from tests.chain.stage import Refused, h
from tests.proof import rfc9162

ZERO = bytes(32)
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
ANCHORER, REGISTRAR, REGULATOR = actor("anchorer"), actor("registrar"), actor("regulator")
LICENSOR, MAKER, OTHER_MAKER = actor("licensor"), actor("maker"), actor("other maker")
HOLDER, BUYER, STRANGER = actor("holder"), actor("buyer"), actor("stranger")
KEYS = [PrivateKey(h(f"checker's key {i}")) for i in range(4)]
SIGNERS = {
    to_checksum_address(keccak(key.public_key.format(compressed=False)[1:])[12:]): key
    for key in KEYS
}
CHECKERS = list(SIGNERS)  # the last holds no role, the one before is a maker too
EVERYBODY = [
    ADMIN, ANCHORER, REGISTRAR, REGULATOR, LICENSOR, MAKER, OTHER_MAKER, HOLDER, STRANGER, *CHECKERS,
]  # fmt: skip
NAMES = {account: name for name, account in {
    "the admin": ADMIN, "the anchorer": ANCHORER, "the registrar": REGISTRAR,
    "the regulator": REGULATOR, "the licensor": LICENSOR, "the maker": MAKER,
    "the other maker": OTHER_MAKER, "the holder": HOLDER, "a stranger": STRANGER, "nobody": NOBODY,
    **{f"checker {i}": one for i, one in enumerate(CHECKERS)},
}.items()}  # fmt: skip

Pick = Callable[[Sequence[Any]], Any]


class Call(NamedTuple):
    """One call on one contract."""

    caller: str
    function: str
    arguments: tuple[Any, ...]


def mostly(pick: Pick, right: Any, *wrong: Any) -> Any:
    """Pick the right value, one time in 25 a wrong one."""
    return pick(list(wrong)) if wrong and pick(range(25)) == 24 else right


def role(name: str) -> bytes:
    return bytes(keccak(text=name))


class Model:
    """Roles, the same in each contract; the subclasses add the deeds."""

    DOORS: dict[str, str]
    holders: dict[bytes, set[str]]
    now: int = START

    def __init__(self, roles: dict[str, list[str]]) -> None:
        self.holders = {ZERO: {ADMIN}} | {role(name): set(who) for name, who in roles.items()}
        self.subjects: dict[Any, Any] = {}

    def judge(self, call: Call) -> list[Event]:
        """Return the events the call must emit, or raise Refused; a refused call changes nothing."""
        before = copy.deepcopy(self.__dict__)
        try:
            if call.function in ("grantRole", "revokeRole", "renounceRole"):
                return self._roles(*call)
            self._door(role(self.DOORS[call.function]), call.caller)
            done: list[Event] = getattr(self, f"_{call.function}")(call.caller, *call.arguments)
            return done
        except Refused:
            self.__dict__ = before
            raise

    def suggest(self, pick: Pick) -> Call:
        """Make up a call."""
        if pick(range(40)) == 39:
            return self._suggest_roles(pick)
        function = pick(self.weighted())
        fitting = sorted(self.holders[role(self.DOORS[function])]) or EVERYBODY
        caller = mostly(pick, pick(fitting), *EVERYBODY)
        return Call(caller, function, self.arguments(function, caller, pick))

    def weighted(self) -> list[str]:
        """The functions, each as often as it should be picked."""
        return list(self.DOORS)

    def arguments(self, function: str, caller: str, pick: Pick) -> tuple[Any, ...]:
        raise NotImplementedError

    def views(self) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
        """Yield (function, arguments, answer) of every view worth asking."""
        for number, who in self.holders.items():
            for account in (*who, STRANGER):
                yield "hasRole", (number, account), account in who

    def _door(self, number: bytes, caller: str) -> None:
        if caller not in self.holders.get(number, set()):
            raise Refused("AccessControlUnauthorizedAccount", (caller, number))

    def _roles(self, caller: str, function: str, arguments: tuple[Any, ...]) -> list[Event]:
        number, account = arguments
        who = self.holders.setdefault(number, set())
        told = {"role": number, "account": account, "sender": caller}
        if function == "renounceRole":
            if account != caller:
                raise Refused("AccessControlBadConfirmation", ())
        else:
            self._door(ZERO, caller)
        if function == "grantRole":
            if account == NOBODY:
                raise Refused("RoleHolderZero", (number,))
            if account in who:
                return []
            who.add(account)
            return [("RoleGranted", told)]
        if account not in who:
            return []
        who.remove(account)
        return [("RoleRevoked", told)]

    def _suggest_roles(self, pick: Pick) -> Call:
        function = pick(["grantRole", "grantRole", "grantRole", "revokeRole", "renounceRole"])
        number = pick([n for n in self.holders if n != ZERO])
        caller = mostly(pick, ADMIN, *EVERYBODY)
        account = pick([*EVERYBODY, NOBODY])
        if function == "renounceRole":
            caller = pick(sorted(self.holders[number]) or [STRANGER])
            account = pick([caller, caller, caller, STRANGER])
        return Call(caller, function, (number, account))


# -- the anchor -----------------------------------------------------------------------------------


class AnchorModel(Model):
    """A log and one forged beside it; subjects: size → root."""

    DOORS = {"anchor": "ANCHOR_ROLE"}
    LEAVES = rfc9162.leaves(200)
    FORGED = [*LEAVES[:2], *rfc9162.leaves(198, "forged")]

    def __init__(self) -> None:
        super().__init__({"ANCHOR_ROLE": [ANCHORER]})

    @property
    def size(self) -> int:
        return max(self.subjects, default=0)

    def _anchor(self, caller: str, new: int, new_root: bytes, proof: list[bytes]) -> list[Event]:
        old = self.size
        if new <= old:
            raise Refused("SizeNotLarger", (old, new))
        if new_root == ZERO:
            raise Refused("RootZero", (new,))
        if old == 0 and proof:
            raise Refused("ProofTooLong", (0, new, 0, len(proof)))
        if old:
            question = trials.Growth(old, self.subjects[old], new, new_root, proof)
            if not trials.recursion_answers(question):
                raise Refused(trials.python_answers(question), ())
        self.subjects[new] = new_root
        told = {"size": new, "root": new_root, "actor": caller, "oldSize": old}
        return [("Anchored", told)]

    def arguments(self, function: str, caller: str, pick: Pick) -> tuple[Any, ...]:
        old = self.size
        later = pick([1, 2, 3, 4, 7])
        new = mostly(pick, min(old + later, 200), 0, old, max(old - 1, 0))
        leaves = mostly(pick, self.LEAVES, self.FORGED)
        new_root = mostly(pick, rfc9162.mth(leaves[:new]), h("another root"), ZERO)
        base = mostly(pick, old, old + 1, max(old - 1, 0))
        proof = rfc9162.proof(base, leaves[:new]) if 0 < base <= new else []
        if pick(range(12)) == 11:
            proof = pick(list(trials.mutations(proof)))
        return new, new_root, proof

    def views(self) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
        yield from super().views()
        yield "latest", (), (self.size, self.subjects.get(self.size, ZERO))
        for size in (0, 1, self.size + 1, *self.subjects):
            yield "rootOf", (size,), self.subjects.get(size, ZERO)
        yield "includes", (1, 0, ZERO, []), False
        leaves = self.LEAVES[: self.size]
        if leaves and self.subjects[self.size] == rfc9162.mth(leaves):
            for index in {0, self.size // 2, self.size - 1}:
                path = rfc9162.path(index, leaves)
                yield "includes", (self.size, index, leaves[index], path), True
                yield "includes", (self.size, index + 1, leaves[index], path), False


# -- vouchers -------------------------------------------------------------------------------------

VALID, SUSPENDED, REVOKED, CANCELLED, SUPERSEDED = range(1, 6)
PLEDGED, FROZEN = 1, 2
IN_FORCE = (VALID, SUSPENDED)
SAME = None

# verb: from, to, the flags that bar it, the flags it needs, the flags it sets
MOVES: dict[str, tuple[tuple[int, ...], int | None, int, int, int]] = {
    "suspend": ((VALID,), SUSPENDED, 0, 0, 0),
    "resume": ((SUSPENDED,), VALID, FROZEN, 0, 0),
    "revoke": (IN_FORCE, REVOKED, 0, 0, 0),
    "cancel": (IN_FORCE, CANCELLED, PLEDGED | FROZEN, 0, 0),
    "renew": ((VALID,), SAME, FROZEN, 0, 0),
    "supersede": ((VALID,), SUPERSEDED, PLEDGED | FROZEN, 0, 0),
    "transfer": ((VALID,), SAME, PLEDGED | FROZEN, 0, 0),
    "pledge": ((VALID,), SAME, PLEDGED | FROZEN, 0, PLEDGED),
    "release": (IN_FORCE, SAME, FROZEN, PLEDGED, 0),
    "freeze": (IN_FORCE, SAME, FROZEN, 0, FROZEN),
    "unfreeze": (tuple(range(6)), SAME, 0, FROZEN, 0),
    "replaceHolderKey": (IN_FORCE, SAME, FROZEN, 0, 0),
    "addUses": ((VALID,), SAME, FROZEN, 0, 0),
}
VERBS = ["issue", *MOVES]
EMPTY = {
    "holder": NOBODY, "validUntil": 0, "version": 0, "state": 0, "flags": 0, "kind": 0, "rights": 0,
    "digest": ZERO, "maxUses": 0, "used": 0,
}  # fmt: skip
IDS = [h(f"voucher {i}") for i in range(5)]
REASONS = [h(f"record {i}") for i in range(3)]
DIGESTS = [h(f"credential {i}") for i in range(3)]
UNTIL = [START - 1, START + 1000, 2**40 - 10]


class VoucherModel(Model):
    """Subjects: id → the fields that `get` tells."""

    DOORS = dict.fromkeys(["issue", "issueMany", *MOVES, "addUsesMany"], "REGISTRAR_ROLE") | {
        "freeze": "REGULATOR_ROLE",
        "unfreeze": "REGULATOR_ROLE",
    }
    RARE = {"revoke", "cancel", "supersede"}  # ends a voucher, and with it what can be tried

    def __init__(self) -> None:
        super().__init__({"REGISTRAR_ROLE": [REGISTRAR], "REGULATOR_ROLE": [REGULATOR]})

    def of(self, id_: bytes) -> dict[str, Any]:
        return self.subjects.get(id_, dict(EMPTY))

    def weighted(self) -> list[str]:
        """Oftener what can be done now, rarer what ends a voucher."""
        fitting = {f for f in MOVES if any(self._fits(f, id_) for id_ in self.subjects)}
        fitting |= {"issue"} | ({"addUsesMany"} if "addUses" in fitting else set())
        return [f for f in self.DOORS for _ in range(6 if f in fitting - self.RARE else 1)]

    # deeds

    def _issue(self, caller: str, given: tuple[Any, ...]) -> list[Event]:
        id_, holder, until, kind, rights, max_uses, digest, reason = given
        known = self.of(id_)
        for fault, error in (
            (id_ == ZERO, ("IdZero", reason)),
            (known["version"], ("VersionMismatch", id_, 0, known["version"])),
            (holder == NOBODY, ("HolderZero", id_)),
            (until == 0, ("ValidUntilNotLater", id_, 0, 0)),
            (digest == ZERO, ("DigestZero", id_)),
            (reason == ZERO, ("ReasonZero", id_)),
        ):
            if fault:
                raise Refused(error[0], error[1:])
        self.subjects[id_] = {
            "holder": holder, "validUntil": until, "version": 1, "state": VALID, "flags": 0,
            "kind": kind, "rights": rights, "digest": digest, "maxUses": max_uses, "used": 0,
        }  # fmt: skip
        told = {"id": id_, "validUntil": until, "kind": kind, "rights": rights, "maxUses": max_uses}
        return [self._changed(caller, "issue", id_, reason, 0), ("Issued", told)]

    def _issueMany(self, caller: str, given: list[tuple[Any, ...]]) -> list[Event]:  # noqa: N802
        self._length(given)
        return [event for one in given for event in self._issue(caller, one)]

    def _addUsesMany(self, caller: str, given: list[tuple[Any, ...]]) -> list[Event]:  # noqa: N802
        self._length(given)
        return [event for one in given for event in self._move(caller, "addUses", *one)]

    def __getattr__(self, name: str) -> Any:
        """Return the deed `_verb` of a verb in the table."""
        verb = name.removeprefix("_")
        if name.startswith("_") and verb in MOVES:
            return lambda caller, *given: self._move(caller, verb, *given)
        raise AttributeError(name)

    def _move(self, caller: str, verb: str, id_: bytes, expected: int, *more: Any) -> list[Event]:
        *particulars, reason = more
        known = self.of(id_)
        before, barred, needed = MOVES[verb][0], MOVES[verb][2], MOVES[verb][3]
        if reason == ZERO:
            raise Refused("ReasonZero", (id_,))
        if known["version"] != expected:
            raise Refused("VersionMismatch", (id_, expected, known["version"]))
        flags = known["flags"]
        if known["state"] not in before or flags & barred or flags & needed != needed:
            number = VERBS.index(verb)
            raise Refused("MoveNotAllowed", (id_, number, known["state"], flags))
        changes, following = self._particulars(verb, id_, known, particulars)
        old_state = known["state"]
        to = MOVES[verb][1]
        known |= changes | {
            "version": expected + 1,
            "state": old_state if to is SAME else to,
            "flags": (flags | MOVES[verb][4]) & ~needed,
        }
        told = [self._changed(caller, verb, id_, reason, old_state), *following]
        if verb == "supersede":
            for successor in particulars[0]:
                told.append(("SucceededBy", {"id": id_, "successor": successor[0]}))
                told += self._issue(caller, successor)
        return told

    def _particulars(
        self, verb: str, id_: bytes, known: dict[str, Any], given: list[Any]
    ) -> tuple[dict[str, Any], list[Event]]:
        """Return what a deed changes beside state and flags, and what it tells beside Changed."""
        if verb == "renew":
            until, digest = given
            if until <= known["validUntil"]:
                raise Refused("ValidUntilNotLater", (id_, known["validUntil"], until))
            self._digest(id_, digest)
            told: list[Event] = [("Renewed", {"id": id_, "validUntil": until})]
            return {"validUntil": until, "digest": digest}, told
        if verb == "supersede":
            self._length(given[0])
        if verb in ("transfer", "replaceHolderKey"):
            holder, *digest = given
            if holder == NOBODY:
                raise Refused("HolderZero", (id_,))
            if holder == known["holder"]:
                raise Refused("HolderUnchanged", (id_, holder))
            for one in digest:
                self._digest(id_, one)
            return {"holder": holder} | ({"digest": digest[0]} if digest else {}), []
        if verb == "addUses":
            (count,) = given
            most, used = known["maxUses"], known["used"]
            if most == 0:
                raise Refused("UsesNotLimited", (id_,))
            if count == 0:
                raise Refused("UsesZero", (id_,))
            if used + count > most:
                raise Refused("UsesExceeded", (id_, most, used, count))
            told = [("UsesAdded", {"id": id_, "count": count, "used": used + count})]
            return {"used": used + count}, told
        return {}, []

    def _digest(self, id_: bytes, digest: bytes) -> None:
        if digest == ZERO:
            raise Refused("DigestZero", (id_,))

    def _length(self, given: list[Any]) -> None:
        if not 0 < len(given) <= 200:
            raise Refused("BatchOutOfRange", (len(given), 200))

    def _changed(self, caller: str, verb: str, id_: bytes, reason: bytes, old: int) -> Event:
        now = self.subjects[id_]
        return "Changed", {
            "id": id_, "actor": caller, "reason": reason, "verb": VERBS.index(verb),
            "oldState": old, "newState": now["state"], "version": now["version"],
            "holder": now["holder"], "digest": now["digest"],
        }  # fmt: skip

    # calls

    def particulars(self, pick: Pick, id_: bytes | None = None) -> tuple[Any, ...]:
        fresh = [one for one in IDS if one not in self.subjects] or [h(f"{len(self.subjects)}")]
        return (
            id_ or mostly(pick, pick(fresh), *IDS, ZERO),
            mostly(pick, pick([HOLDER, BUYER]), NOBODY),
            mostly(pick, pick(UNTIL), 0),
            pick([0, 3, 255]),
            pick([0b111, 0b010, 255]),
            pick([0, 10, 2**64 - 1]),
            mostly(pick, pick(DIGESTS), ZERO),
            mostly(pick, pick(REASONS), ZERO),
        )

    def arguments(self, function: str, caller: str, pick: Pick) -> tuple[Any, ...]:
        if function == "issue":
            return (self.particulars(pick),)
        if function == "issueMany":
            count = mostly(pick, pick([1, 2, 3]), 0)
            return ([self.particulars(pick) for _ in range(count)],)
        if function == "addUsesMany":
            count = mostly(pick, pick([1, 2, 3]), 0)
            limited = [id_ for id_ in self.subjects if self._fits("addUses", id_)] or IDS
            return (
                [
                    self._subject(pick, [pick([1, 2, 3, 0])], turn, pick(limited))
                    for turn in range(count)
                ],
            )
        fitting = [id_ for id_ in self.subjects if self._fits(function, id_)]
        id_ = pick(fitting if fitting and pick(range(4)) else list(self.subjects) or IDS)
        until = self.of(id_)["validUntil"]
        more: dict[str, list[Any]] = {
            "renew": [pick([until + 1] * 8 + [until, START]), self._new(pick)],
            "supersede": [[self.particulars(pick) for _ in range(mostly(pick, pick([1, 2]), 0))]],
            "transfer": [self._other(pick, id_), self._new(pick)],
            "replaceHolderKey": [self._other(pick, id_)],
            "addUses": [pick([0, 1, 3, 8, 2**64 - 1])],
        }
        return self._subject(pick, more.get(function, []), 0, id_)

    def _fits(self, verb: str, id_: bytes) -> bool:
        one = self.of(id_)
        states, _, barred, needed, _ = MOVES[verb]
        is_limited = verb != "addUses" or one["used"] < one["maxUses"]
        flags = one["flags"] & (barred | needed)
        return one["state"] in states and flags == needed and is_limited

    def _new(self, pick: Pick) -> bytes:
        return bytes(mostly(pick, pick(DIGESTS), ZERO))

    def _other(self, pick: Pick, id_: bytes) -> str:
        right = BUYER if self.of(id_)["holder"] == HOLDER else HOLDER
        return str(mostly(pick, right, NOBODY, HOLDER, BUYER))

    def _subject(
        self, pick: Pick, more: list[Any], turn: int, id_: bytes | None = None
    ) -> tuple[Any, ...]:
        id_ = id_ or pick(list(self.subjects) or IDS)
        version = self.of(id_)["version"]
        expected = mostly(pick, version, version + 1, max(version - 1, 0), version + turn, 0)
        return (mostly(pick, id_, *IDS, ZERO), expected, *more, mostly(pick, pick(REASONS), ZERO))

    # views

    def views(self) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
        yield from super().views()
        for id_ in {*self.subjects, *IDS[:2]}:
            one = self.of(id_)
            yield "get", (id_,), one
            yield "standing", (id_,), (one["state"], one["flags"], one["rights"])
            for digest in (one["digest"], h("a forgery")):
                for time in (one["validUntil"], one["validUntil"] + 1):
                    answer = self._verdict(one, digest, time), one["version"]
                    yield "verify", (id_, digest, time), answer

    @staticmethod
    def _verdict(one: dict[str, Any], digest: bytes, time: int) -> int:
        """0 unknown, 1 wrong digest, 2 valid, 3 lapsed, 4 suspended, 5 frozen, 6-8 ended."""
        if one["state"] == 0:
            return 0
        if one["digest"] != digest:
            return 1
        if one["state"] >= REVOKED:
            return int(one["state"]) + 3
        if one["flags"] & FROZEN:
            return 5
        if one["state"] == SUSPENDED:
            return 4
        return 3 if time > one["validUntil"] else 2


# -- licences -------------------------------------------------------------------------------------


class LicenceModel(Model):
    """Subjects: (voucher, n) → the fields that `get` tells."""

    DOORS = {"grant": "LICENSOR_ROLE", "revoke": "LICENSOR_ROLE"}
    NONE = {
        "licensee": NOBODY,
        "from": 0,
        "until": 0,
        "right": 0,
        "version": 0,
        "termsDigest": ZERO,
    }

    def __init__(self, vouchers: VoucherModel) -> None:
        super().__init__({"LICENSOR_ROLE": [LICENSOR]})
        self.vouchers = vouchers

    def judge(self, call: Call) -> list[Event]:
        vouchers = self.vouchers
        try:
            return super().judge(call)
        finally:
            self.vouchers = vouchers

    def of(self, voucher: bytes, n: int) -> dict[str, Any]:
        return self.subjects.get((voucher, n), dict(self.NONE))

    def _grant(
        self, caller: str, voucher: bytes, n: int, licensee: str, right: int, terms: bytes,
        start: int, until: int, expected: int, reason: bytes,
    ) -> list[Event]:  # fmt: skip
        known, its = self.of(voucher, n), self.vouchers.of(voucher)
        alone = right.bit_count() == 1 and right & its["rights"]
        gap = n and not self.of(voucher, n - 1)["version"]
        version = known["version"]
        for fault, error in (
            (reason == ZERO, ("ReasonZero", voucher, n)),
            (version != expected, ("VersionMismatch", voucher, n, expected, version)),
            (version, ("AlreadyGranted", voucher, n, version)),
            (gap, ("NumberNotNext", voucher, n)),
            (licensee == NOBODY, ("LicenseeZero", voucher, n)),
            (terms == ZERO, ("DigestZero", voucher, n)),
            (until <= start, ("PeriodEmpty", voucher, n, start, until)),
            (
                its["state"] != VALID or its["flags"] & FROZEN,
                ("VoucherNotValid", voucher, its["state"], its["flags"]),
            ),
            (not alone, ("RightNotHeld", voucher, right, its["rights"])),
        ):
            if fault:
                raise Refused(error[0], error[1:])
        what = {
            "licensee": licensee, "from": start, "until": until, "right": right, "version": 1,
            "termsDigest": terms,
        }  # fmt: skip
        self.subjects[voucher, n] = what
        return [
            ("Granted", {"voucher": voucher, "actor": caller, "reason": reason, "n": n, **what})
        ]

    def _revoke(
        self, caller: str, voucher: bytes, n: int, expected: int, reason: bytes
    ) -> list[Event]:
        known = self.of(voucher, n)
        version = known["version"]
        for fault, error in (
            (reason == ZERO, ("ReasonZero", voucher, n)),
            (version != expected, ("VersionMismatch", voucher, n, expected, version)),
            (version != 1, ("NotInForce", voucher, n, version)),
        ):
            if fault:
                raise Refused(error[0], error[1:])
        known["version"] = 2
        who = {"voucher": voucher, "actor": caller, "reason": reason, "n": n}
        return [("Revoked", {**who, "version": 2})]

    def arguments(self, function: str, caller: str, pick: Pick) -> tuple[Any, ...]:
        valid = [id_ for id_ in self.vouchers.subjects if self.vouchers._fits("pledge", id_)]
        voucher = pick(valid if valid and pick(range(4)) else [*self.vouchers.subjects, IDS[0]])
        if function == "revoke" and pick(range(4)):
            voucher = pick([one for one, _ in self.subjects] or [voucher])
        count = sum(1 for one, _ in self.subjects if one == voucher)
        reason = mostly(pick, pick(REASONS), ZERO)
        if function == "revoke":
            n = mostly(pick, pick(range(count or 1)), count)
            version = self.of(voucher, n)["version"]
            return voucher, n, mostly(pick, version, 0, 1, 2), reason
        n = mostly(pick, count, count + 1, max(count - 1, 0), 2**32 - 1)
        start = START + pick([0, 100])
        return (
            voucher, n, mostly(pick, BUYER, NOBODY), mostly(pick, 0b010, 0, 0b011, 0b1000),
            mostly(pick, pick(DIGESTS), ZERO), start, mostly(pick, start + 50, start, start - 1),
            mostly(pick, self.of(voucher, n)["version"], 0, 1), reason,
        )  # fmt: skip

    def views(self) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
        yield from super().views()
        for voucher, n in [*self.subjects, (IDS[0], 9)]:
            one = self.of(voucher, n)
            yield "get", (voucher, n), one
            for digest in (one["termsDigest"], h("other terms")):
                for time in (one["from"] - 1, one["from"], one["until"], one["until"] + 1):
                    if time >= 0:
                        answer = self._verdict(one, digest, time), one["version"]
                        yield "verify", (voucher, n, digest, time), answer

    @staticmethod
    def _verdict(one: dict[str, Any], digest: bytes, time: int) -> int:
        """0 unknown, 1 wrong digest, 2 not yet, 3 valid, 4 ended, 5 revoked."""
        if one["version"] == 0:
            return 0
        if one["termsDigest"] != digest:
            return 1
        if one["version"] == 2:
            return 5
        return 2 if time < one["from"] else 4 if time > one["until"] else 3


# -- revenue statements ---------------------------------------------------------------------------

PROPOSED, APPROVED, WITHDRAWN, REVERSED = range(1, 5)
STATEMENTS = [h(f"statement {i}") for i in range(4)]
ROOTS = [h(f"lines {i}") for i in range(2)]
APPROVAL = (
    "Approval(bytes32 id,bytes32 digest,bytes32 lineRoot,uint8 approvalsRequired,"
    "bytes32 reverses,uint24 version,uint256 nonce,uint256 deadline)"
)
DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


def seal(digest: bytes, line_root: bytes) -> bytes:
    return bytes(keccak(digest + line_root))


def approval_hash(contract: str, message: tuple[Any, ...], chain_id: int = 1) -> bytes:
    """Return the EIP-712 hash of an approval, made by hand."""
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [keccak(text=DOMAIN), keccak(text="Shuzheng RevenueBook"), keccak(text="1"), chain_id,
         contract],
    )  # fmt: skip
    types = ["bytes32"] * 4 + ["uint8", "bytes32", "uint24", "uint256", "uint256"]
    struct = encode(types, [keccak(text=APPROVAL), *message])
    return bytes(keccak(b"\x19\x01" + keccak(domain) + keccak(struct)))


def signature_of(key: PrivateKey, signed: bytes) -> bytes:
    found = key.sign_recoverable(signed, hasher=None)
    return found[:64] + bytes([found[64] + 27])


class BookModel(Model):
    """Subjects: id → the fields that `get` tells, and the set of those counted."""

    DOORS = {"propose": "MAKER_ROLE", "approve": "MAKER_ROLE", "withdraw": "MAKER_ROLE"}
    NONE: dict[str, Any] = {
        "proposer": NOBODY, "version": 0, "state": 0, "approvalsRequired": 0, "approvals": 0,
        "isReversal": False, "seal": ZERO, "reverses": ZERO,
    }  # fmt: skip

    def __init__(self, address: str) -> None:
        makers = [MAKER, OTHER_MAKER, CHECKERS[2]]
        super().__init__({"MAKER_ROLE": makers, "CHECKER_ROLE": CHECKERS[:3]})
        self.address = address
        self.counted: dict[bytes, set[str]] = {}
        self.nonces = dict.fromkeys(CHECKERS, 0)
        self.content: dict[bytes, tuple[bytes, bytes]] = {}

    def of(self, id_: bytes) -> dict[str, Any]:
        return self.subjects.get(id_, dict(self.NONE))

    def weighted(self) -> list[str]:
        return ["propose"] * 4 + ["approve"] * 6 + ["withdraw"]

    # deeds

    def _known(self, id_: bytes, expected: int, reason: bytes, needed: int) -> dict[str, Any]:
        known = self.of(id_)
        if reason == ZERO:
            raise Refused("ReasonZero", (id_,))
        if known["version"] != expected:
            raise Refused("VersionMismatch", (id_, expected, known["version"]))
        self._state(id_, needed)
        return known

    def _state(self, id_: bytes, needed: int) -> None:
        state = self.of(id_)["state"]
        if state != needed:
            raise Refused("StateMismatch", (id_, needed, state))

    def _changed(self, caller: str, id_: bytes, reason: bytes, old: int) -> Event:
        now = self.subjects[id_]
        return "Changed", {
            "id": id_, "actor": caller, "reason": reason, "oldState": old, "newState": now["state"],
            "version": now["version"],
        }  # fmt: skip

    def _propose(
        self, caller: str, id_: bytes, digest: bytes, line_root: bytes, required: int,
        reverses: bytes, expected: int, reason: bytes,
    ) -> list[Event]:  # fmt: skip
        if id_ == ZERO:
            raise Refused("IdZero", (reason,))
        self._known(id_, expected, reason, 0)
        if digest == ZERO:
            raise Refused("DigestZero", (id_,))
        if line_root == ZERO:
            raise Refused("LineRootZero", (id_,))
        if not 1 <= required <= 3:
            raise Refused("ApprovalsOutOfRange", (id_, required))
        if reverses != ZERO:
            self._state(reverses, APPROVED)
        self.subjects[id_] = {
            "proposer": caller, "version": 1, "state": PROPOSED, "approvalsRequired": required,
            "approvals": 0, "isReversal": reverses != ZERO, "seal": seal(digest, line_root),
            "reverses": reverses,
        }  # fmt: skip
        self.content[id_] = digest, line_root
        told = {
            "id": id_, "digest": digest, "lineRoot": line_root, "approvalsRequired": required,
            "reverses": reverses,
        }  # fmt: skip
        return [self._changed(caller, id_, reason, 0), ("Proposed", told)]

    def _approve(
        self, caller: str, id_: bytes, expected: int, digest: bytes, line_root: bytes,
        checker: str, deadline: int, signature: bytes, reason: bytes,
    ) -> list[Event]:  # fmt: skip
        known = self._known(id_, expected, reason, PROPOSED)
        is_last = known["approvals"] + 1 == known["approvalsRequired"]
        reverses = known["reverses"]
        if is_last and reverses != ZERO:
            self._state(reverses, APPROVED)
        self._door(role("CHECKER_ROLE"), checker)
        if checker == known["proposer"]:
            raise Refused("CheckerIsProposer", (id_, checker))
        if checker in self.counted.get(id_, set()):
            raise Refused("CheckerCounted", (id_, checker))
        if self.now > deadline:
            raise Refused("DeadlinePassed", (id_, deadline, self.now))
        if known["seal"] != seal(digest, line_root):
            raise Refused("ContentMismatch", (id_, known["seal"], seal(digest, line_root)))
        message = (
            id_, digest, line_root, known["approvalsRequired"], reverses, expected,
            self.nonces.get(checker, 0), deadline,
        )  # fmt: skip
        recovered = self._recovered(approval_hash(self.address, message), signature)
        if recovered != checker:
            raise Refused("SignerMismatch", (id_, checker, recovered))
        self.nonces[checker] = self.nonces.get(checker, 0) + 1
        self.counted.setdefault(id_, set()).add(checker)
        known |= {
            "approvals": known["approvals"] + 1,
            "state": APPROVED if is_last else PROPOSED,
            "version": expected + 1,
        }
        told = {"id": id_, "checker": checker, "approvals": known["approvals"]}
        events = [self._changed(caller, id_, reason, PROPOSED), ("Approved", told)]
        if is_last and reverses != ZERO:
            original = self.subjects[reverses]
            original |= {"state": REVERSED, "version": original["version"] + 1}
            events.append(self._changed(caller, reverses, reason, APPROVED))
            events.append(("Reversed", {"id": reverses, "by": id_}))
        return events

    @staticmethod
    def _recovered(signed: bytes, signature: bytes) -> str:
        if len(signature) != 65:
            raise Refused("ECDSAInvalidSignatureLength", (len(signature),))
        if int.from_bytes(signature[32:64]) > CURVE_ORDER // 2:
            raise Refused("ECDSAInvalidSignatureS", (signature[32:64],))
        if signature[64] not in (27, 28):
            raise Refused("ECDSAInvalidSignature", ())
        given = signature[:64] + bytes([signature[64] - 27])
        key = PublicKey.from_signature_and_message(given, signed, hasher=None)
        return to_checksum_address(keccak(key.format(compressed=False)[1:])[12:])

    def _withdraw(self, caller: str, id_: bytes, expected: int, reason: bytes) -> list[Event]:
        known = self._known(id_, expected, reason, PROPOSED)
        if known["proposer"] != caller:
            raise Refused("NotProposer", (id_, known["proposer"], caller))
        known |= {"state": WITHDRAWN, "version": expected + 1}
        return [self._changed(caller, id_, reason, PROPOSED)]

    # calls

    def arguments(self, function: str, caller: str, pick: Pick) -> tuple[Any, ...]:
        reason = mostly(pick, pick(REASONS), ZERO)
        if function == "propose":
            fresh = [one for one in STATEMENTS if one not in self.subjects]
            id_ = pick(fresh or [h(f"statement {len(self.subjects)}")])
            approved = [one for one, s in self.subjects.items() if s["state"] == APPROVED]
            return (
                mostly(pick, id_, *STATEMENTS, ZERO),
                mostly(pick, pick(DIGESTS), ZERO),
                mostly(pick, pick(ROOTS), ZERO),
                mostly(pick, pick([1, 1, 2, 3]), 0, 4),
                mostly(pick, pick([ZERO, *approved]), *STATEMENTS),
                mostly(pick, self.of(id_)["version"], 1, 2),
                reason,
            )
        open_ = [one for one, s in self.subjects.items() if s["state"] == PROPOSED]
        id_ = mostly(pick, pick(open_ or STATEMENTS), *STATEMENTS)
        known = self.of(id_)
        version = mostly(pick, known["version"], known["version"] + 1, 1, 0)
        if function == "withdraw":
            return id_, version, reason
        checker = mostly(pick, pick(CHECKERS[:3]), *CHECKERS)
        deadline = mostly(pick, self.now + 100, self.now, self.now - 1)
        digest, line_root = self.content.get(id_, (DIGESTS[0], ROOTS[0]))
        digest, line_root = mostly(
            pick, (digest, line_root), (h("forged"), line_root), (line_root, digest)
        )
        signed = self._signed(pick, id_, digest, line_root, checker, deadline)
        return id_, version, digest, line_root, checker, deadline, signed, reason

    def _signed(
        self, pick: Pick, id_: bytes, digest: bytes, line_root: bytes, checker: str, deadline: int
    ) -> bytes:
        """Return a signature, mostly the fitting one."""
        known, nonce = self.of(id_), self.nonces[checker]
        message = (
            id_, digest, line_root, mostly(pick, known["approvalsRequired"], 1, 2),
            mostly(pick, known["reverses"], ZERO, *STATEMENTS), mostly(pick, known["version"], 1, 2),
            mostly(pick, nonce, nonce + 1, max(nonce - 1, 0)), mostly(pick, deadline, deadline + 9),
        )  # fmt: skip
        chain_id = mostly(pick, 1, 2)
        signed = approval_hash(mostly(pick, self.address, STRANGER), message, chain_id)
        signature = signature_of(SIGNERS[mostly(pick, checker, *CHECKERS)], signed)
        s = CURVE_ORDER - int.from_bytes(signature[32:64])
        twin = signature[:32] + s.to_bytes(32) + bytes([27 + 28 - signature[64]])
        return bytes(mostly(pick, signature, twin, signature[:64], signature[:64] + b"\0"))

    # views

    def views(self) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
        yield from super().views()
        for checker in CHECKERS:
            yield "nonces", (checker,), self.nonces[checker]
        for id_ in {*self.subjects, STATEMENTS[0]}:
            one = self.of(id_)
            yield "get", (id_,), one
            digest, line_root = self.content.get(id_, (ZERO, ZERO))
            known = one["state"], one["version"]
            yield "verify", (id_, digest, line_root), (id_ in self.subjects, *known)
            yield "verify", (id_, line_root, digest), (False, *known)
            if id_ in self.subjects:
                checker, deadline = CHECKERS[0], START + 5
                message = (
                    id_, digest, line_root, one["approvalsRequired"], one["reverses"],
                    one["version"], self.nonces[checker], deadline,
                )  # fmt: skip
                asked = (id_, digest, line_root, checker, deadline)
                yield "approvalDigest", asked, approval_hash(self.address, message)
