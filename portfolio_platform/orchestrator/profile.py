"""The policy profiles: every number of the two specifications is a field here, with the section that it comes from.

``v8.1.1`` (a person executes) is the default, ``v8.0.3`` (sequential loop, approval order) the other. The fields have no
defaults: a profile says each number itself. Percentages and points are decimals of at most four places, as the
specifications write them; `ppm` makes whole parts per million of them, which is what the steps compare with.
"""

import tomllib
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.money import minor
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.orchestrator.amounts import no_float, plain
from portfolio_platform.policy.load import fault_texts

FOLDER = Path(__file__).parent / "profiles"
DEFAULT = "v8.1.1"
PER_PERCENT = 10_000
"""Parts per million in one percent, or in one percentage point."""


def _short(value: Decimal) -> Decimal:
    if not value.is_finite() or value != round(value, 4):
        raise ValueError(f"{value} has more than four decimals")
    return plain(value)


Percent = Annotated[Decimal, BeforeValidator(no_float), Field(ge=0, le=100), AfterValidator(_short)]
Bps = Annotated[Decimal, BeforeValidator(no_float), Field(ge=0, le=10_000), AfterValidator(_short)]
Amount = Annotated[Decimal, BeforeValidator(no_float), Field(ge=0, le=10**9), AfterValidator(_short)]
Step = Annotated[Decimal, BeforeValidator(no_float), Field(gt=0, le=1), AfterValidator(plain)]
Count = Annotated[int, Field(ge=1, le=100_000)]


def ppm(percent: Decimal | int) -> int:
    """Return a percentage of at most four decimals as parts per million, exactly."""
    return int(Decimal(percent) * PER_PERCENT)


class Part(BaseModel):
    """A section of a profile: immutable, and a key that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Buffer(Part):
    """Cash as a share of the portfolio's value."""

    healthy_pct: Percent = Field(
        description="[v8.0.3 STEP 2B, 3C, 6: 0.15; v8.1.1 'Sector Allocation Limits': cash_buffer_warning 8] HEALTHY from here on"
    )
    floor_pct: Percent = Field(
        description="[v8.0.3 STEP 2B, 3C, 6: 0.12; v8.1.1 STEP 2B(2), 2.5(4): 5] MARGINAL from here on, AT_RISK below: never under it"
    )

    @model_validator(mode="after")
    def _in_order(self) -> "Buffer":
        if self.floor_pct > self.healthy_pct:
            raise ValueError(f"floor_pct {self.floor_pct} is above healthy_pct {self.healthy_pct}; swap them")
        return self


class Limits(Part):
    """What a portfolio may hold at most."""

    sector_cap_pct: Percent = Field(description="[v8.0.3 STEP 5: 0.35; v8.1.1 STEP 2B(1), 2.5(3), All_Others: 40] share of one sector")
    sector_caps: dict[str, Percent] = Field(description="[v8.1.1 'Sector Allocation Limits'] caps of sectors that have their own")
    position_pct: Percent = Field(description="[v8.1.1 STEP 2B(3), 2.5(2): 15; v8.0.3 says none, the same] share of one position")
    sector_increase_points: Percent = Field(
        description="[v8.1.1 STEP 2B(4): 50; v8.0.3 says none, the same] how far one plan may raise a sector, in percentage points"
    )

    def cap_of(self, sector: str) -> Decimal:
        """Return the cap of a sector in percent."""
        return self.sector_caps.get(sector, self.sector_cap_pct)


class Stocks(Part):
    """The criteria of a stock recommendation that are no limit of the portfolio."""

    conviction_minimum: Annotated[int, Field(ge=0, le=100)] = Field(
        description="[v8.1.1 STEP 2.5(1): 65; v8.0.3 says none, the same] least conviction score"
    )
    sector_rank_max: Count = Field(description="[v8.1.1 STEP 2.5(6): 5; v8.0.3 says none, the same] worst rank of the stock's sector")
    trigger_distance_pct: Percent = Field(
        description="[context 'Orchestrator details', freshness: 5] how far a quoted trigger price may be from the market"
    )


class Freshness(Part):
    """How old an input may be."""

    calendar: str = Field(description="[context 'Orchestrator details'; own choice of XNYS] calendar whose sessions are counted")
    portfolio_trading_days: Annotated[int, Field(ge=0)] = Field(
        description="[v8.0.3 STEP 1, 2C, Escalation #1; context: 1] trading days that a portfolio may be old; beyond: too stale"
    )
    portfolio_hours: Count = Field(description="[v8.0.3 STEP 2C: 2] hours after which a portfolio is stale within its day")
    prices_trading_days: Annotated[int, Field(ge=0)] = Field(description="[issue, step 0.5; as the portfolio's] the same for prices")
    rankings_days: Count = Field(description="[context 'Orchestrator details': 7] calendar days that sector rankings may be old")
    regime_confidence_pct: Percent = Field(
        description="[context 'Orchestrator details': 50] confidence of the regime below which the alignment check is skipped"
    )
    future_minutes: Annotated[int, Field(ge=0)] = Field(description="[own choice] how far an input may lie ahead of the clock")


class Refresh(Part):
    """Refreshing a portfolio before and between trades."""

    target_minimum_minutes: Count = Field(description="[v8.0.3 STEP 2C: 5-10 minutes] how long a quick refresh takes at best")
    timeout_minutes: Count = Field(description="[v8.0.3 STEP 2C: 10] after which a quick refresh counts as pending: go on with a caveat")
    escalate_minutes: Count = Field(description="[v8.0.3 STEP 2C: 15] delay beyond which it is escalated")
    sector_shift_points: Percent = Field(
        description="[v8.0.3 STEP 2A, Escalation #2 'significantly'; issue: 2] points by which a sector counts as shifted since approval"
    )


class TradeRules(Part):
    """How directives become trades."""

    pick_shares: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        min_length=1, description="[v8.1.1 STEP 1B; context: 50/30/20] shares of a sector's ranked picks; fewer picks share in proportion"
    )
    sell_first: Literal["highest_gain"] = Field(description="[v8.1.1 STEP 1A: highest gains first] order of holdings within a sector")
    lot_choice: Literal["highest_gain", "lowest_gain", "oldest"] = Field(
        description="[v8.1.1 STEP 1A, by analogy] order of the tax lots within a holding"
    )
    minimum_ticket: Amount = Field(description="[issue, step 1; own choice] smallest trade, in units of the currency")
    fraction_step: Step = Field(description="[issue, step 1; own choice] smallest part of a share in an account that takes fractions")
    fee_fixed: Amount = Field(description="[issue, step 2; own choice] expected fee of each trade, in units of the currency")
    fee_bps: Bps = Field(description="[issue, step 2; own choice] expected fee of each trade, by its amount")
    limit_bps: Bps = Field(description="[journeys 'A trader'; v8.0.3 STEP 4: 50] distance of a limit price from the price planned with")


class WorstCase(Part):
    """What the dry run assumes when everything goes against the plan."""

    slippage_bps: Bps = Field(description="[v8.0.3 STEP 4: 50] adverse slippage on every trade")
    fee_fixed: Amount = Field(description="[issue, step 2; own choice] fee of each trade, in units of the currency")
    fee_bps: Bps = Field(description="[issue, step 2; own choice] fee of each trade, by its amount")


class Sequence(Part):
    """The order of execution."""

    order: Literal["sells_then_buys", "approval"] = Field(
        description="[v8.1.1 STEP 4A: sells by liquidity, buys by conviction; v8.0.3 STEP 3A: approval order, no resorting]"
    )
    look_ahead: bool = Field(description="[v8.0.3 STEP 3C] whether a marginal buffer looks at the next trade, and halts before it")


class Execution(Part):
    """What is flagged of a reported or simulated execution."""

    slippage_bps: Bps = Field(description="[v8.0.3 STEP 4: 50] slippage beyond which a fill is flagged")
    partial_fill_pct: Percent = Field(description="[v8.0.3 STEP 4: 90] filled part below which a fill is flagged")
    no_fill_minutes: Count = Field(description="[v8.0.3 STEP 4: 15] time without a fill after which it is escalated")


class Escalation(Part):
    """Who is asked, and for how long."""

    routing: str = Field(description="[v8.1.1 STEP 3A; v8.0.3 'Escalation triggers': Master-Architect] who decides")
    sla_minutes: Count = Field(description="[v8.1.1 STEP 3A: 30; v8.0.3 says none, the same] time to an answer")
    request: str = Field(description="[v8.1.1 STEP 3A] what is asked where a constraint is violated")
    exceptions: tuple[
        Literal["sector_cap", "position_size", "sector_increase", "cash_buffer", "buffer_throughout", "buffer_would_breach"], ...
    ] = Field(
        description="[v8.1.1 STEP 3A 'Approve exception to sector cap'; v8.0.3 Escalations #2, #3 'proceed', 'approval with caveat'] "
        "constraints that an approved escalation may let a plan violate; a restricted name and cash below zero are never among them"
    )


class Approval(Part):
    """How long a plan and its approval hold."""

    plan_minutes: Count = Field(description="[issue 'Verdict of a plan'; the 2 hours of v8.0.3 STEP 2C] how long a plan may be executed")


class Due(Part):
    """What falls due after an execution."""

    allocation_sessions: Count = Field(description="[v8.0.3 STEP 8: daily] sessions between looks at allocations and buffer")
    rebalancing_days: Count = Field(description="[v8.0.3 STEP 8: weekly] days between reviews of the balance")
    stops_sessions: Count = Field(description="[v8.0.3 STEP 8: stop-loss and profit target tracking] sessions between looks at stops")
    thesis_months: Count = Field(description="[v8.0.3 STEP 8: quarterly] months between validations of a thesis")
    report_to: tuple[str, ...] = Field(description="[v8.0.3 STEP 8 'Route to'] who is sent the execution report")
    halted_to: tuple[str, ...] = Field(description="[v8.0.3 STEP 8 'Route to'] who is told besides where positions were halted")


class Directives(Part):
    """How a portfolio document is read."""

    weight_tolerance_points: Percent = Field(
        description="[issue, step 0; own choice] how far a stated current weight may be from the ledger's before it is a finding"
    )
    aliases: dict[str, str] = Field(description="[issue, step 0; own choice] other names of sectors, in small letters")


class Profile(Part):
    """A policy profile of the orchestrator."""

    name: str = Field(description="[v8.1.1 and v8.0.3, 'Version']")
    buffer: Buffer
    limits: Limits
    stocks: Stocks
    freshness: Freshness
    refresh: Refresh
    trades: TradeRules
    worst_case: WorstCase
    sequence: Sequence
    execution: Execution
    escalation: Escalation
    approval: Approval
    due: Due
    directives: Directives

    def canonical(self) -> bytes:
        """Return the profile's canonical bytes: equal for equal content, whatever the file looked like."""
        return canonical_bytes(self.model_dump(mode="python"), floats=False)

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())

    def minor(self, amount: Decimal, digits: int) -> int:
        """Return an amount of this profile, such as the minimum ticket, in minor units."""
        return minor(amount, digits)


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that ship, the default first."""
    names = sorted(path.stem.replace("_", ".") for path in FOLDER.glob("v*.toml"))
    return (DEFAULT, *(name for name in names if name != DEFAULT))


@cache
def shipped_profile(name: str = DEFAULT) -> Profile:
    """Return a profile that ships, by its name. Raises `WrongUse` where there is none."""
    if name not in profile_names():
        raise WrongUse(f"there is no profile {name!r}; the profiles are {', '.join(profile_names())}")
    return load_profile(FOLDER / f"{name.replace('.', '_')}.toml")


def load_profile(path: Path) -> Profile:
    """Return the profile of a TOML file. Raises `DataProblem` that names file, key, rule and remedy."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        return Profile.model_validate(content)
    except FileNotFoundError as error:
        raise DataProblem(f"profile {path.name} is not there; copy one of {', '.join(profile_names())} and change that") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataProblem(f"profile {path.name} is no TOML: {error}; mend the line, or copy a shipped profile") from error
    except ValidationError as error:
        raise DataProblem(
            f"profile {path.name}: {'; '.join(fault_texts(error))}; {DEFAULT}.toml has every key with a value that works"
        ) from error
