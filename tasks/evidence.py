"""What a report says of the tested models beside their figures: whether differences are real, and what may mislead."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evaluation.checks import (
    find_chance,
    find_cold_items,
    find_cold_users,
    find_copy,
    find_mixed_parts,
    find_small_split,
    find_time_travel,
    find_too_good,
    overlap_at_k,
)
from evaluation.significance import adjust, compare_paired
from reports.display import EN_DASH
from schema.metric import Metric
from schema.scores import CalibrationBin, SegmentScore
from schema.verdicts import Comparison, Finding
from storage.manifest import Manifest
from tasks.candidates import GLOBAL_MEAN, POPULARITY, RANDOM
from tasks.choose import Scored
from tasks.measured import USERS_K, load_factors
from tasks.options import PlaceOptions
from tasks.score import read_ranked, read_segments, read_users
from tasks.tables import LEARNT, read_parts

METRIC = Metric("ndcg", USERS_K)
ORACLE_NDCG = 1.0
HISTOGRAM_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Evidence:
    """What the tested models are worth, beside their figures.

    Attributes:
        comparisons: The chosen model against each other one that ranks, on the same users.
        findings: What may make the figures misleading.
        segments: Label of a model to its figures by group of items and users.
        ndcg_histogram: (range of NDCG@10, users) of the chosen model.
        calibration: Predicted against actual ratings.
        calibration_label: Of which model; empty where none predicts ratings.
    """

    comparisons: Sequence[Comparison]
    findings: Sequence[Finding]
    segments: Mapping[str, Sequence[SegmentScore]]
    ndcg_histogram: Sequence[tuple[str, int]]
    calibration: Sequence[CalibrationBin]
    calibration_label: str


def gather_evidence(places: PlaceOptions, split: Manifest, tested: Sequence[Scored], chosen: Scored) -> Evidence:
    """Return the evidence on the models that were tested.

    Args:
        places: The store.
        split: The split whose test part they were tested on.
        tested: The chosen model and the baselines.
        chosen: Which of them was chosen; it ranks.
    """
    ranked = [one for one in tested if one.candidate.ranks]
    comparisons = _compare(places, ranked, chosen)
    rated = _best_at_ratings(ranked, chosen)
    return Evidence(
        comparisons,
        list(_findings(places, split, ranked, chosen, comparisons)),
        {one.candidate.label: read_segments(places, one.scores) for one in ranked},
        histogram(read_users(places, chosen.scores, METRIC)),
        _calibrate(places, split, rated) if rated else (),
        rated.candidate.label if rated else "",
    )


def _compare(places: PlaceOptions, ranked: Sequence[Scored], chosen: Scored) -> list[Comparison]:
    values = read_users(places, chosen.scores, METRIC)
    return adjust(
        [
            compare_paired(
                chosen.candidate.label,
                one.candidate.label,
                METRIC,
                values,
                read_users(places, one.scores, METRIC),
            )
            for one in ranked
            if one is not chosen
        ]
    )


def _findings(
    places: PlaceOptions,
    split: Manifest,
    ranked: Sequence[Scored],
    chosen: Scored,
    comparisons: Sequence[Comparison],
) -> Iterator[Finding]:
    n_cold, n_warm = (chosen.scores.count(name) for name in ("n_cold_users", "n_warm_users"))
    yield find_cold_users(n_cold, n_cold + n_warm)
    yield find_cold_items(split.count("test_n_cold_items"), split.count("test_n_items"))
    yield find_mixed_parts(split.count("n_leaked"))
    if split.counts["has_timestamps"]:
        columns = ["user_idx", "timestamp"]
        learnt, held = (read_parts(places, split, parts, columns) for parts in (LEARNT, ("test",)))
        yield find_time_travel(*(np.asarray(rows[name]) for rows in (learnt, held) for name in columns))
    baselines = {one.candidate.label: one for one in ranked if one.candidate.is_baseline and one is not chosen}
    against = {one.against: one for one in comparisons}
    if baselines:
        strongest = max(baselines.values(), key=lambda one: one.value(METRIC) or 0.0)
        yield find_small_split(against[strongest.candidate.label])
    for label, one in baselines.items():
        if one.candidate.model == RANDOM:
            yield find_chance(against[label])
        if one.candidate.model == POPULARITY:
            overlap = overlap_at_k(read_ranked(places, chosen.scores), read_ranked(places, one.scores), USERS_K)
            yield find_copy(chosen.candidate.label, overlap)
    yield find_too_good(chosen.value(METRIC) or 0.0, ORACLE_NDCG)


def histogram(values: NDArray[np.float64]) -> list[tuple[str, int]]:
    """Return how many users get nothing, and how many a value in each fifth of the range.

    Example:
        >>> [users for _, users in histogram(np.array([0.0, 0.0, 0.3, 1.0]))]
        [2, 0, 1, 0, 0, 1]
    """
    counts, _ = np.histogram(values[values > 0], bins=HISTOGRAM_EDGES)
    labels = [f"{low:g}{EN_DASH}{high:g}" for low, high in pairwise(HISTOGRAM_EDGES)]
    return [("0", int((values <= 0).sum())), *zip(labels, map(int, counts), strict=True)]


def _best_at_ratings(tested: Sequence[Scored], chosen: Scored) -> Scored | None:
    """Return the chosen model if it predicts ratings, else the one that predicts them best."""
    rating = [one for one in tested if one.candidate.predicts_ratings and one.candidate.model != GLOBAL_MEAN]
    return (
        chosen if chosen in rating else min(rating, key=lambda one: one.value(Metric("rmse")) or np.inf, default=None)
    )


def _calibrate(places: PlaceOptions, split: Manifest, rated: Scored) -> list[CalibrationBin]:
    model = load_factors(places, rated.fitted)
    if model is None:
        return []
    held = read_parts(places, split, ("test",))
    users, items, actual = (np.asarray(held[name]) for name in ("user_idx", "item_idx", "rating"))
    return calibration_bins(model.predict(users, items).astype(np.float64), actual.astype(np.float64))


def calibration_bins(predicted: NDArray[np.float64], actual: NDArray[np.float64]) -> list[CalibrationBin]:
    """Return mean predicted and actual ratings of ten groups of rows of nearly equal size, by predicted rating.

    Example:
        >>> [one] = calibration_bins(np.array([4.0]), np.array([5.0]))
        >>> one.n_rows, one.mean_predicted, one.mean_actual
        (1, 4.0, 5.0)
    """
    order = np.argsort(predicted, kind="stable")
    return [
        CalibrationBin(
            float(predicted[rows[0]]),
            float(predicted[rows[-1]]),
            len(rows),
            float(predicted[rows].mean()),
            float(actual[rows].mean()),
        )
        for rows in np.array_split(order, CALIBRATION_BINS)
        if len(rows)
    ]
