"""The paper account: exact cash, positions, worth and open risk, worked out by hand and against plain sums."""

from fractions import Fraction

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from immutables import Map

from portfolio_platform.broker.model import UNIT, Filled, Labels, Side
from portfolio_platform.control.events import Stated
from portfolio_platform.paper.account import EXACT, as_control_fill, exact_of, minor_of, traded, worth
from portfolio_platform.paper.model import Held


def fill(side: Side, quantity: int, price: int, *, fee: int = 0, stop: int = 0, multiplier: int = UNIT) -> Filled:
    labels = Labels(
        portfolio="p", strategy="instruments", intent_id="i", template="t", playbook="b", stop_price=stop, multiplier=multiplier
    )
    return Filled(
        5, "e", "o", "p", "X", side, quantity, price, price, fee, 0, "accepted", "filled", 0, "open", False, 1, labels
    )  # fmt: skip


def test_a_trade_worked_out_by_hand() -> None:
    # buy 10 at 100.005 with a fee of 1.50, stop at 95; sell 4 at 101: cash 1000 - 1000.05 - 1.50 + 404 = 402.45
    cash, held = traded(exact_of(100_000, 2), Map(), fill("buy", 10 * UNIT, 100_005 * 10**15, fee=150, stop=95 * UNIT), 2)
    assert held["X"] == Held(10 * UNIT, UNIT, 95 * UNIT, "t", "b")
    cash, held = traded(cash, held, fill("sell", 4 * UNIT, 101 * UNIT), 2)
    assert minor_of(cash, 2) == 40_245
    assert held["X"].quantity == 6 * UNIT
    # at a mark of 99: 402.45 + 594; at risk 6 * (99 - 95) and a tenth of a per cent of 594 for leaving
    found = worth(cash, held, {"X": 99 * UNIT}, "s", 2, 1_000)
    assert (found.equity, found.gross, found.risk) == (99_645, 59_400, 2_459)
    assert found.positions == (Stated("s", "X", 6 * UNIT, 2_459, 59_400, "t", "b"),)
    _, flat = traded(cash, held, fill("sell", 6 * UNIT, 99 * UNIT), 2)
    assert not flat


def test_without_a_stop_that_protects_all_of_the_exposure_is_at_risk() -> None:
    short = Map({"X": Held(-2 * UNIT, 10 * UNIT, 105 * UNIT, "", "")})
    assert worth(0, short, {"X": 100 * UNIT}, "s", 2, 0).risk == 2 * 10 * 5 * 100
    assert worth(0, short, {"X": 106 * UNIT}, "s", 2, 0).risk == 2 * 10 * 106 * 100
    assert worth(0, Map({"X": Held(UNIT, UNIT, 0, "", "")}), {"X": UNIT}, "s", 2, 0).risk == 100


def test_a_flip_opens_the_other_side_under_its_own_names() -> None:
    held = Map({"X": Held(UNIT, UNIT, 90 * UNIT, "old", "old")})
    _, after = traded(0, held, fill("sell", 3 * UNIT, 100 * UNIT, stop=110 * UNIT), 2)
    assert after["X"] == Held(-2 * UNIT, UNIT, 110 * UNIT, "t", "b")


def test_the_control_plane_is_told_the_loss_at_the_stop() -> None:
    told = as_control_fill(fill("buy", 3 * UNIT, 100 * UNIT, stop=98 * UNIT), 2)
    assert (told.quantity, told.exposure, told.risk) == (3 * UNIT, 30_000, 600)
    assert as_control_fill(fill("buy", UNIT, 100 * UNIT, stop=101 * UNIT), 2).risk is None
    assert as_control_fill(fill("sell", UNIT, 100 * UNIT), 2).risk is None


@examples(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(("buy", "sell")), st.integers(1, 10**21), st.integers(1, 10**21), st.integers(0, 500)), max_size=12)
)
def test_cash_is_the_exact_sum_of_what_was_traded(trades: list[tuple[Side, int, int, int]]) -> None:
    cash, held = 0, Map[str, Held]()
    total, quantity = Fraction(0), 0
    for side, size, price, fee in trades:
        cash, held = traded(cash, held, fill(side, size, price, fee=fee), 2)
        sign = 1 if side == "buy" else -1
        total -= sign * Fraction(size, UNIT) * Fraction(price, UNIT) + Fraction(fee, 100)
        quantity += sign * size
    assert Fraction(cash, EXACT) == total
    assert (held["X"].quantity if "X" in held else 0) == quantity
