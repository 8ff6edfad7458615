"""How far derived tables are, and what they rest on."""

from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.lake.derived import PROGRESS
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.lake.store import Lake


@dataclass(frozen=True)
class Progress:
    """A build that is complete: everything up to ``built_until`` rests on the imports up to ``import_seq``."""

    name: str
    built_until: date
    import_seq: int
    policy_hash: str
    code_version: str
    changed_from: date
    generation: int = 0


def read_progress(lake: Lake, name: str) -> Progress | None:
    """Return the newest build of a table, None where there is none."""
    found = lake.read(PROGRESS, None, pc.field("name") == name).to_pylist()
    return Progress(**found[0]) if found else None


def write_progress(lake: Lake, progress: Progress) -> None:
    """Record a build; it is complete from here on."""
    others = lake.read(PROGRESS).to_pylist()
    before = next((row["generation"] for row in others if row["name"] == progress.name), 0)
    rows = [row for row in others if row["name"] != progress.name]
    rows.append({**progress.__dict__, "generation": before + 1})
    lake.replace(PROGRESS, pa.Table.from_pylist(rows, schema=PROGRESS.arrow_schema()))


def newest_import(lake: Lake) -> int:
    """Return the number of the newest import that brought a row; 0 where there is none."""
    found = [pc.max(lake.read(fact.table, ["import_seq"])["import_seq"]).as_py() for fact in FACTS.values()]
    return max((number for number in found if number is not None), default=0)
