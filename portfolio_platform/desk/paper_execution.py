"""Executing an approved queue on paper: the loop over the home's bars, its inputs in the log, its escalations in the desk's store.

Kill it at any point: the next call brings it back from its inputs, checks that it stands where it stood, and goes on. Its fills enter the
ledger of a portfolio that is on paper; a live one is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import chain_head, stream_version
from portfolio_platform.broker.model import Bar, Filled
from portfolio_platform.broker.rows import bar_of, fills_csv
from portfolio_platform.control.money import QUANTITY_PLACES, digits_of, major
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log, notices
from portfolio_platform.desk import paper_events as kept
from portfolio_platform.desk.escalations import cases_in, record
from portfolio_platform.desk.events import PlanClosed
from portfolio_platform.desk.execution_events import PAPER, instant
from portfolio_platform.desk.model import PlanState
from portfolio_platform.desk.paper_events import Input, PaperBegun, PaperStep
from portfolio_platform.desk.paper_run import STRATEGY, PaperRun, Stepped
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import BARS, FILLS, IMPORTS, PORTFOLIOS
from portfolio_platform.orchestrator.amounts import plain
from portfolio_platform.orchestrator.escalation import Change, EscalationEvent, Opened
from portfolio_platform.orchestrator.loop_inputs import started
from portfolio_platform.orchestrator.loop_model import Decided, OpenEscalation, Overdue, SettleEscalation
from portfolio_platform.orchestrator.model import ApprovedQueue, Snapshot
from portfolio_platform.orchestrator.profile import Profile

DAY = 86_400_000_000_000
AT_ONCE = 2_000
_NAME = re.compile(r"fills-paper-0*(\d+)\.csv$")


class PaperMarked(NamedTuple):
    """A plan is being executed on paper."""

    at: int
    execution_id: str
    by: str


@dataclass(frozen=True)
class Wanted:
    """What is to be executed on paper: the queue, on which portfolio, under which profile, from when; and what trading costs.

    Costs are parts per million. ``execution_id`` is that of the desk's plan, or empty for a queue of its own.
    """

    queue: ApprovedQueue
    snapshot: Snapshot
    profile: Profile
    by: str
    at: datetime
    execution_id: str = ""
    slippage: int = 0
    fee: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Ran:
    """What a call did: the run as it stands, how many instants it took, what was filled and brought into the ledger, why it stopped."""

    run: PaperRun
    steps: int
    fills: int
    imported: int
    stopped: str


def begin(home: Home, wanted: Wanted) -> PaperBegun:
    """Have an execution on paper begin, once: the same queue on the same portfolio at the same time is the same execution.

    Raises:
        WrongUse: the portfolio is live, nobody is named, or a trade cannot be sized.
    """
    portfolio = wanted.queue.portfolio
    refuse_live(home, portfolio)
    if not wanted.by.strip():
        raise WrongUse("an execution on paper needs the name of who has it begun; say --by NAME")
    at = nanoseconds(wanted.at)
    name = wanted.execution_id or f"{portfolio}-paper-{wanted.at:%Y%m%dT%H%M%SZ}-{wanted.queue.hash[:12]}"
    begun = PaperBegun(
        at=at,
        execution_id=name,
        portfolio=portfolio,
        by=wanted.by,
        profile=wanted.profile.canonical().decode(),
        snapshot=wanted.snapshot.canonical().decode(),
        slippage=wanted.slippage,
        fee=wanted.fee,
        seed=wanted.seed,
        plan=bool(wanted.execution_id),
    )
    first = started(wanted.queue, wanted.snapshot, wanted.profile, name, at)
    labelled = tuple(one._replace(labels=one.labels._replace(strategy=STRATEGY, template="queue")) for one in first.trades)
    with home.book.writing() as connection:
        take_log_lock(connection)
        known = kept.found(connection, name)
        if known is not None:
            return known
        run = PaperRun(begun)
        inputs: tuple[Input, ...] = (first._replace(trades=labelled),)
        done = run.take(inputs)
        kept.keep(connection, portfolio, [begun], at=home.clock.now())
        _write(connection, home, run, inputs, done)
        if begun.plan:
            _mark_begun(connection, home, begun)
    return begun


def refuse_live(home: Home, portfolio: str) -> None:
    """Refuse a portfolio that is live: nothing on paper may come into its ledger. Raises `WrongUse`."""
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "mode")).to_pylist()
    if any(row["portfolio"] == portfolio and row["mode"] == "live" for row in rows):
        raise WrongUse(
            f"portfolio {portfolio!r} is live, and fills on paper have no place in its ledger; execute its plan by hand and report it "
            "(`portfolio execution report`), or name a portfolio that is on paper"
        )


def run_on(home: Home, execution_id: str, *, until: datetime | None = None) -> Ran:
    """Go on with an execution on paper over the bars that the home has, up to a time; stop where a person has to decide.

    Decisions that were given since (`portfolio escalations answer`) are taken first. Nothing new: nothing happens.

    Raises:
        WrongUse: there is no such execution on paper, or its plan was withdrawn.
        DataProblem: its log does not lead where it led.
    """
    with home.book.reading() as connection:
        begun = kept.named(connection, execution_id)
        _refuse_withdrawn(connection, begun)
        run = PaperRun.resumed(begun, kept.steps(connection, begun))
    refuse_live(home, begun.portfolio)
    end = nanoseconds(min(until or home.clock.now(), home.clock.now()))
    bars = _bars(home, run, end)
    count, filled = 0, 0
    while True:
        inputs = _decisions(home, run, bool(bars))
        if not inputs:
            if run.waits or run.over or not bars:
                break
            inputs = tuple(bars.pop(0))
        with home.book.writing() as connection:
            take_log_lock(connection)
            if stream_version(connection, kept.stream_of(begun.portfolio, execution_id)) != run.number + 1:
                raise WrongUse(f"execution {execution_id} is being run by somebody else; let that end, then call again")
            done = run.take(inputs)
            _write(connection, home, run, inputs, done)
        count, filled = count + 1, filled + len(done.fills)
    imported = bring_paper_fills(home)
    _ended(home, run)
    notices.tell_escalations(home)
    return Ran(run, count, filled, imported, _why(run))


def _refuse_withdrawn(connection: Connection, begun: PaperBegun) -> None:
    closed = log.plans_of(connection, begun.portfolio)[begun.execution_id].closed if begun.plan else None
    if closed is not None and closed.outcome == "withdrawn":
        raise WrongUse(f"plan {begun.execution_id} was withdrawn by {closed.by} ({closed.reason}); its execution on paper has ended")


def _why(run: PaperRun) -> str:
    if run.waits:
        return f"it waits for an answer to {', '.join(run.state.waiting)}: `portfolio escalations answer {run.state.waiting[0]}`"
    if run.over:
        return "it is over, and nothing rests at the broker"
    if run.state.ended_at:
        return "it is over; stops and targets rest at the broker until bars touch them"
    return "there are no more bars; call again when there are"


def _write(connection: Connection, home: Home, run: PaperRun, inputs: tuple[Input, ...], done: Stepped) -> None:
    """Write a step, and what it asks of people, in one transaction."""
    begun, now = run.begun, home.clock.now()
    kept.keep(connection, begun.portfolio, [PaperStep(run.at, begun.execution_id, run.number, inputs, done.fills, run.digest())], at=now)
    known = cases_in(connection, begun.portfolio)
    events: list[EscalationEvent] = []
    for command in done.commands:
        if isinstance(command, OpenEscalation) and command.escalation.escalation_id not in known:
            events.append(Opened(command.at, command.escalation))
        elif isinstance(command, SettleEscalation):
            case = known.get(command.answered.escalation_id)
            if case is None or case.answered is None:
                events.append(command.answered)
    record(connection, begun.portfolio, events, at=now)


def _decisions(home: Home, run: PaperRun, more: bool) -> tuple[Input, ...]:
    """Return the answers and the ends of escalations that the run does not know yet.

    While bars are left that it has not seen, its own time stands still until the answer; else the answer counts from when it was given.
    """
    with home.book.reading() as connection:
        cases = cases_in(connection, run.begun.portfolio)
    found: list[Input] = []
    for one in run.state.escalations:
        case = cases.get(one.escalation_id)
        if case is None:
            continue
        if case.expired_at and one.escalation_id not in run.state.overdue and one.escalation_id not in run.state.answers:
            found.append(Overdue(run.at if more else max(run.at, case.expired_at), one.escalation_id))
        if case.answered is not None and one.escalation_id not in run.state.answers:
            at = run.at if more else max(run.at, case.answered.at)
            found.append(Decided(at, case.answered))
    return tuple(found)


def _bars(home: Home, run: PaperRun, end: int) -> list[list[Bar]]:
    """Return the bars after the run's newest instant, of what it holds or trades, together where they close together."""
    columns = ("symbol", "ts", "open", "high", "low", "close", "volume")
    rows = active.read(home.lake, BARS, columns, after_ts=run.at - 14 * DAY, until_ts=end)
    rows = rows.filter(pc.is_in(rows["symbol"], pa.array(list(run.symbols), pa.string()))).sort_by(
        [("ts", "ascending"), ("symbol", "ascending")]
    )
    closed: dict[str, int] = {}
    found: list[Bar] = []
    for row in rows.to_pylist():
        symbol, ts = row["symbol"], row["ts"]
        opens = closed.get(symbol, ts - DAY)
        closed[symbol] = ts
        if ts > run.at:
            volume = row["volume"] or None
            found.append(bar_of(symbol, opens, ts, row["close"], (row["open"], row["high"], row["low"]), volume))
    return [list(group) for _, group in groupby(found, key=lambda bar: bar.ts)]


def bring_paper_fills(home: Home) -> int:
    """Import the fills of every step that the ledger does not have yet; return how many. A second time it finds nothing to do."""
    from portfolio_platform.sources.pipeline import import_paths

    after, brought = _brought_until(home), 0
    while True:
        with home.book.reading() as connection:
            steps = kept.fills_after(connection, after, AT_ONCE)
        if not steps:
            return brought
        after = steps[-1][0]
        by_digits: dict[int, list[Filled]] = {}
        for _, one in steps:
            for fill in one.fills:
                by_digits.setdefault(digits_of(fill.labels.currency or "USD"), []).append(fill)
        if not by_digits:
            continue
        with TemporaryDirectory(prefix="portfolio-paper-") as folder:
            paths = []
            for digits, fills in sorted(by_digits.items()):
                path = Path(folder) / str(digits) / f"fills-paper-{after:012d}.csv"
                path.parent.mkdir()
                path.write_bytes(fills_csv(fills, digits))
                paths.append(path)
            brought += import_paths(home, paths).imported


def _brought_until(home: Home) -> int:
    names = home.lake.read(IMPORTS, ["files"], pc.field("fact") == FILLS.name)["files"].to_pylist()
    found = [int(match[1]) for files in names for name in files.split(",") if (match := _NAME.match(name))]
    until = max(found, default=0)
    with home.book.reading() as connection:
        return until if until <= chain_head(connection).seq else 0


def _mark_begun(connection: Connection, home: Home, begun: PaperBegun) -> None:
    """Say in the portfolio's stream that the plan's execution has begun."""
    event = PaperMarked(begun.at, begun.execution_id, begun.by)
    names = {PAPER: PaperMarked}
    log.write(connection, begun.portfolio, [(event, log.key_of(event, "paper"))], at=home.clock.now(), names=names)


def _ended(home: Home, run: PaperRun) -> None:
    """Route the report of a run that is over, and close its plan, once each."""
    report, begun = run.state.report, run.begun
    if report is None:
        return
    now, done = home.clock.now(), sum(1 for one in run.state.trades if one.status == "executed")
    sentence = f"execution {begun.execution_id} on paper is over: {done} of {len(run.state.trades)} trades executed"
    lines = [
        ("Executed", "; ".join(f"{row.side} {row.symbol}" for row in report.log)),
        ("Not executed", "; ".join(f"{name}: {status}" for name, status in report.unfilled)),
        ("Flags", "; ".join(flag.text for flag in report.flags[:6])),
        ("Escalations", ", ".join(report.escalations)),
        ("Look", f"portfolio execution paper {begun.execution_id}"),
    ]
    recipients = [(name, "execution report") for name in run.terms.report_to]
    if any(status == "halted" for _, status in report.unfilled):
        recipients += [(name, "positions were halted") for name in run.terms.halted_to]
    if report.escalations:
        recipients.append((run.terms.routing, "escalations"))
    for name, reason in recipients:
        notices.route(home, begun.portfolio, name, begun.execution_id, sentence, lines, at=now, reason=reason)
    if not begun.plan:
        return
    filled = sum(1 for one in run.state.trades if one.filled)
    outcome = "executed" if done == len(run.state.trades) else "partly_executed" if filled else "not_executed"
    event = PlanClosed(report.at, begun.execution_id, outcome, begun.by, f"on paper: {done} of {len(run.state.trades)} trades executed")
    with home.book.writing() as connection:
        take_log_lock(connection)
        plan: PlanState = log.plans_of(connection, begun.portfolio)[begun.execution_id]
        if plan.closed is None:
            log.write(connection, begun.portfolio, [(event, log.key_of(event, "closed"))], at=now)


def wanted_plan(home: Home, execution_id: str, *, by: str, slippage: int, fee: int, seed: int) -> Wanted:
    """Return a plan of the desk as it is to be executed on paper: an approved one, made of a queue.

    Raises:
        WrongUse: it was never approved, its approval has ended, or it was not made of a queue.
    """
    from portfolio_platform.desk.prepare import plan_named

    _, plan = plan_named(home, execution_id)
    with home.book.reading() as connection:
        papers = log.papers_of(connection, plan.execution_id)
    at = home.clock.now()
    if papers.queue is None:
        raise WrongUse(f"plan {plan.execution_id} was made of no queue; the loop executes approved queues: make the plan with --queue FILE")
    status = plan.status(nanoseconds(at))
    if plan.approved is None or status != "approved":
        raise WrongUse(f"plan {plan.execution_id} is {status.replace('_', ' ')}; only an approved plan that nobody has begun is executed")
    return Wanted(papers.queue, papers.snapshot, papers.profile, by, at, plan.execution_id, slippage, fee, seed)


def changes_for(
    home: Home, escalation_id: str, drop: Sequence[str], shares: Mapping[str, Decimal], accounts: Mapping[str, str]
) -> tuple[Change, ...]:
    """Return the changes of trades that an approval asks for, of the execution on paper that is asked about.

    Args:
        home: whose log.
        escalation_id: what is answered.
        drop: trades that are not done at all.
        shares: how many of a trade, fewer than were approved.
        accounts: in which account instead.

    Raises:
        WrongUse: it is of no execution on paper, or a change cannot be made: the loop would go on without it.
    """
    run = next((one for one in runs(home) if one.state.escalation(escalation_id) is not None), None)
    if run is None:
        raise WrongUse(f"escalation {escalation_id} is of no execution on paper, whose trades alone an answer changes; modify the plan")
    trades = {one.trade.trade_id: one for one in run.state.trades}
    found = []
    for name in sorted({*drop, *shares, *accounts}):
        one = trades.get(name)
        if one is None or one.status not in ("pending", "halted", "execution_failed"):
            what = "no trade of it" if one is None else f"{one.status.replace('_', ' ')}"
            raise WrongUse(f"trade {name!r} is {what} and cannot be changed; it has {', '.join(trades)}")
        quantity = int(shares[name] * 10**QUANTITY_PLACES) if name in shares else None
        if quantity is not None and not (0 < quantity <= one.trade.quantity and quantity % one.trade.lot == 0):
            most = plain(major(one.trade.quantity, QUANTITY_PLACES))
            raise WrongUse(f"trade {name!r}: {shares[name]:f} is no whole number of lots above 0 and up to the approved {most:f} shares")
        if accounts.get(name, "") and accounts[name] not in run.snapshot.by_account:
            raise WrongUse(f"there is no account {accounts[name]!r}; there are {', '.join(run.snapshot.by_account)}")
        found.append(Change(name, quantity, accounts.get(name), name in drop))
    return tuple(found)


def runs(home: Home, portfolio: str | None = None) -> Sequence[PaperRun]:
    """Return the executions on paper as they stand."""
    with home.book.reading() as connection:
        return [PaperRun.resumed(begun, kept.steps(connection, begun)) for begun in kept.listed(connection, portfolio)]


def when(run: PaperRun) -> datetime:
    """Return the time of a run's newest input."""
    return instant(run.at)
