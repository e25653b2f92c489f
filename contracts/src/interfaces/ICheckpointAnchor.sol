// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// @title Anchor of the ledger's checkpoints
/// @notice Holds the root of the append-only log at every anchored size, for ever, and accepts a
/// new root only with a proof (RFC 9162 §2.1.4) that the log has merely grown since the last one.
/// @dev The old size and the old root come from storage, never from the caller.
///
/// What a consistency proof does not bind: it binds the content of the old tree as a prefix of
/// the new tree, under the shape that the two claimed sizes give. It does not prove that the new
/// tree really has as many leaves as is claimed. Who audits the log recomputes the root from all
/// leaves; and the sender checks the proof before sending, since a wrong root, once accepted,
/// would leave no honest successor.
interface ICheckpointAnchor {
    /// @notice A checkpoint was accepted.
    /// @param size Number of leaves of the accepted tree
    /// @param root Merkle root of the accepted tree
    /// @param actor The key that sent it
    /// @param oldSize Number of leaves anchored before, 0 for the first checkpoint
    event Anchored(
        uint64 indexed size, bytes32 indexed root, address indexed actor, uint64 oldSize
    );

    /// @notice The log must grow: the new size is not larger than the anchored one.
    error SizeNotLarger(uint64 anchored, uint64 given);

    /// @notice The root is zero, which here means "not anchored".
    error RootZero(uint64 size);

    /// @notice The proof ended before the new root was reached.
    error ProofTooShort(uint64 oldSize, uint64 newSize, uint256 length);

    /// @notice The proof has elements that lead nowhere.
    /// @param used Number of elements after which the new root was reached
    /// @param length Number of elements given
    error ProofTooLong(uint64 oldSize, uint64 newSize, uint256 used, uint256 length);

    /// @notice The proof does not lead to the anchored root: the history was rewritten.
    error OldRootMismatch(uint64 oldSize, bytes32 anchored, bytes32 computed);

    /// @notice The proof does not lead to the root that is to be anchored.
    error NewRootMismatch(uint64 newSize, bytes32 given, bytes32 computed);

    /// @notice Anchor the log at a larger size. Caller: ANCHOR_ROLE.
    /// @dev The first checkpoint has nothing to be consistent with: its proof must be empty.
    /// Every later proof holds the hashes of RFC 9162 §2.1.4.1 in their order, and each of them
    /// must be needed.
    /// @param newSize Number of leaves, larger than the anchored size
    /// @param newRoot Merkle root at that size
    /// @param proof Consistency proof from the anchored size to `newSize`
    function anchor(uint64 newSize, bytes32 newRoot, bytes32[] calldata proof) external;

    /// @notice The last accepted checkpoint; (0, 0) before the first.
    function latest() external view returns (uint64 size, bytes32 root);

    /// @notice The root anchored at a size; zero when no checkpoint of that size was accepted.
    function rootOf(uint64 size) external view returns (bytes32 root);

    /// @notice Whether a leaf stands at an index of the tree anchored at a size
    /// (RFC 9162 §2.1.3.2).
    /// @dev False also when no checkpoint of that size was accepted, when the index lies outside
    /// the tree, and when the proof has a surplus or a missing element.
    /// @param size An anchored size
    /// @param index Index of the leaf, from 0
    /// @param leafHash SHA-256(0x00 ‖ entry)
    /// @param proof Inclusion proof, from the leaf upwards
    function includes(uint64 size, uint64 index, bytes32 leafHash, bytes32[] calldata proof)
        external
        view
        returns (bool);

    /// @notice The role that may anchor.
    // slither-disable-next-line naming-convention (the getter of a constant bears its name)
    function ANCHOR_ROLE() external view returns (bytes32);
}
