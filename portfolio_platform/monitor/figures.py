"""The figures of a report: which columns it quotes, under which label and unit, and why one may be null."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from portfolio_platform.lake import derived

PERCENT, MONEY, COUNT, RATIO, SIGMA = "fraction", "base currency", "count", "1", "sigma"
BPS, PROBABILITY, SESSIONS, BARS, R = "bps", "probability", "sessions", "bars", "R"
CHANGES = ("day", "week")


@dataclass(frozen=True)
class Quoted:
    """A column that the report quotes. ``without`` says why the column may be null where the row gives no reason."""

    name: str
    label: str
    unit: str
    without: str = ""
    with_change: bool = True


_NO_EQUITY = "equity is not positive"
HEADLINE = (
    Quoted("equity", "Equity", MONEY),
    Quoted("daily_return", "Return on the day", PERCENT, with_change=False),
    Quoted("unit_value", "Unit value (flow-neutral)", RATIO),
    Quoted("net_flow", "Net flow", MONEY, with_change=False),
    Quoted("cash", "Cash", MONEY),
    Quoted("market_value", "Market value", MONEY),
    Quoted("gross_exposure_pct", "Gross exposure", PERCENT, _NO_EQUITY),
    Quoted("net_exposure_pct", "Net exposure", PERCENT, _NO_EQUITY),
    Quoted("long_exposure_pct", "Long exposure", PERCENT, _NO_EQUITY),
    Quoted("short_exposure_pct", "Short exposure", PERCENT, _NO_EQUITY),
    Quoted("open_positions", "Open positions", COUNT),
    Quoted("volatility_60", "Volatility, 60 sessions, annual", PERCENT, "fewer than 60 daily returns"),
    Quoted("sharpe_60", "Sharpe ratio, 60 sessions, annual", RATIO, "fewer than 60 daily returns, or none that moved"),
)
QUALITY = (
    Quoted("stale_positions", "Positions with a stale mark", COUNT),
    Quoted("stale_exposure", "Exposure at stale marks", MONEY),
)
DRAWDOWN = (
    Quoted("drawdown", "Drawdown", PERCENT),
    Quoted("high_water_mark", "High-water mark", RATIO),
    Quoted("under_water_days", "Sessions under water", COUNT),
    Quoted("velocity_1", "Velocity, 1 session", PERCENT, "fewer than 2 sessions"),
    Quoted("velocity_5", "Velocity, 5 sessions", PERCENT, "fewer than 6 sessions"),
    Quoted("velocity_20", "Velocity, 20 sessions", PERCENT, "fewer than 21 sessions"),
    Quoted("z_5", "Velocity in sigmas, 5 sessions", SIGMA, "fewer than 25 sessions"),
    Quoted("acceleration", "Acceleration", PERCENT, "fewer than 21 sessions"),
    Quoted("mdd_severity", "Maximum drawdown over its expectation", RATIO, "fewer than 60 daily returns, or none that moved"),
    Quoted("cdar_95", "Conditional drawdown at risk, 95 %", PERCENT, "fewer than 100 sessions"),
    Quoted("control_drawdown", "Drawdown that the regime looks at", PERCENT),
    Quoted("size_multiplier", "Size that the regime allows", PERCENT),
)
CONCENTRATION = (
    Quoted("hhi", "HHI", RATIO),
    Quoted("hhi_normalised", "HHI, normalised", RATIO),
    Quoted("effective_n", "Effective number", COUNT),
    Quoted("cr1", "Share of the largest", PERCENT),
    Quoted("cr3", "Share of the three largest", PERCENT),
    Quoted("coverage", "Classified", PERCENT),
    Quoted("top_exposure_pct", "Largest over equity", PERCENT, _NO_EQUITY),
    Quoted("top_share_worst_case", "Largest if it had all that is unclassified", PERCENT),
)
HEAT = (
    Quoted("heat", "Heat", PERCENT),
    Quoted("use", "Use of the heat cap", PERCENT),
    Quoted("active_heat", "Active heat", PERCENT),
    Quoted("reserved_heat", "Reserved heat", PERCENT),
    Quoted("cap", "Cap on heat", PERCENT),
    Quoted("capital_heat", "Capital heat, from entry to stop", PERCENT),
    Quoted("imputed_share", "Risk that is imputed", PERCENT, "no risk"),
    Quoted("imputed_positions", "Positions without a usable stop", COUNT),
    Quoted("beyond_stop", "Positions open beyond their stop", COUNT),
)
CORRELATION = (
    Quoted("stack_ratio", "Stack ratio", RATIO),
    Quoted("stack_ratio_low", "Stack ratio, lower bound", RATIO, "no interval: taxonomy"),
    Quoted("stack_ratio_high", "Stack ratio, upper bound", RATIO, "no interval: taxonomy"),
    Quoted("score", "Stacking score", RATIO),
    Quoted("effective_bets", "Effective bets", COUNT, "hedged"),
    Quoted("mean_correlation", "Mean correlation of what is held", RATIO),
    Quoted("correlated_heat", "Correlation-adjusted heat", PERCENT),
    Quoted("largest_bucket_pct", "Largest bucket, one direction", PERCENT),
    Quoted("absorption_ratio", "Absorption ratio", PERCENT, "too short a sample"),
    Quoted("turbulence", "Turbulence", RATIO, "too short a sample"),
    Quoted("observations", "Observations", COUNT),
)
TURNOVER = (
    Quoted("turnover_two_sided", "Turnover on the day", PERCENT, with_change=False),
    Quoted("turnover_20", "Turnover, 20 sessions", PERCENT, "fewer than 20 sessions"),
    Quoted("turnover_baseline", "Usual turnover of 20 sessions", PERCENT, "no baseline yet"),
    Quoted("fills_20", "Fills, 20 sessions", COUNT),
    Quoted("fills_tail", "Chance of so many fills", PROBABILITY, "no baseline yet"),
    Quoted("trips_20", "Round trips, 20 sessions", COUNT),
    Quoted("trips_tail", "Chance of so many round trips", PROBABILITY, "no baseline yet"),
    Quoted("churn_20", "Churn, 20 sessions", RATIO, "nothing was traded"),
    Quoted("flip_rate", "Fills that turned a side", PERCENT, "nothing was traded"),
    Quoted("cost_bps", "Fees over what was traded", BPS, "nothing was traded"),
    Quoted("cost_drag_bps", "Fees of 20 sessions over equity", BPS),
)
IDLE = (
    Quoted("idle", "Idle share of the heat cap, 20 sessions", PERCENT),
    Quoted("idle_cash_pct", "Idle cash", PERCENT),
    Quoted("setups", "Qualified setups, 20 sessions", COUNT),
    Quoted("missed", "Missed for capacity", COUNT),
    Quoted("missed_rate", "Share missed for capacity", PERCENT, "no setups"),
    Quoted("missed_low", "Share missed, lower end", PERCENT, "no setups"),
    Quoted("feasible_use", "Use that the opportunity could sustain", PERCENT),
    Quoted("recent_intents", "Recent intents", COUNT),
    Quoted("rejection_rate", "Rejected of them", PERCENT, "no intents"),
    Quoted("rejection_baseline", "Rejected before them", PERCENT, "no intents"),
)
CALIBRATION = (
    Quoted("n", "Signals resolved, 60 sessions", COUNT),
    Quoted("confidence", "Stated confidence", PERCENT, "no signals"),
    Quoted("hit_rate", "Came true", PERCENT, "no signals"),
    Quoted("gap", "Overconfidence", PERCENT, "no signals"),
    Quoted("brier", "Brier score", RATIO, "no signals"),
    Quoted("hold_below_p50", "Held up to the expected median (½ is right)", PERCENT, "no expectation"),
    Quoted("hold_below_p90", "Held up to the expected 90th percentile (0.9 is right)", PERCENT, "no expectation"),
    Quoted("mae_below_p50", "Adverse excursion up to the expected median", PERCENT, "no expectation"),
    Quoted("mfe_above_p50", "Favourable excursion from the expected median on", PERCENT, "no expectation"),
)
DIAGNOSTICS = {
    "heat": (derived.PORTFOLIO_HEAT, HEAT),
    "correlation": (derived.CORRELATION_STACKING, CORRELATION),
    "turnover": (derived.TURNOVER_METRICS, TURNOVER),
    "idle": (derived.IDLE_CAPITAL, IDLE),
    "calibration": (derived.CALIBRATION, CALIBRATION),
}
QUOTED: dict[str, tuple[Quoted, ...]] = {
    derived.PORTFOLIO_EQUITY.name: HEADLINE + QUALITY,
    derived.DRAWDOWN_STATE.name: DRAWDOWN,
    derived.CONCENTRATION_METRICS.name: CONCENTRATION,
    **{table.name: quoted for table, quoted in DIAGNOSTICS.values()},
}


def labelled(table: str, names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, label and unit of a table's columns, in the declared order; a column that is not declared comes last, as it is."""
    wanted = set(names)
    for quoted in QUOTED.get(table, ()):
        if quoted.name in wanted:
            wanted.discard(quoted.name)
            yield quoted.name, quoted.label, quoted.unit
    for name in sorted(wanted):
        yield name, name, ""
