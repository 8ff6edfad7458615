"""The approved queue and a snapshot as the loop takes them: whole lots, exact prices, weights that round against the cap."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from portfolio_platform.broker.model import UNIT
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator.loop_inputs import figures_of, started
from portfolio_platform.orchestrator.model import Account, ApprovedQueue, ApprovedTrade, Holding, Instrument, Snapshot, TaxLot
from portfolio_platform.orchestrator.profile import shipped_profile
from tests.unit.orchestrator.loop_examples import px

AT = datetime(2025, 12, 9, 15, tzinfo=UTC)
HELD = Holding(ticker="XOM", lots=(TaxLot(lot_id="l", quantity=Decimal(10), cost=Decimal(90), acquired=AT.date()),))
SNAPSHOT = Snapshot(
    portfolio="main",
    currency="USD",
    as_of=AT,
    source="test",
    accounts=(
        Account(account="A", kind="cash", fractional=False, cash_minor=200_000, holdings=(HELD,)),
        Account(account="F", kind="cash", fractional=True, cash_minor=0),
    ),
    instruments=(
        Instrument(ticker="XOM", sector="Energy", price=Decimal(100), priced_at=AT),
        Instrument(ticker="NVDA", sector="Technology", price=Decimal("33.33"), priced_at=AT),
    ),
)


def begun(**said: Any) -> Any:
    trade = {"trade_id": "t1", "ticker": "NVDA", "sector": "Technology", "account": "A", "size_minor": 100_000, "approved_at": AT, **said}
    queue = ApprovedQueue(
        as_of=AT, source="qa", portfolio="main", trades=(ApprovedTrade(**trade),), approved_allocations={"Energy": 300_000}
    )
    return started(queue, SNAPSHOT, shipped_profile("v8.0.3"), "X1", nanoseconds(AT))


def test_figures_are_value_cash_and_weights_rounded_up():
    assert figures_of(SNAPSHOT) == (nanoseconds(AT), 300_000, 200_000, (("Energy", 333_334),))


def test_a_size_becomes_whole_shares_or_the_part_of_one_that_the_account_takes():
    event = begun(stop_price=Decimal(30), profit_targets=(Decimal(40),))
    (one,) = event.trades
    assert (one.quantity, one.lot, one.reference) == (30 * UNIT, UNIT, px(33.33))  # 1,000 at 33.33
    assert (one.stop, one.targets, one.labels.portfolio, event.approved) == (px(30), (px(40),), "main", (("Energy", 300_000),))
    assert begun(account="F").trades[0].quantity == 300_030 * UNIT // 10_000  # 30.0030003


@pytest.mark.parametrize(
    ("said", "text"),
    [({"ticker": "AMD"}, "no price of AMD"), ({"account": "Z"}, "no account Z"), ({"size_minor": 3_000}, "buys no lot of NVDA at 33.33")],
)
def test_a_trade_that_cannot_be_sized_is_named_with_the_way_out(said, text):
    with pytest.raises(DataProblem, match=text):
        begun(**said)
