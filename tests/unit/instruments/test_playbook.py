"""What a playbook file may say, what is said of a wrong one, and which playbooks there are."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.instruments.model import TEMPLATES
from portfolio_platform.instruments.planning import LEAST_N
from portfolio_platform.instruments.playbook import ALL, Playbook, ppm
from portfolio_platform.instruments.playbook_loading import FOLDER, draft, file_of, load_playbook, shelf, shipped, validated

SOUND = (FOLDER / "donchian_channel.toml").read_text(encoding="utf-8").partition("\n[[expectations]]")[0] + "\n"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))


def written(folder: Path, text: str, name: str = "donchian_channel") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(folder: Path, old: str, new: str) -> str:
    assert old in SOUND, "the case changes nothing"
    _, faults = validated(written(folder, SOUND.replace(old, new, 1)))
    return " | ".join(map(str, faults))


def test_every_template_that_a_screener_may_suggest_has_a_playbook() -> None:
    assert {playbook.template for playbook in shipped().playbooks.values()} == set(TEMPLATES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_playbook_is_sound_and_says_where_its_rules_are_from(name: str) -> None:
    playbook = load_playbook(FOLDER / f"{name}.toml")
    assert bool(playbook.source) == playbook.trades
    if playbook.trades:
        assert playbook.stop and playbook.target and playbook.time_exit, "an entry without an exit contract"


def test_the_playbook_of_waiting_has_no_entry() -> None:
    (wait,) = shipped().of_template("uncertain_wait")
    assert not wait.trades
    assert (wait.thesis, wait.activation, wait.stop) == (None, None, None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('feature = "above_high_20"', 'feature = "above_hgh_20"', "activation.long.1.feature: it is 'above_hgh_20', which is no"),
        ('feature = "above_high_20"', 'feature = "above_hgh_20"', "above_high_20"),
        ('feature = "above_high_20"', 'feature = "moonphase"', "the features are"),
        ('template = "trend_continuation"', 'template = "trend"', "template: 'trend' is no template; the templates are compr"),
        ("timeout_bars = 10", "timeout_bars = 0", "activation.timeout_bars: it is 0, input should be greater than or equal to 1"),
        ("timeout_bars = 10", "timeout_bars = 2.5", "activation.timeout_bars"),
        ("timeout_bars = 10", "timeout = 10", "activation.timeout: it is 10, there is no such field; near names are timeout_bars"),
        ('timeframe = "1w"', 'timeframe = "2w"', "thesis.timeframe: it is '2w', input should be '1h', '4h', '1d' or '1w'"),
        ('timeframe = "1w"', 'timeframe = "4h"', "thesis.timeframe 4h is below the execution timeframe 1d; write 1d or a higher one"),
        ('[activation]\ntimeframe = "1d"', '[activation]\ntimeframe = "1w"', "activation.timeframe 1w is not the execution timeframe"),
        ("minimum_r = 2.0", "minimum_r = 4.5", "target.multiple 8 is worth 4 R, below risk.minimum_r 4.5"),
        ("minimum_r = 2.0", "minimum_r = 0", "risk.minimum_r: it is 0, input should be greater than 0"),
        ("share_pct = 0.5", "share_pct = 7", "risk.share_pct: it is 7, input should be less than or equal to 5"),
        ("share_pct = 0.5", "share_pct = 0.50005", "risk.share_pct: it is '0.50005', 0.50005 has more than 4 decimals; round it"),
        ("p50 = 15", "p50 = 50", "holding: p90 40 is below p50 50; swap them"),
        ("p90 = 40", "p90 = 80", "holding.p90 80 is beyond time_exit.bars 60"),
        ('directions = ["long", "short"]', 'directions = ["long"]', "thesis.short is said, and directions is ['long']; add 'short'"),
        ('directions = ["long", "short"]', 'directions = ["long", "long"]', "directions: 'long' is there twice; take one out"),
        ('long = [{ feature = "above_high_20", above = 0.0 }]', "", "activation.long has no condition, and 'long' is in directions"),
        ("[time_exit]\nbars = 60\n", "", "time_exit is missing: every entry has its exit contract; add it, or write trades = false"),
        ('[stop]\nkind = "atr"', '[stop]\nkind = "mean"', "stop.kind is 'mean', and a stop is found by atr or range"),
        ('[stop]\nkind = "atr"\nmultiple = 2.0', '[stop]\nkind = "atr"', "stop: kind atr has multiple 0, and it must be above 0"),
        ('[trail]\nkind = "range"', '[trail]\nkind = "r"', "trail: kind r has multiple 0, and it must be above 0; write multiple = 2.0"),
        ('"above_high_20", above = 0.0', '"above_high_20"', "nothing is said of above_high_20, and a condition has exactly one of below"),
        ('"above_high_20", above = 0.0', '"above_high_20", above = 0.0, below = 1.0', "below and above is said of above_high_20"),
        ('version = "1"', 'version = "new"', "version: it is 'new'"),
        ('execution = "1d"', 'execution = "1d"\nregimes = ["bull_lwo"]', "'bull_lwo', which is no regime label; near"),
        ('execution = "1d"', 'execution = "1d"\ntrades = false', "trades is false, and directions, thesis, activation"),
        ('name = "donchian_channel"', 'name = "turtle"', "name: it is 'turtle', and its file is donchian_channel.toml; write"),
        ('name = "donchian_channel"', "name = ", "it is no TOML"),
        ('name = "donchian_channel"\n', "", "name: it is missing; add it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_field_value_rule_and_remedy(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in faults_of(tmp_path, old, new)


def test_loading_a_wrong_file_names_the_file_and_everything_in_it(tmp_path: Path) -> None:
    text = SOUND.replace("above_high_20", "above_hgh_20").replace("below_low_10", "blow_low_10")
    with pytest.raises(DataProblem, match=r"playbook donchian_channel\.toml: .*above_hgh_20.* \| .*blow_low_10"):
        load_playbook(written(tmp_path, text))


def test_a_statistic_says_its_regime_once_and_by_a_known_label(tmp_path: Path) -> None:
    row = '[[expectations]]\nregime = "all"\nn = 3\nwin_rate_pct = 50\nmean_r = 0.1\nhold_p50 = 4\nhold_p90 = 9\n'
    _, twice = validated(written(tmp_path, f"{SOUND}\n{row}\n{row}"))
    _, unknown = validated(written(tmp_path, f"{SOUND}\n{row.replace('all', 'bull')}"))
    assert "expectations: 'all' is there twice; take one out" in str(twice[0])
    assert "expectations.1.regime: it is 'bull', which is no regime label" in str(unknown[0])


def test_the_hash_is_of_the_content_and_not_of_its_spelling(tmp_path: Path) -> None:
    one = load_playbook(written(tmp_path, SOUND))
    respelt = re.sub(r"(?m)#.*$", "# another comment", SOUND).replace("multiple = 2.0", "multiple = 2.000")
    other = load_playbook(written(tmp_path, respelt))
    changed = load_playbook(written(tmp_path, SOUND.replace("multiple = 2.0", "multiple = 2.5")))
    assert one.hash == other.hash
    assert one.hash != changed.hash


def test_numbers_become_parts_per_million_exactly() -> None:
    assert ppm(Decimal("0.000001")) == 1
    assert ppm(Decimal("-1.234567")) == -1_234_567
    assert ppm(Decimal("0.35"), 10_000) == 3_500


def test_a_playbook_of_the_home_stands_in_for_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "playbooks"
    folder.mkdir()
    written(folder, SOUND.replace("bars = 60", "bars = 55"))
    written(folder, SOUND.replace("donchian_channel", "my_channel"), "my_channel")
    found = shelf(tmp_path)
    assert found.own == {"donchian_channel", "my_channel"}
    assert set(found.playbooks) == {*NAMES, "my_channel"}
    exit_of = found.named("donchian_channel").time_exit
    assert exit_of is not None and exit_of.bars == 55
    assert file_of("donchian_channel", tmp_path).parent == folder
    assert file_of("wait", tmp_path).parent == FOLDER


def test_a_name_that_is_not_there_is_answered_with_near_ones() -> None:
    with pytest.raises(WrongUse, match="no playbook 'donchian'; did you mean donchian_channel"):
        shipped().named("donchian")


@pytest.mark.parametrize("like", NAMES)
def test_a_new_playbook_begins_as_a_sound_copy_without_the_others_statistics(tmp_path: Path, like: str) -> None:
    found = load_playbook(written(tmp_path, draft("mine", FOLDER / f"{like}.toml"), "mine"))
    assert (found.name, found.version, found.expectations) == ("mine", "1", ())
    shared = {"name", "version", "expectations"}
    assert found.model_dump(exclude=shared) == shipped().named(like).model_dump(exclude=shared)


def test_a_new_playbook_needs_a_name_that_can_be_one() -> None:
    with pytest.raises(WrongUse, match="no name of a playbook; use 2 to 64 small letters"):
        draft("../escape", FOLDER / "wait.toml")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "wait"])
def test_shipped_statistics_rest_on_a_sample_and_agree_with_the_rules(name: str) -> None:
    playbook: Playbook = shipped().named(name)
    total = playbook.statistic(ALL)
    assert total is not None and playbook.time_exit is not None
    assert total.n >= max(20, sum(item.n for item in playbook.expectations if item.regime != ALL))
    assert all(item.n >= LEAST_N and item.sd_r and item.hold_p90 <= playbook.time_exit.bars for item in playbook.expectations)
    assert not playbook.regimes or {item.regime for item in playbook.expectations} <= {ALL, *playbook.regimes}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cooldown_bars = " + "9" * 5000, "it is no TOML"),
        ("name = " + "[" * 5000, "nested too deep"),
        ("name = " + "{a = " * 3000, "nested too deep"),
    ],
)
def test_what_no_reader_of_toml_can_hold_is_a_fault_of_the_file_and_no_crash(text: str, said: str, tmp_path: Path) -> None:
    found, faults = validated(written(tmp_path, text))
    assert found is None and said in str(faults[0])


def test_a_folder_that_is_called_like_a_playbook_is_a_fault_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "playbooks" / "odd.toml").mkdir(parents=True)
    with pytest.raises(DataProblem, match=r"odd.toml.* cannot be read"):
        shelf(tmp_path)
