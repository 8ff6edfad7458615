"""What a driver's error means to a person: the store is missing, locked, read-only, not a book, or out of reach."""

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

from portfolio_platform.book.location import Location
from portfolio_platform.errors import StoreProblem

NOT_CREATED = "there is no book here yet; create it first"

_SQLITE = {
    "SQLITE_BUSY": "is locked by another process; wait for it to finish, or look for one that hangs",
    "SQLITE_LOCKED": "is locked by this process; end the other transaction first",
    "SQLITE_READONLY": "cannot be written: it is open for reading only, or the file is write-protected",
    "SQLITE_NOTADB": "is not a SQLite database; check the path",
    "SQLITE_CORRUPT": "is damaged; restore it from a backup",
    "SQLITE_FULL": "cannot be written: the disk is full",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error",
}

_DAMAGED = ("Could not decode to UTF-8", "unsupported file format", "malformed database schema", "no such column")
"""What SQLite says, without a code of its own, of a file in which bytes were changed."""

_POSTGRES = {
    "42P01": NOT_CREATED,
    "55P03": "is locked by another process; wait for it to finish, or look for one that hangs",
    "25006": "cannot be written: it is open for reading only",
    "42501": "cannot be used: the user lacks a privilege",
    "53100": "cannot be written: the server's disk is full",
}


def store_problem(error: DBAPIError, location: Location) -> StoreProblem | None:
    """Say what a driver's error means, or None where it is not the store's doing (a broken rule, a mistaken query)."""
    if isinstance(error, IntegrityError):
        return None
    text = _of_sqlite(error, location) if location.path is not None else _of_postgres(error, location)
    return None if text is None else StoreProblem(f"{location.name}: {text}")


def _of_sqlite(error: DBAPIError, location: Location) -> str | None:
    code: str = getattr(error.orig, "sqlite_errorname", "")
    for prefix, meaning in _SQLITE.items():
        if code.startswith(prefix):
            return meaning
    if code.startswith("SQLITE_CANTOPEN"):
        return _cannot_open(location)
    said = str(error.orig)
    if any(words in said for words in _DAMAGED):
        return _SQLITE["SQLITE_CORRUPT"]
    return NOT_CREATED if "no such table" in said else None


def _cannot_open(location: Location) -> str:
    assert location.path is not None
    if location.path.is_dir():
        return "is a folder; name a file"
    if not location.path.parent.is_dir():
        return f"the folder {location.path.parent} does not exist; create it first"
    if not location.path.exists():
        return NOT_CREATED
    return "cannot be opened; check the permissions of the file and of its folder"


def _of_postgres(error: DBAPIError, location: Location) -> str | None:
    code: str = getattr(error.orig, "pgcode", None) or ""
    if code in _POSTGRES:
        return _POSTGRES[code]
    said = _first_line(location.scrub(str(error.orig)))
    if isinstance(error, (OperationalError, InterfaceError)):
        return f"the server cannot be used: {said}"
    if isinstance(error, ProgrammingError) and not code:
        return f"the URL is not accepted: {said}"
    return None


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
