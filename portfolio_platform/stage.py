"""A stage: tables that are built together from others, from the first day that changed. Every derived table beyond the ledger is one.

What belongs here: when a stage has to run and what it records. What it computes is in the stages themselves.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from portfolio_platform.book.control import Touched, touched
from portfolio_platform.home import Home
from portfolio_platform.lake.built import Built
from portfolio_platform.lake.changes import first_changed_day, first_set_aside_day
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import QUARANTINE, Fact
from portfolio_platform.lake.progress import WATCHED, Plan, newest_import_of, plan_downstream, read_progress, write_progress
from portfolio_platform.policy.assigned import Assigned, PoliciesInTime, accounting_hash, policies_in_time

if TYPE_CHECKING:
    import pyarrow as pa

Compute = Callable[[Home, Assigned, Plan], Mapping[Table, "pa.Table"]]


@dataclass(frozen=True)
class Stage:
    """Tables that are built together.

    Attributes:
        name: its name in `progress`.
        tables: what it writes.
        upstreams: the builds whose tables it reads, by name; `ledger` is the accounting.
        compute: a pure reading of home and policies: rows of each table with ``plan.first <= day <= plan.until``.
        facts: facts that it reads and that no stage upstream reads.
        begin: the earliest day whose rows a plan may change, where that can be before the plan's first day; it may only move it back.
        settles: whether what `begin` reaches back for says nothing new of the days before the plan: a row of an earlier day is
            completed by something that is dated later, and readers of the earlier day leave it out.
        quarantine: whether it reads what is set aside, which no build upstream follows.
        decisions: the types of the book's events that it reads (see `book.control`); a new one builds the days again that it touches.
        judges: whether it reads more of the policies than how to account, which is one convention for all time. One that does is
            computed stretch by stretch, each day by the policies then in force; one that does not, in one go, whatever is in force.
    """

    name: str
    tables: tuple[Table, ...]
    upstreams: tuple[str, ...]
    compute: Compute
    facts: tuple[Fact, ...] = ()
    begin: Callable[[Home, Plan], date] | None = None
    settles: bool = False
    quarantine: bool = False
    decisions: tuple[str, ...] = ()
    judges: bool = True

    def trail(self, policies: PoliciesInTime) -> str:
        """Return what of the policies its rows rest on, as `progress` remembers it."""
        return policies.trail if self.judges else accounting_hash(policies.default.newest.policy)

    def parts(self, policies: PoliciesInTime, plan: Plan) -> list[tuple[Plan, Assigned]]:
        """Return a plan cut where other policies begin, with those of each part. Raises `NoPolicyInForce` where a day has none."""
        if not self.judges:
            return [(plan, policies.newest)]
        return [(replace(plan, first=part.first, until=part.until), part.policies) for part in policies.parts(plan.first, plan.until)]


def build_stage(home: Home, stage: Stage, *, restate_from: date | None = None) -> Built:
    """Bring a stage's tables up to date with what it rests on."""
    with home.lake.writing():
        policies = policies_in_time(home)
        plan = plan_stage(home, stage, policies, restate_from)
        if plan is None:
            return Built(home.today, None, {})
        written: Counter[str] = Counter()
        # each part reads what the one before has written: a range is built as its days would be, one after another
        for part, assigned in stage.parts(policies, plan):
            for table, rows in stage.compute(home, assigned, part).items():
                home.lake.replace_from(table, part.first, rows)
                written[table.name] += len(rows)
        write_progress(home.lake, plan.done(stage.name, stage.trail(policies)))
        return Built(plan.until, plan.first, dict(written))


def plan_stage(home: Home, stage: Stage, policies: PoliciesInTime, restate_from: date | None = None) -> Plan | None:
    """Return what a stage has to do, None where it is up to date."""
    newest = max(newest_import_of(home.lake, stage.facts), home.lake.largest(QUARANTINE, "import_seq") if stage.quarantine else 0)
    done = read_progress(home.lake, stage.name)
    days: list[date | None] = [restate_from]
    if done and newest > done.import_seq:
        days.append(first_changed_day(home.lake, stage.facts, done.import_seq, home.first_day))
        if stage.quarantine:
            days.append(first_set_aside_day(home.lake, done.import_seq, home.first_day))
    decided = _decided(home, stage, done.upstreams.get(WATCHED, 0) if done else 0)
    if done:
        days.append(decided.first_day)
    begin = min((day for day in days if day is not None), default=None)
    plan = plan_downstream(home.lake, stage.name, stage.upstreams, stage.trail(policies), home.first_day, begin)
    if plan is None:
        return None
    first = plan.first if stage.begin is None else min(plan.first, stage.begin(home, plan))
    upstreams = {**plan.upstreams, WATCHED: decided.newest} if stage.decisions else plan.upstreams
    # what is built downstream sees the earlier day too, unless nothing was said of it that was not known then
    return Plan(first, plan.until, max(plan.import_seq, newest), upstreams, changed=plan.first if stage.settles else first)


def _decided(home: Home, stage: Stage, since: int) -> Touched:
    """Return what the book decided since the stage was built: the newest event that it rests on, and the first day that is another."""
    if not stage.decisions:
        return Touched(0, None)
    decisions = home.decisions
    with decisions.book.reading() as connection:
        return touched(connection, stage.decisions, since, decisions.bound(stage.name))
