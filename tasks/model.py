"""The published model: what serves, what it is, how good it is, and the report on all of it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task
from prefect.artifacts import create_markdown_artifact

import evaluation.checks
import evaluation.segments
import evaluation.selection
import evaluation.significance
import reports.display
import reports.distributions
import reports.figures
import reports.findings
import reports.fit_figures
import reports.funnel
import reports.label_places
import reports.quality_figures
import reports.report
import reports.report_input
import reports.segment_figures
import reports.svg
import reports.verdicts
import reports.window_figures
import tasks.evidence
import tasks.examples
import tasks.report
from reports.report import render_report
from reports.report_input import ReportInput
from reports.terminal import terminal_table
from reviews.products import read_titles
from schema.verdicts import figures_of
from storage import canonical, layout
from storage.identity import artifact_id, code_version
from storage.manifest import Manifest
from tasks.candidates import Candidate
from tasks.choose import Choice, Scored
from tasks.measured import headline
from tasks.options import PlaceOptions
from tasks.publication import publish_once
from tasks.quarantine import show_reasons
from tasks.raw import raw_file
from tasks.report import Lineage, gather_report
from tasks.retrying import COMPUTE_RETRIES
from tasks.score import read_rows
from tasks.tables import local_file

CODE = code_version(
    evaluation.checks,
    reports.display,
    reports.distributions,
    reports.figures,
    reports.findings,
    reports.fit_figures,
    reports.funnel,
    evaluation.selection,
    reports.label_places,
    reports.quality_figures,
    reports.report,
    reports.report_input,
    reports.segment_figures,
    evaluation.segments,
    evaluation.significance,
    reports.svg,
    reports.verdicts,
    reports.window_figures,
    tasks.evidence,
    tasks.examples,
    tasks.report,
    files=reports.report.TEMPLATES,
)


@task(name="publish model", task_run_name="publish model of dataset {lineage.dataset.id}", **COMPUTE_RETRIES)
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
        "select_by": str(choice.metric),
        "validation_scores": [one.scores.id for one in validated],
        "test_scores": [one.scores.id for one in tested],
        "curve_scores": [one.scores.id for one in curve],
    }

    def build(folder: Path) -> dict[str, Any]:
        _take_fit(places, final.fitted, folder)
        _write_ids(places, lineage.dataset, folder)
        rows = [row for one in (*validated, *tested) for row in read_rows(places, one.scores)]
        guard = {"guard": figures_of(choice.guard), "lead": figures_of(choice.lead)}
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
    show_reasons(report.quarantine, report.reviews.n_reviews + report.reviews.n_quarantined)
