"""What something was made from: the newest import, the policies in force, the version of the code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection

from portfolio_platform.book import policies as archive
from portfolio_platform.book.reports import StoredReport
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import PORTFOLIOS, QUARANTINE
from portfolio_platform.lake.progress import newest_decisions, newest_import
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.policy.model import Policy
from portfolio_platform.policy.timeline import Timeline, Version
from portfolio_platform.version import __version__


@dataclass(frozen=True)
class Basis:
    """Facts up to an import, policies by the name under which a portfolio asks for them, version of the code.

    ``decisions`` is the newest event of the book that counts, by the build that rests on it.
    """

    import_seq: int
    policies: Mapping[str, Timeline]
    code_version: str
    decisions: Mapping[str, int] = field(default_factory=dict)

    def same_as(self, other: "Basis") -> bool:
        """Say whether the same would be computed from both."""
        hashes = [{name: _begun(timeline) for name, timeline in basis.policies.items()} for basis in (self, other)]
        return self.import_seq == other.import_seq and hashes[0] == hashes[1] and dict(self.decisions) == dict(other.decisions)


def basis_of(home: Home, stored: StoredReport) -> Basis:
    """Return what a report was made from. Raises `DataProblem` where it does not say, or where a policy is not archived."""
    provenance = json.loads(stored.provenance)
    sequence = int(provenance["import_seq"])
    decisions = provenance.get("decisions") or {}  # a report from before there were any rests on none
    return Basis(sequence, archived_policies(home, provenance, sequence), str(provenance["code_version"]), decisions)


def basis_now(home: Home, day: date | None = None) -> Basis:
    """Return what anything of a day would be made from now; the whole of every timeline where no day is given."""
    policies = policies_in_time(home)
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "policy")).to_pylist()
    found = {"default": policies.default}
    found |= {row["policy"]: policies.timeline(row["portfolio"]) for row in rows if row["policy"] != "default"}
    newest = max(newest_import(home.lake), home.lake.largest(QUARANTINE, "import_seq"))
    named = {name: timeline if day is None else timeline.until(day) for name, timeline in found.items()}
    return Basis(newest, named, __version__, newest_decisions(home.lake))


def _begun(timeline: Timeline) -> tuple[tuple[date, str], ...]:
    """Return what a computation sees of a timeline. The first version's own first day is not: before it nothing was computed."""
    first, *others = timeline.versions
    return (date.min, first.policy.hash), *((version.begins, version.policy.hash) for version in others)


def archived_policies(home: Home, provenance: Mapping[str, Any], sequence: int) -> dict[str, Timeline]:
    """Return the policies that were in force, and from when on, by the name under which a portfolio asks for them."""
    hashes = provenance.get("policies")
    if not isinstance(hashes, dict) or "default" not in hashes:
        raise DataProblem("the report does not say which policies it was made under; it is of an older version, publish the day again")
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "policy"), until_seq=sequence).to_pylist()
    names = {"default": hashes["default"]}
    names |= {row["policy"]: hashes["by_portfolio"][row["portfolio"]] for row in rows if row["portfolio"] in hashes["by_portfolio"]}
    versions = hashes.get("in_time") or {name: [[None, hashed]] for name, hashed in names.items()}
    with home.book.reading() as connection:
        return {
            name: Timeline(name, tuple(_archived(connection, begins, hashed) for begins, hashed in told)) for name, told in versions.items()
        }


def _archived(connection: Connection, begins: str | None, hashed: str) -> Version:
    policy = Policy.model_validate_json(archive.load(connection, hashed).content)
    return Version(policy, None if begins is None else date.fromisoformat(begins), source=f"archived {hashed[:12]}")
