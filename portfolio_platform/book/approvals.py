"""Approvals: what an operator signs, what speaks against a signature, and what became of each in the book.

An operator signs the canonical bytes of an `ApprovalStatement`: it names what is decided on by id and by hash, the version
of the terms it was decided on, a nonce and a time after which it may not be handed in. `refusal` holds a signature against
what is asked for; it is pure. Accepted and refused ones are both rows of `approvals` and events, in the stream of what they
are about.
"""

import base64
import binascii
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, func, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.operators import Operator
from portfolio_platform.book.read_models import Change, all_of, load, write
from portfolio_platform.book.signatures import is_signed
from portfolio_platform.canonical import canonical_bytes

ACCEPTED, REFUSED = "approval_accepted", "approval_refused"
"""The types of the events, in the stream `recommendations/<portfolio>` where they are about a recommendation."""

Verdict = Literal["approve", "reject"]
Code = Literal[
    "unsigned", "forged", "unknown_operator", "removed_operator", "replayed", "other_subject", "other_hash", "closed", "expired",
    "expires_late", "stale", "self_approved",
]  # fmt: skip
PURPOSE = "approval"
"""What the signed bytes say they are, so that no other bytes that a key signs can be taken for an approval."""

LONGEST_TOKEN, LONGEST_REASON, LONGEST_NAME, LEAST_NONCE = 16_384, 4_000, 400, 16
_NEVER_SIGNED = ("unsigned", "forged", "unknown_operator")


class ApprovalRefused(ConcurrencyConflict):
    """A decision was refused, and the refusal is in the log; `code` says which rule refused it."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep the code beside the reason."""
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class ApprovalStatement:
    """What an operator signs.

    Attributes:
        subject, subject_hash: id and content hash of what is decided on.
        decision: `approve` or `reject`.
        terms_version: the version of the control plane's terms on which it was decided.
        nonce: at least 16 characters that were never used before.
        expires_at: ISO text in UTC; it may not be handed in after it.
        operator: the name that the key has in the book.
        reason: why.
    """

    subject: str
    subject_hash: str
    decision: Verdict
    terms_version: int
    nonce: str
    expires_at: str
    operator: str
    reason: str

    def canonical(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical_bytes({"purpose": PURPOSE, **asdict(self)}, floats=False)


@dataclass(frozen=True)
class SignedApproval:
    """The bytes of a statement and a signature of them; neither has to be what it says it is."""

    content: bytes
    signature: bytes

    @property
    def token(self) -> str:
        """Return it as a text that can be pasted: both in base 64 for URLs, a dot between."""
        return f"{_packed(self.content)}.{_packed(self.signature)}"

    @classmethod
    def from_token(cls, token: str) -> "SignedApproval":
        """Read a token. One that cannot be read gives an approval that says nothing, which is refused as any forged one."""
        content, _, signature = "".join(token.split()).partition(".")
        if len(token) > LONGEST_TOKEN:
            return cls(b"", b"")
        try:
            return cls(_unpacked(content), _unpacked(signature))
        except (ValueError, binascii.Error):
            return cls(b"", b"")

    @property
    def statement(self) -> ApprovalStatement | None:
        """Return what the bytes say; None where they are not the canonical bytes of a statement."""
        try:
            said = json.loads(self.content)
            if said.pop("purpose") != PURPOSE or set(said) != {item.name for item in fields(ApprovalStatement)}:
                return None
            found = ApprovalStatement(**said)
            return found if _is_sound(found) and found.canonical() == self.content else None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Refusal:
    """Why a decision is refused: the rule, and a sentence."""

    code: Code
    reason: str


@dataclass(frozen=True)
class Asked:
    """What a signature is held against.

    Attributes:
        subject, subject_hash, decision: what is decided on now, and how.
        terms_version: the one in force.
        now: the time.
        longest: how long before its end an approval may be handed in.
        by: in whose name it is handed in; empty where the signature says so alone.
        agreed: names and key ids of those who have approved already and still count.
    """

    subject: str
    subject_hash: str
    decision: Verdict
    terms_version: int
    now: datetime
    longest: timedelta
    by: str = ""
    agreed: Collection[str] = ()


def refusal(signed: SignedApproval, asked: Asked, operators: Sequence[Operator], *, used: bool) -> Refusal | None:
    """Say what speaks against a signed approval; None where nothing does. Pure.

    Args:
        signed: what was handed in.
        asked: what it is held against.
        operators: every key, in use or removed, of the operator that the statement names.
        used: whether its nonce was handed in before, validly signed.
    """
    said = signed.statement
    if said is None:
        return Refusal("forged", "the signature is not one of an approval; make it with `portfolio recommendations sign`")
    if not operators:
        return Refusal("unknown_operator", f"there is no operator {said.operator!r}; `portfolio operators add` makes one")
    key = signer(signed, operators)
    if key is None:
        return Refusal("forged", f"no key of {said.operator} made this signature")
    if not key.is_active:
        return Refusal("removed_operator", f"the key of {said.operator} was removed by {key.removed_by} at {key.removed_at}")
    if asked.by and asked.by != said.operator:
        return Refusal("forged", f"{said.operator} signed it, and it was handed in as the word of {asked.by}")
    if used:
        return Refusal("replayed", f"this approval of {said.operator} was handed in before; sign anew")
    return _against(said, key, asked)


def _against(said: ApprovalStatement, key: Operator, asked: Asked) -> Refusal | None:
    """Say what speaks against a statement whose signature is good."""
    if (said.subject, said.decision) != (asked.subject, asked.decision):
        wanted = f"not to {asked.decision} {asked.subject}"
        return Refusal("other_subject", f"{said.operator} signed to {said.decision} {said.subject}, {wanted}")
    if said.subject_hash != asked.subject_hash:
        what = f"{said.subject} has the hash {asked.subject_hash}, and {said.subject_hash} was signed"
        return Refusal("other_hash", f"{what}; look at it again before deciding")
    ends = datetime.fromisoformat(said.expires_at)
    if asked.now >= ends:
        return Refusal("expired", f"the approval of {said.operator} had to be handed in before {said.expires_at}; sign anew")
    if ends > asked.now + asked.longest:
        minutes = f"{asked.longest / timedelta(minutes=1):g} minutes"
        return Refusal("expires_late", f"the approval would hold until {said.expires_at}; the policy allows {minutes} from now")
    if said.terms_version != asked.terms_version:
        moved = f"it was signed on version {said.terms_version} of the terms, and they are at {asked.terms_version}"
        return Refusal("stale", f"{moved}: look at what has changed, and sign anew")
    return agreed_already(said.operator, asked.agreed) or agreed_already(key.id, asked.agreed)


def agreed_already(name: str, agreed: Collection[str]) -> Refusal | None:
    """Refuse somebody's second approval where two people have to agree. Pure."""
    if name.casefold() in {one.casefold() for one in agreed}:
        return Refusal("self_approved", f"{name} has approved it already, and the policy asks for two people; another one has to")
    return None


def signer(signed: SignedApproval, operators: Sequence[Operator]) -> Operator | None:
    """Return whose key made a signature, of these; None where none did. Pure."""
    return next((one for one in operators if is_signed(one.public_key, signed.content, signed.signature)), None)


@dataclass(frozen=True)
class Approval:
    """A decision as the book holds it, accepted or refused. Times are ISO text.

    Attributes:
        id: `approval:<subject>:<number>`.
        subject, subject_hash, decision: what was decided on, and how.
        operator: who decided, or who it was said to be.
        key_id: the key that signed; empty where no known one did.
        terms_version, nonce, expires_at: of the statement; where nothing was signed, the terms in force and nulls.
        content, signature: the signed bytes and the signature in base 64; empty where nothing was signed.
        state: `accepted` or `refused`.
        code, reason: the rule that refused it, and why; where accepted, the code is empty and the reason the operator's.
    """

    id: str
    portfolio: str
    subject: str
    decision: Verdict
    operator: str
    key_id: str
    subject_hash: str
    terms_version: int | None
    nonce: str | None
    expires_at: str | None
    content: bytes
    signature: str
    at: str
    state: Literal["accepted", "refused"]
    code: str
    reason: str
    event_seq: int = 0

    @property
    def signed(self) -> SignedApproval | None:
        """Return what was signed, to be verified again; None where nothing was."""
        return SignedApproval(self.content, _unpacked(self.signature)) if self.signature else None


def record(connection: Connection, approval: Approval, *, stream: str, at: datetime) -> None:
    """Write an approval: an event and its row. Call it in a transaction that is committed, also where it was refused."""
    kind = ACCEPTED if approval.state == "accepted" else REFUSED
    said = {"about": approval.subject, "by": approval.operator, "reason": approval.reason}
    said |= {"code": approval.code} if approval.code else {}
    write(connection, [Change(schema.approvals, stream, kind, [(None, approval)], said)], at=at)


def next_id(connection: Connection, subject: str) -> str:
    """Return the id of the next approval of something."""
    query = select(func.count()).select_from(schema.approvals).where(schema.approvals.c.subject == subject)
    return f"approval:{subject}:{int(connection.execute(query).scalar_one()) + 1}"


def nonce_used(connection: Connection, nonce: str) -> bool:
    """Say whether a nonce was handed in before with a good signature, accepted or refused."""
    table = schema.approvals.c
    query = select(table.id).where(table.nonce == nonce, table.code.not_in(_NEVER_SIGNED))
    return connection.execute(query.limit(1)).first() is not None


def listed(connection: Connection, subject: str | None = None, *, portfolio: str | None = None, state: str | None = None) -> list[Approval]:
    """Return approvals, the oldest first."""
    table = schema.approvals.c
    wanted = all_of(
        (
            None if subject is None else table.subject == subject,
            None if portfolio is None else table.portfolio == portfolio,
            None if state is None else table.state == state,
        )
    )
    return load(connection, Approval, select(schema.approvals).where(*wanted).order_by(table.event_seq))


def agreed(approvals: Sequence[Approval], terms_version: int) -> tuple[Approval, ...]:
    """Return the approvals that count on these terms: accepted, to approve, and made on this version. Pure."""
    return tuple(one for one in approvals if one.state == "accepted" and one.decision == "approve" and one.terms_version == terms_version)


def _is_sound(said: ApprovalStatement) -> bool:
    """Say whether the parts of a statement are of the kinds and lengths that they must have."""
    names = (said.subject, said.subject_hash, said.decision, said.nonce, said.expires_at, said.operator)
    if not all(isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_NAME for name in names):
        return False
    if said.decision not in ("approve", "reject") or type(said.terms_version) is not int or not 0 <= said.terms_version < 2**31:
        return False
    if not isinstance(said.reason, str) or not 0 < len(said.reason.strip()) <= len(said.reason) <= LONGEST_REASON:
        return False
    if not all(char.isprintable() or char in "\n\t" for char in said.reason):
        return False
    return len(said.nonce) >= LEAST_NONCE and datetime.fromisoformat(said.expires_at).tzinfo is not None


def _packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
