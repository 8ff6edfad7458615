"""Escalations: what is asked of a person, why, and what became of it. Pure: events folded into a state, on a clock that is passed in.

An escalation is open until it is answered: approved (with conditions or without), deferred or halted. Where its time to an answer is
over before that, it is expired, which is an alert; a late answer is taken and marked so, for a plan that has aged is refused by the
hash and the end of its approval, not here.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import quote

from immutables import Map

from portfolio_platform.codec import decode, encode
from portfolio_platform.errors import WrongUse

MINUTE = 60_000_000_000


class Trigger(StrEnum):
    """Every reason for an escalation that the two specifications name."""

    PORTFOLIO_TOO_STALE = "portfolio_too_stale"
    REFRESH_DELAYED = "refresh_delayed"
    SECTOR_HEADROOM_CHANGED = "sector_headroom_changed"
    BUFFER_WOULD_BREACH = "buffer_would_breach"
    NEXT_TRADE_WOULD_BREACH = "next_trade_would_breach"
    BUFFER_BREACH = "buffer_breach"
    EXECUTION_FAILED = "execution_failed"
    NO_FILL = "no_fill"
    SECTOR_CAP_BREACH = "sector_cap_breach"
    CONSTRAINT_VIOLATION = "constraint_violation"


class Source(NamedTuple):
    """Where a trigger comes from, what it asks for, and whether execution waits for the answer."""

    section: str
    request: str
    waits: bool


SOURCES: dict[Trigger, Source] = {
    Trigger.PORTFOLIO_TOO_STALE: Source("v8.0.3 STEP 1, Escalation #1", "Approve proceeding with caveat OR trigger refresh", True),
    Trigger.REFRESH_DELAYED: Source("v8.0.3 STEP 2C, delay >15 min", "Proceed with caveat, halt, or wait for refresh", True),
    Trigger.SECTOR_HEADROOM_CHANGED: Source("v8.0.3 STEP 2A, Escalation #2", "Proceed, adjust position, or defer", True),
    Trigger.BUFFER_WOULD_BREACH: Source("v8.0.3 STEP 2B, Escalation #3", "Approve with caveat OR adjust execution queue", True),
    Trigger.NEXT_TRADE_WOULD_BREACH: Source("v8.0.3 STEP 3C, marginal buffer", "Approve, defer, or halt the remaining trades", True),
    Trigger.BUFFER_BREACH: Source("v8.0.3 STEP 3C, STEP 6, Escalation #4", "Approve, defer, or halt the remaining trades", True),
    Trigger.EXECUTION_FAILED: Source("v8.0.3 STEP 3C, Escalation #6", "Alternative account, size reduction, or deferral", False),
    Trigger.NO_FILL: Source("v8.0.3 STEP 4, no fill after 15 minutes", "Keep waiting, defer the trade, or halt", True),
    Trigger.SECTOR_CAP_BREACH: Source("v8.0.3 STEP 5, Escalation #5", "Clarification OR rebalance positions", False),
    Trigger.CONSTRAINT_VIOLATION: Source("v8.1.1 STEP 3A", "Approve exception to sector cap OR modify plan", True),
}

Status = Literal["open", "approved", "deferred", "halted", "expired"]
Answer = Literal["approve", "defer", "halt"]
STATUS_OF: dict[Answer, Status] = {"approve": "approved", "defer": "deferred", "halt": "halted"}


class Violation(NamedTuple):
    """A rule that does not hold: in which scope, its limit and what was found, both in the rule's unit.

    ``unit`` is ``ppm`` (parts per million), ``minor`` (money), ``ns`` (time), ``count`` or empty where there are no numbers.
    """

    rule: str
    scope: str
    limit: int
    found: int
    unit: str
    text: str


class Escalation(NamedTuple):
    """What is asked.

    Attributes:
        escalation_id: unique in its portfolio.
        portfolio: whose.
        profile: the policy profile under which it arose.
        trigger: why, one of `Trigger`.
        violations: every rule that does not hold.
        dry_run: the dry run's report in Markdown; empty where there was none.
        plan: the plan's canonical JSON text.
        plan_hash: of the plan it is about.
        portfolio_hash: of the portfolio that the plan was made on.
        request: what is asked, in words.
        routing: who decides.
        sla_minutes: time to an answer.
        opened_at: ns UTC.
        subject: the trade or the execution it is about.
        waits: whether the execution waits for the answer.
    """

    escalation_id: str
    portfolio: str
    profile: str
    trigger: str
    violations: tuple[Violation, ...]
    dry_run: str
    plan: str
    plan_hash: str
    portfolio_hash: str
    request: str
    routing: str
    sla_minutes: int
    opened_at: int
    subject: str = ""
    waits: bool = True

    @property
    def due_at(self) -> int:
        """Return when the time to an answer is over, ns UTC."""
        return self.opened_at + self.sla_minutes * MINUTE


class Change(NamedTuple):
    """A condition on one trade: another quantity (units of 1e-18), another account, or not at all."""

    trade_id: str
    quantity: int | None = None
    account: str | None = None
    drop: bool = False


class Opened(NamedTuple):
    """An escalation was opened."""

    at: int
    escalation: Escalation


class Answered(NamedTuple):
    """A named person answered, with conditions in words and changes of trades."""

    at: int
    escalation_id: str
    answer: Answer
    by: str
    reason: str
    conditions: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


class Expired(NamedTuple):
    """The time to an answer was over: an alert; nothing is granted by it."""

    at: int
    escalation_id: str


EscalationEvent: TypeAlias = Opened | Answered | Expired
NAMES: dict[str, type[Opened] | type[Answered] | type[Expired]] = {
    "escalation_opened": Opened,
    "escalation_answered": Answered,
    "escalation_expired": Expired,
}


class Case(NamedTuple):
    """An escalation and what became of it: its status, the answer, and when its time was over unanswered (0 where it was not)."""

    escalation: Escalation
    status: Status = "open"
    answered: Answered | None = None
    expired_at: int = 0

    @property
    def late(self) -> bool:
        """Say whether the answer came after the time for it."""
        return self.answered is not None and self.answered.at >= self.escalation.due_at

    def remaining(self, now: int) -> int:
        """Return how much of the time to an answer is left, ns; 0 where it is over or the answer is there."""
        return 0 if self.answered is not None else max(0, self.escalation.due_at - now)


Cases: TypeAlias = "Map[str, Case]"
NO_CASES: "Map[str, Case]" = Map()


def stream_of(portfolio: str) -> str:
    """Return the name of the stream of a portfolio's escalations."""
    return f"escalations/{quote(portfolio, safe='')}"


def escalated(trigger: Trigger, escalation_id: str, at: int, *, request: str = "", **said: object) -> Escalation:
    """Return an escalation of a trigger: what it asks for and whether execution waits are the trigger's own.

    Args:
        trigger: why.
        escalation_id: its id.
        at: when, ns UTC.
        request: what is asked, where that is not the trigger's own words.
        said: the other fields of `Escalation`.
    """
    source = SOURCES[trigger]
    plain: dict[str, object] = {
        "portfolio": "main", "profile": "", "violations": (), "dry_run": "", "plan": "", "plan_hash": "", "portfolio_hash": "",
        "routing": "Master-Architect", "sla_minutes": 30, "waits": source.waits,
    }  # fmt: skip
    fields = {**plain, **said}
    return Escalation(escalation_id=escalation_id, trigger=trigger.value, request=request or source.request, opened_at=at, **fields)  # type: ignore[arg-type]


def apply(cases: "Map[str, Case]", event: EscalationEvent) -> "Map[str, Case]":
    """Return the cases after an event. What comes twice, or too late to matter, changes nothing.

    Raises:
        KeyError: it speaks of an escalation that was never opened.
    """
    if isinstance(event, Opened):
        name = event.escalation.escalation_id
        return cases if name in cases else cases.set(name, Case(event.escalation))
    case = cases[event.escalation_id]
    if isinstance(event, Expired):
        if case.status != "open":
            return cases
        return cases.set(event.escalation_id, case._replace(status="expired", expired_at=event.at))
    if case.answered is not None:
        return cases
    return cases.set(event.escalation_id, case._replace(status=STATUS_OF[event.answer], answered=event))


def replay(events: Iterable[EscalationEvent], cases: "Map[str, Case]" = NO_CASES) -> "Map[str, Case]":
    """Return the cases after all events."""
    for event in events:
        cases = apply(cases, event)
    return cases


def answer(cases: "Map[str, Case]", given: Answered) -> tuple[Answered, ...]:
    """Return the event of an answer: nothing where that very answer stands already.

    Raises:
        WrongUse: it names no person or no reason, an escalation that is not there, or one that has another answer.
    """
    name = given.escalation_id
    case = cases.get(name)
    if case is None:
        raise WrongUse(f"there is no escalation {name!r}; `portfolio escalations list` names them")
    if not given.by.strip():
        raise WrongUse(f"escalation {name}: an answer needs the name of who gives it; say --by NAME")
    if not given.reason.strip():
        raise WrongUse(f"escalation {name}: an answer needs a reason; say --reason TEXT")
    if given.answer not in STATUS_OF:
        raise WrongUse(f"escalation {name}: {given.answer!r} is no answer; approve, defer or halt it")
    if given.answer != "approve" and (given.conditions or given.changes):
        raise WrongUse(f"escalation {name}: conditions go with an approval, not with {given.answer!r}; approve it, or leave them out")
    if given.at < case.escalation.opened_at:
        raise WrongUse(f"escalation {name} was opened after this answer's time; correct the clock")
    if case.answered is None:
        return (given,)
    if case.answered._replace(at=given.at) == given:
        return ()
    raise WrongUse(f"escalation {name} was {case.status} by {case.answered.by} already; open a new one to decide otherwise")


def expired(cases: "Map[str, Case]", now: int) -> tuple[Expired, ...]:
    """Return the events of the open escalations whose time is over by ``now``, in the order of their ends; each bears its own end."""
    over = sorted((case.escalation.due_at, name) for name, case in cases.items() if case.status == "open" and case.escalation.due_at <= now)
    return tuple(Expired(end, name) for end, name in over)


def waiting(cases: "Map[str, Case]") -> tuple[Case, ...]:
    """Return the cases without an answer, by their ends."""
    found = [case for case in cases.values() if case.answered is None]
    return tuple(sorted(found, key=lambda case: (case.escalation.due_at, case.escalation.escalation_id)))


def key_of(portfolio: str, event: EscalationEvent) -> str:
    """Return the identity of an event in the log: an escalation is opened, answered and expires once."""
    if isinstance(event, Opened):
        return f"{stream_of(portfolio)}/{quote(event.escalation.escalation_id, safe='')}/opened"
    what = "answered" if isinstance(event, Answered) else "expired"
    return f"{stream_of(portfolio)}/{quote(event.escalation_id, safe='')}/{what}"


def encode_event(event: EscalationEvent) -> tuple[str, dict[str, object]]:
    """Return the type of an event in the log, and its data without floats."""
    name = next(name for name, kind in NAMES.items() if kind is type(event))
    return name, {"at": event.at, "event": encode(event, type(event))}


def decode_event(name: str, data: dict[str, object]) -> EscalationEvent:
    """Return the event behind its type and data.

    Raises:
        KeyError: the type is none of an escalation.
    """
    event: EscalationEvent = decode(data["event"], NAMES[name])
    return event
