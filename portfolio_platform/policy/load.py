"""Reading policies from TOML files."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from portfolio_platform.errors import DataProblem
from portfolio_platform.policy.model import DEFAULT_POLICY_FILE, Policy


def load_policy(path: Path) -> Policy:
    """Return the policy of a file. Raises `DataProblem` that names file, key and rule."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataProblem(f"policy {path.name} is not there; `portfolio init` writes the default one") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataProblem(f"policy {path.name} is no TOML: {error}") from error
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise DataProblem(f"policy {path.name}: {faults}") from error


def default_policy() -> Policy:
    """Return the policy that ships with the package."""
    return load_policy(DEFAULT_POLICY_FILE)
