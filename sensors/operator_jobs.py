"""What operators do from the Launchpad: typed forms over the book's actions. Each records the operator who is named."""

from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from resources.platform import Platform

BY = Field(description="Your name: it is recorded with what you do.", min_length=1)


class Acknowledge(dg.Config):
    """Which alert has been seen, and by whom."""

    alert_id: str = Field(description="Id of the alert; the asset `alerts` lists them.")
    by: str = BY
    note: str = Field("", description="What you found or will do.")


class Silence(dg.Config):
    """What shall be quiet until when. An empty portfolio or rule means every one."""

    until: str = Field(description="End of the silence: a day, or a time with its offset.")
    by: str = BY
    reason: str = Field(description="Why; whoever wonders at the quiet reads it.", min_length=1)
    portfolio: str = Field("", description="Portfolio; empty: all.")
    rule: str = Field("", description="Rule; empty: all.")


class Resolve(dg.Config):
    """Which alert is over by an operator's word."""

    alert_id: str = Field(description="Id of the alert.")
    by: str = BY
    reason: str = Field(description="Why it is over.", min_length=1)


class Decide(dg.Config):
    """Which recommendation is decided on."""

    recommendation_id: str = Field(description="Id of the recommendation; the asset `recommendations` lists them.")
    content_hash: str = Field("", description="The hash of what you read; another content is refused. A signature says it.")
    by: str = BY
    reason: str = Field("", description="Why. A signature says it.")
    signature: str = Field(
        "",
        description="The text that `portfolio recommendations sign ID --key FILE` prints, where the portfolio's policy asks for a "
        "signature; your name has to be that of the key.",
    )


class Restate(dg.Config):
    """From which day everything is computed again."""

    first_day: str = Field(description="First day to compute again, YYYY-MM-DD.")
    by: str = BY
    reason: str = Field(description="Why.", min_length=1)


@dg.op(tags={"kind": "operator"})
def acknowledge_alert(context: dg.OpExecutionContext, config: Acknowledge, platform: Platform) -> None:
    """Record that somebody has seen an alert; it is not told again until it gets worse or ends."""
    from portfolio_platform.alerts.actions import acknowledge

    context.log.info(f"{acknowledge(platform.open(), config.alert_id, by=config.by, note=config.note).id} acknowledged by {config.by}")


@dg.op(tags={"kind": "operator"})
def silence_alerts(context: dg.OpExecutionContext, config: Silence, platform: Platform) -> None:
    """Keep alerts quiet until a time."""
    from portfolio_platform.alerts.actions import silence

    until = datetime.fromisoformat(config.until)
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    made = silence(platform.open(), portfolio=config.portfolio, rule=config.rule, until=until, by=config.by, reason=config.reason)
    context.log.info(f"silence {made.id} until {config.until} by {config.by}")


@dg.op(tags={"kind": "operator"})
def resolve_alert(context: dg.OpExecutionContext, config: Resolve, platform: Platform) -> None:
    """End an alert by hand."""
    from portfolio_platform.alerts.actions import resolve

    context.log.info(f"{resolve(platform.open(), config.alert_id, by=config.by, reason=config.reason).id} resolved by {config.by}")


@dg.op(tags={"kind": "operator"})
def approve_recommendation(context: dg.OpExecutionContext, config: Decide, platform: Platform) -> None:
    """Approve a recommendation."""
    from portfolio_platform.control.operators import terms_version
    from portfolio_platform.monitor.lifecycle import approve

    one = approve(platform.open(), config.recommendation_id, **_word(config), terms_version=terms_version)
    left = "" if one.state == "approved" else "; another operator has to approve it too"
    context.log.info(f"{config.recommendation_id} approved by {config.by}{left}")


@dg.op(tags={"kind": "operator"})
def reject_recommendation(context: dg.OpExecutionContext, config: Decide, platform: Platform) -> None:
    """Reject a recommendation."""
    from portfolio_platform.control.operators import terms_version
    from portfolio_platform.monitor.lifecycle import reject

    reject(platform.open(), config.recommendation_id, **_word(config), terms_version=terms_version)
    context.log.info(f"{config.recommendation_id} rejected by {config.by}")


def _word(config: Decide) -> dict[str, Any]:
    """Return who decides, why, on what and with which signature."""
    from portfolio_platform.book.approvals import SignedApproval

    signed = SignedApproval.from_token(config.signature) if config.signature else None
    return {"by": config.by, "reason": config.reason, "expected_hash": config.content_hash, "signed": signed}


@dg.op(tags={"kind": "operator"})
def restate_tables(context: dg.OpExecutionContext, config: Restate, platform: Platform) -> None:
    """Compute every table again from a day on; reports that change become stale and wait for their backfill."""
    from portfolio_platform.alerts.actions import annotate
    from portfolio_platform.build import build_all
    from portfolio_platform.monitor.pipeline.staleness import stale_days

    home, first = platform.open(), date.fromisoformat(config.first_day)
    for name, built in build_all(home, restate_from=first, report=context.log.info).items():
        context.log.info(f"{name}: {built.sentence}")
    annotate(home, f"restatement:{first}", by=config.by, text=config.reason)
    context.log.info(f"{len(stale_days(home))} days have stale reports; the sensor restated_reports offers their backfill")


def build_operator_jobs() -> list[dg.JobDefinition]:
    """Return one job for each action, to be launched with its form."""
    from sensors import control_orders

    ops = {
        "acknowledge": acknowledge_alert,
        "silence": silence_alerts,
        "resolve": resolve_alert,
        "approve": approve_recommendation,
        "reject": reject_recommendation,
        "restate": restate_tables,
        "set_mode": control_orders.order_mode,
        "flatten_only": control_orders.order_flatten_only,
        "override_limit": control_orders.order_limit,
        "release": control_orders.order_release,
    }
    return [_job(name, op) for name, op in ops.items()]


def _job(name: str, op: dg.OpDefinition) -> dg.JobDefinition:
    @dg.job(name=name, description=f"{op.description} Launch it with the form in the Launchpad; it records who you say you are.")
    def operator_job() -> None:
        op()

    return operator_job
