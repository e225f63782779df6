"""MLflow: one parent run per training, a nested run per candidate, each found again by its tags.

Runs are looked up by tags before they are created, so a training that is run again after a crash, or a task
that is run twice, goes on with the runs that are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from loguru import logger
from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from models.registry import Candidate
from reports.display import clean_text
from reports.terminal import training_markdown
from schema.errors import InvalidInput, Unavailable
from schema.proxies import proxy_before
from storage import layout
from storage.canonical import artifact_id
from storage.files import remove_stale, whole_file
from storage.manifest import Manifest
from tasks.addresses import WEB, hide_user, mlflow_run_page
from tasks.choose import scored_models
from tasks.execution import NETWORK_RETRIES
from tasks.model import Lineage, Training
from tasks.options import SQLITE, PlaceOptions, TrackingOptions
from tasks.score import Scored
from tasks.store import local_file

PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"
KEY_TAG = "recommender.key"
BEST_TAG = "recommender.best"
MODEL_TAG = "model_id"
FINISHED = "FINISHED"


@dataclass(frozen=True)
class TrackedTraining:
    """The MLflow run of a training.

    Attributes:
        experiment: Id of its experiment.
        id: Its own id.
        key: The tag that it is found again by.
        model_id: The model that it is complete with; None while it is not complete.
        parameters: What it shows of the training's choices.
        tags: Ids of what the training reads.
    """

    experiment: str
    id: str
    key: str
    model_id: str | None
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]


@task(name="check tracking", **NETWORK_RETRIES | {"retries": 1})
def check_tracking(options: TrackingOptions) -> None:
    """See that runs can be tracked, so that a dead server is known at the start and not after an hour.

    Raises:
        Unavailable: If the tracking server does not answer.
        InvalidInput: If the address is of no kind that MLflow knows, or its file cannot be written to.
    """
    options.try_writing()
    uri = options.mlflow_tracking_uri
    kind = uri.split(":", 1)[0]
    if uri.startswith(WEB):
        _require_answer(uri)
    elif kind != "sqlite" and kind.split("+")[0] not in {"postgresql", "mysql", "mssql"}:
        raise InvalidInput(
            f"MLFLOW_TRACKING_URI is of an unknown kind, {kind!r}; expected http://…, https://…, sqlite:///FILE or a "
            "database URI. MLflow has dropped its file store: use sqlite:///mlflow.db."
        )


@task(name="open tracked run", **NETWORK_RETRIES)
def open_training(
    options: TrackingOptions, lineage: Lineage, environment: str, choices: Mapping[str, Any]
) -> TrackedTraining:
    """Return the run of a training with these choices: the one that it had when it was cut off, or a new one.

    The choices are what decides the search, JSON values; the environment is the name of the installation.
    """
    client = _client(options)
    parameters = {
        **choices,
        "input": lineage.raw.files[0].path,
        "min_interactions": lineage.dataset.parameters["min_interactions"],
        "split": lineage.split.counts["method"],
    }
    tags = {f"{role}_id": one.id for role, one in vars(lineage).items()}
    key = artifact_id(layout.MODELS, {"split": lineage.split.id}, choices, "tracked")
    return _open_parent(client, _experiment(client, options), key, parameters, {"environment": environment, **tags})


@task(name="track training", **NETWORK_RETRIES)
def close_training(
    options: TrackingOptions,
    places: PlaceOptions,
    tracked: TrackedTraining,
    training: Training,
    model: Manifest,
    report: Manifest,
) -> TrackedTraining:
    """Record the outcome of a training, with a nested run for each candidate, and return its run.

    A run that is complete stays as it is. Where it shows another model, as after a change of the code, a new run is
    made for this one.
    """
    client = _client(options)
    if tracked.model_id not in (None, model.id):
        key = f"{tracked.key}-{model.id}"
        tracked = _open_parent(client, tracked.experiment, key, tracked.parameters, tracked.tags)
    if tracked.model_id == model.id:
        logger.info("MLflow run {} shows this training already: nothing to do", tracked.id)
        return tracked
    chosen = training.choice.scored
    for one in training.validated:
        nested = {PARENT_TAG: tracked.id, BEST_TAG: str(one.candidate == chosen.candidate).lower()}
        parameters = {"model": one.candidate.model, **one.candidate.parameters}
        key = f"{tracked.id}/{one.scores.id}"
        run = _open(client, tracked.experiment, key, one.candidate.label, parameters, nested)
        _log_metrics(client, run.info.run_id, "validation", one.scores)
        client.set_terminated(run.info.run_id, FINISHED)
    client.set_tag(tracked.id, MODEL_TAG, model.id)
    client.set_tag(tracked.id, "best_model", chosen.candidate.label)
    _log_metrics(client, tracked.id, "test", training.final.scores)
    client.log_artifact(tracked.id, str(local_file(places, report, layout.REPORT)))
    client.set_terminated(tracked.id, FINISHED)
    return replace(tracked, model_id=model.id)


@task(name="summarise", task_run_name="summarise the training on {name}")
def summarise(
    places: PlaceOptions,
    name: str,
    record: Mapping[str, Any],
    tested: Sequence[Scored],
    tracking_uri: str,
    experiment: str,
) -> None:
    """Show the result record of a training on Prefect's pages, as ``training``, and if MLflow has pages, a link."""
    address = mlflow_run_page(tracking_uri, experiment, str(record["ids"]["mlflow_run"]))
    shown = scored_models(places, tested, Candidate(**record["chosen"]))
    create_markdown_artifact(
        training_markdown(name, record, shown, address, hide_user(tracking_uri)),
        key="training",
        description=f"The training on {clean_text(name)}: its result, where it is, and the ids of everything",
    )
    if address:
        create_link_artifact(address, link_text="MLflow run", key="mlflow", description="The training in MLflow")


def _client(options: TrackingOptions) -> Any:
    from mlflow import MlflowClient  # which takes seconds that only tracked runs need

    if options.database:
        make_database(options.database, options.mlflow_artifact_dir)
    return MlflowClient(tracking_uri=options.mlflow_tracking_uri)


def make_database(path: Path, artifact_dir: Path) -> None:
    """Make MLflow's SQLite database if it is not there: whole or not at all.

    MLflow makes its tables in dozens of steps that SQLite cannot undo, and never gets over having been killed
    between two of them. Runs of its own default experiment would keep files in ``artifact_dir``.
    """
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    remove_stale(path.absolute().parent)
    with whole_file(path.absolute(), replace=False) as partial:  # another run may be quicker
        store: Any = SqlAlchemyStore
        store(f"{SQLITE}{partial}", artifact_dir.absolute().as_uri()).engine.dispose()


def _experiment(client: Any, options: TrackingOptions) -> str:
    """Return the id of the experiment, made if it is not there."""
    found = client.get_experiment_by_name(options.mlflow_experiment)
    if found:
        return str(found.experiment_id)
    is_server = options.mlflow_tracking_uri.startswith(WEB)
    local = None if is_server else options.mlflow_artifact_dir.absolute().as_uri()
    return str(client.create_experiment(options.mlflow_experiment, artifact_location=local))


def _open_parent(
    client: Any, experiment: str, key: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> TrackedTraining:
    run = _open(client, experiment, key, f"train-{tags['dataset_id']}", parameters, tags)
    model_id = run.data.tags.get(MODEL_TAG) if run.info.status == FINISHED else None
    return TrackedTraining(experiment, str(run.info.run_id), key, model_id, parameters, tags)


def _open(
    client: Any, experiment: str, key: str, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]
) -> Any:
    """Return the run of a key, made if it is not there."""
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
    if found:
        return found[0]
    run = client.create_run(experiment, tags={KEY_TAG: key, NAME_TAG: name, **tags})
    for parameter, value in parameters.items():
        client.log_param(run.info.run_id, parameter, value)
    return run


def _log_metrics(client: Any, run: str, part: str, scores: Manifest) -> None:
    from mlflow.entities import Metric

    counts = scores.counts.items()
    rows = [Metric(f"{part}_{name}", float(value), 0, 0) for name, value in counts if value is not None]
    client.log_batch(run, metrics=rows)


def _require_answer(uri: str) -> None:
    address = httpx.URL(uri)
    shown = address.copy_with(userinfo=b"")
    try:
        httpx.get(address.copy_with(path=f"{address.path.rstrip('/')}/health"), timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"MLflow does not answer at {str(shown)!r} ({type(error).__name__}). Start the tracking server, or set "
            f"MLFLOW_TRACKING_URI (--mlflow-tracking-uri) to one that runs, or to sqlite:///mlflow.db.{proxy_before(uri)}"
        ) from error
