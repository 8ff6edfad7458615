"""A portfolio's plans as a pure fold of their events: what stands, what was approved, what was refused, what is over."""

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

from immutables import Map

from portfolio_platform.desk.events import DeskEvent, PlanApproved, PlanClosed, PlanMade, PlanRefused, PlanSuperseded

Stage = Literal["made", "approved", "executing", "superseded", "closed"]
Status = Literal[
    "open", "blocked", "approved", "executing", "expired", "superseded", "executed", "partly_executed", "not_executed", "withdrawn"
]


class PlanState(NamedTuple):
    """A plan and what became of it.

    Attributes:
        made: how it was made.
        stage: where it is, whatever the time.
        approved: its approval.
        refusals: approvals that were asked for and refused.
        superseded: what stands in its place.
        closed: how it ended.
        begun_at: when the first report of its execution came, ns UTC; 0 where none did.
    """

    made: PlanMade
    stage: Stage = "made"
    approved: PlanApproved | None = None
    refusals: tuple[PlanRefused, ...] = ()
    superseded: PlanSuperseded | None = None
    closed: PlanClosed | None = None
    begun_at: int = 0

    @property
    def execution_id(self) -> str:
        """Return its id."""
        return self.made.execution_id

    @property
    def expires_at(self) -> int:
        """Return from when on it may not be approved, or, once it is, not be begun; ns UTC."""
        return self.approved.expires_at if self.approved is not None else self.made.expires_at

    def status(self, now: int) -> Status:
        """Return what a person calls its state at a time."""
        if self.closed is not None:
            return self.closed.outcome  # type: ignore[return-value]
        if self.stage in ("superseded", "executing"):
            return "superseded" if self.stage == "superseded" else "executing"
        if now >= self.expires_at:
            return "expired"
        if self.stage == "approved":
            return "approved"
        return "blocked" if self.made.verdict == "BLOCKED" else "open"

    def in_force(self, now: int) -> bool:
        """Say whether its trades may be under way: approved and not over, or begun and not ended."""
        return self.status(now) in ("approved", "executing")


Plans: TypeAlias = "Map[str, PlanState]"
NO_PLANS: "Map[str, PlanState]" = Map()


def apply(plans: "Map[str, PlanState]", event: DeskEvent) -> "Map[str, PlanState]":
    """Return the plans after an event. What comes twice, or too late to matter, changes nothing.

    An event of another type says that the execution of an approved plan has begun.

    Raises:
        KeyError: it speaks of a plan that was never made.
    """
    name = event.execution_id
    if isinstance(event, PlanMade):
        return plans if name in plans else plans.set(name, PlanState(event))
    plan = plans[name]
    if isinstance(event, PlanRefused):
        return plans.set(name, plan._replace(refusals=(*plan.refusals, event)))
    if isinstance(event, PlanApproved):
        return plans.set(name, plan._replace(stage="approved", approved=event)) if plan.stage == "made" else plans
    if isinstance(event, PlanSuperseded):
        return plans.set(name, plan._replace(stage="superseded", superseded=event)) if plan.stage == "made" else plans
    if isinstance(event, PlanClosed):
        return plans.set(name, plan._replace(stage="closed", closed=event)) if plan.closed is None else plans
    if plan.stage == "approved":
        return plans.set(name, plan._replace(stage="executing", begun_at=event.at))
    return plans


def replay(events: Iterable[DeskEvent], plans: "Map[str, PlanState]" = NO_PLANS) -> "Map[str, PlanState]":
    """Return the plans after all events."""
    for event in events:
        plans = apply(plans, event)
    return plans


def newest_first(plans: "Map[str, PlanState]") -> list[PlanState]:
    """Return the plans, the newest first."""
    return sorted(plans.values(), key=lambda plan: (plan.made.at, plan.execution_id), reverse=True)


def in_force(plans: "Map[str, PlanState]", now: int) -> list[PlanState]:
    """Return the plans whose trades may be under way, the oldest first."""
    return sorted((plan for plan in plans.values() if plan.in_force(now)), key=lambda plan: (plan.made.at, plan.execution_id))
