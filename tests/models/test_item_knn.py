import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models import paths
from models.base import Interactions
from models.item_item import AGES_FILE, INDPTR_FILE, NEIGHBOURS_FILE, SHAPE_FILE, STRENGTHS_FILE, ItemItemModel
from models.item_knn import ItemKnn, ItemKnnOptions
from schema.items_by_user import ItemsByUser


def similarities_by_hand(pairs, n_items, options):
    """The oracle: all similarities as a dense matrix, in double precision, all but the strongest struck out."""
    users_of = [{u for u, i in pairs if i == item} for item in range(n_items)]
    dense = np.zeros((n_items, n_items), np.float32)
    for i in range(n_items):
        for j in set(range(n_items)) - {i}:
            n_common = len(users_of[i] & users_of[j])
            divisor = np.sqrt(len(users_of[i]) * len(users_of[j])) + options.knn_shrinkage
            dense[i, j] = n_common / divisor if n_common else 0
        dense[i, np.lexsort((np.arange(n_items), -dense[i]))[options.knn_neighbours :]] = 0
    return dense


def rank_by_hand(dense, seen, k):
    ranked = np.full((len(seen), k), -1), np.full((len(seen), k), -np.inf, np.float32)
    for row, hidden in enumerate(seen):
        scores = sum((dense[i].astype(np.float64) for i in sorted(hidden)), np.zeros(len(dense))).astype(np.float32)
        best = [i for i in np.lexsort((np.arange(len(dense)), -scores)) if i not in hidden][:k]
        ranked[0][row, : len(best)], ranked[1][row, : len(best)] = best, scores[best]
    return ranked


def as_dense(model):
    dense = np.zeros((model.n_items, model.n_items), np.float32)
    dense[np.repeat(np.arange(model.n_items), np.diff(model.indptr)), model.neighbours] = model.strengths
    return dense


def as_items(seen):
    items = np.array([item for hidden in seen for item in hidden], dtype=np.int32)
    return ItemsByUser(np.cumsum([0, *map(len, seen)]), items)


def fit_item_knn(users, items, n_users, n_items, options):
    return ItemKnn().fit(Interactions.of(n_users, n_items, user_idx=users, item_idx=items), options.model_dump())


def fit(pairs, n_users, n_items, options):
    users, items = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2).T
    return fit_item_knn(users, items, n_users, n_items, options)


def test_similarity_is_the_shrunk_cosine():
    model = fit({(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (3, 1), (0, 2)}, 4, 3, ItemKnnOptions(knn_shrinkage=1.0))
    assert model.neighbours.tolist() == [1, 2, 0, 2, 0, 1]
    expected = [2 / (8**0.5 + 1), 1 / (2**0.5 + 1), 2 / (8**0.5 + 1), 1 / (4**0.5 + 1), 1 / (2**0.5 + 1), 1 / 3]
    assert model.strengths.tolist() == np.array(expected, np.float32).tolist()


@st.composite
def problems(draw):
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    pairs = draw(st.sets(st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1)), max_size=40))
    seen = draw(st.lists(st.sets(st.integers(0, n_items - 1)), min_size=n_users, max_size=n_users))
    options = ItemKnnOptions(
        knn_neighbours=draw(st.integers(1, 14)), knn_shrinkage=draw(st.sampled_from([0, 0.5, 10, 1e60]))
    )
    return pairs, seen, n_items, options, draw(st.integers(1, 14))


@given(problems(), st.sampled_from([1, 20, 1 << 21]), st.sampled_from([1, 20, 1 << 21]), st.sampled_from([0, 1000]))
def test_neighbours_and_ranks_equal_those_of_a_dense_matrix(problem, block_cells, chunk_paths, dense_share):
    pairs, seen, n_items, options, k = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "BLOCK_CELLS", block_cells)
        patch.setattr(paths, "CHUNK_PATHS", chunk_paths)
        patch.setattr(paths, "DENSE_SHARE", dense_share)
        model = fit(pairs, len(seen), n_items, options)
        ranked, scores = model.rank(np.arange(len(seen)), as_items(seen), k)
    dense = similarities_by_hand(pairs, n_items, options)
    np.testing.assert_array_equal(as_dense(model), dense)
    for item, (start, stop) in enumerate(zip(model.indptr, model.indptr[1:], strict=False)):
        strongest = np.lexsort((np.arange(n_items), -dense[item]))[: stop - start]
        assert model.neighbours[start:stop].tolist() == strongest.tolist()
    expected_ranked, expected_scores = rank_by_hand(dense, seen, k)
    np.testing.assert_array_equal(ranked, expected_ranked)
    np.testing.assert_array_equal(scores, expected_scores)
    assert (ranked.dtype, scores.dtype) == (np.int32, np.float32)


def test_fit_does_not_depend_on_the_order_of_rows_or_on_repeats():
    generator = np.random.default_rng(3)
    users, items = generator.integers(30, size=300), generator.integers(40, size=300)
    models = [
        fit_item_knn(users[order], items[order], 30, 40, ItemKnnOptions(knn_neighbours=5))
        for order in (np.arange(300), generator.permutation(300), np.tile(np.arange(300), 2))
    ]
    for other in models[1:]:
        assert other.neighbours.tobytes() == models[0].neighbours.tobytes()
        assert other.strengths.tobytes() == models[0].strengths.tobytes()


def test_rank_gives_a_user_the_same_bytes_in_any_company_and_order_of_what_was_seen():
    generator = np.random.default_rng(1)
    users, items = generator.integers(300, size=6000), generator.integers(400, size=6000)
    model = fit_item_knn(users, items, 300, 400, ItemKnnOptions(knn_neighbours=20))
    seen = [generator.permutation(np.unique(items[users == u])) for u in range(300)]
    together = model.rank(np.arange(300), as_items(seen), 10)
    for part in (slice(17, 18), slice(3, 290), slice(299, None, -1)):
        again = [np.concatenate([hidden[::-1], hidden[:1]]) for hidden in seen[part]]
        apart = model.rank(np.arange(300)[part], as_items(again), 10)
        assert apart[0].tobytes() == together[0][part].tobytes()
        assert apart[1].tobytes() == together[1][part].tobytes()


def test_who_has_seen_nothing_known_gets_the_first_items_at_score_0():
    model = fit({(0, 0), (0, 1)}, 3, 5, ItemKnnOptions())
    ranked, scores = model.rank(np.arange(3), as_items([[], [4], [0, 1, 2, 3, 4]]), 3)
    assert ranked.tolist() == [[0, 1, 2], [0, 1, 2], [-1, -1, -1]]
    assert scores.tolist() == [[0.0] * 3, [0.0] * 3, [-np.inf] * 3]


def test_rank_of_no_items_is_empty():
    nothing = np.array([], dtype=np.int32)
    empty = ItemItemModel(np.zeros(1, np.int64), nothing, np.array([], np.float32), 1, 0)
    assert empty.rank(np.array([0]), ItemsByUser(np.array([0, 0]), nothing), 2)[0].tolist() == [[-1, -1]]


def test_blocks_stay_bounded_where_one_user_has_every_item(monkeypatch):
    widest = []
    some_paths = paths._paths

    def watch(*args):
        for places, weights in some_paths(*args):
            widest.append(len(places))
            yield places, weights

    monkeypatch.setattr(paths, "BLOCK_CELLS", 50_000)
    monkeypatch.setattr(paths, "CHUNK_PATHS", 5000)
    monkeypatch.setattr(paths, "_paths", watch)
    model = fit_item_knn(np.zeros(1000, int), np.arange(1000), 2, 1000, ItemKnnOptions(knn_neighbours=3))
    model.rank(np.arange(2), ItemsByUser(np.array([0, 0, 1000]), np.arange(1000)), 10)
    assert len(widest) > 200
    assert max(widest) <= 5000
    assert model.neighbours.reshape(1000, 3)[[0, 500]].tolist() == [[1, 2, 3], [0, 1, 2]]


def test_a_model_without_neighbours_survives_save_and_load(tmp_path):
    fit(set(), 2, 3, ItemKnnOptions()).save(tmp_path)
    assert len(ItemItemModel.load(tmp_path).neighbours) == 0


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (SHAPE_FILE, np.array([2, 3, 4]), "shape.npy has 3 entries; expected 2"),
        (SHAPE_FILE, np.array([2.0, 3.0]), "shape.npy is float64"),
        (SHAPE_FILE, np.array([2, 4]), "indptr has 4 entries for 4 items"),
        (SHAPE_FILE, np.array([-1, 3]), "3 items and -1 users"),
        (INDPTR_FILE, np.array([0, 1, 2, 2], np.int32), "indptr.npy is int32"),
        (INDPTR_FILE, np.array([0, 2, 1, 2]), "expected rising from 0"),
        (INDPTR_FILE, np.array([0, 1, 2, 3]), "from 0 to 3 over 2 neighbours"),
        (INDPTR_FILE, np.array([1, 1, 2, 2]), "runs from 1 to 2"),
        (NEIGHBOURS_FILE, np.array([1, 3], np.int32), "neighbours run from 1 to 3; expected items 0 to 2"),
        (NEIGHBOURS_FILE, np.array([-1, 0], np.int32), "neighbours run from -1"),
        (NEIGHBOURS_FILE, np.array([[1, 0]], np.int32), r"shape \(1, 2\)"),
        (NEIGHBOURS_FILE, np.array([1, 0], ">i4"), "neighbours.npy is >i4"),
        (STRENGTHS_FILE, np.array([1.0, 1.0]), "strengths.npy is float64"),
        (STRENGTHS_FILE, np.array([1.0], np.float32), "1 strengths"),
        (STRENGTHS_FILE, np.array([1.0, np.nan], np.float32), "not finite"),
        (AGES_FILE, np.array([0.5]), "ages.npy has 1 entries; expected 2"),
        (AGES_FILE, np.array([0.0, 1.0]), r"ages are 0.0 and 1.0; expected a decay in \(0, 1\]"),
        (AGES_FILE, np.array([1.0, np.nan]), "days above 0"),
        (STRENGTHS_FILE, np.array([1, None]), "strengths.npy is no .npy file"),
    ],
)
def test_load_refuses_files_that_save_does_not_write(tmp_path, name, values, message):
    fit({(0, 0), (0, 1)}, 2, 3, ItemKnnOptions()).save(tmp_path)
    np.save(tmp_path / name, values, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        ItemItemModel.load(tmp_path)


@pytest.mark.parametrize(
    ("indptr", "seen", "k", "message"),
    [
        ([0, 1], [0, 1], 1, "for 2 seen items"),
        ([0, 1], [3], 1, "seen items run from 3 to 3; expected 0 to 2"),
        ([0, 1], [-1], 1, "seen items run from -1"),
    ],
)
def test_rank_refuses_what_does_not_fit(indptr, seen, k, message):
    model = fit({(0, 0), (0, 1)}, 2, 3, ItemKnnOptions())
    with pytest.raises(ValueError, match=message):
        model.rank(np.array([0]), ItemsByUser(np.array(indptr), np.array(seen, dtype=np.int32)), k)


@pytest.mark.parametrize("pair", [(2, 0), (0, 3), (-1, 0)])
def test_fit_refuses_indices_outside_the_data_set(pair):
    with pytest.raises(ValueError, match=r"user ind|item ind"):
        fit({pair}, 2, 3, ItemKnnOptions())


@pytest.mark.parametrize(
    "values", [{"knn_neighbours": 0}, {"knn_shrinkage": -1}, {"knn_shrinkage": float("inf")}, {"neighbours": 3}]
)
def test_options_refuse_what_cannot_be_obeyed(values):
    with pytest.raises(ValidationError):
        ItemKnnOptions(**values)


def test_similarities_are_shares_of_the_strongest_of_an_item_and_otherwise_0():
    model = fit({(0, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 2)}, 3, 4, ItemKnnOptions(knn_shrinkage=0))
    np.testing.assert_allclose(model.similarities(1, np.array([3, 2, 1, 0])), [0, 1, 0, 0.5**0.5])
    assert model.similarities(3, np.arange(4)).tolist() == [0, 0, 0, 0]
