"""How far derived tables are, and what they rest on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.lake.derived import PROGRESS
from portfolio_platform.lake.facts import FACTS, Fact
from portfolio_platform.lake.store import Lake
from portfolio_platform.version import __version__

KEPT_GENERATIONS = 400
WATCHED = "decisions"
"""The name under which a build remembers, among its upstreams, the newest event of the book that it rests on."""


@dataclass(frozen=True)
class Progress:
    """A complete build: everything up to ``built_until`` rests on the imports up to ``import_seq``."""

    name: str
    built_until: date
    changed_from: date
    import_seq: int
    policy_hash: str
    upstreams: Mapping[str, int] = field(default_factory=dict)
    code_version: str = __version__
    generation: int = 0

    def first_stale_day(self, policy_hash: str, first_day: date) -> date | None:
        """Return the first day that was not built under this trail of policies by this version of the code; None where there is none."""
        if self.code_version != __version__:
            return first_day
        return first_other_day(self.policy_hash, policy_hash, first_day, self.built_until)


def first_other_day(one: str, other: str, first: date, last: date) -> date | None:
    """Return the first day of a range on which two trails of policies differ, None where they do not.

    A trail is ``HASH DAY:HASH ...``: a hash from the beginning on, and another from each day that is named.
    """
    if one == other or last < first:
        return None
    trails = [_stretches(one), _stretches(other)]
    days = sorted({first, *(day for trail in trails for day in trail if first < day <= last)})
    return next((day for day in days if len({_at(trail, day) for trail in trails}) > 1), None)


def _stretches(trail: str) -> dict[date, str]:
    begin, *others = trail.split(" ")
    return {date.min: begin} | {date.fromisoformat(day): hashed for day, _, hashed in (item.partition(":") for item in others)}


def _at(stretches: Mapping[date, str], day: date) -> str:
    return stretches[max(begin for begin in stretches if begin <= day)]


def read_progress(lake: Lake, name: str) -> Progress | None:
    """Return the newest build of a name, None where there is none."""
    found = lake.read(PROGRESS, None, pc.field("name") == name)
    if not len(found):
        return None
    (newest,) = found.slice(pc.index(found["generation"], pc.max(found["generation"])).as_py(), 1).to_pylist()
    return Progress(**newest | {"upstreams": json.loads(newest["upstreams"] or "{}")})


def changed_since(lake: Lake, name: str, generation: int) -> date | None:
    """Return the earliest day that builds after ``generation`` wrote; None where there was no build since.

    Where builds so old are no longer remembered, everything may have changed, which reads as `date.min`.
    """
    rows = lake.read(PROGRESS, ["generation", "changed_from"], pc.field("name") == name).to_pylist()
    if rows and min(row["generation"] for row in rows) > generation + 1:
        return date.min
    return min((row["changed_from"] for row in rows if row["generation"] > generation), default=None)


def write_progress(lake: Lake, progress: Progress) -> None:
    """Record a build; it is complete from here on."""
    rows = lake.read(PROGRESS)
    mine = pc.equal(rows["name"], progress.name)
    newest = pc.max(rows["generation"].filter(mine)).as_py() or 0
    kept = rows.filter(pc.or_(pc.invert(mine), pc.greater(rows["generation"], newest - KEPT_GENERATIONS)))
    row = {**asdict(progress), "upstreams": json.dumps(dict(progress.upstreams), sort_keys=True), "generation": newest + 1}
    lake.replace(PROGRESS, pa.concat_tables([kept, pa.Table.from_pylist([row], schema=rows.schema)]))


def newest_decisions(lake: Lake) -> dict[str, int]:
    """Return the newest event of the book that each build rests on, by name; builds that rest on none are not in it."""
    newest = {row["name"]: row for row in sorted(lake.read(PROGRESS).to_pylist(), key=lambda row: row["generation"])}
    remembered = {name: json.loads(row["upstreams"] or "{}").get(WATCHED) for name, row in sorted(newest.items())}
    return {name: seq for name, seq in remembered.items() if seq}


def newest_import(lake: Lake) -> int:
    """Return the number of the newest import that brought a row of any fact; 0 where there is none."""
    return newest_import_of(lake, FACTS.values())


def newest_import_of(lake: Lake, facts: Iterable[Fact]) -> int:
    """Return the number of the newest import that brought a row of these facts; 0 where there is none."""
    return max((lake.largest(fact.table, "import_seq") for fact in facts), default=0)


@dataclass(frozen=True)
class Plan:
    """What a build of a table downstream has to do: days from ``first`` to ``until``, on these builds upstream.

    ``changed`` is the earliest day about which the build says something new, where that is later than the first it writes.
    """

    first: date
    until: date
    import_seq: int
    upstreams: Mapping[str, int]
    changed: date | None = None

    def done(self, name: str, policy_hash: str) -> Progress:
        """Return the progress to record once the build is written."""
        return Progress(name, self.until, self.changed or self.first, self.import_seq, policy_hash, self.upstreams)


def plan_downstream(
    lake: Lake, name: str, upstream_names: Sequence[str], policy_hash: str, first_day: date, restate_from: date | None
) -> Plan | None:
    """Return what a table that rests on other derived tables has to do, None where it is up to date.

    It reaches as far as the least of them, and begins at the earliest day that any of them wrote since it was built, or that
    was built under another policy than ``policy_hash`` says, which may be one for each stretch of days.
    """
    found = [(upstream, read_progress(lake, upstream)) for upstream in upstream_names]
    upstreams = {upstream: progress for upstream, progress in found if progress is not None}
    if len(upstreams) < len(upstream_names):
        return None
    until = min(progress.built_until for progress in upstreams.values())
    seq = min(progress.import_seq for progress in upstreams.values())
    generations = {upstream: progress.generation for upstream, progress in upstreams.items()}
    done = read_progress(lake, name)
    if done is None:
        return Plan(first_day, until, seq, generations)
    changes = [changed_since(lake, upstream, done.upstreams.get(upstream, 0)) for upstream in upstream_names]
    stale = done.first_stale_day(policy_hash, first_day)
    days = [day for day in (*changes, restate_from, stale) if day is not None]
    if until > done.built_until:
        days.append(done.built_until + timedelta(days=1))
    if not days or min(days) > until:
        return None
    return Plan(max(min(days), first_day), until, seq, generations)
