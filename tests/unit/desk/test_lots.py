"""Lots going on from a saved state: first in first out, in exact decimals, held against a plain oracle."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.desk.lots import Book, Dividend, Filled, Key, Lot, Moved, Split, netted

D = Decimal
KEY = Key("trend", "AAA", "USD")
OTHER = Key("value", "AAA", "USD")


def fill(at: int, quantity: str, price: str = "10", *, fee: str = "0", key: Key = KEY, multiplier: str = "1") -> Filled:
    return Filled(at, key, D(quantity), D(price), D(multiplier), D(fee), f"f{at}")


def after(*happened: Filled | Moved | Split | Dividend) -> Book:
    book = Book()
    book.go_on(happened)
    return book


def test_a_sale_takes_the_oldest_lot_first_and_the_cash_is_that_of_the_fills() -> None:
    book = after(fill(1, "100", "10", fee="1.5"), fill(2, "50", "12"), fill(3, "-120", "11", fee="0.25"))
    assert book.lots[KEY] == [Lot(D(30), D(12), 2, "f2")]
    assert book.cash == {"USD": D("-1000") - D("1.5") - 600 + 1320 - D("0.25")}


def test_a_fill_beyond_the_position_turns_it() -> None:
    book = after(fill(1, "10"), fill(2, "-25", "11"))
    assert book.lots[KEY] == [Lot(D(-15), D(11), 2, "f2")]
    assert after(fill(1, "10"), fill(2, "-10")).lots[KEY] == []


def test_order_is_that_of_time_not_of_the_rows() -> None:
    assert after(fill(2, "-5", "12"), fill(1, "10")).lots == after(fill(1, "10"), fill(2, "-5", "12")).lots


def test_a_split_is_in_force_before_the_fills_of_its_instant_and_keeps_the_cost() -> None:
    book = after(fill(1, "10", "90"), Split(5, "AAA", D(3)), fill(5, "30", "30"))
    assert book.lots[KEY] == [Lot(D(30), D(30), 1, "f1"), Lot(D(30), D(30), 5, "f5")]


def test_a_dividend_is_paid_for_what_is_held_and_paid_by_who_is_short() -> None:
    assert after(fill(1, "10", "0.01"), Dividend(2, "AAA", D("0.5"), D(2))).cash["USD"] == D("-0.1") + 10
    assert after(fill(1, "-10", "0.01"), Dividend(2, "AAA", D("0.5"), D(1))).cash["USD"] == D("0.1") - 5


def test_a_contract_is_paid_with_its_multiplier() -> None:
    assert after(fill(1, "2", "10", multiplier="50", fee="3")).cash["USD"] == D("-1003")


def test_strategies_that_oppose_each_other_are_set_off_oldest_first() -> None:
    book = after(fill(1, "10"), fill(2, "20"), fill(3, "-15", key=OTHER))
    (held,) = netted(book.lots)
    assert (held.lots, held.short, held.opposed) == ((Lot(D(15), D(10), 2, "f2"),), D(0), D(15))
    (held,) = netted(after(fill(1, "10"), fill(3, "-15", key=OTHER)).lots)
    assert (held.lots, held.short, held.opposed) == ((), D(5), D(10))
    assert netted(after(fill(1, "10"), fill(3, "-10", key=OTHER)).lots) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-40, 40).filter(bool), st.integers(1, 9)), max_size=20))
def test_lots_add_up_to_the_fills_and_are_those_of_a_queue_of_single_shares(fills: list[tuple[int, int]]) -> None:
    book = after(*(fill(at, str(quantity), str(price)) for at, (quantity, price) in enumerate(fills)))
    queue: list[tuple[int, int, int]] = []  # sign, price, time of single shares
    for at, (quantity, price) in enumerate(fills):
        sign = 1 if quantity > 0 else -1
        for _ in range(abs(quantity)):
            if queue and queue[0][0] != sign:
                queue.pop(0)
            else:
                queue.append((sign, price, at))
    lots = book.lots.get(KEY, [])
    assert [(1 if lot.quantity > 0 else -1, int(lot.price), lot.opened_at) for lot in lots for _ in range(int(abs(lot.quantity)))] == queue
    assert book.cash.get("USD", D(0)) == -sum(quantity * price for quantity, price in fills)
