"""Buckets: the cut, the memory, and the plain calculation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.diagnostics.correlation.analysis import correlation_stacking
from portfolio_platform.diagnostics.correlation.buckets import partition
from portfolio_platform.policy.diagnostics import CorrelationPolicy
from tests.unit.diagnostics.correlation.books import FIRST, book_of, closes_of, factor
from tests.unit.diagnostics.correlation.plain import buckets, session
from tests.unit.diagnostics.correlation.test_stacking import drawn

POLICY = CorrelationPolicy()


def matrix_of(size: int, **pairs: float) -> np.ndarray:
    """Return a matrix from pairs named like ``r01``; 0 where none is named."""
    out = np.eye(size)
    for name, value in pairs.items():
        i, j = int(name[1]), int(name[2])
        out[i, j] = out[j, i] = value
    return out


def found(matrix: np.ndarray, before: list[int] | None = None) -> list[int]:
    group = np.empty(len(matrix), np.int64)
    partition(matrix, np.array(before or [-1] * len(matrix)), 0.7, 0.6, group)
    return group.tolist()


def test_a_chain_is_no_bucket() -> None:
    # 0-1 and 1-2 are alike, 0-2 are not: single linkage would make one of all three
    assert found(matrix_of(3, r01=0.9, r12=0.8, r02=0.3)) == [0, 0, 2]


def test_of_equal_pairs_the_first_by_symbol_goes_first() -> None:
    assert found(matrix_of(3, r01=0.8, r12=0.8, r02=0.3)) == [0, 0, 2]


def test_a_bucket_stays_together_down_to_the_leave_level_and_no_further() -> None:
    kept = matrix_of(3, r01=0.65, r12=0.65, r02=0.62)
    assert found(kept) == [0, 1, 2]
    assert found(kept, [0, 0, 0]) == [0, 0, 0]
    left = matrix_of(3, r01=0.65, r12=0.65, r02=0.59)
    assert found(left, [0, 0, 0]) == [0, 0, 2]


def test_who_was_not_in_the_bucket_has_to_reach_the_join_level_with_all_of_it() -> None:
    assert found(matrix_of(3, r01=0.62, r02=0.75, r12=0.69), [0, 0, -1]) == [0, 0, 2]
    assert found(matrix_of(3, r01=0.62, r02=0.75, r12=0.70), [0, 0, -1]) == [0, 0, 0]


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.booleans())
def test_buckets_are_those_of_the_plain_calculation(seed: int, size: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    upper = rng.uniform(0.4, 1.0, (size, size))
    matrix = np.triu(np.round(upper, 1) if coarse else upper, 1)  # rounded: full of ties
    matrix = matrix + matrix.T + np.eye(size)
    before = rng.integers(-1, 3, size).tolist()
    group = found(matrix, before)
    assert sorted([k for k in range(size) if group[k] == head] for head in sorted(set(group))) == buckets(matrix, before)


@pytest.mark.parametrize("seed", range(3))
def test_the_pass_over_a_range_makes_the_buckets_of_session_after_session(seed: int) -> None:
    """The search in connected components, and the memory from block to block, leave out nothing that the whole matrix shows."""
    closes, book = drawn(np.random.default_rng(seed + 40))
    out = correlation_stacking(closes, book, POLICY)
    memory: dict[int, list[int]] = {}
    seen = 0
    for place in range(book.sessions):
        rows = slice(book.start[place], book.start[place + 1])
        held = book.symbol[rows].tolist()
        if place and book.portfolio[place] != book.portfolio[place - 1]:
            memory = {}
        plain = session(closes, book, place)
        if not held or plain.count < POLICY.minimum:
            memory = {}
            continue
        before = [memory.get(code, [-1])[0] for code in held]
        expected = buckets(plain.shrunk, before)
        group = out.bucket[rows].tolist()
        assert sorted([k for k in range(len(held)) if group[k] == head] for head in sorted(set(group))) == expected
        for members in expected:
            inside = [plain.shrunk[i, j] for i in members for j in members if i < j]
            at = book.start[place] + members[0]
            assert out.tightness[at] == pytest.approx(min(inside, default=np.nan), nan_ok=True)
            seen += len(inside) > 0
        memory = {held[k]: [held[members[0]]] for members in expected for k in members}
    assert seen > 20


def test_what_is_remembered_from_before_the_range_counts() -> None:
    returns = factor(np.random.default_rng(3), 60, 2, share=0.66)
    closes = closes_of(returns)
    book = book_of(closes, [(FIRST + 60, {"S00": 1.0, "S01": 1.0})])
    plain = correlation_stacking(closes, book, POLICY)
    rho = float(np.corrcoef(returns, rowvar=False)[0, 1])
    assert 0.6 < rho < 0.7, "the example has to lie between the levels"
    assert plain.bucket.tolist() == [0, 1]
    assert correlation_stacking(closes, book, POLICY, np.array([[0, 0]])).bucket.tolist() == [0, 0]
    assert correlation_stacking(closes, book, POLICY, np.array([[0, 1]])).bucket.tolist() == [0, 1]
