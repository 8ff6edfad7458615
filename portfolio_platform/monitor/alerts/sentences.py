"""Numbers and sentences of alerts, as an operator reads them."""

import math
from datetime import date
from functools import lru_cache

from portfolio_platform.policy.alerts import Rule

NULL = "–"
SUFFIXES = {"sigma": " σ", "bps": " bps", "R": " R"}
_SHOWN_SYMBOLS = 12
NO_LONGER_THERE = "no_longer_there"
NOTHING_TO_DO = "Nothing to do."
WAS_UNSURE = "it is held from a session in which its gate failed"
_GOOD_SIDE = {">=": "below", ">": "at most", "<=": "above", "<": "at least"}


def formatted(value: float | None, unit: str) -> str:
    """Return a value in its unit: 0.06 is '6.0 %', 3 positions '3', a probability three significant digits."""
    if value is None or not math.isfinite(value):
        return NULL
    if unit.startswith("fraction"):
        return f"{_signed(value * 100.0, 1)} %"
    if unit == "count":
        return _signed(value, 0) if float(value).is_integer() else _signed(value, 2)
    if unit == "probability":
        return f"{value:.3g}" if value >= 1e-6 or value == 0.0 else "below 0.000001"
    return _signed(value, 1 if unit in ("bps", "bars") else 2) + SUFFIXES.get(unit, "")


def _signed(value: float, digits: int) -> str:
    text = f"{value:,.{digits}f}"
    if not text.startswith("-"):
        return text
    return f"−{text[1:]}" if any(char in "123456789" for char in text) else text[1:]


@lru_cache(maxsize=4096)
def shown_scope(scope: str) -> str:
    """Return a scope as text: the parts of a longer one are told apart by a comma."""
    return ", ".join(part for part in scope.split("/") if part) if scope.count("/") > 1 else scope


@lru_cache(maxsize=4096)
def shown_symbols(symbols: str) -> str:
    """Return symbols as a sentence names them: the first twelve, and how many more there are."""
    names = symbols.split(", ") if symbols else []
    if len(names) <= _SHOWN_SYMBOLS:
        return ", ".join(names) or "no symbol"
    return f"{', '.join(names[:_SHOWN_SYMBOLS])} and {len(names) - _SHOWN_SYMBOLS} more"


def filled(text: str, rule: Rule, portfolio: str, scope: str, observed: str, threshold: str, symbols: str) -> str:
    """Fill in the words of a rule's sentence or action."""
    return text.format(
        portfolio=portfolio,
        scope=shown_scope(scope) or portfolio,
        observed=observed,
        threshold=threshold,
        lookback=rule.lookback,
        symbols=shown_symbols(symbols),
    )


def about(label: str, portfolio: str, scope: str) -> str:
    """Return what an alert is about: 'Drawdown of core', 'Exposure of a symbol of core (AAPL)'."""
    return f"{label} of {portfolio}{f' ({shown_scope(scope)})' if scope else ''}"


def held_sentence(label: str, portfolio: str, scope: str, reason: str, worst: str) -> str:
    """Say that nothing can be measured and that the alert therefore stays as it was."""
    if reason == NO_LONGER_THERE:
        return f"{about(label, portfolio, scope)}: there is none any more in this session; at worst it was {worst}."
    why = f" ({reason})" if reason else ""
    return f"{about(label, portfolio, scope)} cannot be measured in this session{why}; the alert stays as it was, at worst {worst}."


def good_side(comparison: str, limit: str) -> str:
    """Return where a value does not meet a limit: 'below 6.0 %'."""
    return f"{_GOOD_SIDE[comparison]} {limit}"


def back_inside_sentence(label: str, portfolio: str, scope: str, observed: str, limit: str, until: str) -> str:
    """Say that a value is back inside its limit and that hysteresis alone keeps its alert."""
    return f"{about(label, portfolio, scope)} is {observed}, back inside its limit ({limit}); the alert is held until it {until}."


def beside_sentence(label: str, portfolio: str, scope: str, observed: str, until: str) -> str:
    """Say that a value is still beyond its limit, but no longer in the company that its rule asks for."""
    said = f"{about(label, portfolio, scope)} is {observed}, but what the rule asks for beside it no longer holds"
    return f"{said}; the alert is held until it {until}."


def eased_sentence(limit: str, until: str) -> str:
    """Say that a value is back inside the critical limit, where hysteresis alone keeps its severity."""
    return f"It is back inside its critical limit ({limit}), and stays critical until it {until}."


def calm_for(good: str, sessions: int) -> str:
    """Return what ends an alert: 'is below 3.0 %' for one session, 'has been below 3.0 % for 2 sessions' for several."""
    return f"is {good}" if sessions == 1 else f"has been {good} for {sessions} sessions"


def resolved_sentence(label: str, portfolio: str, scope: str, observed: str | None, worst: str, sessions: int) -> str:
    """Say that an alert ended."""
    now = f"is back at {observed}" if observed is not None else "is no longer there"
    return f"{about(label, portfolio, scope)} {now}; the alert ended after {sessions} sessions, at worst {worst}."


def previous_sentence(first: date, last: date, sessions: int, severity: str, worst: str) -> str:
    """Say when the same alert fired before."""
    return f"{severity} from {first.isoformat()} to {last.isoformat()}, {sessions} sessions, at worst {worst}"


def trend(change: float | None, threshold: float, upward: bool) -> str:
    """Say whether a change is for the better: within one hundredth of the threshold it is steady; empty where it is not known."""
    if change is None or not math.isfinite(change):
        return ""
    noise = abs(threshold) * 0.01
    if abs(change) <= noise + 1e-12:
        return "steady"
    return "worse" if (change > 0.0) == upward else "better"
