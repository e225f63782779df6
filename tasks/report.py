"""What the report of a training shows, gathered from the artifacts that it came from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from models.registry import Candidate
from reports.distributions import summarise_interactions
from reports.report_input import (
    PRIMARY,
    ArtifactIds,
    ReportInput,
    ScoredModel,
    Source,
    SplitPart,
    SplitSummary,
)
from reviews.catalogue import is_sample_user
from schema.dataset import DatasetCounts, KCorePass, ReviewCounts
from schema.metric import MetricRow
from storage import layout
from storage.manifest import Manifest
from tasks.choose import Choice, Scored
from tasks.evidence import Evidence, gather_evidence
from tasks.examples import find_examples
from tasks.options import PlaceOptions
from tasks.quarantine import count_reasons
from tasks.score import read_rows
from tasks.tables import PART_FILES, local_file, read_table

N_EXAMPLES = 4
N_HISTORY = 12
N_RECOMMENDED = 10


@dataclass(frozen=True)
class Lineage:
    """The artifacts behind a training, from the raw file on."""

    raw: Manifest
    reviews: Manifest
    dataset: Manifest
    split: Manifest


def gather_report(
    places: PlaceOptions,
    lineage: Lineage,
    model_id: str,
    validated: Sequence[Scored],
    choice: Choice,
    tested: Sequence[Scored],
    titles: Mapping[str, str],
    curve: Sequence[Scored] = (),
) -> ReportInput:
    """Return everything the report shows.

    Args:
        places: The store.
        lineage: What went in.
        model_id: The model that is being published.
        validated: Every candidate, on validation.
        choice: How one of them was chosen.
        tested: The chosen candidate and the baselines, refitted on train and validation, on test.
        titles: Item id to title, where products are known.
        curve: A candidate on validation after different numbers of iterations.
    """
    chosen = choice.scored.candidate
    refit = next(one for one in tested if one.candidate == chosen)
    return ReportInput(
        title=f"Recommender trained on {input_name(places, lineage)}",
        ids=report_ids(lineage, model_id, {"validation": validated, "test": tested}),
        candidates=[scored_model(places, one, chosen) for one in validated],
        test=[scored_model(places, one, chosen) for one in tested],
        examples=find_examples(places, lineage.dataset, lineage.split, refit.fitted, titles),
        guard=choice.guard,
        lead=choice.lead,
        curve=[(_iterations(one.candidate), _ndcg(places, one)) for one in curve],
        **about_data(places, lineage),
        **shown_evidence(gather_evidence(places, lineage.split, tested, refit), refit.scores),
    )


def _iterations(candidate: Candidate) -> int:
    name = candidate.kind.iterations
    return int(candidate.parameters[name]) if name else 0


def _ndcg(places: PlaceOptions, one: Scored) -> MetricRow:
    return next(row for row in read_rows(places, one.scores) if row.key == PRIMARY)


def about_data(places: PlaceOptions, lineage: Lineage) -> dict[str, Any]:
    """Return what the report says of the data, by the names of its fields."""
    raw = lineage.raw.files[0]
    return {
        "is_sample_data": _is_sample(places, lineage.dataset),
        "source": Source(raw.path.rsplit("/", 1)[-1], raw.sha256, raw.size_bytes),
        "reviews": _review_counts(lineage.reviews),
        "dataset": _dataset_counts(places, lineage.dataset),
        "min_interactions": int(str(lineage.dataset.parameters["min_interactions"])),
        "quarantine": count_reasons(read_table(places, lineage.reviews, layout.QUARANTINE)),
        "split": _split_summary(lineage.split),
        "distributions": summarise_interactions(read_table(places, lineage.dataset, layout.INTERACTIONS)),
        "notes": _notes(lineage),
    }


def input_name(places: PlaceOptions, lineage: Lineage) -> str:
    """Return what the input is called in a title."""
    return "sample data" if _is_sample(places, lineage.dataset) else lineage.raw.files[0].path.rsplit("/", 1)[-1]


def _is_sample(places: PlaceOptions, dataset: Manifest) -> bool:
    user_ids = read_table(places, dataset, layout.USER_MAP)["user_id"]
    return bool(len(user_ids)) and is_sample_user(user_ids[0].as_py())


def report_ids(lineage: Lineage, model_id: str, scored: Mapping[str, Sequence[Scored]]) -> ArtifactIds:
    """Return the ids of all that a report speaks of; those of scores by part and candidate."""
    scores = {f"{one.candidate.label} on {part}": one.scores.id for part, some in scored.items() for one in some}
    return ArtifactIds(
        lineage.raw.id, lineage.reviews.id, lineage.dataset.id, lineage.split.id, model_id, scores=scores
    )


def sampled_users(scores: Manifest) -> int | None:
    """Return how many users were evaluated, where that is a sample."""
    n_users = scores.count("n_users")
    return n_users if n_users < scores.count("n_warm_users") else None


def shown_evidence(evidence: Evidence, scores: Manifest) -> dict[str, Any]:
    """Return the evidence, and of how many users it is, by the names of the report's fields."""
    shown = {field.name: getattr(evidence, field.name) for field in fields(evidence)}
    return shown | {"sampled_users": sampled_users(scores)}


def _review_counts(reviews: Manifest) -> ReviewCounts:
    names = ("n_lines", "n_blank", "n_reviews", "n_quarantined", "has_ratings", "has_timestamps", "n_distinct_ratings")
    counts: dict[str, Any] = {name: reviews.counts[name] for name in names}
    return ReviewCounts(**counts)


def _dataset_counts(places: PlaceOptions, dataset: Manifest) -> DatasetCounts:
    record = json.loads(local_file(places, dataset, layout.K_CORE).read_bytes())
    names = ("n_reviews", "n_sampled", "n_duplicates", "n_interactions", "n_users", "n_items")
    passes = tuple(KCorePass(**core) for core in record["passes"])
    counts: dict[str, Any] = {name: dataset.count(name) for name in names}
    return DatasetCounts(**counts, passes=passes)


def _split_summary(split: Manifest) -> SplitSummary:
    described = {
        "random-per-user": "Of each user, interactions are held out at random, whatever their time.",
        "files": "Which interactions are held out was said by files.",
        "leave-last": "The last interactions of each user are held out for the test, those before them for validation.",
        "time": "Everything after a moment is held out for the test, the stretch before it for validation.",
        "random": "Interactions are held out at random, whatever their time: a model may learn from later ones.",
    }
    parts = [
        SplitPart(part, *(split.count(f"{part}_{name}") for name in ("n_rows", "n_users", "n_items")))
        for part in PART_FILES
    ]
    cold = (split.count("test_n_cold_users"), split.count("test_n_cold_items"))
    return SplitSummary(described[str(split.counts["method"])], parts, *cold)


def scored_model(places: PlaceOptions, one: Scored, chosen: Candidate) -> ScoredModel:
    """Return a candidate with its metrics as the report shows it."""
    return ScoredModel(
        one.candidate.label,
        dict(one.candidate.parameters),
        read_rows(places, one.scores),
        is_baseline=one.candidate.kind.is_baseline,
        is_chosen=one.candidate == chosen,
    )


def _notes(lineage: Lineage) -> list[str]:
    counts, notes = lineage.dataset.counts, []
    if not counts["has_ratings"]:
        notes.append("The input has no ratings: explicit ALS and the rating baselines are left out.")
    elif lineage.reviews.counts["n_distinct_ratings"] == 1:
        notes.append("All ratings are equal: errors of predicted ratings say nothing here.")
    if not counts["has_timestamps"]:
        notes.append("The input has no timestamps: the split is random, and a model may learn from later events.")
    return notes
