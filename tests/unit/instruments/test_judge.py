"""What a symbol's own outcomes say of it: worked by hand, and for any outcomes."""

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.codec import from_bytes, to_bytes
from portfolio_platform.instruments.judge import Judge, JudgeTerms, OutcomeReviewer, binomial_chance, streak_chance
from portfolio_platform.instruments.model import AskJudge, InstrumentConfig, JudgeFeedback, Outcome
from portfolio_platform.instruments.playbook import ALL, Playbook, Statistic
from portfolio_platform.instruments.playbook_loading import Shelf, shipped

DAY = 86_400 * 10**9
CONFIG = InstrumentConfig("core", "AAPL")
HALF, FULL, QUARTER = 500_000, 1_000_000, 250_000
STATISTIC = Statistic(regime=ALL, n=50, win_rate_pct=Decimal(40), mean_r=Decimal("0.1"), sd_r=Decimal("1.25"), hold_p50=5, hold_p90=10)
PLAYBOOK: Playbook = shipped().named("donchian_channel").model_copy(update={"expectations": (STATISTIC,)})
JUDGE = OutcomeReviewer(Shelf({PLAYBOOK.name: PLAYBOOK}))


def trades(*results: float, bars: int = 5) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(
            trade_id=f"t{place:03}", template=PLAYBOOK.template, playbook=PLAYBOOK.name, regime="bull_vol_low", direction="long",
            opened_at=place * DAY, closed_at=(place + 1) * DAY, bars=bars, r_ppm=round(result * FULL), pnl_minor=0,
            exit="stop" if result < 0 else "target",
        )
        for place, result in enumerate(results)
    )  # fmt: skip


def review(outcomes: tuple[Outcome, ...], judge: Judge = JUDGE, now: int = 1000 * DAY) -> JudgeFeedback:
    return judge.review(AskJudge(now, "asked", outcomes), CONFIG, now)


def test_few_trades_say_nothing_and_that_is_said() -> None:
    found = review(trades(-1, 2, -1))
    assert (found.stance, found.size_ppm, found.blocked_until) == ("neutral", FULL, 0)
    assert found.reasons == ("3 closed trades, fewer than 10: too few to say anything of their mean",)
    assert review(()).stance == "neutral"


def test_a_mean_result_that_is_surely_below_zero_halves_the_size() -> None:
    # -0.60 + 1.2816 * 1.25 / sqrt(10) = -0.093
    found = review(trades(-1, -1, 0.5, -1, -1, 0.5, -1, -1, -1.5, 0.5))
    assert (found.stance, found.size_ppm) == ("cautious", HALF)
    assert found.reasons[0] == "mean result -0.60 R over 10 trades, its upper 90 % bound -0.09 R is below 0"


def test_a_mean_result_that_may_be_chance_changes_nothing() -> None:
    # -0.30 + 1.2816 * 1.25 / sqrt(10) = 0.20
    found = review(trades(-1, 0.5, -1, 0.5, -1, 0.5, -1, 0.5, -1, 0))
    assert (found.stance, found.size_ppm) == ("neutral", FULL)
    assert found.reasons[0] == "mean result -0.30 R over 10 trades, between -0.95 R and 0.20 R: no finding"


def test_a_good_mean_is_said_and_the_size_stays_the_usual_one() -> None:
    # 0.8 - 1.6449 * 1.25 / sqrt(12) = 0.20
    found = review(trades(*[1.6, 0, 1.6, 0] * 3, 1.6))
    assert (found.stance, found.size_ppm) == ("favourable", FULL)
    assert "the size stays the usual one" in found.reasons[0]


def test_a_mean_far_below_zero_over_twenty_trades_blocks_and_the_block_ends() -> None:
    # mean -0.75, bound -0.75 + 1.2816 * 1.25 / sqrt(20) = -0.39 < -0.25
    found = review(trades(*[-1, -1, -1, 0] * 4, -1, -1, -1, 0), now=1000 * DAY)
    assert (found.stance, found.size_ppm, found.blocked_until) == ("block", QUARTER, 1028 * DAY)
    assert found.reasons[0] == "mean result -0.75 R over 20 trades, its upper 90 % bound -0.39 R is below -0.25 R"


def test_a_losing_streak_is_held_against_how_long_one_is_expected_to_be() -> None:
    # four of four at 60 % losses: 0.6 ** 4 = 13 %; five of five: 7.8 %; nine of nine: 1.0078 %; ten of ten: 0.6 %
    assert [review(trades(*[-0.1] * n)).stance for n in (4, 5, 8)] == ["neutral", "cautious", "cautious"]
    five = review(trades(*[-0.1] * 5))
    assert five.size_ppm == HALF
    assert "5 losses in a row of 5 trades; at 60.0 % losses that is seen in 7.7 % of such samples" in five.reasons
    ten = review(trades(*[-0.1] * 10), now=5 * DAY)
    assert (ten.stance, ten.blocked_until) == ("block", 33 * DAY)


def test_holding_longer_than_expected_is_cautious_where_it_is_no_chance() -> None:
    # P(Bin(12, 0.1) >= 3) = 11.1 %, >= 4: 2.6 %
    long, usual = trades(*[1, -1] * 6, bars=11), trades(*[1, -1] * 6, bars=10)
    assert review((*long[:3], *usual[3:])).size_ppm == FULL
    four = review((*long[:4], *usual[4:]))
    assert (four.stance, four.size_ppm) == ("cautious", 750_000)
    assert "4 of 12 trades were held beyond the expected P90, where one in ten is; chance 2.5 %" in four.reasons
    flattened = tuple(trade._replace(exit="flatten") for trade in long)
    assert review(flattened).size_ppm == FULL


def test_a_loss_does_not_lift_a_finding_that_more_trades_weaken() -> None:
    # mean -0.51, bound -0.003; with one more trade near zero: mean -0.464, bound +0.02
    before = trades(-1, -1, 0.5, -1, -1, 0.5, -1, -1, -0.6, 0.5)
    after = (*before, *(trade._replace(trade_id="x", closed_at=500 * DAY) for trade in trades(-0.001)))
    assert review(before).size_ppm == HALF
    found = review(after)
    assert (found.stance, found.size_ppm) == ("cautious", HALF)
    assert found.reasons[-1] == "the size stays at 50.0 %: a losing trade does not raise it"


def test_a_trade_that_is_told_twice_counts_once_and_the_order_of_telling_does_not_matter() -> None:
    told = trades(-1, 2, -1, -1, 1, -1, -1, 2, -1, -1, -1)
    assert review(told) == review((*told[::-1], *told))


def test_an_unknown_playbook_is_held_against_the_terms_own_numbers() -> None:
    foreign = tuple(trade._replace(playbook="gone") for trade in trades(*[-1] * 5))
    # one half of losses: 0.5 ** 5 = 3.1 %
    assert "at 50.0 % losses that is seen in 3.1 % of such samples" in " ".join(review(foreign).reasons)


def test_feedback_has_an_identity_by_content_and_survives_a_log() -> None:
    one, same, later = review(trades(-1)), review(trades(-1)), review(trades(-1), now=1001 * DAY)
    assert one == same
    assert one.feedback_id != later.feedback_id
    assert from_bytes(to_bytes(one, JudgeFeedback), JudgeFeedback) == one


RESULTS = st.lists(st.sampled_from([-2.0, -1.0, -0.3, -0.001, 0.0, 0.4, 1.0, 3.0]), max_size=48)


@settings(max_examples=60, deadline=None)
@given(RESULTS)
def test_the_size_is_never_above_the_usual_one_and_a_block_has_an_end(results: list[float]) -> None:
    found = review(trades(*results), now=100 * DAY)
    assert 0 < found.size_ppm <= FULL
    assert (found.blocked_until > 100 * DAY) == (found.stance == "block")
    assert (found.stance in ("cautious", "block")) == (found.size_ppm < FULL)
    assert found.reasons


@settings(max_examples=60, deadline=None)
@given(RESULTS, st.sampled_from([-2.0, -1.0, -0.3, -0.001, 0.0]))
def test_one_more_loss_never_raises_the_size(results: list[float], loss: float) -> None:
    assert review(trades(*results, loss)).size_ppm <= review(trades(*results)).size_ppm


@settings(max_examples=60, deadline=None)
@given(RESULTS.filter(bool), st.data())
def test_a_worse_result_in_the_place_of_another_never_raises_the_size(results: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(results) - 1))
    worse = [*results[:place], min(results[place], data.draw(st.sampled_from([-2.0, -1.0, -0.001]))), *results[place + 1 :]]
    assert review(trades(*worse)).size_ppm <= review(trades(*results)).size_ppm


@pytest.mark.parametrize(("n", "length"), [(4, 1), (5, 2), (8, 3), (10, 5), (9, 9), (3, 4)])
def test_the_chance_of_a_streak_is_that_of_counting_every_sequence(n: int, length: int) -> None:
    loss = 300_000
    counted = 0.0
    for sequence in product("LW", repeat=n):
        if "L" * length in "".join(sequence):
            losses = sequence.count("L")
            counted += 0.3**losses * 0.7 ** (n - losses)
    assert abs(streak_chance(n, length, loss) - counted * FULL) <= 1


def test_the_binomial_chance_is_that_of_the_textbook() -> None:
    assert binomial_chance(2, 1, 500_000) == 750_000
    assert binomial_chance(3, 3, 100_000) == 1_000
    assert binomial_chance(5, 0, 100_000) == FULL


def test_the_reviewer_is_bounded_by_its_window() -> None:
    old = trades(*[-2] * 30, *[1, -0.5] * 20)
    assert review(old, OutcomeReviewer(JUDGE.shelf, JudgeTerms(window=40))) == review(old[30:])
