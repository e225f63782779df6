"""The MLflow run of an exploration: what was read, its counts, and the report."""

import json
from collections.abc import Mapping
from typing import Any, Final

from loguru import logger
from prefect import task

from storage import layout
from storage.manifest import Manifest
from storage.s3_options import S3_SCHEME
from tasks.execution import NETWORK_RETRIES
from tasks.options import PlaceOptions, TrackingOptions
from tasks.store import local_file
from tasks.tracked_data import CONTEXT_TAG
from tasks.tracked_run import FINISHED, NAME_TAG, TrackedRun, log_batch, open_run, origin_tags
from tasks.tracking_client import end_dead_runs, open_client, open_experiment

KIND: Final = "exploration"


@task(name="track exploration", **NETWORK_RETRIES)
def track_exploration(
    options: TrackingOptions,
    places: PlaceOptions,
    made: Mapping[str, Manifest],
    environment: str,
) -> TrackedRun:
    """Return the run of an exploration with its report; the one that is there if it is complete.

    Args:
        options: Where it is tracked.
        places: Where the artifacts are.
        made: raw, reviews, exploration and report.
        environment: Name of the installation.
    """
    from mlflow.entities import DatasetInput, InputTag, Metric

    client: Any = open_client(options)
    experiment = open_experiment(client, options)
    end_dead_runs(client, experiment)
    name, exploration, report = made["raw"].files[0].path, made["exploration"], made["report"]
    ids = {f"{role}_id": one.id for role, one in made.items()}
    tags = {"environment": environment, "input": name, "kind": KIND, **ids, **origin_tags()}
    tracked = open_run(client, experiment, f"{KIND}-{report.id}", {"input": name, **exploration.parameters}, tags)
    if tracked.is_complete:
        logger.info("MLflow run {} shows this exploration already: nothing to do", tracked.id)
        return tracked
    counts = {key: exploration.count(key) for key in exploration.counts if key.startswith("n_")}
    metrics = [Metric(key, float(n), tracked.began, 0) for key, n in counts.items()]
    log_batch(client, tracked.id, metrics, {}, {NAME_TAG: tracked.name(KIND)})
    data = DatasetInput(_dataset(places, name, made["reviews"]), [InputTag(CONTEXT_TAG, KIND)])
    client.log_inputs(tracked.id, [data])
    client.log_artifact(tracked.id, str(local_file(places, report, layout.REPORT)))
    client.set_terminated(tracked.id, FINISHED)
    return tracked


def _dataset(places: PlaceOptions, name: str, reviews: Manifest) -> Any:
    from mlflow.entities import Dataset

    uri = places.open_store().locate(reviews.name)
    return Dataset(
        name=name,
        digest=reviews.id,
        source_type="s3" if uri.startswith(S3_SCHEME) else "local",
        source=json.dumps({"uri": uri}),
        profile=json.dumps({"num_rows": reviews.count("n_reviews")}),
    )
