"""Where a book is: which URLs are understood, and how a place is named in messages without its secrets."""

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from portfolio_platform.errors import WrongUse

_SECRET_OPTION = re.compile("pass|secret|key|token", re.IGNORECASE)
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg2")


@dataclass(frozen=True)
class Location:
    """A place for a book.

    Attributes:
        url: what SQLAlchemy connects to.
        path: the file of a SQLite book; None for Postgres.
        name: what messages call the place; holds no user, password or option.
    """

    url: URL
    path: Path | None
    name: str

    def scrub(self, text: str) -> str:
        """Return a message of a driver without the secrets of this URL."""
        secrets = [self.url.password] if self.url.password else []
        for option, value in self.url.query.items():
            if _SECRET_OPTION.search(option):
                secrets.extend([value] if isinstance(value, str) else value)
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def sqlite_url(path: str | Path) -> str:
    """Return the URL of the book in a file; spaces, `?`, `#` and `%` in the path are escaped."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def locate(url: str | URL) -> Location:
    """Read the URL of a book.

    Args:
        url: `sqlite:///<path>` (see `sqlite_url`), `postgresql://...` or `postgres://...`.

    Raises:
        WrongUse: the URL is not one of these; the text does not repeat it, for it may hold a password.
    """
    try:
        parsed = make_url(url)
    except Exception:  # the parser's own messages quote pieces of the URL, a password among them
        parsed = None
    if parsed is None:
        raise WrongUse("the URL of the book cannot be read; write sqlite:///<path> or postgresql://user@host/database")
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(parsed, on_after_path=bool(parsed.query) or (isinstance(url, str) and "?" in url))
    if parsed.drivername in _POSTGRES:
        return _postgres(parsed)
    raise WrongUse(f"the book cannot live in {parsed.drivername!r}; use sqlite:///<path> or postgresql://")


def _sqlite(url: URL, on_after_path: bool) -> Location:
    if url.host or url.username or url.port or url.password:
        raise WrongUse("a SQLite URL names no host or user; write sqlite:///<path>, with three slashes")
    if on_after_path:  # a path cut short at its question mark would be another file
        raise WrongUse(f"the SQLite URL of {url.database!r} goes on after a '?'; make it with sqlite_url(path)")
    if not url.database or url.database == ":memory:":
        raise WrongUse("the book needs a file: a writer and a reader share it; write sqlite:///<path>")
    path = Path(url.database).absolute()
    return Location(url, path, str(path))


def _postgres(url: URL) -> Location:
    place = url.host or "local socket"
    port = f":{url.port}" if url.port else ""
    return Location(url.set(drivername="postgresql+psycopg2"), None, f"postgresql://{place}{port}/{url.database or ''}")
