import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.top_k import find_largest, group_layout


@given(st.integers(1, 200_000), st.integers(1, 200))
def test_group_layout_holds_all_columns_and_k_groups(n_columns, k):
    k = min(k, n_columns)
    n_members, n_groups = group_layout(n_columns, k)
    assert n_members * n_groups >= n_columns
    assert n_groups >= k


@given(arrays(np.float32, (3, 5, 7), elements=st.integers(-9, 9)), st.integers(1, 7))
def test_find_largest_finds_distinct_columns_of_the_largest_values(scores, k):
    flat = scores.reshape(3, 35)
    columns = find_largest(scores, k)
    assert all(len(set(row)) == k for row in columns.tolist())
    np.testing.assert_array_equal(np.sort(np.take_along_axis(flat, columns, 1)), np.sort(flat)[:, -k:])
