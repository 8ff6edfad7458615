"""How far derived tables are, and what they rest on."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform import __version__
from portfolio_platform.lake.derived import PROGRESS
from portfolio_platform.lake.facts import FACTS, Fact
from portfolio_platform.lake.store import Lake

KEPT_GENERATIONS = 400


@dataclass(frozen=True)
class Progress:
    """A complete build: everything up to ``built_until`` rests on the imports up to ``import_seq``."""

    name: str
    built_until: date
    changed_from: date
    import_seq: int
    policy_hash: str
    upstream_generation: int = 0
    code_version: str = __version__
    generation: int = 0

    def rests_on(self, policy_hash: str) -> bool:
        """Say whether the build was made under this policy by this version of the code."""
        return self.policy_hash == policy_hash and self.code_version == __version__


def read_progress(lake: Lake, name: str) -> Progress | None:
    """Return the newest build of a name, None where there is none."""
    found = lake.read(PROGRESS, None, pc.field("name") == name).to_pylist()
    return Progress(**max(found, key=lambda row: row["generation"])) if found else None


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
    rows = lake.read(PROGRESS).to_pylist()
    newest = max((row["generation"] for row in rows if row["name"] == progress.name), default=0)
    kept = [row for row in rows if row["name"] != progress.name or row["generation"] > newest - KEPT_GENERATIONS]
    kept.append({**asdict(progress), "generation": newest + 1})
    lake.replace(PROGRESS, pa.Table.from_pylist(kept, schema=PROGRESS.arrow_schema()))


def newest_import(lake: Lake) -> int:
    """Return the number of the newest import that brought a row of any fact; 0 where there is none."""
    return newest_import_of(lake, FACTS.values())


def newest_import_of(lake: Lake, facts: Iterable[Fact]) -> int:
    """Return the number of the newest import that brought a row of these facts; 0 where there is none."""
    return max((lake.largest(fact.table, "import_seq") for fact in facts), default=0)


@dataclass(frozen=True)
class Plan:
    """What a build of a table downstream has to do: days from ``first`` to ``until``."""

    first: date
    until: date
    upstream: Progress


def plan_downstream(lake: Lake, name: str, upstream_name: str, policy_hash: str, first_day: date, restate_from: date | None) -> Plan | None:
    """Return what a table that rests on another derived table has to do, None where it is up to date."""
    upstream = read_progress(lake, upstream_name)
    if upstream is None:
        return None
    done = read_progress(lake, name)
    if done is None or not done.rests_on(policy_hash):
        return Plan(first_day, upstream.built_until, upstream)
    days = [day for day in (changed_since(lake, upstream_name, done.upstream_generation), restate_from) if day is not None]
    if upstream.built_until > done.built_until:
        days.append(done.built_until + timedelta(days=1))
    if not days or min(days) > upstream.built_until:
        return None
    return Plan(max(min(days), first_day), upstream.built_until, upstream)
