"""The stages that flows are composed of: which task after which, and what runs side by side."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from prefect import unmapped
from prefect.futures import PrefectFuture

from evaluation.options import SplitOptions
from flows.settings import Settings
from models.registry import Candidate, candidates, learning_curve, yardsticks
from reviews.checks import CHECKS
from reviews.ingest import IngestOptions
from reviews.options import DownloadOptions
from spark.options import DatasetOptions, SparkOptions
from storage.manifest import Manifest
from tasks.choose import NDCG, Choice, Scored, choose
from tasks.dataset import build_dataset
from tasks.drift import Drift, compare_with_before
from tasks.execution import Advance, progress
from tasks.fit import Parts, fit
from tasks.ingest import check_reviews, find_reviews, publish_reviews, read_raw
from tasks.model import Lineage
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    PlaceOptions,
    RecommendOptions,
    ReviewsInput,
    SelectionOptions,
)
from tasks.raw import fetch_raw, keep_file
from tasks.recommend import find_recommendations, publish_recommendations, recommend_block
from tasks.score import score
from tasks.split import SPLIT_FILES, split_dataset
from tasks.store import LEARNT, scratch_folder

Result = TypeVar("Result")


def ingest_reviews(settings: Settings) -> tuple[Manifest, Manifest]:
    """Return the raw file and its reviews."""
    places, options = settings.part(PlaceOptions), settings.part(IngestOptions)
    raw = fetch_raw(places, settings.part(ReviewsInput), settings.part(DownloadOptions))
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


def compare_reviews(settings: Settings, raw: Manifest, reviews: Manifest) -> Drift | None:
    """Compare reviews with those of the run before, unless that is turned off; None where there is no comparison."""
    options = settings.part(DriftOptions)
    return None if options.drift == "off" else compare_with_before(settings.part(PlaceOptions), raw, reviews, options)


def make_dataset(settings: Settings, reviews: Manifest) -> Manifest:
    """Return the dataset made of reviews."""
    return build_dataset(
        settings.part(PlaceOptions), reviews, settings.part(DatasetOptions), settings.part(SparkOptions)
    )


def make_split(settings: Settings, *, is_compared: bool = False) -> Lineage:
    """Return everything from the raw file to the split; what is compared with the run before may be refused."""
    raw, reviews = ingest_reviews(settings)
    if is_compared:
        compare_reviews(settings, raw, reviews)
    dataset = make_dataset(settings, reviews)
    return Lineage(raw, reviews, dataset, split_as_asked(settings, dataset))


def split_as_asked(settings: Settings, dataset: Manifest) -> Manifest:
    """Return the split that the settings describe."""
    places, options = settings.part(PlaceOptions), settings.part(SplitOptions)
    named = {role: getattr(options, name) for role, name in SPLIT_FILES.items()}
    files = {role: keep_file(places, Path(path)) for role, path in named.items() if path}
    return split_dataset(places, dataset, options, files)


def fit_and_score(
    settings: Settings, split: Manifest, competing: Sequence[Candidate], parts: Parts, part: str
) -> list[Scored]:
    """Fit candidates one after the other, by Spark, while those fitted are scored, by Dask."""
    places, spark = settings.part(PlaceOptions), settings.part(SparkOptions)
    evaluation = settings.part(EvaluationOptions)
    fits, pending = [], []
    with progress(f"Fitting on {' + '.join(parts)}", key=f"fit-for-{part}", unit=" candidates") as advance:
        for candidate in competing:
            fits.append(fit(places, split, parts, candidate, spark))
            pending.append(score.submit(places, split, fits[-1], candidate, part, evaluation))
            advance(len(fits), len(competing))
    with progress(f"Scoring on {part}", key=f"score-on-{part}", unit=" candidates") as advance:
        scores = collect(pending, advance)
    return [Scored(*one) for one in zip(competing, fits, scores, strict=True)]


def collect(futures: Sequence[PrefectFuture[Result]], advance: Advance) -> list[Result]:
    """Return the results of task runs, in order, telling how many there are so far."""
    results: list[Result] = []
    for future in futures:
        results.append(future.result())
        advance(len(results), len(futures))
    return results


def competitors(settings: Settings, split: Manifest) -> tuple[Candidate, ...]:
    """Return the baselines that the data allow, and the grid."""
    return candidates(
        settings.models,
        has_ratings=bool(split.counts["has_ratings"]),
        has_timestamps=bool(split.counts["has_timestamps"]),
    )


def baselines(settings: Settings, split: Manifest) -> list[Candidate]:
    """Return the baselines that the data allow."""
    return [one for one in competitors(settings, split) if one.kind.is_baseline]


def search(settings: Settings, split: Manifest) -> tuple[list[Scored], Choice]:
    """Return every candidate on validation, and the one chosen."""
    validated = fit_and_score(settings, split, competitors(settings, split), ("train",), "validation")
    selection, evaluation = settings.part(SelectionOptions), settings.part(EvaluationOptions)
    return validated, choose(settings.part(PlaceOptions), split, validated, selection, evaluation)


def measure_on_test(settings: Settings, split: Manifest, validated: Sequence[Scored], chosen: Scored) -> list[Scored]:
    """Return the chosen candidate, the best trained one and the baselines on test, refitted on train and validation."""
    shown = [
        one.candidate for one in validated if one.candidate.kind.is_baseline or one in (best_trained(validated), chosen)
    ]
    return fit_and_score(settings, split, shown, LEARNT, "test")


def compare_on_test(settings: Settings, split: Manifest, competing: Sequence[Candidate]) -> list[Scored]:
    """Return a random scorer, popularity and other candidates, each once, on test, fitted to train and validation."""
    others = [one for place, one in enumerate(competing) if one not in (*yardsticks(), *competing[:place])]
    return fit_and_score(settings, split, [*yardsticks(), *others], LEARNT, "test")


def best_trained(validated: Sequence[Scored]) -> Scored:
    """Return the candidate of the highest NDCG@10 on validation that is no baseline."""
    trained = [one for one in validated if not one.candidate.kind.is_baseline]
    return max(trained, key=lambda one: one.value(NDCG) or 0.0)


def trace_learning(settings: Settings, split: Manifest, validated: Sequence[Scored]) -> list[Scored]:
    """Return the best trained candidate on validation after fewer or more iterations, itself among them, in order."""
    best = best_trained(validated)
    points = learning_curve(best.candidate, settings.models)
    others = [one for one in points if one != best.candidate]
    scored = fit_and_score(settings, split, others, ("train",), "validation") if others else []
    return [next(one for one in (*scored, best) if one.candidate == point) for point in points]


def recommend_to_all(settings: Settings, model: Manifest, dataset: Manifest) -> Manifest:
    """Return the top N of every user, scored in blocks side by side."""
    places, options = settings.part(PlaceOptions), settings.part(RecommendOptions)
    found = find_recommendations(places, model, options)
    if found:
        return found
    firsts = range(0, model.count("n_users"), options.recommend_block_users)
    blocks = recommend_block.map(unmapped(places), unmapped(model), unmapped(dataset), unmapped(options), list(firsts))
    with progress(f"Recommending from {model.id}", key="recommend", unit=" blocks of users") as advance:
        parts = collect(blocks, advance)
    return publish_recommendations(places, model, dataset, options, parts)
