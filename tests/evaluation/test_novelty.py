import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.novelty import mean_popularity, self_information

COUNTS = np.array([16, 8, 4, 1, 0])


def test_self_information_is_the_mean_of_bits_by_hand():
    found = self_information(np.array([[0, 1, 2], [2, 3, 1]]), [1, 2, 3], COUNTS, n_train_users=16)
    assert {k: values.tolist() for k, values in found.items()} == {1: [0, 2], 2: [0.5, 3], 3: [1, 7 / 3]}


def test_an_item_nobody_has_is_as_novel_as_one_that_a_single_user_has():
    assert self_information(np.array([[3], [4]]), [1], COUNTS, 16)[1].tolist() == [4, 4]


def test_mean_popularity_by_hand():
    found = mean_popularity(np.array([[0, 1, 4], [2, 3, 1]]), [1, 3], COUNTS)
    assert {k: values.tolist() for k, values in found.items()} == {1: [16, 4], 3: [8, 13 / 3]}


def test_a_shorter_list_is_the_mean_of_what_it_holds():
    lists = np.array([[2, -1, -1]])
    assert self_information(lists, [3], COUNTS, 16)[3].tolist() == [2]
    assert mean_popularity(lists, [3], COUNTS)[3].tolist() == [4]


def test_an_empty_list_is_neither_novel_nor_popular():
    lists = np.full((1, 3), -1)
    assert self_information(lists, [1, 3], COUNTS, 16)[3].tolist() == [0]
    assert mean_popularity(lists, [1, 3], COUNTS)[1].tolist() == [0]


@given(
    st.lists(st.lists(st.integers(0, 7), max_size=5, unique=True), max_size=5),
    st.lists(st.integers(0, 9), min_size=8, max_size=8),
    st.integers(9, 20),
)
def test_both_equal_their_definition(lists, counts, n_users):
    items = np.array([[*each, *[-1] * (5 - len(each))] for each in lists], dtype=np.int32).reshape(-1, 5)
    ks = (1, 3, 5)
    bits, popularity = (
        self_information(items, ks, np.array(counts), n_users),
        mean_popularity(items, ks, np.array(counts)),
    )
    for k in ks:
        cut = [each[:k] for each in lists]
        wanted = [sum(-math.log2(max(counts[i], 1) / n_users) for i in each) / max(len(each), 1) for each in cut]
        np.testing.assert_allclose(bits[k], wanted, rtol=0, atol=1e-12)
        wanted = [sum(counts[i] for i in each) / max(len(each), 1) for each in cut]
        np.testing.assert_allclose(popularity[k], wanted, rtol=0, atol=1e-12)


def test_both_are_float64_without_users_too():
    none = np.empty((0, 3), dtype=np.int32)
    for found in (self_information(none, [3], COUNTS, 16), mean_popularity(none, [3], COUNTS)):
        assert (found[3].shape, found[3].dtype) == ((0,), np.float64)


@pytest.mark.parametrize(("counts", "n_users"), [([3, 2], 2), ([-1, 2], 2), ([0, 0], 0)])
def test_counts_that_are_no_counts_of_users_are_refused(counts, n_users):
    with pytest.raises(ValueError, match="item counts run from"):
        self_information(np.array([[0]]), [1], np.array(counts), n_users)


def test_lists_of_another_catalogue_are_refused():
    with pytest.raises(ValueError, match="holds item 5; expected items from 0 to 4"):
        mean_popularity(np.array([[5]]), [1], COUNTS)
    with pytest.raises(ValueError, match="cut-offs are"):
        self_information(np.array([[1]]), [2], COUNTS, 16)
