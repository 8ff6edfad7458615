"""A cohort's equal-weighted index as bars, for a regime detector over the cohort; what it says is advice, and drives no symbol."""

from collections.abc import Mapping, Sequence

from portfolio_platform.broker.model import Bar


def index_bars(cohort: str, members: Mapping[str, Sequence[Bar]]) -> tuple[Bar, ...]:
    """Return the index's daily bars: each moves by the mean of what its members moved, from 100 on."""
    raise NotImplementedError
