"""What the `alerts` asset shows and observes: the live table, and the days whose reports rest on other inputs than before."""

import json
from typing import Any

import dagster as dg

from portfolio_platform.home import Home

SHOWN = ("severity", "state", "sentence", "since", "sessions", "by", "id")
CURSOR = "portfolio_platform:day_inputs"
"""Where the Dagster instance remembers which version of each day it has been told."""


def live_table(home: Home) -> dict[str, Any]:
    """Return the open alerts, gravest first, as a table; and how many there are of each severity."""
    from portfolio_platform.book.alerts import open_alerts

    rank = {"critical": 0, "warning": 1, "info": 2}
    with home.book.reading() as connection:
        found = sorted(open_alerts(connection), key=lambda alert: (rank.get(alert.severity, 3), alert.portfolio, alert.id))
    counts: dict[str, Any] = {f"open {severity}": sum(alert.severity == severity for alert in found) for severity in rank}
    records = [
        dg.TableRecord(
            {
                "state": alert.state,
                "severity": alert.severity,
                "since": alert.first_seen,
                "sessions": str(alert.sessions),
                "sentence": str(json.loads(alert.content).get("sentence", "")),
                "by": alert.acknowledged_by,
                "id": alert.id,
            }
        )
        for alert in found
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in SHOWN])
    return counts | {"live": dg.MetadataValue.table(records=records, schema=schema)}


def observe_inputs(home: Home, instance: dg.DagsterInstance) -> int:
    """Tell Dagster the version of each day's inputs where it does not know it; return how many days it was told.

    A report made from another version than the newest one is stale. The instance remembers what it was told, so that a
    refresh that changes nothing tells nothing.
    """
    from portfolio_platform.monitor.pipeline.staleness import input_digests

    storage = instance.daemon_cursor_storage
    known: dict[str, str] = _remembered(storage.get_cursor_values({CURSOR}).get(CURSOR)) if storage else {}
    now = {day.isoformat(): digest[:16] for day, digest in input_digests(home).items()}
    told = {day: digest for day, digest in now.items() if known.get(day) != digest}
    for day, digest in told.items():
        instance.report_runless_asset_event(dg.AssetObservation("day_inputs", partition=day, tags={"dagster/data_version": digest}))
    if told and storage:
        storage.set_cursor_values({CURSOR: json.dumps(now, sort_keys=True)})
    return len(told)


def _remembered(text: str | None) -> dict[str, str]:
    """Return what was remembered; damaged text is as good as none: the days are told again."""
    try:
        found = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
