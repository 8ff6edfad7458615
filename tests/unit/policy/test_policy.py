"""Policies: the shipped file says what the model says, and a fault in a file is named."""

import pytest

from portfolio_platform.errors import DataProblem
from portfolio_platform.policy.load import default_policy, load_policy
from portfolio_platform.policy.model import DEFAULT_POLICY_FILE, Policy


def test_the_shipped_file_and_the_defaults_of_the_model_are_one():
    assert default_policy() == Policy()


def test_comments_and_order_do_not_change_the_hash(tmp_path):
    lines = DEFAULT_POLICY_FILE.read_text().splitlines()
    plain = tmp_path / "plain.toml"
    plain.write_text("\n".join(line.split("#")[0] for line in lines))
    assert load_policy(plain).hash == default_policy().hash


def test_a_threshold_changes_the_hash():
    assert Policy(version=2).hash != Policy().hash


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[drawdown]\newma_lamda = 0.9", "drawdown.ewma_lamda"),
        ("[drawdown]\newma_lambda = 1.5", "less than 1"),
        ("[accounting]\nflow_timing = 'noon'", "accounting.flow_timing"),
        ("name = ", "no TOML"),
    ],
)
def test_a_fault_is_named_with_file_and_key(tmp_path, line, said):
    path = tmp_path / "mine.toml"
    path.write_text(line)
    with pytest.raises(DataProblem, match=r"mine\.toml") as caught:
        load_policy(path)
    assert said in str(caught.value)


def test_a_portfolio_may_have_its_own_policy(home, tmp_path):
    """Its regime follows its own thresholds; the accounting stays the default's."""
    from portfolio_platform.policy.assigned import assigned_policies
    from portfolio_platform.sources.pipeline import import_paths

    strict = DEFAULT_POLICY_FILE.read_text().replace('name = "default"', 'name = "strict"').replace("0.06", "0.02")
    (home.policies / "strict.toml").write_text(strict)
    (tmp_path / "portfolios.csv").write_text("portfolio,mode,base_currency,policy\ncore,live,USD,strict\nmacro,paper,USD,default\n")
    import_paths(home, [tmp_path / "portfolios.csv"])
    assigned = assigned_policies(home)
    assert assigned.of("core").drawdown.regime.defensive_drawdown == 0.02
    assert assigned.of("macro") == default_policy()
    assert assigned.live == {"core"}
    assert assigned.hash != default_policy().hash
