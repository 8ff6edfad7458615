"""The definitions: they load in a fresh process, lightly, and every asset says what it is."""

import subprocess
import sys

import dagster as dg
import pytest

from portfolio_platform.definitions import build_definitions
from portfolio_platform.home import Home

LEDGER = {"fills", "cash_flows", "bars", "instruments", "ledger_snapshots", "portfolio_equity", "round_trips"}
HEAVY = ("pandas", "numpy", "pyarrow", "numba", "scipy", "matplotlib", "deltalake", "great_expectations", "exchange_calendars")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[dg.AssetSpec]:
    definitions = build_definitions(Home(tmp_path_factory.mktemp("nowhere")))
    return list(definitions.resolve_all_asset_specs())


def test_the_code_location_loads_in_a_fresh_process_without_heavy_libraries(tmp_path):
    code = f"import sys, portfolio_platform.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"
    environment = {"PATH": "", "PORTFOLIO_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_loading_the_code_location_creates_nothing(tmp_path):
    build_definitions(Home(tmp_path / "home"))
    assert list(tmp_path.iterdir()) == []


def test_every_asset_has_description_owner_group_kinds_and_schema(specs):
    for spec in specs:
        assert spec.description and len(spec.description) > 20, spec.key
        assert list(spec.owners), spec.key
        assert spec.group_name in {"ledger", "signals", "diagnostics", "monitor", "control", "instruments", "orchestration"}, spec.key
        assert spec.kinds, spec.key
        schema = spec.metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns), spec.key


def test_the_groups_hold_the_assets_of_the_design(specs):
    by_group: dict[str, set[str]] = {}
    for spec in specs:
        by_group.setdefault(spec.group_name or "", set()).add(spec.key.to_user_string())
    assert by_group["ledger"] >= LEDGER | {"pnl_attribution"}
    assert by_group["signals"] == {"signals", "intents", "playbook_expectations", "signal_outcomes", "playbook_statistics"}
    assert by_group["diagnostics"] == {
        *("portfolio_heat", "concentration_metrics", "correlation_stacking", "drawdown_state", "turnover_metrics"),
        *("execution_profile", "idle_capital", "failure_modes", "sample_sufficiency", "day_inputs"),
    }
    assert by_group["monitor"] == {"monitor_reports", "recommendations", "alerts", "weekly_reflections", "monthly_reflections"}
    assert by_group["control"] == {"allocation_decisions", "constraint_envelopes", "limit_utilisation", "control_audit"}
    assert by_group["instruments"] == {"screener_candidates", "instrument_states", "paper_ledger"}
    assert by_group["orchestration"] == {"rebalancing_directives", "trade_list", "dry_run", "trade_recommendations", "execution_log"}


def test_the_groups_form_no_loop(specs):
    rank = {"ledger": 0, "signals": 1, "diagnostics": 2, "monitor": 3, "control": 4, "instruments": 5, "orchestration": 6}
    group = {spec.key: spec.group_name for spec in specs}
    for spec in specs:
        for dep in spec.deps:
            assert rank[group[dep.asset_key]] <= rank[spec.group_name], f"{spec.key} depends on {dep.asset_key}"


def test_reports_are_daily_partitions_backfilled_in_one_run(tmp_path):
    definitions = build_definitions(Home(tmp_path))
    node = definitions.resolve_asset_graph().get(dg.AssetKey("monitor_reports"))
    assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition)
    assert node.backfill_policy == dg.BackfillPolicy.single_run()


def test_every_job_schedule_and_sensor_says_what_it_is_for(tmp_path):
    definitions = build_definitions(Home(tmp_path))
    assert {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")} == {
        *("refresh", "daily_monitor", "publish_reports", "weekly_reflection", "monthly_reflection"),
        *("control_cycle", "daily_audit", "orchestrate", "set_mode", "flatten_only", "override_limit", "release"),
        *("acknowledge", "silence", "resolve", "approve", "reject", "restate", "deliver_alerts", "advance_instruments"),
    }
    for thing in (*definitions.schedules, *definitions.sensors):
        assert thing.description and len(thing.description) > 20


def test_each_fact_of_the_ledger_has_a_blocking_check(tmp_path):
    graph = build_definitions(Home(tmp_path)).resolve_asset_graph()
    names = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    for fact in ("fills", "cash_flows", "bars", "instruments", "portfolios", "fx_rates", "corporate_actions", "signals", "intents"):
        assert (fact, "expectations") in names
    audited = {"chain_verifies", "replay_equals", "reservations_reconcile"}
    assert {name for asset, name in names if asset == "control_audit"} == audited
    names = {(asset, name) for asset, name in names if asset != "control_audit"}
    assert {name for _, name in names} == {"expectations", "cash_identity", "nav_identity", "pnl_identity", "sample_gates"}
    blocking = {key.name: graph.get_check_spec(key).blocking for key in graph.asset_check_keys if key.name not in audited}
    assert blocking.pop("sample_gates") is False  # a small sample stops nothing
    assert all(blocking.values())
