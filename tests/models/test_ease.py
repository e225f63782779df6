import tracemalloc

import numpy as np
import pytest
from pydantic import ValidationError

from models import ease, paths
from models.base import Interactions
from models.ease import Ease

N_USERS, N_ITEMS = 25, 12
USUAL = {
    "ease_reg": 0.5,
    "ease_dropout": 0.25,
    "ease_user_damping": 0.5,
    "ease_source_damping": 0.4,
    "ease_target_damping": 0.3,
    "ease_backward": 0.5,
    "ease_gap_decay": 0.9,
}
LOCAL = {"ease_memory_mb": 1}


@pytest.fixture(scope="module")
def events():
    """Users, items and times of events, many of one moment; the last item has none."""
    generator = np.random.default_rng(5)
    users, items = np.nonzero(generator.random((N_USERS, N_ITEMS - 1)) < 0.4)
    return users, items, generator.integers(4, size=len(users))


@pytest.fixture
def bytes_for_megabytes(monkeypatch):
    """Count the memory that an option gives in bytes, so that twelve items are too many."""
    monkeypatch.setattr(ease, "MEGABYTE", 1)


def fit(events, **parameters):
    columns = dict(zip(("user_idx", "item_idx", "timestamp"), events, strict=True))
    return Ease().fit(Interactions.of(N_USERS, N_ITEMS, **columns), USUAL | parameters)


def as_dense(model):
    dense = np.zeros((N_ITEMS, N_ITEMS))
    dense[np.repeat(np.arange(N_ITEMS), np.diff(model.indptr)), model.neighbours] = model.strengths
    return dense


def sum_by_hand(events, pair_weight):
    """The sums over users, pair by pair."""
    users, items, times = events
    dense = np.zeros((N_ITEMS, N_ITEMS))
    for user in range(N_USERS):
        theirs = np.flatnonzero(users == user)
        moments = sorted(set(times[theirs]))
        for one in theirs:
            for other in theirs:
                gap = moments.index(times[other]) - moments.index(times[one])
                dense[items[one], items[other]] += len(theirs) ** -0.5 * pair_weight(gap)
    return dense


def regress_by_hand(gram, wanted, is_near=None):
    """The oracle: each item by the least squares of its own system, with a Lagrange multiplier for its own weight."""
    weights = np.zeros_like(gram)
    penalty = np.diag(0.5 * np.diag(gram)[:-1].mean() + np.diag(gram) / 3)  # the last item has no user
    for item in range(N_ITEMS):
        others = np.array([i for i in range(N_ITEMS) if i != item], int)
        if is_near is not None:
            others = others[is_near(item)[others]]
        system = (gram + penalty)[np.ix_(others, others)]
        weights[others, item] = np.linalg.solve(system, wanted[others, item])
    return weights


def damp(weights, events):
    n_users_of = np.maximum(np.bincount(events[1], minlength=N_ITEMS), 1.0)
    return weights * n_users_of[:, None] ** -0.4 * n_users_of**-0.3


def by_order(gap):
    return 0.75 if gap == 0 else (1.0 if gap > 0 else 0.5) * 0.9 ** (abs(gap) - 1)


@pytest.mark.parametrize("memory", [{}, LOCAL])
@pytest.mark.parametrize(
    ("options", "weight"),
    [
        ({"ease_time": "off"}, lambda _: 1.0),
        ({}, by_order),
        ({"ease_backward": 0, "ease_gap_decay": 0.01}, lambda gap: 0.5 if gap == 0 else 0.01 ** (gap - 1) * (gap > 0)),
    ],
)
def test_links_are_the_ridge_regression_of_each_item_on_all_others(
    events, bytes_for_megabytes, memory, options, weight
):
    found = as_dense(fit(events, **options, **{"ease_memory_mb": 2000} | memory))
    expected = damp(regress_by_hand(sum_by_hand(events, lambda _: 1.0), sum_by_hand(events, weight)), events)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found.min() < 0 < found.max()


def test_with_too_many_items_each_is_regressed_on_its_nearest(events, bytes_for_megabytes):
    gram = sum_by_hand(events, lambda _: 1.0)
    diagonal = np.diag(gram) / 0.75 + 0.5 * np.diag(gram)[:-1].mean()
    alike = gram**2 / diagonal[:, None] / diagonal * ~np.eye(N_ITEMS, dtype=bool)

    def is_near(item):
        return np.isin(np.arange(N_ITEMS), np.argsort(-alike[:, item], kind="stable")[:4])

    found = as_dense(fit(events, ease_time="off", ease_nearest=4, **LOCAL))
    np.testing.assert_allclose(found, damp(regress_by_hand(gram, gram, is_near), events), rtol=1e-4, atol=1e-6)
    assert (np.count_nonzero(found, axis=0) <= 4).all()


@pytest.mark.parametrize(("time", "n_matrices"), [("off", 1), ("auto", 2)])
def test_the_memory_decides_whether_items_are_regressed_on_all(events, bytes_for_megabytes, time, n_matrices):
    enough = 4 * n_matrices * (N_ITEMS - 1) ** 2  # the last item has no user
    links = [
        fit(events, ease_time=time, ease_nearest=1, ease_memory_mb=memory).indptr[-1] for memory in (enough, enough - 1)
    ]
    assert links == [(N_ITEMS - 1) * (N_ITEMS - 2), N_ITEMS - 1]


@pytest.mark.parametrize("memory", [1, 2000])
def test_the_largest_links_are_kept_whatever_their_sign(events, bytes_for_megabytes, memory):
    some = {"ease_reg": 0.02, "ease_dropout": 0, "ease_memory_mb": memory}
    whole, cut = fit(events, **some), fit(events, **some, ease_neighbours=3)
    for item, row in enumerate(as_dense(whole)):
        kept = cut.neighbours[cut.indptr[item] : cut.indptr[item + 1]].tolist()
        assert kept == np.lexsort((np.arange(N_ITEMS), -np.abs(row)))[: min(3, np.count_nonzero(row))].tolist()
    assert (cut.strengths < 0).any()


@pytest.mark.parametrize("memory", [1, 2000])
def test_the_order_of_the_file_changes_nothing(events, bytes_for_megabytes, memory):
    order = np.random.default_rng(1).permutation(len(events[0]))
    one, other = (fit(some, ease_memory_mb=memory) for some in (events, [column[order] for column in events]))
    assert other.strengths.tobytes() == one.strengths.tobytes()
    assert other.neighbours.tobytes() == one.neighbours.tobytes()


def test_histories_are_weighted_by_age_where_there_are_times(events):
    assert fit(events, ease_decay=0.6, ease_half_life_days=20).ages == (0.6, 20)
    assert fit(events, ease_time="off").ages == (1, np.inf)


def test_the_newest_items_of_a_user_count():
    times = np.arange(5)
    every, newest = (np.zeros(n, int) for n in (5, 3))
    cut = fit((every, np.arange(5), times), ease_user_items=3)
    assert as_dense(cut).tolist() == as_dense(fit((newest, np.arange(2, 5), times[2:]))).tolist()
    assert not as_dense(cut)[:2].any()


def test_regressing_on_the_nearest_holds_no_matrix_of_all_pairs(monkeypatch, bytes_for_megabytes):
    monkeypatch.setattr(paths, "BLOCK_CELLS", 1 << 13)
    monkeypatch.setattr(paths, "CHUNK_PATHS", 1 << 13)
    n_items = 800
    columns = {"user_idx": np.arange(2 * n_items) // n_items, "item_idx": np.tile(np.arange(n_items), 2)}
    interactions = Interactions.of(2, n_items, timestamp=np.tile(np.arange(n_items), 2), **columns)
    Ease().fit(interactions, {"ease_nearest": 1, **LOCAL})  # what is imported and kept is not counted
    tracemalloc.start()
    Ease().fit(interactions, {"ease_nearest": 1, **LOCAL})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * n_items**2


@pytest.mark.parametrize("memory", [1, 2000])
def test_nothing_is_linked_where_nobody_has_anything(bytes_for_megabytes, memory):
    assert fit([np.array([], int)] * 3, ease_memory_mb=memory).indptr.tolist() == [0] * (N_ITEMS + 1)


@pytest.mark.parametrize("memory", [1, 2000])
def test_a_regularisation_too_small_for_single_precision_is_refused(bytes_for_megabytes, memory):
    twins = [np.repeat(np.arange(N_USERS), 2), np.tile([0, 1], N_USERS), np.zeros(2 * N_USERS, int)]
    with pytest.raises(ValueError, match=r"cannot be factorised in single precision.*larger regularisation"):
        fit(twins, ease_reg=1e-12, ease_dropout=0, ease_memory_mb=memory)


@pytest.mark.parametrize("parameters", [{"ease_reg": 0}, {"ease_dropout": 1}, {"ease_decay": 0}, {"ease_nearest": 0}])
def test_options_that_cannot_be_obeyed_are_refused(events, parameters):
    with pytest.raises(ValidationError):
        fit(events, **parameters)
