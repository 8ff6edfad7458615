"""A person's decision on a recommendation, held against the policy: whose word it is, whether it counts, and how many agree."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Connection

from portfolio_platform.book import approvals, operators
from portfolio_platform.book.approvals import Approval, Asked, Refusal, SignedApproval, Verdict
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.recommendations import Recommendation
from portfolio_platform.policy.control import ApprovalPolicy

TermsVersion: TypeAlias = int | Callable[[Connection, str], int]
"""The version of a portfolio's terms: a number, or what finds it in the book, by portfolio."""


@dataclass(frozen=True)
class Word:
    """What a person handed in: a decision, and its signature where there is one.

    Attributes:
        decision: `approve` or `reject`.
        by, reason, expected_hash: whose word, why, and the hash of what was read; what was signed stands in their place.
        signed: the signature; None where the word is by name alone.
    """

    decision: Verdict
    by: str
    reason: str
    expected_hash: str
    signed: SignedApproval | None = None


@dataclass(frozen=True)
class Rules:
    """What holds for a portfolio: its policy of approvals, whether it is live, the version of its terms, the time, the day."""

    policy: ApprovalPolicy
    live: bool
    terms_version: int
    now: datetime
    today: date

    @property
    def wants_signature(self) -> bool:
        """Say whether a decision has to be signed."""
        return self.policy.live_signed if self.live else self.policy.paper_signed


def judged(connection: Connection, one: Recommendation, word: Word, rules: Rules) -> Approval:
    """Return a decision as the book is to have it, accepted or refused; nothing is written.

    Args:
        connection: the writer's transaction, so that two of the same nonce cannot both be new.
        one: what is decided on.
        word: what was handed in.
        rules: what it is held against.
    """
    agreed = approvals.agreed(approvals.listed(connection, one.id), rules.terms_version)
    asked = Asked(
        one.id,
        one.content_hash,
        word.decision,
        rules.terms_version,
        rules.now,
        timedelta(minutes=rules.policy.valid_minutes),
        by=word.by,
        agreed=[name for found in agreed for name in (found.operator, found.key_id) if name] if word.decision == "approve" else [],
    )
    if word.signed is not None:
        return _signed(connection, one, word.signed, asked, rules)
    refused = None
    if rules.wants_signature:
        refused = Refusal("unsigned", f"{one.portfolio} asks for a signature; make it with `portfolio recommendations sign {one.id}`")
    refused = refused or closed(one, rules.today) or _other_hash(one, word) or approvals.agreed_already(word.by, asked.agreed)
    return _row(connection, one, asked, refused, operator=word.by, reason=word.reason, terms_version=rules.terms_version)


def closed(one: Recommendation, today: date) -> Refusal | None:
    """Say why nothing can be decided on a recommendation any more; None where it can. Pure."""
    if one.state != "proposed":
        why = f" ({one.reason})" if one.reason else ""
        return Refusal("closed", f"{one.id} is {one.state} already, by {one.decided_by} at {one.decided_at}{why}")
    if date.fromisoformat(one.expires) < today:
        return Refusal("closed", f"{one.id} has expired: its last day was {one.expires}")
    return None


def _other_hash(one: Recommendation, word: Word) -> Refusal | None:
    if one.content_hash == word.expected_hash:
        return None
    return Refusal("other_hash", f"{one.id} has the hash {one.content_hash}, not {word.expected_hash}; look at it again before deciding")


def _signed(connection: Connection, one: Recommendation, signed: SignedApproval, asked: Asked, rules: Rules) -> Approval:
    said = signed.statement
    keys = operators.named(connection, said.operator) if said is not None else []
    used = said is not None and approvals.nonce_used(connection, said.nonce)
    refused = approvals.refusal(signed, asked, keys, used=used) or closed(one, rules.today)
    if said is None:  # bytes that say nothing are not worth keeping
        return _row(connection, one, asked, refused, operator=asked.by, reason="", terms_version=None)
    key = approvals.signer(signed, keys)
    made = _row(connection, one, asked, refused, operator=said.operator, reason=said.reason, terms_version=said.terms_version)
    return Approval(
        **{
            **vars(made),
            "key_id": key.id if key is not None else "",
            "subject_hash": said.subject_hash,
            "nonce": said.nonce,
            "expires_at": said.expires_at,
            "content": signed.content,
            "signature": signed.token.partition(".")[2],
        }
    )


def _row(
    connection: Connection,
    one: Recommendation,
    asked: Asked,
    refused: Refusal | None,
    *,
    operator: str,
    reason: str,
    terms_version: int | None,
) -> Approval:
    return Approval(
        id=approvals.next_id(connection, one.id),
        portfolio=one.portfolio,
        subject=one.id,
        decision=asked.decision,
        operator=operator,
        key_id="",
        subject_hash=one.content_hash,
        terms_version=terms_version,
        nonce=None,
        expires_at=None,
        content=b"",
        signature="",
        at=instant_text(asked.now),
        state="refused" if refused is not None else "accepted",
        code=refused.code if refused is not None else "",
        reason=refused.reason if refused is not None else reason,
    )
