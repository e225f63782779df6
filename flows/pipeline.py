"""Parts that flows are composed of: which task after which, and what runs side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import unmapped
from prefect.futures import PrefectFuture

from evaluation.options import SplitOptions
from flows.settings import Environment
from models.registry import AUTO, Candidate, ModelOptions, candidates, learning_curve, yardsticks
from reviews.checks import CHECKS
from reviews.options import IngestOptions
from reviews.partitions import group
from spark.options import DatasetOptions
from storage import layout
from storage.artifacts import entry
from storage.manifest import Manifest
from tasks.choose import NDCG, Choice, choose, metric_by_user
from tasks.dataset import SPLIT_FILES, build_dataset, split_dataset
from tasks.drift import Drift, compare_with_before
from tasks.execution import Advance, doing_beside, progress, start_dask, warm_up_spark
from tasks.fit import Parts, fit
from tasks.ingest import (
    check_reviews,
    collect_events,
    fetch_raw,
    find_reviews,
    keep_file,
    publish_reviews,
    read_raw,
    show_reading,
)
from tasks.model import Lineage
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    PlaceOptions,
    RecommendOptions,
    ReviewsInput,
    SearchOptions,
    SelectionOptions,
)
from tasks.racing import Tried
from tasks.recommend import find_recommendations, publish_recommendations, recommend_block
from tasks.rolling import ROLLING, later_cuts
from tasks.room import other_rooms, show_room
from tasks.score import Scored, score
from tasks.search import sample_validation, search
from tasks.steps import step
from tasks.store import LEARNT, all_parts, scratch_folder

Result = TypeVar("Result")


@step("read and check reviews")
def ingest_reviews(
    environment: Environment, source: ReviewsInput, options: IngestOptions, *beside: Callable[[], object]
) -> tuple[Manifest, Manifest]:
    """Return the raw file and its reviews; where these are new, do what stands beside while they are checked."""
    places = environment.places
    raw = fetch_raw(places, source, environment.download)
    events = collect_events(places, raw, options) if source.input_events == "on" else None
    published = reviews = find_reviews(places, raw, options, events)
    if reviews is None:
        with scratch_folder(places, "partitions") as folder:
            with doing_beside(start_dask):
                read = read_raw(places, raw, options, folder, events)
            with doing_beside(*beside):
                groups = group(read.partitions)
                checks = [check_reviews.submit(some, check.name, read.limits) for some in groups for check in CHECKS]
                with progress(f"Checking {raw.files[0].path}", key="check", unit=" checks") as advance:
                    checked = collect(checks, advance)
                reviews = publish_reviews(places, raw, options, read, checked, events)
    show_reading(places, raw, reviews, was_published=published is not None)
    return raw, reviews


def compare_reviews(environment: Environment, raw: Manifest, reviews: Manifest, options: DriftOptions) -> Drift | None:
    """Compare reviews with those of the run before, unless that is turned off; None where there is no comparison."""
    return None if options.drift == "off" else compare_with_before(environment.places, raw, reviews, options)


def make_split(
    environment: Environment,
    source: ReviewsInput,
    ingest: IngestOptions,
    dataset_options: DatasetOptions,
    split: SplitOptions,
    drift: DriftOptions | None = None,
    products: Manifest | None = None,
) -> Lineage:
    """Return everything from the raw file to the split; with drift options the reviews may be refused."""
    warm_up = partial(warm_up_spark, environment.spark, environment.places)  # new reviews make a new dataset
    raw, reviews = ingest_reviews(environment, source, ingest, warm_up)
    if drift:
        compare_reviews(environment, raw, reviews, drift)
    with step("dataset"):
        dataset = build_dataset(environment.places, reviews, dataset_options, environment.spark, products)
    return Lineage(raw, reviews, dataset, split_as_asked(environment.places, dataset, split, products))


@step("split")
def split_as_asked(
    places: PlaceOptions, dataset: Manifest, options: SplitOptions, products: Manifest | None = None
) -> Manifest:
    """Return the split that the options describe, with what products say of items."""
    named = {role: getattr(options, name) for role, name in SPLIT_FILES.items()}
    files = {role: keep_file(places, Path(path)) for role, path in named.items() if path}
    return split_dataset(places, dataset, options, files, products)


@dataclass(frozen=True)
class Trials:
    """Fits and scores candidates on the parts of a split.

    Attributes:
        environment: Where it is done.
        split: The split.
        evaluation: Whom they are scored for on test, and on validation unless that is large.
    """

    environment: Environment
    split: Manifest
    evaluation: EvaluationOptions

    @property
    def validation(self) -> EvaluationOptions:
        """Whom candidates are scored for on validation."""
        return sample_validation(self.split, self.evaluation)

    def on_validation(self, competing: Sequence[Candidate], asked_fits: int | None = None) -> list[Scored]:
        """Score candidates on validation, fitted to train; with as many fits of a rolling split as asked for."""
        return self._fit_and_score(competing, ("train",), "validation", self.validation, asked_fits)

    def search(
        self, models: ModelOptions, options: SearchOptions, selection: SelectionOptions
    ) -> tuple[list[Tried], Choice]:
        """Score the fixed candidates on validation, and others that are drawn, and choose among those that are kept."""
        places, metric = self.environment.places, metric_by_user(selection.metric)
        with step("fixed candidates"):
            fixed = self.on_validation(competitors(models, self.split, options.names))
        with step("search"):
            tried = search(places, self.split, self._try, fixed, models, options, self.validation, metric)
        with step("choice"):
            return tried, choose(places, self.split, kept(tried), selection, self.validation)

    def _try(self, candidate: Candidate, evaluation: EvaluationOptions, asked_fits: int | None = None) -> Scored:
        """Score a candidate on validation; on that of a rolling split with as many fits as are asked for."""
        places, part = self.environment.places, "validation"
        fitted = self._fit(candidate, ("train",), part)
        later = self._fit_later(candidate, ("train",), part, asked_fits)
        about = places, self.split, fitted, candidate, part, evaluation, later
        return Scored(candidate, fitted, score.submit(*about, asked_fits=asked_fits).result())

    @step("test")
    def on_test(self, competing: Sequence[Candidate]) -> list[Scored]:
        """Score candidates on test, fitted to train and validation."""
        return self._fit_and_score(competing, LEARNT, "test", self.evaluation)

    def beside_yardsticks(self, competing: Sequence[Candidate]) -> list[Scored]:
        """Score a random scorer, popularity and other candidates, each once, on test."""
        others = [one for place, one in enumerate(competing) if one not in (*yardsticks(), *competing[:place])]
        return self.on_test([*yardsticks(), *others])

    def _fit_and_score(
        self,
        competing: Sequence[Candidate],
        parts: Parts,
        part: str,
        evaluation: EvaluationOptions,
        asked_fits: int | None = None,
    ) -> list[Scored]:
        """Fit candidates one after the other, by Spark, while those fitted are scored, by Dask."""
        places, fits, pending = self.environment.places, [], []
        with progress(f"Fitting on {' + '.join(parts)}", key=f"fit-for-{part}", unit=" candidates") as advance:
            for candidate in competing:
                fits.append(self._fit(candidate, parts, part))
                later = self._fit_later(candidate, parts, part, asked_fits)
                about = places, self.split, fits[-1], candidate, part, evaluation, later
                pending.append(score.submit(*about, asked_fits=asked_fits))
                advance(len(fits), len(competing))
        with progress(f"Scoring on {part}", key=f"score-on-{part}", unit=" candidates") as advance:
            scores = collect(pending, advance)
        return [Scored(*one) for one in zip(competing, fits, scores, strict=True)]

    def _fit_later(
        self, candidate: Candidate, parts: Parts, part: str, asked_fits: int | None = None
    ) -> list[Manifest]:
        """Fit a candidate again at the later cuts of a part of a rolling split, where that is asked for."""
        cuts = later_cuts(self.environment.places, self.split, part, candidate.kind, asked_fits)
        return [self._fit(candidate, (*parts, part), part, cut) for cut in cuts]

    def _fit(self, candidate: Candidate, parts: Parts, part: str, until: int | None = None) -> Manifest:
        """Fit a candidate to be scored on a part, which on validation is a trial."""
        if part == "validation":
            given = candidate.kind.on_trial(candidate.parameters, self.split.count("train_n_rows"))
            candidate = Candidate(model=candidate.model, parameters=given)
        return fit(self.environment.places, self.split, parts, candidate, self.environment.spark, until=until)

    @step("learning curve")
    def trace_learning(self, validated: Sequence[Scored], models: ModelOptions) -> list[Scored]:
        """Score the best trained candidate on validation after fewer and more iterations, itself among them."""
        iterated = [one for one in validated if one.candidate.kind.iterations]
        if not iterated:
            return []
        best = best_trained(iterated)
        points = learning_curve(best.candidate, models)
        others = [one for one in points if one != best.candidate]
        scored = self.on_validation(others) if others else []
        return [next(one for one in (*scored, best) if one.candidate == point) for point in points]

    @step("price of room")
    def price_room(self, validated: Sequence[Scored]) -> None:
        """Show how the best candidate that gives new items room does on validation with more and less of it.

        On a rolling split all are scored with one fit throughout, as candidates are raced.
        """
        able = [one for one in validated if one.candidate.kind.room]
        if rooms := other_rooms(self.split, best_trained(able).candidate) if able else []:
            fits = 1 if self.split.counts["method"] == ROLLING else None
            show_room(self.environment.places, self.on_validation(rooms, fits))

    @step("fit on all")
    def fit_on_all(self, chosen: Scored, tested: Sequence[Scored]) -> Scored:
        """Fit the chosen candidate on all rows; its scores are those on test before that."""
        places, parts, candidate = self.environment.places, all_parts(self.split), chosen.candidate
        fitted = fit(places, self.split, parts, candidate, self.environment.spark, keep_spark_model=True)
        on_test = next(one for one in tested if one.candidate == candidate)
        return Scored(candidate, fitted, on_test.scores)


def collect(futures: Sequence[PrefectFuture[Result]], advance: Advance) -> list[Result]:
    """Return the results of task runs, in order, and report how many there are so far."""
    results: list[Result] = []
    for future in futures:
        results.append(future.result())
        advance(len(results), len(futures))
    return results


def competitors(models: ModelOptions, split: Manifest, names: Iterable[str] = (AUTO,)) -> tuple[Candidate, ...]:
    """Return the baselines that the data allow, and the fixed candidates of the kinds named."""
    has_ratings, has_timestamps = bool(split.counts["has_ratings"]), bool(split.counts["has_timestamps"])
    return candidates(models, has_ratings=has_ratings, has_timestamps=has_timestamps, names=names)


def baselines(models: ModelOptions, split: Manifest) -> list[Candidate]:
    """Return the baselines that the data allow."""
    return [one for one in competitors(models, split) if one.kind.is_baseline]


def kept(tried: Iterable[Tried]) -> list[Scored]:
    """Return what is in at the end of a search, with scores of all users of validation."""
    return [one.scored for one in tried if not one.is_dropped]


def best_trained(validated: Sequence[Scored]) -> Scored:
    """Return the candidate of the highest NDCG@10 on validation that is no baseline; of all if all are baselines."""
    trained = [one for one in validated if not one.candidate.kind.is_baseline]
    return max(trained or validated, key=lambda one: one.value(NDCG) or 0.0)


def finalists(validated: Sequence[Scored], chosen: Scored) -> list[Candidate]:
    """Return the chosen candidate, the best trained one, and the best of each kind of baseline."""
    kinds = dict.fromkeys(one.candidate.model for one in validated if one.candidate.kind.is_baseline)
    baselines = [best_trained([one for one in validated if one.candidate.model == model]) for model in kinds]
    others = (best_trained(validated), *baselines)
    return [one.candidate for one in validated if one in (chosen, *others)]


@step("recommendations")
def recommend_to_all(places: PlaceOptions, model: Manifest, dataset: Manifest, options: RecommendOptions) -> Manifest:
    """Return the top N of every user, scored in blocks side by side."""
    found = find_recommendations(places, model, options)
    if found:
        return found
    firsts = range(0, model.count("n_users"), options.recommend_block_users)
    blocks = recommend_block.map(unmapped(places), unmapped(model), unmapped(dataset), unmapped(options), list(firsts))
    with progress(f"Recommending from {model.id}", key="recommend", unit=" blocks of users") as advance:
        parts = collect(blocks, advance)
    return publish_recommendations(places, model, options, parts)


def record_of(made: Mapping[str, Manifest]) -> dict[str, Any]:
    """Return the ids and counts of artifacts by their roles."""
    return {
        "ids": {role: artifact.id for role, artifact in made.items()},
        "counts": {role: dict(artifact.counts) for role, artifact in made.items()},
    }


def place_of(places: PlaceOptions, artifact: Manifest, name: str | None = None) -> str:
    """Return where an artifact is, or a file of it."""
    prefix = layout.artifact_prefix(artifact.kind, artifact.id)
    return places.open_store().locate(f"{prefix}/{entry(artifact, name).path}" if name else prefix)
