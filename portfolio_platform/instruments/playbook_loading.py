"""Reading playbooks: those that ship, and those of a home's folder, which stand in for a shipped one of the same name.

An error names file, table and field, the value, the rule and the way out; `validated` collects all of a file's, `load_playbook` raises them
in one text.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.instruments.features import FEATURES
from portfolio_platform.instruments.playbook import ALL, Playbook, Stage
from portfolio_platform.instruments.regime import LABELS

FOLDER = Path(__file__).parent / "playbooks"
STAGES = ("thesis", "activation", "invalidation")
NAME = re.compile(r"[a-z][a-z0-9_]{1,63}")
NEAR = 3
"""So many near names are listed for one that is not known."""


@dataclass(frozen=True)
class Fault:
    """What makes a playbook unusable: the field with its tables (empty: the file), the value as text, the rule, the way out."""

    field: str
    value: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        value = f"it is {self.value}, " if self.value else ""
        return f"{field}{value}{self.rule}; {self.remedy}"


@dataclass(frozen=True)
class Shelf:
    """The playbooks that plans are made of, by name, and which of them are the home's own."""

    playbooks: Mapping[str, Playbook]
    own: frozenset[str] = frozenset()

    def named(self, name: str) -> Playbook:
        """Return a playbook. Raises `WrongUse` where there is none of that name."""
        if name not in self.playbooks:
            near = ", ".join(get_close_matches(name, self.playbooks, NEAR) or sorted(self.playbooks))
            raise WrongUse(f"there is no playbook {name!r}; did you mean {near}?")
        return self.playbooks[name]

    def of_template(self, template: str) -> tuple[Playbook, ...]:
        """Return the playbooks of a template, by name."""
        return tuple(self.playbooks[name] for name in sorted(self.playbooks) if self.playbooks[name].template == template)


@cache
def shipped() -> Shelf:
    """Return the playbooks that ship."""
    return Shelf(_folder(FOLDER))


def shelf(root: Path | None = None) -> Shelf:
    """Return the playbooks that hold in a home: the shipped ones, and those of its folder ``playbooks``, which win by name.

    Args:
        root: folder of the home; None for the shipped ones alone.

    Raises:
        DataProblem: a file is wrong; the text names file, field, value, rule and remedy.
    """
    own = _folder(root / "playbooks") if root is not None else {}
    return Shelf({**shipped().playbooks, **own}, frozenset(own))


def file_of(name: str, root: Path | None = None) -> Path:
    """Return the file of a playbook: the home's own, else the shipped one. Raises `WrongUse` where there is neither."""
    found = shelf(root)
    playbook = found.named(name)
    folder = root / "playbooks" if root is not None and name in found.own else FOLDER
    return folder / f"{playbook.name}.toml"


def draft(name: str, like: Path) -> str:
    """Return the text of a new playbook: that of a file under another name, as version 1 and without statistics, which are not its own.

    Raises:
        WrongUse: the name cannot be one.
    """
    if not NAME.fullmatch(name):
        raise WrongUse(f"{name!r} is no name of a playbook; use 2 to 64 small letters, digits and _, a letter first")
    text = like.read_text(encoding="utf-8").partition("\n[[expectations]]")[0].rstrip() + "\n"
    text = re.sub(r"(?m)^name = .*$", f'name = "{name}"', text, count=1)
    return re.sub(r"(?m)^version = .*$", 'version = "1"', text, count=1)


def load_playbook(path: Path) -> Playbook:
    """Return the playbook of a TOML file. Raises `DataProblem` that names everything that is wrong with it."""
    found, faults = validated(path)
    if found is None:
        raise DataProblem(f"playbook {path.name}: {' | '.join(map(str, faults))}")
    return found


def validated(path: Path) -> tuple[Playbook | None, tuple[Fault, ...]]:
    """Return the playbook of a file, or None and everything that is wrong with it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        return None, (Fault("", "", f"there is no file {path}", "`portfolio playbooks init NAME` writes one to start from"),)
    except OSError as error:
        return None, (Fault("", "", f"{path} cannot be read: {error.strerror}", "make it a file that can be, or take it away"),)
    except ValueError as error:  # no TOML, no text, or a number too long to be read
        return None, (Fault("", "", f"it is no TOML: {error}", "mend that line"),)
    except RecursionError:
        return None, (Fault("", "", "its tables or lists are nested too deep to be read", "write it flat"),)
    try:
        found = Playbook.model_validate(content)
    except ValidationError as error:
        return None, tuple(_fault(item) for item in error.errors())
    faults = (*_name_faults(found, path), *_feature_faults(found), *_regime_faults(found))
    return (None, faults) if faults else (found, ())


def _folder(folder: Path) -> dict[str, Playbook]:
    found: dict[str, Playbook] = {}
    for path in sorted(folder.glob("*.toml")):
        playbook = load_playbook(path)
        found[playbook.name] = playbook
    return found


def _name_faults(found: Playbook, path: Path) -> Iterator[Fault]:
    # the file's name is the playbook's, so that no folder holds two of one name
    if found.name != path.stem:
        yield Fault(
            "name", repr(found.name), f"and its file is {path.name}", f"write name = '{path.stem}', or rename the file to {found.name}.toml"
        )


def _feature_faults(found: Playbook) -> Iterator[Fault]:
    for name in STAGES:
        stage: Stage | None = getattr(found, name)
        if stage is None:
            continue
        for direction in ("long", "short"):
            for place, condition in enumerate(getattr(stage, direction)):
                if condition.feature not in FEATURES:
                    where = f"{name}.{direction}.{place + 1}.feature"
                    yield Fault(where, repr(condition.feature), "which is no feature", _near(condition.feature, FEATURES, "features"))


def _regime_faults(found: Playbook) -> Iterator[Fault]:
    for regime in found.regimes:
        if regime not in LABELS:
            yield Fault("regimes", repr(regime), "which is no regime label", _near(regime, LABELS, "labels"))
    for place, statistic in enumerate(found.expectations):
        if statistic.regime not in (*LABELS, ALL):
            where = f"expectations.{place + 1}.regime"
            yield Fault(where, repr(statistic.regime), "which is no regime label", _near(statistic.regime, (*LABELS, ALL), "labels"))


def _near(name: str, among: Collection[str], what: str) -> str:
    near = get_close_matches(name, among, NEAR, 0.5)
    return f"near names are {', '.join(near)}" if near else f"the {what} are {', '.join(sorted(among))}"


def _fault(item: Any) -> Fault:
    """Return what pydantic found as a fault; a text of ours has its remedy behind a semicolon."""
    field, given = _field(item["loc"]), item["input"]
    value = repr(str(given) if isinstance(given, Decimal) else given) if isinstance(given, (str, int, Decimal)) else ""
    said: str = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return Fault(field, value, "there is no such field", _near(str(item["loc"][-1]), _fields(item["loc"][:-1]), "fields here"))
    if item["type"] == "missing":
        return Fault(field, "", "it is missing", "add it; `portfolio playbooks init NAME` writes a file that has every field")
    rule, semicolon, remedy = said.partition("; ")
    if semicolon:
        return Fault(field, value if value and value not in rule else "", rule, remedy)
    return Fault(field, value, said[:1].lower() + said[1:], "`portfolio playbooks show` prints playbooks that work")


def _field(loc: Sequence[str | int]) -> str:
    # rows of an array of tables are counted from 1, as people count them in the file
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in loc)


def _fields(loc: Sequence[str | int]) -> list[str]:
    """Return the fields of the table at a place of a playbook."""
    model: type[BaseModel] = Playbook
    for part in loc:
        if isinstance(part, int):
            continue
        inside = _models(model.model_fields[part].annotation)
        if not inside:
            return []
        model = inside[0]
    return list(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the models within an annotation such as ``tuple[Requirement, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
