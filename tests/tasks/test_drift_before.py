"""Which reviews are those of the run before."""

import json

import pytest
from sample_artifacts import publish, replace_object

from storage.manifest import Manifest
from storage.memory import MemoryStore
from storage.protocol import Store
from tasks.drift import data_name, find_before, read_figures


def deliver(store: Store, number: int, name: str = "reviews.csv", *, is_used: bool = True) -> tuple[Manifest, Manifest]:
    """Publish a raw file and its reviews, and a dataset of them where they were not refused."""
    raw = publish(store, "raw", f"{number:064d}", files={name: f"{number}".encode()})
    reviews = publish(store, "reviews", f"{number:08d}", {"raw": raw.id})
    if is_used:
        publish(store, "datasets", f"{number:08d}", {"reviews": reviews.id})
    return raw, reviews


@pytest.fixture
def store() -> Store:
    return MemoryStore("drift")


def test_first_delivery_has_none_before_it(store):
    assert find_before(store, *deliver(store, 1)) is None


def test_newest_of_the_earlier_ones_is_taken_and_a_rerun_finds_the_same(store):
    deliveries = [deliver(store, number) for number in (1, 2, 3)]
    before = [find_before(store, *one) for one in deliveries]
    assert [one and one.id for one in before] == [None, "00000001", "00000002"]


def test_other_categories_are_left_alone(store):
    deliver(store, 1, "reviews_Books.json.gz")
    assert find_before(store, *deliver(store, 2, "reviews_Electronics.json.gz")) is None


def test_refused_delivery_is_no_measure_for_the_next(store):
    deliver(store, 1)
    deliver(store, 2, is_used=False)
    found = find_before(store, *deliver(store, 3))
    assert found is not None
    assert found.id == "00000001"


def test_reviews_whose_manifest_or_raw_file_is_gone_are_passed_over(store):
    deliver(store, 1)
    deliver(store, 2)
    deliver(store, 3)
    replace_object(store, "reviews/00000003/manifest.json", b"{")
    store.delete(f"raw/{2:064d}/manifest.json")
    found = find_before(store, *deliver(store, 4))
    assert found is not None
    assert found.id == "00000001"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("reviews_electronics.json.gz", "reviews_electronics.json.gz"),
        ("reviews-2026-11-25.csv", "reviews-*.csv"),
        ("reviews_20261125.csv", "reviews_*.csv"),
        ("2026.11.reviews.csv", "*.reviews.csv"),
        ("reviews_2014.csv", "reviews_2014.csv"),
        ("ml-100000.csv", "ml-100000.csv"),
    ],
)
def test_deliveries_of_several_days_have_one_name(file, name, store):
    assert data_name(deliver(store, 1, file)[0]) == name


def test_figures_are_read_as_they_were_written(tmp_path):
    row = {"name": "rows", "unit": "rows", "before": 2, "now": 1, "measure": "times as many", "change": 0.5}
    row |= {"limit": 0.6, "setting": "drift_min_row_ratio", "is_beyond": True}
    path = tmp_path / "drift.json"
    path.write_text(json.dumps({"figures": [row]}))
    (figure,) = read_figures(path)
    assert figure.is_beyond
    assert (figure.name, figure.change, figure.limit) == ("rows", 0.5, 0.6)
