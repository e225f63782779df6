"""Everything measured of a candidate on one part of a split: accuracy, use of the catalogue, segments, ratings."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.beyond_accuracy import (
    coverage_at_k,
    gini_at_k,
    intra_list_diversity,
    mean_popularity,
    personalisation_at_k,
    self_information,
)
from evaluation.held_out_only import held_out_only
from evaluation.ranking import DEFAULT_KS, About, Scores, evaluate_lists, rank_held_out, summarise
from evaluation.rating import Predict, rating_errors
from evaluation.segments import (
    score_item_segments,
    score_user_segments,
    segment_items,
    segment_users_by_activity,
    segment_users_by_age,
)
from schema.items_by_user import ItemsByUser
from schema.metric import Metric, MetricRow, SegmentScore

DIVERSITY_USERS = 2000
SAMPLE_SEED = 42
USERS_K = 10
GOOD_RATING = 4.0  # the original's threshold of relevance
CATALOGUE_METRICS = {"coverage": coverage_at_k, "gini": gini_at_k, "personalisation": personalisation_at_k}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The users to evaluate, what is held out of them, and what there was to learn from.

    Attributes:
        seen: Items that each user has in what is learnt from.
        relevant: Held-out items of each user.
        users: Users to evaluate: with rows in both, or a sample of them. Shape (n).
        cold: Users with held-out items and nothing to learn from.
        n_items: Items of the catalogue.
        first_timestamp: Unix seconds of each user's first row to learn from, shape (n_users); None without timestamps.
        n_warm: Users with rows in both, before any sampling.
    """

    seen: ItemsByUser
    relevant: ItemsByUser
    users: NDArray[np.int64]
    cold: NDArray[np.int64]
    n_items: int
    first_timestamp: NDArray[np.int64] | None
    n_warm: int

    @property
    def item_counts(self) -> NDArray[np.int64]:
        """Rows to learn from of each item, shape (n_items)."""
        return np.bincount(self.seen.items, minlength=self.n_items)

    @property
    def counts(self) -> dict[str, int]:
        """Users to evaluate, those before any sampling, and those with nothing to learn from."""
        return {"n_users": len(self.users), "n_warm_users": self.n_warm, "n_cold_users": len(self.cold)}

    @property
    def one_list_each(self) -> NDArray[np.int64] | slice:
        """Places of one list of each user."""
        return slice(None)

    @property
    def history_lengths(self) -> NDArray[np.int64]:
        """Items that are left out of each list to evaluate because its user has them."""
        return self.seen.counts[self.users]

    @property
    def first_timestamps(self) -> NDArray[np.int64] | None:
        """Unix seconds of the first row to learn from of each list's user; None without timestamps."""
        return None if self.first_timestamp is None else self.first_timestamp[self.users]

    def evaluate(self, items: NDArray[np.int32], ks: Sequence[int], users: NDArray[np.int64] | None = None) -> Scores:
        """Return the metrics of the lists of the users to evaluate, or of those given: `evaluate_lists`."""
        return evaluate_lists(items, self.users if users is None else users, self.seen, self.relevant, ks)

    def owners_of(self, users: NDArray[np.int64]) -> NDArray[np.int64] | None:  # noqa: ARG002 - one list each here
        """Return the user of each of these lists, where a user has several."""
        return None

    def rank_by_oracle(self, k: int) -> NDArray[np.int32]:
        """Return the lists of an oracle that knows what is held out: `rank_held_out`."""
        return rank_held_out(self.relevant, self.users, k)

    def by_user(self, scores: Scores) -> tuple[pa.Table, Scores]:
        """Return the users, and one value of each by metric, from those of the lists to evaluate."""
        return pa.table({"user_idx": self.users.astype(np.int32)}), scores


@dataclass
class Measured:
    """What is measured of one candidate on one part.

    Attributes:
        rows: Every metric with its interval.
        segments: Metrics of groups of items and users.
        held_out_only: Metrics of the original project's protocol.
        users: Each metric at 10 of each user; None where nothing was ranked.
        ranked: The lists, shape (n_users, k), -1 where nothing is left; None where nothing was ranked.
    """

    rows: list[MetricRow] = field(default_factory=list)
    segments: list[SegmentScore] = field(default_factory=list)
    held_out_only: list[MetricRow] = field(default_factory=list)
    users: pa.Table | None = None
    ranked: NDArray[np.int32] | None = None


def hold_out(
    learnt: pa.Table, held_out: pa.Table, n_users: int, n_items: int, most_users: int | None = None
) -> HeldOut:
    """Return the users to evaluate, with their held-out items and those to learn from.

    Args:
        learnt: Rows to learn from: user_idx, item_idx and timestamp (which may be all null).
        held_out: Rows held out: user_idx, item_idx.
        n_users: Users of the dataset.
        n_items: Items of the dataset.
        most_users: Evaluate a seeded sample of so many users where there are more; a larger one has the same users.
    """
    seen, relevant = (items_by_user(rows, n_users) for rows in (learnt, held_out))
    has_relevant, has_seen = relevant.counts > 0, seen.counts > 0
    warm, cold = np.flatnonzero(has_relevant & has_seen), np.flatnonzero(has_relevant & ~has_seen)
    users = sample_users(warm, most_users)
    return HeldOut(seen, relevant, users, cold, n_items, first_timestamps(learnt, n_users), len(warm))


def sample_users(users: NDArray[np.int64], most_users: int | None) -> NDArray[np.int64]:
    """Return the users, or a seeded sample of most_users where there are more; a larger one has the same users."""
    if most_users is None or most_users >= len(users):
        return users
    return np.sort(np.random.default_rng(SAMPLE_SEED).permutation(users)[:most_users])


def score_oracle(held_out: HeldOut, k: int) -> Scores:
    """Return the metrics at k of each evaluated user for an oracle that knows what is held out."""
    return held_out.by_user(held_out.evaluate(held_out.rank_by_oracle(k), (k,)))[1]


def items_by_user(rows: pa.Table, n_users: int) -> ItemsByUser:
    """Return the items of each user in rows of interactions."""
    return ItemsByUser.from_pairs(np.asarray(rows["user_idx"]), np.asarray(rows["item_idx"]), n_users)


def first_timestamps(learnt: pa.Table, n_users: int) -> NDArray[np.int64] | None:
    """Return the Unix seconds of each user's first row, the largest integer without one; None if any is missing."""
    if "timestamp" not in learnt.column_names or learnt["timestamp"].null_count:
        return None
    first = np.full(n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, np.asarray(learnt["user_idx"]), np.asarray(learnt["timestamp"]))
    return first


def measure_lists(
    measured: Measured, items: NDArray[np.int32], held_out: HeldOut, about: About, ks: Sequence[int] = DEFAULT_KS
) -> None:
    """Measure the lists of the users to evaluate, and keep them with what each user gets from them.

    The items have the shape (len(held_out.users), max(ks)), best first, unseen only, -1 where none is left.

    Raises:
        ValueError: If nobody is left to evaluate, or lists have seen or repeated items.
    """
    counts, n_learnt = held_out.item_counts, int((held_out.seen.counts > 0).sum())
    scores = held_out.evaluate(items, ks)
    for metric, by_k in (
        ("novelty", self_information(items, ks, counts, n_learnt)),
        ("popularity", mean_popularity(items, ks, counts)),
    ):
        scores |= {Metric(metric, k): values for k, values in by_k.items()}
    measured.rows += summarise(scores, about, held_out.owners_of(held_out.users))
    each = items[held_out.one_list_each]
    if (each >= 0).any(axis=1).sum() >= 2:  # how lists use the catalogue shows in two at least
        for metric, measure in CATALOGUE_METRICS.items():
            measured.rows += [MetricRow(*about, metric, k, *measure(each, k, held_out.n_items), len(each)) for k in ks]
    measured.rows += _diversity_rows(each, held_out, ks, about)
    measured.segments += _segments(items, held_out, scores)
    users, per_user = held_out.by_user({metric: values for metric, values in scores.items() if metric.k == USERS_K})
    for key, values in per_user.items():
        users = users.append_column(str(key), pa.array(values))
    measured.users, measured.ranked = users, items


def _diversity_rows(items: NDArray[np.int32], held_out: HeldOut, ks: Sequence[int], about: About) -> list[MetricRow]:
    """Measure diversity on at most 2,000 users drawn at random, since it compares all pairs of a list."""
    some = np.random.default_rng(SAMPLE_SEED).permutation(len(items))[:DIVERSITY_USERS]
    by_k = intra_list_diversity(items[np.sort(some)], ks, held_out.seen, held_out.n_items)
    return summarise({Metric("diversity", k): values for k, values in by_k.items()}, about)


def _segments(items: NDArray[np.int32], held_out: HeldOut, scores: Scores) -> list[SegmentScore]:
    theirs, owner = held_out.relevant.take(held_out.users), held_out.owners_of(held_out.users)
    found = score_item_segments(items, theirs, segment_items(held_out.item_counts), owner=owner)
    activity = segment_users_by_activity(held_out.history_lengths)
    found += score_user_segments(scores, "user activity", activity, owner=owner)
    if held_out.first_timestamps is not None:
        ages = segment_users_by_age(held_out.first_timestamps)
        found += score_user_segments(scores, "user age", ages, owner=owner)
    return found


def assess_cold_users(items: NDArray[np.int32], held_out: HeldOut, k: int = 10) -> list[SegmentScore]:
    """Return NDCG and recall of the lists of cold users, one list each; nothing where there are none."""
    if not len(held_out.cold):
        return []
    scores, owner = held_out.evaluate(items, (k,), held_out.cold), held_out.owners_of(held_out.cold)
    are_cold = {"cold": np.ones(len(held_out.cold), dtype=np.bool_)}
    return score_user_segments(scores, "users without history", are_cold, owner=owner)


def measure_scores(
    measured: Measured, score: Predict, held_rows: pa.Table, held_out: HeldOut, about: About, *, are_ratings: bool
) -> None:
    """Measure the scores of held-out rows by the protocol of held-out rows alone, and as ratings where they are."""
    user_idx, item_idx, rating = (np.asarray(held_rows[name]) for name in ("user_idx", "item_idx", "rating"))
    if are_ratings:
        measured.rows += rating_errors(score, user_idx, item_idx, rating, held_out.seen, about)
    is_good = rating >= GOOD_RATING
    by_metric = held_out_only(user_idx, score(user_idx, item_idx), is_good, USERS_K, item_idx=item_idx)
    measured.held_out_only += summarise(by_metric, about)
