// SPDX-License-Identifier: UNLICENSED
pragma solidity 0.8.37;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Roles} from "./Roles.sol";
import {IRevenueBook} from "./interfaces/IRevenueBook.sol";

/// @title Book of approved revenue statements
contract RevenueBook is IRevenueBook, Roles, EIP712, Nonces {
    /// @inheritdoc IRevenueBook
    bytes32 public constant MAKER_ROLE = keccak256("MAKER_ROLE");
    /// @inheritdoc IRevenueBook
    bytes32 public constant CHECKER_ROLE = keccak256("CHECKER_ROLE");

    bytes32 private constant APPROVAL_TYPEHASH = keccak256(
        "Approval(bytes32 id,bytes32 digest,bytes32 lineRoot,uint8 approvalsRequired,"
        "bytes32 reverses,uint24 version,uint256 nonce,uint256 deadline)"
    );

    uint8 private constant APPROVALS_MAX = 3;
    uint256 private constant CHECKERS_MAX = 16;

    mapping(bytes32 id => Statement) private _statements;

    /// @dev Who has signed while more signatures were needed; the last signer need not be kept.
    mapping(bytes32 id => mapping(address checker => bool)) private _counted;

    /// @param admin Key that grants and takes roles
    /// @param maker Key that proposes
    /// @param checkers Keys whose signatures approve, 1 to 16
    constructor(address admin, address maker, address[] memory checkers)
        Roles(admin)
        EIP712("Shuzheng RevenueBook", "1")
    {
        // Check:
        uint256 count = checkers.length;
        if (count == 0 || count > CHECKERS_MAX) revert CheckersOutOfRange(count, CHECKERS_MAX);

        // Effect:
        _grantRole(MAKER_ROLE, maker);
        for (uint256 i = 0; i < count; ++i) {
            _grantRole(CHECKER_ROLE, checkers[i]);
        }
    }

    /// @inheritdoc IRevenueBook
    function propose(
        bytes32 id,
        bytes32 digest,
        bytes32 lineRoot,
        uint8 approvalsRequired,
        bytes32 reverses,
        uint24 expectedVersion,
        bytes32 reason
    ) external onlyRole(MAKER_ROLE) {
        // Check:
        if (id == 0) revert IdZero(reason);
        Statement storage statement = _check(id, expectedVersion, reason, State.None);
        if (digest == 0) revert DigestZero(id);
        if (lineRoot == 0) revert LineRootZero(id);
        if (approvalsRequired == 0 || approvalsRequired > APPROVALS_MAX) {
            revert ApprovalsOutOfRange(id, approvalsRequired);
        }
        if (reverses != 0) _checkState(reverses, State.Approved, _statements[reverses].state);

        // Effect:
        statement.proposer = msg.sender;
        statement.version = 1;
        statement.state = State.Proposed;
        statement.approvalsRequired = approvalsRequired;
        statement.isReversal = reverses != 0;
        statement.seal = _seal(digest, lineRoot);
        if (reverses != 0) statement.reverses = reverses;
        emit Changed(id, msg.sender, reason, State.None, State.Proposed, 1);
        emit Proposed(id, digest, lineRoot, approvalsRequired, reverses);
    }

    /// @inheritdoc IRevenueBook
    function approve(
        bytes32 id,
        uint24 expectedVersion,
        bytes32 digest,
        bytes32 lineRoot,
        address checker,
        uint256 deadline,
        bytes calldata signature,
        bytes32 reason
    ) external onlyRole(MAKER_ROLE) {
        // Check:
        Statement storage statement = _check(id, expectedVersion, reason, State.Proposed);
        uint8 approvals = statement.approvals + 1;
        bool isLast = approvals == statement.approvalsRequired;
        bytes32 reverses = statement.isReversal ? statement.reverses : bytes32(0);
        if (isLast && reverses != 0) {
            _checkState(reverses, State.Approved, _statements[reverses].state);
        }
        _checkRole(CHECKER_ROLE, checker);
        if (checker == statement.proposer) revert CheckerIsProposer(id, checker);
        if (approvals != 1 && _counted[id][checker]) revert CheckerCounted(id, checker);
        // slither-disable-next-line timestamp (a deadline is meant for the block's clock)
        if (block.timestamp > deadline) revert DeadlinePassed(id, deadline, block.timestamp);
        bytes32 signed = _approvalDigest(
            id, digest, lineRoot, reverses, statement, nonces(checker), deadline
        );
        address recovered = ECDSA.recover(signed, signature);
        if (recovered != checker) revert SignerMismatch(id, checker, recovered);

        // Effect:
        _useNonce(checker);
        State newState = isLast ? State.Approved : State.Proposed;
        statement.approvals = approvals;
        statement.state = newState;
        statement.version = expectedVersion + 1;
        if (!isLast) _counted[id][checker] = true;
        emit Changed(id, msg.sender, reason, State.Proposed, newState, expectedVersion + 1);
        emit Approved(id, checker, approvals);
        if (isLast && reverses != 0) _reverse(reverses, id, reason);
    }

    /// @inheritdoc IRevenueBook
    function withdraw(bytes32 id, uint24 expectedVersion, bytes32 reason)
        external
        onlyRole(MAKER_ROLE)
    {
        // Check:
        Statement storage statement = _check(id, expectedVersion, reason, State.Proposed);
        address proposer = statement.proposer;
        if (proposer != msg.sender) revert NotProposer(id, proposer, msg.sender);

        // Effect:
        statement.state = State.Withdrawn;
        statement.version = expectedVersion + 1;
        emit Changed(
            id, msg.sender, reason, State.Proposed, State.Withdrawn, expectedVersion + 1
        );
    }

    /// @inheritdoc IRevenueBook
    function verify(bytes32 id, bytes32 digest, bytes32 lineRoot)
        external
        view
        returns (bool matches, State state, uint24 version)
    {
        Statement storage statement = _statements[id];
        matches = statement.seal == _seal(digest, lineRoot);
        state = statement.state;
        version = statement.version;
    }

    /// @inheritdoc IRevenueBook
    function get(bytes32 id) external view returns (Statement memory statement) {
        return _statements[id];
    }

    /// @inheritdoc IRevenueBook
    function approvalDigest(
        bytes32 id,
        bytes32 digest,
        bytes32 lineRoot,
        address checker,
        uint256 deadline
    ) external view returns (bytes32) {
        Statement storage statement = _statements[id];
        return _approvalDigest(
            id, digest, lineRoot, statement.reverses, statement, nonces(checker), deadline
        );
    }

    function _check(bytes32 id, uint24 expectedVersion, bytes32 reason, State needed)
        private
        view
        returns (Statement storage statement)
    {
        statement = _statements[id];
        uint24 version = statement.version;
        if (reason == 0) revert ReasonZero(id);
        if (version != expectedVersion) revert VersionMismatch(id, expectedVersion, version);
        _checkState(id, needed, statement.state);
    }

    function _checkState(bytes32 id, State needed, State actual) private pure {
        if (actual != needed) revert StateMismatch(id, needed, actual);
    }

    /// @dev The EIP-712 digest of an approval of this content at the statement's present version.
    function _approvalDigest(
        bytes32 id,
        bytes32 digest,
        bytes32 lineRoot,
        bytes32 reverses,
        Statement storage statement,
        uint256 nonce,
        uint256 deadline
    ) private view returns (bytes32) {
        // Check:
        bytes32 seal = _seal(digest, lineRoot);
        if (statement.seal != seal) revert ContentMismatch(id, statement.seal, seal);

        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    APPROVAL_TYPEHASH,
                    id,
                    digest,
                    lineRoot,
                    statement.approvalsRequired,
                    reverses,
                    statement.version,
                    nonce,
                    deadline
                )
            )
        );
    }

    function _reverse(bytes32 id, bytes32 by, bytes32 reason) private {
        Statement storage original = _statements[id];

        // Effect:
        uint24 version = original.version + 1;
        original.state = State.Reversed;
        original.version = version;
        emit Changed(id, msg.sender, reason, State.Approved, State.Reversed, version);
        emit Reversed(id, by);
    }

    function _seal(bytes32 digest, bytes32 lineRoot) private pure returns (bytes32) {
        return keccak256(abi.encode(digest, lineRoot));
    }
}
