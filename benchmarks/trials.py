"""One kind of model on one split: candidates fitted by the pipeline's task, chosen on validation, measured on test."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from benchmarks.interaction_files import Numbered
from benchmarks.measuring import MEGABYTE, Spread, peak_bytes, reset_peak
from evaluation.assess import HeldOut
from evaluation.external_lists import Lists
from evaluation.options import SplitMethod, SplitOptions
from evaluation.ranking import Scores
from evaluation.rolling import Events
from evaluation.sampled import among_sampled
from evaluation.significance import share_interval
from evaluation.splits import split_interactions
from models.registry import Candidate
from schema.arrays import Floats
from schema.errors import InvalidInput
from schema.metric import Metric
from spark.options import SparkOptions
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.fit import Parts, fit
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.recommend import rank_users
from tasks.rolling import EventRanker, count_fits, hold_out_part
from tasks.store import LEARNT, PART_FILES, scratch_folder

SHARE = 0.1
KS = (10, 20)
CHOSEN_BY = Metric("ndcg", 10)
SHOWN = tuple(Metric(name, k) for name in ("recall", "ndcg") for k in KS)
TRAIN: Parts = ("train",)
FITTED_TO: dict[SplitMethod, Parts] = {
    "random-per-user": TRAIN,
    "files": TRAIN,
    "leave-last": LEARNT,
    "rolling": LEARNT,
}
"""Parts that a model is fitted to before its test: those of published figures learnt from train alone."""


@dataclass(frozen=True)
class Trial:
    """What one kind of model did on one split.

    Attributes:
        candidate: The one chosen.
        n_candidates: Of how many.
        values: Metrics on the test part with their intervals over users; seconds of fit and of lists, and megabytes.
        by_user: What chooses, `CHOSEN_BY`, of each user of the test part: of a rolling one `linearise`d.
    """

    candidate: Candidate
    n_candidates: int
    values: dict[str, Spread]
    by_user: Floats


class _Fit(NamedTuple):
    candidate: Candidate
    model: Manifest
    parts: Parts
    seconds: float


@dataclass(frozen=True)
class Bench:
    """A split in a store of its own, for all kinds of model."""

    places: PlaceOptions
    split: Manifest

    def run(self, candidates: Sequence[Candidate], n_sampled: int = 0) -> Trial:
        """Fit the candidates of one kind, choose among them on validation, and measure the one on test.

        With n_sampled, the one held-out item of each user is ranked among so many sampled ones as well. The peak of
        memory is not that of a JVM, and so is left out where one fits.
        """
        learnt, needs = FITTED_TO[self._method], candidates[0].kind.needs
        idle_bytes = reset_peak()
        is_choice = len(candidates) > 1
        tried = [self._fit(one, TRAIN) for one in candidates] if is_choice or learnt == TRAIN else []
        best = int(np.argmax([self._rank(one, "validation")[0][CHOSEN_BY].mean() for one in tried])) if is_choice else 0
        fitted = tried[best] if learnt == TRAIN else self._fit(candidates[best], learnt)
        scores, rank_seconds = self._rank(fitted, "test")
        costs = {"fit_seconds": fitted.seconds, "rank_seconds": rank_seconds}
        if "spark" not in needs:
            costs["peak_megabytes"] = (peak_bytes() - idle_bytes) / MEGABYTE
        scores = {one: scores[one] for one in SHOWN} | (self._sample(fitted, n_sampled) if n_sampled else {})
        quality = {str(one): Spread(float(of.mean()), *share_interval(of)) for one, of in scores.items()}
        costs_alone = {name: Spread.of([value]) for name, value in costs.items()}
        return Trial(candidates[best], len(candidates), quality | costs_alone, scores[CHOSEN_BY])

    @property
    def _method(self) -> SplitMethod:
        return SplitOptions.model_validate(self.split.parameters).split or "random"

    def _fit(self, candidate: Candidate, parts: Parts) -> _Fit:
        started = time.perf_counter()
        model = fit.fn(self.places, self.split, parts, candidate, SparkOptions())
        return _Fit(candidate, model, parts, time.perf_counter() - started)

    def _rank(self, fitted: _Fit, part: str) -> tuple[Scores, float]:
        """Return the metrics of the lists of all users with rows both in what was learnt from and in a part.

        Of a rolling split, they are `linearise`d ones of all users with an interaction that is not their first day's,
        and the seconds are those of later fits too.
        """
        held_out = self._hold_out(fitted, part)
        started = time.perf_counter()
        lists = self._list(fitted, held_out, max(KS))
        seconds = time.perf_counter() - started
        return held_out.by_user(held_out.evaluate(lists, KS))[1], seconds

    def _sample(self, fitted: _Fit, n_sampled: int) -> Scores:
        """Return the metrics of the held-out items among sampled ones, from lists of the whole catalogue."""
        held_out, n_items = self._hold_out(fitted, "test"), self.split.count("n_items")
        is_held_out = self._list(fitted, held_out, n_items) == held_out.relevant.take(held_out.users).items[:, None]
        n_others = n_items - 1 - held_out.seen.take(held_out.users).counts
        n_better = np.where(is_held_out.any(axis=1), is_held_out.argmax(axis=1), n_others)
        return among_sampled(n_better, n_others, KS[0], n_sampled)

    def _hold_out(self, fitted: _Fit, part: str) -> HeldOut:
        held_out = hold_out_part(self.places, self.split, fitted.parts, part, EvaluationOptions())
        if not len(held_out.users):
            raise InvalidInput(f"no user has rows both in {' + '.join(fitted.parts)} and in {part}; use another split.")
        return held_out

    def _list(self, fitted: _Fit, held_out: HeldOut, k: int) -> Lists:
        block_users, n_users = EvaluationOptions().evaluate_block_users, self.split.count("n_users")
        if isinstance(held_out, Events):
            n_fits = count_fits(self.split, fitted.candidate.kind)
            about = self.places, n_users, fitted.candidate, [fitted.model], held_out, n_fits
            return EventRanker.of(*about).rank(held_out.users, k, block_users)
        return rank_users(self.places, self.split, fitted.model, fitted.parts, held_out.users, k, block_users)


def open_bench(data: Numbered, method: SplitMethod, seed: int, folder: Path) -> Bench:
    """Return the bench of a split of interactions, published in a store in a folder.

    The k-core is of all rows, as in published comparisons.

    Raises:
        InvalidInput: If the data cannot be split so.
    """
    shares = {"test_share": SHARE, "validation_share": SHARE} if method == "random-per-user" else {}
    options = SplitOptions(split=method, split_seed=seed, split_core="all", **shares)
    try:
        split = split_interactions(data.rows, options, data.named)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    places = PlaceOptions(store_uri=str(folder / "store"), work_dir=folder / "work")
    counts = {
        "n_users": len(data.user_ids),
        "n_items": len(data.item_ids),
        "has_ratings": data.has("rating"),
        "has_timestamps": data.has("timestamp"),
        "method": split.counts.method,
        **{f"{part}_n_rows": getattr(split, part).num_rows for part in PART_FILES},
        "validation_n_users": len(pc.unique(split.validation["user_idx"])),
    }
    with scratch_folder(places, layout.SPLITS) as scratch:
        for part, name in PART_FILES.items():
            rows = getattr(split, part)
            write_parquet([rows], scratch / name, rows.schema)
        published = artifacts.publish(
            places.open_store(),
            layout.SPLITS,
            f"seed-{seed}",
            scratch,
            inputs={},
            parameters=options.model_dump(mode="json"),
            code_version="benchmark",
            counts=counts,
        )
    return Bench(places, published)
