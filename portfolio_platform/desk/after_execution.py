"""What follows from the reports of an execution: verification, the revised document, escalations, alerts, messages, the end.

Each is done once for each report and can be done by whoever comes first: who writes looks again under the log's lock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log, notices
from portfolio_platform.desk.escalations import cases_in, open_escalation, record
from portfolio_platform.desk.events import PlanClosed
from portfolio_platform.desk.execution_events import (
    DocumentRevised,
    ExecutionFlagged,
    ExecutionState,
    ExecutionVerified,
    keep,
    state_of,
    text_of,
)
from portfolio_platform.desk.execution_files import LEDGER
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.amounts import money, part, percent
from portfolio_platform.orchestrator.escalation import MINUTE, Answered, Case, Escalation, Trigger, Violation
from portfolio_platform.orchestrator.escalation import escalated as escalation_of
from portfolio_platform.orchestrator.executed import not_filled
from portfolio_platform.orchestrator.execution_flags import ExecutionFlag, flags_of
from portfolio_platform.orchestrator.model import Snapshot
from portfolio_platform.orchestrator.revision import left_to_do, portfolio_document
from portfolio_platform.orchestrator.verification import Projected, Verification, VerifiedShare, after_fills, differences, verify

EXECUTOR = "Trade-Executor"
"""Who executes and reports: named in what asks for an order."""


def portfolio_now(home: Home, state: ExecutionState, at: datetime) -> tuple[Snapshot, Projected, tuple[str, ...]]:
    """Return the portfolio after the fills, the same as the reports alone make it, and how the two differ.

    A plan of a file has no other portfolio than the reported one. Of a plan of the ledger it is the ledger's, which has the fills
    already; where it cannot be taken, the reported one stands in and the reason is said.
    """
    papers, executed = state.papers, state.executed
    reported = after_fills(papers.snapshot, executed.in_force, papers.plan.trades)
    if papers.snapshot.source != LEDGER:
        return reported.snapshot, reported, reported.notes
    from portfolio_platform.desk.snapshot import snapshot_of
    from portfolio_platform.desk.sources import accounts_of

    terms = accounts_of(home, None)[0].of(papers.plan.portfolio)
    tickers = {one.ticker for one in papers.plan.trades} | {fill.ticker for fill in executed.in_force}
    try:
        found = snapshot_of(home, papers.plan.portfolio, at, tickers=tickers, terms=terms).snapshot
    except (DataProblem, WrongUse) as error:
        return reported.snapshot, reported, (*reported.notes, f"the ledger could not be looked at: {error}")
    return found, reported, (*reported.notes, *(f"beside the plan: {text}" for text in differences(reported.snapshot, found)))


def verified(home: Home, state: ExecutionState) -> ExecutionState:
    """Verify sectors, positions and buffer after the newest report, once; return the state with it."""
    number = len(state.reports)
    if not state.executed.in_force or (state.verified is not None and state.verified[0] >= number):
        return state
    now = home.clock.now()
    made = verification_now(home, state, now)
    event = ExecutionVerified(nanoseconds(now), state.execution_id, number, text_of(made))
    return _kept_once(home, state, event, f"verified/{number}")


def verification_now(home: Home, state: ExecutionState, at: datetime) -> Verification:
    """Return steps 5 and 6 on the portfolio as it is now."""
    snapshot, reported, notes = portfolio_now(home, state, at)
    traded = {fill.ticker for fill in state.executed.in_force}
    source: Any = "reported" if snapshot is reported.snapshot else "ledger"
    return verify(snapshot, state.papers.profile, state.papers.plan.dry_run, traded, source, notes)


def revised(home: Home, state: ExecutionState) -> ExecutionState:
    """Make the revision of the portfolio document that belongs to the newest report, once."""
    number = len(state.reports)
    if not state.executed.in_force or any(one.number >= number for one in state.documents):
        return state
    now = home.clock.now()
    snapshot = portfolio_now(home, state, now)[0]
    left = left_to_do(state.executed, snapshot, state.papers.profile)
    revision = len(state.documents) + 1
    text = portfolio_document(snapshot, left, state.executed, now, revision)
    event = DocumentRevised(nanoseconds(now), state.execution_id, revision, number, text)
    return _kept_once(home, state, event, f"document/{number}")


def _kept_once(home: Home, state: ExecutionState, event: ExecutionVerified | DocumentRevised, what: str) -> ExecutionState:
    with home.book.writing() as connection:
        take_log_lock(connection)
        now = state_of(connection, state.execution_id)
        there = now.verified is not None and now.verified[0] >= event.number
        if isinstance(event, DocumentRevised):
            there = any(one.number >= event.number for one in now.documents)
        if not there:
            keep(connection, now.papers.plan.portfolio, event, what, at=home.clock.now())
            now = state_of(connection, state.execution_id)
        return now


def flagged(home: Home, state: ExecutionState) -> tuple[ExecutionFlag, ...]:
    """Log the flags that the clock brought, and tell people of every flag; return those that are new."""
    now, portfolio = home.clock.now(), state.papers.plan.portfolio
    known = {flag.key for flag in state.flags}
    fresh: tuple[ExecutionFlag, ...] = ()
    if state.plan.closed is None and not state.on_paper:
        late = [flag for flag in flags_of(state.executed, state.papers.profile, now) if flag.code == "no_fill" and flag.key not in known]
        fresh = tuple(late)
        if fresh:
            with home.book.writing() as connection:
                take_log_lock(connection)
                known = {flag.key for flag in state_of(connection, state.execution_id).flags}
                for flag in (flag for flag in fresh if flag.key not in known):
                    event = ExecutionFlagged(nanoseconds(now), state.execution_id, text_of(flag))
                    keep(connection, portfolio, event, f"flag/{flag.key}", at=now)
    for report in state.reports:
        if report.flags:
            said = "; ".join(flag.text for flag in report.flags[:6]) + (" ..." if len(report.flags) > 6 else "")
            sentence = f"{portfolio}: report {report.number} of execution {state.execution_id} has {len(report.flags)} flags: {said}"
            action = f"{EXECUTOR}: look at `portfolio execution status {state.execution_id}`, correct what was mistyped, then resolve this."
            notices.alert_once(home, notices.FLAGGED, f"{state.execution_id}/report-{report.number}", "warning", sentence, action)
    return fresh


def escalated(home: Home, state: ExecutionState) -> None:
    """Escalate what asks for it, and tell who decides."""
    _escalate(home, state)
    notices.tell_escalations(home)


def _escalate(home: Home, state: ExecutionState) -> None:
    """Open the escalations that steps 4 to 6 ask for: a cap or the buffer breached after the fills, and orders without a fill.

    While trades are left to be done, only what the execution has made worse than it was before the plan is asked about.
    """
    if not state.on_paper:
        _escalate_no_fill(home, state)
    if state.verified is None:
        return
    number, found = state.verified
    name, before = f"{state.execution_id}-V{number}", state.papers.snapshot
    done = state.executed.complete

    def worse(held: Mapping[str, int], share: VerifiedShare) -> bool:
        return done or share.share_ppm > part(held.get(share.name, 0), before.equity_minor)

    sectors = [
        Violation("sector_cap", one.name, one.limit_ppm, one.share_ppm, "ppm", f"{one.name} is over its cap")
        for one in found.sectors_over
        if worse(before.sectors_minor, one)
    ]
    if sectors:
        _open(home, state, Trigger.SECTOR_CAP_BREACH, f"{name}-sectors", sectors)
    if found.buffer == "fail" and (done or found.buffer_ppm < part(before.cash_minor, before.equity_minor)):
        text = "Buffer breached: request deposit or position reduction"
        violation = Violation("buffer", "portfolio", found.floor_ppm, found.buffer_ppm, "ppm", text)
        _open(home, state, Trigger.BUFFER_BREACH, f"{name}-buffer", [violation])
    rest = [
        Violation("position_size", one.name, one.limit_ppm, one.share_ppm, "ppm", f"{one.name} is over the limit of a position")
        for one in found.positions_over
        if worse(before.positions_minor, one)
    ]
    rest += [Violation("account_cash", account, 0, 0, "", f"account {account} is overdrawn") for account in found.overdrawn]
    if rest:
        _open(home, state, Trigger.CONSTRAINT_VIOLATION, f"{name}-positions", rest)


def _escalate_no_fill(home: Home, state: ExecutionState) -> None:
    """Ask once about every order without a fill, those that are found together in one escalation; and no more where they have one."""
    profile, now, portfolio = state.papers.profile, home.clock.now(), state.papers.plan.portfolio
    minutes = profile.execution.no_fill_minutes
    with home.book.reading() as connection:
        cases = [case for case in cases_in(connection, portfolio).values() if _is_no_fill(case, state)]
    asked = {violation.scope for case in cases for violation in case.escalation.violations}
    late = [one for one in not_filled(state.executed, now, minutes) if one.trade_id not in asked]
    if late:
        found = []
        for one in late:
            text = f"{one.trade_id} {one.ticker}: no fill after {minutes} minutes, since {one.since:%H:%M} UTC"
            waited = int(one.waited.total_seconds()) * 1_000_000_000
            found.append(Violation("no_fill", one.trade_id, minutes * MINUTE, waited, "ns", text))
        _open(home, state, Trigger.NO_FILL, f"{state.execution_id}-N{len(cases) + 1}", found, waits=False)
    _settle_filled(home, state, cases)


def _is_no_fill(case: Case, state: ExecutionState) -> bool:
    return case.escalation.trigger == Trigger.NO_FILL.value and case.escalation.subject == state.execution_id


def _settle_filled(home: Home, state: ExecutionState, cases: Sequence[Case]) -> None:
    """Answer what was asked about orders that have a fill by now, or were given up."""
    now, portfolio = home.clock.now(), state.papers.plan.portfolio
    over = {one.trade.trade_id for one in state.executed.trades if one.filled or one.given_up is not None}
    for case in cases:
        if case.answered is None and {violation.scope for violation in case.escalation.violations} <= over:
            name = case.escalation.escalation_id
            at = max(nanoseconds(now), case.escalation.opened_at)
            with home.book.writing() as connection:
                take_log_lock(connection)
                if cases_in(connection, portfolio)[name].answered is None:
                    record(connection, portfolio, [Answered(at, name, "approve", "rule:filled", "they were filled or given up")], at=now)


def _open(
    home: Home, state: ExecutionState, trigger: Trigger, name: str, violations: Sequence[Violation], *, waits: bool | None = None
) -> None:
    """Open an escalation once."""
    now, plan, profile = home.clock.now(), state.papers.plan, state.papers.profile
    made = escalation_of(
        trigger,
        name,
        nanoseconds(now),
        portfolio=plan.portfolio,
        profile=profile.name,
        violations=tuple(violations),
        plan_hash=plan.hash,
        portfolio_hash=plan.portfolio_hash,
        routing=profile.escalation.routing,
        sla_minutes=profile.escalation.sla_minutes,
        subject=state.execution_id,
    )
    if waits is not None:
        made = made._replace(waits=waits)
    with home.book.writing() as connection:
        take_log_lock(connection)
        cases = cases_in(connection, plan.portfolio)
        if name not in cases and not any(_asked(case, made) for case in cases.values()):
            open_escalation(connection, made, at=now)


def _asked(case: Case, made: Escalation) -> bool:
    """Say whether the same is asked already, or was approved: the same rules in the same scopes, or more of them."""
    one = case.escalation
    if (one.subject, one.trigger) != (made.subject, made.trigger) or case.status not in ("open", "expired", "approved"):
        return False
    return {(item.rule, item.scope) for item in made.violations} <= {(item.rule, item.scope) for item in one.violations}


def ended(home: Home, state: ExecutionState) -> None:
    """Close the plan where nothing is left to be done of it, once."""
    if not state.executed.complete or state.plan.closed is not None or not state.reports:
        return
    trades = state.executed.trades
    done = sum(1 for one in trades if one.status == "filled")
    some = any(one.filled for one in trades)
    outcome = "executed" if done == len(trades) else "partly_executed" if some else "not_executed"
    by = state.reports[-1].by
    now = home.clock.now()
    event = PlanClosed(nanoseconds(now), state.execution_id, outcome, by, f"{done} of {len(trades)} trades filled, nothing is left")
    with home.book.writing() as connection:
        take_log_lock(connection)
        if state_of(connection, state.execution_id).plan.closed is None:
            log.write(connection, state.papers.plan.portfolio, [(event, log.key_of(event, "closed"))], at=now)


def routed(home: Home, state: ExecutionState) -> None:
    """Send the report of an execution that is over to the recipients of the profile (step 8), each once."""
    closed = state.plan.closed
    if closed is None or (state.verified is None and not state.executed.given_up):
        return
    due, plan = state.papers.profile.due, state.papers.plan
    about, now = f"{state.execution_id}|{len(state.reports)}", home.clock.now()
    lines = summary(state)
    sentence = f"execution {state.execution_id} is over: {closed.outcome.replace('_', ' ')}"
    for name in due.report_to:
        notices.route(home, plan.portfolio, name, about, sentence, lines, at=now, reason="execution report")
    halted = [one.trade.trade_id for one in state.executed.trades if one.given_up is not None]
    if halted:
        for name in due.halted_to:
            text = f"{', '.join(halted)} of execution {state.execution_id} were not done; analyse them again"
            notices.route(home, plan.portfolio, name, about, text, lines, at=now, reason="positions were halted")
    if state.verified is not None and not state.verified[1].passed:
        routing = state.papers.profile.escalation.routing
        notices.route(home, plan.portfolio, routing, about, sentence, lines, at=now, reason="escalations")


def summary(state: ExecutionState) -> list[tuple[str, str]]:
    """Return the facts of an execution as labelled lines."""
    trades, digits = state.executed.trades, state.papers.plan.digits
    done = [f"{one.trade.side} {one.filled:f} {one.trade.ticker} at {one.price:f}" for one in trades if one.price is not None]
    lines = [("Trades", "; ".join(done[:8]) + (" ..." if len(done) > 8 else ""))]
    left = [f"{one.trade.trade_id} {one.trade.ticker}: {one.status}" for one in trades if one.status != "filled"]
    lines.append(("Not done", "; ".join(left[:8])))
    if state.verified is not None:
        found = state.verified[1]
        lines.append(("Cash", f"{money(found.cash_minor, digits)} {found.currency}, {percent(found.buffer_ppm)} % ({found.buffer})"))
        lines.append(("Sectors", "; ".join(f"{one.name} {percent(one.share_ppm)} %" for one in found.sectors[:8])))
        lines.append(("Does not hold", "; ".join(found.faults)))
    lines.append(("Flags", "; ".join(flag.text for flag in state.flags[:6])))
    lines.append(("Look", f"portfolio execution status {state.execution_id}"))
    return lines
