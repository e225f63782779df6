"""Search on validation: fixed candidates, then those that a race of each kind's own draws, and what was tried."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from prefect.artifacts import create_table_artifact

from models.registry import KINDS, ModelOptions, find_kinds, space_of
from reports.display import say_sample
from reports.report_input import SearchedKind
from schema.metric import Metric
from storage import canonical, layout
from storage.manifest import Manifest
from tasks.options import EvaluationOptions, PlaceOptions, SearchOptions
from tasks.racing import N_LEAST, Budget, Measure, Race, Tried
from tasks.rolling import MOST_LISTS, ROLLING, sample_of_validation
from tasks.score import Scored, read_rows
from tasks.store import local_file, publish_once, write_record


def sample_validation(split: Manifest, evaluation: EvaluationOptions) -> EvaluationOptions:
    """Return whom candidates are compared on: as asked for, or of validation as many as have about `MOST_LISTS`."""
    sample = sample_of_validation(split, MOST_LISTS)
    if evaluation.evaluate_users or sample is None:
        return evaluation
    return evaluation.model_copy(update={"evaluate_users": sample})


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
    asked = {kind.name for kinds in find_kinds(options.names).values() for kind in kinds}
    able = {one.candidate.model: one.candidate.kind for one in fixed if one.candidate.kind.ranks}
    has_timestamps, budget = bool(split.counts["has_timestamps"]), Budget.of(options, split)
    spaces = {model: space_of(able[model], models, has_timestamps=has_timestamps) for model in able if model in asked}
    spaces = {model: space for model, space in spaces.items() if space and not budget.is_nothing}
    combining = [name for name, kind in KINDS.items() if name in asked and len(kind.takes & able.keys()) > 1]
    if not spaces and (options.search_tries or options.budget_minutes):
        logger.warning("Nothing is drawn: of {}, no parameter is open that is drawn", ", ".join(options.names))
    if not spaces and not combining:
        return tried
    fits = 1 if split.counts["method"] == ROLLING else None
    race = Race(places, measure, spaces, options.search_seed, budget, evaluation, metric, fits, tried)

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
        uses=[*(type(one.candidate.kind) for one in fixed), *(type(KINDS[name]) for name in combining)],
    )
    if not race.drawn:
        race.replay(canonical.decode_object(local_file(places, found, layout.SEARCH).read_bytes(), found.name))
    _show(places, race.tried, metric)
    return race.tried


def _record(one: Tried) -> dict[str, Any]:
    about = {name: getattr(one, name) for name in ("value", "is_dropped", "fits")}
    return {**one.scored.candidate.model_dump(), "users": one.scored.scores.parameters["evaluate_users"], **about}


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
    sample = say_sample(tried[0].scored.sampled_users)
    about = f"What was drawn beside the fixed candidates, by kind, on validation{sample}; seconds are those of this run"
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
