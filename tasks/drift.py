"""Compare reviews with those of the run before: publish and show the figures, and refuse where that is asked for."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

from evaluation.drift import COLUMNS, ReviewProfile, beyond, compare_reviews, profile_reviews
from evaluation.options import DriftLimits
from reports.drift_table import say_beyond, tabulate_drift
from schema.drift import DriftFigure
from schema.errors import InvalidInput
from storage import layout
from storage.inventory import list_artifacts, look_up
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.execution import COMPUTE_RETRIES
from tasks.options import DriftOptions, PlaceOptions
from tasks.store import local_file, publish_once, write_record

_DATE = re.compile(r"(?<!\d)(19|20)\d{2}([-_.]?)(0[1-9]|1[0-2])(\2(0[1-9]|[12]\d|3[01]))?(?!\d)")


class DriftRefused(InvalidInput):
    """Reviews are further from those of the run before than the limits allow."""

    event = "drift_refused"


@dataclass(frozen=True)
class Drift:
    """A comparison of two deliveries of reviews.

    Attributes:
        artifact: Where it is published.
        figures: Each with the limit that it was held to.
    """

    artifact: Manifest
    figures: Sequence[DriftFigure]

    def to_record(self) -> dict[str, Any]:
        """Return JSON values: the ids, and every figure with its verdict."""
        return {"id": self.artifact.id, **self.artifact.inputs, "figures": list(map(_record, self.figures))}


@task(name="compare with the reviews before", **COMPUTE_RETRIES)
def compare_with_before(places: PlaceOptions, raw: Manifest, reviews: Manifest, options: DriftOptions) -> Drift | None:
    """Compare reviews with the earlier ones of the same data; None where there are none.

    Raises:
        DriftRefused: If a figure is beyond its limit and `drift` is refuse.
    """
    store = places.open_store()
    before = find_before(store, raw, reviews)
    if before is None:
        sought = (store.uri, data_name(raw), reviews.name)
        logger.info("Drift: {} has no reviews of {} older than {}: nothing to compare with", *sought)
        return None
    drift = _publish(places, reviews, before, options)
    table = tabulate_drift(drift.figures)
    about = f"{reviews.name} beside {before.name}, the reviews of the run before"
    logger.info("Drift: {}\n{}", about, table.to_text(width=120))
    create_table_artifact(table.to_records(), key="data-drift", description=f"Of {raw.files[0].path}: {about}")
    _judge(drift, reviews, before, options)
    return drift


def find_before(store: Store, raw: Manifest, reviews: Manifest) -> Manifest | None:
    """Return the newest reviews of the same data that are older than these and that a dataset was made of.

    The same data is what has the same `data_name`. Reviews that no dataset was made of were refused, or their run
    was cut off: they set no measure for the next ones.
    """
    own = store.written_at(reviews.key)
    used = {one.inputs.get("reviews") for one in _readable(store, layout.DATASETS)}
    older: list[tuple[datetime, str, Manifest]] = []
    for one in _readable(store, layout.REVIEWS_KIND):
        written_at = store.written_at(one.key)
        is_older = own and written_at and (written_at, one.id) < (own, reviews.id)
        if written_at and is_older and one.id in used and _name_of_raw(store, one) == data_name(raw):
            older.append((written_at, one.id, one))
    return max(older, default=(None, "", None))[2]


def data_name(raw: Manifest) -> str:
    """Return what all deliveries of the same data are called: the file's name, in which dates stand as *.

    A date is a year and a month, or a year, a month and a day, with or without '-', '_' or '.' between them.
    """
    return _DATE.sub("*", layout.logical_name(raw.files[0].path))


def _readable(store: Store, kind: str) -> Iterator[Manifest]:
    for artifact in list_artifacts(store, kind):
        if isinstance(artifact.manifest, Manifest):
            yield artifact.manifest
        else:
            logger.warning("Drift: {} is passed over: {}", artifact.name, artifact.manifest)


def _name_of_raw(store: Store, reviews: Manifest) -> str | None:
    raw = look_up(store, layout.RAW, reviews.inputs.get("raw", ""))
    return data_name(raw) if isinstance(raw, Manifest) else None


def _publish(places: PlaceOptions, reviews: Manifest, before: Manifest, limits: DriftLimits) -> Drift:
    def build(folder: Path) -> dict[str, Any]:
        figures = compare_reviews(_profile(places, before), _profile(places, reviews), limits)
        write_record(folder / layout.DRIFT, {"figures": list(map(_record, figures))})
        return {"n_figures": len(figures), "n_beyond": len(beyond(figures))}

    published = publish_once(
        places,
        layout.DRIFTS,
        inputs={"reviews": reviews.id, "before": before.id},
        parameters=limits.model_dump(mode="json", include=set(DriftLimits.model_fields)),
        build=build,
    )
    return Drift(published, read_figures(local_file(places, published, layout.DRIFT)))


def _record(figure: DriftFigure) -> dict[str, Any]:
    return {**asdict(figure), "is_beyond": figure.is_beyond}


def read_figures(path: Path) -> list[DriftFigure]:
    """Return the figures that a ``drift.json`` holds."""
    rows = json.loads(path.read_bytes())["figures"]
    return [DriftFigure(**{name: value for name, value in row.items() if name != "is_beyond"}) for row in rows]


def _profile(places: PlaceOptions, reviews: Manifest) -> ReviewProfile:
    with pq.ParquetFile(local_file(places, reviews, layout.REVIEWS), memory_map=True) as file:
        return profile_reviews(file.iter_batches(columns=list(COLUMNS)), reviews.count("n_quarantined"))


def _judge(drift: Drift, reviews: Manifest, before: Manifest, options: DriftOptions) -> None:
    passed = beyond(drift.figures)
    if not passed:
        logger.info("Drift: {} is within all limits of {}, the reviews of the run before", reviews.name, before.name)
        return
    figures = "; ".join(map(say_beyond, passed))
    sentence = f"{reviews.name} differs from {before.name}, the reviews of the run before: {figures}"
    look = f"Look at both ('python flows/store.py show {drift.artifact.name}'; table data-drift in the Prefect UI)"
    if options.drift == "refuse":
        raise DriftRefused(f"{sentence}. {look}, and run again with --drift warn if these reviews are right.")
    logger.warning("Drift: {}. {}; --drift refuse would have stopped here.", sentence, look)
