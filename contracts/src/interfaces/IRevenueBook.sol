// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

/// @title Book of approved revenue statements
/// @notice Shows that a statement of revenue distribution was proposed by one key and approved by
/// others. It knows no amounts and moves no money.
/// @dev A statement's content is two digests: `digest`, of the statement, and `lineRoot`, the
/// Merkle root over its lines (leaf = SHA-256(0x00 ‖ salt16 ‖ canonical line)). Both stand in the
/// event; the state keeps one word that binds the pair, `seal = keccak256(digest ‖ lineRoot)`, and
/// `verify` compares.
///
///     from       verb                        to
///     None       propose                     Proposed
///     Proposed   approve, more needed        Proposed
///     Proposed   approve, the last needed    Approved; a statement it reverses: Reversed
///     Proposed   withdraw                    Withdrawn
///
/// Every deed names the version it expects to find and leaves it one higher. An approved statement
/// is never changed; it is reversed by another statement that names it, once.
interface IRevenueBook {
    /// @notice The state of a statement.
    enum State {
        None,
        Proposed,
        Approved,
        Withdrawn,
        Reversed
    }

    /// @notice A statement as it is stored: two slots, and a third when it reverses another.
    /// @param proposer Key that proposed it
    /// @param version 1 after the proposal, one more after every deed
    /// @param state See `State`
    /// @param approvalsRequired How many checkers must sign, 1 to 3
    /// @param approvals How many have signed
    /// @param isReversal Whether `reverses` is set
    /// @param seal keccak256(digest ‖ lineRoot)
    /// @param reverses Id of the statement that this one reverses, or 0
    struct Statement {
        address proposer;
        uint24 version;
        State state;
        uint8 approvalsRequired;
        uint8 approvals;
        bool isReversal;
        bytes32 seal;
        bytes32 reverses;
    }

    /// @notice A deed was done to a statement. Every deed emits exactly one of these per statement.
    /// @param version The version after the deed
    event Changed(
        bytes32 indexed id,
        address indexed actor,
        bytes32 indexed reason,
        State oldState,
        State newState,
        uint24 version
    );

    /// @notice The content of a proposed statement; follows its `Changed`.
    event Proposed(
        bytes32 indexed id,
        bytes32 digest,
        bytes32 lineRoot,
        uint8 approvalsRequired,
        bytes32 reverses
    );

    /// @notice A checker's signature was counted; follows its `Changed`.
    /// @param approvals Signatures counted so far
    event Approved(bytes32 indexed id, address indexed checker, uint8 approvals);

    /// @notice A statement was reversed by another; follows its `Changed`.
    event Reversed(bytes32 indexed id, bytes32 indexed by);

    /// @notice The statement is not at the version the caller expects.
    error VersionMismatch(bytes32 id, uint24 expected, uint24 actual);

    /// @notice The statement's state bars this deed.
    error StateMismatch(bytes32 id, State needed, State actual);

    /// @notice The zero digest is no statement id.
    error IdZero(bytes32 reason);

    /// @notice The digest of the statement is zero.
    error DigestZero(bytes32 id);

    /// @notice The root of the statement's lines is zero.
    error LineRootZero(bytes32 id);

    /// @notice No log record is named as the ground of the deed.
    error ReasonZero(bytes32 id);

    /// @notice One to three approvals can be required.
    error ApprovalsOutOfRange(bytes32 id, uint8 approvalsRequired);

    /// @notice The digest and the line root are not those that were proposed.
    error ContentMismatch(bytes32 id, bytes32 proposed, bytes32 given);

    /// @notice A checker must not be the proposer.
    error CheckerIsProposer(bytes32 id, address checker);

    /// @notice A checker counts once.
    error CheckerCounted(bytes32 id, address checker);

    /// @notice The checker's signature is too late.
    error DeadlinePassed(bytes32 id, uint256 deadline, uint256 time);

    /// @notice The signature over this approval is somebody else's, or over something else.
    error SignerMismatch(bytes32 id, address checker, address recovered);

    /// @notice Only the proposer withdraws.
    error NotProposer(bytes32 id, address proposer, address actor);

    /// @notice At deployment one to sixteen checkers are named.
    error CheckersOutOfRange(uint256 length, uint256 max);

    /// @notice Propose a statement. Caller: MAKER_ROLE.
    /// @param id Digest of the statement number, not used before
    /// @param digest Digest of the statement
    /// @param lineRoot Merkle root over its lines
    /// @param approvalsRequired How many checkers must sign, 1 to 3
    /// @param reverses Id of an approved statement that this one reverses, or 0
    /// @param expectedVersion 0
    /// @param reason Digest of the log record of this proposal
    function propose(
        bytes32 id,
        bytes32 digest,
        bytes32 lineRoot,
        uint8 approvalsRequired,
        bytes32 reverses,
        uint24 expectedVersion,
        bytes32 reason
    ) external;

    /// @notice Hand in a checker's approval. Caller: MAKER_ROLE; what counts is the signature.
    /// @dev The checker holds CHECKER_ROLE, is not the proposer and has not signed before. He signs,
    /// under EIP-712 with the domain ("Shuzheng RevenueBook", "1", chain id, this contract):
    ///
    ///     Approval(bytes32 id,bytes32 digest,bytes32 lineRoot,uint8 approvalsRequired,
    ///              bytes32 reverses,uint24 version,uint256 nonce,uint256 deadline)
    ///
    /// without the line break, where `version` is the version he found and `nonce` his own.
    /// @param id Id of the statement
    /// @param expectedVersion The version the checker found
    /// @param digest Digest of the statement, as proposed
    /// @param lineRoot Merkle root over its lines, as proposed
    /// @param checker The key that signed
    /// @param deadline Last second at which the signature counts, Unix time
    /// @param signature 65 bytes r ‖ s ‖ v, s in the lower half
    /// @param reason Digest of the log record of this approval
    function approve(
        bytes32 id,
        uint24 expectedVersion,
        bytes32 digest,
        bytes32 lineRoot,
        address checker,
        uint256 deadline,
        bytes calldata signature,
        bytes32 reason
    ) external;

    /// @notice Withdraw a statement that is not yet approved. Caller: MAKER_ROLE, its proposer.
    function withdraw(bytes32 id, uint24 expectedVersion, bytes32 reason) external;

    /// @notice The state of a statement, if it has this content.
    /// @dev `matches` is false when there is no such statement, and when the content differs.
    function verify(bytes32 id, bytes32 digest, bytes32 lineRoot)
        external
        view
        returns (bool matches, State state, uint24 version);

    /// @notice The whole statement; all zero when there is none.
    function get(bytes32 id) external view returns (Statement memory statement);

    /// @notice What a checker has to sign for the statement as it stands now.
    /// @dev Reverts with ContentMismatch unless the content is what was proposed.
    function approvalDigest(
        bytes32 id,
        bytes32 digest,
        bytes32 lineRoot,
        address checker,
        uint256 deadline
    ) external view returns (bytes32);

    // slither-disable-start naming-convention (getters of constants bear the constants' names)

    /// @notice The role that proposes, withdraws and hands in approvals.
    function MAKER_ROLE() external view returns (bytes32);

    /// @notice The role whose signature approves.
    function CHECKER_ROLE() external view returns (bytes32);

    // slither-disable-end naming-convention
}
