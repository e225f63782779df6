"""Reviews over time: growth, seasons, lifetimes, and how much order their timestamps hold."""

from calendar import day_name, month_name

import numpy as np
from numpy.typing import NDArray

from reviews.distributions import bar_whole, count_values, distribute
from reviews.indexed import SECONDS_PER_DAY, IndexedReviews
from schema.arrays import Indices
from schema.distributions import Side
from schema.exploration import Lifetimes, Moments, Month, Season, Seasons

LIFETIME_STARTS = (0, 1, 7, 30, 90, 365, 730)
THURSDAY = 3  # 1970-01-01

Ints = NDArray[np.int64]


def trace_growth(reviews: IndexedReviews) -> tuple[Month, ...]:
    """Return rows, users and items of each month, and how many of them are new; none where there are no timestamps."""
    timed = reviews.with_times()
    if timed is None:
        return ()
    months = _days(timed).astype("M8[D]").astype("M8[M]").astype(np.int64)
    start = months.min()
    month = months - start
    n = int(month.max()) + 1
    users, new_users, rows_of_new_users = _count_by_month(month, timed.user_idx, n)
    items, new_items, rows_of_new_items = _count_by_month(month, timed.item_idx, n)
    counts = np.bincount(month), users, items, new_users, new_items, rows_of_new_users, rows_of_new_items
    names = np.arange(start, start + n).astype("M8[M]").astype(str)
    return tuple(Month(*row) for row in zip(names.tolist(), *(column.tolist() for column in counts), strict=True))


def _count_by_month(month: Ints, idx: Indices, n: int) -> tuple[Ints, Ints, Ints]:
    """Return of each month how many different indices it has, how many are new, and the rows of the new ones."""
    first = np.full(int(idx.max()) + 1, n)
    np.minimum.at(first, idx, month)
    active = _unique(month * len(first) + idx) // len(first)
    return (
        np.bincount(active, minlength=n),
        np.bincount(first, minlength=n + 1)[:n],
        np.bincount(month[month == first[idx]], minlength=n),
    )


def find_seasons(reviews: IndexedReviews) -> Seasons | None:
    """Return rows by month of the year and by day of the week; None where there are no timestamps."""
    timed = reviews.with_times()
    return None if timed is None else Seasons(_count_months(_days(timed)), _count_weekdays(_days(timed)))


def _count_months(days: Ints) -> tuple[Season, ...]:
    """Return the twelve months; their index is the mean over whole years of the rows a day by those of the year."""
    dates, month = days.astype("M8[D]"), days.astype("M8[D]").astype("M8[M]").astype(np.int64) % 12
    year = dates.astype("M8[Y]").astype(np.int64)
    first, last = int(year.min()), int(year.max())
    rows = np.bincount((year - first) * 12 + month, minlength=12 * (last - first + 1)).reshape(-1, 12)
    starts = np.arange(first * 12, last * 12 + 13).astype("M8[M]").astype("M8[D]").astype(np.int64)
    is_whole = (starts[:-1:12] >= days.min()) & (starts[12::12] - 1 <= days.max()) & (rows.sum(axis=1) > 0)
    whole, n_days = rows[is_whole], np.diff(starts).reshape(-1, 12)[is_whole]
    daily = (whole / n_days) / (whole.sum(axis=1) / n_days.sum(axis=1))[:, None]
    indices = daily.mean(axis=0).tolist() if len(whole) else [None] * 12
    return tuple(Season(*one) for one in zip(month_name[1:], rows.sum(axis=0).tolist(), indices, strict=True))


def _count_weekdays(days: Ints) -> tuple[Season, ...]:
    weekday = (days + THURSDAY) % 7
    is_whole = days < days.min() + (days.max() - days.min() + 1) // 7 * 7
    whole = np.bincount(weekday[is_whole], minlength=7)
    indices = (7 * whole / whole.sum()).tolist() if is_whole.any() else [None] * 7
    rows = np.bincount(weekday, minlength=7).tolist()
    return tuple(Season(*one) for one in zip(day_name, rows, indices, strict=True))


def measure_lifetimes(reviews: IndexedReviews) -> tuple[Lifetimes, ...]:
    """Return how long users and items are active; none where there are no timestamps."""
    timed = reviews.with_times()
    if timed is None:
        return ()
    days = _days(timed)
    return _measure("users", timed.user_idx, days), _measure("items", timed.item_idx, days)


def _measure(side: Side, idx: Indices, days: Ints) -> Lifetimes:
    active = _unique(idx.astype(np.int64) << 32 | days - days.min())  # each day of each user or item, in order
    owner, day = active >> 32, active & 0xFFFF_FFFF
    is_first = np.append([True], owner[1:] != owner[:-1])
    is_last = np.append(is_first[1:], [True])
    lives = day[is_last] - day[is_first]
    gaps = np.diff(day)[~is_first[1:]]
    return Lifetimes(
        side=side,
        days=distribute(lives),
        bars=bar_whole(lives, LIFETIME_STARTS),
        share_of_one_day=float((lives == 0).mean()),
        gaps=distribute(gaps) if len(gaps) else None,
    )


def count_moments(reviews: IndexedReviews) -> Moments | None:
    """Return how many interactions share a second, or a day, with others of their user; None without timestamps.

    The more do, the less the timestamps say of what came after what.
    """
    timed = reviews.interactions.with_times()
    if timed is None:
        return None
    days, times = _days(timed), np.asarray(timed.timestamps)
    user = timed.user_idx.astype(np.int64) << 32
    # 32 bits of seconds, counted from the first one, last for 136 years
    moments = times - times.min(), days - days.min()
    per_second, per_day = (_run_lengths(np.sort(user | moment)) for moment in moments)
    first_day = np.full(int(timed.user_idx.max()) + 1, days.max())
    np.minimum.at(first_day, timed.user_idx, days)
    n = len(timed)
    of_day = np.unique(days, return_counts=True)[1]
    return Moments(
        n_interactions=n,
        share_of_shared_second=float(per_second[per_second > 1].sum() / n),
        share_of_shared_day=float(per_day[per_day > 1].sum() / n),
        share_with_past=float((days > first_day[timed.user_idx]).mean()),
        share_at_midnight=float((times % SECONDS_PER_DAY == 0).mean()),
        largest_day=float(of_day.max() / n),
        n_days=len(of_day),
        per_second=count_values(per_second),
        per_day=count_values(per_day),
    )


def _days(timed: IndexedReviews) -> Ints:
    return np.asarray(timed.timestamps) // SECONDS_PER_DAY


def _unique(keys: Ints) -> Ints:
    ordered = np.sort(keys)
    return np.asarray(ordered[np.append([True], ordered[1:] != ordered[:-1])])


def _run_lengths(ordered: Ints) -> Ints:
    """Return how often each value stands in a sorted array of one value or more."""
    starts = np.flatnonzero(np.append([True], ordered[1:] != ordered[:-1]))
    return np.diff(np.append(starts, len(ordered)))
