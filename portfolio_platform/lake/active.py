"""Which rows of a fact are in force: the highest undisputed revision of each id, unless it is a bust.

A pure function of the set of rows, so the order of import never decides. Two rows of one id and revision with different
content are both set aside; then the next lower undisputed revision stays in force, if there is one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portfolio_platform.lake.facts import Fact

if TYPE_CHECKING:
    import pyarrow as pa

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
    dictionaries: bool = False,
) -> "pa.Table":
    """Return the rows of a fact in force, in no promised order.

    ``after_ts`` and ``until_ts`` bound the rows' own time (exclusive, inclusive); ``until_seq`` shows the fact as it was
    known after that import.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = list(columns) if columns is not None else [column.name for column in fact.columns] + ["row_id", "import_seq"]
    extra = [name for name in ("row_id", "revision", "bust", "content_hash") if name not in wanted]
    time: Any = None
    if until_ts is not None:
        time = pc.field("ts") <= until_ts
    if after_ts is not None:
        time = (pc.field("ts") > after_ts) if time is None else time & (pc.field("ts") > after_ts)
    known = pc.field("import_seq") <= until_seq if until_seq is not None else None
    contested = contested_ids(lake, fact)
    if not contested:
        where = time if known is None else known if time is None else time & known
        return lake.read(fact.table, wanted, where, from_month=_month_of(fact, after_ts), dictionaries=dictionaries)
    ids = pa.array(sorted(contested), pa.string())
    alone = ~pc.field("row_id").isin(ids)
    plain = alone if time is None else alone & time
    rows = lake.read(fact.table, wanted, plain if known is None else plain & known, from_month=_month_of(fact, after_ts))
    among = pc.field("row_id").isin(ids)
    columns_ = [*wanted, *extra, *([fact.time_column] if fact.time_column and fact.time_column not in wanted else [])]
    others = resolve(lake.read(fact.table, columns_, among if known is None else among & known)).rows
    if time is not None:
        others = others.filter(time)
    return pa.concat_tables([rows, others.select(wanted)])


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
