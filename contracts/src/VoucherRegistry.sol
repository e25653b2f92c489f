// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {Roles} from "./Roles.sol";
import {IVoucherRegistry} from "./interfaces/IVoucherRegistry.sol";
import {FROZEN, PLEDGED, VoucherHead, VoucherHeadLibrary} from "./types/VoucherHead.sol";

/// @title Registry of vouchers
contract VoucherRegistry is IVoucherRegistry, Roles {
    /// @inheritdoc IVoucherRegistry
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");
    /// @inheritdoc IVoucherRegistry
    bytes32 public constant REGULATOR_ROLE = keccak256("REGULATOR_ROLE");
    /// @inheritdoc IVoucherRegistry
    uint256 public constant BATCH_MAX = 200;

    // Sets of states, one bit per state, for the table of legal moves.
    uint256 private constant IN_VALID = 1 << uint256(State.Valid);
    uint256 private constant IN_SUSPENDED = 1 << uint256(State.Suspended);
    uint256 private constant IN_FORCE = IN_VALID | IN_SUSPENDED;
    uint256 private constant IN_ANY = type(uint256).max;

    /// @dev A `Voucher` in storage, its first slot as one word.
    struct Entry {
        VoucherHead head;
        bytes32 digest;
        uint64 maxUses;
        uint64 used;
    }

    mapping(bytes32 id => Entry) private _entries;

    /// @param admin Key that grants and takes roles
    /// @param registrar Key that keeps the register
    /// @param regulator Key that freezes and unfreezes
    constructor(address admin, address registrar, address regulator) Roles(admin) {
        _grantRole(REGISTRAR_ROLE, registrar);
        _grantRole(REGULATOR_ROLE, regulator);
    }

    /// @inheritdoc IVoucherRegistry
    function issue(Issue calldata voucher) external onlyRole(REGISTRAR_ROLE) {
        _issue(voucher);
    }

    /// @inheritdoc IVoucherRegistry
    function issueMany(Issue[] calldata vouchers) external onlyRole(REGISTRAR_ROLE) {
        // Check:
        _checkLength(vouchers.length);

        // Effect:
        for (uint256 i = 0; i < vouchers.length; ++i) {
            _issue(vouchers[i]);
        }
    }

    /// @inheritdoc IVoucherRegistry
    function suspend(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Suspend, IN_VALID, 0, 0);

        // Effect:
        _enter(entry, head, id, reason, Verb.Suspend, State.Suspended);
    }

    /// @inheritdoc IVoucherRegistry
    function resume(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Resume, IN_SUSPENDED, FROZEN, 0);

        // Effect:
        _enter(entry, head, id, reason, Verb.Resume, State.Valid);
    }

    /// @inheritdoc IVoucherRegistry
    function revoke(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Revoke, IN_FORCE, 0, 0);

        // Effect:
        _enter(entry, head, id, reason, Verb.Revoke, State.Revoked);
    }

    /// @inheritdoc IVoucherRegistry
    function cancel(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Cancel, IN_FORCE, PLEDGED | FROZEN, 0);

        // Effect:
        _enter(entry, head, id, reason, Verb.Cancel, State.Cancelled);
    }

    /// @inheritdoc IVoucherRegistry
    function renew(
        bytes32 id,
        uint24 expectedVersion,
        uint40 newValidUntil,
        bytes32 newDigest,
        bytes32 reason
    ) external onlyRole(REGISTRAR_ROLE) {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Renew, IN_VALID, FROZEN, 0);
        uint40 known = head.validUntil();
        if (newValidUntil <= known) revert ValidUntilNotLater(id, known, newValidUntil);
        if (newDigest == 0) revert DigestZero(id);

        // Effect:
        head = head.withValidUntil(newValidUntil);
        entry.digest = newDigest;
        _enter(entry, head, id, reason, Verb.Renew, State.Valid, newDigest);
        emit Renewed(id, newValidUntil);
    }

    /// @inheritdoc IVoucherRegistry
    function supersede(
        bytes32 id,
        uint24 expectedVersion,
        Issue[] calldata successors,
        bytes32 reason
    ) external onlyRole(REGISTRAR_ROLE) {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Supersede, IN_VALID, PLEDGED | FROZEN, 0);
        _checkLength(successors.length);

        // Effect:
        _enter(entry, head, id, reason, Verb.Supersede, State.Superseded);
        for (uint256 i = 0; i < successors.length; ++i) {
            emit SucceededBy(id, successors[i].id);
            _issue(successors[i]);
        }
    }

    /// @inheritdoc IVoucherRegistry
    function transfer(
        bytes32 id,
        uint24 expectedVersion,
        address newHolder,
        bytes32 newDigest,
        bytes32 reason
    ) external onlyRole(REGISTRAR_ROLE) {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Transfer, IN_VALID, PLEDGED | FROZEN, 0);
        _checkNewHolder(id, head.holder(), newHolder);
        if (newDigest == 0) revert DigestZero(id);

        // Effect:
        head = head.withHolder(newHolder);
        entry.digest = newDigest;
        _enter(entry, head, id, reason, Verb.Transfer, State.Valid, newDigest);
    }

    /// @inheritdoc IVoucherRegistry
    function pledge(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Pledge, IN_VALID, PLEDGED | FROZEN, 0);

        // Effect:
        head = head.withFlags(head.flags() | PLEDGED);
        _enter(entry, head, id, reason, Verb.Pledge, State.Valid);
    }

    /// @inheritdoc IVoucherRegistry
    function release(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Release, IN_FORCE, FROZEN, PLEDGED);

        // Effect:
        head = head.withFlags(head.flags() & ~PLEDGED);
        _enter(entry, head, id, reason, Verb.Release, head.state());
    }

    /// @inheritdoc IVoucherRegistry
    function freeze(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGULATOR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Freeze, IN_FORCE, FROZEN, 0);

        // Effect:
        head = head.withFlags(head.flags() | FROZEN);
        _enter(entry, head, id, reason, Verb.Freeze, head.state());
    }

    /// @inheritdoc IVoucherRegistry
    function unfreeze(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(REGULATOR_ROLE)
    {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.Unfreeze, IN_ANY, 0, FROZEN);

        // Effect:
        head = head.withFlags(head.flags() & ~FROZEN);
        _enter(entry, head, id, reason, Verb.Unfreeze, head.state());
    }

    /// @inheritdoc IVoucherRegistry
    function replaceHolderKey(
        bytes32 id,
        uint24 expectedVersion,
        address newHolder,
        bytes32 reason
    ) external onlyRole(REGISTRAR_ROLE) {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.ReplaceHolderKey, IN_FORCE, FROZEN, 0);
        _checkNewHolder(id, head.holder(), newHolder);

        // Effect:
        head = head.withHolder(newHolder);
        _enter(entry, head, id, reason, Verb.ReplaceHolderKey, head.state());
    }

    /// @inheritdoc IVoucherRegistry
    function addUses(bytes32 id, uint24 expectedVersion, uint64 count, bytes32 reason)
        external
        onlyRole(REGISTRAR_ROLE)
    {
        _addUses(id, expectedVersion, count, reason);
    }

    /// @inheritdoc IVoucherRegistry
    function addUsesMany(Uses[] calldata uses) external onlyRole(REGISTRAR_ROLE) {
        // Check:
        _checkLength(uses.length);

        // Effect:
        for (uint256 i = 0; i < uses.length; ++i) {
            Uses calldata use = uses[i];
            _addUses(use.id, use.expectedVersion, use.count, use.reason);
        }
    }

    /// @inheritdoc IVoucherRegistry
    function verify(bytes32 id, bytes32 digest, uint40 time)
        external
        view
        returns (Verdict verdict, uint24 version)
    {
        Entry storage entry = _entries[id];
        VoucherHead head = entry.head;
        version = head.version();
        if (head.state() == State.None) verdict = Verdict.Unknown;
        else if (entry.digest != digest) verdict = Verdict.WrongDigest;
        else if (head.state() == State.Revoked) verdict = Verdict.Revoked;
        else if (head.state() == State.Cancelled) verdict = Verdict.Cancelled;
        else if (head.state() == State.Superseded) verdict = Verdict.Superseded;
        else if (head.flags() & FROZEN != 0) verdict = Verdict.Frozen;
        else if (head.state() == State.Suspended) verdict = Verdict.Suspended;
        else if (time > head.validUntil()) verdict = Verdict.Lapsed;
        else verdict = Verdict.Valid;
    }

    /// @inheritdoc IVoucherRegistry
    function get(bytes32 id) external view returns (Voucher memory voucher) {
        Entry storage entry = _entries[id];
        VoucherHead head = entry.head;
        return Voucher({
            holder: head.holder(),
            validUntil: head.validUntil(),
            version: head.version(),
            state: head.state(),
            flags: head.flags(),
            kind: head.kind(),
            rights: head.rights(),
            digest: entry.digest,
            maxUses: entry.maxUses,
            used: entry.used
        });
    }

    /// @inheritdoc IVoucherRegistry
    function standing(bytes32 id)
        external
        view
        returns (State state, uint8 flags, uint8 rights)
    {
        VoucherHead head = _entries[id].head;
        return (head.state(), head.flags(), head.rights());
    }

    function _issue(Issue calldata given) private {
        bytes32 id = given.id;
        Entry storage entry = _entries[id];
        uint24 version = entry.head.version();

        // Check:
        if (id == 0) revert IdZero(given.reason);
        if (version != 0) revert VersionMismatch(id, 0, version);
        if (given.holder == address(0)) revert HolderZero(id);
        if (given.validUntil == 0) revert ValidUntilNotLater(id, 0, 0);
        if (given.digest == 0) revert DigestZero(id);
        if (given.reason == 0) revert ReasonZero(id);

        // Effect:
        entry.head = VoucherHeadLibrary.issued(
            given.holder, given.validUntil, given.kind, given.rights
        );
        entry.digest = given.digest;
        if (given.maxUses != 0) entry.maxUses = given.maxUses;
        emit Changed(
            id,
            msg.sender,
            given.reason,
            Verb.Issue,
            State.None,
            State.Valid,
            1,
            given.holder,
            given.digest
        );
        emit Issued(id, given.validUntil, given.kind, given.rights, given.maxUses);
    }

    function _addUses(bytes32 id, uint24 expectedVersion, uint64 count, bytes32 reason) private {
        // Check:
        (Entry storage entry, VoucherHead head) =
            _check(id, expectedVersion, reason, Verb.AddUses, IN_VALID, FROZEN, 0);
        uint64 maxUses = entry.maxUses;
        uint64 used = entry.used;
        if (maxUses == 0) revert UsesNotLimited(id);
        if (count == 0) revert UsesZero(id);
        if (count > maxUses - used) revert UsesExceeded(id, maxUses, used, count);

        // Effect:
        entry.used = used + count;
        _enter(entry, head, id, reason, Verb.AddUses, State.Valid);
        emit UsesAdded(id, count, used + count);
    }

    /// @dev Passes only a deed that the table of legal moves allows, at the expected version.
    /// @param states Set of states in which the deed is allowed
    /// @param barred Flags none of which may be set
    /// @param needed Flags all of which must be set
    function _check(
        bytes32 id,
        uint24 expectedVersion,
        bytes32 reason,
        Verb verb,
        uint256 states,
        uint8 barred,
        uint8 needed
    ) private view returns (Entry storage entry, VoucherHead head) {
        entry = _entries[id];
        head = entry.head;
        if (reason == 0) revert ReasonZero(id);
        if (head.version() != expectedVersion) {
            revert VersionMismatch(id, expectedVersion, head.version());
        }
        bool isAllowed = head.isIn(states) && head.flags() & (barred | needed) == needed;
        if (!isAllowed) revert MoveNotAllowed(id, verb, head.state(), head.flags());
    }

    function _checkLength(uint256 length) private pure {
        if (length == 0 || length > BATCH_MAX) revert BatchOutOfRange(length, BATCH_MAX);
    }

    function _checkNewHolder(bytes32 id, address holder, address newHolder) private pure {
        if (newHolder == address(0)) revert HolderZero(id);
        if (newHolder == holder) revert HolderUnchanged(id, holder);
    }

    function _enter(
        Entry storage entry,
        VoucherHead head,
        bytes32 id,
        bytes32 reason,
        Verb verb,
        State newState
    ) private {
        _enter(entry, head, id, reason, verb, newState, entry.digest);
    }

    /// @dev Moves on to the next version and state, stores the first slot, and says so.
    function _enter(
        Entry storage entry,
        VoucherHead head,
        bytes32 id,
        bytes32 reason,
        Verb verb,
        State newState,
        bytes32 digest
    ) private {
        uint24 version = head.version() + 1;
        entry.head = head.withVersion(version).withState(newState);
        emit Changed(
            id, msg.sender, reason, verb, head.state(), newState, version, head.holder(), digest
        );
    }
}
