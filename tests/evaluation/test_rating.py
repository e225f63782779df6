import numpy as np
import pytest

from evaluation.rating import rating_errors
from schema.items_by_user import ItemsByUser
from schema.metric import Metric

SEEN = ItemsByUser.from_pairs(np.array([0, 0, 1]), np.array([0, 1, 2]), n_users=3)
ABOUT = ("mean", {"a": 1}, "validation")


def always_three(users, _items):
    return np.full(len(users), 3.0, dtype=np.float32)


def errors(users, items, rating, seen=SEEN):
    """RMSE and MAE rows of a model that always predicts three."""
    return rating_errors(always_three, np.array(users), np.array(items), np.array(rating, float), seen, ABOUT)


def test_errors_are_over_rows_and_not_over_users():
    rmse, mae = errors([0, 0, 1], [2, 1, 0], [4, 4, 5])
    assert rmse.value == pytest.approx(((1 + 1 + 4) / 3) ** 0.5)
    assert mae.value == pytest.approx((1 + 1 + 2) / 3)


def test_errors_leave_out_cold_users_and_items():
    rmse, mae = errors([0, 2, 0], [2, 0, 9], [5, 1, 1])
    assert (rmse.value, mae.value, rmse.n_users) == (2.0, 2.0, 1)


def test_rows_name_the_metric_and_enclose_the_value():
    users, items = np.repeat(np.arange(100), 5), np.tile(np.arange(5), 100)
    seen = ItemsByUser.from_pairs(users, items, n_users=100)
    rows = errors(users, items, np.random.default_rng(4).integers(1, 6, 500), seen)
    assert [(row.key, row.n_users, row.split) for row in rows] == [
        (Metric("rmse"), 100, "validation"),
        (Metric("mae"), 100, "validation"),
    ]
    assert all(row.low < row.value < row.high for row in rows)


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
        rating_errors(
            lambda users, _: np.full(len(users), prediction),
            np.array([0]),
            np.array([item]),
            np.array([rating]),
            SEEN,
            ABOUT,
        )


def test_predictions_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="1 predictions for 2 ratings"):
        rating_errors(lambda *_: np.ones(1), np.array([0, 0]), np.array([0, 1]), np.array([1.0, 2.0]), SEEN, ABOUT)
