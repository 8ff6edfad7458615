"""The history of a policy: its versions in time, and which of them the book knows."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from portfolio_platform.book import schema
from portfolio_platform.home import Home
from portfolio_platform.policy.timeline import Version


@dataclass(frozen=True)
class Entry:
    """A version of a policy, in a file, in the book, or in both.

    Attributes:
        hash: of the policy.
        version: the number that it gives itself; 0 where only the book has it.
        source: its file; empty where it is in no file any more.
        effective_from: its first day; None: from the beginning, or in no file.
        expires: its last day, where it has one.
        in_force: whether it is today.
        archived_at: when the book first kept it; empty where it has not.
        first_used: when something that rests on it was first published; empty where nothing was.
        first_day: first day that a newest or older report of it is about; empty where there is none.
        reports: how many published reports and reflections cite it.
    """

    hash: str
    version: int
    source: str
    effective_from: date | None
    expires: date | None
    in_force: bool
    archived_at: str
    first_used: str
    first_day: str
    reports: int


def history(home: Home, name: str) -> list[Entry]:
    """Return the versions of a policy that its files have, in time, then those that only the book has, as they were archived."""
    timeline = home.timeline(name)
    begun = timeline.last_begun(home.today)
    current = begun if begun.begins <= home.today and (begun.expires is None or begun.expires >= home.today) else None
    archived, used = _of_book(home, name, {version.policy.hash for version in timeline.versions})

    def entry(hashed: str, version: Version | None) -> Entry:
        published, first, count = used.get(hashed, ("", "", 0))
        return Entry(
            hash=hashed,
            version=version.policy.version if version else 0,
            source=version.source if version else "",
            effective_from=version.effective_from if version else None,
            expires=version.expires if version else None,
            in_force=version is not None and version is current,
            archived_at=archived.get(hashed, ""),
            first_used=published,
            first_day=first,
            reports=count,
        )

    kept = {version.policy.hash for version in timeline.versions}
    gone = sorted((at, hashed) for hashed, at in archived.items() if hashed not in kept)
    return [*(entry(version.policy.hash, version) for version in timeline.versions), *(entry(hashed, None) for _, hashed in gone)]


def _of_book(home: Home, name: str, hashes: set[str]) -> tuple[dict[str, str], dict[str, tuple[str, str, int]]]:
    """Return when policies were archived, and when, for which day and how often they were first used, by hash."""
    held, told = schema.policies.c, schema.reports.c
    with home.book.reading() as connection:
        rows = connection.execute(select(held.hash, held.archived_at).where((held.name == name) | held.hash.in_(hashes)))
        archived = {row.hash: row.archived_at for row in rows}
        first = func.min(told.published_at), func.min(told.day), func.count()
        wanted = select(told.policy_hash, *first).where(told.policy_hash.in_({*archived, *hashes})).group_by(told.policy_hash)
        used = {row[0]: (str(row[1]), str(row[2]), int(row[3])) for row in connection.execute(wanted)}
    return archived, used
