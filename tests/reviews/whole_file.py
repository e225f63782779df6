"""A reviews file read from its first byte to the files that an ingest publishes, as the flow's tasks do it."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from reviews.checks import CHECKS
from reviews.formats import Format, detect_format
from reviews.ingest import QUARANTINE, REVIEWS, merge_partitions
from reviews.options import IngestOptions
from reviews.partitions import check_partitions, group
from reviews.reading import read_reviews, read_texts_beside
from schema.dataset import ReviewCounts
from schema.understood import Reading
from storage import canonical
from storage.parquet import write_parquet

LATEST = 1_750_000_000


@dataclass(frozen=True)
class Ingested:
    """What an ingest made of a file.

    Attributes:
        reviews, quarantine: The published tables.
        format: How it was read.
        said: What was decided on it and all warnings, as one text.
        n_lost: Things that are gone as a whole.
    """

    counts: ReviewCounts
    reviews: pd.DataFrame
    quarantine: pd.DataFrame
    format: Format
    said: str
    n_lost: int

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Reviews, users and items."""
        return len(self.reviews), self.reviews["user_id"].nunique(), self.reviews["item_id"].nunique()


def ingest_file(path: Path, folder: Path, **options: object) -> Ingested:
    """Ingest a file into a folder.

    Raises:
        InvalidInput: If it is refused.
    """
    chosen = IngestOptions.model_validate({"latest_timestamp": LATEST, **options})
    found = detect_format(path, chosen)
    read = read_reviews(path, found, chosen, folder / "partitions", write_parquet)
    checks = [
        check_partitions(some, one.name, read.limits, write_parquet)
        for some in group(read.partitions)
        for one in CHECKS
    ]
    merged = merge_partitions(read, checks, partial(read_texts_beside, path, None, read), folder, chosen, write_parquet)
    reviews, quarantine = (pd.read_parquet(folder / name) for name in (REVIEWS, QUARANTINE))
    counts, parts = merged.counts, (f"{part.name}: {part.value} ({part.evidence})" for part in read.understood.parts)
    assert counts.n_lines == counts.n_blank + counts.n_reviews + counts.n_quarantined
    assert (counts.n_reviews, counts.n_quarantined) == (len(reviews), len(quarantine))
    understood = replace(read.understood, warnings=(*read.understood.warnings, *merged.warnings))
    reading = canonical.encode(asdict(Reading(understood, tuple(merged.losses))))
    assert canonical.encode(asdict(TypeAdapter(Reading).validate_json(reading))) == reading
    said = "\n".join([*parts, *understood.warnings])
    return Ingested(counts, reviews, quarantine, found, said, len(merged.losses))
