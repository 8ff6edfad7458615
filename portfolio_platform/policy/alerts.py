"""The policy of alerts, recommendations and reflection: rules are data."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from portfolio_platform.policy.diagnostics import Count, Fraction, Positive, Section

Comparison = Literal[">=", "<=", ">", "<"]
Severity = Literal["info", "warning", "critical"]
Mode = Literal["normal", "defensive", "risk_off"]
CapKind = Literal[
    "heat",
    "symbol",
    "cohort",
    "sector",
    "template",
    "playbook",
    "bucket",
    "position_count",
    "new_positions",
    "force_flatten_only",
]
Direction = Literal["tighten", "loosen"]


def _at_most_one(share: float) -> float:
    """Return a leaving share as a fraction: 1.25 times the threshold of a rule with <= is the fraction 0.8."""
    return 1.0 / share if share > 1.0 else share


LeavingShare = Annotated[float, Field(gt=0.0), AfterValidator(_at_most_one)]


class Condition(Section):
    """What must hold beside a rule's own threshold: another metric of the same scope, or of the portfolio where it has no scope."""

    metric: str
    comparison: Comparison = ">="
    value: float


class Rule(Section):
    """A rule: a metric, its thresholds, and the words that an operator reads.

    ``sentence`` and ``action`` may name ``{portfolio}``, ``{scope}``, ``{observed}``, ``{threshold}``, ``{lookback}``
    and ``{symbols}``. It begins, and becomes graver, where a threshold is met for ``enter_sessions``, and leaves at ``leave``
    times the threshold (away from the bad side) for ``leave_sessions``.
    """

    metric: str
    comparison: Comparison = ">="
    warning: float | None = None
    critical: float | None = None
    also: tuple[Condition, ...] = ()
    enter_sessions: Annotated[int, Field(ge=1, le=2)] = Field(1, description="sessions in a row in which a threshold is met first: 1 or 2")
    leave: LeavingShare = Field(0.9, description="share of the threshold at which it is left; rules with <= are left at threshold / leave")
    leave_sessions: Count = 2
    cool_down: Annotated[int, Field(ge=0)] = Field(1, description="sessions after its end before it may begin again")
    cause: str = Field("", description="rules of one cause are told in one message")
    lookback: str
    pages: bool = Field(True, description="whether its alerts are told to people; else they are for reports and recommendations only")
    starts_run: bool = Field(False, description="whether a breach asks for a monitor run of the portfolio")
    enabled: bool = True
    sentence: str
    action: str

    @model_validator(mode="after")
    def _has_threshold(self) -> "Rule":
        if self.warning is None and self.critical is None:
            raise ValueError("a rule wants a threshold: warning, critical or both")
        if self.warning is not None and self.critical is not None:
            worse = self.critical >= self.warning if self.comparison.startswith(">") else self.critical <= self.warning
            if not worse:
                raise ValueError("critical lies on the good side of warning; swap them")
        return self

    @field_validator("sentence", "action")
    @classmethod
    def _known_words(cls, text: str) -> str:
        try:
            text.format(**dict.fromkeys(("portfolio", "scope", "observed", "threshold", "lookback", "symbols"), ""))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"{error} cannot be filled in; use {{portfolio}}, {{scope}}, {{observed}}, {{threshold}}, {{lookback}}, {{symbols}}"
            ) from error
        return text


class AlertPolicy(Section):
    """The rules by id, and how their notices are sent."""

    repeat_sessions: Count = Field(5, description="sessions after which a firing alert that nobody acknowledged is told again")
    escalate_sessions: Count = Field(3, description="sessions after which an unacknowledged warning is told as critical")
    inhibit: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="rules (at critical) that make other rules of the portfolio silent"
    )
    run_cool_down_minutes: Positive = Field(60.0, description="least time between two runs that one rule of a portfolio asks for")
    quiet_hours: Positive = Field(26.0, description="hours without a finished monitor run after which the heartbeat speaks")
    rules: dict[str, Rule] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _over_the_shipped_rules(cls, given: Any) -> Any:
        """Lay what a policy says over the shipped rules, rule by rule and key by key."""
        if not isinstance(given, dict):
            return given
        from portfolio_platform.policy.shipped import shipped_alerts

        shipped = shipped_alerts()
        rules = {name: dict(rule) for name, rule in shipped.get("rules", {}).items()}
        for name, rule in (given.get("rules") or {}).items():
            rules[name] = {**rules.get(name, {}), **(rule if isinstance(rule, dict) else rule.model_dump())}
        return {**shipped, **given, "rules": rules}

    @model_validator(mode="after")
    def _silence_has_a_voice(self) -> "AlertPolicy":
        """Every rule in ``inhibit`` is one, and none makes itself silent, alone or in a ring: nobody would be told."""
        for name in {*self.inhibit, *(other for others in self.inhibit.values() for other in others)}:
            if name not in self.rules:
                raise ValueError(f"inhibit names {name!r}, which is no rule")
        for name in self.inhibit:
            seen, ahead = set[str](), list(self.inhibit[name])
            while ahead:
                other = ahead.pop()
                if other == name:
                    raise ValueError(f"inhibit makes {name!r} silent by itself; break the ring")
                if other not in seen:
                    seen.add(other)
                    ahead += self.inhibit.get(other, ())
        return self


class Remedy(Section):
    """What a firing alert of a rule recommends: which cap to change, from which severity on, and by which part of it.

    A cap that groups share (symbol, cohort, sector, template, playbook) is changed for the alert's scope alone; the others
    are the portfolio's. What loosens needs the skill gate and room on every other limit.
    """

    kind: CapKind
    at: Severity = "critical"
    direction: Direction = "tighten"
    cap: float | None = Field(None, description="the cap that it starts from; none: the limit that the policy has for the kind")
    step: Fraction | None = Field(None, description="part of the cap that one step is; none: heat_step or cap_step")
    enabled: bool = True


RETIRED = frozenset({"confidence", "max_positions", "new_positions"})
"""Keys that nothing reads any more: files and archived policies that still have them are read without them."""


class RecommendationPolicy(Section):
    """When a recommendation is made, and for how long it holds. Days ahead are counted on the days on which the portfolio has sessions."""

    valid_sessions: Count = Field(5, description="sessions that a recommendation holds, that of its issue not counted")
    review_sessions: Count = Field(3, description="sessions after which it is to be looked at")
    heat_step: Fraction = Field(0.25, description="part of the heat cap that a step is")
    cap_step: Fraction = Field(0.20, description="part of any other cap that a step is")
    minimum_mode_sessions: Count = Field(5, description="sessions after an issue before it may ease: a milder mode, a wider cap")
    modes: dict[str, Mode] = Field(default_factory=dict, description="the mode that each drawdown regime calls for")
    remedies: dict[str, Remedy] = Field(default_factory=dict, description="by rule, what its alert recommends")

    @model_validator(mode="before")
    @classmethod
    def _over_the_shipped_remedies(cls, given: Any) -> Any:
        """Lay what a policy says over the shipped modes and remedies, key by key."""
        if not isinstance(given, dict):
            return given
        from portfolio_platform.policy.shipped import shipped

        base = shipped().get("recommendations", {})
        given = {name: value for name, value in given.items() if name not in RETIRED}
        remedies = {name: dict(remedy) for name, remedy in base.get("remedies", {}).items()}
        for name, remedy in (given.get("remedies") or {}).items():
            remedies[name] = {**remedies.get(name, {}), **(remedy if isinstance(remedy, dict) else remedy.model_dump())}
        modes = {**base.get("modes", {}), **(given.get("modes") or {})}
        return {**base, **given, "modes": modes, "remedies": remedies}


class ReflectionPolicy(Section):
    """What a reflection calls structural."""

    minimum_trades: Count = 20
    false_discovery_rate: Fraction = 0.10
    alert_horizon: Count = Field(20, description="sessions in which an alert's drawdown has to come to call it right")
    alert_drawdown: Fraction = Field(0.03, description="further loss within the horizon that proves an alert right")
    weekly_window: Count = Field(60, description="sessions up to a week's end whose trades a weekly reflection judges")
    monthly_window: Count = Field(250, description="sessions up to a month's end whose trades a monthly reflection judges")
