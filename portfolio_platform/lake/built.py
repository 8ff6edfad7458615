"""What a build of derived tables did."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Built:
    """The days a build wrote and its rows by table. ``changed_from`` is None where all was up to date."""

    until: date
    changed_from: date | None
    rows: dict[str, int]

    @property
    def sentence(self) -> str:
        """Say what the build did, for a person."""
        return "up to date" if self.changed_from is None else f"built from {self.changed_from} to {self.until}"
