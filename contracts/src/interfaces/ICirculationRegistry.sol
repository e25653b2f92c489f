// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {IVoucherRegistry} from "./IVoucherRegistry.sol";

/// @title Registry of licences
/// @notice The licences granted on a voucher, numbered from 0 without gaps. A licence shows that a
/// right was granted on certain terms for a certain time, and not to whom: the licensee's address
/// is made afresh for every grant. Listings, prices and parties stay in the log.
/// @dev A licence has three versions, which are its states: 0 none, 1 granted, 2 revoked.
/// Its verdict is its own: whoever relies on a licence asks for the voucher's verdict as well.
interface ICirculationRegistry {
    /// @notice The answer to a verifier.
    enum Verdict {
        Unknown,
        WrongDigest,
        NotYet,
        Valid,
        Ended,
        Revoked
    }

    /// @notice A licence as it is stored, in two slots.
    /// @param licensee Address made for this grant
    /// @param from First second of the licence, Unix time
    /// @param until Last second of the licence, Unix time
    /// @param right The right granted: one bit of the voucher's rights
    /// @param version 0 none, 1 granted, 2 revoked
    /// @param termsDigest Digest of the terms
    struct Licence {
        address licensee;
        uint40 from;
        uint40 until;
        uint8 right;
        uint8 version;
        bytes32 termsDigest;
    }

    /// @notice A licence was granted.
    event Granted(
        bytes32 indexed voucher,
        address indexed actor,
        bytes32 indexed reason,
        uint32 n,
        uint8 version,
        address licensee,
        uint8 right,
        uint40 from,
        uint40 until,
        bytes32 termsDigest
    );

    /// @notice A licence was revoked.
    event Revoked(
        bytes32 indexed voucher,
        address indexed actor,
        bytes32 indexed reason,
        uint32 n,
        uint8 version
    );

    /// @notice The licence is not at the version the caller expects.
    error VersionMismatch(bytes32 voucher, uint32 n, uint8 expected, uint8 actual);

    /// @notice The licence was granted before, and a grant happens once.
    error AlreadyGranted(bytes32 voucher, uint32 n, uint8 version);

    /// @notice Only a licence in force can be revoked.
    error NotInForce(bytes32 voucher, uint32 n, uint8 version);

    /// @notice The number would leave a gap: the licence before it does not exist.
    error NumberNotNext(bytes32 voucher, uint32 n);

    /// @notice The voucher is not valid, or is frozen.
    error VoucherNotValid(bytes32 voucher, IVoucherRegistry.State state, uint8 flags);

    /// @notice The right is not exactly one of the voucher's rights.
    error RightNotHeld(bytes32 voucher, uint8 right, uint8 rights);

    /// @notice The licence would end before it begins.
    error PeriodEmpty(bytes32 voucher, uint32 n, uint40 from, uint40 until);

    /// @notice The licensee is the zero address.
    error LicenseeZero(bytes32 voucher, uint32 n);

    /// @notice The digest of the terms is zero.
    error DigestZero(bytes32 voucher, uint32 n);

    /// @notice No log record is named as the ground of the deed.
    error ReasonZero(bytes32 voucher, uint32 n);

    /// @notice No contract stands where the voucher registry should be.
    error VouchersMissing(address given);

    /// @notice Grant a licence on a valid voucher. Caller: LICENSOR_ROLE.
    /// @param voucher Id of the voucher
    /// @param n Number of the licence: 0, or one more than an existing one
    /// @param licensee Address made for this grant
    /// @param right One bit of the voucher's rights
    /// @param termsDigest Digest of the terms
    /// @param from First second, Unix time
    /// @param until Last second, Unix time, later than `from`
    /// @param expectedVersion 0
    /// @param reason Digest of the log record of this grant
    function grant(
        bytes32 voucher,
        uint32 n,
        address licensee,
        uint8 right,
        bytes32 termsDigest,
        uint40 from,
        uint40 until,
        uint8 expectedVersion,
        bytes32 reason
    ) external;

    /// @notice Revoke a licence, for good. Caller: LICENSOR_ROLE.
    /// @dev Whatever has become of the voucher.
    function revoke(bytes32 voucher, uint32 n, uint8 expectedVersion, bytes32 reason) external;

    /// @notice What a licence on these terms is worth at a time of the verifier's choice.
    /// @dev The first that applies: Unknown, WrongDigest, Revoked, NotYet (`time` < `from`), Ended
    /// (`time` > `until`), Valid. `block.timestamp` plays no part.
    function verify(bytes32 voucher, uint32 n, bytes32 termsDigest, uint40 time)
        external
        view
        returns (Verdict verdict, uint8 version);

    /// @notice The whole licence; all zero when there is none.
    function get(bytes32 voucher, uint32 n) external view returns (Licence memory licence);

    // slither-disable-start naming-convention (getters of constants bear the constants' names)

    /// @notice The registry whose vouchers are licensed here.
    function VOUCHERS() external view returns (IVoucherRegistry);

    /// @notice The role that grants and revokes licences.
    function LICENSOR_ROLE() external view returns (bytes32);

    // slither-disable-end naming-convention
}
