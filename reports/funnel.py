"""From the lines of the raw file to the interactions: what each step of the preparation kept."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Funnel:
    """What each step of the preparation kept.

    Attributes:
        n_lines: Lines of the raw file; equals n_blank + n_quarantined + n_reviews.
        n_blank: Empty lines (and a header, if there was one).
        n_quarantined: Lines put aside with a reason.
        n_reviews: Reviews that passed every check.
        n_sampled: Reviews of the sampled users; n_reviews where nothing was sampled.
        n_duplicates: Earlier reviews of a (user, item) pair that was reviewed again.
        n_interactions: Pairs left by the k-core: the dataset.
        n_users: Users of the dataset.
        n_items: Items of the dataset.
        min_interactions: The k of the k-core.
    """

    n_lines: int
    n_blank: int
    n_quarantined: int
    n_reviews: int
    n_sampled: int
    n_duplicates: int
    n_interactions: int
    n_users: int
    n_items: int
    min_interactions: int

    def __post_init__(self) -> None:
        accounted = self.n_blank + self.n_quarantined + self.n_reviews
        if self.n_lines != accounted:
            raise ValueError(
                f"the funnel does not add up: {self.n_lines} lines, but {self.n_blank} blank + "
                f"{self.n_quarantined} quarantined + {self.n_reviews} reviews = {accounted}. "
                "Pass the counts of one ingest."
            )
        if not self.n_reviews >= self.n_sampled >= self.n_sampled - self.n_duplicates >= self.n_interactions:
            raise ValueError(
                f"the funnel widens: {self.n_reviews} reviews, {self.n_sampled} sampled, {self.n_duplicates} "
                f"duplicates, {self.n_interactions} interactions. Pass the counts of one dataset."
            )


@dataclass(frozen=True)
class FunnelStep:
    """What is left after one step, out of the raw lines, and why the rest is gone."""

    label: str
    count: int
    share: float
    removed: int
    reason: str


def funnel_steps(funnel: Funnel) -> list[FunnelStep]:
    """Return the steps from raw lines to interactions.

    Blank lines and sampling are steps only where they took something away.
    """
    k = funnel.min_interactions
    deduplicated = funnel.n_sampled - funnel.n_duplicates
    counts = [
        ("Lines of the raw file", funnel.n_lines, ""),
        ("Not blank", funnel.n_lines - funnel.n_blank, "blank lines and headers"),
        ("Valid reviews", funnel.n_reviews, "put aside with a reason"),
        ("Reviews of sampled users", funnel.n_sampled, "of users outside the sample"),
        ("One per user and item", deduplicated, "earlier reviews of the same pair"),
        (f"{k}-core", funnel.n_interactions, f"of users or items with fewer than {k}"),
    ]
    optional = {"Not blank", "Reviews of sampled users"}
    whole = max(funnel.n_lines, 1)
    steps = [FunnelStep(*counts[0][:2], funnel.n_lines / whole, removed=0, reason="")]
    for (_, before, _), (label, count, reason) in pairwise(counts):
        if count < before or label not in optional:
            steps.append(FunnelStep(label, count, count / whole, before - count, reason))
    return steps
