"""D3's figures: worked by hand, against the plain calculation, and what must not change them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics.correlation import analysis, stacking
from portfolio_platform.diagnostics.correlation.analysis import ROLLING, TAXONOMY, Stacked, correlation_stacking
from portfolio_platform.diagnostics.correlation.shrinkage import shrinkage, shrunk
from portfolio_platform.policy.diagnostics import CorrelationPolicy
from tests.unit.diagnostics.correlation.books import FIRST, alone, book_of, books_of, closes_of, factor
from tests.unit.diagnostics.correlation.plain import intensity, session

POLICY = CorrelationPolicy()
COLUMNS = {"score": stacking.SCORE, "ratio": stacking.RATIO, "mean": stacking.MEAN, "weight": stacking.SHRINKAGE, "heat": stacking.HEAT}


def figures(out: Stacked, place: int = 0) -> dict[str, float]:
    return {name: float(out.figures[place, column]) for name, column in COLUMNS.items()}


def waves(*rows: list[float]) -> np.ndarray:
    """Return 60 returns from patterns of four, which have mean 0 and whose correlations are exact."""
    return np.tile(0.01 * np.array(rows).T, (15, 1))


UP, SIDE = [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]  # uncorrelated, equal variance
HALF = [1.5, 0.5, -0.5, -1.5]  # with UP: (1.5 + .5 + .5 + 1.5) / (2 sqrt(5)) = 0.894427; with SIDE: 1 / sqrt(5) = 0.447214


def of(returns: np.ndarray, *net: float) -> Stacked:
    closes = closes_of(returns)
    book = book_of(closes, [(FIRST + len(returns), dict(zip(closes.symbols, net, strict=True)))])
    return correlation_stacking(closes, book, POLICY)


def test_two_symbols_worked_by_hand() -> None:
    # rho = 4 / (2 sqrt 5); sigma of UP 1, of HALF sqrt(1.25); exposures make u equal; ratio = (1/4 (2 + 2 rho)) / (1/2) = 1 + rho
    rho = 4 / (2 * math.sqrt(5))
    out = of(waves(UP, HALF), 100.0 * math.sqrt(1.25), 100.0)
    found = figures(out)
    assert found["mean"] == pytest.approx(rho)
    assert found["weight"] == 1.0  # one pair is its own mean
    assert found["score"] == pytest.approx(rho)
    assert found["ratio"] == pytest.approx(1.0 + rho)
    assert out.observed.count[0] == 60


def test_three_symbols_worked_by_hand() -> None:
    # r = (.894427, 0, .447214): mean .447214; spread 2 * .2 = .4; noise (.04 + 1 + .64) / 59 = .0284746; lambda .0711864
    out = figures(of(waves(UP, HALF, SIDE), math.sqrt(1.25), 1.0, -math.sqrt(1.25)))
    weight = 1.68 / 59 / 0.4
    assert out["weight"] == pytest.approx(weight)
    assert out["mean"] == pytest.approx(0.4472135955)
    one, none, half = (weight * 0.4472135955 + (1 - weight) * r for r in (0.894427191, 0.0, 0.4472135955))
    # u = 1/3 each, the third short: score is the one pair on one side; the other two count as 0
    assert out["score"] == pytest.approx(one / 3)
    assert out["ratio"] == pytest.approx(1 + 2 * (one - none - half) / 3)


def test_ten_identical_symbols_are_one_bet() -> None:
    out = of(np.repeat(factor(np.random.default_rng(1), 60, 1), 10, axis=1), *[5.0] * 10)
    assert figures(out)["ratio"] == pytest.approx(10.0)
    assert figures(out)["score"] == pytest.approx(1.0)
    assert 1.0 / out.figures[0, stacking.VARIANCE] == pytest.approx(1.0)
    assert out.bucket.tolist() == [0] * 10


def test_ten_independent_symbols_are_nearly_ten_bets() -> None:
    out = of(factor(np.random.default_rng(2), 60, 10, share=0.0), *[5.0] * 10)
    assert figures(out)["ratio"] == pytest.approx(1.0, abs=0.35)
    assert sorted(set(out.bucket.tolist())) == list(range(10))


def test_a_hedged_pair_has_a_ratio_near_0_and_no_score() -> None:
    rng = np.random.default_rng(3)
    one = factor(rng, 60, 1)
    out = figures(of(np.hstack((one, one + 1e-4 * rng.standard_normal((60, 1)))), 100.0, -100.0))
    assert out["score"] == 0.0
    assert out["ratio"] < 0.01


def test_a_crypto_weekend_is_compounded_into_monday() -> None:
    """The coin moves on the weekend what the share moves on Monday: by union days without Mondays nothing of it is left."""
    rng = np.random.default_rng(4)
    days = np.arange(FIRST, FIRST + 140)
    monday, open_ = (days + 3) % 7 == 0, (days + 3) % 7 < 5
    shock = rng.standard_normal(140)
    saturday = np.roll(shock, -2)  # Monday's shock comes on Saturday
    coin = np.where((days + 3) % 7 == 5, saturday, 0.05 * rng.standard_normal(140))
    share = np.where(monday, shock, 0.05 * rng.standard_normal(140))
    log_close = np.cumsum(0.01 * np.stack((coin, share), axis=1), axis=0)
    log_close[~open_, 1] = np.nan
    closes = replace(closes_of(np.zeros((1, 2)), ("COIN", "SHARE")), log_close=log_close)
    last = int(days[monday][-1])
    out = correlation_stacking(closes, book_of(closes, [(last, {"COIN": 1.0, "SHARE": 1.0})]), POLICY)
    assert figures(out)["mean"] > 0.9
    expected = session(closes, book_of(closes, [(last, {"COIN": 1.0, "SHARE": 1.0})]), 0)
    assert figures(out)["mean"] == pytest.approx(expected.mean)
    # sixty returns of common sessions reach back twelve weeks, not sixty days
    assert last - out.observed.start[0] >= 80


def test_a_session_without_a_close_takes_the_window_up_to_the_last_common_one() -> None:
    closes = closes_of(factor(np.random.default_rng(5), 100, 2))
    closes.log_close[-2:, 1] = np.nan
    held = {"S00": 1.0, "S01": 2.0}
    out = correlation_stacking(closes, book_of(closes, [(FIRST + 98, held), (FIRST + 99, held), (FIRST + 100, held)]), POLICY)
    assert out.figures[1].tolist() == out.figures[0].tolist() == out.figures[2].tolist()


@pytest.mark.parametrize(("net", "reason"), [({}, "flat"), ({"S00": 5.0}, "one_symbol"), ({"S00": 5.0, "S01": 0.0}, "one_symbol")])
def test_fewer_than_two_symbols_have_neither_score_nor_ratio(net: dict[str, float], reason: str) -> None:
    closes = closes_of(factor(np.random.default_rng(6), 80, 2))
    out = correlation_stacking(closes, book_of(closes, [(FIRST + 80, net)]), POLICY)
    assert math.isnan(figures(out)["score"])
    assert math.isnan(figures(out)["ratio"])
    assert analysis.REASONS[out.reason[0]] == reason


def test_what_is_stale_is_not_judged_and_yesterdays_buckets_are_forgotten() -> None:
    closes = closes_of(factor(np.random.default_rng(6), 80, 2, share=0.9))
    book = book_of(closes, [(FIRST + 79, {"S00": 1.0, "S01": 1.0}), (FIRST + 80, {"S00": 1.0, "S01": 1.0})])
    book.status[1] = analysis.STALE_MARK
    out = correlation_stacking(closes, book, POLICY)
    assert [analysis.REASONS[code] for code in out.reason] == ["", "stale_mark"]
    assert np.isnan(out.figures[1]).all()
    assert out.bucket.tolist() == [0, 0, -1, -1]


def test_a_price_that_never_moves_is_in_no_pair() -> None:
    returns = factor(np.random.default_rng(7), 70, 3)
    with_one = np.insert(returns, 1, 0.0, axis=1)
    moving, all_ = of(returns, 1.0, 2.0, 3.0), of(with_one, 1.0, 9.0, 2.0, 3.0)
    assert figures(all_)["ratio"] == pytest.approx(figures(moving)["ratio"])
    assert figures(all_)["weight"] == pytest.approx(figures(moving)["weight"])
    still = of(np.zeros((70, 2)), 1.0, 1.0)
    assert analysis.REASONS[still.reason[0]] == "no_variance"


def test_too_short_a_sample_takes_the_cohorts() -> None:
    # A and B in one cohort, long and long; C in another, short: u = .25 .25 .5
    closes = closes_of(factor(np.random.default_rng(8), 29, 3), ("A", "B", "C"))
    days = [(FIRST + 29, {"A": 100.0, "B": 100.0, "C": -200.0})]
    out = correlation_stacking(closes, book_of(closes, days, cohort={"A": 0, "B": 0, "C": 1}), POLICY)
    assert (out.method[0], out.observed.count[0], analysis.REASONS[out.reason[0]]) == (TAXONOMY, 29, "short_sample")
    assert figures(out)["score"] == pytest.approx(2 * 0.0625 / (1 - 0.375))
    assert figures(out)["ratio"] == pytest.approx((0.375 + 2 * 0.0625) / 0.375)
    assert out.bucket.tolist() == [0, 0, 2]
    assert math.isnan(out.low[0])
    # one more observation, and the sample speaks; without a cohort each stands alone
    longer = closes_of(factor(np.random.default_rng(8), 30, 3), ("A", "B", "C"))
    assert correlation_stacking(longer, book_of(longer, [(FIRST + 30, days[0][1])]), POLICY).method[0] == ROLLING
    unknown = correlation_stacking(closes, book_of(closes, days), POLICY)
    assert figures(unknown)["ratio"] == pytest.approx(1.0)
    assert unknown.bucket.tolist() == [0, 1, 2]


def test_correlated_heat_counts_same_sides_of_alike_and_opposite_sides_of_unlike() -> None:
    # rho of UP and its mirror is -1: long against short moves as one; risk 10 and 20 make 30
    out = of(waves(UP, [-x for x in UP]), 100.0, -200.0)
    assert math.sqrt(figures(out)["heat"]) == pytest.approx(30.0)
    # both long, they cancel: each risk stays its own
    assert math.sqrt(figures(of(waves(UP, [-x for x in UP]), 100.0, 200.0))["heat"]) == pytest.approx(math.hypot(10.0, 20.0))
    # long and short in one symbol are two positions: neither takes from the other, nor adds
    closes = closes_of(factor(np.random.default_rng(9), 70, 2))
    book = book_of(closes, [(FIRST + 70, {"S00": 1.0, "S01": 1.0})])
    both = replace(book, long_risk=np.array([3.0, 0.0]), short_risk=np.array([4.0, 0.0]))
    assert math.sqrt(figures(correlation_stacking(closes, both, POLICY))["heat"]) == pytest.approx(5.0)
    unknown = replace(book, long_risk=np.array([3.0, math.nan]))
    assert math.isnan(figures(correlation_stacking(closes, unknown, POLICY))["heat"])


def test_shrinkage_is_that_of_an_independent_calculation() -> None:
    rng = np.random.default_rng(10)
    for symbols, share in ((2, 0.5), (3, 0.0), (8, 0.4), (40, 0.7)):
        matrix = np.corrcoef(factor(rng, 60, symbols, share), rowvar=False)
        weight, mean = intensity(matrix, 60)
        assert shrinkage(matrix[np.triu_indices(symbols, 1)], 60) == (pytest.approx(weight), pytest.approx(mean))
        off = ~np.eye(symbols, dtype=bool)
        assert shrunk(matrix, 60)[off] == pytest.approx((1 - weight) * matrix[off] + weight * mean)


books = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def drawn(rng: np.random.Generator, days: int = 150, symbols: int = 9):  # type: ignore[no-untyped-def]
    """Return closes with gaps, late listings and round-the-clock symbols, and a book of two portfolios that changes day by day."""
    closes = closes_of(factor(rng, days, symbols, rng.uniform(0.0, 0.95)) * rng.uniform(0.2, 5.0, symbols))
    weekend = (np.arange(FIRST, FIRST + days + 1) + 3) % 7 >= 5
    closes.log_close[np.ix_(weekend, rng.random(symbols) < 0.6)] = np.nan
    closes.log_close[rng.random(closes.log_close.shape) < 0.01] = np.nan
    closes.log_close[: int(rng.integers(0, days)), int(rng.integers(symbols))] = np.nan

    def held() -> dict[str, float]:
        chosen = rng.random(symbols) < rng.uniform(0.1, 1.0)
        return {name: float(rng.normal() * 100) for name, one in zip(closes.symbols, chosen, strict=True) if one}

    portfolios = {}
    for code in (0, 1):
        at, listed = held(), []
        for day in range(FIRST + 20, FIRST + days + 1):
            at = held() if rng.random() < 0.2 else {name: value * rng.uniform(0.9, 1.1) for name, value in at.items()}
            listed.append((day, at))
        portfolios[code] = listed
    return closes, books_of(closes, portfolios, cohort={name: k % 3 - 1 for k, name in enumerate(closes.symbols)})


@pytest.mark.parametrize("seed", range(6))
def test_every_session_is_that_of_the_plain_calculation(seed: int) -> None:
    closes, book = drawn(np.random.default_rng(seed))
    out = correlation_stacking(closes, book, POLICY)
    methods = set()
    for place in range(book.sessions):
        if book.start[place] == book.start[place + 1]:
            assert np.isnan(out.figures[place]).all()
            continue
        expected = session(closes, book, place)
        assert out.observed.count[place] == expected.count
        found = figures(out, place)
        for name, value in found.items():
            assert value == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-12, nan_ok=True), (place, name)
        methods.add(int(out.method[place]))
    assert methods >= {ROLLING, TAXONOMY}


@pytest.mark.parametrize("seed", range(3))
def test_a_session_of_a_range_is_that_session_alone_to_the_last_digit_of_the_figures(seed: int) -> None:
    closes, book = drawn(np.random.default_rng(100 + seed))
    out = correlation_stacking(closes, book, POLICY)
    for place in range(0, book.sessions, 7):
        one = correlation_stacking(closes, alone(book, place), POLICY)
        assert np.array_equal(one.figures[0], out.figures[place], equal_nan=True)
        for name in ("low", "high", "absorption", "turbulence"):
            assert getattr(one, name)[0] == pytest.approx(getattr(out, name)[place], rel=1e-12, nan_ok=True)


@given(books)
def test_nothing_after_the_session_changes_it(rng: np.random.Generator) -> None:
    closes, book = drawn(rng, days=110, symbols=4)
    place = int(rng.integers(book.sessions))
    before = correlation_stacking(closes, alone(book, place), POLICY)
    later = closes.log_close[int(book.day[place]) - closes.first + 1 :]
    later[:] = rng.normal(size=later.shape)
    after = correlation_stacking(closes, alone(book, place), POLICY)
    assert np.array_equal(before.figures, after.figures, equal_nan=True)
    assert np.array_equal(before.turbulence, after.turbulence, equal_nan=True)


@given(books, st.integers(2, 12))
def test_order_and_signs_change_nothing_and_ratio_and_score_keep_their_bounds(rng: np.random.Generator, symbols: int) -> None:
    returns = factor(rng, 60, symbols, rng.uniform(0.0, 1.0))
    net = rng.normal(size=symbols) * 100.0
    out = of(returns, *net)
    found = figures(out)
    assert 0.0 <= found["score"] <= 1.0
    assert 0.0 <= found["ratio"] <= symbols + 1e-9
    assert 0.0 <= out.low[0] <= out.high[0] <= symbols + 1e-9
    assert math.sqrt(found["heat"]) <= np.abs(net).sum() / 10.0 * (1 + 1e-12)
    order = rng.permutation(symbols)
    for other in (of(returns[:, order], *net[order]), of(returns, *-net)):
        assert figures(other) == pytest.approx(found, rel=1e-9, abs=1e-12)
        assert (other.low[0], other.high[0]) == (pytest.approx(out.low[0], rel=1e-9), pytest.approx(out.high[0], rel=1e-9))


def test_an_old_shock_leaves_nothing_behind_when_it_has_left_the_window() -> None:
    """Sums that are added to and taken from would keep the rounding of the shock, here a hundredth of what follows."""
    returns = factor(np.random.default_rng(12), 200, 3) * 1e-6
    returns[70] = [3.0, -2.0, 4.0]
    closes = closes_of(returns)
    held = dict.fromkeys(closes.symbols, 1.0)
    book = book_of(closes, [(FIRST + day, held) for day in range(60, 201)])
    out = correlation_stacking(closes, book, POLICY)
    for place in range(book.sessions):
        assert figures(out, place)["mean"] == pytest.approx(session(closes, book, place).mean, rel=1e-6)
