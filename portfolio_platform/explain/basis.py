"""What something was made from: the newest import, the policies in force, the version of the code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portfolio_platform.book import policies as archive
from portfolio_platform.book.reports import StoredReport
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import PORTFOLIOS, QUARANTINE
from portfolio_platform.lake.progress import newest_import
from portfolio_platform.policy.assigned import assigned_policies
from portfolio_platform.policy.model import Policy
from portfolio_platform.version import __version__


@dataclass(frozen=True)
class Basis:
    """Facts up to an import, policies by the name under which a portfolio asks for them, version of the code."""

    import_seq: int
    policies: Mapping[str, Policy]
    code_version: str

    def same_as(self, other: "Basis") -> bool:
        """Say whether the same would be computed from both."""
        hashes = [{name: policy.hash for name, policy in basis.policies.items()} for basis in (self, other)]
        return self.import_seq == other.import_seq and hashes[0] == hashes[1]


def basis_of(home: Home, stored: StoredReport) -> Basis:
    """Return what a report was made from. Raises `DataProblem` where it does not say, or where a policy is not archived."""
    provenance = json.loads(stored.provenance)
    sequence = int(provenance["import_seq"])
    return Basis(sequence, archived_policies(home, provenance, sequence), str(provenance["code_version"]))


def basis_now(home: Home) -> Basis:
    """Return what anything would be made from now."""
    assigned = assigned_policies(home)
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "policy")).to_pylist()
    named = {row["policy"]: assigned.of(row["portfolio"]) for row in rows if row["policy"] != "default"}
    newest = max(newest_import(home.lake), home.lake.largest(QUARANTINE, "import_seq"))
    return Basis(newest, {"default": assigned.default, **named}, __version__)


def archived_policies(home: Home, provenance: Mapping[str, Any], sequence: int) -> dict[str, Policy]:
    """Return the policies that were in force, by the name under which a portfolio asks for them."""
    hashes = provenance.get("policies")
    if not isinstance(hashes, dict) or "default" not in hashes:
        raise DataProblem("the report does not say which policies it was made under; it is of an older version, publish the day again")
    rows = active.read(home.lake, PORTFOLIOS, ("portfolio", "policy"), until_seq=sequence).to_pylist()
    names = {"default": hashes["default"]}
    names |= {row["policy"]: hashes["by_portfolio"][row["portfolio"]] for row in rows if row["portfolio"] in hashes["by_portfolio"]}
    with home.book.reading() as connection:
        return {name: Policy.model_validate_json(archive.load(connection, hashed).content) for name, hashed in names.items()}
