"""A raw file of reviews with text, of the size and the shape of Amazon's 5-core of Electronics."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from isal import igzip_threaded
from numpy.typing import NDArray

from benchmarks.synthetic import Size, draw_interactions

CACHE = Path.home() / ".cache" / "amazon-recommender"
RATING_SHARES = (0.06, 0.05, 0.08, 0.2, 0.61)  # of 1 to 5 stars
FIRST_DAY, SPAN_DAYS, SECONDS_PER_DAY = 10_957, 5_300, 86_400  # 2000 to 2014, ever more a day
MEAN_TEXT_BYTES, SPREAD = 552, 0.9  # of a lognormal distribution
VOCABULARY, POOL_WORDS = 30_000, 4_000_000
LETTERS = np.frombuffer(b"etaoinshrdlcumwfgypbvk", np.uint8)
CHUNK_ROWS = 20_000
COMPRESSION_LEVEL = 2


def cached_reviews(size: Size, seed: int, folder: Path = CACHE) -> Path:
    """Return the file of that size and seed, which is made the first time."""
    path = folder / f"reviews-{size.interactions}-{size.items}-{seed}.json.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write_reviews(part, size, seed)
        part.replace(path)
    return path


def write_reviews(path: Path, size: Size, seed: int) -> None:
    """Draw reviews ordered by item as Amazon's are, and write them as gzipped JSON lines with all their fields."""
    with igzip_threaded.open(path, "wb", compresslevel=COMPRESSION_LEVEL, threads=2) as file:  # type: ignore[no-untyped-call]
        for lines in _chunks(size, seed):
            file.write(lines)


def _chunks(size: Size, seed: int) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    pool = _draw_words(rng)
    user_idx, item_idx = draw_interactions(size, seed)
    order = np.argsort(item_idx, kind="stable")
    for start in range(0, len(order), CHUNK_ROWS):
        rows = order[start : start + CHUNK_ROWS]
        n = len(rows)
        days = FIRST_DAY + (SPAN_DAYS * rng.beta(3, 1, n)).astype(np.int64)
        lengths = np.minimum(rng.lognormal(np.log(MEAN_TEXT_BYTES) - SPREAD**2 / 2, SPREAD, n), 20_000).astype(int)
        columns = (
            user_idx[rows].tolist(),
            item_idx[rows].tolist(),
            (rng.choice(len(RATING_SHARES), n, p=RATING_SHARES) + 1).tolist(),
            days.tolist(),
            np.datetime_as_string(days.astype("M8[D]")).tolist(),
            rng.integers(0, len(pool) - 21_000, n).tolist(),
            lengths.tolist(),
        )
        yield "".join(_line(pool, *row) for row in zip(*columns, strict=True)).encode()


def _line(pool: str, user: int, item: int, rating: int, day: int, date: str, at: int, length: int) -> str:
    text = pool[at : at + length]
    said = {
        "reviewerID": f"A{user * 7919:012X}",
        "asin": f"{item * 7919:010d}" if item % 25 == 0 else f"B00{item * 7919:07X}",
        "reviewerName": text[:14],
        "helpful": [day % 4, day % 5],
        "reviewText": text,
        "overall": float(rating),
        "summary": text[-24:],
        "unixReviewTime": day * SECONDS_PER_DAY,
        "reviewTime": f"{date[5:7]} {date[8:]}, {date[:4]}",
    }
    return json.dumps(said) + "\n"


def _draw_words(rng: np.random.Generator) -> str:
    """Return a long text of invented words, common ones short and frequent, with what JSON escapes here and there."""
    lengths = np.minimum(2 + np.sqrt(np.arange(VOCABULARY)) / 20 + rng.integers(0, 4, VOCABULARY), 14).astype(int)
    shares = 1.0 / (np.arange(VOCABULARY) + 3) ** 1.22
    words = [LETTERS[_letters(rng, length)].tobytes().decode() for length in lengths]
    words[40], words[90] = '"great"', "it's\n"
    drawn = rng.choice(VOCABULARY, POOL_WORDS, p=shares / shares.sum())
    return " ".join(np.array(words, dtype=object)[drawn])


def _letters(rng: np.random.Generator, length: int) -> NDArray[np.int64]:
    return np.minimum(rng.geometric(0.12, length) - 1, len(LETTERS) - 1)
