"""Steps 5 to 8 around the pure rules: a person's report goes into the log, its fills into the ledger, and what follows is worked out.

Everything after the report is a consequence that can be worked out again: where a process is killed, the next call does what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.canonical import content_hash
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log
from portfolio_platform.desk.execution_events import (
    IN_PORTFOLIO,
    ExecutionRefused,
    ExecutionReported,
    ExecutionState,
    begun_from,
    instant,
    keep,
    state_from,
    state_of,
    text_of,
    with_report,
)
from portfolio_platform.desk.execution_files import bring_fills, holders_of
from portfolio_platform.desk.model import PlanState
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.booking import booked
from portfolio_platform.orchestrator.executed import Executed, GivenUp, Placing, ReportedFill
from portfolio_platform.orchestrator.execution_flags import ExecutionFlag, flags_of
from portfolio_platform.orchestrator.execution_intake import Taken, Unfit, take, withdraw
from portfolio_platform.orchestrator.execution_report import Report
from portfolio_platform.orchestrator.execution_rows import BadRow, Rows
from portfolio_platform.orchestrator.model import RestrictionList

NOTHING = Rows("the report")


@dataclass(frozen=True)
class Given:
    """What a person gives: rows of fills, orders placed, trades given up, fills that never happened; by whom.

    Attributes:
        by: who reports.
        rows: of a file, a form or the command line.
        placed: trades whose order was given, with the time.
        given_up: trades of which nothing more is done, with the reason.
        withdrawn: ids of fills that never happened.
        corrections: whether known fills may be corrected.
    """

    by: str
    rows: Rows = NOTHING
    placed: tuple[tuple[str, datetime], ...] = ()
    given_up: tuple[tuple[str, str], ...] = ()
    withdrawn: tuple[str, ...] = ()
    corrections: bool = False


@dataclass(frozen=True)
class Reported:
    """What came of a report: what was taken, the report as it was kept (None where it said nothing new), what it raised, the state."""

    state: ExecutionState
    taken: Taken
    report: Report | None
    fresh_flags: tuple[ExecutionFlag, ...] = ()
    imported: int = 0
    not_imported: int = 0
    unknown: tuple[str, ...] = field(default=())


def report(home: Home, execution_id: str, given: Given) -> Reported:
    """Take a report of what was done of an approved plan; the same report twice changes nothing.

    Fills are kept in the log first and then imported into the ledger; what follows from them (`follow`) is done at the end.

    Raises:
        WrongUse: the plan is not approved, or its approval ended before anything was done of it (the refusal is in the log); it names
            a trade that is not in the plan; nobody is named.
    """
    if not given.by.strip():
        raise WrongUse("a report needs the name of who gives it; say --by NAME")
    now = home.clock.now()
    with home.book.writing() as connection:
        take_log_lock(connection)
        portfolio = log.portfolio_of(connection, execution_id)
        plan = log.plans_of(connection, portfolio)[execution_id]
        refused = _refusal(plan, given, now) or _on_paper(connection, portfolio, plan, given, now)
        if refused is not None:
            said = content_hash(f"{refused.by}|{refused.reason}".encode())[:16]
            keep(connection, portfolio, refused, f"refused/{refused.at}/{refused.code}/{said}", at=now)
        else:
            state = state_from(connection, portfolio, plan)
            taken, made = _made(state, given, now, holders_of(home, state.papers), *_restrictions_now(home, plan))
            if made is not None:
                event = ExecutionReported(nanoseconds(now), execution_id, made.number, given.by, text_of(made))
                log.write(connection, portfolio, [(event, log.key_of(event, f"report/{made.number}"))], at=now, names=IN_PORTFOLIO)
    if refused is not None:
        raise WrongUse(refused.reason)
    after = follow(home, execution_id, pages=True)
    return Reported(after.state, taken, made, () if made is None else made.flags, after.imported, after.not_imported)


@dataclass(frozen=True)
class Followed:
    """The state after all consequences, and how many fills came into the ledger by this call."""

    state: ExecutionState
    imported: int
    not_imported: int


def follow(home: Home, execution_id: str, *, pages: bool = False) -> Followed:
    """Do everything that follows from the reports of an execution and is not done yet; a second time there is nothing to do.

    That is: the import of fills, verification, the revised document, flags, escalations, alerts, the end of the plan, messages, files.
    With ``pages`` the execution report is written as it is now; else only where it was never written.
    """
    from portfolio_platform.desk import after_execution
    from portfolio_platform.desk.execution_files import write_files
    from portfolio_platform.desk.execution_status import write_pages

    brought = bring_fills(home)
    with home.book.reading() as connection:
        state = state_of(connection, execution_id)
    state = after_execution.verified(home, state)
    state = after_execution.revised(home, state)
    after_execution.flagged(home, state)
    after_execution.escalated(home, state)
    after_execution.ended(home, state)
    with home.book.reading() as connection:
        state = state_of(connection, execution_id)
    after_execution.routed(home, state)
    folder = write_files(home, state)
    if pages or (state.reports and not (folder / "execution_report.html").exists()):
        write_pages(home, state)
    return Followed(state, brought.fills, brought.set_aside)


def _on_paper(connection: Connection, portfolio: str, plan: PlanState, given: Given, now: datetime) -> ExecutionRefused | None:
    """Return the refusal of a report about a plan that is executed on paper."""
    if not state_from(connection, portfolio, plan).on_paper:
        return None
    text = f"plan {plan.execution_id} is executed on paper (`portfolio execution paper`): there is nothing to report of it"
    return ExecutionRefused(nanoseconds(now), plan.execution_id, given.by, "on_paper", text)


def _refusal(plan: PlanState, given: Given, now: datetime) -> ExecutionRefused | None:
    """Return why a report cannot be taken; None where it can.

    What was done before the approval ended may be reported at any time, and what was begun then may be finished after it.
    """
    at, name = nanoseconds(now), plan.execution_id
    if plan.approved is None:
        status = plan.status(at)
        code, text = "not_approved", f"plan {name} is {status} and was never approved: nothing of it may be executed"
        return ExecutionRefused(at, name, given.by, code, f"{text}; approve it with `portfolio orchestrate approve {name}`")
    if plan.stage == "executing" or (plan.closed is not None and plan.begun_at):
        return None
    until = instant(plan.expires_at)
    times = [one.at for one in given.rows.given] + [one.placed_at for one in given.rows.given if one.placed_at is not None]
    times += [when for _, when in given.placed]
    if plan.closed is not None:
        text = f"plan {name} is over ({plan.closed.outcome}: {plan.closed.reason})"
        return ExecutionRefused(at, name, given.by, "closed", f"{text}; make a new plan")
    if now >= until and not any(when < until for when in times):
        text = f"the approval of plan {name} ended at {until:%Y-%m-%d %H:%M} UTC, and nothing was done of it before"
        remedy = "make a new plan; a trade that was done all the same comes in by `portfolio import`"
        return ExecutionRefused(at, name, given.by, "expired", f"{text}; {remedy}")
    return None


def _restrictions_now(home: Home, plan: PlanState) -> tuple[RestrictionList | None, tuple[str, ...]]:
    """Return the restriction list as it is now; where it cannot be read a note says so, for what was done has to be taken all the same."""
    from portfolio_platform.desk.sources import RESTRICTIONS, path_of, restrictions_of

    try:
        return restrictions_of(home, path_of(home, dict(plan.made.sources).get("restrictions", f"orchestrator/{RESTRICTIONS}")))[0], ()
    except (DataProblem, WrongUse) as error:
        return None, (f"whether a name is restricted by now was not looked at: {error}",)


def _restricted(fills: Sequence[ReportedFill], listed: RestrictionList | None) -> list[ExecutionFlag]:
    """Return a flag for each fill of a name that was restricted on its day."""
    found = []
    for fill in fills:
        barred = listed.in_force(fill.at.date()).get(fill.ticker) if listed is not None else None
        if barred is not None:
            text = f"{fill.trade_id or 'unplanned'} {fill.side} {fill.ticker}: the name is restricted ({barred.reason})"
            flag = ExecutionFlag(
                code="restricted", trade_id=fill.trade_id, fill_id=fill.fill_id, text=text, found=barred.reason, at=fill.at
            )
            found.append(flag)
    return found


def _made(
    state: ExecutionState,
    given: Given,
    now: datetime,
    holders: Mapping[str, str],
    listed: RestrictionList | None,
    notes: tuple[str, ...],
) -> tuple[Taken, Report | None]:
    """Return what became of the rows, and the report to keep; None where nothing of it is new."""
    accounts = sorted(one.account for one in state.papers.snapshot.accounts)
    taken = take(given.rows, state.executed, accounts, corrections=given.corrections)
    bad = [*taken.bad]
    withdrawn: list[ReportedFill] = []
    for name in given.withdrawn:
        try:
            gone = withdraw(name, state.executed)
        except Unfit as error:
            column, value, rule, remedy = error.parts
            bad.append(BadRow(file=given.rows.name, line=0, column=column, value=value, rule=rule, remedy=remedy))
            continue
        withdrawn += [gone] if gone is not None else []
    seen = {(one.column, one.value, one.rule, one.row) for report in state.reports for one in report.set_aside}
    made = Report(
        number=len(state.reports) + 1,
        at=now,
        by=given.by,
        source=given.rows.name,
        fills=(*_booked(state.executed, taken.fills, holders), *withdrawn),
        placings=_placings(state.executed, given, now),
        given_up=_given_up(state.executed, given, now),
        set_aside=tuple(one for one in bad if (one.column, one.value, one.rule, one.row) not in seen),
    )
    taken = Taken(taken.fresh, (*taken.corrected, *withdrawn), taken.known, tuple(bad), taken.passed_over, (*taken.notes, *notes))
    if not made.says_something:
        return taken, None
    known = {flag.key for flag in state.flags}
    flags = (*flags_of(with_report(state.executed, made), state.papers.profile, now), *_restricted(taken.fills, listed))
    return taken, made.model_copy(update={"flags": tuple(flag for flag in flags if flag.key not in known)})


def _booked(executed: Executed, fills: Sequence[ReportedFill], holders: Mapping[str, str]) -> tuple[ReportedFill, ...]:
    """Return fills with the strategies that they are booked to, one after the other."""
    known = dict(executed.fills)
    for fill in fills:
        own = [one for one in known.values() if one.trade_id == fill.trade_id]
        known[fill.fill_id] = booked(fill, executed.by_trade.get(fill.trade_id), holders, own)
    return tuple(known[fill.fill_id] for fill in fills)


def _placings(executed: Executed, given: Given, now: datetime) -> tuple[Placing, ...]:
    made_at = executed.plan.made_at
    for name, when in given.placed:
        _known_trade(executed, name)
        if not made_at <= when <= now:
            said = f"{when:%Y-%m-%d %H:%M:%S} UTC is not between the plan's {made_at:%Y-%m-%d %H:%M:%S} and now, {now:%Y-%m-%d %H:%M:%S}"
            raise WrongUse(f"the order of {name} cannot have been given then: {said}; put the time right")
    return tuple(Placing(trade_id=name, at=when) for name, when in given.placed if name not in executed.placings)


def _given_up(executed: Executed, given: Given, now: datetime) -> tuple[GivenUp, ...]:
    for name, _ in given.given_up:
        _known_trade(executed, name)
    return tuple(GivenUp(trade_id=name, at=now, reason=why) for name, why in given.given_up if name not in executed.given_up)


def _known_trade(executed: Executed, name: str) -> None:
    if name not in executed.by_trade:
        raise WrongUse(f"{name!r} is no trade of plan {executed.execution_id}, which has {', '.join(executed.by_trade) or 'none'}")


def empty_state(home: Home, execution_id: str) -> Executed:
    """Return an approved plan as if nothing was reported of it, for the template of a report. Raises `WrongUse`."""
    with home.book.reading() as connection:
        portfolio = log.portfolio_of(connection, execution_id)
        plan = log.plans_of(connection, portfolio)[execution_id]
        return begun_from(plan, log.papers_of(connection, execution_id))
