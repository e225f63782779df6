"""Publish models and evaluations with the numbers that were measured, and find published models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from prefect import task

from evaluation.assignment import rolling_windows
from schema.errors import InvalidInput
from schema.verdicts import figures_of
from storage import artifacts, layout
from storage.champion import ChampionTerm, champion_id
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.choose import Choice
from tasks.execution import COMPUTE_RETRIES
from tasks.options import ModelChoice, PlaceOptions
from tasks.racing import Tried
from tasks.score import Scored, headline, metric_records, read_rows
from tasks.store import find_again, link_or_copy, local_file, publish_once, read_table, write_record


@dataclass(frozen=True)
class Lineage:
    """The artifacts behind a training, from the raw file on."""

    raw: Manifest
    reviews: Manifest
    dataset: Manifest
    split: Manifest


@dataclass(frozen=True)
class Champion:
    """The model that serves, with its parameters fitted and tested as those of a training are."""

    model_id: str
    scored: Scored


@dataclass(frozen=True)
class Training:
    """Results of a training.

    Attributes:
        lineage: Artifacts from the raw file to the split.
        tried: Every candidate, on validation.
        choice: How one of them was chosen.
        tested: The chosen candidate and the baselines, refitted on train and validation, on test.
        final: The chosen candidate fitted on all data; its scores are those on test.
        curve: The best trained candidate on validation after different numbers of iterations.
        without: What is left of the chosen candidate without each of its parts, on test.
        champion: The champion on test; None if there is none of other parameters, or it cannot be compared.
    """

    lineage: Lineage
    tried: Sequence[Tried]
    choice: Choice
    tested: Sequence[Scored]
    final: Scored
    curve: Sequence[Scored] = ()
    without: Sequence[Scored] = ()
    champion: Champion | None = None

    @property
    def validated(self) -> list[Scored]:
        """The candidates that were measured on all users of validation."""
        return [one.scored for one in self.tried if not one.is_dropped]


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation.

    Attributes:
        lineage: Artifacts from the raw file to the split that it was evaluated on.
        subject: The evaluated model or lists; one of those tested.
        tested: It and the baselines, on the test part.
        windows: Label and scores of each rolling window, oldest first.
        original: Label and scores of the rows of the original project's tables.
    """

    lineage: Lineage
    subject: Scored
    tested: Sequence[Scored]
    windows: Sequence[tuple[str, Sequence[Scored]]] = ()
    original: Sequence[tuple[str, Scored]] = ()


@task(name="publish model", task_run_name="publish model of dataset {training.lineage.dataset.id}", **COMPUTE_RETRIES)
def publish_model(places: PlaceOptions, training: Training) -> Manifest:
    """Publish the chosen candidate, fitted on all data, with its ids, metadata and metrics."""
    lineage, final = training.lineage, training.final
    dataset, split = lineage.dataset, lineage.split
    return publish_once(
        places,
        layout.MODELS,
        inputs={"dataset": dataset.id, "split": split.id, "fit": final.fitted.id, "test": final.scores.id},
        parameters={
            "model": final.candidate.model,
            **final.candidate.parameters,
            "select_by": str(training.choice.metric),
            "validation_scores": [one.scores.id for one in training.validated],
            "test_scores": [one.scores.id for one in training.tested],
        },
        build=lambda folder: write_model(places, training, folder),
    )


def write_model(places: PlaceOptions, training: Training, folder: Path) -> dict[str, Any]:
    """Write the files of a model into a folder and return the counts for its manifest."""
    dataset, choice = training.lineage.dataset, training.choice
    fitted = training.final.fitted
    for name in (layout.logical_name(file.path) for file in fitted.files):
        link_or_copy(local_file(places, fitted, name), folder / name)
    for name, target in ((layout.USER_MAP, layout.USER_IDS), (layout.ITEM_MAP, layout.ITEM_IDS)):
        link_or_copy(local_file(places, dataset, name), folder / target)
    measured = metric_records(places, [*training.validated, *training.tested])
    verdicts = {"guard": figures_of(choice.guard), "lead": figures_of(choice.lead)}
    write_record(folder / layout.METRICS, {"rows": measured, **verdicts})
    write_record(folder / layout.METADATA, _metadata(training.lineage, training.final))
    sizes = {name: dataset.counts[name] for name in ("n_users", "n_items")}
    return sizes | headline(read_rows(places, training.final.scores))


def _metadata(lineage: Lineage, final: Scored) -> Mapping[str, Any]:
    candidate = final.candidate
    return {
        "model": candidate.model,
        "label": candidate.label,
        "parameters": dict(candidate.parameters),
        "predicts_ratings": candidate.kind.predicts_ratings,
        "n_users": lineage.dataset.counts["n_users"],
        "n_items": lineage.dataset.counts["n_items"],
        "folder": candidate.kind.folder,
        "raw": {"id": lineage.raw.id, "name": lineage.raw.files[0].path},
        "reviews": lineage.reviews.id,
        "dataset": lineage.dataset.id,
        "split": lineage.split.id,
        "fit": final.fitted.id,
        "blas": final.fitted.counts.get("blas"),
    }


@task(name="publish evaluation", **COMPUTE_RETRIES)
def publish_evaluation(places: PlaceOptions, evaluation: Evaluation) -> Manifest:
    """Publish the metrics of an evaluation: of what was tested, of each window, and of the original's rows."""
    return publish_once(
        places,
        layout.EVALUATIONS,
        inputs={"split": evaluation.lineage.split.id, "test": evaluation.subject.scores.id},
        parameters={
            "label": evaluation.subject.candidate.label,
            "test_scores": [one.scores.id for one in evaluation.tested],
            "windows": [[label, [one.scores.id for one in scored]] for label, scored in evaluation.windows],
            "original": [[label, one.scores.id] for label, one in evaluation.original],
        },
        build=lambda folder: write_evaluation(places, evaluation, folder),
    )


def write_evaluation(places: PlaceOptions, evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    """Write the metrics of an evaluation into a folder and return the counts for its manifest."""
    record = {
        "rows": metric_records(places, evaluation.tested),
        "windows": [{"label": label, "rows": metric_records(places, scored)} for label, scored in evaluation.windows],
        "original": [
            {"label": label, "rows": [*metric_records(places, [one]), *metric_records(places, [one], "held_out_only")]}
            for label, one in evaluation.original
        ],
    }
    write_record(folder / layout.METRICS, record)
    return headline(read_rows(places, evaluation.subject.scores)) | {"label": evaluation.subject.candidate.label}


@task(name="find windows")
def find_windows(
    places: PlaceOptions, dataset: Manifest, n_windows: int, test_share: float
) -> list[tuple[datetime, datetime]]:
    """Return the first moment of each of successive test parts of equally many rows, and the first one after it.

    Raises:
        InvalidInput: If the data have no timestamps, or so many windows leave nothing to learn from.
    """
    if not dataset.counts["has_timestamps"]:
        raise InvalidInput("--windows needs timestamps, and the input has none. Ingest again with a timestamp column.")
    timestamp = np.asarray(read_table(places, dataset, layout.INTERACTIONS, ["timestamp"])["timestamp"])
    try:
        windows = rolling_windows(timestamp, n_windows, test_share)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    moments = [datetime.fromtimestamp(second, tz=UTC) for window in windows for second in window]
    return list(zip(moments[::2], moments[1::2], strict=True))


@task(name="find model")
def find_model(places: PlaceOptions, choice: ModelChoice) -> tuple[Manifest, Manifest]:
    """Return a published model and the dataset it was trained on.

    Raises:
        InvalidInput: If no such model is published, or none is named and there is no champion.
    """
    store = places.open_store()
    chosen = choice.model_id or champion_id(store)
    if chosen is None:
        raise InvalidInput(f"{store.uri} has no champion yet. Name a published model with --model ID.")
    return require_model(store, chosen)


def require_model(store: Store, model_id: str) -> tuple[Manifest, Manifest]:
    """Return a published model and the dataset it was trained on.

    Raises:
        InvalidInput: If no such model is published.
    """
    model = artifacts.find(store, layout.MODELS, model_id)
    dataset = artifacts.find(store, layout.DATASETS, model.inputs["dataset"]) if model else None
    if model is None or dataset is None:
        known = [one.id for one in list_artifacts(store, layout.MODELS)]
        raise InvalidInput(
            f"{store.uri} has no model {model_id!r}; it has {known or 'none'}. Name one of them with --model, or "
            "train one with 'python flows/train.py'."
        )
    return model, dataset


def newest_model(store: Store, history: Sequence[ChampionTerm]) -> str:
    """Return the id of the model that was published last, less those that gave way to the champion.

    One that served comes back by its name or by a rollback only: else the next comparison would undo a rollback.

    Args:
        store: Where models are.
        history: The champions, the one that serves first.

    Raises:
        InvalidInput: If there is none.
    """
    gone = {term.model_id for term in history} - {term.model_id for term in history[:1]}
    models = {one.id for one in list_artifacts(store, layout.MODELS) if isinstance(one.manifest, Manifest)}
    moments = {one: store.written_at(layout.manifest_key(layout.MODELS, one)) for one in models - gone}
    published = [(moment, one) for one, moment in moments.items() if moment is not None]
    if not published:
        served = f" that did not serve before; {len(models & gone)} did" if models & gone else ""
        raise InvalidInput(
            f"{store.uri} has no model to promote{served}. Train one with 'python flows/train.py', or name one with "
            "--model."
        )
    moment, newest = max(published)
    logger.info(
        "No --model is named: the challenger is the newest, models/{}, of {:%Y-%m-%d %H:%M} UTC", newest, moment
    )
    return newest


@task(name="find lineage")
def find_lineage(places: PlaceOptions, dataset: Manifest, split: Manifest) -> Lineage:
    """Return what a published dataset came from, with a split of it.

    Raises:
        InvalidInput: If the store no longer has it.
    """
    store, advice = places.open_store(), f"datasets/{dataset.id} came from it: name the reviews with --input."
    reviews = find_again(store, layout.REVIEWS_KIND, dataset.inputs["reviews"], advice)
    return Lineage(find_again(store, layout.RAW, reviews.inputs["raw"], advice), reviews, dataset, split)
