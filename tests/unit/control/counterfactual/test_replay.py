"""The replay by hand: what a decision scales, what is known when, and what is said of the refused."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.control.counterfactual.compare import counterfactual
from portfolio_platform.control.counterfactual.outcome import shares
from portfolio_platform.control.counterfactual.record import Action
from portfolio_platform.control.counterfactual.replay import Assumptions, Prepared, replay
from portfolio_platform.control.counterfactual.thresholds import without_limits
from portfolio_platform.errors import WrongUse
from portfolio_platform.policy.load import default_policy
from tests.unit.control.counterfactual.examples import FUNDED, HOUR, MONDAY, asked, at, fill, policy, record
from tests.unit.control.counterfactual.test_paths import three_fills


def ran(past, chosen, assumptions=None, first=None, last=None):
    return counterfactual(Prepared.of(past), chosen, past.window(first, last), assumptions)


def test_a_clipped_intent_scales_its_trade_and_everything_that_follows():
    """The symbol's cap of 0.5 % leaves 500 of the 1,000 that were asked: half of each fill, by hand."""
    found = ran(three_fills(), policy(control__symbol_risk=0.005))
    only = found.outcomes[0]
    assert (only.decision.code, only.decision.approved_risk, only.scale, only.fate) == ("approved_clipped", 50_000, 0.5, "scaled")
    assert [day.equity for day in found.days] == [100_095.0, 100_433.0, 100_040.0]
    assert [day.equity_then for day in found.days] == [100_190.0, 100_866.0, 100_080.0]
    assert (found.now.pnl, found.now.fees, found.now.realised, found.then.realised) == pytest.approx((40.0, 10.0, 50.0, 100.0))
    # 50 units at a mark of 102, over the equity of the scaled path; half of the exposure is at risk here
    assert (found.days[0].gross, found.days[0].heat) == pytest.approx((5_100.0 / 100_095.0, 2_550.0 / 100_095.0))
    assert (found.refusals.clipped, found.refusals.share, found.refusals.missed, found.refusals.avoided) == pytest.approx(
        (1, 0.5, 40.0, 0.0)
    )
    assert [(rule.rule, rule.clipped, rule.risk, rule.missed) for rule in found.rules] == [("symbol", 1, 500.0, 40.0)]


def test_every_decision_has_all_of_its_headrooms_and_a_refused_trade_is_gone():
    found = ran(three_fills(), policy(control__symbol_risk=0.0))
    only = found.outcomes[0]
    assert (only.decision.code, only.fate, only.scale, only.kept) == ("rejected_symbol_cap", "refused", 0.0, 0.0)
    assert [room.rule for room in only.decision.headrooms[:3]] == ["heat", "symbol", "cohort"]
    assert [day.equity for day in found.days] == [FUNDED] * 3
    assert (found.now.trades, found.then.trades, found.refusals.refused_trades) == (0, 1, 1)
    assert {day.gross for day in found.days} == {0.0}


@pytest.mark.parametrize("session", [0, 1])
def test_without_limits_the_past_comes_out_as_it_was(session):
    past = three_fills()
    found = ran(past, without_limits(default_policy()), first=past.day(session))
    assert [day.equity for day in found.days] == [day.equity_then for day in found.days]
    assert found.now == found.then
    assert (found.rules, found.refusals.share) == ((), 0.0)


def test_an_intent_sees_the_facts_of_the_session_before_and_not_those_of_its_own():
    """Equity falls by a tenth on the second day; a cap of 1 % is 1,000 that day and 900 on the next."""
    fills = [fill(1, 0, 100, 100.0, "i1"), fill(2, 1, -100, 1.0, "i1")]
    intents = [asked("i1", 0, 100.0), asked("same", 1, 5_000.0, 0.0, 23.9), asked("next", 2, 5_000.0, 0.0, 0.01)]
    past = record([[100.0, 1.0, 1.0]], fills, intents)
    found = ran(past, policy(control__symbol_risk=0.01, drawdown__regime__defensive_drawdown=0.9, drawdown__regime__risk_off_drawdown=0.9))
    assert [one.decision.equity for one in found.outcomes] == [10_000_000, 10_000_000, 9_010_000]
    caps = [next(room.limit for room in one.decision.headrooms if room.rule == "symbol") for one in found.outcomes]
    assert caps == [100_000, 100_000, 90_100]


def test_an_intent_of_the_instant_of_a_fill_does_not_know_of_it_yet():
    """What the fill closes is free for the next intent, and not for the one that was sent at the same time."""
    intents = [asked("i1", 0, 1_000.0), asked("now", 1, 1_000.0, 0.0, 15.0 + 2 / HOUR), asked("later", 1, 1_000.0, 0.0, 16.0)]
    fills = [fill(1, 0, 100, 100.0, "i1", stop=90.0), fill(2, 1, -100, 100.0, "i1")]
    past = record([[100.0, 100.0]], fills, intents, stops=[90.0])
    assert intents[1].intent.ts == fills[1].ts
    found = ran(past, policy(control__symbol_risk=0.01))
    assert [one.decision.code for one in found.outcomes[1:]] == ["rejected_symbol_cap", "approved_full"]


def test_what_is_reserved_binds_until_its_fill_and_what_never_fills_until_it_expires():
    """1,000 of 1,500 are reserved; the rest goes to the next intent. Four days later what did not fill is free again."""
    intents = [asked("i1", 0, 1_000.0), asked("i2", 0, 1_000.0, hour=14.5), asked("late", 5, 1_000.0)]
    past = record([[100.0] * 6], [], intents)
    found = ran(past, policy(control__symbol_risk=0.015, control__cohort_risk=1.0, control__template_risk=1.0))
    assert [one.decision.approved_risk for one in found.outcomes] == [100_000, 50_000, 100_000]
    assert [round(day.reserved, 6) for day in found.days] == [0.015, 0.015, 0.015, 0.015, 0.0, 0.01]


def test_an_intent_that_was_refused_then_changes_nothing_and_is_counted():
    """It would be granted in full, but there is no fill to follow: it reserves nothing, so the next one has all the room."""
    intents = [asked("then", 0, 1_000.0, 0.0), asked("i1", 0, 1_000.0, hour=14.5)]
    past = record([[102.0, 108.0]], [fill(1, 0, 100, 100.0, "i1", stop=90.0)], intents)
    found = ran(past, policy(control__symbol_risk=0.01))
    assert [one.fate for one in found.outcomes] == ["not_traded", "kept"]
    assert (found.refusals.no_fill, found.refusals.no_fill_risk) == (1, 1_000.0)
    assert [day.equity for day in found.days] == [day.equity_then for day in found.days]


def test_a_grant_above_that_of_then_keeps_the_trade_as_it_was_unless_told_otherwise():
    past = record([[102.0, 108.0]], [fill(1, 0, 50, 100.0, "i1", stop=90.0)], [asked("i1", 0, 1_000.0, 500.0)])
    capped, grown = ran(past, default_policy()), ran(past, default_policy(), Assumptions(most=3.0))
    assert (capped.outcomes[0].scale, capped.refusals.above) == (1.0, 1)
    assert (grown.outcomes[0].scale, grown.now.pnl) == (2.0, 2 * capped.now.pnl)
    assert grown.days[0].gross > capped.days[0].gross


def test_closing_is_never_refused_and_a_refused_reversal_still_closes():
    intents = [asked("i1", 0, 1_000.0), asked("i2", 1, 1_000.0, side="short")]
    fills = [fill(1, 0, 100, 100.0, "i1", stop=90.0), fill(2, 1, -200, 110.0, "i2", stop=120.0)]
    past = record([[100.0, 110.0, 130.0]], fills, intents)
    found = ran(past, policy(control__new_positions=1, control__symbol_risk=0.0101))
    # the position is there, so one more in it needs no place: its own cap refuses what the long has used up
    assert [one.fate for one in found.outcomes] == ["kept", "refused"]
    assert [day.equity for day in found.days] == [FUNDED, FUNDED + 1_000.0, FUNDED + 1_000.0]
    assert found.days[1].gross == 0.0


def test_the_regime_follows_the_counterfactual_equity_or_the_recorded_one():
    """The trade loses 12 %. At a tenth of its size nothing is in drawdown, and the next intent is decided in normal mode."""
    intents = [asked("i1", 0, 1_000.0), asked("i2", 3, 100.0)]
    fills = [fill(1, 0, 1_000, 100.0, "i1", stop=99.0), fill(2, 1, -1_000, 88.0, "i1"), fill(3, 3, 10, 88.0, "i2", stop=78.0)]
    past = record([[100.0, 88.0, 88.0, 88.0]], fills, intents, stops=[99.0])
    small = policy(control__symbol_risk=0.001)
    own, recorded = ran(past, small), ran(past, small, Assumptions("recorded"))
    assert [one.decision.mode for one in own.outcomes] == ["normal", "normal"]
    assert [one.decision.mode for one in recorded.outcomes] == ["normal", "risk_off"]
    assert (recorded.rules[-1].rule, recorded.rules[-1].refused) == ("risk_off", 1)
    assert (own.then.risk_off_sessions, own.now.risk_off_sessions) == (3, 0)


def test_the_mode_takes_its_part_before_a_cap_takes_the_rest():
    """8 % down is defensive: half of 4,000; the symbol's cap of 1 % of 92,000 leaves 920 of that."""
    intents = [asked("i1", 0, 100.0), asked("i2", 2, 4_000.0)]
    fills = [fill(1, 0, 1_000, 100.0, "i1", stop=99.9), fill(2, 1, -1_000, 92.0, "i1"), fill(3, 2, 100, 92.0, "i2", stop=52.0)]
    past = record([[100.0, 92.0, 93.0]], fills, intents, stops=[99.9])
    found = ran(past, policy(control__symbol_risk=0.01))
    decision = found.outcomes[1].decision
    assert (decision.mode, decision.scaled_risk, decision.approved_risk) == ("defensive", 200_000, 92_000)
    assert dict(shares(decision)) == {"mode": 200_000, "symbol": 108_000}
    # the trade gained 100 and keeps 23 %: what was missed is shared as the risk is
    assert {rule.rule: rule.missed for rule in found.rules} == pytest.approx({"mode": 77.0 * 200 / 308, "symbol": 77.0 * 108 / 308})


def test_a_window_begins_as_recorded_and_leaves_open_trades_as_they_are():
    intents = [asked("i1", 0, 1_000.0), asked("i2", 1, 1_000.0, template="other")]
    fills = [fill(1, 0, 100, 100.0, "i1", stop=90.0), fill(2, 1, 50, 100.0, "i2", stop=90.0), fill(3, 2, -150, 120.0, "i1")]
    past = record([[105.0, 110.0, 120.0]], fills, intents, stops=[90.0])
    found = ran(past, policy(control__symbol_risk=0.0), first=date(2008, 3, 4))
    assert [one.decision.intent_id for one in found.outcomes] == ["i2"]
    assert [day.equity for day in found.days] == [FUNDED + 1_000.0, FUNDED + 2_000.0]
    assert found.then.pnl - found.now.pnl == pytest.approx(1_000.0)
    # from the 100,500 of the day before
    assert (found.then.total_return, found.now.total_return) == pytest.approx((103_000 / 100_500 - 1, 102_000 / 100_500 - 1))
    assert (found.first, found.last) == (date(2008, 3, 4), date(2008, 3, 5))


def test_a_window_without_a_session_says_which_there_are():
    with pytest.raises(WrongUse, match="its sessions go from 2008-03-03 to 2008-03-05"):
        three_fills().window(date(2011, 1, 1), None)


def test_a_split_scales_what_is_held_at_both_sizes():
    fills = [fill(1, 0, 100, 100.0, "i1", stop=90.0), fill(2, 1, -100, 40.0, "i1"), fill(3, 2, -200, 40.0, "i1")]
    past = record([[100.0, 40.0, 40.0]], fills, [asked("i1", 0, 1_000.0)], [Action(at(1, 1.0), 0, 3.0, 0.0)])
    result = replay(Prepared.of(past), policy(control__symbol_risk=0.005), past.window(None, None))
    assert result.equity.tolist() == [FUNDED, FUNDED + 1_000.0, FUNDED + 1_000.0]
    assert [[one.quantity for one in stated.positions] for stated in result.stated] == [[50 * 10**18], [100 * 10**18], []]


def test_a_session_without_a_value_states_nothing_and_its_facts_grow_old():
    past = record([[100.0] * 8], [], [asked("i1", 7, 1_000.0)])
    blind = replace(past, equity=np.where(np.arange(8) > 0, np.nan, past.equity), other=np.where(np.arange(8) > 0, np.nan, past.other))
    found = ran(replace(blind, reasons=("", *["missing_fx_rate"] * 7)), default_policy())
    assert found.outcomes[0].decision.code == "rejected_stale_state"
    assert [(rule.rule, rule.refused, rule.risk) for rule in found.rules] == [("stale_state", 1, 1_000.0)]


def test_a_live_portfolio_stays_in_risk_off_for_nobody_lets_it_out():
    fills = [fill(1, 0, 1_000, 100.0, "i1", stop=99.0), fill(2, 1, -1_000, 80.0, "i1")]
    paper = record([[80.0] * 40], fills, [asked("i1", 0, 1_000.0)], stops=[99.0])
    chosen = policy(control__symbol_risk=1.0)
    assert ran(paper, chosen).days[-1].regime == "probation"
    assert ran(replace(paper, live=True), chosen).days[-1].regime == "risk_off"


def test_equal_input_gives_equal_bytes_and_they_hold_every_headroom():
    one, other = (ran(three_fills(), policy(control__symbol_risk=0.005)) for _ in range(2))
    assert (one.content, one.hash) == (other.content, other.hash)
    assert ran(three_fills(), policy(control__symbol_risk=0.006)).hash != one.hash
    said = json.loads(one.content)
    assert [room[0] for room in said["outcomes"][0]["decision"]["headrooms"]][:2] == ["heat", "symbol"]
    assert said["caveat"].startswith("First-order")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60), st.integers(80, 120)), min_size=1, max_size=6), st.floats(0.0, 0.02))
def test_no_cap_grants_more_than_it_and_the_share_is_between_nothing_and_all(trades, cap):
    """Whatever is traded: the risk granted in a symbol is at most its cap at that moment, and scales lie between 0 and 1."""
    intents, fills = [], []
    for number, (session, size, price) in enumerate(sorted(trades)):
        intents.append(asked(f"i{number}", session, size * 10.0, hour=10.0 + number * 0.1))
        fills.append(fill(number, session, size, float(price), f"i{number}", stop=price - 10.0))
    past = record([[100.0] * 6], fills, intents, stops=[70.0])
    found = replay(Prepared.of(past), policy(control__symbol_risk=cap, control__minimum_ticket=0.0), past.window(None, None))
    assert ((found.scales >= 0.0) & (found.scales <= 1.0)).all()
    for _, decision in found.decisions:
        room = next((one for one in decision.headrooms if one.rule == "symbol"), None)
        assert room is None or decision.approved_risk <= room.headroom


def test_the_first_day_is_known_by_the_first_money():
    found = ran(three_fills(), default_policy())
    assert found.outcomes[0].decision.equity == round(FUNDED * 100)
    assert found.outcomes[0].decision.facts_at == at(0, 9.0)
    assert found.first == MONDAY
