"""The sample ledger: where it ends."""

from datetime import date
from pathlib import Path

from portfolio_platform.days import day_number, nanoseconds, to_date
from portfolio_platform.errors import WrongUse


def last_day(folder: Path) -> date:
    """Return the last day of the bars of a folder in the canonical format: where the clock of its home stands."""
    import csv
    import gzip
    from datetime import datetime

    bars = folder / "bars.csv.gz"
    if not bars.is_file():
        raise WrongUse(f"{folder} is no sample: it has no bars.csv.gz")
    with gzip.open(bars, "rt", encoding="utf-8", newline="") as lines:
        newest = max(row["ts"] for row in csv.DictReader(lines))
    return to_date(day_number(nanoseconds(datetime.fromisoformat(newest))))
