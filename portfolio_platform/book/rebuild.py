"""What can be rebuilt from the event log, and whether the read models still agree with it.

A report's event holds the hash of its content and of its provenance, not the bytes. So the index of reports can be
rebuilt from the log alone: portfolio, day, kind, revision, id, the two hashes, schema version, policy hash, time and
event number. The bytes cannot; they are recomputed from the lake (`portfolio verify`) or restored from a backup, and
proved by the hash either way. The same holds for policies.

Everything else that the book tells (alerts, their outbox, silences, recommendations, annotations, runs) is a read model:
its events hold all of it, so its tables can be compared with the log and written anew from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from sqlalchemy import Connection, Row, delete, insert, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import Json, StoredEvent, read
from portfolio_platform.book.read_models import Row as ModelRow
from portfolio_platform.book.read_models import applied, touched
from portfolio_platform.book.reports import REPORT_PUBLISHED
from portfolio_platform.canonical import content_hash
from portfolio_platform.errors import StoreProblem

ROWS_AT_ONCE = 100
"""How many reports are held in memory at a time."""

_SAME_COLUMNS = (
    "portfolio",
    "day",
    "kind",
    "revision",
    "content_hash",
    "schema_version",
    "policy_hash",
    "published_at",
    "event_seq",
)

Fault: TypeAlias = Literal["missing", "extra", "columns_differ", "content_differs", "provenance_differs"]


@dataclass(frozen=True)
class IndexedReport:
    """One revision as the event log tells it."""

    id: str
    portfolio: str
    day: date
    kind: str
    revision: int
    content_hash: str
    provenance_hash: str
    schema_version: int
    policy_hash: str
    published_at: str
    event_seq: int


@dataclass(frozen=True)
class ReportDifference:
    """One way in which the reports table and the event log disagree.

    Attributes:
        report_id: which revision.
        fault: `missing` in the table; `extra` in the table, without an event; a column that differs from the event;
            stored bytes that do not have the recorded hash.
        detail: what each of the two says.
    """

    report_id: str
    fault: Fault
    detail: str


def report_index(connection: Connection) -> Iterator[IndexedReport]:
    """Yield every revision ever published, in the order of the log, from the events alone."""
    for event in read(connection):
        if event.type == REPORT_PUBLISHED:
            yield _indexed(event)


def check_reports(connection: Connection) -> list[ReportDifference]:
    """Compare the reports table with the event log; an empty list says that they agree, to the last byte stored."""
    told = {report.id: report for report in report_index(connection)}
    seen: set[str] = set()
    differences: list[ReportDifference] = []
    query = select(schema.reports).order_by(schema.reports.c.event_seq, schema.reports.c.id)
    with connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as result:
        for row in result:
            seen.add(row.id)
            if row.id in told:
                differences.extend(_row_differences(told[row.id], row))
            else:
                differences.append(ReportDifference(row.id, "extra", "the log has no event for it"))
    for identity, event in told.items():
        if identity not in seen:
            detail = f"event {event.event_seq} published it, the table does not have it"
            differences.append(ReportDifference(identity, "missing", detail))
    return differences


@dataclass(frozen=True)
class RowDifference:
    """One row in which a read model and the event log disagree: missing, extra, or other in a column."""

    table: str
    id: str
    fault: Fault
    detail: str


def read_models(connection: Connection) -> dict[str, dict[str, ModelRow]]:
    """Return every read model as the events alone tell it: by table and id, without the transient columns."""
    models: dict[str, dict[str, ModelRow]] = {name: {} for name in schema.READ_MODELS}
    for event in read(connection):
        about = touched(event)
        if about is None:
            continue
        table, rows = about
        model = models[table.name]
        for identity, told in rows.items():
            model[identity] = applied(model.get(identity), table, identity, told, event.seq)
    return models


def check_read_models(connection: Connection) -> list[RowDifference]:
    """Compare the read models with the event log; an empty list says that they agree."""
    differences: list[RowDifference] = []
    for name, model in read_models(connection).items():
        table, seen = schema.READ_MODELS[name], set()
        for row in connection.execute(select(table).order_by(table.c.id)):
            seen.add(row.id)
            found = {key: value for key, value in row._mapping.items() if key not in schema.TRANSIENT}
            told = model.get(row.id)
            if told is None:
                differences.append(RowDifference(name, row.id, "extra", "the log has no event for it"))
            elif told != found:
                wrong = ", ".join(sorted(key for key in found if found[key] != told.get(key)))
                differences.append(RowDifference(name, row.id, "columns_differ", f"the log says otherwise of {wrong}"))
        missing = sorted(model.keys() - seen)
        differences.extend(RowDifference(name, identity, "missing", "the log has events for it") for identity in missing)
    return differences


def rebuild_read_models(connection: Connection) -> dict[str, int]:
    """Write every read model anew from the event log; return the rows of each. Leases are let go.

    Args:
        connection: a writer's transaction.
    """
    take_log_lock(connection)
    written = {}
    for name, model in read_models(connection).items():
        table = schema.READ_MODELS[name]
        connection.execute(delete(table))
        rows = list(model.values())
        for start in range(0, len(rows), ROWS_AT_ONCE):
            connection.execute(insert(table), rows[start : start + ROWS_AT_ONCE])
        written[name] = len(rows)
    return written


def _row_differences(event: IndexedReport, row: Row[tuple[object, ...]]) -> Iterator[ReportDifference]:
    for name in _SAME_COLUMNS:
        said, found = getattr(event, name), row._mapping[name]
        if str(said) != str(found):
            yield ReportDifference(event.id, "columns_differ", f"the column {name} says {found}, the event {said}")
    if (found := content_hash(row.content)) != event.content_hash:
        detail = f"the stored bytes have hash {found}, the event says {event.content_hash}"
        yield ReportDifference(event.id, "content_differs", detail)
    if (found := content_hash(row.provenance)) != event.provenance_hash:
        detail = f"the stored bytes have hash {found}, the event says {event.provenance_hash}"
        yield ReportDifference(event.id, "provenance_differs", detail)


def _indexed(event: StoredEvent) -> IndexedReport:
    data = event.data
    return IndexedReport(
        id=_text(data["report_id"]),
        portfolio=_text(data["portfolio"]),
        day=date.fromisoformat(_text(data["day"])),
        kind=_text(data["kind"]),
        revision=_whole(data["revision"]),
        content_hash=_text(data["content_hash"]),
        provenance_hash=_text(data["provenance_hash"]),
        schema_version=_whole(data["schema_version"]),
        policy_hash=_text(data["policy_hash"]),
        published_at=event.recorded_at,
        event_seq=event.seq,
    )


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise StoreProblem(f"a {REPORT_PUBLISHED} event holds {value!r} where a text belongs; verify the log")
    return value


def _whole(value: Json) -> int:
    if not isinstance(value, int):
        raise StoreProblem(f"a {REPORT_PUBLISHED} event holds {value!r} where a whole number belongs; verify the log")
    return value
