"""Publish the report on a training or an evaluation, gathered from the artifacts that it came from."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task
from prefect.artifacts import create_markdown_artifact

from evaluation.list_change import count_changes
from reports.data_summary import summarise_interactions
from reports.report import TEMPLATES, render_report
from reports.report_input import (
    PRIMARY,
    BesideChampion,
    DataSummary,
    Evidence,
    ReportInput,
    ScoredModel,
    Source,
    SplitPart,
    SplitSummary,
    WindowScores,
)
from reports.split_notes import say_core, say_repeats
from reports.terminal import terminal_table
from reviews.catalogue import is_sample_user
from schema.dataset import DatasetCounts, KCorePass, ReviewCounts
from schema.metric import MetricRow
from schema.verdicts import Finding
from storage import layout
from storage.code_version import Root
from storage.manifest import Manifest
from tasks.attributes import read_raw_products
from tasks.blending import leave_one_out
from tasks.choose import metric_by_user, scored_models
from tasks.dataset import core_of
from tasks.evidence import compare_with, find_examples, gather_evidence
from tasks.execution import COMPUTE_RETRIES
from tasks.ingest import summarise_file
from tasks.model import Champion, Evaluation, Lineage, Training
from tasks.options import PlaceOptions
from tasks.score import Scored, find_other_lists, read_rows, read_user_means
from tasks.search import describe
from tasks.store import PART_FILES, local_file, publish_once, read_table

SPLITS = {
    "random-per-user": "Of each user, interactions are held out at random, whatever their time.",
    "files": "Which interactions are held out was said by files.",
    "leave-last": "The last interactions of each user are held out for the test, those before them for validation: the "
    "protocol of most papers. Models learn from what others did later, so that the figures flatter.",
    "rolling": "Each interaction of the last stretch of time is predicted from what its user did before its day, by "
    "models that knew nothing later, as after a nightly training; the stretch before it is the validation. Figures are "
    "means over interactions, and those of one user stay together in every interval.",
    "time": "Everything after a moment is held out for the test, the stretch before it for validation.",
    "random": "Interactions are held out at random, whatever their time: a model may learn from later ones.",
}


@task(name="publish report", task_run_name="publish report of models/{model.id}", **COMPUTE_RETRIES)
def publish_training_report(
    places: PlaceOptions, training: Training, model: Manifest, products: Manifest | None
) -> Manifest:
    """Publish ``report.html`` of a training, and show its result in the log and on Prefect's pages.

    Titles of items are those of the raw products file.
    """
    lineage, choice = training.lineage, training.choice
    chosen = choice.scored.candidate
    refit = next(one for one in training.tested if one.candidate == chosen)

    def gather_all() -> Evidence:
        evidence = gather_evidence(places, lineage.split, training.tested, refit)
        evidence = replace(evidence, findings=[*evidence.findings, *_find_trials(training)])
        return replace(evidence, beside=_beside(places, training.champion, refit))

    def gather() -> ReportInput:
        item_ids = set(read_table(places, lineage.dataset, layout.ITEM_MAP)["item_id"].to_pylist())
        titles = read_raw_products(places, products, item_ids).titles if products else {}
        data = summarise_data(places, lineage)
        return ReportInput(
            title=f"Recommender trained on {data.input_name}",
            ids=_ids(lineage, model.id, {"validation": training.validated, "test": training.tested}),
            data=data,
            test=scored_models(places, training.tested, chosen),
            candidates=scored_models(places, training.validated, chosen),
            searched=describe(places, training.tried, metric_by_user(choice.metric)),
            evidence=gather_all(),
            guard=choice.guard,
            lead=choice.lead,
            additions=dict(zip(leave_one_out(chosen), compare_with(places, training.without, refit), strict=True)),
            curve=[_curve_point(places, one) for one in training.curve],
            examples=find_examples(places, lineage.dataset, lineage.split, refit.fitted, titles),
            sampled_users=refit.sampled_users,
            validation_users=choice.scored.sampled_users,
        )

    return _publish(
        places,
        {"model": model.id, **({"products": products.id} if products else {})},
        {
            "curve_scores": [one.scores.id for one in training.curve],
            "without_scores": [one.scores.id for one in training.without],
            "tried_scores": [one.scored.scores.id for one in training.tried],
            "champion": [training.champion.model_id, training.champion.scored.scores.id] if training.champion else [],
        },
        gather,
        key="result",
    )


@task(name="publish report", task_run_name="publish report of evaluations/{published.id}", **COMPUTE_RETRIES)
def publish_evaluation_report(
    places: PlaceOptions, evaluation: Evaluation, published: Manifest, findings: Sequence[Finding] = ()
) -> Manifest:
    """Publish ``report.html`` of an evaluation, and show its result in the log and on Prefect's pages.

    The findings given stand before those that every evaluation looks for.
    """
    lineage, subject, tested = evaluation.lineage, evaluation.subject, evaluation.tested

    def gather() -> ReportInput:
        evidence = gather_evidence(places, lineage.split, tested, subject)
        data = summarise_data(places, lineage)
        return ReportInput(
            title=f"{subject.candidate.label} on {data.input_name}",
            ids=_ids(lineage, subject.fitted.id, {"test": tested}),
            data=data,
            test=scored_models(places, tested, subject.candidate),
            evidence=replace(evidence, findings=[*findings, *evidence.findings]),
            windows=[
                WindowScores(label, scored_models(places, scored, subject.candidate))
                for label, scored in evaluation.windows
            ],
            original=[row_of_original(places, label, one) for label, one in evaluation.original],
            sampled_users=subject.sampled_users,
        )

    parameters = {"findings": [asdict(finding) for finding in findings]}
    return _publish(places, {"evaluation": published.id}, parameters, gather, key="evaluation")


def _beside(places: PlaceOptions, champion: Champion | None, refit: Scored) -> BesideChampion | None:
    """Return what users would notice if the chosen model took the place of the champion, where both rank."""
    if champion is None:
        return None
    by_role = {"champion": champion.scored, "challenger": refit}
    for change in find_other_lists(places, by_role, PRIMARY):
        was, becomes = (read_user_means(places, one.scores, PRIMARY) for one in by_role.values())
        return BesideChampion(champion.model_id, champion.scored.candidate.label, change, count_changes(becomes - was))
    return None


def _find_trials(training: Training) -> Iterator[Finding]:
    """Yield, by kind of model, parameters that candidates had only while they were compared, such as an engine."""
    tested, told = {one.candidate.model for one in training.tested}, set[str]()
    for one in training.validated:
        asked, model = one.candidate.parameters, one.candidate.model
        given = one.candidate.kind.on_trial(asked, training.lineage.split.count("train_n_rows"))
        others = [f"{name} {value}" for name, value in given.items() if asked.get(name) != value]
        if others and model not in told:
            told.add(model)
            about = dict[str, str | int](model=model, settings=", ".join(others), is_tested=int(model in tested))
            yield Finding("fitted otherwise", is_warning=False, figures=about)


def _publish(
    places: PlaceOptions,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    gather: Callable[[], ReportInput],
    key: str,
) -> Manifest:
    def build(folder: Path) -> dict[str, Any]:
        report = gather()
        (folder / layout.REPORT).write_text(render_report(report), encoding="utf-8")
        (folder / layout.RESULT).write_text(terminal_table(report), encoding="utf-8")
        return {"title": report.title}

    uses: list[Root] = [gather, render_report, terminal_table]
    published = publish_once(
        places, layout.REPORTS, inputs=inputs, parameters=parameters, build=build, uses=uses, files=TEMPLATES
    )
    table = local_file(places, published, layout.RESULT).read_text("utf-8")
    logger.bind(in_short=True).info("Result\n{}", table)
    create_markdown_artifact(f"```\n{table}\n```", key=key, description="Test metrics of what was tested")
    return published


def _curve_point(places: PlaceOptions, one: Scored) -> tuple[int, MetricRow]:
    """Return the iterations of a candidate and what it reached."""
    name, rows = one.candidate.kind.iterations, read_rows(places, one.scores)
    return int(one.candidate.parameters[name]) if name else 0, next(row for row in rows if row.key == PRIMARY)


def summarise_data(places: PlaceOptions, lineage: Lineage) -> DataSummary:
    """Return the summary of the data that a report shows."""
    raw, user_ids = lineage.raw.files[0], read_table(places, lineage.dataset, layout.USER_MAP)["user_id"]
    return DataSummary(
        is_sample_data=bool(len(user_ids)) and is_sample_user(user_ids[0].as_py()),
        source=Source(raw.path.rsplit("/", 1)[-1], raw.sha256, raw.size_bytes),
        reviews=ReviewCounts(**_counts(lineage.reviews, ReviewCounts)),
        dataset=_dataset_counts(places, lineage.dataset),
        min_interactions=core_of(lineage.dataset),
        file=summarise_file(places, lineage.reviews),
        split=_split_summary(lineage.split, core_of(lineage.dataset)),
        distributions=summarise_interactions(read_table(places, lineage.dataset, layout.INTERACTIONS)),
        notes=_notes(lineage),
    )


def _dataset_counts(places: PlaceOptions, dataset: Manifest) -> DatasetCounts:
    record = json.loads(local_file(places, dataset, layout.K_CORE).read_bytes())
    counts = _counts(dataset, DatasetCounts, without=("passes", "left_by_k"))
    return DatasetCounts(**counts, passes=tuple(KCorePass(**core) for core in record["passes"]))


def _counts(artifact: Manifest, record: type, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return the counts of an artifact that a record has fields for."""
    return {one.name: artifact.counts[one.name] for one in fields(record) if one.name not in without}


def _split_summary(split: Manifest, k: int) -> SplitSummary:
    parts = [
        SplitPart(part, *(split.count(f"{part}_{name}") for name in ("n_rows", "n_users", "n_items")))
        for part in PART_FILES
    ]
    cold = (split.count("test_n_cold_users"), split.count("test_n_cold_items"))
    core = say_core(k, str(split.counts.get("core", "all")), int(split.counts.get("n_outside_core") or 0))
    return SplitSummary(SPLITS[str(split.counts["method"])], parts, *cold, core)


def _notes(lineage: Lineage) -> list[str]:
    counts, notes = lineage.dataset.counts, []
    repeats = str(lineage.dataset.parameters.get("repeats", "latest"))  # which it was before there was a choice
    if not counts["has_ratings"]:
        notes.append("The input has no ratings: models that need them are left out.")
    elif lineage.reviews.counts["n_distinct_ratings"] == 1:
        notes.append("All ratings are equal: errors of predicted ratings say nothing here.")
    if n_repeats := lineage.dataset.count("n_duplicates"):
        notes.append(say_repeats(n_repeats, lineage.dataset.count("n_sampled"), repeats))
    if not counts["has_timestamps"]:
        notes.append("The input has no timestamps: the split is random, and a model may learn from later events.")
    return notes


def _ids(lineage: Lineage, model_id: str, scored: Mapping[str, Sequence[Scored]]) -> dict[str, str]:
    scores = {f"{one.candidate.label} on {part}": one.scores.id for part, some in scored.items() for one in some}
    return {role.capitalize(): one.id for role, one in vars(lineage).items()} | {"Model": model_id} | scores


def row_of_original(places: PlaceOptions, label: str, one: Scored) -> ScoredModel:
    """Return a row of the original's tables: its figures and honest ones."""
    rows = [*read_rows(places, one.scores), *read_rows(places, one.scores, "held_out_only")]
    kind = one.candidate.kind
    return ScoredModel(label, {}, rows, is_baseline=kind.is_baseline, role=kind.role)
