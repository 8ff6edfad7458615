"""What holds of the loop whatever the trades, the broker's troubles and the answers: money, order of approval, halts, replay, bytes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.broker.model import Filled
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.codec import from_bytes, to_bytes
from portfolio_platform.orchestrator.loop import replay, step
from portfolio_platform.orchestrator.loop_checks import buffer_state
from portfolio_platform.orchestrator.loop_model import LoopEvent, LoopState, Reported
from tests.unit.orchestrator.loop_examples import TERMS, VALUE, Desk, px, trade

costs_drawn = st.builds(
    BrokerTerms,
    seed=st.integers(0, 99),
    slippage=st.sampled_from([0, 2_000, 60_000]),
    fee=st.sampled_from([0, 500]),
    partial=st.sampled_from([0, 400_000]),
    reject=st.sampled_from([0, 200_000]),
    fail=st.sampled_from([0, 200_000]),
    unanswered=st.sampled_from([0, 100_000]),
)


@st.composite
def desks(draw: Any) -> Desk:
    """An execution played for some minutes, with answers by chance."""
    trades = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        sector = draw(st.sampled_from(["Materials", "Technology"]))
        side = draw(st.sampled_from(["buy", "buy", "buy", "sell"]))
        targets = draw(st.sampled_from([(), (px(104),), (px(104), px(108))]))
        trades.append(trade(f"t{number}", draw(st.integers(1, 90)), sector, side=side, targets=targets))
    desk = Desk(*trades, costs=draw(costs_drawn), cash=draw(st.integers(100, 400)))
    for _ in range(draw(st.integers(1, 12))):
        what = draw(st.sampled_from(["minute", "minute", "tick", "answer"]))
        if what == "minute":
            price = draw(st.integers(85, 115))
            desk.minute(price, price - draw(st.integers(0, 5)), price + draw(st.integers(0, 5)))
        elif what == "tick":
            desk.tick(draw(st.sampled_from([1, 5, 15, 130])))
        elif desk.state.escalations:
            name = draw(st.sampled_from([one.escalation_id for one in desk.state.escalations]))
            desk.answer(draw(st.sampled_from(["approve", "approve", "defer", "halt"])), name)
    return desk


@given(desks())
@settings(max_examples=60)
def test_the_loops_cash_is_the_brokers_and_the_ledger_of_its_fills(desk):
    spent = sum(10**12 - account.cash for account in desk.broker.state.accounts.values())
    fills = [one.event for one in desk.events if isinstance(one, Reported) and isinstance(one.event, Filled)]
    assert desk.state.figures.cash - desk.state.cash == spent
    assert spent == sum((one.notional if one.side == "buy" else -one.notional) + one.fee for one in fills)
    assert sum(one.filled for one in desk.state.trades) == sum(one.quantity for one in fills if one.client_order_id not in desk.state.exits)
    assert all(0 <= one.filled <= one.trade.quantity for one in desk.state.trades)


@given(desks())
@settings(max_examples=60)
def test_first_attempts_are_placed_in_the_order_of_approval_one_at_a_time(desk):
    taken = sorted((one.number, name) for name, one in desk.broker.state.orders.items() if name.count(".") == 2 and name.endswith(".1"))
    assert [name for _, name in taken] == sorted(name for _, name in taken)
    assert sum(one.status == "submitted" for one in desk.state.trades) <= 1


@given(desks())
@settings(max_examples=60)
def test_nothing_new_is_placed_while_an_answer_is_awaited_or_after_the_end(desk):
    state = LoopState()
    for event in desk.events:
        after, _ = step(TERMS, state, event)
        placed = sum(one.attempt for one in after.trades) - sum(one.attempt for one in state.trades)
        assert placed in (0, 1)
        if placed:
            assert not after.waiting and not state.ended_at
            # a trade follows a bad buffer only by somebody's leave
            last = after.log[-1:]
            if last and last[0].buffer_state == "at_risk" and last[0].at > after.figures.at:
                assert any(one.answer == "approve" for one in after.answers.values())
        state = after
    assert state == desk.state


@given(desks())
@settings(max_examples=60)
def test_buffer_states_in_the_log_are_those_of_the_cash_at_that_time(desk):
    for entry in desk.state.log:
        lower = entry.buffer * VALUE // 1_000_000
        assert buffer_state(lower, VALUE, TERMS) == entry.buffer_state


@given(desks(), st.data())
@settings(max_examples=60)
def test_an_event_that_comes_twice_changes_nothing_and_a_replay_from_any_bytes_ends_the_same(desk, data):
    cut = data.draw(st.integers(0, len(desk.events)))
    before = replay(TERMS, desk.events[:cut])
    if cut:
        again, commands = step(TERMS, before, desk.events[cut - 1])
        assert (again, commands) == (before, ())
    resumed = from_bytes(to_bytes(before, LoopState), LoopState)
    kept = [from_bytes(to_bytes(one, LoopEvent), LoopEvent) for one in desk.events[cut:]]
    assert to_bytes(replay(TERMS, kept, resumed), LoopState) == to_bytes(desk.state, LoopState)
