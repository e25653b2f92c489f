// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

import {IRoles} from "./interfaces/IRoles.sol";

/// @title Access control that never gives a role to the zero address
abstract contract Roles is AccessControl, IRoles {
    /// @param admin The key that may grant and take every role
    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @dev Refuses the zero address, in the constructors and in `grantRole` alike.
    function _grantRole(bytes32 role, address account) internal override returns (bool) {
        // Check:
        if (account == address(0)) revert RoleHolderZero(role);

        // Effect:
        return super._grantRole(role, account);
    }
}
