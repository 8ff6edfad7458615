"""The rules: each says how much risk it leaves to an intent and shows its numbers; `decide` takes the least of them. Pure.

The order is that of the specification: what forbids everything new first, then heat, symbol, cohort, sector, template,
playbook and correlation bucket, then the counts; the mode's multiplier is applied to the request before they clip it, and
what is left must be worth a trade. Reducing risk is never refused.
"""

from portfolio_platform.control import model
from portfolio_platform.control.model import MILLION, AllocationDecision, Headroom, PortfolioIntent
from portfolio_platform.control.state import ControlState, Key
from portfolio_platform.control.terms import Cap, Terms
from portfolio_platform.days import day_number

LARGEST = 10**15
"""The largest amount that is taken seriously, in minor units; beyond it an intent is a mistake."""
LARGEST_NOTIONAL = 10 * LARGEST
"""The same for exposure; sums of a thousand of them still fit the 64 bits that the log's integers are read with."""


def decide(state: ControlState, intent: PortfolioIntent, now: int) -> AllocationDecision:
    """Answer an intent from a state. The same state, intent and time give the same answer, to the byte.

    The policy is that of the state's terms, adopted by an event, so that an answer can be recomputed from the log alone.

    Args:
        state: what the portfolio's events add up to.
        intent: what is asked, read by `intents.read_intent`.
        now: nanoseconds UTC; a clock that fell behind the state counts as the state's time.
    """
    at = now if now > state.now else state.now
    fault = invalid(state, intent, at)
    if fault:
        return _answer(state, intent, at, model.REJECTED_INVALID, reasons=(fault,))
    if intent.side == "flat":
        return _answer(state, intent, at, model.APPROVED_FULL, reasons=("reduces", intent.fault) if intent.fault else ("reduces",))
    terms = state.terms
    fault = stale(state, at)
    if fault:
        return _answer(state, intent, at, model.REJECTED_STALE_STATE, reasons=(fault,))
    asked = intent.requested_risk
    scaled = asked if terms.multiplier >= MILLION else asked * terms.multiplier // MILLION
    rooms = headrooms(state, intent, at)
    if terms.flatten:
        return _answer(state, intent, at, model.REJECTED_FLATTEN_ONLY, scaled, rooms, ("flatten_only:" + terms.flatten,))
    if terms.mode == "risk_off" or terms.multiplier <= 0:
        return _answer(state, intent, at, model.REJECTED_RISK_OFF, scaled, rooms, (f"mode:{terms.mode} by {terms.mode_source}",))
    least = min(rooms, key=_room)
    granted = least.headroom if least.headroom < scaled else scaled
    reasons = _reasons(terms, asked, scaled, granted, rooms)
    if least.headroom <= 0:
        return _answer(state, intent, at, model.REJECTIONS[least.rule], scaled, rooms, reasons)
    if granted < terms.minimum_ticket:
        small = f"minimum_ticket:{granted} below {terms.minimum_ticket}"
        return _answer(state, intent, at, model.REJECTED_MIN_TICKET, scaled, rooms, (*reasons, small))
    code = model.APPROVED_FULL if granted == asked else model.APPROVED_CLIPPED
    return _answer(state, intent, at, code, scaled, rooms, reasons, granted)


def invalid(state: ControlState, intent: PortfolioIntent, at: int) -> str:
    """Say what is wrong with an intent; empty where nothing is."""
    flat = intent.side == "flat"
    if intent.fault and not (flat and intent.fault.startswith(model.SET_ASIDE)):
        return intent.fault
    if not state.terms.limits.policy_hash:
        return f"portfolio: {state.portfolio!r} is not under control; `portfolio control open` begins it"
    if intent.portfolio != state.portfolio:
        return f"portfolio: {intent.portfolio!r} is not {state.portfolio!r}"
    if intent.symbol not in state.instruments and not (flat and any(key[1] == intent.symbol for key in state.holders)):
        return f"symbol: {intent.symbol!r} is no known instrument; import it first"
    if intent.side not in model.SIDES:
        return f"side: {intent.side!r} is none of long, short, flat"
    if flat:  # whatever its time and its numbers are: it asks for nothing
        return ""
    limits = state.terms.limits
    if intent.ts > at + limits.tolerance:
        return f"ts: {intent.ts} lies {(intent.ts - at) // 1_000_000_000} s in the future"
    if limits.intent_age and intent.ts < at - limits.intent_age:
        return f"ts: {intent.ts} is {(at - intent.ts) // 1_000_000_000} s old; an intent holds {limits.intent_age // 1_000_000_000} s"
    if not 0 < intent.requested_risk <= LARGEST:
        return f"requested_risk: {intent.requested_risk} is not above 0 and at most {LARGEST}"
    notional = intent.requested_notional
    if notional is not None and not 0 <= notional <= LARGEST_NOTIONAL:
        return f"requested_notional: {notional} is not from 0 to {LARGEST_NOTIONAL}"
    if state.terms.exposure and not notional:
        return "requested_notional: a limit on exposure is in force, so it has to be said"
    return ""


def stale(state: ControlState, at: int) -> str:
    """Say why the facts cannot be decided on; empty where they can."""
    facts, limits = state.terms.facts, state.terms.limits
    if limits.expires and at > limits.expires:
        return f"policy: {limits.policy_name} has expired; put a newer version in the home"
    if not facts.at:
        return "facts: none yet"
    if at - facts.at > limits.facts_age:
        return f"facts: of {facts.day}, {(at - facts.at) // 1_000_000_000} s old; they hold {limits.facts_age // 1_000_000_000} s"
    return ""


def headrooms(state: ControlState, intent: PortfolioIntent, at: int) -> tuple[Headroom, ...]:
    """Return what every rule leaves to an intent, in the order of the rules."""
    symbol = intent.symbol
    instrument = state.instruments[symbol]
    template, playbook, bucket = state.joined(
        intent.strategy, symbol, intent.side, intent.template, intent.playbook, intent.correlation_bucket
    )
    found = [
        risk_cap(state, intent, "heat", ""),
        risk_cap(state, intent, "symbol", symbol),
        risk_cap(state, intent, "cohort", instrument.cohort),
        risk_cap(state, intent, "sector", instrument.sector),
        risk_cap(state, intent, "template", template),
        risk_cap(state, intent, "playbook", playbook),
        risk_cap(state, intent, "bucket", state.buckets.get(symbol) or bucket),
    ]
    if state.terms.exposure:
        found += _exposures(state, intent, state.groups(symbol, template, playbook, bucket))
    found.append(position_count(state, intent))
    found.append(new_positions(state, intent, at))
    return tuple(found)


def risk_cap(state: ControlState, intent: PortfolioIntent, rule: str, scope: str) -> Headroom:
    """A cap on the risk, active and reserved, of the portfolio (heat) or of one group; a group without a name has no cap."""
    cap = None
    used = 0
    if scope or rule == "heat":
        terms = state.terms
        cap = (terms.scoped.get(("risk", rule, scope)) if terms.scoped else None) or terms.caps.get(("risk", rule))
        used = state.used.get((rule, scope), 0)
    if cap is None:
        return _new(Headroom, (rule, scope, "risk", None, used, intent.requested_risk, ""))
    limit, source = cap
    return _new(Headroom, (rule, scope, "risk", limit, used, limit - used if limit > used else 0, source))


_new = tuple.__new__
"""Makes a named tuple from all of its fields, in half the time of calling its class; only where every decision does it."""


def exposure_cap(state: ControlState, intent: PortfolioIntent, key: Key, cap: Cap) -> Headroom:
    """A cap on gross exposure: what is left of it, in the risk that this intent carries for each unit of exposure."""
    rule, scope = key
    used = state.exposed.get(key, 0)
    room = max(0, cap.amount - used)
    notional = intent.requested_notional or 0
    risk = intent.requested_risk * room // notional if notional else 0
    return Headroom(rule, scope, "exposure", cap.amount, used, risk, cap.source)


def _exposures(state: ControlState, intent: PortfolioIntent, keys: tuple[Key, ...]) -> list[Headroom]:
    found = ((key, state.terms.cap("exposure", *key)) for key in keys)
    return [exposure_cap(state, intent, key, cap) for key, cap in found if cap is not None]


def position_count(state: ControlState, intent: PortfolioIntent) -> Headroom:
    """The number of positions, open and reserved: one more strategy in a symbol needs room, adding to one that is there does not."""
    cap = state.terms.caps["count", "positions"]
    used = len(state.holders)
    free = used < cap.amount or (intent.strategy, intent.symbol) in state.holders
    return _new(Headroom, ("positions", "", "count", cap.amount, used, intent.requested_risk if free else 0, cap.source))


def new_positions(state: ControlState, intent: PortfolioIntent, at: int) -> Headroom:
    """The number of positions opened on one UTC day."""
    cap = state.terms.caps["count", "new_positions"]
    used = state.opened if day_number(at) == state.day else 0
    free = used < cap.amount or (intent.strategy, intent.symbol) in state.holders
    return _new(Headroom, ("new_positions", "", "count", cap.amount, used, intent.requested_risk if free else 0, cap.source))


def _room(headroom: Headroom) -> int:
    return headroom.headroom


def _reasons(terms: Terms, asked: int, scaled: int, granted: int, rooms: tuple[Headroom, ...]) -> tuple[str, ...]:
    """Return what made the grant differ from the request, and whose order had a part in it."""
    found: list[str] = []
    if scaled < asked:
        found.append(f"mode:{terms.mode} by {terms.mode_source}")
    if granted < scaled:
        tight = [room for room in rooms if room.headroom == granted]
        found += [f"constrained:{room.rule}" if room.basis == "risk" else f"constrained:{room.rule} {room.basis}" for room in tight]
    if terms.operators:
        found += [f"overridden:{room.rule} by {room.source[9:]}" for room in rooms if room.source.startswith("operator:")]
    if terms.mode_source.startswith("operator:"):
        found.append(f"overridden:mode by {terms.mode_source[9:]}")
    return tuple(found)


def _answer(
    state: ControlState,
    intent: PortfolioIntent,
    at: int,
    code: str,
    scaled: int = 0,
    rooms: tuple[Headroom, ...] = (),
    reasons: tuple[str, ...] = (),
    granted: int = 0,
) -> AllocationDecision:
    terms = state.terms
    notional = intent.requested_notional
    issued = state.issued.get(intent.symbol)
    share = None if notional is None or not granted else notional * granted // intent.requested_risk
    facts = terms.facts
    return _new(
        AllocationDecision,
        (
            intent.intent_id,
            state.portfolio,
            intent.strategy,
            intent.symbol,
            code,
            intent.requested_risk,
            scaled,
            granted,
            share,
            reasons,
            rooms,
            terms.mode,
            terms.multiplier,
            facts.equity,
            facts.at,
            terms.limits.policy_hash,
            terms.version,
            state.version,
            at,
            at + terms.limits.reservation if granted else 0,
            0 if issued is None else issued.version,
        ),
    )
