"""Reports as immutable revisions: published in one transaction each with its event, read back byte for byte."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import CHUNK, NewEvent, StoredEvent, append
from portfolio_platform.book.instants import day_text
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import DataProblem

REPORT_PUBLISHED = "report_published"
"""The type of the event that every revision has."""

ROWS_AT_ONCE = 200
"""How many reports go into one statement: their contents are sent with it."""

Status: TypeAlias = Literal["new", "revised", "unchanged"]
_Key: TypeAlias = tuple[str, str, str]  # portfolio, kind, day


@dataclass(frozen=True)
class ReportDraft:
    """A report to publish.

    Attributes:
        portfolio: whose report it is.
        day: the UTC day it is about.
        kind: `daily`.
        schema_version: the version of the content's shape.
        policy_hash: the policy it was computed by.
        content: its canonical bytes; they are hashed and stored as they are.
        provenance: what it was computed from, without floats; stands beside the content, outside its hash.
    """

    portfolio: str
    day: date
    kind: str
    schema_version: int
    policy_hash: str
    content: bytes
    provenance: Mapping[str, object]


@dataclass(frozen=True)
class Published:
    """What became of a draft: the revision that now is the newest, and whether it was written for this draft."""

    report_id: str
    portfolio: str
    day: date
    kind: str
    revision: int
    content_hash: str
    status: Status


@dataclass(frozen=True)
class StoredReport:
    """A revision as the book holds it; `provenance` is canonical JSON, `published_at` ISO text in UTC."""

    id: str
    portfolio: str
    day: date
    kind: str
    revision: int
    content_hash: str
    schema_version: int
    policy_hash: str
    content: bytes
    provenance: bytes
    published_at: str
    event_seq: int


@dataclass(frozen=True)
class _Newest:
    revision: int
    content_hash: str
    schema_version: int


def report_id(portfolio: str, kind: str, day: date, revision: int) -> str:
    """Return the id of a revision; the same for the same revision in every book."""
    return f"report:{kind}:{portfolio}:{day_text(day)}:r{revision}"


def publish(connection: Connection, drafts: Sequence[ReportDraft], *, published_at: datetime) -> list[Published]:
    """Publish reports, each as a new revision where content or schema version differ from the newest one.

    Args:
        connection: a writer's transaction; all drafts are published in it, or none.
        drafts: any number; where two are of one portfolio, kind and day, the second follows upon the first.
        published_at: the time, with a time zone.

    Returns:
        One answer for each draft, in the same order.

    Raises:
        DataProblem: a provenance holds a float.
        IdempotencyConflict: the log knows this revision with other content (the reports table lost rows).
    """
    if not drafts:
        return []
    take_log_lock(connection)
    newest = _newest_revisions(connection, drafts)
    published: list[Published] = []
    rows: list[dict[str, object]] = []
    events: list[NewEvent] = []
    for draft in drafts:
        key = (draft.portfolio, draft.kind, day_text(draft.day))
        hashed = content_hash(draft.content)
        before = newest.get(key)
        status: Status = "new" if before is None else "revised"
        if before is not None and (before.content_hash, before.schema_version) == (hashed, draft.schema_version):
            status = "unchanged"
        unchanged = 0 if status == "unchanged" else 1
        revision = unchanged + (before.revision if before is not None else 0)
        identity = report_id(draft.portfolio, draft.kind, draft.day, revision)
        published.append(Published(identity, draft.portfolio, draft.day, draft.kind, revision, hashed, status))
        if status != "unchanged":
            newest[key] = _Newest(revision, hashed, draft.schema_version)
            row = _row(draft, identity, revision, hashed)
            rows.append(row)
            events.append(_event(row))
    _insert(connection, rows, append(connection, events, recorded_at=published_at))
    return published


def newest(connection: Connection, portfolio: str, day: date | None = None, kind: str = "daily") -> StoredReport | None:
    """Return the newest revision of a day's report, or of the last day that has one; None where there is none."""
    table = schema.reports.c
    query = select(schema.reports).where(table.portfolio == portfolio, table.kind == kind)
    if day is not None:
        query = query.where(table.day == day_text(day))
    return _first(connection, query.order_by(table.day.desc(), table.revision.desc()))


def revision(connection: Connection, portfolio: str, day: date, number: int, kind: str = "daily") -> StoredReport | None:
    """Return one revision of a day's report; None where there is no such revision."""
    return by_id(connection, report_id(portfolio, kind, day, number))


def by_id(connection: Connection, identity: str) -> StoredReport | None:
    """Return the revision with this id; None where there is no such revision."""
    return _first(connection, select(schema.reports).where(schema.reports.c.id == identity))


def history(
    connection: Connection,
    portfolio: str,
    kind: str = "daily",
    day_from: date | None = None,
    day_to: date | None = None,
) -> list[StoredReport]:
    """Return the newest revision of each day from `day_from` to `day_to`, both included, in the order of days."""
    table = schema.reports.c
    mine = and_(table.portfolio == portfolio, table.kind == kind)
    if day_from is not None:
        mine = and_(mine, table.day >= day_text(day_from))
    if day_to is not None:
        mine = and_(mine, table.day <= day_text(day_to))
    last = select(table.day, func.max(table.revision).label("revision")).where(mine).group_by(table.day).subquery()
    is_last = and_(table.day == last.c.day, table.revision == last.c.revision)
    query = select(schema.reports).join(last, is_last).where(mine).order_by(table.day)
    return [_stored(row) for row in connection.execute(query)]


def portfolios_with_reports(connection: Connection, kind: str = "daily") -> list[str]:
    """Return the names of all portfolios that have a report of this kind, sorted."""
    table = schema.reports.c
    return sorted(connection.execute(select(table.portfolio).where(table.kind == kind).distinct()).scalars())


def _row(draft: ReportDraft, identity: str, number: int, hashed: str) -> dict[str, object]:
    try:
        provenance = canonical_bytes(draft.provenance, floats=False)
    except (TypeError, ValueError) as error:
        raise DataProblem(f"the provenance of {identity} cannot be recorded: {error}") from error
    return {
        "id": identity,
        "portfolio": draft.portfolio,
        "day": day_text(draft.day),
        "kind": draft.kind,
        "revision": number,
        "content_hash": hashed,
        "schema_version": draft.schema_version,
        "policy_hash": draft.policy_hash,
        "content": draft.content,
        "provenance": provenance,
    }


def _event(row: Mapping[str, object]) -> NewEvent:
    described = ("portfolio", "day", "kind", "revision", "content_hash", "schema_version", "policy_hash")
    data = {name: row[name] for name in described}
    provenance = row["provenance"]
    assert isinstance(provenance, bytes)
    data |= {"report_id": row["id"], "provenance_hash": content_hash(provenance)}
    return NewEvent(f"reports/{row['portfolio']}", REPORT_PUBLISHED, data, str(row["id"]))


def _insert(connection: Connection, rows: Sequence[dict[str, object]], events: Sequence[StoredEvent]) -> None:
    for row, event in zip(rows, events, strict=True):
        row |= {"event_seq": event.seq, "published_at": event.recorded_at}
    for start in range(0, len(rows), ROWS_AT_ONCE):
        connection.execute(insert(schema.reports), rows[start : start + ROWS_AT_ONCE])


def _newest_revisions(connection: Connection, drafts: Iterable[ReportDraft]) -> dict[_Key, _Newest]:
    """Return the newest revision of each drafted report, asking along whichever of days and portfolios is longer."""
    table = schema.reports.c
    wanted = {(draft.portfolio, draft.kind, day_text(draft.day)) for draft in drafts}
    by_portfolio: dict[tuple[str, str], list[str]] = defaultdict(list)
    by_day: dict[tuple[str, str], list[str]] = defaultdict(list)
    for portfolio, kind, day in sorted(wanted):
        by_portfolio[portfolio, kind].append(day)
        by_day[day, kind].append(portfolio)
    found: dict[_Key, _Newest] = {}
    if len(by_portfolio) <= len(by_day):
        for (portfolio, kind), days in by_portfolio.items():
            _collect(connection, and_(table.portfolio == portfolio, table.kind == kind), table.day, days, found)
    else:
        for (day, kind), portfolios in by_day.items():
            _collect(connection, and_(table.day == day, table.kind == kind), table.portfolio, portfolios, found)
    return found


def _collect(
    connection: Connection,
    fixed: ColumnElement[bool],
    varied: ColumnElement[str],
    values: Sequence[str],
    found: dict[_Key, _Newest],
) -> None:
    table = schema.reports.c
    columns = (table.portfolio, table.kind, table.day, table.revision, table.content_hash, table.schema_version)
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        query = select(*columns).where(fixed, varied.in_(chunk)).order_by(table.revision)
        for portfolio, kind, day, number, hashed, shape in connection.execute(query):
            found[portfolio, kind, day] = _Newest(number, hashed, shape)


def _first(connection: Connection, query: Select[tuple[object, ...]]) -> StoredReport | None:
    row = connection.execute(query.limit(1)).first()
    return None if row is None else _stored(row)


def _stored(row: Row[tuple[object, ...]]) -> StoredReport:
    values = dict(row._mapping)
    values["day"] = date.fromisoformat(values["day"])
    return StoredReport(**values)
