import numpy as np
import pytest

from models import als
from models.als import AlsOptions, ExplicitAls, ImplicitAls
from models.base import Interactions
from schema.histories import Histories

N_USERS, N_ITEMS = 30, 20
LOCAL = {"rank": 6, "reg": 0.3, "alpha": 5.0, "maxiter": 3, "seed": 7, "engine": "local"}


def interactions(spark=None, **changed):
    """Return half of all pairs, of all users and items but the last, in no order."""
    generator = np.random.default_rng(3)
    pairs = generator.permutation((N_USERS - 1) * (N_ITEMS - 1))[: N_USERS * N_ITEMS // 2]
    columns = {
        "user_idx": pairs // (N_ITEMS - 1),
        "item_idx": pairs % (N_ITEMS - 1),
        "rating": generator.integers(1, 6, len(pairs)).astype(np.float32),
        "timestamp": generator.integers(0, 1000, len(pairs)) * 86_400,
    } | changed
    return Interactions(N_USERS, N_ITEMS, columns.__getitem__, spark=spark)


def fit(kind, found=None, **changed):
    return kind.fit(interactions() if found is None else found, LOCAL | changed)


class Spark:
    """Stands for Spark, and remembers what it was asked for."""

    def factorise(self, parameters, _saved_as):
        self.asked = parameters
        return np.ones((N_USERS, 6), np.float32), np.ones((N_ITEMS, 6), np.float32)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        (ExplicitAls(), {}),
        (ImplicitAls(), {}),
        (ImplicitAls(), {"confidence": "ratings"}),
        (ImplicitAls(), {"confidence": "recency", "half_life_days": 100.0}),
    ],
)
def test_users_are_those_that_the_normal_equations_give_for_the_items(kind, weights):
    model, rows = fit(kind, **weights), interactions()
    histories = Histories.from_columns(*map(rows.column, ("user_idx", "item_idx", "rating", "timestamp")), N_USERS)
    np.testing.assert_allclose(model.user_factors, model.fold_in(histories), rtol=0, atol=2e-5)
    assert model.user_factors[:-1].any(axis=1).all()


@pytest.mark.parametrize("kind", [ExplicitAls(), ImplicitAls()])
def test_what_was_not_there_has_factors_of_zero(kind):
    model = fit(kind)
    assert not model.user_factors[-1].any()
    assert not model.item_factors[-1].any()


@pytest.mark.parametrize("kind", [ExplicitAls(), ImplicitAls()])
def test_each_iteration_lowers_the_loss(kind):
    losses = [loss(fit(kind, maxiter=n), interactions()) for n in (1, 2, 4, 8)]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("kind", [ExplicitAls(), ImplicitAls()])
def test_the_order_of_rows_does_not_matter(kind):
    rows = {name: interactions().column(name)[::-1] for name in ("user_idx", "item_idx", "rating", "timestamp")}
    assert fit(kind, interactions(**rows)).item_factors.tobytes() == fit(kind).item_factors.tobytes()


@pytest.mark.parametrize(
    ("kind", "given", "changed"),
    [
        (ExplicitAls(), {}, {"rating": np.full(300, np.nan, np.float32)}),
        (ImplicitAls(), {"confidence": "ratings"}, {"rating": np.zeros(300, np.float32)}),
        (ImplicitAls(), {"confidence": "recency"}, {"timestamp": np.full(300, np.nan)}),
        (ImplicitAls(), {"confidence": "recency", "half_life_days": 1e-3}, {}),
        (ImplicitAls(), {}, {"user_idx": np.array([], int), "item_idx": np.array([], int)}),
    ],
)
def test_what_spark_refuses_is_left_to_spark_to_explain(kind, given, changed):
    spark = Spark()
    fit(kind, interactions(spark, **changed), **given)
    assert "engine" not in spark.asked


def test_this_machine_tries_and_spark_has_the_last_word_unless_an_engine_is_asked_for(monkeypatch):
    kind = ImplicitAls()
    [usual], [asked] = (list(kind.candidates(AlsOptions(als_engine=engine))) for engine in ("auto", "spark"))
    assert "engine" not in usual
    assert kind.on_trial(usual, 1000)["engine"] == "local"
    assert kind.on_trial(asked, 1000)["engine"] == "spark"
    assert "engine local" in [*kind.describe(kind.on_trial(usual, 1000))]
    monkeypatch.setattr(als, "MOST_INTERACTIONS", 999)
    assert kind.on_trial(usual, 1000) == usual
    spark = Spark()
    fit(kind, interactions(spark), engine="spark")
    assert spark.asked["rank"] == LOCAL["rank"]


def loss(model, rows):
    """Return the loss of a model over all pairs, or over those that are rated: see `factorise_locally`."""
    user, item = rows.user_idx, rows.item_idx
    scores = model.user_factors.astype(float) @ model.item_factors.T
    weights, targets = np.zeros(scores.shape), np.zeros(scores.shape)
    weights[user, item] = LOCAL["alpha"] if model.implicit else 1
    targets[user, item] = 1 if model.implicit else rows.rating
    penalties = [
        (np.bincount(index, minlength=len(factors))[:, None] * factors.astype(float) ** 2).sum()
        for index, factors in ((user, model.user_factors), (item, model.item_factors))
    ]
    return ((weights + model.implicit) * (targets - scores) ** 2).sum() + model.reg * sum(penalties)
