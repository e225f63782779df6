"""Foresee what a training by default does with interactions: its split, and how metrics do on its validation part."""

from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa

from evaluation.assess import GOOD_RATING, USERS_K, HeldOut, hold_out, score_oracle
from evaluation.checks import find_small_split, find_time_order
from evaluation.options import SplitOptions
from evaluation.ranking import Scores
from evaluation.rolling import Events, hold_out_events, refit_days
from evaluation.selection import judge_metrics, try_held_out_only, try_metrics
from evaluation.splits import Split, share_to_evaluate, split_interactions
from models.base import FittedModel, Interactions, Scorer
from models.registry import Candidate, yardsticks
from reviews.indexed import NO_TIME, IndexedReviews
from schema.columns import Columns
from schema.outlook import Outlook
from schema.verdicts import MetricTrial
from tasks.options import EvaluationOptions, SelectionOptions
from tasks.rolling import ROLLING, EventRanker, sample_size


def foresee(interactions: pa.Table, min_interactions: int) -> Outlook:
    """Return what a training by default does with interactions, and how metrics do where it compares candidates.

    Args:
        interactions: user_idx, item_idx, rating and timestamp, one row per pair, dense indices: what the k-core leaves.
        min_interactions: The k of the k-core.
    """
    sizes = _sizes(interactions)
    core = Outlook(min_interactions, interactions.num_rows, *sizes)
    if not interactions.num_rows:
        return replace(core, problem="The k-core leaves nothing.")
    if not interactions["timestamp"].null_count:
        user_idx, timestamp = (np.asarray(interactions[name], dtype=np.int64) for name in ("user_idx", "timestamp"))
        share = share_to_evaluate(user_idx, timestamp, SplitOptions().rolling_share)
        core = replace(core, time_order=find_time_order(user_idx, timestamp), share_with_past=share)
    try:
        split = split_interactions(interactions, SplitOptions(), min_interactions=min_interactions)
    except ValueError as error:
        return replace(core, problem=str(error))
    core = replace(core, method=split.counts.method)
    held_out = _hold_out(split, *sizes)
    if not len(held_out.users):
        return replace(core, problem="No user in validation has an earlier row to learn from.")
    guard = judge_metrics(SelectionOptions().metric, _try_yardsticks(split, held_out, sizes[0]))
    return replace(
        core,
        n_evaluated=held_out.n_warm,
        n_tried=held_out.counts["n_users"],
        n_held_out=int(held_out.relevant.counts[held_out.users].sum()),
        guard=guard,
        smallest=find_small_split(guard.wanted.popularity),
    )


def to_interactions(core: IndexedReviews) -> pa.Table:
    """Return the rows of a k-core as a dataset has them."""
    n_rows, ratings, times = len(core), core.ratings, core.timestamps
    return pa.table(
        {
            Columns.USER_IDX: core.user_idx,
            Columns.ITEM_IDX: core.item_idx,
            Columns.RATING: pa.nulls(n_rows, pa.float32()) if ratings is None else pa.array(ratings, from_pandas=True),
            Columns.TIMESTAMP: (
                pa.nulls(n_rows, pa.int64()) if times is None else pa.array(times, mask=times == NO_TIME)
            ),
        }
    )


def _sizes(interactions: pa.Table) -> tuple[int, int]:
    """Return how many users and items dense indices have."""
    n_users, n_items = (
        int(np.asarray(interactions[name]).max(initial=-1)) + 1 for name in (Columns.USER_IDX, Columns.ITEM_IDX)
    )
    return n_users, n_items


def _hold_out(split: Split, n_users: int, n_items: int) -> HeldOut:
    is_rolling, counts = split.counts.method == ROLLING, split.counts.validation
    sample = sample_size(counts.n_rows, counts.n_users, is_rolling=is_rolling)
    return (hold_out_events if is_rolling else hold_out)(split.train, split.validation, n_users, n_items, sample)


def _try_yardsticks(split: Split, held_out: HeldOut, n_users: int) -> list[MetricTrial]:
    """Return the trial of each metric that a training tries, those over held-out rows alone where there are ratings."""
    learnt, rows = split.train, split.validation
    interactions = Interactions(n_users, held_out.n_items, lambda name: np.asarray(learnt[name]))
    fitted = [(one, one.kind.fit(interactions, one.parameters)) for one in yardsticks()]  # chance, then popularity
    random, popularity = (_score(one, model, split, held_out, n_users) for one, model in fitted)
    trials = try_metrics(random, popularity, score_oracle(held_out, USERS_K))
    if rows[Columns.RATING].null_count:
        return trials
    users, items, rating = (np.asarray(rows[name]) for name in (Columns.USER_IDX, Columns.ITEM_IDX, Columns.RATING))
    guessed, popular = (cast("Scorer", model).score(users, items) for _, model in fitted)
    return trials + try_held_out_only(users, items, rating, rating >= GOOD_RATING, guessed, popular, USERS_K)


def _score(candidate: Candidate, model: FittedModel, split: Split, held_out: HeldOut, n_users: int) -> Scores:
    """Return the metrics at 10 of each user for a model that is fitted to train, and in turn to what came later."""
    kind = candidate.kind
    if isinstance(held_out, Events):
        timestamp = np.asarray(split.validation[Columns.TIMESTAMP])
        at_hand = {int(refit_days(timestamp, 1)[0]): model}
        ranker = EventRanker(candidate, held_out, n_users, at_hand, refit_days(timestamp, kind.refits))
        lists = ranker.rank(held_out.users, USERS_K, EvaluationOptions().evaluate_block_users)
    else:
        lists = model.rank(held_out.users, held_out.seen.take(held_out.users), USERS_K)[0]
    return held_out.by_user(held_out.evaluate(lists, (USERS_K,)))[1]
