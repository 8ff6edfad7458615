"""Recomputing what was told from the facts known then, under the policy in force then, and comparing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portfolio_platform import __version__
from portfolio_platform.book import policies as archive
from portfolio_platform.book.reports import StoredReport
from portfolio_platform.errors import DataProblem
from portfolio_platform.explain.scratch import as_known
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import PORTFOLIOS
from portfolio_platform.monitor.pipeline.contents import compose_reports
from portfolio_platform.policy.model import Policy


@dataclass(frozen=True)
class Difference:
    """A place in the content where the stored and the recomputed value are not the same."""

    path: str
    stored: Any
    recomputed: Any


@dataclass(frozen=True)
class Verification:
    """What a recomputation found. ``code_version`` is that of the report; `same_code` says whether it is ours."""

    report_id: str
    equal: bool
    import_seq: int
    code_version: str
    differences: tuple[Difference, ...]

    @property
    def same_code(self) -> bool:
        """Say whether the report was made by this version of the code."""
        return self.code_version == __version__

    @property
    def sentence(self) -> str:
        """Say what was found, for a person."""
        known = f"from the facts known after import {self.import_seq}, under the archived policy"
        version = "" if self.same_code else f" (it was made by version {self.code_version}, this is {__version__})"
        if self.equal:
            return f"{self.report_id} recomputes to the same bytes {known}{version}."
        count = len(self.differences)
        return f"{self.report_id} does not recompute {known}{version}: {count} {'place differs' if count == 1 else 'places differ'}."


def verify_report(home: Home, stored: StoredReport) -> Verification:
    """Recompute a report and compare it byte by byte."""
    provenance = json.loads(stored.provenance)
    sequence, version = int(provenance["import_seq"]), str(provenance["code_version"])
    policies = archived_policies(home, provenance, sequence)
    with as_known(home, sequence, policies, stored.day) as scratch:
        found = {report.portfolio: report for report in compose_reports(scratch, [stored.day])}
    again = found.get(stored.portfolio)
    content = again.canonical() if again is not None else b"null"
    equal = content == stored.content
    differences = () if equal else tuple(compare(json.loads(stored.content), json.loads(content)))
    return Verification(stored.id, equal, sequence, version, differences)


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


def compare(stored: Any, recomputed: Any, path: str = "") -> Iterator[Difference]:
    """Yield the places where two JSON values differ, by path."""
    if isinstance(stored, dict) and isinstance(recomputed, dict):
        for name in sorted(stored.keys() | recomputed.keys()):
            yield from compare(stored.get(name), recomputed.get(name), f"{path}.{name}" if path else name)
    elif isinstance(stored, list) and isinstance(recomputed, list) and len(stored) == len(recomputed):
        for place, (one, other) in enumerate(zip(stored, recomputed, strict=True)):
            yield from compare(one, other, f"{path}[{place}]")
    elif stored != recomputed:
        yield Difference(path or "content", stored, recomputed)
