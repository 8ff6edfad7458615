"""Brings a home that an older version made to this one: its book, its tables, and what its policy leaves to the defaults.

A person's files are never rewritten. Facts are widened by optional columns; derived tables that are declared otherwise now are
dropped and built again. Killed at any point, the next upgrade does what is left.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from portfolio_platform.book import migrate
from portfolio_platform.errors import StoreProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.built import Built
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import read_progress, write_progress
from portfolio_platform.policy.load import load_policy
from portfolio_platform.policy.shipped import shipped
from portfolio_platform.upkeep.archive import Report
from portfolio_platform.upkeep.book_rows import book_url
from portfolio_platform.upkeep.schemas import Difference, differences, require_widenable, widened

DROPPED = "dropped"
"""The version of the code that a build is said to be of whose tables were dropped: no version, so that it is built again."""


@dataclass(frozen=True)
class UpgradePlan:
    """What an upgrade has to do.

    Attributes:
        book_from: version of the book; empty where there is none yet.
        book_to: version that this code needs.
        widen: facts that lack optional columns.
        rebuild: derived tables that are declared otherwise now.
        unused: folders of the lake that no table of this version has.
        defaults: keys that `default.toml` of the home does not name, so that their defaults hold.
    """

    book_from: str
    book_to: str
    widen: tuple[Difference, ...]
    rebuild: tuple[Difference, ...]
    unused: tuple[str, ...]
    defaults: tuple[str, ...]

    @property
    def is_needed(self) -> bool:
        """Say whether anything has to be brought to this version before a build."""
        return self.book_from != self.book_to or bool(self.widen or self.rebuild)


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did: its plan, and what was built."""

    plan: UpgradePlan
    built: Mapping[str, Built]


def plan_upgrade(home: Home) -> UpgradePlan:
    """Return what an upgrade of a home has to do; nothing is changed.

    Raises:
        StoreProblem: the book or a fact table is newer than this code, or cannot be read.
        DataProblem: a policy of the home cannot be read by this version; the text names the key.
    """
    for path in sorted(home.require().policies.glob("*.toml")):
        load_policy(path)
    found = differences(home.lake)
    facts = tuple(item for item in found if not item.is_derived)
    for item in facts:
        require_widenable(item)
    version = _book_version(home)
    if version > migrate.head():
        raise StoreProblem(
            f"{home.book.name}: the book has version {version}, this code knows {migrate.head()} at most; upgrade the package"
        )
    rebuild = tuple(item for item in found if item.is_derived)
    return UpgradePlan(version, migrate.head(), facts, rebuild, tuple(_unused(home)), tuple(missing_keys(_own_policy(home), shipped())))


def upgrade(home: Home, report: Report = lambda text: None) -> Upgraded:
    """Bring a home to this version: the book first, then the tables, then a build of everything. Raises as `plan_upgrade` does."""
    from portfolio_platform.build import build_all

    with home.require().lake.writing():
        plan = plan_upgrade(home)
        report("the book")
        home.book.create()
        for item in plan.widen:
            report(f"widening {item.table.name}")
            home.lake.replace(item.table, widened(item.table, home.lake.read(item.table, _stored_columns(item))))
        redeclare(home, [item.table for item in plan.rebuild])
        return Upgraded(plan, build_all(home, report=report))


def redeclare(home: Home, tables: Sequence[Table]) -> None:
    """Drop derived tables, and see to it that the next build makes them anew, with everything that rests on them.

    Builds are marked first, so that nobody takes a table that is gone for one that is built. Facts are refused.

    Raises:
        StoreProblem: one of the tables is no derived table.
    """
    from portfolio_platform.stages import STAGES

    for table in tables:
        if table.name not in derived.DERIVED:
            raise StoreProblem(f"{table.name} is a fact: it cannot be built again, so it is never dropped")
    with home.lake.writing():
        names = {table.name for table in tables}
        if derived.PROGRESS.name not in names:
            owners = [stage.name for stage in STAGES if names & {table.name for table in stage.tables}]
            if names & {table.name for table in (*derived.LEDGER, *derived.STATE)}:
                owners.insert(0, "ledger")
            for owner in owners:
                done = read_progress(home.lake, owner)
                if done is not None:
                    # another generation, not a row less: whoever rests on it counts from the generation that it saw
                    write_progress(home.lake, replace(done, code_version=DROPPED))
        else:
            home.lake.drop(derived.PROGRESS)
        for table in tables:
            home.lake.drop(table)


def missing_keys(own: Mapping[str, Any], whole: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the keys that a policy file does not name and the shipped one does; a section that is missing as a whole once."""
    for key, value in whole.items():
        name = f"{prefix}{key}"
        if key not in own:
            yield name
        elif isinstance(value, dict) and isinstance(own[key], dict):
            yield from missing_keys(own[key], value, f"{name}.")


def _own_policy(home: Home) -> dict[str, Any]:
    path = home.policies / "default.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _book_version(home: Home) -> str:
    from portfolio_platform.book.location import locate

    url = book_url(home)
    path = locate(url).path
    if path is not None and not path.exists():
        return ""
    return migrate.current(url) or ""


def _stored_columns(item: Difference) -> list[str]:
    return [name for name in item.table.column_names if name not in item.missing]


def _unused(home: Home) -> Iterator[str]:
    from pathlib import Path

    if home.lake.is_local and Path(home.lake.url).is_dir():
        for path in sorted(Path(home.lake.url).iterdir()):
            if (path / "_delta_log").is_dir() and path.name not in derived.TABLES:
                yield path.name
