"""The closed bars of every timeframe of one symbol, made from the candles of the shortest as they close.

A higher bar is seen only when it is closed: by the trading calendar where the candle says so, else with the first candle at or after its
end. So what is decided at a candle rests on nothing later, and the same candles give the same windows however often some come twice.
"""

from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from portfolio_platform.broker.model import Bar
from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number, to_date
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments.model import CandleClosed
from portfolio_platform.ledger.calendars import ALWAYS, MARGIN, WEEKDAYS, sessions

HOUR = NANOSECONDS_PER_DAY // 24
PERIODS = {"1h": HOUR, "4h": 4 * HOUR, "1d": NANOSECONDS_PER_DAY, "1w": 7 * NANOSECONDS_PER_DAY}
"""How long a timeframe's bar is, ascending."""
SHIFTS = {"1h": 0, "4h": 0, "1d": 0, "1w": 3 * NANOSECONDS_PER_DAY}
"""1970-01-01 was a Thursday; weeks begin on Mondays."""
KEEP = 280
"""Bars kept of each timeframe: what the longest feature needs, and some more."""


class Window(NamedTuple):
    """The newest closed bars of a timeframe, and the one that is being built.

    Attributes:
        timeframe: of the bars.
        bars: closed ones, newest last, at most ``keep``.
        building: the higher bar that is not closed yet; nothing may be decided on it. None in the execution timeframe.
        keep: how many closed bars are kept.
    """

    timeframe: str
    bars: tuple[Bar, ...] = ()
    building: Bar | None = None
    keep: int = KEEP


def start(timeframes: tuple[str, ...], keep: int = KEEP) -> tuple[Window, ...]:
    """Return empty windows, that of the execution timeframe first.

    Raises:
        WrongUse: a timeframe is not known, they are not ascending, or ``keep`` is not positive.
    """
    unknown = [one for one in timeframes if one not in PERIODS]
    if unknown or not timeframes:
        raise WrongUse(f"timeframes {timeframes!r}: {unknown[:1] or 'none given'}; use some of {', '.join(PERIODS)}")
    if any(PERIODS[before] >= PERIODS[after] for before, after in pairwise(timeframes)):
        raise WrongUse(f"timeframes {timeframes!r} are not ascending; name that of the candles first, then longer ones")
    if keep < 1:
        raise WrongUse(f"keep {keep}: at least one bar of a timeframe is kept")
    return tuple(Window(timeframe, keep=keep) for timeframe in timeframes)


def advance(windows: tuple[Window, ...], candle: CandleClosed) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """Return the windows after a candle, and the timeframes of which a bar is newly seen, the execution timeframe first.

    A candle that came before (its time is that of the newest one) and one that is older than the newest change nothing, and then no
    timeframe is named. Candles that are missing are not made up: a higher bar holds those that came.
    """
    execution, bar = windows[0], candle.bar
    if execution.bars and bar.ts <= execution.bars[-1].ts:
        return windows, ()
    advanced, seen, closes = [_with_bar(execution, bar)], [execution.timeframe], candle.closes
    for window in windows[1:]:
        after = _aggregated(window, bar, window.timeframe in closes)
        advanced.append(after)
        if after.bars is not window.bars:
            seen.append(window.timeframe)
    return tuple(advanced), tuple(seen)


def _with_bar(window: Window, bar: Bar) -> Window:
    timeframe, bars, _, keep = window
    kept = bars if len(bars) < keep else bars[1 - keep :] if keep > 1 else ()
    # what a named tuple is made by, without its keywords: this runs at every candle
    return tuple.__new__(Window, (timeframe, kept + (bar,), None, keep))  # noqa: RUF005 - one copy less


def _aggregated(window: Window, bar: Bar, closes: bool) -> Window:
    """Return a higher window after a candle, with the bar that it completes, and the one before where this candle is past its end.

    A candle that comes after the calendar closed its period (a session that the calendar has not) belongs to the bar that follows: what
    was seen once never changes.
    """
    timeframe, bars, held, keep = window
    period, shift, ts = PERIODS[timeframe], SHIFTS[timeframe], bar.ts
    end = ((ts - 1 + shift) // period + 1) * period - shift
    if held is not None and not end - period < held.ts <= end:
        last = bars[-1].ts if bars else 0
        if (last - 1 + shift) // period != (held.ts - 1 + shift) // period:
            window, held = _with_bar(window, held), None
            bars = window.bars
    merged = bar if held is None else _merged(held, bar)
    if closes or ts == end:
        return _with_bar(window, merged)
    return tuple.__new__(Window, (timeframe, bars, merged, keep))


def _merged(held: Bar, bar: Bar) -> Bar:
    symbol, opens_at, _, first, high, low, _, volume = held
    _, _, ts, _, higher, lower, close, more = bar
    merged = (
        symbol,
        opens_at,
        ts,
        first,
        higher if higher > high else high,
        lower if lower < low else low,
        close,
        None if volume is None or more is None else volume + more,
    )
    return tuple.__new__(Bar, merged)


def closes_of(calendar: str, timeframes: tuple[str, ...], bar: Bar) -> tuple[str, ...]:
    """Return the higher timeframes whose bar a candle completes by the trading calendar, for `CandleClosed.closes`.

    A session's last candle completes the day and what is shorter, that of a week's last session the week too, even before a holiday. A
    candle of a day completes its session whatever hour it is stamped with; a shorter one where the session ended in it.

    Args:
        calendar: of the symbol: ``XNYS`` ..., ``24x7`` or ``weekdays``.
        timeframes: of the workflow, the execution timeframe first.
        bar: the candle.

    Raises:
        DataProblem: the calendar is not known.
    """
    day = day_number(bar.ts)
    if PERIODS[timeframes[0]] < NANOSECONDS_PER_DAY:
        end = session_end(calendar, day)
        if end is None or not bar.opens_at < end <= bar.ts:
            return ()
    elif not _is_session(calendar, day):
        return ()
    week = _last_of_week(calendar, day)
    return tuple(one for one in timeframes[1:] if one != "1w" or week)


@lru_cache(maxsize=4096)
def _week(calendar: str, monday: int) -> tuple[int, ...]:
    return tuple(sessions(calendar, monday, monday + 6).tolist())


def _is_session(calendar: str, day: int) -> bool:
    return day in _week(calendar, day - (day + 3) % 7)


def _last_of_week(calendar: str, day: int) -> bool:
    found = _week(calendar, day - (day + 3) % 7)
    return bool(found) and found[-1] == day


def session_end(calendar: str, day: int) -> int | None:
    """Return when a day's session ends, nanoseconds UTC; None where the day has none.

    ``24x7``, ``weekdays`` and days that an exchange's calendar does not reach end at midnight.
    """
    if not _is_session(calendar, day):
        return None
    midnight = (day + 1) * NANOSECONDS_PER_DAY
    return midnight if calendar in (ALWAYS, WEEKDAYS) else _ends(calendar, to_date(day).year).get(day, midnight)


@lru_cache(maxsize=64)
def _ends(calendar: str, year: int) -> dict[int, int]:
    """Return by day when an exchange's sessions of a year end: a tenth of a second, so that days share it."""
    import exchange_calendars

    rules = type(exchange_calendars.get_calendar(calendar))
    lowest, highest = rules.bound_min(), rules.bound_max()
    first, last = date(year, 1, 1) - MARGIN, date(year, 12, 31) + MARGIN
    low = max(first, lowest.date()) if lowest is not None else first
    high = min(last, highest.date()) if highest is not None else last
    if low >= high:
        return {}
    closes = exchange_calendars.get_calendar(calendar, start=low.isoformat(), end=high.isoformat()).closes
    days = closes.index.to_numpy().astype("datetime64[D]").astype("int64").tolist()
    return dict(zip(days, [int(one.value) for one in closes], strict=True))
