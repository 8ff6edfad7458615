"""D5 against a plain calculation, worked by hand, and through the lake in one build and in steps."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from portfolio_platform.days import to_date, to_number
from portfolio_platform.diagnostics import turnover as d5
from portfolio_platform.diagnostics.pipeline.turnover import STAGE
from portfolio_platform.diagnostics.turnover_rows import Sessions, traded, turned
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.ledger.pipeline import build
from portfolio_platform.stage import build_stage
from tests.unit.ledger import oracle
from tests.unit.ledger.ledgers import Action, Fill, Ledger, at, ledger_order, ledgers, random_ledger
from tests.unit.ledger.running import difference, load, run, sort
from tests.unit.ledger.running import home as new_home

NAN = float("nan")


@dataclass(frozen=True)
class Trade:
    """A fill of one portfolio; ``value`` is negative for a sale."""

    session: int
    symbol: int
    value: float
    fee: float = 1.0
    order: int = -1
    flip: bool = False


def fills_of(trades: list[Trade]) -> d5.Fills:
    def column(name: str, kind: type) -> np.ndarray:
        return np.array([getattr(trade, name) for trade in trades], kind)

    whole = [column(name, np.int64) for name in ("session", "symbol", "order")]
    return d5.Fills(*whole, column("value", np.float64), column("fee", np.float64), column("flip", bool))


def figures(
    trades: list[Trade], equity: list[float], window: int, baseline: int, trips: list[int] | None = None, before: float | None = None
) -> tuple[d5.Turnover, d5.Churn]:
    cells = d5.add_up(fills_of(trades))
    closed = np.array(trips if trips is not None else [0] * len(equity), np.int64)
    churned = d5.churn(cells, len(equity), window)
    return d5.turnover(d5.by_session(cells, closed, np.array(equity, np.float64), before), churned, window, baseline), churned


def test_turnover_worked_by_hand() -> None:
    # equity 100, 120, 80; bought 50 and sold 20 in the second session, sold 30 in the third
    trades = [Trade(1, 0, 50.0, 0.5), Trade(1, 1, -20.0, 0.2), Trade(2, 0, -30.0, 0.3)]
    found, _ = figures(trades, [100.0, 120.0, 80.0], 2, 5)
    # mean equity: 100 alone, (100 + 120)/2 = 110, (120 + 80)/2 = 100
    assert found.daily.two_sided.tolist() == pytest.approx([0.0, 70 / 110, 0.3])
    assert found.daily.one_sided.tolist() == pytest.approx([0.0, 20 / 110, 0.0])
    assert found.turnover.tolist() == pytest.approx([0.0, 70 / 110, 70 / 110 + 0.3])
    # symbol 0: 50 bought and 30 sold of 80; symbol 1: 20 sold of 20; churn is 2 * 30 of 100
    assert found.churn[2] == pytest.approx(0.6)
    assert found.cost_bps[2] == pytest.approx(1.0 / 100 * 1e4)
    assert found.cost_drag_bps[2] == pytest.approx(1.0 / ((120 + 80) / 2) * 1e4)
    # what two sessions had at the mean of the one before the window
    assert found.baseline[2] == 0.0


def test_the_first_session_stands_on_its_own_equity_and_a_later_one_on_both() -> None:
    assert figures([Trade(0, 0, 50.0)], [100.0], 20, 250)[0].daily.two_sided.tolist() == [0.5]
    assert figures([Trade(0, 0, 50.0)], [100.0], 20, 250, before=300.0)[0].daily.two_sided.tolist() == [0.25]


def test_churn_is_0_one_way_and_1_there_and_back_and_selling_one_to_buy_another_is_none() -> None:
    one_way = figures([Trade(0, 0, 10.1), Trade(1, 0, 20.2)], [100.0] * 2, 20, 250)
    assert (one_way[1].churn.tolist(), one_way[0].churn.tolist()) == ([0.0, 0.0], [0.0, 0.0])
    there_and_back = figures([Trade(0, 0, 10.1), Trade(1, 0, -10.1)], [100.0] * 2, 20, 250)
    assert there_and_back[1].churn.tolist() == [0.0, 1.0]
    rotation = figures([Trade(0, 0, -10.0), Trade(0, 1, 10.0)], [100.0], 20, 250)
    assert rotation[0].churn.tolist() == [0.0]


def test_a_symbol_has_rows_while_its_trades_are_in_the_window() -> None:
    _, found = figures([Trade(1, 3, 10.0), Trade(3, 3, 5.0), Trade(2, 1, 1.0)], [100.0] * 8, 3, 5)
    rows = list(zip(found.session.tolist(), found.symbol.tolist(), found.traded.tolist(), strict=True))
    assert rows == [(1, 3, 10.0), (2, 1, 1.0), (2, 3, 10.0), (3, 1, 1.0), (3, 3, 15.0), (4, 1, 1.0), (4, 3, 5.0), (5, 3, 5.0)]


def test_fills_of_one_order_are_one_trade_also_where_it_takes_two_sessions() -> None:
    trades = [
        Trade(0, 0, 1.0, order=7), Trade(0, 0, 1.0, order=7), Trade(2, 0, 1.0, order=7), Trade(2, 0, 1.0, order=8),
        Trade(2, 0, 1.0), Trade(2, 0, 1.0), Trade(2, 1, 1.0, order=7),
    ]  # fmt: skip
    found, churned = figures(trades, [100.0] * 6, 3, 5)
    mine = {session: count for session, symbol, count in zip(churned.session, churned.symbol, churned.trades, strict=True) if symbol == 0}
    # session 2: orders 7 and 8 and two without; session 3: order 7 is still in the window by its fill of session 2
    assert mine == {0: 1, 1: 1, 2: 4, 3: 4, 4: 4}
    assert found.fills.tolist() == [2, 2, 7, 5, 5, 0]
    # as events, an order is one for each session and symbol
    assert found.daily.trades.tolist() == [1, 0, 5, 0, 0, 0]


def test_the_tail_is_the_exact_conditional_test_against_the_sessions_before_the_window() -> None:
    # one fill a session for 8, then 3 a session for 2: window 2 against 6 before: 6 of 12 where 2/8 are expected
    trades = [Trade(s, 0, 1.0) for s in range(8)] + [Trade(s, 0, 1.0) for s in (8, 8, 8, 9, 9, 9)]
    found, _ = figures(trades, [100.0] * 10, 2, 6, trips=[0, 1, 0, 1, 0, 1, 0, 1, 2, 2])
    assert (found.fills[9], found.fills_baseline[9], found.baseline_sessions[9]) == (6, 6, 6)
    assert found.fills_tail[9] == pytest.approx(binom.sf(5, 12, 2 / 8))
    assert (found.trips[9], found.trips_baseline[9]) == (4, 3)
    assert found.trips_tail[9] == pytest.approx(binom.sf(3, 7, 2 / 8))
    # a baseline that is shorter than its length takes the sessions there are; without one there is no test
    assert (found.baseline_sessions[:4].tolist(), found.fills_tail[2]) == ([0, 0, 1, 2], pytest.approx(binom.sf(1, 3, 2 / 3)))
    assert np.isnan(found.fills_tail[:2]).all()
    assert [d5.REASONS[status] for status in found.status[:3]] == ["short_baseline", "short_baseline", ""]


def test_parts_of_an_order_fire_the_tail_of_fills_too_often_and_that_of_trades_at_its_level() -> None:
    """Orders come at one rate throughout, each filled in five parts: of fills, one in a hundred became one in nine."""
    random, fired = np.random.default_rng(3), np.zeros(2)
    runs = 400
    for _ in range(runs):
        orders = random.poisson(0.5, 120)
        trades = [Trade(s, 0, 1.0, order=1000 * s + k) for s, count in enumerate(orders) for k in range(count) for _ in range(5)]
        found, _ = figures(trades, [100.0] * 120, 20, 100)
        fired += [found.fills_tail[-1] <= 0.01, found.trades_tail[-1] <= 0.01]
    assert fired[0] / runs > 0.05
    assert fired[1] / runs <= 0.02


@pytest.mark.parametrize(
    ("value", "reasons"),
    [
        # the mean of -5 and 100 is positive, so the session after it is sound again
        (-5.0, ["equity_not_positive", "equity_not_positive", ""]),
        (NAN, ["missing_fx_rate", "missing_fx_rate", "missing_fx_rate"]),
    ],
)
def test_a_null_says_why_as_long_as_it_is_in_the_window(value: float, reasons: list[str]) -> None:
    trades = [Trade(s, 0, 10.0) for s in range(5)]
    found, _ = figures(trades, [100.0, 100.0, value, 100.0, 100.0], 2, 5)
    assert [d5.REASONS[status] for status in found.status] == ["short_baseline", "short_baseline", *reasons]
    assert np.isnan(found.turnover).tolist() == [False, False, *(reason != "" for reason in reasons)]


def test_a_trade_without_a_rate_nulls_what_rests_on_its_value_and_no_count() -> None:
    found, churned = figures([Trade(0, 0, 10.0), Trade(1, 0, NAN, NAN), Trade(2, 1, 10.0)], [100.0] * 4, 2, 2)
    assert np.isnan(found.turnover).tolist() == [False, True, True, False]
    assert np.isnan(found.churn).tolist() == [False, True, True, False]
    assert found.fills.tolist() == [1, 2, 2, 1]
    assert np.isnan(churned.churn[churned.symbol == 1]).tolist() == [False, False]


def test_no_trades_at_all_is_no_turnover_and_no_churn() -> None:
    found, churned = figures([], [100.0] * 4, 2, 2)
    assert found.turnover.tolist() == [0.0] * 4
    assert np.isnan(found.churn).all() and churned.session.size == 0
    assert d5.REASONS[found.status[-1]] == "no_trades"
    assert figures([], [], 2, 2)[0].fills.size == 0


def plain(trades: list[Trade], equity: list[float], trips: list[int], t: int, window: int, baseline: int) -> dict[str, float]:
    """Return a session's figures by the definitions, one loop each."""
    inside = range(max(0, t - window + 1), t + 1)
    earlier = range(max(0, inside.start - baseline), inside.start)

    def two_sided(s: int) -> float:
        mean = (equity[max(s - 1, 0)] + equity[s]) / 2
        return sum(abs(x.value) for x in trades if x.session == s) / mean if mean > 0 and equity[s] > 0 else NAN

    mine = [x for x in trades if x.session in inside]
    gross = sum(abs(x.value) for x in mine)
    by_symbol: dict[int, float] = defaultdict(float)
    for x in mine:
        by_symbol[x.symbol] += x.value
    fees, capital = sum(x.fee for x in mine), sum(equity[s] for s in inside) / len(inside)
    known = [two_sided(s) for s in earlier if two_sided(s) == two_sided(s)]
    n0 = sum(x.session in earlier for x in trades)
    share = len(inside) / (len(inside) + len(earlier))
    return {
        "turnover": sum(two_sided(s) for s in inside),
        "baseline": window * sum(known) / len(known) if known else NAN,
        "fills_tail": binom.sf(len(mine) - 1, len(mine) + n0, share) if earlier else NAN,
        "churn": 1 - sum(abs(net) for net in by_symbol.values()) / gross if mine else NAN,
        "flip_rate": sum(x.flip for x in mine) / len(mine) if mine else NAN,
        "cost_bps": fees / gross * 1e4 if mine else NAN,
        "cost_drag_bps": fees / capital * 1e4 if capital > 0 and equity[t] > 0 else NAN,
        "trips": sum(trips[s] for s in inside),
        "trips_baseline": sum(trips[s] for s in earlier),
    }


trades_ = st.builds(
    Trade,
    st.integers(0, 14),
    st.integers(0, 3),
    st.integers(-50, 50).filter(bool).map(float),
    st.integers(-2, 9).map(float),
    st.integers(-1, 6),
    st.booleans(),
)
equities = st.lists(st.sampled_from([1000.0, 500.0, 250.0, -20.0]), min_size=15, max_size=15)


@settings(max_examples=60)
@given(
    st.lists(trades_, max_size=30), equities, st.lists(st.integers(0, 3), min_size=15, max_size=15), st.integers(1, 6), st.integers(1, 9)
)
def test_every_figure_is_that_of_the_plain_calculation(
    trades: list[Trade], equity: list[float], trips: list[int], window: int, baseline: int
) -> None:
    found, churned = figures(trades, equity, window, baseline, trips)
    for t in range(15):
        for name, expected in plain(trades, equity, trips, t, window, baseline).items():
            assert getattr(found, name)[t] == pytest.approx(expected, nan_ok=True, abs=1e-12), (name, t)
        numbers = [
            getattr(found, name)[t] for name in ("turnover", "baseline", "fills_tail", "churn", "flip_rate", "cost_bps", "cost_drag_bps")
        ]
        assert np.isnan([*numbers, found.daily.two_sided[t]]).any() == (found.status[t] != d5.OK)
    for row in range(churned.session.size):
        t, symbol = churned.session[row], churned.symbol[row]
        mine = [x for x in trades if x.symbol == symbol and t - window < x.session <= t]
        gross = sum(abs(x.value) for x in mine)
        assert churned.traded[row] == pytest.approx(gross)
        assert churned.churn[row] == pytest.approx(1 - abs(sum(x.value for x in mine)) / gross, abs=1e-12)
        assert churned.fees[row] == pytest.approx(sum(x.fee for x in mine), abs=1e-12)
        assert churned.flips[row] == sum(x.flip for x in mine)
        assert churned.trades[row] == len({x.order for x in mine if x.order >= 0}) + sum(x.order < 0 for x in mine)
    expected = {(t, x.symbol) for x in trades for t in range(x.session, min(x.session + window, 15))}
    assert list(zip(churned.session.tolist(), churned.symbol.tolist(), strict=True)) == sorted(expected)


@settings(max_examples=40)
@given(st.lists(trades_, max_size=30), equities, st.integers(1, 6), st.integers(0, 14))
def test_a_session_is_the_same_alone_with_its_look_back_and_in_the_range(
    trades: list[Trade], equity: list[float], window: int, t: int
) -> None:
    whole, churned = figures(trades, equity, window, 4)
    begin = max(0, t - window - 4)
    near = [replace(x, session=x.session - begin) for x in trades if begin <= x.session <= t]
    alone, churned_alone = figures(near, equity[begin : t + 1], window, 4, before=equity[begin - 1] if begin else None)
    for name in ("turnover", "baseline", "fills_tail", "trades_tail", "churn", "flip_rate", "cost_bps", "cost_drag_bps", "status"):
        assert np.array_equal(getattr(alone, name)[-1:], getattr(whole, name)[t : t + 1], equal_nan=True), name
    for name in ("symbol", "churn", "trades", "flips", "traded", "fees"):
        mine, other = churned.session == t, churned_alone.session == t - begin
        assert np.array_equal(getattr(churned_alone, name)[other], getattr(churned, name)[mine]), name


def fill_table(ledger: Ledger, orders: list[str | None] | None = None) -> pa.Table:
    named = pa.array(orders if orders is not None else [None] * len(ledger.fills), pa.string())
    return ledger.facts.fills.append_column("order_id", named)


@settings(max_examples=60)
@given(ledgers())
def test_a_flip_is_a_fill_after_which_the_running_position_stands_on_the_other_side(ledger: Ledger) -> None:
    books, expected = oracle.Books(ledger), set()
    positions: dict[oracle.Key, oracle.Position] = {}
    for event in ledger_order(ledger):
        if isinstance(event, Action):
            for key, position in positions.items():
                if key[2] == event.symbol:
                    oracle._act(position, event)
            continue
        key = oracle._key(ledger, event)
        position = positions.setdefault(key, oracle.Position(ledger.multiplier_of(event.symbol)))
        before = position.quantity
        oracle._fill(books, key, position, event)
        if before * position.quantity < 0:
            expected.add(event.row_id)
    table = fill_table(ledger)
    found = turned(table, run(ledger).tables["round_trips"])
    assert set(table["row_id"].filter(pa.array(found)).to_pylist()) == expected


def session_values(ledger: Ledger) -> dict[tuple[str, date, str], float]:
    """Return the base value that each portfolio traded of a symbol on each day, fill by fill."""
    out: dict[tuple[str, date, str], float] = defaultdict(float)
    for fill in ledger.fills:
        day = to_date((fill.ts - 1) // 86_400_000_000_000)
        rate = oracle.rate(ledger, ledger.currency_of(fill), ledger.base_of(fill.portfolio), to_number(day))
        value = Fraction(fill.quantity) * Fraction(fill.price) * ledger.multiplier_of(fill.symbol)
        out[(fill.portfolio, day, fill.symbol)] += NAN if rate is None else float(value * rate)
    return out


@settings(max_examples=40)
@given(ledgers(), st.randoms(use_true_random=False))
def test_trades_are_valued_in_base_currency_by_multiplier_and_rate_in_any_order_of_reading(ledger: Ledger, rng: Random) -> None:
    tables, expected = run(ledger).tables, session_values(ledger)
    equity = tables["portfolio_equity"]
    days = {
        name: np.sort(equity.filter(pc.field("portfolio") == name)["day"].cast(pa.int32()).to_numpy().astype(np.int64))
        for name in sorted(set(equity["portfolio"].to_pylist()))
    }
    fills = fill_table(ledger)
    shuffled = fills.take(pa.array(rng.sample(range(len(fills)), len(fills)), pa.int64()))
    found, again = (traded(t, tables["round_trips"], tables["cash_balances"], ledger.reference, Sessions(days)) for t in (fills, shuffled))
    seen = {}
    for name, mine in found.items():
        one, two = d5.add_up(mine.fills), d5.add_up(again[name].fills)
        for column in ("symbol", "session", "bought", "sold", "fees", "fills", "flips", "trades"):
            assert np.array_equal(getattr(one, column), getattr(two, column), equal_nan=column in ("bought", "sold", "fees"))
        for k in range(one.symbol.size):
            seen[(name, to_date(days[name][one.session[k]]), mine.symbols[one.symbol[k]])] = one.bought[k] + one.sold[k]
    assert seen.keys() == expected.keys()
    for key, value in expected.items():
        assert seen[key] == pytest.approx(value, nan_ok=True)


def built(at_home: Home, name: str) -> pa.Table:
    return sort(name, at_home.lake.read(derived.DERIVED[name]))


def with_short_windows(root: Path, last: date) -> Home:
    """Return a home whose windows are shorter than a ledger of some weeks."""
    made = new_home(root, last)
    policy = made.policies / "default.toml"
    policy.write_text(policy.read_text().replace("[turnover]\nwindow = 20\nbaseline = 250", "[turnover]\nwindow = 3\nbaseline = 5"))
    return made


@pytest.mark.parametrize(("seed", "step"), [(5, 1), (17, 3), (29, 4)])
def test_building_in_steps_gives_the_tables_of_one_build(tmp_path: Path, seed: int, step: int) -> None:
    ledger = random_ledger(seed, 50, 18)
    last = to_date(ledger.last)
    once, steps = with_short_windows(tmp_path / "once", last), with_short_windows(tmp_path / "steps", last)
    for place in (once, steps):
        load(place, ledger, tmp_path / "files")
    build(once)
    build_stage(once, STAGE)
    for day in [*range(ledger.first, ledger.last, step), ledger.last]:
        build(steps, until=to_date(day))
        build_stage(steps, STAGE)
    names = ("turnover_metrics", "symbol_churn")
    expected = {name: built(once, name) for name in names}
    assert min(len(table) for table in expected.values()) > 15
    assert difference({name: built(steps, name) for name in names}, expected) == []
    assert pc.max(built(once, "turnover_metrics")["baseline_sessions"]).as_py() == 5
    # from any day on, nothing changes where no fact did
    build_stage(steps, STAGE, restate_from=to_date(ledger.first + 9))
    assert difference({name: built(steps, name) for name in names}, expected) == []


def test_a_portfolio_without_fills_and_one_that_ends_early_are_no_error(tmp_path: Path) -> None:
    ledger = Ledger((Fill("E1", at("2023-12-26T12:00"), "EQ", "buy", Decimal(1), Decimal(100)),), last=to_number(date(2023, 12, 29)))
    place = new_home(tmp_path / "home", date(2023, 12, 29))
    load(place, ledger, tmp_path / "files")
    build(place)
    build_stage(place, STAGE)
    rows = built(place, "turnover_metrics").to_pylist()
    # bought on credit: 100 of stock and -100 of cash are no equity to take a ratio of
    assert {row["reason"] for row in rows} == {"equity_not_positive"}
    assert [row["fills"] for row in rows] == [1, 0, 0, 0]


@pytest.fixture(scope="module")
def sample_core(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    from tests.conftest import copied

    place = copied(sample_home, tmp_path_factory.mktemp("turnover") / "home")
    build_stage(place, STAGE)
    rows = place.lake.read(derived.TURNOVER_METRICS, None, pc.field("portfolio") == "core").sort_by("day").to_pylist()
    place.book.close()
    return rows


def test_the_churny_quarter_of_the_sample_stands_out(sample_core: list[dict[str, Any]]) -> None:
    """core, 2008-04-01 to 2008-06-30: 202 fills, turnover of 32.4 times equity, 3,862 USD of fees."""
    quarter = [row for row in sample_core if date(2008, 4, 1) <= row["day"] <= date(2008, 6, 30)]
    assert sum(row["fills"] for row in quarter) == 202
    assert sum(row["turnover_two_sided"] for row in quarter) == pytest.approx(32.4, abs=0.05)
    fees = sum(row["cost_bps"] * row["traded"] / 1e4 for row in quarter if row["cost_bps"] is not None)
    assert fees == pytest.approx(3862, rel=0.05)
    breaches = {row["day"] for row in sample_core if row["trades_tail"] is not None and row["trades_tail"] <= 0.01}
    assert len(breaches & {row["day"] for row in quarter}) >= 20
    # a quarter at 1 % has less than one by chance, and most of the others have none
    calm = [row for row in sample_core if row["day"].year == 2009]
    assert not breaches & {row["day"] for row in calm}


def test_nulls_of_the_sample_have_a_reason_and_counts_agree_with_its_fills(sample_core: list[dict[str, Any]], sample_home: Home) -> None:
    numbers = [column.name for column in derived.TURNOVER_METRICS.columns if column.kind == "number"]
    for row in sample_core:
        assert any(row[name] is None for name in numbers) == (row["reason"] != "")
    assert sum(row["fills"] for row in sample_core) == 1841
    fills = sample_home.lake.read(FILLS.table, ["portfolio", "order_id"], pc.field("portfolio") == "core")
    assert sum(row["trades"] for row in sample_core) == len(set(fills["order_id"].to_pylist()))
