"""The report of what people did: its id and content are of the same batches, and impressions that count are needed."""

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from schema.errors import InvalidInput
from schema.events import Impression
from storage import layout
from storage.canonical import short_digest
from storage.manifest import Manifest
from storage.protocol import Store
from tasks import online
from tasks.online import evaluate_online
from tasks.options import OnlineOptions, PlaceOptions

Build = Callable[[Path], dict[str, Any]]


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


def ship(store: Store, number: int, **more: Any) -> None:
    """Write a batch of one impression."""
    about = {"item_ids": ("kettle",), "model_id": "1f", "scenario": "home", "way": "exact", "timestamp": 1_750_000_000}
    line = Impression(recommendation_id=f"r{number}", **(about | more)).model_dump_json().encode() + b"\n"
    store.create(layout.batch_key(layout.IMPRESSIONS, "a", number, short_digest(line)), gzip.compress(line))


def test_impressions_that_are_all_forced_are_refused_with_what_to_do(places: PlaceOptions) -> None:
    for number in range(2):
        ship(places.open_store(), number, is_forced=True)
    with pytest.raises(InvalidInput, match=r"has 2 impressions of the last 28 days, and none counts.*--online-days"):
        evaluate_online.fn(places, OnlineOptions())


def test_a_batch_that_comes_after_the_id_was_made_is_left_to_the_next_report(
    places: PlaceOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish_later(places: PlaceOptions, kind: str, *, build: Build, **about: Mapping[str, Any]) -> Manifest:
        ship(places.open_store(), 1)
        return published(places, kind, build=build, **about)  # type: ignore[arg-type]

    published = online.publish_once
    monkeypatch.setattr(online, "create_table_artifact", lambda *_, **__: None)
    monkeypatch.setattr(online, "publish_once", publish_later)
    ship(places.open_store(), 0)
    first, record = evaluate_online.fn(places, OnlineOptions())
    assert (first.counts["n_impressions"], record["rows"][0]["n_impressions"]) == (1, 1)
    monkeypatch.undo()
    monkeypatch.setattr(online, "create_table_artifact", lambda *_, **__: None)
    second, _ = evaluate_online.fn(places, OnlineOptions())
    assert (second.counts["n_impressions"], second.id != first.id) == (2, True)
