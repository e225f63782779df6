import numpy as np

from models.ages import weigh_histories
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

DAY = 86_400


def weigh(indptr, times, decay, half_life_days):
    items = ItemsByUser(np.array(indptr), np.arange(len(times), dtype=np.int32))
    histories = Histories.of(items)._replace(timestamp=np.array(times))
    return weigh_histories(histories, decay, half_life_days).tolist()


def test_items_count_less_for_each_later_moment_and_each_day():
    times = [3 * DAY, 0, 3 * DAY, DAY, 8 * DAY, 7 * DAY]
    assert weigh([0, 4, 6], times, 0.5, np.inf) == [1, 0.25, 1, 0.5, 1, 0.5]
    assert weigh([0, 4, 6], times, 1, 1) == [1, 0.125, 1, 0.25, 1, 0.5]
    assert weigh([0, 4, 6], times, 0.5, 1) == [1, 0.03125, 1, 0.125, 1, 0.25]


def test_items_without_a_time_count_as_the_newest_and_change_no_other():
    assert weigh([0, 3, 4], [-1, 5, 9, -1], 0.5, np.inf) == [1, 0.5, 1, 1]


def test_nobody_has_no_weights_and_without_decay_all_are_1():
    assert weigh([0], [], 0.5, 1) == []
    assert weigh([0, 2], [0, DAY], 1, np.inf) == [1, 1]
