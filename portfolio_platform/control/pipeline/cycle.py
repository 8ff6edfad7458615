"""One cycle of the control plane: what the ledger says comes in, what was approved is applied, symbols are told, decisions go out."""

from dataclasses import dataclass

from portfolio_platform.control.log import driven_by_bars, opened_portfolios
from portfolio_platform.control.model import Envelope
from portfolio_platform.control.pipeline.carry import Carried, carry
from portfolio_platform.control.pipeline.feed import Fed, Report, feed
from portfolio_platform.control.pipeline.publish import Published, publish
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.home import Home


@dataclass(frozen=True)
class CycleResult:
    """What a cycle did.

    Attributes:
        fed: fills and sessions that were new.
        carried: recommendations that were applied, orders that were ended.
        published: decisions that became facts.
        envelopes: those that the cycle's end issued, beside what feeding and carrying had issued.
    """

    fed: Fed
    carried: Carried
    published: Published
    envelopes: tuple[Envelope, ...]

    @property
    def changed(self) -> bool:
        """Say whether anything was new."""
        return self.fed.changed or bool(self.carried.applied or self.carried.ended or self.published.decisions or self.envelopes)


def run_cycle(home: Home, *, plane: ControlPlane | None = None, report: Report = lambda text: None) -> CycleResult:
    """Run one policy cycle for every portfolio of a home; safe to call again at any time, also after one that was killed.

    What is over on the clock ends, and every symbol whose envelope is due is told, in each portfolio under control. A portfolio that a
    paper run takes through time is left to it: the home's clock is not its own.

    Args:
        home: whose lake and book.
        plane: the control plane of this process, which keeps its states between cycles; a new one where None.
        report: is told what is done.

    Raises:
        StoreProblem: lake or book cannot be read or written; what was done until then stays.
    """
    plane = plane or ControlPlane(home.book, home.clock)
    fed = feed(home, plane=plane, report=report)
    carried = carry(home, plane=plane)
    with home.book.reading() as connection:
        opened = opened_portfolios(connection)
        others = driven_by_bars(connection, opened)
    told = [one for portfolio in opened if portfolio not in others for one in plane.broadcast_constraints(portfolio)]
    return CycleResult(fed, carried, publish(home), tuple(told))
