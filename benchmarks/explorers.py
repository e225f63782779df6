"""Contestants of the exploration benchmark, and the reviews that they read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from benchmarks.measuring import Run
from benchmarks.synthetic import Size, draw_interactions
from reviews.ingest import REVIEWS, REVIEWS_SCHEMA
from storage.parquet import write_parquet

if TYPE_CHECKING:
    import pandas as pd

RATING_SHARES = (0.06, 0.05, 0.08, 0.2, 0.61)  # of 1 to 5 stars
FIRST_TIMESTAMP, SPAN_DAYS, SECONDS_PER_DAY = 1_000_000_000, 4000, 86_400
CHUNK_ROWS = 1 << 20
MOST_K = 20


def write_reviews(folder: Path, size: Size, seed: int) -> None:
    """Draw reviews of a size, ordered by item as Amazon's are, and write them as an ingest does.

    Ratings have about the shares of Electronics, and days get ever more rows, as in a shop that grows.
    """
    user_idx, item_idx = draw_interactions(size, seed)
    order = np.argsort(item_idx, kind="stable")
    user_ids = pa.array([f"A{place * 7919:012d}" for place in range(size.users)])
    item_ids = pa.array([f"B{place * 7919:09d}" for place in range(size.items)])

    def tables() -> Iterator[pa.Table]:
        for start in range(0, len(order), CHUNK_ROWS):
            rows, rng = order[start : start + CHUNK_ROWS], np.random.default_rng([seed, start])
            days = (SPAN_DAYS * rng.beta(3, 1, len(rows))).astype(np.int64)
            columns = {
                "user_id": user_ids.take(pa.array(user_idx[rows])),
                "item_id": item_ids.take(pa.array(item_idx[rows])),
                "rating": rng.choice(len(RATING_SHARES), len(rows), p=RATING_SHARES) + 1,
                "timestamp": FIRST_TIMESTAMP // SECONDS_PER_DAY * SECONDS_PER_DAY + days * SECONDS_PER_DAY,
                "line": np.arange(start + 1, start + len(rows) + 1),
            }
            yield pa.table(columns)

    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(tables(), folder / REVIEWS, REVIEWS_SCHEMA)


@contextmanager
def open_exploration(folder: str) -> Iterator[Run]:
    """Yield the whole exploration of the reviews in a folder, from the file to the page; the answer is items' Gini."""
    from reports.advice import advise
    from reports.exploration import ExplorationPage, render_exploration
    from reports.report_input import Source
    from reviews.cores import take_core
    from reviews.explore import explore
    from reviews.indexed import index_reviews
    from spark.options import CoreOptions
    from tasks.outlook import foresee, to_interactions

    k = CoreOptions().min_interactions

    def run() -> float:
        reviews = index_reviews(Path(folder, REVIEWS))
        found = explore(reviews)
        outlook = foresee(to_interactions(take_core(reviews, k)), k)
        render_exploration(ExplorationPage(Source(REVIEWS, "", 0), found, advise(found, outlook), {}, outlook))
        return found.popularity.gini

    yield run


@contextmanager
def open_pandas(folder: str) -> Iterator[Run]:
    """Yield the basic tables of the same file by plain pandas; the answer is items' Gini."""
    import pandas as pd

    yield lambda: tabulate_basics(pd.read_parquet(Path(folder, REVIEWS)))


def tabulate_basics(rows: "pd.DataFrame") -> float:
    """Find summary, ratings by year, activity, popularity, the k-cores and growth with pandas; return items' Gini."""
    import pandas as pd

    pair = ["user_id", "item_id"]
    date = pd.to_datetime(rows["timestamp"], unit="s")
    rows.duplicated().sum()
    rows["rating"].groupby(date.dt.year).agg(["size", "mean", "std"])
    month = date.dt.year * 12 + date.dt.month
    for name in pair:
        rows.groupby(month)[name].nunique()
        (month == month.groupby(rows[name]).transform("min")).groupby(month).sum()
    left = rows.drop_duplicates(pair)[pair]
    n_of_item = left["item_id"].value_counts().sort_values()
    left["user_id"].value_counts().describe()
    for k in range(1, MOST_K + 1):
        while len(left):
            n_least = pd.concat([left.groupby(name)[name].transform("size") for name in pair], axis=1).min(axis=1)
            if (n_least >= k).all():
                break
            left = left[n_least >= k]
    n = len(n_of_item)
    return float(((2 * np.arange(1, n + 1) - n - 1) * n_of_item.to_numpy()).sum() / (n * n_of_item.sum()))
