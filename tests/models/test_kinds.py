"""What every kind of model that is registered must do."""

import numpy as np
import pytest

from models.base import Histories, HistoryRanker, Scorer
from models.registry import ModelOptions, candidates
from schema.items_by_user import ItemsByUser

CANDIDATES = {one.model: one for one in candidates(ModelOptions(), has_ratings=True, has_timestamps=True)}


@pytest.fixture(params=CANDIDATES)
def kind(request):
    return CANDIDATES[request.param].kind


@pytest.fixture
def fitted(kind, checkerboard):
    return kind.fit(checkerboard, CANDIDATES[kind.name].parameters)


@pytest.fixture
def seen(checkerboard):
    return ItemsByUser.from_pairs(checkerboard.user_idx, checkerboard.item_idx, checkerboard.n_users)


def test_each_users_withheld_item_ranks_first_where_the_kind_knows_users(kind, fitted, seen):
    first = fitted.rank(np.arange(fitted.n_users), seen, 3)[0][:, 0].tolist()
    is_personal = not (kind.is_same_for_all or kind.is_impersonal)
    assert (first == list(range(fitted.n_users))) is is_personal


def test_lists_hold_each_unseen_item_once_best_first_and_then_nothing(fitted, seen):
    items, scores = fitted.rank(np.arange(fitted.n_users), seen, fitted.n_items)
    assert (items.dtype, scores.dtype) == (np.int32, np.float32)
    for user, (row, values) in enumerate(zip(items, scores, strict=True)):
        theirs = set(seen.items[seen.indptr[user] : seen.indptr[user + 1]].tolist())
        n_left = fitted.n_items - len(theirs)
        assert set(row[:n_left].tolist()) == set(range(fitted.n_items)) - theirs
        assert row[n_left:].tolist() == [-1] * len(theirs)
        assert np.isneginf(values[n_left:]).all()
        assert (np.diff(values[:n_left]) <= 0).all()


def test_ranks_are_those_of_the_scores_and_ties_are_ordered_by_item(fitted, seen):
    if not isinstance(fitted, Scorer):
        pytest.skip("it scores no pairs")
    items, scores = fitted.rank(np.arange(fitted.n_users), seen, 8)
    for user in range(fitted.n_users):
        pairs = np.full(fitted.n_items, user), np.arange(fitted.n_items)
        of_all = fitted.score(*pairs).astype(np.float64)
        of_all[seen.items[seen.indptr[user] : seen.indptr[user + 1]]] = -np.inf
        assert items[user].tolist() == np.lexsort((pairs[1], -of_all.astype(np.float32)))[:8].tolist()
        np.testing.assert_allclose(scores[user], of_all[items[user]], rtol=1e-6)


def test_a_user_gets_the_same_bytes_in_any_company(fitted, seen):
    users = np.arange(fitted.n_users)
    together = fitted.rank(users, seen, 5)
    for part in ([7], [3, 2, 9], users[::-1]):
        apart = fitted.rank(users[part], seen.take(users[part]), 5)
        for one, other in zip(apart, together, strict=True):
            assert one.tobytes() == other[part].tobytes()


def test_everybody_gets_one_order_where_the_kind_says_so(kind, fitted):
    if not kind.is_same_for_all:
        pytest.skip("it does not")
    nothing = ItemsByUser(np.zeros(fitted.n_users + 1, np.int64), np.array([], np.int32))
    lists = fitted.rank(np.arange(fitted.n_users), nothing, 10)[0]
    assert (lists == lists[0]).all()


def test_load_gives_back_what_save_wrote_as_little_endian_arrays(kind, fitted, seen, tmp_path):
    fitted.save(tmp_path / kind.folder)
    loaded = kind.load(tmp_path / kind.folder, {})
    assert type(loaded) is type(fitted)
    assert (loaded.n_users, loaded.n_items) == (fitted.n_users, fitted.n_items)
    arrays = [value for value in vars(loaded).values() if isinstance(value, np.ndarray)]
    assert all(isinstance(one, np.memmap) for one in arrays)
    users = np.arange(fitted.n_users)
    for one, other in zip(loaded.rank(users, seen, 7), fitted.rank(users, seen, 7), strict=True):
        np.testing.assert_array_equal(one, other)
    files = list((tmp_path / kind.folder).iterdir())
    assert files
    for path in files:
        assert np.load(path, allow_pickle=False).dtype.str.startswith("<")


def test_a_file_that_is_missing_is_named(kind, fitted, tmp_path):
    fitted.save(tmp_path)
    [path, *_] = sorted(tmp_path.iterdir())
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        kind.load(tmp_path, {})


def test_rank_of_no_users_is_empty(fitted):
    nobody = ItemsByUser(np.array([0]), np.array([], np.int32))
    assert fitted.rank(np.array([], np.int64), nobody, 3)[0].shape == (0, 3)


@pytest.mark.parametrize(
    ("indptr", "items", "k", "message"),
    [([0, 0], [], 0, "k is 0; expected at least 1"), ([0, 0, 0], [], 1, "3 (boundaries|entries) for 1 users")],
)
def test_rank_refuses_what_does_not_fit(fitted, indptr, items, k, message):
    with pytest.raises(ValueError, match=message):
        fitted.rank(np.array([0]), ItemsByUser(np.array(indptr), np.array(items, np.int32)), k)


def test_histories_are_ranked_like_those_of_users_where_the_model_can(fitted, seen):
    if not isinstance(fitted, HistoryRanker):
        pytest.skip("it ranks no histories")
    for one, other in zip(
        fitted.rank_histories(Histories.of(seen), seen, 5), fitted.rank(np.arange(fitted.n_users), seen, 5), strict=True
    ):
        np.testing.assert_array_equal(one, other)
