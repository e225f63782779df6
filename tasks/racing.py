"""Race candidates that are drawn from the spaces of kinds of model on ever more users of validation."""

import math
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from loguru import logger

from evaluation.significance import compare_paired, linearise_part
from models.registry import KINDS, Candidate
from models.space import Space, draw
from schema.metric import Metric
from schema.verdicts import Comparison
from storage import layout
from storage.manifest import Manifest
from tasks.blending import combine_best
from tasks.execution import progress
from tasks.options import EvaluationOptions, PlaceOptions, SearchOptions
from tasks.score import Scored
from tasks.store import read_table

RACE_USERS = (1000, 4000)
N_EVEN = 8  # of the draws of a kind, the first ones, every second of which is from all of the space
N_LEAST = 8  # draws of the quickest kind before it may be given up; of others as many fewer as they take longer
MOST_MINUTES = 5.0  # of the default budget
MOST_REPEATS = 50  # draws in a row of what was tried before a space counts as used up
WIDTH, SHRINK = 0.25, 0.93  # of the draws around the best: a share of each range, and its factor from draw to draw

Measure = Callable[[Candidate, EvaluationOptions, int | None], Scored]
"""Fits a candidate to train, and scores it on as many users of validation as the options say; on that of a rolling
split with so many fits, or as many as usual."""


@dataclass(frozen=True)
class Tried:
    """A candidate on validation.

    Attributes:
        scored: The candidate with its scores, of the users that are compared or of those that it was dropped on.
        value: The metric over the users that are compared; of one dropped, that of its rival and the difference.
        is_dropped: Whether it was worse than the best of its kind on a sample of the users, or by one fit throughout a
            part of a rolling split, or is not shown to be better than the fixed ones of its kind, or, made of others,
            than the best of them.
        seconds: Seconds that fitting and scoring took in this run; None for a candidate that was not drawn.
        fits: How many fits of a rolling split it was scored with; None: as many as usual.
    """

    scored: Scored
    value: float
    is_dropped: bool = False
    seconds: float | None = None
    fits: int | None = None

    @property
    def model(self) -> str:
        """Name of its kind."""
        return self.scored.candidate.model


@dataclass
class Budget:
    """How much is drawn.

    Attributes:
        tries: Most candidates.
        minutes: Most minutes.
        turns: For how many of the quickest kind it is; one of a kind that takes five times as long counts as five.
        began: Seconds on the monotonic clock.
    """

    tries: float = math.inf
    minutes: float = math.inf
    turns: float = math.inf
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, options: SearchOptions, split: Manifest) -> "Budget":
        """Return the budget that is asked for, or the usual one for the number of interactions to learn from."""
        if options.search_tries is not None:
            return cls(tries=options.search_tries)
        if options.budget_minutes is not None:
            return cls(minutes=options.budget_minutes)
        n_rows = max(split.count("train_n_rows"), 1)
        return cls(minutes=MOST_MINUTES, turns=min(round(n_rows / 10_000), 5_000_000 / n_rows))

    @property
    def is_nothing(self) -> bool:
        """Whether it allows for no candidate."""
        return self.turns < 1 or not min(self.tries, self.minutes)

    def allows(self, n_drawn: int, turns: float) -> bool:
        """Tell whether one more candidate may be drawn, after so many, with which they take so many turns."""
        is_early = time.monotonic() - self.began < 60 * self.minutes
        return n_drawn < self.tries and is_early and turns <= self.turns


@dataclass
class Race:
    """Draws candidates of kinds in turn, and measures each until it is clearly worse than its rival.

    Attributes:
        fits: With how many fits of a rolling split candidates are raced: of the best of each kind, what counts in the
            end is measured with as many as usual.
        tried: The fixed candidates, and in the end those drawn.
        raced: Those that are raced, of each kind the fixed ones first.
    """

    places: PlaceOptions
    measure: Measure
    spaces: Mapping[str, Space]
    seed: int
    budget: Budget
    evaluation: EvaluationOptions
    metric: Metric
    fits: int | None
    tried: list[Tried]
    raced: list[Tried] = field(default_factory=list)

    @property
    def drawn(self) -> list[Tried]:
        """What was drawn."""
        return [one for one in self.tried if one.seconds is not None]

    def run(self) -> None:
        """Draw until the budget is used up, or nothing is left to draw."""
        self.raced = [self._enter(one) for one in self.tried if one.model in self.spaces]
        n_fixed, n_drawn, n_repeats = len(self.raced), dict.fromkeys(self.spaces, 0), dict.fromkeys(self.spaces, 0)
        with progress("Searching", key="search", unit=" candidates") as advance:
            while model := self._next(n_drawn, self.raced[n_fixed:]):
                candidate = self._draw(model, n_drawn[model], is_even=n_repeats[model] > 0)
                n_drawn[model] += 1
                if any(one.scored.candidate == candidate for one in self.raced):
                    n_repeats[model] += 1
                    if n_repeats[model] >= MOST_REPEATS:
                        logger.info("All that {} can draw was tried, or nearly", model)
                        del n_drawn[model]
                    continue
                n_repeats[model] = 0
                self.raced.append(self._race(candidate))
                advance(len(self.raced) - n_fixed, None if math.isinf(self.budget.tries) else int(self.budget.tries))
        best = [self._best(model) for model in self.spaces] if self.fits else self.raced
        fixed, drawn = self.raced[:n_fixed], self.raced[n_fixed:]
        self.tried += [self._finish(one, is_kept=one in best and self._is_better(one, fixed)) for one in drawn]

    def _next(self, n_drawn: dict[str, int], drawn: Sequence[Tried]) -> str | None:
        """Return the kind whose turn it is: of those left, the one of the least cost up to its next candidate."""
        quickest = min((KINDS[model].cost for model in self.spaces), default=1)
        turns = {model: KINDS[model].cost / quickest for model in self.spaces}
        for model in [*n_drawn]:
            if n_drawn[model] >= N_LEAST // turns[model] and self._is_beaten(model):
                logger.info("{} is clearly worse than {}: no more of it", model, self._best().model)
                del n_drawn[model]
        spent = {model: turns[model] * sum(one.model == model for one in drawn) for model in self.spaces}
        able = [model for model in n_drawn if self.budget.allows(len(drawn), sum(spent.values()) + turns[model])]
        return min(able, key=lambda model: spent[model] + turns[model], default=None)

    def _enter(self, fixed: Tried) -> Tried:
        """Return a fixed candidate as those drawn are measured."""
        if self.fits is None:
            return fixed
        return replace(fixed, scored=self.measure(fixed.scored.candidate, self.evaluation, self.fits), fits=self.fits)

    def _finish(self, one: Tried, *, is_kept: bool) -> Tried:
        """Return a candidate that was drawn as it counts: dropped, or on a rolling split with as many fits as usual."""
        if not is_kept:
            return replace(one, is_dropped=True)
        if self.fits is None:
            return one
        scored = self.measure(one.scored.candidate, self.evaluation, None)
        return replace(one, scored=scored, value=scored.value(self.metric) or 0.0, fits=None)

    def _is_better(self, one: Tried, fixed: Iterable[Tried]) -> bool:
        """Tell whether one is shown to be better than the fixed ones of its kind: the best of many may be luck."""
        usual = max((other for other in fixed if other.model == one.model), key=lambda other: other.value)
        return not one.is_dropped and self._compare(one.scored, usual).outcome == "better"

    def combine(self, split: Manifest, names: Iterable[str]) -> None:
        """Try what can be made of the best candidate of each kind; what is not better than the best is dropped."""
        kept = [one.scored for one in self.tried if not one.is_dropped]
        began = time.monotonic()

        def measure(candidate: Candidate) -> Scored:
            return self.measure(candidate, self.evaluation, None)

        def compare(scored: Scored, other: Scored) -> Comparison:
            return self._compare(scored, Tried(other, 0.0))

        users = self.evaluation.evaluate_users
        for one in combine_best(self.places, split, kept, names, self.metric, measure, compare, users):
            value = one.scored.value(self.metric) or 0.0
            self.tried.append(Tried(one.scored, value, not one.is_better, time.monotonic() - began))

    def replay(self, record: Mapping[str, Any]) -> None:
        """Find again what a search tried."""
        for one in record["tried"]:
            candidate = Candidate(model=one["model"], parameters=one["parameters"])
            scored = self.measure(candidate, self._on(one["users"]), one["fits"])
            self.tried.append(Tried(scored, one["value"], one["is_dropped"], 0.0, one["fits"]))

    def _draw(self, model: str, number: int, *, is_even: bool) -> Candidate:
        """Return the next candidate of a kind: from all of its space, at first each second time, or near the best."""
        fixed = [one.scored.candidate for one in self.tried if one.model == model and one.seconds is None]
        is_even = is_even or (number < N_EVEN and number % 2 == 1)
        near = None if is_even else self._best(model).scored.candidate.parameters
        seed = (self.seed, zlib.crc32(model.encode()), number)
        drawn = draw(self.spaces[model], seed, near, WIDTH * SHRINK**number)
        return Candidate(model=model, parameters={**fixed[number % len(fixed)].parameters, **drawn})

    def _race(self, candidate: Candidate) -> Tried:
        """Measure a candidate on more and more users, until it is clearly worse than the best of its kind."""
        rival, began = self._best(candidate.model), time.monotonic()
        n_all = rival.scored.scores.count("n_users")
        stages = [*(n for n in RACE_USERS if n < n_all), self.evaluation.evaluate_users]
        for n_users in stages:
            scored = self.measure(candidate, self._on(n_users), self.fits)
            found = self._compare(scored, rival)
            if found.outcome == "worse":
                break
        value, is_dropped = rival.value + found.difference, n_users != stages[-1]
        end = f", and dropped on {n_users:,} users" if is_dropped else ""
        logger.info("Tried {}: {} {:.4f}{}", candidate.label, self.metric, value, end)
        return Tried(scored, value, is_dropped, time.monotonic() - began, self.fits)

    def _on(self, n_users: int | None) -> EvaluationOptions:
        return self.evaluation.model_copy(update={"evaluate_users": n_users})

    def _best(self, model: str | None = None) -> Tried:
        """Return the best of a kind, or of all that are raced, among those that are in; of equals, the first."""
        able = (one for one in self.raced if not one.is_dropped and model in (None, one.model))
        return max(able, key=lambda one: one.value)

    def _is_beaten(self, model: str) -> bool:
        own, best = self._best(model), self._best()
        return own is not best and self._compare(own.scored, best).outcome == "worse"

    def _compare(self, scored: Scored, rival: Tried) -> Comparison:
        """Compare a candidate with one that is measured on the same users, and perhaps on more."""
        tables = [read_table(self.places, one.scores, layout.USERS) for one in (scored, rival.scored)]
        users, all_users = (np.asarray(table["user_idx"]) for table in tables)
        values, all_values = (np.asarray(table[str(self.metric)]) for table in tables)
        kept = np.searchsorted(all_users, users)
        if "n_events" in tables[1].column_names:
            same = linearise_part(all_values, np.asarray(tables[1]["n_events"]), kept)
        else:
            same = all_values[kept]
        return compare_paired(scored.candidate.label, rival.scored.candidate.label, self.metric, values, same)
