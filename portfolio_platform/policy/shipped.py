"""The shipped policy file, as it is written: what a home's own policy is laid over."""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

DEFAULT_POLICY_FILE = Path(__file__).with_name("default.toml")


@lru_cache(maxsize=1)
def shipped() -> dict[str, Any]:
    """Return the shipped file's content."""
    return tomllib.loads(DEFAULT_POLICY_FILE.read_text(encoding="utf-8"))


def shipped_alerts() -> dict[str, Any]:
    """Return its section on alerts."""
    section: dict[str, Any] = shipped().get("alerts", {})
    return section
