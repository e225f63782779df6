"""MLflow: one parent run per training, a nested run per candidate, each found again by its tags.

Runs are looked up by tags before they are created, so a training that is run again after a crash, or a task
that is run twice, goes on with the runs that are there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from loguru import logger
from prefect import task
from prefect.artifacts import create_markdown_artifact

from models.registry import Candidate
from reports.display import clean_text, say_sample
from reports.terminal import training_markdown
from schema.errors import InvalidInput
from storage import layout
from storage.canonical import artifact_id
from storage.manifest import Manifest
from tasks.addresses import hide_user, mlflow_run_page
from tasks.choose import scored_models
from tasks.execution import NETWORK_RETRIES
from tasks.model import Lineage, Training
from tasks.options import PlaceOptions, TrackingOptions
from tasks.racing import Tried
from tasks.registration import LOGGED_MODEL_TAG, MODEL_TAG, describe, register
from tasks.score import Scored
from tasks.store import local_file
from tasks.tracked_data import TEST, VALIDATION, WHOLE, datasets_of, log_data, metrics_of
from tasks.tracked_run import FINISHED, KEY_TAG, NAME_TAG, TrackedRun, log_batch, open_run, origin_tags
from tasks.tracking_client import (
    end_dead_runs,
    is_served,
    open_client,
    open_experiment,
    require_answer,
)

PARENT_TAG: Final = "mlflow.parentRunId"
NOTE_TAG: Final = "mlflow.note.content"
BEST_TAG: Final = "recommender.best"
DROPPED_TAG: Final = "recommender.dropped"
SAMPLE_TAG: Final = "validation"


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
    if is_served(options):
        require_answer(uri)
    elif kind != "sqlite" and kind.split("+")[0] not in {"postgresql", "mysql", "mssql"}:
        raise InvalidInput(
            f"MLFLOW_TRACKING_URI is of an unknown kind, {kind!r}; expected http://…, https://…, sqlite:///FILE or a "
            "database URI. MLflow has dropped its file store: use sqlite:///mlflow.db."
        )


@task(name="open tracked run", **NETWORK_RETRIES)
def open_training(
    options: TrackingOptions, lineage: Lineage, environment: str, choices: Mapping[str, Any]
) -> TrackedRun:
    """Return the run of a training with these choices: the one that it had when it was cut off, or a new one.

    Runs of processes that are gone are ended first. The choices are what decides the search, JSON values; the
    environment is the name of the installation.
    """
    client = open_client(options)
    experiment = open_experiment(client, options)
    end_dead_runs(client, experiment)
    parameters = {
        **choices,
        "input": lineage.raw.files[0].path,
        "min_interactions": lineage.dataset.parameters["min_interactions"],
        "split": lineage.split.counts["method"],
    }
    ids = {f"{role}_id": one.id for role, one in vars(lineage).items()}
    shown = {"environment": environment, **{name: str(parameters[name]) for name in ("input", "split")}}
    key = artifact_id(layout.MODELS, {"split": lineage.split.id}, choices, "tracked")
    return open_run(client, experiment, key, parameters, {**shown, **ids, **origin_tags()})


@task(name="track training", **NETWORK_RETRIES)
def close_training(
    options: TrackingOptions,
    places: PlaceOptions,
    tracked: TrackedRun,
    training: Training,
    model: Manifest,
    report: Manifest,
) -> TrackedRun:
    """Record the outcome of a training, with a nested run for each candidate, register its model and return its run.

    A run that is complete stays as it is. Where it shows another model, as after a change of the code, a new run is
    made for this one.
    """
    client = open_client(options)
    if tracked.model_id not in (None, model.id):
        key = f"{tracked.key}-{model.id}"
        tracked = open_run(client, tracked.experiment, key, tracked.parameters, tracked.tags)
    if tracked.is_complete:
        logger.info("MLflow run {} shows this training already: nothing to do", tracked.id)
        return tracked
    client.set_tag(tracked.id, MODEL_TAG, model.id)
    data = datasets_of(places, training.lineage)
    _track_candidates(client, tracked, training, data)
    version = register(client, options, places, model, report, tracked.id)
    chosen = training.choice.scored
    tags = {
        NAME_TAG: tracked.name(chosen.candidate.label),
        NOTE_TAG: describe(places, model, report),
        "best_model": chosen.candidate.label,
        "model_version": version.version,
        **_mark_sample(chosen),
    }
    metrics = [
        *metrics_of(tracked.began, data, VALIDATION, chosen.scores),
        *metrics_of(tracked.began, data, TEST, training.final.scores, version.tags[LOGGED_MODEL_TAG]),
    ]
    log_batch(client, tracked.id, metrics, _parameters(chosen.candidate, tracked.parameters), tags)
    log_data(client, tracked.id, data, [WHOLE, VALIDATION, TEST])
    _log_output(client, tracked.id, version.tags[LOGGED_MODEL_TAG])
    client.log_artifact(tracked.id, str(local_file(places, report, layout.REPORT)))
    client.set_terminated(tracked.id, FINISHED)
    return replace(tracked, model_id=model.id, is_complete=True)


def _track_candidates(client: Any, tracked: TrackedRun, training: Training, data: Mapping[str, Any]) -> None:
    """Give each candidate a nested run, with more metrics if it was tested, and a tag if it was dropped."""
    chosen = training.choice.scored.candidate
    asked = f"tags.`{PARENT_TAG}` = '{tracked.id}'"
    there = {run.data.tags.get(KEY_TAG): run for run in client.search_runs([tracked.experiment], asked)}
    for tried in training.tried:
        one = tried.scored
        on_test = [tested.scores for tested in training.tested if tested.candidate == one.candidate]
        key, label = f"{tracked.id}/{one.scores.id}", one.candidate.label
        run = there.get(key)
        if run is None:
            best = {PARENT_TAG: tracked.id, BEST_TAG: str(one.candidate == chosen).lower()}
            dropped = {DROPPED_TAG: _say_what_on(tried)} if tried.is_dropped else {}
            tags = {**tracked.tags, **best, **dropped, **_mark_sample(one), KEY_TAG: key, NAME_TAG: label}
            run = client.create_run(tracked.experiment, tags=tags)
        elif run.info.status == FINISHED:
            continue
        metrics = metrics_of(tracked.began, data, VALIDATION, one.scores)
        for scores in on_test:
            metrics += metrics_of(tracked.began, data, TEST, scores)
        log_batch(client, run.info.run_id, metrics, _parameters(one.candidate), {})
        log_data(client, run.info.run_id, data, ["train", VALIDATION, *([TEST] if on_test else [])])
        client.set_terminated(run.info.run_id, FINISHED)


def _mark_sample(scored: Scored) -> dict[str, str]:
    """Return a tag that says of how many users the metrics of validation are, where they are of a sample."""
    sample = say_sample(scored.sampled_users)
    return {SAMPLE_TAG: sample.removeprefix(", ")} if sample else {}


def _say_what_on(tried: Tried) -> str:
    """Return what the metrics of a candidate that was dropped are of."""
    users = tried.scored.scores.parameters["evaluate_users"]
    return f"measured on {users or 'all'} users of validation" + (f", by {tried.fits} fit" if tried.fits else "")


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


def _log_output(client: Any, run: str, logged_model: str) -> None:
    from mlflow.entities import LoggedModelOutput

    outputs = client.get_run(run).outputs
    if not (outputs and outputs.model_outputs):
        client.log_outputs(run, [LoggedModelOutput(logged_model, step=0)])


def _parameters(candidate: Candidate, besides: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return what a candidate is, a value for each column of a table of runs, less what is shown already."""
    own = {"model": candidate.model, **candidate.parameters}
    return {name: value for name, value in own.items() if name not in besides}
