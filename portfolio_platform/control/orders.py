"""Orders of operators as they are asked for: in words, signed where the portfolio's policy asks for a signature, given in one transaction.

What is signed is the order itself: its canonical bytes are hashed, and the signature names the hash, the version of the terms it was
decided on, a nonce and an end, as one on a recommendation does. Refusals are events too.
"""

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from portfolio_platform.book import approvals, operators
from portfolio_platform.book.approvals import Approval, ApprovalRefused, Asked, Refusal, SignedApproval
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.read_models import require_name
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.batch import Batch
from portfolio_platform.control.events import OrderEnded, OrderGiven, RiskOffReleased, stream_of
from portfolio_platform.control.model import GRAVITY, MILLION
from portfolio_platform.control.money import minor
from portfolio_platform.control.operators import operator_of
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.signing import SigningKey, sign_approval
from portfolio_platform.control.state import ControlState
from portfolio_platform.control.terms import COUNTS, RISK, Order, fault_of
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.policy.control import ApprovalPolicy

Action = Literal["mode", "flatten", "cap", "release", "release_risk_off"]
WHOLE = ("heat", *COUNTS)
"""Rules that bind the portfolio, not a group."""


@dataclass(frozen=True)
class Wanted:
    """An order as an operator asks for it.

    Attributes:
        portfolio: for which.
        action: ``mode``, ``flatten``, ``cap``, ``release`` (end an order) or ``release_risk_off``.
        reason: why.
        until: ISO text with an offset; the end of what is ordered. Empty for a release.
        mode: of a mode.
        rule, scope, basis: of a cap: which limit, of which group (empty: all), on ``risk`` or ``exposure``.
        limit: of a cap: an amount of the currency (50000), a share of equity (4%), or a count.
        order: of a release: which order; empty for all that operators gave.
    """

    portfolio: str
    action: Action
    reason: str
    until: str = ""
    mode: str = ""
    rule: str = ""
    scope: str = ""
    basis: str = ""
    limit: str = ""
    order: str = ""

    @property
    def subject(self) -> str:
        """Return what a signature says it is about."""
        return f"order:{self.portfolio}:{self.action}"

    @property
    def hash(self) -> str:
        """Return the hash of everything that is asked for, which a signature names."""
        return content_hash(canonical_bytes(asdict(self), floats=False))


@dataclass(frozen=True)
class Given:
    """What came of it: the orders that were given or ended, and how many symbols were told."""

    orders: tuple[str, ...]
    told: int


@dataclass(frozen=True)
class Subject:
    """What a signature is asked for: of which portfolio, its id and hash, why it is decided, and the command that signs it."""

    portfolio: str
    subject: str
    hash: str
    reason: str
    command: str


def sign_order(home: Home, wanted: Wanted, key: SigningKey) -> SignedApproval:
    """Sign an order on the terms in force, to be handed in within the time that the policy gives.

    Raises:
        WrongUse: the key is no operator's, or the order could not be given as it is.
    """
    state = _in_charge(ControlPlane(home.book, home.clock).get_portfolio_state(wanted.portfolio), wanted.portfolio)
    _check(wanted, state, home.clock.now())
    return sign(home, Subject(wanted.portfolio, wanted.subject, wanted.hash, wanted.reason, "portfolio control sign"), key, state)


def give(home: Home, wanted: Wanted, *, by: str, signed: SignedApproval | None = None, plane: ControlPlane | None = None) -> Given:
    """Give an order, or end some, in an operator's name; a signature is asked for as the portfolio's policy says.

    Args:
        home: whose control plane.
        wanted: what is ordered.
        by: the operator's name; of a signed order that of the key.
        signed: the signature.
        plane: the control plane of this process; a new one where None.

    Raises:
        WrongUse: the order cannot be: an unknown mode, rule, amount or order, no reason, an end that is over.
        ApprovalRefused: a signature is missing or does not hold; the refusal is in the log.
    """
    name, now = require_name(by), home.clock.now()
    plane = plane or ControlPlane(home.book, home.clock)
    _in_charge(plane.get_portfolio_state(wanted.portfolio), wanted.portfolio)
    with plane.working(wanted.portfolio) as (batch, connection):
        _check(wanted, batch.state, now)
        approval = _judged(home, connection, wanted, batch.state, name, signed)
        if approval is not None:
            approvals.record(connection, approval, stream=f"orders/{wanted.portfolio}", at=now)
        if approval is None or approval.state == "accepted":
            given = Given(*_carried_out(batch, wanted, name, now))
    if approval is not None and approval.state == "refused":
        raise ApprovalRefused(approval.code, approval.reason)
    return given


def sign(home: Home, about: Subject, key: SigningKey, state: ControlState) -> SignedApproval:
    """Sign what is asked for on the terms in force, to be handed in within the time that the policy gives. Raises `WrongUse`."""
    with home.book.reading() as connection:
        operator = operator_of(connection, key)
    return sign_approval(
        key,
        operator=operator.name,
        subject=about.subject,
        subject_hash=about.hash,
        decision="approve",
        reason=about.reason,
        terms_version=state.terms.version,
        now=home.clock.now(),
        valid=timedelta(minutes=_approvals(home, about.portfolio).valid_minutes),
    )


def _approvals(home: Home, portfolio: str) -> ApprovalPolicy:
    """Return whose word a portfolio asks for; also where its policy has expired, for it still has to be possible to flatten."""
    return policies_in_time(home).timeline(portfolio).last_begun(home.today).policy.control.approvals


def _in_charge(state: ControlState, portfolio: str) -> ControlState:
    if not state.terms.limits.policy_hash:
        raise WrongUse(f"the control plane is not in charge of {portfolio!r}; `portfolio control cycle` begins with those of the ledger")
    return state


def _carried_out(batch: Batch, wanted: Wanted, by: str, now: datetime) -> tuple[tuple[str, ...], int]:
    state = batch.state
    if wanted.action == "release_risk_off":
        batch.put(RiskOffReleased(batch.now, by, wanted.reason))
        return (), 0
    if wanted.action == "release":
        ended = (wanted.order,) if wanted.order else _of_operators(state)
        for one in ended:
            batch.put(OrderEnded(batch.now, one, False, by, wanted.reason))
        return ended, len(batch.tell())
    order = _order(wanted, state, by, now)
    if fault := fault_of(order, batch.now):
        raise WrongUse(f"the order cannot be given: {fault}")
    batch.put(OrderGiven(batch.now, order), f"order/{stream_of(wanted.portfolio, order.order_id)}")
    return (order.order_id,), len(batch.tell())


def _of_operators(state: ControlState) -> tuple[str, ...]:
    """Return the orders that are ended together: what a recommendation ordered was approved, and is ended by its name alone."""
    return tuple(sorted(name for name, one in state.terms.orders.items() if one.source == "operator"))


def _check(wanted: Wanted, state: ControlState, now: datetime) -> None:
    """Refuse with `WrongUse` what cannot be ordered."""
    if not wanted.reason.strip():
        raise WrongUse("an order wants a reason; whoever wonders at it reads that")
    if wanted.action == "release":
        if wanted.order not in state.terms.orders if wanted.order else not _of_operators(state):
            what = f"order {wanted.order}" if wanted.order else "order of an operator"
            raise WrongUse(f"{wanted.portfolio} has no {what}; `portfolio control state {wanted.portfolio}` lists them")
        return
    if wanted.action == "release_risk_off":
        if state.terms.facts.regime != "risk_off":
            raise WrongUse(f"{wanted.portfolio} is not in risk_off but in {state.terms.facts.regime or 'no regime yet'}")
        return
    if _end(wanted) <= now:
        raise WrongUse(f"the end {wanted.until} is over; an order wants an end ahead")
    if wanted.action == "mode" and wanted.mode not in GRAVITY:
        raise WrongUse(f"mode {wanted.mode!r} is none of {', '.join(GRAVITY)}")
    if wanted.action == "cap":
        if wanted.rule not in (*RISK, *COUNTS):
            raise WrongUse(f"rule {wanted.rule!r} is none of {', '.join((*RISK, *COUNTS))}")
        _amount(wanted, state)


def _end(wanted: Wanted) -> datetime:
    try:
        end = datetime.fromisoformat(wanted.until)
    except ValueError as error:
        raise WrongUse(f"{wanted.until!r} is no time; write YYYY-MM-DDTHH:MM:SS+00:00") from error
    return end.replace(tzinfo=UTC) if end.tzinfo is None else end


def _order(wanted: Wanted, state: ControlState, by: str, now: datetime) -> Order:
    order = Order(
        order_id=f"{wanted.action}-{now.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        kind=wanted.action,
        source="operator",
        by=by,
        reason=wanted.reason.strip(),
        begins=nanoseconds(now),
        until=nanoseconds(_end(wanted)),
        mode=wanted.mode if wanted.action == "mode" else "",
    )
    if wanted.action != "cap":
        return order
    amount, share = _amount(wanted, state)
    basis = "count" if wanted.rule in COUNTS else wanted.basis or "risk"
    scope = "" if wanted.rule in WHOLE else wanted.scope
    return order._replace(rule=wanted.rule, scope=scope, basis=basis, amount=amount, equity=state.terms.facts.equity, share=share)


def _amount(wanted: Wanted, state: ControlState) -> tuple[int, int]:
    """Return minor units or a count, and the share of equity in parts per million where it was one."""
    text = wanted.limit.strip()
    if wanted.rule in COUNTS:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise WrongUse(f"{text!r} is no count; write a whole number")
        return int(text), 0
    try:
        if text.endswith("%"):
            share = minor(text[:-1], 4)
            amount = state.terms.facts.equity * share // MILLION
        else:
            amount, share = minor(text, state.digits), 0
    except ValueError as error:
        raise WrongUse(f"{text!r} is no amount; write 50000 or 4%") from error
    if amount < 0:
        raise WrongUse(f"{text!r} is below 0; a limit of 0 grants nothing new")
    return amount, share


def _judged(
    home: Home, connection: Connection, wanted: Wanted, state: ControlState, by: str, signed: SignedApproval | None
) -> Approval | None:
    """Return the approval of an order as the book is to have it; None where none is asked for nor given."""
    about = Subject(wanted.portfolio, wanted.subject, wanted.hash, wanted.reason, "portfolio control sign")
    return judged(home, connection, about, state, by, signed)


def judged(
    home: Home, connection: Connection, about: Subject, state: ControlState, by: str, signed: SignedApproval | None
) -> Approval | None:
    """Return the approval as the book is to have it, accepted or refused; None where none is asked for nor given."""
    policy, now = _approvals(home, about.portfolio), home.clock.now()
    if signed is None and not (policy.live_signed if state.live else policy.paper_signed):
        return None
    asked = Asked(about.subject, about.hash, "approve", state.terms.version, now, timedelta(minutes=policy.valid_minutes), by=by)
    said = None if signed is None else signed.statement
    if signed is None:
        refused: Refusal | None = Refusal("unsigned", f"{about.portfolio} asks for a signature; make it with `{about.command}`")
        key = None
    else:
        keys = operators.named(connection, said.operator) if said is not None else []
        used = said is not None and approvals.nonce_used(connection, said.nonce)
        refused, key = approvals.refusal(signed, asked, keys, used=used), approvals.signer(signed, keys)
    return Approval(
        id=approvals.next_id(connection, about.subject),
        portfolio=about.portfolio,
        subject=about.subject,
        decision="approve",
        operator=by if said is None else said.operator,
        key_id="" if key is None else key.id,
        subject_hash=about.hash if said is None else said.subject_hash,
        terms_version=None if said is None else said.terms_version,
        nonce=None if said is None else said.nonce,
        expires_at=None if said is None else said.expires_at,
        content=b"" if signed is None or said is None else signed.content,
        signature="" if signed is None or said is None else signed.token.partition(".")[2],
        at=instant_text(now),
        state="refused" if refused is not None else "accepted",
        code=refused.code if refused is not None else "",
        reason=refused.reason if refused is not None else about.reason,
    )
