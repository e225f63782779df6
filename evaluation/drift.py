"""How far one delivery of reviews is from the one before: figures, each with the limit that it is held to."""

from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from evaluation.options import DriftLimits
from evaluation.review_profile import ReviewProfile
from evaluation.stability import bin_activity, bin_ratings, population_stability_index
from schema.drift import DriftFigure, Unit

SECONDS_PER_DAY = 86_400


def compare_reviews(before: ReviewProfile, now: ReviewProfile, limits: DriftLimits) -> list[DriftFigure]:
    """Return every figure of two deliveries of the same data.

    Args:
        before: The earlier reviews.
        now: The later ones.
        limits: How far they may be apart.
    """
    psi = limits.drift_max_psi
    return [
        _row_ratio(before, now, limits.drift_min_row_ratio),
        _rating_shift(before, now, psi),
        _activity_shift(before, now, psi),
        *_turnover("user", before.users, now.users, limits.drift_max_new_user_share, limits.drift_max_gone_share),
        *_turnover("item", before.items, now.items, limits.drift_max_new_item_share, limits.drift_max_gone_share),
        _newest(before.newest, now.newest, limits.drift_max_days_back),
        _quarantine(before.quarantined_share, now.quarantined_share, limits.drift_max_quarantine_rise),
    ]


def _row_ratio(before: ReviewProfile, now: ReviewProfile, limit: float) -> DriftFigure:
    ratio = now.n_rows / before.n_rows if before.n_rows else None
    return DriftFigure("rows", "rows", before.n_rows, now.n_rows, "times as many", ratio, limit, "drift_min_row_ratio")


def _rating_shift(before: ReviewProfile, now: ReviewProfile, limit: float) -> DriftFigure:
    psi = population_stability_index(*bin_ratings(before.ratings, now.ratings))
    means = before.mean_rating, now.mean_rating
    return DriftFigure("ratings", "stars", *means, "PSI", psi, limit, "drift_max_psi")


def _activity_shift(before: ReviewProfile, now: ReviewProfile, limit: float) -> DriftFigure:
    psi = population_stability_index(*(bin_activity(profile.users["rows"]) for profile in (before, now)))
    means = _divide(before.n_rows, before.users.num_rows), _divide(now.n_rows, now.users.num_rows)
    return DriftFigure("interactions per user", "rows per user", *means, "PSI", psi, limit, "drift_max_psi")


def _turnover(
    noun: Literal["user", "item"], before: pa.Table, now: pa.Table, new_limit: float, gone_limit: float
) -> Iterator[DriftFigure]:
    """Yield the share of ids that are new, of rows that are theirs, and of earlier ids that are gone."""
    unit: Unit = "users" if noun == "user" else "items"
    is_new = pc.invert(pc.is_in(now["id"], value_set=before["id"].combine_chunks()))
    is_gone = pc.invert(pc.is_in(before["id"], value_set=now["id"].combine_chunks()))
    n_before, n_now, n_rows = before.num_rows, now.num_rows, pc.sum(now["rows"]).as_py() or 0
    new_rows = pc.sum(now.filter(is_new)["rows"]).as_py() or 0
    new, gone = (pc.sum(found).as_py() or 0 for found in (is_new, is_gone))
    limit = (new_limit, f"drift_max_new_{noun}_share")
    yield DriftFigure(f"new {unit}", unit, n_before, n_now, "share", _divide(new, n_now), *limit)
    yield DriftFigure(f"rows of new {unit}", "rows", None, new_rows, "share", _divide(new_rows, n_rows))
    lost = (gone_limit, "drift_max_gone_share")
    yield DriftFigure(f"gone {unit}", unit, n_before, n_before - gone, "share", _divide(gone, n_before), *lost)


def _divide(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _newest(before: int | None, now: int | None, days_back: float) -> DriftFigure:
    days = None if before is None or now is None else (now - before) / SECONDS_PER_DAY
    return DriftFigure("newest review", "Unix seconds", before, now, "days", days, -days_back, "drift_max_days_back")


def _quarantine(before: float, now: float, limit: float) -> DriftFigure:
    rise = now - before
    return DriftFigure(
        "quarantine", "share", before, now, "rise of the share", rise, limit, "drift_max_quarantine_rise"
    )


def beyond(figures: Sequence[DriftFigure]) -> list[DriftFigure]:
    """Return the figures that pass their limits."""
    return [figure for figure in figures if figure.is_beyond]
