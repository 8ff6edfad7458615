"""What a pass of the screener asks of the workflows: pure, and the same for the same pass however often it is routed."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from portfolio_platform.instruments.screener import ScreenerPass, ScreenerTerms


class Standing(NamedTuple):
    """How a running workflow stands with the screener; a workflow that has stopped has none.

    Attributes:
        template: last told to it.
        passes_outside: in a row, in which its symbol was no candidate.
        stopping: it was asked to stop.
        pass_id: the last pass that was counted.
    """

    template: str
    passes_outside: int = 0
    stopping: bool = False
    pass_id: str = ""


class StartWorkflow(NamedTuple):
    """Start a workflow for a symbol that has none."""

    symbol: str
    template: str
    pass_id: str
    rank: int
    score_ppm: int


class SignalTemplate(NamedTuple):
    """Tell a workflow that another template is suggested."""

    symbol: str
    template: str
    pass_id: str
    rank: int
    score_ppm: int


class RequestStop(NamedTuple):
    """Ask a workflow to stop: its symbol was no candidate in so many passes in a row."""

    symbol: str
    pass_id: str
    passes_outside: int
    reason: str


Route: TypeAlias = StartWorkflow | SignalTemplate | RequestStop


def route(
    screened: ScreenerPass, standings: Mapping[str, Standing], terms: ScreenerTerms
) -> tuple[tuple[Route, ...], dict[str, Standing]]:
    """Return what is to be done, by symbol, and the standings after it (of the started ones too)."""
    raise NotImplementedError
