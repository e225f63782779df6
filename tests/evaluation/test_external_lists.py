import numpy as np
import pyarrow as pa
import pytest

from evaluation.assess import HeldOut, hold_out
from evaluation.external_lists import arrange
from schema.errors import InvalidInput

LEARNT = pa.table({"user_idx": [0, 1, 2], "item_idx": [0, 0, 4]})
HELD = pa.table({"user_idx": [0, 1, 2], "item_idx": [1, 2, 0]})


@pytest.fixture
def held_out() -> HeldOut:
    """Users 0, 1 and 2, who have item 0, item 0 and item 4."""
    return hold_out(LEARNT, HELD, n_users=4, n_items=5)


def lists(*rows: tuple[int, int], **order: list[float]) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    users, items = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    named = {"user_id": [f"u{user}" for user in users], "item_id": [f"i{item}" for item in items]}
    return pa.table({**named, **order}), users, items


def top(ranked: np.ndarray, n: int = 3) -> list[list[int]]:
    assert ranked.shape[1] == 20
    assert (ranked[:, n:] == -1).all()
    return ranked[:, :n].tolist()


def test_rows_in_order_are_a_list_each(held_out):
    ranked, counts = arrange(*lists((1, 3), (0, 2), (1, 1), (0, 1), (2, 1)), held_out, 20)
    assert top(ranked, 2) == [[2, 1], [3, 1], [1, -1]]
    assert counts == {"n_unknown_items": 0, "n_seen": 0, "n_users_without_list": 0}


def test_rank_and_score_decide_the_order_where_they_are_given(held_out):
    rows = ((0, 1), (0, 2), (0, 3))
    assert top(arrange(*lists(*rows, rank=[2, 3, 1]), held_out, 20)[0])[0] == [3, 1, 2]
    assert top(arrange(*lists(*rows, score=[2, 3, 1]), held_out, 20)[0])[0] == [2, 1, 3]


def test_unknown_and_seen_items_are_taken_out_and_counted(held_out):
    ranked, counts = arrange(*lists((0, 0), (0, -1), (0, 3), (1, 2), (3, 1), (-1, 1)), held_out, 20)
    assert top(ranked, 1) == [[3], [2], [-1]]
    assert counts == {"n_unknown_items": 1, "n_seen": 1, "n_users_without_list": 1}


def test_list_that_repeats_an_item_is_refused(held_out):
    with pytest.raises(InvalidInput, match="the list of user 'u1' has item 'i3' more than once"):
        arrange(*lists((0, 3), (1, 3), (1, 2), (1, 3)), held_out, 20)


def test_lists_of_other_users_are_refused(held_out):
    with pytest.raises(InvalidInput, match="none of the 1 users of the lists is among the 3 that are evaluated"):
        arrange(*lists((3, 1), (3, 2)), held_out, 20)
