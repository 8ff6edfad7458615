"""Which days newly imported facts touch."""

from collections.abc import Iterable
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, to_date
from portfolio_platform.lake.active import contested_ids
from portfolio_platform.lake.facts import QUARANTINE, Fact
from portfolio_platform.lake.store import Lake


def first_changed_day(lake: Lake, facts: Iterable[Fact], since_seq: int, first_day: date) -> date | None:
    """Return the earliest day that rows after import ``since_seq`` touch, None where there are none.

    Not before ``first_day``, which is the answer where a fact without a time changed.
    """
    first: int | None = None
    for fact in facts:
        if lake.largest(fact.table, "import_seq") <= since_seq:
            continue  # the log's statistics say so: no file is opened
        columns = ["row_id", "ts"] if fact.time_column else ["row_id"]
        fresh = lake.read(fact.table, columns, pc.field("import_seq") > since_seq)
        if not len(fresh):
            continue
        if not fact.time_column:
            return first_day
        ids = pa.array(sorted(set(fresh["row_id"].to_pylist()) & contested_ids(lake, fact)), pa.string())
        if len(ids):
            # a correction touches the days of every statement of its row
            fresh = lake.read(fact.table, columns, pc.field("row_id").isin(ids) | (pc.field("import_seq") > since_seq))
        earliest = day_number(int(pc.min(fresh["ts"]).as_py()))
        first = earliest if first is None else min(first, earliest)
    return None if first is None else max(to_date(first), first_day)


def first_set_aside_day(lake: Lake, since_seq: int, first_day: date) -> date | None:
    """Return the earliest day of the rows that were set aside after import ``since_seq``, None where there are none.

    Not before ``first_day``, which is the answer where a row has no day that can be read.
    """
    times = lake.read(QUARANTINE, ["ts"], pc.field("import_seq") > since_seq)["ts"]
    if not len(times):
        return None
    return first_day if times.null_count else max(to_date(day_number(int(pc.min(times).as_py()))), first_day)
