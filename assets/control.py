"""The control plane's assets: the register of limits, what was decided, what symbols were told, and whether the log holds together.

What belongs here: what is run and what a person sees of it. Limits, rules and the log are in `portfolio_platform.control`.
"""

from typing import Any

import dagster as dg

from assets.metadata import CONSTANT, OWNERS, column_schema
from assets.stages import StageAsset, stage_assets
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from resources.platform import Platform

GROUP = "control"
BOOK = {"python", "sqlalchemy", "deltalake"}
WHY = "Ask `portfolio control why INTENT` for one of them: the intent, the state it met, every rule, the order behind a limit."
CHECKS = {
    "chain_verifies": "The hash chain of the whole log is as it was written, and so are its signed checkpoints.",
    "replay_equals": "Every decision and every envelope, worked out again from the events before it, is the one that was recorded.",
    "reservations_reconcile": "What is active and reserved is what positions, facts and the grants of the log add up to.",
}


def _use(home: Home) -> dict[str, Any]:
    from assets.control_shown import use_shown

    return use_shown(home)


DECLARED = (
    StageAsset(
        derived.LIMIT_UTILISATION,
        ("limits",),
        ("portfolio_equity", "portfolio_heat", "drawdown_state", "correlation_stacking", "allocation_decisions"),
        ("day", "portfolio", "rule", "scope", "basis", "cap", "limit", "active", "reserved", "headroom", "use", "source"),
        more=_use,
        words="A use above 1 means that nothing new is granted there; positions that were there before are not touched.",
    ),
)


@dg.asset(
    deps=["portfolio_heat", "drawdown_state", "correlation_stacking", "alerts", "recommendations"],
    group_name=GROUP,
    owners=OWNERS,
    kinds=BOOK,
    description="One cycle of the control plane, and every decision in its log. Newly imported fills and sessions come in, approved "
    "recommendations become orders, what is over on the clock ends, symbols are told, and decisions become facts. " + WHY,
    metadata={"dagster/column_schema": column_schema(derived.ALLOCATION_DECISIONS), "dagster/table_name": "allocation_decisions"},
)
def allocation_decisions(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """Run a policy cycle, and bring the tables of the log and the alerts about it up to date."""
    from assets.control_shown import cycle_shown, decisions_shown
    from portfolio_platform.alerts.cycle import policy_cycle

    home = platform.open()
    cycled = policy_cycle(home, report=context.log.debug)
    context.log.info(cycled.sentence)
    return dg.MaterializeResult(metadata=decisions_shown(home) | cycle_shown(cycled), data_version=CONSTANT)


@dg.asset(
    deps=["allocation_decisions"],
    group_name=GROUP,
    owners=OWNERS,
    kinds=BOOK,
    description="Every envelope that a symbol was issued: the limits that its workflow has to keep. The live table shows the newest "
    "of each symbol; after its end nothing new may be opened on it.",
    metadata={"dagster/column_schema": column_schema(derived.CONSTRAINT_ENVELOPES), "dagster/table_name": "constraint_envelopes"},
)
def constraint_envelopes(platform: Platform) -> dg.MaterializeResult:
    """Show what symbols have been told; the cycle has issued it."""
    from assets.control_shown import envelopes_shown
    from portfolio_platform.control.pipeline.tables import copy_log

    home = platform.open()
    copy_log(home)
    return dg.MaterializeResult(metadata=envelopes_shown(home), data_version=CONSTANT)


@dg.asset(
    deps=["allocation_decisions", "constraint_envelopes", "limit_utilisation"],
    check_specs=[dg.AssetCheckSpec(name, asset="control_audit", description=said) for name, said in CHECKS.items()],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "sqlalchemy"},
    description="The log of the control plane, audited: the chain is verified, every decision worked out again, every sum anew. Where "
    "all of it holds, its end is signed: a checkpoint shows later whether it was cut or written anew. `portfolio control verify` and "
    "`portfolio control replay` do the same from a terminal.",
    metadata={
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn("portfolio", "string", "portfolio under control"),
                dg.TableColumn("events", "int64", "events of its stream that were replayed"),
                dg.TableColumn("decisions", "int64", "decisions that were worked out again, and were equal"),
                dg.TableColumn("envelopes", "int64", "envelopes that were"),
                dg.TableColumn("active_risk", "decimal", "active risk at the end of the stream, in its currency"),
                dg.TableColumn("reserved_risk", "decimal", "reserved risk"),
            ]
        )
    },
)
def control_audit(platform: Platform) -> dg.MaterializeResult:
    """Audit the log, say what held, and sign its end where everything did."""
    from assets.control_shown import audit_shown, check_results
    from portfolio_platform.control.pipeline.auditing import audit_home

    audited = audit_home(platform.open())
    return dg.MaterializeResult(metadata=audit_shown(audited), check_results=check_results(audited))


ASSETS = [*stage_assets(GROUP, DECLARED), allocation_decisions, constraint_envelopes, control_audit]
