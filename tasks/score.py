"""Score candidates on a held-out part of a split: full catalogue, seen items excluded, 95 % intervals over users."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray
from prefect import task

from evaluation.assess import USERS_K, HeldOut, Measured, assess_cold_users, measure_lists, measure_scores
from evaluation.external_lists import Lists, arrange
from evaluation.list_change import find_change
from evaluation.ranking import DEFAULT_KS, About
from evaluation.rolling import Events
from evaluation.significance import means_by_owner
from models.base import Scorer
from models.registry import Candidate
from schema.errors import InvalidInput
from schema.mapped import read_array
from schema.metric import Metric, MetricRow, SegmentScore
from schema.verdicts import Finding
from storage import canonical, layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.attributes import read_content
from tasks.dataset import read_indices
from tasks.execution import COMPUTE_RETRIES
from tasks.fit import load_model
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.recommend import rank_users
from tasks.rolling import ROLLING, EventRanker, count_fits, hold_out_part
from tasks.store import LEARNT, learnt_parts, local_file, publish_once, read_parts, read_table, write_record

PART = "test"


@dataclass(frozen=True)
class Scored:
    """A candidate with what it was fitted to and how it did on one part."""

    candidate: Candidate
    fitted: Manifest
    scores: Manifest

    def value(self, metric: Metric) -> float | None:
        """Return a metric where it was measured for the candidate."""
        value = self.scores.counts.get(str(metric))
        return None if value is None else float(value)

    @property
    def sampled_users(self) -> int | None:
        """How many users were evaluated, where that is a sample."""
        n_users = self.scores.count("n_users")
        return n_users if n_users < self.scores.count("n_warm_users") else None


Measure = Callable[[Measured, HeldOut, pa.Table], Mapping[str, Any] | None]
"""Measures what is held out, and returns more counts for the manifest, if there are any; defined in its step."""


@dataclass(frozen=True)
class _Trial:
    """A measurement of a candidate on one part of a split.

    Attributes:
        places: Where it is done.
        split: The split.
        candidate: What is measured.
        part: The part it is measured on.
        learnt: The parts that users have seen items of.
        options: Which users are evaluated.
        n_in_turn: How many of its fits serve in turn in a part of a rolling split; None: one of each day.
    """

    places: PlaceOptions
    split: Manifest
    candidate: Candidate
    part: str
    learnt: tuple[str, ...]
    options: EvaluationOptions
    n_in_turn: int | None = 1

    @property
    def about(self) -> About:
        """Model, parameters and part, as metric rows name them."""
        return self.candidate.model, dict(self.candidate.parameters), self.part

    def hold_out(self) -> HeldOut:
        """Return who is evaluated on what.

        Raises:
            InvalidInput: If no user has rows both in what is learnt from and in the part.
        """
        held_out = hold_out_part(self.places, self.split, self.learnt, self.part, self.options)
        if not len(held_out.users):
            what = "rows" if isinstance(held_out, Events) else "users with rows"
            raise InvalidInput(
                f"None of {len(held_out.cold)} {what} in {self.part} has an earlier row of its user to learn from; "
                "expected one or more. Choose another split (--split, --split-at)."
            )
        return held_out

    def measure_model(
        self, fits: Sequence[Manifest], measured: Measured, held_out: HeldOut, held_rows: pa.Table
    ) -> dict[str, int]:
        """Measure the lists of a model if it ranks, and its scores of held-out rows if it scores pairs.

        In a rolling split lists are those of later fits too, which the count tells; scores are those of the first.
        """
        kind, counts = self.candidate.kind, dict[str, int]()
        if kind.ranks:
            lists, cold_lists, counts = self._rank(fits, held_out)
            measure_lists(measured, lists, held_out, self.about)
            if kind.is_impersonal:
                measured.segments += assess_cold_users(cold_lists, held_out, USERS_K)
        loaded = load_model(self.places, fits[0])
        if self.split.counts["has_ratings"] and isinstance(loaded, Scorer):
            measure_scores(measured, loaded.score, held_rows, held_out, self.about, are_ratings=kind.predicts_ratings)
        return counts

    def _rank(self, fits: Sequence[Manifest], held_out: HeldOut) -> tuple[Lists, Lists, dict[str, int]]:
        """Return the lists of those to evaluate, those of cold ones if the kind has any for them, and counts."""
        block, k, users = self.options.evaluate_block_users, max(DEFAULT_KS), held_out.users
        cold = held_out.cold if self.candidate.kind.is_impersonal else held_out.cold[:0]
        if isinstance(held_out, Events):
            content, n_users = partial(read_content, self.places, self.split), self.split.count("n_users")
            ranker = EventRanker.of(self.places, n_users, self.candidate, fits, held_out, self.n_in_turn, content)
            lists = ranker.rank(np.concatenate([users, cold]), k, block)
            return lists[: len(users)], lists[len(users) :, :USERS_K], {"n_fits": len(ranker.days)}
        rank = partial(rank_users, self.places, self.split, fits[0], self.learnt, block_users=block)
        return rank(users, k), rank(cold, USERS_K), {}


@task(name="score", task_run_name="score {candidate.label} on {part}", **COMPUTE_RETRIES)
def score(
    places: PlaceOptions,
    split: Manifest,
    fitted: Manifest,
    candidate: Candidate,
    part: str,
    options: EvaluationOptions,
    later: Sequence[Manifest] = (),
    *,
    asked_fits: int | None = None,
) -> Manifest:
    """Publish the metrics of a fitted candidate on one part of the split, or of a published model as it stands.

    A published model is held to what users have in train and validation, whatever it learnt from.

    The artifact holds ``metrics.json`` (rows, segments and held_out_only), ``users.parquet`` (each metric at 10 of each
    user) and ``ranked.npy`` (their lists, int32, -1 where nothing is left); the last two where the candidate ranks.
    For a rolling split, where a user has several events, ``users.parquet`` holds their number and the `linearise`d
    metrics, and ``ranked.npy`` a list for each event; later fits take over from the first in the course of the part, as
    many as are asked for or else as `count_fits` says.

    Raises:
        InvalidInput: If no user has rows both in what is learnt from and in the part.
    """
    role, learnt = ("model", LEARNT) if fitted.kind == layout.MODELS else ("fit", learnt_parts(fitted))
    n_in_turn = 1 if role == "model" else count_fits(split, candidate.kind, asked_fits)
    trial = _Trial(places, split, candidate, part, learnt, options, n_in_turn)
    inputs = {"split": split.id, role: fitted.id} | {f"fit_until_{one.parameters['until']}": one.id for one in later}
    return _publish(trial, inputs, lambda *held: trial.measure_model((fitted, *later), *held))


@task(name="score lists", task_run_name="score {candidate.label} on test", **COMPUTE_RETRIES)
def score_lists(
    places: PlaceOptions,
    split: Manifest,
    dataset: Manifest,
    lists: Manifest,
    candidate: Candidate,
    options: EvaluationOptions,
) -> Scored:
    """Publish the metrics of recommendations that were made elsewhere, on the test part of a split.

    Their raw file is as `read_pairs` reads it, with rank or score unless the rows are in order. Users of the test part
    without a list count with an empty one. Items that the dataset does not know, and items that the user has in train
    or validation, are taken out of the lists; the manifest counts them.

    Raises:
        InvalidInput: If the file cannot be read, repeats an item in a list, or has none of the users or none of the
            items, or the split is a rolling one.
    """
    if split.counts["method"] == ROLLING:
        raise InvalidInput(
            f"splits/{split.id} is rolling, which asks for the list of a user for each day, and {candidate.model} has "
            "one for each user. Use --split time, whose test part is predicted by one list."
        )
    trial = _Trial(places, split, candidate, PART, LEARNT, options)

    def measure(measured: Measured, held_out: HeldOut, _: pa.Table) -> dict[str, int]:
        ranked, counts = arrange(*read_indices(places, dataset, lists), held_out, max(DEFAULT_KS))
        logger.info("Lists: {}", ", ".join(f"{name} {value:,}" for name, value in counts.items()))
        measure_lists(measured, ranked, held_out, trial.about)
        return counts

    return Scored(candidate, lists, _publish(trial, {"split": split.id, "lists": lists.id}, measure))


def _publish(trial: _Trial, inputs: Mapping[str, str], measure: Measure) -> Manifest:
    def build(folder: Path) -> dict[str, Any]:
        held_rows, measured = read_parts(trial.places, trial.split, (trial.part,)), Measured()
        held_out = trial.hold_out()
        counts = measure(measured, held_out, held_rows) or {}
        _write(measured, folder)
        return {**counts, **held_out.counts, **headline([*measured.rows, *measured.held_out_only])}

    named: dict[str, Any] = {"model": trial.candidate.model} if "lists" in inputs else {}
    if trial.split.counts["method"] == ROLLING:
        named["n_in_turn"] = trial.n_in_turn
    users = trial.options.evaluate_users
    return publish_once(
        trial.places,
        layout.SCORES,
        inputs=inputs,
        parameters={"part": trial.part, "ks": list(DEFAULT_KS), "evaluate_users": users, **named},
        build=build,
        uses=[measure, type(trial.candidate.kind)],
    )


def _write(measured: Measured, folder: Path) -> None:
    record = {
        "rows": [asdict(row) for row in measured.rows],
        "segments": [segment.as_row() for segment in measured.segments],
        "held_out_only": [asdict(row) for row in measured.held_out_only],
    }
    write_record(folder / layout.METRICS, record)
    if measured.users is not None and measured.ranked is not None:
        write_parquet([measured.users], folder / layout.USERS, measured.users.schema)
        np.save(folder / layout.RANKED, measured.ranked.astype("<i4"))


def headline(rows: Sequence[MetricRow]) -> dict[str, float]:
    """Return the metrics by the names under which manifests and MLflow show them, such as ``ndcg_10``."""
    return {str(row.key): row.value for row in rows}


def read_rows(places: PlaceOptions, scores: Manifest, kind: str = "rows") -> list[MetricRow]:
    """Return the metrics of a scores artifact: its ``rows``, or its ``held_out_only``."""
    return [MetricRow(**row) for row in _read_metrics(places, scores, kind)]


def metric_records(places: PlaceOptions, scored: Iterable[Scored], kind: str = "rows") -> list[dict[str, Any]]:
    """Return the metrics of candidates as JSON values."""
    return [asdict(row) for one in scored for row in read_rows(places, one.scores, kind)]


def read_segments(places: PlaceOptions, scores: Manifest) -> list[SegmentScore]:
    """Return the segments of a scores artifact."""
    return [SegmentScore.from_row(segment) for segment in _read_metrics(places, scores, "segments")]


def _read_metrics(places: PlaceOptions, scores: Manifest, kind: str) -> list[dict[str, Any]]:
    path = local_file(places, scores, layout.METRICS)
    found: Any = canonical.decode_object(path.read_bytes(), str(path))[kind]
    return list(found)


def read_users(places: PlaceOptions, scores: Manifest, metric: Metric) -> NDArray[np.float64]:
    """Return one metric of each user of a scores artifact, by user index; of a rolling split by `linearise`."""
    return np.asarray(read_table(places, scores, layout.USERS, [str(metric)])[str(metric)])


def read_user_means(places: PlaceOptions, scores: Manifest, metric: Metric) -> NDArray[np.float64]:
    """Return one metric of each user of a scores artifact, by user index: of a rolling split the mean over events."""
    values = read_users(places, scores, metric)
    if "n_events" not in scores.counts:
        return values
    return means_by_owner(values, np.asarray(read_table(places, scores, layout.USERS, ["n_events"])["n_events"]))


def find_other_lists(places: PlaceOptions, by_role: Mapping[str, Scored], metric: Metric) -> Iterator[Finding]:
    """Yield what users would notice if the challenger took the place of a champion, where both rank."""
    if "champion" not in by_role or not all(one.candidate.kind.ranks for one in by_role.values()):
        return
    scores = [by_role[role].scores for role in ("champion", "challenger")]
    before, after = (read_ranked(places, one) for one in scores)
    was, becomes = (read_user_means(places, one, metric) for one in scores)
    yield find_change(before, after, min(metric.k or max(DEFAULT_KS), before.shape[1]), was, becomes, str(metric))


def read_ranked(places: PlaceOptions, scores: Manifest) -> Lists:
    """Return the lists of a scores artifact, memory-mapped."""
    return read_array(local_file(places, scores, layout.RANKED), np.int32, 2)
