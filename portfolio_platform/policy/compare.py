"""Policies side by side: every value by its key, and where two of them differ. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portfolio_platform.errors import WrongUse
from portfolio_platform.policy.model import Policy

Value = str | int | float | bool | list[Any] | None
IDENTITY = ("name", "version")


@dataclass(frozen=True)
class Compared:
    """A key of two policies: both values, None where a policy has no such key, and whether they differ."""

    key: str
    one: Value
    other: Value

    @property
    def differs(self) -> bool:
        """Say whether the values differ."""
        return self.one != self.other


def values(policy: Policy) -> dict[str, Value]:
    """Return every value of a policy by its key, such as ``drawdown.regime.defensive_size``."""
    return dict(_flat(policy.model_dump(mode="json"), ""))


def compare(one: Policy, other: Policy) -> list[Compared]:
    """Return every key that either policy has, with both values."""
    first, second = values(one), values(other)
    return [Compared(key, first.get(key), second.get(key)) for key in [*first, *(key for key in second if key not in first)]]


def differences(one: Policy, other: Policy) -> list[Compared]:
    """Return the keys whose values differ; of what a policy is called, nothing."""
    return [found for found in compare(one, other) if found.differs and found.key not in IDENTITY]


def of_section(found: list[Compared], section: str | None) -> list[Compared]:
    """Return the keys of a section, such as ``heat`` or ``alerts.rules.drawdown``. Raises `WrongUse` where there is none."""
    if section is None:
        return found
    mine = [item for item in found if item.key == section or item.key.startswith(f"{section}.")]
    if not mine:
        sections = sorted({item.key.split(".", 1)[0] for item in found if "." in item.key})
        raise WrongUse(
            f"a policy has no section {section!r}; it has {', '.join(sections)}, and sections within these, such as alerts.rules"
        )
    return mine


def _flat(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Value]]:
    for name, value in content.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value
