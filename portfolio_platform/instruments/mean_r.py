"""The mean of results in R with its one-sided bounds, in whole parts per million: the same digits on any machine.

Student's interval: ``mean -+ t(n - 1) * sd / sqrt(n)``, one-sided 90 %, which is what `docs` and policies ask of something that tightens.
Results in R are bounded below near -1 and lean to the right, so the bounds are approximate; below `LEAST` there are none.
"""

from collections.abc import Sequence
from math import isqrt
from typing import NamedTuple

LEAST = 5
"""Results below which no bound is given."""
SCALE = 1_000_000
T90 = (
    3_077_684, 1_885_618, 1_637_744, 1_533_206, 1_475_884, 1_439_756, 1_414_924, 1_396_815, 1_383_029, 1_372_184,
    1_363_430, 1_356_217, 1_350_171, 1_345_030, 1_340_606, 1_336_757, 1_333_379, 1_330_391, 1_327_728, 1_325_341,
    1_323_188, 1_321_237, 1_319_460, 1_317_836, 1_316_345, 1_314_972, 1_313_703, 1_312_527, 1_311_434, 1_310_415,
)  # fmt: skip
"""Student's t at 0.90 for 1 to 30 degrees of freedom, millionths."""
FEW = ((40, 1_303_077), (60, 1_295_821), (120, 1_288_646), (1000, 1_282_399))
"""From so many degrees of freedom on, this."""


def t90(freedom: int) -> int:
    """Return Student's t at 0.90 in millionths; between table rows that of the row below, which is the wider one."""
    if freedom <= len(T90):
        return T90[freedom - 1]
    return next((t for least, t in reversed(FEW) if freedom >= least), T90[-1])


class MeanR(NamedTuple):
    """A mean result with its sample size and standard deviation (n - 1), both in parts per million of R."""

    n: int
    mean: int
    sd: int

    @property
    def half(self) -> int:
        """Return the distance from the mean to a one-sided 90 % bound, rounded up; needs n of at least 2."""
        # ceil(t * sd / sqrt(n)) without a float: isqrt of the square, one more where it is not whole
        square = (t90(self.n - 1) * self.sd) ** 2
        whole = isqrt(square // (self.n * SCALE * SCALE))
        return whole + (whole * whole * self.n * SCALE * SCALE < square)

    @property
    def lower(self) -> int | None:
        """Return the lower bound, or None below `LEAST` results."""
        return self.mean - self.half if self.n >= LEAST else None

    @property
    def upper(self) -> int | None:
        """Return the upper bound, or None below `LEAST` results."""
        return self.mean + self.half if self.n >= LEAST else None


def mean_r(results: Sequence[int]) -> MeanR:
    """Return mean and standard deviation of results in parts per million of R, rounded toward minus infinity and up; needs one."""
    n, total = len(results), sum(results)
    if n < 2:
        return MeanR(n, total, 0)
    squares = n * sum(value * value for value in results) - total * total
    return MeanR(n, total // n, _root_up(squares, n * (n - 1)))


def _root_up(top: int, bottom: int) -> int:
    whole = isqrt(top // bottom)
    return whole + (whole * whole * bottom < top)
