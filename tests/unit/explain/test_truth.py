"""What an explanation shows is what the number was made from: the parts add up to it."""

import math
import statistics
from datetime import date
from typing import Any

import pytest

from portfolio_platform.explain.cells import EXPLAINERS, cell
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.opportunity import cases_of, resolved_of, setups_of, trades_of
from portfolio_platform.explain.tables.trading import OF_TRIP, observed_orders, of_percentile, trips_of
from portfolio_platform.explain.tree import Draft, Node, grown
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table

DAY, EVERYTHING = date(2010, 12, 31), 10_000
PORTFOLIOS = ("core", "macro")
DAYS = (date(2007, 3, 16), date(2008, 10, 13), DAY)


@pytest.fixture(scope="module")
def of(sample_home: Home) -> Sources:
    return Sources(sample_home)


def rows(of: Sources, table: Table) -> list[Row]:
    """Return the rows of both portfolios on a few days."""
    return [row for portfolio in PORTFOLIOS for day in DAYS for row in of.rows(table, portfolio, day, day)]


def parts(of: Sources, row: Row, column: str, depth: int = 2) -> Node:
    return grown(cell(of, row, column), depth, EVERYTHING)


def child(node: Node, title: str) -> Node:
    return next(found for found in node.children if title in found.title)


def total(node: Node) -> float:
    return math.fsum(float(found.value) for found in node.children if isinstance(found.value, (int, float)))


def near(one: Any, other: Any) -> bool:
    return math.isclose(float(one), float(other), rel_tol=1e-9, abs_tol=1e-9)


def test_equity_is_the_cash_and_the_positions_shown(of: Sources) -> None:
    for row in rows(of, derived.PORTFOLIO_EQUITY):
        assert near(total(parts(of, row, "equity")), row["equity"])
        assert near(total(child(parts(of, row, "cash"), "by currency")), row["cash"])
        assert near(total(child(parts(of, row, "market_value"), "positions")), row["market_value"])
        assert near(total(child(parts(of, row, "long_exposure"), "positions")), row["long_exposure"])
        assert len(child(parts(of, row, "open_positions"), "positions").children) == row["open_positions"]


def test_a_return_follows_from_the_equity_before_and_the_flow_shown(of: Sources) -> None:
    for row in rows(of, derived.PORTFOLIO_EQUITY):
        node = parts(of, row, "daily_return")
        before, flow = child(node, "session before").value, child(node, "net flow").value
        assert isinstance(before, float) and isinstance(flow, float)
        assert near(row["equity"] / (before + flow) - 1.0, row["daily_return"])


def test_the_flow_of_a_deposit_shows_the_deposit(of: Sources) -> None:
    row = of.row(derived.PORTFOLIO_EQUITY, "core", date(2009, 8, 3))
    assert row is not None and row["net_flow"] == 150_000.0
    assert "deposit of 150,000" in child(parts(of, row, "net_flow"), "flows").children[0].words


def test_cash_is_what_its_movements_add_up_to(of: Sources) -> None:
    for row in rows(of, derived.CASH_BALANCES):
        node = parts(of, row, "cash", 1)
        flows, income, trades, fees = (float(found.value) for found in node.children)  # type: ignore[arg-type]
        assert near(flows + income + trades - fees, row["cash"])


def test_a_position_shows_exactly_its_fills(of: Sources) -> None:
    for row in rows(of, derived.LEDGER_SNAPSHOTS):
        fills = EXPLAINERS["ledger_snapshots"](of, row, "quantity")
        shown = [found for draft in fills if draft.title == "fills of the position" for found in draft.parts()]
        signed = 0.0
        for line in shown:
            side, quantity = line.words.split(f"{row['strategy']} ")[1].split()[:2]
            signed += float(quantity.replace(",", "")) * (1 if side == "buy" else -1)
        assert math.isclose(signed, float(row["quantity"]), rel_tol=1e-6, abs_tol=1e-6)


def test_heat_is_the_risks_shown_over_equity(of: Sources) -> None:
    for row in rows(of, derived.PORTFOLIO_HEAT):
        assert near(total(child(parts(of, row, "active_risk"), "positions")), row["active_risk"])
        assert len(child(parts(of, row, "beyond_stop"), "beyond").children) == row["beyond_stop"]
        assert len(child(parts(of, row, "imputed_positions"), "imputed").children) == row["imputed_positions"]


def test_the_stop_shown_is_that_of_the_fill_that_set_it(of: Sources) -> None:
    seen = 0
    for row in rows(of, derived.POSITION_RISK):
        if row["imputed"]:
            continue
        fill = child(parts(of, row, "risk"), "the fill that set the stop").children[0]
        seen += 1
        assert near(fill.words.split("stop ")[1].split(";")[0].replace(",", ""), row["stop_price"])
    assert seen > 5


def test_an_imputed_risk_shows_its_deviation_and_its_hold(of: Sources) -> None:
    imputed = [row for row in of.rows(derived.POSITION_RISK, "macro", date(2007, 1, 1), DAY) if row["method"] == "volatility"]
    assert imputed
    row = imputed[0]
    node = parts(of, row, "risk", 1)
    sigma, hold, sigmas = (float(child(node, name).value) for name in ("sigma", "hold days", "heat.sigmas"))  # type: ignore[arg-type]
    assert near(min(abs(row["exposure"]), sigmas * sigma * math.sqrt(hold) * abs(row["exposure"])), row["risk"])


def test_a_group_is_the_lots_shown(of: Sources) -> None:
    for row in rows(of, derived.CONCENTRATION_GROUPS):
        if row["basis"] == "gross":
            lots = child(parts(of, row, "exposure"), "lots").children
            assert near(math.fsum(abs(float(lot.value)) for lot in lots), row["exposure"])  # type: ignore[arg-type]


def test_an_hhi_is_the_sum_of_the_squares_of_the_shares_shown(of: Sources) -> None:
    for row in rows(of, derived.CONCENTRATION_METRICS):
        if row["hhi"] is not None:
            shares = [float(group.value) for group in child(parts(of, row, "hhi"), "groups").children]  # type: ignore[arg-type]
            assert near(math.fsum(share * share for share in shares), row["hhi"])


def test_a_drift_is_the_means_of_the_windows_shown(of: Sources) -> None:
    for row in rows(of, derived.CONCENTRATION_DRIFT):
        if row["share"] is not None:
            assert near(total(parts(of, row, "share").children[0]) / row["sessions"], row["share"])
        if row["baseline"] is not None:
            assert near(total(parts(of, row, "baseline").children[0]) / row["baseline_sessions"], row["baseline"])


def test_the_mark_shown_is_the_high_water_mark(of: Sources) -> None:
    for row in rows(of, derived.DRAWDOWN_STATE):
        mark = parts(of, row, "high_water_mark", 1).children[0]
        assert near(mark.value, row["high_water_mark"]) or row["high_water_mark"] == 1.0
        assert len(parts(of, row, "under_water_days").children[1].children) == row["under_water_days"]


def test_a_velocity_shows_the_drawdown_it_is_taken_against(of: Sources) -> None:
    for row in rows(of, derived.DRAWDOWN_STATE):
        then = parts(of, row, "velocity_5", 1).children[1]
        assert near((row["drawdown"] - float(then.value)) / 5.0, row["velocity_5"])  # type: ignore[arg-type]


def test_turnover_is_the_sum_of_the_sessions_shown(of: Sources) -> None:
    for row in rows(of, derived.TURNOVER_METRICS):
        assert near(total(parts(of, row, "turnover_20").children[0]), row["turnover_20"])
        for name in ("fills", "trades", "trips"):
            assert total(parts(of, row, f"{name}_20").children[0]) == row[f"{name}_20"]
            if row["baseline_sessions"]:
                assert total(parts(of, row, f"{name}_baseline").children[0]) == row[f"{name}_baseline"]


def test_churn_is_what_was_bought_and_sold(of: Sources) -> None:
    for row in rows(of, derived.SYMBOL_CHURN):
        node = parts(of, row, "churn", 1)
        bought, sold = float(child(node, "bought").value), float(child(node, "sold").value)  # type: ignore[arg-type]
        assert near(bought + sold, row["traded"]) and near(2.0 * min(bought, sold) / (bought + sold), row["churn"])


def test_a_profile_is_the_median_of_the_observations_shown(of: Sources) -> None:
    seen = set()
    for row in rows(of, derived.EXECUTION_PROFILE):
        if row["realised"] is None or not row["n"]:
            continue
        measure = row["measure"]
        if measure in OF_TRIP:
            values = [float(trip[OF_TRIP[measure]]) for trip in trips_of(of, row)]
        else:
            values = [value for _, value in observed_orders(of, row)]
        assert len(values) == row["n"], row.id()
        if measure == "win_rate":
            assert near(sum(value > 0.0 for value in values) / len(values), row["realised"])
        else:
            assert math.isclose(statistics.median(values), row["realised"], rel_tol=1e-6, abs_tol=1e-6), row.id()
        seen.add(measure)
    assert seen >= {"slippage", "holding_time", "mae", "mfe", "win_rate", "fill_ratio", "fill_time"}


def test_a_percentile_is_that_of_the_observations_shown_which_may_be_more_than_the_windows(of: Sources) -> None:
    further = 0
    for row in rows(of, derived.EXECUTION_PROFILE):
        if row["p90"] is None:
            continue
        wider = of_percentile(of, row)
        if row["measure"] in OF_TRIP:
            values = [float(trip[OF_TRIP[row["measure"]]]) for trip in trips_of(of, wider)]
        else:
            values = [value for _, value in observed_orders(of, wider)]
        assert len(values) == wider["n"] == 36
        tenth = statistics.quantiles(values, n=10, method="inclusive")[-1]
        assert math.isclose(tenth, row["p90"], rel_tol=1e-6, abs_tol=1e-6), row.id()
        further += wider["n"] > row["n"]
    assert further > 20


def test_setups_missed_and_intents_are_those_shown(of: Sources) -> None:
    for row in rows(of, derived.IDLE_CAPITAL):
        assert len(setups_of(of, row)) == row["setups"]
        assert len(parts(of, row, "rejection_rate").children[0].children) == row["recent_intents"]
        assert len(parts(of, row, "recent_rejected").children[0].children) == row["recent_rejected"]
        if row["intents_baseline"]:
            assert len(parts(of, row, "rejection_baseline").children[0].children) == row["intents_baseline"]


def test_failures_are_the_cases_and_trades_shown(of: Sources) -> None:
    for row in rows(of, derived.FAILURE_MODES):
        assert len(cases_of(of, row)) == row["cases"] and len(trades_of(of, row)) == row["trades"]
        assert len(cases_of(of, row, "baseline_cases")) == row["baseline_cases"]
        assert len(trades_of(of, row, "baseline_trades")) == row["baseline_trades"]


def test_a_record_is_the_signals_shown(of: Sources) -> None:
    found = [row for portfolio in PORTFOLIOS for row in of.rows(derived.PLAYBOOK_STATISTICS, portfolio, date(2010, 12, 1), DAY)]
    assert found
    for row in found:
        results = [item["r_achieved"] for item in resolved_of(of, row)]
        assert len(results) == row["n"] and near(statistics.fmean(results), row["average_r"])


def test_a_trade_shows_the_fills_from_its_opening_to_its_closing(of: Sources) -> None:
    for row in of.rows(derived.ROUND_TRIPS, "core", date(2010, 12, 1), DAY, method="flat_to_flat"):
        fills = [draft.evidence_id for draft in _fills(of, row)]
        assert fills[0].endswith(row["opening_row_id"].replace("|", "%7C")) and fills[-1].endswith(
            row["closing_row_id"].replace("|", "%7C")
        )


def _fills(of: Sources, row: Row) -> list[Draft]:
    drafts = list(EXPLAINERS["round_trips"](of, row, "fees"))
    return list(drafts[-1].parts())


@pytest.mark.parametrize(
    "table", [table for table in derived.DERIVED.values() if {"day", "portfolio"} <= set(table.key)], ids=lambda t: t.name
)
def test_every_column_of_every_table_can_be_followed(of: Sources, table: Table) -> None:
    for row in rows(of, table)[-4:]:
        for column in table.column_names:
            if column not in ("month", *table.key):
                node = parts(of, row, column, 3)
                assert node.words and node.title


def test_idle_is_the_mean_unused_share_of_the_sessions_shown(of: Sources) -> None:
    for row in rows(of, derived.IDLE_CAPITAL):
        if row["idle"] is not None:
            shown = [max(0.0, 1.0 - float(found.value)) for found in parts(of, row, "idle").children[0].children]  # type: ignore[arg-type]
            assert len(shown) == row["sessions"] and near(statistics.fmean(shown), row["idle"])
