"""The daily report as a model. Its content is a pure function of the day's facts and the policy; its bytes are canonical.

The stored form is lean: a section holds values by the name of the column they come from, beside the address of the row, so
that a number's evidence id is ``section.of + "/" + name``. Labels and units come from `monitor.figures` when it is read.
"""

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.evidence.ids import encoded, key_of
from portfolio_platform.monitor.figures import labelled

SCHEMA_VERSION = 2
KIND = "daily"
Number = int | float | None
Severity = Literal["info", "warning", "critical"]


class Part(BaseModel):
    """A part of the report: immutable, and nothing in it that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Part):
    """A number, what it is measured in, how it changed, and where it comes from. A null value has its reason.

    ``change_day`` is against the session before, ``change_week`` against the newest session at least seven days back.
    """

    name: str
    label: str
    value: Number
    unit: str
    change_day: float | None = None
    change_week: float | None = None
    reason: str = ""
    evidence_id: str


class Section(Part):
    """Values of one row: by column the value, its change since the session before, and since a week before.

    ``of`` is the address of the row; ``null`` says why a value is null; ``reason`` why the row as a whole is.
    """

    of: str
    values: dict[str, tuple[Number, float | None, float | None]]
    null: dict[str, str] = {}
    reason: str = ""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return the values with their labels, units and evidence ids, in the declared order."""
        table = self.of.split("/", 1)[0]
        found = []
        for name, label, unit in labelled(table, self.values):
            value, day, week = self.values[name]
            reason = "" if value is not None else self.null.get(name) or self.reason or "not known"
            found.append(
                Figure(
                    name=name,
                    label=label,
                    value=value,
                    unit=unit,
                    change_day=day,
                    change_week=week,
                    reason=reason,
                    evidence_id=f"{self.of}/{name}",
                )
            )
        return tuple(found)

    def value(self, name: str) -> Number:
        """Return a value by its column; None also where the section does not have it."""
        return self.values[name][0] if name in self.values else None


class Returns(Part):
    """Flow-neutral returns up to the day, by the unit value; each since the close before its period began."""

    week: float | None
    month: float | None
    quarter: float | None
    year: float | None
    start: float | None


class Change(Part):
    """Something that is not as it was in the session before, in a sentence, with its evidence."""

    kind: Literal["alert", "regime", "position", "flow", "concentration", "high_water_mark", "data"]
    severity: Severity = "info"
    sentence: str
    evidence_ids: tuple[str, ...] = ()


class Alert(Part):
    """An alert that fires in the session, or ended in it, as the facts call for it; what people did about it is in the book."""

    alert_id: str
    rule: str
    scope: str
    state: Literal["firing", "resolved"]
    severity: Severity
    transition: str
    metric: str
    observed: float | None
    threshold: float | None
    comparison: str
    unit: str
    lookback: str
    window_start: date | None
    sample_size: int | None
    gate_passed: bool
    gate_reason: str
    symbols: str
    contributors: tuple[dict[str, Any], ...]
    evidence_ids: tuple[str, ...]
    first_seen: date
    sessions_firing: int
    worst: float | None
    room: float | None
    change: float | None
    trend: str
    previous: str
    cause: str
    inhibited_by: str
    sentence: str
    action: str


class GateFailure(Part):
    """A metric whose sample does not suffice: what is missing, and how long until there is enough at this rate."""

    metric: str
    label: str
    scope: str
    gate: str
    sample_size: int | None
    required: int | None
    missing: int | None
    sessions_until: float | None
    reason: str
    evidence_id: str


class Sufficiency(Part):
    """How many metrics passed their gate, and which did not."""

    passed: int
    failed: int
    failures: tuple[GateFailure, ...]


class Recommendation(Part):
    """The recommendation that stands after the session; its content is there on the day it is issued."""

    recommendation_id: str
    status: str
    issued: date | None
    expires: date | None
    supersedes: str
    content: dict[str, Any] | None = None


class Group(Part):
    """One group of a dimension of concentration."""

    group: str
    share: float | None
    exposure: float | None
    net_exposure: float | None
    exposure_pct: float | None
    evidence_id: str


class Concentration(Part):
    """Concentration by one dimension over gross exposure or risk: its figures, and its largest groups.

    ``largest`` is lean: for each group its name, share, exposure, net exposure and exposure over equity; `top` reads it.
    """

    dimension: str
    basis: str
    section: Section
    largest: tuple[tuple[str, float | None, float | None, float | None, float | None], ...]
    groups: int

    @property
    def top(self) -> tuple[Group, ...]:
        """Return the largest groups with their evidence ids."""
        of = self.section.of.replace("concentration_metrics/", "concentration_groups/", 1)
        return tuple(
            Group(
                group=name,
                share=share,
                exposure=exposure,
                net_exposure=net,
                exposure_pct=over_equity,
                evidence_id=f"{of}/{encoded(name)}/exposure",
            )
            for name, share, exposure, net, over_equity in self.largest
        )

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return its figures."""
        return self.section.figures

    @property
    def reason(self) -> str:
        """Return why it is null, empty where it is not."""
        return self.section.reason


class Drawdown(Part):
    """Drawdown, the regime that it calls for, and how far the next graver regime is."""

    regime: str
    sessions_in_regime: int
    transition: str
    room: float | None
    next_regime: str
    section: Section

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return its figures."""
        return self.section.figures

    @property
    def reason(self) -> str:
        """Return why it is null, empty where it is not."""
        return self.section.reason


class Rows(Part):
    """Rows of a table that the report quotes, at most as many as it names; ``total`` says how many there are."""

    table: str
    rows: tuple[dict[str, Any], ...]
    total: int


class FollowUp(Part):
    """Something to do next, and what it rests on. ``monitor_only`` where the sample does not suffice to do more than look."""

    kind: Literal["act", "look", "wait", "mend"]
    sentence: str
    monitor_only: bool
    evidence_ids: tuple[str, ...] = ()


class DataQuality(Part):
    """How far the day's numbers can be trusted."""

    section: Section
    fresh_coverage: float | None
    quarantined_on_day: int
    quarantined_to_date: int
    quarantined_undated: int
    stale_marks: tuple[str, ...]
    findings: tuple[str, ...]


class PolicyReference(Part):
    """The policy that the report was made under."""

    name: str
    version: int
    hash: str


class PortfolioMonitorReport(Part):
    """The report of one portfolio and one session.

    ``details`` holds rows by name: positions, risks, crowding, drift, buckets, churn, execution, failures, pnl_by_strategy,
    pnl_by_symbol. ``diagnostics`` holds a section for each diagnostic with one row a session: heat, correlation, turnover,
    idle, calibration.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["daily"] = "daily"
    portfolio: str
    day: date
    previous_session: date | None
    week_session: date | None
    session: int
    mode: str
    base_currency: str
    policy: PolicyReference
    headline: Section
    returns: Returns
    changes: tuple[Change, ...]
    alerts: tuple[Alert, ...]
    recommendation: Recommendation | None
    follow_ups: tuple[FollowUp, ...]
    sufficiency: Sufficiency
    drawdown: Drawdown
    concentration: tuple[Concentration, ...]
    diagnostics: dict[str, Section]
    details: dict[str, Rows]
    open_positions: int
    data_quality: DataQuality

    def canonical(self) -> bytes:
        """Return the content's canonical bytes: floats to 12 significant digits, keys sorted."""
        return canonical_bytes(self.model_dump(mode="python"))

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())

    @classmethod
    def from_bytes(cls, content: bytes) -> "PortfolioMonitorReport":
        """Return the report behind stored bytes."""
        return cls.model_validate_json(content)

    @property
    def sections(self) -> dict[str, Section]:
        """Return every section that has one row, by name."""
        named = {"headline": self.headline, "drawdown": self.drawdown.section, "data_quality": self.data_quality.section}
        return named | dict(self.diagnostics)

    def figure(self, name: str) -> Figure:
        """Return a figure by the name of its column, of the first section that has it; `KeyError` where there is none."""
        for section in self.sections.values():
            if name in section.values:
                return next(figure for figure in section.figures if figure.name == name)
        raise KeyError(name)

    def rows(self, name: str) -> tuple[dict[str, Any], ...]:
        """Return the rows of a detail; none where the report does not have it.

        Where a row is one of a table, ``of`` is its address: the evidence id of a number without the column.
        """
        if name not in self.details:
            return ()
        detail = self.details[name]
        key = key_of(detail.table)
        where = f"{detail.table}/{encoded(self.portfolio)}/{self.day.isoformat()}"
        found = []
        for row in detail.rows:
            known = all(part in row for part in key)
            found.append(row | ({"of": "/".join((where, *(encoded(str(row[part])) for part in key)))} if known else {}))
        return tuple(found)
