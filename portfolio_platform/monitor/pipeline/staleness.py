"""Which reports are stale: those that would say something else today than what was published.

Every day has the digest of what its reports say of the facts as built; publishing remembers the digest that it published.
A restatement so marks exactly the days whose reports it changes, however far back it had to recompute.
"""

from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np
import pyarrow as pa

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.days import to_date, to_number
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.monitor.pipeline.contents import compose_contents
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

NAME = "day_inputs"


def digests(contents: Iterable[tuple[date, str]], days: Iterable[date]) -> dict[date, tuple[str, int]]:
    """Return each day's digest over the hashes of its reports, in the order given, and how many there are."""
    found: dict[date, list[str]] = {day: [] for day in days}
    for day, hashed in contents:
        found[day].append(hashed)
    return {day: (content_hash(canonical_bytes(hashes)), len(hashes)) for day, hashes in found.items()}


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the digest of every day of the plan."""
    days = _days(plan.first, plan.until)
    hashed = ((date.fromisoformat(c["day"]), content_hash(canonical_bytes(c, plain=True))) for c in compose_contents(home, days, policies))
    found = digests(hashed, days)
    numbers = np.array([to_number(day) for day in days], np.int64)
    columns = {
        "day": day_column(numbers),
        "digest": pa.array([found[day][0] for day in days], pa.string()),
        "sessions": pa.array([found[day][1] for day in days], pa.int64()),
        "month": month_column(numbers),
    }
    return {derived.DAY_INPUTS: assemble(derived.DAY_INPUTS, columns)}


def _days(first: date, last: date) -> list[date]:
    return [to_date(number) for number in range(to_number(first), to_number(last) + 1)]


def remember_published(home: Home, published: Mapping[date, str]) -> None:
    """Record the digests that the newest reports of some days were made from."""
    if not published:
        return
    with home.lake.writing():
        known = _by_day(home, derived.PUBLISHED_INPUTS) | dict(published)
        days = sorted(known)
        numbers = np.array([to_number(day) for day in days], np.int64)
        digest = pa.array([known[day] for day in days], pa.string())
        columns = {"day": day_column(numbers), "digest": digest, "month": month_column(numbers)}
        home.lake.replace(derived.PUBLISHED_INPUTS, assemble(derived.PUBLISHED_INPUTS, columns))


def input_digests(home: Home) -> dict[date, str]:
    """Return the digest of every ended day's inputs as the tables are built now."""
    last = home.last_ended_day
    return {day: digest for day, digest in sorted(_by_day(home, derived.DAY_INPUTS).items()) if day <= last}


def stale_days(home: Home) -> list[date]:
    """Return the ended days whose reports are not published, or would say something else as the tables are built now."""
    published = _by_day(home, derived.PUBLISHED_INPUTS)
    return [day for day, digest in input_digests(home).items() if published.get(day) != digest]


def restated_days(home: Home) -> dict[date, str]:
    """Return the days that were published and whose reports would now say something else, with the digest of their inputs."""
    published = _by_day(home, derived.PUBLISHED_INPUTS)
    return {day: digest for day, digest in input_digests(home).items() if published.get(day, digest) != digest}


def _by_day(home: Home, table: Table) -> dict[date, str]:
    rows = home.lake.read(table, ["day", "digest"])
    return dict(zip(rows["day"].to_pylist(), rows["digest"].to_pylist(), strict=True))


# everything that a report quotes; the stages that are not named are upstream of one that is
READ = (
    *("attribution", "calibration", "crowding", "drift", "correlation", "turnover", "execution", "idle", "failures", "data_quality"),
    "recommendations",
)
STAGE = Stage(NAME, (derived.DAY_INPUTS,), READ, compute)
