"""A backup: what cannot be computed again, of one instant, in one file.

In it: every row of the book; every row of the fact tables with all their revisions, what was set aside, the log of imports;
which reports were published from what; policies, clock and the orchestrator's documents; the file of the log's checkpoints,
against which a restored log is held. The lake's writer lock is held meanwhile, so no import and no build comes between; the book's
state is the one of the moment it is read, within that time, and others go on writing to it, checkpoints excepted. Left out: derived
tables, which a build makes again (unless asked for); secrets (unless asked for): channels, the key that signs checkpoints, the token
of strategies; files of the inbox; rendered pages and plans. Without the key a restored home makes another one; what the old one
signed is verified all the same.
Facts are kept as rows, not as Delta folders: their history is in the rows themselves.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.book import events, migrate
from portfolio_platform.book.location import locate
from portfolio_platform.clock import SystemClock
from portfolio_platform.control.checkpoints import FILE as CHECKPOINTS
from portfolio_platform.control.checkpoints import KEY_FILE, alone
from portfolio_platform.control.tokens import IN_HOME as TOKEN_FILE
from portfolio_platform.errors import StoreProblem, WrongUse
from portfolio_platform.home import Home, write_atomically
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.upkeep import archive, book_rows
from portfolio_platform.upkeep.archive import Manifest, Report, Staged
from portfolio_platform.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = (*(table for name, table in derived.TABLES.items() if name not in derived.DERIVED), derived.PUBLISHED_INPUTS)
"""Tables that no build makes: the facts and what is known of them, and which reports were published from what."""
SETTINGS = ("clock.json", "span.json")
DOCUMENT = re.compile(r"[\w-]+\.(json|md|toml)")
"""Names of the orchestrator's documents that are taken in: restrictions, rankings, accounts, what to plan."""
SECRETS = {
    "channels.toml": "which holds secrets",
    KEY_FILE: "the private key that signs checkpoints: a restored home makes another",
    TOKEN_FILE: "the token of strategies that ask over HTTP: a restored home makes another",
}
"""What is left out unless it is asked for, and why."""
NOTE = "backup.json"
ROWS_AT_ONCE = 500_000


@dataclass(frozen=True)
class Backup:
    """What a backup holds: its file and size in bytes, how long its log is, rows by table, and what was left out."""

    file: Path
    size: int
    events: int
    chain_head: str
    rows: dict[str, int]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class LastBackup:
    """The newest backup that a home remembers."""

    at: datetime
    file: str
    size: int


def back_up(
    home: Home,
    target: Path,
    *,
    everything: bool = False,
    with_secrets: bool = False,
    force: bool = False,
    report: Report = lambda text: None,
) -> Backup:
    """Write a backup of a home, whole or not at all; safe beside everything else that works on the home.

    Args:
        home: what to back up.
        target: the file to write; a temporary one beside it takes its name at the end.
        everything: also the derived tables.
        with_secrets: also `channels.toml`, and the files with the key of checkpoints and the token of strategies.
        force: overwrite the target.
        report: told what is done.

    Raises:
        WrongUse: there is no home; the target is a folder, is there already, or its folder is not there.
        StoreProblem: the book or a table cannot be read, or somebody writes to the lake for too long.
    """
    target = target.expanduser().absolute()
    _require_target(home.require(), target, force)
    archive.remove_leftovers(target)
    at = SystemClock().now()
    with ExitStack() as stack:
        report("waiting for the lake")
        with home.lake.writing():
            with alone(home):  # a checkpoint is in the book and in its file, or in neither
                staged, version, head = _book(home, target, stack, report)
                staged += list(_copied(home, [home.root / CHECKPOINTS], target, stack))
            tables = [*KEPT, *(table for table in derived.DERIVED.values() if everything and table not in KEPT)]
            staged += [item for table in tables for item in _table(home, table, target, stack, report)]
            staged += list(_settings(home, target, stack, with_secrets))
        report(f"writing {target.name}")
        manifest = Manifest(
            format=archive.FORMAT,
            made_at=at,
            code_version=__version__,
            book_version=version,
            book_kind="sqlite" if locate(book_rows.book_url(home)).path else "postgresql",
            events=head.seq,
            chain_head=head.hash,
            derived=everything,
            secrets=with_secrets,
            members=tuple(item.described() for item in staged),
        )
        size = archive.write(target, manifest, staged, overwrite=force)
    write_atomically(home.root / NOTE, json.dumps({"at": at.isoformat(), "file": str(target), "size": size}))
    rows = {item.name.partition(".")[0]: item.rows for item in staged if item.rows is not None}
    return Backup(target, size, head.seq, head.hash, rows, tuple(_left_out(home, everything, with_secrets)))


def last_backup(home: Home) -> LastBackup | None:
    """Return the newest backup that the home remembers, None where it remembers none."""
    try:
        told = json.loads((home.root / NOTE).read_text(encoding="utf-8"))
        return LastBackup(datetime.fromisoformat(told["at"]).astimezone(UTC), str(told["file"]), int(told["size"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreProblem(f"{NOTE} in the home is damaged; make a backup, which writes it anew") from error


def _require_target(home: Home, target: Path, force: bool) -> None:
    if target.is_dir():
        raise WrongUse(f"{target} is a folder; name a file in it")
    if target.exists() and not force:
        raise WrongUse(f"{target} is there already; name another file, or give --force")
    if not target.parent.is_dir():
        raise WrongUse(f"the folder {target.parent} is not there; create it first")
    if target.is_relative_to(home.inbox) or (home.lake.is_local and target.is_relative_to(home.lake.url)):
        raise WrongUse(f"{target} lies in the home's inbox or lake; keep backups elsewhere, best on another disk")


def _book(home: Home, target: Path, stack: ExitStack, report: Report) -> tuple[list[Staged], str, events.ChainHead]:
    """Stage the book's rows; return them with the book's version and the end of its log."""
    staged = []
    with book_rows.snapshot(book_rows.book_url(home), target) as connection:
        version = migrate.version_of(connection)
        if version is None:
            raise StoreProblem(f"{home.book.name}: there is no book to back up; `portfolio init` creates one")
        if version > migrate.head():
            raise StoreProblem(f"{home.book.name}: the book has version {version}, this code knows {migrate.head()} at most; upgrade it")
        head = events.chain_head(connection)
        for table in book_rows.tables(connection):
            report(f"the book's {table.name}")
            file = stack.enter_context(archive.temporary(target))
            staged.append(Staged(f"book/{table.name}.jsonl.gz", file, book_rows.dump(connection, table, file)))
    return staged, version, head


def _table(home: Home, table: Table, target: Path, stack: ExitStack, report: Report) -> Iterator[Staged]:
    """Stage a table of the lake, a large one a month at a time; nothing where it has not been written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stored = home.lake.stored(table)
    if stored is None:
        return
    report(table.name)
    file, count = stack.enter_context(archive.temporary(target)), 0
    declared = table.arrow_schema()
    # a home of an older version is backed up as it is: what it lacks is added where it is restored
    names = [name for name in declared.names if name in stored[0].names]
    with pq.ParquetWriter(file, pa.schema([declared.field(name) for name in names]), compression="zstd") as writer:
        for rows in _months(home, table, names):
            writer.write_table(rows)
            count += len(rows)
    yield Staged(f"lake/{table.name}.parquet", file, count)


def _months(home: Home, table: Table, names: list[str]) -> "Iterator[pa.Table]":
    import pyarrow.compute as pc

    if not table.partition or home.lake.row_count(table) <= ROWS_AT_ONCE:
        yield home.lake.read(table, names)
        return
    months = pc.unique(home.lake.read(table, [table.partition])[table.partition]).to_pylist()
    for month in sorted(months):
        yield home.lake.read(table, names, from_month=month, to_month=month)


def _settings(home: Home, target: Path, stack: ExitStack, with_secrets: bool) -> Iterator[Staged]:
    wanted = [home.root / name for name in (*SETTINGS, *(SECRETS if with_secrets else []))]
    documents = [path for path in sorted((home.root / "orchestrator").glob("*")) if DOCUMENT.fullmatch(path.name)]
    yield from _copied(home, [*wanted, *sorted(home.policies.glob("*.toml")), *documents], target, stack)


def _copied(home: Home, paths: Iterable[Path], target: Path, stack: ExitStack) -> Iterator[Staged]:
    for path in paths:
        if path.is_file():
            file = stack.enter_context(archive.temporary(target))
            file.write(path.read_bytes())
            yield Staged(f"home/{path.relative_to(home.root).as_posix()}", file)


def _left_out(home: Home, everything: bool, with_secrets: bool) -> Iterator[str]:
    if not everything:
        yield "derived tables, which `portfolio build` makes again"
    for name, why in SECRETS.items():
        if (home.root / name).exists() and not with_secrets:
            yield f"{name}, {why} (--with-secrets takes it in)"
    waiting = [path for path in home.inbox.iterdir() if not path.name.startswith(".")] if home.inbox.is_dir() else []
    if waiting:
        yield f"{len(waiting)} files in the inbox, which are not imported yet"
