"""Compiled code must never outlive its source: numba looks at the time of one file, the kernel comes from three."""

from hashlib import sha256
from pathlib import Path

import pytest

from portfolio_platform.ledger import kernel, layout, steps


@pytest.mark.parametrize(
    ("written", "name", "source", "into"),
    [(steps.LAYOUT, "LAYOUT", layout.__file__, steps.__file__), (kernel.STEPS, "STEPS", steps.__file__, kernel.__file__)],
)
def test_a_file_that_is_compiled_from_another_states_that_ones_hash(written: str, name: str, source: str, into: str) -> None:
    now = sha256(Path(source).read_bytes()).hexdigest()[:12]
    assert written == now, f'write {name} = "{now}" into {Path(into).name}: code compiled from the old one may be cached'
