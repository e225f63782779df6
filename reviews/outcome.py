"""The reviews and the quarantine of a whole file, and what became of its lines."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from reviews.options import IngestOptions
from reviews.parse import REJECTED_SCHEMA
from reviews.tables import canonical_parquet
from schema.dataset import ReviewCounts
from schema.errors import InvalidInput

REVIEWS = "reviews.parquet"
QUARANTINE = "quarantine.parquet"
REVIEWS_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
        ("line", pa.int64()),
    ]
)
MAX_DISTINCT_RATINGS = 1_000
_MAX_REASONS_TOLD = 3
_MAX_EXAMPLE_CHARACTERS = 120


@dataclass(frozen=True)
class CheckedPartition:
    """The outcome of one partition, in file order.

    Attributes:
        reviews: Rows of REVIEWS_SCHEMA; a column that the file lacks is all null.
        quarantine: Rows of REJECTED_SCHEMA.
        n_lines: Lines, blank ones included.
        n_blank: Blank lines.
        has_ratings: Whether the file has ratings.
        has_timestamps: Whether the file has timestamps.
    """

    reviews: pa.Table
    quarantine: pa.Table
    n_lines: int
    n_blank: int
    has_ratings: bool
    has_timestamps: bool


def write_reviews(parts: Iterable[CheckedPartition], folder: Path, options: IngestOptions) -> ReviewCounts:
    """Write REVIEWS and QUARANTINE into a folder, holding one part in memory at a time.

    Both files take their names only when all is written and found good enough.

    Args:
        parts: The partitions in file order.
        folder: Where to; made if it is not there.
        options: max_bad_share is the share of bad rows at which to stop.

    Raises:
        InvalidInput: When no review is left, or the share of bad rows is over options.max_bad_share.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tally = _Tally()
    with (
        canonical_parquet(folder / REVIEWS, REVIEWS_SCHEMA) as reviews,
        canonical_parquet(folder / QUARANTINE, REJECTED_SCHEMA) as quarantine,
    ):
        for part in parts:
            reviews.write(part.reviews)
            quarantine.write(part.quarantine)
            tally.add(part)
        counts = tally.counts()
        _require_enough_good(counts, tally.examples, options)
    return counts


class _Tally:
    """Adds up the parts."""

    def __init__(self) -> None:
        self.n_lines = self.n_blank = self.n_reviews = 0
        self.has_ratings = self.has_timestamps = False
        self.ratings: set[float] = set()
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, tuple[int, str]] = {}

    def add(self, part: CheckedPartition) -> None:
        self.n_lines += part.n_lines
        self.n_blank += part.n_blank
        self.n_reviews += part.reviews.num_rows
        self.has_ratings |= part.has_ratings
        self.has_timestamps |= part.has_timestamps
        if part.has_ratings and len(self.ratings) < MAX_DISTINCT_RATINGS:
            self.ratings.update(pc.unique(part.reviews["rating"]).to_pylist()[:MAX_DISTINCT_RATINGS])
        for line, reason, text in zip(*part.quarantine.to_pydict().values(), strict=True):
            self.reasons[reason] += 1
            self.examples.setdefault(reason, (line, text[:_MAX_EXAMPLE_CHARACTERS]))

    def counts(self) -> ReviewCounts:
        commonest = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        return ReviewCounts(
            n_lines=self.n_lines,
            n_blank=self.n_blank,
            n_reviews=self.n_reviews,
            n_quarantined=self.reasons.total(),
            reasons=dict(commonest),
            has_ratings=self.has_ratings,
            has_timestamps=self.has_timestamps,
            n_distinct_ratings=min(len(self.ratings), MAX_DISTINCT_RATINGS),
        )


def _require_enough_good(counts: ReviewCounts, examples: Mapping[str, tuple[int, str]], options: IngestOptions) -> None:
    n_rows = counts.n_reviews + counts.n_quarantined
    if not n_rows:
        raise InvalidInput(
            f"the input holds no review: {counts.n_lines} lines, {counts.n_blank} of them blank. "
            f"Expected a review per line after the header, if there is one."
        )
    is_too_bad = counts.n_quarantined > options.max_bad_share * n_rows
    if counts.n_reviews and not is_too_bad:
        return
    told = list(counts.reasons.items())[:_MAX_REASONS_TOLD]
    reasons = "; ".join(
        f"{n} x {reason}, first in line {examples[reason][0]}: {examples[reason][1]!r}" for reason, n in told
    )
    more = len(counts.reasons) - len(told)
    advice = "or allow more with --max-bad-share" if counts.n_reviews else "no good row is left"
    raise InvalidInput(
        f"{counts.n_quarantined} of {n_rows} rows ({counts.n_quarantined / n_rows:.1%}) are bad; expected at "
        f"most {options.max_bad_share:.1%}. Commonest reasons: {reasons}"
        f"{f'; and {more} more' if more else ''}. Mend the file, or the settings a reason names; {advice}."
    )
