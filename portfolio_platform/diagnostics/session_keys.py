"""Rows of derived tables in the order of sessions and keys, as integers: sorting and joining text is what costs there."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.ledger.inputs import encode

Int64 = npt.NDArray[np.int64]

DAY_SPAN = 1 << 24  # more days than any calendar has
LARGEST = 2.0**62


def day_numbers(column: pa.ChunkedArray) -> Int64:
    """Return a column of days as day numbers."""
    numbers: Int64 = column.cast(pa.int32()).to_numpy().astype(np.int64)
    return numbers


def codes_in(column: pa.ChunkedArray, names: list[str]) -> Int64:
    """Return each text's place in ``names``, -1 where it is none of them; null is the empty text."""
    codes, distinct = encode(column)
    rank = {name: place for place, name in enumerate(names)}
    return np.array([rank.get(name, -1) for name in distinct], dtype=np.int64)[codes] if distinct else codes


def in_order(table: pa.Table, sessions: pa.Table, key: tuple[str, ...]) -> tuple[pa.Table, Int64]:
    """Return the rows of a table that belong to a session, sorted by session and key, and the session of each.

    ``sessions`` has portfolio and day, unique, in the order that numbers them; ``table`` has these and the text columns
    of ``key``, whose order is that of their code points.
    """
    owner, portfolios = encode(sessions["portfolio"])
    numbered = owner * DAY_SPAN + day_numbers(sessions["day"])
    mine = codes_in(table["portfolio"], portfolios)
    combined = mine * DAY_SPAN + day_numbers(table["day"])
    ranked = np.argsort(numbered, kind="stable")
    place = np.searchsorted(numbered[ranked], combined)
    found = (np.append(numbered[ranked], -1)[place] == combined) & (mine >= 0)
    rows = np.flatnonzero(found)
    session = ranked[place[rows]]
    columns = [(session, max(len(sessions), 1))]
    for name in key:
        codes, distinct = encode(table[name])
        columns.append((codes[rows], max(len(distinct), 1)))
    order = key_order(columns)
    rows = rows[order]
    # tables are written sorted by day and key, so that mostly nothing has to move
    as_it_is = rows.size == len(table) and bool((rows == np.arange(rows.size)).all())
    return table if as_it_is else table.take(pa.array(rows)), session[order]


def key_order(columns: list[tuple[Int64, int]]) -> Int64:
    """Return the stable order by several columns of codes, each given with the number of its codes, the first the coarsest."""
    if float(np.prod([float(size) for _, size in columns])) >= LARGEST:
        return np.lexsort([codes for codes, _ in reversed(columns)])
    combined = columns[0][0]
    for codes, size in columns[1:]:
        combined = combined * size + codes
    if (combined[1:] >= combined[:-1]).all():
        return np.arange(combined.size)
    return np.argsort(combined, kind="stable")
