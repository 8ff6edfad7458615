"""The paper broker by hand: when an order fills, at what price, and how it ends."""

import pytest

from portfolio_platform.broker.interface import PaperBroker
from portfolio_platform.broker.model import UNIT, BarClosed, Cancel, CashMoved, Filled, Place, Replace
from portfolio_platform.broker.state import forgotten, state_bytes, state_of
from portfolio_platform.broker.terms import BrokerTerms, Injection
from tests.unit.broker.broker_examples import FREE, MINUTE, START, account, bar, changes, fills, order, place, played, px, step


def test_a_market_order_fills_at_the_open_of_the_next_bar_not_at_the_bar_of_its_decision():
    decided = bar(0, 100, 104, 99, 103)
    _, events = played([decided, order(decided_at=decided.ts), bar(1, 105, 109, 104, 108)])
    assert fills(events) == [("o1", "buy", 100, 105)]
    assert changes(events) == [("o1", "new", "accepted")]


def test_an_order_decided_inside_a_bar_does_not_fill_at_that_bars_open():
    _, events = played([order(decided_at=START + 1), bar(0, 100, 104, 99, 103), bar(1, 105, 109, 104, 108)])
    assert fills(events) == [("o1", "buy", 100, 105)]


@pytest.mark.parametrize(
    ("side", "kind", "price", "candle", "filled"),
    [
        ("buy", "limit", 98, (100, 101, 98, 99), 98),  # touched
        ("buy", "limit", 97, (100, 101, 98, 99), None),  # not reached
        ("buy", "limit", 98, (96, 99, 95, 97), 96),  # opens through it: better
        ("sell", "limit", 103, (100, 103, 98, 99), 103),
        ("sell", "limit", 103, (105, 106, 104, 104), 105),
        ("sell", "target", 103, (100, 104, 98, 99), 103),
        ("sell", "stop", 95, (100, 101, 94, 96), 95),
        ("sell", "stop", 95, (93, 97, 92, 96), 93),  # gaps through it: worse
        ("sell", "stop", 93, (100, 101, 94, 96), None),
        ("buy", "stop", 103, (100, 104, 99, 101), 103),
        ("buy", "stop", 103, (106, 107, 105, 106), 106),
    ],
)
def test_a_resting_order_fills_at_its_price_or_at_the_open_that_gaps_through_it(side, kind, price, candle, filled):
    _, events = played([order(side=side, kind=kind, price=px(price)), bar(0, *candle)])
    assert [one[3] for one in fills(events)] == ([] if filled is None else [filled])


def test_a_bar_that_holds_stop_and_target_is_a_stop_and_says_that_it_was_ambiguous():
    exits = [order(name, "sell", name, price=px(price), group="g", reduces=True) for name, price in (("target", 110), ("stop", 95))]
    _, events = played([order(), bar(0, 100, 101, 99, 100), *exits, bar(1, 100, 112, 94, 100)])
    assert fills(events)[1:] == [("stop", "sell", 100, 95)]
    assert [one.ambiguous for one in events if isinstance(one, Filled)] == [False, True]
    assert ("target", "accepted", "cancelled") in changes(events)


def test_a_bar_that_opens_beyond_the_target_and_touches_the_stop_is_a_stop_as_the_reconciler_of_signals_says():
    exits = [order(name, "sell", name, price=px(price), group="g", reduces=True) for name, price in (("target", 110), ("stop", 95))]
    _, events = played([order(), bar(0, 100, 101, 99, 100), *exits, bar(1, 111, 112, 94, 100)])
    assert fills(events)[1:] == [("stop", "sell", 100, 95)]


def test_where_the_stop_is_filled_in_part_only_the_target_of_that_bar_stays_unfilled_all_the_same():
    exits = [order(name, "sell", name, price=px(price), group="g", reduces=True) for name, price in (("target", 110), ("stop", 95))]
    terms = BrokerTerms(injections=(Injection("partial", client_order_id="stop", share=400_000),))
    _, events = played([order(), bar(0, 100, 101, 99, 100), *exits, bar(1, 100, 112, 94, 100)], terms)
    assert fills(events)[1:] == [("stop", "sell", 40, 95)]


def test_exits_that_an_order_carries_guard_it_from_its_fill_on():
    entry = order(exit_stop=px(95), exit_target=px(110))
    state, events = played([entry, bar(0, 100, 101, 94, 96)])
    assert fills(events) == [("o1", "buy", 100, 100), ("o1/exit-stop", "sell", 100, 95)]
    assert not state.positions and not state.open_orders()
    state, events = played([entry, bar(0, 100, 112, 99, 111)])
    assert fills(events) == [("o1", "buy", 100, 100), ("o1/exit-target", "sell", 100, 110)]


def test_an_entry_inside_a_bar_is_stopped_but_takes_no_profit_in_that_bar_for_nobody_knows_what_came_first():
    entry = order(kind="limit", price=px(98), exit_stop=px(95), exit_target=px(102))
    _, events = played([entry, bar(0, 103, 104, 97, 100), bar(1, 100, 103, 99, 102)])
    assert fills(events) == [("o1", "buy", 100, 98), ("o1/exit-target", "sell", 100, 102)]
    _, events = played([entry, bar(0, 103, 104, 94, 100)])
    assert fills(events) == [("o1", "buy", 100, 98), ("o1/exit-stop", "sell", 100, 95)]


def test_a_stop_born_inside_a_bar_fills_at_its_price_not_at_an_open_that_came_before_it():
    entry = order(kind="stop", price=px(105), exit_stop=px(100))
    _, events = played([entry, bar(0, 98, 106, 97, 104)])
    assert fills(events) == [("o1", "buy", 100, 105), ("o1/exit-stop", "sell", 100, 100)]


def test_orders_of_a_group_share_one_quantity_so_that_no_more_is_sold_than_was_bought():
    exits = [
        order("stop", "sell", "stop", 100, price=px(95), group="g"),
        order("t1", "sell", "target", 60, price=px(105), group="g"),
        order("t2", "sell", "target", 40, price=px(110), group="g"),
    ]
    state, events = played([order(), bar(0, 100, 101, 99, 100), *exits, bar(1, 100, 106, 99, 105), bar(2, 100, 101, 90, 95)])
    assert fills(events)[1:] == [("t1", "sell", 60, 105), ("stop", "sell", 40, 95)]
    assert changes(events)[-2:] == [("t2", "accepted", "cancelled"), ("stop", "partially_filled", "cancelled")]
    assert not state.positions


def test_slippage_is_adverse_in_whole_ticks_and_only_at_the_market():
    terms = BrokerTerms(slippage=1_000)  # 10 basis points
    _, events = played([order("b"), order("s", "sell"), order("l", kind="limit", price=px(99)), bar(0, 100, 101, 98, 100)], terms)
    assert fills(events) == [("b", "buy", 100, 100.1), ("s", "sell", 100, 99.9), ("l", "buy", 100, 99)]
    assert terms.slipped(px(33.33), 1, 7) == 33_330_300_000_000_000_000  # 33.33023331, up to the tick of 0.0001


def test_drawn_slippage_depends_on_seed_order_and_bar_alone():
    terms = BrokerTerms(seed=7, slippage_spread=5_000)
    alone = fills(played([order(), bar(0, 100, 101, 98, 100)], terms)[1])
    beside = fills(played([order("x", symbol="BBB"), bar(0, 50, 51, 49, 50, symbol="BBB"), order(), bar(0, 100, 101, 98, 100)], terms)[1])
    other = fills(played([order(), bar(0, 100, 101, 98, 100)], BrokerTerms(seed=8, slippage_spread=5_000))[1])
    assert alone[0] == beside[1] and alone != other
    assert 100 <= alone[0][3] <= 100.51


def test_fees_are_a_share_with_a_minimum_rounded_up_and_cash_moves_by_notional_and_fee():
    state, events = played([order(), bar(0, 100.01, 101, 98, 100)], BrokerTerms(fee=333))
    assert [(one.notional, one.fee) for one in events if isinstance(one, Filled)] == [(1_000_100, 334)]  # 333.0333 cents
    assert state.accounts["A"].cash == 100_000_000 - 1_000_100 - 334
    _, events = played([order(), bar(0, 100, 101, 98, 100)], BrokerTerms(fee=1, fee_minimum=99))
    assert next(one.fee for one in events if isinstance(one, Filled)) == 99


def test_fills_of_a_bar_take_no_more_than_their_share_of_its_volume_and_the_rest_waits_for_the_next():
    terms = BrokerTerms(participation=100_000)
    inputs = [order("a"), order("b", shares=50), bar(0, 100, 101, 99, 100, 1_205), bar(1, 102, 103, 101, 102, 9_000)]
    _, events = played(inputs, terms)
    assert fills(events) == [("a", "buy", 100, 100), ("b", "buy", 20, 100), ("b", "buy", 30, 102)]
    assert [one.after for one in events if isinstance(one, Filled)] == ["filled", "partially_filled", "filled"]
    assert fills(played([order(), bar(0, 100, 101, 99, 100, 0)], terms)[1]) == []
    assert fills(played([order(), bar(0, 100, 101, 99, 100)], terms)[1]) == [("o1", "buy", 100, 100)]  # volume not known


def test_partial_fills_are_drawn_from_the_seed_in_whole_lots():
    terms = BrokerTerms(seed=3, partial=1_000_000, partial_least=300_000)
    inputs = [order(), bar(0, 100, 101, 99, 100)]
    (first,) = fills(played(inputs, terms)[1])
    assert fills(played(inputs, terms)[1]) == [first]
    assert 30 <= first[2] < 100 and first[2] == int(first[2])


def test_a_stop_that_was_touched_and_filled_in_part_goes_on_at_the_market():
    terms = BrokerTerms(participation=100_000)
    stop = order("s", "sell", "stop", 100, price=px(95))
    _, events = played([stop, bar(0, 100, 101, 94, 99, 600), bar(1, 99, 100, 98, 99, 9_000)], terms)
    assert fills(events) == [("s", "sell", 60, 95), ("s", "sell", 40, 99)]


def test_placing_the_same_order_again_changes_nothing_and_its_id_with_other_content_is_ignored():
    state, _ = played([order()])
    again, events = step(FREE, state, place(order()))
    assert again is state and events == ()
    other, events = step(FREE, state, place(order(shares=200)))
    assert other is state and [type(one).__name__ for one in events] == ["Ignored"]


def test_a_replaced_order_placed_again_is_known_by_what_was_asked_first():
    state, _ = played([order(kind="limit", price=px(98)), Replace(START, "o1", price=px(97))])
    assert state.orders["o1"].order.price == px(97)
    assert step(FREE, state, place(order(kind="limit", price=px(98)))) == (state, ())


def test_a_replacement_is_seen_by_no_bar_that_opened_before_it():
    resting = order(kind="limit", price=px(90))
    _, events = played([resting, Replace(START + MINUTE // 2, "o1", price=px(99)), bar(0, 100, 101, 98, 100), bar(1, 100, 101, 98, 100)])
    assert [(one.at - START) // MINUTE for one in events if isinstance(one, Filled)] == [2]


@pytest.mark.parametrize("change", [{"quantity": 0}, {"quantity": UNIT // 2}, {"price": -1}])
def test_a_replacement_that_makes_no_order_is_ignored(change):
    state, events = played([order(kind="limit", price=px(90)), Replace(START, "o1", **change)])
    assert type(events[-1]).__name__ == "Ignored" and state.orders["o1"].order.price == px(90)


def test_cancelling_twice_is_cancelling_once_and_a_filled_order_cannot_be_cancelled():
    resting = order(kind="limit", price=px(90))
    state, events = played([resting, Cancel(START, "o1"), Cancel(START, "o1"), bar(0, 80, 81, 79, 80)])
    assert changes(events) == [("o1", "new", "accepted"), ("o1", "accepted", "cancelled")] and fills(events) == []
    state, events = played([order(), bar(0, 80, 81, 79, 80), Cancel(START, "o1"), Cancel(START, "nobody")])
    assert [one.subject for one in events[-2:]] == ["o1", "nobody"] and state.orders["o1"].state == "filled"


def test_an_order_expires_with_its_time_and_a_bar_that_closes_later_fills_it_at_its_open_only():
    end = START + MINUTE + MINUTE // 2
    resting = order(kind="limit", price=px(98), expires_at=end)
    _, events = played([resting, bar(0, 100, 101, 99, 100), bar(1, 100, 101, 97, 100)])
    assert fills(events) == [] and changes(events)[-1] == ("o1", "accepted", "expired")
    _, events = played([resting, bar(0, 100, 101, 99, 100), bar(1, 97, 101, 97, 100)])
    assert fills(events) == [("o1", "buy", 100, 97)]
    _, events = played([resting, bar(2, 97, 101, 97, 100)])
    assert fills(events) == []


@pytest.mark.parametrize(
    ("asked", "terms", "state", "reason"),
    [
        (order(shares=-1), FREE, account(), "lot"),
        (order(price=px(10)), FREE, account(), "price"),
        (order(kind="limit"), FREE, account(), "price"),
        (order(account="B"), FREE, account(), "no account"),
        (order("x/exit-stop"), FREE, account(), "exit"),
        (order(exit_stop=px(110), exit_target=px(90)), FREE, account(), "wrong side"),
        (order(), BrokerTerms(restricted=frozenset({"AAA"})), account(), "restriction list"),
        (order("s", "sell"), FREE, account(kind="cash"), "no more than it holds"),
        (order(kind="limit", price=px(100)), FREE, account(9_999, "cash"), "insufficient buying power"),
        (order(), BrokerTerms(injections=(Injection("reject", reason="margin call"),)), account(), "margin call"),
        (order(), BrokerTerms(reject=1_000_000), account(), "rejected by the broker"),
    ],
)
def test_an_order_that_cannot_be_is_rejected_with_the_reason(asked, terms, state, reason):
    state, events = played([asked, bar(0, 100, 101, 99, 100)], terms, state)
    assert changes(events) == [(asked.client_order_id, "new", "rejected")] and reason in events[0].reason
    assert fills(events) == [] and state.orders[asked.client_order_id].state == "rejected"


def test_a_cash_account_never_owes_a_gap_at_the_open_cancels_what_it_cannot_pay():
    state, events = played(
        [bar(0, 100, 101, 99, 100), order(decided_at=START + MINUTE), bar(1, 120, 121, 119, 120)], state=account(10_100, "cash")
    )
    assert fills(events) == [] and "does not pay" in state.orders["o1"].reason
    assert state.accounts["A"].cash == 1_010_000


def test_a_broker_that_cannot_be_reached_has_no_order_and_takes_it_when_it_is_placed_again():
    terms = BrokerTerms(injections=(Injection("fail", client_order_id="o1", times=2),))
    _, events = played([order(), order(), order(), bar(0, 100, 101, 99, 100)], terms)
    assert [type(one).__name__ for one in events] == ["Failed", "Failed", "Changed", "Filled"]


def test_an_unanswered_order_stays_new_and_can_be_cancelled():
    terms = BrokerTerms(injections=(Injection("unanswered"),))
    state, events = played([order(), bar(0, 100, 101, 99, 100)], terms)
    assert events == [] and state.orders["o1"].state == "new"
    assert changes(list(step(terms, state, Cancel(START + MINUTE, "o1"))[1])) == [("o1", "new", "cancelled")]


def test_an_order_that_reduces_goes_no_further_than_flat_and_ends_where_nothing_is_held():
    selling = order("s", "sell", "market", 150, reduces=True, decided_at=START + MINUTE)
    state, events = played([order(), bar(0, 100, 101, 99, 100), selling, bar(1, 100, 101, 99, 100), bar(2, 100, 101, 99, 100)])
    assert fills(events)[1:] == [("s", "sell", 100, 100)]
    assert state.orders["s"].state == "cancelled" and not state.positions


def test_a_bar_again_changes_nothing_and_an_older_or_impossible_one_is_ignored():
    state, _ = played([order(), bar(0, 100, 101, 99, 100), bar(1, 100, 101, 99, 100)])
    assert step(FREE, state, BarClosed(bar(1, 100, 101, 99, 100))) == (state, ())
    for wrong in (bar(0, 100, 101, 99, 100), bar(1, 100, 102, 99, 100), bar(2, 0, 101, 99, 100)):
        after, events = step(FREE, state, BarClosed(wrong))
        assert after is state and [type(one).__name__ for one in events] == ["Ignored"]


def test_money_moves_once_for_each_id_and_a_cash_account_pays_out_no_more_than_it_has():
    moves = [CashMoved(START, "m1", "A", 500), CashMoved(START, "m1", "A", 500), CashMoved(START, "m2", "A", -(10**12))]
    state, events = played(moves, state=account(kind="cash"))
    assert state.accounts["A"].cash == 100_000_500 and len(events) == 1


def test_a_multiplier_scales_the_notional_and_halves_of_a_cent_go_to_even():
    labels = order().labels._replace(multiplier=50 * UNIT, strategy="s")
    _, events = played([order(labels=labels), bar(0, 100, 101, 99, 100)])
    assert events[-1].notional == 50_000_000
    odd = order(shares=1)
    _, events = played([odd._replace(quantity=UNIT // 2), bar(0, 0.01, 0.01, 0.01, 0.01)], state=account())
    assert events[0].after == "rejected"  # half a lot
    _, events = played([odd._replace(quantity=UNIT // 2, lot=1), bar(0, 0.01, 0.01, 0.01, 0.01)])
    assert events[-1].notional == 0
    _, events = played([odd._replace(quantity=UNIT // 2, lot=1), bar(0, 0.03, 0.03, 0.03, 0.03)])
    assert events[-1].notional == 2


def test_the_interface_answers_with_events_and_goes_on_from_its_bytes():
    broker = PaperBroker(FREE, account())
    assert changes(list(broker.place(order(kind="limit", price=px(98)), START))) == [("o1", "new", "accepted")]
    broker = PaperBroker.resumed(FREE, broker.content())
    assert [one.order.client_order_id for one in broker.resting("AAA")] == ["o1"] and broker.resting("BBB") == ()
    assert type(broker.replace("o1", START, price=px(99))[0]).__name__ == "Replaced"
    assert fills(list(broker.on_bar(bar(0, 100, 101, 97, 100)))) == [("o1", "buy", 100, 99)]
    assert broker.cancel("o1", START)[0].reason.startswith("it is filled")


def test_ended_orders_are_forgotten_when_it_is_asked_and_open_ones_never():
    state, _ = played([order(), order("r", kind="limit", price=px(1)), bar(0, 100, 101, 99, 100)])
    left = forgotten(state, START + 10 * MINUTE)
    assert list(left.orders) == ["r"] and state_of(state_bytes(left)) == left


def test_an_input_that_is_none_is_refused():
    with pytest.raises(TypeError, match="no input of a broker"):
        step(FREE, account(), order())  # type: ignore[arg-type]
    assert Place(START, order()).order.sign == 1


def test_exits_that_are_filled_in_parts_are_filled_in_the_lots_of_their_entry():
    terms = BrokerTerms(seed=3, partial=1_000_000, partial_least=100_000)
    entry = order(exit_stop=px(95))
    falling = [bar(number, 94, 94, 93, 93) for number in range(20, 40)]
    _, events = played([entry, *(bar(number, 100, 101, 99, 100) for number in range(20)), *falling], terms)
    sold = [one for one in events if type(one).__name__ == "Filled" and one.side == "sell"]
    assert len(sold) > 2
    assert all(one.quantity % UNIT == 0 for one in sold)
