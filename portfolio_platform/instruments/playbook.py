"""What a playbook is: when a thesis is armed, what opens the position, how it is left before it opens, and what is expected of it.

A playbook is a TOML file; `playbook_loading` reads it, `planning` makes a `Plan` of it. Ratios and multiples are decimals as people write
them, shares that end in ``_pct`` are per cent; a plan has both in parts per million. Text of every rule that a file can break stands here.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.instruments.model import TEMPLATES, Direction, ExitRule, Timeframe

MILLION = 1_000_000
ALL = "all"
"""The regime of an expectation that holds over all regimes."""
TIMEFRAMES: tuple[Timeframe, ...] = ("1h", "4h", "1d", "1w")
"""Ascending."""
RELATIONS: tuple[Literal["below", "above", "at_most", "at_least"], ...] = ("below", "above", "at_most", "at_least")
Relation = Literal["below", "above", "at_most", "at_least"]


def _written(value: Any) -> Any:
    if isinstance(value, (float, bool)):
        raise ValueError(f"{value!r} is no exact number; write a decimal such as 1.5")
    return value


def _short(most: int) -> AfterValidator:
    def check(value: Decimal) -> Decimal:
        if not value.is_finite() or value != round(value, most):
            raise ValueError(f"{value} has more than {most} decimals; round it")
        return Decimal(f"{value.normalize():f}") if value else Decimal(0)

    return AfterValidator(check)


_EXACTLY = BeforeValidator(_written)
Ratio = Annotated[Decimal, _EXACTLY, Field(ge=-1000, le=1000), _short(6)]
"""A number held against a feature."""
Multiple = Annotated[Decimal, _EXACTLY, Field(gt=0, le=100), _short(6)]
Percent = Annotated[Decimal, _EXACTLY, Field(ge=0, le=100), _short(4)]
R = Annotated[Decimal, _EXACTLY, Field(ge=-100, le=100), _short(6)]
"""A result in units of the risk at entry."""
Bars = Annotated[int, Field(ge=1, le=100_000, strict=True)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]


def ppm(value: Decimal, per: int = MILLION) -> int:
    """Return a decimal as whole parts per million, exactly; ``per`` is 10,000 where the decimal is per cent."""
    return int(value * per)


class Part(BaseModel):
    """A table of a playbook: immutable, and a key that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Requirement(Part):
    """A feature held against a number: exactly one of the four relations."""

    feature: str = Field(description="a name of `portfolio_platform.instruments.features.FEATURES`")
    below: Ratio | None = None
    above: Ratio | None = None
    at_most: Ratio | None = None
    at_least: Ratio | None = None

    @model_validator(mode="after")
    def _one_relation(self) -> "Requirement":
        said = [relation for relation in RELATIONS if getattr(self, relation) is not None]
        if len(said) != 1:
            raise ValueError(
                f"{' and '.join(said) or 'nothing'} is said of {self.feature}, and a condition has exactly one of "
                f"{', '.join(RELATIONS)}; for a band write two conditions"
            )
        return self

    @property
    def relation(self) -> Relation:
        """Return the relation that the feature must have to `value`."""
        return next(relation for relation in RELATIONS if getattr(self, relation) is not None)

    @property
    def value(self) -> Decimal:
        """Return the number."""
        found = getattr(self, self.relation)
        assert isinstance(found, Decimal)
        return found


class Stage(Part):
    """Conditions of one timeframe, by direction."""

    timeframe: Timeframe = Field(description="at whose closes the conditions are looked at")
    long: tuple[Requirement, ...] = ()
    short: tuple[Requirement, ...] = ()

    def of(self, direction: Direction) -> tuple[Requirement, ...]:
        """Return the conditions of a direction."""
        return self.long if direction == "long" else self.short


class Activation(Stage):
    """What opens the position once the thesis is armed; all conditions must hold at a close of the execution timeframe."""

    timeout_bars: Bars = Field(description="execution bars after which an armed thesis has timed out")


class Exit(Part):
    """A stop, target or trail."""

    kind: Literal["atr", "range", "r", "mean", "none"] = Field(
        description="atr: a multiple of the average true range; range: beyond the extreme of the last bars, a multiple of the range as "
        "margin; r: a multiple of the risk to the stop; mean: the mean of the last bars; none"
    )
    multiple: Annotated[Decimal, _EXACTLY, Field(ge=0, le=100), _short(6)] = Decimal(0)
    bars: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0

    @model_validator(mode="after")
    def _whole(self) -> "Exit":
        if self.kind in ("atr", "r") and not self.multiple:
            raise ValueError(f"kind {self.kind} has multiple {self.multiple}, and it must be above 0; write multiple = 2.0")
        if self.kind in ("atr", "range", "mean") and not self.bars:
            raise ValueError(f"kind {self.kind} has bars {self.bars}, and it must be at least 1; write bars = 20")
        return self

    def rule(self) -> ExitRule:
        """Return the rule of a plan."""
        return ExitRule(self.kind, ppm(self.multiple), self.bars)


NO_EXIT = Exit(kind="none")


class TimeExit(Part):
    """When a position is closed whatever it is worth."""

    bars: Bars = Field(description="execution bars that a position is held at most")


class Risk(Part):
    """What a trade may cost, what it must promise, and the rest after it."""

    share_pct: Annotated[Decimal, _EXACTLY, Field(gt=0, le=5), _short(4)] = Field(
        description="share of equity that a trade of full size loses at its stop, per cent"
    )
    minimum_r: Multiple = Field(description="least structural reward for a unit of risk: below it the right outcome is no trade")
    cooldown_bars: Annotated[int, Field(ge=0, le=1000, strict=True)] = Field(description="execution bars after a trade or a timeout")


class Holding(Part):
    """How long a position is expected to be held, in execution bars."""

    p50: Bars
    p90: Bars

    @model_validator(mode="after")
    def _in_order(self) -> "Holding":
        if self.p90 < self.p50:
            raise ValueError(f"p90 {self.p90} is below p50 {self.p50}; swap them")
        return self


class Statistic(Part):
    """What the playbook did in a regime, over so many trades."""

    regime: str = Field(description="a regime label, or `all`")
    n: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] = Field(description="closed trades that the figures rest on")
    win_rate_pct: Percent = Field(description="trades that ended above 0 R, per cent")
    mean_r: R = Field(description="mean result in R")
    sd_r: Annotated[Decimal, _EXACTLY, Field(ge=0, le=100), _short(6)] = Field(
        Decimal(0), description="standard deviation of the results in R, with n - 1; 0 where it is not known"
    )
    hold_p50: Bars = Field(description="median of the bars held")
    hold_p90: Bars = Field(description="90th percentile of the bars held")
    mae_p50: Annotated[Decimal, _EXACTLY, Field(ge=0, le=100), _short(6)] = Field(Decimal(0), description="median adverse excursion, R")
    mfe_p50: Annotated[Decimal, _EXACTLY, Field(ge=0, le=100), _short(6)] = Field(Decimal(0), description="median favourable excursion, R")

    @model_validator(mode="after")
    def _in_order(self) -> "Statistic":
        if self.hold_p90 < self.hold_p50:
            raise ValueError(f"hold_p90 {self.hold_p90} is below hold_p50 {self.hold_p50}; swap them")
        return self


ENTRY = ("directions", "thesis", "activation", "stop", "target", "time_exit", "risk", "holding")
"""What a playbook that trades must say, and one that does not trade must not."""


class Playbook(Part):
    """A playbook."""

    name: Name = Field(description="unique; its file has the same name")
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")] = Field(description="such as 1 or 1.2; count up when it changes")
    template: str = Field(description="the screener's word for the setup")
    summary: Annotated[str, Field(min_length=10, max_length=400)] = Field(description="what it does, in a sentence")
    source: str = Field("", description="where its rules are from")
    trades: bool = Field(True, description="false for a playbook that says: wait")
    execution: Timeframe = Field("1d", description="timeframe of activation, stop, target and time exit")
    regimes: tuple[str, ...] = Field((), description="regime labels in which a thesis may be armed; empty for all")
    directions: tuple[Direction, ...] = ()
    thesis: Stage | None = None
    activation: Activation | None = None
    invalidation: Stage | None = Field(None, description="what ends an armed thesis; any one condition does")
    stop: Exit | None = None
    target: Exit | None = None
    trail: Exit = NO_EXIT
    time_exit: TimeExit | None = None
    risk: Risk | None = None
    holding: Holding | None = None
    expectations: tuple[Statistic, ...] = ()

    @field_validator("template")
    @classmethod
    def _known_template(cls, value: str) -> str:
        if value not in TEMPLATES:
            raise ValueError(f"{value!r} is no template; the templates are {', '.join(TEMPLATES)}")
        return value

    @field_validator("regimes", "directions")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _once(value)
        return value

    @field_validator("expectations")
    @classmethod
    def _regimes_once(cls, value: tuple[Statistic, ...]) -> tuple[Statistic, ...]:
        _once([item.regime for item in value])
        return value

    @model_validator(mode="after")
    def _entry_and_exit_together(self) -> "Playbook":
        if not self.trades:
            said = [name for name in (*ENTRY, "invalidation", "expectations") if getattr(self, name)]
            if said or self.trail.kind != "none":
                raise ValueError(f"trades is false, and {', '.join(said or ['trail'])} is said; take it out, or write trades = true")
            return self
        missing = [name for name in ENTRY if not getattr(self, name)]
        if missing:
            raise ValueError(f"{', '.join(missing)} is missing: every entry has its exit contract; add it, or write trades = false")
        self._check_stages()
        self._check_exits()
        return self

    def _check_stages(self) -> None:
        assert self.thesis and self.activation and self.stop and self.target and self.time_exit and self.holding
        order = TIMEFRAMES.index
        if order(self.thesis.timeframe) < order(self.execution):
            raise ValueError(
                f"thesis.timeframe {self.thesis.timeframe} is below the execution timeframe {self.execution}; "
                f"write {self.execution} or a higher one"
            )
        if self.activation.timeframe != self.execution:
            raise ValueError(
                f"activation.timeframe {self.activation.timeframe} is not the execution timeframe; write timeframe = {self.execution!r}"
            )
        if self.invalidation and order(self.invalidation.timeframe) < order(self.execution):
            raise ValueError(
                f"invalidation.timeframe {self.invalidation.timeframe} is below the execution timeframe {self.execution}; "
                f"write {self.execution} or a higher one"
            )
        for stage in ("thesis", "activation", "invalidation"):
            self._check_directions(stage)

    def _check_directions(self, name: str) -> None:
        stage: Stage | None = getattr(self, name)
        if stage is None:
            return
        for direction in ("long", "short"):
            said, wanted = bool(getattr(stage, direction)), direction in self.directions
            if said and not wanted:
                raise ValueError(f"{name}.{direction} is said, and directions is {list(self.directions)}; add {direction!r} or take it out")
            if wanted and not said and name != "invalidation":
                raise ValueError(f"{name}.{direction} has no condition, and {direction!r} is in directions; write at least one")

    def _check_exits(self) -> None:
        assert self.stop and self.target and self.time_exit and self.risk and self.holding
        if self.stop.kind not in ("atr", "range"):
            raise ValueError(f"stop.kind is {self.stop.kind!r}, and a stop is found by atr or range; write kind = 'atr'")
        reward = self._least_reward()
        if reward is not None and reward < self.risk.minimum_r:
            worth = f"{reward.normalize():f}"
            raise ValueError(
                f"target.multiple {self.target.multiple} is worth {worth} R, below risk.minimum_r {self.risk.minimum_r}, so that no trade "
                f"would ever pass; raise the target or lower the minimum"
            )
        if self.holding.p90 > self.time_exit.bars:
            raise ValueError(
                f"holding.p90 {self.holding.p90} is beyond time_exit.bars {self.time_exit.bars}, which no position outlives; lower it"
            )

    def _least_reward(self) -> Decimal | None:
        """Return what the target is worth in R where that is known before any price is, else None."""
        assert self.stop and self.target
        if self.target.kind == "r":
            return self.target.multiple
        if self.target.kind == self.stop.kind == "atr" and self.target.bars == self.stop.bars:
            return self.target.multiple / self.stop.multiple
        return None

    @property
    def hold_p90(self) -> int:
        """Return the holding time that nine of ten trades are expected to keep within; 0 where it does not trade."""
        return self.holding.p90 if self.holding else 0

    def statistic(self, regime: str) -> Statistic | None:
        """Return the statistic of a regime label, or of `ALL`."""
        return next((item for item in self.expectations if item.regime == regime), None)

    def canonical(self) -> bytes:
        """Return the canonical bytes: equal for equal content, whatever the file looked like."""
        return canonical_bytes(self.model_dump(mode="python"), floats=False)

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())


def _once(values: Sequence[str]) -> None:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{value!r} is there twice; take one out")
