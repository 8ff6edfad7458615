"""A pass of the screener: scores, candidates, templates, and what it looks at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.codec import from_bytes, to_bytes
from portfolio_platform.errors import WrongUse
from portfolio_platform.instruments.features import MILLION, value
from portfolio_platform.instruments.screener import SCALES, Scale, ScreenerPass, ScreenerTerms, screen, template_for
from portfolio_platform.instruments.universe import UniverseBars
from tests.unit.instruments.market_examples import DAY, MONDAY, daily, walk

TERMS = ScreenerTerms()
COUNT = 180
END = MONDAY + COUNT * DAY


def market(count=COUNT, symbols=6, seed=0):
    return {f"S{k}": walk(seed + k, count, step=0.01 + 0.002 * k, symbol=f"S{k}") for k in range(symbols)}


def squeezed():
    """Return bars that swing, and then less and less."""
    return daily([100 + 6 * (-1) ** k * 0.9 ** max(0, k - 140) for k in range(COUNT)], spread=0.001)


def burst(direction):
    """Return quiet bars that end in ten days of ever larger moves."""
    closes = [100 + 0.3 * (-1) ** k for k in range(170)]
    for k in range(10):
        closes.append(closes[-1] * (1 + direction * 0.006 * (k + 1)))
    bars = daily(closes, spread=0.002)
    return tuple(one._replace(volume=one.volume * (4 if k >= 175 else 1)) for k, one in enumerate(bars))


def row(found, symbol):
    return next(one for one in found.rows if one.symbol == symbol)


def test_the_features_of_a_row_are_those_of_the_vocabulary():
    bars = market()
    found = screen(UniverseBars.of(bars), END, TERMS)
    for one in found.rows:
        for name, number in one.features:
            if not name.startswith("higher"):
                assert abs(number - value(name, bars[one.symbol])) <= 1


def test_a_score_by_hand():
    scales = (
        Scale("bandwidth_rank_20", 200_000, 500_000, 800_000, 500_000),
        *(one._replace(weight=0) for one in SCALES[1:3]),
        Scale("volume_z_20", -1_000_000, 0, 1_000_000, 500_000),
    )
    bars = {"A": squeezed()}
    one = screen(UniverseBars.of(bars), END, TERMS._replace(scales=scales)).rows[0]
    rank = dict(one.features)["bandwidth_rank_20"]
    assert dict(one.features)["volume_z_20"] is None  # the same volume each day: it counts in no score
    assert (one.compression, one.expansion) == ((500_000 - rank) * MILLION // 300_000 if rank > 200_000 else MILLION, 0)
    assert one.composite == one.compression // 2


def test_a_squeeze_is_compression_and_a_burst_is_expansion_after_its_trend():
    found = screen(UniverseBars.of({"QUIET": squeezed(), "RISE": burst(1), "FALL": burst(-1)}), END, TERMS)
    assert (row(found, "QUIET").template, row(found, "RISE").template, row(found, "FALL").template) == (
        "compression_breakout",
        "bull_trending",
        "bear_defensive",
    )
    assert row(found, "QUIET").compression > 600_000 > 0 == row(found, "RISE").compression
    assert (row(found, "RISE").trend, row(found, "RISE").higher_trend, row(found, "FALL").trend) == ("up", "up", "down")
    assert "expansion" in row(found, "FALL").why and "down" in row(found, "FALL").why


@pytest.mark.parametrize(
    ("compression", "expansion", "composite", "trend", "higher", "template"),
    [
        (600_001, 0, 300_000, "up", "up", "compression_breakout"),
        (600_000, 0, 300_000, "up", "up", ""),
        (700_000, 900_000, 800_000, "down", "down", "compression_breakout"),
        (0, 550_001, 275_000, "up", "up", "bull_trending"),
        (0, 550_001, 275_000, "up", "unclear", "volatile_breakout"),
        (0, 550_001, 275_000, "up", "down", "volatile_breakout"),
        (0, 550_001, 275_000, "unclear", "up", "volatile_breakout"),
        (0, 550_001, 275_000, "down", "up", "bear_defensive"),
        (0, 550_000, 300_000, "down", "up", ""),
        (0, 550_000, 299_999, "up", "up", "uncertain_wait"),
        (0, 0, 0, "unclear", "unclear", "uncertain_wait"),
    ],
)
def test_the_rule_of_templates(compression, expansion, composite, trend, higher, template):
    assert template_for(compression, expansion, composite, trend, higher, TERMS)[0] == template


def test_the_best_are_candidates_by_composite_and_ties_go_by_symbol():
    twin = walk(3, COUNT)
    bars = dict.fromkeys("BAC", twin) | {"D": squeezed()}
    found = screen(UniverseBars.of(bars), END, TERMS._replace(top=2, minimum_score=0))
    assert [(one.symbol, one.rank, one.candidate) for one in found.rows] == [
        ("D", 1, True),
        ("A", 2, True),
        ("B", 3, False),
        ("C", 4, False),
    ]
    assert found.rows[2].why.endswith("no candidate: rank 3 is outside the top 2")
    assert [one.symbol for one in found.candidates] == ["D", "A"]


def test_a_symbol_below_the_least_score_is_no_candidate_however_few_there_are():
    found = screen(UniverseBars.of(market()), END, TERMS._replace(minimum_score=MILLION))
    assert found.candidates == ()
    assert all("is below 1.00" in one.why for one in found.rows)
    third = found.rows[2].composite
    found = screen(UniverseBars.of(market()), END, TERMS._replace(minimum_score=third))
    assert [one.composite >= third for one in found.rows] == [one.candidate for one in found.rows]
    assert found.rows[2].candidate and not found.rows[-1].candidate


@pytest.mark.parametrize(
    ("bars", "why"),
    [
        (walk(1, 59), "59 bars, and 60 are needed"),
        ((), "0 bars"),
        (walk(1, 150), "more than 7 days old"),
        (daily([100] * COUNT, spread=0.0, volume=0), None),
    ],
)
def test_a_symbol_that_cannot_be_scored_is_named_with_the_reason(bars, why):
    start = END - 59 * DAY if len(bars) == 59 else MONDAY
    bars = tuple(one._replace(ts=start + (k + 1) * DAY) for k, one in enumerate(bars))
    found = screen(UniverseBars.of({"A": walk(2, COUNT), "ODD": bars}), END, TERMS)
    odd = row(found, "ODD")
    assert found.rows[-1] == odd
    if why is None:
        assert odd.rank == 2  # the rank of its bandwidth is known: it is as narrow as ever
    else:
        assert (odd.rank, odd.candidate, odd.template, odd.trend, odd.composite) == (0, False, "", "", 0)
        assert odd.why.startswith("not scored: ") and why in odd.why


def test_an_empty_universe_has_an_empty_pass():
    assert screen(UniverseBars.of({}), END, TERMS).rows == ()
    assert screen(UniverseBars.of({"A": ()}), END, TERMS).rows[0].rank == 0


@given(st.integers(61, COUNT - 1), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_nothing_after_the_time_is_looked_at(cut, seed):
    bars, other = market(seed=1), market(seed=seed)
    at = MONDAY + cut * DAY
    mixed = {name: (*bars[name][:cut], *other[name][cut:]) for name in bars}
    alone = {name: bars[name][:cut] for name in bars}
    assert (
        screen(UniverseBars.of(bars), at, TERMS) == screen(UniverseBars.of(mixed), at, TERMS) == screen(UniverseBars.of(alone), at, TERMS)
    )


def test_an_open_week_is_no_part_of_the_higher_trend():
    falling = [100 - 0.2 * k for k in range(173)]  # to a Thursday
    crash = daily([*falling, 150, 151], spread=0.001)
    for count, higher in ((174, "down"), (175, "up")):  # on Saturday the week is open, at Sunday's midnight it is closed
        found = screen(UniverseBars.of({"A": crash[:count]}), crash[count - 1].ts, TERMS)
        assert found.rows[0].higher_trend == higher


@given(st.integers(0, 2**32), st.permutations(list(range(6))))
@settings(max_examples=20, deadline=None)
def test_scores_are_bounded_ranks_are_in_order_and_the_order_of_symbols_does_not_matter(seed, order):
    bars = market(120, seed=seed)
    at = MONDAY + 120 * DAY
    found = screen(UniverseBars.of(bars), at, TERMS)
    assert found == screen(UniverseBars.of({f"S{k}": bars[f"S{k}"] for k in order}), at, TERMS)
    assert [one.rank for one in found.rows] == list(range(1, 7))
    assert [-one.composite for one in found.rows] == sorted(-one.composite for one in found.rows)
    for one in found.rows:
        assert 0 <= one.compression <= MILLION and 0 <= one.expansion <= MILLION
        assert one.composite == (one.compression + one.expansion) // 2


def test_a_pass_is_named_by_its_content_and_its_terms():
    universe = UniverseBars.of(market())
    found = screen(universe, END, TERMS)
    assert found.pass_id.startswith("SCR-") and found == screen(universe, END, TERMS)
    others = [
        screen(universe, END + 1, TERMS),
        screen(universe, END, TERMS._replace(top=7)),
        screen(universe, END, TERMS._replace(compression_weight=1)),
    ]
    assert len({found.pass_id, *(one.pass_id for one in others)}) == 4
    assert (found.compression_weight, found.expansion_weight) == (500_000, 500_000)
    assert from_bytes(to_bytes(found, ScreenerPass), ScreenerPass) == found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scales": SCALES[:2]}, "scales are of"),
        ({"scales": (SCALES[0]._replace(neutral=0), *SCALES[1:])}, "ascend"),
        ({"compression_weight": 0, "expansion_weight": 0}, "not both 0"),
        ({"higher_timeframe": "2w"}, "'2w'"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(changes, said):
    with pytest.raises(WrongUse, match=said):
        screen(UniverseBars.of(market(70, 1)), END, TERMS._replace(**changes))


def test_all_of_a_thousand_symbols_are_scored_as_each_alone():
    bars = market(130, 40)
    at = MONDAY + 130 * DAY
    together = {one.symbol: one for one in screen(UniverseBars.of(bars), at, TERMS).rows}
    for name in ("S0", "S17", "S39"):
        alone = screen(UniverseBars.of({name: bars[name]}), at, TERMS).rows[0]
        assert together[name].features == alone.features
        assert together[name][3:9] == alone[3:9]


# --- the universe


def test_a_universe_is_cut_at_a_time_and_holds_what_was_there():
    bars = {"A": walk(1, 50), "B": walk(2, 20)}
    universe = UniverseBars.of(bars)
    assert universe.counts.tolist() == [50, 20]
    cut = universe.until(MONDAY + 30 * DAY, keep=25)
    assert cut.close.shape == (2, 25)
    assert cut.close[0].tolist() == [one.close / 10**18 for one in bars["A"][5:30]]
    assert cut.ts[1].tolist() == [0] * 5 + [one.ts for one in bars["B"]]
    assert np.isnan(cut.close[1, :5]).all()


def test_a_universe_of_the_lakes_table_equals_one_of_bars_and_a_split_is_no_fall():
    import pyarrow as pa

    bars = {"A": walk(1, 30, symbol="A"), "B": walk(2, 12, symbol="B", start=MONDAY + 18 * DAY)}
    flat = [one for held in bars.values() for one in held][::-1]
    kind = pa.decimal128(38, 18)
    from decimal import Decimal

    columns = {
        name: pa.array([Decimal(getattr(one, name)).scaleb(-18) for one in flat], kind)
        for name in ("open", "high", "low", "close", "volume")
    }
    table = pa.table({"symbol": [one.symbol for one in flat], "ts": pa.array([one.ts for one in flat], pa.int64()), **columns})
    none = {
        "ts": pa.array([], pa.int64()),
        "symbol": pa.array([], pa.string()),
        "kind": pa.array([], pa.string()),
        "ratio": pa.array([], kind),
        "row_id": pa.array([], pa.string()),
    }
    plain, expected = UniverseBars.of_table(table, pa.table(none)), UniverseBars.of(bars)
    assert plain.symbols == expected.symbols and np.array_equal(plain.ts, expected.ts)
    for name in ("open", "high", "low", "close", "volume"):
        assert np.allclose(getattr(plain, name), getattr(expected, name), rtol=1e-12, equal_nan=True)
    at = bars["A"][20].ts
    split = pa.table(
        {"ts": pa.array([at], pa.int64()), "symbol": ["A"], "kind": ["split"], "ratio": pa.array([Decimal(2)], kind), "row_id": ["1"]}
    )
    changed = UniverseBars.of_table(table, split)
    assert np.allclose(changed.close[0, 20:], 2 * expected.close[0, 20:]) and np.allclose(
        changed.volume[0, 20:], expected.volume[0, 20:] / 2
    )
    assert np.allclose(changed.close[0, :20], expected.close[0, :20])
