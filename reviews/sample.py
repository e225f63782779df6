"""Make sample data: Amazon-shaped reviews and products of an invented shop, the same bytes for the same seed.

A recommender has something to find in it: every user favours a few product kinds and brands; popularity has a long
tail; products come onto the market and fade; ratings follow taste and quality. A few reviews are repeated and a few
lines are broken, as in real files.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reviews.catalogue import BRANDS, KINDS, Catalogue, invent_catalogue, invent_user_ids, product_record
from reviews.options import SampleOptions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY = 86_400
FIRST_DAY = 14_245  # 2009-01-01, in days since 1970
N_DAYS = 2_007  # to 2014-06-30
PERIOD_DAYS = 30
OPINIONS = {
    1: ("Broke within a week", "Stopped working and went back."),
    2: ("Disappointing", "Not what the description promised."),
    3: ("It is all right", "Does the job, no more."),
    4: ("Good", "Works well, small flaws."),
    5: ("Excellent", "Exactly what I wanted, would buy again."),
}


@dataclass(frozen=True)
class SampleFiles:
    """The files of the sample data, and the counts of their lines.

    Attributes:
        reviews: Gzipped JSON lines with the fields of Amazon's 2014 release.
        products: Gzipped JSON lines: asin, title, brand, categories.
        n_lines: Lines of the reviews file, duplicates and broken ones included.
        n_duplicates: Reviews that repeat a (user, item) pair; broken ones are counted too.
        n_malformed: Broken lines, none of which passes the checks of an ingest with its default options.
    """

    reviews: Path
    products: Path
    n_lines: int
    n_duplicates: int
    n_malformed: int


@dataclass(frozen=True)
class Reviews:
    """Reviews as columns of one length; user and item are positions, day counts from 1970-01-01."""

    user: Ints
    item: Ints
    rating: Ints
    day: Ints

    def take(self, rows: Ints) -> Self:
        """Return the given rows, in the given order."""
        return type(self)(self.user[rows], self.item[rows], self.rating[rows], self.day[rows])


def write_sample(folder: Path, options: SampleOptions | None = None) -> SampleFiles:
    """Write sample-reviews.json.gz and sample-products.json.gz into folder, replacing what is there."""
    options = options or SampleOptions()
    rng = np.random.default_rng(options.seed)
    catalogue = invent_catalogue(options.n_items, rng)
    user_ids = invent_user_ids(options.n_users, rng)
    reviews = invent_reviews(catalogue, options.n_users, rng)
    n_distinct = len(reviews.user)
    reviews = _in_file_order(add_duplicates(reviews, options.duplicate_share, rng), catalogue)
    lines = [_review_line(reviews, row, user_ids, catalogue) for row in range(len(reviews.user))]
    n_malformed = round(options.malformed_share * len(lines))
    for row in rng.choice(len(lines), size=n_malformed, replace=False):
        lines[row] = _broken(lines[row], int(rng.integers(N_WAYS_TO_BREAK)))
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "sample-reviews.json.gz", folder / "sample-products.json.gz"
    _write_lines(files[0], lines)
    _write_lines(files[1], (json.dumps(product_record(catalogue, item)) for item in range(options.n_items)))
    return SampleFiles(*files, len(lines), len(lines) - n_distinct, n_malformed)


def invent_reviews(catalogue: Catalogue, n_users: int, rng: np.random.Generator) -> Reviews:
    """Draw every user's reviews: at most one per product, from the user's first day on."""
    attention = _attention(len(catalogue.item_ids), rng)
    quality = rng.normal(0.0, 0.45, size=len(catalogue.item_ids))
    parts = [_reviews_of_user(user, catalogue, attention, quality, rng) for user in range(n_users)]
    return Reviews(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def add_duplicates(reviews: Reviews, share: float, rng: np.random.Generator) -> Reviews:
    """Append a share of the reviews again: every other one as it was, the rest re-rated 30 days on."""
    rows = rng.choice(len(reviews.user), size=round(share * len(reviews.user)), replace=False)
    again = reviews.take(rows)
    is_changed = np.arange(len(rows)) % 2 == 1
    rating = np.where(is_changed, 1 + again.rating % 5, again.rating)
    day = np.where(is_changed, np.minimum(again.day + 30, FIRST_DAY + N_DAYS - 1), again.day)
    pairs = (reviews.user, again.user), (reviews.item, again.item), (reviews.rating, rating), (reviews.day, day)
    return Reviews(*map(np.concatenate, pairs))


def _attention(n_items: int, rng: np.random.Generator) -> Floats:
    """Return how much attention each item draws in each period of 30 days; shape (periods, items).

    A long tail (weight 1 / (rank + 10)); nothing before the launch, then a fade to a quarter, with a
    half-life of 600 days.
    """
    weight = 1.0 / (10.0 + rng.permutation(n_items))
    launch = rng.uniform(-700, N_DAYS - 60, size=n_items)
    launch[rng.integers(n_items)] = -700.0  # so that something is always on sale
    middle = PERIOD_DAYS * (np.arange(-(-N_DAYS // PERIOD_DAYS)) + 0.5)
    age = middle[:, None] - launch[None, :]
    fade = 0.25 + 0.75 * np.exp2(-np.maximum(age, 0.0) / 600.0)
    return np.asarray(np.where(age >= 0, weight * fade, 0.0), dtype=np.float64)


def _reviews_of_user(
    user: int, catalogue: Catalogue, attention: Floats, quality: Floats, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """Draw one user's (user, item, rating, day) columns in order of time."""
    affinity = _affinity(catalogue, rng)
    n_reviews = 3 + int(rng.lognormal(2.65, 0.75))
    days = _days_of_user(2 * n_reviews, rng)
    cumulative = np.cumsum(attention[days // PERIOD_DAYS] * affinity, axis=1)
    thresholds = rng.random(len(days)) * cumulative[:, -1]
    drawn = (cumulative <= thresholds[:, None]).sum(axis=1)
    items, first = np.unique(drawn, return_index=True)
    kept = np.sort(rng.permutation(first)[:n_reviews])
    items, days = drawn[kept], days[kept]
    liking = 0.35 * np.log(affinity[items] / affinity.mean())
    score = 3.9 + rng.normal(0, 0.4) + quality[items] + liking + rng.normal(0, 0.7, size=len(items))
    ratings = np.clip(np.rint(score), 1, 5).astype(np.int64)
    return np.full(len(items), user), items, ratings, FIRST_DAY + days


def _affinity(catalogue: Catalogue, rng: np.random.Generator) -> Floats:
    """Return one user's planted taste for every item, positive: favoured kinds times favoured brands."""
    kinds = 0.003 + rng.gamma(0.15, size=len(KINDS))
    brands = np.ones(len(BRANDS))
    brands[rng.choice(len(BRANDS), size=4, replace=False)] = 8.0
    return np.asarray(kinds[catalogue.kinds] * brands[catalogue.brands], dtype=np.float64)


def _days_of_user(n: int, rng: np.random.Generator) -> Ints:
    """Return n days of the sample's span, sorted, after a first day that is more often late than early."""
    first = N_DAYS * (0.02 + 0.9 * rng.beta(1.6, 1.2))
    return np.sort(rng.integers(int(first), N_DAYS, size=n))


def _in_file_order(reviews: Reviews, catalogue: Catalogue) -> Reviews:
    """Order reviews as Amazon's files are: by item id, then by day."""
    rank_of_item = np.argsort(np.argsort(np.array(catalogue.item_ids)))
    return reviews.take(np.lexsort((reviews.user, reviews.day, rank_of_item[reviews.item])))


def _review_line(reviews: Reviews, row: int, user_ids: tuple[str, ...], catalogue: Catalogue) -> str:
    item, rating = reviews.item[row], int(reviews.rating[row])
    summary, text = OPINIONS[rating]
    record = {
        "reviewerID": user_ids[reviews.user[row]],
        "asin": catalogue.item_ids[item],
        "reviewText": f"{KINDS[catalogue.kinds[item]].noun.capitalize()}: {text}",
        "overall": float(rating),
        "summary": summary,
        "unixReviewTime": int(reviews.day[row]) * DAY,
    }
    return json.dumps(record)


N_WAYS_TO_BREAK = 6


def _broken(line: str, way: int) -> str:
    """Break a review's line in one of six ways that real files show."""
    record = json.loads(line)
    match way:
        case 0:
            return line[: len(line) // 2]
        case 1:
            return "<html><body>502 Bad Gateway</body></html>"
        case 2:
            record["overall"] = 11.0
        case 3:
            del record["asin"]
        case 4:
            record["unixReviewTime"] *= 1000
        case _:
            record["reviewerID"] = " "
    return json.dumps(record)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write gzipped lines with no name and no time inside; the file appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
        packed.writelines(f"{line}\n".encode() for line in lines)
    part.replace(path)
