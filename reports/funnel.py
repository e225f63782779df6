"""Steps from the lines of the raw file to the interactions, with what each kept."""

from dataclasses import dataclass
from itertools import pairwise

from schema.dataset import DatasetCounts, ReviewCounts


@dataclass(frozen=True)
class FunnelStep:
    """What is left after one step, out of the raw lines, and why the rest is gone."""

    label: str
    count: int
    share: float
    removed: int
    reason: str


def funnel_steps(reviews: ReviewCounts, dataset: DatasetCounts, k: int) -> list[FunnelStep]:
    """Return the steps from raw lines to interactions.

    Blank lines and sampling are steps only where they took something away.

    Args:
        reviews: Counts of an ingest.
        dataset: Counts of a dataset made of its reviews.
        k: The k of the k-core.

    Raises:
        ValueError: If the counts do not belong together.
    """
    _check(reviews, dataset)
    counts = [
        ("Lines of the raw file", reviews.n_lines, ""),
        ("Not blank", reviews.n_lines - reviews.n_blank, "blank lines and headers"),
        ("Valid reviews", reviews.n_reviews, "put aside with a reason"),
        ("Reviews of sampled users", dataset.n_sampled, "of users outside the sample"),
        ("One per user and item", dataset.n_sampled - dataset.n_duplicates, "earlier reviews of the same pair"),
        (f"{k}-core", dataset.n_interactions, f"of users or items with fewer than {k}"),
    ]
    optional = {"Not blank", "Reviews of sampled users"}
    whole = max(reviews.n_lines, 1)
    steps = [FunnelStep(*counts[0][:2], reviews.n_lines / whole, removed=0, reason="")]
    for (_, before, _), (label, count, reason) in pairwise(counts):
        if count < before or label not in optional:
            steps.append(FunnelStep(label, count, count / whole, before - count, reason))
    return steps


def _check(reviews: ReviewCounts, dataset: DatasetCounts) -> None:
    accounted = reviews.n_blank + reviews.n_quarantined + reviews.n_reviews
    if reviews.n_lines != accounted:
        raise ValueError(
            f"the funnel does not add up: {reviews.n_lines} lines, but {reviews.n_blank} blank + "
            f"{reviews.n_quarantined} quarantined + {reviews.n_reviews} reviews = {accounted}. "
            "Pass the counts of one ingest."
        )
    deduplicated = dataset.n_sampled - dataset.n_duplicates
    if not reviews.n_reviews >= dataset.n_sampled >= deduplicated >= dataset.n_interactions:
        raise ValueError(
            f"the funnel widens: {reviews.n_reviews} reviews, {dataset.n_sampled} sampled, {dataset.n_duplicates} "
            f"duplicates, {dataset.n_interactions} interactions. Pass the counts of one dataset."
        )
