"""How good a fitted candidate is on a held-out part of the split: full catalogue, seen items excluded."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prefect import task

import evaluation.assess
import evaluation.diversity
import evaluation.evaluate
import evaluation.exposure
import evaluation.held_out_only
import evaluation.intervals
import evaluation.novelty
import evaluation.ranking
import evaluation.rating
import evaluation.segments
import models.item_knn
import models.selection
import models.top_k
import tasks.measured
from evaluation.evaluate import DEFAULT_KS
from models.registry import Candidate
from schema.metric import Metric, MetricRow
from schema.scores import SegmentScore
from storage import canonical, layout
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.execution import COMPUTE_RETRIES
from tasks.measured import Measured, held_out_of
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.rank import Lists
from tasks.store import learnt_parts, local_file, publish_once, read_parts, read_table

CODE = code_version(
    evaluation.assess,
    evaluation.diversity,
    evaluation.evaluate,
    evaluation.exposure,
    evaluation.held_out_only,
    evaluation.intervals,
    evaluation.novelty,
    evaluation.ranking,
    evaluation.rating,
    evaluation.segments,
    models.item_knn,
    models.selection,
    models.top_k,
    tasks.measured,
)


@task(name="score", task_run_name="score {candidate.label} on {part}", **COMPUTE_RETRIES)
def score(
    places: PlaceOptions,
    split: Manifest,
    fitted: Manifest,
    candidate: Candidate,
    part: str,
    options: EvaluationOptions,
) -> Manifest:
    """Publish the metrics of a fitted candidate on one part of the split, with 95 % intervals over users.

    The artifact holds ``metrics.json`` (rows, segments and held_out_only), ``users.parquet`` (each metric at 10 of each
    user) and ``ranked.npy`` (their lists, int32, -1 where nothing is left); the last two where the candidate ranks.

    Raises:
        InvalidInput: If no user has rows both in what was fitted and in the part.
    """

    def build(folder: Path) -> dict[str, Any]:
        held_rows = read_parts(places, split, (part,))
        held_out = held_out_of(places, split, learnt_parts(fitted), held_rows, options, part)
        measured = Measured(folder, candidate, part)
        if candidate.kind.ranks:
            measured.rank(places, split, fitted, held_out, options.evaluate_block_users)
        if split.counts["has_ratings"]:
            measured.rate(places, fitted, held_rows, held_out)
        return measured.write(held_out)

    return publish_once(
        places,
        layout.SCORES,
        inputs={"split": split.id, "fit": fitted.id},
        parameters={"part": part, "ks": list(DEFAULT_KS), "evaluate_users": options.evaluate_users},
        code=CODE,
        build=build,
    )


def read_rows(places: PlaceOptions, scores: Manifest, kind: str = "rows") -> list[MetricRow]:
    """Return the metrics of a scores artifact: its ``rows``, or its ``held_out_only``."""
    return [MetricRow(**row) for row in _read_metrics(places, scores, kind)]


def read_segments(places: PlaceOptions, scores: Manifest) -> list[SegmentScore]:
    """Return the segments of a scores artifact."""
    return [SegmentScore.from_row(segment) for segment in _read_metrics(places, scores, "segments")]


def _read_metrics(places: PlaceOptions, scores: Manifest, kind: str) -> list[dict[str, Any]]:
    path = local_file(places, scores, layout.METRICS)
    found: Any = canonical.decode_object(path.read_bytes(), str(path))[kind]
    return list(found)


def read_users(places: PlaceOptions, scores: Manifest, metric: Metric) -> NDArray[np.float64]:
    """Return one metric of each user of a scores artifact, by user index."""
    return np.asarray(read_table(places, scores, layout.USERS, [str(metric)])[str(metric)])


def read_ranked(places: PlaceOptions, scores: Manifest) -> Lists:
    """Return the lists of a scores artifact, memory-mapped."""
    lists: Lists = np.load(local_file(places, scores, layout.RANKED), mmap_mode="r", allow_pickle=False)
    return lists
