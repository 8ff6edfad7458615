"""The daily report as a model. Its content is a pure function of the day's facts and the policy; its bytes are canonical."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from portfolio_platform.canonical import canonical_bytes, content_hash

SCHEMA_VERSION = 1
KIND = "daily"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Part):
    """A number, what it is measured in, how it changed, and where it comes from. A null value has its reason.

    ``change_day`` is against the session before, ``change_week`` against the newest session at least seven days back.
    """

    name: str
    label: str
    value: float | int | None
    unit: str
    change_day: float | None = None
    change_week: float | None = None
    reason: str = ""
    evidence_id: str


class GroupExposure(_Part):
    """One group of a dimension of concentration."""

    group: str
    share: float | None
    exposure: float
    net_exposure: float
    exposure_pct: float | None
    evidence_id: str


class DimensionConcentration(_Part):
    """Concentration by one dimension: its figures, and its largest groups."""

    dimension: str
    basis: str
    figures: tuple[Figure, ...]
    top: tuple[GroupExposure, ...]
    groups: int
    reason: str = ""


class Drawdown(_Part):
    """Drawdown and the regime that it calls for."""

    regime: str
    sessions_in_regime: int
    transition: str
    figures: tuple[Figure, ...]
    reason: str = ""


class Position(_Part):
    """An open position at its mark; amounts in base currency where they end in ``_base``."""

    strategy: str
    symbol: str
    currency: str
    direction: Literal["long", "short"]
    quantity: str
    average_cost: float
    mark: float
    mark_source: str
    mark_age: int
    market_value_base: float | None
    exposure_pct: float | None
    unrealised_pnl: float
    stop_price: float | None
    template: str | None
    playbook: str | None
    evidence_id: str


class DataQuality(_Part):
    """How far the day's numbers can be trusted."""

    figures: tuple[Figure, ...]
    stale_marks: tuple[str, ...]
    findings: tuple[str, ...]


class Change(_Part):
    """Something that is not as it was in the session before, in a sentence, with its evidence."""

    kind: Literal["regime", "position", "flow", "concentration", "high_water_mark", "data"]
    sentence: str
    evidence_ids: tuple[str, ...] = ()


class PolicyReference(_Part):
    """The policy that the report was made under."""

    name: str
    version: int
    hash: str


class PortfolioMonitorReport(_Part):
    """The report of one portfolio and one session."""

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
    headline: tuple[Figure, ...]
    changes: tuple[Change, ...]
    drawdown: Drawdown
    concentration: tuple[DimensionConcentration, ...]
    open_positions: int
    positions: tuple[Position, ...]
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

    def figure(self, name: str) -> Figure:
        """Return a headline, drawdown or data-quality figure by name; `KeyError` where there is none."""
        for figure in (*self.headline, *self.drawdown.figures, *self.data_quality.figures):
            if figure.name == name:
                return figure
        raise KeyError(name)
