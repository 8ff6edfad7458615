"""A home with the sample documents, at their time."""

import pytest

from portfolio_platform.home import Home
from tests.unit.desk.desk_examples import one_file, with_samples


@pytest.fixture
def desk(home: Home) -> Home:
    """A home whose folder `orchestrator` has the samples, at 2026-01-05 14:45 UTC."""
    return with_samples(home)


@pytest.fixture
def plain_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write one file into a plan's folder instead of its pages and charts, which take longer than all else."""
    monkeypatch.setattr("portfolio_platform.render.orchestration.files.files_of", one_file)
