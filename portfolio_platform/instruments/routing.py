"""What a pass of the screener asks of the workflows: pure, and routing one pass twice changes nothing.

- A candidate without a workflow gets one, where a template is suggested that trades: for none, and for ``uncertain_wait``, there is
  nothing to do in it yet.
- A workflow whose symbol is a candidate is told of another template, ``uncertain_wait`` too: it arms no thesis any more. Where none is
  suggested it keeps the one it has.
- A workflow whose symbol was no candidate in three passes in a row (`ScreenerTerms.passes_outside`) is asked to stop, once. A symbol that
  a pass does not hold, or could not score, was no candidate in it.
- A workflow that was asked to stop is left alone until it has stopped, for what it holds is being flattened; then its symbol may be
  started anew.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from portfolio_platform.instruments.screener import ScreenerPass, ScreenerRow, ScreenerTerms

WAITING = "uncertain_wait"


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


def route(screened: ScreenerPass, standings: Mapping[str, Standing], terms: ScreenerTerms) -> tuple[tuple[Route, ...], dict[str, Standing]]:
    """Return what is to be done, by symbol, and the standings after it, those of started workflows too.

    Args:
        screened: the pass.
        standings: of every workflow that runs, by symbol.
        terms: of the screener.
    """
    rows = {row.symbol: row for row in screened.rows}
    routes: list[Route] = []
    after: dict[str, Standing] = {}
    for symbol in sorted(standings.keys() | rows.keys()):
        row, standing = rows.get(symbol), standings.get(symbol)
        if standing is None:
            if row is not None and row.candidate and row.template not in ("", WAITING):
                routes.append(StartWorkflow(symbol, row.template, screened.pass_id, row.rank, row.composite))
                after[symbol] = Standing(row.template, pass_id=screened.pass_id)
            continue
        done, after[symbol] = _of_running(symbol, row, standing, screened.pass_id, terms)
        routes.extend(done)
    return tuple(routes), after


def _of_running(
    symbol: str, row: ScreenerRow | None, standing: Standing, pass_id: str, terms: ScreenerTerms
) -> tuple[tuple[Route, ...], Standing]:
    if standing.pass_id == pass_id:
        return (), standing
    if row is None or not row.candidate:
        outside = standing.passes_outside + 1
        stops = outside >= terms.passes_outside and not standing.stopping
        counted = standing._replace(passes_outside=outside, stopping=standing.stopping or stops, pass_id=pass_id)
        if not stops:
            return (), counted
        why = "not in the universe" if row is None else row.why
        reason = f"no candidate of the screener in {outside} passes in a row; the last: {why}"
        return (RequestStop(symbol, pass_id, outside, reason),), counted
    inside = standing._replace(passes_outside=0, pass_id=pass_id)
    if standing.stopping or row.template in ("", standing.template):
        return (), inside
    return (SignalTemplate(symbol, row.template, pass_id, row.rank, row.composite),), inside._replace(template=row.template)
