import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import diversity
from evaluation.diversity import intra_list_diversity
from schema.items_by_user import ItemsByUser


def as_table(holdings):
    """Items per user of (user, item) pairs."""
    pairs = np.array(holdings, dtype=np.int64).reshape(-1, 2)
    return ItemsByUser.from_pairs(pairs[:, 0], pairs[:, 1], n_users=6)


def naive_diversity(items, holdings):
    users_of = {item: {user for user, held in holdings if held == item} for item in items}
    cosines = [
        len(users_of[a] & users_of[b]) / math.sqrt(len(users_of[a]) * len(users_of[b]))
        if users_of[a] and users_of[b]
        else 0.0
        for a, b in combinations(items, 2)
    ]
    return 1 - sum(cosines) / len(cosines) if cosines else 0.0


def test_diversity_of_three_items_by_hand():
    """Item 0 is held by users 0 to 3, item 1 by 0, item 2 by 4: cosines 1 / 2, 0 and 0."""
    seen = as_table([(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (4, 2)])
    found = intra_list_diversity(np.array([[0, 1, 2]]), [1, 2, 3], seen, n_items=3)
    assert {k: values.tolist() for k, values in found.items()} == {1: [0], 2: [0.5], 3: [1 - 0.5 / 3]}


def test_items_of_the_same_users_have_no_variety():
    seen = as_table([(user, item) for user in range(3) for item in range(4)])
    assert intra_list_diversity(np.array([[0, 1, 2, 3]]), [4], seen, n_items=4)[4].tolist() == [0]


def test_an_item_nobody_has_is_unlike_all_others():
    assert intra_list_diversity(np.array([[0, 1, 2]]), [3], as_table([(0, 0)]), n_items=3)[3].tolist() == [1]


def test_a_list_of_fewer_than_two_items_has_no_variety():
    lists = np.array([[-1, -1], [1, -1]])
    assert intra_list_diversity(lists, [1, 2], as_table([(0, 1)]), n_items=2)[2].tolist() == [0, 0]


def test_a_pair_given_twice_counts_once():
    once, twice = as_table([(0, 0), (0, 1), (1, 0)]), as_table([(0, 0), (0, 0), (0, 1), (1, 0)])
    lists = np.array([[0, 1]])
    assert intra_list_diversity(lists, [2], twice, 2)[2] == intra_list_diversity(lists, [2], once, 2)[2]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(st.integers(0, 8), max_size=5, unique=True), max_size=5),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 8))),
    st.sampled_from([1, 8, 30, 1 << 22]),
)
def test_diversity_equals_its_definition_in_blocks_of_any_size(lists, holdings, block_cells):
    items = np.array([[*each, *[-1] * (5 - len(each))] for each in lists], dtype=np.int32).reshape(-1, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "BLOCK_CELLS", block_cells)
        found = intra_list_diversity(items, (2, 4, 5), as_table(sorted(holdings)), n_items=9)
    for k, values in found.items():
        wanted = [naive_diversity(each[:k], holdings) for each in lists]
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-12)
        assert values.dtype == np.float64


def test_users_alike_have_the_same_value_in_any_company():
    seen = as_table([(user, item) for user in range(6) for item in range(9) if (user * item) % 4 != 1])
    lists = np.array([[0, 3, 5], [1, 2, 8], [5, 3, 0]])
    together = intra_list_diversity(lists, [3], seen, 9)[3]
    assert together[0] == intra_list_diversity(lists[:1], [3], seen, 9)[3][0]
    assert together[0] == pytest.approx(together[2])


def test_another_catalogue_is_refused():
    with pytest.raises(ValueError, match="seen holds item 2; expected items from 0 to 1"):
        intra_list_diversity(np.array([[0, 1]]), [2], as_table([(0, 2)]), n_items=2)
    with pytest.raises(ValueError, match="repeats an item"):
        intra_list_diversity(np.array([[1, 1]]), [2], as_table([(0, 1)]), n_items=2)
