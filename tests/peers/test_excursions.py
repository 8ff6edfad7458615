"""Excursions of trades against a range join in DuckDB, on the sample's bars."""

import pyarrow as pa

from benchmarks.works.excursions import TOLERANCE, draw_trades, frames, joined, largest_difference
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import BARS, CORPORATE_ACTIONS
from portfolio_platform.signals.bars import BAR_COLUMNS, lay_out
from portfolio_platform.signals.excursions import excursions
from tests.peers.conftest import Sample


def test_excursions_are_those_of_a_range_join(sample: Sample):
    bars = lay_out(active.read(sample.home.lake, BARS, BAR_COLUMNS), active.read(sample.home.lake, CORPORATE_ACTIONS))
    trades = draw_trades(bars, 5_000)
    ours = excursions(bars, trades)
    assert largest_difference(ours, joined(*frames(bars, trades))) <= TOLERANCE
    assert (ours.bars == 0).any() and (ours.bars > 50).any()


def test_bars_come_in_any_order(sample: Sample):
    table = active.read(sample.home.lake, BARS, BAR_COLUMNS)
    actions = active.read(sample.home.lake, CORPORATE_ACTIONS)
    one, other = lay_out(table, actions), lay_out(table.take(pa.array(range(len(table) - 1, -1, -1))), actions)
    assert (one.ts == other.ts).all() and (one.low == other.low).all()
