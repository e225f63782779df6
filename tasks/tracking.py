"""MLflow: one parent run per training, a nested run per candidate, each found again by its tags.

Runs are looked up by tags before they are created, so a training that is run again after a crash, or a task
that is run twice, goes on with the runs that are there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from loguru import logger
from prefect import task

from schema.errors import InvalidInput, Unavailable
from storage.files import remove_stale, whole_file
from tasks.execution import NETWORK_RETRIES
from tasks.options import TrackingOptions

PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"
KEY_TAG = "recommender.key"
BEST_TAG = "recommender.best"
FINISHED = "FINISHED"
MAX_BATCH = 100
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class TrackedRun:
    """A run of MLflow, and whether all of it is recorded already."""

    id: str
    is_complete: bool


@task(name="check tracking", **NETWORK_RETRIES | {"retries": 1})
def check_tracking(options: TrackingOptions) -> None:
    """See that runs can be tracked, so that a dead server is known at the start and not after an hour.

    Raises:
        Unavailable: If the tracking server does not answer.
        InvalidInput: If the address is of no kind that MLflow knows.
    """
    uri = options.mlflow_tracking_uri
    if uri.startswith(("http://", "https://")):
        _require_answer(uri)
    elif not uri.startswith("sqlite:"):
        _require_known_kind(uri)


@task(name="open experiment", **NETWORK_RETRIES)
def open_experiment(options: TrackingOptions) -> str:
    """Return the id of the experiment, made if it is not there."""
    client = _client(options)
    found = client.get_experiment_by_name(options.mlflow_experiment)
    if found:
        return str(found.experiment_id)
    is_server = options.mlflow_tracking_uri.startswith("http")
    local = None if is_server else options.mlflow_artifact_dir.absolute().as_uri()
    return str(client.create_experiment(options.mlflow_experiment, artifact_location=local))


@task(name="open tracked run", **NETWORK_RETRIES)
def open_run(
    options: TrackingOptions,
    experiment: str,
    key: str,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
) -> TrackedRun:
    """Return the parent run of this training, made if it is not there."""
    run = _open(_client(options), experiment, key, name, parameters, tags)
    if run.is_complete:
        logger.info("MLflow run {} is complete already: nothing to do", run.id)
    return run


@task(name="track candidate", task_run_name="track {name}", **NETWORK_RETRIES)
def track_candidate(
    options: TrackingOptions,
    experiment: str,
    parent: str,
    key: str,
    name: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    *,
    is_best: bool,
) -> str:
    """Record one candidate as a nested run, with its validation metrics."""
    client = _client(options)
    tags = {PARENT_TAG: parent, BEST_TAG: str(is_best).lower()}
    run = _open(client, experiment, f"{parent}/{key}", name, parameters, tags).id
    _log_metrics(client, run, metrics)
    client.set_terminated(run, FINISHED)
    return run


@task(name="close tracked run", **NETWORK_RETRIES)
def close_run(
    options: TrackingOptions,
    run: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    files: Sequence[Path],
) -> str:
    """Record the outcome of the training: test metrics, ids and the report."""
    client = _client(options)
    for name, value in tags.items():
        client.set_tag(run, name, value)
    _log_metrics(client, run, metrics)
    for path in files:
        client.log_artifact(run, str(path))
    client.set_terminated(run, FINISHED)
    return run


def hide_user(address: str) -> str:
    """Return an address, of a server or a database, without user name and password.

    Example:
        >>> hide_user("postgresql://ada:secret@host/mlflow")
        'postgresql://host/mlflow'
    """
    return re.sub(r"//[^/@]*@", "//", address)


def load_mlflow() -> type[Any]:
    """Import MLflow, which takes seconds that only tracked runs need, and return its client."""
    from mlflow import MlflowClient

    return MlflowClient


def _client(options: TrackingOptions) -> Any:
    client = load_mlflow()
    if options.mlflow_tracking_uri.startswith(SQLITE):
        path = options.mlflow_tracking_uri.removeprefix(SQLITE).partition("?")[0]
        make_database(Path(path), options.mlflow_artifact_dir)
    return client(tracking_uri=options.mlflow_tracking_uri)


def make_database(path: Path, artifact_dir: Path) -> None:
    """Make MLflow's SQLite database if it is not there: whole or not at all.

    MLflow makes its tables in dozens of steps that SQLite cannot undo, and never gets over having been killed
    between two of them.

    Args:
        path: The database.
        artifact_dir: Where runs of MLflow's own default experiment would keep files.
    """
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    remove_stale(path.absolute().parent)
    with whole_file(path.absolute(), replace=False) as partial:  # another run may be quicker
        store: Any = SqlAlchemyStore
        store(f"{SQLITE}{partial}", artifact_dir.absolute().as_uri()).engine.dispose()


def _open(
    client: Any, experiment: str, key: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> TrackedRun:
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    if found:
        return TrackedRun(str(found[0].info.run_id), is_complete=found[0].info.status == FINISHED)
    run = client.create_run(experiment, tags={KEY_TAG: key, NAME_TAG: name, **tags}).info.run_id
    for parameter, value in parameters.items():
        client.log_param(run, parameter, value)
    return TrackedRun(str(run), is_complete=False)


def _log_metrics(client: Any, run: str, metrics: Mapping[str, float]) -> None:
    from mlflow.entities import Metric

    rows = [Metric(name, value, 0, 0) for name, value in metrics.items()]
    for start in range(0, len(rows), MAX_BATCH):
        client.log_batch(run, metrics=rows[start : start + MAX_BATCH])


def _require_answer(uri: str) -> None:
    address = httpx.URL(uri)
    shown = address.copy_with(userinfo=b"")
    try:
        httpx.get(address.copy_with(path=f"{address.path.rstrip('/')}/health"), timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"MLflow does not answer at {str(shown)!r} ({type(error).__name__}). Start the tracking server, or set "
            "MLFLOW_TRACKING_URI (--mlflow-tracking-uri) to one that runs, or to sqlite:///mlflow.db."
        ) from error


def _require_known_kind(uri: str) -> None:
    kind = uri.split(":", 1)[0]
    if kind not in {"postgresql", "mysql", "mssql"} and not kind.startswith(("postgresql+", "mysql+", "mssql+")):
        raise InvalidInput(
            f"MLFLOW_TRACKING_URI is of an unknown kind, {kind!r}; expected http://…, https://…, sqlite:///FILE or a "
            "database URI. MLflow has dropped its file store: use sqlite:///mlflow.db."
        )
