"""Links that new items borrow by their content, worked out by hand."""

import tracemalloc
from collections.abc import Mapping, Sequence
from unittest.mock import Mock

import numpy as np
import pytest

from models import content, paths
from models.base import Interactions, ModelKind
from models.content import add_borrowed
from models.ease import Ease
from models.item_graph import ItemGraph
from models.item_knn import ItemKnn
from models.paths import Links
from schema.histories import Histories
from schema.items_by_user import ItemsByUser


def known(n_items: int, **attributes: Mapping[int, Sequence[int]]) -> dict[str, ItemsByUser]:
    """Return the content of items from the values of each attribute's items."""
    tables = {}
    for name, values_of in attributes.items():
        pairs = [(item, value) for item, values in values_of.items() for value in values]
        items, values = np.array(pairs).T
        tables[name] = ItemsByUser.from_pairs(items, values, n_items)
    return tables


def strengths(links: Links, n_items: int) -> list[list[float]]:
    """Return the matrix of the links."""
    matrix = np.zeros((n_items, n_items))
    np.add.at(matrix, (links.rows, links.targets), links.weights)
    return matrix.round(4).tolist()


# 0 leads to 1 and 2, which have many users; 3 shares with 1 the brand and a category, and with 2 the brand alone:
# s_31 = 0.3 / sqrt(3) + 1 / sqrt(2) = 0.8803, s_32 = 0.3 / sqrt(3) = 0.1732, shares 0.8356 and 0.1644
LINKS = Links.of(np.array([0, 0]), np.array([1, 2]), np.array([0.7, 0.35]), 4)
CONTENT = known(4, brand={1: [5], 2: [5], 3: [5]}, category={0: [1], 1: [0], 3: [0]})


def test_a_new_item_has_the_mean_of_its_lenders_links_and_one_of_each_lender():
    found = add_borrowed(LINKS, np.array([9, 9, 9, 0]), lambda: CONTENT, room=2.0)
    # W_03 = 2 (0.8356 * 0.7 + 0.1644 * 0.35); a lender counts as the strongest link to it: W_13 = 2 * 0.8356 * 0.7
    assert strengths(found, 4) == [[0, 0.7, 0.35, 1.2849], [0, 0, 0, 1.1698], [0, 0, 0, 0.1151], [0, 0, 0, 0]]


def test_the_borrowed_links_of_an_item_with_users_fade_beside_its_own():
    links = Links.of(np.array([0, 0, 0, 3]), np.array([1, 2, 3, 1]), np.array([0.7, 0.35, 0.05, 0.2]), 4)
    found = add_borrowed(links, np.array([9, 9, 9, 2]), lambda: CONTENT, room=1.0)
    # 3 of 5 parts of what it borrows; 3 itself leads to its lender 1, and never to itself
    assert strengths(found, 4) == [[0, 0.7, 0.35, 0.4355], [0, 0, 0, 0.3509], [0, 0, 0, 0.0345], [0, 0.2, 0, 0]]


@pytest.mark.parametrize(
    ("n_users_of", "known_of_items", "room"),
    [([9, 9, 9, 0], None, 1.0), ([9, 9, 9, 0], CONTENT, 0.0), ([9, 9, 9, 5], CONTENT, 1.0), ([0] * 4, CONTENT, 1.0)],
    ids=["nothing known", "no room", "nothing new", "no lender"],
)
def test_links_stay_as_they_are(n_users_of, known_of_items, room):
    found = add_borrowed(LINKS, np.array(n_users_of), lambda: known_of_items, room)
    assert strengths(found, 4) == strengths(LINKS, 4)


@pytest.mark.parametrize(("n_users_of_3", "room"), [(0, 0.0), (5, 1.0)], ids=["no room", "nothing new"])
def test_content_is_not_read_where_nothing_uses_it(n_users_of_3, room):
    add_borrowed(LINKS, np.array([9, 9, 9, n_users_of_3]), Mock(side_effect=AssertionError), room)


def test_borrowing_takes_little_more_memory_than_its_links(monkeypatch):
    monkeypatch.setattr(content, "N_LENT", 100)
    monkeypatch.setattr(paths, "BLOCK_CELLS", 1 << 14)
    monkeypatch.setattr(paths, "CHUNK_PATHS", 1 << 14)
    n_items, generator = 2000, np.random.default_rng(2)
    targets = np.sort(generator.permuted(np.tile(np.arange(500), (500, 1)), axis=1)[:, :100], axis=1).ravel()
    indptr = np.minimum(np.arange(n_items + 1), 500) * 100
    links = Links(indptr, targets.astype(np.int32), generator.random(len(targets), dtype=np.float32))
    of_brand = known(n_items, brand={item: [item % 20] for item in range(n_items)})
    n_users_of = np.repeat([9, 0], [500, 1500])
    tracemalloc.start()
    found = add_borrowed(links, n_users_of, lambda: of_brand, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.bincount(found.targets)[500:].tolist() == [100] * 1500
    assert peak < 60 * len(found.targets)


def test_items_with_few_users_lend_nothing():
    found = add_borrowed(LINKS, np.array([9, 9, 4, 0]), lambda: CONTENT, room=1.0)
    assert strengths(found, 4)[0][3] == pytest.approx(0.7)
    assert strengths(found, 4)[2][3] == 0


def test_a_value_of_too_many_items_tells_nothing(monkeypatch):
    monkeypatch.setattr(content, "MOST_ITEMS", 2)
    found = add_borrowed(LINKS, np.array([9, 9, 9, 0]), lambda: CONTENT, room=1.0)
    assert strengths(found, 4)[2][3] == 0


def test_only_the_lenders_most_alike_and_the_strongest_links_count(monkeypatch):
    monkeypatch.setattr(content, "N_LENDERS", 1)
    monkeypatch.setattr(content, "N_LENT", 1)
    found = add_borrowed(LINKS, np.array([9, 9, 9, 0]), lambda: CONTENT, room=1.0)
    assert strengths(found, 4) == [[0, 0.7, 0.35, 0.7], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(("kind", "room"), [(ItemGraph(), "room"), (ItemKnn(), "knn_room"), (Ease(), "ease_room")])
def test_a_new_item_is_recommended_and_explained_by_what_is_like_it(kind: ModelKind, room: str):
    """Users have 0 and 1, others 2 and 3; 4 and 5 are new, and 5 is of the brand of 1."""
    users, items = np.repeat(np.arange(12), 2), np.tile([0, 1], 6).tolist() + np.tile([2, 3], 6).tolist()
    columns = {"user_idx": users, "item_idx": np.array(items), "timestamp": np.tile([10, 20], 12)}
    of_brand = known(6, brand={1: [0], 5: [0]})
    interactions = Interactions(12, 6, columns.__getitem__, content=lambda: of_brand)
    history = Histories.of(ItemsByUser(np.array([0, 1]), np.array([0], np.int32)))

    found = kind.fit(interactions, {room: 0.5})
    ranked, scores = found.rank_histories(history, history.items, k=3)
    assert ranked.tolist() == [[1, 5, 2]]
    assert scores[0, 1] == pytest.approx(scores[0, 0] / 2)
    assert found.explain(history, np.array([5])).tolist() == [[scores[0, 1]]]
    without = kind.fit(interactions, {room: 0.0}).rank_histories(history, history.items, k=3)
    assert without[0].tolist() == [[1, 2, 3]]
