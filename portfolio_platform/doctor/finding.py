"""What a check finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from portfolio_platform.errors import PortfolioError
from portfolio_platform.home import Home

Level = Literal["ok", "info", "warn", "fail"]
NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how grave, what, how it is, and what to do (empty where nothing is)."""

    level: Level
    what: str
    state: str
    remedy: str = ""


Check = Callable[[Home], Iterable[Finding]]


def counted(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def guarded(what: str, check: Check, home: Home) -> list[Finding]:
    """Run a check; its error is a finding."""
    found: list[Finding] = []
    try:
        found.extend(check(home))
    except PortfolioError as error:
        state, _, remedy = str(error).partition("; ")
        found.append(Finding("fail", what, state, remedy or "mend that and run `portfolio doctor` again"))
    except OSError as error:
        state = " ".join(str(part) for part in (error.strerror or error, error.filename) if part)
        found.append(Finding("fail", what, state, "check the path and its rights, then run `portfolio doctor` again"))
    except Exception as error:  # a doctor that dies of the illness is no use
        text = f"it could not be looked at: {type(error).__name__}: {error}".splitlines()[0]
        found.append(Finding("fail", what, text, "the files under it may be damaged; restore them from a backup"))
    return found
