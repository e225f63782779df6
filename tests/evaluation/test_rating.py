import numpy as np
import pytest

from evaluation.rating import rating_error
from schema.items_by_user import ItemsByUser

SEEN = ItemsByUser.from_pairs(np.array([0, 0, 1]), np.array([0, 1, 2]), n_users=3)


def always_three(users, _items):
    return np.full(len(users), 3.0, dtype=np.float32)


def test_rating_error_is_over_rows_and_not_over_users():
    users, items, rating = np.array([0, 0, 1]), np.array([2, 1, 0]), np.array([4.0, 4.0, 5.0], np.float32)
    scores = rating_error(always_three, users, items, rating, SEEN)
    assert scores.rmse == pytest.approx(((1 + 1 + 4) / 3) ** 0.5)
    assert scores.mae == pytest.approx((1 + 1 + 2) / 3)
    assert scores.counts.tolist() == [2.0, 1.0]


def test_rating_error_leaves_out_cold_users_and_items():
    users, items, rating = np.array([0, 2, 0]), np.array([2, 0, 9]), np.array([5.0, 1.0, 1.0])
    scores = rating_error(always_three, users, items, rating, SEEN)
    assert (scores.counts.sum(), scores.rmse) == (1, 2.0)


def test_rows_name_the_metric_and_enclose_the_value():
    generator = np.random.default_rng(4)
    users, items = np.repeat(np.arange(100), 5), np.tile(np.arange(5), 100)
    seen = ItemsByUser.from_pairs(users, items, n_users=100)
    scores = rating_error(always_three, users, items, generator.integers(1, 6, 500).astype(float), seen)
    rows = scores.rows(("mean", {"a": 1}, "validation"))
    assert [(row.metric, row.k, row.n_users, row.split) for row in rows] == [
        ("rmse", None, 100, "validation"),
        ("mae", None, 100, "validation"),
    ]
    for row, value in zip(rows, (scores.rmse, scores.mae), strict=True):
        assert row.low < row.value == value < row.high


@pytest.mark.parametrize(
    ("rating", "prediction", "item", "message"),
    [
        (np.nan, 3.0, 0, "1 of 1 held-out rows have no rating"),
        (3.0, np.nan, 0, "row 0: predicted nan, rated 3.0"),
        (3.0, 3.0, 9, "none of 1 held-out rows"),
    ],
)
def test_rating_error_refuses_what_it_cannot_compare(rating, prediction, item, message):
    with pytest.raises(ValueError, match=message):
        rating_error(
            lambda users, _: np.full(len(users), prediction),
            np.array([0]),
            np.array([item]),
            np.array([rating]),
            SEEN,
        )


def test_predictions_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="1 predictions for 2 ratings"):
        rating_error(lambda *_: np.ones(1), np.array([0, 0]), np.array([0, 1]), np.array([1.0, 2.0]), SEEN)
