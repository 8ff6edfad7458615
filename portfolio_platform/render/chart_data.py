"""What a chart shows, as it is drawn: lines over sessions, bars by failure mode, a matrix of correlations. No store here."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from portfolio_platform.render.series import Floats, History


@dataclass(frozen=True, eq=False)
class Limit:
    """A level that a chart draws across: a threshold or a cap."""

    label: str
    value: float


@dataclass(frozen=True, eq=False)
class Series:
    """Lines of one portfolio over its sessions, ascending; each array has shape (sessions,), NaN where there is no value.

    ``columns`` are by name, in the order in which they are drawn; names of strategies are text from outside.
    """

    portfolio: str
    days: list[date]
    columns: Mapping[str, Floats]
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        """Refuse arrays of another length and days out of order with `ValueError`."""
        for name, values in self.columns.items():
            if len(values) != len(self.days):
                raise ValueError(f"{name} has {len(values)} values for {len(self.days)} sessions")
        if any(later <= earlier for earlier, later in zip(self.days, self.days[1:], strict=False)):
            raise ValueError(f"the sessions of {self.portfolio} are not ascending days; pass the rows of one portfolio")

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.days)

    def __getitem__(self, name: str) -> Floats:
        """Return a line by its name; `KeyError` where there is none."""
        return self.columns[name]

    def until(self, day: date) -> "Series":
        """Return the lines up to and including a day."""
        end = bisect_right(self.days, day)
        if end == len(self.days):
            return self
        return Series(self.portfolio, self.days[:end], {name: values[:end] for name, values in self.columns.items()}, self.limits)


@dataclass(frozen=True)
class Failure:
    """Losing trades of one mode in a session's window, and how many of them are of keys that come back."""

    mode: str
    cases: int
    recurring: int


@dataclass(frozen=True)
class Failures:
    """The failure modes of one session, most frequent first; ``day`` is None where the portfolio has had no session."""

    portfolio: str
    day: date | None
    modes: tuple[Failure, ...] = ()

    def until(self, day: date) -> "Failures":
        """Return them, or none where the session is after the day."""
        return self if self.day is None or self.day <= day else Failures(self.portfolio, None)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Correlations of the symbols held in one session, (n, n), symbols by bucket; ``why`` says why there are none."""

    portfolio: str
    day: date | None
    symbols: tuple[str, ...]
    values: Floats
    buckets: tuple[tuple[str, ...], ...]
    why: str = ""

    def until(self, day: date) -> "Matrix":
        """Return it, or an empty one where the session is after the day."""
        if self.day is None or self.day <= day:
            return self
        return Matrix(self.portfolio, None, (), self.values[:0, :0], ())


Data = History | Series | Failures | Matrix
