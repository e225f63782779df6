"""Counts of each step from the lines of a file to the interactions."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReviewCounts:
    """Counts of the rows of a file: n_lines = n_blank + n_reviews + n_quarantined.

    Attributes:
        n_lines: Lines, without a header and what stands above it; a row of several lines counts once.
        n_blank: Lines of nothing but white space.
        n_reviews: Rows of the reviews file.
        n_quarantined: Rows of the quarantine file.
        has_ratings: Whether the input has ratings; otherwise the column is all null.
        has_timestamps: Whether the input has timestamps; otherwise the column is all null.
        n_distinct_ratings: Different ratings among the reviews.
    """

    n_lines: int
    n_blank: int
    n_reviews: int
    n_quarantined: int
    has_ratings: bool
    has_timestamps: bool
    n_distinct_ratings: int


@dataclass(frozen=True)
class QuarantineReason:
    """Rows that were put aside for one reason.

    Attributes:
        reason: The reason, in words.
        count: Rows with it.
        example_line: Line of the raw file on which the first such row begins.
        example_text: That row as it stands in the raw file.
    """

    reason: str
    count: int
    example_line: int
    example_text: str


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that was put aside: the line on which it begins, the reason, and the row as it stands in the raw file."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class KCorePass:
    """Counts of what one pass of the k-core left; the pass that drops nothing is the last."""

    number: int
    n_users: int
    n_items: int
    n_interactions: int


@dataclass(frozen=True)
class DatasetCounts:
    """Counts of the rows that each step from reviews to interactions left.

    Attributes:
        n_reviews: Reviews read.
        n_sampled: Reviews of the sampled users; n_reviews where nothing was sampled.
        n_duplicates: Reviews of a (user, item) pair beside the one that counts.
        n_interactions: Pairs left by the k-core.
        n_users: Users of these.
        n_items: Items of these.
        passes: Passes of the k-core, in order.
        left_by_k: Where the k-core leaves nothing: each smaller k -> (users, items, interactions) that it would leave.
    """

    n_reviews: int
    n_sampled: int
    n_duplicates: int
    n_interactions: int
    n_users: int
    n_items: int
    passes: tuple[KCorePass, ...] = ()
    left_by_k: Mapping[int, tuple[int, int, int]] = field(default_factory=dict)
