"""Looking through policies before they are used: what is wrong, what is odd, and what a person called a policy."""

from pathlib import Path

import pytest

from portfolio_platform.book import policies as archive
from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.home import Home
from portfolio_platform.policy.compare import compare, differences, of_section, values
from portfolio_platform.policy.load import default_policy, load_policy
from portfolio_platform.policy.named import find_policy
from portfolio_platform.policy.sound import ORDERED, doubts
from portfolio_platform.policy.validate import validate


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_shipped_policy_is_sound():
    assert doubts(default_policy(), BY_NAME.keys()) == []


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("[drawdown.regime]\ndefensive_drawdown = 0.2\n", "drawdown.regime.defensive_drawdown", "is more than drawdown.regime.risk_off"),
        ("[heat]\nsigma_minimum = 90\n", "heat.sigma_minimum", "no risk could ever be imputed"),
        ("[correlation]\nleave = 0.9\n", "correlation.leave", "at which they join"),
        ("[alerts.rules.heat]\nmetric = 'heta'\n", "alerts.rules.heat.metric", "'heta' is no metric"),
        ("[alerts.rules.heat]\nwarning = 1.0\n", "alerts.rules.heat.warning", "never warns"),
        ("[alerts.rules.heat]\nleave = 1.0\n", "alerts.rules.heat.leave", "come and go"),
        ("[alerts.rules.heat]\nenabled = false\n", "recommendations.remedies.heat", "is switched off"),
        ("[recommendations.remedies.hete]\nkind = 'heat'\n", "recommendations.remedies.hete", "is no rule"),
        ("[gates.minimum]\nhete = 3\n", "gates.minimum.hete", "is no metric"),
    ],
)
def test_what_is_allowed_and_can_hardly_be_meant_is_told(tmp_path: Path, text: str, key: str, said: str):
    found = {doubt.key: doubt for doubt in doubts(load_policy(written(tmp_path, text)), BY_NAME.keys())}
    assert said in found[key].said and found[key].remedy


def test_every_pair_that_is_compared_is_two_keys_of_the_policy():
    assert {key for less, more, _ in ORDERED for key in (less, more)} <= set(values(default_policy()))


def test_a_fault_names_its_key_the_rule_and_the_way_out(home: Home, tmp_path: Path):
    text = "[drawdown]\newma_lamda = 0.9\n[heat]\ncap = -1\n[alerts.rules.heat]\nwarning = 2.0\n"
    (found,) = validate(home, [written(tmp_path, text)])
    by_key = {fault.key: fault for fault in found.faults}
    assert not found.ok
    assert by_key["drawdown.ewma_lamda"].remedy == "write drawdown.ewma_lambda"
    assert (by_key["heat.cap"].rule, by_key["heat.cap"].remedy) == (
        "Input should be greater than 0, and it is -1",
        "the shipped value is 0.06",
    )
    assert "critical lies on the good side of warning" in by_key["alerts.rules.heat"].rule


def test_the_policies_of_a_home_are_looked_at_one_by_one_and_in_time(home: Home):
    assert all(item.ok and not item.doubts for item in validate(home, [], BY_NAME.keys()))
    written(home.policies, "effective_from = 2010-06-01\n", "default@b.toml")
    written(home.policies, "effective_from = 2010-06-01\n", "default@c.toml")
    written(home.policies, 'expires = "soon"\n', "tight.toml")
    found = {item.what: item for item in validate(home, [])}
    assert [what for what, item in found.items() if not item.ok] == ["tight.toml", "policy default"]
    assert "both begin on 2010-06-01" in found["policy default"].faults[0].rule
    assert found["tight.toml"].faults[0].key == "expires"


def test_an_expired_policy_a_version_counted_twice_and_one_that_nobody_has_are_told(home: Home):
    written(home.policies, "effective_from = 2010-06-01\nexpires = 2011-06-01\n", "default@b.toml")
    written(home.policies, "", "tight.toml")
    found = {item.what: item for item in validate(home, [])}
    assert {doubt.key for doubt in found["policy default"].doubts} == {"version", "expires"}
    assert "no portfolio has the policy 'tight'" in found["portfolios"].doubts[0].said
    written(home.policies, "effective_from = 2010-06-01\nexpires = 2010-07-01\n", "default@b.toml")
    found = {item.what: item for item in validate(home, [])}
    assert "expired on 2010-07-01" in found["policy default"].faults[0].rule


def test_two_policies_are_compared_key_by_key(tmp_path: Path):
    mine = load_policy(written(tmp_path, "version = 4\n[heat]\ncap = 0.05\n[gates.minimum]\nidle = 9\n"))
    assert {item.key: (item.one, item.other) for item in differences(mine, default_policy())} == {
        "heat.cap": (0.05, 0.06),
        **{f"gates.minimum.{name}": (None, count) for name, count in default_policy().gates.minimum.items() if name != "idle"},
        "gates.minimum.idle": (9, 5),
    }
    assert {item.key for item in of_section(compare(mine, mine), "heat")} >= {"heat.cap", "heat.sigmas"}
    with pytest.raises(WrongUse, match=r"no section 'hat'; it has accounting, alerts"):
        of_section(compare(mine, mine), "hat")


def test_a_policy_is_found_by_name_day_label_file_and_hash(home: Home, tmp_path: Path):
    written(home.policies, "version = 2\neffective_from = 2010-06-01\n[heat]\ncap = 0.05\n", "default@summer.toml")
    outside = written(tmp_path, "version = 3\n")
    with home.book.writing() as connection:
        kept = archive.archive(connection, "gone", load_policy(outside).canonical(), home.clock.now())
    own = home.policy().hash
    texts = ("default", "default@2010-05-31", "default@summer", "default@summer.toml", str(outside), kept[:8], own[:10], "shipped")
    assert [find_policy(home, text).policy.version for text in texts] == [2, 1, 2, 2, 3, 3, 2, 1]
    for text, said in (
        ("tight", "names no policy; give one of default, shipped"),
        ("0" * 12, "no policy with a hash"),
        ("default@x", "no day"),
    ):
        with pytest.raises(WrongUse, match=said):
            find_policy(home, text)
