"""Composing a report: from one session's rows to the model, purely."""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date

from portfolio_platform.diagnostics.concentration import DIMENSIONS
from portfolio_platform.evidence.ids import ROWS, evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import QUARANTINE
from portfolio_platform.monitor.changes import changes, position_key
from portfolio_platform.monitor.figures import CONCENTRATION, COUNT, DRAWDOWN, HEADLINE, PERCENT, QUALITY, figures
from portfolio_platform.monitor.inputs import Row, SessionInputs
from portfolio_platform.monitor.report import (
    DataQuality,
    DimensionConcentration,
    Drawdown,
    Figure,
    GroupExposure,
    PolicyReference,
    PortfolioMonitorReport,
    Position,
)
from portfolio_platform.policy.model import Policy

LARGEST_POSITIONS = 15


@dataclass(frozen=True)
class SetAside:
    """Rows in quarantine by portfolio: days ascending, and how many have no day that can be read.

    Rows that name no portfolio may belong to any, and count for each.
    """

    days: dict[str | None, list[date]] = field(default_factory=dict)
    undated: dict[str | None, int] = field(default_factory=dict)

    def up_to(self, portfolio: str, day: date) -> int:
        """Return how many rows up to and including a day may be missing from a portfolio."""
        return sum(bisect_right(self.days.get(name, []), day) for name in (portfolio, None))

    def on(self, portfolio: str, day: date) -> int:
        """Return how many rows of a day may be missing from a portfolio."""
        return sum(self.days.get(name, []).count(day) for name in (portfolio, None))

    def without_day(self, portfolio: str) -> int:
        """Return how many rows of no known day may be missing from a portfolio."""
        return self.undated.get(portfolio, 0) + self.undated.get(None, 0)


def compose(inputs: SessionInputs, policy: Policy, *, mode: str, base_currency: str, aside: SetAside) -> PortfolioMonitorReport:
    """Return the report of a session."""
    equity = inputs.equity
    portfolio, day = equity["portfolio"], equity["day"]
    open_positions = sorted(inputs.positions, key=lambda row: (-abs(row["market_value_base"] or 0.0), position_key(row)))
    return PortfolioMonitorReport(
        portfolio=portfolio,
        day=day,
        previous_session=inputs.before["day"] if inputs.before else None,
        week_session=inputs.week["day"] if inputs.week else None,
        session=equity["session"],
        mode=mode,
        base_currency=base_currency,
        policy=PolicyReference(name=policy.name, version=policy.version, hash=policy.hash),
        headline=figures(HEADLINE, derived.PORTFOLIO_EQUITY, portfolio, day, equity, inputs.before, inputs.week),
        changes=changes(inputs, base_currency),
        drawdown=_drawdown(inputs, portfolio, day),
        concentration=tuple(
            _dimension(inputs, name, portfolio, day, policy.concentration.top) for name in DIMENSIONS if name in inputs.metrics
        ),
        open_positions=len(open_positions),
        positions=tuple(_position(row, portfolio, day, equity["equity"]) for row in open_positions[:LARGEST_POSITIONS]),
        data_quality=_quality(inputs, portfolio, day, aside),
    )


def _drawdown(inputs: SessionInputs, portfolio: str, day: date) -> Drawdown:
    row = inputs.drawdown
    return Drawdown(
        regime=row["regime"],
        sessions_in_regime=row["sessions_in_regime"],
        transition=row["transition"],
        figures=figures(DRAWDOWN, derived.DRAWDOWN_STATE, portfolio, day, row, inputs.drawdown_before, inputs.drawdown_week),
        reason=row["reason"],
    )


def _dimension(inputs: SessionInputs, dimension: str, portfolio: str, day: date, top: int) -> DimensionConcentration:
    row = inputs.metrics[dimension]
    basis = row["basis"]
    groups = sorted(inputs.groups.get(dimension, []), key=lambda group: (-group["exposure"], group["group"]))
    return DimensionConcentration(
        dimension=dimension,
        basis=basis,
        figures=figures(
            CONCENTRATION,
            derived.CONCENTRATION_METRICS,
            portfolio,
            day,
            row,
            inputs.metrics_before.get(dimension),
            inputs.metrics_week.get(dimension),
            dimension,
            basis,
        ),
        top=tuple(
            GroupExposure(
                group=group["group"],
                share=group["share"],
                exposure=group["exposure"],
                net_exposure=group["net_exposure"],
                exposure_pct=group["exposure_pct"],
                evidence_id=evidence_id(derived.CONCENTRATION_GROUPS, portfolio, day, "exposure", dimension, basis, group["group"]),
            )
            for group in groups[:top]
        ),
        groups=len(groups),
        reason=row["reason"],
    )


def _position(row: Row, portfolio: str, day: date, equity: float | None) -> Position:
    value = row["market_value_base"]
    quantity = row["quantity"]
    return Position(
        strategy=row["strategy"],
        symbol=row["symbol"],
        currency=row["currency"],
        direction="long" if quantity > 0 else "short",
        quantity=format(quantity.normalize(), "f"),
        average_cost=row["average_cost"],
        mark=row["mark"],
        mark_source=row["mark_source"],
        mark_age=row["mark_age"],
        market_value_base=value,
        exposure_pct=abs(value) / equity if value is not None and equity is not None and equity > 0.0 else None,
        unrealised_pnl=row["unrealised_pnl"],
        stop_price=row["stop_price"],
        template=row["template"],
        playbook=row["playbook"],
        evidence_id=evidence_id(derived.LEDGER_SNAPSHOTS, portfolio, day, "market_value_base", *position_key(row)),
    )


def _quality(inputs: SessionInputs, portfolio: str, day: date, aside: SetAside) -> DataQuality:
    equity = inputs.equity
    gross, stale = equity["gross_exposure"], equity["stale_exposure"]
    fresh = None if not gross or stale is None else 1.0 - stale / gross
    quarantine = evidence_id(QUARANTINE, portfolio, day, ROWS)
    counted = (
        ("quarantined_on_day", "Rows in quarantine, of this day", aside.on(portfolio, day)),
        ("quarantined_to_date", "Rows in quarantine, up to this day", aside.up_to(portfolio, day)),
        ("quarantined_undated", "Rows in quarantine, of no known day", aside.without_day(portfolio)),
    )
    at_fill = [row for row in inputs.positions if row["mark_source"] == "fill"]
    found = (
        Figure(
            name="fresh_coverage",
            label="Gross exposure with a fresh mark",
            value=fresh,
            unit=PERCENT,
            reason="" if fresh is not None else equity["reason"] or "no exposure",
            evidence_id=evidence_id(derived.PORTFOLIO_EQUITY, portfolio, day, "stale_exposure"),
        ),
        *figures(QUALITY, derived.PORTFOLIO_EQUITY, portfolio, day, equity, inputs.before, inputs.week),
        *(Figure(name=name, label=label, value=value, unit=COUNT, evidence_id=quarantine) for name, label, value in counted),
    )
    findings = [f"{len(at_fill)} of {len(inputs.positions)} positions are marked at a fill: there is no newer bar."] if at_fill else []
    if equity["reason"]:
        findings.append(f"The return of this session is null: {equity['reason']}.")
    if equity["flow_at_end"]:
        findings.append("The day's flow was counted at its end: it was too large for the capital before it.")
    stale_names = sorted({f"{row['symbol']} ({row['mark_age']} sessions)" for row in inputs.positions if _is_stale(row, inputs)})
    return DataQuality(figures=found, stale_marks=tuple(stale_names), findings=tuple(findings))


def _is_stale(row: Row, inputs: SessionInputs) -> bool:
    return bool(inputs.equity["stale_positions"]) and row["mark_age"] > inputs.max_mark_age
