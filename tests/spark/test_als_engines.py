import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.als_local import LocalFactorisation, factorise_locally
from models.base import Interactions
from spark.factorise import Factorisation, factorise, factors_of

N_USERS, N_ITEMS = 300, 120


@pytest.fixture(scope="module")
def rows():
    """Ratings with some structure: of two tastes, more of items that are popular."""
    generator = np.random.default_rng(11)
    chance = np.linspace(0.4, 0.05, N_ITEMS) * (1 + (np.arange(N_USERS)[:, None] + np.arange(N_ITEMS)) % 2) / 1.5
    user, item = np.nonzero(generator.random((N_USERS, N_ITEMS)) < chance)
    rating = np.clip(3 + (user + item) % 2 + generator.normal(0, 1, len(user)).round(), 1, 5).astype("float32")
    return pa.table({"user_idx": user.astype("int32"), "item_idx": item.astype("int32"), "rating": rating})


@pytest.mark.parametrize("implicit", [True, False])
def test_spark_and_this_machine_reach_the_same_loss(session, rows, tmp_path, implicit):
    given = {"implicit": implicit, "rank": 8, "reg": 0.05, "alpha": 10.0, "maxiter": 15}
    pq.write_table(rows.append_column("timestamp", pa.array(np.zeros(len(rows), "int64"))), tmp_path / "rows.parquet")
    spark = factorise(session, [(tmp_path / "rows.parquet").as_uri()], Factorisation(**given))
    local = factorise_locally(
        Interactions(N_USERS, N_ITEMS, lambda name: np.asarray(rows[name])), LocalFactorisation(**given)
    )
    losses = [loss(rows, given, *factors) for factors in (factors_of(spark, N_USERS, N_ITEMS), local)]
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)  # they begin elsewhere, and end in optima about as good


def loss(rows, given, users, items):
    """The loss of `factorise_locally`, in double precision."""
    user, item = (np.asarray(rows[name]) for name in ("user_idx", "item_idx"))
    scores = users.astype(float) @ items.T
    at = scores[user, item]
    penalty = sum(
        (np.bincount(index, minlength=len(factors)) @ (factors.astype(float) ** 2).sum(axis=1))
        for index, factors in ((user, users), (item, items))
    )
    if not given["implicit"]:
        return ((np.asarray(rows["rating"]) - at) ** 2).sum() + given["reg"] * penalty
    all_pairs = (scores**2).sum() - (at**2).sum()
    return all_pairs + (1 + given["alpha"]) * ((1 - at) ** 2).sum() + given["reg"] * penalty
