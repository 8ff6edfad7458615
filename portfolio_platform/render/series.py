"""The history behind a page's charts, as arrays: one value for each session of one portfolio, NaN where there is none."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
NORMAL = "normal"


EQUITY_COLUMNS = ("portfolio", "day", "equity", "net_flow", "unit_value", "gross_exposure_pct", "net_exposure_pct")
DRAWDOWN_COLUMNS = ("portfolio", "day", "high_water_mark", "drawdown", "regime")
METRIC_COLUMNS = ("portfolio", "day", "dimension", "effective_n", "top_share")
DIMENSIONS = ("symbol", "template")


@dataclass(frozen=True, eq=False)
class History:
    """The sessions of a portfolio, ascending. Arrays have shape (sessions,).

    Attributes:
        portfolio: whose history it is.
        days: its sessions.
        equity: net asset value, base currency.
        net_flow: deposits less withdrawals of the session, base currency.
        unit_value: flow-neutral value of one unit.
        high_water_mark: highest unit value so far.
        drawdown: fraction below the mark, positive.
        regime: the drawdown regime, empty where it is not known.
        gross_exposure_pct: gross exposure, fraction of equity.
        net_exposure_pct: net exposure, fraction of equity.
        effective_symbols: effective number of symbols by gross exposure.
        top_symbol_share: share of the largest symbol, fraction of gross exposure.
        top_template_share: share of the largest template, fraction of gross exposure.
    """

    portfolio: str
    days: list[date]
    equity: Floats
    net_flow: Floats
    unit_value: Floats
    high_water_mark: Floats
    drawdown: Floats
    regime: list[str]
    gross_exposure_pct: Floats
    net_exposure_pct: Floats
    effective_symbols: Floats
    top_symbol_share: Floats
    top_template_share: Floats

    def __post_init__(self) -> None:
        """Refuse arrays of another length and days out of order with `ValueError`."""
        for field in fields(self):
            if field.name != "portfolio" and len(getattr(self, field.name)) != len(self.days):
                raise ValueError(f"{field.name} has {len(getattr(self, field.name))} values for {len(self.days)} sessions")
        if any(later <= earlier for earlier, later in zip(self.days, self.days[1:], strict=False)):
            raise ValueError(f"the sessions of {self.portfolio} are not ascending days; pass the rows of one portfolio")

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.days)

    @classmethod
    def empty(cls, portfolio: str) -> "History":
        """Return the history of a portfolio that has had no session."""
        names = [field.name for field in fields(cls) if field.name not in ("portfolio", "days", "regime")]
        series: dict[str, Any] = {name: np.empty(0) for name in names}
        return cls(portfolio, days=[], regime=[], **series)

    @classmethod
    def from_tables(cls, portfolio: str, equity_rows: pa.Table, drawdown_rows: pa.Table, metrics_rows: pa.Table) -> "History":
        """Return the history behind rows of `portfolio_equity`, `drawdown_state` and `concentration_metrics`.

        The rows are those of the portfolio, in any order; the sessions are those of ``equity_rows``. A session that
        another table does not have is NaN there.
        """
        equity_rows = equity_rows.sort_by("day")
        days: list[date] = equity_rows["day"].to_pylist()
        state = _Aligned(days, drawdown_rows)
        symbols = _Aligned(days, metrics_rows.filter(pc.equal(metrics_rows["dimension"], "symbol")))
        templates = _Aligned(days, metrics_rows.filter(pc.equal(metrics_rows["dimension"], "template")))
        return cls(
            portfolio=portfolio,
            days=days,
            equity=_floats(equity_rows["equity"]),
            net_flow=_floats(equity_rows["net_flow"]),
            unit_value=_floats(equity_rows["unit_value"]),
            high_water_mark=state.floats("high_water_mark"),
            drawdown=state.floats("drawdown"),
            regime=state.texts("regime"),
            gross_exposure_pct=_floats(equity_rows["gross_exposure_pct"]),
            net_exposure_pct=_floats(equity_rows["net_exposure_pct"]),
            effective_symbols=symbols.floats("effective_n"),
            top_symbol_share=symbols.floats("top_share"),
            top_template_share=templates.floats("top_share"),
        )

    def until(self, day: date) -> "History":
        """Return the history up to and including a day."""
        return self._slice(0, bisect_right(self.days, day))

    def tail(self, sessions: int) -> "History":
        """Return the last sessions."""
        return self._slice(max(0, len(self) - sessions), len(self))

    def _slice(self, start: int, end: int) -> "History":
        if (start, end) == (0, len(self)):
            return self
        return History(self.portfolio, **{name: value[start:end] for name, value in self._series().items()})

    def _series(self) -> Mapping[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "portfolio"}

    @property
    def high_water_equity(self) -> Floats:
        """Return the high-water mark in money: what equity would be at the mark with the units then held."""
        with np.errstate(divide="ignore", invalid="ignore"):
            money: Floats = self.equity * self.high_water_mark / self.unit_value
        return np.where(np.isfinite(money) & (self.unit_value > 0.0), money, math.nan)

    def stretches(self) -> Iterator[tuple[str, int, int]]:
        """Yield each run of sessions in one regime: regime, first and last place."""
        start = 0
        for place in range(1, len(self) + 1):
            if place == len(self) or self.regime[place] != self.regime[start]:
                yield self.regime[start], start, place - 1
                start = place


class _Aligned:
    """The rows of a table at the places of the sessions."""

    def __init__(self, days: list[date], rows: pa.Table) -> None:
        place = {day: index for index, day in enumerate(days)}
        self._sessions = len(days)
        found = [place.get(day, -1) for day in rows["day"].to_pylist()]
        self._rows = rows
        self._to = np.array(found, dtype=np.int64)

    def floats(self, name: str) -> Floats:
        out = np.full(self._sessions, math.nan)
        known = self._to >= 0
        out[self._to[known]] = _floats(self._rows[name])[known]
        return out

    def texts(self, name: str) -> list[str]:
        out = [""] * self._sessions
        for place, text in zip(self._to.tolist(), self._rows[name].to_pylist(), strict=True):
            if place >= 0:
                out[place] = text or ""
        return out


def _floats(column: pa.ChunkedArray) -> Floats:
    values: Floats = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.where(np.isfinite(values), values, math.nan)
