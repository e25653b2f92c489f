"""What an outside verifier needs and nothing more: the standard library and `cryptography`.

Read downward: encoding, merkle, tiles, checkpoint, credential, bundle, trust; then what a verification
says (report), whom it asks (chain_node), its steps (checkpoint, record, voucher), and their order (verify).
"""

from ledger.errors import ProofFailed

__all__ = ["ProofFailed"]
