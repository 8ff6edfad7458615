"""Reports and histories made by hand, for tests of what is rendered from them."""

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from portfolio_platform.monitor.report import (
    Change,
    DataQuality,
    DimensionConcentration,
    Drawdown,
    Figure,
    GroupExposure,
    PolicyReference,
    PortfolioMonitorReport,
    Position,
)
from portfolio_platform.render.series import History

DAY = date(2024, 3, 14)


def figure(name: str, value: float | int | None, unit: str = "fraction", **more: Any) -> Figure:
    given = {"label": f"Label of {name}", "evidence_id": f"portfolio_equity/core/{DAY}/{name}", **more}
    return Figure(name=name, value=value, unit=unit, **given)


def position(**more: Any) -> Position:
    given: dict[str, Any] = {
        "strategy": "trend",
        "symbol": "SPX",
        "currency": "USD",
        "direction": "long",
        "quantity": "1234.50",
        "average_cost": 1200.5,
        "mark": 1210.25,
        "mark_source": "bar",
        "mark_age": 0,
        "market_value_base": 1_494_053.6,
        "exposure_pct": 0.747,
        "unrealised_pnl": 12036.4,
        "stop_price": None,
        "template": "trend_continuation",
        "playbook": None,
        "evidence_id": f"ledger_snapshots/core/{DAY}/trend/SPX/USD/market_value_base",
    }
    return Position(**{**given, **more})


def dimension(name: str = "symbol", **more: Any) -> DimensionConcentration:
    group = GroupExposure(
        group="SPX", share=0.6, exposure=1_494_053.6, net_exposure=1_494_053.6, exposure_pct=0.747, evidence_id=f"groups/core/{DAY}/SPX"
    )
    given: dict[str, Any] = {
        "dimension": name,
        "basis": "gross",
        "figures": (figure("effective_n", 2.25, "count", change_day=-0.65), figure("cr1", 0.6, change_day=0.1)),
        "top": (group,),
        "groups": 4,
    }
    return DimensionConcentration(**{**given, **more})


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
        "headline": (
            figure("equity", 1_998_988.4182, "base currency", change_day=-4673.7422, change_week=0.0),
            figure("daily_return", -0.00233),
            figure("unit_value", 1.5383, "1", change_day=-0.0036, change_week=-0.0108),
            figure("gross_exposure_pct", 1.3366, change_day=0.2, change_week=2e-16),
            figure("net_exposure_pct", -0.05, change_day=-0.1),
            figure("open_positions", 1, "count", change_day=1.0),
            figure("sharpe_60", None, "1", reason="fewer than 60 daily returns"),
        ),
        "changes": (
            Change(kind="regime", sentence="Regime went from normal to risk_off.", evidence_ids=("drawdown_state/core/x/regime",)),
            Change(kind="position", sentence="Opened long SPX by trend."),
        ),
        "drawdown": Drawdown(
            regime="risk_off",
            sessions_in_regime=0,
            transition="normal to risk_off: deep",
            figures=(
                figure("drawdown", 0.1624, change_day=0.0094, change_week=0.0059),
                figure("under_water_days", 98, "count", change_day=1.0),
                figure("z_5", None, "sigma", reason="fewer than 25 sessions"),
            ),
        ),
        "concentration": (dimension("symbol"), dimension("template")),
        "open_positions": 1,
        "positions": (position(),),
        "data_quality": DataQuality(
            figures=(
                figure("fresh_coverage", 1.0),
                figure("stale_positions", 0, "count"),
                figure("quarantined_to_date", 0, "count"),
                figure("quarantined_undated", 0, "count"),
            ),
            stale_marks=(),
            findings=(),
        ),
    }
    return PortfolioMonitorReport(**{**given, **more})


def hostile(text: str) -> PortfolioMonitorReport:
    """Return a report with a text in every field that may hold any."""
    bad = figure("equity", 1.0, "base currency", label=text, evidence_id=text)
    unknown = figure("sharpe_60", None, text, label=text, reason=text, evidence_id=text)
    group = GroupExposure(group=text, share=0.5, exposure=1.0, net_exposure=1.0, exposure_pct=0.5, evidence_id=text)
    found = [
        dimension(name, dimension=name, basis=text, reason=text, top=(group,), figures=(bad, unknown))
        for name in ("symbol", "template", text)
    ]
    held = position(
        strategy=text,
        symbol=text,
        currency=text,
        quantity=text,
        mark_source=text,
        mark_age=3,
        template=text,
        playbook=text,
        evidence_id=text,
    )
    return report(
        portfolio=text,
        mode=text,
        base_currency=text,
        policy=PolicyReference(name=text, version=1, hash=text),
        headline=(bad, unknown, figure("odd", 1.0, text, label=text)),
        changes=tuple(
            Change(kind=kind, sentence=text, evidence_ids=(text,))
            for kind in ("regime", "position", "flow", "concentration", "high_water_mark", "data")
        ),
        drawdown=Drawdown(
            regime=text, sessions_in_regime=2, transition=text, reason=text, figures=(figure("drawdown", None, label=text, reason=text),)
        ),
        concentration=tuple(found),
        open_positions=40,
        positions=(held,),
        data_quality=DataQuality(
            figures=(figure("stale_positions", 1, "count", label=text), unknown), stale_marks=(text, text), findings=(text,)
        ),
    )


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
