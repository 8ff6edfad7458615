"""Which rows of a fact are in force: the highest undisputed revision of each id, unless it is a bust.

A pure function of the set of rows, so the order of import never decides. Two rows of one id and revision with different
content are both set aside; then the next lower undisputed revision stays in force, if there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portfolio_platform.lake.facts import Fact

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

    from portfolio_platform.lake.store import Lake


@dataclass(frozen=True)
class Resolved:
    """Rows in force, and rows set aside because they contradict each other at one revision."""

    rows: "pa.Table"
    disputed: "pa.Table"


def resolve(rows: "pa.Table") -> Resolved:
    """Split rows of one fact (with row_id, revision, bust, content_hash) into those in force and those disputed."""
    import pandas as pd

    keys = pd.DataFrame(
        {
            "row_id": rows["row_id"].to_pandas(),
            "revision": rows["revision"].to_numpy(),
            "bust": rows["bust"].to_numpy(zero_copy_only=False) if len(rows) else [],
            "content_hash": rows["content_hash"].to_pandas(),
        }
    )
    if not keys["row_id"].duplicated().any() and not keys["bust"].any():
        return Resolved(rows, rows.slice(0, 0))
    contents = keys.groupby(["row_id", "revision"])["content_hash"].transform("nunique")
    disputed = contents > 1
    sound = keys[~disputed].drop_duplicates(["row_id", "revision"])
    newest = sound.loc[sound.groupby("row_id")["revision"].idxmax()] if len(sound) else sound
    in_force = newest.index[~newest["bust"].astype(bool)].sort_values()
    return Resolved(rows.take(in_force.to_numpy()), rows.take(keys.index[disputed].to_numpy()))


def read(
    lake: "Lake",
    fact: Fact,
    columns: tuple[str, ...] | None = None,
    *,
    after_ts: int | None = None,
    until_ts: int | None = None,
    until_seq: int | None = None,
    dictionaries: Sequence[str] = (),
) -> "pa.Table":
    """Return the rows of a fact in force, in no promised order.

    ``after_ts`` and ``until_ts`` bound the rows' own time (exclusive, inclusive); ``until_seq`` shows the fact as it was
    known after that import.
    """
    wanted = list(columns) if columns is not None else [column.name for column in fact.columns] + ["row_id", "import_seq"]
    bounds = Bounds(after_ts, until_ts, until_seq)
    contested = contested_ids(lake, fact)
    while True:
        rows = _read(lake, fact, wanted, bounds, contested, dictionaries)
        # an import notes an id before it writes a second row of it; where one came by meanwhile, read again
        now = contested_ids(lake, fact)
        if now == contested:
            return rows
        contested = now


@dataclass(frozen=True)
class Bounds:
    """Bounds of the rows' own time (exclusive, inclusive), and of the import that brought them."""

    after_ts: int | None
    until_ts: int | None
    until_seq: int | None

    def time(self) -> "pc.Expression":
        """Return the condition on a row's own time."""
        import pyarrow.compute as pc

        condition = pc.scalar(True)
        if self.until_ts is not None:
            condition = condition & (pc.field("ts") <= self.until_ts)
        if self.after_ts is not None:
            condition = condition & (pc.field("ts") > self.after_ts)
        return condition

    def known(self) -> "pc.Expression":
        """Return the condition on the import."""
        import pyarrow.compute as pc

        return pc.scalar(True) if self.until_seq is None else pc.field("import_seq") <= self.until_seq


def _read(
    lake: "Lake", fact: Fact, wanted: list[str], bounds: Bounds, contested: frozenset[str], dictionaries: Sequence[str]
) -> "pa.Table":
    """Return rows that stand alone as they are, and contested ones resolved."""
    import pyarrow as pa
    import pyarrow.compute as pc

    month, time, known = _month_of(fact, bounds.after_ts), bounds.time(), bounds.known()
    if not contested:
        return lake.read(fact.table, wanted, time & known, from_month=month, dictionaries=dictionaries)
    among = pc.field("row_id").isin(pa.array(sorted(contested), pa.string()))
    rows = lake.read(fact.table, wanted, ~among & time & known, from_month=month)
    needed = {"row_id", "revision", "bust", "content_hash", *([fact.time_column] if fact.time_column else [])}
    # a correction may move a row in time, so its other statements are looked for in every month
    others = resolve(lake.read(fact.table, [*wanted, *sorted(needed - set(wanted))], among & known)).rows
    return pa.concat_tables([rows, others.filter(time).select(wanted)])


def contested_ids(lake: "Lake", fact: Fact) -> frozenset[str]:
    """Return the ids that have more than one row, or a bust: the few that need resolving."""
    import pyarrow.compute as pc

    from portfolio_platform.lake.facts import CONTESTED

    return frozenset(lake.read(CONTESTED, ["row_id"], pc.field("fact") == fact.name)["row_id"].to_pylist())


def _month_of(fact: Fact, after_ts: int | None) -> str | None:
    from portfolio_platform.days import day_number, to_date

    if after_ts is None or not fact.time_column:
        return None
    return to_date(day_number(after_ts + 1)).isoformat()[:7]
