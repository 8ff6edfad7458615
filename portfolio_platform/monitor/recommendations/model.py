"""A recommendation as a model. Its content is a pure function of a session's facts, the policy and what stood before it."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.policy.alerts import CapKind, Direction, Mode

SCHEMA_VERSION = 1
GRAVITY: dict[str, int] = {"normal": 0, "defensive": 1, "risk_off": 2}
COUNTED = frozenset({"position_count", "new_positions"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class CapAdjustment(_Part):
    """A change of one cap. ``scope`` is the group it binds, empty for the portfolio (a bucket: every bucket).

    ``before`` and ``after`` are written ``from`` and ``to``; a count is a whole number, ``force_flatten_only`` 0 or 1.
    """

    kind: CapKind
    scope: str = ""
    before: float = Field(alias="from")
    after: float = Field(alias="to")
    unit: Literal["fraction of equity", "fraction of gross", "positions", "positions a session", "flag"]
    direction: Direction

    @property
    def key(self) -> tuple[str, str]:
        """Return what it binds."""
        return (self.kind, self.scope)


class MissingSample(_Part):
    """A gate that failed: whose metric, how many observations there are and are asked for, and how long that may take."""

    metric: str
    scope: str
    sample_size: int | None
    required: int | None
    sessions_until: float | None
    reason: str


class Withheld(_Part):
    """An adjustment that was considered and is not recommended, and why not."""

    adjustment: CapAdjustment
    because: str
    missing: tuple[MissingSample, ...] = ()


class Confidence(_Part):
    """How sure it is: the level that its gates ask for, and the thinnest sample among what it rests on.

    ``lowest_ratio`` is the least of observations over required ones, null where nothing it rests on has a sample.
    """

    level: float
    lowest_ratio: float | None
    gates_passed: tuple[str, ...]
    gates_failed: tuple[str, ...]


class Rests(_Part):
    """What it rests on."""

    regime: str
    alert_ids: tuple[str, ...]
    evidence_ids: tuple[str, ...]


class WithdrawalCondition(_Part):
    """When it no longer holds: an alert ends, or the regime is another; in typed form and as a sentence."""

    kind: Literal["alert_ends", "regime_eases"]
    alert_id: str = ""
    regime: str = ""
    sentence: str


class PortfolioRecommendationEvent(_Part):
    """What is recommended for one portfolio from a day on; a proposal that enforces nothing by itself."""

    schema_version: int = SCHEMA_VERSION
    portfolio: str
    day: date
    session: int
    recommendation_id: str
    mode: Mode
    adjustments: tuple[CapAdjustment, ...]
    monitor_only: bool
    missing: tuple[MissingSample, ...]
    withheld: tuple[Withheld, ...]
    confidence: Confidence
    rests_on: Rests
    effective: date
    review: date
    expires: date
    withdrawn_if: tuple[WithdrawalCondition, ...]
    supersedes: str
    reason: str
    follow_up: tuple[str, ...]
    policy_hash: str

    def canonical(self) -> bytes:
        """Return the content's canonical bytes: floats to 12 significant digits, keys sorted."""
        return canonical_bytes(self.model_dump(mode="python", by_alias=True))

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())

    @classmethod
    def from_text(cls, content: str) -> "PortfolioRecommendationEvent":
        """Return the recommendation behind stored text."""
        return cls.model_validate_json(content)

    @property
    def called_for(self) -> "CalledFor":
        """Return what it asks for, without why and until when."""
        return CalledFor(mode=self.mode, adjustments=self.adjustments, monitor_only=self.monitor_only)


class CalledFor(_Part):
    """What a recommendation asks for: two of these that are equal are one recommendation."""

    mode: Mode = "normal"
    adjustments: tuple[CapAdjustment, ...] = ()
    monitor_only: bool = False

    @property
    def nothing(self) -> bool:
        """Say whether it asks for nothing."""
        return self.mode == "normal" and not self.adjustments
