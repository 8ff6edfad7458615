"""What a build of derived tables did."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Built:
    """The days a build wrote and its rows by table. ``changed_from`` is None where all was up to date."""

    until: date
    changed_from: date | None
    rows: dict[str, int]
