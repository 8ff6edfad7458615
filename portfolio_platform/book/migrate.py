"""Brings a book to the version of this code, whole or not at all; says which version a book and the code have."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select
from sqlalchemy.engine import URL

from portfolio_platform.book import schema, statements
from portfolio_platform.book.engine import WAIT_SECONDS, open_engines, take_log_lock
from portfolio_platform.book.location import Location
from portfolio_platform.book.problems import NOT_CREATED
from portfolio_platform.errors import PortfolioError, StoreProblem

if TYPE_CHECKING:
    from alembic.config import Config


def upgrade(url: str | URL, *, scripts: Path | None = None, wait_seconds: float = WAIT_SECONDS, to: str | None = None) -> str:
    """Create the book, or bring it to the newest version, in one transaction.

    Two processes may do so at once: one waits, then finds nothing to do.

    Args:
        url: where the book is.
        scripts: another folder of migrations than the package's own; for tests.
        wait_seconds: how long to wait for others that write.
        to: an older version to stop at, where a backup of that version is restored.

    Returns:
        The version that the book now has.

    Raises:
        StoreProblem: the book is newer than the code, cannot be opened, or a migration broke; it is as before then.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    engines = open_engines(url, create=True, wait_seconds=wait_seconds)
    try:
        with _configuration(scripts) as configuration, engines.writer.begin() as connection:
            take_log_lock(connection)
            directory = ScriptDirectory.from_config(configuration)
            known = {script.revision for script in directory.walk_revisions()}
            found = version_of(connection)
            _refuse_foreign(connection, engines.location, found)
            if found is not None and found not in known:
                raise StoreProblem(_newer(engines.location, found))
            target = to or directory.get_current_head()
            if target is None:
                raise StoreProblem("the package holds no migrations; install it again")
            if found != target:
                configuration.attributes["connection"] = connection
                with _explained(engines.location, found, target):
                    command.upgrade(configuration, target)
        return target
    finally:
        engines.dispose()


def current(url: str | URL) -> str | None:
    """Return the version of the book at `url`; None where the database holds no book.

    Raises:
        StoreProblem: there is no such file, or it cannot be opened.
    """
    engines = open_engines(url)
    try:
        with engines.reader.begin() as connection:
            return version_of(connection)
    finally:
        engines.dispose()


def head() -> str:
    """Return the version that this code reads and writes."""
    return schema.VERSION


def version_of(connection: Connection) -> str | None:
    """Return the version of the book in an open transaction; None where there is none."""
    if not inspect(connection).has_table(schema.VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(schema.book_version.c.version_num)).scalar_one_or_none()
    return found


def require_version(connection: Connection, location: Location) -> None:
    """Refuse a book of another version than the code's.

    Raises:
        StoreProblem: the book was never created, or is older or newer than the code.
    """
    found = statements.book_version(connection)
    if found == schema.VERSION:
        return
    if found is None:
        raise StoreProblem(f"{location.name}: {NOT_CREATED}")
    if " and " in found:
        raise StoreProblem(f"{location.name}: is damaged: it says that it has the versions {found}; restore it from a backup")
    if found > schema.VERSION:
        raise StoreProblem(_newer(location, found))
    raise StoreProblem(
        f"{location.name}: the book has version {found}, this code needs {schema.VERSION}; migrate it with `portfolio upgrade`"
    )


@contextmanager
def _explained(location: Location, found: str | None, target: str) -> Iterator[None]:
    try:
        yield
    except PortfolioError:
        raise
    except Exception as error:
        raise StoreProblem(
            f"{location.name}: the migration from {found or 'nothing'} to {target} broke "
            f"({type(error).__name__}: {location.scrub(str(error))}); the book is as before"
        ) from error


def _newer(location: Location, found: str) -> str:
    return (
        f"{location.name}: the book has version {found}, this code knows {schema.VERSION} at most; upgrade the package portfolio-platform"
    )


def _refuse_foreign(connection: Connection, location: Location, found: str | None) -> None:
    # A Postgres database may be shared; a SQLite file with other tables is another program's file, named by mistake.
    if location.path is not None and found is None:
        names = inspect(connection).get_table_names()
        if names:
            raise StoreProblem(f"{location.name}: holds other tables ({', '.join(names[:3])}), no book; name a new file")


@contextmanager
def _configuration(scripts: Path | None) -> "Iterator[Config]":
    from alembic.config import Config

    with resources.as_file(resources.files("portfolio_platform.book") / "migrations") as own:
        configuration = Config()
        # Alembic reads its options through ConfigParser, to which a % is the start of a substitution.
        configuration.set_main_option("script_location", str(scripts or own).replace("%", "%%"))
        configuration.set_main_option("path_separator", "os")
        yield configuration
