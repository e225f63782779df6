from dataclasses import replace

import numpy as np
import pytest

from models.base import Interactions
from models.factors import ITEM_FACTORS_FILE
from models.ials import CONFIDENCE_FILE, N_USERS_FILE, Ials, IalsModel, IalsOptions
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

N_USERS, N_ITEMS = 30, 25
PARAMETERS = {"ials_rank": 6, "ials_unseen": 5.0, "ials_reg": 0.02, "ials_sweeps": 4}


def interactions(user, item):
    return Interactions.of(N_USERS, N_ITEMS, user_idx=user, item_idx=item)


@pytest.fixture(scope="module")
def pairs():
    has = np.random.default_rng(3).random((N_USERS, N_ITEMS)) < np.linspace(0.6, 0.05, N_ITEMS)
    return np.nonzero(has)


@pytest.fixture(scope="module")
def fitted(pairs):
    return Ials().fit(interactions(*pairs), PARAMETERS)


def step(has, confidence, factors, each):
    """The oracle: one step over dense weights, each row by its normal equations, in double precision."""
    unseen, reg = each * (factors.T @ factors), PARAMETERS["ials_reg"]
    solved = []
    for row, trust in zip(has, confidence, strict=True):
        penalty = reg * (row.sum() + each * np.count_nonzero(factors.any(axis=1)))
        matrix = (factors.T * (row * trust)) @ factors + unseen + penalty * np.eye(factors.shape[1])
        solved.append(np.linalg.solve(matrix, factors.T @ (row * trust)))
    return np.array(solved)


def train_by_hand(pairs, rank=6):
    """Return the factors of users, as a next step would find them, and of items."""
    has = np.zeros((N_USERS, N_ITEMS))
    has[pairs] = 1
    n_users_of = has.sum(axis=0)
    trust = np.maximum(n_users_of, 1) ** -0.25
    trust = np.broadcast_to(trust / ((trust * n_users_of).sum() / n_users_of.sum()), has.shape)
    items = np.random.default_rng(42).standard_normal((N_ITEMS, rank), dtype=np.float32) * (0.1 / rank**0.5)
    items[n_users_of == 0] = 0
    each = PARAMETERS["ials_unseen"] / np.count_nonzero(n_users_of)
    for _ in range(PARAMETERS["ials_sweeps"]):
        items = step(has.T, trust.T, step(has, trust, items, each), each)
    return step(has, trust, items, each), items


def test_fold_in_gives_users_the_scores_that_training_by_the_plain_equations_gives_them(fitted, pairs):
    users, items = train_by_hand(pairs)
    vectors = fitted.fold_in(Histories.of(ItemsByUser.from_pairs(*pairs, N_USERS)))
    np.testing.assert_allclose(vectors @ fitted.item_factors.T, users @ items.T, atol=1e-4)


def test_the_order_of_rows_and_repeats_change_no_byte(fitted, pairs):
    order = np.random.default_rng(1).permutation(len(pairs[0]))
    for rows in (order, np.concatenate([order, order[:9]])):
        again = Ials().fit(interactions(*(column[rows] for column in pairs)), PARAMETERS)
        assert again.item_factors.tobytes() == fitted.item_factors.tobytes()
        assert again.confidence.tobytes() == fitted.confidence.tobytes()


def test_items_that_nobody_has_change_no_factor(fitted, pairs):
    user, item = pairs
    more = Ials().fit(Interactions.of(N_USERS, 9 * N_ITEMS, user_idx=user, item_idx=item), PARAMETERS)
    histories = Histories.of(ItemsByUser.from_pairs(*pairs, N_USERS))
    scores = [model.fold_in(histories) @ model.item_factors[:N_ITEMS].T for model in (fitted, more)]
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-4)
    assert not more.item_factors[N_ITEMS:].any()


def test_another_seed_begins_elsewhere(fitted, pairs):
    other = Ials().fit(interactions(*pairs), PARAMETERS | {"ials_seed": 1})
    assert not np.allclose(np.abs(other.item_factors), np.abs(fitted.item_factors), atol=1e-4)


def test_an_old_item_of_a_history_counts_as_one_that_is_trusted_less(fitted):
    """With decay 0.5 and a half-life of two days, an item one moment and two days back weighs a quarter."""
    items = ItemsByUser(np.array([0, 2]), np.array([3, 8], np.int32))
    history = Histories.of(items)._replace(timestamp=np.array([0, 2 * 86_400]))
    aged = replace(fitted, options=IalsOptions(**PARAMETERS, ials_decay=0.5, ials_half_life_days=2))
    trust = fitted.confidence.copy()
    trust[3] /= 4
    expected = replace(fitted, confidence=trust).fold_in(Histories.of(items))
    np.testing.assert_allclose(aged.fold_in(history), expected, rtol=1e-5, atol=1e-7)
    assert aged.fold_in(Histories.of(items)).tobytes() == fitted.fold_in(Histories.of(items)).tobytes()


def test_an_empty_history_ranks_nothing(fitted):
    nobody = ItemsByUser(np.array([0, 0]), np.array([], np.int32))
    assert fitted.rank_histories(Histories.of(nobody), nobody, 2)[0].tolist() == [[-1, -1]]


def test_an_item_outside_the_catalogue_is_refused():
    with pytest.raises(ValueError, match="item indices run from 0 to 25; expected 0 to 24"):
        Ials().fit(interactions(np.array([0, 1]), np.array([0, 25])), PARAMETERS)


def test_a_fit_of_nothing_is_a_model_without_lists():
    nothing = np.array([], np.int32)
    empty = Ials().fit(interactions(nothing, nothing), PARAMETERS)
    assert not empty.item_factors.any()
    assert Ials().fit(Interactions.of(0, 0, user_idx=nothing, item_idx=nothing), PARAMETERS).n_items == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"item_factors": np.full((N_ITEMS, 6), np.nan, np.float32)}, "item_factors row 0 holds NaN"),
        (
            {"confidence": np.ones(3, np.float32)},
            r"confidence is float32 of shape \(3,\); expected .* of shape \(25,\)",
        ),
        ({"confidence": np.zeros(N_ITEMS, np.float32)}, "expected finite float32 numbers above 0"),
        ({"n_users": -1}, "n_users is -1"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(fitted, changed, message):
    with pytest.raises(ValueError, match=message):
        replace(fitted, **changed)


def test_a_file_that_is_cut_is_refused(fitted, tmp_path):
    fitted.save(tmp_path)
    whole = (tmp_path / CONFIDENCE_FILE).read_bytes()
    (tmp_path / CONFIDENCE_FILE).write_bytes(whole[:-4])
    with pytest.raises(ValueError, match="mmap length"):
        IalsModel.load(tmp_path, **PARAMETERS)


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        (N_USERS_FILE, np.array([4, 5]), "expected int64 of 0 dimension"),
        (N_USERS_FILE, np.array(2.7), "is float64"),
        (ITEM_FACTORS_FILE, np.ones((N_ITEMS, 7), np.float32), "has rank 7; expected"),
    ],
)
def test_files_of_another_shape_are_refused(fitted, tmp_path, file, values, message):
    fitted.save(tmp_path)
    np.save(tmp_path / file, values)
    with pytest.raises(ValueError, match=message):
        IalsModel.load(tmp_path, **PARAMETERS)
