"""Reports, histories and what charts show, made by hand, for tests of what is rendered from them."""

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from portfolio_platform.monitor.details import DETAILS
from portfolio_platform.monitor.report import (
    Alert,
    Change,
    Concentration,
    DataQuality,
    Drawdown,
    Figure,
    FollowUp,
    GateFailure,
    PolicyReference,
    PortfolioMonitorReport,
    Recommendation,
    Returns,
    Rows,
    Section,
    Sufficiency,
)
from portfolio_platform.render import charts
from portfolio_platform.render.chart_data import Data, Failure, Failures, Limit, Matrix, Series
from portfolio_platform.render.series import History

DAY = date(2024, 3, 14)


def figure(name: str, value: float | int | None, unit: str = "fraction", **more: Any) -> Figure:
    given = {"label": f"Label of {name}", "evidence_id": f"portfolio_equity/core/{DAY}/{name}", **more}
    return Figure(name=name, value=value, unit=unit, **given)


def section(table: str, values: dict[str, Any], *, null: dict[str, str] | None = None, reason: str = "", rest: str = "") -> Section:
    """Return a section; a value alone has no change."""
    held = {name: given if isinstance(given, tuple) else (given, None, None) for name, given in values.items()}
    return Section(of=f"{table}/core/{DAY}{rest}", values=held, null=null or {}, reason=reason)


def position(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "strategy": "trend",
        "symbol": "SPX",
        "currency": "USD",
        "quantity": "1234.50",
        "average_cost": 1200.5,
        "mark": 1210.25,
        "mark_source": "bar",
        "mark_age": 0,
        "market_value_base": 1_494_053.6,
        "unrealised_pnl": 12036.4,
        "stop_price": None,
        "template": "trend_continuation",
        "playbook": None,
    }
    return {**given, **more}


def dimension(name: str = "symbol", basis: str = "gross", **more: Any) -> Concentration:
    values = {"effective_n": (2.25, -0.65, None), "cr1": (0.6, 0.1, None), "hhi": 0.444, "coverage": 1.0, "top_exposure_pct": 0.747}
    given: dict[str, Any] = {
        "dimension": name,
        "basis": basis,
        "section": section("concentration_metrics", values, rest=f"/{name}/{basis}"),
        "largest": (("SPX", 0.6, 1_494_053.6, 1_494_053.6, 0.747),),
        "groups": 4,
    }
    return Concentration(**{**given, **more})


def alert(**more: Any) -> Alert:
    given: dict[str, Any] = {
        "alert_id": f"alert:core:heat::{DAY}",
        "rule": "heat",
        "scope": "",
        "state": "firing",
        "severity": "warning",
        "transition": "fired",
        "metric": "heat_use",
        "observed": 0.85,
        "threshold": 0.8,
        "comparison": ">=",
        "unit": "fraction",
        "lookback": "20 sessions",
        "window_start": date(2024, 2, 15),
        "sample_size": 20,
        "gate_passed": True,
        "gate_reason": "",
        "symbols": "AAPL, SPX, WTI",
        "contributors": (
            {"strategy": "trend", "symbol": "SPX", "value": 34223.4, "unit": "base currency", "share": 0.61},
            {"strategy": "swing", "symbol": "AAPL", "value": 21000.0, "unit": "base currency", "share": 0.39},
        ),
        "evidence_ids": (f"portfolio_heat/core/{DAY}/use",),
        "first_seen": DAY,
        "sessions_firing": 3,
        "worst": 0.9,
        "room": 0.15,
        "change": 0.04,
        "trend": "worse",
        "previous": "warning from 2024-01-02 to 2024-01-05, 4 sessions, at worst 88.0 %",
        "cause": "heat",
        "inhibited_by": "",
        "sentence": "core uses 85.0 % of its heat cap.",
        "action": "Open nothing new.",
    }
    return Alert(**{**given, **more})


def failure(**more: Any) -> GateFailure:
    given: dict[str, Any] = {
        "metric": "skill_gate",
        "label": "Chance that the Sharpe ratio is real",
        "scope": "",
        "gate": "skill",
        "sample_size": 676,
        "required": 1291,
        "missing": 615,
        "sessions_until": 58.0,
        "reason": "probability of skill 0.88 is below 0.95",
        "evidence_id": f"sample_sufficiency/core/{DAY}/skill_gate//value",
    }
    return GateFailure(**{**given, **more})


def content(**more: Any) -> dict[str, Any]:
    """Return the content of a recommendation as it is stored."""
    identity = f"alert:core:stack::{DAY}"
    given: dict[str, Any] = {
        "schema_version": 1,
        "portfolio": "core",
        "day": DAY.isoformat(),
        "session": 930,
        "recommendation_id": f"recommendation:core:{DAY}",
        "mode": "normal",
        "adjustments": [
            {"kind": "heat", "scope": "", "from": 0.06, "to": 0.045, "unit": "fraction of equity", "direction": "tighten"},
        ],
        "monitor_only": False,
        "missing": [],
        "withheld": [
            {
                "adjustment": {
                    "kind": "new_positions",
                    "scope": "",
                    "from": 5.0,
                    "to": 4.0,
                    "unit": "positions a session",
                    "direction": "tighten",
                },
                "because": "the sample behind churn does not suffice: 2 of 6 observations",
                "missing": [],
            }
        ],
        "confidence": {"level": 0.9, "lowest_ratio": 2.0, "gates_passed": ["stack_ratio"], "gates_failed": []},
        "rests_on": {"regime": "normal", "alert_ids": [identity], "evidence_ids": [f"correlation_stacking/core/{DAY}/stack_ratio"]},
        "effective": "2024-03-15",
        "review": "2024-03-19",
        "expires": "2024-03-21",
        "withdrawn_if": [{"kind": "alert_ends", "alert_id": identity, "regime": "", "sentence": "the alert stack ends or eases"}],
        "supersedes": "",
        "reason": "core's positions are 3.41 times fewer independent bets than they seem.",
        "follow_up": [],
        "policy_hash": "ab" * 32,
    }
    return {**given, **more}


def recommendation(**more: Any) -> Recommendation:
    given: dict[str, Any] = {
        "recommendation_id": f"recommendation:core:{DAY}",
        "status": "issued",
        "issued": DAY,
        "expires": date(2024, 3, 21),
        "supersedes": "",
        "content": content(),
    }
    return Recommendation(**{**given, **more})


def details(**more: tuple[dict[str, Any], ...]) -> dict[str, Rows]:
    """Return a row of each detail; those given instead of it."""
    rows: dict[str, tuple[dict[str, Any], ...]] = {
        "positions": (position(),),
        "risks": (
            {
                "strategy": "trend",
                "symbol": "SPX",
                "currency": "USD",
                "direction": "long",
                "risk": 34223.4,
                "risk_pct": 0.0171,
                "stop_price": 1150.0,
                "mark": 1210.25,
                "method": "volatility",
                "beyond_stop": False,
                "reason": "",
            },
        ),
        "crowding": (
            {
                "kind": "symbol",
                "group": "SPX",
                "side": "long",
                "strategies": 2,
                "members": "swing, trend",
                "exposure_pct": 0.44,
            },
        ),
        "drift": (
            {
                "dimension": "template",
                "group": "reversion",
                "share": 0.16,
                "baseline": 0.34,
                "drift": -0.18,
                "baseline_sessions": 248,
            },
        ),
        "buckets": ({"bucket": "COMP", "symbols": "COMP, SPX", "size": 2, "same_direction_pct": 0.945, "tightness": 0.71},),
        "churn": (
            {
                "symbol": "MSFT",
                "churn": 0.91,
                "trades": 4,
                "flips": 0,
                "traded": 1_151_014.7,
                "fees": 115.09,
            },
        ),
        "execution": (
            {
                "measure": "holding_time",
                "playbook": "all",
                "unit": "bars",
                "expected": 2.5,
                "realised": 5.0,
                "low": 3.0,
                "high": 6.0,
                "n": 30,
                "drift": 0.5,
                "cusum": 3.9,
                "cusum_signal": True,
                "reason": "",
            },
        ),
        "failures": (
            {
                "failure_mode": "false_breakout",
                "template": "trend_continuation",
                "regime": "bull_vol_low",
                "side": "long",
                "cases": 3,
                "trades": 5,
                "share": 0.6,
                "baseline_share": 0.19,
                "p_adjusted": 0.03,
                "loss_share": 0.29,
                "members": "GOOG, SPX",
                "recurring": True,
                "reason": "",
            },
        ),
        "pnl_by_strategy": ({"strategy": "trend", "realised": 10.0, "unrealised": -4683.7, "income": 0.0, "fees": 0.0, "total": -4673.7},),
        "pnl_by_symbol": ({"symbol": "", "realised": 0.0, "unrealised": -4673.7, "income": 0.0, "fees": 0.0, "total": -4673.7},),
    }
    tables = {detail.name: detail.table.name for detail in DETAILS}
    return {name: Rows(table=tables.get(name, "pnl_attribution"), rows=held, total=len(held)) for name, held in {**rows, **more}.items()}


def diagnostics(**more: Section) -> dict[str, Section]:
    """Return a section of each diagnostic; those given instead of it."""
    made = {
        "heat": section(
            "portfolio_heat", {"heat": (0.0961, 0.0027, 0.04), "use": 1.6014, "cap": 0.06, "imputed_share": 0.25, "beyond_stop": 1}
        ),
        "correlation": section(
            "correlation_stacking",
            {"stack_ratio": (3.53, -0.07, 0.06), "stack_ratio_low": 2.82, "stack_ratio_high": 4.27, "effective_bets": None},
            null={"effective_bets": "hedged"},
        ),
        "turnover": section(
            "turnover_metrics",
            {"turnover_20": 4.597, "turnover_baseline": 3.1, "fills_20": 30, "fills_tail": 0.782, "cost_drag_bps": 4.59},
        ),
        "idle": section(
            "idle_capital",
            {"idle": 0.342, "setups": 18, "missed": 2, "missed_rate": 0.111, "rejection_rate": None},
            null={"rejection_rate": "no intents"},
        ),
        "calibration": section("calibration", {"n": 41, "confidence": 0.62, "hit_rate": 0.48, "gap": 0.14}),
    }
    return {**made, **more}


def report(**more: Any) -> PortfolioMonitorReport:
    given: dict[str, Any] = {
        "portfolio": "core",
        "day": DAY,
        "previous_session": DAY - timedelta(days=1),
        "week_session": DAY - timedelta(days=7),
        "session": 930,
        "mode": "paper",
        "base_currency": "USD",
        "policy": PolicyReference(name="default", version=1, hash="ab" * 32),
        "headline": section(
            "portfolio_equity",
            {
                "equity": (1_998_988.4182, -4673.7422, 0.0),
                "daily_return": -0.00233,
                "unit_value": (1.5383, -0.0036, -0.0108),
                "gross_exposure_pct": (1.3366, 0.2, 2e-16),
                "net_exposure_pct": (-0.05, -0.1, None),
                "open_positions": (1, 1.0, None),
                "sharpe_60": None,
            },
            null={"sharpe_60": "fewer than 60 daily returns"},
        ),
        "returns": Returns(week=-0.00697, month=0.021, quarter=0.1, year=None, start=0.538),
        "changes": (
            Change(
                kind="regime",
                severity="warning",
                sentence="Regime went from normal to risk_off.",
                evidence_ids=("drawdown_state/core/x/regime",),
            ),
            Change(kind="position", sentence="Opened long SPX by trend."),
        ),
        "alerts": (alert(),),
        "recommendation": recommendation(),
        "follow_ups": (
            FollowUp(kind="look", sentence="Look at the churn of MSFT.", monitor_only=True),
            FollowUp(kind="act", sentence="Open nothing new.", monitor_only=False),
        ),
        "sufficiency": Sufficiency(passed=107, failed=11, failures=(failure(),)),
        "drawdown": Drawdown(
            regime="risk_off",
            sessions_in_regime=0,
            transition="normal to risk_off: deep",
            room=None,
            next_regime="",
            section=section(
                "drawdown_state",
                {"drawdown": (0.1624, 0.0094, 0.0059), "under_water_days": (98, 1.0, None), "z_5": None},
                null={"z_5": "fewer than 25 sessions"},
            ),
        ),
        "concentration": (dimension("symbol"), dimension("template"), dimension("symbol", "risk")),
        "diagnostics": diagnostics(),
        "details": details(),
        "open_positions": 1,
        "data_quality": quality(),
    }
    return PortfolioMonitorReport(**{**given, **more})


def quality(**more: Any) -> DataQuality:
    given: dict[str, Any] = {
        "section": section("portfolio_equity", {"stale_positions": 0, "stale_exposure": 0.0}),
        "fresh_coverage": 1.0,
        "quarantined_on_day": 0,
        "quarantined_to_date": 0,
        "quarantined_undated": 0,
        "stale_marks": (),
        "findings": (),
    }
    return DataQuality(**{**given, **more})


def bare(**more: Any) -> PortfolioMonitorReport:
    """Return a report of a first session with nothing in it but equity."""
    given: dict[str, Any] = {
        "previous_session": None,
        "week_session": None,
        "changes": (),
        "alerts": (),
        "recommendation": None,
        "follow_ups": (),
        "returns": Returns(week=None, month=None, quarter=None, year=None, start=None),
        "sufficiency": Sufficiency(passed=0, failed=0, failures=()),
        "concentration": (),
        "diagnostics": {},
        "details": {},
        "open_positions": 0,
    }
    return report(**{**given, **more})


def hostile(text: str) -> PortfolioMonitorReport:
    """Return a report with a text in every field that may hold any."""
    bad = Section(of=text, values={"equity": (1.0, 1.0, None), "sharpe_60": (None, None, None), text: (1.0, None, None)}, reason=text)
    null = Section(of=text, values={"drawdown": (None, None, None), "hhi": (None, None, None)}, null={"hhi": text}, reason=text)
    found = [
        Concentration(dimension=name, basis=basis, section=held, largest=((text, 0.5, 1.0, 1.0, 0.5),), groups=3)
        for name in ("symbol", "template", text)
        for basis, held in (("gross", bad), ("risk", null), (text, null))
    ]
    part = {"strategy": text, "symbol": text, "code": text, "value": 1.0, "unit": text, "share": 0.5}
    told = {"rule": text, "scope": text, "metric": text, "comparison": text, "unit": text, "lookback": text, "gate_reason": text}
    told |= {"symbols": text, "trend": text, "previous": text, "cause": text, "sentence": text, "action": text, "transition": text}
    told |= {"alert_id": text}
    more: dict[str, Any] = {"contributors": (part,), "evidence_ids": (text,), "gate_passed": False}
    fired = alert(**told, **more)
    stored = content(reason=text, recommendation_id=text, supersedes=text)
    stored["adjustments"] = [{**stored["adjustments"][0], "kind": "symbol", "scope": text}]
    stored["withheld"] = [{**stored["withheld"][0], "because": text}]
    stored["withdrawn_if"] = [{**stored["withdrawn_if"][0], "sentence": text}]
    stored["missing"] = [{"metric": text, "scope": text, "sample_size": 1, "required": 6, "sessions_until": 3.0, "reason": text}]
    stored["rests_on"] = {"regime": text, "alert_ids": [text], "evidence_ids": [text]}
    kinds = ("alert", "regime", "position", "flow", "concentration", "high_water_mark", "data")
    return report(
        portfolio=text,
        mode=text,
        base_currency=text,
        policy=PolicyReference(name=text, version=1, hash=text),
        headline=bad,
        changes=tuple(Change(kind=kind, severity="critical", sentence=text, evidence_ids=(text,)) for kind in kinds),
        alerts=(
            fired,
            fired.model_copy(update={"severity": "critical", "gate_passed": True}),
            fired.model_copy(update={"inhibited_by": text}),
            fired.model_copy(update={"state": "resolved"}),
        ),
        recommendation=recommendation(recommendation_id=text, supersedes=text, content=stored),
        follow_ups=(FollowUp(kind="act", sentence=text, monitor_only=True, evidence_ids=(text,)),),
        sufficiency=Sufficiency(
            passed=1, failed=2, failures=(failure(metric=text, label=text, scope=text, gate=text, reason=text, evidence_id=text),)
        ),
        drawdown=Drawdown(regime=text, sessions_in_regime=2, transition=text, room=0.1, next_regime=text, section=null),
        concentration=tuple(found),
        diagnostics=dict.fromkeys(("heat", "correlation", "turnover", "idle", "calibration", text), bad),
        details=_hostile_details(text),
        open_positions=40,
        data_quality=quality(
            section=Section(of=text, values={"stale_positions": (1, None, None), text: (None, None, None)}, reason=text),
            quarantined_on_day=1,
            stale_marks=(text, text),
            findings=(text,),
        ),
    )


def _hostile_details(text: str) -> dict[str, Rows]:
    numbers = {"mark_age": 3, "cases": 3, "trades": 5, "strategies": 2, "n": 30}
    made = {}
    for name, held in details().items():
        row = {
            key: numbers.get(key, text) if isinstance(value, str) or key == "playbook" or key in numbers else value
            for key, value in held.rows[0].items()
        }
        row["mark_source"] = text
        made[name] = Rows(table=held.table, rows=(row,), total=9)
    return made | {text: Rows(table="positions", rows=({text: text},), total=1)}


def history(sessions: int, seed: int = 7) -> History:
    """Return a random walk with every regime, flows and some nulls."""
    random = np.random.default_rng(seed)
    days = [DAY - timedelta(days=sessions - 1 - back) for back in range(sessions)]
    unit = np.exp(np.cumsum(random.normal(0.0002, 0.012, sessions)))
    mark = np.maximum.accumulate(np.maximum(unit, 1.0)) if sessions else unit
    drawdown = 1.0 - unit / mark
    flow = np.zeros(sessions)
    flow[::300] = 100_000.0
    flow[150::300] = -50_000.0
    equity = unit * (1_000_000.0 + np.cumsum(flow))
    gross = np.abs(random.normal(1.0, 0.3, sessions))
    share = random.uniform(0.2, 1.0, sessions)
    made = History(
        portfolio="core",
        days=days,
        equity=equity,
        net_flow=flow,
        unit_value=unit,
        high_water_mark=mark,
        drawdown=drawdown,
        regime=["risk_off" if d > 0.10 else "probation" if d > 0.08 else "defensive" if d > 0.06 else "normal" for d in drawdown],
        gross_exposure_pct=gross,
        net_exposure_pct=gross - 0.8,
        effective_symbols=1.0 / share,
        top_symbol_share=share,
        top_template_share=np.minimum(1.0, share * 1.4),
    )
    return made


def with_nulls(made: History) -> History:
    """Return a history whose every series is null in all but its first session."""
    names = ("equity", "unit_value", "drawdown", "gross_exposure_pct", "net_exposure_pct")
    names += ("effective_symbols", "top_symbol_share", "top_template_share")
    return replace(made, **{name: np.where(np.arange(len(made)) == 0, getattr(made, name), math.nan) for name in names})


def lines(sessions: int, names: tuple[str, ...], seed: int = 7, limits: tuple[Limit, ...] = ()) -> Series:
    """Return lines between 0 and 2 over sessions, with some nulls."""
    random = np.random.default_rng(seed)
    days = [DAY - timedelta(days=sessions - 1 - back) for back in range(sessions)]
    columns = {name: np.abs(random.normal(0.5, 0.2, sessions)) for name in names}
    for values in columns.values():
        values[5:9] = math.nan
    return Series("core", days, columns, limits)


COLUMNS: dict[charts.ChartName, tuple[str, ...]] = {
    "heat": ("heat", "cap", "imputed_share"),
    "stack": ("stack_ratio", "stack_ratio_low", "stack_ratio_high"),
    "turnover": ("turnover_20", "turnover_baseline", "fills_20", "fills_usual"),
    "execution": ("realised", "low", "high", "expected"),
    "idle": ("idle", "missed_rate", "rejection_rate"),
    "calibration": ("hit_rate", "hit_low", "hit_high", "confidence"),
    "gates": ("census", "estimated", "capital", "skill"),
    "pnl": tuple(f"strategy {number}" for number in range(9)),
}


def matrix(symbols: tuple[str, ...] = ("COMP", "SPX", "AAPL"), together: int = 2) -> Matrix:
    """Return a matrix whose first symbols share a bucket."""
    count = len(symbols)
    values = np.full((count, count), -0.25) + np.eye(count) * 1.25
    values[:together, :together] = 1.0
    buckets = (symbols[:together], *((name,) for name in symbols[together:])) if count else ()
    return Matrix("core", DAY, symbols, values, tuple(buckets))


def data_of(name: charts.ChartName, sessions: int) -> Data:
    """Return what a chart shows of a portfolio with so many sessions."""
    if name in charts.HISTORY:
        return history(sessions)
    if name == "correlation":
        return matrix() if sessions else Matrix("core", None, (), np.empty((0, 0)), ())
    if name == "failures":
        modes = (Failure("false_breakout", 5, 3), Failure("no_follow_through", 1, 0))
        return Failures("core", DAY, modes) if sessions else Failures("core", None)
    limits = (Limit("warning", 2.0), Limit("critical", 3.0)) if name == "stack" else ()
    return lines(sessions, COLUMNS[name], limits=limits)


def page_data(sessions: int) -> dict[charts.ChartName, Data]:
    """Return what the charts of a page show."""
    return {name: data_of(name, sessions) for name in charts.PAGE}
