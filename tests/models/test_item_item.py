import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.item_item import NOT_AGED, Ages, ItemItemModel
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

N_ITEMS = 7
STRENGTHS = st.sampled_from([-2, -1, -0.5, 0, 0, 0.5, 1, 2])  # sums of few of them are exact, and often 0
MATRICES = st.lists(STRENGTHS, min_size=N_ITEMS**2, max_size=N_ITEMS**2).map(
    lambda values: np.array(values, np.float32).reshape(N_ITEMS, N_ITEMS) * ~np.eye(N_ITEMS, dtype=bool)
)
ITEMS = st.sets(st.integers(0, N_ITEMS - 1))
PEOPLE = st.lists(st.tuples(ITEMS, ITEMS), min_size=1, max_size=4)


def as_model(matrix, ages=NOT_AGED):
    row, item = np.nonzero(matrix)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=N_ITEMS))])
    return ItemItemModel(indptr, item.astype(np.int32), matrix[row, item], 1, N_ITEMS, ages)


def as_table(rows):
    return ItemsByUser(np.cumsum([0, *map(len, rows)]), np.array([i for row in rows for i in sorted(row)], np.int32))


@given(matrix=MATRICES, people=PEOPLE, k=st.integers(1, N_ITEMS + 1))
def test_what_a_history_speaks_against_comes_after_what_it_says_nothing_of(matrix, people, k):
    known, hidden = (as_table(sets) for sets in zip(*people, strict=True))
    ranked, scores = as_model(matrix).rank_histories(Histories.of(known), hidden, k)
    for (history, left_out), items, values in zip(people, ranked.tolist(), scores.tolist(), strict=True):
        sums = matrix[sorted(history)].sum(axis=0)
        best = [item for item in np.lexsort((np.arange(N_ITEMS), -sums)).tolist() if item not in left_out][:k]
        n_missing = k - len(best)
        assert items == best + [-1] * n_missing
        assert values == sums[best].tolist() + [-np.inf] * n_missing


@given(matrix=MATRICES, history=ITEMS.filter(bool))
def test_reasons_against_an_item_are_negative_and_add_up_with_the_others(matrix, history):
    model, items = as_model(matrix, Ages(0.5)), np.arange(N_ITEMS)
    person = Histories.of(as_table([history]))._replace(timestamp=np.arange(len(history)))
    reasons = model.explain(person, items)
    weights = 0.5 ** np.arange(len(history))[::-1]
    assert reasons.tolist() == (matrix[sorted(history)] * weights[:, None]).T.tolist()
    assert reasons.sum(axis=1).tolist() == model.score_histories(person)[0].tolist()


def test_strengths_below_0_survive_save_and_load_and_are_no_similarity(tmp_path):
    matrix = np.zeros((N_ITEMS, N_ITEMS), np.float32)
    matrix[0, 1:4], matrix[1, 2] = [-3, 2, 1], -1
    as_model(matrix).save(tmp_path)
    loaded = ItemItemModel.load(tmp_path)
    assert loaded.strengths.tolist() == [-3, 2, 1, -1]
    assert loaded.similarities(0, np.arange(5)).tolist() == [0, 0, 1, 0.5, 0]
    assert loaded.similarities(1, np.arange(5)).tolist() == [0] * 5
