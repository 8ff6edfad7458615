"""D3 as a stage: closes, exposures of lots and risk of positions in; stacking figures and buckets out."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import end_of_day_ns, to_number
from portfolio_platform.diagnostics.correlation import tables
from portfolio_platform.diagnostics.correlation.analysis import ROLLING, correlation_stacking
from portfolio_platform.diagnostics.correlation.returns import BLOCK_DAYS, Book, Closes
from portfolio_platform.diagnostics.correlation.shrinkage import shrunk
from portfolio_platform.diagnostics.correlation.taxonomy import cohort_matrix
from portfolio_platform.diagnostics.pipeline.inputs import sessions
from portfolio_platform.diagnostics.session_keys import codes_in
from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.gates import confidence_of
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS, INSTRUMENTS
from portfolio_platform.lake.progress import Plan
from portfolio_platform.ledger.inputs import encode, read_actions
from portfolio_platform.policy.assigned import Assigned, policy_in_force
from portfolio_platform.policy.diagnostics import CorrelationPolicy
from portfolio_platform.stage import Stage

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

LOT_COLUMNS = ("day", "portfolio", "strategy", "symbol", "currency", "template", "playbook", "market_value_base", "stale")
RISK_COLUMNS = ("day", "portfolio", "strategy", "symbol", "currency", "direction", "risk")
SESSION_COLUMNS = ("equity", "stale_positions", "gross_exposure_pct")


def _within(home: Home, table: Table, columns: tuple[str, ...], first: date, until: date) -> pa.Table:
    where = (pc.field("day") >= first) & (pc.field("day") <= until)
    return home.lake.read(table, columns, where, from_month=first.isoformat()[:7], to_month=until.isoformat()[:7])


def _closes(home: Home, symbols: tuple[str, ...], since: date | None, until: date) -> Closes:
    after, last = end_of_day_ns(since) if since else None, end_of_day_ns(until)
    bars = active.read(home.lake, BARS, ("symbol", "ts", "close"), after_ts=after, until_ts=last, dictionaries=("symbol",))
    splits = read_actions(active.read(home.lake, CORPORATE_ACTIONS), after_ts=-(2**62), until_ts=last)
    return tables.read_closes(bars, splits, symbols)


def closes_for(home: Home, symbols: tuple[str, ...], first: date, until: date, policy: CorrelationPolicy) -> Closes:
    """Return the closes that the windows of a range need: a look-back by the calendar, or everything where that is too short."""
    needed = max(policy.window, policy.turbulence_window) + BLOCK_DAYS + 1
    since = first - timedelta(days=2 * needed)
    if since <= home.first_day:
        return _closes(home, symbols, None, until)
    found = _closes(home, symbols, since, until)
    before = ~np.isnan(found.log_close[: max(to_number(first) - found.first, 0)])
    # what all symbols have in common, any that are held together have too
    return found if int(before.all(axis=1).sum()) >= needed else _closes(home, symbols, None, until)


def _remembered(home: Home, portfolios: list[str], symbols: tuple[str, ...], first: date) -> Int64:
    """Return each symbol's bucket on the session before a range, (portfolios, symbols), -1 where none is stored."""
    out = np.full((len(portfolios), len(symbols)), -1, np.int64)
    where = (pc.field("day") < first) & pc.field("portfolio").isin(portfolios)
    newest = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"], where).group_by("portfolio").aggregate([("day", "max")])
    rank = {name: place for place, name in enumerate(symbols)}
    for row in newest.to_pylist():
        month, mine = row["day_max"].isoformat()[:7], portfolios.index(row["portfolio"])
        there = (pc.field("day") == row["day_max"]) & (pc.field("portfolio") == row["portfolio"])
        stored = home.lake.read(derived.CORRELATION_BUCKETS, ["symbols", "method"], there, from_month=month, to_month=month)
        for bucket in stored.to_pylist():
            if bucket["method"] == tables.BUCKET_METHODS[ROLLING]:
                members = [rank[name] for name in bucket["symbols"].split(", ") if name in rank]
                out[mine, members] = min(members, default=-1)
    return out


@dataclass(frozen=True)
class _Inputs:
    """What one policy's portfolios need: sessions in order, names, closes, book."""

    sessions: pa.Table
    portfolios: list[str]
    symbols: tuple[str, ...]
    closes: Closes
    book: Book


def _inputs(home: Home, mine: pa.Table, lots: pa.Table, risks: pa.Table, policy: CorrelationPolicy, plan: Plan) -> _Inputs:
    _, portfolios = encode(mine["portfolio"])
    lots = lots.filter(pc.field("portfolio").isin(portfolios))
    symbols = tuple(sorted(set(lots["symbol"].unique().to_pylist())))
    cohort = tables.cohorts(active.read(home.lake, INSTRUMENTS, ("symbol", "cohort")), symbols)
    closes = closes_for(home, symbols, plan.first, plan.until, policy)
    return _Inputs(mine, portfolios, symbols, closes, tables.read_book(mine, lots, risks, symbols, cohort))


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return stacking and buckets of every session of the plan, going on from the buckets of the session before it."""
    days = sessions(home, plan.first, SESSION_COLUMNS, until=plan.until)
    lots = _within(home, derived.LOT_EXPOSURES, LOT_COLUMNS, plan.first, plan.until)
    risks = _within(home, derived.POSITION_RISK, RISK_COLUMNS, plan.first, plan.until)
    by_policy: dict[tuple[CorrelationPolicy, float], list[str]] = {}
    for portfolio in sorted(set(days["portfolio"].unique().to_pylist())):
        one = policies.of(portfolio)
        by_policy.setdefault((one.correlation, confidence_of(one, "stack_ratio")), []).append(portfolio)
    stacked, bucketed = (
        [derived.CORRELATION_STACKING.arrow_schema().empty_table()],
        [derived.CORRELATION_BUCKETS.arrow_schema().empty_table()],
    )
    for (policy, confidence), names in by_policy.items():
        given = _inputs(home, days.filter(pc.field("portfolio").isin(names)), lots, risks, policy, plan)
        remembered = _remembered(home, given.portfolios, given.symbols, plan.first)
        out = correlation_stacking(given.closes, given.book, policy, remembered, confidence=confidence)
        found = tables.Buckets.of(given.book, out, len(given.symbols))
        stacked.append(tables.stacking_rows(found, given.book, out, given.sessions, given.portfolios, given.symbols))
        bucketed.append(tables.bucket_rows(found, given.book, out, given.portfolios, given.symbols))
    results = {derived.CORRELATION_STACKING: stacked, derived.CORRELATION_BUCKETS: bucketed}
    return {table: _joined(parts, table.key) for table, parts in results.items()}


def _joined(parts: list[pa.Table], key: tuple[str, ...]) -> pa.Table:
    """Return the parts as one table; each is sorted, so that only several need sorting."""
    table = pa.concat_tables(parts)
    return table if len(parts) <= 2 else table.sort_by([(name, "ascending") for name in key])


STAGE = Stage("correlation", (derived.CORRELATION_STACKING, derived.CORRELATION_BUCKETS), ("heat",), compute)


@dataclass(frozen=True)
class CorrelationMatrix:
    """The shrunk correlations of the symbols held in a session: matrix (n, n), symbols by bucket, each bucket's symbols.

    Larger buckets come first, then by name. ``method`` is rolling or taxonomy, ``observations`` the complete cases.
    """

    symbols: tuple[str, ...]
    matrix: Float64
    buckets: tuple[tuple[str, ...], ...]
    method: str
    observations: int


def correlation_matrix(home: Home, portfolio: str, day: date) -> CorrelationMatrix:
    """Return the matrix behind a session's figures, computed anew, with its stored buckets; empty where nothing is held.

    Raises `WrongUse` where the day is no session of the portfolio, or where its buckets are not built.
    """
    policy = policy_in_force(home, portfolio, day).correlation
    mine = sessions(home, day, SESSION_COLUMNS, until=day).filter(pc.field("portfolio") == portfolio)
    if len(mine) == 0:
        raise WrongUse(f"{day} is no session of {portfolio!r}; choose a day with a row in portfolio_equity")
    own = pc.field("portfolio") == portfolio
    lots = _within(home, derived.LOT_EXPOSURES, LOT_COLUMNS, day, day).filter(own)
    risks = derived.POSITION_RISK.arrow_schema().empty_table()
    given = _inputs(home, mine, lots, risks, policy, Plan(day, day, 0, {}))
    stored = _within(home, derived.CORRELATION_BUCKETS, ("portfolio", "bucket", "symbols", "method"), day, day).filter(own).to_pylist()
    if len(given.symbols) and not stored and given.book.status[0] == 0:
        raise WrongUse(f"the buckets of {portfolio!r} on {day} are not built; run `portfolio build` first")
    buckets = sorted((tuple(row["symbols"].split(", ")) for row in stored), key=lambda names: (-len(names), names))
    matrix, observations = _matrix(given.closes, given.book, policy)
    symbols = tuple(name for names in buckets for name in names)
    place = codes_in(pa.chunked_array([pa.array(symbols, pa.string())]), list(given.symbols))
    method = stored[0]["method"] if stored else ""
    return CorrelationMatrix(symbols, matrix[np.ix_(place, place)], tuple(buckets), method, observations)


def _matrix(closes: Closes, book: Book, policy: CorrelationPolicy) -> tuple[Float64, int]:
    """Return one session's shrunk matrix and its complete cases, plainly: the whole is for one day."""
    held = np.arange(len(closes.symbols))
    until = int(book.day[0]) - closes.first + 1
    rows = closes.log_close[: max(until, 0)]
    returns = np.diff(rows[~np.isnan(rows).any(axis=1)], axis=0)[-policy.window :] if held.size else np.empty((0, 0))
    if returns.shape[0] < policy.minimum:
        return cohort_matrix(book.cohort), int(returns.shape[0])
    centred = returns - returns.mean(axis=0)
    scale = np.sqrt((centred * centred).sum(axis=0))
    moves = scale > 1e-12
    matrix = np.eye(held.size)
    scaled = centred[:, moves] / scale[moves]
    matrix[np.ix_(moves, moves)] = shrunk(np.clip(scaled.T @ scaled, -1.0, 1.0), returns.shape[0])
    return matrix, int(returns.shape[0])
