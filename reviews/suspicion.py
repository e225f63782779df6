"""Users and items that chance does not explain: bursts, identical ratings, ratings unlike those of the rest.

Two kinds of chance are weighed. Where the file says what chance does by itself (identical ratings), the probability is
that of independent draws from the file's own ratings, corrected for the number of users and of ratings (Bonferroni).
Where users and items differ by nature (bursts, mean ratings), each gets a score, and chance is what the file's own
upper tail goes on to: see `expect_above`. Either way, chance alone flags 0.05 of all that are tested, or less, which is
one in twenty files. What is flagged is where to look first, and no proof: people differ in how kindly they rate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from reviews.indexed import SECONDS_PER_DAY, IndexedReviews
from schema.arrays import Floats, Indices
from schema.distributions import Side
from schema.suspects import Suspect, Suspects, Suspicion

FALSE_ALARMS = 0.05
TAIL_SHARE, LEAST_TAIL = 0.1, 20
FITTED_SHARE = 0.9
LEAST_BURST = 5
BURST_DAYS = 3
LEAST_RATINGS = 10
N_WORST = 20

Ints = NDArray[np.int64]


def find_suspicious_users(reviews: IndexedReviews) -> tuple[Suspects, ...]:
    """Return the users with a burst, and those whose ratings are all the same, as far as there are times and ratings.

    A burst is a day with five interactions or more, and more than the busiest days of other users let expect. Ratings
    are judged of users with ten or more.
    """
    tests = _find_user_bursts(reviews), _find_identical_ratings(reviews)
    return tuple(found for found in tests if found and found.n_tested)


def find_suspicious_items(reviews: IndexedReviews) -> tuple[Suspects, ...]:
    """Return the items with a burst, and those rated unlike the rest, as far as there are times and ratings.

    A burst is five interactions or more within three days, and more than the peaks of other items let expect. Ratings
    are judged of items with ten or more.
    """
    tests = _find_item_bursts(reviews), _find_odd_ratings(reviews)
    return tuple(found for found in tests if found and found.n_tested)


def expect_above(scores: Floats) -> Floats:
    """Return how many of the scores chance would put at each score or above, were the upper tail to go on evenly.

    The tail is the highest 10 % of the scores, 20 at least. What it is above its least score u is taken for
    exponential, of the mean that its lower 90 % show, so that what is to be found does not hide itself (the estimate
    for a sample cut off at its r-th value: Epstein and Sobel, Journal of the American Statistical Association, 1953),
    with one more step of 1 so that equal scores do not make it zero. With n scores in the tail, n (1 + 1 / mean)^-(s -
    u) of them are expected at s or above, the geometric law's count for whole numbers. Below u it is the number of
    scores. A tail that is naturally heavier than exponential is flagged more often.

    Args:
        scores: Shape (n), any order, one or more.

    Example:
        >>> expect_above(np.array([0.0] * 80 + [1.0] * 19 + [9.0]))[[0, 80, 99]].round(6).tolist()
        [100.0, 20.0, 0.0]
    """
    n = min(len(scores), max(LEAST_TAIL, int(np.ceil(TAIL_SHARE * len(scores)))))
    ordered = np.sort(scores)
    tail = ordered[-n:] - ordered[-n]
    r = int(np.ceil(FITTED_SHARE * n))
    mean = (tail[:r].sum() + (n - r) * tail[r - 1] + 1) / r
    above = scores - ordered[-n]
    return np.asarray(np.where(above >= 0, n * (1 + 1 / mean) ** -np.maximum(above, 0.0), len(scores)))


@dataclass(frozen=True, eq=False)
class _Test:
    """What a test says of each user, or item.

    Attributes:
        side, reason: Of whom, and what for.
        n_expected: How many of those tested chance puts as far out as each or further; inf where it was not tested.
        n_false: How many chance alone flags.
        starts: The first day of the burst of each, and None where it is no test of bursts.
        n_days: Days of a burst.
    """

    side: Side
    reason: Suspicion
    n_expected: Floats
    n_false: float = FALSE_ALARMS
    starts: Ints | None = None
    n_days: int = 1


def _find_user_bursts(reviews: IndexedReviews) -> Suspects | None:
    timed = reviews.interactions.with_times()
    if timed is None:
        return None
    user, day, n = _count_days(timed.user_idx, timed.timestamps)
    if day.min() == day.max():  # a file of one day has no days that stand out
        return None
    peak, start = _find_peaks(user, n.astype(np.float64), day, len(reviews.user_ids))
    n_expected = _expect(peak, np.bincount(timed.user_idx, minlength=len(peak)) >= LEAST_BURST, peak)
    return _report(reviews, _Test("users", "burst", n_expected, starts=start))


def _find_item_bursts(reviews: IndexedReviews) -> Suspects | None:
    """Score the peak of each item by how unlikely it is for all its interactions to fall as those of the file do.

    Of n interactions of an item, and a share q of those of the file from the item's first day on, m within three days
    have a probability of at most exp(-n KL(m / n, q)), where KL is the divergence of Kullback and Leibler of two coins
    (Chernoff, Annals of Mathematical Statistics, 1952; Hoeffding, 1963). The score is its negative logarithm, less that
    of the number of days on which the peak could have begun.
    """
    timed = reviews.interactions.with_times()
    if timed is None:
        return None
    n_items = len(reviews.item_ids)
    item, day, n = _count_days(timed.item_idx, timed.timestamps)
    origin = day.min()
    before = np.append([0], np.cumsum(np.bincount(day - origin, n)))  # interactions of the file before each day
    before = np.pad(before, (0, BURST_DAYS), mode="edge")
    keys, sums = item << 32 | day - origin, np.append([0], np.cumsum(n))
    n_within = sums[np.searchsorted(keys, keys + BURST_DAYS)] - sums[:-1]
    is_first = np.append([True], item[1:] != item[:-1])
    first, n_days, total = (np.zeros(n_items, np.int64) for _ in range(3))
    first[item[is_first]] = day[is_first] - origin
    n_days += np.bincount(item, minlength=n_items)
    total += np.bincount(timed.item_idx, minlength=n_items)
    start = day - origin
    q = (before[start + BURST_DAYS] - before[start]) / (before[-1] - before[first[item]])
    score = total[item] * _diverge(n_within / total[item], q) - np.log(n_days[item])
    peak, starts = _find_peaks(item, score, day, n_items)
    most = np.zeros(n_items, np.int64)
    np.maximum.at(most, item, n_within)
    test = _Test("items", "burst", _expect(peak, total >= LEAST_BURST, most), starts=starts, n_days=BURST_DAYS)
    return _report(reviews, test)


def _find_identical_ratings(reviews: IndexedReviews) -> Suspects | None:
    """Flag users with one rating v throughout, whose chance is p^n: p is the share of v in the file, n their ratings.

    Flagged where p^n, by the number of users tested and of different ratings, is 0.05 or less. What chance alone flags
    is then the sum of p^n over all users tested and all ratings v for which it is as small.
    """
    rated = reviews.interactions.with_ratings()
    if rated is None:
        return None
    values, rating, rows = np.unique(np.asarray(rated.ratings), return_inverse=True, return_counts=True)
    logarithm = np.log(rows / rows.sum())
    n = np.bincount(rated.user_idx, minlength=len(reviews.user_ids))
    lowest, highest = np.full(len(n), len(values)), np.full(len(n), -1)
    np.minimum.at(lowest, rated.user_idx, rating)
    np.maximum.at(highest, rated.user_idx, rating)
    is_tested, n_expected = n >= LEAST_RATINGS, np.full(len(n), np.inf)
    n_tests = int(is_tested.sum()) * len(values)
    is_same = is_tested & (lowest == highest)
    n_expected[is_same] = n_tests * np.exp(n[is_same] * logarithm[lowest[is_same]])
    n_expected[is_tested & ~is_same] = n_tests
    n_false = 0.0
    for size, n_users in zip(*np.unique(n[is_tested], return_counts=True), strict=True):
        chances = np.exp(size * logarithm)
        n_false += n_users * float(chances[n_tests * chances <= FALSE_ALARMS].sum())
    return _report(reviews, _Test("users", "identical ratings", n_expected, n_false))


def _find_odd_ratings(reviews: IndexedReviews) -> Suspects | None:
    """Score the mean rating of each item by its distance from that of all, in units of how far items differ anyhow.

    z = (mean of the item - mean of all) / sqrt(t² + s² / n), where s² is the variance within items, n the ratings of
    the item and t² the variance between items, by the method of moments (DerSimonian and Laird, Controlled Clinical
    Trials, 1986, with equal variances). The score is z² / 2, which for normal means has a tail close to exponential.
    """
    rated = reviews.interactions.with_ratings()
    if rated is None:
        return None
    n = np.bincount(rated.item_idx, minlength=len(reviews.item_ids))
    is_tested = n >= LEAST_RATINGS
    kept = is_tested[rated.item_idx]
    item, rating = rated.item_idx[kept], np.asarray(rated.ratings, dtype=np.float64)[kept]
    if not len(rating) or rating.min() == rating.max():
        return None
    means = np.bincount(item, rating, minlength=len(n)) / np.maximum(n, 1)
    n_rows, n_tested, weights = len(rating), int(is_tested.sum()), n[is_tested]
    within = float(((rating - means[item]) ** 2).sum()) / (n_rows - n_tested)
    apart = means - rating.mean()
    excess = float((weights * apart[is_tested] ** 2).sum()) - (n_tested - 1) * within
    between = max(excess, 0.0) / max(n_rows - float((weights**2).sum()) / n_rows, 1.0)
    score = apart**2 / (2 * np.maximum(between + within / np.maximum(n, 1), 1e-12))
    return _report(reviews, _Test("items", "ratings unlike the rest", _expect(score, is_tested)))


def _count_days(idx: Indices, timestamps: Ints | None) -> tuple[Ints, Ints, Ints]:
    """Return user or item, day and number of interactions of each that has any, by the first two."""
    days = np.asarray(timestamps) // SECONDS_PER_DAY
    origin = days.min()
    keys, n = np.unique(idx.astype(np.int64) << 32 | days - origin, return_counts=True)
    return keys >> 32, (keys & 0xFFFF_FFFF) + origin, n


def _find_peaks(owner: Ints, score: Floats, day: Ints, n: int) -> tuple[Floats, Ints]:
    """Return the highest score of each of n owners, -inf where it has none, and the first day on which it has it."""
    peak, start = np.full(n, -np.inf), np.zeros(n, np.int64)
    np.maximum.at(peak, owner, score)
    is_peak = (score == peak[owner])[::-1]
    start[owner[::-1][is_peak]] = day[::-1][is_peak]  # of several values for a place numpy keeps the last
    return peak, start


def _expect(score: Floats, is_tested: NDArray[np.bool_], most: NDArray[np.number] | None = None) -> Floats:
    """Return how many chance puts at each score or above, inf where it was not tested, 1 or more of no real burst."""
    n_expected = np.full(len(score), np.inf)
    if is_tested.any():
        n_expected[is_tested] = expect_above(score[is_tested])
    return n_expected if most is None else np.where(most < LEAST_BURST, np.maximum(n_expected, 1), n_expected)


def _diverge(share: Floats, q: Floats) -> Floats:
    """Return the divergence, in nats, of a coin of a share from one of q; 0 where the share is no greater than q."""
    divergence = rel_entr(share, q) + rel_entr(1 - share, np.maximum(1 - q, 0.0))
    return np.asarray(np.where(share > q, divergence, 0.0))


def _report(reviews: IndexedReviews, test: _Test) -> Suspects:
    """Return what was flagged, and the interactions of the worst."""
    rows = reviews.interactions
    idx, ids = (rows.user_idx, rows.user_ids) if test.side == "users" else (rows.item_idx, rows.item_ids)
    flagged = np.flatnonzero(test.n_expected <= FALSE_ALARMS)
    worst = flagged[np.argsort(test.n_expected[flagged], kind="stable")][:N_WORST]
    n_tested = int(np.isfinite(test.n_expected).sum())
    is_shown = np.isin(idx, worst)
    shown, owner = rows.take(is_shown), idx[is_shown]
    described = tuple(_describe(shown.take(owner == at), ids[int(at)].as_py(), test, int(at)) for at in worst)
    return Suspects(test.side, test.reason, n_tested, test.n_false, len(flagged), described)


def _describe(rows: IndexedReviews, name: str, test: _Test, at: int) -> Suspect:
    """Describe one of the flagged, whose interactions the rows are."""
    suspicious, times = rows, None
    if test.starts is not None and rows.timestamps is not None:
        day = rows.timestamps // SECONDS_PER_DAY - test.starts[at]
        suspicious = rows.take((day >= 0) & (day < test.n_days))
        times = suspicious.timestamps
    rated = suspicious.with_ratings()
    return Suspect(
        id=name,
        n_interactions=len(rows),
        n_suspicious=len(suspicious),
        first=None if times is None else int(times.min()),
        last=None if times is None else int(times.max()),
        rating=None if rated is None else float(np.asarray(rated.ratings).mean(dtype=np.float64)),
        n_expected=float(test.n_expected[at]),
    )
