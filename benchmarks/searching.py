"""What a training's own search finds on the split of a bench, and how it does beside the best single kind of model."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect_dask.task_runners import DaskTaskRunner

from benchmarks.measuring import Spread
from benchmarks.trials import CHOSEN_BY, Bench, Trial
from evaluation.significance import compare_paired
from flows.pipeline import Trials, kept
from flows.run_options import RunOptions
from flows.runtime import open_dask, open_prefect_api
from flows.settings import Environment
from models.registry import Candidate, ModelOptions
from schema.verdicts import Comparison
from tasks.options import EvaluationOptions, SearchOptions, SelectionOptions
from tasks.racing import Tried


@dataclass(frozen=True)
class Searched:
    """What a search found on one split.

    Attributes:
        trial: The candidate that a training would choose, among all that were tried, on the test part.
        best: Of each kind that candidates were tried of, the one that is best on validation, and of how many.
        n_drawn: How many candidates were drawn.
    """

    trial: Trial
    best: Mapping[str, tuple[Candidate, int]]
    n_drawn: int

    def run_kind(self, bench: Bench, candidates: Sequence[Candidate], n_sampled: int = 0) -> Trial:
        """Measure what was found of a kind on another bench; of a kind that was not tried, its usual candidates."""
        model = candidates[0].model
        if model not in self.best:
            return bench.run(candidates, n_sampled)
        best, n_candidates = self.best[model]
        return replace(bench.run([best], n_sampled), n_candidates=n_candidates)


@contextmanager
def open_server(folder: Path) -> Iterator[None]:
    """Run a Prefect server for searches, with a database of its own in a folder."""
    with temporary_settings({PREFECT_HOME: folder, PREFECT_API_URL: None}), open_prefect_api():
        yield


def search_on(bench: Bench, models: ModelOptions, options: SearchOptions, n_sampled: int = 0) -> Searched:
    """Search as a training does, and measure what it chooses on the test part; the bench must have fitted nothing yet.

    The seconds of the search are those of all its fits and lists, of baselines too. What it fitted to the training part
    is not fitted again, so that where models are tested so, the seconds of that fit are those of finding it.
    """
    environment = Environment(places=bench.places, run=RunOptions(log_level="WARNING"))
    selection = SelectionOptions(guard="warn")
    trials = Trials(environment, bench.split, EvaluationOptions())
    cluster: Any = open_dask  # as flows have it
    runner: Any = DaskTaskRunner(cluster_class=cluster, cluster_kwargs={"environment": environment})
    flow = Flow(lambda: trials.search(models, options, selection), name="search", task_runner=runner)
    started = time.perf_counter()
    tried, choice = flow()
    seconds = time.perf_counter() - started
    trial = bench.run([choice.scored.candidate], n_sampled)
    values = {name: value for name, value in trial.values.items() if name != "peak_megabytes"}
    values["search_seconds"] = Spread.of([seconds])
    n_drawn = sum(one.seconds is not None for one in tried)
    return Searched(replace(trial, n_candidates=len(tried), values=values), _best_of_each(tried), n_drawn)


def _best_of_each(tried: Sequence[Tried]) -> dict[str, tuple[Candidate, int]]:
    ranked = [one for one in kept(tried) if one.candidate.kind.ranks]
    ascending = sorted(ranked, key=lambda one: one.value(CHOSEN_BY) or 0.0)
    n_tried = Counter(one.model for one in tried)
    return {one.candidate.model: (one.candidate, n_tried[one.candidate.model]) for one in ascending}


def compare_with_best(found: Trial, singles: Sequence[Trial]) -> Comparison:
    """Compare what a search found with the kind of model that is the best on the test part of the same split."""
    best = max(singles, key=lambda one: one.values[str(CHOSEN_BY)].value)
    return compare_paired(found.candidate.model, best.candidate.model, CHOSEN_BY, found.by_user, best.by_user)


def say_searched(searched: Searched, singles: Sequence[Trial]) -> str:
    """Return what a search chose, and whether it is within the interval of the best kind of the same split."""
    trial, found = searched.trial, compare_with_best(searched.trial, singles)
    seconds, within = trial.values["search_seconds"].value, "no" if found.outcome == "worse" else "yes"
    return (
        f"{trial.candidate.label}; of {trial.n_candidates} candidates, {searched.n_drawn} drawn, in {seconds:.0f} s\n"
        f"{found.metric} {found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f}) beside the best kind on test, "
        f"{found.against}; within the interval of the best: {within}"
    )
