from types import SimpleNamespace

import numpy as np
import pytest

from models.base import Interactions

N_USERS, N_ITEMS = 12, 20


@pytest.fixture(scope="session")
def checkerboard():
    """Interactions of users and items of two colours, each user with all items of one colour but item number u."""
    users, items = np.nonzero(np.add.outer(np.arange(N_USERS), np.arange(N_ITEMS)) % 2 == 0)
    is_kept = items // 2 != users // 2
    users, items = users[is_kept], items[is_kept]
    ratings, times = np.where(items < 14, 5.0, 1.0).astype(np.float32), 86_400 * (users + items)

    def factorise(parameters, saved_as):
        """Do what Spark does for a model, by singular values."""
        assert saved_as
        matrix = np.zeros((N_USERS, N_ITEMS))
        matrix[users, items] = 1
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        sides = left[:, :2] * values[:2], right[:2].T
        return tuple(np.ascontiguousarray(side, dtype=np.float32) for side in sides)

    columns = {"user_idx": users, "item_idx": items, "rating": ratings, "timestamp": times}
    return Interactions(N_USERS, N_ITEMS, columns.__getitem__, SimpleNamespace(factorise=factorise))
