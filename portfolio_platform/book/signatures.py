"""Signatures by ed25519 (RFC 8032): whether somebody's key signed some bytes. Keys are public here; private ones never come.

A public key is written as the 64 hexadecimal digits of its 32 bytes; its id, by which everything else names it, is a hash.
"""

import hashlib

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64


def key_id(public_key: str) -> str:
    """Return the id of a public key: `ed25519:` and the first half of the SHA-256 of its bytes. Raises `ValueError`."""
    content = bytes.fromhex(public_key)
    if len(content) != PUBLIC_KEY_BYTES:
        raise ValueError(f"a public key of ed25519 has {PUBLIC_KEY_BYTES} bytes, and this one {len(content)}")
    return f"ed25519:{hashlib.sha256(content).hexdigest()[:32]}"


def is_signed(public_key: str, content: bytes, signature: bytes) -> bool:
    """Say whether the private half of a public key made this signature of these bytes. What cannot be read signed nothing."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
