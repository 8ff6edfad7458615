"""Outcome clusters: worked by hand, research kept apart, and nothing claimed from a handful of equal losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from portfolio_platform.evidence.intervals import benjamini_hochberg, wilson
from portfolio_platform.monitor.reflection.clusters import INTERVAL_MINIMUM, adjusted, clusters, fisher
from portfolio_platform.monitor.reflection.facts import span_of
from tests.unit.monitor.reflection.making import sessions, trades, weekday

RULES = {"minimum": 20, "false_discovery_rate": 0.10}


def found(traded, first, last, window, total=40, purpose="policy", **rules):
    """Return the clusters of the sessions first..last, by dimension and group."""
    line = sessions(np.ones(total))
    span = span_of(line, weekday(first), weekday(last), window)
    made = clusters(trades(traded), span, purpose=purpose, **(RULES | rules))
    return {(one.dimension, one.group): one for one in made}


def test_a_cluster_worked_by_hand():
    """Window of 10 sessions up to session 19 (10..19), week 15..19: one trade before, one in the window, two in the week."""
    traded = [(9, "a", -1.0, -50.0), (12, "a", 2.0, 80.0), (15, "a", -1.0, -40.0), (19, "a", 0.5, 10.0), (20, "a", 9.0, 900.0)]
    one = found(traded, 15, 19, 10)["playbook", "a"]
    assert (one.period.n, one.period.wins, one.period.mean_r, one.period.pnl) == (2, 1, -0.25, -30.0)
    assert (one.window.n, one.window.wins, one.window.pnl) == (3, 2, 50.0)
    assert one.window.mean_r == pytest.approx(0.5)
    low, high = wilson(2, 3)
    assert (one.window.win_low, one.window.win_high) == (pytest.approx(low), pytest.approx(high))
    assert (one.window.r_low, one.window.r_high) == (None, None)  # three are too few for an interval
    assert (one.before.n, one.before.wins, one.before.mean_r) == (1, 0, -1.0)
    assert one.verdict == "insufficient_sample"


def test_every_trade_is_in_one_cluster_of_each_dimension():
    traded = [(k, "ab"[k % 2], 0.1 * k, 1.0 * k, {"symbol": "XYZ"[k % 3], "regime": "r" + str(k % 4)}) for k in range(30)]
    made = found(traded, 25, 29, 20)
    for dimension in ("portfolio", "playbook", "template", "regime", "symbol"):
        mine = [one for (name, _), one in made.items() if name == dimension]
        assert sum(one.window.n for one in mine) == 20
        assert sum(one.before.n for one in mine) == 10
        assert sum(one.period.pnl for one in mine) == pytest.approx(sum(range(25, 30)))


def test_research_trades_touch_no_policy_cluster():
    policy = [(k, "a", -1.0, -1.0) for k in range(10, 20)]
    research = [(k, "a", 5.0, 100.0, {"purpose": "research"}) for k in range(10, 20)]
    alone, both = found(policy, 15, 19, 10), found(policy + research, 15, 19, 10)
    assert both == alone
    apart = found(policy + research, 15, 19, 10, purpose="research")
    assert apart["playbook", "a"].window.pnl == 1000.0


def test_a_handful_of_equal_losses_proves_nothing():
    """Three stops in a row at exactly -1 R have no spread; a t-test against the past would call them certain."""
    past = [(k, "a", (-1.0, 1.0)[k % 2], (-1.0, 1.0)[k % 2]) for k in range(20)]
    one = found([*past, *((k, "a", -1.0, -1.0) for k in (30, 31, 32))], 30, 34, 10)["playbook", "a"]
    assert one.verdict == "insufficient_sample"
    assert one.deviation == ""


def test_enough_losing_trades_failed_and_enough_winning_ones_worked():
    rng = np.random.default_rng(4)
    bad = [(10 + k % 10, "bad", float(r), float(r)) for k, r in enumerate(rng.normal(-0.8, 0.5, 30))]
    good = [(10 + k % 10, "good", float(r), float(r)) for k, r in enumerate(rng.normal(0.8, 0.5, 30))]
    made = found(bad + good, 15, 19, 10)
    assert (made["playbook", "bad"].verdict, made["playbook", "good"].verdict) == ("failed", "worked")
    assert made["playbook", "bad"].window.r_high < 0.0 < made["playbook", "good"].window.r_low
    assert made["portfolio", ""].p_result is None  # the whole is no member of the family


def test_few_trades_that_went_quite_otherwise_than_a_long_past_deviate():
    past = [(k % 20, "a", (-1.0, 1.0)[k % 4 == 0], (-1.0, 1.0)[k % 4 == 0]) for k in range(80)]
    one = found([*past, *((30, "a", 1.0, 1.0) for _ in range(8))], 30, 34, 10)["playbook", "a"]
    assert (one.verdict, one.deviation, one.window.n) == ("deviates", "better", 8)


def test_trades_without_a_stop_count_as_trades_and_not_in_r():
    one = found([(12, "a", np.nan, 5.0), (13, "a", 1.0, 5.0)], 10, 14, 10)["playbook", "a"]
    assert (one.window.n, one.window.with_r, one.window.mean_r) == (2, 1, 1.0)


def test_an_unknown_exchange_rate_makes_the_sum_unknown_and_no_smaller():
    one = found([(12, "a", 1.0, np.nan), (13, "a", 1.0, 5.0)], 10, 14, 10)["playbook", "a"]
    assert one.window.pnl is None


def test_no_trade_in_the_window_is_no_cluster():
    assert found([(1, "a", 1.0, 1.0)], 35, 39, 5) == {}


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 30), st.integers(0, 30))
def test_fisher_sums_the_hypergeometric_tail(wins, losses, wins_before, losses_before):
    n, n_before = wins + losses, wins_before + losses_before
    got = float(fisher(*(np.array([float(x)]) for x in (wins, n, wins_before, n_before)))[0])
    if not n or not n_before:
        assert np.isnan(got)
        return
    mass = [hypergeom.pmf(k, n + n_before, wins + wins_before, n) for k in range(n + 1)]
    assert got == pytest.approx(min(1.0, 2 * min(sum(mass[: wins + 1]), sum(mass[wins:]))), rel=1e-9)


def test_what_was_not_asked_is_no_test():
    p = np.array([0.01, np.nan, 0.04])
    assert adjusted(p)[[0, 2]] == pytest.approx(benjamini_hochberg([0.01, 0.04]))
    assert np.isnan(adjusted(p)[1])


@given(st.lists(st.tuples(st.integers(0, 39), st.sampled_from("abc"), st.floats(-3, 3), st.floats(-9, 9)), max_size=40), st.randoms())
def test_clusters_do_not_know_what_comes_later(rows, random):
    rows = sorted(rows, key=lambda row: row[0])
    known = [row for row in rows if row[0] <= 24]
    later = [(row[0] + 25 if row[0] <= 14 else row[0], *row[1:]) for row in rows if row[0] > 24]
    assert found(known + later, 20, 24, 15) == found(known, 20, 24, 15)
    for one in found(known, 20, 24, 15).values():
        assert one.period.n <= one.window.n
        assert (one.window.r_low is None) == (one.window.with_r < INTERVAL_MINIMUM)
        if one.window.r_low is not None:
            assert one.window.r_low <= one.window.mean_r + 1e-3
            assert one.window.mean_r <= one.window.r_high + 1e-3
