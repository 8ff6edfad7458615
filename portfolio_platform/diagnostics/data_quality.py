"""Whether sources still speak, and how many of their rows were set aside: session by session, by counting alone.

A source has a cadence where it spoke in nine of ten sessions of its calendar up to its newest row (60 of them, at least
20 since its first): only then is silence a fault. The window ends with the newest row and not with the session, or a
source that went silent would lose its cadence, and its alert, by its silence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEVER = -(1 << 40)
OK, NO_ROWS, NOT_CADENCED, NOT_WATCHED = range(4)
REASONS = ("", "no_rows", "not_cadenced", "not_watched")


@dataclass(frozen=True)
class Cadence:
    """What makes a cadence: sessions looked at, sessions needed, and the share of them with rows."""

    window: int = 60
    minimum: int = 20
    share: float = 0.9


@dataclass(frozen=True)
class Silence:
    """For each day asked for: the newest day with a row (`NEVER` before the first), sessions since, and whether that says anything."""

    last_seen: Int64
    late: Int64
    cadenced: Flags


@dataclass(frozen=True)
class SetAside:
    """Rows set aside, for each session: those of the session (days since the one before), and all up to it."""

    of_session: Int64
    to_date: Int64


def silence(calendar: Int64, seen: Int64, days: Int64, cadence: Cadence) -> Silence:
    """Return the silence of one source on each of ``days``.

    ``calendar`` are the sessions on which it could speak and ``seen`` the days on which it did; all ascending day numbers,
    without repeats. Days of ``seen`` outside the calendar are news, but none that a cadence could count on.
    """
    place = np.searchsorted(seen, days, side="right") - 1
    known = place >= 0
    newest = np.append(seen, NEVER)[place]
    late = np.searchsorted(calendar, days, side="right") - np.searchsorted(calendar, newest, side="right")
    if not seen.size:
        return Silence(newest, late, known)
    regular = seen[np.isin(seen, calendar)]
    end = np.searchsorted(calendar, newest, side="right")
    begin = np.maximum(end - cadence.window, np.searchsorted(calendar, seen[0]))
    length = end - begin
    # the window's first session, or beyond all where it is empty
    start = np.append(calendar, np.iinfo(np.int64).max)[begin]
    spoken = np.searchsorted(regular, newest, side="right") - np.searchsorted(regular, start)
    return Silence(newest, late, known & (length >= cadence.minimum) & (spoken >= cadence.share * length))


@dataclass(frozen=True)
class Symbols:
    """The silence of several symbols on the same days: (days, symbols) each; ``watched`` says which a portfolio waits for."""

    last_seen: Int64
    late: Int64
    cadenced: Flags
    traded: Flags
    watched: Flags


@dataclass(frozen=True)
class Source:
    """A source for each session: newest day (`NEVER`), sessions late (-1 is null), why it is null, and the symbols that are late."""

    last_seen: Int64
    late: Int64
    reason: Int64
    symbols: tuple[str, ...]


def of_portfolio(found: Silence) -> Source:
    """Return a source that speaks of a portfolio as a whole."""
    reason = np.where(found.last_seen == NEVER, NO_ROWS, np.where(found.cadenced, OK, NOT_CADENCED))
    return Source(found.last_seen, np.where(reason == OK, found.late, -1), reason, ("",) * found.late.size)


def of_symbols(found: Symbols, names: tuple[str, ...]) -> Source:
    """Return a source that speaks of symbols: as late as the latest of those that are waited for and have a cadence.

    Nobody waits for anything where nothing is watched, so nothing is late then. ``names`` are sorted.
    """
    newest = np.where(found.traded, found.last_seen, NEVER).max(axis=1, initial=NEVER)
    judged = found.watched & found.cadenced
    late = np.where(judged, found.late, 0)
    watched = found.watched.any(axis=1)
    heard = (found.watched & (found.last_seen != NEVER)).any(axis=1)
    silent = np.where(heard, NOT_CADENCED, NO_ROWS)
    reason = np.where(newest == NEVER, NO_ROWS, np.where(judged.any(axis=1) | ~watched, OK, silent))
    texts = [""] * late.shape[0]
    for session in np.flatnonzero(late.any(axis=1)).tolist():
        texts[session] = ", ".join(names[k] for k in np.flatnonzero(late[session]).tolist())
    return Source(newest, np.where(reason == OK, late.max(axis=1, initial=0), -1), reason, tuple(texts))


def new_names(days: Int64, first_heard: Mapping[str, int], begin: int) -> tuple[Int64, tuple[str, ...]]:
    """Return for each session how many names were heard of for the first time since the one before, and which, sorted.

    ``first_heard`` has the day on which each name came first, ``begin`` the source's first day: what it began with is not new.
    """
    lists: list[list[str]] = [[] for _ in range(days.size)]
    for name, day in sorted(first_heard.items()):
        place = int(np.searchsorted(days, day))
        if day > begin and place < days.size:
            lists[place].append(name)
    return np.array([len(found) for found in lists], np.int64), tuple(", ".join(found) for found in lists)


def recently(events: Flags, window: int) -> Flags:
    """Say of each session and column whether there was an event in the last ``window`` sessions, this one included."""
    number = np.arange(events.shape[0])[:, None]
    newest = np.maximum.accumulate(np.where(events, number, -window - 1), axis=0)
    return np.asarray(number - newest < window, bool)


def set_aside(days: Int64, dated: Int64, undated: int) -> SetAside:
    """Return the rows set aside for each session; ``dated`` are their days, ascending.

    A row of a day without a session counts in the session that follows; one from before the first session in none, but
    among all up to it, as do those whose day cannot be read.
    """
    known = np.searchsorted(dated, days, side="right")
    before = np.searchsorted(dated, days[:1])
    return SetAside(np.diff(known, prepend=before), known + undated)
