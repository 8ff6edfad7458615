"""Tables of an action plan: the header gives each column its role, a row becomes a directive."""

import re
from collections.abc import Sequence
from typing import Literal

from portfolio_platform.orchestrator.directive import Directive
from portfolio_platform.orchestrator.tokens import EXIT, HOLD, VERBS, NotUnderstood, normalised, tokens_of
from portfolio_platform.orchestrator.words import read_clause

Role = Literal["sector", "current", "target", "change", "action", ""]
ROLES: dict[Role, frozenset[str]] = {
    "action": frozenset({"action", "direction", "do", "step"}),
    "current": frozenset({"current", "from", "now", "before", "actual", "present"}),
    "target": frozenset({"target", "to", "after", "new", "proposed", "goal"}),
    "change": frozenset({"change", "delta", "δ", "difference", "move", "by"}),
    "sector": frozenset({"sector", "industry", "asset", "class", "name"}),
}
NOTHING = frozenset({"", "-", "n/a", "na", "none"})


def roles_of(header: Sequence[str]) -> list[tuple[Role, str]]:
    """Return the role of each column and the unit that its header names: ``Target (%)`` is a target in percent."""
    return [_role(normalised(cell)) for cell in header]


def _role(cell: str) -> tuple[Role, str]:
    words = re.findall(r"[^\W\d_]+", cell.lower())
    unit = "pts" if {"pts", "pp", "points", "ppt"} & set(words) else "%" if "%" in cell or {"pct", "percent", "weight"} & set(words) else ""
    for role, names in ROLES.items():
        if set(words) & names:
            return role, unit
    return "", unit


def read_row(roles: Sequence[tuple[Role, str]], cells: Sequence[str]) -> Directive:
    """Return the directive of a row. Raises `NotUnderstood` with the reason.

    The row is put into a sentence and read like one, so that tables and sentences are understood alike.
    """
    said: dict[Role, str] = {}
    for (role, unit), cell in zip(roles, cells, strict=False):
        text = normalised(cell).strip()
        if not role or text.lower() in NOTHING or (role == "change" and re.fullmatch(r"0+([.]0+)?", text)):
            continue
        if role in said:
            raise NotUnderstood(f"two columns say its {role}")
        said[role] = text if role in ("sector", "action") else _with_unit(text, "pts" if role == "change" and unit == "%" else unit)
    if "sector" not in said:
        raise NotUnderstood("no column names the sector" if all(role != "sector" for role, _ in roles) else "it names no sector")
    if '"' in said["sector"] or len(said["sector"]) > 60:
        raise NotUnderstood(f"{said['sector'][:60]!r} is no name of a sector")
    if "target" not in said and "change" not in said and not _alone(said.get("action", "")):
        raise NotUnderstood("it says no target and no change")
    action = said.get("action", "")
    verb = action.split(" ")[0].lower() if action else ""
    if action and verb not in VERBS:
        raise NotUnderstood(f"'{action[:40]}' is no action")
    if len(action.split(" ")) > 1:
        raise NotUnderstood(f"'{action[:40]}' is more than one word; put weights into their own columns")
    parts = [verb, f'"{said["sector"]}"']
    parts += [f"from {said['current']}"] if "current" in said else []
    parts += [f"to {said['target']}"] if "target" in said else []
    parts += [f"by {said['change']}"] if "change" in said else []
    if verb in HOLD and "change" not in said and "target" in said and said["target"] == said.get("current"):
        parts = [verb, parts[1], f"at {said['target']}"]
    return read_clause(tokens_of(" ".join(part for part in parts if part)))


def _alone(action: str) -> bool:
    return action.lower() in HOLD | EXIT


def _with_unit(text: str, unit: str) -> str:
    """Return a cell with the unit of its header, where it is a bare number."""
    return f"{text} {unit}" if unit and re.fullmatch(r"[+-]?[\d.,]+", text) else text
