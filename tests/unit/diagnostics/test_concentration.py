"""D2 against a plain calculation, and worked by hand."""

import math
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.diagnostics import concentration as d2
from portfolio_platform.diagnostics import rows as table_rows
from portfolio_platform.diagnostics.concentration import Concentration, Exposures, concentration
from portfolio_platform.diagnostics.pipeline import concentration as stage
from portfolio_platform.diagnostics.pipeline import heat
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import assigned_policies
from tests.conftest import LAST_DAY, copied

Row = tuple[int, float, bool, str, str]  # session, value, stale, symbol, sector


def exposures(rows: list[Row]) -> Exposures:
    """Return exposures over two dimensions: symbol, and sector with `unclassified` as its unknown."""
    ordered = sorted(rows, key=lambda row: (row[0], row[3], row[4]))
    names = tuple(tuple(sorted({row[place] for row in rows})) for place in (3, 4))
    group = [[names[0].index(row[3]), names[1].index(row[4])] for row in ordered]
    return Exposures(
        session=np.array([row[0] for row in ordered], np.int64),
        value=np.array([row[1] for row in ordered], np.float64),
        stale=np.array([row[2] for row in ordered], bool),
        group=np.array(group, np.int64).reshape(-1, 2),
        names=names,
        unclassified=(-1, names[1].index("unclassified") if "unclassified" in names[1] else -1),
    )


def of(*pairs: tuple[str, float], equity: float = 1000.0, sector: str = "tech") -> tuple[Concentration, Exposures]:
    given_ = exposures([(0, value, False, name, sector) for name, value in pairs])
    return concentration(given_, np.array([equity])), given_


def test_shares_of_a_book_worked_by_hand() -> None:
    # |500|, |-300|, |200| of 1000 gross: shares .5 .3 .2; HHI .25 + .09 + .04 = .38; N_eff 2.6316; (.38 - 1/3)/(2/3) = .07
    found, names = of(("A", 500.0), ("B", -300.0), ("C", 200.0), equity=2000.0)
    figures = found.figures[0, 0]
    assert figures[d2.HHI] == pytest.approx(0.38)
    assert figures[d2.EFFECTIVE] == pytest.approx(1 / 0.38)
    assert figures[d2.NORMALISED] == pytest.approx(0.07)
    assert (figures[d2.CR1], figures[d2.CR3]) == (pytest.approx(0.5), pytest.approx(1.0))
    # caps bind on exposure over equity: 500 / 2000
    assert figures[d2.TOP_EXPOSURE] == pytest.approx(0.25)
    assert (names.names[0][found.top[0, 0]], found.groups[0, 0], found.gross[0]) == ("A", 3, 1000.0)


def test_one_group_is_fully_concentrated() -> None:
    figures = of(("A", -10.0))[0].figures[0, 0]
    assert (figures[d2.HHI], figures[d2.NORMALISED], figures[d2.EFFECTIVE], figures[d2.CR1], figures[d2.CR3]) == (1.0, 1.0, 1.0, 1.0, 1.0)


def test_equal_groups_are_not_concentrated_and_the_first_by_name_is_on_top() -> None:
    found, names = of(("B", 5.0), ("A", -5.0), ("D", 5.0), ("C", 5.0))
    assert found.figures[0, 0, d2.NORMALISED] == pytest.approx(0.0, abs=1e-15)
    assert found.figures[0, 0, d2.EFFECTIVE] == pytest.approx(4.0)
    assert names.names[0][found.top[0, 0]] == "A"


def test_long_and_short_of_one_group_add_up_in_gross_and_cancel_in_net() -> None:
    given_ = exposures([(0, 300.0, False, "A", "tech"), (0, -300.0, False, "A", "tech"), (0, 200.0, False, "B", "tech")])
    found = concentration(given_, np.array([1000.0]))
    rows = {given_.names[d][g]: (x, n) for d, g, x, n in zip(*columns(found), strict=True) if d == 0}
    assert rows == {"A": (600.0, 0.0), "B": (200.0, 200.0)}
    assert found.figures[0, 0, d2.CR1] == pytest.approx(0.75)


def columns(found: Concentration) -> tuple[list[int], list[int], list[float], list[float]]:
    return found.group_dimension.tolist(), found.group_code.tolist(), found.group_exposure.tolist(), found.group_net.tolist()


def test_what_is_unclassified_is_its_own_group_and_the_worst_case_gives_it_to_the_largest() -> None:
    # tech 400, energy 250, unclassified 350 of 1000: coverage .65, worst case (400 + 350) / 1000
    rows = [(0, 400.0, False, "A", "tech"), (0, 250.0, False, "B", "energy"), (0, 350.0, False, "C", "unclassified")]
    figures = concentration(exposures(rows), np.array([1000.0])).figures[0, 1]
    assert (figures[d2.COVERAGE], figures[d2.CR1], figures[d2.WORST_CASE]) == (pytest.approx(0.65), pytest.approx(0.4), pytest.approx(0.75))
    # where the unclassified is itself the largest group, it would join the largest classified one
    rows[2] = (0, 900.0, False, "C", "unclassified")
    given_ = exposures(rows)
    found = concentration(given_, np.array([1000.0]))
    assert given_.names[1][found.top[0, 1]] == "unclassified"
    assert found.figures[0, 1, d2.WORST_CASE] == pytest.approx(1300 / 1550)


def test_nothing_classified_at_all_is_one_unknown_group() -> None:
    found = concentration(exposures([(0, 5.0, False, "A", "unclassified")]), np.array([1000.0]))
    assert (found.figures[0, 1, d2.COVERAGE], found.figures[0, 1, d2.WORST_CASE]) == (0.0, 1.0)


def test_a_stale_mark_and_a_missing_rate_null_their_session_alone_and_say_why() -> None:
    rows = [
        (0, 5.0, False, "A", "tech"), (1, 5.0, True, "A", "tech"), (1, 5.0, False, "B", "tech"), (2, math.nan, True, "A", "tech"),
        (2, 5.0, False, "B", "tech"), (4, 0.0, False, "A", "tech"), (5, 7.0, False, "B", "tech"),
    ]  # fmt: skip
    found = concentration(exposures(rows), np.full(6, 100.0))
    assert [d2.REASONS[status] for status in found.status] == ["", "stale_mark", "missing_fx_rate", "no_exposure", "no_exposure", ""]
    assert [bool(np.isnan(found.figures[s]).all()) for s in range(6)] == [False, True, True, True, True, False]
    assert found.top[1:5].max() == -1


@pytest.mark.parametrize("equity", [0.0, -50.0, math.nan])
def test_without_positive_equity_shares_stay_and_exposure_over_equity_is_null(equity: float) -> None:
    figures = of(("A", 5.0), ("B", 5.0), equity=equity)[0].figures[0, 0]
    assert np.isnan(figures[d2.TOP_EXPOSURE])
    assert figures[d2.HHI] == pytest.approx(0.5)


def test_no_sessions_and_no_rows_are_no_error() -> None:
    nothing = Exposures(np.empty(0, np.int64), np.empty(0), np.empty(0, bool), np.empty((0, 2), np.int64), ((), ()), (-1, -1))
    assert concentration(nothing, np.empty(0)).figures.shape == (0, 2, d2.FIGURES)
    assert [d2.REASONS[status] for status in concentration(nothing, np.full(2, 5.0)).status] == ["no_exposure"] * 2


def plain(rows: list[Row], session: int, place: int, equity: float) -> dict[str, Any] | None:
    """Return a session's figures of one dimension by the definitions."""
    mine = [row for row in rows if row[0] == session]
    gross: dict[str, float] = {}
    for row in mine:
        gross[row[place]] = gross.get(row[place], 0.0) + abs(row[1])
    total = sum(gross.values())
    if any(row[2] or math.isnan(row[1]) for row in mine) or total == 0.0:
        return None
    shares = {name: amount / total for name, amount in gross.items() if amount > 0.0}
    hhi, n = sum(p * p for p in shares.values()), len(shares)
    ranked = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    unknown = shares.get("unclassified", 0.0) if place == 4 else 0.0
    others = [p for name, p in shares.items() if place == 3 or name != "unclassified"]
    return {
        "n": n, "top": ranked[0][0],
        "figures": [
            hhi, 1.0 if n == 1 else (hhi - 1 / n) / (1 - 1 / n), 1 / hhi, ranked[0][1], sum(p for _, p in ranked[:3]), 1 - unknown,
            ranked[0][1], ranked[0][1] * total / equity if equity > 0 else math.nan, max(others, default=0.0) + unknown,
        ],
    }  # fmt: skip


amounts = st.one_of(st.integers(-1000, 1000).map(float), st.just(math.nan))
rows_ = st.tuples(
    st.integers(0, 5),
    amounts,
    st.sampled_from([False] * 9 + [True]),
    st.sampled_from("ABCDEF"),
    st.sampled_from(["t", "u", "unclassified"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(rows_, min_size=1, max_size=25), st.lists(st.sampled_from([1000.0, 250.0, 0.0, -5.0]), min_size=6, max_size=6))
def test_every_figure_is_that_of_the_plain_calculation(rows: list[Row], equity: list[float]) -> None:
    given_ = exposures(rows)
    found = concentration(given_, np.array(equity))
    for session in range(6):
        for dimension, place in enumerate((3, 4)):
            expected = plain(rows, session, place, equity[session])
            if expected is None:
                assert np.isnan(found.figures[session, dimension]).all()
                assert found.status[session] > 0
                continue
            assert found.figures[session, dimension].tolist() == pytest.approx(expected["figures"], nan_ok=True, abs=1e-12)
            assert found.groups[session, dimension] == expected["n"]
            # amounts are whole, so a tie is a tie
            assert given_.names[dimension][found.top[session, dimension]] == expected["top"]


@settings(max_examples=60, deadline=None)
@given(st.lists(rows_, min_size=1, max_size=25))
def test_group_rows_sum_to_gross_and_each_session_stands_alone(rows: list[Row]) -> None:
    given_ = exposures(rows)
    found = concentration(given_, np.full(6, 1000.0))
    for session in range(6):
        for dimension in (0, 1):
            here = (found.group_session == session) & (found.group_dimension == dimension)
            if not math.isnan(found.gross[session]):
                assert found.group_exposure[here].sum() == pytest.approx(found.gross[session])
        mine = [(0, *row[1:]) for row in rows if row[0] == session]
        if mine:
            alone = concentration(exposures(mine), np.array([1000.0]))
            assert np.array_equal(alone.figures[0], found.figures[session], equal_nan=True)


# --- the basis of risk ---


def lots_and_risks(
    lots: list[tuple[str, str, int, float]], risks: list[tuple[str, float | None]]
) -> tuple[Exposures, pa.Table, pa.Table, np.ndarray]:
    """Return one session's lots (symbol, template, quantity, value) and risks by symbol, of one strategy and currency."""
    table = pa.table(
        {
            "strategy": ["s"] * len(lots),
            "symbol": [row[0] for row in lots],
            "currency": ["USD"] * len(lots),
            "template": [row[1] for row in lots],
            "playbook": ["p"] * len(lots),
            "quantity": pa.array([row[2] for row in lots]).cast(pa.decimal128(38, 18)),
            "market_value_base": pa.array([row[3] for row in lots], pa.float64()),
            "stale": [False] * len(lots),
        }
    )
    of_risk = pa.table(
        {
            "strategy": ["s"] * len(risks),
            "symbol": [row[0] for row in risks],
            "currency": ["USD"] * len(risks),
            "risk": pa.array([row[1] for row in risks], pa.float64()),
        }
    )
    instruments = pa.table({"symbol": ["A", "B"], "cohort": ["c", None], "sector": ["t", "t"]})
    given_ = table_rows.exposures(table, np.zeros(len(lots), np.int64), instruments)
    return given_, table, of_risk, np.zeros(len(risks), np.int64)


def test_a_position_s_risk_is_shared_by_its_lots_worked_by_hand() -> None:
    # A: 60 of 100 under trend and 72 of risk, so 43.2 and 28.8; B short with 28: 43.2 of 100 is trend, 56.8 fade
    gross, lots, risks, session = lots_and_risks(
        [("A", "fade", 40, 400.0), ("A", "trend", 60, 600.0), ("B", "fade", -5, -50.0)], [("A", 72.0), ("B", 28.0)]
    )
    risk = table_rows.risk_exposures(gross, lots, risks, session)
    assert risk.value.tolist() == pytest.approx([28.8, 43.2, -28.0])
    equity = np.array([1000.0])
    found = table_rows.risk_concentration(risk, concentration(gross, equity), equity)
    template = d2.DIMENSIONS.index("template")
    assert found.figures[0, template, d2.HHI] == pytest.approx(0.568**2 + 0.432**2)
    assert risk.names[template][found.top[0, template]] == "fade"
    assert found.figures[0, template, d2.TOP_EXPOSURE] == pytest.approx(0.0568)
    # over gross it is 450 against 600: trend is on top there
    assert gross.names[template][concentration(gross, equity).top[0, template]] == "trend"
    # the cohort of B is not known: 28 % of the risk
    assert found.figures[0, d2.DIMENSIONS.index("cohort"), d2.COVERAGE] == pytest.approx(0.72)


def test_a_null_risk_nulls_the_session_for_the_reason_of_its_exposures() -> None:
    gross, lots, risks, session = lots_and_risks([("A", "t", 40, 400.0), ("B", "t", -5, -50.0)], [("A", None), ("B", 28.0)])
    stale = Exposures(gross.session, gross.value, np.array([True, False]), gross.group, gross.names, gross.unclassified)
    equity = np.array([1000.0])
    over_gross = concentration(stale, equity)
    found = table_rows.risk_concentration(table_rows.risk_exposures(stale, lots, risks, session), over_gross, equity)
    assert [d2.REASONS[status] for status in (*over_gross.status, *found.status)] == ["stale_mark", "stale_mark"]
    assert np.isnan(found.figures).all()
    # a lot whose position is missing among the risks is null, never 0
    assert math.isnan(table_rows.risk_exposures(gross, lots, risks.slice(1), session[1:]).value[0])


@pytest.fixture(scope="module")
def built(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, pa.Table, pa.Table]:
    """The sample with its risks, and concentration over both bases."""
    home = copied(sample_home, tmp_path_factory.mktemp("risk") / "home")
    with home.lake.writing():
        for table, rows in heat.compute(home, assigned_policies(home), Plan(home.first_day, LAST_DAY, 1, {})).items():
            home.lake.replace_from(table, home.first_day, rows)
    return home, *run(home, home.first_day, LAST_DAY)


def run(home: Home, first: date, until: date) -> tuple[pa.Table, pa.Table]:
    found = stage.compute(home, assigned_policies(home), Plan(first, until, 1, {}))
    return found[derived.CONCENTRATION_METRICS].combine_chunks(), found[derived.CONCENTRATION_GROUPS].combine_chunks()


def test_the_risk_of_every_dimension_sums_to_the_active_risk_and_its_shares_to_one(built: tuple[Home, pa.Table, pa.Table]) -> None:
    home, metrics, groups = built
    active = {(row["day"], row["portfolio"]): row["active_risk"] for row in home.lake.read(derived.PORTFOLIO_HEAT).to_pylist()}
    risk = (
        groups.filter(pc.field("basis") == "risk")
        .group_by(["day", "portfolio", "dimension"])
        .aggregate([("exposure", "sum"), ("share", "sum")])
    )
    assert len(risk) == 6 * sum(amount > 0.0 for amount in active.values())
    for row in risk.to_pylist():
        assert row["exposure_sum"] == pytest.approx(active[row["day"], row["portfolio"]])
        assert row["share_sum"] == pytest.approx(1.0)
    assert len(metrics) == 2 * 6 * len(active)
    gross, over_risk = (metrics.filter(pc.field("basis") == basis) for basis in ("gross", "risk"))
    assert over_risk["reason"].equals(gross["reason"])
    assert over_risk["groups"].equals(gross["groups"])


def test_rows_of_both_bases_are_sorted_by_key_and_a_day_alone_is_that_day_of_the_range(built: tuple[Home, pa.Table, pa.Table]) -> None:
    home, *tables = built
    for declared, rows in zip((derived.CONCENTRATION_METRICS, derived.CONCENTRATION_GROUPS), tables, strict=True):
        assert rows.equals(rows.sort_by([(name, "ascending") for name in declared.key]))
    for day in (date(2007, 1, 3), date(2008, 10, 5), date(2009, 9, 21)):
        for whole, alone in zip(tables, run(home, day, day), strict=True):
            assert alone.equals(whole.filter(pc.field("day") == day))


def test_shares_of_gross_exposure_are_those_of_the_lots(built: tuple[Home, pa.Table, pa.Table]) -> None:
    home, _, groups = built
    day = date(2009, 9, 21)
    lots = home.lake.read(derived.LOT_EXPOSURES, None, (pc.field("day") == day) & (pc.field("portfolio") == "core")).to_pylist()
    total = sum(abs(lot["market_value_base"]) for lot in lots)
    mine = groups.filter((pc.field("day") == day) & (pc.field("portfolio") == "core") & (pc.field("basis") == "gross"))
    for row in mine.filter(pc.field("dimension") == "playbook").to_pylist():
        own = sum(abs(lot["market_value_base"]) for lot in lots if lot["playbook"] == row["group"])
        assert row["share"] == pytest.approx(own / total)
