"""An execution as one document, from the log and the portfolio as it is now: what is done, what is left, whether it still holds."""

from portfolio_platform.days import nanoseconds
from portfolio_platform.desk.after_execution import verification_now
from portfolio_platform.desk.due import due_items
from portfolio_platform.desk.escalations import cases_of
from portfolio_platform.desk.execution_events import ExecutionState, instant
from portfolio_platform.desk.execution_files import folder_of, write_if_other
from portfolio_platform.desk.exits import newest_prices
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.execution_flags import ExecutionFlag, flags_of
from portfolio_platform.orchestrator.execution_report import (
    DueRow,
    EscalationRow,
    ExecutionReport,
    exit_rows,
    log_rows,
    must_hold,
    trade_rows,
)
from portfolio_platform.orchestrator.exits import watches_of


def execution_report(home: Home, state: ExecutionState, *, live: bool = True) -> ExecutionReport:
    """Return the document of an execution.

    Args:
        home: whose.
        state: what the log has of it.
        live: whether limits, prices and flags are looked at as they are now; else they are those that were logged, and the same log
            gives the same document.
    """
    now, plan, executed, papers = home.clock.now(), state.plan, state.executed, state.papers
    assert plan.approved is not None, "only an approved plan is executed"
    before, watches = papers.snapshot, watches_of(executed)
    rows = log_rows(executed, before.cash_minor, before.equity_minor, papers.profile)
    verified = None if state.verified is None else state.verified[1]
    owed = due_items(home, papers.plan.portfolio) if live else []
    return ExecutionReport(
        execution_id=state.execution_id,
        portfolio=papers.plan.portfolio,
        profile=papers.profile.name,
        kind=papers.plan.kind,
        currency=papers.plan.currency,
        digits=papers.plan.digits,
        made_at=papers.plan.made_at,
        verdict=papers.plan.verdict,
        status=plan.status(nanoseconds(now)),
        approved_by=plan.approved.by,
        approved_at=executed.approved_at,
        approved_until=executed.until,
        conditions=plan.approved.conditions,
        trades=trade_rows(executed),
        beyond=tuple(row for row in rows if not row.trade_id),
        log=rows,
        halted=tuple(one.trade.trade_id for one in executed.trades if one.given_up is not None),
        flags=_flags(home, state) if live else state.flags,
        set_aside=tuple(bad for report in state.reports for bad in report.set_aside),
        verification=verification_now(home, state, now) if live else verified,
        must_hold=must_hold(executed, papers.profile),
        exits=exit_rows(watches, state.touched, newest_prices(home, {one.ticker for one in watches}) if live else {}),
        escalations=tuple(
            EscalationRow(
                escalation_id=case.escalation.escalation_id,
                trigger=case.escalation.trigger,
                status=case.status,
                request=case.escalation.request,
                routing=case.escalation.routing,
                due_at=instant(case.escalation.due_at),
            )
            for case in cases_of(home, papers.plan.portfolio)
            if case.escalation.subject == state.execution_id or case.escalation.escalation_id == plan.made.escalation_id
        ),
        due=tuple(
            DueRow(item_id=one.item.item_id, kind=one.item.kind, title=one.item.title, due_on=one.item.due_on, is_due=one.is_due)
            for one in owed
        ),
        next_review=min((one.item.due_on for one in owed), default=None),
        reports=len(state.reports),
        document_revision=state.documents[-1].revision if state.documents else 0,
        routed_to=papers.profile.due.report_to if plan.closed is not None else (),
    )


def _flags(home: Home, state: ExecutionState) -> tuple[ExecutionFlag, ...]:
    """Return the flags as they are now: those that were logged and no longer are so are left to the log."""
    if state.plan.closed is not None:
        return state.flags
    return flags_of(state.executed, state.papers.profile, home.clock.now())


def write_pages(home: Home, state: ExecutionState) -> None:
    """Write the execution report, as it is now, into the execution's folder: the page a trader looks at, Markdown and JSON."""
    from portfolio_platform.render.orchestration.executed import execution_files

    folder = folder_of(home, state.execution_id)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in execution_files(execution_report(home, state)).items():
        write_if_other(folder / name, content.decode("utf-8"))
