"""The home as the loop sees it in the middle of a run: the home's own book and policies, a lake in memory, the clock of the session."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from portfolio_platform.home import DEFAULT_FIRST_DAY, Home

if TYPE_CHECKING:
    from portfolio_platform.lake.store import Lake
    from portfolio_platform.paper.memory import MemoryLake
    from portfolio_platform.policy.assigned import PoliciesInTime
    from portfolio_platform.policy.timeline import Timeline


@dataclass(frozen=True)
class WorkingHome(Home):
    """A home whose lake holds the paper portfolio alone, up to the time of its clock, and is gone with the process.

    Attributes:
        held: the lake.
        begins: the paper portfolio's first day.
    """

    held: "MemoryLake | None" = None
    begins: date = DEFAULT_FIRST_DAY

    @classmethod
    def of(cls, home: Home, lake: "MemoryLake", begins: date) -> "WorkingHome":
        """Return the working home beside a home."""
        made = cls(home.root, home.lake_url, home.book_url, home.as_of, lake, begins)
        made.__dict__["book"] = home.book  # one pool of connections for both
        made.__dict__["timelines"] = {}
        return made

    def at(self, time: datetime) -> "WorkingHome":
        """Return the same home at another time."""
        made = replace(self, as_of=time)
        made.__dict__.update({name: self.__dict__[name] for name in ("book", "timelines", "policies_read") if name in self.__dict__})
        return made

    def timeline(self, name: str = "default") -> "Timeline":
        """Return every version of a policy, as the files were when the run first asked: reading them is half of a stage's time."""
        read: dict[str, Timeline] = self.__dict__["timelines"]
        if name not in read:
            read[name] = super().timeline(name)
        return read[name]

    def read_policies(self) -> None:
        """Keep the policies of the portfolio, once the lake says which it has."""
        from portfolio_platform.policy.assigned import policies_in_time

        self.__dict__["policies_read"] = policies_in_time(self)

    @property
    def given_policies(self) -> "PoliciesInTime | None":
        """Return the policies that were kept; None before."""
        return self.__dict__.get("policies_read")

    @property
    def lake(self) -> "Lake":
        """Return the lake in memory."""
        assert self.held is not None
        return self.held

    @property
    def first_day(self) -> date:
        """Return the paper portfolio's first day."""
        return self.begins

    def remember_first_day(self, day: date) -> None:
        """Keep the first day that is known: the home's own file speaks of its own lake."""
        del day
