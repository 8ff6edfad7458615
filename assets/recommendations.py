"""What a partition of `recommendations` shows: those issued on the day, and what became of them."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from portfolio_platform.home import Home


def partition_metadata(home: Home, days: Sequence[date]) -> dict[date, dict[str, Any]]:
    """Return the metadata of each day; a day on which none was issued says so."""
    from portfolio_platform.book.recommendations import listed

    shown: dict[date, dict[str, Any]] = {day: {"issued": 0} for day in days}
    with home.book.reading() as connection:
        found = listed(connection)
    for one in found:
        metadata = shown.get(date.fromisoformat(one.issued))
        if metadata is None:
            continue
        content = json.loads(one.content)
        metadata["issued"] += 1
        metadata[f"{one.portfolio} mode"] = str(content.get("mode", ""))
        metadata[f"{one.portfolio} state"] = one.state
        metadata[f"{one.portfolio} reason"] = dg.MetadataValue.text(str(content.get("reason", "")))
    return shown
