"""A home with the sample documents, at their time."""

import pytest

from portfolio_platform.home import Home
from tests.unit.desk.desk_examples import with_samples


@pytest.fixture
def desk(home: Home) -> Home:
    """A home whose folder `orchestrator` has the samples, at 2026-01-05 14:45 UTC."""
    return with_samples(home)
