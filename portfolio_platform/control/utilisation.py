"""How much of every limit is used: the limits in force beside the sums that count against them. Pure.

One function says which limits there are and what they are (`Terms`); states, their views and the register of limits all ask it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from portfolio_platform.control.state import ControlState, Key
from portfolio_platform.control.terms import Terms


class Sums(NamedTuple):
    """What counts against the limits, in minor units: risk and gross exposure by rule and group; and how many positions.

    Attributes:
        risk: by rule and group; ``("heat", "")`` is the portfolio's.
        exposure: by rule and group.
        positions: how many, each a strategy's in a symbol.
        new_positions: how many of them were opened on the day.
    """

    risk: Mapping[Key, int]
    exposure: Mapping[Key, int]
    positions: int
    new_positions: int


NOTHING = Sums({}, {}, 0, 0)


class Utilised(NamedTuple):
    """A limit in force and what is used of it, in minor units or counts.

    Attributes:
        rule: such as ``heat``.
        scope: the group it binds; empty for the portfolio.
        basis: ``risk``, ``exposure`` or ``count``.
        limit: the limit.
        active: what open positions use.
        reserved: what is granted and not filled.
        source: where the limit comes from: ``policy``, or the order that changed it.
    """

    rule: str
    scope: str
    basis: str
    limit: int
    active: int
    reserved: int
    source: str

    @property
    def used(self) -> int:
        """Return what is used, active and reserved."""
        return self.active + self.reserved

    @property
    def headroom(self) -> int:
        """Return what is left, at least 0."""
        return max(0, self.limit - self.used)


def utilised(terms: Terms, active: Sums, reserved: Sums = NOTHING) -> list[Utilised]:
    """Return every limit in force with what is used of it: the portfolio's, and those of groups that hold anything or have their own.

    Args:
        terms: the limits in force.
        active: what open positions add up to.
        reserved: what is reserved adds up to.
    """
    own = {basis: {(rule, scope) for kind, rule, scope in terms.scoped if kind == basis} for basis in ("risk", "exposure")}
    rows = []
    for key in sorted({("heat", ""), *active.risk, *reserved.risk, *own["risk"]}):
        cap = terms.cap("risk", *key)
        if cap is not None:
            rows.append(Utilised(*key, "risk", cap.amount, active.risk.get(key, 0), reserved.risk.get(key, 0), cap.source))
    for key in sorted({*active.exposure, *reserved.exposure, *own["exposure"]}):
        cap = terms.cap("exposure", *key)
        if cap is not None:
            rows.append(Utilised(*key, "exposure", cap.amount, active.exposure.get(key, 0), reserved.exposure.get(key, 0), cap.source))
    for rule in ("positions", "new_positions"):
        cap = terms.caps.get(("count", rule))
        if cap is not None:
            rows.append(Utilised(rule, "", "count", cap.amount, getattr(active, rule), getattr(reserved, rule), cap.source))
    return rows


def summed_up(state: ControlState, opened: int = 0, waiting: int = 0) -> tuple[Sums, Sums]:
    """Return what the positions of a state add up to, and what its reservations do, by the groups that its rules use.

    Args:
        state: whose positions, reservations, instruments and buckets count; its own sums are not looked at.
        opened: how many positions fills opened on the day.
        waiting: how many of the day's grants open one and have nothing filled yet.
    """
    held = [
        (state.groups(symbol, one.template, one.playbook, one.bucket), one.risk, one.exposure)
        for (_, symbol), one in state.positions.items()
    ]
    wanted = [
        (state.groups(one.symbol, one.template, one.playbook, one.bucket), one.remaining, one.exposure)
        for one in state.reservations.values()
    ]
    keys = {(one.strategy, one.symbol) for one in state.reservations.values()}.difference(state.positions)
    return _sums(held, len(state.positions), opened), _sums(wanted, len(keys), waiting)


def _sums(items: Iterable[tuple[tuple[Key, ...], int, int]], positions: int, new: int) -> Sums:
    risks: dict[Key, int] = {}
    exposures: dict[Key, int] = {}
    for keys, risk, exposure in items:
        for key in keys:
            if risk:
                risks[key] = risks.get(key, 0) + risk
            if exposure:
                exposures[key] = exposures.get(key, 0) + exposure
    return Sums(risks, exposures, positions, new)
