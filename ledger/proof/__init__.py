"""What an outside verifier needs and nothing more: the standard library and `cryptography`.

Read downward: encoding, merkle, tiles, checkpoint, credential, bundle, trust, verify.
"""

from ledger.errors import ProofFailed

__all__ = ["ProofFailed"]
