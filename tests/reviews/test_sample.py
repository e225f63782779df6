import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from reviews.catalogue import invent_catalogue, invent_item_ids, invent_user_ids
from reviews.options import SampleOptions
from reviews.products import read_products
from reviews.sample import SampleFiles, write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def lines(sample: SampleFiles) -> list[str]:
    return gzip.decompress(sample.reviews.read_bytes()).decode().splitlines()


@pytest.fixture(scope="module")
def reviews(lines: list[str]) -> list[dict[str, Any]]:
    records = [_record(line) for line in lines]
    return [record for record in records if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    """Read a line as a reader with the simplest checks would; None for a broken one."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    is_sound = (
        record.get("reviewerID", "").strip()
        and record.get("asin")
        and 1 <= record["overall"] <= 5
        and record["unixReviewTime"] < 2_000_000_000
    )
    return record if is_sound else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


SMALL = SampleOptions(n_users=40, n_items=30, seed=5)


def test_write_sample_gives_the_same_bytes_in_another_process(tmp_path):
    here = write_sample(tmp_path / "here", SMALL)
    program = (
        "from pathlib import Path; from reviews.sample import *; "
        f"write_sample(Path('there'), SampleOptions.model_validate_json({SMALL.model_dump_json()!r}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert _digest(here.reviews) == _digest(tmp_path / "there" / here.reviews.name)
    assert _digest(here.products) == _digest(tmp_path / "there" / here.products.name)


def test_write_sample_differs_by_seed(tmp_path):
    one = write_sample(tmp_path / "one", SMALL)
    other = write_sample(tmp_path / "other", SMALL.model_copy(update={"seed": 6}))
    assert _digest(one.reviews) != _digest(other.reviews)


def test_write_sample_leaves_only_its_two_files(tmp_path):
    files = write_sample(tmp_path, SMALL)
    assert set(tmp_path.iterdir()) == {files.reviews, files.products}


def test_sample_has_the_announced_size_and_fields(sample, lines, reviews):
    assert len(lines) == sample.n_lines
    assert 60_000 <= len(lines) <= 80_000
    assert len({review["reviewerID"] for review in reviews}) == 3000
    fields = {"reviewerID", "asin", "overall", "unixReviewTime", "reviewText", "summary"}
    assert all(set(review) == fields for review in reviews)


def test_sample_counts_its_broken_lines(sample, lines, reviews):
    assert len(lines) - len(reviews) == sample.n_malformed == round(0.002 * len(lines))


def test_sample_counts_its_duplicates_before_lines_are_broken(tmp_path):
    files = write_sample(tmp_path, SampleOptions(n_users=300, n_items=200, malformed_share=0))
    records = [json.loads(line) for line in gzip.decompress(files.reviews.read_bytes()).splitlines()]
    pairs = Counter((record["reviewerID"], record["asin"]) for record in records)
    assert len(records) - len(pairs) == files.n_duplicates == round(0.01 * len(pairs))


def test_sample_repeats_some_reviews_as_they_were_and_some_re_rated(reviews):
    by_pair: dict[tuple[str, str], list[float]] = {}
    for review in reviews:
        by_pair.setdefault((review["reviewerID"], review["asin"]), []).append(review["overall"])
    repeated = [ratings for ratings in by_pair.values() if len(ratings) > 1]
    n_equal = sum(len(set(ratings)) == 1 for ratings in repeated)
    assert 0.4 < n_equal / len(repeated) < 0.6


def test_sample_popularity_has_a_long_tail(reviews):
    counts = np.sort(list(Counter(review["asin"] for review in reviews).values()))[::-1]
    assert counts[: len(counts) // 10].sum() > 0.35 * counts.sum()


def test_sample_popularity_drifts_in_time(reviews):
    """Of the 50 best sellers of the first third of the reviews, few are best sellers of the last third."""
    in_time = [review["asin"] for review in sorted(reviews, key=lambda review: review["unixReviewTime"])]
    third = len(in_time) // 3
    early, late = ({item for item, _ in Counter(part).most_common(50)} for part in (in_time[:third], in_time[-third:]))
    assert len(early & late) < 25


def test_sample_ratings_look_like_amazons(reviews):
    ratings = np.array([review["overall"] for review in reviews])
    assert 4.0 < ratings.mean() < 4.4
    assert set(ratings) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_sample_days_lie_in_its_span(reviews):
    times = np.array([review["unixReviewTime"] for review in reviews])
    assert (times % 86_400 == 0).all()
    assert np.datetime64(int(times.min()), "s") >= np.datetime64("2009-01-01")
    assert np.datetime64(int(times.max()), "s") <= np.datetime64("2014-06-30")


def test_sample_is_learnable_beyond_popularity(reviews):
    """A truncated SVD of the users' earlier reviews ranks the last one twice as well as popularity does."""
    seen, last = _leave_last(reviews)
    popularity = np.tile(seen.sum(axis=0), (len(seen), 1))
    parts: tuple[np.ndarray, ...] = svds(csr_matrix(seen), k=24, random_state=0)
    users, strengths, items = parts
    assert _ndcg_at_10(users * strengths @ items, seen, last) > 2 * _ndcg_at_10(popularity, seen, last)


def _leave_last(reviews: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    users = {user: idx for idx, user in enumerate(sorted({review["reviewerID"] for review in reviews}))}
    items = {item: idx for idx, item in enumerate(sorted({review["asin"] for review in reviews}))}
    seen = np.zeros((len(users), len(items)), dtype=np.float32)
    last = np.zeros(len(users), dtype=np.int64)
    for review in sorted(reviews, key=lambda review: review["unixReviewTime"]):
        user, item = users[review["reviewerID"]], items[review["asin"]]
        seen[user, item] = 1
        last[user] = item
    seen[np.arange(len(users)), last] = 0
    return seen, last


def _ndcg_at_10(scores: np.ndarray, seen: np.ndarray, last: np.ndarray) -> float:
    scores = np.where(seen > 0, -np.inf, scores)
    held_out = scores[np.arange(len(last)), last]
    rank = 1 + (scores > held_out[:, None]).sum(axis=1)
    return float(np.where(rank <= 10, 1 / np.log2(rank + 1), 0).mean())


def test_sample_titles_are_unique_and_every_25th_id_begins_with_zero(sample):
    read = read_products(sample.products)
    assert (len(read.titles), len(set(read.titles.values())), read.n_skipped) == (1500, 1500, 0)
    assert sum(item_id.startswith("0") and item_id.isdigit() for item_id in read.titles) == 1500 / 25
    assert {len(item_id) for item_id in read.titles} == {10}


def test_titles_stay_unique_when_the_shop_outgrows_its_brands():
    titles = invent_catalogue(10_000, np.random.default_rng(1)).titles
    assert len(set(titles)) == 10_000


@pytest.mark.parametrize("n", [1, 26, 5000])
def test_invented_ids_are_distinct(n):
    rng = np.random.default_rng(3)
    assert len(set(invent_item_ids(n, rng))) == len(set(invent_user_ids(n, rng))) == n


def test_smallest_sample_can_be_made(tmp_path):
    files = write_sample(tmp_path, SampleOptions(n_users=1, n_items=1, malformed_share=0))
    assert files.n_lines == 1
