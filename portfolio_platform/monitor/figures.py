"""The figures of a report: which columns it quotes, under which label and unit, and how their changes are taken."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.lake.columns import Table
from portfolio_platform.monitor.report import Figure

Row = dict[str, Any]
PERCENT, MONEY, COUNT, RATIO, SIGMA = "fraction", "base currency", "count", "1", "sigma"


@dataclass(frozen=True)
class Quoted:
    """A column that the report quotes. ``without`` says why the column may be null where the row gives no reason."""

    name: str
    label: str
    unit: str
    without: str = ""
    with_change: bool = True


HEADLINE = (
    Quoted("equity", "Equity", MONEY),
    Quoted("daily_return", "Return on the day", PERCENT, with_change=False),
    Quoted("unit_value", "Unit value (flow-neutral)", RATIO),
    Quoted("net_flow", "Net flow", MONEY, with_change=False),
    Quoted("cash", "Cash", MONEY),
    Quoted("market_value", "Market value", MONEY),
    Quoted("gross_exposure_pct", "Gross exposure", PERCENT, "equity is not positive"),
    Quoted("net_exposure_pct", "Net exposure", PERCENT, "equity is not positive"),
    Quoted("long_exposure_pct", "Long exposure", PERCENT, "equity is not positive"),
    Quoted("short_exposure_pct", "Short exposure", PERCENT, "equity is not positive"),
    Quoted("open_positions", "Open positions", COUNT),
    Quoted("volatility_60", "Volatility, 60 sessions, annual", PERCENT, "fewer than 60 daily returns"),
    Quoted("sharpe_60", "Sharpe ratio, 60 sessions, annual", RATIO, "fewer than 60 daily returns, or none that moved"),
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
)
CONCENTRATION = (
    Quoted("hhi", "HHI", RATIO),
    Quoted("hhi_normalised", "HHI, normalised", RATIO),
    Quoted("effective_n", "Effective number", COUNT),
    Quoted("cr1", "Share of the largest", PERCENT),
    Quoted("cr3", "Share of the three largest", PERCENT),
    Quoted("coverage", "Classified", PERCENT),
    Quoted("top_exposure_pct", "Largest over equity", PERCENT, "equity is not positive"),
    Quoted("top_share_worst_case", "Largest if it had all that is unclassified", PERCENT),
)
QUALITY = (Quoted("stale_positions", "Positions with a stale mark", COUNT),)


def difference(now: float | None, then: float | None) -> float | None:
    """Return now less then; null where one is."""
    return None if now is None or then is None else now - then


def figures(
    quoted: tuple[Quoted, ...], table: Table, portfolio: str, day: date, row: Row, before: Row | None, week: Row | None, *rest: str
) -> tuple[Figure, ...]:
    """Return the quoted columns of a row, with their changes against two earlier rows."""
    out = []
    for column in quoted:
        value = row[column.name]
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        out.append(
            Figure(
                name=column.name,
                label=column.label,
                value=value,
                unit=column.unit,
                change_day=difference(value, before[column.name]) if before and column.with_change else None,
                change_week=difference(value, week[column.name]) if week and column.with_change else None,
                reason="" if value is not None else (row["reason"] or column.without or "not known"),
                evidence_id=evidence_id(table, portfolio, day, column.name, *rest),
            )
        )
    return tuple(out)
