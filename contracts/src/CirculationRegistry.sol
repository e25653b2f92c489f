// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {Roles} from "./Roles.sol";
import {ICirculationRegistry} from "./interfaces/ICirculationRegistry.sol";
import {IVoucherRegistry} from "./interfaces/IVoucherRegistry.sol";
import {FROZEN} from "./types/VoucherHead.sol";

/// @title Registry of licences
contract CirculationRegistry is ICirculationRegistry, Roles {
    /// @inheritdoc ICirculationRegistry
    bytes32 public constant LICENSOR_ROLE = keccak256("LICENSOR_ROLE");

    /// @inheritdoc ICirculationRegistry
    // slither-disable-next-line naming-convention (an immutable is written like a constant)
    IVoucherRegistry public immutable VOUCHERS;

    uint8 private constant GRANTED = 1;
    uint8 private constant REVOKED = 2;

    mapping(bytes32 voucher => mapping(uint32 n => Licence)) private _licences;

    /// @param admin Key that grants and takes roles
    /// @param licensor Key that grants and revokes licences
    /// @param vouchers The registry whose vouchers are licensed here
    constructor(address admin, address licensor, IVoucherRegistry vouchers) Roles(admin) {
        // Check:
        if (address(vouchers).code.length == 0) revert VouchersMissing(address(vouchers));

        // Effect:
        VOUCHERS = vouchers;
        _grantRole(LICENSOR_ROLE, licensor);
    }

    /// @inheritdoc ICirculationRegistry
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
    ) external onlyRole(LICENSOR_ROLE) {
        Licence storage licence = _licences[voucher][n];

        // Check:
        uint8 version = licence.version;
        if (reason == 0) revert ReasonZero(voucher, n);
        if (version != expectedVersion) {
            revert VersionMismatch(voucher, n, expectedVersion, version);
        }
        if (version != 0) revert AlreadyGranted(voucher, n, version);
        if (n != 0 && _licences[voucher][n - 1].version == 0) revert NumberNotNext(voucher, n);
        if (licensee == address(0)) revert LicenseeZero(voucher, n);
        if (termsDigest == 0) revert DigestZero(voucher, n);
        if (until <= from) revert PeriodEmpty(voucher, n, from, until);
        _checkVoucher(voucher, right);

        // Effect:
        licence.licensee = licensee;
        licence.from = from;
        licence.until = until;
        licence.right = right;
        licence.version = GRANTED;
        licence.termsDigest = termsDigest;
        emit Granted(
            voucher, msg.sender, reason, n, GRANTED, licensee, right, from, until, termsDigest
        );
    }

    /// @inheritdoc ICirculationRegistry
    function revoke(bytes32 voucher, uint32 n, uint8 expectedVersion, bytes32 reason)
        external
        onlyRole(LICENSOR_ROLE)
    {
        Licence storage licence = _licences[voucher][n];

        // Check:
        uint8 version = licence.version;
        if (reason == 0) revert ReasonZero(voucher, n);
        if (version != expectedVersion) {
            revert VersionMismatch(voucher, n, expectedVersion, version);
        }
        if (version != GRANTED) revert NotInForce(voucher, n, version);

        // Effect:
        licence.version = REVOKED;
        emit Revoked(voucher, msg.sender, reason, n, REVOKED);
    }

    /// @inheritdoc ICirculationRegistry
    function verify(bytes32 voucher, uint32 n, bytes32 termsDigest, uint40 time)
        external
        view
        returns (Verdict verdict, uint8 version)
    {
        Licence storage licence = _licences[voucher][n];
        version = licence.version;
        if (version == 0) verdict = Verdict.Unknown;
        else if (licence.termsDigest != termsDigest) verdict = Verdict.WrongDigest;
        else if (version == REVOKED) verdict = Verdict.Revoked;
        else if (time < licence.from) verdict = Verdict.NotYet;
        else if (time > licence.until) verdict = Verdict.Ended;
        else verdict = Verdict.Valid;
    }

    /// @inheritdoc ICirculationRegistry
    function get(bytes32 voucher, uint32 n) external view returns (Licence memory licence) {
        return _licences[voucher][n];
    }

    /// @dev The only call to another contract: a view of the registry fixed at deployment.
    function _checkVoucher(bytes32 voucher, uint8 right) private view {
        // Interaction:
        (IVoucherRegistry.State state, uint8 flags, uint8 rights) = VOUCHERS.standing(voucher);

        // Check:
        if (state != IVoucherRegistry.State.Valid || flags & FROZEN != 0) {
            revert VoucherNotValid(voucher, state, flags);
        }
        if (right & rights == 0 || right & (right - 1) != 0) {
            revert RightNotHeld(voucher, right, rights);
        }
    }
}
