"""Rules and remedies as policy: what is laid over the shipped ones, and what is refused."""

import pytest

from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.policy.alerts import AlertPolicy, RecommendationPolicy, Rule
from portfolio_platform.policy.load import default_policy, load_policy
from portfolio_platform.policy.model import Policy


def written(tmp_path, text: str) -> Policy:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_policy(path)


def test_every_shipped_rule_looks_at_metrics_that_there_are():
    for rule in default_policy().alerts.rules.values():
        assert {rule.metric, *(condition.metric for condition in rule.also)} <= set(BY_NAME)


def test_every_shipped_remedy_is_that_of_a_shipped_rule_and_every_regime_has_a_mode():
    policy = default_policy()
    assert set(policy.recommendations.remedies) <= set(policy.alerts.rules)
    assert set(policy.recommendations.modes) == {"normal", "defensive", "risk_off", "probation"}


def test_a_home_names_only_what_is_different(tmp_path):
    mine = written(
        tmp_path, "[alerts.rules.heat]\nwarning = 0.5\n[recommendations.remedies.heat]\nstep = 0.5\n[alerts.rules.churn]\nenabled = false\n"
    )
    shipped = default_policy()
    assert (mine.alerts.rules["heat"].warning, mine.alerts.rules["heat"].critical) == (0.5, 1.0)
    assert not mine.alerts.rules["churn"].enabled
    assert mine.alerts.rules["drawdown"] == shipped.alerts.rules["drawdown"]
    assert (mine.recommendations.remedies["heat"].step, mine.recommendations.remedies["heat"].kind) == (0.5, "heat")
    assert mine.recommendations.modes == shipped.recommendations.modes
    assert mine.recommendations.heat_step == shipped.recommendations.heat_step


@pytest.mark.parametrize(
    ("inhibit", "said"),
    [
        ({"drawdown_regimes": ("drawdown",)}, "no rule"),
        ({"drawdown": ("slippage",)}, "no rule"),
        ({"drawdown": ("drawdown",)}, "silent by itself"),
        ({"drawdown": ("heat",), "heat": ("stack",), "stack": ("drawdown",)}, "silent by itself"),
    ],
)
def test_rules_that_would_make_each_other_silent_are_refused(inhibit, said):
    with pytest.raises(ValueError, match=said):
        AlertPolicy.model_validate({"inhibit": inhibit})


def test_a_leaving_share_above_one_is_its_inverse():
    words = {"metric": "drawdown", "warning": 1.0, "lookback": "session", "sentence": ".", "action": "."}
    assert Rule.model_validate(words | {"leave": 1.25}).leave == 0.8
    with pytest.raises(ValueError, match="greater than 0"):
        Rule.model_validate(words | {"leave": 0.0})


def test_a_mode_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="'normal', 'defensive' or 'risk_off'"):
        RecommendationPolicy.model_validate({"modes": {"normal": "reckless"}})


def test_a_rule_pages_unless_it_says_otherwise():
    rules = default_policy().alerts.rules
    assert rules["drawdown"].pages and not rules["crowding"].pages


def test_a_key_that_nothing_reads_any_more_is_still_read_over(tmp_path):
    """Homes have the whole shipped file, and the book keeps policies as they were: neither may break by a key that went."""
    policy = written(tmp_path, 'name = "mine"\n[recommendations]\nconfidence = 0.9\nvalid_sessions = 7\n')
    assert policy.recommendations.valid_sessions == 7
    assert "confidence" not in policy.recommendations.model_dump()


def test_a_threshold_can_be_asked_for_in_one_session_or_two_and_in_no_more():
    given = {"metric": "heat", "warning": 1.0, "lookback": "", "sentence": "", "action": ""}
    assert Rule.model_validate(given).enter_sessions == 1
    assert Rule.model_validate({**given, "enter_sessions": 2}).enter_sessions == 2
    with pytest.raises(ValueError, match="less than or equal to 2"):
        Rule.model_validate({**given, "enter_sessions": 3})
