"""The published model: what serves, what it is, how good it is, and the report on all of it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from pydantic import BaseModel, ConfigDict, Field

import evaluation.checks
import evaluation.comparison
import evaluation.display
import evaluation.distributions
import evaluation.figures
import evaluation.findings
import evaluation.fit_figures
import evaluation.funnel
import evaluation.guard
import evaluation.label_places
import evaluation.quality_figures
import evaluation.report
import evaluation.report_input
import evaluation.segment_figures
import evaluation.segments
import evaluation.selection_noise
import evaluation.svg
import evaluation.window_figures
import tasks.evidence
import tasks.report
from evaluation.report import render_report
from evaluation.report_input import ReportInput
from evaluation.terminal import terminal_table
from storage import artifacts, canonical, layout
from storage.errors import InvalidInput
from storage.identity import artifact_id, code_version
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.candidates import Candidate
from tasks.choose import Choice, Scored
from tasks.places import PlaceOptions
from tasks.publication import publish_once
from tasks.raw import raw_file
from tasks.report import Lineage, gather_report
from tasks.retrying import COMPUTE_RETRIES
from tasks.reviews.products import read_titles
from tasks.score import headline, read_rows
from tasks.tables import local_file

CODE = code_version(
    evaluation.checks,
    evaluation.comparison,
    evaluation.display,
    evaluation.distributions,
    evaluation.figures,
    evaluation.findings,
    evaluation.fit_figures,
    evaluation.funnel,
    evaluation.guard,
    evaluation.label_places,
    evaluation.quality_figures,
    evaluation.report,
    evaluation.report_input,
    evaluation.segment_figures,
    evaluation.segments,
    evaluation.selection_noise,
    evaluation.svg,
    evaluation.window_figures,
    tasks.evidence,
    tasks.report,
    files=evaluation.report.TEMPLATES,
)

NOT_OF_THE_CANDIDATE = frozenset({"model", "select_by", "validation_scores", "test_scores", "curve_scores"})


class ModelChoice(BaseModel):
    """Which model is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_id: str | None = Field(
        None,
        description="Id of a published model; without it, the champion.",
        json_schema_extra={"flag": "--model"},
    )


@task(name="find model")
def find_model(places: PlaceOptions, choice: ModelChoice) -> tuple[Manifest, Manifest]:
    """Return a published model and the dataset it was trained on.

    Raises:
        InvalidInput: If no such model is published, or none is named and there is no champion.
    """
    store = places.open_store()
    named = choice.model_id or _champion_id(store)
    model = artifacts.find(store, layout.MODELS, named)
    dataset = artifacts.find(store, layout.DATASETS, model.inputs["dataset"]) if model else None
    if model is None or dataset is None:
        keys = (info.key for info in store.list(f"{layout.MODELS}/"))
        known = sorted({key.split("/")[1] for key in keys if key.endswith(layout.MANIFEST)})
        raise InvalidInput(
            f"{store.uri} has no model {named!r}; it has {known or 'none'}. Name one of them with --model, or "
            "train one with 'python flows/train.py'."
        )
    return model, dataset


@task(name="find lineage")
def find_lineage(places: PlaceOptions, dataset: Manifest, split: Manifest) -> Lineage:
    """Return what a published dataset came from, with a split of it.

    Raises:
        InvalidInput: If the store no longer has it.
    """
    store = places.open_store()
    reviews = artifacts.find(store, layout.REVIEWS_KIND, dataset.inputs["reviews"])
    raw = artifacts.find(store, layout.RAW, reviews.inputs["raw"]) if reviews else None
    if reviews is None or raw is None:
        raise InvalidInput(
            f"{store.uri} no longer has what datasets/{dataset.id} came from. Name the reviews with --input."
        )
    return Lineage(raw, reviews, dataset, split)


def candidate_of(model: Manifest) -> Candidate:
    """Return the candidate that a published model is a fit of."""
    parameters = {name: value for name, value in model.parameters.items() if name not in NOT_OF_THE_CANDIDATE}
    return Candidate(model=str(model.parameters["model"]), parameters=parameters)


def _champion_id(store: Store) -> str:
    record, _ = artifacts.read_champion(store)
    if not record:
        raise InvalidInput(f"{store.uri} has no champion yet. Name a published model with --model ID.")
    return str(record["model_id"])


@task(name="publish model", **COMPUTE_RETRIES)
def publish_model(
    places: PlaceOptions,
    lineage: Lineage,
    validated: Sequence[Scored],
    choice: Choice,
    tested: Sequence[Scored],
    final: Scored,
    products: Manifest | None,
    curve: Sequence[Scored] = (),
) -> Manifest:
    """Publish the chosen candidate, fitted on all data, with its metadata, metrics and report.

    Args:
        places: The store.
        lineage: What went in.
        validated: Every candidate on validation.
        choice: How one of them was chosen.
        tested: The chosen one and the baselines on test.
        final: The chosen candidate fitted on all data; its scores are those on test.
        products: The raw products file, for titles.
        curve: The best trained candidate on validation after different numbers of iterations.
    """
    inputs = {
        "dataset": lineage.dataset.id,
        "split": lineage.split.id,
        "fit": final.fitted.id,
        "test": final.scores.id,
        **({"products": products.id} if products else {}),
    }
    parameters = {
        "model": final.candidate.model,
        **final.candidate.parameters,
        "select_by": choice.select_by,
        "validation_scores": [one.scores.id for one in validated],
        "test_scores": [one.scores.id for one in tested],
        "curve_scores": [one.scores.id for one in curve],
    }

    def build(folder: Path) -> dict[str, Any]:
        _take_fit(places, final.fitted, folder)
        _write_ids(places, lineage.dataset, folder)
        rows = [row for one in (*validated, *tested) for row in read_rows(places, one.scores)]
        guard = {"guard": asdict(choice.guard), "lead": asdict(choice.lead)}
        _write_json(folder / layout.METRICS, {"rows": [asdict(row) for row in rows], **guard})
        _write_json(folder / layout.METADATA, _metadata(lineage, final))
        titles = read_titles(raw_file(places, products)).titles if products else {}
        identity = artifact_id(layout.MODELS, inputs, parameters, CODE)
        report = gather_report(places, lineage, identity, validated, choice, tested, titles, curve)
        (folder / layout.REPORT).write_text(render_report(report), encoding="utf-8")
        _show(report)
        shown = headline(read_rows(places, final.scores))
        return {
            "n_users": lineage.dataset.counts["n_users"],
            "n_items": lineage.dataset.counts["n_items"],
        } | shown

    return publish_once(places, layout.MODELS, inputs=inputs, parameters=parameters, code=CODE, build=build)


def _take_fit(places: PlaceOptions, fitted: Manifest, folder: Path) -> None:
    for file in fitted.files:
        name = layout.logical_name(file.path)
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = local_file(places, fitted, name)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


def _write_ids(places: PlaceOptions, dataset: Manifest, folder: Path) -> None:
    for name, target in ((layout.USER_MAP, layout.USER_IDS), (layout.ITEM_MAP, layout.ITEM_IDS)):
        (folder / target).parent.mkdir(exist_ok=True)
        shutil.copyfile(local_file(places, dataset, name), folder / target)


def _metadata(lineage: Lineage, final: Scored) -> Mapping[str, Any]:
    candidate: Candidate = final.candidate
    return {
        "model": candidate.model,
        "label": candidate.label,
        "parameters": dict(candidate.parameters),
        "predicts_ratings": candidate.predicts_ratings,
        "n_users": lineage.dataset.counts["n_users"],
        "n_items": lineage.dataset.counts["n_items"],
        "factors": {"dtype": "<f4", "user_factors": layout.USER_FACTORS, "item_factors": layout.ITEM_FACTORS},
        "raw": {"id": lineage.raw.id, "name": lineage.raw.files[0].path},
        "reviews": lineage.reviews.id,
        "dataset": lineage.dataset.id,
        "split": lineage.split.id,
        "fit": final.fitted.id,
        "blas": final.fitted.counts.get("blas"),
    }


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_bytes(canonical.encode(dict(value), indent=2))


def _show(report: ReportInput) -> None:
    table = terminal_table(report)
    logger.info("Result\n{}", table)
    create_markdown_artifact(f"```\n{table}\n```", key="result", description="Test metrics of the chosen model")
    rows = [{"reason": row.reason, "rows": row.count, "example line": row.example_line} for row in report.quarantine]
    if rows:
        create_table_artifact(rows, key="quarantine", description="Why lines were put aside")
