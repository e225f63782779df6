"""Rank for the events of a rolling split: each by a model that was fitted to what came before its day."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from evaluation.assess import HeldOut, hold_out
from evaluation.assignment import SECONDS_PER_DAY
from evaluation.external_lists import Lists
from evaluation.rolling import Events, hold_out_events, refit_days
from models.base import FittedModel, HistoryRanker, Interactions, ReadContent, no_content
from models.registry import Candidate, Kind
from storage import layout
from storage.manifest import Manifest
from tasks.fit import load_model
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.recommend import AGAIN, HISTORY_COLUMNS, WORTH_SENDING, cut, spread
from tasks.store import PART_FILES, find_again, read_parts

ROLLING = "rolling"
MOST_ROWS = 5_000_000
MOST_LISTS = 50_000
LEAST_USERS = 4000
HOLDING = Lock()


def hold_out_part(
    places: PlaceOptions, split: Manifest, learnt: Sequence[str], part: str, options: EvaluationOptions
) -> HeldOut:
    """Return who is evaluated on what of a part of a split: users, or of a rolling split events; not to be written to.

    What was asked for lately is at hand: candidates are scored one after the other for the same.
    """
    with HOLDING:
        return _hold_out(places, split.id, tuple(learnt), part, options.evaluate_users)


@lru_cache(maxsize=4)
def _hold_out(
    places: PlaceOptions, split_id: str, learnt: tuple[str, ...], part: str, most_users: int | None
) -> HeldOut:
    split = find_again(places.open_store(), layout.SPLITS, split_id, AGAIN)
    rows, held_rows = (read_parts(places, split, parts, HISTORY_COLUMNS) for parts in (learnt, (part,)))
    hold = hold_out_events if split.counts["method"] == ROLLING else hold_out
    return hold(rows, held_rows, split.count("n_users"), split.count("n_items"), most_users)


def sample_of_validation(split: Manifest, most: int) -> int | None:
    """Return on how many users of validation there are about so many lists: see `sample_size`."""
    n_rows, n_users = (split.count(f"validation_n_{what}") for what in ("rows", "users"))
    return sample_size(n_rows, n_users, most, is_rolling=split.counts["method"] == ROLLING)


def sample_size(n_rows: int, n_users: int, most: int = MOST_LISTS, *, is_rolling: bool) -> int | None:
    """Return how many users have about so many lists, `LEAST_USERS` at least; None for all of them.

    A user has one list, or on a rolling split one for each row. Comparisons are over users, so it takes some.
    """
    sample = max(n_users * most // max(n_rows if is_rolling else n_users, 1), LEAST_USERS)
    return None if sample >= n_users else sample


def count_fits(split: Manifest, kind: Kind, asked: int | None = None) -> int | None:
    """Return how many models of a kind serve in turn in a part of a split; None: one of each day.

    It is 1 unless the split is a rolling one and the kind ranks; then what is asked for, here or by ``rolling_refits``,
    or else what its kind says, or fewer, so that no more than `MOST_ROWS` are fitted to in all.
    """
    if split.counts["method"] != ROLLING or not kind.ranks:
        return 1
    if asked := asked or _asked_by_setting(split):
        return asked
    n_rows = sum(split.count(f"{part}_n_rows") for part in PART_FILES)
    return kind.refits and max(1, min(kind.refits, MOST_ROWS // max(n_rows, 1)))


def _asked_by_setting(split: Manifest) -> int | None:
    asked = split.parameters["rolling_refits"]
    return None if asked is None else int(str(asked))


def later_cuts(places: PlaceOptions, split: Manifest, part: str, kind: Kind, asked: int | None = None) -> list[int]:
    """Return the first seconds of the days, after the first, from which kept fits of a kind serve in a part.

    They are as many as are asked for, and none of a cheap kind.
    """
    n = asked or _asked_by_setting(split) if count_fits(split, kind, asked) != 1 and not kind.is_cheap else None
    if n is None:
        return []
    timestamp = np.asarray(read_parts(places, split, (part,), ["timestamp"])["timestamp"])
    return [int(day) * SECONDS_PER_DAY for day in refit_days(timestamp, n)[1:]]


@dataclass(frozen=True, eq=False)
class EventRanker:
    """Ranks for events by models of one candidate.

    Attributes:
        candidate: What the models are fits of.
        events: The events of a part, and what was known before them.
        n_users: Users of the dataset.
        models: Fitted models with the day from which each serves, those that are at hand, the first among them.
        days: Days from which models serve; for those without one at hand, the one before it is brought up to date.
        content: Returns what is known of items.
    """

    candidate: Candidate
    events: Events
    n_users: int
    models: dict[int, FittedModel]
    days: NDArray[np.int64]
    content: ReadContent = no_content

    @classmethod
    def of(
        cls,
        places: PlaceOptions,
        n_users: int,
        candidate: Candidate,
        fits: Sequence[Manifest],
        events: Events,
        n_in_turn: int | None,
        content: ReadContent = no_content,
    ) -> "EventRanker":
        """Return the ranker of published fits: to what came before the part, and to more at later cuts.

        Args:
            places: Where they are.
            n_users: Users of the dataset.
            candidate: What they are fits of.
            fits: The first of them serves from the first day on.
            events: Of the part.
            n_in_turn: How many models serve in turn; None: one of each day. For those that are not at hand, the
                latest that is is brought up to date.
            content: Returns what is known of items.
        """
        timestamp = np.asarray(events.rows["timestamp"])[-len(events.user) :]
        first, models = refit_days(timestamp, 1), [load_model(places, one) for one in fits]
        days = np.array([*first, *(int(str(one.parameters["until"])) // SECONDS_PER_DAY for one in fits[1:])])
        at_hand = dict(zip(days.tolist(), models, strict=True))
        days = np.union1d(days, refit_days(timestamp, n_in_turn))
        return cls(candidate, events, n_users, at_hand, days, content)

    def rank(self, wanted: NDArray[np.int64], k: int, block: int) -> Lists:
        """Return the k best items for each of some events, shape (n, k), best first; -1 where none is left.

        Args:
            wanted: Numbers of events.
            k: Length of each list.
            block: Most lists that are ranked at once.
        """
        queries, place = np.unique(self.events.query[wanted], return_inverse=True)
        rank, is_worth_sending = partial(EventRanker._rank_span, block=block), len(queries) > min(block, WORTH_SENDING)
        lists = spread(rank, self, partial(self._spans, queries, block), k, is_worth_sending=is_worth_sending)
        return np.concatenate([np.empty((0, k), dtype=np.int32), *lists])[place]

    def _spans(self, queries: NDArray[np.int64], block: int, n_threads: int) -> list[NDArray[np.int64]]:
        """Return the queries that each model serves, in blocks where it is at hand: one that is not is made once."""
        of_models = np.split(queries, np.searchsorted(self.events.query_day[queries], self.days[1:]))
        spans = zip(self.days.tolist(), of_models, strict=True)
        cuts = (cut(span, block, n_threads) if day in self.models else [span] for day, span in spans if len(span))
        return [span for blocks in cuts for span in blocks]

    def _rank_span(self, queries: NDArray[np.int64], k: int, block: int) -> Lists:
        day = int(self.days[np.searchsorted(self.days, self.events.query_day[queries[0]], side="right") - 1])
        model = self.model_of(day)
        return np.concatenate([self._rank_queries(model, some, k) for some in cut(queries, block)])

    def model_of(self, day: int) -> FittedModel:
        """Return the model of a day, brought up to the rows of earlier days; its own arrays end before that day."""
        latest = max(at for at in self.models if at <= day)
        if latest == day:
            return self.models[day]
        n_known = int(np.searchsorted(np.asarray(self.events.rows["timestamp"]), day * SECONDS_PER_DAY))
        known = self.events.rows.slice(0, n_known)
        interactions = Interactions(
            self.n_users, self.events.n_items, lambda name: np.asarray(known[name]), content=self.content
        )
        return self.candidate.kind.renew(self.models[latest], interactions, self.candidate.parameters)

    def _rank_queries(self, model: FittedModel, queries: NDArray[np.int64], k: int) -> Lists:
        histories = self.events.known.take(queries)
        if isinstance(model, HistoryRanker):
            return model.rank_histories(histories, histories.items, k)[0]
        return model.rank(self.events.query_user[queries], histories.items, k)[0]
