"""What each chart shows, read from the lake: of every portfolio up to a day, and no column that the chart does not need."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.policy.model import Policy
from portfolio_platform.render.chart_data import Data, Failure, Failures, Limit, Matrix, Series
from portfolio_platform.render.charts import HISTORY, ChartName
from portfolio_platform.render.series import DIMENSIONS, DRAWDOWN_COLUMNS, EQUITY_COLUMNS, METRIC_COLUMNS, Floats, History

Until = Mapping[str, date]
WINDOW, SHORTEST_BASELINE = 20, 60
GATES = ("census", "estimated", "capital", "skill")
_PLAIN: dict[str, tuple[Table, tuple[str, ...]]] = {
    "heat": (derived.PORTFOLIO_HEAT, ("heat", "cap", "imputed_share")),
    "stack": (derived.CORRELATION_STACKING, ("stack_ratio", "stack_ratio_low", "stack_ratio_high")),
    "turnover": (derived.TURNOVER_METRICS, ("turnover_20", "turnover_baseline", "fills_20", "fills_baseline", "baseline_sessions")),
    "idle": (derived.IDLE_CAPITAL, ("idle", "missed_rate", "rejection_rate")),
    "execution": (derived.EXECUTION_PROFILE, ("realised", "low", "high", "expected")),
    "calibration": (derived.CALIBRATION, ("hit_rate", "hit_low", "hit_high", "confidence")),
}
_ONLY = {"execution": (pc.field("measure") == "slippage") & (pc.field("playbook") == "all")}


def chart_data(home: Home, name: ChartName, until: Until) -> dict[str, Data]:
    """Return what a chart shows of each portfolio up to its day; a portfolio without rows has an empty one, none is left out."""
    if not until:
        return {}
    if name in HISTORY:
        return dict(histories(home, until, concentration=name == "concentration"))
    if name in _PLAIN:
        return dict(_plain(home, name, until))
    return {"correlation": _matrices, "failures": _failures, "gates": _gates, "pnl": _pnl}[name](home, until)


def _read(home: Home, table: Table, names: Sequence[str], until: Until, where: pc.Expression | None = None) -> pa.Table:
    """Read rows of some portfolios up to the last of their days."""
    last = max(until.values())
    mine = pc.field("portfolio").isin(sorted(until)) & (pc.field("day") <= last)
    return home.lake.read(table, ["portfolio", "day", *names], mine if where is None else mine & where, to_month=last.isoformat()[:7])


def _mine(rows: pa.Table, portfolio: str, day: date) -> pa.Table:
    return rows.filter((pc.field("portfolio") == portfolio) & (pc.field("day") <= day))


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def histories(home: Home, until: Until, *, concentration: bool = False) -> dict[str, History]:
    """Return for each portfolio the series up to a day that the charts of the account show; each table is read once.

    Concentration is NaN where it is not asked for: most charts do not show it.
    """
    if not until:
        return {}
    equity = _read(home, derived.PORTFOLIO_EQUITY, EQUITY_COLUMNS[2:], until)
    drawdown = _read(home, derived.DRAWDOWN_STATE, DRAWDOWN_COLUMNS[2:], until)
    metrics = derived.CONCENTRATION_METRICS.arrow_schema().empty_table()
    if concentration:
        shown = pc.field("dimension").isin(DIMENSIONS) & (pc.field("basis") == "gross")
        metrics = _read(home, derived.CONCENTRATION_METRICS, METRIC_COLUMNS[2:], until, shown)
    return {
        name: History.from_tables(name, _mine(equity, name, day), _mine(drawdown, name, day), _mine(metrics, name, day))
        for name, day in until.items()
    }


def _plain(home: Home, name: ChartName, until: Until) -> dict[str, Series]:
    table, names = _PLAIN[name]
    rows = _read(home, table, names, until, _ONLY.get(name))
    policies = policies_in_time(home) if name == "stack" else None
    found = {}
    for portfolio, day in until.items():
        mine = _mine(rows, portfolio, day).sort_by("day")
        columns = {column: _floats(mine[column]) for column in names}
        if name == "turnover":
            sessions = columns.pop("baseline_sessions")
            with np.errstate(divide="ignore", invalid="ignore"):
                usual = columns.pop("fills_baseline") / sessions * WINDOW
            # a baseline of a few sessions says nothing, and would set the scale of the whole picture
            enough = sessions >= SHORTEST_BASELINE
            columns["fills_usual"] = np.where(enough, usual, np.nan)
            columns["turnover_baseline"] = np.where(enough, columns["turnover_baseline"], np.nan)
        limits = _stack_limits(policies.of(portfolio, day)) if policies is not None else ()
        found[portfolio] = Series(portfolio, mine["day"].to_pylist(), columns, limits)
    return found


def _stack_limits(policy: Policy) -> tuple[Limit, ...]:
    rules = [rule for rule in policy.alerts.rules.values() if rule.metric == "stack_ratio" and rule.enabled]
    pairs = [(label, value) for rule in rules[:1] for label, value in (("warning", rule.warning), ("critical", rule.critical))]
    return tuple(Limit(label, value) for label, value in pairs if value is not None)


def _sessions(home: Home, until: Until) -> dict[str, list[date]]:
    rows = _read(home, derived.PORTFOLIO_EQUITY, (), until)
    return {name: sorted(_mine(rows, name, day)["day"].to_pylist()) for name, day in until.items()}


def _gates(home: Home, until: Until) -> dict[str, Data]:
    rows = _read(home, derived.SAMPLE_SUFFICIENCY, ("gate", "passed"), until)
    shares = rows.group_by(["portfolio", "day", "gate"]).aggregate([("passed", "mean")])
    found: dict[str, Data] = {}
    for portfolio, day in until.items():
        mine = _mine(shares, portfolio, day)
        days = sorted(set(mine["day"].to_pylist()))
        columns = {gate: _spread(mine.filter(pc.field("gate") == gate), "passed_mean", days, np.nan) for gate in GATES}
        shown = {gate: values for gate, values in columns.items() if np.isfinite(values).any()}
        found[portfolio] = Series(portfolio, days, shown or columns)
    return found


def _pnl(home: Home, until: Until) -> dict[str, Data]:
    rows = _read(home, derived.PNL_ATTRIBUTION, ("strategy", "total"), until)
    sums = rows.group_by(["portfolio", "day", "strategy"]).aggregate([("total", "sum", pc.ScalarAggregateOptions(skip_nulls=False))])
    found: dict[str, Data] = {}
    for portfolio, days in _sessions(home, until).items():
        mine = _mine(sums, portfolio, until[portfolio])
        # a day whose P&L is not known ends the line: what follows is not known either
        columns = {
            name or "": np.cumsum(_spread(mine.filter(pc.field("strategy") == name), "total_sum", days, 0.0))
            for name in sorted(mine["strategy"].unique().to_pylist(), key=str)
        }
        found[portfolio] = Series(portfolio, days, columns)
    return found


def _spread(rows: pa.Table, name: str, days: Sequence[date], without: float) -> Floats:
    """Return a column at the places of the sessions; ``without`` where a session has no row."""
    place = {day: index for index, day in enumerate(days)}
    out = np.full(len(days), without)
    at = np.array([place.get(day, -1) for day in rows["day"].to_pylist()], dtype=np.int64)
    out[at[at >= 0]] = _floats(rows[name])[at >= 0]
    return out


def _failures(home: Home, until: Until) -> dict[str, Data]:
    found: dict[str, Data] = {}
    for portfolio, days in _sessions(home, until).items():
        if not days:
            found[portfolio] = Failures(portfolio, None)
            continue
        month = days[-1].isoformat()[:7]
        where = (pc.field("portfolio") == portfolio) & (pc.field("day") == days[-1])
        names = ["failure_mode", "cases", "recurring"]
        rows = home.lake.read(derived.FAILURE_MODES, names, where, from_month=month, to_month=month).to_pylist()
        cases: dict[str, list[int]] = {}
        for row in rows:
            held = cases.setdefault(row["failure_mode"], [0, 0])
            held[0] += row["cases"]
            held[1] += row["cases"] if row["recurring"] else 0
        order = sorted(cases.items(), key=lambda pair: (-pair[1][0], pair[0]))
        found[portfolio] = Failures(portfolio, days[-1], tuple(Failure(mode, *held) for mode, held in order))
    return found


def _matrices(home: Home, until: Until) -> dict[str, Data]:
    from portfolio_platform.diagnostics.pipeline.correlation import correlation_matrix

    found: dict[str, Data] = {}
    for portfolio, days in _sessions(home, until).items():
        if not days:
            found[portfolio] = Matrix(portfolio, None, (), np.empty((0, 0)), ())
            continue
        try:
            held = correlation_matrix(home, portfolio, days[-1])
        except WrongUse as error:  # the buckets of the day are not built: the picture says so
            found[portfolio] = Matrix(portfolio, days[-1], (), np.empty((0, 0)), (), str(error))
            continue
        found[portfolio] = Matrix(portfolio, days[-1], held.symbols, held.matrix, held.buckets)
    return found
