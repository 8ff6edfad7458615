"""Restoring a backup into a new home: all of it is verified first, and a failure leaves nothing behind.

The home is made in a hidden folder within its place and moved up as the last step. A book elsewhere (PORTFOLIO_BOOK_URL) is filled
in one transaction; a lake elsewhere (PORTFOLIO_LAKE_URL) is emptied again where something fails.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import IntegrityError

from portfolio_platform.book import migrate, schema
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.engine import open_engines
from portfolio_platform.book.events import ChainHead
from portfolio_platform.book.location import locate
from portfolio_platform.book.rebuild import check_read_models, check_reports
from portfolio_platform.control.checkpoints import FILE as CHECKPOINTS
from portfolio_platform.control.checkpoints import verify_checkpoints
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import DERIVED, TABLES
from portfolio_platform.upkeep import archive, book_rows, schemas
from portfolio_platform.upkeep.archive import Archive, Manifest, Report
from portfolio_platform.upkeep.backup import KEPT, SECRETS
from portfolio_platform.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

STAGING = ".restoring"
ROWS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Restored:
    """What was restored: where, from when, by how many events the log goes, rows by table, and what is worth a word."""

    home: Path
    manifest: Manifest
    rows: dict[str, int]
    notes: tuple[str, ...]


def restore(path: Path, home: Home, report: Report = lambda text: None) -> Restored:
    """Restore a backup into a home that does not exist yet.

    Args:
        path: the backup.
        home: the new home; its folder is absent or empty. Its book and lake may be elsewhere, and are empty there too.
        report: told what is done.

    Raises:
        WrongUse: there is no such file, or the home, its book or its lake holds something already.
        DataProblem: the backup is damaged, cut off, newer than this code, or does not hold together.
        StoreProblem: a store cannot be reached or written.
    """
    _require_empty(home)
    with archive.verified(path, report) as opened:
        manifest, undo = opened.manifest, list[Callable[[], None]]()
        with _staged(home, undo) as staging:
            report("the settings")
            _settings(opened, staging)
            rows = _lake(opened, staging, undo, report)
            rows |= _book(opened, staging, undo, report)
            doubts = _checkpoints(staging)
    return Restored(home.root, manifest, rows, (*_notes(manifest, rows), *doubts))


def _require_empty(home: Home) -> None:
    if home.root.exists() and not home.root.is_dir():
        raise WrongUse(f"{home.root} is no folder; name another one for the home")
    found = sorted(path.name for path in home.root.iterdir() if path.name != STAGING) if home.root.exists() else []
    if found:
        raise WrongUse(f"{home.root} is not empty ({', '.join(found[:3])}); restore into a new folder")
    if home.lake_url and any(home.lake.open(table) is not None for table in TABLES.values()):
        raise WrongUse(f"the lake at {home.lake.url} holds tables already; set PORTFOLIO_LAKE_URL to an empty place")


@contextmanager
def _staged(home: Home, undo: list[Callable[[], None]]) -> Iterator[Home]:
    """Hand out a home in a hidden folder, and move it to its place where nothing failed.

    Where something did, take everything away: first what ``undo`` says was written elsewhere, then the folder.
    """
    existed, folder = home.root.exists(), home.root / STAGING
    home.root.mkdir(parents=True, mode=0o700, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # of a restoration that was killed
    folder.mkdir(mode=0o700)
    try:
        yield replace(home, root=folder)
        # policies last: without them there is no home, so that a half-moved one is never taken for a whole one
        for path in sorted(folder.iterdir(), key=lambda path: (path.name == "policies", path.name)):
            path.rename(home.root / path.name)
        folder.rmdir()
    except BaseException:
        for step in reversed(undo):
            step()
        shutil.rmtree(folder, ignore_errors=True)
        if not existed:
            shutil.rmtree(home.root, ignore_errors=True)
        raise


def _settings(opened: Archive, staging: Home) -> None:
    for folder in (staging.inbox, staging.imported, staging.reports, staging.policies):
        folder.mkdir(parents=True)
    for member in opened.manifest.members:
        if member.name.startswith("home/"):  # of the few names that a manifest may hold, none of which leads elsewhere
            place = staging.root / member.name.removeprefix("home/")
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(opened.open(member).read())
            if place.name in SECRETS:
                place.chmod(0o600)


def _lake(opened: Archive, staging: Home, undo: list[Callable[[], None]], report: Report) -> dict[str, int]:
    """Write the tables of the lake; return the rows of each. Derived tables of another version are left to the next build."""
    rows = {}
    if staging.lake_url:
        undo.append(lambda: _drop_all(staging))
    for name, member in opened.manifest.named("lake").items():
        table = TABLES.get(name)
        if table is None or (table not in KEPT and not _keeps_derived(opened.manifest)):
            continue
        report(f"restoring {name}")
        count = 0
        with staging.lake.writing():
            for part in _parts(opened.open(member), name):
                whole = part if part.schema.equals(table.arrow_schema()) else schemas.widened(table, part)
                staging.lake.append(table, whole)
                count += len(whole)
        if count != member.rows:
            raise DataProblem(f"the backup has {count:,} rows of {name}, its manifest says {member.rows or 0:,}; take another one")
        rows[name] = count
    return rows


def _parts(content: IO[bytes], name: str) -> "Iterator[pa.Table]":
    """Yield a table's rows, a million or so at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[pa.Table] = []
    try:
        file = pq.ParquetFile(content)
        yielded = False
        for number in range(file.num_row_groups):
            waiting.append(file.read_row_group(number))
            if sum(map(len, waiting)) >= ROWS_AT_ONCE:
                yield pa.concat_tables(waiting)
                waiting, yielded = [], True
        if waiting or not yielded:
            yield pa.concat_tables(waiting) if waiting else file.schema_arrow.empty_table()
    except pa.ArrowInvalid as error:
        raise DataProblem(f"the backup's rows of {name} cannot be read: {error}") from error


def _keeps_derived(manifest: Manifest) -> bool:
    return manifest.derived and manifest.code_version == __version__


def _drop_all(home: Home) -> None:
    with home.lake.writing():
        for table in TABLES.values():
            home.lake.drop(table)


def _book(opened: Archive, staging: Home, undo: list[Callable[[], None]], report: Report) -> dict[str, int]:
    """Fill the book, verify it, and bring it to this version; return the rows of each table."""
    url, manifest = book_rows.book_url(staging), opened.manifest
    created = _require_no_book(url)
    if created:
        undo.append(lambda: _remove_book(url))
        migrate.upgrade(url, to=manifest.book_version)
    engines = open_engines(url)
    try:
        with engines.writer.begin() as connection:
            found = migrate.version_of(connection)
            if found != manifest.book_version:
                raise WrongUse(
                    f"the book at {engines.location.name} has version {found}, the backup {manifest.book_version}; name an empty one"
                )
            rows = _fill(connection, opened, report)
            report("verifying the event log")
            if found == migrate.head():  # within the transaction: a book that was there and empty stays empty where this fails
                _verify(connection, manifest)
        if found != migrate.head():
            report("bringing the book to this version")
            migrate.upgrade(url)
            with engines.reader.begin() as connection:
                _verify(connection, manifest)
    finally:
        engines.dispose()
    return rows


def _fill(connection: Connection, opened: Archive, report: Report) -> dict[str, int]:
    rows, members = {}, opened.manifest.named("book")
    known = {table.name: table for table in book_rows.tables(connection)}
    strange = sorted(members.keys() - known.keys())
    if strange:
        raise DataProblem(f"the backup has a table {strange[0]} that a book of version {opened.manifest.book_version} does not have")
    for name, table in known.items():
        member = members.get(name)
        if member is None:
            raise DataProblem(f"the backup lacks the book's table {name}; take another one")
        report(f"restoring the book's {name}")
        try:
            rows[name] = book_rows.load(connection, table, opened.open(member))
        except IntegrityError as error:
            raise DataProblem(f"the backup's rows of {name} contradict each other or those before; take another one") from error
        if rows[name] != member.rows:
            raise DataProblem(f"the backup has {rows[name]:,} rows of {name}, its manifest says {member.rows or 0:,}; take another one")
    return rows


def _verify(connection: Connection, manifest: Manifest) -> None:
    """Refuse a book whose log is not the one that was backed up, or whose read models do not follow from it."""
    verdict = verify_chain(connection, ChainHead(manifest.events, manifest.chain_head) if manifest.events else None)
    if not verdict.ok:
        raise DataProblem(f"the event log of the backup is broken at event {verdict.broken_at_seq}: {verdict.reason}; take another one")
    if verdict.head != ChainHead(manifest.events, manifest.chain_head):
        raise DataProblem(f"the event log of the backup ends at {verdict.head.seq}, its manifest says {manifest.events}; take another one")
    differing = [*(item.report_id for item in check_reports(connection)), *(item.id for item in check_read_models(connection))]
    if differing:
        raise DataProblem(f"{len(differing):,} rows of the backup's book differ from its log, the first {differing[0]}; take another one")


def _checkpoints(staging: Home) -> list[str]:
    """Hold the log against the checkpoints that came with it; return what of them is odd but not the log's fault.

    Raises:
        DataProblem: a checkpoint notes another log than this one, or a longer one.
    """
    if not (staging.root / CHECKPOINTS).is_file():
        return []
    try:
        found = verify_checkpoints(staging)
    finally:
        staging.book.close()
    if found.ok:
        return []
    if not found.chain.ok:
        raise DataProblem(f"the event log of the backup is not the one that its checkpoints note: {found.chain.reason}; take another one")
    where = found.reason.replace(str(staging.root / CHECKPOINTS), CHECKPOINTS)
    return [f"checkpoints, at event {found.first_bad_seq}: {where}; the log itself is whole, `portfolio control verify` says more"]


def _require_no_book(url: str) -> bool:
    """Say whether the book has to be created; refuse one that holds something. One that is empty may stay."""
    location = locate(url)
    if location.path is not None:
        if location.path.exists():
            raise WrongUse(f"there is a book at {location.name} already; set PORTFOLIO_BOOK_URL to a new one")
        return True
    engines = open_engines(url)
    try:
        with engines.reader.begin() as connection:
            if migrate.version_of(connection) is None:
                taken = set(inspect(connection).get_table_names()) & schema.metadata.tables.keys()
                if taken:
                    raise WrongUse(f"the database {location.name} has a table {min(taken)} of its own; name an empty database")
                return True
            for table in book_rows.tables(connection):
                if connection.execute(select(func.count()).select_from(table)).scalar_one():
                    raise WrongUse(f"the book at {location.name} holds {table.name} already; name an empty database")
        return False
    finally:
        engines.dispose()


def _remove_book(url: str) -> None:
    """Take away a book that this restoration created."""
    location = locate(url)
    if location.path is not None:
        for suffix in ("", "-wal", "-shm"):
            location.path.with_name(location.path.name + suffix).unlink(missing_ok=True)
        return
    engines = open_engines(url)
    try:
        with engines.writer.begin() as connection:
            for table in reversed(book_rows.tables(connection)):
                table.drop(connection)
            if migrate.version_of(connection) is not None:
                connection.exec_driver_sql(f"DROP TABLE {schema.VERSION_TABLE}")
    finally:
        engines.dispose()


def _notes(manifest: Manifest, rows: dict[str, int]) -> Iterator[str]:
    if not manifest.secrets:
        yield "channels.toml is not in the backup: name the channels again, or messages go to the log"
    if manifest.derived and not _keeps_derived(manifest):
        yield f"the derived tables are of version {manifest.code_version} and were left out; the build makes them anew"
    if manifest.book_version != schema.VERSION:
        yield f"the book was brought from version {manifest.book_version} to {schema.VERSION}"
    if not any(name in rows for name in TABLES if name not in DERIVED):
        yield "the backup holds no facts"
