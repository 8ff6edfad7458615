"""The token that strategies in other processes show: made at random, kept in a file that its owner alone can read."""

import os
import secrets
from pathlib import Path

from portfolio_platform.errors import WrongUse

IN_HOME = "control.token"
"""Its name in a home, where nobody names another file."""


def write_token(path: Path) -> None:
    """Write a new token to a new file.

    Raises:
        WrongUse: the file is there already: strategies use what is in it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise WrongUse(f"{path} is there already; remove it first, and give strategies the new token") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(made_token() + "\n")


def made_token() -> str:
    """Return a new token of 43 characters."""
    return secrets.token_urlsafe(32)


def read_token(path: Path) -> str:
    """Return the token in a file.

    Raises:
        WrongUse: there is no such file, or others than its owner can read it.
    """
    if not path.is_file():
        raise WrongUse(f"there is no token in {path}; `portfolio control token --out {path}` makes one")
    if is_shared(path):
        raise WrongUse(f"{path} holds a token and others can read it; chmod 600 {path}")
    return path.read_text(encoding="utf-8").strip()


def is_shared(path: Path) -> bool:
    """Say whether others than its owner can read or write a file."""
    return bool(path.stat().st_mode & 0o077)
