import numpy as np
import pytest

from evaluation.time_order import judge_time_order

DAY = 86_400


def test_what_is_done_on_many_days_can_be_trusted():
    user, day = np.repeat(np.arange(4), 10), np.arange(40)
    order = judge_time_order(user, day * DAY)
    assert (order.share_simultaneous, order.share_with_past, order.n_days, order.span_days) == (0, 0.9, 40, 40)
    assert order.is_trusted


@pytest.mark.parametrize(
    ("timestamp", "share_simultaneous", "share_with_past"),
    [
        (np.zeros(40), 1.0, 0.0),  # an import
        (np.repeat(np.arange(4), 10) * 9 * DAY + np.tile(np.arange(10), 4), 0.0, 0.0),  # a form of ten questions
        (np.arange(40) % 10 * DAY, 0.0, 0.9),  # ten days
        (np.r_[np.arange(35), np.full(5, 35)] * DAY, 0.125, 0.9),  # more than a tenth on one of 36 days
    ],
)
def test_what_is_done_at_once_or_within_days_cannot(timestamp, share_simultaneous, share_with_past):
    order = judge_time_order(np.repeat(np.arange(4), 10), timestamp.astype(np.int64))
    assert (order.share_simultaneous, order.share_with_past) == (share_simultaneous, share_with_past)
    assert not order.is_trusted


def test_the_order_of_rows_and_users_of_one_second_do_not_matter():
    user, timestamp = np.array([0, 1, 0, 1, 1]), np.array([5, 5, 5, 2 * DAY, 7])
    found = judge_time_order(user, timestamp)
    assert (found.share_simultaneous, found.share_with_past) == (0.4, 0.2)
    assert judge_time_order(user[::-1], timestamp[::-1]) == found


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="there are no rows"):
        judge_time_order(np.array([], int), np.array([], int))
