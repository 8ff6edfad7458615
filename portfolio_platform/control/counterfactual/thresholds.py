"""Policies that differ from one in a few thresholds: what a calibration tries. Pure."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, NamedTuple

from portfolio_platform.errors import WrongUse
from portfolio_platform.policy.model import Policy

ALONE = (0.5, 0.75, 1.5, 2.0)
"""What each threshold is multiplied by, one at a time."""
TOGETHER = (0.5, 1.0, 1.5)
"""What those of the grid are multiplied by."""
SWEPT = (
    "heat.cap",
    "control.symbol_risk",
    "control.cohort_risk",
    "control.template_risk",
    "control.positions",
    "control.new_positions",
    "drawdown.regime.defensive_size",
)
GRID = ("heat.cap", "control.symbol_risk", "drawdown.regime.defensive_size")
AS_IT_IS = "as it is"


class Change(NamedTuple):
    """A threshold of the policy by its key, and another value for it."""

    key: str
    value: float | int


class Candidate(NamedTuple):
    """A policy that a calibration tries: its changes, none for the policy as it is."""

    name: str
    changes: tuple[Change, ...]
    policy: Policy


def value_of(policy: Policy, key: str) -> float | int | None:
    """Return the value of a threshold; None where the policy does not set it. Raises `WrongUse` where there is no such key."""
    found: Any = policy
    for part in key.split("."):
        if not hasattr(found, part):
            raise WrongUse(f"a policy has no key {key!r}; `portfolio policy show` lists them")
        found = getattr(found, part)
    if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float))):
        raise WrongUse(f"{key} is no number ({found!r}), so it cannot be swept")
    return found


def changed(policy: Policy, changes: Iterable[Change]) -> Policy:
    """Return the policy with other values, checked like one from a file."""
    content = policy.model_dump(mode="json")
    for key, value in changes:
        *sections, name = key.split(".")
        inside = content
        for section in sections:
            inside = inside[section]
        inside[name] = value
    return Policy.model_validate(content)


def candidates(policy: Policy, swept: Sequence[str] = SWEPT, grid: Sequence[str] = GRID) -> tuple[Candidate, ...]:
    """Return what is tried: the policy as it is, each threshold alone at `ALONE`, and those of the grid together at `TOGETHER`.

    A threshold that the policy does not set is left out; of equal policies the one with the fewest changes stays.
    """
    tried: list[tuple[Change, ...]] = [()]
    for key in swept:
        tried += [(change,) for share in ALONE if (change := _times(policy, key, share)) is not None]
    known = [key for key in grid if value_of(policy, key) is not None]
    for shares in product(TOGETHER, repeat=len(known)):
        tried.append(tuple(change for key, share in zip(known, shares, strict=True) if (change := _times(policy, key, share)) is not None))
    unique = sorted(dict.fromkeys(tried), key=len)
    return tuple(Candidate(_name(changes), changes, changed(policy, changes) if changes else policy) for changes in unique)


def _times(policy: Policy, key: str, share: float) -> Change | None:
    """Return a threshold times a share; None where the policy does not set it, or it stays what it is."""
    value = value_of(policy, key)
    if value is None:
        return None
    scaled: float | int = max(1, round(value * share)) if isinstance(value, int) else round(value * share, 6)
    if key.endswith(("_size", "_risk")):
        scaled = min(1.0, scaled)
    return None if scaled == value else Change(key, scaled)


def _name(changes: Sequence[Change]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in changes) or AS_IT_IS


def without_limits(policy: Policy) -> Policy:
    """Return a policy that grants everything in full: what was recorded, told by the control plane's own rules."""
    caps = {f"{name}_{basis}": None for name in ("symbol", "cohort", "sector") for basis in ("risk", "exposure")}
    caps |= dict.fromkeys(("template_risk", "playbook_risk", "bucket_risk", "bucket_exposure"))
    ages = dict.fromkeys(("intent_minutes", "facts_minutes"), 1e7)
    regime = {"defensive_drawdown": 1.0, "risk_off_drawdown": 1.0, "risk_off_z_drawdown": 1.0, "defensive_z": 1e9, "risk_off_z": 1e9}
    content = policy.model_dump(mode="json")
    content["heat"]["cap"] = 1e6
    content["control"] |= {**caps, **ages, "positions": 10**9, "new_positions": 10**9, "minimum_ticket": 0.0}
    content["drawdown"]["regime"] |= {**regime, "defensive_size": 1.0, "probation_size": 1.0, "risk_off_size": 1.0}
    return Policy.model_validate(content)
