// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// @title Registry of vouchers
/// @notice What others must be able to check about a voucher without us: who holds it, under which
/// digest, until when, in which state. A voucher is no token: its holder is a registered party and
/// changes hands through the registrar only.
/// @dev `id` is the digest of the voucher number; `digest` is SHA-256 of the credential in canonical
/// form; `reason` is the digest of the log record that carries the ground of the deed.
///
/// Every call on a voucher names the version it expects to find, and leaves the version one higher.
/// The legal moves (P pledged, F frozen):
///
///     verb              from                        to            bars    needs
///     issue             None                        Valid
///     suspend           Valid                       Suspended
///     resume            Suspended                   Valid         F
///     revoke            Valid, Suspended            Revoked
///     cancel            Valid, Suspended            Cancelled     P, F
///     renew             Valid                       same          F
///     supersede         Valid                       Superseded    P, F
///     transfer          Valid                       same          P, F
///     pledge            Valid                       same, +P      P, F
///     release           Valid, Suspended            same, -P      F       P
///     freeze            Valid, Suspended            same, +F      F
///     unfreeze          any                         same, -F              F
///     replaceHolderKey  Valid, Suspended            same          F
///     addUses           Valid                       same          F
///
/// Revoked, Cancelled and Superseded are final. A voucher revoked while pledged or frozen keeps
/// those flags as they were. Lapsed is no state: it follows from `validUntil` and the time at which
/// somebody asks.
interface IVoucherRegistry {
    /// @notice The state of a voucher.
    enum State {
        None,
        Valid,
        Suspended,
        Revoked,
        Cancelled,
        Superseded
    }

    /// @notice What was done to a voucher.
    enum Verb {
        Issue,
        Suspend,
        Resume,
        Revoke,
        Cancel,
        Renew,
        Supersede,
        Transfer,
        Pledge,
        Release,
        Freeze,
        Unfreeze,
        ReplaceHolderKey,
        AddUses
    }

    /// @notice The answer to a verifier.
    enum Verdict {
        Unknown,
        WrongDigest,
        Valid,
        Lapsed,
        Suspended,
        Frozen,
        Revoked,
        Cancelled,
        Superseded
    }

    /// @notice A voucher as it is stored: one slot, one slot, and a third when its uses are limited.
    /// @param holder Address of the holder
    /// @param validUntil Last second of validity, Unix time
    /// @param version 1 after the issue, one more after every deed
    /// @param state See `State`
    /// @param flags Bit 0 pledged, bit 1 frozen
    /// @param kind Kind of voucher, numbered by the ledger
    /// @param rights Rights the voucher conveys, one bit each, numbered by the ledger
    /// @param digest SHA-256 of the credential
    /// @param maxUses Permitted number of uses, 0 for unlimited
    /// @param used Uses counted so far
    struct Voucher {
        address holder;
        uint40 validUntil;
        uint24 version;
        State state;
        uint8 flags;
        uint8 kind;
        uint8 rights;
        bytes32 digest;
        uint64 maxUses;
        uint64 used;
    }

    /// @notice The particulars of a voucher to be issued.
    /// @param id Digest of the voucher number, not used before
    /// @param holder Address of the holder
    /// @param validUntil Last second of validity, Unix time
    /// @param kind Kind of voucher
    /// @param rights Rights, one bit each
    /// @param maxUses Permitted number of uses, 0 for unlimited
    /// @param digest SHA-256 of the credential
    /// @param reason Digest of the log record of this issue
    struct Issue {
        bytes32 id;
        address holder;
        uint40 validUntil;
        uint8 kind;
        uint8 rights;
        uint64 maxUses;
        bytes32 digest;
        bytes32 reason;
    }

    /// @notice A number of uses to be counted on one voucher.
    struct Uses {
        bytes32 id;
        uint24 expectedVersion;
        uint64 count;
        bytes32 reason;
    }

    /// @notice A deed was done to a voucher. Every deed emits exactly one of these per voucher.
    /// @param version The version after the deed
    /// @param holder The holder after the deed
    /// @param digest The digest after the deed
    event Changed(
        bytes32 indexed id,
        address indexed actor,
        bytes32 indexed reason,
        Verb verb,
        State oldState,
        State newState,
        uint24 version,
        address holder,
        bytes32 digest
    );

    /// @notice Particulars of an issue; follows its `Changed`.
    event Issued(
        bytes32 indexed id, uint40 validUntil, uint8 kind, uint8 rights, uint64 maxUses
    );

    /// @notice Particulars of a renewal; follows its `Changed`.
    event Renewed(bytes32 indexed id, uint40 validUntil);

    /// @notice One voucher that stands in place of another; follows the other's `Changed`.
    event SucceededBy(bytes32 indexed id, bytes32 indexed successor);

    /// @notice Particulars of counted uses; follows its `Changed`.
    /// @param count Uses added
    /// @param used Uses counted in all
    event UsesAdded(bytes32 indexed id, uint64 count, uint64 used);

    /// @notice The voucher is not at the version the caller expects (an issue expects 0).
    error VersionMismatch(bytes32 id, uint24 expected, uint24 actual);

    /// @notice The table of legal moves bars this deed in this state with these flags.
    error MoveNotAllowed(bytes32 id, Verb verb, State state, uint8 flags);

    /// @notice The zero digest is no voucher id.
    error IdZero(bytes32 reason);

    /// @notice The holder is the zero address.
    error HolderZero(bytes32 id);

    /// @notice The digest of the credential is zero.
    error DigestZero(bytes32 id);

    /// @notice No log record is named as the ground of the deed.
    error ReasonZero(bytes32 id);

    /// @notice The new holder is the present one.
    error HolderUnchanged(bytes32 id, address holder);

    /// @notice The end of validity is not later than the present one (0 before the issue).
    error ValidUntilNotLater(bytes32 id, uint40 known, uint40 given);

    /// @notice The uses of this voucher are not limited, hence not counted.
    error UsesNotLimited(bytes32 id);

    /// @notice No uses to add.
    error UsesZero(bytes32 id);

    /// @notice More uses than are left.
    error UsesExceeded(bytes32 id, uint64 maxUses, uint64 used, uint64 count);

    /// @notice A batch, or a list of successors, is empty or too long for one transaction.
    error BatchOutOfRange(uint256 length, uint256 max);

    /// @notice Issue a voucher. Caller: REGISTRAR_ROLE.
    function issue(Issue calldata voucher) external;

    /// @notice Issue 1 to BATCH_MAX vouchers, all or none. Caller: REGISTRAR_ROLE.
    function issueMany(Issue[] calldata vouchers) external;

    /// @notice Suspend a valid voucher. Caller: REGISTRAR_ROLE.
    function suspend(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Lift a suspension. Caller: REGISTRAR_ROLE.
    function resume(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Revoke a voucher (撤销), for good. Caller: REGISTRAR_ROLE.
    function revoke(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Cancel a voucher at its holder's wish (注销), for good. Caller: REGISTRAR_ROLE.
    function cancel(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Extend a voucher's validity under a new credential. Caller: REGISTRAR_ROLE.
    function renew(
        bytes32 id,
        uint24 expectedVersion,
        uint40 newValidUntil,
        bytes32 newDigest,
        bytes32 reason
    ) external;

    /// @notice Put 1 to BATCH_MAX new vouchers in place of an old one; a split by right is this with
    /// one successor for each right. Caller: REGISTRAR_ROLE.
    function supersede(
        bytes32 id,
        uint24 expectedVersion,
        Issue[] calldata successors,
        bytes32 reason
    ) external;

    /// @notice Give the voucher to another holder under a new credential. Caller: REGISTRAR_ROLE.
    function transfer(
        bytes32 id,
        uint24 expectedVersion,
        address newHolder,
        bytes32 newDigest,
        bytes32 reason
    ) external;

    /// @notice Mark the voucher as pledged. Caller: REGISTRAR_ROLE.
    function pledge(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Take the pledge mark away. Caller: REGISTRAR_ROLE.
    function release(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Freeze the voucher. Caller: REGULATOR_ROLE.
    function freeze(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Lift a freeze. Caller: REGULATOR_ROLE.
    function unfreeze(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice Put a new address in place of the one whose key the holder lost; the holder stays
    /// the same party, the credential too. Caller: REGISTRAR_ROLE.
    function replaceHolderKey(
        bytes32 id,
        uint24 expectedVersion,
        address newHolder,
        bytes32 reason
    ) external;

    /// @notice Count uses on a voucher whose uses are limited. Caller: REGISTRAR_ROLE.
    function addUses(bytes32 id, uint24 expectedVersion, uint64 count, bytes32 reason) external;

    /// @notice Count uses, 1 to BATCH_MAX times, all or none. Caller: REGISTRAR_ROLE.
    function addUsesMany(Uses[] calldata uses) external;

    /// @notice What a credential with this digest is worth at a time of the verifier's choice.
    /// @dev The first that applies: Unknown, WrongDigest, Revoked, Cancelled, Superseded, Frozen,
    /// Suspended, Lapsed (`time` > `validUntil`), Valid. `block.timestamp` plays no part.
    /// @param id Digest of the voucher number
    /// @param digest SHA-256 of the credential in the verifier's hands
    /// @param time Unix time
    function verify(bytes32 id, bytes32 digest, uint40 time)
        external
        view
        returns (Verdict verdict, uint24 version);

    /// @notice The whole voucher; all zero when there is none.
    function get(bytes32 id) external view returns (Voucher memory voucher);

    /// @notice What a licence depends on, read from one slot.
    function standing(bytes32 id)
        external
        view
        returns (State state, uint8 flags, uint8 rights);

    // slither-disable-start naming-convention (getters of constants bear the constants' names)

    /// @notice The longest batch: its dearest form stays below what one transaction may cost
    /// (EIP-7825).
    function BATCH_MAX() external view returns (uint256);

    /// @notice The role that keeps the register.
    function REGISTRAR_ROLE() external view returns (bytes32);

    /// @notice The role that freezes and unfreezes.
    function REGULATOR_ROLE() external view returns (bytes32);

    // slither-disable-end naming-convention
}
