// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {IVoucherRegistry} from "../interfaces/IVoucherRegistry.sol";

/// @dev Bits of a voucher's flags.
uint8 constant PLEDGED = 1;
uint8 constant FROZEN = 2;

/// @title The first slot of a voucher, as one word
/// @dev A deed reads it once and writes it once. From the lowest bit:
///
///     bits  0..159   160..199     200..223   224..231   232..239   240..247   248..255
///           holder   validUntil   version    state      flags      kind       rights
type VoucherHead is uint256;

using VoucherHeadLibrary for VoucherHead global;

library VoucherHeadLibrary {
    uint256 private constant VALID_UNTIL = 160;
    uint256 private constant VERSION = 200;
    uint256 private constant STATE = 224;
    uint256 private constant FLAGS = 232;
    uint256 private constant KIND = 240;
    uint256 private constant RIGHTS = 248;

    uint256 private constant ADDRESS_MASK = type(uint160).max;
    uint256 private constant UINT40_MASK = type(uint40).max;
    uint256 private constant UINT24_MASK = type(uint24).max;
    uint256 private constant UINT8_MASK = type(uint8).max;

    /// @notice The head of a voucher just issued: version 1, valid, no flags.
    function issued(address holder_, uint40 validUntil_, uint8 kind_, uint8 rights_)
        internal
        pure
        returns (VoucherHead)
    {
        return VoucherHead.wrap(
            uint256(uint160(holder_)) | uint256(validUntil_) << VALID_UNTIL
                | uint256(1) << VERSION | uint256(IVoucherRegistry.State.Valid) << STATE
                | uint256(kind_) << KIND | uint256(rights_) << RIGHTS
        );
    }

    function holder(VoucherHead head) internal pure returns (address) {
        return address(uint160(VoucherHead.unwrap(head)));
    }

    function validUntil(VoucherHead head) internal pure returns (uint40) {
        return uint40(VoucherHead.unwrap(head) >> VALID_UNTIL);
    }

    function version(VoucherHead head) internal pure returns (uint24) {
        return uint24(VoucherHead.unwrap(head) >> VERSION);
    }

    function state(VoucherHead head) internal pure returns (IVoucherRegistry.State) {
        return IVoucherRegistry.State(uint8(VoucherHead.unwrap(head) >> STATE));
    }

    /// @notice Whether the state is one of a set: bit s of `states` stands for state number s.
    function isIn(VoucherHead head, uint256 states) internal pure returns (bool) {
        return states >> (VoucherHead.unwrap(head) >> STATE & UINT8_MASK) & 1 == 1;
    }

    function flags(VoucherHead head) internal pure returns (uint8) {
        return uint8(VoucherHead.unwrap(head) >> FLAGS);
    }

    function kind(VoucherHead head) internal pure returns (uint8) {
        return uint8(VoucherHead.unwrap(head) >> KIND);
    }

    function rights(VoucherHead head) internal pure returns (uint8) {
        return uint8(VoucherHead.unwrap(head) >> RIGHTS);
    }

    function withHolder(VoucherHead head, address holder_) internal pure returns (VoucherHead) {
        return _with(head, 0, ADDRESS_MASK, uint160(holder_));
    }

    function withValidUntil(VoucherHead head, uint40 validUntil_)
        internal
        pure
        returns (VoucherHead)
    {
        return _with(head, VALID_UNTIL, UINT40_MASK, validUntil_);
    }

    function withVersion(VoucherHead head, uint24 version_) internal pure returns (VoucherHead) {
        return _with(head, VERSION, UINT24_MASK, version_);
    }

    function withState(VoucherHead head, IVoucherRegistry.State state_)
        internal
        pure
        returns (VoucherHead)
    {
        return _with(head, STATE, UINT8_MASK, uint256(state_));
    }

    function withFlags(VoucherHead head, uint8 flags_) internal pure returns (VoucherHead) {
        return _with(head, FLAGS, UINT8_MASK, flags_);
    }

    function _with(VoucherHead head, uint256 shift, uint256 mask, uint256 value)
        private
        pure
        returns (VoucherHead)
    {
        return VoucherHead.wrap(VoucherHead.unwrap(head) & ~(mask << shift) | value << shift);
    }
}
