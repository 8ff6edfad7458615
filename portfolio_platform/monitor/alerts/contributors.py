"""Who contributes how much to an alert: positions, strategies, symbols or codes, largest first.

Each family of metrics has its way; all are joins and group-bys over the rows of every entry at once. What flows (P&L, trades,
refusals) is summed over the alert's own window of sessions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
TOP = 5
DIGITS = 9
NAMES = ("strategy", "symbol", "code")
ITEMS = pa.schema([("entry", pa.int64()), *((name, pa.string()) for name in NAMES), ("value", pa.float64()), ("weight", pa.float64())])


@dataclass(frozen=True)
class Contributor:
    """One part of an alert: what it is, its value, and its share of the sizes of all parts (null where parts do not add up)."""

    strategy: str
    symbol: str
    code: str
    value: float
    unit: str
    share: float | None


@dataclass(frozen=True)
class Contributions:
    """Contributors as canonical JSON, and affected symbols joined by a comma and a space, by entry."""

    texts: Mapping[int, str]
    symbols: Mapping[int, str]


def parse_contributors(text: str) -> tuple[Contributor, ...]:
    """Return the contributors behind a stored text."""
    return tuple(
        Contributor(item.get("strategy", ""), item.get("symbol", ""), item.get("code", ""), item["value"], item["unit"], item.get("share"))
        for item in json.loads(text or "[]")
    )


def items(
    entry: "pa.Array | Ints", value: "pa.Array | npt.NDArray[np.float64]", weight: "pa.Array | None" = None, **names: object
) -> pa.Table:
    """Return rows of contributors; names that are not given are empty."""
    size = len(entry)
    blank = pa.array([""] * size, pa.string())
    columns = [pa.array(entry, pa.int64()) if isinstance(entry, np.ndarray) else entry]
    columns += [names.get(name, blank) for name in NAMES]
    values = pa.array(value, pa.float64()) if isinstance(value, np.ndarray) else value
    columns += [values, values if weight is None else weight]
    return pa.Table.from_arrays([_whole(column) for column in columns], schema=ITEMS)


def _whole(column: "pa.Array | pa.ChunkedArray") -> pa.Array:
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return plain.cast(pa.string()) if pa.types.is_dictionary(plain.type) else plain


def summed(parts: pa.Table) -> pa.Table:
    """Return contributors with equal names added up; in one order, whatever the order of the rows."""
    if not len(parts):
        return parts
    keys = ["entry", *NAMES]
    ordered = parts.sort_by([(name, "ascending") for name in (*keys, "value", "weight")])
    codes = [pc.dictionary_encode(_whole(ordered[name])).indices.to_numpy() for name in NAMES]
    changed = np.zeros(len(ordered), np.bool_)
    for column in (ordered["entry"].to_numpy(), *codes):
        changed |= np.diff(column, prepend=-1) != 0
    starts = np.flatnonzero(changed)
    totals = {name: np.add.reduceat(ordered[name].to_numpy(), starts) for name in ("value", "weight")}
    first = ordered.take(pa.array(starts))
    return items(first["entry"], totals["value"], pa.array(totals["weight"]), **{name: first[name] for name in NAMES})


def written(parts: pa.Table, unit: Mapping[int, str], adds_up: Mapping[int, bool]) -> dict[int, str]:
    """Return each entry's largest contributors as canonical JSON; of equal ones the first by name comes first."""
    ordered = parts.sort_by([("entry", "ascending"), ("weight", "descending"), *((name, "ascending") for name in NAMES)])
    entry, weight = ordered["entry"].to_numpy(), ordered["weight"].to_numpy()
    if not entry.size:
        return {}
    starts = np.flatnonzero(np.diff(entry, prepend=-1) != 0)
    lengths = np.diff(np.append(starts, entry.size))
    total = np.repeat(np.add.reduceat(np.abs(weight), starts), lengths)
    rank = np.arange(entry.size) - np.repeat(starts, lengths)
    kept = ordered.filter(pa.array(rank < TOP))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (weight / total)[rank < TOP]
    shares, values = _figures(share), _figures(kept["value"].to_numpy())
    columns = [kept[name].to_pylist() for name in ("entry", "code", "strategy", "symbol")]
    known: dict[tuple[str, str, str], tuple[str, str]] = {}
    lists: dict[int, list[str]] = {}
    for number, code, strategy, symbol, part, value in zip(*columns, shares, values, strict=True):
        names = known.get((code, strategy, symbol))
        if names is None:
            names = known[(code, strategy, symbol)] = (_named(code=code), _named(strategy=strategy, symbol=symbol))
        # the keys stand in sorted order, as canonical JSON wants them
        said = f'"share":{part},' if adds_up[number] and part != "null" else ""
        lists.setdefault(number, []).append(f'{{{names[0]}{said}{names[1]}"unit":"{unit[number]}","value":{value}}}')
    return {number: f"[{','.join(found)}]" for number, found in lists.items()}


def _figures(numbers: npt.NDArray[np.float64]) -> list[str]:
    """Return numbers as JSON has them, at nine significant digits: the order of a sum never shows."""
    sound = np.isfinite(numbers).tolist()
    return [repr(float(f"{one:.{DIGITS}g}") + 0.0) if fine else "null" for one, fine in zip(numbers.tolist(), sound, strict=True)]


def _named(**names: str) -> str:
    """Return the names that are given as members of a JSON object, a comma after each."""
    return "".join(f"{json.dumps(key)}:{json.dumps(name, ensure_ascii=False)}," for key, name in names.items() if name)


def listed_symbols(parts: pa.Table) -> dict[int, str]:
    """Return the symbols of each entry, sorted, joined by a comma and a space."""
    named = parts.filter(pc.not_equal(parts["symbol"], "")).select(["entry", "symbol"])
    pairs = named.group_by(["entry", "symbol"]).aggregate([]).sort_by([("entry", "ascending"), ("symbol", "ascending")])
    lists: dict[int, list[str]] = {}
    for number, symbol in zip(pairs["entry"].to_pylist(), pairs["symbol"].to_pylist(), strict=True):
        lists.setdefault(number, []).append(symbol)
    return {number: ", ".join(found) for number, found in lists.items()}


def joined(asked: pa.Table, rows: pa.Table, on: Mapping[str, str], keep: tuple[str, ...] = ()) -> pa.Table:
    """Return rows of a table by the entries that ask for them; ``on`` names the table's column for each of asked's."""
    wanted = asked.select(["entry", *on, *keep])
    plain = rows.rename_columns([next((mine for mine, theirs in on.items() if theirs == name), name) for name in rows.column_names])
    for name in on:
        if pa.types.is_dictionary(plain[name].type):
            plain = plain.set_column(plain.column_names.index(name), name, plain[name].cast(pa.string()))
    return wanted.join(plain, list(on), join_type="inner")


def exploded(rows: pa.Table, column: str) -> pa.Table:
    """Return a row (entry, symbol) for each name in a text column of joined names."""
    lists = pc.split_pattern(pc.fill_null(rows[column], ""), ", ").combine_chunks()
    parents = pc.list_parent_indices(lists)
    return pa.table({"entry": rows["entry"].combine_chunks().take(parents), "symbol": pc.list_flatten(lists)})


@dataclass(frozen=True)
class Flow:
    """What flowed on each day: rows of portfolio, strategy, symbol, code (text) and what flowed, in any order."""

    rows: pa.Table
    day: Ints
    amount: npt.NDArray[np.float64]


def window_sums(flow: Flow, by: tuple[str, ...], portfolio: str, days: Ints, first: Ints, last: Ints, entry: Ints) -> pa.Table:
    """Return the sum of a flow over each entry's sessions ``first`` to ``last`` (places in ``days``, both included), by names.

    Sums run from a window's first session to its last, so a window's value does not depend on what else is asked.
    """
    if not entry.size or not len(flow.rows):
        return ITEMS.empty_table()
    place = np.searchsorted(days, flow.day)
    mine = pc.equal(flow.rows["portfolio"], portfolio).to_numpy() & (place < days.size)
    mine &= days[np.minimum(place, days.size - 1)] == flow.day
    rows, at, amount = flow.rows.filter(pa.array(mine)), place[mine], flow.amount[mine]
    if not at.size:
        return ITEMS.empty_table()
    names, code = _combined(rows, by)
    order = np.lexsort((amount, code, at))
    flat = np.bincount((at * len(names) + code)[order], amount[order], days.size * len(names)).astype(np.float64)
    sums = _sums_between(flat.reshape(days.size, len(names)), first, last)
    row, column = np.nonzero(sums)
    chosen = names.take(pa.array(column))
    return items(entry[row], sums[row, column], **{name: chosen[name] for name in by})


def _combined(rows: pa.Table, by: tuple[str, ...]) -> tuple[pa.Table, Ints]:
    """Return the distinct names, sorted, and each row's place among them."""
    columns = [pc.dictionary_encode(_whole(rows[name])) for name in by]
    code = np.zeros(len(rows), np.int64)
    for column in columns:
        rank = np.argsort(np.argsort(np.array(column.dictionary.to_pylist(), dtype=object)))
        code = code * len(column.dictionary) + rank[column.indices.to_numpy()]
    _, firsts, places = np.unique(code, return_index=True, return_inverse=True)
    return rows.select(list(by)).take(pa.array(firsts)), places


def _sums_between(grid: npt.NDArray[np.float64], first: Ints, last: Ints) -> npt.NDArray[np.float64]:
    """Return the sum of the grid's rows from ``first`` to ``last`` for each pair.

    Windows with one start share a cumulative sum; windows of one length are added shift by shift.
    """
    sums = np.zeros((first.size, grid.shape[1]))
    starts, members = np.unique(first, return_inverse=True)
    if starts.size * 8 < first.size or starts.size == 1:
        for number, start in enumerate(starts.tolist()):
            mine = members == number
            running = np.cumsum(grid[start : int(last[mine].max()) + 1], axis=0)
            sums[mine] = running[last[mine] - start]
        return sums
    for offset in range(int((last - first).max()) + 1):
        at = first + offset
        sums += np.where((at <= last)[:, None], grid[np.minimum(at, grid.shape[0] - 1)], 0.0)
    return sums
