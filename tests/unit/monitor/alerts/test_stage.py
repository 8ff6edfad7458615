"""The stages over a lake: a range equals its days one by one, through what is stored; only what is asked for is read."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from portfolio_platform.errors import DataProblem
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan, Progress, write_progress
from portfolio_platform.monitor.pipeline import alerts, recommendations
from portfolio_platform.policy.assigned import assigned_policies
from portfolio_platform.stage import build_stage
from tests.unit.monitor.alerts.frames import FIRST, day, metric_row, table

SESSIONS = 24
CLOSE = "[alerts.rules.symbol_exposure]\nwarning = 0.3\ncritical = 0.45\nleave = 0.9\nleave_sessions = 2\ncool_down = 1\n"


def rows_of(table_of, rows):
    """Rows with every declared column; what is not said is null."""
    names = table_of.column_names
    return pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows], schema=table_of.arrow_schema())


def fill(home):
    """Sessions in which heat, drawdown and one symbol come and go."""
    home.remember_first_day(FIRST)
    (home.policies / "default.toml").write_text(CLOSE)
    equity, drawdown, metrics, pnl, lots = [], [], [], [], []
    for number in range(1, SESSIONS + 1):
        month = day(number).isoformat()[:7]
        at = {"day": day(number), "portfolio": "core", "month": month}
        deep = 0.02 * (number % 9)
        equity.append(at | {"session": number - 1, "equity": 1000.0, "gross_exposure": 500.0})
        regime = "risk_off" if 12 <= number <= 18 else "defensive" if 8 <= number <= 22 else "normal"
        drawdown.append(at | {"drawdown": deep, "under_water_days": number % 9, "regime": regime, "reason": ""})
        metrics += [
            metric_row("core", number, "drawdown", "", None if number == 14 else deep),
            metric_row("core", number, "heat_use", "", 0.6 + 0.1 * (number % 6)),
            metric_row("core", number, "size_multiplier", "", {"risk_off": 0.0, "defensive": 0.5, "normal": 1.0}[regime]),
            metric_row("core", number, "skill_gate", "", 0.5, passed=False, reason="10 of 300", sample_size=10, required=300),
        ]
        if number % 7:
            metrics.append(metric_row("core", number, "symbol_exposure", "AAPL", 0.1 * (number % 7)))
            lots.append(
                at | {"strategy": "trend", "symbol": "AAPL", "template": "t", "playbook": "p", "market_value_base": 50.0 * (number % 7)}
            )
        pnl.append(at | {"strategy": "trend", "symbol": "AAPL", "component": "position", "total": -1.0 * number})
    with home.lake.writing():
        for name, rows in ((derived.PORTFOLIO_EQUITY, equity), (derived.DRAWDOWN_STATE, drawdown), (derived.PNL_ATTRIBUTION, pnl)):
            home.lake.replace_from(name, FIRST, rows_of(name, rows))
        home.lake.replace_from(derived.LOT_EXPOSURES, FIRST, rows_of(derived.LOT_EXPOSURES, lots))
        home.lake.replace_from(derived.SAMPLE_SUFFICIENCY, FIRST, table(metrics))


@pytest.mark.parametrize("step", [1, 5])
def test_days_built_one_after_another_equal_the_range(home, step):
    fill(home)
    policies, last = assigned_policies(home), day(SESSIONS)
    stages = ((alerts, derived.ALERT_STATES), (recommendations, derived.RECOMMENDATION_STATES))
    for module, stored in stages:
        whole = module.compute(home, policies, Plan(FIRST, last, 1, {}))[stored]
        until = FIRST - timedelta(days=1)
        while until < last:
            first, until = until + timedelta(days=1), min(last, until + timedelta(days=step))
            part = module.compute(home, policies, Plan(first, until, 1, {}))[stored]
            with home.lake.writing():
                home.lake.replace_from(stored, first, part)
        order = [(name, "ascending") for name in stored.key]
        found = home.lake.read(stored).sort_by(order).to_pylist()
        assert found == whole.sort_by(order).to_pylist()
        assert len(found) >= SESSIONS
    rules = set(home.lake.read(derived.ALERT_STATES)["rule"].to_pylist())
    assert rules == {"drawdown", "drawdown_regime", "heat", "symbol_exposure"}
    statuses = set(home.lake.read(derived.RECOMMENDATION_STATES)["status"].to_pylist())
    assert {"issued", "standing"} <= statuses


def test_contributors_come_from_the_tables_behind_the_metric(home):
    fill(home)
    found = alerts.compute(home, assigned_policies(home), Plan(FIRST, day(SESSIONS), 1, {}))[derived.ALERT_STATES].to_pylist()
    (drawdown,) = [row for row in found if row["rule"] == "drawdown" and row["day"] == day(4)]
    # since the start: sessions 1 to 4 lost 1 + 2 + 3 + 4
    assert drawdown["contributors"] == '[{"share":1.0,"strategy":"trend","unit":"base currency","value":-10.0}]'
    assert drawdown["symbols"] == "AAPL"
    (later,) = [row for row in found if row["rule"] == "drawdown" and row["day"] == day(13)]
    # session 9 is at the mark: 10 + 11 + 12 + 13 after it
    assert '"value":-46.0' in later["contributors"]
    (symbol,) = [row for row in found if row["rule"] == "symbol_exposure" and row["day"] == day(3)]
    assert '"value":150.0' in symbol["contributors"]


def test_a_rule_that_does_not_page_has_alerts_that_nobody_is_told(home):
    fill(home)
    found = alerts.compute(home, assigned_policies(home), Plan(FIRST, day(SESSIONS), 1, {}))[derived.ALERT_STATES].to_pylist()
    paging = {rule: [row["pages"] for row in found if row["rule"] == rule] for rule in ("heat", "drawdown")}
    assert paging["heat"] and not any(paging["heat"]) and any(paging["drawdown"])


def test_the_stages_run_after_what_they_read(home):
    fill(home)
    for name in ("sufficiency", "attribution", "drawdown"):
        with home.lake.writing():
            write_progress(home.lake, Progress(name, day(SESSIONS), FIRST, 1, assigned_policies(home).hash))
    assert build_stage(home, recommendations.STAGE).changed_from is None  # alerts are not built yet
    assert build_stage(home, alerts.STAGE).rows["alert_states"] > 0
    assert build_stage(home, recommendations.STAGE).rows["recommendation_states"] == SESSIONS
    assert build_stage(home, alerts.STAGE).changed_from is None


def test_a_rule_about_a_metric_that_there_is_not_is_refused_with_its_name(home):
    fill(home)
    text = '[alerts.rules.mine]\nmetric = "heat_usage"\nwarning = 1\nlookback = "session"\nsentence = "."\naction = "."\n'
    (home.policies / "default.toml").write_text(text)
    with pytest.raises(DataProblem, match=r"rule 'mine' looks at metric 'heat_usage'"):
        alerts.compute(home, assigned_policies(home), Plan(FIRST, day(3), 1, {}))


def test_a_lake_without_sessions_has_no_alerts(home):
    found = alerts.compute(home, assigned_policies(home), Plan(date(2010, 1, 1), date(2010, 12, 31), 1, {}))[derived.ALERT_STATES]
    assert len(found) == 0
    empty = recommendations.compute(home, assigned_policies(home), Plan(date(2010, 1, 1), date(2010, 12, 31), 1, {}))
    assert len(empty[derived.RECOMMENDATION_STATES]) == 0
