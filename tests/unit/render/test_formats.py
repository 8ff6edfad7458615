import math

import pytest

from portfolio_platform.render import formats
from tests.unit.render.factory import figure, position


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.06, "6.0 %"),
        (1.3366, "133.7 %"),
        (-0.0111, "−1.1 %"),
        (0.0, "0.0 %"),
        (0.0001, "≈ 0.0 %"),
        (-0.0001, "≈ 0.0 %"),
        (2e-16, "0.0 %"),
    ],
)
def test_a_fraction_becomes_a_percentage_only_here(fraction: float, text: str) -> None:
    assert formats.percent(fraction) == text


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf])
def test_what_is_no_number_is_a_dash(nothing: float | None) -> None:
    assert {formats.percent(nothing), formats.money(nothing), formats.price(nothing), formats.number(nothing, 2)} == {"–"}


def test_money_has_separators_and_no_needless_decimals() -> None:
    assert formats.money(1_998_988.4182, "USD") == "1,998,988 USD"
    assert formats.money(-4673.7422) == "−4,673.74"
    assert formats.money(0.0) == "0.00"
    assert formats.money(0.00012345) == "0.00012345"
    assert formats.money(-0.0) == "0.00"


def test_a_price_keeps_the_digits_that_matter() -> None:
    assert [formats.price(value) for value in (2652.8701, 88.0161, 0.0000123456, 0.0)] == ["2,652.87", "88.0161", "0.0000123456", "0.0000"]


def test_no_digit_of_a_quantity_is_lost() -> None:
    assert formats.quantity("-1234567.00000001") == "−1,234,567.00000001"
    assert formats.quantity("about\n3") == "about 3"


def test_a_change_has_arrow_sign_and_unit() -> None:
    assert formats.change(figure("gross", 1.0, change_day=0.2), "day") == "▲ +20.00 pp"
    assert formats.change(figure("equity", 5e5, "base currency", change_week=-12213.8), "week") == "▼ −12,214"
    assert formats.change(figure("open", 3, "count", change_day=-2.0), "day") == "▼ −2"
    assert formats.change(figure("z_5", 1.0, "sigma", change_day=0.5), "day") == "▲ +0.50 σ"


def test_noise_is_no_change_and_a_small_change_is_called_so() -> None:
    assert formats.change(figure("gross", 1.0, change_day=2.2e-16), "day") == "="
    assert formats.change(figure("gross", 1.0, change_day=1e-6), "day") == "≈ 0"
    assert formats.change(figure("gross", 1.0), "day") == "–"


def test_only_what_is_good_or_bad_by_itself_has_a_tone() -> None:
    assert formats.tone(figure("drawdown", 0.1, change_day=0.01), "day") == "worse"
    assert formats.tone(figure("equity", 10.0, "base currency", change_day=1.0), "day") == "better"
    assert formats.tone(figure("gross_exposure_pct", 1.0, change_day=0.2), "day") == ""


def test_a_null_says_why() -> None:
    assert formats.value_or_reason(figure("sharpe_60", None, "1", reason="fewer than 60")) == "– (fewer than 60)"
    assert formats.value_or_reason(figure("sharpe_60", None, "1")) == "– (no reason given)"


def test_a_mark_that_is_not_todays_bar_is_called_approximate() -> None:
    assert formats.mark(position(mark=10.0)) == "10.0000"
    assert formats.mark(position(mark=10.0, mark_source="fill", mark_age=6)) == "10.0000 (≈ last fill), 6 sessions old"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.8, "fraction", "80.0 %"),
        (0.8, "fraction of cap", "80.0 %"),
        (34223.4, "base currency", "34,223 USD"),
        (3.0, "count", "3"),
        (0.0123, "probability", "0.0123"),
        (-2.25, "bps", "−2.2 bps"),
        (6.5, "bars", "6.5 bars"),
        (60.0, "s", "60.00 s"),
        (None, "bars", "–"),
    ],
)
def test_a_number_of_an_alert_is_written_in_its_unit(value: float | None, unit: str, text: str) -> None:
    assert formats.measured(value, unit, "USD") == text


def test_a_move_has_a_sign_and_a_share_moves_in_points() -> None:
    assert [formats.moved(value, "fraction") for value in (0.046, -0.02, 0.0, None)] == ["+4.6 pp", "−2.0 pp", "=", "–"]
    assert formats.moved(-0.0748, "1") == "−0.07" and formats.moved(1e-9, "1") == "="


@pytest.mark.parametrize(
    ("sessions", "text"),
    [(0.2, "about 1 session"), (57.2, "about 58 sessions"), (623.19, "about 2.5 years"), (22739.0, "about 90 years"), (None, "–")],
)
def test_a_long_wait_is_told_in_years(sessions: float | None, text: str) -> None:
    assert formats.how_long(sessions) == text
