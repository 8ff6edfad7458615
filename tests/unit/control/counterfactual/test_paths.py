"""Trades traced from fills: by hand, against a plain account, and linear in the scales."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.control.counterfactual.paths import accounts, trace, valued
from portfolio_platform.control.counterfactual.record import Action
from tests.unit.control.counterfactual.examples import FUNDED, MONDAY, asked, at, fill, record

NAN = float("nan")


def three_fills():
    """Bought 100 at 100, sold 40 at 110 and 60 at 95; fees 10, 4 and 6; marks 102 and 108, then flat."""
    fills = [fill(1, 0, 100, 100.0, "i1", fee=10.0, stop=90.0), fill(2, 1, -40, 110.0, "i1", fee=4.0), fill(3, 2, -60, 95.0, "i1", fee=6.0)]
    return record([[102.0, 108.0, 96.0]], fills, [asked("i1", 0, 1_000.0)])


def test_three_fills_by_hand_in_full_and_by_half():
    past = three_fills()
    paths = trace(past)
    assert valued(past, paths, np.array([1.0])).tolist() == [100_190.0, 100_866.0, 100_080.0]
    assert valued(past, paths, np.array([0.5])).tolist() == [100_095.0, 100_433.0, 100_040.0]


def test_what_a_trade_made_is_realised_unrealised_and_fees():
    past = three_fills()
    made = accounts(past, trace(past), 0, 1)
    # 40 sold 10 above cost; 60 held 8 above cost
    assert (made.realised[0], made.unrealised[0], made.fees[0], made.pnl[0]) == pytest.approx((400.0, 480.0, 14.0, 866.0))
    later = accounts(past, trace(past), 2, 2)
    assert (later.realised[0], later.unrealised[0], later.fees[0], later.pnl[0]) == pytest.approx((-300.0, -480.0, 6.0, -786.0))
    assert made.traded[0] == pytest.approx(14_400.0)


def test_an_exit_closes_the_same_share_of_every_trade_in_the_position():
    fills = [fill(1, 0, 100, 100.0, "i1"), fill(2, 1, 50, 110.0, "i2"), fill(3, 2, -75, 120.0, "i1")]
    past = record([[100.0, 110.0, 120.0]], fills, [asked("i1", 0, 1_000.0), asked("i2", 1, 500.0)])
    paths = trace(past)
    rows = slice(int(paths.open.start[2]), int(paths.open.start[3]))
    assert paths.open.units[rows].tolist() == [50.0, 25.0]
    # without the second trade: 100 bought, half sold at 120, half held at 120
    assert valued(past, paths, np.array([1.0, 0.0]))[2] == pytest.approx(FUNDED + 2_000.0)


def test_a_flip_closes_at_the_old_trades_scale_and_opens_at_the_new_ones():
    fills = [fill(1, 0, 100, 100.0, "i1"), fill(2, 1, -150, 110.0, "i2", fee=15.0)]
    past = record([[100.0, 110.0, 90.0]], fills, [asked("i1", 0, 1_000.0), asked("i2", 1, 500.0, side="short")])
    paths = trace(past)
    step = paths.steps[1]
    assert (step.closed, step.opened, step.trade) == (100 * 10**18, 50 * 10**18, 1)
    # two thirds of the fee belong to what was closed
    assert valued(past, paths, np.array([1.0, 0.0]))[2] == pytest.approx(FUNDED + 1_000.0 - 10.0)
    assert valued(past, paths, np.array([0.0, 1.0]))[2] == pytest.approx(FUNDED + 50 * 20.0 - 5.0)


def test_a_split_and_a_dividend_belong_to_the_trades_that_hold_the_shares():
    fills = [fill(1, 0, 100, 100.0, "i1"), fill(2, 2, -300, 60.0, "i1")]
    actions = [Action(at(1, 1.0), 0, 3.0, 0.0), Action(at(1, 2.0), 0, 1.0, 0.5)]
    past = record([[100.0, 40.0, 60.0]], fills, [asked("i1", 0, 1_000.0)], actions)
    paths = trace(past)
    assert valued(past, paths, np.ones(1)).tolist() == [FUNDED, FUNDED + 2_150.0, FUNDED + 8_150.0]
    assert valued(past, paths, np.full(1, 0.5))[2] == FUNDED + 4_075.0


def test_another_currency_is_taken_at_each_sessions_rate():
    fills = [fill(1, 0, 100, 100.0, "i1", fee=8.0)]
    past = record([[100.0, 110.0]], fills, [asked("i1", 0, 1_000.0)], fx=[[1.5, 2.0]], multipliers=[2.0])
    # cash of -20,008 and a value of 22,000, both at 2
    assert valued(past, trace(past), np.ones(1)) == pytest.approx(past.equity)
    assert past.equity[1] == pytest.approx(FUNDED + 1_992.0 * 2.0)


def test_fills_of_no_known_intent_are_one_trade_of_their_position():
    past = record([[100.0, 110.0]], [fill(1, 0, 10, 100.0), fill(2, 0, 10, 100.0, "unheard")], [])
    paths = trace(past)
    assert (paths.size, paths.intent.tolist()) == (1, [-1])


def test_a_record_without_fills_is_its_money():
    past = record([[100.0, 110.0]])
    assert valued(past, trace(past), np.empty(0)).tolist() == [FUNDED, FUNDED]


def test_a_record_cut_at_a_day_holds_nothing_later():
    past = three_fills()
    cut = past.until(MONDAY)
    assert (cut.sessions, len(cut.fills), len(cut.asked), cut.marks.shape, cut.fx.shape) == (1, 1, 1, (1, 1), (1, 1))
    assert set(cut.risks.session.tolist()) == {0}
    assert {len(one) for one in (cut.days, cut.equity, cut.net_flow, cut.weighted_flow, cut.reasons, cut.other, cut.buckets)} == {1}


@st.composite
def ledgers(draw):
    """Two positions, up to twelve fills of up to four intents, some of them flips and scale-ins."""
    sessions = 5
    prices = [draw(st.lists(st.integers(50, 150), min_size=sessions, max_size=sessions)) for _ in range(2)]
    names = ["", "i1", "i2", "i3", "i4"]
    some = st.tuples(
        st.integers(0, sessions - 1), st.integers(-40, 40).filter(bool), st.integers(50, 150), st.sampled_from(names), st.integers(0, 1)
    )
    drawn = sorted(draw(st.lists(some, min_size=1, max_size=12)), key=lambda one: one[0])
    fills = [
        fill(number, session, quantity, float(price), name, fee=1.0, position=place)
        for number, (session, quantity, price, name, place) in enumerate(drawn)
    ]
    return record(prices, fills, [asked(name, 0, 1_000.0) for name in names[1:]], multipliers=[1.0, 3.0])


@given(ledgers())
def test_at_full_size_the_path_is_that_of_a_plain_account(past):
    paths = trace(past)
    assert valued(past, paths, np.ones(paths.size)) == pytest.approx(past.equity, rel=1e-12)
    assert valued(past, paths, np.zeros(paths.size)).tolist() == [FUNDED] * past.sessions


@given(ledgers(), st.integers(0, 3), st.floats(0.0, 3.0))
def test_the_path_is_linear_in_the_scale_of_one_trade(past, which, scale):
    paths = trace(past)
    at_full, without, scaled = (np.ones(paths.size) for _ in range(3))
    without[which % paths.size], scaled[which % paths.size] = 0.0, scale
    whole, none, found = (valued(past, paths, scales) for scales in (at_full, without, scaled))
    assert found == pytest.approx(none + scale * (whole - none), abs=1e-6)


@given(ledgers(), st.integers(0, 4), st.integers(0, 4))
def test_what_trades_made_sums_to_the_change_of_equity(past, one, other):
    first, last = sorted((one, other))
    made = accounts(past, trace(past), first, last)
    before = past.equity[first - 1] if first else FUNDED
    assert made.pnl.sum() == pytest.approx(past.equity[last] - before, abs=1e-6)
    assert made.pnl == pytest.approx(made.realised + made.unrealised - made.fees, abs=1e-6)
