"""What reports say of the derived tables: read once for a range of days, composed session by session; nothing is stored."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.days import day_number, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import PORTFOLIOS
from portfolio_platform.monitor.compose import Content, SetAside, compose
from portfolio_platform.monitor.details import DETAILS
from portfolio_platform.monitor.figures import DIAGNOSTICS
from portfolio_platform.monitor.inputs import Inputs, Tables, wanted_places
from portfolio_platform.monitor.report import PortfolioMonitorReport
from portfolio_platform.policy.assigned import Assigned, PoliciesInTime, policies_in_time
from portfolio_platform.sources.pipeline import quarantined

LOOK_BACK = timedelta(days=31)
SUFFICIENCY = [
    *("day", "portfolio", "metric", "scope", "gate", "sample_size", "required", "missing", "sessions_until", "reason", "evidence_id"),
    "passed",
]


def read_tables(home: Home, first: date, last: date) -> Tables:
    """Read the derived tables of a range of days, and of the weeks before it that changes are taken against."""
    since = first - LOOK_BACK
    in_weeks = (pc.field("day") >= since) & (pc.field("day") <= last)
    in_range = (pc.field("day") >= first) & (pc.field("day") <= last)
    to_month = last.isoformat()[:7]

    def read(table: Table, names: Sequence[str] | None = None, *, weeks: bool = True, where: pc.Expression | None = None) -> pa.Table:
        begin, condition = (since, in_weeks) if weeks else (first, in_range)
        condition = condition if where is None else condition & where
        return home.lake.read(table, names, condition, from_month=begin.isoformat()[:7], to_month=to_month)

    up_to = pc.field("day") <= last
    return Tables(
        history=home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day", "unit_value"], up_to, to_month=to_month),
        equity=read(derived.PORTFOLIO_EQUITY),
        drawdown=read(derived.DRAWDOWN_STATE),
        metrics=read(derived.CONCENTRATION_METRICS),
        groups=read(derived.CONCENTRATION_GROUPS, weeks=False),
        pnl=read(derived.PNL_ATTRIBUTION, weeks=False),
        alerts=read(derived.ALERT_STATES, weeks=False),
        recommendations=read(derived.RECOMMENDATION_STATES, weeks=False),
        sufficiency=read(derived.SAMPLE_SUFFICIENCY, SUFFICIENCY, weeks=False),
        diagnostics={name: read(table) for name, (table, _) in DIAGNOSTICS.items()},
        # positions alone are compared with those of the session before
        details={d.name: read(d.table, d.read, weeks=d.name == "positions", where=d.chosen()) for d in DETAILS},
    )


def set_aside(home: Home) -> SetAside:
    """Return what is in quarantine, by portfolio and day."""
    rows = quarantined(home.lake)
    days: dict[str | None, list[date]] = {}
    undated: dict[str | None, int] = {}
    for portfolio, ts in zip(rows["portfolio"].to_pylist(), rows["ts"].to_pylist(), strict=True):
        if ts is None:
            undated[portfolio] = undated.get(portfolio, 0) + 1
        else:
            days.setdefault(portfolio, []).append(to_date(day_number(ts)))
    return SetAside({name: sorted(found) for name, found in days.items()}, undated)


def compose_contents(home: Home, days: Iterable[date], policies: Assigned | PoliciesInTime | None = None) -> Iterator[Content]:
    """Yield the content of the report of every portfolio and session among the days; nothing is stored."""
    wanted = set(days)
    if not wanted:
        return
    policies = policies or policies_in_time(home)
    newest, in_force = policies.on(max(wanted)), cache(policies.on)
    base = {row["portfolio"]: row["base_currency"] for row in active.read(home.lake, PORTFOLIOS).to_pylist()}
    aside = set_aside(home)
    inputs = Inputs(read_tables(home, min(wanted), max(wanted)), newest.default.accounting.max_mark_age)
    for place in wanted_places(inputs.sessions, wanted):
        portfolio = inputs.sessions.portfolio[place]
        if not inputs.drawdown.span(place):
            continue
        mode = "live" if portfolio in newest.live else "paper"
        currency = base.get(portfolio, newest.default.accounting.default_currency)
        yield compose(inputs, place, in_force(inputs.sessions.day[place]).of(portfolio), mode=mode, base_currency=currency, aside=aside)


def compose_reports(
    home: Home, days: Iterable[date], policies: Assigned | PoliciesInTime | None = None
) -> Iterator[PortfolioMonitorReport]:
    """Yield the report of every portfolio and session among the days as a model; nothing is stored."""
    for content in compose_contents(home, days, policies):
        yield PortfolioMonitorReport.from_bytes(canonical_bytes(content, plain=True))
