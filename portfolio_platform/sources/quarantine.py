"""Rows set aside: one rejection for each, with its first fault and an identity that does not depend on the file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import DataProblem
from portfolio_platform.sources.model import Fault, Rejection

MAX_CELL_SHOWN = 4_096
MAX_VALUE_SHOWN = 200
FILE_HASH_BYTES = 16 << 20


def _short(text: str, at_most: int) -> str:
    return text if len(text) <= at_most else text[:at_most] + "…"


@dataclass
class Quarantine:
    """Collects the rejections of one file; `names` is the order of columns, in which the first fault is chosen."""

    fact: str
    source_file: str
    names: Sequence[str]
    rejections: list[Rejection] = field(default_factory=list)
    _seen: Counter[str] = field(default_factory=Counter)

    def add(
        self, line: int, cells: Mapping[str, str], faults: Sequence[Fault], ts: int | None = None, portfolio: str | None = None
    ) -> None:
        """Set one row aside for its faults (at least one); `cells` is the row as read."""
        order = {name: number for number, name in enumerate(self.names)}
        ordered = sorted(faults, key=lambda fault: order.get(fault.column, len(order)))
        first = ordered[0]
        others = list(dict.fromkeys(fault.column for fault in ordered[1:] if fault.column != first.column))
        rule = first.rule + (f" (and {len(others)} more: {', '.join(others)})" if others else "")
        row = canonical_bytes(cells)
        identity = content_hash(canonical_bytes([self.fact, first.column, first.code]) + row)
        if len(row) > MAX_CELL_SHOWN:
            row = canonical_bytes({name: _short(cell, MAX_CELL_SHOWN) for name, cell in cells.items()})
        occurrence, self._seen[identity] = self._seen[identity], self._seen[identity] + 1
        value = cells.get(first.column, "") if first.column else cells.get("(line)", "")
        self.rejections.append(
            Rejection(
                fact=self.fact,
                source_file=self.source_file,
                source_line=line,
                column=first.column,
                value=_short(value, MAX_VALUE_SHOWN),
                rule=rule,
                remedy=first.remedy,
                row=row.decode(),
                ts=ts,
                portfolio=portfolio,
                quarantine_id=content_hash(f"{identity}:{occurrence}".encode()),
            )
        )

    def add_file(self, path: Path, fault: Fault) -> None:
        """Set the whole file aside; its identity is that of its bytes (the first 16 MiB and the size) and the rule."""
        try:
            with path.open("rb") as file:
                start = file.read(FILE_HASH_BYTES)
            size = path.stat().st_size
        except OSError as error:
            raise DataProblem(f"{path.name} cannot be read: {error.strerror or error}; check the path and its rights") from error
        identity = canonical_bytes([self.fact, fault.code, size, content_hash(start)])
        self.rejections.append(
            Rejection(self.fact, self.source_file, 0, fault.column, "", fault.rule, fault.remedy, "", None, None, content_hash(identity))
        )
