"""Reading the orchestrator's documents from files. What is wrong is said with file, field, value, rule and remedy."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from portfolio_platform.control.money import digits_of, major, minor
from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator.accounts import Accounts
from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.directives import contradictions, parse_directives
from portfolio_platform.orchestrator.model import ApprovedQueue, RestrictionList, SectorRankings, Snapshot, StockRecommendation, Typed
from portfolio_platform.orchestrator.planned import Plan, SectorTarget

SAMPLES = Path(__file__).parent / "samples"
LARGEST = 50_000_000
"""Bytes of a file that are read at most."""
MONEY = ("cash", "size", "daily_value", "approved_size")
"""Fields that a file may state in units of the currency, such as ``"cash": "25000.00"``; a model has them as ``cash_minor``."""
_Document = TypeVar("_Document", bound=Typed)


class DirectivesFile(Directives):
    """Directives as a plan's folder has them: beside them what each was in money then, which is read over."""

    targets: tuple[SectorTarget, ...] = ()


def load_snapshot(path: Path) -> Snapshot:
    """Return the portfolio of a JSON file. Raises `DataProblem`."""
    return _load(path, Snapshot)


def load_rankings(path: Path) -> SectorRankings:
    """Return the sector rankings of a JSON file. Raises `DataProblem`."""
    return _load(path, SectorRankings)


def load_restrictions(path: Path) -> RestrictionList:
    """Return the restriction list of a JSON file. Raises `DataProblem`."""
    return _load(path, RestrictionList)


def load_recommendation(path: Path) -> StockRecommendation:
    """Return the stock recommendation of a JSON file. Raises `DataProblem`."""
    return _load(path, StockRecommendation)


def load_accounts(path: Path) -> Accounts:
    """Return the accounts of a JSON file. Raises `DataProblem`."""
    return _load(path, Accounts)


def load_queue(path: Path) -> ApprovedQueue:
    """Return the approved queue of a JSON file, whose ``currency`` says what sizes are in, USD where it does not. Raises `DataProblem`."""
    return _load(path, ApprovedQueue)


def load_plan(path: Path) -> Plan:
    """Return a plan that was written as JSON. Raises `DataProblem`."""
    return _load(path, Plan)


def load_directives(path: Path) -> Directives:
    """Return the directives of a markdown document, or of a JSON file with the fields of `directive.Directive`.

    Raises:
        DataProblem: it cannot be read, or its JSON is wrong. What a markdown document says never raises.
    """
    return read_directives(read_text(path), path.name)


def read_directives(text: str, name: str) -> Directives:
    """Return the directives of a document's text: JSON where its name ends so, else markdown. Raises `DataProblem` for wrong JSON."""
    if not name.lower().endswith(".json"):
        return parse_directives(text)
    file = read_json(text, DirectivesFile, name)
    read = Directives(directives=file.directives, lines=file.lines, unread=file.unread, findings=file.findings)
    found = [finding for finding in contradictions(read.directives, read.lines) if finding not in read.findings]
    return read.model_copy(update={"findings": (*read.findings, *found)})


def read_json(text: str, model: type[_Document], name: str) -> _Document:
    """Return a document from JSON text; ``name`` is what errors call it. Raises `DataProblem`."""
    try:
        content = json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_once)
    except RecursionError as error:
        raise DataProblem(f"{name}: it is nested too deeply to be a {model.__name__}; take the file of the right kind") from error
    except ValueError as error:
        raise DataProblem(f"{name}: it is no JSON ({error}); mend the place, or take a sample from the samples folder") from error
    if not isinstance(content, dict):
        raise DataProblem(f"{name}: it is a {type(content).__name__}, and has to be an object with the fields of a {model.__name__}")
    faults: list[str] = []
    currency = content.get("currency", "USD")
    digits = digits_of(currency if isinstance(currency, str) else "USD")
    if model is ApprovedQueue:
        content.pop("currency", None)
    content = _in_minor_units(content, digits, "", faults)
    if faults:
        raise DataProblem(f"{name}: {'; '.join(faults)}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DataProblem(f"{name}: {'; '.join(_fault(one, model) for one in error.errors()[:10])}") from error


def _load(path: Path, model: type[_Document]) -> _Document:
    return read_json(read_text(path), model, path.name)


def read_text(path: Path) -> str:
    """Return the text of a document. Raises `DataProblem` where it cannot be read, is too large or not UTF-8."""
    try:
        if path.stat().st_size > LARGEST:
            raise DataProblem(f"{path.name}: it has {path.stat().st_size} bytes, and at most {LARGEST} are read; take the document alone")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataProblem(f"{path.name}: it cannot be read ({error.strerror}); check the path and its rights") from error
    except UnicodeDecodeError as error:
        raise DataProblem(f"{path.name}: it is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} is there twice")
        found[key] = value
    return found


def _in_minor_units(value: Any, digits: int, where: str, faults: list[str]) -> Any:
    """Return content whose amounts in units of the currency are in minor units."""
    if isinstance(value, list):
        return [_in_minor_units(item, digits, f"{where}.{place}" if where else str(place), faults) for place, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        at = f"{where}.{key}" if where else str(key)
        if key not in MONEY:
            found[key] = _in_minor_units(item, digits, at, faults)
        elif f"{key}_minor" in value:
            faults.append(f"{at}: it is stated twice, as {key} and as {key}_minor; keep one")
        else:
            found[f"{key}_minor"] = None if item is None else _amount(item, digits, at, faults)
    return found


def _amount(item: Any, digits: int, at: str, faults: list[str]) -> int:
    try:
        if isinstance(item, bool) or not isinstance(item, (int, str, Decimal)):
            raise ValueError(f"{item!r} is no amount")
        amount = minor(item, digits)
        if major(amount, digits) != Decimal(item):
            raise ValueError(f"{item} has more than {digits} decimals")
    except ValueError as error:
        faults.append(f"{at}: {error}; write it such as '25000.00'")
        return 0
    return amount


REMEDIES: dict[str, str | Callable[[type[Typed]], str]] = {
    "missing": "add it",
    "extra_forbidden": lambda model: f"take it out; a {model.__name__} has {', '.join(model.model_fields)} at its top",
    "timezone_aware": "write a time with its zone, such as 2026-01-02T21:00:00Z",
    "datetime_from_date_parsing": "write a time with its zone, such as 2026-01-02T21:00:00Z",
    "datetime_parsing": "write a time with its zone, such as 2026-01-02T21:00:00Z",
    "greater_than": "state an amount above it",
    "string_pattern_mismatch": "tickers are capital letters, digits, . and -; currencies three capital letters",
}


def _fault(one: Any, model: type[Typed]) -> str:
    """Return what is wrong with one field: where, the value, the rule, the remedy."""
    where = ".".join(map(str, one["loc"])) or "the document"
    shown = repr(one["input"])
    value = f" {shown if len(shown) <= 60 else shown[:57] + '...'}" if not isinstance(one["input"], (dict, list, tuple)) else ""
    rule = one["msg"].removeprefix("Value error, ")
    remedy = REMEDIES.get(one["type"], "" if ";" in rule else "the sample of this document shows a value that works")
    said = remedy(model) if callable(remedy) else remedy
    return f"{where}:{value} {rule}" + (f"; {said}" if said else "")
