// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {Roles} from "./Roles.sol";
import {ICheckpointAnchor} from "./interfaces/ICheckpointAnchor.sol";

/// @title Anchor of the ledger's checkpoints
/// @dev No proof is long enough to matter: each turn of a loop over one takes a bit from `last`,
/// which has 64, and ends the loop when none is left.
contract CheckpointAnchor is ICheckpointAnchor, Roles {
    /// @inheritdoc ICheckpointAnchor
    bytes32 public constant ANCHOR_ROLE = keccak256("ANCHOR_ROLE");

    /// @inheritdoc ICheckpointAnchor
    mapping(uint64 size => bytes32 root) public rootOf;

    uint64 private _latestSize;

    /// @param admin Key that grants and takes roles
    /// @param anchorer Key that anchors
    constructor(address admin, address anchorer) Roles(admin) {
        _grantRole(ANCHOR_ROLE, anchorer);
    }

    /// @inheritdoc ICheckpointAnchor
    function anchor(uint64 newSize, bytes32 newRoot, bytes32[] calldata proof)
        external
        onlyRole(ANCHOR_ROLE)
    {
        uint64 oldSize = _latestSize;

        // Check:
        if (newSize <= oldSize) revert SizeNotLarger(oldSize, newSize);
        if (newRoot == 0) revert RootZero(newSize);
        if (oldSize == 0) {
            if (proof.length != 0) revert ProofTooLong(0, newSize, 0, proof.length);
        } else {
            _checkConsistency(oldSize, newSize, rootOf[oldSize], newRoot, proof);
        }

        // Effect:
        _latestSize = newSize;
        rootOf[newSize] = newRoot;
        emit Anchored(newSize, newRoot, msg.sender, oldSize);
    }

    /// @inheritdoc ICheckpointAnchor
    function latest() external view returns (uint64 size, bytes32 root) {
        size = _latestSize;
        root = rootOf[size];
    }

    /// @inheritdoc ICheckpointAnchor
    function includes(uint64 size, uint64 index, bytes32 leafHash, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        bytes32 root = rootOf[size];
        if (root == 0 || index >= size) return false;

        // RFC 9162 §2.1.3.2: `node` climbs from the leaf, `last` is the right-most node beside it.
        uint256 node = index;
        uint256 last = size - 1;
        bytes32 hash = leafHash;
        for (uint256 i = 0; i < proof.length; ++i) {
            if (last == 0) return false;
            if (node & 1 == 1 || node == last) {
                hash = _hashChildren(proof[i], hash);
                while (node & 1 == 0 && node != 0) {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = _hashChildren(hash, proof[i]);
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }

    /// @dev RFC 9162 §2.1.4.2, for 0 < oldSize < newSize. `node` and `last` are the RFC's fn and
    /// sn, `oldHash` and `newHash` its fr and sr.
    function _checkConsistency(
        uint64 oldSize,
        uint64 newSize,
        bytes32 oldRoot,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) private view {
        unchecked {
            uint256 node = oldSize - 1;
            uint256 last = newSize - 1;
            while (node & 1 == 1) {
                node >>= 1;
                last >>= 1;
            }

            // An old tree of 2^k leaves is itself the first node: its root opens the path.
            uint256 i = 0;
            bytes32 oldHash = oldRoot;
            if (node != 0) {
                if (proof.length == 0) revert ProofTooShort(oldSize, newSize, 0);
                oldHash = proof[0];
                i = 1;
            }
            bytes32 newHash = oldHash;

            for (; i < proof.length; ++i) {
                bytes32 sibling = proof[i];
                if (last == 0) revert ProofTooLong(oldSize, newSize, i, proof.length);
                if (node & 1 == 1 || node == last) {
                    oldHash = _hashChildren(sibling, oldHash);
                    newHash = _hashChildren(sibling, newHash);
                    while (node & 1 == 0 && node != 0) {
                        node >>= 1;
                        last >>= 1;
                    }
                } else {
                    newHash = _hashChildren(newHash, sibling);
                }
                node >>= 1;
                last >>= 1;
            }

            // Check:
            if (last != 0) revert ProofTooShort(oldSize, newSize, proof.length);
            if (oldHash != oldRoot) revert OldRootMismatch(oldSize, oldRoot, oldHash);
            if (newHash != newRoot) revert NewRootMismatch(newSize, newRoot, newHash);
        }
    }

    /// @dev SHA-256(0x01 ‖ left ‖ right) by the precompile at address 2, over 65 bytes written
    /// beyond the free memory pointer. Same as `sha256(abi.encodePacked(hex"01", left, right))`
    /// at a third of the price. Reverts if the precompile fails, which only lack of gas can cause.
    function _hashChildren(bytes32 left, bytes32 right) private view returns (bytes32 parent) {
        // slither-disable-next-line assembly (the only one; a third of the price, as said above)
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 1)
            mstore(add(input, 1), left)
            mstore(add(input, 33), right)
            if iszero(staticcall(gas(), 2, input, 65, 0, 32)) { revert(0, 0) }
            parent := mload(0)
        }
    }
}
