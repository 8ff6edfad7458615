"""D1 Portfolio heat: what a portfolio gives back if every position leaves at its stop, over its equity.

Risk of a position: ``max(0, s (P - stop)) q m fx + exit cost``, from the mark to the stop. Without a usable stop it is
imputed: ``min(|x|, k sigma sqrt(h) |x|)``, k deviations of the symbol's daily returns over the expected hold h, and
``|x|`` where there is no sigma. A stop that the mark is beyond while the position is still open does not protect it, and
counts as absent: its distance would read 0 just when the risk is worst.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BY_STOP, BY_VOLATILITY, BY_NOTIONAL = 0, 1, 2
METHODS = ("stop", "volatility", "notional")
OK, STALE_MARK, MISSING_RATE, NO_EQUITY = range(4)
REASONS = ("", "stale_mark", "missing_fx_rate", "equity_not_positive")
BPS = 1e-4


@dataclass(frozen=True)
class Holdings:
    """Open positions of every session, sorted by session and in key order within it.

    All shapes are (rows,). ``sign`` is 1 long, -1 short; ``units`` the base currency that one unit of price is worth,
    ``|quantity| * multiplier * fx``, NaN without a rate; ``exposure`` the signed marked value in base currency; ``stop``
    NaN where none is in force; ``stale`` where the mark is older than the policy allows.
    """

    session: Int64
    sign: Float64
    units: Float64
    mark: Float64
    average_cost: Float64
    stop: Float64
    exposure: Float64
    stale: Flags

    @property
    def beyond_stop(self) -> Flags:
        """Say where the mark is beyond the stop; False without a stop."""
        return self.sign * (self.mark - self.stop) < 0.0

    @property
    def imputed(self) -> Flags:
        """Say where the risk is not that of a stop: there is none, or the mark is beyond it."""
        return np.isnan(self.stop) | self.beyond_stop


@dataclass(frozen=True)
class Terms:
    """What the policy says, for each position (the same shape) or for all alike.

    ``sigmas`` deviations that an imputed risk assumes; ``exit_cost`` a fraction of exposure; ``hold_days`` expected hold.
    """

    sigmas: Float64
    exit_cost: Float64
    hold_days: Float64


@dataclass(frozen=True)
class Risks:
    """Risk of each position in base currency, NaN where null; the method, and why it is null (`REASONS`)."""

    risk: Float64
    capital_risk: Float64
    exit_cost: Float64
    method: Int64
    imputed: Flags
    beyond_stop: Flags
    status: Int64


@dataclass(frozen=True)
class Heat:
    """Figures of each session, NaN where null. Counts are of open positions."""

    active_risk: Float64
    active_heat: Float64
    reserved_heat: Float64
    heat: Float64
    use: Float64
    capital_heat: Float64
    imputed_share: Float64
    coverage: Float64
    positions: Int64
    imputed_positions: Int64
    beyond_stop: Int64
    status: Int64


@dataclass(frozen=True)
class Returns:
    """Daily log returns by symbol: those of symbol k are rows ``start[k]:start[k+1]``, by the day that they end on, ascending."""

    start: Int64
    day: Int64
    value: Float64


@njit(cache=True)
def _sigmas(
    start: Int64, days: Int64, value: Float64, symbol: Int64, day: Int64, window: Int64, minimum: Int64, out: Float64
) -> None:  # pragma: no cover - compiled
    # queries come by day: a symbol's window goes on from its newest one, and is that one where several positions hold the symbol
    newest, ends = np.full(start.size, -1, np.int64), start.copy()
    for i in range(symbol.size):
        if symbol[i] < 0:
            continue
        known = newest[symbol[i]]
        if known >= 0 and day[known] == day[i] and window[known] == window[i] and minimum[known] == minimum[i]:
            out[i] = out[known]
            continue
        first, end = start[symbol[i]], ends[symbol[i]]
        if known >= 0 and day[known] > day[i]:
            end = first + np.searchsorted(days[first:end], day[i], side="right")
        while end < start[symbol[i] + 1] and days[end] <= day[i]:
            end += 1
        newest[symbol[i]], ends[symbol[i]] = i, end
        begin = max(first, end - window[i])
        n = end - begin
        if n < max(minimum[i], 2):
            continue
        # in two passes over the window itself, so that a day alone has the digits of the same day in a range
        mean = 0.0
        for k in range(begin, end):
            mean += value[k]
        mean /= n
        squares = 0.0
        for k in range(begin, end):
            squares += (value[k] - mean) ** 2
        if squares > 0.0:
            out[i] = np.sqrt(squares / (n - 1))


def sigmas(returns: Returns, symbol: Int64, day: Int64, window: Int64, minimum: Int64) -> Float64:
    """Return the sample standard deviation (n - 1) of a symbol's last ``window`` daily returns up to each day.

    All arguments but ``returns`` have the shape (queries,); ``symbol`` is -1 where the symbol has no bars. NaN with fewer
    than ``minimum`` returns, and where nothing moved: a deviation of 0 would say that the position cannot lose.
    """
    out = np.full(symbol.size, np.nan)
    _sigmas(returns.start, returns.day, returns.value, symbol, day, window, minimum, out)
    return out


def position_risks(held: Holdings, sigma: Float64, terms: Terms) -> Risks:
    """Return the risk of every position; ``sigma`` is NaN where it is not known, and looked at only where risk is imputed.

    The capital risk is that from average cost to the stop, 0 where the stop locks a profit in, and the imputed risk where
    there is no usable stop. An imputed risk holds no exit cost: it is bounded by the exposure itself.
    """
    size = held.exposure.size
    risk, capital, cost = np.empty(size), np.empty(size), np.empty(size)
    method, status = np.empty(size, np.int64), np.empty(size, np.int64)
    imputed, beyond = np.empty(size, np.bool_), np.empty(size, np.bool_)
    figures = (held.sign, held.units, held.mark, held.average_cost, held.stop, held.exposure, held.stale)
    sigmas, exit_cost, hold_days = (np.broadcast_to(term, size) for term in (terms.sigmas, terms.exit_cost, terms.hold_days))
    _risks(*figures, sigma, sigmas, exit_cost, hold_days, risk, capital, cost, method, imputed, beyond, status)
    return Risks(risk, capital, cost, method, imputed, beyond, status)


@njit(cache=True)
def _status(units: float, exposure: float, stale: bool) -> int:  # pragma: no cover - compiled
    """Return why a position's risk is null, `OK` where it is not. A missing rate goes before a stale mark."""
    if np.isnan(units) or np.isnan(exposure):
        return MISSING_RATE
    return STALE_MARK if stale else OK


@njit(cache=True)
def _risks(
    sign: Float64,
    units: Float64,
    mark: Float64,
    average_cost: Float64,
    stop: Float64,
    exposure: Float64,
    stale: Flags,
    sigma: Float64,
    sigmas: Float64,
    exit_cost: Float64,
    hold_days: Float64,
    risk: Float64,
    capital: Float64,
    cost: Float64,
    method: Int64,
    imputed: Flags,
    beyond: Flags,
    status: Int64,
) -> None:  # pragma: no cover - compiled
    for i in range(exposure.size):
        beyond[i] = sign[i] * (mark[i] - stop[i]) < 0.0
        imputed[i] = np.isnan(stop[i]) or beyond[i]
        known = np.isfinite(sigma[i])
        method[i] = BY_STOP if not imputed[i] else BY_VOLATILITY if known else BY_NOTIONAL
        status[i] = _status(units[i], exposure[i], stale[i])
        if status[i] != OK:
            risk[i] = capital[i] = cost[i] = np.nan
            continue
        size = abs(exposure[i])
        cost[i] = exit_cost[i] * size
        if imputed[i]:
            assumed = sigmas[i] * sigma[i] * np.sqrt(hold_days[i]) * size
            risk[i] = size if not known or assumed > size else assumed
            capital[i] = risk[i]
        else:
            # compared so that what is missing stays so
            ahead, gained = sign[i] * (mark[i] - stop[i]), sign[i] * (average_cost[i] - stop[i])
            risk[i] = (0.0 if ahead <= 0.0 else ahead) * units[i] + cost[i]
            capital[i] = (0.0 if gained <= 0.0 else gained) * units[i]


@njit(cache=True)
def _add_up(
    session: Int64,
    exposure: Float64,
    stale: Flags,
    risk: Float64,
    capital: Float64,
    imputed: Flags,
    beyond: Flags,
    sums: Float64,
    counts: Int64,
) -> None:  # pragma: no cover - compiled
    """Add positions up by session, in the order of the rows: risk, capital risk, imputed risk, exposure, stale exposure; counts."""
    for i in range(session.size):
        s, size = session[i], abs(exposure[i])
        if not np.isnan(risk[i]):
            sums[0, s] += risk[i]
            sums[2, s] += risk[i] if imputed[i] else 0.0
        if not np.isnan(capital[i]):
            sums[1, s] += capital[i]
        sums[3, s] += size
        sums[4, s] += size if stale[i] else 0.0
        counts[0, s] += 1
        counts[1, s] += imputed[i]
        counts[2, s] += beyond[i]


@njit(cache=True)
def _worst(session: Int64, units: Float64, exposure: Float64, stale: Flags, status: Int64) -> None:  # pragma: no cover - compiled
    """Fill in each session's gravest status of a position."""
    for i in range(session.size):
        status[session[i]] = max(status[session[i]], _status(units[i], exposure[i], stale[i]))


def session_status(held: Holdings, equity: Float64) -> Int64:
    """Return why each session's ratios are null: a missing rate, a stale mark, equity that is not positive, or `OK`."""
    status = np.zeros(equity.size, np.int64)
    _worst(held.session, held.units, held.exposure, held.stale, status)
    status[np.isnan(equity)] = MISSING_RATE
    return np.where((status == OK) & ~(equity > 0.0), NO_EQUITY, status)


def portfolio_heat(held: Holdings, risks: Risks, equity: Float64, reserved: Float64, cap: Float64) -> Heat:
    """Return the heat of every session; ``equity``, ``reserved`` and ``cap`` have an entry for each.

    A position without a risk makes the session's figures null; equity that is not positive the ratios alone. ``reserved``
    is the risk of unexpired reservations in base currency. Coverage is the share of gross exposure with a fresh mark: 1 where
    nothing is held, NaN where an exposure has no rate.
    """
    size = equity.size
    status = session_status(held, equity)
    unsound = (status == STALE_MARK) | (status == MISSING_RATE)
    sums, counts = np.zeros((5, size)), np.zeros((3, size), np.int64)
    of_risks = (risks.risk, risks.capital_risk, risks.imputed, risks.beyond_stop)
    _add_up(held.session, held.exposure, held.stale, *of_risks, sums, counts)
    active, capital, assumed, gross, stale = sums
    base = np.where(status == OK, equity, np.nan)
    active_heat, reserved_heat = active / base, reserved / base
    share = np.divide(assumed, active, out=np.zeros(size), where=active > 0.0)
    stale_share = np.divide(stale, gross, out=np.where(np.isnan(gross), np.nan, 0.0), where=gross > 0.0)
    heat = active_heat + reserved_heat
    return Heat(
        active_risk=np.where(unsound, np.nan, active),
        active_heat=active_heat,
        reserved_heat=reserved_heat,
        heat=heat,
        use=heat / cap,
        capital_heat=capital / base,
        imputed_share=np.where(unsound, np.nan, share),
        coverage=1.0 - stale_share,
        positions=counts[0],
        imputed_positions=counts[1],
        beyond_stop=counts[2],
        status=status,
    )
