"""Links that Spark makes are those of one machine."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.base import Interactions
from models.item_graph import ItemGraph
from schema.items_by_user import ItemsByUser
from spark.item_links import Linking, has_times, link_items

N_USERS, N_ITEMS = 40, 30


def events(n_without_time=0):
    """Rows of users with 1 to all items, some pairs twice, many at one moment; items 28 and 29 have none."""
    rng = np.random.default_rng(4)
    user, item = (rng.random((2, 600)) ** 2 * [[N_USERS], [N_ITEMS - 2]]).astype(np.int32)
    time = pa.array(rng.integers(0, 9, 600), mask=np.arange(600) < n_without_time)
    return pa.table({"user_idx": user, "item_idx": item, "timestamp": time})


def models(session, folder, table, until=None, content=None, **parameters):
    """Return the model of this machine and that of Spark."""
    half = table.num_rows // 2
    paths = [folder / "a.parquet", folder / "b.parquet"]
    for path, part in zip(paths, (table.slice(half), table.slice(0, half)), strict=True):
        pq.write_table(part, path)
    uris = [path.as_uri() for path in paths]
    rows = table if until is None else table.filter(pa.compute.field("timestamp") < until)
    known = Interactions(N_USERS, N_ITEMS, lambda name: np.asarray(rows[name]), content=lambda: content)
    spark = SimpleNamespace(
        has_times=lambda: has_times(session, uris, until),
        link=lambda chosen: link_items(session, uris, Linking.model_validate(chosen), N_ITEMS, folder, until),
    )
    there = ItemGraph().fit(replace(known, spark=spark), {**parameters, "engine": "spark"})
    return ItemGraph().fit(known, parameters), there


def assert_same(model, other):
    assert model.ages == other.ages
    np.testing.assert_array_equal(other.indptr, model.indptr)
    np.testing.assert_array_equal(other.neighbours, model.neighbours)
    np.testing.assert_allclose(other.strengths, model.strengths, rtol=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"time": "off", "neighbours": 3}, {"user_items": 5, "neighbours": 4, "backward": 0.3}],
    ids=["timed", "untimed", "capped"],
)
def test_links_of_spark_are_those_of_one_machine(session, tmp_path, parameters):
    groups = {"category": ItemsByUser.from_pairs(np.arange(N_ITEMS), np.arange(N_ITEMS) % 3, N_ITEMS)}
    model, other = models(session, tmp_path, events(), content=groups, **parameters)
    assert_same(model, other)
    assert np.isin([1, N_ITEMS - 1], other.neighbours).all()  # the last has no users, and borrows links


def test_times_count_only_where_every_interaction_has_one_and_those_left_out_do_not_matter(session, tmp_path):
    model, other = models(session, tmp_path, events(n_without_time=1), neighbours=5)
    assert_same(model, other)
    assert other.ages == (1, np.inf)
    model, other = models(session, tmp_path, events(n_without_time=1), until=6, neighbours=5)
    assert_same(model, other)
    assert other.ages != (1, np.inf)


def test_memory_is_that_of_the_links_whatever_the_number_of_neighbours_allowed(session, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "N_ITEMS", 1_000_000)  # with a place for each pair there would be 8 TB
    model, other = models(session, tmp_path, events().slice(0, 20), neighbours=1_000_000)
    assert_same(model, other)


def test_interactions_that_share_nothing_have_no_links(session, tmp_path):
    _, other = models(session, tmp_path, events().slice(0, 1))
    assert (other.indptr.tolist(), len(other.neighbours)) == ([0] * (N_ITEMS + 1), 0)
