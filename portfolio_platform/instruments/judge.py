"""The judge of one symbol: what its own closed trades say about its stance and size, each statement with the sample it rests on.

The reviewer only ever narrows: the size is at most the usual one, a loss never raises it, and a block has an end. It sees one symbol's
trades and nothing of the portfolio; the portfolio's limits are the control plane's. Three questions, gated as the diagnostics are:

- the mean result: does the one-sided 90 % bound lie below zero (`R` of the trades, spread of the playbook's expectation);
- the losing streak at the end: how likely is one as long among so many trades at the expected rate of losses (exact, Feller 1968, XIII.7);
- the holding time: are more trades held beyond the expected P90 than one in ten (exact binomial tail).

The spread is that of the expectation and not of the trades themselves: five equal losses have no spread, and would be certain of anything.
With a given spread a worse result never makes a better review.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb, isqrt
from typing import Literal, NamedTuple, Protocol

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.instruments.model import AskJudge, InstrumentConfig, JudgeFeedback, Outcome
from portfolio_platform.instruments.playbook import ALL, Statistic, ppm
from portfolio_platform.instruments.playbook_loading import Shelf

MILLION = 1_000_000
Z90, Z95 = 1_281_552, 1_644_854
"""Normal quantiles in millionths."""
Stance = Literal["neutral", "favourable", "cautious", "block"]
SEVERITY: tuple[Stance, ...] = ("favourable", "neutral", "cautious", "block")


class Judge(Protocol):
    """Says what a symbol's own outcomes mean for it."""

    def review(self, asked: AskJudge, config: InstrumentConfig, now: int) -> JudgeFeedback:
        """Return the feedback at a time, nanoseconds UTC."""
        ...


class JudgeTerms(NamedTuple):
    """The numbers of the reviewer.

    Attributes:
        window: newest trades that are looked at.
        least: trades below which it stays neutral.
        least_streak: trades below which a streak is not looked at.
        least_block: trades below which a mean result does not block.
        least_holding: trades below which holding times are not looked at.
        block_below: the mean result's upper bound below which it blocks, parts per million of R.
        cautious_tail: chance of a streak, or of so many long holdings, at or below which it is cautious; parts per million.
        block_tail: chance of a streak at or below which it blocks; parts per million.
        block_days: how long a block lasts.
        cautious_size: share of the usual size, parts per million.
        holding_size: the same where holding times alone are long.
        block_size: the same after a block.
        win_rate: assumed where the playbook has no expectation, parts per million.
        spread: standard deviation in R assumed there, parts per million.
        sample: trades that a playbook's statistic needs to be used.
    """

    window: int = 40
    least: int = 10
    least_streak: int = 4
    least_block: int = 20
    least_holding: int = 12
    block_below: int = -250_000
    cautious_tail: int = 100_000
    block_tail: int = 10_000
    block_days: int = 28
    cautious_size: int = 500_000
    holding_size: int = 750_000
    block_size: int = 250_000
    win_rate: int = 500_000
    spread: int = 1_250_000
    sample: int = 10


class _Finding(NamedTuple):
    """What one question, or all of them, came to."""

    stance: Stance
    size: int
    reasons: tuple[str, ...] = ()


class OutcomeReviewer:
    """The default judge: pure, and the same for the same trades."""

    def __init__(self, shelf: Shelf, terms: JudgeTerms | None = None) -> None:
        """Take the playbooks, whose expectations trades are held against, and the numbers."""
        self.shelf, self.terms = shelf, terms or JudgeTerms()

    def review(self, asked: AskJudge, config: InstrumentConfig, now: int) -> JudgeFeedback:
        """Return stance, size and block of a symbol; a trade that comes twice counts once."""
        trades = _in_order(asked.outcomes)
        found = self._finding(trades)
        until = now + self.terms.block_days * NANOSECONDS_PER_DAY if found.stance == "block" else 0
        content = [config.portfolio, config.symbol, asked.request_id, now, found.stance, found.size, until, *found.reasons]
        feedback_id = f"judge-{content_hash(canonical_bytes(content, floats=False))[:32]}"
        return JudgeFeedback(now, feedback_id, found.stance, found.size, until, found.reasons)

    def _finding(self, trades: Sequence[Outcome]) -> _Finding:
        """Return what the trades say; after a loss the size is not above the one before it."""
        found = self._alone(trades)
        before = len(trades)
        size = found.size
        while before and trades[before - 1].r_ppm <= 0:
            before -= 1
            size = min(size, self._alone(trades[:before]).size)
        if size == found.size:
            return found
        held = f"the size stays at {_share(size)}: a losing trade does not raise it"
        stance = found.stance if SEVERITY.index(found.stance) >= SEVERITY.index("cautious") else "cautious"
        return found._replace(stance=stance, size=size, reasons=(*found.reasons, held))

    def _alone(self, trades: Sequence[Outcome]) -> _Finding:
        """Return what the newest trades say by themselves."""
        trades = trades[-self.terms.window :]
        findings = [self._mean(trades), self._streak(trades), self._holding(trades)]
        stance = max((item.stance for item in findings), key=SEVERITY.index)
        # what speaks well is said only where nothing speaks against it
        if stance == "neutral" and any(item.stance == "favourable" for item in findings):
            stance = "favourable"
        reasons = tuple(reason for item in findings for reason in item.reasons)
        return _Finding(stance, min(item.size for item in findings), reasons)

    def _mean(self, trades: Sequence[Outcome]) -> _Finding:
        terms, n = self.terms, len(trades)
        if n < terms.least:
            return _Finding("neutral", MILLION, (f"{n} closed trades, fewer than {terms.least}: too few to say anything of their mean",))
        mean = sum(trade.r_ppm for trade in trades) // n
        # variance of the mean of trades whose spreads are given: the sum of their squares over n squared
        root = isqrt(sum(self._spread(trade) ** 2 for trade in trades)) + 1
        upper, lower = mean + Z90 * root // (n * MILLION), mean - Z95 * root // (n * MILLION)
        what = f"mean result {_r(mean)} over {n} trades"
        if upper < terms.block_below and n >= terms.least_block:
            said = f"{what}, its upper 90 % bound {_r(upper)} is below {_r(terms.block_below)}"
            return _Finding("block", terms.block_size, (said,))
        if upper < 0:
            return _Finding("cautious", terms.cautious_size, (f"{what}, its upper 90 % bound {_r(upper)} is below 0",))
        if lower > 0:
            return _Finding("favourable", MILLION, (f"{what}, its lower 95 % bound {_r(lower)} is above 0; the size stays the usual one",))
        return _Finding("neutral", MILLION, (f"{what}, between {_r(lower)} and {_r(upper)}: no finding",))

    def _streak(self, trades: Sequence[Outcome]) -> _Finding:
        terms, n = self.terms, len(trades)
        length = 0
        while length < n and trades[-1 - length].r_ppm <= 0:
            length += 1
        if n < terms.least_streak or length < 2:
            return _Finding("neutral", MILLION)
        loss = MILLION - sum(self._win_rate(trade) for trade in trades) // n
        chance = streak_chance(n, length, loss)
        said = f"{length} losses in a row of {n} trades; at {_share(loss)} losses that is seen in {_share(chance)} of such samples"
        if chance <= terms.block_tail:
            return _Finding("block", terms.block_size, (said,))
        if chance <= terms.cautious_tail:
            return _Finding("cautious", terms.cautious_size, (said,))
        return _Finding("neutral", MILLION, (said,))

    def _holding(self, trades: Sequence[Outcome]) -> _Finding:
        # a trade that somebody flattened says nothing of how long the playbook holds one
        expected = [(trade.bars, self._hold_p90(trade)) for trade in trades if trade.exit != "flatten"]
        known = [(bars, p90) for bars, p90 in expected if p90]
        n, longer = len(known), sum(bars > p90 for bars, p90 in known)
        if n < self.terms.least_holding:
            return _Finding("neutral", MILLION)
        chance = binomial_chance(n, longer, MILLION // 10)
        if chance > self.terms.cautious_tail:
            return _Finding("neutral", MILLION)
        said = f"{longer} of {n} trades were held beyond the expected P90, where one in ten is; chance {_share(chance)}"
        return _Finding("cautious", self.terms.holding_size, (said,))

    def _statistic(self, trade: Outcome) -> Statistic | None:
        """Return what a trade is held against: its playbook in its regime, else in all, where the sample is large enough."""
        playbook = self.shelf.playbooks.get(trade.playbook)
        if playbook is None:
            return None
        found = (playbook.statistic(regime) for regime in (trade.regime, ALL))
        return next((item for item in found if item is not None and item.n >= self.terms.sample), None)

    def _spread(self, trade: Outcome) -> int:
        found = self._statistic(trade)
        return ppm(found.sd_r) if found is not None and found.sd_r else self.terms.spread

    def _win_rate(self, trade: Outcome) -> int:
        found = self._statistic(trade)
        return ppm(found.win_rate_pct, 10_000) if found is not None else self.terms.win_rate

    def _hold_p90(self, trade: Outcome) -> int:
        found = self._statistic(trade)
        if found is not None:
            return found.hold_p90
        playbook = self.shelf.playbooks.get(trade.playbook)
        return playbook.hold_p90 if playbook is not None else 0


@lru_cache(maxsize=4096)
def streak_chance(n: int, length: int, loss: int) -> int:
    """Return how likely a run of at least ``length`` losses is among ``n`` trades, parts per million, rounded up.

    Args:
        n: trades.
        length: of the run, at least 1.
        loss: chance of a loss, parts per million.

    With ``A(m)`` the chance of no such run in m trades: 1 below ``length``, ``1 - q^k`` at it, then
    ``A(m) = A(m - 1) - p q^k A(m - k - 1)`` (Feller 1968, XIII.7).
    """
    if length > n:
        return 0
    q = Fraction(loss, MILLION)
    run = q**length
    without = [Fraction(1)] * length + [1 - run]
    for m in range(length + 1, n + 1):
        without.append(without[m - 1] - (1 - q) * run * without[m - length - 1])
    return _up(1 - without[n])


@lru_cache(maxsize=4096)
def binomial_chance(n: int, least: int, share: int) -> int:
    """Return the chance of at least ``least`` of ``n`` at a rate in parts per million; parts per million, rounded up."""
    top = sum(comb(n, k) * share**k * (MILLION - share) ** (n - k) for k in range(least, n + 1))
    return _up(Fraction(top, MILLION**n))


def _up(value: Fraction) -> int:
    return -(-value.numerator * MILLION // value.denominator)


def _in_order(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return sorted({trade.trade_id: trade for trade in outcomes}.values(), key=lambda trade: (trade.closed_at, trade.trade_id))


def _r(value: int) -> str:
    sign, size = "-" if value < 0 else "", abs(value)
    return f"{sign}{size // MILLION}.{size % MILLION // 10_000:02d} R"


def _share(value: int) -> str:
    return f"{value // 10_000}.{value % 10_000 // 1000} %"
