"""The specification's own questions, answered by a paper run: each with its gate, its figure and its verdict.

All but the last are functions of what the book has; the latency is measured on the machine and is in no byte of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection

from portfolio_platform.control.model import MILLION
from portfolio_platform.days import NANOSECONDS_PER_DAY, end_of_day_ns, format_timestamp, to_date
from portfolio_platform.instruments.store import Machine, verify_snapshots
from portfolio_platform.paper.engine import is_running
from portfolio_platform.paper.market import Market
from portfolio_platform.paper.model import Finding, Kept, SessionClosed

RUNNING, RIGHT, DAYS = 3, 800_000, 30
LATENCY = 1.0
"""Seconds within which a candle close has reached every workflow and is on disk."""


@dataclass(frozen=True)
class Figure:
    """A question of the specification.

    Attributes:
        name: in words.
        value: what was found, in words.
        gate: what was asked for, in words.
        passed: whether it is met; None where there is too little to say.
        note: how it is counted.
    """

    name: str
    value: str
    gate: str
    passed: bool | None
    note: str


def figures(
    connection: Connection, kept: Kept, sessions: Sequence[SessionClosed], latencies: Sequence[float], *, machine: Machine | None = None
) -> list[Figure]:
    """Return the validation figures of a run.

    Args:
        connection: any transaction of its book.
        kept: the loop's state at its end.
        sessions: its record.
        latencies: seconds from a session's first candle to its commit, of this process.
        machine: what steps; the workflow where None.
    """
    return [_running(kept), _right(kept), _regression(connection, kept, sessions, machine), _latency(latencies)]


def _running(kept: Kept) -> Figure:
    counts = kept.counts
    days, full = counts.screened_sessions, counts.full_sessions
    value = f"{counts.most_running} at most; {RUNNING} or more on {full} of {days} days since the first candidate"
    passed = counts.most_running >= RUNNING and full * 2 >= days if days else None
    return Figure("concurrent instruments", value, f"at least {RUNNING}", passed, "on half of the days or more")


def _right(kept: Kept) -> Figure:
    told, right = kept.counts.running_days, kept.counts.right_days
    share = right * MILLION // told if told else 0
    note = "workflow-days on which the template is the newest pass's, or is held back by a position until it is closed"
    value = f"{share / 10_000:.1f} % of {told:,}" if told else "none suggested"
    return Figure("days with the right template", value, f"at least {RIGHT // 10_000} %", share >= RIGHT if told else None, note)


def _regression(connection: Connection, kept: Kept, sessions: Sequence[SessionClosed], machine: Machine | None) -> Figure:
    """Count what should not be: findings of the run, and states that a replay of all events does not come to again."""
    faults = verify_snapshots(connection, machine=machine)
    span = (sessions[-1].at - sessions[0].at) // NANOSECONDS_PER_DAY + 1 if sessions else 0
    clean = clean_days(sessions, kept.findings)
    value = f"{clean} days in a row; {len(kept.findings)} findings, {len(faults)} states that a replay does not come to"
    passed = None if span < DAYS else clean >= DAYS and not faults and not _recent(sessions, kept.findings)
    note = "days without a finding: ledger against loop, positions of broker, workflow and control plane, replay of every workflow"
    return Figure("thirty days without regression", value, f"at least {DAYS} days, the last {DAYS} among them", passed, note)


def clean_days(sessions: Sequence[SessionClosed], findings: Sequence[Finding]) -> int:
    """Return the longest stretch of days without a finding, in whole days."""
    if not sessions:
        return 0
    ends = [sessions[0].at - NANOSECONDS_PER_DAY, *sorted(one.at for one in findings), sessions[-1].at]
    return max(after - before for before, after in pairwise(ends)) // NANOSECONDS_PER_DAY


def _recent(sessions: Sequence[SessionClosed], findings: Sequence[Finding]) -> list[Finding]:
    since = sessions[-1].at - DAYS * NANOSECONDS_PER_DAY
    return [one for one in findings if one.at > since]


def _latency(latencies: Sequence[float]) -> Figure:
    note = "from a session's first candle to its commit, every workflow told; measured on this machine"
    if not latencies:
        return Figure("fan-out of a candle close", "not measured", f"p99 under {LATENCY:g} s", None, note)
    ordered = sorted(latencies)
    middle, most = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Figure(
        "fan-out of a candle close", f"p50 {middle * 1e3:.0f} ms, p99 {most * 1e3:.0f} ms", f"p99 under {LATENCY:g} s", most < LATENCY, note
    )


def reconciled(kept: Kept, states: Sequence[tuple[str, object]], strategy: str, at: int) -> list[Finding]:
    """Return where broker, account and workflow do not hold the same of a symbol."""
    found = []
    by_symbol = dict(states)
    for symbol in sorted({*kept.held, *by_symbol, *(key[2] for key in kept.broker.positions)}):
        account = kept.held[symbol].quantity if symbol in kept.held else 0
        broker = sum(quantity for key, quantity in kept.broker.positions.items() if key[1:] == (strategy, symbol))
        position = getattr(by_symbol.get(symbol), "position", None)
        workflow = 0 if position is None else position.quantity
        if not account == broker == workflow:
            text = f"{symbol}: the account holds {account}, the broker {broker}, the workflow {workflow}"
            found.append(Finding(at, "positions_differ", text))
        if workflow and not is_running(by_symbol[symbol]):
            found.append(Finding(at, "stopped_with_position", f"{symbol}: its workflow has stopped and holds {workflow}"))
    return found


def late_bars(market: Market, kept: Kept, at: int) -> list[Finding]:
    """Return the symbols of which bars came after the session that they belong to had run: workflow and broker do not see those any more.

    Args:
        market: as the lake has it now.
        kept: after the newest session.
        at: end of the session to come.
    """
    if not kept.day:
        return []
    end, begun = end_of_day_ns(to_date(kept.day)), end_of_day_ns(to_date(kept.begun)) - NANOSECONDS_PER_DAY
    known = {one.text for one in kept.findings}
    found = []
    for symbol in market.symbols:
        missed = market.before(symbol, end, after=kept.opens.get(symbol, begun))
        if missed:
            first = format_timestamp(missed[0].ts)
            text = f"{symbol}: late bars, {len(missed)} from {first} on: the session of their day had run, and held no order against them"
            found += [Finding(at, "late_bar", text)] if text not in known else []
    return found
