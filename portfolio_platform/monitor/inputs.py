"""What reports are composed of: the derived tables, lined up with the sessions of a range."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.canonical import rounded
from portfolio_platform.lake import derived
from portfolio_platform.monitor.details import DETAILS
from portfolio_platform.monitor.figures import DIAGNOSTICS
from portfolio_platform.monitor.frames import Frame, Sessions

ATTRIBUTED = {"pnl_by_strategy": ("strategy",), "pnl_by_symbol": ("symbol",)}
ATTRIBUTED_ROWS = 6
PERIODS = ("month", "quarter", "year", "start")


@dataclass(frozen=True)
class Tables:
    """Derived tables of a range of days and of the weeks before it, as they are read.

    ``history`` has day, portfolio and unit value of every session up to the last.
    """

    history: pa.Table
    equity: pa.Table
    drawdown: pa.Table
    metrics: pa.Table
    groups: pa.Table
    pnl: pa.Table
    alerts: pa.Table
    recommendations: pa.Table
    sufficiency: pa.Table
    diagnostics: dict[str, pa.Table]
    details: dict[str, pa.Table]


class Inputs:
    """The tables by session."""

    def __init__(self, tables: Tables, max_mark_age: int) -> None:
        """Line everything up; nothing is read from here on."""
        self.sessions = Sessions(tables.equity)
        line = self._line
        self.max_mark_age = max_mark_age
        self.equity = line(self.sessions.table, derived.PORTFOLIO_EQUITY)
        self.drawdown = line(tables.drawdown, derived.DRAWDOWN_STATE)
        self.diagnostics = {name: line(tables.diagnostics[name], table) for name, (table, _) in DIAGNOSTICS.items()}
        self.details = {detail.name: line(detail.sorted(tables.details[detail.name]), detail.table) for detail in DETAILS}
        self.metrics = {
            (dimension, basis): line(rows, derived.CONCENTRATION_METRICS)
            for (dimension, basis), rows in _split(tables.metrics, ("dimension", "basis")).items()
        }
        order = [("exposure", "descending"), ("group", "ascending")]
        self.groups = {
            (dimension, basis): line(rows.sort_by(order), derived.CONCENTRATION_GROUPS)
            for (dimension, basis), rows in _split(tables.groups, ("dimension", "basis")).items()
        }
        self.pnl = {name: line(attributed(tables.pnl, by), derived.PNL_ATTRIBUTION) for name, by in ATTRIBUTED.items()}
        self.alerts = line(_gravest(tables.alerts), derived.ALERT_STATES)
        self.recommendations = line(tables.recommendations, derived.RECOMMENDATION_STATES)
        order = [("metric", "ascending"), ("scope", "ascending")]
        self.failed = line(tables.sufficiency.filter(pc.invert(pc.field("passed"))).sort_by(order), derived.SAMPLE_SUFFICIENCY)
        self.passed = self._count(tables.sufficiency.filter(pc.field("passed")))
        self.returns = _returns(tables.history, self.sessions)
        self.number: list[int] = self.equity.rows["session"].to_pylist()
        self.reason: list[str] = self.equity.rows["reason"].to_pylist()

    def _line(self, rows: pa.Table, table: "derived.Table") -> Frame:
        return Frame(rows, self.sessions, table)

    def _count(self, rows: pa.Table) -> list[int]:
        place = self.sessions.places(self.sessions.keys(rows))
        return np.bincount(place[place >= 0], minlength=len(self.sessions.key)).tolist()  # type: ignore[no-any-return]


def _split(rows: pa.Table, names: tuple[str, str]) -> dict[tuple[str, str], pa.Table]:
    """Return the rows of each pair of values, by pair."""
    keys = rows.group_by(list(names)).aggregate([]).to_pylist()
    pairs = sorted((key[names[0]], key[names[1]]) for key in keys)
    return {(a, b): rows.filter((pc.field(names[0]) == a) & (pc.field(names[1]) == b)) for a, b in pairs}


def _gravest(alerts: pa.Table) -> pa.Table:
    """Return alerts by severity, firing ones first, then by rule and scope."""
    grave = pc.index_in(alerts["severity"], pa.array(["critical", "warning", "info"]))
    over = pc.equal(alerts["state"], "resolved")
    keyed = alerts.append_column("_over", over).append_column("_grave", grave)
    return keyed.sort_by([(name, "ascending") for name in ("_over", "_grave", "rule", "scope")]).select(alerts.column_names)


def attributed(pnl: pa.Table, by: tuple[str, ...]) -> pa.Table:
    """Return P&L of each session by some columns of `pnl_attribution`, the largest amount first."""
    amounts = ["realised", "unrealised", "income", "fees", "total"]
    keys = ["day", "portfolio", *by]
    # a group's sum is taken in the order of the key, so that it never depends on the order of rows
    rows = pnl.filter(pc.field("component") == "position").sort_by([(name, "ascending") for name in derived.PNL_ATTRIBUTION.key])
    summed = rows.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in amounts])
    summed = summed.rename_columns([*keys, *amounts])
    size = pc.fill_null(pc.abs(summed["total"]), 0.0)
    order = [("_size", "descending"), *((name, "ascending") for name in by)]
    return summed.append_column("_size", size).sort_by(order).drop_columns(["_size"])


def _returns(history: pa.Table, sessions: Sessions) -> dict[str, list[float | None]]:
    """Return flow-neutral returns of each session since the close before its week, month, quarter, year, and since the start."""
    known = Sessions(history)
    unit = known.table["unit_value"].to_numpy().astype(np.float64)
    here = known.places(sessions.keys(sessions.table))
    now = unit[here] if unit.size else np.empty(0)
    firsts = {
        "month": [day.replace(day=1) for day in sessions.day],
        "quarter": [day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1) for day in sessions.day],
        "year": [day.replace(month=1, day=1) for day in sessions.day],
    }
    places = {"week": known.week[here], "start": np.full(here.shape, -1)}
    for name, first in firsts.items():
        places[name] = known.before_of(sessions, first)
    started = {"week": False, "month": True, "quarter": True, "year": True, "start": True}
    found = {}
    for name, at in places.items():
        # a period that began before the portfolio did is measured from its start, a unit value of 1
        base = np.where(at >= 0, unit[at] if unit.size else np.nan, 1.0 if started[name] else np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            found[name] = rounded(now / base - 1.0)
    return found


def wanted_places(sessions: Sessions, wanted: set[date]) -> list[int]:
    """Return the places of the sessions on wanted days, by portfolio and day."""
    return [place for place, day in enumerate(sessions.day) if day in wanted]
