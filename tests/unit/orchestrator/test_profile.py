"""The profiles: every number of both specifications, each with the section that it comes from."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.orchestrator.profile import FOLDER, Profile, load_profile, ppm, profile_names, shipped_profile


def fields(model: type[BaseModel], where: str = "") -> list[tuple[str, str]]:
    found = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += fields(inner, f"{where}{name}.")
        else:
            found.append((f"{where}{name}", field.description or ""))
    return found


def test_every_field_names_its_source_and_has_no_default() -> None:
    for name, description in fields(Profile):
        assert description.startswith("["), name
        source = description[1 : description.index("]")]
        assert any(word in source for word in ("v8.1.1", "v8.0.3", "context", "issue", "own choice")), name
    for model in (Profile, *(field.annotation for field in Profile.model_fields.values() if isinstance(field.annotation, type))):
        if issubclass(model, BaseModel):
            assert all(field.is_required() for field in model.model_fields.values()), model.__name__


@pytest.mark.parametrize(
    ("field", "new", "old"),
    [
        ("buffer.healthy_pct", 8, 15),
        ("buffer.floor_pct", 5, 12),
        ("limits.sector_cap_pct", 40, 35),
        ("limits.position_pct", 15, 15),
        ("limits.sector_increase_points", 50, 50),
        ("stocks.conviction_minimum", 65, 65),
        ("stocks.sector_rank_max", 5, 5),
        ("stocks.trigger_distance_pct", 5, 5),
        ("freshness.portfolio_trading_days", 1, 1),
        ("freshness.portfolio_hours", 2, 2),
        ("freshness.rankings_days", 7, 7),
        ("freshness.regime_confidence_pct", 50, 50),
        ("refresh.target_minimum_minutes", 5, 5),
        ("refresh.timeout_minutes", 10, 10),
        ("refresh.escalate_minutes", 15, 15),
        ("refresh.sector_shift_points", 2, 2),
        ("trades.pick_shares", (50, 30, 20), (50, 30, 20)),
        ("execution.slippage_bps", 50, 50),
        ("execution.partial_fill_pct", 90, 90),
        ("execution.no_fill_minutes", 15, 15),
        ("escalation.sla_minutes", 30, 30),
        ("escalation.routing", "Master-Architect", "Master-Architect"),
        ("sequence.order", "sells_then_buys", "approval"),
        ("sequence.look_ahead", False, True),
    ],
)
def test_the_numbers_are_those_of_the_specifications(field: str, new: object, old: object) -> None:
    section, name = field.split(".")
    assert getattr(getattr(shipped_profile(), section), name) == new
    assert getattr(getattr(shipped_profile("v8.0.3"), section), name) == old


def test_every_line_of_a_shipped_file_says_where_its_number_comes_from() -> None:
    for path in FOLDER.glob("*.toml"):
        section = ""
        for line in path.read_text().splitlines():
            if line.startswith("["):
                section = line
            elif "=" in line.split("#")[0] and not line.startswith("name"):
                assert "#" in line or "#" in section or section == "[limits.sector_caps]", f"{path.name}: {line}"


def test_v8_1_1_is_the_default_and_v8_0_3_has_one_cap_for_all() -> None:
    assert profile_names() == ("v8.1.1", "v8.0.3")
    assert shipped_profile().name == "v8.1.1"
    assert shipped_profile().limits.cap_of("Healthcare") == shipped_profile().limits.cap_of("Utilities") == 40
    assert shipped_profile("v8.0.3").limits.cap_of("Technology") == 35
    with pytest.raises(WrongUse, match="there is no profile 'v9'; the profiles are"):
        shipped_profile("v9")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("floor_pct = 5 ", "floor_pct = 9 ", "floor_pct 9 is above healthy_pct 8"),
        ("position_pct = 15", "position_pct = 150", "limits.position_pct"),
        ("position_pct = 15", "position_pct = 15.00001", "more than four decimals"),
        ("position_pct = 15", "posiition_pct = 15", "limits.posiition_pct"),
        ("conviction_minimum = 65", "", "stocks.conviction_minimum: Field required"),
        ("look_ahead = false", "look_ahead = ", "is no TOML"),
    ],
)
def test_a_wrong_profile_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (FOLDER / "v8_1_1.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(DataProblem, match=r"profile mine\.toml") as raised:
        load_profile(path)
    assert said in str(raised.value)


def test_equal_content_has_an_equal_hash_and_another_number_another() -> None:
    content = tomllib.loads((FOLDER / "v8_1_1.toml").read_text(), parse_float=Decimal)
    assert Profile.model_validate(content).hash == shipped_profile().hash
    content["worst_case"]["fee_fixed"] = Decimal("6.950")
    assert Profile.model_validate(content).hash == shipped_profile().hash
    content["worst_case"]["fee_fixed"] = Decimal("6.96")
    assert Profile.model_validate(content).hash != shipped_profile().hash


def test_percent_become_whole_parts_per_million() -> None:
    assert ppm(Decimal("46.8")) == 468_000
    assert ppm(Decimal("0.0001")) == 1
