"""The stored tables of the sample against a second computation of every diagnostic, written from the specification.

Both start at the same files, and share neither code nor data in between: `second_look` reads the raw CSV with pandas and loops.
What is compared is the same in every run: sessions drawn by a seed, those at the edges of windows that are not full yet, and those
on which the sample's README says that something happened, some 30 of each portfolio. Figures agree to 1e-9 relative, or to 1e-12 near zero.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from tests.peers.second_look import drawdown, execution, failures, gates, idle, outcomes, risk, stacking, trading
from tests.peers.second_look.book import Book, book, raw

PORTFOLIOS = ("core", "macro")
INCIDENTS = {
    "core": (
        *("2007-09-07", "2008-01-14", "2008-05-30", "2008-09-29", "2008-10-13", "2008-11-14", "2009-03-30", "2009-06-30"),
        *("2009-07-31", "2009-08-03", "2009-09-21", "2009-12-01", "2010-05-03", "2010-09-13", "2010-12-31"),
    ),
    "macro": (
        *("2007-11-13", "2008-09-22", "2008-09-26", "2008-10-05", "2008-10-13", "2009-05-17", "2009-10-23", "2010-03-31"),
        *("2010-04-30", "2010-08-02", "2010-09-23", "2010-12-31"),
    ),
}
EDGES = (0, 1, 18, 19, 20, 21, 59, 60, 149, 150, 268, 269, 270)


class Stored:
    """The platform's tables by portfolio and day, each read once."""

    def __init__(self, home: Home) -> None:
        """Remember the home."""
        self.home = home
        self.tables: dict[str, dict[tuple[str, pd.Timestamp], pd.DataFrame]] = {}

    def table(self, table: Table) -> pd.DataFrame:
        """Return a whole table."""
        rows = self.home.lake.read(table).to_pandas()
        return rows.assign(day=pd.to_datetime(rows["day"]))

    def rows(self, table: Table, portfolio: str, day: pd.Timestamp) -> pd.DataFrame:
        """Return a portfolio's rows of a day."""
        if table.name not in self.tables:
            whole = self.table(table)
            self.tables[table.name] = dict(list(whole.groupby(["portfolio", "day"])))
            self.tables[table.name]["", pd.Timestamp.min] = whole.iloc[:0]
        found = self.tables[table.name]
        return found.get((portfolio, day), found["", pd.Timestamp.min])

    def row(self, table: Table, portfolio: str, day: pd.Timestamp) -> pd.Series:
        """Return a portfolio's one row of a day."""
        rows = self.rows(table, portfolio, day)
        assert len(rows) == 1
        return rows.iloc[0]


@pytest.fixture(scope="module")
def stored(sample_home: Home) -> Stored:
    return Stored(sample_home)


def drawn(mine: Book, seed: int, count: int = 13, edges: tuple[int, ...] = EDGES[:6]) -> list[int]:
    """Return sessions of a portfolio: drawn by a seed, the edges of windows, and the README's days."""
    random = np.random.default_rng(seed).choice(len(mine.sessions), count, replace=False).tolist()
    named = [int(mine.sessions.searchsorted(pd.Timestamp(day))) for day in INCIDENTS[mine.name]]
    return sorted({*random, *named, *edges})


def assert_same(expected: Mapping[str, Any], row: Any, where: Any, tolerance: float = 1e-9) -> None:
    """Compare each figure of the second look with the stored one of the same name."""
    for name, value in expected.items():
        ours = row[name] if isinstance(row, pd.Series) else getattr(row, name)
        if isinstance(value, str):
            assert ours == value, (where, name, ours, value)
        else:
            number = np.nan if ours is None or ours is pd.NA else float(ours)
            same = np.isclose(number, float(value), rtol=tolerance, atol=1e-12, equal_nan=True)
            assert same, (where, name, number, float(value))


def sampled(rows: pd.DataFrame, seed: int, count: int) -> Iterable[Any]:
    """Return rows of a table, drawn by a seed."""
    return rows.sort_values([name for name in ("portfolio", "day") if name in rows]).sample(count, random_state=seed).itertuples()


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_ledger_and_equity_of_every_session_are_those_of_a_plain_replay(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    theirs = stored.table(derived.PORTFOLIO_EQUITY)
    theirs = theirs[theirs["portfolio"] == portfolio].sort_values("day")
    assert list(mine.sessions) == list(theirs["day"])
    for name in ("cash", "equity", "returns", "units", "flow"):
        column = {"returns": "daily_return", "units": "unit_value", "flow": "net_flow"}.get(name, name)
        np.testing.assert_allclose(theirs[column].to_numpy(float), getattr(mine, name), rtol=1e-9, atol=1e-12, err_msg=column)
    for session in drawn(mine, 1):
        for row in stored.rows(derived.LEDGER_SNAPSHOTS, portfolio, mine.sessions[session]).itertuples():
            position = mine.states[session][row.strategy, row.symbol]
            mark, age = mine.mark(row.symbol, row.day)
            cost = position.cost if position.quantity else np.nan
            figures = {"quantity": position.quantity, "average_cost": cost, "mark": mark, "mark_age": age, "stop_price": position.stop}
            assert_same(figures | {"realised_pnl": position.realised, "fees": position.fees}, row, (row.day, row.symbol))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_heat_and_risk_of_each_position_are_those_of_the_second_look(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    for session in drawn(mine, 2):
        day = mine.sessions[session]
        assert_same(risk.heat(mine, session), stored.row(derived.PORTFOLIO_HEAT, portfolio, day), day)
        rows, found = stored.rows(derived.POSITION_RISK, portfolio, day), risk.risks(mine, session)
        assert len(rows) == len(found)
        for row in rows.itertuples():
            assert_same(found[row.strategy, row.symbol], row, (day, row.strategy, row.symbol))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_concentration_of_each_dimension_is_that_of_the_second_look(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    for session in drawn(mine, 3, 8):
        day = mine.sessions[session]
        rows = stored.rows(derived.CONCENTRATION_METRICS, portfolio, day)
        assert len(rows) == 12
        for row in rows.itertuples():
            assert_same(risk.concentration(mine, session, row.dimension, row.basis), row, (day, row.dimension, row.basis))
        for row in stored.rows(derived.CONCENTRATION_GROUPS, portfolio, day).itertuples():
            amount, net = risk.shares(mine, session, row.dimension, row.basis)[row.group]
            assert_same({"exposure": amount, "net_exposure": net}, row, (day, row.dimension, row.basis, row.group))


def test_concentration_drift_has_disjoint_windows_of_20_and_250_sessions(stored: Stored) -> None:
    for row in sampled(stored.table(derived.CONCENTRATION_DRIFT), 4, 8):
        mine = book(row.portfolio)
        assert_same(risk.drift(mine, mine.at[row.day], row.dimension, row.group), row, (row.portfolio, row.day, row.group))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_crowding_counts_the_strategies_on_a_side_as_the_second_look_does(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    for session in drawn(mine, 5):
        rows = stored.rows(derived.CROWDING, portfolio, mine.sessions[session])
        found = risk.crowding(mine, session)
        assert {(row.kind, row.group, row.side) for row in rows.itertuples()} == set(found)
        for row in rows.itertuples():
            members, exposure = found[row.kind, row.group, row.side]
            assert_same({"members": members, "exposure": exposure}, row, (row.day, row.group))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_stacking_is_that_of_numpys_correlations_on_common_sessions(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    for session in drawn(mine, 6):
        day = mine.sessions[session]
        row, found = stored.row(derived.CORRELATION_STACKING, portfolio, day), stacking.stack(mine, session)
        assert row["symbols"] == len(stacking.by_symbol(mine, session))
        if found is None:
            assert np.isnan(row["stack_ratio"]) and np.isnan(row["score"]) and row["reason"] in ("flat", "one_symbol")
            continue
        assert_same(found.figures | {"turbulence": stacking.turbulence(mine, session)}, row, day)
        assert row["stack_ratio_low"] <= row["stack_ratio"] <= row["stack_ratio_high"]
        assert row["correlated_heat"] <= risk.heat(mine, session)["heat"] + 1e-12


def test_buckets_are_scipys_complete_linkage_where_their_memory_cannot_matter(stored: Stored) -> None:
    compared = 0
    for mine in map(book, PORTFOLIOS):
        for session in drawn(mine, 7, 30):
            found = stacking.stack(mine, session)
            if found is None or not stacking.memory_cannot_matter(found):
                continue
            compared += 1
            nets, rows = stacking.by_symbol(mine, session), stored.rows(derived.CORRELATION_BUCKETS, mine.name, mine.sessions[session])
            assert sorted(tuple(text.split(", ")) for text in rows["symbols"]) == stacking.buckets(found, stacking.JOIN)
            for row in rows.itertuples():
                values = np.array([nets[symbol] for symbol in row.symbols.split(", ")])
                sides = {"long_exposure": values.clip(min=0).sum(), "short_exposure": -values.clip(max=0).sum()}
                assert_same(sides | {"same_direction_pct": max(sides.values()) / mine.equity[session]}, row, (row.day, row.symbols))
    assert compared > 30


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_drawdown_and_every_regime_are_those_of_the_table_of_transitions(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    theirs = stored.table(derived.DRAWDOWN_STATE)
    theirs = theirs[theirs["portfolio"] == portfolio].sort_values("day").reset_index(drop=True)
    found = drawdown.figures(mine)
    assert list(theirs["regime"]) == list(found["regime"])
    assert set(found["regime"]) == {"normal", "defensive", "risk_off", "probation"}
    for name in found.columns.drop("regime"):
        np.testing.assert_allclose(theirs[name].to_numpy(float), found[name].to_numpy(float), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_turnover_churn_and_tails_are_those_of_the_second_look(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    for session in drawn(mine, 8, 6, EDGES):
        day = mine.sessions[session]
        assert_same(trading.figures(mine, session), stored.row(derived.TURNOVER_METRICS, portfolio, day), day)
        rows, found = stored.rows(derived.SYMBOL_CHURN, portfolio, day), trading.churn(mine, session)
        assert set(rows["symbol"]) == set(found)
        for row in rows.itertuples():
            assert_same(found[row.symbol], row, (day, row.symbol))


@pytest.mark.parametrize("measure", sorted(execution.EXPECTED))
def test_realised_against_expected_is_that_of_the_second_look(stored: Stored, measure: str) -> None:
    rows = stored.table(derived.EXECUTION_PROFILE)
    rows = rows[rows["measure"] == measure]
    for portfolio in PORTFOLIOS:
        mine = book(portfolio)
        seen = execution.entry_orders(mine) if measure == "slippage" else execution.trips(mine, measure)
        for row in sampled(rows[rows["portfolio"] == portfolio], 9, 25):
            assert_same(execution.profile(mine, measure, row.playbook, row.day, seen), row, (row.day, row.playbook))


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_idle_capital_opportunity_and_rejections_are_those_of_the_second_look(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    second = idle.Idle(mine)
    for session in drawn(mine, 10, 5, (0, 9, 20, 30, 150)):
        day = mine.sessions[session]
        assert_same(second.figures(session), stored.row(derived.IDLE_CAPITAL, portfolio, day), day)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_recurring_failures_are_those_of_scipy_and_statsmodels(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    trades = failures.closed(mine)
    labels = stored.table(derived.FAILURE_LABELS).set_index("round_trip_id")["failure_mode"]
    trades["failure_mode"] = trades["round_trip_id"].map(labels)
    assert (trades["failure_mode"].notna() == (trades["net"] < 0)).all()
    for session in drawn(mine, 11, 5, (0, 59, 60, 119)):
        rows, found = stored.rows(derived.FAILURE_MODES, portfolio, mine.sessions[session]), failures.recurrences(trades, session)
        assert len(rows) == len(found)
        for row in rows.itertuples():
            key = (row.failure_mode, row.template, row.regime, row.side)
            assert_same(found[key], row, (row.day, *key))


def test_what_became_of_a_signal_is_what_a_loop_over_its_bars_says(stored: Stored) -> None:
    rows = stored.table(derived.SIGNAL_OUTCOMES).set_index("signal_id")
    for _, signal in raw().signals.sample(150, random_state=12).iterrows():
        found = outcomes.outcome(signal)
        row = rows.loc[signal["signal_id"]]
        day = found.pop("outcome_day", None)
        assert (day is None and pd.isna(row["outcome_day"])) or pd.Timestamp(row["outcome_day"]) == day
        assert_same(found, row, signal["signal_id"])


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_attribution_sums_to_what_each_position_and_the_portfolio_earned(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    for session in drawn(mine, 13):
        rows = stored.rows(derived.PNL_ATTRIBUTION, portfolio, mine.sessions[session])
        earned = mine.equity[session] - (mine.equity[session - 1] if session else 0.0) - mine.flow[session]
        assert rows["total"].sum() == pytest.approx(earned, rel=1e-9, abs=1e-6)
        sums = rows.groupby(["strategy", "symbol"])[["realised", "unrealised", "fees", "total"]].sum()
        for key, found in outcomes.attribution(mine, session).items():
            ours = sums.loc[key] if key in sums.index else pd.Series(0.0, sums.columns)
            for name, value in found.items():
                assert ours[name] == pytest.approx(value, rel=1e-9, abs=1e-6), (mine.sessions[session], key, name)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_capital_and_skill_gates_rest_on_what_was_known_that_day(stored: Stored, portfolio: str) -> None:
    mine = book(portfolio)
    rows = stored.table(derived.SAMPLE_SUFFICIENCY)
    rows = rows[(rows["portfolio"] == portfolio) & rows["gate"].isin(["capital", "skill"])].set_index(["metric", "day"])
    signals = stored.table(derived.SIGNAL_OUTCOMES)
    signals = signals[signals["portfolio"] == portfolio].assign(outcome_day=pd.to_datetime(signals["outcome_day"]))
    falls = drawdown.figures(mine)["drawdown"].to_numpy()
    for session in drawn(mine, 14, edges=(21, 60, 252)):
        day = mine.sessions[session]
        found = gates.skill(mine.returns[: session + 1])
        assert_same(found, rows.loc["skill_gate", day], day)
        enough = found["value"] >= gates.PSR and found["sample_size"] >= found["required"]
        assert bool(rows.loc["skill_gate", day]["passed"]) == enough
        values = gates.capital(mine, signals, falls, session)
        for metric, value in values.items():
            assert_same({"value": value}, rows.loc[metric, day], (day, metric))
        met = (
            values["capital_gate"] >= 40,
            values["capital_mean_r"] > 0,
            values["capital_slippage"] <= 25,
            values["capital_drawdown"] <= 0.1,
        )
        assert bool(rows.loc["capital_gate", day]["passed"]) == all(met)


def test_the_readmes_figures_are_met_by_both(stored: Stored) -> None:
    equity = stored.table(derived.DRAWDOWN_STATE).set_index(["portfolio", "day"])["drawdown"]
    for portfolio, day, depth in (
        ("core", "2007-09-07", 0.119),
        ("core", "2008-01-14", 0.136),
        ("core", "2008-09-29", 0.036),
        ("core", "2009-08-03", 0.046),
        ("core", "2010-09-13", 0.162),
        ("macro", "2008-09-26", 0.270),
        ("macro", "2008-10-13", 0.206),
        ("macro", "2009-10-23", 0.024),
        ("macro", "2010-09-23", 0.226),
    ):
        mine = book(portfolio)
        session = mine.at[pd.Timestamp(day)]
        second = 1 - mine.units[session] / max(1.0, mine.units[: session + 1].max())
        assert round(second, 3) == round(float(equity.loc[portfolio, pd.Timestamp(day)]), 3) == depth
    assert [book(portfolio).equity[-1] for portfolio in PORTFOLIOS] == pytest.approx([1998988.55, 498661.83], abs=1.0)
