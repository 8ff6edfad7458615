"""The home of a platform: one folder with lake, book, policies, inbox and the settings that belong to its data."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from portfolio_platform.clock import Clock, FixedClock, SystemClock, end_of_day
from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number, nanoseconds, to_date
from portfolio_platform.errors import StoreProblem, WrongUse

if TYPE_CHECKING:
    from portfolio_platform.book.control import Decisions
    from portfolio_platform.book.store import Book
    from portfolio_platform.lake.store import Lake
    from portfolio_platform.policy.assigned import PoliciesInTime
    from portfolio_platform.policy.model import Policy
    from portfolio_platform.policy.timeline import Timeline

DEFAULT_FIRST_DAY = date(2020, 1, 1)


class Settings(BaseSettings):
    """Where things are, from the environment: PORTFOLIO_HOME, PORTFOLIO_LAKE_URL, PORTFOLIO_BOOK_URL."""

    model_config = SettingsConfigDict(env_prefix="PORTFOLIO_", extra="ignore")

    home: Path = Field(Path(".portfolio"), description="folder of lake, book, policies and inbox")
    lake_url: str = Field("", description="folder or object store of the lake; empty: in the home")
    book_url: str = Field("", description="SQLAlchemy URL of the book; empty: SQLite in the home")


@dataclass(frozen=True)
class Home:
    """Paths, stores and clock of one home. Opening it creates nothing; `create` does."""

    root: Path
    lake_url: str = ""
    book_url: str = ""
    as_of: datetime | None = None

    @classmethod
    def from_environment(cls, root: Path | None = None, as_of: datetime | None = None) -> "Home":
        """Return the home that the environment names, or the given folder."""
        settings = Settings()
        return cls((root or settings.home).expanduser().absolute(), settings.lake_url, settings.book_url, as_of)

    @property
    def inbox(self) -> Path:
        """Return the folder whose files are imported when they appear."""
        return self.root / "inbox"

    @property
    def imported(self) -> Path:
        """Return the folder where files of the inbox go once they are imported."""
        return self.root / "imported"

    @property
    def reports(self) -> Path:
        """Return the folder of rendered reports."""
        return self.root / "reports"

    @property
    def policies(self) -> Path:
        """Return the folder of policies."""
        return self.root / "policies"

    @property
    def _clock_file(self) -> Path:
        return self.root / "clock.json"

    @property
    def _span_file(self) -> Path:
        return self.root / "span.json"

    @cached_property
    def lake(self) -> "Lake":
        """Return the lake."""
        from portfolio_platform.lake.store import Lake

        return Lake(self.lake_url or str(self.root / "lake"), self.root / "lake.lock")

    @cached_property
    def book(self) -> "Book":
        """Return the book."""
        from portfolio_platform.book.location import sqlite_url
        from portfolio_platform.book.store import Book

        return Book(self.book_url or sqlite_url(self.root / "book.sqlite"))

    @property
    def exists(self) -> bool:
        """Say whether the home has been created."""
        return self.policies.is_dir()

    def require(self) -> "Home":
        """Return this home, or raise `WrongUse` where it has not been created."""
        if not self.exists:
            raise WrongUse(f"there is no home at {self.root}; create it with `portfolio init`, or set PORTFOLIO_HOME")
        return self

    def create(self) -> None:
        """Create folders, the default policy and the book; what is there stays as it is."""
        from portfolio_platform.policy.model import DEFAULT_POLICY_FILE

        try:
            if not self.root.exists():
                self.root.mkdir(parents=True, mode=0o700)  # positions and orders are nobody else's business
            for folder in (self.inbox, self.imported, self.reports, self.policies):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreProblem(
                f"the home {self.root} cannot be created: {error.strerror}; set PORTFOLIO_HOME to a folder you own"
            ) from error
        policy = self.policies / "default.toml"
        if not policy.exists():
            write_atomically(policy, DEFAULT_POLICY_FILE.read_text(encoding="utf-8"))
        self.book.create()

    def timeline(self, name: str = "default") -> "Timeline":
        """Return every version of a policy of this home. Raises `DataProblem` where a file is wrong or they contradict each other."""
        from portfolio_platform.policy.load import load_timeline

        return load_timeline(self.policies, name)

    def policy(self, name: str = "default", on: date | None = None) -> "Policy":
        """Return the policy of a name that is in force on a day, today where none is given. Raises `NoPolicyInForce`."""
        return self.timeline(name).on(on or self.today).policy

    @property
    def given_policies(self) -> "PoliciesInTime | None":
        """Return the policies of a home whose portfolios have others than its files and facts say; None here."""
        return None

    @property
    def decisions(self) -> "Decisions":
        """Return whose decisions the tables rest on: those of this home's book, all of them."""
        from portfolio_platform.book.control import Decisions

        return Decisions(self.book)

    @property
    def clock(self) -> Clock:
        """Return the clock: the command's as-of time, else the home's pin, else the machine's."""
        if self.as_of is not None:
            return FixedClock(self.as_of)
        pinned = self.pinned_at
        return SystemClock() if pinned is None else FixedClock(pinned)

    @property
    def pinned_at(self) -> datetime | None:
        """Return when the home's clock is pinned, if it is."""
        content = _read_json(self._clock_file)
        return datetime.fromisoformat(content["pinned_at"]).astimezone(UTC) if "pinned_at" in content else None

    def pin_clock(self, day: date | None) -> None:
        """Pin the clock to the end of a day, or let it go with None."""
        if day is None:
            self._clock_file.unlink(missing_ok=True)
        else:
            write_atomically(self._clock_file, json.dumps({"pinned_at": end_of_day(day).isoformat()}))

    @property
    def today(self) -> date:
        """Return the UTC day that the clock's time belongs to."""
        return to_date(day_number(nanoseconds(self.clock.now())))

    @property
    def last_ended_day(self) -> date:
        """Return the newest UTC day that is over: a report of a day that still runs would not last."""
        return to_date(nanoseconds(self.clock.now()) // NANOSECONDS_PER_DAY - 1)

    @property
    def first_day(self) -> date:
        """Return the ledger's first day, where partitions begin; a default before the first import."""
        content = _read_json(self._span_file)
        return date.fromisoformat(content["first_day"]) if "first_day" in content else DEFAULT_FIRST_DAY

    def remember_first_day(self, day: date) -> None:
        """Write the ledger's first day down for those who must not open the lake to know it."""
        if _read_json(self._span_file).get("first_day") != day.isoformat():
            write_atomically(self._span_file, json.dumps({"first_day": day.isoformat()}))


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _read_json(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise StoreProblem(f"{path.name} in the home is damaged ({error}); delete it and import again") from error
    return content if isinstance(content, dict) else {}
