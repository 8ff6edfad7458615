"""`step(terms, state, event) -> (state, commands)`: the workflow of one instrument. Pure; the same events give the same bytes.

For whoever drives it: keep the event under `encoding.event_key`, call `step`, keep the state (`encoding.state_bytes`), do the commands
(`encoding.command_key` is the identity of each, so that doing one twice is harmless). An `EmitSignal` may come a second time with the
same ``signal_id`` and another ``disposition`` once what became of it is known; the later one is the one to keep. Within one instant the
fills of a bar are told before its candle; any other order is harmless and only less exact.
"""

from collections.abc import Iterable

from portfolio_platform.instruments.model import InstrumentCommand, InstrumentEvent
from portfolio_platform.instruments.state import InstrumentState, InstrumentView, WorkflowTerms


def step(terms: WorkflowTerms, state: InstrumentState, event: InstrumentEvent) -> tuple[InstrumentState, tuple[InstrumentCommand, ...]]:
    """Return the state after an event, and what is to be done. Never raises for what an event says."""
    raise TypeError(type(event).__name__)  # in work


def replay(terms: WorkflowTerms, events: Iterable[InstrumentEvent], state: InstrumentState | None = None) -> InstrumentState:
    """Return the state after all events."""
    current = InstrumentState() if state is None else state
    for event in events:
        current = step(terms, current, event)[0]
    return current


def query(state: InstrumentState) -> InstrumentView:
    """Return what `get_instrument_state` answers."""
    raise TypeError(state.phase)  # in work
