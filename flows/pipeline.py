"""What flows are composed of: which task after which, and what runs side by side."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger
from prefect import unmapped
from prefect.futures import PrefectFuture

from evaluation.options import SplitOptions
from flows.settings import Environment
from models.registry import Candidate, ModelOptions, candidates, learning_curve, yardsticks
from reviews.checks import CHECKS
from reviews.options import IngestOptions
from spark.options import DatasetOptions
from storage import layout
from storage.artifacts import entry
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.choose import NDCG, Choice, choose
from tasks.dataset import SPLIT_FILES, build_dataset, split_dataset
from tasks.drift import Drift, compare_with_before
from tasks.execution import Advance, progress
from tasks.fit import Parts, candidate_of, fit
from tasks.ingest import check_reviews, fetch_raw, find_reviews, keep_file, publish_reviews, read_raw
from tasks.model import Lineage
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    PlaceOptions,
    RecommendOptions,
    ReviewsInput,
    SelectionOptions,
)
from tasks.recommend import find_recommendations, publish_recommendations, recommend_block
from tasks.score import Scored, metric_records, score
from tasks.store import LEARNT, scratch_folder
from tasks.tracking import hide_user

Result = TypeVar("Result")


def ingest_reviews(environment: Environment, source: ReviewsInput, options: IngestOptions) -> tuple[Manifest, Manifest]:
    """Return the raw file and its reviews."""
    places = environment.places
    raw = fetch_raw(places, source, environment.download)
    found = find_reviews(places, raw, options)
    if found:
        return raw, found
    with scratch_folder(places, "partitions") as folder:
        partitions = read_raw(places, raw, options, folder)
        limits = options.as_of(int(time.time()))
        checks = [check_reviews.submit(partition, check.name, limits) for partition in partitions for check in CHECKS]
        with progress(f"Checking {raw.files[0].path}", key="check", unit=" checks") as advance:
            checked = collect(checks, advance)
        return raw, publish_reviews(places, raw, options, partitions, checked)


def compare_reviews(environment: Environment, raw: Manifest, reviews: Manifest, options: DriftOptions) -> Drift | None:
    """Compare reviews with those of the run before, unless that is turned off; None where there is no comparison."""
    return None if options.drift == "off" else compare_with_before(environment.places, raw, reviews, options)


def make_split(
    environment: Environment,
    source: ReviewsInput,
    ingest: IngestOptions,
    dataset_options: DatasetOptions,
    split: SplitOptions,
    drift: DriftOptions | None = None,
) -> Lineage:
    """Return everything from the raw file to the split; with drift options the reviews may be refused."""
    raw, reviews = ingest_reviews(environment, source, ingest)
    if drift:
        compare_reviews(environment, raw, reviews, drift)
    dataset = build_dataset(environment.places, reviews, dataset_options, environment.spark)
    return Lineage(raw, reviews, dataset, split_as_asked(environment.places, dataset, split))


def split_as_asked(places: PlaceOptions, dataset: Manifest, options: SplitOptions) -> Manifest:
    """Return the split that the options describe."""
    named = {role: getattr(options, name) for role, name in SPLIT_FILES.items()}
    files = {role: keep_file(places, Path(path)) for role, path in named.items() if path}
    return split_dataset(places, dataset, options, files)


def fit_and_score(
    environment: Environment,
    split: Manifest,
    competing: Sequence[Candidate],
    parts: Parts,
    part: str,
    evaluation: EvaluationOptions,
) -> list[Scored]:
    """Fit candidates one after the other, by Spark, while those fitted are scored, by Dask."""
    places = environment.places
    fits, pending = [], []
    with progress(f"Fitting on {' + '.join(parts)}", key=f"fit-for-{part}", unit=" candidates") as advance:
        for candidate in competing:
            fits.append(fit(places, split, parts, candidate, environment.spark))
            pending.append(score.submit(places, split, fits[-1], candidate, part, evaluation))
            advance(len(fits), len(competing))
    with progress(f"Scoring on {part}", key=f"score-on-{part}", unit=" candidates") as advance:
        scores = collect(pending, advance)
    return [Scored(*one) for one in zip(competing, fits, scores, strict=True)]


def collect(futures: Sequence[PrefectFuture[Result]], advance: Advance) -> list[Result]:
    """Return the results of task runs, in order, and report how many there are so far."""
    results: list[Result] = []
    for future in futures:
        results.append(future.result())
        advance(len(results), len(futures))
    return results


def competitors(models: ModelOptions, split: Manifest) -> tuple[Candidate, ...]:
    """Return the baselines that the data allow, and the grid."""
    return candidates(
        models,
        has_ratings=bool(split.counts["has_ratings"]),
        has_timestamps=bool(split.counts["has_timestamps"]),
    )


def baselines(models: ModelOptions, split: Manifest) -> list[Candidate]:
    """Return the baselines that the data allow."""
    return [one for one in competitors(models, split) if one.kind.is_baseline]


def search(
    environment: Environment,
    split: Manifest,
    models: ModelOptions,
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
) -> tuple[list[Scored], Choice]:
    """Return every candidate on validation, and the one chosen."""
    competing = competitors(models, split)
    validated = fit_and_score(environment, split, competing, ("train",), "validation", evaluation)
    return validated, choose(environment.places, split, validated, selection, evaluation)


def measure_on_test(
    environment: Environment,
    split: Manifest,
    validated: Sequence[Scored],
    chosen: Scored,
    evaluation: EvaluationOptions,
) -> list[Scored]:
    """Return the chosen candidate, the best trained one and the baselines on test, refitted on train and validation."""
    shown = [
        one.candidate for one in validated if one.candidate.kind.is_baseline or one in (best_trained(validated), chosen)
    ]
    return fit_and_score(environment, split, shown, LEARNT, "test", evaluation)


def compare_on_test(
    environment: Environment, split: Manifest, competing: Sequence[Candidate], evaluation: EvaluationOptions
) -> list[Scored]:
    """Return a random scorer, popularity and other candidates, each once, on test, fitted to train and validation."""
    others = [one for place, one in enumerate(competing) if one not in (*yardsticks(), *competing[:place])]
    return fit_and_score(environment, split, [*yardsticks(), *others], LEARNT, "test", evaluation)


def best_trained(validated: Sequence[Scored]) -> Scored:
    """Return the candidate of the highest NDCG@10 on validation that is no baseline."""
    trained = [one for one in validated if not one.candidate.kind.is_baseline]
    return max(trained, key=lambda one: one.value(NDCG) or 0.0)


def trace_learning(
    environment: Environment,
    split: Manifest,
    validated: Sequence[Scored],
    models: ModelOptions,
    evaluation: EvaluationOptions,
) -> list[Scored]:
    """Return the best trained candidate on validation after fewer or more iterations, itself among them, in order."""
    best = best_trained(validated)
    points = learning_curve(best.candidate, models)
    others = [one for one in points if one != best.candidate]
    scored = fit_and_score(environment, split, others, ("train",), "validation", evaluation) if others else []
    return [next(one for one in (*scored, best) if one.candidate == point) for point in points]


def fit_on_all(environment: Environment, split: Manifest, chosen: Scored, tested: Sequence[Scored]) -> Scored:
    """Return the chosen candidate fitted on all parts, with its scores on test before that."""
    parts = (*LEARNT, "test")
    fitted = fit(environment.places, split, parts, chosen.candidate, environment.spark, keep_spark_model=True)
    on_test = next(one for one in tested if one.candidate == chosen.candidate)
    return Scored(chosen.candidate, fitted, on_test.scores)


def recommend_to_all(places: PlaceOptions, model: Manifest, dataset: Manifest, options: RecommendOptions) -> Manifest:
    """Return the top N of every user, scored in blocks side by side."""
    found = find_recommendations(places, model, options)
    if found:
        return found
    firsts = range(0, model.count("n_users"), options.recommend_block_users)
    blocks = recommend_block.map(unmapped(places), unmapped(model), unmapped(dataset), unmapped(options), list(firsts))
    with progress(f"Recommending from {model.id}", key="recommend", unit=" blocks of users") as advance:
        parts = collect(blocks, advance)
    return publish_recommendations(places, model, options, parts)


def dataset_record(raw: Manifest, reviews: Manifest, dataset: Manifest) -> dict[str, Any]:
    """Return the ids and counts from the raw file to the dataset."""
    made = {"raw": raw, "reviews": reviews, "dataset": dataset}
    return {
        "ids": {role: artifact.id for role, artifact in made.items()},
        "counts": {role: dict(artifact.counts) for role, artifact in made.items()},
    }


def training_record(
    places: PlaceOptions,
    lineage: Lineage,
    validated: Sequence[Scored],
    tested: Sequence[Scored],
    model: Manifest,
    report: Manifest,
    recommendations: Manifest,
    mlflow_run: str,
) -> dict[str, Any]:
    """Return the ids, counts, chosen model, metrics and places of a training."""
    record = dataset_record(lineage.raw, lineage.reviews, lineage.dataset)
    later = {"split": lineage.split, "model": model, "report": report, "recommendations": recommendations}
    record["ids"] |= {role: artifact.id for role, artifact in later.items()} | {"mlflow_run": mlflow_run}
    record["counts"] |= {role: dict(artifact.counts) for role, artifact in later.items()}
    store = places.open_store()
    return record | {
        "chosen": candidate_of(model).model_dump(mode="json"),
        "metrics": metric_records(places, (*validated, *tested)),
        "uris": {
            "report": uri_of(store, report, layout.REPORT),
            "model": store.locate(layout.artifact_prefix(model.kind, model.id)),
            "recommendations": store.locate(layout.artifact_prefix(recommendations.kind, recommendations.id)),
        },
    }


def uri_of(store: Store, artifact: Manifest, name: str) -> str:
    """Return where a file of an artifact is."""
    prefix = layout.artifact_prefix(artifact.kind, artifact.id)
    return store.locate(f"{prefix}/{entry(artifact, name).path}")


def log_places(uris: Mapping[str, str], tracking_uri: str) -> None:
    """Log where the outcome of a training is."""
    for name, uri in uris.items():
        logger.info("{}: {}", name.capitalize(), uri)
    logger.info("MLflow: {}", hide_user(tracking_uri))
