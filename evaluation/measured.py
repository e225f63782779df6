"""All that is measured of one candidate on one part of a split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.assess import HeldOut, assess_lists
from evaluation.held_out_only import held_out_only
from evaluation.rating import Predict, rating_error
from evaluation.significance import mean_interval
from schema.metric import MetricRow
from schema.scores import SegmentScore

USERS_K = 10
GOOD_RATING = 4.0  # the original's threshold of relevance

About = tuple[str, Mapping[str, Any], str]
"""Name and parameters of a model, and the part of the split: what every row of its metrics says."""


@dataclass
class Measured:
    """What is measured of one candidate on one part.

    Attributes:
        rows: Every metric with its interval.
        segments: Metrics of groups of items and users.
        held_out_only: Metrics of the original project's protocol.
        users: Each metric at 10 of each user; None where nothing was ranked.
        ranked: The lists, shape (n_users, k), -1 where nothing is left; None where nothing was ranked.
    """

    rows: list[MetricRow] = field(default_factory=list)
    segments: list[SegmentScore] = field(default_factory=list)
    held_out_only: list[MetricRow] = field(default_factory=list)
    users: pa.Table | None = None
    ranked: NDArray[np.int32] | None = None


def measure_lists(measured: Measured, ranked: NDArray[np.int32], held_out: HeldOut, about: About) -> None:
    """Measure the lists of the evaluated users, and keep them with what each user gets from them."""
    assessed = assess_lists(ranked, held_out, *about)
    measured.rows += assessed.rows
    measured.segments += assessed.segments
    per_user = {str(metric): values for metric, values in assessed.scores.scores.items() if metric.k == USERS_K}
    measured.users = pa.table({"user_idx": held_out.users.astype(np.int32), **per_user})
    measured.ranked = ranked


def measure_scores(
    measured: Measured, score: Predict, held_rows: pa.Table, held_out: HeldOut, about: About, *, are_ratings: bool
) -> None:
    """Measure the scores of held-out rows by the protocol of held-out rows alone, and as ratings where they are."""
    user_idx, item_idx, rating = (np.asarray(held_rows[name]) for name in ("user_idx", "item_idx", "rating"))
    if are_ratings:
        measured.rows += rating_error(score, user_idx, item_idx, rating, held_out.seen).rows(*about)
    is_good = rating >= GOOD_RATING
    _, by_metric = held_out_only(user_idx, score(user_idx, item_idx), is_good, (USERS_K,), item_idx=item_idx)
    measured.held_out_only += [
        MetricRow(*about, *metric, float(values.mean()), *mean_interval(values), len(values))
        for metric, values in by_metric.items()
    ]
