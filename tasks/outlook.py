"""Foresee what a training by default does with interactions: its split, and how metrics do on its validation part."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from evaluation.assess import USERS_K, HeldOut, hold_out, score_oracle
from evaluation.checks import find_small_split, find_time_order
from evaluation.options import SplitOptions
from evaluation.ranking import Scores
from evaluation.rolling import Events, hold_out_events, refit_days
from evaluation.selection import judge_metrics, try_metrics
from evaluation.splits import Split, share_to_evaluate, split_interactions
from models.base import Interactions
from models.registry import Candidate, yardsticks
from reviews.indexed import NO_TIME, IndexedReviews
from schema.columns import Columns
from schema.outlook import Outlook
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
        split = split_interactions(interactions, SplitOptions())
    except ValueError as error:
        return replace(core, problem=str(error))
    core = replace(core, method=split.counts.method)
    held_out = _hold_out(split, *sizes)
    if not len(held_out.users):
        return replace(core, problem="No user in validation has an earlier row to learn from.")
    scores = {one.kind.role: _score(one, split, held_out, sizes[0]) for one in yardsticks()}
    trials = try_metrics(scores["chance"], scores["popular"], score_oracle(held_out, USERS_K))
    guard = judge_metrics(SelectionOptions().metric, trials)
    return replace(
        core,
        n_evaluated=held_out.n_warm,
        n_tried=held_out.counts["n_users"],
        n_held_out=int(held_out.relevant.counts[held_out.users].sum()),
        guard=guard,
        smallest=find_small_split(guard.wanted.comparisons[1]),
    )


def to_interactions(core: IndexedReviews) -> pa.Table:
    """Return the rows of a k-core as a dataset has them: the indices of ids that are left, in the order of the ids."""
    n_rows = len(core)
    users, items = (np.unique(idx, return_inverse=True)[1].astype(np.int32) for idx in (core.user_idx, core.item_idx))
    ratings, times = core.ratings, core.timestamps
    return pa.table(
        {
            Columns.USER_IDX: users,
            Columns.ITEM_IDX: items,
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


def _score(candidate: Candidate, split: Split, held_out: HeldOut, n_users: int) -> Scores:
    """Return the metrics at 10 of each user for a candidate that is fitted to train, and in turn to what came later."""
    kind, learnt = candidate.kind, split.train
    model = kind.fit(
        Interactions(n_users, held_out.n_items, lambda name: np.asarray(learnt[name])), candidate.parameters
    )
    if isinstance(held_out, Events):
        timestamp = np.asarray(split.validation[Columns.TIMESTAMP])
        at_hand = {int(refit_days(timestamp, 1)[0]): model}
        ranker = EventRanker(candidate, held_out, n_users, at_hand, refit_days(timestamp, kind.refits))
        lists = ranker.rank(held_out.users, USERS_K, EvaluationOptions().evaluate_block_users)
    else:
        lists = model.rank(held_out.users, held_out.seen.take(held_out.users), USERS_K)[0]
    return held_out.by_user(held_out.evaluate(lists, (USERS_K,)))[1]
