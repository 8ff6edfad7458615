"""The rows that a report quotes: of which table, which columns, how many, in which order."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table


@dataclass(frozen=True)
class Detail:
    """Rows of a table in a report.

    Attributes:
        name: name of the detail.
        table: where the rows come from.
        columns: the columns that are quoted, those of the key among them.
        order: columns to sort by; ``-`` before a name sorts by its absolute value, largest first.
        limit: rows at most.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    order: tuple[str, ...]
    limit: int

    @property
    def read(self) -> tuple[str, ...]:
        """Return the columns to read: what is quoted, sorted by, and the key."""
        by = (name.lstrip("-") for name in self.order)
        return tuple(dict.fromkeys(("day", "portfolio", *self.table.key, *self.columns, *by)))

    def chosen(self) -> pc.Expression | None:
        """Return which rows may be quoted; None for all."""
        return _CHOSEN.get(self.name)

    def sorted(self, rows: pa.Table) -> pa.Table:
        """Return the rows in the order of the detail, ties by key."""
        keys: list[tuple[str, str]] = []
        for place, name in enumerate(self.order):
            if name.startswith("-"):
                rows = rows.append_column(f"_{place}", pc.fill_null(pc.abs(rows[name[1:]]), -1.0))
                keys.append((f"_{place}", "descending"))
            else:
                keys.append((name, "ascending"))
        keys += [(name, "ascending") for name in self.table.key if (name, "ascending") not in keys]
        return rows.take(pc.sort_indices(rows, sort_keys=keys))


_CHOSEN = {
    "positions": pc.field("average_cost").is_valid(),
    "buckets": pc.field("size") >= 2,
    "churn": pc.field("trades") >= 4,
    "execution": (pc.field("n") > 0) & ((pc.field("playbook") == "all") | (pc.field("drift") > 0.0) | pc.field("cusum_signal")),
    "drift": pc.field("share").is_valid() & ((pc.field("share") > 0.0) | (pc.field("baseline") > 0.0)),
}
_POSITION = ("strategy", "symbol", "currency")

DETAILS: tuple[Detail, ...] = (
    Detail(
        "positions",
        derived.LEDGER_SNAPSHOTS,
        (
            *_POSITION,
            *("quantity", "average_cost", "mark", "mark_source", "mark_age", "market_value_base", "unrealised_pnl", "stop_price"),
            *("template", "playbook"),
        ),
        ("-market_value_base",),
        15,
    ),
    Detail(
        "risks",
        derived.POSITION_RISK,
        (*_POSITION, "direction", "risk", "risk_pct", "stop_price", "mark", "method", "beyond_stop", "reason"),
        ("-risk",),
        8,
    ),
    Detail("crowding", derived.CROWDING, ("kind", "group", "side", "strategies", "members", "exposure_pct"), ("-strategies",), 6),
    Detail(
        "drift",
        derived.CONCENTRATION_DRIFT,
        ("dimension", "group", "share", "baseline", "drift", "baseline_sessions"),
        ("-drift",),
        6,
    ),
    Detail(
        "buckets",
        derived.CORRELATION_BUCKETS,
        ("bucket", "symbols", "size", "same_direction_pct", "tightness"),
        ("-same_direction_pct",),
        5,
    ),
    Detail("churn", derived.SYMBOL_CHURN, ("symbol", "churn", "trades", "flips", "traded", "fees"), ("-churn",), 5),
    Detail(
        "execution",
        derived.EXECUTION_PROFILE,
        ("measure", "playbook", "unit", "expected", "realised", "low", "high", "n", "drift", "cusum", "cusum_signal", "reason"),
        ("measure", "playbook"),
        16,
    ),
    Detail(
        "failures",
        derived.FAILURE_MODES,
        (
            *("failure_mode", "template", "regime", "side", "cases", "trades", "share", "baseline_share", "p_adjusted"),
            *("loss_share", "members", "recurring", "reason"),
        ),
        ("p_adjusted", "-cases"),
        5,
    ),
)
