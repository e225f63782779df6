"""A training as MLflow shows it: a parent run, and a nested run for each candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.settings import Environment, flat_values
from models.registry import ModelOptions
from storage import layout
from storage.identity import artifact_id
from storage.manifest import Manifest
from tasks.model import Lineage
from tasks.options import EvaluationOptions, SelectionOptions
from tasks.score import Scored
from tasks.store import local_file
from tasks.tracking import TrackedRun, close_run, open_run, track_candidate


@dataclass(frozen=True)
class TrackedTraining:
    """The parent run of a training, and the experiment it stands in."""

    experiment: str
    run: TrackedRun


def open_training(
    environment: Environment,
    experiment: str,
    lineage: Lineage,
    models: ModelOptions,
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
) -> TrackedTraining:
    """Return the parent run of this training: the one it had when it was cut off, or a new one."""
    grid = {
        **flat_values(models),
        **selection.model_dump(mode="json"),
        **evaluation.model_dump(mode="json", include={"evaluate_users"}),
    }
    parameters = {
        **grid,
        "input": lineage.raw.files[0].path,
        "min_interactions": lineage.dataset.parameters["min_interactions"],
        "split": lineage.split.counts["method"],
    }
    key = artifact_id(layout.MODELS, {"split": lineage.split.id}, grid, "tracked")
    tags = {
        "environment": environment.run.environment,
        "raw_id": lineage.raw.id,
        "reviews_id": lineage.reviews.id,
        "dataset_id": lineage.dataset.id,
        "split_id": lineage.split.id,
    }
    return TrackedTraining(
        experiment, open_run(environment.tracking, experiment, key, f"train-{lineage.dataset.id}", parameters, tags)
    )


def close_training(
    environment: Environment,
    tracked: TrackedTraining,
    model: Manifest,
    report: Manifest,
    validated: Sequence[Scored],
    chosen: Scored,
    final: Scored,
) -> None:
    """Record candidates and outcome, unless an earlier run of the same training did."""
    if tracked.run.is_complete:
        return
    options = environment.tracking
    nested = [
        track_candidate.submit(
            options,
            tracked.experiment,
            tracked.run.id,
            one.scores.id,
            one.candidate.label,
            {"model": one.candidate.model, **one.candidate.parameters},
            {f"validation_{name}": float(value or 0) for name, value in one.scores.counts.items()},
            is_best=one is chosen,
        )
        for one in validated
    ]
    for run in nested:
        run.result()
    page = local_file(environment.places, report, layout.REPORT)
    metrics = {f"test_{name}": float(value or 0) for name, value in final.scores.counts.items()}
    tags = {"model_id": model.id, "best_model": chosen.candidate.label}
    close_run(options, tracked.run.id, metrics, tags, [page])
