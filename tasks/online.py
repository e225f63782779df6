"""Report what people did with served recommendations, and look for the A/B test of a promotion."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact
from pydantic import ValidationError

from evaluation.online import Seen, attribute, find_experiments, judge_online, tabulate_online
from reports.online import AB_TITLE, online_notes, tabulate_rates, tabulate_tests
from schema.errors import InvalidInput
from schema.events import Event, Impression
from schema.verdicts import Finding
from storage import layout
from storage.canonical import decode_object, encode, short_digest
from storage.events import list_batches, read_lines
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.execution import COMPUTE_RETRIES
from tasks.options import OnlineOptions, PlaceOptions
from tasks.store import local_file, publish_once, write_record

DAY_SECONDS = 86_400

Line = TypeVar("Line", Event, Impression)


@task(name="evaluate online", **COMPUTE_RETRIES)
def evaluate_online(places: PlaceOptions, options: OnlineOptions) -> tuple[Manifest, Mapping[str, Any]]:
    """Publish the rates of what was served, by model, arm and scenario, and the A/B tests; return its record too.

    Raises:
        InvalidInput: If no server shipped an impression, or none of the last days counts.
    """
    store = places.open_store()
    batches = list_streams(store)

    def build(folder: Path) -> dict[str, Any]:
        seen = read_seen(store, batches, options)
        rows, experiments = tabulate_online(seen), find_experiments(seen)
        moments = [one.impression.timestamp for one in seen]
        record = {
            "since": min(moments),
            "until": max(moments),
            "rows": [asdict(row) for row in rows],
            "experiments": [one.to_record() for one in experiments],
        }
        write_record(folder / layout.METRICS, record)
        return {"label": "what people did", "n_impressions": len(seen), "n_experiments": len(experiments)}

    keys = [key for stream in batches.values() for key in stream]
    published = publish_once(
        places,
        layout.EVALUATIONS,
        inputs={},
        parameters={"online": True, "days": options.online_days, "batches": short_digest(encode(keys))},
        build=build,
    )
    path = local_file(places, published, layout.METRICS)
    record = decode_object(path.read_bytes(), str(path))
    create_table_artifact(tabulate_rates(record).to_records(), key="online", description=" ".join(online_notes(record)))
    if record["experiments"]:
        create_table_artifact(tabulate_tests(record).to_records(), key="ab-test", description=AB_TITLE)
    return published, record


def list_streams(store: Store) -> dict[str, list[str]]:
    """Return the keys of the batches of events and of impressions, by stream."""
    return {stream: list_batches(store, stream) for stream in (layout.EVENTS, layout.IMPRESSIONS)}


def read_seen(store: Store, batches: Mapping[str, Sequence[str]], options: OnlineOptions) -> list[Seen]:
    """Return the impressions of the last days, counted from the newest one, and what became of them.

    Args:
        store: Where they were shipped to.
        batches: Keys of the batches to read, as `list_streams` returns them.
        options: How many days count.

    Raises:
        InvalidInput: If there is no impression, or there are only forced ones, which do not count.
    """
    impressions = list(_parse(store, batches, layout.IMPRESSIONS, Impression))
    if not impressions:
        raise InvalidInput(
            f"{store.uri} has no impressions: nobody was served, or the servers have not shipped them yet. "
            "'python -m serving' ships what it journals each minute."
        )
    since = max(one.timestamp for one in impressions) - options.online_days * DAY_SECONDS
    recent = [one for one in impressions if one.timestamp >= since]
    seen = attribute(recent, _parse(store, batches, layout.EVENTS, Event))
    if not seen:
        raise InvalidInput(
            f"{store.uri} has {len(recent):,} impressions of the last {options.online_days} days, and none counts: in "
            "each the arm was asked for or not ready, or the basket was of nobody. Serve users without asking for an "
            "arm, or let more days count with --online-days."
        )
    return seen


def _parse(store: Store, batches: Mapping[str, Sequence[str]], stream: str, kind: type[Line]) -> Iterator[Line]:
    n_broken = 0
    for line in read_lines(store, batches[stream]):
        try:
            yield kind.model_validate_json(line)
        except ValidationError:
            n_broken += 1
    if n_broken:
        logger.warning("{:,} lines below {} are no {} and are left out", n_broken, store.locate(stream), stream)


@task(name="find the A/B test", **COMPUTE_RETRIES)
def find_online_test(
    places: PlaceOptions, models: Mapping[str, Manifest], options: OnlineOptions, margin_share: float
) -> Finding:
    """Return whether the last A/B test of the two models shows that the challenger is no worse, a warning if not."""
    try:
        store = places.open_store()
        experiments = find_experiments(read_seen(store, list_streams(store), options))
    except InvalidInput:
        experiments = []
    return judge_online(experiments, models["challenger"].id, models["champion"].id, margin_share)
