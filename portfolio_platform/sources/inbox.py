"""The inbox: files that people and programs drop for import, and where they go afterwards."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.home import Home

if TYPE_CHECKING:
    from portfolio_platform.sources.pipeline import ImportResult

SETTLE_SECONDS = 5.0
ENDINGS = (".csv", ".csv.gz")


def waiting(home: Home, *, settled_before: float | None = None) -> list[Path]:
    """Return the files of the inbox that are complete, by name.

    A file that was written to in the last seconds may still be growing; hidden files and ``.part`` are never read.
    ``settled_before`` is a time in epoch seconds, by default five seconds ago.
    """
    before = time.time() - SETTLE_SECONDS if settled_before is None else settled_before
    if not home.inbox.is_dir():
        return []
    found = [path for path in home.inbox.iterdir() if path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")]
    return sorted(path for path in found if path.is_file() and path.stat().st_mtime <= before)


def fingerprint(paths: list[Path]) -> str:
    """Return a hash of the names, sizes and times of files: another one when any of them changes."""
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return content_hash(canonical_bytes(stats))[:16]


def import_inbox(home: Home) -> "ImportResult | None":
    """Import the files of the inbox and move them to the folder of imported files; None where there is none.

    A file that is no source stays where it is. Killed half-way, the next call imports what is missing.
    """
    from portfolio_platform.sources.pipeline import import_paths

    files = waiting(home)
    if not files:
        return None
    result = import_paths(home, files)
    read = {name for fact in result.facts for name in fact.files}
    target = home.imported / f"{result.import_seq:06d}"
    for path in files:
        if path.name in read:
            target.mkdir(parents=True, exist_ok=True)
            path.replace(target / path.name)
    return result
