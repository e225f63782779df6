"""What the report of a training shows, gathered from the artifacts that it came from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluation.report import (
    ArtifactIds,
    CorePass,
    ExampleUser,
    Funnel,
    HistoryEntry,
    QuarantineReason,
    RecommendedItem,
    ReportInput,
    ScoredModel,
    Source,
    SplitPart,
    SplitSummary,
    summarise_interactions,
)
from models.factors import FactorModel
from storage import layout
from storage.manifest import Manifest
from tasks.candidates import Candidate
from tasks.choose import Scored
from tasks.places import PlaceOptions
from tasks.recommend import recommended_rows
from tasks.reviews.catalogue import is_sample_user
from tasks.score import items_by_user, read_rows
from tasks.tables import LEARNT, PART_FILES, local_file, read_parts, read_table

N_EXAMPLES = 4
N_HISTORY = 12
N_RECOMMENDED = 10


@dataclass(frozen=True)
class Lineage:
    """The artifacts behind a training, from the raw file on."""

    raw: Manifest
    reviews: Manifest
    dataset: Manifest
    split: Manifest


def gather_report(
    places: PlaceOptions,
    lineage: Lineage,
    model_id: str,
    validated: Sequence[Scored],
    tested: Sequence[Scored],
    chosen: Candidate,
    titles: Mapping[str, str],
) -> ReportInput:
    """Return everything the report shows.

    Args:
        places: The store.
        lineage: What went in.
        model_id: The model that is being published.
        validated: Every candidate, on validation.
        tested: The chosen candidate and the baselines, refitted on train and validation, on test.
        chosen: The candidate that was chosen.
        titles: Item id to title, where products are known.
    """
    dataset, split = lineage.dataset, lineage.split
    user_ids = read_table(places, dataset, layout.USER_MAP)["user_id"]
    is_sample = bool(len(user_ids)) and is_sample_user(user_ids[0].as_py())
    name = lineage.raw.files[0].path.rsplit("/", 1)[-1]
    refit = next(one for one in tested if one.candidate == chosen)
    return ReportInput(
        title=f"Recommender trained on {'sample data' if is_sample else name}",
        is_sample_data=is_sample,
        source=Source(name, lineage.raw.files[0].sha256, lineage.raw.files[0].size_bytes),
        ids=ArtifactIds(lineage.raw.id, lineage.reviews.id, dataset.id, split.id, model_id),
        funnel=_funnel(lineage),
        quarantine=_quarantine(places, lineage.reviews),
        passes=_passes(places, dataset),
        split=_split_summary(split),
        candidates=[_scored_model(places, one, chosen) for one in validated],
        test=[_scored_model(places, one, chosen) for one in tested],
        distributions=summarise_interactions(read_table(places, dataset, layout.INTERACTIONS)),
        examples=_examples(places, lineage, refit.fitted, titles),
        notes=_notes(lineage, refit.scores),
    )


def _funnel(lineage: Lineage) -> Funnel:
    read = {name: lineage.reviews.count(name) for name in ("n_lines", "n_blank", "n_quarantined", "n_reviews")}
    names = ("n_sampled", "n_duplicates", "n_interactions", "n_users", "n_items")
    built = {name: lineage.dataset.count(name) for name in names}
    return Funnel(**read, **built, min_interactions=int(str(lineage.dataset.parameters["min_interactions"])))


def _quarantine(places: PlaceOptions, reviews: Manifest) -> list[QuarantineReason]:
    rows = read_table(places, reviews, layout.QUARANTINE)
    reasons = rows.group_by("reason", use_threads=False).aggregate([("line", "count"), ("line", "min")])
    found = []
    for reason in sorted(reasons.to_pylist(), key=lambda row: (-row["line_count"], row["reason"])):
        example = rows.filter(pc.equal(rows["line"], reason["line_min"])).slice(0, 1).to_pylist()[0]
        found.append(QuarantineReason(reason["reason"], reason["line_count"], example["line"], example["text"]))
    return found


def _passes(places: PlaceOptions, dataset: Manifest) -> list[CorePass]:
    record = json.loads(local_file(places, dataset, layout.K_CORE).read_bytes())
    return [CorePass(**core) for core in record["passes"]]


def _split_summary(split: Manifest) -> SplitSummary:
    described = {
        "leave-last": "The last interactions of each user are held out for the test, those before them for validation.",
        "time": "Everything after a moment is held out for the test, the stretch before it for validation.",
        "random": "Interactions are held out at random, whatever their time: a model may learn from later ones.",
    }
    parts = [
        SplitPart(part, *(split.count(f"{part}_{name}") for name in ("n_rows", "n_users", "n_items")))
        for part in PART_FILES
    ]
    cold = (split.count("test_n_cold_users"), split.count("test_n_cold_items"))
    return SplitSummary(described[str(split.counts["method"])], parts, *cold)


def _scored_model(places: PlaceOptions, one: Scored, chosen: Candidate) -> ScoredModel:
    return ScoredModel(
        one.candidate.label,
        dict(one.candidate.parameters),
        read_rows(places, one.scores),
        is_baseline=one.candidate.is_baseline,
        is_chosen=one.candidate == chosen,
    )


def _notes(lineage: Lineage, tested: Manifest) -> list[str]:
    counts, notes = lineage.dataset.counts, []
    if not counts["has_ratings"]:
        notes.append("The input has no ratings: explicit ALS and the rating baselines are left out.")
    elif lineage.reviews.counts["n_distinct_ratings"] == 1:
        notes.append("All ratings are equal: errors of predicted ratings say nothing here.")
    if not counts["has_timestamps"]:
        notes.append("The input has no timestamps: the split is random, and a model may learn from later events.")
    n_cold = tested.count("n_cold_users")
    if n_cold:
        notes.append(f"{n_cold:,} test users have nothing to learn from; no figure counts them.")
    return notes


def _examples(places: PlaceOptions, lineage: Lineage, fitted: Manifest, titles: Mapping[str, str]) -> list[ExampleUser]:
    """Return users at even distances through those tested; they are not picked by how well the model does."""
    model = FactorModel.load(local_file(places, fitted, layout.FACTORS))
    learnt = read_parts(places, lineage.split, LEARNT)
    held_out = read_parts(places, lineage.split, ("test",))
    tested = np.intersect1d(np.asarray(held_out["user_idx"]), np.asarray(learnt["user_idx"]))
    at = np.unique(np.linspace(0, len(tested) - 1, N_EXAMPLES + 2).astype(int)[1:-1])
    users = tested[at]
    seen = items_by_user(learnt, model.n_users).take(users)
    lists = recommended_rows(model, users, seen, N_RECOMMENDED)
    user_ids = read_table(places, lineage.dataset, layout.USER_MAP)["user_id"]
    item_ids = read_table(places, lineage.dataset, layout.ITEM_MAP)["item_id"]
    labels = _Labels(item_ids, titles)
    return [
        _example(
            str(user_ids[int(user)]),
            _of_user(learnt, int(user)),
            _of_user(held_out, int(user)),
            _of_user(lists, int(user)),
            labels,
        )
        for user in users
    ]


@dataclass(frozen=True)
class _Labels:
    """What an item is called: its title where it is known, else its id."""

    item_ids: pa.ChunkedArray
    titles: Mapping[str, str]

    def of(self, item_idx: int) -> str:
        """Return the label of an item."""
        item_id = str(self.item_ids[item_idx])
        return self.titles.get(item_id, item_id)


def _of_user(rows: pa.Table, user: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = rows.filter(pc.equal(rows["user_idx"], user)).to_pylist()
    return found


def _example(
    user_id: str,
    learnt: list[dict[str, object]],
    held_out: list[dict[str, object]],
    lists: list[dict[str, object]],
    labels: _Labels,
) -> ExampleUser:
    wanted = {row["item_idx"] for row in held_out}
    latest_first = sorted(learnt, key=lambda row: -int(str(row["timestamp"] or 0)))[:N_HISTORY]
    return ExampleUser(
        user_id,
        [
            HistoryEntry(labels.of(int(str(row["item_idx"]))), _number(row["rating"]), _day(row["timestamp"]))
            for row in latest_first
        ],
        [labels.of(int(str(row["item_idx"]))) for row in held_out],
        [
            RecommendedItem(
                int(str(row["rank"])),
                labels.of(int(str(row["item_idx"]))),
                float(str(row["score"])),
                is_hit=row["item_idx"] in wanted,
            )
            for row in lists
        ],
    )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _day(timestamp: object) -> date | None:
    return None if timestamp is None else datetime.fromtimestamp(int(str(timestamp)), tz=UTC).date()
