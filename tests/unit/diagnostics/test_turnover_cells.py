"""D5's cells: fills of one symbol in one session, whatever the order in which fills come."""

from random import Random

import numpy as np

from portfolio_platform.diagnostics import turnover as d5


def added(rows: list[tuple[int, int, int, float]]) -> d5.Cells:
    """Add up fills given as session, symbol, order and value."""
    session, symbol, order, value = zip(*rows, strict=True)
    whole = [np.array(column, np.int64) for column in (session, symbol, order)]
    return d5.add_up(d5.Fills(*whole, np.array(value), np.ones(len(rows)), np.array(value) < 0.0))


def test_cells_by_hand() -> None:
    found = added([(0, 1, -1, 10.0), (0, 0, 7, 5.0), (1, 1, 8, -4.0), (1, 1, 8, -2.0), (1, 0, 7, float("nan"))])
    assert (found.symbol.tolist(), found.session.tolist()) == ([0, 0, 1, 1], [0, 1, 0, 1])
    assert found.bought[[0, 2, 3]].tolist() == [5.0, 10.0, 0.0]
    assert found.sold[[0, 2, 3]].tolist() == [0.0, 0.0, 6.0]
    # a value that is missing is missing on both sides
    assert np.isnan(found.bought[1]) and np.isnan(found.sold[1])
    assert (found.fills.tolist(), found.flips.tolist(), found.trades.tolist()) == ([1, 1, 1, 2], [0, 0, 0, 2], [1, 1, 1, 1])
    assert (found.later.tolist(), found.earlier.tolist()) == ([1], [0])


def test_fills_that_do_not_come_by_time_are_the_same_cells() -> None:
    dice = Random(5)
    rows = [(dice.randrange(9), dice.randrange(4), dice.randrange(-1, 30), float(dice.randrange(-8, 8))) for _ in range(120)]
    by_time, mixed = added(sorted(rows, key=lambda row: row[0])), added(rows)
    for name in d5.Cells.__dataclass_fields__:
        assert getattr(by_time, name).tolist() == getattr(mixed, name).tolist(), name
