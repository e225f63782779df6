"""What every kind of model that is registered must do."""

import json
import subprocess
import sys
from importlib.util import find_spec
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import Explainer, HistoryRanker, Scorer, Similar
from models.blend import BlendOptions, Share
from models.ials import IalsOptions
from models.ncf import NcfOptions
from models.registry import KINDS, ModelOptions, candidates
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

NCF = NcfOptions(
    ncf_factors=8,
    ncf_layers=1,
    ncf_epochs=60,
    ncf_patience=60,
    ncf_held_back=0.15,
    ncf_rate=0.02,
    ncf_batch=64,
)
IALS = IalsOptions(ials_rank=8, ials_unseen=1)
SHARES = (
    Share(model="item-graph", weight=1),
    Share(model="ials", weight=3, parameters=IALS.model_dump()),
)
OPTIONS = ModelOptions(ials=IALS, blend=BlendOptions(blend=SHARES), ncf=NCF)
NAMES = [name for name, kind in KINDS.items() if find_spec("torch") or "torch" not in kind.needs]
CANDIDATES = {one.model: one for one in candidates(OPTIONS, has_ratings=True, has_timestamps=True, names=NAMES)}
KNOWS_RATED_ITEMS_ONLY = {"mlp-explicit"}  # and so nothing of those that a user has not rated


NO_ENGINES = """
import sys
sys.modules |= dict.fromkeys(("scipy", "pandas", "pyarrow", "pyspark", "torch"))  # an import of one of them fails
import json, pathlib, numpy as np
from schema.histories import Histories
from models.registry import Candidate
from schema.items_by_user import ItemsByUser
row = ItemsByUser(np.array([0, 1]), np.array([3], np.int32))
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    candidate = Candidate(model=folder.name, parameters=json.loads((folder / "parameters.json").read_text()))
    model = candidate.kind.load(folder, candidate.parameters)
    items, _ = model.rank(np.array([0]), row, 4)
    if hasattr(model, "rank_histories"):
        items, _ = model.rank_histories(Histories.of(row)._replace(rating=np.ones(1, np.float32)), row, 4)
    print(folder.name, (items >= 0).sum())
"""


@pytest.fixture(params=CANDIDATES, scope="module")
def kind(request):
    return CANDIDATES[request.param].kind


@pytest.fixture(scope="module")
def fitted(kind, checkerboard):
    return kind.fit(checkerboard, CANDIDATES[kind.name].parameters)


@pytest.fixture(scope="module")
def seen(checkerboard):
    return ItemsByUser.from_pairs(checkerboard.user_idx, checkerboard.item_idx, checkerboard.n_users)


def test_each_users_withheld_item_ranks_first_where_the_kind_knows_users(kind, fitted, seen):
    first = fitted.rank(np.arange(fitted.n_users), seen, 3)[0][:, 0].tolist()
    is_personal = not (kind.is_same_for_all or kind.is_impersonal or kind.name in KNOWS_RATED_ITEMS_ONLY)
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


def test_a_seen_item_that_is_repeated_counts_once(fitted, seen):
    users = np.arange(fitted.n_users)
    twice = ItemsByUser(
        2 * seen.indptr, np.concatenate([np.tile(row, 2) for row in np.split(seen.items, seen.indptr[1:-1])])
    )
    for one, other in zip(fitted.rank(users, twice, 5), fitted.rank(users, seen, 5), strict=True):
        assert one.tobytes() == other.tobytes()


def test_everybody_gets_one_order_where_the_kind_says_so(kind, fitted):
    if not kind.is_same_for_all:
        pytest.skip("it does not")
    nothing = ItemsByUser(np.zeros(fitted.n_users + 1, np.int64), np.array([], np.int32))
    lists = fitted.rank(np.arange(fitted.n_users), nothing, 10)[0]
    assert (lists == lists[0]).all()


def test_load_gives_back_what_save_wrote_as_little_endian_arrays(kind, fitted, seen, tmp_path):
    fitted.save(tmp_path / kind.folder)
    loaded = kind.load(tmp_path / kind.folder, CANDIDATES[kind.name].parameters)
    assert type(loaded) is type(fitted)
    assert (loaded.n_users, loaded.n_items) == (fitted.n_users, fitted.n_items)
    arrays = [value for value in vars(loaded).values() if isinstance(value, np.ndarray)]
    assert all(isinstance(one, np.memmap) or isinstance(one.base, np.memmap) for one in arrays)
    users = np.arange(fitted.n_users)
    for one, other in zip(loaded.rank(users, seen, 7), fitted.rank(users, seen, 7), strict=True):
        np.testing.assert_array_equal(one, other)
    files = list((tmp_path / kind.folder).rglob("*.npy"))
    assert files
    for path in files:
        assert np.load(path, allow_pickle=False).dtype.str.startswith("<")


def test_a_file_that_is_missing_is_named(kind, fitted, tmp_path):
    fitted.save(tmp_path)
    [path, *_] = sorted(tmp_path.rglob("*.npy"))
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        kind.load(tmp_path, CANDIDATES[kind.name].parameters)


@pytest.mark.parametrize("n_bytes", [0, 6, -4])
def test_a_file_that_is_cut_is_refused(kind, fitted, tmp_path, n_bytes):
    fitted.save(tmp_path)
    for path in sorted(tmp_path.rglob("*.npy")):
        whole = path.read_bytes()
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(ValueError, match=rf"{path.name} is no \.npy file"):
            kind.load(tmp_path, CANDIDATES[kind.name].parameters)
        path.write_bytes(whole)


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


def test_histories_are_ranked_like_users_where_the_kind_knows_them_by_nothing_else(kind, fitted, seen):
    if not kind.knows_histories_only:
        pytest.skip("it has a vector of each user")
    for one, other in zip(
        fitted.rank_histories(Histories.of(seen), seen, 5), fitted.rank(np.arange(fitted.n_users), seen, 5), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_kind_is_asked_by_the_whole_histories_where_it_knows_nothing_else(kind, fitted, seen):
    model = Mock(spec=type(fitted))
    histories = Histories.of(seen)._replace(timestamp=np.arange(len(seen.items)))
    kind.rank_unseen(model, np.arange(fitted.n_users), histories, 3)
    if kind.knows_histories_only:
        model.rank_histories.assert_called_once_with(histories, seen, 3)
    else:
        assert model.rank.call_args.args[1:] == (seen, 3)


def as_table(rows):
    return ItemsByUser(np.cumsum([0, *map(len, rows)]), np.array([i for row in rows for i in sorted(row)], np.int32))


def as_histories(people):
    rating = np.array([one[item] for one in people for item in sorted(one)], np.float32)
    return Histories.of(as_table(people))._replace(rating=rating)


ITEMS = st.integers(0, 19)
HISTORY = st.dictionaries(ITEMS, st.sampled_from([np.nan, 1, 2.5, 5]))
PEOPLE = st.lists(st.tuples(HISTORY, st.sets(ITEMS) | st.just(set(range(20)))), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def fold_in(kind, fitted, tmp_path_factory):
    """The model with arrays that are memory-mapped, which cannot be written to, as a service has it."""
    if not isinstance(fitted, HistoryRanker):
        pytest.skip("it ranks no histories")
    folder = tmp_path_factory.mktemp("model")
    fitted.save(folder)
    return kind.load(folder, CANDIDATES[kind.name].parameters)


@given(people=PEOPLE, k=st.integers(1, 22))
def test_histories_get_items_that_are_not_hidden_best_first_and_the_same_in_any_company(fold_in, fitted, people, k):
    known, hidden = zip(*people, strict=True)
    items, scores = fold_in.rank_histories(as_histories(known), as_table(hidden), k)
    for row, (one, left_out) in enumerate(people):
        n_ranked = int((items[row] >= 0).sum())
        ranked = items[row, :n_ranked].tolist()
        assert n_ranked in ({0} if len(left_out) == 20 else {0, min(k, 20 - len(left_out))})
        assert n_ranked or len(left_out) == 20 or not any(rating > 0 for rating in one.values())
        assert len({*ranked} - left_out) == n_ranked
        assert (np.diff(scores[row, :n_ranked]) <= 0).all()
        assert (items[row, n_ranked:] == -1).all()
        assert np.isneginf(scores[row, n_ranked:]).all()
        alone = fitted.rank_histories(as_histories([one]), as_table([left_out]), k)
        assert (alone[0].tobytes(), alone[1].tobytes()) == (items[row].tobytes(), scores[row].tobytes())


@given(history=HISTORY)
def test_reasons_add_up_to_the_scores(fold_in, history):
    if not isinstance(fold_in, Explainer):
        pytest.skip("it gives no reasons")
    person = as_histories([history])
    [items], [scores] = fold_in.rank_histories(person, as_table([[]]), 20)
    reasons = fold_in.explain(person, items[items >= 0])
    assert (reasons.shape, reasons.dtype) == (((items >= 0).sum(), len(history)), np.float32)
    size = np.abs(reasons).sum(axis=1) + 1e-6
    np.testing.assert_allclose(reasons.sum(axis=1) / size, scores[items >= 0] / size, atol=1e-5)


def test_an_item_is_like_those_that_share_its_users_and_the_others_less(fitted):
    if not isinstance(fitted, Similar):
        pytest.skip("it compares no items")
    others = np.arange(1, 20)
    alike = fitted.similarities(0, others)
    assert alike.dtype == np.float32
    assert alike[others % 2 == 0].min() > alike[others % 2 == 1].max()
    assert alike.max() <= 1 + 1e-6
    np.testing.assert_allclose(fitted.similarities(0, np.array([4, 1])), alike[[3, 0]], rtol=1e-5, atol=1e-6)


def test_fold_in_refuses_what_does_not_fit(fold_in):
    one, two = as_histories([{3: 5}]), as_histories([{3: 5}, {4: 5}])
    for history, hidden, k, message in [
        (one, one.items, 0, "k is 0"),
        (one, two.items, 1, "hidden has 3 boundaries for 1 users"),
        (as_histories([{20: 5}]), one.items, 1, "history items run from 20 to 20; expected 0 to 19"),
        (one, as_table([[-1]]), 1, "hidden items run from -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            fold_in.rank_histories(history, hidden, k)


def test_every_kind_is_loaded_and_ranks_without_engines_and_numerical_libraries_but_numpy(checkerboard, tmp_path):
    for candidate in CANDIDATES.values():
        candidate.kind.fit(checkerboard, candidate.parameters).save(tmp_path / candidate.model)
        (tmp_path / candidate.model / "parameters.json").write_text(json.dumps(candidate.parameters))
    shown = subprocess.check_output([sys.executable, "-c", NO_ENGINES, str(tmp_path)], text=True).splitlines()
    assert shown == [f"{name} 4" for name in sorted(CANDIDATES)]
