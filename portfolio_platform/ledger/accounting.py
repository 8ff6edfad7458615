"""One pass of the ledger: fills and corporate actions in, change points, round trips and end state out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.days import day_number
from portfolio_platform.ledger import kernel, layout
from portfolio_platform.ledger.fixed_point import Float64, Int64, Quantities, exact_integers, scaled, split_decimals
from portfolio_platform.ledger.inputs import Actions, Fills, Keys, Names, Positions, Reference, build_events, key_fills, scale_positions

NO_FILL = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Carried:
    """State at the end of ``day`` (a day number), as it is stored: quantities are decimals, names are text."""

    day: int
    keys: Keys
    quantities: pa.Array  # decimals, flat (position, column)
    floats: Float64
    integers: Int64  # rows and tags refer to `row_ids` and `keys.tags`
    first_day: Int64
    lot_start: Int64
    lot_quantity: pa.Array
    lot_floats: Float64
    lot_integers: Int64
    row_ids: Names


@dataclass(frozen=True)
class Changes:
    """Change points sorted by (position, day): the state after the last event of each day that had one."""

    position: Int64
    day: Int64
    quantity: Quantities
    floats: Float64
    fill_ts: Int64
    tag: Int64
    group_start: Int64
    group_tag: Int64
    group_quantity: Quantities


@dataclass(frozen=True)
class Account:
    """The pass's results, by position; ``row_ids`` names the fills that trips and lots refer to."""

    positions: Positions
    tags: tuple[tuple[str, str], ...]
    first_day: Int64
    changes: Changes
    trip_quantity: Quantities
    trip_floats: Float64
    trip_integers: Int64
    end: layout.State
    fill_row_ids: pa.ChunkedArray
    carried_row_ids: Names

    def row_names(self, rows: Int64) -> pa.Array:
        """Return the row ids behind row numbers."""
        fills = len(self.fill_row_ids)
        if not self.carried_row_ids.size:
            return self.fill_row_ids.take(pa.array(rows)).combine_chunks()
        old = rows >= fills
        out = np.empty(rows.size, dtype=object)
        out[~old] = self.fill_row_ids.take(pa.array(rows[~old])).to_numpy() if fills else None
        out[old] = self.carried_row_ids[rows[old] - fills]
        return pa.array(out, pa.string())


def run(fills: pa.Table, actions: Actions, known: Reference, carried: Carried | None) -> Account:
    """Account for the fills after ``carried`` (or for all of them), exactly.

    Fills are a table with `inputs.FILL_COLUMNS`, in any order. Positions whose symbol needs more than 64 bits run on
    the exact path, all others on the compiled one.
    """
    ready = _prepare(fills, actions, known, carried)
    pa.default_memory_pool().release_unused()  # what reading the fills and their decimals has left behind
    passes = [(members, before, kernel.account(events, before)) for members, before, events in ready.batches]
    return Account(
        positions=ready.positions,
        tags=ready.keys.tags,
        first_day=ready.first_day,
        changes=_changes(passes, carried, ready.carried_at),
        trip_quantity=_joined([result.trip_quantity for _, _, result in passes]),
        trip_floats=_joined([result.trip_floats for _, _, result in passes]),
        trip_integers=_joined([result.trip_integers for _, _, result in passes]),
        end=_end(passes, ready.positions.size),
        fill_row_ids=fills["row_id"],
        carried_row_ids=carried.row_ids if carried else np.empty(0, dtype=object),
    )


@dataclass(frozen=True)
class _Ready:
    """What the kernel runs on: the 64-bit batch and the exact one, each with its members, its state before and its events."""

    positions: Positions
    keys: Keys
    first_day: Int64
    carried_at: Int64
    batches: list[tuple[npt.NDArray[np.bool_], layout.State, layout.Events]]


def _prepare(fills: pa.Table, actions: Actions, known: Reference, carried: Carried | None) -> _Ready:
    """Return the kernel's batches; the fills as arrays, as large as the events, are gone when it runs."""
    arrays, keys, carried_at = key_fills(fills, known, carried.keys if carried else None)
    quantities, quantities_at = None, carried_at
    if carried is not None:
        # lots may need more places than their sum: 1.5 and 2.5 are 4
        quantities = pa.concat_arrays([carried.quantities, carried.lot_quantity])
        lots_at = np.repeat(carried_at, np.diff(carried.lot_start))
        quantities_at = np.concatenate((np.repeat(carried_at, layout.STATE_QUANTITIES), lots_at))
    positions, *parts = scale_positions(arrays, keys, known, actions, quantities, quantities_at)
    first_day, first_ts = _first_fills(arrays, positions.size, carried, carried_at)
    batches = []
    for exact in (False, True):
        members = positions.exact == exact
        if not members.any() and not (positions.size == 0 and not exact):
            continue
        events = build_events(arrays, positions, (parts[0], parts[1]), actions, first_ts, members)
        batches.append((members, _before(positions, keys, carried, carried_at, members, exact, len(fills)), events))
    return _Ready(positions, keys, first_day, carried_at, batches)


def _joined(parts: list[Any]) -> Any:
    """Return arrays end to end; one alone is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _first_fills(fills: Fills, size: int, carried: Carried | None, carried_at: Int64) -> tuple[Int64, Int64]:
    """Return the first day and time of each position's fills, carried ones included."""
    first_ts = np.full(size, NO_FILL, np.int64)
    np.minimum.at(first_ts, fills.position, fills.ts)
    first_day = day_number(first_ts)
    if carried is not None:
        first_ts[carried_at] = np.iinfo(np.int64).min
        first_day[carried_at] = carried.first_day
    return first_day, first_ts


def _scale(column: pa.Array, places: Int64, exact: bool) -> Quantities:
    if exact:
        return exact_integers(column)
    parts = split_decimals(column)
    if parts is None:
        raise OverflowError("a carried quantity beyond 2**53 on the 64-bit path")
    return scaled(parts[0], parts[1], places)


def _before(
    positions: Positions,
    keys: Keys,
    carried: Carried | None,
    carried_at: Int64,
    members: npt.NDArray[np.bool_],
    exact: bool,
    n_fills: int,
) -> layout.State:
    """Return the kernel's state before the first event: empty, or the carried one for the members."""
    size, dtype = positions.size, object if exact else np.int64
    quantities = np.zeros((size, layout.STATE_QUANTITIES), dtype)
    floats = np.zeros((size, layout.STATE_FLOATS))
    floats[:, layout.STOP] = np.nan
    integers = np.zeros((size, layout.STATE_INTEGERS), np.int64)
    if carried is None:
        empty = np.empty(0, dtype)
        return layout.State(quantities, floats, integers, np.zeros(size + 1, np.int64), empty, np.empty((0, 2)), np.empty((0, 3), np.int64))
    mine = np.flatnonzero(members[carried_at])
    at = carried_at[mine]
    tag_rank = {pair: place for place, pair in enumerate(keys.tags)}
    retag = np.array([tag_rank[pair] for pair in carried.keys.tags], dtype=np.int64)
    flat = (mine[:, None] * layout.STATE_QUANTITIES + np.arange(layout.STATE_QUANTITIES)).ravel()
    chosen = carried.quantities.take(pa.array(flat))
    quantities[at] = _scale(chosen, np.repeat(positions.places[at], layout.STATE_QUANTITIES), exact).reshape(-1, layout.STATE_QUANTITIES)
    floats[at] = carried.floats[mine]
    integers[at] = carried.integers[mine]
    if retag.size:
        integers[at, layout.OPENED_TAG] = retag[carried.integers[mine, layout.OPENED_TAG]]
    integers[at, layout.OPENED_ROW] += n_fills
    counts = np.zeros(size + 1, np.int64)
    counts[at + 1] = (carried.lot_start[1:] - carried.lot_start[:-1])[mine]
    by_position = mine[np.argsort(at, kind="stable")]
    lots = np.concatenate([np.arange(carried.lot_start[k], carried.lot_start[k + 1]) for k in by_position] or [np.empty(0, np.int64)])
    lots = lots.astype(np.int64)
    places = np.repeat(positions.places[carried_at[by_position]], (carried.lot_start[1:] - carried.lot_start[:-1])[by_position])
    lot_integers = carried.lot_integers[lots].copy()
    if retag.size and lots.size:
        lot_integers[:, layout.LOT_TAG] = retag[lot_integers[:, layout.LOT_TAG]]
    lot_integers[:, layout.LOT_ROW] += n_fills
    lot_quantity = _scale(carried.lot_quantity.take(pa.array(lots)), places, exact)
    return layout.State(quantities, floats, integers, np.cumsum(counts), lot_quantity, carried.lot_floats[lots], lot_integers)


def _start_changes(members: npt.NDArray[np.bool_], before: layout.State, day: int, carried_at: Int64) -> dict[str, Any]:
    """Return the carried state as change points at the end of the carried day, so that it is carried forward like any other."""
    at = np.sort(carried_at[members[carried_at]])
    floats = np.concatenate((before.floats[at][:, : layout.CP_CASH], np.zeros((at.size, 1))), axis=1)
    oldest: list[int] = []
    tags: list[int] = []
    quantities: list[Any] = []
    starts = [0]
    for position in at.tolist():
        groups: dict[int, Any] = {}
        for lot in range(before.lot_start[position], before.lot_start[position + 1]):
            if before.lot_quantity[lot] == 0:
                continue
            tag = int(before.lot_integers[lot, layout.LOT_TAG])
            groups[tag] = groups.get(tag, 0) + before.lot_quantity[lot]
        oldest.append(next(iter(groups), -1))
        tags += sorted(groups)
        quantities += [groups[tag] for tag in sorted(groups)]
        starts.append(len(tags))
    return {
        "position": at,
        "day": np.full(at.size, day, np.int64),
        "quantity": before.quantities[at, layout.OPEN],
        "floats": floats,
        "fill_ts": before.integers[at, layout.FILL_TS],
        "tag": np.array(oldest, np.int64),
        "group_start": np.array(starts, np.int64),
        "group_tag": np.array(tags, np.int64),
        "group_quantity": np.array(quantities, before.quantities.dtype),
    }


def _changes(passes: list[Any], carried: Carried | None, carried_at: Int64) -> Changes:
    """Return all change points in (position, day) order; one plain pass needs no sorting."""
    parts: list[dict[str, Any]] = []
    for members, before, result in passes:
        if carried is not None:
            parts.append(_start_changes(members, before, carried.day, carried_at))
        parts.append(
            {
                "position": result.cp_position,
                "day": result.cp_day,
                "quantity": result.cp_quantity,
                "floats": result.cp_floats,
                "fill_ts": result.cp_fill_ts,
                "tag": result.cp_tag,
                "group_start": result.cp_group_start,
                "group_tag": result.group_tag,
                "group_quantity": result.group_quantity,
            }
        )
    if len(parts) == 1:
        return Changes(**parts[0])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "group_start"}
    counts = np.concatenate([np.diff(part["group_start"]) for part in parts])
    starts = np.concatenate(([0], np.cumsum(counts)))
    order = np.lexsort((joined["day"], joined["position"]))
    groups = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in order] or [np.empty(0, np.int64)]).astype(np.int64)
    return Changes(
        **{name: joined[name][order] for name in ("position", "day", "quantity", "floats", "fill_ts", "tag")},
        group_start=np.concatenate(([0], np.cumsum(counts[order]))),
        group_tag=joined["group_tag"][groups],
        group_quantity=joined["group_quantity"][groups],
    )


def _end(passes: list[Any], size: int) -> layout.State:
    """Return the end state of all positions, each from the pass that it was in."""
    if len(passes) == 1:
        end: layout.State = passes[0][2].end
        return end
    (fast, _, first), (_, _, second) = passes
    pick = fast[:, None]
    counts = np.where(fast, np.diff(first.end.lot_start), np.diff(second.end.lot_start))
    owner = [np.repeat(np.arange(size), np.diff(part.end.lot_start)) for part in (first, second)]
    order = np.argsort(np.concatenate(owner), kind="stable")

    def lots(name: str) -> Any:
        return np.concatenate([getattr(first.end, name), getattr(second.end, name)])[order]

    return layout.State(
        np.where(pick, first.end.quantities, second.end.quantities),
        np.where(pick, first.end.floats, second.end.floats),
        np.where(pick, first.end.integers, second.end.integers),
        np.concatenate(([0], np.cumsum(counts))),
        lots("lot_quantity"),
        lots("lot_floats"),
        lots("lot_integers"),
    )
