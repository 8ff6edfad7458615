"""What a metric is: a cell of a diagnostic's table, with the columns of that row that say how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from portfolio_platform.lake.columns import Table

GateClass = Literal["census", "estimated", "capital", "skill"]
Growth = Literal["window", "start", "never"]

COLUMN = "column:"
SESSIONS = "sessions:"
WHOLE = "whole"


@dataclass(frozen=True)
class Metric:
    """A metric that rules, gates and reports may name.

    Attributes:
        name: its name in the policy and in `sample_sufficiency`.
        label: what a person reads.
        table, column: the cell; a flag counts as 0 or 1.
        unit: fraction, sigma, bps, bars, count, probability, R or 1.
        gate: the class of its gate.
        method: how it is computed, in words, or the name of a text column after ``column:``.
        scope: key columns after day and portfolio that say what it is about; joined by ``/`` they are its scope.
        where: key columns with one fixed value.
        over: a column of the same row to divide by; nothing over nothing is 0.
        absolute: whether its size counts and not its sign.
        sample: column with the number of observations, or ``table:column`` of a table with one row a session; empty: 1
            where there is a value.
        grows: how the sample gets larger: with the window until that is full, with every session since the start, or
            in no way that says when there will be enough of it.
        coverage: column with it; empty: the share of gross exposure that has a fresh mark; `WHOLE`: it needs no mark.
        low, high, symbols: columns with these; empty where there are none.
        by_policy: whether the ends of its interval are at the policy's confidence (`gates.confidence_of`); the others are those
            of two-sided intervals at 95 %, as they are defined.
        in_sigma: whether it is counted in the drawdown's EWMA sigma, whose own uncertainty is then its interval (`scale`).
        window: sessions of its window, this one included; or after ``column:`` the column with its first day, or after
            ``sessions:`` that with how many sessions before this one it begins.
        why: a further column that says why the value is null, beside ``reason``.
    """

    name: str
    label: str
    table: Table
    column: str
    unit: str
    gate: GateClass
    method: str
    scope: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    over: str = ""
    absolute: bool = False
    sample: str = ""
    coverage: str = ""
    low: str = ""
    high: str = ""
    by_policy: bool = False
    in_sigma: bool = False
    symbols: str = ""
    window: int | str = 1
    grows: Growth = "window"
    why: str = ""
