"""The evaluation of one model, or of lists made elsewhere, as an artifact with a report of its own."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray
from prefect import task
from prefect.artifacts import create_markdown_artifact

from evaluation.assignment import rolling_windows
from evaluation.checks import find_known_leak
from reports.report import render_report
from reports.report_input import ReportInput, ScoredModel, WindowScores
from reports.terminal import terminal_table
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys
from schema.verdicts import Finding
from storage import artifacts, canonical, layout
from storage.manifest import Manifest
from tasks.choose import Scored
from tasks.evidence import gather_evidence
from tasks.measured import headline
from tasks.model import CODE
from tasks.options import PlaceOptions
from tasks.publication import publish_once
from tasks.report import Lineage, about_data, input_name, report_ids, scored_model, shown_evidence
from tasks.retrying import COMPUTE_RETRIES
from tasks.score import read_rows
from tasks.tables import learnt_parts, read_parts, read_table


@dataclass(frozen=True)
class Window:
    """A stretch of time that is tested on: its name, its first second and the first one after it."""

    label: str
    first: int
    after: int


@task(name="find windows")
def find_windows(places: PlaceOptions, dataset: Manifest, n_windows: int, test_share: float) -> list[Window]:
    """Return successive test parts of equally many rows that end with the data.

    Raises:
        InvalidInput: If the data have no timestamps, or so many windows leave nothing to learn from.
    """
    if not dataset.counts["has_timestamps"]:
        raise InvalidInput("--windows needs timestamps, and the input has none. Ingest again with a timestamp column.")
    timestamp = np.asarray(read_table(places, dataset, layout.INTERACTIONS, ["timestamp"])["timestamp"])
    try:
        found = rolling_windows(timestamp, n_windows, test_share)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    days = np.array(found).astype("datetime64[s]").astype("datetime64[D]")
    return [Window(f"from {day}", first, after) for (first, after), day in zip(found, days[:, 0], strict=True)]


@task(name="look for leaks")
def look_for_leaks(places: PlaceOptions, split: Manifest, model: Manifest) -> Finding:
    """Tell how many of the held-out pairs a published model has learnt from."""
    store = places.open_store()
    fitted = artifacts.find(store, layout.FITS, model.inputs["fit"])
    its_split = artifacts.find(store, layout.SPLITS, model.inputs["split"])
    if fitted is None or its_split is None:
        raise InvalidInput(f"{store.uri} no longer has the fit or the split of models/{model.id}; evaluate without it.")
    columns = ["user_idx", "item_idx"]
    learnt = _keys(read_parts(places, its_split, learnt_parts(fitted), columns))
    held = _keys(read_parts(places, split, ("test",), columns))
    return find_known_leak(int(np.isin(held, learnt).sum()), len(held))


def _keys(rows: pa.Table) -> NDArray[np.int64]:
    return pair_keys(np.asarray(rows["user_idx"]), np.asarray(rows["item_idx"]))


def find_what_was_taken_out(lists: Scored) -> Finding:
    """Tell what was taken out of lists that were made elsewhere, and how many users have none."""
    names = ("n_unknown_items", "n_seen", "n_users_without_list", "n_users")
    figures = {name: lists.scores.count(name) for name in names}
    return Finding("lists from elsewhere", any(figures[name] for name in names[:3]), figures)


@task(name="publish evaluation", **COMPUTE_RETRIES)
def publish_evaluation(
    places: PlaceOptions,
    lineage: Lineage,
    subject: Scored,
    tested: Sequence[Scored],
    findings: Sequence[Finding] = (),
    windows: Sequence[tuple[str, Sequence[Scored]]] = (),
    original: Sequence[tuple[str, Scored]] = (),
) -> Manifest:
    """Publish ``metrics.json`` and ``report.html`` of an evaluation.

    Args:
        places: The store.
        lineage: What it was evaluated on.
        subject: What was evaluated; one of those tested.
        tested: It and the baselines, on the test part.
        findings: What was found beside what every evaluation looks for.
        windows: Label and scores of each rolling window, oldest first.
        original: Label and scores of the rows of the original project's tables.
    """

    def build(folder: Path) -> dict[str, Any]:
        rows = [row for one in tested for row in read_rows(places, one.scores)]
        record = {"rows": [asdict(row) for row in rows]}
        (folder / layout.METRICS).write_bytes(canonical.encode(record, indent=2))
        report = _report(places, lineage, subject, tested, findings, windows, original)
        (folder / layout.REPORT).write_text(render_report(report), encoding="utf-8")
        table = terminal_table(report)
        logger.info("Result\n{}", table)
        create_markdown_artifact(f"```\n{table}\n```", key="evaluation", description="Test metrics")
        return headline(read_rows(places, subject.scores)) | {"label": subject.candidate.label}

    return publish_once(
        places,
        layout.EVALUATIONS,
        inputs={"split": lineage.split.id, "test": subject.scores.id},
        parameters={
            "label": subject.candidate.label,
            "findings": [asdict(finding) for finding in findings],
            "test_scores": [one.scores.id for one in tested],
            "windows": [[label, [one.scores.id for one in scored]] for label, scored in windows],
            "original": [[label, one.scores.id] for label, one in original],
        },
        code=CODE,
        build=build,
    )


def _report(
    places: PlaceOptions,
    lineage: Lineage,
    subject: Scored,
    tested: Sequence[Scored],
    findings: Sequence[Finding],
    windows: Sequence[tuple[str, Sequence[Scored]]],
    original: Sequence[tuple[str, Scored]],
) -> ReportInput:
    evidence = shown_evidence(gather_evidence(places, lineage.split, tested, subject), subject.scores)
    evidence["findings"] = [*findings, *evidence["findings"]]
    shown = [
        WindowScores(label, [scored_model(places, one, subject.candidate) for one in scored])
        for label, scored in windows
    ]
    return ReportInput(
        title=f"{subject.candidate.label} on {input_name(places, lineage)}",
        ids=report_ids(lineage, subject.fitted.id, {"test": tested}),
        candidates=(),
        test=[scored_model(places, one, subject.candidate) for one in tested],
        windows=shown,
        original=[row_of_original(places, label, one) for label, one in original],
        **about_data(places, lineage),
        **evidence,
    )


def row_of_original(places: PlaceOptions, label: str, one: Scored) -> ScoredModel:
    """Return a row of the original's tables: its figures and honest ones."""
    rows = [*read_rows(places, one.scores), *read_rows(places, one.scores, "held_out_only")]
    return ScoredModel(label, {}, rows, is_baseline=one.candidate.is_baseline)
