import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.items_by_user import ItemsByUser, pair_keys


@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 9))), st.lists(st.integers(0, 5)))
def test_take_gives_the_sorted_items_of_each_user_asked_for(pairs, wanted):
    columns = np.array(list(pairs), dtype=np.int32).reshape(-1, 2)
    table = ItemsByUser.from_pairs(columns[:, 0], columns[:, 1], n_users=6)
    taken = table.take(np.array(wanted, dtype=np.int64))
    rows = [r.tolist() for r in np.split(taken.items, taken.indptr[1:-1])] if wanted else []
    assert rows == [sorted(item for user, item in pairs if user == u) for u in wanted]
    assert table.items.dtype == np.int32


def test_keys_tell_pairs_apart_and_ascend():
    table = ItemsByUser.from_pairs(np.array([1, 0, 1]), np.array([0, 2**31 - 1, 5]), n_users=2)
    assert table.keys.tolist() == [2**31 - 1, 1 << 32, (1 << 32) + 5]
    assert pair_keys(np.array([1], np.int32), np.array([5], np.int32)).tolist() == [(1 << 32) + 5]


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        ([0, 3], [0, 0], "user indices run from 0 to 3"),
        ([-1], [0], "from -1 to -1"),
        ([0], [-1], "item indices from -1"),
        ([0, 1], [0], "2 user indices and 1 item indices"),
    ],
)
def test_from_pairs_refuses_indices_of_another_dataset(users, items, message):
    with pytest.raises(ValueError, match=message):
        ItemsByUser.from_pairs(np.array(users), np.array(items), n_users=3)
