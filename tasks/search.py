"""Search on validation: draw candidates of each kind, race them on ever more users, and record what was tried."""

import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from prefect.artifacts import create_table_artifact

from evaluation.significance import compare_paired, linearise_part
from models.registry import KINDS, Candidate, ModelOptions, find_kinds, space_of
from models.space import Space, draw
from reports.report_input import SearchedKind
from schema.metric import Metric
from schema.verdicts import Comparison
from storage import canonical, layout
from storage.manifest import Manifest
from tasks.blending import combine_best
from tasks.execution import progress
from tasks.options import EvaluationOptions, PlaceOptions, SearchOptions
from tasks.score import Scored, read_rows
from tasks.store import local_file, publish_once, read_table, write_record

RACE_USERS = (1000, 4000)
N_EVEN = 8  # of the draws of a kind, the first ones, every second of which is from all of the space
N_LEAST = 8  # draws before a kind may be given up
MOST_REPEATS = 50  # draws in a row of what was tried before a space counts as used up
WIDTH, SHRINK = 0.25, 0.93  # of the draws around the best: a share of each range, and its factor from draw to draw

Measure = Callable[[Candidate, EvaluationOptions], Scored]
"""Fits a candidate to train, and scores it on as many users of validation as the options say."""


@dataclass(frozen=True)
class Tried:
    """A candidate on validation.

    Attributes:
        scored: The candidate with its scores, of all users or of those that it was dropped on.
        value: The metric over all users; of one that was dropped, that of its rival and the difference on the sample.
        is_dropped: Whether it was clearly worse than the best of its kind on a sample of the users, or, made of
            others, is not shown to be better than the best of them.
        seconds: Seconds that fitting and scoring took in this run; None for a candidate that was not drawn.
    """

    scored: Scored
    value: float
    is_dropped: bool = False
    seconds: float | None = None

    @property
    def model(self) -> str:
        """Name of its kind."""
        return self.scored.candidate.model


def search(
    places: PlaceOptions,
    split: Manifest,
    measure: Measure,
    fixed: Sequence[Scored],
    models: ModelOptions,
    options: SearchOptions,
    evaluation: EvaluationOptions,
    metric: Metric,
) -> list[Tried]:
    """Return the fixed candidates and those drawn, in order; a search that was done is not done again.

    What is drawn next depends on the seed and on the scores before it alone, so that one that was cut off goes on with
    what it finds fitted and scored.

    Args:
        places: Where artifacts are.
        split: Whose validation part decides; the test part is not read.
        measure: Scores a candidate.
        fixed: The candidates of the options, scored on validation.
        models: What the kinds obey; parameters whose options were given are not drawn.
        options: How long, and from which seed.
        evaluation: Who is evaluated in the end.
        metric: Higher is better; one that is kept for each user.
    """
    tried = [Tried(one, one.value(metric) or 0.0) for one in fixed]
    able = [one.candidate for one in fixed if one.candidate.kind.ranks]
    asked = {kind.name for kinds in find_kinds(options.names).values() for kind in kinds}
    spaces = {one.model: space_of(one.kind, models) for one in able if one.model in asked}
    spaces = {model: space for model, space in spaces.items() if space}
    if not (options.search_tries or (options.search_tries is None and options.budget_minutes)):
        spaces = {}
    found_able = {one.model for one in able}
    combining = [name for name, kind in KINDS.items() if name in asked and len(kind.takes & found_able) > 1]
    if not spaces and not combining:
        return tried
    race = _Race(places, measure, spaces, options, evaluation, metric, tried)

    def build(folder: Path) -> dict[str, Any]:
        race.run()
        race.combine(split, combining)
        write_record(folder / layout.SEARCH, {"tried": [_record(one) for one in race.drawn]})
        return {"n_drawn": len(race.drawn), "n_dropped": sum(one.is_dropped for one in race.drawn)}

    found = publish_once(
        places,
        layout.SEARCHES,
        inputs={"split": split.id},
        parameters={
            **options.model_dump(mode="json"),
            "metric": str(metric),
            "evaluate_users": evaluation.evaluate_users,
            "fixed": [one.scores.id for one in fixed],
            "drawn": {model: sorted(space) for model, space in spaces.items()},
        },
        build=build,
        uses=[type(one.candidate.kind) for one in fixed],
    )
    if not race.drawn:
        race.replay(canonical.decode_object(local_file(places, found, layout.SEARCH).read_bytes(), found.name))
    _show(places, race.tried, metric)
    return race.tried


@dataclass
class _Race:
    """Draws one candidate of each kind after the other, and measures it until it is clearly worse than its rival."""

    places: PlaceOptions
    measure: Measure
    spaces: Mapping[str, Space]
    options: SearchOptions
    evaluation: EvaluationOptions
    metric: Metric
    tried: list[Tried]
    began: float = field(default_factory=time.monotonic)

    @property
    def drawn(self) -> list[Tried]:
        return [one for one in self.tried if one.seconds is not None]

    def run(self) -> None:
        """Draw until the tries or the minutes are over, or nothing is left to draw."""
        n_drawn, n_repeats = dict.fromkeys(self.spaces, 0), dict.fromkeys(self.spaces, 0)
        with progress("Searching", key="search", unit=" candidates") as advance:
            for model in cycle(self.spaces):
                if self._is_over() or not n_drawn:
                    return
                if model not in n_drawn:
                    continue
                candidate = self._draw(model, n_drawn[model], is_even=n_repeats[model] > 0)
                n_drawn[model] += 1
                if any(one.scored.candidate == candidate for one in self.tried):
                    n_repeats[model] += 1
                    if n_repeats[model] >= MOST_REPEATS:
                        logger.info("All that {} can draw was tried, or nearly", model)
                        del n_drawn[model]
                    continue
                n_repeats[model] = 0
                self.tried.append(self._race(candidate))
                advance(len(self.drawn), self.options.search_tries)
                if n_drawn[model] >= N_LEAST and self._is_beaten(model):
                    logger.info("{} is clearly worse than {}: no more of it", model, self._best().model)
                    del n_drawn[model]

    def combine(self, split: Manifest, names: Iterable[str]) -> None:
        """Try what can be made of the best candidate of each kind; what is not better than the best is dropped."""
        kept = [one.scored for one in self.tried if not one.is_dropped]
        began = time.monotonic()

        def measure(candidate: Candidate) -> Scored:
            return self.measure(candidate, self.evaluation)

        def compare(scored: Scored, other: Scored) -> Comparison:
            return self._compare(scored, Tried(other, 0.0))

        for one in combine_best(self.places, split, kept, names, self.metric, measure, compare):
            value = one.scored.value(self.metric) or 0.0
            self.tried.append(Tried(one.scored, value, not one.is_better, time.monotonic() - began))

    def replay(self, record: Mapping[str, Any]) -> None:
        """Find again what a search tried."""
        for one in record["tried"]:
            candidate = Candidate(model=one["model"], parameters=one["parameters"])
            scored = self.measure(candidate, self._on(one["users"]))
            self.tried.append(Tried(scored, one["value"], one["is_dropped"], 0.0))

    def _is_over(self) -> bool:
        if self.options.search_tries is not None:
            return len(self.drawn) >= self.options.search_tries
        return time.monotonic() - self.began >= 60 * self.options.budget_minutes

    def _draw(self, model: str, number: int, *, is_even: bool) -> Candidate:
        """Return the next candidate of a kind: from all of its space, at first each second time, or near the best."""
        fixed = [one.scored.candidate for one in self.tried if one.model == model and one.seconds is None]
        is_even = is_even or (number < N_EVEN and number % 2 == 0)
        near = None if is_even else self._best(model).scored.candidate.parameters
        seed = (self.options.search_seed, zlib.crc32(model.encode()), number)
        drawn = draw(self.spaces[model], seed, near, WIDTH * SHRINK**number)
        return Candidate(model=model, parameters={**fixed[number % len(fixed)].parameters, **drawn})

    def _race(self, candidate: Candidate) -> Tried:
        """Measure a candidate on more and more users, until it is clearly worse than the best of its kind."""
        rival, began = self._best(candidate.model), time.monotonic()
        n_all = rival.scored.scores.count("n_users")
        stages = [*(n for n in RACE_USERS if n < n_all), self.evaluation.evaluate_users]
        for n_users in stages:
            scored = self.measure(candidate, self._on(n_users))
            found = self._compare(scored, rival)
            if found.outcome == "worse":
                break
        value, is_dropped = rival.value + found.difference, n_users != stages[-1]
        end = f", and dropped on {n_users:,} users" if is_dropped else ""
        logger.info("Tried {}: {} {:.4f}{}", candidate.label, self.metric, value, end)
        return Tried(scored, value, is_dropped, time.monotonic() - began)

    def _on(self, n_users: int | None) -> EvaluationOptions:
        return self.evaluation.model_copy(update={"evaluate_users": n_users})

    def _best(self, model: str | None = None) -> Tried:
        """Return the best of a kind, or of all, among those measured on all users; of equals, the first."""
        able = [one for one in self.tried if not one.is_dropped and one.scored.candidate.kind.ranks]
        return max((one for one in able if model in (None, one.model)), key=lambda one: one.value)

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


def _record(one: Tried) -> dict[str, Any]:
    users = one.scored.scores.parameters["evaluate_users"]
    return {**one.scored.candidate.model_dump(), "users": users, "value": one.value, "is_dropped": one.is_dropped}


def _show(places: PlaceOptions, tried: Sequence[Tried], metric: Metric) -> None:
    """Show what was tried, by kind, on Prefect's pages."""
    rows = [
        {
            "kind": one.name,
            "tried": one.n_tried,
            "dropped": one.n_dropped,
            f"best {metric}": f"{one.best.value:.4f} ({one.best.low:.4f} to {one.best.high:.4f})",
            "seconds": round(sum(other.seconds or 0 for other in tried if other.model == one.name), 1),
        }
        for one in describe(places, tried, metric)
    ]
    about = "What was drawn beside the fixed candidates, by kind, on validation; seconds are those of this run"
    create_table_artifact(rows, key="search", description=about)


def describe(places: PlaceOptions, tried: Sequence[Tried], metric: Metric) -> list[SearchedKind]:
    """Return what was tried of each kind that candidates were drawn of, the best first."""
    models = dict.fromkeys(one.model for one in tried if one.seconds is not None)
    found = []
    for model in models:
        own = [one for one in tried if one.model == model]
        best = max(own, key=lambda one: (not one.is_dropped, one.value))
        [row] = [row for row in read_rows(places, best.scored.scores) if row.key == metric]
        found.append(SearchedKind(model, len(own), sum(one.is_dropped for one in own), row, _effects(own)))
    return sorted(found, key=lambda one: -one.best.value)


def _effects(tried: Sequence[Tried]) -> dict[str, float]:
    """Return how much of the differences between candidates of a kind each parameter explains by itself, from 0 to 1.

    It is the R² of a parabola over the parameter's share of its range, where enough candidates have values of it.
    """
    effects = {}
    for name, space in tried[0].scored.candidate.kind.ranges.items():
        given = [(one.scored.candidate.parameters.get(name), one.value) for one in tried]
        at = np.array([space.share(parameter) for parameter, _ in given if parameter is not None])
        values = np.array([value for parameter, value in given if parameter is not None])
        if len(np.unique(at)) >= N_LEAST and values.std() > 0:
            rest = values - np.polyval(np.polyfit(at, values, 2), at)
            effects[name] = float(1 - rest.var() / values.var())
    return effects
