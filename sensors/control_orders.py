"""What operators order the control plane from the Launchpad: mode, flattening, limits, releases. Each with a name, a reason and an end."""

import dagster as dg
from pydantic import Field

from resources.platform import Platform
from sensors.operator_jobs import BY

PORTFOLIO = Field(description="Which portfolio.", min_length=1)
REASON = Field(description="Why; it stays in the log.", min_length=1)
UNTIL = Field(description="The end: a time with its offset, such as 2026-03-01T18:00:00+00:00. What was before then returns.")
SIGNATURE = Field(
    "",
    description="The text that `portfolio control sign` prints for exactly this order, where the portfolio's policy asks for a signature, "
    "as it does for a live one; your name has to be that of the key.",
)


class SetMode(dg.Config):
    """Which mode a portfolio shall have until when; it stands instead of what regime and recommendations call for."""

    portfolio: str = PORTFOLIO
    mode: str = Field(description="normal, defensive or risk_off.")
    until: str = UNTIL
    by: str = BY
    reason: str = REASON
    signature: str = SIGNATURE


class FlattenOnly(dg.Config):
    """Which portfolio may only reduce until when. The control plane itself trades nothing."""

    portfolio: str = PORTFOLIO
    until: str = UNTIL
    by: str = BY
    reason: str = REASON
    signature: str = SIGNATURE


class OverrideLimit(dg.Config):
    """Which limit shall be another one until when, wider or narrower than the policy's."""

    portfolio: str = PORTFOLIO
    rule: str = Field(description="heat, symbol, cohort, sector, template, playbook, bucket, positions or new_positions.")
    limit: str = Field(description="An amount of the currency (50000), a share of equity (4%), or a count.")
    scope: str = Field("", description="One group, such as a symbol; empty: all of them.")
    exposure: bool = Field(False, description="Whether the limit is on gross exposure, not on risk.")
    until: str = UNTIL
    by: str = BY
    reason: str = REASON
    signature: str = SIGNATURE


class Release(dg.Config):
    """Which order ends before its time, or whether a live portfolio is let out of risk_off."""

    portfolio: str = PORTFOLIO
    order: str = Field("", description="Which order, by the id that `portfolio control state` shows; empty: all that operators gave.")
    risk_off: bool = Field(False, description="Let a live portfolio out of the drawdown regime risk_off instead.")
    by: str = BY
    reason: str = REASON
    signature: str = SIGNATURE


@dg.op(tags={"kind": "operator"})
def order_mode(context: dg.OpExecutionContext, config: SetMode, platform: Platform) -> None:
    """Set a portfolio's mode until an end."""
    _give(context, platform, config, action="mode", until=config.until, mode=config.mode)


@dg.op(tags={"kind": "operator"})
def order_flatten_only(context: dg.OpExecutionContext, config: FlattenOnly, platform: Platform) -> None:
    """Let strategies of a portfolio only reduce, until an end."""
    _give(context, platform, config, action="flatten", until=config.until)


@dg.op(tags={"kind": "operator"})
def order_limit(context: dg.OpExecutionContext, config: OverrideLimit, platform: Platform) -> None:
    """Set one limit of a portfolio until an end."""
    basis = "exposure" if config.exposure else "risk"
    _give(
        context, platform, config, action="cap", until=config.until, rule=config.rule, scope=config.scope, basis=basis, limit=config.limit
    )


@dg.op(tags={"kind": "operator"})
def order_release(context: dg.OpExecutionContext, config: Release, platform: Platform) -> None:
    """End an order before its time, or let a live portfolio begin again on probation."""
    _give(context, platform, config, action="release_risk_off" if config.risk_off else "release", order=config.order)


def _give(context: dg.OpExecutionContext, platform: Platform, config: SetMode | FlattenOnly | OverrideLimit | Release, **said: str) -> None:
    from portfolio_platform.book.approvals import SignedApproval
    from portfolio_platform.control.orders import Wanted, give

    wanted = Wanted(portfolio=config.portfolio, reason=config.reason, **said)  # type: ignore[arg-type]
    signed = SignedApproval.from_token(config.signature) if config.signature else None
    given = give(platform.open(), wanted, by=config.by, signed=signed)
    context.log.info(f"{wanted.action} for {config.portfolio} by {config.by}: {', '.join(given.orders) or 'released'}; {given.told} told")
