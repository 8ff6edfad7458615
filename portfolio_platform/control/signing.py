"""Private keys of ed25519: made, written to the file that a person names, read from it, and used to sign.

A private key is in its owner's file and, while a command runs, in memory; it is in no store, no log, no message and no
environment variable of the platform. Files are PEM (PKCS #8), readable by their owner alone, with a passphrase where one is given.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.book.approvals import ApprovalStatement, SignedApproval, Verdict
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.signatures import key_id
from portfolio_platform.errors import StoreProblem, WrongUse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NONCE_BYTES = 18


@dataclass(frozen=True)
class SigningKey:
    """A private key. Its public part is 64 hexadecimal digits, its id the one that the book names it by."""

    public_key: str
    _private: "Ed25519PrivateKey" = field(repr=False, compare=False)

    @property
    def key_id(self) -> str:
        """Return the id of its public part."""
        return key_id(self.public_key)

    def sign(self, content: bytes) -> bytes:
        """Return the signature of some bytes."""
        return self._private.sign(content)


def make_key() -> SigningKey:
    """Return a new key from the machine's source of randomness."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _key(Ed25519PrivateKey.generate())


def write_key(key: SigningKey, path: Path, passphrase: str = "") -> None:
    """Write a private key to a new file that only its owner can read.

    Args:
        key: the key.
        path: the file; one that is there is never written over.
        passphrase: what the file is encrypted with; empty for none.

    Raises:
        WrongUse: the file is there already.
        StoreProblem: it cannot be written; what was begun is taken away.
    """
    from cryptography.hazmat.primitives import serialization

    locked: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        locked = serialization.BestAvailableEncryption(passphrase.encode())
    content = key._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise WrongUse(f"{path} is there already, and a key is never written over; name another file") from error
    except OSError as error:
        raise StoreProblem(f"the key cannot be written to {path}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreProblem(f"the key cannot be written to {path}: {error.strerror}") from error


def read_key(path: Path, ask: Callable[[], str] | None = None) -> SigningKey:
    """Read a private key.

    Args:
        path: its file.
        ask: returns the passphrase, called only where the file wants one.

    Raises:
        WrongUse: the file is missing, holds no private key of ed25519, or the passphrase is not its own.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    content = _content(path)
    passphrase = ask().encode() if b"ENCRYPTED" in content and ask is not None else None
    try:
        found = serialization.load_pem_private_key(content, passphrase)
    except TypeError as error:
        raise WrongUse(f"the key in {path} is locked with a passphrase; give it") from error
    except ValueError as error:
        what = "the passphrase is not the one of" if passphrase else "there is no private key in PEM (PKCS #8) in"
        raise WrongUse(f"{what} {path}") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise WrongUse(f"the key in {path} is not one of ed25519; `portfolio operators add NAME --key-out FILE` makes one")
    return _key(found)


def read_public_key(path: Path) -> str:
    """Read a public key, in PEM or as OpenSSH writes it; return its hexadecimal digits. Raises `WrongUse`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = _content(path)
    if b"PRIVATE KEY" in content:
        raise WrongUse(f"{path} holds a private key, which is nobody's business; give the file of its public part")
    try:
        ssh = content.lstrip().startswith(b"ssh-")
        found = serialization.load_ssh_public_key(content) if ssh else serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise WrongUse(f"there is no public key in {path}; it has to be PEM or a line of OpenSSH") from error
    if not isinstance(found, Ed25519PublicKey):
        raise WrongUse(f"the key in {path} is not one of ed25519")
    return found.public_bytes_raw().hex()


def sign_approval(
    key: SigningKey,
    *,
    operator: str,
    subject: str,
    subject_hash: str,
    decision: Verdict,
    reason: str,
    terms_version: int,
    now: datetime,
    valid: timedelta,
    nonce: str = "",
) -> SignedApproval:
    """Sign a decision.

    Args:
        key: the operator's key.
        operator: the name that the key has in the book.
        subject: id of what is decided on.
        subject_hash: its content hash.
        decision: `approve` or `reject`.
        reason: why.
        terms_version: the version of the terms it is decided on.
        now: the time.
        valid: how long it may wait before it is handed in.
        nonce: what was never used before; where empty, it is drawn at random.

    Raises:
        WrongUse: the statement would not be accepted anywhere: a part is missing, too long or not printable.
    """
    drawn = nonce or secrets.token_urlsafe(NONCE_BYTES)
    said = ApprovalStatement(subject, subject_hash, decision, terms_version, drawn, instant_text(now + valid), operator, reason.strip())
    signed = SignedApproval(said.canonical(), key.sign(said.canonical()))
    if signed.statement is None:
        raise WrongUse("the decision cannot be signed: give a reason, and keep every part printable and of a decent length")
    return signed


def _key(private: "Ed25519PrivateKey") -> SigningKey:
    return SigningKey(private.public_key().public_bytes_raw().hex(), private)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUse(f"the key cannot be read from {path}: {error.strerror}") from error
