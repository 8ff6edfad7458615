"""The events of a portfolio's plans, typed, and their form in the log: integers and text only.

The stream is ``orchestration/<portfolio>``; the papers of one plan are in ``orchestration/<portfolio>/<execution id>``, so that the
portfolio's stream stays short. Names are percent-encoded. In the log an event is an object with its fields by name, so that a field
with a default may be added later; what is inside a field has the form of `portfolio_platform.codec`.

Further types of events need no change here: a named tuple with ``at`` and ``execution_id``, and a mapping of its name in the log to it,
given to `encode_event`, `decode_event` and to the functions of `log`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeAlias, get_type_hints
from urllib.parse import quote

from portfolio_platform.codec import decode, encode


def stream_of(portfolio: str, execution_id: str | None = None) -> str:
    """Return the name of the stream of a portfolio's plans, or of one plan's papers."""
    whole = f"orchestration/{quote(portfolio, safe='')}"
    return whole if execution_id is None else f"{whole}/{quote(execution_id, safe='')}"


class DeskEvent(Protocol):
    """What every event of the stream has."""

    @property
    def at(self) -> int:
        """Return when it was, nanoseconds UTC."""
        ...

    @property
    def execution_id(self) -> str:
        """Return the plan that it is about."""
        ...


class Conflict(NamedTuple):
    """Something that a plan wants and the control plane's envelope does not allow.

    Attributes:
        code: what the control plane answers (``rejected_risk_off``, ``approved_clipped`` ...), or ``envelope_expired``.
        symbol: what the plan buys.
        trade_id: of the plan's trades in it, with commas between.
        version: of the symbol's envelope; 0 where none was issued.
        limit: risk that is granted, minor units.
        wanted: risk that the plan asks for, minor units.
        text: the same as a sentence.
    """

    code: str
    symbol: str
    trade_id: str
    version: int
    limit: int
    wanted: int
    text: str


class PlanMade(NamedTuple):
    """A plan was made.

    Attributes:
        at: when, ns UTC; the plan's own time.
        execution_id: the plan's id.
        kind: ``rebalancing``, ``stock`` or ``queue``.
        topic: what it is about: of several open plans on one topic the newest counts.
        verdict: ``SAFE``, ``CONDITIONAL`` or ``BLOCKED``.
        plan_hash: what an approval binds.
        portfolio_hash: `Snapshot.state_hash` of the portfolio that it was made on.
        profile, profile_hash: of the policy profile.
        source, source_hash: name and content hash of what asked for it: the document, the recommendation, the queue.
        trades: how many.
        expires_at: from when on it may not be approved nor begun, ns UTC.
        papers_hash: SHA-256 of its papers' canonical bytes, which are in the plan's own stream.
        conflicts: with the control plane's envelope.
        escalation_id: the escalation that a blocked plan opened; empty where none.
        instead_of: the plan that it replaces, for the portfolio had moved; empty where none.
        sources: where portfolio, rankings, restrictions and accounts were read: ``ledger``, or a file, relative to the home if in it.
    """

    at: int
    execution_id: str
    kind: str
    topic: str
    verdict: str
    plan_hash: str
    portfolio_hash: str
    profile: str
    profile_hash: str
    source: str
    source_hash: str
    trades: int
    expires_at: int
    papers_hash: str
    conflicts: tuple[Conflict, ...] = ()
    escalation_id: str = ""
    instead_of: str = ""
    sources: tuple[tuple[str, str], ...] = ()


class PlanApproved(NamedTuple):
    """A person approved a plan: these very bytes, on this very portfolio, until its end.

    Attributes:
        at, execution_id: when, and which.
        plan_hash, portfolio_hash: what was approved, and on which portfolio.
        by, reason: who, and why.
        conditions: the plan's conditions, and those of the escalation's answer, all accepted.
        expires_at: until when it may be begun, ns UTC.
        escalation_id: the answered escalation that lets a blocked plan through; empty where it needed none.
        approval_id: the signed approval in the book; empty where no signature was given.
    """

    at: int
    execution_id: str
    plan_hash: str
    portfolio_hash: str
    by: str
    reason: str
    conditions: tuple[str, ...]
    expires_at: int
    escalation_id: str = ""
    approval_id: str = ""


class PlanRefused(NamedTuple):
    """An approval was asked for and refused.

    ``code`` is ``blocked``, ``expired``, ``moved``, ``conditions``, ``superseded``, ``closed``, ``pending``, ``envelope``,
    ``restricted``, ``other_hash``, or that of a signature that does not hold; ``portfolio_hash`` is that of the portfolio as it was found.
    """

    at: int
    execution_id: str
    plan_hash: str
    portfolio_hash: str
    by: str
    code: str
    reason: str
    approval_id: str = ""


class PlanSuperseded(NamedTuple):
    """A newer plan stands in the place of one that nobody had approved."""

    at: int
    execution_id: str
    by_execution: str
    reason: str


class PlanClosed(NamedTuple):
    """A plan is over. ``outcome`` is ``executed``, ``partly_executed``, ``not_executed`` or ``withdrawn``."""

    at: int
    execution_id: str
    outcome: str
    by: str
    reason: str


class PapersKept(NamedTuple):
    """The papers of a plan as canonical JSON (`orchestrator.papers.PlanPapers`), in the plan's own stream."""

    at: int
    execution_id: str
    papers: str


class Other(NamedTuple):
    """An event of a type that its reader did not ask for."""

    at: int
    execution_id: str
    type: str


Names: TypeAlias = Mapping[str, type[Any]]
NAMES: Names = {
    "plan_made": PlanMade,
    "plan_approved": PlanApproved,
    "plan_refused": PlanRefused,
    "plan_superseded": PlanSuperseded,
    "plan_closed": PlanClosed,
}
"""The types of a plan's own life in the log."""
PAPERS = "plan_papers"


def encode_event(event: DeskEvent, names: Names = NAMES) -> tuple[str, dict[str, object]]:
    """Return the type of an event in the log, and its data without floats.

    Raises:
        KeyError: it is none of these types.
    """
    kind: Any = type(event)
    name = next((name for name, one in names.items() if one is kind), None)
    if name is None:
        raise KeyError(f"{kind.__name__} is none of {', '.join(names)}")
    return name, {field: encode(getattr(event, field), declared) for field, declared in _fields(kind)}


def decode_event(name: str, data: Mapping[str, Any], names: Names = NAMES) -> DeskEvent:
    """Return the event behind its type and data; `Other` where the type is none of these.

    A field that the data lacks has its default, one that is not known is left out, so that older and newer logs can be read.

    Raises:
        TypeError: the data lacks a field without a default.
    """
    kind: Any = names.get(name)
    if kind is None:
        return Other(int(data["at"]), data["execution_id"], name)
    event: DeskEvent = kind(**{field: decode(data[field], declared) for field, declared in _fields(kind) if field in data})
    return event


@lru_cache(maxsize=128)
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(get_type_hints(kind).items())
