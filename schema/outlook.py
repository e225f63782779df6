"""A record of what a training by default would do with some reviews, and what it could tell apart."""

from dataclasses import dataclass

from schema.verdicts import Finding, Guard


@dataclass(frozen=True)
class Outlook:
    """The dataset and the split that a training by default makes of reviews, and how metrics do on its validation part.

    Attributes:
        min_interactions: The k of its k-core.
        n_interactions: Pairs of user and item that the k-core leaves; 0 where it leaves nothing.
        n_users: Users of these.
        n_items: Items of these.
        method: The split; None where there is nothing to split, or too little for its parts.
        problem: Why there is no split; '' where there is one.
        time_order: What the timestamps say of the order of the interactions; None without timestamps.
        share_with_past: Of the rows in validation or test of a rolling split, those with an earlier day of their user:
            the lesser of the two shares; None without timestamps.
        n_evaluated: Users in validation with something to learn from.
        n_tried: Users that the metrics were tried on: all of these, or a sample.
        n_held_out: Rows of the users tried in validation, each an item to be found among all.
        guard: Whether the metric that chooses by default, and each other one, can tell a random scorer, a weak oracle
            and an oracle apart; None without a split.
        smallest: How small a difference in that metric so many users can show; None without a split.
    """

    min_interactions: int
    n_interactions: int
    n_users: int
    n_items: int
    method: str | None = None
    problem: str = ""
    time_order: Finding | None = None
    share_with_past: float | None = None
    n_evaluated: int = 0
    n_tried: int = 0
    n_held_out: int = 0
    guard: Guard | None = None
    smallest: Finding | None = None
