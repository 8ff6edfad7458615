"""What is done with operators and their keys in a home: adding, removing, and signing a decision on a recommendation."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection

from portfolio_platform.book import operators as book
from portfolio_platform.book import recommendations
from portfolio_platform.book.approvals import SignedApproval, Verdict
from portfolio_platform.book.operators import Operator
from portfolio_platform.control.signing import SigningKey, make_key, read_public_key, sign_approval, write_key
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.assigned import assigned_policies


def add_operator(
    home: Home, name: str, *, by: str = "", key_out: Path | None = None, public_key: Path | None = None, passphrase: str = ""
) -> Operator:
    """Add an operator: with a new key, whose private part goes to a file and nowhere else, or with a public key they have.

    Args:
        home: the home.
        name: the operator.
        by: who adds them; empty: they themselves.
        key_out: the file that the private key is written to.
        public_key: the file of a public key, PEM or OpenSSH.
        passphrase: what the new file is locked with; empty for none.

    Raises:
        WrongUse: neither or both files are named, or one cannot be what it has to be.
        ConcurrencyConflict: the name or the key is taken.
        StoreProblem: the file or the book cannot be written; then neither was.
    """
    if (key_out is None) == (public_key is None):
        raise WrongUse("name the file for the new private key (--key-out), or that of a public key you have (--public-key): one of them")
    made: SigningKey | None = None
    if key_out is not None:
        made = make_key()
        write_key(made, key_out, passphrase)
    try:
        digits = made.public_key if made is not None else read_public_key(public_key or Path())
        with home.book.writing() as connection:
            return book.add(connection, name, digits, by=by or name, at=home.clock.now())
    except BaseException:
        if made is not None and key_out is not None:
            key_out.unlink(missing_ok=True)  # a key that is nobody's would only mislead
        raise


def remove_operator(home: Home, name: str, *, by: str) -> Operator:
    """Remove an operator's key: what it signed stands, nothing that it signs is taken any more. Raises as `book.operators.remove`."""
    with home.book.writing() as connection:
        return book.remove(connection, name, by=by, at=home.clock.now())


def operator_of(connection: Connection, key: SigningKey) -> Operator:
    """Return the operator whose key this is. Raises `WrongUse` where the book does not know it, or it was removed."""
    found = book.by_key(connection, key.key_id)
    if found is None:
        raise WrongUse(f"the key {key.key_id} is no operator's; add it with `portfolio operators add NAME --public-key FILE`")
    if not found.is_active:
        raise WrongUse(f"the key of {found.name} was removed by {found.removed_by} at {found.removed_at}; use another one")
    return found


def sign_recommendation(
    home: Home,
    identity: str,
    key: SigningKey,
    *,
    decision: Verdict,
    reason: str,
    expected_hash: str,
) -> SignedApproval:
    """Sign a decision on a recommendation on the terms in force, to be handed in within the time that the policy gives.

    Args:
        home: the home.
        identity: which recommendation.
        key: an operator's key.
        decision: `approve` or `reject`.
        reason: why.
        expected_hash: the hash of what was read.

    Raises:
        WrongUse: there is no such recommendation, its hash is another, or the key is no operator's.
    """
    policies = assigned_policies(home)
    with home.book.reading() as connection:
        one, operator = recommendations.by_id(connection, identity), operator_of(connection, key)
        version = terms_version(connection, one.portfolio)
    if one.content_hash != expected_hash:
        raise WrongUse(f"{identity} has the hash {one.content_hash}, not {expected_hash}; look at it again before signing")
    return sign_approval(
        key,
        operator=operator.name,
        subject=one.id,
        subject_hash=one.content_hash,
        decision=decision,
        reason=reason,
        terms_version=version,
        now=home.clock.now(),
        valid=timedelta(minutes=policies.of(one.portfolio).control.approvals.valid_minutes),
    )


def terms_version(connection: Connection, portfolio: str) -> int:
    """Return the version of a portfolio's terms; 0 where the control plane is not in charge of it. All its events are read."""
    from portfolio_platform.control.log import events_after
    from portfolio_platform.control.reduce import replay
    from portfolio_platform.control.state import ControlState

    return replay(ControlState(portfolio), (one.event for one in events_after(connection, portfolio, brief=True))).terms.version
