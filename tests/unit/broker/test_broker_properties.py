"""What holds of the paper broker whatever is asked of it, on random orders, bars, costs and troubles."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.broker.model import UNIT, Bar, BarClosed, Cancel, Filled, Ignored, Input, Labels, Order, Place, Replace
from portfolio_platform.broker.state import Account, opened, state_bytes, state_of
from portfolio_platform.broker.step import run, step
from portfolio_platform.broker.terms import BrokerTerms
from tests.unit.broker.broker_examples import MINUTE, START, px

SYMBOLS = ("AAA", "BBB")
prices = st.integers(80, 120).map(px)
terms_drawn = st.builds(
    BrokerTerms,
    seed=st.integers(0, 99),
    slippage=st.sampled_from([0, 500, 20_000]),
    slippage_spread=st.sampled_from([0, 3_000]),
    fee=st.sampled_from([0, 333]),
    fee_minimum=st.sampled_from([0, 99]),
    participation=st.sampled_from([0, 100_000]),
    partial=st.sampled_from([0, 500_000]),
    reject=st.sampled_from([0, 100_000]),
    fail=st.sampled_from([0, 200_000]),
)


@st.composite
def orders(draw: Any, number: int, at: int) -> Order:
    kind = draw(st.sampled_from(["market", "market", "limit", "stop", "target"]))
    side = draw(st.sampled_from(["buy", "sell"]))
    sign = 1 if side == "buy" else -1
    guarded = draw(st.booleans())
    return Order(
        client_order_id=f"o{number}",
        account=draw(st.sampled_from(["margin", "cash"])),
        symbol=draw(st.sampled_from(SYMBOLS)),
        side=side,
        kind=kind,
        quantity=draw(st.integers(1, 300)) * UNIT,
        decided_at=at,
        price=0 if kind == "market" else draw(prices),
        expires_at=draw(st.sampled_from([0, at + 3 * MINUTE])),
        group=draw(st.sampled_from(["", "", "g"])),
        lot=draw(st.sampled_from([1, UNIT])),
        reduces=draw(st.booleans()),
        exit_stop=px(100 - 9 * sign) if guarded else 0,
        exit_target=px(100 + 9 * sign) if guarded else 0,
        labels=Labels(strategy=draw(st.sampled_from(["s", "t"]))),
    )


@st.composite
def histories(draw: Any) -> list[Input]:
    """Minutes with orders, cancellations and replacements, then a bar of each symbol."""
    given_in: list[Input] = []
    for minute in range(draw(st.integers(2, 8))):
        at = START + minute * MINUTE
        for number in range(draw(st.integers(0, 3))):
            given_in.append(Place(at, draw(orders(10 * minute + number, at))))
        if minute and draw(st.booleans()):
            name = f"o{draw(st.integers(0, 10 * minute))}"
            given_in.append(
                draw(st.sampled_from([Cancel(at, name), Replace(at, name, price=px(101)), Replace(at, name, quantity=50 * UNIT)]))
            )
        for symbol in SYMBOLS:
            given_in.append(BarClosed(draw(bars(symbol, at))))
    return given_in


@st.composite
def bars(draw: Any, symbol: str, opens_at: int) -> Bar:
    first, close = draw(prices), draw(prices)
    high, low = max(first, close, draw(prices)), min(first, close, draw(prices))
    return Bar(symbol, opens_at, opens_at + MINUTE, first, high, low, close, draw(st.sampled_from([None, 0, 500 * UNIT, 2_000 * UNIT])))


def begun() -> Any:
    return opened({"margin": Account(10_000_000, "margin"), "cash": Account(2_000_000, "cash")}, START)


@given(histories(), terms_drawn)
@settings(max_examples=80)
def test_no_fill_happens_before_or_at_the_bar_of_the_decision(history, terms):
    decided = {}
    for one in history:
        if isinstance(one, Place):
            decided.setdefault(one.order.client_order_id, one.order.decided_at)
    opens = {(one.bar.symbol, one.bar.ts): one.bar.opens_at for one in history if isinstance(one, BarClosed)}
    for fill in (one for one in run(terms, begun(), history)[1] if isinstance(one, Filled)):
        assert opens[fill.symbol, fill.at] >= decided[fill.client_order_id.split("/")[0]]
        assert fill.at > fill.decided_at


@given(histories(), terms_drawn)
@settings(max_examples=80)
def test_fills_never_exceed_the_order_and_exits_never_exceed_what_was_filled(history, terms):
    state, events = run(terms, begun(), history)
    filled: dict[str, int] = {}
    for one in events:
        if isinstance(one, Filled):
            assert one.quantity > 0 and one.price > 0 and one.left >= 0
            filled[one.client_order_id] = filled.get(one.client_order_id, 0) + one.quantity
    for name, quantity in filled.items():
        assert quantity == state.orders[name].filled <= state.orders[name].order.quantity
        assert (quantity == state.orders[name].order.quantity) == (state.orders[name].state == "filled")
    for name in {name.split("/")[0] for name in filled}:
        out = sum(quantity for other, quantity in filled.items() if other.startswith(f"{name}/exit-"))
        assert out <= filled.get(name, 0)


@given(histories(), terms_drawn)
@settings(max_examples=80)
def test_cash_and_quantity_are_conserved_and_a_cash_account_neither_owes_nor_sells_short(history, terms):
    state = begun()
    cash = {name: account.cash for name, account in state.accounts.items()}
    held: dict[tuple[str, str, str], int] = {}
    for given_in in history:
        state, events = step(terms, state, given_in)
        for one in events:
            if isinstance(one, Filled):
                sign = 1 if one.side == "buy" else -1
                cash[one.account] -= sign * one.notional + one.fee
                key = (one.account, one.labels.strategy, one.symbol)
                held[key] = held.get(key, 0) + sign * one.quantity
        assert {name: account.cash for name, account in state.accounts.items()} == cash
        assert dict(state.positions) == {key: quantity for key, quantity in held.items() if quantity}
        assert cash["cash"] >= 0
        assert all(quantity > 0 for key, quantity in state.positions.items() if key[0] == "cash")


@given(histories(), terms_drawn, st.data())
@settings(max_examples=80)
def test_other_bars_after_a_time_change_nothing_up_to_it(history, terms, data):
    times = sorted({one.bar.ts for one in history if isinstance(one, BarClosed)})
    until = data.draw(st.sampled_from(times))
    other = [
        BarClosed(data.draw(bars(one.bar.symbol, one.bar.opens_at))) if isinstance(one, BarClosed) and one.bar.ts > until else one
        for one in history
    ]
    kept = [[one for one in run(terms, begun(), chosen)[1] if one.at <= until] for chosen in (history, other)]
    assert kept[0] == kept[1]


@given(histories(), terms_drawn, st.data())
@settings(max_examples=80)
def test_a_run_that_is_killed_anywhere_and_goes_on_from_its_bytes_ends_with_the_same_bytes(history, terms, data):
    state, events = run(terms, begun(), history)
    cut = data.draw(st.integers(0, len(history)))
    before, first = run(terms, begun(), history[:cut])
    after, second = run(terms, state_of(state_bytes(before)), history[cut:])
    assert state_bytes(after) == state_bytes(state) and [*first, *second] == events


@given(histories(), terms_drawn, st.data())
@settings(max_examples=80)
def test_inputs_that_come_twice_change_nothing(history, terms, data):
    # an order that never reached the broker may be placed again, and is then a new attempt
    terms = replace(terms, fail=0)
    state = begun()
    for given_in in history:
        state, _ = step(terms, state, given_in)
        repeated, events = step(terms, state, given_in)
        assert repeated is state and all(isinstance(one, Ignored) for one in events)
    assert state_bytes(state) == state_bytes(run(terms, begun(), history)[0])


@given(histories(), terms_drawn)
@settings(max_examples=40)
def test_what_happens_to_one_symbol_in_a_margin_account_changes_nothing_of_another(history, terms):
    def of(symbol: str, history: list[Input]) -> list[Any]:
        return [one for one in run(terms, begun(), history)[1] if getattr(one, "symbol", "") == symbol]

    plain = [
        one._replace(order=one.order._replace(account="margin", group="")) if isinstance(one, Place) else one
        for one in history
        if not isinstance(one, (Cancel, Replace))
    ]
    alone = [one for one in plain if (one.order.symbol if isinstance(one, Place) else one.bar.symbol) == "AAA"]
    assert of("AAA", plain) == of("AAA", alone)
