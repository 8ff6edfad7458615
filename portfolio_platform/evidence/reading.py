"""Evidence as it is stored, one object for each metric, for those who explain a number or write a report."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.lake.derived import SAMPLE_SUFFICIENCY
from portfolio_platform.lake.store import Lake


@dataclass(frozen=True)
class Evidence:
    """What a metric rests on in one session: the columns of `sample_sufficiency`; None where a figure is null."""

    day: date
    portfolio: str
    metric: str
    scope: str
    value: float | None
    unit: str
    gate: str
    sample_size: int
    required: int | None
    coverage: float | None
    low: float | None
    high: float | None
    threshold: float | None
    window_start: date | None
    method: str
    passed: bool
    reason: str
    missing: int | None
    sessions_until: float | None
    evidence_id: str


def read_evidence(lake: Lake, day: date, *, portfolio: str | None = None, metrics: Iterable[str] | None = None) -> tuple[Evidence, ...]:
    """Return the evidence of one day, by portfolio, metric and scope; of one portfolio or of some metrics where these are named."""
    where = pc.field("day") == day
    if portfolio is not None:
        where = where & (pc.field("portfolio") == portfolio)
    if metrics is not None:
        where = where & pc.field("metric").isin(pa.array(sorted(metrics), pa.string()))
    month = day.isoformat()[:7]
    names = [field.name for field in fields(Evidence)]
    rows = lake.read(SAMPLE_SUFFICIENCY, names, where, from_month=month, to_month=month)
    rows = rows.sort_by([(name, "ascending") for name in SAMPLE_SUFFICIENCY.key])
    return tuple(Evidence(**row) for row in rows.to_pylist())
