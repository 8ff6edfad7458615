"""Every way from one state of a symbol's policy to another, as a table: what is not in it cannot happen.

`docs/instruments-transitions.md` has the same rows with the test that holds each; a test compares the two.
"""

from typing import NamedTuple

from portfolio_platform.instruments.model import Phase


class Transition(NamedTuple):
    """One way: from where, what causes it, where to, and in words."""

    before: Phase
    cause: str
    after: Phase
    words: str


_UNASKED = "a fill that nobody here asked for came: it is taken in and closed at the market"

TRANSITIONS: tuple[Transition, ...] = (
    Transition("idle", "thesis", "thesis_armed", "at a policy boundary the regime is eligible and the thesis holds"),
    Transition("idle", "stopped", "stopped", "asked to end, nothing is held"),
    Transition("idle", "unexpected_fill", "flattening", _UNASKED),
    Transition("thesis_armed", "entry_filled", "position_open", "the first fill of the entry; its exit contract stands"),
    Transition("thesis_armed", "invalidated", "invalidated", "a condition that ends the thesis holds at a close"),
    Transition("thesis_armed", "timed_out", "cooldown", "no activation within the plan's execution bars, or no answer"),
    Transition("thesis_armed", "not_qualified", "cooldown", "activated, and the reward for the risk is too small or there is no stop"),
    Transition("thesis_armed", "blocked", "cooldown", "activated, and envelope, limits or a person leave no room"),
    Transition("thesis_armed", "rejected", "cooldown", "the control plane refused, or what it granted is too little or too late"),
    Transition("thesis_armed", "entry_ended", "cooldown", "the entry ended without a fill"),
    Transition("thesis_armed", "withdrawn", "cooldown", "a safety order came and no order rests"),
    Transition("thesis_armed", "safety", "flattening", "a safety order came while the entry rests: it is cancelled"),
    Transition("thesis_armed", "stopped", "stopped", "asked to end, no order rests"),
    Transition("thesis_armed", "unexpected_fill", "flattening", _UNASKED),
    Transition("position_open", "closed", "cooldown", "flat by target, stop or time: the outcome is recorded"),
    Transition("position_open", "safety", "flattening", "flatten-only, a person's order, or asked to end"),
    Transition("position_open", "unexpected_fill", "flattening", _UNASKED),
    Transition("cooldown", "boundary", "idle", "the first policy boundary after the plan's bars of cooldown"),
    Transition("cooldown", "stopped", "stopped", "asked to end, nothing is held"),
    Transition("cooldown", "unexpected_fill", "flattening", _UNASKED),
    Transition("invalidated", "boundary", "idle", "the next policy boundary"),
    Transition("invalidated", "stopped", "stopped", "asked to end, nothing is held"),
    Transition("invalidated", "unexpected_fill", "flattening", _UNASKED),
    Transition("flattening", "closed", "cooldown", "the ledger says flat and no entry rests"),
    Transition("flattening", "stopped", "stopped", "the ledger says flat, no entry rests, and it was asked to end"),
    Transition("stopped", "unexpected_fill", "flattening", _UNASKED + "; then it stops again"),
    Transition("stopped", "started", "idle", "the screener lists the symbol again"),
)
AFTER: dict[tuple[Phase, str], Phase] = {(one.before, one.cause): one.after for one in TRANSITIONS}
