"""States, events and commands of a workflow as they are kept: type name and data without floats, canonical bytes, and identities."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

from portfolio_platform.broker.model import Bar
from portfolio_platform.codec import decode, encode, from_bytes, to_bytes
from portfolio_platform.instruments.model import (
    AllocationDecided,
    AskJudge,
    CancelOrder,
    CandleClosed,
    EmitSignal,
    Enlist,
    EnvelopeIssued,
    FillReported,
    InstrumentCommand,
    InstrumentEvent,
    JudgeFeedback,
    OperatorCommand,
    OrderEnded,
    PlaceOrder,
    Plan,
    PlanProvided,
    ReleaseAllocation,
    ReplaceOrder,
    RequestAllocation,
    RequestPlan,
    ScreenerUpdate,
    Started,
    StopRequested,
)
from portfolio_platform.instruments.state import InstrumentState

EVENTS: dict[str, type[Any]] = {
    "started": Started,
    "candle_closed": CandleClosed,
    "plan_provided": PlanProvided,
    "judge_feedback": JudgeFeedback,
    "screener_update": ScreenerUpdate,
    "envelope_issued": EnvelopeIssued,
    "allocation_decided": AllocationDecided,
    "fill": FillReported,
    "order_ended": OrderEnded,
    "stop_requested": StopRequested,
    "operator_command": OperatorCommand,
}
"""Every event of a workflow by its name in the log."""
COMMANDS: dict[str, type[Any]] = {
    "request_plan": RequestPlan,
    "request_allocation": RequestAllocation,
    "release_allocation": ReleaseAllocation,
    "place_order": PlaceOrder,
    "cancel_order": CancelOrder,
    "replace_order": ReplaceOrder,
    "emit_signal": EmitSignal,
    "ask_judge": AskJudge,
    "enlist": Enlist,
}
"""Every command of a workflow by its name in an outbox."""
_NAMES = {kind: name for name, kind in (*EVENTS.items(), *COMMANDS.items())}
_EVENT_IDS: dict[type[Any], Callable[[Any], object]] = {
    Started: lambda event: event.at,
    CandleClosed: lambda event: event.bar.ts,
    PlanProvided: lambda event: event.request_id,
    JudgeFeedback: lambda event: event.feedback_id,
    ScreenerUpdate: lambda event: event.pass_id,
    EnvelopeIssued: lambda event: event.envelope.version,
    AllocationDecided: lambda event: event.intent_id,
    FillReported: lambda event: event.execution_id,
    OrderEnded: lambda event: f"{event.order_id}/{event.outcome}",
    StopRequested: lambda event: event.request_id,
    OperatorCommand: lambda event: event.command_id,
}
_COMMAND_IDS: dict[type[Any], Callable[[Any], str]] = {
    RequestPlan: lambda command: command.request_id,
    RequestAllocation: lambda command: command.intent.intent_id,
    ReleaseAllocation: lambda command: f"{command.intent_id}@{command.at}/{command.reason}",
    PlaceOrder: lambda command: command.order.client_order_id,
    CancelOrder: lambda command: f"{command.order_id}@{command.at}",
    ReplaceOrder: lambda command: f"{command.order_id}@{command.at}",
    EmitSignal: lambda command: f"{command.signal_id}/{command.disposition}",
    AskJudge: lambda command: command.request_id,
    Enlist: lambda command: str(command.number),
}


def stream_of(portfolio: str, symbol: str) -> str:
    """Return the name of the stream of a symbol's workflow."""
    return f"instruments/{quote(portfolio, safe='')}/{quote(symbol, safe='')}"


def event_key(portfolio: str, symbol: str, event: InstrumentEvent) -> str:
    """Return the identity of an event in the log.

    A candle is known by its close, so that a corrected one of the same time is the same event: the first wins. (One workflow has candles
    of one timeframe, that of its execution.)
    """
    return f"{stream_of(portfolio, symbol)}/{identity_of(event)}"


def identity_of(event: InstrumentEvent) -> str:
    """Return the identity of an event inside its stream."""
    return f"{_NAMES[type(event)]}/{quote(str(_EVENT_IDS[type(event)](event)), safe='')}"


def command_key(command: InstrumentCommand) -> str:
    """Return the identity of a command inside its stream: the same in every replay, and of no other command."""
    return f"{_NAMES[type(command)]}/{_COMMAND_IDS[type(command)](command)}"


def encode_event(event: InstrumentEvent) -> tuple[str, dict[str, Any]]:
    """Return the name of an event in the log, and its data without floats."""
    kind = type(event)
    return _NAMES[kind], {"event": encode(event, kind)}


def decode_event(name: str, data: Mapping[str, Any]) -> InstrumentEvent:
    """Return the event behind its name and data.

    Raises:
        KeyError: the name is none of a workflow's event.
    """
    plain = data["event"]
    if name == "candle_closed":
        # most events of a stream: by hand, for a history is read often
        at, (symbol, opens_at, ts, first, high, low, close, volume), closes = plain
        numbers = int(opens_at), int(ts), int(first), int(high), int(low), int(close), None if volume is None else int(volume)
        return tuple.__new__(CandleClosed, (int(at), tuple.__new__(Bar, (symbol, *numbers)), tuple(closes)))
    if name == "plan_provided" and plain[2] is not None:
        given = plain[2]
        plan = Plan(*given[:RULES], *_rules(orjson.dumps(given[RULES:])))
        return PlanProvided(int(plain[0]), plain[1], plan, plain[3])
    event: InstrumentEvent = decode(plain, EVENTS[name])
    return event


RULES = Plan._fields.index("regimes")
"""From here on a plan is the same on every day; what is before it is text."""


@lru_cache(maxsize=256)
def _rules(plain: bytes) -> tuple[Any, ...]:
    """Return the rules of a plan behind their JSON: they are those of the few playbooks that a symbol was planned with."""
    plan: Plan = decode([*[""] * RULES, *orjson.loads(plain)], Plan)
    return tuple(plan)[RULES:]


def encode_command(command: InstrumentCommand) -> tuple[str, dict[str, Any]]:
    """Return the name of a command in an outbox, and its data without floats."""
    kind = type(command)
    return _NAMES[kind], {"command": encode(command, kind)}


def decode_command(name: str, data: Mapping[str, Any]) -> InstrumentCommand:
    """Return the command behind its name and data.

    Raises:
        KeyError: the name is none of a workflow's command.
    """
    command: InstrumentCommand = decode(data["command"], COMMANDS[name])
    return command


def state_bytes(state: InstrumentState) -> bytes:
    """Return the canonical bytes of a state."""
    return to_bytes(state, InstrumentState)


def state_of(content: bytes) -> InstrumentState:
    """Return the state behind its canonical bytes."""
    state: InstrumentState = from_bytes(content, InstrumentState)
    return state
