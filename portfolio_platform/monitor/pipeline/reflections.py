"""Publishing reflections: the history that is known in, immutable revisions of weeks and months in the book out."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.book import policies as archive
from portfolio_platform.book.reports import Published, ReportDraft, publish
from portfolio_platform.days import to_date, to_number
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FILLS, PORTFOLIOS, QUARANTINE, UNCLASSIFIED
from portfolio_platform.lake.progress import read_progress
from portfolio_platform.monitor.reflection import facts
from portfolio_platform.monitor.reflection.compose import compose
from portfolio_platform.monitor.reflection.facts import POLICY, RESEARCH
from portfolio_platform.monitor.reflection.model import SCHEMA_VERSION, PortfolioReflection
from portfolio_platform.monitor.reflection.periods import Kind, Period, period_from
from portfolio_platform.monitor.reflection.playbooks import FIRING
from portfolio_platform.policy.assigned import Assigned, PoliciesInTime, policies_in_time
from portfolio_platform.version import __version__

BUILT = "recommendations"
SESSION_COLUMNS = ("portfolio", "day", "unit_value", "equity", "net_flow", "daily_return")
TRIP_COLUMNS = ("round_trip_id", "portfolio", "day", "closed_at", "symbol", "template", "playbook", "regime", "signal_id", "r", "net_pnl")
FIRED_COLUMNS = ("portfolio", "day", "alert_id", "rule", "scope", "severity")
FIRING_COLUMNS = ("portfolio", "day", "rule", "scope", "severity", "sentence", "evidence_ids", "sample_size", "required", "gate_passed")
RECOMMENDED_COLUMNS = ("portfolio", "day", "recommendation_id", "status", "mode", "monitor_only", "supersedes", "content")
READ: tuple[Table, ...] = (
    *(derived.PORTFOLIO_EQUITY, derived.DRAWDOWN_STATE, derived.TRIP_PROFILES, derived.SIGNAL_OUTCOMES, derived.ALERT_STATES),
    *(derived.RECOMMENDATION_STATES, derived.CROWDING, derived.EXECUTION_PROFILE, derived.CALIBRATION),
    *(derived.CONCENTRATION_DRIFT, derived.FAILURE_MODES),
)


@dataclass(frozen=True)
class Headline:
    """What a reflection says first."""

    action: str
    why: str
    total_return: float | None
    trades: int


@dataclass(frozen=True)
class PeriodReflections:
    """What publishing did for a period: one entry for each portfolio with a session in it, none where there was none."""

    period: Period
    published: tuple[Published, ...]
    headlines: dict[str, Headline]


def publish_reflections(home: Home, kind: Kind, starts: Sequence[date]) -> list[PeriodReflections]:
    """Compose and publish the reflections of some weeks or months, named by their first day; a revision only where content differs.

    Raises `WrongUse` where no such period begins on a day, `DataProblem` where one is not over, or the tables do not reach its end.
    """
    periods = [period_from(kind, start) for start in sorted(set(starts))]
    if not periods:
        return []
    policies = policies_in_time(home)
    _check_reach(home, periods[-1])
    shared, now = _provenance(home), home.clock.now()
    rests_on = {period.start: policies.told(period.end) for period in periods}
    drafts: list[ReportDraft] = []
    headlines: dict[date, dict[str, Headline]] = {period.start: {} for period in periods}
    for found in compose_reflections(home, periods, policies):
        drafts.append(
            ReportDraft(
                found.portfolio,
                found.day,
                kind,
                SCHEMA_VERSION,
                found.policy.hash,
                found.canonical(),
                shared | {"policies": rests_on[found.day]},
            )
        )
        traded = found.clusters_of("portfolio")
        trades = traded[0].period.n if traded else 0
        headlines[found.day][found.portfolio] = Headline(found.action, found.why, found.performance.total_return, trades)
    with home.book.writing() as connection:
        for policy in policies.begun(periods[-1].end):
            archive.archive(connection, policy.name, policy.canonical(), now)
        published = publish(connection, drafts, published_at=now)
    return [
        PeriodReflections(period, tuple(item for item in published if item.day == period.start), headlines[period.start])
        for period in periods
    ]


def compose_reflections(
    home: Home, periods: Sequence[Period], policies: Assigned | PoliciesInTime | None = None
) -> Iterator[PortfolioReflection]:
    """Yield the reflection of every portfolio and period with a session, by the policy of the period's last day; nothing is stored."""
    policies = policies or policies_in_time(home)
    base = {row["portfolio"]: row["base_currency"] for row in active.read(home.lake, PORTFOLIOS).to_pylist()}
    for portfolio, history in histories(home, periods).items():
        for period in periods:
            assigned = policies.on(period.end)
            currency = base.get(portfolio, assigned.default.accounting.default_currency)
            mode = "live" if portfolio in assigned.live else "paper"
            found = compose(history, period, assigned.of(portfolio), mode=mode, base_currency=currency)
            if found is not None:
                yield found


def _check_reach(home: Home, newest: Period) -> None:
    """Refuse a period that is not over, or that the tables do not reach."""
    if newest.end > home.last_ended_day:
        raise DataProblem(
            f"the {newest.noun} from {newest.start} to {newest.end} is not over; the last day that is was {home.last_ended_day}"
        )
    built = read_progress(home.lake, BUILT)
    if built is None or built.built_until < newest.end:
        reach = f"reach {built.built_until}" if built else "are not built yet"
        raise DataProblem(
            f"the diagnostics {reach}, and the {newest.noun} ends on {newest.end}; run `portfolio build` or the job refresh first"
        )


def _provenance(home: Home) -> dict[str, object]:
    built = read_progress(home.lake, BUILT)
    return {
        "lake_versions": {table.name: home.lake.version(table) for table in READ},
        "import_seq": max(built.import_seq if built else 0, home.lake.largest(QUARANTINE, "import_seq")),
        "code_version": __version__,
    }


def histories(home: Home, periods: Sequence[Period]) -> dict[str, facts.History]:
    """Return each portfolio's history up to the end of the last period; each table is read once."""
    until = max(period.end for period in periods)
    known = pc.field("day") <= until
    month = until.isoformat()[:7]

    def read(table: Table, columns: Sequence[str] | None = None, where: pc.Expression | None = None) -> pa.Table:
        return home.lake.read(table, columns, known if where is None else known & where, to_month=month)

    equity = read(derived.PORTFOLIO_EQUITY, SESSION_COLUMNS)
    state = read(derived.DRAWDOWN_STATE, ("portfolio", "day", "drawdown", "regime"))
    sessions = equity.join(state, ["portfolio", "day"]).sort_by([("portfolio", "ascending"), ("day", "ascending")])
    ends = _end_sessions(sessions, periods)
    at_end = pc.field("day").isin(pa.array(ends, pa.date32()))
    first = min(period.start for period in periods)
    trades = _trades(home, read(derived.TRIP_PROFILES, TRIP_COLUMNS))
    qualified = pc.field("qualified") & (pc.field("purpose") == POLICY)
    signals = read(derived.SIGNAL_OUTCOMES, ("signal_id", "portfolio", "day", "regime"), qualified)
    fired = read(derived.ALERT_STATES, FIRED_COLUMNS, pc.field("transition") == "fired")
    spoken = pc.field("rule").isin(pa.array(sorted(FIRING), pa.string()))
    tables = {
        "crowding": read(derived.CROWDING, None, pc.field("day") >= first),
        "recommendations": _recommended(read(derived.RECOMMENDATION_STATES, RECOMMENDED_COLUMNS, pc.field("status") != "standing")),
        "execution": read(derived.EXECUTION_PROFILE, None, at_end & (pc.field("n") > 0)),
        "calibration": read(derived.CALIBRATION, None, at_end),
        "allocation": read(derived.CONCENTRATION_DRIFT, None, at_end),
        "failures": read(derived.FAILURE_MODES, None, at_end & pc.field("recurring")),
        "firing": read(derived.ALERT_STATES, FIRING_COLUMNS, (pc.field("day") >= first) & spoken & (pc.field("state") == "firing")),
    }
    out = {}
    for portfolio in sorted(set(sessions["portfolio"].to_pylist())):
        mine = pc.field("portfolio") == portfolio
        rows = {name: _rows(table.filter(mine)) for name, table in tables.items()}
        out[portfolio] = facts.History(
            portfolio=portfolio,
            sessions=_sessions(sessions.filter(mine)),
            trades=_trades_of(trades.filter(mine)),
            signals=_signals_of(signals.filter(mine)),
            fired=_fired_of(fired.filter(mine)),
            crowding=rows["crowding"],
            recommendations=rows["recommendations"],
            execution=_by_day(rows["execution"]),
            calibration={day: found[0] for day, found in _by_day(rows["calibration"]).items()},
            allocation=_by_day(rows["allocation"]),
            failures=_by_day(rows["failures"]),
            firing=rows["firing"],
        )
    return out


def _end_sessions(sessions: pa.Table, periods: Sequence[Period]) -> list[date]:
    """Return the last session of each period, and the last one before it, of each portfolio."""
    found: set[date] = set()
    for portfolio in set(sessions["portfolio"].to_pylist()):
        days = _days(sessions.filter(pc.field("portfolio") == portfolio)["day"])
        for period in periods:
            for bound in (to_number(period.end) + 1, to_number(period.start)):
                place = int(np.searchsorted(days, bound)) - 1
                if place >= 0:
                    found.add(to_date(int(days[place])))
    return sorted(found)


def _trades(home: Home, trips: pa.Table) -> pa.Table:
    """Return closed trades with their purpose and their P&L in base currency, by time of close and id."""
    flat = pc.field("method") == "flat_to_flat"
    rounds = home.lake.read(derived.ROUND_TRIPS, ["round_trip_id", "currency", "opening_row_id"], flat)
    rates = home.lake.read(derived.CASH_BALANCES, ["portfolio", "day", "currency", "fx_rate"])
    fills = active.read(home.lake, FILLS, ("row_id", "purpose"))
    fills = fills.filter(pc.field("purpose") == RESEARCH)
    research = pc.unique(home.lake.read(derived.SIGNAL_OUTCOMES, ["signal_id"], pc.field("purpose") == RESEARCH)["signal_id"])
    joined = trips.join(rounds, "round_trip_id").join(rates, ["portfolio", "day", "currency"])
    # what either the opening fill or its signal calls research is research: it must not touch a playbook's record
    by_fill = pc.is_in(joined["opening_row_id"], fills["row_id"].combine_chunks())
    by_signal = pc.is_in(joined["signal_id"], research, skip_nulls=True)
    purpose = pc.if_else(pc.or_(by_fill, by_signal), RESEARCH, POLICY)
    pnl = pc.multiply(joined["net_pnl"], joined["fx_rate"])
    found = joined.append_column("purpose", purpose).append_column("pnl", pnl)
    return found.sort_by([("closed_at", "ascending"), ("round_trip_id", "ascending")])


def _recommended(rows: pa.Table) -> pa.Table:
    """Return recommendations with the number of their adjustments instead of their content."""
    counts = [len(json.loads(text)["adjustments"]) if text else 0 for text in rows["content"].to_pylist()]
    return rows.append_column("adjustments", pa.array(counts, pa.int64())).drop_columns(["content"])


def _days(column: pa.ChunkedArray) -> facts.Int64:
    return np.asarray(column.cast(pa.int32()).to_numpy().astype(np.int64))


def _numbers(column: pa.ChunkedArray) -> facts.Float64:
    return np.asarray(pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy())


def _texts(column: pa.ChunkedArray, null: str = "") -> facts.Texts:
    return np.array(pc.fill_null(column.cast(pa.string()), null).to_pylist(), object)


def _sessions(rows: pa.Table) -> facts.Sessions:
    figures = {name: _numbers(rows[name]) for name in ("unit_value", "equity", "net_flow", "daily_return", "drawdown")}
    return facts.Sessions(day=_days(rows["day"]), regime=_texts(rows["regime"]), **figures)


def _trades_of(rows: pa.Table) -> facts.Trades:
    named = {name: _texts(rows[name], UNCLASSIFIED) for name in ("playbook", "template", "regime", "symbol", "purpose")}
    return facts.Trades(day=_days(rows["day"]), r=_numbers(rows["r"]), pnl=_numbers(rows["pnl"]), **named)


def _signals_of(rows: pa.Table) -> facts.Signals:
    rows = rows.sort_by([("day", "ascending"), ("signal_id", "ascending")])
    return facts.Signals(_days(rows["day"]), _texts(rows["regime"], UNCLASSIFIED))


def _fired_of(rows: pa.Table) -> facts.Fired:
    rows = rows.sort_by([("day", "ascending"), ("alert_id", "ascending")])
    return facts.Fired(_days(rows["day"]), *(_texts(rows[name]) for name in ("alert_id", "rule", "scope", "severity")))


def _rows(table: pa.Table) -> tuple[dict[str, Any], ...]:
    return tuple(table.sort_by("day").to_pylist())


def _by_day(rows: Sequence[Mapping[str, Any]]) -> dict[date, tuple[Mapping[str, Any], ...]]:
    found: dict[date, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["day"], []).append(row)
    return {day: tuple(items) for day, items in found.items()}
