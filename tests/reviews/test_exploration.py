"""Exploration equals an independent computation with pandas, on made-up rows and on real data, and at the edges."""

import gzip
import json
import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reviews import links
from reviews.cores import size_cores, take_core
from reviews.indexed import index_reviews
from reviews.links import count_copurchases
from reviews.looking_up import look_up_item, look_up_user
from reviews.summaries import count_activity, count_popularity, summarise, summarise_ratings
from reviews.times import count_moments, find_seasons, measure_lifetimes, trace_growth
from schema.exploration import Summary

DAY = 86_400


def made_up(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Rows of 40 users and 25 items over three years, with repeated pairs and rows, and popular items."""
    rng = np.random.default_rng(seed)
    rows = {
        "user_id": [f"u{x}" for x in rng.integers(0, 40, n)],
        "item_id": [f"i{x}" for x in (25 * rng.beta(1, 3, n)).astype(int)],
        "rating": rng.choice([1.0, 2.5, 5.0], n),
        "timestamp": 1_300_000_000 + rng.integers(0, 1100, n) * DAY + rng.choice([0, 5], n),
    }
    frame = pd.DataFrame(rows)
    return pd.concat([frame, frame.iloc[:20], frame.iloc[:20].assign(rating=3.0)], ignore_index=True)


def without_some_values() -> pd.DataFrame:
    frame = made_up(seed=1)
    return frame.assign(
        rating=frame["rating"].where(frame.index % 3 > 0),
        timestamp=frame["timestamp"].astype("Int64").where(frame.index % 4 > 0),
    )


REAL = [pytest.param(name, marks=pytest.mark.shared_data) for name in ("amazon-reviews-196k", "movielens-100k")]


@pytest.fixture(scope="module", params=["made up", "without some values", *REAL])
def frame(request) -> pd.DataFrame:
    made = {"made up": made_up, "without some values": without_some_values}
    if request.param in made:
        return made[request.param]()
    folder = request.getfixturevalue("shared_data") / request.param
    names = ["user_id", "item_id", "rating", "timestamp"]
    if request.param == "movielens-100k":
        return pd.read_csv(folder / "u.data.gz", sep="\t", names=names, dtype={"user_id": str, "item_id": str})
    with gzip.open(folder / "reviews.json.gz", "rt", encoding="utf-8") as lines:
        rows = pd.DataFrame(map(json.loads, lines))
    return rows[["reviewerID", "asin", "overall", "unixReviewTime"]].set_axis(names, axis=1)


@pytest.fixture(scope="module")
def reviews(frame):
    return index_reviews(pa.Table.from_pandas(frame, preserve_index=False))


@pytest.fixture(scope="module")
def pairs(frame) -> pd.DataFrame:
    ordered = frame.sort_values("timestamp", kind="stable", na_position="last")
    return ordered.drop_duplicates(["user_id", "item_id"])


@pytest.fixture(scope="module")
def timed(frame) -> pd.DataFrame:
    rows = frame.dropna(subset="timestamp")
    return rows.assign(date=pd.to_datetime(rows["timestamp"].astype("int64"), unit="s"))


@pytest.fixture(scope="module")
def common(pairs) -> pd.DataFrame:
    """Users that two items have in common, by their ids; of one item alone, its users."""
    (user, users), (item, items) = (pd.factorize(pairs[name], sort=True) for name in ("user_id", "item_id"))
    has = np.zeros((len(users), len(items)), dtype="float32")
    has[user, item] = 1
    return pd.DataFrame((has.T @ has).astype(int), index=items, columns=items)


def check_distribution(found, values: pd.Series) -> None:
    expected = values.astype(float).describe(percentiles=[0.1, 0.25, 0.5, 0.75, 0.9, 0.99]).drop("std")
    assert list(asdict(found).values()) == pytest.approx(
        [expected["count"], expected["mean"], values.std(ddof=0), *expected[2:]]
    )


def test_summary(reviews, frame, timed):
    pair = ["user_id", "item_id"]
    n_pairs, users, items = len(frame[pair].drop_duplicates()), frame["user_id"].nunique(), frame["item_id"].nunique()
    days = timed["date"].dt.floor("D")
    assert summarise(reviews) == Summary(
        *(len(frame), users, items, n_pairs, len(frame) - n_pairs, frame.duplicated().sum()),
        density=pytest.approx(n_pairs / users / items),
        n_without_rating=frame["rating"].isna().sum(),
        n_without_timestamp=frame["timestamp"].isna().sum(),
        n_users_alike=0,
        n_items_alike=0,
        first=frame["timestamp"].min(),
        last=frame["timestamp"].max(),
        n_days=days.nunique(),
        span_days=(days.max() - days.min()).days + 1,
    )


def test_ratings_of_all_rows_and_of_each_year(reviews, frame, timed):
    found, ratings = summarise_ratings(reviews), frame["rating"].dropna()
    check_distribution(found.distribution, ratings)
    assert [(bar.low, bar.high, bar.n) for bar in found.bars] == [
        (value, value, n) for value, n in ratings.value_counts().sort_index().items()
    ]
    of_year = timed.dropna(subset="rating").groupby(timed["date"].dt.year)["rating"]
    expected = pd.DataFrame({"n": of_year.size(), "mean": of_year.mean(), "deviation": of_year.std(ddof=0)})
    assert [row for year in found.years for row in asdict(year).values()] == pytest.approx(
        [value for row in expected.itertuples() for value in row]
    )


@pytest.mark.parametrize(("count", "column"), [(count_activity, "user_id"), (count_popularity, "item_id")])
def test_activity_and_popularity(reviews, pairs, count, column):
    found, counts = count(reviews), pairs[column].value_counts()
    check_distribution(found.distribution, counts)
    assert found.counts == tuple(counts.value_counts().sort_index().items())
    lorenz = np.append(0, counts.sort_values().cumsum() / counts.sum())
    assert found.gini == pytest.approx(1 - 2 * np.trapezoid(lorenz, dx=1 / len(counts)))
    shares = [counts.head(math.ceil(len(counts) * top)).sum() / counts.sum() for top in (0.01, 0.1, 0.2)]
    assert [one.share for one in found.top_shares] == pytest.approx(shares)
    top = counts.reset_index().sort_values(["count", column], ascending=[False, True]).head(10)
    assert [(one.id, one.n_interactions) for one in found.top] == [tuple(row) for row in top.to_numpy()]


def test_cores_are_what_dropping_until_nothing_changes_leaves(reviews, pairs):
    left = pairs[["user_id", "item_id"]].apply(lambda ids: pd.factorize(ids)[0])
    for core in size_cores(reviews):
        while True:
            is_kept = np.logical_and(*(left.groupby(name)[name].transform("size") >= core.k for name in left))
            if is_kept.all():
                break
            left = left[is_kept]
        assert (core.n_users, core.n_items, core.n_interactions) == (
            *(left["user_id"].nunique(), left["item_id"].nunique()),
            len(left),
        )
        assert len(take_core(reviews, core.k)) == len(left)


def test_growth_by_month(reviews, timed):
    month = timed["date"].dt.to_period("M")
    rows = timed.assign(month=month)
    for column in ("user_id", "item_id"):
        rows[f"new_{column}"] = rows.groupby(column)["month"].transform("min") == month
    new_users, new_items = rows[rows["new_user_id"]].groupby("month"), rows[rows["new_item_id"]].groupby("month")
    by_month = rows.groupby("month")
    columns = [
        *(by_month.size(), by_month["user_id"].nunique(), by_month["item_id"].nunique()),
        *(new_users["user_id"].nunique(), new_items["item_id"].nunique(), new_users.size(), new_items.size()),
    ]
    every = pd.period_range(month.min(), month.max(), freq="M")
    expected = pd.concat(columns, axis=1).reindex(every).fillna(0).astype(int)
    assert [tuple(asdict(one).values()) for one in trace_growth(reviews)] == [
        (str(name), *row) for name, row in zip(every, expected.to_numpy().tolist(), strict=True)
    ]


def test_seasons(reviews, timed):
    found, days = find_seasons(reviews), timed["date"].dt.floor("D")
    assert [one.n_rows for one in found.months] == [(days.dt.month == m).sum() for m in range(1, 13)]
    assert [one.n_rows for one in found.weekdays] == [(days.dt.weekday == d).sum() for d in range(7)]
    daily = days.value_counts().reindex(pd.date_range(days.min(), days.max()), fill_value=0)
    years = [part for _, part in daily.groupby(daily.index.year) if len(part) >= 365 and part.sum()]
    index = [np.mean([part[part.index.month == m].mean() / part.mean() for part in years] or [0]) for m in range(1, 13)]
    assert [one.index or 0 for one in found.months] == pytest.approx(index)
    weeks = daily.iloc[: len(daily) // 7 * 7]
    index = [weeks[weeks.index.weekday == d].mean() / weeks.mean() for d in range(7)]
    assert [one.index for one in found.weekdays] == pytest.approx(index)
    assert (found.months[1].name, found.weekdays[6].name) == ("February", "Sunday")


@pytest.mark.parametrize(("place", "column"), [(0, "user_id"), (1, "item_id")])
def test_lifetimes(reviews, timed, place, column):
    found = measure_lifetimes(reviews)[place]
    days = timed.assign(day=timed["timestamp"].astype("int64") // DAY)[[column, "day"]].drop_duplicates()
    lives = days.groupby(column)["day"].agg(lambda own: own.max() - own.min())
    check_distribution(found.days, lives)
    check_distribution(found.gaps, days.sort_values([column, "day"]).groupby(column)["day"].diff().dropna())
    assert [bar.n for bar in found.bars] == [lives.between(bar.low, bar.high).sum() for bar in found.bars]
    assert sum(bar.n for bar in found.bars) == len(lives)
    assert found.share_of_one_day == pytest.approx((lives == 0).mean())


def test_moments_that_interactions_of_a_user_share(reviews, pairs):
    found, rows = count_moments(reviews), pairs.dropna(subset="timestamp").astype({"timestamp": "int64"})
    rows = rows.assign(day=rows["timestamp"] // DAY)
    per_second, per_day = (rows.groupby(["user_id", moment]).size() for moment in ("timestamp", "day"))
    assert found.per_second == tuple(per_second.value_counts().sort_index().items())
    assert found.per_day == tuple(per_day.value_counts().sort_index().items())
    is_shared = [rows.duplicated(["user_id", moment], keep=False).mean() for moment in ("timestamp", "day")]
    assert [found.share_of_shared_second, found.share_of_shared_day] == pytest.approx(is_shared)
    has_past = rows["day"] > rows.groupby("user_id")["day"].transform("min")
    assert found.share_with_past == pytest.approx(has_past.mean())
    assert found.share_at_midnight == pytest.approx((rows["timestamp"] % DAY == 0).mean())
    of_day = rows["day"].value_counts(normalize=True)
    assert (found.largest_day, found.n_days) == (pytest.approx(of_day.max()), len(of_day))


def test_items_with_users_in_common(reviews, pairs, common, monkeypatch):
    monkeypatch.setattr(links, "BLOCK_WORK", 20_000)  # several blocks, of made-up rows too
    found, users = count_copurchases(reviews), pairs["user_id"].value_counts()
    others = common.to_numpy(copy=True)
    np.fill_diagonal(others, 0)
    assert (found.n_items_asked, found.n_users_of_several) == (len(common), (users > 1).sum())
    for link in found.links:
        check_distribution(link.others, pd.Series((others >= link.least_users).sum(axis=1)))
        assert link.share_of_items == pytest.approx((others >= link.least_users).any(axis=1).mean())
    low, high = np.triu_indices(len(common), 1)
    ordered = np.lexsort((high, low, -others[low, high]))[:10]
    sizes, ids = np.diag(common), common.columns
    assert [(one.item, one.other, one.n_users, one.cosine) for one in found.strongest] == [
        (ids[a], ids[b], others[a, b], pytest.approx(others[a, b] / math.sqrt(sizes[a] * sizes[b])))
        for a, b in zip(low[ordered], high[ordered], strict=True)
    ]


def test_an_item_looked_up(reviews, frame, pairs, common):
    name = pairs["item_id"].value_counts().index[2]
    found, rows, sizes = look_up_item(reviews, name), frame[frame["item_id"] == name], np.diag(common)
    n = common[name].drop(name)
    near = pd.DataFrame({"n": n, "cosine": n / np.sqrt(common.loc[name, name] * pd.Series(sizes, common.index))})
    near = near[near["n"] > 0].drop(name, errors="ignore").reset_index(names="id")
    for neighbours, order in ((found.by_count, ["n", "cosine"]), (found.by_cosine, ["cosine", "n"])):
        expected = near.round(12).sort_values([*order, "id"], ascending=[False, False, True]).head(10)
        assert [(one.id, one.n_common) for one in neighbours] == list(zip(expected["id"], expected["n"], strict=True))
        assert [one.cosine for one in neighbours] == pytest.approx(expected["cosine"].tolist())
    counts = pairs["item_id"].value_counts()
    assert (found.n_rows, found.n_interactions) == (len(rows), counts[name])
    assert (found.place, found.mean_rating) == ((counts > counts[name]).sum() + 1, pytest.approx(rows["rating"].mean()))
    assert (found.first, found.last) == (rows["timestamp"].min(), rows["timestamp"].max())
    newest = rows.iloc[::-1].sort_values("timestamp", ascending=False, kind="stable", na_position="last").head(1000)
    assert [one.id for one in found.history] == newest["user_id"].tolist()
    assert [one.timestamp or 0 for one in found.history] == newest["timestamp"].fillna(0).tolist()
    assert [one.rating or 0 for one in found.history] == newest["rating"].fillna(0).tolist()
    assert len(look_up_item(reviews, name, most_events=3).history) == 3


def test_a_user_has_the_neighbours_and_history_that_the_item_of_turned_rows_has(reviews, frame):
    turned = frame.rename(columns={"user_id": "item_id", "item_id": "user_id"})
    name = frame["user_id"].iloc[7]
    found = asdict(look_up_item(index_reviews(pa.Table.from_pandas(turned, preserve_index=False)), name))
    assert asdict(look_up_user(reviews, name)) == {**found, "side": "users"}
