"""From text to nanoseconds UTC, exactly; a time without its offset is never guessed."""

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from portfolio_platform.days import EPOCH, NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, format_timestamp
from portfolio_platform.lake.columns import Column
from portfolio_platform.sources.model import Fault
from portfolio_platform.sources.numerals import Parsed, matching, patched, where

if TYPE_CHECKING:
    import pyarrow as pa

MAY_BE_IN_THE_FUTURE = frozenset({"valid_until"})
LAST_NS = (1 << 63) - 1

# Real dates of 1970 to 2199 without 29 February, with an offset: Arrow reads these, all of them and exactly.
_CLEAN = (
    r"^(19[7-9][0-9]|2[01][0-9][0-9])-"
    r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    r"[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])$"
)
_ISO = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(:(?P<second>[0-9]{2})(\.(?P<fraction>[0-9]+))?)?"
    r" ?(?P<offset>[Zz]|(?P<sign>[+-])(?P<oh>[0-9]{2})(:?(?P<om>[0-9]{2}))?)?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORM = "write it as 2024-05-01T14:30:00Z, or with the offset: 2024-05-01T10:30:00-04:00"


def parse_timestamps(column: Column, texts: "pa.Array", as_of_ns: int) -> Parsed:
    """Read ISO-8601 times with an offset as int64 nanoseconds UTC; null stays null.

    A time before 1970, or later than `as_of_ns` in a column that tells what happened, is a fault.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    clean, odd = matching(texts, _CLEAN)
    patches: dict[int, int] = {}
    faults: dict[int, Fault] = {}
    for index, text in odd:
        value = _one(column, text)
        if isinstance(value, Fault):
            faults[index] = value
        else:
            patches[index] = value
    values = patched(clean.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()), patches)
    for index in where(pc.less(values, 0)):
        faults[index] = Fault(column.name, "before_1970", "is before 1970", "check the year")
    if column.name not in MAY_BE_IN_THE_FUTURE:
        for index in where(pc.greater(values, as_of_ns)):
            rule = f"is in the future: the as-of time is {format_timestamp(as_of_ns)}"
            faults[index] = Fault(column.name, "future", rule, "if it is right, import with a later --as-of")
    return values, faults


def _one(column: Column, text: str) -> int | Fault:
    """Read one time of any accepted spelling."""
    match = _ISO.fullmatch(text) if len(text) <= 64 else None
    if match is None:
        return _no_time(column, text)
    if match["offset"] is None:
        iso = text.replace(" ", "T").upper()
        remedy = f"append Z if it is UTC ({iso}Z) or the offset ({iso}-04:00 for New York in summer)"
        return Fault(column.name, "naive", "has no offset: it is not known which time zone it is in", remedy)
    day = _day(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if day is None:
        return Fault(column.name, "no_such_day", "is on a day that does not exist", "check the date")
    if hour == 24:
        remedy = f"write 00:00:00 of the next day, {day + timedelta(days=1) if day < date.max else day}"
        return Fault(column.name, "hour_24", "has hour 24", remedy)
    if second == 60:
        return Fault(column.name, "leap_second", "is a leap second, which has no place on a scale of nanoseconds", "write second 59")
    offset_minutes = int(match["oh"] or 0) * 60 + int(match["om"] or 0)
    if hour > 23 or minute > 59 or second > 59 or int(match["oh"] or 0) > 23 or int(match["om"] or 0) > 59:
        return Fault(column.name, "no_such_time", "is a time of day that does not exist", "check hours, minutes, seconds and the offset")
    fraction = (match["fraction"] or "").rstrip("0")
    if len(fraction) > 9:
        return Fault(column.name, "too_fine", "is finer than a nanosecond", "write at most 9 decimals of the second")
    seconds = hour * 3600 + minute * 60 + second - (-60 if match["sign"] == "-" else 60) * offset_minutes
    value = (day - EPOCH).days * NANOSECONDS_PER_DAY + seconds * NANOSECONDS_PER_SECOND + int(fraction.ljust(9, "0"))
    if value < 0:
        return Fault(column.name, "before_1970", "is before 1970", "check the year")
    if value > LAST_NS:
        remedy = "leave it empty if it has no end" if column.name in MAY_BE_IN_THE_FUTURE else "check the year"
        return Fault(column.name, "too_late", f"is after {format_timestamp(LAST_NS)[:10]}, the last day that can be kept", remedy)
    return value


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _no_time(column: Column, text: str) -> Fault:
    if _DATE.fullmatch(text):
        remedy = f"write the time and its offset, for example {text}T21:00:00Z"
        return Fault(column.name, "date_only", "is a date without a time", remedy)
    if re.fullmatch(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", text):
        return Fault(column.name, "epoch", "is a bare number, and its unit is not known", f"{_FORM}{_epoch_example(text)}")
    return Fault(column.name, "not_a_time", "is not an ISO-8601 time", _FORM)


def _epoch_example(text: str) -> str:
    """Return how an epoch number reads in the unit that puts it between 1990 and 2100, if there is one."""
    whole = text.split(".")[0]
    for digits, unit in ((10, "seconds"), (13, "milliseconds"), (16, "microseconds"), (19, "nanoseconds")):
        if whole.isdigit() and len(whole) == digits:
            at = format_timestamp(int(whole[:10]) * NANOSECONDS_PER_SECOND)
            return f" ({at} if it counts {unit} since 1970)"
    return ""


def parse_days(column: Column, texts: "pa.Array") -> Parsed:
    """Read UTC days, YYYY-MM-DD; null stays null."""
    import pyarrow as pa

    values: list[date | None] = []
    faults: dict[int, Fault] = {}
    for index, text in enumerate(texts.to_pylist()):
        value = _day(text) if text is not None and _DATE.fullmatch(text) else None
        if text is not None and value is None:
            faults[index] = Fault(column.name, "not_a_day", "is not a day of the calendar", "write it as 2024-05-01")
        values.append(value)
    return pa.array(values, pa.date32()), faults
