"""Stops and profit targets against bars: touched once, the stop first where a bar holds both, nothing from before the entry."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from portfolio_platform.orchestrator.executed import Protection
from portfolio_platform.orchestrator.exits import ExitWatch, PriceBar, distances, touches, unprotected, watches_of
from tests.unit.orchestrator.execution_examples import AT, approved, at, reported, row

WATCH = ExitWatch("X", "B01", "NEW", "C", Decimal(150), AT, Decimal(200), Decimal(180), (Decimal(220), Decimal(250)))


def bar(day: int, low: str, high: str, opens: datetime | None = None, ticker: str = "NEW") -> PriceBar:
    closes = AT + timedelta(days=day)
    return PriceBar(ticker, opens or closes - timedelta(days=1), closes, Decimal(low), Decimal(high), Decimal(low))


def found(*bars: PriceBar, watch: ExitWatch = WATCH, known=()) -> list[tuple[str, int, bool]]:
    return [(one.kind, int(one.level), one.both) for one in touches(watch, bars, known)]


@pytest.mark.parametrize(
    ("low", "high", "touched"),
    [
        ("180.01", "219.99", []),
        ("180", "210", [("stop", 180, False)]),
        ("190", "220", [("target", 220, False)]),
        ("190", "250", [("target", 220, False), ("target", 250, False)]),
        ("180", "220", [("stop", 180, True)]),
    ],
)
def test_a_low_at_the_stop_or_a_high_at_a_target_touches_it_and_both_are_the_stop(low, high, touched):
    assert found(bar(1, low, high)) == touched


def test_the_stop_ends_the_watch_and_so_does_the_last_target():
    assert found(bar(1, "170", "200"), bar(2, "190", "300")) == [("stop", 180, False)]
    assert found(bar(1, "190", "300"), bar(2, "100", "100")) == [("target", 220, False), ("target", 250, False)]
    assert found(bar(1, "190", "230"), bar(2, "180", "190")) == [("target", 220, False), ("stop", 180, False)]


def test_what_was_touched_is_not_touched_again():
    first = touches(WATCH, [bar(1, "190", "230")])
    assert found(bar(1, "190", "230"), bar(2, "190", "230"), known=first) == []
    assert found(bar(2, "190", "251"), known=first) == [("target", 250, False)]
    stopped = touches(WATCH, [bar(1, "170", "200")])
    assert found(bar(2, "100", "300"), known=stopped) == []


def test_bars_that_opened_before_the_entry_and_those_of_others_do_not_count():
    assert found(bar(1, "100", "300", opens=AT - timedelta(seconds=1))) == []
    assert found(bar(1, "100", "100", opens=AT)) == [("stop", 180, False)]
    assert found(bar(1, "100", "300", ticker="OLD")) == []


def test_bars_are_taken_in_the_order_of_their_closes():
    assert found(bar(2, "170", "200"), bar(1, "190", "230")) == [("target", 220, False), ("stop", 180, False)]


def test_a_watch_without_a_stop_or_without_targets_is_touched_by_the_other_alone():
    assert found(bar(1, "1", "219"), watch=WATCH._replace(stop=None)) == []
    assert found(bar(1, "180", "999"), watch=WATCH._replace(targets=())) == [("stop", 180, False)]


def test_stops_come_with_the_recommendation_unless_the_report_says_others():
    begun = approved(B01=Protection(trade_id="B01", stop_price=Decimal(180), profit_targets=(Decimal(250), Decimal(220))))
    assert watches_of(begun) == ()
    bought = reported(begun, row(begun, "S01"), row(begun, "B01", 6))
    (watch,) = watches_of(bought)
    assert watch == WATCH._replace(execution_id=begun.execution_id, entered_at=at(6))
    moved = reported(bought, row(begun, "B01", 6, stop_price="190"), corrections=True)
    assert [one.stop for one in watches_of(moved)] == [190]
    assert unprotected(bought) == ()


def test_a_further_fill_that_says_no_stop_takes_none_away():
    begun = reported(approved(), row(approved(), "S01"))
    first = row(begun, "B01", 6, quantity="100", stop_price="190", profit_targets="260")
    (watch,) = watches_of(reported(begun, first, row(begun, "B01", 7, quantity="50")))
    assert (watch.quantity, watch.stop, watch.targets, watch.entered_at) == (150, 190, (260,), at(7))


def test_a_purchase_without_a_stop_is_named():
    bought = reported(approved(), row(approved(), "S01"), row(approved(), "B01", 6))
    assert (watches_of(bought), unprotected(bought)) == ((), ("B01",))


def test_distances_are_percent_of_the_price_and_below_zero_once_passed():
    assert distances(WATCH, Decimal(200)) == (("stop", 180, 10), ("target", 220, 10), ("target", 250, 25))
    assert distances(WATCH, Decimal(160))[0].percent == Decimal("-12.5")
