"""One cycle of the control plane with all that follows from it: its log as tables, and alerts about what the log noticed."""

from dataclasses import dataclass

from portfolio_platform.alerts.control import sync_control
from portfolio_platform.book.alerts import Alert
from portfolio_platform.control.pipeline.cycle import CycleResult, run_cycle
from portfolio_platform.control.pipeline.feed import Report
from portfolio_platform.control.pipeline.tables import Copied, copy_log
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.home import Home


@dataclass(frozen=True)
class Cycled:
    """What a cycle did: events and orders, rows of the log's tables that are new, and the alerts about the log that are open."""

    done: CycleResult
    copied: Copied
    alerts: tuple[Alert, ...]

    @property
    def sentence(self) -> str:
        """Say what the cycle did, for a person."""
        fed = self.done.fed.portfolios
        told = (
            (sum(one.fills for one in fed), "fill", ""),
            (sum(one.sessions for one in fed), "session", ""),
            (len(self.done.carried.applied), "recommendation", " applied"),
            (len(self.done.carried.ended), "order", " ended"),
            (self.copied.decisions, "decision", ""),
            (self.copied.envelopes, "envelope", ""),
        )
        said = [_counted(count, what) + rest for count, what, rest in told if count]
        return f"{', '.join(said) or 'nothing new'}; {_counted(len(fed), 'portfolio')} under control"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def policy_cycle(home: Home, *, plane: ControlPlane | None = None, report: Report = lambda text: None) -> Cycled:
    """Run one policy cycle, bring the tables of the log to its end, and alerts to what it noticed; safe to call again at any time.

    Raises:
        StoreProblem: lake or book cannot be read or written; what was done until then stays.
    """
    done = run_cycle(home, plane=plane, report=report)
    return Cycled(done, copy_log(home), tuple(sync_control(home)))
