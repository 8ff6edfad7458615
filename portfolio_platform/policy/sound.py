"""What a policy says that can be meant, and what cannot: values that are each allowed and make no sense beside each other. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from portfolio_platform.policy.alerts import Rule
from portfolio_platform.policy.model import Policy


@dataclass(frozen=True)
class Doubt:
    """Something that can hardly be meant: the key, what is odd about it, and what to do."""

    key: str
    said: str
    remedy: str


ORDERED = (
    ("drawdown.regime.recovered_drawdown", "drawdown.regime.defensive_drawdown", "a portfolio would be defensive and recovered at once"),
    ("drawdown.regime.defensive_drawdown", "drawdown.regime.risk_off_drawdown", "the regime would be risk_off before it is defensive"),
    ("drawdown.regime.defensive_z", "drawdown.regime.risk_off_z", "the regime would be risk_off before it is defensive"),
    ("drawdown.regime.risk_off_size", "drawdown.regime.probation_size", "a portfolio would be cut when it comes back"),
    ("drawdown.regime.probation_size", "drawdown.regime.defensive_size", "a portfolio on probation would be larger than a defensive one"),
    ("drawdown.severity_minimum", "drawdown.window", "the severity would never be known"),
    ("drawdown.cdar_minimum", "drawdown.window", "the conditional drawdown would never be known"),
    ("heat.sigma_minimum", "heat.sigma_window", "no risk could ever be imputed"),
    ("correlation.leave", "correlation.join", "symbols would leave a bucket at a correlation at which they join it"),
    ("correlation.minimum", "correlation.window", "no correlation would ever be rolling"),
    ("correlation.turbulence_minimum", "correlation.turbulence_window", "turbulence would never be known"),
    ("data_quality.cadence_minimum", "data_quality.cadence_window", "no source would ever have a cadence"),
    ("execution.median_minimum", "execution.p90_minimum", "a tail would be told before the middle"),
    ("gates.tightening_confidence", "gates.loosening_confidence", "limits would be loosened on less evidence than they are tightened on"),
    ("reflection.weekly_window", "reflection.monthly_window", "a month would be judged on less than a week"),
)
"""Pairs of keys of which the first must not be the larger, and what would come of it."""


def doubts(policy: Policy, metrics: Collection[str] = ()) -> list[Doubt]:
    """Return what can hardly be meant, by key.

    Args:
        policy: a policy that is allowed: each of its values is one.
        metrics: names of the metrics that rules may look at; where none are given, names are not looked at.
    """
    return [*_ordered(policy), *_rules(policy, metrics), *_links(policy, metrics)]


def _value(policy: Policy, key: str) -> float:
    found: object = policy
    for name in key.split("."):
        found = getattr(found, name)
    assert isinstance(found, int | float)
    return float(found)


def _ordered(policy: Policy) -> Iterator[Doubt]:
    for less, more, then in ORDERED:
        small, large = _value(policy, less), _value(policy, more)
        if small > large:
            yield Doubt(less, f"{small:g} is more than {more} = {large:g}: {then}", f"set {less} to at most {large:g}, or raise {more}")


def _rules(policy: Policy, metrics: Collection[str]) -> Iterator[Doubt]:
    for name, rule in policy.alerts.rules.items():
        key = f"alerts.rules.{name}"
        if metrics:
            for metric in (rule.metric, *(condition.metric for condition in rule.also)):
                if metric not in metrics:
                    yield Doubt(
                        f"{key}.metric", f"{metric!r} is no metric: the build stops at it", "`portfolio show sample_sufficiency` lists them"
                    )
        yield from _never_or_always(key, rule)


def _never_or_always(key: str, rule: Rule) -> Iterator[Doubt]:
    """Yield what makes two thresholds of a rule one, or a rule a nuisance."""
    if rule.warning is not None and rule.warning == rule.critical:
        yield Doubt(f"{key}.warning", f"{rule.warning:g} is its critical threshold too, so it never warns", "take one of the two out")
    if rule.leave == 1.0 and rule.comparison in (">=", "<="):
        yield Doubt(f"{key}.leave", "it is left at the threshold at which it fires, so it will come and go", "set it below 1, such as 0.9")


def _links(policy: Policy, metrics: Collection[str]) -> Iterator[Doubt]:
    """Yield names that one section has of another, and that mean nothing there."""
    rules = policy.alerts.rules
    for name, remedy in policy.recommendations.remedies.items():
        key = f"recommendations.remedies.{name}"
        if name not in rules:
            yield Doubt(key, f"{name!r} is no rule, so it never recommends anything", "name a rule of [alerts.rules], or take it out")
        elif not rules[name].enabled and remedy.enabled:
            yield Doubt(key, f"the rule {name!r} is switched off, so it never recommends anything", "switch it off too: enabled = false")
    for mode in sorted({"normal", "defensive", "probation", "risk_off"} - set(policy.recommendations.modes)):
        yield Doubt(f"recommendations.modes.{mode}", f"no mode is named for the regime {mode!r}", "name one of normal, defensive, risk_off")
    if metrics:
        for name in policy.gates.minimum:
            if name not in metrics:
                yield Doubt(f"gates.minimum.{name}", f"{name!r} is no metric, so nothing asks for it", "correct the name, or take it out")
    if not any(rule.enabled and rule.pages for rule in rules.values()):
        yield Doubt("alerts.rules", "no rule is told to people", "let the gravest page: pages = true, enabled = true")
