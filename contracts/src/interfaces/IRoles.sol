// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// @title Roles shared by all contracts of the ledger
/// @notice Authority comes from roles only. The admin grants and takes them (OpenZeppelin
/// AccessControl); a role is never held by the zero address.
interface IRoles {
    /// @notice A role was to be given to the zero address.
    error RoleHolderZero(bytes32 role);
}
