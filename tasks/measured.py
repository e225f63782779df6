"""What is measured of one candidate on one part of a split, and written into a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.assess import HeldOut, assess_cold_users, assess_lists, hold_out
from evaluation.evaluate import DEFAULT_KS
from evaluation.held_out_only import held_out_only
from evaluation.intervals import mean_interval
from evaluation.rating import rating_error
from models.base import Scorer
from models.registry import Candidate
from schema.errors import InvalidInput
from schema.metric import MetricRow
from schema.scores import SegmentScore
from storage import canonical, layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.rank import Lists, load_model, rank_users
from tasks.store import read_parts

USERS_K = 10
GOOD_RATING = 4.0  # the original's threshold of relevance


def held_out_of(
    places: PlaceOptions,
    split: Manifest,
    learnt: tuple[str, ...],
    held_rows: pa.Table,
    options: EvaluationOptions,
    part: str,
) -> HeldOut:
    """Return who is evaluated on what.

    Raises:
        InvalidInput: If no user has rows both in what is learnt from and in the part.
    """
    rows = read_parts(places, split, learnt, ["user_idx", "item_idx", "timestamp"])
    held_out = hold_out(rows, held_rows, split.count("n_users"), split.count("n_items"), options.evaluate_users)
    if not len(held_out.users):
        raise InvalidInput(
            f"None of {len(held_out.cold)} users with rows in {part} has a row to learn from; expected one or more. "
            "Choose another split (--split, --split-at)."
        )
    return held_out


class Measured:
    """What is measured of one candidate on one part, and written into a folder."""

    def __init__(self, folder: Path, candidate: Candidate, part: str) -> None:
        self._folder, self._candidate = folder, candidate
        self._about = (candidate.model, dict(candidate.parameters), part)
        self.rows: list[MetricRow] = []
        self.segments: list[SegmentScore] = []
        self.held_out_only: list[MetricRow] = []

    def rank(
        self, places: PlaceOptions, split: Manifest, fitted: Manifest, held_out: HeldOut, block_users: int
    ) -> None:
        """Rank the whole catalogue for each user, and measure the lists."""
        ranked = rank_users(places, split, fitted, held_out.users, max(DEFAULT_KS), block_users)
        self.take_lists(ranked, held_out)
        if self._candidate.kind.is_impersonal:
            cold = rank_users(places, split, fitted, held_out.cold, USERS_K, block_users)
            self.segments += assess_cold_users(cold, held_out, USERS_K)

    def take_lists(self, ranked: Lists, held_out: HeldOut) -> None:
        """Measure lists, and keep them with what each user gets from them."""
        assessed = assess_lists(ranked, held_out, *self._about)
        self.rows += assessed.rows
        self.segments += assessed.segments
        per_user = {str(metric): values for metric, values in assessed.scores.scores.items() if metric.k == USERS_K}
        users = pa.table({"user_idx": held_out.users.astype(np.int32), **per_user})
        write_parquet([users], self._folder / layout.USERS, users.schema)
        np.save(self._folder / layout.RANKED, ranked.astype("<i4"))

    def rate(self, places: PlaceOptions, fitted: Manifest, held_rows: pa.Table, held_out: HeldOut) -> None:
        """Measure predicted ratings, and what the protocol of held-out rows alone makes of the scores."""
        model = load_model(places, fitted)
        if not isinstance(model, Scorer):
            return
        user_idx, item_idx, rating = (np.asarray(held_rows[name]) for name in ("user_idx", "item_idx", "rating"))
        if self._candidate.kind.predicts_ratings:
            errors = rating_error(model.score, user_idx, item_idx, rating, held_out.seen)
            self.rows += errors.rows(*self._about)
        predicted = model.score(user_idx, item_idx)
        self.held_out_only += held_out_rows(user_idx, item_idx, predicted, rating, self._about)

    def write(self, held_out: HeldOut) -> dict[str, Any]:
        """Write ``metrics.json`` and return the counts for the manifest."""
        record = {
            "rows": [asdict(row) for row in self.rows],
            "segments": [segment.as_row() for segment in self.segments],
            "held_out_only": [asdict(row) for row in self.held_out_only],
        }
        (self._folder / layout.METRICS).write_bytes(canonical.encode(record, indent=2))
        counts = {"n_users": len(held_out.users), "n_warm_users": held_out.n_warm, "n_cold_users": len(held_out.cold)}
        return counts | headline([*self.rows, *self.held_out_only])


def held_out_rows(
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    predicted: NDArray[np.floating],
    rating: NDArray[np.floating],
    about: tuple[str, Mapping[str, Any], str],
) -> list[MetricRow]:
    """Return the original project's precision and NDCG at 10, over each user's own held-out rows."""
    _, by_metric = held_out_only(user_idx, predicted, rating >= GOOD_RATING, (USERS_K,), item_idx=item_idx)
    return [
        MetricRow(*about, *metric, float(values.mean()), *mean_interval(values), len(values))
        for metric, values in by_metric.items()
    ]


def headline(rows: Sequence[MetricRow]) -> dict[str, float]:
    """Return the metrics by the names under which manifests and MLflow show them, such as ``ndcg_10``."""
    return {str(row.key): row.value for row in rows}
