import numpy as np
import pytest

from schema.arrays import order_by

FURTHEST = np.iinfo(np.int64).max


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([], []),
        ([2, 0, 2, 1], [5, -7, -9, 0]),
        ([3, 0, 1], [FURTHEST // 2, 0, 1]),  # together more than 64 bits
        ([3, 0, 1], [FURTHEST, -FURTHEST, 1]),
        ([0, -1, 0], [1, 5, 0]),
    ],
)
def test_it_is_the_order_of_lexsort_whether_or_not_both_fit_one_number(first, then):
    first, then = np.array(first, dtype=np.int32), np.array(then, dtype=np.int64)
    np.testing.assert_array_equal(order_by(first, then), np.lexsort((then, first)))
